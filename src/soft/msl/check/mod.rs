//! Checking: names, types, overloads and constants; turns the syntax tree into the typed tree (`hir`).
//!
//! Signatures and variables are checked as they are declared. A function's body is checked on its
//! own, from its declaration and the scope that binds its template parameters (the enclosing scope
//! itself when there are none), once for each address space of `this`.

pub(crate) use constant::{
    bits as constant_bits, convert as convert_constant, from_bits as constant_from_bits,
};

mod assign;
mod auto;
mod bindings;
pub(crate) mod builtins;
mod call;
mod class;
mod constant;
mod construct;
mod convert;
mod copy;
mod decl;
mod destroy;
pub(crate) mod entry;
pub(crate) mod evaluate;
mod expr;
mod init;
mod initializer_list;
mod lambda;
pub(crate) mod layout;
pub(crate) mod library;
mod library_call;
mod list;
mod lookup;
mod metal_builtin;
mod operator;
mod overload;
mod overloaded;
mod position;
pub(crate) mod program;
mod range;
mod sampler;
mod stmt;
mod tail;
mod template;
pub(crate) mod texture;
mod traits;
mod type_name;
mod unevaluated;
mod using;

use self::evaluate::Evaluations;
use super::ast::{self, AddressSpace};
use super::diagnostics::Diagnostics;
use super::hir::{self, GlobalIndex, InstanceIndex, LocalIndex};
use super::names::{Name, Names};
use super::source::Span;
use super::types::{EnumId, Qual, StructId, TyId, Types};
use crate::soft::ir;
use crate::soft::ir::hash::{FastMap, FastSet};
use std::sync::Arc;
use template::OriginId;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ScopeId(u32);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FuncId(pub(crate) u32);

/// A set of functions.
#[derive(Debug, Default)]
struct FuncSet {
    bits: Vec<u64>,
}

impl FuncSet {
    fn of(list: impl IntoIterator<Item = FuncId>) -> FuncSet {
        let mut set = FuncSet::default();
        list.into_iter().for_each(|id| {
            set.insert(id);
        });
        set
    }

    /// Adds a function; false when the set had it.
    fn insert(&mut self, id: FuncId) -> bool {
        let (word, bit) = (id.0 as usize / 64, 1 << (id.0 % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }
}

/// The meaning of a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Entity {
    Type(Qual),
    Namespace(ScopeId),
    Local(VariableId),
    Global(GlobalIndex),
    Function(FuncId),
    /// An enumerator, or a template parameter that is a value.
    Value(TyId, hir::Constant),
    Template(template::TemplateId),
    /// A name of a part of an object, by its index in [`Checker::bindings`].
    Binding(u32),
    /// A template parameter pack.
    Pack(template::PackId),
    /// A function parameter pack: the first of its variables, and their number.
    Locals(VariableId, u32),
    /// The same in a lambda that captures it: the first of the closure's members, and their number.
    Fields(StructId, u32, u32),
    /// One of them.
    Field(StructId, u32),
}

/// A named local, in [`Checker::variables`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct VariableId(u32);

/// The body that a [`Variable`] belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    /// Bodies are numbered, as a function has one for each address space of `this`.
    Body(u32, FuncId),
    /// A parameter while its function's signature is checked, when there is no body.
    Signature,
}

/// The part of a local that is visible wherever its name is in scope: in its own function, and in the members
/// of a local class, which may only use its type and its constant value ([class.local]/1).
#[derive(Clone, Copy, Debug)]
struct Variable {
    owner: Owner,
    local: LocalIndex,
    qual: Qual,
    value: Option<hir::Constant>,
    span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ScopeKind {
    Namespace,
    Class(StructId),
    Block,
}

#[derive(Debug)]
struct Scope {
    kind: ScopeKind,
    parent: Option<ScopeId>,
    names: FastMap<Name, Vec<Entity>>,
    opened: Vec<ScopeId>,
    /// A class's bases, whose names it hides (class.member.lookup).
    bases: Vec<ScopeId>,
    /// `ns::`, for the names that the host uses.
    prefix: Arc<str>,
    /// It binds the parameters of a template.
    parameters: bool,
    /// It binds names of packs to elements.
    elements: bool,
}

impl Scope {
    /// Whether no name is found in it so far.
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.opened.is_empty() && self.bases.is_empty()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: Option<Name>,
    pub(crate) qual: Qual,
    pub(crate) span: Span,
    default: Option<Arc<ast::Expr>>,
}

/// `Ts... rest`: the range of the function's parameters that it expands to.
#[derive(Clone, Copy, Debug)]
struct ParameterPack {
    name: Name,
    first: u32,
    count: u32,
}

/// A declared function, with or without a definition.
#[derive(Clone, Debug)]
pub(crate) struct Func {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
    packs: Vec<ParameterPack>,
    /// `None` until an `auto` is deduced.
    result: Option<Qual>,
    /// The scope in which its body looks up names.
    scope: ScopeId,
    class: Option<StructId>,
    /// A member that needs an object: whether `this` is const, and its address space if it says one.
    this: Option<(bool, Option<AddressSpace>)>,
    constructor: bool,
    /// An `explicit` constructor or conversion function: not for implicit conversions.
    explicit: bool,
    pub(crate) stage: Option<ast::Stage>,
    pub(crate) signature: Arc<ast::Signature>,
    pub(crate) attributes: Vec<ast::Attribute>,
    definition: Option<Arc<ast::Function>>,
    pub(crate) span: Span,
    deleted: bool,
    /// An explicit specialisation of a class template's member.
    specialised: bool,
    /// An instance of a template: its errors are reported when it is needed.
    template: bool,
    /// The template that it is an instance of itself.
    made_from: Option<template::TemplateId>,
    /// The first use of the instance that it is or is a member of.
    origin: Option<template::OriginId>,
}

impl Func {
    /// The host finds it by this name: for an instance of a template, its host name.
    pub(crate) fn is_entry(&self) -> bool {
        self.is_defined() && !self.template
    }

    fn result(&self) -> Option<Qual> {
        self.result
    }

    pub(crate) fn is_defined(&self) -> bool {
        self.definition.is_some()
    }
}

/// A function's body in one address space of `this`.
#[derive(Debug)]
struct Instance {
    func: FuncId,
    space: Option<AddressSpace>,
    state: State,
}

#[derive(Clone, Debug)]
pub(crate) enum State {
    Unchecked,
    Checking,
    Checked(Arc<hir::Function>),
    /// An error in the function of this name and position. Without diagnostics if they are already reported.
    Failed(Diagnostics, Arc<str>, Span),
}

/// A variable that is not private to a thread.
#[derive(Clone, Debug)]
pub(crate) struct Global {
    pub(crate) name: String,
    pub(crate) qual: Qual,
    pub(crate) span: Span,
    pub(crate) init: Option<Arc<hir::Expr>>,
    /// `[[function_constant(n)]]`
    pub(crate) function_constant: Option<u32>,
    value: Option<hir::Constant>,
}

impl Global {
    /// The value of a scalar: from its initialiser, or a function constant's from the host.
    pub(crate) fn known_value(&self) -> Option<hir::Constant> {
        self.value
    }

    /// The description of a function constant for the host.
    fn as_function_constant(&self, types: &Types) -> Option<super::FunctionConstant> {
        let index = self.function_constant?;
        let (scalar, width) = types.arithmetic(self.qual.ty)?;
        Some(super::FunctionConstant { name: self.name.clone(), index, scalar, width })
    }

    /// Whether this is a function constant without a value from the host.
    pub(crate) fn lacks_value(&self) -> bool {
        self.function_constant.is_some() && self.value.is_none() && self.init.is_none()
    }
}

/// The checker's data on a struct besides its layout.
#[derive(Clone, Debug)]
struct Class {
    scope: ScopeId,
    /// Functions and templates of functions.
    constructors: Vec<Entity>,
    conversions: Vec<Entity>,
    /// `int x = 1;`
    defaults: Vec<Option<Arc<ast::Simple>>>,
    /// A destructor that does something.
    destructor: Option<FuncId>,
    /// Whether it declares a destructor that is not defaulted there, also one that does nothing.
    provides_destructor: bool,
    introduced: using::Introduced,
}

impl Class {
    fn new(scope: ScopeId) -> Class {
        Class {
            scope,
            constructors: Vec::new(),
            conversions: Vec::new(),
            defaults: Vec::new(),
            destructor: None,
            provides_destructor: false,
            introduced: Default::default(),
        }
    }
}

/// The function whose body is being checked.
#[derive(Debug)]
struct Body {
    owner: Owner,
    locals: Vec<hir::Local>,
    /// The values of constant locals.
    values: Vec<Option<hir::Constant>>,
    /// The values of constant locals that are not scalars.
    items: FastMap<LocalIndex, evaluate::Item>,
    result: Option<Qual>,
    /// Whether the declared result is `decltype(auto)`.
    decltype: bool,
    this: Option<(StructId, Qual)>,
    /// The object whose default member initialisers are being checked, and whether one used it.
    initialised: Option<(hir::Expr, bool)>,
    /// Whether it is a kernel or another entry point.
    entry: bool,
    breakable: u32,
    loops: u32,
    /// The labels of the enclosing switches, innermost last.
    labels: Vec<FastSet<Option<i64>>>,
    /// The objects to destroy.
    cleanups: destroy::Cleanups,
}

/// The results of the earlier phases.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) names: Names,
    pub(crate) diagnostics: Diagnostics,
}

#[derive(Debug)]
pub(crate) struct Checker {
    pub(crate) context: Context,
    pub(crate) types: Types,
    scopes: Vec<Scope>,
    variables: Vec<Variable>,
    /// The names of several functions in expressions.
    overloaded: Vec<overloaded::Overloaded>,
    /// Elements of braced lists that are arguments.
    checked_items: Vec<hir::Expr>,
    /// Those lists.
    lists: Vec<Arc<[list::Element]>>,
    /// The ranks of the conversions of such lists.
    list_ranks: FastMap<(u32, TyId), Option<convert::Rank>>,
    /// The parts that structured bindings name, each with the body that it belongs to.
    bindings: Vec<(Owner, hir::Expr)>,
    /// The call operators of lambdas without captures, as functions that need no object.
    static_operators: FastMap<FuncId, FuncId>,
    /// The number of bodies so far, for [`Owner::Body`].
    bodies: u32,
    /// The nesting of unevaluated operands (`sizeof`, `decltype`).
    unevaluated: u32,
    /// Whether the argument of a user-defined conversion is ranked, which needs another conversion than such a one.
    converting: bool,
    pub(crate) functions: Vec<Func>,
    /// The functions of a scope by name and parameter types, to find redeclarations.
    signatures: FastMap<Signature, Vec<FuncId>>,
    instances: Vec<Instance>,
    instance_map: FastMap<(FuncId, Option<AddressSpace>), InstanceIndex>,
    globals: Arc<Vec<Arc<Global>>>,
    /// The function constants, by index.
    function_constant_indices: FastMap<u32, GlobalIndex>,
    classes: Vec<Class>,
    /// Whether any class has a copy constructor or copy assignment that is not defaulted.
    copies_by_functions: bool,
    /// Whether any class has a destructor that does something.
    has_destructors: bool,
    /// The names that nested namespaces declare.
    inner_names: FastSet<Name>,
    enum_scopes: FastMap<EnumId, ScopeId>,
    enum_types: FastMap<Name, TyId>,
    /// Functions of the prelude, by row and type.
    prelude_functions: FastMap<(usize, TyId), FuncId>,
    library: &'static library::Library,
    /// The version of the language, if older ones than the newest are to be respected.
    pub(crate) language: Option<u32>,
    /// A name of the library that this version does not have, which look-up has just found.
    newer: Option<Name>,
    templates: template::Templates,
    /// The instance of a template that is being checked.
    origin: Option<template::OriginId>,
    /// Functions that explicit instantiation exports to the host, by name.
    pub(crate) exports: Vec<(String, FuncId)>,
    /// Whether the program has `using namespace metal;`.
    uses_metal: bool,
    scope: ScopeId,
    body: Option<Body>,
    /// The total size of the `constant` variables.
    constant_bytes: u64,
    evaluations: Evaluations,
    /// The elements of the fold expressions that are being checked: an expression is as deep as they are many.
    folded: usize,
    /// The nesting of default arguments and default member initialisers that are being checked.
    defaults: u32,
    /// The nesting of calls in constant evaluation and of instantiations.
    depth: u32,
}

const LIBRARY_SCOPE: ScopeId = ScopeId(0);
const GLOBAL_SCOPE: ScopeId = ScopeId(1);
/// The program's additions to `namespace metal`. It is inside the global namespace, unlike the library, whose
/// names are found last.
const REOPENED_SCOPE: ScopeId = ScopeId(2);

/// The largest total size of a library's `constant` variables.
const MAX_CONSTANT_BYTES: u64 = 64 << 20;

/// Maximum nesting of functions whose checking requires other functions (`auto` results, constants).
const MAX_DEPTH: u32 = 2048;
/// Those that may be nested whatever stack is left.
const SURE_DEPTH: u32 = 64;

/// Maximum nesting of default arguments and default member initialisers that need each other.
const MAX_DEFAULTS: u32 = 1024;

/// Identifies a function: its scope, name and parameter types.
type Signature = (ScopeId, Name, Box<[TyId]>);

impl Checker {
    pub(crate) fn new(context: Context, library: &'static library::Library) -> Checker {
        let scope = |parent| Scope {
            kind: ScopeKind::Namespace,
            parent,
            names: FastMap::default(),
            opened: Vec::new(),
            bases: Vec::new(),
            prefix: "".into(),
            parameters: false,
            elements: false,
        };
        let mut checker = Checker {
            context,
            types: Types::new(),
            scopes: vec![scope(None), scope(Some(LIBRARY_SCOPE)), scope(Some(GLOBAL_SCOPE))],
            variables: Vec::new(),
            overloaded: Vec::new(),
            checked_items: Vec::new(),
            lists: Vec::new(),
            list_ranks: FastMap::default(),
            bindings: Vec::new(),
            static_operators: FastMap::default(),
            bodies: 0,
            unevaluated: 0,
            converting: false,
            functions: Vec::new(),
            signatures: FastMap::default(),
            instances: Vec::new(),
            instance_map: FastMap::default(),
            globals: Arc::default(),
            function_constant_indices: FastMap::default(),
            classes: Vec::new(),
            copies_by_functions: false,
            has_destructors: false,
            inner_names: FastSet::default(),
            enum_scopes: FastMap::default(),
            enum_types: FastMap::default(),
            prelude_functions: FastMap::default(),
            library,
            language: None,
            newer: None,
            templates: template::Templates::default(),
            origin: None,
            exports: Vec::new(),
            uses_metal: false,
            scope: GLOBAL_SCOPE,
            body: None,
            constant_bytes: 0,
            evaluations: Evaluations::default(),
            folded: 0,
            defaults: 0,
            depth: 0,
        };
        for name in
            [Name::METAL, Name::FAST, Name::PRECISE, Name::STD, Name::SIMD, Name::RAYTRACING]
        {
            checker.bind(LIBRARY_SCOPE, name, Entity::Namespace(LIBRARY_SCOPE));
        }
        checker.extend_prefix(REOPENED_SCOPE, "metal");
        checker
    }

    /// Reports an error; in an instance of a template, with notes on where it was instantiated.
    fn error(&mut self, span: Span, message: impl Into<String>) {
        let before = self.context.diagnostics.len();
        self.context.diagnostics.error(span, message);
        if self.context.diagnostics.len() > before {
            self.note_origins();
        }
    }

    fn unsupported(&mut self, span: Span, what: impl std::fmt::Display) {
        self.context.diagnostics.unsupported(span, format!("{what} not supported"));
    }

    fn text(&self, name: Name) -> String {
        self.context.names.text(name).to_string()
    }

    fn bind(&mut self, scope: ScopeId, name: Name, entity: Entity) {
        if let Entity::Function(id) = entity {
            let types = decl::parameter_types(self.func(id));
            self.signatures.entry((scope, name, types)).or_default().push(id);
        }
        let row = &mut self.scopes[scope.0 as usize];
        row.names.entry(name).or_default().push(entity);
        // Nobody opens the scope of a template's parameters.
        let is_opened = row.kind == ScopeKind::Namespace && !row.parameters;
        if is_opened && scope != GLOBAL_SCOPE && scope != LIBRARY_SCOPE {
            self.inner_names.insert(name);
        }
    }

    /// A new scope inside another one.
    fn new_scope(&mut self, kind: ScopeKind, mut parent: ScopeId) -> ScopeId {
        let prefix = self.scopes[parent.0 as usize].prefix.clone();
        // A block that declares nothing before a block in it is not searched: a chain of `else if` nests thousands.
        while kind == ScopeKind::Block
            && let Scope { kind: ScopeKind::Block, parent: Some(around), .. } =
                self.scopes[parent.0 as usize]
            && self.scopes[parent.0 as usize].is_empty()
        {
            parent = around;
        }
        self.scopes.push(Scope {
            kind,
            parent: Some(parent),
            names: FastMap::default(),
            opened: Vec::new(),
            bases: Vec::new(),
            prefix,
            parameters: false,
            elements: false,
        });
        ScopeId(self.scopes.len() as u32 - 1)
    }

    /// Removes a scope that is no longer used, if no scope was made after it.
    fn remove_last_scope(&mut self, scope: ScopeId) {
        if scope.0 as usize + 1 == self.scopes.len() {
            self.scopes.pop();
        }
    }

    /// Appends a name to the qualifier of a scope's members.
    fn extend_prefix(&mut self, scope: ScopeId, name: &str) {
        let prefix = &mut self.scopes[scope.0 as usize].prefix;
        *prefix = format!("{prefix}{name}::").into();
    }

    /// Runs a check in a new block scope.
    fn scoped<T>(&mut self, check: impl FnOnce(&mut Self) -> T) -> T {
        check(&mut self.in_new_scope(ScopeKind::Block))
    }

    /// Runs a check in another scope, outside any function.
    fn outside<T>(&mut self, scope: ScopeId, check: impl FnOnce(&mut Self) -> T) -> T {
        check(&mut self.outside_of_body(scope))
    }

    pub(crate) fn func(&self, id: FuncId) -> &Func {
        &self.functions[id.0 as usize]
    }

    pub(crate) fn function_constants(&self) -> Vec<super::FunctionConstant> {
        let globals = self.globals.iter();
        globals.filter_map(|global| global.as_function_constant(&self.types)).collect()
    }

    /// Drops the state of work that an internal error interrupted, so that other kernels compile.
    /// Returns the diagnostics reported before it.
    pub(crate) fn recover(&mut self) -> Diagnostics {
        (self.scope, self.body, self.origin) = (GLOBAL_SCOPE, None, None);
        (self.depth, self.templates.depth, self.unevaluated) = (0, 0, 0);
        (self.folded, self.defaults) = (0, 0);
        (self.converting, self.templates.of_static) = (false, false);
        for instance in &mut self.instances {
            if matches!(instance.state, State::Checking) {
                instance.state = State::Unchecked;
            }
        }
        std::mem::take(&mut self.context.diagnostics)
    }

    /// Takes everything out that has expressions.
    pub(crate) fn take_bodies(&mut self) -> impl Send + use<> {
        let bodies = (std::mem::take(&mut self.instances), std::mem::take(&mut self.globals));
        let items = std::mem::take(&mut self.checked_items);
        (bodies, items, std::mem::take(&mut self.bindings), std::mem::take(&mut self.overloaded))
    }

    /// Records the position that is being checked, for the report of an internal error: the last one
    /// in the program's own text.
    pub(crate) fn at(&self, span: Span) {
        if self.library.is_of_program(span) {
            ir::compiling(ir::Span(span.lo));
        }
    }

    /// The instance of a function for an address space of `this`.
    pub(crate) fn instance(&mut self, func: FuncId, space: Option<AddressSpace>) -> InstanceIndex {
        let space = match self.func(func).this {
            Some((_, declared)) => declared.or(space).or(Some(AddressSpace::Thread)),
            None => None,
        };
        if let Some(&index) = self.instance_map.get(&(func, space)) {
            return index;
        }
        let index = InstanceIndex(self.instances.len() as u32);
        self.instances.push(Instance { func, space, state: State::Unchecked });
        self.instance_map.insert((func, space), index);
        index
    }

    /// Checks a default argument or a default member initialiser, which may need others.
    fn with_default(
        &mut self,
        span: Span,
        check: impl FnOnce(&mut Self) -> hir::Expr,
    ) -> hir::Expr {
        let deep = self.defaults >= SURE_DEPTH && !ir::is_stack_left();
        if deep || self.defaults >= MAX_DEFAULTS {
            let message = format!(
                "default arguments and member initializers that need each other are nested {} deep, which is the limit",
                self.defaults
            );
            self.error(span, message);
            return self.error_expr(span);
        }
        if !self.charge(template::Resource::Defaults, 1, span) {
            return self.error_expr(span);
        }
        self.defaults += 1;
        let value = check(self);
        self.defaults -= 1;
        value
    }

    /// Checks the body of an instance, once; returns its state.
    pub(crate) fn check_instance(&mut self, index: InstanceIndex) -> State {
        let at = index.0 as usize;
        if !matches!(self.instances[at].state, State::Unchecked) {
            return self.instances[at].state.clone();
        }
        let func = self.instances[at].func;
        let span = self.func(func).span;
        if self.depth >= MAX_DEPTH || self.depth >= SURE_DEPTH && !ir::is_stack_left() {
            let message = format!(
                "functions whose results or constants need each other are nested {} deep, which is \
                 the limit: declare the type of a result instead of 'auto'",
                self.depth
            );
            self.error(span, message);
            return State::Failed(
                Diagnostics::default(),
                self.func(func).name.as_str().into(),
                span,
            );
        }
        self.depth += 1;
        self.instances[at].state = State::Checking;
        let space = self.instances[at].space;
        let outer = std::mem::take(&mut self.context.diagnostics);
        let mut there = self.outside_of_body(self.func(func).scope);
        there.origin = there.func(func).origin;
        let function = there.function_body(func, space);
        drop(there);
        self.depth -= 1;
        let diagnostics = std::mem::replace(&mut self.context.diagnostics, outer);
        // Errors in graphics stages are deferred: a file's kernels must not fail for them. So are those
        // of functions that are only declared, until they are used.
        let deferred = !diagnostics.has_hard_errors()
            || diagnostics.begins_with_unsupported()
            || !self.func(func).is_defined()
            || self.func(func).template
            || matches!(self.func(func).stage, Some(stage) if stage != ast::Stage::Kernel);
        let state = match function {
            Some(function) if !diagnostics.has_errors() => State::Checked(Arc::new(function)),
            _ => {
                let diagnostics =
                    if deferred { diagnostics.clone() } else { Diagnostics::default() };
                State::Failed(diagnostics, self.func(func).name.as_str().into(), span)
            }
        };
        if !diagnostics.has_errors() || !deferred {
            self.context.diagnostics.append(diagnostics);
        }
        self.instances[at].state = state.clone();
        state
    }

    /// Checks every function that can be checked without a request for a kernel.
    pub(crate) fn check_all_bodies(&mut self) {
        let mut next = 0;
        while next < self.functions.len() {
            let id = FuncId(next as u32);
            next += 1;
            let func = self.func(id);
            if func.definition.is_none() || func.template || func.span.lo < self.library.end {
                continue;
            }
            let index = self.instance(id, None);
            self.check_instance(index);
            if self.context.diagnostics.is_full() {
                return;
            }
        }
    }

    fn this_body(&mut self) -> Option<&mut Body> {
        self.body.as_mut()
    }

    fn new_local(&mut self, name: String, qual: Qual) -> LocalIndex {
        #[cfg(test)]
        ir::inject_internal_error("check", &name);
        let Some(body) = &mut self.body else {
            ir::internal_error(format!("local '{name}' is declared outside of a function's body"))
        };
        body.locals.push(hir::Local { name, qual, in_memory: false });
        body.values.push(None);
        LocalIndex(body.locals.len() as u32 - 1)
    }

    /// Binds the name of a local of the body that is being checked, in the current scope.
    fn bind_local(&mut self, name: Name, local: LocalIndex, span: Span) {
        let variable = self.variable(local, span);
        self.bind_variable(name, variable);
    }

    fn bind_variable(&mut self, name: Name, variable: VariableId) {
        self.bind(self.scope, name, Entity::Local(variable));
    }

    /// The name's entity of a local of the current body.
    fn variable(&mut self, local: LocalIndex, span: Span) -> VariableId {
        let Some(body) = &self.body else {
            ir::internal_error("a local is named outside of a function's body")
        };
        let at = local.0 as usize;
        let (owner, qual, value) = (body.owner, body.locals[at].qual, body.values[at]);
        self.add_variable(Variable { owner, local, qual, value, span })
    }

    fn add_variable(&mut self, variable: Variable) -> VariableId {
        self.variables.push(variable);
        VariableId(self.variables.len() as u32 - 1)
    }
}
