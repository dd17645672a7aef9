//! Exceptions with `objc2`: thrown, caught, and passed through by panics.

use objc2::exception::{Exception, catch, throw};
use objc2::rc::{Retained, Weak};
use objc2::runtime::NSObject;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn exception(object: &Retained<NSObject>) -> Retained<Exception> {
    // SAFETY: any object may be thrown.
    unsafe { Retained::cast_unchecked(object.clone()) }
}

/// Counts when it is dropped.
struct Counter<'a>(&'a Cell<u32>);

impl Drop for Counter<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn what_is_thrown_is_caught() {
    let object = NSObject::new();
    let weak = Weak::from_retained(&object);
    let dropped = Cell::new(0);
    let result = catch(AssertUnwindSafe(|| {
        let _dropped_on_the_way = Counter(&dropped);
        throw(exception(&object))
    }));
    let caught: Retained<Exception> = result.map(|()| ()).unwrap_err().expect("not nil");
    assert_eq!(Retained::as_ptr(&caught).cast(), Retained::as_ptr(&object));
    assert_eq!((dropped.get(), catch(|| 7).unwrap()), (1, 7));
    drop((caught, object));
    assert!(weak.load().is_none(), "each owner has released it");
}

/// Debug builds of `objc2` look for the method first, and panic.
#[test]
#[cfg(not(debug_assertions))]
fn an_unknown_message_is_an_exception() {
    let (object, dropped) = (NSObject::new(), Cell::new(0));
    let result: Result<(), _> = catch(AssertUnwindSafe(|| {
        let _dropped_on_the_way = Counter(&dropped);
        unsafe { objc2::msg_send![&object, noSuchMessage] }
    }));
    assert_eq!(dropped.get(), 1);
    let exception = result.unwrap_err().expect("not nil");
    let text = exception.to_string();
    assert!(text.contains("-[NSObject noSuchMessage]: unrecognized selector"), "{text}");
}

#[test]
fn an_exception_goes_to_the_innermost() {
    let (one, other) = (NSObject::new(), NSObject::new());
    let result = catch(AssertUnwindSafe(|| {
        let inner = catch(AssertUnwindSafe(|| throw(exception(&one)))).map(|()| ());
        assert_eq!(Retained::as_ptr(&inner.unwrap_err().unwrap()).cast(), Retained::as_ptr(&one));
        throw(exception(&other))
    }));
    let caught = result.map(|()| ()).unwrap_err().unwrap();
    assert_eq!(Retained::as_ptr(&caught).cast(), Retained::as_ptr(&other));
}

#[test]
fn panics_pass_through() {
    let result = catch_unwind(|| catch(|| std::panic::resume_unwind(Box::new(7))).map(|()| ()));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&7));
}
