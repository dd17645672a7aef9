//! An Objective-C class made at run time, through the same door on every system, with methods of
//! every shape that the macros can declare.

#![allow(dead_code)] // Each test file uses its own part.
#![allow(clippy::undocumented_unsafe_blocks)] // The class below is as its encodings say.

use aruminium::abi::{Bool, Class, Id, Imp, MTLSize, Sel};
use aruminium::foundation::{NSError, NSString};
use aruminium::objc::link;
use std::ffi::{CString, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of objects of the class that were deallocated.
pub(crate) static DEALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// One method of a class to be made: its selector, its encoding, its function.
macro_rules! method {
    ($selector:literal, $types:literal, $function:expr, fn($($ty:ty),*) $(-> $ret:ty)?) => {{
        let function: unsafe extern "C" fn($($ty),*) $(-> $ret)? = $function;
        // A function pointer is called again only with its own type.
        let imp = unsafe {
            std::mem::transmute::<unsafe extern "C" fn($($ty),*) $(-> $ret)?, aruminium::abi::Imp>(function)
        };
        ($selector, $types, imp)
    }};
}

pub(crate) use method;

/// Makes a class, with instance methods and class methods.
pub(crate) fn make_class(
    name: &str,
    superclass: &str,
    methods: &[(&str, &str, Imp)],
    class_methods: &[(&str, &str, Imp)],
) -> Class {
    let name = CString::new(name).unwrap();
    let superclass = CString::new(superclass).unwrap();
    unsafe {
        let superclass = link::objc_getClass(superclass.as_ptr());
        assert!(!superclass.is_nil());
        let class = link::objc_allocateClassPair(superclass, name.as_ptr(), 0);
        assert!(!class.is_nil(), "{name:?} exists already");
        for (target, methods) in
            [(class, methods), (link::object_getClass(class.as_id()), class_methods)]
        {
            for (selector, types, imp) in methods {
                let selector = CString::new(*selector).unwrap();
                let types = CString::new(*types).unwrap();
                let selector = link::sel_registerName(selector.as_ptr());
                assert!(link::class_addMethod(target, selector, *imp, types.as_ptr()).get());
            }
        }
        link::objc_registerClassPair(class);
        class
    }
}

/// The class `AruminiumProbe`, made on first use.
pub(crate) fn probe_class() -> Class {
    static CLASS: OnceLock<Class> = OnceLock::new();
    *CLASS.get_or_init(|| {
        make_class(
            "AruminiumProbe",
            "NSObject",
            &[
                method!("answer", "Q16@0:8", answer, fn(Id, Sel) -> usize),
                method!("half:", "d24@0:8d16", half, fn(Id, Sel, f64) -> f64),
                method!("not:", "B20@0:8B16", not, fn(Id, Sel, Bool) -> Bool),
                method!(
                    "grow:by:",
                    "{?=QQQ}48@0:8{?=QQQ}16Q40",
                    grow,
                    fn(Id, Sel, MTLSize, usize) -> MTLSize
                ),
                method!(
                    "sum:length:",
                    "Q32@0:8^v16Q24",
                    sum,
                    fn(Id, Sel, *const c_void, usize) -> usize
                ),
                method!("lengthOf:", "Q24@0:8@16", length_of, fn(Id, Sel, Id) -> usize),
                method!("itself", "@16@0:8", itself, fn(Id, Sel) -> Id),
                method!("newProbe", "@16@0:8", new_probe, fn(Id, Sel) -> Id),
                method!("nothing", "@16@0:8", nothing, fn(Id, Sel) -> Id),
                method!("name", "@16@0:8", name, fn(Id, Sel) -> Id),
                method!(
                    "probeOrFail:error:",
                    "@28@0:8B16^@20",
                    probe_or_fail,
                    fn(Id, Sel, Bool, *mut Id) -> Id
                ),
                method!(
                    "tryOrFail:error:",
                    "B28@0:8B16^@20",
                    try_or_fail,
                    fn(Id, Sel, Bool, *mut Id) -> Bool
                ),
                method!("same:as:", "B32@0:8@16@24", same, fn(Id, Sel, Id, Id) -> Bool),
                method!(
                    "countOf:count:",
                    "Q32@0:8^@16Q24",
                    count_of,
                    fn(Id, Sel, *const Id, usize) -> usize
                ),
                method!(
                    "call:with:",
                    "Q32@0:8@?16Q24",
                    call_block,
                    fn(Id, Sel, *const c_void, usize) -> usize
                ),
                method!("dealloc", "v16@0:8", dealloc, fn(Id, Sel)),
            ],
            &[method!("probe", "@16@0:8", probe, fn(Id, Sel) -> Id)],
        )
    })
}

unsafe extern "C" fn answer(_: Id, _: Sel) -> usize {
    42
}
unsafe extern "C" fn half(_: Id, _: Sel, value: f64) -> f64 {
    value / 2.0
}
unsafe extern "C" fn not(_: Id, _: Sel, value: Bool) -> Bool {
    Bool::new(!value.get())
}
unsafe extern "C" fn grow(_: Id, _: Sel, size: MTLSize, by: usize) -> MTLSize {
    MTLSize { width: size.width * by, height: size.height * by, depth: size.depth * by }
}
unsafe extern "C" fn sum(_: Id, _: Sel, bytes: *const c_void, length: usize) -> usize {
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
    bytes.iter().map(|&byte| usize::from(byte)).sum()
}
unsafe extern "C" fn length_of(_: Id, _: Sel, string: Id) -> usize {
    if string.is_nil() {
        return usize::MAX;
    }
    unsafe { aruminium::msg!(string, [length] -> usize) }
}
unsafe extern "C" fn itself(this: Id, _: Sel) -> Id {
    unsafe { link::objc_autoreleaseReturnValue(link::objc_retain(this)) }
}
unsafe extern "C" fn new_probe(_: Id, _: Sel) -> Id {
    unsafe { aruminium::msg!(probe_class(), [new] -> aruminium::objc::Object) }.into_raw()
}
unsafe extern "C" fn probe(_: Id, _: Sel) -> Id {
    unsafe { link::objc_autoreleaseReturnValue(new_probe(Id::NIL, aruminium::selector!(newProbe))) }
}
unsafe extern "C" fn nothing(_: Id, _: Sel) -> Id {
    Id::NIL
}
unsafe extern "C" fn name(_: Id, _: Sel) -> Id {
    unsafe {
        link::objc_autoreleaseReturnValue(link::objc_retain(NSString::from("probe").as_raw()))
    }
}
unsafe extern "C" fn probe_or_fail(this: Id, selector: Sel, fail: Bool, error: *mut Id) -> Id {
    unsafe {
        if try_or_fail(this, selector, fail, error).get() { probe(this, selector) } else { Id::NIL }
    }
}
unsafe extern "C" fn try_or_fail(_: Id, _: Sel, fail: Bool, error: *mut Id) -> Bool {
    if fail.get() {
        let words = aruminium::foundation::NSDictionary::new(&[(
            &NSString::from("NSLocalizedDescription"),
            &NSString::from("no probe today"),
        )]);
        let report = NSError::new("ProbeDomain", -7, Some(&words));
        unsafe { *error = link::objc_autorelease(link::objc_retain(report.as_raw())) }
    }
    Bool::new(!fail.get())
}
unsafe extern "C" fn same(_: Id, _: Sel, a: Id, b: Id) -> Bool {
    Bool::new(a == b)
}
unsafe extern "C" fn count_of(this: Id, _: Sel, objects: *const Id, count: usize) -> usize {
    let objects = unsafe { std::slice::from_raw_parts(objects, count) };
    objects.iter().filter(|&&object| object == this).count()
}
unsafe extern "C" fn call_block(_: Id, _: Sel, block: *const c_void, value: usize) -> usize {
    unsafe {
        let invoke =
            block.cast::<unsafe extern "C" fn(*const c_void, usize) -> usize>().add(2).read();
        invoke(block, value)
    }
}
unsafe extern "C" fn dealloc(this: Id, selector: Sel) {
    DEALLOCATED.fetch_add(1, Ordering::SeqCst);
    unsafe {
        let superclass = link::class_getSuperclass(probe_class());
        let imp = link::class_getMethodImplementation(superclass, selector).unwrap();
        let imp = std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Sel)>(imp);
        imp(this, selector);
    }
}
