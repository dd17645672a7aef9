//! Indirect command buffers: the records of their commands, and how they are executed (`specs/commands.md`).

use super::error::CommandError;
use super::execute::{disorder, launch, memory_at, range, seed, words_at};
use super::launched::Launched;
use super::memory::Memory;
use super::pipeline::{Pipeline, indirect_pipeline};
use super::recording::Recording;
use super::residents::Residents;
use super::table::{BUFFERS, Entry, ObjectIndex, Slot};
use crate::soft::kernel::{ArgumentKind, Binding, limits};
use std::mem::offset_of;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A command.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Record {
    /// The number of its pipeline state; 0 if not set.
    pub(crate) pipeline: u64,
    /// A constant of [`action`].
    pub(crate) action: u32,
    /// Whether all commands before it have to complete first.
    pub(crate) barrier: u32,
    pub(crate) grid: [u32; 3],
    pub(crate) group: [u32; 3],
    /// Addresses.
    pub(crate) buffers: [u64; BUFFERS],
    /// Lengths of threadgroup memory.
    pub(crate) lengths: [u32; BUFFERS],
    _room: u32,
}

/// The action of a command.
pub(crate) mod action {
    /// Nothing.
    pub(crate) const NONE: u32 = 0;
    /// It dispatches a grid of threadgroups.
    pub(crate) const THREADGROUPS: u32 = 1;
    /// It dispatches a grid of threads.
    pub(crate) const THREADS: u32 = 2;
}

/// The size of a command.
pub(crate) const RECORD: usize = size_of::<Record>();
const WORDS: usize = RECORD / size_of::<u32>();

// The prelude declares the same struct.
const _: () = assert!(
    RECORD == 416
        && offset_of!(Record, grid) == 16
        && offset_of!(Record, buffers) == 40
        && offset_of!(Record, lengths) == 288
);

impl Record {
    /// A command that does nothing.
    pub(crate) const EMPTY: Self = Self {
        pipeline: 0,
        action: action::NONE,
        barrier: 0,
        grid: [0; 3],
        group: [0; 3],
        buffers: [0; BUFFERS],
        lengths: [0; BUFFERS],
        _room: 0,
    };

    /// The words of a command in memory.
    fn words(memory: &Memory, index: usize) -> Option<&[AtomicU32; WORDS]> {
        let start = memory.range(index.checked_mul(RECORD)?, RECORD)?;
        // SAFETY: the range is inside the memory, which begins at a page; others access it meanwhile by words.
        Some(unsafe { &*start.cast() })
    }

    /// The command of an index; `None` past the end.
    pub(crate) fn read(memory: &Memory, index: usize) -> Option<Self> {
        let words = Self::words(memory, index)?;
        let words: [u32; WORDS] = std::array::from_fn(|at| words[at].load(Relaxed));
        // SAFETY: a record consists of integers, without padding.
        Some(unsafe { std::mem::transmute::<[u32; WORDS], Self>(words) })
    }

    /// Changes the command of an index; `None` past the end.
    pub(crate) fn change(
        memory: &Memory,
        index: usize,
        change: impl FnOnce(&mut Self),
    ) -> Option<()> {
        let mut record = Self::read(memory, index)?;
        change(&mut record);
        // SAFETY: as above.
        let new = unsafe { std::mem::transmute::<Self, [u32; WORDS]>(record) };
        for (word, new) in Self::words(memory, index)?.iter().zip(new) {
            word.store(new, Relaxed);
        }
        Some(())
    }
}

/// Which commands are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// These.
    Fixed { start: usize, count: usize },
    /// The first and the number are in two words at this offset of a buffer.
    Indirect { object: ObjectIndex, offset: usize },
    /// The same at an address.
    At(u64),
}

/// The execution of commands of an indirect command buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Execution {
    /// The commands.
    pub(crate) commands: ObjectIndex,
    pub(crate) span: Span,
    /// The encoder's pipeline, if the commands inherit it.
    pub(crate) pipeline: Option<ObjectIndex>,
    /// Where the encoder's buffers and its threadgroup memory begin in the slots, if the commands inherit them.
    pub(crate) inherited: Option<u32>,
    /// The resources that the kernels may reach: entries of [`Recording::residents`].
    pub(crate) residents: (u32, u32),
}

/// How many slots the inherited buffers and threadgroup memory have.
pub(crate) const INHERITED: usize = 2 * BUFFERS;

/// Executes commands.
pub(super) fn execute<'a>(
    recording: &'a Recording,
    execution: &Execution,
    bindings: &mut Vec<Binding<'a>>,
    launched: &mut Launched<'_>,
) -> Result<(), CommandError> {
    let session = launched.session;
    let memory = memory_at(recording, execution.commands)?;
    let total = memory.length() / RECORD;
    let Range { start, end } = span(recording, execution.span)?;
    if end > total {
        let name = described(memory);
        let text = format!("commands {start} to {end} of {name}, which has {total}");
        return Err(CommandError::invalid(text));
    }
    let mut unordered = Vec::new();
    let mut run = |indices: &mut Vec<usize>| {
        disorder(indices, seed(recording));
        indices.drain(..).try_for_each(|index| {
            run_command(recording, execution, memory, index, (bindings, launched)).map_err(
                |error| {
                    let text = format!("command {index} of {}: {error}", described(memory));
                    CommandError { message: text, ..error }
                },
            )
        })
    };
    for index in start..end {
        if Record::read(memory, index).is_some_and(|record| record.barrier != 0) {
            run(&mut unordered)?;
            session.order();
        }
        unordered.push(index);
    }
    run(&mut unordered)
}

/// The name of an indirect command buffer, for messages.
fn described(memory: &Memory) -> String {
    match memory.label.get() {
        Some(label) => format!("the indirect command buffer '{label}'"),
        None => "an indirect command buffer".to_owned(),
    }
}

/// The indices of the commands.
fn span(recording: &Recording, span: Span) -> Result<Range<usize>, CommandError> {
    let (start, count) = match span {
        Span::Fixed { start, count } => (start, count),
        Span::Indirect { object, offset } => {
            let at = range(memory_at(recording, object)?, offset, 8)?;
            // SAFETY: the range is inside memory that the recording keeps alive.
            let [start, count] = unsafe { at.cast::<[u32; 2]>().read_unaligned() };
            (start as usize, count as usize)
        }
        Span::At(address) => {
            let [start, count] = words_at(recording, address)?;
            (start as usize, count as usize)
        }
    };
    Ok(start..start.saturating_add(count))
}

fn run_command<'a>(
    recording: &'a Recording,
    execution: &Execution,
    memory: &Memory,
    index: usize,
    sinks: (&mut Vec<Binding<'a>>, &mut Launched<'_>),
) -> Result<(), CommandError> {
    let invalid = |text: String| CommandError::invalid(text);
    let Some(record) = Record::read(memory, index).filter(|record| record.action != action::NONE)
    else {
        return Ok(());
    };
    let inherited = execution.pipeline.and_then(|index| recording.pipeline_at(index).cloned());
    let pipeline = match inherited {
        Some(pipeline) => pipeline,
        None => indirect_pipeline(record.pipeline).map_err(invalid)?,
    };
    let group = record.group.map(|size| size as usize);
    let is_empty = record.grid.contains(&0);
    pipeline.check_group(group, is_empty).map_err(invalid)?;
    if is_empty {
        return Ok(());
    }
    let mut grid = record.grid;
    if record.action == action::THREADGROUPS {
        for (size, group) in grid.iter_mut().zip(record.group) {
            *size = size.checked_mul(group).ok_or_else(|| {
                invalid(format!("kernel '{}': more than 2^32 threads", pipeline.kernel.name()))
            })?;
        }
    }
    let slots = slots(recording, execution, &record, &pipeline).map_err(invalid)?;
    launch(recording, &pipeline, &slots, grid, record.group, sinks)
}

/// The arguments of a command, in the order of the kernel's parameters.
fn slots(
    recording: &Recording,
    execution: &Execution,
    record: &Record,
    pipeline: &Arc<Pipeline>,
) -> Result<Vec<Slot>, String> {
    let kernel = &pipeline.kernel;
    let name = kernel.name();
    let inherited = |entry: Entry| {
        let start = execution.inherited? as usize;
        recording.slots[start..].get(entry.inherited()?).copied()
    };
    let (first, last) = execution.residents;
    let mut slots = Vec::new();
    let mut memory = kernel.static_threadgroup() as usize;
    for ((parameter, argument), take) in kernel.parameters().zip(&pipeline.takes) {
        let index = parameter.index as usize;
        let what = || format!("kernel '{name}': argument '{}'", argument.name);
        let slot = match parameter.kind {
            _ if execution.inherited.is_some() => inherited(take.entry).unwrap_or_default(),
            ArgumentKind::Buffer if record.buffers[index] == 0 => Slot::Empty,
            ArgumentKind::Buffer => {
                let address = record.buffers[index];
                let declared = &recording.residents[first as usize..last as usize];
                let found = Residents::at(recording, declared, address)
                    .ok_or_else(|| {
                        format!(
                            "{}, buffer({index}): the address {address:#x} is in no resource that is resident; it is \
                             stale, or useResource was not called",
                            what()
                        )
                    })?;
                if parameter.writable && !found.writable {
                    return Err(format!(
                        "{}, buffer({index}): the kernel may write to it, and useResource was called without \
                         MTLResourceUsageWrite",
                        what()
                    ));
                }
                Slot::Buffer { object: found.object, offset: found.offset }
            }
            ArgumentKind::Threadgroup => match record.lengths[index] as usize {
                0 => Slot::Empty,
                length => Slot::Threadgroup { length },
            },
            ArgumentKind::Texture | ArgumentKind::Sampler => {
                return Err(format!(
                    "{}: indirect commands have no {}s; use an argument buffer",
                    what(),
                    parameter.kind.name()
                ));
            }
        };
        if take.needed && slot == Slot::Empty {
            let kind = parameter.kind.name();
            return Err(format!("{}: nothing is set for {kind}({index})", what()));
        }
        if let Slot::Threadgroup { length } = slot {
            memory += length;
        }
        slots.push(slot);
    }
    if memory > limits::THREADGROUP_MEMORY as usize {
        let limit = limits::THREADGROUP_MEMORY;
        return Err(format!(
            "kernel '{name}': {memory} bytes of threadgroup memory: there are {limit}"
        ));
    }
    if kernel.reaches_residents() {
        slots.push(Slot::Residents { start: first, end: last });
    }
    Ok(slots)
}
