//! C functions of libdispatch that only other programs call. All that take pointers require what that library requires.

#![allow(clippy::missing_safety_doc)] // Said once, above.

use super::data::copy_of;
use super::dispatch::{
    _dispatch_data_empty, AnyQueue, OS_dispatch_queue_main, Queue, StaticObject, block_work,
    instant,
};
use super::entry::{Function, bytes, function_work, held, new_queue};
use super::group::{Group, apply, later, once};
use crate::abi::{Bool, Id, Imp};
use crate::soft::runtime::block::BlockRef;
use crate::soft::runtime::entry::objc_retain;
use crate::soft::runtime::object::{Object, Retained};
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::AtomicIsize;

/// Constants that `dispatch_data_create` accepts instead of a block; they stand for functions of C's library. Only their addresses are used.
static FREE: StaticObject = StaticObject::new(&OS_dispatch_queue_main.class);
static UNMAP: StaticObject = StaticObject::new(&OS_dispatch_queue_main.class);

/// Frees the bytes when `malloc` has returned them.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)] // C's name.
pub(super) static _dispatch_data_destructor_free: &StaticObject = &FREE;

/// Unmaps the pages.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)] // C's name.
pub(super) static _dispatch_data_destructor_munmap: &StaticObject = &UNMAP;

/// Destroys bytes that have been copied, if the destructor is one of the two above.
///
/// # Safety
///
/// The destructor may be called for the bytes.
pub(super) unsafe fn destroyed(
    bytes: *const c_void,
    length: usize,
    destructor: *const c_void,
) -> bool {
    unsafe extern "C" {
        fn free(memory: *mut c_void);
        fn munmap(memory: *mut c_void, length: usize) -> c_int;
    }
    let destructor = Id::from_ptr(destructor.cast_mut());
    // SAFETY: the caller's.
    unsafe {
        if destructor == FREE.id() {
            free(bytes.cast_mut());
        } else if destructor == UNMAP.id() {
            munmap(bytes.cast_mut(), length);
        } else {
            return false;
        }
    }
    true
}

/// A data object with a copy of bytes, owned by the caller.
fn data(bytes: &[u8]) -> Id {
    // SAFETY: a slice has its bytes.
    unsafe { copy_of(bytes.as_ptr().cast(), bytes.len()) }
}

/// The bytes of one data object and then those of another.
pub(crate) unsafe extern "C" fn dispatch_data_create_concat(one: Id, other: Id) -> Id {
    // SAFETY: the caller passes objects that live.
    unsafe { data(&[bytes(one), bytes(other)].concat()) }
}

/// Some of the bytes of a data object. What is past its end is left out.
pub(crate) unsafe extern "C" fn dispatch_data_create_subrange(
    object: Id,
    offset: usize,
    length: usize,
) -> Id {
    // SAFETY: the caller passes an object that lives.
    let all = unsafe { bytes(object) };
    let rest = &all[offset.min(all.len())..];
    data(&rest[..length.min(rest.len())])
}

/// The piece of a data object that a position is in, and where that begins: all of it.
pub(crate) unsafe extern "C" fn dispatch_data_copy_region(
    data: Id,
    position: usize,
    offset: *mut usize,
) -> Id {
    // SAFETY: the caller passes an object that lives and the address of a variable.
    unsafe {
        *offset = if position < bytes(data).len() { 0 } else { bytes(data).len() };
        if *offset == 0 { objc_retain(data) } else { _dispatch_data_empty.id() }
    }
}

/// Calls a block for each piece of a data object while it returns true: for the only one, if there are bytes.
pub(crate) unsafe extern "C" fn dispatch_data_apply(data: Id, block: *const c_void) -> Bool {
    // SAFETY: the caller passes an object that lives, and a block of this signature.
    unsafe {
        let (bytes, block) = (bytes(data), BlockRef::from_ptr(block));
        let Some(invoke) = block.invoke().filter(|_| !bytes.is_empty()) else {
            return Bool::new(true);
        };
        let call: unsafe extern "C" fn(BlockRef, Id, usize, *const c_void, usize) -> Bool =
            std::mem::transmute::<Imp, _>(invoke);
        call(block, data, 0, bytes.as_ptr().cast(), bytes.len())
    }
}

/// A new queue whose jobs run on another one.
pub(crate) unsafe extern "C" fn dispatch_queue_create_with_target(
    label: *const c_char,
    attribute: Id,
    target: Id,
) -> Id {
    // SAFETY: the caller passes null or a C string, and nil or a queue that lives.
    unsafe { new_queue(label, attribute, Retained::retain(target)) }
}

/// The name under which Apple's headers declare it.
#[unsafe(export_name = "dispatch_queue_create_with_target$V2")]
unsafe extern "C" fn create_with_target(label: *const c_char, attribute: Id, target: Id) -> Id {
    // SAFETY: the caller's.
    unsafe { dispatch_queue_create_with_target(label, attribute, target) }
}

/// Makes the later jobs of a queue run on another one. Other objects have no target.
pub(crate) unsafe extern "C" fn dispatch_set_target_queue(object: Id, target: Id) {
    // SAFETY: the caller passes objects that live, or nil.
    if let Some(queue) = unsafe { Object::<Queue>::from_id(object) } {
        // SAFETY: as above.
        queue.set_target(unsafe { Retained::retain(target) });
    }
}

/// The attribute itself: queues have no priorities here.
pub(crate) unsafe extern "C" fn dispatch_queue_attr_make_with_qos_class(
    attribute: Id,
    _class: u32,
    _priority: c_int,
) -> Id {
    attribute
}

/// The attribute itself: each job of a queue has a pool of its own here.
pub(crate) unsafe extern "C" fn dispatch_queue_attr_make_with_autorelease_frequency(
    attribute: Id,
    _frequency: usize,
) -> Id {
    attribute
}

/// None (`QOS_CLASS_UNSPECIFIED`): queues have no priorities here.
pub(crate) unsafe extern "C" fn dispatch_queue_get_qos_class(
    _queue: Id,
    relative: *mut c_int,
) -> u32 {
    if !relative.is_null() {
        // SAFETY: the caller passes null or an address that may be written.
        unsafe { *relative = 0 }
    }
    0
}

/// Nothing: queues have no priorities here.
pub(crate) unsafe extern "C" fn dispatch_set_qos_class_floor(
    _object: Id,
    _class: u32,
    _relative: c_int,
) {
}

/// A new group.
pub(crate) unsafe extern "C" fn dispatch_group_create() -> Id {
    Group::object().into_retained().into_owned()
}

/// # Safety
///
/// `group` is nil or an object that lives for `'a`.
unsafe fn group<'a>(group: Id) -> Option<&'a Object<Group>> {
    // SAFETY: the caller's.
    unsafe { Object::from_id(group) }
}

/// Adds a job to a group.
pub(crate) unsafe extern "C" fn dispatch_group_enter(object: Id) {
    // SAFETY: the caller passes a group that lives.
    if let Some(group) = unsafe { group(object) } {
        group.enter();
    }
}

/// Removes a job from a group.
pub(crate) unsafe extern "C" fn dispatch_group_leave(object: Id) {
    // SAFETY: the caller passes a group that lives.
    if let Some(group) = unsafe { group(object) } {
        group.leave();
    }
}

/// Waits until a group has no jobs. 0, or 1 when the time is over.
pub(crate) unsafe extern "C" fn dispatch_group_wait(object: Id, timeout: u64) -> isize {
    // SAFETY: the caller passes a group that lives.
    let group = unsafe { group(object) };
    isize::from(group.is_some_and(|group| !group.wait(instant(timeout))))
}

/// Writes a function that takes a block, and the same for a C function: both make a job of it.
macro_rules! jobs {
    ($(
        $(#[$doc:meta])*
        $block:ident $function:ident ($($argument:ident: $ty:ty),*) |$work:ident| $body:block
    )+) => {$(
        $(#[$doc])*
        pub(crate) unsafe extern "C" fn $block($($argument: $ty,)* block: *const c_void) {
            // SAFETY: the caller passes null or a block.
            let Some(block) = (unsafe { held(block) }) else { return };
            let $work = block_work(block);
            $body
        }

        $(#[$doc])*
        pub(crate) unsafe extern "C" fn $function(
            $($argument: $ty,)*
            argument: *mut c_void,
            function: Function,
        ) {
            let $work = function_work(function, argument);
            $body
        }
    )+};
}

jobs! {
    /// Runs a job of a group.
    dispatch_group_async dispatch_group_async_f(object: Id, queue: Id) |work| {
        // SAFETY: the caller passes a group and a queue that live.
        if let Some((group, queue)) = unsafe { group(object).zip(AnyQueue::from_id(queue)) } {
            queue.submit(Group::work(group, work), false);
        }
    }
    /// Runs a job when a group has no jobs.
    dispatch_group_notify dispatch_group_notify_f(object: Id, queue: Id) |work| {
        // SAFETY: the caller passes a group and a queue that live.
        if let Some((group, queue)) = unsafe { group(object).zip(Retained::retain(queue)) } {
            group.notify(Box::new(move || super::run_on(&queue, work)));
        }
    }
    /// Runs a job at a time.
    dispatch_after dispatch_after_f(when: u64, queue: Id) |work| {
        // SAFETY: the caller passes a queue that lives.
        if let Some(queue) = unsafe { Retained::retain(queue) } {
            later(instant(when), Box::new(move || super::run_on(&queue, work)));
        }
    }
    /// Runs a job on this thread unless one was run by the same variable.
    dispatch_once dispatch_once_f(predicate: *mut isize) |work| {
        // SAFETY: the caller passes the address of a variable that is used in this way only.
        once(unsafe { AtomicIsize::from_ptr(predicate) }, work);
    }
}

/// Calls a block with each number below `count`, and returns after that.
pub(crate) unsafe extern "C" fn dispatch_apply(count: usize, queue: Id, block: *const c_void) {
    // SAFETY: the caller passes null or a block of this signature.
    unsafe {
        let Some(block) = held(block) else { return };
        let block = (
            block.id(),
            std::mem::transmute::<Imp, unsafe extern "C" fn(Id, usize)>(block.invoke()),
        );
        apply_on(queue, count, move |number| block.1(block.0, number));
    }
}

/// Calls a function with its argument and each number below `count`, and returns after that.
pub(crate) unsafe extern "C" fn dispatch_apply_f(
    count: usize,
    queue: Id,
    argument: *mut c_void,
    function: unsafe extern "C" fn(*mut c_void, usize),
) {
    let argument = Id::from_ptr(argument);
    // SAFETY: the caller passes them for each other, and nil or a queue that lives.
    unsafe { apply_on(queue, count, move |number| function({ argument }.as_ptr(), number)) }
}

/// Calls a function with each number below `count`: one after the other where the queue has an order.
///
/// # Safety
///
/// `queue` is nil or an object that lives.
unsafe fn apply_on(queue: Id, count: usize, work: impl Fn(usize) + Sync) {
    // SAFETY: the caller's.
    match unsafe { AnyQueue::from_id(queue) }.filter(AnyQueue::is_serial) {
        Some(queue) => queue.wait(|| (0..count).for_each(work), false),
        None => apply(count, work),
    }
}
