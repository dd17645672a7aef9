//! MTLComputePipelineState: a kernel ready to be launched, and what it takes.

use super::commands::Entry;
use super::device::{self, Device, WIDTH};
use super::foundation::{
    ErrorOut, List, NSObject, Object, Retained, SoftClass, Strong, Text, soft_class,
};
use super::function::Function;
use super::kernel::{Access, Argument, ArgumentKind, Kernel};
use super::sampler::next_id;
use super::settings::Settings;
use crate::abi::{Id, MTLResourceID, MTLSize};
use std::sync::Arc;

/// A compute pipeline state.
pub(super) struct ComputePipelineState {
    pub(super) kernel: Arc<Kernel>,
    /// The most threads a threadgroup may have.
    pub(super) max_threads: usize,
    /// Whether threadgroups are to be whole SIMD-groups.
    pub(super) whole_simd_groups: bool,
    /// Where the kernel's arguments take their values from, in their order; of an array, each element.
    pub(super) takes: Box<[Take]>,
    /// Whether one of them is threadgroup memory.
    pub(super) takes_memory: bool,
    /// Whether one of them is a texture that has to be what the kernel takes.
    pub(super) checks_textures: bool,
    label: Option<Strong<Text>>,
    id: u64,
}

/// What a descriptor says of a pipeline's threadgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// The most threads; 0 when nothing was said.
    pub(super) max_threads: usize,
    /// Whether they are whole SIMD-groups.
    pub(super) whole_simd_groups: bool,
}

/// Where an argument takes its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Take {
    pub(super) entry: Entry,
    /// Something must be bound.
    pub(super) needed: bool,
}

soft_class! {
    /// A compute pipeline state.
    pub(super) class SoftMTLComputePipelineState(ComputePipelineState): NSObject,
        conforms [MTLComputePipelineState];
    [label] = |pipeline: &ComputePipelineState| pipeline.label.clone();
    [device] = |_: &ComputePipelineState| -> Strong<Device> { device::shared() };
    [maxTotalThreadsPerThreadgroup] = |pipeline: &ComputePipelineState| pipeline.max_threads;
    [threadExecutionWidth] = |_: &ComputePipelineState| WIDTH;
    [staticThreadgroupMemoryLength] =
        |pipeline: &ComputePipelineState| pipeline.kernel.static_threadgroup;
    [imageblockMemoryLengthForDimensions:] = |_: &ComputePipelineState, _: MTLSize| 0usize;
    [supportIndirectCommandBuffers] = |_: &ComputePipelineState| false;
    [shaderValidation] = |_: &ComputePipelineState| 0isize;
    [requiredThreadsPerThreadgroup] = |_: &ComputePipelineState| MTLSize::default();
    [gpuResourceID] = |pipeline: &ComputePipelineState| MTLResourceID { _impl: pipeline.id };
    [allocatedSize] = |_: &ComputePipelineState| 0usize;
    [reflection] = ComputePipelineState::reflection;
}

impl ComputePipelineState {
    /// The state of a function's kernel, with the smaller of the limits that were set.
    pub(super) fn new(
        function: &Function,
        limits: Limits,
        label: Option<Strong<Text>>,
    ) -> Strong<Self> {
        let kernel = Arc::clone(&function.kernel);
        let most = kernel.max_threads;
        let max_threads = match limits.max_threads {
            0 => most,
            threads => most.min(threads),
        };
        let takes = |argument: &Argument| {
            let (kind, needed) = (argument.kind, argument.must_be_bound());
            let indices = argument.index..argument.index + argument.length;
            indices.map(move |index| Take {
                entry: Entry::of(kind, index).unwrap_or(Entry::NONE),
                needed,
            })
        };
        let any = |kind| kernel.arguments.iter().any(|argument| argument.kind == kind);
        Strong::new(Self {
            max_threads,
            whole_simd_groups: limits.whole_simd_groups,
            takes: kernel.arguments.iter().flat_map(takes).collect(),
            takes_memory: any(ArgumentKind::Threadgroup),
            checks_textures: any(ArgumentKind::Texture) && Settings::get().checks,
            kernel,
            label,
            id: next_id(),
        })
    }

    pub(super) fn reflection(&self) -> Strong<Reflection> {
        Strong::new(Reflection(Arc::clone(&self.kernel)))
    }

    /// Leaves the reflection where a message asked for it.
    pub(super) fn leave_reflection(&self, out: ErrorOut) {
        out.set(self.reflection());
    }
}

/// What a kernel takes.
pub(super) struct Reflection(Arc<Kernel>);

soft_class! {
    /// What a kernel takes.
    pub(super) class MTLComputePipelineReflection(Reflection): NSObject;
    [bindings] = Reflection::list::<Bound>;
    [arguments] = Reflection::list::<BoundArgument>;
}

/// One argument of a kernel, under the names of `MTLBinding`.
pub(super) struct Bound(Argument);

/// The same under the older names of `MTLArgument`.
pub(super) struct BoundArgument(Argument);

trait OfArgument: SoftClass {
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

impl Reflection {
    fn list<P: OfArgument>(&self) -> Strong<List> {
        let object = |argument: &Argument| -> Retained {
            Strong::new(P::of(argument.clone())).into_retained()
        };
        List::object(self.0.arguments.iter().map(object))
    }
}

soft_class! {
    /// One argument of a kernel.
    pub(super) class SoftMTLBinding(Bound): NSObject,
        conforms [MTLBufferBinding, MTLThreadgroupBinding, MTLTextureBinding, MTLBinding];
    [name] = |this: &Bound| Text::object(this.0.name.as_str());
    [type] = |this: &Bound| this.0.binding_type() as isize;
    [access] = |this: &Bound| this.0.access();
    [index] = |this: &Bound| this.0.index;
    [isUsed] = |this: &Bound| this.0.used;
    [isArgument] = |_: &Bound| true;
    [bufferAlignment] = |this: &Bound| this.0.of_kind(ArgumentKind::Buffer, this.0.align);
    [bufferDataSize] = |this: &Bound| this.0.of_kind(ArgumentKind::Buffer, this.0.size);
    [bufferDataType] = |this: &Bound| this.0.of_kind(ArgumentKind::Buffer, this.0.data_type);
    [bufferStructType] = |_: &Bound| Id::NIL;
    [bufferPointerType] = |_: &Bound| Id::NIL;
    [threadgroupMemoryAlignment] = |this: &Bound| this.0.of_kind(ArgumentKind::Threadgroup, this.0.align);
    [threadgroupMemoryDataSize] = |this: &Bound| this.0.of_kind(ArgumentKind::Threadgroup, this.0.size);
    [textureDataType] = |this: &Bound| this.0.of_kind(ArgumentKind::Texture, this.0.data_type);
    [textureType] = |this: &Bound| this.0.texture.map_or(0, |texture| texture.kind);
    [arrayLength] = |this: &Bound| this.0.array_length();
    [isDepthTexture] = |this: &Bound| this.0.texture.is_some_and(|texture| texture.depth);
}

soft_class! {
    /// One argument of a kernel, under older names.
    pub(super) class MTLArgument(BoundArgument): NSObject;
    [name] = |this: &BoundArgument| Text::object(this.0.name.as_str());
    [type] = |this: &BoundArgument| this.0.binding_type();
    [access] = |this: &BoundArgument| this.0.access();
    [index] = |this: &BoundArgument| this.0.index;
    [isActive] = |this: &BoundArgument| this.0.used;
    [bufferAlignment] = |this: &BoundArgument| this.0.of_kind(ArgumentKind::Buffer, this.0.align);
    [bufferDataSize] = |this: &BoundArgument| this.0.of_kind(ArgumentKind::Buffer, this.0.size);
    [bufferDataType] = |this: &BoundArgument| this.0.of_kind(ArgumentKind::Buffer, this.0.data_type);
    [threadgroupMemoryAlignment] =
        |this: &BoundArgument| this.0.of_kind(ArgumentKind::Threadgroup, this.0.align);
    [threadgroupMemoryDataSize] =
        |this: &BoundArgument| this.0.of_kind(ArgumentKind::Threadgroup, this.0.size);
    [textureDataType] = |this: &BoundArgument| this.0.of_kind(ArgumentKind::Texture, this.0.data_type);
    [textureType] = |this: &BoundArgument| this.0.texture.map_or(0, |texture| texture.kind);
    [arrayLength] = |this: &BoundArgument| this.0.array_length();
    [isDepthTexture] =
        |this: &BoundArgument| this.0.texture.is_some_and(|texture| texture.depth);
}

impl Argument {
    /// Of `MTLBindingType`, which begins as `MTLArgumentType` does.
    fn binding_type(&self) -> usize {
        match self.kind {
            ArgumentKind::Buffer => 0,
            ArgumentKind::Threadgroup => 1,
            ArgumentKind::Texture => 2,
            ArgumentKind::Sampler => 3,
        }
    }

    /// Of `MTLBindingAccess`.
    fn access(&self) -> usize {
        match self.access {
            Access::ReadOnly => 0,
            Access::ReadWrite => 1,
            Access::WriteOnly => 2,
        }
    }

    /// 1 for what is no array.
    fn array_length(&self) -> usize {
        self.of_kind(ArgumentKind::Texture, self.length)
    }

    fn of_kind(&self, kind: ArgumentKind, value: usize) -> usize {
        if self.kind == kind { value } else { 0 }
    }
}

/// Of `MTLPipelineOption`: what asks for reflection, in its newer and older names.
pub(super) const REFLECTION: usize = 1 | 2;

/// An object that is a function; a message passed it.
pub(super) type PassedFunction<'a> = Option<&'a Object<Function>>;
