//! Compute with `metal`: vectors, labels, errors, completion handlers, events, fences, function constants, argument buffers,
//! indirect command buffers, captures. The crate has no type for residency sets.

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
    struct Args { device float *out [[id(0)]]; device const float *in [[id(1)]]; };
    kernel void copy(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        args.out[i] = args.in[i] + 1;
    }
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

/// The value that `fill` writes.
fn nine() -> FunctionConstantValues {
    let (constants, nine) = (FunctionConstantValues::new(), 9u32);
    constants.set_constant_value_at_index((&raw const nine).cast(), MTLDataType::UInt, 0);
    constants
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
    let pipeline = pipeline(&device, "fill", Some(nine()));
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

/// Encoders that share untracked resources only have no order but that of fences.
#[test]
fn fences_order_work() {
    objc::rc::autoreleasepool(|| {
        let device = Device::system_default().unwrap();
        let (fence, queue) = (device.new_fence(), device.new_command_queue());
        let last_fill = |fenced: bool| {
            let options = MTLResourceOptions::HazardTrackingModeUntracked;
            let buffer = device.new_buffer(4 * COUNT as u64, options);
            let commands = queue.new_command_buffer();
            for value in 1..=3 {
                let encoder = commands.new_blit_command_encoder();
                if fenced {
                    encoder.wait_for_fence(&fence);
                    encoder.update_fence(&fence);
                }
                encoder.fill_buffer(&buffer, NSRange::new(0, buffer.length()), value);
                encoder.end_encoding();
            }
            commands.commit();
            commands.wait_until_completed();
            assert_eq!(commands.status() as u64, MTLCommandBufferStatus::Completed as u64);
            unsafe { buffer.contents().cast::<u8>().read() }
        };
        assert_eq!(last_fill(true), 3);
        // The case that fences exist for: the later encoders run first here.
        assert_eq!(last_fill(false), 1);
    });
}

#[test]
fn argument_buffers_lead_to_resources() {
    objc::rc::autoreleasepool(|| {
        let device = Device::system_default().unwrap();
        let library = device.new_library_with_source(SOURCE, &CompileOptions::new()).unwrap();
        let function = library.get_function("copy", None).unwrap();
        let pipeline = device.new_compute_pipeline_state_with_function(&function).unwrap();
        let numbers: Vec<f32> = (0..COUNT).map(|i| i as f32).collect();
        let (from, to) = (buffer(&device, &numbers), buffer(&device, &[0.0; COUNT]));
        let arguments = function.new_argument_encoder(0);
        let options = MTLResourceOptions::StorageModeShared;
        let args = device.new_buffer(arguments.encoded_length(), options);
        arguments.set_argument_buffer(&args, 0);
        arguments.set_buffer(0, &to, 0);
        arguments.set_buffer(1, &from, 0);
        let run = |declared: bool| {
            let queue = device.new_command_queue();
            let commands = queue.new_command_buffer();
            let encoder = commands.new_compute_command_encoder();
            encoder.set_compute_pipeline_state(&pipeline);
            encoder.set_buffer(0, Some(&args), 0);
            if declared {
                encoder.use_resource(&from, MTLResourceUsage::Read);
                encoder.use_resource(&to, MTLResourceUsage::Write);
            }
            encoder.dispatch_threads(MTLSize::new(COUNT as u64, 1, 1), MTLSize::new(32, 1, 1));
            encoder.end_encoding();
            commands.commit();
            commands.wait_until_completed();
            commands.status() as u64
        };
        assert_eq!(run(true), MTLCommandBufferStatus::Completed as u64);
        assert!(values(&to).iter().enumerate().all(|(i, &to)| to == i as f32 + 1.0));
        // A resource that is not declared is not reached.
        assert_eq!(run(false), MTLCommandBufferStatus::Error as u64);
    });
}

#[test]
fn captures_are_written_to_a_file() {
    objc::rc::autoreleasepool(|| {
        let path = std::env::temp_dir().join(format!("metal-rs-{}.gputrace", std::process::id()));
        let device = Device::system_default().unwrap();
        let (manager, descriptor) = (CaptureManager::shared(), CaptureDescriptor::new());
        assert!(manager.supports_destination(MTLCaptureDestination::GpuTraceDocument));
        descriptor.set_capture_device(&device);
        descriptor.set_destination(MTLCaptureDestination::GpuTraceDocument);
        descriptor.set_output_url(&path);
        manager.start_capture(&descriptor).unwrap();
        assert!(manager.is_capturing());
        let pipeline = pipeline(&device, "fill", Some(nine()));
        let (buffer, queue) = (buffer(&device, &[0.0; COUNT]), device.new_command_queue());
        let commands = queue.new_command_buffer();
        encode(commands, &pipeline, &[&buffer]);
        commands.commit();
        commands.wait_until_completed();
        manager.stop_capture();
        assert!(!manager.is_capturing());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("fill"), "{text}");
        std::fs::remove_file(&path).unwrap();
    });
}
