//! Exceptions: what is thrown is caught, once, and values on the way are dropped.

use super::*;
use crate::child::{is_child, run_child};
use crate::soft::runtime::exception::{throw, try_catch};
use std::cell::Cell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

fn object() -> Id {
    send!(class("NSObject").as_id(), "new"; Id)
}

/// Calls a closure in `try_catch`.
fn caught(mut run: impl FnMut()) -> Option<Id> {
    unsafe extern "C-unwind" fn call<F: FnMut()>(run: *mut c_void) {
        // SAFETY: the argument is the closure.
        unsafe { (*run.cast::<F>())() }
    }
    fn of<F: FnMut()>(_: &F) -> unsafe extern "C-unwind" fn(*mut c_void) {
        call::<F>
    }
    let mut error = Id::from_ptr(ptr::dangling_mut());
    let function = of(&run);
    // SAFETY: the function takes the closure, which lives until it returns.
    let threw = unsafe { try_catch(function, (&raw mut run).cast(), &raw mut error) };
    (threw == 1).then_some(error)
}

struct Dropped<'a>(&'a Cell<u32>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn an_exception_is_caught_with_a_count_of_its_own() {
    let (thrown, drops) = (object(), Cell::new(0));
    let result = caught(|| {
        let _dropped = Dropped(&drops);
        // SAFETY: the object is alive.
        unsafe { throw(thrown) }
    });
    assert_eq!((result, drops.get()), (Some(thrown), 1), "values on the way are dropped");
    assert_eq!(send!(thrown, "retainCount"; usize), 2);
    // SAFETY: the two counts are this test's.
    unsafe {
        objc_release(thrown);
        objc_release(thrown);
    }
    assert_eq!(caught(|| {}), None);
    // SAFETY: nil may be thrown.
    assert_eq!(caught(|| unsafe { throw(Id::NIL) }), Some(Id::NIL));
}

#[test]
fn the_innermost_catches_and_may_throw_again() {
    let (one, other) = (object(), object());
    let result = caught(|| {
        // SAFETY: the object is alive.
        let inner = caught(|| unsafe { throw(one) });
        assert_eq!(inner, Some(one));
        // SAFETY: as above.
        unsafe { throw(other) }
    });
    assert_eq!(result, Some(other));
    for object in [one, one, other, other] {
        // SAFETY: the counts are this test's.
        unsafe { objc_release(object) }
    }
}

#[test]
fn panics_pass_through() {
    let result =
        catch_unwind(AssertUnwindSafe(|| caught(|| std::panic::resume_unwind(Box::new(7)))));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&7));
}

#[test]
fn what_nothing_catches_ends_the_program_with_a_message() {
    if is_child() {
        // SAFETY: the object is alive.
        unsafe { throw(object()) }
    }
    let module = module_path!().split_once("::").unwrap().1;
    let test = format!("{module}::what_nothing_catches_ends_the_program_with_a_message");
    let output = run_child(&test, &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("an exception of class NSObject was thrown, and nothing catches it"),
        "{text}"
    );
}
