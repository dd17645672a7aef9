//! Member functions of textures (MSL 6.12), in a table.

use super::Checker;
use super::builtins::Builtin;
use super::call::Candidate;
use crate::soft::ir::{Scalar, TextureAtomic};
use crate::soft::msl::ast::AddressSpace;
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::texture::{Access, Kind, Texture};
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

/// The operation of a member function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Sample,
    SampleCompare,
    Gather,
    GatherCompare,
    Read,
    Write,
    Width,
    Height,
    Depth,
    Elements,
    Levels,
    Samples,
    Fence,
    /// An atomic function that returns the pixel's previous value.
    Atomic(TextureAtomic),
    /// The same with the negated operand.
    AtomicSub,
    AtomicLoad,
    AtomicStore,
}

impl Operation {
    fn is_atomic(self) -> bool {
        use Operation::{Atomic, AtomicLoad, AtomicStore, AtomicSub};
        matches!(self, Atomic(_) | AtomicSub | AtomicLoad | AtomicStore)
    }
}

/// A member function: its name, its parameters, and which textures have it.
///
/// The letters: `s` sampler · `c` coordinates, and the element of an array · `p` a pixel, with face, element and
/// sample, `q` the same in `ushort` · `v` a pixel's value · `e` a pointer to one · `f` a value to compare · `?` one of
/// [`OPTIONS`] · and optional ones: `o` offsets · `k` a component · `l` a level.
#[derive(Debug)]
struct Method {
    name: &'static str,
    parameters: &'static str,
    operation: Operation,
    has: fn(&Kind) -> bool,
}

const fn method(
    name: &'static str,
    parameters: &'static str,
    operation: Operation,
    has: fn(&Kind) -> bool,
) -> Method {
    Method { name, parameters, operation, has }
}

fn any(_: &Kind) -> bool {
    true
}

static METHODS: &[Method] = &[
    method("sample", "sc?o", Operation::Sample, Kind::can_be_sampled),
    method("sample_compare", "scf?o", Operation::SampleCompare, |kind| kind.depth && !kind.samples),
    method("gather", "scok", Operation::Gather, |kind| kind.sides == 2 && !kind.samples),
    method("gather_compare", "scfo", Operation::GatherCompare, |kind| kind.depth && !kind.samples),
    method("read", "pl", Operation::Read, any),
    method("read", "ql", Operation::Read, any),
    method("write", "vpl", Operation::Write, any),
    method("write", "vql", Operation::Write, any),
    method("get_width", "l", Operation::Width, any),
    method("get_height", "l", Operation::Height, |kind| kind.sides >= 2),
    method("get_depth", "l", Operation::Depth, |kind| kind.sides == 3),
    method("get_array_size", "", Operation::Elements, |kind| kind.array),
    method("get_num_mip_levels", "", Operation::Levels, Kind::can_be_sampled),
    method("get_num_samples", "", Operation::Samples, |kind| kind.samples),
    method("fence", "", Operation::Fence, any),
    method("atomic_load", "p", Operation::AtomicLoad, flat),
    method("atomic_load", "q", Operation::AtomicLoad, flat),
    method("atomic_store", "vp", Operation::AtomicStore, flat),
    method("atomic_store", "vq", Operation::AtomicStore, flat),
    method("atomic_exchange", "pv", Operation::Atomic(TextureAtomic::Exchange), flat),
    method("atomic_exchange", "qv", Operation::Atomic(TextureAtomic::Exchange), flat),
    method(
        "atomic_compare_exchange_weak",
        "pev",
        Operation::Atomic(TextureAtomic::CompareExchange),
        flat,
    ),
    method(
        "atomic_compare_exchange_weak",
        "qev",
        Operation::Atomic(TextureAtomic::CompareExchange),
        flat,
    ),
    method("atomic_fetch_add", "pv", Operation::Atomic(TextureAtomic::Add), flat),
    method("atomic_fetch_add", "qv", Operation::Atomic(TextureAtomic::Add), flat),
    method("atomic_fetch_sub", "pv", Operation::AtomicSub, flat),
    method("atomic_fetch_sub", "qv", Operation::AtomicSub, flat),
    method("atomic_fetch_and", "pv", Operation::Atomic(TextureAtomic::And), flat),
    method("atomic_fetch_and", "qv", Operation::Atomic(TextureAtomic::And), flat),
    method("atomic_fetch_or", "pv", Operation::Atomic(TextureAtomic::Or), flat),
    method("atomic_fetch_or", "qv", Operation::Atomic(TextureAtomic::Or), flat),
    method("atomic_fetch_xor", "pv", Operation::Atomic(TextureAtomic::Xor), flat),
    method("atomic_fetch_xor", "qv", Operation::Atomic(TextureAtomic::Xor), flat),
    method("atomic_fetch_min", "pv", Operation::Atomic(TextureAtomic::Min), flat),
    method("atomic_fetch_min", "qv", Operation::Atomic(TextureAtomic::Min), flat),
    method("atomic_fetch_max", "pv", Operation::Atomic(TextureAtomic::Max), flat),
    method("atomic_fetch_max", "qv", Operation::Atomic(TextureAtomic::Max), flat),
];

/// The textures that have atomic functions (MSL 6.12): no cubes, depths and samples.
fn flat(kind: &Kind) -> bool {
    !kind.cube && !kind.depth && !kind.samples
}

/// Options for the level of detail: `L` level, `B` bias, `G` gradients, `M` the minimum level.
const OPTIONS: &[&str] = &["", "L", "B", "G", "M", "BM", "GM"];

/// The role of a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Sampler,
    Coordinates,
    Pixel,
    Face,
    Element,
    Sample,
    Value,
    /// A pointer to the value that a pixel is expected to have.
    Expected,
    Compared,
    Level,
    Bias,
    Gradient,
    LeastLevel,
    Offset,
    Component,
    /// The level to read or query.
    WholeLevel,
}

/// A member function with one of the options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TextureCall {
    method: u8,
    option: u8,
}

impl TextureCall {
    pub(crate) fn operation(self) -> Operation {
        self.method().operation
    }

    fn method(self) -> &'static Method {
        &METHODS[usize::from(self.method)]
    }

    /// The roles of the parameters, with the type of integers, and the number of required
    /// arguments.
    pub(crate) fn roles(self, kind: &Kind) -> (Vec<(Role, Scalar)>, usize) {
        let mut roles = Vec::new();
        let mut least = 0;
        let mut integer = Scalar::U32;
        for letter in self.method().parameters.chars() {
            let optional = matches!(letter, 'o' | 'k' | 'l');
            match letter {
                's' => roles.push(Role::Sampler),
                'c' => {
                    roles.push(Role::Coordinates);
                    roles.extend(kind.array.then_some(Role::Element));
                }
                'p' | 'q' => {
                    integer = if letter == 'q' { Scalar::U16 } else { integer };
                    roles.push(Role::Pixel);
                    roles.extend(kind.cube.then_some(Role::Face));
                    roles.extend(kind.array.then_some(Role::Element));
                    roles.extend(kind.samples.then_some(Role::Sample));
                }
                'v' => roles.push(Role::Value),
                'e' => roles.push(Role::Expected),
                'f' => roles.push(Role::Compared),
                '?' => roles.extend(OPTIONS[usize::from(self.option)].chars().map(|o| match o {
                    'L' => Role::Level,
                    'B' => Role::Bias,
                    'G' => Role::Gradient,
                    _ => Role::LeastLevel,
                })),
                // MSL 6.12: offsets are for textures of two and three dimensions.
                'o' => roles.extend((kind.sides >= 2 && !kind.cube).then_some(Role::Offset)),
                'k' => roles.extend((!kind.depth).then_some(Role::Component)),
                _ => roles.extend(kind.can_be_sampled().then_some(Role::WholeLevel)),
            }
            if !optional {
                least = roles.len();
            }
        }
        (roles.into_iter().map(|role| (role, integer)).collect(), least)
    }
}

/// The member functions with a name that a kind of texture has.
fn calls(name: &str, kind: &'static Kind) -> impl Iterator<Item = TextureCall> {
    let named = METHODS.iter().enumerate().filter(move |(_, m)| m.name == name && (m.has)(kind));
    named.flat_map(|(method, row)| {
        // MSL 6.12.1: a texture without mipmaps has no level argument.
        let choice = row.parameters.contains('?') && kind.sides > 1;
        let count = if choice { OPTIONS.len() } else { 1 };
        (0..count).map(move |option| TextureCall { method: method as u8, option: option as u8 })
    })
}

impl Checker {
    /// The type as a texture type, if it is one.
    pub(super) fn texture(&self, ty: TyId) -> Option<Texture> {
        match *self.types.get(ty) {
            Ty::Texture(texture) => Some(texture),
            _ => None,
        }
    }

    /// `texture.sample(…)` and its like.
    pub(super) fn call_texture(
        &mut self,
        object: Expr,
        texture: Texture,
        name: &str,
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        if arguments.iter().any(|argument| argument.qual.ty == Types::UNKNOWN) {
            return self.error_expr(span);
        }
        let ty = object.qual.ty;
        let candidates: Vec<Candidate> =
            calls(name, texture.kind()).map(|call| Candidate::Texture(call, ty)).collect();
        let Some(&Candidate::Texture(first, _)) = candidates.first() else {
            let ty = self.types.name(ty);
            if ["atomic_", "sparse_", "calculate_"].iter().any(|part| name.starts_with(part)) {
                self.unsupported(span, format!("'{name}' of a texture is"));
            } else {
                self.error(span, format!("no member named '{name}' in '{ty}'"));
            }
            return self.error_expr(span);
        };
        let of_words = matches!(texture.scalar, Scalar::I32 | Scalar::U32);
        if first.operation().is_atomic() && !of_words {
            let ty = self.types.name(ty);
            let message = format!("'{name}' needs a texture of 'int' or 'uint': this is '{ty}'");
            self.error(span, message);
            return self.error_expr(span);
        }
        // MSL 6.12: the access limits the operations.
        use Operation::{Gather, GatherCompare, Read, Sample, SampleCompare, Write};
        let allowed = match first.operation() {
            Sample | SampleCompare | Gather | GatherCompare => texture.access == Access::Sample,
            Read => texture.access.reads(),
            Write => texture.access.writes(),
            operation if operation.is_atomic() => texture.access == Access::ReadWrite,
            _ => true,
        };
        if !allowed {
            let ty = self.types.name(ty);
            self.error(span, format!("'{name}' cannot be called on '{ty}'"));
            return self.error_expr(span);
        }
        let Some(Candidate::Texture(call, _)) = self.choose_candidate(&candidates, &arguments)
        else {
            self.error(span, format!("no matching member function for call to '{name}'"));
            return self.error_expr(span);
        };
        let (parameters, _) = self.texture_parameters(call, ty);
        let mut values = vec![self.rvalue(object)];
        for (argument, parameter) in arguments.into_iter().zip(parameters) {
            values.push(self.implicit(argument, parameter, "initialize a parameter of type"));
        }
        let result = match call.operation() {
            Sample | Read if texture.kind().depth => Types::scalar(texture.scalar),
            SampleCompare => Types::scalar(texture.scalar),
            Sample | Read | Gather | GatherCompare => self.types.vector(texture.scalar, 4),
            Write | Operation::Fence | Operation::AtomicStore => Types::VOID,
            Operation::Atomic(TextureAtomic::CompareExchange) => Types::scalar(Scalar::Bool),
            operation if operation.is_atomic() => self.types.vector(texture.scalar, 4),
            _ => Types::scalar(Scalar::U32),
        };
        self.value(ExprKind::Builtin(Builtin::Texture(call), values), result, span)
    }

    /// The types of a member function's parameters, and the number of required arguments.
    pub(super) fn texture_parameters(&mut self, call: TextureCall, ty: TyId) -> (Vec<Qual>, usize) {
        let Some(texture) = self.texture(ty) else { return (Vec::new(), 0) };
        let kind = texture.kind();
        let (roles, least) = call.roles(kind);
        let mut list = Vec::new();
        for (role, integer) in roles {
            let ty = match role {
                Role::Sampler => self.types.intern(Ty::Sampler),
                Role::Coordinates => self.types.vector(Scalar::F32, kind.coordinates()),
                Role::Pixel => self.types.vector(integer, kind.sides),
                Role::Face | Role::Element | Role::Sample | Role::WholeLevel => {
                    Types::scalar(integer)
                }
                Role::Value => self.types.vector(texture.scalar, 4),
                Role::Expected => {
                    let value = self.types.vector(texture.scalar, 4);
                    self.types
                        .pointer(Qual { space: Some(AddressSpace::Thread), ..Qual::plain(value) })
                }
                Role::Compared => Types::scalar(Scalar::F32),
                Role::Offset => self.types.vector(Scalar::I32, kind.sides),
                Role::Level => self.library_type_named("level"),
                Role::Bias => self.library_type_named("bias"),
                Role::LeastLevel => self.library_type_named("min_lod_clamp"),
                Role::Component => self.library_type_named("component"),
                Role::Gradient if kind.cube => self.library_type_named("gradientcube"),
                Role::Gradient if kind.sides == 3 => self.library_type_named("gradient3d"),
                Role::Gradient => self.library_type_named("gradient2d"),
            };
            list.push(Qual::plain(ty));
        }
        (list, least)
    }

    /// Whether a type is or contains a type for which `wanted` is true.
    pub(super) fn holds(&self, ty: TyId, wanted: fn(&Ty) -> bool) -> bool {
        match self.types.get(ty) {
            ty if wanted(ty) => true,
            Ty::Array(element, _) => self.holds(*element, wanted),
            Ty::Struct(id) => {
                let fields = &self.types.class(*id).fields();
                fields.iter().any(|field| self.holds(field.qual.ty, wanted))
            }
            _ => false,
        }
    }
}
