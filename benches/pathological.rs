//! Programs with a great many of one thing: each is compiled to a pipeline in less than a second of processor time, which is
//! the time that it takes on a machine without other work.
//!
//! `cargo bench --bench pathological -- TEXT` measures those whose names have the text in them.

use aruminium::{Gpu, GpuError};
use std::ffi::c_long;
use std::fmt::Write;
use std::time::Duration;

/// The longest that a program may take.
const LIMIT: Duration = Duration::from_secs(1);

/// The processor time of this process.
fn processor_time() -> Duration {
    unsafe extern "C" {
        /// In microseconds on POSIX systems.
        safe fn clock() -> c_long;
    }
    Duration::from_micros(clock() as u64)
}

/// Repeats a text, with `@` as the number of the copy.
fn repeat(text: &str, count: usize) -> String {
    (0..count).map(|at| text.replace('@', &at.to_string()) + "\n").collect()
}

/// The numbers below `count`, separated by commas.
fn numbers(count: usize) -> String {
    (0..count).map(|at| at.to_string()).collect::<Vec<_>>().join(", ")
}

fn kernel(body: &str) -> String {
    format!(
        "kernel void k(device int *o, uint i [[thread_position_in_grid]]) {{ int t = 0;\n{body}\n\
         o[0] = t; }}\n"
    )
}

fn programs() -> Vec<(&'static str, String)> {
    let recursion = "
        template <typename T> int sum(T x) { return x; }
        template <typename T, typename... R> int sum(T x, R... rest) { return x + sum(rest...); }\n";
    let types = "
        template <int... N> struct Sum { static constant constexpr int value = 0; };
        template <int N, int... R> struct Sum<N, R...> {
            static constant constexpr int value = N + Sum<R...>::value;
        };\n";
    let counted = "
        template <int N> int f(int x) { return f<N - 1>(x) + 1; }
        template <> int f<0>(int x) { return x; }\n";
    let fold = "template <int... N> int sum() { return (0 + ... + N); }\n";
    vec![
        (
            "switch of 100,000 cases",
            kernel(&format!(
                "switch (o[i]) {{ {} }}",
                repeat("case @: t = 7 * @; break;", 100_000)
            )),
        ),
        (
            "100,000 nested #if",
            repeat("#if @ % 2", 100_000) + &"#endif\n".repeat(100_000) + &kernel(""),
        ),
        (
            "3,000 overloads, 1,000 calls",
            repeat("struct S@ { int x; }; int f(S@ s) { return s.x + @; }", 3000)
                + &kernel(&repeat("{ S@ s; s.x = 1; t += f(s); }", 1000)),
        ),
        (
            "fold over 10,000 values",
            fold.to_owned() + &kernel(&format!("t = sum<{}>();", numbers(10_000))),
        ),
        (
            "struct of 100,000 fields",
            format!("struct S {{ {} }};\n", repeat("int f@;", 100_000))
                + &kernel("S s; s.f7 = 1; t = s.f7;"),
        ),
        (
            "variadic function of 2,000",
            recursion.to_owned() + &kernel(&format!("t = sum({});", numbers(2000))),
        ),
        (
            "variadic class of 2,000",
            types.to_owned() + &kernel(&format!("t = Sum<{}>::value;", numbers(2000))),
        ),
        ("recursive template of 2,000", counted.to_owned() + &kernel("t = f<2000>(o[i]);")),
        (
            "else if, 1,000 times",
            kernel(&(repeat("if (o[i] == @) t = 3 * @; else", 1000) + "t = 1;")),
        ),
    ]
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!("{:<32}{:>12}{:>12}", "program", "bytes", "time");
    let mut late = Vec::new();
    for (name, program) in programs() {
        if wanted.as_ref().is_some_and(|text| !name.contains(text)) {
            continue;
        }
        let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{program}");
        // The shortest of three has the least noise.
        let time = (0..3)
            .map(|_| {
                let start = processor_time();
                let library = gpu.compile(&source)?;
                gpu.pipeline(&library.function("k")?)?;
                Ok(processor_time() - start)
            })
            .collect::<Result<Vec<Duration>, GpuError>>();
        match time {
            Ok(times) => {
                let time = times.into_iter().min().unwrap_or_default();
                println!("{name:<32}{:>12}{:>10.0} ms", source.len(), time.as_secs_f64() * 1e3);
                if time > LIMIT {
                    late.push(name);
                }
            }
            Err(error) => {
                let mut text = String::new();
                write!(text, "{error}").expect("a String takes all");
                text.truncate(300);
                println!("{name:<32}{:>12} fails: {text}", source.len());
                late.push(name);
            }
        }
    }
    assert!(late.is_empty(), "these take longer than {LIMIT:?}: {late:?}");
    Ok(())
}
