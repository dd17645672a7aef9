//! Tables of the library's functions (MSL 6): names, signatures over families of types, implementation.

use super::texture::TextureCall;
use crate::soft::ir::{Input, Op, Scalar};
use std::collections::HashMap;
use std::sync::OnceLock;

/// The implementation of a library function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Builtin {
    /// One operation of the IR on the arguments.
    Op(Op),
    /// An operation across the SIMD-group or quad-group, by its width.
    Across(Op, u8),
    /// MSL code in the prelude, under the same name.
    Prelude,
    /// An atomic operation; the last argument, the memory order, is always treated as relaxed.
    Atomic(Op),
    /// `(object, expected, desired, …)`: stores the old value to `expected`, returns whether it matched.
    CompareExchange,
    /// `select(a, b, c)`: the second where true.
    Select,
    ThreadgroupBarrier,
    SimdgroupBarrier,
    /// A fence does nothing but what the sanitizer observes: the executor already orders memory accesses.
    Fence,
    Transpose,
    Determinant,
    /// An operation of the IR on a whole `simdgroup_matrix`.
    SimdgroupMatrix(Op),
    /// A component of the thread's position, or of the size of the launch.
    Input(Input, u8),
    /// A member function of a texture; the operands are the texture and the given arguments.
    Texture(TextureCall),
    /// `is_null_texture(t)`
    IsNullTexture,
    /// The hidden buffer that messages of `os_log` are written to.
    LogBuffer,
}

/// A set of scalars, and of shapes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Family(u32);

const fn scalars(list: &[Scalar]) -> u32 {
    let (mut bits, mut at) = (0, 0);
    while at < list.len() {
        bits |= 1 << list[at] as u32;
        at += 1;
    }
    bits
}

const SCALAR_SHAPE: u32 = 1 << 16;
const VECTOR_SHAPE: u32 = 1 << 17;
const MATRIX_SHAPE: u32 = 1 << 18;
const ANY_SHAPE: u32 = SCALAR_SHAPE | VECTOR_SHAPE;
const FLOATS: u32 = scalars(&[Scalar::F32, Scalar::F16, Scalar::BF16]);
const INTS: u32 = scalars(&[
    Scalar::I8,
    Scalar::U8,
    Scalar::I16,
    Scalar::U16,
    Scalar::I32,
    Scalar::U32,
    Scalar::I64,
    Scalar::U64,
]);
const WORDS: u32 = scalars(&[Scalar::I32, Scalar::U32]);
const BOOLS: u32 = scalars(&[Scalar::Bool]);

const F: Family = Family(FLOATS | ANY_SHAPE);
const FV: Family = Family(FLOATS | VECTOR_SHAPE);
const N: Family = Family(INTS | ANY_SHAPE);
const W: Family = Family(WORDS | ANY_SHAPE);
const A: Family = Family(INTS | FLOATS | ANY_SHAPE);
const B: Family = Family(BOOLS | ANY_SHAPE);
const ALL: Family = Family(INTS | FLOATS | BOOLS | ANY_SHAPE);
const LOGIC: Family = Family(INTS | BOOLS | ANY_SHAPE);
/// The types of an atomic operation (MSL 6.15.4, tables 6.25 and 6.26): every atomic type except 64 bits,
/// which only has minimum and maximum; numbers; integers.
const ATOMIC: Family = Family(WORDS | scalars(&[Scalar::F32, Scalar::Bool]) | SCALAR_SHAPE);
const ATOMIC_NUMBER: Family = Family(WORDS | scalars(&[Scalar::F32]) | SCALAR_SHAPE);
const ATOMIC_INTEGER: Family = Family(WORDS | SCALAR_SHAPE);
const ATOMIC_LONG: Family = Family(scalars(&[Scalar::U64]) | SCALAR_SHAPE);
const FLOAT: Family = Family(scalars(&[Scalar::F32]) | SCALAR_SHAPE);
const FLOATING: Family = Family(FLOATS | SCALAR_SHAPE);
const MATRIX: Family = Family(FLOATS | MATRIX_SHAPE);
/// Functions that are not generic.
const ONE: Family = Family(scalars(&[Scalar::I32]) | SCALAR_SHAPE);

impl Family {
    pub(crate) fn has(self, scalar: Scalar, width: u32) -> bool {
        let shape = if width == 1 { SCALAR_SHAPE } else { VECTOR_SHAPE };
        self.0 & (1 << scalar as u32) != 0 && self.0 & shape != 0
    }

    pub(crate) fn matrices(self) -> bool {
        self.0 & MATRIX_SHAPE != 0
    }

    /// Every member, scalars before vectors.
    pub(crate) fn members(self) -> impl Iterator<Item = (Scalar, u32)> {
        let widths = (1..=4u32).flat_map(|width| Scalar::all().map(move |scalar| (scalar, width)));
        widths.filter(move |&(scalar, width)| self.has(scalar, width))
    }
}

/// One function: its result and its parameters, one letter each.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) names: &'static str,
    pub(crate) signature: &'static str,
    pub(crate) family: Family,
    pub(crate) builtin: Builtin,
}

const fn row(
    names: &'static str,
    signature: &'static str,
    family: Family,
    builtin: Builtin,
) -> Row {
    Row { names, signature, family, builtin }
}

const fn op(names: &'static str, signature: &'static str, family: Family, op: Op) -> Row {
    row(names, signature, family, Builtin::Op(op))
}

const fn prelude(names: &'static str, signature: &'static str, family: Family) -> Row {
    row(names, signature, family, Builtin::Prelude)
}

const fn across(names: &'static str, signature: &'static str, family: Family, op: Op) -> Row {
    row(names, signature, family, Builtin::Across(op, 32))
}

const fn atomic(names: &'static str, signature: &'static str, family: Family, op: Op) -> Row {
    row(names, signature, family, Builtin::Atomic(op))
}

/// The letters of a signature, the result's first:
/// `T` the type of the family · `S` its scalar · `B` `I` `U` bool, int, uint of its width ·
/// `N` the unsigned type of its size · `i` `u` `h` `b` `l` int, uint, ushort, bool, ulong ·
/// `t` `j` a reference to a thread's `T` or `I` · `a` a pointer to a device or threadgroup `atomic<T>` ·
/// `q` a pointer to memory that threads share, unconverted · `V` two of `S` · `p` a pointer to a thread's `T` · `m` mem_flags · `o` memory_order · `s` thread_scope · `v` void
pub(crate) static ROWS: &[Row] = &[
    // MSL 6.2, common functions.
    prelude("clamp", "TTTT", A),
    prelude("mix", "TTTT", F),
    prelude("mix", "TTTS", FV),
    prelude("saturate", "TT", F),
    prelude("sign", "TT", F),
    prelude("smoothstep", "TTTT", F),
    prelude("step", "TTT", F),
    // MSL 6.3, integer functions.
    op("abs", "TT", N, Op::Abs),
    prelude("absdiff", "NTT", N),
    prelude("addsat", "TTT", N),
    op("clz", "TT", N, Op::LeadingZeros),
    prelude("ctz", "TT", N),
    prelude("extract_bits", "TTuu", N),
    prelude("hadd", "TTT", N),
    prelude("insert_bits", "TTTuu", N),
    prelude("mad24", "TTTT", W),
    prelude("madhi", "TTTT", N),
    prelude("madsat", "TTTT", W),
    op("max", "TTT", N, Op::Max),
    prelude("max3", "TTTT", A),
    prelude("median3", "TTTT", A),
    op("min", "TTT", N, Op::Min),
    prelude("min3", "TTTT", A),
    prelude("mul24", "TTT", W),
    op("mulhi", "TTT", N, Op::MulHigh),
    op("popcount", "TT", N, Op::PopCount),
    prelude("reverse_bits", "TT", N),
    prelude("rhadd", "TTT", N),
    prelude("rotate", "TTT", N),
    prelude("subsat", "TTT", N),
    // MSL 6.4, relational functions.
    op("all", "bB", B, Op::All),
    op("any", "bB", B, Op::Any),
    prelude("isfinite", "BT", F),
    prelude("isinf", "BT", F),
    op("isnan", "BT", F, Op::IsNan),
    prelude("isnormal", "BT", F),
    prelude("isordered", "BTT", F),
    prelude("isunordered", "BTT", F),
    row("select", "TTTB", ALL, Builtin::Select),
    prelude("signbit", "BT", F),
    // MSL 6.5, math functions.
    op("acos", "TT", F, Op::Acos),
    op("acosh", "TT", F, Op::Acosh),
    op("asin", "TT", F, Op::Asin),
    op("asinh", "TT", F, Op::Asinh),
    op("atan", "TT", F, Op::Atan),
    op("atan2", "TTT", F, Op::Atan2),
    op("atanh", "TT", F, Op::Atanh),
    op("ceil", "TT", F, Op::Ceil),
    op("copysign", "TTT", F, Op::CopySign),
    op("cos", "TT", F, Op::Cos),
    op("cosh", "TT", F, Op::Cosh),
    op("cospi", "TT", F, Op::CosPi),
    op("divide", "TTT", F, Op::Div),
    op("exp", "TT", F, Op::Exp),
    op("exp2", "TT", F, Op::Exp2),
    op("exp10", "TT", F, Op::Exp10),
    op("fabs abs", "TT", F, Op::Abs),
    prelude("fdim", "TTT", F),
    op("floor", "TT", F, Op::Floor),
    op("fma", "TTTT", F, Op::Fma),
    op("fmax max", "TTT", F, Op::Max),
    prelude("fmax3", "TTTT", F),
    prelude("fmedian3", "TTTT", F),
    op("fmin min", "TTT", F, Op::Min),
    prelude("fmin3", "TTTT", F),
    op("fmod", "TTT", F, Op::Fmod),
    prelude("fract", "TT", F),
    prelude("frexp", "TTj", F),
    op("__mantissa", "TT", F, Op::Mantissa),
    op("__exponent", "IT", F, Op::Exponent),
    op("ilogb", "IT", F, Op::Ilogb),
    op("ldexp", "TTI", F, Op::Ldexp),
    op("log", "TT", F, Op::Log),
    op("log2", "TT", F, Op::Log2),
    op("log10", "TT", F, Op::Log10),
    prelude("modf", "TTt", F),
    prelude("nextafter", "TTT", F),
    op("pow", "TTT", F, Op::Pow),
    op("powr", "TTT", F, Op::Powr),
    op("rint", "TT", F, Op::Rint),
    op("round", "TT", F, Op::Round),
    op("rsqrt", "TT", F, Op::Rsqrt),
    op("sin", "TT", F, Op::Sin),
    prelude("sincos", "TTt", F),
    op("sinh", "TT", F, Op::Sinh),
    op("sinpi", "TT", F, Op::SinPi),
    op("sqrt", "TT", F, Op::Sqrt),
    op("tan", "TT", F, Op::Tan),
    op("tanh", "TT", F, Op::Tanh),
    op("tanpi", "TT", F, Op::TanPi),
    op("trunc", "TT", F, Op::Trunc),
    // MSL 6.6, matrix functions: `M` a matrix, `Y` its transpose.
    row("transpose", "YM", MATRIX, Builtin::Transpose),
    row("determinant", "SM", MATRIX, Builtin::Determinant),
    // MSL 6.8, geometric functions.
    prelude("cross", "TTT", Family(FLOATS | VECTOR_SHAPE)),
    prelude("distance", "STT", FV),
    prelude("distance_squared", "STT", FV),
    op("dot", "STT", FV, Op::Dot),
    prelude("faceforward", "TTTT", FV),
    prelude("length", "ST", FV),
    prelude("length_squared", "ST", FV),
    prelude("normalize", "TT", FV),
    prelude("reflect", "TTT", FV),
    prelude("refract", "TTTS", FV),
    // MSL 6.9.1, synchronization.
    row("threadgroup_barrier", "vm", ONE, Builtin::ThreadgroupBarrier),
    row("threadgroup_barrier", "vms", ONE, Builtin::ThreadgroupBarrier),
    row("simdgroup_barrier", "vm", ONE, Builtin::SimdgroupBarrier),
    row("simdgroup_barrier", "vms", ONE, Builtin::SimdgroupBarrier),
    row("atomic_thread_fence", "vmo", ONE, Builtin::Fence),
    row("atomic_thread_fence", "vmos", ONE, Builtin::Fence),
    // MSL 6.9.2, SIMD-group functions.
    across("simd_all", "bb", ONE, Op::SimdAll),
    across("simd_any", "bb", ONE, Op::SimdAny),
    across("simd__ballot", "lb", ONE, Op::SimdBallot),
    across("simd_is_first", "b", ONE, Op::SimdIsFirst),
    across("simd_broadcast", "TTh", ALL, Op::SimdBroadcast),
    across("simd_broadcast_first", "TT", ALL, Op::SimdBroadcastFirst),
    across("simd_shuffle", "TTh", ALL, Op::SimdShuffle),
    across("simd_shuffle_xor", "TTh", ALL, Op::SimdShuffleXor),
    across("simd_shuffle_up", "TTh", ALL, Op::SimdShuffleUp),
    across("simd_shuffle_down", "TTh", ALL, Op::SimdShuffleDown),
    across("simd_shuffle_rotate_up", "TTh", ALL, Op::SimdRotateUp),
    across("simd_shuffle_rotate_down", "TTh", ALL, Op::SimdRotateDown),
    across("simd_shuffle_and_fill_up", "TTThh", ALL, Op::SimdFillUp),
    across("simd_shuffle_and_fill_down", "TTThh", ALL, Op::SimdFillDown),
    across("simd_shuffle_and_fill_up", "TTTh", ALL, Op::SimdFillUp),
    across("simd_shuffle_and_fill_down", "TTTh", ALL, Op::SimdFillDown),
    across("simd_sum", "TT", A, Op::SimdSum),
    across("simd_product", "TT", A, Op::SimdProduct),
    across("simd_min", "TT", A, Op::SimdMin),
    across("simd_max", "TT", A, Op::SimdMax),
    across("simd_and", "TT", LOGIC, Op::SimdAnd),
    across("simd_or", "TT", LOGIC, Op::SimdOr),
    across("simd_xor", "TT", LOGIC, Op::SimdXor),
    across("simd_prefix_inclusive_sum", "TT", A, Op::SimdInclusiveSum),
    across("simd_prefix_exclusive_sum", "TT", A, Op::SimdExclusiveSum),
    across("simd_prefix_inclusive_product", "TT", A, Op::SimdInclusiveProduct),
    across("simd_prefix_exclusive_product", "TT", A, Op::SimdExclusiveProduct),
    // The primitives from which the prelude builds the functions of MSL 6.7.
    row("__matrix_load", "Vqll", FLOATING, Builtin::SimdgroupMatrix(Op::MatrixLoad)),
    row("__matrix_store", "vqllV", FLOATING, Builtin::SimdgroupMatrix(Op::MatrixStore)),
    row("__matrix_multiply_add", "VVVV", FLOAT, Builtin::SimdgroupMatrix(Op::MatrixMultiplyAdd)),
    row("__lane_number", "u", ONE, Builtin::Input(Input::ThreadIndexInSimdgroup, 0)),
    // MSL 6.15, atomics.
    atomic("atomic_store_explicit", "vaTo", ATOMIC, Op::AtomicStore),
    atomic("atomic_load_explicit", "Tao", ATOMIC, Op::AtomicLoad),
    atomic("atomic_exchange_explicit", "TaTo", ATOMIC, Op::AtomicExchange),
    row("atomic_compare_exchange_weak_explicit", "bapToo", ATOMIC, Builtin::CompareExchange),
    atomic("atomic_fetch_add_explicit", "TaTo", ATOMIC_NUMBER, Op::AtomicAdd),
    atomic("atomic_fetch_sub_explicit", "TaTo", ATOMIC_NUMBER, Op::AtomicSub),
    atomic("atomic_fetch_and_explicit", "TaTo", ATOMIC_INTEGER, Op::AtomicAnd),
    atomic("atomic_fetch_or_explicit", "TaTo", ATOMIC_INTEGER, Op::AtomicOr),
    atomic("atomic_fetch_xor_explicit", "TaTo", ATOMIC_INTEGER, Op::AtomicXor),
    atomic("atomic_fetch_max_explicit", "TaTo", ATOMIC_INTEGER, Op::AtomicMax),
    atomic("atomic_max_explicit", "vaTo", ATOMIC_LONG, Op::AtomicMax),
    atomic("atomic_fetch_min_explicit", "TaTo", ATOMIC_INTEGER, Op::AtomicMin),
    atomic("atomic_min_explicit", "vaTo", ATOMIC_LONG, Op::AtomicMin),
];

/// The functions with a name. A `quad_` function is the `simd_` function on four lanes (MSL 6.9.3).
pub(crate) fn rows(name: &str) -> impl Iterator<Item = (&'static Row, u8)> {
    static INDEX: OnceLock<HashMap<&'static str, Vec<&'static Row>>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        let mut index: HashMap<&str, Vec<&Row>> = HashMap::new();
        for row in ROWS {
            for name in row.names.split(' ') {
                index.entry(name).or_default().push(row);
            }
        }
        index
    });
    let simd = name.strip_prefix("quad_").map(|rest| format!("simd_{rest}"));
    let width = if simd.is_some() { 4 } else { 32 };
    let list = index.get(simd.as_deref().unwrap_or(name));
    list.into_iter().flatten().map(move |&row| (row, width))
}

/// The mathematical functions, whose accuracy the specification defines.
#[cfg(test)]
pub(crate) fn math_names() -> impl Iterator<Item = &'static str> {
    let has_table = |op| op == Op::Sqrt || (Op::Rsqrt..=Op::Powr).contains(&op);
    let math = move |row: &&Row| matches!(row.builtin, Builtin::Op(op) if has_table(op));
    ROWS.iter().filter(math).flat_map(|row| row.names.split(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_and_uses_defined_letters() {
        for row in ROWS {
            for name in row.names.split(' ') {
                assert!(rows(name).any(|(found, _)| std::ptr::eq(found, row)), "{name}");
            }
            let known = |letter: char| "TSBIUNiuhbltjapqVmosvMY".contains(letter);
            assert!(row.signature.chars().all(known), "{}", row.names);
        }
        assert!(rows("quad_sum").any(|(_, width)| width == 4));
        assert_eq!(rows("nothing").count(), 0);
    }
}
