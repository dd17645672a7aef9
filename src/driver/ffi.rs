//! The raw layer under the names that the 0.2 releases gave it, for programs written for them.
//!
//! New programs declare methods with [`metal_class!`](crate::metal_class) or send messages with
//! [`msg!`](crate::msg), which select the sender that a type needs and manage ownership.
//!
//! ```
//! use aruminium::{Gpu, ffi::*};
//! let gpu = Gpu::open()?;
//! let raw: ObjcId = gpu.as_raw();
//! assert!(!raw.is_null());
//! // SAFETY: a device responds to these messages with these types.
//! unsafe {
//!     assert_eq!(nsstring_to_rust(msg0(raw, SEL_name())), Some(gpu.name()));
//!     assert!(msg0_mtlsize(raw, SEL_maxThreadsPerThreadgroup()).width >= 32);
//!     release(retain(raw));
//! }
//! # Ok::<(), aruminium::GpuError>(())
//! ```

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)] // The names are those of 0.2.

use super::foundation::NSError;
use crate::abi::{Class, Imp};
use crate::objc::{ObjcClass as _, Object, link, string};
use std::ffi::{c_char, c_void};

pub use crate::abi::{Id as ObjcId, Sel as ObjcSel};
pub use crate::abi::{MTLOrigin, MTLRegion, MTLSize};
#[cfg(any(target_os = "macos", not(target_vendor = "apple")))]
pub use crate::objc::link::MTLCopyAllDevices;
pub use crate::objc::link::{
    MTLCreateSystemDefaultDevice, objc_autoreleasePoolPop, objc_autoreleasePoolPush, objc_msgSend,
    objc_release, objc_retain, objc_retainAutoreleasedReturnValue, sel_registerName,
};

/// A class. It is an object, too: programs cast it with `as ObjcId` and send it messages.
pub type ObjcClass = ObjcId;

/// The class with a name; nil if there is none.
///
/// # Safety
///
/// The name is a C string.
pub unsafe fn objc_getClass(name: *const c_char) -> ObjcClass {
    // SAFETY: by the caller's contract.
    unsafe { link::objc_getClass(name).as_id() }
}

/// The class of an object; nil for nil.
///
/// # Safety
///
/// The object is nil or alive.
pub unsafe fn object_getClass(object: ObjcId) -> ObjcClass {
    // SAFETY: by the caller's contract.
    unsafe { link::object_getClass(object).as_id() }
}

/// The implementation of a class's method.
///
/// # Safety
///
/// The class is nil or a class.
pub unsafe fn class_getMethodImplementation(class: ObjcClass, selector: ObjcSel) -> Option<Imp> {
    // SAFETY: by the caller's contract.
    unsafe { link::class_getMethodImplementation(Class::from_ptr(class.as_ptr()), selector) }
}

/// An unsigned number as wide as a pointer.
pub type NSUInteger = usize;

/// Constants of Metal's headers.
macro_rules! constants {
    ($($name:ident = $value:literal;)+) => {$(
        #[doc = concat!("Metal's `", stringify!($name), "`.")]
        pub const $name: NSUInteger = $value;
    )+};
}

constants! {
    MTLResourceStorageModeShared = 0;
    MTLResourceStorageModeManaged = 0x10;
    MTLResourceStorageModePrivate = 0x20;
    MTLPixelFormatRGBA8Unorm = 70;
    MTLPixelFormatBGRA8Unorm = 80;
    MTLPixelFormatR32Float = 55;
    MTLPixelFormatRGBA32Float = 125;
}

/// A function for each selector.
macro_rules! selectors {
    ($($name:ident = [$($selector:tt)+];)+) => {$(
        #[doc = concat!("The selector `", $crate::__selector_text!([$($selector)+]), "`.")]
        #[inline(always)]
        pub fn $name() -> ObjcSel {
            $crate::selector!($($selector)+)
        }
    )+};
}

selectors! {
    SEL_commandBuffer = [commandBuffer];
    SEL_commandBufferWithUnretainedReferences = [commandBufferWithUnretainedReferences];
    SEL_computeCommandEncoder = [computeCommandEncoder];
    SEL_blitCommandEncoder = [blitCommandEncoder];
    SEL_setComputePipelineState = [setComputePipelineState:];
    SEL_setBuffer_offset_atIndex = [setBuffer:offset:atIndex:];
    SEL_setBytes_length_atIndex = [setBytes:length:atIndex:];
    SEL_dispatchThreads = [dispatchThreads:threadsPerThreadgroup:];
    SEL_dispatchThreadgroups = [dispatchThreadgroups:threadsPerThreadgroup:];
    SEL_endEncoding = [endEncoding];
    SEL_copyFromBuffer = [copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:];
    SEL_commit = [commit];
    SEL_waitUntilCompleted = [waitUntilCompleted];
    SEL_status = [status];
    SEL_error = [error];
    SEL_GPUStartTime = [GPUStartTime];
    SEL_GPUEndTime = [GPUEndTime];
    SEL_contents = [contents];
    SEL_name = [name];
    SEL_newCommandQueue = [newCommandQueue];
    SEL_newBufferWithLength_options = [newBufferWithLength:options:];
    SEL_newBufferWithBytes_length_options = [newBufferWithBytes:length:options:];
    SEL_newBufferWithBytesNoCopy_length_options_deallocator =
        [newBufferWithBytesNoCopy:length:options:deallocator:];
    SEL_newLibraryWithSource_options_error = [newLibraryWithSource:options:error:];
    SEL_newComputePipelineStateWithFunction_error = [newComputePipelineStateWithFunction:error:];
    SEL_newTextureWithDescriptor = [newTextureWithDescriptor:];
    SEL_newFence = [newFence];
    SEL_newEvent = [newEvent];
    SEL_newSharedEvent = [newSharedEvent];
    SEL_newFunctionWithName = [newFunctionWithName:];
    SEL_functionNames = [functionNames];
    SEL_hasUnifiedMemory = [hasUnifiedMemory];
    SEL_maxBufferLength = [maxBufferLength];
    SEL_maxThreadsPerThreadgroup = [maxThreadsPerThreadgroup];
    SEL_recommendedMaxWorkingSetSize = [recommendedMaxWorkingSetSize];
    SEL_maxTotalThreadsPerThreadgroup = [maxTotalThreadsPerThreadgroup];
    SEL_threadExecutionWidth = [threadExecutionWidth];
    SEL_staticThreadgroupMemoryLength = [staticThreadgroupMemoryLength];
    SEL_width = [width];
    SEL_height = [height];
    SEL_depth = [depth];
    SEL_pixelFormat = [pixelFormat];
    SEL_replaceRegion = [replaceRegion:mipmapLevel:withBytes:bytesPerRow:];
    SEL_getBytes = [getBytes:bytesPerRow:fromRegion:mipmapLevel:];
    SEL_signaledValue = [signaledValue];
    SEL_count = [count];
    SEL_objectAtIndex = [objectAtIndex:];
    SEL_localizedDescription = [localizedDescription];
    SEL_UTF8String = [UTF8String];
}

/// A sender for each shape of a message.
macro_rules! senders {
    ($($name:ident $(<$($generic:ident),+>)? ($($argument:ident: $ty:ty),*) -> $result:ty;)+) => {$(
        /// Sends a message of this shape.
        ///
        /// # Safety
        ///
        /// The receiver is nil or alive, and responds to the selector with these types.
        #[inline(always)]
        pub unsafe fn $name $(<$($generic),+>)? (
            target: ObjcId,
            selector: ObjcSel,
            $($argument: $ty),*
        ) -> $result {
            let send = crate::objc::variant::messenger::<$result>();
            // SAFETY: by the caller's contract.
            unsafe {
                let send = std::mem::transmute::<
                    Imp,
                    unsafe extern "C" fn(ObjcId, ObjcSel $(, $ty)*) -> $result,
                >(send);
                send(target, selector $(, $argument)*)
            }
        }
    )+};
}

senders! {
    msg0() -> ObjcId;
    msg0_void() -> ();
    msg0_bool() -> bool;
    msg0_usize() -> NSUInteger;
    msg0_u64() -> u64;
    msg0_ptr() -> *mut c_void;
    msg0_mtlsize() -> MTLSize;
    msg1<A>(a: A) -> ObjcId;
    msg2<A, B>(a: A, b: B) -> ObjcId;
    msg3<A, B, C>(a: A, b: B, c: C) -> ObjcId;
    msg4<A, B, C, D>(a: A, b: B, c: C, d: D) -> ObjcId;
    msg1_void(a: ObjcId) -> ();
    msg3_void(a: ObjcId, b: NSUInteger, c: NSUInteger) -> ();
    msg_bytes_void(bytes: *const c_void, length: NSUInteger, index: NSUInteger) -> ();
    msg_dispatch_void(grid: MTLSize, group: MTLSize) -> ();
}

/// [`msg0`], and retains the autoreleased result.
///
/// # Safety
///
/// As for [`msg0`].
#[inline(always)]
pub unsafe fn msg0_retained(target: ObjcId, selector: ObjcSel) -> ObjcId {
    // SAFETY: by the caller's contract.
    unsafe { objc_retainAutoreleasedReturnValue(msg0(target, selector)) }
}

/// Retains an object; nil stays nil.
///
/// # Safety
///
/// It is nil or alive.
#[inline(always)]
pub unsafe fn retain(object: ObjcId) -> ObjcId {
    // SAFETY: by the caller's contract. The runtime ignores nil.
    unsafe { objc_retain(object) }
}

/// Releases an object.
///
/// # Safety
///
/// It is nil, or the caller owns one count of it.
#[inline(always)]
pub unsafe fn release(object: ObjcId) {
    // SAFETY: by the caller's contract. The runtime ignores nil.
    unsafe { objc_release(object) }
}

pub use self::{release as release_nonnull, retain as retain_nonnull};

/// The text of an `NSString`; `None` for nil.
///
/// # Safety
///
/// It is nil or an `NSString` that is alive.
pub unsafe fn nsstring_to_rust(text: ObjcId) -> Option<String> {
    // SAFETY: by the caller's contract.
    (!text.is_nil()).then(|| unsafe { string::read(text) })
}

/// An `NSString` with a text; the caller owns it.
pub fn nsstring(text: &str) -> ObjcId {
    string::new(text).into_raw()
}

/// The description of an `NSError`; `None` for nil.
///
/// # Safety
///
/// It is nil or an `NSError` that is alive.
pub unsafe fn nserror_string(error: ObjcId) -> Option<String> {
    // SAFETY: by the caller's contract, and the wrapper is dropped before the error can be.
    (!error.is_nil())
        .then(|| unsafe { NSError::from_object(Object::borrowed(error)) }.description())
}
