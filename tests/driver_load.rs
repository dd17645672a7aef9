//! Many command buffers: from many threads, without a pool, with failures among them, and with all their objects
//! dropped while they run. `ARUMINIUM_TEST_SCALE=small` makes the loops short.

#![allow(clippy::undocumented_unsafe_blocks)] // The bindings outlive the work, or the work retains them.

#[cfg(target_os = "linux")]
mod child;
mod gpu;
#[cfg(target_os = "linux")]
mod memory_use;

use aruminium::{
    Batch, Buffer, Commands, Dispatch, Gpu, GpuFuture, Pipeline, Queue, autorelease_pool,
};
use gpu::Rig;

const ADD: &str = "kernel void add(device uint *x, constant uint &a, uint i [[thread_position_in_grid]]) { x[i] += a; }";

/// The same, from several queues at once.
const COUNT: &str = "kernel void count(device atomic_uint *x, constant uint &a,
    uint i [[thread_position_in_grid]]) { atomic_fetch_add_explicit(x + i, a, memory_order_relaxed); }";

/// A count, or a twentieth of it where the tests run in an emulator.
fn scaled(count: u32) -> u32 {
    let small = std::env::var("ARUMINIUM_TEST_SCALE").is_ok_and(|scale| scale == "small");
    if small { count / 20 } else { count }
}

fn add(batch: &Batch<'_>, pipeline: &Pipeline, buffer: &Buffer, value: u32) {
    batch.bind(pipeline);
    batch.bind_buffer(buffer, 0, 0);
    batch.push(&value.to_ne_bytes(), 1);
    batch.launch((32, 1, 1), (32, 1, 1));
}

fn encode(commands: &Commands, pipeline: &Pipeline, buffer: &Buffer, value: u32) {
    let encoder = commands.encoder().unwrap();
    encoder.bind(pipeline);
    encoder.bind_buffer(buffer, 0, 0);
    encoder.push(&value.to_ne_bytes(), 1);
    encoder.launch((32, 1, 1), (32, 1, 1));
    encoder.finish();
}

fn all_are(buffer: &Buffer, value: u32) -> bool {
    buffer.read_as(|x: &[u32]| x.iter().all(|&x| x == value))
}

#[test]
fn eight_threads_share_one_gpu() {
    const THREADS: u32 = 8;
    let each = scaled(10_000) / THREADS;
    let rig = Rig::new();
    let pipeline = rig.kernel(ADD);
    rig.run(|_| ()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (gpu, pipeline) = (&rig.gpu, &pipeline);
            scope.spawn(move || {
                let queue = gpu.new_command_queue().unwrap();
                let dispatch = Dispatch::new(&queue);
                let buffer = gpu.buffer(32 * 4).unwrap();
                let mut sum = 0u32;
                let mut previous: Option<GpuFuture> = None;
                for turn in 0..each {
                    let value = turn * THREADS + thread;
                    sum = sum.wrapping_add(value);
                    // Alternately: encoder, batch, and a batch that is waited for one iteration later.
                    match turn % 3 {
                        0 => autorelease_pool(|| {
                            let commands = queue.commands().unwrap();
                            encode(&commands, pipeline, &buffer, value);
                            commands.submit();
                            commands.finish().unwrap();
                        }),
                        1 => {
                            unsafe { dispatch.batch(|batch| add(batch, pipeline, &buffer, value)) }
                                .unwrap()
                        }
                        _ => {
                            let next = unsafe {
                                dispatch.batch_async(|batch| add(batch, pipeline, &buffer, value))
                            };
                            if let Some(previous) = previous.replace(next) {
                                previous.wait().unwrap();
                            }
                        }
                    }
                }
                drop(previous);
                assert!(all_are(&buffer, sum), "thread {thread}");
            });
        }
    });
}

/// If this fails, it fails to compile.
#[test]
fn types_are_send_and_sync_as_documented() {
    use aruminium::{
        Copier, Encoder, Event, Fence, Heap, Sampler, Shader, ShaderLib, SharedEvent, Texture,
    };
    fn moves<T: Send>() -> usize {
        size_of::<T>()
    }
    fn is_shared<T: Send + Sync>() -> usize {
        moves::<T>()
    }
    let shared = [
        is_shared::<Gpu>(),
        is_shared::<Queue>(),
        is_shared::<ShaderLib>(),
        is_shared::<Shader>(),
        is_shared::<Pipeline>(),
        is_shared::<Buffer>(),
        is_shared::<Texture>(),
        is_shared::<Sampler>(),
        is_shared::<Heap>(),
        is_shared::<Fence>(),
        is_shared::<Event>(),
        is_shared::<SharedEvent>(),
        is_shared::<Dispatch>(),
    ];
    let moved = [moves::<Commands>(), moves::<Encoder>(), moves::<Copier>(), moves::<GpuFuture>()];
    assert!(shared.iter().chain(&moved).all(|&size| size >= size_of::<usize>()));
}

#[test]
#[cfg(target_os = "linux")]
fn a_loop_without_a_pool_does_not_grow() {
    memory_use::measure("a_loop_without_a_pool_does_not_grow", || {
        let rig = Rig::new();
        let (pipeline, buffer) = (rig.kernel(ADD), rig.gpu.buffer(32 * 4).unwrap());
        let eighth = scaled(50_000) / 8;
        let run = || {
            for _ in 0..eighth {
                let commands = rig.queue.commands().unwrap();
                encode(&commands, &pipeline, &buffer, 1);
                commands.submit();
                commands.finish().unwrap();
            }
            memory_use::resident()
        };
        let sizes: [usize; 8] = std::array::from_fn(|_| run());
        // At some point the kernel becomes machine code, for which an emulated CPU needs memory of its own. What is lost
        // at each command buffer is lost in every eighth.
        let grown =
            sizes[3..].windows(2).map(|pair| pair[1].saturating_sub(pair[0])).min().unwrap();
        assert!(4 * grown < 2 << 20, "{grown} bytes more after {eighth} command buffers");
        assert!(all_are(&buffer, 8 * eighth));
    });
}

#[test]
#[cfg(not(target_vendor = "apple"))] // On Apple's systems a fault of one kernel may take the queue along.
fn a_failure_affects_only_its_command_buffer() {
    let rig = Rig::new();
    let (pipeline, buffer) = (rig.kernel(ADD), rig.gpu.buffer(32 * 4).unwrap());
    let turns = scaled(2_000);
    let mut all = Vec::new();
    for turn in 0..turns {
        let commands = rig.queue.commands().unwrap();
        if turn % 7 == 3 {
            // Twice as many threads as there are numbers.
            let encoder = commands.encoder().unwrap();
            encoder.bind(&pipeline);
            encoder.bind_buffer(&buffer, 64, 0);
            encoder.push(&0u32.to_ne_bytes(), 1);
            encoder.launch((32, 1, 1), (32, 1, 1));
            encoder.finish();
        } else {
            encode(&commands, &pipeline, &buffer, 1);
        }
        commands.submit();
        all.push(commands);
    }
    for (turn, commands) in (0..turns).zip(&all) {
        assert_eq!(commands.finish().is_err(), turn % 7 == 3, "{turn}");
    }
    let good = (0..turns).filter(|turn| turn % 7 != 3).count() as u32;
    assert!(all_are(&buffer, good));
}

/// All objects of one piece of work.
struct Work {
    gpu: Option<Gpu>,
    queue: Option<Queue>,
    pipeline: Option<Pipeline>,
    buffer: Option<Buffer>,
    commands: Option<Commands>,
}

impl Work {
    fn drop_part(&mut self, part: usize) {
        match part {
            0 => drop(self.gpu.take()),
            1 => drop(self.queue.take()),
            2 => drop(self.pipeline.take()),
            3 => drop(self.buffer.take()),
            _ => drop(self.commands.take()),
        }
    }
}

/// Every permutation of five items.
fn orders() -> Vec<[usize; 5]> {
    let mut orders = vec![];
    for code in 0..5usize.pow(5) {
        let order = [0, 1, 2, 3, 4].map(|place| code / 5usize.pow(place) % 5);
        if (0..5).all(|part| order.contains(&part)) {
            orders.push(order);
        }
    }
    assert_eq!(orders.len(), 120);
    orders
}

#[test]
fn everything_may_be_dropped_in_any_order_while_work_runs() {
    let rig = Rig::new();
    let (pipeline, count) = (rig.kernel(ADD), rig.kernel(COUNT));
    let target = rig.gpu.buffer(32 * 4).unwrap();
    let rounds = scaled(20).max(1);
    for order in (0..rounds).flat_map(|_| orders()) {
        autorelease_pool(|| {
            let queue = rig.gpu.new_command_queue().unwrap();
            let buffer = rig.gpu.buffer(32 * 4).unwrap();
            let commands = queue.commands().unwrap();
            encode(&commands, &pipeline, &buffer, 3);
            encode(&commands, &count, &target, 1);
            commands.submit();
            let mut work = Work {
                gpu: Some(rig.gpu.clone()),
                queue: Some(queue),
                pipeline: Some(pipeline.clone()),
                buffer: Some(buffer),
                commands: Some(commands),
            };
            order.into_iter().for_each(|part| work.drop_part(part));
        });
    }
    // Work completes although all its objects were dropped.
    let done = target.read_completed_as(|x: &[u32]| x[0]).unwrap();
    assert_eq!(done, 120 * rounds);
}

#[test]
fn futures_may_be_dropped_with_their_dispatch() {
    let rig = Rig::new();
    let (pipeline, buffer) = (rig.kernel(ADD), rig.gpu.buffer(32 * 4).unwrap());
    let turns = scaled(400);
    for turn in 0..turns {
        let dispatch = Dispatch::new(&rig.queue);
        let future = unsafe { dispatch.batch_async(|batch| add(batch, &pipeline, &buffer, 1)) };
        if turn % 2 == 0 {
            drop(dispatch);
            drop(future);
        } else {
            drop(future);
            drop(dispatch);
        }
    }
    assert!(all_are(&buffer, turns));
}

#[test]
fn futures_of_unsubmitted_command_buffers_end() {
    let rig = Rig::new();
    let (pipeline, buffer) = (rig.kernel(ADD), rig.gpu.buffer(32 * 4).unwrap());
    for turn in 0..scaled(400) {
        autorelease_pool(|| {
            let abandoned = rig.queue.commands().unwrap();
            if turn % 2 == 0 {
                abandoned.enqueue();
            }
            encode(&abandoned, &pipeline, &buffer, 1000);
        });
    }
    rig.run(|_| ()).unwrap();
    assert!(all_are(&buffer, 0));
}
