//! The file of a capture: a line for each command buffer, and one for each command that ran.
//! `specs/soft-metal.md` has the fields.

use super::error::CommandError;
use super::indirect::Span;
use super::label::Label;
use super::memory::Memory;
use super::recording::{Command, Grid, Note, Object, PixelCopy, Pixels, Recording, Rows};
use super::residents::Residents;
use super::table::{ObjectIndex, Slot};
use crate::abi::{MTLOrigin, MTLSize};
use crate::soft::fork::lock;
use crate::soft::kernel::{Argument, Kernel, Parameter, Processor};
use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The file of a capture.
pub(crate) struct Session {
    /// `None` once something could not be written.
    file: Mutex<Option<File>>,
    next: AtomicU64,
}

impl Session {
    /// Creates a new file; an existing one is not touched.
    pub(crate) fn create(path: &Path, device: &str, of: &str) -> io::Result<Self> {
        let file = File::create_new(path)?;
        let session = Self { file: Mutex::new(Some(file)), next: AtomicU64::new(1) };
        let mut line = Line::new("capture");
        line.field("version", 1).text("device", device).text("of", of);
        session.write(&line.end());
        Ok(session)
    }

    fn write(&self, text: &str) {
        let mut file = lock(&self.file);
        let written = file.as_mut().map(|file| file.write_all(text.as_bytes()));
        if let Some(Err(error)) = written {
            // No message is being answered that could report it: the capture was started long ago.
            eprintln!("aruminium: a capture ends early, its file cannot be written: {error}");
            *file = None;
        }
    }
}

/// The subject of a capture.
#[derive(Clone, Copy)]
pub(crate) enum Captured {
    /// All queues of a device.
    Device(&'static Processor),
    /// The queue of a number.
    Queue(u64),
}

/// The capture that new command buffers belong to: its file, and what it is of.
static CAPTURE: Mutex<Option<(Arc<Session>, Captured)>> = Mutex::new(None);
/// Whether there is one, readable without the lock.
static CAPTURING: AtomicBool = AtomicBool::new(false);

/// Begins capturing new command buffers, or ends it.
pub(crate) fn capture(capture: Option<(Arc<Session>, Captured)>) {
    CAPTURING.store(capture.is_some(), Relaxed);
    let _old = std::mem::replace(&mut *lock(&CAPTURE), capture);
}

/// The record of the execution of a captured command buffer.
pub(crate) struct Trace {
    session: Arc<Session>,
    number: u64,
    /// The commands that ran, in order, and how long each took.
    ran: Vec<(usize, Duration)>,
    /// When it began to wait for an event.
    waits: Option<Instant>,
}

/// When a command buffer was committed, scheduled, begun and ended, in seconds since the machine started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) kernel: (f64, f64),
    pub(crate) gpu: (f64, f64),
}

/// Results at the end of a command buffer.
pub(crate) struct Ending<'a> {
    pub(crate) label: &'a Label,
    pub(crate) queue: u64,
    pub(crate) queue_label: &'a Label,
    pub(crate) retained: bool,
    pub(crate) error: Option<&'a CommandError>,
    pub(crate) times: Times,
}

impl Trace {
    /// The trace of a new command buffer of a queue, if it is captured.
    #[inline]
    pub(crate) fn new(queue: u64, processor: Option<&'static Processor>) -> Option<Box<Self>> {
        if !CAPTURING.load(Relaxed) {
            return None;
        }
        let capture = lock(&CAPTURE);
        let (session, of) = capture.as_ref()?;
        let is_captured = match *of {
            Captured::Device(device) => processor == Some(device),
            Captured::Queue(number) => number == queue,
        };
        if !is_captured {
            return None;
        }
        let number = session.next.fetch_add(1, Relaxed);
        Some(Box::new(Self { session: Arc::clone(session), number, ran: Vec::new(), waits: None }))
    }

    /// Whether command buffers are captured.
    pub(crate) fn is_on() -> bool {
        CAPTURING.load(Relaxed)
    }

    /// The next command waits for an event.
    pub(crate) fn wait(&mut self) {
        self.waits.get_or_insert_with(Instant::now);
    }

    /// The command at an index has run since then.
    pub(crate) fn ran(&mut self, index: usize, since: Instant) {
        let since = self.waits.take().unwrap_or(since);
        self.ran.push((index, since.elapsed()));
    }

    /// Writes the command buffer, and the lines of its commands.
    pub(crate) fn finish(&self, ending: &Ending<'_>, commands: &str) {
        let mut line = Line::new("commandBuffer");
        line.field("id", self.number).label("label", ending.label);
        line.field("queue", ending.queue).label("queueLabel", ending.queue_label);
        line.field("retained", ending.retained);
        line.text("status", if ending.error.is_some() { "error" } else { "completed" });
        line.field(
            "error",
            ending.error.map_or_else(
                || "null".to_owned(),
                |error| {
                    let (code, text) = (error.code as isize, quoted(&error.message));
                    format!("{{\"code\":{code},\"text\":{text}}}")
                },
            ),
        );
        let Times { kernel, gpu } = ending.times;
        let times = [kernel.0, kernel.1, gpu.0, gpu.1];
        for (name, time) in ["kernelStart", "kernelEnd", "gpuStart", "gpuEnd"].iter().zip(times) {
            line.field(name, format_args!("{time:.9}"));
        }
        self.session.write(&(line.end() + commands));
    }

    /// A line for each command that ran.
    pub(crate) fn commands(&self, recording: &Recording) -> String {
        let surroundings = surroundings(recording);
        let mut lines = String::new();
        for (index, time) in &self.ran {
            let Some(mut line) = command(recording, &recording.commands[*index]) else { continue };
            line.field("commandBuffer", self.number).0.push_str(&surroundings[*index]);
            line.field("seconds", format_args!("{:.9}", time.as_secs_f64()));
            lines += &line.end();
        }
        lines
    }
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c < ' ' => _ = write!(quoted, "\\u{:04x}", c as u32),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(","))
}

/// A JSON object, field by field.
struct Line(String);

impl Line {
    fn new(kind: &str) -> Self {
        Self(format!("{{\"type\":\"{kind}\""))
    }

    /// An object inside a line, which has no type.
    fn part() -> Self {
        Self(String::new())
    }

    /// Adds a value that is valid JSON.
    fn field(&mut self, name: &str, value: impl Display) -> &mut Self {
        let comma = if self.0.is_empty() { "{" } else { "," };
        // Writing to a string does not fail.
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
        self
    }

    fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.field(name, quoted(text))
    }

    /// Adds a label, if it is set.
    fn label(&mut self, name: &str, label: &Label) -> &mut Self {
        if let Some(text) = label.get() {
            self.text(name, &text);
        }
        self
    }

    fn close(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn end(self) -> String {
        self.close() + "\n"
    }
}

/// For each command the fields about its encoder and about the debug groups around it.
fn surroundings(recording: &Recording) -> Vec<String> {
    let notes = recording.notes.as_deref();
    let (mut encoder, mut groups) = (String::new(), Vec::new());
    let fields = |encoder: &str, groups: &[&str]| match groups {
        [] => encoder.to_owned(),
        _ => format!("{encoder},\"groups\":{}", list(groups.iter().map(|name| quoted(name)))),
    };
    let around = recording.commands.iter().map(|command| {
        let note = match command {
            Command::Note(index) => notes.and_then(|notes| notes.list.get(*index as usize)),
            Command::Signal { .. } | Command::Wait { .. } => {
                // Between encoders.
                (encoder, groups) = (String::new(), Vec::new());
                None
            }
            _ => None,
        };
        match note {
            Some(Note::Encoder { protocol, label, groups: outer }) => {
                encoder = format!(",\"encoder\":\"{protocol}\"");
                if let Some(label) = label {
                    let _ = write!(encoder, ",\"encoderLabel\":{}", quoted(label));
                }
                groups = outer.iter().map(String::as_str).collect();
            }
            Some(Note::Push(name)) => groups.push(name),
            Some(Note::Pop) => _ = groups.pop(),
            Some(Note::Signpost(_)) | None => {}
        }
        fields(&encoder, &groups)
    });
    around.collect()
}

fn command(recording: &Recording, command: &Command) -> Option<Line> {
    let event = |kind, object: ObjectIndex, value: u64| {
        let mut line = Line::new(kind);
        if let Object::Event(signal) = &recording.objects[object as usize] {
            line.field("event", Arc::as_ptr(signal).addr()).label("label", &signal.label);
        }
        line.field("value", value);
        line
    };
    Some(match *command {
        Command::Dispatch { pipeline, slots, grid, group } => {
            let kernel = &*recording.pipeline_at(pipeline)?.kernel;
            let slots = &recording.slots[slots as usize..][..kernel.parameters().count()];
            dispatch(recording, kernel, slots, grid, group)
        }
        Command::Execute(index) => {
            let execution = &recording.executions[index as usize];
            let mut line = Line::new("executeCommands");
            let length = recording.length_at(execution.commands);
            line.field("commands", buffer(recording, execution.commands, 0, length));
            if let Span::Fixed { start, count } = execution.span {
                line.field("start", start).field("count", count);
            }
            line
        }
        Command::CopyBuffer { from, from_offset, to, to_offset, length } => {
            let mut line = Line::new("copyBuffer");
            line.field("from", buffer(recording, from, from_offset, length));
            line.field("to", buffer(recording, to, to_offset, length));
            line
        }
        Command::FillBuffer { buffer: to, start, length, value } => {
            let mut line = Line::new("fillBuffer");
            line.field("to", buffer(recording, to, start, length)).field("value", value);
            line
        }
        Command::CopyPixels(index) => copy_pixels(recording, &recording.pixels[index as usize]),
        Command::GenerateMipmaps(object) => {
            let mut line = Line::new("generateMipmaps");
            line.field("to", texture(recording, object));
            line
        }
        Command::CopyToAddress { from, start, length, address } => {
            let mut line = Line::new("copyBuffer");
            line.field("from", buffer(recording, from, start, length as usize));
            line.field("toAddress", address);
            line
        }
        Command::CopyTensor(index) => {
            let copy = &recording.tensors[index as usize];
            let mut line = Line::new("copyTensor");
            line.field("from", rest(recording, copy.from.object, copy.from.offset));
            line.field("to", rest(recording, copy.to.object, copy.to.offset));
            line.field("sizes", list(copy.sizes.iter()));
            line
        }
        Command::Sample { buffer: to, offset } => {
            let mut line = Line::new("sampleCounters");
            line.field("to", buffer(recording, to, offset, size_of::<u64>()));
            line
        }
        Command::Signal { event: object, value } => event("signalEvent", object, value),
        Command::Wait { event: object, value } => event("waitForEvent", object, value),
        Command::Note(index) => match recording.notes.as_ref()?.list.get(index as usize)? {
            Note::Signpost(name) => {
                let mut line = Line::new("signpost");
                line.text("name", name);
                line
            }
            _ => return None,
        },
        Command::Concurrent | Command::Serial | Command::Barrier(_) => return None,
    })
}

fn dispatch(
    recording: &Recording,
    kernel: &Kernel,
    slots: &[Slot],
    grid: Grid,
    group: [u32; 3],
) -> Line {
    let mut line = Line::new("dispatch");
    line.text("kernel", kernel.name());
    match grid {
        Grid::Threads(grid) => line.field("grid", list(grid)),
        Grid::Indirect { object, offset } => {
            line.field("indirect", rest(recording, object, offset))
        }
        Grid::GroupsAt(address) | Grid::ThreadsAt(address) => line.field("indirect", address),
    };
    line.field("threadgroup", list(group));
    let arguments = kernel.parameters().zip(slots);
    line.field("arguments", list(arguments.map(|(a, slot)| argument(recording, a, *slot))));
    line
}

/// A parameter of a kernel and what is bound.
fn argument(
    recording: &Recording,
    (parameter, argument): (Parameter, &Argument),
    slot: Slot,
) -> String {
    /// How many of the pushed bytes are shown.
    const SHOWN: usize = 64;
    let mut part = Line::part();
    part.text("name", &argument.name);
    part.text("kind", argument.kind.name());
    part.field("index", parameter.index);
    match slot {
        Slot::Empty | Slot::Sampler(_) | Slot::Residents { .. } => {}
        Slot::Buffer { object, offset } => {
            _ = part.field("buffer", rest(recording, object, offset));
        }
        Slot::Part { object, part: index } => {
            let range = recording.parts[index as usize].clone();
            part.field("buffer", buffer(recording, object, range.start, range.len()));
        }
        Slot::Bytes { length, start } => {
            let bytes = &recording.bytes[start..start + length as usize];
            let shown = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}"));
            part.field("length", length).text("bytes", &shown.collect::<String>());
        }
        Slot::Threadgroup { length } => _ = part.field("length", length),
        Slot::Texture { object } => _ = part.field("texture", texture(recording, object)),
        Slot::Address(address) => match Residents::memory(recording, address) {
            Ok(place) => _ = part.field("buffer", rest(recording, place.object, place.offset)),
            Err(_) => _ = part.field("address", address),
        },
        Slot::TextureId(id) => match Residents::texture(recording, id) {
            Ok(object) => _ = part.field("texture", texture(recording, object)),
            Err(_) => _ = part.field("resourceID", id),
        },
    }
    part.close()
}

fn memory(recording: &Recording, index: ObjectIndex) -> Option<&Memory> {
    match &recording.objects[index as usize] {
        Object::Memory(memory) => Some(memory),
        _ => None,
    }
}

/// A buffer from an offset to its end.
fn rest(recording: &Recording, index: ObjectIndex, offset: usize) -> String {
    let whole = recording.length_at(index);
    buffer(recording, index, offset, whole.saturating_sub(offset))
}

fn buffer(recording: &Recording, index: ObjectIndex, offset: usize, length: usize) -> String {
    let mut part = Line::part();
    if let Some(memory) = memory(recording, index) {
        part.field("address", memory.address()).label("label", &memory.label);
    }
    part.field("offset", offset).field("length", length);
    part.close()
}

fn texture(recording: &Recording, index: ObjectIndex) -> String {
    let Object::Image(image) = &recording.objects[index as usize] else {
        return "null".to_owned();
    };
    let mut part = Line::part();
    part.text("format", image.format().name).field("size", size(image.size(0)));
    part.label("label", &image.label);
    part.close()
}

fn size(size: MTLSize) -> String {
    list([size.width, size.height, size.depth])
}

fn copy_pixels(recording: &Recording, copy: &PixelCopy) -> Line {
    let pixels = |pixels: &Pixels| {
        let MTLOrigin { x, y, z } = pixels.origin;
        let mut part = Line::part();
        part.field("texture", texture(recording, pixels.texture)).field("slice", pixels.slice);
        part.field("level", pixels.level).field("origin", list([x, y, z]));
        part.close()
    };
    let rows = |rows: &Rows| {
        let mut part = Line::part();
        part.field("buffer", rest(recording, rows.buffer, rows.offset));
        part.field("bytesPerRow", rows.bytes_per_row);
        part.field("bytesPerImage", rows.bytes_per_image);
        part.close()
    };
    let (from, to, copied) = match copy {
        PixelCopy::ToTexture { from, to, size } => (rows(from), pixels(to), size),
        PixelCopy::FromTexture { from, to, size } => (pixels(from), rows(to), size),
        PixelCopy::Between { from, to, size } => (pixels(from), pixels(to), size),
    };
    let mut line = Line::new("copyPixels");
    line.field("from", from).field("to", to).field("size", size(*copied));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_json() {
        assert_eq!(quoted("a \"b\" \\ \n\u{1} ü"), r#""a \"b\" \\ \n\u0001 ü""#);
        let mut line = Line::new("x");
        line.field("a", 1).text("b", "c").field("d", list(["1", "2"]));
        assert_eq!(line.end(), "{\"type\":\"x\",\"a\":1,\"b\":\"c\",\"d\":[1,2]}\n");
    }
}
