//! Tests of arithmetic: checked kernels report what the language leaves undefined (`specs/sanitizer.md`).
//!
//! It runs before all passes, on vectors too: an operation is reported if any component is undefined.

use super::rewrite::Constants;
use crate::soft::ir::{
    Args, Block, Checks, Finding, Function, Inst, Op, Probe, Scalar, Span, Stmt, Type, Value,
};

/// Adds the tests to a function, if the checks include them.
pub(crate) fn run(function: &mut Function, checks: Checks) {
    if !checks.has(Checks::UNDEFINED) {
        return;
    }
    let body = std::mem::take(&mut function.body);
    let constants = Constants::default();
    let mut pass = Add { function, constants, span: Span::default() };
    let body = pass.block(body);
    function.body = body;
}

struct Add<'a> {
    function: &'a mut Function,
    constants: Constants,
    /// The position of the instruction that is tested.
    span: Span,
}

impl Add<'_> {
    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(block.len());
        for stmt in block {
            if let Stmt::Do(value) = stmt {
                self.test(value, &mut out);
            }
            out.push(stmt.map_blocks(|inner| self.block(inner)));
        }
        out
    }

    /// Adds the tests of one instruction, which follows them.
    fn test(&mut self, value: Value, out: &mut Block) {
        let inst = *self.function.inst(value);
        self.span = inst.span;
        let Some(to) = inst.ty.scalar() else { return };
        match inst.op {
            Op::Shl | Op::Shr => {
                let count = inst.args[1];
                let Some(scalar) = self.function.ty(count).scalar() else { return };
                // A narrow type is promoted to `int` before the shift. A negative count is a large one without its sign.
                let bits = u64::from(to.bytes().max(4) * 8);
                let (count, unsigned) = self.unsigned(count, scalar, out);
                let limit = self.same(unsigned, bits, count, out);
                let wrong = self.compare(Op::Le, limit, count, out);
                self.report(wrong, Finding::Shift, out);
            }
            Op::Div | Op::Rem if to.is_int() => {
                let zero = self.same(to, 0, inst.args[1], out);
                let wrong = self.compare(Op::Eq, inst.args[1], zero, out);
                self.report(wrong, Finding::DivideByZero, out);
                if matches!(to, Scalar::I32 | Scalar::I64) {
                    let lowest = if to == Scalar::I32 { 1 << 31 } else { 1 << 63 };
                    let lowest = self.same(to, lowest, inst.args[0], out);
                    let is_lowest = self.compare(Op::Eq, inst.args[0], lowest, out);
                    let minus = if to == Scalar::I32 { u64::from(u32::MAX) } else { u64::MAX };
                    let minus = self.same(to, minus, inst.args[1], out);
                    let is_minus = self.compare(Op::Eq, inst.args[1], minus, out);
                    let ty = self.function.ty(is_minus);
                    let wrong = self.put(Op::And, ty, &[is_lowest, is_minus], out);
                    self.report(wrong, Finding::DivideOverflow, out);
                }
            }
            Op::Convert if to.is_int() => {
                let from = self.function.ty(inst.args[0]).scalar();
                if from.is_some_and(Scalar::is_float) {
                    self.float_to_int(inst.args[0], to, out);
                }
            }
            Op::Add | Op::Sub | Op::Mul if to == Scalar::I32 => {
                let wide = inst.ty.with_scalar(Scalar::I64);
                let [a, b] = [inst.args[0], inst.args[1]]
                    .map(|arg| self.put(Op::Convert, wide, &[arg], out));
                let exact = self.put(inst.op, wide, &[a, b], out);
                let narrow = self.put(Op::Convert, inst.ty, &[exact], out);
                let again = self.put(Op::Convert, wide, &[narrow], out);
                let wrong = self.compare(Op::Ne, exact, again, out);
                self.report(wrong, Finding::SignedOverflow, out);
            }
            Op::Add | Op::Sub | Op::Mul if to == Scalar::I64 => self.long(&inst, out),
            Op::Neg if matches!(to, Scalar::I32 | Scalar::I64) => {
                let lowest = if to == Scalar::I32 { 1 << 31 } else { 1 << 63 };
                let lowest = self.same(to, lowest, inst.args[0], out);
                let wrong = self.compare(Op::Eq, inst.args[0], lowest, out);
                self.report(wrong, Finding::SignedOverflow, out);
            }
            _ => {}
        }
    }

    /// A sum of `long`s is out of range if its sign is not that of the operands, which is the same; a difference if the operands'
    /// signs differ and its own is not the first one's; a product if its high half is not the sign of its low half.
    fn long(&mut self, inst: &Inst, out: &mut Block) {
        let (ty, [a, b]) = (inst.ty, [inst.args[0], inst.args[1]]);
        let low = self.put(inst.op, ty, &[a, b], out);
        let wrong = if inst.op == Op::Mul {
            let high = self.put(Op::MulHigh, ty, &[a, b], out);
            let count = self.same(Scalar::I64, 63, low, out);
            let sign = self.put(Op::Shr, ty, &[low, count], out);
            self.compare(Op::Ne, high, sign, out)
        } else {
            let other = if inst.op == Op::Add { low } else { b };
            let changed = self.put(Op::Xor, ty, &[a, low], out);
            let with = if inst.op == Op::Add { b } else { a };
            let differs = self.put(Op::Xor, ty, &[with, other], out);
            let both = self.put(Op::And, ty, &[changed, differs], out);
            let zero = self.same(Scalar::I64, 0, low, out);
            self.compare(Op::Lt, both, zero, out)
        };
        self.report(wrong, Finding::SignedOverflow, out);
    }

    /// Truncated, the value has to be in the range of the type: MSL 8.6 saturates, C++ leaves it undefined.
    fn float_to_int(&mut self, value: Value, to: Scalar, out: &mut Block) {
        let ty = self.function.ty(value).with_scalar(Scalar::F32);
        let value = match self.function.ty(value) == ty {
            true => value,
            false => self.put(Op::Convert, ty, &[value], out),
        };
        let bits = to.bytes() * 8;
        // Both limits are exact: powers of two, or -1 for unsigned types.
        let (low, high) = match to.is_signed() {
            true => (-(2f32.powi(bits as i32 - 1)), 2f32.powi(bits as i32 - 1)),
            false => (-1.0, 2f32.powi(bits as i32)),
        };
        let high = self.same(Scalar::F32, high.to_bits().into(), value, out);
        let below = self.compare(Op::Lt, value, high, out);
        let above = if to.is_signed() && bits >= 32 {
            let low = self.same(Scalar::F32, low.to_bits().into(), value, out);
            self.compare(Op::Le, low, value, out)
        } else {
            // One less than the lowest number is exact too, and out of range.
            let low = if to.is_signed() { low - 1.0 } else { low };
            let low = self.same(Scalar::F32, low.to_bits().into(), value, out);
            self.compare(Op::Lt, low, value, out)
        };
        let ty = self.function.ty(below);
        let inside = self.put(Op::And, ty, &[below, above], out);
        let outside = self.put(Op::Not, ty, &[inside], out);
        self.report(outside, Finding::FloatToInt, out);
    }

    /// An integer without its sign.
    fn unsigned(&mut self, value: Value, scalar: Scalar, out: &mut Block) -> (Value, Scalar) {
        let (middle, to) = match scalar.bytes() {
            8 => (scalar, Scalar::U64),
            _ => (Scalar::I32, Scalar::U32),
        };
        let ty = self.function.ty(value);
        let mut value = value;
        for (from, scalar) in [(scalar, middle), (middle, to)] {
            if from != scalar && (from.is_signed() || scalar == to) {
                value = self.put(Op::Convert, ty.with_scalar(scalar), &[value], out);
            }
        }
        (value, to)
    }

    /// A constant of the shape of a value.
    fn same(&mut self, scalar: Scalar, bits: u64, like: Value, out: &mut Block) -> Value {
        let constant = self.constants.get(self.function, scalar, bits);
        match self.function.ty(like).width() {
            1 => constant,
            width => self.put(Op::Splat, Type::of(scalar, width), &[constant], out),
        }
    }

    fn compare(&mut self, op: Op, a: Value, b: Value, out: &mut Block) -> Value {
        let ty = self.function.ty(a).with_scalar(Scalar::Bool);
        self.put(op, ty, &[a, b], out)
    }

    /// Reports a finding in the threads where a condition holds, for any component.
    fn report(&mut self, wrong: Value, finding: Finding, out: &mut Block) {
        let wrong = match self.function.ty(wrong) {
            Type::BOOL => wrong,
            _ => self.put(Op::Any, Type::BOOL, &[wrong], out),
        };
        let mut then = Block::new();
        let imm = Probe::Found(finding).imm();
        let inst = Inst { op: Op::Probe, ty: Type::Void, args: Args::NONE, imm, span: self.span };
        self.function.put(inst, &mut then);
        out.push(Stmt::If(wrong, then, Block::new()));
    }

    fn put(&mut self, op: Op, ty: Type, args: &[Value], out: &mut Block) -> Value {
        let inst = Inst { op, ty, args: Args::new(args), imm: 0, span: self.span };
        self.function.put(inst, out)
    }
}
