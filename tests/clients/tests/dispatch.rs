//! libdispatch by `dispatch2`: queues, groups, data, a library as data; and what `objc2` itself links to.

use block2::RcBlock;
use dispatch2::*;
use objc2::ffi;
use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::{AnyObject, NSObject};
use objc2::{MainThreadMarker, available, msg_send};
use objc2_foundation::ns_string;
use objc2_metal::*;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const DEFAULT: GlobalQueueIdentifier =
    GlobalQueueIdentifier::Priority(DispatchQueueGlobalPriority::Default);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn data_has_the_bytes_that_it_was_made_of() {
    let (foo, bar) = (DispatchData::from_bytes(b"foo"), DispatchData::from_static_bytes(b"bar"));
    let boxed = DispatchData::from_boxed(Box::from(*b"baz"));
    let all = foo.concat(&bar).concat(&boxed);
    assert_eq!((all.size(), all.to_vec()), (9, b"foobarbaz".to_vec()));
    // SAFETY: what is past the end is left out.
    let part = |offset, length| unsafe { all.subrange(offset, length) }.to_vec();
    assert_eq!((part(2, 4), part(7, 40)), (b"obar".to_vec(), b"az".to_vec()));
    assert_eq!((DispatchData::empty().size(), DispatchData::empty().to_vec()), (0, vec![]));
    assert_eq!(DispatchData::empty().concat(&foo).to_vec(), b"foo");
}

#[test]
fn data_is_freed_by_the_destructor_of_c() {
    unsafe extern "C" {
        fn strdup(text: *const c_char) -> *mut c_char;
    }
    // SAFETY: the bytes are `malloc`'s, and the data's from now on.
    let data = unsafe {
        let text = std::ptr::NonNull::new(strdup(c"text".as_ptr())).unwrap();
        DispatchData::new(text.cast(), 4, None, _dispatch_data_destructor_free)
    };
    assert_eq!(data.to_vec(), b"text");
}

#[test]
fn a_group_ends_with_its_last_job() {
    let (group, queue) = (DispatchGroup::new(), DispatchQueue::new("group", None));
    let count = Arc::new(AtomicUsize::new(0));
    let guard = group.enter();
    assert!(group.wait(DispatchTime::try_from(Duration::from_millis(5)).unwrap()).is_err());
    for _ in 0..20 {
        let count = count.clone();
        group.exec_async(&queue, move || _ = count.fetch_add(1, Relaxed));
    }
    let (sender, receiver) = mpsc::channel();
    let seen = count.clone();
    group.notify(&queue, move || _ = sender.send(seen.load(Relaxed)));
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
    guard.leave();
    assert_eq!(receiver.recv_timeout(MINUTE), Ok(20));
    assert!(group.wait(DispatchTime::FOREVER).is_ok());
}

#[test]
fn jobs_run_once_later_and_for_each_number() {
    let once = DispatchOnce::new();
    let count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                once.call_once(|| {
                    std::thread::sleep(Duration::from_millis(5));
                    count.fetch_add(1, Relaxed);
                });
                // Every call returns after the job.
                assert_eq!(count.load(Relaxed), 1);
            });
        }
    });

    let (queue, start) = (DispatchQueue::new("later", None), Instant::now());
    let (sender, receiver) = mpsc::channel();
    let when = DispatchTime::try_from(Duration::from_millis(20)).unwrap();
    queue.after(when, move || _ = sender.send(start.elapsed())).unwrap();
    assert!(receiver.recv_timeout(MINUTE).unwrap() >= Duration::from_millis(20));

    let sum = Arc::new(AtomicUsize::new(0));
    let add = sum.clone();
    let add = RcBlock::new(move |number: usize| _ = add.fetch_add(number, Relaxed));
    let global = DispatchQueue::global_queue(DEFAULT);
    DispatchQueue::apply_with_block(100, Some(&queue), &add);
    DispatchQueue::apply_with_block(100, Some(&global), &add);
    assert_eq!(sum.load(Relaxed), 2 * 4950);
}

/// Reference counts have no effect on a global queue, and clients may release it.
#[test]
fn global_queues_and_targets_run_jobs() {
    let global = DispatchQueue::global_queue(DEFAULT);
    for _ in 0..3 {
        // SAFETY: see above.
        unsafe { ffi::objc_release((&raw const *global).cast_mut().cast()) };
    }
    let queue = DispatchQueue::new_with_target("target", DispatchQueueAttr::SERIAL, Some(&global));
    let mut number = 0;
    queue.exec_sync(|| number += 1);
    global.exec_sync(|| number += 1);
    assert_eq!(number, 2);
}

#[test]
fn the_main_thread_is_known() {
    // The library for tests runs each on a thread of its own.
    assert!(MainThreadMarker::new().is_none());
}

/// A version that is newer than the one that the program is compiled for is looked up when the program runs.
#[test]
fn the_version_of_the_system_is_known() {
    assert!(available!(macos = 26.0));
    assert!(!available!(macos = 26.1));
}

/// For other programs, the functions for returned objects are plain retain and autorelease.
#[test]
fn returned_objects_stay_in_their_pool() {
    type Function = unsafe extern "C-unwind" fn(*mut AnyObject) -> *mut AnyObject;
    unsafe extern "C-unwind" {
        fn objc_claimAutoreleasedReturnValue(object: *mut AnyObject) -> *mut AnyObject;
    }
    let object: Retained<NSObject> = NSObject::new();
    let count = || -> usize { unsafe { msg_send![&*object, retainCount] } };
    let pointer = Retained::as_ptr(&object).cast_mut().cast::<AnyObject>();
    let takers: [Function; 2] =
        [ffi::objc_retainAutoreleasedReturnValue, objc_claimAutoreleasedReturnValue];
    for (round, take) in takers.into_iter().enumerate() {
        let before = 1 + 2 * round;
        assert_eq!(count(), before);
        // SAFETY: the object is alive, and the counts are those that follow.
        autoreleasepool(|_| unsafe {
            ffi::objc_autoreleaseReturnValue(ffi::objc_retain(pointer));
            assert_eq!(count(), before + 1);
            take(pointer);
            assert_eq!(count(), before + 2);
            ffi::objc_retainAutoreleaseReturnValue(pointer);
            assert_eq!(count(), before + 3);
            take(pointer);
            assert_eq!(count(), before + 4);
        });
        assert_eq!(count(), before + 2);
    }
    // SAFETY: four counts are left of what was taken.
    (0..4).for_each(|_| unsafe { ffi::objc_release(pointer) });
}

unsafe extern "C" {
    fn MTLCodeGenServiceCreate(name: *const c_char) -> *mut c_void;
    fn MTLCodeGenServiceBuildRequest(
        service: *mut c_void,
        _: *const c_void,
        kind: c_int,
        request: *const c_void,
        length: usize,
        block: *const c_void,
    );
}

/// The library that MTLCompiler's service makes of a source text.
fn compiled(source: &str) -> Vec<u8> {
    let arguments = "-std=metal3.1\0";
    let mut request = (source.len() as u64).to_le_bytes().to_vec();
    request.extend((arguments.len() as u64).to_le_bytes());
    request.extend(source.bytes().chain(arguments.bytes()));
    let (sender, receiver) = mpsc::channel();
    let block =
        RcBlock::new(move |error: c_int, reply: *const u8, length: usize, _text: *const c_char| {
            assert_eq!(error, 0);
            // SAFETY: the service passes this many bytes.
            let _ = sender.send(unsafe { std::slice::from_raw_parts(reply, length) }.to_vec());
        });
    // SAFETY: the block takes what the service passes, and the request has this length.
    unsafe {
        MTLCodeGenServiceBuildRequest(
            MTLCodeGenServiceCreate(c"a service".as_ptr()),
            std::ptr::null(),
            13,
            request.as_ptr().cast(),
            request.len(),
            (&raw const *block).cast(),
        );
    }
    let reply = receiver.recv_timeout(MINUTE).expect("a reply");
    // The lengths of a header and of warnings are at byte 8.
    let length = |at: usize| u32::from_le_bytes(reply[at..at + 4].try_into().unwrap()) as usize;
    reply[length(8) + length(12)..].to_vec()
}

#[test]
fn a_library_as_data_has_kernels_that_run() {
    let source =
        "kernel void fill(device uint *x, uint i [[thread_position_in_grid]]) { x[i] = 7 + i; }";
    let device = MTLCreateSystemDefaultDevice().expect("a device");
    let data = DispatchData::from_boxed(compiled(source).into());
    let library = device.newLibraryWithData_error(&data).expect("a library");
    let function = library.newFunctionWithName(ns_string!("fill")).expect("a function");
    let pipeline = device.newComputePipelineStateWithFunction_error(&function).unwrap();
    let options = MTLResourceOptions::StorageModeShared;
    let buffer = device.newBufferWithLength_options(16, options).unwrap();
    let commands = device.newCommandQueue().unwrap().commandBuffer().unwrap();
    let encoder = commands.computeCommandEncoder().unwrap();
    encoder.setComputePipelineState(&pipeline);
    // SAFETY: the buffer has an element for each thread, and is read after them.
    unsafe { encoder.setBuffer_offset_atIndex(Some(&buffer), 0, 0) };
    let size = |width| MTLSize { width, height: 1, depth: 1 };
    encoder.dispatchThreads_threadsPerThreadgroup(size(4), size(4));
    encoder.endEncoding();
    commands.commit();
    commands.waitUntilCompleted();
    // SAFETY: as above.
    assert_eq!(unsafe { buffer.contents().cast::<[u32; 4]>().read() }, [7, 8, 9, 10]);
    let error = device.newLibraryWithData_error(&DispatchData::from_bytes(b"MTLB")).unwrap_err();
    assert!(!error.localizedDescription().to_string().is_empty());
}
