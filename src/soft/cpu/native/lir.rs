//! The code of a region before registers are allocated: machine operations over virtual registers.
//!
//! Selection writes it, allocation assigns each virtual register for its whole life, and an emitter
//! turns each instruction into a few of the machine's.

mod site;

use crate::soft::ir::{Scalar, Span, Value};
pub(crate) use site::*;

/// A virtual register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reg(pub(crate) u32);

/// The register files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Integers of up to 64 bits, one for all lanes of a strip.
    Int,
    /// 32 bits for each lane of a vector.
    Vector,
    /// A truth value for each lane of a vector.
    Mask,
}

/// The properties of a virtual register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info {
    pub(crate) class: Class,
    /// Written more than once, so its life covers every loop that uses it.
    pub(crate) carried: bool,
    /// Memory that has its value when the strip starts, so that spilling it needs no store.
    pub(crate) home: Option<Home>,
}

/// Memory that has the value of a register when a strip starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Home {
    /// Lanes of a frame's register, from this offset in the frame on; the strip's own offset is added.
    Lanes(u32),
    /// A slot of the frame with one value, which is spread over a vector.
    Slot(u32),
    /// 32 bits of a constant, the same for all lanes.
    Constant(u32),
    /// The number of each lane of the strip from this one on, times a factor.
    Iota { first: u32, factor: u32 },
    /// Numbers, one for each lane of a vector.
    Table([u32; 16]),
}

/// An operand in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemRef {
    pub(crate) base: MemBase,
    pub(crate) index: Option<Reg>,
    pub(crate) disp: i32,
}

/// The base of an operand in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemBase {
    Reg(Reg),
    /// The SIMD-group's frame.
    Frame,
    /// The frame, at the lanes of this strip.
    FrameLanes,
    /// The same where lanes have 8 bytes.
    FrameWide,
    /// The state of the SIMD-group.
    Wave,
    /// The byte with the bits of this strip's lanes, of 32 bits in the frame from here on.
    FrameBits,
    /// The same in the state of the SIMD-group.
    WaveBits,
    /// The code's own memory, after the spilled registers.
    Own,
}

/// Arithmetic of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntOp {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    Shl,
    /// With zeros.
    Shr,
    /// With the sign.
    Sar,
    /// The quotient, truncated; 0 if the second is 0, and wrapped where it is too large.
    DivSigned,
    DivUnsigned,
}

/// Comparisons. Those of floats are false if an operand is a NaN, except `Ne`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Eq,
    Ne,
    Lt,
    Le,
}

/// The type of numbers that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Signed,
    Unsigned,
}

/// Operations in each lane on one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane1 {
    Move,
    Sqrt,
    Floor,
    Ceil,
    Trunc,
    Rint,
    AbsInt,
    FloatOfSigned,
    FloatOfUnsigned,
    SignedOfFloat,
    UnsignedOfFloat,
    /// A shift by as many bits.
    Shl(u8),
    Shr(u8),
    Sar(u8),
    /// The `f32` of an `f16`'s bits, the low half of each lane. With `exact` a signalling NaN stays one.
    ValueOfHalf {
        exact: bool,
    },
    /// The bits of an `f16`, from the `f32` of equal value; likewise.
    BitsOfHalf {
        exact: bool,
    },
    /// The nearest `f16`, ties to even, as an `f32`.
    RoundHalf,
}

/// Operations in each lane on two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane2 {
    AddFloat,
    SubFloat,
    MulFloat,
    DivFloat,
    /// The smaller one; of a NaN and a number, the number.
    MinFloat,
    MaxFloat,
    Add,
    Sub,
    Mul,
    MinSigned,
    MinUnsigned,
    MaxSigned,
    MaxUnsigned,
    And,
    Or,
    Xor,
    /// Shifts by a number without a sign: one of 32 bits or more leaves zeros, or for `Sar` the sign.
    Shl,
    Shr,
    Sar,
    /// In each 128 bits: the even lanes of the first, then those of the second.
    Evens,
    Odds,
    /// In each 128 bits: the lanes of both in turn, from the lower two.
    MixLow,
    MixHigh,
    /// In each 128 bits: each byte is the byte of the first that the second's byte names, or 0 if that has its highest bit.
    Bytes,
    /// The high half of a product of 64 bits.
    MulHighSigned,
    MulHighUnsigned,
    /// The quotient, truncated and wrapped; any number if the second is 0.
    DivSigned,
    DivUnsigned,
}

/// The operation of an atomic on a word of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtomicOp {
    Load,
    Exchange,
    /// Writes the second operand where memory holds the first.
    CompareExchange,
    /// Adds integers: processors have an instruction for it.
    Add,
    /// Writes what the operation makes of the word and the operand.
    Change(Lane2),
}

/// The bytes of 64-bit operands of an atomic, for the longest vector.
pub(crate) const WIDE_ROW: u32 = 16 * 8;

/// Operations on masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaskOp {
    And,
    /// The second where the first is false.
    AndNot,
    Or,
    Xor,
}

/// A position that jumps go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) u32);

/// One instruction. `d` is the result unless the variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ins {
    // Integers. `wide` is 64 bits; results of 32 bits have zeros above.
    Const {
        d: Reg,
        bits: u64,
    },
    Move {
        d: Reg,
        s: Reg,
    },
    Int {
        op: IntOp,
        wide: bool,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    IntImm {
        op: IntOp,
        wide: bool,
        d: Reg,
        a: Reg,
        imm: i32,
    },
    Not {
        wide: bool,
        d: Reg,
        s: Reg,
    },
    /// Widened as a scalar type's values are, from its bits.
    Widen {
        from: Scalar,
        wide: bool,
        d: Reg,
        s: Reg,
    },
    /// Reads a scalar of memory, widened.
    LoadInt {
        from: Scalar,
        d: Reg,
        mem: MemRef,
    },
    StoreInt {
        bytes: u32,
        mem: MemRef,
        s: Reg,
    },
    /// All ones of 32 bits, or 0.
    Compare {
        test: Test,
        kind: Kind,
        wide: bool,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// `a` where `c` is not 0, else `b`.
    Choose {
        wide: bool,
        d: Reg,
        c: Reg,
        a: Reg,
        b: Reg,
    },

    // Control flow.
    Label(Label),
    Jump(Label),
    /// Jumps if a number of 32 bits is 0, or if it is not.
    JumpIf {
        zero: bool,
        s: Reg,
        to: Label,
    },
    /// Jumps if no lane of any of the masks is set.
    JumpNone {
        masks: [Reg; 4],
        to: Label,
    },
    /// The number of the lowest bit of 32 that is set.
    LowestBit {
        d: Reg,
        s: Reg,
    },
    /// Subtracts work, in the watchdog's units, from the budget; below 0 the site reads the clock.
    Budget {
        work: u32,
        site: u32,
    },

    // Checks of accesses. If one fails, the site's slow path does the access.
    /// Unsigned, of 64 bits: `a` must be below `limit`.
    CheckBelow {
        a: Reg,
        limit: Reg,
        site: u32,
    },
    /// The same ahead of a loop: jumps if `a` is not below the limit.
    JumpUnlessBelow {
        a: Reg,
        limit: Reg,
        to: Label,
    },
    /// Lanes of `active` must be in `good`.
    CheckLanes {
        active: Reg,
        good: Reg,
        site: u32,
    },
    /// Where the slow path of a site continues.
    SiteEnd {
        site: u32,
    },
    /// Calls the slow path of a site.
    Call {
        site: u32,
    },
    /// Waits for the threadgroup's other strips: the next of them runs, see [`Body`].
    Barrier {
        site: u32,
    },
    /// In phases: a threadgroup starts. What is before this is done once for all threadgroups of a call.
    Group,
    /// Goes to the threadgroup's first strip, and to its next one, which continues at `again` if there is one.
    FirstStrip,
    NextStrip {
        again: Label,
    },

    // Vectors.
    /// All ones or zeros in each lane; only part of other operations' results.
    Lane1 {
        op: Lane1,
        d: Reg,
        a: Reg,
    },
    Lane2 {
        op: Lane2,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// `a * b + c`, rounded once.
    Fma {
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    CompareLanes {
        test: Test,
        kind: Kind,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// Whether the float is a NaN.
    IsNan {
        d: Reg,
        a: Reg,
    },
    /// `a` where the mask is set, else `b`.
    Select {
        d: Reg,
        mask: Reg,
        a: Reg,
        b: Reg,
    },
    /// Assigns in the lanes of a mask.
    MoveMasked {
        d: Reg,
        mask: Reg,
        s: Reg,
    },
    /// The same number of 32 bits in all lanes.
    Spread {
        d: Reg,
        s: Reg,
    },
    /// Reads a scalar of 32 bits into all lanes.
    LoadSpread {
        d: Reg,
        mem: MemRef,
    },
    /// Reads adjacent scalars, widened; a signalling NaN of an `f16` becomes a quiet one.
    Load {
        from: Scalar,
        d: Reg,
        mem: MemRef,
    },
    /// Reads adjacent pairs of 32 bits, and separates the first from the second of each lane.
    LoadPairs {
        low: Reg,
        high: Reg,
        mem: MemRef,
    },
    /// Writes pairs, in the lanes of a mask if there is one.
    StorePairs {
        mem: MemRef,
        low: Reg,
        high: Reg,
        mask: Option<Reg>,
    },
    /// Writes 32 bits of every lane to adjacent words.
    StoreAll {
        mem: MemRef,
        s: Reg,
    },
    /// Writes adjacent scalars, in the lanes of a mask.
    Store {
        bytes: u32,
        mem: MemRef,
        s: Reg,
        mask: Reg,
    },
    /// Reads 16 bytes from each address, into 128 bits of the vector each. Addresses past the end of the vector are ignored.
    LoadQuads {
        d: Reg,
        mems: [MemRef; 4],
    },
    /// Writes them likewise.
    StoreQuads {
        mems: [MemRef; 4],
        s: Reg,
    },
    /// Reads 32 bits at `base` plus the lane's byte offset, in the lanes of a mask.
    Gather {
        d: Reg,
        base: Reg,
        offsets: Reg,
        disp: i32,
        mask: Reg,
    },
    /// Writes the low bytes of each lane, likewise, the lowest lane first.
    Scatter {
        bytes: u32,
        base: Reg,
        offsets: Reg,
        disp: i32,
        s: Reg,
        mask: Reg,
    },
    /// Four times the number of the strip's first lane.
    FirstLane {
        d: Reg,
    },
    /// An atomic in the lanes of a mask, from the lowest up, at `base` plus the lane's byte offset; the result is the
    /// word before, if that is used. Operands that the operation does not have are ignored.
    Atomic {
        op: AtomicOp,
        /// Whether other threads access the memory.
        lock: bool,
        returns: bool,
        d: Reg,
        base: Reg,
        offsets: Reg,
        a: Reg,
        b: Reg,
        mask: Reg,
    },
    /// A 64-bit atomic, likewise. Its operands are in the code's own memory, with eight bytes for each lane: the
    /// first one from `own` on, and in [`WIDE_ROW`] bytes each the second, the words before, and room for the offsets.
    AtomicWide {
        op: AtomicOp,
        lock: bool,
        returns: bool,
        base: Reg,
        offsets: Reg,
        own: u32,
        mask: Reg,
    },
    /// The lowest lane's bits.
    First {
        d: Reg,
        s: Reg,
    },
    /// The bits of the last of the lanes whose bits are set in a number.
    Last {
        d: Reg,
        s: Reg,
        bits: Reg,
    },

    /// Reads scalars of 2 or 4 bytes with zeros above: the lower half of the vector from one address, the upper half
    /// from another.
    LoadHalves {
        bytes: u32,
        d: Reg,
        low: Reg,
        high: Reg,
        disp: i32,
    },
    /// Writes the low bytes of all lanes, likewise.
    StoreHalves {
        bytes: u32,
        s: Reg,
        low: Reg,
        high: Reg,
        disp: i32,
    },
    /// One pair of lanes of each 256 bits in all pairs of those.
    SpreadPair {
        d: Reg,
        s: Reg,
        pair: u8,
    },
    /// Each lane takes the lane of `s` that its index names, modulo their number.
    Permute {
        d: Reg,
        index: Reg,
        s: Reg,
    },
    /// The same of two vectors, the second of which has the higher numbers. AVX-512 only.
    PermuteTwo {
        d: Reg,
        index: Reg,
        a: Reg,
        b: Reg,
    },

    // Masks.
    MaskBin {
        op: MaskOp,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    MaskNot {
        d: Reg,
        a: Reg,
    },
    MaskMove {
        d: Reg,
        s: Reg,
    },
    MaskClear {
        d: Reg,
    },
    /// From bits of a number of 32: lane 0 of the vector is this bit.
    MaskOfBits {
        d: Reg,
        s: Reg,
        first: u8,
    },
    /// The bits of a mask, lane 0 lowest.
    BitsOfMask {
        d: Reg,
        s: Reg,
    },
    /// The same for all lanes: set if the number of 32 bits is not 0.
    MaskOfInt {
        d: Reg,
        s: Reg,
    },
}

impl Ins {
    /// Calls `f` with every register except those of sites.
    pub(crate) fn each(&self, f: &mut impl FnMut(Reg)) {
        use Ins as I;
        let mem = |mem: &MemRef, f: &mut dyn FnMut(Reg)| {
            if let MemBase::Reg(base) = mem.base {
                f(base);
            }
            mem.index.into_iter().for_each(f);
        };
        match *self {
            I::Label(_)
            | I::Jump(_)
            | I::Budget { .. }
            | I::SiteEnd { .. }
            | I::Call { .. }
            | I::Barrier { .. }
            | I::Group
            | I::FirstStrip
            | I::NextStrip { .. } => {}
            I::Const { d, .. } | I::MaskClear { d } | I::FirstLane { d } => f(d),
            I::Move { d, s }
            | I::Not { d, s, .. }
            | I::Widen { d, s, .. }
            | I::Spread { d, s }
            | I::First { d, s }
            | I::MaskMove { d, s }
            | I::MaskOfBits { d, s, .. }
            | I::BitsOfMask { d, s }
            | I::MaskOfInt { d, s }
            | I::IntImm { d, a: s, .. }
            | I::Lane1 { d, a: s, .. }
            | I::LowestBit { d, s }
            | I::SpreadPair { d, s, .. }
            | I::IsNan { d, a: s }
            | I::MaskNot { d, a: s } => [s, d].into_iter().for_each(f),
            I::Int { d, a, b, .. }
            | I::Compare { d, a, b, .. }
            | I::Lane2 { d, a, b, .. }
            | I::Last { d, s: a, bits: b }
            | I::Permute { d, index: a, s: b }
            | I::CompareLanes { d, a, b, .. }
            | I::MaskBin { d, a, b, .. } => [a, b, d].into_iter().for_each(f),
            I::Choose { d, c, a, b, .. }
            | I::Fma { d, a, b, c }
            | I::PermuteTwo { d, index: c, a, b }
            | I::Select { d, mask: c, a, b } => [a, b, c, d].into_iter().for_each(f),
            I::LoadHalves { d: a, low: b, high: c, .. }
            | I::StoreHalves { s: a, low: b, high: c, .. } => [b, c, a].into_iter().for_each(f),
            I::MoveMasked { d, mask, s } => [mask, s, d].into_iter().for_each(f),
            I::JumpIf { s, .. } => f(s),
            I::JumpNone { masks, .. } => masks.into_iter().for_each(f),
            I::CheckBelow { a, limit, .. } | I::JumpUnlessBelow { a, limit, .. } => {
                [a, limit].into_iter().for_each(f)
            }
            I::CheckLanes { active, good, .. } => [active, good].into_iter().for_each(f),
            I::LoadInt { d, mem: m, .. }
            | I::LoadSpread { d, mem: m }
            | I::Load { d, mem: m, .. } => {
                mem(&m, f);
                f(d);
            }
            I::LoadQuads { d, mems } => {
                mems.iter().for_each(|m| mem(m, f));
                f(d);
            }
            I::StoreInt { mem: m, s, .. } | I::StoreAll { mem: m, s } => {
                mem(&m, f);
                f(s);
            }
            I::StoreQuads { mems, s } => {
                mems.iter().for_each(|m| mem(m, f));
                f(s);
            }
            I::LoadPairs { low, high, mem: m } => {
                mem(&m, f);
                [low, high].into_iter().for_each(f);
            }
            I::StorePairs { mem: m, low, high, mask } => {
                mem(&m, f);
                [low, high].into_iter().chain(mask).for_each(f);
            }
            I::Store { mem: m, s, mask, .. } => {
                mem(&m, f);
                [s, mask].into_iter().for_each(f);
            }
            I::Atomic { d, base, offsets, a, b, mask, .. } => {
                [base, offsets, a, b, mask, d].into_iter().for_each(f);
            }
            I::AtomicWide { base, offsets, mask, .. } => {
                [base, offsets, mask].into_iter().for_each(f);
            }
            I::Gather { d, base, offsets, mask, .. } => {
                [base, offsets, mask, d].into_iter().for_each(f);
            }
            I::Scatter { base, offsets, s, mask, .. } => {
                [base, offsets, s, mask].into_iter().for_each(f);
            }
        }
    }
}

impl Ins {
    /// The result of an instruction that has no other effect.
    pub(crate) fn only_result(&self) -> Option<Reg> {
        use Ins as I;
        match *self {
            I::Const { d, .. }
            | I::Move { d, .. }
            | I::Int { d, .. }
            | I::IntImm { d, .. }
            | I::Not { d, .. }
            | I::Widen { d, .. }
            | I::LoadInt { d, .. }
            | I::Compare { d, .. }
            | I::Choose { d, .. }
            | I::Lane1 { d, .. }
            | I::Lane2 { d, .. }
            | I::Fma { d, .. }
            | I::CompareLanes { d, .. }
            | I::Select { d, .. }
            | I::Spread { d, .. }
            | I::First { d, .. }
            | I::LoadSpread { d, .. }
            | I::Load { d, .. }
            | I::LoadQuads { d, .. }
            | I::Gather { d, .. }
            | I::MaskBin { d, .. }
            | I::MaskNot { d, .. } => Some(d),
            _ => None,
        }
    }

    /// The site that an instruction names.
    pub(crate) fn site(&self) -> Option<u32> {
        match *self {
            Self::Budget { site, .. }
            | Self::CheckBelow { site, .. }
            | Self::CheckLanes { site, .. }
            | Self::SiteEnd { site }
            | Self::Call { site }
            | Self::Barrier { site } => Some(site),
            _ => None,
        }
    }
}

/// The purpose of selected operations, for listings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The start or the end of the run.
    #[default]
    Ends,
    /// An instruction of the IR.
    Do(Value),
    /// A branch on a condition.
    If(Value),
    /// A loop, which is there in the source.
    Loop(Span),
}

/// A region's code.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub(crate) code: Vec<Ins>,
    /// The purpose of each.
    pub(crate) origins: Vec<Origin>,
    pub(crate) regs: Vec<Info>,
    pub(crate) labels: u32,
    pub(crate) sites: Vec<Site>,
    /// First and last instruction of each loop, inner before outer.
    pub(crate) loops: Vec<(u32, u32)>,
    /// Instructions that may be one with the next, in order: it takes lanes of their result by a mask, and nothing else reads that.
    pub(crate) pairs: Vec<u32>,
    /// Bytes of memory of its own.
    pub(crate) own_bytes: u32,
    /// Slots to copy after the last strip: from this offset of the code's own memory to that of the frame.
    pub(crate) late: Vec<(u32, u32)>,
    /// Lanes of a vector, and vectors of a strip.
    pub(crate) lanes: u32,
    pub(crate) parts: u32,
    /// Set if the code is a kernel's whole body, which runs threadgroup after threadgroup.
    pub(crate) body: Option<Body>,
}

/// How the code of a whole body goes from strip to strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A strip runs to its next barrier, or its end. What it needs later is in memory of its own.
    Rounds,
    /// All strips go through the code between two barriers, one after the other. Control flow around barriers is decided once
    /// for the threadgroup. So it is, too, if there are no barriers.
    Phases,
}
