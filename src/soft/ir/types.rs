//! The types of IR values: scalars, short vectors of them, and pointers with an address space.

use std::fmt;

/// A scalar type of the language (MSL 2.1).
///
/// A value of a type narrower than 32 bits is *widened* in a 32-bit register: integers sign- or
/// zero-extended, `f16` and `bf16` as the `f32` of equal value. Every operation's result has that form
/// again; only memory and [`Op::Bitcast`](super::Op::Bitcast) use the narrow bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scalar {
    /// A truth value; one byte in memory.
    Bool,
    /// `char`
    I8,
    /// `uchar`
    U8,
    /// `short`
    I16,
    /// `ushort`
    U16,
    /// `int`
    I32,
    /// `uint`
    U32,
    /// `long`
    I64,
    /// `ulong`
    U64,
    /// `half`
    F16,
    /// `bfloat`
    BF16,
    /// `float`
    F32,
}

/// A row of the table of scalars.
struct ScalarRow {
    scalar: Scalar,
    name: &'static str,
    bytes: u8,
    kind: ScalarKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ScalarKind {
    Bool,
    Signed,
    Unsigned,
    Float,
}

const fn row(scalar: Scalar, name: &'static str, bytes: u8, kind: ScalarKind) -> ScalarRow {
    ScalarRow { scalar, name, bytes, kind }
}

/// One row a scalar, in the order of the enumeration.
const SCALARS: [ScalarRow; 12] = [
    row(Scalar::Bool, "bool", 1, ScalarKind::Bool),
    row(Scalar::I8, "i8", 1, ScalarKind::Signed),
    row(Scalar::U8, "u8", 1, ScalarKind::Unsigned),
    row(Scalar::I16, "i16", 2, ScalarKind::Signed),
    row(Scalar::U16, "u16", 2, ScalarKind::Unsigned),
    row(Scalar::I32, "i32", 4, ScalarKind::Signed),
    row(Scalar::U32, "u32", 4, ScalarKind::Unsigned),
    row(Scalar::I64, "i64", 8, ScalarKind::Signed),
    row(Scalar::U64, "u64", 8, ScalarKind::Unsigned),
    row(Scalar::F16, "f16", 2, ScalarKind::Float),
    row(Scalar::BF16, "bf16", 2, ScalarKind::Float),
    row(Scalar::F32, "f32", 4, ScalarKind::Float),
];

impl Scalar {
    /// Every scalar type.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        SCALARS.iter().map(|row| row.scalar)
    }

    const fn row(self) -> &'static ScalarRow {
        &SCALARS[self as usize]
    }

    /// The name the printer uses.
    pub(crate) const fn name(self) -> &'static str {
        self.row().name
    }

    /// Size in memory, in bytes.
    pub(crate) const fn bytes(self) -> u32 {
        self.row().bytes as u32
    }

    /// Whether this is one of the three floating-point types.
    pub(crate) const fn is_float(self) -> bool {
        matches!(self.row().kind, ScalarKind::Float)
    }

    /// Whether this is an integer type; `bool` is not.
    pub(crate) const fn is_int(self) -> bool {
        matches!(self.row().kind, ScalarKind::Signed | ScalarKind::Unsigned)
    }

    /// Whether this is a signed integer type.
    pub(crate) const fn is_signed(self) -> bool {
        matches!(self.row().kind, ScalarKind::Signed)
    }

    /// The type whose registers hold this one's values (see the type's own description).
    pub(crate) const fn widened(self) -> Self {
        match self {
            Self::I8 | Self::I16 => Self::I32,
            Self::U8 | Self::U16 => Self::U32,
            Self::F16 | Self::BF16 => Self::F32,
            wide => wide,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// An address space (MSL 4). It decides which allocations a pointer can point into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    /// Buffers, shared by all threads of a launch.
    Device,
    /// Buffers and program-scope tables that are only read.
    Constant,
    /// Memory shared by the threads of one threadgroup.
    Threadgroup,
    /// Memory of one thread: locals whose address is taken or that are indexed dynamically.
    Thread,
}

impl Space {
    /// The name in the language, and in print.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Constant => "constant",
            Self::Threadgroup => "threadgroup",
            Self::Thread => "thread",
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The type of a value, a variable, a parameter or a result.
///
/// Structs, arrays and matrices are not value types: they are in memory at explicit byte offsets, and
/// the promotion pass turns them back into variables where it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    /// No value: the result of a store, a barrier, a function that returns nothing.
    Void,
    /// One scalar a thread.
    Scalar(Scalar),
    /// Two, three or four scalars a thread. In memory the components lie side by side, without padding.
    Vector(Scalar, u8),
    /// A 64-bit pointer. It does not say what it points to; loads and stores do.
    Pointer(Space),
}

impl Type {
    /// `bool`
    pub(crate) const BOOL: Self = Self::Scalar(Scalar::Bool);
    /// `int`
    #[cfg(test)]
    pub(crate) const I32: Self = Self::Scalar(Scalar::I32);
    /// `uint`
    pub(crate) const U32: Self = Self::Scalar(Scalar::U32);
    /// `ulong`
    pub(crate) const U64: Self = Self::Scalar(Scalar::U64);
    /// `float`
    #[cfg(test)]
    pub(crate) const F32: Self = Self::Scalar(Scalar::F32);

    /// A number of the type's own.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Void => 0,
            Self::Scalar(scalar) => 1 | (scalar as u32) << 4,
            Self::Vector(scalar, width) => 2 | (scalar as u32) << 4 | (width as u32) << 8,
            Self::Pointer(space) => 3 | (space as u32) << 4,
        }
    }

    /// A scalar, or a vector of `width` of them when `width` is more than one.
    pub(crate) const fn of(scalar: Scalar, width: u32) -> Self {
        if width == 1 { Self::Scalar(scalar) } else { Self::Vector(scalar, width as u8) }
    }

    /// The scalar of a scalar or vector type.
    pub(crate) const fn scalar(self) -> Option<Scalar> {
        match self {
            Self::Scalar(scalar) | Self::Vector(scalar, _) => Some(scalar),
            Self::Void | Self::Pointer(_) => None,
        }
    }

    /// The number of components: 1 for scalars and pointers, 0 for no value.
    pub(crate) const fn width(self) -> u32 {
        match self {
            Self::Void => 0,
            Self::Scalar(_) | Self::Pointer(_) => 1,
            Self::Vector(_, width) => width as u32,
        }
    }

    /// The same shape with another scalar: the result of a comparison has `bool`s, for instance.
    pub(crate) const fn with_scalar(self, scalar: Scalar) -> Self {
        Self::of(scalar, self.width())
    }

    /// Bytes that a load or store of this type touches.
    pub(crate) const fn bytes(self) -> u32 {
        match self {
            Self::Void => 0,
            Self::Scalar(scalar) => scalar.bytes(),
            Self::Vector(scalar, width) => scalar.bytes() * width as u32,
            Self::Pointer(_) => 8,
        }
    }

    /// The address space of a pointer.
    pub(crate) const fn space(self) -> Option<Space> {
        match self {
            Self::Pointer(space) => Some(space),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Void => out.write_str("void"),
            Self::Scalar(scalar) => scalar.fmt(out),
            Self::Vector(scalar, width) => write!(out, "{scalar}x{width}"),
            Self::Pointer(space) => write!(out, "{space}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_enumeration() {
        for (index, scalar) in Scalar::all().enumerate() {
            assert_eq!(scalar as usize, index, "{scalar}");
        }
    }

    #[test]
    fn types_print_as_the_specification_names_them() {
        assert_eq!(Type::of(Scalar::F16, 4).to_string(), "f16x4");
        assert_eq!(Type::of(Scalar::U8, 1).to_string(), "u8");
        assert_eq!(Type::Pointer(Space::Threadgroup).to_string(), "threadgroup*");
        assert_eq!(Type::Vector(Scalar::F32, 3).bytes(), 12);
    }
}
