//! Register allocation: places in the frame for what lives at the same time.
//!
//! Code is laid out in the order of the tree, so the life of a register is an interval of that order,
//! stretched to the end of every loop that it is carried into. Places are handed out in the order in which
//! lives begin, the lowest free one first: frames stay small and in the cache.

use super::prepared::Found;

/// A register before it has a place.
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
    /// What [`Prepare`](super::prepared::Prepare) finds of 32 addresses.
    Prepared,
}

/// Collects what is known of each register while code is made.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    lives: Vec<Life>,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    size: Size,
    from: u32,
    to: u32,
    /// A variable: it keeps its value from one pass through a loop to the next.
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

    /// Notes that an instruction reads or writes a register.
    pub(crate) fn touch(&mut self, register: Register, at: u32) {
        let life = &mut self.lives[register.0 as usize];
        life.from = life.from.min(at);
        life.to = life.to.max(at);
    }

    /// The offset of every register in the frame, whose first `reserved` bytes are taken, and the frame's
    /// size.
    pub(crate) fn place(&mut self, loops: &[Extent], reserved: u32) -> (Vec<u32>, u32) {
        for life in &mut self.lives {
            // Outer loops end later, so after a longer life has been found, inner ones cannot add to it.
            for &(start, end) in loops {
                let enters = life.from < start && start <= life.to && life.to < end;
                let carries = life.carried && life.from <= end && start <= life.to;
                if enters || carries {
                    life.to = life.to.max(end);
                }
                if carries {
                    life.from = life.from.min(start);
                }
            }
        }
        let mut order: Vec<u32> = (0..self.lives.len() as u32).collect();
        order.retain(|&index| self.lives[index as usize].from != u32::MAX);
        order.sort_by_key(|&index| self.lives[index as usize].from);
        let mut offsets = vec![0; self.lives.len()];
        // Slots first, then lanes on vector boundaries.
        let mut slots = Vec::new();
        let mut lanes = Vec::new();
        for &index in &order {
            let life = self.lives[index as usize];
            offsets[index as usize] = match life.size {
                Size::Slot => claim(&mut slots, 1, life),
                Size::Lanes4 => claim(&mut lanes, 1, life),
                Size::Lanes8 => claim(&mut lanes, 2, life),
                Size::Prepared => claim(&mut lanes, PREPARED_UNITS, life),
            };
        }
        let first_lanes = (reserved + slots.len() as u32 * 8).next_multiple_of(LANES4);
        for &index in &order {
            let offset = &mut offsets[index as usize];
            *offset = match self.lives[index as usize].size {
                Size::Slot => reserved + *offset * 8,
                _ => first_lanes + *offset * LANES4,
            };
        }
        (offsets, first_lanes + lanes.len() as u32 * LANES4)
    }
}

/// Bytes of [`Size::Lanes4`].
const LANES4: u32 = 128;
/// As many of them are a [`Size::Prepared`].
const PREPARED_UNITS: usize = size_of::<Found>().div_ceil(LANES4 as usize);

/// Takes the first run of `count` units that are free when the life begins. A unit holds the end of the
/// last life in it; a life may begin with the instruction that ends another, as operands are read before
/// results are written, but lives of two units may not overlap by half.
fn claim(units: &mut Vec<u32>, count: usize, life: Life) -> u32 {
    let free =
        |units: &[u32], start: usize| units[start..].iter().take(count).all(|&end| end < life.from);
    let start = (0..units.len()).find(|&start| free(units, start)).unwrap_or(units.len());
    if units.len() < start + count {
        units.resize(start + count, 0);
    }
    units[start..start + count].fill(life.to);
    start as u32
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
    fn places_are_used_again() {
        let mut all = Registers::default();
        let a = live(&mut all, Size::Lanes4, false, &[1, 3]);
        let b = live(&mut all, Size::Lanes4, false, &[2, 5]);
        let c = live(&mut all, Size::Lanes4, false, &[4, 6]);
        let d = live(&mut all, Size::Slot, false, &[4, 6]);
        let (places, bytes) = all.place(&[], 16);
        let at = |register: Register| places[register.0 as usize];
        assert_eq!((at(a), at(b), at(c), at(d)), (128, 256, 128, 16));
        assert_eq!(bytes, 384);
    }

    #[test]
    fn what_a_loop_reads_lives_through_it() {
        let mut all = Registers::default();
        let outside = live(&mut all, Size::Lanes8, false, &[1, 11]);
        let inside = live(&mut all, Size::Lanes8, false, &[12, 14]);
        let after = live(&mut all, Size::Lanes8, false, &[22, 23]);
        let carried = live(&mut all, Size::Lanes8, true, &[15, 16]);
        let (places, _) = all.place(&[(10, 20)], 0);
        let at = |register: Register| places[register.0 as usize];
        assert_ne!(at(outside), at(inside));
        assert_ne!(at(carried), at(inside));
        assert_eq!(at(after), at(carried).min(at(outside)));
    }
}
