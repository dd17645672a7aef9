//! Tests of the back end for NVIDIA GPUs that need no GPU: the kernels of `tests/msl` become text that NVIDIA's assembler
//! takes, if `ARUMINIUM_TEST_PTXAS` is its path.

mod ahead;
mod double;
mod proof;
mod published;
mod sampling;
mod snapshots;
mod tensor;
mod textures;
mod unrolled;
mod values;

use super::emit::{self, Options};
use crate::soft::ir::with_stack;
use crate::soft::msl::ast::Stage;
use crate::soft::msl::{self, ConstantValues};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The texts of every nth kernel of a source, by name; `Err` with what a kernel uses that is not supported.
fn texts(
    file: &str,
    source: &str,
    options: Options,
    every: usize,
) -> Vec<(String, Result<String, String>)> {
    let compile = msl::Options { file_name: file.into(), ..msl::Options::default() };
    let library = msl::compile(source, &compile).unwrap_or_else(|error| panic!("{error}"));
    let kernels = library.entries.iter().filter(|entry| entry.stage == Stage::Kernel);
    let text = |name: &str| {
        let (module, _) =
            library.kernel(name, &ConstantValues::default()).map_err(|error| error.0)?;
        let function = super::prepare(&module).map_err(|error| error.to_string())?;
        let emitted = with_stack(|| emit::emit(&module, &function, options));
        emitted.map(|emitted| emitted.text).map_err(|unsupported| unsupported.0)
    };
    kernels.step_by(every).map(|entry| (entry.name.clone(), text(&entry.name))).collect()
}

/// The assembler's errors about a text; `None` if it accepts it.
fn assembled(assembler: &str, folder: &Path, text: &str, target: u32) -> Option<String> {
    let file = folder.join("kernel.ptx");
    std::fs::write(&file, text).expect("a file");
    let output = Command::new(assembler)
        .arg(format!("-arch=sm_{target}"))
        .args(["-O0", "-o"])
        .arg(folder.join("kernel.cubin"))
        .arg(&file)
        .output()
        .expect("the assembler runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    (!output.status.success()).then_some(said)
}

#[test]
fn every_kernel_of_the_corpus_is_taken_by_the_assembler() {
    let folder = format!("{}/tests/msl", env!("CARGO_MANIFEST_DIR"));
    let assembler = std::env::var("ARUMINIUM_TEST_PTXAS").ok();
    let room = std::env::temp_dir().join(format!("aruminium-ptx-{}", std::process::id()));
    std::fs::create_dir_all(&room).expect("a folder");
    let (mut written, mut unsupported, mut wrong) = (0, Vec::new(), Vec::new());
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the corpus").flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let Ok(source) = std::fs::read_to_string(file.path()) else { continue };
        if !name.ends_with(".metal") {
            continue;
        }
        for (number, target) in [80, 70, 75, 90].into_iter().enumerate() {
            let (alignment, strict) = (if number == 1 { 4 } else { 16 }, number == 1);
            // The bytes that commands carry in one place, and in memory.
            let pushed = if number == 0 { u64::MAX } else { 0 };
            let options = Options {
                target,
                threads: 256,
                alignment,
                strict,
                checked: true,
                pushed,
                regular: number > 1,
                ..Options::default()
            };
            // A sample for other targets, and for memory that may not be aligned.
            let every = if number == 0 { 1 } else { 8 };
            for (kernel, text) in texts(&name, &source, options, every) {
                match text {
                    Err(what) => unsupported.push(format!("{name}: {kernel}: {what}")),
                    Ok(text) => {
                        written += 1;
                        let Some(assembler) = &assembler else { continue };
                        if let Some(said) = assembled(assembler, &room, &text, target) {
                            let said: Vec<&str> = said.lines().take(4).collect();
                            wrong.push(format!("{name}: {kernel}: {}", said.join("\n")));
                        }
                    }
                }
            }
        }
    }
    std::fs::remove_dir_all(&room).expect("the folder is removed");
    println!("{written} texts");
    assert!(unsupported.is_empty(), "{unsupported:?}");
    assert!(wrong.is_empty(), "{} of {written}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(written > 100, "{written}");
}

/// The assembler's errors about a text, if there is an assembler.
fn refused(text: &str, target: u32) -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let assembler = std::env::var("ARUMINIUM_TEST_PTXAS").ok()?;
    let name = format!("aruminium-ptx-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    let room = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&room).expect("a folder");
    let said = assembled(&assembler, &room, text, target);
    std::fs::remove_dir_all(&room).expect("the folder is removed");
    said
}

#[test]
fn the_kernels_of_transfers_are_taken_by_the_assembler() {
    for target in [70, 75, 80, 90] {
        let text = super::transfer::text(target);
        assert_eq!(text.matches(".entry").count(), 11, "{text}");
        assert_eq!(refused(&text, target), None, "{target}");
    }
}

/// The text of the only kernel of a source, and its sites.
fn emitted(source: &str) -> emit::Emitted {
    emitted_for(source, false)
}

/// The same for a launch that is strict or not.
fn emitted_for(source: &str, strict: bool) -> emit::Emitted {
    let library = msl::compile(source, &msl::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let (module, _) =
        library.kernel("k", &ConstantValues::default()).unwrap_or_else(|error| panic!("{error}"));
    let function = super::prepare(&module).expect("code");
    let options = Options {
        target: 80,
        threads: 256,
        alignment: 16,
        strict,
        checked: true,
        ..Options::default()
    };
    let emitted = with_stack(|| emit::emit(&module, &function, options)).expect("text");
    let said = refused(&emitted.text, options.target);
    assert_eq!(said, None, "{source}\n{}", emitted.text);
    emitted
}

#[test]
fn only_loops_that_may_not_end_look_whether_they_have_to_stop() {
    for (body, looks) in [
        ("for (uint i = 0; i < n[0]; i++) x[i] = 1;", false),
        ("float y = 0; for (int i = 0; i < 1000 && y < 4.0f; i++) y += y + 1; x[0] = y;", false),
        ("uint i = 0; while (true) { if (i >= n[0]) break; x[i] = 1; i++; }", false),
        ("while (x[0] == 0) x[1] += 1;", true),
        ("for (uint i = 0; i < n[0]; i += 3) x[i] = 1;", true),
        ("uint m = n[0]; for (uint i = 0; i < m; i++) { if (x[i] == 3) i--; x[i] = 1; }", true),
        ("uint m = n[0]; for (uint i = 0; i < m; i++) { m += 1; x[i] = m; }", true),
        ("for (uint i = 0; i < n[0]; i++) for (uint j = 0; j < n[1]; j++) x[i] += j;", true),
        // The value of a counter before the loop does not change, nor does a number that is set to one more than that.
        ("uint i = n[2]; uint old = i; while (old < 8) { i++; x[8 + i % 8] = i; }", true),
        ("uint i = n[2]; uint old = i; while (i < n[0]) { i = old + 1; x[0] = i; }", true),
        // Numbers that wrap, or stay the same when something is added.
        ("char2 v = char2(n[0]); while ((v < char2(127)).x) { v += char2(64); x[0] = v.x; }", true),
        ("float t = x[0]; while (t < 1e-41f) { t += 1e-45f; x[1] = t; }", true),
    ] {
        let source = format!(
            "using namespace metal; kernel void k(device uint *x, constant uint *n) {{ {body} }}"
        );
        let sites = emitted(&source).sites;
        let found = sites.iter().any(|site| site.kind == emit::SiteKind::Stopped);
        assert_eq!(found, looks, "{body}");
    }
}

#[test]
fn threads_are_counted_at_barriers_only_where_these_may_differ() {
    let barrier = "threadgroup_barrier(mem_flags::mem_threadgroup);";
    for (body, counted) in [
        (format!("{barrier} x[i] = 1; {barrier}"), false),
        (format!("for (uint k = 0; k < n[0]; k++) {{ {barrier} x[i] += k; {barrier} }}"), false),
        (format!("if (n[0] == 3) {{ {barrier} x[i] = 1; }} {barrier}"), false),
        (format!("if (i == 3) {{ {barrier} x[i] = 1; }} {barrier}"), true),
        (format!("for (uint k = 0; k < x[i]; k++) {{ {barrier} x[i] += k; }} {barrier}"), true),
        // With a single barrier threads cannot wait at different ones.
        (format!("if (i == 3) {{ {barrier} }}"), false),
    ] {
        let text = emitted(&format!(
            "using namespace metal; kernel void k(device uint *x, constant uint *n,
                uint i [[thread_position_in_threadgroup]]) {{ {body} }}"
        ));
        assert_eq!(text.text.contains("barrier.red"), counted, "{body}");
    }
}

#[test]
fn a_thread_that_ends_names_a_barrier_only_if_all_others_wait_there() {
    let barrier = "threadgroup_barrier(mem_flags::mem_threadgroup);";
    let text = emitted_for(
        &format!(
            "using namespace metal; kernel void k(uint i [[thread_position_in_threadgroup]]) {{
                if (i < 32) return; if (i < 64) {{ {barrier} }} else {{ {barrier} }} }}"
        ),
        true,
    );
    let lines: Vec<&str> = text.text.lines().map(str::trim).collect();
    // A bit that only some have leaves no number.
    let is_cleared =
        |line: &str| line.starts_with('@') && line.contains(" mov.b64 ") && line.ends_with(", 0;");
    let cleared = lines.iter().position(|line| is_cleared(line));
    let cleared = cleared.unwrap_or_else(|| panic!("{}", text.text));
    let differ = lines[cleared][1..].split(' ').next().expect("a predicate");
    let joined = format!("or.pred {differ}, {differ}, ");
    // Two barriers have numbers of two bits. How many wait at those that have a bit is compared with how many wait at all.
    let compared: Vec<&str> = (1..cleared)
        .filter(|&at| lines[at].starts_with(&joined))
        .map(|at| lines[at - 1].split(", ").nth(2).expect("an operand"))
        .collect();
    assert_eq!(compared.len(), 2, "{}", text.text);
    assert_eq!(compared[0], compared[1]);
}

/// The text of the kernel `k` for a launch that is proven to access nothing out of bounds, with whole SIMD-groups.
fn unchecked(source: &str, target: u32) -> String {
    whole(source, Options { target, alignment: 16, ..Options::default() })
}

/// The same with some options.
fn whole(source: &str, options: Options) -> String {
    let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{source}");
    text_of(&source, Options { threads: 256, pushed: u64::MAX, whole: true, ..options })
}

#[test]
fn barriers_between_loads_order_nothing() {
    let barrier = "simdgroup_barrier(mem_flags::mem_threadgroup);";
    let load = "sum += t[j++ * k];";
    for (body, barriers) in [
        (format!("{barrier} {load} {barrier} {load} {barrier}"), 2),
        (format!("{barrier} {load} {barrier} {load} {barrier} {load} {barrier}"), 2),
        // Writes before or after a barrier are ordered by it.
        (format!("{barrier} t[i] = 1; {barrier} {load} {barrier}"), 3),
        (format!("{barrier} {load} {barrier} t[i] = 1; {barrier}"), 3),
        (format!("{barrier} {load} {barrier} if (k == 7) x[1] = 1; {barrier}"), 3),
        (format!("{load} {barrier} {load}"), 1),
    ] {
        let text = unchecked(
            &format!(
                "kernel void k(device uint *x, constant uint &k, uint i [[thread_position_in_threadgroup]]) {{
                    threadgroup uint t[64]; uint sum = 0, j = i; {body} x[i] = sum; }}"
            ),
            80,
        );
        assert_eq!(text.matches("bar.warp.sync").count(), barriers, "{body}\n{text}");
    }
}

#[test]
fn sixteen_bytes_go_to_threadgroup_memory_without_a_register() {
    let copied_for = |body: &str, options: Options| {
        let text = whole(
            &format!(
                "kernel void k(device float4 *x, device const float4 *a, uint i [[thread_position_in_threadgroup]]) {{
                    threadgroup float4 s[64]; threadgroup float4 t[64]; {body}
                    threadgroup_barrier(mem_flags::mem_threadgroup);
                    x[i] = t[63 - i] + s[63 - i]; }}"
            ),
            options,
        );
        if let Some(waits) = text.rfind("cp.async.wait_all") {
            assert!(waits < text.find("barrier.sync").expect("a barrier"), "{text}");
        }
        let count = |what: &str| text.matches(what).count();
        (count("cp.async.cg"), count("cp.async.wait_all"), count("ld.global.v4"))
    };
    let options = |target: u32| Options { target, alignment: 16, ..Options::default() };
    let copied = |body: &str, target: u32| copied_for(body, options(target));
    let two = "t[i] = a[i]; s[i] = a[i + 64];";
    assert_eq!(copied(two, 80), (2, 1, 0));
    // Memory that may not be aligned, and accesses that are checked.
    assert_eq!(copied_for(two, Options { alignment: 8, ..options(80) }).0, 0);
    assert_eq!(copied_for(two, Options { checked: true, ..options(80) }).0, 0);
    assert_eq!(
        copied("float4 one = a[i], two = a[i + 64]; t[i] = one; s[i] = two;", 80),
        (2, 1, 0)
    );
    assert_eq!(copied("t[i] = a[i]; t[i + 32] = a[i + 64];", 80), (2, 1, 0));
    // Older GPUs have no such copies.
    assert_eq!(copied(two, 75), (0, 0, 2));
    // The loaded value is used elsewhere, or is not what is stored.
    assert_eq!(copied("float4 one = a[i]; t[i] = one; s[i] = one;", 80), (0, 0, 1));
    assert_eq!(copied("t[i] = a[i] + 1; s[i] = 0;", 80), (0, 0, 1));
    // Copies that may be to one address are in order.
    assert_eq!(copied("t[i] = a[i]; t[i ^ 1] = a[i + 64]; s[i] = 0;", 80), (2, 2, 0));
    assert_eq!(copied("t[i] = a[i]; t[i] = a[i + 64]; s[i] = 0;", 80), (2, 2, 0));
}

#[test]
fn a_launch_of_whole_threadgroups_has_no_code_for_others() {
    let source = "kernel void k(device uint *x, uint i [[thread_position_in_grid]]) { x[i] = i; }";
    for regular in [false, true] {
        let text = text_of(
            source,
            Options { regular, target: 80, threads: 256, alignment: 16, ..Options::default() },
        );
        // The hardware's number of threads is read, and a division is, only where a thread may have another position.
        assert_eq!(text.contains("%ntid"), !regular, "{text}");
        assert_eq!(text.contains("[args+92]"), !regular, "{text}");
    }
}

#[test]
fn lanes_that_leave_a_loop_where_others_may_go_on_vote() {
    // How often lanes vote where some leave in each way, and where all do.
    for (leave, some, all) in [("break", 6, 3), ("continue", 5, 4), ("return", 6, 4)] {
        for (condition, votes) in [("x[i] == 3", some), ("n[1] == 3", all)] {
            let text = unchecked(
                &format!(
                    "kernel void k(device uint *x, constant uint *n, uint i [[thread_position_in_grid]]) {{
                        for (uint k = 0; k < n[0]; k++) {{
                            x[i] += simd_sum(k); if ({condition}) {leave}; x[i] += simd_sum(x[i]); }}
                        x[i] += simd_sum(x[i]); }}"
                ),
                80,
            );
            assert_eq!(
                text.matches("vote.sync.ballot").count(),
                votes,
                "{leave} {condition}\n{text}"
            );
        }
    }
}

#[test]
fn one_of_four_iterations_counts_where_a_loop_only_computes() {
    let text = of_bench("mandelbrot", true);
    let inner = first_loop(&text);
    assert_eq!(inner.matches("setp.le.f32").count(), 4, "{inner}");
    assert_eq!(inner.matches("setp.lt.u32").count(), 1, "{inner}");
    // It ends by itself: it does not read the address of the word that stops a launch.
    assert!(!text.contains("[args+8]"), "{text}");
}

#[test]
fn loads_at_constant_distances_are_checked_together_and_one_by_one_where_that_fails() {
    let sum = emitted("kernel void k(device float *x, device const float *y, uint i [[thread_position_in_grid]]) {
        device const float *at = y + 5 * i;
        x[i] = at[0] + at[2] + at[4];
    }");
    // Two checks for all, three that find the first fault, one for what is written; and the code that records a fault has one.
    assert_eq!(sum.text.matches("setp.ge.u64").count(), 7, "{}", sum.text);
    let loads = sum
        .sites
        .iter()
        .filter(|site| matches!(site.kind, emit::SiteKind::Access { write: false, bytes: 4, .. }));
    assert_eq!(loads.count(), 3);
}

/// The text of a kernel of `benches/kernels`, with checks and the bytes of commands in its parameter.
fn of_bench(name: &str, checked: bool) -> String {
    let path = format!("{}/benches/kernels/{name}.metal", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).expect("a kernel");
    let (target, threads, alignment, strict, pushed) = (80, 256, 16, false, u64::MAX);
    let options =
        Options { target, threads, alignment, strict, checked, pushed, ..Options::default() };
    texts(name, &source, options, 1).remove(0).1.expect("text")
}

/// The lines from the first label that is followed by a jump back to it, up to that jump: the first loop.
fn first_loop(text: &str) -> String {
    // Code that few threads run is after the end of the kernel.
    let lines: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| *line != "exit;").collect();
    for (start, line) in lines.iter().enumerate() {
        let Some(label) = line.strip_suffix(':') else { continue };
        let back = format!("bra {label};");
        if let Some(end) = lines[start..].iter().position(|line| *line == back) {
            return lines[start..start + end].join("\n");
        }
    }
    panic!("no loop:\n{text}")
}

#[test]
fn the_loops_of_products_are_checked_before_they_run() {
    let text = of_bench("matmul", true);
    let inner = first_loop(&text);
    // Four iterations with two loads each. The only branch is the test of how many are left.
    assert_eq!(inner.matches("ld.global").count(), 8, "{inner}");
    assert_eq!(inner.matches('@').count(), 1, "{inner}");
    let tiled = first_loop(&of_bench("matmul_tiled", true));
    assert_eq!(tiled.matches("barrier.sync").count(), 2, "{tiled}");
    assert_eq!(tiled.matches('@').count(), 1, "{tiled}");
}

#[test]
fn a_loop_whose_addresses_may_leave_their_buffers_has_checks() {
    for (body, checks) in [
        ("for (uint i = 0; i < n[0]; i++) x[i] = 1;", false),
        ("for (int i = 5; i >= int(n[0]); i -= 2) x[i] = 1;", false),
        ("for (ulong i = 0; i < n[0]; i += 4) x[i + 2] = x[i] + x[i + 1];", false),
        // The step is one that never meets a limit that is not its multiple, so that the counter might wrap.
        ("for (uint i = 0; i < n[0]; i += 3) x[i] = 1;", true),
        ("for (uint i = 0; i < n[0]; i++) x[x[i]] = 1;", true),
        ("for (uint i = 0; i < n[0]; i++) x[i * i] = 1;", true),
    ] {
        let source = format!("kernel void k(device uint *x, constant uint *n) {{ {body} }}");
        let text = emitted(&source).text;
        // Without checks the only branch is the test of how many iterations are left.
        assert_eq!(first_loop(&text).matches('@').count() > 1, checks, "{body}\n{text}");
    }
}

#[test]
fn loads_that_do_not_depend_on_each_other_follow_all_their_checks() {
    let text = of_bench("saxpy", true);
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what}: {text}"));
    let start = at("setp.ge.u32");
    let loads = start + text[start..].find("ld.global.b32").expect("a load");
    let end = loads + text[loads..].find("st.global").expect("a store");
    // One branch for both, and none for the store where a load was.
    let compared = |text: &str| text.matches("setp.ge.").count();
    assert_eq!((compared(&text[start..loads]), compared(&text[loads..end])), (2, 0), "{text}");
    assert_eq!(text[start..loads].matches('@').count(), 1, "{text}");
    // Instructions that depend on one load are not between the loads.
    let between: Vec<&str> = text[loads..end].lines().map(str::trim).take(2).collect();
    assert!(between.iter().all(|line| line.starts_with("ld.global")), "{text}");
}

#[test]
fn what_fits_in_a_branch_is_checked_after_it() {
    let store = "x[i] = 1;";
    for (body, checks) in [
        (format!("{store} x[i] += 2;"), 1),
        // A wider access may not fit where a narrower one does, and another index is another access.
        (format!("{store} ((device uint2 *)x)[i] = 2;"), 2),
        (format!("{store} x[i + 1] = 2;"), 2),
        (format!("if (i > 3) {{ {store} }} x[i] = 2;"), 2),
        (format!("{store} if (i > 3) x[i] = 2;"), 1),
        (format!("if (i > 3) {{ {store} }} else {{ x[i] = 2; }}"), 2),
    ] {
        let source = format!(
            "using namespace metal; kernel void k(device uint *x, uint i [[thread_position_in_grid]]) {{ {body} }}"
        );
        let text = emitted(&source).text;
        let kernel = text.split("\texit;").next().expect("a kernel");
        assert_eq!(kernel.matches("setp.ge.u32").count(), checks, "{body}\n{text}");
    }
}

#[test]
fn an_index_is_below_its_limit_where_the_access_fits() {
    for (length, bytes, stride, distance) in
        [(64u64, 4, 4, 0), (64, 4, 12, 8), (63, 4, 4, 0), (3, 4, 4, 0), (0, 1, 1, 0), (70, 2, 7, 5)]
    {
        let limit = emit::Limit::of_index(0, bytes, stride, distance).of(length);
        for index in 0..80u64 {
            let end = index * u64::from(stride) + u64::from(distance + bytes);
            assert_eq!(
                index < limit,
                end <= length,
                "{length} {bytes} {stride} {distance}: {index}"
            );
        }
    }
    // In longer memory the largest index is checked again, in 64 bits.
    assert_eq!(emit::Limit::of_index(0, 4, 4, 0).of(1 << 40), u32::MAX.into());
    let text =
        emitted("kernel void k(device uint *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }");
    let text: Vec<&str> = text.text.lines().map(str::trim).collect();
    let at = text.iter().position(|line| line.starts_with("setp.ge.u32")).expect("a check");
    let label = text[at + 1].rsplit(' ').next().expect("a label").trim_end_matches(';');
    let again = text.iter().position(|line| *line == format!("{label}:")).expect("the other check");
    assert!(text[again..again + 5].iter().any(|line| line.starts_with("setp.ge.u64")), "{text:?}");
}

#[test]
fn bytes_that_a_command_carries_are_in_the_parameter_if_a_kernel_only_loads_them() {
    for (body, at) in [
        ("x[0] = n[0];", 4),
        ("x[0] = n[5];", 24),
        ("x[0] = n[x[1]];", 0),
        ("x[0] = n[64];", 0),
        ("constant uint *p = x[0] ? n : n + 1; x[0] = *p;", 0),
    ] {
        let source = format!("kernel void k(device uint *x, constant uint *n) {{ {body} }}");
        let library = msl::compile(&source, &msl::Options::default()).expect("code");
        let (module, _) = library.kernel("k", &ConstantValues::default()).expect("a kernel");
        let function = super::prepare(&module).expect("code");
        assert_eq!(emit::inline_sizes(&module, &function)[1], at, "{body}");
    }
    let text = of_bench("saxpy", true);
    assert_eq!(text.matches("ld.global.b32").count(), 2, "{text}");
}

/// The lines of the last loop: of one in two versions this is the one with checks.
fn last_loop(text: &str) -> Vec<&str> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| *line != "exit;").collect();
    for (end, line) in lines.iter().enumerate().rev() {
        let Some(label) = line.strip_prefix("bra ").and_then(|line| line.strip_suffix(';')) else {
            continue;
        };
        let start = lines[..end].iter().position(|line| line.strip_suffix(':') == Some(label));
        if let Some(start) = start {
            return lines[start..end].to_vec();
        }
    }
    panic!("no loop:\n{text}")
}

#[test]
fn loads_that_are_checked_together_have_their_checks_in_both_versions_of_a_loop() {
    let text = emitted(
        "struct S { float a; uint b; float c; };
        kernel void k(device float *out, device const S *s, device const uint *idx, constant uint &n,
            uint t [[thread_position_in_grid]]) {
            float sum = 0;
            for (uint i = 0; i < n; i++) { uint j = idx[i]; sum += s[j].a + float(s[j].b) + s[j].c; }
            out[t] = sum;
        }",
    )
    .text;
    let slow = last_loop(&text).join("\n");
    // The four loads have a check each, or the three that are joined have two; and the loop has its test.
    let (loads, branches) = (slow.matches("ld.global").count(), slow.matches('@').count());
    assert!(loads == 4 && branches >= 4, "{loads} {branches}:\n{text}");
}

/// The constant offsets of the accesses in a text.
fn offsets(text: &str) -> Vec<i64> {
    let access = |line: &str| line.starts_with("ld.global") || line.starts_with("st.global");
    let offset = |line: &str| line.split_once('+')?.1.split_once(']')?.0.parse().ok();
    text.lines().map(str::trim).filter(|line| access(line)).filter_map(offset).collect()
}

#[test]
fn accesses_that_are_far_apart_are_checked_apart() {
    // Offsets of 4 GiB and more, from a constant part of an index, from a constant, and from the steps of iterations that are
    // written several times.
    for (body, checks) in [
        ("s += a[ulong(i) * 262144ul] + a[ulong(i + 4096u) * 262144ul];", 4),
        ("s += a[ulong(i * 1024u) * 262144ul];", 2),
        ("s += a[i] + a[ulong(i) + 0x40000000ul];", 2),
        ("s += a[i] + a[ulong(i) + 0x2000000000000000ul];", 2),
        // These are one group.
        ("s += a[ulong(i) * 4096ul] + a[ulong(i + 64u) * 4096ul];", 2),
    ] {
        let text = emitted(&format!(
            "kernel void k(device float *a, constant uint &n) {{
                float s = 0; for (uint i = 0; i < n; i++) {{ {body} }} a[0] = s; }}"
        ))
        .text;
        assert_eq!(text.matches("setp.ge.or.u64").count(), checks, "{body}\n{text}");
        // The assembler's offsets have 32 bits.
        let offsets = offsets(&text);
        let fit = offsets.iter().all(|&offset| i32::try_from(offset).is_ok());
        assert!(fit && !offsets.is_empty(), "{body}: {offsets:?}\n{text}");
    }
}

#[test]
fn a_loop_that_loads_before_its_test_has_one_version() {
    // The test that fails is after one more load, whose fault has to be found.
    let loads = "float v = a[i]; if (i >= m) break; s += v + b[i];";
    let tests = "if (i >= m) break; s += a[i] + b[i];";
    for (body, versions) in [(loads, 1), (tests, 2)] {
        let text = emitted(&format!(
            "kernel void k(device float *out, device const float *a, device const float *b, device uint *n) {{
                uint m = n[0]; float s = 0;
                for (uint i = 0;; i++) {{ {body} }}
                out[0] = s; }}"
        ))
        .text;
        let checked = text.contains("setp.ge.or.u64");
        assert_eq!(checked, versions == 2, "{body}\n{text}");
    }
}

#[test]
fn a_launch_is_skipped_before_its_first_effect() {
    // Where a thread ends if an earlier launch had a fault, and where the first loop jumps back.
    let found = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let skip = lines.iter().position(|line| line.starts_with('@') && line.ends_with(" exit;"));
        let is_back = |&at: &usize| {
            let target = lines[at].strip_prefix("bra ").and_then(|line| line.strip_suffix(';'));
            let label = target.map(|target| format!("{target}:"));
            label.is_some_and(|label| lines[..at].contains(&label.as_str()))
        };
        (skip.expect("a skip"), (0..lines.len()).find(is_back).expect("a loop"))
    };
    for (body, after) in [
        ("uint s = 0; for (uint i = 0; i < n[0]; i++) s += x[i]; x[0] = s;", true),
        (
            "if (n[1] == 3) return; uint s = 0; for (uint i = 0; i < n[0]; i++) s += i * i; x[0] = s;",
            true,
        ),
        ("for (uint i = 0; i < n[0]; i++) x[i] = 1;", false),
        ("x[1] = 2; uint s = 0; for (uint i = 0; i < n[0]; i++) s += x[i]; x[0] = s;", false),
        ("for (uint i = 0; i < n[0]; i++) if (n[i] == 3) x[i] = 1;", false),
        // It may not end, after wrong numbers of an earlier launch.
        ("uint s = n[0]; while (x[s] != 0) s = x[s]; x[0] = s;", false),
    ] {
        let source = format!("kernel void k(device uint *x, constant uint *n) {{ {body} }}");
        let text = emitted(&source).text;
        let (skip, back) = found(&text);
        assert_eq!(skip > back, after, "{body}\n{text}");
    }
    let (skip, back) = found(&of_bench("mandelbrot", true));
    assert!(skip > back);
}

#[test]
fn a_pointer_in_a_variable_stays_in_its_buffer() {
    let sum = "for (uint i = 0; i < n[0]; i++) { s += *p;";
    for (body, known) in [
        (format!("device const float *p = y; {sum} p += n[1]; }}"), true),
        (format!("device const float *p = y; {sum} if (s > 3) p += 7; }}"), true),
        (format!("device const float *p = x; {sum} p = y + i; }}"), false),
        (format!("device const float *p = nullptr; {sum} p = y + i; }}"), false),
        ("device const float *p = n[1] == 3 ? y : y + n[2]; s = *p;".to_owned(), true),
        ("device const float *p = n[1] == 3 ? y : x + n[2]; s = *p;".to_owned(), false),
    ] {
        let text = emitted(&format!(
            "kernel void k(device float *x, device const float *y, constant uint *n) {{
                float s = 0; {body} x[0] = s; }}"
        ))
        .text;
        // Otherwise the region is looked up by its number, and the address may be a multiple of nothing.
        let found = text.contains(", args;") || text.contains("ld.global.u8");
        assert_eq!(found, !known, "{body}\n{text}");
    }
}

#[test]
fn without_checks_no_access_is_compared_with_a_limit() {
    for checked in [true, false] {
        let text = of_bench("saxpy", checked);
        let kernel = text.split("\texit;").next().expect("a kernel");
        assert_eq!(kernel.contains("setp.ge.u32"), checked, "{text}");
    }
}

/// The text of the only kernel of a source with certain options, which the assembler accepts.
fn text_of(source: &str, options: Options) -> String {
    let (_, text) = texts("source", source, options, 1).remove(0);
    let text = text.unwrap_or_else(|what| panic!("{what}"));
    assert_eq!(refused(&text, options.target), None, "{text}");
    text
}

#[test]
fn rows_whose_distance_is_a_multiple_of_sixteen_are_loaded_in_vectors() {
    let source = "struct Sizes { ulong row; uint first; };
        kernel void k(device const uchar *x, device float4 *y, constant Sizes &sizes, uint i [[thread_position_in_grid]]) {
            y[i] = *(device const float4 *)(x + i * sizes.row + 2 * (sizes.first / 2 * 2) * 8); }";
    let options = Options {
        target: 80,
        threads: 256,
        alignment: 16,
        checked: true,
        pushed: 4,
        ..Options::default()
    };
    let text = text_of(source, options);
    assert!(text.contains("ld.global.u8") && !text.contains("ld.global.v4.b32"), "{text}");
    let text = text_of(source, Options { multiples: u64::MAX, ..options });
    assert!(text.contains("ld.global.v4.b32") && !text.contains("ld.global.u8"), "{text}");
    // The numbers that addresses depend on, and no others.
    let other = Options { multiples: u64::MAX, alignment: 4, ..options };
    assert!(!text_of(source, other).contains("ld.global.v4.b32"));
}

#[test]
fn a_shift_by_the_width_of_a_short_makes_no_multiple() {
    let source = |by: u32| {
        format!(
            "using namespace metal; kernel void k(device const uchar *x, device uint4 *y, uint i [[thread_position_in_grid]]) {{
                ushort2 v = ushort2(i) << ushort2({by}); y[i] = *(device const uint4 *)(x + v.x); }}"
        )
    };
    let options =
        Options { target: 80, threads: 256, alignment: 16, checked: true, ..Options::default() };
    for (by, aligned) in [(4, true), (3, false), (16, false), (20, true), (31, true)] {
        let text = text_of(&source(by), options);
        assert_eq!(text.contains("ld.global.v4.b32"), aligned, "{by}: {text}");
    }
}

#[test]
fn a_variable_that_may_be_read_before_it_is_assigned_is_no_multiple() {
    let options =
        Options { target: 80, threads: 256, alignment: 16, checked: true, ..Options::default() };
    for (body, aligned) in [
        ("uint j; if (i & 1) j = 16 * i; else j = 32 * i;", true),
        ("uint j; if (i & 1) j = 16 * i;", false),
        ("uint j; for (uint k = 0; ; k++) { j = 16 * x[k]; if (x[k] > i) break; }", true),
        ("uint j; for (uint k = 0; k < i; k++) { j = 16 * x[k]; }", false),
    ] {
        let source = format!(
            "kernel void k(device const uchar *x, device uint4 *y, uint i [[thread_position_in_grid]]) {{
                {body} y[i] = *(device const uint4 *)(x + j); }}"
        );
        let text = text_of(&source, options);
        assert_eq!(text.contains("ld.global.v4.b32"), aligned, "{body}: {text}");
    }
}
