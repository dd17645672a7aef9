//! Lowering: translates the typed tree of one kernel and of all functions it calls to the IR.

mod aggregate;
mod call;
mod data;
mod expr;
mod form;
mod place;
mod stmt;
mod texture;
mod union;

use super::ast::AddressSpace;
use super::check::State;
use super::check::entry::{Access, ArgumentKind, Reflection};
use super::check::library::Library;
use super::check::program::{Role, Specialisation};
use super::diagnostics::Diagnostics;
use super::hir::{self, GlobalIndex, InstanceIndex, LocalIndex};
use super::source::Span;
use super::types::{Qual, Ty, TyId, Types};
use crate::soft::ir::hash::FastMap;
use crate::soft::ir::{
    self, Allocation, AllocationId, AllocationKind, Bound, FunctionBuilder, HANDLE_BYTES, Op,
    Scalar, Space, Type, Value, VarId, limits,
};
use std::sync::Arc;

pub(crate) fn space(space: AddressSpace) -> Space {
    match space {
        AddressSpace::Device => Space::Device,
        AddressSpace::Constant => Space::Constant,
        AddressSpace::Threadgroup => Space::Threadgroup,
        AddressSpace::Thread | AddressSpace::Other => Space::Thread,
    }
}

/// A function with all that it reaches: the kernel, or a function that is linked to it.
#[derive(Clone, Copy)]
pub(crate) struct Unit<'a> {
    pub(crate) special: &'a Specialisation<'a>,
    /// The handle of the function, which pointers to it hold; 0 for the kernel.
    pub(crate) handle: u64,
    /// The offset that is added to its source positions.
    pub(crate) base: u32,
}

/// Why a kernel could not be lowered: the errors in one of the units.
pub(crate) struct Failure {
    pub(crate) unit: usize,
    pub(crate) diagnostics: Box<Diagnostics>,
}

/// A function of a unit, at a depth of calls through pointers.
type Key = (usize, InstanceIndex, u32);

/// The state of lowering one kernel.
struct Lowering<'a> {
    /// The kernel, and the functions that are linked to it.
    units: &'a [Unit<'a>],
    /// The most calls through pointers that are open at once.
    deepest: u32,
    /// The unit and the depth of the function that is lowered.
    unit: usize,
    depth: u32,
    special: &'a Specialisation<'a>,
    types: &'a Types,
    diagnostics: Diagnostics,
    allocations: Vec<Allocation>,
    textures: Vec<Bound>,
    samplers: Vec<Bound>,
    functions: Vec<Option<ir::Function>>,
    /// The IR function of each instance that was reached, and the instances still to be lowered.
    known: FastMap<Key, ir::FuncId>,
    waiting: Vec<Key>,
    /// The call graph, for the check against recursion.
    calls: Vec<(ir::FuncId, ir::FuncId, Span)>,
    globals: FastMap<(usize, GlobalIndex), AllocationId>,
}

/// Where a local is stored.
#[derive(Clone, Copy)]
enum Slot {
    Unset,
    Register(VarId),
    Memory(Value),
    /// A parameter that is not assigned, or another value that never changes.
    Fixed(Value),
}

/// The state of lowering one function.
struct Body<'a, 'b> {
    module: &'b mut Lowering<'a>,
    function: Arc<hir::Function>,
    b: FunctionBuilder,
    id: ir::FuncId,
    slots: Vec<Slot>,
    /// The memory for a struct result.
    result: Option<Value>,
    /// The enclosing loops and switches, innermost last: for a switch, the flag that a `continue`
    /// through it sets.
    open: Vec<Option<VarId>>,
    /// The unions in locals, if reads of their members are checked.
    unions: union::Unions,
    /// The enclosing switches that a `continue` passes through.
    span: Span,
}

/// Lowers a kernel, the first of the units, with the functions that are linked to it.
pub(crate) fn lower(units: &[Unit<'_>], deepest: u32) -> Result<ir::Module, Failure> {
    let special = units[0].special;
    let instance = special.program.kernel;
    let mut lowering = Lowering {
        units,
        deepest,
        unit: 0,
        depth: 0,
        special,
        types: &special.program.types,
        diagnostics: Diagnostics::default(),
        allocations: Vec::new(),
        textures: Vec::new(),
        samplers: Vec::new(),
        functions: vec![None],
        known: FastMap::default(),
        waiting: Vec::new(),
        calls: Vec::new(),
        globals: FastMap::default(),
    };
    lowering.known.insert((0, instance, 0), ir::FuncId(0));
    let reflection = &special.program.reflection;
    let arguments = (special.program.role == Role::Kernel).then_some(reflection);
    lowering.instance(instance, ir::FuncId(0), arguments);
    while let Some(next) = lowering.waiting.pop() {
        let id = lowering.known[&next];
        lowering.enter(next);
        lowering.instance(next.1, id, None);
        if lowering.unit > 0 && lowering.diagnostics.has_errors() {
            return Err(Failure {
                unit: lowering.unit,
                diagnostics: Box::new(lowering.diagnostics),
            });
        }
        if lowering.functions.len() > MAX_FUNCTIONS {
            let (number, span) = (lowering.functions.len(), special.program.span);
            let name = &special.program.name;
            let message = format!(
                "kernel '{name}' calls {number} functions or more; the limit is {MAX_FUNCTIONS}: split it \
                 into several kernels, or instantiate fewer templates"
            );
            lowering.diagnostics.error(span, message);
            break;
        }
    }
    lowering.find_recursion();
    if lowering.diagnostics.has_errors() {
        return Err(Failure { unit: 0, diagnostics: Box::new(lowering.diagnostics) });
    }
    let functions = lowering.functions.into_iter().flatten().collect();
    Ok(ir::Module {
        name: special.program.name.clone(),
        allocations: lowering.allocations,
        textures: lowering.textures,
        samplers: lowering.samplers,
        functions,
        library: ir::Library::default(),
        entry: ir::FuncId(0),
    })
}

const MAX_FUNCTIONS: usize = 10_000;

/// The IR type of a value; of an aggregate, a pointer to it in thread memory.
fn type_of(types: &Types, ty: TyId) -> Type {
    match *types.get(ty) {
        Ty::Scalar(scalar) => Type::Scalar(scalar),
        Ty::Vector(scalar, width) | Ty::Packed(scalar, width) => Type::Vector(scalar, width),
        Ty::SimdgroupMatrix(scalar) => Type::Vector(scalar, 2),
        Ty::Enum(id) => Type::Scalar(types.enumeration(id).underlying),
        // A pointer to a function is a handle.
        Ty::Pointer(to) if matches!(types.get(to.ty), Ty::Function(..)) => Type::U64,
        Ty::Pointer(to) | Ty::Reference(to, _) => Type::Pointer(space(to.space_or_thread())),
        Ty::Nullptr | Ty::Texture(_) | Ty::Sampler | Ty::Opaque(_) => Type::U64,
        Ty::Void | Ty::Unknown | Ty::Function(..) => Type::Void,
        Ty::Struct(_) | Ty::Array(..) | Ty::Matrix(..) | Ty::Atomic(_) => {
            Type::Pointer(Space::Thread)
        }
    }
}

impl Lowering<'_> {
    /// The checked body of an instance; reports its errors.
    fn checked(&mut self, index: InstanceIndex) -> Option<Arc<hir::Function>> {
        match self.special.body(index) {
            State::Checked(function) => return Some(function.clone()),
            State::Failed(diagnostics, ..) if diagnostics.has_errors() => {
                self.diagnostics.append(diagnostics.clone())
            }
            State::Failed(_, name, span) => {
                self.diagnostics.error(*span, format!("function '{name}' has errors"));
            }
            State::Unchecked | State::Checking => {
                ir::internal_error("a kernel calls a function whose body was not checked")
            }
        }
        None
    }

    fn instance(&mut self, index: InstanceIndex, id: ir::FuncId, kernel: Option<&Reflection>) {
        let Some(function) = self.checked(index) else { return };
        if let Some(local) = function.locals.iter().find(|local| local.qual.ty == Types::UNKNOWN) {
            ir::untyped(format!("'{}'", local.name));
        }
        let result_ty = self.type_of(function.result);
        let by_pointer = self.types.is_aggregate(function.result);
        let mut parameters = Vec::new();
        if kernel.is_none() {
            if by_pointer {
                parameters.push(Type::Pointer(Space::Thread));
            }
            for local in &function.locals[..function.parameters as usize] {
                parameters.push(self.type_of(local.qual.ty));
            }
        }
        let result = if by_pointer || kernel.is_some() { Type::Void } else { result_ty };
        let mut b = FunctionBuilder::new(&function.name, parameters, result);
        let result_pointer = (by_pointer && kernel.is_none()).then(|| b.param(0));
        let slots = vec![Slot::Unset; function.locals.len()];
        let count = function.parameters;
        let mut body = Body {
            module: self,
            function: function.clone(),
            b,
            id,
            slots,
            result: result_pointer,
            open: Vec::new(),
            unions: union::Unions::default(),
            span: Span::default(),
        };
        match kernel {
            Some(reflection) => body.kernel_arguments(reflection),
            None => {
                let first = u32::from(result_pointer.is_some());
                for local in 0..count {
                    let value = body.b.param(first + local);
                    body.bind_parameter(LocalIndex(local), value);
                }
            }
        }
        body.start_unions();
        body.block(&function.body);
        if result != Type::Void && !body.b.is_closed() {
            // Flowing off the end returns 0 (C++14 [stmt.return]/2: undefined).
            let zero = body.zero(result);
            body.b.return_(Some(zero));
        }
        let lowered = body.b.finish();
        if self.functions.len() <= id.index() {
            self.functions.resize(id.index() + 1, None);
        }
        self.functions[id.index()] = Some(lowered);
    }

    fn type_of(&self, ty: TyId) -> Type {
        type_of(self.types, ty)
    }

    /// Goes on with a function of another unit or depth.
    fn enter(&mut self, (unit, _, depth): Key) {
        (self.unit, self.depth) = (unit, depth);
        self.special = self.units[unit].special;
        self.types = &self.special.program.types;
    }

    /// A function of the same unit, called by its name.
    fn function_of(&mut self, index: InstanceIndex) -> ir::FuncId {
        self.function_at((self.unit, index, self.depth))
    }

    fn function_at(&mut self, key: Key) -> ir::FuncId {
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        let id = ir::FuncId(self.functions.len() as u32);
        self.functions.push(None);
        self.known.insert(key, id);
        self.waiting.push(key);
        id
    }

    /// MSL 1.5.4: no recursion.
    fn find_recursion(&mut self) {
        let mut callees: FastMap<ir::FuncId, Vec<(ir::FuncId, Span)>> = FastMap::default();
        for &(from, to, span) in &self.calls {
            callees.entry(from).or_default().push((to, span));
        }
        // Depth first: 1 is in progress, 2 is done. The stack is explicit, as call chains may be long.
        let mut state = vec![0u8; self.functions.len()];
        let mut stack = vec![(ir::FuncId(0), 0usize)];
        state[0] = 1;
        while let Some((at, next)) = stack.last_mut() {
            let (from, index) = (*at, *next);
            *next += 1;
            match callees.get(&from).and_then(|list| list.get(index)) {
                Some(&(to, span)) => match state[to.index()] {
                    0 => {
                        state[to.index()] = 1;
                        stack.push((to, 0));
                    }
                    1 => {
                        self.diagnostics.error(span, "recursive function calls are not supported");
                        return;
                    }
                    _ => {}
                },
                None => {
                    state[from.index()] = 2;
                    stack.pop();
                }
            }
        }
    }

    /// The memory of a variable at program scope.
    fn global(&mut self, index: GlobalIndex) -> AllocationId {
        if let Some(&id) = self.globals.get(&(self.unit, index)) {
            return id;
        }
        let global = self.special.global(index).clone();
        if global.lacks_value() {
            let message = format!("function constant '{}' is needed and has no value", global.name);
            self.diagnostics.error(global.span, message);
        }
        let size = self.types.size(global.qual.ty);
        let kind = if global.qual.space == Some(AddressSpace::Threadgroup) {
            AllocationKind::Threadgroup(size)
        } else {
            AllocationKind::Table(self.table(&global, size))
        };
        let id = AllocationId(self.allocations.len() as u32);
        self.allocations.push(Allocation { name: global.name, kind });
        self.globals.insert((self.unit, index), id);
        id
    }
}

impl Lowering<'_> {
    /// The hidden buffer of a kernel that logs.
    fn log_buffer(&mut self) -> AllocationId {
        let index = limits::LOG_BUFFER;
        let is_log = |one: &Allocation| matches!(one.kind, AllocationKind::Buffer { index: other, .. } if other == index);
        let known = self.allocations.iter().position(is_log);
        AllocationId(known.unwrap_or_else(|| {
            let kind = AllocationKind::Buffer { index, writable: true, space: Space::Device };
            self.allocations.push(Allocation { name: "the log".to_owned(), kind });
            self.allocations.len() - 1
        }) as u32)
    }
}

impl Body<'_, '_> {
    fn ty(&self, ty: TyId) -> Type {
        self.module.type_of(ty)
    }

    fn at(&mut self, span: Span) {
        self.span = span;
        // The library's functions get the position of their calls.
        let own = Library::get().is_of_program(span);
        let Unit { base, .. } = self.module.units[self.module.unit];
        let moved = span.lo.checked_add(base).filter(|_| own).map(ir::Span);
        self.b.at(moved.unwrap_or_default());
        if own {
            ir::compiling(moved.unwrap_or_default());
        }
    }

    fn error(&mut self, message: &str) {
        self.module.diagnostics.error(self.span, message);
    }

    fn is_aggregate(&self, ty: TyId) -> bool {
        self.module.types.is_aggregate(ty)
    }

    fn size(&self, ty: TyId) -> u32 {
        self.module.types.size(ty)
    }

    /// The zero of a register type.
    fn zero(&mut self, ty: Type) -> Value {
        match ty {
            Type::Scalar(scalar) => self.b.constant(scalar, 0),
            Type::Vector(scalar, width) => {
                let zero = self.b.constant(scalar, 0);
                self.b.splat(zero, u32::from(width))
            }
            Type::Pointer(_) => {
                let zero = self.b.constant(Scalar::U64, 0);
                self.b.emit(Op::IntToPointer, ty, &[zero], 0)
            }
            Type::Void => self.b.constant(Scalar::I32, 0),
        }
    }

    fn bind_parameter(&mut self, local: LocalIndex, value: Value) {
        let row = self.function.locals[local.0 as usize].clone();
        let slot = if self.is_aggregate(row.qual.ty) {
            Slot::Memory(value)
        } else if matches!(self.module.types.get(row.qual.ty), Ty::Reference(..))
            || !row.in_memory && !self.function.uses.places.contains(&local)
        {
            // It keeps its value.
            Slot::Fixed(value)
        } else {
            let slot = self.new_slot(&row);
            match slot {
                Slot::Register(variable) => self.b.set(variable, value),
                Slot::Memory(pointer) => self.b.store(pointer, value),
                Slot::Fixed(_) | Slot::Unset => {}
            }
            slot
        };
        self.slots[local.0 as usize] = slot;
    }

    fn new_slot(&mut self, row: &hir::Local) -> Slot {
        if row.in_memory || self.is_aggregate(row.qual.ty) {
            let size = self.size(row.qual.ty).max(1);
            return Slot::Memory(self.b.local(&row.name, size));
        }
        let ty = self.ty(row.qual.ty);
        if ty == Type::Void {
            return Slot::Unset;
        }
        Slot::Register(self.b.variable(&row.name, ty))
    }

    /// A kernel's arguments: buffers and threadgroup memory are allocations, the rest values.
    fn kernel_arguments(&mut self, reflection: &Reflection) {
        for (at, argument) in reflection.arguments.iter().enumerate() {
            let local = LocalIndex(at as u32);
            let qual = self.function.locals[at].qual;
            let absent = self.module.special.is_absent(argument.condition);
            let ty = self.ty(qual.ty);
            let value = match argument.kind {
                ArgumentKind::Sampler if absent && argument.count.is_none() => {
                    self.absent_sampler()
                }
                _ if absent && argument.count.is_some() => self.b.local("", argument.size),
                _ if absent && argument.is_handle() => {
                    let null = self.zero(Type::Pointer(Space::Constant));
                    self.handle(null)
                }
                _ if absent => self.zero(ty),
                ArgumentKind::Buffer | ArgumentKind::Threadgroup => {
                    let space = space(argument.space);
                    let kind = match argument.kind {
                        ArgumentKind::Buffer => AllocationKind::Buffer {
                            index: argument.index,
                            writable: argument.access == Access::ReadWrite,
                            space,
                        },
                        _ => AllocationKind::ThreadgroupArgument { index: argument.index },
                    };
                    let id = AllocationId(self.module.allocations.len() as u32);
                    self.module.allocations.push(Allocation { name: argument.name.clone(), kind });
                    let pointer = self.b.allocation(id, space);
                    if argument.is_handle() { self.handle(pointer) } else { pointer }
                }
                ArgumentKind::Input(input) => self.input(input, qual),
                ArgumentKind::Texture => {
                    self.bound(Op::Texture, &argument.name, argument.index, argument.count)
                }
                ArgumentKind::Sampler => {
                    self.bound(Op::Sampler, &argument.name, argument.index, argument.count)
                }
                ArgumentKind::Unsupported => self.zero(ty),
            };
            self.bind_parameter(local, value);
        }
    }

    /// A `visible_function_table` whose entries are at an address, or a tensor whose record is.
    fn handle(&mut self, address: Value) -> Value {
        let handle = self.b.local("", HANDLE_BYTES);
        self.b.store(handle, address);
        handle
    }

    fn input(&mut self, input: ir::Input, qual: Qual) -> Value {
        let ty = self.ty(qual.ty);
        let parts: Vec<Value> = (0..ty.width().min(3)).map(|at| self.b.input(input, at)).collect();
        let whole = match parts[..] {
            [one] => one,
            _ => self.b.op(Op::Compose, &parts),
        };
        self.b.convert(whole, ty)
    }
}
