//! The argument table of a compute encoder.

use crate::soft::ir::Sampler;
use crate::soft::kernel::{ArgumentKind, limits};

/// An index into the objects of a recording.
pub(crate) type ObjectIndex = u32;

/// One argument of a dispatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Nothing is bound.
    #[default]
    Empty,
    /// A buffer from an offset on.
    Buffer { object: ObjectIndex, offset: usize },
    /// A part of a buffer: an index into [`Recording::parts`](super::recording::Recording::parts), so that slots stay small.
    Part { object: ObjectIndex, part: u32 },
    /// Bytes of the recording.
    Bytes { length: u32, start: usize },
    /// Threadgroup memory of this many bytes.
    Threadgroup { length: usize },
    /// A texture.
    Texture { object: ObjectIndex },
    /// A sampler.
    Sampler(Sampler),
    /// Memory by its address, which is looked up among the residents when the dispatch runs.
    Address(u64),
    /// A texture by its resource ID, likewise.
    TextureId(u64),
    /// After the arguments of a kernel that follows pointers in memory: which entries of
    /// [`Recording::residents`](super::recording::Recording::residents) it may reach.
    Residents { start: u32, end: u32 },
}

/// The argument table of a compute encoder.
pub(crate) struct Table {
    pub(crate) pipeline: Option<ObjectIndex>,
    /// The bindings: buffers, threadgroup memory, samplers, textures. There are 256 slots, so that an [`Entry`] is
    /// never out of bounds.
    slots: [Slot; 1 << u8::BITS],
    /// Whether anything other than buffers was bound.
    others: bool,
}

/// The number of a slot in a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u8);

/// The sizes of the tables.
pub(crate) const BUFFERS: usize = limits::BUFFERS as usize;
pub(crate) const TEXTURES: usize = limits::TEXTURES as usize;
pub(crate) const SAMPLERS: usize = limits::SAMPLERS as usize;

impl Entry {
    /// A slot that is always empty.
    pub(crate) const NONE: Self = Self(BUFFERS as u8);

    /// The first slot of a kind, and how many there are.
    const fn range(kind: ArgumentKind) -> (usize, usize) {
        match kind {
            ArgumentKind::Buffer => (0, BUFFERS),
            ArgumentKind::Threadgroup => (32, BUFFERS),
            ArgumentKind::Sampler => (64, SAMPLERS),
            ArgumentKind::Texture => (128, TEXTURES),
        }
    }

    /// The slot of an index; `None` if it is past the limit.
    #[inline]
    pub(crate) fn of(kind: ArgumentKind, index: usize) -> Option<Self> {
        let (first, count) = Self::range(kind);
        (index < count).then(|| Self((first + index) as u8))
    }
}

impl Entry {
    /// The position of a buffer or of threadgroup memory among those that indirect commands inherit.
    pub(crate) fn inherited(self) -> Option<usize> {
        match usize::from(self.0) {
            at if at < BUFFERS => Some(at),
            at @ 32.. if at < 32 + BUFFERS => Some(at - 32 + BUFFERS),
            _ => None,
        }
    }
}

impl Table {
    /// The bindings that indirect commands inherit: the buffers, then the threadgroup memory.
    pub(crate) fn inherited(&self) -> impl Iterator<Item = Slot> {
        self.slots[..BUFFERS].iter().chain(&self.slots[32..32 + BUFFERS]).copied()
    }

    pub(crate) const EMPTY: Self =
        Self { pipeline: None, slots: [Slot::Empty; 1 << u8::BITS], others: false };

    /// The bindings.
    #[inline]
    pub(crate) fn get(&self, entry: Entry) -> Slot {
        self.slots[usize::from(entry.0)]
    }

    /// Binds something; `None` if the index is past the limit.
    #[inline]
    pub(crate) fn bind(&mut self, kind: ArgumentKind, index: usize, slot: Slot) -> Option<()> {
        let entry = Entry::of(kind, index)?;
        self.slots[usize::from(entry.0)] = slot;
        self.others |= kind != ArgumentKind::Buffer;
        Some(())
    }

    /// Unbinds all but the pipeline and the threadgroup memory.
    pub(crate) fn clear_arguments(&mut self) {
        for kind in [ArgumentKind::Buffer, ArgumentKind::Sampler, ArgumentKind::Texture] {
            let (first, count) = Entry::range(kind);
            self.slots[first..first + count].fill(Slot::Empty);
        }
    }

    /// Clears the table for a new encoder.
    pub(crate) fn clear(&mut self) {
        if self.others {
            *self = Self::EMPTY;
        } else {
            self.pipeline = None;
            self.slots[..BUFFERS].fill(Slot::Empty);
        }
    }
}
