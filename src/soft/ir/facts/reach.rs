//! What a kernel's code still touches when the passes are done with it.

use crate::soft::ir::walk::statements;
use crate::soft::ir::{Function, Op, Stmt};

/// Which of a module's arguments the code reaches, after the passes have left out what it does not need.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    /// For each allocation.
    pub(crate) allocations: Vec<bool>,
    /// For each texture.
    pub(crate) textures: Vec<bool>,
    /// For each sampler.
    pub(crate) samplers: Vec<bool>,
}

/// What a function reaches of its module's allocations, textures and samplers, of which there are `counts`.
pub(crate) fn reached(function: &Function, counts: [usize; 3]) -> Reached {
    let (mut needed, mut seen) = (Vec::new(), vec![false; function.insts.len()]);
    let [mut allocations, mut textures, mut samplers] = counts.map(|count| vec![false; count]);
    for statement in statements(&function.body) {
        match statement {
            Stmt::Do(value) | Stmt::If(value, ..) => needed.push(*value),
            Stmt::Call { args, .. } => needed.extend(args),
            Stmt::Return(value) => needed.extend(value),
            Stmt::Loop { .. } | Stmt::Break | Stmt::Continue => {}
        }
    }
    while let Some(value) = needed.pop() {
        if std::mem::replace(&mut seen[value.index()], true) {
            continue;
        }
        let inst = function.inst(value);
        needed.extend(inst.args.iter());
        let of = match inst.op {
            Op::Allocation => &mut allocations,
            Op::Texture => &mut textures,
            Op::Sampler => &mut samplers,
            _ => continue,
        };
        of[inst.imm as usize] = true;
    }
    Reached { allocations, textures, samplers }
}
