//! Autorelease pools: each thread has a stack of objects that are released when their pool is popped.
//!
//! The object that `objc_autoreleaseReturnValue` adds last is not on the stack yet but in a place of its own above it, from which
//! `objc_retainAutoreleasedReturnValue` takes it instead of retaining the object once more. That is sound because a
//! method that returns an object at +0 always adds it anew: what is there was added for this very return. Every other use of the
//! stack moves it there first.

use super::fatal::fatal;
use super::object::{release, retain};
use crate::abi::Id;
use crate::soft::system::is_main_thread;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;

/// How many entries a page of 4 KiB has.
const PAGE: usize = 4096 / size_of::<usize>();

/// An object, or the marker at which a pool begins.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(*mut c_void);

impl Entry {
    /// Where a pool begins. No object is at nil.
    const POOL: Self = Self(std::ptr::null_mut());

    fn object(self) -> Id {
        Id::from_ptr(self.0)
    }
}

/// The pools of a thread: full pages, one that is being filled, and perhaps an empty spare one.
struct Stack {
    pages: Vec<Box<[Entry; PAGE]>>,
    length: usize,
    /// Where the pools begin.
    begins: Vec<usize>,
}

impl Stack {
    fn push(&mut self, entry: Entry) {
        if self.length == self.pages.len() * PAGE {
            self.pages.push(Box::new([Entry::POOL; PAGE]));
        }
        if entry == Entry::POOL {
            self.begins.push(self.length);
        }
        self.pages[self.length / PAGE][self.length % PAGE] = entry;
        self.length += 1;
    }

    fn get(&self, index: usize) -> Option<Entry> {
        (index < self.length).then(|| self.pages[index / PAGE][index % PAGE])
    }

    /// Takes the top entry off, and frees pages but one that are no longer needed.
    fn pop(&mut self) -> Option<Entry> {
        let top = self.get(self.length.checked_sub(1)?);
        self.length -= 1;
        if top == Some(Entry::POOL) {
            self.begins.pop();
        }
        self.pages.truncate(self.length / PAGE + 2);
        top
    }
}

thread_local! {
    // Without a destructor, so that destructors of other thread-locals can use it.
    static STACK: RefCell<std::mem::ManuallyDrop<Stack>> =
        const { RefCell::new(std::mem::ManuallyDrop::new(Stack { pages: Vec::new(), length: 0, begins: Vec::new() })) };
    /// The object that a method has just returned, or null.
    static RETURNED: Cell<*mut c_void> = const { Cell::new(std::ptr::null_mut()) };
    /// Whether the destructor of `AT_EXIT` is registered.
    static DRAINS: Cell<bool> = const { Cell::new(false) };
    static AT_EXIT: DrainAtExit = const { DrainAtExit(Cell::new(false)) };
}

/// Releases what is left on the stack when a thread ends. The main thread's objects stay, as in Apple's
/// runtime: it ends with the process, whose exit handlers may have run already. Objects that destructors of other thread-locals
/// autorelease after that are never released.
struct DrainAtExit(Cell<bool>);

impl Drop for DrainAtExit {
    fn drop(&mut self) {
        if is_main_thread() {
            return;
        }
        drain_to(0);
        STACK.with_borrow_mut(|stack| (stack.pages, stack.begins) = (Vec::new(), Vec::new()));
    }
}

/// The first use registers the destructor.
#[inline]
fn register() {
    if !DRAINS.replace(true) {
        // After it has run, this does nothing.
        let _ = AT_EXIT.try_with(|drain| drain.0.set(true));
    }
}

/// Moves the object that was returned last to the stack.
#[inline]
fn settle() {
    let object = RETURNED.replace(std::ptr::null_mut());
    if !object.is_null() {
        STACK.with_borrow_mut(|stack| stack.push(Entry(object)));
    }
}

fn push(entry: Entry) {
    register();
    settle();
    STACK.with_borrow_mut(|stack| stack.push(entry));
}

/// Releases everything from the top down to `length`, and what is autoreleased meanwhile.
fn drain_to(length: usize) {
    // The stack is not borrowed while an object is released: its deallocation may use the stack.
    let pop = || {
        settle();
        STACK.with_borrow_mut(|stack| (stack.length > length).then(|| stack.pop())?)
    };
    while let Some(entry) = pop() {
        // SAFETY: an object on the stack is owned by it; nil, where a pool begins, is nothing.
        unsafe { release(entry.object()) }
    }
}

/// Begins a pool. The token is the index of its first entry, counted from one.
pub(super) fn push_pool() -> *mut c_void {
    push(Entry::POOL);
    std::ptr::without_provenance_mut(STACK.with_borrow(|stack| stack.length))
}

/// Whether objects that are autoreleased now go to this pool of the thread.
pub(crate) fn is_innermost(token: *mut c_void) -> bool {
    STACK.with_borrow(|stack| stack.begins.last().map(|begin| begin + 1)) == Some(token.addr())
}

/// Ends a pool, and the pools that began after it.
pub(super) fn pop_pool(token: *mut c_void) {
    let begin = token.addr().wrapping_sub(1);
    if STACK.with_borrow(|stack| stack.get(begin)) != Some(Entry::POOL) {
        fatal(format_args!("objc_autoreleasePoolPop: {token:p} is not a pool of this thread"));
    }
    drain_to(begin);
}

/// Moves an owned object to the innermost pool; without one it is released when the thread ends.
///
/// # Safety
///
/// `object` is nil or an object that the caller owns and passes ownership of.
pub(crate) unsafe fn autorelease(object: Id) -> Id {
    if !object.is_nil() {
        push(Entry(object.as_ptr()));
    }
    object
}

/// The same for an object that a method is about to return.
///
/// # Safety
///
/// As for [`autorelease`].
pub(crate) unsafe fn autorelease_return_value(object: Id) -> Id {
    if !object.is_nil() {
        register();
        settle();
        RETURNED.set(object.as_ptr());
    }
    object
}

/// Retains what a method has just returned, or takes it out of the pool.
///
/// # Safety
///
/// `object` is nil or an object, and was returned by the last message that was sent.
pub(super) unsafe fn retain_autoreleased_return_value(object: Id) -> Id {
    let taken = RETURNED.get() == object.as_ptr();
    if taken {
        RETURNED.set(std::ptr::null_mut());
    }
    // SAFETY: the caller's. The count of what is taken passes to the caller; nil has none.
    if taken { object } else { unsafe { retain(object) } }
}

/// Leaves an object that a method has just returned in its pool: callers of later messages cannot take it
/// out.
pub(super) fn leave(object: Id) {
    if RETURNED.get() == object.as_ptr() {
        settle();
    }
}

/// How many entries and pages the thread has, for tests.
#[cfg(test)]
pub(super) fn extent() -> (usize, usize) {
    let returned = usize::from(!RETURNED.get().is_null());
    STACK.with_borrow(|stack| (stack.length + returned, stack.pages.len()))
}
