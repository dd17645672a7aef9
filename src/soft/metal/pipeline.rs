//! MTLComputePipelineState: a kernel ready to be launched, and its reflection.

use super::absent::PIPELINE;
use super::compiler::fingerprint;
use super::descriptors::VisibleFunctionTableDescriptor;
use super::errors::{Error, LibraryError, or_error};
use super::foundation::{
    ErrorOut, List, NSObject, Object, Retained, SoftClass, Strong, Text, device, next_id,
    of_device, soft_class,
};
use super::function::Function;
use super::function_descriptors::{ComputePipelineFields, functions as all_functions};
use super::function_table::{FunctionHandle, VisibleFunctionTable};
use super::profile;
use super::tensor::Extents;
use super::types::{
    buffer_data_type, buffer_pointer_type, buffer_struct_type, index_type, tensor_data_type,
    texture_data_type,
};
use crate::abi::{MTLResourceID, MTLSize};
use crate::soft::ir::Layout;
use crate::soft::kernel::{Access, Argument, ArgumentKind, Kernel, limits};
use crate::soft::stream::pipeline::{Limits, Pipeline, allow_indirect, forbid_indirect};
use std::sync::Arc;

/// A compute pipeline state.
pub(super) struct ComputePipelineState {
    pub(super) pipeline: Arc<Pipeline>,
    settings: Settings,
    pub(super) id: u64,
}

/// The inputs of a pipeline state.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) function: Strong<Function>,
    pub(super) limits: Limits,
    pub(super) label: Option<Strong<Text>>,
    /// The functions that the kernel may call through pointers: those that have handles, and those that have none.
    pub(super) exported: Vec<Strong<Function>>,
    pub(super) private: Vec<Strong<Function>>,
    /// The most such calls that are open at once.
    pub(super) call_depth: usize,
    /// Whether more functions may be linked later.
    pub(super) adding: bool,
    /// Whether indirect commands may use it.
    pub(super) indirect: bool,
}

of_device! { ComputePipelineState, pipeline => pipeline.pipeline.processor; }

soft_class! {
    /// A compute pipeline state.
    pub(super) class SoftMTLComputePipelineState(ComputePipelineState): NSObject,
        conforms [MTLComputePipelineState], lacks PIPELINE;
    [label] = |pipeline: &ComputePipelineState| pipeline.settings.label.clone();
    [device] = device::<ComputePipelineState>;
    [maxTotalThreadsPerThreadgroup] = |pipeline: &ComputePipelineState| pipeline.pipeline.max_threads;
    [threadExecutionWidth] = |_: &ComputePipelineState| limits::SIMD_WIDTH as usize;
    [staticThreadgroupMemoryLength] =
        |pipeline: &ComputePipelineState| pipeline.pipeline.kernel.static_threadgroup() as usize;
    [imageblockMemoryLengthForDimensions:] = |_: &ComputePipelineState, _: MTLSize| 0usize;
    [supportIndirectCommandBuffers] = ComputePipelineState::supports_indirect;
    [shaderValidation] = |_: &ComputePipelineState| 0isize;
    [requiredThreadsPerThreadgroup] = |_: &ComputePipelineState| MTLSize::default();
    [gpuResourceID] = |pipeline: &ComputePipelineState| MTLResourceID { _impl: pipeline.id };
    [allocatedSize] = |_: &ComputePipelineState| 0usize;
    [reflection] = ComputePipelineState::reflection;
    [functionHandleWithFunction:] = ComputePipelineState::function_handle;
    [functionHandleWithName:] = |pipeline: &ComputePipelineState, name: &Object<Text>| {
        pipeline.handle_of(|linked| linked.name() == name.to_str())
    };
    [newVisibleFunctionTableWithDescriptor:] =
        |pipeline: &ComputePipelineState, descriptor: Option<&Object<VisibleFunctionTableDescriptor>>| {
            VisibleFunctionTable::object(pipeline.settings.function.processor(), descriptor?)
        };
    // Beyond Metal's API.
    [aruminiumProfile] = |pipeline: &ComputePipelineState| {
        profile::of_kernel(&pipeline.pipeline.kernel)
    };
    [newComputePipelineStateWithAdditionalBinaryFunctions:error:] =
        |pipeline: &ComputePipelineState, functions: Option<&Object<List>>, error: ErrorOut| {
            or_error(pipeline.with_more(functions), error)
        };
}

impl Settings {
    /// Those that a descriptor describes.
    pub(super) fn of(fields: ComputePipelineFields) -> Result<Self, Error<LibraryError>> {
        let function = fields.function.ok_or_else(|| {
            let text = "a compute pipeline state needs a function: nil was passed";
            Error::new(LibraryError::FunctionNotFound, text)
        })?;
        let linked = fields.linked.map(|linked| linked.get()).unwrap_or_default();
        Ok(Self {
            function,
            limits: Limits {
                max_threads: fields.max_threads,
                whole_simd_groups: fields.multiple_of_width,
            },
            label: fields.label,
            exported: linked.exported(),
            private: linked.private(),
            call_depth: fields.call_depth,
            adding: fields.adding,
            indirect: fields.indirect,
        })
    }

    /// A hash of all that the code depends on, the same in every process.
    pub(super) fn fingerprint(&self) -> u64 {
        let Self { function, exported, private, call_depth, .. } = self;
        let linked = exported.iter().chain(private).map(|function| function.fingerprint());
        let linked: Vec<u64> = linked.collect();
        fingerprint(&format!("{:x} {linked:x?} {call_depth}", function.fingerprint()))
    }
}

impl ComputePipelineState {
    /// The state that a descriptor describes.
    pub(super) fn described(
        fields: ComputePipelineFields,
    ) -> Result<Strong<Self>, Error<LibraryError>> {
        Self::new(Settings::of(fields)?)
    }

    /// The state of a function's kernel, with the smaller of the limits that were set.
    pub(super) fn new(settings: Settings) -> Result<Strong<Self>, Error<LibraryError>> {
        let linked = [&settings.exported[..], &settings.private].concat();
        let processor = settings.function.processor();
        if let Some(other) = linked.iter().find(|function| function.processor() != processor) {
            let (name, [own, other]) =
                (other.name(), [processor, other.processor()].map(|device| &device.name));
            let text = format!("function '{name}' is of device {other}, and the kernel of {own}");
            return Err(Error::new(LibraryError::Unsupported, text));
        }
        let kernel = settings
            .function
            .kernel(&linked, settings.call_depth)
            .map_err(|text| Error::new(LibraryError::CompileFailure, text))?;
        let (pipeline, id) = (Pipeline::new(kernel, settings.limits, Some(processor)), next_id());
        if settings.indirect {
            allow_indirect(id, &pipeline);
        }
        Ok(Strong::new(Self { pipeline, settings, id }))
    }

    /// Whether indirect commands may use it.
    pub(super) fn supports_indirect(&self) -> bool {
        self.settings.indirect
    }

    /// The handle of an exported function; `None` for others.
    fn function_handle(
        &self,
        function: Option<&Object<Function>>,
    ) -> Option<Strong<FunctionHandle>> {
        let function = function?;
        self.handle_of(|linked| linked.handle == function.handle)
    }

    fn handle_of(&self, wanted: impl Fn(&Function) -> bool) -> Option<Strong<FunctionHandle>> {
        let found = self.settings.exported.iter().find(|exported| wanted(exported));
        found.cloned().map(FunctionHandle::object)
    }

    /// The same pipeline with more linked functions.
    fn with_more(
        &self,
        functions: Option<&Object<List>>,
    ) -> Result<Strong<Self>, Error<LibraryError>> {
        if !self.settings.adding {
            let text = "the pipeline's descriptor has supportAddingBinaryFunctions NO";
            return Err(Error::new(LibraryError::Unsupported, text));
        }
        let mut settings = self.settings.clone();
        settings.exported.extend(functions.into_iter().flat_map(|list| all_functions(list)));
        Self::new(settings)
    }

    pub(super) fn reflection(&self) -> Strong<Reflection> {
        Strong::new(Reflection(Arc::clone(&self.pipeline.kernel)))
    }

    /// Stores the reflection at the address that a message passed.
    pub(super) fn leave_reflection(&self, out: ErrorOut) {
        out.set(self.reflection());
    }
}

impl Drop for ComputePipelineState {
    fn drop(&mut self) {
        if self.settings.indirect {
            forbid_indirect(self.id);
        }
    }
}

/// The arguments of a kernel.
pub(super) struct Reflection(Arc<Kernel>);

soft_class! {
    /// The arguments of a kernel.
    pub(super) class MTLComputePipelineReflection(Reflection): NSObject;
    [bindings] = |this: &Reflection| objects::<Bound>(this.0.arguments());
    [arguments] = |this: &Reflection| objects::<BoundArgument>(this.0.arguments());
}

/// One argument of a kernel, under the names of `MTLBinding`.
pub(super) struct Bound(Argument);

impl Bound {
    /// The struct in an argument buffer, if it is one.
    pub(super) fn layout(&self) -> Option<Arc<Layout>> {
        self.0.layout()
    }
}

/// The same under the older names of `MTLArgument`.
pub(super) struct BoundArgument(pub(super) Argument);

pub(super) trait OfArgument: SoftClass {
    fn of(argument: Argument) -> Self;
}

impl OfArgument for Bound {
    fn of(argument: Argument) -> Self {
        Self(argument)
    }
}

impl OfArgument for BoundArgument {
    fn of(argument: Argument) -> Self {
        Self(argument)
    }
}

/// Objects for arguments.
pub(super) fn objects<P: OfArgument>(arguments: &[Argument]) -> Strong<List> {
    let object =
        |argument: &Argument| -> Retained { Strong::new(P::of(argument.clone())).into_retained() };
    List::object(arguments.iter().map(object))
}

soft_class! {
    /// One argument of a kernel.
    pub(super) class SoftMTLBinding(Bound): NSObject,
        conforms [MTLBufferBinding, MTLThreadgroupBinding, MTLTextureBinding, MTLTensorBinding, MTLBinding];
    [name] = |this: &Bound| Text::object(this.0.name.as_str());
    [type] = |this: &Bound| binding_type(&this.0) as isize;
    [access] = |this: &Bound| access(&this.0);
    [index] = |this: &Bound| this.0.index as usize;
    [isUsed] = |this: &Bound| this.0.used;
    [isArgument] = |_: &Bound| true;
    [bufferAlignment] = |this: &Bound| of_kind(&this.0, ArgumentKind::Buffer, this.0.align as usize);
    [bufferDataSize] = |this: &Bound| of_kind(&this.0, ArgumentKind::Buffer, this.0.size as usize);
    [bufferDataType] = |this: &Bound| buffer_data_type(&this.0);
    [aruminiumHoldsPointers] = |this: &Bound| this.0.pointers;
    [bufferStructType] = |this: &Bound| buffer_struct_type(&this.0);
    [bufferPointerType] = |this: &Bound| buffer_pointer_type(&this.0);
    [threadgroupMemoryAlignment] = |this: &Bound| of_kind(&this.0, ArgumentKind::Threadgroup, this.0.align as usize);
    [threadgroupMemoryDataSize] = |this: &Bound| of_kind(&this.0, ArgumentKind::Threadgroup, this.0.size as usize);
    [textureDataType] = |this: &Bound| texture_data_type(&this.0);
    [textureType] = |this: &Bound| this.0.texture.map_or(0, |texture| texture.kind);
    [arrayLength] = |this: &Bound| array_length(&this.0);
    [isDepthTexture] = |this: &Bound| this.0.texture.is_some_and(|texture| texture.depth);
    [tensorDataType] = |this: &Bound| tensor_data_type(&this.0);
    [indexType] = |this: &Bound| index_type(&this.0);
    [dimensions] = |this: &Bound| this.0.tensor.map(|tensor| Extents::unknown(tensor.rank));
    [description] = |this: &Bound| describe("MTLBinding", &this.0);
}

soft_class! {
    /// One argument of a kernel, under older names.
    pub(super) class MTLArgument(BoundArgument): NSObject;
    [name] = |this: &BoundArgument| Text::object(this.0.name.as_str());
    [type] = |this: &BoundArgument| binding_type(&this.0);
    [access] = |this: &BoundArgument| access(&this.0);
    [index] = |this: &BoundArgument| this.0.index as usize;
    [isActive] = |this: &BoundArgument| this.0.used;
    [bufferStructType] = |this: &BoundArgument| buffer_struct_type(&this.0);
    [bufferPointerType] = |this: &BoundArgument| buffer_pointer_type(&this.0);
    [bufferAlignment] = |this: &BoundArgument| of_kind(&this.0, ArgumentKind::Buffer, this.0.align as usize);
    [bufferDataSize] = |this: &BoundArgument| of_kind(&this.0, ArgumentKind::Buffer, this.0.size as usize);
    [bufferDataType] = |this: &BoundArgument| buffer_data_type(&this.0);
    [threadgroupMemoryAlignment] =
        |this: &BoundArgument| of_kind(&this.0, ArgumentKind::Threadgroup, this.0.align as usize);
    [threadgroupMemoryDataSize] =
        |this: &BoundArgument| of_kind(&this.0, ArgumentKind::Threadgroup, this.0.size as usize);
    [textureDataType] = |this: &BoundArgument| texture_data_type(&this.0);
    [textureType] = |this: &BoundArgument| this.0.texture.map_or(0, |texture| texture.kind);
    [arrayLength] = |this: &BoundArgument| array_length(&this.0);
    [isDepthTexture] =
        |this: &BoundArgument| this.0.texture.is_some_and(|texture| texture.depth);
    [description] = |this: &BoundArgument| describe("MTLArgument", &this.0);
}

/// An argument as it is declared.
fn describe(class: &str, argument: &Argument) -> Strong<Text> {
    let table = match argument.kind {
        ArgumentKind::Buffer => "buffer",
        ArgumentKind::Threadgroup => "threadgroup",
        ArgumentKind::Texture => "texture",
        ArgumentKind::Sampler => "sampler",
    };
    Text::object(format!("<{class}: {} [[{table}({})]]>", argument.name, argument.index))
}

/// A number of `MTLBindingType`, which `MTLArgumentType` shares.
fn binding_type(argument: &Argument) -> usize {
    match argument.kind {
        ArgumentKind::Buffer if argument.function_table => 24,
        ArgumentKind::Buffer if argument.tensor.is_some() => 37,
        ArgumentKind::Buffer => 0,
        ArgumentKind::Threadgroup => 1,
        ArgumentKind::Texture => 2,
        ArgumentKind::Sampler => 3,
    }
}

/// A number of `MTLBindingAccess`.
fn access(argument: &Argument) -> usize {
    match argument.access {
        // The argument is a record of the tensor, which is read.
        _ if argument.tensor.is_some_and(|tensor| tensor.writable) => 1,
        Access::ReadOnly => 0,
        Access::ReadWrite => 1,
        Access::WriteOnly => 2,
    }
}

/// The length of an array of textures; 1 for a single one.
fn array_length(argument: &Argument) -> usize {
    of_kind(argument, ArgumentKind::Texture, argument.length as usize)
}

/// A property that only arguments of one kind have; 0 for others.
fn of_kind(argument: &Argument, kind: ArgumentKind, value: usize) -> usize {
    if argument.kind == kind { value } else { 0 }
}

/// The bits of `MTLPipelineOption` that request reflection, under its newer and older names.
pub(super) const REFLECTION: usize = 1 | 2;

/// `MTLPipelineOptionFailOnBinaryArchiveMiss`.
pub(super) const FAIL_ON_MISS: usize = 4;

/// A function that a message passed.
pub(super) type PassedFunction<'a> = Option<&'a Object<Function>>;
