//! Features that GPUs of a family lack: refused when `ARUMINIUM_SOFT_FAMILY` names the family.

use crate::soft::ir::{Function, Inst, Module, Op, Rule, Scalar, Span};

/// The number of the family that an instruction needs, where older GPUs lack it.
///
/// From Metal's feature set tables: quad-scoped permute operations Apple 4, SIMD-scoped ones Apple 6, reductions
/// across lanes, SIMD-group matrices and atomic sums of floats Apple 7, shift and fill and 64-bit atomics Apple 8.
fn needs(function: &Function, inst: &Inst) -> Option<u32> {
    use Op::*;
    let quad = inst.imm == 4;
    let row = inst.op.row();
    Some(match inst.op {
        SimdSum | SimdProduct | SimdMin | SimdMax | SimdAnd | SimdOr | SimdXor => 7,
        SimdInclusiveSum | SimdExclusiveSum | SimdInclusiveProduct | SimdExclusiveProduct => 7,
        SimdFillUp | SimdFillDown => 8,
        SimdBroadcast | SimdBroadcastFirst | SimdShuffle | SimdShuffleXor | SimdShuffleUp
        | SimdShuffleDown | SimdRotateUp | SimdRotateDown | SimdBallot | SimdAll | SimdAny
        | SimdIsFirst => {
            if quad {
                4
            } else {
                6
            }
        }
        MatrixLoad | MatrixStore | MatrixMultiplyAdd => 7,
        _ if matches!(
            row.rule,
            Rule::Atomic | Rule::AtomicStore | Rule::AtomicCompare | Rule::AtomicLoad
        ) =>
        {
            let operand = inst.args.get(1).map_or(inst.ty, |&value| function.inst(value).ty);
            match operand.scalar() {
                Some(scalar) if scalar.bytes() == 8 => 8,
                Some(Scalar::F32) if matches!(inst.op, AtomicAdd | AtomicSub) => 7,
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// The first instruction of a kernel that a family lacks: its name, where it is, and the family that has it.
pub(super) fn lacking(module: &Module, family: u32) -> Option<(&'static str, Span, u32)> {
    module.functions.iter().find_map(|function| {
        let insts = function.insts.iter();
        insts.filter_map(|inst| Some((inst, needs(function, inst)?))).find_map(|(inst, needed)| {
            (needed > family).then_some((inst.op.row().name, inst.span, needed))
        })
    })
}
