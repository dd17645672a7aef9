//! Selectors: names interned, so that equal names are equal pointers.
//!
//! A selector is the address of a 16-byte entry of one arena. The addresses are consecutive, so that
//! `address >> 4` is a sequential number, which method caches use as the hash.

use super::lock::{Guarded, Lock};
use crate::abi::Sel;
use std::collections::HashMap;
use std::ffi::CStr;

/// The target of a selector. The text is written once and read under the lock only: a selector may
/// reach a thread through a relaxed load, which orders nothing.
#[repr(C, align(16))]
struct Entry(Guarded<Option<&'static CStr>>);

/// How many selectors the arena holds. Metal has 3,300; the memory is zero pages until it is used.
/// Selectors beyond the arena are allocated one by one, and merely hash less well.
const ARENA: usize = 1 << 16;

static ENTRIES: [Entry; ARENA] = [const { Entry(Guarded::new(None)) }; ARENA];

impl Entry {
    fn selector(&'static self) -> Sel {
        Sel::from_ptr(std::ptr::from_ref(self).cast_mut().cast())
    }
}

/// The selectors that have been registered.
#[derive(Default)]
pub(super) struct Selectors(HashMap<&'static CStr, Sel>);

/// Declares the selectors that the runtime itself sends. They are the arena's first entries, so
/// their addresses are constants.
macro_rules! known {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// The selectors that the runtime itself sends.
        pub(crate) mod known {
            use crate::abi::Sel;
            use std::ffi::CStr;

            #[allow(non_camel_case_types)] // The same name as the function.
            enum Index { $($name),+ }

            pub(super) const ALL: &[&CStr] = &[$($text),+];
            $(
                pub(crate) fn $name() -> Sel {
                    super::ENTRIES[Index::$name as usize].selector()
                }
            )+
        }
    };
}

known! {
    alloc = c"alloc",
    copy = c"copy",
    copy_with_zone = c"copyWithZone:",
    dealloc = c"dealloc",
    description = c"description",
    hash = c"hash",
    init = c"init",
    init_with_string = c"initWithString:",
    is_equal = c"isEqual:",
    release = c"release",
    responds_to_selector = c"respondsToSelector:",
    retain = c"retain",
    signature_with_types = c"signatureWithObjCTypes:",
    string_with_utf8_string = c"stringWithUTF8String:",
}

/// Registers the known selectors, as the first ones.
pub(super) fn intern_known(lock: &mut Lock) {
    for name in known::ALL {
        intern(name, lock);
    }
}

/// The selector of a name that has been registered. Declared methods register theirs when the class's links are made; call
/// `ClassData::links` first.
pub(super) fn registered(name: &CStr, lock: &Lock) -> Option<Sel> {
    lock.selectors.0.get(name).copied()
}

/// The selector of a name.
pub(super) fn intern(name: &CStr, lock: &mut Lock) -> Sel {
    if let Some(&selector) = lock.selectors.0.get(name) {
        return selector;
    }
    let name: &'static CStr = Box::leak(name.into());
    let entry = match ENTRIES.get(lock.selectors.0.len()) {
        Some(entry) => entry,
        None => Box::leak(Box::new(Entry(Guarded::new(None)))),
    };
    *entry.0.get_mut(lock) = Some(name);
    lock.selectors.0.insert(name, entry.selector());
    entry.selector()
}

/// The name of a selector; none for nil.
pub(super) fn name(selector: Sel) -> Option<&'static CStr> {
    let lock = Lock::take();
    // SAFETY: a selector that is not nil is the address of an entry, and entries live for ever.
    let entry = unsafe { selector.as_ptr().cast::<Entry>().as_ref()? };
    *entry.0.get(&lock)
}
