//! Tables at program scope: encodes initialisers as the bytes that the kernel reads.

use super::Lowering;
use crate::soft::msl::ast::AddressSpace;
use crate::soft::msl::check::evaluate::Item;
use crate::soft::msl::check::{Global, constant_bits};
use crate::soft::msl::hir::{Expr, ExprKind, Uses};
use crate::soft::msl::types::{Bits, Ty, TyId, Types, atomic_storage};

impl Lowering<'_> {
    /// The bytes of a `constant` variable.
    pub(super) fn table(&mut self, global: &Global, size: u32) -> Vec<u8> {
        let mut bytes = vec![0; size as usize];
        let known = global.known_value().map(|value| Expr {
            kind: ExprKind::Constant(value),
            qual: global.qual,
            place: false,
            span: global.span,
        });
        if let Some(init) = known.as_ref().or(global.init.as_deref())
            && self.write(&mut bytes, 0, global.qual.ty, init).is_none()
        {
            let missing = global.init.as_deref().and_then(|init| self.without_value(init, 0));
            let message = match missing {
                Some(name) => format!("function constant '{name}' is needed and has no value"),
                None => {
                    format!("the initializer of '{}' is not a constant expression", global.name)
                }
            };
            self.diagnostics.error(global.span, message);
        }
        bytes
    }

    /// The function constant without a value that an initialiser needs, also through other variables.
    fn without_value(&self, init: &Expr, depth: u32) -> Option<String> {
        let globals = Uses::of_expr(init).globals;
        globals.iter().filter(|_| depth < 64).find_map(|&index| {
            let global = self.special.global(index);
            match &global.init {
                _ if global.lacks_value() => Some(global.name.clone()),
                Some(init) => self.without_value(init, depth + 1),
                None => None,
            }
        })
    }

    /// Whether a variable of the type contains addresses.
    pub(super) fn has_addresses(&self, ty: TyId) -> bool {
        match *self.types.get(ty) {
            Ty::Pointer(to) => to.space == Some(AddressSpace::Constant),
            Ty::Array(element, _) => self.has_addresses(element),
            Ty::Struct(id) => {
                let fields = self.types.class(id).fields();
                fields.iter().any(|field| self.has_addresses(field.qual.ty))
            }
            _ => false,
        }
    }

    /// Writes a value at an offset; `None` when it is not constant. What a list spells is written part by part, since
    /// tables may be long.
    fn write(&mut self, bytes: &mut [u8], at: u32, ty: TyId, expr: &Expr) -> Option<()> {
        match (self.types.get(ty).clone(), &expr.kind) {
            (_, ExprKind::Zero) => Some(()),
            (Ty::Struct(_) | Ty::Array(..) | Ty::Matrix(..), ExprKind::Aggregate(parts)) => {
                parts.iter().enumerate().try_for_each(|(index, part)| {
                    let (offset, inner, cut) = self.part_of(ty, index as u32)?;
                    if cut.is_some() {
                        let item = self.special.evaluate_item(part)?;
                        return self.write_scalar(bytes, at + offset, (inner, cut), &item);
                    }
                    self.write(bytes, at + offset, inner, part)
                })
            }
            (Ty::Array(element, Some(count)), ExprKind::Filled(parts, others)) => {
                let size = self.types.size(element);
                let place = |index: u32| at + index * size;
                for (index, part) in (0..).zip(parts) {
                    self.write(bytes, place(index), element, part)?;
                }
                let first = place(parts.len() as u32) as usize;
                self.write(bytes, first as u32, element, others)?;
                for index in parts.len() as u32 + 1..count {
                    bytes.copy_within(first..first + size as usize, place(index) as usize);
                }
                Some(())
            }
            // Another table.
            (_, ExprKind::Load(place)) if self.types.is_aggregate(ty) => {
                let ExprKind::Global(global) = place.kind else {
                    let item = self.special.evaluate_item(expr)?;
                    return self.write_item(bytes, at, ty, &item);
                };
                let init = self.special.global(global).init.clone()?;
                self.write(bytes, at, ty, &init)
            }
            _ => {
                let item = self.special.evaluate_item(expr)?;
                self.write_item(bytes, at, ty, &item)
            }
        }
    }

    fn write_item(&self, bytes: &mut [u8], at: u32, ty: TyId, item: &Item) -> Option<()> {
        match item {
            Item::Zero => Some(()),
            // A class without data has no bytes.
            Item::Nothing => {
                self.types.structure(ty).filter(|(_, row)| row.fields().is_empty()).map(drop)
            }
            Item::Address(_) | Item::Function(_) => None,
            Item::Parts(parts) => parts.iter().enumerate().try_for_each(|(index, part)| {
                let (offset, inner, cut) = self.part_of(ty, index as u32)?;
                match cut {
                    Some(_) => self.write_scalar(bytes, at + offset, (inner, cut), part),
                    None => self.write_item(bytes, at + offset, inner, part),
                }
            }),
            Item::Member(member, value) => {
                let (offset, inner, cut) = self.part_of(ty, *member)?;
                match cut {
                    Some(_) => self.write_scalar(bytes, at + offset, (inner, cut), value),
                    None => self.write_item(bytes, at + offset, inner, value),
                }
            }
            Item::Scalar(_) => self.write_scalar(bytes, at, (ty, None), item),
        }
    }

    /// Writes a number; of a bit-field only its bits.
    fn write_scalar(
        &self,
        bytes: &mut [u8],
        at: u32,
        (ty, cut): (TyId, Option<Bits>),
        item: &Item,
    ) -> Option<()> {
        let value = match item {
            Item::Scalar(value) => *value,
            Item::Zero => return Some(()),
            _ => return None,
        };
        let scalar = match self.types.get(ty) {
            Ty::Enum(id) => self.types.enumeration(*id).underlying,
            Ty::Atomic(scalar) => atomic_storage(*scalar),
            _ => self.types.arithmetic(ty)?.0,
        };
        let size = scalar.bytes() as usize;
        let mut raw = constant_bits(value, scalar);
        let target = bytes.get_mut(at as usize..at as usize + size)?;
        if let Some(Bits { shift, width }) = cut {
            let mut unit = [0; 8];
            unit[..size].copy_from_slice(target);
            let mask = u64::MAX >> (64 - width) << shift;
            raw = u64::from_le_bytes(unit) & !mask | raw << shift & mask;
        }
        target.copy_from_slice(&raw.to_le_bytes()[..size]);
        Some(())
    }

    /// The offset and the type of a member, element, column or component, and the bits of a bit-field.
    fn part_of(&self, ty: TyId, index: u32) -> Option<(u32, TyId, Option<Bits>)> {
        let element = match *self.types.get(ty) {
            Ty::Struct(id) => {
                let field = self.types.class(id).fields().get(index as usize)?;
                return Some((field.offset, field.qual.ty, field.bits));
            }
            Ty::Array(element, _) => element,
            Ty::Matrix(..) => self.types.column(ty),
            _ => Types::scalar(self.types.arithmetic(ty)?.0),
        };
        Some((index.checked_mul(self.types.size(element))?, element, None))
    }
}
