//! MTL4CounterHeap: times that commands of Metal 4 write (`specs/metal4.md`).

use super::counters::SAMPLE;
use super::errors::{CounterError, Error};
use super::foundation::{
    Bytes, Label, NSObject, Object, Strong, label, labelled, lock, set_label, soft_class,
};
use super::properties::properties;
use crate::abi::NSRange;
use crate::soft::kernel::Processor;
use crate::soft::stream::memory::Memory;
use crate::soft::stream::recording::{Command, Ordered, Recording};
use std::sync::{Arc, Mutex};

properties! {
    /// The kind and the number of a heap's counters.
    class MTL4CounterHeapDescriptor(CounterHeapDescriptor, CounterHeapFields);
    [type, setType:] kind: isize = 0;
    [count, setCount:] count: usize = 0;
}

/// `MTL4CounterHeapTypeTimestamp`.
const TIMESTAMP: isize = 1;

/// The most entries of a heap.
const MOST: usize = 1 << 20;

/// A heap of counters.
pub(super) struct CounterHeap {
    memory: Arc<Memory>,
    label: Label,
}

labelled!(CounterHeap);

soft_class! {
    /// A heap of counters.
    pub(super) class SoftMTL4CounterHeap(CounterHeap): NSObject, conforms [MTL4CounterHeap];
    [label] = label::<CounterHeap>;
    [setLabel:] = set_label::<CounterHeap>;
    [type] = |_: &CounterHeap| TIMESTAMP;
    [count] = CounterHeap::count;
    [resolveCounterRange:] = |heap: &CounterHeap, range: NSRange| {
        let (offset, length) = heap.bytes(range).ok()?;
        let bytes = heap.memory.range(offset, length)?;
        // SAFETY: the range is inside the memory.
        Some(unsafe { Bytes::object(std::slice::from_raw_parts(bytes, length)) })
    };
    [invalidateCounterRange:] = |heap: &CounterHeap, range: NSRange| {
        let part = heap.bytes(range).ok().and_then(|(offset, length)| {
            heap.memory.range(offset, length).map(|bytes| (bytes, length))
        });
        if let Some((bytes, length)) = part {
            // SAFETY: the range is inside the memory.
            unsafe { bytes.write_bytes(0, length) };
        }
    };
}

impl CounterHeap {
    /// A heap of zeros.
    pub(super) fn new(
        processor: &'static Processor,
        descriptor: Option<&Object<CounterHeapDescriptor>>,
    ) -> Result<Strong<Self>, Error<CounterError>> {
        let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
        let CounterHeapFields { kind, count } = fields;
        if kind != TIMESTAMP || !(1..=MOST).contains(&count) {
            let why =
                format!("type {kind}, {count} entries: heaps have from 1 to {MOST} timestamps");
            return Err(Error::new(CounterError::Invalid, why));
        }
        let memory = Memory::new(processor, count * SAMPLE, false).ok_or_else(|| {
            Error::new(CounterError::OutOfMemory, "there is no memory for the entries")
        })?;
        Ok(Strong::new(Self { memory, label: Label::default() }))
    }

    fn count(&self) -> usize {
        self.memory.length() / SAMPLE
    }

    fn bytes(&self, range: NSRange) -> Result<(usize, usize), String> {
        let NSRange { location, length } = range;
        let end = location.checked_add(length).filter(|end| *end <= self.count());
        end.map(|_| (location * SAMPLE, length * SAMPLE)).ok_or_else(|| {
            format!("range {{{location}, {length}}}: the counter heap has {} entries", self.count())
        })
    }

    /// Records that the time is written, after the commands so far.
    pub(super) fn record(
        heap: Option<&Object<Self>>,
        recording: &mut Recording,
        index: usize,
    ) -> Result<(), String> {
        let heap = heap.ok_or("nil was passed for the counter heap")?;
        let (offset, _) = heap.bytes(NSRange { location: index, length: 1 })?;
        let buffer = recording.memory(&heap.memory, || false);
        // It orders when commands run, and no memory.
        recording.commands.push(Command::Barrier(Ordered::Textures));
        recording.commands.push(Command::Sample { buffer, offset });
        Ok(())
    }

    /// Records that entries are copied to an address.
    pub(super) fn resolve_to(
        heap: Option<&Object<Self>>,
        recording: &mut Recording,
        range: NSRange,
        (address, room): (u64, usize),
    ) -> Result<(), String> {
        let heap = heap.ok_or("nil was passed for the counter heap")?;
        let (start, length) = heap.bytes(range)?;
        if room < length {
            return Err(format!("{length} bytes are copied to a range of {room} bytes"));
        }
        let from = recording.memory(&heap.memory, || false);
        recording.commands.push(Command::Barrier(Ordered::Textures));
        recording.commands.push(Command::CopyToAddress {
            from,
            start,
            length: length as u32,
            address,
        });
        Ok(())
    }
}
