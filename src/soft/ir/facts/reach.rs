//! Which arguments a kernel's code still uses after the passes.

use crate::soft::ir::walk::statements;
use crate::soft::ir::{Function, Op, Stmt};

/// The arguments of a module that the code uses after unused code was removed.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    /// For each allocation.
    pub(crate) allocations: Vec<bool>,
    /// For each texture.
    pub(crate) textures: Vec<bool>,
    /// For each sampler.
    pub(crate) samplers: Vec<bool>,
}

/// Finds the allocations, textures and samplers of the module that functions use; `counts` has the number of each.
pub(crate) fn reached(functions: &[Function], counts: [usize; 3]) -> Reached {
    let [allocations, textures, samplers] = counts.map(|count| vec![false; count]);
    let mut all = Reached { allocations, textures, samplers };
    functions.iter().for_each(|function| add(function, &mut all));
    all
}

/// Adds what a function uses.
fn add(function: &Function, all: &mut Reached) {
    let (mut needed, mut seen) = (Vec::new(), vec![false; function.insts.len()]);
    let Reached { allocations, textures, samplers } = all;
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
            Op::Allocation => &mut *allocations,
            Op::Texture => &mut *textures,
            Op::Sampler => &mut *samplers,
            _ => continue,
        };
        of[inst.imm as usize] = true;
    }
}
