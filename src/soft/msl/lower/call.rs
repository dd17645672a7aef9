//! Calls: of functions that the program names, and through pointers (`specs/functions.md`).

use super::{Body, Unit};
use crate::soft::ir::{self, FAILED_CALL, Op, Scalar, Space, TOO_DEEP, Type, Value, VarId};
use crate::soft::msl::check::State;
use crate::soft::msl::hir::{Expr, InstanceIndex};
use crate::soft::msl::types::{Qual, Ty, TyId, Types};
use crate::soft::sorted;

/// A function that a pointer may point to.
#[derive(Clone, Copy)]
struct Callee {
    handle: u64,
    id: ir::FuncId,
}

/// Shared by all calls through one pointer.
struct Invocation {
    handle: Value,
    arguments: Vec<Value>,
    /// The type of the result in a register.
    result: Type,
    variable: Option<VarId>,
}

impl Body<'_, '_> {
    /// Calls a function; an aggregate result goes to `into`, or to memory of its own.
    pub(super) fn call(
        &mut self,
        index: InstanceIndex,
        arguments: &[Expr],
        into: Option<Value>,
    ) -> Option<Value> {
        let span = self.span;
        let id = self.module.function_of(index);
        self.module.calls.push((self.id, id, span));
        let function = self.module.checked(index)?;
        let parameters: Vec<TyId> = function.locals.iter().map(|local| local.qual.ty).collect();
        let values = self.passed(function.result, &parameters, arguments, into);
        self.at(span);
        let result = self.in_register(function.result);
        let returned = self.b.call(id, &values, result);
        self.returned(function.result, &values, returned)
    }

    /// The arguments as the function takes them: before them the memory for an aggregate result.
    fn passed(
        &mut self,
        result: TyId,
        parameters: &[TyId],
        arguments: &[Expr],
        into: Option<Value>,
    ) -> Vec<Value> {
        let mut values = Vec::new();
        if self.is_aggregate(result) {
            let size = self.size(result).max(1);
            values.push(into.unwrap_or_else(|| self.b.local("", size)));
        }
        for (argument, parameter) in arguments.iter().zip(parameters) {
            let value = match self.is_aggregate(*parameter) {
                true => {
                    // By value: the callee may change its copy.
                    let size = self.size(argument.qual.ty).max(1);
                    let copy = self.b.local("", size);
                    self.put(copy, argument);
                    copy
                }
                false => self.value(argument),
            };
            values.push(value);
        }
        values
    }

    /// The type of a result that is returned in a register.
    fn in_register(&self, result: TyId) -> Type {
        if self.is_aggregate(result) { Type::Void } else { self.ty(result) }
    }

    /// The value of a call: that of an aggregate is its memory.
    fn returned(&self, result: TyId, passed: &[Value], value: Option<Value>) -> Option<Value> {
        if self.is_aggregate(result) { passed.first().copied() } else { value }
    }

    /// Calls the linked function that a pointer points to.
    pub(super) fn invoke(
        &mut self,
        callee: &Expr,
        arguments: &[Expr],
        into: Option<Value>,
    ) -> Option<Value> {
        let span = self.span;
        let types = self.module.types;
        let Ty::Pointer(to) = *types.get(callee.qual.ty) else { return None };
        let Ty::Function(result, parameters) = types.get(to.ty).clone() else { return None };
        let handle = self.value(callee);
        let parameters: Vec<TyId> = parameters.iter().map(|parameter| parameter.ty).collect();
        let values = self.passed(result.ty, &parameters, arguments, into);
        self.at(span);
        let callees = self.module.callees(result, &parameters);
        let register = self.in_register(result.ty);
        let variable = (register != Type::Void).then(|| self.b.variable("", register));
        let invocation = Invocation { handle, arguments: values, result: register, variable };
        self.search(&invocation, &callees);
        let value = variable.map(|variable| self.b.get(variable));
        self.returned(result.ty, &invocation.arguments, value)
    }

    /// Finds the callee, among those that are sorted by handle, and calls it.
    fn search(&mut self, invocation: &Invocation, callees: &[Callee]) {
        let (op, number) = match callees {
            [] => return self.no_function(invocation.handle),
            [one] => (Op::Eq, one.handle),
            _ => (Op::Lt, callees[callees.len() / 2].handle),
        };
        let number = self.b.constant(Scalar::U64, number);
        let condition = self.b.op(op, &[invocation.handle, number]);
        self.b.begin_if(condition);
        match callees {
            [one] => {
                self.module.calls.push((self.id, one.id, self.span));
                let value = self.b.call(one.id, &invocation.arguments, invocation.result);
                if let (Some(variable), Some(value)) = (invocation.variable, value) {
                    self.b.set(variable, value);
                }
            }
            _ => self.search(invocation, &callees[..callees.len() / 2]),
        }
        self.b.begin_else();
        match callees {
            [_] => self.no_function(invocation.handle),
            _ => self.search(invocation, &callees[callees.len() / 2..]),
        }
        self.b.end_if();
    }

    /// A fault: the pointer points to no function that can be called here.
    fn no_function(&mut self, handle: Value) {
        let deep = if self.module.is_deepest() { TOO_DEEP } else { 0 };
        let start = self.b.constant(Scalar::U64, FAILED_CALL + deep);
        let address = self.b.add(start, handle);
        let pointer = Type::Pointer(Space::Device);
        let pointer = self.b.emit(Op::IntToPointer, pointer, &[address], 0);
        let nothing = self.b.constant(Scalar::U8, 0);
        self.b.store(pointer, nothing);
    }
}

impl super::Lowering<'_> {
    /// Whether functions that are called through pointers from here would be at too great a depth.
    fn is_deepest(&self) -> bool {
        self.depth >= self.deepest
    }

    /// The handle of a function that a unit names itself; handles of linked functions are lower.
    pub(super) fn handle_of(unit: usize, index: InstanceIndex) -> u64 {
        const NAMED: u64 = 1 << 44;
        NAMED | (unit as u64) << 32 | u64::from(index.0)
    }

    /// The functions of a type that pointers may point to, by handle.
    fn callees(&mut self, result: Qual, parameters: &[TyId]) -> Vec<Callee> {
        if self.is_deepest() {
            return Vec::new();
        }
        let wanted = self.signature(self.types, result.ty, parameters);
        let mut callees = Vec::new();
        for (unit, Unit { special, handle, .. }) in self.units.iter().enumerate() {
            let linked = (unit > 0).then_some((*handle, special.program.kernel));
            let named = special.pointed().into_iter();
            let named = named.map(|index| (Self::handle_of(unit, index), index));
            for (handle, index) in linked.into_iter().chain(named) {
                let State::Checked(function) = special.body(index) else { continue };
                let own = &function.locals[..function.parameters as usize];
                let own: Vec<TyId> = own.iter().map(|local| local.qual.ty).collect();
                if self.signature(&special.program.types, function.result, &own) == wanted {
                    let id = self.function_at((unit, index, self.depth + 1));
                    callees.push(Callee { handle, id });
                }
            }
        }
        sorted::sort_by_key(&mut callees, |callee| callee.handle);
        callees.dedup_by_key(|callee| callee.handle);
        callees
    }

    /// The type of a function: names in the language, and types of the IR.
    fn signature(&self, types: &Types, result: TyId, parameters: &[TyId]) -> Vec<(String, Type)> {
        let all = [result].into_iter().chain(parameters.iter().copied());
        all.map(|ty| (types.name(ty), super::type_of(types, ty))).collect()
    }
}
