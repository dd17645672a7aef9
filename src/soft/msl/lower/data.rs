//! Tables at program scope: encodes initialisers as the bytes that the kernel reads.

use super::Lowering;
use crate::soft::ir::{Scalar, half};
use crate::soft::msl::check::{Global, convert_constant, negate_constant};
use crate::soft::msl::hir::{Constant, Expr, ExprKind};
use crate::soft::msl::types::{Ty, TyId};

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

    /// Writes a value at an offset; `None` when it is not constant.
    fn write(&mut self, bytes: &mut [u8], at: u32, ty: TyId, expr: &Expr) -> Option<()> {
        match (self.types.get(ty).clone(), &expr.kind) {
            (_, ExprKind::Zero) => Some(()),
            (Ty::Array(element, _), ExprKind::Aggregate(parts)) => {
                let size = self.types.size(element);
                parts.iter().enumerate().try_for_each(|(index, part)| {
                    self.write(bytes, at + index as u32 * size, element, part)
                })
            }
            (Ty::Struct(id), ExprKind::Aggregate(parts)) => {
                let class = self.types.class(id).clone();
                parts.iter().zip(class.fields()).try_for_each(|(part, field)| {
                    self.write(bytes, at + field.offset, field.qual.ty, part)
                })
            }
            (Ty::Struct(id), ExprKind::UnionValue(index, value)) => {
                let field = self.types.class(id).fields()[*index as usize].clone();
                self.write(bytes, at, field.qual.ty, value)
            }
            (Ty::Matrix(_, columns, _), ExprKind::Aggregate(parts)) => {
                let column = self.types.column(ty);
                let stride = self.types.size(ty) / u32::from(columns);
                parts.iter().enumerate().try_for_each(|(index, part)| {
                    self.write(bytes, at + index as u32 * stride, column, part)
                })
            }
            // Another table, or part of one.
            (_, ExprKind::Load(place)) if self.types.is_aggregate(ty) => {
                let ExprKind::Global(global) = place.kind else { return None };
                let init = self.special.global(global).init.clone()?;
                self.write(bytes, at, ty, &init)
            }
            _ => {
                let (scalar, _) =
                    self.types.arithmetic(ty).or_else(|| match self.types.get(ty) {
                        Ty::Enum(id) => Some((self.types.enumeration(*id).underlying, 1)),
                        Ty::Atomic(scalar) => Some((*scalar, 1)),
                        _ => None,
                    })?;
                let values = self.components(expr)?;
                for (index, value) in values.into_iter().enumerate() {
                    let offset = (at + index as u32 * scalar.bytes()) as usize;
                    let end = offset + scalar.bytes() as usize;
                    let raw = bits(value, scalar).to_le_bytes();
                    bytes.get_mut(offset..end)?.copy_from_slice(&raw[..scalar.bytes() as usize]);
                }
                Some(())
            }
        }
    }

    /// The components of a scalar or vector value.
    fn components(&mut self, expr: &Expr) -> Option<Vec<Constant>> {
        let (scalar, width) = self.types.arithmetic(expr.qual.ty).unwrap_or((Scalar::I32, 1));
        match &expr.kind {
            _ if width == 1 => self.special.evaluate(expr).map(|value| vec![value]),
            ExprKind::Zero => {
                let zero = if scalar.is_float() { Constant::Float(0.0) } else { Constant::Int(0) };
                Some(vec![zero; width as usize])
            }
            ExprKind::Splat(inner) => {
                let value = self.components(inner)?;
                Some(vec![*value.first()?; width as usize])
            }
            ExprKind::Compose(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(self.components(part)?);
                }
                Some(all)
            }
            ExprKind::Convert(inner) => {
                let (from, _) = self.types.arithmetic(inner.qual.ty)?;
                let values = self.components(inner)?;
                Some(values.into_iter().map(|v| convert_constant(v, from, scalar)).collect())
            }
            ExprKind::Load(place) => {
                let ExprKind::Global(global) = place.kind else { return None };
                let init = self.special.global(global).init.clone()?;
                self.components(&init)
            }
            ExprKind::Conditional(condition, yes, no) => {
                let taken = self.special.evaluate(condition)? != Constant::Int(0);
                self.components(if taken { yes } else { no })
            }
            ExprKind::Negate(inner) => {
                let values = self.components(inner)?;
                Some(values.into_iter().map(|v| negate_constant(v, scalar)).collect())
            }
            _ => None,
        }
    }
}

/// The bits of a constant as stored in memory.
fn bits(value: Constant, scalar: Scalar) -> u64 {
    match value {
        Constant::Int(value) => value,
        Constant::Float(value) => match scalar {
            Scalar::F16 => u64::from(half::f16_bits(value as f32)),
            Scalar::BF16 => u64::from((value as f32).to_bits() >> 16),
            _ => u64::from((value as f32).to_bits()),
        },
    }
}
