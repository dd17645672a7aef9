//! Work that was declared, or encoded and not yet submitted, when the memory it may use comes back.

use super::{ADD, Held, VALUES};
use crate::gpu::Rig;
use crate::residency::residency;
use aruminium::memory::{Frames, Pool, PoolLimits, Span};
use aruminium::{Commands, Dispatch, Pipeline};
use std::sync::Arc;
use std::time::Duration;

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
    const LARGE: usize = 32 << 20;
    let rig = Rig::new();
    let (gate, commands) = (rig.gpu.shared_event().unwrap(), rig.queue.commands().unwrap());
    commands.wait_for(&gate, 1);
    // It takes a while once the gate is open.
    let (buffer, copier) = (rig.gpu.buffer(LARGE).unwrap(), commands.copier().unwrap());
    copier.fill(&buffer, (0..LARGE).into(), 7);
    copier.finish();
    let clone = commands.clone();
    let (watch, of_clone) = (commands.watch(), clone.watch());
    commands.submit();
    assert!(!watch.is_unsubmitted());
    drop(commands);
    std::thread::spawn(move || drop(clone)).join().unwrap();
    let is_over = watch.is_over() || watch.is_unsubmitted() || of_clone.is_over();
    let waits = std::thread::spawn(move || of_clone.wait());
    gate.set_signaled_value(1);
    let ended = watch.wait() && watch.is_over();
    assert!(!is_over && ended && waits.join().unwrap());
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
    use super::add;
    use aruminium::{Buffer, memory::Tape};

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
