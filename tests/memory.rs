//! Memory that the GPU uses: nothing is unmapped, recycled or lent again early.

#![cfg(feature = "memory")]

#[path = "memory/declared.rs"]
mod declared;
mod gpu;
#[path = "memory/residency.rs"]
mod residency;

use aruminium::memory::{Block, Frames, MemError, Pool, PoolLimits, Slab, Tape};
use aruminium::{
    Buffer, Commands, GpuError, Pipeline, PixelFormat, PurgeableState, Queue, SharedEvent,
    TextureDescriptor,
};
use gpu::Rig;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ADD: &str =
    "kernel void add(device uint *x, uint i [[thread_position_in_grid]]) { x[i] += 1; }";

const VALUES: usize = 256;

/// Work that stays in flight, with its kernel still to run, until the test lets it go.
struct Held {
    commands: Commands,
    gate: SharedEvent,
}

impl Held {
    fn new(rig: &Rig) -> Self {
        Self::on(rig, &rig.queue)
    }

    fn on(rig: &Rig, queue: &Queue) -> Self {
        let (commands, gate) = (queue.commands().unwrap(), rig.gpu.shared_event().unwrap());
        commands.wait_for(&gate, 1);
        Self { commands, gate }
    }

    /// Adds 1 to values at an offset of a buffer; not submitted.
    fn encoded(rig: &Rig, kernel: &Pipeline, buffer: &Buffer, offset: usize) -> Self {
        let held = Self::new(rig);
        add(&held.commands, kernel, buffer, offset);
        held
    }

    fn submitted(rig: &Rig, kernel: &Pipeline, buffer: &Buffer, offset: usize) -> Self {
        let held = Self::encoded(rig, kernel, buffer, offset);
        held.commands.submit();
        held
    }

    /// The work was submitted, and is not done.
    #[track_caller]
    fn assert_in_flight(&self) {
        let status = self.commands.status();
        let in_flight = Commands::STATUS_COMMITTED..Commands::STATUS_COMPLETED;
        assert!(in_flight.contains(&status), "status {status}");
    }

    fn finish(&self) {
        self.gate.set_signaled_value(1);
        self.commands.finish().unwrap();
    }

    /// Lets the work go from another thread during the closure, which must not return before.
    #[track_caller]
    fn during<R>(&self, waits: impl FnOnce() -> R) -> R {
        self.assert_in_flight();
        let (open, gate) = (AtomicBool::new(false), &self.gate);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(10));
                open.store(true, Ordering::SeqCst);
                gate.set_signaled_value(1);
            });
            let result = waits();
            assert!(open.load(Ordering::SeqCst), "it returned while the work was in flight");
            result
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.set_signaled_value(1);
    }
}

fn add(commands: &Commands, kernel: &Pipeline, buffer: &Buffer, offset: usize) {
    let encoder = commands.encoder().unwrap();
    encoder.bind(kernel);
    encoder.bind_buffer(buffer, offset, 0);
    encoder.launch((VALUES, 1, 1), (32, 1, 1));
    encoder.finish();
}

/// The message of the panic that the closure ends in.
#[track_caller]
fn panic_of(work: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(work)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a message")).to_owned(),
    }
}

#[test]
fn a_block_dropped_while_a_kernel_runs_stays_mapped() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    for round in 0..10u32 {
        let block = Block::open(VALUES * 4).unwrap();
        block.view_mut::<u32>().fill(round);
        let buffer = rig.gpu.wrap(&block).unwrap();
        let held = Held::submitted(&rig, &kernel, &buffer, 0);
        drop(block);
        // A block that is opened now must not get the block's address.
        let others: Vec<Block> = (0..8).map(|_| Block::open(VALUES * 4).unwrap()).collect();
        others.iter().for_each(|other| other.view_mut::<u32>().fill(9));
        held.assert_in_flight();
        held.finish();
        buffer.read_as(|values: &[u32]| assert!(values[..VALUES].iter().all(|&x| x == round + 1)));
    }
    // Neither does the buffer have to live.
    let block = Block::open(VALUES * 4).unwrap();
    let held = Held::submitted(&rig, &kernel, &rig.gpu.wrap(&block).unwrap(), 0);
    let address = block.address();
    drop(block);
    let others: Vec<Block> = (0..8).map(|_| Block::open(VALUES * 4).unwrap()).collect();
    assert!(others.iter().all(|other| other.address() != address));
    held.assert_in_flight();
    held.finish();
}

#[test]
fn views_wait_for_kernels_or_are_refused() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let block = Block::open(VALUES * 4).unwrap();
    let buffer = rig.gpu.wrap(&block).unwrap();
    let held = Held::submitted(&rig, &kernel, &buffer, 0);
    let error = block.try_view::<u32>().map(drop).unwrap_err();
    assert!(matches!(error, MemError::Busy(_)) && error.to_string().contains("command buffer"));
    assert!(block.try_view_mut::<u32>().is_err());
    let view = held.during(|| block.view_completed::<u32>().unwrap());
    assert!(view[..VALUES].iter().all(|&x| x == 1));
    drop(view);
    held.finish();
    block.view_mut::<u32>().fill(5);

    // A view prevents the submission.
    let later = Held::encoded(&rig, &kernel, &buffer, 0);
    let view = block.view::<u32>();
    assert!(panic_of(|| later.commands.submit()).contains("being read"));
    drop(view);
    later.commands.submit();
    let view = later.during(|| block.view_completed::<u32>().unwrap());
    assert_eq!(view[0], 6);
    drop(view);

    // A buffer over the block is the same memory.
    let view = block.view_mut::<u32>();
    assert!(matches!(buffer.try_read(|_| ()), Err(GpuError::BufferAccess(_))));
    drop(view);
    buffer.write(|_| assert!(block.try_view::<u8>().is_err()));
}

#[test]
fn spans_and_cells_are_views_of_the_same_memory() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let tape = Tape::start(1 << 16).unwrap().on(&rig.gpu).unwrap();
    tape.take(100, 1);
    let mut x = tape.slice::<u32>(VALUES).unwrap();
    let mut y = tape.slice::<u32>(VALUES).unwrap();
    x.view_mut().fill(1);
    let view = y.view_mut();
    assert!(x.buffer().try_read(|_| ()).is_err(), "a span of it is being written");
    drop(view);
    let held = Held::submitted(&rig, &kernel, x.buffer(), x.offset());
    assert!(x.try_view().is_err() && y.try_view_mut().is_err());
    let view = held.during(|| x.view_completed().unwrap());
    assert!(view.iter().all(|&x| x == 2));
    y.view_mut_completed().unwrap().fill(1);

    let slab = Slab::new(VALUES * 4, 4).unwrap();
    let buffer = rig.gpu.wrap(slab.tape().block()).unwrap();
    let (mut one, two) = (slab.take().unwrap(), slab.take().unwrap());
    one.view_mut::<u32>().fill(3);
    let held = Held::submitted(&rig, &kernel, &buffer, one.offset());
    assert!(one.try_view::<u32>().is_err());
    held.finish();
    assert!(one.view::<u32>().iter().all(|&x| x == 4));
    assert!(two.view::<u32>().iter().all(|&x| x == 0));
}

#[test]
fn a_tape_is_not_recycled_while_a_kernel_uses_it() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let mut tape = Tape::start(1 << 16).unwrap().on(&rig.gpu).unwrap();
    let start = tape.mark();
    let encode = |tape: &Tape| {
        let mut span = tape.slice::<u32>(VALUES).unwrap();
        span.view_mut_completed().unwrap().fill(7);
        Held::encoded(&rig, &kernel, span.buffer(), span.offset())
    };

    // Encoded: it may still be submitted.
    let held = encode(&tape);
    assert!(!tape.try_clear());
    for text in [
        panic_of(|| tape.clear()),
        panic_of(|| tape.reset()),
        panic_of(|| tape.rewind(start)),
        panic_of(|| tape.local(64).unwrap().reset()),
    ] {
        assert!(text.contains("encoded and never submitted"), "{text}");
    }
    assert!(matches!(tape.used(), 1024..));

    let used = tape.used();
    assert!(matches!(tape.try_reset(), Err(MemError::Busy(_))));
    assert!(matches!(tape.try_rewind(start), Err(MemError::Busy(_))));
    assert!(matches!(tape.local(64).unwrap().try_reset(), Err(MemError::Busy(_))));
    assert_eq!(tape.used(), used.next_multiple_of(128) + 64, "only the local part was taken");

    // In flight: a tape is not cleared, and its reset waits.
    held.commands.submit();
    assert!(!tape.try_clear());
    assert!(panic_of(|| tape.clear()).contains("submitted and has not completed"));
    held.assert_in_flight();
    held.during(|| tape.reset());
    assert_eq!(tape.used(), 0);
    let held = encode(&tape);
    held.commands.submit();
    held.during(|| tape.rewind(start));
    let held = encode(&tape);
    held.commands.submit();
    held.during(|| tape.local(64).unwrap().reset());
    held.finish();
    tape.clear();

    // Dropped without having been submitted.
    drop(encode(&tape));
    tape.clear();

    // An empty tape has nothing to hand out again.
    let held = Held::submitted(&rig, &kernel, tape.buffer().unwrap(), 0);
    tape.clear();
    held.finish();
}

/// Another handle to the block may be wrapped at any time.
#[test]
fn a_tape_over_a_block_with_other_handles_is_not_recycled_either() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let block = Block::open(VALUES * 4).unwrap();
    let tape = Tape::over(block.clone()).unwrap();
    tape.take(VALUES * 4, 4).unwrap();
    let held = Held::encoded(&rig, &kernel, &rig.gpu.wrap(&block).unwrap(), 0);
    assert!(!tape.try_clear());
    drop(held);
    assert!(tape.try_clear());
}

#[test]
fn a_block_is_not_divided_again_while_a_kernel_uses_it() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let block = Block::open(VALUES * 4).unwrap();
    let tape = Tape::over(block.clone()).unwrap().on(&rig.gpu).unwrap();
    let held = Held::encoded(&rig, &kernel, tape.buffer().unwrap(), 0);
    drop(tape);
    let error = Tape::over(block.clone()).map(drop).unwrap_err().to_string();
    assert!(error.contains("encoded and never submitted"), "{error}");
    held.commands.submit();
    held.during(|| Tape::over(block.clone()).unwrap());
}

#[test]
fn a_cell_is_not_handed_out_again_while_a_kernel_uses_it() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let slab = Slab::new(VALUES * 4, 2).unwrap();
    let buffer = rig.gpu.wrap(slab.tape().block()).unwrap();

    let (one, other) = (slab.take().unwrap(), slab.take().unwrap());
    let index = one.id();
    let held = Held::submitted(&rig, &kernel, &buffer, one.offset());
    drop(one);
    assert!(slab.take().is_none() && slab.free() == 0);
    // Work that is submitted later, for another cell, does not use it.
    let queue = rig.gpu.new_command_queue().unwrap();
    let later = Held::on(&rig, &queue);
    add(&later.commands, &kernel, &buffer, other.offset());
    later.commands.submit();
    held.assert_in_flight();
    held.finish();
    assert_eq!(slab.free(), 1);
    let one = slab.take().unwrap();
    assert_eq!(one.id(), index);
    later.assert_in_flight();
    later.finish();

    // Encoded, and submitted after the cell came back.
    let held = Held::encoded(&rig, &kernel, &buffer, one.offset());
    slab.give(one);
    assert!(slab.take().is_none());
    held.commands.submit();
    assert!(slab.take().is_none());
    held.finish();
    let one = slab.take().unwrap();
    // Encoded, and dropped.
    let held = Held::encoded(&rig, &kernel, &buffer, one.offset());
    drop(one);
    assert!(slab.take().is_none());
    drop(held);
    assert!(slab.take().is_some());
}

/// Each step is encoded before the one before it is submitted.
#[test]
fn cells_come_back_though_a_command_buffer_is_always_encoded() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let slab = Slab::new(VALUES * 4, 2).unwrap();
    let buffer = rig.gpu.wrap(slab.tape().block()).unwrap();
    let mut encoded: Option<Held> = None;
    for step in 0..20 {
        let cell = slab.take().unwrap_or_else(|| panic!("no cell at step {step}"));
        let next = Held::encoded(&rig, &kernel, &buffer, cell.offset());
        drop(cell);
        if let Some(last) = encoded.replace(next) {
            assert_eq!(slab.free(), 0, "one may be submitted, and one was not yet");
            last.commands.submit();
            assert_eq!(slab.free(), 0, "it is in flight");
            last.finish();
            assert_eq!(slab.free(), 1);
        }
    }
    // One that was encoded before a cell came back holds it, though it only uses the other.
    let last = encoded.take().unwrap();
    drop(slab.take().unwrap());
    assert_eq!(slab.free(), 0);
    drop(last);
    assert_eq!(slab.free(), 2, "it can never be submitted");
    // An encoder that goes on, and a command buffer that was refused, are as before.
    let cell = slab.take().unwrap();
    let held = Held::new(&rig);
    let encoder = held.commands.encoder().unwrap();
    encoder.bind(&kernel);
    encoder.bind_buffer(&buffer, cell.offset(), 0);
    let other = Held::encoded(&rig, &kernel, &buffer, 0);
    encoder.bind_buffer(&buffer, cell.offset(), 0);
    encoder.launch((VALUES, 1, 1), (32, 1, 1));
    encoder.finish();
    drop(cell);
    drop(other);
    assert_eq!(slab.free(), 1);
    buffer.read(|_| assert!(held.commands.try_submit().is_err()));
    assert_eq!(slab.free(), 1);
    held.commands.submit();
    held.assert_in_flight();
    assert_eq!(slab.free(), 1);
    held.finish();
    assert_eq!(slab.free(), 2);
}

#[test]
fn a_frame_is_not_reused_while_the_gpu_uses_it() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let mut frames = Frames::new(&rig.gpu, 2, VALUES * 4).unwrap();
    let mut running: Vec<Held> = Vec::new();
    for step in 0..20u32 {
        let frame = match step {
            0 | 1 => frames.next().unwrap(),
            // The step before the last had this frame.
            _ => running[step as usize - 2].during(|| frames.next().unwrap()),
        };
        assert_eq!(frame.used(), 0);
        let mut x = frame.slice::<u32>(VALUES).unwrap();
        if step >= 2 {
            let expected = (step - 2) * 10 + 1;
            assert!(x.view().iter().all(|&x| x == expected), "step {step}");
        }
        x.view_mut().fill(step * 10);
        running.push(Held::submitted(&rig, &kernel, x.buffer(), x.offset()));
    }
    running.iter().for_each(Held::finish);
}

/// The permission to discard the contents ends with the lease.
#[test]
fn a_lease_is_not_purgeable() {
    let rig = Rig::new();
    let pool = Pool::new(&rig.gpu, PoolLimits::default());
    let state = |buffer: &Buffer| buffer.set_purgeable_state(PurgeableState::KeepCurrent);
    let lease = pool.take(1024).unwrap();
    let address = lease.gpu_address();
    lease.set_purgeable_state(PurgeableState::Volatile);
    drop(lease);
    let lease = pool.take(1024).unwrap();
    assert_eq!((lease.gpu_address(), state(&lease)), (address, PurgeableState::NonVolatile));
    // By another wrapper, which outlives the lease.
    // SAFETY: the object is a buffer, and its reference is the wrapper's.
    let other = unsafe { Buffer::from_raw(aruminium::ffi::retain(lease.as_raw())) }.unwrap();
    drop(lease);
    other.set_purgeable_state(PurgeableState::Empty);
    drop(other);
    let lease = pool.take_zeroed(1024).unwrap();
    assert_eq!((lease.gpu_address(), state(&lease)), (address, PurgeableState::NonVolatile));
}

#[test]
fn a_lease_is_not_lent_again_while_the_gpu_uses_it() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let pool = Pool::new(&rig.gpu, PoolLimits::default());
    let mut results = Vec::new();
    for round in 0..20u32 {
        let lease = pool.take(VALUES * 4).unwrap();
        lease.write_as(|x: &mut [u32]| x.fill(round));
        let result = rig.gpu.buffer(VALUES * 4).unwrap();
        let held = Held::encoded(&rig, &kernel, &lease, 0);
        let copier = held.commands.copier().unwrap();
        copier.copy(&lease, 0, &result, 0, VALUES * 4);
        copier.finish();
        held.commands.submit();
        drop(lease);
        held.assert_in_flight();
        results.push((held, result, round));
    }
    assert_eq!(pool.stat().made, 20, "all of them are in flight");
    for (held, result, round) in &results {
        held.finish();
        result.read_as(|x: &[u32]| assert!(x.iter().all(|&x| x == round + 1)));
    }
    drop(results);
    let stat = pool.stat();
    assert_eq!((stat.lent, stat.requested, stat.pending, stat.takes), (0, 0, 0, 20));
    assert_eq!(stat.free, 20 * VALUES * 4);
    drop(pool.take(VALUES * 4).unwrap());
    assert_eq!(pool.stat().made, 20);
}

#[test]
fn a_lease_is_not_lent_again_while_anything_can_use_it() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
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
    let held = Held::encoded(&rig, &kernel, &lease, 0);
    drop(lease);
    assert_eq!(pending(), 1024, "a command buffer that may still be submitted");
    drop(held);
    assert_eq!(pending(), 0);

    let lease = pool.take(1024).unwrap();
    let held = Held::new(&rig);
    lease.until(&held.commands);
    drop(lease);
    assert_eq!(pending(), 1024, "declared work");
    held.commands.submit();
    assert_eq!(pending(), 1024, "declared work in flight");
    held.finish();
    assert_eq!(pending(), 0);

    // A command buffer without references, encoded by safe methods.
    let lease = pool.take(1024).unwrap();
    let gate = rig.gpu.shared_event().unwrap();
    // SAFETY: the pool keeps the buffer, and the gate lives until the work is done.
    let held = Held { commands: unsafe { rig.queue.commands_fast().unwrap() }, gate };
    held.commands.wait_for(&held.gate, 1);
    add(&held.commands, &kernel, &lease, 0);
    drop(lease);
    assert_eq!(pending(), 1024, "an unretained command buffer that may still be submitted");
    held.commands.submit();
    assert_eq!(pending(), 1024, "an unretained command buffer in flight");
    held.assert_in_flight();
    held.finish();
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
    assert_eq!(pool.take(1).unwrap().size(), 256, "the smallest buffer");
    assert!(pool.take(0).is_err() && pool.take(usize::MAX).is_err());
}

#[test]
fn trimming_keeps_as_many_free_bytes_as_requested() {
    let rig = Rig::new();
    let pool = Pool::new(&rig.gpu, PoolLimits::default());
    let (one, two, lent) =
        (pool.take(1024).unwrap(), pool.take(1024).unwrap(), pool.take(4096).unwrap());
    drop((one, two));
    pool.trim(1024);
    assert_eq!((pool.stat().free, pool.stat().lent), (1024, 4096));
    drop(lent);
}

#[test]
fn a_view_of_a_cell_and_views_of_the_buffer_over_it_exclude_each_other() {
    let rig = Rig::new();
    let slab = Slab::new(64, 4).unwrap();
    let buffer = rig.gpu.wrap(slab.tape().block()).unwrap();
    let mut cell = slab.take().unwrap();
    let view = cell.view_mut::<u32>();
    assert!(buffer.try_read(|_| ()).is_err() && buffer.try_write(|_| ()).is_err());
    drop(view);
    let view = cell.view::<u32>();
    assert!(buffer.try_read(|_| ()).is_ok() && buffer.try_write(|_| ()).is_err());
    drop(view);
    assert!(buffer.try_write(|_| ()).is_ok());
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
fn what_comes_back_in_use_is_released_beyond_the_limit_when_it_is_idle() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let pool = Pool::new(&rig.gpu, PoolLimits { free: 0, ..PoolLimits::default() });
    let returned = || {
        let lease = pool.take(VALUES * 4).unwrap();
        let held = Held::submitted(&rig, &kernel, &lease, 0);
        drop(lease);
        assert_eq!(pool.stat().pending, VALUES * 4);
        held.finish();
    };
    returned();
    let stat = pool.stat();
    assert_eq!((stat.free, stat.pending), (0, 0), "found by a look at the figures");
    returned();
    // Another class finds it, and does not keep it.
    let other = pool.take(VALUES * 16).unwrap();
    drop(other);
    assert_eq!((pool.stat().made, pool.stat().free), (3, 0));
}

#[test]
fn kernels_read_mapped_files_and_never_change_them() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let path = std::env::temp_dir().join(format!("aruminium-weights-{}", std::process::id()));
    std::fs::write(&path, vec![7u8; VALUES * 4]).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    // SAFETY: no other program has the file.
    let block = unsafe { Block::map(&file, ..).unwrap() };
    let buffer = rig.gpu.wrap(&block).unwrap();
    Held::submitted(&rig, &kernel, &buffer, 0).finish();
    assert_eq!(block.view::<u32>()[0], 0x0707_0708);
    assert!(std::fs::read(&path).unwrap().iter().all(|&byte| byte == 7));
    std::fs::remove_file(&path).unwrap();
}
