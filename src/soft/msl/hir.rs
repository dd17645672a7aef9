//! The checked (typed) tree: names are resolved, conversions explicit, types known.

use super::check::builtins::Builtin;
use super::source::Span;
use super::types::{Qual, TyId};
use crate::soft::ir::Op;
use crate::soft::sorted::SortedSet;

/// A local variable, parameter or `this` of a function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct LocalIndex(pub(crate) u32);

/// A variable at program scope, or static in a function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct GlobalIndex(pub(crate) u32);

/// A function with its template arguments and the address space of its `this`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct InstanceIndex(pub(crate) u32);

#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) name: String,
    pub(crate) qual: Qual,
    /// Its address is taken or a reference binds to it: it cannot be in a register.
    pub(crate) in_memory: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) locals: Vec<Local>,
    /// The first locals are the parameters; a member function's first is `this`.
    pub(crate) parameters: u32,
    pub(crate) result: TyId,
    pub(crate) body: Vec<Stmt>,
    /// The functions and variables that the body uses.
    pub(crate) uses: Uses,
}

/// The functions and program-scope variables that expressions use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    pub(crate) functions: SortedSet<InstanceIndex>,
    pub(crate) globals: SortedSet<GlobalIndex>,
    /// The functions whose addresses are used.
    pub(crate) pointed: SortedSet<InstanceIndex>,
    /// The locals of which more than the value is used: they may be assigned.
    pub(crate) places: SortedSet<LocalIndex>,
    /// All parts of locals that are used, if the caller wants them.
    locals: Option<SortedSet<(LocalIndex, Part)>>,
    /// The number of expressions and statements.
    pub(crate) size: usize,
}

/// A part of a local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Whole,
    /// A member of a structure.
    Member(u32),
}

impl Expr {
    /// The local that it is, or whose components it is.
    fn as_local(&self) -> Option<LocalIndex> {
        match &self.kind {
            ExprKind::Local(local) => Some(*local),
            ExprKind::Swizzle(whole, _) => whole.as_local(),
            _ => None,
        }
    }
}

impl Uses {
    pub(crate) fn of_block(block: &[Stmt]) -> Uses {
        let mut uses = Uses::default();
        uses.block(block);
        uses
    }

    pub(crate) fn of_expr(expr: &Expr) -> Uses {
        let mut uses = Uses::default();
        uses.expr(expr);
        uses
    }

    /// The parts of locals that statements use, parameters among them.
    pub(crate) fn locals_of(block: &[Stmt]) -> SortedSet<(LocalIndex, Part)> {
        let mut uses = Uses { locals: Some(SortedSet::new()), ..Uses::default() };
        uses.block(block);
        uses.locals.unwrap_or_default()
    }

    fn local(&mut self, local: LocalIndex, part: Part) {
        if let Some(locals) = &mut self.locals {
            locals.insert((local, part));
        }
    }

    fn block(&mut self, block: &[Stmt]) {
        for statement in block {
            self.size += 1;
            match &statement.kind {
                StmtKind::Expr(expr) | StmtKind::Let(_, Some(expr)) => self.expr(expr),
                StmtKind::Return(expr) => expr.iter().for_each(|expr| self.expr(expr)),
                StmtKind::Block(block) => self.block(block),
                StmtKind::If(condition, yes, no) => {
                    self.expr(condition);
                    self.block(yes);
                    self.block(no);
                }
                StmtKind::Loop { condition, before, step, body, .. } => {
                    condition.iter().chain(step).for_each(|expr| self.expr(expr));
                    self.block(before);
                    self.block(body);
                }
                StmtKind::Switch(value, body) => {
                    self.expr(value);
                    self.block(body);
                }
                StmtKind::Let(_, None)
                | StmtKind::Case(_)
                | StmtKind::Break
                | StmtKind::Continue => {}
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        use ExprKind::*;
        self.size += 1;
        match &expr.kind {
            Error | Constant(_) | List(..) | Overloaded(_) | Zero => {}
            Local(local) => {
                self.places.insert(*local);
                self.local(*local, Part::Whole);
            }
            Field(a, member) => match a.kind {
                Local(local) => {
                    self.size += 1;
                    self.places.insert(local);
                    self.local(local, Part::Member(*member));
                }
                _ => self.expr(a),
            },
            Load(a) => match a.as_local() {
                Some(local) => {
                    self.size += 1;
                    self.local(local, Part::Whole);
                }
                None => self.expr(a),
            },
            Global(global) | IsDefined(global) => {
                self.globals.insert(*global);
            }
            Deref(a)
            | Swizzle(a, _)
            | ThreadElements(a)
            | Temporary(a)
            | AddressOf(a)
            | Convert(a)
            | Bitcast(a)
            | Splat(a)
            | Negate(a)
            | Not(a)
            | Postfix(a, _)
            | UnionValue(_, a) => self.expr(a),
            Element(a, b)
            | Assign(a, b)
            | Compound { left: a, right: b, .. }
            | Binary(_, a, b)
            | Logical(_, a, b)
            | Comma(a, b)
            | Offset(a, b)
            | Distance(a, b) => {
                self.expr(a);
                self.expr(b);
            }
            Conditional(a, b, c) => [a, b, c].into_iter().for_each(|one| self.expr(one)),
            Compose(list) | Aggregate(list) | Builtin(_, list) | Op(_, list) => {
                list.iter().for_each(|one| self.expr(one));
            }
            Filled(list, one) => {
                list.iter().for_each(|one| self.expr(one));
                self.expr(one);
            }
            Call(function, list) | Construct(function, list) => {
                self.functions.insert(*function);
                list.iter().for_each(|one| self.expr(one));
            }
            FunctionAddress(function) => {
                self.functions.insert(*function);
                self.pointed.insert(*function);
            }
            Invoke(pointer, list) => {
                self.expr(pointer);
                list.iter().for_each(|one| self.expr(one));
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) qual: Qual,
    /// An lvalue: it denotes an object, and [`ExprKind::Load`] reads its value.
    pub(crate) place: bool,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Constant {
    /// Any integer type or `bool`; sign-extended to 64 bits for signed types.
    Int(u64),
    Float(f64),
}

/// Numbers are equal when their bits are, so that constants can be keys: unlike in a program, zero is
/// not equal to minus zero, and a NaN is equal to itself.
impl PartialEq for Constant {
    fn eq(&self, other: &Constant) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Constant {}

impl std::hash::Hash for Constant {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

impl Constant {
    fn bits(self) -> (bool, u64) {
        match self {
            Constant::Int(value) => (false, value),
            Constant::Float(value) => (true, value.to_bits()),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    /// An expression in error; the error is already reported.
    Error,
    Constant(Constant),
    // Lvalues.
    Local(LocalIndex),
    Global(GlobalIndex),
    Deref(Box<Expr>),
    /// Also of a value.
    Field(Box<Expr>, u32),
    /// An element of an array, a column of a matrix, a component of a vector.
    Element(Box<Expr>, Box<Expr>),
    /// Components of a vector, lvalue or value; a single component is a scalar.
    Swizzle(Box<Expr>, Vec<u8>),
    /// The two elements of a `simdgroup_matrix` that a lane holds; also of a value.
    ThreadElements(Box<Expr>),
    /// `{…}` as an argument, until its parameter is known, and its number in the checker.
    List(Box<super::ast::Expr>, u32),
    /// A name of several functions, until the type of the pointer is known: a number of the checker's.
    Overloaded(u32),
    /// A temporary: a value in memory, so that a reference can bind to it.
    Temporary(Box<Expr>),
    /// An assignment; the result is the left side as an lvalue.
    Assign(Box<Expr>, Box<Expr>),
    /// `left = (T)((common)left op right)`; `right` already has the common type.
    Compound {
        op: Binary,
        left: Box<Expr>,
        right: Box<Expr>,
        common: TyId,
    },
    // Values.
    Load(Box<Expr>),
    AddressOf(Box<Expr>),
    /// Arithmetic conversion, shape unchanged; pointer conversions keep their bits.
    Convert(Box<Expr>),
    Bitcast(Box<Expr>),
    Splat(Box<Expr>),
    Negate(Box<Expr>),
    /// `!` and `~`
    Not(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `&&` when true, else `||`
    Logical(bool, Box<Expr>, Box<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    Comma(Box<Expr>, Box<Expr>),
    /// `x++`, `x--`, by the step: the value before.
    Postfix(Box<Expr>, i8),
    /// A pointer plus a number of elements.
    Offset(Box<Expr>, Box<Expr>),
    /// The difference of two pointers, in elements.
    Distance(Box<Expr>, Box<Expr>),
    /// A vector concatenated from scalars and vectors.
    Compose(Vec<Expr>),
    /// A struct, array or matrix from its parts; missing parts are zero.
    Aggregate(Vec<Expr>),
    /// An array from its first elements, and the value of each of the others.
    Filled(Vec<Expr>, Box<Expr>),
    /// One member of a union.
    UnionValue(u32, Box<Expr>),
    Zero,
    Call(InstanceIndex, Vec<Expr>),
    /// A pointer to a function.
    FunctionAddress(InstanceIndex),
    /// A call through a pointer to a function.
    Invoke(Box<Expr>, Vec<Expr>),
    /// A constructor call: the object is new, and the first parameter points to it.
    Construct(InstanceIndex, Vec<Expr>),
    Builtin(Builtin, Vec<Expr>),
    Op(Op, Vec<Expr>),
    /// `is_function_constant_defined(x)`
    IsDefined(GlobalIndex),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
}

impl Binary {
    pub(crate) fn is_comparison(self) -> bool {
        use Binary::*;
        matches!(self, Eq | Ne | Lt | Gt | Le | Ge)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Stmt {
    pub(crate) kind: StmtKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum StmtKind {
    Expr(Expr),
    Let(LocalIndex, Option<Expr>),
    Block(Vec<Stmt>),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    Loop {
        /// Tested before each iteration, or after it in a `do`.
        condition: Option<Expr>,
        after: bool,
        /// Declared in each iteration: `while (int x = f())`.
        before: Vec<Stmt>,
        step: Option<Expr>,
        body: Vec<Stmt>,
    },
    Switch(Expr, Vec<Stmt>),
    /// `None` is `default`.
    Case(Option<u64>),
    Break,
    Continue,
    Return(Option<Expr>),
}
