//! The typed SIMT IR between the MSL front end and the back ends; `specs/ir.md` describes it.
//!
//! A [`Module`] is one kernel with the functions it calls. A function's code is a tree: a [`Block`] is a
//! list of statements, and `if` and `loop` hold blocks. There is no other control flow, so every pass is
//! a walk over the tree.
//!
//! There are three kinds of storage:
//!
//! * **Values** ([`Inst`]) are defined once, by an operation, and never change. They are computed for all
//!   lanes, active or not, so operations on values cannot fault.
//! * **Variables** ([`Variable`]) are registers that are assigned under the mask of active lanes. A
//!   variable replaces the phi of other IRs: each branch assigns it, and joins need no instruction.
//! * **Memory** is bytes that pointers point to: buffers, tables, threadgroup memory ([`Allocation`]), and the
//!   thread's own [`LocalMemory`]. The front end decides on layout: the IR has byte offsets only.

use std::sync::Arc;

mod address;
mod builder;
mod expected;
pub(crate) mod facts;
mod function_pointer;
pub(crate) mod half;
pub(crate) mod hash;
mod input;
mod internal_error;
mod joined;
mod layout;
pub(crate) mod limits;
mod math;
mod op;
pub(crate) mod passes;
mod print;
pub(crate) use print::Line;
mod probe;
mod routine;
mod rule;
pub(crate) mod sampler;
pub(crate) mod semantics;
pub(crate) mod shape;
mod stack;
mod types;
mod verify;
pub(crate) mod walk;

pub(crate) use address::Address;
pub(crate) use builder::FunctionBuilder;
pub(crate) use expected::Expected;
pub(crate) use function_pointer::{FAILED_CALL, FailedCall, TOO_DEEP};
pub(crate) use input::Input;
#[cfg(test)]
pub(crate) use internal_error::inject_internal_error;
pub(crate) use internal_error::{
    InternalError, catch_internal_error, compiling, compiling_instruction, internal_error, untyped,
};
pub(crate) use joined::JoinedLoads;
pub(crate) use layout::{Layout, Member, MemberKind};
#[cfg(test)]
pub(crate) use op::Class;
pub(crate) use op::{Barrier, Effect, Imm, Op, Rule, TextureAtomic, TextureSide, Uniform};
pub(crate) use probe::{AccessKind, Checks, Finding, MemFlags, Probe, Site, SiteKind};
pub(crate) use routine::Routine;
pub(crate) use rule::result;
pub(crate) use sampler::Sampler;
pub(crate) use shape::Shape;
pub(crate) use stack::{is_stack_left, is_stack_low, with_stack};
pub(crate) use types::{Scalar, Space, Type};
pub(crate) use verify::{Invalid, verify};

/// Declares a number that names an entry of one of the lists below.
macro_rules! id {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) u32);

        impl $name {
            /// The position in its list.
            #[allow(dead_code)] // Not everything that has a number is looked up by it.
            pub(crate) const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(out, concat!($prefix, "{}"), self.0)
            }
        }
    )*};
}

id! {
    /// An instruction of a function, and its value.
    Value "%";
    /// A variable of a function.
    VarId "$";
    /// A local of a function that lives in thread memory.
    LocalId "local";
    /// An allocation of the module.
    AllocationId "@";
    /// A function of the module.
    FuncId "f";
}

/// A position in the source text, as a number of the front end's choice, for reports of faults. The default
/// says nothing: an instruction of a library function, which is at the position of its call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Span(pub(crate) u32);

/// One kernel, with all that it needs to run.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// The kernel's name, as in the source.
    pub(crate) name: String,
    /// The memory that outlives a thread. [`Op::Allocation`] names an entry by its number.
    pub(crate) allocations: Vec<Allocation>,
    /// The textures that the host binds. [`Op::Texture`] names an entry by its number.
    pub(crate) textures: Vec<Bound>,
    /// The samplers that the host binds. [`Op::Sampler`] names an entry by its number.
    pub(crate) samplers: Vec<Bound>,
    /// The kernel and every function that it reaches.
    pub(crate) functions: Vec<Function>,
    /// The code of the library functions that they apply.
    pub(crate) library: Library,
    /// The kernel: a function without parameters and result, whose arguments are allocations and inputs. In the
    /// compilation of the library, a library function.
    pub(crate) entry: FuncId,
}

/// The code of library functions ([`Op::is_library`]), each without calls and applications of others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Library {
    functions: Vec<(Op, Arc<Function>)>,
    /// Compiles a routine when a back end first wants it.
    routine: Option<fn(Routine) -> Arc<Function>>,
}

impl Library {
    /// The library with these functions.
    pub(crate) fn of(functions: impl IntoIterator<Item = (Op, Arc<Function>)>) -> Self {
        Self { functions: functions.into_iter().collect(), routine: None }
    }

    /// The library with routines, too.
    pub(crate) fn with_routines(self, routine: fn(Routine) -> Arc<Function>) -> Self {
        Self { routine: Some(routine), ..self }
    }

    /// The code of a function. A kernel applies few.
    pub(crate) fn get(&self, op: Op) -> Option<&Function> {
        self.functions.iter().find(|entry| entry.0 == op).map(|entry| &*entry.1)
    }

    /// The code of a routine; `None` if the module came from elsewhere than the compiler.
    pub(crate) fn routine(&self, routine: Routine) -> Option<Arc<Function>> {
        self.routine.map(|code| code(routine))
    }
}

/// Memory that the kernel's pointers can start from.
#[derive(Clone, Debug)]
pub(crate) struct Allocation {
    /// The argument's or variable's name, for reports.
    pub(crate) name: String,
    /// The kind.
    pub(crate) kind: AllocationKind,
}

/// A texture or sampler argument; an array is one entry per element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The argument's name.
    pub(crate) name: String,
    /// Where it is bound.
    pub(crate) index: u32,
}

/// The kinds of [`Allocation`].
#[derive(Clone, Debug)]
pub(crate) enum AllocationKind {
    /// A binding at `[[buffer(index)]]`: `device` and `constant` arguments, pointers and references.
    Buffer {
        /// Where it is bound.
        index: u32,
        /// Whether the kernel may write there: `false` for `constant` and for pointers to `const`.
        writable: bool,
        /// `device` or `constant`.
        space: Space,
    },
    /// A table at program scope, in the `constant` address space.
    Table(Vec<u8>),
    /// A variable in threadgroup memory, of this many bytes. It is aligned to 16.
    Threadgroup(u32),
    /// An argument at `[[threadgroup(index)]]`, whose size the launch passes.
    ThreadgroupArgument {
        /// Where it is bound.
        index: u32,
    },
}

impl AllocationKind {
    /// The address space of pointers to it.
    pub(crate) const fn space(&self) -> Space {
        match self {
            Self::Buffer { space, .. } => *space,
            Self::Table(_) => Space::Constant,
            Self::Threadgroup(_) | Self::ThreadgroupArgument { .. } => Space::Threadgroup,
        }
    }
}

/// A function: its instructions, its storage, and the tree of its statements.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// The name, for print.
    pub(crate) name: String,
    /// Parameter types. Aggregates are passed by pointer, as a C ABI would.
    pub(crate) params: Vec<Type>,
    /// The result's type.
    pub(crate) result: Type,
    /// All instructions. Those that no block lists ([`Op::is_free`]) hold everywhere.
    pub(crate) insts: Vec<Inst>,
    /// The variables.
    pub(crate) variables: Vec<Variable>,
    /// The locals in thread memory.
    pub(crate) locals: Vec<LocalMemory>,
    /// The loads that were joined into one.
    pub(crate) joined: Vec<JoinedLoads>,
    /// The code.
    pub(crate) body: Block,
}

/// A register that is assigned: a scalar, a vector or a pointer. Read before it is assigned, it holds
/// some value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// The name, for print; may be empty.
    pub(crate) name: String,
    /// The type.
    pub(crate) ty: Type,
}

/// Bytes in the thread's own memory. Their initial contents are unspecified; they are preserved between the
/// iterations of a loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalMemory {
    /// The name, for reports.
    pub(crate) name: String,
    /// The size in bytes.
    pub(crate) bytes: u32,
    /// Whether it is an array of textures or samplers, of [`HANDLE_BYTES`] each: fault reports then name an element
    /// instead of an offset.
    pub(crate) handles: bool,
}

/// Bytes of a texture or a sampler in memory.
pub(crate) const HANDLE_BYTES: u32 = 8;

/// One instruction. What it does is in its operation's [`row`](Op::row).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inst {
    /// The operation.
    pub(crate) op: Op,
    /// The type of its value.
    pub(crate) ty: Type,
    /// The operands.
    pub(crate) args: Args,
    /// The immediate; the row's [`Imm`] says what it means.
    pub(crate) imm: u64,
    /// Where in the source it comes from.
    pub(crate) span: Span,
}

/// Up to six operands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Args {
    list: [Value; 6],
    len: u8,
}

impl std::hash::Hash for Inst {
    /// A few words in all: tables of instructions are searched for every instruction. Unused operands
    /// are the same in all lists.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f] = self.args.list;
        let pair = |a: Value, b: Value| (b.0 as u64) << 32 | a.0 as u64;
        state.write_u64(self.imm ^ (self.op as u64) << 48 ^ (self.ty.number() as u64) << 32);
        state.write_u64(pair(a, b));
        if self.args.len > 2 {
            state.write_u64(pair(c, d));
            state.write_u64(pair(e, f));
        }
    }
}

impl Args {
    /// The most operands.
    pub(crate) const MAX: usize = 6;
    /// No operands.
    pub(crate) const NONE: Self = Self { list: [Value(u32::MAX); 6], len: 0 };

    /// The operands in `args`; at most six.
    pub(crate) fn new(args: &[Value]) -> Self {
        let mut list = Self::NONE.list;
        list[..args.len()].copy_from_slice(args);
        Self { list, len: args.len() as u8 }
    }
}

impl std::ops::Deref for Args {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.list[..self.len as usize]
    }
}

impl std::ops::DerefMut for Args {
    fn deref_mut(&mut self) -> &mut [Value] {
        &mut self.list[..self.len as usize]
    }
}

impl std::fmt::Debug for Args {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.iter()).finish()
    }
}

/// Statements in order.
pub(crate) type Block = Vec<Stmt>;

/// A statement.
///
/// Each lane of a SIMD-group takes its own path through the tree; lanes on the same path run together.
/// Lanes reconverge after an `if`, and after a `loop` that they left by `break`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stmt {
    /// Executes an instruction. Each instruction that is not free is in exactly one block, once.
    Do(Value),
    /// Lanes where the condition (`bool`) holds take the first block, the others the second.
    If(Value, Block, Block),
    /// Repeats `body` and then `next` until a break. `continue` jumps to `next`, which holds the step of a
    /// `for` or the test of a `do while`; there is no `continue` in it.
    Loop {
        /// The loop's body.
        body: Block,
        /// Runs at the end of each iteration.
        next: Block,
        /// Where in the source.
        span: Span,
    },
    /// Leaves the innermost loop.
    Break,
    /// Goes to the `next` block of the innermost loop.
    Continue,
    /// Leaves the function, with its result unless that is void.
    Return(Option<Value>),
    /// Calls a function of the module. There is no recursion.
    Call {
        /// Which function.
        func: FuncId,
        /// The arguments.
        args: Vec<Value>,
        /// An instruction of the function's result type, defined by the call: an [`Op::Param`] whose
        /// immediate is [`Function::CALL_RESULT`]. `None` if the function has no result.
        result: Option<Value>,
        /// Where in the source.
        span: Span,
    },
}

impl Function {
    /// The immediate of an [`Op::Param`] instruction that is the result of a call.
    pub(crate) const CALL_RESULT: u64 = u64::MAX;

    /// The instruction of `value`.
    pub(crate) fn inst(&self, value: Value) -> &Inst {
        &self.insts[value.index()]
    }

    /// The type of `value`.
    pub(crate) fn ty(&self, value: Value) -> Type {
        self.inst(value).ty
    }
}

impl Module {
    /// The function named by `id`.
    pub(crate) fn function(&self, id: FuncId) -> &Function {
        &self.functions[id.index()]
    }
}
