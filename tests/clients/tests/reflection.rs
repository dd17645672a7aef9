//! The struct that a buffer argument points to, as `metal` and `objc2-metal` list its members.

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_foundation::{NSString, ns_string};
use objc2_metal::{
    MTLBinding, MTLBufferBinding, MTLComputePipelineState, MTLCreateSystemDefaultDevice,
    MTLDataType, MTLDevice, MTLFunction, MTLLibrary,
};

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;
    struct Values { float3 a; half b[3]; device uint *c; texture2d<float> d; };
    kernel void f(device Values *values [[buffer(0)]]) { values->a = 1; }";

#[test]
#[expect(deprecated, reason = "programs still use the older method of functions")]
fn objc2_metal_lists_members() {
    let device = MTLCreateSystemDefaultDevice().unwrap();
    let library =
        device.newLibraryWithSource_options_error(&NSString::from_str(SOURCE), None).unwrap();
    let function = library.newFunctionWithName(ns_string!("f")).unwrap();
    let pipeline = device.newComputePipelineStateWithFunction_error(&function).unwrap();
    let bindings = pipeline.reflection().unwrap().bindings();
    let binding = bindings.objectAtIndex(0);
    // SAFETY: the first argument is a buffer.
    let binding =
        unsafe { Retained::cast_unchecked::<ProtocolObject<dyn MTLBufferBinding>>(binding) };
    assert_eq!(binding.name().to_string(), "values");
    let of = binding.bufferStructType().unwrap();
    let members: Vec<_> = of.members().iter().collect();
    let listed: Vec<_> =
        members.iter().map(|one| (one.name().to_string(), one.offset(), one.dataType())).collect();
    let member = |name: &str, offset, data_type| (name.to_owned(), offset, data_type);
    assert_eq!(
        listed,
        [
            member("a", 0, MTLDataType::Float3),
            member("b", 16, MTLDataType::Array),
            member("c", 24, MTLDataType::Pointer),
            member("d", 32, MTLDataType::Texture),
        ]
    );
    let array = members[1].arrayType().unwrap();
    assert_eq!((array.elementType(), array.arrayLength()), (MTLDataType::Half, 3));
    assert_eq!(members[2].pointerType().unwrap().elementType(), MTLDataType::UInt);
    let texture = members[3].textureReferenceType().unwrap();
    assert_eq!(texture.textureDataType(), MTLDataType::Float);
    assert!(binding.bufferPointerType().unwrap().elementIsArgumentBuffer());
    let (mut argument, index) = (None, 0);
    let encoder = unsafe {
        function.newArgumentEncoderWithBufferIndex_reflection(index, Some(&mut argument))
    };
    drop(encoder);
    assert_eq!(argument.unwrap().bufferStructType().unwrap().members().len(), 4);
}

#[test]
fn metal_rs_lists_members() {
    use metal::*;

    objc::rc::autoreleasepool(|| {
        let device = Device::system_default().unwrap();
        let library = device.new_library_with_source(SOURCE, &CompileOptions::new()).unwrap();
        let descriptor = ComputePipelineDescriptor::new();
        descriptor.set_compute_function(Some(&library.get_function("f", None).unwrap()));
        let options = MTLPipelineOption::ArgumentInfo | MTLPipelineOption::BufferTypeInfo;
        let (_pipeline, reflection) =
            device.new_compute_pipeline_state_with_reflection(&descriptor, options).unwrap();
        let argument = reflection.arguments().object_at(0).unwrap();
        let members = argument.buffer_struct_type().members();
        let names: Vec<_> =
            (0..members.count()).map(|nth| members.object_at(nth).unwrap().name()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let member = argument.buffer_struct_type().member_from_name("b").unwrap();
        assert_eq!((member.offset(), member.data_type()), (16, MTLDataType::Array));
        assert!(argument.buffer_struct_type().member_from_name("x").is_none());
    });
}
