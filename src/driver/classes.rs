//! Every class that the driver declares. Written by `cargo test --test mapping` from the declarations.

use super::*;
use crate::objc::{ClassInfo, ObjcClass};

/// Every class that this crate declares, with its methods and the messages that they send.
///
/// ```
/// use aruminium::CLASSES;
/// let string = CLASSES.iter().find(|class| class.objc == "NSString").unwrap();
/// let length = string.methods.iter().find(|method| method.selector == "length").unwrap();
/// assert_eq!(length.name, "len_utf16");
/// ```
pub const CLASSES: &[ClassInfo] = &[
    archive::BinaryArchive::INFO,
    archive::BinaryArchiveDescriptor::INFO,
    argument::ArgumentEncoder::INFO,
    buffer::Buffer::INFO,
    capture::Capture::INFO,
    capture::CaptureDescriptor::INFO,
    command::Queue::INFO,
    command::Commands::INFO,
    ClassInfo::new("Commands", "MTLCommandBuffer", <command::Commands as command::Parts>::ADDED),
    descriptor::CompileOptions::INFO,
    descriptor::ConstantValues::INFO,
    descriptor::PipelineDescriptor::INFO,
    descriptor::TextureDescriptor::INFO,
    descriptor::SamplerDescriptor::INFO,
    descriptor::HeapDescriptor::INFO,
    descriptor::ResidencySetDescriptor::INFO,
    device::Gpu::INFO,
    encoder::Encoder::INFO,
    encoder::Copier::INFO,
    foundation::NSString::INFO,
    foundation::NSError::INFO,
    foundation::NSArray::INFO,
    foundation::NSNumber::INFO,
    foundation::NSDictionary::INFO,
    foundation::NSURL::INFO,
    foundation::NSData::INFO,
    function_table::LinkedFunctions::INFO,
    function_table::FunctionHandle::INFO,
    function_table::FunctionTableDescriptor::INFO,
    function_table::FunctionTable::INFO,
    heap::Heap::INFO,
    heap::ResidencySet::INFO,
    indirect::IndirectCommandsDescriptor::INFO,
    indirect::IndirectCommands::INFO,
    indirect::IndirectCommand::INFO,
    metal4::Queue4::INFO,
    metal4::CommitOptions::INFO,
    metal4::CommitFeedback::INFO,
    metal4::CommandAllocator::INFO,
    metal4::Commands4::INFO,
    metal4::Encoder4::INFO,
    metal4::ArgumentTableDescriptor::INFO,
    metal4::ArgumentTable::INFO,
    pipeline::Pipeline::INFO,
    pipeline::RenderPipeline::INFO,
    shader::ShaderLib::INFO,
    shader::Shader::INFO,
    sync::Fence::INFO,
    sync::Event::INFO,
    sync::SharedEvent::INFO,
    sync::EventListener::INFO,
    tensor::TensorExtents::INFO,
    tensor::TensorDescriptor::INFO,
    tensor::Tensor::INFO,
    texture::Texture::INFO,
    texture::Sampler::INFO,
];
