//! Environment variables, each in a process of its own.

use super::*;
use crate::child::{is_child, run_child};

/// Runs `test` with variables set, in a process of its own: true in that process.
fn inside(test: &str, variables: &[(&str, &str)]) -> bool {
    if is_child() {
        return true;
    }
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let output = run_child(&name, variables);
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

#[test]
fn the_device_can_be_hidden() {
    if !inside("the_device_can_be_hidden", &[("ARUMINIUM_SOFT_DEVICE", "none")]) {
        return;
    }
    // SAFETY: they take nothing; the array is owned.
    unsafe {
        assert!(crate::soft::metal::entry::MTLCreateSystemDefaultDevice().is_nil());
        let all = Own::new(crate::soft::metal::entry::MTLCopyAllDevices());
        assert_eq!(send!(*all, "count"; usize), 0);
    }
}

#[test]
fn there_is_one_device() {
    // SAFETY: it takes nothing; the array is owned.
    let all = Own::new(unsafe { crate::soft::metal::entry::MTLCopyAllDevices() });
    assert_eq!(send!(*all, "count"; usize), 1);
    assert_eq!(pool(|| send!(*all, "objectAtIndex:", 0 => usize; Id)), *device());
    let supports = |family: isize| send!(*device(), "supportsFamily:", family => isize; Bool).get();
    assert!(supports(1007) && supports(3003) && supports(5001));
    assert!(!supports(1008) && !supports(2002) && !supports(5002));
    let size = send!(*device(), "recommendedMaxWorkingSetSize"; u64);
    assert!(size > 1 << 26 && size as usize > send!(*device(), "maxBufferLength"; usize));
}

#[test]
fn workers_are_counted_in_the_name() {
    if !inside("workers_are_counted_in_the_name", &[("ARUMINIUM_SOFT_WORKERS", "3")]) {
        return;
    }
    let name = pool(|| text(send!(*device(), "name"; Id)));
    assert!(name.starts_with("soft Metal (3 workers, "), "{name}");
    let (pipeline, buffer) = (pipeline(SAXPY, "count_up"), buffer(400_000));
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *buffer, 0, 0);
    launch(*encoder, 100_000, 64);
    end(*encoder);
    assert_eq!(finish(*commands), Ok(()));
    assert!(contents::<u32>(*buffer).iter().all(|counter| *counter == 1));
}

#[test]
fn a_kernel_that_never_ends_is_ended() {
    if !inside("a_kernel_that_never_ends_is_ended", &[("ARUMINIUM_SOFT_WATCHDOG_MS", "100")]) {
        return;
    }
    let (pipeline, flag, queue) = (pipeline(SAXPY, "forever"), buffer(4), queue());
    let commands = commands(*queue);
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *flag, 0, 0);
    launch(*encoder, 1, 1);
    end(*encoder);
    let error = finish(*commands).unwrap_err();
    assert!(error.contains("'forever'") && error.contains("watchdog"), "{error}");
    assert_eq!(pool(|| send!(send!(*commands, "error"; Id), "code"; isize)), 2, "timeout");
    let next = super::commands(*queue);
    assert_eq!(finish(*next), Ok(()));
}
