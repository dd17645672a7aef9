//! The symbols that are strings: error domains, keys, names of counters, exceptions and notifications.
//!
//! A client reads them as pointers to `NSString`. They are filled when the program or library is loaded.

#![allow(non_upper_case_globals)] // C's names.

use crate::abi::Id;
use crate::msg;
use crate::objc::link;
use std::ffi::{CStr, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// Writes the symbols. The text is the name unless another one follows.
macro_rules! constants {
    ($($name:ident $(= $text:literal)?;)+) => {
        $(
            #[doc = concat!("`", stringify!($name), "` for other programs.")]
            #[unsafe(no_mangle)]
            static $name: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
        )+

        /// Every symbol and its text.
        fn fill() {
            $( set(&$name, constants!(@text $name $($text)?)); )+
        }
    };
    (@text $name:ident $text:literal) => { $text };
    (@text $name:ident) => {
        const {
            match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(text) => text,
                Err(_) => unreachable!(),
            }
        }
    };
}

constants! {
    NSLocalizedDescriptionKey = c"NSLocalizedDescription";
    NSLocalizedFailureReasonErrorKey = c"NSLocalizedFailureReason";
    NSUnderlyingErrorKey = c"NSUnderlyingError";
    NSCocoaErrorDomain;
    NSDebugDescriptionErrorKey = c"NSDebugDescription";
    NSFilePathErrorKey = c"NSFilePath";
    NSHelpAnchorErrorKey = c"NSHelpAnchor";
    NSLocalizedFailureErrorKey = c"NSLocalizedFailure";
    NSLocalizedRecoveryOptionsErrorKey = c"NSLocalizedRecoveryOptions";
    NSLocalizedRecoverySuggestionErrorKey = c"NSLocalizedRecoverySuggestion";
    NSMultipleUnderlyingErrorsKey;
    NSRecoveryAttempterErrorKey = c"NSRecoveryAttempter";
    NSStringEncodingErrorKey = c"NSStringEncoding";
    NSURLErrorKey = c"NSURL";
    NSMachErrorDomain;
    NSOSStatusErrorDomain;
    NSPOSIXErrorDomain;
    NSURLErrorDomain;
    NSGenericException;
    NSInternalInconsistencyException;
    NSInvalidArgumentException;
    NSMallocException;
    NSObjectInaccessibleException;
    NSObjectNotAvailableException;
    NSRangeException;
    NSUndefinedKeyException = c"NSUnknownKeyException";
    NSDefaultRunLoopMode = c"kCFRunLoopDefaultMode";
    NSRunLoopCommonModes = c"kCFRunLoopCommonModes";
    NSBundleDidLoadNotification;
    NSBundleResourceRequestLowDiskSpaceNotification;
    NSProcessInfoPowerStateDidChangeNotification;
    NSProcessInfoThermalStateDidChangeNotification;
    NSProcessInfoPerformanceProfileDidChangeNotification;
    NSDeviceCertificationiPhonePerformanceGaming;
    NSProcessPerformanceProfileDefault;
    NSProcessPerformanceProfileSustained;
    MTLBinaryArchiveDomain;
    MTLCaptureErrorDomain;
    MTLCommandBufferErrorDomain;
    MTLCommandBufferEncoderInfoErrorKey;
    MTLCounterErrorDomain;
    MTLDynamicLibraryDomain;
    MTLIOErrorDomain;
    MTLLibraryErrorDomain;
    MTLLogStateErrorDomain;
    MTL4CommandQueueErrorDomain;
    MTLTensorDomain;
    MTLDeviceRemovalRequestedNotification;
    MTLDeviceWasAddedNotification;
    MTLDeviceWasRemovedNotification;
    MTLCommonCounterClipperInvocations;
    MTLCommonCounterClipperPrimitivesOut;
    MTLCommonCounterComputeKernelInvocations;
    MTLCommonCounterFragmentCycles;
    MTLCommonCounterFragmentInvocations;
    MTLCommonCounterFragmentsPassed;
    MTLCommonCounterPostTessellationVertexCycles;
    MTLCommonCounterPostTessellationVertexInvocations;
    MTLCommonCounterRenderTargetWriteCycles;
    MTLCommonCounterTessellationCycles;
    MTLCommonCounterTessellationInputPatches;
    MTLCommonCounterTotalCycles;
    MTLCommonCounterVertexCycles;
    MTLCommonCounterVertexInvocations;
    MTLCommonCounterTimestamp = c"GPUTimestamp";
    MTLCommonCounterSetTimestamp = c"timestamp";
    MTLCommonCounterSetStageUtilization = c"stageutilization";
    MTLCommonCounterSetStatistic = c"statistic";
}

fn set(symbol: &AtomicPtr<c_void>, text: &CStr) {
    // SAFETY: `NSString` responds to this message; the object is retained for as long as the process lives.
    let string = unsafe {
        let class = link::objc_getClass(c"NSString".as_ptr()).as_id();
        link::objc_retain(msg!(class, [stringWithUTF8String: text.as_ptr()] -> Id))
    };
    symbol.store(string.as_ptr(), Release);
}

/// Called when the program or library is loaded.
extern "C" fn loaded() {
    // SAFETY: the pool is ended by the thread that began it.
    unsafe {
        let pool = link::objc_autoreleasePoolPush();
        fill();
        link::objc_autoreleasePoolPop(pool);
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static LOADED: extern "C" fn() = loaded;
