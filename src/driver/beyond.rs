//! Messages beyond Metal's API, which only the classes of soft Metal implement.
//!
//! Their selectors begin with `aruminium`. They are sent like any other message: whether the object on the
//! other side responds to a selector is checked first, so that a program runs with either Metal.

use super::error::GpuError;
use crate::abi::Sel;
use crate::objc::{ObjcClass, link};

/// Returns an error unless the object responds to a selector.
pub(super) fn supports<T: ObjcClass>(
    object: &T,
    selector: Sel,
    what: &str,
) -> Result<(), GpuError> {
    // SAFETY: a wrapped object is alive and has a class.
    let answers = unsafe {
        link::class_respondsToSelector(link::object_getClass(object.as_raw()), selector).get()
    };
    match answers {
        true => Ok(()),
        false => Err(GpuError::Unsupported(format!("{what}; only soft Metal has it"))),
    }
}
