//! The encoder: the bits of arm64 instructions, by the table of forms in `ops`, and their text for listings.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::ops::{self, CONDITIONS, FIELDS, Meaning, Op};

/// A general-purpose register by its number; 31 is zero, or the stack pointer where an address starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gpr(pub(crate) u8);

/// A vector register of 128 bits by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vector(pub(crate) u8);

/// The register that reads as zero.
pub(crate) const ZERO: Gpr = Gpr(31);
/// The stack pointer, as a base.
pub(crate) const SP: Gpr = Gpr(31);

/// Conditions by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cond {
    Equal = 0,
    NotEqual = 1,
    AboveEqual = 2,
    Below = 3,
    Above = 8,
    BelowEqual = 9,
    GreaterEqual = 10,
    Less = 11,
    Greater = 12,
    LessEqual = 13,
}

impl Cond {
    /// The condition that holds where this one does not.
    pub(crate) const fn inverse(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::AboveEqual => Self::Below,
            Self::Below => Self::AboveEqual,
            Self::Above => Self::BelowEqual,
            Self::BelowEqual => Self::Above,
            Self::GreaterEqual => Self::Less,
            Self::Less => Self::GreaterEqual,
            Self::Greater => Self::LessEqual,
            Self::LessEqual => Self::Greater,
        }
    }
}

/// Shifts by an immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shift {
    Left,
    Right,
    Arithmetic,
}

/// A position in the code that jumps go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) u32);

/// The field that holds a jump's distance.
#[derive(Clone, Copy, Debug)]
enum Reach {
    Bits14,
    Bits19,
    Bits26,
}

/// Code under construction.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    code: Vec<u32>,
    pool: Vec<u8>,
    /// The position of each constant in the pool.
    known: HashMap<Vec<u8>, u32>,
    labels: Vec<Option<u32>>,
    jumps: Vec<(u32, Reach, Label)>,
    /// Loads of constants, with the positions of these in the pool.
    pooled: Vec<(u32, u32)>,
}

/// Where the pool starts: constants of vectors are aligned.
pub(crate) const POOL_ALIGN: usize = 16;

/// Bit 31 of forms for 32 and 64 bits.
const fn sf(wide: bool) -> u32 {
    (wide as u32) << 31
}

const fn d(reg: Gpr) -> u32 {
    reg.0 as u32
}

const fn n(reg: Gpr) -> u32 {
    (reg.0 as u32) << 5
}

const fn m(reg: Gpr) -> u32 {
    (reg.0 as u32) << 16
}

const fn vd(reg: Vector) -> u32 {
    reg.0 as u32
}

const fn vn(reg: Vector) -> u32 {
    (reg.0 as u32) << 5
}

const fn vm(reg: Vector) -> u32 {
    (reg.0 as u32) << 16
}

impl Assembler {
    /// A label that is not bound yet.
    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() as u32 - 1)
    }

    /// How many bytes there are so far.
    pub(crate) fn position(&self) -> u32 {
        self.code.len() as u32 * 4
    }

    /// Binds a label to this point.
    pub(crate) fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = Some(self.code.len() as u32);
    }

    /// The offset of a constant in the pool, which holds it once.
    fn constant(&mut self, bytes: &[u8]) -> u32 {
        if let Some(&at) = self.known.get(bytes) {
            return at;
        }
        self.pool.resize(self.pool.len().next_multiple_of(bytes.len()), 0);
        let at = self.pool.len() as u32;
        self.pool.extend(bytes);
        self.known.insert(bytes.to_vec(), at);
        at
    }

    /// The finished bytes; none if a jump or a load of a constant does not reach. Every label that a jump names is bound.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        for (at, reach, label) in std::mem::take(&mut self.jumps) {
            let to = self.labels[label.0 as usize].expect("jumps go to labels that are bound");
            self.patch(at, reach, i64::from(to) - i64::from(at))?;
        }
        let start = (self.code.len() * 4).next_multiple_of(POOL_ALIGN) as u32;
        for (at, offset) in std::mem::take(&mut self.pooled) {
            self.patch(at, Reach::Bits19, i64::from((start + offset) / 4) - i64::from(at))?;
        }
        let mut bytes: Vec<u8> = self.code.iter().flat_map(|word| word.to_le_bytes()).collect();
        // The bytes between code and pool are never run: they are an undefined instruction.
        bytes.resize(start as usize, 0);
        bytes.append(&mut self.pool);
        Some(bytes)
    }

    fn patch(&mut self, at: u32, reach: Reach, words: i64) -> Option<()> {
        let (bits, shift) = match reach {
            Reach::Bits14 => (14, 5),
            Reach::Bits19 => (19, 5),
            Reach::Bits26 => (26, 0),
        };
        let fits = (-(1 << (bits - 1))..1 << (bits - 1)).contains(&words);
        self.code[at as usize] |= (words as u32 & ((1 << bits) - 1)) << shift;
        fits.then_some(())
    }

    fn word(&mut self, word: u32) {
        self.code.push(word);
    }

    fn jump_to(&mut self, word: u32, reach: Reach, to: Label) {
        self.jumps.push((self.code.len() as u32, reach, to));
        self.word(word);
    }

    // --- Integers ------------------------------------------------------------------------------------

    /// An operation on two registers.
    pub(crate) fn int(&mut self, op: Op, wide: bool, to: Gpr, a: Gpr, b: Gpr) {
        self.word(op.bits | sf(wide) | d(to) | n(a) | m(b));
    }

    /// An operation on one register.
    pub(crate) fn int1(&mut self, op: Op, wide: bool, to: Gpr, a: Gpr) {
        self.word(op.bits | sf(wide) | d(to) | n(a));
    }

    /// `a * b`.
    pub(crate) fn mul(&mut self, wide: bool, to: Gpr, a: Gpr, b: Gpr) {
        self.word(ops::MADD.bits | sf(wide) | d(to) | n(a) | m(b) | d(ZERO) << 10);
    }

    pub(crate) fn mov(&mut self, wide: bool, to: Gpr, from: Gpr) {
        self.int(ops::ORR, wide, to, ZERO, from);
    }

    /// Moves to or from the stack pointer.
    pub(crate) fn mov_sp(&mut self, to: Gpr, from: Gpr) {
        self.word(ops::ADD_IMM.bits | sf(true) | d(to) | n(from));
    }

    /// A number of 64 bits, in the fewest instructions of its halves of 16.
    pub(crate) fn mov_imm(&mut self, to: Gpr, number: u64) {
        let parts = |number: u64| (0..4u32).map(move |at| (number >> (16 * at)) as u16);
        let ones = parts(number).filter(|&part| part == u16::MAX).count();
        let zeros = parts(number).filter(|&part| part == 0).count();
        let (first, flip) = if ones > zeros { (ops::MOVN, u64::MAX) } else { (ops::MOVZ, 0) };
        let mut op = first;
        let rest = parts(number ^ flip).enumerate().filter(|&(_, part)| part != 0);
        for (at, part) in rest {
            let part = if op == ops::MOVK { part ^ flip as u16 } else { part };
            self.word(op.bits | sf(true) | d(to) | (at as u32) << 21 | u32::from(part) << 5);
            op = ops::MOVK;
        }
        if op != ops::MOVK {
            self.word(first.bits | sf(true) | d(to));
        }
    }

    /// Adds a number; `false` if no immediate is that large.
    pub(crate) fn add_imm(&mut self, wide: bool, to: Gpr, a: Gpr, number: i64) -> bool {
        let size = number.unsigned_abs();
        let [low, high] = match number < 0 {
            true => [ops::SUB_IMM, ops::SUB_IMM_HIGH],
            false => [ops::ADD_IMM, ops::ADD_IMM_HIGH],
        };
        if size >= 1 << 24 {
            return false;
        }
        let mut from = a;
        // At least one instruction, which makes the upper half of 32 bits 0.
        for (op, part) in [(high, size >> 12), (low, size & 0xfff)] {
            if part != 0 || op == low && size == 0 {
                self.word(op.bits | sf(wide) | d(to) | n(from) | (part as u32) << 10);
                from = to;
            }
        }
        true
    }

    /// Sets the flags of `a - number`, which is below 4096, and the difference.
    pub(crate) fn subs_imm(&mut self, wide: bool, to: Gpr, a: Gpr, number: u32) {
        self.word(ops::SUBS_IMM.bits | sf(wide) | d(to) | n(a) | number << 10);
    }

    pub(crate) fn shift_imm(&mut self, shift: Shift, wide: bool, to: Gpr, a: Gpr, by: u32) {
        let bits = if wide { 64 } else { 32 };
        let by = by % bits;
        match shift {
            Shift::Left => self.field(ops::UBFM, wide, to, a, (bits - by) % bits, bits - 1 - by),
            Shift::Right => self.field(ops::UBFM, wide, to, a, by, bits - 1),
            Shift::Arithmetic => self.field(ops::SBFM, wide, to, a, by, bits - 1),
        }
    }

    /// A number of `bits` bits, widened with zeros or with its sign.
    pub(crate) fn extend(&mut self, signed: bool, wide: bool, bits: u32, to: Gpr, a: Gpr) {
        let op = if signed { ops::SBFM } else { ops::UBFM };
        self.field(op, wide, to, a, 0, bits - 1);
    }

    fn field(&mut self, op: Op, wide: bool, to: Gpr, a: Gpr, rotate: u32, last: u32) {
        let size = sf(wide) | u32::from(wide) << 22;
        self.word(op.bits | size | d(to) | n(a) | rotate << 16 | last << 10);
    }

    /// `a` if the condition holds, else `b`, or with the other form its bits inverted.
    pub(crate) fn choose(&mut self, op: Op, wide: bool, to: Gpr, a: Gpr, b: Gpr, cond: Cond) {
        self.word(op.bits | sf(wide) | d(to) | n(a) | m(b) | (cond as u32) << 12);
    }

    /// All ones of 32 bits if the condition holds, else 0.
    pub(crate) fn set(&mut self, cond: Cond, to: Gpr) {
        self.choose(ops::CSINV, false, to, ZERO, ZERO, cond.inverse());
    }

    /// `a` plus a number of 32 bits with a sign.
    pub(crate) fn add_signed(&mut self, to: Gpr, a: Gpr, b: Gpr) {
        self.word(ops::ADD_SIGNED.bits | d(to) | n(a) | m(b));
    }

    /// `a + b << by` in 64 bits.
    pub(crate) fn add_shifted(&mut self, to: Gpr, a: Gpr, b: Gpr, by: u32) {
        self.word(ops::ADD_SHIFTED.bits | d(to) | n(a) | m(b) | by << 10);
    }

    // --- Memory --------------------------------------------------------------------------------------

    /// A load or a store at an offset that is a multiple of `bytes`, or a small one; `false` if no form reaches it.
    pub(crate) fn at(&mut self, op: Op, reg: u8, base: Gpr, offset: i32, bytes: u32) -> bool {
        let word = op.bits | u32::from(reg) | n(base);
        let scaled = u32::try_from(offset).ok().filter(|at| at % bytes == 0).map(|at| at / bytes);
        match scaled.filter(|&at| at < 4096) {
            Some(at) => self.word(word | at << 10),
            // The form without a scale has bit 24 clear.
            None if (-256..256).contains(&offset) => {
                self.word(word & !(1 << 24) | (offset as u32 & 0x1ff) << 12);
            }
            None => return false,
        }
        true
    }

    /// A load or a store of two registers, at a multiple of `bytes`; `false` if the form does not reach it.
    pub(crate) fn pair_at(
        &mut self,
        op: Op,
        regs: [u8; 2],
        base: Gpr,
        at: i32,
        bytes: i32,
    ) -> bool {
        let [first, second] = regs.map(u32::from);
        let reaches = at % bytes == 0 && (-64..64).contains(&(at / bytes));
        if reaches {
            let at = (at / bytes) as u32 & 0x7f;
            self.word(op.bits | first | n(base) | second << 10 | at << 15);
        }
        reaches
    }

    /// A load or a store at a base and an index, which the form scales.
    pub(crate) fn indexed(&mut self, op: Op, reg: Gpr, base: Gpr, index: Gpr) {
        self.word(op.bits | d(reg) | n(base) | m(index));
    }

    /// A load of one element, spread, or an access to the memory that a base points to.
    pub(crate) fn plain(&mut self, op: Op, reg: u8, base: Gpr) {
        self.word(op.bits | u32::from(reg) | n(base));
    }

    /// A load or store of one lane of this many bytes.
    pub(crate) fn lane_at(&mut self, op: Op, reg: Vector, lane: u32, bytes: u32, base: Gpr) {
        // The lane's number of bytes is spread over Q, S and size.
        let byte = lane * bytes;
        let lane = (byte >> 3) << 30 | (byte & 7) << 10;
        self.word(op.bits | lane | vd(reg) | n(base));
    }

    /// Stores a number if no other thread accessed its memory since the load; `done` becomes 0 then.
    pub(crate) fn store_exclusive(&mut self, op: Op, done: Gpr, reg: Gpr, base: Gpr) {
        self.word(op.bits | d(reg) | n(base) | m(done));
    }

    /// Loads a constant of the pool.
    pub(crate) fn load_constant(&mut self, to: Vector, bytes: &[u8; 16]) {
        let at = self.constant(bytes);
        self.pooled.push((self.code.len() as u32, at));
        self.word(ops::LDR_Q_POOL.bits | vd(to));
    }

    /// Loads a number of the pool.
    pub(crate) fn load_number(&mut self, to: Gpr, number: u64) {
        let at = self.constant(&number.to_le_bytes());
        self.pooled.push((self.code.len() as u32, at));
        self.word(ops::LDR_X_POOL.bits | d(to));
    }

    // --- Control flow --------------------------------------------------------------------------------

    pub(crate) fn jump(&mut self, to: Label) {
        self.jump_to(ops::B.bits, Reach::Bits26, to);
    }

    pub(crate) fn call(&mut self, to: Label) {
        self.jump_to(ops::BL.bits, Reach::Bits26, to);
    }

    pub(crate) fn jump_if(&mut self, cond: Cond, to: Label) {
        self.jump_to(ops::B_COND.bits | cond as u32, Reach::Bits19, to);
    }

    /// Jumps if a register is 0, or if it is not.
    pub(crate) fn jump_zero(&mut self, zero: bool, wide: bool, reg: Gpr, to: Label) {
        let op = if zero { ops::CBZ } else { ops::CBNZ };
        self.jump_to(op.bits | sf(wide) | d(reg), Reach::Bits19, to);
    }

    /// Jumps a short way if a bit is 0.
    pub(crate) fn jump_bit_clear(&mut self, reg: Gpr, bit: u32, to: Label) {
        let bit = (bit >> 5) << 31 | (bit & 31) << 19;
        self.jump_to(ops::TBZ.bits | bit | d(reg), Reach::Bits14, to);
    }

    pub(crate) fn ret(&mut self) {
        self.word(ops::RET.bits);
    }

    pub(crate) fn jump_register(&mut self, to: Gpr) {
        self.word(ops::BR.bits | n(to));
    }

    /// The address of a label.
    pub(crate) fn address_of(&mut self, to: Gpr, label: Label) {
        // A distance in words: its lowest two bits are 0.
        self.jump_to(ops::ADR.bits | d(to), Reach::Bits19, label);
    }

    pub(crate) fn call_register(&mut self, reg: Gpr) {
        self.word(ops::BLR.bits | n(reg));
    }

    // --- Vectors -------------------------------------------------------------------------------------

    pub(crate) fn vec3(&mut self, op: Op, to: Vector, a: Vector, b: Vector) {
        self.word(op.bits | vd(to) | vn(a) | vm(b));
    }

    pub(crate) fn vec2(&mut self, op: Op, to: Vector, a: Vector) {
        self.word(op.bits | vd(to) | vn(a));
    }

    /// A shift to the left, by less than 32.
    pub(crate) fn shl(&mut self, to: Vector, a: Vector, by: u32) {
        self.word(ops::SHL.bits | vd(to) | vn(a) | by << 16);
    }

    /// A shift to the right, by 1 to 32.
    pub(crate) fn shr(&mut self, op: Op, to: Vector, a: Vector, by: u32) {
        self.word(op.bits | vd(to) | vn(a) | (32 - by) << 16);
    }

    /// A number of 32 bits in all lanes.
    pub(crate) fn dup(&mut self, to: Vector, from: Gpr) {
        self.word(ops::DUP.bits | vd(to) | n(from));
    }

    /// Two lanes in all pairs of lanes.
    pub(crate) fn dup_pair(&mut self, to: Vector, from: Vector, pair: u32) {
        self.word(ops::DUP_PAIR.bits | vd(to) | vn(from) | pair << 20);
    }

    /// Reads a lane.
    pub(crate) fn get_lane(&mut self, to: Gpr, from: Vector, lane: u32) {
        self.word(ops::UMOV.bits | d(to) | vn(from) | lane << 19);
    }

    /// Writes a lane.
    pub(crate) fn set_lane(&mut self, to: Vector, lane: u32, from: Gpr) {
        self.word(ops::INS.bits | vd(to) | n(from) | lane << 19);
    }

    /// Moves the low bits of a vector.
    pub(crate) fn low_of(&mut self, op: Op, to: Gpr, from: Vector) {
        self.word(op.bits | d(to) | vn(from));
    }

    /// Moves 32 bits to the lowest lane; the others become 0.
    pub(crate) fn set_low(&mut self, to: Vector, from: Gpr) {
        self.word(ops::FMOV_TO_S.bits | vd(to) | n(from));
    }

    /// The same number of 32 bits in all lanes, by an immediate if one has it.
    pub(crate) fn splat(&mut self, to: Vector, bits: u32) {
        for (op, bits) in [(ops::MOVI, bits), (ops::MVNI, !bits)] {
            for byte in 0..4 {
                if bits & !(0xff << (8 * byte)) == 0 {
                    let imm = bits >> (8 * byte);
                    let imm = (imm >> 5) << 16 | (imm & 31) << 5 | byte << 13;
                    return self.word(op.bits | vd(to) | imm);
                }
            }
        }
        let mut bytes = [0; 16];
        bytes.chunks_exact_mut(4).for_each(|lane| lane.copy_from_slice(&bits.to_le_bytes()));
        self.load_constant(to, &bytes);
    }
}

// --- Listing -----------------------------------------------------------------------------------------

/// The bits of a form's fields.
pub(crate) fn fields(op: Op) -> u32 {
    let named = |name: &str| op.text.contains(&format!("{{{name}}}"));
    let size = if ["rd", "gd"].into_iter().any(named) { 1 << 31 } else { 0 };
    let wide = if op.text.contains("bfm ") { 1 << 22 } else { 0 };
    FIELDS.iter().filter(|field| named(field.0)).fold(size | wide, |all, field| all | field.1)
}

/// The text of an instruction, by the table; `None` if no form has these bits.
pub(crate) fn text(word: u32) -> Option<String> {
    static FIXED: OnceLock<Vec<u32>> = OnceLock::new();
    let fixed = FIXED.get_or_init(|| ops::ALL.iter().map(|&op| !fields(op)).collect());
    unscaled(word).or_else(|| {
        let op = ops::ALL.iter().zip(fixed).find(|&(op, fixed)| word & fixed == op.bits)?.0;
        Some(text_of(*op, word))
    })
}

/// The same with the address that a jump goes to, or that a constant is at, in place of the distance.
pub(crate) fn text_at(word: u32, at: u64) -> Option<String> {
    let text = text(word)?;
    let fixed = |op: &&Op| word & !fields(**op) == op.bits;
    let jumps = ops::ALL.iter().find(fixed).is_some_and(|op| op.text.contains("{j"));
    let distance = text.rsplit_once(' ').filter(|_| jumps);
    Some(match distance.and_then(|(start, number)| Some((start, number.parse().ok()?))) {
        Some((start, distance)) => format!("{start} {:#x}", at.wrapping_add_signed(distance)),
        None => text,
    })
}

/// The text of an access whose offset is not scaled.
fn unscaled(word: u32) -> Option<String> {
    let scaled = |op: &&Op| op.text.contains("#{o");
    let rest = 0x1f | 0x1f << 5 | 0x1ff << 12;
    let op = ops::ALL.iter().filter(scaled).find(|op| word & !rest == op.bits & !(1 << 24))?;
    let offset = signed(word, 0x1ff << 12);
    let text = text_of(*op, word & !(0xfff << 10));
    Some(
        text.replacen("dr", "dur", 1)
            .replacen("tr", "tur", 1)
            .replace("#0]", &format!("#{offset}]")),
    )
}

fn signed(word: u32, mask: u32) -> i32 {
    let (low, bits) = (mask.trailing_zeros(), mask.count_ones());
    ((word & mask) << (32 - low - bits)).cast_signed() >> (32 - bits)
}

fn text_of(op: Op, word: u32) -> String {
    let mut text = op.text.to_owned();
    for &(name, mask, meaning) in FIELDS {
        let named = format!("{{{name}}}");
        if text.contains(&named) {
            text = text.replace(&named, &field_text(word, mask, meaning));
        }
    }
    text
}

fn field_text(word: u32, mask: u32, meaning: Meaning) -> String {
    let number = (word & mask) >> mask.trailing_zeros();
    let register = |file: char, of_31: &str| match number {
        31 => of_31.to_owned(),
        _ => format!("{file}{number}"),
    };
    match meaning {
        Meaning::General if word >> 31 == 0 => register('w', "wzr"),
        Meaning::Word => register('w', "wzr"),
        Meaning::General | Meaning::Long => register('x', "xzr"),
        Meaning::GeneralBase if word >> 31 == 0 => register('w', "wsp"),
        Meaning::Base | Meaning::GeneralBase => register('x', "sp"),
        Meaning::Vector => number.to_string(),
        Meaning::Next => ((number + 1) % 32).to_string(),
        Meaning::Scaled(scale) => (number * scale).to_string(),
        Meaning::Signed(scale) => (signed(word, mask) * scale.cast_signed()).to_string(),
        Meaning::Condition => CONDITIONS[number as usize].to_owned(),
        Meaning::Left | Meaning::Lane(_) => number.to_string(),
        Meaning::Right => (32 - number).to_string(),
        Meaning::Shift16 => (number * 16).to_string(),
        Meaning::Byte => ((word >> 16 & 7) << 5 | word >> 5 & 31).to_string(),
        Meaning::ByteShift => (number * 8).to_string(),
        Meaning::One(bytes) => (((word >> 30 & 1) << 3 | word >> 10 & 7) / bytes).to_string(),
        Meaning::Distance => {
            let words = signed(word, 0x7ffff << 5);
            (words * 4 + (word >> 29 & 3).cast_signed()).to_string()
        }
        Meaning::Bit => ((word >> 31) << 5 | word >> 19 & 31).to_string(),
    }
}
