//! Messages of every shape, against direct calls.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

/// Structs from 8 to 48 bytes, of integers, floats and both.
macro_rules! structs {
    ($($name:ident { $($field:ident: $ty:ty),+ })+) => {$(
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq)]
        struct $name { $($field: $ty),+ }
    )+};
}

structs! {
    Int8 { a: i64 }
    Float8 { a: f32, b: f32 }
    Int16 { a: i64, b: i64 }
    Mixed16 { a: i64, b: f64 }
    Float16 { a: f32, b: f32, c: f32, d: f32 }
    Int24 { a: i64, b: i64, c: i64 }
    Float32 { a: f64, b: f64, c: f64, d: f64 }
    Mixed40 { a: i64, b: f64, c: i32, d: f32, e: i64, f: f64 }
    Int48 { a: i64, b: i64, c: i64, d: i64, e: i64, f: i64 }
}

/// For each shape: a function, which becomes a method of a new class; then it is called and sent
/// three times over (a miss, and hits) and through its implementation.
macro_rules! shapes {
    ($($name:ident($($argument:ident: $ty:ty = $value:expr),*) -> $result:ty $body:block)+) => {$(
        #[test]
        fn $name() {
            unsafe extern "C" fn method(receiver: Id, selector: Sel, $($argument: $ty),*) -> $result {
                assert!(!receiver.is_nil());
                assert_eq!(selector, sel(stringify!($name)));
                $body
            }
            type Method = unsafe extern "C" fn(Id, Sel, $($ty),*) -> $result;
            let class = subclass(super::class("NSObject"), concat!("Shape_", stringify!($name)));
            assert!(add(class, stringify!($name), imp!(method as Method), c"v@:"));
            let object = new(class);
            #[cfg(target_arch = "x86_64")]
            let in_memory = size_of::<$result>() > 16;
            // SAFETY: the method's own type, on an object of the class.
            unsafe {
                let wanted = method(object, sel(stringify!($name)), $($value),*);
                #[cfg(target_arch = "x86_64")]
                let (send, imp) = if in_memory {
                    (objc_msgSend_stret as Imp,
                        class_getMethodImplementation_stret(class, sel(stringify!($name))))
                } else {
                    (objc_msgSend as Imp, class_getMethodImplementation(class, sel(stringify!($name))))
                };
                #[cfg(target_arch = "aarch64")]
                let (send, imp) =
                    (objc_msgSend as Imp, class_getMethodImplementation(class, sel(stringify!($name))));
                for function in [send, send, send, imp.unwrap()] {
                    let function = std::mem::transmute::<Imp, Method>(function);
                    assert_eq!(function(object, sel(stringify!($name)), $($value),*), wanted);
                }
                objc_release(object);
            }
        }
    )+};
}

shapes! {
    nothing() -> () {}
    integer(a: i32 = -5) -> i32 { a * 3 }
    small_integers(a: i8 = -1, b: u8 = 255, c: i16 = -2, d: u16 = 65535) -> i64 {
        i64::from(a) + i64::from(b) * 10 + i64::from(c) * 1000 + i64::from(d) * 100_000
    }
    truth(a: Bool = Bool::new(true), b: Bool = Bool::new(false)) -> Bool { Bool::new(a.get() && !b.get()) }
    single(a: f32 = 1.5, b: f32 = -2.25) -> f32 { a * b }
    double(a: f64 = 1e300, b: f64 = -2.25) -> f64 { a * b }
    eight_floats(
        a: f32 = 1.0, b: f64 = 2.0, c: f32 = 3.0, d: f64 = 4.0,
        e: f32 = 5.0, f: f64 = 6.0, g: f32 = 7.0, h: f64 = 8.0
    ) -> f64 {
        f64::from(a) + b * 10.0 + f64::from(c) * 1e2 + d * 1e3 + f64::from(e) * 1e4 + f * 1e5
            + f64::from(g) * 1e6 + h * 1e7
    }
    sixteen_mixed(
        a: i64 = 1, b: f64 = 2.0, c: i64 = 3, d: f64 = 4.0, e: i64 = 5, f: f64 = 6.0, g: i64 = 7,
        h: f64 = 8.0, i: i64 = 9, j: f64 = 10.0, k: i64 = 11, l: f64 = 12.0, m: i64 = 13,
        n: f64 = 14.0, o: i32 = 15, p: f64 = 16.0, q: f64 = 17.0, r: f64 = 18.0, s: f64 = 19.0
    ) -> f64 {
        let ints = [a, c, e, g, i, k, m, i64::from(o)];
        let floats = [b, d, f, h, j, l, n, p, q, r, s];
        let ints = ints.iter().enumerate().map(|(at, value)| (at as f64 + 1.0) * *value as f64);
        let floats = floats.iter().enumerate().map(|(at, value)| (at as f64 + 100.0) * value);
        ints.chain(floats).sum()
    }
    int8(a: Int8 = Int8 { a: 7 }) -> Int8 { Int8 { a: a.a + 1 } }
    float8(a: Float8 = Float8 { a: 1.0, b: 2.0 }) -> Float8 { Float8 { a: a.b, b: a.a } }
    int16(a: Int16 = Int16 { a: 1, b: 2 }) -> Int16 { Int16 { a: a.b, b: a.a } }
    mixed16(a: Mixed16 = Mixed16 { a: 1, b: 2.0 }) -> Mixed16 { Mixed16 { a: a.b as i64, b: a.a as f64 } }
    float16(a: Float16 = Float16 { a: 1.0, b: 2.0, c: 3.0, d: 4.0 }) -> Float16 {
        Float16 { a: a.d, b: a.c, c: a.b, d: a.a }
    }
    int24(a: Int24 = Int24 { a: 1, b: 2, c: 3 }, b: i64 = 4) -> Int24 { Int24 { a: a.c, b: a.b + b, c: a.a } }
    float32(a: Float32 = Float32 { a: 1.0, b: 2.0, c: 3.0, d: 4.0 }) -> Float32 {
        Float32 { a: a.d, b: a.c, c: a.b, d: a.a }
    }
    mixed40(a: Mixed40 = Mixed40 { a: 1, b: 2.0, c: 3, d: 4.0, e: 5, f: 6.0 }, b: f64 = 7.0) -> Mixed40 {
        Mixed40 { a: a.e, b: a.f, c: a.c + 1, d: a.d + 1.0, e: a.a, f: a.b + b }
    }
    int48(
        a: Int48 = Int48 { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6 },
        b: MTLSize = MTLSize { width: 1, height: 2, depth: 3 },
        c: MTLSize = MTLSize { width: 4, height: 5, depth: 6 }
    ) -> Int48 {
        Int48 { a: a.f, b: a.e, c: a.d + b.height as i64, d: a.c + c.depth as i64, e: a.b, f: a.a }
    }
}

#[test]
fn nil_answers_zero() {
    assert_eq!(send!(Id::NIL, "x"; usize), 0);
    assert_eq!(send!(Id::NIL, "x"; f32), 0.0);
    assert_eq!(send!(Id::NIL, "x", 3.5 => f64; f64), 0.0);
    assert_eq!(send!(Id::NIL, "x", 7 => usize; Int16), Int16 { a: 0, b: 0 });
    assert_eq!(send!(Id::NIL, "x", 1.0 => f64; Mixed16), Mixed16 { a: 0, b: 0.0 });
    let four = Float16 { a: 0.0, b: 0.0, c: 0.0, d: 0.0 };
    assert_eq!(send!(Id::NIL, "x", 1.0 => f64, 2.0 => f64; Float16), four);
    assert_eq!(send!(Id::NIL, "x"; Id), Id::NIL);
}

/// An implementation that returns a constant.
macro_rules! constant {
    ($name:ident = $value:literal) => {
        unsafe extern "C" fn $name(_: Id, _: Sel) -> usize {
            $value
        }
    };
}
constant!(one = 1);
constant!(two = 2);
constant!(three = 3);
type Constant = unsafe extern "C" fn(Id, Sel) -> usize;

#[test]
fn methods_are_inherited_and_overridden() {
    let base = subclass(class("NSObject"), "OverrideBase");
    let middle = subclass(base, "OverrideMiddle");
    let leaf = subclass(middle, "OverrideLeaf");
    let objects = [new(base), new(middle), new(leaf)];
    let answers = || objects.map(|object| send!(object, "value"; usize));
    assert!(add(base, "value", imp!(one as Constant), c"Q@:"));
    assert_eq!(answers(), [1, 1, 1]);
    // The inherited answer is cached by now; the override must reach it.
    assert!(add(middle, "value", imp!(two as Constant), c"Q@:"));
    assert_eq!(answers(), [1, 2, 2]);
    assert!(!add(middle, "value", imp!(three as Constant), c"Q@:"), "it has one already");
    assert_eq!(answers(), [1, 2, 2]);
    // SAFETY: classes, selectors and implementations of the right type.
    unsafe {
        let old = class_replaceMethod(base, sel("value"), imp!(three as Constant), c"Q@:".as_ptr());
        let old = std::mem::transmute::<Imp, Constant>(old.unwrap());
        assert_eq!(old(Id::NIL, Sel::NIL), 1);
        assert_eq!(answers(), [3, 2, 2], "the override shields the leaf");
        let none = class_replaceMethod(leaf, sel("value"), imp!(one as Constant), c"Q@:".as_ptr());
        assert!(none.is_none(), "the leaf had none of its own");
        assert_eq!(answers(), [3, 2, 1]);
        objects.iter().for_each(|object| objc_release(*object));
    }
}

#[test]
fn class_methods_are_those_of_the_metaclass() {
    let base = subclass(class("NSObject"), "ClassMethods");
    let leaf = subclass(base, "ClassMethodsLeaf");
    // SAFETY: the class of a class is its metaclass.
    let meta = unsafe { object_getClass(base.as_id()) };
    assert!(add(meta, "number", imp!(two as Constant), c"Q@:"));
    assert_eq!(send!(base.as_id(), "number"; usize), 2);
    assert_eq!(send!(leaf.as_id(), "number"; usize), 2);
    // A root class's instance methods are class methods too.
    assert_eq!(send!(leaf.as_id(), "self"; Id), leaf.as_id());
    assert!(send!(leaf.as_id(), "isKindOfClass:", class("NSObject") => Class; Bool).get());
    assert_eq!(send!(leaf.as_id(), "superclass"; Class), base);
    assert_eq!(send!(leaf.as_id(), "class"; Class), leaf);
}

#[test]
fn a_method_of_the_root_class_reaches_warm_metaclasses() {
    let leaf = subclass(class("NSObject"), "RootLeaf");
    let middle = subclass(leaf, "RootLeafLeaf");
    assert_eq!(send!(middle.as_id(), "hash"; usize), send!(middle.as_id(), "hash"; usize));
    // SAFETY: as above.
    let meta = unsafe { object_getClass(leaf.as_id()) };
    assert!(add(meta, "hash", imp!(three as Constant), c"Q@:"));
    assert_eq!(send!(middle.as_id(), "hash"; usize), 3);
}

#[test]
fn a_class_may_have_more_selectors_than_its_cache() {
    let many = subclass(class("NSObject"), "ManySelectors");
    let count = scale(10_000, 2_000);
    let names: Vec<String> = (0..count).map(|i| format!("many{i}")).collect();
    for name in &names {
        assert!(add(many, name, imp!(one as Constant), c"Q@:"));
    }
    let object = new(many);
    for _ in 0..2 {
        for name in &names {
            assert_eq!(send!(object, name; usize), 1);
        }
    }
    for name in &names {
        // SAFETY: a class, a selector and an implementation.
        unsafe { class_replaceMethod(many, sel(name), imp!(two as Constant), c"Q@:".as_ptr()) };
        assert_eq!(send!(object, name; usize), 2);
    }
    // SAFETY: owned here.
    unsafe { objc_release(object) };
}

#[test]
fn messages_while_methods_and_classes_change() {
    let base = subclass(class("NSObject"), "Changing");
    let leaf = subclass(base, "ChangingLeaf");
    let names: Vec<String> = (0..48).map(|i| format!("changing{i}")).collect();
    for name in &names {
        add(base, name, imp!(one as Constant), c"Q@:");
    }
    let object = new(leaf);
    let selectors: Vec<Sel> = names.iter().map(|name| sel(name)).collect();
    let (done, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (selectors, done, sent) = (&selectors, &done, &sent);
            scope.spawn(move || {
                // SAFETY: a sender is called as the method's own type.
                let send = unsafe { std::mem::transmute::<Imp, Constant>(objc_msgSend as Imp) };
                let mut newest = vec![0; selectors.len()];
                while !done.load(Relaxed) {
                    for at in 0..selectors.len() {
                        let at = (at * 7 + thread) % selectors.len();
                        // SAFETY: the object has a method for each of them.
                        let answer = unsafe { send(object, selectors[at]) };
                        assert!((1..=3).contains(&answer));
                        // Methods change from one to two to three, and never back.
                        assert!(answer >= newest[at], "{answer} after {}", newest[at]);
                        newest[at] = answer;
                    }
                    sent.fetch_add(1, Relaxed);
                }
            });
        }
        for round in 0..scale(30, 5) {
            let more = subclass(leaf, &format!("ChangingMore{round}"));
            let object = new(more);
            for (at, name) in names.iter().enumerate() {
                if round == 1 {
                    add(leaf, name, imp!(two as Constant), c"Q@:");
                }
                if round > 1 && at % 8 == round % 8 {
                    // SAFETY: a class, a selector, an implementation.
                    unsafe {
                        class_replaceMethod(
                            leaf,
                            sel(name),
                            imp!(three as Constant),
                            c"Q@:".as_ptr(),
                        )
                    };
                }
                add(more, &format!("changing{at}in{round}"), imp!(one as Constant), c"Q@:");
                assert!(send!(object, name; usize) > 0);
            }
            // SAFETY: owned here.
            unsafe { objc_release(object) };
            let seen = sent.load(Relaxed);
            while sent.load(Relaxed) < seen + 8 {
                std::thread::yield_now();
            }
        }
        done.store(true, Relaxed);
    });
    // SAFETY: owned here.
    unsafe { objc_release(object) };
}

/// More selectors than the arena has entries, in a process of their own, since they are never freed.
#[test]
fn selectors_beyond_the_arena_are_selectors() {
    let test = "soft::runtime::tests::messages::selectors_beyond_the_arena_are_selectors";
    let run = || {
        let names: Vec<_> = (0..70_000).map(|nth| format!("beyond{nth}")).collect();
        let selectors: Vec<_> = names.iter().map(|name| sel(name)).collect();
        let distinct: std::collections::HashSet<_> =
            selectors.iter().map(|sel| sel.as_ptr()).collect();
        assert_eq!(distinct.len(), names.len());
        for (name, selector) in names.iter().zip(selectors) {
            // SAFETY: the name of a selector is a C string.
            let text = unsafe { CStr::from_ptr(sel_getName(selector)) };
            assert_eq!((text.to_str(), sel(name)), (Ok(name.as_str()), selector));
        }
    };
    if let Some(output) = crate::child::in_child(test, &[], run) {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A call may cost two cycles more where the instructions of a hit are in two lines.
#[cfg(not(target_vendor = "apple"))]
#[test]
fn a_hit_is_in_one_cache_line() {
    let send: unsafe extern "C" fn() = crate::soft::runtime::entry::objc_msgSend;
    assert_eq!(send as usize % 64, 0);
}
