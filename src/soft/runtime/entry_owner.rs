//! The C functions about ownership: variables, weak references, associated objects, locks, exceptions.

#![allow(non_snake_case)] // C's names.
#![allow(clippy::missing_safety_doc)] // Said at the head of `entry`.

use super::block::{self, Block};
use super::class::ClassData;
use super::entry::entries;
use super::fatal::fatal;
use super::object::{self, class_of};
use super::selector::known;
use super::send::send;
use super::{pool, side, sync};
use crate::abi::{Class, Id};
use std::ffi::{c_int, c_void};

/// The result of `objc_sync_exit` for a lock that another thread owns, or none.
const NOT_OWNED: c_int = -1;

/// How `objc_setAssociatedObject` owns a value. Whether it does so atomically makes no difference here.
const OWNERSHIP: usize = 3;
const ASSIGN: usize = 0;
const COPY: usize = 3;

entries! {
    /// Retains an object and moves it to the innermost pool.
    fn objc_retainAutorelease(object: Id = object::retain) -> Id {
        // SAFETY: it was retained just now.
        unsafe { pool::autorelease(object) }
    }

    /// The same for an object that is returned; the caller that it is returned to may take it out.
    fn objc_retainAutoreleaseReturnValue(object: Id = object::retain) -> Id {
        // SAFETY: it was retained just now.
        unsafe { pool::autorelease_return_value(object) }
    }

    /// Retains what the last message returned, or takes it out of the pool.
    fn objc_claimAutoreleasedReturnValue(object: Id = pool::retain_autoreleased_return_value) -> Id {
        object
    }

    /// Uses what the last message returned without owning it: it stays in its pool.
    fn objc_unsafeClaimAutoreleasedReturnValue(object: Id) -> Id {
        pool::leave(object);
        object
    }

    /// Copies a block to the heap, or retains one that is there.
    fn objc_retainBlock(block: Id) -> Id {
        // SAFETY: the caller's.
        Id::from_ptr(unsafe { block::copy(block.as_ptr().cast::<Block>()) })
    }

    /// Stores an object in a variable that owns what it refers to.
    fn objc_storeStrong(variable: *mut Id, object: Id = object::retain) {
        // SAFETY: the caller's; the old value is released when the variable no longer has it.
        unsafe { object::release(std::mem::replace(&mut *variable, object)) }
    }

    /// Sends `alloc`.
    fn objc_alloc(class: Class) -> Id {
        // SAFETY: the caller passes a class.
        unsafe { send(class.as_id(), known::alloc()) }
    }

    /// Sends `alloc`: no system has zones any more.
    fn objc_allocWithZone(class: Class) -> Id {
        // SAFETY: as above.
        unsafe { objc_alloc(class) }
    }

    /// Sends `alloc` and `init`.
    fn objc_alloc_init(class: Class) -> Id {
        // SAFETY: as above.
        unsafe { send(objc_alloc(class), known::init()) }
    }

    /// Makes an object as `new` does.
    fn objc_opt_new(class: Class) -> Id {
        // SAFETY: as above.
        unsafe { objc_alloc_init(class) }
    }

    /// The class of an object; the class itself for a class.
    fn objc_opt_class(object: Id) -> Class {
        if object.is_nil() {
            return Class::NIL;
        }
        // SAFETY: the caller's.
        let class = unsafe { class_of(object) };
        if class.is_meta() { Class::from_ptr(object.as_ptr()) } else { class.handle() }
    }

    /// Makes an object of a class, with extra bytes for [`object_getIndexedIvars`].
    ///
    /// [`object_getIndexedIvars`]: super::entry::object_getIndexedIvars
    fn class_createInstance(class: Class = ClassData::from_handle, extra: usize) -> Id {
        class.map_or(Id::NIL, |class| object::allocate_with(class, extra))
    }

    /// Frees an object without sending it `dealloc`.
    fn object_dispose(object: Id) -> Id {
        if !object.is_nil() {
            // SAFETY: the caller's.
            unsafe { object::deallocate(object) }
        }
        Id::NIL
    }

    /// Begins the life of a weak variable.
    fn objc_initWeak(variable: *mut Id, object: Id) -> Id {
        // SAFETY: the caller's.
        unsafe { side::store_weak(variable, object, true) }
    }

    /// Makes a weak variable refer to another object.
    fn objc_storeWeak(variable: *mut Id, object: Id) -> Id {
        // SAFETY: the caller's.
        unsafe { side::store_weak(variable, object, false) }
    }

    /// The object of a weak variable, owned by the caller; nil once it is being deallocated.
    fn objc_loadWeakRetained(variable: *mut Id = side::load_weak) -> Id {
        variable
    }

    /// The same, in the innermost pool.
    fn objc_loadWeak(variable: *mut Id = side::load_weak) -> Id {
        // SAFETY: it was retained just now.
        unsafe { pool::autorelease(variable) }
    }

    /// Ends the life of a weak variable.
    fn objc_destroyWeak(variable: *mut Id) {
        // SAFETY: the caller's.
        unsafe { side::destroy_weak(variable) }
    }

    /// Begins the life of a weak variable as a copy of another.
    fn objc_copyWeak(to: *mut Id, from: *mut Id) {
        // SAFETY: the caller's; what was loaded is released.
        unsafe {
            let object = side::load_weak(from);
            side::store_weak(to, object, true);
            object::release(object);
        }
    }

    /// The same, and ends the life of the other.
    fn objc_moveWeak(to: *mut Id, from: *mut Id) {
        // SAFETY: the caller's.
        unsafe {
            objc_copyWeak(to, from);
            side::destroy_weak(from);
        }
    }

    /// Associates an object with another, by a key; nil ends the association.
    fn objc_setAssociatedObject(object: Id, key: *const c_void, value: Id, policy: usize) {
        if object.is_nil() {
            return;
        }
        // SAFETY: the caller's; a value that is copied responds to `copy`, and the copy is owned here.
        unsafe {
            match policy & OWNERSHIP {
                COPY if !value.is_nil() => {
                    let copy: Id = send(value, known::copy());
                    side::associate(object, key, copy, true);
                    object::release(copy);
                }
                how => side::associate(object, key, value, how != ASSIGN),
            }
        }
    }

    /// The associated object of a key; nil for none.
    fn objc_getAssociatedObject(object: Id, key: *const c_void) -> Id {
        match side::associated(object, key) {
            // SAFETY: it was retained for this function.
            (value, true) => unsafe { pool::autorelease(value) },
            (value, false) => value,
        }
    }

    /// Ends all associations of an object.
    fn objc_removeAssociatedObjects(object: Id) {
        side::remove_associated(object);
    }

    /// Takes the lock of an object, as `@synchronized` does. Always 0.
    fn objc_sync_enter(object: Id) -> c_int {
        sync::enter(object);
        0
    }

    /// Releases the lock of an object. 0, or -1 if this thread does not own it.
    fn objc_sync_exit(object: Id) -> c_int {
        if sync::exit(object) { 0 } else { NOT_OWNED }
    }

    /// Ends the program: no exception leaves a function of this ABI. Other programs get `exception::throw` by this name.
    fn objc_exception_throw(exception: Id) {
        // SAFETY: the caller's.
        let class = (!exception.is_nil()).then(|| unsafe { class_of(exception) });
        let class = class.map_or("nil".to_owned(), ToString::to_string);
        fatal(format_args!("an exception of class {class} was thrown, and nothing catches it"));
    }

    /// Ends the program: a collection was changed while it was enumerated.
    fn objc_enumerationMutation(collection: Id) {
        // SAFETY: the caller's.
        let class = unsafe { class_of(collection) };
        fatal(format_args!("{class} {:p} was changed while it was enumerated", collection.as_ptr()));
    }
}
