//! libdispatch's functions for sources, which only other programs call.

use super::dispatch::{GLOBAL_QUEUE, time};
use super::entry::{Function, held};
use super::source::{Cause, Handler, Source};
use crate::abi::{Id, Imp};
use crate::soft::runtime::object::{Object, Retained};
use std::ffi::c_void;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// # Safety
///
/// `object` is nil or an object that lives for `'a`.
unsafe fn source<'a>(object: Id) -> Option<&'a Object<Source>> {
    // SAFETY: the caller's.
    unsafe { Object::from_id(object) }
}

/// # Safety
///
/// `block` is null or a block.
unsafe fn block_handler(block: *const c_void) -> Option<Handler> {
    // SAFETY: the caller's.
    let block = unsafe { held(block) }?;
    Some(Arc::new(move |_| {
        // SAFETY: the block of a handler takes nothing.
        unsafe {
            let call = std::mem::transmute::<Imp, unsafe extern "C" fn(Id)>(block.invoke());
            call(block.id());
        }
    }))
}

fn function_handler(function: Option<Function>) -> Option<Handler> {
    let function = function?;
    // SAFETY: the program has set the context for the function.
    Some(Arc::new(move |context: Id| unsafe { function(context.as_ptr()) }))
}

/// A new source, which is suspended: a timer, or data that is merged. nil for other kinds.
pub(crate) unsafe extern "C" fn dispatch_source_create(
    kind: *const c_void,
    _handle: usize,
    _mask: usize,
    queue: Id,
) -> Id {
    let queue = if queue.is_nil() { GLOBAL_QUEUE.id() } else { queue };
    // SAFETY: the caller passes a queue that lives.
    let both = Cause::of(kind).zip(unsafe { Retained::retain(queue) });
    both.map_or(Id::NIL, |(cause, queue)| Source::object(cause, queue).into_retained().into_owned())
}

/// Writes functions that do something with a source, and return a default without one.
macro_rules! of_source {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $ty:ty),*) $(-> $result:ty)? |$source:ident| $body:expr;)+) => {$(
        $(#[$doc])*
        pub(crate) unsafe extern "C" fn $name(object: Id $(, $argument: $ty)*) $(-> $result)? {
            // SAFETY: the caller passes an object that lives, or nil.
            unsafe { source(object) }.map_or_else(Default::default, |$source| $body)
        }
    )+};
}

of_source! {
    /// Sets the block that is called when a source has data.
    dispatch_source_set_event_handler(block: *const c_void)
        // SAFETY: the caller passes null or a block.
        |source| source.set_event(unsafe { block_handler(block) });
    /// Sets the function that is called with the context of a source when that has data.
    dispatch_source_set_event_handler_f(function: Option<Function>)
        |source| source.set_event(function_handler(function));
    /// Sets the block that is called when a source has been cancelled.
    dispatch_source_set_cancel_handler(block: *const c_void)
        // SAFETY: the caller passes null or a block.
        |source| source.set_end(unsafe { block_handler(block) });
    /// Sets the function that is called with the context of a source when that has been cancelled.
    dispatch_source_set_cancel_handler_f(function: Option<Function>)
        |source| source.set_end(function_handler(function));
    /// Sets the time at which a timer fires, and the nanoseconds between that and the next time.
    dispatch_source_set_timer(start: u64, interval: u64, _leeway: u64)
        |source| source.set_timer(start, interval);
    /// Merges a value into the data of a source.
    dispatch_source_merge_data(value: usize) |source| source.merge(value);
    /// The data that the handler was called for, or how often a timer has fired.
    dispatch_source_get_data() -> usize |source| source.data();
    /// The handle of a source: these kinds have none.
    dispatch_source_get_handle() -> usize |_source| 0;
    /// The mask of a source: these kinds have none.
    dispatch_source_get_mask() -> usize |_source| 0;
    /// Ends a source: its handler is not called any more.
    dispatch_source_cancel() |source| source.cancel();
    /// Whether a source has been cancelled.
    dispatch_source_testcancel() -> isize |source| isize::from(source.is_cancelled());
}

/// `timespec`.
#[repr(C)]
pub(crate) struct ClockTime {
    seconds: i64,
    nanoseconds: i64,
}

/// The time of libdispatch that is some nanoseconds after a time of the clock, or after now.
pub(crate) unsafe extern "C" fn dispatch_walltime(when: *const ClockTime, delta: i64) -> u64 {
    // SAFETY: the caller passes null or the address of a time.
    let from_now = unsafe { when.as_ref() }.map_or(0, |when| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        let second = Duration::from_secs(1).as_nanos() as i64;
        when.seconds.saturating_mul(second).saturating_add(when.nanoseconds).saturating_sub(now)
    });
    time(0, from_now.saturating_add(delta))
}
