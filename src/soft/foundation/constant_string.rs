//! Strings that a C compiler lays out: those of `CFSTR`, and of metal-cpp's `MTLSTR`.
//!
//! The compiler writes the class, flags, the address of the text and its length, where our own strings have a count and a
//! text of their own. Methods of NSString get a string of ours with the same text in its place.

use super::Text;
use super::string::{NSString, UTF8};
use crate::abi::Id;
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::object::{self, Object, SoftClass, Strong, class_of};

/// A string as clang lays it out.
#[repr(C)]
struct Layout {
    isa: usize,
    flags: u32,
    text: *const u8,
    /// In characters: bytes, or units of UTF-16.
    length: usize,
}

/// The flag of a text in UTF-16. Other texts are ASCII.
const UTF_16: u32 = 0x10;

/// Nothing: objects of the class are not made here.
pub(crate) struct Constant;

soft_class! {
    /// The class of these strings.
    #[unsafe(no_mangle)]
    pub(crate) class __CFConstantStringClassReference(Constant): NSString, kind Immortal, named "__NSCFConstantString";
    // Programs make strings of the class of a string.
    [class] = |_: Id| Text::class().handle();
}

impl Layout {
    /// The string of ours.
    fn string(&self) -> Strong<Text> {
        // The compiler has written the address and the length.
        let text = match self.flags & UTF_16 {
            0 => Text::from_bytes(self.text.cast(), self.length, UTF8),
            _ => Text::from_characters(self.text.cast(), self.length),
        };
        Strong::new(text.unwrap_or_default())
    }
}

/// The string of ours that has the text of a constant string; `None` for an object of another class. It lives for ever.
///
/// # Safety
///
/// `object` is an object, not nil.
pub(super) unsafe fn stand_in(object: Id) -> Option<&'static Object<Text>> {
    // SAFETY: the caller's.
    if !std::ptr::eq(unsafe { class_of(object) }, Constant::class()) {
        return None;
    }
    // SAFETY: only the compiler makes objects of the class.
    let layout = unsafe { object.as_ptr().cast::<Layout>().as_ref() }?;
    // Another library's string may be at the address of one that is no longer loaded.
    let key = [object.as_ptr().addr(), layout.text.addr(), layout.length];
    Some(object::stand_in(key, || layout.string()))
}
