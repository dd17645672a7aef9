//! The types of operands and results, by the rules of the table of operations.

use super::op::{Class, Imm, Op, Rule};
use super::types::{Scalar, Space, Type};

/// The part of an instruction that does not fit its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The number of operands.
    Count,
    /// The type of an operand.
    Operand,
    /// The type of the result.
    Result,
    /// The immediate.
    Imm,
}

/// The type of the operation's result for these operands. `stated` is used where the operands do not
/// decide it ([`Rule::Given`], conversions, loads, …), and its width for `Splat` and `Swizzle`.
pub(crate) fn result(op: Op, stated: Type, operands: &[Type], imm: u64) -> Result<Type, Misfit> {
    let row = op.row();
    let count = |n: usize| if operands.len() == n { Ok(()) } else { Err(Misfit::Count) };
    let class = |class: Class, ty: Type| match ty.scalar() {
        Some(scalar) if class.has(scalar) => Ok(()),
        _ => Err(Misfit::Operand),
    };
    let same = |a: Type, b: Type| if a == b { Ok(()) } else { Err(Misfit::Operand) };
    let pointer = |ty: Type| ty.space().map(|_| ()).ok_or(Misfit::Operand);
    // Memory that other threads can access.
    let shared = |ty: Type| match ty.space() {
        Some(Space::Device | Space::Threadgroup) => Ok(()),
        _ => Err(Misfit::Operand),
    };
    let int = |ty: Type| match ty {
        Type::Scalar(scalar) if scalar.is_int() => Ok(()),
        _ => Err(Misfit::Operand),
    };
    let vector = |ty: Type| match ty {
        Type::Vector(scalar, width) => Ok((scalar, u32::from(width))),
        _ => Err(Misfit::Operand),
    };
    let data = |ty: Type| if ty == Type::Void { Err(Misfit::Operand) } else { Ok(()) };
    match row.rule {
        Rule::Given | Rule::Barrier => {
            count(0)?;
            let fits = match op {
                Op::Const => matches!(stated, Type::Scalar(_)),
                Op::Input => stated == Type::U32,
                Op::Allocation | Op::Local => stated.space().is_some(),
                Op::Texture | Op::Sampler => stated == Type::U64,
                Op::SimdIsFirst => stated == Type::BOOL,
                Op::Barrier => stated == Type::Void,
                _ => stated != Type::Void,
            };
            if fits { Ok(stated) } else { Err(Misfit::Result) }
        }
        Rule::Probe if operands.is_empty() => Ok(Type::Void),
        Rule::Probe => {
            count(2)?;
            // Reads of constant memory are counted.
            if operands[0].space() != Some(Space::Constant) {
                shared(operands[0])?;
            }
            same(operands[1], Type::U64)?;
            Ok(Type::Void)
        }
        Rule::Unwritten => {
            count(1)?;
            shared(operands[0])?;
            Ok(Type::U32)
        }
        Rule::Exactly(types, result) => {
            count(types.len())?;
            types.iter().zip(operands).try_for_each(|(&want, &have)| same(want, have))?;
            // A gather picks one of four components.
            if row.imm == Imm::Component && imm > 3 { Err(Misfit::Imm) } else { Ok(result) }
        }
        Rule::Same(n, of) => {
            count(n as usize)?;
            class(of, operands[0])?;
            operands.iter().try_for_each(|&ty| same(ty, operands[0]))?;
            Ok(operands[0])
        }
        Rule::Compare(of) => {
            count(2)?;
            class(of, operands[0])?;
            same(operands[0], operands[1])?;
            Ok(operands[0].with_scalar(Scalar::Bool))
        }
        Rule::Test(of) => {
            count(1)?;
            class(of, operands[0])?;
            Ok(operands[0].with_scalar(Scalar::Bool))
        }
        Rule::To(of, scalar) => {
            count(1)?;
            class(of, operands[0])?;
            Ok(operands[0].with_scalar(scalar))
        }
        Rule::Select => {
            count(3)?;
            data(operands[1])?;
            same(operands[1], operands[2])?;
            let by_component = operands[1].with_scalar(Scalar::Bool);
            if operands[0] == Type::BOOL || operands[0] == by_component {
                Ok(operands[1])
            } else {
                Err(Misfit::Operand)
            }
        }
        Rule::Scale => {
            count(2)?;
            class(Class::Float, operands[0])?;
            same(operands[1], operands[0].with_scalar(Scalar::I32))?;
            Ok(operands[0])
        }
        Rule::Convert => {
            count(1)?;
            class(Class::Any, operands[0])?;
            let fits = stated.scalar().is_some() && stated.width() == operands[0].width();
            if fits { Ok(stated) } else { Err(Misfit::Result) }
        }
        Rule::Bitcast => {
            count(1)?;
            class(Class::Any, operands[0])?;
            let fits = stated.scalar().is_some() && stated.bytes() == operands[0].bytes();
            if fits { Ok(stated) } else { Err(Misfit::Result) }
        }
        Rule::Compose => {
            let Some(&Type::Scalar(scalar)) = operands.first() else { return Err(Misfit::Operand) };
            operands.iter().try_for_each(|&ty| same(ty, operands[0]))?;
            match operands.len() {
                width @ 2..=4 => Ok(Type::of(scalar, width as u32)),
                _ => Err(Misfit::Count),
            }
        }
        Rule::Splat => {
            count(1)?;
            match (operands[0], stated.width()) {
                (Type::Scalar(scalar), width @ 2..=4) => Ok(Type::of(scalar, width)),
                (Type::Scalar(_), _) => Err(Misfit::Result),
                _ => Err(Misfit::Operand),
            }
        }
        Rule::Extract => {
            count(1)?;
            let (scalar, width) = vector(operands[0])?;
            if imm < u64::from(width) { Ok(Type::Scalar(scalar)) } else { Err(Misfit::Imm) }
        }
        Rule::ExtractAt => {
            count(2)?;
            let (scalar, _) = vector(operands[0])?;
            int(operands[1])?;
            Ok(Type::Scalar(scalar))
        }
        Rule::Insert => {
            count(2)?;
            let (scalar, width) = vector(operands[0])?;
            same(operands[1], Type::Scalar(scalar))?;
            if imm < u64::from(width) { Ok(operands[0]) } else { Err(Misfit::Imm) }
        }
        Rule::InsertAt => {
            count(3)?;
            let (scalar, _) = vector(operands[0])?;
            same(operands[1], Type::Scalar(scalar))?;
            int(operands[2])?;
            Ok(operands[0])
        }
        Rule::Swizzle => {
            let (&first, rest) = operands.split_first().ok_or(Misfit::Count)?;
            let (scalar, width) = vector(first)?;
            if rest.len() > 1 {
                return Err(Misfit::Count);
            }
            rest.iter().try_for_each(|&ty| same(ty, first))?;
            if !(2..=4).contains(&stated.width()) {
                return Err(Misfit::Result);
            }
            let picked = |k: u32| (imm >> (4 * k) & 15) as u32;
            let exists = |pick: u32| pick & 3 < width && (pick >> 2) as usize <= rest.len();
            if (0..stated.width()).all(|k| exists(picked(k))) {
                Ok(Type::of(scalar, stated.width()))
            } else {
                Err(Misfit::Imm)
            }
        }
        Rule::Dot => {
            count(2)?;
            same(operands[0], operands[1])?;
            class(Class::Float, operands[0])?;
            vector(operands[0]).map(|(scalar, _)| Type::Scalar(scalar))
        }
        Rule::Reduce => {
            count(1)?;
            same(operands[0], operands[0].with_scalar(Scalar::Bool))?;
            Ok(Type::BOOL)
        }
        Rule::Index => {
            count(2)?;
            pointer(operands[0])?;
            int(operands[1])?;
            Ok(operands[0])
        }
        Rule::Field => {
            count(1)?;
            pointer(operands[0])?;
            Ok(operands[0])
        }
        Rule::PointerToInt => {
            count(1)?;
            pointer(operands[0])?;
            Ok(Type::U64)
        }
        Rule::IntToPointer => {
            count(1)?;
            same(operands[0], Type::U64)?;
            if stated.space().is_some() { Ok(stated) } else { Err(Misfit::Result) }
        }
        Rule::Form => {
            count(1)?;
            match operands[0] {
                Type::U64 | Type::Pointer(Space::Device | Space::Constant) => Ok(operands[0]),
                _ => Err(Misfit::Operand),
            }
        }
        Rule::Load => {
            count(1)?;
            pointer(operands[0])?;
            if stated == Type::Void { Err(Misfit::Result) } else { Ok(stated) }
        }
        Rule::Store => {
            count(2)?;
            pointer(operands[0])?;
            data(operands[1])?;
            Ok(Type::Void)
        }
        Rule::Copy => {
            count(2)?;
            pointer(operands[0])?;
            pointer(operands[1])?;
            Ok(Type::Void)
        }
        Rule::Set => {
            count(1)?;
            data(operands[0])?;
            Ok(Type::Void)
        }
        Rule::Across(of) => {
            count(1)?;
            class(of, operands[0])?;
            Ok(operands[0])
        }
        Rule::Shuffle => {
            count(2)?;
            class(Class::Any, operands[0])?;
            int(operands[1])?;
            Ok(operands[0])
        }
        Rule::ShuffleFill => {
            count(4)?;
            class(Class::Any, operands[0])?;
            same(operands[0], operands[1])?;
            int(operands[2])?;
            int(operands[3])?;
            Ok(operands[0])
        }
        Rule::Vote => {
            count(1)?;
            same(operands[0], Type::BOOL)?;
            let fits = match op {
                Op::SimdBallot => matches!(stated, Type::U32 | Type::U64),
                _ => stated == Type::BOOL,
            };
            if fits { Ok(stated) } else { Err(Misfit::Result) }
        }
        Rule::MatrixLoad => {
            count(3)?;
            matrix_address(operands)?;
            if is_matrix(stated) { Ok(stated) } else { Err(Misfit::Result) }
        }
        Rule::MatrixStore => {
            count(4)?;
            matrix_address(operands)?;
            if is_matrix(operands[3]) { Ok(Type::Void) } else { Err(Misfit::Operand) }
        }
        Rule::MatrixMultiplyAdd => {
            count(3)?;
            let part = Type::of(Scalar::F32, 2);
            operands.iter().try_for_each(|&ty| same(ty, part))?;
            Ok(part)
        }
        Rule::Atomic | Rule::AtomicStore => {
            count(2)?;
            shared(operands[0])?;
            atomic(operands[1])?;
            Ok(if row.rule == Rule::AtomicStore { Type::Void } else { operands[1] })
        }
        Rule::AtomicCompare => {
            count(3)?;
            shared(operands[0])?;
            atomic(operands[1])?;
            same(operands[1], operands[2])?;
            Ok(operands[1])
        }
        Rule::AtomicLoad => {
            count(1)?;
            shared(operands[0])?;
            atomic(stated).map_err(|_| Misfit::Result)?;
            Ok(stated)
        }
    }
}

/// A lane's part of a matrix.
fn is_matrix(ty: Type) -> bool {
    matches!(ty, Type::Vector(scalar, 2) if scalar.is_float())
}

/// Checks a matrix's address in memory that all lanes can access, and the distances of rows and columns in elements.
fn matrix_address(operands: &[Type]) -> Result<(), Misfit> {
    let shared = matches!(operands[0].space(), Some(space) if space != Space::Thread);
    let steps =
        operands[1..3].iter().all(|ty| matches!(ty, Type::Scalar(Scalar::I64 | Scalar::U64)));
    if shared && steps { Ok(()) } else { Err(Misfit::Operand) }
}

/// The types that atomics work on (MSL 2.6): of 32 and 64 bits.
fn atomic(ty: Type) -> Result<(), Misfit> {
    match ty {
        Type::Scalar(Scalar::I32 | Scalar::U32 | Scalar::F32 | Scalar::I64 | Scalar::U64) => Ok(()),
        _ => Err(Misfit::Operand),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swizzles_stay_within_their_operands() {
        let pair = Type::of(Scalar::F32, 2);
        let wide = Type::of(Scalar::F32, 4);
        assert_eq!(result(Op::Swizzle, wide, &[pair], 0x0101), Ok(wide));
        assert_eq!(result(Op::Swizzle, wide, &[pair], 0x0201), Err(Misfit::Imm));
        assert_eq!(result(Op::Swizzle, wide, &[pair], 0x0401), Err(Misfit::Imm));
        assert_eq!(result(Op::Swizzle, wide, &[pair, pair], 0x0405), Ok(wide));
    }
}
