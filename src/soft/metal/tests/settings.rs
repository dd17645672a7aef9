//! Environment variables, each in a process of its own.

use super::*;
use crate::child::{is_child, run_child};

/// Runs a test of this module with variables set, in a process of its own: true in that process.
fn inside(test: &str, variables: &[(&str, &str)]) -> bool {
    inside_of(module_path!(), test, variables)
}

/// The same for a test of any module.
pub(super) fn inside_of(module: &str, test: &str, variables: &[(&str, &str)]) -> bool {
    if is_child() {
        return true;
    }
    let name = format!("{}::{test}", module.split_once("::").unwrap().1);
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

#[cfg(feature = "export")]
#[test]
fn the_observer_of_devices_is_owned_by_the_caller() {
    let mut observer = Id::NIL;
    let all = pool(|| {
        let handler = std::ptr::null();
        // SAFETY: the variable is one; the array is owned.
        unsafe {
            let entry = crate::soft::metal::entry::MTLCopyAllDevicesWithObserver;
            Own::new(entry(&raw mut observer, handler))
        }
    });
    // The pool has ended.
    let observer = Own::new(observer);
    assert_eq!(send!(*observer, "retainCount"; usize), 1);
    assert_eq!(send!(*all, "count"; usize), 1);
    // SAFETY: no observer is wanted.
    let all = unsafe {
        crate::soft::metal::entry::MTLCopyAllDevicesWithObserver(
            std::ptr::null_mut(),
            std::ptr::null(),
        )
    };
    assert_eq!(send!(*Own::new(all), "count"; usize), 1);
}

#[test]
fn there_is_one_device() {
    // SAFETY: it takes nothing; the array is owned.
    let all = Own::new(unsafe { crate::soft::metal::entry::MTLCopyAllDevices() });
    assert_eq!(send!(*all, "count"; usize), 1);
    assert_eq!(pool(|| send!(*all, "objectAtIndex:", 0 => usize; Id)), *device());
    let supports = |family: isize| send!(*device(), "supportsFamily:", family => isize; Bool).get();
    assert!(supports(1007) && supports(2002) && supports(3003) && supports(5001));
    assert!(!supports(1008) && !supports(2001) && supports(5002) && !supports(5003));
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

/// Counts up 100,000 numbers, which is enough work for machine code, and returns the device's name.
fn count_up_by_the_device() -> String {
    let (pipeline, buffer) = (pipeline(SAXPY, "count_up"), buffer(400_000));
    for round in 1..=3 {
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *buffer, 0, 0);
        launch(*encoder, 100_000, 64);
        end(*encoder);
        assert_eq!(finish(*commands), Ok(()));
        assert!(contents::<u32>(*buffer).iter().all(|counter| *counter == round));
    }
    pool(|| text(send!(*device(), "name"; Id)))
}

/// Without the variable the kernel has a listing of machine code; with it, none.
#[test]
fn machine_code_can_be_turned_off() {
    const NAME: &str = "machine_code_can_be_turned_off";
    let name = format!("{}::{NAME}", module_path!().split_once("::").unwrap().1);
    if is_child() {
        let name = count_up_by_the_device();
        let off = std::env::var("ARUMINIUM_SOFT_JIT").as_deref() == Ok("off");
        assert_eq!(name.contains("interpreted: ARUMINIUM_SOFT_JIT=off"), off, "{name}");
        return eprintln!("name: {name}");
    }
    for (jit, is_on) in [("on", true), ("off", false)] {
        let variables = [("ARUMINIUM_SOFT_JIT", jit), ("ARUMINIUM_SOFT_JIT_DUMP", "all")];
        let output = run_child(&name, &variables);
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        let possible = is_on && said.contains("native code");
        assert_eq!(said.contains("IR of "), possible, "{jit}: {said}");
    }
}

/// A process may forbid itself executable memory that was writable, with `PR_SET_MDWE`.
#[cfg(target_os = "linux")]
#[test]
fn a_system_without_executable_memory_interprets() {
    if !inside("a_system_without_executable_memory_interprets", &[("ARUMINIUM_SOFT_JIT", "always")])
    {
        return;
    }
    unsafe extern "C" {
        fn prctl(option: i32, ...) -> i32;
    }
    const PR_SET_MDWE: i32 = 65;
    // SAFETY: it only forbids this process what the numbers say. A kernel older than 6.3 does not know it.
    if unsafe { prctl(PR_SET_MDWE, 1usize, 0usize, 0usize, 0usize) } != 0 {
        return;
    }
    let name = count_up_by_the_device();
    assert!(name.contains("interpreted: no executable memory"), "{name}");
}

#[test]
fn the_watchdog_ends_an_endless_kernel() {
    if !inside("the_watchdog_ends_an_endless_kernel", &[("ARUMINIUM_SOFT_WATCHDOG_MS", "100")]) {
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

/// Two queues wait. The first waits for a value that never comes; the command buffer after it ends the other's wait.
#[test]
fn the_watchdog_ends_a_wait_that_cannot_succeed() {
    if !inside(
        "the_watchdog_ends_a_wait_that_cannot_succeed",
        &[("ARUMINIUM_SOFT_WATCHDOG_MS", "100")],
    ) {
        return;
    }
    let (never, later, begun) = (shared_event(), shared_event(), shared_event());
    send!(*never, "setLabel:", *string("never") => Id; ());
    let (first, second) = (queue(), queue());
    let (vain, waits) = (commands(*first), commands(*second));
    signal(*vain, *begun, 1);
    wait_for(*vain, *never, 3);
    commit(*vain);
    // The wait that began first is ended first.
    send!(*begun, "waitUntilSignaledValue:timeoutMS:", 1 => u64, 10_000 => u64; Bool);
    std::thread::sleep(std::time::Duration::from_millis(20));
    wait_for(*waits, *later, 1);
    commit(*waits);
    let later_work = commands(*first);
    signal(*later_work, *later, 1);
    commit(*later_work);
    for commands in [&vain, &later_work, &waits] {
        wait(**commands);
    }
    let error = outcome(*vain).unwrap_err();
    assert!(error.contains("event \"never\" to reach 3") && error.contains("watchdog"), "{error}");
    assert_eq!(pool(|| send!(send!(*vain, "error"; Id), "code"; isize)), 2, "timeout");
    assert_eq!((outcome(*later_work), outcome(*waits)), (Ok(()), Ok(())));
}

/// The watchdog frees the position of a command buffer that was enqueued and is not committed. The next
/// one fails, since it may depend on the missing one; those after it run.
#[test]
fn the_watchdog_frees_a_position_that_stays_reserved() {
    let test = "the_watchdog_frees_a_position_that_stays_reserved";
    if !inside(test, &[("ARUMINIUM_SOFT_WATCHDOG_MS", "100")]) {
        return;
    }
    let queue = queue();
    let all: Vec<_> = (0..5).map(|_| commands(*queue)).collect();
    let [first, missing, next, missing_too, last] = &all[..] else { unreachable!() };
    all.iter().for_each(|commands| send!(**commands, "enqueue"; ()));
    [first, next, last].iter().for_each(|commands| commit(***commands));
    [first, next, last].iter().for_each(|commands| wait(***commands));
    assert_eq!(outcome(**first), Ok(()));
    for commands in [next, last] {
        let error = outcome(**commands).unwrap_err();
        assert!(error.contains("enqueued earlier and not committed"), "{error}");
        assert_eq!(pool(|| send!(send!(**commands, "error"; Id), "code"; isize)), 2, "timeout");
    }
    for commands in [missing, missing_too] {
        let error = finish(**commands).unwrap_err();
        assert!(error.contains("released the position in the queue"), "{error}");
    }
    assert_eq!(finish(*commands(*queue)), Ok(()));
}

/// The watch over a reserved position ends when it is committed.
#[test]
fn a_reserved_position_that_is_committed_in_time_is_used() {
    let test = "a_reserved_position_that_is_committed_in_time_is_used";
    if !inside(test, &[("ARUMINIUM_SOFT_WATCHDOG_MS", "1000")]) {
        return;
    }
    let queue = queue();
    let (first, second) = (commands(*queue), commands(*queue));
    send!(*first, "enqueue"; ());
    commit(*second);
    std::thread::sleep(std::time::Duration::from_millis(300));
    commit(*first);
    wait(*second);
    assert_eq!((outcome(*first), outcome(*second)), (Ok(()), Ok(())));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!((outcome(*first), outcome(*second)), (Ok(()), Ok(())));
}

/// Several times the watchdog's time, with some activity now and then.
#[test]
fn a_wait_lasts_as_long_as_other_work_does() {
    let test = "a_wait_lasts_as_long_as_other_work_does";
    if !inside(test, &[("ARUMINIUM_SOFT_WATCHDOG_MS", "1000")]) {
        return;
    }
    let (event, waiting, working) = (shared_event(), queue(), queue());
    // Before the wait: to compile it may take long on a slow machine.
    let pipeline = pipeline(SAXPY, "nothing");
    let waits = commands(*waiting);
    wait_for(*waits, *event, 1);
    commit(*waits);
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_millis(2500) {
        let commands = commands(*working);
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        launch(*encoder, 1, 1);
        end(*encoder);
        assert_eq!(finish(*commands), Ok(()));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    send!(*event, "setSignaledValue:", 1 => u64; ());
    wait(*waits);
    assert_eq!(outcome(*waits), Ok(()));
}

/// Messages that are refused with checks on are ignored, and the others are executed.
#[test]
fn checks_can_be_off() {
    if !inside("checks_can_be_off", &[("ARUMINIUM_SOFT_CHECKS", "off")]) {
        return;
    }
    let (count_up, saxpy) = (pipeline(SAXPY, "count_up"), pipeline(SAXPY, "saxpy"));
    let counters = buffer(400);
    let run = |record: &dyn Fn(Id)| {
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        record(*encoder);
        end(*encoder);
        (finish(*commands), commands)
    };
    let (result, _) = run(&|encoder| {
        launch(encoder, 1, 1);
        bind(encoder, *count_up);
        bind_buffer(encoder, *counters, 0, 0);
        bind_buffer(encoder, *counters, 401, 0);
        bind_buffer(encoder, *counters, 0, 31);
        bind(encoder, Id::NIL);
        launch(encoder, 100, 1025);
        launch(encoder, 100, 64);
    });
    assert_eq!(result, Ok(()));
    assert_eq!(contents::<u32>(*counters), [1; 100]);

    // A missing buffer has no bytes: a kernel that accesses it has a fault.
    let (result, commands) = run(&|encoder| {
        bind(encoder, *saxpy);
        bind_buffer(encoder, *counters, 0, 0);
        bind_buffer(encoder, *counters, 0, 1);
        launch(encoder, 1, 1);
    });
    let error = result.unwrap_err();
    assert!(
        error.contains("saxpy") && error.contains("'a'") && error.contains("0 bytes"),
        "{error}"
    );
    assert_eq!(pool(|| send!(send!(*commands, "error"; Id), "code"; isize)), 3, "page fault");

    // Memory that was released too early exists as long as it is needed.
    let queue = queue();
    let selector = "commandBufferWithUnretainedReferences";
    let commands = pool(|| Own::retain(send!(*queue, selector; Id)));
    let (scratch, copy) = (buffer_of(&[7u8; 16]), buffer(16));
    let blit = blit(*commands);
    for length in [17usize, 16] {
        send!(
            *blit, "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:",
            *scratch => Id, 0 => usize, *copy => Id, 0 => usize, length => usize; ()
        );
    }
    end(*blit);
    drop(scratch);
    assert_eq!(finish(*commands), Ok(()));
    assert_eq!(contents::<u8>(*copy), [7; 16]);

    // The protocol of command buffers is checked all the same.
    commit(*commands);
    assert!(outcome(*commands).unwrap_err().contains("committed already"));
}

/// Without checks a missing texture has no pixels, and one of another kind is read as it is. What its usage excludes is not
/// written, because the CPU may read its memory meanwhile.
#[test]
fn without_checks_textures_are_used_as_they_are() {
    if !inside("without_checks_textures_are_used_as_they_are", &[("ARUMINIUM_SOFT_CHECKS", "off")])
    {
        return;
    }
    let source = "
        #include <metal_stdlib>
        using namespace metal;
        kernel void f(texture2d<float> none, texture3d<uint, access::read_write> other, sampler s,
                      device float *out) {
            out[0] = none.read(uint2(0)).w + none.sample(s, float2(0.5f)).w + none.get_width();
            out[1] = as_type<float>(other.read(uint3(1, 0, 0)).x);
            other.write(uint4(0), uint3(1, 0, 1));
            other.write(uint4(0), uint3(0));
        }";
    for usage in [1usize, 3] {
        without_checks_a_kernel_uses_a_texture(source, usage);
    }
}

fn without_checks_a_kernel_uses_a_texture(source: &str, usage: usize) {
    let texture = pool(|| {
        let wanted = send!(
            class("MTLTextureDescriptor"),
            "texture2DDescriptorWithPixelFormat:width:height:mipmapped:", 55usize => usize,
            2usize => usize, 2usize => usize, Bool::new(false) => Bool; Id
        );
        send!(wanted, "setUsage:", usage => usize; ());
        Own::new(send!(*device(), "newTextureWithDescriptor:", wanted => Id; Id))
    });
    let region = MTLRegion { origin: MTLOrigin::default(), size: (2, 2, 1).into() };
    let mut pixels = [1.0f32, 2.0, 3.0, 4.0];
    send!(
        *texture, "replaceRegion:mipmapLevel:withBytes:bytesPerRow:", region => MTLRegion,
        0usize => usize, pixels.as_ptr().cast() => *const c_void, 8usize => usize; ()
    );
    let (pipeline, out) = (pipeline(source, "f"), buffer(8));
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *out, 0, 0);
    send!(*encoder, "setTexture:atIndex:", *texture => Id, 1usize => usize; ());
    launch(*encoder, 1, 1);
    end(*encoder);
    assert_eq!(finish(*commands), Ok(()));
    assert_eq!(contents::<f32>(*out), if usage == 3 { [0.0, 2.0] } else { [0.0; 2] });
    send!(
        *texture, "getBytes:bytesPerRow:fromRegion:mipmapLevel:",
        pixels.as_mut_ptr().cast() => *mut c_void, 8usize => usize, region => MTLRegion,
        0usize => usize; ()
    );
    assert_eq!(pixels, [if usage == 3 { 0.0 } else { 1.0 }, 2.0, 3.0, 4.0]);
}
