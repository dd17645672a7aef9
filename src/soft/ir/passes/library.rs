//! Library functions: each application of one becomes the function's code (`specs/library.md`).
//!
//! Until then passes see a single pure operation, which they merge, move and remove like any other. The code that
//! replaces it is at the position of the application in the source, whatever text it was compiled from.

use super::rewrite::Constants;
use crate::soft::ir::{Args, Block, Function, Inst, Library, Op, Span, Stmt, Type, Value};
use crate::soft::ir::{internal_error, walk};

/// Replaces all applications in a scalarised function; returns whether there were any.
pub(crate) fn run(function: &mut Function, library: &Library) -> bool {
    let applies = |value: Value| function.inst(value).op.is_library();
    if !walk::instructions(&function.body).any(applies) {
        return false;
    }
    let body = std::mem::take(&mut function.body);
    let constants = Constants::default();
    function.body = Expand { function, library, constants }.block(body);
    true
}

struct Expand<'a> {
    function: &'a mut Function,
    library: &'a Library,
    constants: Constants,
}

/// The copy of a library function at one application.
struct Copy<'a> {
    routine: &'a Function,
    args: Vec<Value>,
    /// The new values of the routine's instructions.
    values: Vec<Option<Value>>,
    /// The new numbers of its variables, of those that its code still has.
    variables: Vec<Option<u64>>,
    span: Span,
    result: Option<Value>,
}

impl Expand<'_> {
    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(block.len());
        for stmt in block {
            match stmt {
                Stmt::Do(value) if self.function.inst(value).op.is_library() => {
                    self.apply(value, &mut out);
                }
                other => out.push(other.map_blocks(|inner| self.block(inner))),
            }
        }
        out
    }

    /// Library functions compute in `float`; the result of a narrower application is rounded once.
    fn apply(&mut self, value: Value, out: &mut Block) {
        let inst = *self.function.inst(value);
        let library = self.library;
        let Some(routine) = library.get(inst.op) else {
            internal_error(format!("the module has no code for '{}'", inst.op.row().name))
        };
        let mut put = |function: &mut Function, op, ty, arg| {
            function.put(Inst { op, ty, args: Args::new(&[arg]), imm: 0, span: inst.span }, out)
        };
        let mut args = inst.args.to_vec();
        for (arg, &ty) in args.iter_mut().zip(&routine.params) {
            if self.function.ty(*arg) != ty {
                *arg = put(self.function, Op::Convert, ty, *arg);
            }
        }
        let variables = vec![None; routine.variables.len()];
        let values = vec![None; routine.insts.len()];
        let mut copy = Copy { routine, args, values, variables, span: inst.span, result: None };
        self.copy(&routine.body, &mut copy, out);
        let Some(result) = copy.result else {
            internal_error(format!("the code of '{}' has no result", routine.name))
        };
        // The application itself becomes a conversion; folding removes one that changes nothing.
        self.function.insts[value.index()] =
            Inst { op: Op::Convert, args: Args::new(&[result]), ..inst };
        out.push(Stmt::Do(value));
    }

    fn copy(&mut self, block: &[Stmt], copy: &mut Copy<'_>, out: &mut Block) {
        for stmt in block {
            match stmt {
                Stmt::Do(value) => {
                    let mut inst = *copy.routine.inst(*value);
                    inst.span = copy.span;
                    for arg in inst.args.iter_mut() {
                        *arg = self.value(*arg, copy);
                    }
                    match inst.op {
                        Op::Get | Op::Set => inst.imm = self.variable(inst.imm as usize, copy),
                        Op::Load if inst.imm != 0 => {
                            let loads = &copy.routine.joined[inst.imm as usize - 1];
                            self.function.joined.push(loads.clone());
                            inst.imm = self.function.joined.len() as u64;
                        }
                        _ => {}
                    }
                    copy.values[value.index()] = Some(self.function.put(inst, out));
                }
                Stmt::If(condition, then, otherwise) => {
                    let condition = self.value(*condition, copy);
                    let [then, otherwise] = [then, otherwise].map(|block| self.inner(block, copy));
                    out.push(Stmt::If(condition, then, otherwise));
                }
                Stmt::Loop { body, next, .. } => {
                    let [body, next] = [body, next].map(|block| self.inner(block, copy));
                    out.push(Stmt::Loop { body, next, span: copy.span });
                }
                Stmt::Return(value) => {
                    copy.result = value.map(|value| self.value(value, copy));
                }
                Stmt::Break => out.push(Stmt::Break),
                Stmt::Continue => out.push(Stmt::Continue),
                Stmt::Call { .. } => internal_error("a library function has calls"),
            }
        }
    }

    fn inner(&mut self, block: &[Stmt], copy: &mut Copy<'_>) -> Block {
        let mut out = Block::with_capacity(block.len());
        self.copy(block, copy, &mut out);
        out
    }

    fn variable(&mut self, variable: usize, copy: &mut Copy<'_>) -> u64 {
        *copy.variables[variable].get_or_insert_with(|| {
            self.function.variables.push(copy.routine.variables[variable].clone());
            self.function.variables.len() as u64 - 1
        })
    }

    fn value(&mut self, value: Value, copy: &Copy<'_>) -> Value {
        if let Some(known) = copy.values[value.index()] {
            return known;
        }
        let inst = copy.routine.inst(value);
        match (inst.op, inst.ty) {
            (Op::Param, _) => copy.args[inst.imm as usize],
            (Op::Const, Type::Scalar(scalar)) => {
                self.constants.get(self.function, scalar, inst.imm)
            }
            _ => internal_error(format!("a library function uses '{}'", inst.op.row().name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Scalar};
    use std::sync::Arc;

    /// `x < 0 ? 0 - x : x`, with a branch.
    fn routine() -> Arc<Function> {
        let f32 = Type::Scalar(Scalar::F32);
        let mut b = FunctionBuilder::new("exp", vec![f32], f32);
        let (x, zero) = (b.param(0), b.f32(0.0));
        let result = b.variable("", f32);
        b.set(result, x);
        let negative = b.lt(x, zero);
        b.begin_if(negative);
        let opposite = b.sub(zero, x);
        b.set(result, opposite);
        b.end_if();
        let result = b.get(result);
        b.return_(Some(result));
        Arc::new(b.finish())
    }

    #[test]
    fn a_narrow_application_is_computed_in_float_at_its_own_position() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let out = b.local("out", 2);
        let x = b.load(out, Type::Scalar(Scalar::F16));
        b.at(Span(7));
        let y = b.op(Op::Exp, &[x]);
        b.at(Span(9));
        b.store(out, y);
        let mut f = b.finish();
        let library = Library::of([(Op::Exp, routine())]);
        assert!(run(&mut f, &library));
        assert!(!run(&mut f, &library));
        let text = f.to_string();
        let want = "  %4: f32 = convert %1
  set $0, %4
  %7: bool = lt %4, 0.0f32
  if %7 {
    %8: f32 = sub 0.0f32, %4
    set $0, %8
  }
  %10: f32 = get $0
  %2: f16 = convert %10
  store local0, %2
";
        assert!(text.contains(want), "{text}");
        for value in walk::instructions(&f.body) {
            let inst = f.inst(value);
            let own = !matches!(inst.op, Op::Load | Op::Store);
            assert!(!own || inst.span == Span(7), "{inst:?}");
        }
    }
}
