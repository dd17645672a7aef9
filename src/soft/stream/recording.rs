//! The commands that encoders record: plain data, in vectors that later command buffers use again.
//!
//! A command names objects by their index in [`Recording::objects`], which keeps them alive. A dispatch has a snapshot
//! of the arguments of its kernel, in the order of the kernel's parameters.

use super::event::Signal;
use super::image::Image;
use super::indirect::Execution;
use super::memory::Memory;
use super::pipeline::Pipeline;
use super::table::{ObjectIndex, Slot, Table};
use super::tensor::TensorCopy;
use crate::abi::{MTLOrigin, MTLSize};
use crate::soft::fork::lock;
use crate::soft::kernel::Processor;
use crate::soft::kernel::sanitize::EncoderOrder;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

/// Objects that a recording keeps alive.
#[derive(Clone)]
pub(crate) enum Object {
    Memory(Arc<Memory>),
    Image(Arc<Image>),
    Pipeline(Arc<Pipeline>),
    Event(Arc<Signal>),
}

/// How many threads a dispatch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grid {
    /// This many threads.
    Threads([u32; 3]),
    /// The number of threadgroups is in three words at this offset of a buffer.
    Indirect { object: ObjectIndex, offset: usize },
    /// The same at an address.
    GroupsAt(u64),
    /// The number of threads, and then the size of a threadgroup, are in six words at an address.
    ThreadsAt(u64),
}

/// The memory that a barrier orders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ordered {
    All,
    /// No buffers.
    Textures,
    /// Memory and images: where they begin in [`Recording::ordered`], and how many.
    Resources(u32, u32),
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Command {
    /// A kernel with its arguments, which begin at `slots`.
    Dispatch { pipeline: ObjectIndex, slots: u32, grid: Grid, group: [u32; 3] },
    /// Executes indirect commands: an index into [`Recording::executions`].
    Execute(u32),
    /// Dispatches from here to the next `Serial` may run in any order, except across barriers.
    Concurrent,
    /// Dispatches run in order again.
    Serial,
    /// Commands before it complete before commands after it begin; what it orders matters to the sanitizer only.
    Barrier(Ordered),
    /// Copies bytes from buffer to buffer.
    CopyBuffer {
        from: ObjectIndex,
        from_offset: usize,
        to: ObjectIndex,
        to_offset: usize,
        length: usize,
    },
    /// Fills a range of a buffer.
    FillBuffer { buffer: ObjectIndex, start: usize, length: usize, value: u8 },
    /// Copies pixels: an index into [`Recording::pixels`].
    CopyPixels(u32),
    /// Makes the smaller mip levels of a texture from the larger.
    GenerateMipmaps(ObjectIndex),
    /// Copies bytes of a buffer to an address.
    CopyToAddress { from: ObjectIndex, start: usize, length: u32, address: u64 },
    /// Copies elements of a tensor: an index into [`Recording::tensors`].
    CopyTensor(u32),
    /// Raises an event to a value.
    Signal { event: ObjectIndex, value: u64 },
    /// Continues when an event has reached a value.
    Wait { event: ObjectIndex, value: u64 },
    /// Writes the time, in nanoseconds, to eight bytes of a buffer.
    Sample { buffer: ObjectIndex, offset: usize },
    /// Nothing to execute: marks where the entry of [`Notes`] at this index applies.
    Note(u32),
}

/// Encoders, debug groups and signposts, recorded for captures, and for errors that say how far encoders came.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) list: Vec<Note>,
    /// The open debug groups of the command buffer.
    pub(crate) groups: Vec<String>,
}

/// An entry of [`Notes`].
pub(crate) enum Note {
    /// An encoder begins, in debug groups of the command buffer.
    Encoder { protocol: &'static str, label: Option<String>, groups: Vec<String> },
    /// A debug group of an encoder begins.
    Push(String),
    /// A debug group of an encoder ends.
    Pop,
    /// A signpost.
    Signpost(String),
}

/// Pixels in a texture: a slice, a level and an origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pixels {
    pub(crate) texture: ObjectIndex,
    pub(crate) slice: usize,
    pub(crate) level: usize,
    pub(crate) origin: MTLOrigin,
}

/// Pixels in a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rows {
    pub(crate) buffer: ObjectIndex,
    pub(crate) offset: usize,
    pub(crate) bytes_per_row: usize,
    pub(crate) bytes_per_image: usize,
}

/// A copy with a texture on one side at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PixelCopy {
    ToTexture { from: Rows, to: Pixels, size: MTLSize },
    FromTexture { from: Pixels, to: Rows, size: MTLSize },
    Between { from: Pixels, to: Pixels, size: MTLSize },
}

/// The commands that an encoder recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A fence that an encoder waits for or updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FenceUse {
    pub(crate) segment: usize,
    /// Identifies the fence.
    pub(crate) fence: u64,
    pub(crate) waits: bool,
}

/// Recently bound objects are recognised when they are bound again: `WAYS` for each of `HASHES` hashes of their
/// addresses. Two ways, because the few objects of a kernel often include a pair with equal hashes.
const WAYS: usize = 2;
const HASHES: usize = 32;
/// None of them.
const NONE_RECENT: [[(*const (), ObjectIndex); WAYS]; HASHES] =
    [[(std::ptr::null(), 0); WAYS]; HASHES];

/// The commands of a command buffer.
pub(crate) struct Recording {
    /// The device that runs the commands.
    pub(crate) processor: Option<&'static Processor>,
    /// Another device, if something of it is used.
    pub(crate) foreign: Option<&'static Processor>,
    /// Whether the program may release resources before the commands have run.
    pub(crate) retaining: bool,
    pub(crate) commands: Vec<Command>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) bytes: Vec<u8>,
    /// Ranges of bytes of buffers, for [`Slot::Part`].
    pub(crate) parts: Vec<Range<usize>>,
    pub(crate) pixels: Vec<PixelCopy>,
    pub(crate) tensors: Vec<TensorCopy>,
    pub(crate) executions: Vec<Execution>,
    pub(crate) objects: Vec<Object>,
    /// Declarations of encoders: memory or an image, and whether kernels may write to it.
    pub(crate) residents: Vec<(ObjectIndex, bool)>,
    /// The resources that barriers order, for [`Ordered::Resources`].
    pub(crate) ordered: Vec<ObjectIndex>,
    /// Where those of the open encoder begin.
    pub(crate) first_resident: usize,
    /// Resources that all encoders may use.
    pub(crate) always_resident: Vec<ObjectIndex>,
    /// The seed of the order of what nothing orders, if the program chose one.
    pub(crate) order: Option<u64>,
    /// How many such orders were needed when it ran.
    pub(crate) orders: AtomicU64,
    /// The commands of each encoder, in order.
    pub(crate) segments: Vec<Segment>,
    /// The fences that encoders wait for or update.
    pub(crate) fences: Vec<FenceUse>,
    /// Memory whose hazards the program tracks itself, by address.
    pub(crate) untracked: Vec<*const Memory>,
    /// The encoders in the order in which they run, if kernels are checked for races and some memory is untracked.
    pub(crate) encoders: Vec<EncoderOrder>,
    /// The addresses of that memory.
    pub(crate) untracked_ranges: Vec<Range<u64>>,
    /// Addresses and indices of recently bound objects by hash, the latest first, so that binding one again costs no
    /// reference count.
    recent: [[(*const (), ObjectIndex); WAYS]; HASHES],
    /// The argument table of the open encoder.
    pub(crate) table: Table,
    /// Present if the command buffer is captured, or if its error is to say how far its encoders came.
    pub(crate) notes: Option<Box<Notes>>,
}

// SAFETY: the addresses in `recent` and `untracked` are only compared; all other fields are Send.
unsafe impl Send for Recording {}

impl Recording {
    pub(crate) fn new() -> Self {
        Self {
            processor: None,
            foreign: None,
            retaining: true,
            commands: Vec::new(),
            slots: Vec::new(),
            bytes: Vec::new(),
            parts: Vec::new(),
            pixels: Vec::new(),
            tensors: Vec::new(),
            executions: Vec::new(),
            objects: Vec::new(),
            residents: Vec::new(),
            ordered: Vec::new(),
            first_resident: 0,
            always_resident: Vec::new(),
            order: None,
            orders: AtomicU64::new(0),
            segments: Vec::new(),
            fences: Vec::new(),
            untracked: Vec::new(),
            encoders: Vec::new(),
            untracked_ranges: Vec::new(),
            recent: NONE_RECENT,
            table: Table::EMPTY,
            notes: None,
        }
    }

    /// Records a note if there are notes.
    #[inline]
    pub(crate) fn note(&mut self, note: impl FnOnce(&Notes) -> Note) {
        if let Some(notes) = &mut self.notes {
            self.commands.push(Command::Note(notes.list.len() as u32));
            let note = note(notes);
            notes.list.push(note);
        }
    }

    /// Clears everything but keeps the allocations, unless they are very large.
    pub(crate) fn clear(&mut self) {
        const ROOM: usize = 1 << 16;
        self.foreign = None;
        self.commands.clear();
        self.slots.clear();
        self.bytes.clear();
        self.parts.clear();
        self.pixels.clear();
        self.tensors.clear();
        self.executions.clear();
        self.objects.clear();
        self.residents.clear();
        self.ordered.clear();
        self.first_resident = 0;
        self.always_resident.clear();
        self.order = None;
        self.orders = AtomicU64::new(0);
        self.segments.clear();
        self.fences.clear();
        self.untracked.clear();
        self.encoders.clear();
        self.untracked_ranges.clear();
        self.notes = None;
        self.commands.shrink_to(ROOM);
        self.slots.shrink_to(ROOM);
        self.bytes.shrink_to(ROOM);
        self.parts.shrink_to(ROOM);
        self.pixels.shrink_to(ROOM);
        self.objects.shrink_to(ROOM);
        self.recent = NONE_RECENT;
    }

    /// The index of an address in `recent`: the high bits of a multiplicative hash, since addresses of objects of
    /// the same size often differ by the same power of two.
    #[inline]
    fn hash(address: *const ()) -> usize {
        const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
        let product = (address.addr() as u64).wrapping_mul(GOLDEN_RATIO);
        (product >> (u64::BITS - HASHES.ilog2())) as usize
    }

    /// The index of the object at `address`, if it was added recently.
    #[inline]
    fn known(&self, address: *const ()) -> Option<ObjectIndex> {
        let [(first, index), (second, other)] = self.recent[Self::hash(address)];
        if first == address {
            return Some(index);
        }
        (second == address).then_some(other)
    }

    /// Adds an object and remembers its index by its address, which is unique while the object is kept alive.
    #[cold]
    fn add(&mut self, address: *const (), object: Object) -> ObjectIndex {
        let other = match &object {
            Object::Memory(memory) => memory.processor(),
            Object::Image(image) => image.memory.processor(),
            Object::Pipeline(pipeline) => pipeline.processor,
            Object::Event(_) => None,
        };
        if other.is_some() && other != self.processor {
            self.foreign = other;
        }
        let index = self.objects.len() as ObjectIndex;
        self.objects.push(object);
        let recent = &mut self.recent[Self::hash(address)];
        *recent = [(address, index), recent[0]];
        index
    }

    /// The index of memory. `untracked` is called once: whether the program tracks its hazards itself.
    #[inline]
    pub(crate) fn memory(
        &mut self,
        memory: &Arc<Memory>,
        untracked: impl FnOnce() -> bool,
    ) -> ObjectIndex {
        let address = Arc::as_ptr(memory).cast();
        if let Some(index) = self.known(address) {
            return index;
        }
        if untracked() {
            self.untracked.push(Arc::as_ptr(memory));
        }
        self.add(address, Object::Memory(Arc::clone(memory)))
    }

    /// The index of an image; `untracked` is that of its memory.
    pub(crate) fn image(
        &mut self,
        image: &Arc<Image>,
        untracked: impl FnOnce() -> bool,
    ) -> ObjectIndex {
        let address = Arc::as_ptr(image).cast();
        if let Some(index) = self.known(address) {
            return index;
        }
        if untracked() {
            self.untracked.push(image.memory());
        }
        self.add(address, Object::Image(Arc::clone(image)))
    }

    #[inline]
    pub(crate) fn pipeline(&mut self, pipeline: &Arc<Pipeline>) -> ObjectIndex {
        let address = Arc::as_ptr(pipeline).cast();
        match self.known(address) {
            Some(index) => index,
            None => self.add(address, Object::Pipeline(Arc::clone(pipeline))),
        }
    }

    pub(crate) fn event(&mut self, event: &Arc<Signal>) -> ObjectIndex {
        let address = Arc::as_ptr(event).cast();
        match self.known(address) {
            Some(index) => index,
            None => self.add(address, Object::Event(Arc::clone(event))),
        }
    }

    /// The open encoder waits for a fence or updates it.
    pub(crate) fn fence(&mut self, fence: u64, waits: bool) {
        let segment = self.segments.len().saturating_sub(1);
        self.fences.push(FenceUse { segment, fence, waits });
    }

    /// Copies bytes into the recording, aligned for every type that a kernel has.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Slot {
        const ALIGN: usize = 16;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        if !bytes.len().is_multiple_of(ALIGN) {
            self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        }
        Slot::Bytes { length: bytes.len() as u32, start }
    }

    /// Part of the memory at an index.
    #[inline]
    pub(crate) fn part(&mut self, object: ObjectIndex, range: Range<usize>) -> Slot {
        self.parts.push(range);
        Slot::Part { object, part: self.parts.len() as u32 - 1 }
    }

    /// The pipeline at an index.
    pub(crate) fn pipeline_at(&self, index: ObjectIndex) -> Option<&Arc<Pipeline>> {
        match self.objects.get(index as usize) {
            Some(Object::Pipeline(pipeline)) => Some(pipeline),
            _ => None,
        }
    }

    /// The length of the memory at an index; 0 for other objects.
    pub(crate) fn length_at(&self, index: ObjectIndex) -> usize {
        match self.objects.get(index as usize) {
            Some(Object::Memory(memory)) => memory.length(),
            _ => 0,
        }
    }

    pub(crate) fn copy_pixels(&mut self, copy: PixelCopy) {
        self.commands.push(Command::CopyPixels(self.pixels.len() as u32));
        self.pixels.push(copy);
    }

    pub(crate) fn copy_tensor(&mut self, copy: TensorCopy) {
        self.commands.push(Command::CopyTensor(self.tensors.len() as u32));
        self.tensors.push(copy);
    }

    /// The bytes of its larger vectors.
    fn bytes(&self) -> usize {
        self.commands.capacity() * size_of::<Command>()
            + self.slots.capacity() * size_of::<Slot>()
            + self.bytes.capacity()
    }
}

/// Cleared recordings, whose allocations later command buffers use again.
#[derive(Default)]
pub(crate) struct RecordingPool {
    /// The device that runs their commands.
    processor: Option<&'static Processor>,
    list: Mutex<Vec<Box<Recording>>>,
}

impl RecordingPool {
    /// How many recordings are kept: as many as one of Metal's queues has command buffers in flight.
    const MAX: usize = 64;

    pub(crate) fn new(processor: Option<&'static Processor>) -> Self {
        Self { processor, list: Mutex::default() }
    }

    pub(crate) fn take(&self) -> Box<Recording> {
        lock(&self.list).pop().unwrap_or_else(|| {
            Box::new(Recording { processor: self.processor, ..Recording::new() })
        })
    }

    /// Frees the recordings that are kept.
    pub(crate) fn empty(&self) {
        let _old = std::mem::take(&mut *lock(&self.list));
    }

    /// The bytes of the recordings that are kept.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.list).iter().map(|recording| recording.bytes()).sum()
    }

    /// Takes a recording back. What it kept alive is released here.
    pub(crate) fn recycle(&self, mut recording: Box<Recording>) {
        recording.clear();
        let mut pool = lock(&self.list);
        if pool.len() < Self::MAX {
            pool.push(recording);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Objects that a kernel uses in turn are known although the hashes of two of them are equal.
    #[test]
    fn objects_with_equal_hashes_are_recognised() {
        let all: Vec<_> = (0..=HASHES).map(|_| Memory::pages(1).unwrap()).collect();
        let hash = |memory: &Arc<Memory>| Recording::hash(Arc::as_ptr(memory).cast());
        let pairs = all
            .iter()
            .enumerate()
            .flat_map(|(i, one)| all[..i].iter().map(move |other| (one, other)));
        let (one, other) = { pairs }.find(|(one, other)| hash(one) == hash(other)).unwrap();
        let mut recording = Recording::new();
        let mut bind = |memory| recording.memory(memory, || false);
        let first = [bind(one), bind(other)];
        for _ in 0..10 {
            assert_eq!([bind(one), bind(other)], first);
        }
        assert_eq!((first, recording.objects.len()), ([0, 1], 2));
        recording.clear();
        assert_eq!((recording.memory(other, || false), recording.objects.len()), (0, 1));
    }
}
