//! MTLBuffer: memory that kernels, blits and, unless it is private, the CPU read and write.

use super::absent::BUFFER;
use super::descriptors::TextureDescriptor;
use super::device::longest_buffer;
use super::errors::or_error;
use super::foundation::{ErrorOut, HeldBlock, NSObject, Object, Strong, This, in_pool};
use super::resource::{HasResource, HeapRegion, Options, Resource, resource_class};
use super::tensor::{Tensor, TensorDescriptor};
use super::texture::Texture;
use crate::abi::{Id, Imp, NSRange};
use crate::soft::ir::Checks;
use crate::soft::kernel::Processor;
use crate::soft::kernel::sanitize::written;
use crate::soft::stream::label::Label;
use crate::soft::stream::memory::{Deallocator, Memory};
use crate::soft::stream::pages;
use crate::soft::stream::settings::Settings;
use std::ffi::c_void;
use std::sync::Arc;

/// A buffer.
pub(super) struct Buffer {
    pub(super) memory: Arc<Memory>,
    resource: Resource,
}

resource_class! {
    /// A buffer.
    class SoftMTLBuffer(Buffer): MTLBuffer, lacks BUFFER;
    [length] = |buffer: &Buffer| buffer.memory.length();
    [contents] = Buffer::contents;
    [gpuAddress] = |buffer: &Buffer| buffer.memory.address();
    [didModifyRange:] = |_: &Buffer, _: NSRange| ();
    [addDebugMarker:range:] = |_: &Buffer, _: Id, _: NSRange| ();
    [removeAllDebugMarkers] = |_: &Buffer| ();
    [newTextureWithDescriptor:offset:bytesPerRow:] = texture;
    [newTensorWithDescriptor:offset:error:] = |
        this: This<'_, Buffer>, descriptor: Option<&Object<TensorDescriptor>>, offset: usize,
        error: ErrorOut,
    | or_error(Tensor::in_buffer(this.retain(), descriptor, offset), error);
    [remoteStorageBuffer] = |_: &Buffer| Id::NIL;
    [sparseBufferTier] = |_: &Buffer| 0isize;
}

impl HasResource for Buffer {
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
        self.memory.length().next_multiple_of(pages::PAGE)
    }
}

/// A block of `newBufferWithBytesNoCopy:length:options:deallocator:`.
fn deallocator_of_block(block: HeldBlock) -> Deallocator {
    Box::new(move |base, length| {
        in_pool(|| {
            // SAFETY: a deallocator is a block that takes the address and the length.
            unsafe {
                let call = std::mem::transmute::<Imp, unsafe extern "C" fn(Id, *mut c_void, usize)>(
                    block.invoke(),
                );
                call(block.id(), base, length);
            }
        });
    })
}

impl Buffer {
    fn object(memory: Arc<Memory>, options: Options, heap: Option<HeapRegion>) -> Strong<Self> {
        Strong::new(Self { memory, resource: Resource::new(options, heap) })
    }

    /// A zeroed buffer; `None` if the length or the options are invalid.
    pub(super) fn new(
        processor: &'static Processor,
        length: usize,
        options: usize,
    ) -> Option<Strong<Self>> {
        let options = Options(options);
        let possible = options.are_known() && length <= longest_buffer(processor);
        let memory = possible.then(|| Memory::new(processor, length, options.is_private()))??;
        follow(&memory, options);
        Some(Self::object(memory, options, None))
    }

    /// A buffer with a copy of these bytes.
    pub(super) fn copied(
        processor: &'static Processor,
        bytes: *const c_void,
        length: usize,
        options: usize,
    ) -> Option<Strong<Self>> {
        if bytes.is_null() {
            return None;
        }
        let buffer = Self::new(processor, length, options)?;
        // SAFETY: the caller passed that many bytes, and the new buffer has as many.
        unsafe { std::ptr::copy_nonoverlapping(bytes.cast(), buffer.memory.base(), length) };
        buffer.memory.untrack();
        Some(buffer)
    }

    /// A buffer around the program's own memory. It cannot be private, since the CPU has access to it.
    pub(super) fn lent(
        processor: &'static Processor,
        bytes: *mut c_void,
        length: usize,
        options: usize,
        deallocator: Option<HeldBlock>,
    ) -> Option<Strong<Self>> {
        let options = Options(options);
        let possible =
            options.are_known() && !options.is_private() && length <= longest_buffer(processor);
        let deallocator = deallocator.map(deallocator_of_block);
        // SAFETY: the caller passed memory that lasts until the deallocator is called.
        let lend = || unsafe { Memory::lent(processor, bytes, length, deallocator) };
        let memory = possible.then(lend)??;
        Some(Self::object(memory, options, None))
    }

    /// A buffer in a heap.
    pub(super) fn in_heap(
        memory: Arc<Memory>,
        options: Options,
        region: HeapRegion,
    ) -> Strong<Self> {
        Self::object(memory, options, Some(region))
    }

    fn contents(&self) -> *mut c_void {
        match self.resource.options.is_private() {
            true => std::ptr::null_mut(),
            false => self.memory.base().cast(),
        }
    }
}

/// Follows what is written to memory that was just allocated, if checks want to know and only kernels and blits write there.
pub(super) fn follow(memory: &Memory, options: Options) {
    let is_wanted = written::is_wanted() || Settings::get().sanitize.has(Checks::INIT);
    if options.is_private() && is_wanted {
        memory.track();
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.memory.release();
    }
}

fn texture(
    this: This<'_, Buffer>,
    descriptor: Option<&Object<TextureDescriptor>>,
    offset: usize,
    bytes_per_row: usize,
) -> Option<Strong<Texture>> {
    this.memory.untrack();
    let options = this.resource.options;
    let buffer = this.retain().into_retained();
    Texture::in_buffer(buffer, &this.memory, options, descriptor?, offset, bytes_per_row)
}
