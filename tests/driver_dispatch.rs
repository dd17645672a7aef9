//! Launches: through encoders, through `Dispatch` and `Batch`, synchronous and asynchronous.

#![allow(clippy::undocumented_unsafe_blocks)] // Kernels stay in their buffers, which outlive the waits.

mod gpu;

use aruminium::{
    Batch, Buffer, Dispatch, DispatchType, Dispatcher, Encoder, GpuError, GpuFuture, Pipeline,
    ResourceUsage, autorelease_pool,
};
use gpu::Rig;

const SCALE: &str =
    "kernel void scale(device float *out, device const float *in, constant float &by,
    uint i [[thread_position_in_grid]]) { out[i] = in[i] * by; }";

const ADD: &str =
    "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) {
    x[i] += a;
}";

fn numbers(rig: &Rig, count: u16) -> Buffer {
    let bytes: Vec<u8> = (0..count).flat_map(|i| f32::from(i).to_ne_bytes()).collect();
    rig.gpu.buffer_with_data(&bytes).unwrap()
}

fn is_scaled(buffer: &Buffer, by: f32) -> bool {
    buffer.read_f32(|x| x.iter().zip(0u16..).all(|(&x, i)| x == f32::from(i) * by))
}

#[test]
fn an_encoder_binds_pushes_and_launches() {
    let rig = Rig::new();
    let pipeline = rig.kernel(SCALE);
    let (input, output) = (numbers(&rig, 100), rig.gpu.buffer(400).unwrap());
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffer(&output, 0, 0);
        encoder.bind_buffer(&input, 0, 1);
        encoder.push(&3.0f32.to_ne_bytes(), 2);
        encoder.launch((100, 1, 1), (32, 1, 1));
    })
    .unwrap();
    assert!(is_scaled(&output, 3.0));
}

#[test]
fn binding_another_pipeline_changes_what_runs() {
    let rig = Rig::new();
    let (scale, add) = (rig.kernel(SCALE), rig.kernel(ADD));
    let (input, output) = (numbers(&rig, 64), rig.gpu.buffer(256).unwrap());
    rig.run(|encoder| {
        encoder.bind(&scale);
        encoder.bind_buffer(&output, 0, 0);
        encoder.bind_buffer(&input, 0, 1);
        encoder.push(&2.0f32.to_ne_bytes(), 2);
        encoder.launch((64, 1, 1), (64, 1, 1));
        encoder.bind(&add);
        encoder.push(&0.5f32.to_ne_bytes(), 1);
        encoder.launch((32, 1, 1), (32, 1, 1));
    })
    .unwrap();
    let expected = |i: u16| f32::from(i) * 2.0 + if i < 32 { 0.5 } else { 0.0 };
    assert!(output.read_f32(|x| x.iter().zip(0..).all(|(&x, i)| x == expected(i))));
}

#[test]
fn a_buffer_is_bound_from_its_offset_on() {
    let rig = Rig::new();
    let add = rig.kernel(ADD);
    let buffer = rig.gpu.buffer(64 * 4).unwrap();
    rig.run(|encoder| {
        encoder.bind(&add);
        encoder.push(&1.0f32.to_ne_bytes(), 1);
        encoder.bind_buffer(&buffer, 16 * 4, 0);
        encoder.launch((8, 1, 1), (8, 1, 1));
        encoder.bind_offset(32 * 4, 0);
        encoder.launch((16, 1, 1), (8, 1, 1));
    })
    .unwrap();
    let touched = |i: usize| (16..24).contains(&i) || (32..48).contains(&i);
    assert!(buffer.read_f32(|x| x.iter().enumerate().all(|(i, &x)| (x == 1.0) == touched(i))));
}

#[test]
fn several_buffers_are_bound_at_once() {
    let rig = Rig::new();
    let pipeline = rig.kernel(SCALE);
    let (input, output) = (numbers(&rig, 64), rig.gpu.buffer(256).unwrap());
    let record = |encoder: &Encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffers(&[(&output, 0), (&input, 0)], 0);
        encoder.use_resource(&input, ResourceUsage::READ);
        encoder.push(&4.0f32.to_ne_bytes(), 2);
        encoder.launch((64, 1, 1), (32, 1, 1));
    };
    rig.run(record).unwrap();
    assert!(is_scaled(&output, 4.0));
}

/// Every thread writes its position in the grid.
const PLACES: &str = "kernel void places(device uint *out, constant uint3 &size, uint3 p [[thread_position_in_grid]]) {
    if (all(p < size)) out[(p.z * size.y + p.y) * size.x + p.x] += 1 + p.x + 100 * p.y + 10000 * p.z;
}";

fn places(rig: &Rig, size: [u32; 3], record: impl FnOnce(&Encoder)) -> bool {
    let pipeline = rig.kernel(PLACES);
    let buffer = rig.gpu.buffer(size.iter().product::<u32>() as usize * 4).unwrap();
    let bytes: Vec<u8> =
        [size[0], size[1], size[2], 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffer(&buffer, 0, 0);
        encoder.push(&bytes, 1);
        record(encoder);
    })
    .unwrap();
    let mut expected = (0..size[2]).flat_map(|z| {
        (0..size[1]).flat_map(move |y| (0..size[0]).map(move |x| 1 + x + 100 * y + 10_000 * z))
    });
    buffer.read_as(|out: &[u32]| out.iter().all(|&place| Some(place) == expected.next()))
}

#[test]
fn a_grid_may_end_in_partial_threadgroups() {
    let rig = Rig::new();
    assert!(places(&rig, [37, 5, 3], |encoder| encoder.launch((37, 5, 3), (16, 2, 2))));
    assert!(places(&rig, [1, 1, 1], |encoder| encoder.launch((1, 1, 1), (32, 1, 1))));
    // A smaller grid leaves the rest alone.
    assert!(!places(&rig, [37, 5, 3], |encoder| encoder.launch((36, 5, 3), (16, 2, 2))));
}

#[test]
fn whole_threadgroups_are_launched() {
    let rig = Rig::new();
    assert!(places(&rig, [37, 5, 3], |encoder| encoder.launch_groups((3, 3, 2), (16, 2, 2))));
    assert!(!places(&rig, [37, 5, 3], |encoder| encoder.launch_groups((2, 3, 2), (16, 2, 2))));
}

#[test]
fn indirect_launches_read_their_size_from_a_buffer() {
    let rig = Rig::new();
    let counts: Vec<u8> = [9u32, 3, 3, 2].into_iter().flat_map(u32::to_ne_bytes).collect();
    let counts = rig.gpu.buffer_with_data(&counts).unwrap();
    assert!(places(&rig, [37, 5, 3], |encoder| encoder.launch_indirect(&counts, 4, (16, 2, 2))));
}

#[test]
fn threadgroup_memory_has_the_requested_length() {
    let rig = Rig::new();
    let reverse = rig.kernel(
        "kernel void reverse(device float *x, threadgroup float *held [[threadgroup(0)]],
            uint i [[thread_position_in_threadgroup]], uint n [[threads_per_threadgroup]]) {
            held[i] = x[i];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            x[i] = held[n - 1 - i];
        }",
    );
    let buffer = numbers(&rig, 128);
    rig.run(|encoder| {
        encoder.bind(&reverse);
        encoder.bind_buffer(&buffer, 0, 0);
        encoder.threadgroup_memory(128 * 4, 0);
        encoder.launch((128, 1, 1), (128, 1, 1));
    })
    .unwrap();
    assert!(buffer.read_f32(|x| x.iter().rev().zip(0u16..).all(|(&x, i)| x == f32::from(i))));
}

#[test]
fn one_dispatch_is_one_call() {
    let rig = Rig::new();
    let dispatch = Dispatch::new(&rig.queue);
    let double = rig.kernel(
        "kernel void twice(device float *out, device const float *in, uint i [[thread_position_in_grid]]) {
            out[i] = in[i] * 2;
        }",
    );
    let (input, output) = (numbers(&rig, 100), rig.gpu.buffer(400).unwrap());
    unsafe {
        dispatch.dispatch(&double, &[(&output, 0, 0), (&input, 0, 1)], (100, 1, 1), (32, 1, 1))
    }
    .unwrap();
    assert!(is_scaled(&output, 2.0));

    let scale = rig.kernel(SCALE);
    let (by, buffers) = (5.0f32.to_ne_bytes(), [(&output, 0, 0), (&input, 0, 1)]);
    unsafe { dispatch.dispatch_with_bytes(&scale, &buffers, &by, 2, (100, 1, 1), (32, 1, 1)) }
        .unwrap();
    assert!(is_scaled(&output, 5.0));
}

#[test]
fn a_dispatcher_is_a_dispatch() {
    let rig = Rig::new();
    let add = rig.kernel(ADD);
    let buffer = rig.gpu.buffer(16).unwrap();
    let dispatcher: Dispatcher = Dispatcher::new(&rig.queue);
    let one = 1.0f32.to_ne_bytes();
    unsafe {
        dispatcher.dispatch_with_bytes(&add, &[(&buffer, 0, 0)], &one, 1, (4, 1, 1), (4, 1, 1))
    }
    .unwrap();
    assert_eq!(buffer.read_f32(<[f32]>::to_vec), [1.0; 4]);
}

/// Adds 1, 2, … to every number, a launch each.
fn add_all(batch: &Batch<'_>, add: &Pipeline, buffer: &Buffer, launches: u8) {
    batch.bind(add);
    batch.bind_buffer(buffer, 0, 0);
    for step in 1..=launches {
        batch.push(&f32::from(step).to_ne_bytes(), 1);
        batch.launch((64, 1, 1), (32, 1, 1));
    }
}

fn all_are(buffer: &Buffer, value: f32) -> bool {
    buffer.read_f32(|x| x.iter().all(|&x| x == value))
}

#[test]
fn a_batch_is_many_launches_in_order() {
    let rig = Rig::new();
    let dispatch = Dispatch::new(&rig.queue);
    let (add, buffer) = (rig.kernel(ADD), rig.gpu.buffer(256).unwrap());
    unsafe { dispatch.batch(|batch| add_all(batch, &add, &buffer, 10)) }.unwrap();
    assert!(all_are(&buffer, 55.0));
    autorelease_pool(|| unsafe {
        dispatch.batch_raw(|batch| add_all(batch, &add, &buffer, 4)).unwrap();
        dispatch.batch_raw(|batch| add_all(batch, &add, &buffer, 4)).unwrap();
    });
    assert!(all_are(&buffer, 75.0));
}

#[test]
fn a_batch_has_the_methods_of_an_encoder() {
    let rig = Rig::new();
    let dispatch = Dispatch::new(&rig.queue);
    let pipeline = rig.kernel(PLACES);
    let buffer = rig.gpu.buffer(64 * 4).unwrap();
    let counts: Vec<u8> = [2u32, 1, 1].into_iter().flat_map(u32::to_ne_bytes).collect();
    let counts = rig.gpu.buffer_with_data(&counts).unwrap();
    let size: Vec<u8> = [64u32, 1, 1, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    let batch = |batch: &Batch<'_>| {
        batch.bind(&pipeline);
        batch.bind_buffers(&[(&buffer, 0)], 0);
        batch.push(&size, 1);
        batch.launch((64, 1, 1), (32, 1, 1));
        batch.launch_groups((2, 1, 1), (32, 1, 1));
        batch.barrier_for(&[&buffer]);
        batch.launch_indirect(&counts, 0, (32, 1, 1));
    };
    unsafe { dispatch.batch(batch) }.unwrap();
    assert!(buffer.read_as(|x: &[u32]| x.iter().zip(0..).all(|(&x, i)| x == 3 * (i + 1))));
}

#[test]
fn waiting_for_a_future_waits_for_its_work() {
    let rig = Rig::new();
    let dispatch = Dispatch::new(&rig.queue);
    let (add, buffer) = (rig.kernel(ADD), rig.gpu.buffer(256).unwrap());
    let future: GpuFuture =
        unsafe { dispatch.batch_async(|batch| add_all(batch, &add, &buffer, 3)) };
    future.wait().unwrap();
    assert!(all_are(&buffer, 6.0));
}

#[test]
fn a_future_that_is_dropped_waits() {
    let rig = Rig::new();
    let dispatch = Dispatch::new(&rig.queue);
    let (add, buffer) = (rig.kernel(ADD), rig.gpu.buffer(256).unwrap());
    for turn in 1..=20u8 {
        drop(unsafe { dispatch.batch_async(|batch| add_all(batch, &add, &buffer, 1)) });
        assert!(all_are(&buffer, f32::from(turn)));
    }
}

/// The future is returned before the work is done: the gate is opened only after that.
#[test]
fn batch_async_does_not_wait() {
    let rig = Rig::new();
    let dispatch = Dispatch::new(&rig.queue);
    let (add, buffer) = (rig.kernel(ADD), rig.gpu.buffer(256).unwrap());
    let gate = rig.gpu.shared_event().unwrap();
    let closed = rig.queue.commands().unwrap();
    closed.wait_for(&gate, 1);
    closed.submit();
    let future = unsafe { dispatch.batch_async(|batch| add_all(batch, &add, &buffer, 1)) };
    assert!(all_are(&buffer, 0.0));
    gate.set_signaled_value(1);
    future.wait().unwrap();
    assert!(all_are(&buffer, 1.0));
}

#[test]
fn recorded_work_runs_when_it_is_submitted() {
    let rig = Rig::new();
    let dispatch = Dispatch::new(&rig.queue);
    let (add, buffer) = (rig.kernel(ADD), rig.gpu.buffer(256).unwrap());
    let record = |count| unsafe { dispatch.record(|batch| add_all(batch, &add, &buffer, count)) };
    let (first, second, dropped) = (record(1).unwrap(), record(2).unwrap(), record(4).unwrap());
    second.submit().wait().unwrap();
    assert!(all_are(&buffer, 3.0));
    let running = first.submit();
    drop(dropped);
    running.wait().unwrap();
    assert!(all_are(&buffer, 4.0));
}

#[test]
fn batches_are_pipelined() {
    let rig = Rig::new();
    let dispatch = Dispatch::new(&rig.queue);
    let (add, buffer) = (rig.kernel(ADD), rig.gpu.buffer(256).unwrap());
    let mut previous: Option<GpuFuture> = None;
    for _ in 0..50 {
        let next = unsafe { dispatch.batch_async(|batch| add_all(batch, &add, &buffer, 3)) };
        if let Some(previous) = previous.replace(next) {
            previous.wait().unwrap();
        }
    }
    previous.unwrap().wait().unwrap();
    assert!(all_are(&buffer, 300.0));
}

#[test]
fn a_serial_encoder_orders_its_launches() {
    let rig = Rig::new();
    let add = rig.kernel(ADD);
    let buffer = rig.gpu.buffer(256).unwrap();
    let commands = rig.queue.commands().unwrap();
    let encoder = commands.encoder_with(DispatchType::Serial).unwrap();
    encoder.bind(&add);
    encoder.bind_buffer(&buffer, 0, 0);
    encoder.push(&1.0f32.to_ne_bytes(), 1);
    (0..100).for_each(|_| encoder.launch((64, 1, 1), (32, 1, 1)));
    encoder.finish();
    commands.submit();
    commands.finish().unwrap();
    assert!(all_are(&buffer, 100.0));
}

/// Every method returns the same failure.
#[test]
#[cfg(not(target_vendor = "apple"))] // On Apple's systems it takes a fault of the hardware.
fn every_method_reports_a_failure() {
    let rig = Rig::new();
    let dispatch = Dispatch::new(&rig.queue);
    let add = rig.kernel(ADD);
    let wrong = |batch: &Batch<'_>| {
        batch.bind(&add);
        batch.launch((64, 1, 1), (32, 1, 1));
    };
    let outcomes = unsafe {
        [
            dispatch.dispatch(&add, &[], (64, 1, 1), (32, 1, 1)),
            dispatch.dispatch_with_bytes(&add, &[], &[0; 4], 1, (64, 1, 1), (32, 1, 1)),
            dispatch.batch(wrong),
            autorelease_pool(|| dispatch.batch_raw(wrong)),
            dispatch.batch_async(wrong).wait(),
        ]
    };
    for outcome in outcomes {
        let Err(aruminium::GpuError::CommandBufferError(why)) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(why.contains("add"), "{why}");
    }
    // Later work runs.
    let buffer = rig.gpu.buffer(256).unwrap();
    unsafe { dispatch.batch(|batch| add_all(batch, &add, &buffer, 2)) }.unwrap();
    assert!(all_are(&buffer, 3.0));
}

/// Buffers that a kernel finds in memory are checked as bound ones are, and have to be declared.
#[test]
fn a_kernel_follows_pointers_in_memory() {
    let rig = Rig::new();
    let source = "struct Args { device const float *in [[id(1)]]; device float *out [[id(0)]]; };
        kernel void k(constant Args &args [[buffer(2)]], uint i [[thread_position_in_grid]]) {
            args.out[i] = args.in[i] * 2;
        }";
    let function = rig.gpu.compile(source).unwrap().function("k").unwrap();
    assert!(function.argument_encoder(0).is_none());
    let arguments = function.argument_encoder(2).unwrap();
    let pipeline = rig.gpu.pipeline(&function).unwrap();
    let args = rig.gpu.buffer(arguments.length()).unwrap();
    let (input, output) = (numbers(&rig, 64), rig.gpu.buffer(256).unwrap());
    output.set_label("results");
    // SAFETY: no kernel uses the buffer yet.
    unsafe { arguments.set_target(&args, 0) };
    arguments.set_buffer(&input, 0, 1);
    arguments.set_buffer(&output, 0, 0);
    let run = |threads: usize, usage: ResourceUsage| {
        rig.run(|encoder| {
            encoder.bind(&pipeline);
            encoder.bind_buffer(&args, 0, 2);
            encoder.use_resource(&input, ResourceUsage::READ);
            encoder.use_resource(&output, usage);
            encoder.launch((threads, 1, 1), (32, 1, 1));
        })
    };
    run(64, ResourceUsage::WRITE).unwrap();
    assert!(is_scaled(&output, 2.0));
    if cfg!(not(target_vendor = "apple")) {
        let Err(GpuError::KernelFault(fault)) = run(64, ResourceUsage::READ) else {
            panic!("the buffer was declared for reading")
        };
        assert_eq!((fault.argument.as_deref(), fault.write), (Some("results"), true));
        let Err(GpuError::KernelFault(fault)) = run(96, ResourceUsage::WRITE) else {
            panic!("the buffers have 64 elements")
        };
        assert_eq!((fault.offset, fault.size), (Some(256), Some(256)));
    }
}

#[test]
fn tiles_of_halves_are_multiplied_whatever_the_distance_of_their_rows() {
    const STEPS: usize = 5;
    let rig = Rig::new();
    // Tiles of a step: two left factors below each other, and a right one. Their products and sums are exact.
    let value = |at: usize| ((at * 7 + at / 64 * 3) % 9) as f32 / 8.0 - 0.5;
    let halves: Vec<u8> = (0..192 * STEPS)
        .flat_map(|at| aruminium::fp16::f32_to_fp16(value(at)).to_ne_bytes())
        .collect();
    let input = rig.gpu.buffer_with_data(&halves).unwrap();
    let sum = |at: usize| -> f32 {
        let (row, column) = (at / 8, at % 8);
        let product = |k: usize| {
            let tiles = 192 * (k / 8);
            value(tiles + 8 * row + k % 8) * value(tiles + 128 + 8 * (k % 8) + column)
        };
        (0..8 * STEPS).map(product).sum()
    };
    let expected: Vec<f32> = (0..128).map(sum).collect();
    // Rows of eight, and rows that are aligned to 16 bytes, to 8, to 4 and to 2.
    for row in [8, 24, 12, 10, 9] {
        let pipeline = rig.kernel(&format!(
            "kernel void k(device const half *x, device float *y, constant uint &n, uint i [[thread_index_in_threadgroup]]) {{
                threadgroup half a[16 * {row}], b[8 * {row}];
                uint quad = i / 4, at = ((quad & 4) + i / 2 % 4) * {row} + (quad & 2) * 2 + i % 2 * 2;
                threadgroup const half *p = a + at, *q = b + at;
                simdgroup_half8x8 left[2], right;
                simdgroup_float8x8 sum[2] = {{simdgroup_float8x8(0), simdgroup_float8x8(0)}};
                for (uint k = 0; k < n; k++) {{
                    threadgroup_barrier(mem_flags::mem_threadgroup);
                    for (uint j = 0, e = i; j < 4; j++, e += 32) a[e / 8 * {row} + e % 8] = x[192 * k + e];
                    for (uint j = 0, e = i; j < 2; j++, e += 32) b[e / 8 * {row} + e % 8] = x[192 * k + 128 + e];
                    threadgroup_barrier(mem_flags::mem_threadgroup);
                    for (uint e = 0; e < 2; e++) {{
                        left[0].thread_elements()[e] = p[e];
                        left[1].thread_elements()[e] = p[8 * {row} + e];
                        right.thread_elements()[e] = q[e];
                    }}
                    for (uint j = 0; j < 2; j++) simdgroup_multiply_accumulate(sum[j], left[j], right, sum[j]);
                }}
                simdgroup_store(sum[0], y, 8);
                simdgroup_store(sum[1], y + 64, 8);
            }}"
        ));
        let output = rig.gpu.buffer(512).unwrap();
        rig.run(|encoder| {
            encoder.bind(&pipeline);
            encoder.bind_buffer(&input, 0, 0);
            encoder.bind_buffer(&output, 0, 1);
            encoder.push(&(STEPS as u32).to_ne_bytes(), 2);
            encoder.launch((32, 1, 1), (32, 1, 1));
        })
        .unwrap();
        assert_eq!(output.read_f32(<[f32]>::to_vec), expected, "rows of {row}");
    }
}

#[test]
fn tiles_of_any_number_of_iterations_are_multiplied() {
    const ROWS: usize = 64;
    const MOST: usize = 9;
    let rig = Rig::new();
    let left = |row: usize, k: usize| ((row * 3 + k * 5) % 7) as f32 - 3.0;
    let right = |k: usize, column: usize| ((k + 2 * column) % 5) as f32 - 2.0;
    let halves = |count: usize, value: &dyn Fn(usize) -> f32| {
        let bytes = |at| aruminium::fp16::f32_to_fp16(value(at)).to_ne_bytes();
        let bytes: Vec<u8> = (0..count).flat_map(bytes).collect();
        rig.gpu.buffer_with_data(&bytes).unwrap()
    };
    let long = 16 * MOST;
    let inputs = [
        halves(ROWS * long, &|at| left(at / long, at % long)),
        halves(long * ROWS, &|at| right(at / ROWS, at % ROWS)),
    ];
    // Each thread has a row of the first tile, and a quarter of one of the second.
    let pipeline = rig.kernel(
        "
        #define P(j) sum += float(a[24 * (63 - i) + j]) * float(b[72 * j + i]);
        kernel void k(device const half *x, device const half *w, device float *y, constant uint &n, constant uint2 &rows, uint i [[thread_index_in_threadgroup]]) {
            threadgroup half a[64 * 24], b[16 * 72];
            device const half *p = x + rows.x * i, *q = w + rows.y * (i / 4) + 16 * (i % 4);
            threadgroup uint4 *to_a = (threadgroup uint4 *)(a + 24 * i), *to_b = (threadgroup uint4 *)(b + 72 * (i / 4) + 16 * (i % 4));
            float sum = 0;
            for (uint k = 0; k < n; k++) {
                threadgroup_barrier(mem_flags::mem_threadgroup);
                for (uint j = 0; j < 2; j++) to_a[j] = ((device const uint4 *)p)[j];
                for (uint j = 0; j < 2; j++) to_b[j] = ((device const uint4 *)q)[j];
                threadgroup_barrier(mem_flags::mem_threadgroup);
                P(0) P(1) P(2) P(3) P(4) P(5) P(6) P(7) P(8) P(9) P(10) P(11) P(12) P(13) P(14) P(15)
                p += 16;
                q += 16 * rows.y;
            }
            y[i] = sum;
        }",
    );
    let output = rig.gpu.buffer(4 * ROWS).unwrap();
    for steps in [0, 1, 3, 4, 5, 8, MOST] {
        rig.run(|encoder| {
            encoder.bind(&pipeline);
            encoder.bind_buffer(&inputs[0], 0, 0);
            encoder.bind_buffer(&inputs[1], 0, 1);
            encoder.bind_buffer(&output, 0, 2);
            encoder.push(&(steps as u32).to_ne_bytes(), 3);
            let rows = [long as u32, ROWS as u32].map(u32::to_ne_bytes).concat();
            encoder.push(&rows, 4);
            encoder.launch((ROWS, 1, 1), (ROWS, 1, 1));
        })
        .unwrap();
        let product = |i: usize, k: usize| left(ROWS - 1 - i, k) * right(k, i);
        let sum = |i: usize| (0..16 * steps).map(|k| product(i, k)).sum();
        let expected: Vec<f32> = (0..ROWS).map(sum).collect();
        assert_eq!(output.read_f32(<[f32]>::to_vec), expected, "{steps} iterations");
    }
}
