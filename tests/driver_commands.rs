//! Queues and command buffers: how they are created, their states, times and handlers.

#![allow(clippy::undocumented_unsafe_blocks)] // The bindings outlive the waits, and pools are around.

mod gpu;

use aruminium::{Buffer, Commands, Encoder, NSRange, Pipeline, autorelease_pool};
use gpu::Rig;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const ADD_ONE: &str =
    "kernel void add_one(device uint *x, uint i [[thread_position_in_grid]]) { x[i] += 1; }";

fn launch(encoder: &Encoder, pipeline: &Pipeline, buffer: &Buffer) {
    encoder.bind(pipeline);
    encoder.bind_buffer(buffer, 0, 0);
    encoder.launch((4, 1, 1), (4, 1, 1));
    encoder.finish();
}

fn first(buffer: &Buffer) -> u32 {
    buffer.read_as(|x: &[u32]| x[0])
}

#[test]
fn five_methods_return_a_command_buffer() {
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD_ONE);
    let buffer = rig.gpu.buffer(16).unwrap();
    type Way = fn(&Rig) -> Commands;
    let ways: [(Way, bool); 5] = [
        (|rig| rig.queue.commands().unwrap(), true),
        (|rig| unsafe { rig.queue.commands_unretained() }.unwrap(), true),
        (|rig| unsafe { rig.queue.commands_fast() }.unwrap(), false),
        (|rig| unsafe { rig.queue.commands_unchecked() }, false),
        (|rig| unsafe { rig.queue.commands_autoreleased() }, false),
    ];
    for (turn, (way, retains)) in (1..).zip(ways) {
        autorelease_pool(|| {
            let commands = way(&rig);
            assert_eq!(commands.retains_references(), retains, "way {turn}");
            launch(&commands.encoder().unwrap(), &pipeline, &buffer);
            commands.submit();
            commands.finish().unwrap();
        });
        assert_eq!(first(&buffer), turn);
    }
}

#[test]
fn four_methods_return_an_encoder() {
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD_ONE);
    let buffer = rig.gpu.buffer(16).unwrap();
    let ways: [fn(&Commands) -> Encoder; 4] = [
        |commands| commands.encoder().unwrap(),
        |commands| unsafe { commands.encoder_unretained() }.unwrap(),
        |commands| unsafe { commands.encoder_unchecked() },
        |commands| unsafe { commands.encoder_autoreleased() },
    ];
    for (turn, way) in (1..).zip(ways) {
        autorelease_pool(|| {
            let commands = rig.queue.commands().unwrap();
            launch(&way(&commands), &pipeline, &buffer);
            commands.submit();
            commands.finish().unwrap();
        });
        assert_eq!(first(&buffer), turn);
    }
}

#[test]
fn encoders_of_one_command_buffer_follow_each_other() {
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD_ONE);
    let (a, b) = (rig.gpu.buffer(16).unwrap(), rig.gpu.buffer(16).unwrap());
    let commands = rig.queue.commands().unwrap();
    launch(&commands.encoder().unwrap(), &pipeline, &a);
    let copier = commands.copier().unwrap();
    copier.copy(&a, 0, &b, 0, 16);
    copier.finish();
    launch(&commands.encoder().unwrap(), &pipeline, &a);
    launch(&commands.encoder().unwrap(), &pipeline, &b);
    commands.submit();
    commands.finish().unwrap();
    assert_eq!((first(&a), first(&b)), (2, 2));
}

#[test]
fn the_status_advances_in_order() {
    let rig = Rig::new();
    let gate = rig.gpu.shared_event().unwrap();
    let commands = rig.queue.commands().unwrap();
    assert_eq!(commands.status(), Commands::STATUS_NOT_ENQUEUED);
    commands.enqueue();
    assert_eq!(commands.status(), Commands::STATUS_ENQUEUED);
    commands.wait_for(&gate, 1);
    commands.submit();
    // The work cannot complete before the gate is opened.
    assert!(matches!(commands.status(), Commands::STATUS_COMMITTED | Commands::STATUS_SCHEDULED));
    assert_eq!(commands.error(), None);
    gate.set_signaled_value(1);
    commands.wait_until_scheduled();
    assert!(commands.status() >= Commands::STATUS_SCHEDULED);
    commands.wait();
    assert_eq!(commands.status(), Commands::STATUS_COMPLETED);
    assert_eq!(commands.error(), None);
    assert!(commands.error_details().is_none());
}

#[test]
fn submit_returns_at_once_and_wait_waits() {
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD_ONE);
    let buffer = rig.gpu.buffer(16).unwrap();
    let gate = rig.gpu.shared_event().unwrap();
    let commands = rig.queue.commands().unwrap();
    commands.wait_for(&gate, 1);
    launch(&commands.encoder().unwrap(), &pipeline, &buffer);
    commands.submit();
    assert!(commands.status() < Commands::STATUS_COMPLETED);
    assert!(buffer.try_read(|_| ()).is_err(), "the work is still to come");
    gate.set_signaled_value(1);
    commands.wait();
    assert_eq!(first(&buffer), 1);
}

#[test]
fn command_buffers_run_in_the_order_of_enqueue() {
    let rig = Rig::new();
    let set = rig.kernel("kernel void set(device uint *x, constant uint &v) { x[0] = v; }");
    let buffer = rig.gpu.buffer(16).unwrap();
    let encode = |commands: &Commands, value: u32| {
        let encoder = commands.encoder().unwrap();
        encoder.bind(&set);
        encoder.bind_buffer(&buffer, 0, 0);
        encoder.push(&value.to_ne_bytes(), 1);
        encoder.launch((1, 1, 1), (1, 1, 1));
        encoder.finish();
    };
    let (early, late) = (rig.queue.commands().unwrap(), rig.queue.commands().unwrap());
    early.enqueue();
    late.enqueue();
    encode(&late, 2);
    encode(&early, 1);
    late.submit();
    early.submit();
    late.wait();
    assert_eq!(first(&buffer), 2);
}

#[test]
fn a_dropped_command_buffer_gives_up_no_position_but_its_own() {
    let rig = Rig::new();
    let [dropped, early, late] = [(); 3].map(|()| rig.queue.commands().unwrap());
    dropped.enqueue();
    early.enqueue();
    drop(dropped);
    late.submit();
    std::thread::sleep(Duration::from_millis(50));
    assert!(
        late.status() < Commands::STATUS_SCHEDULED,
        "it runs after the one that was enqueued before it"
    );
    early.submit();
    late.wait();
}

#[test]
fn gpu_times_are_those_of_the_work() {
    let rig = Rig::new();
    let spin = rig.kernel(
        "kernel void spin(device float *x, uint i [[thread_position_in_grid]]) {
            float a = x[i];
            for (int k = 0; k < 2000; k++) a = a * 0.5f + 1.0f;
            x[i] = a;
        }",
    );
    let buffer = rig.gpu.buffer(4096 * 4).unwrap();
    let run = |threads: usize| {
        let commands = rig.queue.commands().unwrap();
        let encoder = commands.encoder().unwrap();
        encoder.bind(&spin);
        encoder.bind_buffer(&buffer, 0, 0);
        encoder.launch((threads, 1, 1), (64, 1, 1));
        encoder.finish();
        commands.submit();
        commands.finish().unwrap();
        commands
    };
    let before = run(64);
    let after = run(4096);
    for commands in [&before, &after] {
        assert!(commands.gpu_start_time() > 0.0);
        assert!(commands.gpu_time() > 0.0 && commands.gpu_time() < 60.0);
        assert_eq!(commands.gpu_time(), commands.gpu_end_time() - commands.gpu_start_time());
        assert!(commands.kernel_start_time() > 0.0);
        assert!(commands.kernel_end_time() >= commands.kernel_start_time());
    }
    assert!(after.gpu_start_time() >= before.gpu_end_time());
}

#[test]
fn handlers_are_called_once_each() {
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD_ONE);
    let buffer = rig.gpu.buffer(16).unwrap();
    let (sender, calls) = mpsc::channel();
    let commands = rig.queue.commands().unwrap();
    let scheduled = sender.clone();
    commands.on_scheduled(move |commands| {
        scheduled.send(("scheduled", commands.status() >= Commands::STATUS_SCHEDULED)).unwrap();
    });
    commands.on_completed(move |commands| {
        sender.send(("completed", commands.status() == Commands::STATUS_COMPLETED)).unwrap();
    });
    launch(&commands.encoder().unwrap(), &pipeline, &buffer);
    commands.submit();
    commands.finish().unwrap();
    let mut calls: Vec<_> =
        (0..2).map(|_| calls.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
    calls.sort();
    assert_eq!(calls, [("completed", true), ("scheduled", true)]);
}

#[test]
fn a_handler_is_dropped_after_its_call() {
    let rig = Rig::new();
    let held = Arc::new(AtomicUsize::new(0));
    let weak = Arc::downgrade(&held);
    autorelease_pool(|| {
        let commands = rig.queue.commands().unwrap();
        commands.on_completed(move |_| {
            held.fetch_add(1, Ordering::SeqCst);
        });
        commands.submit();
        commands.wait();
    });
    // The runtime may release the command buffer a moment later.
    for _ in 0..2_000 {
        if weak.strong_count() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the closure was never dropped");
}

#[test]
fn dropping_an_encoder_ends_it() {
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD_ONE);
    let buffer = rig.gpu.buffer(16).unwrap();
    let commands = rig.queue.commands().unwrap();
    let encoder = commands.encoder().unwrap();
    encoder.bind(&pipeline);
    encoder.bind_buffer(&buffer, 0, 0);
    encoder.launch((4, 1, 1), (4, 1, 1));
    drop(encoder);
    let copier = commands.copier().unwrap();
    copier.fill(&buffer, NSRange::from(8..16), 0xFF);
    drop(copier);
    commands.submit();
    commands.finish().unwrap();
    assert_eq!(buffer.read_as(|x: &[u32]| x.to_vec()), [1, 1, u32::MAX, u32::MAX]);
}

#[test]
fn finishing_an_encoder_twice_is_allowed() {
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD_ONE);
    let buffer = rig.gpu.buffer(16).unwrap();
    let commands = rig.queue.commands().unwrap();
    let encoder = commands.encoder().unwrap();
    launch(&encoder, &pipeline, &buffer);
    encoder.finish();
    drop(encoder);
    commands.submit();
    commands.finish().unwrap();
    commands.finish().unwrap();
    assert_eq!(first(&buffer), 1);
}

#[test]
fn a_command_buffer_may_move_to_another_thread() {
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD_ONE);
    let buffer = rig.gpu.buffer(16).unwrap();
    let commands = rig.queue.commands().unwrap();
    launch(&commands.encoder().unwrap(), &pipeline, &buffer);
    std::thread::spawn(move || {
        commands.submit();
        commands.finish()
    })
    .join()
    .unwrap()
    .unwrap();
    assert_eq!(first(&buffer), 1);
}

#[test]
fn labels_and_groups_are_for_tools() {
    let rig = Rig::new();
    let commands = rig.queue.commands().unwrap();
    commands.set_label("frame 1");
    assert_eq!(commands.label().as_deref(), Some("frame 1"));
    commands.push_debug_group("outer");
    let encoder = commands.encoder().unwrap();
    encoder.set_label("attention");
    assert_eq!(encoder.label().as_deref(), Some("attention"));
    encoder.push_debug_group("inner");
    encoder.signpost("here");
    encoder.pop_debug_group();
    encoder.finish();
    let copier = commands.copier().unwrap();
    copier.set_label("copies");
    assert_eq!(copier.label().as_deref(), Some("copies"));
    copier.push_debug_group("inner");
    copier.pop_debug_group();
    copier.finish();
    commands.pop_debug_group();
    commands.submit();
    commands.finish().unwrap();
}

#[test]
fn an_empty_command_buffer_completes() {
    let rig = Rig::new();
    rig.run(|_| ()).unwrap();
    let commands = rig.queue.commands().unwrap();
    commands.submit();
    commands.wait();
    assert_eq!(commands.status(), Commands::STATUS_COMPLETED);
}

/// The error message that users meet first: that of a command buffer.
#[test]
#[cfg(not(target_vendor = "apple"))] // On Apple's systems it takes a fault of the hardware.
fn a_failed_command_buffer_returns_the_reason() {
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD_ONE);
    let commands = rig.queue.commands().unwrap();
    let encoder = commands.encoder().unwrap();
    encoder.bind(&pipeline);
    encoder.launch((4, 1, 1), (4, 1, 1));
    encoder.finish();
    commands.submit();
    let Err(aruminium::GpuError::CommandBufferError(why)) = commands.finish() else {
        panic!("a launch without its buffer");
    };
    assert_eq!(commands.status(), Commands::STATUS_ERROR);
    assert_eq!(commands.error().as_deref(), Some(why.as_str()));
    let details = commands.error_details().unwrap();
    assert_eq!(details.domain(), "MTLCommandBufferErrorDomain");
    assert_eq!(details.description(), why);
    assert!(details.code() > 0);
}

#[test]
fn an_allocator_survives_a_command_buffer_that_was_not_ended() {
    let gpu = Rig::new().gpu;
    let Ok(queue) = gpu.queue4() else { return }; // Before macOS 26.
    let allocator = gpu.command_allocator().unwrap();
    let unfinished = gpu.commands4().unwrap();
    unfinished.begin(&allocator);
    let refused = gpu.commands4().unwrap();
    refused.begin(&allocator);
    refused.end();
    drop(unfinished);
    let commands = gpu.commands4().unwrap();
    commands.begin(&allocator);
    commands.end();
    unsafe { queue.run(&[&commands]) }.unwrap();
    // No work is done at once.
    unsafe { queue.run(&[]) }.unwrap();
}

#[test]
fn a_tensor_of_too_many_dimensions_is_an_error() {
    let gpu = Rig::new().gpu;
    if gpu.queue4().is_err() {
        return;
    }
    let descriptor = aruminium::TensorDescriptor::new(aruminium::TensorDataType::Float32, &[1; 17]);
    descriptor.set_strides(&[1; 17]);
    let error = gpu.tensor(&descriptor).unwrap_err().to_string();
    assert!(error.contains("dimensions"), "{error}");
}
