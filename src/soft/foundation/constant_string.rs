//! Strings that a C compiler lays out: those of `CFSTR`, and of metal-cpp's `MTLSTR`.
//!
//! The compiler writes the class, flags, the address of the text and its length, where our own strings have a count and a
//! text of their own. Methods of NSString get a string of ours with the same text in its place.

use super::Text;
use super::string::{NSString, UTF8};
use crate::abi::Id;
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::object::{Object, SoftClass, Strong, class_of};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::{LazyLock, Mutex, PoisonError};

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
    static ALL: LazyLock<Mutex<HashMap<usize, Strong<Text>>>> = LazyLock::new(Mutex::default);
    // SAFETY: the caller's.
    if !std::ptr::eq(unsafe { class_of(object) }, Constant::class()) {
        return None;
    }
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let string = all.entry(object.as_ptr().addr()).or_insert_with(|| {
        // SAFETY: only the compiler makes objects of the class.
        unsafe { object.as_ptr().cast::<Layout>().as_ref() }
            .map(Layout::string)
            .unwrap_or_else(|| Text::object(""))
    });
    let string: NonNull<Object<Text>> = NonNull::from(&**string);
    // SAFETY: the table never releases it.
    Some(unsafe { string.as_ref() })
}
