//! Structs in argument buffers (MSL 2.13): the index of each member, and where it is.

use super::Checker;
use crate::soft::ir::{HANDLE_BYTES, Layout, Member, MemberKind};
use crate::soft::msl::ast::AddressSpace;
use crate::soft::msl::types::{Qual, StructId, Ty, TyId, Types};
use std::sync::Arc;

/// The most members that are listed. Those after them cannot be set by an encoder.
const MOST: usize = 1 << 16;
/// How deeply pointers to argument buffers are followed.
const DEPTH: usize = 8;

/// The state of listing one struct.
struct List<'a> {
    types: &'a Types,
    members: Vec<Member>,
    /// The index after the last member.
    next: u32,
    /// The structs around this one, so that a list that points to itself ends.
    around: &'a [StructId],
}

/// Whether a type is a pointer to memory that the host may write an address of.
pub(crate) fn is_address(types: &Types, ty: TyId) -> Option<Qual> {
    match *types.get(ty) {
        Ty::Pointer(to) | Ty::Reference(to) => {
            matches!(to.space_or_thread(), AddressSpace::Device | AddressSpace::Constant)
                .then_some(to)
        }
        _ => None,
    }
}

impl Checker {
    /// The layout of what a buffer argument points to; `None` if that holds no pointers, textures and samplers.
    pub(super) fn argument_layout(&self, ty: TyId) -> Option<Arc<Layout>> {
        layout(&self.types, ty, &[])
    }
}

fn layout(types: &Types, ty: TyId, around: &[StructId]) -> Option<Arc<Layout>> {
    let (id, _) = types.structure(ty)?;
    if around.contains(&id) || around.len() >= DEPTH {
        return None;
    }
    let around: Vec<StructId> = around.iter().copied().chain([id]).collect();
    let mut list = List { types, members: Vec::new(), next: 0, around: &around };
    list.fields(id, 0);
    let members = list.members;
    let is_data = |member: &Member| matches!(member.kind, MemberKind::Data(_));
    let (size, align) = types.layout(ty)?;
    (!members.iter().all(is_data)).then(|| Arc::new(Layout { size, align, members }))
}

impl List<'_> {
    fn fields(&mut self, id: StructId, offset: u32) {
        let types = self.types;
        for field in types.class(id).fields() {
            if let Some(id) = field.id {
                self.next = id;
            }
            self.member(field.qual.ty, offset + field.offset);
        }
    }

    /// Adds what a field of a type is.
    fn member(&mut self, ty: TyId, offset: u32) {
        if self.members.len() >= MOST {
            return;
        }
        let types = self.types;
        if let Some(kind) = self.handle(ty) {
            return self.add(kind, 1, offset);
        }
        match *types.get(ty) {
            Ty::Array(element, Some(count)) => match self.handle(element) {
                Some(kind) => self.add(kind, count, offset),
                None if matches!(types.get(element), Ty::Struct(_) | Ty::Array(..)) => {
                    for at in 0..count {
                        self.member(element, offset + at * types.size(element));
                        if self.members.len() >= MOST {
                            break;
                        }
                    }
                }
                None => self.add(MemberKind::Data(types.size(ty)), 1, offset),
            },
            Ty::Struct(id) if !types.class(id).union => self.fields(id, offset),
            _ => self.add(MemberKind::Data(types.size(ty)), 1, offset),
        }
    }

    /// What takes the eight bytes of an address or an ID.
    fn handle(&self, ty: TyId) -> Option<MemberKind> {
        match *self.types.get(ty) {
            Ty::Texture(texture) => Some(MemberKind::Texture(texture.expected())),
            Ty::Sampler => Some(MemberKind::Sampler),
            _ => {
                let to = is_address(self.types, ty)?;
                Some(MemberKind::Pointer(layout(self.types, to.ty, self.around)))
            }
        }
    }

    fn add(&mut self, kind: MemberKind, count: u32, offset: u32) {
        debug_assert!(count < u32::MAX / HANDLE_BYTES);
        self.members.push(Member { index: self.next, count, offset, kind });
        self.next = self.next.saturating_add(count);
    }
}
