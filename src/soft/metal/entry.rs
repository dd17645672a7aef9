//! Metal's C functions.

use super::compiler;
use super::device::{self, Device};
use super::foundation::{AFTER_FORK, List, Retained, Strong, is_forked};
use crate::abi::Id;
use crate::soft::stream::settings;
use std::sync::Once;

/// The device, owned by the caller; nil when it is hidden, and in a forked process.
///
/// # Safety
///
/// None: it is always safe to call.
pub unsafe extern "C" fn MTLCreateSystemDefaultDevice() -> Id {
    device_if_usable().map_or(Id::NIL, |device| device.into_retained().into_owned())
}

/// The device, unless the environment hides it, or it cannot work because this process was forked.
fn device_if_usable() -> Option<Strong<Device>> {
    static REPORT: Once = Once::new();
    if is_forked() {
        REPORT.call_once(|| eprintln!("aruminium: no Metal device: {AFTER_FORK}"));
        return None;
    }
    (!settings::device_is_hidden() && compiler::has_device()).then(device::shared)
}

/// All devices in an array that the caller owns.
///
/// # Safety
///
/// None: it is always safe to call.
pub unsafe extern "C" fn MTLCopyAllDevices() -> Id {
    let devices: Option<Retained> = device_if_usable().map(Strong::into_retained);
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
