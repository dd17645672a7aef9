//! Resources that commands reach indirectly, with `objc2-metal`: residency sets, argument buffers, indirect command buffers;
//! and captures of them.

use objc2::rc::Retained;
use objc2::runtime::{AnyObject, ProtocolObject};
use objc2_foundation::{NSRange, NSString, NSURL, ns_string};
use objc2_metal::*;

type Device = Retained<ProtocolObject<dyn MTLDevice>>;
type Pipeline = Retained<ProtocolObject<dyn MTLComputePipelineState>>;
type Buffer = Retained<ProtocolObject<dyn MTLBuffer>>;

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;
    struct Args { device uint *out [[id(0)]]; device const uint *in [[id(1)]]; };
    kernel void copy(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        args.out[i] = args.in[i] + 1;
    }
    kernel void add(device uint *x [[buffer(0)]], device const uint *y [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) { x[i] += y[i]; }
";

const COUNT: usize = 64;

fn device() -> Device {
    MTLCreateSystemDefaultDevice().expect("a device")
}

fn function(device: &Device, name: &NSString) -> Retained<ProtocolObject<dyn MTLFunction>> {
    let source = NSString::from_str(SOURCE);
    let library = device.newLibraryWithSource_options_error(&source, None).expect("it compiles");
    library.newFunctionWithName(name).expect("a function")
}

fn buffer(device: &Device, first: u32) -> Buffer {
    let options = MTLResourceOptions::StorageModeShared;
    let buffer = device.newBufferWithLength_options(4 * COUNT, options).expect("a buffer");
    for index in 0..COUNT {
        unsafe { buffer.contents().cast::<u32>().add(index).write(first + index as u32) }
    }
    buffer
}

fn values(buffer: &Buffer) -> Vec<u32> {
    unsafe { std::slice::from_raw_parts(buffer.contents().cast().as_ptr(), COUNT) }.to_vec()
}

const fn size(width: usize) -> MTLSize {
    MTLSize { width, height: 1, depth: 1 }
}

/// Runs `copy` by an argument buffer. `declare` says which resources it reaches.
fn copy(
    device: &Device,
    (from, to): (&Buffer, &Buffer),
    declare: impl FnOnce(&ProtocolObject<dyn MTLComputeCommandEncoder>),
) -> MTLCommandBufferStatus {
    let function = function(device, ns_string!("copy"));
    let pipeline = device.newComputePipelineStateWithFunction_error(&function).unwrap();
    let encoder = unsafe { function.newArgumentEncoderWithBufferIndex(0) };
    let options = MTLResourceOptions::StorageModeShared;
    let args = device.newBufferWithLength_options(encoder.encodedLength(), options).unwrap();
    unsafe {
        encoder.setArgumentBuffer_offset(Some(&args), 0);
        encoder.setBuffer_offset_atIndex(Some(to), 0, 0);
        encoder.setBuffer_offset_atIndex(Some(from), 0, 1);
    }
    let commands = device.newCommandQueue().unwrap().commandBuffer().unwrap();
    let encoder = commands.computeCommandEncoder().unwrap();
    encoder.setComputePipelineState(&pipeline);
    unsafe { encoder.setBuffer_offset_atIndex(Some(&args), 0, 0) };
    declare(&encoder);
    encoder.dispatchThreads_threadsPerThreadgroup(size(COUNT), size(32));
    encoder.endEncoding();
    commands.commit();
    commands.waitUntilCompleted();
    commands.status()
}

#[test]
fn argument_buffers_lead_to_resources() {
    let device = device();
    let (from, to) = (buffer(&device, 10), buffer(&device, 0));
    let status = copy(&device, (&from, &to), |encoder| {
        let (read, write) = (MTLResourceUsage::Read, MTLResourceUsage::Write);
        encoder.useResource_usage(ProtocolObject::from_ref(&*from), read);
        encoder.useResource_usage(ProtocolObject::from_ref(&*to), write);
    });
    assert_eq!(status, MTLCommandBufferStatus::Completed);
    assert_eq!(values(&to), (11..11 + COUNT as u32).collect::<Vec<_>>());
    // A resource that is not declared is not reached.
    let status = copy(&device, (&from, &to), |_| {});
    assert_eq!(status, MTLCommandBufferStatus::Error);
}

#[test]
fn residency_sets_declare_resources() {
    let device = device();
    let (from, to) = (buffer(&device, 20), buffer(&device, 0));
    let descriptor = MTLResidencySetDescriptor::new();
    descriptor.setLabel(Some(ns_string!("a set")));
    let set = device.newResidencySetWithDescriptor_error(&descriptor).unwrap();
    assert_eq!(set.label().unwrap().to_string(), "a set");
    set.addAllocation(ProtocolObject::from_ref(&*from));
    set.addAllocation(ProtocolObject::from_ref(&*to));
    set.commit();
    set.requestResidency();
    assert_eq!(
        (set.allocationCount(), set.containsAllocation(ProtocolObject::from_ref(&*to))),
        (2, true)
    );
    let function = function(&device, ns_string!("copy"));
    let pipeline = device.newComputePipelineStateWithFunction_error(&function).unwrap();
    let encoder = unsafe { function.newArgumentEncoderWithBufferIndex(0) };
    let options = MTLResourceOptions::StorageModeShared;
    let args = device.newBufferWithLength_options(encoder.encodedLength(), options).unwrap();
    unsafe {
        encoder.setArgumentBuffer_offset(Some(&args), 0);
        encoder.setBuffer_offset_atIndex(Some(&to), 0, 0);
        encoder.setBuffer_offset_atIndex(Some(&from), 0, 1);
    }
    let queue = device.newCommandQueue().unwrap();
    queue.addResidencySet(&set);
    let commands = queue.commandBuffer().unwrap();
    let encoder = commands.computeCommandEncoder().unwrap();
    encoder.setComputePipelineState(&pipeline);
    unsafe { encoder.setBuffer_offset_atIndex(Some(&args), 0, 0) };
    encoder.dispatchThreads_threadsPerThreadgroup(size(COUNT), size(32));
    encoder.endEncoding();
    commands.commit();
    commands.waitUntilCompleted();
    assert_eq!(commands.status(), MTLCommandBufferStatus::Completed);
    assert_eq!(values(&to), (21..21 + COUNT as u32).collect::<Vec<_>>());
}

/// An indirect command buffer with one command, which adds `y` to `x`. It does not own its pipeline.
fn addition(
    device: &Device,
    x: &Buffer,
    y: &Buffer,
) -> (Retained<ProtocolObject<dyn MTLIndirectCommandBuffer>>, Pipeline) {
    let pipeline = MTLComputePipelineDescriptor::new();
    pipeline.setComputeFunction(Some(&function(device, ns_string!("add"))));
    pipeline.setSupportIndirectCommandBuffers(true);
    let pipeline = device
        .newComputePipelineStateWithDescriptor_options_reflection_error(
            &pipeline,
            MTLPipelineOption::None,
            None,
        )
        .unwrap();
    let descriptor = MTLIndirectCommandBufferDescriptor::new();
    descriptor.setCommandTypes(MTLIndirectCommandType::ConcurrentDispatchThreads);
    descriptor.setInheritBuffers(false);
    descriptor.setInheritPipelineState(false);
    descriptor.setMaxKernelBufferBindCount(2);
    let indirect = unsafe {
        device.newIndirectCommandBufferWithDescriptor_maxCommandCount_options(
            &descriptor,
            1,
            MTLResourceOptions::StorageModeShared,
        )
    };
    let indirect = indirect.expect("an indirect command buffer");
    let command = unsafe { indirect.indirectComputeCommandAtIndex(0) };
    command.setComputePipelineState(&pipeline);
    unsafe {
        command.setKernelBuffer_offset_atIndex(x, 0, 0);
        command.setKernelBuffer_offset_atIndex(y, 0, 1);
    }
    command.concurrentDispatchThreads_threadsPerThreadgroup(size(COUNT), size(32));
    (indirect, pipeline)
}

/// Executes the command, and returns the command buffer's status.
fn execute(
    queue: &ProtocolObject<dyn MTLCommandQueue>,
    indirect: &ProtocolObject<dyn MTLIndirectCommandBuffer>,
    buffers: [&Buffer; 2],
) -> MTLCommandBufferStatus {
    let commands = queue.commandBuffer().unwrap();
    let encoder = commands.computeCommandEncoder().unwrap();
    for buffer in buffers {
        let usage = MTLResourceUsage::Read | MTLResourceUsage::Write;
        encoder.useResource_usage(ProtocolObject::from_ref(&**buffer), usage);
    }
    unsafe {
        encoder.executeCommandsInBuffer_withRange(indirect, NSRange { location: 0, length: 1 })
    };
    encoder.endEncoding();
    commands.commit();
    commands.waitUntilCompleted();
    commands.status()
}

#[test]
fn indirect_commands_are_executed() {
    let device = device();
    let (x, y) = (buffer(&device, 0), buffer(&device, 100));
    let (indirect, _pipeline) = addition(&device, &x, &y);
    let queue = device.newCommandQueue().unwrap();
    for times in 1..=2 {
        assert_eq!(execute(&queue, &indirect, [&x, &y]), MTLCommandBufferStatus::Completed);
        let expected: Vec<_> = (0..COUNT as u32).map(|i| i + times * (100 + i)).collect();
        assert_eq!(values(&x), expected);
    }
}

#[test]
fn captures_are_written_to_a_file() {
    let path = std::env::temp_dir().join(format!("client capture {}.gputrace", std::process::id()));
    let device = device();
    let manager = unsafe { MTLCaptureManager::sharedCaptureManager() };
    assert!(manager.supportsDestination(MTLCaptureDestination::GPUTraceDocument));
    let descriptor = MTLCaptureDescriptor::new();
    let object: &AnyObject = (*device).as_ref();
    unsafe { descriptor.setCaptureObject(Some(object)) };
    descriptor.setDestination(MTLCaptureDestination::GPUTraceDocument);
    descriptor.setOutputURL(Some(&NSURL::from_file_path(&path).unwrap()));
    manager.startCaptureWithDescriptor_error(&descriptor).unwrap();
    assert!(manager.isCapturing());
    let (x, y) = (buffer(&device, 0), buffer(&device, 1));
    let (indirect, _pipeline) = addition(&device, &x, &y);
    let queue = device.newCommandQueue().unwrap();
    assert_eq!(execute(&queue, &indirect, [&x, &y]), MTLCommandBufferStatus::Completed);
    manager.stopCapture();
    assert!(!manager.isCapturing());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("add"), "{text}");
    std::fs::remove_file(&path).unwrap();
}
