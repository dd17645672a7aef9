//! Atomic operations on memory.

use super::super::text::{Kind, Reg, ptx};
use super::{Emit, SiteKind};
use crate::soft::ir::{Inst, Op, Scalar, internal_error};

impl Emit<'_> {
    /// An atomic operation: the value before.
    pub(super) fn atomic(&mut self, inst: &Inst) -> Vec<Reg> {
        let pointer = inst.args[0];
        let scalar = match inst.op {
            Op::AtomicStore => self.scalar_type(inst.args[1]),
            _ => inst.ty.scalar().unwrap_or(Scalar::U32),
        };
        let kind = Kind::of(scalar);
        let (bytes, write) = (scalar.bytes(), inst.op != Op::AtomicLoad);
        let target = self.access(pointer, bytes, write, inst.span);
        if target.alignment < bytes {
            let (low, wrong) = (self.text.reg(Kind::Long), self.text.reg(Kind::Predicate));
            let misaligned = SiteKind::Misaligned { root: target.root, bytes, write };
            let exit = self.exit(inst.span, misaligned, target.value);
            ptx!(self.text, "and.b64 {low}, {}, {};", target.address, bytes - 1);
            ptx!(self.text, "setp.ne.u64 {wrong}, {low}, 0;");
            ptx!(self.text, "@{wrong} bra {exit};");
        }
        let (window, address, bits) = (target.window, target.address, kind.name());
        let args: Vec<Reg> = inst.args[1..].iter().map(|&arg| self.scalar(arg)).collect();
        let old = self.text.reg(kind);
        let int = match (kind, scalar.is_signed()) {
            (Kind::Long, true) => "s64",
            (Kind::Long, false) => "u64",
            (_, true) => "s32",
            _ => "u32",
        };
        let simple = match inst.op {
            Op::AtomicLoad => {
                ptx!(self.text, "ld.relaxed.gpu.{window}.{bits} {old}, [{address}];");
                return vec![old];
            }
            Op::AtomicStore => {
                ptx!(self.text, "st.relaxed.gpu.{window}.{bits} [{address}], {};", args[0]);
                return Vec::new();
            }
            Op::AtomicCompareExchange => {
                let (expected, new) = (args[0], args[1]);
                ptx!(
                    self.text,
                    "atom.relaxed.gpu.{window}.cas.{bits} {old}, [{address}], {expected}, {new};"
                );
                return vec![old];
            }
            Op::AtomicExchange => format!("exch.{bits}"),
            // Hardware has no addition of floats that preserves subnormal numbers.
            _ if scalar == Scalar::F32 => return vec![self.update(inst, window, address, args[0])],
            Op::AtomicAdd => format!("add.{}", int.replace("s64", "u64")),
            Op::AtomicSub => {
                let negative = self.text.reg(kind);
                ptx!(self.text, "neg.{} {negative}, {};", int.replace('u', "s"), args[0]);
                let int = int.replace("s64", "u64");
                ptx!(
                    self.text,
                    "atom.relaxed.gpu.{window}.add.{int} {old}, [{address}], {negative};"
                );
                return vec![old];
            }
            Op::AtomicMin => format!("min.{int}"),
            Op::AtomicMax => format!("max.{int}"),
            Op::AtomicAnd => format!("and.{bits}"),
            Op::AtomicOr => format!("or.{bits}"),
            Op::AtomicXor => format!("xor.{bits}"),
            op => internal_error(format!("PTX: {op:?} is not atomic")),
        };
        ptx!(self.text, "atom.relaxed.gpu.{window}.{simple} {old}, [{address}], {};", args[0]);
        vec![old]
    }

    /// An operation on floats, repeated until no other thread came between.
    fn update(&mut self, inst: &Inst, window: &str, address: Reg, arg: Reg) -> Reg {
        let op = match inst.op {
            Op::AtomicAdd => Op::Add,
            Op::AtomicSub => Op::Sub,
            Op::AtomicMin => Op::Min,
            Op::AtomicMax => Op::Max,
            op => internal_error(format!("PTX: {op:?} of f32")),
        };
        let (old, seen, again) =
            (self.text.reg(Kind::Word), self.text.reg(Kind::Word), self.text.label());
        let changed = self.text.reg(Kind::Predicate);
        ptx!(self.text, "ld.relaxed.gpu.{window}.b32 {old}, [{address}];");
        self.text.place(again);
        let new = self.pure(op, Scalar::F32, &[old, arg]);
        ptx!(self.text, "atom.relaxed.gpu.{window}.cas.b32 {seen}, [{address}], {old}, {new};");
        ptx!(self.text, "setp.ne.u32 {changed}, {seen}, {old};");
        ptx!(self.text, "mov.b32 {old}, {seen};");
        ptx!(self.text, "@{changed} bra {again};");
        old
    }
}
