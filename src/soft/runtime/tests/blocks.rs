//! Blocks: copied, counted, disposed of.

use super::*;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering::*};

#[repr(C)]
struct Descriptor {
    reserved: usize,
    size: usize,
    copy: unsafe extern "C" fn(*mut c_void, *const c_void),
    dispose: unsafe extern "C" fn(*const c_void),
}

/// A block of type `void (^)(id, NSUInteger, BOOL *)` that captures an object and a counter.
#[repr(C)]
struct Literal {
    isa: *const c_void,
    flags: i32,
    reserved: i32,
    invoke: unsafe extern "C" fn(*const Literal, Id, usize, *mut Bool),
    descriptor: *const Descriptor,
    object: Id,
    calls: *const AtomicUsize,
}

unsafe extern "C" fn copy(new: *mut c_void, _: *const c_void) {
    // SAFETY: called with a copy of a literal.
    unsafe { objc_retain((*new.cast::<Literal>()).object) };
}

unsafe extern "C" fn dispose(block: *const c_void) {
    // SAFETY: called with a copied literal.
    unsafe { objc_release((*block.cast::<Literal>()).object) }
}

unsafe extern "C" fn invoke(block: *const Literal, _: Id, index: usize, stop: *mut Bool) {
    // SAFETY: the counter outlives the block, `stop` is the caller's variable.
    unsafe {
        (*(*block).calls).fetch_add(1, Relaxed);
        *stop = Bool::new(index == 1);
    }
}

static DESCRIPTOR: Descriptor =
    Descriptor { reserved: 0, size: size_of::<Literal>(), copy, dispose };

fn literal(flags: i32, object: Id, calls: &AtomicUsize) -> Literal {
    let isa = (&raw const _NSConcreteStackBlock).cast();
    Literal { isa, flags, reserved: 0, invoke, descriptor: &DESCRIPTOR, object, calls }
}

const HAS_COPY_DISPOSE: i32 = 1 << 25;

fn count(object: Id) -> usize {
    send!(object, "retainCount"; usize)
}

#[test]
fn a_copied_block_owns_its_captures() {
    let (object, calls) = (string("captured"), AtomicUsize::new(0));
    let block = literal(HAS_COPY_DISPOSE, object, &calls);
    // SAFETY: a block.
    unsafe {
        let copied = _Block_copy((&raw const block).cast());
        assert_ne!(copied.cast_const(), (&raw const block).cast());
        assert_eq!(count(object), 2);
        assert_eq!(_Block_copy(copied), copied, "a copy is only counted");
        let as_object = Id::from_ptr(copied);
        assert_eq!(objc_retain(as_object), as_object);
        assert_eq!(send!(as_object, "copy"; Id), as_object);
        objc_release(as_object);
        send!(as_object, "release"; ());
        _Block_release(copied);
        assert_eq!(count(object), 2);
        _Block_release(copied);
        assert_eq!(count(object), 1);
        objc_release(object);
    }
}

#[test]
fn retaining_a_stack_block_copies_it() {
    let (object, calls) = (string("captured"), AtomicUsize::new(0));
    let block = literal(HAS_COPY_DISPOSE, object, &calls);
    let on_stack = Id::from_ptr((&raw const block).cast_mut().cast());
    // SAFETY: blocks are objects.
    unsafe {
        let copied = objc_retain(on_stack);
        assert_ne!(copied, on_stack);
        assert!(send!(copied, "isKindOfClass:", class("NSBlock") => Class; Bool).get());
        assert_eq!(CStr::from_ptr(class_getName(object_getClass(copied))), c"__NSMallocBlock__");
        assert_eq!(CStr::from_ptr(class_getName(object_getClass(on_stack))), c"__NSStackBlock__");
        objc_release(copied);
        objc_release(on_stack);
        assert_eq!(count(object), 1);
        objc_release(object);
    }
}

#[test]
fn global_blocks_and_null_stay_as_they_are() {
    let calls = AtomicUsize::new(0);
    let block = literal(1 << 28, Id::NIL, &calls);
    // SAFETY: a block, and null.
    unsafe {
        assert_eq!(_Block_copy((&raw const block).cast()).cast_const(), (&raw const block).cast());
        _Block_release((&raw const block).cast());
        assert!(_Block_copy(std::ptr::null()).is_null());
        _Block_release(std::ptr::null());
    }
}

#[test]
fn collections_call_blocks() {
    let calls = AtomicUsize::new(0);
    let block = literal(0, Id::NIL, &calls);
    let items = [string("a"), string("b"), string("c")];
    let list = send!(
        class("NSArray").as_id(), "arrayWithObjects:count:",
        items.as_ptr() => *const Id, items.len() => usize; Id
    );
    send!(list, "enumerateObjectsUsingBlock:", (&raw const block) => *const Literal; ());
    assert_eq!(calls.load(Relaxed), 2, "the block stops at the second object");
}

/// A block whose descriptor was made at run time may own it.
#[test]
fn a_dispose_helper_may_free_the_descriptor() {
    unsafe extern "C" fn copy(_: *mut c_void, _: *const c_void) {}
    unsafe extern "C" fn dispose(block: *const c_void) {
        // SAFETY: the descriptor was made for this block alone.
        unsafe {
            let descriptor = (*block.cast::<Literal>()).descriptor.cast_mut();
            // Values that others might write to memory that is free.
            (*descriptor).size = usize::MAX;
            drop(Box::from_raw(descriptor));
        }
    }
    let calls = AtomicUsize::new(0);
    let size = size_of::<Literal>();
    let descriptor = Box::into_raw(Box::new(Descriptor { reserved: 0, size, copy, dispose }));
    let block = Literal { descriptor, ..literal(HAS_COPY_DISPOSE, Id::NIL, &calls) };
    // SAFETY: a block.
    unsafe { _Block_release(_Block_copy((&raw const block).cast())) }
}

/// A captured object may retain and release the block while it is disposed of.
#[test]
fn a_block_is_disposed_of_once() {
    static DISPOSED: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" fn copy(_: *mut c_void, _: *const c_void) {}
    unsafe extern "C" fn dispose(block: *const c_void) {
        // SAFETY: the block is still there.
        unsafe { _Block_release(_Block_copy(block)) }
        DISPOSED.fetch_add(1, Relaxed);
    }
    static ONCE: Descriptor = Descriptor { reserved: 0, size: size_of::<Literal>(), copy, dispose };
    let calls = AtomicUsize::new(0);
    let block =
        Literal { descriptor: &raw const ONCE, ..literal(HAS_COPY_DISPOSE, Id::NIL, &calls) };
    // SAFETY: a block.
    unsafe {
        let copied = _Block_copy((&raw const block).cast());
        _Block_release(_Block_copy(copied));
        assert_eq!(DISPOSED.load(Relaxed), 0);
        _Block_release(copied);
    }
    assert_eq!(DISPOSED.load(Relaxed), 1);
}

/// Copies a block whose descriptor says that it has so few bytes that not even its beginning fits.
pub(super) fn copy_a_short_block() {
    static SHORT: Descriptor = Descriptor { reserved: 0, size: 8, copy, dispose };
    let calls = AtomicUsize::new(0);
    let block = Literal { descriptor: &raw const SHORT, ..literal(0, Id::NIL, &calls) };
    // SAFETY: the point of the test is that the size is checked.
    unsafe { _Block_copy((&raw const block).cast()) };
}

/// Some bindings set another descriptor in a copied block, which does not state its size.
#[test]
fn a_copied_block_may_get_another_descriptor() {
    static OTHER: Descriptor = Descriptor { reserved: 0, size: 0, copy, dispose };
    let calls = AtomicUsize::new(0);
    let object = send!(class("NSObject").as_id(), "new"; Id);
    let block = literal(HAS_COPY_DISPOSE, object, &calls);
    // SAFETY: a block on the stack, copied and released.
    unsafe {
        let copied = _Block_copy((&raw const block).cast()).cast::<Literal>();
        assert_eq!(count(object), 2);
        (*copied).descriptor = &OTHER;
        _Block_release(copied.cast());
        assert_eq!(count(object), 1);
        objc_release(object);
    }
}
