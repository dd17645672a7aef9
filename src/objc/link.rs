//! The door: the one file that decides where Objective-C's C functions come from.
//!
//! On Apple's systems they are the system's own. Everywhere else they are those of the embedded
//! runtime, under the same names and with the same signatures: the list below serves both sides, and
//! a signature that differs does not compile. Everything above this file is the
//! same code on every target.

#![allow(non_upper_case_globals)] // C's names.

use crate::abi::{Bool, Class, Id, Imp, Method, Protocol, Sel};
use std::ffi::{c_char, c_void};

/// Lists the C functions of a system library once: declared on Apple's targets, taken from a module
/// of the embedded system elsewhere.
macro_rules! door {
    (
        $(#[$library:meta])+ else $module:ident from $soft:path;
        $($(#[$attribute:meta])* fn $name:ident($($argument:ident: $ty:ty),*) $(-> $result:ty)?;)+
    ) => {
        #[cfg(target_vendor = "apple")]
        $(#[$library])+
        unsafe extern "C" {
            $(
                #[doc = concat!("C's `", stringify!($name), "`.")]
                $(#[$attribute])*
                pub fn $name($($argument: $ty),*) $(-> $result)?;
            )+
        }

        #[cfg(not(target_vendor = "apple"))]
        mod $module {
            use super::*;
            use $soft as entry;
            $(
                $(#[$attribute])*
                pub use entry::$name;
                $(#[$attribute])*
                const _: unsafe extern "C" fn($($ty),*) $(-> $result)? = $name;
            )+
        }

        #[cfg(not(target_vendor = "apple"))]
        pub use $module::*;
    };
}

door! {
    #[link(name = "objc")]
    #[link(name = "Foundation", kind = "framework")]
    else objc from crate::soft::runtime::entry;

    // Messages. These two are called only after a cast to the method's own type.
    fn objc_msgSend();
    #[cfg(target_arch = "x86_64")]
    fn objc_msgSend_stret();

    // Selectors.
    fn sel_registerName(name: *const c_char) -> Sel;
    fn sel_getName(selector: Sel) -> *const c_char;

    // Classes.
    fn objc_getClass(name: *const c_char) -> Class;
    fn objc_allocateClassPair(superclass: Class, name: *const c_char, extra: usize) -> Class;
    fn objc_registerClassPair(class: Class);
    fn object_getClass(object: Id) -> Class;
    fn class_getName(class: Class) -> *const c_char;
    fn class_getSuperclass(class: Class) -> Class;
    fn class_addMethod(class: Class, selector: Sel, imp: Imp, types: *const c_char) -> Bool;
    fn class_replaceMethod(class: Class, selector: Sel, imp: Imp, types: *const c_char) -> Option<Imp>;
    fn class_respondsToSelector(class: Class, selector: Sel) -> Bool;
    fn class_getInstanceMethod(class: Class, selector: Sel) -> Method;
    fn class_getClassMethod(class: Class, selector: Sel) -> Method;
    fn class_getMethodImplementation(class: Class, selector: Sel) -> Option<Imp>;
    #[cfg(target_arch = "x86_64")]
    fn class_getMethodImplementation_stret(class: Class, selector: Sel) -> Option<Imp>;
    fn method_getTypeEncoding(method: Method) -> *const c_char;
    fn method_getImplementation(method: Method) -> Option<Imp>;

    // Protocols.
    fn objc_getProtocol(name: *const c_char) -> Protocol;
    fn class_addProtocol(class: Class, protocol: Protocol) -> Bool;
    fn class_conformsToProtocol(class: Class, protocol: Protocol) -> Bool;

    // Ownership.
    fn objc_retain(object: Id) -> Id;
    fn objc_release(object: Id);
    fn objc_autorelease(object: Id) -> Id;
    fn objc_autoreleaseReturnValue(object: Id) -> Id;
    fn objc_retainAutoreleasedReturnValue(object: Id) -> Id;
    fn objc_autoreleasePoolPush() -> *mut c_void;
    fn objc_autoreleasePoolPop(pool: *mut c_void);

    // Blocks.
    fn _Block_copy(block: *const c_void) -> *mut c_void;
    fn _Block_release(block: *const c_void);
}

door! {
    #[link(name = "System", kind = "dylib")]
    else dispatch from crate::soft::foundation::entry;

    fn dispatch_data_create(
        bytes: *const c_void,
        length: usize,
        queue: Id,
        destructor: *const c_void
    ) -> Id;
}

door! {
    #[link(name = "Metal", kind = "framework")]
    else metal from crate::soft::metal::entry;

    fn MTLCreateSystemDefaultDevice() -> Id;
    fn MTLCopyAllDevices() -> Id;
}

/// A reference to an IOSurface.
#[cfg(all(feature = "memory", target_vendor = "apple"))]
pub type IOSurfaceRef = *mut c_void;

// Memory that every unit of the chip can use. Other systems have files for it, which `memory` opens itself.
#[cfg(all(feature = "memory", target_vendor = "apple"))]
#[link(name = "IOSurface", kind = "framework")]
#[allow(missing_docs)] // Apple's documentation has them.
unsafe extern "C" {
    pub static kIOSurfaceWidth: Id;
    pub static kIOSurfaceHeight: Id;
    pub static kIOSurfaceBytesPerElement: Id;
    pub static kIOSurfacePixelFormat: Id;
    pub static kIOSurfaceAllocSize: Id;
    pub static kIOSurfaceIsGlobal: Id;
    pub fn IOSurfaceCreate(properties: Id) -> IOSurfaceRef;
    pub fn IOSurfaceLookup(id: u32) -> IOSurfaceRef;
    pub fn IOSurfaceLock(surface: IOSurfaceRef, options: u32, seed: *mut u32) -> i32;
    pub fn IOSurfaceUnlock(surface: IOSurfaceRef, options: u32, seed: *mut u32) -> i32;
    pub fn IOSurfaceGetBaseAddress(surface: IOSurfaceRef) -> *mut c_void;
    pub fn IOSurfaceGetAllocSize(surface: IOSurfaceRef) -> usize;
    pub fn IOSurfaceGetID(surface: IOSurfaceRef) -> u32;
}

#[cfg(all(feature = "memory", target_vendor = "apple"))]
#[allow(missing_docs)] // The C library's.
mod pages {
    use std::ffi::{c_int, c_void};

    pub const PROT_READ: c_int = 1;
    pub const PROT_WRITE: c_int = 2;
    pub const MAP_PRIVATE: c_int = 2;

    unsafe extern "C" {
        pub fn mmap(
            start: *mut c_void,
            bytes: usize,
            access: c_int,
            flags: c_int,
            file: c_int,
            offset: i64,
        ) -> *mut c_void;
        pub fn munmap(start: *mut c_void, bytes: usize) -> c_int;
        pub fn mlock(start: *const c_void, bytes: usize) -> c_int;
        pub fn munlock(start: *const c_void, bytes: usize) -> c_int;
    }
}

#[cfg(all(feature = "memory", target_vendor = "apple"))]
pub use pages::*;

#[cfg(target_vendor = "apple")]
unsafe extern "C" {
    /// The class of a block that was not copied to the heap. Only its address is used.
    pub static _NSConcreteStackBlock: [*const c_void; 32];
}

#[cfg(not(target_vendor = "apple"))]
pub use crate::soft::runtime::entry::_NSConcreteStackBlock;

unsafe extern "C" {
    /// The size of a page of memory, from every system's C library.
    pub safe fn getpagesize() -> std::ffi::c_int;
}

/// Informs the runtime that the object that was just returned stays in its pool: a later
/// [`objc_retainAutoreleasedReturnValue`] of the same object belongs to another message. Apple's runtime
/// finds out by itself.
#[cfg(target_vendor = "apple")]
#[inline(always)]
pub(super) fn leave_in_pool(_object: Id) {}

#[cfg(not(target_vendor = "apple"))]
pub(super) use crate::soft::runtime::entry::leave_in_pool;
