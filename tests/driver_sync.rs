//! Fences, events, shared events and barriers: with them work runs in order, and without them it does not.

#![allow(clippy::undocumented_unsafe_blocks)] // Kernels stay in their buffers, which outlive the waits.

mod gpu;

use aruminium::{
    BarrierScope, Buffer, Commands, DispatchType, EventObject, Gpu, Pipeline, Queue,
    ResourceOptions,
};
use gpu::Rig;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(2);

/// A step by 1 and then by 2 results in another number than the reverse order.
const STEPS: &str = "
    kernel void step(device uint *x, constant uint &by, uint i [[thread_position_in_grid]]) { x[i] = x[i] * 2 + by; }
";

/// Two queues, a kernel, and a buffer that both use without Metal's own tracking.
struct Two {
    rig: Rig,
    other: Queue,
    step: Pipeline,
    buffer: Buffer,
}

const COUNT: usize = 256;

impl Two {
    fn new() -> Self {
        let rig = Rig::new();
        let other = rig.gpu.new_command_queue().unwrap();
        let step = rig.kernel(STEPS);
        let options = ResourceOptions::STORAGE_SHARED | ResourceOptions::HAZARD_UNTRACKED;
        let buffer = rig.gpu.buffer_with_options(COUNT * 4, options).unwrap();
        Self { rig, other, step, buffer }
    }

    /// One step, in an encoder of its own.
    fn encode(&self, commands: &Commands, by: u32) {
        let encoder = commands.encoder().unwrap();
        encoder.bind(&self.step);
        encoder.bind_buffer(&self.buffer, 0, 0);
        encoder.push(&by.to_ne_bytes(), 1);
        encoder.launch((COUNT, 1, 1), (64, 1, 1));
        encoder.finish();
    }

    fn result(&self) -> u32 {
        self.buffer.read_as(|x: &[u32]| {
            assert!(x.iter().all(|&y| y == x[0]));
            x[0]
        })
    }
}

/// The first queue waits at a gate, steps by 1 and signals; the second steps by 2, and optionally waits for the signal
/// first.
fn across_queues(event: &impl EventObject, waits: bool) -> u32 {
    let two = Two::new();
    let gate = two.rig.gpu.shared_event().unwrap();
    let (first, second) = (two.rig.queue.commands().unwrap(), two.other.commands().unwrap());
    first.wait_for(&gate, 1);
    two.encode(&first, 1);
    first.signal(event, 1);
    if waits {
        second.wait_for(event, 1);
    }
    two.encode(&second, 2);
    first.submit();
    second.submit();
    if !waits {
        // The second one does not wait: it completes while the first one waits at the gate.
        second.finish().unwrap();
        assert!(first.status() < Commands::STATUS_COMPLETED);
    }
    gate.set_signaled_value(1);
    first.finish().unwrap();
    second.finish().unwrap();
    two.result()
}

/// If queues that wait kept threads busy, none would be left for the one that they wait for.
#[test]
fn queues_that_wait_hold_no_thread() {
    let gpu = Gpu::open().unwrap();
    let event = gpu.shared_event().unwrap();
    let submit = |record: &dyn Fn(&Commands)| {
        let commands = gpu.new_command_queue().unwrap().commands().unwrap();
        record(&commands);
        commands.submit();
        commands
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let waiting: Vec<_> =
        (0..4 * threads + 8).map(|_| submit(&|commands| commands.wait_for(&event, 1))).collect();
    submit(&|commands| commands.signal(&event, 1)).finish().unwrap();
    waiting.iter().for_each(|commands| commands.finish().unwrap());
}

const IN_ORDER: u32 = 2 + 2;
const OUT_OF_ORDER: u32 = 2 * 2 + 1;

#[test]
fn an_event_orders_two_queues() {
    let gpu = Gpu::open().unwrap();
    assert_eq!(across_queues(&gpu.event().unwrap(), true), IN_ORDER);
    assert_eq!(across_queues(&gpu.event().unwrap(), false), OUT_OF_ORDER);
}

#[test]
fn a_shared_event_orders_two_queues_too() {
    let gpu = Gpu::open().unwrap();
    assert_eq!(across_queues(&gpu.shared_event().unwrap(), true), IN_ORDER);
    assert_eq!(across_queues(&gpu.shared_event().unwrap(), false), OUT_OF_ORDER);
}

#[test]
fn an_event_is_reached_by_larger_values() {
    let two = Two::new();
    let event = two.rig.gpu.event().unwrap();
    let (first, second) = (two.rig.queue.commands().unwrap(), two.other.commands().unwrap());
    first.signal(&event, 7);
    second.wait_for(&event, 5);
    two.encode(&second, 1);
    second.submit();
    first.submit();
    second.finish().unwrap();
    assert_eq!(two.result(), 1);
}

#[test]
fn a_queue_runs_in_order_by_itself() {
    let two = Two::new();
    let all: Vec<Commands> = [1, 2, 3].map(|_| two.rig.queue.commands().unwrap()).into();
    for (by, commands) in (1..).zip(&all) {
        two.encode(commands, by);
        commands.submit();
    }
    all.iter().for_each(|commands| commands.finish().unwrap());
    assert_eq!(two.result(), ((2) + 2) * 2 + 3);
}

/// The second one is committed while the first one runs for a while, and has to wait for its end.
#[test]
fn a_command_buffer_runs_alone_in_its_queue() {
    let rig = Rig::new();
    let kernel = rig.kernel(
        "kernel void turn(device uint *x, constant uint &n) { \
         for (uint k = 0; k < n; k++) { x[0] = x[0] * 1664525u + 1013904223u; } }",
    );
    let turned = |n: u32, x: u32| {
        (0..n).fold(x, |x, _| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
    };
    let buffer = rig.gpu.buffer_with_data(&1u32.to_ne_bytes()).unwrap();
    let all = [1_000_000u32, 10].map(|n| {
        let commands = rig.queue.commands().unwrap();
        let encoder = commands.encoder().unwrap();
        encoder.bind(&kernel);
        encoder.bind_buffer(&buffer, 0, 0);
        encoder.push(&n.to_ne_bytes(), 1);
        encoder.launch((1, 1, 1), (1, 1, 1));
        encoder.finish();
        commands
    });
    all.iter().for_each(Commands::submit);
    all[0].finish().unwrap();
    all[1].finish().unwrap();
    assert_eq!(buffer.read_as(|x: &[u32]| x[0]), turned(1_000_010, 1));
}

/// Steps by 1, 2, … in one concurrent encoder, with something between the steps.
fn concurrent(two: &Two, steps: u32, between: impl Fn(&aruminium::Encoder)) -> u32 {
    two.buffer.write_as(|x: &mut [u32]| x.fill(0));
    let commands = two.rig.queue.commands().unwrap();
    let encoder = commands.encoder_with(DispatchType::Concurrent).unwrap();
    encoder.bind(&two.step);
    encoder.bind_buffer(&two.buffer, 0, 0);
    for by in 1..=steps {
        encoder.push(&by.to_ne_bytes(), 1);
        encoder.launch((COUNT, 1, 1), (64, 1, 1));
        between(&encoder);
    }
    encoder.finish();
    commands.submit();
    commands.finish().unwrap();
    two.buffer.read_as(|x: &[u32]| x[0])
}

const STEPS_OF_FOUR: u32 = ((2 + 2) * 2 + 3) * 2 + 4;

#[test]
fn a_barrier_orders_concurrent_launches() {
    let two = Two::new();
    let scope = |encoder: &aruminium::Encoder| encoder.barrier(BarrierScope::BUFFERS);
    let resources = |encoder: &aruminium::Encoder| encoder.barrier_for(&[&two.buffer]);
    for _ in 0..20 {
        assert_eq!(concurrent(&two, 4, scope), STEPS_OF_FOUR);
        assert_eq!(concurrent(&two, 4, resources), STEPS_OF_FOUR);
    }
}

/// On hardware the order is nondeterministic; the embedded Metal guarantees that it is another one.
#[test]
#[cfg(not(target_vendor = "apple"))]
fn without_a_barrier_concurrent_launches_are_in_another_order() {
    let two = Two::new();
    assert_ne!(concurrent(&two, 4, |_| ()), STEPS_OF_FOUR);
}

/// Whether 128 numbers from `first` on are reversed through threadgroup memory, with something between the stores and the
/// loads. The memory may have what an earlier launch left there, so each call has other numbers.
fn is_turned(between: &str, first: u32) -> bool {
    let rig = Rig::new();
    let turn = rig.kernel(&format!(
        "kernel void turn(device uint *x, uint i [[thread_position_in_threadgroup]]) {{
            threadgroup uint held[128];
            held[i] = x[i];
            {between}
            x[i] = held[127 - i];
        }}"
    ));
    let buffer = rig.gpu.buffer(128 * 4).unwrap();
    buffer.write_as(|x: &mut [u32]| x.iter_mut().zip(first..).for_each(|(x, i)| *x = i));
    rig.run(|encoder| {
        encoder.bind(&turn);
        encoder.bind_buffer(&buffer, 0, 0);
        encoder.launch((128, 1, 1), (128, 1, 1));
    })
    .unwrap();
    buffer.read_as(|x: &[u32]| x.iter().copied().eq((first..first + 128).rev()))
}

#[test]
fn a_threadgroup_barrier_orders_simd_groups() {
    assert!(is_turned("threadgroup_barrier(mem_flags::mem_threadgroup);", 1));
}

/// As for launches: the embedded Metal runs one SIMD-group to its end, or to a barrier, before the next.
#[test]
#[cfg(not(target_vendor = "apple"))]
fn without_a_threadgroup_barrier_simd_groups_are_in_another_order() {
    if std::env::var("ARUMINIUM_SOFT_DEVICE").is_ok_and(|name| name.starts_with("cuda")) {
        return; // A GPU runs them side by side.
    }
    for (between, first) in [("", 1000), ("simdgroup_barrier(mem_flags::mem_threadgroup);", 2000)] {
        assert!(!is_turned(between, first), "{between}");
    }
}

/// Steps by 1 to 4 in four encoders of one command buffer, copies the result in a fifth, and steps
/// the copy by 5 in a sixth, each optionally after waiting for a fence of the one before.
fn encoders(fenced: bool) -> (u32, u32) {
    let two = Two::new();
    let fence = two.rig.gpu.fence().unwrap();
    let commands = two.rig.queue.commands().unwrap();
    for by in 1..=4u32 {
        let encoder = commands.encoder().unwrap();
        if fenced && by > 1 {
            encoder.wait_for_fence(&fence);
        }
        encoder.bind(&two.step);
        encoder.bind_buffer(&two.buffer, 0, 0);
        encoder.push(&by.to_ne_bytes(), 1);
        encoder.launch((COUNT, 1, 1), (64, 1, 1));
        if fenced {
            encoder.update_fence(&fence);
        }
        encoder.finish();
    }
    let options = ResourceOptions::STORAGE_SHARED | ResourceOptions::HAZARD_UNTRACKED;
    let copy = two.rig.gpu.buffer_with_options(COUNT * 4, options).unwrap();
    let copier = commands.copier().unwrap();
    if fenced {
        copier.wait_for_fence(&fence);
    }
    copier.copy(&two.buffer, 0, &copy, 0, COUNT * 4);
    if fenced {
        copier.update_fence(&fence);
    }
    copier.finish();
    let encoder = commands.encoder().unwrap();
    if fenced {
        encoder.wait_for_fence(&fence);
    }
    encoder.bind(&two.step);
    encoder.bind_buffer(&copy, 0, 0);
    encoder.push(&5u32.to_ne_bytes(), 1);
    encoder.launch((COUNT, 1, 1), (64, 1, 1));
    encoder.finish();
    commands.submit();
    commands.finish().unwrap();
    (two.result(), copy.read_as(|x: &[u32]| x[0]))
}

#[test]
fn a_fence_orders_encoders() {
    assert_eq!(encoders(true), (STEPS_OF_FOUR, STEPS_OF_FOUR * 2 + 5));
}

/// As for barriers: on hardware the order is nondeterministic.
#[test]
#[cfg(not(target_vendor = "apple"))]
fn without_a_fence_encoders_of_untracked_memory_are_in_another_order() {
    let (result, copy) = encoders(false);
    assert_ne!(result, STEPS_OF_FOUR);
    assert_ne!(copy, STEPS_OF_FOUR * 2 + 5);
}

/// Resources of a heap are tracked as the heap is.
#[test]
#[cfg(not(target_vendor = "apple"))] // As above.
fn a_tracked_heap_orders_encoders() {
    use aruminium::{HazardTracking, HeapDescriptor, StorageMode};
    let run = |tracking: HazardTracking| {
        let mut two = Two::new();
        let descriptor = HeapDescriptor::new();
        descriptor.set_size(1 << 16);
        descriptor.set_storage_mode(StorageMode::Shared);
        descriptor.set_hazard_tracking(tracking);
        let heap = two.rig.gpu.heap(&descriptor).unwrap();
        two.buffer = heap.buffer(COUNT * 4, ResourceOptions::STORAGE_SHARED).unwrap();
        let commands = two.rig.queue.commands().unwrap();
        (1..=4).for_each(|by| two.encode(&commands, by));
        commands.submit();
        commands.finish().unwrap();
        two.result()
    };
    assert_eq!(run(HazardTracking::Tracked), STEPS_OF_FOUR);
    assert_ne!(run(HazardTracking::Untracked), STEPS_OF_FOUR);
    assert_ne!(run(HazardTracking::Default), STEPS_OF_FOUR);
}

/// A shared resource orders encoders, also if it is bound through an argument that is an array.
#[test]
fn a_tracked_buffer_under_an_array_of_textures_orders_encoders() {
    let two = Two::new();
    let step = two.rig.kernel(
        "kernel void step(array<texture2d<float>, 3> images [[texture(0)]], device uint *x [[buffer(0)]],
            constant uint &by [[buffer(1)]], uint i [[thread_position_in_grid]]) { x[i] = x[i] * 2 + by; }",
    );
    let tracked = two.rig.gpu.buffer(COUNT * 4).unwrap();
    let commands = two.rig.queue.commands().unwrap();
    for by in 1..=4u32 {
        let encoder = commands.encoder().unwrap();
        encoder.bind(&step);
        encoder.bind_buffer(&tracked, 0, 0);
        encoder.push(&by.to_ne_bytes(), 1);
        encoder.launch((COUNT, 1, 1), (64, 1, 1));
        encoder.finish();
    }
    let copier = commands.copier().unwrap();
    copier.fill(&two.buffer, (0..4).into(), 1);
    copier.finish();
    commands.submit();
    commands.finish().unwrap();
    assert!(tracked.read_as(|x: &[u32]| x.iter().all(|&x| x == STEPS_OF_FOUR)));
}

#[test]
fn a_fence_orders_command_buffers_of_a_queue() {
    let two = Two::new();
    let fence = two.rig.gpu.fence().unwrap();
    for by in 1..=4u32 {
        two.rig
            .run(|encoder| {
                encoder.wait_for_fence(&fence);
                encoder.bind(&two.step);
                encoder.bind_buffer(&two.buffer, 0, 0);
                encoder.push(&by.to_ne_bytes(), 1);
                encoder.launch((COUNT, 1, 1), (64, 1, 1));
                encoder.update_fence(&fence);
            })
            .unwrap();
    }
    assert_eq!(two.result(), STEPS_OF_FOUR);
}

#[test]
fn a_shared_event_is_set_from_both_sides() {
    let rig = Rig::new();
    let event = rig.gpu.shared_event().unwrap();
    assert_eq!(event.signaled_value(), 0);
    event.set_signaled_value(3);
    assert_eq!(event.signaled_value(), 3);
    let commands = rig.queue.commands().unwrap();
    commands.signal(&event, 10);
    commands.submit();
    assert!(event.wait(10, LONG));
    assert_eq!(event.signaled_value(), 10);
    commands.finish().unwrap();
}

#[test]
fn waiting_for_a_shared_event_ends_in_time() {
    let event = Gpu::open().unwrap().shared_event().unwrap();
    let start = Instant::now();
    assert!(!event.wait(1, Duration::from_millis(30)));
    assert!(start.elapsed() >= Duration::from_millis(30));
    event.set_signaled_value(2);
    assert!(event.wait(1, SHORT) && event.wait(2, Duration::ZERO) && !event.wait(3, SHORT));
}

#[test]
fn a_thread_is_woken_by_a_shared_event() {
    let rig = Rig::new();
    let event = rig.gpu.shared_event().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| event.wait(1, LONG));
        std::thread::sleep(SHORT);
        let commands = rig.queue.commands().unwrap();
        commands.signal(&event, 1);
        commands.submit();
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn a_listener_is_notified_of_a_value() {
    let rig = Rig::new();
    let event = rig.gpu.shared_event().unwrap();
    let (sender, receiver) = mpsc::channel();
    let later = sender.clone();
    event.notify(5, move |event, value| {
        sender.send((event.signaled_value() >= 5, value)).unwrap();
    });
    assert!(receiver.recv_timeout(Duration::from_millis(20)).is_err());
    let commands = rig.queue.commands().unwrap();
    commands.signal(&event, 6);
    commands.submit();
    let (reached, value) = receiver.recv_timeout(LONG).unwrap();
    assert!(reached && value >= 5);
    // A value that is already reached is reported immediately.
    event.notify(2, move |_, _| later.send((true, 0)).unwrap());
    assert!(receiver.recv_timeout(LONG).unwrap().0);
}

#[test]
fn cpu_and_gpu_alternate_by_a_shared_event() {
    let two = Two::new();
    let event = two.rig.gpu.shared_event().unwrap();
    for turn in 0..10u64 {
        let commands = two.rig.queue.commands().unwrap();
        commands.wait_for(&event, 2 * turn + 1);
        two.encode(&commands, 1);
        commands.signal(&event, 2 * turn + 2);
        commands.submit();
        // The CPU's step comes between the GPU's: the command buffer is in flight, so that only the
        // event orders the accesses.
        assert!(two.buffer.try_write(|_| ()).is_err());
        let values = two.buffer.contents().cast::<u32>();
        for index in 0..two.buffer.size() / 4 {
            unsafe {
                let value = values.add(index);
                value.write(value.read().wrapping_sub(1));
            }
        }
        event.set_signaled_value(2 * turn + 1);
        assert!(event.wait(2 * turn + 2, LONG));
    }
    // The last command buffer may have signalled without having completed yet.
    two.buffer.read_completed(|_| ()).unwrap();
    let expected = (0..10).fold(0u32, |x, _| x.wrapping_sub(1).wrapping_mul(2).wrapping_add(1));
    assert_eq!(two.result(), expected);
}

#[test]
fn fences_and_events_have_labels() {
    let gpu = Gpu::open().unwrap();
    let (fence, event, shared) =
        (gpu.fence().unwrap(), gpu.event().unwrap(), gpu.shared_event().unwrap());
    fence.set_label("a");
    event.set_label("b");
    shared.set_label("c");
    assert_eq!(fence.label().as_deref(), Some("a"));
    assert_eq!(event.label().as_deref(), Some("b"));
    assert_eq!(shared.label().as_deref(), Some("c"));
    // The pointers are there for methods that this crate lacks.
    let pointers = [fence.as_raw(), event.as_raw(), shared.as_raw()];
    assert!(pointers.iter().all(|pointer| !pointer.is_nil()));
    // SAFETY: the three are alive, and every object responds to `hash`.
    let hashes = pointers.map(|pointer| unsafe { aruminium::msg!(pointer, [hash] -> usize) });
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
}

/// A handler that was not called is dropped with its event; one that was called, after the call.
#[test]
fn handlers_of_shared_events_are_dropped() {
    use std::sync::Arc;
    let gpu = Gpu::open().unwrap();
    let held = Arc::new(());
    let event = gpu.shared_event().unwrap();
    let (sender, receiver) = mpsc::channel();
    for value in [1, 1000] {
        let (held, sender) = (Arc::clone(&held), sender.clone());
        event.notify(value, move |_, _| sender.send(Arc::strong_count(&held)).unwrap());
    }
    assert_eq!(Arc::strong_count(&held), 3);
    event.set_signaled_value(1);
    assert_eq!(receiver.recv_timeout(LONG), Ok(3));
    let start = Instant::now();
    while Arc::strong_count(&held) > 2 {
        assert!(start.elapsed() < LONG, "the handler that was called is not dropped");
        std::thread::yield_now();
    }
    // The thread that called the handler may release the event a moment later.
    drop(event);
    while Arc::strong_count(&held) > 1 {
        assert!(start.elapsed() < LONG, "the handler that was not called is not dropped");
        std::thread::yield_now();
    }
}
