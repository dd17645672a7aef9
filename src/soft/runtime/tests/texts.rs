//! Strings, data and URLs: comparing, replacing, files.

use super::*;
use std::ffi::c_void;

fn range(location: usize, length: usize) -> NSRange {
    NSRange { location, length }
}

#[test]
fn strings_are_compared_with_options() {
    const ANY_CASE: usize = 1;
    const NUMERIC: usize = 64;
    let compare = |a: &str, b: &str, options: usize| send!(string(a), "compare:options:", string(b) => Id, options => usize; isize);
    assert_eq!(compare("abc", "ABC", 0), 1);
    assert_eq!(compare("größe", "GRÖẞE", 0), 1);
    assert_eq!(compare("abc", "ABD", ANY_CASE), -1);
    assert_eq!(compare("abc", "ABC", ANY_CASE), 0);
    assert_eq!(compare("file10", "file9", 0), -1);
    assert_eq!(compare("file10", "file9", NUMERIC), 1);
    assert_eq!(compare("file010b", "file10a", NUMERIC), 1);
    assert_eq!(compare("File10", "file9", NUMERIC | ANY_CASE), 1);
    let part = send!(
        string("xxabc"), "compare:options:range:", string("abc") => Id, 0 => usize,
        range(2, 3) => NSRange; isize
    );
    assert_eq!(part, 0);
}

#[test]
fn strings_are_taken_apart_and_put_together() {
    let of = |result: Id| text(result);
    let found = |options: usize, within: NSRange| {
        let object = string("abcabcabc");
        let found = send!(
            object, "rangeOfString:options:range:", string("bc") => Id, options => usize,
            within => NSRange; NSRange
        );
        (found.location, found.length)
    };
    assert_eq!(found(0, range(2, 7)), (4, 2));
    assert_eq!(found(4, range(0, 8)), (4, 2));
    assert_eq!(found(0, range(2, 3)), (isize::MAX as usize, 0));
    let replaced = send!(
        string("aXbxaX"), "stringByReplacingOccurrencesOfString:withString:options:range:",
        string("x") => Id, string("--") => Id, 1 => usize, range(0, 5) => NSRange; Id
    );
    assert_eq!(of(replaced), "a--b--aX");
    let replaced = send!(
        string("größer"), "stringByReplacingCharactersInRange:withString:",
        range(2, 2) => NSRange, string("o") => Id; Id
    );
    assert_eq!(of(replaced), "groer");
    let padded = |length: usize| {
        let more = string("-+");
        of(send!(
            string("ab"), "stringByPaddingToLength:withString:startingAtIndex:",
            length => usize, more => Id, 1 => usize; Id
        ))
    };
    assert_eq!([padded(1), padded(2), padded(6)], ["a", "ab", "ab+-+-"]);
    assert_eq!(of(send!(string("heLLo wORLD"), "capitalizedString"; Id)), "Hello World");
    let prefix = |options: usize| {
        let other = string("ABx");
        of(send!(
            string("Abc"), "commonPrefixWithString:options:", other => Id, options => usize; Id
        ))
    };
    assert_eq!([prefix(0), prefix(1)], ["A", "Ab"]);
    let decoded = |text: &str| send!(string(text), "stringByRemovingPercentEncoding"; Id);
    assert_eq!(of(decoded("a%20%C3%BC%2F")), "a ü/");
    assert!(decoded("100%").is_nil() && decoded("%FF").is_nil());
    let lossy = send!(
        string("aü"), "dataUsingEncoding:allowLossyConversion:", 1 => usize,
        Bool::new(true) => Bool; Id
    );
    assert_eq!(send!(lossy, "length"; usize), 2);
    let can = |text: &str, encoding: usize| {
        send!(string(text), "canBeConvertedToEncoding:", encoding => usize; Bool).get()
    };
    assert_eq!([can("a", 1), can("ü", 1), can("ü", 4)], [true, false, true]);
    let mut units = [0u16; 3];
    send!(string("abc"), "getCharacters:", units.as_mut_ptr() => *mut u16; ());
    assert_eq!(units, [97, 98, 99]);
}

#[test]
fn paths_are_taken_apart() {
    for (path, folder, stem) in [
        ("/a/b.txt", "/a", "/a/b"),
        ("/a/b.txt/", "/a", "/a/b"),
        ("/a", "/", "/a"),
        ("a.b", "", "a"),
        ("/", "/", "/"),
        ("/a/.rc", "/a", "/a/.rc"),
    ] {
        let object = string(path);
        let of = |selector: &str| text(send!(object, selector; Id));
        assert_eq!(of("stringByDeletingLastPathComponent"), folder, "{path}");
        assert_eq!(of("stringByDeletingPathExtension"), stem, "{path}");
    }
    let parts = send!(string("/a//b/"), "pathComponents"; Id);
    assert_eq!(text(send!(parts, "componentsJoinedByString:", string("|") => Id; Id)), "/|a|b");
    let named = send!(string("/a/b"), "stringByAppendingPathExtension:", string("c") => Id; Id);
    assert_eq!(text(named), "/a/b.c");
}

#[test]
fn urls_are_taken_apart() {
    let url = |text: &str| send!(class("NSURL").as_id(), "URLWithString:", string(text) => Id; Id);
    let full = url("https://us%20er:pw@example.com:8080/a/b.tar?q=1#part");
    let of = |object: Id, selector: &str| {
        let result = send!(object, selector; Id);
        if result.is_nil() { "nil".to_owned() } else { text(send!(result, "description"; Id)) }
    };
    for (selector, expected) in [
        ("host", "example.com"),
        ("port", "8080"),
        ("user", "us er"),
        ("password", "pw"),
        ("query", "q=1"),
        ("fragment", "part"),
        ("pathExtension", "tar"),
        ("URLByDeletingLastPathComponent", "https://us%20er:pw@example.com:8080/a/?q=1#part"),
        ("URLByDeletingPathExtension", "https://us%20er:pw@example.com:8080/a/b?q=1#part"),
        ("baseURL", "nil"),
    ] {
        assert_eq!(of(full, selector), expected, "{selector}");
    }
    let plain = url("file:///a/./b/../c%20d");
    for (selector, expected) in [
        ("host", "nil"),
        ("port", "nil"),
        ("user", "nil"),
        ("query", "nil"),
        ("fragment", "nil"),
        ("standardizedURL", "file:///a/c%20d"),
        ("absoluteURL", "file:///a/./b/../c%20d"),
        ("filePathURL", "file:///a/./b/../c%20d"),
    ] {
        assert_eq!(of(plain, selector), expected, "{selector}");
    }
    let parts = send!(url("file:///a/c%20d"), "pathComponents"; Id);
    assert_eq!(text(send!(parts, "lastObject"; Id)), "c d");
    let named = send!(plain, "URLByAppendingPathExtension:", string("é") => Id; Id);
    assert_eq!(text(send!(named, "absoluteString"; Id)), "file:///a/./b/../c%20d.%C3%A9");
    let folder = send!(
        class("NSURL").as_id(), "fileURLWithPath:isDirectory:", string("/a") => Id,
        Bool::new(true) => Bool; Id
    );
    let below = send!(
        class("NSURL").as_id(), "fileURLWithPath:relativeToURL:", string("b") => Id,
        folder => Id; Id
    );
    assert_eq!(text(send!(below, "absoluteString"; Id)), "file:///a/b");
}

#[test]
fn data_and_strings_are_files() {
    let path = std::env::temp_dir().join(format!("aruminium-files-{}", std::process::id()));
    let path = string(path.to_str().unwrap());
    let url = send!(class("NSURL").as_id(), "fileURLWithPath:", path => Id; Id);
    let bytes = [1u8, 2, 0xff];
    let data = send!(
        class("NSData").as_id(), "dataWithBytes:length:", bytes.as_ptr().cast() => *const c_void,
        3 => usize; Id
    );
    let yes = Bool::new(true);
    let mut error = Id::NIL;
    assert!(send!(data, "writeToFile:atomically:", path => Id, yes => Bool; Bool).get());
    assert!(
        send!(
            data, "writeToURL:options:error:", url => Id, 1 => usize,
            &raw mut error => *mut Id; Bool
        )
        .get()
    );
    assert!(
        send!(url, "checkResourceIsReachableAndReturnError:", &raw mut error => *mut Id; Bool)
            .get()
    );
    let read = send!(class("NSData").as_id(), "dataWithContentsOfFile:", path => Id; Id);
    assert!(send!(read, "isEqualToData:", data => Id; Bool).get());
    let read = send!(
        class("NSString").as_id(), "stringWithContentsOfURL:encoding:error:", url => Id,
        4 => usize, &raw mut error => *mut Id; Id
    );
    assert!(read.is_nil());
    assert_eq!(send!(error, "code"; isize), 261);
    let write = |text: &str, encoding: usize, error: *mut Id| {
        send!(
            string(text), "writeToFile:atomically:encoding:error:", path => Id, yes => Bool,
            encoding => usize, error => *mut Id; Bool
        )
        .get()
    };
    assert!(!write("ü", 1, &raw mut error));
    assert_eq!(send!(error, "code"; isize), 517);
    assert!(write("ü", 4, &raw mut error));
    let read = send!(
        send!(class("NSString").as_id(), "alloc"; Id), "initWithContentsOfFile:encoding:error:",
        path => Id, 4 => usize, &raw mut error => *mut Id; Id
    );
    assert_eq!(text(read), "ü");
    std::fs::remove_file(text(path)).unwrap();
    assert!(send!(class("NSData").as_id(), "dataWithContentsOfURL:", url => Id; Id).is_nil());
    let none = send!(
        class("NSData").as_id(), "dataWithContentsOfFile:options:error:", path => Id,
        0 => usize, &raw mut error => *mut Id; Id
    );
    assert!(none.is_nil());
    assert_eq!(send!(error, "code"; isize), 260);
    assert!(
        !send!(url, "checkResourceIsReachableAndReturnError:", &raw mut error => *mut Id; Bool)
            .get()
    );
}

#[test]
fn data_is_searched_and_written_as_text() {
    let data = |bytes: &[u8]| {
        send!(
            class("NSData").as_id(), "dataWithBytes:length:",
            bytes.as_ptr().cast() => *const c_void, bytes.len() => usize; Id
        )
    };
    let found = |options: usize| {
        let found = send!(
            data(b"abcabc"), "rangeOfData:options:range:", data(b"bc") => Id,
            options => usize, range(1, 5) => NSRange; NSRange
        );
        (found.location, found.length)
    };
    assert_eq!([found(0), found(1), found(2), found(3)], [(1, 2), (4, 2), (1, 2), (4, 2)]);
    let encoded = send!(data(b"foob"), "base64EncodedStringWithOptions:", 0 => usize; Id);
    assert_eq!(text(encoded), "Zm9vYg==");
    let decode = |text: &str| {
        send!(
            send!(class("NSData").as_id(), "alloc"; Id), "initWithBase64EncodedString:options:",
            string(text) => Id, 0 => usize; Id
        )
    };
    assert!(send!(decode("Zm9vYg=="), "isEqual:", data(b"foob") => Id; Bool).get());
    assert!(decode("Zm9v*").is_nil());
}

/// A string that a C compiler has laid out, as `CFSTR` has it.
#[cfg(feature = "export")]
#[test]
fn strings_of_a_c_compiler_are_strings() {
    use crate::soft::foundation::constant_string::__CFConstantStringClassReference as REFERENCE;

    #[repr(C)]
    struct Constant(*const c_void, u64, *const c_void, usize);
    let isa = (&raw const REFERENCE).cast();
    let units = "größe".encode_utf16().collect::<Vec<u16>>();
    let ascii = Constant(isa, 0x7c8, b"hello".as_ptr().cast(), 5);
    let wide = Constant(isa, 0x7d0, units.as_ptr().cast(), units.len());
    for (constant, expected) in [(&ascii, "hello"), (&wide, "größe")] {
        let object = Id::from_ptr(std::ptr::from_ref(constant).cast_mut().cast());
        assert_eq!(text(object), expected);
        // SAFETY: an object.
        assert_eq!(unsafe { objc_retain(object) }, object);
        send!(object, "release"; ());
        let other = string(expected);
        assert!(send!(object, "isEqual:", other => Id; Bool).get());
        assert!(send!(other, "isEqual:", object => Id; Bool).get());
        assert_eq!(send!(object, "hash"; usize), send!(other, "hash"; usize));
        let twice = send!(object, "stringByAppendingString:", object => Id; Id);
        assert_eq!(text(twice), expected.repeat(2));
        let copy = send!(object, "copy"; Id);
        assert_eq!(text(copy), expected);
        let is_string = send!(object, "isKindOfClass:", class("NSString") => Class; Bool);
        assert!(is_string.get());
        let other = new(send!(object, "class"; Class));
        assert_eq!(text(other), "");
    }

    // Another library's string at the same address.
    let mut moving = Constant(isa, 0x7c8, b"first".as_ptr().cast(), 5);
    let object = Id::from_ptr((&raw mut moving).cast());
    assert_eq!(text(object), "first");
    // SAFETY: nothing else refers to the string.
    unsafe { (&raw mut moving.2).write_volatile(b"other".as_ptr().cast()) }
    assert_eq!(text(object), "other");
}

/// A child that is forked while other threads use such strings uses them, too.
#[cfg(feature = "export")]
#[test]
fn strings_of_a_c_compiler_work_after_fork() {
    use crate::soft::foundation::constant_string::__CFConstantStringClassReference as REFERENCE;
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    unsafe extern "C" {
        fn fork() -> c_int;
        fn alarm(seconds: u32) -> u32;
        fn _exit(status: c_int) -> !;
        fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    }
    let test = "soft::runtime::tests::texts::strings_of_a_c_compiler_work_after_fork";
    let output = crate::child::in_child(test, &[], || {
        #[repr(C)]
        struct Constant(*const c_void, u64, *const c_void, usize);
        let isa = (&raw const REFERENCE).cast();
        let constant = Constant(isa, 0x7c8, b"hello".as_ptr().cast(), 5);
        let object = Id::from_ptr((&raw const constant).cast_mut().cast());
        let length = move || send!(object, "length"; usize);
        assert_eq!(length(), 5);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        length();
                    }
                });
            }
            let ends = (0..scale(50, 5)).map(|_| {
                // SAFETY: the child sends a message and ends; a child that hangs is killed.
                unsafe {
                    let child = fork();
                    if child == 0 {
                        alarm(10);
                        _exit(if length() == 5 { 0 } else { 1 })
                    }
                    let mut status = -1;
                    waitpid(child, &raw mut status, 0);
                    status
                }
            });
            let failed = ends.filter(|status| *status != 0).count();
            done.store(true, Relaxed);
            assert_eq!(failed, 0);
        });
    });
    if let Some(output) = output {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
