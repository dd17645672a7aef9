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

/// A timer fires until it is cancelled; merged data comes in one call or several, and all of it.
#[test]
fn sources_call_their_handlers() {
    unsafe extern "C" {
        static _dispatch_source_type_timer: u8;
        static _dispatch_source_type_data_add: u8;
        fn dispatch_source_create(kind: *const u8, handle: usize, mask: usize, queue: &DispatchQueue) -> *mut AnyObject;
        fn dispatch_source_set_event_handler(source: *mut AnyObject, block: &block2::Block<dyn Fn()>);
        fn dispatch_source_set_cancel_handler_f(source: *mut AnyObject, handler: extern "C" fn(*mut c_void));
        fn dispatch_set_context(object: *mut AnyObject, context: *mut c_void);
        fn dispatch_source_set_timer(source: *mut AnyObject, start: u64, interval: u64, leeway: u64);
        fn dispatch_source_merge_data(source: *mut AnyObject, value: usize);
        fn dispatch_source_get_data(source: *mut AnyObject) -> usize;
        fn dispatch_source_cancel(source: *mut AnyObject);
        fn dispatch_resume(object: *mut AnyObject);
        fn dispatch_release(object: *mut AnyObject);
        fn dispatch_time(when: u64, delta: i64) -> u64;
    }
    extern "C" fn cancelled(sender: *mut c_void) {
        // SAFETY: the context of the source below, which is passed once.
        unsafe { Box::from_raw(sender.cast::<mpsc::Sender<usize>>()) }.send(usize::MAX).unwrap();
    }
    let queue = DispatchQueue::new("sources", None);
    for is_timer in [true, false] {
        let (sender, receiver) = mpsc::channel::<usize>();
        // SAFETY: the functions' own types; the source lives until it is released.
        unsafe {
            let kind = match is_timer {
                true => &raw const _dispatch_source_type_timer,
                false => &raw const _dispatch_source_type_data_add,
            };
            let source = dispatch_source_create(kind, 0, 0, &queue);
            let address = source.addr();
            let handler = RcBlock::new({
                let sender = sender.clone();
                move || {
                    let source = std::ptr::with_exposed_provenance_mut(address);
                    sender.send(dispatch_source_get_data(source)).unwrap();
                }
            });
            source.expose_provenance();
            dispatch_source_set_event_handler(source, &handler);
            dispatch_set_context(source, Box::into_raw(Box::new(sender)).cast());
            dispatch_source_set_cancel_handler_f(source, cancelled);
            if is_timer {
                dispatch_source_set_timer(source, dispatch_time(0, 1_000_000), 1_000_000, 0);
            } else {
                (1..=10).for_each(|value| dispatch_source_merge_data(source, value));
            }
            // Nothing happens before it is resumed.
            assert!(receiver.recv_timeout(Duration::from_millis(20)).is_err());
            dispatch_resume(source);
            let mut sum = 0;
            while sum < if is_timer { 5 } else { 55 } {
                sum += receiver.recv_timeout(MINUTE).unwrap();
            }
            assert!(is_timer || sum == 55);
            dispatch_source_cancel(source);
            while receiver.recv_timeout(MINUTE).unwrap() != usize::MAX {}
            assert!(receiver.recv_timeout(Duration::from_millis(10)).is_err());
            dispatch_release(source);
        }
    }
}

#[test]
fn queues_have_values_of_the_program() {
    unsafe extern "C" {
        fn dispatch_queue_set_specific(
            queue: &DispatchQueue, key: *const u8, value: *mut c_void, end: extern "C" fn(*mut c_void),
        );
        fn dispatch_get_specific(key: *const u8) -> *mut c_void;
        fn dispatch_suspend(queue: &DispatchQueue);
        fn dispatch_resume(queue: &DispatchQueue);
    }
    static KEY: u8 = 0;
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn end(value: *mut c_void) {
        ENDED.fetch_add(value.addr(), Relaxed);
    }
    let (target, other) = (DispatchQueue::new("target", None), DispatchQueue::new("other", None));
    let queue = DispatchQueue::new_with_target("above", None, Some(&target));
    // SAFETY: the functions' own types.
    let value = || unsafe { dispatch_get_specific(&raw const KEY) }.addr();
    unsafe {
        let set = |value| dispatch_queue_set_specific(&target, &raw const KEY, value, end);
        set(std::ptr::without_provenance_mut(1));
        set(std::ptr::without_provenance_mut(2));
    }
    let seen = std::sync::Mutex::new(Vec::new());
    for queue in [&target, &queue, &other] {
        queue.exec_sync(|| seen.lock().unwrap().push(value()));
    }
    assert_eq!((seen.into_inner().unwrap(), value()), (vec![2, 2, 0], 0));
    let (sender, receiver) = mpsc::channel();
    // SAFETY: suspended and resumed once.
    unsafe {
        dispatch_suspend(&queue);
        queue.exec_async(move || sender.send(value()).unwrap());
        assert!(receiver.recv_timeout(Duration::from_millis(10)).is_err());
        dispatch_resume(&queue);
    }
    assert_eq!(receiver.recv_timeout(MINUTE), Ok(2));
    assert_eq!(ENDED.load(Relaxed), 1);
    drop((queue, target));
    let start = Instant::now();
    while ENDED.load(Relaxed) != 3 {
        assert!(start.elapsed() < MINUTE);
        std::thread::yield_now();
    }
}
