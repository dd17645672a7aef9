//! Messages of every shape.
use super::super::entry::*;
use crate::abi::*;

#[test]
fn smoke() {
    unsafe {
        let class = objc_getClass(c"NSString".as_ptr());
        assert!(!class.is_nil());
        let make: unsafe extern "C" fn(Id, Sel, *const i8) -> Id =
            std::mem::transmute(objc_msgSend as Imp);
        let len: unsafe extern "C" fn(Id, Sel) -> usize = std::mem::transmute(objc_msgSend as Imp);
        let s = make(
            class.as_id(),
            sel_registerName(c"stringWithUTF8String:".as_ptr()),
            c"hello".as_ptr(),
        );
        for _ in 0..3 {
            assert_eq!(len(s, sel_registerName(c"length".as_ptr())), 5);
        }
        let m = class_getInstanceMethod(class, sel_registerName(c"isEqualToString:".as_ptr()));
        println!("{:?}", std::ffi::CStr::from_ptr(method_getTypeEncoding(m)));
        assert_eq!(len(s, sel_registerName(c"retainCount".as_ptr())), 1);
        let n = std::time::Instant::now();
        let l = sel_registerName(c"length".as_ptr());
        for _ in 0..100_000_000 {
            std::hint::black_box(len(s, l));
        }
        println!("{:?}", n.elapsed());
    }
}
