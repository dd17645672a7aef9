//! The table of arm64 instruction forms that the emitter uses, as the Architecture Reference Manual (C6, C7) encodes them.
//!
//! A form is its bits with zeros where fields are, and a text with a name in braces for each field. [`FIELDS`] says where a
//! field is, so that one table is encoder and listing.

/// A form of instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) text: &'static str,
    pub(crate) bits: u32,
}

/// The meaning of a field's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A register of 32 bits, or of 64 if bit 31 is set; number 31 is zero.
    General,
    Word,
    Long,
    /// A register of 64 bits, where number 31 is the stack pointer.
    Base,
    /// A register of 32 or 64 bits, likewise.
    GeneralBase,
    Vector,
    /// The vector after a vector.
    Next,
    /// A number times this.
    Scaled(u32),
    /// A number with a sign, times this.
    Signed(u32),
    Condition,
    /// An amount of a shift to the left, and to the right, of lanes of 32 bits.
    Left,
    Right,
    /// The number of a lane of this many bytes, in the field that copies between lanes.
    Lane(u32),
    /// Sixteen times a number: the shift of an immediate.
    Shift16,
    /// The immediate of a vector, and by how many bits it is shifted.
    Byte,
    ByteShift,
    /// The number of a lane of this many bytes, in the fields of an access to one lane.
    One(u32),
    /// The bit that a branch tests.
    Bit,
    /// The distance in bytes of an address, whose lowest two bits are apart.
    Distance,
}

/// The fields: name, bits, and meaning.
pub(crate) const FIELDS: &[(&str, u32, Meaning)] = &[
    ("rd", 0x1f, Meaning::General),
    ("rn", 0x1f << 5, Meaning::General),
    ("rm", 0x1f << 16, Meaning::General),
    ("ra", 0x1f << 10, Meaning::General),
    ("gd", 0x1f, Meaning::GeneralBase),
    ("gn", 0x1f << 5, Meaning::GeneralBase),
    ("wd", 0x1f, Meaning::Word),
    ("wn", 0x1f << 5, Meaning::Word),
    ("wm", 0x1f << 16, Meaning::Word),
    ("xd", 0x1f, Meaning::Long),
    ("xn", 0x1f << 5, Meaning::Long),
    ("xm", 0x1f << 16, Meaning::Long),
    ("xa", 0x1f << 10, Meaning::Long),
    ("bn", 0x1f << 5, Meaning::Base),
    ("vd", 0x1f, Meaning::Vector),
    ("vn", 0x1f << 5, Meaning::Vector),
    ("nn", 0x1f << 5, Meaning::Next),
    ("vm", 0x1f << 16, Meaning::Vector),
    ("va", 0x1f << 10, Meaning::Vector),
    ("i12", 0xfff << 10, Meaning::Scaled(1)),
    ("o1", 0xfff << 10, Meaning::Scaled(1)),
    ("o2", 0xfff << 10, Meaning::Scaled(2)),
    ("o4", 0xfff << 10, Meaning::Scaled(4)),
    ("o8", 0xfff << 10, Meaning::Scaled(8)),
    ("o16", 0xfff << 10, Meaning::Scaled(16)),
    ("p8", 0x7f << 15, Meaning::Signed(8)),
    ("p16", 0x7f << 15, Meaning::Signed(16)),
    ("s6", 0x3f << 10, Meaning::Scaled(1)),
    ("s16", 0x3f << 16, Meaning::Scaled(1)),
    ("i16", 0xffff << 5, Meaning::Scaled(1)),
    ("hw", 3 << 21, Meaning::Shift16),
    ("cc", 15 << 12, Meaning::Condition),
    ("bc", 15, Meaning::Condition),
    ("j14", 0x3fff << 5, Meaning::Signed(4)),
    ("j19", 0x7ffff << 5, Meaning::Signed(4)),
    ("j26", 0x3ff_ffff, Meaning::Signed(4)),
    ("j21", 0x7ffff << 5 | 3 << 29, Meaning::Distance),
    ("bit", 0x1f << 19 | 1 << 31, Meaning::Bit),
    ("shl", 0x1f << 16, Meaning::Left),
    ("shr", 0x1f << 16, Meaning::Right),
    ("l4", 3 << 19, Meaning::Lane(4)),
    ("l8", 1 << 20, Meaning::Lane(8)),
    ("b8", 7 << 16 | 0x1f << 5, Meaning::Byte),
    ("b0", 3 << 13, Meaning::ByteShift),
    ("m1", 1 << 30 | 7 << 10, Meaning::One(1)),
    ("m2", 1 << 30 | 3 << 11, Meaning::One(2)),
    ("m8", 1 << 30, Meaning::One(8)),
    ("m4", 1 << 30 | 1 << 12, Meaning::One(4)),
];

/// The names of conditions, by number.
pub(crate) const CONDITIONS: [&str; 16] = [
    "eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "nv",
];

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident = $bits:literal $text:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: Op = Op { text: $text, bits: $bits };)*
        /// Every form.
        pub(crate) const ALL: &[Op] = &[$($name),*];
    };
}

table! {
    // Integers. Bit 31 makes 64 bits of 32.
    ADD = 0x0b00_0000 "add {rd}, {rn}, {rm}";
    SUB = 0x4b00_0000 "sub {rd}, {rn}, {rm}";
    SUBS = 0x6b00_0000 "subs {rd}, {rn}, {rm}";
    AND = 0x0a00_0000 "and {rd}, {rn}, {rm}";
    ORR = 0x2a00_0000 "orr {rd}, {rn}, {rm}";
    ORN = 0x2a20_0000 "orn {rd}, {rn}, {rm}";
    EOR = 0x4a00_0000 "eor {rd}, {rn}, {rm}";
    BIC = 0x0a20_0000 "bic {rd}, {rn}, {rm}";
    ANDS = 0x6a00_0000 "ands {rd}, {rn}, {rm}";
    MADD = 0x1b00_0000 "madd {rd}, {rn}, {rm}, {ra}";
    SDIV = 0x1ac0_0c00 "sdiv {rd}, {rn}, {rm}";
    UDIV = 0x1ac0_0800 "udiv {rd}, {rn}, {rm}";
    LSLV = 0x1ac0_2000 "lsl {rd}, {rn}, {rm}";
    LSRV = 0x1ac0_2400 "lsr {rd}, {rn}, {rm}";
    ASRV = 0x1ac0_2800 "asr {rd}, {rn}, {rm}";
    CLZ = 0x5ac0_1000 "clz {rd}, {rn}";
    RBIT = 0x5ac0_0000 "rbit {rd}, {rn}";
    CSEL = 0x1a80_0000 "csel {rd}, {rn}, {rm}, {cc}";
    CSINV = 0x5a80_0000 "csinv {rd}, {rn}, {rm}, {cc}";
    ADD_IMM = 0x1100_0000 "add {gd}, {gn}, #{i12}";
    ADD_IMM_HIGH = 0x1140_0000 "add {gd}, {gn}, #{i12}, lsl #12";
    SUB_IMM = 0x5100_0000 "sub {gd}, {gn}, #{i12}";
    SUB_IMM_HIGH = 0x5140_0000 "sub {gd}, {gn}, #{i12}, lsl #12";
    SUBS_IMM = 0x7100_0000 "subs {rd}, {gn}, #{i12}";
    ADD_SIGNED = 0x8b20_c000 "add {xd}, {bn}, {wm}, sxtw";
    ADD_SHIFTED = 0x8b00_0000 "add {xd}, {xn}, {xm}, lsl #{s6}";
    MOVZ = 0x5280_0000 "movz {rd}, #{i16}, lsl #{hw}";
    MOVN = 0x1280_0000 "movn {rd}, #{i16}, lsl #{hw}";
    MOVK = 0x7280_0000 "movk {rd}, #{i16}, lsl #{hw}";
    UBFM = 0x5300_0000 "ubfm {rd}, {rn}, #{s16}, #{s6}";
    SBFM = 0x1300_0000 "sbfm {rd}, {rn}, #{s16}, #{s6}";
    // Loads and stores of numbers.
    LDRB = 0x3940_0000 "ldrb {wd}, [{bn}, #{o1}]";
    LDRH = 0x7940_0000 "ldrh {wd}, [{bn}, #{o2}]";
    LDR_W = 0xb940_0000 "ldr {wd}, [{bn}, #{o4}]";
    LDR_X = 0xf940_0000 "ldr {xd}, [{bn}, #{o8}]";
    LDRSB = 0x39c0_0000 "ldrsb {wd}, [{bn}, #{o1}]";
    LDRSH = 0x79c0_0000 "ldrsh {wd}, [{bn}, #{o2}]";
    STRB = 0x3900_0000 "strb {wd}, [{bn}, #{o1}]";
    STRH = 0x7900_0000 "strh {wd}, [{bn}, #{o2}]";
    STR_W = 0xb900_0000 "str {wd}, [{bn}, #{o4}]";
    STR_X = 0xf900_0000 "str {xd}, [{bn}, #{o8}]";
    LDR_W_INDEXED = 0xb860_7800 "ldr {wd}, [{bn}, {xm}, lsl #2]";
    STR_W_INDEXED = 0xb820_7800 "str {wd}, [{bn}, {xm}, lsl #2]";
    LDR_W_OFFSET = 0xb860_6800 "ldr {wd}, [{bn}, {xm}]";
    STR_W_OFFSET = 0xb820_6800 "str {wd}, [{bn}, {xm}]";
    STP_X_PRE = 0xa980_0000 "stp {xd}, {xa}, [{bn}, #{p8}]!";
    LDP_X_POST = 0xa8c0_0000 "ldp {xd}, {xa}, [{bn}], #{p8}";
    STP_X = 0xa900_0000 "stp {xd}, {xa}, [{bn}, #{p8}]";
    LDP_X = 0xa940_0000 "ldp {xd}, {xa}, [{bn}, #{p8}]";
    STP_D_PRE = 0x6d80_0000 "stp d{vd}, d{va}, [{bn}, #{p8}]!";
    LDP_D_POST = 0x6cc0_0000 "ldp d{vd}, d{va}, [{bn}], #{p8}";
    LDXR = 0x885f_7c00 "ldxr {wd}, [{bn}]";
    STXR = 0x8800_7c00 "stxr {wm}, {wd}, [{bn}]";
    LDXR_X = 0xc85f_7c00 "ldxr {xd}, [{bn}]";
    STXR_X = 0xc800_7c00 "stxr {wm}, {xd}, [{bn}]";
    // Loads and stores of vectors.
    LDR_D = 0xfd40_0000 "ldr d{vd}, [{bn}, #{o8}]";
    LDR_Q = 0x3dc0_0000 "ldr q{vd}, [{bn}, #{o16}]";
    STR_D = 0xfd00_0000 "str d{vd}, [{bn}, #{o8}]";
    STR_Q = 0x3d80_0000 "str q{vd}, [{bn}, #{o16}]";
    LDP_Q = 0xad40_0000 "ldp q{vd}, q{va}, [{bn}, #{p16}]";
    STP_Q = 0xad00_0000 "stp q{vd}, q{va}, [{bn}, #{p16}]";
    LDR_Q_POOL = 0x9c00_0000 "ldr q{vd}, {j19}";
    LDR_X_POOL = 0x5800_0000 "ldr {xd}, {j19}";
    LD1R = 0x4d40_c800 "ld1r {v{vd}.4s}, [{bn}]";
    LD1_LANE = 0x0d40_8000 "ld1 {v{vd}.s}[{m4}], [{bn}]";
    ST1_LONG = 0x0d00_8400 "st1 {v{vd}.d}[{m8}], [{bn}]";
    ST1_WORD = 0x0d00_8000 "st1 {v{vd}.s}[{m4}], [{bn}]";
    ST1_HALF = 0x0d00_4000 "st1 {v{vd}.h}[{m2}], [{bn}]";
    ST1_BYTE = 0x0d00_0000 "st1 {v{vd}.b}[{m1}], [{bn}]";
    // Control flow.
    B = 0x1400_0000 "b {j26}";
    BL = 0x9400_0000 "bl {j26}";
    B_COND = 0x5400_0000 "b.{bc} {j19}";
    CBZ = 0x3400_0000 "cbz {rd}, {j19}";
    CBNZ = 0x3500_0000 "cbnz {rd}, {j19}";
    TBZ = 0x3600_0000 "tbz {rd}, #{bit}, {j14}";
    RET = 0xd65f_03c0 "ret";
    BR = 0xd61f_0000 "br {xn}";
    ADR = 0x1000_0000 "adr {xd}, {j21}";
    BLR = 0xd63f_0000 "blr {xn}";
    // Three vectors.
    FADD = 0x4e20_d400 "fadd v{vd}.4s, v{vn}.4s, v{vm}.4s";
    FSUB = 0x4ea0_d400 "fsub v{vd}.4s, v{vn}.4s, v{vm}.4s";
    FMUL = 0x6e20_dc00 "fmul v{vd}.4s, v{vn}.4s, v{vm}.4s";
    FDIV = 0x6e20_fc00 "fdiv v{vd}.4s, v{vn}.4s, v{vm}.4s";
    FMLA = 0x4e20_cc00 "fmla v{vd}.4s, v{vn}.4s, v{vm}.4s";
    FCMEQ = 0x4e20_e400 "fcmeq v{vd}.4s, v{vn}.4s, v{vm}.4s";
    FCMGT = 0x6ea0_e400 "fcmgt v{vd}.4s, v{vn}.4s, v{vm}.4s";
    FCMGE = 0x6e20_e400 "fcmge v{vd}.4s, v{vn}.4s, v{vm}.4s";
    V_ADD = 0x4ea0_8400 "add v{vd}.4s, v{vn}.4s, v{vm}.4s";
    V_SUB = 0x6ea0_8400 "sub v{vd}.4s, v{vn}.4s, v{vm}.4s";
    V_MUL = 0x4ea0_9c00 "mul v{vd}.4s, v{vn}.4s, v{vm}.4s";
    SMAX = 0x4ea0_6400 "smax v{vd}.4s, v{vn}.4s, v{vm}.4s";
    SMIN = 0x4ea0_6c00 "smin v{vd}.4s, v{vn}.4s, v{vm}.4s";
    UMAX = 0x6ea0_6400 "umax v{vd}.4s, v{vn}.4s, v{vm}.4s";
    UMIN = 0x6ea0_6c00 "umin v{vd}.4s, v{vn}.4s, v{vm}.4s";
    V_AND = 0x4e20_1c00 "and v{vd}.16b, v{vn}.16b, v{vm}.16b";
    V_BIC = 0x4e60_1c00 "bic v{vd}.16b, v{vn}.16b, v{vm}.16b";
    V_ORR = 0x4ea0_1c00 "orr v{vd}.16b, v{vn}.16b, v{vm}.16b";
    V_ORN = 0x4ee0_1c00 "orn v{vd}.16b, v{vn}.16b, v{vm}.16b";
    V_EOR = 0x6e20_1c00 "eor v{vd}.16b, v{vn}.16b, v{vm}.16b";
    /// The result is the mask.
    BSL = 0x6e60_1c00 "bsl v{vd}.16b, v{vn}.16b, v{vm}.16b";
    /// Selects the bits of the second whose mask, the third, is set.
    BIT = 0x6ea0_1c00 "bit v{vd}.16b, v{vn}.16b, v{vm}.16b";
    /// The same where the mask is not set.
    BIF = 0x6ee0_1c00 "bif v{vd}.16b, v{vn}.16b, v{vm}.16b";
    CMEQ = 0x6ea0_8c00 "cmeq v{vd}.4s, v{vn}.4s, v{vm}.4s";
    CMGT = 0x4ea0_3400 "cmgt v{vd}.4s, v{vn}.4s, v{vm}.4s";
    CMGE = 0x4ea0_3c00 "cmge v{vd}.4s, v{vn}.4s, v{vm}.4s";
    CMHI = 0x6ea0_3400 "cmhi v{vd}.4s, v{vn}.4s, v{vm}.4s";
    CMHS = 0x6ea0_3c00 "cmhs v{vd}.4s, v{vn}.4s, v{vm}.4s";
    CMTST = 0x4ea0_8c00 "cmtst v{vd}.4s, v{vn}.4s, v{vm}.4s";
    USHL = 0x6ea0_4400 "ushl v{vd}.4s, v{vn}.4s, v{vm}.4s";
    SSHL = 0x4ea0_4400 "sshl v{vd}.4s, v{vn}.4s, v{vm}.4s";
    UZP1 = 0x4e80_1800 "uzp1 v{vd}.4s, v{vn}.4s, v{vm}.4s";
    UZP2 = 0x4e80_5800 "uzp2 v{vd}.4s, v{vn}.4s, v{vm}.4s";
    ZIP1 = 0x4e80_3800 "zip1 v{vd}.4s, v{vn}.4s, v{vm}.4s";
    ZIP2 = 0x4e80_7800 "zip2 v{vd}.4s, v{vn}.4s, v{vm}.4s";
    UZP1_H = 0x4e40_1800 "uzp1 v{vd}.8h, v{vn}.8h, v{vm}.8h";
    UMULL = 0x2ea0_c000 "umull v{vd}.2d, v{vn}.2s, v{vm}.2s";
    UMULL2 = 0x6ea0_c000 "umull2 v{vd}.2d, v{vn}.4s, v{vm}.4s";
    SMULL = 0x0ea0_c000 "smull v{vd}.2d, v{vn}.2s, v{vm}.2s";
    SMULL2 = 0x4ea0_c000 "smull2 v{vd}.2d, v{vn}.4s, v{vm}.4s";
    /// Bytes of two vectors side by side, by their numbers.
    TBL = 0x4e00_2000 "tbl v{vd}.16b, {v{vn}.16b, v{nn}.16b}, v{vm}.16b";
    // Two vectors.
    FSQRT = 0x6ea1_f800 "fsqrt v{vd}.4s, v{vn}.4s";
    FRINTN = 0x4e21_8800 "frintn v{vd}.4s, v{vn}.4s";
    FRINTM = 0x4e21_9800 "frintm v{vd}.4s, v{vn}.4s";
    FRINTP = 0x4ea1_8800 "frintp v{vd}.4s, v{vn}.4s";
    FRINTZ = 0x4ea1_9800 "frintz v{vd}.4s, v{vn}.4s";
    V_ABS = 0x4ea0_b800 "abs v{vd}.4s, v{vn}.4s";
    V_NEG = 0x6ea0_b800 "neg v{vd}.4s, v{vn}.4s";
    SCVTF = 0x4e21_d800 "scvtf v{vd}.4s, v{vn}.4s";
    UCVTF = 0x6e21_d800 "ucvtf v{vd}.4s, v{vn}.4s";
    FCVTZS = 0x4ea1_b800 "fcvtzs v{vd}.4s, v{vn}.4s";
    FCVTZU = 0x6ea1_b800 "fcvtzu v{vd}.4s, v{vn}.4s";
    V_NOT = 0x6e20_5800 "not v{vd}.16b, v{vn}.16b";
    XTN = 0x0e61_2800 "xtn v{vd}.4h, v{vn}.4s";
    XTN_B = 0x0e21_2800 "xtn v{vd}.8b, v{vn}.8h";
    FCVTL = 0x0e21_7800 "fcvtl v{vd}.4s, v{vn}.4h";
    FCVTL2 = 0x4e21_7800 "fcvtl2 v{vd}.4s, v{vn}.8h";
    FCVTN = 0x0e21_6800 "fcvtn v{vd}.4h, v{vn}.4s";
    UXTL = 0x2f10_a400 "uxtl v{vd}.4s, v{vn}.4h";
    UXTL2 = 0x6f10_a400 "uxtl2 v{vd}.4s, v{vn}.8h";
    SXTL = 0x0f10_a400 "sxtl v{vd}.4s, v{vn}.4h";
    SXTL2 = 0x4f10_a400 "sxtl2 v{vd}.4s, v{vn}.8h";
    UXTL_B = 0x2f08_a400 "uxtl v{vd}.8h, v{vn}.8b";
    SXTL_B = 0x0f08_a400 "sxtl v{vd}.8h, v{vn}.8b";
    ADDV = 0x4eb1_b800 "addv s{vd}, v{vn}.4s";
    SHL = 0x4f20_5400 "shl v{vd}.4s, v{vn}.4s, #{shl}";
    USHR = 0x6f20_0400 "ushr v{vd}.4s, v{vn}.4s, #{shr}";
    SSHR = 0x4f20_0400 "sshr v{vd}.4s, v{vn}.4s, #{shr}";
    // Between the files.
    DUP = 0x4e04_0c00 "dup v{vd}.4s, {wn}";
    DUP_PAIR = 0x4e08_0400 "dup v{vd}.2d, v{vn}.d[{l8}]";
    UMOV = 0x0e04_3c00 "mov {wd}, v{vn}.s[{l4}]";
    INS = 0x4e04_1c00 "mov v{vd}.s[{l4}], {wn}";
    FMOV_FROM_D = 0x9e66_0000 "fmov {xd}, d{vn}";
    FMOV_FROM_S = 0x1e26_0000 "fmov {wd}, s{vn}";
    FMOV_TO_S = 0x1e27_0000 "fmov s{vd}, {wn}";
    MOVI = 0x4f00_0400 "movi v{vd}.4s, #{b8}, lsl #{b0}";
    MVNI = 0x6f00_0400 "mvni v{vd}.4s, #{b8}, lsl #{b0}";
}
