//! Foundation's mutable collections, sorting, the process, and messages without a method.

use super::*;
use std::ffi::c_void;

fn make(name: &str) -> Id {
    new(class(name))
}

fn numbers(list: Id) -> Vec<i64> {
    let number = |index| {
        let object = send!(list, "objectAtIndex:", index => usize; Id);
        send!(object, "longLongValue"; i64)
    };
    (0..send!(list, "count"; usize)).map(number).collect()
}

fn number(value: i64) -> Id {
    send!(class("NSNumber").as_id(), "numberWithLongLong:", value => i64; Id)
}

fn array(name: &str, values: &[i64]) -> Id {
    let objects: Vec<Id> = values.iter().map(|value| number(*value)).collect();
    let alloc = send!(class(name).as_id(), "alloc"; Id);
    let (start, count) = (objects.as_ptr(), objects.len());
    send!(alloc, "initWithObjects:count:", start => *const Id, count => usize; Id)
}

/// A block without captured variables.
fn block(invoke: Imp) -> Id {
    #[repr(C)]
    struct Literal {
        isa: *const c_void,
        flags: i32,
        reserved: i32,
        invoke: Imp,
        descriptor: *const [usize; 2],
    }
    static DESCRIPTOR: [usize; 2] = [0, size_of::<Literal>()];
    let isa = (&raw const crate::soft::runtime::block::_NSConcreteStackBlock).cast();
    let literal = Literal { isa, flags: 0, reserved: 0, invoke, descriptor: &raw const DESCRIPTOR };
    Id::from_ptr(Box::into_raw(Box::new(literal)).cast())
}

#[test]
fn a_mutable_array_changes() {
    let list = array("NSMutableArray", &[1, 2]);
    for class_name in ["NSArray", "NSMutableArray"] {
        assert!(send!(list, "isKindOfClass:", class(class_name) => Class; Bool).get());
    }
    send!(list, "addObject:", number(3) => Id; ());
    send!(list, "insertObject:atIndex:", number(0) => Id, 0 => usize; ());
    assert_eq!(numbers(list), [0, 1, 2, 3]);
    send!(list, "replaceObjectAtIndex:withObject:", 1 => usize, number(9) => Id; ());
    send!(list, "setObject:atIndexedSubscript:", number(4) => Id, 4 => usize; ());
    send!(list, "removeObjectAtIndex:", 0 => usize; ());
    assert_eq!(numbers(list), [9, 2, 3, 4]);
    send!(list, "exchangeObjectAtIndex:withObjectAtIndex:", 0 => usize, 3 => usize; ());
    send!(list, "removeObject:", number(2) => Id; ());
    assert_eq!(numbers(list), [4, 3, 9]);
    let fixed = send!(list, "copy"; Id);
    let other = send!(fixed, "mutableCopy"; Id);
    send!(list, "addObjectsFromArray:", fixed => Id; ());
    let range = NSRange { location: 1, length: 3 };
    send!(
        list, "replaceObjectsInRange:withObjectsFromArray:", range => NSRange,
        array("NSArray", &[7]) => Id; ()
    );
    assert_eq!((numbers(list), numbers(fixed)), (vec![4, 7, 3, 9], vec![4, 3, 9]));
    send!(list, "removeObjectsInArray:", fixed => Id; ());
    send!(list, "removeLastObject"; ());
    send!(list, "removeLastObject"; ());
    assert_eq!((numbers(list), numbers(other)), (vec![], vec![4, 3, 9]));
    assert!(!send!(fixed, "respondsToSelector:", sel("addObject:") => Sel; Bool).get());
    assert!(send!(fixed, "isEqual:", other => Id; Bool).get());
    send!(other, "removeAllObjects"; ());
    assert_eq!(send!(other, "count"; usize), 0);
    let empty = send!(
        class("NSMutableArray").as_id(), "arrayWithCapacity:", 10 => usize; Id
    );
    send!(empty, "addObject:", number(5) => Id; ());
    assert_eq!(numbers(empty), [5]);
}

#[test]
fn the_objects_of_a_mutable_array_are_counted() {
    let (list, object) = (make("NSMutableArray"), make("NSObject"));
    let count = || send!(object, "retainCount"; usize);
    send!(list, "addObject:", object => Id; ());
    send!(list, "addObject:", object => Id; ());
    assert_eq!(count(), 3);
    send!(list, "removeLastObject"; ());
    assert_eq!(count(), 2);
    send!(list, "replaceObjectAtIndex:withObject:", 0 => usize, number(1) => Id; ());
    assert_eq!(count(), 1);
    send!(list, "addObject:", object => Id; ());
    send!(list, "release"; ());
    assert_eq!(count(), 1);
}

/// A loop sees that the collection has changed.
#[test]
fn changes_are_counted_for_loops() {
    #[repr(C)]
    struct State {
        state: usize,
        items: *const Id,
        mutations: *const usize,
        extra: [usize; 5],
    }
    let list = array("NSMutableArray", &[1]);
    let mut state =
        State { state: 0, items: std::ptr::null(), mutations: std::ptr::null(), extra: [0; 5] };
    let none: *mut Id = std::ptr::null_mut();
    send!(
        list, "countByEnumeratingWithState:objects:count:", &raw mut state => *mut State,
        none => *mut Id, 16 => usize; usize
    );
    // SAFETY: the array lives, and so does its number of changes.
    let changes = || unsafe { state.mutations.read_volatile() };
    let before = changes();
    send!(list, "addObject:", number(2) => Id; ());
    assert_ne!(changes(), before);
}

#[test]
fn a_mutable_dictionary_changes() {
    let pairs = make("NSMutableDictionary");
    let get = |key: &str| {
        let value = send!(pairs, "objectForKey:", string(key) => Id; Id);
        if value.is_nil() { 0 } else { send!(value, "longLongValue"; i64) }
    };
    let set = |key: &str, value| {
        send!(pairs, "setObject:forKey:", number(value) => Id, string(key) => Id; ());
    };
    set("a", 1);
    set("b", 2);
    set("c", 3);
    set("a", 4);
    let fixed = send!(pairs, "copy"; Id);
    send!(pairs, "removeObjectForKey:", string("a") => Id; ());
    assert_eq!([get("a"), get("b"), get("c")], [0, 2, 3]);
    set("d", 5);
    send!(pairs, "removeObjectForKey:", string("c") => Id; ());
    assert_eq!([get("b"), get("c"), get("d")], [2, 0, 5]);
    send!(pairs, "addEntriesFromDictionary:", fixed => Id; ());
    assert_eq!([get("a"), get("b"), get("c"), get("d")], [4, 2, 3, 5]);
    send!(pairs, "setObject:forKeyedSubscript:", Id::NIL => Id, string("b") => Id; ());
    assert_eq!((send!(pairs, "count"; usize), send!(fixed, "count"; usize)), (3, 3));
    let other = send!(fixed, "mutableCopy"; Id);
    send!(other, "removeAllObjects"; ());
    send!(pairs, "setDictionary:", other => Id; ());
    assert_eq!(send!(pairs, "count"; usize), 0);
    assert!(!send!(fixed, "respondsToSelector:", sel("removeAllObjects") => Sel; Bool).get());
}

#[test]
fn arrays_are_sorted_and_searched() {
    unsafe extern "C" fn descending(_: *const c_void, a: Id, b: Id) -> isize {
        send!(b, "compare:", a => Id; isize)
    }
    unsafe extern "C" fn never_less(_: *const c_void, _: Id, _: Id) -> isize {
        1
    }
    type Compare = unsafe extern "C" fn(*const c_void, Id, Id) -> isize;
    let comparator = |compare: Compare| block(cast::<Compare, Imp>(compare));
    let list = array("NSArray", &[3, 1, 2, 5, 4]);
    let sorted = send!(list, "sortedArrayUsingSelector:", sel("compare:") => Sel; Id);
    assert_eq!(numbers(sorted), [1, 2, 3, 4, 5]);
    let sorted = send!(list, "sortedArrayUsingComparator:", comparator(descending) => Id; Id);
    assert_eq!(numbers(sorted), [5, 4, 3, 2, 1]);
    // A comparison that contradicts itself makes some order of the same objects.
    let sorted = send!(list, "sortedArrayUsingComparator:", comparator(never_less) => Id; Id);
    assert_eq!(numbers(sorted).iter().sum::<i64>(), 15);
    let index = |selector: &str, object| send!(list, selector, object => Id; usize);
    assert_eq!(index("indexOfObject:", number(5)), 3);
    assert_eq!(index("indexOfObjectIdenticalTo:", string("x")), isize::MAX as usize);
    let range = NSRange { location: 1, length: 2 };
    let found =
        |value| send!(list, "indexOfObject:inRange:", number(value) => Id, range => NSRange; usize);
    assert_eq!((found(2), found(3)), (2, isize::MAX as usize));
}

/// A message that headers of Foundation declare and the classes have no method for returns nil and an error; it does not end the program.
#[test]
fn messages_without_a_method_return_nil() {
    let mut error = Id::NIL;
    let url = send!(class("NSURL").as_id(), "fileURLWithPath:", string("/tmp") => Id; Id);
    let values = send!(
        url, "resourceValuesForKeys:error:", array("NSArray", &[]) => Id,
        &raw mut error => *mut Id; Id
    );
    assert!(values.is_nil());
    let why = text(send!(error, "localizedDescription"; Id));
    assert!(why.contains("-[NSURL resourceValuesForKeys:error:]: soft Metal"), "{why}");
    assert_eq!(send!(error, "code"; isize), 3328);
    let mut error = Id::NIL;
    let none: *mut usize = std::ptr::null_mut();
    let of_class = send!(
        class("NSString").as_id(), "stringWithContentsOfFile:usedEncoding:error:",
        string("/tmp") => Id, none => *mut usize, &raw mut error => *mut Id; Id
    );
    assert!(of_class.is_nil() && !error.is_nil());
    assert!(send!(string("a"), "localizedUppercaseString"; Id).is_nil());
    // A subclass has the list of its superclass.
    let list = make("NSMutableArray");
    assert!(send!(list, "sortedArrayHint"; Id).is_nil());
}

#[test]
fn the_process_is_described() {
    let info = send!(class("NSProcessInfo").as_id(), "processInfo"; Id);
    assert_eq!(send!(info, "processIdentifier"; i32), std::process::id() as i32);
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Version([isize; 3]);
    #[cfg(target_arch = "x86_64")]
    let send_struct: Imp = objc_msgSend_stret;
    #[cfg(target_arch = "aarch64")]
    let send_struct: Imp = objc_msgSend;
    let version = cast::<Imp, extern "C" fn(Id, Sel) -> Version>(send_struct);
    let version = version(info, sel("operatingSystemVersion"));
    assert_eq!(version, Version([26, 0, 0]));
    for (parts, expected) in
        [([26, 0, 0], true), ([14, 9, 9], true), ([26, 0, 1], false), ([27, 0, 0], false)]
    {
        let is = send!(
            info, "isOperatingSystemAtLeastVersion:", Version(parts) => Version; Bool
        );
        assert_eq!(is.get(), expected, "{parts:?}");
    }
    let environment = send!(info, "environment"; Id);
    let path = send!(environment, "objectForKey:", string("PATH") => Id; Id);
    assert_eq!(text(path), std::env::var("PATH").unwrap());
    let arguments = send!(info, "arguments"; Id);
    assert_eq!(send!(arguments, "count"; usize), std::env::args_os().count());
    let memory = send!(info, "physicalMemory"; u64);
    assert!(!cfg!(target_os = "linux") || memory > 64 << 20, "{memory}");
}

#[test]
fn dictionaries_are_sorted_and_read_by_key() {
    let pairs = make("NSMutableDictionary");
    for (key, value) in [("a", 3), ("b", 1), ("c", 2), ("d", 1)] {
        send!(pairs, "setValue:forKey:", number(value) => Id, string(key) => Id; ());
    }
    send!(pairs, "setValue:forKey:", Id::NIL => Id, string("c") => Id; ());
    let joined = |keys: Id| text(send!(keys, "componentsJoinedByString:", string(" ") => Id; Id));
    let sorted = send!(pairs, "keysSortedByValueUsingSelector:", sel("compare:") => Sel; Id);
    assert_eq!(joined(sorted), "b d a");
    assert_eq!(joined(send!(pairs, "allKeysForObject:", number(1) => Id; Id)), "b d");
    let value = send!(pairs, "valueForKey:", string("a") => Id; Id);
    assert_eq!(send!(value, "longLongValue"; i64), 3);
    let objects = [string("a"), string("x")];
    let keys = send!(
        class("NSArray").as_id(), "arrayWithObjects:count:", objects.as_ptr() => *const Id, 2 => usize; Id
    );
    let found = send!(pairs, "objectsForKeys:notFoundMarker:", keys => Id, number(0) => Id; Id);
    assert_eq!(numbers(found), [3, 0]);
    let thread = send!(class("NSThread").as_id(), "currentThread"; Id);
    let own = send!(thread, "threadDictionary"; Id);
    send!(own, "setValue:forKey:", number(5) => Id, string("five") => Id; ());
    let again = send!(thread, "threadDictionary"; Id);
    assert_eq!((again, send!(again, "count"; usize)), (own, 1));
    let set = send!(class("NSSet").as_id(), "setWithObject:", pairs => Id; Id);
    send!(set, "makeObjectsPerformSelector:", sel("removeAllObjects") => Sel; ());
    assert_eq!(send!(pairs, "count"; usize), 0);
    // Messages of other headers that have no method.
    let bundle =
        send!(class("NSBundle").as_id(), "bundleForClass:", class("NSObject") => Class; Id);
    assert!(send!(bundle, "classNamed:", string("NSObject") => Id; Id).is_nil());
    assert!(!send!(bundle, "load"; Bool).get());
    assert_eq!(send!(thread, "threadPriority"; f64), 0.0);
}
