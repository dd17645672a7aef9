//! Types of MSL (MSL 2), interned: equal types are equal numbers. Sizes and layouts are here too.

mod library;
mod spelling;

pub(crate) use library::*;
pub(crate) use spelling::{MAX_NAME, UNKNOWN, scalar_name, space_name};

use super::ast::AddressSpace;
use super::hir::GlobalIndex;
use super::names::Name;
use super::source::Span;
use super::texture::Texture;
use crate::soft::ir::Scalar;
use crate::soft::ir::hash::FastMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An interned type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct TyId(u32);

/// A type with its qualifiers, as of an expression or of a pointer's target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Qual {
    pub(crate) ty: TyId,
    pub(crate) constant: bool,
    pub(crate) volatile: bool,
    pub(crate) space: Option<AddressSpace>,
}

impl Hash for Qual {
    /// Hashes one number: packs of thousands of types are keys of tables.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let space = self.space.map_or(0, |space| space as u64 + 1);
        let flags = space << 2 | u64::from(self.volatile) << 1 | u64::from(self.constant);
        state.write_u64(flags << 32 | u64::from(self.ty.0));
    }
}

impl Qual {
    pub(crate) fn plain(ty: TyId) -> Qual {
        Qual { ty, constant: false, volatile: false, space: None }
    }

    pub(crate) fn with(self, ty: TyId) -> Qual {
        Qual { ty, ..self }
    }

    /// The address space; the default is thread (MSL 4).
    pub(crate) fn space_or_thread(self) -> AddressSpace {
        self.space.unwrap_or(AddressSpace::Thread)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct StructId(pub(crate) u32);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct EnumId(pub(crate) u32);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Ty {
    /// A type in error; its uses report no further errors.
    Unknown,
    Void,
    Nullptr,
    Scalar(Scalar),
    Vector(Scalar, u8),
    /// `packed_float3` (MSL 2.2.3)
    Packed(Scalar, u8),
    /// Columns, then rows (MSL 2.3).
    Matrix(Scalar, u8, u8),
    Atomic(Scalar),
    Pointer(Qual),
    /// `&`, or `&&` if true.
    Reference(Qual, bool),
    /// The element's qualifiers are those of the array.
    Array(TyId, Option<u32>),
    Struct(StructId),
    Enum(EnumId),
    Function(Qual, Vec<Qual>),
    /// 8 by 8 (MSL 2.4)
    SimdgroupMatrix(Scalar),
    Texture(Texture),
    Sampler,
    /// Types that only graphics and newer stages use.
    Opaque(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// `None` for a base, and for an anonymous struct or union, whose members are visible in the one
    /// around it.
    pub(crate) name: Option<Name>,
    pub(crate) qual: Qual,
    pub(crate) offset: u32,
    pub(crate) span: Span,
    /// The part of an object that is its class's base (C++14 class.derived).
    pub(crate) base: bool,
    /// A bit-field is in the unit of its type at `offset`.
    pub(crate) bits: Option<Bits>,
    /// Whether it changes in objects that are `const`.
    pub(crate) mutable: bool,
    /// `[[id(n)]]`: its index in an argument buffer.
    pub(crate) id: Option<u32>,
    /// `[[attribute(n)]]`: which attribute of a stage's input it is.
    pub(crate) attribute: Option<u32>,
    /// `[[function_constant(c)]]`: the attribute exists only when the constant is true.
    pub(crate) condition: Option<GlobalIndex>,
}

impl Field {
    /// A member that is not a base and not a bit-field, without attributes.
    pub(crate) fn new(name: Option<Name>, qual: Qual, offset: u32, span: Span) -> Self {
        let (base, bits, id, attribute, condition) = (false, None, None, None, None);
        let mutable = false;
        Self { name, qual, offset, span, base, bits, mutable, id, attribute, condition }
    }
}

/// The bits of a bit-field in its unit (C++14 class.bit).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bits {
    pub(crate) shift: u32,
    pub(crate) width: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Struct {
    pub(crate) name: StructName,
    fields: Vec<Field>,
    /// The fields that have names, by name.
    by_name: FastMap<Name, u32>,
    /// Anonymous structs and unions, and bases, which come first.
    unnamed: Vec<u32>,
    pub(crate) size: u32,
    pub(crate) align: u32,
    /// The number of bits up to the end of the last bit-field, if that is the last member so far.
    pub(crate) bit_end: Option<u32>,
    pub(crate) union: bool,
    pub(crate) complete: bool,
    /// All parts: members and bases, their members and bases, and so on.
    pub(crate) parts: Parts,
}

/// The members and bases of objects, in all levels.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts {
    /// Their number; the elements of an array count once.
    pub(crate) count: u32,
    /// How deep they are nested.
    pub(crate) depth: u32,
}

impl Parts {
    /// Adds a part that itself consists of parts.
    pub(crate) fn add(&mut self, inner: Parts) {
        self.count = self.count.saturating_add(inner.count).saturating_add(1);
        self.depth = self.depth.max(inner.depth + 1);
    }
}

/// The name of a struct. The name of an instance of a template follows from its arguments and is
/// written when it is needed: written out, the name of `P<T, T>` is twice as long as that of `T`.
#[derive(Clone, Debug)]
pub(crate) struct StructName {
    pub(crate) text: Arc<str>,
    pub(crate) arguments: Option<Arc<[NameArgument]>>,
}

/// A template argument in a name.
#[derive(Clone, Debug)]
pub(crate) enum NameArgument {
    Type(Qual),
    Text(Arc<str>),
}

impl StructName {
    pub(crate) fn plain(text: impl Into<Arc<str>>) -> StructName {
        StructName { text: text.into(), arguments: None }
    }
}

impl Struct {
    /// A struct that is declared and not yet defined.
    pub(crate) fn new(name: StructName, union: bool) -> Struct {
        Struct {
            name,
            fields: Vec::new(),
            by_name: FastMap::default(),
            unnamed: Vec::new(),
            size: 1,
            align: 1,
            bit_end: None,
            union,
            complete: false,
            parts: Parts::default(),
        }
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The index of the field of a name.
    pub(crate) fn field_named(&self, name: Name) -> Option<usize> {
        self.by_name.get(&name).map(|&at| at as usize)
    }

    /// The fields without names, bases among them, with their indices.
    pub(crate) fn unnamed(&self) -> impl Iterator<Item = (usize, &Field)> {
        self.unnamed.iter().map(|&at| (at as usize, &self.fields[at as usize]))
    }

    /// The bases with their indices.
    pub(crate) fn bases(&self) -> impl Iterator<Item = (usize, &Field)> {
        self.unnamed().filter(|(_, field)| field.base)
    }

    /// Adds a field whose objects have these parts.
    pub(crate) fn push(&mut self, field: Field, parts: Parts) {
        self.parts.add(parts);
        let at = self.fields.len() as u32;
        match field.name {
            Some(name) => {
                self.by_name.entry(name).or_insert(at);
            }
            None => self.unnamed.push(at),
        }
        self.fields.push(field);
    }

    /// The field that was added last.
    pub(crate) fn last_field(&mut self) -> Option<&mut Field> {
        self.fields.last_mut()
    }

    /// Moves a field to another offset.
    pub(crate) fn set_offset(&mut self, at: usize, offset: u32) {
        self.fields[at].offset = offset;
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) underlying: Scalar,
    pub(crate) scoped: bool,
}

/// The size limit of an object, arrays and structs included.
pub(crate) const MAX_SIZE: u64 = 1 << 30;

/// How deep types may be nested: objects in objects, and pointers, references, arrays and functions.
pub(crate) const MAX_NESTING: u32 = 1024;

/// The types of a library. A clone shares the tables with the original until one of them adds a type.
#[derive(Clone, Debug)]
pub(crate) struct Types {
    tables: Arc<Tables>,
}

#[derive(Clone, Debug, Default)]
struct Tables {
    list: Vec<Ty>,
    /// For each type, how deep pointers, references, arrays and functions are nested in it.
    levels: Vec<u32>,
    map: FastMap<Ty, TyId>,
    structs: Vec<Arc<Struct>>,
    enums: Vec<Enum>,
}

impl Types {
    pub(crate) const UNKNOWN: TyId = TyId(0);
    pub(crate) const VOID: TyId = TyId(1);
    pub(crate) const NULLPTR: TyId = TyId(2);

    pub(crate) fn new() -> Types {
        let mut types = Types { tables: Arc::default() };
        types.intern(Ty::Unknown);
        types.intern(Ty::Void);
        types.intern(Ty::Nullptr);
        for scalar in Scalar::all() {
            types.intern(Ty::Scalar(scalar));
        }
        types
    }

    /// The scalars follow the three types above, in their own order.
    pub(crate) fn scalar(scalar: Scalar) -> TyId {
        TyId(3 + scalar as u32)
    }

    pub(crate) fn intern(&mut self, ty: Ty) -> TyId {
        if let Some(&id) = self.tables.map.get(&ty) {
            return id;
        }
        // Intern the type of a matrix's columns too.
        if let Ty::Matrix(scalar, _, rows) = ty {
            self.intern(Ty::Vector(scalar, rows));
        }
        let tables = Arc::make_mut(&mut self.tables);
        let id = TyId(tables.list.len() as u32);
        let inside = |ty: TyId| tables.levels[ty.0 as usize] + 1;
        let levels = match &ty {
            Ty::Pointer(to) | Ty::Reference(to, _) => inside(to.ty),
            Ty::Array(element, _) => inside(*element),
            Ty::Function(result, parameters) => parameters
                .iter()
                .map(|parameter| inside(parameter.ty))
                .fold(inside(result.ty), u32::max),
            _ => 0,
        };
        tables.levels.push(levels);
        tables.list.push(ty.clone());
        tables.map.insert(ty, id);
        id
    }

    pub(crate) fn get(&self, id: TyId) -> &Ty {
        &self.tables.list[id.0 as usize]
    }

    /// How deep pointers, references, arrays and functions are nested in a type.
    pub(crate) fn levels(&self, ty: TyId) -> u32 {
        self.tables.levels[ty.0 as usize]
    }

    /// The parts that objects of a type consist of.
    pub(crate) fn parts(&self, mut ty: TyId) -> Parts {
        let mut arrays = 0;
        while let Ty::Array(element, _) = *self.get(ty) {
            (arrays, ty) = (arrays + 1, element);
        }
        let Parts { count, depth } = match *self.get(ty) {
            Ty::Struct(id) => self.class(id).parts,
            _ => Parts::default(),
        };
        Parts { count, depth: depth + arrays }
    }

    pub(crate) fn class(&self, id: StructId) -> &Arc<Struct> {
        &self.tables.structs[id.0 as usize]
    }

    pub(crate) fn class_mut(&mut self, id: StructId) -> &mut Struct {
        Arc::make_mut(&mut Arc::make_mut(&mut self.tables).structs[id.0 as usize])
    }

    pub(crate) fn add_class(&mut self, class: Struct) -> StructId {
        let structs = &mut Arc::make_mut(&mut self.tables).structs;
        structs.push(Arc::new(class));
        StructId(structs.len() as u32 - 1)
    }

    pub(crate) fn enumeration(&self, id: EnumId) -> &Enum {
        &self.tables.enums[id.0 as usize]
    }

    pub(crate) fn enumeration_mut(&mut self, id: EnumId) -> &mut Enum {
        &mut Arc::make_mut(&mut self.tables).enums[id.0 as usize]
    }

    pub(crate) fn add_enumeration(&mut self, row: Enum) -> EnumId {
        let enums = &mut Arc::make_mut(&mut self.tables).enums;
        enums.push(row);
        EnumId(enums.len() as u32 - 1)
    }

    /// A scalar or a vector of it.
    pub(crate) fn vector(&mut self, scalar: Scalar, width: u32) -> TyId {
        match width {
            0 | 1 => Types::scalar(scalar),
            _ => self.intern(Ty::Vector(scalar, width as u8)),
        }
    }

    /// The type of the columns of a matrix.
    pub(crate) fn column(&self, matrix: TyId) -> TyId {
        let Ty::Matrix(scalar, _, rows) = *self.get(matrix) else { return Types::UNKNOWN };
        self.tables.map.get(&Ty::Vector(scalar, rows)).copied().unwrap_or(Types::UNKNOWN)
    }

    pub(crate) fn pointer(&mut self, to: Qual) -> TyId {
        self.intern(Ty::Pointer(to))
    }

    /// The scalar and the number of components of an arithmetic type, packed vectors included.
    pub(crate) fn arithmetic(&self, id: TyId) -> Option<(Scalar, u32)> {
        match *self.get(id) {
            Ty::Scalar(scalar) => Some((scalar, 1)),
            Ty::Vector(scalar, width) | Ty::Packed(scalar, width) => {
                Some((scalar, u32::from(width)))
            }
            Ty::Enum(id) => {
                let row = self.enumeration(id);
                if row.scoped { None } else { Some((row.underlying, 1)) }
            }
            _ => None,
        }
    }

    pub(crate) fn as_scalar(&self, id: TyId) -> Option<Scalar> {
        match self.arithmetic(id) {
            Some((scalar, 1)) => Some(scalar),
            _ => None,
        }
    }

    /// Whether it is in memory, not in a register: the IR has no values of it.
    pub(crate) fn is_aggregate(&self, id: TyId) -> bool {
        matches!(self.get(id), Ty::Struct(_) | Ty::Array(..) | Ty::Matrix(..) | Ty::Atomic(_))
    }

    pub(crate) fn structure(&self, id: TyId) -> Option<(StructId, &Struct)> {
        match *self.get(id) {
            Ty::Struct(id) => Some((id, self.class(id).as_ref())),
            _ => None,
        }
    }

    /// Size and alignment in bytes (MSL 2.2 to 2.5, tables 2.2 to 2.5); `None` when incomplete.
    pub(crate) fn layout(&self, id: TyId) -> Option<(u32, u32)> {
        Some(match *self.get(id) {
            Ty::Scalar(scalar) => (scalar.bytes(), scalar.bytes()),
            Ty::Atomic(scalar) => {
                let size = atomic_storage(scalar).bytes();
                (size, size)
            }
            // A vector of three has the size of four components.
            Ty::Vector(scalar, width) => {
                let size = scalar.bytes() * if width == 3 { 4 } else { u32::from(width) };
                (size, size)
            }
            Ty::Packed(scalar, width) => (scalar.bytes() * u32::from(width), scalar.bytes()),
            Ty::Matrix(scalar, columns, rows) => {
                let column = scalar.bytes() * if rows == 3 { 4 } else { u32::from(rows) };
                (column * u32::from(columns), column)
            }
            Ty::Pointer(_) | Ty::Reference(..) | Ty::Nullptr => (8, 8),
            Ty::Texture(_) | Ty::Sampler | Ty::Opaque(_) => (8, 8),
            Ty::Array(element, Some(count)) => {
                let (size, align) = self.layout(element)?;
                (u32::try_from(u64::from(size) * u64::from(count)).ok()?, align)
            }
            Ty::Struct(id) => {
                let row = self.class(id);
                if !row.complete {
                    return None;
                }
                (row.size, row.align)
            }
            Ty::Enum(id) => {
                let bytes = self.enumeration(id).underlying.bytes();
                (bytes, bytes)
            }
            // A lane holds two of the 64 elements, as a vector (MSL 2.4 leaves the layout open).
            Ty::SimdgroupMatrix(scalar) => (2 * scalar.bytes(), 2 * scalar.bytes()),
            Ty::Unknown | Ty::Void | Ty::Array(_, None) | Ty::Function(..) => return None,
        })
    }

    pub(crate) fn size(&self, id: TyId) -> u32 {
        self.layout(id).map_or(0, |layout| layout.0)
    }
}

/// The scalar in memory of an atomic type: atomic operations are on 32 or 64 bits, so a `bool` is a `uint` of 0 or 1.
pub(crate) fn atomic_storage(scalar: Scalar) -> Scalar {
    if scalar == Scalar::Bool { Scalar::U32 } else { scalar }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_the_tables() {
        let mut types = Types::new();
        let mut layout = |name: &str| {
            let ty = types.intern(library_type(name).unwrap());
            types.layout(ty).unwrap()
        };
        assert_eq!(layout("float3"), (16, 16));
        assert_eq!(layout("packed_float3"), (12, 4));
        assert_eq!(layout("uchar2"), (2, 2));
        assert_eq!(layout("half3x3"), (24, 8));
        assert_eq!(layout("float4x3"), (64, 16));
        assert_eq!(layout("ulong4"), (32, 32));
        assert_eq!(layout("atomic_uint"), (4, 4));
        assert_eq!(layout("atomic_bool"), (4, 4));
    }
}
