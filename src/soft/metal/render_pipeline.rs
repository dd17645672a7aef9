//! MTLRenderPipelineState: the arguments of the functions that would render. Nothing here draws.
//!
//! Programs make such a state when they start, or to inspect the arguments of its functions. A pass that uses it is an
//! error of its command buffer (`render_encoder.rs`).

use super::absent::RENDER_PIPELINE;
use super::compiler::{FUNCTION_FRAGMENT, FUNCTION_VERTEX};
use super::errors::{Error, LibraryError};
use super::foundation::{
    ErrorOut, List, NSObject, Object, Strong, Text, device, next_id, of_device, soft_class,
};
use super::function::Function;
use super::pipeline::{Bound, BoundArgument, FAIL_ON_MISS, REFLECTION, objects};
use super::render::RenderPipelineDescriptor;
use crate::abi::{MTLResourceID, MTLSize};
use crate::soft::kernel::{Processor, limits};

/// A render pipeline state.
pub(super) struct RenderPipelineState {
    label: Option<Strong<Text>>,
    processor: &'static Processor,
    reflection: Strong<RenderReflection>,
    indirect: bool,
    id: u64,
}

of_device! { RenderPipelineState, pipeline => pipeline.processor; }

soft_class! {
    /// A render pipeline state.
    pub(super) class SoftMTLRenderPipelineState(RenderPipelineState): NSObject,
        conforms [MTLRenderPipelineState], lacks RENDER_PIPELINE;
    [label] = |pipeline: &RenderPipelineState| pipeline.label.clone();
    [device] = device::<RenderPipelineState>;
    [reflection] = |pipeline: &RenderPipelineState| pipeline.reflection.clone();
    [gpuResourceID] = |pipeline: &RenderPipelineState| MTLResourceID { _impl: pipeline.id };
    [supportIndirectCommandBuffers] = |pipeline: &RenderPipelineState| pipeline.indirect;
    [allocatedSize] = |_: &RenderPipelineState| 0usize;
    [shaderValidation] = |_: &RenderPipelineState| 0isize;
    [imageblockSampleLength] = |_: &RenderPipelineState| 0usize;
    [imageblockMemoryLengthForDimensions:] = |_: &RenderPipelineState, _: MTLSize| 0usize;
    [threadgroupSizeMatchesTileSize] = |_: &RenderPipelineState| false;
    [maxTotalThreadsPerThreadgroup] = |_: &RenderPipelineState| limits::THREADS as usize;
    // There are no functions for tiles, objects and meshes.
    [maxTotalThreadgroupsPerMeshGrid] = |_: &RenderPipelineState| 0usize;
    [maxTotalThreadsPerMeshThreadgroup] = |_: &RenderPipelineState| 0usize;
    [maxTotalThreadsPerObjectThreadgroup] = |_: &RenderPipelineState| 0usize;
    [meshThreadExecutionWidth] = |_: &RenderPipelineState| 0usize;
    [objectThreadExecutionWidth] = |_: &RenderPipelineState| 0usize;
    [requiredThreadsPerMeshThreadgroup] = |_: &RenderPipelineState| MTLSize::default();
    [requiredThreadsPerObjectThreadgroup] = |_: &RenderPipelineState| MTLSize::default();
    [requiredThreadsPerTileThreadgroup] = |_: &RenderPipelineState| MTLSize::default();
}

/// The arguments of the functions of a render pipeline state.
#[derive(Default)]
pub(super) struct RenderReflection {
    vertex: Option<Strong<Function>>,
    fragment: Option<Strong<Function>>,
}

soft_class! {
    /// The arguments of the functions of a render pipeline state.
    pub(super) class MTLRenderPipelineReflection(RenderReflection): NSObject;
    init [init] = RenderReflection::default;
    [vertexBindings] = |this: &RenderReflection| bindings(&this.vertex);
    [fragmentBindings] = |this: &RenderReflection| bindings(&this.fragment);
    [vertexArguments] = |this: &RenderReflection| arguments(&this.vertex);
    [fragmentArguments] = |this: &RenderReflection| arguments(&this.fragment);
    [tileBindings] = |_: &RenderReflection| bindings(&None);
    [objectBindings] = |_: &RenderReflection| bindings(&None);
    [meshBindings] = |_: &RenderReflection| bindings(&None);
    [tileArguments] = |_: &RenderReflection| arguments(&None);
}

fn bindings(function: &Option<Strong<Function>>) -> Strong<List> {
    objects::<Bound>(function.as_ref().map_or(&[], |function| function.arguments()))
}

fn arguments(function: &Option<Strong<Function>>) -> Strong<List> {
    objects::<BoundArgument>(function.as_ref().map_or(&[], |function| function.arguments()))
}

/// A pipeline state and its reflection, or an error.
pub(super) type Made =
    Result<(Strong<RenderPipelineState>, Strong<RenderReflection>), Error<LibraryError>>;

impl RenderPipelineState {
    /// The state that a descriptor describes.
    pub(super) fn new(
        processor: &'static Processor,
        descriptor: Option<&Object<RenderPipelineDescriptor>>,
        options: usize,
    ) -> Made {
        let refused = |text: String| Err(Error::new(LibraryError::Unsupported, text));
        let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
        if fields.vertex_function.is_none() {
            return refused("a render pipeline state needs a vertex function: it is nil".into());
        }
        let stages = [
            (&fields.vertex_function, FUNCTION_VERTEX, "vertex"),
            (&fields.fragment_function, FUNCTION_FRAGMENT, "fragment"),
        ];
        for (function, kind, stage) in stages {
            let Some(function) = function else { continue };
            let name = function.name();
            if function.kind != kind {
                return refused(format!("function '{name}' is not a {stage} function"));
            }
            if function.processor() != processor {
                let text =
                    format!("function '{name}' is of another device than {}", processor.name);
                return refused(text);
            }
        }
        if options & FAIL_ON_MISS != 0 {
            let text = "binary archives have no render pipelines".to_owned();
            return Err(Error::new(LibraryError::FunctionNotFound, text));
        }
        let reflection = Strong::new(RenderReflection {
            vertex: fields.vertex_function,
            fragment: fields.fragment_function,
        });
        let state = Strong::new(Self {
            label: fields.label,
            processor,
            reflection: reflection.clone(),
            indirect: fields.support_indirect_command_buffers,
            id: next_id(),
        });
        Ok((state, reflection))
    }
}

/// Passes a pipeline state on, and stores its reflection at the address that a message passed, if the options request it.
pub(super) fn with_reflection(
    made: Made,
    options: usize,
    reflection: ErrorOut,
) -> Result<Strong<RenderPipelineState>, Error<LibraryError>> {
    made.map(|(state, arguments)| {
        if options & REFLECTION != 0 {
            reflection.set(arguments);
        }
        state
    })
}
