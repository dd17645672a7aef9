//! Decomposes pointer arithmetic into a base, scaled indices and a constant displacement.

use super::{Function, Op, Value};

/// A pointer as a sum: `base + Σ index × scale + bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The pointer that all `Index` and `Field` operations start from.
    pub(crate) base: Value,
    /// Indices that are not constant, each with its scale; the outermost operation first.
    pub(crate) terms: Vec<(Value, i64)>,
    /// Bytes to add.
    pub(crate) bytes: i64,
}

impl Address {
    /// Decomposes a pointer.
    pub(crate) fn of(function: &Function, pointer: Value) -> Self {
        let mut address = Self { base: pointer, terms: Vec::new(), bytes: 0 };
        loop {
            let inst = function.inst(address.base);
            match inst.op {
                Op::Field => address.bytes = address.bytes.wrapping_add(inst.imm as i64),
                Op::Index => {
                    let (index, scale) = (inst.args[1], inst.imm as i64);
                    match function.constant_index(index) {
                        Some(number) => {
                            address.bytes = address.bytes.wrapping_add(number.wrapping_mul(scale));
                        }
                        None => address.terms.push((index, scale)),
                    }
                }
                _ => return address,
            }
            address.base = inst.args[0];
        }
    }
}

impl Function {
    /// The value of an index, if it is constant.
    pub(crate) fn constant_index(&self, index: Value) -> Option<i64> {
        let inst = self.inst(index);
        let narrow =
            inst.ty.scalar().is_some_and(|scalar| scalar.is_signed() && scalar.bytes() < 8);
        let number = if narrow { i64::from(inst.imm as u32 as i32) } else { inst.imm as i64 };
        (inst.op == Op::Const).then_some(number)
    }
}
