//! MTLHeap: memory that resources take parts of.

use super::absent::HEAP;
use super::buffer::{Buffer, follow};
use super::descriptors::{HeapFields, TextureDescriptor};
use super::foundation::{
    Label, NSObject, Object, Strong, This, device, label, labelled, of_device, set_label,
    soft_class,
};
use super::resource::{HeapRegion, Options, Purgeable, TRACKED};
use super::texture::Texture;
use crate::abi::MTLSizeAndAlign;
use crate::soft::kernel::Processor;
use crate::soft::stream::heap::{ALIGN, HeapMemory, Resource};
use crate::soft::stream::memory::Memory;
use crate::soft::stream::pages::{PAGE, longest_buffer};
use std::sync::Arc;

/// A heap.
pub(super) struct Heap {
    memory: Arc<HeapMemory>,
    options: Options,
    label: Label,
    purgeable: Purgeable,
}

labelled!(Heap);
of_device! { Heap, heap => heap.memory.processor(); }

soft_class! {
    /// A heap.
    pub(super) class SoftMTLHeap(Heap): NSObject, conforms [MTLHeap], lacks HEAP;
    [label] = label::<Heap>;
    [setLabel:] = set_label::<Heap>;
    [device] = device::<Heap>;
    [size] = |heap: &Heap| heap.memory.length();
    [usedSize] = |heap: &Heap| heap.memory.used_size();
    [currentAllocatedSize] = |heap: &Heap| heap.memory.length();
    [allocatedSize] = |heap: &Heap| heap.memory.length();
    [maxAvailableSizeWithAlignment:] = |heap: &Heap, align: usize| heap.memory.largest_gap(align);
    [storageMode] = |heap: &Heap| heap.options.storage_mode();
    [cpuCacheMode] = |heap: &Heap| heap.options.cpu_cache_mode();
    [hazardTrackingMode] = |heap: &Heap| heap.options.hazard_tracking_mode();
    [resourceOptions] = |heap: &Heap| heap.options.0;
    [type] = |heap: &Heap| isize::from(heap.memory.is_placement());
    [setPurgeableState:] = |heap: &Heap, state: usize| heap.purgeable.set(state);
    [newBufferWithLength:options:] = |heap: This<'_, Heap>, length: usize, options: usize| {
        new_buffer(&heap, length, options, None)
    };
    [newBufferWithLength:options:offset:] =
        |heap: This<'_, Heap>, length: usize, options: usize, offset: usize| {
            new_buffer(&heap, length, options, Some(offset))
        };
    [newTextureWithDescriptor:] =
        |heap: This<'_, Heap>, descriptor: Option<&Object<TextureDescriptor>>| {
            new_texture(&heap, descriptor, None)
        };
    [newTextureWithDescriptor:offset:] =
        |heap: This<'_, Heap>, descriptor: Option<&Object<TextureDescriptor>>, offset: usize| {
            new_texture(&heap, descriptor, Some(offset))
        };
}

impl Heap {
    /// `None` if the size or the kind is invalid.
    pub(super) fn new(processor: &'static Processor, fields: &HeapFields) -> Option<Strong<Self>> {
        let placement = match fields.kind {
            0 => false,
            1 => true,
            kind => {
                let what = if kind == 2 { "sparse heaps" } else { "heaps of such a type" };
                eprintln!(
                    "aruminium: a heap is nil: soft Metal does not have {what} (type {kind})"
                );
                return None;
            }
        };
        let options = fields.options();
        let possible = options.are_known() && fields.size <= longest_buffer();
        let make = || {
            let bytes = fields.size.checked_next_multiple_of(PAGE)?;
            Memory::new(processor, bytes, options.is_private())
        };
        let memory = possible.then(make)??;
        Some(Strong::new(Self {
            memory: HeapMemory::new(memory, placement),
            options,
            label: Label::default(),
            purgeable: Purgeable::default(),
        }))
    }

    /// Whether Metal tracks the hazards of its resources.
    pub(super) fn is_tracked(&self) -> bool {
        self.options.hazard_tracking_mode() == TRACKED
    }

    /// The resources in it.
    pub(super) fn resources(&self) -> Vec<Resource> {
        self.memory.resources()
    }

    /// The bytes that a resource of this length takes.
    pub(super) fn room(length: usize) -> MTLSizeAndAlign {
        MTLSizeAndAlign { size: HeapMemory::size_of_region(length), align: ALIGN }
    }
}

/// A part of the heap: where there is room, or at an offset of a placement heap.
fn take(
    heap: &Object<Heap>,
    length: usize,
    at: Option<usize>,
) -> Option<(Arc<Memory>, HeapRegion)> {
    let (memory, region) = heap.memory.take(length, at)?;
    let is_tracked = heap.is_tracked();
    Some((memory, HeapRegion { heap: heap.retain().into_retained(), is_tracked, region }))
}

/// `None` when the storage mode is not the heap's, as in Metal.
fn new_buffer(
    heap: &Object<Heap>,
    length: usize,
    options: usize,
    at: Option<usize>,
) -> Option<Strong<Buffer>> {
    let options = Options(options);
    let fits = options.are_known() && options.storage_mode() == heap.options.storage_mode();
    let (memory, region) = fits.then(|| take(heap, length, at))??;
    heap.memory.add(Resource::Memory(Arc::clone(&memory)));
    // In a placement heap others may write to the same memory.
    if at.is_none() {
        follow(&memory, options);
    }
    Some(Buffer::in_heap(memory, options, region))
}

fn new_texture(
    heap: &Object<Heap>,
    descriptor: Option<&Object<TextureDescriptor>>,
    at: Option<usize>,
) -> Option<Strong<Texture>> {
    let fields = descriptor?.get();
    let length = Texture::length(&fields)?;
    let fits = fields.storage == heap.options.storage_mode();
    let (memory, region) = fits.then(|| take(heap, length, at))??;
    let texture = Texture::in_heap(&fields, memory, region)?;
    heap.memory.add(Resource::Image(Arc::clone(&texture.image)));
    Some(texture)
}
