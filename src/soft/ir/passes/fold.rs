//! Folding: operations on constants, operations that change nothing, and branches on constants.

use super::rewrite::{Change, Constants, Rewrite, rewrite};
use crate::soft::ir::semantics::{convert, eval};
use crate::soft::ir::{Args, Block, Effect, Function, Inst, Op, Scalar, Stmt, Type, Value};

/// Folds in a scalarised function.
pub(crate) fn run(function: &mut Function) {
    let constants = Constants::default();
    rewrite(function, &mut Fold { constants });
}

struct Fold {
    constants: Constants,
}

fn constant(function: &Function, value: Value) -> Option<u64> {
    let inst = function.inst(value);
    (inst.op == Op::Const).then_some(inst.imm)
}

impl Rewrite for Fold {
    fn instruction(&mut self, function: &mut Function, value: Value) -> Change {
        let inst = *function.inst(value);
        if inst.op.row().effect != Effect::Pure {
            return Change::Keep;
        }
        if let Some((scalar, bits)) = computed(function, &inst) {
            return Change::Replace(self.constants.get(function, scalar, bits));
        }
        if let Some(same) = unchanged(function, &inst) {
            return Change::Replace(same);
        }
        if let Some(simpler) = self.simpler(function, &inst) {
            function.insts[value.index()] = simpler;
        }
        Change::Keep
    }

    fn branch(&mut self, function: &Function, stmt: Stmt) -> Result<Block, Stmt> {
        match stmt {
            Stmt::If(condition, then, otherwise) => match constant(function, condition) {
                Some(0) => Ok(otherwise),
                Some(_) => Ok(then),
                None => Err(Stmt::If(condition, then, otherwise)),
            },
            other => Err(other),
        }
    }
}

/// The constant that is the result of an operation on constants.
fn computed(function: &Function, inst: &Inst) -> Option<(Scalar, u64)> {
    let mut bits = [0; Args::MAX];
    for (bits, &arg) in bits.iter_mut().zip(&inst.args[..]) {
        *bits = constant(function, arg)?;
    }
    result(function, inst, &bits[..inst.args.len()])
}

/// The result of an operation on operands with these bits.
pub(crate) fn result(function: &Function, inst: &Inst, bits: &[u64]) -> Option<(Scalar, u64)> {
    let Type::Scalar(to) = inst.ty else { return None };
    let from = function.ty(*inst.args.first()?).scalar()?;
    let result = match inst.op {
        Op::Convert => convert(from, to, bits[0]),
        // Reading bits as another type of registers of the same form.
        Op::Bitcast if from.bytes() == to.bytes() && from.bytes() >= 4 => bits[0],
        _ => eval(inst.op, from, bits)?,
    };
    Some((to, result))
}

/// The operand that an operation returns unchanged.
fn unchanged(function: &Function, inst: &Inst) -> Option<Value> {
    let arg = |k: usize| inst.args.get(k).copied();
    let is =
        |k: usize, bits: u64| arg(k).is_some_and(|value| constant(function, value) == Some(bits));
    let int = inst.ty.scalar().is_some_and(Scalar::is_int);
    let one = u64::from(1f32.to_bits());
    match inst.op {
        Op::Add | Op::Or | Op::Xor | Op::Sub | Op::Shl | Op::Shr if int && is(1, 0) => arg(0),
        Op::Add | Op::Or | Op::Xor if int && is(0, 0) => arg(1),
        Op::Mul | Op::Div if int && is(1, 1) => arg(0),
        Op::Mul if int && is(0, 1) => arg(1),
        // Exact for every number, and for NaN but for its bits.
        Op::Mul | Op::Div if !int && is(1, one) => arg(0),
        Op::Mul if !int && is(0, one) => arg(1),
        Op::And if inst.ty == Type::BOOL && is(1, 1) => arg(0),
        Op::And if inst.ty == Type::BOOL && is(0, 1) => arg(1),
        Op::Or if inst.ty == Type::BOOL && is(1, 0) => arg(0),
        Op::Or if inst.ty == Type::BOOL && is(0, 0) => arg(1),
        Op::And | Op::Or | Op::Min | Op::Max if int && arg(0) == arg(1) => arg(0),
        Op::Select if arg(1) == arg(2) => arg(1),
        Op::Select if is(0, 1) => arg(1),
        Op::Select if is(0, 0) => arg(2),
        Op::Convert | Op::Bitcast if function.ty(inst.args[0]) == inst.ty => arg(0),
        Op::Not => {
            let inner = function.inst(arg(0)?);
            (inner.op == Op::Not).then(|| inner.args[0])
        }
        Op::PointerToInt | Op::IntToPointer => {
            let inner = function.inst(arg(0)?);
            let back = matches!(
                (inst.op, inner.op),
                (Op::PointerToInt, Op::IntToPointer) | (Op::IntToPointer, Op::PointerToInt)
            );
            (back && function.ty(inner.args[0]) == inst.ty).then(|| inner.args[0])
        }
        _ => None,
    }
}

/// `!(a < b)` as `b <= a` and the like. With floats only where a NaN makes no difference.
fn opposite(function: &Function, inst: &Inst) -> Option<Inst> {
    let inner = function.inst(inst.args[0]);
    let float = function.ty(*inner.args.first()?).scalar()?.is_float();
    let (op, exchanged) = match inner.op {
        Op::Eq => (Op::Ne, false),
        Op::Ne => (Op::Eq, false),
        Op::Lt if !float => (Op::Le, true),
        Op::Le if !float => (Op::Lt, true),
        _ => return None,
    };
    let mut args = inner.args;
    if exchanged {
        args.swap(0, 1);
    }
    Some(Inst { op, args, ..*inst })
}

impl Fold {
    /// A cheaper instruction with the same value.
    fn simpler(&mut self, function: &mut Function, inst: &Inst) -> Option<Inst> {
        if inst.op == Op::Not {
            return opposite(function, inst);
        }
        let scalar = inst.ty.scalar()?;
        let bits = constant(function, *inst.args.get(1)?)?;
        let power = scalar.is_int() && bits.is_power_of_two();
        let shift = u64::from(bits.trailing_zeros());
        let unsigned = scalar.is_int() && !scalar.is_signed();
        let (op, operand) = match inst.op {
            Op::Mul if power => (Op::Shl, shift),
            Op::Div if power && unsigned => (Op::Shr, shift),
            Op::Rem if power && unsigned => (Op::And, bits - 1),
            // A product with an exact inverse is the quotient.
            Op::Div if scalar == Scalar::F32 => {
                let divisor = f32::from_bits(bits as u32);
                let inverse = 1.0 / divisor;
                let exact = divisor.to_bits() & 0x007f_ffff == 0
                    && inverse.is_normal()
                    && divisor.is_normal();
                if !exact {
                    return None;
                }
                (Op::Mul, u64::from(inverse.to_bits()))
            }
            _ => return None,
        };
        let operand = self.constants.get(function, scalar, operand);
        Some(Inst { op, args: Args::new(&[inst.args[0], operand]), ..*inst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Input};

    #[test]
    fn constants_and_identities_are_folded() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let out = b.local("out", 4);
        let x = b.input(Input::ThreadPositionInGrid, 0);
        let (two, three, zero) = (b.u32(2), b.u32(3), b.u32(0));
        let six = b.mul(two, three);
        let seven = b.u32(7);
        let less = b.lt(six, seven);
        b.begin_if(less);
        let same = b.add(x, zero);
        let eight = b.u32(8);
        let fast = b.op(Op::Div, &[same, eight]);
        b.store(out, fast);
        b.begin_else();
        b.store(out, six);
        b.end_if();
        let mut f = b.finish();
        run(&mut f);
        let text = f.to_string();
        let want = "  %10: u32 = shr thread_position_in_grid.x, 3u32\n  store local0, %10\n}";
        assert!(text.contains(want), "{text}");
    }
}
