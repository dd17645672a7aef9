//! Streams: barriers, fences, cuts, reports.

use super::{Bench, Program, values};
use crate::child::{is_child, run_child};
use crate::infer::weights::Json;
use crate::infer::{Arg, Counters, DType, Grid, Memory, Sampling, Tensor};
use crate::memory::Block;
use crate::test_random::Random;
use crate::{GpuError, ResourceOptions, infer::Error};

/// Soft Metal runs launches without a barrier between them in reverse order. So the values are those of the serial order
/// only if no barrier is missing, and the number of barriers shows that none is superfluous.
#[test]
fn barriers_are_the_fewest_that_keep_the_order() {
    let bench = Bench::new();
    let mut random = Random::new(14);
    for round in 0..60 {
        let launches = 2 + random.below(if round % 10 == 0 { 199 } else { 30 });
        let program = Program::random(&mut random, launches).without_races();
        let memory = program.memory(&bench);
        let mut stream = bench.stream();
        program.record(&bench, &memory, 0..program.steps.len(), &mut stream).unwrap();
        let report = stream.finish().unwrap();
        assert_eq!(values(&memory), program.expected(), "{:?}", program.steps);
        assert_eq!(report.counters.barriers, program.fewest_barriers(), "{:?}", program.steps);
        assert_eq!(report.counters.launches, program.steps.len() as u64);
        let avoided = (program.steps.len() as u64).saturating_sub(1 + report.counters.barriers);
        assert_eq!(report.counters.barriers_avoided, avoided);
    }
}

/// The end of a view is the end of the argument.
#[test]
fn an_access_past_a_view_is_a_fault() {
    let bench = Bench::new();
    let memory = bench.tensor(&[0; 64]);
    let view = memory.narrow(0, 8..16).unwrap();
    let mut stream = bench.stream();
    let args = [Arg::Tensor(&view), Arg::Bytes(&[1, 0, 0, 0])];
    stream.launch(&bench.kernel("twist"), &args, Grid::threads_1d(9)).unwrap();
    let Err(Error::Gpu(GpuError::KernelFault(fault))) = stream.finish() else { panic!("no fault") };
    assert_eq!(
        (fault.argument.as_deref(), fault.offset, fault.size),
        (Some("x"), Some(32), Some(32))
    );
    assert_eq!(memory.to_vec::<u32>().unwrap()[16], 0);
}

/// Memory whose hazards Metal does not track: soft Metal runs encoders without a fence in reverse order.
#[test]
fn fences_order_encoders_of_untracked_memory() {
    let bench = Bench::new();
    let options = ResourceOptions::STORAGE_SHARED | ResourceOptions::HAZARD_UNTRACKED;
    let untracked = || -> Tensor {
        let buffer = bench.gpu.buffer_with_options(32, options).unwrap();
        Memory::from(buffer).tensor(0, DType::U32, &[8]).unwrap()
    };
    let [a, b, c] = [untracked(), untracked(), untracked()];
    a.write::<u32>().unwrap().fill(1);
    let mut stream = bench.stream();
    let twist = bench.kernel("twist");
    for (from, to) in [(&a, &b), (&b, &c)] {
        stream
            .launch(&twist, &[from.into(), Arg::Bytes(&[2, 0, 0, 0])], Grid::threads_1d(8))
            .unwrap();
        stream.copy(from, to).unwrap();
    }
    let report = stream.finish().unwrap();
    assert_eq!(c.to_vec::<u32>().unwrap(), [(3 + 2) * 3 + 2; 8]);
    assert_eq!((report.counters.fences, report.counters.copies), (3, 2));
}

#[test]
fn command_buffers_are_ordered_by_the_event() {
    let bench = Bench::new();
    let options = ResourceOptions::STORAGE_SHARED | ResourceOptions::HAZARD_UNTRACKED;
    let buffer = bench.gpu.buffer_with_options(32, options).unwrap();
    let x = Memory::from(buffer).tensor(0, DType::U32, &[8]).unwrap();
    x.write::<u32>().unwrap().fill(1);
    let mut stream = bench.stream();
    let mut expected = 1u32;
    for add in 0..20u32 {
        let args = [Arg::Tensor(&x), Arg::Bytes(&add.to_ne_bytes())];
        stream.launch(&bench.kernel("twist"), &args, Grid::threads_1d(8)).unwrap();
        stream.cut().unwrap();
        stream.cut().unwrap();
        expected = expected.wrapping_mul(3).wrapping_add(add);
    }
    let report = stream.finish().unwrap();
    assert_eq!((report.counters.command_buffers, report.counters.syncs), (20, 20));
    assert_eq!(x.to_vec::<u32>().unwrap(), [expected; 8]);
}

/// Command buffers after one that fails end, too, and its error is returned.
#[test]
fn the_first_error_is_returned() {
    let bench = Bench::new();
    let (small, x) = (bench.tensor(&[0; 4]), bench.tensor(&[0; 8]));
    let mut stream = bench.stream();
    let twist = bench.kernel("twist");
    for (tensor, threads) in [(&small, 5), (&x, 8), (&small, 6)] {
        let args = [Arg::Tensor(tensor), Arg::Bytes(&[1, 0, 0, 0])];
        stream.launch(&twist, &args, Grid::threads_1d(threads)).unwrap();
        stream.cut().unwrap();
    }
    let Err(Error::Gpu(GpuError::KernelFault(fault))) = stream.finish() else { panic!("no fault") };
    assert_eq!(fault.thread, Some([4, 0, 0]));
}

#[test]
fn reports_count_by_label_and_kernel() {
    let bench = Bench::new();
    let before = Counters::now();
    let x = bench.tensor(&[0; 8]);
    let y = bench.tensor(&[0; 8]);
    for sampling in [Sampling::CommandBuffers, Sampling::Labels, Sampling::Launches] {
        let mut stream = bench.stream();
        stream.sample(sampling).unwrap();
        for _ in 0..2 {
            stream.label("first").unwrap();
            stream
                .launch(
                    &bench.kernel("twist"),
                    &[(&x).into(), Arg::Bytes(&[0; 4])],
                    Grid::threads_1d(8),
                )
                .unwrap();
            stream.label("second").unwrap();
            let args = [Arg::Tensor(&x), Arg::Tensor(&y), Arg::Bytes(&[0; 4])];
            stream.launch(&bench.kernel("mix"), &args, Grid::threads_1d(8)).unwrap();
            stream.launch(&bench.kernel("mix"), &args, Grid::threads_1d(8)).unwrap();
        }
        let report = stream.finish().unwrap();
        assert_eq!(report.labels, [("first".into(), 2), ("second".into(), 4)]);
        assert_eq!(report.kernels, [("twist".into(), 2), ("mix".into(), 4)]);
        let spans: Vec<_> = report
            .profile
            .spans
            .iter()
            .map(|span| (span.label.as_str(), span.kernel.as_str(), span.launches))
            .collect();
        let (first, second) = (("first", "twist", 1), ("second", "mix", 2));
        match sampling {
            // Labels that share a command buffer have no time of their own.
            Sampling::CommandBuffers => assert_eq!(spans, [("", "", 6)]),
            Sampling::Labels => assert_eq!(spans, [first, second, first, second]),
            Sampling::Launches => {
                let one = ("second", "mix", 1);
                assert_eq!(spans, [first, one, one, first, one, one]);
                let rows = report.profile.rows();
                assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 6);
                assert!(rows.iter().all(|row| row.min <= row.max && row.max <= row.total));
                let trace = Json::parse(report.profile.chrome_trace().as_bytes()).unwrap();
                let events = trace.as_array().unwrap();
                assert_eq!(events.len(), 6);
                for (event, span) in events.iter().zip(&report.profile.spans) {
                    let text = |key: &str| event.get(key).and_then(Json::as_str).unwrap();
                    let number = |key: &str| event.get(key).and_then(Json::as_f64).unwrap();
                    assert_eq!((text("name"), text("cat")), (&span.kernel[..], &span.label[..]));
                    assert_eq!(text("ph"), "X");
                    let micros = [number("ts"), number("dur")];
                    let expected = [span.start, span.end - span.start].map(|time| time * 1e6);
                    assert!(micros.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.001));
                }
            }
        }
    }
    // Other tests run streams meanwhile.
    assert!(Counters::now().since(&before).launches >= 18);
    assert!(Counters::kernels().iter().any(|(name, count)| name == "mix" && *count >= 12));
}

/// A stream may be encoded on one thread and submitted on another.
#[test]
fn streams_move_between_threads() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<crate::infer::Graph>();
    send::<crate::infer::Running>();
    sync::<crate::infer::Graph>();
    sync::<crate::infer::Kernels>();
    sync::<Tensor>();
    let bench = Bench::new();
    let x = bench.tensor(&[1; 8]);
    let mut stream = bench.stream();
    let twist = bench.kernel("twist");
    stream.launch(&twist, &[(&x).into(), Arg::Bytes(&[1, 0, 0, 0])], Grid::threads_1d(8)).unwrap();
    std::thread::scope(|scope| {
        let x = &x;
        scope.spawn(move || {
            let args = [Arg::Tensor(x), Arg::Bytes(&[2, 0, 0, 0])];
            stream.launch(&twist, &args, Grid::threads_1d(8)).unwrap();
            stream.finish().unwrap();
        });
    });
    assert_eq!(x.to_vec::<u32>().unwrap(), [14; 8]);
}

/// Memory that a kernel reaches through pointers is not bound: such a launch is ordered with all others.
#[test]
fn a_kernel_with_pointers_in_its_buffers_waits_for_everything() {
    let bench = Bench::new();
    bench.kernels.add(
        "pointers",
        "struct Node { device uint *next; };
         kernel void put(device Node *nodes, device uint *x) { nodes[0].next = x; }
         kernel void get(device Node *nodes) { *nodes[0].next += 40; }
         kernel void add(device uint *x) { *x += 2; }",
    );
    let kernel = |name| bench.kernels.get("pointers", name).unwrap();
    let nodes = Tensor::new(&bench.gpu, DType::U64, &[4]).unwrap();
    let x = bench.tensor(&[0]);
    let mut stream = bench.stream();
    stream.launch(&kernel("put"), &[(&nodes).into(), (&x).into()], Grid::threads_1d(1)).unwrap();
    stream.launch(&kernel("get"), &[(&nodes).into()], Grid::threads_1d(1)).unwrap();
    stream.launch(&kernel("add"), &[(&x).into()], Grid::threads_1d(1)).unwrap();
    // It is not run: a pointer is valid in one launch only, on soft Metal.
    assert_eq!(stream.ranges().unwrap().barriers(), 2);
}

/// A cut that is refused while the CPU uses the memory loses nothing, and keeps the order.
#[test]
fn a_refused_cut_may_be_repeated() {
    let bench = Bench::new();
    let options = ResourceOptions::STORAGE_SHARED | ResourceOptions::HAZARD_UNTRACKED;
    let buffer = bench.gpu.buffer_with_options(32, options).unwrap();
    let x = Memory::from(buffer).tensor(0, DType::U32, &[8]).unwrap();
    x.write::<u32>().unwrap().fill(1);
    let mut stream = bench.stream();
    let twist = bench.kernel("twist");
    let launch = |stream: &mut crate::infer::Stream, add: u32| {
        let args = [Arg::Tensor(&x), Arg::Bytes(&add.to_ne_bytes())];
        stream.launch(&twist, &args, Grid::threads_1d(8)).unwrap();
    };
    launch(&mut stream, 1);
    let reading = x.read::<u32>().unwrap();
    let error = stream.cut().unwrap_err();
    assert!(error.is_transient(), "{error}");
    drop(reading);
    launch(&mut stream, 2);
    assert_eq!(stream.finish().unwrap().counters.command_buffers, 1);
    assert_eq!(x.to_vec::<u32>().unwrap(), [14; 8]);
}

/// An error of a launch, a copy or a label means that it was not recorded, also when each is a command buffer of its own: so it
/// may be repeated.
#[test]
fn commands_that_return_errors_are_not_recorded() {
    let bench = Bench::new();
    let twist = bench.kernel("twist");
    let launch = |stream: &mut crate::infer::Stream, x: &Tensor, add: u32| {
        let args = [Arg::Tensor(x), Arg::Bytes(&add.to_ne_bytes())];
        stream.launch(&twist, &args, Grid::threads_1d(8))
    };
    for sampling in [Sampling::Launches, Sampling::Labels] {
        let (x, y) = (bench.tensor(&[1; 8]), bench.tensor(&[0; 8]));
        let mut stream = bench.stream();
        stream.sample(sampling).unwrap();
        stream.label("first").unwrap();
        launch(&mut stream, &x, 1).unwrap();
        let reading = x.read::<u32>().unwrap();
        for _ in 0..3 {
            let errors = match sampling {
                Sampling::Labels => vec![stream.label("second")],
                _ => vec![launch(&mut stream, &x, 2), stream.copy(&x, &y)],
            };
            for error in errors {
                assert!(error.unwrap_err().is_transient());
            }
        }
        drop(reading);
        stream.label("second").unwrap();
        launch(&mut stream, &x, 2).unwrap();
        stream.copy(&x, &y).unwrap();
        let report = stream.finish().unwrap();
        assert_eq!((report.counters.launches, report.counters.copies), (2, 1));
        assert_eq!(report.labels, [("first".into(), 1), ("second".into(), 1)]);
        let labels: Vec<_> = report
            .profile
            .spans
            .iter()
            .filter(|span| span.launches > 0)
            .map(|span| &span.label[..])
            .collect();
        assert_eq!(labels, ["first", "second"]);
        assert_eq!(y.to_vec::<u32>().unwrap(), [14; 8]);
    }
}

/// A retry loop ends: what fails always is not transient.
#[test]
fn errors_that_last_are_not_transient() {
    let bench = Bench::new();
    let private = Tensor::private(&bench.gpu, DType::U32, &[8]).unwrap();
    let block = Block::open(64).unwrap().freeze().unwrap();
    let frozen = Memory::wrap(&bench.gpu, &block).unwrap().tensor(0, DType::U32, &[8]).unwrap();
    for error in [
        private.read::<u32>().unwrap_err(),
        private.try_write::<u32>().unwrap_err(),
        frozen.write::<u32>().unwrap_err(),
    ] {
        assert!(!error.is_transient(), "{error}");
    }
    let x = bench.tensor(&[0; 8]);
    let reading = x.read::<u32>().unwrap();
    assert!(x.write::<u32>().unwrap_err().is_transient(), "it can be written later");
    drop(reading);
}

/// A capture has the commands of the stream until it is submitted.
#[test]
fn captures_are_written() {
    // A process has one capture at a time.
    if !is_child() {
        let output = run_child("infer::tests::stream::captures_are_written", &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let bench = Bench::new();
    let x = bench.tensor(&[1; 16]);
    let path =
        std::env::temp_dir().join(format!("aruminium-infer-{}.gputrace", std::process::id()));
    let mut stream = bench.stream();
    stream.capture(&path).unwrap();
    stream.label("captured").unwrap();
    let view = x.narrow(0, 4..12).unwrap();
    let args = [Arg::Tensor(&view), Arg::Bytes(&[1, 0, 0, 0])];
    stream.launch(&bench.kernel("twist"), &args, Grid::threads_1d(8)).unwrap();
    assert!(stream.capture(&path).unwrap_err().to_string().contains("call `cut` first"));
    stream.finish().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    for part in ["twist", "captured", "\"offset\":16", "\"length\":32"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

/// Where a kernel makes a pointer of an integer or of bytes, soft Metal's launch uses everything.
#[cfg(not(target_vendor = "apple"))]
#[test]
fn kernels_that_make_pointers_use_everything() {
    let bench = Bench::new();
    bench.kernels.add(
        "made",
        "struct Places { device uint *x; };
        kernel void cast(constant ulong &address) { *(device uint *)address = 1; }
        kernel void kept(device const ulong *addresses) { *reinterpret_cast<device uint *>(addresses[1]) = 1; }
        kernel void bytes(device const uchar *bytes) { *((device const Places *)bytes)->x = 1; }
        kernel void plain(device const uchar *bytes, device float *to) {
            to[0] = *(device const float *)bytes + float(ulong(to) & 15);
        }",
    );
    let x = bench.tensor(&[0; 8]);
    let far = Tensor::new(&bench.gpu, DType::U64, &[2]).unwrap();
    let to = Tensor::new(&bench.gpu, DType::F32, &[2]).unwrap();
    let address = x.memory().gpu_address().to_ne_bytes();
    let bytes = far.reinterpret(DType::U8).unwrap();
    let args: [(&str, &[Arg<'_>], u64); 4] = [
        ("cast", &[Arg::Bytes(&address)], 1),
        ("kept", &[Arg::Tensor(&far)], 1),
        ("bytes", &[Arg::Tensor(&bytes)], 1),
        ("plain", &[Arg::Tensor(&bytes), Arg::Tensor(&to)], 0),
    ];
    let twist = bench.kernel("twist");
    for (name, args, expected) in args {
        let kernel = bench.kernels.get("made", name).unwrap();
        let (graph, ()) = crate::infer::Graph::record(|stream| {
            stream.launch(&kernel, args, Grid::threads_1d(1))?;
            stream.launch(&twist, &[(&x).into(), Arg::Bytes(&[1, 0, 0, 0])], Grid::threads_1d(8))
        })
        .unwrap();
        assert_eq!(graph.barriers(), expected, "{name}");
    }
}
