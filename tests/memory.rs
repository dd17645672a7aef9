//! Memory that the GPU uses: nothing is unmapped, recycled or lent again early.

#![cfg(feature = "memory")]

mod gpu;

use aruminium::memory::{Block, Frames, MemError, Pool, PoolLimits, Residency, Slab, Tape};
use aruminium::{Buffer, Commands, Dispatch, GpuError, Pipeline, PixelFormat, TextureDescriptor};
use gpu::Rig;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Adds 1 to each value after a long time.
const SLOW: &str =
    "kernel void slow(device uint *x, constant uint &steps, uint i [[thread_position_in_grid]]) {
    uint y = x[i];
    for (uint step = 0; step < steps; step++) { y = y * 1664525u + 1013904223u; }
    for (uint step = 0; step < steps; step++) { y = (y - 1013904223u) * 4276115653u; }
    x[i] = y + 1;
}";

const VALUES: usize = 256;

/// A command buffer with the slow kernel over values at an offset of a buffer, not submitted.
fn encoded(rig: &Rig, kernel: &Pipeline, buffer: &Buffer, offset: usize) -> Commands {
    let commands = rig.queue.commands().unwrap();
    let encoder = commands.encoder().unwrap();
    encoder.bind(kernel);
    encoder.bind_buffer(buffer, offset, 0);
    encoder.push(&4_000u32.to_ne_bytes(), 1);
    encoder.launch((VALUES, 1, 1), (32, 1, 1));
    encoder.finish();
    commands
}

fn submitted(rig: &Rig, kernel: &Pipeline, buffer: &Buffer, offset: usize) -> Commands {
    let commands = encoded(rig, kernel, buffer, offset);
    commands.submit();
    commands
}

#[test]
fn a_block_dropped_while_a_kernel_runs_stays_mapped() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    for round in 0..10u32 {
        let block = Block::open(VALUES * 4).unwrap();
        block.view_mut::<u32>().fill(round);
        let buffer = rig.gpu.wrap(&block).unwrap();
        let commands = submitted(&rig, &kernel, &buffer, 0);
        drop(block);
        // What is opened now must not get the block's address.
        let others: Vec<Block> = (0..8).map(|_| Block::open(VALUES * 4).unwrap()).collect();
        others.iter().for_each(|other| other.view_mut::<u32>().fill(9));
        commands.finish().unwrap();
        buffer.read_as(|values: &[u32]| assert!(values[..VALUES].iter().all(|&x| x == round + 1)));
    }
    // Neither does the buffer have to live.
    let block = Block::open(VALUES * 4).unwrap();
    let buffer = rig.gpu.wrap(&block).unwrap();
    let commands = submitted(&rig, &kernel, &buffer, 0);
    drop((block, buffer));
    commands.finish().unwrap();
}

#[test]
fn views_wait_for_kernels_or_are_refused() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    let block = Block::open(VALUES * 4).unwrap();
    let buffer = rig.gpu.wrap(&block).unwrap();
    let commands = submitted(&rig, &kernel, &buffer, 0);
    let refused = block.try_view::<u32>().map(drop);
    // On a fast machine the kernel may have completed.
    if let Err(error) = refused {
        assert!(matches!(error, MemError::Busy(_)) && error.to_string().contains("command buffer"));
    }
    assert!(block.view_completed::<u32>().unwrap()[..VALUES].iter().all(|&x| x == 1));
    commands.finish().unwrap();
    block.view_mut::<u32>().fill(5);

    // A view prevents the submission.
    let later = encoded(&rig, &kernel, &buffer, 0);
    let view = block.view::<u32>();
    let panic = catch_unwind(AssertUnwindSafe(|| later.submit())).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("being read"));
    drop(view);
    later.submit();
    assert_eq!(block.view_completed::<u32>().unwrap()[0], 6);

    // A buffer over the block is the same memory.
    let view = block.view_mut::<u32>();
    assert!(matches!(buffer.try_read(|_| ()), Err(GpuError::BufferAccess(_))));
    drop(view);
    buffer.write(|_| assert!(block.try_view::<u8>().is_err()));
}

#[test]
fn spans_and_cells_are_views_of_the_same_memory() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    let tape = Tape::start(1 << 16).unwrap().on(&rig.gpu).unwrap();
    tape.take(100, 1);
    let mut x = tape.slice::<u32>(VALUES).unwrap();
    let mut y = tape.slice::<u32>(VALUES).unwrap();
    x.view_mut().fill(1);
    let held = y.view_mut();
    assert!(x.buffer().try_read(|_| ()).is_err(), "a span of it is being written");
    drop(held);
    let commands = submitted(&rig, &kernel, x.buffer(), x.offset());
    assert!(x.view_completed().unwrap().iter().all(|&x| x == 2));
    y.view_mut_completed().unwrap().fill(1);
    commands.finish().unwrap();

    let slab = Slab::new(VALUES * 4, 4).unwrap();
    let buffer = rig.gpu.wrap(slab.tape().block()).unwrap();
    let (mut one, two) = (slab.take().unwrap(), slab.take().unwrap());
    one.view_mut::<u32>().fill(3);
    submitted(&rig, &kernel, &buffer, one.offset()).finish().unwrap();
    assert!(one.view::<u32>().iter().all(|&x| x == 4));
    assert!(two.view::<u32>().iter().all(|&x| x == 0));
}

#[test]
fn a_frame_is_not_reused_while_the_gpu_uses_it() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    let mut frames = Frames::new(&rig.gpu, 2, VALUES * 4).unwrap();
    let mut running: Vec<(Commands, u32)> = Vec::new();
    for step in 0..20u32 {
        let frame = frames.next().unwrap();
        assert_eq!(frame.used(), 0);
        let mut x = frame.slice::<u32>(VALUES).unwrap();
        if step >= 2 {
            // The step before the last had this frame; its kernel is done and nobody else has written.
            let expected = running[step as usize - 2].1 + 1;
            assert!(x.view().iter().all(|&x| x == expected), "step {step}");
        }
        x.view_mut().fill(step * 10);
        let commands = encoded(&rig, &kernel, x.buffer(), x.offset());
        commands.submit();
        running.push((commands, step * 10));
    }
    running.iter().for_each(|(commands, _)| commands.finish().unwrap());
}

#[test]
fn declared_work_holds_a_frame_too() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    let dispatch = Dispatch::new(&rig.queue);
    let mut frames = Frames::new(&rig.gpu, 1, VALUES * 4).unwrap();
    let mut futures = Vec::new();
    for step in 0..10u32 {
        let frame = frames.next().unwrap();
        let mut x = frame.slice::<u32>(VALUES).unwrap();
        if step > 0 {
            assert!(x.view().iter().all(|&x| x == step * 10 - 9), "step {step}");
        }
        x.view_mut().fill(step * 10);
        // SAFETY: the work is declared, and the frame is not viewed before it is done.
        let future = unsafe {
            dispatch.batch_async(|batch| {
                batch.bind(&kernel);
                batch.bind_buffer(x.buffer(), x.offset(), 0);
                batch.push(&4_000u32.to_ne_bytes(), 1);
                batch.launch((VALUES, 1, 1), (32, 1, 1));
            })
        };
        frame.until(&future);
        drop(x);
        futures.push(future);
    }
    drop(frames);
    futures.into_iter().for_each(|future| future.wait().unwrap());
}

#[test]
fn a_command_buffer_that_was_never_submitted_keeps_its_frame() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    let mut frames = Frames::new(&rig.gpu, 1, VALUES * 4).unwrap();
    let commands = encoded(&rig, &kernel, frames.next().unwrap().buffer(), 0);
    for _ in 0..2 {
        let error = frames.next().unwrap_err().to_string();
        assert!(error.contains("frame 0") && error.contains("never submitted"), "{error}");
    }
    drop(commands);
    // Another buffer over the same memory is not a use by a command buffer.
    let other = rig.gpu.wrap(frames.next().unwrap().block()).unwrap();
    other.read(|_| ());
    let commands = rig.queue.commands().unwrap();
    frames.next().unwrap().until(&commands);
    assert!(frames.next().is_err(), "declared, and not submitted");
    commands.submit();
    frames.next().unwrap();
}

#[test]
fn a_lease_is_not_lent_again_while_the_gpu_uses_it() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    let pool = Pool::new(&rig.gpu, PoolLimits::default());
    let mut results = Vec::new();
    for round in 0..20u32 {
        let lease = pool.take(VALUES * 4).unwrap();
        lease.write_as(|x: &mut [u32]| x.fill(round));
        let result = rig.gpu.buffer(VALUES * 4).unwrap();
        let commands = encoded(&rig, &kernel, &lease, 0);
        let copier = commands.copier().unwrap();
        copier.copy(&lease, 0, &result, 0, VALUES * 4);
        copier.finish();
        commands.submit();
        drop(lease);
        results.push((commands, result, round));
    }
    for (commands, result, round) in &results {
        commands.finish().unwrap();
        result.read_as(|x: &[u32]| assert!(x.iter().all(|&x| x == round + 1)));
    }
    drop(results);
    let stat = pool.stat();
    assert_eq!((stat.lent, stat.requested, stat.pending, stat.takes), (0, 0, 0, 20));
    assert!(stat.made >= 1 && stat.free == stat.made as usize * VALUES * 4);
}

#[test]
fn a_lease_is_not_lent_again_while_anything_can_use_it() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    let pool = Pool::new(&rig.gpu, PoolLimits::default());
    let pending = || pool.stat().pending;

    let lease = pool.take(1024).unwrap();
    let pixels = TextureDescriptor::new_2d(PixelFormat::R8Unorm, 32, 4);
    let texture = lease.texture(&pixels, 0, 256).unwrap();
    drop(lease);
    assert_eq!(pending(), 1024, "a texture of the buffer");
    drop(texture);
    assert_eq!(pending(), 0);

    let lease = pool.take(1024).unwrap();
    let commands = encoded(&rig, &kernel, &lease, 0);
    drop(lease);
    assert_eq!(pending(), 1024, "a command buffer that may still be submitted");
    drop(commands);
    assert_eq!(pending(), 0);

    let lease = pool.take(1024).unwrap();
    let commands = rig.queue.commands().unwrap();
    lease.until(&commands);
    drop(lease);
    assert_eq!(pending(), 1024, "declared work");
    commands.submit();
    commands.finish().unwrap();
    assert_eq!(pending(), 0);

    // A command buffer without references, encoded by safe methods.
    let lease = pool.take(1024).unwrap();
    // SAFETY: the pool keeps the buffer.
    let commands = unsafe { rig.queue.commands_fast().unwrap() };
    let encoder = commands.encoder().unwrap();
    encoder.bind_buffer(&lease, 0, 0);
    encoder.finish();
    drop(lease);
    assert_eq!(pending(), 1024, "an unretained command buffer that may still be submitted");
    commands.submit();
    commands.finish().unwrap();
    assert_eq!((pending(), pool.stat().made), (0, 1));
}

#[test]
fn classes_waste_at_most_a_fifth() {
    let rig = Rig::new();
    let pool = Pool::new(&rig.gpu, PoolLimits::default());
    for bytes in (1..600).chain((600..100_000).step_by(97)).chain([1 << 20, (1 << 20) + 1]) {
        let size = pool.take(bytes).unwrap().size();
        assert!(size >= bytes && (size - bytes) * 5 <= size.max(1280), "{bytes} in {size}");
    }
    assert!(pool.take(0).is_err() && pool.take(usize::MAX).is_err());
}

#[test]
fn limits_hold_and_make_room() {
    let rig = Rig::new();
    let pool = Pool::new(&rig.gpu, PoolLimits { total: 8192, free: 4096 });
    let (one, two) = (pool.take(4096).unwrap(), pool.take(4096).unwrap());
    assert!(pool.take(1).unwrap_err().to_string().contains("limit of 8192"));
    drop(one);
    // Another class needs the memory of the returned buffer.
    let three = pool.take(1000).unwrap();
    assert_eq!(pool.stat().free, 0);
    drop((two, three));
    assert!(pool.stat().free <= 4096);
    pool.trim(0);
    assert_eq!(pool.stat().free, 0);
    assert!(pool.take_zeroed(4096).unwrap().read(|bytes| bytes.iter().all(|&byte| byte == 0)));
}

#[test]
fn pools_and_blocks_share_a_residency_set() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    let Ok(residency) = Residency::new(&rig.gpu, "step") else { return };
    let pool = Pool::resident(&rig.gpu, PoolLimits::default(), &residency);
    let weights = rig.gpu.wrap(&Block::open(4096).unwrap()).unwrap();
    residency.add(&weights);
    let lease = pool.take(1024).unwrap();
    let commands = encoded(&rig, &kernel, &lease, 0);
    residency.use_in(&commands);
    assert!(!residency.commit(), "one commit for all");
    commands.submit();
    drop(lease);
    commands.finish().unwrap();
    drop(commands);
    assert_eq!((pool.stat().free, pool.stat().pending), (1024, 0));
    drop(pool.take(1000).unwrap());
    assert_eq!(pool.stat().made, 1);
    pool.trim(0);
    assert!(residency.commit(), "the buffer left the set");
}

#[test]
fn kernels_read_mapped_files_and_never_change_them() {
    let rig = Rig::new();
    let kernel = rig.kernel(SLOW);
    let path = std::env::temp_dir().join(format!("aruminium-weights-{}", std::process::id()));
    std::fs::write(&path, vec![7u8; VALUES * 4]).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    // SAFETY: nobody else knows the file.
    let block = unsafe { Block::map(&file, ..).unwrap() };
    let buffer = rig.gpu.wrap(&block).unwrap();
    submitted(&rig, &kernel, &buffer, 0).finish().unwrap();
    assert_eq!(block.view::<u32>()[0], 0x0707_0708);
    assert!(std::fs::read(&path).unwrap().iter().all(|&byte| byte == 7));
    std::fs::remove_file(&path).unwrap();
}
