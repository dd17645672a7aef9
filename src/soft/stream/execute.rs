//! Executes recorded commands.

use super::error::CommandError;
use super::event::Signal;
use super::image::{Image, copy_between};
use super::indirect;
use super::launched::{Launched, Worked};
use super::memory::Memory;
use super::pipeline::Pipeline;
use super::progress::encoders;
use super::queue::nanoseconds;
use super::recording::{Command, Grid, Object, Ordered, PixelCopy, Pixels, Recording, Rows};
use super::residents::Residents;
use super::settings::Settings;
use super::submission::Submission;
use super::table::{ObjectIndex, Slot};
use super::tensor::{TensorCopy, check_argument, copy_elements, offsets};
use super::trace::Trace;
use crate::soft::ir::{Checks, catch_internal_error};
use crate::soft::kernel::order::Random;
use crate::soft::kernel::sanitize::{Session, mark, written};
use crate::soft::kernel::{Binding, Launch, Source, Transfer};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Where the execution of a recording stopped.
pub(crate) enum Step {
    /// At the end, or at the first error.
    Done(Result<(), CommandError>),
    /// At an event that has not reached the value.
    Wait(Arc<Signal>, u64),
}

/// Runs from the command at `next` on, and notes when a device worked that measures it.
pub(crate) fn run(
    recording: &Recording,
    next: &mut usize,
    trace: Option<&mut Trace>,
    submission: &Submission,
    worked: &mut Worked,
) -> Step {
    // A defect of our own ends this command buffer, not the process or the queue.
    catch_internal_error(|| run_commands(recording, next, trace, submission, worked))
        .unwrap_or_else(|error| Step::Done(Err(CommandError::internal(error.message))))
}

fn run_commands(
    recording: &Recording,
    next: &mut usize,
    trace: Option<&mut Trace>,
    submission: &Submission,
    worked: &mut Worked,
) -> Step {
    let mut launched = Launched::new(&submission.session, &submission.log);
    (launched.worked, launched.begun) = (*worked, *next..*next);
    let mut step = walk(recording, next, trace, &mut launched);
    let finished = launched.finish();
    *worked = launched.worked;
    if let Err(error) = finished {
        step = Step::Done(Err(error));
    }
    if let Step::Done(Err(error)) = &mut step {
        error.encoders = encoders(recording, &launched.begun);
    }
    step
}

fn walk(
    recording: &Recording,
    next: &mut usize,
    mut trace: Option<&mut Trace>,
    launched: &mut Launched<'_>,
) -> Step {
    let session = launched.session;
    // In a concurrent encoder: the dispatches since the last barrier, which may run in any order.
    let mut unordered: Option<Vec<usize>> = None;
    let mut bindings = Vec::new();
    let mut execute = |index: usize| {
        let Some(trace) = &mut trace else {
            return run_one(recording, index, &mut bindings, launched);
        };
        let since = Instant::now();
        let result =
            run_one(recording, index, &mut bindings, launched).and_then(|()| launched.finish());
        trace.ran(index, since);
        result
    };
    while let Some(command) = recording.commands.get(*next) {
        session.begin_encoders(&recording.encoders, &recording.untracked_ranges, *next);
        let result = match *command {
            Command::Dispatch { .. }
            | Command::Execute(_)
            | Command::CopyBuffer { .. }
            | Command::FillBuffer { .. }
            | Command::CopyPixels(_)
            | Command::GenerateMipmaps(_)
            | Command::CopyTensor(_)
                if unordered.is_some() =>
            {
                unordered.iter_mut().for_each(|waiting| waiting.push(*next));
                Ok(())
            }
            Command::Dispatch { .. } | Command::Execute(_) => {
                // Launches of a serial encoder wait for each other.
                session.order();
                execute(*next)
            }
            Command::Concurrent | Command::Barrier(_) | Command::Serial => {
                let mut waiting = unordered.take();
                let stays_concurrent = match command {
                    Command::Concurrent => true,
                    Command::Serial => false,
                    _ => waiting.is_some(),
                };
                unordered = stays_concurrent.then(Vec::new);
                if let Some(waiting) = &mut waiting {
                    disorder(waiting, seed(recording));
                }
                let result = waiting.into_iter().flatten().try_for_each(&mut execute);
                order(recording, session, *next);
                result
            }
            Command::Wait { event, value } => match signal_at(recording, event) {
                Ok(signal) if signal.value() < value => {
                    return Step::Wait(Arc::clone(signal), value);
                }
                Ok(signal) => {
                    session.after(&signal.clock);
                    execute(*next)
                }
                Err(error) => Err(error),
            },
            _ => execute(*next),
        };
        if let Err(error) = result {
            return Step::Done(Err(error));
        }
        *next += 1;
    }
    Step::Done(Ok(()))
}

/// Orders what was launched before what follows, as far as a command says.
fn order(recording: &Recording, session: &Session, command: usize) {
    match recording.commands[command] {
        Command::Barrier(Ordered::Textures) => {}
        Command::Barrier(Ordered::Resources(start, count)) => {
            let objects = &recording.ordered[start as usize..][..count as usize];
            let memory = objects.iter().filter_map(|&index| memory_at(recording, index).ok());
            let ranges = memory.filter_map(|memory| {
                let (base, bytes) = (range(memory, 0, 0).ok()? as u64, memory.length() as u64);
                Some(base..base + bytes)
            });
            session.order_memory(&ranges.collect::<Vec<_>>());
        }
        _ => session.order(),
    }
}

/// Puts launches that nothing orders into the order in which they run: the last first, or random by a seed, so that a
/// missing barrier has a visible effect.
pub(super) fn disorder(launches: &mut [usize], seed: Option<u64>) {
    launches.reverse();
    let Some(seed) = seed.filter(|_| launches.len() > 1) else { return };
    let mut random = Random::new(seed);
    for last in (1..launches.len()).rev() {
        launches.swap(last, random.below(last as u64 + 1) as usize);
    }
}

/// The seed of an order that launches need, another one each time: from the command buffer's, if the program chose one, or from
/// that of the process.
pub(super) fn seed(recording: &Recording) -> Option<u64> {
    static ORDERS: AtomicU64 = AtomicU64::new(0);
    let (seed, orders) = match recording.order {
        Some(seed) => (seed, &recording.orders),
        None => (Settings::get().order?, &ORDERS),
    };
    Some(seed.wrapping_add(orders.fetch_add(1, Ordering::Relaxed) << 32))
}

/// Executes one command. The caller waits, and orders dispatches.
fn run_one<'a>(
    recording: &'a Recording,
    index: usize,
    bindings: &mut Vec<Binding<'a>>,
    launched: &mut Launched<'_>,
) -> Result<(), CommandError> {
    let in_order = matches!(
        recording.commands[index],
        Command::Dispatch { .. }
            | Command::CopyBuffer { .. }
            | Command::FillBuffer { .. }
            | Command::Note(_)
    );
    launched.begin(index, in_order)?;
    match recording.commands[index] {
        Command::Dispatch { .. } => dispatch(recording, index, bindings, launched),
        Command::Execute(index) => {
            let execution = &recording.executions[index as usize];
            indirect::execute(recording, execution, bindings, launched)
        }
        Command::CopyBuffer { from, from_offset, to, to_offset, length } => {
            copy_buffer(recording, (from, from_offset), (to, to_offset), length, launched)
        }
        Command::FillBuffer { buffer, start, length, value } => {
            let memory = memory_at(recording, buffer)?;
            let at = range(memory, start, length)?;
            let fill = Transfer { source: Source::Fill(value), to: at, bytes: length };
            // SAFETY: the range is inside memory that the recording keeps alive.
            if !unsafe { launched.transfer(&fill, &[memory])? } {
                launched.finish()?;
                // SAFETY: as above.
                unsafe { at.write_bytes(value, length) };
            }
            mark(at, length);
            Ok(())
        }
        Command::CopyPixels(index) => copy_pixels(recording, &recording.pixels[index as usize]),
        Command::GenerateMipmaps(texture) => {
            image_at(recording, texture).map(|image| image.generate_mipmaps())
        }
        Command::CopyToAddress { from, start, length, address } => {
            let to = Residents::memory(recording, address)?;
            let length = length as usize;
            copy_buffer(recording, (from, start), (to.object, to.offset), length, launched)
        }
        Command::CopyTensor(index) => {
            launched.finish()?;
            let TensorCopy { from, to, sizes, bytes } = &recording.tensors[index as usize];
            let (source, target) =
                (memory_at(recording, from.object)?, memory_at(recording, to.object)?);
            let [source, target] = [(source, from), (target, to)]
                .map(|(memory, part)| range(memory, part.offset, part.reach(sizes, *bytes)));
            let (source, target) = (source?, target?);
            // SAFETY: the elements are inside memory that the recording keeps alive.
            unsafe { copy_elements((source, &from.strides), (target, &to.strides), sizes, *bytes) };
            for row in offsets(&to.strides, sizes) {
                mark(target.wrapping_add(row), *bytes);
            }
            Ok(())
        }
        Command::Signal { event, value } => {
            let signal = signal_at(recording, event)?;
            launched.session.before(&signal.clock);
            signal.raise(value);
            Ok(())
        }
        Command::Sample { buffer, offset } => {
            let at = range(memory_at(recording, buffer)?, offset, size_of::<u64>())?;
            // SAFETY: the range is inside memory that the recording keeps alive.
            unsafe { at.cast::<u64>().write_unaligned(nanoseconds()) };
            Ok(())
        }
        Command::Concurrent
        | Command::Barrier(_)
        | Command::Serial
        | Command::Wait { .. }
        | Command::Note(_) => Ok(()),
    }
}

/// The error for a resource that was released too early.
fn released(what: &str) -> CommandError {
    CommandError::invalid(format!(
        "a {what} was released before a command buffer with unretained references was done with it"
    ))
}

#[cold]
fn misplaced(what: &str) -> CommandError {
    CommandError::internal(format!("a recorded {what} is another kind of object"))
}

/// Whether a resource that was released may not be used any more.
fn checks_released(recording: &Recording) -> bool {
    !recording.retaining && Settings::get().checks
}

pub(super) fn memory_at(
    recording: &Recording,
    index: ObjectIndex,
) -> Result<&Arc<Memory>, CommandError> {
    match &recording.objects[index as usize] {
        Object::Memory(memory) if memory.is_released() && checks_released(recording) => {
            Err(released("buffer"))
        }
        Object::Memory(memory) => Ok(memory),
        _ => Err(misplaced("buffer")),
    }
}

pub(super) fn image_at(
    recording: &Recording,
    index: ObjectIndex,
) -> Result<&Arc<Image>, CommandError> {
    match &recording.objects[index as usize] {
        Object::Image(image) if image.is_released() && checks_released(recording) => {
            Err(released("texture"))
        }
        Object::Image(image) => Ok(image),
        _ => Err(misplaced("texture")),
    }
}

fn signal_at(recording: &Recording, index: ObjectIndex) -> Result<&Arc<Signal>, CommandError> {
    match &recording.objects[index as usize] {
        Object::Event(signal) => Ok(signal),
        _ => Err(misplaced("event")),
    }
}

pub(super) fn range(
    memory: &Memory,
    offset: usize,
    length: usize,
) -> Result<*mut u8, CommandError> {
    memory.range(offset, length).ok_or_else(|| {
        CommandError::invalid(format!(
            "{length} bytes at offset {offset} of a buffer of {} bytes",
            memory.length()
        ))
    })
}

fn copy_buffer(
    recording: &Recording,
    from: (ObjectIndex, usize),
    to: (ObjectIndex, usize),
    length: usize,
    launched: &mut Launched<'_>,
) -> Result<(), CommandError> {
    let (from, to) = ((memory_at(recording, from.0)?, from.1), (memory_at(recording, to.0)?, to.1));
    let source = range(from.0, from.1, length)?;
    let target = range(to.0, to.1, length)?;
    let copy = Transfer { source: Source::Copy(source), to: target, bytes: length };
    // SAFETY: both ranges are inside memory that the recording keeps alive.
    if !unsafe { launched.transfer(&copy, &[to.0, from.0])? } {
        launched.finish()?;
        // SAFETY: as above. They may overlap.
        unsafe { std::ptr::copy(source, target, length) };
    }
    written::copy(source, target, length);
    Ok(())
}

fn dispatch<'a>(
    recording: &'a Recording,
    index: usize,
    bindings: &mut Vec<Binding<'a>>,
    launched: &mut Launched<'_>,
) -> Result<(), CommandError> {
    let Command::Dispatch { pipeline, slots, grid, group } = recording.commands[index] else {
        return Err(misplaced("dispatch"));
    };
    let pipeline = recording.pipeline_at(pipeline).ok_or_else(|| misplaced("pipeline"))?;
    let kernel = &pipeline.kernel;
    let mut group = group;
    let grid = match grid {
        Grid::Threads(grid) => grid,
        Grid::Indirect { object, offset } => {
            launched.finish()?;
            groups(memory_at(recording, object)?, offset, group, kernel.name())?
        }
        Grid::GroupsAt(address) => {
            launched.finish()?;
            let place = Residents::memory(recording, address)?;
            groups(memory_at(recording, place.object)?, place.offset, group, kernel.name())?
        }
        Grid::ThreadsAt(address) => {
            launched.finish()?;
            let [x, y, z, width, height, depth] = words_at(recording, address)?;
            group = [width, height, depth];
            let is_empty = [x, y, z].contains(&0);
            let sizes = group.map(|size| size as usize);
            pipeline.check_group(sizes, is_empty).map_err(CommandError::invalid)?;
            [x, y, z]
        }
    };
    if grid.contains(&0) {
        return Ok(());
    }
    let slots = &recording.slots[slots as usize..][..pipeline.slots()];
    launch(recording, pipeline, slots, grid, group, (bindings, launched))
}

/// Launches a kernel with these arguments, in the order of its parameters.
pub(super) fn launch<'a>(
    recording: &'a Recording,
    pipeline: &Pipeline,
    slots: &[Slot],
    grid: [u32; 3],
    group: [u32; 3],
    (bindings, launched): (&mut Vec<Binding<'a>>, &mut Launched<'_>),
) -> Result<(), CommandError> {
    let kernel = &pipeline.kernel;
    bindings.clear();
    bindings.reserve(slots.len());
    // Pushed bytes are read where they are; a kernel that may write gets a copy to write to.
    let mut copies: Vec<Box<[u128]>> = Vec::new();
    // Says which argument an error is about.
    let named = |error: CommandError, nth: usize| {
        let (parameter, argument) = kernel.parameters().nth(nth).expect("a slot is of a parameter");
        let (kernel, name, kind) = (kernel.name(), &argument.name, argument.kind.name());
        let (index, why) = (parameter.index, &error.message);
        let message = format!("kernel '{kernel}': argument '{name}', {kind}({index}): {why}");
        CommandError { message, ..error }
    };
    for (nth, (slot, (parameter, argument))) in slots.iter().zip(kernel.parameters()).enumerate() {
        bindings.push(match *slot {
            _ if parameter.is_log() => launched.log.open(pipeline.processor)?,
            Slot::Empty | Slot::Residents { .. } => Binding::None,
            Slot::Buffer { object, offset } => {
                let memory = memory_at(recording, object)?;
                let length = memory.length() - offset;
                let base = range(memory, offset, length)?;
                let address = memory.address() + offset as u64;
                Binding::Memory { base, bytes: length as u64, address }
            }
            Slot::Part { object, part } => {
                let Range { start, end } = recording.parts[part as usize];
                let memory = memory_at(recording, object)?;
                let base = range(memory, start, end - start)?;
                let address = memory.address() + start as u64;
                Binding::Memory { base, bytes: (end - start) as u64, address }
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
                Binding::Memory { base, bytes: length as u64, address: 0 }
            }
            Slot::Threadgroup { length } => Binding::Threadgroup(length as u32),
            Slot::Texture { object } => {
                Binding::Texture(image_at(recording, object)?.for_kernels())
            }
            Slot::Sampler(sampler) => Binding::Sampler(sampler),
            Slot::Address(address) => {
                let place =
                    Residents::memory(recording, address).map_err(|error| named(error, nth))?;
                let memory = memory_at(recording, place.object)?;
                let length = memory.length() - place.offset;
                let base = range(memory, place.offset, length)?;
                if let Some(wanted) = argument.tensor {
                    // SAFETY: the memory has that many bytes from there on.
                    let fits = unsafe { check_argument(wanted, base, length) };
                    fits.map_err(|why| named(CommandError::invalid(why), nth))?;
                }
                Binding::Memory { base, bytes: length as u64, address }
            }
            Slot::TextureId(id) => {
                let object =
                    Residents::texture(recording, id).map_err(|error| named(error, nth))?;
                let image = image_at(recording, object)?;
                if let Some(wanted) = argument.texture.filter(|_| argument.used) {
                    let fits = match Settings::get().checks {
                        true => image.fits(wanted, argument.access),
                        false => image.allows_writes(argument.access),
                    };
                    fits.map_err(|why| named(CommandError::invalid(why), nth))?;
                }
                Binding::Texture(image.for_kernels())
            }
        });
    }
    let residents = match kernel.reaches_residents() {
        true => Residents::of(recording, kernel, slots)?,
        false => Residents::default(),
    };
    if written::is_any_tracked() && !kernel.checks().has(Checks::INIT) {
        // A kernel without the check does not record its writes: all that it may write counts as written.
        for (binding, (parameter, _)) in bindings.iter().zip(kernel.parameters()) {
            if let Binding::Memory { base, bytes, .. } = *binding
                && parameter.writable
            {
                mark(base, bytes as usize);
            }
        }
        let writable = residents.memory.iter().filter(|resident| resident.writable);
        writable.for_each(|resident| mark(resident.base, resident.bytes as usize));
    }
    let settings = Settings::get();
    let launch = Launch {
        grid,
        group,
        bindings,
        residents: &residents.memory,
        resident_textures: &residents.textures,
        watchdog: settings.watchdog,
        strict: settings.strict,
        session: kernel.checks().report().then_some(launched.session),
        profile: None,
        order: seed(recording),
        locate: None,
    };
    // SAFETY: the recording keeps alive what is bound, and the lengths are those of the memory. Other threads access
    // it meanwhile in the order that the program itself enforces.
    let submitted = unsafe { launched.submit(kernel, &launch) };
    if !kernel.logs() {
        return submitted;
    }
    // The next launch uses the same memory for its messages.
    let finished = submitted.and(launched.finish());
    if let Some(range) = launched.log.close(kernel.name()) {
        launched.session.order_memory(&[range]);
    }
    finished
}

/// The words at an address, which a command reads.
pub(super) fn words_at<const N: usize>(
    recording: &Recording,
    address: u64,
) -> Result<[u32; N], CommandError> {
    let place = Residents::memory(recording, address)?;
    let at = range(memory_at(recording, place.object)?, place.offset, size_of::<[u32; N]>())?;
    // SAFETY: the range is inside memory that the recording keeps alive.
    Ok(unsafe { at.cast::<[u32; N]>().read_unaligned() })
}

/// The grid of an indirect dispatch.
fn groups(
    memory: &Memory,
    offset: usize,
    group: [u32; 3],
    kernel: &str,
) -> Result<[u32; 3], CommandError> {
    // SAFETY: the range is inside memory that the recording keeps alive.
    let groups = unsafe { range(memory, offset, 12)?.cast::<[u32; 3]>().read_unaligned() };
    let mut grid = [0; 3];
    for axis in 0..3 {
        grid[axis] = groups[axis].checked_mul(group[axis]).ok_or_else(|| {
            CommandError::invalid(format!(
                "kernel '{kernel}': an indirect dispatch of {groups:?} threadgroups"
            ))
        })?;
    }
    Ok(grid)
}

fn copy_pixels(recording: &Recording, copy: &PixelCopy) -> Result<(), CommandError> {
    let rows = |rows: &Rows| -> Result<(*mut u8, usize, usize), CommandError> {
        let memory = memory_at(recording, rows.buffer)?;
        let start = range(memory, rows.offset, 0)?;
        Ok((start, rows.bytes_per_row, rows.bytes_per_image))
    };
    let image = |pixels: &Pixels| image_at(recording, pixels.texture);
    match copy {
        PixelCopy::ToTexture { from, to, size } => {
            let (start, row, layer) = rows(from)?;
            // SAFETY: the encoder checked that rows and region are inside.
            unsafe { image(to)?.write(to.level, to.slice, to.origin, *size, start, row, layer) };
        }
        PixelCopy::FromTexture { from, to, size } => {
            let (start, row, layer) = rows(to)?;
            let texture = image(from)?;
            // SAFETY: as above.
            unsafe { texture.read(from.level, from.slice, from.origin, *size, start, row, layer) };
            let (columns, rows) = texture.format.blocks(size.width, size.height);
            for (z, y) in (0..size.depth).flat_map(|z| (0..rows).map(move |y| (z, y))) {
                mark(start.wrapping_add(z * layer + y * row), columns * texture.format.bytes);
            }
        }
        PixelCopy::Between { from, to, size } => {
            let (source, target) = (image(from)?, image(to)?);
            let corner = |pixels: &Pixels| (pixels.level, pixels.slice, pixels.origin);
            copy_between(source, corner(from), target, corner(to), *size);
        }
    }
    Ok(())
}
