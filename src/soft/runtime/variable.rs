//! Instance variables: bytes that classes made at run time add to their objects.

use super::class::ClassData;
use super::object::{VARIABLES_ALIGN, instance_size};
use crate::abi::{Id, Ivar};
use std::ffi::{CStr, CString, c_void};

/// An instance variable. It lives for ever.
pub(super) struct Variable {
    pub(super) name: CString,
    pub(super) types: CString,
    pub(super) offset: usize,
    pub(super) size: usize,
}

impl Variable {
    pub(super) fn handle(&'static self) -> Ivar {
        Ivar::from_ptr(std::ptr::from_ref(self).cast_mut().cast())
    }

    /// # Safety
    ///
    /// The handle is nil or came from [`Variable::handle`].
    pub(super) unsafe fn from_handle(variable: Ivar) -> Option<&'static Self> {
        // SAFETY: the caller's; variables live for ever.
        unsafe { variable.as_ptr().cast::<Self>().as_ref() }
    }

    /// The address of the variable in an object.
    ///
    /// # Safety
    ///
    /// `object` is an object of a class that has the variable.
    pub(super) unsafe fn of(&self, object: Id) -> *mut c_void {
        // SAFETY: the caller's; the object's memory includes its variables.
        unsafe { object.as_ptr().cast::<u8>().add(self.offset).cast() }
    }
}

/// Adds a variable to a class that is not registered yet. `align` is a power of two, given as its logarithm.
/// Returns whether it did.
pub(super) fn add(
    class: &'static ClassData,
    name: &CStr,
    types: &CStr,
    size: usize,
    align: u8,
) -> bool {
    match 1_usize.checked_shl(align.into()) {
        Some(align @ 1..=VARIABLES_ALIGN) => {
            let end = instance_size(class);
            end.checked_add(align + size).is_some()
                && class.add_variable(name, types, end, (size, align))
        }
        _ => false,
    }
}

/// The variable of a name, of the class or the nearest superclass that has one.
pub(super) fn named(class: &'static ClassData, name: &CStr) -> Option<&'static Variable> {
    let of = |class: &'static ClassData| {
        class.own_variables().into_iter().find(|variable| variable.name.as_c_str() == name)
    };
    class.ancestry().find_map(of)
}
