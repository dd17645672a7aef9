//! A program that uses `objc2-metal` and this crate side by side, on the same objects.

use aruminium::{
    Buffer, Dispatch, Gpu, Objc2, Objc2Memory, Pipeline, Queue, ShaderLib, SharedEvent,
};
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_foundation::ns_string;
use objc2_metal::*;

const SOURCE: &str = "
    kernel void twice(device float *x, uint i [[thread_position_in_grid]]) { x[i] *= 2; }
";
const COUNT: usize = 256;

type Theirs<P> = Retained<ProtocolObject<P>>;

fn device() -> Theirs<dyn MTLDevice> {
    MTLCreateSystemDefaultDevice().expect("a device")
}

/// The objects are of `objc2-metal`; the hot loop is a `Dispatch`.
#[test]
fn a_program_adopts_dispatch() {
    let device = device();
    let library = device.newLibraryWithSource_options_error(ns_string!(SOURCE), None).unwrap();
    let function = library.newFunctionWithName(ns_string!("twice")).unwrap();
    let pipeline = device.newComputePipelineStateWithFunction_error(&function).unwrap();
    let queue = device.newCommandQueue().unwrap();
    let options = MTLResourceOptions::StorageModeShared;
    let buffer = device.newBufferWithLength_options(4 * COUNT, options).unwrap();
    let start = buffer.contents().cast::<f32>();
    for index in 0..COUNT {
        // SAFETY: the buffer has `COUNT` floats.
        unsafe { start.add(index).write(index as f32) }
    }

    // SAFETY: its memory is read when the launches have finished, and `objc2-metal` encodes none.
    let ours = unsafe { Buffer::from_objc2(buffer.clone()) };
    let pipeline = Pipeline::from_objc2(pipeline);
    let dispatch = Dispatch::new(&Queue::from_objc2(queue));
    for _ in 0..3 {
        // SAFETY: the kernel stays within its buffer.
        unsafe { dispatch.dispatch(&pipeline, &[(&ours, 0, 0)], (COUNT, 1, 1), (64, 1, 1)) }
            .unwrap();
    }
    // SAFETY: the launches have finished.
    let values = unsafe { std::slice::from_raw_parts(start.as_ptr(), COUNT) };
    assert!(values.iter().enumerate().all(|(index, &value)| value == 8.0 * index as f32));
}

/// The objects are of this crate; one call is of `objc2-metal`.
#[test]
fn a_program_calls_what_this_crate_lacks() {
    let gpu = Gpu::open().unwrap();
    let library = gpu.compile(SOURCE).unwrap();
    let theirs: Theirs<dyn MTLLibrary> = library.to_objc2();
    assert_eq!(theirs.functionNames().to_vec()[0].to_string(), "twice");
    let function: Theirs<dyn MTLFunction> = library.function("twice").unwrap().into_objc2();
    assert_eq!(function.name().to_string(), "twice");
    // A library goes there and back.
    assert_eq!(ShaderLib::from_objc2(theirs).function_names(), ["twice"]);

    let device: Theirs<dyn MTLDevice> = gpu.to_objc2();
    let event = SharedEvent::from_objc2(device.newSharedEvent().unwrap());
    event.set_signaled_value(7);
    let theirs: Theirs<dyn MTLSharedEvent> = event.to_objc2();
    assert_eq!(theirs.signaledValue(), 7);
}
