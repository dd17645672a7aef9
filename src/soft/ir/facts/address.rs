//! Decomposes the address of an access into a base, varying indices, uniform indices and a displacement, so
//! that pointer arithmetic becomes part of the access and needs no instructions of its own.

use crate::soft::ir::facts::uniform::Uniformity;
use crate::soft::ir::{Address, Function, Op, Scalar, Type, Value};

/// The start of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// An allocation of the module.
    Region(u32),
    /// A local in thread memory.
    Local(u32),
    /// A pointer that is computed.
    Pointer(Value),
}

/// A decomposed address.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) base: Base,
    /// Varying indices, each with its scale.
    pub(crate) lanes: Vec<(Value, i64)>,
    /// Uniform indices, likewise.
    pub(crate) uniform: Vec<(Value, i64)>,
    /// Bytes to add.
    pub(crate) displacement: i64,
}

/// The varying part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lanewise {
    /// Nothing.
    None,
    /// One 32-bit index, plus, in 32 bits, a uniform one.
    Index { index: Value, bias: Option<Value>, scale: u32 },
    /// A 64-bit sum, or a pointer.
    Sum,
}

impl Plan {
    /// Decomposes a pointer.
    pub(crate) fn of(function: &Function, uniform: &Uniformity, pointer: Value) -> Self {
        let address = Address::of(function, pointer);
        let start = function.inst(address.base);
        let base = match start.op {
            Op::Allocation => Base::Region(start.imm as u32),
            Op::Local => Base::Local(start.imm as u32),
            _ => Base::Pointer(address.base),
        };
        let is_uniform = |&(index, _): &(Value, i64)| uniform.values[index.index()];
        let (uniform, lanes) = address.terms.into_iter().partition(is_uniform);
        Self { base, lanes, uniform, displacement: address.bytes }
    }

    /// How the lanes' part is computed. A sum of a varying and a uniform index is left to the access.
    pub(crate) fn lanewise(&self, function: &Function, uniform: &Uniformity) -> Lanewise {
        let varying_base =
            matches!(self.base, Base::Pointer(base) if !uniform.values[base.index()]);
        let &[(index, scale)] = &self.lanes[..] else {
            let fixed = self.lanes.is_empty() && !varying_base;
            return if fixed { Lanewise::None } else { Lanewise::Sum };
        };
        let wide = function.ty(index).scalar().is_none_or(|scalar| scalar.bytes() == 8);
        let Ok(scale @ 1..=0x7fff_ffff) = u32::try_from(scale) else { return Lanewise::Sum };
        if wide || varying_base || matches!(self.base, Base::Local(_)) {
            return Lanewise::Sum;
        }
        let inst = function.inst(index);
        let exact = matches!(inst.ty, Type::Scalar(Scalar::U32 | Scalar::I32));
        let room = self.uniform.is_empty() && i32::try_from(self.displacement).is_ok();
        if inst.op == Op::Add && exact && room {
            let (a, b) = (inst.args[0], inst.args[1]);
            match (uniform.values[a.index()], uniform.values[b.index()]) {
                (true, false) => return Lanewise::Index { index: b, bias: Some(a), scale },
                (false, true) => return Lanewise::Index { index: a, bias: Some(b), scale },
                _ => {}
            }
        }
        Lanewise::Index { index, bias: None, scale }
    }

    /// The values that an access by this plan reads.
    pub(crate) fn leaves(&self, function: &Function, uniform: &Uniformity) -> Vec<Value> {
        let mut leaves: Vec<Value> = self.uniform.iter().map(|&(index, _)| index).collect();
        if let Base::Pointer(base) = self.base {
            leaves.push(base);
        }
        match self.lanewise(function, uniform) {
            Lanewise::Index { index, bias: Some(bias), .. } => leaves.extend([index, bias]),
            _ => leaves.extend(self.lanes.iter().map(|&(index, _)| index)),
        }
        leaves
    }
}
