//! The encoder: bytes of x86-64 instructions, as Intel's manual (volume 2) numbers them.
//!
//! A vector instruction is written once. It is encoded with an EVEX prefix and 512 bits, or with a VEX prefix
//! and 256 bits, by the [`Width`] of the code; the opcode maps agree, and where they do not, there are two
//! rows in [`ops`].

use std::collections::HashMap;

pub(crate) use super::ops;
pub(crate) use super::ops::Op;

/// A general-purpose register by its number; 4 is the stack pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gpr(pub(crate) u8);

/// A vector register by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vector(pub(crate) u8);

/// A mask register of AVX-512 by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mask(pub(crate) u8);

pub(crate) const RAX: Gpr = Gpr(0);
pub(crate) const RCX: Gpr = Gpr(1);
pub(crate) const RDX: Gpr = Gpr(2);
pub(crate) const RBX: Gpr = Gpr(3);
pub(crate) const RSP: Gpr = Gpr(4);
pub(crate) const RBP: Gpr = Gpr(5);
pub(crate) const RSI: Gpr = Gpr(6);
pub(crate) const RDI: Gpr = Gpr(7);

/// The vectors that the code works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Width {
    /// AVX2: 8 lanes of 32 bits.
    Ymm,
    /// AVX-512: 16 lanes of 32 bits.
    Zmm,
}

impl Width {
    /// Lanes of 32 bits in a vector.
    pub(crate) const fn lanes(self) -> u32 {
        match self {
            Self::Ymm => 8,
            Self::Zmm => 16,
        }
    }
}

/// A memory operand: a base, perhaps a scaled index, and a displacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mem {
    pub(crate) base: Base,
    pub(crate) index: Option<(Index, u8)>,
    pub(crate) disp: i32,
}

/// The base of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Gpr(Gpr),
    /// A constant of the pool, which follows the code.
    Pool(u32),
}

/// The index of an address; the number with it is the binary logarithm of its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    Gpr(Gpr),
    /// For gathers and scatters: an index for each lane.
    Vector(Vector),
}

impl Mem {
    /// A base and a displacement.
    pub(crate) const fn at(base: Gpr, disp: i32) -> Self {
        Self { base: Base::Gpr(base), index: None, disp }
    }

    /// A constant of the pool.
    pub(crate) const fn pool(offset: u32) -> Self {
        Self { base: Base::Pool(offset), index: None, disp: 0 }
    }
}

/// A register or a memory operand: what the ModRM byte describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rm {
    Reg(u8),
    Mem(Mem),
}

impl From<Gpr> for Rm {
    fn from(reg: Gpr) -> Self {
        Self::Reg(reg.0)
    }
}

impl From<Vector> for Rm {
    fn from(reg: Vector) -> Self {
        Self::Reg(reg.0)
    }
}

impl From<Mask> for Rm {
    fn from(reg: Mask) -> Self {
        Self::Reg(reg.0)
    }
}

impl From<Mem> for Rm {
    fn from(mem: Mem) -> Self {
        Self::Mem(mem)
    }
}

/// Conditions of jumps, `setcc` and `cmovcc`, by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cond {
    Below = 2,
    AboveEqual = 3,
    Equal = 4,
    NotEqual = 5,
    BelowEqual = 6,
    Above = 7,
    Less = 12,
    GreaterEqual = 13,
    LessEqual = 14,
    Greater = 15,
}

impl Cond {
    /// The condition that holds where this one does not.
    pub(crate) const fn inverse(self) -> Self {
        match self {
            Self::Below => Self::AboveEqual,
            Self::AboveEqual => Self::Below,
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::BelowEqual => Self::Above,
            Self::Above => Self::BelowEqual,
            Self::Less => Self::GreaterEqual,
            Self::GreaterEqual => Self::Less,
            Self::LessEqual => Self::Greater,
            Self::Greater => Self::LessEqual,
        }
    }
}

/// A position in the code that jumps go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) u32);

/// Arithmetic of general-purpose registers, by the number in the opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alu {
    Add = 0,
    Or = 1,
    /// Subtracts with the borrow.
    Sbb = 3,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Shifts by an immediate, by the number in the register field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shift {
    Left = 4,
    Right = 5,
    Arithmetic = 7,
}

/// How a narrow number is read from memory or a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extend {
    Zero8,
    Sign8,
    Zero16,
    Sign16,
    /// To 64 bits; zero extension is a plain move of 32.
    Sign32,
}

/// Code under construction.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    code: Vec<u8>,
    pool: Vec<u8>,
    /// The offsets of constants in the pool.
    known: HashMap<Vec<u8>, u32>,
    labels: Vec<Option<u32>>,
    jumps: Vec<(u32, Label)>,
    /// Displacements into the pool: their position, how many bytes of the instruction follow, and the offset in the pool.
    pooled: Vec<(u32, u8, u32)>,
}

/// Where the pool starts: constants of vectors are aligned.
pub(crate) const POOL_ALIGN: usize = 64;

impl Assembler {
    /// A label that is not bound yet.
    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() as u32 - 1)
    }

    /// How many bytes there are so far.
    pub(crate) fn position(&self) -> u32 {
        self.code.len() as u32
    }

    /// Binds a label to this point.
    pub(crate) fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = Some(self.code.len() as u32);
    }

    /// The offset of a constant in the pool. Equal constants are stored once.
    pub(crate) fn constant(&mut self, bytes: &[u8]) -> u32 {
        let align = bytes.len().next_power_of_two().min(POOL_ALIGN);
        if let Some(&at) = self.known.get(bytes) {
            return at;
        }
        self.pool.resize(self.pool.len().next_multiple_of(align), 0);
        let at = self.pool.len() as u32;
        self.pool.extend(bytes);
        self.known.insert(bytes.to_vec(), at);
        at
    }

    /// The finished bytes. Every label that a jump names is bound.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        for (at, label) in std::mem::take(&mut self.jumps) {
            let to = self.labels[label.0 as usize].expect("jumps go to labels that are bound");
            self.patch(at, to.wrapping_sub(at + 4));
        }
        let start = self.code.len().next_multiple_of(POOL_ALIGN) as u32;
        for (at, after, offset) in std::mem::take(&mut self.pooled) {
            self.patch(at, (start + offset).wrapping_sub(at + 4 + u32::from(after)));
        }
        // The bytes between code and pool are never run.
        self.code.resize(start as usize, 0xcc);
        self.code.append(&mut self.pool);
        self.code
    }

    fn patch(&mut self, at: u32, number: u32) {
        self.code[at as usize..at as usize + 4].copy_from_slice(&number.to_le_bytes());
    }

    fn byte(&mut self, byte: u8) {
        self.code.push(byte);
    }

    fn word(&mut self, number: u32) {
        self.code.extend(number.to_le_bytes());
    }

    /// The ModRM byte and, for memory, the SIB byte and the displacement. `after` bytes of the instruction follow. An EVEX
    /// prefix scales one-byte displacements, so it gets four-byte ones.
    fn modrm(&mut self, reg: u8, rm: Rm, after: u8, evex: bool) {
        let reg = (reg & 7) << 3;
        let mem = match rm {
            Rm::Reg(rm) => return self.byte(0xc0 | reg | rm & 7),
            Rm::Mem(mem) => mem,
        };
        let base = match mem.base {
            Base::Gpr(base) => base.0,
            Base::Pool(offset) => {
                self.byte(reg | 5);
                self.pooled.push((self.code.len() as u32, after, offset));
                return self.word(0);
            }
        };
        let size = match mem.disp {
            // Base 5 and 13 without a displacement are other addressing modes.
            0 if base & 7 != 5 => 0,
            -128..=127 if !evex => 0x40,
            _ => 0x80,
        };
        match mem.index {
            None if base & 7 != 4 => self.byte(size | reg | base & 7),
            None => {
                self.byte(size | reg | 4);
                self.byte(0x24);
            }
            Some((index, scale)) => {
                let index = match index {
                    Index::Gpr(index) => index.0,
                    Index::Vector(index) => index.0,
                };
                self.byte(size | reg | 4);
                self.byte(scale << 6 | (index & 7) << 3 | base & 7);
            }
        }
        match size {
            0 => {}
            0x40 => self.byte(mem.disp as u8),
            _ => self.word(mem.disp as u32),
        }
    }

    /// The upper bits of a ModRM operand: those of base or register, and of the index.
    fn upper(rm: Rm) -> (u8, u8) {
        match rm {
            Rm::Reg(reg) => (reg >> 3 & 1, reg >> 4 & 1),
            Rm::Mem(mem) => {
                let base = match mem.base {
                    Base::Gpr(base) => base.0 >> 3,
                    Base::Pool(_) => 0,
                };
                let index = match mem.index {
                    Some((Index::Gpr(index), _)) => index.0 >> 3,
                    Some((Index::Vector(index), _)) => index.0 >> 3 & 1,
                    None => 0,
                };
                (base, index)
            }
        }
    }

    // --- General-purpose registers -----------------------------------------------------------------

    fn rex(&mut self, wide: bool, reg: u8, rm: Rm, bytes: bool) {
        let (base, index) = Self::upper(rm);
        let index = if matches!(rm, Rm::Reg(_)) { 0 } else { index };
        let rex = 0x40 | u8::from(wide) << 3 | (reg >> 3) << 2 | index << 1 | base;
        // Without a prefix, registers 4 to 7 of bytes would be the upper halves of the first four.
        if rex != 0x40 || bytes {
            self.byte(rex);
        }
    }

    fn plain(&mut self, wide: bool, opcode: &[u8], reg: u8, rm: Rm, after: u8) {
        self.rex(wide, reg, rm, false);
        self.code.extend(opcode);
        self.modrm(reg, rm, after, false);
    }

    pub(crate) fn mov_imm(&mut self, to: Gpr, number: u64) {
        if let Ok(short) = u32::try_from(number) {
            self.rex(false, 0, to.into(), false);
            self.byte(0xb8 | to.0 & 7);
            self.word(short);
        } else if let Ok(short) = i32::try_from(number as i64) {
            self.plain(true, &[0xc7], 0, to.into(), 4);
            self.word(short as u32);
        } else {
            self.rex(true, 0, to.into(), false);
            self.byte(0xb8 | to.0 & 7);
            self.code.extend(number.to_le_bytes());
        }
    }

    /// Loads or moves; a 32-bit one clears the upper half.
    pub(crate) fn mov(&mut self, wide: bool, to: Gpr, from: impl Into<Rm>) {
        self.plain(wide, &[0x8b], to.0, from.into(), 0);
    }

    /// Stores 1, 2, 4 or 8 bytes.
    pub(crate) fn store(&mut self, bytes: u32, to: Mem, from: Gpr) {
        if bytes == 2 {
            self.byte(0x66);
        }
        self.rex(bytes == 8, from.0, to.into(), bytes == 1);
        self.byte(if bytes == 1 { 0x88 } else { 0x89 });
        self.modrm(from.0, to.into(), 0, false);
    }

    pub(crate) fn extend(&mut self, kind: Extend, wide: bool, to: Gpr, from: impl Into<Rm>) {
        let from = from.into();
        let (bytes, opcode): (bool, &[u8]) = match kind {
            Extend::Zero8 => (true, &[0x0f, 0xb6]),
            Extend::Sign8 => (true, &[0x0f, 0xbe]),
            Extend::Zero16 => (false, &[0x0f, 0xb7]),
            Extend::Sign16 => (false, &[0x0f, 0xbf]),
            Extend::Sign32 => (false, &[0x63]),
        };
        self.rex(wide || kind == Extend::Sign32, to.0, from, bytes);
        self.code.extend(opcode);
        self.modrm(to.0, from, 0, false);
    }

    pub(crate) fn alu(&mut self, alu: Alu, wide: bool, to: Gpr, from: impl Into<Rm>) {
        self.plain(wide, &[(alu as u8) << 3 | 3], to.0, from.into(), 0);
    }

    /// The address of a position in the code.
    pub(crate) fn lea_label(&mut self, to: Gpr, label: Label) {
        self.code.extend([0x48 | (to.0 >> 3) << 2, 0x8d, (to.0 & 7) << 3 | 5]);
        self.jumps.push((self.code.len() as u32, label));
        self.word(0);
    }

    /// Jumps to the address in memory.
    pub(crate) fn jump_memory(&mut self, to: Mem) {
        self.plain(false, &[0xff], 4, to.into(), 0);
    }

    /// The same with the result in memory.
    pub(crate) fn alu_store(&mut self, alu: Alu, wide: bool, to: Mem, from: Gpr) {
        self.plain(wide, &[(alu as u8) << 3 | 1], from.0, to.into(), 0);
    }

    pub(crate) fn alu_imm(&mut self, alu: Alu, wide: bool, to: impl Into<Rm>, number: i32) {
        let to = to.into();
        if let Ok(short) = i8::try_from(number) {
            self.plain(wide, &[0x83], alu as u8, to, 1);
            self.byte(short as u8);
        } else {
            self.plain(wide, &[0x81], alu as u8, to, 4);
            self.word(number as u32);
        }
    }

    pub(crate) fn test(&mut self, wide: bool, a: Gpr, b: Gpr) {
        self.plain(wide, &[0x85], a.0, b.into(), 0);
    }

    /// Tests bits of a register.
    pub(crate) fn test_imm(&mut self, a: Gpr, bits: u32) {
        self.plain(false, &[0xf7], 0, a.into(), 4);
        self.word(bits);
    }

    pub(crate) fn imul(&mut self, wide: bool, to: Gpr, from: impl Into<Rm>) {
        self.plain(wide, &[0x0f, 0xaf], to.0, from.into(), 0);
    }

    pub(crate) fn imul_imm(&mut self, wide: bool, to: Gpr, from: impl Into<Rm>, number: i32) {
        self.plain(wide, &[0x69], to.0, from.into(), 4);
        self.word(number as u32);
    }

    pub(crate) fn lea(&mut self, wide: bool, to: Gpr, from: Mem) {
        self.plain(wide, &[0x8d], to.0, from.into(), 0);
    }

    pub(crate) fn shift_imm(&mut self, shift: Shift, wide: bool, to: Gpr, count: u8) {
        self.plain(wide, &[0xc1], shift as u8, to.into(), 1);
        self.byte(count);
    }

    /// The number of the lowest bit that is set.
    pub(crate) fn lowest_bit(&mut self, to: Gpr, from: Gpr) {
        self.byte(0xf3);
        self.plain(false, &[0x0f, 0xbc], to.0, from.into(), 0);
    }

    /// The number of the highest bit that is set. Of 0 it is any number.
    pub(crate) fn highest_bit(&mut self, to: Gpr, from: Gpr) {
        self.plain(false, &[0x0f, 0xbd], to.0, from.into(), 0);
    }

    /// Clears the lowest bit that is set; the flags are those of the result.
    pub(crate) fn clear_lowest_bit(&mut self, to: Gpr, from: Gpr) {
        self.vex(ops::BLSR, false, 1, to.0, from.into(), 0);
    }

    /// Swaps a register with memory of its size, which is atomic.
    pub(crate) fn exchange(&mut self, wide: bool, mem: Mem, reg: Gpr) {
        self.plain(wide, &[0x87], reg.0, mem.into(), 0);
    }

    /// Adds a register to memory atomically; the register becomes what was there before.
    pub(crate) fn lock_add(&mut self, wide: bool, mem: Mem, reg: Gpr) {
        self.byte(0xf0);
        self.plain(wide, &[0x0f, 0xc1], reg.0, mem.into(), 0);
    }

    /// Writes a register to memory atomically if that equals `rax`; otherwise loads the memory into `rax`. The
    /// condition is [`Cond::Equal`] if it was written.
    pub(crate) fn lock_compare_exchange(&mut self, wide: bool, mem: Mem, reg: Gpr) {
        self.byte(0xf0);
        self.plain(wide, &[0x0f, 0xb1], reg.0, mem.into(), 0);
    }

    /// Shifts by a register, whose number is taken modulo the width.
    pub(crate) fn shift(
        &mut self,
        shift: Shift,
        wide: bool,
        to: Gpr,
        from: impl Into<Rm>,
        by: Gpr,
    ) {
        let op = match shift {
            Shift::Left => ops::SHLX,
            Shift::Right => ops::SHRX,
            Shift::Arithmetic => ops::SARX,
        };
        self.vex(Op { w: wide, ..op }, false, to.0, by.0, from.into(), 0);
    }

    /// Divides `rdx` and `rax`: the quotient is in `rax`.
    pub(crate) fn divide(&mut self, signed: bool, wide: bool, by: Gpr) {
        self.plain(wide, &[0xf7], if signed { 7 } else { 6 }, by.into(), 0);
    }

    /// Fills `rdx` with the sign of `rax`.
    pub(crate) fn sign_of_rax(&mut self, wide: bool) {
        self.rex(wide, 0, RAX.into(), false);
        self.byte(0x99);
    }

    pub(crate) fn neg(&mut self, wide: bool, to: Gpr) {
        self.plain(wide, &[0xf7], 3, to.into(), 0);
    }

    pub(crate) fn not(&mut self, wide: bool, to: Gpr) {
        self.plain(wide, &[0xf7], 2, to.into(), 0);
    }

    /// 1 in the lowest byte if the condition holds, else 0.
    pub(crate) fn set(&mut self, cond: Cond, to: Gpr) {
        self.rex(false, 0, to.into(), true);
        self.code.extend([0x0f, 0x90 | cond as u8]);
        self.modrm(0, to.into(), 0, false);
    }

    pub(crate) fn cmov(&mut self, cond: Cond, wide: bool, to: Gpr, from: impl Into<Rm>) {
        self.plain(wide, &[0x0f, 0x40 | cond as u8], to.0, from.into(), 0);
    }

    pub(crate) fn push(&mut self, from: Gpr) {
        self.rex(false, 0, from.into(), false);
        self.byte(0x50 | from.0 & 7);
    }

    pub(crate) fn pop(&mut self, to: Gpr) {
        self.rex(false, 0, to.into(), false);
        self.byte(0x58 | to.0 & 7);
    }

    pub(crate) fn ret(&mut self) {
        self.byte(0xc3);
    }

    pub(crate) fn jump(&mut self, to: Label) {
        self.byte(0xe9);
        self.jump_distance(to);
    }

    pub(crate) fn jump_if(&mut self, cond: Cond, to: Label) {
        self.code.extend([0x0f, 0x80 | cond as u8]);
        self.jump_distance(to);
    }

    pub(crate) fn call(&mut self, to: Label) {
        self.byte(0xe8);
        self.jump_distance(to);
    }

    pub(crate) fn call_register(&mut self, to: Gpr) {
        self.plain(false, &[0xff], 2, to.into(), 0);
    }

    fn jump_distance(&mut self, to: Label) {
        self.jumps.push((self.code.len() as u32, to));
        self.word(0);
    }

    /// Marks the upper halves of the vector registers as unused, as the caller's code expects.
    pub(crate) fn vzeroupper(&mut self) {
        self.code.extend([0xc5, 0xf8, 0x77]);
    }

    // --- Vectors and masks ---------------------------------------------------------------------------

    /// An instruction with a VEX prefix of three bytes; `long` is the bit L.
    pub(crate) fn vex(&mut self, op: Op, long: bool, reg: u8, vvvv: u8, rm: Rm, after: u8) {
        let (base, index) = Self::upper(rm);
        let index = if matches!(rm, Rm::Reg(_)) { 0 } else { index };
        debug_assert!(reg < 16 && vvvv < 16, "VEX has sixteen registers");
        self.byte(0xc4);
        self.byte((!reg >> 3 & 1) << 7 | (1 ^ index) << 6 | (1 ^ base) << 5 | op.map);
        self.byte(u8::from(op.w) << 7 | (!vvvv & 15) << 3 | u8::from(long) << 2 | op.pp);
        self.byte(op.code);
        self.modrm(reg, rm, after, false);
    }

    /// The same with an immediate.
    pub(crate) fn vex_imm(&mut self, op: Op, long: bool, reg: u8, vvvv: u8, rm: Rm, number: u8) {
        self.vex(op, long, reg, vvvv, rm, 1);
        self.byte(number);
    }

    /// An instruction with an EVEX prefix and 512 bits. `mask` 0 means no mask; with `broadcast`, memory is one
    /// element for all lanes; with `zero`, inactive lanes become 0.
    #[allow(clippy::too_many_arguments)] // One for each field of the prefix.
    pub(crate) fn evex(
        &mut self,
        op: Op,
        reg: u8,
        vvvv: u8,
        rm: Rm,
        mask: Mask,
        broadcast: bool,
        zero: bool,
        after: u8,
    ) {
        let (base, index) = Self::upper(rm);
        // The fifth bit of a vector index is where the fifth bit of vvvv would be.
        let vector_index = match rm {
            Rm::Mem(Mem { index: Some((Index::Vector(index), _)), .. }) => Some(index.0 >> 4 & 1),
            _ => None,
        };
        let fifth = vector_index.unwrap_or(vvvv >> 4 & 1);
        self.byte(0x62);
        self.byte(
            (!reg >> 3 & 1) << 7
                | (1 ^ index) << 6
                | (1 ^ base) << 5
                | (!reg >> 4 & 1) << 4
                | op.map,
        );
        self.byte(u8::from(op.w) << 7 | (!vvvv & 15) << 3 | 4 | op.pp);
        self.byte(
            u8::from(zero) << 7 | 2 << 5 | u8::from(broadcast) << 4 | (1 ^ fifth) << 3 | mask.0,
        );
        self.byte(op.code);
        self.modrm(reg, rm, after, true);
    }

    /// A vector instruction of the code's width, without a mask.
    pub(crate) fn vec(
        &mut self,
        width: Width,
        op: Op,
        reg: Vector,
        vvvv: Vector,
        rm: impl Into<Rm>,
    ) {
        self.vec_after(width, op, reg.0, vvvv.0, rm.into(), 0);
    }

    /// The same with an immediate.
    pub(crate) fn vec_imm(
        &mut self,
        width: Width,
        op: Op,
        reg: Vector,
        vvvv: Vector,
        rm: impl Into<Rm>,
        number: u8,
    ) {
        self.vec_after(width, op, reg.0, vvvv.0, rm.into(), 1);
        self.byte(number);
    }

    /// A vector instruction whose register field is a number of its own, or a mask.
    pub(crate) fn vec_raw_imm(
        &mut self,
        width: Width,
        op: Op,
        reg: u8,
        vvvv: Vector,
        rm: impl Into<Rm>,
        number: u8,
    ) {
        self.vec_after(width, op, reg, vvvv.0, rm.into(), 1);
        self.byte(number);
    }

    fn vec_after(&mut self, width: Width, op: Op, reg: u8, vvvv: u8, rm: Rm, after: u8) {
        match width {
            Width::Ymm => self.vex(op, true, reg, vvvv, rm, after),
            Width::Zmm => self.evex(op, reg, vvvv, rm, Mask(0), false, false, after),
        }
    }

    /// An AVX-512 instruction in the lanes of a mask.
    pub(crate) fn masked(
        &mut self,
        op: Op,
        mask: Mask,
        reg: Vector,
        vvvv: Vector,
        rm: impl Into<Rm>,
    ) {
        self.evex(op, reg.0, vvvv.0, rm.into(), mask, false, false, 0);
    }

    /// The same of one that ends in a byte, and whose result may be a mask.
    pub(crate) fn masked_imm(
        &mut self,
        op: Op,
        mask: Mask,
        reg: u8,
        vvvv: Vector,
        rm: impl Into<Rm>,
        number: u8,
    ) {
        self.evex(op, reg, vvvv.0, rm.into(), mask, false, false, 1);
        self.byte(number);
    }

    /// An instruction over masks of 16 lanes, of two operands and a result.
    pub(crate) fn mask3(&mut self, op: Op, to: Mask, a: Mask, b: Mask) {
        self.vex(op, true, to.0, a.0, b.into(), 0);
    }

    /// An instruction over masks of 16 lanes with one operand: a move, a complement, a test.
    pub(crate) fn mask2(&mut self, op: Op, reg: u8, rm: impl Into<Rm>) {
        self.vex(op, false, reg, 0, rm.into(), 0);
    }
}
