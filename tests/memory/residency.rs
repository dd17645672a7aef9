//! Residency sets: memory that only a set keeps in use.

use super::{ADD, Held, VALUES, panic_of};
use crate::gpu::Rig;
use aruminium::memory::{Block, Frames, Lease, Pool, PoolLimits, Residency, Slab, Tape};
use aruminium::{Deallocator, PixelFormat, TextureDescriptor};
use std::time::Duration;

/// A residency set; `None` on Apple's systems before macOS 15, which have none.
pub(crate) fn residency(rig: &Rig, name: &str) -> Option<Residency> {
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
