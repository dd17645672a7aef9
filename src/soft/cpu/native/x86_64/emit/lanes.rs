//! Arithmetic and comparisons in each lane of a vector.

use super::{Emitter, K1, R12, SCRATCH};
use crate::soft::cpu::native::allocate::Place;
use crate::soft::cpu::native::lir::{Kind, Lane1, Lane2, Reg, Test};
use crate::soft::cpu::native::x86_64::asm::{Cond, Gpr, Mem, Op, RAX, Rm, Vector as V, ops};

impl Emitter<'_> {
    pub(super) fn is_nan(&mut self, d: Reg, a: Reg) {
        let a = self.lanes(a, SCRATCH[1]);
        self.float_compare(3, d, a, a.into());
    }

    pub(super) fn select(&mut self, d: Reg, mask: Reg, a: Reg, b: Reg) {
        let to = self.lanes_to(d, SCRATCH[0]);
        let b = self.lanes(b, SCRATCH[1]);
        if self.zmm() {
            let mask = self.mask(mask, K1);
            let a = self.lanes_rm(a, SCRATCH[2]);
            self.asm.masked(ops::BLENDMPS, mask, to, b, a);
        } else {
            let mask = self.lanes(mask, SCRATCH[0]);
            let a = self.lanes_rm(a, SCRATCH[2]);
            self.blend(to, b, a, mask);
        }
        self.lanes_done(d, to);
    }

    pub(super) fn move_masked(&mut self, d: Reg, mask: Reg, s: Reg) {
        let to = self.lanes(d, SCRATCH[0]);
        if self.zmm() {
            let mask = self.mask(mask, K1);
            let s = self.lanes(s, SCRATCH[1]);
            self.asm.masked(ops::MOVAPS, mask, to, V(0), s);
        } else {
            let mask = self.lanes(mask, SCRATCH[1]);
            let s = self.lanes_rm(s, SCRATCH[2]);
            self.blend(to, to, s, mask);
        }
        self.lanes_done(d, to);
    }

    pub(super) fn spread_int(&mut self, d: Reg, s: Reg) {
        let to = self.lanes_to(d, SCRATCH[0]);
        let s = self.int(s, RAX);
        self.spread(to, s);
        self.lanes_done(d, to);
    }

    pub(super) fn first(&mut self, d: Reg, s: Reg) {
        let mut s = self.lanes(s, SCRATCH[0]);
        if s.0 >= 16 {
            self.vec(ops::MOVAPS, SCRATCH[0], V(0), s);
            s = SCRATCH[0];
        }
        let to = self.int_to(d, RAX);
        self.asm.vex(ops::MOVD_STORE, false, s.0, 0, to.into(), 0);
        self.int_done(d, to);
    }

    /// The value of the last lane whose bit is set in `bits`.
    pub(super) fn last(&mut self, d: Reg, s: Reg, bits: Reg) {
        let bits = self.int(bits, RAX);
        self.asm.highest_bit(RAX, bits);
        self.asm.vex(ops::MOVD, false, SCRATCH[0].0, 0, RAX.into(), 0);
        let s = self.lanes_rm(s, SCRATCH[1]);
        self.vec(ops::PERMD, SCRATCH[0], SCRATCH[0], s);
        let to = self.int_to(d, RAX);
        self.asm.vex(ops::MOVD_STORE, false, SCRATCH[0].0, 0, to.into(), 0);
        self.int_done(d, to);
    }

    /// The value of an `f16`'s bits, or the bits of a value: the instructions make signalling NaNs quiet, so with `exact`
    /// their highest fraction bit is copied from the operand.
    fn half(&mut self, op: Lane1, to: V, a: V) {
        let temp = SCRATCH[2];
        let exact = match op {
            Lane1::ValueOfHalf { exact } => {
                if self.zmm() {
                    self.vec(ops::PMOVDW, a, V(0), temp);
                } else {
                    self.pack(temp, a, 2);
                }
                self.vec(ops::CVTPH2PS, to, V(0), temp);
                exact
            }
            Lane1::BitsOfHalf { exact } => {
                self.asm.vec_raw_imm(self.width, ops::CVTPS2PH, a.0, V(0), temp, 0);
                self.vec(ops::PMOVZXWD, to, V(0), temp);
                exact
            }
            _ => {
                self.asm.vec_raw_imm(self.width, ops::CVTPS2PH, a.0, V(0), temp, 0);
                self.vec(ops::CVTPH2PS, to, V(0), temp);
                false
            }
        };
        if !exact {
            return;
        }
        let of_bits = matches!(op, Lane1::ValueOfHalf { .. });
        let (value, from, at) =
            if of_bits { (to, 0x200, 0x40_0000) } else { (a, 0x40_0000, 0x200u32) };
        let skip = self.asm.label();
        if self.zmm() {
            self.asm.vec_raw_imm(self.width, ops::CMPPS, K1.0, value, value, 3);
            self.asm.mask2(ops::KORTESTW, K1.0, K1);
            self.asm.jump_if(Cond::Equal, skip);
            let (from, rest) = (self.pool(|_| from), self.pool(|_| !at));
            self.asm.masked(ops::PTESTNMD, K1, V(K1.0), a, from);
            self.asm.masked(ops::PAND, K1, to, to, rest);
        } else {
            self.asm.vec_imm(self.width, ops::CMPPS, temp, value, value, 3);
            self.asm.vex(ops::MOVMSKPS, true, RAX.0, 0, temp.into(), 0);
            self.asm.test(false, RAX, RAX);
            self.asm.jump_if(Cond::Equal, skip);
            let at = self.pool(|_| at);
            self.vec(ops::PAND, temp, temp, at);
            self.vec(ops::PANDN, to, temp, to);
            self.shift_lanes(if of_bits { 6 } else { 2 }, SCRATCH[1], a, 13);
            self.vec(ops::PAND, temp, temp, SCRATCH[1]);
            self.vec(ops::POR, to, to, temp);
        }
        self.asm.bind(skip);
    }

    pub(super) fn spread(&mut self, to: V, s: Gpr) {
        if self.zmm() {
            self.vec(ops::PBROADCASTD_GPR, to, V(0), s);
        } else {
            self.asm.vex(ops::MOVD, false, to.0, 0, s.into(), 0);
            self.vec(ops::PBROADCASTD, to, V(0), to);
        }
    }

    /// With 256 bits: `a` where the mask is set, else `b`.
    pub(super) fn blend(&mut self, to: V, b: V, a: Rm, mask: V) {
        self.asm.vec_imm(self.width, ops::BLENDVPS, to, b, a, mask.0 << 4);
    }

    pub(super) fn lane1(&mut self, op: Lane1, d: Reg, a: Reg) {
        let to = self.lanes_to(d, SCRATCH[0]);
        let plain = match op {
            Lane1::Move => {
                let s = self.lanes(a, SCRATCH[0]);
                return self.copy_to(d, s);
            }
            Lane1::Sqrt => Some(ops::SQRTPS),
            Lane1::AbsInt => Some(ops::PABSD),
            Lane1::FloatOfSigned => Some(ops::CVTDQ2PS),
            Lane1::FloatOfUnsigned => Some(ops::CVTUDQ2PS),
            _ => None,
        };
        if let Some(op) = plain {
            let a = self.lanes_rm(a, SCRATCH[1]);
            self.vec(op, to, V(0), a);
            return self.lanes_done(d, to);
        }
        let rounding = match op {
            Lane1::Rint => Some(8),
            Lane1::Floor => Some(9),
            Lane1::Ceil => Some(10),
            Lane1::Trunc => Some(11),
            _ => None,
        };
        if let Some(mode) = rounding {
            let a = self.lanes_rm(a, SCRATCH[1]);
            self.asm.vec_imm(self.width, ops::ROUNDPS, to, V(0), a, mode);
            return self.lanes_done(d, to);
        }
        let a = self.lanes(a, SCRATCH[1]);
        match op {
            Lane1::ValueOfHalf { .. } | Lane1::BitsOfHalf { .. } | Lane1::RoundHalf => {
                self.half(op, to, a);
            }
            Lane1::Shl(by) => self.shift_lanes(6, to, a, by),
            Lane1::Shr(by) => self.shift_lanes(2, to, a, by),
            Lane1::Sar(by) => self.shift_lanes(4, to, a, by),
            Lane1::UnsignedOfFloat => {
                // The maximum with 0 is 0 for a NaN, too.
                self.vec(ops::PXOR, SCRATCH[2], SCRATCH[2], SCRATCH[2]);
                self.vec(ops::MAXPS, SCRATCH[2], a, SCRATCH[2]);
                self.vec(ops::CVTTPS2UDQ, to, V(0), SCRATCH[2]);
            }
            _ => self.signed_of_float(to, a),
        }
        self.lanes_done(d, to);
    }

    pub(super) fn shift_lanes(&mut self, which: u8, to: V, a: V, by: u8) {
        self.asm.vec_raw_imm(self.width, ops::PSHIFTD, which, to, a, by);
    }

    /// Truncates and saturates; a NaN becomes 0.
    pub(super) fn signed_of_float(&mut self, to: V, a: V) {
        let two_31 = self.pool(|_| 2_147_483_648f32.to_bits());
        self.vec(ops::CVTTPS2DQ, SCRATCH[0], V(0), a);
        if self.zmm() {
            self.asm.vec_raw_imm(self.width, ops::CMPPS, K1.0, a, two_31, 0x1d);
            let most = self.pool(|_| i32::MAX as u32);
            self.asm.masked(ops::MOVUPS_LOAD, K1, SCRATCH[0], V(0), most);
            self.asm.vec_raw_imm(self.width, ops::CMPPS, K1.0, a, a, 3);
            self.asm.masked(ops::PXOR, K1, SCRATCH[0], SCRATCH[0], SCRATCH[0]);
            self.vec(ops::MOVAPS, to, V(0), SCRATCH[0]);
        } else {
            self.asm.vec_imm(self.width, ops::CMPPS, SCRATCH[2], a, two_31, 0x1d);
            // The instruction returns 0x80000000 for numbers that are too large; that becomes 0x7fffffff.
            self.vec(ops::PXOR, SCRATCH[0], SCRATCH[0], SCRATCH[2]);
            self.asm.vec_imm(self.width, ops::CMPPS, SCRATCH[2], a, a, 3);
            self.vec(ops::PANDN, to, SCRATCH[2], SCRATCH[0]);
        }
    }

    /// Half of the lanes of a vector, in a register or in memory.
    fn half_of(&mut self, reg: Reg, high: bool, scratch: V) -> Rm {
        if let Place::Spill(offset) = self.place(reg) {
            let bytes = self.width.lanes() * 2;
            return Mem::at(R12, (offset + if high { bytes } else { 0 }) as i32).into();
        }
        let all = self.lanes(reg, scratch);
        if !high {
            return all.into();
        }
        let extract = if self.zmm() { ops::EXTRACTF64X4 } else { ops::EXTRACTF128 };
        self.asm.vec_raw_imm(self.width, extract, all.0, V(0), scratch, 1);
        scratch.into()
    }

    /// Quotients of integers by `f64` division, half of the lanes at a time. They are exact: the quotient of 32-bit numbers
    /// is at least 2^-32 of its size away from the next integer, and `f64` has 53 bits.
    fn quotients(&mut self, signed: bool, to: V, a: Reg, b: Reg) {
        let whole = self.zmm() || signed;
        for (high, x, y) in [(false, SCRATCH[0], SCRATCH[1]), (true, SCRATCH[1], SCRATCH[2])] {
            for (reg, v) in [(a, x), (b, y)] {
                let from = self.half_of(reg, high, v);
                self.doubles(signed, v, from);
            }
            self.vec(ops::DIVPD, x, x, y);
            if whole {
                let op = if signed { ops::CVTTPD2DQ } else { ops::CVTTPD2UDQ };
                self.vec(op, x, V(0), x);
            } else {
                // The low half of a sum with 2^52 is the integer.
                self.asm.vec_imm(self.width, ops::ROUNDPD, x, V(0), x, 11);
                let bias = self.bias();
                self.vec(ops::ADDPD, x, x, bias);
            }
        }
        let [low, high, _] = SCRATCH;
        if whole {
            let insert = if self.zmm() { ops::INSERTF64X4 } else { ops::INSERTF128 };
            self.asm.vec_imm(self.width, insert, to, low, high, 1);
        } else {
            self.asm.vec_imm(self.width, ops::SHUFPS, low, low, high, 0x88);
            self.asm.vec_imm(self.width, ops::PERMQ, to, V(0), low, 0xd8);
        }
    }

    /// 2^52 as `f64`s.
    fn bias(&mut self) -> Mem {
        self.pool(|lane| if lane % 2 == 0 { 0 } else { 0x4330_0000 })
    }

    fn doubles(&mut self, signed: bool, to: V, from: Rm) {
        match (signed, self.zmm()) {
            (true, _) => self.vec(ops::CVTDQ2PD, to, V(0), from),
            (false, true) => self.vec(ops::CVTUDQ2PD, to, V(0), from),
            (false, false) => {
                // Inserts the integer into the low half of 2^52, and subtracts 2^52.
                self.vec(ops::PMOVZXDQ, to, V(0), from);
                let bias = self.bias();
                self.vec(ops::POR, to, to, bias);
                self.vec(ops::SUBPD, to, to, bias);
            }
        }
    }

    /// The high halves of products: those of even lanes, and those of odd ones.
    fn high_products(&mut self, op: Op, to: V, a: V, b: V) {
        let [even, x, y] = SCRATCH;
        self.vec(op, even, a, b);
        self.asm.vec_raw_imm(self.width, ops::PSHIFTQ, 2, even, even, 32);
        self.asm.vec_raw_imm(self.width, ops::PSHIFTQ, 2, x, a, 32);
        self.asm.vec_raw_imm(self.width, ops::PSHIFTQ, 2, y, b, 32);
        self.vec(op, x, x, y);
        let odd = self.pool(|lane| if lane % 2 == 0 { 0 } else { u32::MAX });
        self.vec(ops::PAND, x, x, odd);
        self.vec(ops::POR, to, even, x);
    }

    pub(super) fn lane2(&mut self, op: Lane2, d: Reg, a: Reg, b: Reg) {
        let to = self.lanes_to(d, SCRATCH[0]);
        if let Some(op) = instruction(op) {
            let a = self.lanes(a, SCRATCH[1]);
            let b = self.lanes_rm(b, SCRATCH[2]);
            self.vec(op, to, a, b);
            return self.lanes_done(d, to);
        }
        match op {
            Lane2::Evens | Lane2::Odds => {
                let a = self.lanes(a, SCRATCH[1]);
                let b = self.lanes_rm(b, SCRATCH[2]);
                let picks = if op == Lane2::Evens { 0b10_00_10_00 } else { 0b11_01_11_01 };
                self.asm.vec_imm(self.width, ops::SHUFPS, to, a, b, picks);
            }
            Lane2::MulHighSigned | Lane2::MulHighUnsigned => {
                let op = if op == Lane2::MulHighSigned { ops::PMULDQ } else { ops::PMULUDQ };
                let (a, b) = (self.lanes(a, SCRATCH[1]), self.lanes(b, SCRATCH[2]));
                self.high_products(op, to, a, b);
            }
            Lane2::MinFloat | Lane2::MaxFloat => {
                let (a, b) = (self.lanes(a, SCRATCH[1]), self.lanes(b, SCRATCH[2]));
                self.least_or_most(op, a, b);
                return self.copy_to(d, SCRATCH[0]);
            }
            _ => self.quotients(op == Lane2::DivSigned, to, a, b),
        }
        self.lanes_done(d, to);
    }

    /// The lanes of a mask are computed, the others stay; false if no instruction does that. With 512 bits.
    pub(super) fn lane2_masked(&mut self, op: Lane2, d: Reg, mask: Reg, a: Reg, b: Reg) -> bool {
        // This one has a mask of bytes.
        let Some(op) = instruction(op).filter(|_| op != Lane2::Bytes) else { return false };
        let to = self.lanes(d, SCRATCH[0]);
        let mask = self.mask(mask, K1);
        let a = self.lanes(a, SCRATCH[1]);
        let b = self.lanes_rm(b, SCRATCH[2]);
        self.asm.masked(op, mask, to, a, b);
        self.lanes_done(d, to);
        true
    }

    /// The smaller or larger of floats, in the first scratch register; the third may have `b`, and is changed.
    pub(super) fn least_or_most(&mut self, op: Lane2, a: V, b: V) {
        // The instruction returns the second operand if either is a NaN, which is wrong if the second is the NaN.
        let op = if op == Lane2::MinFloat { ops::MINPS } else { ops::MAXPS };
        let [result, _, unordered] = SCRATCH;
        self.vec(op, result, a, b);
        if self.zmm() {
            self.asm.vec_raw_imm(self.width, ops::CMPPS, K1.0, b, b, 3);
            self.asm.masked(ops::MOVAPS, K1, result, V(0), a);
        } else {
            self.asm.vec_imm(self.width, ops::CMPPS, unordered, b, b, 3);
            self.blend(result, result, a.into(), unordered);
        }
    }

    pub(super) fn spread_pair(&mut self, d: Reg, s: Reg, pair: u8) {
        let s = self.lanes_rm(s, SCRATCH[1]);
        let to = self.lanes_to(d, SCRATCH[0]);
        self.asm.vec_imm(self.width, ops::PERMPD, to, V(0), s, pair * 0b01_01_01_01);
        self.lanes_done(d, to);
    }

    pub(super) fn permute(&mut self, d: Reg, index: Reg, s: Reg) {
        let index = self.lanes(index, SCRATCH[1]);
        let s = self.lanes_rm(s, SCRATCH[2]);
        let to = self.lanes_to(d, SCRATCH[0]);
        self.vec(ops::PERMD, to, index, s);
        self.lanes_done(d, to);
    }

    pub(super) fn permute_two(&mut self, d: Reg, index: Reg, a: Reg, b: Reg) {
        let index = self.lanes(index, SCRATCH[0]);
        let a = self.lanes(a, SCRATCH[1]);
        let b = self.lanes_rm(b, SCRATCH[2]);
        let to = self.lanes_to(d, SCRATCH[0]);
        if to != index {
            self.vec(ops::MOVAPS, to, V(0), index);
        }
        self.vec(ops::PERMI2D, to, a, b);
        self.lanes_done(d, to);
    }

    pub(super) fn fma(&mut self, d: Reg, a: Reg, b: Reg, c: Reg) {
        let a = self.lanes(a, SCRATCH[1]);
        let c_at = self.lanes(c, SCRATCH[0]);
        let b = self.lanes_rm(b, SCRATCH[2]);
        let to = self.lanes_to(d, SCRATCH[0]);
        if to != c_at {
            self.vec(ops::MOVAPS, to, V(0), c_at);
        }
        self.vec(ops::FMA231PS, to, a, b);
        self.lanes_done(d, to);
    }

    /// Compares floats by a predicate of the instruction.
    pub(super) fn float_compare(&mut self, predicate: u8, d: Reg, a: V, b: Rm) {
        if self.zmm() {
            let to = self.mask_to(d, K1);
            self.asm.vec_raw_imm(self.width, ops::CMPPS, to.0, a, b, predicate);
            self.mask_done(d, to);
        } else {
            let to = self.lanes_to(d, SCRATCH[0]);
            self.asm.vec_imm(self.width, ops::CMPPS, to, a, b, predicate);
            self.lanes_done(d, to);
        }
    }

    pub(super) fn compare_lanes(&mut self, test: Test, kind: Kind, d: Reg, a: Reg, b: Reg) {
        let left = self.lanes(a, SCRATCH[1]);
        let (op, predicate) = comparison(test, kind);
        if kind == Kind::Float {
            let right = self.lanes_rm(b, SCRATCH[2]);
            return self.float_compare(predicate, d, left, right);
        }
        if self.zmm() {
            let right = self.lanes_rm(b, SCRATCH[2]);
            let to = self.mask_to(d, K1);
            self.asm.vec_raw_imm(self.width, op, to.0, left, right, predicate);
            return self.mask_done(d, to);
        }
        let right = self.lanes(b, SCRATCH[2]);
        let to = self.lanes_to(d, SCRATCH[0]);
        let (op, x, y, not) = match (test, kind) {
            (Test::Eq, _) => (ops::PCMPEQD, left, right, false),
            (Test::Ne, _) => (ops::PCMPEQD, left, right, true),
            (Test::Lt, Kind::Signed) => (ops::PCMPGTD, right, left, false),
            (Test::Le, Kind::Signed) => (ops::PCMPGTD, left, right, true),
            (Test::Lt, _) => {
                self.vec(ops::PMAXUD, SCRATCH[0], left, right);
                (ops::PCMPEQD, SCRATCH[0], left, true)
            }
            (Test::Le, _) => {
                self.vec(ops::PMINUD, SCRATCH[0], left, right);
                (ops::PCMPEQD, SCRATCH[0], left, false)
            }
        };
        self.vec(op, to, x, y);
        if not {
            let ones = self.pool(|_| u32::MAX);
            self.vec(ops::PXOR, to, to, ones);
        }
        self.lanes_done(d, to);
    }

    /// The same in the lanes of a mask, and false in the others. With 512 bits.
    pub(super) fn compare_masked(
        &mut self,
        test: Test,
        kind: Kind,
        d: Reg,
        mask: Reg,
        a: Reg,
        b: Reg,
    ) {
        let left = self.lanes(a, SCRATCH[1]);
        let right = self.lanes_rm(b, SCRATCH[2]);
        let (op, predicate) = comparison(test, kind);
        let mask = self.mask(mask, K1);
        let to = self.mask_to(d, K1);
        self.asm.masked_imm(op, mask, to.0, left, right, predicate);
        self.mask_done(d, to);
    }
}

/// The instruction of an operation, if it is one.
fn instruction(op: Lane2) -> Option<Op> {
    Some(match op {
        Lane2::AddFloat => ops::ADDPS,
        Lane2::SubFloat => ops::SUBPS,
        Lane2::MulFloat => ops::MULPS,
        Lane2::DivFloat => ops::DIVPS,
        Lane2::Add => ops::PADDD,
        Lane2::Sub => ops::PSUBD,
        Lane2::Mul => ops::PMULLD,
        Lane2::MinSigned => ops::PMINSD,
        Lane2::MinUnsigned => ops::PMINUD,
        Lane2::MaxSigned => ops::PMAXSD,
        Lane2::MaxUnsigned => ops::PMAXUD,
        Lane2::And => ops::PAND,
        Lane2::Or => ops::POR,
        Lane2::Xor => ops::PXOR,
        Lane2::Shl => ops::PSLLVD,
        Lane2::Shr => ops::PSRLVD,
        Lane2::Sar => ops::PSRAVD,
        Lane2::Bytes => ops::PSHUFB,
        Lane2::MixLow => ops::UNPCKLPS,
        Lane2::MixHigh => ops::UNPCKHPS,
        Lane2::Evens | Lane2::Odds | Lane2::MulHighSigned | Lane2::MulHighUnsigned => return None,
        Lane2::DivSigned | Lane2::DivUnsigned | Lane2::MinFloat | Lane2::MaxFloat => return None,
    })
}

/// The instruction of a comparison with 512 bits, and its predicate. That of floats is the same with 256.
fn comparison(test: Test, kind: Kind) -> (Op, u8) {
    match (kind, test) {
        (Kind::Float, Test::Eq) => (ops::CMPPS, 0),
        (Kind::Float, Test::Ne) => (ops::CMPPS, 4),
        (Kind::Float, Test::Lt) => (ops::CMPPS, 0x11),
        (Kind::Float, Test::Le) => (ops::CMPPS, 0x12),
        (_, test) => {
            let op = if kind == Kind::Signed { ops::PCMPD } else { ops::PCMPUD };
            let predicate = match test {
                Test::Eq => 0,
                Test::Lt => 1,
                Test::Le => 2,
                Test::Ne => 4,
            };
            (op, predicate)
        }
    }
}
