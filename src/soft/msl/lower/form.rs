//! The two forms of pointers and textures (`specs/arguments.md`): converted where they are loaded, stored and copied.

use super::Body;
use super::aggregate::UNROLLED;
use super::place::Place;
use crate::soft::ir::{Checks, Op, Space, Type, Value};
use crate::soft::msl::check::layout::is_address;
use crate::soft::msl::types::{Ty, TyId, Types};

/// Whether an object of a type has two forms, or members that have.
fn has_forms(types: &Types, ty: TyId) -> bool {
    match *types.get(ty) {
        Ty::Texture(_) => true,
        Ty::Pointer(_) | Ty::Reference(..) => is_address(types, ty).is_some(),
        Ty::Array(element, _) => has_forms(types, element),
        Ty::Struct(id) => {
            let class = types.class(id);
            !class.union && class.fields().iter().any(|field| has_forms(types, field.qual.ty))
        }
        _ => false,
    }
}

impl Body<'_, '_> {
    /// Whether an address is in memory that has the form of addresses and IDs.
    fn is_shared(&self, pointer: Value) -> bool {
        matches!(self.b.ty(pointer).space(), Some(Space::Device | Space::Constant))
    }

    /// Converts a value of a type that was loaded, or is to be stored.
    fn convert_form(&mut self, op: Op, value: Value, ty: TyId) -> Value {
        let types = self.module.types;
        let expected = match *types.get(ty) {
            Ty::Texture(texture) => texture.expected().imm(),
            _ if has_forms(types, ty) => 0,
            _ => return value,
        };
        let imm = if op == Op::FromMemory { expected } else { 0 };
        let own = self.b.ty(value);
        self.b.emit(op, own, &[value], imm)
    }

    /// Loads a value that is no aggregate.
    pub(super) fn load_value(&mut self, place: &Place, ty: TyId) -> Value {
        let own = self.ty(ty);
        let value = self.load(place, own);
        match place {
            Place::Memory(pointer) if self.is_shared(*pointer) => {
                self.convert_form(Op::FromMemory, value, ty)
            }
            _ => value,
        }
    }

    /// Stores a value that is no aggregate.
    pub(super) fn store_value(&mut self, place: &Place, value: Value, ty: TyId) {
        let value = match place {
            Place::Memory(pointer) if self.is_shared(*pointer) => {
                self.convert_form(Op::ToMemory, value, ty)
            }
            _ => value,
        };
        self.store(place, value);
    }

    /// A pointer as an integer: an address, if it is to shared memory.
    pub(super) fn pointer_bits(&mut self, pointer: Value) -> Value {
        let ty = self.b.ty(pointer);
        let pointer = match self.is_shared(pointer) {
            true => self.b.emit(Op::ToMemory, ty, &[pointer], 0),
            false => pointer,
        };
        self.b.emit(Op::PointerToInt, Type::U64, &[pointer], 0)
    }

    /// A pointer from an integer.
    pub(super) fn pointer_of_bits(&mut self, bits: Value, ty: Type) -> Value {
        let pointer = self.b.emit(Op::IntToPointer, ty, &[bits], 0);
        match self.is_shared(pointer) {
            true => self.b.emit(Op::FromMemory, ty, &[pointer], 0),
            false => pointer,
        }
    }

    /// Whether an object is copied by members: where checks follow which bytes are initialised into memory that threads share,
    /// or from there, in which padding is never written.
    fn is_by_members(&self, to: Value, from: Value) -> bool {
        let is_shared = |pointer| self.b.ty(pointer).space() != Some(Space::Thread);
        self.module.special.checks.has(Checks::INIT) && (is_shared(to) || is_shared(from))
    }

    /// Copies an object.
    pub(super) fn copy_object(&mut self, to: Value, from: Value, ty: TyId) {
        let types = self.module.types;
        let by_forms = self.is_shared(to) != self.is_shared(from) && has_forms(types, ty);
        if !by_forms && !self.is_by_members(to, from) {
            return self.b.copy(to, from, types.size(ty));
        }
        match *types.get(ty) {
            Ty::Struct(id) if !types.class(id).union => {
                let class = types.class(id).clone();
                let mut unit = None;
                for field in class.fields() {
                    let offset = i64::from(field.offset);
                    let (to, from) = (self.b.field(to, offset), self.b.field(from, offset));
                    if field.bits.is_some() {
                        // The bit-fields of one unit are copied together.
                        if unit.replace(offset) != Some(offset) {
                            self.b.copy(to, from, types.size(field.qual.ty));
                        }
                        continue;
                    }
                    self.copy_object(to, from, field.qual.ty);
                }
            }
            Ty::Array(element, count) => self.copy_elements(to, from, element, count.unwrap_or(0)),
            Ty::Matrix(..) => {
                for (column, value) in self.columns(from, ty).into_iter().enumerate() {
                    let stride = self.column_shape(ty).1;
                    let to = self.b.field(to, i64::from(stride) * column as i64);
                    self.b.store(to, value);
                }
            }
            Ty::Struct(_) | Ty::SimdgroupMatrix(_) | Ty::Atomic(_) => {
                self.b.copy(to, from, types.size(ty));
            }
            _ => {
                let value = self.load_value(&Place::Memory(from), ty);
                self.store_value(&Place::Memory(to), value, ty);
            }
        }
    }

    fn copy_elements(&mut self, to: Value, from: Value, element: TyId, count: u32) {
        let size = i64::from(self.size(element));
        if count <= UNROLLED {
            for at in 0..i64::from(count) {
                let (to, from) = (self.b.field(to, at * size), self.b.field(from, at * size));
                self.copy_object(to, from, element);
            }
            return;
        }
        self.counted(0..count, |this, at| {
            let (to, from) = (this.b.index(to, at, size), this.b.index(from, at, size));
            this.copy_object(to, from, element);
        });
    }
}
