//! The machine that the numbers are of.

use aruminium::{Gpu, GpuError};
use std::env::consts::{ARCH, OS};
use std::{fs, process::Command, thread};

/// Processor, cores, system and device, in a line.
pub(crate) fn description() -> Result<String, GpuError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let plural = if cores == 1 { "" } else { "s" };
    let processor = processor().unwrap_or_else(|| "an unnamed processor".to_owned());
    Ok(format!("{processor}, {cores} core{plural}, {ARCH} {OS}; {}", Gpu::open()?.name()))
}

/// The processor's name, from where the system has it.
fn processor() -> Option<String> {
    let name = if cfg!(target_vendor = "apple") {
        let sysctl =
            Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
        String::from_utf8(sysctl.stdout).ok()?
    } else {
        let text = fs::read_to_string("/proc/cpuinfo").ok()?;
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(':')?.1.to_owned()
    };
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
