//! Operations between the lanes of a SIMD-group or a quad-group.

use super::super::text::{Kind, Reg, ptx};
use super::Emit;
use crate::soft::ir::{Input, Inst, Op, Scalar, Type, internal_error};

/// The bytes of a lane in the array that slow paths use.
const ROOM: u32 = 8;

/// A reduction or prefix operation: how two values are combined.
#[derive(Clone, Copy)]
struct Fold {
    op: Op,
    scalar: Scalar,
    neutral: Reg,
    /// Lanes of a group.
    width: u32,
}

impl Emit<'_> {
    /// The number of the lane.
    pub(super) fn lane(&mut self) -> Reg {
        self.input(Input::ThreadIndexInSimdgroup.imm(0))
    }

    /// A word from another lane.
    fn shuffle_word(&mut self, word: Reg, source: Reg) -> Reg {
        let source = if self.options.tensor { self.hardware_lane(source) } else { source };
        let (mask, reg) = (self.mask(), self.text.reg(Kind::Word));
        ptx!(self.text, "shfl.sync.idx.b32 {reg}, {word}, {source}, 31, {mask};");
        reg
    }

    /// A value from another lane.
    pub(super) fn shuffle(&mut self, ty: Type, value: Reg, source: Reg) -> Reg {
        let words = self.words_of(ty, value);
        let words: Vec<Reg> =
            words.into_iter().map(|word| self.shuffle_word(word, source)).collect();
        self.of_words(ty, &words)
    }

    /// An operation on words with an immediate or a register.
    pub(super) fn word(&mut self, name: &str, a: Reg, b: impl std::fmt::Display) -> Reg {
        let reg = self.text.reg(Kind::Word);
        ptx!(self.text, "{name} {reg}, {a}, {b};");
        reg
    }

    pub(super) fn test(&mut self, name: &str, a: Reg, b: impl std::fmt::Display) -> Reg {
        let reg = self.text.reg(Kind::Predicate);
        ptx!(self.text, "setp.{name} {reg}, {a}, {b};");
        reg
    }

    /// The value of an operation across lanes.
    pub(super) fn across(&mut self, inst: &Inst) -> Vec<Reg> {
        let width = inst.imm as u32;
        match inst.op {
            Op::SimdIsFirst | Op::SimdAll | Op::SimdAny | Op::SimdBallot => {
                vec![self.vote(inst, width)]
            }
            Op::SimdAnd | Op::SimdOr | Op::SimdXor if inst.ty.scalar() == Some(Scalar::Bool) => {
                vec![self.vote(inst, width)]
            }
            Op::SimdFillUp | Op::SimdFillDown => vec![self.fill(inst, width)],
            Op::SimdBroadcast
            | Op::SimdBroadcastFirst
            | Op::SimdShuffle
            | Op::SimdShuffleXor
            | Op::SimdShuffleUp
            | Op::SimdShuffleDown
            | Op::SimdRotateUp
            | Op::SimdRotateDown => {
                let source = self.source(inst, width);
                let values = self.value(inst.args[0]);
                values.into_iter().map(|value| self.shuffle(inst.ty, value, source)).collect()
            }
            _ => vec![self.fold(inst, width)],
        }
    }

    /// A lane number or distance, as a word.
    fn distance(&mut self, value: crate::soft::ir::Value) -> Reg {
        let scalar = self.scalar_type(value);
        let reg = self.scalar(value);
        self.convert(scalar, Scalar::U32, reg)
    }

    /// The lane that a shuffle reads.
    fn source(&mut self, inst: &Inst, width: u32) -> Reg {
        let (lane, low) = (self.lane(), width - 1);
        let start = self.word("and.b32", lane, !low as i32);
        let index = self.word("and.b32", lane, low);
        if inst.op == Op::SimdBroadcastFirst {
            let mask = self.mask();
            let above = self.word("shr.u32", mask, start);
            let (turned, zeros) = (self.text.reg(Kind::Word), self.text.reg(Kind::Word));
            ptx!(self.text, "brev.b32 {turned}, {above};");
            ptx!(self.text, "clz.b32 {zeros}, {turned};");
            return self.word("add.u32", start, zeros);
        }
        let by = self.distance(inst.args[1]);
        let within = match inst.op {
            Op::SimdShuffleXor => {
                let other = self.word("xor.b32", index, by);
                self.word("and.b32", other, low)
            }
            Op::SimdShuffleUp => {
                let fits = self.test("le.u32", by, index);
                let other = self.word("sub.u32", index, by);
                self.choose(fits, other, index)
            }
            Op::SimdShuffleDown => {
                let room = self.text.reg(Kind::Word);
                ptx!(self.text, "sub.u32 {room}, {width}, {index};");
                let fits = self.test("lt.u32", by, room);
                let other = self.word("add.u32", index, by);
                self.choose(fits, other, index)
            }
            Op::SimdRotateUp => {
                let other = self.word("sub.u32", index, by);
                self.word("and.b32", other, low)
            }
            Op::SimdRotateDown => {
                let other = self.word("add.u32", index, by);
                self.word("and.b32", other, low)
            }
            _ => self.word("and.b32", by, low),
        };
        self.word("add.u32", start, within)
    }

    /// A shuffle by a distance in pieces of a modulo, filled from a second value.
    fn fill(&mut self, inst: &Inst, width: u32) -> Reg {
        let lane = self.lane();
        let (by, modulo) = (self.distance(inst.args[2]), self.distance(inst.args[3]));
        let piece = self.word("max.u32", modulo, 1);
        let piece = self.word("min.u32", piece, width);
        let more = self.word("add.u32", piece, 1);
        let by = self.word("rem.u32", by, more);
        let index = self.word("rem.u32", lane, piece);
        let start = self.word("sub.u32", lane, index);
        let (own, near, far) = if inst.op == Op::SimdFillUp {
            let own = self.test("ge.u32", index, by);
            let near = self.word("sub.u32", lane, by);
            let far = self.word("add.u32", start, piece);
            let far = self.word("add.u32", far, index);
            (own, near, self.word("sub.u32", far, by))
        } else {
            let sum = self.word("add.u32", index, by);
            let own = self.test("lt.u32", sum, piece);
            let near = self.word("add.u32", lane, by);
            let far = self.word("add.u32", start, sum);
            (own, near, self.word("sub.u32", far, piece))
        };
        let (near, far) = (self.word("and.b32", near, 31), self.word("and.b32", far, 31));
        // Every lane reads from both values, as which one is needed differs from lane to lane.
        let (first, second) = (self.scalar(inst.args[0]), self.scalar(inst.args[1]));
        let first = self.shuffle(inst.ty, first, near);
        let second = self.shuffle(inst.ty, second, far);
        self.choose(own, first, second)
    }

    /// A vote of the active lanes.
    fn vote(&mut self, inst: &Inst, width: u32) -> Reg {
        let (mask, lane) = (self.mask(), self.lane());
        let votes = if inst.op == Op::SimdIsFirst {
            mask
        } else {
            let vote = self.scalar(inst.args[0]);
            let votes = self.text.reg(Kind::Word);
            ptx!(self.text, "vote.sync.ballot.b32 {votes}, {vote}, {mask};");
            votes
        };
        let (votes, active, index) = if width == 32 {
            (votes, mask, lane)
        } else {
            let low = width - 1;
            let start = self.word("and.b32", lane, !low as i32);
            let part = |emit: &mut Self, of: Reg| {
                let part = emit.word("shr.u32", of, start);
                emit.word("and.b32", part, (1u32 << width) - 1)
            };
            let (votes, active) = (part(self, votes), part(self, mask));
            (votes, active, self.word("and.b32", lane, low))
        };
        match inst.op {
            Op::SimdBallot => {
                let scalar = inst.ty.scalar().unwrap_or(Scalar::U32);
                self.convert(Scalar::U32, scalar, votes)
            }
            Op::SimdAll | Op::SimdAnd => self.test("eq.u32", votes, active),
            Op::SimdAny | Op::SimdOr => self.test("ne.u32", votes, 0),
            Op::SimdXor => {
                let count = self.text.reg(Kind::Word);
                ptx!(self.text, "popc.b32 {count}, {votes};");
                let odd = self.word("and.b32", count, 1);
                self.test("ne.u32", odd, 0)
            }
            _ => {
                let (turned, first) = (self.text.reg(Kind::Word), self.text.reg(Kind::Word));
                ptx!(self.text, "brev.b32 {turned}, {active};");
                ptx!(self.text, "clz.b32 {first}, {turned};");
                self.test("eq.u32", first, index)
            }
        }
    }

    /// A reduction or a prefix operation. Narrow types are combined widened, and narrowed at the end.
    fn fold(&mut self, inst: &Inst, width: u32) -> Reg {
        let narrow = self.scalar_type(inst.args[0]);
        let scalar = narrow.widened();
        let value = self.scalar(inst.args[0]);
        let value = self.convert(narrow, scalar, value);
        let (op, prefix, inclusive) = match inst.op {
            Op::SimdSum => (Op::Add, false, false),
            Op::SimdProduct => (Op::Mul, false, false),
            Op::SimdMin => (Op::Min, false, false),
            Op::SimdMax => (Op::Max, false, false),
            Op::SimdAnd => (Op::And, false, false),
            Op::SimdOr => (Op::Or, false, false),
            Op::SimdXor => (Op::Xor, false, false),
            Op::SimdInclusiveSum => (Op::Add, true, true),
            Op::SimdExclusiveSum => (Op::Add, true, false),
            Op::SimdInclusiveProduct => (Op::Mul, true, true),
            Op::SimdExclusiveProduct => (Op::Mul, true, false),
            op => internal_error(format!("PTX: {op:?} across lanes")),
        };
        let neutral = self.constant(scalar, neutral(op, scalar));
        let fold = Fold { op, scalar, neutral, width };
        let result = self.reg(scalar);
        let mask = self.mask();
        let (whole, done) = (self.text.label(), self.text.label());
        let all = self.test("eq.u32", mask, -1);
        ptx!(self.text, "@{all} bra {whole};");
        let slow = self.fold_in_memory(fold, value, prefix, inclusive);
        self.copy(&[result], &[slow]);
        ptx!(self.text, "bra {done};");
        self.text.place(whole);
        let fast = match prefix {
            false => self.reduce(fold, value),
            true => self.scan(fold, value, inclusive),
        };
        self.copy(&[result], &[fast]);
        self.text.place(done);
        match narrow.is_float() {
            true => self.convert(scalar, narrow, result),
            false => self.narrow(narrow, result),
        }
    }

    /// A reduction over 32 active lanes: each combines what it has with its partner's.
    fn reduce(&mut self, fold: Fold, mut value: Reg) -> Reg {
        let (lane, ty) = (self.lane(), Type::Scalar(fold.scalar));
        let mut half = fold.width / 2;
        while half > 0 {
            let partner = self.word("xor.b32", lane, half);
            let other = self.shuffle(ty, value, partner);
            // The lower lane's value is the first operand.
            let bit = self.word("and.b32", lane, half);
            let lower = self.test("eq.u32", bit, 0);
            let args = match fold.op {
                Op::Min | Op::Max if fold.scalar == Scalar::F32 => {
                    [self.choose(lower, value, other), self.choose(lower, other, value)]
                }
                _ => [value, other],
            };
            value = self.pure(fold.op, fold.scalar, &args);
            half /= 2;
        }
        value
    }

    /// A prefix operation over 32 active lanes.
    fn scan(&mut self, fold: Fold, mut value: Reg, inclusive: bool) -> Reg {
        let (lane, ty) = (self.lane(), Type::Scalar(fold.scalar));
        let index = self.word("and.b32", lane, fold.width - 1);
        let below = |emit: &mut Self, value: Reg, distance: u32| {
            let source = emit.word("sub.u32", lane, distance);
            let source = emit.word("and.b32", source, 31);
            let other = emit.shuffle(ty, value, source);
            (other, emit.test("ge.u32", index, distance))
        };
        let mut distance = 1;
        while distance < fold.width {
            let (other, has) = below(self, value, distance);
            let sum = self.pure(fold.op, fold.scalar, &[other, value]);
            value = self.choose(has, sum, value);
            distance *= 2;
        }
        if inclusive {
            return value;
        }
        let (other, has) = below(self, value, 1);
        self.choose(has, other, fold.neutral)
    }

    /// The same where some lanes are not active: each lane collects the values of all, with the neutral element for those
    /// that are not active, and combines them in the order of the lanes.
    fn fold_in_memory(&mut self, fold: Fold, value: Reg, prefix: bool, inclusive: bool) -> Reg {
        self.uses_lane_room = true;
        let Fold { op, scalar, neutral, width } = fold;
        let (lane, mask, kind) = (self.lane(), self.mask(), Kind::of(scalar));
        let bits = kind.name();
        let room = self.text.reg(Kind::Word);
        let wide = self.text.reg(Kind::Long);
        ptx!(self.text, "mov.u64 {wide}, lanes;");
        ptx!(self.text, "cvt.u32.u64 {room}, {wide};");
        let at = |emit: &mut Self, index: Reg| {
            let (reg, wide) = (emit.text.reg(Kind::Word), emit.text.reg(Kind::Long));
            ptx!(emit.text, "mad.lo.u32 {reg}, {index}, {ROOM}, {room};");
            ptx!(emit.text, "cvt.u64.u32 {wide}, {reg};");
            wide
        };
        let load = |emit: &mut Self, address: Reg| {
            let reg = emit.text.reg(kind);
            ptx!(emit.text, "ld.local.{bits} {reg}, [{address}];");
            reg
        };
        // Collect.
        let (k, next) = (self.text.reg(Kind::Word), self.text.label());
        ptx!(self.text, "mov.u32 {k}, 0;");
        self.text.place(next);
        let other = self.shuffle(Type::Scalar(scalar), value, k);
        let bit = self.word("shr.u32", mask, k);
        let bit = self.word("and.b32", bit, 1);
        let active = self.test("ne.u32", bit, 0);
        let chosen = self.choose(active, other, neutral);
        let address = at(self, k);
        ptx!(self.text, "st.local.{bits} [{address}], {chosen};");
        ptx!(self.text, "add.u32 {k}, {k}, 1;");
        let more = self.test("lt.u32", k, 32);
        ptx!(self.text, "@{more} bra {next};");
        // Combine.
        let start = self.word("and.b32", lane, !(width - 1) as i32);
        let (step, outer, inner) =
            (self.text.reg(Kind::Word), self.text.label(), self.text.label());
        ptx!(self.text, "mov.u32 {step}, {};", if prefix { 1 } else { width / 2 });
        self.text.place(outer);
        ptx!(self.text, "mov.u32 {k}, {};", if prefix { width - 1 } else { 0 });
        self.text.place(inner);
        let index = self.word("add.u32", start, k);
        let partner = self.word(if prefix { "sub.u32" } else { "add.u32" }, index, step);
        let (here, there) = (at(self, index), at(self, partner));
        let (own, other) = (load(self, here), load(self, there));
        let args = if prefix { [other, own] } else { [own, other] };
        let sum = self.pure(op, scalar, &args);
        ptx!(self.text, "st.local.{bits} [{here}], {sum};");
        if prefix {
            ptx!(self.text, "sub.u32 {k}, {k}, 1;");
            let more = self.test("ge.s32", k, step);
            ptx!(self.text, "@{more} bra {inner};");
            ptx!(self.text, "shl.b32 {step}, {step}, 1;");
            let more = self.test("lt.u32", step, width);
            ptx!(self.text, "@{more} bra {outer};");
        } else {
            ptx!(self.text, "add.u32 {k}, {k}, 1;");
            let more = self.test("lt.u32", k, step);
            ptx!(self.text, "@{more} bra {inner};");
            ptx!(self.text, "shr.u32 {step}, {step}, 1;");
            let more = self.test("ne.u32", step, 0);
            ptx!(self.text, "@{more} bra {outer};");
        }
        if !prefix {
            let address = at(self, start);
            return load(self, address);
        }
        if inclusive {
            let address = at(self, lane);
            return load(self, address);
        }
        let before = self.word("sub.u32", lane, 1);
        let before = self.word("and.b32", before, 31);
        let address = at(self, before);
        let found = load(self, address);
        let first = self.test("eq.u32", lane, start);
        self.choose(first, neutral, found)
    }
}

/// The neutral element of an operation, in widened bits.
fn neutral(op: Op, scalar: Scalar) -> u64 {
    let long = scalar.bytes() == 8;
    match (op, scalar) {
        (Op::Add, Scalar::F32) => u64::from((-0f32).to_bits()),
        (Op::Mul, Scalar::F32) => u64::from(1f32.to_bits()),
        (Op::Min | Op::Max, Scalar::F32) => u64::from(f32::NAN.to_bits()),
        (Op::Mul, _) => 1,
        (Op::Min, _) if scalar.is_signed() => {
            if long {
                i64::MAX as u64
            } else {
                i32::MAX as u64
            }
        }
        (Op::Max, _) if scalar.is_signed() => {
            if long {
                i64::MIN as u64
            } else {
                u64::from(i32::MIN as u32)
            }
        }
        (Op::Min | Op::And, _) => u64::MAX,
        _ => 0,
    }
}
