//! Tables at program scope: encodes initialisers as the bytes that the kernel reads.

use super::Lowering;
use crate::soft::msl::check::evaluate::Item;
use crate::soft::msl::check::{Global, constant_bits};
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::types::{Ty, TyId, Types};

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
            let message =
                format!("the initializer of '{}' is not a constant expression", global.name);
            self.diagnostics.error(global.span, message);
        }
        bytes
    }

    /// Writes a value at an offset; `None` when it is not constant. What a list spells is written part by part, since
    /// tables may be long.
    fn write(&mut self, bytes: &mut [u8], at: u32, ty: TyId, expr: &Expr) -> Option<()> {
        match (self.types.get(ty).clone(), &expr.kind) {
            (_, ExprKind::Zero) => Some(()),
            (Ty::Struct(_) | Ty::Array(..) | Ty::Matrix(..), ExprKind::Aggregate(parts)) => {
                parts.iter().enumerate().try_for_each(|(index, part)| {
                    let (offset, ty) = self.part_of(ty, index as u32)?;
                    self.write(bytes, at + offset, ty, part)
                })
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
            Item::Address(_) => None,
            Item::Parts(parts) => parts.iter().enumerate().try_for_each(|(index, part)| {
                let (offset, ty) = self.part_of(ty, index as u32)?;
                self.write_item(bytes, at + offset, ty, part)
            }),
            Item::Member(member, value) => {
                let (offset, ty) = self.part_of(ty, *member)?;
                self.write_item(bytes, at + offset, ty, value)
            }
            Item::Scalar(value) => {
                let scalar = match self.types.get(ty) {
                    Ty::Enum(id) => self.types.enumeration(*id).underlying,
                    Ty::Atomic(scalar) => *scalar,
                    _ => self.types.arithmetic(ty)?.0,
                };
                let size = scalar.bytes() as usize;
                let raw = constant_bits(*value, scalar).to_le_bytes();
                bytes.get_mut(at as usize..at as usize + size)?.copy_from_slice(&raw[..size]);
                Some(())
            }
        }
    }

    /// The offset and the type of a member, element, column or component.
    fn part_of(&self, ty: TyId, index: u32) -> Option<(u32, TyId)> {
        let element = match *self.types.get(ty) {
            Ty::Struct(id) => {
                let field = self.types.class(id).fields().get(index as usize)?;
                return Some((field.offset, field.qual.ty));
            }
            Ty::Array(element, _) => element,
            Ty::Matrix(..) => self.types.column(ty),
            _ => Types::scalar(self.types.arithmetic(ty)?.0),
        };
        Some((index.checked_mul(self.types.size(element))?, element))
    }
}
