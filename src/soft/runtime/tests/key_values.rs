//! Key-value coding: values by name, through accessors and instance variables.

use super::exceptions::caught;
use super::*;
use crate::abi::MTLSize;

/// The size of an object of the test's class, and what it was set to.
static SIZE: std::sync::Mutex<MTLSize> =
    std::sync::Mutex::new(MTLSize { width: 1, height: 2, depth: 3 });

unsafe extern "C" fn size(_: Id, _: Sel) -> MTLSize {
    *SIZE.lock().unwrap()
}

unsafe extern "C" fn set_size(_: Id, _: Sel, size: MTLSize) {
    *SIZE.lock().unwrap() = size;
}

unsafe extern "C" fn is_active(_: Id, _: Sel) -> Bool {
    Bool::new(true)
}

unsafe extern "C" fn half(_: Id, _: Sel) -> f32 {
    0.5
}

unsafe extern "C" fn nothing(_: Id, _: Sel) {}

/// A class with variables and accessors of several types.
fn of_all_kinds() -> Class {
    // SAFETY: the class is new, and each method is of its type.
    unsafe {
        let class = objc_allocateClassPair(class("NSObject"), c"OfAllKinds".as_ptr(), 0);
        for (name, bytes, types) in
            [(c"_count", 4u32, c"i"), (c"name", 8, c"@"), (c"_isBig", 1, c"C")]
        {
            let align = bytes.trailing_zeros() as u8;
            assert!(
                class_addIvar(class, name.as_ptr(), bytes as usize, align, types.as_ptr()).get()
            );
        }
        objc_registerClassPair(class);
        let add = |name: &str, imp: Imp, types: &CStr| {
            assert!(class_addMethod(class, sel(name), imp, types.as_ptr()).get());
        };
        add("size", cast::<unsafe extern "C" fn(Id, Sel) -> MTLSize, Imp>(size), c"{?=QQQ}@:");
        add(
            "setSize:",
            cast::<unsafe extern "C" fn(Id, Sel, MTLSize), Imp>(set_size),
            c"v@:{?=QQQ}",
        );
        let bool = if cfg!(target_arch = "x86_64") { c"c@:" } else { c"B@:" };
        add("isActive", cast::<unsafe extern "C" fn(Id, Sel) -> Bool, Imp>(is_active), bool);
        add("getHalf", cast::<unsafe extern "C" fn(Id, Sel) -> f32, Imp>(half), c"f@:");
        add("nothing", cast::<unsafe extern "C" fn(Id, Sel), Imp>(nothing), c"v@:");
        class
    }
}

fn value(object: Id, key: &str) -> Id {
    send!(object, "valueForKey:", string(key) => Id; Id)
}

fn set(object: Id, key: &str, value: Id) {
    send!(object, "setValue:forKey:", value => Id, string(key) => Id; ())
}

fn number(number: i32) -> Id {
    send!(class("NSNumber").as_id(), "numberWithInt:", number => i32; Id)
}

/// The name of the exception that is thrown.
fn thrown(run: impl FnMut()) -> String {
    text(send!(caught(run).expect("an exception"), "name"; Id))
}

/// Sends a message with two objects that an exception may leave.
fn send_unwinding(object: Id, selector: &str, one: Id, other: Id) {
    let send: Imp = objc_msgSend;
    cast::<Imp, extern "C-unwind" fn(Id, Sel, Id, Id) -> Id>(send)(
        object,
        sel(selector),
        one,
        other,
    );
}

#[test]
fn values_are_read_and_set_by_their_names() {
    let object = new(of_all_kinds());
    set(object, "count", number(-7));
    assert_eq!(send!(value(object, "count"), "intValue"; i32), -7);
    set(object, "big", number(200));
    assert_eq!(send!(value(object, "big"), "unsignedCharValue"; u8), 200);
    assert!(value(object, "name").is_nil());
    let name = string("a name");
    set(object, "name", name);
    assert_eq!((value(object, "name"), send!(name, "retainCount"; usize)), (name, 3));
    let length = send!(object, "valueForKeyPath:", string("name.length") => Id; Id);
    assert_eq!(send!(length, "unsignedLongValue"; usize), 6);

    assert!(send!(value(object, "active"), "boolValue"; Bool).get());
    assert_eq!(send!(value(object, "half"), "floatValue"; f32), 0.5);
    let boxed = value(object, "size");
    let mut size = MTLSize::default();
    send!(boxed, "getValue:size:", &raw mut size => *mut MTLSize, 24 => usize; ());
    assert_eq!(size, MTLSize { width: 1, height: 2, depth: 3 });
    let other = MTLSize { width: 4, height: 5, depth: 6 };
    let boxed = send!(
        class("NSValue").as_id(), "valueWithBytes:objCType:", &raw const other => *const MTLSize,
        c"{?=QQQ}".as_ptr() => *const std::ffi::c_char; Id
    );
    set(object, "size", boxed);
    assert_eq!(*SIZE.lock().unwrap(), other);

    let list = send!(class("NSMutableArray").as_id(), "array"; Id);
    send!(list, "addObject:", object => Id; ());
    send!(list, "setValue:forKey:", number(9) => Id, string("count") => Id; ());
    let counts = send!(list, "valueForKey:", string("count") => Id; Id);
    assert_eq!(send!(send!(counts, "firstObject"; Id), "intValue"; i32), 9);
    let keys = send!(string("count half"), "componentsSeparatedByString:", string(" ") => Id; Id);
    let all = send!(object, "dictionaryWithValuesForKeys:", keys => Id; Id);
    assert_eq!(send!(value(all, "count"), "intValue"; i32), 9);
    let pairs = send!(class("NSMutableDictionary").as_id(), "dictionary"; Id);
    send!(pairs, "setValue:forKeyPath:", number(3) => Id, string("count") => Id; ());
    send!(object, "setValuesForKeysWithDictionary:", pairs => Id; ());
    assert_eq!(send!(value(object, "count"), "intValue"; i32), 3);
}

#[test]
fn unknown_keys_and_nil_for_numbers_are_exceptions() {
    let object = send!(class("NSObject").as_id(), "new"; Id);
    for message in ["valueForKey:", "valueForKeyPath:"] {
        let name = thrown(|| send_unwinding(object, message, string("colour"), Id::NIL));
        assert_eq!(name, "NSUnknownKeyException");
    }
    let set = "setValue:forKey:";
    let name = thrown(|| send_unwinding(object, set, object, string("colour")));
    assert_eq!(name, "NSUnknownKeyException");
    let descriptor = send!(class("NSMutableArray").as_id(), "array"; Id);
    send!(descriptor, "addObject:", object => Id; ());
    let name = thrown(|| send_unwinding(descriptor, "valueForKey:", string("colour"), Id::NIL));
    assert_eq!(name, "NSUnknownKeyException");
    // SAFETY: the class is new.
    let numbers = unsafe {
        let class = objc_allocateClassPair(class("NSObject"), c"WithANumber".as_ptr(), 0);
        class_addIvar(class, c"count".as_ptr(), 4, 2, c"i".as_ptr());
        objc_registerClassPair(class);
        new(class)
    };
    let name = thrown(|| send_unwinding(numbers, set, Id::NIL, string("count")));
    assert_eq!(name, "NSInvalidArgumentException");
}
