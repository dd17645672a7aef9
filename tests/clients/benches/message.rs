//! The cost of a message: `objc2`'s `msg_send!` on this project's library, and a call through GCC's `objc_msg_lookup`
//! beside it. `specs/export.md` has the figures.
//!
//! `aruminium run cargo bench --bench message`. GCC's library is opened at run time; it is the package `libobjc4`.

use objc2::runtime::{AnyObject, NSObject};
use objc2::{define_class, msg_send, rc::Retained};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::hint::black_box;
use std::time::Instant;

define_class!(
    // SAFETY: NSObject has no requirements.
    #[unsafe(super(NSObject))]
    #[name = "Answering"]
    struct Answering;

    impl Answering {
        #[unsafe(method(answer:))]
        fn answer(&self, number: usize) -> usize {
            number + 1
        }
    }
);

extern "C" fn answer(_: *mut c_void, _: *mut c_void, number: usize) -> usize {
    number + 1
}

const CALLS: u32 = 2_000_000;
const ROUNDS: u32 = 15;

/// Nanoseconds for a call, the least of several rounds.
fn measured(mut call: impl FnMut(usize) -> usize) -> f64 {
    let round = |_| {
        let start = Instant::now();
        let mut number = 0;
        for _ in 0..CALLS {
            number = call(black_box(number));
        }
        assert_eq!(number, CALLS as usize);
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    (0..ROUNDS).map(round).fold(f64::MAX, f64::min)
}

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// A call through GCC's runtime: look up the method, then call it.
fn gcc() -> Option<f64> {
    type Create = unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> *mut c_void;
    type Add = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, *const c_char) -> u8;
    type One = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
    type Name = unsafe extern "C" fn(*const c_char) -> *mut c_void;
    type Instance = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
    type Lookup = unsafe extern "C" fn(*mut c_void, *mut c_void) -> Method;
    type Method = unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> usize;
    type Typed = unsafe extern "C" fn(*const c_char, *const c_char) -> *mut c_void;
    // RTLD_NOW and RTLD_DEEPBIND: it calls its own functions, not those of the same names in this project's library.
    // SAFETY: GCC's library, and the functions' own types.
    unsafe {
        let library = dlopen(c"libobjc.so.4".as_ptr(), 2 | 8);
        if library.is_null() {
            return None;
        }
        let find = |name: &CStr| {
            let found = dlsym(library, name.as_ptr());
            assert!(!found.is_null(), "{name:?}");
            found
        };
        macro_rules! function {
            ($name:literal as $ty:ty) => {
                std::mem::transmute::<*mut c_void, $ty>(find($name))
            };
        }
        let class = function!(c"objc_allocateClassPair" as Create)(
            std::ptr::null_mut(),
            c"Answering".as_ptr(),
            0,
        );
        let types = c"Q24@0:8Q16".as_ptr();
        let selector = function!(c"sel_registerTypedName" as Typed)(c"answer:".as_ptr(), types);
        function!(c"class_addMethod" as Add)(class, selector, answer as *mut c_void, types);
        function!(c"objc_registerClassPair" as One)(class);
        let class = function!(c"objc_getClass" as Name)(c"Answering".as_ptr());
        let object = function!(c"class_createInstance" as Instance)(class, 0);
        let lookup = function!(c"objc_msg_lookup" as Lookup);
        Some(measured(|number| {
            lookup(black_box(object), black_box(selector))(object, selector, number)
        }))
    }
}

fn main() {
    // SAFETY: `new` takes nothing and returns an object that the caller owns.
    let object: Retained<Answering> =
        unsafe { msg_send![<Answering as objc2::ClassType>::class(), new] };
    let object: &AnyObject = &object;
    // SAFETY: the method's own types.
    let ours = measured(|number| unsafe { msg_send![black_box(object), answer: number] });
    let direct = measured(|number| {
        black_box(answer as extern "C" fn(_, _, _) -> _)(
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            number,
        )
    });
    println!("a call through a pointer                {direct:6.2} ns");
    println!("msg_send! of objc2 on the library       {ours:6.2} ns");
    match gcc() {
        Some(gcc) => println!(
            "objc_msg_lookup of GCC and a call       {gcc:6.2} ns: ratio {:.2}",
            ours / gcc
        ),
        None => println!("GCC's libobjc.so.4 is not installed"),
    }
}
