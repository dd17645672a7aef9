//! Several devices: each object is of the device that made it, and commands use what is of their own device.

use super::*;
use crate::soft::metal::{compiler::second_cpu, device::of};

/// The devices of the tests here: the one that programs get, and another CPU.
fn devices() -> [Own; 2] {
    [device(), Own::new(of(second_cpu()).into_retained().into_owned())]
}

/// A new object that a message without arguments returns.
fn made(device: Id, selector: &str) -> Own {
    Own::new(send!(device, selector; Id))
}

/// A new object that a message with a descriptor returns.
fn described(device: Id, selector: &str, descriptor: Id) -> Own {
    Own::new(send!(device, selector, descriptor => Id; Id))
}

/// The same, of a message that may report an error.
fn described_or_error(device: Id, selector: &str, descriptor: Id) -> Own {
    let none = std::ptr::null_mut();
    Own::new(send!(device, selector, descriptor => Id, none => *mut Id; Id))
}

fn library_of(device: Id, source: &str) -> Own {
    let (source, none) = (string(source), std::ptr::null_mut());
    Own::new(send!(
        device, "newLibraryWithSource:options:error:", *source => Id, Id::NIL => Id,
        none => *mut Id; Id
    ))
}

fn buffer_of_device(device: Id, length: usize) -> Own {
    Own::new(send!(
        device, "newBufferWithLength:options:", length => usize, 0 => usize; Id
    ))
}

const KERNEL: &str = "
    struct Args { device int *out; };
    kernel void put(device int *out [[buffer(0)]], constant Args &args [[buffer(1)]]) { out[0] = 7; }";

/// One object of each class that a device makes.
fn objects(device: Id) -> Vec<(&'static str, Own)> {
    let library = library_of(device, KERNEL);
    let function = function(*library, "put");
    let pipeline =
        described_or_error(device, "newComputePipelineStateWithFunction:error:", *function);
    let encoder_of_arguments =
        Own::new(send!(*function, "newArgumentEncoderWithBufferIndex:", 1 => usize; Id));
    let queue = made(device, "newCommandQueue");
    let commands = commands(*queue);
    let compute = encoder(*commands);
    end(*compute);
    let blit = blit(*commands);
    end(*blit);
    let buffer = buffer_of_device(device, 64);
    let heap_descriptor = new("MTLHeapDescriptor");
    send!(*heap_descriptor, "setSize:", 65536 => usize; ());
    let heap = described(device, "newHeapWithDescriptor:", *heap_descriptor);
    let in_heap = Own::new(send!(
        *heap, "newBufferWithLength:options:", 64 => usize, 0x20 => usize; Id
    ));
    let texture_descriptor = new("MTLTextureDescriptor");
    send!(*texture_descriptor, "setWidth:", 4 => usize; ());
    send!(*texture_descriptor, "setHeight:", 4 => usize; ());
    let texture = described(device, "newTextureWithDescriptor:", *texture_descriptor);
    let sampler = described(device, "newSamplerStateWithDescriptor:", *new("MTLSamplerDescriptor"));
    let residency = described_or_error(
        device,
        "newResidencySetWithDescriptor:error:",
        *new("MTLResidencySetDescriptor"),
    );
    let archive = described_or_error(
        device,
        "newBinaryArchiveWithDescriptor:error:",
        *new("MTLBinaryArchiveDescriptor"),
    );
    let indirect_descriptor = new("MTLIndirectCommandBufferDescriptor");
    send!(*indirect_descriptor, "setCommandTypes:", 1 << 5 => usize; ());
    let indirect = Own::new(send!(
        device, "newIndirectCommandBufferWithDescriptor:maxCommandCount:options:",
        *indirect_descriptor => Id, 2 => usize, 0 => usize; Id
    ));
    let table_descriptor = new("MTLVisibleFunctionTableDescriptor");
    send!(*table_descriptor, "setFunctionCount:", 1 => usize; ());
    let table = described(*pipeline, "newVisibleFunctionTableWithDescriptor:", *table_descriptor);
    let counters = new("MTLCounterSampleBufferDescriptor");
    send!(*counters, "setSampleCount:", 1 => usize; ());
    pool(|| {
        let sets = send!(device, "counterSets"; Id);
        let set = send!(sets, "objectAtIndex:", 0 => usize; Id);
        send!(*counters, "setCounterSet:", set => Id; ());
    });
    let samples =
        described_or_error(device, "newCounterSampleBufferWithDescriptor:error:", *counters);
    let scope = pool(|| {
        let manager = send!(class("MTLCaptureManager"), "sharedCaptureManager"; Id);
        described(manager, "newCaptureScopeWithDevice:", device)
    });
    vec![
        ("library", library),
        ("function", function),
        ("pipeline", pipeline),
        ("argument encoder", encoder_of_arguments),
        ("queue", queue),
        ("command buffer", commands),
        ("compute encoder", compute),
        ("blit encoder", blit),
        ("buffer", buffer),
        ("heap", heap),
        ("buffer in a heap", in_heap),
        ("texture", texture),
        ("sampler", sampler),
        ("residency set", residency),
        ("binary archive", archive),
        ("indirect command buffer", indirect),
        ("table of functions", table),
        ("counter sample buffer", samples),
        ("fence", made(device, "newFence")),
        ("event", made(device, "newEvent")),
        ("shared event", made(device, "newSharedEvent")),
        ("capture scope", scope),
    ]
}

#[test]
fn objects_are_of_the_device_that_made_them() {
    let devices = devices();
    assert_ne!(*devices[0], *devices[1]);
    for device in &devices {
        for (name, object) in objects(**device) {
            assert_eq!(send!(*object, "device"; Id), **device, "{name}");
        }
    }
}

#[test]
fn devices_differ_in_name_and_number() {
    let devices = devices();
    let of = |selector: &str| devices.each_ref().map(|device| send!(**device, selector; u64));
    let [first, second] = of("registryID");
    assert_ne!(first, second);
    let [first, second] =
        devices.each_ref().map(|device| pool(|| text(send!(**device, "name"; Id))));
    assert!(second.starts_with("soft Metal (1 worker, ") && !first.is_empty(), "{first}, {second}");
}

#[test]
fn the_memory_of_a_device_is_counted_apart() {
    let devices = devices();
    let sizes = || devices.each_ref().map(|d| send!(**d, "currentAllocatedSize"; usize));
    let before = sizes()[1];
    let buffer = buffer_of_device(*devices[1], 1 << 20);
    let after = sizes()[1];
    // Other tests have few objects of this device.
    assert!(after >= before + (1 << 19), "{before} {after}");
    drop(buffer);
    assert!(sizes()[1] <= after - (1 << 19));
}

/// Stores 7 in a buffer, with a pipeline of one device, a buffer of one, and a queue of one.
fn put(pipeline_of: Id, buffer_of: Id, queue_of: Id) -> (Result<(), String>, i32) {
    let function = function(*library_of(pipeline_of, KERNEL), "put");
    let pipeline =
        described_or_error(pipeline_of, "newComputePipelineStateWithFunction:error:", *function);
    let buffer = buffer_of_device(buffer_of, 64);
    let queue = made(queue_of, "newCommandQueue");
    let commands = commands(*queue);
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *buffer, 0, 0);
    push(*encoder, &0u64, 1);
    launch(*encoder, 1, 1);
    end(*encoder);
    (finish(*commands), contents::<i32>(*buffer)[0])
}

#[test]
fn both_compute_and_what_is_of_another_device_is_an_error_with_both_names() {
    let [first, second] = devices();
    for device in [*first, *second] {
        assert_eq!(put(device, device, device), (Ok(()), 7));
    }
    let name = |device: Id| pool(|| text(send!(device, "name"; Id)));
    for [pipeline, buffer] in [[*first, *second], [*second, *first], [*first, *first]] {
        let (result, stored) = put(pipeline, buffer, *second);
        let error = result.expect_err("commands of two devices");
        assert!(error.contains(&name(*first)) && error.contains(&name(*second)), "{error}");
        assert_eq!(stored, 0);
    }
    // Copies, too.
    let (from, to) = (buffer_of_device(*first, 64), buffer_of_device(*second, 64));
    let queue = made(*second, "newCommandQueue");
    let commands = commands(*queue);
    let blit = blit(*commands);
    send!(
        *blit, "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:", *from => Id,
        0 => usize, *to => Id, 0 => usize, 64 => usize; ()
    );
    end(*blit);
    let error = finish(*commands).expect_err("a copy between devices");
    assert!(error.contains("endEncoding") && error.contains(&name(*first)), "{error}");
}
