//! MTLIndirectCommandBuffer and MTLIndirectComputeCommand: commands in memory (`specs/commands.md`).

use super::absent::INDIRECT_COMMANDS;
use super::buffer::Buffer;
use super::descriptors::{IndirectCommandBufferDescriptor, IndirectCommandBufferFields};
use super::foundation::{Label, NSObject, Object, Strong, soft_class};
use super::pipeline::ComputePipelineState;
use super::resource::{HasResource, Options, Resource, resource_class};
use crate::abi::{MTLRegion, MTLResourceID, MTLSize, NSRange};
use crate::soft::kernel::{Processor, limits};
use crate::soft::stream::indirect::{Execution, RECORD, Record, Span, action};
use crate::soft::stream::memory::Memory;
use crate::soft::stream::recording::{Command, Recording};
use crate::soft::stream::table::{BUFFERS, ObjectIndex};
use std::sync::Arc;

/// An indirect command buffer.
pub(super) struct IndirectCommandBuffer {
    pub(super) memory: Arc<Memory>,
    pub(super) count: usize,
    /// Whether the commands use the pipeline and the buffers of the encoder that executes them.
    inherits_pipeline: bool,
    inherits_buffers: bool,
    /// The most buffers that a command has.
    buffers: usize,
    resource: Resource,
}

resource_class! {
    /// An indirect command buffer.
    class SoftMTLIndirectCommandBuffer(IndirectCommandBuffer): MTLIndirectCommandBuffer, lacks INDIRECT_COMMANDS;
    [size] = |commands: &IndirectCommandBuffer| commands.count;
    [gpuResourceID] = |commands: &IndirectCommandBuffer| MTLResourceID { _impl: commands.memory.address() };
    [indirectComputeCommandAtIndex:] = IndirectCommandBuffer::command;
    [resetWithRange:] = IndirectCommandBuffer::reset;
}

impl HasResource for IndirectCommandBuffer {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    fn label(&self) -> &Label {
        &self.memory.label
    }

    fn processor(&self) -> Option<&'static Processor> {
        self.memory.processor()
    }

    fn allocated_size(&self) -> usize {
        self.memory.length()
    }
}

/// `MTLIndirectCommandTypeConcurrentDispatch` and `MTLIndirectCommandTypeConcurrentDispatchThreads`.
const COMPUTE: usize = 1 << 5 | 1 << 6;

/// The most commands that a buffer has, as in Metal.
const MAX: usize = 16384;

/// Reports a mistake: there is no command buffer that could.
fn report(class: &str, selector: &str, label: &Label, why: &str) {
    eprintln!("aruminium: -[{class} {selector}]{}: {why}", label.after_noun());
}

impl IndirectCommandBuffer {
    /// A buffer of commands that do nothing; `None` if they are not all of compute, or too many.
    pub(super) fn object(
        processor: &'static Processor,
        descriptor: Option<&Object<IndirectCommandBufferDescriptor>>,
        count: usize,
        options: usize,
    ) -> Option<Strong<Self>> {
        let fields: IndirectCommandBufferFields = descriptor?.get();
        let options = Options(options);
        let possible = fields.types & !COMPUTE == 0
            && fields.types != 0
            && (1..=MAX).contains(&count)
            && fields.kernel_buffers <= BUFFERS
            && options.are_known();
        let memory = possible.then(|| Memory::new(processor, count * RECORD, false))??;
        Some(Strong::new(Self {
            memory,
            count,
            inherits_pipeline: fields.inherit_pipeline,
            inherits_buffers: fields.inherit_buffers,
            buffers: fields.kernel_buffers,
            resource: Resource::new(options, None),
        }))
    }

    /// The command of an index; `None` past the end.
    fn command(&self, index: usize) -> Option<Strong<IndirectComputeCommand>> {
        if index >= self.count {
            let why = format!("index {index}: there are {} commands", self.count);
            let selector = "indirectComputeCommandAtIndex:";
            report("MTLIndirectCommandBuffer", selector, &self.memory.label, &why);
            return None;
        }
        let memory = Arc::clone(&self.memory);
        Some(Strong::new(IndirectComputeCommand { memory, index, buffers: self.buffers }))
    }

    /// The bytes of a range of commands; `None` past the end.
    pub(super) fn bytes(&self, range: NSRange) -> Option<std::ops::Range<usize>> {
        let end = range.location.checked_add(range.length).filter(|end| *end <= self.count)?;
        Some(range.location * RECORD..end * RECORD)
    }

    /// Records that commands are executed.
    pub(super) fn execute(
        &self,
        recording: &mut Recording,
        commands: ObjectIndex,
        span: Span,
    ) -> Result<(), String> {
        let pipeline = match self.inherits_pipeline {
            true => Some(recording.table.pipeline.ok_or("no compute pipeline state is set")?),
            false => None,
        };
        let inherited = self.inherits_buffers.then(|| {
            let start = recording.slots.len() as u32;
            recording.slots.extend(recording.table.inherited());
            start
        });
        let residents = (recording.first_resident as u32, recording.residents.len() as u32);
        recording.commands.push(Command::Execute(recording.executions.len() as u32));
        recording.executions.push(Execution { commands, span, pipeline, inherited, residents });
        Ok(())
    }

    fn reset(&self, range: NSRange) {
        let Some(bytes) = self.bytes(range) else {
            let NSRange { location, length } = range;
            let why = format!("range {{{location}, {length}}}: there are {} commands", self.count);
            let selector = "resetWithRange:";
            return report("MTLIndirectCommandBuffer", selector, &self.memory.label, &why);
        };
        for index in bytes.start / RECORD..bytes.end / RECORD {
            _ = Record::change(&self.memory, index, |record| *record = Record::EMPTY);
        }
    }
}

impl Drop for IndirectCommandBuffer {
    fn drop(&mut self) {
        self.memory.release();
    }
}

/// A command in an indirect command buffer.
pub(super) struct IndirectComputeCommand {
    memory: Arc<Memory>,
    index: usize,
    buffers: usize,
}

soft_class! {
    /// A command in an indirect command buffer.
    pub(super) class SoftMTLIndirectComputeCommand(IndirectComputeCommand): NSObject,
        conforms [MTLIndirectComputeCommand];
    [setComputePipelineState:] = IndirectComputeCommand::set_pipeline;
    [setKernelBuffer:offset:atIndex:] = IndirectComputeCommand::set_buffer;
    [setKernelBuffer:offset:attributeStride:atIndex:] = |
        command: &IndirectComputeCommand, buffer: Option<&Object<Buffer>>, offset: usize, _: usize,
        index: usize,
    | command.set_buffer(buffer, offset, index);
    [setThreadgroupMemoryLength:atIndex:] = IndirectComputeCommand::set_length;
    [concurrentDispatchThreadgroups:threadsPerThreadgroup:] =
        |command: &IndirectComputeCommand, grid: MTLSize, group: MTLSize| {
            let selector = "concurrentDispatchThreadgroups:threadsPerThreadgroup:";
            command.dispatch(selector, action::THREADGROUPS, grid, group);
        };
    [concurrentDispatchThreads:threadsPerThreadgroup:] =
        |command: &IndirectComputeCommand, grid: MTLSize, group: MTLSize| {
            let selector = "concurrentDispatchThreads:threadsPerThreadgroup:";
            command.dispatch(selector, action::THREADS, grid, group);
        };
    [setBarrier] = |command: &IndirectComputeCommand| command.change(|record| record.barrier = 1);
    [clearBarrier] = |command: &IndirectComputeCommand| command.change(|record| record.barrier = 0);
    [reset] = |command: &IndirectComputeCommand| command.change(|record| *record = Record::EMPTY);
    [setImageblockWidth:height:] = |_: &IndirectComputeCommand, _: usize, _: usize| ();
    [setStageInRegion:] = |_: &IndirectComputeCommand, _: MTLRegion| ();
}

impl IndirectComputeCommand {
    fn change(&self, change: impl FnOnce(&mut Record)) {
        // The index was checked when the command was made.
        _ = Record::change(&self.memory, self.index, change);
    }

    fn report(&self, selector: &str, why: &str) {
        let why = format!("command {}: {why}", self.index);
        report("MTLIndirectComputeCommand", selector, &self.memory.label, &why);
    }

    fn set_pipeline(&self, pipeline: Option<&Object<ComputePipelineState>>) {
        match pipeline {
            Some(pipeline) if pipeline.pipeline.processor != self.memory.processor() => {
                let why = "the pipeline and the indirect command buffer are of different devices";
                self.report("setComputePipelineState:", why);
            }
            Some(pipeline) if pipeline.supports_indirect() => {
                self.change(|record| record.pipeline = pipeline.id);
            }
            Some(_) => {
                let why = "the pipeline was made without supportIndirectCommandBuffers";
                self.report("setComputePipelineState:", why);
            }
            None => self.report("setComputePipelineState:", "nil was passed"),
        }
    }

    fn set_buffer(&self, buffer: Option<&Object<Buffer>>, offset: usize, index: usize) {
        let selector = "setKernelBuffer:offset:atIndex:";
        if index >= self.buffers {
            let why = format!("index {index}: maxKernelBufferBindCount is {}", self.buffers);
            return self.report(selector, &why);
        }
        let length = buffer.map_or(usize::MAX, |buffer| buffer.memory.length());
        if offset > length {
            let why = format!("offset {offset} is past the end of a buffer of {length} bytes");
            return self.report(selector, &why);
        }
        let address = buffer.map_or(0, |buffer| buffer.memory.address() + offset as u64);
        self.change(|record| record.buffers[index] = address);
    }

    fn set_length(&self, length: usize, index: usize) {
        let most = limits::THREADGROUP_MEMORY as usize;
        if index >= BUFFERS || length > most {
            let why =
                format!("{length} bytes at index {index}: there are {most}, and {BUFFERS} indices");
            return self.report("setThreadgroupMemoryLength:atIndex:", &why);
        }
        self.change(|record| record.lengths[index] = length.next_multiple_of(16) as u32);
    }

    fn dispatch(&self, selector: &str, action: u32, grid: MTLSize, group: MTLSize) {
        let narrow = |size: MTLSize| -> Option<[u32; 3]> {
            Some([
                u32::try_from(size.width).ok()?,
                u32::try_from(size.height).ok()?,
                u32::try_from(size.depth).ok()?,
            ])
        };
        let (Some(grid), Some(group)) = (narrow(grid), narrow(group)) else {
            return self.report(selector, "a kernel counts with 32 bits");
        };
        self.change(|record| (record.action, record.grid, record.group) = (action, grid, group));
    }
}
