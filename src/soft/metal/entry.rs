//! Metal's C functions.

use super::compiler;
use super::device;
use super::foundation::{AFTER_FORK, List, is_forked};
use crate::abi::Id;
use crate::soft::stream::settings;
use std::sync::Once;

/// The device that the settings choose, owned by the caller; nil when it is hidden, and in a forked process.
///
/// # Safety
///
/// None: it is always safe to call.
pub unsafe extern "C" fn MTLCreateSystemDefaultDevice() -> Id {
    let chosen = has_devices().then(compiler::chosen).flatten();
    chosen.map_or(Id::NIL, |chosen| device::of(chosen).into_retained().into_owned())
}

/// Whether there are devices: the environment may hide them, and they cannot work if this process was forked.
fn has_devices() -> bool {
    static REPORT: Once = Once::new();
    if is_forked() {
        REPORT.call_once(|| eprintln!("aruminium: no Metal device: {AFTER_FORK}"));
        return false;
    }
    !settings::device_is_hidden()
}

/// All devices in an array that the caller owns.
///
/// # Safety
///
/// None: it is always safe to call.
pub unsafe extern "C" fn MTLCopyAllDevices() -> Id {
    let all = has_devices().then(compiler::all).unwrap_or_default();
    let devices = all.into_iter().map(|processor| device::of(processor).into_retained());
    List::object(devices).into_retained().into_owned()
}

/// The same, and at the first address an object that stands for the observation of changes, which the caller owns too: Apple
/// declares the variable `__strong`. There are no changes, so that the block is never called.
///
/// # Safety
///
/// `observer` is null or the address of a variable that holds no reference.
#[cfg(feature = "export")]
pub(crate) unsafe extern "C" fn MTLCopyAllDevicesWithObserver(
    observer: *mut Id,
    _handler: *const std::ffi::c_void,
) -> Id {
    if !observer.is_null() {
        // SAFETY: it is the address of a variable, which owns the object from now on.
        unsafe { *observer = List::object([]).into_retained().into_owned() };
    }
    // SAFETY: it is always safe to call.
    unsafe { MTLCopyAllDevices() }
}

/// Ends the observation of changes.
///
/// # Safety
///
/// None: it is always safe to call.
#[cfg(feature = "export")]
pub(crate) unsafe extern "C" fn MTLRemoveDeviceObserver(_observer: Id) {}
