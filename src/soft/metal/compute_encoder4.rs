//! MTL4ComputeCommandEncoder: dispatches with argument tables, copies and barriers (`specs/metal4.md`).

use super::absent::COMPUTE_ENCODER4;
use super::argument_table::ArgumentTable;
use super::binding::bind;
use super::command_buffer4::CommandBuffer4;
use super::copies::Copies;
use super::counter_heap::CounterHeap;
use super::dispatch::{GROUP_MEMORY, dispatch, narrow, sizes};
use super::encoder::{
    Encoder, HasEncoder, Why, end_encoding, insert_signpost, pop_debug_group, push_debug_group,
};
use super::fence::Fence;
use super::foundation::{
    Label, Labelled, NSObject, Object, Strong, label, lock, set_label, soft_class,
};
use super::indirect::IndirectCommandBuffer;
use super::pipeline::ComputePipelineState;
use super::resource::is_untracked;
use crate::abi::{Id, MTLSize, NSRange};
use crate::soft::kernel::ArgumentKind;
use crate::soft::stream::indirect::Span;
use crate::soft::stream::recording::{Command, Grid, Ordered, Recording};
use crate::soft::stream::submission::Submission;
use crate::soft::stream::table::Slot;
use std::sync::{Arc, Mutex};

/// A compute encoder of Metal 4.
pub(super) struct ComputeEncoder4 {
    encoder: Encoder,
    buffer: Strong<CommandBuffer4>,
    state: Mutex<State>,
}

/// The argument table, its version that the recording has, and the stages of the commands so far.
#[derive(Default)]
struct State {
    table: Option<Strong<ArgumentTable>>,
    version: u64,
    stages: usize,
}

/// `MTLStages`.
const DISPATCH: usize = 1 << 27;
const BLIT: usize = 1 << 28;

impl Labelled for ComputeEncoder4 {
    fn label(&self) -> &Label {
        &self.encoder.label
    }
}

impl HasEncoder for ComputeEncoder4 {
    fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    fn close(&self, _: &mut Recording) -> Result<(), Why> {
        Ok(())
    }
}

soft_class! {
    /// A compute encoder of Metal 4.
    pub(super) class SoftMTL4ComputeCommandEncoder(ComputeEncoder4): NSObject,
        conforms [MTL4ComputeCommandEncoder], lacks COMPUTE_ENCODER4;
    [label] = label::<ComputeEncoder4>;
    [setLabel:] = set_label::<ComputeEncoder4>;
    [commandBuffer] = |encoder: &ComputeEncoder4| encoder.buffer.clone();
    [endEncoding] = end_encoding::<ComputeEncoder4>;
    [insertDebugSignpost:] = insert_signpost::<ComputeEncoder4>;
    [pushDebugGroup:] = push_debug_group::<ComputeEncoder4>;
    [popDebugGroup] = pop_debug_group::<ComputeEncoder4>;
    [stages] = |encoder: &ComputeEncoder4| lock(&encoder.state).stages;

    [setComputePipelineState:] = ComputeEncoder4::set_pipeline;
    [setArgumentTable:] = ComputeEncoder4::set_table;
    [setThreadgroupMemoryLength:atIndex:] = ComputeEncoder4::set_threadgroup_memory;
    [setImageblockWidth:height:] = |_: &ComputeEncoder4, _: usize, _: usize| ();
    [dispatchThreads:threadsPerThreadgroup:] = ComputeEncoder4::dispatch_threads;
    [dispatchThreadgroups:threadsPerThreadgroup:] = ComputeEncoder4::dispatch_groups;
    [dispatchThreadgroupsWithIndirectBuffer:threadsPerThreadgroup:] =
        |encoder: &ComputeEncoder4, address: u64, group: MTLSize| {
            let selector = "dispatchThreadgroupsWithIndirectBuffer:threadsPerThreadgroup:";
            encoder.dispatch(selector, |_| Ok((Grid::GroupsAt(address), false)), group);
        };
    [dispatchThreadsWithIndirectBuffer:] = |encoder: &ComputeEncoder4, address: u64| {
        // The size of a threadgroup is in memory, too.
        let one = MTLSize { width: 1, height: 1, depth: 1 };
        let grid = |_: &mut Recording| Ok((Grid::ThreadsAt(address), false));
        encoder.dispatch("dispatchThreadsWithIndirectBuffer:", grid, one);
    };
    [executeCommandsInBuffer:withRange:] = |
        encoder: &ComputeEncoder4, commands: Option<&Object<IndirectCommandBuffer>>, range: NSRange,
    | {
        let span = Span::Fixed { start: range.location, count: range.length };
        encoder.execute("executeCommandsInBuffer:withRange:", commands, span);
    };
    [executeCommandsInBuffer:indirectBuffer:] = |
        encoder: &ComputeEncoder4, commands: Option<&Object<IndirectCommandBuffer>>, address: u64,
    | encoder.execute("executeCommandsInBuffer:indirectBuffer:", commands, Span::At(address));

    [copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:] = ComputeEncoder4::copy_buffer;
    [fillBuffer:range:value:] = ComputeEncoder4::fill;
    [copyFromTensor:sourceOrigin:sourceDimensions:toTensor:destinationOrigin:destinationDimensions:] =
        ComputeEncoder4::copy_tensor;
    [copyFromBuffer:sourceOffset:sourceBytesPerRow:sourceBytesPerImage:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:] =
        ComputeEncoder4::copy_to_texture;
    [copyFromBuffer:sourceOffset:sourceBytesPerRow:sourceBytesPerImage:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:options:] =
        ComputeEncoder4::copy_to_texture_with;
    [copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toBuffer:destinationOffset:destinationBytesPerRow:destinationBytesPerImage:] =
        ComputeEncoder4::copy_from_texture;
    [copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toBuffer:destinationOffset:destinationBytesPerRow:destinationBytesPerImage:options:] =
        ComputeEncoder4::copy_from_texture_with;
    [copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:] =
        ComputeEncoder4::copy_region;
    [copyFromTexture:sourceSlice:sourceLevel:toTexture:destinationSlice:destinationLevel:sliceCount:levelCount:] =
        ComputeEncoder4::copy_slices;
    [copyFromTexture:toTexture:] = ComputeEncoder4::copy_texture;
    [generateMipmapsForTexture:] = ComputeEncoder4::generate_mipmaps;
    [resetCommandsInBuffer:withRange:] = ComputeEncoder4::reset_commands;
    [copyIndirectCommandBuffer:sourceRange:destination:destinationIndex:] = ComputeEncoder4::copy_commands;
    [optimizeIndirectCommandBuffer:withRange:] =
        |_: &ComputeEncoder4, _: Option<&Object<IndirectCommandBuffer>>, _: NSRange| ();
    [optimizeContentsForGPUAccess:] = |_: &ComputeEncoder4, _: Id| ();
    [optimizeContentsForGPUAccess:slice:level:] = |_: &ComputeEncoder4, _: Id, _: usize, _: usize| ();
    [optimizeContentsForCPUAccess:] = |_: &ComputeEncoder4, _: Id| ();
    [optimizeContentsForCPUAccess:slice:level:] = |_: &ComputeEncoder4, _: Id, _: usize, _: usize| ();

    [barrierAfterQueueStages:beforeStages:visibilityOptions:] =
        |encoder: &ComputeEncoder4, after: usize, before: usize, _: usize| {
            encoder.barrier("barrierAfterQueueStages:beforeStages:visibilityOptions:", after, before);
        };
    [barrierAfterStages:beforeQueueStages:visibilityOptions:] =
        |encoder: &ComputeEncoder4, after: usize, before: usize, _: usize| {
            encoder.barrier("barrierAfterStages:beforeQueueStages:visibilityOptions:", after, before);
        };
    [barrierAfterEncoderStages:beforeEncoderStages:visibilityOptions:] =
        |encoder: &ComputeEncoder4, after: usize, before: usize, _: usize| {
            encoder.barrier("barrierAfterEncoderStages:beforeEncoderStages:visibilityOptions:", after, before);
        };
    [updateFence:afterEncoderStages:] =
        |encoder: &ComputeEncoder4, fence: Option<&Object<Fence>>, _: usize| {
            encoder.pass_fence("updateFence:afterEncoderStages:", fence);
        };
    [waitForFence:beforeEncoderStages:] =
        |encoder: &ComputeEncoder4, fence: Option<&Object<Fence>>, _: usize| {
            encoder.pass_fence("waitForFence:beforeEncoderStages:", fence);
        };
    [writeTimestampWithGranularity:intoHeap:atIndex:] = |
        encoder: &ComputeEncoder4, _: isize, heap: Option<&Object<CounterHeap>>, index: usize,
    | {
        encoder.encoder.record("writeTimestampWithGranularity:intoHeap:atIndex:", |recording| {
            Ok(CounterHeap::record(heap, recording, index)?)
        });
    };
}

impl ComputeEncoder4 {
    pub(super) fn open(
        commands: &Arc<Submission>,
        buffer: Strong<CommandBuffer4>,
    ) -> Option<Strong<Self>> {
        let selector = "computeCommandEncoder";
        let encoder = Encoder::open(commands, selector, "MTL4ComputeCommandEncoder")?;
        encoder.record(selector, |recording| {
            recording.table.clear();
            recording.first_resident = recording.residents.len();
            Ok(())
        });
        Some(Strong::new(Self { encoder, buffer, state: Mutex::default() }))
    }

    fn set_pipeline(&self, pipeline: Option<&Object<ComputePipelineState>>) {
        self.encoder.record("setComputePipelineState:", |recording| {
            let pipeline = pipeline.ok_or("nil was passed for the pipeline state")?;
            recording.table.pipeline = Some(recording.pipeline(&pipeline.pipeline));
            Ok(())
        });
    }

    fn set_table(&self, table: Option<Strong<ArgumentTable>>) {
        self.encoder.record("setArgumentTable:", |recording| {
            recording.table.clear_arguments();
            let mut state = lock(&self.state);
            let old = std::mem::replace(&mut state.table, table);
            state.version = 0;
            drop(state);
            drop(old);
            Ok(())
        });
    }

    /// Metal requires multiples of 16 bytes; other lengths are rounded up.
    fn set_threadgroup_memory(&self, length: usize, index: usize) {
        self.encoder.record("setThreadgroupMemoryLength:atIndex:", |recording| {
            if length > GROUP_MEMORY {
                let why =
                    format!("{length} bytes at index {index}: a threadgroup has {GROUP_MEMORY}");
                return Err(why.into());
            }
            let slot = Slot::Threadgroup { length: length.next_multiple_of(16) };
            bind(recording, ArgumentKind::Threadgroup, index, slot)
        });
    }

    /// Has the arguments of the argument table in the recording's.
    fn take_arguments(&self, recording: &mut Recording) {
        let mut state = lock(&self.state);
        state.stages |= DISPATCH;
        if let Some(table) = state.table.clone() {
            state.version = table.copy_to(&mut recording.table, state.version);
        }
    }

    fn dispatch_threads(&self, threads: MTLSize, group: MTLSize) {
        let grid = |_: &mut Recording| {
            let threads = sizes(threads);
            Ok((Grid::Threads(narrow(threads, "threads")?), threads.contains(&0)))
        };
        self.dispatch("dispatchThreads:threadsPerThreadgroup:", grid, group);
    }

    fn dispatch_groups(&self, groups: MTLSize, group: MTLSize) {
        let grid = |_: &mut Recording| {
            let (groups, sizes) = (sizes(groups), sizes(group));
            let product = |i: usize| groups[i].saturating_mul(sizes[i]);
            let threads = narrow([product(0), product(1), product(2)], "threads in all groups")?;
            Ok((Grid::Threads(threads), groups.contains(&0)))
        };
        self.dispatch("dispatchThreadgroups:threadsPerThreadgroup:", grid, group);
    }

    /// Records a dispatch of a grid, and whether that is empty.
    fn dispatch(
        &self,
        selector: &str,
        grid: impl FnOnce(&mut Recording) -> Result<(Grid, bool), Why>,
        group: MTLSize,
    ) {
        self.encoder.record(selector, |recording| {
            self.take_arguments(recording);
            let (grid, is_empty) = grid(recording)?;
            dispatch(recording, grid, is_empty, group)
        });
    }

    /// Records the execution of indirect commands.
    fn execute(
        &self,
        selector: &str,
        commands: Option<&Object<IndirectCommandBuffer>>,
        span: Span,
    ) {
        self.encoder.record(selector, |recording| {
            self.take_arguments(recording);
            let commands = commands.ok_or("nil was passed for the indirect command buffer")?;
            let untracked = || is_untracked::<IndirectCommandBuffer>(commands);
            let object = recording.memory(&commands.memory, untracked);
            Ok(commands.execute(recording, object, span)?)
        });
    }

    /// A barrier between stages, of which those of compute encoders count: commands before it complete before those after it
    /// begin, in other encoders of the command buffer, too.
    fn barrier(&self, selector: &str, after: usize, before: usize) {
        const WORK: usize = DISPATCH | BLIT;
        self.encoder.record(selector, |recording| {
            if after & WORK != 0 && before & WORK != 0 {
                recording.commands.push(Command::Barrier(Ordered::All));
            }
            Ok(())
        });
    }

    /// Commands run in the order of fences: those before an update, and those after a wait.
    fn pass_fence(&self, selector: &str, fence: Option<&Object<Fence>>) {
        self.encoder.record(selector, |recording| {
            fence.ok_or("nil was passed for the fence")?;
            recording.commands.push(Command::Barrier(Ordered::All));
            Ok(())
        });
    }
}
