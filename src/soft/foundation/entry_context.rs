//! libdispatch's functions that keep a program's own values with objects and queues, that suspend queues, and that say on
//! which queue a thread is. Only other programs call them.

use super::NSObject;
use super::dispatch::{Queue, current_queues};
use super::entry::{
    Function, dispatch_barrier_sync, dispatch_barrier_sync_f, dispatch_sync, dispatch_sync_f,
};
use super::source::Source;
use crate::abi::Id;
use crate::soft::fork::lock;
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::entry::{
    objc_autoreleasePoolPop, objc_autoreleasePoolPush, objc_getAssociatedObject,
    objc_setAssociatedObject,
};
use crate::soft::runtime::fatal::fatal;
use crate::soft::runtime::object::{Object, Strong};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Mutex;

/// A value, and the function that is called with it at its end.
#[derive(Clone, Copy, Default)]
struct Own {
    /// The value's address.
    value: usize,
    end: Option<Function>,
}

/// The values that a program keeps with an object: its context, under the key 0, and those of a queue's keys.
#[derive(Default)]
pub(crate) struct Context(Mutex<HashMap<usize, Own>>);

soft_class! {
    /// The values that a program keeps with an object of libdispatch. It is associated with the object, and ends with it.
    pub(crate) class OS_dispatch_context(Context): NSObject;
}

impl Own {
    fn pointer(self) -> *mut c_void {
        std::ptr::with_exposed_provenance_mut(self.value)
    }

    fn end(self) {
        if let Some(end) = self.end.filter(|_| self.value != 0) {
            // SAFETY: the program has set the function for the value.
            unsafe { end(self.pointer()) }
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let all = std::mem::take(self.0.get_mut().unwrap_or_else(|poison| poison.into_inner()));
        all.into_values().for_each(Own::end);
    }
}

/// The key of the association. Only its address is used.
static KEY: u8 = 0;

/// Reads or changes the values of an object. None for nil.
///
/// # Safety
///
/// `object` is nil or an object that lives.
unsafe fn with<R>(object: Id, change: impl FnOnce(&mut HashMap<usize, Own>) -> R) -> Option<R> {
    const RETAIN: usize = 0o1401;
    static MAKING: Mutex<()> = Mutex::new(());
    if object.is_nil() {
        return None;
    }
    let key = (&raw const KEY).cast();
    let making = lock(&MAKING);
    // SAFETY: the caller's. The pool has a reference to what is found, and is ended by the thread that began it.
    let context = unsafe {
        let pool = objc_autoreleasePoolPush();
        let found = Object::<Context>::from_id(objc_getAssociatedObject(object, key));
        let context = found.map_or_else(
            || {
                let new = Strong::new(Context::default());
                objc_setAssociatedObject(object, key, new.id(), RETAIN);
                new
            },
            Object::retain,
        );
        objc_autoreleasePoolPop(pool);
        context
    };
    drop(making);
    Some(change(&mut lock(&context.0)))
}

/// Sets the context of an object.
pub(crate) unsafe extern "C" fn dispatch_set_context(object: Id, context: *mut c_void) {
    let value = context.expose_provenance();
    // SAFETY: the caller passes an object that lives.
    unsafe {
        with(object, |all| all.entry(0).or_default().value = value);
        if let Some(source) = Object::<Source>::from_id(object) {
            source.set_context(Id::from_ptr(context));
        }
    }
}

/// The context of an object. Null without one.
pub(crate) unsafe extern "C" fn dispatch_get_context(object: Id) -> *mut c_void {
    // SAFETY: as above.
    unsafe { with(object, |all| all.entry(0).or_default().pointer()) }.unwrap_or_default()
}

/// Sets the function that is called with the context of an object when that ends.
pub(crate) unsafe extern "C" fn dispatch_set_finalizer_f(object: Id, end: Option<Function>) {
    // SAFETY: as above.
    unsafe { with(object, |all| all.entry(0).or_default().end = end) };
}

/// Sets the value of a queue for a key, and the function that is called with it when another one is set or the queue ends.
pub(crate) unsafe extern "C" fn dispatch_queue_set_specific(
    queue: Id,
    key: *const c_void,
    value: *mut c_void,
    end: Option<Function>,
) {
    // The entry without a key is the context.
    if key.is_null() {
        return;
    }
    let own = Own { value: value.expose_provenance(), end };
    // SAFETY: as above.
    let old = unsafe { with(queue, |all| all.insert(key.addr(), own)) };
    old.flatten().into_iter().for_each(Own::end);
}

/// The value of a queue for a key. Null without one.
pub(crate) unsafe extern "C" fn dispatch_queue_get_specific(
    queue: Id,
    key: *const c_void,
) -> *mut c_void {
    if key.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: as above.
    let own = unsafe { with(queue, |all| all.get(&key.addr()).copied()) };
    own.flatten().unwrap_or_default().pointer()
}

/// The value for a key of the queue that this thread is on, or of its targets. Null without one.
pub(crate) unsafe extern "C" fn dispatch_get_specific(key: *const c_void) -> *mut c_void {
    // SAFETY: the queues are alive.
    let value = |queue: Id| unsafe { dispatch_queue_get_specific(queue, key) };
    current_queues()
        .map(|queue| value(queue.id()))
        .find(|value| !value.is_null())
        .unwrap_or_default()
}

fn is_current(queue: Id) -> bool {
    current_queues().any(|current| current.id() == queue)
}

/// Ends the program unless this thread runs a job of the queue.
pub(crate) unsafe extern "C" fn dispatch_assert_queue(queue: Id) {
    if !is_current(queue) {
        fatal(format_args!("dispatch_assert_queue: the thread is not on the queue"));
    }
}

/// Ends the program if this thread runs a job of the queue.
pub(crate) unsafe extern "C" fn dispatch_assert_queue_not(queue: Id) {
    if is_current(queue) {
        fatal(format_args!("dispatch_assert_queue_not: the thread is on the queue"));
    }
}

/// Activates a source. Queues are active from the beginning.
pub(crate) unsafe extern "C" fn dispatch_activate(object: Id) {
    // SAFETY: the caller passes an object that lives, or nil.
    if let Some(source) = unsafe { Object::<Source>::from_id(object) } {
        source.activate();
    }
}

/// Stops a queue from starting jobs, or a source from calling its handler, until it is resumed as often. Main and global
/// queues go on.
pub(crate) unsafe extern "C" fn dispatch_suspend(object: Id) {
    // SAFETY: the caller passes an object that lives, or nil.
    match unsafe { (Object::<Queue>::from_id(object), Object::<Source>::from_id(object)) } {
        (Some(queue), _) => queue.suspend(),
        (_, Some(source)) => source.suspend(),
        _ => {}
    }
}

/// Takes back a call of `dispatch_suspend`.
pub(crate) unsafe extern "C" fn dispatch_resume(object: Id) {
    // SAFETY: the caller passes an object that lives, or nil.
    match unsafe { (Object::<Queue>::from_id(object), Object::<Source>::from_id(object)) } {
        (Some(queue), _) => Queue::resume(queue),
        (_, Some(source)) => source.resume(),
        _ => {}
    }
}

/// Writes functions that do what others do: here a job that is waited for always runs on the thread that waits.
macro_rules! same {
    ($($name:ident as $other:ident ($($argument:ident: $ty:ty),*);)+) => {$(
        #[doc = concat!("`", stringify!($other), "` under another name.")]
        pub(crate) unsafe extern "C" fn $name($($argument: $ty),*) {
            // SAFETY: the caller's.
            unsafe { $other($($argument),*) }
        }
    )+};
}

same! {
    dispatch_async_and_wait as dispatch_sync(queue: Id, block: *const c_void);
    dispatch_async_and_wait_f as dispatch_sync_f(queue: Id, argument: *mut c_void, function: Function);
    dispatch_barrier_async_and_wait as dispatch_barrier_sync(queue: Id, block: *const c_void);
    dispatch_barrier_async_and_wait_f as dispatch_barrier_sync_f(
        queue: Id, argument: *mut c_void, function: Function
    );
}
