//! What encoders record: plain data, in vectors that are used again by later command buffers.
//!
//! A command names objects by their place in [`Recording::kept`], which is what keeps them alive, and
//! a dispatch has a snapshot of just the arguments that its kernel takes, in the kernel's order.

use super::buffer::Buffer;
use super::event::Signal;
use super::fence::Fence;
use super::foundation::{Object, SoftClass, Strong};
use super::memory::Memory;
use super::pipeline::ComputePipelineState;
use super::resource::{UNTRACKED, hazard_tracking_mode};
use super::sampler::Sampler;
use super::texture::{Image, Texture};
use crate::abi::{MTLOrigin, MTLSize};
use crate::soft::kernel::{ArgumentKind, limits};
use std::sync::Arc;

/// An object of a recording, or as much of it as an unretained reference needs to be safe.
#[derive(Clone)]
pub(super) enum Kept {
    Buffer(Strong<Buffer>),
    /// A buffer that the command buffer does not retain.
    Memory(Arc<Memory>),
    Texture(Strong<Texture>),
    /// A texture that the command buffer does not retain.
    Image(Arc<Image>),
    Pipeline(Strong<ComputePipelineState>),
    Sampler(Strong<Sampler>),
    Event(Arc<Signal>),
    Fence(Strong<Fence>),
}

/// The place of an object in [`Recording::kept`].
pub(super) type Place = u32;

/// One argument of a dispatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing is bound.
    #[default]
    Empty,
    /// A buffer from an offset on.
    Buffer { place: Place, offset: usize },
    /// Bytes in [`Recording::bytes`].
    Bytes { length: u32, start: usize },
    /// So many bytes of threadgroup memory.
    Threadgroup { length: usize },
    /// A texture.
    Texture { place: Place },
    /// A sampler.
    Sampler { place: Place },
}

/// How many threads a dispatch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grid {
    /// So many.
    Threads([u32; 3]),
    /// So many threadgroups, as three words at this offset of a buffer say.
    Indirect { place: Place, offset: usize },
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Command {
    /// A kernel with its arguments, which begin at `slots`.
    Dispatch { pipeline: Place, slots: u32, grid: Grid, group: [u32; 3] },
    /// Dispatches from here to the next `Serial` may run in any order, but for barriers.
    Concurrent,
    /// Dispatches run in order again.
    Serial,
    /// What comes before is done before what comes after.
    Barrier,
    /// Copies bytes from buffer to buffer.
    CopyBuffer { from: Place, from_offset: usize, to: Place, to_offset: usize, length: usize },
    /// Fills a range of a buffer.
    FillBuffer { buffer: Place, start: usize, length: usize, value: u8 },
    /// Copies pixels, as this entry of [`Recording::pixels`] says.
    CopyPixels(u32),
    /// Makes the smaller mip levels of a texture from the larger.
    GenerateMipmaps(Place),
    /// Raises an event to a value.
    Signal { event: Place, value: u64 },
    /// Goes on when an event has reached a value.
    Wait { event: Place, value: u64 },
    /// Nothing to do: what this entry of [`Notes`] says begins, ends or is passed here.
    Note(u32),
}

/// What only a capture wants to know of a command buffer.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) list: Vec<Note>,
    /// The debug groups of the command buffer that are open.
    pub(super) groups: Vec<String>,
}

/// One of them.
pub(super) enum Note {
    /// An encoder begins, in debug groups of the command buffer.
    Encoder { protocol: &'static str, label: Option<String>, groups: Vec<String> },
    /// A debug group of an encoder begins.
    Push(String),
    /// And ends.
    Pop,
    /// A place is marked.
    Signpost(String),
}

/// Pixels in a texture: a slice, a level and where they begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pixels {
    pub(super) texture: Place,
    pub(super) slice: usize,
    pub(super) level: usize,
    pub(super) origin: MTLOrigin,
}

/// Pixels in a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rows {
    pub(super) buffer: Place,
    pub(super) offset: usize,
    pub(super) bytes_per_row: usize,
    pub(super) bytes_per_image: usize,
}

/// A copy with a texture on one side at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PixelCopy {
    ToTexture { from: Rows, to: Pixels, size: MTLSize },
    FromTexture { from: Pixels, to: Rows, size: MTLSize },
    Between { from: Pixels, to: Pixels, size: MTLSize },
}

/// The commands that an encoder recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A fence that an encoder waits for or updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FencePassed {
    pub(super) segment: usize,
    pub(super) fence: Place,
    pub(super) waits: bool,
}

/// How many objects are recognised when they are bound again.
const RECENT: usize = 64;

/// The commands of a command buffer.
pub(super) struct Recording {
    /// Whether objects are retained.
    pub(super) retaining: bool,
    pub(super) commands: Vec<Command>,
    pub(super) slots: Vec<Slot>,
    pub(super) bytes: Vec<u8>,
    pub(super) pixels: Vec<PixelCopy>,
    pub(super) kept: Vec<Kept>,
    /// What each encoder recorded, in order.
    pub(super) segments: Vec<Segment>,
    /// The fences that encoders passed.
    pub(super) fences: Vec<FencePassed>,
    /// Memory whose hazards the program tracks itself, by address.
    pub(super) untracked: Vec<*const Memory>,
    /// Addresses of objects bound lately, and their places: a binding that repeats costs no count.
    recent: [(*const (), Place); RECENT],
    /// The argument table of the encoder that is open.
    pub(super) table: Table,
    /// There while the command buffer is captured.
    pub(super) notes: Option<Box<Notes>>,
}

// SAFETY: the addresses in `recent` and `untracked` are compared only; everything else is.
unsafe impl Send for Recording {}

/// The argument table of a compute encoder.
pub(super) struct Table {
    pub(super) pipeline: Option<Place>,
    /// What is bound: buffers, threadgroup memory, samplers, textures. There are as many as a byte
    /// has values, so that an [`Entry`] is never out of bounds.
    slots: [Slot; 1 << u8::BITS],
    /// Whether anything but buffers was bound.
    others: bool,
}

/// The number of a slot in a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u8);

/// The sizes of the tables.
pub(super) const BUFFERS: usize = limits::BUFFERS as usize;
pub(super) const TEXTURES: usize = limits::TEXTURES as usize;
pub(super) const SAMPLERS: usize = limits::SAMPLERS as usize;

impl Entry {
    /// A slot that nothing is ever bound to.
    pub(super) const NONE: Self = Self(BUFFERS as u8);

    /// The first slot of a kind, and how many there are.
    const fn range(kind: ArgumentKind) -> (usize, usize) {
        match kind {
            ArgumentKind::Buffer => (0, BUFFERS),
            ArgumentKind::Threadgroup => (32, BUFFERS),
            ArgumentKind::Sampler => (64, SAMPLERS),
            ArgumentKind::Texture => (128, TEXTURES),
        }
    }

    /// The slot of an index; none if it is beyond the limit.
    #[inline]
    pub(super) fn of(kind: ArgumentKind, index: usize) -> Option<Self> {
        let (first, count) = Self::range(kind);
        (index < count).then(|| Self((first + index) as u8))
    }
}

impl Table {
    const EMPTY: Self = Self { pipeline: None, slots: [Slot::Empty; 1 << u8::BITS], others: false };

    /// What is bound.
    #[inline]
    pub(super) fn get(&self, entry: Entry) -> Slot {
        self.slots[usize::from(entry.0)]
    }

    /// Binds something; none is bound if the index is beyond the limit.
    #[inline]
    pub(super) fn bind(&mut self, kind: ArgumentKind, index: usize, slot: Slot) -> Option<()> {
        let entry = Entry::of(kind, index)?;
        self.slots[usize::from(entry.0)] = slot;
        self.others |= kind != ArgumentKind::Buffer;
        Some(())
    }

    /// Forgets everything, as a new encoder starts.
    pub(super) fn clear(&mut self) {
        if self.others {
            *self = Self::EMPTY;
        } else {
            self.pipeline = None;
            self.slots[..BUFFERS].fill(Slot::Empty);
        }
    }
}

impl Recording {
    pub(super) fn new() -> Self {
        Self {
            retaining: true,
            commands: Vec::new(),
            slots: Vec::new(),
            bytes: Vec::new(),
            pixels: Vec::new(),
            kept: Vec::new(),
            segments: Vec::new(),
            fences: Vec::new(),
            untracked: Vec::new(),
            recent: [(std::ptr::null(), 0); RECENT],
            table: Table::EMPTY,
            notes: None,
        }
    }

    /// Notes something, if somebody wants to know.
    #[inline]
    pub(super) fn note(&mut self, note: impl FnOnce(&Notes) -> Note) {
        if let Some(notes) = &mut self.notes {
            self.commands.push(Command::Note(notes.list.len() as u32));
            let note = note(notes);
            notes.list.push(note);
        }
    }

    /// Forgets everything but the room for it. What was very large is given back.
    pub(super) fn clear(&mut self) {
        const ROOM: usize = 1 << 16;
        self.commands.clear();
        self.slots.clear();
        self.bytes.clear();
        self.pixels.clear();
        self.kept.clear();
        self.segments.clear();
        self.fences.clear();
        self.untracked.clear();
        self.notes = None;
        self.commands.shrink_to(ROOM);
        self.slots.shrink_to(ROOM);
        self.bytes.shrink_to(ROOM);
        self.pixels.shrink_to(ROOM);
        self.kept.shrink_to(ROOM);
        self.recent = [(std::ptr::null(), 0); RECENT];
    }

    /// Where an address is remembered.
    fn hash(address: *const ()) -> usize {
        ((address.addr() >> 4) ^ (address.addr() >> 10)) % RECENT
    }

    /// The place of what is at `address`, if it was kept of late.
    #[inline]
    fn known(&self, address: *const ()) -> Option<Place> {
        let (known, place) = self.recent[Self::hash(address)];
        (known == address).then_some(place)
    }

    /// Keeps something and remembers its place by an address: that of a thing which is kept alive by
    /// it, so that the address cannot be another's while it is remembered.
    fn keep(&mut self, address: *const (), kept: Kept) -> Place {
        let place = self.kept.len() as Place;
        self.kept.push(kept);
        self.recent[Self::hash(address)] = (address, place);
        place
    }

    #[inline]
    pub(super) fn buffer(&mut self, buffer: &Object<Buffer>) -> Place {
        match self.known(Arc::as_ptr(&buffer.memory).cast()) {
            Some(place) => place,
            None => self.keep_buffer(buffer),
        }
    }

    #[cold]
    fn keep_buffer(&mut self, buffer: &Object<Buffer>) -> Place {
        let memory = Arc::as_ptr(&buffer.memory);
        if hazard_tracking_mode::<Buffer>(buffer) == UNTRACKED {
            self.untracked.push(memory);
        }
        let kept = match self.retaining {
            true => Kept::Buffer(buffer.retain()),
            false => Kept::Memory(Arc::clone(&buffer.memory)),
        };
        self.keep(memory.cast(), kept)
    }

    pub(super) fn texture(&mut self, texture: &Object<Texture>) -> Place {
        let image = Arc::as_ptr(&texture.image).cast();
        if let Some(place) = self.known(image) {
            return place;
        }
        if hazard_tracking_mode::<Texture>(texture) == UNTRACKED {
            self.untracked.push(texture.image.memory());
        }
        let kept = match self.retaining {
            true => Kept::Texture(texture.retain()),
            false => Kept::Image(Arc::clone(&texture.image)),
        };
        self.keep(image, kept)
    }

    #[inline]
    pub(super) fn pipeline(&mut self, pipeline: &Object<ComputePipelineState>) -> Place {
        self.object(pipeline, Kept::Pipeline)
    }

    pub(super) fn sampler(&mut self, sampler: &Object<Sampler>) -> Place {
        self.object(sampler, Kept::Sampler)
    }

    /// The encoder that is open passes a fence.
    pub(super) fn fence(&mut self, fence: &Object<Fence>, waits: bool) {
        let fence = self.object(fence, Kept::Fence);
        let segment = self.segments.len().saturating_sub(1);
        self.fences.push(FencePassed { segment, fence, waits });
    }

    pub(super) fn event(&mut self, event: &Arc<Signal>) -> Place {
        let address = Arc::as_ptr(event).cast();
        self.known(address).unwrap_or_else(|| self.keep(address, Kept::Event(Arc::clone(event))))
    }

    /// The place of an object that is retained whatever the command buffer does.
    #[inline]
    fn object<P: SoftClass>(&mut self, object: &Object<P>, kept: fn(Strong<P>) -> Kept) -> Place {
        let address = object.id().as_ptr().cast_const().cast();
        match self.known(address) {
            Some(place) => place,
            None => self.keep(address, kept(object.retain())),
        }
    }

    /// Copies bytes into the recording, aligned for every type that a kernel has.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) -> Slot {
        const ALIGN: usize = 16;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        if !bytes.len().is_multiple_of(ALIGN) {
            self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        }
        Slot::Bytes { length: bytes.len() as u32, start }
    }

    /// The pipeline at a place, which holds one.
    pub(super) fn pipeline_at(&self, place: Place) -> Option<&Strong<ComputePipelineState>> {
        match self.kept.get(place as usize) {
            Some(Kept::Pipeline(pipeline)) => Some(pipeline),
            _ => None,
        }
    }
}
