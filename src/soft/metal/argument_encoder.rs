//! MTLArgumentEncoder: writes pointers, textures and samplers into argument buffers (`specs/arguments.md`).

use super::absent::ARGUMENT_ENCODER;
use super::argument_descriptor;
use super::buffer::Buffer;
use super::foundation::{
    Label, List, NSObject, Object, SoftClass, Strong, device, label, labelled, lock, of_device,
    set_label, soft_class,
};
use super::function_table::VisibleFunctionTable;
use super::indirect::IndirectCommandBuffer;
use super::pipeline::ComputePipelineState;
use super::sampler::Sampler;
use super::texture::Texture;
use crate::abi::{Id, NSRange};
use crate::soft::ir::{HANDLE_BYTES, Layout, Member, MemberKind};
use crate::soft::kernel::Processor;
use std::ffi::c_void;
use std::sync::{Arc, Mutex};

/// An argument encoder.
pub(super) struct ArgumentEncoder {
    processor: &'static Processor,
    layout: Arc<Layout>,
    /// The argument buffer, and the offset of the struct in it.
    target: Mutex<Option<(Strong<Buffer>, usize)>>,
    label: Label,
}

labelled!(ArgumentEncoder);
of_device! { ArgumentEncoder, encoder => encoder.processor; }

soft_class! {
    /// An argument encoder.
    pub(super) class SoftMTLArgumentEncoder(ArgumentEncoder): NSObject, conforms [MTLArgumentEncoder], lacks ARGUMENT_ENCODER;
    [label] = label::<ArgumentEncoder>;
    [setLabel:] = set_label::<ArgumentEncoder>;
    [device] = device::<ArgumentEncoder>;
    [encodedLength] = |encoder: &ArgumentEncoder| encoder.layout.size as usize;
    [alignment] = |encoder: &ArgumentEncoder| encoder.layout.align as usize;
    [setArgumentBuffer:offset:] =
        |encoder: &ArgumentEncoder, buffer: Option<&Object<Buffer>>, offset: usize| {
            encoder.set_target("setArgumentBuffer:offset:", buffer, offset, 0)
        };
    [setArgumentBuffer:startOffset:arrayElement:] = |
        encoder: &ArgumentEncoder, buffer: Option<&Object<Buffer>>, start: usize, element: usize,
    | encoder.set_target("setArgumentBuffer:startOffset:arrayElement:", buffer, start, element);
    [setBuffer:offset:atIndex:] = |
        encoder: &ArgumentEncoder, buffer: Option<&Object<Buffer>>, offset: usize, index: usize,
    | encoder.done("setBuffer:offset:atIndex:", encoder.set_buffer(buffer, offset, index));
    [setBuffers:offsets:withRange:] = |
        encoder: &ArgumentEncoder, buffers: *const Id, offsets: *const usize, range: NSRange,
    | {
        encoder.done("setBuffers:offsets:withRange:", all(buffers, range, |object, nth, index| {
            // SAFETY: the message passed as many offsets as the range has indices.
            let offset = if offsets.is_null() { 0 } else { unsafe { *offsets.add(nth) } };
            encoder.set_buffer(object, offset, index)
        }));
    };
    [setTexture:atIndex:] =
        |encoder: &ArgumentEncoder, texture: Option<&Object<Texture>>, index: usize| {
            encoder.done("setTexture:atIndex:", encoder.set_texture(texture, index))
        };
    [setTextures:withRange:] = |encoder: &ArgumentEncoder, textures: *const Id, range: NSRange| {
        let done = all(textures, range, |object, _, index| encoder.set_texture(object, index));
        encoder.done("setTextures:withRange:", done);
    };
    [setSamplerState:atIndex:] =
        |encoder: &ArgumentEncoder, sampler: Option<&Object<Sampler>>, index: usize| {
            encoder.done("setSamplerState:atIndex:", encoder.set_sampler(sampler, index))
        };
    [setSamplerStates:withRange:] = |encoder: &ArgumentEncoder, samplers: *const Id, range: NSRange| {
        let done = all(samplers, range, |object, _, index| encoder.set_sampler(object, index));
        encoder.done("setSamplerStates:withRange:", done);
    };
    [setVisibleFunctionTable:atIndex:] = |
        encoder: &ArgumentEncoder, table: Option<&Object<VisibleFunctionTable>>, index: usize,
    | encoder.done("setVisibleFunctionTable:atIndex:", encoder.set_table(table, index));
    [setVisibleFunctionTables:withRange:] =
        |encoder: &ArgumentEncoder, tables: *const Id, range: NSRange| {
            let done = all(tables, range, |object, _, index| encoder.set_table(object, index));
            encoder.done("setVisibleFunctionTables:withRange:", done);
        };
    [setIndirectCommandBuffer:atIndex:] = |
        encoder: &ArgumentEncoder, commands: Option<&Object<IndirectCommandBuffer>>, index: usize,
    | encoder.done("setIndirectCommandBuffer:atIndex:", encoder.set_commands(commands, index));
    [setIndirectCommandBuffers:withRange:] =
        |encoder: &ArgumentEncoder, commands: *const Id, range: NSRange| {
            let done = all(commands, range, |object, _, index| encoder.set_commands(object, index));
            encoder.done("setIndirectCommandBuffers:withRange:", done);
        };
    [setComputePipelineState:atIndex:] = |
        encoder: &ArgumentEncoder, pipeline: Option<&Object<ComputePipelineState>>, index: usize,
    | encoder.done("setComputePipelineState:atIndex:", encoder.set_pipeline(pipeline, index));
    [setComputePipelineStates:withRange:] =
        |encoder: &ArgumentEncoder, pipelines: *const Id, range: NSRange| {
            let done = all(pipelines, range, |object, _, index| encoder.set_pipeline(object, index));
            encoder.done("setComputePipelineStates:withRange:", done);
        };
    [constantDataAtIndex:] = ArgumentEncoder::data;
    [newArgumentEncoderForBufferAtIndex:] = ArgumentEncoder::nested;
}

/// Calls `each` for the objects that a message passed with a range of indices.
pub(super) fn all<P: SoftClass>(
    objects: *const Id,
    range: NSRange,
    each: impl Fn(Option<&Object<P>>, usize, usize) -> Result<(), String>,
) -> Result<(), String> {
    if objects.is_null() && range.length > 0 {
        return Err("NULL was passed for the objects".to_owned());
    }
    for nth in 0..range.length {
        // SAFETY: the message passed as many objects as the range has indices; they live until it is answered.
        let (id, object) = unsafe { (*objects.add(nth), Object::from_id(*objects.add(nth))) };
        if object.is_none() && !id.is_nil() {
            return Err("the list contains an object of another class".to_owned());
        }
        each(object, nth, range.location.wrapping_add(nth))?;
    }
    Ok(())
}

impl ArgumentEncoder {
    pub(super) fn object(processor: &'static Processor, layout: Arc<Layout>) -> Strong<Self> {
        Strong::new(Self { processor, layout, target: Mutex::default(), label: Label::default() })
    }

    /// An encoder for the struct that a list of descriptors describes.
    pub(super) fn described(
        processor: &'static Processor,
        descriptors: &List,
    ) -> Option<Strong<Self>> {
        match argument_descriptor::layout(descriptors) {
            Ok(layout) => Some(Self::object(processor, Arc::new(layout))),
            Err(why) => {
                eprintln!("aruminium: -[MTLDevice newArgumentEncoderWithArguments:]: {why}");
                None
            }
        }
    }

    /// There is no command buffer that could report an error, so it goes to standard error.
    fn report<T>(&self, selector: &str, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|why| {
                let label = self.label.after_noun();
                eprintln!("aruminium: -[MTLArgumentEncoder {selector}]{label}: {why}");
            })
            .ok()
    }

    fn done(&self, selector: &str, result: Result<(), String>) {
        self.report(selector, result);
    }

    fn set_target(
        &self,
        selector: &str,
        buffer: Option<&Object<Buffer>>,
        start: usize,
        element: usize,
    ) {
        let Layout { size, align, .. } = *self.layout;
        let offset = element.saturating_mul(size as usize).saturating_add(start);
        let target = buffer.map(|buffer| {
            let length = buffer.memory.length();
            if buffer.memory.range(offset, size as usize).is_none() {
                return Err(format!(
                    "{size} bytes at offset {offset} of a buffer of {length} bytes"
                ));
            }
            if !offset.is_multiple_of(align as usize) {
                return Err(format!("offset {offset}: it must be a multiple of {align}"));
            }
            Ok((buffer.retain(), offset))
        });
        // After an error there is no target, so that nothing is written to the one before.
        *lock(&self.target) = self.report(selector, target.transpose()).flatten();
    }

    /// Where the member of an index is; an error unless it is of a kind.
    fn place(
        &self,
        index: usize,
        kind: &str,
        fits: impl FnOnce(&Member) -> bool,
    ) -> Result<*mut u8, String> {
        let (member, offset) = self
            .layout
            .member(index)
            .ok_or_else(|| format!("index {index}: the struct has no such member"))?;
        if !fits(member) {
            let own = member.kind.name();
            return Err(format!("index {index}: the member is of kind '{own}', not '{kind}'"));
        }
        let target = lock(&self.target);
        let (buffer, start) = target.as_ref().ok_or("no argument buffer is set")?;
        let bytes = if let MemberKind::Data(bytes) = member.kind { bytes } else { HANDLE_BYTES };
        let range = buffer.memory.range(start + offset, bytes as usize);
        range.ok_or_else(|| format!("index {index}: the member is past the buffer's end"))
    }

    fn write(
        &self,
        index: usize,
        kind: &str,
        bits: u64,
        fits: impl FnOnce(&Member) -> bool,
    ) -> Result<(), String> {
        let place = self.place(index, kind, fits)?;
        // SAFETY: the address is inside the argument buffer, which the encoder keeps alive.
        unsafe { place.cast::<u64>().write_unaligned(bits) };
        Ok(())
    }

    fn set_buffer(
        &self,
        buffer: Option<&Object<Buffer>>,
        offset: usize,
        index: usize,
    ) -> Result<(), String> {
        let mut address = 0;
        if let Some(buffer) = buffer {
            let length = buffer.memory.length();
            if offset > length {
                return Err(format!(
                    "offset {offset} is past the end of the buffer at index {index}, which has {length} bytes"
                ));
            }
            address = buffer.memory.address() + offset as u64;
        }
        self.write_pointer(index, address)
    }

    fn set_table(
        &self,
        table: Option<&Object<VisibleFunctionTable>>,
        index: usize,
    ) -> Result<(), String> {
        self.write_pointer(index, table.map_or(0, |table| table.memory.address()))
    }

    fn set_commands(
        &self,
        commands: Option<&Object<IndirectCommandBuffer>>,
        index: usize,
    ) -> Result<(), String> {
        self.write_pointer(index, commands.map_or(0, |commands| commands.memory.address()))
    }

    fn set_pipeline(
        &self,
        pipeline: Option<&Object<ComputePipelineState>>,
        index: usize,
    ) -> Result<(), String> {
        let number = pipeline.map_or(0, |pipeline| pipeline.id);
        let is_number = |member: &Member| member.kind == MemberKind::Data(HANDLE_BYTES);
        self.write(index, "pipeline state", number, is_number)
    }

    fn write_pointer(&self, index: usize, address: u64) -> Result<(), String> {
        let is_pointer = |member: &Member| matches!(member.kind, MemberKind::Pointer(_));
        self.write(index, "buffer", address, is_pointer)
    }

    fn set_texture(&self, texture: Option<&Object<Texture>>, index: usize) -> Result<(), String> {
        let id = texture.map_or(0, |texture| texture.image.id);
        self.write(index, "texture", id, |member| matches!(member.kind, MemberKind::Texture(_)))
    }

    fn set_sampler(&self, sampler: Option<&Object<Sampler>>, index: usize) -> Result<(), String> {
        let bits = sampler.map_or(0, |sampler| sampler.state.0);
        self.write(index, "sampler", bits, |member| matches!(member.kind, MemberKind::Sampler))
    }

    fn data(&self, index: usize) -> *mut c_void {
        let place = self.place(index, "data", |member| matches!(member.kind, MemberKind::Data(_)));
        let place = self.report("constantDataAtIndex:", place);
        place.map_or(std::ptr::null_mut(), <*mut u8>::cast)
    }

    fn nested(&self, index: usize) -> Option<Strong<Self>> {
        let layout = self.layout.member(index).and_then(|(member, _)| match &member.kind {
            MemberKind::Pointer(layout) => layout.clone(),
            _ => None,
        });
        let layout = layout.ok_or_else(|| {
            format!("index {index}: the member does not point to an argument buffer")
        });
        let layout = self.report("newArgumentEncoderForBufferAtIndex:", layout)?;
        Some(Self::object(self.processor, layout))
    }
}
