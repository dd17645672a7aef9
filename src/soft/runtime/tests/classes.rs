//! Classes, methods, selectors and protocols by name.

use super::*;

#[test]
fn equal_names_are_equal_selectors() {
    assert_eq!(sel("equalNames:"), sel("equalNames:"));
    assert_ne!(sel("equalNames:"), sel("equalNames"));
    // SAFETY: selectors.
    unsafe {
        assert_eq!(CStr::from_ptr(sel_getName(sel("equalNames:"))), c"equalNames:");
        assert!(sel_getName(Sel::NIL).is_null());
        assert!(sel_registerName(std::ptr::null()).is_nil());
    }
}

#[test]
fn selectors_are_consecutive_and_aligned() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| (0..500).map(|i| sel(&format!("race{i}"))).collect::<Vec<_>>())
        })
        .collect();
    let all: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(all.iter().all(|selectors| *selectors == all[0]));
    assert!(all[0].iter().all(|selector| selector.as_ptr().addr() % 16 == 0));
}

#[test]
fn the_class_tree_is_objective_cs() {
    let root = class("NSObject");
    let string = class("NSString");
    // SAFETY: classes.
    unsafe {
        let meta = object_getClass(string.as_id());
        let root_meta = object_getClass(root.as_id());
        assert_eq!(class_getSuperclass(string), root);
        assert_eq!(class_getSuperclass(meta), root_meta);
        assert_eq!(class_getSuperclass(root_meta), root);
        assert!(class_getSuperclass(root).is_nil());
        assert_eq!(object_getClass(meta.as_id()), root_meta);
        assert_eq!(object_getClass(root_meta.as_id()), root_meta);
        assert_eq!(CStr::from_ptr(class_getName(string)), c"NSString");
        assert_eq!(CStr::from_ptr(class_getName(Class::NIL)), c"nil");
        assert!(objc_getClass(c"NoSuchClass".as_ptr()).is_nil());
        assert!(objc_allocateClassPair(root, c"NSString".as_ptr(), 0).is_nil());
        let made = subclass(string, "TreeMade");
        assert_eq!(class_getSuperclass(object_getClass(made.as_id())), meta);
        let alone = subclass(Class::NIL, "TreeAlone");
        let alone_meta = object_getClass(alone.as_id());
        assert_eq!(object_getClass(alone_meta.as_id()), alone_meta);
        assert_eq!(class_getSuperclass(alone_meta), alone);
    }
}

#[test]
fn a_class_is_unknown_until_it_is_registered() {
    // SAFETY: a class and C strings.
    unsafe {
        let made = objc_allocateClassPair(class("NSObject"), c"NotYet".as_ptr(), 0);
        assert!(objc_getClass(c"NotYet".as_ptr()).is_nil());
        objc_registerClassPair(made);
        assert_eq!(objc_getClass(c"NotYet".as_ptr()), made);
    }
}

#[test]
fn a_subclass_made_at_run_time_has_its_superclass_payload() {
    let made = subclass(class("NSString"), "MyString");
    let object = send!(made.as_id(), "alloc"; Id);
    let object = send!(object, "initWithUTF8String:", c"text".as_ptr() => *const c_char; Id);
    assert_eq!(text(object), "text");
    assert!(send!(object, "isEqual:", string("text") => Id; Bool).get());
    assert_eq!(send!(object, "class"; Class), made);
    // SAFETY: owned here.
    unsafe { objc_release(object) };
}

#[test]
fn methods_have_encodings_and_implementations() {
    let encoding = |class, selector| {
        // SAFETY: a class and a selector.
        unsafe {
            let method = class_getInstanceMethod(class, sel(selector));
            CStr::from_ptr(method_getTypeEncoding(method)).to_str().unwrap()
        }
    };
    let name = class("NSString");
    for (selector, types) in [
        ("length", "Q16@0:8"),
        ("characterAtIndex:", "S24@0:8Q16"),
        ("isEqualToString:", concat_bool!("24@0:8@16")),
        ("getCharacters:range:", "v40@0:8^S16{_NSRange=QQ}24"),
        ("initWithBytes:length:encoding:", "@40@0:8^v16Q24Q32"),
        ("UTF8String", "*16@0:8"),
    ] {
        assert_eq!(encoding(name, selector), types, "{selector}");
    }
    assert_eq!(encoding(class("NSArray"), "enumerateObjectsUsingBlock:"), "v24@0:8@?16");
    // SAFETY: classes and selectors.
    unsafe {
        let length = class_getInstanceMethod(name, sel("length"));
        assert_eq!(
            method_getImplementation(length).map(|imp| imp as usize),
            class_getMethodImplementation(name, sel("length")).map(|imp| imp as usize)
        );
        assert!(class_getInstanceMethod(name, sel("noSuchMethod")).is_nil());
        assert!(class_getMethodImplementation(name, sel("noSuchMethod")).is_some());
        assert!(class_respondsToSelector(name, sel("length")).get());
        assert!(!class_respondsToSelector(name, sel("string")).get());
        assert!(!class_getClassMethod(name, sel("string")).is_nil());
        assert!(class_getMethodImplementation(Class::NIL, sel("length")).is_none());
        assert!(method_getTypeEncoding(Method::NIL).is_null());
    }
}

#[test]
fn every_declared_method_has_the_encoding_of_its_colons() {
    for name in ["NSObject", "NSString", "NSArray", "NSDictionary", "NSError", "NSNumber", "NSURL"]
    {
        // SAFETY: a class.
        for class in [class(name), unsafe { object_getClass(class(name).as_id()) }] {
            let selectors = crate::soft::runtime::class::ClassData::own_selectors(class);
            assert!(!selectors.is_empty());
            for selector in selectors {
                // SAFETY: the class has the method.
                let (selector, types) = unsafe {
                    let method = class_getInstanceMethod(class, selector);
                    (
                        CStr::from_ptr(sel_getName(selector)),
                        CStr::from_ptr(method_getTypeEncoding(method)),
                    )
                };
                let types: MethodEncoding = types.to_str().unwrap().parse().unwrap();
                assert_eq!(
                    types.arguments.len() - 2,
                    colons(selector.to_str().unwrap()),
                    "{selector:?}"
                );
            }
        }
    }
}

#[test]
fn protocols_are_adopted_and_inherited() {
    // SAFETY: names, classes and protocols.
    unsafe {
        let copying = objc_getProtocol(c"NSCopying".as_ptr());
        assert!(!copying.is_nil());
        assert!(objc_getProtocol(c"NoSuchProtocol".as_ptr()).is_nil());
        let made = subclass(class("NSObject"), "Adopter");
        let leaf = subclass(made, "AdopterLeaf");
        assert!(!class_conformsToProtocol(leaf, copying).get());
        assert!(class_addProtocol(made, copying).get());
        assert!(!class_addProtocol(made, copying).get(), "adopted already");
        assert!(class_conformsToProtocol(leaf, copying).get());
        let object = new(leaf);
        assert!(send!(object, "conformsToProtocol:", copying => Protocol; Bool).get());
        assert!(send!(leaf.as_id(), "conformsToProtocol:", copying => Protocol; Bool).get());
        assert!(!send!(object, "conformsToProtocol:", Protocol::NIL => Protocol; Bool).get());
        // A protocol is an object, which nothing frees.
        objc_release(copying.as_id());
        assert_eq!(objc_retain(copying.as_id()), copying.as_id());
        objc_release(object);
    }
}
