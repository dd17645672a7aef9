//! Views from the CPU and command buffers in flight exclude each other: `specs/tracking.md`, rule by rule.

mod gpu;
#[allow(dead_code)] // Each test program uses a part of it.
#[path = "gpu/tracking.rs"]
mod tracking;

use aruminium::usage::{Epoch, Usage};
use aruminium::{
    Buffer, Commands, Copier, DispatchType, Encoder, GpuError, Heap, HeapDescriptor, MTLRegion,
    NSRange, Pipeline, PixelFormat, ResidencySetDescriptor, ResourceOptions, ResourceUsage,
    StorageMode, Subresource, Texture, TextureDescriptor, TextureUsage, metal_class,
};
use gpu::Rig;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tracking::{ALL, Held, NOTHING, Pages, READ_ONLY, may};

const COPY: &str = "kernel void copy(device uint *to [[buffer(0)]],
        device const uint *from [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    to[i] = from[i];
}";

#[cfg(not(target_vendor = "apple"))] // Before macOS 26 pipelines do not say what they read.
const FILL: &str =
    "kernel void fill(device uint *to [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    to[i] = 7;
}";

// Methods that a user of the crate might add.
metal_class! {
    trait MoreEncoder for Encoder;
    fn my_pipeline(pipeline: &Pipeline) = [setComputePipelineState:];
    fn my_buffer(buffer: Option<&Buffer>, offset: usize, index: usize) = [setBuffer:offset:atIndex:];
    fn my_buffer_at_u64(buffer: &Buffer, offset: usize, index: u64) = [setBuffer:offset:atIndex:];
    fn my_buffer_at_i64(buffer: &Buffer, offset: i64, index: i64) = [setBuffer:offset:atIndex:];
    fn my_buffer_at_isize(buffer: &Buffer, offset: u64, index: isize) = [setBuffer:offset:atIndex:];
    fn my_launch(groups: (usize, usize, usize), threads: (usize, usize, usize))
        = [dispatchThreadgroups:threadsPerThreadgroup:];
    fn my_end() = [endEncoding];
    fn my_use(buffers: &[&Buffer], usage: ResourceUsage) = [useResources:count:usage:];
}

metal_class! {
    trait MoreCopier for Copier;
    fn my_fill(buffer: &Buffer, range: NSRange, value: u8) = [fillBuffer:range:value:];
}

metal_class! {
    trait MoreCommands for Commands;
    fn my_encoder(kind: DispatchType) -> Option<Encoder> = [computeCommandEncoderWithDispatchType:];
    fn my_submit() = [commit];
}

struct Copying {
    rig: Rig,
    pipeline: Pipeline,
    from: Buffer,
    to: Buffer,
}

impl Copying {
    fn new() -> Self {
        let rig = Rig::new();
        let pipeline = rig.kernel(COPY);
        let (from, to) = (rig.gpu.buffer(64).unwrap(), rig.gpu.buffer(64).unwrap());
        from.write_as(|x: &mut [u32]| x.fill(3));
        Self { rig, pipeline, from, to }
    }

    fn record(&self, encoder: &Encoder) {
        encoder.bind(&self.pipeline);
        encoder.bind_buffer(&self.to, 0, 0);
        encoder.bind_buffer(&self.from, 0, 1);
        encoder.launch((16, 1, 1), (16, 1, 1));
    }
}

#[test]
fn use_begins_with_submit_and_ends_with_completion() {
    let copying = Copying::new();
    let held = Held::encode(&copying.rig, |encoder| copying.record(encoder));
    assert_eq!((may(&copying.from), may(&copying.to)), (ALL, ALL), "only encoded");
    held.commands.enqueue();
    assert_eq!((may(&copying.from), may(&copying.to)), (ALL, ALL), "only enqueued");
    held.commands.submit();
    #[cfg(not(target_vendor = "apple"))] // Before macOS 26 pipelines do not say what they read.
    assert_eq!(may(&copying.from), READ_ONLY);
    assert_eq!(may(&copying.to), NOTHING);
    held.finish();
    assert_eq!((may(&copying.from), may(&copying.to)), (ALL, ALL));
    assert!(copying.to.read_as(|x: &[u32]| x.iter().all(|&x| x == 3)));
}

#[test]
fn a_refused_view_returns_the_reason() {
    let copying = Copying::new();
    let held = Held::submitted(&copying.rig, |encoder| copying.record(encoder));
    let Err(GpuError::BufferAccess(why)) = copying.to.try_read(|_| ()) else { panic!("no error") };
    assert!(why.contains("submitted and has not completed"), "{why}");
    let panic = catch_unwind(AssertUnwindSafe(|| copying.to.read(|_| ()))).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("submitted and has not completed"), "{text}");
    assert!(catch_unwind(AssertUnwindSafe(|| copying.to.write(|_| ()))).is_err());
    held.finish();
    assert_eq!(may(&copying.to), ALL);
}

#[test]
fn a_view_can_wait() {
    let copying = Copying::new();
    let held = Held::submitted(&copying.rig, |encoder| copying.record(encoder));
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            begun.store(true, Ordering::SeqCst);
            copying.to.read_completed_as(|x: &[u32]| x.to_vec()).unwrap()
        });
        while !begun.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        held.gate.set_signaled_value(1);
        assert_eq!(reader.join().unwrap(), [3; 16]);
    });
    copying.from.write_completed(|bytes| bytes.fill(0)).unwrap();
}

#[test]
fn memory_of_a_failed_command_buffer_can_be_viewed_again() {
    let copying = Copying::new();
    let held = Held::of(&copying.rig);
    let encoder = held.commands.encoder().unwrap();
    encoder.bind(&copying.pipeline);
    encoder.bind_buffer(&copying.to, 0, 0);
    // The kernel reads past the end of 64 bytes.
    encoder.bind_buffer(&copying.from, 0, 1);
    encoder.launch((64, 1, 1), (64, 1, 1));
    encoder.finish();
    held.commands.submit();
    assert_eq!(may(&copying.to), NOTHING);
    held.gate.set_signaled_value(1);
    held.commands.wait();
    assert_eq!(may(&copying.to), ALL);
}

/// A launch uses the pipeline's access to its arguments, whichever pipeline was set when they were bound.
#[cfg(not(target_vendor = "apple"))] // Before macOS 26 pipelines do not say what they read.
#[test]
fn the_pipeline_of_a_launch_decides_what_is_written() {
    let copying = Copying::new();
    let fill = copying.rig.kernel(FILL);
    let held = Held::submitted(&copying.rig, |encoder| {
        encoder.bind_buffer(&copying.from, 0, 1);
        encoder.bind_buffer(&copying.to, 0, 0);
        encoder.bind(&copying.pipeline);
        encoder.launch((16, 1, 1), (16, 1, 1));
    });
    assert_eq!(may(&copying.from), READ_ONLY, "buffers bound before the pipeline");
    held.finish();
    let held = Held::submitted(&copying.rig, |encoder| {
        copying.record(encoder);
        encoder.bind(&fill); // It writes what the first pipeline reads.
        encoder.launch((16, 1, 1), (16, 1, 1));
    });
    assert_eq!(may(&copying.from), NOTHING, "the second pipeline writes it");
    held.finish();
    let held = Held::submitted(&copying.rig, |encoder| {
        copying.record(encoder);
        encoder.bind(&fill);
        encoder.bind_buffer(&copying.to, 0, 1);
        encoder.launch((16, 1, 1), (16, 1, 1));
    });
    assert_eq!(may(&copying.from), READ_ONLY, "another buffer took its index");
    held.finish();
    let held = Held::submitted(&copying.rig, |encoder| {
        copying.record(encoder);
        encoder.bind_buffers(&[(&copying.from, 0)], 0);
        encoder.launch((16, 1, 1), (16, 1, 1));
    });
    assert_eq!(may(&copying.from), NOTHING, "bound as an element of an array of buffers");
    held.finish();
}

#[test]
fn uses_of_all_encoders_of_a_command_buffer_count() {
    let copying = Copying::new();
    let other = copying.rig.gpu.buffer(64).unwrap();
    let held = Held::encode(&copying.rig, |encoder| copying.record(encoder));
    let copier = held.commands.copier().unwrap();
    copier.copy(&copying.to, 0, &other, 0, 64);
    drop(copier); // It ends here.
    let encoder = held.commands.encoder().unwrap();
    copying.record(&encoder);
    encoder.finish();
    held.commands.clone().submit();
    assert_eq!((may(&copying.to), may(&other)), (NOTHING, NOTHING));
    held.finish();
    assert_eq!((may(&copying.to), may(&other)), (ALL, ALL));
}

#[test]
fn the_source_of_a_copy_is_only_read() {
    let rig = Rig::new();
    let [from, to, filled] = [(); 3].map(|()| rig.gpu.buffer(64).unwrap());
    let held = Held::of(&rig);
    let copier = held.commands.copier().unwrap();
    copier.copy(&from, 0, &to, 0, 64);
    copier.fill(&filled, (0..64).into(), 1);
    copier.finish();
    held.commands.submit();
    assert_eq!((may(&from), may(&to), may(&filled)), (READ_ONLY, NOTHING, NOTHING));
    held.finish();
}

#[test]
fn methods_that_users_declare_are_tracked() {
    let copying = Copying::new();
    let [filled, used] = [(); 2].map(|()| copying.rig.gpu.buffer(64).unwrap());
    let held = Held::of(&copying.rig);
    let encoder = held.commands.my_encoder(DispatchType::Serial).unwrap();
    encoder.my_pipeline(&copying.pipeline);
    encoder.my_buffer(Some(&copying.to), 0, 0);
    encoder.my_buffer(Some(&used), 0, 1);
    encoder.my_buffer(None, 0, 1);
    encoder.my_buffer(Some(&copying.from), 0, 1);
    encoder.my_use(&[&used], ResourceUsage::READ);
    encoder.my_launch((1, 1, 1), (16, 1, 1));
    encoder.my_end();
    let copier = held.commands.copier().unwrap();
    copier.my_fill(&filled, (0..64).into(), 1);
    copier.finish();
    held.commands.my_submit();
    #[cfg(not(target_vendor = "apple"))] // Before macOS 26 pipelines do not say what they read.
    assert_eq!(may(&copying.from), READ_ONLY);
    assert_eq!((may(&copying.to), may(&filled), may(&used)), (NOTHING, NOTHING, NOTHING));
    held.finish();
    assert_eq!((may(&copying.to), may(&filled), may(&used)), (ALL, ALL, ALL));
}

/// The index counts, whichever integer type it is declared with: the offset is not taken for it.
#[test]
fn an_index_may_be_declared_with_any_integer_type() {
    let copying = Copying::new();
    let bind: [fn(&Encoder, &Buffer, usize, usize); 3] = [
        |encoder, buffer, offset, index| encoder.my_buffer_at_u64(buffer, offset, index as u64),
        |encoder, buffer, offset, index| {
            encoder.my_buffer_at_i64(buffer, offset as i64, index as i64);
        },
        |encoder, buffer, offset, index| {
            encoder.my_buffer_at_isize(buffer, offset as u64, index as isize);
        },
    ];
    for (which, bind) in bind.into_iter().enumerate() {
        let held = Held::submitted(&copying.rig, |encoder| {
            encoder.bind(&copying.pipeline);
            // 4 is the index of no argument, and 1 is that of the one that is only read.
            bind(encoder, &copying.to, 4, 0);
            bind(encoder, &copying.from, 0, 1);
            encoder.launch((15, 1, 1), (15, 1, 1));
        });
        assert_eq!(may(&copying.to), NOTHING, "method {which}: it is written");
        #[cfg(not(target_vendor = "apple"))] // Before macOS 26 pipelines do not say what they read.
        assert_eq!(may(&copying.from), READ_ONLY, "method {which}: it is read");
        held.finish();
    }
}

#[test]
fn a_texture_in_a_buffer_shares_its_record() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Uint, 16, 4);
    descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    let buffer = rig.gpu.buffer(256 * 4).unwrap();
    let texture = buffer.texture(&descriptor, 0, 256).unwrap();
    let view = texture.view(PixelFormat::R32Sint).unwrap();
    for texture in [texture, view] {
        let held = Held::submitted(&rig, |encoder| encoder.bind_texture(&texture, 0));
        assert_eq!(may(&buffer), NOTHING);
        held.finish();
        assert_eq!(may(&buffer), ALL);
    }
    // Kernels cannot write a texture whose usage does not allow it.
    descriptor.set_usage(TextureUsage::SHADER_READ);
    let texture = buffer.texture(&descriptor, 0, 256).unwrap();
    let held = Held::submitted(&rig, |encoder| encoder.bind_texture(&texture, 0));
    assert_eq!(may(&buffer), READ_ONLY);
    held.finish();
}

#[test]
fn textures_are_not_copied_while_they_are_written() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R8Unorm, 4, 4);
    descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    let [from, to] = [(); 2].map(|()| rig.gpu.texture_with(&descriptor).unwrap());
    let all = MTLRegion { origin: (0, 0, 0).into(), size: (4, 4, 1).into() };
    let may = |texture: &Texture| {
        let mut pixels = [0u8; 16];
        let read = texture.read(Subresource::default(), all, &mut pixels).is_ok();
        (read, texture.write(Subresource::default(), all, &pixels).is_ok())
    };
    let held = Held::of(&rig);
    let copier = held.commands.copier().unwrap();
    copier.copy_texture(&from, &to.clone());
    copier.finish();
    held.commands.submit();
    assert_eq!((may(&from), may(&to)), (READ_ONLY, NOTHING));
    held.finish();
    assert_eq!((may(&from), may(&to)), (ALL, ALL));
}

fn shared_heap(rig: &Rig) -> Heap {
    let descriptor = HeapDescriptor::new();
    descriptor.set_size(1 << 16);
    descriptor.set_storage_mode(StorageMode::Shared);
    rig.gpu.heap(&descriptor).unwrap()
}

#[test]
fn resources_of_a_heap_share_a_record() {
    let rig = Rig::new();
    let heap = shared_heap(&rig);
    let make = || heap.buffer(256, ResourceOptions::STORAGE_SHARED).unwrap();
    let (one, other) = (make(), make());
    let held = Held::of(&rig);
    let copier = held.commands.copier().unwrap();
    copier.fill(&one, (0..16).into(), 1);
    copier.finish();
    held.commands.submit();
    assert_eq!((may(&one), may(&other)), (NOTHING, NOTHING));
    held.finish();
    // Two views from the CPU conflict only where they overlap.
    one.read(|one| other.write(|other| other.copy_from_slice(one)));
    assert!(other.read(|bytes| bytes[..16] == [1; 16]));
    for heap in [&heap, &heap.clone()] {
        let held = Held::submitted(&rig, |encoder| encoder.use_heap(heap));
        assert_eq!(may(&other), NOTHING);
        held.finish();
    }
}

fn fill(rig: &Rig, buffer: &Buffer) -> Held {
    let held = Held::of(rig);
    let copier = held.commands.copier().unwrap();
    copier.fill(buffer, (0..16).into(), 1);
    copier.finish();
    held.commands.submit();
    held
}

#[test]
fn buffers_over_the_same_memory_share_a_record() {
    let (rig, pages) = (Rig::new(), Pages::new(4));
    let (first, second, last) =
        (pages.wrap(&rig, 0, 1), pages.wrap(&rig, 1, 1), pages.wrap(&rig, 3, 1));
    let held = fill(&rig, &first);
    assert_eq!((may(&first), may(&second), may(&last)), (NOTHING, ALL, ALL));
    // One that spans memory in flight, made while it is.
    let both = pages.wrap(&rig, 0, 2);
    assert_eq!(may(&both), NOTHING);
    held.finish();
    assert_eq!(may(&both), ALL);
    for (used, others) in
        [(&both, [&first, &second]), (&first, [&both, &both]), (&second, [&both, &both])]
    {
        let held = fill(&rig, used);
        assert_eq!(others.map(may), [NOTHING; 2]);
        assert_eq!(may(&last), ALL);
        held.finish();
    }
    both.write(|_| assert_eq!((may(&first), may(&second), may(&last)), (NOTHING, NOTHING, ALL)));
    first.read(|_| assert_eq!((may(&both), may(&second)), (READ_ONLY, ALL)));
}

#[test]
fn a_buffer_over_a_part_of_anothers_memory_leaves_the_rest_to_it() {
    let (rig, pages) = (Rig::new(), Pages::new(2));
    let (both, first) = (pages.wrap(&rig, 0, 2), pages.wrap(&rig, 0, 1));
    // A record is looked up at the first view.
    assert_eq!((may(&both), may(&first)), (ALL, ALL));
    let second = pages.wrap(&rig, 1, 1);
    let held = fill(&rig, &both);
    assert_eq!(may(&second), NOTHING);
    held.finish();
}

#[test]
fn a_launch_that_writes_a_buffer_may_write_all_its_memory() {
    let (copying, pages) = (Copying::new(), Pages::new(2));
    let parts = [0, 1].map(|page| pages.wrap(&copying.rig, page, 1));
    // Each part gets a record of its own at its first view.
    assert_eq!(parts.each_ref().map(may), [ALL; 2]);
    let both = pages.wrap(&copying.rig, 0, 2);
    let held = Held::submitted(&copying.rig, |encoder| {
        encoder.bind(&copying.pipeline);
        encoder.bind_buffer(&both, 0, 0);
        encoder.bind_buffer(&copying.from, 0, 1);
        encoder.launch((16, 1, 1), (16, 1, 1));
    });
    assert_eq!(parts.each_ref().map(may), [NOTHING; 2]);
    held.finish();
}

#[test]
fn memory_is_encoded_until_its_command_buffer_is_submitted() {
    let copying = Copying::new();
    assert!(!copying.to.is_encoded());
    let held = Held::encode(&copying.rig, |encoder| copying.record(encoder));
    assert!(copying.to.is_encoded() && copying.from.is_encoded());
    held.commands.submit();
    assert!(!copying.to.is_encoded() && !copying.from.is_encoded());
    held.finish();
}

#[test]
fn another_wrapper_of_the_same_buffer_shares_the_record() {
    let rig = Rig::new();
    let buffer = rig.gpu.buffer(64).unwrap();
    // SAFETY: the pointer is a buffer, retained for the second wrapper.
    let other = unsafe { Buffer::from_raw(aruminium::ffi::retain(buffer.as_raw())) }.unwrap();
    let held = fill(&rig, &buffer);
    assert_eq!(may(&other), NOTHING);
    drop(buffer);
    assert_eq!(may(&other), NOTHING, "the first wrapper is gone");
    held.finish();
    assert_eq!(may(&other), ALL);
}

#[test]
fn memory_dropped_in_flight_stays_in_flight() {
    let (rig, pages) = (Rig::new(), Pages::new(1));
    let held = fill(&rig, &pages.wrap(&rig, 0, 1));
    let again = pages.wrap(&rig, 0, 1);
    assert_eq!(may(&again), NOTHING);
    held.finish();
    assert_eq!(may(&again), ALL);
    let held = fill(&rig, &again);
    drop(again);
    held.finish();
    assert_eq!(may(&pages.wrap(&rig, 0, 1)), ALL);
}

/// A record that is made while the last one of the same memory is being dropped knows all that is in flight.
#[test]
fn no_flight_is_lost_between_records() {
    let (rig, pages) = (Rig::new(), Pages::new(1));
    let buffer = pages.wrap(&rig, 0, 1);
    let flights: Vec<Held> = (0..20).map(|_| fill(&rig, &buffer)).collect();
    let record = || Usage::of(pages.0, pages.1.size());
    let first = record();
    drop(buffer);
    let barrier = Barrier::new(2);
    let (give, taken) = std::sync::mpsc::channel::<Usage>();
    let last = std::thread::scope(|scope| {
        let (barrier, give) = (&barrier, give); // Dropped here, it ends the thread.
        scope.spawn(move || {
            for usage in taken {
                barrier.wait();
                drop(usage);
            }
        });
        let mut last = first;
        for round in 0..2000 {
            give.send(last).unwrap();
            barrier.wait();
            // At another moment of the drop each time.
            for _ in 0..round % 50 * 10 {
                std::hint::spin_loop();
            }
            last = record();
            assert!(last.is_in_flight(), "round {round}");
        }
        last
    });
    flights.iter().for_each(Held::finish);
    assert!(!last.is_in_flight());
}

#[test]
fn indirect_uses_count_as_written() {
    let rig = Rig::new();
    let buffer = rig.gpu.buffer(64).unwrap();
    let held = Held::submitted(&rig, |encoder| encoder.use_resource(&buffer, ResourceUsage::READ));
    assert_eq!(may(&buffer), NOTHING);
    held.finish();
    let Ok(set) = rig.gpu.residency_set(&ResidencySetDescriptor::new()) else { return };
    set.add(&buffer);
    set.commit();
    assert_eq!(may(&buffer), ALL);
    let held = Held::encode(&rig, |_| ());
    held.commands.use_residency_set(&set);
    held.commands.submit();
    assert_eq!(may(&buffer), NOTHING);
    held.finish();
    // Members that are added later count too.
    let later = rig.gpu.buffer(64).unwrap();
    rig.queue.add_residency_set(&set.clone());
    set.add(&later);
    set.commit();
    let held = Held::submitted(&rig, |_| ());
    assert_eq!((may(&buffer), may(&later)), (NOTHING, NOTHING));
    held.finish();
    assert_eq!((may(&buffer), may(&later)), (ALL, ALL));
}

#[test]
fn work_that_conflicts_with_an_open_view_is_not_submitted() {
    let copying = Copying::new();
    let held = Held::encode(&copying.rig, |encoder| copying.record(encoder));
    copying.to.read(|_| {
        let Err(GpuError::BufferAccess(why)) = held.commands.try_submit() else {
            panic!("submitted")
        };
        assert!(why.contains("being read"), "{why}");
        assert!(catch_unwind(AssertUnwindSafe(|| held.commands.submit())).is_err());
    });
    copying.from.write(|_| assert!(held.commands.try_submit().is_err()));
    let (open, close) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (open, close, to) = (&open, &close, &copying.to);
        scope.spawn(move || {
            to.write(|_| {
                open.store(true, Ordering::SeqCst);
                while !close.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
            });
        });
        while !open.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        assert!(held.commands.try_submit().is_err(), "a view on another thread");
        close.store(true, Ordering::SeqCst);
    });
    assert_eq!(held.commands.status(), Commands::STATUS_NOT_ENQUEUED);
    assert_eq!(
        (may(&copying.from), may(&copying.to)),
        (ALL, ALL),
        "a refused command buffer is in flight"
    );
    // A view that reads allows a kernel that reads.
    #[cfg(not(target_vendor = "apple"))] // Before macOS 26 pipelines do not say what they read.
    copying.from.read(|_| held.commands.try_submit()).unwrap();
    #[cfg(target_vendor = "apple")]
    held.commands.submit();
    assert_eq!(may(&copying.to), NOTHING, "the same uses as the first time");
    held.finish();
    assert!(copying.to.read_as(|x: &[u32]| x.iter().all(|&x| x == 3)));
}

#[test]
fn completion_handlers_may_view_memory() {
    let copying = Copying::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let held = Held::encode(&copying.rig, |encoder| copying.record(encoder));
    let Copying { to, from, .. } = copying;
    held.commands.on_completed(move |_| _ = sender.send((may(&to), may(&from))));
    held.commands.submit();
    held.finish();
    assert_eq!(receiver.recv(), Ok((ALL, ALL)));
}

/// One thread launches while another views the buffer, which never contains half of a launch.
#[test]
fn no_view_sees_half_of_a_command_buffer() {
    const FILL: &str =
        "kernel void fill(device uint *to [[buffer(0)]], constant uint &value [[buffer(1)]],
        uint i [[thread_position_in_grid]]) { to[i] = value; }";
    let rig = Rig::new();
    let pipeline = rig.kernel(FILL);
    let buffer = rig.gpu.buffer(4096 * 4).unwrap();
    let (over, looks) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                buffer.read_completed_as(|x: &[u32]| assert!(x.iter().all(|&x| x == 0))).unwrap();
                looks.fetch_add(1, Ordering::SeqCst);
            }
        });
        // On a busy machine the other thread may start late.
        let mut submitted = 0;
        while submitted < 200 || looks.load(Ordering::SeqCst) < 10 && !looker.is_finished() {
            submitted += 1;
            let commands = rig.queue.commands().unwrap();
            let encoder = commands.encoder().unwrap();
            encoder.bind(&pipeline);
            encoder.bind_buffer(&buffer, 0, 0);
            for value in [1u32, 0] {
                encoder.push(&value.to_ne_bytes(), 1);
                encoder.launch((4096, 1, 1), (256, 1, 1));
            }
            encoder.finish();
            while commands.try_submit().is_err() {
                std::thread::yield_now();
            }
            if submitted >= 200 {
                // A view gets its turn only when nothing is in flight.
                commands.wait();
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        over.store(true, Ordering::SeqCst);
    });
}

/// A clone that is submitted while the command buffer is being submitted waits until all it uses is in flight.
#[test]
fn clones_may_be_submitted_at_the_same_time() {
    let rig = Rig::new();
    let buffers: Vec<Buffer> = (0..500).map(|_| rig.gpu.buffer(16).unwrap()).collect();
    for _ in 0..20 {
        let held = Held::encode(&rig, |encoder| {
            for buffer in &buffers {
                encoder.use_resource(buffer, ResourceUsage::WRITE);
            }
        });
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            for commands in [held.commands.clone(), held.commands.clone()] {
                let (barrier, buffers) = (&barrier, &buffers);
                scope.spawn(move || {
                    barrier.wait();
                    commands.try_submit().unwrap();
                    let free = buffers.iter().rposition(|buffer| !buffer.is_in_flight());
                    // The second commit is an error, which may end the command buffer early.
                    let ended = commands.status() >= Commands::STATUS_COMPLETED;
                    assert!(free.is_none() || ended, "buffer {free:?} is not in flight");
                });
            }
        });
        held.gate.set_signaled_value(1);
        held.commands.wait();
    }
}

#[test]
fn a_private_texture_of_a_shared_buffer_shares_its_record() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Uint, 16, 4);
    descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    descriptor.set_storage_mode(StorageMode::Private);
    let buffer = rig.gpu.buffer(256 * 4).unwrap();
    // A system may refuse it.
    let Ok(texture) = buffer.texture(&descriptor, 0, 256) else { return };
    let held = Held::submitted(&rig, |encoder| encoder.bind_texture(&texture, 0));
    assert_eq!(may(&buffer), NOTHING);
    held.finish();
}

/// A texture and its views are the same memory: a copy never sees half of another.
#[test]
fn copies_of_a_texture_and_of_its_view_exclude_each_other() {
    const SIZE: usize = 512;
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R8Unorm, SIZE, SIZE);
    let texture = rig.gpu.texture_with(&descriptor).unwrap();
    let view = texture.view(PixelFormat::R8Uint).unwrap().view(PixelFormat::R8Unorm).unwrap();
    let all = MTLRegion { origin: (0, 0, 0).into(), size: (SIZE, SIZE, 1).into() };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        scope.spawn(move || {
            for value in 0..300 {
                let pixels = [value as u8; SIZE * SIZE];
                while view.write(Subresource::default(), all, &pixels).is_err() {
                    std::thread::yield_now();
                }
            }
            over.store(true, Ordering::SeqCst);
        });
        let mut pixels = vec![0u8; SIZE * SIZE];
        while !over.load(Ordering::SeqCst) {
            if texture.read(Subresource::default(), all, &mut pixels).is_ok() {
                assert!(pixels.iter().all(|&pixel| pixel == pixels[0]), "half of a copy");
            }
        }
    });
}

#[test]
fn a_reversed_range_is_refused() {
    let rig = Rig::new();
    let buffer = rig.gpu.buffer(64).unwrap();
    let usage = Usage::of(buffer.contents().cast(), 64);
    for range in [Range { start: 5, end: 2 }, Range { start: usize::MAX, end: 2 }] {
        let Err(GpuError::BufferAccess(why)) = usage.view(range, true) else { panic!("opened") };
        assert!(why.contains("after its end at byte 2"), "{why}");
    }
}

/// A command buffer that was encoded before they were listed may use the memory at any epoch, until it has completed.
#[test]
fn command_buffers_that_are_not_listed_count_at_any_moment() {
    let rig = Rig::new();
    for lists in [false, true] {
        let buffer = rig.gpu.buffer(64).unwrap();
        let usage = buffer.usage().expect("it is shared");
        let held = Held::encode(&rig, |encoder| encoder.bind_buffer(&buffer, 0, 0));
        if lists {
            usage.list_encoded();
        }
        Epoch::end();
        let epoch = Epoch::now();
        assert!(usage.is_used_before(epoch), "encoded; lists: {lists}");
        held.commands.submit();
        assert!(usage.is_used_before(epoch), "in flight; lists: {lists}");
        held.finish();
        assert!(!usage.is_used_before(epoch), "completed; lists: {lists}");
        drop(held);
        // One that is listed is distinguished.
        let later = Held::encode(&rig, |encoder| encoder.bind_buffer(&buffer, 0, 0));
        assert_eq!(usage.is_used_before(epoch), !lists);
        later.commands.submit();
        assert_eq!(usage.is_used_before(epoch), !lists);
        later.finish();
    }
}
