//! The memory that a command buffer uses, collected from the messages to its encoders.

use super::record::{EncodedRef, Footprint, LiveRecord, Record, RecordRef, drop_unused};
use super::{LazyFootprint, MessageUse, Object, Residents, Tracker};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// How many buffers can be bound.
const SLOTS: usize = 31;

/// The memory that a command buffer uses, as far as it is encoded.
#[derive(Debug)]
pub(super) struct Uses {
    /// A unique number, in the high bits; [`NO_SERIAL`] while the list is empty.
    serial: u64,
    pub(super) list: Vec<Use>,
}

#[derive(Debug)]
pub(super) struct Use {
    pub(super) record: EncodedRef,
    pub(super) writes: bool,
    /// Only a residency set has the memory, which lists the command buffer instead of the record.
    by_set: bool,
    /// When it began, if that is listed; otherwise 0.
    pub(super) begun: u64,
}

impl Drop for Use {
    #[inline]
    fn drop(&mut self) {
        if self.begun != 0 && !self.by_set {
            self.record.end(self.begun);
        }
    }
}

/// A stamp is a serial and the number of an entry, of this many bits.
const ENTRY_BITS: u32 = 20;
const ENTRIES: u64 = (1 << ENTRY_BITS) - 1;
/// A serial that no record's stamp has. Nor has one 0, which a record's stamp is before the record was in a list.
const NO_SERIAL: u64 = !ENTRIES;

/// The serial of the list of a number, counted from 1.
fn serial(number: u64) -> u64 {
    const LAST: u64 = (NO_SERIAL >> ENTRY_BITS) - 1;
    assert!(
        number <= LAST,
        "2^44 command buffers have been encoded with tracked memory, after which their serials would repeat: start the \
         program again"
    );
    number << ENTRY_BITS
}

/// The number of a record's entry in a list, counted from 1, if the record's stamp says that it is in the list.
///
/// A command buffer on another thread may overwrite the stamp: then the record is listed twice, which does no harm.
#[inline(always)]
fn entry(stamp: u64, serial: u64) -> Option<u32> {
    let number = stamp ^ serial;
    (number <= ENTRIES).then_some(number as u32)
}

impl Default for Uses {
    fn default() -> Self {
        Self { serial: NO_SERIAL, list: Vec::new() }
    }
}

impl Uses {
    /// Records a use; returns the number of its entry.
    pub(super) fn record_use(&mut self, record: &RecordRef, writes: bool) -> u32 {
        let number = self.entry(record).unwrap_or_else(|| self.add(record.into()));
        self.list[number as usize - 1].writes |= writes;
        number
    }

    /// Records a use by a residency set that the command buffer uses since an epoch.
    pub(super) fn record_set_use(&mut self, record: &RecordRef, begun: u64) {
        match self.entry(record) {
            Some(number) => {
                let one = &mut self.list[number as usize - 1];
                one.begun = one.begun.min(begun);
            }
            None => {
                let record = EncodedRef::new(record.into());
                _ = self.append(Use { record, writes: true, by_set: true, begun });
            }
        }
    }

    /// The number of a record's entry. Begins the list if it is empty.
    fn entry(&mut self, record: &Record) -> Option<u32> {
        if self.list.is_empty() {
            self.begin();
        }
        entry(record.stamp.load(Relaxed), self.serial)
    }

    /// Appends a record to a list that has begun.
    #[inline(always)]
    fn add(&mut self, record: LiveRecord<'_>) -> u32 {
        let (record, begun) = (EncodedRef::new(record), record.begin());
        self.append(Use { record, writes: false, by_set: false, begun })
    }

    #[inline(always)]
    fn append(&mut self, one: Use) -> u32 {
        let number = self.list.len() + 1;
        if number as u64 <= ENTRIES {
            one.record.stamp.store(self.serial | number as u64, Relaxed);
        }
        self.list.push(one);
        number as u32
    }
}

impl Uses {
    /// Begins a list.
    fn begin(&mut self) {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        self.serial = serial(SERIAL.fetch_add(1, Relaxed));
        self.list.reserve(8);
    }

    /// An empty list, with the memory of an earlier one of this thread if there is one.
    pub(super) fn spare() -> Self {
        let list = SPARE.try_with(Cell::take).unwrap_or_default();
        Self { serial: NO_SERIAL, list }
    }

    /// Drops the entries, which may run any code. The thread keeps the memory of the list, unless that is large: 48 KiB.
    pub(super) fn retire(mut self) {
        const MAX: usize = 2048;
        let mut list = std::mem::take(&mut self.list);
        end(&mut list);
        if (1..=MAX).contains(&list.capacity()) {
            _ = SPARE.try_with(|spare| spare.set(list));
        }
    }
}

impl Drop for Uses {
    /// For lists of command buffers that were not submitted, and of encoders. No list with entries is dropped under a lock.
    #[inline]
    fn drop(&mut self) {
        if !self.list.is_empty() {
            end(&mut self.list);
        }
    }
}

/// Ends the uses of a list.
fn end(list: &mut Vec<Use>) {
    let ended = list.len();
    list.clear();
    drop_unused(ended);
}

thread_local! {
    /// The memory of a list without entries, so that a loop that encodes and submits allocates none.
    static SPARE: Cell<Vec<Use>> = const { Cell::new(Vec::new()) };
}

/// The list of an encoder that has not ended.
#[derive(Debug)]
struct Encoding {
    /// Taken from the command buffer at the first use.
    uses: Uses,
    tracker: Arc<Tracker>,
}

impl Encoding {
    /// Records a use; returns the number of its entry.
    fn record_use(&mut self, record: &RecordRef, writes: bool) -> u32 {
        if self.uses.list.is_empty() {
            self.uses = self.tracker.take();
        }
        self.uses.record_use(record, writes)
    }
}

/// Finds the footprint of an object; `None` if no view from the CPU can exist.
pub(crate) type Locate = fn(&Object) -> Option<Footprint>;

/// Receives the arguments of a message to an encoder or a command buffer.
#[derive(Debug)]
pub struct ArgumentSink<'a> {
    to: Destination<'a>,
    message_use: MessageUse,
    /// Whether a resource was among the arguments before.
    seen: bool,
    /// The number in the encoder's list of the buffer that is bound; 0 if there is none.
    bound: u32,
    /// The last argument, if it is a number that can be an index.
    number: Option<usize>,
}

/// The destination of the uses.
#[derive(Debug)]
enum Destination<'a> {
    Encoder(&'a EncoderUses),
    /// A residency set: commands that no encoder tracks may use them.
    Residency(&'a mut Allocations),
}

/// The resources and sets that a message passes to a residency set, a queue or a command buffer.
#[derive(Debug, Default)]
pub(super) struct Allocations {
    /// The addresses of the objects, and the records of their memory.
    pub(super) resources: Vec<(usize, Vec<RecordRef>)>,
    /// Residency sets, by their members.
    pub(super) sets: Vec<Arc<Residents>>,
}

impl Allocations {
    /// Collects the resources among the arguments of a message.
    pub(super) fn among(arguments: impl FnOnce(&mut ArgumentSink<'_>)) -> Self {
        let mut allocations = Self::default();
        arguments(&mut ArgumentSink::new(
            Destination::Residency(&mut allocations),
            MessageUse::MakeResident,
        ));
        allocations
    }

    #[inline(never)]
    fn add(&mut self, object: &Object, footprint: &LazyFootprint, locate: Locate) {
        if let Some(footprint) = footprint.get(|| locate(object)) {
            let records = footprint.records().cloned().collect();
            self.resources.push((object.as_raw().as_ptr().addr(), records));
        }
    }
}

impl<'a> ArgumentSink<'a> {
    #[inline(always)]
    fn new(to: Destination<'a>, message_use: MessageUse) -> Self {
        Self { to, message_use, seen: false, bound: 0, number: None }
    }

    /// A residency set, by its members.
    pub(crate) fn set(&mut self, members: &Arc<Residents>) {
        if let Destination::Residency(allocations) = &mut self.to {
            allocations.sets.push(Arc::clone(members));
        }
    }

    /// A resource: its footprint, how that is found, and whether its own settings forbid that kernels write it.
    ///
    /// Most messages bind a buffer that is in the list. This sink's address is not passed on, so that it takes no memory.
    #[inline(always)]
    pub(crate) fn resource(
        &mut self,
        object: &Object,
        footprint: &LazyFootprint,
        locate: Locate,
        read_only: impl FnOnce() -> bool,
    ) {
        let uses = match &mut self.to {
            Destination::Encoder(uses) => *uses,
            Destination::Residency(allocations) => {
                return allocations.add(object, footprint, locate);
            }
        };
        if self.message_use == MessageUse::Bind {
            let number = entry(footprint.stamp(), uses.serial.get());
            self.bound = number.unwrap_or_else(|| uses.add(object, footprint, locate));
            return;
        }
        let reads = match self.message_use {
            MessageUse::Texture => read_only(),
            MessageUse::Launch => true,
            MessageUse::Copy => !self.seen,
            _ => false,
        };
        self.seen = true;
        uses.record_all(object, footprint, locate, !reads);
    }

    /// A pipeline, and the indices of buffers that it may write, a bit each.
    #[inline]
    pub(crate) fn pipeline(&mut self, written: u32) {
        if let Destination::Encoder(uses) = &self.to {
            uses.written.set(written);
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
///
/// Most messages only read and change the numbers. The list is changed where a record is new to it, and where a buffer that
/// launches have written is no longer bound.
#[derive(Debug)]
pub(crate) struct EncoderUses {
    /// The serial of the list.
    serial: Cell<u64>,
    /// A bit for each index that the pipeline may write to.
    written: Cell<u32>,
    /// A bit for each index that something is bound to.
    bound: Cell<u32>,
    /// A bit for each index whose buffer a launch may have written, where the list does not say so yet.
    unrecorded_writes: Cell<u32>,
    /// For each index of a buffer: its number in the list; 0 if nothing is bound.
    slots: [Cell<u32>; SLOTS],
    /// `None` before the encoder was made by a command buffer, and after its end.
    encoding: RefCell<Option<Encoding>>,
}

impl Default for EncoderUses {
    fn default() -> Self {
        Self {
            serial: Cell::new(NO_SERIAL),
            written: Cell::new(u32::MAX),
            bound: Cell::new(0),
            unrecorded_writes: Cell::new(0),
            slots: [const { Cell::new(0) }; SLOTS],
            encoding: RefCell::new(None),
        }
    }
}

impl EncoderUses {
    /// Called when a command buffer has made the encoder.
    pub(crate) fn begin(&self, tracker: &Arc<Tracker>) {
        let (uses, tracker) = (Uses::default(), Arc::clone(tracker));
        *self.encoding.borrow_mut() = Some(Encoding { uses, tracker });
    }

    /// Called before a message is sent.
    #[inline(always)]
    pub(crate) fn sending(
        &self,
        message_use: MessageUse,
        arguments: impl FnOnce(&mut ArgumentSink<'_>),
    ) {
        match message_use {
            MessageUse::End => return self.end(),
            MessageUse::Pipeline => self.written.set(u32::MAX),
            _ => {}
        }
        let mut sink = ArgumentSink::new(Destination::Encoder(self), message_use);
        arguments(&mut sink);
        match message_use {
            MessageUse::Bind => self.bind_slot(sink.number, sink.bound),
            MessageUse::Launch => self.launch(self.written.get()),
            MessageUse::Execute => self.launch(u32::MAX),
            _ => {}
        }
    }

    /// Binds a buffer to an index, for methods from whose arguments this does not follow.
    pub(crate) fn bind(&self, footprint: Option<&Footprint>, index: usize) {
        let number = footprint.map_or(0, |footprint| self.number(footprint));
        self.bind_slot(Some(index), number);
    }

    /// Called when the encoder has ended: its uses go back to the command buffer.
    pub(crate) fn end(&self) {
        let Some(Encoding { mut uses, tracker }) = self.encoding.borrow_mut().take() else {
            return;
        };
        for index in bits(self.unrecorded_writes.replace(0)) {
            uses.list[self.slots[index].get() as usize - 1].writes = true;
        }
        self.serial.set(NO_SERIAL);
        self.bound.set(0);
        if !uses.list.is_empty() {
            tracker.give_back(uses);
        }
    }

    /// Adds a buffer whose stamp does not say that it is in the list; returns the number of its entry, or 0 if nothing is tracked.
    #[inline(never)]
    fn add(&self, object: &Object, footprint: &LazyFootprint, locate: Locate) -> u32 {
        // In a list that has begun.
        if self.serial.get() != NO_SERIAL
            && let Some(record) = footprint.record()
            && let Some(encoding) = &mut *self.encoding.borrow_mut()
        {
            return encoding.uses.add(record);
        }
        self.add_slowly(object, footprint, locate)
    }

    /// The same for the first record of a list, and for a buffer that was not located yet, has several records, or none.
    #[cold]
    #[inline(never)]
    fn add_slowly(&self, object: &Object, footprint: &LazyFootprint, locate: Locate) -> u32 {
        footprint.get(|| locate(object)).map_or(0, |footprint| self.number(footprint))
    }

    /// The number of a buffer's first record in the list, to which it is added if necessary; 0 if nothing is tracked.
    ///
    /// If the buffer has several records, the pipeline's reflection applies to the first only; the others count as written.
    fn number(&self, footprint: &Footprint) -> u32 {
        let mut encoding = self.encoding.borrow_mut();
        let Some(encoding) = &mut *encoding else { return 0 };
        let number = encoding.record_use(&footprint.first, false);
        footprint.rest.iter().for_each(|record| _ = encoding.record_use(record, true));
        self.serial.set(encoding.uses.serial);
        number
    }

    /// Records all memory of a resource.
    #[inline(never)]
    fn record_all(&self, object: &Object, footprint: &LazyFootprint, locate: Locate, writes: bool) {
        let Some(footprint) = footprint.get(|| locate(object)) else { return };
        let mut encoding = self.encoding.borrow_mut();
        let Some(encoding) = &mut *encoding else { return };
        footprint.records().for_each(|record| _ = encoding.record_use(record, writes));
        self.serial.set(encoding.uses.serial);
    }

    /// Records the memory of an entry of the list as written; nothing for 0.
    #[inline(never)]
    fn record_write(&self, number: u32) {
        if let Some(encoding) = &mut *self.encoding.borrow_mut()
            && let Some(one) = encoding.uses.list.get_mut((number as usize).wrapping_sub(1))
        {
            one.writes = true;
        }
    }

    /// Binds the memory of an entry of the list; nothing for 0.
    #[inline(always)]
    fn bind_slot(&self, index: Option<usize>, number: u32) {
        let Some((index, slot)) = index.and_then(|index| Some((index, self.slots.get(index)?)))
        else {
            // The index is unknown, or Metal will refuse it. If Metal accepts it, the buffer may be used in any way.
            return self.record_write(number);
        };
        let before = slot.get();
        if before == number {
            return;
        }
        let bit = 1 << index;
        if self.unrecorded_writes.get() & bit != 0 {
            self.unrecorded_writes.set(self.unrecorded_writes.get() & !bit);
            self.record_write(before);
        }
        slot.set(number);
        let others = self.bound.get() & !bit;
        self.bound.set(if number == 0 { others } else { others | bit });
    }

    /// A launch: everything bound is used in the way that the pipeline uses it.
    #[inline(always)]
    fn launch(&self, written: u32) {
        self.unrecorded_writes.set(self.unrecorded_writes.get() | self.bound.get() & written);
    }
}

/// The positions of the bits that are set.
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros() as usize);
        set &= set.wrapping_sub(1);
        lowest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPELINE: u32 = 0b01;

    /// Whether the memory of each resource is written, in the order of the list, by what the closure encodes.
    fn written(encode: impl FnOnce(&EncoderUses)) -> Vec<bool> {
        let (tracker, uses) = (Arc::default(), EncoderUses::default());
        uses.begin(&tracker);
        uses.sending(MessageUse::Pipeline, |sink| sink.pipeline(PIPELINE));
        encode(&uses);
        uses.end();
        tracker.take().list.iter().map(|one| one.writes).collect()
    }

    fn launch(uses: &EncoderUses) {
        uses.sending(MessageUse::Launch, |_| ());
    }

    /// Footprints of memory that no other test uses.
    fn footprints<const N: usize>() -> ([Footprint; N], Vec<u64>) {
        let memory = vec![0u64; N];
        let start = memory.as_ptr().addr();
        (std::array::from_fn(|at| Footprint::of(start + 8 * at..start + 8 * at + 8)), memory)
    }

    #[test]
    fn serials_do_not_repeat() {
        let last = (1 << 44) - 2;
        assert!(serial(1) != 0 && serial(last) != NO_SERIAL);
        for number in [last + 1, 1 << 44, u64::MAX] {
            assert!(std::panic::catch_unwind(|| serial(number)).is_err(), "{number}");
        }
    }

    #[test]
    fn the_stamp_of_another_list_is_no_entry() {
        let list = serial(2);
        assert_eq!(entry(list | 1, list), Some(1));
        assert_eq!(entry(list | ENTRIES, list), Some(ENTRIES as u32));
        for stamp in [0, serial(1) | 1, serial(3) | 1] {
            assert_eq!(entry(stamp, list), None, "{stamp:x}");
            assert_eq!(entry(stamp, NO_SERIAL), None, "{stamp:x}");
        }
    }

    #[test]
    fn a_launch_counts_for_what_is_bound_then() {
        let ([a, b, c], _memory) = footprints();
        let bind = |uses: &EncoderUses, to, index| uses.bind(Some(to), index);
        // The pipeline writes index 0 and reads index 1.
        let both = |uses: &EncoderUses| {
            bind(uses, &a, 0);
            bind(uses, &b, 1);
            launch(uses);
        };
        assert_eq!(written(both), [true, false]);
        let bound_after = |uses: &EncoderUses| {
            bind(uses, &a, 0);
            launch(uses);
            bind(uses, &b, 0);
        };
        assert_eq!(written(bound_after), [true, false]);
        let unbound = |uses: &EncoderUses| {
            bind(uses, &a, 0);
            bind(uses, &b, 0);
            launch(uses);
            uses.bind(None, 0);
            launch(uses);
            // At another index it is only read.
            bind(uses, &c, 1);
            launch(uses);
        };
        assert_eq!(written(unbound), [false, true, false]);
        let moved = |uses: &EncoderUses| {
            bind(uses, &a, 0);
            launch(uses);
            bind(uses, &b, 0);
            bind(uses, &c, 0);
        };
        assert_eq!(written(moved), [true, false, false]);
        assert_eq!(written(|uses| bind(uses, &a, SLOTS)), [true], "Metal has no such index");
    }

    #[test]
    fn commands_of_others_may_write_what_is_bound() {
        let ([a], _memory) = footprints();
        let execute = |uses: &EncoderUses| {
            uses.bind(Some(&a), 1);
            uses.sending(MessageUse::Execute, |_| ());
        };
        assert_eq!(written(execute), [true]);
    }

    #[test]
    fn a_buffer_with_several_records_may_be_written_in_all_but_the_first() {
        let ([a, b], memory) = footprints();
        let start = memory.as_ptr().addr();
        let whole = Footprint::of(start..start + 16);
        assert_eq!(whole.records().count(), 2);
        let twice = |uses: &EncoderUses| {
            uses.bind(Some(&a), 1);
            uses.bind(Some(&b), 2);
            uses.bind(Some(&whole), 3);
        };
        let mut found = written(twice);
        found.sort_unstable();
        assert_eq!(found, [false, true]);
    }
}
