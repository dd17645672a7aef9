//! Arithmetic and comparisons in each lane of a vector.

use super::{Emitter, OWN_MEMORY, Pair, SCRATCH, X9, X10, X16};
use crate::soft::cpu::native::aarch64::asm::Vector as V;
use crate::soft::cpu::native::aarch64::ops::{self, Op};
use crate::soft::cpu::native::lir::{Home, Kind, Lane1, Lane2, Reg, Test};

impl Emitter<'_> {
    pub(super) fn compare_lanes(&mut self, test: Test, kind: Kind, d: Reg, a: Reg, b: Reg) {
        let op = match (test, kind) {
            (Test::Eq | Test::Ne, Kind::Float) => ops::FCMEQ,
            (Test::Lt, Kind::Float) => ops::FCMGT,
            (Test::Le, Kind::Float) => ops::FCMGE,
            (Test::Eq | Test::Ne, _) => ops::CMEQ,
            (Test::Lt, Kind::Signed) => ops::CMGT,
            (Test::Le, Kind::Signed) => ops::CMGE,
            (Test::Lt, Kind::Unsigned) => ops::CMHI,
            (Test::Le, Kind::Unsigned) => ops::CMHS,
        };
        match test {
            Test::Eq => self.each2(op, d, a, b),
            Test::Ne => self.compare_not(op, d, a, b),
            Test::Lt | Test::Le => self.each2(op, d, b, a),
        }
    }

    pub(super) fn is_nan(&mut self, d: Reg, a: Reg) {
        self.compare_not(ops::FCMEQ, d, a, a);
    }

    fn compare_not(&mut self, op: Op, d: Reg, a: Reg, b: Reg) {
        let (a, b) = (self.vector(a, SCRATCH[1]), self.vector(b, SCRATCH[2]));
        let to = self.vector_to(d, SCRATCH[0]);
        for half in 0..2 {
            self.asm.vec3(op, to[half], a[half], b[half]);
            self.asm.vec2(ops::V_NOT, to[half], to[half]);
        }
        self.vector_done(d, to);
    }

    pub(super) fn select(&mut self, d: Reg, mask: Reg, a: Reg, b: Reg) {
        let (a, b) = (self.vector(a, SCRATCH[1]), self.vector(b, SCRATCH[2]));
        let mask = self.vector(mask, SCRATCH[3]);
        let to = self.vector_to(d, SCRATCH[0]);
        for half in 0..2 {
            let (to, mask, a, b) = (to[half], mask[half], a[half], b[half]);
            if to == mask {
                self.asm.vec3(ops::BSL, to, a, b);
            } else if to == a {
                self.asm.vec3(ops::BIF, to, b, mask);
            } else {
                if to != b {
                    self.asm.vec3(ops::V_ORR, to, b, b);
                }
                self.asm.vec3(ops::BIT, to, a, mask);
            }
        }
        self.vector_done(d, to);
    }

    pub(super) fn move_masked(&mut self, d: Reg, mask: Reg, s: Reg) {
        let to = self.vector(d, SCRATCH[0]);
        let (mask, s) = (self.vector(mask, SCRATCH[3]), self.vector(s, SCRATCH[1]));
        for half in 0..2 {
            self.asm.vec3(ops::BIT, to[half], s[half], mask[half]);
        }
        self.vector_done(d, to);
    }

    pub(super) fn spread_int(&mut self, d: Reg, s: Reg) {
        let (to, s) = (self.vector_to(d, SCRATCH[0]), self.int(s, X9));
        to.into_iter().for_each(|to| self.asm.dup(to, s));
        self.vector_done(d, to);
    }

    pub(super) fn first(&mut self, d: Reg, s: Reg) {
        let (to, s) = (self.int_to(d, X9), self.vector(s, SCRATCH[1]));
        self.asm.low_of(ops::FMOV_FROM_S, to, s[0]);
        self.int_done(d, to);
    }

    /// The bits of the last of the lanes whose bits are set, by way of memory.
    pub(super) fn last(&mut self, d: Reg, s: Reg, bits: Reg) {
        let bits = self.int(bits, X9);
        self.asm.int1(ops::CLZ, false, X9, bits);
        self.asm.mov_imm(X10, 31);
        self.asm.int(ops::SUB, false, X9, X10, X9);
        // Without a bit it is any lane.
        self.asm.extend(false, false, 3, X9, X9);
        let s = self.vector(s, SCRATCH[1]);
        self.add(X16, OWN_MEMORY, self.area.loops.into());
        self.access_pair(ops::STP_Q, s, X16, 0);
        let to = self.int_to(d, X9);
        self.asm.indexed(ops::LDR_W_INDEXED, to, X16, X9);
        self.int_done(d, to);
    }

    pub(super) fn fma(&mut self, d: Reg, a: Reg, b: Reg, c: Reg) {
        let (a, b) = (self.vector(a, SCRATCH[1]), self.vector(b, SCRATCH[2]));
        let sum = self.vector(c, SCRATCH[0]);
        let to = self.vector_to(d, SCRATCH[0]);
        self.copy(to, sum);
        for half in 0..2 {
            self.asm.vec3(ops::FMLA, to[half], a[half], b[half]);
        }
        self.vector_done(d, to);
    }

    pub(super) fn lane1(&mut self, op: Lane1, d: Reg, a: Reg) {
        let plain = match op {
            Lane1::Move | Lane1::Shr(0) | Lane1::Sar(0) => return self.vector_move(d, a),
            Lane1::Sqrt => ops::FSQRT,
            Lane1::Floor => ops::FRINTM,
            Lane1::Ceil => ops::FRINTP,
            Lane1::Trunc => ops::FRINTZ,
            Lane1::Rint => ops::FRINTN,
            Lane1::AbsInt => ops::V_ABS,
            Lane1::FloatOfSigned => ops::SCVTF,
            Lane1::FloatOfUnsigned => ops::UCVTF,
            // Numbers that are too large become the largest one, and a NaN becomes 0.
            Lane1::SignedOfFloat => ops::FCVTZS,
            Lane1::UnsignedOfFloat => ops::FCVTZU,
            Lane1::Shl(_) | Lane1::Shr(_) | Lane1::Sar(_) => {
                let (to, a) = (self.vector_to(d, SCRATCH[0]), self.vector(a, SCRATCH[1]));
                for half in 0..2 {
                    match op {
                        Lane1::Shl(by) => self.asm.shl(to[half], a[half], by.into()),
                        Lane1::Shr(by) => self.asm.shr(ops::USHR, to[half], a[half], by.into()),
                        Lane1::Sar(by) => self.asm.shr(ops::SSHR, to[half], a[half], by.into()),
                        _ => {}
                    }
                }
                return self.vector_done(d, to);
            }
            Lane1::ValueOfHalf { .. } | Lane1::BitsOfHalf { .. } | Lane1::RoundHalf => {
                return self.half(op, d, a);
            }
        };
        self.each1(plain, d, a);
    }

    /// The value of an `f16`'s bits, the bits of a value, or a value rounded. The instructions make signalling NaNs quiet, so
    /// with `exact` their highest fraction bit is copied from the operand.
    fn half(&mut self, op: Lane1, d: Reg, a: Reg) {
        let (to, a) = (self.vector_to(d, SCRATCH[0]), self.vector(a, SCRATCH[1]));
        let ([narrow, _], [nan, quiet]) = (SCRATCH[2], SCRATCH[3]);
        for half in 0..2 {
            let (to, a) = (to[half], a[half]);
            let (narrows, widens, exact) = match op {
                Lane1::ValueOfHalf { exact } => (ops::XTN, ops::FCVTL, exact),
                Lane1::BitsOfHalf { exact } => (ops::FCVTN, ops::UXTL, exact),
                _ => (ops::FCVTN, ops::FCVTL, false),
            };
            self.asm.vec2(narrows, narrow, a);
            if !exact {
                self.asm.vec2(widens, to, narrow);
                continue;
            }
            let of_bits = narrows == ops::XTN;
            if of_bits {
                self.asm.vec2(widens, to, narrow);
            }
            let value = if of_bits { to } else { a };
            self.asm.vec3(ops::FCMEQ, nan, value, value);
            // The bit in question, where the value is a NaN.
            self.asm.splat(quiet, if of_bits { 0x40_0000 } else { 0x200 });
            self.asm.vec3(ops::V_BIC, nan, quiet, nan);
            match of_bits {
                true => self.asm.shl(quiet, a, 13),
                false => self.asm.shr(ops::USHR, quiet, a, 13),
            }
            if !of_bits {
                self.asm.vec2(widens, to, narrow);
            }
            self.asm.vec3(ops::BIT, to, quiet, nan);
        }
        self.vector_done(d, to);
    }

    pub(super) fn lane2(&mut self, op: Lane2, d: Reg, a: Reg, b: Reg) {
        let plain = match op {
            Lane2::AddFloat => ops::FADD,
            Lane2::SubFloat => ops::FSUB,
            Lane2::MulFloat => ops::FMUL,
            Lane2::DivFloat => ops::FDIV,
            Lane2::Add => ops::V_ADD,
            Lane2::Sub => ops::V_SUB,
            Lane2::Mul => ops::V_MUL,
            Lane2::MinSigned => ops::SMIN,
            Lane2::MinUnsigned => ops::UMIN,
            Lane2::MaxSigned => ops::SMAX,
            Lane2::MaxUnsigned => ops::UMAX,
            Lane2::And => ops::V_AND,
            Lane2::Or => ops::V_ORR,
            Lane2::Xor => ops::V_EOR,
            Lane2::Evens => ops::UZP1,
            Lane2::Odds => ops::UZP2,
            Lane2::Bytes => ops::TBL,
            Lane2::MixLow => ops::ZIP1,
            Lane2::MixHigh => ops::ZIP2,
            Lane2::MinFloat | Lane2::MaxFloat => {
                let (a, b) = (self.vector(a, SCRATCH[1]), self.vector(b, SCRATCH[2]));
                let to = self.vector_to(d, SCRATCH[0]);
                for half in 0..2 {
                    self.least_or_most(op, to[half], a[half], b[half]);
                }
                return self.vector_done(d, to);
            }
            Lane2::Shl | Lane2::Shr | Lane2::Sar => return self.shift_lanes(op, d, a, b),
            Lane2::MulHighSigned => return self.high_products([ops::SMULL, ops::SMULL2], d, a, b),
            Lane2::MulHighUnsigned => {
                return self.high_products([ops::UMULL, ops::UMULL2], d, a, b);
            }
            Lane2::DivSigned => return self.quotients(ops::SDIV, d, a, b),
            Lane2::DivUnsigned => return self.quotients(ops::UDIV, d, a, b),
        };
        self.each2(plain, d, a, b);
    }

    /// The smaller or larger of floats. Of zeros it is the second, as on the interpreter, and of a NaN and a number the number.
    pub(super) fn least_or_most(&mut self, op: Lane2, to: V, a: V, b: V) {
        let [first, ordered] = SCRATCH[3];
        let (x, y) = if op == Lane2::MinFloat { (b, a) } else { (a, b) };
        self.asm.vec3(ops::FCMGT, first, x, y);
        self.asm.vec3(ops::FCMEQ, ordered, b, b);
        self.asm.vec3(ops::V_ORN, first, first, ordered);
        self.asm.vec3(ops::BSL, first, a, b);
        self.asm.vec3(ops::V_ORR, to, first, first);
    }

    /// Shifts by numbers without a sign. The machine's have one, of 8 bits, and shift to the right if it is negative.
    fn shift_lanes(&mut self, op: Lane2, d: Reg, a: Reg, b: Reg) {
        let (a, b) = (self.vector(a, SCRATCH[1]), self.vector(b, SCRATCH[2]));
        let to = self.vector_to(d, SCRATCH[0]);
        let [by, most] = SCRATCH[3];
        self.asm.splat(most, 32);
        for half in 0..2 {
            self.asm.vec3(ops::UMIN, by, b[half], most);
            if op != Lane2::Shl {
                self.asm.vec2(ops::V_NEG, by, by);
            }
            let shift = if op == Lane2::Sar { ops::SSHL } else { ops::USHL };
            self.asm.vec3(shift, to[half], a[half], by);
        }
        self.vector_done(d, to);
    }

    fn high_products(&mut self, [low, high]: [Op; 2], d: Reg, a: Reg, b: Reg) {
        let (a, b) = (self.vector(a, SCRATCH[1]), self.vector(b, SCRATCH[2]));
        let to = self.vector_to(d, SCRATCH[0]);
        let [x, y] = SCRATCH[3];
        for half in 0..2 {
            self.asm.vec3(low, x, a[half], b[half]);
            self.asm.vec3(high, y, a[half], b[half]);
            self.asm.vec3(ops::UZP2, to[half], x, y);
        }
        self.vector_done(d, to);
    }

    /// Quotients lane by lane: there is no instruction for vectors.
    fn quotients(&mut self, op: Op, d: Reg, a: Reg, b: Reg) {
        let (a, b) = (self.vector(a, SCRATCH[1]), self.vector(b, SCRATCH[2]));
        let to = self.vector_to(d, SCRATCH[0]);
        for half in 0..2 {
            for lane in 0..4 {
                self.asm.get_lane(X9, a[half], lane);
                self.asm.get_lane(X10, b[half], lane);
                self.asm.int(op, false, X9, X9, X10);
                self.asm.set_lane(SCRATCH[3][0], lane, X9);
            }
            self.asm.vec3(ops::V_ORR, to[half], SCRATCH[3][0], SCRATCH[3][0]);
        }
        self.vector_done(d, to);
    }

    pub(super) fn spread_pair(&mut self, d: Reg, s: Reg, pair: u8) {
        let (to, s) = (self.vector_to(d, SCRATCH[0]), self.vector(s, SCRATCH[1]));
        let from = s[usize::from(pair / 2)];
        self.asm.dup_pair(SCRATCH[3][0], from, (pair % 2).into());
        self.copy(to, [SCRATCH[3][0]; 2]);
        self.vector_done(d, to);
    }

    /// The numbers that a register has in its lanes, if it is a constant.
    fn known(&self, reg: Reg) -> Option<[u32; 8]> {
        let info = self.code.regs[reg.0 as usize];
        let home = info.home.filter(|_| !info.carried)?;
        Some(std::array::from_fn(|lane| match home {
            Home::Constant(bits) => bits,
            Home::Iota { first, factor } => (first + lane as u32).wrapping_mul(factor),
            Home::Table(numbers) => numbers[lane],
            Home::Lanes(_) | Home::Slot(_) => u32::MAX,
        }))
        .filter(|_| !matches!(home, Home::Lanes(_) | Home::Slot(_)))
    }

    pub(super) fn permute(&mut self, d: Reg, index: Reg, s: Reg) {
        let s = self.vector(s, SCRATCH[2]);
        let to = self.vector_to(d, SCRATCH[0]);
        if s[0] == s[1] {
            self.copy(to, s);
            return self.vector_done(d, to);
        }
        // A table of bytes: those of lane `k` are `4 k` to `4 k + 3`.
        let byte_numbers = |lane: u32| (lane & 7) * 0x0404_0404 + 0x0302_0100;
        let bytes: Pair = SCRATCH[3];
        if let Some(numbers) = self.known(index) {
            self.lanes_constant(bytes, |lane| byte_numbers(numbers[lane as usize]));
        } else {
            let index = self.vector(index, SCRATCH[1]);
            let constant = SCRATCH[1][0];
            for half in 0..2 {
                self.asm.shl(bytes[half], index[half], 29);
                self.asm.shr(ops::USHR, bytes[half], bytes[half], 29);
            }
            for (op, number) in [(ops::V_MUL, 0x0404_0404), (ops::V_ADD, 0x0302_0100)] {
                self.asm.splat(constant, number);
                for half in bytes {
                    self.asm.vec3(op, half, half, constant);
                }
            }
        }
        // Both results need all of the source.
        for half in 0..2 {
            self.asm.vec3(ops::TBL, bytes[half], s[0], bytes[half]);
        }
        self.copy(to, bytes);
        self.vector_done(d, to);
    }
}
