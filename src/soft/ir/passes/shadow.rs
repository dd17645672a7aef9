//! Which pointers into thread memory have a shadow pointer, for the taints of `init`: those whose targets are all known.

use crate::soft::ir::{Function, Inst, Op, Space, Value};

/// The locals that have a shadow, and the variables that are pointers with a shadow pointer.
///
/// A pointer that was stored in memory, or made from an integer, is not followed. What may be reached through such a pointer has no
/// shadow, and counts as initialised. So where two pointers meet, in a variable or in a choice, both have a shadow pointer or none.
pub(super) struct Shadowed {
    pub(super) locals: Vec<bool>,
    pub(super) variables: Vec<bool>,
    values: Vec<bool>,
}

impl Shadowed {
    pub(super) fn of(function: &Function) -> Self {
        let mut all = Self {
            locals: function.locals.iter().map(|local| !local.handles).collect(),
            variables: vec![true; function.variables.len()],
            values: vec![true; function.insts.len()],
        };
        // Each round but the last one takes a shadow away. Most pointers come before their uses.
        loop {
            let mut changed = false;
            for (index, inst) in function.insts.iter().enumerate() {
                changed |= all.visit(function, index, inst);
            }
            if !changed {
                return all;
            }
        }
    }

    /// Adds the facts of one instruction about the pointers that it uses and makes; returns whether they are new.
    fn visit(&mut self, function: &Function, index: usize, inst: &Inst) -> bool {
        let is_thread = |value: Value| function.ty(value).space() == Some(Space::Thread);
        let Self { locals, variables, values } = self;
        let at = inst.imm as usize;
        match inst.op {
            Op::Set if is_thread(inst.args[0]) => {
                same(&mut variables[at], &mut values[inst.args[0].index()])
            }
            Op::Store if is_thread(inst.args[1]) => {
                std::mem::take(&mut values[inst.args[1].index()])
            }
            Op::PointerToInt if is_thread(inst.args[0]) => {
                std::mem::take(&mut values[inst.args[0].index()])
            }
            _ if inst.ty.space() != Some(Space::Thread) => false,
            Op::Local => same(&mut locals[at], &mut values[index]),
            Op::Get => same(&mut variables[at], &mut values[index]),
            Op::Index | Op::Field => both(values, index, inst.args[0].index()),
            Op::Select => [1, 2]
                .into_iter()
                .fold(false, |changed, arm| both(values, index, inst.args[arm].index()) | changed),
            Op::IntToPointer if is_null(function, inst) => false,
            _ => std::mem::take(&mut values[index]),
        }
    }
}

/// Whether an instruction makes the null pointer, which is its own shadow.
pub(super) fn is_null(function: &Function, inst: &Inst) -> bool {
    let is_zero = |value: Value| {
        let bits = function.inst(value);
        bits.op == Op::Const && bits.imm == 0
    };
    inst.op == Op::IntToPointer && is_zero(inst.args[0])
}

/// Neither has a shadow unless both have; whether that changes one.
fn same(a: &mut bool, b: &mut bool) -> bool {
    let changed = a != b;
    (*a, *b) = (*a && *b, *a && *b);
    changed
}

fn both(values: &mut [bool], a: usize, b: usize) -> bool {
    let changed = values[a] != values[b];
    let shadowed = values[a] && values[b];
    (values[a], values[b]) = (shadowed, shadowed);
    changed
}
