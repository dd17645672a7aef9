//! C functions of libdispatch and CoreFoundation. All that take pointers require what those libraries require.

#![allow(clippy::missing_safety_doc)] // Said once, above.

use super::data::{self, Bytes};
use super::dispatch::{
    _dispatch_queue_attr_concurrent, AnyQueue, GLOBAL_QUEUE, Queue, Semaphore, Work, block_work,
    instant, run_main, time,
};
use crate::abi::Id;
use crate::soft::runtime::block::{BlockRef, HeldBlock};
use crate::soft::runtime::entry::{objc_release, objc_retain};
use crate::soft::runtime::object::{Object, Retained};
use std::ffi::{CStr, c_char, c_void};

/// A function with an argument, as the functions of names in `_f` take it.
pub(crate) type Function = unsafe extern "C" fn(*mut c_void);

/// Wraps bytes in an object, as libdispatch does. They are always copied, so the destructor is called at
/// once. The object is an `NSData`.
pub unsafe extern "C" fn dispatch_data_create(
    bytes: *const c_void,
    length: usize,
    _queue: Id,
    destructor: *const c_void,
) -> Id {
    // SAFETY: the caller passes that many bytes and, unless it is null, a block.
    unsafe {
        let data = data::copy_of(bytes, length);
        #[cfg(feature = "export")]
        if super::entry_clients::destroyed(bytes, length, destructor) {
            return data;
        }
        if let Some(block) = held(destructor) {
            block_work(block)();
        }
        data
    }
}

/// How many bytes a data object has.
pub unsafe extern "C" fn dispatch_data_get_size(data: Id) -> usize {
    // SAFETY: the caller passes an object that lives.
    unsafe { bytes(data) }.len()
}

/// The bytes of a data object in one piece, and an object that keeps them alive.
pub unsafe extern "C" fn dispatch_data_create_map(
    data: Id,
    start: *mut *const c_void,
    length: *mut usize,
) -> Id {
    // SAFETY: the caller passes an object that lives, and null or addresses of variables.
    unsafe {
        let bytes = bytes(data);
        if !start.is_null() {
            *start = bytes.as_ptr().cast();
        }
        if !length.is_null() {
            *length = bytes.len();
        }
        objc_retain(data)
    }
}

/// # Safety
///
/// `data` is nil or an object that lives for `'a`.
pub(super) unsafe fn bytes<'a>(data: Id) -> &'a [u8] {
    // SAFETY: the caller's.
    let data = unsafe { Object::<Bytes>::from_id(data) };
    data.map_or(&[], |data| data.as_slice())
}

/// Retains an object of libdispatch.
pub unsafe extern "C" fn dispatch_retain(object: Id) {
    // SAFETY: the caller's.
    unsafe { objc_retain(object) };
}

/// Releases an object of libdispatch.
pub unsafe extern "C" fn dispatch_release(object: Id) {
    // SAFETY: the caller's.
    unsafe { objc_release(object) }
}

/// Retains an object of CoreFoundation.
pub unsafe extern "C" fn CFRetain(object: Id) -> Id {
    // SAFETY: the caller's.
    unsafe { objc_retain(object) }
}

/// Releases an object of CoreFoundation.
pub unsafe extern "C" fn CFRelease(object: Id) {
    // SAFETY: the caller's.
    unsafe { objc_release(object) }
}

/// A new queue: concurrent if the attribute says so, else serial.
pub unsafe extern "C" fn dispatch_queue_create(label: *const c_char, attribute: Id) -> Id {
    // SAFETY: the caller's.
    unsafe { new_queue(label, attribute, None) }
}

/// # Safety
///
/// `label` is null or a C string.
pub(super) unsafe fn new_queue(
    label: *const c_char,
    attribute: Id,
    target: Option<Retained>,
) -> Id {
    // SAFETY: the caller's.
    let label = if label.is_null() { c"" } else { unsafe { CStr::from_ptr(label) } };
    let concurrent = attribute == _dispatch_queue_attr_concurrent.id();
    Queue::object(label, concurrent, target).into_retained().into_owned()
}

/// The concurrent queue that all share, whatever the priority.
pub unsafe extern "C" fn dispatch_get_global_queue(_priority: isize, _flags: usize) -> Id {
    GLOBAL_QUEUE.id()
}

/// The name of a queue.
pub unsafe extern "C" fn dispatch_queue_get_label(queue: Id) -> *const c_char {
    // SAFETY: the caller passes a queue that lives.
    unsafe { AnyQueue::from_id(queue) }.map_or(c"", |queue| queue.label()).as_ptr()
}

/// # Safety
///
/// `block` is null or a block.
pub(super) unsafe fn held(block: *const c_void) -> Option<HeldBlock> {
    // SAFETY: the caller's.
    unsafe { BlockRef::from_ptr(block) }.hold()
}

/// A function as a job.
pub(super) fn function_work(function: Function, argument: *mut c_void) -> Work {
    let argument = Id::from_ptr(argument);
    // SAFETY: the caller of the C function passed them for each other.
    Box::new(move || unsafe { function({ argument }.as_ptr()) })
}

/// # Safety
///
/// `queue` is nil or an object, `work` what a C function was passed.
unsafe fn submit(queue: Id, work: Option<Work>, wait: bool, barrier: bool) {
    // SAFETY: the caller's.
    let Some((queue, work)) = unsafe { AnyQueue::from_id(queue) }.zip(work) else { return };
    match wait {
        true => queue.wait(work, barrier),
        false => queue.submit(work, barrier),
    }
}

/// Writes the functions that submit a block, and the same for a C function.
macro_rules! submitters {
    ($($(#[$doc:meta])* $block:ident $function:ident: wait $wait:literal, barrier $barrier:literal;)+) => {$(
        $(#[$doc])*
        pub unsafe extern "C" fn $block(queue: Id, block: *const c_void) {
            // SAFETY: the caller's.
            unsafe { submit(queue, held(block).map(block_work), $wait, $barrier) }
        }

        $(#[$doc])*
        pub unsafe extern "C" fn $function(queue: Id, argument: *mut c_void, function: Function) {
            // SAFETY: the caller's.
            unsafe { submit(queue, Some(function_work(function, argument)), $wait, $barrier) }
        }
    )+};
}

submitters! {
    /// Runs a job some time.
    dispatch_async dispatch_async_f: wait false, barrier false;
    /// Runs a job when its turn has come, and returns after it.
    dispatch_sync dispatch_sync_f: wait true, barrier false;
    /// Runs a job alone: after all earlier and before all later ones.
    dispatch_barrier_async dispatch_barrier_async_f: wait false, barrier true;
    /// The same, and returns after it.
    dispatch_barrier_sync dispatch_barrier_sync_f: wait true, barrier true;
}

/// Runs the jobs of the main queue for ever.
pub unsafe extern "C" fn dispatch_main() -> ! {
    run_main()
}

/// The time that is some nanoseconds after another.
pub unsafe extern "C" fn dispatch_time(when: u64, delta: i64) -> u64 {
    time(when, delta)
}

/// A new semaphore.
pub unsafe extern "C" fn dispatch_semaphore_create(count: isize) -> Id {
    Semaphore::object(count).into_retained().into_owned()
}

/// # Safety
///
/// `semaphore` is nil or an object that lives for `'a`.
unsafe fn semaphore<'a>(semaphore: Id) -> Option<&'a Object<Semaphore>> {
    // SAFETY: the caller's.
    unsafe { Object::from_id(semaphore) }
}

/// Takes one from a semaphore. 0, or 1 when the time is over.
pub unsafe extern "C" fn dispatch_semaphore_wait(object: Id, timeout: u64) -> isize {
    // SAFETY: the caller's.
    let semaphore = unsafe { semaphore(object) };
    isize::from(semaphore.is_some_and(|semaphore| !semaphore.wait(instant(timeout))))
}

/// Adds one to a semaphore. Whether a thread waited is not known: always 0.
pub unsafe extern "C" fn dispatch_semaphore_signal(object: Id) -> isize {
    // SAFETY: the caller's.
    if let Some(semaphore) = unsafe { semaphore(object) } {
        semaphore.signal();
    }
    0
}
