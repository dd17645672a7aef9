//! The verifier: the rules that every module obeys, before and after each pass.

use crate::soft::ir::walk::statements;
use std::fmt;

use super::{
    AllocationKind, Block, Expected, FuncId, Function, Imm, Input, MemFlags, Module, Op, Probe,
    Scalar, Space, Stmt, TextureAtomic, TextureSide, Type, Value, result,
};

/// The defect of a module, and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    function: String,
    what: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.function, self.what)
    }
}

impl std::error::Error for Invalid {}

/// Checks a module: types, definitions before uses, every instruction in one block, storage that exists,
/// `break` and `continue` inside loops, calls that fit, and no recursion.
pub(crate) fn verify(module: &Module) -> Result<(), Invalid> {
    let at = |function: &str, what: &str| Invalid { function: function.into(), what: what.into() };
    if module.functions.get(module.entry.index()).is_none() {
        return Err(at(&module.name, "has no entry"));
    }
    if let Some(name) = recursive(module) {
        return Err(at(name, "calls itself"));
    }
    module.functions.iter().try_for_each(|function| verify_one(module, &module.functions, function))
}

/// Checks one function of a module, whose calls are of these functions.
pub(crate) fn verify_one(
    module: &Module,
    functions: &[Function],
    function: &Function,
) -> Result<(), Invalid> {
    let scopes = vec![Scope::Undefined; function.insts.len()];
    let mut check = Check { module, functions, function, scopes };
    let free = check.free();
    let all = free.and_then(|()| check.block(&function.body, Inside { body: false, next: false }));
    all.map_err(|what| Invalid { function: function.name.clone(), what })
}

/// The name of a function that reaches itself.
pub(crate) fn recursive(module: &Module) -> Option<&str> {
    /// Marks: not visited, on the path from the root, done.
    fn visit(module: &Module, id: FuncId, marks: &mut [u8]) -> Option<FuncId> {
        match marks.get(id.index()) {
            Some(0) => {}
            Some(1) => return Some(id),
            _ => return None,
        }
        marks[id.index()] = 1;
        for stmt in statements(&module.function(id).body) {
            if let Stmt::Call { func, .. } = stmt
                && let Some(found) = visit(module, *func, marks)
            {
                return Some(found);
            }
        }
        marks[id.index()] = 2;
        None
    }
    let mut marks = vec![0; module.functions.len()];
    (0..module.functions.len() as u32)
        .find_map(|id| visit(module, FuncId(id), &mut marks))
        .map(|id| module.function(id).name.as_str())
}

/// Whether a value can be used at the point that is being checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Not yet defined.
    Undefined,
    /// Free, or before this point in a block around it.
    Visible,
    /// In a block that is closed.
    Hidden,
}

/// The statements that a block may contain.
#[derive(Clone, Copy)]
struct Inside {
    /// A loop's body: `break` and `continue`.
    body: bool,
    /// The `next` block of a loop: `break` only.
    next: bool,
}

struct Check<'a> {
    module: &'a Module,
    functions: &'a [Function],
    function: &'a Function,
    scopes: Vec<Scope>,
}

type Checked = Result<(), String>;

impl Check<'_> {
    /// The free instructions, wherever they are used.
    fn free(&mut self) -> Checked {
        for (index, inst) in self.function.insts.iter().enumerate() {
            if inst.op.is_free() && inst.imm != Function::CALL_RESULT
                || inst.op.is_free() && inst.op != Op::Param
            {
                self.scopes[index] = Scope::Visible;
                self.typed(Value(index as u32))?;
            }
        }
        Ok(())
    }

    fn used(&self, value: Value) -> Result<Type, String> {
        match self.scopes.get(value.index()) {
            Some(Scope::Visible) => Ok(self.function.ty(value)),
            Some(Scope::Undefined) => Err(format!("{value} is used before it is defined")),
            Some(Scope::Hidden) => Err(format!("{value} is used outside its block")),
            None => Err(format!("{value} does not exist")),
        }
    }

    fn define(&mut self, value: Value, defined: &mut Vec<Value>) -> Checked {
        match self.scopes.get_mut(value.index()) {
            Some(scope @ Scope::Undefined) => *scope = Scope::Visible,
            Some(_) => return Err(format!("{value} is in two blocks, or twice in one")),
            None => return Err(format!("{value} does not exist")),
        }
        defined.push(value);
        Ok(())
    }

    /// The types and the immediate of one instruction.
    fn typed(&self, value: Value) -> Checked {
        let inst = self.function.inst(value);
        let name = inst.op.row().name;
        let operands =
            inst.args.iter().map(|&arg| self.used(arg)).collect::<Result<Vec<_>, _>>()?;
        match result(inst.op, inst.ty, &operands, inst.imm) {
            Ok(ty) if ty == inst.ty => {}
            Ok(ty) => return Err(format!("{value}: {name} has type {ty}, not {}", inst.ty)),
            Err(misfit) => return Err(format!("{value}: {name}{operands:?}: {misfit:?}")),
        }
        let (imm, count) = (inst.imm, |len: usize| inst.imm < len as u64);
        let fits = match inst.op.row().imm {
            Imm::None => imm == 0,
            Imm::Bits => inst.ty.scalar().is_some_and(|scalar| is_widened(scalar, imm)),
            Imm::Input => Input::from_imm(imm).is_some(),
            Imm::Param => self.function.params.get(imm as usize) == Some(&inst.ty),
            Imm::Allocation => {
                let kind = self.module.allocations.get(imm as usize).map(|a| &a.kind);
                kind.map(AllocationKind::space) == inst.ty.space()
            }
            Imm::Texture => count(self.module.textures.len()),
            Imm::Sampler => count(self.module.samplers.len()),
            Imm::Expected => inst.imm == 0 || Expected::from_imm(inst.imm).is_some(),
            Imm::Side => count(TextureSide::NAMES.len()),
            Imm::TextureAtomic => count(TextureAtomic::ALL.len()),
            Imm::Local => {
                count(self.function.locals.len()) && inst.ty.space() == Some(Space::Thread)
            }
            Imm::Variable => self.function.variables.get(imm as usize).is_some_and(|variable| {
                variable.ty == if inst.op == Op::Set { operands[0] } else { inst.ty }
            }),
            Imm::Component | Imm::Pattern | Imm::Bytes => true,
            Imm::Width => imm == 32 || imm == 4,
            Imm::Joined => {
                let joined = (imm as usize).checked_sub(1).map(|at| self.function.joined.get(at));
                joined.is_none_or(|joined| joined.is_some_and(|all| all.covers(inst.ty.width())))
            }
            Imm::Barrier => imm < 2 << MemFlags::BITS,
            Imm::Probe => Probe::from_imm(imm).is_some_and(|probe| match probe {
                Probe::Access { .. }
                | Probe::Wrote { .. }
                | Probe::Unwrite { .. }
                | Probe::Aligned { .. } => !operands.is_empty(),
                Probe::Count { .. } => true,
                _ => operands.is_empty(),
            }),
        };
        if fits { Ok(()) } else { Err(format!("{value}: {name} has the immediate {imm:#x}")) }
    }

    fn block(&mut self, block: &Block, inside: Inside) -> Checked {
        let mut defined = Vec::new();
        for stmt in block {
            self.stmt(stmt, inside, &mut defined)?;
        }
        for value in defined {
            self.scopes[value.index()] = Scope::Hidden;
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt, inside: Inside, defined: &mut Vec<Value>) -> Checked {
        match stmt {
            Stmt::Do(value) => {
                let inst = self.function.insts.get(value.index());
                if inst.is_some_and(|inst| inst.op.is_free()) {
                    return Err(format!("{value} is free, but is in a block"));
                }
                if inst.is_some() {
                    self.typed(*value)?;
                }
                self.define(*value, defined)
            }
            Stmt::If(condition, then, otherwise) => {
                if self.used(*condition)? != Type::BOOL {
                    return Err(format!("the condition {condition} is not a bool"));
                }
                self.block(then, inside)?;
                self.block(otherwise, inside)
            }
            Stmt::Loop { body, next, .. } => {
                // `next` may not use values that the body defines: a `continue` may have skipped them.
                self.block(body, Inside { body: true, next: false })?;
                self.block(next, Inside { body: false, next: true })
            }
            Stmt::Break if inside.body || inside.next => Ok(()),
            Stmt::Break => Err("break outside a loop".into()),
            Stmt::Continue if inside.body => Ok(()),
            Stmt::Continue => Err("continue outside a loop's body".into()),
            Stmt::Return(value) => {
                let ty = value.map_or(Ok(Type::Void), |value| self.used(value))?;
                if ty == self.function.result { Ok(()) } else { Err(format!("returns {ty}")) }
            }
            Stmt::Call { func, args, result, .. } => {
                let Some(callee) = self.functions.get(func.index()) else {
                    return Err(format!("{func} does not exist"));
                };
                let types =
                    args.iter().map(|&arg| self.used(arg)).collect::<Result<Vec<_>, _>>()?;
                if types != callee.params {
                    return Err(format!("call of {} with {types:?}", callee.name));
                }
                let Some(result) = *result else {
                    return if callee.result == Type::Void {
                        Ok(())
                    } else {
                        Err(format!("the result of {} is not stored", callee.name))
                    };
                };
                self.define(result, defined)?;
                let inst = self.function.inst(result);
                let stands_for_call = inst.op == Op::Param && inst.imm == Function::CALL_RESULT;
                if stands_for_call && inst.ty == callee.result && inst.ty != Type::Void {
                    Ok(())
                } else {
                    Err(format!("{result} is not a valid result of {}", callee.name))
                }
            }
        }
    }
}

/// Whether `bits` are a value of the type in widened form.
fn is_widened(scalar: Scalar, bits: u64) -> bool {
    let narrow = bits as u32;
    match scalar {
        Scalar::I64 | Scalar::U64 => true,
        Scalar::Bool => bits <= 1,
        Scalar::U8 => bits <= 0xff,
        Scalar::U16 => bits <= 0xffff,
        Scalar::I8 => bits >> 32 == 0 && narrow as i32 == i32::from(narrow as i8),
        Scalar::I16 => bits >> 32 == 0 && narrow as i32 == i32::from(narrow as i16),
        _ => bits >> 32 == 0,
    }
}
