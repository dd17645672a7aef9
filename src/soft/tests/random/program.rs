//! A random program: made by the generator, written by the printer, run by the evaluator.

use crate::soft::ir::Scalar;

/// The most threads of a threadgroup, so that a set of them fits one integer.
pub(super) type Lanes = u128;

/// Elements of each input buffer; indices are masked to it.
pub(super) const INPUTS: usize = 32;
/// 64-bit words of output per thread.
pub(super) const WORDS: usize = 24;
/// Counters that atomic functions change.
pub(super) const COUNTERS: usize = 8;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Type {
    Scalar(Scalar),
    Vector(Scalar, usize),
    Array(Box<Type>, usize),
    /// A structure by its index in [`Program::structs`], with the arguments of its template.
    Struct(usize, Option<Arguments>),
    /// `T` of the enclosing template.
    Parameter,
    /// `T a[N]` of the enclosing template.
    ParameterArray,
}

/// The arguments of a template `<typename T, int N>`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Arguments {
    pub(super) scalar: Scalar,
    pub(super) count: usize,
}

pub(super) const BOOL: Type = Type::Scalar(Scalar::Bool);
pub(super) const INT: Type = Type::Scalar(Scalar::I32);
pub(super) const UINT: Type = Type::Scalar(Scalar::U32);

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Unary {
    Negate,
    Complement,
    Not,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Binary {
    pub(super) fn text(self) -> &'static str {
        use Binary::*;
        match self {
            Add => "+",
            Subtract => "-",
            Multiply => "*",
            Divide => "/",
            Remainder => "%",
            And => "&",
            Or => "|",
            Xor => "^",
            ShiftLeft => "<<",
            ShiftRight => ">>",
            Equal => "==",
            Unequal => "!=",
            Less => "<",
            LessOrEqual => "<=",
            Greater => ">",
            GreaterOrEqual => ">=",
        }
    }

    pub(super) fn compares(self) -> bool {
        self as usize >= Binary::Equal as usize
    }

    pub(super) fn shifts(self) -> bool {
        matches!(self, Binary::ShiftLeft | Binary::ShiftRight)
    }
}

/// The types that the functions of a row accept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Domain {
    Ints,
    Floats,
    Both,
}

/// A library function whose result is exact: its name, number of arguments, and their types.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) count: usize,
    pub(super) domain: Domain,
}

const fn function(name: &'static str, count: usize, domain: Domain) -> Function {
    Function { name, count, domain }
}

/// The library functions that programs call (MSL 6.2 to 6.5).
pub(super) const FUNCTIONS: &[Function] = &[
    function("min", 2, Domain::Ints),
    function("max", 2, Domain::Ints),
    function("abs", 1, Domain::Both),
    function("absdiff", 2, Domain::Ints),
    function("addsat", 2, Domain::Ints),
    function("subsat", 2, Domain::Ints),
    function("mulhi", 2, Domain::Ints),
    function("hadd", 2, Domain::Ints),
    function("rhadd", 2, Domain::Ints),
    function("rotate", 2, Domain::Ints),
    function("clz", 1, Domain::Ints),
    function("ctz", 1, Domain::Ints),
    function("popcount", 1, Domain::Ints),
    function("reverse_bits", 1, Domain::Ints),
    function("median3", 3, Domain::Ints),
    function("floor", 1, Domain::Floats),
    function("ceil", 1, Domain::Floats),
    function("trunc", 1, Domain::Floats),
    function("rint", 1, Domain::Floats),
    function("round", 1, Domain::Floats),
    function("copysign_of", 2, Domain::Floats),
];

/// A SIMD-group function (MSL 6.9.2).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Across {
    Sum,
    Min,
    Max,
    And,
    Or,
    Xor,
    InclusiveSum,
    ExclusiveSum,
    BroadcastFirst,
    /// These read other threads, which must be active: used only where all are.
    ShuffleXor(usize),
    Broadcast(usize),
    ShuffleUp(usize),
    RotateDown(usize),
}

impl Across {
    pub(super) fn text(self) -> (&'static str, Option<usize>) {
        match self {
            Across::Sum => ("simd_sum", None),
            Across::Min => ("simd_min", None),
            Across::Max => ("simd_max", None),
            Across::And => ("simd_and", None),
            Across::Or => ("simd_or", None),
            Across::Xor => ("simd_xor", None),
            Across::InclusiveSum => ("simd_prefix_inclusive_sum", None),
            Across::ExclusiveSum => ("simd_prefix_exclusive_sum", None),
            Across::BroadcastFirst => ("simd_broadcast_first", None),
            Across::ShuffleXor(mask) => ("simd_shuffle_xor", Some(mask)),
            Across::Broadcast(lane) => ("simd_broadcast", Some(lane)),
            Across::ShuffleUp(delta) => ("simd_shuffle_up", Some(delta)),
            Across::RotateDown(delta) => ("simd_shuffle_rotate_down", Some(delta)),
        }
    }
}

/// A variable of the enclosing function, by its index in [`Routine::variables`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Variable(pub(super) usize);

/// Thread positions and sizes, by the names of the kernel's parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Input {
    Position,
    Local,
    Group,
    Lane,
    SimdGroup,
}

impl Input {
    pub(super) const ALL: &[Self] =
        &[Self::Position, Self::Local, Self::Group, Self::Lane, Self::SimdGroup];

    pub(super) fn text(self) -> (&'static str, &'static str) {
        match self {
            Input::Position => ("position", "thread_position_in_grid"),
            Input::Local => ("place", "thread_position_in_threadgroup"),
            Input::Group => ("group", "threadgroup_position_in_grid"),
            Input::Lane => ("lane", "thread_index_in_simdgroup"),
            Input::SimdGroup => ("row", "simdgroup_index_in_threadgroup"),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Expr {
    /// As stored in registers; see `numbers.rs`.
    Literal(Scalar, u64),
    Read(Place),
    Input(Input),
    /// An element of a buffer or of a constant table, by its index in the program's list.
    Buffer(usize, Scalar, Box<Expr>),
    Table(usize, Scalar, Box<Expr>),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `&&`, or else `||`
    Logical(bool, Box<Expr>, Box<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Spelled in one of three ways.
    Convert(Type, Box<Expr>, u8),
    /// A vector of scalars and vectors; of one scalar if there is one.
    Compose(Scalar, usize, Vec<Expr>),
    Swizzle(Box<Expr>, Vec<usize>),
    /// `select(a, b, condition)`
    Select(Box<Expr>, Box<Expr>, Box<Expr>),
    Library(Function, Vec<Expr>),
    Call(usize, Option<Arguments>, Vec<Expr>),
    Method(Place, usize, Vec<Expr>),
    /// An object where a scalar is required: its conversion function is called.
    Implicit(Place),
    /// A scalar where an object of [`NAMED`] is required: its constructor is called.
    Made(Box<Expr>),
    /// A call of the member template of [`NAMED`] for a type.
    Member(Place, Scalar, Box<Expr>),
    /// `N` of the enclosing template.
    Count,
}

#[derive(Clone, Debug)]
pub(super) enum Place {
    Variable(Variable),
    Field(Box<Place>, usize),
    /// An element; the index is masked to the count, which is a power of two.
    Element(Box<Place>, Box<Expr>, usize),
    /// An element of an array of `N`, by an index that is below it.
    Below(Box<Place>, Box<Expr>),
    Swizzle(Box<Place>, Vec<usize>),
}

#[derive(Clone, Debug)]
pub(super) enum Stmt {
    Declare(Variable, Expr),
    /// With braces; missing elements are zero.
    DeclareList(Variable, Vec<Expr>),
    /// A reference, or a pointer, to a place.
    Refer(Variable, Place),
    Assign(Place, Expr),
    Compound(Place, Binary, Expr),
    /// `place = variable++` and similar: the place, the step, whether it is a prefix operator.
    Step(Place, Place, i8, bool),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// The counter runs from 0 to the limit, which is masked to be small.
    For(Variable, Expr, Vec<Stmt>),
    /// The same with the counter declared before the loop, and incremented at the start of the body.
    While(Variable, Expr, Vec<Stmt>),
    Do(Variable, Expr, Vec<Stmt>),
    Switch(Expr, Vec<Case>),
    Break,
    Continue,
    Return(Option<Expr>),
    /// A call of a function with its arguments, and the place of its result.
    Call(Option<Place>, usize, Vec<Argument>),
    /// A call of a method that changes its object.
    Change(Place, usize, Vec<Expr>),
    Across(Place, Across, Expr),
    /// Each thread stores a value to threadgroup memory and loads that of another, at a distance.
    Exchange(Place, Expr, usize),
    /// An atomic operation on a counter, by name.
    Atomic(&'static str, usize, Expr),
    /// Writes a scalar to the output.
    Store(usize, Expr),
}

/// A case of a switch, for some values.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// `None` is `default`.
    pub(super) labels: Vec<Option<i64>>,
    pub(super) body: Vec<Stmt>,
    /// Whether it ends with a `break`.
    pub(super) ends: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Argument {
    Value(Expr),
    Place(Place),
}

/// How a variable is declared.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    Value,
    Reference,
    Pointer,
    /// The object of a method.
    This,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) ty: Type,
    pub(super) kind: Kind,
}

/// A function, a method or the kernel. The first variables are the parameters.
#[derive(Clone, Debug)]
pub(super) struct Routine {
    pub(super) variables: Vec<Row>,
    pub(super) parameters: usize,
    pub(super) result: Option<Type>,
    pub(super) body: Vec<Stmt>,
    /// A template `<typename T, int N>`.
    pub(super) template: bool,
    /// A method that does not change its object.
    pub(super) constant: bool,
    /// Without SIMD-group functions, so that a single thread may call it.
    pub(super) alone: bool,
    /// A function in the namespace of [`NAMED`], which its argument finds.
    pub(super) beside: bool,
}

/// The class that is in a namespace and has conversions, by its index in [`Program::structs`].
pub(super) const NAMED: usize = 2;

/// The conversions of a class.
#[derive(Clone, Debug)]
pub(super) struct Conversions {
    /// The constructor from a scalar. Members are 0 before its body.
    pub(super) from: Routine,
    /// The conversion function to a scalar.
    pub(super) to: Routine,
    /// `template <typename T> T pick(T) const`
    pub(super) member: Routine,
}

#[derive(Clone, Debug)]
pub(super) struct Struct {
    pub(super) fields: Vec<Type>,
    pub(super) methods: Vec<Routine>,
    pub(super) template: bool,
    /// Of [`NAMED`], once they are made.
    pub(super) conversions: Option<Conversions>,
}

#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) structs: Vec<Struct>,
    pub(super) functions: Vec<Routine>,
    pub(super) kernel: Routine,
    /// Types and elements.
    pub(super) tables: Vec<(Scalar, Vec<u64>)>,
    pub(super) buffers: Vec<(Scalar, Vec<u64>)>,
    pub(super) threads: usize,
    pub(super) group: usize,
}

impl Program {
    pub(super) fn routines_mut(&mut self) -> impl Iterator<Item = &mut Routine> {
        let methods = self.structs.iter_mut().flat_map(|structure| {
            let conversions = structure.conversions.iter_mut();
            let all = conversions.flat_map(|one| [&mut one.from, &mut one.to, &mut one.member]);
            structure.methods.iter_mut().chain(all)
        });
        methods.chain(&mut self.functions).chain(std::iter::once(&mut self.kernel))
    }
}

impl Type {
    /// The type with a template's arguments substituted for its parameters.
    pub(super) fn resolve(&self, arguments: Option<Arguments>) -> Type {
        match (self, arguments) {
            (Type::Parameter, Some(list)) => Type::Scalar(list.scalar),
            (Type::ParameterArray, Some(list)) => {
                Type::Array(Box::new(Type::Scalar(list.scalar)), list.count)
            }
            _ => self.clone(),
        }
    }

    /// Scalar and number of components of an arithmetic type.
    pub(super) fn arithmetic(&self) -> Option<(Scalar, usize)> {
        match *self {
            Type::Scalar(scalar) => Some((scalar, 1)),
            Type::Vector(scalar, width) => Some((scalar, width)),
            _ => None,
        }
    }

    pub(super) fn of(scalar: Scalar, width: usize) -> Type {
        if width == 1 { Type::Scalar(scalar) } else { Type::Vector(scalar, width) }
    }
}

/// The meaning of a routine's names, for the type of an expression.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) structs: &'a [Struct],
    pub(super) functions: &'a [Routine],
    pub(super) variables: &'a [Row],
    /// The arguments of the template, if the routine is an instance of one.
    pub(super) arguments: Option<Arguments>,
}

impl Scope<'_> {
    pub(super) fn place(&self, place: &Place) -> Type {
        match place {
            Place::Variable(variable) => self.variables[variable.0].ty.resolve(self.arguments),
            Place::Field(base, field) => match self.place(base) {
                Type::Struct(index, arguments) => {
                    let arguments = arguments.or(self.arguments);
                    self.structs[index].fields[*field].resolve(arguments)
                }
                other => unreachable!("a field of {other:?}"),
            },
            Place::Element(base, ..) | Place::Below(base, _) => match self.place(base) {
                Type::Array(element, _) => *element,
                Type::ParameterArray => Type::Parameter,
                Type::Vector(scalar, _) => Type::Scalar(scalar),
                other => unreachable!("an element of {other:?}"),
            },
            Place::Swizzle(base, picks) => self.picked(&self.place(base), picks),
        }
    }

    fn picked(&self, ty: &Type, picks: &[usize]) -> Type {
        let (scalar, _) = ty.arithmetic().expect("components are selected from a vector");
        Type::of(scalar, picks.len())
    }

    pub(super) fn expr(&self, expr: &Expr) -> Type {
        use super::numbers::{common, promoted, result};
        match expr {
            Expr::Literal(scalar, _) | Expr::Buffer(_, scalar, _) | Expr::Table(_, scalar, _) => {
                Type::Scalar(*scalar)
            }
            Expr::Read(place) => self.place(place),
            Expr::Input(_) => UINT,
            Expr::Count => INT,
            Expr::Logical(..) => BOOL,
            Expr::Unary(Unary::Not, value) => {
                let (_, width) = self.expr(value).arithmetic().expect("a number");
                Type::of(Scalar::Bool, width)
            }
            Expr::Unary(_, value) => match self.expr(value) {
                Type::Scalar(scalar) => Type::Scalar(promoted(scalar)),
                vector => vector,
            },
            Expr::Binary(op, a, b) => match (*op, self.expr(a), self.expr(b)) {
                (op, Type::Scalar(_), Type::Scalar(_)) if op.compares() => BOOL,
                (op, Type::Scalar(a), Type::Scalar(_)) if op.shifts() => Type::Scalar(promoted(a)),
                (_, Type::Scalar(a), Type::Scalar(b)) => Type::Scalar(common(a, b)),
                // In a template: results of operations on `T` are converted back to `T`.
                (op, Type::Parameter, _) => {
                    if op.compares() {
                        BOOL
                    } else {
                        Type::Parameter
                    }
                }
                (op, a, b) => {
                    let vector = if matches!(a, Type::Vector(..)) { a } else { b };
                    let (scalar, width) = vector.arithmetic().expect("a vector");
                    Type::of(if op.compares() { Scalar::Bool } else { scalar }, width)
                }
            },
            Expr::Conditional(_, yes, no) => match (self.expr(yes), self.expr(no)) {
                (Type::Scalar(a), Type::Scalar(b)) if a != b => Type::Scalar(common(a, b)),
                (same, _) => same,
            },
            Expr::Convert(ty, ..) => ty.resolve(self.arguments),
            Expr::Compose(scalar, width, _) => Type::of(*scalar, *width),
            Expr::Swizzle(value, picks) => self.picked(&self.expr(value), picks),
            Expr::Select(a, ..) => self.expr(a),
            Expr::Library(function, arguments) => {
                let (scalar, width) = self.expr(&arguments[0]).arithmetic().expect("numbers");
                Type::of(result(*function, scalar), width)
            }
            Expr::Call(function, arguments, _) => {
                let result = self.functions[*function].result.as_ref();
                result.expect("a value").resolve(*arguments)
            }
            Expr::Implicit(_) => {
                let conversions = self.structs[NAMED].conversions.as_ref();
                conversions.and_then(|all| all.to.result.clone()).expect("it is made")
            }
            Expr::Made(_) => Type::Struct(NAMED, None),
            Expr::Member(_, scalar, _) => Type::Scalar(*scalar),
            Expr::Method(object, method, _) => match self.place(object) {
                Type::Struct(index, arguments) => {
                    let result = self.structs[index].methods[*method].result.as_ref();
                    result.expect("a value").resolve(arguments)
                }
                other => unreachable!("a method of {other:?}"),
            },
        }
    }
}
