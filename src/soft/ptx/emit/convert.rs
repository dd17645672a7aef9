//! Conversions and bit casts.

use super::super::text::{Kind, Reg, ptx};
use super::Emit;
use crate::soft::ir::{Inst, Scalar, Type};

impl Emit<'_> {
    /// A conversion of a scalar.
    pub(super) fn convert(&mut self, from: Scalar, to: Scalar, reg: Reg) -> Reg {
        if from == to {
            return reg;
        }
        match (from, to) {
            (Scalar::Bool, _) => {
                let one = if to.is_float() { u64::from(1f32.to_bits()) } else { 1 };
                let (one, zero) = (self.constant(to, one), self.constant(to, 0));
                self.choose(reg, one, zero)
            }
            (_, Scalar::Bool) if from.is_float() => {
                let float = self.convert(from, Scalar::F32, reg);
                let truth = self.text.reg(Kind::Predicate);
                ptx!(self.text, "setp.neu.f32 {truth}, {float}, 0f00000000;");
                truth
            }
            (_, Scalar::Bool) => {
                let truth = self.text.reg(Kind::Predicate);
                ptx!(self.text, "setp.ne.{} {truth}, {reg}, 0;", reg.kind.name());
                truth
            }
            (Scalar::F16, Scalar::F32) => self.one("cvt.f32.f16", Kind::Word, reg),
            (Scalar::BF16, Scalar::F32) => {
                let (wide, zero) = (self.text.reg(Kind::Word), self.bits(Kind::Half, 0));
                ptx!(self.text, "mov.b32 {wide}, {{{zero}, {reg}}};");
                wide
            }
            (Scalar::F16 | Scalar::BF16, _) => {
                let wide = self.convert(from, Scalar::F32, reg);
                self.convert(Scalar::F32, to, wide)
            }
            (Scalar::F32, Scalar::F16) => self.one("cvt.rn.f16.f32", Kind::Half, reg),
            (Scalar::F32, Scalar::BF16) => self.round_bfloat(reg),
            (Scalar::F32, _) => self.truncate(to, reg),
            (_, Scalar::F32) => self.one(&format!("cvt.rn.f32.{}", suffix(from)), Kind::Word, reg),
            (_, Scalar::F16) => self.one(&format!("cvt.rn.f16.{}", suffix(from)), Kind::Half, reg),
            (_, Scalar::BF16) => {
                // Rounded to odd, then to nearest.
                let ty = suffix(from);
                let odd = self.one(&format!("cvt.rz.f32.{ty}"), Kind::Word, reg);
                let back = self.one(&format!("cvt.rzi.{ty}.f32"), reg.kind, odd);
                let (cut, set) = (self.text.reg(Kind::Predicate), self.text.reg(Kind::Word));
                ptx!(self.text, "setp.ne.{} {cut}, {back}, {reg};", reg.kind.name());
                ptx!(self.text, "or.b32 {set}, {odd}, 1;");
                let float = self.choose(cut, set, odd);
                self.round_bfloat(float)
            }
            _ => self.resize(from, to, reg),
        }
    }

    /// An instruction of one operand.
    fn one(&mut self, name: &str, kind: Kind, from: Reg) -> Reg {
        let reg = self.text.reg(kind);
        ptx!(self.text, "{name} {reg}, {from};");
        reg
    }

    /// An `f32`, rounded to `bfloat`.
    fn round_bfloat(&mut self, float: Reg) -> Reg {
        if self.options.target >= 80 {
            return self.one("cvt.rn.bf16.f32", Kind::Half, float);
        }
        let (odd, sum, quiet) =
            (self.text.reg(Kind::Word), self.text.reg(Kind::Word), self.text.reg(Kind::Word));
        let nan = self.text.reg(Kind::Predicate);
        ptx!(self.text, "shr.u32 {odd}, {float}, 16;");
        ptx!(self.text, "and.b32 {odd}, {odd}, 1;");
        ptx!(self.text, "add.u32 {sum}, {float}, 0x7fff;");
        ptx!(self.text, "add.u32 {sum}, {sum}, {odd};");
        ptx!(self.text, "or.b32 {quiet}, {float}, 0x400000;");
        ptx!(self.text, "setp.nan.f32 {nan}, {float}, {float};");
        let word = self.choose(nan, quiet, sum);
        let (low, high) = (self.text.reg(Kind::Half), self.text.reg(Kind::Half));
        ptx!(self.text, "mov.b32 {{{low}, {high}}}, {word};");
        high
    }

    /// An `f32`, truncated and saturated to an integer; NaN becomes 0.
    fn truncate(&mut self, to: Scalar, float: Reg) -> Reg {
        let (kind, ty) = (Kind::of(to), suffix(to));
        let whole = self.one(&format!("cvt.rzi.{ty}.f32"), kind, float);
        let (low, high) = match to {
            Scalar::I8 => (-128, 127),
            Scalar::I16 => (-32768, 32767),
            Scalar::U8 => (0, 255),
            Scalar::U16 => (0, 65535),
            _ => {
                let nan = self.text.reg(Kind::Predicate);
                ptx!(self.text, "setp.nan.f32 {nan}, {float}, {float};");
                let zero = self.bits(kind, 0);
                return self.choose(nan, zero, whole);
            }
        };
        let reg = self.text.reg(kind);
        ptx!(self.text, "max.{ty} {reg}, {whole}, {low};");
        ptx!(self.text, "min.{ty} {reg}, {reg}, {high};");
        reg
    }

    /// An integer of another size.
    fn resize(&mut self, from: Scalar, to: Scalar, reg: Reg) -> Reg {
        match (reg.kind, Kind::of(to)) {
            (Kind::Word, Kind::Long) if from.is_signed() => {
                self.one("cvt.s64.s32", Kind::Long, reg)
            }
            (Kind::Word, Kind::Long) => self.one("cvt.u64.u32", Kind::Long, reg),
            (Kind::Long, Kind::Word) => {
                let low = self.one("cvt.u32.u64", Kind::Word, reg);
                self.narrow(to, low)
            }
            _ => self.narrow(to, reg),
        }
    }

    /// The widened form of the low bits of a register.
    pub(super) fn narrow(&mut self, scalar: Scalar, reg: Reg) -> Reg {
        match scalar {
            Scalar::I8 => self.one("cvt.s32.s8", Kind::Word, reg),
            Scalar::I16 => self.one("cvt.s32.s16", Kind::Word, reg),
            Scalar::U8 => self.one("cvt.u32.u8", Kind::Word, reg),
            Scalar::U16 => self.one("cvt.u32.u16", Kind::Word, reg),
            _ => reg,
        }
    }

    /// The bits in memory as another type: taken apart into the pieces of the smaller type, and put together.
    pub(super) fn bitcast(&mut self, inst: &Inst) -> Vec<Reg> {
        let from = self.value(inst.args[0]);
        let scalars = (self.function.ty(inst.args[0]).scalar(), inst.ty.scalar());
        let (Some(source), Some(target)) = scalars else { return from };
        let piece = source.bytes().min(target.bytes());
        let pieces: Vec<Reg> = from
            .into_iter()
            .flat_map(|reg| {
                let bits = self.memory_bits(source, reg);
                self.split(bits, source.bytes(), piece)
            })
            .collect();
        let each = (target.bytes() / piece) as usize;
        pieces
            .chunks(each)
            .map(|chunk| {
                let bits = self.join(chunk, piece);
                self.of_memory_bits(target, bits)
            })
            .collect()
    }

    /// The bits in memory of a scalar, in the low bits of a word or in a long register.
    pub(super) fn memory_bits(&mut self, scalar: Scalar, reg: Reg) -> Reg {
        match scalar {
            Scalar::Bool => self.convert(Scalar::Bool, Scalar::U32, reg),
            Scalar::F16 | Scalar::BF16 => self.one("cvt.u32.u16", Kind::Word, reg),
            Scalar::I8 => self.narrow(Scalar::U8, reg),
            Scalar::I16 => self.narrow(Scalar::U16, reg),
            _ => reg,
        }
    }

    /// A scalar from its bits in memory.
    pub(super) fn of_memory_bits(&mut self, scalar: Scalar, reg: Reg) -> Reg {
        match scalar {
            Scalar::Bool => self.convert(Scalar::U32, Scalar::Bool, reg),
            Scalar::F16 | Scalar::BF16 => self.one("cvt.u16.u32", Kind::Half, reg),
            _ => self.narrow(scalar, reg),
        }
    }

    /// The pieces of a number of `bytes` bytes.
    fn split(&mut self, reg: Reg, bytes: u32, piece: u32) -> Vec<Reg> {
        if bytes == piece {
            return vec![reg];
        }
        if bytes == 8 {
            let (low, high) = (self.text.reg(Kind::Word), self.text.reg(Kind::Word));
            ptx!(self.text, "mov.b64 {{{low}, {high}}}, {reg};");
            return [low, high].into_iter().flat_map(|half| self.split(half, 4, piece)).collect();
        }
        let part = |k: u32| {
            let part = self.text.reg(Kind::Word);
            ptx!(self.text, "bfe.u32 {part}, {reg}, {}, {};", 8 * piece * k, 8 * piece);
            part
        };
        (0..bytes / piece).map(part).collect()
    }

    /// A number of its pieces.
    fn join(&mut self, pieces: &[Reg], piece: u32) -> Reg {
        if let &[one] = pieces {
            return one;
        }
        if pieces.len() as u32 * piece == 8 {
            let (low, high) = pieces.split_at(pieces.len() / 2);
            let (low, high) = (self.join(low, piece), self.join(high, piece));
            let reg = self.text.reg(Kind::Long);
            ptx!(self.text, "mov.b64 {reg}, {{{low}, {high}}};");
            return reg;
        }
        let mut word = pieces[0];
        for (k, part) in pieces.iter().enumerate().skip(1) {
            let (moved, sum) = (self.text.reg(Kind::Word), self.text.reg(Kind::Word));
            ptx!(self.text, "shl.b32 {moved}, {part}, {};", 8 * piece * k as u32);
            ptx!(self.text, "or.b32 {sum}, {word}, {moved};");
            word = sum;
        }
        word
    }

    /// The 32-bit words of a scalar, for exchange between lanes.
    pub(super) fn words_of(&mut self, ty: Type, reg: Reg) -> Vec<Reg> {
        match ty.scalar() {
            None | Some(Scalar::I64 | Scalar::U64) => self.split(reg, 8, 4),
            Some(scalar) => vec![self.memory_bits(scalar, reg)],
        }
    }

    /// A scalar from its 32-bit words.
    pub(super) fn of_words(&mut self, ty: Type, words: &[Reg]) -> Reg {
        let word = self.join(words, 4);
        match ty.scalar() {
            None | Some(Scalar::I64 | Scalar::U64) => word,
            Some(scalar) => self.of_memory_bits(scalar, word),
        }
    }
}

/// The suffix of conversions for an integer in a register.
fn suffix(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::I64 => "s64",
        Scalar::U64 => "u64",
        _ if scalar.is_signed() => "s32",
        _ => "u32",
    }
}
