//! Operations on textures, and pointers and textures that memory has: routines of the library do them, given the tables of
//! the launch.

use super::super::tables::{DESCRIPTION, HAS_WORDS};
use super::super::text::{Kind, Reg, ptx};
use super::{Emit, SiteKind, layout};
use crate::soft::ir::{Function, Inst, Op, Routine, Scalar, TextureAtomic, Type};
use crate::soft::sorted;

/// The kinds of textures that a function expects in memory, in the order of their numbers.
pub(crate) fn expected(function: &Function) -> Vec<u64> {
    let of =
        |inst: &Inst| (inst.op == Op::FromMemory && inst.ty.space().is_none()).then_some(inst.imm);
    let mut all: Vec<u64> = function.insts.iter().filter_map(of).collect();
    sorted::sort(&mut all);
    all.dedup();
    all
}

/// Whether a function uses a texture, even if only the null texture: it then reads the table of textures.
pub(crate) fn uses_textures(function: &Function) -> bool {
    function.insts.iter().any(|inst| Routine::of(inst.op).is_some())
}

impl Emit<'_> {
    /// The sampler that the host bound to a parameter.
    pub(super) fn bound_sampler(&mut self, number: u64) -> Reg {
        self.text.early(|text| {
            let reg = text.reg(Kind::Long);
            ptx!(text, "ld.param.u64 {reg}, [args+{}];", layout::SAMPLERS);
            ptx!(text, "ld.global.u64 {reg}, [{reg}+{}];", 8 * number);
            reg
        })
    }

    /// A field of the parameter.
    pub(super) fn given(&mut self, field: usize, kind: Kind) -> Reg {
        self.text.early(|text| {
            let reg = text.reg(kind);
            ptx!(text, "ld.param.{} {reg}, [args+{field}];", kind.name());
            reg
        })
    }

    /// A pointer or texture in its other form.
    pub(super) fn form(&mut self, inst: &Inst) -> Reg {
        let bits = self.operand(inst.args[0])[0];
        if self.is_routine {
            return bits;
        }
        let tables = self.given(layout::ADDRESSES, Kind::Long);
        let (routine, args) = match (inst.op, inst.ty.space()) {
            (Op::FromMemory, Some(_)) => (Routine::PointerFromMemory, vec![tables, bits]),
            (Op::FromMemory, None) => {
                let kinds = expected(self.function);
                let kind = kinds.binary_search(&inst.imm).unwrap_or_default() as u64;
                let kind = self.bits(Kind::Long, kind);
                let wanted = self.bits(Kind::Long, inst.imm);
                (Routine::TextureFromMemory, vec![tables, bits, kind, wanted])
            }
            (_, Some(_)) => (Routine::PointerToMemory, vec![tables, bits]),
            (_, None) => (Routine::TextureToMemory, vec![tables, bits]),
        };
        self.call(routine, &args, Type::U64)[0]
    }

    /// An operation on a texture.
    pub(super) fn texture(&mut self, routine: Routine, inst: &Inst) -> Vec<Reg> {
        let number = self.scalar(inst.args[0]);
        let (table, count) = (
            self.given(layout::TEXTURES, Kind::Long),
            self.given(layout::TEXTURE_COUNT, Kind::Long),
        );
        let (at, wrong) = (self.text.reg(Kind::Long), self.text.reg(Kind::Predicate));
        if routine == Routine::TextureSize {
            // After the last is the description of a texture that does not exist: without pixels, but not null.
            let (last, held) = (self.text.reg(Kind::Long), self.text.reg(Kind::Long));
            ptx!(self.text, "add.u64 {last}, {count}, 1;");
            ptx!(self.text, "min.u64 {held}, {number}, {last};");
            ptx!(self.text, "mad.lo.u64 {at}, {held}, {DESCRIPTION}, {table};");
        } else {
            let exit = self.exit(inst.span, SiteKind::Texture, number);
            ptx!(self.text, "setp.gt.u64 {wrong}, {number}, {count};");
            ptx!(self.text, "@{wrong} bra {exit};");
            ptx!(self.text, "mad.lo.u64 {at}, {number}, {DESCRIPTION}, {table};");
        }
        let samples = matches!(
            routine,
            Routine::TextureSample
                | Routine::TextureCompare
                | Routine::TextureGather
                | Routine::TextureGatherCompare
        );
        if samples {
            let sampler = self.scalar(inst.args[1]);
            let exit = self.exit(inst.span, SiteKind::Sampler, sampler);
            ptx!(self.text, "setp.ge.s64 {wrong}, {sampler}, 0;");
            ptx!(self.text, "@{wrong} bra {exit};");
        }
        let operands = match routine {
            Routine::TextureAddress => &inst.args[1..2],
            _ => &inst.args[1..],
        };
        let mut args = vec![at];
        for &operand in operands {
            args.extend(self.value(operand));
        }
        if matches!(routine, Routine::TextureGather | Routine::TextureSize) {
            args.push(self.bits(Kind::Word, inst.imm));
        }
        if routine != Routine::TextureAddress {
            return self.call(routine, &args, inst.ty);
        }
        let exit = self.exit(inst.span, SiteKind::Format, number);
        let words = self.text.reg(Kind::Word);
        ptx!(self.text, "ld.global.u32 {words}, [{at}+{HAS_WORDS}];");
        ptx!(self.text, "setp.eq.u32 {wrong}, {words}, 0;");
        ptx!(self.text, "@{wrong} bra {exit};");
        let address = self.call(routine, &args, Type::U64)[0];
        let (operand, wanted) = (self.scalar(inst.args[2]), self.scalar(inst.args[3]));
        let function = TextureAtomic::ALL[inst.imm as usize % TextureAtomic::ALL.len()];
        vec![self.change(address, function, operand, wanted)]
    }

    /// Atomically modifies the integer at an address; returns the old value, or 0 for a null address.
    fn change(&mut self, address: Reg, function: TextureAtomic, operand: Reg, wanted: Reg) -> Reg {
        let (old, outside) = (self.reg(Scalar::U32), self.text.reg(Kind::Predicate));
        let name = match function {
            TextureAtomic::Add => "add.u32",
            TextureAtomic::And => "and.b32",
            TextureAtomic::Or => "or.b32",
            TextureAtomic::Xor => "xor.b32",
            TextureAtomic::Exchange => "exch.b32",
            TextureAtomic::Min => "min.s32",
            TextureAtomic::Max => "max.s32",
            TextureAtomic::UnsignedMin => "min.u32",
            TextureAtomic::UnsignedMax => "max.u32",
            TextureAtomic::CompareExchange => "cas.b32",
        };
        let operands = match function {
            TextureAtomic::CompareExchange => format!("{wanted}, {operand}"),
            _ => operand.to_string(),
        };
        ptx!(self.text, "mov.b32 {old}, 0;");
        ptx!(self.text, "setp.eq.u64 {outside}, {address}, 0;");
        ptx!(
            self.text,
            "@!{outside} atom.relaxed.gpu.global.{name} {old}, [{address}], {operands};"
        );
        old
    }
}
