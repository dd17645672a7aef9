//! The table of opcodes of vector, mask and BMI instructions that the emitter uses, as Intel's manual (volume 2) numbers them.
//!
//! A row is what the encoder writes, and the text that a listing shows: operands in braces, which `text.rs` explains. Where the
//! text depends on the prefix, the first is for VEX and the second for EVEX.

/// The opcode of an instruction with a VEX or EVEX prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    /// 1 for `0F`, 2 for `0F 38`, 3 for `0F 3A`.
    pub(crate) map: u8,
    /// 0, or 1, 2, 3 for the prefixes `66`, `F3`, `F2`.
    pub(crate) pp: u8,
    /// The bit W.
    pub(crate) w: bool,
    pub(crate) code: u8,
}

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident = $map:literal $pp:literal $w:literal $code:literal $($text:literal)+;)*) => {
        $(
            $(#[$doc])*
            pub(crate) const $name: Op = Op { map: $map, pp: $pp, w: $w, code: $code };
        )*
        /// Every opcode and its texts.
        pub(crate) const ALL: &[(Op, &[&str])] = &[$(($name, &[$($text),+])),*];
    };
}

table! {
    ADDPS = 1 0 false 0x58 "vaddps {r}, {v}, {m}";
    MULPS = 1 0 false 0x59 "vmulps {r}, {v}, {m}";
    SUBPS = 1 0 false 0x5c "vsubps {r}, {v}, {m}";
    DIVPS = 1 0 false 0x5e "vdivps {r}, {v}, {m}";
    MINPS = 1 0 false 0x5d "vminps {r}, {v}, {m}";
    MAXPS = 1 0 false 0x5f "vmaxps {r}, {v}, {m}";
    SQRTPS = 1 0 false 0x51 "vsqrtps {r}, {m}";
    FMA231PS = 2 1 false 0xb8 "vfmadd231ps {r}, {v}, {m}";
    ROUNDPS = 3 1 false 0x08 "vroundps {r}, {m}, {u8}" "vrndscaleps {r}, {m}, {u8}";
    CVTDQ2PS = 1 0 false 0x5b "vcvtdq2ps {r}, {m}";
    CVTTPS2DQ = 1 2 false 0x5b "vcvttps2dq {r}, {m}";
    /// AVX-512 only.
    CVTUDQ2PS = 1 3 false 0x7a "vcvtudq2ps {r}, {m}";
    /// AVX-512 only.
    CVTTPS2UDQ = 1 0 false 0x78 "vcvttps2udq {r}, {m}";
    PADDD = 1 1 false 0xfe "vpaddd {r}, {v}, {m}";
    PSUBD = 1 1 false 0xfa "vpsubd {r}, {v}, {m}";
    PMULLD = 2 1 false 0x40 "vpmulld {r}, {v}, {m}";
    PMINSD = 2 1 false 0x39 "vpminsd {r}, {v}, {m}";
    PMINUD = 2 1 false 0x3b "vpminud {r}, {v}, {m}";
    PMAXSD = 2 1 false 0x3d "vpmaxsd {r}, {v}, {m}";
    PMAXUD = 2 1 false 0x3f "vpmaxud {r}, {v}, {m}";
    PAND = 1 1 false 0xdb "vpand {r}, {v}, {m}" "vpandd {r}, {v}, {m}";
    PANDN = 1 1 false 0xdf "vpandn {r}, {v}, {m}" "vpandnd {r}, {v}, {m}";
    POR = 1 1 false 0xeb "vpor {r}, {v}, {m}" "vpord {r}, {v}, {m}";
    PXOR = 1 1 false 0xef "vpxor {r}, {v}, {m}" "vpxord {r}, {v}, {m}";
    PABSD = 2 1 false 0x1e "vpabsd {r}, {m}";
    PSLLVD = 2 1 false 0x47 "vpsllvd {r}, {v}, {m}";
    PSRLVD = 2 1 false 0x45 "vpsrlvd {r}, {v}, {m}";
    PSRAVD = 2 1 false 0x46 "vpsravd {r}, {v}, {m}";
    /// A shift by an immediate; which one is in the register field: 2, 4 and 6.
    PSHIFTD = 1 1 false 0x72 "vps{shift}d {v}, {m}, {u8}";
    MOVUPS_LOAD = 1 0 false 0x10 "vmovups {r}, {m}";
    MOVUPS_STORE = 1 0 false 0x11 "vmovups {m}, {r}";
    MOVAPS = 1 0 false 0x28 "vmovaps {r}, {m}";
    BROADCASTSS = 2 1 false 0x18 "vbroadcastss {r}, {mx}";
    PBROADCASTD = 2 1 false 0x58 "vpbroadcastd {r}, {mx}";
    /// AVX-512 only: from a general-purpose register.
    PBROADCASTD_GPR = 2 1 false 0x7c "vpbroadcastd {r}, {M}";
    MOVD = 1 1 false 0x6e "vmovd {rx}, {M}";
    MOVD_STORE = 1 1 false 0x7e "vmovd {M}, {rx}";
    PMOVSXBD = 2 1 false 0x21 "vpmovsxbd {r}, {mq}";
    PMOVSXWD = 2 1 false 0x23 "vpmovsxwd {r}, {mh}";
    PMOVZXBD = 2 1 false 0x31 "vpmovzxbd {r}, {mq}";
    PMOVZXWD = 2 1 false 0x33 "vpmovzxwd {r}, {mh}";
    /// AVX-512 only: stores the low bytes.
    PMOVDB = 2 2 false 0x31 "vpmovdb {mq}, {r}";
    /// AVX-512 only: stores the low words.
    PMOVDW = 2 2 false 0x33 "vpmovdw {mh}, {r}";
    /// From 16-bit floats in half a vector or in memory.
    CVTPH2PS = 2 1 false 0x13 "vcvtph2ps {r}, {mh}";
    /// To 16-bit floats; the immediate 0 rounds to the nearest, ties to even.
    CVTPS2PH = 3 1 false 0x1d "vcvtps2ph {mh}, {r}, {u8}";
    /// Words out of doublewords, in each half of 256 bits.
    PACKUSDW = 2 1 false 0x2b "vpackusdw {r}, {v}, {m}";
    /// Bytes out of words, likewise.
    PACKUSWB = 1 1 false 0x67 "vpackuswb {r}, {v}, {m}";
    /// Quadwords in an order that is an immediate.
    PERMQ = 3 1 true 0x00 "vpermq {r}, {m}, {u8}";
    /// Doublewords by a vector of their numbers, which is the first source.
    PERMD = 2 1 false 0x36 "vpermd {r}, {v}, {m}";
    /// Bytes of each 128 bits by a vector of their numbers, which is the second source.
    PSHUFB = 2 1 false 0x00 "vpshufb {r}, {v}, {m}";
    /// AVX-512 only: lanes in which two vectors have no bit in common, as a mask.
    PTESTNMD = 2 2 false 0x27 "vptestnmd {rk}, {v}, {m}";
    /// One byte or word of 128 bits, to memory.
    PEXTRB = 3 1 false 0x14 "vpextrb {M}, {rx}, {u8}";
    PEXTRW = 3 1 false 0x15 "vpextrw {M}, {rx}, {u8}";
    MOVQ_STORE = 1 1 false 0xd6 "vmovq {mx}, {rx}";
    /// AVX-512 only: lanes of two operands by the indices in the result.
    PERMI2D = 2 1 false 0x76 "vpermi2d {r}, {v}, {m}";
    SHUFPS = 1 0 false 0xc6 "vshufps {r}, {v}, {m}, {u8}";
    UNPCKLPS = 1 0 false 0x14 "vunpcklps {r}, {v}, {m}";
    UNPCKHPS = 1 0 false 0x15 "vunpckhps {r}, {v}, {m}";
    /// 64 bits to or from the lower half of 128, with zeros above, and the upper half.
    MOVQ_LOAD = 1 2 false 0x7e "vmovq {rx}, {mx}";
    MOVHPS_LOAD = 1 0 false 0x16 "vmovhps {rx}, {vx}, {mx}";
    MOVHPS_STORE = 1 0 false 0x17 "vmovhps {mx}, {rx}";
    /// 128 bits into 256 or 512, or 256 into 512, by an immediate; and out of them.
    INSERTF128 = 3 1 false 0x18 "vinsertf128 {r}, {v}, {mx}, {u8}" "vinsertf32x4 {r}, {v}, {mx}, {u8}";
    EXTRACTF128 = 3 1 false 0x19 "vextractf128 {mx}, {r}, {u8}" "vextractf32x4 {mx}, {r}, {u8}";
    /// 128 bits of memory in all of the vector.
    BROADCASTF128 = 2 1 false 0x1a "vbroadcastf128 {r}, {m}" "vbroadcastf32x4 {r}, {m}";
    INSERTF64X4 = 3 1 true 0x1a "vinsertf64x4 {r}, {v}, {mh}, {u8}";
    EXTRACTF64X4 = 3 1 true 0x1b "vextractf64x4 {mh}, {r}, {u8}";
    /// 64-bit lanes of each 256 bits in an order that is an immediate.
    PERMPD = 3 1 true 0x01 "vpermpd {r}, {m}, {u8}";
    /// 64 bits of products of the even doublewords.
    PMULUDQ = 1 1 true 0xf4 "vpmuludq {r}, {v}, {m}";
    PMULDQ = 2 1 true 0x28 "vpmuldq {r}, {v}, {m}";
    /// A shift of quadwords by an immediate; the register field is 2 to the right and 6 to the left.
    PSHIFTQ = 1 1 true 0x73 "vps{shift}q {v}, {m}, {u8}";
    CVTDQ2PD = 1 2 false 0xe6 "vcvtdq2pd {r}, {mh}";
    CVTTPD2DQ = 1 1 true 0xe6 "vcvttpd2dq {rh}, {m}";
    /// AVX-512 only.
    CVTUDQ2PD = 1 2 false 0x7a "vcvtudq2pd {r}, {mh}";
    /// AVX-512 only.
    CVTTPD2UDQ = 1 0 true 0x78 "vcvttpd2udq {rh}, {m}";
    PMOVZXDQ = 2 1 false 0x35 "vpmovzxdq {r}, {mh}";
    ADDPD = 1 1 true 0x58 "vaddpd {r}, {v}, {m}";
    SUBPD = 1 1 true 0x5c "vsubpd {r}, {v}, {m}";
    DIVPD = 1 1 true 0x5e "vdivpd {r}, {v}, {m}";
    ROUNDPD = 3 1 true 0x09 "vroundpd {r}, {m}, {u8}" "vrndscalepd {r}, {m}, {u8}";
    /// Lanes of the second source where a bit of the immediate is set. AVX2.
    BLENDPS = 3 1 false 0x0c "vblendps {r}, {v}, {m}, {u8}";
    /// Spreads the low bits of a register to where a mask has ones.
    PDEP = 2 3 false 0xf5 "pdep {R}, {V}, {M}";
    GATHERDPS = 2 1 false 0x92 "vgatherdps {r}, {mv}, {v}" "vgatherdps {r}, {k}, {mv}";
    /// AVX-512 only.
    SCATTERDPS = 2 1 false 0xa2 "vscatterdps {mv}, {k}, {r}";
    /// AVX2: lanes whose mask has its highest bit.
    MASKMOVPS_STORE = 2 1 false 0x2e "vmaskmovps {m}, {v}, {r}";
    BLENDVPS = 3 1 false 0x4a "vblendvps {r}, {v}, {m}, {fourth}";
    MOVMSKPS = 1 0 false 0x50 "vmovmskps {R}, {m}";
    CMPPS = 1 0 false 0xc2 "vcmpps {r}, {v}, {m}, {u8}" "vcmpps {rk}, {v}, {m}, {u8}";
    /// AVX2.
    PCMPEQD = 1 1 false 0x76 "vpcmpeqd {r}, {v}, {m}";
    /// AVX2.
    PCMPGTD = 1 1 false 0x66 "vpcmpgtd {r}, {v}, {m}";
    /// AVX-512, signed and unsigned: the predicate is an immediate.
    PCMPD = 3 1 false 0x1f "vpcmpd {rk}, {v}, {m}, {u8}";
    PCMPUD = 3 1 false 0x1e "vpcmpud {rk}, {v}, {m}, {u8}";
    /// AVX-512: lanes of the second source where the mask is set, else of the first.
    BLENDMPS = 2 1 false 0x65 "vblendmps {r}, {v}, {m}";
    /// Masks of 16 lanes.
    KANDW = 1 0 false 0x41 "kandw {rk}, {vk}, {mk}";
    KANDNW = 1 0 false 0x42 "kandnw {rk}, {vk}, {mk}";
    KNOTW = 1 0 false 0x44 "knotw {rk}, {mk}";
    KORW = 1 0 false 0x45 "korw {rk}, {vk}, {mk}";
    KXORW = 1 0 false 0x47 "kxorw {rk}, {vk}, {mk}";
    KMOVW = 1 0 false 0x90 "kmovw {rk}, {mk}";
    KMOVW_STORE = 1 0 false 0x91 "kmovw {mk}, {rk}";
    KMOVW_FROM_GPR = 1 0 false 0x92 "kmovw {rk}, {M}";
    KMOVW_TO_GPR = 1 0 false 0x93 "kmovw {R}, {mk}";
    KORTESTW = 1 0 false 0x98 "kortestw {rk}, {mk}";
    /// Shifts by a register, which change no flags; the prefix says which.
    SHLX = 2 1 false 0xf7 "shlx {R}, {M}, {V}";
    SARX = 2 2 false 0xf7 "sarx {R}, {M}, {V}";
    SHRX = 2 3 false 0xf7 "shrx {R}, {M}, {V}";
    /// Clears the lowest bit that is set; the register field is 1.
    BLSR = 2 0 false 0xf3 "blsr {V}, {M}";
}
