//! Builds a function statement by statement, and works out the type of each instruction.

use super::hash::FastMap;
use super::{
    AllocationId, Args, Barrier, Block, FuncId, Function, HANDLE_BYTES, Input, Inst, LocalId,
    LocalMemory, MemFlags, Op, Scalar, Space, Span, Stmt, TextureSide, Type, Value, VarId,
    Variable, internal_error, result,
};

/// Builds one [`Function`].
///
/// Statements are appended at an insertion point; `begin_…` and `end_…` open and close blocks, so a
/// front end can follow its own tree. The caller checks types before it lowers: an ill-typed operation
/// raises an [`internal_error()`] with the operation's name.
#[derive(Debug)]
pub(crate) struct FunctionBuilder {
    function: Function,
    /// Open blocks, innermost last; the function's body is first.
    open: Vec<Open>,
    span: Span,
    /// Free instructions made so far, but for parameters.
    free: FastMap<(Op, Type, u64), Value>,
    /// The instruction of each parameter that has one.
    params: Vec<Option<Value>>,
}

#[derive(Debug)]
struct Open {
    frame: Frame,
    block: Block,
}

#[derive(Debug)]
enum Frame {
    Body,
    Then { condition: Value },
    Else { condition: Value, then: Block },
    LoopBody { span: Span },
    LoopNext { body: Block, span: Span },
}

impl FunctionBuilder {
    /// Starts a function. A kernel has no parameters and the result [`Type::Void`].
    pub(crate) fn new(name: &str, params: Vec<Type>, result: Type) -> Self {
        let function = Function {
            name: name.to_owned(),
            params,
            result,
            insts: Vec::new(),
            variables: Vec::new(),
            locals: Vec::new(),
            joined: Vec::new(),
            body: Block::new(),
        };
        let open = vec![Open { frame: Frame::Body, block: Block::new() }];
        let params = vec![None; function.params.len()];
        Self { function, open, span: Span::default(), free: FastMap::default(), params }
    }

    /// Reserves memory for as many instructions as another function has, which this one will resemble.
    pub(crate) fn reserved_for(mut self, function: &Function) -> Self {
        self.function.insts.reserve(function.insts.len());
        self
    }

    /// Finishes the function.
    ///
    /// Raises an [`internal_error()`] if a block is still open.
    pub(crate) fn finish(mut self) -> Function {
        let body = self.pop();
        if !matches!(body.frame, Frame::Body) {
            internal_error(format!("end of {} after {:?}", self.function.name, body.frame));
        }
        self.function.body = body.block;
        self.function
    }

    /// Sets the source position of the instructions and statements built from here on.
    pub(crate) fn at(&mut self, span: Span) {
        self.span = span;
    }

    /// The function so far.
    pub(crate) fn function(&self) -> &Function {
        &self.function
    }

    /// The type of a value.
    pub(crate) fn ty(&self, value: Value) -> Type {
        self.function.ty(value)
    }

    /// The number of instructions.
    pub(crate) fn len(&self) -> usize {
        self.function.insts.len()
    }

    /// The bits of a value that is a constant.
    pub(crate) fn constant_bits(&self, value: Value) -> Option<u64> {
        let inst = self.function.inst(value);
        (inst.op == Op::Const).then_some(inst.imm)
    }

    // --- Instructions outside of blocks --------------------------------------------------------

    /// An instruction that belongs to no block; equal ones are created once.
    pub(crate) fn free(&mut self, op: Op, ty: Type, imm: u64) -> Value {
        if let Some(&value) = self.free.get(&(op, ty, imm)) {
            return value;
        }
        let value = self.define(Inst { op, ty, args: Args::NONE, imm, span: self.span });
        self.free.insert((op, ty, imm), value);
        value
    }

    /// A constant from its widened bits (see [`Scalar`]): integers of up to 32 bits as 32, `bool` as 0
    /// or 1, floating-point types as the bits of the equal `f32`.
    pub(crate) fn constant(&mut self, scalar: Scalar, bits: u64) -> Value {
        self.free(Op::Const, Type::Scalar(scalar), bits)
    }

    /// An integer constant of any integer type or `bool`, wrapped to the type.
    pub(crate) fn int(&mut self, scalar: Scalar, value: i64) -> Value {
        let bits = match scalar {
            Scalar::Bool => u64::from(value != 0),
            Scalar::I8 => value as i8 as u32 as u64,
            Scalar::U8 => value as u8 as u64,
            Scalar::I16 => value as i16 as u32 as u64,
            Scalar::U16 => value as u16 as u64,
            Scalar::I32 | Scalar::U32 => value as u32 as u64,
            _ => value as u64,
        };
        self.constant(scalar, bits)
    }

    /// A `uint` constant.
    pub(crate) fn u32(&mut self, value: u32) -> Value {
        self.constant(Scalar::U32, u64::from(value))
    }

    /// An `int` constant.
    pub(crate) fn i32(&mut self, value: i32) -> Value {
        self.constant(Scalar::I32, u64::from(value as u32))
    }

    /// A `float` constant.
    #[cfg(test)]
    pub(crate) fn f32(&mut self, value: f32) -> Value {
        self.constant(Scalar::F32, u64::from(value.to_bits()))
    }

    /// A `bool` constant.
    pub(crate) fn bool(&mut self, value: bool) -> Value {
        self.constant(Scalar::Bool, u64::from(value))
    }

    /// One component of an attribute, as `uint`. One-dimensional attributes have component 0 only.
    pub(crate) fn input(&mut self, input: Input, component: u32) -> Value {
        self.free(Op::Input, Type::U32, input.imm(component))
    }

    /// A parameter of the function.
    pub(crate) fn param(&mut self, index: u32) -> Value {
        let at = index as usize;
        if let Some(value) = self.params[at] {
            return value;
        }
        let (op, ty, args, imm) = (Op::Param, self.function.params[at], Args::NONE, index.into());
        let value = self.define(Inst { op, ty, args, imm, span: self.span });
        self.params[at] = Some(value);
        value
    }

    /// The start of an allocation of the module, whose address space is `space`.
    pub(crate) fn allocation(&mut self, id: AllocationId, space: Space) -> Value {
        self.free(Op::Allocation, Type::Pointer(space), u64::from(id.0))
    }

    /// Declares a local in thread memory, and returns the pointer to its start.
    pub(crate) fn local(&mut self, name: &str, bytes: u32) -> Value {
        self.local_like(LocalMemory { name: name.to_owned(), bytes, handles: false })
    }

    /// An array of textures or samplers in thread memory.
    pub(crate) fn local_handles(&mut self, name: &str, count: u32) -> Value {
        let bytes = count * HANDLE_BYTES;
        self.local_like(LocalMemory { name: name.to_owned(), bytes, handles: true })
    }

    /// Thread memory as described.
    pub(crate) fn local_like(&mut self, local: LocalMemory) -> Value {
        let id = LocalId(self.function.locals.len() as u32);
        self.function.locals.push(local);
        self.free(Op::Local, Type::Pointer(Space::Thread), u64::from(id.0))
    }

    /// Declares a variable.
    pub(crate) fn variable(&mut self, name: &str, ty: Type) -> VarId {
        let id = VarId(self.function.variables.len() as u32);
        self.function.variables.push(Variable { name: name.to_owned(), ty });
        id
    }

    // --- Instructions --------------------------------------------------------------------------

    fn define(&mut self, inst: Inst) -> Value {
        let value = Value(self.function.insts.len() as u32);
        self.function.insts.push(inst);
        value
    }

    fn push(&mut self, stmt: Stmt) {
        match self.open.last_mut() {
            Some(open) => open.block.push(stmt),
            None => internal_error("no block is open"),
        }
    }

    /// Appends any instruction. `stated` is the result type where the operands do not decide it, see
    /// [`Rule`](super::Rule); elsewhere it is ignored.
    ///
    /// Raises an [`internal_error()`] if the operands do not fit the operation.
    pub(crate) fn emit(&mut self, op: Op, stated: Type, args: &[Value], imm: u64) -> Value {
        let mut types = [Type::Void; 6];
        for (at, &arg) in args.iter().enumerate() {
            types[at] = self.ty(arg);
        }
        let types = &types[..args.len()];
        let ty = match result(op, stated, types, imm) {
            Ok(ty) => ty,
            Err(misfit) => {
                internal_error(format!("{}{types:?} -> {stated}: {misfit:?}", op.row().name))
            }
        };
        let value = self.define(Inst { op, ty, args: Args::new(args), imm, span: self.span });
        self.push(Stmt::Do(value));
        value
    }

    /// An operation whose operands decide its type: all arithmetic, comparisons, `Select`, `Dot`, ….
    pub(crate) fn op(&mut self, op: Op, args: &[Value]) -> Value {
        self.emit(op, Type::Void, args, 0)
    }

    /// `a + b`
    pub(crate) fn add(&mut self, a: Value, b: Value) -> Value {
        self.op(Op::Add, &[a, b])
    }

    /// `a - b`
    pub(crate) fn sub(&mut self, a: Value, b: Value) -> Value {
        self.op(Op::Sub, &[a, b])
    }

    /// `a * b`
    pub(crate) fn mul(&mut self, a: Value, b: Value) -> Value {
        self.op(Op::Mul, &[a, b])
    }

    /// `a < b`
    pub(crate) fn lt(&mut self, a: Value, b: Value) -> Value {
        self.op(Op::Lt, &[a, b])
    }

    /// Conversion to `ty`, shape unchanged.
    pub(crate) fn convert(&mut self, value: Value, ty: Type) -> Value {
        if self.ty(value) == ty { value } else { self.emit(Op::Convert, ty, &[value], 0) }
    }

    /// `as_type`
    pub(crate) fn bitcast(&mut self, value: Value, ty: Type) -> Value {
        if self.ty(value) == ty { value } else { self.emit(Op::Bitcast, ty, &[value], 0) }
    }

    /// A vector of `width` equal components; the scalar itself for a width of 1.
    pub(crate) fn splat(&mut self, scalar: Value, width: u32) -> Value {
        match (self.ty(scalar), width) {
            (_, 1) => scalar,
            (Type::Scalar(of), _) => self.emit(Op::Splat, Type::of(of, width), &[scalar], 0),
            (ty, _) => internal_error(format!("splat of {ty}")),
        }
    }

    /// One component of a vector.
    pub(crate) fn extract(&mut self, vector: Value, component: u32) -> Value {
        self.emit(Op::Extract, Type::Void, &[vector], u64::from(component))
    }

    /// `vector` with one component replaced.
    pub(crate) fn insert(&mut self, vector: Value, scalar: Value, component: u32) -> Value {
        self.emit(Op::Insert, Type::Void, &[vector, scalar], u64::from(component))
    }

    /// The picked components of a vector; one pick is a scalar.
    pub(crate) fn swizzle(&mut self, vector: Value, picks: &[u32]) -> Value {
        let Type::Vector(of, _) = self.ty(vector) else { internal_error("swizzle of a scalar") };
        if let &[component] = picks {
            return self.extract(vector, component);
        }
        let pattern = picks.iter().rev().fold(0, |pattern, &pick| pattern << 4 | u64::from(pick));
        self.emit(Op::Swizzle, Type::of(of, picks.len() as u32), &[vector], pattern)
    }

    /// `pointer + index * stride`
    pub(crate) fn index(&mut self, pointer: Value, index: Value, stride: i64) -> Value {
        self.emit(Op::Index, Type::Void, &[pointer, index], stride as u64)
    }

    /// `pointer` plus a constant number of bytes.
    pub(crate) fn field(&mut self, pointer: Value, bytes: i64) -> Value {
        if bytes == 0 {
            return pointer;
        }
        self.emit(Op::Field, Type::Void, &[pointer], bytes as u64)
    }

    /// Reads a `ty`.
    pub(crate) fn load(&mut self, pointer: Value, ty: Type) -> Value {
        self.emit(Op::Load, ty, &[pointer], 0)
    }

    /// Writes a value.
    pub(crate) fn store(&mut self, pointer: Value, value: Value) {
        self.emit(Op::Store, Type::Void, &[pointer, value], 0);
    }

    /// Copies bytes.
    pub(crate) fn copy(&mut self, to: Value, from: Value, bytes: u32) {
        self.emit(Op::Copy, Type::Void, &[to, from], u64::from(bytes));
    }

    /// The value of a variable at this point.
    pub(crate) fn get(&mut self, variable: VarId) -> Value {
        let ty = self.function.variables[variable.index()].ty;
        self.emit(Op::Get, ty, &[], u64::from(variable.0))
    }

    /// Assigns a variable.
    ///
    /// Raises an [`internal_error()`] if the types of value and variable differ.
    pub(crate) fn set(&mut self, variable: VarId, value: Value) {
        let (ty, found) = (self.function.variables[variable.index()].ty, self.ty(value));
        if ty != found {
            internal_error(format!("{variable} of type {ty} is set to a value of type {found}"));
        }
        self.emit(Op::Set, Type::Void, &[value], u64::from(variable.0));
    }

    /// A function of the SIMD-group (`Imm::Width` 32), or of the quad-group (4). `stated` as in
    /// [`emit`](Self::emit): for votes only.
    pub(crate) fn simd(&mut self, op: Op, width: u32, stated: Type, args: &[Value]) -> Value {
        self.emit(op, stated, args, u64::from(width))
    }

    /// A texture's size at a level.
    pub(crate) fn texture_size(
        &mut self,
        side: TextureSide,
        texture: Value,
        level: Value,
    ) -> Value {
        self.emit(Op::TextureSize, Type::Void, &[texture, level], side as u64)
    }

    /// Waits for the other threads, and orders all memory.
    #[cfg(test)]
    pub(crate) fn barrier(&mut self, barrier: Barrier) {
        self.barrier_of(barrier, MemFlags::ALL);
    }

    /// Waits for the other threads, and orders the memory that the flags name.
    pub(crate) fn barrier_of(&mut self, barrier: Barrier, flags: MemFlags) {
        self.emit(Op::Barrier, Type::Void, &[], barrier.imm(flags));
    }

    /// Calls `func`, whose result type is `result`.
    pub(crate) fn call(&mut self, func: FuncId, args: &[Value], result: Type) -> Option<Value> {
        let imm = Function::CALL_RESULT;
        let inst = Inst { op: Op::Param, ty: result, args: Args::NONE, imm, span: self.span };
        let result = (result != Type::Void).then(|| self.define(inst));
        self.push(Stmt::Call { func, args: args.to_vec(), result, span: self.span });
        result
    }

    // --- Control flow --------------------------------------------------------------------------

    fn begin(&mut self, frame: Frame) {
        self.open.push(Open { frame, block: Block::new() });
    }

    fn pop(&mut self) -> Open {
        self.open.pop().unwrap_or_else(|| internal_error("no block is open"))
    }

    fn end(&mut self) -> Open {
        match self.pop() {
            Open { frame: Frame::Body, .. } => internal_error("end of a block that is not open"),
            open => open,
        }
    }

    /// Opens the first block of an `if`.
    pub(crate) fn begin_if(&mut self, condition: Value) {
        let ty = self.ty(condition);
        if ty != Type::BOOL {
            internal_error(format!("condition of type {ty}"));
        }
        self.begin(Frame::Then { condition });
    }

    /// Closes the first block of an `if`, and opens the second.
    pub(crate) fn begin_else(&mut self) {
        match self.end() {
            Open { frame: Frame::Then { condition }, block } => {
                self.begin(Frame::Else { condition, then: block });
            }
            open => internal_error(format!("else after {:?}", open.frame)),
        }
    }

    /// Closes an `if`, with or without an `else`.
    pub(crate) fn end_if(&mut self) {
        let stmt = match self.end() {
            Open { frame: Frame::Then { condition }, block } => {
                Stmt::If(condition, block, Block::new())
            }
            Open { frame: Frame::Else { condition, then }, block } => {
                Stmt::If(condition, then, block)
            }
            open => internal_error(format!("end of if after {:?}", open.frame)),
        };
        self.push(stmt);
    }

    /// Opens the body of a loop.
    pub(crate) fn begin_loop(&mut self) {
        self.begin(Frame::LoopBody { span: self.span });
    }

    /// Closes the body of a loop, and opens the block that ends each iteration.
    pub(crate) fn begin_next(&mut self) {
        match self.end() {
            Open { frame: Frame::LoopBody { span }, block } => {
                self.begin(Frame::LoopNext { body: block, span });
            }
            open => internal_error(format!("next after {:?}", open.frame)),
        }
    }

    /// Closes a loop.
    pub(crate) fn end_loop(&mut self) {
        let stmt = match self.end() {
            Open { frame: Frame::LoopBody { span }, block } => {
                Stmt::Loop { body: block, next: Block::new(), span }
            }
            Open { frame: Frame::LoopNext { body, span }, block } => {
                Stmt::Loop { body, next: block, span }
            }
            open => internal_error(format!("end of loop after {:?}", open.frame)),
        };
        self.push(stmt);
    }

    /// `if (condition) break;`
    pub(crate) fn break_if(&mut self, condition: Value) {
        self.begin_if(condition);
        self.break_();
        self.end_if();
    }

    /// Whether control has left the open block, so that further statements in it are unreachable.
    pub(crate) fn is_closed(&self) -> bool {
        let last = self.open.last().and_then(|open| open.block.last());
        matches!(last, Some(Stmt::Break | Stmt::Continue | Stmt::Return(_)))
    }

    /// Leaves the innermost loop. The rest of the block is unreachable.
    pub(crate) fn break_(&mut self) {
        self.push(Stmt::Break);
    }

    /// Jumps to the end of the innermost loop's current iteration.
    pub(crate) fn continue_(&mut self) {
        self.push(Stmt::Continue);
    }

    /// Leaves the function.
    pub(crate) fn return_(&mut self, value: Option<Value>) {
        self.push(Stmt::Return(value));
    }
}
