//! Unions in kernels that are checked for what is undefined: which member of a local variable was written last, and reads of another one
//! (C++ [class.union]; MSL reinterprets values by `as_type`, section 2.21).
//!
//! A variable for each union in a local has a bit for the member that was written last, or is 0 where that is not known. Where the address
//! of the local is taken, nothing is known any more.

use super::super::hir::{Expr, ExprKind, LocalIndex};
use super::super::types::{Field, Ty, TyId, Types};
use super::Body;
use crate::soft::ir::{Checks, Finding, Op, Probe, Scalar, Type, Value, VarId};

/// The bit of a local whose address was taken.
const ESCAPED: u32 = 1 << 31;

/// The unions in local variables.
#[derive(Default)]
pub(super) struct Unions {
    /// The variable of each: the local, and the offset in it.
    known: Vec<(LocalIndex, u32, VarId)>,
    /// Locals whose members are read or written by the expression that is lowered, so that their addresses do not escape.
    direct: Vec<LocalIndex>,
}

/// A member of a union in a local.
struct Member {
    variable: VarId,
    /// The union's type, and the number of the member.
    ty: TyId,
    index: u32,
    /// If the member is a struct, of which a part is meant, the number of that part.
    part: Option<u32>,
}

impl Body<'_, '_> {
    /// The function begins: of the unions in its locals nothing is known, which is so until their declaration, as a `switch` may jump over it.
    pub(super) fn start_unions(&mut self) {
        if !self.module.special.checks.has(Checks::UNDEFINED) {
            return;
        }
        let function = self.function.clone();
        let types: Vec<TyId> = function.locals.iter().map(|local| local.qual.ty).collect();
        for (local, ty) in (0..).map(LocalIndex).zip(types).skip(function.parameters as usize) {
            let mut offsets = Vec::new();
            self.unions_in(ty, 0, &mut offsets);
            for offset in offsets {
                let variable = self.b.variable("", Type::U32);
                self.unions.known.push((local, offset, variable));
                let nothing = self.b.int(Scalar::U32, 0);
                self.b.set(variable, nothing);
            }
        }
    }

    /// A local was declared; `init` is its initialiser.
    pub(super) fn declare_unions(&mut self, local: LocalIndex, init: Option<&Expr>) {
        let member = match init.map(|init| &init.kind) {
            Some(ExprKind::UnionValue(member, _)) => *member,
            _ => u32::MAX,
        };
        let bit = 1u32.checked_shl(member).unwrap_or(0);
        for variable in self.unions_of(local) {
            let bit = self.b.int(Scalar::U32, bit.into());
            self.b.set(variable, bit);
        }
    }

    /// The variables of the unions in a local.
    fn unions_of(&self, local: LocalIndex) -> Vec<VarId> {
        let all = self.unions.known.iter().filter(|known| known.0 == local);
        all.map(|known| known.2).collect()
    }

    /// The offsets of the unions in a type, outside of arrays and other unions.
    fn unions_in(&self, ty: TyId, offset: u32, out: &mut Vec<u32>) {
        let Ty::Struct(id) = *self.module.types.get(ty) else { return };
        let class = self.module.types.class(id);
        if class.union {
            if class.fields().len() < 32 {
                out.push(offset);
            }
            return;
        }
        for field in class.fields() {
            self.unions_in(field.qual.ty, offset + field.offset, out);
        }
    }

    /// The member of a union in a local that an lvalue is, or is a part of.
    fn member(&self, place: &Expr) -> Option<(LocalIndex, Member)> {
        match &place.kind {
            ExprKind::Field(base, index) => {
                if let Some((local, member)) = self.member(base) {
                    let part = member.part.or(Some(*index));
                    return Some((local, Member { part, ..member }));
                }
                let (local, offset) = self.offset_in_local(base)?;
                let is = |known: &&(LocalIndex, u32, VarId)| (known.0, known.1) == (local, offset);
                let (ty, index) = (base.qual.ty, *index);
                let (_, row) = self.module.types.structure(ty)?;
                let variable = self.unions.known.iter().find(is)?.2;
                row.union.then_some((local, Member { variable, ty, index, part: None }))
            }
            ExprKind::Element(base, _) | ExprKind::Swizzle(base, _) => self.member(base),
            _ => None,
        }
    }

    /// The local that an lvalue is a member of, and the offset there.
    fn offset_in_local(&self, place: &Expr) -> Option<(LocalIndex, u32)> {
        match &place.kind {
            ExprKind::Local(local) => Some((*local, 0)),
            ExprKind::Field(base, index) => {
                let (local, offset) = self.offset_in_local(base)?;
                Some((local, offset + self.field_offset(base.qual.ty, *index)))
            }
            _ => None,
        }
    }

    /// An lvalue is read: reports it if another member was written last.
    pub(super) fn read_member(&mut self, place: &Expr) {
        if self.unions.known.is_empty() {
            return;
        }
        if let ExprKind::Local(local) = place.kind {
            return self.unions.direct.push(local);
        }
        let Some((local, member)) = self.member(place) else {
            // A part of a struct with unions.
            self.unions.direct.extend(self.root(place));
            return;
        };
        self.unions.direct.push(local);
        let allowed = ESCAPED | self.like(&member);
        let last = self.b.get(member.variable);
        let [allowed, zero] = [allowed, 0].map(|bits| self.b.int(Scalar::U32, bits.into()));
        let fits = self.b.emit(Op::And, Type::U32, &[last, allowed], 0);
        let [is_known, differs] = [(last, Op::Ne), (fits, Op::Eq)]
            .map(|(value, op)| self.b.emit(op, Type::BOOL, &[value, zero], 0));
        let wrong = self.b.emit(Op::And, Type::BOOL, &[is_known, differs], 0);
        self.b.begin_if(wrong);
        let probe = Probe::Found(Finding::Member);
        self.b.emit(Op::Probe, Type::Void, &[], probe.imm());
        self.b.end_if();
    }

    /// An lvalue is read and then written.
    pub(super) fn change_member(&mut self, place: &Expr) {
        self.read_member(place);
        if let Some((_, member)) = self.member(place) {
            self.set_member(member.variable, 1 << member.index);
        }
    }

    /// An lvalue is about to be written.
    pub(super) fn write_member(&mut self, place: &Expr) {
        if self.unions.known.is_empty() {
            return;
        }
        // Its other parts stay as they are.
        self.unions.direct.extend(self.root(place));
        if let Some((_, member)) = self.member(place) {
            return self.set_member(member.variable, 1 << member.index);
        }
        let Some((local, start)) = self.offset_in_local(place) else { return };
        // All of a struct or union, with unions of which nothing is known now.
        let end = start + self.size(place.qual.ty);
        let known = self.unions.known.clone();
        for (of, offset, variable) in known {
            if of == local && (start..end).contains(&offset) {
                self.set_member(variable, 0);
            }
        }
    }

    /// A member was written last, unless the address was taken.
    fn set_member(&mut self, variable: VarId, bit: u32) {
        let [escaped, bit] = [ESCAPED, bit].map(|bits| self.b.int(Scalar::U32, bits.into()));
        let last = self.b.get(variable);
        let kept = self.b.emit(Op::And, Type::U32, &[last, escaped], 0);
        let new: Value = self.b.emit(Op::Or, Type::U32, &[kept, bit], 0);
        self.b.set(variable, new);
    }

    /// A local is used as a place: if not to read or write its members, they may be written by other names from now on.
    pub(super) fn use_unions(&mut self, local: LocalIndex) {
        if let Some(at) = self.unions.direct.iter().rposition(|known| *known == local) {
            self.unions.direct.remove(at);
            return;
        }
        for variable in self.unions_of(local) {
            let escaped = self.b.int(Scalar::U32, ESCAPED.into());
            self.b.set(variable, escaped);
        }
    }

    fn root(&self, place: &Expr) -> Option<LocalIndex> {
        match &place.kind {
            ExprKind::Local(local) => Some(*local),
            ExprKind::Field(base, _) | ExprKind::Element(base, _) | ExprKind::Swizzle(base, _) => {
                self.root(base)
            }
            _ => None,
        }
    }

    /// The members that may be read as this one: those of its type, structs that are alike as far as it is read, and all as bytes.
    fn like(&self, member: &Member) -> u32 {
        let types = self.module.types;
        let Some((_, row)) = types.structure(member.ty) else { return u32::MAX };
        let all: Vec<TyId> = row.fields().iter().map(|field| field.qual.ty).collect();
        let own = all[member.index as usize];
        let mut element = own;
        while let Ty::Array(of, _) = *types.get(element) {
            element = of;
        }
        if types.size(element) == 1 && self.ty(element).width() == 1 {
            return u32::MAX;
        }
        let is_like =
            |&(_, &other): &(usize, &TyId)| other == own || begins(types, own, other, member.part);
        all.iter().enumerate().filter(is_like).fold(0, |bits, (nth, _)| bits | 1 << nth)
    }
}

/// Whether two structs have a common initial sequence (C++14 [class.mem]/19) that reaches to the end of a part of the first, or of all of it.
fn begins(types: &Types, own: TyId, other: TyId, part: Option<u32>) -> bool {
    let fields =
        |ty| types.structure(ty).filter(|(_, row)| !row.union).map(|(_, row)| row.fields());
    let (Some(own), Some(other)) = (fields(own), fields(other)) else { return false };
    let alike = |(one, two): &(&Field, &Field)| {
        let (first, second) = (one.qual.ty, two.qual.ty);
        let is_same = first == second
            || begins(types, first, second, None) && begins(types, second, first, None);
        is_same && one.bits == two.bits
    };
    let common = own.iter().zip(other).take_while(alike).count();
    part.map_or(own.len(), |part| part as usize + 1) <= common
}
