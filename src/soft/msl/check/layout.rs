//! The type that a buffer argument points to, for reflection and for argument buffers (MSL 2.13).

use super::Checker;
use crate::soft::ir::shape::{Array, Field, Handle, Pointer, Shape, Struct};
use crate::soft::msl::ast::AddressSpace;
use crate::soft::msl::types::{Qual, StructId, Ty, TyId, Types};
use std::sync::Arc;

/// The most members that are listed, those of all structs together.
const MAX: u32 = 1 << 16;
/// How deeply pointers to structs are followed.
const DEPTH: usize = 8;

/// The state of listing the members of a type.
struct List<'a> {
    checker: &'a Checker,
    /// The index in an argument buffer after the last member.
    next: u32,
    /// The structs around this one, so that a list that points to itself ends.
    around: Vec<StructId>,
    /// How many pointers led here.
    depth: usize,
    /// How many more members may be listed.
    left: u32,
}

/// Whether a type is a pointer to memory that the host may write an address of.
pub(crate) fn is_address(types: &Types, ty: TyId) -> Option<Qual> {
    match *types.get(ty) {
        Ty::Pointer(to) | Ty::Reference(to, _) => {
            matches!(to.space_or_thread(), AddressSpace::Device | AddressSpace::Constant)
                .then_some(to)
        }
        _ => None,
    }
}

impl Checker {
    /// The shape of what a buffer argument points to.
    pub(super) fn shape(&self, ty: TyId) -> Shape {
        List { checker: self, next: 0, around: Vec::new(), depth: 0, left: MAX }.shape(ty)
    }

    /// The struct of the library that a struct is an instance of.
    fn library_name(&self, id: StructId) -> Option<&str> {
        let class = self.types.class(id);
        let first = class.fields().first()?;
        (first.span.lo < self.library.end).then_some(&*class.name.text)
    }
}

impl List<'_> {
    /// The shape of a type, which takes the indices from `next` on.
    fn shape(&mut self, ty: TyId) -> Shape {
        let first = self.next;
        let shape = self.listed(ty);
        match &shape {
            Shape::Array(of) if of.indices > 0 => {
                self.next = first.saturating_add(of.indices.saturating_mul(of.length));
            }
            Shape::Struct(of) if !of.union => {}
            _ => self.next = first.saturating_add(1),
        }
        shape
    }

    fn listed(&mut self, ty: TyId) -> Shape {
        let types = &self.checker.types;
        let data = |scalar, columns, rows| Shape::Data { scalar, columns, rows };
        match *types.get(ty) {
            Ty::Scalar(scalar) | Ty::Atomic(scalar) => data(scalar, 1, 1),
            Ty::Vector(scalar, rows) | Ty::Packed(scalar, rows) => data(scalar, 1, rows),
            Ty::Matrix(scalar, columns, rows) => data(scalar, columns, rows),
            Ty::Enum(id) => data(types.enumeration(id).underlying, 1, 1),
            Ty::Texture(texture) => Shape::Texture(texture.expected(), texture.kind().depth),
            Ty::Sampler => Shape::Sampler,
            Ty::Array(element, Some(length)) => self.array(element, length),
            Ty::Struct(id) => {
                self.checker.tensor(ty).map_or_else(|| self.class(ty, id), Shape::Tensor)
            }
            _ => match is_address(types, ty) {
                Some(to) => self.pointer(to),
                None => Shape::Other,
            },
        }
    }

    /// A struct that is no tensor: one of the library's that the host sets as a whole, or one with members.
    fn class(&mut self, ty: TyId, id: StructId) -> Shape {
        match (self.checker.library_name(id), self.checker.types.class(id).fields()) {
            (Some("array"), [elements]) => self.listed(elements.qual.ty),
            (Some("visible_function_table"), _) => Shape::Handle(Handle::FunctionTable),
            (Some("command_buffer"), _) => Shape::Handle(Handle::CommandBuffer),
            (Some("compute_pipeline_state"), _) => Shape::Handle(Handle::Pipeline),
            _ => self.structure(ty, id),
        }
    }

    /// An array, whose elements have the indices of the first one in turn.
    fn array(&mut self, element: TyId, length: u32) -> Shape {
        let first = self.next;
        let (stride, element) = (self.checker.types.size(element), self.shape(element));
        // Numbers in an array are one member.
        let indices = if element.is_data() { 0 } else { self.next - first };
        Shape::Array(Arc::new(Array { length, stride, indices, element }))
    }

    /// A pointer: the object that it points to has indices of its own.
    fn pointer(&mut self, to: Qual) -> Shape {
        let (size, align) = self.checker.types.layout(to.ty).unwrap_or((0, 1));
        let after = std::mem::take(&mut self.next);
        self.depth += 1;
        let element = self.shape(to.ty);
        self.depth -= 1;
        self.next = after;
        let writable = !to.constant && to.space_or_thread() == AddressSpace::Device;
        Shape::Pointer(Arc::new(Pointer { writable, size, align, element }))
    }

    fn structure(&mut self, ty: TyId, id: StructId) -> Shape {
        let Some((size, align)) = self.checker.types.layout(ty) else { return Shape::Unlisted };
        if self.around.contains(&id) || self.depth >= DEPTH {
            return Shape::Unlisted;
        }
        let union = self.checker.types.class(id).union;
        let mut members = Vec::new();
        self.around.push(id);
        self.members(id, 0, &mut members);
        self.around.pop();
        Shape::Struct(Arc::new(Struct { union, size, align, members }))
    }

    /// Adds the members of a struct at an offset: those of bases and of anonymous structs are its own.
    fn members(&mut self, id: StructId, offset: u32, members: &mut Vec<Field>) {
        let types = &self.checker.types;
        let (class, first) = (types.class(id), self.next);
        for field in class.fields() {
            // The members of a union are one member of the argument buffer.
            if class.union {
                self.next = first;
            }
            if let Some(id) = field.id {
                self.next = id;
            }
            let (ty, offset) = (field.qual.ty, offset + field.offset);
            let Some(name) = field.name else {
                if let Ty::Struct(id) = *types.get(ty) {
                    self.members(id, offset, members);
                }
                continue;
            };
            let Some(left) = self.left.checked_sub(1) else { return };
            self.left = left;
            let (index, name) = (self.next, self.checker.text(name));
            let shape = self.shape(ty);
            members.push(Field { name, offset, index, size: types.size(ty), shape });
        }
        if class.union {
            self.next = first.saturating_add(1);
        }
    }
}
