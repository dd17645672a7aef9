//! Compute with `metal`: vectors, labels, errors, completion handlers, events, function constants.

use block::ConcreteBlock;
use metal::*;
use objc::{msg_send, sel, sel_impl};
use std::ffi::c_void;
use std::sync::mpsc;
use std::time::Duration;

const SOURCE: &str = "
    kernel void add(device const float *a, device const float *b, device float *sum,
                    uint i [[thread_position_in_grid]]) { sum[i] = a[i] + b[i]; }
    constant uint VALUE [[function_constant(0)]];
    kernel void fill(device float *x, uint i [[thread_position_in_grid]]) { x[i] = VALUE; }
";

const COUNT: usize = 500;

unsafe extern "C" {
    fn dispatch_get_global_queue(identifier: isize, flags: usize) -> *mut objc::runtime::Object;
}

fn pipeline(
    device: &Device,
    name: &str,
    constants: Option<FunctionConstantValues>,
) -> ComputePipelineState {
    let library = device.new_library_with_source(SOURCE, &CompileOptions::new()).unwrap();
    let function = library.get_function(name, constants).unwrap();
    device.new_compute_pipeline_state_with_function(&function).unwrap()
}

fn buffer(device: &Device, values: &[f32]) -> Buffer {
    let bytes = size_of_val(values) as u64;
    device.new_buffer_with_data(
        values.as_ptr().cast::<c_void>(),
        bytes,
        MTLResourceOptions::StorageModeShared,
    )
}

fn values(buffer: &Buffer) -> &[f32] {
    unsafe { std::slice::from_raw_parts(buffer.contents().cast(), COUNT) }
}

fn encode(commands: &CommandBufferRef, pipeline: &ComputePipelineState, buffers: &[&Buffer]) {
    let encoder = commands.new_compute_command_encoder();
    encoder.set_compute_pipeline_state(pipeline);
    for (index, buffer) in buffers.iter().enumerate() {
        encoder.set_buffer(index as u64, Some(buffer), 0);
    }
    encoder.dispatch_threads(MTLSize::new(COUNT as u64, 1, 1), MTLSize::new(32, 1, 1));
    encoder.end_encoding();
}

#[test]
fn vectors_are_added() {
    objc::rc::autoreleasepool(|| {
        let device = Device::system_default().expect("a device");
        assert!(!device.name().is_empty());
        let pipeline = pipeline(&device, "add", None);
        let queue = device.new_command_queue();
        queue.set_label("a queue");
        assert_eq!(queue.label(), "a queue");
        let numbers: Vec<f32> = (0..COUNT).map(|i| i as f32).collect();
        let (a, b, sum) =
            (buffer(&device, &numbers), buffer(&device, &numbers), buffer(&device, &[0.0; COUNT]));
        let commands = queue.new_command_buffer();
        encode(commands, &pipeline, &[&a, &b, &sum]);
        let (sender, receiver) = mpsc::channel();
        let block = ConcreteBlock::new(move |commands: &CommandBufferRef| {
            let _ = sender.send(commands.status());
        });
        commands.add_completed_handler(&block.copy());
        commands.commit();
        commands.wait_until_completed();
        let status = receiver.recv_timeout(Duration::from_secs(60)).expect("the handler is called");
        assert_eq!(status as u64, MTLCommandBufferStatus::Completed as u64);
        assert!(values(&sum).iter().enumerate().all(|(i, &sum)| sum == 2.0 * i as f32));
    });
}

#[test]
fn a_source_with_an_error_returns_it() {
    let device = Device::system_default().unwrap();
    let error =
        device.new_library_with_source("kernel void k() { x = 1; }", &CompileOptions::new());
    let error = error.map(|_| ()).unwrap_err();
    assert!(error.contains("use of undeclared identifier 'x'"), "{error}");
}

#[test]
fn function_constants_and_events_work() {
    let device = Device::system_default().unwrap();
    let constants = FunctionConstantValues::new();
    let nine = 9u32;
    constants.set_constant_value_at_index((&raw const nine).cast(), MTLDataType::UInt, 0);
    let pipeline = pipeline(&device, "fill", Some(constants));
    let buffer = buffer(&device, &[0.0; COUNT]);
    let event = device.new_shared_event();
    let (sender, receiver) = mpsc::channel();
    // SAFETY: the queue lives as long as the process.
    let listener =
        unsafe { SharedEventListener::from_queue_handle(dispatch_get_global_queue(0, 0)) };
    let block = ConcreteBlock::new(move |_: &SharedEventRef, value: u64| {
        let _ = sender.send(value);
    });
    event.notify(&listener, 3, block.copy());
    let queue = device.new_command_queue();
    let commands = queue.new_command_buffer();
    encode(commands, &pipeline, &[&buffer]);
    commands.encode_signal_event(&event, 3);
    commands.commit();
    commands.wait_until_completed();
    assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(3));
    assert!(values(&buffer).iter().all(|&x| x == 9.0));
}

/// An indirect command buffer whose command reads its buffers by itself.
#[test]
fn indirect_commands_are_executed() {
    let device = Device::system_default().unwrap();
    let library = device.new_library_with_source(SOURCE, &CompileOptions::new()).unwrap();
    let descriptor = ComputePipelineDescriptor::new();
    descriptor.set_compute_function(Some(&library.get_function("add", None).unwrap()));
    descriptor.set_support_indirect_command_buffers(true);
    let pipeline = device.new_compute_pipeline_state(&descriptor).unwrap();
    let numbers: Vec<f32> = (0..COUNT).map(|i| i as f32).collect();
    let (a, sum) = (buffer(&device, &numbers), buffer(&device, &[0.0; COUNT]));
    let descriptor = IndirectCommandBufferDescriptor::new();
    descriptor.set_command_types(MTLIndirectCommandType::ConcurrentDispatchThreads);
    descriptor.set_inherit_buffers(false);
    descriptor.set_inherit_pipeline_state(false);
    descriptor.set_max_kernel_buffer_bind_count(3);
    let options = MTLResourceOptions::StorageModeShared;
    let indirect = device.new_indirect_command_buffer_with_descriptor(&descriptor, 1, options);
    let command = indirect.indirect_compute_command_at_index(0);
    command.set_compute_pipeline_state(&pipeline);
    for (index, buffer) in [&a, &a, &sum].into_iter().enumerate() {
        command.set_kernel_buffer(index as u64, Some(buffer), 0);
    }
    command.concurrent_dispatch_threads(MTLSize::new(COUNT as u64, 1, 1), MTLSize::new(32, 1, 1));
    let queue = device.new_command_queue();
    let commands = queue.new_command_buffer();
    let encoder = commands.new_compute_command_encoder();
    encoder.use_resource(&a, MTLResourceUsage::Read);
    encoder.use_resource(&sum, MTLResourceUsage::Write);
    // The crate has this message for render encoders only.
    let (all, range) = (&*indirect, NSRange { location: 0, length: 1 });
    let () = unsafe { msg_send![encoder, executeCommandsInBuffer: all withRange: range] };
    encoder.end_encoding();
    commands.commit();
    commands.wait_until_completed();
    assert_eq!(commands.status() as u64, MTLCommandBufferStatus::Completed as u64);
    assert!(values(&sum).iter().enumerate().all(|(i, &sum)| sum == 2.0 * i as f32));
}
