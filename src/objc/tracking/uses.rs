//! The memory that a command buffer uses, collected from the messages to its encoders.

use super::record::{Footprint, Record};
use super::{Moment, Residents, Tracker};
use crate::abi::Id;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// How many buffers can be bound.
const SLOTS: usize = 31;

/// The halves of [`Encoding::bound`].
const BOUND: u64 = u32::MAX as u64;
const PENDING: u32 = 32;

/// The memory that a command buffer uses, as far as it is encoded.
#[derive(Debug)]
pub(super) struct Uses {
    /// A unique number, in the high bits; [`NO_SERIAL`] while the list is empty.
    serial: u64,
    pub(super) list: Vec<Use>,
}

#[derive(Debug)]
pub(super) struct Use {
    pub(super) record: Arc<Record>,
    pub(super) writes: bool,
}

/// A stamp is a serial and a position of this many bits.
const POSITION_BITS: u32 = 24;
const POSITIONS: u64 = (1 << POSITION_BITS) - 1;
/// A serial that no record's stamp has.
const NO_SERIAL: u64 = !POSITIONS;

impl Default for Uses {
    fn default() -> Self {
        Self { serial: NO_SERIAL, list: Vec::new() }
    }
}

impl Uses {
    /// The position of a record, if its stamp says that it is in the list.
    ///
    /// A command buffer on another thread may overwrite the stamp: then the record is listed twice, which
    /// does no harm.
    #[inline(always)]
    fn position(&self, record: &Record) -> Option<usize> {
        let stamp = record.stamp.load(Relaxed);
        (stamp & !POSITIONS == self.serial).then_some((stamp & POSITIONS) as usize)
    }

    /// Records a use; returns its position in the list.
    pub(super) fn note(&mut self, record: &Arc<Record>, writes: bool) -> usize {
        let position = self.position(record).unwrap_or_else(|| self.add(record));
        self.list[position].writes |= writes;
        position
    }

    /// Appends a record.
    fn add(&mut self, record: &Arc<Record>) -> usize {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let position = self.list.len();
        if position == 0 {
            self.serial = SERIAL.fetch_add(1, Relaxed) << POSITION_BITS;
            self.list.reserve(4);
        }
        self.list.push(Use { record: Arc::clone(record), writes: false });
        if position as u64 <= POSITIONS {
            record.stamp.store(self.serial | position as u64, Relaxed);
        }
        position
    }
}

/// The memory that an encoder uses, and what is bound.
#[derive(Debug)]
pub(super) struct Encoding {
    /// Taken from the command buffer at the first use.
    uses: Uses,
    tracker: Arc<Tracker>,
    /// For each index of a buffer: its position in the list, plus one; 0 if nothing is bound.
    slots: [u32; SLOTS],
    /// A bit for each index that something is bound to; in the high half, for each index whose use by the pipeline is
    /// not in the list yet. It is one word, because a load that spans two earlier stores waits for both.
    bound: u64,
    /// A bit for each index that the pipeline may write to.
    written: u32,
}

impl Encoding {
    fn new(tracker: Arc<Tracker>) -> Self {
        let uses = Uses::default();
        Self { uses, tracker, slots: [0; SLOTS], bound: 0, written: u32::MAX }
    }

    /// Records a use; returns its position in the list.
    #[inline]
    fn note(&mut self, record: &Arc<Record>, writes: bool) -> usize {
        match self.uses.position(record) {
            Some(position) => {
                if writes {
                    self.uses.list[position].writes = true;
                }
                position
            }
            None => self.add(record, writes),
        }
    }

    /// Records a use that is not in the list, or not in the list of this encoder yet.
    #[cold]
    #[inline(never)]
    fn add(&mut self, record: &Arc<Record>, writes: bool) -> usize {
        if self.uses.list.is_empty() {
            self.uses = self.tracker.take();
        }
        self.uses.note(record, writes)
    }

    fn note_all(&mut self, footprint: &Footprint, writes: bool) {
        footprint.records().for_each(|record| _ = self.note(record, writes));
    }

    /// Records all records except the first as written.
    #[cold]
    #[inline(never)]
    fn note_rest(&mut self, footprint: &Footprint) {
        footprint.rest.iter().for_each(|record| _ = self.note(record, true));
    }

    #[inline]
    fn bind(&mut self, index: Option<usize>, position: Option<usize>) {
        let Some((index, slot)) = index.and_then(|index| Some((index, self.slots.get_mut(index)?)))
        else {
            // The index is unknown, or Metal will refuse it. If Metal accepts it, the buffer may be used in any way.
            if let Some(position) = position {
                self.uses.list[position].writes = true;
            }
            return;
        };
        let bits = (1 << PENDING | 1) << index;
        match position {
            Some(position) => {
                *slot = position as u32 + 1;
                self.bound |= bits;
            }
            None => self.bound &= !bits,
        }
    }

    /// Marks the uses of everything that is bound as not recorded yet.
    #[inline]
    fn renew(&mut self) {
        let bound = self.bound & BOUND;
        self.bound = bound << PENDING | bound;
    }

    /// A launch: everything bound is used in the way that the pipeline uses it.
    #[inline]
    fn launch(&mut self, written: u32) {
        let mut pending = (self.bound >> PENDING) as u32 & written;
        self.bound &= BOUND;
        while pending != 0 {
            let position = self.slots[pending.trailing_zeros() as usize] as usize - 1;
            self.uses.list[position].writes = true;
            pending &= pending - 1;
        }
    }
}

/// Receives the arguments of a message to an encoder or a command buffer.
#[derive(Debug)]
pub struct Passed<'a> {
    to: To<'a>,
    moment: Moment,
    /// Whether a resource was among the arguments before.
    seen: bool,
    bound: Option<usize>,
    /// The last argument, if it is a number that can be an index.
    number: Option<usize>,
}

/// The destination of the uses.
#[derive(Debug)]
enum To<'a> {
    Encoder(&'a mut Encoding),
    /// A residency set: commands that no encoder tracks may use them.
    Kept(&'a mut Kept),
}

/// The resources and sets that a message passes to a residency set, a queue or a command buffer.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The addresses of the objects, and the records of their memory.
    pub(super) resources: Vec<(usize, Vec<Arc<Record>>)>,
    /// Residency sets, by their members.
    pub(super) sets: Vec<Arc<Residents>>,
}

impl Kept {
    /// Collects the resources among the arguments of a message.
    pub(super) fn of(arguments: impl FnOnce(&mut Passed<'_>)) -> Self {
        let mut kept = Self::default();
        arguments(&mut Passed::new(To::Kept(&mut kept), Moment::Keep));
        kept
    }
}

impl<'a> Passed<'a> {
    #[inline(always)]
    fn new(to: To<'a>, moment: Moment) -> Self {
        Self { to, moment, seen: false, bound: None, number: None }
    }

    /// A residency set, by its members.
    pub(crate) fn set(&mut self, members: &Arc<Residents>) {
        if let To::Kept(kept) = &mut self.to {
            kept.sets.push(Arc::clone(members));
        }
    }

    /// A resource, and whether its own settings forbid that kernels write it.
    #[inline]
    pub(crate) fn resource(&mut self, object: Id, footprint: &Footprint, read_only: bool) {
        let encoding = match &mut self.to {
            To::Encoder(encoding) => encoding,
            To::Kept(kept) => {
                let records = footprint.records().cloned().collect();
                return kept.resources.push((object.as_ptr().addr(), records));
            }
        };
        if self.moment == Moment::Bind {
            self.bound = Some(encoding.note(&footprint.first, false));
            if !footprint.rest.is_empty() {
                encoding.note_rest(footprint);
            }
            return;
        }
        let reads = match self.moment {
            Moment::Texture => read_only,
            Moment::Launch => true,
            Moment::Copy => !self.seen,
            _ => false,
        };
        self.seen = true;
        encoding.note_all(footprint, !reads);
    }

    /// A pipeline, and the indices of buffers that it may write, a bit each.
    #[inline]
    pub(crate) fn pipeline(&mut self, written: u32) {
        if let To::Encoder(encoding) = &mut self.to {
            encoding.written = written;
        }
    }

    /// An integer. If it is the last argument of a message that binds, it is the index; `None` stands for a negative one.
    #[inline(always)]
    pub(in crate::objc) fn number(&mut self, number: Option<usize>) {
        self.number = number;
    }

    /// An argument that is neither a resource nor an integer. If the index is passed as one, the index is unknown.
    #[inline(always)]
    pub(in crate::objc) fn other(&mut self) {
        self.number = None;
    }
}

/// The uses of an encoder; part of the state of its wrapper.
#[derive(Debug, Default)]
pub(crate) struct EncoderUses(RefCell<Option<Encoding>>);

impl EncoderUses {
    /// Called when a command buffer has made the encoder.
    pub(crate) fn begin(&self, tracker: &Arc<Tracker>) {
        *self.0.borrow_mut() = Some(Encoding::new(Arc::clone(tracker)));
    }

    /// Called before a message is sent.
    #[inline(always)]
    pub(crate) fn sending(&self, moment: Moment, arguments: impl FnOnce(&mut Passed<'_>)) {
        if moment == Moment::End {
            return self.end();
        }
        let mut encoding = self.0.borrow_mut();
        let Some(encoding) = &mut *encoding else { return };
        if moment == Moment::Pipeline {
            encoding.written = u32::MAX;
            encoding.renew();
        }
        let mut passed = Passed::new(To::Encoder(encoding), moment);
        arguments(&mut passed);
        let Passed { bound, number, .. } = passed;
        match moment {
            Moment::Bind => encoding.bind(number, bound),
            Moment::Launch => encoding.launch(encoding.written),
            Moment::Execute => {
                encoding.renew();
                encoding.launch(u32::MAX);
            }
            _ => {}
        }
    }

    /// Binds a buffer to an index, for methods from whose arguments this does not follow.
    pub(crate) fn bind(&self, footprint: Option<&Footprint>, index: usize) {
        self.sending(Moment::Bind, |passed| {
            if let Some(footprint) = footprint {
                passed.resource(Id::NIL, footprint, false);
            }
            passed.number(Some(index));
        });
    }

    /// Called when the encoder has ended: its uses go back to the command buffer.
    pub(crate) fn end(&self) {
        if let Some(Encoding { uses, tracker, .. }) = self.0.borrow_mut().take()
            && !uses.list.is_empty()
        {
            tracker.give_back(uses);
        }
    }
}
