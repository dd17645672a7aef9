//! What a command buffer uses, collected from the messages to its encoders.

use super::record::{Footprint, Record};
use super::{Moment, Tracker};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// How many buffers can be bound.
const SLOTS: usize = 31;

/// The halves of [`Uses::bound`].
const BOUND: u64 = u32::MAX as u64;
const PENDING: u32 = 32;

/// What a command buffer uses, as far as it is encoded.
#[derive(Debug)]
pub(crate) struct Uses {
    /// Different from that of all others, in the high bits.
    serial: u64,
    pub(super) list: Vec<Use>,
    /// For each index of a buffer: its position in the list, plus one; 0 if nothing is bound.
    slots: [u32; SLOTS],
    /// The indices that something is bound to, a bit each; in the high half, those whose use by the pipeline is
    /// not in the list yet. It is one word, because a load of two words that were stored one by one waits for both.
    bound: u64,
    /// Those that the pipeline may write.
    written: u32,
}

#[derive(Debug)]
pub(super) struct Use {
    pub(super) record: Arc<Record>,
    pub(super) writes: bool,
    /// It is a residency set's, not a command buffer's: counted with the footprints.
    kept: bool,
}

impl Drop for Use {
    fn drop(&mut self) {
        if self.kept {
            self.record.discount();
        }
    }
}

/// A stamp is a serial and a position of this many bits.
const POSITION_BITS: u32 = 24;
const POSITIONS: u64 = (1 << POSITION_BITS) - 1;

impl Uses {
    pub(super) fn new() -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        Self {
            serial: SERIAL.fetch_add(1, Relaxed) << POSITION_BITS,
            list: Vec::with_capacity(4),
            slots: [0; SLOTS],
            bound: 0,
            written: u32::MAX,
        }
    }

    /// Notes a use; returns its position in the list.
    ///
    /// The record's stamp says whether it is in the list already. A command buffer on another thread
    /// may overwrite the stamp: then the record is listed twice, which does no harm.
    #[inline]
    pub(super) fn note(&mut self, record: &Arc<Record>, writes: bool) -> usize {
        let stamp = record.stamp.load(Relaxed);
        if stamp & !POSITIONS == self.serial {
            let position = (stamp & POSITIONS) as usize;
            if writes {
                self.list[position].writes = true;
            }
            return position;
        }
        self.add(record, writes)
    }

    /// Lists a record.
    #[cold]
    #[inline(never)]
    fn add(&mut self, record: &Arc<Record>, writes: bool) -> usize {
        let position = self.list.len();
        self.list.push(Use { record: Arc::clone(record), writes, kept: false });
        if position as u64 <= POSITIONS {
            record.stamp.store(self.serial | position as u64, Relaxed);
        }
        position
    }

    fn note_all(&mut self, footprint: &Footprint, writes: bool) {
        footprint.records().for_each(|record| _ = self.note(record, writes));
    }

    /// Notes all records but the first as written.
    #[cold]
    #[inline(never)]
    fn note_rest(&mut self, footprint: &Footprint) {
        footprint.rest.iter().for_each(|record| _ = self.note(record, true));
    }

    /// Notes records of a residency set as written. They stay in the list, and count as footprints.
    pub(super) fn keep(&mut self, records: &[Arc<Record>]) {
        let first = self.list.len();
        for record in records {
            self.note(record, true);
        }
        for one in &mut self.list[first..] {
            one.kept = true;
            one.record.count();
        }
    }

    /// What is bound is bound to the previous encoder.
    fn begin_encoder(&mut self) {
        (self.slots, self.bound, self.written) = ([0; SLOTS], 0, u32::MAX);
    }

    #[inline]
    fn bind(&mut self, index: Option<usize>, position: Option<usize>) {
        let Some((index, slot)) = index.and_then(|index| Some((index, self.slots.get_mut(index)?)))
        else {
            // The index is not known, or Metal refuses it; if it does not, anything may happen with the buffer.
            if let Some(position) = position {
                self.list[position].writes = true;
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

    /// How the pipeline uses what is bound is to be noted.
    #[inline]
    fn renew(&mut self) {
        let bound = self.bound & BOUND;
        self.bound = bound << PENDING | bound;
    }

    /// A launch: what is bound is used as the pipeline does.
    #[inline]
    fn launch(&mut self, written: u32) {
        let mut pending = (self.bound >> PENDING) as u32 & written;
        self.bound &= BOUND;
        while pending != 0 {
            let position = self.slots[pending.trailing_zeros() as usize] as usize - 1;
            self.list[position].writes = true;
            pending &= pending - 1;
        }
    }
}

/// Receives the arguments of a message to an encoder or a command buffer.
#[derive(Debug)]
pub struct Passed<'a> {
    uses: &'a mut Uses,
    moment: Moment,
    /// Whether a resource was among the arguments before.
    seen: bool,
    bound: Option<usize>,
    /// The last argument, if it is a number that can be an index.
    number: Option<usize>,
    /// Where the arguments are collected instead, if they are used by means that no encoder sees.
    pub(super) kept: Option<&'a mut Kept>,
}

/// What a message makes reachable for all that follows.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) records: Vec<Arc<Record>>,
    /// Residency sets, by what they hold.
    pub(super) sets: Vec<Arc<Tracker>>,
}

impl<'a> Passed<'a> {
    #[inline(always)]
    pub(super) fn new(uses: &'a mut Uses, moment: Moment) -> Self {
        Self { uses, moment, seen: false, bound: None, number: None, kept: None }
    }

    /// A residency set, with what it holds.
    pub(crate) fn set(&mut self, members: &Arc<Tracker>) {
        if let Some(kept) = &mut self.kept {
            kept.sets.push(Arc::clone(members));
        }
    }

    /// A resource, and whether its own settings forbid that kernels write it.
    #[inline]
    pub(crate) fn resource(&mut self, footprint: &Footprint, read_only: bool) {
        if self.moment == Moment::Bind {
            self.bound = Some(self.uses.note(&footprint.first, false));
            if !footprint.rest.is_empty() {
                self.uses.note_rest(footprint);
            }
            return;
        }
        if let Some(kept) = &mut self.kept {
            return kept.records.extend(footprint.records().cloned());
        }
        let reads = match self.moment {
            Moment::Texture => read_only,
            Moment::Launch => true,
            Moment::Copy => !self.seen,
            _ => false,
        };
        self.seen = true;
        self.uses.note_all(footprint, !reads);
    }

    /// A pipeline, and the indices of buffers that it may write, a bit each.
    #[inline]
    pub(crate) fn pipeline(&mut self, written: u32) {
        self.uses.written = written;
    }

    /// An integer. If it is the last argument of a message that binds, it is the index; `None` is a negative one.
    #[inline(always)]
    pub(in crate::objc) fn number(&mut self, number: Option<usize>) {
        self.number = number;
    }

    /// An argument that is neither a resource nor an integer. If the index is passed as one, it is not known.
    #[inline(always)]
    pub(in crate::objc) fn other(&mut self) {
        self.number = None;
    }
}

/// What an encoder uses; a part of the state of its wrapper.
#[derive(Debug, Default)]
pub(crate) struct EncoderUses(RefCell<Option<(Box<Uses>, Arc<Tracker>)>>);

impl EncoderUses {
    /// The encoder belongs to a command buffer.
    pub(crate) fn begin(&self, tracker: &Arc<Tracker>) {
        let mut uses = tracker.take();
        uses.begin_encoder();
        *self.0.borrow_mut() = Some((uses, Arc::clone(tracker)));
    }

    /// A message is about to be sent.
    #[inline(always)]
    pub(crate) fn sending(&self, moment: Moment, arguments: impl FnOnce(&mut Passed<'_>)) {
        if moment == Moment::End {
            return self.end();
        }
        let mut uses = self.0.borrow_mut();
        let Some((uses, _)) = &mut *uses else { return };
        if moment == Moment::Pipeline {
            uses.written = u32::MAX;
            uses.renew();
        }
        let mut passed = Passed::new(uses, moment);
        arguments(&mut passed);
        let Passed { uses, bound, number, .. } = passed;
        match moment {
            Moment::Bind => uses.bind(number, bound),
            Moment::Launch => uses.launch(uses.written),
            Moment::Execute => {
                uses.renew();
                uses.launch(u32::MAX);
            }
            _ => {}
        }
    }

    /// A buffer is bound to an index by a method whose arguments do not say so.
    pub(crate) fn bind(&self, footprint: Option<&Footprint>, index: usize) {
        self.sending(Moment::Bind, |passed| {
            if let Some(footprint) = footprint {
                passed.resource(footprint, false);
            }
            passed.number(Some(index));
        });
    }

    /// The encoder has ended: what it used is the command buffer's.
    pub(crate) fn end(&self) {
        if let Some((uses, tracker)) = self.0.borrow_mut().take() {
            tracker.give_back(uses);
        }
    }
}
