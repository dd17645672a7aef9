//! Counts of bits and high halves of products, made of simpler operations: in lanes, and on numbers.

use super::Selection;
use super::wide::Wide;
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::ir::{Op, Scalar};

/// Where an operand is: each lane of a vector, or an integer register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    Lanes,
    Numbers,
}

impl Selection<'_> {
    fn shifted(&mut self, file: File, a: Reg, bits: u8) -> Reg {
        if file == File::Lanes {
            return self.lane1(Lane1::Shr(bits), a);
        }
        let d = self.int();
        self.emit(Ins::IntImm { op: IntOp::Shr, wide: false, d, a, imm: bits.into() });
        d
    }

    fn masked(&mut self, file: File, a: Reg, mask: u32) -> Reg {
        if file == File::Lanes {
            let b = self.lane_constant(mask);
            return self.lane2(Lane2::And, a, b);
        }
        let d = self.int();
        self.emit(Ins::IntImm { op: IntOp::And, wide: false, d, a, imm: mask as i32 });
        d
    }

    fn of_two(&mut self, file: File, op: IntOp, a: Reg, b: Reg) -> Reg {
        if file == File::Lanes {
            let op = match op {
                IntOp::Add => Lane2::Add,
                IntOp::Sub => Lane2::Sub,
                IntOp::Mul => Lane2::Mul,
                _ => Lane2::Or,
            };
            return self.lane2(op, a, b);
        }
        self.int2(op, false, a, b)
    }

    fn int2(&mut self, op: IntOp, wide: bool, a: Reg, b: Reg) -> Reg {
        let d = self.int();
        self.emit(Ins::Int { op, wide, d, a, b });
        d
    }

    fn number_of(&mut self, file: File, bits: u32) -> Reg {
        match file {
            File::Lanes => self.lane_constant(bits),
            File::Numbers => self.constant(bits.into()),
        }
    }

    /// The number of ones of 32 bits: of pairs, of fours and of bytes, whose sum a product has in its highest byte.
    fn ones(&mut self, file: File, x: Reg) -> Reg {
        let half = self.shifted(file, x, 1);
        let half = self.masked(file, half, 0x5555_5555);
        let pairs = self.of_two(file, IntOp::Sub, x, half);
        let high = self.shifted(file, pairs, 2);
        let [low, high] = [pairs, high].map(|pairs| self.masked(file, pairs, 0x3333_3333));
        let fours = self.of_two(file, IntOp::Add, low, high);
        let high = self.shifted(file, fours, 4);
        let sum = self.of_two(file, IntOp::Add, fours, high);
        let bytes = self.masked(file, sum, 0x0f0f_0f0f);
        let ones = self.number_of(file, 0x0101_0101);
        let product = self.of_two(file, IntOp::Mul, bytes, ones);
        self.shifted(file, product, 24)
    }

    /// The number of ones or of leading zeros of a number of up to 32 bits.
    pub(super) fn count_bits(&mut self, file: File, op: Op, row: Scalar, a: Reg) -> Reg {
        let bits = 8 * row.bytes();
        let mut x = if bits < 32 { self.masked(file, a, u32::MAX >> (32 - bits)) } else { a };
        if op == Op::PopCount {
            return self.ones(file, x);
        }
        // Ones in all bits from the highest one down.
        for by in [1, 2, 4, 8, 16].into_iter().filter(|&by| u32::from(by) < bits) {
            let right = self.shifted(file, x, by);
            x = self.of_two(file, IntOp::Or, x, right);
        }
        let (all, ones) = (self.number_of(file, bits), self.ones(file, x));
        self.of_two(file, IntOp::Sub, all, ones)
    }

    /// The same of 64 bits in lanes.
    pub(super) fn count_wide(&mut self, op: Op, a: Wide) -> Wide {
        let [low, high] =
            [a.low, a.high].map(|half| self.count_bits(File::Lanes, op, Scalar::U32, half));
        let zero = self.lane_constant(0);
        let low = if op == Op::PopCount {
            low
        } else {
            let mask = self.mask();
            let (test, kind) = (Test::Eq, Num::Unsigned);
            self.emit(Ins::CompareLanes { test, kind, d: mask, a: a.high, b: zero });
            self.chosen(mask, low, zero)
        };
        Wide { low: self.lane2(Lane2::Add, low, high), high: zero }
    }

    /// Such an operation on numbers.
    pub(super) fn bits_of_numbers(&mut self, op: Op, row: Scalar, args: &[Reg]) -> Option<Reg> {
        match op {
            Op::MulHigh => Some(self.mul_high(row, args[0], args[1])),
            Op::PopCount | Op::LeadingZeros if row.bytes() < 8 => {
                Some(self.count_bits(File::Numbers, op, row, args[0]))
            }
            Op::PopCount | Op::LeadingZeros => {
                let top = self.high(args[0]);
                let [low, high] = [args[0], top]
                    .map(|half| self.count_bits(File::Numbers, op, Scalar::U32, half));
                let mut low = low;
                if op == Op::LeadingZeros {
                    let (zero, none, d) = (self.constant(0), self.int(), self.int());
                    let (test, kind) = (Test::Eq, Num::Unsigned);
                    self.emit(Ins::Compare { test, kind, wide: true, d: none, a: top, b: zero });
                    self.emit(Ins::Choose { wide: true, d, c: none, a: low, b: zero });
                    low = d;
                }
                Some(self.int2(IntOp::Add, false, low, high))
            }
            Op::Abs if row.is_signed() => {
                let (wide, kind) = (row.bytes() == 8, Num::Signed);
                let (zero, negative, d) = (self.constant(0), self.int(), self.int());
                let other = self.int2(IntOp::Sub, wide, zero, args[0]);
                let test = Test::Lt;
                self.emit(Ins::Compare { test, kind, wide, d: negative, a: args[0], b: zero });
                self.emit(Ins::Choose { wide, d, c: negative, a: other, b: args[0] });
                Some(d)
            }
            Op::Abs => Some(args[0]),
            _ => None,
        }
    }

    /// The upper 32 bits of 64.
    fn high(&mut self, a: Reg) -> Reg {
        let d = self.int();
        self.emit(Ins::IntImm { op: IntOp::Shr, wide: true, d, a, imm: 32 });
        d
    }

    /// The high half of a product.
    fn mul_high(&mut self, row: Scalar, a: Reg, b: Reg) -> Reg {
        if row.bytes() < 4 {
            let (product, d) = (self.int2(IntOp::Mul, false, a, b), self.int());
            let op = if row.is_signed() { IntOp::Sar } else { IntOp::Shr };
            let imm = 8 * row.bytes() as i32;
            self.emit(Ins::IntImm { op, wide: false, d, a: product, imm });
            return d;
        }
        if row.bytes() == 4 {
            let [a, b] = [a, b].map(|s| self.widened_word(row, s));
            let product = self.int2(IntOp::Mul, true, a, b);
            return self.high(product);
        }
        let [x, y] = [a, b].map(|s| [self.widened_word(Scalar::U32, s), self.high(s)]);
        let product = |selection: &mut Self, x, y| selection.int2(IntOp::Mul, true, x, y);
        let plus = |selection: &mut Self, x, y| selection.int2(IntOp::Add, true, x, y);
        // A product plus the carry into it is less than 2^64.
        let lowest = product(self, x[0], y[0]);
        let (first, carry) = (product(self, x[1], y[0]), self.high(lowest));
        let first = plus(self, first, carry);
        let (second, carry) = (product(self, x[0], y[1]), self.widened_word(Scalar::U32, first));
        let second = plus(self, second, carry);
        let mut result = product(self, x[1], y[1]);
        for carry in [first, second] {
            let carry = self.high(carry);
            result = plus(self, result, carry);
        }
        // A negative factor is 2^64 less than its bits.
        for (sign, other) in [(a, b), (b, a)].into_iter().filter(|_| row.is_signed()) {
            let negative = self.int();
            self.emit(Ins::IntImm { op: IntOp::Sar, wide: true, d: negative, a: sign, imm: 63 });
            let less = self.int2(IntOp::And, true, negative, other);
            result = self.int2(IntOp::Sub, true, result, less);
        }
        result
    }

    /// 32 bits as 64, by the sign of their type.
    fn widened_word(&mut self, from: Scalar, s: Reg) -> Reg {
        let d = self.int();
        self.emit(Ins::Widen { from, wide: true, d, s });
        d
    }
}
