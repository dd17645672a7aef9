//! MTLDevice: a device of this machine, from which everything else is made.

use super::absent::DEVICE;
use super::argument_encoder::ArgumentEncoder;
use super::argument_table::{ArgumentTable, ArgumentTableDescriptor};
use super::binary_archive::{BinaryArchive, any_has};
use super::buffer::Buffer;
use super::command_buffer4::{CommandAllocator, CommandAllocatorDescriptor, CommandBuffer4};
use super::compiler::MAX_SOURCE;
use super::compiler4::{Compiler, CompilerDescriptor};
use super::container;
use super::counter_heap::{CounterHeap, CounterHeapDescriptor};
use super::counters::{self, CounterSampleBuffer, CounterSampleBufferDescriptor};
use super::descriptors::{
    BinaryArchiveDescriptor, CommandQueueDescriptor, CompileOptions, HeapDescriptor,
    IndirectCommandBufferDescriptor, LogStateDescriptor, ResidencySetDescriptor, SamplerDescriptor,
    TextureDescriptor,
};
use super::errors::{Error, LibraryError, or_error};
use super::event::{Event, SharedEvent, SharedEventHandle};
use super::fence::Fence;
use super::foundation::{
    Address, Bundle, Bytes, ErrorOut, HeldBlock, List, NSObject, Object, SoftClass, Strong, Text,
    compile_aside, set_device, soft_class,
};
use super::function::Function;
use super::function_descriptors::{ComputePipelineDescriptor, ComputePipelineFields};
use super::heap::Heap;
use super::indirect::IndirectCommandBuffer;
use super::library::{Library, complete_later};
use super::log_state::LogState;
use super::pipeline::{
    Bound, ComputePipelineState, FAIL_ON_MISS, PassedFunction, REFLECTION, Reflection,
};
use super::queue::Queue;
use super::queue4::{CommandQueueDescriptor4, Queue4};
use super::render::RenderPipelineDescriptor;
use super::render_pipeline::{self, RenderPipelineState};
use super::residency_set::ResidencySet;
use super::sampler::Sampler;
use super::tensor::{Tensor, TensorDescriptor, size_and_align};
use super::texture::{Texture, has_sample_count};
use crate::abi::{Id, Imp, MTLSize, MTLSizeAndAlign};
use crate::soft::foundation::file;
use crate::soft::kernel::{Processor, limits};
use crate::soft::stream::format::Format;
use crate::soft::stream::pages;
use crate::soft::stream::settings::Settings;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// `MTLArgumentBuffersTier2`: programs may write argument buffers without an encoder.
const ARGUMENT_BUFFERS_TIER_2: usize = 1;

/// A device.
pub(super) struct Device {
    pub(super) processor: &'static Processor,
    /// The value that the program set. Without effect: compilations run concurrently on the threads that request them.
    concurrent_compilation: AtomicBool,
}

/// The object of a device: the same one each time.
pub(super) fn of(processor: &'static Processor) -> Strong<Device> {
    static DEVICES: [OnceLock<Strong<Device>>; Processor::MAX] =
        [const { OnceLock::new() }; Processor::MAX];
    let make = || {
        let device =
            Strong::new(Device { processor, concurrent_compilation: AtomicBool::new(false) });
        set_device(processor.number, device.clone().into_retained());
        device
    };
    DEVICES[processor.number].get_or_init(make).clone()
}

/// The bytes of a device's memory that resources may take at most.
fn most_memory(processor: &Processor) -> usize {
    processor.backend.memory().unwrap_or_else(pages::physical) / 4 * 3
}

/// The most bytes that a buffer of a device has.
pub(super) fn longest_buffer(processor: &Processor) -> usize {
    pages::longest_buffer().min(most_memory(processor))
}

/// The architecture of the device.
pub(super) struct Architecture;

soft_class! {
    /// The architecture of the device.
    pub(super) class MTLArchitecture(Architecture): NSObject;
    [name] = |_: &Architecture| Text::object(concat!("soft-", env!("CARGO_PKG_VERSION")));
}

/// `MTLGPUFamily`: the compute features of Apple's seventh generation, unless the settings say otherwise.
const APPLE: isize = 1000;
const COMMON1: isize = 3001;
const COMMON3: isize = 3003;
/// Of Apple's own GPUs, those that Macs have.
const MAC2: isize = 2002;
const METAL3: isize = 5001;
const METAL4: isize = 5002;

fn supports_family(_: &Device, family: isize) -> bool {
    let newest = Settings::get().family.unwrap_or(7) as isize;
    match family {
        COMMON1..=COMMON3 => true,
        MAC2 | METAL3 | METAL4 => newest >= 7,
        _ => (1..=newest).contains(&(family - APPLE)),
    }
}

soft_class! {
    /// The device.
    pub(super) class SoftMTLDevice(Device): NSObject, conforms [MTLDevice], lacks DEVICE;
    [name] = |device: &Device| Text::object(device.processor.name.as_str());
    [architecture] = |_: &Device| Strong::new(Architecture);
    // Not in the headers, but metal-rs sends them.
    [vendorName] = |_: &Device| Text::object("aruminium");
    [familyName] = |_: &Device| Text::object("soft Metal");
    // Beyond Metal's API.
    [aruminiumSettings] = |_: &Device| super::compiler::settings().object();
    [registryID] = |device: &Device| 1 + device.processor.number as u64;
    [location] = |_: &Device| 0usize;
    [locationNumber] = |_: &Device| 0usize;
    [maxTransferRate] = |_: &Device| 0u64;
    [peerGroupID] = |_: &Device| 0u64;
    [peerIndex] = |_: &Device| 0u32;
    [peerCount] = |_: &Device| 0u32;
    [isHeadless] = |_: &Device| true;
    [isLowPower] = |_: &Device| false;
    [isRemovable] = |_: &Device| false;
    [hasUnifiedMemory] = |_: &Device| true;
    [recommendedMaxWorkingSetSize] = |device: &Device| most_memory(device.processor) as u64;
    [currentAllocatedSize] = |device: &Device| device.processor.allocated.load(Relaxed);
    [maxBufferLength] = |device: &Device| longest_buffer(device.processor);
    [maxThreadgroupMemoryLength] = |_: &Device| limits::THREADGROUP_MEMORY as usize;
    [maxThreadsPerThreadgroup] =
        |_: &Device| {
            let threads = limits::THREADS as usize;
            MTLSize { width: threads, height: threads, depth: threads }
        };
    [maxArgumentBufferSamplerCount] = |_: &Device| 1024usize;
    [argumentBuffersSupport] = |_: &Device| ARGUMENT_BUFFERS_TIER_2;
    [newArgumentEncoderWithBufferBinding:] = |device: &Device, binding: Option<&Object<Bound>>| {
        Some(ArgumentEncoder::object(device.processor, binding?.layout()?))
    };
    [newArgumentEncoderWithArguments:] = |device: &Device, arguments: Option<&Object<List>>| {
        ArgumentEncoder::described(device.processor, arguments?)
    };
    [supportsPlacementSparse] = |_: &Device| false;
    [sparseTileSizeInBytesForSparsePageSize:] = |_: &Device, _: isize| 0usize;
    [sparseTileSizeWithTextureType:pixelFormat:sampleCount:] =
        |_: &Device, _: usize, _: usize, _: usize| MTLSize::default();
    [sparseTileSizeWithTextureType:pixelFormat:sampleCount:sparsePageSize:] =
        |_: &Device, _: usize, _: usize, _: usize, _: isize| MTLSize::default();
    // Three numbers of bytes: without ray tracing there is nothing to build.
    [accelerationStructureSizesWithDescriptor:] = |_: &Device, _: Id| MTLSize::default();
    [readWriteTextureSupport] = |_: &Device| 2usize;
    [sparseTileSizeInBytes] = |_: &Device| 0usize;
    [counterSets] = |_: &Device| counters::sets();
    [supportsCounterSampling:] = |_: &Device, point: usize| counters::can_sample(point);
    [sampleTimestamps:gpuTimestamp:] =
        |_: &Device, cpu: *mut usize, gpu: *mut usize| counters::sample_timestamps(cpu, gpu);
    [newCounterSampleBufferWithDescriptor:error:] =
        |device: &Device, descriptor: Option<&Object<CounterSampleBufferDescriptor>>, error: ErrorOut| {
            or_error(CounterSampleBuffer::new(device.processor, descriptor), error)
        };
    [supportsFamily:] = supports_family;
    [supportsFeatureSet:] = |_: &Device, _: usize| false;
    [supportsTextureSampleCount:] = |_: &Device, count: usize| has_sample_count(count);
    [supportsVertexAmplificationCount:] = |_: &Device, count: usize| count == 1;
    [supportsRasterizationRateMapWithLayerCount:] = |_: &Device, _: usize| false;
    [supports32BitFloatFiltering] = |_: &Device| true;
    [supports32BitMSAA] = |_: &Device| false;
    [supportsBCTextureCompression] = |_: &Device| true;
    [supportsDynamicLibraries] = |_: &Device| false;
    [supportsFunctionPointers] = |_: &Device| true;
    [supportsFunctionPointersFromRender] = |_: &Device| false;
    [supportsPrimitiveMotionBlur] = |_: &Device| false;
    [supportsPullModelInterpolation] = |_: &Device| false;
    [supportsQueryTextureLOD] = |_: &Device| false;
    [supportsRaytracing] = |_: &Device| false;
    [supportsRaytracingFromRender] = |_: &Device| false;
    [supportsRenderDynamicLibraries] = |_: &Device| false;
    [supportsShaderBarycentricCoordinates] = |_: &Device| false;
    [areBarycentricCoordsSupported] = |_: &Device| false;
    [areProgrammableSamplePositionsSupported] = |_: &Device| false;
    [areRasterOrderGroupsSupported] = |_: &Device| false;
    [isDepth24Stencil8PixelFormatSupported] = |_: &Device| false;
    [minimumLinearTextureAlignmentForPixelFormat:] = texture_alignment;
    [minimumTextureBufferAlignmentForPixelFormat:] = texture_alignment;
    [maximumConcurrentCompilationTaskCount] = |_: &Device| Settings::get().cores;
    [shouldMaximizeConcurrentCompilation] =
        |device: &Device| device.concurrent_compilation.load(Relaxed);
    [setShouldMaximizeConcurrentCompilation:] =
        |device: &Device, value: bool| device.concurrent_compilation.store(value, Relaxed);
    [queryTimestampFrequency] = |_: &Device| 1_000_000_000u64;

    [newCommandQueue] = |device: &Device| Queue::object(device.processor, None);
    [newCommandQueueWithMaxCommandBufferCount:] =
        |device: &Device, count: usize| (count > 0).then(|| Queue::object(device.processor, None));
    [newCommandQueueWithDescriptor:] = |device: &Device, descriptor: Option<&Object<CommandQueueDescriptor>>| {
        let fields = descriptor?.get();
        let log_state = LogState::of(fields.log_state.as_ref());
        (fields.max_command_buffers > 0).then(|| Queue::object(device.processor, log_state))
    };
    [newLogStateWithDescriptor:error:] =
        |_: &Device, descriptor: Option<&Object<LogStateDescriptor>>, error: ErrorOut| {
            or_error(LogState::new(descriptor), error)
        };

    [newBufferWithLength:options:] = |device: &Device, length: usize, options: usize| {
        Buffer::new(device.processor, length, options)
    };
    [newBufferWithBytes:length:options:] =
        |device: &Device, bytes, length: usize, options: usize| {
            Buffer::copied(device.processor, bytes, length, options)
        };
    [newBufferWithBytesNoCopy:length:options:deallocator:] =
        |device: &Device, bytes, length: usize, options: usize, block: Option<HeldBlock>| {
            Buffer::lent(device.processor, bytes, length, options, block)
        };
    [newTextureWithDescriptor:] = |device: &Device, descriptor: Option<&Object<TextureDescriptor>>| {
        Texture::new(device.processor, &descriptor?.get())
    };
    [newSamplerStateWithDescriptor:] = |device: &Device, descriptor: Option<&Object<SamplerDescriptor>>| {
        Sampler::new(device.processor, descriptor?.get())
    };
    [newHeapWithDescriptor:] = |device: &Device, descriptor: Option<&Object<HeapDescriptor>>| {
        Heap::new(device.processor, &descriptor?.get())
    };
    [heapBufferSizeAndAlignWithLength:options:] = |_: &Device, length: usize, _: usize| {
        Heap::room(length)
    };
    [heapTextureSizeAndAlignWithDescriptor:] =
        |_: &Device, descriptor: Option<&Object<TextureDescriptor>>| {
            descriptor
                .and_then(|descriptor| Texture::length(&descriptor.get()))
                .map_or(MTLSizeAndAlign::default(), Heap::room)
        };
    [newResidencySetWithDescriptor:error:] =
        |device: &Device, descriptor: Option<&Object<ResidencySetDescriptor>>, _: ErrorOut| {
            let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
            ResidencySet::object(device.processor, fields)
        };
    [newTensorWithDescriptor:error:] =
        |device: &Device, descriptor: Option<&Object<TensorDescriptor>>, error: ErrorOut| {
            or_error(Tensor::new(device.processor, descriptor), error)
        };
    [tensorSizeAndAlignWithDescriptor:] =
        |_: &Device, descriptor: Option<&Object<TensorDescriptor>>| size_and_align(descriptor);
    [newMTL4CommandQueue] = |device: &Device| Queue4::object(device.processor, None);
    [newMTL4CommandQueueWithDescriptor:error:] =
        |device: &Device, descriptor: Option<&Object<CommandQueueDescriptor4>>, _: ErrorOut| {
            Queue4::object(device.processor, descriptor)
        };
    [newCommandAllocator] = |device: &Device| CommandAllocator::object(device.processor, None);
    [newCommandAllocatorWithDescriptor:error:] =
        |device: &Device, descriptor: Option<&Object<CommandAllocatorDescriptor>>, _: ErrorOut| {
            CommandAllocator::object(device.processor, descriptor)
        };
    [newCommandBuffer] = |device: &Device| CommandBuffer4::object(device.processor);
    [newArgumentTableWithDescriptor:error:] =
        |device: &Device, descriptor: Option<&Object<ArgumentTableDescriptor>>, error: ErrorOut| {
            or_error(ArgumentTable::new(device.processor, descriptor), error)
        };
    [newCompilerWithDescriptor:error:] =
        |device: &Device, descriptor: Option<&Object<CompilerDescriptor>>, _: ErrorOut| {
            Compiler::object(device.processor, descriptor)
        };
    [newCounterHeapWithDescriptor:error:] =
        |device: &Device, descriptor: Option<&Object<CounterHeapDescriptor>>, error: ErrorOut| {
            or_error(CounterHeap::new(device.processor, descriptor), error)
        };
    [sizeOfCounterHeapEntry:] = |_: &Device, _: isize| counters::SAMPLE;
    [newFence] = |device: &Device| Fence::object(device.processor);
    [newEvent] = |device: &Device| Event::object(device.processor);
    [newSharedEvent] = |device: &Device| SharedEvent::object(device.processor);
    [newSharedEventWithHandle:] = |device: &Device, handle: Option<&Object<SharedEventHandle>>| {
        handle.map(|handle| SharedEvent::from_handle(device.processor, handle))
    };

    [newLibraryWithSource:options:error:] = library_from_source;
    [newLibraryWithSource:options:completionHandler:] = library_later;
    [newDefaultLibrary] = |device: &Device| {
        default_library(device, Some(&*Bundle::main()), ErrorOut::none())
    };
    [newDefaultLibraryWithBundle:error:] = default_library;
    [newLibraryWithFile:error:] = |device: &Device, path: Option<&Object<Text>>, error: ErrorOut| {
        library_from_file(device, path.map(|path| path.to_str().into_owned()), error)
    };
    [newLibraryWithURL:error:] = |device: &Device, url: Option<&Object<Address>>, error: ErrorOut| {
        library_from_file(device, url.and_then(|url| url.path()), error)
    };
    [newLibraryWithData:error:] = |device: &Device, data: Option<&Object<Bytes>>, error: ErrorOut| {
        match data.and_then(|data| container::unpack(data.as_slice())) {
            Some((source, how)) => {
                or_error(Library::compile_as(device.processor, source, how, None), error)
            }
            None => unreadable("data", error),
        }
    };

    [newBinaryArchiveWithDescriptor:error:] =
        |device: &Device, descriptor: Option<&Object<BinaryArchiveDescriptor>>, error: ErrorOut| {
            or_error(BinaryArchive::new(device.processor, descriptor), error)
        };
    [newIndirectCommandBufferWithDescriptor:maxCommandCount:options:] = |
        device: &Device, descriptor: Option<&Object<IndirectCommandBufferDescriptor>>, count: usize,
        options: usize,
    | IndirectCommandBuffer::object(device.processor, descriptor, count, options);
    [newComputePipelineStateWithFunction:error:] =
        |_: &Device, function: PassedFunction<'_>, error: ErrorOut| {
            or_error(pipeline(function), error)
        };
    [newComputePipelineStateWithFunction:options:reflection:error:] = |
        _: &Device, function: PassedFunction<'_>, options: usize, reflection: ErrorOut, error: ErrorOut,
    | with_reflection(or_error(pipeline(function), error), options, reflection);
    // Not in the headers, but metal-rs sends it.
    [newComputePipelineStateWithDescriptor:error:] =
        |_: &Device, descriptor: Option<&Object<ComputePipelineDescriptor>>, error: ErrorOut| {
            or_error(described_pipeline(descriptor, 0), error)
        };
    [newComputePipelineStateWithDescriptor:options:reflection:error:] = |
        _: &Device, descriptor: Option<&Object<ComputePipelineDescriptor>>, options: usize,
        reflection: ErrorOut, error: ErrorOut,
    | with_reflection(or_error(described_pipeline(descriptor, options), error), options, reflection);
    [newComputePipelineStateWithFunction:completionHandler:] =
        |_: &Device, function: Option<Strong<Function>>, block: Option<HeldBlock>| {
            complete_later(block, move || pipeline(function.as_deref()));
        };
    [newComputePipelineStateWithFunction:options:completionHandler:] =
        |_: &Device, function: Option<Strong<Function>>, _: usize, block: Option<HeldBlock>| {
            pipeline_later(block, move || pipeline(function.as_deref()).map(reflected));
        };
    [newComputePipelineStateWithDescriptor:options:completionHandler:] = |
        _: &Device, descriptor: Option<Strong<ComputePipelineDescriptor>>, options: usize,
        block: Option<HeldBlock>,
    | pipeline_later(block, move || described_pipeline(descriptor.as_deref(), options).map(reflected));
    [newRenderPipelineStateWithDescriptor:error:] =
        |device: &Device, descriptor: RenderDescriptor<'_>, error: ErrorOut| {
            let made = RenderPipelineState::new(device.processor, descriptor, 0);
            or_error(made.map(|made| made.0), error)
        };
    [newRenderPipelineStateWithDescriptor:options:reflection:error:] = |
        device: &Device, descriptor: RenderDescriptor<'_>, options: usize, reflection: ErrorOut,
        error: ErrorOut,
    | {
        let made = RenderPipelineState::new(device.processor, descriptor, options);
        or_error(render_pipeline::with_reflection(made, options, reflection), error)
    };
    [newRenderPipelineStateWithDescriptor:completionHandler:] =
        |device: &Device, descriptor: Option<Strong<RenderPipelineDescriptor>>, block: Option<HeldBlock>| {
            let processor = device.processor;
            complete_later(block, move || {
                RenderPipelineState::new(processor, descriptor.as_deref(), 0).map(|made| made.0)
            });
        };
    [newRenderPipelineStateWithDescriptor:options:completionHandler:] = |
        device: &Device, descriptor: Option<Strong<RenderPipelineDescriptor>>, options: usize,
        block: Option<HeldBlock>,
    | {
        let processor = device.processor;
        pipeline_later(block, move || {
            RenderPipelineState::new(processor, descriptor.as_deref(), options)
        });
    };
}

/// A descriptor of a render pipeline that a message passed.
type RenderDescriptor<'a> = Option<&'a Object<RenderPipelineDescriptor>>;

/// The alignment of linear textures: 16 bytes suit all formats.
fn texture_alignment(_: &Device, format: usize) -> usize {
    Format::of(format).map_or(0, |_| 16)
}

type Pipeline = Result<Strong<ComputePipelineState>, Error<LibraryError>>;

/// The pipeline of a function, and otherwise of default properties.
fn pipeline(function: PassedFunction<'_>) -> Pipeline {
    let function = function.map(Object::retain);
    ComputePipelineState::described(ComputePipelineFields {
        function,
        ..ComputePipelineFields::default()
    })
}

/// The pipeline that a descriptor describes. With an option for that it must be in an archive.
fn described_pipeline(
    descriptor: Option<&Object<ComputePipelineDescriptor>>,
    options: usize,
) -> Pipeline {
    let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
    let archives = fields.archives.clone();
    let settings = super::pipeline::Settings::of(fields)?;
    // Before anything is compiled.
    if options & FAIL_ON_MISS != 0 && !any_has(archives.as_deref(), settings.fingerprint()) {
        let text = "the pipeline is in none of the descriptor's binary archives";
        return Err(Error::new(LibraryError::FunctionNotFound, text));
    }
    ComputePipelineState::new(settings)
}

fn with_reflection(
    pipeline: Option<Strong<ComputePipelineState>>,
    options: usize,
    reflection: ErrorOut,
) -> Option<Strong<ComputePipelineState>> {
    if let Some(pipeline) = pipeline.as_ref().filter(|_| options & REFLECTION != 0) {
        pipeline.leave_reflection(reflection);
    }
    pipeline
}

/// A pipeline state and its reflection.
fn reflected(
    pipeline: Strong<ComputePipelineState>,
) -> (Strong<ComputePipelineState>, Strong<Reflection>) {
    let reflection = pipeline.reflection();
    (pipeline, reflection)
}

/// Calls a block with a pipeline state, its reflection, and an error.
fn pipeline_later<P: SoftClass, R: SoftClass>(
    block: Option<HeldBlock>,
    make: impl FnOnce() -> Result<(Strong<P>, Strong<R>), Error<LibraryError>> + Send + 'static,
) {
    let Some(block) = block else { return };
    compile_aside(move || {
        let made = make().map_err(|error| error.ns_error());
        // SAFETY: the message passed a block that takes these objects.
        unsafe {
            let call =
                std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Id, Id, Id)>(block.invoke());
            call(
                block.id(),
                made.as_ref().map_or(Id::NIL, |made| made.0.id()),
                made.as_ref().map_or(Id::NIL, |made| made.1.id()),
                made.as_ref().err().map_or(Id::NIL, |error| error.id()),
            );
        }
    });
}

fn library_from_source(
    device: &Device,
    source: &Object<Text>,
    options: Option<&Object<CompileOptions>>,
    error: ErrorOut,
) -> Option<Strong<Library>> {
    let library = Library::compile(device.processor, &source.to_str(), options);
    if let Some(warning) = library.as_ref().ok().and_then(|library| library.warning()) {
        error.set(warning.ns_error());
        return library.ok();
    }
    or_error(library, error)
}

fn library_later(
    device: &Device,
    source: &Object<Text>,
    options: Option<Strong<CompileOptions>>,
    block: Option<HeldBlock>,
) {
    let (processor, source) = (device.processor, source.to_str().into_owned());
    complete_later(block, move || Library::compile(processor, &source, options.as_deref()));
}

/// Compiles the default library of a bundle, which has source text here.
fn default_library(
    device: &Device,
    bundle: Option<&Object<Bundle>>,
    error: ErrorOut,
) -> Option<Strong<Library>> {
    const NAME: &str = "default.metallib";
    match bundle.map(|bundle| bundle.file(NAME)) {
        Some(Ok(path)) => library_from_file(device, Some(path), error),
        Some(Err(folder)) => {
            let text =
                format!("{folder}: the bundle has no {NAME}: put a file with source text there");
            error.set(Error::new(LibraryError::FileNotFound, text).ns_error());
            None
        }
        None => {
            let text = "nil was passed in place of a bundle";
            error.set(Error::new(LibraryError::FileNotFound, text).ns_error());
            None
        }
    }
}

/// Compiles a file with source text. Libraries that Apple's tools have compiled cannot be used here.
fn library_from_file(
    device: &Device,
    path: Option<String>,
    error: ErrorOut,
) -> Option<Strong<Library>> {
    let Some(path) = path else {
        let failure = Error::new(LibraryError::FileNotFound, "there is no path to a file");
        error.set(failure.ns_error());
        return None;
    };
    let bytes = match file::read(&path, MAX_SOURCE as u64) {
        Ok(bytes) => bytes,
        Err(why) => {
            let failure = Error::new(LibraryError::FileNotFound, format!("{path}: {why}"));
            error.set(failure.ns_error());
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(source) if !source.starts_with("MTLB") => {
            or_error(Library::compile(device.processor, &source, None), error)
        }
        _ => unreadable(&path, error),
    }
}

fn unreadable(what: &str, error: ErrorOut) -> Option<Strong<Library>> {
    let text = format!(
        "{what}: libraries are made from source text here; libraries that Apple's tools have compiled are for \
         Apple's GPUs"
    );
    error.set(Error::new(LibraryError::Unsupported, text).ns_error());
    None
}
