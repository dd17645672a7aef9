//! Messages and states: structures declared once, in Rust, with their layout in MSL.

use super::error::RingError;
use crate::Plain;
use std::fmt::Write;

/// A type of a field of a message: a number, an array of fields, or another message.
///
/// ```
/// use aruminium::ring::Field;
/// assert_eq!(<[[f32; 4]; 2]>::spelling(), ("float".to_owned(), vec![2, 4]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a message",
    note = "fields are numbers, arrays of fields, and structures that `message!` declares; a `u32` stands for a `bool`"
)]
pub trait Field: Plain {
    /// The type's name in MSL, and the lengths of its arrays from the outermost.
    fn spelling() -> (String, Vec<usize>);

    /// The layout, if the type is a structure or an array of one.
    fn structure() -> Option<Layout> {
        None
    }
}

/// A structure that kernels and Rust lay out alike. [`message!`](crate::message) declares one.
///
/// Numbers of 32 and 64 bits are messages too.
///
/// ```
/// use aruminium::ring::Message;
/// aruminium::message! {
///     /// Two numbers to add.
///     pub struct Add { a: f32, b: f32 }
/// }
/// let layout = Add::layout();
/// assert_eq!((layout.name.as_str(), layout.size, layout.fields[1].offset), ("Add", 8, 4));
/// assert_eq!(layout.msl(), "struct Add { float a; float b; };\n");
/// assert_ne!(Add::TYPE, f32::TYPE);
/// ```
pub trait Message: Plain + Send {
    /// The number of the type, derived from its name and the text of its fields. Types that are laid out differently may
    /// have one number, if constants or other types in them do: compare layouts.
    const TYPE: u32;

    /// The layout of the structure.
    fn layout() -> Layout;
}

/// The layout of a structure, on both sides.
///
/// ```
/// use aruminium::ring::{Layout, Message};
/// let layout: Layout = u32::layout();
/// assert_eq!((layout.name.as_str(), layout.size, layout.align), ("uint", 4, 4));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// The name of the type in MSL.
    pub name: String,
    /// Its size in bytes.
    pub size: usize,
    /// Its alignment in bytes.
    pub align: usize,
    /// The fields, in order; none for a number.
    pub fields: Vec<FieldLayout>,
}

/// One field of a [`Layout`].
///
/// ```
/// aruminium::message! { struct Point { at: [f32; 2], id: u32 } }
/// use aruminium::ring::{FieldLayout, Message};
/// let fields: Vec<FieldLayout> = Point::layout().fields;
/// assert_eq!((fields[0].name, fields[0].spelling.as_str(), fields[0].lengths.as_slice()), ("at", "float", &[2][..]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldLayout {
    /// The name.
    pub name: &'static str,
    /// The name of its type in MSL.
    pub spelling: String,
    /// The lengths of its arrays, from the outermost.
    pub lengths: Vec<usize>,
    /// Its offset in bytes.
    pub offset: usize,
    /// The layout of its type, if it is a structure.
    pub structure: Option<Layout>,
}

impl Layout {
    #[doc(hidden)] // For `message!`.
    pub fn of<T: Plain>(name: &str, fields: Vec<FieldLayout>) -> Self {
        Self { name: name.to_owned(), size: size_of::<T>(), align: align_of::<T>(), fields }
    }

    /// The declaration in MSL; empty for a number.
    ///
    /// ```
    /// use aruminium::ring::Message;
    /// aruminium::message! { struct Tile { cells: [[f32; 8]; 4], step: u32 } }
    /// assert_eq!(Tile::layout().msl(), "struct Tile { float cells[4][8]; uint step; };\n");
    /// ```
    pub fn msl(&self) -> String {
        if self.fields.is_empty() {
            return String::new();
        }
        let mut text = format!("struct {} {{", self.name);
        for FieldLayout { name, spelling, lengths, .. } in &self.fields {
            _ = write!(text, " {spelling} {name}");
            for length in lengths {
                _ = write!(text, "[{length}]");
            }
            text.push(';');
        }
        text + " };\n"
    }

    /// A number for this layout, derived from all of it.
    pub(super) fn digest(&self) -> u64 {
        let mut text = String::new();
        self.spell(&mut text);
        // FNV-1a.
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
    }

    /// Writes everything that layouts are compared by.
    fn spell(&self, text: &mut String) {
        _ = write!(text, "{} {} {} {{", self.name, self.size, self.align);
        for FieldLayout { name, spelling, lengths, offset, structure } in &self.fields {
            _ = write!(text, "{name} {spelling} {lengths:?} {offset} ");
            if let Some(inner) = structure {
                inner.spell(text);
            }
            text.push(';');
        }
        text.push('}');
    }

    /// This structure and those in it, each after those that it contains.
    fn collect<'a>(&'a self, into: &mut Vec<&'a Self>) -> Result<(), RingError> {
        for field in &self.fields {
            if let Some(inner) = &field.structure {
                inner.collect(into)?;
            }
        }
        match into.iter().find(|other| other.name == self.name) {
            Some(other) if *other != self => Err(RingError::Layout(format!(
                "two structures that are laid out differently have the name `{}`: rename one",
                self.name
            ))),
            Some(_) => Ok(()),
            None => {
                into.push(self);
                Ok(())
            }
        }
    }

    /// Expressions of MSL for the size and for the offset of each field, in bytes, with their values in Rust.
    fn facts(&self) -> Vec<(String, usize)> {
        let name = &self.name;
        let mut facts = vec![(format!("sizeof({name})"), self.size)];
        facts.extend(self.fields.iter().map(|field| {
            let offset =
                format!("ulong((device uchar *)&(({name} device *)base)->{} - base)", field.name);
            (offset, field.offset)
        }));
        facts
    }
}

/// The declarations of several structures and of those in them, each once.
pub(super) fn declarations(layouts: &[&Layout]) -> Result<String, RingError> {
    Ok(structures(layouts)?.iter().map(|layout| layout.msl()).collect())
}

fn structures<'a>(layouts: &[&'a Layout]) -> Result<Vec<&'a Layout>, RingError> {
    let mut all = Vec::new();
    for layout in layouts {
        layout.collect(&mut all)?;
    }
    Ok(all)
}

/// A kernel `ring_layout` that writes the sizes and offsets of structures as the compiler lays them out, and the
/// values that they have in Rust, with a description of each.
pub(super) fn layout_kernel(
    layouts: &[&Layout],
) -> Result<(String, Vec<(String, usize)>), RingError> {
    let all = structures(layouts)?;
    let mut text = String::from(
        "kernel void ring_layout(device uint *out [[buffer(0)]], device uchar *base [[buffer(1)]]) {\n",
    );
    let mut facts = Vec::new();
    for layout in all {
        let names = std::iter::once(format!("the size of `{}`", layout.name)).chain(
            layout
                .fields
                .iter()
                .map(|field| format!("the offset of `{}::{}`", layout.name, field.name)),
        );
        for ((expression, value), name) in layout.facts().into_iter().zip(names) {
            _ = writeln!(text, "    out[{}] = uint({expression});", facts.len());
            facts.push((name, value));
        }
    }
    Ok((text + "}\n", facts))
}

macro_rules! numbers {
    ($($number:ty: $name:literal $($message:ident)?),+ $(,)?) => {$(
        impl Field for $number {
            fn spelling() -> (String, Vec<usize>) {
                ($name.to_owned(), Vec::new())
            }
        }
        $(impl $message for $number {
            const TYPE: u32 = type_number($name);
            fn layout() -> Layout {
                Layout::of::<Self>($name, Vec::new())
            }
        })?
    )+};
}

numbers! {
    u8: "uchar", i8: "char", u16: "ushort", i16: "short", u32: "uint" Message, i32: "int" Message,
    u64: "ulong" Message, i64: "long" Message, f32: "float" Message,
    crate::fp16::Half: "half",
}

#[cfg(feature = "half")]
numbers! {
    half::f16: "half",
}

impl<T: Field, const N: usize> Field for [T; N] {
    fn spelling() -> (String, Vec<usize>) {
        let (name, mut lengths) = T::spelling();
        lengths.insert(0, N);
        (name, lengths)
    }

    fn structure() -> Option<Layout> {
        T::structure()
    }
}

/// The number of a type with this declaration: FNV-1a, never 0.
#[doc(hidden)] // For `message!`.
pub const fn type_number(declaration: &str) -> u32 {
    let bytes = declaration.as_bytes();
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    if hash == 0 { 1 } else { hash }
}

/// Declares structures that kernels and Rust share: messages and states of actors.
///
/// Fields are numbers, arrays of them, and other such structures. The structure is `repr(C)` and must have no padding:
/// order the fields by size, the largest first, or fill gaps with a field. It is `Copy`, `Debug` and `PartialEq`, and further traits
/// may be derived. Handlers see fields as they are declared here: `[f32; 4]` is an array, and not a `float4`.
///
/// ```
/// aruminium::message! {
///     /// A point.
///     pub struct Point { x: f32, y: f32 }
///     /// A line of a color.
///     #[derive(Default)]
///     pub struct Line { ends: [Point; 2], color: u32 }
/// }
/// # impl Default for Point { fn default() -> Self { Point { x: 0.0, y: 0.0 } } }
/// use aruminium::ring::Message;
/// assert_eq!(Line::layout().msl(), "struct Line { Point ends[2]; uint color; };\n");
/// ```
///
/// ```compile_fail
/// // Between the fields would be four bytes of padding.
/// aruminium::message! { struct Padded { a: u32, b: u64 } }
/// ```
#[macro_export]
macro_rules! message {
    ($($(#[$attribute:meta])* $visible:vis struct $name:ident {
        $($(#[$field_attribute:meta])* $field:ident: $type:ty),* $(,)?
    })+) => {$(
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq)]
        $visible struct $name { $($(#[$field_attribute])* $visible $field: $type),* }

        const _: () = {
            assert!(
                ::core::mem::size_of::<$name>() == 0 $(+ ::core::mem::size_of::<$type>())*,
                concat!("`", stringify!($name), "` has padding: order its fields by size, or fill the gap with a field"),
            );
            assert!(::core::mem::size_of::<$name>() != 0, concat!("`", stringify!($name), "` has no fields"));

            // SAFETY: every field is plain, and the assertion above excludes padding.
            unsafe impl $crate::Plain for $name {}

            impl $crate::ring::Message for $name {
                const TYPE: u32 = $crate::ring::type_number(
                    concat!(stringify!($name), $(" ", stringify!($field), ":", stringify!($type)),*)
                );
                fn layout() -> $crate::ring::Layout {
                    $crate::ring::Layout::of::<Self>(stringify!($name), vec![$(
                        $crate::ring::FieldLayout::of::<$type>(stringify!($field), ::core::mem::offset_of!($name, $field))
                    ),*])
                }
            }

            impl $crate::ring::Field for $name {
                fn spelling() -> (String, Vec<usize>) {
                    (stringify!($name).to_owned(), Vec::new())
                }
                fn structure() -> Option<$crate::ring::Layout> {
                    Some(<$name as $crate::ring::Message>::layout())
                }
            }
        };
    )+};
}

impl FieldLayout {
    #[doc(hidden)] // For `message!`.
    pub fn of<T: Field>(name: &'static str, offset: usize) -> Self {
        let (spelling, lengths) = T::spelling();
        Self { name, spelling, lengths, offset, structure: T::structure() }
    }
}

/// A value of zero bytes.
pub(super) fn zeroed<T: Plain>() -> T {
    // SAFETY: any bytes are a value of a plain type.
    unsafe { std::mem::zeroed() }
}

/// The bytes of a plain value.
pub(super) fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: a plain value has no padding, and lives as long as the slice.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Reads a value from the first bytes.
pub(super) fn value_of<T: Plain>(bytes: &[u8]) -> T {
    assert!(
        bytes.len() >= size_of::<T>(),
        "a value of {} bytes in {}",
        size_of::<T>(),
        bytes.len()
    );
    // SAFETY: there are as many bytes, and any bytes are a value of a plain type.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}
