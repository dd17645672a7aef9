//! Formats with their arguments, and Foundation's strings and data that change.

use super::*;
use std::ffi::c_void;

/// Sends a message with a variable number of arguments after a format.
macro_rules! format {
    ($receiver:expr, $selector:literal, $format:literal $(, $argument:expr)* ; $result:ty) => {{
        type Method = unsafe extern "C" fn(Id, Sel, Id, ...) -> $result;
        let send: Imp = objc_msgSend;
        // SAFETY: the arguments are of the types that the format names.
        unsafe { cast::<Imp, Method>(send)($receiver, sel($selector), string($format) $(, $argument)*) }
    }};
}

/// The text of a format and its arguments.
macro_rules! formatted {
    ($($argument:expr),+) => {
        text(format!(class("NSString").as_id(), "stringWithFormat:", $($argument),+; Id))
    };
}

fn number(value: i64) -> Id {
    send!(class("NSNumber").as_id(), "numberWithLongLong:", value => i64; Id)
}

#[test]
fn formats_have_the_conversions_of_c_and_objects() {
    assert_eq!(formatted!("plain 100%%"), "plain 100%");
    assert_eq!(formatted!("%d %i %u", -7_i32, 8_i32, u32::MAX), "-7 8 4294967295");
    assert_eq!(
        formatted!("%ld %lld %lu %zu", i64::MIN, -1_i64, u64::MAX, 3_usize),
        "-9223372036854775808 -1 18446744073709551615 3"
    );
    assert_eq!(
        formatted!(
            "%hhd %hd %hhu %x %08X %#o",
            200_i32,
            70000_i32,
            300_i32,
            255_u32,
            0xbeef_u32,
            8_u32
        ),
        "-56 4464 44 ff 0000BEEF 010"
    );
    assert_eq!(formatted!("%hhhd", 200_i32), "-56");
    assert_eq!(formatted!("%D %U", -5_i64, 1_u64 << 40), "-5 1099511627776");
    assert_eq!(
        formatted!("[%5d|%-5d|%05d|%+d]", 42_i32, 42_i32, 42_i32, 42_i32),
        "[   42|42   |00042|+42]"
    );
    assert_eq!(
        formatted!("[%*d|%-*d|%.*f]", 4_i32, 7_i32, 4_i32, 7_i32, 2_i32, 2.25_f64),
        "[   7|7   |2.25]"
    );
    assert_eq!(
        formatted!("%.3f %e %g %8.2f", 1.5_f64, 12345.678_f64, 0.0001_f64, -2.0_f64),
        "1.500 1.234568e+04 0.0001    -2.00"
    );
    assert_eq!(formatted!("%c%c%C", 'o' as i32, 'k' as i32, 0x3b1_i32), "okα");
    assert_eq!(
        formatted!(
            "%s|%.2s|%6s|%s",
            c"größe".as_ptr(),
            c"abc".as_ptr(),
            c"abc".as_ptr(),
            std::ptr::null::<c_char>()
        ),
        "größe|ab|   abc|(null)"
    );
    let units: Vec<u16> = "wide\0".encode_utf16().collect();
    assert_eq!(formatted!("%S %p", units.as_ptr(), 0x10_usize as *const c_void), "wide 0x10");
    assert_eq!(
        formatted!("%@ %@ %@ [%4@]", number(5), string("text"), Id::NIL, number(1)),
        "5 text (null) [   1]"
    );
    assert_eq!(
        formatted!("%2$@ is %1$d, not %3$.1f", 5_i32, string("it"), 6.25_f64),
        "it is 5, not 6.2"
    );
}

/// Those that no register is left for are on the stack, each kind in its own order.
#[test]
fn formats_have_more_arguments_than_registers() {
    assert_eq!(
        formatted!(
            "%d%d%d%d%d%d%d%d%d",
            1_i32,
            2_i32,
            3_i32,
            4_i32,
            5_i32,
            6_i32,
            7_i32,
            8_i32,
            9_i32
        ),
        "123456789"
    );
    assert_eq!(
        formatted!(
            "%g %d %g %g %g %d %g %g %g %g %d %g %d %g %d %d",
            1_f64,
            1_i32,
            2_f64,
            3_f64,
            4_f64,
            2_i32,
            5_f64,
            6_f64,
            7_f64,
            8_f64,
            3_i32,
            9_f64,
            4_i32,
            10_f64,
            5_i32,
            6_i32
        ),
        "1 1 2 3 4 2 5 6 7 8 3 9 4 10 5 6"
    );
}

#[test]
fn what_is_no_conversion_is_text() {
    assert_eq!(formatted!("50%"), "50");
    assert_eq!(formatted!("%y %d", 3_i32), "y 3");
    assert_eq!(formatted!("%.99999999999d", 1_i32).len(), 1 << 20);
    assert_eq!(formatted!("ä%dß%%ö", 1_i32), "ä1ß%ö");
}

#[test]
fn formats_are_taken_by_other_messages() {
    let alloc = send!(class("NSString").as_id(), "alloc"; Id);
    assert_eq!(text(format!(alloc, "initWithFormat:", "%d", 1_i32; Id)), "1");
    assert_eq!(
        text(format!(string("a"), "stringByAppendingFormat:", "b%@", string("c"); Id)),
        "abc"
    );
    let mutable = class("NSMutableString");
    let made = format!(mutable.as_id(), "stringWithFormat:", "x=%d", 1_i32; Id);
    assert!(send!(made, "isKindOfClass:", mutable => Class; Bool).get());
    format!(made, "appendFormat:", ", y=%.1f, %@", 2.5_f64, made; ());
    assert_eq!(text(made), "x=1, y=2.5, x=1");
}

#[test]
fn a_mutable_string_changes() {
    let range = |location, length| NSRange { location, length };
    let own = send!(string("größe"), "mutableCopy"; Id);
    send!(own, "appendString:", string("!") => Id; ());
    send!(own, "appendString:", own => Id; ());
    assert_eq!((text(own), send!(own, "length"; usize)), ("größe!größe!".into(), 12));
    send!(own, "deleteCharactersInRange:", range(6, 6) => NSRange; ());
    send!(own, "insertString:atIndex:", string("die ") => Id, 0 => usize; ());
    send!(own, "replaceCharactersInRange:withString:", range(4, 1) => NSRange, string("G") => Id; ());
    assert_eq!(text(own), "die Größe!");
    let fixed = send!(own, "copy"; Id);
    let count = send!(
        own, "replaceOccurrencesOfString:withString:options:range:", string("e") => Id, string("EE") => Id,
        0 => usize, range(0, 10) => NSRange; usize
    );
    assert_eq!((count, text(own), text(fixed)), (2, "diEE GrößEE!".into(), "die Größe!".into()));
    assert!(!send!(fixed, "respondsToSelector:", sel("setString:") => Sel; Bool).get());
    assert!(send!(own, "isEqualToString:", string("diEE GrößEE!") => Id; Bool).get());
    send!(own, "setString:", string("") => Id; ());
    let piece = string("0123456789");
    for _ in 0..1000 {
        send!(own, "appendString:", piece => Id; ());
    }
    assert_eq!(text(own).len(), 10_000);

    // An object that copies a string has the text of that time.
    let (domain, key) =
        (send!(string("a"), "mutableCopy"; Id), send!(string("k"), "mutableCopy"; Id));
    let error = send!(
        class("NSError").as_id(), "errorWithDomain:code:userInfo:", domain => Id, 1 => isize, Id::NIL => Id; Id
    );
    let pairs = send!(class("NSMutableDictionary").as_id(), "dictionary"; Id);
    send!(pairs, "setObject:forKey:", number(1) => Id, key => Id; ());
    send!(domain, "appendString:", string("b") => Id; ());
    send!(key, "appendString:", string("b") => Id; ());
    assert_eq!(text(send!(error, "domain"; Id)), "a");
    assert!(!send!(pairs, "objectForKey:", string("k") => Id; Id).is_nil());
}

fn bytes(data: Id) -> Vec<u8> {
    let (start, length) = (send!(data, "bytes"; *const c_void), send!(data, "length"; usize));
    // SAFETY: the object has that many.
    unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) }.to_vec()
}

#[test]
fn mutable_data_changes() {
    let make =
        |length| send!(class("NSMutableData").as_id(), "dataWithLength:", length => usize; Id);
    let append = |data: Id, more: &[u8]| {
        let (start, length) = (more.as_ptr().cast::<c_void>(), more.len());
        send!(data, "appendBytes:length:", start => *const c_void, length => usize; ());
    };
    let range = |location, length| NSRange { location, length };
    let data = make(2);
    append(data, &[1, 2, 3]);
    assert_eq!(bytes(data), [0, 0, 1, 2, 3]);
    let start = send!(data, "mutableBytes"; *mut c_void).cast::<u8>();
    // SAFETY: the data has five bytes.
    unsafe { *start = 9 };
    send!(data, "appendData:", data => Id; ());
    assert_eq!(bytes(data), [9, 0, 1, 2, 3, 9, 0, 1, 2, 3]);
    let copy = send!(data, "copy"; Id);
    send!(data, "setLength:", 4 => usize; ());
    send!(data, "increaseLengthBy:", 1 => usize; ());
    send!(data, "resetBytesInRange:", range(0, 1) => NSRange; ());
    assert_eq!(bytes(data), [0, 0, 1, 2, 0]);
    let new = [7u8, 8];
    let replace = |range, bytes: &[u8]| {
        let (start, length) = (bytes.as_ptr().cast::<c_void>(), bytes.len());
        send!(
            data, "replaceBytesInRange:withBytes:length:", range => NSRange, start => *const c_void,
            length => usize; ()
        );
    };
    replace(range(1, 3), &new);
    assert_eq!(bytes(data), [0, 7, 8, 0]);
    send!(
        data, "replaceBytesInRange:withBytes:", range(3, 2) => NSRange, new.as_ptr().cast() => *const c_void; ()
    );
    assert_eq!(bytes(data), [0, 7, 8, 7, 8]);
    send!(data, "setData:", copy => Id; ());
    assert_eq!(bytes(data).len(), 10);
    assert!(!send!(copy, "respondsToSelector:", sel("setLength:") => Sel; Bool).get());
    // Bytes that are lent are copied before they change.
    let lent = [1u8, 2];
    let alloc = send!(class("NSMutableData").as_id(), "alloc"; Id);
    let data = send!(
        alloc, "initWithBytesNoCopy:length:freeWhenDone:", lent.as_ptr().cast_mut().cast() => *mut c_void,
        2 => usize, Bool::new(false) => Bool; Id
    );
    append(data, &[3]);
    assert_eq!((bytes(data), lent), (vec![1, 2, 3], [1, 2]));
}

#[test]
fn a_set_has_each_object_once() {
    let list = |values: &[i64]| {
        let objects: Vec<Id> = values.iter().map(|value| number(*value)).collect();
        let (start, count) = (objects.as_ptr(), objects.len());
        send!(class("NSArray").as_id(), "arrayWithObjects:count:", start => *const Id, count => usize; Id)
    };
    let set = |name: &str, values: &[i64]| send!(class(name).as_id(), "setWithArray:", list(values) => Id; Id);
    let count = |set: Id| send!(set, "count"; usize);
    let has = |set: Id, value| send!(set, "containsObject:", number(value) => Id; Bool).get();
    let own = set("NSMutableSet", &[1, 2, 2, 3]);
    let fixed = send!(own, "copy"; Id);
    assert_eq!((count(own), has(own, 2), has(own, 4)), (3, true, false));
    assert!(send!(own, "isEqual:", set("NSSet", &[3, 2, 1]) => Id; Bool).get());
    send!(own, "addObject:", number(4) => Id; ());
    send!(own, "addObject:", number(4) => Id; ());
    send!(own, "removeObject:", number(1) => Id; ());
    assert_eq!((count(own), has(own, 1), has(own, 4), count(fixed)), (3, false, true, 3));
    let subset = |a: Id, b: Id| send!(a, "isSubsetOfSet:", b => Id; Bool).get();
    assert!(subset(set("NSSet", &[2, 4]), own) && !subset(own, set("NSSet", &[2, 4])));
    send!(own, "minusSet:", set("NSSet", &[2]) => Id; ());
    send!(own, "unionSet:", set("NSSet", &[5, 3]) => Id; ());
    assert_eq!((count(own), has(own, 5)), (3, true));
    send!(own, "intersectSet:", set("NSSet", &[5, 6]) => Id; ());
    assert_eq!((count(own), text(send!(own, "description"; Id))), (1, "{(\n    5,\n)}".into()));
    assert!(send!(own, "intersectsSet:", set("NSSet", &[5]) => Id; Bool).get());
    let all = send!(fixed, "allObjects"; Id);
    assert_eq!(count(all), 3);
    assert!(send!(own, "member:", number(9) => Id; Id).is_nil());
}

#[test]
fn values_and_null_are_objects() {
    let range = NSRange { location: 3, length: 4 };
    let value = send!(class("NSValue").as_id(), "valueWithRange:", range => NSRange; Id);
    let (mut back, mut size) = (NSRange { location: 0, length: 0 }, [0u64; 3]);
    send!(value, "getValue:size:", (&raw mut back).cast() => *mut c_void, 16 => usize; ());
    assert_eq!((back, send!(value, "rangeValue"; NSRange)), (range, range));
    let (bytes, types) = ([1u64, 2, 3], c"{?=QQQ}".as_ptr());
    let make = |types| {
        let bytes = bytes.as_ptr().cast();
        send!(
            class("NSValue").as_id(), "valueWithBytes:objCType:", bytes => *const c_void,
            types => *const c_char; Id
        )
    };
    let value = make(types);
    send!(value, "getValue:", (&raw mut size).cast() => *mut c_void; ());
    assert_eq!(size, bytes);
    assert!(send!(value, "isEqual:", make(types) => Id; Bool).get());
    assert!(make(c"no type".as_ptr()).is_nil());
    let pointer =
        send!(class("NSValue").as_id(), "valueWithPointer:", types.cast() => *const c_void; Id);
    assert_eq!(send!(pointer, "pointerValue"; *mut c_void).addr(), types.addr());
    // A number is a value.
    let number = send!(class("NSNumber").as_id(), "numberWithFloat:", 1.5 => f32; Id);
    assert!(send!(number, "isKindOfClass:", class("NSValue") => Class; Bool).get());
    let mut float = 0f32;
    send!(number, "getValue:size:", (&raw mut float).cast() => *mut c_void, 4 => usize; ());
    assert_eq!(float, 1.5);
    let null = || send!(class("NSNull").as_id(), "null"; Id);
    assert_eq!(
        (null(), text(send!(null(), "description"; Id))),
        (send!(null(), "copy"; Id), "<null>".into())
    );
}

#[test]
fn dates_are_compared_and_spelled() {
    let date = |seconds: f64| send!(class("NSDate").as_id(), "dateWithTimeIntervalSince1970:", seconds => f64; Id);
    let spelled = |seconds| text(send!(date(seconds), "description"; Id));
    assert_eq!(spelled(0.0), "1970-01-01 00:00:00 +0000");
    assert_eq!(spelled(951_782_400.0), "2000-02-29 00:00:00 +0000");
    assert_eq!(spelled(1_798_761_599.0), "2026-12-31 23:59:59 +0000");
    assert_eq!(send!(date(1.0), "compare:", date(2.0) => Id; isize), -1);
    let since = send!(date(978_307_260.0), "timeIntervalSinceReferenceDate"; f64);
    assert_eq!(since, 60.0);
    let now = send!(class("NSDate").as_id(), "date"; Id);
    let soon = send!(now, "dateByAddingTimeInterval:", 5.0 => f64; Id);
    let left = send!(soon, "timeIntervalSinceNow"; f64);
    assert!((0.0..=5.0).contains(&left), "{left}");
    let far = send!(class("NSDate").as_id(), "distantFuture"; Id);
    assert_eq!(text(send!(far, "description"; Id)), "4001-01-01 00:00:00 +0000");
}

#[test]
fn threads_have_objects() {
    let thread = || send!(class("NSThread").as_id(), "currentThread"; Id);
    let name = |thread: Id| send!(thread, "name"; Id);
    let own = thread();
    assert_eq!(own, thread());
    send!(own, "setName:", string("own") => Id; ());
    let others = std::thread::spawn(move || name(thread()).is_nil()).join().unwrap();
    assert!(others);
    assert_eq!(text(name(own)), "own");
    // Tests run in other threads than the main one.
    assert!(!send!(class("NSThread").as_id(), "isMainThread"; Bool).get());
    let main = send!(class("NSThread").as_id(), "mainThread"; Id);
    assert!(send!(main, "isMainThread"; Bool).get() && main != own);
    let own = send!(class("NSRunLoop").as_id(), "currentRunLoop"; Id);
    let far = send!(class("NSDate").as_id(), "distantFuture"; Id);
    send!(own, "runUntilDate:", far => Id; ());
}

/// A log that cannot be written is lost, and the program goes on.
#[cfg(feature = "export")]
#[test]
fn a_log_without_room_is_lost() {
    use crate::soft::foundation::entry_foundation::NSLog;
    use std::fs::OpenOptions;
    use std::os::fd::AsRawFd;

    unsafe extern "C" {
        fn dup2(from: i32, to: i32) -> i32;
    }
    let test = "soft::runtime::tests::formats::a_log_without_room_is_lost";
    let output = crate::child::in_child(test, &[], || {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        type Log = unsafe extern "C" fn(Id, ...);
        // SAFETY: the argument is of the type that the format names.
        unsafe {
            assert_eq!(dup2(full.as_raw_fd(), 2), 2);
            cast::<unsafe extern "C" fn(), Log>(NSLog)(string("number %d"), 7_i32);
        }
    });
    if let Some(output) = output {
        assert!(output.status.success(), "{:?}", output.status);
    }
}
