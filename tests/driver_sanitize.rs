//! The sanitizer: kernels with planted faults, each found at its lines, and the same kernels corrected, which are silent; and
//! messages that kernels log.

#![cfg(any(not(target_vendor = "apple"), feature = "soft"))]

mod child;
#[path = "sanitize/cost.rs"]
mod cost;
#[path = "sanitize/fences.rs"]
mod fences;
mod gpu;
#[path = "sanitize/init.rs"]
mod init;
#[path = "sanitize/logs.rs"]
mod logs;
#[path = "sanitize/order.rs"]
mod order;
#[path = "sanitize/packed.rs"]
mod packed;
#[path = "sanitize/queues.rs"]
mod queues;
#[path = "sanitize/races.rs"]
mod races;
#[path = "sanitize/random.rs"]
mod random;
#[path = "sanitize/results.rs"]
mod results;
#[path = "sanitize/tiles.rs"]
mod tiles;
#[path = "sanitize/undefined.rs"]
mod undefined;

use aruminium::{
    BarrierScope, Buffer, Checks, Commands, Copier, DispatchType, Encoder, Gpu, HeapDescriptor,
    ImageLayout, MTLRegion, Pipeline, PixelFormat, Report, ReportKind, ResourceOptions,
    StorageMode, Subresource, TextureDescriptor, TextureUsage, autorelease_pool,
};
use child::{in_child, run_child};
use gpu::Rig;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A kernel with a fault.
struct Case {
    name: &'static str,
    /// The argument or variable with the fault.
    argument: &'static str,
    /// The kernel; lines of the fault end in `// <-`.
    source: &'static str,
    /// Replacements that make the kernel right.
    mend: (&'static str, &'static str),
}

/// The step through cases, of which an emulated processor takes some only.
fn step() -> usize {
    let small = std::env::var("ARUMINIUM_TEST_SCALE").is_ok_and(|scale| scale == "small");
    if small { 4 } else { 1 }
}

fn checked(gpu: &Gpu, source: &str, checks: Checks) -> Pipeline {
    let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{source}");
    let library = gpu.compile(&source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    let function = library.function(&library.function_names()[0]).unwrap();
    gpu.pipeline(&function.checked(checks).unwrap()).unwrap()
}

/// The lines of the source that the marks are on.
fn marked(source: &str) -> Vec<u32> {
    let lines = source.lines().zip(3..);
    lines.filter(|(line, _)| line.contains("// <-")).map(|(_, number)| number).collect()
}

/// The reports of a command buffer.
fn reports(rig: &Rig, kind: DispatchType, record: impl FnOnce(&Encoder)) -> Vec<Report> {
    autorelease_pool(|| {
        let commands = rig.queue.commands().unwrap();
        let encoder = commands.encoder_with(kind).unwrap();
        record(&encoder);
        encoder.finish();
        commands.submit();
        reports_of(&commands)
    })
}

/// The reports of a command buffer that was committed.
fn reports_of(commands: &Commands) -> Vec<Report> {
    commands.finish().unwrap();
    commands.reports().unwrap()
}

/// The reports of a kernel on 128 threads in threadgroups of 64.
fn run(rig: &Rig, source: &str, checks: Checks) -> Vec<Report> {
    let pipeline = checked(&rig.gpu, source, checks);
    let [data, other] = [(); 2].map(|()| rig.gpu.buffer(4096).unwrap());
    for buffer in [&data, &other] {
        buffer.write(|bytes| bytes.fill(0));
    }
    reports(rig, DispatchType::Serial, |encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffer(&data, 0, 0);
        encoder.bind_buffer(&other, 0, 1);
        encoder.bind_buffer(&data, 0, 2);
        encoder.threadgroup_memory(1024, 0);
        encoder.launch((128, 1, 1), (64, 1, 1));
    })
}

fn lines(report: &Report) -> Vec<u32> {
    let mut lines: Vec<u32> = report.accesses.iter().filter_map(|access| access.line).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// Each case is found at its lines; corrected, it is silent.
#[track_caller]
fn check(cases: &[Case], checks: Checks, kind: ReportKind) {
    let rig = Rig::new();
    let mut wrong = Vec::new();
    for case in cases {
        let Case { name, argument, source, mend } = case;
        let found = run(&rig, source, checks);
        let expected = marked(source);
        let right = |report: &Report| {
            report.kind == kind
                && report.argument.as_deref() == Some(argument)
                && lines(report) == expected
        };
        let is_elsewhere = |report: &Report| {
            report.kind == kind && !lines(report).iter().all(|line| expected.contains(line))
        };
        if !found.iter().any(right) || found.iter().any(is_elsewhere) {
            let texts: Vec<String> = found.iter().map(Report::to_string).collect();
            wrong.push(format!("{name}: not found at {expected:?} and only there: {texts:#?}"));
        }
        assert!(source.contains(mend.0), "{name}");
        let silent = run(&rig, &source.replace(mend.0, mend.1), checks);
        if let Some(report) = silent.first() {
            wrong.push(format!("{name}, corrected: {report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn races_are_found_at_their_lines() {
    check(races::RACES, Checks::RACES, ReportKind::Race);
}

#[test]
fn barriers_order_what_their_flags_say() {
    let rig = Rig::new();
    let source = "static mem_flags flags() { return mem_flags::mem_threadgroup; }
    static mem_flags both(mem_flags a, mem_flags b) { return a; }
    static mem_flags chosen(uint n) { return n > 3 ? mem_flags::mem_device : mem_flags::mem_threadgroup; }
    kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]],
            uint t [[thread_index_in_threadgroup]], uint n [[threads_per_grid]]) {
        threadgroup uint tile[64];
        tile[t] = data[i];
        threadgroup_barrier(FLAGS);
        data[i] = tile[63 - t];
    }";
    for (flags, races) in [
        ("flags()", 0),
        ("flags() | mem_flags::mem_device", 0),
        ("both(mem_flags::mem_device, mem_flags::mem_threadgroup)", 1),
        ("both(mem_flags::mem_threadgroup, mem_flags::mem_none)", 0),
        ("mem_flags::mem_threadgroup & mem_flags::mem_device", 1),
        // Not known when the kernel is compiled: all memory.
        ("chosen(n)", 0),
    ] {
        let found = run(&rig, &source.replace("FLAGS", flags), Checks::RACES);
        assert_eq!(found.len(), races, "{flags}: {found:#?}");
    }
}

#[test]
fn a_fence_of_device_scope_orders_threadgroups() {
    let rig = Rig::new();
    let source =
        "kernel void k(device uint *data [[buffer(0)]], device uint *partial [[buffer(1)]],
            uint t [[thread_index_in_threadgroup]], uint g [[threadgroup_position_in_grid]]) {
        threadgroup uint order;
        if (t == 0) {
            partial[g] = g + 1;
            atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst, SCOPE);
            order = atomic_fetch_add_explicit((device atomic_uint *)data, 1, memory_order_relaxed);
            atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst, SCOPE);
        }
        threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);
        if (order == 1 && t == 0) data[1] = partial[0] + partial[1];
    }";
    for (scope, races) in [("thread_scope_device", 0), ("thread_scope_threadgroup", 1)] {
        let found = run(&rig, &source.replace("SCOPE", scope), Checks::RACES);
        assert_eq!(found.len(), races, "{scope}: {found:#?}");
    }
}

#[test]
fn benign_races_are_reported_on_request() {
    let rig = Rig::new();
    let same = "kernel void k(device uint *data [[buffer(0)]]) { data[3] = 7; }";
    let lockstep =
        "kernel void k(device uint *data [[buffer(0)]], uint t [[thread_index_in_threadgroup]],
            uint s [[simdgroup_index_in_threadgroup]]) {
        threadgroup uint tile[64];
        tile[t] = t;
        data[512 + t] = tile[t ^ 1];
    }";
    for (source, kind) in [(same, ReportKind::SameValue), (lockstep, ReportKind::Lockstep)] {
        let quiet = run(&rig, source, Checks::RACES);
        let kinds = |all: &[Report]| all.iter().map(|one| one.kind).collect::<Vec<_>>();
        assert!(!kinds(&quiet).contains(&kind), "{quiet:#?}");
        let all = run(&rig, source, Checks::RACES | Checks::BENIGN);
        assert!(kinds(&all).contains(&kind), "{all:#?}");
    }
}

/// Commands between two launches, on the buffer that both access and on another.
type Between = fn(&Encoder, &Buffer, &Buffer);

/// Two launches of one encoder that write and read a buffer.
fn two_launches(rig: &Rig, kind: DispatchType, barrier: Option<Between>) -> Vec<Report> {
    let write = "kernel void write(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) { data[i] = i; }";
    let read =
        "kernel void read(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        data[512 + i] = data[i];
    }";
    let [write, read] = [write, read].map(|source| checked(&rig.gpu, source, Checks::RACES));
    let [data, other] = [(); 2].map(|()| rig.gpu.buffer(4096).unwrap());
    reports(rig, kind, |encoder| {
        encoder.bind_buffer(&data, 0, 0);
        encoder.bind(&write);
        encoder.launch((128, 1, 1), (64, 1, 1));
        if let Some(barrier) = barrier {
            barrier(encoder, &data, &other);
        }
        encoder.bind(&read);
        encoder.launch((128, 1, 1), (64, 1, 1));
    })
}

#[test]
fn launches_of_a_concurrent_encoder_race_without_a_barrier() {
    let rig = Rig::new();
    let found = two_launches(&rig, DispatchType::Concurrent, None);
    let [race] = &found[..] else { panic!("{found:#?}") };
    let mut kernels: Vec<&str> = race.accesses.iter().map(|access| &access.kernel[..]).collect();
    kernels.sort_unstable();
    assert_eq!(kernels, ["read", "write"]);
    assert!(race.remedy.contains("between"), "{race}");
    assert_eq!(race.count, 128);
    assert_eq!(two_launches(&rig, DispatchType::Serial, None), []);
    let barriers: [(Between, usize); 5] = [
        (|encoder, _, _| encoder.barrier(BarrierScope::BUFFERS), 0),
        (|encoder, _, _| encoder.barrier(BarrierScope::BUFFERS | BarrierScope::TEXTURES), 0),
        (|encoder, _, _| encoder.barrier(BarrierScope::TEXTURES), 1),
        (|encoder, data, other| encoder.barrier_for(&[other, data]), 0),
        (|encoder, _, other| encoder.barrier_for(&[other]), 1),
    ];
    for (number, (barrier, races)) in barriers.into_iter().enumerate() {
        let found = two_launches(&rig, DispatchType::Concurrent, Some(barrier));
        assert_eq!(found.len(), races, "{number}: {found:#?}");
    }
}

/// One line that accesses two arguments has a report for each.
#[test]
fn each_argument_has_its_report() {
    let rig = Rig::new();
    let source = "static void put(device uint *p, uint i) { p[i / 64] = i; }
    kernel void k(device uint *data [[buffer(0)]], device uint *other [[buffer(1)]], uint i [[thread_position_in_grid]]) {
        put(data, i);
        put(other, i);
    }";
    let found = run(&rig, source, Checks::RACES);
    let names: Vec<_> = found.iter().map(|race| race.argument.as_deref()).collect();
    assert_eq!(names, [Some("data"), Some("other")], "{found:#?}");
}

#[test]
fn threads_and_places_are_those_of_the_accesses() {
    let rig = Rig::new();
    let source =
        "kernel void k(device ushort *data [[buffer(0)]], uint2 at [[thread_position_in_grid]]) {
        if (at.x == 3 && at.y == 5) data[7] = 1;
        if (at.x == 9 && at.y == 1) data[7] = 2;
    }";
    let pipeline = checked(&rig.gpu, source, Checks::RACES);
    let data = rig.gpu.buffer(64).unwrap();
    let found = reports(&rig, DispatchType::Serial, |encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffer(&data, 0, 0);
        // The threadgroups at the edges are smaller.
        encoder.launch((10, 6, 1), (4, 4, 1));
    });
    let [race] = &found[..] else { panic!("{found:#?}") };
    let mut threads: Vec<[u32; 3]> = race.accesses.iter().map(|access| access.thread).collect();
    threads.sort_unstable();
    assert_eq!(threads, [[3, 5, 0], [9, 1, 0]]);
    assert_eq!((race.offset, race.bytes, race.count), (14, 2, 1));
    assert!(race.accesses.iter().all(|access| access.write && !access.atomic));
}

/// With the variable alone, without a change of the program, reports are printed, each pair of lines once.
#[test]
fn the_variable_checks_every_kernel() {
    let body = || {
        let rig = Rig::new();
        let pipeline = rig.kernel(
            "kernel void count(device uint *data [[buffer(0)]]) {
                data[0] += 1;
            }",
        );
        let data = rig.gpu.buffer(4).unwrap();
        for _ in 0..3 {
            rig.run(|encoder| {
                encoder.bind(&pipeline);
                encoder.bind_buffer(&data, 0, 0);
                encoder.launch((128, 1, 1), (64, 1, 1));
            })
            .unwrap();
        }
    };
    let variable = "ARUMINIUM_SOFT_SANITIZE";
    let Some(output) =
        in_child("the_variable_checks_every_kernel", &[(variable, "races,order=3")], body)
    else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("aruminium: kernel 'count': race on"))
        .collect();
    assert!(!lines.is_empty() && lines.len() <= 2, "{text}");
    assert!(lines[0].contains("of 'data'") && lines[0].contains("program_source:4:"), "{text}");
    for wrong in ["races,raises", "benign"] {
        let output = run_child("the_variable_checks_every_kernel", &[(variable, wrong)]);
        let text = String::from_utf8_lossy(&output.stderr);
        let error = format!("{variable}={wrong} is an error, and there is no device");
        assert!(!output.status.success() && text.contains(&error), "{text}");
    }
}

/// The kernel with a statement of `UNDEFINED`.
fn undefined_kernel(statement: &str) -> String {
    format!(
        "kernel void k(device int *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {{
            int n = int(i) + data[512 + i];
            float x = float(n);
            int out = 0;
            {statement} // <-
            data[i] = out ^ int(x);
        }}"
    )
}

/// The kernel with statements of `INIT`.
fn init_kernel(declarations: &str, statements: &str) -> String {
    format!(
        "{declarations}
        kernel void k(device int *data [[buffer(0)]], uint i [[thread_position_in_grid]],
                uint t [[thread_index_in_threadgroup]]) {{
            {statements}
        }}"
    )
}

#[test]
fn undefined_arithmetic_is_found() {
    let rig = Rig::new();
    let kernel = undefined_kernel;
    let mut wrong = Vec::new();
    // The checks' own records of unions are initialised.
    let mut is_silent = |statement: &str| {
        for report in run(&rig, &kernel(statement), Checks::UNDEFINED | Checks::INIT) {
            wrong.push(format!("{statement}: {report}"));
        }
    };
    for (_, _, corrected) in undefined::UNDEFINED {
        is_silent(corrected);
    }
    undefined::DEFINED.iter().for_each(|statement| is_silent(statement));
    for &(kind, statement, _) in undefined::UNDEFINED {
        let source = kernel(statement);
        let found = run(&rig, &source, Checks::UNDEFINED);
        let is_there = |report: &Report| lines(report) == marked(&source);
        if !found.iter().any(|report| report.kind == kind) || !found.iter().all(is_there) {
            wrong.push(format!("{statement}: not found there alone: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Several places of one line have one report, which counts them together.
#[test]
fn a_line_has_one_report() {
    let rig = Rig::new();
    let source = undefined_kernel("out = (1 << i) + (2 << (i + 1));");
    let found = run(&rig, &source, Checks::UNDEFINED);
    let [report] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((report.kind, report.count), (ReportKind::Shift, 96 + 97));
    let source =
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        data[0] = i; data[1] = i;
        data[2] = i;
    }";
    let found = run(&rig, source, Checks::RACES);
    let counts: Vec<_> = found.iter().map(|race| (lines(race), race.count)).collect();
    assert_eq!(counts, [(vec![4], 2 * 127), (vec![5], 127)]);
}

#[test]
fn uses_of_what_nothing_wrote_are_found() {
    let rig = Rig::new();
    let kernel = init_kernel;
    let mut wrong = Vec::new();
    let mut is_silent = |source: &str| {
        for report in run(&rig, source, Checks::INIT) {
            wrong.push(format!("{source}: {report}"));
        }
    };
    for (_, declarations, statements, mend) in init::INIT {
        assert!(statements.contains(mend.0), "{statements}");
        is_silent(&kernel(declarations, &statements.replace(mend.0, mend.1)));
    }
    init::SILENT.iter().for_each(|statements| is_silent(&kernel("", statements)));
    for &(kind, declarations, statements, _) in init::INIT {
        let source = kernel(declarations, statements);
        let found = run(&rig, &source, Checks::INIT);
        let right = |report: &Report| report.kind == kind && lines(report) == marked(&source);
        if !found.iter().any(right) || found.len() != 1 {
            wrong.push(format!("{source}: {kind:?}, found: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Which pixel is accessed, and what an atomic writes to it.
#[test]
fn uses_of_textures_are_found() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Uint, 4, 4);
    descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    let texture = rig.gpu.texture_with(&descriptor).unwrap();
    let data = rig.gpu.buffer(4096).unwrap();
    let address = ReportKind::UninitialisedAddress;
    let store = ReportKind::UninitialisedStore;
    for (kind, statement) in [
        (address, "data[i] = image.read(at).x;"),
        (address, "image.write(uint4(1), at);"),
        (address, "image.atomic_fetch_add(at, 1);"),
        (store, "image.atomic_fetch_add(uint2(0), at);"),
        (store, "image.write(uint4(at, 0, 0), uint2(0));"),
    ] {
        let source = format!(
            "kernel void k(device uint *data [[buffer(0)]], texture2d<uint, access::read_write> image [[texture(0)]],
                    uint i [[thread_position_in_grid]]) {{
                uint2 at;
                if (i > 3) at = uint2(1);
                {statement} // <-
            }}"
        )
        .replace("uint2(0), at)", "uint2(0), at.x)");
        let found = |source: &str| {
            let pipeline = checked(&rig.gpu, source, Checks::INIT);
            reports(&rig, DispatchType::Serial, |encoder| {
                encoder.bind(&pipeline);
                encoder.bind_buffer(&data, 0, 0);
                encoder.bind_texture(&texture, 0);
                encoder.launch((64, 1, 1), (64, 1, 1));
            })
        };
        let all = found(&source);
        let [report] = &all[..] else { panic!("{statement}: {all:#?}") };
        assert_eq!((report.kind, lines(report)), (kind, marked(&source)), "{statement}");
        assert_eq!(found(&source.replace("uint2 at;", "uint2 at = uint2(2);")), [], "{statement}");
    }
}

/// Every kernel of the tables, with its fault and corrected, gives the same reports by the interpreter and by machine code.
#[test]
fn machine_code_and_interpreter_report_the_same() {
    let step = step();
    let body = || {
        let rig = Rig::new();
        let both = Checks::RACES | Checks::BENIGN;
        for case in races::RACES.iter().step_by(step) {
            for source in [case.source, &case.source.replace(case.mend.0, case.mend.1)] {
                println!("= {}: {:?}", case.name, run(&rig, source, Checks::RACES));
                println!("= {}: {:?}", case.name, run(&rig, source, both));
            }
        }
        for (_, statement, corrected) in undefined::UNDEFINED.iter().step_by(step) {
            for source in [statement, corrected].map(|statement| undefined_kernel(statement)) {
                println!("= {statement}: {:?}", run(&rig, &source, Checks::UNDEFINED));
            }
        }
        for (_, declarations, statements, mend) in init::INIT.iter().step_by(step) {
            for statements in [(*statements).to_owned(), statements.replace(mend.0, mend.1)] {
                let source = init_kernel(declarations, &statements);
                let all = Checks::INIT | Checks::RACES | Checks::UNDEFINED;
                println!("= {statements}: {:?}", run(&rig, &source, Checks::INIT));
                println!("= {statements}: {:?}", run(&rig, &source, all));
            }
        }
    };
    let test = "machine_code_and_interpreter_report_the_same";
    let lines = |jit: &str| {
        let output = in_child(test, &[("ARUMINIUM_SOFT_JIT", jit)], body)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let lines = text.lines().filter_map(|line| Some(line.split_once("= ")?.1.to_owned()));
        Some(lines.collect::<Vec<_>>())
    };
    let Some(interpreted) = lines("off") else { return };
    let native = lines("always").expect("only a child has none");
    assert!(interpreted.len() > 150 / step, "{}", interpreted.len());
    for (one, other) in interpreted.iter().zip(&native) {
        assert_eq!(one, other);
    }
    assert_eq!(interpreted.len(), native.len());
}

/// The output of a kernel of `results`, for 128 threads.
fn computed(rig: &Rig, statements: &str, checks: Option<Checks>) -> Vec<u32> {
    let source = format!(
        "using namespace metal;
        kernel void k(device uint *data [[buffer(0)]], threadgroup uint *tile, uint i [[thread_position_in_grid]],
                uint t [[thread_index_in_threadgroup]]) {{
            uint x = data[i], out = 0;
            {statements}
            data[i] = out;
        }}"
    );
    let function = rig.gpu.compile(&source).and_then(|library| library.function("k"));
    let function = function.unwrap_or_else(|error| panic!("{error}: {source}"));
    let function = match checks {
        Some(checks) => function.checked(checks).unwrap(),
        None => function,
    };
    let pipeline = rig.gpu.pipeline(&function).unwrap();
    let data = rig.gpu.buffer(128 * 4).unwrap();
    data.write_as::<u32, _>(|all| {
        all.iter_mut().zip(0u32..).for_each(|(x, i)| *x = i * 7919 % 1009)
    });
    let found = reports(rig, DispatchType::Serial, |encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffer(&data, 0, 0);
        encoder.threadgroup_memory(256, 0);
        encoder.launch((128, 1, 1), (64, 1, 1));
    });
    assert_eq!(found, [], "{statements}");
    data.read_as::<u32, _>(<[u32]>::to_vec)
}

#[test]
fn checked_kernels_compute_the_same() {
    let body = || {
        let rig = Rig::new();
        for statements in results::RESULTS {
            let expected = computed(&rig, statements, None);
            for checks in
                [Checks::RACES, Checks::UNDEFINED, Checks::INIT, Checks::RACES | Checks::INIT]
            {
                assert_eq!(
                    computed(&rig, statements, Some(checks)),
                    expected,
                    "{checks:?}: {statements}"
                );
            }
        }
    };
    for jit in ["off", "always"] {
        let test = "checked_kernels_compute_the_same";
        let Some(output) = in_child(test, &[("ARUMINIUM_SOFT_JIT", jit)], body) else { return };
        assert!(output.status.success(), "{jit}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn reports_do_not_wait_for_the_kernel() {
    let rig = Rig::new();
    let source =
        "kernel void k(device uint *data [[buffer(0)]], device atomic_uint *flags [[buffer(1)]],
            uint i [[thread_position_in_grid]]) {
        data[0] = i;
        atomic_store_explicit(flags, 1, memory_order_relaxed);
        while (atomic_load_explicit(flags + 1, memory_order_relaxed) == 0) {}
    }";
    let pipeline = checked(&rig.gpu, source, Checks::RACES);
    let [data, flags] = [(); 2].map(|()| rig.gpu.buffer(64).unwrap());
    flags.write(|bytes| bytes.fill(0));
    // SAFETY: the buffer has room for two, and outlives the kernel; kernel and program access it atomically.
    let shared = unsafe { flags.contents().cast::<[AtomicU32; 2]>().as_ref() }.unwrap();
    let commands = rig.queue.commands().unwrap();
    let encoder = commands.encoder().unwrap();
    encoder.bind(&pipeline);
    encoder.bind_buffer(&data, 0, 0);
    encoder.bind_buffer(&flags, 0, 1);
    encoder.launch((32, 1, 1), (32, 1, 1));
    encoder.finish();
    commands.submit();
    while shared[0].load(Relaxed) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(commands.reports().unwrap().len(), 1);
    assert!(commands.status() < Commands::STATUS_COMPLETED);
    shared[1].store(1, Relaxed);
    assert_eq!(reports_of(&commands).len(), 1);
}

/// The reports of a kernel that reads a private buffer of 256 numbers, after `write` has written some of them.
fn reads_private(rig: &Rig, write: impl FnOnce(&Commands, &Buffer)) -> Vec<u64> {
    let buffer = rig.gpu.buffer_private(1024).unwrap();
    let to = rig.gpu.buffer(1024).unwrap();
    let reads = rig.kernel(
        "kernel void reads(device uint *to, device const uint4 *from, uint i [[thread_position_in_grid]]) {
            uint4 all = from[i];
            to[i] = all.y;
        }",
    );
    let commands = rig.queue.commands().unwrap();
    write(&commands, &buffer);
    let encoder = commands.encoder().unwrap();
    encoder.bind(&reads);
    encoder.bind_buffer(&to, 0, 0);
    encoder.bind_buffer(&buffer, 0, 1);
    encoder.launch((64, 1, 1), (32, 1, 1));
    encoder.finish();
    commands.submit();
    let found = reports_of(&commands);
    let right =
        |report: &Report| report.kind == ReportKind::UninitialisedStore && report.kernel == "reads";
    assert!(found.iter().all(right), "{found:#?}");
    found.iter().map(|report| report.count).collect()
}

/// Machine code goes from one threadgroup to the next by itself, except where the room for segments ends: here where the last SIMD-group of
/// a threadgroup begins, as each of its four has three segments, and there is room for 4095.
#[test]
fn threadgroups_follow_each_other_when_there_is_no_more_room() {
    let source = "kernel void turns(device uint *to, uint i [[thread_position_in_grid]], uint in [[thread_index_in_threadgroup]]) {
        threadgroup uint tile[128];
        tile[in] = i;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        uint other = tile[127 - in];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tile[in] = other; // last
        to[i] = other;
    }";
    let body = || {
        let rig = Rig::new();
        let to = rig.gpu.buffer(4 << 17).unwrap();
        let found = |source: &str| {
            let pipeline = checked(&rig.gpu, source, Checks::RACES);
            reports(&rig, DispatchType::Serial, |encoder| {
                encoder.bind(&pipeline);
                encoder.bind_buffer(&to, 0, 0);
                encoder.launch((1 << 17, 1, 1), (128, 1, 1));
            })
        };
        let texts: Vec<String> = found(source).iter().map(Report::to_string).collect();
        assert!(texts.is_empty(), "{texts:#?}");
        let race = source.replace("tile[in] = other; // last", "if (i == 100000) to[7] = 0;");
        let race = found(&race);
        assert_eq!(race.len(), 1);
        assert_eq!(
            race[0].accesses.iter().map(|one| one.thread[0]).collect::<Vec<_>>(),
            [7, 100_000]
        );
    };
    let test = "threadgroups_follow_each_other_when_there_is_no_more_room";
    let Some(output) = in_child(test, &[("ARUMINIUM_SOFT_JIT", "always")], body) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// From code: buffers that were made after the first kernel with the check; what kernels without it may write counts as written.
#[test]
fn private_buffers_are_followed_from_code() {
    let rig = Rig::new();
    let reads = "kernel void reads(device const uint *from, device uint *to, uint i [[thread_position_in_grid]]) {
        to[i] = from[i];
    }";
    let reads = checked(&rig.gpu, reads, Checks::INIT);
    let writes = rig.kernel("kernel void writes(device uint *to) { to[0] = 1; }");
    let to = rig.gpu.buffer(256).unwrap();
    let found = |from: &Buffer, is_written: bool| {
        let reports = reports(&rig, DispatchType::Serial, |encoder| {
            encoder.bind_buffer(from, 0, 0);
            encoder.bind_buffer(&to, 0, 1);
            if is_written {
                encoder.bind(&writes);
                encoder.launch((1, 1, 1), (1, 1, 1));
            }
            encoder.bind(&reads);
            encoder.launch((64, 1, 1), (64, 1, 1));
        });
        reports.iter().map(|report| (report.kind, report.count)).collect::<Vec<_>>()
    };
    let uninitialised = [(ReportKind::UninitialisedStore, 64)];
    assert_eq!(found(&rig.gpu.buffer_private(256).unwrap(), false), uninitialised);
    assert_eq!(found(&rig.gpu.buffer_private(256).unwrap(), true), []);

    // Buffers of a private heap, of which the second one gets the memory of the first.
    let descriptor = HeapDescriptor::new();
    descriptor.set_storage_mode(StorageMode::Private);
    descriptor.set_size(1 << 16);
    let heap = rig.gpu.heap(&descriptor).unwrap();
    for is_written in [true, false] {
        let from = heap.buffer(256, ResourceOptions::STORAGE_PRIVATE).unwrap();
        assert_eq!(found(&from, is_written).is_empty(), is_written);
    }
}

#[test]
fn private_buffers_are_uninitialised() {
    let body = || {
        let rig = Rig::new();
        let source = rig.gpu.buffer(1024).unwrap();
        let writes = rig.kernel(
            "kernel void writes(device uint *to, uint i [[thread_position_in_grid]]) { to[4 * i + 1] = i; }",
        );
        let blit = |commands: &Commands, record: &dyn Fn(&Copier)| {
            let copier = commands.copier().unwrap();
            record(&copier);
            copier.finish();
        };
        assert_eq!(reads_private(&rig, |_, _| {}), [64]);
        let fill = |bytes: std::ops::Range<usize>| {
            reads_private(&rig, |commands, buffer| {
                blit(commands, &|copier| copier.fill(buffer, bytes.clone().into(), 0));
            })
        };
        assert_eq!((fill(0..1024), fill(0..520), fill(5..1024)), (vec![], vec![31], vec![1]));
        let copied = reads_private(&rig, |commands, buffer| {
            blit(commands, &|copier| copier.copy(&source, 0, buffer, 0, 1000));
        });
        assert_eq!(copied, [1]);
        let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Uint, 4, 4);
        let image = rig.gpu.texture_with(&descriptor).unwrap();
        let copied = reads_private(&rig, |commands, buffer| {
            blit(commands, &|copier| {
                let region = MTLRegion { origin: (0, 0, 0).into(), size: (4, 4, 1).into() };
                let layout = ImageLayout { bytes_per_row: 16, ..Default::default() };
                copier.copy_from_texture(&image, Subresource::default(), region, buffer, layout);
            });
        });
        assert_eq!(copied, [60]);
        let unwritten = rig.gpu.buffer_private(1024).unwrap();
        let copied = reads_private(&rig, |commands, buffer| {
            blit(commands, &|copier| {
                copier.fill(&unwritten, (0..512).into(), 0);
                copier.copy(&unwritten, 0, buffer, 0, 1024);
            });
        });
        assert_eq!(copied, [32]);
        let written = reads_private(&rig, |commands, buffer| {
            let encoder = commands.encoder().unwrap();
            encoder.bind(&writes);
            encoder.bind_buffer(buffer, 0, 0);
            encoder.launch((60, 1, 1), (30, 1, 1));
            encoder.finish();
        });
        assert_eq!(written, [4]);
    };
    let test = "private_buffers_are_uninitialised";
    for jit in ["off", "always"] {
        let variables = [("ARUMINIUM_SOFT_SANITIZE", "init"), ("ARUMINIUM_SOFT_JIT", jit)];
        let Some(output) = in_child(test, &variables, body) else { return };
        assert!(output.status.success(), "{jit}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
