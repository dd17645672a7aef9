//! Profiles: kernels whose counts are known, as data, as text, as JSON and as a page.

#![cfg(any(not(target_vendor = "apple"), feature = "soft"))]

mod child;
mod gpu;

use aruminium::{Accesses, Buffer, Checks, Gpu, Pipeline, Profile, ProfileLine, autorelease_pool};
use child::in_child;
use gpu::Rig;

fn counted(gpu: &Gpu, source: &str) -> Pipeline {
    let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{source}");
    let library = gpu.compile(&source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    let function = library.function(&library.function_names()[0]).unwrap();
    gpu.pipeline(&function.checked(Checks::PROFILE).unwrap()).unwrap()
}

/// Runs a kernel with two buffers and 4096 bytes of threadgroup memory.
fn launch(rig: &Rig, pipeline: &Pipeline, buffers: [&Buffer; 2], threads: usize, group: usize) {
    autorelease_pool(|| {
        let commands = rig.queue.commands().unwrap();
        let encoder = commands.encoder().unwrap();
        encoder.bind(pipeline);
        encoder.bind_buffer(buffers[0], 0, 0);
        encoder.bind_buffer(buffers[1], 0, 1);
        encoder.threadgroup_memory(4096, 0);
        encoder.launch((threads, 1, 1), (group, 1, 1));
        encoder.finish();
        commands.submit();
        commands.finish().unwrap();
    });
}

/// The profile of a kernel that ran with 128 threads in threadgroups of 64.
fn run(source: &str) -> Profile {
    let rig = Rig::new();
    let pipeline = counted(&rig.gpu, source);
    let [data, other] = [(); 2].map(|()| rig.gpu.buffer(1 << 20).unwrap());
    for buffer in [&data, &other] {
        buffer.write(|bytes| bytes.fill(0));
    }
    launch(&rig, &pipeline, [&data, &other], 128, 64);
    pipeline.profile().unwrap().unwrap()
}

/// Line `number` of the source that a test passes, from 1 on.
#[track_caller]
fn line(profile: &Profile, number: u32) -> &ProfileLine {
    let found = profile.line(number + 2);
    found.unwrap_or_else(|| panic!("line {number} has no code: {profile}"))
}

#[track_caller]
fn ran(profile: &Profile, number: u32) -> (u64, u64) {
    let line = line(profile, number);
    (line.runs, line.lanes)
}

fn accesses(accesses: u64, bytes: u64, cache_lines: u64) -> [u64; 3] {
    [accesses, bytes, cache_lines]
}

fn numbers(of: Accesses) -> [u64; 3] {
    [of.accesses, of.bytes, of.cache_lines]
}

#[test]
fn lines_count_their_runs_and_active_lanes() {
    let profile = run("kernel void k(device uint *data, uint i [[thread_position_in_grid]]) {
    uint sum = 0;
    for (uint n = 0; n < i % 4; n++) {
        sum += n;
        if (i == 3)
            sum += 5;
    }
    data[i] = sum;
    if (i > 1000) return;
    if (i % 2)
        data[i] += i % 64 < 32 ? 1 : 2;
    else if (i < 64)
        data[i] = 0;
}");
    assert_eq!(ran(&profile, 2), (4, 128));
    // The test runs once more than the body.
    assert_eq!(ran(&profile, 3), (16, (1 + 2 + 3 + 4) * 32));
    assert_eq!(ran(&profile, 4), (12, (1 + 2 + 3) * 32));
    assert_eq!(ran(&profile, 6), (3, 3));
    assert_eq!(ran(&profile, 8), (4, 128));
    assert_eq!(ran(&profile, 11), (4, 64));
    assert_eq!(ran(&profile, 13), (2, 32));
    assert!(profile.line(1).is_none());
    assert!(line(&profile, 4).operations > line(&profile, 6).operations);
    let Profile { launches, threadgroups, simdgroups, threads, .. } = profile;
    assert_eq!([launches, threadgroups, simdgroups, threads], [1, 2, 4, 128]);
    assert_eq!((profile.threads_per_threadgroup, profile.threadgroup_memory), (64, 0));
    assert_eq!(profile.threadgroups_that_fit, 16);
}

#[test]
fn functions_and_instances_add_up() {
    let profile = run("static uint twice(uint x) {
    return 2 * x;
}
template <typename T> T thrice(T x) {
    return 3 * x;
}
#define STORE(index, value) data[index] = value
kernel void k(device uint *data, uint i [[thread_position_in_grid]]) {
    uint x = twice(i) + twice(i + 1);
    if (i < 32)
        x += thrice(x);
    x += uint(thrice(1.5f * i));
    STORE(i, x);
}");
    assert_eq!(ran(&profile, 2), (8, 256));
    // Once for each of two types.
    assert_eq!(ran(&profile, 5), (1 + 4, 32 + 128));
    assert_eq!(ran(&profile, 13), (4, 128));
    assert_eq!(numbers(line(&profile, 13).device.contiguous), accesses(4, 512, 4));
}

#[test]
fn accesses_are_classified() {
    let profile = run("kernel void k(device float *data, constant float *table, uint i [[thread_position_in_grid]]) {
    float sum = data[3];
    sum += data[i];
    sum += data[i * 32];
    sum += data[i * i];
    sum += table[0];
    sum += table[i / 2];
    data[i * 4 + 1] = sum;
    ((device float4 *)data)[i] = sum;
}");
    let device = |number| line(&profile, number).device;
    assert_eq!(numbers(device(2).uniform), accesses(4, 512, 4));
    assert_eq!(numbers(device(3).contiguous), accesses(4, 512, 4));
    assert_eq!(numbers(device(4).strided), accesses(4, 512, 128));
    assert_eq!(device(4).stride, Some((128, 128)));
    let scattered = device(5).scattered;
    assert_eq!((scattered.accesses, scattered.bytes), (4, 512));
    assert!(scattered.cache_lines > 100, "{scattered:?}");
    assert_eq!(numbers(line(&profile, 6).constant.uniform), accesses(4, 512, 4));
    assert_eq!(line(&profile, 7).constant.scattered.accesses, 4);
    assert_eq!((device(8).strided.accesses, device(8).stride), (4, Some((16, 16))));
    assert_eq!(numbers(device(9).contiguous), accesses(4, 2048, 16));
}

#[test]
fn barriers_atomics_and_banks_are_counted() {
    let profile =
        run("kernel void k(device atomic_uint *data, device uint *other, threadgroup uint *tile,
              uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    tile[t] = i;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint x = tile[t * 16 % 1024];
    for (int n = 0; n < 3; n++) threadgroup_barrier(mem_flags::mem_none);
    simdgroup_barrier(mem_flags::mem_none);
    atomic_fetch_add_explicit(&data[0], x, memory_order_relaxed);
    atomic_fetch_add_explicit(&data[i], x, memory_order_relaxed);
    x += atomic_load_explicit(&data[i / 64], memory_order_relaxed);
    other[i] = x;
}");
    assert_eq!(
        (line(&profile, 3).threadgroup.bank_conflicts, profile.threadgroup_memory),
        (0, 4096)
    );
    // 16 by their threads, 8 by their memory.
    assert_eq!(profile.threadgroups_that_fit, 8);
    // 32 lanes in two banks, 16 rows each.
    assert_eq!(line(&profile, 5).threadgroup.bank_conflicts, 4 * 15);
    assert_eq!([4, 6, 7].map(|number| line(&profile, number).barriers), [4, 12, 4]);
    let atomics = |number| (line(&profile, number).atomics, line(&profile, number).contended);
    assert_eq!([8, 9, 10].map(atomics), [(128, 128), (128, 0), (128, 0)]);
    assert!(line(&profile, 8).hints.iter().any(|hint| hint.contains("simd_sum")));
    assert!(line(&profile, 9).hints.is_empty() && line(&profile, 3).hints.is_empty());
}

#[test]
fn matrices_access_memory_by_lane() {
    let profile = run("static void twice(device float *to, threadgroup float *tile) {
    simdgroup_float8x8 m;
    simdgroup_load(m, tile, 8);
    simdgroup_store(m, to, 8);
}
kernel void k(device float *data, threadgroup float *tile, uint t [[thread_index_in_simdgroup]]) {
    tile[t] = tile[t + 32] = t;
    twice(data, tile);
}");
    // Each lane has two elements; 64 of them are two cache lines.
    let (load, store) = (line(&profile, 3).threadgroup, line(&profile, 4).device);
    assert_eq!((load.strided.accesses + load.scattered.accesses, load.bank_conflicts), (8, 0));
    assert_eq!(store.scattered.accesses + store.strided.accesses, 8);
    assert_eq!(store.scattered.bytes + store.strided.bytes, 4 * 256);
}

#[test]
fn launches_add_up_on_any_number_of_threads() {
    let rig = Rig::new();
    let pipeline = counted(
        &rig.gpu,
        "kernel void k(device uint *data, device const uint *from, uint i [[thread_position_in_grid]]) {
    for (uint n = 0; n < i % 7; n++)
        data[i] += from[i * n % 1000];
}",
    );
    let [data, from] = [(); 2].map(|()| rig.gpu.buffer(1 << 20).unwrap());
    launch(&rig, &pipeline, [&data, &from], 20_000, 100);
    let once = pipeline.profile().unwrap().unwrap();
    launch(&rig, &pipeline, [&data, &from], 20_000, 100);
    let twice = pipeline.profile().unwrap().unwrap();
    assert_eq!((once.threadgroups, once.simdgroups, once.threads), (200, 800, 20_000));
    assert_eq!((twice.launches, twice.simdgroups), (2, 1600));
    assert!(once.hints.iter().any(|hint| hint.contains("multiple of 32")), "{once}");
    for (one, two) in once.lines.iter().zip(&twice.lines) {
        assert_eq!((one.line, 2 * one.runs, 2 * one.lanes), (two.line, two.runs, two.lanes));
        assert_eq!(2 * one.device.scattered.cache_lines, two.device.scattered.cache_lines);
    }
}

#[test]
fn hints_say_what_to_change() {
    let rig = Rig::new();
    let source =
        "kernel void transpose(device float *out, device const float *in, threadgroup float *tile,
                      uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    tile[t % 32 * 32] = in[i];
    out[i % 256 * 256 + i / 256] = tile[t % 32 * 32];
    if (t % 32 == 0)
        for (uint n = 0; n < 20; n++)
            out[i] += sin(out[i]) * cos(out[i]);
}";
    let pipeline = counted(&rig.gpu, source);
    let [data, from] = [(); 2].map(|()| rig.gpu.buffer(1 << 20).unwrap());
    launch(&rig, &pipeline, [&data, &from], 4096, 128);
    let profile = pipeline.profile().unwrap().unwrap();
    let text = profile.to_string();
    let hinted = |number, words: &str| {
        let hints = &line(&profile, number).hints;
        assert!(hints.iter().any(|hint| hint.contains(words)), "{number} {words}: {text}");
    };
    hinted(3, "pad the rows");
    hinted(4, "lanes are 1024 bytes apart, so that an access touches 32.0 cache lines: transpose");
    hinted(7, "on average 1.0 of 32 lanes are active");
    for part in
        ["kernel 'transpose': 1 launch,", "device: 128 strided 1024 apart", "hint: lanes are"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let page = profile.html();
    for part in
        ["<!DOCTYPE html>", "kernel transpose", "cos(out[i]);", "lanes are 1024 bytes apart"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("n < 20") && page.contains("n &lt; 20"));
    for tag in ["table", "tr", "td", "div", "p"] {
        let ends = page.matches(&format!("</{tag}>")).count();
        let open = format!("<{tag}");
        let starts = page.split(&open).skip(1).filter(|rest| rest.starts_with(['>', ' '])).count();
        assert_eq!(starts, ends, "{tag}: {page}");
    }
}

#[test]
fn addresses_far_apart_are_a_fault_and_no_panic() {
    let gpu = Gpu::open().unwrap();
    let source = "kernel void k(device int *p, uint i [[thread_index_in_threadgroup]]) { p[ulong(i) << 57] = 1; }";
    let (pipeline, buffer) = (counted(&gpu, source), gpu.buffer(4).unwrap());
    let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue().unwrap());
    // SAFETY: soft Metal checks every access.
    let done = unsafe { dispatch.dispatch(&pipeline, &[(&buffer, 0, 0)], (32, 1, 1), (32, 1, 1)) };
    let error = done.unwrap_err().to_string();
    assert!(error.contains("write of 4 bytes"), "{error}");
}

#[test]
fn kernels_that_are_not_counted_have_no_profile() {
    let rig = Rig::new();
    let library = rig.gpu.compile("kernel void one(device int *x) { x[0] = 1; }").unwrap();
    let function = library.function("one").unwrap();
    let pipeline = rig.gpu.pipeline(&function.checked(Checks::RACES).unwrap()).unwrap();
    assert_eq!(pipeline.profile().unwrap(), None);
}

#[test]
fn checks_and_counts_can_be_combined() {
    let rig = Rig::new();
    let library = rig
        .gpu
        .compile(
            "kernel void one(device uint *x, uint i [[thread_position_in_grid]]) {\nx[0] = i;\n}",
        )
        .unwrap();
    let function = library.function("one").unwrap();
    let checked = function.checked(Checks::RACES | Checks::PROFILE).unwrap();
    let pipeline = rig.gpu.pipeline(&checked).unwrap();
    let data = rig.gpu.buffer(64).unwrap();
    let commands = rig.queue.commands().unwrap();
    let encoder = commands.encoder().unwrap();
    encoder.bind(&pipeline);
    encoder.bind_buffer(&data, 0, 0);
    encoder.launch((64, 1, 1), (64, 1, 1));
    encoder.finish();
    commands.submit();
    commands.finish().unwrap();
    assert_eq!(commands.reports().unwrap().len(), 1);
    assert_eq!(pipeline.profile().unwrap().unwrap().line(2).unwrap().runs, 2);
}

#[test]
fn a_variable_writes_the_profiles_of_a_process() {
    let run = || {
        let rig = Rig::new();
        let data = rig.gpu.buffer(4096).unwrap();
        for name in ["first", "second"] {
            let arguments = "device int *x, uint i [[thread_position_in_grid]]";
            let pipeline = rig.kernel(&format!("kernel void {name}({arguments}) {{ x[i] = 1; }}"));
            launch(&rig, &pipeline, [&data, &data], 64, 32);
        }
    };
    let folder = std::env::temp_dir().join(format!("profile-{}", std::process::id()));
    let written = |name: &str| {
        let file = folder.join(name);
        let file = if name == "-" { name } else { file.to_str().unwrap() };
        let test = "a_variable_writes_the_profiles_of_a_process";
        let output = in_child(test, &[("ARUMINIUM_SOFT_PROFILE", file)], run)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        Some(if name == "-" { text } else { std::fs::read_to_string(file).unwrap() })
    };
    let Some(text) = written("-") else { return };
    std::fs::create_dir_all(&folder).unwrap();
    for text in [text, written("profile.txt").unwrap()] {
        let (first, second) =
            (text.find("kernel 'first': 1 launch,"), text.find("kernel 'second'"));
        assert!(first.is_some() && first < second, "{text}");
        assert!(text.contains("device: 2 contiguous (256 bytes, 2 cache lines)"), "{text}");
    }
    assert!(written("profile.html").unwrap().starts_with("<!DOCTYPE html>"));
    assert!(written("profile.svg").unwrap().starts_with("<svg "));
    let json = written("profile.json").unwrap();
    assert!(json.starts_with(r#"[{"kernel":"first","launches":1,"threadgroups":2,"#), "{json}");
    assert!(json.contains(r#""contiguous":{"accesses":2,"bytes":256,"cacheLines":2}"#), "{json}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// The picture that the README shows: a transposition that accesses memory in rows of its own, and through threadgroup memory.
/// `ARUMINIUM_UPDATE` writes it.
#[test]
fn the_picture_is_that_of_the_readme() {
    const SIDE: usize = 256;
    let source = "#include <metal_stdlib>
using namespace metal;
constant uint side = 256;

kernel void direct(device float *out, device const float *in, uint2 at [[thread_position_in_grid]]) {
    out[at.x * side + at.y] = in[at.y * side + at.x];
}

kernel void tiled(device float *out, device const float *in, uint2 at [[threadgroup_position_in_grid]],
                  uint2 t [[thread_position_in_threadgroup]]) {
    threadgroup float tile[32][32];
    tile[t.y][t.x] = in[(at.y * 32 + t.y) * side + at.x * 32 + t.x];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[(at.x * 32 + t.y) * side + at.y * 32 + t.x] = tile[t.x][t.y];
}
";
    let run = || {
        let rig = Rig::new();
        let [out, input] = [(); 2].map(|()| rig.gpu.buffer(SIDE * SIDE * 4).unwrap());
        let library = rig.gpu.compile(source).unwrap();
        for kernel in ["direct", "tiled"] {
            let pipeline = rig.gpu.pipeline(&library.function(kernel).unwrap()).unwrap();
            rig.run(|encoder| {
                encoder.bind(&pipeline);
                encoder.bind_buffer(&out, 0, 0);
                encoder.bind_buffer(&input, 0, 1);
                encoder.launch((SIDE, SIDE, 1), (32, 32, 1));
            })
            .unwrap();
        }
    };
    let file = std::env::temp_dir().join(format!("picture-{}.svg", std::process::id()));
    let variables = [("ARUMINIUM_SOFT_PROFILE", file.to_str().unwrap())];
    let test = "the_picture_is_that_of_the_readme";
    let Some(output) = in_child(test, &variables, run) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let picture = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    for hint in ["lanes are 1024 bytes apart", "pad the rows of"] {
        assert!(picture.contains(hint), "{hint}: {picture}");
    }
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/specs/profile.svg");
    if std::env::var_os("ARUMINIUM_UPDATE").is_some() {
        return std::fs::write(recorded, picture).unwrap();
    }
    let recorded = std::fs::read_to_string(recorded).unwrap();
    assert!(
        picture == recorded,
        "specs/profile.svg is another picture: ARUMINIUM_UPDATE=1 writes this one: {picture}"
    );
}
