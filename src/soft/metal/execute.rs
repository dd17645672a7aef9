//! Carries out recorded commands.

use super::commands::{Command, Grid, Kept, PixelCopy, Pixels, Place, Recording, Rows, Slot};
use super::errors::{CommandBufferError, Problem, Trouble, internal, invalid};
use super::event::Signal;
use super::memory::Memory;
use super::settings::Settings;
use super::texture::{Image, copy_between};
use super::trace::Trace;
use crate::soft::ir::catch_internal_error;
use crate::soft::kernel::{Binding, Fault, FaultKind, Launch};
use std::sync::Arc;
use std::time::Instant;

/// Where the execution of a recording stopped.
pub(super) enum Step {
    /// At the end, or at the first trouble.
    Done(Result<(), Trouble>),
    /// At an event that has not reached the value.
    Wait(Arc<Signal>, u64),
}

/// Runs from the command at `next` on.
pub(super) fn run(recording: &Recording, next: &mut usize, trace: Option<&mut Trace>) -> Step {
    // A defect of our own ends this command buffer, not the process or the queue.
    catch_internal_error(|| run_commands(recording, next, trace)).unwrap_or_else(|error| {
        Step::Done(Err(internal(format!("internal error: {}", error.message))))
    })
}

fn run_commands(recording: &Recording, next: &mut usize, mut trace: Option<&mut Trace>) -> Step {
    // In a concurrent encoder: dispatches since the last barrier. They may run in any order, and do so
    // last first: a barrier that is missing shows.
    let mut unordered: Option<Vec<usize>> = None;
    let mut bindings = Vec::new();
    let mut carry_out = |index: usize| {
        let Some(trace) = &mut trace else { return run_one(recording, index, &mut bindings) };
        let since = Instant::now();
        let result = run_one(recording, index, &mut bindings);
        trace.ran(index, since);
        result
    };
    while let Some(command) = recording.commands.get(*next) {
        let result = match *command {
            Command::Dispatch { .. } => match &mut unordered {
                Some(waiting) => {
                    waiting.push(*next);
                    Ok(())
                }
                None => carry_out(*next),
            },
            Command::Concurrent | Command::Barrier | Command::Serial => {
                let waiting = unordered.take();
                let goes_on = match command {
                    Command::Concurrent => true,
                    Command::Serial => false,
                    _ => waiting.is_some(),
                };
                unordered = goes_on.then(Vec::new);
                waiting.into_iter().flatten().rev().try_for_each(&mut carry_out)
            }
            Command::Wait { event, value } => match signal_at(recording, event) {
                Ok(signal) if signal.value() < value => {
                    return Step::Wait(Arc::clone(signal), value);
                }
                Ok(_) => carry_out(*next),
                Err(trouble) => Err(trouble),
            },
            _ => carry_out(*next),
        };
        if let Err(trouble) = result {
            return Step::Done(Err(trouble));
        }
        *next += 1;
    }
    Step::Done(Ok(()))
}

/// Carries out one command. Waiting, and the order of dispatches, are the caller's.
fn run_one<'a>(
    recording: &'a Recording,
    index: usize,
    bindings: &mut Vec<Binding<'a>>,
) -> Result<(), Trouble> {
    match recording.commands[index] {
        Command::Dispatch { .. } => dispatch(recording, index, bindings),
        Command::CopyBuffer { from, from_offset, to, to_offset, length } => {
            copy_buffer(recording, (from, from_offset), (to, to_offset), length)
        }
        Command::FillBuffer { buffer, start, length, value } => {
            let at = range(memory_at(recording, buffer)?, start, length)?;
            // SAFETY: the range is inside memory that the recording keeps.
            unsafe { at.write_bytes(value, length) };
            Ok(())
        }
        Command::CopyPixels(index) => copy_pixels(recording, &recording.pixels[index as usize]),
        Command::GenerateMipmaps(texture) => {
            image_at(recording, texture).map(|image| image.generate_mipmaps())
        }
        Command::Signal { event, value } => {
            signal_at(recording, event).map(|signal| signal.raise(value))
        }
        Command::Concurrent
        | Command::Barrier
        | Command::Serial
        | Command::Wait { .. }
        | Command::Note(_) => Ok(()),
    }
}

/// What an object is that was released too soon.
fn released(what: &str) -> Trouble {
    invalid(format!(
        "a {what} was released before a command buffer with unretained references was done with it"
    ))
}

#[cold]
fn checks() -> bool {
    Settings::get().checks
}

fn misplaced(what: &str) -> Trouble {
    internal(format!("internal error: a recorded {what} is something else"))
}

fn memory_at(recording: &Recording, place: Place) -> Result<&Memory, Trouble> {
    match &recording.kept[place as usize] {
        Kept::Buffer(buffer) => Ok(&buffer.memory),
        Kept::Memory(memory) if memory.is_released() && checks() => Err(released("buffer")),
        Kept::Memory(memory) => Ok(memory),
        _ => Err(misplaced("buffer")),
    }
}

fn image_at(recording: &Recording, place: Place) -> Result<&Arc<Image>, Trouble> {
    match &recording.kept[place as usize] {
        Kept::Texture(texture) => Ok(&texture.image),
        Kept::Image(image) if image.is_released() && checks() => Err(released("texture")),
        Kept::Image(image) => Ok(image),
        _ => Err(misplaced("texture")),
    }
}

fn signal_at(recording: &Recording, place: Place) -> Result<&Arc<Signal>, Trouble> {
    match &recording.kept[place as usize] {
        Kept::Event(signal) => Ok(signal),
        _ => Err(misplaced("event")),
    }
}

fn range(memory: &Memory, offset: usize, length: usize) -> Result<*mut u8, Trouble> {
    memory.range(offset, length).ok_or_else(|| {
        invalid(format!(
            "{length} bytes at offset {offset} of a buffer of {} bytes",
            memory.length()
        ))
    })
}

fn copy_buffer(
    recording: &Recording,
    from: (Place, usize),
    to: (Place, usize),
    length: usize,
) -> Result<(), Trouble> {
    let source = range(memory_at(recording, from.0)?, from.1, length)?;
    let target = range(memory_at(recording, to.0)?, to.1, length)?;
    // SAFETY: both ranges are inside memory that the recording keeps. They may overlap.
    unsafe { std::ptr::copy(source, target, length) };
    Ok(())
}

fn dispatch<'a>(
    recording: &'a Recording,
    index: usize,
    bindings: &mut Vec<Binding<'a>>,
) -> Result<(), Trouble> {
    let Command::Dispatch { pipeline, slots, grid, group } = recording.commands[index] else {
        return Err(misplaced("dispatch"));
    };
    let pipeline = recording.pipeline_at(pipeline).ok_or_else(|| misplaced("pipeline"))?;
    let kernel = &pipeline.kernel;
    let grid = match grid {
        Grid::Threads(grid) => grid,
        Grid::Indirect { place, offset } => {
            indirect(memory_at(recording, place)?, offset, group, kernel.name())?
        }
    };
    if grid.contains(&0) {
        return Ok(());
    }
    bindings.clear();
    // Pushed bytes are read where they are; a kernel that may write gets a copy to write to.
    let mut copies: Vec<Box<[u128]>> = Vec::new();
    for (slot, (parameter, _)) in recording.slots[slots as usize..].iter().zip(kernel.parameters())
    {
        bindings.push(match *slot {
            Slot::Empty => Binding::None,
            Slot::Buffer { place, offset } => {
                let memory = memory_at(recording, place)?;
                let length = memory.length() - offset;
                Binding::Memory { base: range(memory, offset, length)?, bytes: length as u64 }
            }
            Slot::Bytes { length, start } => {
                let length = length as usize;
                let bytes = &recording.bytes[start..start + length];
                let mut base = bytes.as_ptr().cast_mut();
                if parameter.writable {
                    let mut copy =
                        vec![0u128; length.div_ceil(size_of::<u128>())].into_boxed_slice();
                    base = copy.as_mut_ptr().cast();
                    // SAFETY: the copy is as long, and new.
                    unsafe { base.copy_from_nonoverlapping(bytes.as_ptr(), length) };
                    copies.push(copy);
                }
                Binding::Memory { base, bytes: length as u64 }
            }
            Slot::Threadgroup { length } => Binding::Threadgroup(length as u32),
            Slot::Texture { place } => Binding::Texture(image_at(recording, place)?.for_kernels()),
            Slot::Sampler { place } => match &recording.kept[place as usize] {
                Kept::Sampler(sampler) => Binding::Sampler(sampler.state),
                _ => return Err(misplaced("sampler")),
            },
        });
    }
    let settings = Settings::get();
    let launch =
        Launch { grid, group, bindings, watchdog: settings.watchdog, strict: settings.strict };
    // SAFETY: the recording keeps alive what is bound, and the lengths are those of the memory. Other threads access
    // it meanwhile in the order that the program itself makes sure of.
    unsafe { kernel.launch(&launch) }.map_err(|fault| failed(&fault))
}

/// The error of a command buffer whose kernel had a fault.
fn failed(fault: &Fault) -> Trouble {
    let code = match fault.kind {
        FaultKind::Access { .. } | FaultKind::Misaligned { .. } => CommandBufferError::PageFault,
        FaultKind::Watchdog => CommandBufferError::Timeout,
        FaultKind::Barrier => CommandBufferError::Internal,
        FaultKind::GroupSize { .. } | FaultKind::ThreadgroupMemory { .. } => {
            CommandBufferError::InvalidResource
        }
    };
    Problem::new(code, fault.to_string())
}

/// The grid that a buffer says.
fn indirect(
    memory: &Memory,
    offset: usize,
    group: [u32; 3],
    kernel: &str,
) -> Result<[u32; 3], Trouble> {
    // SAFETY: the range is inside memory that the recording keeps.
    let groups = unsafe { range(memory, offset, 12)?.cast::<[u32; 3]>().read_unaligned() };
    let mut grid = [0; 3];
    for axis in 0..3 {
        grid[axis] = groups[axis].checked_mul(group[axis]).ok_or_else(|| {
            invalid(format!("kernel '{kernel}': an indirect dispatch of {groups:?} threadgroups"))
        })?;
    }
    Ok(grid)
}

fn copy_pixels(recording: &Recording, copy: &PixelCopy) -> Result<(), Trouble> {
    let rows = |rows: &Rows| -> Result<(*mut u8, usize, usize), Trouble> {
        let memory = memory_at(recording, rows.buffer)?;
        let start = range(memory, rows.offset, 0)?;
        Ok((start, rows.bytes_per_row, rows.bytes_per_image))
    };
    let image = |pixels: &Pixels| image_at(recording, pixels.texture);
    match copy {
        PixelCopy::ToTexture { from, to, size } => {
            let (start, row, layer) = rows(from)?;
            // SAFETY: the encoder has seen that rows and region are inside.
            unsafe { image(to)?.write(to.level, to.slice, to.origin, *size, start, row, layer) };
        }
        PixelCopy::FromTexture { from, to, size } => {
            let (start, row, layer) = rows(to)?;
            // SAFETY: as above.
            unsafe {
                image(from)?.read(from.level, from.slice, from.origin, *size, start, row, layer)
            };
        }
        PixelCopy::Between { from, to, size } => {
            let (source, target) = (image(from)?, image(to)?);
            let place = |pixels: &Pixels| (pixels.level, pixels.slice, pixels.origin);
            copy_between(source, place(from), target, place(to), *size);
        }
    }
    Ok(())
}
