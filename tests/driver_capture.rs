//! Captures on soft Metal: the contents of the file. On a Mac a capture is a folder for Xcode, and an environment
//! variable must allow it; see `driver_device`.

#![cfg(any(not(target_vendor = "apple"), feature = "soft"))]
#![allow(clippy::undocumented_unsafe_blocks)] // The bindings outlive the work.

mod gpu;

use aruminium::abi::Id;
use aruminium::foundation::NSURL;
use aruminium::metal_class;
use aruminium::{
    Capture, CaptureDestination, DispatchType, GpuError, PixelFormat, Subresource,
    TextureDescriptor,
};
use gpu::Rig;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
enum Json {
    Word(&'static str),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(HashMap<String, Json>),
}

impl Json {
    /// Reads one value, and returns it with the rest of the text.
    fn read(text: &str) -> (Self, &str) {
        for word in ["null", "true", "false"] {
            if let Some(rest) = text.strip_prefix(word) {
                return (Self::Word(word), rest);
            }
        }
        match text.as_bytes()[0] {
            b'"' => {
                let (text, rest) = Self::read_text(text);
                (Self::Text(text), rest)
            }
            b'[' => {
                let (mut list, mut rest) = (Vec::new(), &text[1..]);
                while !rest.starts_with(']') {
                    let (item, after) = Self::read(rest.strip_prefix(',').unwrap_or(rest));
                    list.push(item);
                    rest = after;
                }
                (Self::List(list), &rest[1..])
            }
            b'{' => {
                let (mut fields, mut rest) = (HashMap::new(), &text[1..]);
                while !rest.starts_with('}') {
                    let (name, after) = Self::read_text(rest.strip_prefix(',').unwrap_or(rest));
                    let (value, after) = Self::read(after.strip_prefix(':').expect("a colon"));
                    assert_eq!(fields.insert(name, value), None, "a name twice: {text}");
                    rest = after;
                }
                (Self::Object(fields), &rest[1..])
            }
            _ => {
                let end = text.find([',', ']', '}']).unwrap_or(text.len());
                (Self::Number(text[..end].parse().expect("a number")), &text[end..])
            }
        }
    }

    fn read_text(text: &str) -> (String, &str) {
        let mut read = String::new();
        let mut chars = text.strip_prefix('"').expect("a string").char_indices();
        loop {
            match chars.next().expect("an end of the string") {
                (at, '"') => return (read, &text[at + 2..]),
                (_, '\\') => match chars.next().unwrap().1 {
                    'n' => read.push('\n'),
                    c => read.push(c),
                },
                (_, c) => read.push(c),
            }
        }
    }

    fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { panic!("not an object: {self:?}") };
        fields.get(name)
    }

    #[track_caller]
    fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Self::Text(text)) => text,
            other => panic!("{name} is not a string: {other:?}"),
        }
    }

    #[track_caller]
    fn number(&self, name: &str) -> f64 {
        match self.get(name) {
            Some(Self::Number(number)) => *number,
            other => panic!("{name} is not a number: {other:?}"),
        }
    }

    #[track_caller]
    fn list(&self, name: &str) -> &[Self] {
        match self.get(name) {
            Some(Self::List(list)) => list,
            other => panic!("{name} is not an array: {other:?}"),
        }
    }
}

fn numbers<const N: usize>(numbers: [u32; N]) -> Vec<Json> {
    numbers.map(|number| Json::Number(number.into())).into()
}

/// A path without a file, which is removed on drop. There is one capture at a time in a process.
struct Output {
    path: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Output {
    fn new(name: &str) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("aruminium {name} {}.gputrace", std::process::id());
        Self { path: std::env::temp_dir().join(name), _alone: alone }
    }

    fn lines(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(&self.path).unwrap();
        let read = |line| match Json::read(line) {
            (line, "") => line,
            (_, rest) => panic!("text after the object: {rest}"),
        };
        text.lines().map(read).collect()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn of_type<'a>(lines: &'a [Json], ty: &'a str) -> impl Iterator<Item = &'a Json> {
    lines.iter().filter(move |line| line.text("type") == ty)
}

const FILL: &str =
    "kernel void fill(device uint *out [[buffer(0)]], constant uint &value [[buffer(3)]],
    uint i [[thread_position_in_grid]]) { out[i] = value; }";

#[test]
fn a_capture_records_the_commands_that_ran() {
    let output = Output::new("what ran");
    let rig = Rig::new();
    let (fill, out) = (rig.kernel(FILL), rig.gpu.buffer(64 * 4).unwrap());
    out.set_label("the \"output\"");
    rig.queue.set_label("work");
    rig.run(|_| ()).unwrap();

    let capture = Capture::shared();
    capture.start_queue(&rig.queue, &output.path).unwrap();
    assert!(capture.is_capturing());
    let commands = rig.queue.commands().unwrap();
    commands.set_label("one step");
    commands.push_debug_group("layer 0");
    let encoder = commands.encoder().unwrap();
    encoder.set_label("filling");
    encoder.push_debug_group("inner");
    encoder.bind(&fill);
    encoder.bind_buffer(&out, 16, 0);
    encoder.push(&0x0102_0304u32.to_le_bytes(), 3);
    encoder.launch((48, 1, 1), (16, 1, 1));
    encoder.pop_debug_group();
    encoder.signpost("half way");
    encoder.launch_groups((3, 1, 1), (8, 1, 1));
    encoder.finish();
    commands.pop_debug_group();
    let copier = commands.copier().unwrap();
    copier.push_debug_group("zeroes");
    copier.fill(&out, (0..8).into(), 9);
    copier.pop_debug_group();
    copier.copy(&out, 0, &out, 128, 32);
    copier.finish();
    let event = rig.gpu.event().unwrap();
    commands.signal(&event, 4);
    commands.submit();
    commands.finish().unwrap();
    // Another queue is not captured.
    Rig::new().run(|_| ()).unwrap();
    capture.stop();
    assert!(!capture.is_capturing());
    rig.run(|_| ()).unwrap();

    let lines = output.lines();
    let kinds: Vec<&str> = lines.iter().map(|line| line.text("type")).collect();
    assert_eq!(
        kinds,
        [
            "capture",
            "commandBuffer",
            "dispatch",
            "signpost",
            "dispatch",
            "fillBuffer",
            "copyBuffer",
            "signalEvent"
        ]
    );
    assert_eq!(lines[0].text("device"), rig.gpu.name());
    assert_eq!(lines[0].text("of"), "queue");
    let step = &lines[1];
    assert_eq!((step.text("label"), step.text("queueLabel")), ("one step", "work"));
    assert_eq!(step.text("status"), "completed");
    assert_eq!(step.get("error"), Some(&Json::Word("null")));
    assert!((step.number("gpuStart") - commands.gpu_start_time()).abs() < 1e-6);
    assert!((step.number("gpuEnd") - commands.gpu_end_time()).abs() < 1e-6);

    let (first, second) = (&lines[2], &lines[4]);
    assert_eq!(first.text("kernel"), "fill");
    assert_eq!(first.list("grid"), numbers([48, 1, 1]));
    assert_eq!(first.list("threadgroup"), numbers([16, 1, 1]));
    assert_eq!(second.list("grid"), numbers([24, 1, 1]));
    assert_eq!(first.text("encoder"), "MTLComputeCommandEncoder");
    assert_eq!(first.text("encoderLabel"), "filling");
    assert_eq!(first.list("groups"), ["layer 0", "inner"].map(|name| Json::Text(name.into())));
    assert_eq!(second.list("groups"), ["layer 0"].map(|name| Json::Text(name.into())));
    assert_eq!(lines[5].list("groups"), [Json::Text("zeroes".into())]);
    assert_eq!(lines[6].get("groups"), None);
    let [target, value] = first.list("arguments") else { panic!("two arguments: {first:?}") };
    assert_eq!((target.text("name"), target.number("index")), ("out", 0.0));
    let bound = target.get("buffer").unwrap();
    assert_eq!(bound.number("address"), out.gpu_address() as f64);
    assert_eq!(bound.text("label"), "the \"output\"");
    assert_eq!((bound.number("offset"), bound.number("length")), (16.0, 240.0));
    assert_eq!((value.text("name"), value.number("index")), ("value", 3.0));
    assert_eq!(value.text("bytes"), "04030201");
    assert_eq!(lines[3].text("name"), "half way");
    assert_eq!(lines[6].get("to").unwrap().number("offset"), 128.0);
    assert_eq!(lines[7].number("value"), 4.0);
    let whole = step.number("gpuEnd") - step.number("gpuStart");
    let parts: f64 = lines[2..].iter().map(|line| line.number("seconds")).sum();
    // A GPU measures the whole, but the time of a command is the host's, which compiles kernels meanwhile.
    let by_gpu = std::env::var("ARUMINIUM_SOFT_DEVICE").is_ok_and(|name| name.starts_with("cuda"));
    assert!(parts > 0.0 && (parts <= whole || by_gpu), "{parts} of {whole}");
}

#[test]
fn a_capture_records_errors() {
    let output = Output::new("what went wrong");
    let rig = Rig::new();
    let (fill, out) = (rig.kernel(FILL), rig.gpu.buffer(64 * 4).unwrap());
    let capture = Capture::shared();
    capture.start_device(&rig.gpu, &output.path).unwrap();
    let run = |threads: usize, pushed: bool| {
        rig.run(|encoder| {
            encoder.bind(&fill);
            encoder.bind_buffer(&out, 0, 0);
            if pushed {
                encoder.push(&[0; 4], 3);
            }
            encoder.launch((threads, 1, 1), (32, 1, 1));
        })
    };
    let beyond = run(65, true).unwrap_err().to_string();
    run(64, false).unwrap_err();
    run(64, true).unwrap();
    capture.stop();

    // Other tests of this process may run on other queues meanwhile.
    let lines = output.lines();
    let failed: Vec<_> =
        of_type(&lines, "commandBuffer").filter(|line| line.text("status") == "error").collect();
    let [first, second] = failed[..] else { panic!("two failed: {failed:?}") };
    let (first, second) = (first.get("error").unwrap(), second.get("error").unwrap());
    assert_eq!((first.number("code"), second.number("code")), (3.0, 9.0));
    assert!(beyond.ends_with(first.text("text")), "{first:?}");
    assert!(second.text("text").contains("'value'"));
    // The faulty launch ran; the one without an argument was never recorded.
    assert_eq!(of_type(&lines, "dispatch").count(), 2);
}

#[test]
fn a_capture_needs_a_new_file_and_the_one_before_to_end() {
    let output = Output::new("new");
    let rig = Rig::new();
    let capture = Capture::shared();
    assert!(capture.supports(CaptureDestination::GPUTraceDocument));
    assert!(!capture.supports(CaptureDestination::DeveloperTools));
    #[track_caller]
    fn refused(started: Result<(), GpuError>, word: &str) {
        match started {
            Err(GpuError::CaptureFailed(why)) => assert!(why.contains(word), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    capture.start_device(&rig.gpu, &output.path).unwrap();
    refused(capture.start_device(&rig.gpu, output.path.with_extension("other")), "already");
    capture.stop();
    capture.stop();
    refused(capture.start_device(&rig.gpu, &output.path), "exists");
    refused(capture.start_queue(&rig.queue, "/nowhere/at/all.gputrace"), "/nowhere");
    assert!(!capture.is_capturing());
    assert_eq!(of_type(&output.lines(), "capture").count(), 1);
}

#[test]
fn command_buffers_of_a_capture_are_recorded_after_it_stops() {
    let output = Output::new("to its end");
    let rig = Rig::new();
    let (reached, gate) = (rig.gpu.shared_event().unwrap(), rig.gpu.shared_event().unwrap());
    let texture = TextureDescriptor::new_2d(PixelFormat::R8Unorm, 4, 4);
    let (image, pixels) = (rig.gpu.texture_with(&texture).unwrap(), rig.gpu.buffer(16).unwrap());
    let step =
        rig.kernel("kernel void step(device uint *x, constant uint &by) { x[0] = x[0] * 2 + by; }");
    let capture = Capture::shared();
    capture.start_queue(&rig.queue, &output.path).unwrap();
    let commands = rig.queue.commands().unwrap();
    let encoder = commands.encoder_with(DispatchType::Concurrent).unwrap();
    encoder.bind(&step);
    encoder.bind_buffer(&pixels, 0, 0);
    for by in 1..=3u32 {
        encoder.push(&by.to_le_bytes(), 1);
        encoder.launch((1, 1, 1), (1, 1, 1));
    }
    encoder.finish();
    commands.signal(&reached, 1);
    commands.wait_for(&gate, 1);
    let copier = commands.copier().unwrap();
    let layout = aruminium::ImageLayout { bytes_per_row: 4, ..Default::default() };
    let region = aruminium::MTLRegion {
        origin: Default::default(),
        size: aruminium::MTLSize::from((4, 4, 1)),
    };
    copier.copy_to_texture(&pixels, layout, &image, Subresource::default(), region);
    copier.finish();
    commands.submit();
    capture.stop();
    // Much longer than is asserted: on a busy machine the wait begins some time after the signal before it.
    assert!(reached.wait(1, std::time::Duration::from_secs(60)));
    std::thread::sleep(std::time::Duration::from_millis(50));
    gate.set_signaled_value(1);
    commands.finish().unwrap();

    let lines = output.lines();
    let pushed: Vec<&str> =
        of_type(&lines, "dispatch").map(|line| line.list("arguments")[1].text("bytes")).collect();
    assert_eq!(pushed, ["03000000", "02000000", "01000000"], "as they ran");
    let waited = of_type(&lines, "waitForEvent").next().unwrap();
    assert!(waited.number("seconds") >= 0.004, "{waited:?}");
    let copied = of_type(&lines, "copyPixels").next().unwrap();
    assert_eq!(copied.get("to").unwrap().get("texture").unwrap().text("format"), "R8Unorm");
    assert_eq!(copied.list("size"), numbers([4, 4, 1]));
}

metal_class! {
    /// Capture scopes, which the driver does not wrap.
    class Scope: MTLCaptureScope;
    fn begin() = [beginScope];
    fn end() = [endScope];
}

metal_class! {
    class Scopes: MTLCaptureManager;
    fn shared() -> Scopes = class [sharedCaptureManager];
    unsafe fn of_device(gpu: Id) -> Scope = [newCaptureScopeWithDevice:];
    fn start(descriptor: &Descriptor) -> Result<(), GpuError>
        = [startCaptureWithDescriptor:error:] or GpuError::CaptureFailed;
}

metal_class! {
    class Descriptor: MTLCaptureDescriptor;
    fn new() -> Descriptor = class [new];
    unsafe fn set_object(object: Id) = [setCaptureObject:];
    fn set_destination(destination: CaptureDestination) = [setDestination:];
    fn set_output(url: &NSURL) = [setOutputURL:];
}

#[test]
fn a_scope_begins_and_ends_a_capture() {
    let output = Output::new("scope");
    let rig = Rig::new();
    let run = |label: &str| {
        let commands = rig.queue.commands().unwrap();
        commands.set_label(label);
        commands.submit();
        commands.finish().unwrap();
    };
    let scope = unsafe { Scopes::shared().of_device(rig.gpu.as_raw()) };
    let descriptor = Descriptor::new();
    assert!(Scopes::shared().start(&descriptor).is_err(), "to developer tools");
    descriptor.set_destination(CaptureDestination::GPUTraceDocument);
    assert!(Scopes::shared().start(&descriptor).is_err(), "of nothing");
    unsafe { descriptor.set_object(scope.as_raw()) };
    assert!(Scopes::shared().start(&descriptor).is_err(), "to nowhere");
    descriptor.set_output(&NSURL::file(&output.path.to_string_lossy()));
    Scopes::shared().start(&descriptor).unwrap();
    scope.end();
    run("before");
    scope.begin();
    run("inside");
    assert!(Capture::shared().is_capturing());
    scope.end();
    assert!(!Capture::shared().is_capturing());
    run("after");
    let lines = output.lines();
    assert_eq!(lines[0].text("of"), "scope");
    let labels: Vec<&str> = of_type(&lines, "commandBuffer")
        .filter_map(|line| match line.get("label") {
            Some(Json::Text(label)) => Some(label.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(labels, ["inside"]);
}
