//! Barriers. Where threads may wait at different ones, each that arrives reports at which, and all count how many have arrived where.
//! In a strict launch all do so, and a thread that ends reports that, too.

use std::collections::HashSet;

use super::super::text::{Kind, Reg, ptx};
use super::flow::has_no_effect;
use super::value::is_across;
use super::{Emit, SiteKind};
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Barrier, Function, Inst, Op, Span, Stmt, Value, internal_error};

/// Whether a barrier is one of the threadgroup.
pub(super) fn is_of_group(inst: &Inst) -> bool {
    inst.op == Op::Barrier && Barrier::from_imm(inst.imm).0 == Barrier::Threadgroup
}

/// Barriers of SIMD-groups that order nothing: from the barrier before to the one after, in straight code, no memory is written.
pub(super) fn idle_barriers(function: &Function) -> HashSet<Value> {
    let mut idle = HashSet::new();
    find_idle(function, &function.body, &mut idle);
    idle
}

fn find_idle(function: &Function, block: &[Stmt], idle: &mut HashSet<Value>) {
    let is_quiet = |value: Value| {
        let op = function.inst(value).op;
        has_no_effect(function, &Stmt::Do(value))
            || matches!(op, Op::MatrixLoad | Op::MatrixMultiplyAdd)
            || is_across(op)
    };
    // Whether nothing was written since a barrier; and a barrier that has nothing to order if nothing is written up to the next one.
    let (mut quiet, mut candidate) = (false, None);
    for stmt in block {
        match *stmt {
            Stmt::Do(value) if function.inst(value).op == Op::Barrier => {
                idle.extend(candidate.take());
                let may_be = quiet && !is_of_group(function.inst(value));
                (quiet, candidate) = (true, may_be.then_some(value));
            }
            Stmt::Do(value) if is_quiet(value) => {}
            _ => (quiet, candidate) = (false, None),
        }
        stmt.blocks().into_iter().for_each(|inner| find_idle(function, inner, idle));
    }
}

impl Emit<'_> {
    /// How many barriers of the threadgroup the kernel has.
    pub(super) fn barriers(&self) -> u32 {
        let all = instructions(&self.function.body);
        all.filter(|&value| is_of_group(self.function.inst(value))).count() as u32
    }

    /// Waits for the other threads.
    pub(super) fn barrier(&mut self, inst: &Inst) {
        let mask = self.mask();
        ptx!(self.text, "bar.warp.sync {mask};");
        if !is_of_group(inst) {
            return;
        }
        if !self.options.strict {
            if self.flow.may_differ() {
                self.must_reach_barrier(inst.span);
            } else {
                ptx!(self.text, "barrier.sync 0;");
            }
            return;
        }
        let Some(first) = self.flow.first() else {
            internal_error("PTX: a barrier without a mask of active lanes".to_owned())
        };
        // The lanes of this SIMD-group that are elsewhere do not come.
        let (missing, value) = (self.text.reg(Kind::Word), self.text.reg(Kind::Long));
        let (lane, wrong) = (self.text.reg(Kind::Word), self.text.reg(Kind::Predicate));
        let index = self.thread_position().index;
        let exit = self.exit(inst.span, SiteKind::Barrier, value);
        ptx!(self.text, "xor.b32 {missing}, {first}, {mask};");
        ptx!(self.text, "setp.ne.u32 {wrong}, {missing}, 0;");
        ptx!(self.text, "brev.b32 {missing}, {missing};");
        ptx!(self.text, "clz.b32 {missing}, {missing};");
        ptx!(self.text, "and.b32 {lane}, {index}, -32;");
        ptx!(self.text, "add.u32 {lane}, {lane}, {missing};");
        ptx!(self.text, "cvt.u64.u32 {value}, {lane};");
        ptx!(self.text, "@{wrong} bra {exit};");
        self.barriers.push(inst.span);
        self.arrive(Some((self.barriers.len() as u32, inst.span)));
    }

    /// A register with the number of threads for which something holds, which is known here.
    fn threads_where(&mut self, holds: bool) -> Reg {
        let holds = self.bits(Kind::Predicate, holds.into());
        let count = self.text.reg(Kind::Word);
        ptx!(self.text, "barrier.red.popc.u32 {count}, 0, {holds};");
        count
    }

    /// Waits for the other threads that have not ended, and checks that they are at the same barrier.
    fn must_reach_barrier(&mut self, span: Span) {
        self.barriers.push(span);
        let number = self.barriers.len() as u32;
        let waiting = self.threads_where(true);
        let counts = self.counts(number);
        let wrong = self.differ(number, waiting, &counts);
        let value = self.text.reg(Kind::Long);
        let index = self.thread_position().index;
        ptx!(self.text, "cvt.u64.u32 {value}, {index};");
        let exit = self.exit(span, SiteKind::Barrier, value);
        ptx!(self.text, "@{wrong} bra {exit};");
    }

    /// Whether some of `here` threads are not at the barrier of a number.
    fn differ(&mut self, number: u32, here: Reg, counts: &[Reg]) -> Reg {
        let (wrong, one) = (self.text.reg(Kind::Predicate), self.text.reg(Kind::Predicate));
        let never = self.bits(Kind::Predicate, 0);
        ptx!(self.text, "mov.pred {wrong}, {never};");
        for (bit, count) in counts.iter().enumerate() {
            let want = if number >> bit & 1 != 0 { here.to_string() } else { "0".to_owned() };
            ptx!(self.text, "setp.ne.u32 {one}, {count}, {want};");
            ptx!(self.text, "or.pred {wrong}, {wrong}, {one};");
        }
        wrong
    }

    /// For each bit of the numbers of barriers, how many threads are at those that have it.
    fn counts(&mut self, number: u32) -> Vec<Reg> {
        let bits = u32::BITS - self.barriers().leading_zeros();
        (0..bits).map(|bit| self.threads_where(number >> bit & 1 != 0)).collect()
    }

    /// Waits for the other threads, at the barrier of a number or at the end of the kernel, and checks that all are there.
    pub(super) fn arrive(&mut self, barrier: Option<(u32, Span)>) {
        let number = barrier.map_or(0, |(number, _)| number);
        let place = self.thread_position();
        let (waiting, ended) = (self.threads_where(number != 0), self.threads_where(number == 0));
        let counts = self.counts(number);
        let (wrong, one) = (self.text.reg(Kind::Predicate), self.text.reg(Kind::Predicate));
        let here = if number == 0 { ended } else { waiting };
        ptx!(self.text, "setp.ne.u32 {wrong}, {here}, {};", place.threads());
        let elsewhere = self.differ(number, here, &counts);
        ptx!(self.text, "or.pred {wrong}, {wrong}, {elsewhere};");
        let done = self.text.label();
        ptx!(self.text, "@!{wrong} bra {done};");
        // If some threads are nowhere, they had a fault, which is reported. If some have ended, those report this.
        let all = self.text.reg(Kind::Word);
        ptx!(self.text, "add.u32 {all}, {waiting}, {ended};");
        ptx!(self.text, "setp.ne.u32 {one}, {all}, {};", place.threads());
        ptx!(self.text, "@{one} exit;");
        let value = self.text.reg(Kind::Long);
        ptx!(self.text, "cvt.u64.u32 {value}, {};", place.index);
        match barrier {
            Some((_, span)) => {
                ptx!(self.text, "setp.ne.u32 {one}, {ended}, 0;");
                ptx!(self.text, "@{one} exit;");
                let exit = self.exit(span, SiteKind::Barrier, value);
                ptx!(self.text, "bra {exit};");
            }
            None => {
                // Where the others wait at different barriers, the bits of their numbers are those of none.
                let differ = self.text.reg(Kind::Predicate);
                let barriers = self.text.reg(Kind::Long);
                let (index, never) = (value, self.bits(Kind::Predicate, 0));
                ptx!(self.text, "mov.pred {differ}, {never};");
                ptx!(self.text, "mov.b64 {barriers}, 0;");
                for (bit, count) in counts.iter().enumerate() {
                    let part = self.text.reg(Kind::Long);
                    let some = self.text.reg(Kind::Predicate);
                    ptx!(self.text, "setp.ne.u32 {one}, {count}, 0;");
                    ptx!(self.text, "setp.ne.and.u32 {some}, {count}, {waiting}, {one};");
                    ptx!(self.text, "or.pred {differ}, {differ}, {some};");
                    ptx!(self.text, "selp.b64 {part}, {}, 0, {one};", 1u64 << (32 + bit));
                    ptx!(self.text, "or.b64 {barriers}, {barriers}, {part};");
                }
                ptx!(self.text, "@{differ} mov.b64 {barriers}, 0;");
                let value = self.text.reg(Kind::Long);
                ptx!(self.text, "or.b64 {value}, {index}, {barriers};");
                let exit = self.exit(Span::default(), SiteKind::Ended, value);
                ptx!(self.text, "bra {exit};");
            }
        }
        self.text.place(done);
    }
}

/// The position of a thread by its number in the threadgroup, which is that of another thread of it.
pub(crate) fn position(other: [u32; 3], number: u32, grid: [u32; 3], group: [u32; 3]) -> [u32; 3] {
    if group.contains(&0) {
        internal_error("PTX: a threadgroup of no threads".to_owned())
    }
    let start: [u32; 3] = std::array::from_fn(|d| other[d] / group[d] * group[d]);
    let size: [u32; 3] =
        std::array::from_fn(|d| group[d].min(grid[d].saturating_sub(start[d])).max(1));
    let place = [number % size[0], number / size[0] % size[1], number / size[0] / size[1]];
    std::array::from_fn(|d| start[d] + place[d])
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn threads_are_numbered_in_their_threadgroup() {
        let (grid, group) = ([10, 5, 1], [4, 4, 1]);
        assert_eq!(position([5, 1, 0], 0, grid, group), [4, 0, 0]);
        assert_eq!(position([5, 1, 0], 6, grid, group), [6, 1, 0]);
        // The last threadgroup of a row is two threads wide.
        assert_eq!(position([9, 3, 0], 3, grid, group), [9, 1, 0]);
    }
}
