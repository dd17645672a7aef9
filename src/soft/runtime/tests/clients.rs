//! Features that only other bindings use: weak references, associated objects, instance variables, protocols made at run
//! time, messages to a superclass, `__block` variables.

use super::*;
use std::ffi::c_void;
use std::ptr::null_mut;

fn object() -> Id {
    send!(class("NSObject").as_id(), "new"; Id)
}

#[test]
fn a_weak_variable_becomes_nil_with_its_object() {
    // SAFETY: the variables live as long as they are weak.
    unsafe {
        let object = object();
        let (mut one, mut other, mut moved) = (Id::NIL, Id::NIL, Id::NIL);
        assert_eq!(objc_initWeak(&raw mut one, object), object);
        objc_copyWeak(&raw mut other, &raw mut one);
        objc_moveWeak(&raw mut moved, &raw mut other);
        assert_eq!(send!(object, "retainCount"; usize), 1);
        let loaded = objc_loadWeakRetained(&raw mut moved);
        assert_eq!((loaded, send!(object, "retainCount"; usize)), (object, 2));
        objc_release(loaded);
        objc_release(object);
        assert!(one.is_nil() && moved.is_nil());
        assert!(objc_loadWeakRetained(&raw mut one).is_nil());
        let next = self::object();
        assert_eq!(objc_storeWeak(&raw mut one, next), next);
        objc_destroyWeak(&raw mut one);
        assert!(one.is_nil());
        objc_release(next);
    }
}

/// Threads load a weak variable while another releases the object: each gets the object alive, or nil.
#[test]
fn a_weak_variable_is_loaded_while_its_object_ends() {
    for _ in 0..scale(300, 20) {
        let object = object();
        let variable: &'static mut Id = Box::leak(Box::new(Id::NIL));
        let address = std::ptr::from_mut(variable).expose_provenance();
        // SAFETY: the variable is never freed before it is destroyed.
        unsafe {
            let weak = || std::ptr::with_exposed_provenance_mut::<Id>(address);
            objc_initWeak(weak(), object);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            let loaded = objc_loadWeakRetained(weak());
                            if !loaded.is_nil() {
                                assert!(send!(loaded, "retainCount"; usize) >= 1);
                                objc_release(loaded);
                            }
                        }
                    });
                }
                objc_release(object);
            });
            assert!(objc_loadWeakRetained(weak()).is_nil());
            objc_destroyWeak(weak());
            drop(Box::from_raw(weak()));
        }
    }
}

#[test]
fn associated_objects_end_with_their_object() {
    // SAFETY: all objects live while they are used.
    unsafe {
        let (object, value) = (object(), object());
        let key = c"key".as_ptr().cast::<c_void>();
        let (retain, assign) = (0o1401, 0);
        objc_setAssociatedObject(object, key, value, retain);
        assert_eq!(send!(value, "retainCount"; usize), 2);
        let pool = objc_autoreleasePoolPush();
        assert_eq!(objc_getAssociatedObject(object, key), value);
        objc_autoreleasePoolPop(pool);
        objc_setAssociatedObject(object, key, value, assign);
        assert_eq!(send!(value, "retainCount"; usize), 1);
        objc_setAssociatedObject(object, key, value, retain);
        objc_release(object);
        assert_eq!(send!(value, "retainCount"; usize), 1);
        let other = self::object();
        objc_setAssociatedObject(other, key, value, retain);
        objc_removeAssociatedObjects(other);
        assert!(objc_getAssociatedObject(other, key).is_nil());
        assert_eq!(send!(value, "retainCount"; usize), 1);
        objc_release(other);
        objc_release(value);
    }
}

#[test]
fn instance_variables_follow_the_objects_own_bytes() {
    // SAFETY: the class is new, and its objects have the variables.
    unsafe {
        let class = objc_allocateClassPair(class("NSObject"), c"WithVariables".as_ptr(), 0);
        let add = |name: &CStr, size, align| {
            class_addIvar(class, name.as_ptr(), size, align, c"@".as_ptr()).get()
        };
        assert!(add(c"small", 1, 0) && add(c"object", 8, 3) && add(c"wide", 32, 4));
        assert!(!add(c"small", 1, 0) && !add(c"too aligned", 8, 5));
        objc_registerClassPair(class);
        assert!(!add(c"late", 8, 3));
        let below = subclass(class, "WithMoreVariables");
        let offset = |name: &CStr| ivar_getOffset(class_getInstanceVariable(below, name.as_ptr()));
        assert_eq!([offset(c"small"), offset(c"object"), offset(c"wide")], [16, 24, 32]);
        assert_eq!((class_getInstanceSize(class), class_getInstanceSize(below)), (64, 64));

        let object = send!(below.as_id(), "new"; Id);
        let mut value = null_mut();
        let variable = object_getInstanceVariable(object, c"object".as_ptr(), &raw mut value);
        assert!(value.is_null());
        object_setIvar(object, variable, object);
        assert_eq!(object_getIvar(object, variable), object);
        assert_eq!(CStr::from_ptr(ivar_getName(variable)), c"object");
        objc_release(object);

        let object = class_createInstance(class, 100);
        let extra = object_getIndexedIvars(object).cast::<u8>();
        assert_eq!(extra.addr() - object.as_ptr().addr(), 64);
        assert!(std::slice::from_raw_parts(extra, 100).iter().all(|byte| *byte == 0));
        objc_release(object);
    }
}

unsafe extern "C" fn one(_: Id, _: Sel) -> usize {
    1
}

unsafe extern "C" fn two(_: Id, _: Sel) -> usize {
    2
}

#[test]
fn methods_change_their_implementation() {
    // SAFETY: the methods take nothing and return numbers.
    unsafe {
        let class = subclass(class("NSObject"), "Exchanged");
        class_addMethod(
            class,
            sel("first"),
            cast(one as unsafe extern "C" fn(Id, Sel) -> usize),
            c"Q16@0:8".as_ptr(),
        );
        class_addMethod(
            class,
            sel("second"),
            cast(two as unsafe extern "C" fn(Id, Sel) -> usize),
            c"Q16@0:8".as_ptr(),
        );
        let object = send!(subclass(class, "ExchangedBelow").as_id(), "new"; Id);
        let both = || (send!(object, "first"; usize), send!(object, "second"; usize));
        assert_eq!(both(), (1, 2));
        let method = |name| class_getInstanceMethod(class, sel(name));
        method_exchangeImplementations(method("first"), method("second"));
        assert_eq!(both(), (2, 1));
        let old = method_setImplementation(
            method("second"),
            cast(two as unsafe extern "C" fn(Id, Sel) -> usize),
        );
        assert_eq!(old.map(|imp| imp as usize), Some(one as *const () as usize));
        assert_eq!(both(), (2, 2));
        assert_eq!(method_getName(method("first")), sel("first"));
        assert_eq!(method_getNumberOfArguments(method("first")), 2);
        objc_release(object);
    }
}

#[test]
fn protocols_are_made_at_run_time() {
    // SAFETY: the protocols are new.
    unsafe {
        let (yes, no) = (Bool::new(true), Bool::new(false));
        let base = objc_allocateProtocol(c"Base".as_ptr());
        protocol_addMethodDescription(base, sel("first"), c"Q16@0:8".as_ptr(), yes, yes);
        assert!(objc_getProtocol(c"Base".as_ptr()).is_nil());
        objc_registerProtocol(base);
        assert_eq!(objc_getProtocol(c"Base".as_ptr()), base);
        assert!(objc_allocateProtocol(c"Base".as_ptr()).is_nil());
        let derived = objc_allocateProtocol(c"Derived".as_ptr());
        protocol_addProtocol(derived, base);
        objc_registerProtocol(derived);
        assert!(protocol_conformsToProtocol(derived, base).get());
        assert!(!protocol_conformsToProtocol(base, derived).get());
        let found = protocol_getMethodDescription(derived, sel("first"), yes, yes);
        assert_eq!((found.name, CStr::from_ptr(found.types)), (sel("first"), c"Q16@0:8"));
        assert!(protocol_getMethodDescription(derived, sel("first"), no, yes).name.is_nil());
        let class = subclass(class("NSObject"), "Conforming");
        class_addProtocol(class, derived);
        assert!(class_conformsToProtocol(class, base).get());
        let mut count = 0;
        let list = class_copyProtocolList(class, &raw mut count);
        assert_eq!((count, *list, *list.add(1)), (1, derived, Protocol::NIL));
        free(list.cast());
    }
}

/// Foundation's protocols describe what they require, with the types that the methods here have.
#[test]
fn declared_protocols_describe_their_methods() {
    // SAFETY: protocols, classes and selectors are.
    unsafe {
        let (yes, no) = (Bool::new(true), Bool::new(false));
        let copying = objc_getProtocol(c"NSCopying".as_ptr());
        let found = protocol_getMethodDescription(copying, sel("copyWithZone:"), yes, yes);
        assert_eq!(CStr::from_ptr(found.types), c"@24@0:8^{_NSZone=}16");
        assert!(
            protocol_getMethodDescription(copying, sel("copyWithZone:"), no, yes).name.is_nil()
        );
        let secure = objc_getProtocol(c"NSSecureCoding".as_ptr());
        let found = protocol_getMethodDescription(secure, sel("encodeWithCoder:"), yes, yes);
        assert_eq!(CStr::from_ptr(found.types), c"v24@0:8@16");
        assert!(
            !protocol_getMethodDescription(secure, sel("supportsSecureCoding"), yes, no)
                .name
                .is_nil()
        );
        let mut count = 0;
        let object = objc_getProtocol(c"NSObject".as_ptr());
        let list = protocol_copyMethodDescriptionList(object, yes, yes, &raw mut count);
        assert_eq!(count, 18);
        for method in std::slice::from_raw_parts(list, count as usize) {
            let own = class_getInstanceMethod(class("NSObject"), method.name);
            let (own, types) =
                (CStr::from_ptr(method_getTypeEncoding(own)), CStr::from_ptr(method.types));
            assert_eq!(own, types, "{:?}", CStr::from_ptr(sel_getName(method.name)));
        }
        free(list.cast());
        // A protocol of Metal's has the methods of the class that adopts it.
        let buffer = objc_getProtocol(c"MTLBuffer".as_ptr());
        let found = protocol_getMethodDescription(buffer, sel("length"), no, yes);
        assert_eq!(CStr::from_ptr(found.types), c"Q16@0:8");
    }
}

unsafe extern "C" {
    fn free(memory: *mut c_void);
}

#[repr(C)]
struct Super {
    receiver: Id,
    class: Class,
}

#[repr(C)]
#[derive(Debug, PartialEq)]
struct Large([usize; 4]);

unsafe extern "C" fn large(receiver: Id, _: Sel, a: usize, b: f64) -> Large {
    Large([receiver.as_ptr().addr(), a, b as usize, 4])
}

/// A message to a superclass reaches the method above with its receiver and arguments, on a hit and on a miss.
#[test]
fn messages_reach_a_superclass() {
    type Function = unsafe extern "C" fn(*const Super, Sel) -> usize;
    type Returning = unsafe extern "C" fn(*const Super, Sel, usize, f64) -> Large;
    #[cfg(target_arch = "x86_64")]
    let (large_super, large_super2) =
        (objc_msgSendSuper_stret as Plain, objc_msgSendSuper2_stret as Plain);
    #[cfg(target_arch = "aarch64")]
    let (large_super, large_super2) = (objc_msgSendSuper as Plain, objc_msgSendSuper2 as Plain);
    type Plain = unsafe extern "C" fn();
    // SAFETY: the senders are called as the methods' types.
    unsafe {
        let above = subclass(class("NSObject"), "Above");
        let below = subclass(above, "Below");
        class_addMethod(
            above,
            sel("number"),
            cast(one as unsafe extern "C" fn(Id, Sel) -> usize),
            c"Q16@0:8".as_ptr(),
        );
        class_addMethod(
            below,
            sel("number"),
            cast(two as unsafe extern "C" fn(Id, Sel) -> usize),
            c"Q16@0:8".as_ptr(),
        );
        let imp = cast(large as unsafe extern "C" fn(Id, Sel, usize, f64) -> Large);
        class_addMethod(above, sel("large::"), imp, c"{?=QQQQ}32@0:8Q16d24".as_ptr());
        let object = send!(below.as_id(), "new"; Id);
        let (direct, of_class) =
            (Super { receiver: object, class: above }, Super { receiver: object, class: below });
        assert_eq!(send!(object, "number"; usize), 2);
        for _ in 0..3 {
            let number: Function = cast(objc_msgSendSuper as Plain);
            assert_eq!(number(&raw const direct, sel("number")), 1);
            let number: Function = cast(objc_msgSendSuper2 as Plain);
            assert_eq!(number(&raw const of_class, sel("number")), 1);
            let expected = Large([object.as_ptr().addr(), 7, 8, 4]);
            assert_eq!(
                cast::<_, Returning>(large_super)(&raw const direct, sel("large::"), 7, 8.0),
                expected
            );
            assert_eq!(
                cast::<_, Returning>(large_super2)(&raw const of_class, sel("large::"), 7, 8.0),
                expected
            );
        }
        objc_release(object);
    }
}

/// A `__block` variable with an integer, as a compiler lays it out.
#[repr(C)]
struct Variable {
    isa: *const c_void,
    forwarding: *mut Variable,
    flags: i32,
    size: u32,
    value: usize,
}

#[test]
fn a_block_variable_moves_to_the_heap_once() {
    const IS_VARIABLE: i32 = 8;
    let mut variable = Variable {
        isa: std::ptr::null(),
        forwarding: null_mut(),
        flags: 0,
        size: size_of::<Variable>() as u32,
        value: 5,
    };
    // SAFETY: as a compiler uses such a variable: two blocks capture it and are disposed of, then its function ends.
    unsafe {
        let stack = &raw mut variable;
        (*stack).forwarding = stack;
        let mut captured = [std::ptr::null_mut::<Variable>(); 2];
        for field in &mut captured {
            _Block_object_assign(std::ptr::from_mut(field).cast(), stack.cast(), IS_VARIABLE);
        }
        assert_eq!(captured, [(*stack).forwarding; 2]);
        assert_ne!(captured[0], stack);
        (*(*stack).forwarding).value += 1;
        assert_eq!((*captured[1]).value, 6);
        for field in captured {
            _Block_object_dispose(field.cast(), IS_VARIABLE);
        }
        assert_eq!((*(*stack).forwarding).value, 6);
        _Block_object_dispose(stack.cast(), IS_VARIABLE);
    }
}

#[test]
fn a_lock_of_an_object_is_recursive() {
    let object = object();
    let total = std::sync::Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..scale(100, 10) {
                    // SAFETY: the object lives.
                    unsafe {
                        assert_eq!((objc_sync_enter(object), objc_sync_enter(object)), (0, 0));
                        *total.try_lock().expect("another thread is inside") += 1;
                        assert_eq!((objc_sync_exit(object), objc_sync_exit(object)), (0, 0));
                    }
                }
            });
        }
    });
    // SAFETY: as above.
    unsafe {
        assert_eq!(objc_sync_exit(object), -1);
        objc_release(object);
    }
}
