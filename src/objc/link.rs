//! The door: the one file that decides where Objective-C's C functions come from.
//!
//! On Apple's systems they are the system's own, unless the feature `soft` is on. Everywhere else they are those of the
//! embedded runtime, under the same names and with the same signatures: the list below serves both sides, and
//! a signature that differs does not compile. Everything above this file is the
//! same code on every target.

#![allow(non_upper_case_globals)] // C's names.

use crate::abi::{Bool, Class, Id, Imp, Ivar, Method, MethodDescription, Protocol, Sel};
use std::ffi::{c_char, c_int, c_uint, c_void};

/// A function that a queue of libdispatch calls with an argument.
///
/// ```
/// use aruminium::objc::link;
/// unsafe extern "C" fn raise(number: *mut std::ffi::c_void) {
///     // SAFETY: the queue passes the address below.
///     unsafe { *number.cast::<u32>() += 1 }
/// }
/// let (function, mut number): (link::Function, _) = (raise, 41_u32);
/// // SAFETY: the number lives until the function has been called.
/// unsafe {
///     let queue = link::dispatch_get_global_queue(0, 0);
///     link::dispatch_sync_f(queue, (&raw mut number).cast(), function);
/// }
/// assert_eq!(number, 42);
/// ```
pub type Function = unsafe extern "C" fn(*mut c_void);

/// Items of builds that open the embedded Metal. (`lib.rs` has the same condition for the embedded Metal itself.)
macro_rules! embedded {
    ($($item:item)+) => {$(
        #[cfg(any(not(target_vendor = "apple"), feature = "soft"))]
        $item
    )+};
}

/// Items of builds that open the system's Metal.
macro_rules! native {
    ($($item:item)+) => {$(
        #[cfg(all(target_vendor = "apple", not(feature = "soft")))]
        $item
    )+};
}

/// Lists the C functions of a system library once: declared on Apple's targets, taken from a module
/// of the embedded system elsewhere.
macro_rules! door {
    (
        ($d:tt) $list:ident; $(#[$library:meta])+ else $module:ident from $soft:path;
        $($(#[$attribute:meta])* fn $name:ident($($argument:ident: $ty:ty),*) $(-> $result:ty)?;)+
    ) => {
        native! {
            $(#[$library])+
            unsafe extern "C" {
                $(
                    #[doc = concat!("C's `", stringify!($name), "`.")]
                    $(#[$attribute])*
                    pub fn $name($($argument: $ty),*) $(-> $result)?;
                )+
            }
        }

        embedded! {
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

            pub use $module::*;
        }

        /// Passes the names of the functions to a macro.
        #[cfg(all(feature = "export", not(target_vendor = "apple")))]
        macro_rules! $list {
            ($d($d macro:tt)+) => { $d($d macro)+ { $($(#[$attribute])* $name)+ } };
        }
        #[cfg(all(feature = "export", not(target_vendor = "apple")))]
        pub(crate) use $list;
    };
}

door! {
    ($) objc_names;
    #[link(name = "objc")]
    #[link(name = "Foundation", kind = "framework")]
    else objc from crate::soft::runtime::entry;

    // Messages. These are called only after a cast to the method's own type.
    fn objc_msgSend();
    fn objc_msgSendSuper();
    fn objc_msgSendSuper2();
    #[cfg(target_arch = "x86_64")]
    fn objc_msgSend_stret();
    #[cfg(target_arch = "x86_64")]
    fn objc_msgSend_fpret();
    #[cfg(target_arch = "x86_64")]
    fn objc_msgSend_fp2ret();
    #[cfg(target_arch = "x86_64")]
    fn objc_msgSendSuper_stret();
    #[cfg(target_arch = "x86_64")]
    fn objc_msgSendSuper2_stret();

    // Selectors.
    fn sel_registerName(name: *const c_char) -> Sel;
    fn sel_getName(selector: Sel) -> *const c_char;
    fn sel_getUid(name: *const c_char) -> Sel;
    fn sel_isEqual(one: Sel, other: Sel) -> Bool;

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

    // Reflection.
    fn objc_lookUpClass(name: *const c_char) -> Class;
    fn objc_getRequiredClass(name: *const c_char) -> Class;
    fn objc_getMetaClass(name: *const c_char) -> Class;
    fn objc_getClassList(classes: *mut Class, room: c_int) -> c_int;
    fn objc_copyClassList(count: *mut c_uint) -> *mut Class;
    fn objc_disposeClassPair(class: Class);
    fn class_isMetaClass(class: Class) -> Bool;
    fn class_getVersion(class: Class) -> c_int;
    fn class_getInstanceSize(class: Class) -> usize;
    fn class_copyMethodList(class: Class, count: *mut c_uint) -> *mut Method;
    fn class_copyProtocolList(class: Class, count: *mut c_uint) -> *mut Protocol;
    fn class_copyIvarList(class: Class, count: *mut c_uint) -> *mut Ivar;
    fn class_addIvar(class: Class, name: *const c_char, size: usize, align: u8, types: *const c_char) -> Bool;
    fn class_getInstanceVariable(class: Class, name: *const c_char) -> Ivar;
    fn ivar_getName(variable: Ivar) -> *const c_char;
    fn ivar_getTypeEncoding(variable: Ivar) -> *const c_char;
    fn ivar_getOffset(variable: Ivar) -> isize;
    fn object_getIvar(object: Id, variable: Ivar) -> Id;
    fn object_setIvar(object: Id, variable: Ivar, value: Id);
    fn object_getInstanceVariable(object: Id, name: *const c_char, value: *mut *mut c_void) -> Ivar;
    fn object_setInstanceVariable(object: Id, name: *const c_char, value: *mut c_void) -> Ivar;
    fn object_getIndexedIvars(object: Id) -> *mut c_void;
    fn object_getClassName(object: Id) -> *const c_char;
    fn object_isClass(object: Id) -> Bool;
    fn object_setClass(object: Id, class: Class) -> Class;
    fn method_getName(method: Method) -> Sel;
    fn method_getNumberOfArguments(method: Method) -> c_uint;
    fn method_copyReturnType(method: Method) -> *mut c_char;
    fn method_copyArgumentType(method: Method, index: c_uint) -> *mut c_char;
    fn method_setImplementation(method: Method, imp: Imp) -> Option<Imp>;
    fn method_exchangeImplementations(one: Method, other: Method);
    fn objc_allocateProtocol(name: *const c_char) -> Protocol;
    fn objc_registerProtocol(protocol: Protocol);
    fn objc_copyProtocolList(count: *mut c_uint) -> *mut Protocol;
    fn protocol_getName(protocol: Protocol) -> *const c_char;
    fn protocol_isEqual(one: Protocol, other: Protocol) -> Bool;
    fn protocol_conformsToProtocol(protocol: Protocol, other: Protocol) -> Bool;
    fn protocol_addProtocol(protocol: Protocol, other: Protocol);
    fn protocol_addMethodDescription(protocol: Protocol, selector: Sel, types: *const c_char, required: Bool, instance: Bool);
    fn protocol_copyProtocolList(protocol: Protocol, count: *mut c_uint) -> *mut Protocol;
    fn protocol_copyMethodDescriptionList(protocol: Protocol, required: Bool, instance: Bool, count: *mut c_uint) -> *mut MethodDescription;
    fn protocol_getMethodDescription(protocol: Protocol, selector: Sel, required: Bool, instance: Bool) -> MethodDescription;

    // Ownership of variables and objects.
    fn objc_retainAutorelease(object: Id) -> Id;
    fn objc_retainAutoreleaseReturnValue(object: Id) -> Id;
    fn objc_claimAutoreleasedReturnValue(object: Id) -> Id;
    fn objc_unsafeClaimAutoreleasedReturnValue(object: Id) -> Id;
    fn objc_retainBlock(block: Id) -> Id;
    fn objc_storeStrong(variable: *mut Id, object: Id);
    fn objc_alloc(class: Class) -> Id;
    fn objc_allocWithZone(class: Class) -> Id;
    fn objc_alloc_init(class: Class) -> Id;
    fn objc_opt_new(class: Class) -> Id;
    fn objc_opt_class(object: Id) -> Class;
    fn class_createInstance(class: Class, extra: usize) -> Id;
    fn object_dispose(object: Id) -> Id;
    fn objc_initWeak(variable: *mut Id, object: Id) -> Id;
    fn objc_storeWeak(variable: *mut Id, object: Id) -> Id;
    fn objc_loadWeakRetained(variable: *mut Id) -> Id;
    fn objc_loadWeak(variable: *mut Id) -> Id;
    fn objc_destroyWeak(variable: *mut Id);
    fn objc_copyWeak(to: *mut Id, from: *mut Id);
    fn objc_moveWeak(to: *mut Id, from: *mut Id);
    fn objc_setAssociatedObject(object: Id, key: *const c_void, value: Id, policy: usize);
    fn objc_getAssociatedObject(object: Id, key: *const c_void) -> Id;
    fn objc_removeAssociatedObjects(object: Id);
    fn objc_sync_enter(object: Id) -> c_int;
    fn objc_sync_exit(object: Id) -> c_int;
    fn objc_exception_throw(exception: Id);
    fn objc_enumerationMutation(collection: Id);

    // Blocks.
    fn _Block_copy(block: *const c_void) -> *mut c_void;
    fn _Block_release(block: *const c_void);
    fn _Block_object_assign(to: *mut c_void, value: *const c_void, flags: c_int);
    fn _Block_object_dispose(value: *const c_void, flags: c_int);
}

door! {
    ($) dispatch_names;
    #[link(name = "System", kind = "dylib")]
    #[link(name = "CoreFoundation", kind = "framework")]
    else dispatch from crate::soft::foundation::entry;

    fn dispatch_data_create(
        bytes: *const c_void,
        length: usize,
        queue: Id,
        destructor: *const c_void
    ) -> Id;
    fn dispatch_data_get_size(data: Id) -> usize;
    fn dispatch_data_create_map(data: Id, start: *mut *const c_void, length: *mut usize) -> Id;
    fn dispatch_retain(object: Id);
    fn dispatch_release(object: Id);
    fn dispatch_queue_create(label: *const c_char, attribute: Id) -> Id;
    fn dispatch_get_global_queue(priority: isize, flags: usize) -> Id;
    fn dispatch_queue_get_label(queue: Id) -> *const c_char;
    fn dispatch_async(queue: Id, block: *const c_void);
    fn dispatch_async_f(queue: Id, argument: *mut c_void, function: Function);
    fn dispatch_sync(queue: Id, block: *const c_void);
    fn dispatch_sync_f(queue: Id, argument: *mut c_void, function: Function);
    fn dispatch_barrier_async(queue: Id, block: *const c_void);
    fn dispatch_barrier_async_f(queue: Id, argument: *mut c_void, function: Function);
    fn dispatch_barrier_sync(queue: Id, block: *const c_void);
    fn dispatch_barrier_sync_f(queue: Id, argument: *mut c_void, function: Function);
    fn dispatch_main() -> !;
    fn dispatch_time(when: u64, delta: i64) -> u64;
    fn dispatch_semaphore_create(count: isize) -> Id;
    fn dispatch_semaphore_wait(semaphore: Id, timeout: u64) -> isize;
    fn dispatch_semaphore_signal(semaphore: Id) -> isize;
    fn CFRetain(object: Id) -> Id;
    fn CFRelease(object: Id);
}

door! {
    ($) metal_names;
    #[link(name = "Metal", kind = "framework")]
    else metal from crate::soft::metal::entry;

    fn MTLCreateSystemDefaultDevice() -> Id;
    // Apple's other systems have it only in their newest versions.
    #[cfg(any(target_os = "macos", not(target_vendor = "apple")))]
    fn MTLCopyAllDevices() -> Id;
}

/// Functions for other programs alone: those that our own code does not call, MTLCompiler's, which are private on a Mac, those
/// that observe devices, and exceptions.
#[cfg(all(feature = "export", not(target_vendor = "apple")))]
pub(crate) mod clients {
    pub(crate) use crate::soft::foundation::entry_clients::*;
    pub(crate) use crate::soft::foundation::entry_context::*;
    pub(crate) use crate::soft::foundation::entry_foundation::*;
    pub(crate) use crate::soft::foundation::entry_source::*;
    pub(crate) use crate::soft::foundation::geometry::*;
    pub(crate) use crate::soft::metal::entry::{
        MTLCopyAllDevicesWithObserver, MTLRemoveDeviceObserver,
    };
    pub(crate) use crate::soft::metal::service::{
        MTLCodeGenServiceBuildRequest, MTLCodeGenServiceCreate, MTLCodeGenServiceDestroy,
    };
    pub(crate) use crate::soft::runtime::entry_clients::*;
    pub(crate) use crate::soft::runtime::exception::{throw, try_catch};
    pub(crate) use crate::soft::runtime::property::*;
    pub(crate) use crate::soft::runtime::trampoline::*;
}

/// Passes their names to a macro, but for those of exceptions.
#[cfg(all(feature = "export", not(target_vendor = "apple")))]
macro_rules! client_names {
    ($($macro:tt)+) => {
        $($macro)+ {
            MTLCodeGenServiceBuildRequest MTLCodeGenServiceCreate MTLCodeGenServiceDestroy
            MTLCopyAllDevicesWithObserver MTLRemoveDeviceObserver
            CGAffineTransformInvert CGPointApplyAffineTransform CGRectApplyAffineTransform
            CGRectContainsPoint CGRectInset CGRectIntersectsRect CGRectIsEmpty
            CGSizeApplyAffineTransform
            NSClassFromString NSFullUserName NSGetUncaughtExceptionHandler NSHomeDirectory NSLog
            NSProtocolFromString NSSelectorFromString NSSetUncaughtExceptionHandler
            NSStringFromClass NSStringFromProtocol NSStringFromSelector NSTemporaryDirectory NSUserName
            class_addProperty class_copyPropertyList class_getClassVariable class_getImageName
            class_getIvarLayout class_getProperty class_getWeakIvarLayout class_replaceProperty
            class_setIvarLayout class_setVersion class_setWeakIvarLayout
            dispatch_activate dispatch_after dispatch_after_f dispatch_apply dispatch_apply_f
            dispatch_assert_queue dispatch_assert_queue_not dispatch_async_and_wait
            dispatch_async_and_wait_f dispatch_barrier_async_and_wait dispatch_barrier_async_and_wait_f
            dispatch_data_apply dispatch_data_copy_region dispatch_data_create_concat
            dispatch_data_create_subrange
            dispatch_get_context dispatch_get_specific
            dispatch_group_async dispatch_group_async_f dispatch_group_create dispatch_group_enter
            dispatch_group_leave dispatch_group_notify dispatch_group_notify_f dispatch_group_wait
            dispatch_once dispatch_once_f dispatch_queue_attr_make_with_autorelease_frequency
            dispatch_queue_attr_make_with_qos_class
            dispatch_queue_create_with_target dispatch_queue_get_qos_class dispatch_queue_get_specific
            dispatch_queue_set_specific dispatch_resume dispatch_set_context
            dispatch_set_finalizer_f dispatch_set_qos_class_floor dispatch_set_target_queue dispatch_source_cancel
            dispatch_source_create dispatch_source_get_data dispatch_source_get_handle
            dispatch_source_get_mask dispatch_source_merge_data
            dispatch_source_set_cancel_handler dispatch_source_set_cancel_handler_f
            dispatch_source_set_event_handler dispatch_source_set_event_handler_f
            dispatch_source_set_timer dispatch_source_testcancel dispatch_suspend dispatch_walltime
            imp_getBlock imp_implementationWithBlock imp_removeBlock method_getDescription
            objc_opt_isKindOfClass objc_opt_respondsToSelector objc_opt_self
            objc_setUncaughtExceptionHandler
            property_copyAttributeList property_copyAttributeValue property_getAttributes
            property_getName protocol_addProperty protocol_copyPropertyList
            protocol_copyPropertyList2 protocol_getProperty pthread_main_np sel_isMapped sysctlbyname
        }
    };
}
#[cfg(all(feature = "export", not(target_vendor = "apple")))]
pub(crate) use client_names;

/// A reference to an IOSurface.
#[cfg(all(feature = "memory", target_vendor = "apple"))]
pub type IOSurfaceRef = *mut c_void;

// Memory that every unit of the chip can use, of the system whatever the feature `soft` says. Other systems have files for it,
// which `memory` opens itself.
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

/// The system's own objects, whichever Metal the door opens: surfaces and what they are made from are some.
#[cfg(all(feature = "memory", target_vendor = "apple"))]
pub(crate) mod core_foundation {
    use crate::abi::Id;
    use std::ffi::c_void;

    /// `kCFNumberSInt64Type`.
    pub(crate) const INT_64: isize = 4;

    #[link(name = "CoreFoundation", kind = "framework")]
    unsafe extern "C" {
        pub(crate) static kCFBooleanTrue: Id;
        pub(crate) static kCFBooleanFalse: Id;
        // Only their addresses are used.
        pub(crate) static kCFTypeDictionaryKeyCallBacks: [usize; 6];
        pub(crate) static kCFTypeDictionaryValueCallBacks: [usize; 5];
        pub(crate) fn CFNumberCreate(allocator: Id, kind: isize, value: *const c_void) -> Id;
        pub(crate) fn CFDictionaryCreate(
            allocator: Id,
            keys: *const Id,
            values: *const Id,
            count: isize,
            of_keys: *const [usize; 6],
            of_values: *const [usize; 5],
        ) -> Id;
        pub(crate) fn CFRetain(object: Id) -> Id;
        pub(crate) fn CFRelease(object: Id);
    }
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

native! {
    unsafe extern "C" {
        /// The class of a block that was not copied to the heap. Only its address is used.
        pub static _NSConcreteStackBlock: [*const c_void; 32];
    }

    /// Informs the runtime that the object that was just returned stays in its pool: a later
    /// [`objc_retainAutoreleasedReturnValue`] of the same object belongs to another message. Apple's runtime
    /// finds out by itself.
    #[inline(always)]
    pub(super) fn leave_in_pool(_object: Id) {}
}

embedded! {
    pub use crate::soft::runtime::entry::_NSConcreteStackBlock;
    pub(super) use crate::soft::runtime::entry::leave_in_pool;
}

unsafe extern "C" {
    /// The size of a page of memory, from every system's C library.
    pub safe fn getpagesize() -> std::ffi::c_int;
}
