//! The table of operations: one row each, read by the printer, the verifier, the passes and the back ends.

use super::probe::MemFlags;
use super::types::{Scalar, Type};

/// The types of an operation's operands and of its result.
///
/// "Shape" below is a scalar or a vector; elementwise operations work on each component alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// No operands; the type is part of the instruction.
    Given,
    /// This many operands of one type of the class, and a result of the same type.
    Same(u8, Class),
    /// Two operands of one type of the class; a `bool` for each component.
    Compare(Class),
    /// One operand of the class; a `bool` for each component.
    Test(Class),
    /// One operand of the class; a result of the same shape with the given scalar.
    To(Class, Scalar),
    /// `bool`s (or a single one), then two operands of any one type: the first where true.
    Select,
    /// A value and an `i32` for each component; a result like the value.
    Scale,
    /// A number or `bool` becomes the stated scalar type, shape unchanged.
    Convert,
    /// The bits in memory, read as another type of the same size.
    Bitcast,
    /// Scalars, two to four of one type; a vector of them.
    Compose,
    /// One scalar; a vector of the stated width.
    Splat,
    /// A vector; one component.
    Extract,
    /// A vector and an integer; the component of that number.
    ExtractAt,
    /// A vector and a scalar; the vector with one component replaced.
    Insert,
    /// A vector, a scalar and an integer; the vector with that component replaced.
    InsertAt,
    /// One vector or two of a type; components picked from both, side by side.
    Swizzle,
    /// Two float vectors; their dot product.
    Dot,
    /// A `bool` vector or scalar; one `bool`.
    Reduce,
    /// A pointer and an integer; a pointer of the same space.
    Index,
    /// A pointer; a pointer of the same space.
    Field,
    /// A pointer; `u64`.
    PointerToInt,
    /// `u64`; the stated pointer type.
    IntToPointer,
    /// A pointer to `device` or `constant` memory, or a texture; the same type.
    Form,
    /// A pointer; the stated type.
    Load,
    /// A pointer and a value; nothing.
    Store,
    /// Two pointers; nothing.
    Copy,
    /// A value of the variable's type; nothing.
    Set,
    /// One scalar or vector of the class; the same type. Across the SIMD-group.
    Across(Class),
    /// A value and an integer lane or distance; the value's type. Across the SIMD-group.
    Shuffle,
    /// A value, a value to fill in, a distance and a modulo; the value's type. Across the SIMD-group.
    ShuffleFill,
    /// A `bool`; the stated scalar type. Across the SIMD-group.
    Vote,
    /// A pointer and one scalar; the scalar's type.
    Atomic,
    /// A pointer, the expected and the desired scalar; the scalar's type.
    AtomicCompare,
    /// A pointer; the stated scalar type.
    AtomicLoad,
    /// A pointer and one scalar; nothing.
    AtomicStore,
    /// A pointer to shared memory and two integer steps; the stated vector of two floats.
    MatrixLoad,
    /// A pointer to shared memory, two integer steps and a vector of two floats; nothing.
    MatrixStore,
    /// Three vectors of two `f32`; a vector of two `f32`.
    MatrixMultiplyAdd,
    /// Operands of exactly these types; the given result.
    Exactly(&'static [Type], Type),
    /// Nothing in, nothing out.
    Barrier,
    /// A pointer to shared memory and `u64`, or nothing; nothing.
    Probe,
    /// A pointer to shared memory; `u32`.
    Unwritten,
}

/// Pixels, and positions in textures: four 32-bit words.
const WORDS: Type = Type::Vector(Scalar::U32, 4);
/// Coordinates, and in the fourth component the element of an array.
const COORDINATES: Type = Type::Vector(Scalar::F32, 4);
/// Offsets from a pixel.
const OFFSETS: Type = Type::Vector(Scalar::I32, 3);
const F32: Type = Type::Scalar(Scalar::F32);
/// A texture, a position and a level; for a write, also a pixel.
const PIXEL: &[Type] = &[Type::U64, WORDS, Type::U32, WORDS];
/// A texture, a sampler, coordinates and offsets, a level or a number to compare with, and such a number.
const SAMPLED: &[Type] = &[Type::U64, Type::U64, COORDINATES, OFFSETS, F32, F32];

/// A family of scalar types, in rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Any integer.
    Int,
    /// Any floating-point type.
    Float,
    /// Integer or floating-point.
    Number,
    /// Integer or `bool`.
    Logic,
    /// Anything that is a scalar or a vector.
    Any,
}

impl Class {
    /// Whether the class has `scalar`.
    pub(crate) const fn has(self, scalar: Scalar) -> bool {
        match self {
            Self::Int => scalar.is_int(),
            Self::Float => scalar.is_float(),
            Self::Number => scalar.is_int() || scalar.is_float(),
            Self::Logic => scalar.is_int() || matches!(scalar, Scalar::Bool),
            Self::Any => true,
        }
    }
}

/// The effect of an operation besides its result: it decides whether the operation may be removed, merged or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The result depends on the operands alone: may be computed once, anywhere, or never.
    /// It never faults, so it may also be computed for inactive lanes.
    Pure,
    /// Reads a variable or memory: never moved across a write, but removed if unused.
    Reads,
    /// Writes a variable or memory.
    Writes,
    /// Depends on which lanes are active: never moved to other control flow.
    Lanes,
    /// Orders or exchanges memory between threads: never moved, and the contents of memory are unknown after it.
    Syncs,
}

/// When the result is the same in all active lanes of a SIMD-group, so that it is computed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uniform {
    /// When all operands are.
    IfOperands,
    /// Always: reductions, votes, and properties of the launch.
    Always,
    /// Never: the result differs from lane to lane by definition.
    Never,
    /// As the [`Input`](super::Input) says.
    ByInput,
    /// As the variable's assignments are, see the uniformity pass.
    ByVariable,
    /// When the pointer is, unless it points into the thread's own memory.
    ByMemory,
    /// When it works on whole SIMD-groups: all active lanes get the same. For quad-groups, when the operand
    /// is uniform and [repeating](Op::is_idempotent) it changes nothing.
    IfWhole,
    /// When the first operand is: exchanging equal values changes nothing.
    IfFirst,
}

/// The meaning of an instruction's immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Imm {
    /// No immediate; it is 0.
    None,
    /// The value of a constant in widened form, see [`Scalar`].
    Bits,
    /// An [`Input`](super::Input) and a component.
    Input,
    /// The number of a parameter.
    Param,
    /// The number of an allocation of the module.
    Allocation,
    /// The number of a texture of the module.
    Texture,
    /// The number of a sampler of the module.
    Sampler,
    /// The number of a local of the function.
    Local,
    /// The number of a variable of the function.
    Variable,
    /// A component of a vector.
    Component,
    /// Four bits for each picked component: 0 to 3 of the first operand, 4 to 7 of the second.
    Pattern,
    /// A signed number of bytes.
    Bytes,
    /// Lanes that work together: 32, or 4 for quad functions.
    Width,
    /// The number, from 1, of the function's [`JoinedLoads`](super::JoinedLoads) that a vector is made of; a fault names one of
    /// them. 0 for any other load.
    Joined,
    /// A [`Barrier`], and the memory that it orders.
    Barrier,
    /// A [`Probe`](super::Probe).
    Probe,
    /// A [`TextureSide`].
    Side,
    /// A [`TextureAtomic`].
    TextureAtomic,
    /// An [`Expected`](super::Expected) texture; 0 for pointers.
    Expected,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name in print.
    pub(crate) name: &'static str,
    /// Operand and result types.
    pub(crate) rule: Rule,
    /// The meaning of the immediate.
    pub(crate) imm: Imm,
    /// Effects.
    pub(crate) effect: Effect,
    /// Uniformity.
    pub(crate) uniform: Uniform,
}

/// Declares [`Op`] and its table: variant, name in print, rule, immediate, effect, uniformity.
macro_rules! operations {
    ($($(#[$doc:meta])* $op:ident $name:literal $rule:expr, $imm:ident, $effect:ident, $uniform:ident;)*) => {
        /// An operation. Its row says everything that is common to all uses of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Op {
            $($(#[$doc])* $op,)*
        }

        impl Op {
            /// The operation's row.
            pub(crate) const fn row(self) -> &'static Row {
                const TABLE: &[Row] = &[$(Row {
                    name: $name,
                    rule: $rule,
                    imm: Imm::$imm,
                    effect: Effect::$effect,
                    uniform: Uniform::$uniform,
                },)*];
                &TABLE[self as usize]
            }

            /// Every operation, in the table's order.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$op,)*];
        }
    };
}

use Class::{Any, Float, Int, Logic, Number};
use Rule::{Across, Compare, Exactly, Given, Same, Shuffle, Test, To};

operations! {
    // Without operands. They are in no block and may be used everywhere in their function.
    /// A scalar constant.
    Const "const" Given, Bits, Pure, Always;
    /// Where the thread is in the launch, as `u32`.
    Input "input" Given, Input, Pure, ByInput;
    /// A parameter of the function.
    Param "param" Given, Param, Pure, Never;
    /// The start of a buffer, of a program-scope table, or of an array in threadgroup memory.
    Allocation "allocation" Given, Allocation, Pure, Always;
    /// A texture that the host bound: a number, 0 if nothing is bound.
    Texture "texture" Given, Texture, Pure, Always;
    /// A sampler that the host bound: the bits of a [`Sampler`](super::Sampler).
    Sampler "sampler" Given, Sampler, Pure, Always;
    /// The start of a local in thread memory.
    Local "local" Given, Local, Pure, Always;

    // Variables.
    /// The variable's value at this point.
    Get "get" Given, Variable, Reads, ByVariable;
    /// Assigns the variable, in the active lanes.
    Set "set" Rule::Set, Variable, Writes, Never;

    // Arithmetic. Integers wrap; division by zero is unspecified, and no fault.
    /// `a + b`
    Add "add" Same(2, Number), None, Pure, IfOperands;
    /// `a - b`
    Sub "sub" Same(2, Number), None, Pure, IfOperands;
    /// `a * b`
    Mul "mul" Same(2, Number), None, Pure, IfOperands;
    /// `a / b`; integers truncate.
    Div "div" Same(2, Number), None, Pure, IfOperands;
    /// `a % b`, with the sign of `a`.
    Rem "rem" Same(2, Int), None, Pure, IfOperands;
    /// `-a`
    Neg "neg" Same(1, Number), None, Pure, IfOperands;
    /// The absolute value; of the lowest integer, itself.
    Abs "abs" Same(1, Number), None, Pure, IfOperands;
    /// The smaller; for floats `fmin`: of a NaN and a number, the number.
    Min "min" Same(2, Number), None, Pure, IfOperands;
    /// The larger; for floats `fmax`: of a NaN and a number, the number.
    Max "max" Same(2, Number), None, Pure, IfOperands;
    /// `a * b + c`, rounded once.
    Fma "fma" Same(3, Float), None, Pure, IfOperands;
    /// The high half of the product.
    MulHigh "mul_high" Same(2, Int), None, Pure, IfOperands;

    // Bits. Shift counts are taken modulo the width of the type.
    /// `a & b`
    And "and" Same(2, Logic), None, Pure, IfOperands;
    /// `a | b`
    Or "or" Same(2, Logic), None, Pure, IfOperands;
    /// `a ^ b`
    Xor "xor" Same(2, Logic), None, Pure, IfOperands;
    /// `~a`, and `!a` for `bool`
    Not "not" Same(1, Logic), None, Pure, IfOperands;
    /// `a << b`
    Shl "shl" Same(2, Int), None, Pure, IfOperands;
    /// `a >> b`; arithmetic for signed types.
    Shr "shr" Same(2, Int), None, Pure, IfOperands;
    /// Leading zero bits; the width for 0.
    LeadingZeros "clz" Same(1, Int), None, Pure, IfOperands;
    /// Bits that are set.
    PopCount "popcount" Same(1, Int), None, Pure, IfOperands;

    // Comparisons: IEEE's, so all but `ne` are false with a NaN. `a > b` is written `b < a`.
    /// `a == b`
    Eq "eq" Compare(Any), None, Pure, IfOperands;
    /// `a != b`
    Ne "ne" Compare(Any), None, Pure, IfOperands;
    /// `a < b`
    Lt "lt" Compare(Number), None, Pure, IfOperands;
    /// `a <= b`
    Le "le" Compare(Number), None, Pure, IfOperands;
    /// `c ? a : b`, by component when `c` is a vector.
    Select "select" Rule::Select, None, Pure, IfOperands;
    /// Whether a float is a NaN.
    IsNan "is_nan" Test(Float), None, Pure, IfOperands;

    // Rounding and parts of floats.
    /// Towards minus infinity.
    Floor "floor" Same(1, Float), None, Pure, IfOperands;
    /// Towards plus infinity.
    Ceil "ceil" Same(1, Float), None, Pure, IfOperands;
    /// Towards zero.
    Trunc "trunc" Same(1, Float), None, Pure, IfOperands;
    /// To nearest, ties to even.
    Rint "rint" Same(1, Float), None, Pure, IfOperands;
    /// `a` with the sign of `b`.
    CopySign "copysign" Same(2, Float), None, Pure, IfOperands;

    /// The square root, correctly rounded.
    Sqrt "sqrt" Same(1, Float), None, Pure, IfOperands;

    // Functions of the library (MSL 6.5; accuracy MSL 8.4): `passes/library.rs` replaces them by the library's code.
    /// To nearest, ties away from zero.
    Round "round" Same(1, Float), None, Pure, IfOperands;
    /// `a - b * trunc(a / b)`, exactly.
    Fmod "fmod" Same(2, Float), None, Pure, IfOperands;
    /// `a` times two to the power of an `i32`.
    Ldexp "ldexp" Rule::Scale, None, Pure, IfOperands;
    /// The mantissa of `frexp`, in [0.5, 1).
    Mantissa "mantissa" Same(1, Float), None, Pure, IfOperands;
    /// The exponent of `frexp`.
    Exponent "exponent" To(Float, Scalar::I32), None, Pure, IfOperands;
    /// `ilogb`
    Ilogb "ilogb" To(Float, Scalar::I32), None, Pure, IfOperands;
    /// One over the square root.
    Rsqrt "rsqrt" Same(1, Float), None, Pure, IfOperands;
    /// e to the power of.
    Exp "exp" Same(1, Float), None, Pure, IfOperands;
    /// 2 to the power of.
    Exp2 "exp2" Same(1, Float), None, Pure, IfOperands;
    /// 10 to the power of.
    Exp10 "exp10" Same(1, Float), None, Pure, IfOperands;
    /// The natural logarithm.
    Log "log" Same(1, Float), None, Pure, IfOperands;
    /// The logarithm to base 2.
    Log2 "log2" Same(1, Float), None, Pure, IfOperands;
    /// The logarithm to base 10.
    Log10 "log10" Same(1, Float), None, Pure, IfOperands;
    /// Sine.
    Sin "sin" Same(1, Float), None, Pure, IfOperands;
    /// Cosine.
    Cos "cos" Same(1, Float), None, Pure, IfOperands;
    /// Tangent.
    Tan "tan" Same(1, Float), None, Pure, IfOperands;
    /// Sine of pi times the operand.
    SinPi "sinpi" Same(1, Float), None, Pure, IfOperands;
    /// Cosine of pi times the operand.
    CosPi "cospi" Same(1, Float), None, Pure, IfOperands;
    /// Tangent of pi times the operand.
    TanPi "tanpi" Same(1, Float), None, Pure, IfOperands;
    /// Arc sine.
    Asin "asin" Same(1, Float), None, Pure, IfOperands;
    /// Arc cosine.
    Acos "acos" Same(1, Float), None, Pure, IfOperands;
    /// Arc tangent.
    Atan "atan" Same(1, Float), None, Pure, IfOperands;
    /// Hyperbolic sine.
    Sinh "sinh" Same(1, Float), None, Pure, IfOperands;
    /// Hyperbolic cosine.
    Cosh "cosh" Same(1, Float), None, Pure, IfOperands;
    /// Hyperbolic tangent.
    Tanh "tanh" Same(1, Float), None, Pure, IfOperands;
    /// Inverse hyperbolic sine.
    Asinh "asinh" Same(1, Float), None, Pure, IfOperands;
    /// Inverse hyperbolic cosine.
    Acosh "acosh" Same(1, Float), None, Pure, IfOperands;
    /// Inverse hyperbolic tangent.
    Atanh "atanh" Same(1, Float), None, Pure, IfOperands;
    /// The angle of the point (`b`, `a`).
    Atan2 "atan2" Same(2, Float), None, Pure, IfOperands;
    /// `a` to the power of `b`.
    Pow "pow" Same(2, Float), None, Pure, IfOperands;
    /// `a` to the power of `b`, for `a` not negative.
    Powr "powr" Same(2, Float), None, Pure, IfOperands;

    // Types and vectors.
    /// Conversion (MSL 2.12, 8.6): floats to integers truncate and saturate, NaN becomes 0;
    /// integers wrap; anything but zero is true.
    Convert "convert" Rule::Convert, None, Pure, IfOperands;
    /// `as_type`
    Bitcast "bitcast" Rule::Bitcast, None, Pure, IfOperands;
    /// A vector of scalars.
    Compose "compose" Rule::Compose, None, Pure, IfOperands;
    /// A vector of equal components.
    Splat "splat" Rule::Splat, None, Pure, IfOperands;
    /// One component.
    Extract "extract" Rule::Extract, Component, Pure, IfOperands;
    /// One component, picked at run time, the number taken modulo the width.
    ExtractAt "extract_at" Rule::ExtractAt, None, Pure, IfOperands;
    /// A vector with one component replaced.
    Insert "insert" Rule::Insert, Component, Pure, IfOperands;
    /// A vector with one component, picked at run time, replaced.
    InsertAt "insert_at" Rule::InsertAt, None, Pure, IfOperands;
    /// Components of one vector or two in a new order.
    Swizzle "swizzle" Rule::Swizzle, Pattern, Pure, IfOperands;
    /// The dot product.
    Dot "dot" Rule::Dot, None, Pure, IfOperands;
    /// Whether all components are true.
    All "all" Rule::Reduce, None, Pure, IfOperands;
    /// Whether any component is true.
    Any "any" Rule::Reduce, None, Pure, IfOperands;

    // Pointers: 64 bits, an allocation and a byte offset. Arithmetic never faults; access does.
    /// `p + i * stride`, the integer taken with its sign; the immediate is the stride.
    Index "index" Rule::Index, Bytes, Pure, IfOperands;
    /// `p` plus a constant.
    Field "field" Rule::Field, Bytes, Pure, IfOperands;
    /// The pointer's bits. The null pointer is 0.
    PointerToInt "pointer_to_int" Rule::PointerToInt, None, Pure, IfOperands;
    /// The address of a pointer in the host's memory, for comparisons: two arguments may be bound to one buffer.
    Address "address" Rule::PointerToInt, None, Pure, IfOperands;
    /// A pointer from bits that `PointerToInt` made.
    IntToPointer "int_to_pointer" Rule::IntToPointer, None, Pure, IfOperands;

    // The two forms of pointers and textures (`specs/arguments.md`). The type says which it is.
    /// A pointer or texture, from its form in `device` and `constant` memory.
    FromMemory "from_memory" Rule::Form, Expected, Pure, IfOperands;
    /// The form in `device` and `constant` memory.
    ToMemory "to_memory" Rule::Form, None, Pure, IfOperands;

    // Memory. Components of vectors lie side by side; any alignment is allowed.
    /// Reads a scalar, a vector or a pointer.
    Load "load" Rule::Load, Joined, Reads, ByMemory;
    /// Writes a scalar, a vector or a pointer.
    Store "store" Rule::Store, None, Writes, Never;
    /// Copies bytes from the second pointer to the first; the ranges are the same or apart.
    Copy "copy" Rule::Copy, Bytes, Writes, Never;

    // Between the active lanes of a SIMD-group (MSL 6.9.2) or quad-group (6.9.3).
    /// The sum over the active lanes.
    SimdSum "simd_sum" Across(Number), Width, Lanes, IfWhole;
    /// The product over the active lanes.
    SimdProduct "simd_product" Across(Number), Width, Lanes, IfWhole;
    /// The smallest of the active lanes.
    SimdMin "simd_min" Across(Number), Width, Lanes, IfWhole;
    /// The largest of the active lanes.
    SimdMax "simd_max" Across(Number), Width, Lanes, IfWhole;
    /// The conjunction of the active lanes' bits.
    SimdAnd "simd_and" Across(Logic), Width, Lanes, IfWhole;
    /// The disjunction of the active lanes' bits.
    SimdOr "simd_or" Across(Logic), Width, Lanes, IfWhole;
    /// The exclusive disjunction of the active lanes' bits.
    SimdXor "simd_xor" Across(Logic), Width, Lanes, IfWhole;
    /// The sum over the active lanes up to this one.
    SimdInclusiveSum "simd_prefix_inclusive_sum" Across(Number), Width, Lanes, Never;
    /// The sum over the active lanes before this one.
    SimdExclusiveSum "simd_prefix_exclusive_sum" Across(Number), Width, Lanes, Never;
    /// The product over the active lanes up to this one.
    SimdInclusiveProduct "simd_prefix_inclusive_product" Across(Number), Width, Lanes, Never;
    /// The product over the active lanes before this one.
    SimdExclusiveProduct "simd_prefix_exclusive_product" Across(Number), Width, Lanes, Never;
    /// The value of the lane with the given number, which is the same in all lanes.
    SimdBroadcast "simd_broadcast" Shuffle, Width, Lanes, IfWhole;
    /// The value of the first active lane.
    SimdBroadcastFirst "simd_broadcast_first" Across(Any), Width, Lanes, IfWhole;
    /// The value of the lane with the given number.
    SimdShuffle "simd_shuffle" Shuffle, Width, Lanes, IfFirst;
    /// The value of the lane whose number differs in the given bits.
    SimdShuffleXor "simd_shuffle_xor" Shuffle, Width, Lanes, IfFirst;
    /// The value of the lane at that distance below; the lowest lanes keep theirs.
    SimdShuffleUp "simd_shuffle_up" Shuffle, Width, Lanes, IfFirst;
    /// The value of the lane at that distance above; the highest lanes keep theirs.
    SimdShuffleDown "simd_shuffle_down" Shuffle, Width, Lanes, IfFirst;
    /// The value of the lane at that distance below, around the end.
    SimdRotateUp "simd_shuffle_rotate_up" Shuffle, Width, Lanes, IfFirst;
    /// The value of the lane at that distance above, around the end.
    SimdRotateDown "simd_shuffle_rotate_down" Shuffle, Width, Lanes, IfFirst;
    /// As shuffle up in pieces of the modulo, the lowest lanes filled from the top of the second operand.
    SimdFillUp "simd_shuffle_and_fill_up" Rule::ShuffleFill, Width, Lanes, Never;
    /// As shuffle down in pieces of the modulo, the highest lanes filled from the bottom of the second operand.
    SimdFillDown "simd_shuffle_and_fill_down" Rule::ShuffleFill, Width, Lanes, Never;
    /// A bit for each active lane where the operand is true, as an integer.
    SimdBallot "simd_ballot" Rule::Vote, Width, Lanes, IfWhole;
    /// Whether the operand is true in all active lanes.
    SimdAll "simd_all" Rule::Vote, Width, Lanes, IfWhole;
    /// Whether the operand is true in any active lane.
    SimdAny "simd_any" Rule::Vote, Width, Lanes, IfWhole;
    /// Whether this is the first active lane.
    SimdIsFirst "simd_is_first" Given, Width, Lanes, Never;

    // Matrices of 8 by 8, two elements a lane (MSL 2.4, 6.7); `specs/ir.md` says which.
    /// Reads the element of row i and column j at `p + i * r + j * c`, the steps counted in elements.
    MatrixLoad "matrix_load" Rule::MatrixLoad, None, Reads, Never;
    /// Writes the elements there.
    MatrixStore "matrix_store" Rule::MatrixStore, None, Writes, Never;
    /// `a * b + c`, a chain of fused multiply-adds for each element.
    MatrixMultiplyAdd "matrix_multiply_add" Rule::MatrixMultiplyAdd, None, Lanes, Never;

    // Atomics (MSL 6.15), all of relaxed order. Each returns the value before.
    /// Reads.
    AtomicLoad "atomic_load" Rule::AtomicLoad, None, Syncs, Never;
    /// Writes.
    AtomicStore "atomic_store" Rule::AtomicStore, None, Syncs, Never;
    /// Writes.
    AtomicExchange "atomic_exchange" Rule::Atomic, None, Syncs, Never;
    /// Writes the third operand where memory holds the second.
    AtomicCompareExchange "atomic_compare_exchange" Rule::AtomicCompare, None, Syncs, Never;
    /// Adds.
    AtomicAdd "atomic_add" Rule::Atomic, None, Syncs, Never;
    /// Subtracts.
    AtomicSub "atomic_sub" Rule::Atomic, None, Syncs, Never;
    /// Keeps the smaller.
    AtomicMin "atomic_min" Rule::Atomic, None, Syncs, Never;
    /// Keeps the larger.
    AtomicMax "atomic_max" Rule::Atomic, None, Syncs, Never;
    /// Bitwise and.
    AtomicAnd "atomic_and" Rule::Atomic, None, Syncs, Never;
    /// Bitwise or.
    AtomicOr "atomic_or" Rule::Atomic, None, Syncs, Never;
    /// Bitwise exclusive or.
    AtomicXor "atomic_xor" Rule::Atomic, None, Syncs, Never;

    // Textures (MSL 6.12). None of these faults: reads outside return what MSL 8.7 says, writes outside do nothing.
    // A pixel is four words: integers, or the bits of `f32`s.
    /// A pixel: the texture; x, y, z (of a cube, the face) and element; the level.
    TextureRead "texture_read" Exactly(PIXEL.split_at(3).0, WORDS), None, Reads, IfOperands;
    /// Writes a pixel: as above, and the pixel.
    TextureWrite "texture_write" Exactly(PIXEL, Type::Void), None, Writes, Never;
    /// Changes the 32-bit integer of a pixel at once: the texture, x, y, z and element, an operand, and what a
    /// compare-exchange expects. The result is what it was; outside, 0.
    TextureAtomic "texture_atomic" Exactly(&[Type::U64, WORDS, Type::U32, Type::U32], Type::U32), TextureAtomic, Syncs, Never;
    /// Samples: the texture, the sampler, coordinates and element, offsets, the level of detail.
    TextureSample "texture_sample" Exactly(SAMPLED.split_at(5).0, WORDS), None, Reads, IfOperands;
    /// The filtered share of pixels for which the sampler's comparison with the last operand holds; as above.
    TextureCompare "texture_compare" Exactly(SAMPLED, F32), None, Reads, IfOperands;
    /// A component of the four pixels that a linear filter mixes.
    TextureGather "texture_gather" Exactly(SAMPLED.split_at(4).0, WORDS), Component, Reads, IfOperands;
    /// For each of the four pixels, 1 if the sampler's comparison with the last operand holds, else 0.
    TextureGatherCompare "texture_gather_compare" Exactly(SAMPLED.split_at(5).0, COORDINATES), None, Reads, IfOperands;
    /// A texture's size, at a level.
    TextureSize "texture_size" Exactly(&[Type::U64, Type::U32], Type::U32), Side, Pure, IfOperands;

    /// Waits for the other threads of the threadgroup or SIMD-group.
    Barrier "barrier" Rule::Barrier, Barrier, Syncs, Never;

    /// Observes an access to memory that follows, a barrier or a fence (`specs/sanitizer.md`). Kernels without checks lose
    /// theirs.
    Probe "probe" Rule::Probe, Probe, Writes, Never;
    /// A bit for each of the bytes at a pointer into threadgroup memory or a buffer that nothing wrote. Only checked kernels have any.
    Unwritten "unwritten" Rule::Unwritten, Bytes, Reads, Never;
}

impl Op {
    /// Whether instructions of this operation are in no block: they have no operands and no effect.
    pub(crate) const fn is_free(self) -> bool {
        use Op::{Allocation, Const, Input, Local, Param, Sampler, Texture};
        matches!(self, Const | Input | Param | Allocation | Texture | Sampler | Local)
    }

    /// Whether it is a function of the library: passes move and merge it like any operation, and a back end never
    /// sees it.
    pub(crate) fn is_library(self) -> bool {
        (Self::Round..=Self::Powr).contains(&self)
    }

    /// Whether an unused instruction may be removed.
    pub(crate) const fn is_removable(self) -> bool {
        matches!(self.row().effect, Effect::Pure | Effect::Reads | Effect::Lanes)
    }

    /// Whether the operation over equal values is that value.
    pub(crate) const fn is_idempotent(self) -> bool {
        use Op::{
            SimdAll, SimdAnd, SimdAny, SimdBroadcast, SimdBroadcastFirst, SimdMax, SimdMin, SimdOr,
        };
        matches!(
            self,
            SimdMin
                | SimdMax
                | SimdAnd
                | SimdOr
                | SimdAll
                | SimdAny
                | SimdBroadcast
                | SimdBroadcastFirst
        )
    }

    /// Whether `a op b` is `b op a`.
    pub(crate) const fn commutes(self) -> bool {
        use Op::{Add, And, Eq, Max, Min, Mul, MulHigh, Ne, Or, Xor};
        matches!(self, Add | Mul | Min | Max | MulHigh | And | Or | Xor | Eq | Ne)
    }
}

/// Whom a barrier waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// All threads of the threadgroup.
    Threadgroup = 0,
    /// All threads of the SIMD-group.
    Simdgroup = 1,
}

impl Barrier {
    /// The immediate of a barrier that orders this memory.
    pub(crate) const fn imm(self, flags: MemFlags) -> u64 {
        self as u64 | flags.bits() << 1
    }

    /// The barrier and the memory that it orders.
    pub(crate) const fn from_imm(imm: u64) -> (Self, MemFlags) {
        let barrier = if imm & 1 == 0 { Self::Threadgroup } else { Self::Simdgroup };
        (barrier, MemFlags::of_bits(imm >> 1))
    }
}

/// The sides of a texture that have a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextureSide {
    /// Pixels in a row.
    Width = 0,
    /// Rows in an image.
    Height = 1,
    /// Images.
    Depth = 2,
    /// Elements of an array.
    Elements = 3,
    /// Mip levels.
    Levels = 4,
}

/// The operation of an atomic function on the integer of a pixel and its operand (MSL 6.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextureAtomic {
    /// Sum.
    Add = 0,
    /// Bitwise and.
    And = 1,
    /// Bitwise or.
    Or = 2,
    /// Bitwise exclusive or.
    Xor = 3,
    /// The operand.
    Exchange = 4,
    /// The smaller of signed integers.
    Min = 5,
    /// The larger of signed integers.
    Max = 6,
    /// The smaller of unsigned integers.
    UnsignedMin = 7,
    /// The larger of unsigned integers.
    UnsignedMax = 8,
    /// The operand, if the integer is the expected one.
    CompareExchange = 9,
}

impl TextureAtomic {
    /// All, by number.
    pub(crate) const ALL: [Self; 10] = {
        use TextureAtomic::*;
        [Add, And, Or, Xor, Exchange, Min, Max, UnsignedMin, UnsignedMax, CompareExchange]
    };
    /// The names in print, by number.
    pub(crate) const NAMES: [&'static str; 10] =
        ["add", "and", "or", "xor", "exchange", "min", "max", "umin", "umax", "compare_exchange"];

    /// The new integer.
    pub(crate) fn apply(self, old: u32, operand: u32, expected: u32) -> u32 {
        let (signed, other) = (old as i32, operand as i32);
        match self {
            Self::Add => old.wrapping_add(operand),
            Self::And => old & operand,
            Self::Or => old | operand,
            Self::Xor => old ^ operand,
            Self::Exchange => operand,
            Self::Min => signed.min(other) as u32,
            Self::Max => signed.max(other) as u32,
            Self::UnsignedMin => old.min(operand),
            Self::UnsignedMax => old.max(operand),
            Self::CompareExchange if old == expected => operand,
            Self::CompareExchange => old,
        }
    }
}

impl TextureSide {
    /// The names in print, by number.
    pub(crate) const NAMES: [&'static str; 5] = ["width", "height", "depth", "elements", "levels"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_operations_share_a_name() {
        let mut names: Vec<_> = Op::ALL.iter().map(|op| op.row().name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Op::ALL.len());
    }
}
