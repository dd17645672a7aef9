//! What a kernel's code still touches when the passes are done with it.

use crate::soft::ir::{Block, Function, Op, Stmt, Value};

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

/// What a function reaches, of so many allocations, textures and samplers.
pub(crate) fn reached(function: &Function, counts: [usize; 3]) -> Reached {
    fn visit(block: &Block, needed: &mut Vec<Value>) {
        for statement in block {
            match statement {
                Stmt::Do(value) => needed.push(*value),
                Stmt::If(condition, then, otherwise) => {
                    needed.push(*condition);
                    visit(then, needed);
                    visit(otherwise, needed);
                }
                Stmt::Loop { body, next, .. } => {
                    visit(body, needed);
                    visit(next, needed);
                }
                Stmt::Call { args, .. } => needed.extend(args),
                Stmt::Return(value) => needed.extend(value),
                Stmt::Break | Stmt::Continue => {}
            }
        }
    }
    let (mut needed, mut seen) = (Vec::new(), vec![false; function.insts.len()]);
    let [mut allocations, mut textures, mut samplers] = counts.map(|count| vec![false; count]);
    visit(&function.body, &mut needed);
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
