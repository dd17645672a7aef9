//! Counters: the time at the boundaries of encoders, which a counter sample buffer collects.
//!
//! There is one set of counters, with one counter. A sample buffer is memory with a number of nanoseconds for each
//! sample; commands write there, and blits copy from there.

use super::encoder::{HasEncoder, Why};
use super::errors::{CounterError, Error};
use super::foundation::{
    Bytes, Label, List, NSObject, Object, Strong, Text, device, label, labelled, lock, of_device,
    set_label, soft_class,
};
use super::properties::properties;
use super::slots::{Slots, slots};
use crate::abi::NSRange;
use crate::soft::kernel::Processor;
use crate::soft::stream::memory::Memory;
use crate::soft::stream::queue::nanoseconds;
use crate::soft::stream::recording::{Command, Ordered, Recording};
use std::sync::{Arc, Mutex};

/// `MTLCounterSampleBufferDescriptor` and the like: this index of a sample takes none.
const DONT_SAMPLE: usize = usize::MAX;

/// The bytes of a sample: `MTLCounterResultTimestamp`.
pub(super) const SAMPLE: usize = size_of::<u64>();

/// The most samples that a buffer has: as many as fit into what Apple's GPUs allow, 32 KiB.
const MAX_SAMPLES: usize = 32 * 1024 / SAMPLE;

/// The counter.
pub(super) struct Counter;

soft_class! {
    /// The counter.
    pub(super) class SoftMTLCounter(Counter): NSObject, conforms [MTLCounter];
    [name] = |_: &Counter| Text::object("GPUTimestamp");
}

/// The set of counters.
pub(super) struct CounterSet;

soft_class! {
    /// The set of counters.
    pub(super) class SoftMTLCounterSet(CounterSet): NSObject, conforms [MTLCounterSet];
    [name] = |_: &CounterSet| Text::object("timestamp");
    [counters] = |_: &CounterSet| List::object([Strong::new(Counter).into_retained()]);
}

/// `supportsCounterSampling:` of the device: between dispatches and copies, and at the boundaries of encoders.
pub(super) fn can_sample(point: usize) -> bool {
    const STAGE: usize = 0;
    const DISPATCH: usize = 2;
    const BLIT: usize = 4;
    matches!(point, STAGE | DISPATCH | BLIT)
}

/// `counterSets` of the device.
pub(super) fn sets() -> Strong<List> {
    List::object([Strong::new(CounterSet).into_retained()])
}

properties! {
    /// Properties of a new counter sample buffer.
    class MTLCounterSampleBufferDescriptor(CounterSampleBufferDescriptor, CounterSampleBufferFields);
    [counterSet, setCounterSet:] counter_set: Option<Strong<CounterSet>> = None;
    [label, setLabel:] label: Option<Strong<Text>> = Some(Text::object(""));
    [storageMode, setStorageMode:] storage: usize = 0;
    [sampleCount, setSampleCount:] count: usize = 0;
}

/// A counter sample buffer.
pub(super) struct CounterSampleBuffer {
    pub(super) memory: Arc<Memory>,
    is_private: bool,
    label: Label,
}

labelled!(CounterSampleBuffer);
of_device! { CounterSampleBuffer, buffer => buffer.memory.processor(); }

soft_class! {
    /// A counter sample buffer.
    pub(super) class SoftMTLCounterSampleBuffer(CounterSampleBuffer): NSObject,
        conforms [MTLCounterSampleBuffer];
    [device] = device::<CounterSampleBuffer>;
    [label] = label::<CounterSampleBuffer>;
    [sampleCount] = CounterSampleBuffer::count;
    [resolveCounterRange:] = CounterSampleBuffer::resolve;
}

impl CounterSampleBuffer {
    /// A new buffer, or why there is none.
    pub(super) fn new(
        processor: &'static Processor,
        descriptor: Option<&Object<CounterSampleBufferDescriptor>>,
    ) -> Result<Strong<Self>, Error<CounterError>> {
        let invalid = |why: String| Err(Error::new(CounterError::Invalid, why));
        let Some(fields) = descriptor.map(|descriptor| descriptor.get()) else {
            return invalid("nil was passed for the descriptor".into());
        };
        if fields.counter_set.is_none() {
            return invalid("the descriptor has no counter set".into());
        }
        if !(1..=MAX_SAMPLES).contains(&fields.count) {
            let count = fields.count;
            return invalid(format!("{count} samples: from 1 to {MAX_SAMPLES} are possible"));
        }
        let memory = Memory::new(processor, fields.count * SAMPLE, false).ok_or_else(|| {
            Error::new(CounterError::OutOfMemory, "there is no memory for the samples")
        })?;
        let this = Self {
            memory,
            is_private: fields.storage == super::resource::PRIVATE,
            label: Label::default(),
        };
        set_label(&this, fields.label.as_deref());
        Ok(Strong::new(this))
    }

    fn count(&self) -> usize {
        self.memory.length() / SAMPLE
    }

    /// The offset and the length in bytes of a range of samples.
    pub(super) fn bytes(&self, range: NSRange) -> Option<(usize, usize)> {
        let end = range.location.checked_add(range.length)?;
        (end <= self.count()).then_some((range.location * SAMPLE, range.length * SAMPLE))
    }

    /// The samples of a range; nil if the CPU has no access to them, or the range is not inside.
    fn resolve(&self, range: NSRange) -> Option<Strong<Bytes>> {
        let (offset, length) = self.bytes(range).filter(|_| !self.is_private)?;
        let bytes = self.memory.range(offset, length)?;
        // SAFETY: the range is inside the memory.
        Some(unsafe { Bytes::object(std::slice::from_raw_parts(bytes, length)) })
    }

    /// Records that a sample is taken.
    fn record(&self, recording: &mut Recording, index: usize) -> Result<(), Why> {
        if index >= self.count() {
            let count = self.count();
            let why = format!("sample {index} of a counter sample buffer of {count} samples");
            return Err(why.into());
        }
        let buffer = recording.memory(&self.memory, || false);
        recording.commands.push(Command::Sample { buffer, offset: index * SAMPLE });
        Ok(())
    }
}

impl Drop for CounterSampleBuffer {
    fn drop(&mut self) {
        self.memory.release();
    }
}

/// `sampleCountersInBuffer:atSampleIndex:withBarrier:` of an encoder.
pub(super) fn sample_counters<P: HasEncoder>(
    this: &P,
    buffer: Option<&Object<CounterSampleBuffer>>,
    index: usize,
    barrier: bool,
) {
    let selector = "sampleCountersInBuffer:atSampleIndex:withBarrier:";
    this.encoder().record(selector, |recording| {
        let buffer = buffer.ok_or("nil was passed for the counter sample buffer")?;
        if barrier {
            recording.commands.push(Command::Barrier(Ordered::All));
        }
        buffer.record(recording, index)
    });
}

/// The samples that an encoder takes when it begins or when it ends.
pub(super) struct Samples(Vec<(Strong<CounterSampleBuffer>, usize)>);

/// Declares the attachments of a pass, which name the samples that it takes.
macro_rules! attachments {
    ($(#[$doc:meta])* $name:ident($payload:ident, $fields:ident), $array:ident, $all:ident) => {
        properties! {
            $(#[$doc])*
            class $name($payload, $fields);
            [sampleBuffer, setSampleBuffer:] buffer: Option<Strong<CounterSampleBuffer>> = None;
            [startOfEncoderSampleIndex, setStartOfEncoderSampleIndex:] start: usize = 0;
            [endOfEncoderSampleIndex, setEndOfEncoderSampleIndex:] end: usize = 0;
        }

        slots! {
            $(#[$doc])*
            class $array of $payload
        }

        /// The attachments of a pass.
        pub(super) type $all = Slots<$payload>;

        impl $all {
            /// The samples at the beginning and at the end.
            pub(super) fn samples(&self) -> (Samples, Samples) {
                let fields: Vec<_> = self.used().iter().map(|used| used.get()).collect();
                let samples = |index: fn(&$fields) -> usize| {
                    let sample = |fields: &$fields| {
                        let index = Some(index(fields)).filter(|index| *index != DONT_SAMPLE)?;
                        Some((fields.buffer.clone()?, index))
                    };
                    Samples(fields.iter().filter_map(sample).collect())
                };
                (samples(|fields| fields.start), samples(|fields| fields.end))
            }
        }
    };
}

attachments! {
    /// Samples that a compute encoder takes.
    MTLComputePassSampleBufferAttachmentDescriptor(ComputeSample, ComputeSampleFields),
    MTLComputePassSampleBufferAttachmentDescriptorArray, ComputeSamples
}

attachments! {
    /// Samples that a blit encoder takes.
    MTLBlitPassSampleBufferAttachmentDescriptor(BlitSample, BlitSampleFields),
    MTLBlitPassSampleBufferAttachmentDescriptorArray, BlitSamples
}

impl Samples {
    /// None, at the beginning and at the end.
    pub(super) const NONE: (Self, Self) = (Self(Vec::new()), Self(Vec::new()));

    /// Records that they are taken.
    pub(super) fn record(&self, recording: &mut Recording) -> Result<(), Why> {
        self.0.iter().try_for_each(|(buffer, index)| buffer.record(recording, *index))
    }
}

/// `sampleTimestamps:gpuTimestamp:`: the same clock on both sides.
pub(super) fn sample_timestamps(cpu: *mut usize, gpu: *mut usize) {
    let now = nanoseconds() as usize;
    for address in [cpu, gpu] {
        if !address.is_null() {
            // SAFETY: the message passed the addresses of two numbers.
            unsafe { *address = now }
        }
    }
}
