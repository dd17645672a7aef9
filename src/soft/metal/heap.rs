//! MTLHeap: one piece of memory that resources are given parts of.

use super::buffer::Buffer;
use super::descriptors::{HeapFields, TextureDescriptor};
use super::device::{self, Device};
use super::foundation::{
    Label, NSObject, Object, Strong, This, label, labelled, lock, set_label, soft_class,
};
use super::memory::Memory;
use super::pages::PAGE;
use super::resource::{Options, Purgeable, TRACKED};
use super::texture::Texture;
use crate::abi::MTLSizeAndAlign;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex};

/// A heap.
pub(super) struct Heap {
    memory: Arc<Memory>,
    options: Options,
    /// Whether the program says where resources go.
    placement: bool,
    /// Where the parts in use begin, and how long they are. Empty for placement.
    used: Mutex<BTreeMap<usize, usize>>,
    label: Label,
    purgeable: Purgeable,
}

labelled!(Heap);

/// Where resources of a heap may begin.
pub(super) const ALIGN: usize = 256;

soft_class! {
    /// A heap.
    pub(super) class SoftMTLHeap(Heap): NSObject, conforms [MTLHeap];
    [label] = label::<Heap>;
    [setLabel:] = set_label::<Heap>;
    [device] = |_: &Heap| -> Strong<Device> { device::shared() };
    [size] = |heap: &Heap| heap.memory.length();
    [usedSize] = Heap::used_size;
    [currentAllocatedSize] = |heap: &Heap| heap.memory.length();
    [allocatedSize] = |heap: &Heap| heap.memory.length();
    [maxAvailableSizeWithAlignment:] = Heap::largest_gap;
    [storageMode] = |heap: &Heap| heap.options.storage_mode();
    [cpuCacheMode] = |heap: &Heap| heap.options.cpu_cache_mode();
    [hazardTrackingMode] = |heap: &Heap| heap.options.hazard_tracking_mode();
    [resourceOptions] = |heap: &Heap| heap.options.0;
    [type] = |heap: &Heap| isize::from(heap.placement);
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

/// A resource's part of a heap: given back when the resource goes, or may be shared.
pub(super) struct Region {
    heap: Strong<Heap>,
    offset: usize,
    given_back: AtomicBool,
}

impl Region {
    pub(super) fn heap(&self) -> &Strong<Heap> {
        &self.heap
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn is_aliasable(&self) -> bool {
        self.heap.placement || self.given_back.load(Relaxed)
    }

    pub(super) fn make_aliasable(&self) {
        if !self.heap.placement && !self.given_back.swap(true, Relaxed) {
            lock(&self.heap.used).remove(&self.offset);
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.make_aliasable();
    }
}

impl Heap {
    /// Whether Metal orders accesses to what lies in it.
    pub(super) fn is_tracked(&self) -> bool {
        self.options.hazard_tracking_mode() == TRACKED
    }

    /// None for sizes and kinds that cannot be.
    pub(super) fn new(fields: &HeapFields) -> Option<Strong<Self>> {
        let placement = match fields.kind {
            0 => false,
            1 => true,
            _ => return None,
        };
        let options = fields.options();
        let possible = options.are_known() && fields.size <= super::buffer::longest();
        let memory =
            possible.then(|| Memory::pages(fields.size.checked_next_multiple_of(PAGE)?))??;
        let (used, label) = (Mutex::default(), Label::default());
        Some(Strong::new(Self {
            memory,
            options,
            placement,
            used,
            label,
            purgeable: Purgeable::default(),
        }))
    }

    /// What a resource of this length takes.
    pub(super) fn room(length: usize) -> MTLSizeAndAlign {
        let size = length.max(1).checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX);
        MTLSizeAndAlign { size, align: ALIGN }
    }

    fn used_size(&self) -> usize {
        lock(&self.used).values().sum()
    }

    /// The gaps between the parts in use: where each begins and how long it is.
    fn gaps(used: &BTreeMap<usize, usize>, size: usize, align: usize) -> Vec<(usize, usize)> {
        let ends = std::iter::once(0).chain(used.iter().map(|(start, length)| start + length));
        let starts = used.keys().copied().chain([size]);
        ends.zip(starts)
            .filter_map(|(end, start)| {
                let begin = end.checked_next_multiple_of(align)?;
                Some((begin, start.checked_sub(begin)?))
            })
            .collect()
    }

    fn largest_gap(&self, align: usize) -> usize {
        let align = align.max(ALIGN);
        let gaps = Self::gaps(&lock(&self.used), self.memory.length(), align);
        gaps.iter().map(|(_, length)| *length).max().unwrap_or(0)
    }
}

/// A part of the heap: where there is room, or where a placement heap is told.
fn take(heap: &Object<Heap>, length: usize, at: Option<usize>) -> Option<(Arc<Memory>, Region)> {
    let size = Heap::room(length).size;
    let offset = match (heap.placement, at) {
        (true, Some(offset)) => Some(offset).filter(|offset| offset.is_multiple_of(ALIGN))?,
        (false, None) => {
            let mut used = lock(&heap.used);
            let gaps = Heap::gaps(&used, heap.memory.length(), ALIGN);
            let (begin, _) = gaps.into_iter().find(|(_, room)| *room >= size)?;
            used.insert(begin, size);
            begin
        }
        _ => return None,
    };
    let region = Region { heap: heap.retain(), offset, given_back: AtomicBool::new(false) };
    // Without room the region goes, and its part with it.
    Some((Memory::part(&heap.memory, offset, length)?, region))
}

/// None when the storage mode is another than the heap's, as Metal has it.
fn new_buffer(
    heap: &Object<Heap>,
    length: usize,
    options: usize,
    at: Option<usize>,
) -> Option<Strong<Buffer>> {
    let options = Options(options);
    let fits = options.are_known() && options.storage_mode() == heap.options.storage_mode();
    let (memory, region) = fits.then(|| take(heap, length, at))??;
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
    Texture::in_heap(&fields, memory, region)
}
