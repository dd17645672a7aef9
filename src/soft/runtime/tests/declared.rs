//! `soft_class!`: what a declaration becomes.

use super::*;
use crate::soft::foundation::{NSObject, Text};
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::object::{SoftClass, Strong};
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Counts how often a payload is dropped.
static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct Region {
    size: MTLSize,
}

impl Drop for Region {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Relaxed);
    }
}

soft_class! {
    /// A class of the tests' own.
    class TestRegion(Region): NSObject, conforms [TestProtocol];
    make [regionWithSize:] = |size: MTLSize| Region { size };
    init [initWithSize:] = |size: MTLSize| (size.width > 0).then(|| Region { size });
    [size] = |region: &Region| region.size;
    [regionAt:] = |region: &Region, origin: MTLOrigin| MTLRegion { origin, size: region.size };
    [isWiderThan:] = |region: &Region, width: usize| region.size.width > width;
    [newName] = Region::name;
    [name] = Region::name;
    [sum:b:c:d:e:f:g:h:i:j:] =
        |_: &Region, a: u8, b: i16, c: u32, d: i64, e: f32, f: f64, g: bool, h: usize, i: f64, j: u8| {
            f64::from(a) + f64::from(b) + f64::from(c) + d as f64 + f64::from(e) + f
                + f64::from(u8::from(g)) + h as f64 + i + f64::from(j)
        };
}

impl Region {
    fn name(&self) -> Strong<Text> {
        Text::object("region")
    }
}

const SIZE: MTLSize = MTLSize { width: 1, height: 2, depth: 3 };

#[test]
fn a_declared_class_works() {
    let test_class = class("TestRegion");
    assert_eq!(test_class, Region::class().handle());
    let alloc = || send!(test_class.as_id(), "alloc"; Id);
    let object = send!(alloc(), "initWithSize:", SIZE => MTLSize; Id);
    #[cfg(target_arch = "x86_64")]
    let send_struct: Imp = objc_msgSend_stret;
    #[cfg(target_arch = "aarch64")]
    let send_struct: Imp = objc_msgSend;
    let size = cast::<Imp, extern "C" fn(Id, Sel) -> MTLSize>(send_struct);
    assert_eq!(size(object, sel("size")), SIZE);
    let region = cast::<Imp, extern "C" fn(Id, Sel, MTLOrigin) -> MTLRegion>(send_struct);
    let origin = MTLOrigin { x: 7, y: 8, z: 9 };
    assert_eq!(region(object, sel("regionAt:"), origin), MTLRegion { origin, size: SIZE });
    assert!(send!(object, "isWiderThan:", 0 => usize; Bool).get());
    assert!(!send!(object, "isWiderThan:", 1 => usize; Bool).get());
    let sum = send!(
        object, "sum:b:c:d:e:f:g:h:i:j:", 1 => u8, -2 => i16, 3 => u32, -4 => i64, 0.5 => f32,
        0.25 => f64, Bool::new(true) => Bool, 7 => usize, 1e3 => f64, 200 => u8; f64
    );
    assert_eq!(sum, 1.0 - 2.0 + 3.0 - 4.0 + 0.5 + 0.25 + 1.0 + 7.0 + 1e3 + 200.0);
    // SAFETY: owned objects, and the answers of the last messages.
    unsafe {
        let owned = send!(object, "newName"; Id);
        assert_eq!(send!(owned, "retainCount"; usize), 1);
        objc_release(owned);
        let pool = objc_autoreleasePoolPush();
        let borrowed = objc_retain(send!(object, "name"; Id));
        assert_eq!(send!(borrowed, "retainCount"; usize), 2);
        objc_autoreleasePoolPop(pool);
        assert_eq!(send!(borrowed, "retainCount"; usize), 1);
        objc_release(borrowed);

        assert_eq!(DROPPED.load(Relaxed), 0);
        objc_release(object);
        assert_eq!(DROPPED.load(Relaxed), 1);
        // An `init` that fails releases what was allocated, which has no payload yet.
        assert!(send!(alloc(), "initWithSize:", MTLSize::default() => MTLSize; Id).is_nil());
        assert_eq!(DROPPED.load(Relaxed), 1);
        let pool = objc_autoreleasePoolPush();
        send!(test_class.as_id(), "regionWithSize:", SIZE => MTLSize; Id);
        objc_autoreleasePoolPop(pool);
        assert_eq!(DROPPED.load(Relaxed), 2);
        assert!(!objc_getProtocol(c"TestProtocol".as_ptr()).is_nil());
    }
}

#[test]
fn encodings_follow_the_signature() {
    for (selector, types) in [
        ("size", "{?=QQQ}16@0:8"),
        ("regionAt:", "{?={?=QQQ}{?=QQQ}}40@0:8{?=QQQ}16"),
        ("isWiderThan:", concat_bool!("24@0:8Q16")),
        ("initWithSize:", "@40@0:8{?=QQQ}16"),
        ("newName", "@16@0:8"),
    ] {
        // SAFETY: the class has the method.
        let found = unsafe {
            let method = class_getInstanceMethod(class("TestRegion"), sel(selector));
            CStr::from_ptr(method_getTypeEncoding(method))
        };
        assert_eq!(found.to_str().unwrap(), types, "{selector}");
    }
}
