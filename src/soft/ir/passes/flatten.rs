//! Flattening: a short `if` that only computes and assigns becomes selects. A mask that is set and undone
//! costs more than a few operations whose results are not used.

use crate::soft::ir::{Args, Block, Effect, Function, Inst, Op, Scalar, Span, Stmt, Type, Value};

/// Operations of both branches together, at most.
const MAX: usize = 8;

/// Flattens in a scalarised function.
pub(crate) fn run(function: &mut Function) {
    let body = std::mem::take(&mut function.body);
    function.body = block(function, body);
}

fn block(function: &mut Function, stmts: Block) -> Block {
    let mut out = Block::with_capacity(stmts.len());
    for stmt in stmts {
        match stmt.map_blocks(|inner| block(function, inner)) {
            Stmt::If(condition, then, otherwise)
                if then.len() + otherwise.len() <= MAX
                    && is_simple(function, &then)
                    && is_simple(function, &otherwise) =>
            {
                flatten(function, condition, then, otherwise, &mut out);
            }
            other => out.push(other),
        }
    }
    out
}

/// Whether a block has only cheap operations, reads of variables before they are assigned in it, and
/// assignments at most once a variable.
fn is_simple(function: &Function, block: &Block) -> bool {
    let mut assigned = Vec::new();
    block.iter().all(|stmt| {
        let Stmt::Do(value) = stmt else { return false };
        let inst = function.inst(*value);
        match inst.op {
            Op::Set => {
                let first = !assigned.contains(&inst.imm);
                assigned.push(inst.imm);
                first
            }
            Op::Get => !assigned.contains(&inst.imm),
            op => op.row().effect == Effect::Pure && !is_costly(op, inst.ty),
        }
    })
}

/// Whether an operation is worth a branch around it.
fn is_costly(op: Op, ty: Type) -> bool {
    let divides = matches!(op, Op::Div | Op::Rem);
    op.is_library() || op == Op::Sqrt || divides && ty.scalar().is_some_and(Scalar::is_int)
}

/// Computes both branches, then selects the values to assign.
fn flatten(
    function: &mut Function,
    condition: Value,
    then: Block,
    otherwise: Block,
    out: &mut Block,
) {
    // The assignments of each branch to each variable, in order.
    let mut assigned: Vec<(u64, Option<Value>, Option<Value>, Span)> = Vec::new();
    for (branch, stmts) in [then, otherwise].into_iter().enumerate() {
        for stmt in stmts {
            let Stmt::Do(value) = stmt else { continue };
            let inst = *function.inst(value);
            if inst.op != Op::Set {
                out.push(Stmt::Do(value));
                continue;
            }
            let known = assigned.iter().position(|&(variable, ..)| variable == inst.imm);
            let at = known.unwrap_or_else(|| {
                assigned.push((inst.imm, None, None, inst.span));
                assigned.len() - 1
            });
            let entry = &mut assigned[at];
            *(if branch == 0 { &mut entry.1 } else { &mut entry.2 }) = Some(inst.args[0]);
        }
    }
    let mut make = |function: &mut Function, inst: Inst| {
        function.insts.push(inst);
        let value = Value(function.insts.len() as u32 - 1);
        out.push(Stmt::Do(value));
        value
    };
    let mut selected = Vec::new();
    for (variable, yes, no, span) in assigned {
        let ty = function.variables[variable as usize].ty;
        let read = Inst { op: Op::Get, ty, args: Args::NONE, imm: variable, span };
        let yes = yes.unwrap_or_else(|| make(function, read));
        let no = no.unwrap_or_else(|| make(function, read));
        let args = Args::new(&[condition, yes, no]);
        let value = make(function, Inst { op: Op::Select, ty, args, imm: 0, span });
        selected.push((variable, value, span));
    }
    // Only now, as all that is read was so before.
    for (variable, value, span) in selected {
        let args = Args::new(&[value]);
        make(function, Inst { op: Op::Set, ty: Type::Void, args, imm: variable, span });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Input};

    #[test]
    fn assignments_in_a_short_branch_become_selects() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let out = b.local("out", 4);
        let x = b.input(Input::ThreadPositionInGrid, 0);
        let ten = b.u32(10);
        let v = b.variable("v", Type::U32);
        b.set(v, x);
        let small = b.lt(x, ten);
        b.begin_if(small);
        let old = b.get(v);
        let twice = b.add(old, old);
        b.set(v, twice);
        b.end_if();
        let result = b.get(v);
        b.store(out, result);
        let mut f = b.finish();
        run(&mut f);
        super::super::forward::run(&mut f);
        super::super::dead::run(&mut f);
        let text = f.to_string();
        assert!(!text.contains("if "), "{text}");
        assert!(text.contains("select %4, %6, thread_position_in_grid.x"), "{text}");
        assert!(!text.contains("set $"), "{text}");
    }
}
