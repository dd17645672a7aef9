//! NSProcessInfo: what a program asks about itself and the system when it starts.

use super::{List, NSObject, Pairs, Text};
use crate::abi::{Class, Encode};
use crate::soft::runtime::declare::{soft_class, values};
use crate::soft::runtime::object::Strong;
use crate::soft::system;
use std::env;
use std::sync::OnceLock;
use std::thread::available_parallelism;

/// The process.
pub(crate) struct ProcessInfo;

/// `NSOperatingSystemVersion`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: isize,
    minor: isize,
    patch: isize,
}

// SAFETY: a struct of three integers, as the encoding says.
unsafe impl Encode for Version {
    const ENCODING: &'static str = "{?=qqq}";
}

values!(Version);

/// The version of macOS whose Metal this is: programs look for the oldest that has what they need.
const SYSTEM: Version = Version { major: 26, minor: 0, patch: 0 };

soft_class! {
    /// The process.
    pub(super) class NSProcessInfo(ProcessInfo): NSObject, lacks super::absent::PROCESS_INFO;
    class [processInfo] = |_: Class| {
        static PROCESS: OnceLock<Strong<ProcessInfo>> = OnceLock::new();
        PROCESS.get_or_init(|| Strong::new(ProcessInfo)).clone()
    };
    [operatingSystemVersion] = |_: &ProcessInfo| SYSTEM;
    [operatingSystemVersionString] =
        |_: &ProcessInfo| Text::object(format!("Version {}.{}", SYSTEM.major, SYSTEM.minor));
    [isOperatingSystemAtLeastVersion:] = |_: &ProcessInfo, version: Version| SYSTEM >= version;
    [processIdentifier] = |_: &ProcessInfo| std::process::id() as i32;
    [hostName] = |_: &ProcessInfo| Text::object(system::host_name());
    [userName] = |_: &ProcessInfo| Text::object(env::var("USER").unwrap_or_default());
    [fullUserName] = |_: &ProcessInfo| Text::object(env::var("USER").unwrap_or_default());
    [globallyUniqueString] = |_: &ProcessInfo| Text::object(system::unique());
    [processName] = |_: &ProcessInfo| {
        let program = env::current_exe().unwrap_or_default();
        Text::object(program.file_name().unwrap_or_default().to_string_lossy())
    };
    [arguments] = |_: &ProcessInfo| {
        List::object(env::args_os().map(|text| Text::object(text.to_string_lossy()).into_retained()))
    };
    [environment] = |_: &ProcessInfo| Pairs::object(env::vars_os().map(|(name, value)| {
        let text = |text: std::ffi::OsString| Text::object(text.to_string_lossy()).into_retained();
        (text(name), text(value))
    }));
    [processorCount] = |_: &ProcessInfo| available_parallelism().map_or(1, usize::from);
    [activeProcessorCount] = |_: &ProcessInfo| available_parallelism().map_or(1, usize::from);
    [physicalMemory] = |_: &ProcessInfo| system::memory().unwrap_or(0) as u64;
    [systemUptime] = |_: &ProcessInfo| system::boot_seconds();
    [thermalState] = |_: &ProcessInfo| 0isize;
    [isLowPowerModeEnabled] = |_: &ProcessInfo| false;
    [isMacCatalystApp] = |_: &ProcessInfo| false;
    [isiOSAppOnMac] = |_: &ProcessInfo| false;
    [isDeviceCertifiedFor:] = |_: &ProcessInfo, _: isize| false;
    [hasPerformanceProfile:] = |_: &ProcessInfo, _: isize| false;
}
