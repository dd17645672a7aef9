//! MTLComputeCommandEncoder: its messages bind arguments and record dispatches.

use super::absent::COMPUTE_ENCODER;
use super::binding::{
    BYTES, beyond, bind, bind_buffer, bind_sampler, bind_table, bind_texture, indices, items,
    no_such_index, object, words, wrong_length,
};
use super::buffer::Buffer;
use super::counters::{Samples, sample_counters};
use super::dispatch::{GROUP_MEMORY, dispatch, narrow, sizes};
use super::encoder::{Encoder, HasEncoder, Why, encoder_class};
use super::foundation::{NSObject, Object, Strong};
use super::function_table::VisibleFunctionTable;
use super::heap::Heap;
use super::indirect::IndirectCommandBuffer;
use super::pipeline::ComputePipelineState;
use super::residents;
use super::resource::is_untracked;
use super::sampler::Sampler;
use super::texture::Texture;
use crate::abi::{Id, MTLRegion, MTLSize, NSRange};
use crate::soft::kernel::ArgumentKind;
use crate::soft::stream::indirect::Span;
use crate::soft::stream::recording::{Command, Grid, Ordered, Recording};
use crate::soft::stream::submission::Submission;
use crate::soft::stream::table::{BUFFERS, Entry, SAMPLERS, Slot, TEXTURES};
use std::ffi::c_void;
use std::sync::Arc;

/// A compute encoder.
pub(super) struct ComputeEncoder {
    encoder: Encoder,
    dispatch_type: usize,
    /// The samples of counters that it takes at its end.
    samples: Samples,
}

/// `MTLDispatchTypeConcurrent`.
const CONCURRENT: usize = 1;
/// `MTLBarrierScopeBuffers`.
const SCOPE_BUFFERS: usize = 1;

/// `MTLResourceUsageWrite`.
const USAGE_WRITE: usize = 2;

encoder_class! {
    /// A compute encoder.
    class SoftMTLComputeCommandEncoder(ComputeEncoder): MTLComputeCommandEncoder, lacks COMPUTE_ENCODER;
    [dispatchType] = |encoder: &ComputeEncoder| encoder.dispatch_type;
    [setComputePipelineState:] = ComputeEncoder::set_pipeline;

    [setBuffer:offset:atIndex:] = ComputeEncoder::set_buffer;
    [aruminiumSetBuffer:offset:length:atIndex:] = ComputeEncoder::set_part;
    [setBufferOffset:atIndex:] = ComputeEncoder::set_buffer_offset;
    [setBuffers:offsets:withRange:] = ComputeEncoder::set_buffers;
    [setBytes:length:atIndex:] = ComputeEncoder::set_bytes;
    // The strides are for `[[stage_in]]`, which is refused when a kernel with it is compiled.
    [setBuffer:offset:attributeStride:atIndex:] = |
        encoder: &ComputeEncoder, buffer: Option<&Object<Buffer>>, offset: usize, _: usize, index: usize,
    | encoder.set_buffer(buffer, offset, index);
    [setBuffers:offsets:attributeStrides:withRange:] = |
        encoder: &ComputeEncoder, buffers: *const Id, offsets: *const usize, _: *const usize, range: NSRange,
    | encoder.set_buffers(buffers, offsets, range);
    [setBufferOffset:attributeStride:atIndex:] =
        |encoder: &ComputeEncoder, offset: usize, _: usize, index: usize| {
            encoder.set_buffer_offset(offset, index)
        };
    [setBytes:length:attributeStride:atIndex:] = |
        encoder: &ComputeEncoder, bytes: *const c_void, length: usize, _: usize, index: usize,
    | encoder.set_bytes(bytes, length, index);
    [setVisibleFunctionTable:atBufferIndex:] = |
        encoder: &ComputeEncoder, table: Option<&Object<VisibleFunctionTable>>, index: usize,
    | {
        encoder.encoder.record("setVisibleFunctionTable:atBufferIndex:", |recording| {
            bind_table(recording, table, index)
        });
    };
    [setVisibleFunctionTables:withBufferRange:] = ComputeEncoder::set_tables;
    [setTexture:atIndex:] = ComputeEncoder::set_texture;
    [setTextures:withRange:] = ComputeEncoder::set_textures;
    [setSamplerState:atIndex:] = ComputeEncoder::set_sampler;
    [setSamplerStates:withRange:] = ComputeEncoder::set_samplers;
    [setSamplerState:lodMinClamp:lodMaxClamp:atIndex:] =
        |encoder: &ComputeEncoder, sampler: Option<&Object<Sampler>>, least: f32, most: f32,
         index: usize| {
            let clamped = sampler.map(|sampler| sampler.clamped(least, most));
            encoder.set_sampler(clamped.as_deref(), index)
        };
    [setSamplerStates:lodMinClamps:lodMaxClamps:withRange:] = ComputeEncoder::set_clamped_samplers;
    [setThreadgroupMemoryLength:atIndex:] = ComputeEncoder::set_threadgroup_memory;
    [setImageblockWidth:height:] = |_: &ComputeEncoder, _: usize, _: usize| ();
    [setStageInRegion:] = |_: &ComputeEncoder, _: MTLRegion| ();

    [dispatchThreads:threadsPerThreadgroup:] = ComputeEncoder::dispatch_threads;
    [dispatchThreadgroups:threadsPerThreadgroup:] = ComputeEncoder::dispatch_groups;
    [dispatchThreadgroupsWithIndirectBuffer:indirectBufferOffset:threadsPerThreadgroup:] =
        ComputeEncoder::dispatch_indirect;

    [executeCommandsInBuffer:withRange:] = |
        encoder: &ComputeEncoder, commands: Option<&Object<IndirectCommandBuffer>>, range: NSRange,
    | {
        encoder.execute("executeCommandsInBuffer:withRange:", commands, |_| {
            Ok(Span::Fixed { start: range.location, count: range.length })
        });
    };
    [executeCommandsInBuffer:indirectBuffer:indirectBufferOffset:] = |
        encoder: &ComputeEncoder, commands: Option<&Object<IndirectCommandBuffer>>,
        buffer: Option<&Object<Buffer>>, offset: usize,
    | {
        let selector = "executeCommandsInBuffer:indirectBuffer:indirectBufferOffset:";
        encoder.execute(selector, commands, |recording| {
            let object = words(recording, buffer, offset, 2)?;
            Ok(Span::Indirect { object, offset })
        });
    };

    [memoryBarrierWithScope:] = |encoder: &ComputeEncoder, scope: usize| {
        encoder.barrier("memoryBarrierWithScope:", |_| {
            Ok(if scope & SCOPE_BUFFERS != 0 { Ordered::All } else { Ordered::Textures })
        })
    };
    [memoryBarrierWithResources:count:] = ComputeEncoder::barrier_for;
    [sampleCountersInBuffer:atSampleIndex:withBarrier:] = sample_counters::<ComputeEncoder>;
    [useResource:usage:] = |encoder: &ComputeEncoder, resource: Id, usage: usize| {
        encoder.use_resources("useResource:usage:", &raw const resource, 1, usage)
    };
    [useResources:count:usage:] =
        |encoder: &ComputeEncoder, resources: *const Id, count: usize, usage: usize| {
            encoder.use_resources("useResources:count:usage:", resources, count, usage)
        };
    [useHeap:] = |encoder: &ComputeEncoder, heap: Option<&Object<Heap>>| {
        encoder.use_heaps("useHeap:", || Ok(heap.into_iter().collect()))
    };
    [useHeaps:count:] = |encoder: &ComputeEncoder, heaps: *const Id, count: usize| {
        encoder.use_heaps("useHeaps:count:", || {
            let heaps = items(heaps, count, "heaps")?;
            let found: Result<Vec<_>, String> =
                heaps.iter().map(|heap| object::<Heap>(*heap, "heap")).collect();
            Ok(found?.into_iter().flatten().collect())
        })
    };
}

impl HasEncoder for ComputeEncoder {
    fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    fn close(&self, recording: &mut Recording) -> Result<(), Why> {
        if self.dispatch_type == CONCURRENT {
            recording.commands.push(Command::Serial);
        }
        self.samples.record(recording)
    }
}

impl ComputeEncoder {
    pub(super) fn open(
        commands: &Arc<Submission>,
        dispatch_type: usize,
        (first, samples): (Samples, Samples),
    ) -> Option<Strong<Self>> {
        let encoder = Encoder::open(commands, "computeCommandEncoder", "MTLComputeCommandEncoder")?;
        encoder.record("computeCommandEncoder", |recording| {
            first.record(recording)?;
            recording.table.clear();
            recording.first_resident = recording.residents.len();
            if dispatch_type == CONCURRENT {
                recording.commands.push(Command::Concurrent);
            }
            Ok(())
        });
        Some(Strong::new(Self { encoder, dispatch_type, samples }))
    }

    fn set_pipeline(&self, pipeline: Option<&Object<ComputePipelineState>>) {
        self.encoder.record("setComputePipelineState:", |recording| {
            let pipeline = pipeline.ok_or("nil was passed for the pipeline state")?;
            recording.table.pipeline = Some(recording.pipeline(&pipeline.pipeline));
            Ok(())
        });
    }

    fn set_buffer(&self, buffer: Option<&Object<Buffer>>, offset: usize, index: usize) {
        self.encoder.record("setBuffer:offset:atIndex:", |recording| {
            bind_buffer(recording, buffer, offset, index)
        });
    }

    /// Binds a range of a buffer's bytes: past its end the kernel has no access.
    fn set_part(
        &self,
        buffer: Option<&Object<Buffer>>,
        offset: usize,
        length: usize,
        index: usize,
    ) {
        self.encoder.record("aruminiumSetBuffer:offset:length:atIndex:", |recording| {
            let Some(buffer) = buffer else {
                return bind(recording, ArgumentKind::Buffer, index, Slot::Empty);
            };
            let end = offset.saturating_add(length);
            if end > buffer.memory.length() {
                return Err(beyond(end, buffer.memory.length(), index));
            }
            let object = recording.memory(&buffer.memory, || is_untracked::<Buffer>(buffer));
            let slot = recording.part(object, offset..end);
            bind(recording, ArgumentKind::Buffer, index, slot)
        });
    }

    fn set_buffer_offset(&self, new: usize, index: usize) {
        self.encoder.record("setBufferOffset:atIndex:", |recording| {
            let entry = Entry::of(ArgumentKind::Buffer, index)
                .ok_or_else(|| no_such_index(ArgumentKind::Buffer, index))?;
            let slot = match recording.table.get(entry) {
                Slot::Buffer { object, .. } => {
                    let length = recording.length_at(object);
                    if new > length {
                        return Err(beyond(new, length, index));
                    }
                    Slot::Buffer { object, offset: new }
                }
                // A range keeps its end.
                Slot::Part { object, part } => {
                    let end = recording.parts[part as usize].end;
                    if new > end {
                        return Err(beyond(new, end, index));
                    }
                    recording.part(object, new..end)
                }
                _ => return Err(format!("no buffer is bound at index {index}").into()),
            };
            bind(recording, ArgumentKind::Buffer, index, slot)
        });
    }

    fn set_buffers(&self, buffers: *const Id, offsets: *const usize, range: NSRange) {
        self.encoder.record("setBuffers:offsets:withRange:", |recording| {
            let indices = indices(range, "buffer", BUFFERS)?;
            let buffers = items(buffers, range.length, "buffers")?;
            let offsets = items(offsets, range.length, "offsets")?;
            for ((index, buffer), offset) in indices.zip(buffers).zip(offsets) {
                bind_buffer(recording, object(*buffer, "buffer")?, *offset, index)?;
            }
            Ok(())
        });
    }

    fn set_bytes(&self, bytes: *const c_void, length: usize, index: usize) {
        self.encoder.record("setBytes:length:atIndex:", |recording| {
            if length > BYTES {
                return Err(wrong_length(length, index));
            }
            if bytes.is_null() && length > 0 {
                bind(recording, ArgumentKind::Buffer, index, Slot::Empty)?;
                return Err(format!("NULL was passed for the bytes at index {index}").into());
            }
            // Nothing to copy is fine, as on Apple's Metal; a kernel that reads it has a fault.
            let bytes = match length {
                0 => &[],
                // SAFETY: the message passed that many bytes.
                _ => unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) },
            };
            let slot = recording.push(bytes);
            bind(recording, ArgumentKind::Buffer, index, slot)
        });
    }

    fn set_tables(&self, tables: *const Id, range: NSRange) {
        self.encoder.record("setVisibleFunctionTables:withBufferRange:", |recording| {
            let indices = indices(range, "buffer", BUFFERS)?;
            for (index, table) in indices.zip(items(tables, range.length, "tables")?) {
                bind_table(recording, object(*table, "table of functions")?, index)?;
            }
            Ok(())
        });
    }

    fn set_texture(&self, texture: Option<&Object<Texture>>, index: usize) {
        self.encoder
            .record("setTexture:atIndex:", |recording| bind_texture(recording, texture, index));
    }

    fn set_textures(&self, textures: *const Id, range: NSRange) {
        self.encoder.record("setTextures:withRange:", |recording| {
            let indices = indices(range, "texture", TEXTURES)?;
            for (index, texture) in indices.zip(items(textures, range.length, "textures")?) {
                bind_texture(recording, object(*texture, "texture")?, index)?;
            }
            Ok(())
        });
    }

    fn set_sampler(&self, sampler: Option<&Object<Sampler>>, index: usize) {
        self.encoder.record("setSamplerState:atIndex:", |recording| {
            bind_sampler(recording, sampler, index)
        });
    }

    fn set_samplers(&self, samplers: *const Id, range: NSRange) {
        self.encoder.record("setSamplerStates:withRange:", |recording| {
            let indices = indices(range, "sampler", SAMPLERS)?;
            for (index, sampler) in indices.zip(items(samplers, range.length, "samplers")?) {
                bind_sampler(recording, object(*sampler, "sampler state")?, index)?;
            }
            Ok(())
        });
    }

    fn set_clamped_samplers(
        &self,
        samplers: *const Id,
        least: *const f32,
        most: *const f32,
        range: NSRange,
    ) {
        self.encoder.record("setSamplerStates:lodMinClamps:lodMaxClamps:withRange:", |recording| {
            let indices = indices(range, "sampler", SAMPLERS)?;
            let samplers = items(samplers, range.length, "samplers")?;
            let clamps = items(least, range.length, "clamps")?.iter();
            let clamps = clamps.zip(items(most, range.length, "clamps")?);
            for ((index, sampler), (least, most)) in indices.zip(samplers).zip(clamps) {
                let sampler = object::<Sampler>(*sampler, "sampler state")?;
                let clamped = sampler.map(|sampler| sampler.clamped(*least, *most));
                bind_sampler(recording, clamped.as_deref(), index)?;
            }
            Ok(())
        });
    }

    /// Metal requires multiples of 16 bytes; other lengths are rounded up.
    fn set_threadgroup_memory(&self, length: usize, index: usize) {
        self.encoder.record("setThreadgroupMemoryLength:atIndex:", |recording| {
            if length > GROUP_MEMORY {
                return Err(format!(
                    "{length} bytes at index {index}: a threadgroup has {GROUP_MEMORY}"
                )
                .into());
            }
            let slot = Slot::Threadgroup { length: length.next_multiple_of(16) };
            bind(recording, ArgumentKind::Threadgroup, index, slot)
        });
    }

    fn dispatch_threads(&self, threads: MTLSize, group: MTLSize) {
        self.encoder.record("dispatchThreads:threadsPerThreadgroup:", |recording| {
            let grid = Grid::Threads(narrow(sizes(threads), "threads")?);
            dispatch(recording, grid, sizes(threads).contains(&0), group)
        });
    }

    fn dispatch_groups(&self, groups: MTLSize, group: MTLSize) {
        self.encoder.record("dispatchThreadgroups:threadsPerThreadgroup:", |recording| {
            let (groups, sizes) = (sizes(groups), sizes(group));
            let product = |i: usize| groups[i].saturating_mul(sizes[i]);
            let threads = narrow([product(0), product(1), product(2)], "threads in all groups")?;
            dispatch(recording, Grid::Threads(threads), groups.contains(&0), group)
        });
    }

    fn dispatch_indirect(&self, buffer: Option<&Object<Buffer>>, offset: usize, group: MTLSize) {
        let selector =
            "dispatchThreadgroupsWithIndirectBuffer:indirectBufferOffset:threadsPerThreadgroup:";
        self.encoder.record(selector, |recording| {
            let object = words(recording, buffer, offset, 3)?;
            dispatch(recording, Grid::Indirect { object, offset }, false, group)
        });
    }

    /// Records the execution of indirect commands.
    fn execute(
        &self,
        selector: &str,
        commands: Option<&Object<IndirectCommandBuffer>>,
        span: impl FnOnce(&mut Recording) -> Result<Span, Why>,
    ) {
        self.encoder.record(selector, |recording| {
            let commands = commands.ok_or("nil was passed for the indirect command buffer")?;
            let span = span(recording)?;
            let untracked = || is_untracked::<IndirectCommandBuffer>(commands);
            let object = recording.memory(&commands.memory, untracked);
            Ok(commands.execute(recording, object, span)?)
        });
    }

    /// Without effect in a serial encoder, whose dispatches are in order anyway.
    fn barrier(
        &self,
        selector: &str,
        orders: impl FnOnce(&mut Recording) -> Result<Ordered, String>,
    ) {
        self.encoder.record(selector, |recording| {
            if self.dispatch_type == CONCURRENT {
                let ordered = orders(recording)?;
                recording.commands.push(Command::Barrier(ordered));
            }
            Ok(())
        });
    }

    fn barrier_for(&self, resources: *const Id, count: usize) {
        let selector = "memoryBarrierWithResources:count:";
        self.barrier(selector, |recording| {
            let start = recording.ordered.len();
            for resource in items(resources, count, "resources")? {
                let objects = residents::objects(recording, *resource)?;
                recording.ordered.extend(objects);
            }
            let count = recording.ordered.len() - start;
            Ok(Ordered::Resources(start as u32, count as u32))
        });
    }

    fn use_resources(&self, selector: &str, resources: *const Id, count: usize, usage: usize) {
        self.encoder.record(selector, |recording| {
            for resource in items(resources, count, "resources")? {
                for index in residents::objects(recording, *resource)? {
                    recording.residents.push((index, usage & USAGE_WRITE != 0));
                }
            }
            Ok(())
        });
    }

    /// Kernels may write to the resources of a heap, as on GPUs, though Metal's header calls them read-only.
    fn use_heaps<'a>(
        &self,
        selector: &str,
        heaps: impl FnOnce() -> Result<Vec<&'a Object<Heap>>, String>,
    ) {
        self.encoder.record(selector, |recording| {
            for heap in heaps()? {
                for index in residents::of_heap(recording, heap) {
                    recording.residents.push((index, true));
                }
            }
            Ok(())
        });
    }
}
