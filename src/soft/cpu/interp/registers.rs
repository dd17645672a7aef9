//! Register allocation: assigns offsets in the frame, which registers with disjoint live ranges share.
//!
//! Code is laid out in the order of the tree, so the live range of a register is an interval of that order,
//! extended to the end of every loop that it is carried into (linear scan). Offsets are assigned in the order in
//! which live ranges begin, the lowest free one first: frames stay small and in the cache.

use super::prepared::Found;
use crate::soft::sorted;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A virtual register: it has no offset yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Register(pub(crate) u32);

/// The sizes of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// 8 bytes: a uniform value or a mask.
    Slot,
    /// 32 lanes of 4 bytes.
    Lanes4,
    /// 32 lanes of 8 bytes.
    Lanes8,
    /// The result of [`Prepare`](super::prepared::Prepare) for 32 addresses.
    Prepared,
}

/// Collects the sizes and live ranges of registers while code is generated.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    lives: Vec<Life>,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    size: Size,
    from: u32,
    to: u32,
    /// A variable: its value is preserved from one iteration of a loop to the next.
    carried: bool,
}

/// A loop's first and last instruction.
pub(crate) type Extent = (u32, u32);

impl Registers {
    /// A new register.
    pub(crate) fn add(&mut self, size: Size, carried: bool) -> Register {
        self.lives.push(Life { size, from: u32::MAX, to: 0, carried });
        Register(self.lives.len() as u32 - 1)
    }

    /// The size of a register.
    pub(crate) fn size(&self, register: Register) -> Size {
        self.lives[register.0 as usize].size
    }

    /// Records that an instruction reads or writes a register.
    pub(crate) fn touch(&mut self, register: Register, at: u32) {
        let life = &mut self.lives[register.0 as usize];
        life.from = life.from.min(at);
        life.to = life.to.max(at);
    }

    /// The offset of every register in the frame, whose first `reserved` bytes are taken, and the frame's
    /// size.
    pub(crate) fn place(&mut self, loops: &[Extent], reserved: u32) -> (Vec<u32>, u32) {
        let tree = LoopTree::new(loops);
        for life in &mut self.lives {
            tree.stretch(life);
        }
        let mut order: Vec<u32> = (0..self.lives.len() as u32).collect();
        order.retain(|&index| self.lives[index as usize].from != u32::MAX);
        sorted::sort_by_key(&mut order, |&index| self.lives[index as usize].from);
        let mut offsets = vec![0; self.lives.len()];
        // Slots first, then lanes on vector boundaries.
        let (mut slots, mut lanes) = (Units::default(), Units::default());
        for &index in &order {
            let life = self.lives[index as usize];
            offsets[index as usize] = match life.size {
                Size::Slot => slots.claim(1, life),
                Size::Lanes4 => lanes.claim(1, life),
                Size::Lanes8 => lanes.claim(2, life),
                Size::Prepared => lanes.claim(PREPARED_UNITS, life),
            };
        }
        let first_lanes = (reserved + slots.count as u32 * 8).next_multiple_of(LANES4);
        for &index in &order {
            let offset = &mut offsets[index as usize];
            *offset = match self.lives[index as usize].size {
                Size::Slot => reserved + *offset * 8,
                _ => first_lanes + *offset * LANES4,
            };
        }
        (offsets, first_lanes + lanes.count as u32 * LANES4)
    }
}

/// Bytes of [`Size::Lanes4`].
const LANES4: u32 = 128;
/// As many of them are a [`Size::Prepared`].
const PREPARED_UNITS: usize = size_of::<Found>().div_ceil(LANES4 as usize);

/// The loops of a function by position. Two loops are nested or disjoint.
struct LoopTree<'a> {
    loops: &'a [Extent],
    /// Indices of the loops, ordered by their starts, outer before inner.
    order: Vec<u32>,
    /// The loop around each, by its position in `order`.
    parents: Vec<Option<u32>>,
}

impl LoopTree<'_> {
    fn new(loops: &[Extent]) -> LoopTree<'_> {
        let mut order: Vec<u32> = (0..loops.len() as u32).collect();
        sorted::sort_by_key(&mut order, |&index| {
            let (start, end) = loops[index as usize];
            (start, std::cmp::Reverse(end))
        });
        let mut parents = Vec::with_capacity(order.len());
        let mut open: Vec<u32> = Vec::new();
        for (at, &index) in order.iter().enumerate() {
            let (start, _) = loops[index as usize];
            while let Some(&last) = open.last() {
                if loops[order[last as usize] as usize].1 >= start {
                    break;
                }
                open.pop();
            }
            parents.push(open.last().copied());
            open.push(at as u32);
        }
        LoopTree { loops, order, parents }
    }

    /// The loops that hold an instruction, innermost first.
    fn around(&self, at: u32) -> impl Iterator<Item = Extent> {
        let extent = |index: u32| self.loops[self.order[index as usize] as usize];
        let begun = self.order.partition_point(|&index| self.loops[index as usize].0 <= at);
        let last = begun.checked_sub(1).map(|last| last as u32);
        let chain = std::iter::successors(last, |&index| self.parents[index as usize]);
        chain.map(extent).filter(move |&(_, end)| at <= end)
    }

    /// Extends a live range to the end of the loops that it is carried into, and over the loops around a variable
    /// whose value is preserved from one iteration to the next.
    fn stretch(&self, life: &mut Life) {
        if life.from == u32::MAX {
            return;
        }
        if life.carried {
            let (from, to) = (life.from, life.to);
            for (start, end) in self.around(from).chain(self.around(to)) {
                life.from = life.from.min(start);
                life.to = life.to.max(end);
            }
            return;
        }
        let entered = self.around(life.to).filter(|&(start, _)| life.from < start);
        life.to = entered.map(|(_, end)| end).max().unwrap_or(life.to);
    }
}

/// Allocates units of a frame, the lowest free ones first.
#[derive(Default)]
struct Units {
    count: usize,
    /// A bit for each unit: it is free.
    free: Vec<u64>,
    /// No unit before this word of `free` is free.
    first: usize,
    /// The units in use, by the end of their live ranges.
    used: BinaryHeap<Reverse<(u32, u32)>>,
}

impl Units {
    /// Allocates the first run of `count` units that are free when the live range begins. It may begin at the
    /// instruction after the one that ends another.
    fn claim(&mut self, count: usize, life: Life) -> u32 {
        while let Some(&Reverse((end, unit))) = self.used.peek()
            && end < life.from
        {
            self.used.pop();
            self.free[unit as usize / 64] |= 1 << (unit % 64);
            self.first = self.first.min(unit as usize / 64);
        }
        while self.free.get(self.first) == Some(&0) {
            self.first += 1;
        }
        let start = self.first_run(count);
        self.count = self.count.max(start + count);
        while self.free.len() * 64 < self.count {
            self.free.push(0);
        }
        for unit in start..start + count {
            self.free[unit / 64] &= !(1 << (unit % 64));
            self.used.push(Reverse((life.to, unit as u32)));
        }
        start as u32
    }

    /// The start of the first run of free units, which may reach past the last unit.
    fn first_run(&self, count: usize) -> usize {
        if count == 1 {
            let mut at = self.first;
            while at < self.free.len() {
                if self.free[at] != 0 {
                    return at * 64 + self.free[at].trailing_zeros() as usize;
                }
                at += 1;
            }
            return self.count;
        }
        let mut run = 0;
        for word in self.first..self.free.len() {
            if self.free[word] == 0 {
                run = 0;
                continue;
            }
            for unit in word * 64..(word * 64 + 64).min(self.count) {
                run = if self.free[word] >> (unit % 64) & 1 != 0 { run + 1 } else { 0 };
                if run == count {
                    return unit + 1 - count;
                }
            }
        }
        self.count - run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(registers: &mut Registers, size: Size, carried: bool, at: &[u32]) -> Register {
        let register = registers.add(size, carried);
        at.iter().for_each(|&at| registers.touch(register, at));
        register
    }

    #[test]
    fn offsets_are_reused() {
        let mut all = Registers::default();
        let a = live(&mut all, Size::Lanes4, false, &[1, 3]);
        let b = live(&mut all, Size::Lanes4, false, &[2, 5]);
        let c = live(&mut all, Size::Lanes4, false, &[4, 6]);
        let d = live(&mut all, Size::Slot, false, &[4, 6]);
        let (offsets, bytes) = all.place(&[], 16);
        let at = |register: Register| offsets[register.0 as usize];
        assert_eq!((at(a), at(b), at(c), at(d)), (128, 256, 128, 16));
        assert_eq!(bytes, 384);
    }

    #[test]
    fn many_live_ranges_are_allocated_quickly_and_without_overlap() {
        let mut all = Registers::default();
        let mut state = 12345u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        // Loops of ten instructions, two by two in a loop of thirty.
        let loops: Vec<Extent> = (0..3000)
            .flat_map(|at| [(at * 30 + 1, at * 30 + 10), (at * 30 + 12, at * 30 + 20)])
            .zip(0..)
            .flat_map(|(inner, at)| match at % 2 {
                0 => vec![inner],
                _ => vec![inner, (inner.0 - 12, inner.1 + 5)],
            })
            .collect();
        let sizes = [Size::Slot, Size::Lanes4, Size::Lanes8, Size::Prepared];
        for _ in 0..20_000 {
            let from = random(90_000);
            let length = if random(10) == 0 { 5000 } else { 8 };
            let register = all.add(sizes[random(4) as usize], random(5) == 0);
            all.touch(register, from);
            all.touch(register, from + random(length));
        }
        // The definition: any number of rounds through all loops until nothing changes.
        let mut expected = all.lives.clone();
        for life in expected.iter_mut().step_by(97) {
            loop {
                let before = (life.from, life.to);
                for &(start, end) in &loops {
                    let enters = life.from < start && start <= life.to && life.to < end;
                    let carries = life.carried && life.from <= end && start <= life.to;
                    if enters || carries {
                        life.to = life.to.max(end);
                    }
                    if carries {
                        life.from = life.from.min(start);
                    }
                }
                if before == (life.from, life.to) {
                    break;
                }
            }
        }
        let (offsets, bytes) = all.place(&loops, 0);
        for (at, (life, expected)) in all.lives.iter().zip(&expected).enumerate().step_by(97) {
            assert_eq!((life.from, life.to), (expected.from, expected.to), "life {at}: {life:?}");
        }
        let width = |life: &Life| match life.size {
            Size::Slot => 8,
            Size::Lanes4 => LANES4,
            Size::Lanes8 => 2 * LANES4,
            Size::Prepared => PREPARED_UNITS as u32 * LANES4,
        };
        for (at, life) in all.lives.iter().enumerate().step_by(97) {
            assert!(offsets[at] + width(life) <= bytes);
            for (other, rival) in all.lives.iter().enumerate().filter(|&(other, _)| other != at) {
                let together = life.from <= rival.to && rival.from <= life.to;
                let (a, b) = (offsets[at], offsets[other]);
                assert!(!together || a + width(life) <= b || b + width(rival) <= a);
            }
        }
    }

    #[test]
    fn registers_read_in_a_loop_are_live_to_its_end() {
        let mut all = Registers::default();
        let outside = live(&mut all, Size::Lanes8, false, &[1, 11]);
        let inside = live(&mut all, Size::Lanes8, false, &[12, 14]);
        let after = live(&mut all, Size::Lanes8, false, &[22, 23]);
        let carried = live(&mut all, Size::Lanes8, true, &[15, 16]);
        let (offsets, _) = all.place(&[(10, 20)], 0);
        let at = |register: Register| offsets[register.0 as usize];
        assert_ne!(at(outside), at(inside));
        assert_ne!(at(carried), at(inside));
        assert_eq!(at(after), at(carried).min(at(outside)));
    }
}
