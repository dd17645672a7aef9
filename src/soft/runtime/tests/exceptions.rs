//! Exceptions: what is thrown is caught, once, and values on the way are dropped.

use super::*;
use crate::child::{is_child, run_child};
use crate::soft::runtime::entry_clients::objc_setUncaughtExceptionHandler;
use crate::soft::runtime::exception::{throw, try_catch};
use std::cell::Cell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

fn object() -> Id {
    send!(class("NSObject").as_id(), "new"; Id)
}

/// Calls a closure in `try_catch`.
pub(super) fn caught(mut run: impl FnMut()) -> Option<Id> {
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

/// Where something catches exceptions, a message without a method throws one that says so.
#[test]
fn an_unknown_message_is_an_exception() {
    let (receiver, drops) = (object(), Cell::new(0));
    #[cfg(target_arch = "x86_64")]
    let senders: [Imp; 2] = [objc_msgSend, objc_msgSend_stret];
    #[cfg(target_arch = "aarch64")]
    let senders: [Imp; 1] = [objc_msgSend];
    for (index, sender) in senders.into_iter().enumerate() {
        let exception = caught(|| {
            let _dropped = Dropped(&drops);
            // SAFETY: no method is called. The result of the second sender is in memory.
            unsafe {
                match index {
                    0 => std::mem::transmute::<Imp, unsafe extern "C-unwind" fn(Id, Sel)>(sender)(
                        receiver,
                        sel("noSuchMessage"),
                    ),
                    _ => {
                        _ = std::mem::transmute::<
                            Imp,
                            unsafe extern "C-unwind" fn(Id, Sel) -> MTLSize,
                        >(sender)(receiver, sel("noSuchMessage"))
                    }
                }
            }
        });
        let exception = exception.expect("an exception");
        assert_eq!(text(send!(exception, "name"; Id)), "NSInvalidArgumentException");
        let reason = text(send!(exception, "reason"; Id));
        assert!(reason.starts_with("-[NSObject noSuchMessage]: unrecognized selector"), "{reason}");
        assert_eq!(drops.get(), index as u32 + 1);
        // SAFETY: the count is this test's.
        unsafe { objc_release(exception) };
    }
    // SAFETY: as above.
    unsafe { objc_release(receiver) };
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

#[test]
fn what_nothing_catches_is_passed_to_the_handler() {
    unsafe extern "C" fn handle(exception: Id) {
        eprintln!("handled: {}", text(send!(exception, "description"; Id)));
    }
    if is_child() {
        // SAFETY: the handler takes an object, and the object is alive.
        unsafe {
            assert!(objc_setUncaughtExceptionHandler(Some(handle)).is_none());
            send!(object(), "noSuchMessage"; ());
        }
    }
    let module = module_path!().split_once("::").unwrap().1;
    let test = format!("{module}::what_nothing_catches_is_passed_to_the_handler");
    let output = run_child(&test, &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("handled: -[NSObject noSuchMessage]: unrecognized"), "{text}");
}
