//! Offsets in thread memory: locals that are never live at the same time share memory.
//!
//! A local is live from the first to the last statement that uses a pointer into it, and in the whole of each loop around one
//! of them, since its contents are preserved between iterations. Thread memory is each lane's own, so the order of
//! statements decides, whichever lanes execute them. A local whose address escapes is always live.

use crate::soft::ir::{Block, Function, Op, Rule, Space, Stmt, Type, Value, walk};
use crate::soft::sorted;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// In functions with fewer bytes of locals each has memory of its own: the analysis does not pay.
const MIN_BYTES: u64 = 8 << 10;
/// Locals begin at multiples of this.
const ALIGN: u64 = 4;

/// Where each local of a function begins, and the size of all of them. `keeps` says whether functions that it calls may
/// keep a pointer that is passed to them.
pub(crate) fn assign_offsets(function: &Function, keeps: bool) -> (Vec<u64>, u64) {
    let sizes: Vec<u64> = function
        .locals
        .iter()
        .map(|local| u64::from(local.bytes).next_multiple_of(ALIGN))
        .collect();
    if sizes.iter().sum::<u64>() < MIN_BYTES {
        let mut end = 0;
        let starts = sizes.iter().map(|size| {
            end += size;
            end - size
        });
        return (starts.collect(), end);
    }
    place(&sizes, &Lives::of(function, keeps).lives)
}

/// Whether a function may keep a pointer into thread memory that is passed to it: it stores one.
pub(crate) fn keeps_pointers(function: &Function) -> bool {
    walk::instructions(&function.body).any(|value| {
        let inst = function.inst(value);
        let stored = if inst.op == Op::Store { inst.args.get(1) } else { None };
        stored.is_some_and(|&data| function.ty(data) == Type::Pointer(Space::Thread))
            || inst.op == Op::PointerToInt
                && function.ty(inst.args[0]) == Type::Pointer(Space::Thread)
    })
}

/// First and last statement.
type Life = (u32, u32);

struct Lives<'a> {
    function: &'a Function,
    keeps: bool,
    lives: Vec<Option<Life>>,
    /// The local that each pointer is into.
    local: Vec<Option<u32>>,
    now: u32,
    /// The locals that were used in the open loops, with the number of those before each loop.
    used: Vec<u32>,
    loops: u32,
}

impl<'a> Lives<'a> {
    fn of(function: &'a Function, keeps: bool) -> Self {
        let own = |inst: &crate::soft::ir::Inst| (inst.op == Op::Local).then_some(inst.imm as u32);
        let mut lives = Self {
            function,
            keeps,
            lives: vec![None; function.locals.len()],
            local: function.insts.iter().map(own).collect(),
            now: 0,
            used: Vec::new(),
            loops: 0,
        };
        lives.block(&function.body);
        lives
    }

    fn block(&mut self, block: &Block) {
        for stmt in block {
            self.now += 1;
            match stmt {
                Stmt::Do(value) => self.instruction(*value),
                Stmt::If(_, then, otherwise) => {
                    self.block(then);
                    self.block(otherwise);
                }
                Stmt::Loop { body, next, .. } => {
                    let (start, before) = (self.now, self.used.len());
                    self.loops += 1;
                    self.block(body);
                    self.block(next);
                    self.now += 1;
                    self.loops -= 1;
                    for index in before..self.used.len() {
                        let local = self.used[index];
                        self.alive(local, start);
                        self.alive(local, self.now);
                    }
                    if self.loops == 0 {
                        self.used.clear();
                    }
                }
                Stmt::Call { args, .. } => {
                    for &arg in args {
                        self.touch(arg, self.keeps);
                    }
                }
                Stmt::Return(value) => value.iter().for_each(|&value| self.touch(value, true)),
                Stmt::Break | Stmt::Continue => {}
            }
        }
    }

    fn instruction(&mut self, value: Value) {
        let inst = self.function.inst(value);
        let rule = inst.op.row().rule;
        for (index, &arg) in inst.args.iter().enumerate() {
            let address = match rule {
                Rule::Copy => true,
                Rule::Load | Rule::Store | Rule::Index | Rule::Field => index == 0,
                _ => false,
            };
            self.touch(arg, !address);
        }
        if matches!(rule, Rule::Index | Rule::Field) {
            self.local[value.index()] = self.local[inst.args[0].index()];
        }
    }

    /// A pointer is used; `escapes` if it may be used later without being named.
    fn touch(&mut self, pointer: Value, escapes: bool) {
        let Some(local) = self.local[pointer.index()] else { return };
        self.alive(local, self.now);
        if escapes {
            self.lives[local as usize] = Some((0, u32::MAX));
        }
        if self.loops > 0 {
            self.used.push(local);
        }
    }

    fn alive(&mut self, local: u32, at: u32) {
        let life = self.lives[local as usize].get_or_insert((at, at));
        *life = (life.0.min(at), life.1.max(at));
    }
}

/// Assigns each local to the lowest room that is free while it is alive.
fn place(sizes: &[u64], lives: &[Option<Life>]) -> (Vec<u64>, u64) {
    let mut order: Vec<usize> = (0..sizes.len()).filter(|&local| lives[local].is_some()).collect();
    sorted::sort_by_key(&mut order, |&local| lives[local]);
    let (mut starts, mut end) = (vec![0; sizes.len()], 0);
    // The free ranges, and the others by the end of the life of what is there.
    let mut free = BTreeMap::from([(0, u64::MAX)]);
    let mut taken: BinaryHeap<Reverse<(u32, u64, u64)>> = BinaryHeap::new();
    for local in order {
        let (Some((from, to)), size @ 1..) = (lives[local], sizes[local]) else { continue };
        while let Some(&Reverse((last, mut start, mut until))) = taken.peek()
            && last < from
        {
            taken.pop();
            until = free.remove(&until).unwrap_or(until);
            if let Some((&before, _)) =
                free.range(..start).next_back().filter(|gap| *gap.1 == start)
            {
                start = before;
            }
            free.insert(start, until);
        }
        let fits = free.iter().find(|&(start, end)| end - start >= size);
        let (&start, &until) = fits.expect("the last free range has no end");
        free.remove(&start);
        if start + size < until {
            free.insert(start + size, until);
        }
        taken.push(Reverse((to, start, start + size)));
        starts[local] = start;
        end = end.max(start + size);
    }
    (starts, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FuncId, FunctionBuilder};
    use crate::test_random::Random;

    const LARGE: u32 = 4 << 10;

    /// Stores to a new local, and reads it in the next statement.
    fn used(b: &mut FunctionBuilder) -> Value {
        let (local, one) = (b.local("l", LARGE), b.u32(1));
        let inside = b.field(local, 8);
        b.store(inside, one);
        b.load(inside, Type::U32)
    }

    fn starts(b: FunctionBuilder, keeps: bool) -> (Vec<u64>, u64) {
        assign_offsets(&b.finish(), keeps)
    }

    #[test]
    fn locals_that_are_not_alive_together_share_room() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let all = b.local("all", 8);
        let first = used(&mut b);
        let second = used(&mut b);
        let sum = b.add(first, second);
        b.store(all, sum);
        let third = used(&mut b);
        b.store(all, third);
        let large = u64::from(LARGE);
        // `all` is alive from its first use on, when the first two are not any more.
        assert_eq!(starts(b, false), (vec![0, 0, 0, 8], large + 8));
    }

    #[test]
    fn a_local_is_alive_in_the_whole_loop() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let before = used(&mut b);
        b.begin_loop();
        used(&mut b);
        used(&mut b);
        b.break_();
        b.end_loop();
        let all = b.local("all", 4);
        b.store(all, before);
        let large = u64::from(LARGE);
        assert_eq!(starts(b, false), (vec![0, 0, large, 0], 2 * large));
    }

    #[test]
    fn a_local_whose_address_goes_elsewhere_is_always_alive() {
        for (keeps, expected) in [(false, [0, 0]), (true, [0, LARGE])] {
            let mut b = FunctionBuilder::new("f", vec![], Type::Void);
            let local = b.local("l", LARGE);
            b.call(FuncId(1), &[local], Type::Void);
            used(&mut b);
            let found = starts(b, keeps);
            assert_eq!(found.0, expected.map(u64::from));
        }
        let mut b = FunctionBuilder::new("f", vec![Type::Pointer(Space::Thread)], Type::Void);
        let (local, param) = (b.local("l", LARGE), b.param(0));
        b.store(param, local);
        used(&mut b);
        let function = b.finish();
        assert!(keeps_pointers(&function));
        assert_eq!(assign_offsets(&function, false).0, [0, u64::from(LARGE)]);
    }

    #[test]
    fn locals_get_the_lowest_room_that_is_free() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let count = 1 + random.below(40);
            let sizes: Vec<u64> = (0..count).map(|_| 4 * random.below(9) as u64).collect();
            let mut lives: Vec<Life> = (0..count)
                .map(|_| {
                    let from = random.below(50) as u32;
                    (from, from + random.below(20) as u32)
                })
                .collect();
            lives.sort_unstable();
            let (starts, end) = place(&sizes, &lives.iter().copied().map(Some).collect::<Vec<_>>());
            let mut last = 0;
            for local in (0..count).filter(|&local| sizes[local] > 0) {
                let before = (0..local).filter(|&other| lives[other].1 >= lives[local].0);
                let is_free = |start: &u64| {
                    before.clone().all(|other| {
                        start + sizes[local] <= starts[other]
                            || starts[other] + sizes[other] <= *start
                    })
                };
                assert_eq!((0..).step_by(4).find(is_free), Some(starts[local]), "{seed}: {local}");
                last = last.max(starts[local] + sizes[local]);
            }
            assert_eq!(last, end, "{seed}");
        }
    }
}
