//! Classes, their members and bases, and enums (C++14 class, dcl.enum; MSL 2.2 to 2.5 for layouts).

use super::{Checker, Class, Entity, ScopeKind};
use crate::soft::ir::Scalar;
use crate::soft::ir::hash::FastSet;
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::hir::Constant;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{
    self, Bits, Field, MAX_NESTING, MAX_SIZE, Parts, Qual, StructId, StructName, Ty, TyId, Types,
};
use std::sync::Arc;

/// The largest alignment that a program may request, as in clang.
const MAX_ALIGNMENT: u64 = 1 << 28;

/// The most members and bases of a class, in all levels: the compiler visits each of them.
const MAX_PARTS: u32 = 1 << 18;

impl Checker {
    pub(super) fn class(&mut self, class: &ast::Class) -> Qual {
        match &class.name {
            // A nested class is defined outside of its class ([class.nest]/2).
            Some(path) if path.plain().is_none() => match self.declared_outside(path) {
                Some((scope, name)) => self.in_scope(scope).class_named(class, Some(name), None),
                None => {
                    let text = self.path_text(path);
                    self.error(path.span, format!("'{text}' is not declared as a class"));
                    Qual::plain(Types::UNKNOWN)
                }
            },
            name => self.class_named(class, name.as_ref().and_then(Path::plain), None),
        }
    }

    /// A class with a name; an instance of a template also has its template and arguments.
    pub(super) fn class_named(
        &mut self,
        class: &ast::Class,
        plain: Option<Name>,
        origin: Option<&super::template::Key>,
    ) -> Qual {
        let outer = self.scope;
        let existing = plain.and_then(|name| {
            let own = self.scopes[outer.0 as usize].names.get(&name)?;
            own.iter().find_map(|entity| match entity {
                Entity::Type(qual) => self.types.structure(qual.ty).map(|found| found.0),
                _ => None,
            })
        });
        let id = existing.unwrap_or_else(|| {
            let text = plain.map_or("(anonymous struct)".into(), |name| Arc::from(self.text(name)));
            let arguments = origin.map(|key| self.name_arguments(&key.1));
            let name = StructName { text, arguments };
            let prefix = self.types.class_name(&name);
            let union = class.kind == ClassKind::Union;
            let id = self.types.add_class(types::Struct::new(name, union));
            let scope = self.new_scope(ScopeKind::Class(id), outer);
            self.extend_prefix(scope, &prefix);
            self.classes.push(Class::new(scope));
            if let Some(name) = plain {
                let ty = self.types.intern(Ty::Struct(id));
                self.bind(outer, name, Entity::Type(Qual::plain(ty)));
                self.bind(scope, name, Entity::Type(Qual::plain(ty)));
            }
            id
        });
        let ty = self.types.intern(Ty::Struct(id));
        if let Some(key) = origin {
            self.remember_origin(ty, key);
        }
        if let Some(members) = &class.members {
            if self.types.class(id).complete {
                self.error(class.span, format!("redefinition of '{}'", self.types.name(ty)));
                return Qual::plain(ty);
            }
            let scope = self.classes[id.0 as usize].scope;
            let mut there = self.outside_of_body(outer);
            for (base, expands) in &class.bases {
                let Some(mentioned) = expands else {
                    there.derive(id, base);
                    continue;
                };
                for at in 0..there.expansion_length(mentioned, base.span).unwrap_or(0) {
                    there.with_element(mentioned, at, |this| this.derive(id, base));
                }
            }
            there.in_scope(scope).class_members(id, members);
            drop(there);
            self.align_class(id, &class.attributes);
        }
        Qual::plain(ty)
    }

    /// A base (class.derived): its data comes first, its names are found after the class's own.
    fn derive(&mut self, id: StructId, path: &Path) {
        let qual = self.named_type(path);
        if qual.ty == Types::UNKNOWN {
            return;
        }
        let Some((base, row)) = self.types.structure(qual.ty) else {
            return self.error(path.span, "base specifier must name a class");
        };
        if row.union || !row.complete {
            return self.error(path.span, "base class has incomplete type");
        }
        if !self.has_room(id, qual.ty, path.span) {
            return;
        }
        let scope = self.classes[base.0 as usize].scope;
        let own = self.classes[id.0 as usize].scope;
        self.scopes[own.0 as usize].bases.push(scope);
        let align = self.types.layout(qual.ty).map_or(1, |layout| layout.1);
        self.add_field(id, None, Qual::plain(qual.ty), align, path.span, true);
        self.classes[id.0 as usize].defaults.push(None);
    }

    fn class_members(&mut self, id: StructId, members: &[Decl]) {
        // Data first: member functions may use members that are declared after them.
        let mut functions = Vec::new();
        for member in members {
            match member {
                Decl::Simple(simple) if !simple.specifiers.storage.typedef => {
                    let is_function = simple
                        .declarators
                        .first()
                        .is_some_and(|d| d.declarator.function().is_some());
                    if is_function {
                        functions.push(member);
                    } else {
                        self.fields(id, simple);
                    }
                }
                Decl::Function(_) | Decl::Template(_) => functions.push(member),
                other => self.declare(other),
            }
        }
        self.complete_class(id);
        for member in functions {
            self.declare(member);
        }
        self.end_introduced(id);
    }

    /// Ends the data members of a class.
    pub(super) fn complete_class(&mut self, id: StructId) {
        let row = self.types.class_mut(id);
        row.complete = true;
        let align = row.align.max(1);
        let end = row.size_of_fields();
        row.size = end.next_multiple_of(align).max(align);
    }

    fn fields(&mut self, id: StructId, simple: &Arc<Simple>) {
        let at = id.0 as usize;
        let base = self.specifiers(&simple.specifiers);
        if simple.declarators.is_empty() {
            // An anonymous struct or union is a member without a name.
            if let (Ty::Struct(_), BaseType::Class(class)) =
                (self.types.get(base.ty).clone(), &simple.specifiers.base)
                && class.name.is_none()
            {
                let align = self.alignment(base.ty, &simple.specifiers.attributes);
                self.add_field(id, None, base, align, simple.span, false);
                self.classes[at].defaults.push(None);
            }
            return;
        }
        for (index, one) in simple.declarators.iter().enumerate() {
            if simple.specifiers.storage.statik {
                self.global(simple, (base, None), index);
                continue;
            }
            self.refuse_auto(&simple.specifiers, "in non-static struct member");
            let mut qual = self.declared_type(base, &one.declarator);
            let name = one.declarator.name.as_ref().and_then(Path::plain);
            let span = one.declarator.span;
            qual.constant &= !simple.specifiers.storage.constexpr;
            if self.types.layout(qual.ty).is_none() {
                if qual.ty != Types::UNKNOWN {
                    let ty = self.types.name(qual.ty);
                    self.error(span, format!("field has incomplete type '{ty}'"));
                }
                qual.ty = Types::UNKNOWN;
                continue;
            }
            if let Some(name) = name
                && self.types.class(id).field_named(name).is_some()
            {
                let text = self.text(name);
                self.error(span, format!("duplicate member '{text}'"));
            }
            let attributes = simple.specifiers.attributes.iter().chain(&one.declarator.attributes);
            let align = self.alignment(qual.ty, attributes);
            match &one.width {
                Some(width) => {
                    if !self.add_bit_field(id, name, qual, (align, width), span) {
                        continue;
                    }
                }
                None => self.add_field(id, name, qual, align, span, false),
            }
            let attributes: Vec<&Attribute> =
                simple.specifiers.attributes.iter().chain(&one.declarator.attributes).collect();
            for name in ["id", "attribute"] {
                let found = self.attribute(&attributes, &[name]);
                let Some(index) = found.and_then(|found| found.arguments.first()).cloned() else {
                    continue;
                };
                let Some(number) = self.constant_int(&index) else { continue };
                let Ok(number) = u32::try_from(number) else {
                    let text = format!("'{name}' attribute parameter is out of bounds");
                    self.error(index.span, text);
                    continue;
                };
                if let Some(field) = self.types.class_mut(id).last_field() {
                    let of = if name == "id" { &mut field.id } else { &mut field.attribute };
                    *of = Some(number);
                }
            }
            if let condition @ Some(_) = self.depends_on(&attributes)
                && let Some(field) = self.types.class_mut(id).last_field()
            {
                field.condition = condition;
            }
            if let Some(field) = self.types.class_mut(id).last_field() {
                field.mutable = simple.specifiers.storage.mutable;
            }
            let default = !matches!(one.init, Init::None);
            self.classes[at].defaults.push(default.then(|| simple.clone()));
        }
    }

    /// Whether a class can have another member or base of this type; reports an error if not.
    fn has_room(&mut self, id: StructId, ty: TyId, span: Span) -> bool {
        let mut all = self.types.class(id).parts;
        all.add(self.types.parts(ty));
        let name = self.types.class_name(&self.types.class(id).name);
        let message = if all.count > MAX_PARTS {
            format!(
                "struct '{name}' is too large: its members and bases, and theirs, are more than {MAX_PARTS}"
            )
        } else if all.depth > MAX_NESTING {
            format!(
                "struct '{name}' is nested too deeply: more than {MAX_NESTING} members and bases inside each other"
            )
        } else {
            return true;
        };
        self.error(span, message);
        false
    }

    pub(super) fn add_field(
        &mut self,
        id: StructId,
        name: Option<Name>,
        qual: Qual,
        align: u32,
        span: Span,
        base: bool,
    ) {
        let Some((mut size, _)) = self.types.layout(qual.ty) else { return };
        let fits = self.has_room(id, qual.ty, span);
        let qual = if fits { qual } else { qual.with(Types::UNKNOWN) };
        let parts = self.types.parts(qual.ty);
        // A base without data takes no space ([intro.object]/5).
        if base && self.is_empty_class(qual.ty) {
            size = 0;
        }
        let row = self.types.class_mut(id);
        let end = row.size_of_fields();
        let mut offset = if row.union { 0 } else { end.next_multiple_of(align) };
        let needed = u64::from(offset) + u64::from(size);
        if needed > MAX_SIZE || !fits {
            // The field is added anyway, so that its uses are not errors too.
            (offset, size) = (0, 0);
        }
        row.align = row.align.max(align);
        row.size = end.max(offset + size);
        row.bit_end = None;
        row.push(Field { base, ..Field::new(name, qual, offset, span) }, parts);
        if needed > MAX_SIZE {
            let name = self.types.class_name(&self.types.class(id).name);
            let message = format!(
                "struct '{name}' is too large: it needs {needed} bytes, and an object has at most \
                 {MAX_SIZE}; keep its arrays in buffers"
            );
            self.error(span, message);
        }
    }

    /// A bit-field (class.bit): in the next bits of the unit of its type, or of the following unit if they do not suffice.
    /// False if it has no name, and is padding.
    fn add_bit_field(
        &mut self,
        id: StructId,
        name: Option<Name>,
        qual: Qual,
        (align, width): (u32, &Expr),
        span: Span,
    ) -> bool {
        let size = self.types.size(qual.ty) * 8;
        let integral = match *self.types.get(qual.ty) {
            Ty::Enum(_) => true,
            Ty::Scalar(scalar) => !scalar.is_float(),
            _ => false,
        };
        let bits = self.constant_int(width).unwrap_or(1);
        let text = name.map_or("(anonymous)".into(), |name| self.text(name));
        let error = match () {
            () if !integral => Some(format!("bit-field '{text}' has non-integral type")),
            () if bits < 0 => Some(format!("bit-field '{text}' has negative width ({bits})")),
            () if bits > i64::from(size) => Some(format!(
                "width of bit-field '{text}' ({bits} bits) exceeds the size of its type"
            )),
            () if bits == 0 && name.is_some() => {
                Some(format!("named bit-field '{text}' has zero width"))
            }
            () => None,
        };
        if let Some(message) = error {
            self.error(width.span, message);
            return false;
        }
        let row = self.types.class_mut(id);
        let end = row.bit_end.unwrap_or(row.size_of_fields() * 8);
        let start = if row.union { 0 } else { end };
        let bits = bits as u32;
        let fits = bits > 0 && start / size == (start + bits - 1) / size;
        let start = if fits { start } else { start.next_multiple_of(size) };
        row.align = row.align.max(align);
        row.size = row.size_of_fields().max((start + bits).div_ceil(8));
        row.bit_end = Some(start + bits);
        if name.is_none() {
            // Padding counts as a member's end even if it is the first.
            return false;
        }
        let offset = start / size * (size / 8);
        let bits = Some(Bits { shift: start % size, width: bits });
        row.push(Field { bits, ..Field::new(name, qual, offset, span) }, Parts::default());
        true
    }

    pub(super) fn is_empty_class(&self, ty: TyId) -> bool {
        self.types.structure(ty).is_some_and(|(_, row)| {
            row.fields().iter().all(|field| field.base && self.is_empty_class(field.qual.ty))
        })
    }

    /// `struct alignas(16) S`
    fn align_class(&mut self, id: StructId, attributes: &[Attribute]) {
        let packed = |attribute: &Attribute| {
            matches!(self.context.names.text(attribute.name.name), "packed" | "__packed__")
        };
        if attributes.iter().any(packed) {
            self.pack_class(id);
        }
        let ty = self.types.intern(Ty::Struct(id));
        let align = self.alignment(ty, attributes);
        let row = self.types.class_mut(id);
        row.align = row.align.max(align);
        row.size = row.size.next_multiple_of(row.align);
    }

    /// The alignment of a type with what `alignas` and `__attribute__((aligned))` request
    /// (dcl.align): the largest; reports invalid ones.
    pub(super) fn alignment<'a>(
        &mut self,
        ty: TyId,
        attributes: impl IntoIterator<Item = &'a Attribute>,
    ) -> u32 {
        let natural = self.types.layout(ty).map_or(1, |layout| layout.1);
        let (mut strictest, mut weaker) = (0, None);
        for attribute in attributes {
            let name = self.context.names.text(attribute.name.name);
            let standard = name == "alignas";
            if !standard && !matches!(name, "aligned" | "__aligned__") {
                continue;
            }
            let Some(argument) = attribute.arguments.first() else { continue };
            let Some(align) = self.constant_int(argument) else { continue };
            match u64::try_from(align) {
                // No effect ([dcl.align]/2).
                Ok(0) => {}
                Ok(align) if !align.is_power_of_two() => {
                    self.error(argument.span, "requested alignment is not a power of 2");
                }
                Ok(align) if align > MAX_ALIGNMENT => {
                    let message =
                        format!("requested alignment must be {MAX_ALIGNMENT} bytes or smaller");
                    self.error(argument.span, message);
                }
                Ok(align) => {
                    strictest = strictest.max(align as u32);
                    weaker = weaker.or(standard.then_some(argument.span));
                }
                Err(_) => self.error(argument.span, "requested alignment is negative"),
            }
        }
        if let Some(span) = weaker.filter(|_| strictest < natural) {
            let name = self.types.name(ty);
            self.error(
                span,
                format!("requested alignment is less than minimum alignment of {natural} for type '{name}'"),
            );
        }
        natural.max(strictest)
    }

    fn pack_class(&mut self, id: StructId) {
        let mut offset = 0;
        let row = self.types.class(id).clone();
        for (at, field) in row.fields().iter().enumerate() {
            self.types.class_mut(id).set_offset(at, offset);
            offset += self.types.size(field.qual.ty);
        }
        let row = self.types.class_mut(id);
        row.align = 1;
        row.size = offset.max(1);
    }

    pub(super) fn enumeration(&mut self, row: &ast::Enum) -> TyId {
        let outer = self.scope;
        let underlying = match &row.underlying {
            Some(name) => {
                let qual = self.type_name(name);
                self.types.as_scalar(qual.ty)
            }
            None => None,
        };
        let known = row.name.and_then(|name| {
            let own = self.scopes[outer.0 as usize].names.get(&name.name)?;
            own.iter().find_map(|entity| match entity {
                Entity::Type(qual) => match self.types.get(qual.ty) {
                    Ty::Enum(id) => Some(*id),
                    _ => None,
                },
                _ => None,
            })
        });
        let id = known.unwrap_or_else(|| {
            let name = row.name.map_or("(anonymous enum)".into(), |name| self.text(name.name));
            let id = self.types.add_enumeration(types::Enum {
                name,
                underlying: underlying.unwrap_or(Scalar::I32),
                scoped: row.scoped,
            });
            let scope = self.new_scope(ScopeKind::Namespace, outer);
            self.enum_scopes.insert(id, scope);
            let ty = self.types.intern(Ty::Enum(id));
            if let Some(name) = row.name {
                self.bind(outer, name.name, Entity::Type(Qual::plain(ty)));
                self.enum_types.insert(name.name, ty);
            }
            id
        });
        let ty = self.types.intern(Ty::Enum(id));
        let Some(items) = &row.items else { return ty };
        let scope = self.enum_scopes[&id];
        let mut next = 0i64;
        let (mut least, mut most) = (0i64, 0i64);
        let mut seen: FastSet<Name> = FastSet::default();
        for (ident, value) in items {
            if let Some(value) = value {
                // Earlier enumerators are visible in it, also in a scoped enum ([basic.scope.enum]).
                next = self.in_scope(scope).constant_int(value).unwrap_or(next);
            }
            if !seen.insert(ident.name) {
                let text = self.text(ident.name);
                self.error(ident.span, format!("redefinition of enumerator '{text}'"));
            }
            let value = Constant::Int(next as u64);
            if row.scoped {
                // Inside the list they are still numbers ([dcl.enum]/5).
                let number = Types::scalar(self.types.enumeration(id).underlying);
                self.bind(scope, ident.name, Entity::Value(number, value));
            } else {
                self.bind(scope, ident.name, Entity::Value(ty, value));
                self.bind(outer, ident.name, Entity::Value(ty, value));
            }
            (least, most) = (least.min(next), most.max(next));
            next = next.wrapping_add(1);
        }
        if row.scoped {
            for entity in self.scopes[scope.0 as usize].names.values_mut().flatten() {
                if let Entity::Value(number, _) = entity {
                    *number = ty;
                }
            }
        }
        // [dcl.enum]/7: an unfixed enum is as wide as its values need.
        if underlying.is_none() && !row.scoped {
            self.types.enumeration_mut(id).underlying = match (least, most) {
                (i64::MIN..0, _) if least >= i64::from(i32::MIN) && most <= i64::from(i32::MAX) => {
                    Scalar::I32
                }
                (i64::MIN..0, _) => Scalar::I64,
                (_, _) if most <= i64::from(u32::MAX) => Scalar::U32,
                _ => Scalar::U64,
            };
        }
        ty
    }
}

impl types::Struct {
    /// The offset past the end of the fields so far.
    fn size_of_fields(&self) -> u32 {
        if self.fields().is_empty() && self.bit_end.is_none() { 0 } else { self.size }
    }
}
