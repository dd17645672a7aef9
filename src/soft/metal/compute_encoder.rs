//! MTLComputeCommandEncoder: checks arguments, binds them in a table, and records dispatches with a snapshot of it.

use super::absent::COMPUTE_ENCODER;
use super::buffer::Buffer;
use super::counters::{Samples, sample_counters};
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
use crate::soft::kernel::{Argument, ArgumentKind, Kernel, Parameter, limits};
use crate::soft::stream::indirect::{Execution, Span};
use crate::soft::stream::pipeline::must_be_bound;
use crate::soft::stream::recording::{Command, Grid, Object as Recorded, Recording};
use crate::soft::stream::submission::Submission;
use crate::soft::stream::table::{BUFFERS, Entry, ObjectIndex, SAMPLERS, Slot, TEXTURES};
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

/// `MTLResourceUsageWrite`.
const USAGE_WRITE: usize = 2;

/// The most bytes that `setBytes:length:atIndex:` copies.
const BYTES: usize = limits::INLINE_BYTES as usize;
/// The most bytes of threadgroup memory.
const GROUP_MEMORY: usize = limits::THREADGROUP_MEMORY as usize;

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

    [memoryBarrierWithScope:] = |encoder: &ComputeEncoder, _: usize| {
        encoder.barrier("memoryBarrierWithScope:")
    };
    [memoryBarrierWithResources:count:] = |encoder: &ComputeEncoder, _: *const Id, _: usize| {
        encoder.barrier("memoryBarrierWithResources:count:")
    };
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

/// Binds something in the argument table.
#[inline]
fn bind(
    recording: &mut Recording,
    kind: ArgumentKind,
    index: usize,
    slot: Slot,
) -> Result<(), Why> {
    recording.table.bind(kind, index, slot).ok_or_else(|| no_such_index(kind, index))
}

#[cold]
fn no_such_index(kind: ArgumentKind, index: usize) -> Why {
    let (what, count) = match kind {
        ArgumentKind::Buffer => ("buffer", BUFFERS),
        ArgumentKind::Threadgroup => ("threadgroup memory", BUFFERS),
        ArgumentKind::Texture => ("texture", TEXTURES),
        ArgumentKind::Sampler => ("sampler", SAMPLERS),
    };
    format!("{what} index {index}: the highest is {}", count - 1).into()
}

/// The indices of a range, if all of them are below `count`.
fn indices(range: NSRange, what: &str, count: usize) -> Result<std::ops::Range<usize>, String> {
    match range.location.checked_add(range.length) {
        Some(end) if end <= count => Ok(range.location..end),
        _ => Err(format!(
            "{what} range {{{}, {}}}: the highest index is {}",
            range.location,
            range.length,
            count - 1
        )),
    }
}

/// The items at an address that a message passed with a count.
fn items<'a, T>(address: *const T, count: usize, what: &str) -> Result<&'a [T], String> {
    match (count, address.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(format!("NULL was passed for the {what}")),
        // SAFETY: the message passed that many.
        (_, false) => Ok(unsafe { std::slice::from_raw_parts(address, count) }),
    }
}

/// An object in a list that a message passed; `None` for nil.
fn object<'a, P: super::foundation::SoftClass>(
    id: Id,
    what: &str,
) -> Result<Option<&'a Object<P>>, String> {
    if id.is_nil() {
        return Ok(None);
    }
    // SAFETY: the message passed objects, which live until it is answered.
    match unsafe { Object::<P>::from_id(id) } {
        Some(object) => Ok(Some(object)),
        None => Err(format!("the list contains an object that is not a {what}")),
    }
}

#[inline(always)]
fn bind_buffer(
    recording: &mut Recording,
    buffer: Option<&Object<Buffer>>,
    offset: usize,
    index: usize,
) -> Result<(), Why> {
    let slot = match buffer {
        None => Slot::Empty,
        Some(buffer) => {
            let memory = &buffer.memory;
            if offset > memory.length() {
                return Err(beyond(offset, memory.length(), index));
            }
            let object = recording.memory(memory, || is_untracked::<Buffer>(buffer));
            Slot::Buffer { object, offset }
        }
    };
    bind(recording, ArgumentKind::Buffer, index, slot)
}

#[cold]
fn beyond(offset: usize, length: usize, index: usize) -> Why {
    format!(
        "offset {offset} is past the end of the buffer at index {index}, which has {length} bytes"
    )
    .into()
}

/// The index of a buffer from which a number of words is read at an offset.
fn words(
    recording: &mut Recording,
    buffer: Option<&Object<Buffer>>,
    offset: usize,
    count: usize,
) -> Result<ObjectIndex, Why> {
    let buffer = buffer.ok_or("nil was passed for the indirect buffer")?;
    let bytes = 4 * count;
    if buffer.memory.range(offset, bytes).is_none() || !offset.is_multiple_of(4) {
        let length = buffer.memory.length();
        return Err(
            format!("{bytes} bytes at offset {offset} of a buffer of {length} bytes").into()
        );
    }
    Ok(recording.memory(&buffer.memory, || is_untracked::<Buffer>(buffer)))
}

fn bind_table(
    recording: &mut Recording,
    table: Option<&Object<VisibleFunctionTable>>,
    index: usize,
) -> Result<(), Why> {
    let slot = table.map_or(Slot::Empty, |table| Slot::Buffer {
        object: recording.memory(&table.memory, || false),
        offset: 0,
    });
    bind(recording, ArgumentKind::Buffer, index, slot)
}

fn bind_texture(
    recording: &mut Recording,
    texture: Option<&Object<Texture>>,
    index: usize,
) -> Result<(), Why> {
    let slot = texture.map_or(Slot::Empty, |texture| {
        let untracked = || is_untracked::<Texture>(texture);
        Slot::Texture { object: recording.image(&texture.image, untracked) }
    });
    bind(recording, ArgumentKind::Texture, index, slot)
}

fn bind_sampler(
    recording: &mut Recording,
    sampler: Option<&Object<Sampler>>,
    index: usize,
) -> Result<(), Why> {
    let slot = sampler.map_or(Slot::Empty, |sampler| Slot::Sampler(sampler.state));
    bind(recording, ArgumentKind::Sampler, index, slot)
}

#[cold]
fn wrong_length(length: usize, index: usize) -> Why {
    format!("{length} bytes at index {index}: the limit is {BYTES}").into()
}

/// Three numbers that kernels see as `uint`.
#[inline]
fn narrow(sizes: [usize; 3], what: &str) -> Result<[u32; 3], Why> {
    let [x, y, z] = sizes;
    match u32::try_from(x | y | z) {
        Ok(_) => Ok([x as u32, y as u32, z as u32]),
        Err(_) => Err(too_many(sizes, what)),
    }
}

#[cold]
fn too_many([x, y, z]: [usize; 3], what: &str) -> Why {
    format!("{what} ({x}, {y}, {z}): a kernel counts with 32 bits").into()
}

fn sizes(size: MTLSize) -> [usize; 3] {
    [size.width, size.height, size.depth]
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
            let pipeline = match commands.inherits_pipeline {
                true => Some(recording.table.pipeline.ok_or("no compute pipeline state is set")?),
                false => None,
            };
            let inherited = commands.inherits_buffers.then(|| {
                let start = recording.slots.len() as u32;
                recording.slots.extend(recording.table.inherited());
                start
            });
            let residents = (recording.first_resident as u32, recording.residents.len() as u32);
            recording.commands.push(Command::Execute(recording.executions.len() as u32));
            recording.executions.push(Execution {
                commands: object,
                span,
                pipeline,
                inherited,
                residents,
            });
            Ok(())
        });
    }

    /// Without effect in a serial encoder, whose dispatches are in order anyway.
    fn barrier(&self, selector: &str) {
        self.encoder.record(selector, |recording| {
            if self.dispatch_type == CONCURRENT {
                recording.commands.push(Command::Barrier);
            }
            Ok(())
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

/// Records a dispatch. An empty grid, of no threads or threadgroups, is nothing to run and no error, so that a length that
/// happens to be zero needs no special case: not even a threadgroup without threads is an error then.
fn dispatch(
    recording: &mut Recording,
    grid: Grid,
    is_empty: bool,
    group: MTLSize,
) -> Result<(), Why> {
    let Recording { commands, slots, objects, table, residents, first_resident, .. } = recording;
    let index = table.pipeline.ok_or("no compute pipeline state is set")?;
    let Some(Recorded::Pipeline(pipeline)) = objects.get(index as usize) else {
        return Err("no compute pipeline state is set".into());
    };
    let [x, y, z] = sizes(group);
    pipeline.check_group([x, y, z], is_empty)?;
    let start = slots.len();
    let mut missing = false;
    slots.extend(pipeline.takes.iter().map(|take| {
        let slot = table.get(take.entry);
        missing |= take.needed && matches!(slot, Slot::Empty);
        slot
    }));
    let memory = if pipeline.takes_memory { bound_memory(&slots[start..]) } else { 0 };
    let memory = memory + pipeline.kernel.static_threadgroup() as usize;
    let refused = match missing || memory > GROUP_MEMORY {
        true => Err(refused(&pipeline.kernel, &slots[start..], memory)),
        false if pipeline.checks_textures => {
            check_textures(&pipeline.kernel, &slots[start..], objects)
        }
        false => Ok(()),
    };
    if let Err(why) = refused {
        slots.truncate(start);
        return Err(why);
    }
    if pipeline.kernel.reaches_residents() {
        let (start, end) = (*first_resident as u32, residents.len() as u32);
        slots.push(Slot::Residents { start, end });
    }
    if !is_empty {
        let group = [x as u32, y as u32, z as u32];
        commands.push(Command::Dispatch { pipeline: index, slots: start as u32, grid, group });
    }
    Ok(())
}

/// The threadgroup memory that is bound, in bytes.
fn bound_memory(slots: &[Slot]) -> usize {
    let length = |slot: &Slot| match *slot {
        Slot::Threadgroup { length } => length,
        _ => 0,
    };
    slots.iter().map(length).sum()
}

/// What is wrong with the arguments: one is missing, or there is too much threadgroup memory.
#[cold]
fn refused(kernel: &Kernel, slots: &[Slot], memory: usize) -> Why {
    let name = kernel.name();
    let missing = |((_, argument), slot): &((Parameter, &Argument), &Slot)| {
        must_be_bound(argument) && **slot == Slot::Empty
    };
    match kernel.parameters().zip(slots).find(missing) {
        Some(((_, argument), _)) => unbound(name, argument).into(),
        None => format!(
            "kernel '{name}': {memory} bytes of threadgroup memory: there are {GROUP_MEMORY}"
        )
        .into(),
    }
}

/// Checks that the textures are of the kinds that the kernel declares.
fn check_textures(kernel: &Kernel, slots: &[Slot], objects: &[Recorded]) -> Result<(), Why> {
    for ((parameter, argument), slot) in kernel.parameters().zip(slots) {
        let (Some(wanted), Slot::Texture { object }) = (argument.texture, slot) else { continue };
        let Recorded::Image(image) = &objects[*object as usize] else { continue };
        if argument.used {
            let misfit = |why| {
                let (kernel, name) = (kernel.name(), &argument.name);
                let index = parameter.index;
                format!("kernel '{kernel}': argument '{name}', texture({index}): {why}")
            };
            image.fits(wanted, argument.access).map_err(misfit)?;
        }
    }
    Ok(())
}

fn unbound(kernel: &str, argument: &Argument) -> String {
    let Argument { name, kind, index, .. } = argument;
    format!("kernel '{kernel}': nothing is bound for argument '{name}', {}({index})", kind.name())
}
