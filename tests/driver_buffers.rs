//! Buffers: their memory from both sides, and the errors that they return.

mod gpu;

use aruminium::device::Deallocator;
use aruminium::{
    Buffer, Gpu, GpuError, HeapDescriptor, NSRange, PurgeableState, ResourceOptions, StorageMode,
    objc,
};
use gpu::Rig;
use std::alloc::Layout;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const INCREMENT: &str =
    "kernel void increment(device float *x, uint i [[thread_position_in_grid]]) { x[i] += 1; }";

fn increment(rig: &Rig, buffer: &Buffer, count: usize) {
    let pipeline = rig.kernel(INCREMENT);
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffer(buffer, 0, 0);
        encoder.launch((count, 1, 1), (32, 1, 1));
    })
    .unwrap();
}

#[test]
fn a_shared_buffer_is_memory_of_both() {
    let rig = Rig::new();
    let buffer = rig.gpu.buffer(100 * 4).unwrap();
    assert!(buffer.is_shared());
    assert_eq!((buffer.size(), buffer.storage_mode()), (400, StorageMode::Shared));
    assert!(buffer.allocated_size() >= 400);
    // It is zeroed initially.
    assert!(buffer.read(|bytes| bytes.len() == 400 && bytes.iter().all(|&byte| byte == 0)));
    buffer.write_f32(|x| x.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32));
    increment(&rig, &buffer, 100);
    assert!(buffer.read_f32(|x| x.iter().enumerate().all(|(i, &x)| x == i as f32 + 1.0)));
}

#[test]
fn the_address_of_contents_is_constant() {
    let gpu = Gpu::open().unwrap();
    let buffer = gpu.buffer(64).unwrap();
    let contents = buffer.contents();
    assert!(!contents.is_null() && contents.addr().is_multiple_of(16));
    buffer.write(|bytes| bytes[5] = 77);
    // SAFETY: the memory is the buffer's, which is alive.
    assert_eq!(unsafe { contents.cast::<u8>().add(5).read() }, 77);
    assert_eq!(buffer.contents(), contents);
}

#[test]
fn accessors_return_the_value_of_their_closure() {
    let gpu = Gpu::open().unwrap();
    let buffer = gpu.buffer_with_data(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    assert_eq!(buffer.read(|bytes| bytes.to_vec()), [1, 2, 3, 4, 5, 6, 7, 8]);
    let old = buffer.write(|bytes| std::mem::replace(&mut bytes[0], 9));
    assert_eq!((old, buffer.read(|bytes| bytes[0])), (1, 9));
    buffer.write_f32(|x| x.copy_from_slice(&[0.5, -2.0]));
    assert_eq!(buffer.read_f32(<[f32]>::to_vec), [0.5, -2.0]);
    buffer.write_as(|x: &mut [[u16; 2]]| x[1] = [3, 4]);
    assert_eq!(buffer.read_as(|x: &[u16]| x[2..].to_vec()), [3, 4]);
    // Trailing bytes that do not make a whole value are left out.
    assert_eq!(gpu.buffer(10).unwrap().read_as(|x: &[u32]| x.len()), 2);
}

#[test]
fn conflicting_views_of_one_buffer_are_refused() {
    let buffer = Gpu::open().unwrap().buffer(16).unwrap();
    buffer.read(|_| {
        assert!(buffer.try_read(|_| ()).is_ok());
        let Err(GpuError::BufferAccess(why)) = buffer.try_write(|_| ()) else {
            panic!("written while it is read");
        };
        assert!(why.contains("being read"), "{why}");
    });
    buffer.write(|_| {
        assert!(matches!(buffer.try_read(|_| ()), Err(GpuError::BufferAccess(_))));
        assert!(matches!(buffer.try_write(|_| ()), Err(GpuError::BufferAccess(_))));
        let panic = catch_unwind(AssertUnwindSafe(|| buffer.read(|_| ()))).unwrap_err();
        let words = panic.downcast_ref::<String>().unwrap();
        assert!(words.contains("being written"), "{words}");
    });
    // A closure that panics releases the buffer.
    let panic = catch_unwind(AssertUnwindSafe(|| buffer.write(|_| panic!("on purpose"))));
    assert!(panic.is_err() && buffer.try_write(|_| ()).is_ok());
}

#[test]
fn a_private_buffer_is_accessible_to_the_gpu_only() {
    let rig = Rig::new();
    let private = rig.gpu.buffer_private(256).unwrap();
    assert!(!private.is_shared() && private.contents().is_null());
    assert_eq!((private.size(), private.storage_mode()), (256, StorageMode::Private));
    let Err(GpuError::BufferAccess(why)) = private.try_read(|_| ()) else {
        panic!("the CPU reads a private buffer");
    };
    assert!(why.contains("private"), "{why}");
    assert!(private.try_write_as(|_: &mut [f32]| ()).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| private.read(|_| ()))).is_err());

    let start: Vec<u8> = (0..64).flat_map(|i| (i as f32).to_ne_bytes()).collect();
    let staging = rig.gpu.buffer_with_data(&start).unwrap();
    let copy = |from: &Buffer, to: &Buffer| {
        let commands = rig.queue.commands().unwrap();
        let copier = commands.copier().unwrap();
        copier.copy(from, 0, to, 0, 256);
        copier.finish();
        commands.submit();
        commands.finish().unwrap();
    };
    copy(&staging, &private);
    increment(&rig, &private, 64);
    copy(&private, &staging);
    assert!(staging.read_f32(|x| x.iter().enumerate().all(|(i, &x)| x == i as f32 + 1.0)));
}

#[test]
fn parts_of_buffers_are_copied_and_filled() {
    let rig = Rig::new();
    let from = rig.gpu.buffer_with_data(&(0..32).collect::<Vec<u8>>()).unwrap();
    let to = rig.gpu.buffer(32).unwrap();
    let commands = rig.queue.commands().unwrap();
    let copier = commands.copier().unwrap();
    copier.copy(&from, 4, &to, 8, 12);
    copier.fill(&to, NSRange::from(24..32), 0xAB);
    copier.finish();
    commands.submit();
    commands.finish().unwrap();
    let mut expected = [0; 32];
    (0..12).for_each(|i| expected[8 + i as usize] = 4 + i);
    expected[24..].fill(0xAB);
    assert_eq!(to.read(|bytes| bytes.to_vec()), expected);
}

#[test]
fn impossible_sizes_are_refused_with_a_message() {
    let gpu = Gpu::open().unwrap();
    for bytes in [0, usize::MAX, usize::MAX / 2, isize::MAX as usize + 1] {
        for made in [gpu.buffer(bytes), gpu.buffer_private(bytes)] {
            let Err(error @ GpuError::BufferCreationFailed(_)) = made else {
                panic!("a buffer of {bytes} bytes");
            };
            assert!(error.to_string().contains("byte"), "{error}");
        }
    }
    assert!(matches!(gpu.buffer_with_data(&[]), Err(GpuError::BufferCreationFailed(_))));
}

#[test]
fn options_determine_storage_and_tracking() {
    let gpu = Gpu::open().unwrap();
    let options = ResourceOptions::STORAGE_SHARED | ResourceOptions::HAZARD_UNTRACKED;
    let buffer = gpu.buffer_with_options(64, options).unwrap();
    assert!(buffer.resource_options().contains(ResourceOptions::HAZARD_UNTRACKED));
    buffer.set_label("weights");
    assert_eq!(buffer.label().as_deref(), Some("weights"));
    let before = buffer.set_purgeable_state(PurgeableState::Volatile);
    assert_eq!(before, PurgeableState::NonVolatile);
    assert_eq!(buffer.set_purgeable_state(PurgeableState::NonVolatile), PurgeableState::Volatile);
    buffer.add_debug_marker("first half", NSRange::from(0..32));
    buffer.remove_all_debug_markers();
    let other = gpu.buffer(64).unwrap();
    assert!(buffer.gpu_address() != 0 && buffer.gpu_address() != other.gpu_address());
}

/// Pages that a buffer can be wrapped around.
struct Pages(Layout, *mut u8);

impl Pages {
    fn new(count: usize) -> Self {
        let page = usize::try_from(objc::link::getpagesize()).unwrap();
        let layout = Layout::from_size_align(count * page, page).unwrap();
        // SAFETY: the layout is not empty.
        let start = unsafe { std::alloc::alloc_zeroed(layout) };
        assert!(!start.is_null());
        Self(layout, start)
    }

    fn start(&self) -> *mut c_void {
        self.1.cast()
    }

    fn bytes(&self) -> usize {
        self.0.size()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { std::alloc::dealloc(self.1, self.0) }
    }
}

#[test]
fn existing_memory_is_wrapped_without_a_copy() {
    let rig = Rig::new();
    let pages = Pages::new(2);
    // SAFETY: these are whole pages, which outlive the buffer.
    let buffer = unsafe { rig.gpu.buffer_wrap(pages.start(), pages.bytes()) }.unwrap();
    assert_eq!((buffer.contents(), buffer.size()), (pages.start(), pages.bytes()));
    increment(&rig, &buffer, 1024);
    // SAFETY: the GPU is done, and nothing else writes.
    let written = unsafe { std::slice::from_raw_parts(pages.start().cast::<f32>(), 1025) };
    assert!(written[..1024].iter().all(|&x| x == 1.0) && written[1024] == 0.0);
}

#[test]
fn the_deallocator_is_called_when_memory_is_free() {
    let gpu = Gpu::open().unwrap();
    let pages = Pages::new(1);
    let calls = Arc::new(AtomicUsize::new(0));
    let deallocator = Deallocator::new({
        let (calls, expected) = (Arc::clone(&calls), (pages.start().addr(), pages.bytes()));
        move |start: *mut c_void, bytes: usize| {
            assert_eq!((start.addr(), bytes), expected);
            calls.fetch_add(1, Ordering::SeqCst);
        }
    });
    // SAFETY: these are whole pages, which outlive the buffer.
    let buffer =
        unsafe { gpu.buffer_wrap_with(pages.start(), pages.bytes(), &deallocator) }.unwrap();
    drop(deallocator);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    drop(buffer);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn only_whole_pages_are_wrapped() {
    let gpu = Gpu::open().unwrap();
    let pages = Pages::new(2);
    let page = pages.bytes() / 2;
    let wrong = [
        (pages.start().wrapping_byte_add(16), page),
        (pages.start(), page - 4),
        (pages.start(), 0),
        (std::ptr::null_mut(), page),
    ];
    for (start, bytes) in wrong {
        // SAFETY: as far as the memory reaches it is alive; the rest is what is tested.
        let made = unsafe { gpu.buffer_wrap(start, bytes) };
        let Err(GpuError::BufferCreationFailed(why)) = made else {
            panic!("{bytes} bytes at {start:p}");
        };
        assert!(why.contains("pages"), "{why}");
    }
}

#[test]
fn values_are_as_aligned_as_their_type() {
    #[derive(Clone, Copy)]
    #[repr(C, align(8192))]
    struct Pages([u8; 8192]);
    // SAFETY: bytes, and as many as its alignment.
    unsafe impl aruminium::Plain for Pages {}

    let gpu = Gpu::open().unwrap();
    let descriptor = HeapDescriptor::new();
    descriptor.set_size(1 << 20);
    descriptor.set_storage_mode(StorageMode::Shared);
    let heap = gpu.heap(&descriptor).unwrap();
    let options = ResourceOptions::STORAGE_SHARED;
    // Of two adjacent buffers of 4 KiB, one is not aligned to 8 KiB.
    let buffers = [heap.buffer(4096, options).unwrap(), heap.buffer(4096, options).unwrap()];
    let aligned = |buffer: &&Buffer| buffer.contents().addr().is_multiple_of(8192);
    let readable = |buffer: &&Buffer| buffer.try_read_as(|all: &[Pages]| all.len()).is_ok();
    assert_eq!(buffers.iter().filter(aligned).count(), buffers.iter().filter(readable).count());
    assert!(!buffers.iter().all(|buffer| readable(&buffer)));
}
