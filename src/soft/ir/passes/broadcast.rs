//! Broadcasts: a shuffle whose lanes all read the same lane becomes a broadcast, whose result is uniform.

use crate::soft::ir::facts::uniform;
use crate::soft::ir::{Function, Op};

/// Rewrites the shuffles of a function.
pub(crate) fn run(function: &mut Function) {
    if !function.insts.iter().any(|inst| inst.op == Op::SimdShuffle) {
        return;
    }
    let uniform = uniform::analyse(function);
    for inst in &mut function.insts {
        if inst.op == Op::SimdShuffle && inst.imm == 32 && uniform.values[inst.args[1].index()] {
            inst.op = Op::SimdBroadcast;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Input, Type};

    #[test]
    fn shuffles_from_one_lane_are_broadcasts() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let out = b.local("out", 8);
        let lane = b.input(Input::ThreadIndexInSimdgroup, 0);
        let group = b.input(Input::SimdgroupIndexInThreadgroup, 0);
        for (distance, from) in [(0, lane), (4, group)] {
            let value = b.simd(Op::SimdShuffle, 32, Type::Void, &[lane, from]);
            let to = b.field(out, distance);
            b.store(to, value);
        }
        let mut f = b.finish();
        run(&mut f);
        let text = f.to_string();
        assert_eq!(text.matches("simd_shuffle").count(), 1, "{text}");
        assert_eq!(text.matches("simd_broadcast").count(), 1, "{text}");
    }
}
