//! Atomics on words of 32 and 64 bits: lane after lane, in the interpreter's order.

use super::{LANES, MAX_LANES, Selection};
use crate::soft::cpu::interp::atomic;
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::region::Layout;
use crate::soft::cpu::native::shape::Sum;
use crate::soft::ir::{Function, Inst, Op, Rule, Scalar, Value};

/// Whether there is code for an atomic at an address that was split into `sum`.
pub(crate) fn has_code(function: &Function, inst: &Inst, sum: &Sum) -> bool {
    let word = inst.args.get(1).map_or(inst.ty, |&value| function.ty(value)).bytes();
    // Varying parts of the offset are multiples of a word.
    sum.lanes.iter().all(|&(_, scale)| scale % i64::from(word) == 0)
}

fn code_of(op: Op, scalar: Scalar) -> AtomicOp {
    use AtomicOp as A;
    let float = scalar == Scalar::F32;
    match op {
        Op::AtomicLoad => A::Load,
        Op::AtomicCompareExchange => A::CompareExchange,
        Op::AtomicAdd if float => A::Change(Lane2::AddFloat),
        Op::AtomicAdd => A::Add,
        Op::AtomicSub if float => A::Change(Lane2::SubFloat),
        Op::AtomicSub => A::Change(Lane2::Sub),
        Op::AtomicMin if float => A::Change(Lane2::MinFloat),
        Op::AtomicMax if float => A::Change(Lane2::MaxFloat),
        Op::AtomicMin if scalar.is_signed() => A::Change(Lane2::MinSigned),
        Op::AtomicMax if scalar.is_signed() => A::Change(Lane2::MaxSigned),
        Op::AtomicMin => A::Change(Lane2::MinUnsigned),
        Op::AtomicMax => A::Change(Lane2::MaxUnsigned),
        Op::AtomicAnd => A::Change(Lane2::And),
        Op::AtomicOr => A::Change(Lane2::Or),
        Op::AtomicXor => A::Change(Lane2::Xor),
        // Exchange, and store, which is an exchange whose result is unused.
        _ => A::Exchange,
    }
}

impl Selection<'_> {
    /// Requests the forms in which the operands are needed.
    pub(super) fn demand_atomic(&mut self, inst: &Inst) {
        let Some((start, sum)) = self.address(inst.args[0]) else { return };
        self.need_address(start, &sum);
        let lanes = sum.lanes.iter().map(|&(term, _)| term);
        lanes.chain(inst.args[1..].iter().copied()).for_each(|value| self.need(value, LANES));
    }

    pub(super) fn atomic(&mut self, value: Value, inst: &Inst) {
        let Some((start, sum)) = self.address(inst.args[0]) else { return };
        let scalar = inst.args.get(1).map_or_else(|| self.scalar(value), |&arg| self.scalar(arg));
        let op = code_of(inst.op, scalar);
        let returns = inst.op.row().rule != Rule::AtomicStore && self.want[value.index()] != 0;
        let write = op != AtomicOp::Load;
        let offset = self.offset(&sum);
        let moved = !sum.same.is_empty() || start.pointer().is_some();
        let bytes = scalar.bytes();
        let wide = bytes == 8;
        let target = self.target(start, offset, bytes.into(), write, MAX_LANES);
        let operands: Vec<Vec<Reg>> =
            inst.args[1..].iter().map(|&arg| self.in_lanes(arg)).collect();
        let terms = sum.lanes.iter().map(|&(index, scale)| Term {
            index: self.lane_index(index),
            signed: self.scalar(index).is_signed(),
            scale,
        });
        let terms: Vec<Term> = terms.collect();
        // The low half of a 64-bit word comes first.
        let parts = self.parts();
        let results: Vec<Reg> =
            (0..if wide { 2 * parts } else { parts }).map(|_| self.lane()).collect();
        let operand = |regs: &Vec<Reg>| match wide {
            true => Operand::Wide { low: regs[..parts].to_vec(), high: regs[parts..].to_vec() },
            false => Operand::Lanes(regs.clone()),
        };
        let access = Access {
            write,
            region: target.region,
            scalar,
            offset: target.offset,
            terms: terms.clone(),
            exec: self.exec.clone(),
            data: vec![operand(&results)],
            joined: false,
        };
        let run = atomic::handler(inst.op, scalar);
        let given = operands.iter().map(operand).collect();
        let what = SiteKind::Atomic { access, run, operands: given };
        let site = self.site(self.run.access_site(value), what);

        let (sum_at, one) = (self.plus(target.base, target.offset), self.constant(1));
        let (low, imm) = (self.int(), bytes.cast_signed() - 1);
        self.emit(Ins::IntImm { op: IntOp::And, wide: false, d: low, a: sum_at, imm });
        self.emit(Ins::CheckBelow { a: low, limit: one, site });
        let offsets = if terms.is_empty() {
            self.emit(Ins::CheckBelow { a: target.offset, limit: target.limit, site });
            let d = self.lane();
            self.emit(Ins::Spread { d, s: target.offset });
            vec![d; parts]
        } else {
            self.lane_offsets(&terms, target.offset, target.limit, site, moved, sum.constant)
        };
        // Memory that no other thread accesses needs no lock.
        let (alone, (table, disp)) = (self.int(), target.row);
        let mem = MemRef { base: MemBase::Reg(table), index: None, disp: disp + Layout::ALONE };
        self.emit(Ins::LoadInt { from: Scalar::Bool, d: alone, mem });
        let (locked, end) = (self.label(), self.label());
        self.emit(Ins::JumpIf { zero: true, s: alone, to: locked });
        for lock in [false, true] {
            if lock {
                self.emit(Ins::Jump(end));
                self.emit(Ins::Label(locked));
            }
            for part in 0..parts {
                let (base, offsets, mask) = (target.base, offsets[part], self.exec[part]);
                if wide {
                    let own = self.wide_rows();
                    let row = |number: u32| MemRef {
                        base: MemBase::Own,
                        index: None,
                        disp: (own + number * WIDE_ROW) as i32,
                    };
                    for (number, regs) in (0..).zip(&operands) {
                        let (low, high) = (regs[part], regs[parts + part]);
                        self.emit(Ins::StorePairs { mem: row(number), low, high, mask: None });
                    }
                    self.emit(Ins::AtomicWide { op, lock, returns, base, offsets, own, mask });
                    if returns {
                        let (low, high) = (results[part], results[parts + part]);
                        self.emit(Ins::LoadPairs { low, high, mem: row(2) });
                    }
                    continue;
                }
                let operand = |at: usize| operands.get(at).map_or(offsets, |regs| regs[part]);
                let (d, a, b) = (results[part], operand(0), operand(1));
                self.emit(Ins::Atomic { op, lock, returns, d, base, offsets, a, b, mask });
            }
        }
        self.emit(Ins::Label(end));
        self.emit(Ins::SiteEnd { site });
        if returns {
            self.give_lanes(value, results);
        }
    }

    /// Room for the operands of 64-bit atomics: its offset in the code's own memory.
    fn wide_rows(&mut self) -> u32 {
        *self.wide_rows.get_or_insert_with(|| {
            let own = self.code.own_bytes.next_multiple_of(64);
            self.code.own_bytes = own + 4 * WIDE_ROW;
            own
        })
    }
}
