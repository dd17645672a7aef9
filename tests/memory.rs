//! Memory that the GPU uses: nothing is unmapped, recycled or lent again early.

#![cfg(feature = "memory")]

mod gpu;

use aruminium::memory::{
    Block, Frames, Lease, MemError, Pool, PoolLimits, Residency, Slab, Span, Tape,
};
use aruminium::{
    Buffer, Commands, Deallocator, Dispatch, GpuError, Pipeline, PixelFormat, PurgeableState,
    Queue, SharedEvent, TextureDescriptor,
};
use gpu::Rig;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
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

/// A future of the kernel over a span, by means that are not tracked; and the gate that it waits at.
fn untracked(
    rig: &Rig,
    kernel: &Pipeline,
    dispatch: &Dispatch,
    x: &Span<'_, u32>,
) -> (aruminium::GpuFuture, Held) {
    let held = Held::new(rig);
    held.commands.submit();
    // SAFETY: the caller declares the work, and does not view the span before it is done.
    let future = unsafe {
        dispatch.batch_async(|batch| {
            batch.bind(kernel);
            batch.bind_buffer(x.buffer(), x.offset(), 0);
            batch.launch((VALUES, 1, 1), (32, 1, 1));
        })
    };
    (future, held)
}

#[test]
fn declared_work_holds_a_frame_too() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let dispatch = Dispatch::new(&rig.queue);
    let mut frames = Frames::new(&rig.gpu, 1, VALUES * 4 + 64).unwrap();
    let mut works: Vec<(aruminium::GpuFuture, Held)> = Vec::new();
    for step in 0..10u32 {
        let frame = match works.last() {
            None => frames.next().unwrap(),
            Some((_, held)) => held.during(|| frames.next().unwrap()),
        };
        let mut x = frame.slice::<u32>(VALUES).unwrap();
        if step > 0 {
            assert!(x.view().iter().all(|&x| x == step * 10 - 9), "step {step}");
        }
        x.view_mut().fill(step * 10);
        let (future, held) = untracked(&rig, &kernel, &dispatch, &x);
        let mut local = frame.local(64).unwrap();
        frame.until(&future);
        drop(x);
        // Nor is it cleared, in whole or in part, by the methods of its tape.
        let refused = local.try_reset().unwrap_err().to_string();
        assert!(refused.contains("declared"), "{refused}");
        drop(local);
        assert!(!frame.try_clear(), "step {step}");
        works.push((future, held));
    }
    let (_, last) = works.last().unwrap();
    last.during(|| drop(frames));
    works.into_iter().for_each(|(future, _)| future.wait().unwrap());
}

#[test]
fn a_command_buffer_that_was_never_submitted_keeps_its_frame() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let mut frames = Frames::new(&rig.gpu, 1, VALUES * 4).unwrap();
    let held = Held::encoded(&rig, &kernel, frames.next().unwrap().buffer(), 0);
    for _ in 0..2 {
        let error = frames.next().unwrap_err().to_string();
        assert!(error.contains("frame 0") && error.contains("never submitted"), "{error}");
    }
    drop(held);
    // Another buffer over the same memory is not a use by a command buffer.
    let other = rig.gpu.wrap(frames.next().unwrap().block()).unwrap();
    other.read(|_| ());
    let commands = rig.queue.commands().unwrap();
    frames.next().unwrap().until(&commands);
    assert!(frames.next().is_err(), "declared, and not submitted");
    commands.submit();
    frames.next().unwrap();
}

/// Declared work that the program drops can never be submitted.
#[test]
fn declared_work_that_was_dropped_is_done() {
    let rig = Rig::new();
    let mut frames = Frames::new(&rig.gpu, 1, VALUES * 4).unwrap();
    let pool = Pool::new(&rig.gpu, PoolLimits::default());
    let lease = pool.take(1024).unwrap();
    let commands = rig.queue.commands().unwrap();
    let clone = commands.clone();
    let frame = frames.next().unwrap();
    frame.until(&commands);
    frame.until(&clone);
    lease.until(&commands);
    drop(lease);
    drop(commands);
    assert!(frames.next().is_err(), "a clone can be submitted");
    assert_eq!(pool.stat().pending, 1024);
    drop(clone);
    frames.next().unwrap();
    assert_eq!((pool.stat().free, pool.stat().pending), (1024, 0));
}

/// A lease may belong to a handler of its own declared command buffer.
#[test]
fn a_lease_comes_back_though_the_command_buffer_that_owns_it_is_never_submitted() {
    let rig = Rig::new();
    let pool = Pool::new(&rig.gpu, PoolLimits { total: 1024, free: 1024 });
    for round in 0..3 {
        let (lease, commands) = (pool.take(1024).unwrap(), rig.queue.commands().unwrap());
        lease.until(&commands);
        // The handler owns the lease.
        commands.on_completed(move |_| assert_eq!(lease.requested(), 1024));
        let clone = (round == 1).then(|| commands.clone());
        drop(commands);
        if let Some(clone) = clone {
            assert!(pool.take(1024).is_err(), "a clone can be submitted");
            clone.submit();
            clone.finish().unwrap();
        }
        let stat = pool.stat();
        assert_eq!((stat.lent, stat.pending, stat.free), (0, 0, 1024), "round {round}");
    }
    assert_eq!(pool.stat().made, 1);
}

#[test]
fn a_watch_keeps_no_command_buffer_that_was_not_submitted() {
    let rig = Rig::new();
    let token = Arc::new(());
    let watched = |commands: &Commands| {
        let handler = Arc::clone(&token);
        commands.on_completed(move |_| assert_eq!(*handler, ()));
        commands.watch()
    };
    let commands = rig.queue.commands().unwrap();
    let clone = commands.clone();
    let watch = watched(&commands);
    drop(commands);
    assert!(!watch.is_over() && watch.is_unsubmitted() && !watch.wait());
    drop(clone);
    assert!(watch.is_over() && !watch.is_unsubmitted() && watch.wait());
    assert_eq!(Arc::strong_count(&token), 1);
    // The wrapper owns no reference: the watch has one while there is a wrapper.
    let (commands, watch) = aruminium::autorelease_pool(|| {
        // SAFETY: what is called after the pool is drained is the watch, which has a reference.
        let commands = unsafe { rig.queue.commands_unretained() }.unwrap();
        let watch = watched(&commands);
        (commands, watch)
    });
    assert!(!watch.is_over() && watch.is_unsubmitted() && !watch.wait());
    assert_eq!(Arc::strong_count(&token), 2);
    drop(commands);
    assert!(watch.is_over());
    assert_eq!(Arc::strong_count(&token), 1);
    if let Some(residency) = residency(&rig, "watched") {
        let commands = rig.queue.commands().unwrap();
        drop(watched(&commands));
        residency.use_in(&commands);
        drop(commands);
        assert_eq!(Arc::strong_count(&token), 1, "the set keeps none either");
    }
}

#[test]
fn a_submitted_command_buffer_without_wrappers_is_watched_to_its_end() {
    let rig = Rig::new();
    let (gate, commands) = (rig.gpu.shared_event().unwrap(), rig.queue.commands().unwrap());
    commands.wait_for(&gate, 1);
    let clone = commands.clone();
    let (watch, of_clone) = (commands.watch(), clone.watch());
    commands.submit();
    drop(commands);
    std::thread::spawn(move || drop(clone)).join().unwrap();
    let is_over = watch.is_over() || watch.is_unsubmitted() || of_clone.is_over();
    let waits = std::thread::spawn(move || of_clone.wait());
    gate.set_signaled_value(1);
    assert!(!is_over && waits.join().unwrap() && watch.wait() && watch.is_over());
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

/// Memory that is lent for long is declared in every step.
#[test]
fn declared_work_that_is_done_is_forgotten() {
    let rig = Rig::new();
    let mut frames = Frames::new(&rig.gpu, 1, VALUES * 4).unwrap();
    let pool = Pool::new(&rig.gpu, PoolLimits::default());
    let (lease, frame) = (pool.take(1024).unwrap(), frames.next().unwrap());
    // A command buffer has a reference to its queue.
    // SAFETY: every object has this method.
    let references = || unsafe { aruminium::msg!(rig.queue, [retainCount] -> usize) };
    let before = references();
    for _ in 0..100 {
        let commands = rig.queue.commands().unwrap();
        lease.until(&commands);
        frame.until(&commands);
        commands.submit();
        commands.finish().unwrap();
    }
    let left = references().saturating_sub(before);
    assert!(left < 20, "{left} command buffers that are done are still there");
}

/// Dropping the last reference to a command buffer may run any code, such as that of this pool.
#[test]
fn a_pool_is_not_locked_while_it_drops_declared_work() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let rig = Rig::new();
        let pool = Pool::new(&rig.gpu, PoolLimits { total: 4096, free: 0 });
        let lease_of_lease = || {
            let (lease, other) = (pool.take(1024).unwrap(), pool.take(1024).unwrap());
            let commands = rig.queue.commands().unwrap();
            commands.on_completed(move |_| assert_eq!(other.requested(), 1024));
            lease.until(&commands);
            lease
        };
        drop(lease_of_lease());
        assert_eq!((pool.stat().lent, pool.stat().free), (0, 0));
        done.send(()).unwrap();
    });
    let in_time = ended.recv_timeout(Duration::from_secs(60));
    in_time.expect("the pool's lock is free, and the thread does not panic");
}

/// Whether there is memory at an address.
#[cfg(target_os = "linux")]
fn is_mapped(address: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().any(|line| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let [start, end] = [range.0, range.1].map(|text| usize::from_str_radix(text, 16).unwrap());
        (start..end).contains(&address)
    })
}

/// Work that was declared and never submitted may still be submitted after the pool or the frames are dropped.
#[cfg(target_os = "linux")]
#[test]
fn declared_work_keeps_memory_mapped() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    const BYTES: usize = 64 << 20;
    let unretained = |buffer: &Buffer| {
        // SAFETY: the buffer is declared.
        let commands = unsafe { rig.queue.commands_fast().unwrap() };
        add(&commands, &kernel, buffer, 0);
        commands
    };
    let pool = Pool::new(&rig.gpu, PoolLimits::default());
    let lease = pool.take(BYTES).unwrap();
    let of_lease = unretained(&lease);
    lease.until(&of_lease);
    let start = lease.contents().addr();
    drop((lease, pool));
    assert!(is_mapped(start));

    let mut frames = Frames::new(&rig.gpu, 1, BYTES).unwrap();
    let frame = frames.next().unwrap();
    let of_frame = unretained(frame.buffer());
    frame.until(&of_frame);
    let (block, start) = (frame.block().clone(), frame.block().address().addr());
    drop(frames);
    assert!(is_mapped(start));
    assert!(Tape::over(block.clone()).is_err() && block.try_view::<u8>().is_err());
    for commands in [of_lease, of_frame] {
        commands.submit();
        commands.finish().unwrap();
    }
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

/// A residency set; `None` on Apple's systems before macOS 15, which have none.
fn residency(rig: &Rig, name: &str) -> Option<Residency> {
    match Residency::new(&rig.gpu, name) {
        Err(_) if cfg!(target_vendor = "apple") => None,
        made => Some(made.unwrap()),
    }
}

#[test]
fn pools_and_blocks_share_a_residency_set() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let Some(residency) = residency(&rig, "step") else { return };
    let pool = Pool::resident(&rig.gpu, PoolLimits::default(), &residency);
    let weights = rig.gpu.wrap(&Block::open(4096).unwrap()).unwrap();
    residency.add(&weights);
    let lease = pool.take(1024).unwrap();
    let held = Held::encoded(&rig, &kernel, &lease, 0);
    residency.use_in(&held.commands);
    assert!(!residency.commit(), "one commit for all");
    held.commands.submit();
    drop(lease);
    assert!(weights.try_read(|_| ()).is_err() && pool.stat().pending == 1024);
    held.finish();
    drop(held);
    assert_eq!((pool.stat().free, pool.stat().pending), (1024, 0));
    drop(pool.take(1000).unwrap());
    assert_eq!(pool.stat().made, 1);
    pool.trim(0);
    assert!(residency.commit(), "the buffer left the set");
    residency.remove(&weights);
    assert!(residency.commit());
}

/// A member that is removed from a set may be dropped by that, which may run any code, such as that of the set.
#[test]
fn a_residency_set_is_not_locked_while_it_drops_what_leaves_it() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let rig = Rig::new();
        let Some(residency) = residency(&rig, "step") else {
            return (0..2).for_each(|_| done.send(()).unwrap());
        };
        let block = Block::open(1 << 14).unwrap();
        let (set, called) = (residency.clone(), done.clone());
        let other = rig.gpu.buffer(64).unwrap();
        let release = Deallocator::new(move |_, _| {
            set.add(&other);
            assert!(set.commit());
            set.remove(&other);
            called.send(()).unwrap();
        });
        // SAFETY: the block lives until the buffer is freed.
        let buffer =
            unsafe { rig.gpu.buffer_wrap_with(block.address().cast(), block.size(), &release) };
        let buffer = buffer.unwrap();
        residency.add(&buffer);
        residency.commit();
        residency.remove(&buffer);
        drop((buffer, release));
        residency.commit(); // drops the buffer
        assert!(residency.commit(), "the deallocator removed one");
        done.send(()).unwrap();
    });
    for _ in 0..2 {
        let in_time = ended.recv_timeout(Duration::from_secs(60));
        in_time.expect("the set's lock is free, and the thread does not panic");
    }
}

/// A loop that always has a step in flight gets its leases back, though each step uses the whole set.
#[test]
fn leases_of_a_resident_pool_come_back_while_later_steps_run() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let Some(residency) = residency(&rig, "steps") else { return };
    let pool = Pool::resident(&rig.gpu, PoolLimits::default(), &residency);
    let mut last: Option<Held> = None;
    for _ in 0..20 {
        let lease = pool.take(1024).unwrap();
        let held = Held::encoded(&rig, &kernel, &lease, 0);
        residency.use_in(&held.commands);
        held.commands.submit();
        drop(lease);
        if let Some(last) = last.replace(held) {
            last.assert_in_flight();
            last.finish();
        }
    }
    last.as_ref().unwrap().assert_in_flight();
    assert!(pool.stat().made <= 2, "{:?}", pool.stat());
    // Zeros are written when no step runs.
    let zeroed = last.unwrap().during(|| pool.take_zeroed(1024).unwrap());
    zeroed.read(|bytes| assert!(bytes.iter().all(|&byte| byte == 0)));
}

/// Kernels may reach a lease through the set only, by its address.
#[test]
fn a_step_that_may_use_the_set_holds_the_leases_of_its_time() {
    let rig = Rig::new();
    let Some(residency) = residency(&rig, "step") else { return };
    let pool = Pool::resident(&rig.gpu, PoolLimits::default(), &residency);
    let pending = || pool.stat().pending;
    let lease = pool.take(1024).unwrap();
    let held = Held::new(&rig);
    residency.use_in(&held.commands);
    drop(lease);
    assert_eq!(pending(), 1024, "it may still be submitted");
    held.commands.submit();
    assert_eq!(pending(), 1024, "it is in flight");
    held.finish();
    assert_eq!(pending(), 0);
    let lease = pool.take(1024).unwrap();
    let held = Held::new(&rig);
    residency.use_in(&held.commands);
    drop((lease, held));
    assert_eq!(pending(), 0, "it was dropped");
}

/// Kernels may reach a cell through a set only, by its address: from the moment when the command buffer uses the set.
#[test]
fn a_step_that_may_use_the_set_holds_the_cells_of_its_time() {
    let rig = Rig::new();
    let Some(residency) = residency(&rig, "cells") else { return };
    let slab = Slab::new(VALUES * 4, 2).unwrap();
    residency.add(&rig.gpu.wrap(slab.tape().block()).unwrap());
    let (one, other) = (slab.take().unwrap(), slab.take().unwrap());
    let held = Held::new(&rig);
    residency.use_in(&held.commands);
    drop(one);
    assert_eq!(slab.free(), 0, "it may still be submitted");
    held.commands.submit();
    held.assert_in_flight();
    assert_eq!(slab.free(), 0, "it is in flight");
    // One that begins to use the set later does not use the cell.
    let later = Held::on(&rig, &rig.gpu.new_command_queue().unwrap());
    residency.use_in(&later.commands);
    assert_eq!(slab.free(), 0);
    held.finish();
    assert_eq!(slab.free(), 1);
    drop(other);
    assert_eq!(slab.free(), 1, "the later one may use this");
    drop(later);
    assert_eq!(slab.free(), 2, "it was dropped");
}

#[test]
fn a_tape_in_a_residency_set_is_not_recycled_while_a_step_may_use_the_set() {
    let rig = Rig::new();
    let Some(residency) = residency(&rig, "tape") else { return };
    let mut tape = Tape::start(4096).unwrap().on(&rig.gpu).unwrap();
    residency.add(tape.buffer().unwrap());
    let held = Held::new(&rig);
    residency.use_in(&held.commands);
    tape.take(100, 4);
    assert!(!tape.try_clear());
    let error = tape.try_reset().unwrap_err().to_string();
    assert!(error.contains("encoded and never submitted"), "{error}");
    held.commands.submit();
    assert!(!tape.try_clear());
    held.during(|| tape.reset());
}

#[test]
fn a_frame_in_a_residency_set_waits_for_the_steps_of_its_time() {
    let rig = Rig::new();
    let Some(residency) = residency(&rig, "frames") else { return };
    let mut frames = Frames::new(&rig.gpu, 2, VALUES * 4).unwrap();
    residency.add(frames.next().unwrap().buffer());
    let held = Held::new(&rig);
    residency.use_in(&held.commands);
    frames.next().unwrap();
    let error = frames.next().unwrap_err().to_string();
    assert!(error.contains("frame 0") && error.contains("never submitted"), "{error}");
    // Submitted after the frame's step; it began in it.
    held.commands.submit();
    held.during(|| frames.next().unwrap());
}

#[test]
fn a_pool_s_buffer_cannot_be_taken_out_of_its_residency_set() {
    let rig = Rig::new();
    let Some(residency) = residency(&rig, "step") else { return };
    let pool = Pool::resident(&rig.gpu, PoolLimits::default(), &residency);
    let lease: Lease = pool.take(1024).unwrap();
    residency.commit();
    let text = panic_of(|| residency.remove(&*lease));
    assert!(text.contains("of a pool"), "{text}");
    // A texture is another reference to the memory, which the pool must not take for the set's.
    let pixels = TextureDescriptor::new_2d(PixelFormat::R8Unorm, 32, 4);
    let texture = lease.texture(&pixels, 0, 256).unwrap();
    drop(lease);
    assert_eq!((pool.stat().free, pool.stat().pending), (0, 1024));
    drop(texture);
    assert_eq!((pool.stat().free, pool.stat().pending), (1024, 0));
}

#[test]
fn frames_in_a_residency_set_do_not_wait_for_later_steps() {
    let rig = Rig::new();
    let kernel = rig.kernel(ADD);
    let Some(residency) = residency(&rig, "frames") else { return };
    let mut frames = Frames::new(&rig.gpu, 2, VALUES * 4).unwrap();
    let mut running: Vec<Held> = Vec::new();
    for step in 0..6 {
        let frame = match step {
            0 | 1 => frames.next().unwrap(),
            _ => running[step - 2].during(|| frames.next().unwrap()),
        };
        if let Some(last) = running.last() {
            last.assert_in_flight();
        }
        residency.add(frame.buffer());
        let held = Held::encoded(&rig, &kernel, frame.buffer(), 0);
        residency.use_in(&held.commands);
        held.commands.submit();
        running.push(held);
    }
    running.iter().for_each(Held::finish);
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
