//! The syntax tree: the parser's output, with spans, before name lookup.

use super::lex::{Literal, Punct};
use super::names::Name;
use super::source::Span;
use super::traits::Trait;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ident {
    pub(crate) name: Name,
    pub(crate) span: Span,
}

/// `a::b<c>::d`, or `::a`.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) global: bool,
    pub(crate) parts: Vec<PathPart>,
    pub(crate) span: Span,
}

impl Path {
    /// The name of a path that is one plain identifier.
    pub(crate) fn plain(&self) -> Option<Name> {
        match &self.parts[..] {
            [PathPart { name: Label::Name(name), arguments: None, .. }] if !self.global => {
                Some(*name)
            }
            _ => None,
        }
    }

    /// The path of one identifier.
    pub(crate) fn of(name: Name, span: Span) -> Path {
        let parts = vec![PathPart { name: Label::Name(name), span, arguments: None }];
        Path { global: false, parts, span }
    }

    pub(crate) fn last(&self) -> &PathPart {
        // The parser makes no empty path.
        &self.parts[self.parts.len() - 1]
    }
}

#[derive(Clone, Debug)]
pub(crate) struct PathPart {
    pub(crate) name: Label,
    pub(crate) span: Span,
    pub(crate) arguments: Option<Arc<[TemplateArgument]>>,
}

/// The name of a declaration.
#[derive(Clone, Debug)]
pub(crate) enum Label {
    Name(Name),
    /// `operator+`; calls and subscripts are `LParen` and `LBracket`.
    Operator(Punct),
    /// `operator T`
    Conversion(Arc<TypeName>),
    /// `~T`
    Destructor(Name),
    /// `decltype(e)` before `::`
    Decltype(Arc<Expr>),
}

#[derive(Clone, Debug)]
pub(crate) enum TemplateArgument {
    Type(TypeName),
    Value(Expr),
    /// `args...`
    Expansion(Box<TemplateArgument>, Mentioned),
}

/// The names that the pattern of an expansion mentions; it expands those that are packs.
pub(crate) type Mentioned = Arc<[Name]>;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum AddressSpace {
    Device,
    Constant,
    Thread,
    Threadgroup,
    /// Address spaces of graphics stages; compute functions have none of them.
    Other,
}

/// A fundamental type, by its keywords.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fundamental {
    Void,
    Bool,
    Char,
    Uchar,
    Short,
    Ushort,
    Int,
    Uint,
    Long,
    Ulong,
    Half,
    Bfloat,
    Float,
    Double,
}

#[derive(Clone, Debug)]
pub(crate) enum BaseType {
    Fundamental(Fundamental),
    Named(Path),
    Class(Arc<Class>),
    Enum(Arc<Enum>),
    Auto,
    /// `__underlying_type(E)`, the type of an enum's values.
    Underlying(Arc<TypeName>),
    /// `typeof(expr)`
    Typeof(Arc<Expr>),
    /// `typeof(type)`
    TypeofType(Arc<TypeName>),
    /// `decltype(expr)`, or `decltype(auto)` without one.
    Decltype(Option<Arc<Expr>>),
    /// Constructors, destructors and conversion functions have no type specifier.
    Absent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Kernel,
    Vertex,
    Fragment,
    /// An ordinary function that hosts may request, too: `visible` or `stitchable` (MSL 5.1.4, 5.1.5).
    Visible,
    Intersection,
    Mesh,
    Object,
}

/// Declaration specifiers that are not types.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Storage {
    pub(crate) typedef: bool,
    pub(crate) statik: bool,
    pub(crate) external: bool,
    pub(crate) constexpr: bool,
    pub(crate) explicit: bool,
    pub(crate) friend: bool,
    pub(crate) virtual_: bool,
    pub(crate) mutable: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Specifiers {
    pub(crate) base: BaseType,
    pub(crate) constant: bool,
    pub(crate) volatile: bool,
    pub(crate) space: Option<AddressSpace>,
    /// `coherent` (MSL 4.8)
    pub(crate) coherent: Option<Span>,
    pub(crate) storage: Storage,
    pub(crate) stage: Option<Stage>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) span: Span,
}

impl Specifiers {
    /// None at all.
    pub(crate) fn absent(span: Span) -> Self {
        Self {
            base: BaseType::Absent,
            constant: false,
            volatile: false,
            space: None,
            coherent: None,
            storage: Storage::default(),
            stage: None,
            attributes: Vec::new(),
            span,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TypeName {
    pub(crate) specifiers: Specifiers,
    pub(crate) declarator: Declarator,
    pub(crate) span: Span,
}

/// A declarator: parts in the order in which they are applied to the base type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declarator {
    pub(crate) name: Option<Path>,
    pub(crate) parts: Vec<DeclaratorPart>,
    /// `...` before the name: a pack.
    pub(crate) pack: bool,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) span: Span,
}

impl Declarator {
    /// The parameter list, when this declares a function.
    pub(crate) fn function(&self) -> Option<&Arc<Signature>> {
        match self.parts.last() {
            Some(DeclaratorPart::Function(signature)) => Some(signature),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum DeclaratorPart {
    Pointer {
        constant: bool,
        volatile: bool,
        space: Option<AddressSpace>,
        span: Span,
    },
    /// `&`, or `&&`
    Reference {
        rvalue: bool,
    },
    Array(Option<Arc<Expr>>, Span),
    Function(Arc<Signature>),
}

#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) parameters: Vec<Parameter>,
    /// Whether any arguments may follow: `...`
    pub(crate) variadic: bool,
    /// The qualifiers of `this`.
    pub(crate) constant: bool,
    pub(crate) space: Option<AddressSpace>,
    /// Whether the object is an rvalue: `&` (false) or `&&` (true).
    pub(crate) reference: Option<bool>,
    pub(crate) trailing: Option<TypeName>,
    /// Whether a lambda may change its copies of variables.
    pub(crate) mutable: bool,
}

impl Signature {
    /// No parameters.
    pub(crate) fn empty() -> Self {
        Self {
            parameters: Vec::new(),
            variadic: false,
            constant: false,
            space: None,
            reference: None,
            trailing: None,
            mutable: false,
        }
    }

    /// The parameters alone.
    pub(crate) fn only_parameters(&self) -> Self {
        let parameters = self.parameters.clone();
        Self { parameters, variadic: self.variadic, ..Self::empty() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) specifiers: Specifiers,
    pub(crate) declarator: Declarator,
    pub(crate) default: Option<Arc<Expr>>,
    /// `Ts... rest`: as many parameters as the packs in its type have elements.
    pub(crate) expands: Option<Mentioned>,
}

impl Parameter {
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.specifiers.attributes.iter().chain(&self.declarator.attributes)
    }
}

/// `[[name(arguments)]]`, also in the GNU spelling.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: Ident,
    pub(crate) arguments: Vec<Expr>,
}

#[derive(Clone, Debug)]
pub(crate) enum TemplateParameter {
    Type { name: Option<Ident>, default: Option<TypeName>, pack: bool },
    Value { specifiers: Specifiers, declarator: Declarator, default: Option<Expr>, pack: bool },
    Template { name: Option<Ident>, default: Option<TypeName> },
}

#[derive(Debug)]
pub(crate) struct Template {
    /// Empty for `template <>`.
    pub(crate) parameters: Vec<TemplateParameter>,
    pub(crate) declaration: Decl,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum Decl {
    Empty,
    Simple(Arc<Simple>),
    Function(Arc<Function>),
    Alias {
        name: Ident,
        target: Arc<TypeName>,
    },
    Bindings(Arc<Bindings>),
    UsingNamespace(Path),
    Using(Path),
    Namespace {
        name: Option<Ident>,
        inline: bool,
        body: Arc<[Decl]>,
    },
    NamespaceAlias {
        name: Ident,
        target: Path,
    },
    Template(Arc<Template>),
    /// `template …;`: the declaration names the specialisation.
    Instantiation(Arc<Simple>),
    StaticAssert {
        condition: Arc<Expr>,
        message: Option<Name>,
        span: Span,
    },
    Access,
}

/// `auto [a, b] = init;`, with `&` for references to the parts
#[derive(Debug)]
pub(crate) struct Bindings {
    pub(crate) specifiers: Specifiers,
    pub(crate) reference: bool,
    /// Whether the reference is `&&`.
    pub(crate) rvalue: bool,
    pub(crate) names: Vec<Ident>,
    pub(crate) init: Init,
    pub(crate) span: Span,
}

/// specifiers declarator (= initializer)?, …;
#[derive(Debug)]
pub(crate) struct Simple {
    pub(crate) specifiers: Specifiers,
    pub(crate) declarators: Vec<InitDeclarator>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct InitDeclarator {
    pub(crate) declarator: Declarator,
    pub(crate) init: Init,
    /// The width of a bit-field.
    pub(crate) width: Option<Expr>,
}

/// How a variable is initialised.
#[derive(Debug)]
pub(crate) enum Init {
    None,
    /// `= expr`, also `= { … }`
    Copy(Expr),
    /// `(a, b)`
    Direct(Vec<Expr>),
    /// `{a, b}`
    List(Expr),
}

impl Init {
    /// The only value, from which a type can be deduced.
    pub(crate) fn single(&self) -> Option<&Expr> {
        match self {
            Self::Copy(expr) => Some(expr),
            Self::Direct(list) if list.len() == 1 => list.first(),
            Self::List(list) => Some(match &list.kind {
                ExprKind::InitList(items) if items.len() == 1 => &items[0].1,
                _ => list,
            }),
            Self::None | Self::Direct(_) => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) specifiers: Specifiers,
    pub(crate) declarator: Declarator,
    /// `member(init)`, in a constructor.
    pub(crate) initializers: Vec<(Path, Init, Option<Mentioned>)>,
    pub(crate) body: Body,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum Body {
    Block(Block),
    Default,
    Delete,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClassKind {
    Struct,
    Class,
    Union,
}

#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) kind: ClassKind,
    pub(crate) name: Option<Path>,
    pub(crate) bases: Vec<Base>,
    /// `None` for a declaration without a body.
    pub(crate) members: Option<Vec<Decl>>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) span: Span,
}

/// A base with the packs that it mentions, if it is an expansion.
pub(crate) type Base = (Path, Option<Mentioned>);

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: Option<Ident>,
    pub(crate) scoped: bool,
    pub(crate) underlying: Option<TypeName>,
    /// `None` for a declaration without a body.
    pub(crate) items: Option<Vec<(Ident, Option<Expr>)>>,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) statements: Vec<Stmt>,
}

#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) kind: StmtKind,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum StmtKind {
    Empty,
    Expr(Expr),
    Decl(Decl),
    Block(Block),
    If {
        constant: bool,
        init: Option<Box<Stmt>>,
        condition: Condition,
        yes: Box<Stmt>,
        no: Option<Box<Stmt>>,
    },
    While {
        condition: Condition,
        body: Box<Stmt>,
    },
    Do {
        body: Box<Stmt>,
        condition: Expr,
    },
    For {
        init: Box<Stmt>,
        condition: Option<Condition>,
        step: Option<Expr>,
        body: Box<Stmt>,
    },
    RangeFor {
        variable: Arc<Simple>,
        range: Expr,
        body: Box<Stmt>,
    },
    Switch {
        condition: Condition,
        body: Box<Stmt>,
    },
    /// A label, or the labels from one value to another; the statement it labels is the next one of the block.
    Case(Expr, Option<Expr>),
    Default,
    Break,
    Continue,
    Return(Option<Expr>),
}

/// A condition: an expression, or the declaration of a variable.
#[derive(Debug)]
pub(crate) enum Condition {
    Expr(Expr),
    Variable(Arc<Simple>),
}

#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
    /// The depth of the tree; bounded so that walking it cannot overflow the stack.
    pub(crate) depth: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CastKind {
    Static,
    Reinterpret,
    Const,
    C,
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    Number(Literal),
    Bool(bool),
    Char(u64),
    /// Adjacent literals are one string, stored as pieces.
    Str(Vec<Name>),
    Nullptr,
    This,
    Path(Path),
    /// `+ - ! ~ * &` and prefix `++ --`
    Unary(Punct, Box<Expr>),
    /// Postfix `++ --`
    Postfix(Punct, Box<Expr>),
    Binary(Punct, Box<Expr>, Box<Expr>),
    /// `=`, or the operator of a compound assignment such as `+=`.
    Assign(Option<Punct>, Box<Expr>, Box<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `a ?: b`
    Or(Box<Expr>, Box<Expr>),
    Comma(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, Vec<Expr>),
    Index(Box<Expr>, Box<Expr>),
    Member {
        object: Box<Expr>,
        arrow: bool,
        member: Path,
    },
    /// `T(a, b)` and `T{a, b}`
    Construct {
        target: Box<TypeName>,
        arguments: Vec<Expr>,
        braces: bool,
    },
    Cast(CastKind, Box<TypeName>, Box<Expr>),
    SizeofType(Box<TypeName>),
    SizeofExpr(Box<Expr>),
    AlignofType(Box<TypeName>),
    /// `__builtin_offsetof(T, member.path[1])`
    Offsetof(Box<TypeName>, Box<Expr>),
    /// `sizeof...(pack)`
    SizeofPack(Ident),
    /// `{a, b}`, with or without designators
    InitList(Vec<(Option<Designator>, Expr)>),
    /// `pattern...`
    Expansion(Arc<Expr>, Mentioned),
    /// One element of an expansion; the checker makes these.
    Expanded(Arc<Expr>, Mentioned, usize),
    /// An element of a list that is checked already: a number of the checker's, which makes these.
    Checked(u32),
    Fold(Arc<Fold>),
    /// `noexcept(e)`
    Noexcept,
    Lambda(Arc<Lambda>),
    /// `__is_class(T)`
    Trait(Trait, Vec<TemplateArgument>),
}

/// `[captures](parameters) { … }` (C++14 expr.prim.lambda)
#[derive(Debug)]
pub(crate) struct Lambda {
    /// `[=]` (false) and `[&]` (true).
    pub(crate) default: Option<bool>,
    pub(crate) captures: Vec<Capture>,
    /// The call operator, a template if a parameter is `auto`.
    pub(crate) operator: Decl,
    /// The names in the body, of which a default captures the variables.
    pub(crate) mentioned: Mentioned,
    /// It stands for a statement expression.
    pub(crate) statements: bool,
}

/// `x`, `&x`, `x...` and `x = init`; `this` has the keyword's name, and `*this` is its object.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) name: Ident,
    pub(crate) reference: bool,
    /// `*this`
    pub(crate) object: bool,
    /// `x...`
    pub(crate) pack: bool,
    pub(crate) init: Option<Expr>,
}

/// The designator of a list element.
#[derive(Clone, Debug)]
pub(crate) enum Designator {
    /// `.x =`
    Field(Ident),
    /// `[3] =`, and GNU's `[0 ... 7] =`, which kernels use.
    Elements(Arc<Expr>, Option<Arc<Expr>>),
}

/// `(init op ... op pattern)` and the other three (C++17 expr.prim.fold).
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) operator: Punct,
    pub(crate) pattern: Expr,
    pub(crate) mentioned: Mentioned,
    /// The operand on the other side of the dots.
    pub(crate) init: Option<Expr>,
    /// `(... op pack)`: from the left.
    pub(crate) left: bool,
}

impl Expr {
    pub(crate) fn new(kind: ExprKind, span: Span) -> Expr {
        let depth = 1 + kind.children_depth();
        Expr { kind, span, depth }
    }
}

impl ExprKind {
    fn children_depth(&self) -> u16 {
        use ExprKind::*;
        let most = |list: &[Expr]| list.iter().map(|e| e.depth).max().unwrap_or(0);
        match self {
            Unary(_, a) | Postfix(_, a) | Offsetof(_, a) | Cast(_, _, a) | SizeofExpr(a) => a.depth,
            Expansion(a, _) | Expanded(a, ..) => a.depth,
            Binary(_, a, b) | Assign(_, a, b) | Comma(a, b) | Index(a, b) | Or(a, b) => {
                a.depth.max(b.depth)
            }
            Conditional(a, b, c) => a.depth.max(b.depth).max(c.depth),
            Call(callee, arguments) => callee.depth.max(most(arguments)),
            Member { object, .. } => object.depth,
            Construct { arguments, .. } => most(arguments),
            InitList(items) => items.iter().map(|(_, e)| e.depth).max().unwrap_or(0),
            Fold(fold) => fold.pattern.depth.max(fold.init.as_ref().map_or(0, |e| e.depth)),
            _ => 0,
        }
    }
}
