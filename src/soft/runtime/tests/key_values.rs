//! Key-value coding: values by name, through accessors and instance variables.

use super::exceptions::caught;
use super::*;
use crate::abi::MTLSize;
use crate::soft::runtime::lock::Lock;
use crate::soft::runtime::selector;
use crate::soft::runtime::send::{self, Unwinding};

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
fn of_all_kinds_named(name: &CStr) -> Class {
    // SAFETY: the class is new, and each method is of its type.
    unsafe {
        let class = objc_allocateClassPair(class("NSObject"), name.as_ptr(), 0);
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
    let send: Unwinding = send::send_unwinding;
    cast::<Unwinding, extern "C-unwind" fn(Id, Sel, Id, Id) -> Id>(send)(
        object,
        sel(selector),
        one,
        other,
    );
}

#[test]
fn values_are_read_and_set_by_their_names() {
    let object = new(of_all_kinds_named(c"OfAllKinds"));
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

/// Selectors are never freed, so that text which a program reads as a key must not become one.
#[test]
fn keys_that_no_object_has_register_no_selectors() {
    let object = send!(class("NSObject").as_id(), "new"; Id);
    let key = || string("keyOfNoObject");
    let name = thrown(|| send_unwinding(object, "valueForKey:", key(), Id::NIL));
    assert_eq!(name, "NSUnknownKeyException");
    let name = thrown(|| send_unwinding(object, "setValue:forKey:", object, key()));
    assert_eq!(name, "NSUnknownKeyException");
    let lock = Lock::take();
    for name in [
        c"keyOfNoObject",
        c"getKeyOfNoObject",
        c"isKeyOfNoObject",
        c"_keyOfNoObject",
        c"setKeyOfNoObject:",
        c"_setKeyOfNoObject:",
    ] {
        assert!(selector::registered(name, &lock).is_none(), "{name:?}");
    }
    assert!(selector::registered(c"setValue:forKey:", &lock).is_some());
}

/// Stores a value whose type differs, and nothing else is written.
#[test]
fn values_of_another_type_are_exceptions() {
    let object = new(of_size());
    let value = |bytes: *const u64, ty: &CStr| {
        send!(
            class("NSValue").as_id(), "valueWithBytes:objCType:", bytes => *const u64,
            ty.as_ptr() => *const c_char; Id
        )
    };
    let words = [7u64, 8, 9];
    for ty in [c"{?=QQ}", c"{?=ddd}", c"Q"] {
        for key in ["size", "inner"] {
            let value = value(words.as_ptr(), ty);
            let name = thrown(|| send_unwinding(object, SET, value, string(key)));
            assert_eq!(name, "NSInvalidArgumentException", "{ty:?}");
        }
    }
    let name = thrown(|| send_unwinding(object, SET, number(1), string("size")));
    assert_eq!(name, "NSInvalidArgumentException");
    set(object, "inner", value(words.as_ptr(), c"{MTLSize=QQQ}"));
    let mut read = [0u64; 3];
    let inner = self::value(object, "inner");
    send!(inner, "getValue:size:", &raw mut read => *mut [u64; 3], 24 => usize; ());
    assert_eq!(read, words);
}

const SET: &str = "setValue:forKey:";

/// A class with a struct as a variable and as a property.
fn of_size() -> Class {
    // SAFETY: the class is new, and each method is of its type.
    unsafe {
        let class = objc_allocateClassPair(class("NSObject"), c"OfSize".as_ptr(), 0);
        assert!(class_addIvar(class, c"inner".as_ptr(), 24, 3, c"{?=QQQ}".as_ptr()).get());
        objc_registerClassPair(class);
        add(
            class,
            "setSize:",
            cast::<unsafe extern "C" fn(Id, Sel, MTLSize), Imp>(set_other),
            c"v@:{?=QQQ}",
        );
        class
    }
}

unsafe extern "C" fn set_other(_: Id, _: Sel, _: MTLSize) {
    panic!("a value of another type was passed");
}

/// A variable of each type of number is as large as its encoding says: its neighbour is not written.
#[test]
fn variables_of_numbers_have_the_size_of_their_encoding() {
    for letter in "BcCsSiIlLqQfd".chars() {
        let ty: Encoding = letter.to_string().parse().unwrap();
        let (size, _) = ty.layout().unwrap();
        let types = CString::new(letter.to_string()).unwrap();
        // SAFETY: the class is new; the variables are bytes of the object.
        let (object, next) = unsafe {
            let name = CString::new(format!("Of{letter}")).unwrap();
            let class = objc_allocateClassPair(class("NSObject"), name.as_ptr(), 0);
            let align = size.trailing_zeros() as u8;
            assert!(class_addIvar(class, c"number".as_ptr(), size, align, types.as_ptr()).get());
            assert!(class_addIvar(class, c"next".as_ptr(), 8, 0, c"q".as_ptr()).get());
            objc_registerClassPair(class);
            let variable = class_getInstanceVariable(class, c"next".as_ptr());
            let object = new(class);
            let at = ivar_getOffset(variable);
            (object, object.as_ptr().cast::<u8>().offset(at).cast::<u64>())
        };
        // SAFETY: as above.
        unsafe { next.write_unaligned(u64::MAX / 3) };
        set(object, "number", number(1));
        let read = value(object, "number");
        // SAFETY: as above.
        assert_eq!(unsafe { next.read_unaligned() }, u64::MAX / 3, "{letter}");
        assert_eq!(send!(read, "longLongValue"; i64), 1, "{letter}");
        let types = send!(read, "objCType"; *const c_char);
        // SAFETY: a C string.
        let types: Encoding = unsafe { CStr::from_ptr(types) }.to_str().unwrap().parse().unwrap();
        assert!(types.same_abi(&ty), "{letter}");
    }
}

/// A variable that is not as large as its type says is not found by a key; names of classes in types are skipped.
#[test]
fn types_of_variables_are_read_as_compilers_write_them() {
    // SAFETY: the class is new.
    let object = unsafe {
        let class = objc_allocateClassPair(class("NSObject"), c"OfNames".as_ptr(), 0);
        class_addIvar(class, c"title".as_ptr(), 8, 3, c"@\"NSString\"".as_ptr());
        class_addIvar(class, c"short".as_ptr(), 1, 0, c"i".as_ptr());
        class_addIvar(class, c"after".as_ptr(), 24, 0, c"C".as_ptr());
        objc_registerClassPair(class);
        new(class)
    };
    set(object, "title", string("a title"));
    assert_eq!(text(value(object, "title")), "a title");
    for (message, one, other) in
        [("valueForKey:", string("short"), Id::NIL), (SET, number(1), string("short"))]
    {
        let name = thrown(|| send_unwinding(object, message, one, other));
        assert_eq!(name, "NSUnknownKeyException");
    }
}

/// Methods that count references or make objects are no accessors, nor are those that return nothing.
#[test]
fn keys_do_not_reach_memory_management() {
    let object = new(of_all_kinds_named(c"OfNoAccessors"));
    let pointer = send!(
        class("NSValue").as_id(), "valueWithNonretainedObject:", object => Id; Id
    );
    for (receiver, key) in [
        (object, "retain"),
        (object, "autorelease"),
        (object, "release"),
        (object, "dealloc"),
        (object, "init"),
        (object, "nothing"),
        (string("a"), "copy"),
        (string("a"), "mutableCopy"),
        (class("NSString").as_id(), "new"),
        (class("NSString").as_id(), "alloc"),
        (pointer, "nonretainedObjectValue"),
    ] {
        let count = send!(receiver, "retainCount"; usize);
        let name = thrown(|| send_unwinding(receiver, "valueForKey:", string(key), Id::NIL));
        assert_eq!(name, "NSUnknownKeyException", "{key}");
        assert_eq!(send!(receiver, "retainCount"; usize), count, "{key}");
    }
    assert_eq!(value(object, "self"), object);
    let name = value(class("NSString").as_id(), "description");
    assert_eq!(text(name), "NSString", "a class is a receiver, too");
}

/// A path is as long as a program likes, and a key ends where its string does.
#[test]
fn paths_are_long_and_keys_are_whole() {
    let object = new(of_all_kinds_named(c"OfLongPaths"));
    let path = "self.".repeat(50_000);
    let length = send!(object, "valueForKeyPath:", string(&(path.clone() + "count")) => Id; Id);
    assert_eq!(send!(length, "intValue"; i32), 0);
    send!(
        object, "setValue:forKeyPath:", number(5) => Id, string(&(path + "count")) => Id; ()
    );
    assert_eq!(send!(value(object, "count"), "intValue"; i32), 5);
    let name = thrown(|| {
        send_unwinding(object, "valueForKey:", string("count\0x"), Id::NIL);
    });
    assert_eq!(name, "NSUnknownKeyException");
    let nil = send!(object, "valueForKeyPath:", string("name.length.self") => Id; Id);
    assert!(nil.is_nil());
}

/// A getter may change the array whose objects are asked, null in a dictionary is nil, and a class may hide its variables.
#[test]
fn values_of_several_objects_and_keys() {
    unsafe extern "C" fn remove(this: Id, _: Sel) -> Id {
        send!(value(this, "name"), "removeLastObject"; ());
        this
    }
    unsafe extern "C" fn hide(_: Id, _: Sel) -> Bool {
        Bool::new(false)
    }
    let class_of = of_all_kinds_named(c"OfSeveral");
    add(class_of, "removing", cast::<unsafe extern "C" fn(Id, Sel) -> Id, Imp>(remove), c"@@:");
    let object = new(class_of);
    let list = send!(class("NSMutableArray").as_id(), "array"; Id);
    for _ in 0..3 {
        send!(list, "addObject:", object => Id; ());
    }
    set(object, "name", list);
    let values = send!(list, "valueForKey:", string("removing") => Id; Id);
    assert_eq!((send!(values, "count"; usize), send!(list, "count"; usize)), (2, 1));

    let pairs = send!(class("NSMutableDictionary").as_id(), "dictionary"; Id);
    let null = send!(class("NSNull").as_id(), "null"; Id);
    send!(pairs, "setObject:forKey:", null => Id, string("name") => Id; ());
    send!(object, "setValuesForKeysWithDictionary:", pairs => Id; ());
    assert!(value(object, "name").is_nil());

    let meta = Class::from_ptr(
        // SAFETY: an object.
        unsafe { object_getClass(class_of.as_id()) }.as_ptr(),
    );
    let types = if cfg!(target_arch = "x86_64") { c"c@:" } else { c"B@:" };
    let imp = cast::<unsafe extern "C" fn(Id, Sel) -> Bool, Imp>(hide);
    add(meta, "accessInstanceVariablesDirectly", imp, types);
    let name = thrown(|| send_unwinding(object, "valueForKey:", string("count"), Id::NIL));
    assert_eq!(name, "NSUnknownKeyException");
}
