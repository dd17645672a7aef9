//! Varying 64-bit integers: two vectors, of the low and the high halves.
//!
//! The lanes of a wide value are the low halves of all parts of the strip, and then the high ones.

use super::Selection;
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::ir::{Op, Scalar, Value};

/// The halves in one part of the strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide {
    pub(super) low: Reg,
    pub(super) high: Reg,
}

impl Wide {
    /// The halves that these registers hold.
    pub(super) fn of(regs: &[Reg]) -> Self {
        Self { low: regs[0], high: regs[regs.len() - 1] }
    }

    fn regs(self) -> Vec<Reg> {
        vec![self.low, self.high]
    }
}

/// Whether an operation on wide numbers has code in lanes.
pub(super) fn has_code(op: Op) -> bool {
    matches!(
        op,
        Op::Add
            | Op::Sub
            | Op::Mul
            | Op::MulHigh
            | Op::And
            | Op::Or
            | Op::Xor
            | Op::Not
            | Op::Neg
            | Op::Abs
            | Op::PopCount
            | Op::LeadingZeros
            | Op::Shl
            | Op::Shr
            | Op::Min
            | Op::Max
            | Op::Eq
            | Op::Ne
            | Op::Lt
            | Op::Le
    )
}

impl Selection<'_> {
    /// Whether the lanes of a value are two vectors for each part.
    pub(super) fn is_wide(&self, value: Value) -> bool {
        self.ty(value).bytes() == 8
    }

    /// Applies an operation to the registers of each part of its operands, once if all parts are the same.
    pub(super) fn by_part(
        &mut self,
        args: &[Vec<Reg>],
        mut f: impl FnMut(&mut Self, &[Vec<Reg>]) -> Vec<Reg>,
    ) -> Vec<Reg> {
        let parts = self.parts();
        let mut results: Vec<Vec<Reg>> = Vec::new();
        let mut last: Vec<Vec<Reg>> = Vec::new();
        for part in 0..parts {
            let of_part = |regs: &Vec<Reg>| regs[part..].iter().copied().step_by(parts).collect();
            let here: Vec<Vec<Reg>> = args.iter().map(of_part).collect();
            let result = match results.last() {
                Some(result) if here == last => result.clone(),
                _ => f(self, &here),
            };
            results.push(result);
            last = here;
        }
        let count = results[0].len();
        (0..count).flat_map(|half| results.iter().map(move |result| result[half])).collect()
    }

    /// An operation that [`has_code`], in one part.
    pub(super) fn wide_op(&mut self, op: Op, row: Scalar, args: &[Vec<Reg>]) -> Vec<Reg> {
        let a = Wide::of(&args[0]);
        let b = Wide::of(args.last().expect("operations have operands"));
        let signed = row.is_signed();
        let each = |selection: &mut Self, op: Lane2| Wide {
            low: selection.lane2(op, a.low, b.low),
            high: selection.lane2(op, a.high, b.high),
        };
        let result = match op {
            Op::Add => self.wide_add(a, b),
            Op::Sub => self.wide_sub(a, b),
            Op::Mul => {
                let up = self.lane2(Lane2::MulHighUnsigned, a.low, b.low);
                let (left, right) =
                    (self.lane2(Lane2::Mul, a.low, b.high), self.lane2(Lane2::Mul, a.high, b.low));
                let sum = self.lane2(Lane2::Add, left, right);
                Wide {
                    low: self.lane2(Lane2::Mul, a.low, b.low),
                    high: self.lane2(Lane2::Add, up, sum),
                }
            }
            Op::MulHigh => self.wide_mul_high(signed, a, b),
            Op::PopCount | Op::LeadingZeros => self.count_wide(op, a),
            Op::And => each(self, Lane2::And),
            Op::Or => each(self, Lane2::Or),
            Op::Xor => each(self, Lane2::Xor),
            Op::Not => {
                let ones = self.lane_constant(u32::MAX);
                Wide {
                    low: self.lane2(Lane2::Xor, a.low, ones),
                    high: self.lane2(Lane2::Xor, a.high, ones),
                }
            }
            Op::Neg => self.wide_neg(a),
            Op::Abs if signed => {
                let (zero, negative) = (self.lane_constant(0), self.mask());
                let (test, kind) = (Test::Lt, Num::Signed);
                self.emit(Ins::CompareLanes { test, kind, d: negative, a: a.high, b: zero });
                let other = self.wide_neg(a);
                self.wide_select(negative, other, a)
            }
            Op::Abs => a,
            Op::Shl | Op::Shr => {
                let bits = self.lane_constant(63);
                let by = self.lane2(Lane2::And, b.low, bits);
                match (op, signed) {
                    (Op::Shl, _) => self.wide_shl(a, by),
                    (_, true) => self.wide_sar(a, by),
                    (_, false) => self.wide_shr(a, by),
                }
            }
            Op::Min | Op::Max => {
                let (less, more) = if op == Op::Min { (a, b) } else { (b, a) };
                let mask = self.wide_less(signed, a, b);
                self.wide_select(mask, less, more)
            }
            Op::Eq => return vec![self.wide_equal(a, b)],
            Op::Lt => return vec![self.wide_less(signed, a, b)],
            _ => {
                let a = match op {
                    Op::Ne => self.wide_equal(a, b),
                    _ => self.wide_less(signed, b, a),
                };
                let d = self.mask();
                self.emit(Ins::MaskNot { d, a });
                return vec![d];
            }
        };
        result.regs()
    }

    /// 1 in the lanes of a mask, else 0.
    pub(super) fn one_where(&mut self, mask: Reg) -> Reg {
        let (a, b) = (self.lane_constant(1), self.lane_constant(0));
        self.chosen(mask, a, b)
    }

    pub(super) fn wide_select(&mut self, mask: Reg, a: Wide, b: Wide) -> Wide {
        Wide { low: self.chosen(mask, a.low, b.low), high: self.chosen(mask, a.high, b.high) }
    }

    fn wide_add(&mut self, a: Wide, b: Wide) -> Wide {
        let (low, carry) = (self.lane2(Lane2::Add, a.low, b.low), self.mask());
        let (test, kind) = (Test::Lt, Num::Unsigned);
        self.emit(Ins::CompareLanes { test, kind, d: carry, a: low, b: a.low });
        let (high, more) = (self.lane2(Lane2::Add, a.high, b.high), self.one_where(carry));
        Wide { low, high: self.lane2(Lane2::Add, high, more) }
    }

    fn wide_sub(&mut self, a: Wide, b: Wide) -> Wide {
        let borrow = self.mask();
        let (test, kind) = (Test::Lt, Num::Unsigned);
        self.emit(Ins::CompareLanes { test, kind, d: borrow, a: a.low, b: b.low });
        let (high, less) = (self.lane2(Lane2::Sub, a.high, b.high), self.one_where(borrow));
        Wide { low: self.lane2(Lane2::Sub, a.low, b.low), high: self.lane2(Lane2::Sub, high, less) }
    }

    pub(super) fn wide_neg(&mut self, a: Wide) -> Wide {
        let zero = self.lane_constant(0);
        self.wide_sub(Wide { low: zero, high: zero }, a)
    }

    /// The high half of a product of 128 bits, from four of 64.
    fn wide_mul_high(&mut self, signed: bool, a: Wide, b: Wide) -> Wide {
        let product = |selection: &mut Self, x: Reg, y: Reg| Wide {
            low: selection.lane2(Lane2::Mul, x, y),
            high: selection.lane2(Lane2::MulHighUnsigned, x, y),
        };
        let zero = self.lane_constant(0);
        let up = self.lane2(Lane2::MulHighUnsigned, a.low, b.low);
        // A product plus the carry into it is less than 2^64.
        let first = product(self, a.low, b.high);
        let first = self.wide_add(first, Wide { low: up, high: zero });
        let second = product(self, a.high, b.low);
        let second = self.wide_add(second, Wide { low: first.low, high: zero });
        let last = product(self, a.high, b.high);
        let last = self.wide_add(last, Wide { low: first.high, high: zero });
        let result = self.wide_add(last, Wide { low: second.high, high: zero });
        if !signed {
            return result;
        }
        // A negative factor is 2^64 less than its bits.
        [(a, b), (b, a)].into_iter().fold(result, |result, (x, y)| {
            let sign = self.lane1(Lane1::Sar(31), x.high);
            let less = Wide {
                low: self.lane2(Lane2::And, sign, y.low),
                high: self.lane2(Lane2::And, sign, y.high),
            };
            self.wide_sub(result, less)
        })
    }

    /// Shifts by less than 64. In a half, a shift by 32 or more, or by a negative number, leaves 0.
    pub(super) fn wide_shl(&mut self, a: Wide, by: Reg) -> Wide {
        let (low, high) = self.crossing(Lane2::Shl, Lane2::Shr, a.low, a.high, by);
        Wide { low, high }
    }

    pub(super) fn wide_shr(&mut self, a: Wide, by: Reg) -> Wide {
        let (high, low) = self.crossing(Lane2::Shr, Lane2::Shl, a.high, a.low, by);
        Wide { low, high }
    }

    /// Shifts bits from one half to the other: the results are the half that they leave and the half that they enter.
    fn crossing(&mut self, ahead: Lane2, back: Lane2, from: Reg, to: Reg, by: Reg) -> (Reg, Reg) {
        let half = self.lane_constant(32);
        let (rest, over) = (self.lane2(Lane2::Sub, half, by), self.lane2(Lane2::Sub, by, half));
        let own = self.lane2(ahead, to, by);
        let (few, many) = (self.lane2(back, from, rest), self.lane2(ahead, from, over));
        let entering = self.lane2(Lane2::Or, few, many);
        (self.lane2(ahead, from, by), self.lane2(Lane2::Or, own, entering))
    }

    fn wide_sar(&mut self, a: Wide, by: Reg) -> Wide {
        let half = self.lane_constant(32);
        let few = self.wide_shr(a, by);
        let over = self.lane2(Lane2::Sub, by, half);
        let many = self.lane2(Lane2::Sar, a.high, over);
        let mask = self.mask();
        let (test, kind) = (Test::Lt, Num::Unsigned);
        self.emit(Ins::CompareLanes { test, kind, d: mask, a: by, b: half });
        let low = self.chosen(mask, few.low, many);
        Wide { low, high: self.lane2(Lane2::Sar, a.high, by) }
    }

    fn wide_equal(&mut self, a: Wide, b: Wide) -> Reg {
        let (low, high, d) = (self.mask(), self.mask(), self.mask());
        let (test, kind) = (Test::Eq, Num::Unsigned);
        self.emit(Ins::CompareLanes { test, kind, d: low, a: a.low, b: b.low });
        self.emit(Ins::CompareLanes { test, kind, d: high, a: a.high, b: b.high });
        self.emit(Ins::MaskBin { op: MaskOp::And, d, a: low, b: high });
        d
    }

    fn wide_less(&mut self, signed: bool, a: Wide, b: Wide) -> Reg {
        let [low, high, even, both, d] = std::array::from_fn(|_| self.mask());
        let kind = if signed { Num::Signed } else { Num::Unsigned };
        let (test, unsigned) = (Test::Lt, Num::Unsigned);
        self.emit(Ins::CompareLanes { test, kind: unsigned, d: low, a: a.low, b: b.low });
        self.emit(Ins::CompareLanes { test, kind, d: high, a: a.high, b: b.high });
        let (test, kind) = (Test::Eq, unsigned);
        self.emit(Ins::CompareLanes { test, kind, d: even, a: a.high, b: b.high });
        self.emit(Ins::MaskBin { op: MaskOp::And, d: both, a: low, b: even });
        self.emit(Ins::MaskBin { op: MaskOp::Or, d, a: high, b: both });
        d
    }

    /// A 64-bit number from its halves.
    pub(super) fn whole_of(&mut self, low: Reg, high: Reg) -> Reg {
        let (up, d) = (self.int(), self.int());
        self.emit(Ins::IntImm { op: IntOp::Shl, wide: true, d: up, a: high, imm: 32 });
        self.emit(Ins::Int { op: IntOp::Or, wide: true, d, a: up, b: low });
        d
    }

    /// A 64-bit number in all lanes.
    pub(super) fn spread_wide(&mut self, s: Reg) -> Wide {
        let (up, low, high) = (self.int(), self.lane(), self.lane());
        self.emit(Ins::IntImm { op: IntOp::Shr, wide: true, d: up, a: s, imm: 32 });
        self.emit(Ins::Spread { d: low, s });
        self.emit(Ins::Spread { d: high, s: up });
        Wide { low, high }
    }

    /// The lanes of a wide value of the frame.
    pub(super) fn wide_of_frame(&mut self, offset: u32, carried: bool) -> Vec<Reg> {
        let mut halves = [Vec::new(), Vec::new()];
        for part in 0..self.parts() {
            let mem = self.wide_place(offset, part);
            let [low, high] = std::array::from_fn(|_| self.reg(Class::Vector, carried));
            self.head.push(Ins::LoadPairs { low, high, mem });
            halves[0].push(low);
            halves[1].push(high);
        }
        halves.concat()
    }

    /// The address in the frame of a part of a wide value.
    pub(super) fn wide_place(&self, offset: u32, part: usize) -> MemRef {
        let disp = (offset + part as u32 * self.strip.lanes * 8) as i32;
        MemRef { base: MemBase::FrameWide, index: None, disp }
    }
}
