//! Members of residency sets are tracked, for the command buffers and the queues that use the sets: `specs/tracking.md`.

mod gpu;
#[allow(dead_code)] // Each test program uses a part of it.
#[path = "gpu/tracking.rs"]
mod tracking;

use aruminium::objc::{ObjcClass, Object};
use aruminium::usage::Epoch;
use aruminium::{Buffer, ResidencySet, ResidencySetDescriptor, metal_class};
use gpu::Rig;
use std::sync::atomic::{AtomicBool, Ordering};
use tracking::{ALL, Held, NOTHING, Pages, may};

// Methods that a user of the crate might add.
metal_class! {
    trait MoreSet for ResidencySet;
    fn my_add(buffers: &[&Buffer]) = [addAllocations:count:];
    fn my_remove(buffers: &[&Buffer]) = [removeAllocations:count:];
}

/// Members of a queue's residency sets are not in use by a later queue at the same address.
#[test]
fn residency_sets_of_a_queue_are_released_with_it() {
    let rig = Rig::new();
    let buffer = rig.gpu.buffer(64).unwrap();
    let Ok(set) = rig.gpu.residency_set(&ResidencySetDescriptor::new()) else { return };
    set.add(&buffer);
    set.commit();
    for _ in 0..20 {
        let held =
            Held::new(&rig.gpu.new_command_queue().unwrap(), rig.gpu.shared_event().unwrap());
        held.commands.encoder().unwrap().finish();
        held.commands.submit();
        assert_eq!(may(&buffer), ALL, "this queue has no set");
        held.finish();
        rig.gpu.new_command_queue().unwrap().add_residency_set(&set);
    }
}

/// A set that another thread changes.
struct Changed(ResidencySet);

// SAFETY: soft Metal's sets may be used by several threads.
unsafe impl Send for Changed {}

impl Changed {
    fn grow(&self, by: &[Buffer]) {
        self.0.my_add(&by.iter().collect::<Vec<_>>());
    }
}

/// Members of a residency set are tracked without interruption while others are added.
#[test]
fn a_residency_set_may_grow_during_a_submission() {
    let rig = Rig::new();
    let Ok(set) = rig.gpu.residency_set(&ResidencySetDescriptor::new()) else { return };
    let member = rig.gpu.buffer(16).unwrap();
    set.add(&member);
    set.commit();
    let grown = Changed(set.clone());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (over, rig) = (&over, &rig);
        scope.spawn(move || {
            for _ in 0..30 {
                let more: Vec<Buffer> = (0..100).map(|_| rig.gpu.buffer(16).unwrap()).collect();
                grown.grow(&more);
            }
            over.store(true, Ordering::SeqCst);
        });
        while !over.load(Ordering::SeqCst) {
            let held = Held::encode(rig, |_| ());
            held.commands.use_residency_set(&set);
            held.commands.submit();
            let seen = may(&member);
            held.finish();
            assert_eq!(seen, NOTHING, "the set holds it");
        }
    });
}

/// A second wrapper of a set uses what the first one added.
#[test]
fn wrappers_of_a_residency_set_share_its_members() {
    let rig = Rig::new();
    let Ok(set) = rig.gpu.residency_set(&ResidencySetDescriptor::new()) else { return };
    let member = rig.gpu.buffer(16).unwrap();
    set.add(&member);
    set.commit();
    // SAFETY: the set is retained once more, for the second wrapper.
    let same = unsafe { ResidencySet::from_object(Object::borrowed(set.as_raw()).clone()) };
    let used = |set: &ResidencySet| {
        let held = Held::encode(&rig, |_| ());
        held.commands.use_residency_set(set);
        held.commands.submit();
        let seen = may(&member);
        held.finish();
        seen == NOTHING
    };
    assert!(used(&same));
    same.remove(&member);
    same.commit();
    assert!(!used(&set));
    drop(set);
    same.add(&member);
    same.commit();
    assert!(used(&same));
}

#[test]
fn what_left_a_residency_set_is_not_used_by_it() {
    let rig = Rig::new();
    let Ok(set) = rig.gpu.residency_set(&ResidencySetDescriptor::new()) else { return };
    let pages = Pages::new(1);
    let (one, other) = (rig.gpu.buffer(64).unwrap(), pages.wrap(&rig, 0, 1));
    let used = || {
        let held = Held::encode(&rig, |_| ());
        held.commands.use_residency_set(&set);
        held.commands.submit();
        let used = [&one, &other].map(|buffer| may(buffer) == NOTHING);
        held.finish();
        assert_eq!((may(&one), may(&other)), (ALL, ALL));
        used
    };
    set.my_add(&[&one, &other]);
    set.commit();
    assert_eq!(used(), [true, true]);
    set.remove(&one);
    assert_eq!(used(), [true, true], "before the commit it is in the set");
    set.commit();
    assert_eq!(used(), [false, true]);
    // Removed and added again.
    set.remove(&other);
    set.add(&other);
    set.commit();
    assert_eq!(used(), [false, true]);
    set.add(&one);
    set.commit();
    set.my_remove(&[]);
    set.my_remove(&[&other]);
    set.commit();
    assert_eq!(used(), [true, false]);
    set.add(&other);
    set.clear();
    set.add(&other);
    set.commit();
    assert_eq!(used(), [false, true]);
    // Two buffers over the same memory.
    let same = pages.wrap(&rig, 0, 1);
    set.add(&same);
    set.remove(&other);
    set.commit();
    assert_eq!(used(), [false, true]);
    set.clear();
    set.commit();
    assert_eq!(used(), [false, false]);
}

/// A kernel reaches what a set had at `use_residency_set`, even if it leaves the set before the submission.
#[test]
fn what_leaves_a_residency_set_after_its_use_stays_in_use() {
    let rig = Rig::new();
    let Ok(set) = rig.gpu.residency_set(&ResidencySetDescriptor::new()) else { return };
    let pipeline = rig.kernel(
        "struct Arguments { device uint *to; };
        kernel void store(constant Arguments &arguments [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            arguments.to[i] = 7;
        }",
    );
    let (buffer, arguments) = (rig.gpu.buffer(64).unwrap(), rig.gpu.buffer(8).unwrap());
    arguments.write_as(|to: &mut [u64]| to[0] = buffer.gpu_address());
    let usage = buffer.usage().expect("it is shared");
    let encoded = || {
        let held = Held::of(&rig);
        held.commands.use_residency_set(&set);
        let encoder = held.commands.encoder().unwrap();
        encoder.bind(&pipeline);
        encoder.bind_buffer(&arguments, 0, 0);
        encoder.launch((16, 1, 1), (16, 1, 1));
        encoder.finish();
        held
    };
    set.add(&buffer);
    set.commit();
    let (held, dropped) = (encoded(), encoded());
    let between = Epoch::now();
    set.remove(&buffer);
    set.commit();
    let later = Held::of(&rig);
    later.commands.use_residency_set(&set);
    assert!(usage.is_in_encoded_set(between) && usage.is_used_before(between));
    held.commands.submit();
    assert_eq!(may(&buffer), NOTHING);
    assert!(usage.is_used_before(between), "the other one is not submitted");
    held.finish();
    buffer.read_as(|stored: &[u32]| assert_eq!(stored, [7; 16], "the kernel reached it"));
    assert!(usage.is_in_encoded_set(between));
    drop(dropped);
    assert!(!usage.is_in_encoded_set(Epoch::now()), "the later use does not include it");
    later.commands.submit();
    assert_eq!(may(&buffer), ALL);
    later.finish();
}

#[test]
fn a_queue_no_longer_uses_a_residency_set_that_was_removed() {
    let rig = Rig::new();
    let Ok(set) = rig.gpu.residency_set(&ResidencySetDescriptor::new()) else { return };
    let buffer = rig.gpu.buffer(64).unwrap();
    set.add(&buffer);
    set.commit();
    rig.queue.add_residency_set(&set);
    let held = Held::submitted(&rig, |_| ());
    assert_eq!(may(&buffer), NOTHING);
    held.finish();
    rig.queue.remove_residency_set(&set.clone());
    let held = Held::submitted(&rig, |_| ());
    assert_eq!(may(&buffer), ALL);
    held.finish();
}

/// A command buffer may use the sets of its queue from its first encoder on; one that has none uses nothing.
#[test]
fn encoded_command_buffers_use_the_residency_sets_of_their_queue() {
    let rig = Rig::new();
    let Ok(set) = rig.gpu.residency_set(&ResidencySetDescriptor::new()) else { return };
    let buffer = rig.gpu.buffer(64).unwrap();
    let usage = buffer.usage().expect("it is shared");
    set.add(&buffer);
    set.commit();
    rig.queue.add_residency_set(&set);
    let held = Held::new(&rig.queue, rig.gpu.shared_event().unwrap());
    assert!(!usage.is_in_encoded_set(Epoch::now()), "nothing is encoded");
    let before = Epoch::now();
    held.commands.encoder().unwrap().finish();
    held.commands.copier().unwrap().finish();
    let after = Epoch::now();
    let encoded = |epoch| [usage.is_in_encoded_set(epoch), usage.is_used_before(epoch)];
    assert_eq!([encoded(before), encoded(after)], [[false; 2], [true; 2]]);
    assert!(!usage.is_encoded(), "the buffer is not bound");
    // A submission that is refused changes nothing.
    buffer.read(|_| assert!(held.commands.try_submit().is_err()));
    assert_eq!(encoded(after), [true; 2]);
    held.commands.submit();
    assert_eq!([encoded(before), encoded(after)], [[false; 2], [false, true]]);
    held.finish();
    assert_eq!(encoded(after), [false; 2]);
    // One that is dropped; and memory that leaves the set.
    let held = Held::encode(&rig, |_| ());
    let after = Epoch::now();
    assert_eq!(encoded(after), [true; 2]);
    set.remove(&buffer);
    assert_eq!(encoded(after), [true; 2], "before the commit it is in the set");
    set.commit();
    assert_eq!(encoded(after), [false; 2]);
    set.add(&buffer);
    assert_eq!(encoded(after), [true; 2]);
    drop(held);
    assert_eq!(encoded(after), [false; 2]);
}

/// A command buffer that uses the memory by a set changes nothing about one that is encoded with the memory.
#[test]
fn uses_by_sets_and_by_encoders_are_listed_apart() {
    let rig = Rig::new();
    let descriptor = ResidencySetDescriptor::new();
    let Ok(one) = rig.gpu.residency_set(&descriptor) else { return };
    let other = rig.gpu.residency_set(&descriptor).unwrap();
    let buffer = rig.gpu.buffer(64).unwrap();
    for set in [&one, &other] {
        set.add(&buffer);
        set.commit();
    }
    let usage = buffer.usage().expect("it is shared");
    usage.list_encoded();
    Epoch::end();
    let before = Epoch::now();
    let bound = Held::encode(&rig, |encoder| encoder.bind_buffer(&buffer, 0, 0));
    let held = Held::of(&rig);
    held.commands.use_residency_set(&one);
    let after = Epoch::now();
    held.commands.submit();
    // The use began with `use_residency_set`, not with the submission.
    assert_eq!([before, after].map(|epoch| buffer.is_in_flight_except_sets(epoch)), [false, true]);
    held.finish();
    assert!(usage.is_used_before(Epoch::now()) && !usage.is_used_before(before));
    drop(bound);
    // Memory that leaves one set is still in the other.
    let held = Held::of(&rig);
    held.commands.use_residency_set(&one);
    other.remove(&buffer);
    other.commit();
    assert!(usage.is_in_encoded_set(Epoch::now()));
}
