//! Places: the register or memory of an lvalue, its loads and stores.

use super::{Body, Slot};
use crate::soft::ir::{Op, Probe, Scalar, Space, Type, Value, VarId};
use crate::soft::msl::ast::AddressSpace;
use crate::soft::msl::hir::{Constant, Expr, ExprKind, GlobalIndex, Uses};
use crate::soft::msl::types::{Bits, Ty, TyId};
use std::sync::Arc;

/// The location of an lvalue.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Register(VarId),
    Memory(Value),
    /// A value that is used as an lvalue: read, never written.
    Value(Value),
    /// Components of a vector.
    Components(Box<Place>, Vec<u8>, Type),
    /// One component of a vector, by an index at run time.
    Component(Box<Place>, Value, Type),
    /// A bit-field in the unit at an address, which has this type.
    Bits(Value, Scalar, Bits),
}

impl Body<'_, '_> {
    pub(super) fn place(&mut self, expr: &Expr) -> Place {
        self.at(expr.span);
        match &expr.kind {
            ExprKind::Local(local) => {
                self.use_unions(*local);
                match self.slots[local.0 as usize] {
                    Slot::Register(variable) => Place::Register(variable),
                    Slot::Memory(pointer) => Place::Memory(pointer),
                    Slot::Fixed(value) => Place::Value(value),
                    // A switch jumped over the declaration: its value is unspecified.
                    Slot::Unset => {
                        let row = self.function.locals[local.0 as usize].clone();
                        let slot = self.new_slot(&row);
                        self.slots[local.0 as usize] = slot;
                        match slot {
                            Slot::Register(variable) => Place::Register(variable),
                            Slot::Memory(pointer) | Slot::Fixed(pointer) => Place::Memory(pointer),
                            Slot::Unset => Place::Value(self.b.i32(0)),
                        }
                    }
                }
            }
            ExprKind::Global(global) => match self.constant_global(*global, expr.qual.ty) {
                Some(value) => Place::Value(value),
                None => Place::Memory(self.global_memory(*global)),
            },
            ExprKind::Deref(pointer) => {
                let pointer = self.value(pointer);
                self.check_alignment(pointer, expr.qual.ty);
                Place::Memory(pointer)
            }
            ExprKind::Field(base, index) => {
                let pointer = self.address(base);
                self.field_place(pointer, base.qual.ty, *index)
            }
            ExprKind::Element(base, index) => self.element(base, index),
            ExprKind::Swizzle(base, picks) => {
                let whole = self.ty(base.qual.ty);
                match self.place_or_value(base) {
                    Place::Memory(pointer) if picks.len() == 1 => {
                        let bytes = whole.scalar().map_or(1, Scalar::bytes);
                        Place::Memory(self.b.field(pointer, i64::from(u32::from(picks[0]) * bytes)))
                    }
                    // A swizzle of a swizzle: compose the two.
                    Place::Components(inner, before, ty) => {
                        let picks = picks.iter().map(|&pick| before[usize::from(pick)]).collect();
                        Place::Components(inner, picks, ty)
                    }
                    inner => Place::Components(Box::new(inner), picks.clone(), whole),
                }
            }
            ExprKind::ThreadElements(matrix) => self.place_or_value(matrix),
            ExprKind::Temporary(value) => {
                let size = self.size(value.qual.ty).max(1);
                let pointer = self.b.local("", size);
                self.put(pointer, value);
                Place::Memory(pointer)
            }
            ExprKind::Assign(left, right) => {
                if self.is_aggregate(left.qual.ty) {
                    return self.assign_aggregate(left, right);
                }
                // [expr.ass]/1: the right side is computed before the assignment.
                let value = self.value(right);
                self.write_member(left);
                let place = self.place(left);
                self.store_value(&place, value, left.qual.ty);
                place
            }
            ExprKind::Compound { op, left, right, .. } if self.is_aggregate(left.qual.ty) => {
                // A matrix: compute the whole result, then copy it over the old value.
                let value = |kind| Expr { kind, place: false, ..expr.clone() };
                let old = value(ExprKind::Load(left.clone()));
                let sum = value(ExprKind::Binary(*op, Box::new(old), right.clone()));
                self.assign_aggregate(left, &sum)
            }
            ExprKind::Compound { op, left, right, common } => {
                let right = self.value(right);
                self.change_member(left);
                let place = self.place(left);
                let new = self.compound(*op, &place, left.qual.ty, right, *common);
                self.store_value(&place, new, left.qual.ty);
                place
            }
            ExprKind::Comma(first, last) => {
                self.effect(first);
                self.place(last)
            }
            ExprKind::Conditional(condition, yes, no) => {
                // Both sides are in memory: the checker ensures it.
                let ty = {
                    let space = super::space(expr.qual.space_or_thread());
                    Type::Pointer(space)
                };
                let pointer = self.b.variable("", ty);
                let condition = self.value(condition);
                self.b.begin_if(condition);
                let value = self.address(yes);
                self.b.set(pointer, value);
                self.b.begin_else();
                let value = self.address(no);
                self.b.set(pointer, value);
                self.b.end_if();
                Place::Memory(self.b.get(pointer))
            }
            _ => {
                let value = self.value(expr);
                if self.is_aggregate(expr.qual.ty) {
                    Place::Memory(value)
                } else {
                    Place::Value(value)
                }
            }
        }
    }

    /// In a kernel with checks: observes a pointer that is dereferenced as a type.
    fn check_alignment(&mut self, pointer: Value, ty: TyId) {
        let align = self.module.types.layout(ty).map_or(1, |layout| layout.1);
        let space = self.b.ty(pointer).space();
        if self.module.special.checks.any() && align > 1 && space != Some(Space::Thread) {
            let none = self.b.int(Scalar::U64, 0);
            let probe = Probe::Aligned { bytes: align };
            self.b.emit(Op::Probe, Type::Void, &[pointer, none], probe.imm());
        }
    }

    fn place_or_value(&mut self, expr: &Expr) -> Place {
        if expr.place {
            return self.place(expr);
        }
        let value = self.value(expr);
        if self.is_aggregate(expr.qual.ty) { Place::Memory(value) } else { Place::Value(value) }
    }

    /// The address of an lvalue.
    pub(super) fn address(&mut self, expr: &Expr) -> Value {
        // A reference to a constant needs memory, even if the value is known.
        if let ExprKind::Global(global) = expr.kind {
            self.at(expr.span);
            return self.global_memory(global);
        }
        match self.place_or_value(expr) {
            Place::Memory(pointer) => pointer,
            other => {
                // The address of a register: that of a copy, which is only read.
                let ty = self.ty(expr.qual.ty);
                let value = self.load(&other, ty);
                let pointer = self.b.local("", ty.bytes().max(1));
                self.b.store(pointer, value);
                pointer
            }
        }
    }

    fn global_memory(&mut self, global: GlobalIndex) -> Value {
        if let Some(copy) = self.addresses(global) {
            return copy;
        }
        let qual = self.module.special.global(global).qual;
        let id = self.module.global(global);
        self.b.allocation(id, super::space(qual.space_or_thread()))
    }

    /// A variable at program scope that contains addresses, as of strings. They are known when the kernel runs, so each use makes
    /// the variable in the thread's memory.
    fn addresses(&mut self, global: GlobalIndex) -> Option<Value> {
        let (ty, init) = self.with_addresses(global)?;
        let pointer = self.b.local("", self.size(ty).max(1));
        self.put(pointer, &init);
        Some(pointer)
    }

    /// The type and the initialiser of such a variable.
    fn with_addresses(&self, global: GlobalIndex) -> Option<(TyId, Arc<Expr>)> {
        let row = self.module.special.global(global);
        let constant = row.qual.space == Some(AddressSpace::Constant);
        if !constant || !self.module.has_addresses(row.qual.ty) {
            return None;
        }
        let init = row.init.clone()?;
        Uses::of_expr(&init).globals.iter().next().is_some().then_some((row.qual.ty, init))
    }

    /// Whether an lvalue is such a variable, or a part of one.
    pub(super) fn is_of_addresses(&self, place: &Expr) -> bool {
        match &place.kind {
            ExprKind::Global(global) => self.with_addresses(*global).is_some(),
            ExprKind::Field(whole, _) | ExprKind::Element(whole, _) => self.is_of_addresses(whole),
            _ => false,
        }
    }

    pub(super) fn field_offset(&self, ty: TyId, index: u32) -> u32 {
        let types = self.module.types;
        types.structure(ty).map_or(0, |(_, row)| row.fields()[index as usize].offset)
    }

    /// A member of the object at an address.
    pub(super) fn field_place(&mut self, pointer: Value, ty: TyId, index: u32) -> Place {
        let offset = self.field_offset(ty, index);
        let pointer = self.b.field(pointer, i64::from(offset));
        let field =
            self.module.types.structure(ty).and_then(|(_, row)| row.fields().get(index as usize));
        let Some((ty, bits)) = field.and_then(|field| Some((field.qual.ty, field.bits?))) else {
            return Place::Memory(pointer);
        };
        // A `bool` is a byte in memory.
        let scalar = match self.ty(ty).scalar() {
            Some(Scalar::Bool) | None => Scalar::U8,
            Some(scalar) => scalar,
        };
        Place::Bits(pointer, scalar, bits)
    }

    fn element(&mut self, base: &Expr, index: &Expr) -> Place {
        let types = self.module.types;
        let (element, vector) = match *types.get(base.qual.ty) {
            Ty::Array(element, _) => (types.size(element), false),
            Ty::Matrix(scalar, _, rows) => {
                (scalar.bytes() * if rows == 3 { 4 } else { u32::from(rows) }, false)
            }
            Ty::Vector(scalar, _) | Ty::Packed(scalar, _) => (scalar.bytes(), true),
            _ => (1, false),
        };
        if let (true, ExprKind::Constant(Constant::Int(pick))) = (vector, &index.kind) {
            let ty = self.ty(base.qual.ty);
            let pick = (*pick & 3).min(u64::from(ty.width() - 1)) as u8;
            return match self.place_or_value(base) {
                Place::Memory(pointer) => {
                    Place::Memory(self.b.field(pointer, i64::from(u32::from(pick) * element)))
                }
                other => Place::Components(Box::new(other), vec![pick], ty),
            };
        }
        let place = self.place_or_value(base);
        let at = self.value(index);
        match place {
            Place::Memory(pointer) => Place::Memory(self.b.index(pointer, at, i64::from(element))),
            other => {
                let ty = self.ty(base.qual.ty);
                Place::Component(Box::new(other), at, ty)
            }
        }
    }

    pub(super) fn load(&mut self, place: &Place, ty: Type) -> Value {
        match place {
            Place::Register(variable) => self.b.get(*variable),
            Place::Memory(pointer) => self.b.load(*pointer, ty),
            Place::Value(value) => *value,
            Place::Bits(pointer, scalar, bits) => {
                let unit = self.b.load(*pointer, Type::Scalar(*scalar));
                // To the top and down again, which extends the sign of a signed one.
                let size = scalar.bytes() * 8;
                let up = self.b.int(*scalar, i64::from(size - bits.shift - bits.width));
                let down = self.b.int(*scalar, i64::from(size - bits.width));
                let value = self.b.op(Op::Shl, &[unit, up]);
                let value = self.b.op(Op::Shr, &[value, down]);
                self.b.convert(value, ty)
            }
            Place::Components(inner, picks, whole) => {
                let vector = self.load(inner, *whole);
                let picks: Vec<u32> = picks.iter().map(|&pick| u32::from(pick)).collect();
                match picks[..] {
                    [one] => self.b.extract(vector, one),
                    _ => self.b.swizzle(vector, &picks),
                }
            }
            Place::Component(inner, index, whole) => {
                let vector = self.load(inner, *whole);
                self.b.op(Op::ExtractAt, &[vector, *index])
            }
        }
    }

    pub(super) fn store(&mut self, place: &Place, value: Value) {
        match place {
            Place::Register(variable) => self.b.set(*variable, value),
            Place::Memory(pointer) => self.b.store(*pointer, value),
            Place::Value(_) => self.error("this lvalue cannot be written"),
            Place::Bits(pointer, scalar, bits) => {
                let ty = Type::Scalar(*scalar);
                let unit = self.b.load(*pointer, ty);
                let mask = u64::MAX >> (64 - bits.width) << bits.shift;
                let (mask, rest) =
                    (self.b.int(*scalar, mask as i64), self.b.int(*scalar, !mask as i64));
                let shift = self.b.int(*scalar, i64::from(bits.shift));
                let value = self.b.convert(value, ty);
                let value = self.b.op(Op::Shl, &[value, shift]);
                let value = self.b.op(Op::And, &[value, mask]);
                let kept = self.b.op(Op::And, &[unit, rest]);
                let unit = self.b.op(Op::Or, &[kept, value]);
                self.b.store(*pointer, unit);
            }
            Place::Components(inner, picks, whole) => {
                let parts: Vec<Value> = match picks.len() {
                    1 => vec![value],
                    count => (0..count as u32).map(|at| self.b.extract(value, at)).collect(),
                };
                if let Place::Memory(pointer) = **inner {
                    // Store only the named components: another thread may write the others.
                    let bytes = whole.scalar().map_or(1, Scalar::bytes);
                    for (&pick, part) in picks.iter().zip(parts) {
                        let at = self.b.field(pointer, i64::from(u32::from(pick) * bytes));
                        self.b.store(at, part);
                    }
                    return;
                }
                let mut vector = self.load(inner, *whole);
                for (&pick, part) in picks.iter().zip(parts) {
                    vector = self.b.insert(vector, part, u32::from(pick));
                }
                self.store(inner, vector);
            }
            Place::Component(inner, index, whole) => {
                let vector = self.load(inner, *whole);
                let vector = self.b.op(Op::InsertAt, &[vector, value, *index]);
                self.store(inner, vector);
            }
        }
    }
}
