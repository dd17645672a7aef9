//! The cost of `races`: kernels with and without the check, in one run, by processor time.

use super::{Checks, Rig, checked};
use aruminium::{Buffer, Pipeline, autorelease_pool};

const SAXPY: &str =
    "kernel void k(device float *y [[buffer(0)]], device const float *x [[buffer(1)]],
        uint i [[thread_position_in_grid]]) {
    y[i] = 2.0f * x[i] + y[i];
}";

const HALVES: &str =
    "kernel void k(device half *y [[buffer(0)]], device const half *x [[buffer(1)]],
        uint i [[thread_position_in_grid]]) {
    y[i] = 2.0h * x[i] + y[i];
}";

const NAIVE: &str =
    "kernel void k(device float *c [[buffer(0)]], device const float *a [[buffer(1)]],
        device const float *b [[buffer(2)]], uint2 at [[thread_position_in_grid]]) {
    float sum = 0;
    for (uint k = 0; k < 512; k++) sum += a[at.y * 512 + k] * b[k * 512 + at.x];
    c[at.y * 512 + at.x] = sum;
}";

const TILED: &str =
    "kernel void k(device float *c [[buffer(0)]], device const float *a [[buffer(1)]],
        device const float *b [[buffer(2)]], uint2 at [[thread_position_in_grid]],
        uint2 in [[thread_position_in_threadgroup]]) {
    threadgroup float left[16][16], right[16][16];
    float sum = 0;
    for (uint tile = 0; tile < 512; tile += 16) {
        left[in.y][in.x] = a[at.y * 512 + tile + in.x];
        right[in.y][in.x] = b[(tile + in.y) * 512 + at.x];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint k = 0; k < 16; k++) sum += left[in.y][k] * right[k][in.x];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    c[at.y * 512 + at.x] = sum;
}";

const TREE: &str =
    "kernel void k(device float *sums [[buffer(0)]], device const float *x [[buffer(1)]],
        uint i [[thread_position_in_grid]], uint in [[thread_index_in_threadgroup]],
        uint group [[threadgroup_position_in_grid]]) {
    threadgroup float all[256];
    all[in] = x[i];
    for (uint step = 128; step > 0; step /= 2) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (in < step) all[in] += all[in + step];
    }
    if (in == 0) sums[group] = all[0];
}";

const COUNTS: &str =
    "kernel void k(device atomic_uint *bins [[buffer(0)]], device const uint *x [[buffer(1)]],
        uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(&bins[x[i] & 255u], 1u, memory_order_relaxed);
}";

type Size = (usize, usize, usize);

unsafe extern "C" {
    fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
}

/// The processor time of all threads so far, in milliseconds: other programs do not change it much.
fn processor_time() -> f64 {
    const OF_PROCESS: i32 = 2;
    let mut time = [0; 2];
    // SAFETY: two numbers of 64 bits, as on all 64-bit Linux systems.
    unsafe { clock_gettime(OF_PROCESS, &raw mut time) };
    time[0] as f64 * 1e3 + time[1] as f64 / 1e6
}

/// The best of some runs, in milliseconds of processor time.
fn time(rig: &Rig, pipeline: &Pipeline, buffers: &[Buffer], grid: Size, group: Size) -> f64 {
    let run = || {
        autorelease_pool(|| {
            let start = processor_time();
            let commands = rig.queue.commands().unwrap();
            let encoder = commands.encoder().unwrap();
            encoder.bind(pipeline);
            for (number, buffer) in buffers.iter().enumerate() {
                encoder.bind_buffer(buffer, 0, number);
            }
            encoder.launch(grid, group);
            encoder.finish();
            commands.submit();
            commands.finish().unwrap();
            let elapsed = processor_time() - start;
            assert_eq!(commands.reports().unwrap_or_default().len(), 0);
            elapsed
        })
    };
    // Short ones vary most.
    let (mut best, mut all) = (f64::INFINITY, 0.0);
    for number in 0..50 {
        if number >= 5 && all > 50.0 {
            break;
        }
        let time = run();
        (best, all) = (best.min(time), all + time);
    }
    best
}

/// A kernel, its buffers' words, the grid, the threadgroup, and the ratio that the specification says.
type Row = (&'static str, &'static str, usize, Size, Size, f64);

const SQUARE: Size = (512, 512, 1);
const ROWS: [Row; 7] = [
    ("saxpy, 1 Mi", SAXPY, 1 << 20, (1 << 20, 1, 1), (256, 1, 1), 16.0),
    ("saxpy, 16 Mi", SAXPY, 1 << 24, (1 << 24, 1, 1), (256, 1, 1), 17.0),
    ("saxpy of halves, 1 Mi", HALVES, 1 << 19, (1 << 20, 1, 1), (256, 1, 1), 9.0),
    ("matmul 512³", NAIVE, 1 << 18, SQUARE, (32, 8, 1), 12.0),
    ("matmul 512³, 16×16 tiles", TILED, 1 << 18, SQUARE, (16, 16, 1), 17.0),
    ("tree sum, 1 Mi", TREE, 1 << 20, (1 << 20, 1, 1), (256, 1, 1), 21.0),
    ("histogram, 1 Mi", COUNTS, 1 << 20, (1 << 20, 1, 1), (256, 1, 1), 2.2),
];

/// Run it alone: `cargo test --test driver_sanitize cost -- --ignored --nocapture`, with `--release`, too.
#[test]
#[ignore = "a measurement"]
fn races_cost_what_the_specification_says() {
    let rig = Rig::new();
    let set_up = |&(_, source, words, ..): &Row| {
        let buffers: Vec<Buffer> = (0..3)
            .map(|_| {
                let buffer = rig.gpu.buffer(words * 4).unwrap();
                buffer.write_f32(|all| all.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32));
                buffer
            })
            .collect();
        let library = rig.gpu.compile(&format!("using namespace metal;\n{source}")).unwrap();
        (buffers, rig.gpu.pipeline(&library.function("k").unwrap()).unwrap())
    };
    // Before there was any check in the process, and after.
    let before = ROWS.map(|row| {
        let (buffers, plain) = set_up(&row);
        time(&rig, &plain, &buffers, row.3, row.4)
    });
    let mut wrong = Vec::new();
    for (row, before) in ROWS.iter().zip(before) {
        let &(name, source, _, grid, group, published) = row;
        let (buffers, plain) = set_up(row);
        let races = checked(&rig.gpu, source, Checks::RACES);
        let [races, plain] =
            [races, plain].map(|pipeline| time(&rig, &pipeline, &buffers, grid, group));
        let ratio = races / plain;
        println!(
            "{name:26} {plain:8.2} ms ({before:.2} before there were checks), races {races:8.2} ms: {ratio:.1} times"
        );
        if ratio > published * 1.5 {
            wrong.push(format!("{name}: {ratio:.1} times, and {published} in specs/sanitizer.md"));
        }
    }
    // Threadgroup memory under `init`.
    let &(name, source, _, grid, group, _) = &ROWS[4];
    let (buffers, plain) = set_up(&ROWS[4]);
    let plain = time(&rig, &plain, &buffers, grid, group);
    for (checks, published) in [(Checks::INIT, 31.0), (Checks::INIT | Checks::RACES, 27.0)] {
        let time = time(&rig, &checked(&rig.gpu, source, checks), &buffers, grid, group);
        let ratio = time / plain;
        println!("{name:26} {checks:?} {time:8.2} ms: {ratio:.1} times");
        if ratio > published * 1.5 {
            wrong.push(format!("{name}, {checks:?}: {ratio:.1} times, and {published} before"));
        }
    }
    // Several queues, as in a program of many tests: at rest, and while a command buffer of another queue may come at any time.
    let other = rig.gpu.new_command_queue().unwrap();
    let event = rig.gpu.shared_event().unwrap();
    let waits = other.commands().unwrap();
    waits.wait_for(&event, 1);
    for (name, number, is_held, published) in [
        ("saxpy, 1 Mi, 2 queues", 0, false, 18.0),
        ("saxpy, 16 Mi, 2 queues", 1, false, 14.0),
        ("saxpy, 1 Mi, one waits", 0, true, 23.0),
    ] {
        let &(_, source, _, grid, group, _) = &ROWS[number];
        let (buffers, plain) = set_up(&ROWS[number]);
        if is_held {
            waits.submit();
        }
        let races = checked(&rig.gpu, source, Checks::RACES);
        let [races, plain] =
            [races, plain].map(|pipeline| time(&rig, &pipeline, &buffers, grid, group));
        let ratio = races / plain;
        println!("{name:26} {plain:8.2} ms, races {races:8.2} ms: {ratio:.1} times");
        if ratio > published * 1.5 {
            wrong.push(format!("{name}: {ratio:.1} times, and {published} in specs/sanitizer.md"));
        }
    }
    event.set_signaled_value(1);
    waits.finish().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
