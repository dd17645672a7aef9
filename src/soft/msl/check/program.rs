//! The result of checking a kernel, for lowering: an immutable program, and the program with the values
//! of function constants.
//!
//! Bodies of templates' instances are checked when a kernel needs them ([`Checker::program`]): that
//! changes the checker, so kernels of one library take turns. The result shares the tables of the checker
//! and never changes; kernels are lowered from it at the same time as others are checked.

use super::entry::Reflection;
use super::evaluate::{Evaluations, Facts, Item, evaluate, evaluate_item};
use super::{Checker, FuncId, Global, State};
use crate::soft::ir::Checks;
use crate::soft::ir::hash::FastMap;
use crate::soft::msl::FunctionConstant;
use crate::soft::msl::diagnostics::Diagnostics;
use crate::soft::msl::hir::{
    Constant, Expr, ExprKind, Function, GlobalIndex, InstanceIndex, LocalIndex, Uses,
};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Types};
use crate::soft::sorted::SortedSet;
use std::cell::RefCell;
use std::sync::Arc;

/// The kind of the function that a program starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An entry point: its arguments come from the host.
    Kernel,
    /// A function of the library, with parameters and a result.
    Function,
}

/// A kernel with all functions and variables that it reaches; immutable.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) types: Types,
    globals: Arc<Vec<Arc<Global>>>,
    /// The bodies that the kernel may reach, or their errors.
    bodies: FastMap<InstanceIndex, State>,
    pub(crate) kernel: InstanceIndex,
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) reflection: Reflection,
}

impl Checker {
    /// Checks the functions that a kernel may reach and that are not checked yet. Fails only for a limit:
    /// errors in a body are reported when the body is lowered.
    pub(crate) fn program(&mut self, func: FuncId, role: Role) -> Result<Program, Diagnostics> {
        self.exceeded();
        let reflection = match role {
            Role::Kernel => self.reflect(func),
            Role::Function => Reflection::default(),
        };
        let kernel = self.instance(func, None);
        let mut bodies = FastMap::default();
        let mut seen_globals = vec![false; self.globals.len()];
        let mut waiting = vec![kernel];
        while let Some(index) = waiting.pop() {
            if bodies.contains_key(&index) {
                continue;
            }
            let state = self.check_instance(index);
            if let State::Checked(function) = &state {
                let mut globals: Vec<GlobalIndex> = function.uses.globals.iter().copied().collect();
                waiting.extend(&function.uses.functions);
                // Initialisers call functions and use other variables.
                seen_globals.resize(self.globals.len(), false);
                while let Some(global) = globals.pop() {
                    let seen = &mut seen_globals[global.0 as usize];
                    if !std::mem::replace(seen, true)
                        && let Some(init) = &self.globals[global.0 as usize].init
                    {
                        let uses = Uses::of_expr(init);
                        waiting.extend(&uses.functions);
                        globals.extend(&uses.globals);
                    }
                }
            }
            bodies.insert(index, state);
        }
        if let Some(error) = self.exceeded() {
            return Err(error);
        }
        Ok(Program {
            types: self.types.clone(),
            globals: self.globals.clone(),
            bodies,
            kernel,
            role,
            name: self.func(func).name.clone(),
            span: self.func(func).span,
            reflection,
        })
    }

    /// Reports an exceeded limit whose error was dropped with a rejected candidate of a call.
    pub(crate) fn report_exceeded(&mut self) {
        if let Some(error) = self.exceeded() {
            self.context.diagnostics.append(error);
        }
    }
}

/// A program whose function constants have the values of one kernel (MSL 5.8).
#[derive(Debug)]
pub(crate) struct Specialisation<'a> {
    pub(crate) program: &'a Program,
    /// The function constants that have values.
    given: FastMap<GlobalIndex, Global>,
    evaluations: RefCell<Evaluations>,
    /// The checks that the kernel makes while it runs.
    pub(crate) checks: Checks,
}

impl<'a> Specialisation<'a> {
    pub(crate) fn new(
        program: &'a Program,
        values: &dyn Fn(&FunctionConstant) -> Option<Vec<Constant>>,
    ) -> Specialisation<'a> {
        let mut given = FastMap::default();
        for (at, global) in program.globals.iter().enumerate() {
            let Some(constant) = global.as_function_constant(&program.types) else { continue };
            let Some(components) = values(&constant) else { continue };
            let mut global = Global::clone(global);
            match components[..] {
                [value] => global.value = Some(value),
                _ => global.init = Some(Arc::new(vector(&global, &components, &constant))),
            }
            given.insert(GlobalIndex(at as u32), global);
        }
        Specialisation { program, given, evaluations: RefCell::default(), checks: Checks::NONE }
    }

    /// The same for a kernel that is checked while it runs.
    pub(crate) fn checked(self, checks: Checks) -> Self {
        Self { checks, ..self }
    }

    pub(crate) fn body(&self, index: InstanceIndex) -> &State {
        self.program.bodies.get(&index).unwrap_or(&State::Unchecked)
    }

    /// The functions whose addresses are used, in order.
    pub(crate) fn pointed(&self) -> SortedSet<InstanceIndex> {
        let checked = self.program.bodies.values().filter_map(|state| match state {
            State::Checked(function) => Some(&function.uses.pointed),
            _ => None,
        });
        checked.flatten().copied().collect()
    }

    /// The value of a scalar expression outside of any function.
    pub(crate) fn evaluate(&self, expr: &Expr) -> Option<Constant> {
        evaluate(&mut &*self, expr).ok()
    }

    /// The value of an expression of any type outside of any function.
    pub(crate) fn evaluate_item(&self, expr: &Expr) -> Option<Item> {
        evaluate_item(&mut &*self, expr).ok()
    }

    /// The value of a scalar at program scope.
    pub(crate) fn global_value(&self, global: GlobalIndex) -> Option<Constant> {
        let row = self.global(global);
        row.value.or_else(|| self.evaluate(row.init.as_ref()?))
    }

    /// Whether what depends on a function constant does not exist because the constant is false (MSL 5.8.1.4).
    pub(crate) fn is_absent(&self, condition: Option<GlobalIndex>) -> bool {
        let is_true = |value| matches!(value, Some(Constant::Int(value)) if value != 0);
        condition.is_some_and(|global| !is_true(self.global_value(global)))
    }

    pub(crate) fn global(&self, global: GlobalIndex) -> &Global {
        self.given.get(&global).unwrap_or_else(|| &self.program.globals[global.0 as usize])
    }
}

impl Facts for &Specialisation<'_> {
    fn types(&self) -> &Types {
        &self.program.types
    }

    fn global(&self, global: GlobalIndex) -> &Global {
        Specialisation::global(self, global)
    }

    fn local(&self, _: LocalIndex) -> Option<Item> {
        None
    }

    fn function(&mut self, index: InstanceIndex) -> Option<Arc<Function>> {
        match self.body(index) {
            State::Checked(function) => Some(function.clone()),
            _ => None,
        }
    }

    fn specialised(&self) -> bool {
        true
    }

    fn shared<T>(&mut self, with: impl FnOnce(&mut Evaluations) -> T) -> T {
        with(&mut self.evaluations.borrow_mut())
    }
}

/// A vector of constants, as the initialiser of a variable at program scope.
fn vector(global: &Global, components: &[Constant], constant: &FunctionConstant) -> Expr {
    let value = |kind, qual| Expr { kind, qual, place: false, span: global.span };
    let scalar = Qual::plain(Types::scalar(constant.scalar));
    let parts = components.iter().map(|one| value(ExprKind::Constant(*one), scalar)).collect();
    value(ExprKind::Compose(parts), Qual::plain(global.qual.ty))
}
