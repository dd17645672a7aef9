//! Properties and blocks as methods, which programs add to classes at run time.

use super::*;
use crate::soft::runtime::block::_NSConcreteStackBlock;
use crate::soft::runtime::entry_clients::*;
use crate::soft::runtime::property::*;
use crate::soft::runtime::trampoline::*;
use std::ffi::{c_uint, c_void};

const YES: Bool = Bool::new(true);

fn attribute(name: &'static CStr, value: &'static CStr) -> Attribute {
    Attribute { name: name.as_ptr(), value: value.as_ptr() }
}

fn c_text(text: *const c_char) -> String {
    assert!(!text.is_null());
    // SAFETY: a C string.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

unsafe extern "C" {
    fn free(memory: *mut c_void);
}

#[test]
fn classes_have_the_properties_that_are_added() {
    // SAFETY: the class is new; the lists are freed once.
    unsafe {
        let class = subclass(class("NSObject"), "WithProperties");
        let below = subclass(class, "BelowProperties");
        let attributes =
            [attribute(c"T", c"@\"NSString\""), attribute(c"C", c""), attribute(c"Key", c"x")];
        let add = |class, name: &CStr| {
            class_addProperty(class, name.as_ptr(), attributes.as_ptr(), 3).get()
        };
        assert!(add(class, c"label") && !add(class, c"label") && add(class, c"other"));
        assert!(!class_addProperty(Class::NIL, c"x".as_ptr(), attributes.as_ptr(), 3).get());

        let property = class_getProperty(below, c"label".as_ptr());
        assert_eq!(c_text(property_getName(property)), "label");
        assert_eq!(c_text(property_getAttributes(property)), "T@\"NSString\",C,\"Key\"x");
        let value = property_copyAttributeValue(property, c"T".as_ptr());
        assert_eq!(c_text(value), "@\"NSString\"");
        free(value.cast());
        assert!(property_copyAttributeValue(property, c"W".as_ptr()).is_null());
        let mut count: c_uint = 0;
        let list = property_copyAttributeList(property, &raw mut count);
        assert_eq!((count, c_text((*list.add(2)).name)), (3, "Key".to_owned()));
        assert!((*list.add(3)).name.is_null());
        free(list.cast());

        // The property stays the same one when its attributes are replaced.
        class_replaceProperty(class, c"label".as_ptr(), attributes.as_ptr(), 1);
        class_replaceProperty(class, c"third".as_ptr(), attributes.as_ptr(), 1);
        assert_eq!(c_text(property_getAttributes(property)), "T@\"NSString\"");
        let list = class_copyPropertyList(class, &raw mut count);
        let names: Vec<_> = (0..3).map(|nth| c_text(property_getName(*list.add(nth)))).collect();
        assert_eq!((count, names), (3, ["label", "other", "third"].map(str::to_owned).to_vec()));
        free(list.cast());
        assert!(class_copyPropertyList(below, &raw mut count).is_null() && count == 0);
        assert!(class_getProperty(below, c"none".as_ptr()).is_null());

        class_setVersion(class, 7);
        assert_eq!((class_getVersion(class), class_getVersion(below)), (7, 0));
    }
}

#[test]
fn protocols_describe_properties() {
    // SAFETY: the protocols are new; the list is freed once.
    unsafe {
        let (one, other) = (
            objc_allocateProtocol(c"OneWithProperties".as_ptr()),
            objc_allocateProtocol(c"OtherWithProperties".as_ptr()),
        );
        let attributes = [attribute(c"T", c"q"), attribute(c"R", c"")];
        protocol_addProperty(one, c"count".as_ptr(), attributes.as_ptr(), 2, YES, YES);
        protocol_addProperty(one, c"maybe".as_ptr(), attributes.as_ptr(), 2, Bool::new(false), YES);
        objc_registerProtocol(one);
        protocol_addProperty(one, c"late".as_ptr(), attributes.as_ptr(), 2, YES, YES);
        protocol_addProtocol(other, one);
        objc_registerProtocol(other);
        let found = protocol_getProperty(other, c"count".as_ptr(), YES, YES);
        assert_eq!(c_text(property_getAttributes(found)), "Tq,R");
        assert!(protocol_getProperty(other, c"maybe".as_ptr(), YES, YES).is_null());
        assert!(!protocol_getProperty(other, c"maybe".as_ptr(), Bool::new(false), YES).is_null());
        let mut count: c_uint = 0;
        let list = protocol_copyPropertyList(one, &raw mut count);
        assert_eq!((count, c_text(property_getName(*list))), (1, "count".to_owned()));
        free(list.cast());
    }
}

/// A block with one captured number. On the stack, as a compiler writes it.
#[repr(C)]
struct Literal {
    isa: *const c_void,
    flags: i32,
    reserved: i32,
    invoke: Imp,
    descriptor: *const [usize; 2],
    captured: usize,
}

static DESCRIPTOR: [usize; 2] = [0, size_of::<Literal>()];

fn literal(flags: i32, invoke: Imp, captured: usize) -> Literal {
    let isa = (&raw const _NSConcreteStackBlock).cast();
    Literal { isa, flags, reserved: 0, invoke, descriptor: &raw const DESCRIPTOR, captured }
}

unsafe extern "C" fn sum(block: *const Literal, this: Id, more: usize) -> usize {
    assert!(!this.is_nil());
    // SAFETY: the block is the first argument.
    unsafe { (*block).captured + more }
}

unsafe extern "C" fn triple(block: *const Literal, this: Id, more: usize) -> MTLSize {
    assert!(!this.is_nil());
    // SAFETY: as above.
    MTLSize { width: unsafe { (*block).captured }, height: more, depth: 3 }
}

#[test]
fn a_block_implements_a_method() {
    type Sum = unsafe extern "C" fn(*const Literal, Id, usize) -> usize;
    let class = subclass(class("NSObject"), "WithBlocks");
    let object = new(class);
    // More than a page of code has.
    let count = 600;
    let imps: Vec<Imp> = (0..count)
        .map(|nth| {
            let block = literal(0, imp!(sum as Sum), nth);
            // SAFETY: a block, which is copied.
            unsafe {
                imp_implementationWithBlock(Id::from_ptr((&raw const block).cast_mut().cast()))
            }
        })
        .collect();
    for (nth, imp) in imps.iter().enumerate() {
        let name = format!("add{nth}:");
        assert!(add(class, &name, *imp, c"Q@:Q"));
        assert_eq!(send!(object, &name, 1000 => usize; usize), nth + 1000);
    }
    // SAFETY: implementations of blocks, and one that has none. They are not called any more.
    unsafe {
        let block = imp_getBlock(imps[7]).as_ptr().cast::<Literal>();
        assert_eq!((*block).captured, 7);
        assert!(imp_getBlock(objc_msgSend).is_nil() && !imp_removeBlock(objc_msgSend).get());
        for imp in &imps {
            assert!(imp_removeBlock(*imp).get() && !imp_removeBlock(*imp).get());
        }
        objc_release(object);
    }
}

#[test]
fn a_block_implements_a_method_with_a_result_in_memory() {
    type Triple = unsafe extern "C" fn(*const Literal, Id, usize) -> MTLSize;
    const SIGNATURE_AND_RESULT_IN_MEMORY: i32 = 3 << 29;
    let block = literal(SIGNATURE_AND_RESULT_IN_MEMORY, imp!(triple as Triple), 5);
    let object = new(class("NSObject"));
    // SAFETY: a block, which is copied. The implementation takes what a method takes.
    let size = unsafe {
        let imp = imp_implementationWithBlock(Id::from_ptr((&raw const block).cast_mut().cast()));
        let call: unsafe extern "C" fn(Id, Sel, usize) -> MTLSize = cast(imp);
        call(object, sel("size:"), 9)
    };
    assert_eq!((size.width, size.height, size.depth), (5, 9, 3));
}

#[test]
fn a_method_is_described() {
    // SAFETY: a class and a selector.
    unsafe {
        let method = class_getInstanceMethod(class("NSObject"), sel("isEqual:"));
        let described = method_getDescription(method);
        assert_eq!(described, method_getDescription(method));
        assert_eq!((*described).name, sel("isEqual:"));
        assert_eq!(c_text((*described).types), c_text(method_getTypeEncoding(method)));
        assert!(method_getDescription(Method::from_ptr(std::ptr::null_mut())).is_null());
        assert!(sel_isMapped(sel("isEqual:")).get() && !sel_isMapped(Sel::NIL).get());
    }
}
