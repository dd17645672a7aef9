//! Programs that break a rule end with a message. Each test runs this binary again, as a child process
//! that breaks the rule.

use super::*;
use crate::child::in_child;
use std::os::unix::process::ExitStatusExt;

/// Runs `end` in a child process, and returns what it wrote before it aborted.
fn end_of(test: &str, end: impl FnOnce()) -> Option<String> {
    let output = in_child(&format!("soft::runtime::tests::ends::{test}"), &[], end)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    const SIGABRT: i32 = 6;
    // An emulator may turn the signal into its exit code.
    let aborted =
        output.status.signal() == Some(SIGABRT) || output.status.code() == Some(128 + SIGABRT);
    assert!(aborted, "{:?}: {text}", output.status);
    Some(text)
}

macro_rules! ends {
    ($($name:ident: $($line:literal),+ => $end:expr;)+) => {$(
        #[test]
        fn $name() {
            if let Some(text) = end_of(stringify!($name), || { $end; }) {
                $(assert!(text.contains($line), "{text}");)+
            }
        }
    )+};
}

ends! {
    unknown_selector: "-[NSString noSuchThing:]: unrecognized selector sent to instance 0x" =>
        send!(string("x"), "noSuchThing:", 1 => usize; usize);
    unknown_class_selector: "+[NSString noSuchThing]: unrecognized selector sent to instance 0x" =>
        send!(class("NSString").as_id(), "noSuchThing"; ());
    unknown_implementation: "-[NSString noSuchThing]: unrecognized selector" => {
        type Method = unsafe extern "C" fn(Id, Sel);
        // SAFETY: the forwarder takes a receiver and a selector.
        unsafe {
            let imp = class_getMethodImplementation(class("NSString"), sel("noSuchThing")).unwrap();
            std::mem::transmute::<Imp, Method>(imp)(string("x"), sel("noSuchThing"))
        }
    };
    index_out_of_bounds: "-[NSArray objectAtIndex:]: index 3 beyond bounds of an array of 0" =>
        send!(new(class("NSArray")), "objectAtIndex:", 3 => usize; Id);
    character_out_of_bounds: "-[NSString characterAtIndex:]: index 9 out of bounds; string length 2" =>
        send!(string("ab"), "characterAtIndex:", 9 => usize; u16);
    foreign_argument: "-[NSString isEqualToString:]: NSArray was passed where NSString is needed" =>
        send!(string("ab"), "isEqualToString:", new(class("NSArray")) => Id; Bool);
    nil_argument: "-[NSString hasPrefix:]: nil was passed where NSString is needed" =>
        send!(string("ab"), "hasPrefix:", Id::NIL => Id; Bool);
    used_before_init: "an object of class NSString was used before it was initialised" =>
        send!(send!(class("NSString").as_id(), "alloc"; Id), "length"; usize);
    initialised_twice: "-[NSString init]: sent to an object that is initialised already" =>
        send!(string("ab"), "init"; Id);
    short_block: "_Block_copy: a block cannot have 8 bytes" => super::blocks::copy_a_short_block();
    // SAFETY: the point of the test is that this is caught.
    popped_twice: "objc_autoreleasePoolPop: 0x1 is not a pool of this thread" => unsafe {
        let pool = objc_autoreleasePoolPush();
        objc_autoreleasePoolPop(pool);
        objc_autoreleasePoolPop(pool)
    };
    // SAFETY: as above.
    not_a_pool: "objc_autoreleasePoolPop: 0x7 is not a pool of this thread" => unsafe {
        objc_autoreleasePoolPop(std::ptr::without_provenance_mut(7))
    };
}

#[cfg(target_arch = "x86_64")]
ends! {
    unknown_selector_stret: "-[NSObject noSuchSize]: unrecognized selector sent to instance 0x" => {
        type Method = unsafe extern "C" fn(Id, Sel) -> MTLSize;
        // SAFETY: the sender is called as a method that returns a struct in memory.
        unsafe {
            let send = std::mem::transmute::<Imp, Method>(objc_msgSend_stret as Imp);
            send(new(class("NSObject")), sel("noSuchSize"))
        }
    };
    unknown_implementation_stret: "-[NSObject noSuchSize]: unrecognized selector" => {
        type Method = unsafe extern "C" fn(Id, Sel) -> MTLSize;
        // SAFETY: as above.
        unsafe {
            let class = class("NSObject");
            let imp = class_getMethodImplementation_stret(class, sel("noSuchSize")).unwrap();
            std::mem::transmute::<Imp, Method>(imp)(new(class), sel("noSuchSize"))
        }
    };
}

// Freed objects are recognised in debug builds only.
#[cfg(debug_assertions)]
ends! {
    // SAFETY: the point of the tests is that these are caught.
    over_release: "-[NSString release]: message sent to deallocated instance 0x" => unsafe {
        let object = string("x");
        objc_release(object);
        objc_release(object)
    };
    // SAFETY: as above.
    retained_too_late: "-[NSString retain]: message sent to deallocated instance 0x" => unsafe {
        let object = string("x");
        objc_release(object);
        objc_retain(object)
    };
    // SAFETY: as above.
    sent_too_late: "-[NSString length]: message sent to deallocated instance 0x" => unsafe {
        let object = string("x");
        objc_release(object);
        send!(object, "length"; usize)
    };
}
