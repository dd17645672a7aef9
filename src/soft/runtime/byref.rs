//! `__block` variables: shared by a function and the blocks that use them, moved to the heap with the first copy
//! of such a block.
//!
//! Layout and flags are those of clang's Blocks ABI. A variable begins with a header; its `forwarding` field
//! is the address of the variable that all code uses: itself on the stack, the copy afterwards.

use super::block::{self, Block};
use super::fatal::fatal;
use super::object;
use crate::abi::Id;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering::*};

/// The header of a `__block` variable.
#[repr(C)]
pub(super) struct Variable {
    isa: *const c_void,
    forwarding: *mut Variable,
    flags: AtomicI32,
    size: u32,
    /// These two exist if `HAS_COPY_DISPOSE` is set.
    keep: unsafe extern "C" fn(*mut Variable, *mut Variable),
    destroy: unsafe extern "C" fn(*mut Variable),
}

/// Twice the number of owners.
const COUNT: i32 = 0xfffe;
const ONE: i32 = 2;
/// The variable is on the heap.
const NEEDS_FREE: i32 = 1 << 24;
const HAS_COPY_DISPOSE: i32 = 1 << 25;
/// The size of the header without the helpers.
const HEADER: usize = std::mem::offset_of!(Variable, keep);

/// The kind of a captured value: the flags that the compiler passes to the two functions below.
const IS_OBJECT: c_int = 3;
const IS_BLOCK: c_int = 7;
const IS_VARIABLE: c_int = 8;
const IS_WEAK: c_int = 16;
/// The value is in a `__block` variable, which does not own it.
const IN_VARIABLE: c_int = 128;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

/// Copies a captured value into a block that is being copied: `_Block_object_assign`.
///
/// # Safety
///
/// `value` is what the flags say, `to` the address of the copy's field.
pub(super) unsafe fn assign(to: *mut *const c_void, value: *const c_void, flags: c_int) {
    // SAFETY: the caller's.
    unsafe {
        *to = match flags & !IS_WEAK {
            IS_OBJECT => object::retain(Id::from_ptr(value.cast_mut())).as_ptr(),
            IS_BLOCK => block::copy(value.cast::<Block>()),
            IS_VARIABLE => copy(value.cast_mut().cast()).cast(),
            _ if flags & IN_VARIABLE != 0 => value.cast_mut(),
            _ => fatal(format_args!("_Block_object_assign: unknown flags {flags:#x}")),
        };
    }
}

/// Releases a captured value of a block that is being disposed of: `_Block_object_dispose`.
///
/// # Safety
///
/// `value` is what the flags say, and owned.
pub(super) unsafe fn dispose(value: *const c_void, flags: c_int) {
    // SAFETY: the caller's.
    unsafe {
        match flags & !IS_WEAK {
            IS_OBJECT => object::release(Id::from_ptr(value.cast_mut())),
            IS_BLOCK => block::release(value.cast::<Block>()),
            IS_VARIABLE => release(value.cast_mut().cast()),
            _ if flags & IN_VARIABLE != 0 => {}
            _ => fatal(format_args!("_Block_object_dispose: unknown flags {flags:#x}")),
        }
    }
}

/// Moves a variable to the heap, or adds an owner to one that is there.
///
/// # Safety
///
/// `variable` is a `__block` variable.
unsafe fn copy(variable: *mut Variable) -> *mut Variable {
    // SAFETY: the caller's. A variable on the stack is used by one thread only.
    unsafe {
        let shared = (*variable).forwarding;
        if (*shared).flags.load(Relaxed) & NEEDS_FREE != 0 {
            let more = |flags| (flags & COUNT != COUNT).then_some(flags + ONE);
            let _ = (*shared).flags.fetch_update(Relaxed, Relaxed, more);
            return shared;
        }
        let (size, flags) = ((*shared).size as usize, (*shared).flags.load(Relaxed));
        let new = malloc(size).cast::<Variable>();
        if new.is_null() || size < HEADER {
            fatal(format_args!("_Block_object_assign: no memory for a variable of {size} bytes"));
        }
        std::ptr::copy_nonoverlapping(shared.cast::<u8>(), new.cast::<u8>(), size);
        (*new).isa = std::ptr::null();
        // The owners are the block and the function whose variable it was.
        (*new).flags = AtomicI32::new((flags & !COUNT) | NEEDS_FREE | (2 * ONE));
        (*new).forwarding = new;
        (*shared).forwarding = new;
        if flags & HAS_COPY_DISPOSE != 0 {
            ((*new).keep)(new, shared);
        }
        new
    }
}

/// Removes an owner. The last one's removal frees the variable.
///
/// # Safety
///
/// `variable` is null or a `__block` variable that the caller owns.
unsafe fn release(variable: *mut Variable) {
    if variable.is_null() {
        return;
    }
    // SAFETY: the caller's.
    unsafe {
        let shared = (*variable).forwarding;
        let flags = &(*shared).flags;
        if flags.load(Relaxed) & NEEDS_FREE == 0 {
            return;
        }
        let less = |flags| (flags & COUNT != COUNT && flags & COUNT != 0).then_some(flags - ONE);
        if let Ok(before) = flags.fetch_update(AcqRel, Relaxed, less)
            && before & COUNT == ONE
        {
            if before & HAS_COPY_DISPOSE != 0 {
                ((*shared).destroy)(shared);
            }
            free(shared.cast());
        }
    }
}
