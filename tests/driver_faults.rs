//! Errors on soft Metal: each is reported with its cause, and no other memory is accessed. Apple's Metal checks most of
//! this in its validation layer only, which ends the process.

#![cfg(any(not(target_vendor = "apple"), feature = "soft"))]
#![allow(clippy::undocumented_unsafe_blocks)] // Breaking the contracts is what is tested here.

mod child;
mod gpu;

use aruminium::foundation::{NSDictionary, NSNumber, NSString};
use aruminium::{
    Buffer, Commands, Encoder, FaultKind, GpuError, KernelFault, NSRange, Pipeline,
    PipelineDescriptor,
};
use gpu::Rig;
use std::time::{Duration, Instant};

const FILL: &str =
    "kernel void fill(device uint *out [[buffer(0)]], constant uint &value [[buffer(1)]],
    uint i [[thread_position_in_grid]]) { out[i] = value; }";

/// The message of the error that a recording fails with.
#[track_caller]
fn fault(rig: &Rig, record: impl FnOnce(&Encoder)) -> String {
    match rig.run(record) {
        Err(GpuError::CommandBufferError(why)) => why,
        Err(GpuError::KernelFault(fault)) => fault.message,
        other => panic!("no fault: {other:?}"),
    }
}

/// Checks that all words are in the text.
#[track_caller]
fn assert_contains(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

struct Fill {
    rig: Rig,
    pipeline: Pipeline,
    buffer: Buffer,
}

impl Fill {
    fn new() -> Self {
        let rig = Rig::new();
        let (pipeline, buffer) = (rig.kernel(FILL), rig.gpu.buffer(64 * 4).unwrap());
        Self { rig, pipeline, buffer }
    }

    fn bind(&self, encoder: &Encoder) {
        encoder.bind(&self.pipeline);
        encoder.bind_buffer(&self.buffer, 0, 0);
        encoder.push(&7u32.to_ne_bytes(), 1);
    }

    /// The queue and the device still work after the error.
    fn still_works(&self) {
        self.rig
            .run(|encoder| {
                self.bind(encoder);
                encoder.launch((64, 1, 1), (32, 1, 1));
            })
            .unwrap();
        assert!(self.buffer.read_as(|x: &[u32]| x.iter().all(|&x| x == 7)));
    }
}

#[test]
fn a_store_out_of_bounds_names_kernel_argument_and_offset() {
    let fill = Fill::new();
    let why = fault(&fill.rig, |encoder| {
        fill.bind(encoder);
        encoder.launch((65, 1, 1), (32, 1, 1));
    });
    assert_contains(&why, &["fill", "out", "256"]);
    fill.still_works();
}

#[test]
fn memory_outside_of_a_buffer_is_not_accessed() {
    let rig = Rig::new();
    let poke = rig.kernel("kernel void poke(device int *x, constant long &at) { x[at] = -1; }");
    let around = [(); 3].map(|()| rig.gpu.buffer(4096).unwrap());
    for at in [1024i64, 1 << 20, 1 << 40, -1, -1024, i64::MAX / 4, i64::MIN / 4] {
        let why = fault(&rig, |encoder| {
            encoder.bind(&poke);
            encoder.bind_buffer(&around[1], 0, 0);
            encoder.push(&at.to_ne_bytes(), 1);
            encoder.launch((1, 1, 1), (1, 1, 1));
        });
        assert_contains(&why, &["poke"]);
    }
    assert!(around.iter().all(|buffer| buffer.read(|bytes| bytes.iter().all(|&byte| byte == 0))));
}

#[test]
fn a_load_out_of_bounds_is_reported_too() {
    let rig = Rig::new();
    let peek = rig.kernel(
        "kernel void peek(device uint *out, device const uint *table, uint i [[thread_position_in_grid]]) {
            out[i] = table[i * 1000];
        }",
    );
    let (out, table) = (rig.gpu.buffer(256).unwrap(), rig.gpu.buffer(256).unwrap());
    let why = fault(&rig, |encoder| {
        encoder.bind(&peek);
        encoder.bind_buffer(&out, 0, 0);
        encoder.bind_buffer(&table, 0, 1);
        encoder.launch((64, 1, 1), (32, 1, 1));
    });
    assert_contains(&why, &["peek", "table"]);
}

#[test]
fn an_endless_kernel_is_stopped() {
    let test = "an_endless_kernel_is_stopped";
    let output = child::in_child(test, &[("ARUMINIUM_SOFT_WATCHDOG_MS", "200")], || {
        let fill = Fill::new();
        let forever = fill.rig.kernel(
            "kernel void forever(device atomic_uint *x) {
                while (atomic_load_explicit(x, memory_order_relaxed) == 0) { }
            }",
        );
        let start = Instant::now();
        let why = fault(&fill.rig, |encoder| {
            encoder.bind(&forever);
            encoder.bind_buffer(&fill.buffer, 0, 0);
            encoder.launch((64, 1, 1), (32, 1, 1));
        });
        assert_contains(&why, &["forever"]);
        assert!(start.elapsed() < Duration::from_secs(30));
        fill.still_works();
    });
    if let Some(output) = output {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}

/// Fills a buffer again and again on a queue of its own, while `meanwhile` runs.
fn beside(fill: &Fill, meanwhile: impl FnOnce()) {
    let rig = Rig { gpu: fill.rig.gpu.clone(), queue: fill.rig.gpu.new_command_queue().unwrap() };
    let buffer = rig.gpu.buffer(64 * 4).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            for round in 1..=20u32 {
                rig.run(|encoder| {
                    encoder.bind(&fill.pipeline);
                    encoder.bind_buffer(&buffer, 0, 0);
                    encoder.push(&round.to_ne_bytes(), 1);
                    encoder.launch((64, 1, 1), (32, 1, 1));
                })
                .unwrap();
                assert!(buffer.read_as(|x: &[u32]| x.iter().all(|&x| x == round)), "{round}");
            }
        });
        meanwhile();
        other.join().unwrap();
    });
}

#[test]
fn other_queues_go_on_while_one_has_faults() {
    let fill = Fill::new();
    beside(&fill, || {
        for _ in 0..5 {
            let result = fill.rig.run(|encoder| {
                fill.bind(encoder);
                encoder.launch((65, 1, 1), (32, 1, 1));
            });
            let Err(GpuError::KernelFault(fault)) = result else { panic!("no fault: {result:?}") };
            assert_eq!((fault.kind, fault.thread), (FaultKind::Access, Some([64, 0, 0])));
            assert_eq!((fault.argument.as_deref(), fault.offset), (Some("out"), Some(256)));
        }
        fill.still_works();
    });
}

#[test]
fn other_queues_go_on_while_a_kernel_does_not_end() {
    let test = "other_queues_go_on_while_a_kernel_does_not_end";
    let output = child::in_child(test, &[("ARUMINIUM_SOFT_WATCHDOG_MS", "300")], || {
        let fill = Fill::new();
        let forever = fill.rig.kernel(
            "kernel void forever(device atomic_uint *x) {
                while (atomic_load_explicit(x, memory_order_relaxed) == 0) { }
            }",
        );
        beside(&fill, || {
            let why = fault(&fill.rig, |encoder| {
                encoder.bind(&forever);
                encoder.bind_buffer(&fill.buffer, 0, 0);
                encoder.launch((1, 1, 1), (1, 1, 1));
            });
            assert_contains(&why, &["forever"]);
            fill.still_works();
        });
    });
    if let Some(output) = output {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}

/// The watchdog wants progress, not an end: a launch of 10¹⁰ steps finishes although it takes longer than the limit.
#[test]
#[ignore = "takes seconds with machine code, minutes without"]
fn a_launch_of_many_steps_finishes() {
    const THREADS: usize = 100_000;
    const STEPS: u32 = 100_000;
    const LIMIT: Duration = Duration::from_millis(100);
    let test = "a_launch_of_many_steps_finishes";
    let limit = LIMIT.as_millis().to_string();
    let variables = [("ARUMINIUM_SOFT_WATCHDOG_MS", &*limit), ("ARUMINIUM_SOFT_WORKERS", "1")];
    let output = child::in_child(test, &variables, || {
        let rig = Rig::new();
        let steps = rig.kernel(
            "kernel void steps(device uint *x, constant uint &count, uint i [[thread_position_in_grid]]) {
                uint state = i;
                for (uint k = 0; k < count; k++) { state = state * 1664525u + 1013904223u; }
                x[i] = state;
            }",
        );
        let out = rig.gpu.buffer(THREADS * 4).unwrap();
        let start = Instant::now();
        rig.run(|encoder| {
            encoder.bind(&steps);
            encoder.bind_buffer(&out, 0, 0);
            encoder.push(&STEPS.to_ne_bytes(), 1);
            encoder.launch((THREADS, 1, 1), (32, 1, 1));
        })
        .unwrap();
        let took = start.elapsed();
        // All steps at once: x becomes factor * x + sum.
        let (factor, sum) = (0..STEPS).fold((1u32, 0u32), |(factor, sum), _| {
            (factor.wrapping_mul(1664525), sum.wrapping_mul(1664525).wrapping_add(1013904223))
        });
        let right = |(i, &x): (usize, &u32)| x == factor.wrapping_mul(i as u32).wrapping_add(sum);
        assert!(out.read_as(|x: &[u32]| x.iter().enumerate().all(right)));
        assert!(took > 2 * LIMIT, "{took:?} is too short to show anything");
    });
    if let Some(output) = output {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}

/// In a process of its own, which must exit although there is work that can never complete.
#[test]
fn an_endless_wait_is_stopped() {
    let test = "an_endless_wait_is_stopped";
    let output = child::in_child(test, &[("ARUMINIUM_SOFT_WATCHDOG_MS", "200")], || {
        let fill = Fill::new();
        let event = fill.rig.gpu.event().unwrap();
        event.set_label("the other queue's");
        let commands = fill.rig.queue.commands().unwrap();
        commands.wait_for(&event, 1);
        commands.submit();
        let Err(GpuError::CommandBufferError(why)) = commands.finish() else { panic!("it waited") };
        assert_contains(&why, &["the other queue's", "reach 1", "watchdog"]);
        fill.still_works();
        // This one is not waited for.
        let commands = fill.rig.queue.commands().unwrap();
        commands.wait_for(&event, 1);
        commands.submit();
    });
    if let Some(output) = output {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}

#[test]
fn a_launch_needs_a_pipeline() {
    let fill = Fill::new();
    let why = fault(&fill.rig, |encoder| {
        encoder.bind_buffer(&fill.buffer, 0, 0);
        encoder.launch((4, 1, 1), (4, 1, 1));
    });
    assert_contains(&why, &["pipeline"]);
    fill.still_works();
}

#[test]
fn a_binding_that_is_missing_is_named() {
    let fill = Fill::new();
    let why = fault(&fill.rig, |encoder| {
        encoder.bind(&fill.pipeline);
        encoder.bind_buffer(&fill.buffer, 0, 0);
        encoder.launch((4, 1, 1), (4, 1, 1));
    });
    assert_contains(&why, &["fill", "value", "buffer(1)"]);
}

#[test]
fn threadgroups_that_are_too_large_or_empty_are_errors() {
    let fill = Fill::new();
    let most = fill.pipeline.max_total_threads_per_threadgroup();
    for (group, word) in [((most + 1, 1, 1), most.to_string()), ((most, most, 1), most.to_string())]
    {
        let why = fault(&fill.rig, |encoder| {
            fill.bind(encoder);
            encoder.launch((64, 1, 1), group);
        });
        assert_contains(&why, &[&word]);
    }
    fault(&fill.rig, |encoder| {
        fill.bind(encoder);
        encoder.launch((64, 1, 1), (0, 1, 1));
    });
    fault(&fill.rig, |encoder| {
        fill.bind(encoder);
        encoder.launch((usize::MAX, usize::MAX, 1), (32, 1, 1));
    });
    fill.still_works();
}

#[test]
fn a_promise_of_whole_simd_groups_is_checked() {
    let fill = Fill::new();
    let library = fill.rig.gpu.compile(FILL).unwrap();
    let descriptor = PipelineDescriptor::new(&library.function("fill").unwrap());
    descriptor.set_whole_simd_groups(true);
    let pipeline = fill.rig.gpu.pipeline_with(&descriptor).unwrap();
    let run = |group: usize| {
        fill.rig.run(|encoder| {
            fill.bind(encoder);
            encoder.bind(&pipeline);
            encoder.launch((64, 1, 1), (group, 1, 1));
        })
    };
    assert_contains(&run(48).unwrap_err().to_string(), &["fill", "48 threads", "SIMD-groups"]);
    run(64).unwrap();
}

#[test]
fn wrong_indices_offsets_and_lengths_are_named() {
    let fill = Fill::new();
    let why = |wrong: &dyn Fn(&Encoder)| {
        fault(&fill.rig, |encoder| {
            fill.bind(encoder);
            wrong(encoder);
            encoder.launch((4, 1, 1), (4, 1, 1));
        })
    };
    assert_contains(
        &why(&|encoder| encoder.bind_buffer(&fill.buffer, 0, 31)),
        &["setBuffer", "31"],
    );
    assert_contains(&why(&|encoder| encoder.bind_buffer(&fill.buffer, 257, 0)), &["257", "256"]);
    assert_contains(&why(&|encoder| encoder.bind_offset(400, 0)), &["400"]);
    assert_contains(&why(&|encoder| encoder.bind_offset(0, 9)), &["9"]);
    assert_contains(&why(&|encoder| encoder.push(&[0; 5000], 1)), &["5000", "4096"]);
    assert_contains(&why(&|encoder| encoder.push(&[], 1)), &["value", "0 bytes"]);
    assert_contains(&why(&|encoder| encoder.push(&[0; 4], usize::MAX)), &["setBytes"]);
    assert_contains(&why(&|encoder| encoder.threadgroup_memory(1 << 20, 0)), &["1048576"]);
    assert_contains(&why(&|encoder| encoder.bind_buffers(&[(&fill.buffer, 0); 4], 29)), &["29"]);
    assert_contains(
        &why(&|encoder| encoder.launch_indirect(&fill.buffer, 250, (4, 1, 1))),
        &["250"],
    );
    fill.still_works();
}

#[test]
fn copies_outside_of_buffers_are_errors() {
    let fill = Fill::new();
    let other = fill.rig.gpu.buffer(64).unwrap();
    let wrong: [&dyn Fn(&aruminium::Copier); 5] = [
        &|copier| copier.copy(&fill.buffer, 0, &other, 0, 65),
        &|copier| copier.copy(&fill.buffer, 250, &other, 0, 16),
        &|copier| copier.copy(&fill.buffer, usize::MAX, &other, 0, 16),
        &|copier| copier.fill(&other, NSRange::from(60..70), 1),
        &|copier| copier.fill(&other, NSRange { location: 8, length: usize::MAX }, 1),
    ];
    for record in wrong {
        let commands = fill.rig.queue.commands().unwrap();
        let copier = commands.copier().unwrap();
        record(&copier);
        copier.finish();
        commands.submit();
        let Err(GpuError::CommandBufferError(why)) = commands.finish() else { panic!("it copied") };
        assert!(why.contains("64") || why.contains("256"), "{why}");
    }
    assert!(other.read(|bytes| bytes.iter().all(|&byte| byte == 0)));
    fill.still_works();
}

#[test]
fn encoding_out_of_order_is_an_error() {
    let fill = Fill::new();
    let fails = |commands: &Commands| {
        commands.submit();
        match commands.finish() {
            Err(GpuError::CommandBufferError(why)) => why,
            Err(GpuError::KernelFault(fault)) => fault.message,
            other => panic!("no fault: {other:?}"),
        }
    };

    // Encoding after the end.
    let commands = fill.rig.queue.commands().unwrap();
    let encoder = commands.encoder().unwrap();
    encoder.finish();
    fill.bind(&encoder);
    assert_contains(&fails(&commands), &["endEncoding"]);

    // A second encoder while the first is open.
    let commands = fill.rig.queue.commands().unwrap();
    let first = commands.encoder().unwrap();
    let Err(GpuError::EncoderCreationFailed(why)) = commands.copier() else {
        panic!("two encoders are open")
    };
    assert_contains(&why, &["has not ended", "finish"]);
    first.finish();
    fails(&commands);

    // Submitted with an open encoder.
    let commands = fill.rig.queue.commands().unwrap();
    let open = commands.encoder().unwrap();
    assert_contains(&fails(&commands), &["endEncoding"]);
    drop(open);

    // Nothing is encoded after the submit.
    let commands = fill.rig.queue.commands().unwrap();
    commands.submit();
    let Err(GpuError::EncoderCreationFailed(why)) = commands.encoder() else {
        panic!("an encoder after the submit")
    };
    assert_contains(&why, &["submitted already"]);
    commands.wait();
    fill.still_works();
}

#[test]
fn a_command_buffer_is_submitted_once() {
    let fill = Fill::new();
    let commands = fill.rig.queue.commands().unwrap();
    commands.submit();
    commands.submit();
    commands.wait();
    assert_eq!(commands.status(), Commands::STATUS_ERROR);
    assert_contains(&commands.error().unwrap(), &["commit"]);
    fill.still_works();
}

#[test]
fn waiting_for_an_unsubmitted_command_buffer_does_not_hang() {
    let fill = Fill::new();
    let commands = fill.rig.queue.commands().unwrap();
    let Err(GpuError::CommandBufferError(why)) = commands.finish() else { panic!("it never ran") };
    assert_contains(&why, &["not submitted", "submit"]);
    // The command buffer itself did not fail.
    fill.bind(&commands.encoder().unwrap());
    commands.submit();
    commands.finish().unwrap();
    fill.still_works();
}

#[test]
fn an_enqueued_command_buffer_that_is_dropped_frees_its_position() {
    let fill = Fill::new();
    let commands = fill.rig.queue.commands().unwrap();
    commands.enqueue();
    assert!(commands.finish().is_err(), "it was not submitted");
    drop(commands);
    fill.still_works();
}

/// The fault that a recording fails with.
#[track_caller]
fn kernel_fault(rig: &Rig, record: impl FnOnce(&Encoder)) -> KernelFault {
    match rig.run(record) {
        Err(GpuError::KernelFault(fault)) => *fault,
        other => panic!("no fault: {other:?}"),
    }
}

#[test]
fn a_fault_is_data() {
    let rig = Rig::new();
    let source = "
        kernel void scatter(device uint *out [[buffer(0)]], device const int *at [[buffer(1)]],
                            uint2 i [[thread_position_in_grid]]) {
            out[at[i.x]] = i.y;
        }";
    let (scatter, out) = (rig.kernel(source), rig.gpu.buffer(64).unwrap());
    let fault = |at: i32| {
        let at = rig.gpu.buffer_with_data(&at.to_ne_bytes()).unwrap();
        kernel_fault(&rig, |encoder| {
            encoder.bind(&scatter);
            encoder.bind_buffer(&out, 0, 0);
            encoder.bind_buffer(&at, 0, 1);
            encoder.launch((1, 2, 1), (1, 1, 1));
        })
    };
    let past = fault(16);
    assert_eq!((past.kind, past.kernel.as_str(), past.write), (FaultKind::Access, "scatter", true));
    assert_eq!(past.argument.as_deref(), Some("out"));
    assert_eq!((past.offset, past.bytes, past.size), (Some(64), Some(4), Some(64)));
    assert!(matches!(past.thread, Some([0, 0 | 1, 0])), "{:?}", past.thread);
    assert_eq!((past.file.as_deref(), past.line), (Some("program_source"), Some(6)));
    assert!(past.column.is_some_and(|column| column > 1));
    assert_eq!(past.to_string(), past.message);
    assert_contains(&past.message, &["scatter", "out", "64", "program_source:6"]);
    assert_eq!(fault(-1).offset, Some(-4));
    // The same data in the error's user information.
    let commands = rig.queue.commands().unwrap();
    let encoder = commands.encoder().unwrap();
    encoder.bind(&scatter);
    encoder.bind_buffer(&out, 0, 0);
    encoder.bind_buffer(&out, 0, 1);
    encoder.launch_groups((1, 1, 1), (32, 1, 1));
    encoder.finish();
    commands.submit();
    commands.wait();
    let info = commands.error_details().unwrap().user_info();
    let fault: NSDictionary = unsafe { info.get(&NSString::from("AruminiumKernelFault")) }.unwrap();
    let text =
        |key: &str| unsafe { fault.get::<NSString>(&NSString::from(key)) }.unwrap().to_string();
    let number =
        |key: &str| unsafe { fault.get::<NSNumber>(&NSString::from(key)) }.unwrap().as_i64();
    assert_eq!(
        (text("kind"), text("kernel"), text("argument")),
        ("access".into(), "scatter".into(), "at".into())
    );
    assert_eq!((number("offset"), number("write"), number("line")), (64, 0, 6));
}

#[test]
fn other_faults_are_data_too() {
    let rig = Rig::new();
    let barrier = rig.kernel(
        "kernel void wait(device uint *x, uint i [[thread_position_in_grid]]) {
            while (x[i] == 0) { threadgroup_barrier(mem_flags::mem_device); x[0] = 1; }
        }",
    );
    let x = rig.gpu.buffer(4).unwrap();
    let fault = kernel_fault(&rig, |encoder| {
        encoder.bind(&barrier);
        encoder.bind_buffer(&x, 0, 0);
        encoder.launch((2, 1, 1), (2, 1, 1));
    });
    assert_eq!((fault.kind, fault.kernel.as_str()), (FaultKind::Access, "wait"), "{fault}");
    assert_eq!((fault.thread, fault.write), (Some([1, 0, 0]), false));
    let null =
        rig.kernel("kernel void null(device uint *out) { device uint *p = nullptr; out[0] = *p; }");
    let fault = kernel_fault(&rig, |encoder| {
        encoder.bind(&null);
        encoder.bind_buffer(&x, 0, 0);
        encoder.launch((1, 1, 1), (1, 1, 1));
    });
    assert_eq!((fault.kind, fault.argument), (FaultKind::Access, None));
}

#[test]
fn a_misaligned_atomic_is_reported_as_that() {
    let rig = Rig::new();
    let count = rig.kernel(
        "kernel void count(device char *x, constant int &at) {
            atomic_fetch_add_explicit((device atomic_uint *)(x + at), 1u, memory_order_relaxed);
        }",
    );
    let x = rig.gpu.buffer(64).unwrap();
    x.write(|bytes| bytes.fill(0));
    for at in [1, 2, 3, 58] {
        let fault = kernel_fault(&rig, |encoder| {
            encoder.bind(&count);
            encoder.bind_buffer(&x, 0, 0);
            encoder.push(&i32::to_ne_bytes(at), 1);
            encoder.launch((1, 1, 1), (1, 1, 1));
        });
        assert_eq!((fault.kind, fault.write), (FaultKind::Misaligned, true), "{fault}");
        assert_eq!((fault.offset, fault.bytes), (Some(at.into()), Some(4)), "{fault}");
        let want = format!(
            "kernel 'count', thread (0, 0, 0): atomic write of 4 bytes at offset {at} of 'x' is \
             misaligned: its address must be a multiple of 4 (program_source:"
        );
        assert_contains(&fault.message, &[&want]);
    }
    assert!(x.read(|bytes| bytes.iter().all(|&byte| byte == 0)));
}

#[test]
fn use_of_a_released_buffer_is_reported() {
    let fill = Fill::new();
    let gate = fill.rig.gpu.shared_event().unwrap();
    let short_lived = fill.rig.gpu.buffer(256).unwrap();
    // Metal's contract is broken on purpose: the buffer does not live as long as the work.
    let commands = unsafe { fill.rig.queue.commands_fast() }.unwrap();
    commands.wait_for(&gate, 1);
    let encoder = commands.encoder().unwrap();
    fill.bind(&encoder);
    encoder.bind_buffer(&short_lived, 0, 0);
    encoder.launch((64, 1, 1), (32, 1, 1));
    encoder.finish();
    commands.submit();
    drop(short_lived);
    gate.set_signaled_value(1);
    let Err(GpuError::CommandBufferError(why)) = commands.finish() else { panic!("it was used") };
    assert_contains(&why, &["released"]);
    fill.still_works();
}

#[test]
fn retained_resources_may_be_dropped() {
    let fill = Fill::new();
    let gate = fill.rig.gpu.shared_event().unwrap();
    let (pipeline, scratch) = (fill.rig.kernel(FILL), fill.rig.gpu.buffer(256).unwrap());
    let commands = fill.rig.queue.commands().unwrap();
    commands.wait_for(&gate, 1);
    let encoder = commands.encoder().unwrap();
    encoder.bind(&pipeline);
    encoder.bind_buffer(&scratch, 0, 0);
    encoder.push(&5u32.to_ne_bytes(), 1);
    encoder.launch((64, 1, 1), (32, 1, 1));
    encoder.finish();
    let copier = commands.copier().unwrap();
    copier.copy(&scratch, 0, &fill.buffer, 0, 256);
    copier.finish();
    commands.submit();
    drop((scratch, pipeline));
    gate.set_signaled_value(1);
    commands.finish().unwrap();
    assert!(fill.buffer.read_as(|x: &[u32]| x.iter().all(|&x| x == 5)));
}

/// A bound range ends at its own end, also after a later change of the offset.
#[test]
fn access_past_a_bound_range_is_a_fault() {
    let fill = Fill::new();
    let run = |range: std::ops::Range<usize>, offset: Option<usize>, threads: usize| {
        fault(&fill.rig, |encoder| {
            encoder.bind(&fill.pipeline);
            encoder.bind_range(&fill.buffer, range.clone(), 0);
            offset.into_iter().for_each(|offset| encoder.bind_offset(offset, 0));
            encoder.push(&9u32.to_ne_bytes(), 1);
            encoder.launch((threads, 1, 1), (threads, 1, 1));
        })
    };
    assert_contains(&run(16..32, None, 5), &["offset 16 of 'out'", "16 bytes"]);
    assert_contains(&run(16..32, Some(24), 3), &["offset 8 of 'out'", "8 bytes"]);
    assert_contains(&run(16..32, Some(33), 1), &["offset 33 is past the end", "32 bytes"]);
    assert_contains(&run(16..257, None, 1), &["offset 257 is past the end", "256 bytes"]);
    fill.buffer
        .read_as(|x: &[u32]| assert_eq!(x[8..], [0; 56], "nothing past the range was written"));
    fill.still_works();
}
