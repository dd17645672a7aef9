//! Reference counts: every object is deallocated once, by the last release.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering::*};

static DEALLOCATED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn counting_dealloc(object: Id, selector: Sel) {
    DEALLOCATED.fetch_add(1, Relaxed);
    // SAFETY: passed on.
    unsafe { super_dealloc(object, selector) }
}

/// NSObject's `dealloc`.
unsafe fn super_dealloc(object: Id, selector: Sel) {
    type Dealloc = unsafe extern "C" fn(Id, Sel);
    // SAFETY: NSObject's own `dealloc`, as a subclass calls it on `super`.
    unsafe {
        let imp = class_getMethodImplementation(class("NSObject"), selector).unwrap();
        std::mem::transmute::<Imp, Dealloc>(imp)(object, selector);
    }
}

#[test]
fn a_stress_of_owners_ends_in_one_deallocation_each() {
    let counted = subclass(class("NSObject"), "Counted");
    type Dealloc = unsafe extern "C" fn(Id, Sel);
    assert!(add(counted, "dealloc", imp!(counting_dealloc as Dealloc), c"v@:"));
    let rounds = scale(20_000, 500);
    let objects: Vec<Id> = (0..64).map(|_| new(counted)).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            for object in &objects {
                // SAFETY: the objects are owned by the test until the end of the scope.
                unsafe { objc_retain(*object) };
            }
            let objects = &objects;
            scope.spawn(move || {
                for round in 0..rounds {
                    let object = objects[(round * 13 + thread) % objects.len()];
                    // SAFETY: as above; each retain has its release.
                    unsafe {
                        objc_retain(object);
                        send!(object, "retain"; Id);
                        send!(object, "release"; ());
                        objc_release(object);
                    }
                }
                for object in objects {
                    // SAFETY: this thread's own share.
                    unsafe { objc_release(*object) };
                }
            });
        }
    });
    assert_eq!(DEALLOCATED.load(Relaxed), 0);
    for object in &objects {
        assert_eq!(send!(*object, "retainCount"; usize), 1);
        // SAFETY: the last owner.
        unsafe { objc_release(*object) };
    }
    assert_eq!(DEALLOCATED.load(Relaxed), objects.len());
}

#[test]
fn the_last_owner_may_be_any_thread() {
    for _ in 0..scale(2_000, 100) {
        let object = string("owned by many");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                // SAFETY: owned by the test.
                unsafe { objc_retain(object) };
                // SAFETY: this thread's share.
                scope.spawn(move || unsafe { objc_release(object) });
            }
            // SAFETY: the test's share.
            unsafe { objc_release(object) };
        });
    }
}

#[test]
fn classes_are_not_counted() {
    let name = class("NSString").as_id();
    // SAFETY: a class is an object.
    unsafe {
        assert_eq!(objc_retain(name), name);
        objc_release(name);
        objc_release(name);
        objc_release(Id::NIL);
        assert_eq!(objc_retain(Id::NIL), Id::NIL);
    }
    assert_eq!(send!(name, "retainCount"; usize), 1);
}

/// An array with one object, which it takes over.
fn array_of(object: Id) -> Id {
    let array = send!(class("NSArray").as_id(), "alloc"; Id);
    let array = send!(
        array, "initWithObjects:count:", (&raw const object) => *const Id, 1 => usize; Id
    );
    // SAFETY: the array has retained it.
    unsafe { objc_release(object) };
    array
}

/// Each owns the next. Whatever the stack, they go.
#[test]
fn a_long_chain_of_owners_needs_little_stack() {
    let run = || {
        let last = string("the last");
        // SAFETY: the object is there.
        unsafe { objc_retain(last) };
        let first = (0..scale(200_000, 20_000)).fold(last, |inner, _| array_of(inner));
        assert_eq!(send!(last, "retainCount"; usize), 2);
        // SAFETY: they are owned here.
        unsafe {
            objc_release(first);
            assert_eq!(send!(last, "retainCount"; usize), 1, "all are gone");
            objc_release(last);
        }
        assert_eq!(crate::soft::runtime::deallocate::extent(), (0, 0));
    };
    std::thread::Builder::new().stack_size(1 << 19).spawn(run).unwrap().join().unwrap();
}

/// Within the first levels an object has gone when the release that was its last returns.
#[test]
fn shallow_chains_of_owners_are_deallocated_from_the_inside() {
    static ORDER: std::sync::Mutex<Vec<&str>> = std::sync::Mutex::new(Vec::new());
    unsafe extern "C" fn inner_dealloc(object: Id, selector: Sel) {
        ORDER.lock().unwrap().push("inner");
        // SAFETY: passed on.
        unsafe { super_dealloc(object, selector) }
    }
    unsafe extern "C" fn outer_dealloc(object: Id, selector: Sel) {
        ORDER.lock().unwrap().push("begin");
        // SAFETY: an object of the other class, owned by this one alone.
        unsafe { objc_release(new(class("GoesFirst"))) };
        ORDER.lock().unwrap().push("end");
        // SAFETY: passed on.
        unsafe { super_dealloc(object, selector) }
    }
    type Dealloc = unsafe extern "C" fn(Id, Sel);
    let inner = subclass(class("NSObject"), "GoesFirst");
    let outer = subclass(class("NSObject"), "GoesLast");
    assert!(add(inner, "dealloc", imp!(inner_dealloc as Dealloc), c"v@:"));
    assert!(add(outer, "dealloc", imp!(outer_dealloc as Dealloc), c"v@:"));
    // SAFETY: owned here.
    unsafe { objc_release(new(outer)) };
    assert_eq!(*ORDER.lock().unwrap(), ["begin", "inner", "end"]);
}
