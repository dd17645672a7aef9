//! Compute with `objc2-metal`: vectors, labels, errors, completion handlers, events, fences, function constants.

use block2::RcBlock;
use dispatch2::DispatchQueue;
use objc2::rc::{Retained, Weak};
use objc2::runtime::{NSObject, ProtocolObject};
use objc2::{AnyThread, DefinedClass, define_class, msg_send};
use objc2_foundation::{NSRange, NSString, ns_string};
use objc2_metal::*;
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::mpsc;
use std::time::Duration;

// As the documentation of `objc2-metal` says: `MTLCreateSystemDefaultDevice` needs it on a Mac.
#[link(name = "CoreGraphics", kind = "framework")]
unsafe extern "C" {}

type Device = Retained<ProtocolObject<dyn MTLDevice>>;
type Buffer = Retained<ProtocolObject<dyn MTLBuffer>>;
type Pipeline = Retained<ProtocolObject<dyn MTLComputePipelineState>>;

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;
    kernel void add(device const float *a, device const float *b, device float *sum,
                    constant float &scale, uint i [[thread_position_in_grid]]) {
        sum[i] = a[i] + scale * b[i];
    }
    kernel void twice(device float *x, uint i [[thread_position_in_grid]]) { x[i] *= 2; }
    constant int VALUE [[function_constant(0)]];
    kernel void fill(device float *x, uint i [[thread_position_in_grid]]) { x[i] = VALUE; }
";

const COUNT: usize = 1000;

fn device() -> Device {
    MTLCreateSystemDefaultDevice().expect("a device")
}

fn library(device: &Device) -> Retained<ProtocolObject<dyn MTLLibrary>> {
    device
        .newLibraryWithSource_options_error(&NSString::from_str(SOURCE), None)
        .expect("the source compiles")
}

fn pipeline(device: &Device, name: &NSString) -> Pipeline {
    let function = library(device).newFunctionWithName(name).expect("a function");
    device.newComputePipelineStateWithFunction_error(&function).expect("a pipeline")
}

fn buffer(device: &Device, value: impl Fn(usize) -> f32) -> Buffer {
    let buffer =
        device.newBufferWithLength_options(4 * COUNT, MTLResourceOptions::StorageModeShared);
    let buffer = buffer.expect("a buffer");
    let start = buffer.contents().cast::<f32>();
    for index in 0..COUNT {
        unsafe { start.add(index).write(value(index)) }
    }
    buffer
}

fn values(buffer: &Buffer) -> &[f32] {
    unsafe { std::slice::from_raw_parts(buffer.contents().cast().as_ptr(), COUNT) }
}

const fn size(width: usize) -> MTLSize {
    MTLSize { width, height: 1, depth: 1 }
}

fn encode(
    commands: &ProtocolObject<dyn MTLCommandBuffer>,
    pipeline: &Pipeline,
    buffers: &[&Buffer],
    more: impl FnOnce(&ProtocolObject<dyn MTLComputeCommandEncoder>),
) {
    let encoder = commands.computeCommandEncoder().expect("an encoder");
    encoder.setComputePipelineState(pipeline);
    for (index, buffer) in buffers.iter().enumerate() {
        unsafe { encoder.setBuffer_offset_atIndex(Some(buffer), 0, index) }
    }
    more(&encoder);
    encoder.dispatchThreads_threadsPerThreadgroup(size(COUNT), size(64));
    encoder.endEncoding();
}

#[test]
fn vectors_are_added() {
    let device = device();
    let pipeline = pipeline(&device, ns_string!("add"));
    let queue = device.newCommandQueue().expect("a queue");
    let (a, b, sum) = (
        buffer(&device, |i| i as f32),
        buffer(&device, |i| 2.0 * i as f32),
        buffer(&device, |_| 0.0),
    );
    let commands = queue.commandBuffer().expect("a command buffer");
    encode(&commands, &pipeline, &[&a, &b, &sum], |encoder| {
        let scale = 0.5f32;
        unsafe { encoder.setBytes_length_atIndex(NonNull::from(&scale).cast::<c_void>(), 4, 3) }
    });
    commands.commit();
    commands.waitUntilCompleted();
    assert_eq!(commands.status(), MTLCommandBufferStatus::Completed);
    assert!(values(&sum).iter().enumerate().all(|(i, &sum)| sum == 2.0 * i as f32));
}

#[test]
fn labels_are_strings() {
    let device = device();
    let queue = device.newCommandQueue().unwrap();
    queue.setLabel(Some(ns_string!("a queue")));
    assert_eq!(queue.label().unwrap().to_string(), "a queue");
    let buffer = buffer(&device, |_| 0.0);
    buffer.setLabel(Some(&NSString::from_str("größe")));
    assert_eq!(buffer.label().unwrap().to_string(), "größe");
    assert!(buffer.gpuAddress() != 0);
}

#[test]
fn a_source_with_an_error_returns_it() {
    let source = ns_string!("kernel void k(device float *x) { x[0] = y; }");
    let error = device().newLibraryWithSource_options_error(source, None).unwrap_err();
    let text = error.localizedDescription().to_string();
    assert!(text.contains("use of undeclared identifier 'y'"), "{text}");
    let domain = unsafe { MTLLibraryErrorDomain };
    assert_eq!(error.domain().to_string(), domain.to_string());
}

#[test]
fn a_completion_handler_is_called() {
    let device = device();
    let pipeline = pipeline(&device, ns_string!("twice"));
    let queue = device.newCommandQueue().unwrap();
    let buffer = buffer(&device, |i| i as f32);
    let commands = queue.commandBuffer().unwrap();
    encode(&commands, &pipeline, &[&buffer], |_| {});
    let (sender, receiver) = mpsc::channel();
    let block = RcBlock::new(move |commands: NonNull<ProtocolObject<dyn MTLCommandBuffer>>| {
        let _ = sender.send(unsafe { commands.as_ref() }.status());
    });
    unsafe { commands.addCompletedHandler(RcBlock::as_ptr(&block)) }
    commands.commit();
    let status = receiver.recv_timeout(Duration::from_secs(60)).expect("the handler is called");
    assert_eq!(status, MTLCommandBufferStatus::Completed);
    assert!(values(&buffer).iter().enumerate().all(|(i, &x)| x == 2.0 * i as f32));
}

#[test]
fn events_and_fences_order_work() {
    let device = device();
    let pipeline = pipeline(&device, ns_string!("twice"));
    let (first, second) = (device.newCommandQueue().unwrap(), device.newCommandQueue().unwrap());
    let event = device.newSharedEvent().unwrap();
    let buffer = buffer(&device, |i| i as f32);
    let listener = MTLSharedEventListener::new();
    let (sender, receiver) = mpsc::channel();
    let block = RcBlock::new(move |_: NonNull<ProtocolObject<dyn MTLSharedEvent>>, value: u64| {
        let _ = sender.send(value);
    });
    unsafe { event.notifyListener_atValue_block(&listener, 2, RcBlock::as_ptr(&block)) }

    let waits = second.commandBuffer().unwrap();
    waits.encodeWaitForEvent_value(ProtocolObject::from_ref(&*event), 1);
    encode(&waits, &pipeline, &[&buffer], |_| {});
    waits.encodeSignalEvent_value(ProtocolObject::from_ref(&*event), 2);
    waits.commit();

    let fence = device.newFence().unwrap();
    let signals = first.commandBuffer().unwrap();
    encode(&signals, &pipeline, &[&buffer], |encoder| encoder.updateFence(&fence));
    encode(&signals, &pipeline, &[&buffer], |encoder| encoder.waitForFence(&fence));
    signals.encodeSignalEvent_value(ProtocolObject::from_ref(&*event), 1);
    signals.commit();
    waits.waitUntilCompleted();
    assert_eq!(event.signaledValue(), 2);
    assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(2));
    assert!(values(&buffer).iter().enumerate().all(|(i, &x)| x == 8.0 * i as f32));
}

#[test]
fn function_constants_have_values() {
    let device = device();
    let constants = MTLFunctionConstantValues::new();
    let seven = 7i32;
    unsafe {
        constants.setConstantValue_type_atIndex(NonNull::from(&seven).cast(), MTLDataType::Int, 0)
    }
    let function =
        library(&device).newFunctionWithName_constantValues_error(ns_string!("fill"), &constants);
    let pipeline = device.newComputePipelineStateWithFunction_error(&function.unwrap()).unwrap();
    let queue = device.newCommandQueue().unwrap();
    let buffer = buffer(&device, |_| 0.0);
    let commands = queue.commandBuffer().unwrap();
    encode(&commands, &pipeline, &[&buffer], |_| {});
    let blit = commands.blitCommandEncoder().unwrap();
    blit.fillBuffer_range_value(&buffer, NSRange { location: 0, length: 4 }, 0);
    blit.endEncoding();
    commands.commit();
    commands.waitUntilCompleted();
    assert_eq!((values(&buffer)[0], values(&buffer)[1]), (0.0, 7.0));
}

/// A class of the program's own: instance variables, `init`, `dealloc` through `super`.
struct Counters {
    dropped: mpsc::Sender<u32>,
    number: Cell<u32>,
}

impl Drop for Counters {
    fn drop(&mut self) {
        let _ = self.dropped.send(self.number.get());
    }
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "ClientCounter"]
    #[ivars = Counters]
    struct Counter;

    impl Counter {
        #[unsafe(method(increment))]
        fn increment(&self) -> u32 {
            let number = &self.ivars().number;
            number.set(number.get() + 1);
            number.get()
        }
    }
);

#[test]
fn a_class_of_the_program_works() {
    let (dropped, receiver) = mpsc::channel();
    let this = Counter::alloc().set_ivars(Counters { dropped, number: Cell::new(40) });
    let counter: Retained<Counter> = unsafe { msg_send![super(this), init] };
    let weak = Weak::from_retained(&counter);
    let _: u32 = unsafe { msg_send![&counter, increment] };
    let number: u32 = unsafe { msg_send![&weak.load().expect("the object lives"), increment] };
    assert_eq!(number, 42);
    drop(counter);
    assert!(weak.load().is_none());
    assert_eq!(receiver.recv(), Ok(42));
}

#[test]
fn queues_run_closures() {
    let queue = DispatchQueue::new("client", None);
    let (sender, receiver) = mpsc::channel();
    for number in 0..10 {
        let sender = sender.clone();
        queue.exec_async(move || sender.send(number).unwrap());
    }
    // Jobs that were put into the queue before have run then.
    let mut last = false;
    queue.exec_sync(|| last = true);
    assert!(last);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
}
