//! Foundation's classes.

use super::*;
use std::ffi::c_void;

fn equal(a: Id, b: Id) -> bool {
    let equal = send!(a, "isEqual:", b => Id; Bool).get();
    if equal {
        assert_eq!(send!(a, "hash"; usize), send!(b, "hash"; usize));
    }
    assert_eq!(equal, send!(b, "isEqual:", a => Id; Bool).get());
    equal
}

fn array(objects: &[Id]) -> Id {
    send!(
        class("NSArray").as_id(), "arrayWithObjects:count:",
        objects.as_ptr() => *const Id, objects.len() => usize; Id
    )
}

fn number(selector: &str, value: i64) -> Id {
    send!(class("NSNumber").as_id(), selector, value => i64; Id)
}

fn real(value: f64) -> Id {
    send!(class("NSNumber").as_id(), "numberWithDouble:", value => f64; Id)
}

#[test]
fn strings_are_utf8_and_utf16() {
    for sample in ["", "plain", "größer", "日本語", "a\u{1F600}b", "nul\0inside"] {
        let object = string(sample);
        let units: Vec<u16> = sample.encode_utf16().collect();
        assert_eq!(send!(object, "length"; usize), units.len());
        for (index, unit) in units.iter().enumerate() {
            assert_eq!(send!(object, "characterAtIndex:", index => usize; u16), *unit);
        }
        let mut buffer = vec![0u16; units.len()];
        let range = NSRange::from(0..units.len());
        send!(object, "getCharacters:range:", buffer.as_mut_ptr() => *mut u16, range => NSRange; ());
        assert_eq!(buffer, units);
        assert_eq!(send!(object, "lengthOfBytesUsingEncoding:", 4 => usize; usize), sample.len());
        assert_eq!(
            send!(object, "lengthOfBytesUsingEncoding:", 10 => usize; usize),
            units.len() * 2
        );
        let alloc = || send!(class("NSString").as_id(), "alloc"; Id);
        let from_units = send!(
            alloc(), "initWithCharacters:length:",
            units.as_ptr() => *const u16, units.len() => usize; Id
        );
        assert!(equal(object, from_units));
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let from_bytes = send!(
            alloc(), "initWithBytes:length:encoding:", little.as_ptr().cast() => *const c_void,
            little.len() => usize, 0x9400_0100 => usize; Id
        );
        assert!(equal(object, from_bytes));
        assert!(!equal(object, string("another")));
    }
}

#[test]
fn a_lone_surrogate_is_kept() {
    let units = [0x61u16, 0xD800, 0x62];
    let object = send!(
        class("NSString").as_id(), "stringWithCharacters:length:",
        units.as_ptr() => *const u16, 3 => usize; Id
    );
    assert_eq!(send!(object, "length"; usize), 3);
    assert_eq!(send!(object, "characterAtIndex:", 1 => usize; u16), 0xD800);
    assert!(send!(object, "UTF8String"; *const c_char).is_null());
    let low = send!(
        class("NSString").as_id(), "stringWithCharacters:length:",
        [0xDC00u16].as_ptr() => *const u16, 1 => usize; Id
    );
    let high = send!(object, "substringToIndex:", 2 => usize; Id);
    assert_eq!(text(send!(high, "stringByAppendingString:", low => Id; Id)), "a\u{10000}");
}

#[test]
fn bytes_that_are_no_text_make_no_string() {
    let bad = [0x61u8, 0xFF];
    let object = send!(class("NSString").as_id(), "alloc"; Id);
    let object = send!(
        object, "initWithBytes:length:encoding:",
        bad.as_ptr().cast() => *const c_void, 2 => usize, 4 => usize; Id
    );
    assert!(object.is_nil());
    let object = send!(class("NSString").as_id(), "stringWithUTF8String:", std::ptr::null() => *const c_char; Id);
    assert!(object.is_nil());
}

#[test]
fn strings_are_compared_cut_and_read() {
    let object = string("Hello World");
    assert_eq!(text(send!(object, "uppercaseString"; Id)), "HELLO WORLD");
    assert_eq!(text(send!(object, "lowercaseString"; Id)), "hello world");
    assert_eq!(text(send!(object, "substringFromIndex:", 6 => usize; Id)), "World");
    assert!(send!(object, "hasPrefix:", string("Hello") => Id; Bool).get());
    assert!(send!(object, "hasSuffix:", string("World") => Id; Bool).get());
    assert!(!send!(object, "hasPrefix:", string("") => Id; Bool).get());
    assert_eq!(send!(string("a"), "compare:", string("b") => Id; isize), -1);
    assert_eq!(send!(string(" 42abc"), "intValue"; i32), 42);
    assert_eq!(send!(string("-7"), "integerValue"; i64), -7);
    assert_eq!(send!(string("99999999999999999999"), "intValue"; i32), i32::MAX);
    assert_eq!(send!(string("-99999999999999999999"), "longLongValue"; i64), i64::MIN);
    assert_eq!(send!(string("2.5e2x"), "doubleValue"; f64), 250.0);
    assert_eq!(send!(string("x"), "doubleValue"; f64), 0.0);
    assert!(send!(string("+007"), "boolValue"; Bool).get());
    assert!(!send!(string("00"), "boolValue"; Bool).get());
    let copy = send!(object, "copy"; Id);
    assert_eq!(copy, object);
    assert_eq!(send!(object, "retainCount"; usize), 2);
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let mut error = Id::NIL;
    let path = string("/nowhere/at/all.metal");
    let object = send!(
        class("NSString").as_id(), "stringWithContentsOfFile:encoding:error:",
        path => Id, 4 => usize, &raw mut error => *mut Id; Id
    );
    assert!(object.is_nil());
    assert_eq!(text(send!(error, "domain"; Id)), "NSCocoaErrorDomain");
    assert_eq!(send!(error, "code"; isize), 260);
    assert!(text(send!(error, "localizedDescription"; Id)).starts_with("/nowhere/at/all.metal: "));
    let info = send!(error, "userInfo"; Id);
    assert!(equal(send!(info, "objectForKey:", string("NSFilePath") => Id; Id), path));
}

#[test]
fn errors_without_a_description_have_a_default_one() {
    let error = send!(
        class("NSError").as_id(), "errorWithDomain:code:userInfo:",
        string("Domain") => Id, 7 => isize, Id::NIL => Id; Id
    );
    let words = text(send!(error, "localizedDescription"; Id));
    assert_eq!(words, "The operation couldn't be completed. (Domain error 7.)");
    assert!(send!(error, "localizedFailureReason"; Id).is_nil());
    assert_eq!(send!(send!(error, "userInfo"; Id), "count"; usize), 0);
}

#[repr(C)]
struct State {
    state: usize,
    items: *const Id,
    mutations: *const usize,
    extra: [usize; 5],
}

fn enumerated(collection: Id) -> Vec<Id> {
    let mut state =
        State { state: 0, items: std::ptr::null(), mutations: std::ptr::null(), extra: [0; 5] };
    let (mut all, mut room) = (Vec::new(), [Id::NIL; 4]);
    loop {
        let count = send!(
            collection, "countByEnumeratingWithState:objects:count:",
            &raw mut state => *mut State, room.as_mut_ptr() => *mut Id, 4 => usize; usize
        );
        if count == 0 {
            return all;
        }
        // SAFETY: the collection returned this count.
        all.extend_from_slice(unsafe { std::slice::from_raw_parts(state.items, count) });
        // SAFETY: the collection set it.
        assert_eq!(unsafe { *state.mutations }, 0);
    }
}

#[test]
fn arrays_hold_objects_in_order() {
    let items: Vec<Id> = (0..20).map(|i| string(&format!("item {i}"))).collect();
    let list = array(&items);
    assert_eq!(send!(list, "count"; usize), 20);
    assert_eq!(send!(list, "objectAtIndex:", 3 => usize; Id), items[3]);
    assert_eq!(send!(list, "objectAtIndexedSubscript:", 19 => usize; Id), items[19]);
    assert_eq!(
        (send!(list, "firstObject"; Id), send!(list, "lastObject"; Id)),
        (items[0], items[19])
    );
    assert_eq!(send!(list, "indexOfObject:", string("item 7") => Id; usize), 7);
    assert_eq!(send!(list, "indexOfObject:", string("none") => Id; usize), isize::MAX as usize);
    assert!(send!(list, "containsObject:", string("item 0") => Id; Bool).get());
    assert_eq!(enumerated(list), items);
    assert!(equal(list, array(&items)));
    assert!(!equal(list, array(&items[1..])));
    assert!(send!(array(&[]), "firstObject"; Id).is_nil());
    assert!(
        send!(
            class("NSArray").as_id(), "arrayWithObjects:count:",
            [Id::NIL].as_ptr() => *const Id, 1 => usize; Id
        )
        .is_nil()
    );
}

#[test]
fn an_array_owns_its_objects() {
    let item = string("owned");
    // SAFETY: pools and owned objects.
    unsafe {
        let pool = objc_autoreleasePoolPush();
        let list = array(&[item, item]);
        assert_eq!(send!(item, "retainCount"; usize), 3);
        objc_retain(list);
        objc_autoreleasePoolPop(pool);
        assert_eq!(send!(item, "retainCount"; usize), 3);
        objc_release(list);
    }
    assert_eq!(send!(item, "retainCount"; usize), 1);
}

#[test]
fn dictionaries_find_by_equality() {
    let keys: Vec<Id> = (0..50).map(|i| string(&format!("key {i}"))).collect();
    let values: Vec<Id> = (0..50).map(|i| number("numberWithLongLong:", i)).collect();
    let pairs = send!(
        class("NSDictionary").as_id(), "dictionaryWithObjects:forKeys:count:",
        values.as_ptr() => *const Id, keys.as_ptr() => *const Id, 50 => usize; Id
    );
    assert_eq!(send!(pairs, "count"; usize), 50);
    for (i, value) in values.iter().enumerate() {
        let key = string(&format!("key {i}"));
        assert_eq!(send!(pairs, "objectForKey:", key => Id; Id), *value);
        assert_eq!(send!(pairs, "objectForKeyedSubscript:", key => Id; Id), *value);
    }
    assert!(send!(pairs, "objectForKey:", string("none") => Id; Id).is_nil());
    assert!(send!(pairs, "objectForKey:", Id::NIL => Id; Id).is_nil());
    assert_eq!(enumerated(pairs), keys);
    assert!(equal(send!(pairs, "allKeys"; Id), array(&keys)));
    let again = send!(
        class("NSDictionary").as_id(), "dictionaryWithObjects:forKeys:",
        array(&values) => Id, array(&keys) => Id; Id
    );
    assert!(equal(pairs, again));
}

#[test]
fn numbers_convert_and_compare() {
    assert_eq!(send!(number("numberWithInt:", -1), "unsignedIntValue"; u32), u32::MAX);
    assert_eq!(
        send!(number("numberWithUnsignedLongLong:", -1), "unsignedLongLongValue"; u64),
        u64::MAX
    );
    assert_eq!(send!(real(2.75), "intValue"; i32), 2);
    assert_eq!(send!(real(2.75), "floatValue"; f32), 2.75);
    assert!(send!(real(0.5), "boolValue"; Bool).get());
    assert!(equal(number("numberWithInt:", 3), real(3.0)));
    assert!(equal(number("numberWithInt:", 0), real(-0.0)));
    // 2^53 + 1 is no double: rounding would call these equal.
    assert!(!equal(number("numberWithLongLong:", (1 << 53) + 1), real(9007199254740992.0)));
    assert!(!equal(number("numberWithUnsignedLongLong:", -1), number("numberWithLongLong:", -1)));
    let order = |a, b: Id| send!(a, "compare:", b => Id; isize);
    assert_eq!(order(number("numberWithInt:", 2), real(2.5)), -1);
    assert_eq!(order(real(-2.5), number("numberWithInt:", -2)), -1);
    assert_eq!(order(real(f64::INFINITY), number("numberWithLongLong:", i64::MAX)), 1);
    for (selector, types) in
        [("numberWithInt:", c"i"), ("numberWithLongLong:", c"q"), ("numberWithBool:", c"c")]
    {
        let types_of = send!(number(selector, 1), "objCType"; *const c_char);
        // SAFETY: a C string.
        assert_eq!(unsafe { CStr::from_ptr(types_of) }, types);
    }
    assert_eq!(text(send!(real(0.1), "stringValue"; Id)), "0.1");
}

#[test]
fn urls_know_paths() {
    let file = send!(class("NSURL").as_id(), "fileURLWithPath:", string("/a b/ü%.metal") => Id; Id);
    assert_eq!(text(send!(file, "absoluteString"; Id)), "file:///a%20b/%C3%BC%25.metal");
    assert_eq!(text(send!(file, "path"; Id)), "/a b/ü%.metal");
    assert_eq!(text(send!(file, "lastPathComponent"; Id)), "ü%.metal");
    assert!(send!(file, "isFileURL"; Bool).get());
    let parse =
        |text: &str| send!(class("NSURL").as_id(), "URLWithString:", string(text) => Id; Id);
    let web = parse("https://example.com/x%2Fy?q#f");
    assert_eq!(text(send!(web, "path"; Id)), "/x/y");
    assert!(!send!(web, "isFileURL"; Bool).get());
    assert!(equal(file, parse("file:///a%20b/%C3%BC%25.metal")));
    assert_eq!(text(send!(parse("x:/%zz%"), "path"; Id)), "/%zz%");
    for bad in ["", "no scheme", "a b:c", "1a:b", "a:ü"] {
        assert!(parse(bad).is_nil(), "{bad}");
    }
}

#[test]
fn data_is_copied_or_lent() {
    unsafe extern "C" {
        fn malloc(size: usize) -> *mut c_void;
    }
    let bytes = [1u8, 2, 3];
    let of = |selector: &str, bytes: *const c_void| send!(class("NSData").as_id(), selector, bytes => *const c_void, 3 => usize; Id);
    let copied = of("dataWithBytes:length:", bytes.as_ptr().cast());
    assert_ne!(send!(copied, "bytes"; *const c_void), bytes.as_ptr().cast());
    let lent = send!(
        class("NSData").as_id(), "dataWithBytesNoCopy:length:freeWhenDone:",
        bytes.as_ptr().cast() => *const c_void, 3 => usize, Bool::new(false) => Bool; Id
    );
    assert_eq!(send!(lent, "bytes"; *const c_void), bytes.as_ptr().cast());
    assert!(equal(copied, lent));
    // SAFETY: `malloc` is C's; three bytes of it are written.
    let given = unsafe {
        let memory = malloc(3);
        memory.cast::<[u8; 3]>().write(bytes);
        memory
    };
    assert!(equal(of("dataWithBytesNoCopy:length:", given), copied));
    assert!(of("dataWithBytes:length:", std::ptr::null()).is_nil());
}

#[test]
fn every_object_has_a_description() {
    let object = new(class("NSObject"));
    assert!(text(send!(object, "description"; Id)).starts_with("<NSObject: 0x"));
    assert_eq!(text(send!(class("NSArray").as_id(), "description"; Id)), "NSArray");
    assert_eq!(text(send!(array(&[string("a")]), "debugDescription"; Id)), "(\n    a,\n)");
    assert!(send!(object, "respondsToSelector:", sel("hash") => Sel; Bool).get());
    assert!(!send!(object, "respondsToSelector:", sel("length") => Sel; Bool).get());
    assert!(send!(object, "isMemberOfClass:", class("NSObject") => Class; Bool).get());
    assert!(equal(object, object));
    let answer = send!(string("x"), "performSelector:", sel("uppercaseString") => Sel; Id);
    assert_eq!(text(answer), "X");
}

/// Arrays in arrays in arrays, compared and described on a small stack.
#[test]
fn deeply_nested_arrays_are_compared_and_described() {
    let nested = |last: &str| {
        (0..scale(100_000, 10_000)).fold(string(last), |inner, _| {
            let array = send!(class("NSArray").as_id(), "alloc"; Id);
            let array = send!(
                array, "initWithObjects:count:", (&raw const inner) => *const Id, 1 => usize; Id
            );
            // SAFETY: the array has retained it.
            unsafe { objc_release(inner) };
            array
        })
    };
    let run = move || {
        let (one, same, other) = (nested("a"), nested("a"), nested("b"));
        assert!(send!(one, "isEqual:", same => Id; Bool).get());
        assert!(!send!(one, "isEqualToArray:", other => Id; Bool).get());
        let description = text(send!(one, "description"; Id));
        assert!(description.contains('…') && description.starts_with("(\n    (\n"));
        for array in [one, same, other] {
            // SAFETY: owned here.
            unsafe { objc_release(array) };
        }
    };
    std::thread::Builder::new().stack_size(1 << 19).spawn(run).unwrap().join().unwrap();
}

/// No memory has that many items: the length is wrong, and the answer nil.
#[test]
fn impossible_lengths_are_nil() {
    let object = string("x");
    let (objects, most) = ((&raw const object), usize::MAX);
    for count in [most, most / 8, most / 16 + 1] {
        let array = send!(
            class("NSArray").as_id(), "arrayWithObjects:count:", objects => *const Id, count => usize; Id
        );
        assert!(array.is_nil(), "{count}");
        let dictionary = send!(
            class("NSDictionary").as_id(), "dictionaryWithObjects:forKeys:count:",
            objects => *const Id, objects => *const Id, count => usize; Id
        );
        assert!(dictionary.is_nil(), "{count}");
    }
    let bytes = objects.cast::<std::ffi::c_void>();
    for length in [most, most / 2 + 1] {
        let data = send!(
            class("NSData").as_id(), "dataWithBytes:length:",
            bytes => *const std::ffi::c_void, length => usize; Id
        );
        assert!(data.is_nil(), "{length}");
        let text = send!(class("NSString").as_id(), "alloc"; Id);
        let text = send!(
            text, "initWithBytes:length:encoding:",
            bytes => *const std::ffi::c_void, length => usize, 4 => usize; Id
        );
        assert!(text.is_nil(), "{length}");
    }
    // SAFETY: owned here.
    unsafe { objc_release(object) };
}

#[test]
fn objects_live_until_a_pool_object_is_drained() {
    let new = |name| send!(class(name).as_id(), "new"; Id);
    let (pool, object) = (new("NSAutoreleasePool"), new("NSObject"));
    let mut weak = Id::NIL;
    // SAFETY: the variable is destroyed by the load that finds no object.
    unsafe {
        objc_initWeak(&raw mut weak, object);
        send!(pool, "addObject:", object => Id; ());
        let held = objc_loadWeakRetained(&raw mut weak);
        assert_eq!(held, object);
        objc_release(held);
        send!(pool, "drain"; ());
        assert!(objc_loadWeakRetained(&raw mut weak).is_nil());
    }
}

#[test]
fn an_object_is_added_to_the_pool_that_gets_the_message() {
    let new = |name| send!(class(name).as_id(), "new"; Id);
    let (outer, object) = (new("NSAutoreleasePool"), new("NSObject"));
    let inner = new("NSAutoreleasePool");
    let mut weak = Id::NIL;
    // SAFETY: the variable is destroyed by the load that finds no object.
    unsafe {
        objc_initWeak(&raw mut weak, object);
        send!(outer, "addObject:", object => Id; ());
        send!(inner, "drain"; ());
        let held = objc_loadWeakRetained(&raw mut weak);
        assert_eq!(held, object);
        // The outer pool is the innermost one again.
        send!(outer, "addObject:", held => Id; ());
        send!(outer, "drain"; ());
        assert!(objc_loadWeakRetained(&raw mut weak).is_nil());
    }
}

#[test]
fn collections_give_their_objects() {
    let items = [number("numberWithLong:", 1), string("b"), number("numberWithLong:", 3)];
    let list = array(&items);
    let mut got = [Id::NIL; 3];
    send!(list, "getObjects:", got.as_mut_ptr() => *mut Id; ());
    assert_eq!(got, items);
    let range = NSRange::from(1..3);
    send!(list, "getObjects:range:", got.as_mut_ptr() => *mut Id, range => NSRange; ());
    assert_eq!(got, [items[1], items[2], items[2]]);
    let rest = send!(list, "subarrayWithRange:", range => NSRange; Id);
    assert!(equal(rest, array(&items[1..])));
    let more = send!(rest, "arrayByAddingObject:", items[0] => Id; Id);
    assert!(equal(more, array(&[items[1], items[2], items[0]])));
    let joined = send!(list, "componentsJoinedByString:", string(", ") => Id; Id);
    assert!(equal(joined, string("1, b, 3")));
    let pairs = send!(
        class("NSDictionary").as_id(), "dictionaryWithObjects:forKeys:",
        array(&items[..1]) => Id, array(&items[1..2]) => Id; Id
    );
    let copy = send!(class("NSDictionary").as_id(), "dictionaryWithDictionary:", pairs => Id; Id);
    let (mut value, mut key) = (Id::NIL, Id::NIL);
    send!(copy, "getObjects:andKeys:", &raw mut value => *mut Id, &raw mut key => *mut Id; ());
    assert_eq!((value, key), (items[0], items[1]));
}

#[test]
fn strings_are_searched_cut_and_encoded() {
    let text = string("größer, größer");
    let range = send!(text, "rangeOfString:", string("ßer") => Id; NSRange);
    assert_eq!(range, NSRange { location: 3, length: 3 });
    let part = send!(text, "substringWithRange:", range => NSRange; Id);
    assert!(equal(part, string("ßer")));
    let nowhere = send!(text, "rangeOfString:", string("x") => Id; NSRange);
    assert_eq!(nowhere.location, isize::MAX as usize);
    let parts = send!(text, "componentsSeparatedByString:", string(", ") => Id; Id);
    assert!(equal(parts, array(&[string("größer"), string("größer")])));
    let other = send!(
        text, "stringByReplacingOccurrencesOfString:withString:", string("ö") => Id,
        string("oe") => Id; Id
    );
    assert!(equal(other, string("groeßer, groeßer")));
    let data = send!(string("añ"), "dataUsingEncoding:", 4usize => usize; Id);
    let mut bytes = [0u8; 4];
    send!(data, "getBytes:length:", bytes.as_mut_ptr().cast() => *mut c_void, 9usize => usize; ());
    assert_eq!(bytes, [b'a', 0xc3, 0xb1, 0]);
    assert!(send!(string("ñ"), "dataUsingEncoding:", 1usize => usize; Id).is_nil());
    let mut room = [1i8; 3];
    let copied = |room: &mut [i8]| {
        send!(
            string("ab"), "getCString:maxLength:encoding:", room.as_mut_ptr().cast() => *mut c_void,
            room.len() => usize, 4usize => usize; Bool
        )
        .get()
    };
    assert!(copied(&mut room) && !copied(&mut room[..2]));
    assert_eq!(room, [97, 98, 0]);
    for (path, last, extension) in
        [("/a/b.txt", "b.txt", "txt"), ("/a/.rc/", ".rc", ""), ("/", "/", ""), ("", "", "")]
    {
        assert!(equal(send!(string(path), "lastPathComponent"; Id), string(last)), "{path}");
        assert!(equal(send!(string(path), "pathExtension"; Id), string(extension)), "{path}");
    }
    let joined = send!(string("/a"), "stringByAppendingPathComponent:", string("b") => Id; Id);
    assert!(equal(joined, string("/a/b")));
}

/// A URL of a path that is passed as C's functions take it.
fn url(path: &CStr, is_directory: bool, base: Id) -> Id {
    send!(
        class("NSURL").as_id(), "fileURLWithFileSystemRepresentation:isDirectory:relativeToURL:",
        path.as_ptr() => *const c_char, Bool::new(is_directory) => Bool, base => Id; Id
    )
}

/// The path of a URL as C's functions take it.
fn path(url: Id) -> Vec<u8> {
    let mut bytes = [0u8; 64];
    let (to, room) = (bytes.as_mut_ptr().cast::<c_char>(), bytes.len());
    let get = "getFileSystemRepresentation:maxLength:";
    assert!(send!(url, get, to => *mut c_char, room => usize; Bool).get());
    let path = CStr::from_bytes_until_nul(&bytes).unwrap().to_bytes().to_vec();
    // One byte less has no room for the NUL.
    assert!(!send!(url, get, to => *mut c_char, path.len() => usize; Bool).get());
    let own = send!(url, "fileSystemRepresentation"; *const c_char);
    // SAFETY: a C string that lives as long as the pool.
    assert_eq!(unsafe { CStr::from_ptr(own) }.to_bytes(), path);
    path
}

#[test]
fn urls_of_paths_are_those_paths() {
    let directory = |url: Id| send!(url, "hasDirectoryPath"; Bool).get();
    // SAFETY: a pool around objects that are not used after it.
    let pool = unsafe { objc_autoreleasePoolPush() };
    let file = url(c"/tmp/a b/./f.txt", false, Id::NIL);
    assert_eq!(text(send!(file, "absoluteString"; Id)), "file:///tmp/a%20b/f.txt");
    assert_eq!((path(file), directory(file)), (b"/tmp/a b/f.txt".to_vec(), false));
    let folder = url(c"/tmp/a b", true, Id::NIL);
    assert_eq!((path(folder), directory(folder)), (b"/tmp/a b".to_vec(), true));
    assert_eq!(text(send!(folder, "path"; Id)), "/tmp/a b");
    assert_eq!(path(url(c"../f", false, folder)), b"/tmp/a b/../f");
    assert_eq!(path(url(c"/f", false, folder)), b"/f");
    assert!(url(c"", false, Id::NIL).is_nil());
    // A path that is no text.
    let bytes = url(c"/tmp/\xf8", false, Id::NIL);
    assert_eq!(path(bytes), b"/tmp/\xf8");
    assert!(send!(bytes, "path"; Id).is_nil());
    let here = std::env::current_dir().unwrap().join("f");
    assert_eq!(path(url(c"f", false, Id::NIL)), here.to_str().unwrap().as_bytes());
    let child = send!(folder, "URLByAppendingPathComponent:", string("c#d") => Id; Id);
    assert_eq!(text(send!(child, "absoluteString"; Id)), "file:///tmp/a%20b/c%23d");
    // SAFETY: the pool of above.
    unsafe { objc_autoreleasePoolPop(pool) };
}

#[test]
fn enumerators_return_each_object_once() {
    let objects = [string("a"), string("b"), string("c")];
    let list = array(&objects);
    let next = |all: Id| send!(all, "nextObject"; Id);
    let all = send!(list, "objectEnumerator"; Id);
    assert_eq!(
        [next(all), next(all), next(all), next(all), next(all)],
        [objects[0], objects[1], objects[2], Id::NIL, Id::NIL]
    );
    let all = send!(list, "reverseObjectEnumerator"; Id);
    assert_eq!(next(all), objects[2]);
    let rest = send!(all, "allObjects"; Id);
    assert!(equal(rest, array(&[objects[1], objects[0]])));
    assert!(next(all).is_nil());
    let pairs = send!(
        class("NSDictionary").as_id(), "dictionaryWithObject:forKey:",
        objects[0] => Id, objects[1] => Id; Id
    );
    assert!(equal(next(send!(pairs, "objectEnumerator"; Id)), objects[0]));
    assert!(equal(next(send!(pairs, "keyEnumerator"; Id)), objects[1]));
}

#[test]
fn strings_are_searched_with_options() {
    let range = |text: &str, sought: &str, options: usize| {
        let range = send!(
            string(text), "rangeOfString:options:", string(sought) => Id, options => usize; NSRange
        );
        (range.length > 0).then_some(range.location)
    };
    let (case, backwards, anchored) = (1, 4, 8);
    assert_eq!(range("abcABC", "B", 0), Some(4));
    assert_eq!(range("abcABC", "B", case), Some(1));
    assert_eq!(range("abcABC", "B", case | backwards), Some(4));
    assert_eq!(range("abcABC", "b", anchored), None);
    assert_eq!(range("abcABC", "ab", anchored), Some(0));
    assert_eq!(range("abcABC", "bc", case | anchored | backwards), Some(4));
    assert_eq!((range("a", "", 0), range("a", "aa", backwards)), (None, None));
    let compare =
        |a: &str, b: &str| send!(string(a), "caseInsensitiveCompare:", string(b) => Id; isize);
    assert_eq!([compare("GRÖSSE", "grösse"), compare("a", "B"), compare("B", "a")], [0, -1, 1]);
}

#[test]
fn signatures_are_of_methods_that_exist() {
    let signature =
        |name: &str| send!(string("text"), "methodSignatureForSelector:", sel(name) => Sel; Id);
    assert!(signature("noSuchMethod").is_nil());
    let found = signature("characterAtIndex:");
    assert_eq!(send!(found, "numberOfArguments"; usize), 3);
    // SAFETY: C strings.
    let text = |text: *const c_char| unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned();
    assert_eq!(text(send!(found, "methodReturnType"; *const c_char)), "S");
    assert_eq!(text(send!(found, "getArgumentTypeAtIndex:", 2 => usize; *const c_char)), "Q");
}
