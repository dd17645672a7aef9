//! Metal's C functions.

use super::device;
use super::foundation::{List, Retained, Strong};
use super::settings;
use crate::abi::Id;

/// The device, owned by the caller; nil when it is hidden.
///
/// # Safety
///
/// There is nothing to keep to.
pub unsafe extern "C" fn MTLCreateSystemDefaultDevice() -> Id {
    match settings::device_is_hidden() {
        true => Id::NIL,
        false => device::shared().into_retained().into_owned(),
    }
}

/// All devices in an array that the caller owns.
///
/// # Safety
///
/// There is nothing to keep to.
pub unsafe extern "C" fn MTLCopyAllDevices() -> Id {
    let device = (!settings::device_is_hidden()).then(device::shared);
    let devices: Option<Retained> = device.map(Strong::into_retained);
    List::object(devices).into_retained().into_owned()
}
