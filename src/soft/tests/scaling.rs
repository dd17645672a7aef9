//! Compile time is linear in the length of a program.
//!
//! Each case is a program of any length. It is compiled at one length and at four times that length,
//! down to the code that runs: in linear time that takes four times as long, in quadratic time sixteen
//! times. Lengths are such that a quadratic step that matters at the sizes of real programs shows.

use super::*;
use crate::soft::ir::with_stack;
use crate::soft::system::{THREAD_TIME, seconds};
use std::fmt::Write;
use std::time::Duration;

/// The largest allowed ratio of the time for four times the length to the time for the length.
const MAX_RATIO: f64 = 9.0;

/// Repeats a text, with `@` as the number of the copy.
fn repeat(text: &str, count: usize) -> String {
    (0..count).map(|at| text.replace('@', &at.to_string()) + "\n").collect()
}

/// The numbers below `count`, separated by commas.
fn numbers(count: usize) -> String {
    let mut out = String::new();
    (0..count).for_each(|at| {
        let _ = write!(out, "{}{at}", if at > 0 { ", " } else { "" });
    });
    out
}

fn kernel(body: &str) -> String {
    format!(
        "kernel void k(device int *o, uint i [[thread_position_in_grid]]) {{ int t = 0;\n{body}\no[0] = t; }}\n"
    )
}

/// Whether a program is expected to compile.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Runs,
    /// It has more errors than are reported.
    Fails,
}
use Outcome::{Fails, Runs};

type Case = (&'static str, usize, Outcome, fn(usize) -> String);

const CASES: &[Case] = &[
    ("cases of a switch", 800, Runs, |n| {
        kernel(&format!("switch (o[i]) {{ {} }}", repeat("case @: o[i] = 7 * @; break;", n)))
    }),
    ("nested conditionals", 8000, Runs, |n| {
        repeat("#if @ % 2", n) + &"#endif\n".repeat(n) + &kernel("")
    }),
    ("overloads", 800, Runs, |n| {
        repeat("struct S@ { int x; }; int f(S@ s) { return s.x + @; }", n)
            + &kernel("S7 s; s.x = 1; t += f(s);")
    }),
    ("overloads times calls", 100, Runs, |n| {
        // The number of candidates in all is the square of this.
        let side = (n as f64 * 50.0).sqrt() as usize;
        repeat("struct S@ { int x; }; int f(S@ s) { return s.x + @; }", side)
            + &kernel(&repeat("{ S@ s; s.x = 1; t += f(s); }", side))
    }),
    ("a fold over values", 800, Runs, |n| {
        let fold = "template <int... N> int sum() { return (0 + ... + N); }\n";
        fold.to_string() + &kernel(&format!("t = sum<{}>();", numbers(n)))
    }),
    ("fields of a struct", 4000, Runs, |n| {
        format!("struct S {{ {} }};\n", repeat("int f@;", n)) + &kernel("S s; s.f7 = 1; t = s.f7;")
    }),
    ("uses of fields", 700, Runs, |n| {
        format!("struct S {{ {} }};\nconstant S s = {{}};\n", repeat("int f@;", n))
            + &kernel(&repeat("t += s.f@;", n))
    }),
    ("a long expression", 400, Runs, |n| {
        // Many expressions of maximum depth.
        kernel(&repeat(&format!("t = 0 {};", "+ o[@]".repeat(20)), n / 4))
            + &repeat("int f@(int o) { return 0", 1)
            + &" + o".repeat(n / 2)
            + "; }"
    }),
    ("functions", 400, Runs, |n| {
        repeat("int f@(int x) { return x + @; }", n) + &kernel(&repeat("t += f@(t);", n))
    }),
    ("a chain of calls", 400, Runs, |n| {
        let mut chain = String::from("int f0(int x) { return x; }\n");
        for at in 1..n {
            let _ = writeln!(chain, "int f{at}(int x) {{ return f{}(x) + {at}; }}", at - 1);
        }
        chain + &kernel(&format!("t = f{}(1);", n - 1))
    }),
    ("kernels", 700, Runs, |n| {
        repeat("kernel void k@(device int *o) { o[0] = @; }", n) + &kernel("")
    }),
    ("function constants", 1500, Runs, |n| {
        repeat("constant int c@ [[function_constant(@)]];", n) + &kernel("")
    }),
    ("a table of another table", 2000, Runs, |n| {
        format!("constant int a[] = {{ {} }};\n", numbers(n))
            + &format!("constant int b[] = {{ {} }};\n", repeat("a[@],", n))
            + &kernel("t = b[i];")
    }),
    ("#line directives", 500, Runs, |n| {
        repeat("#line 7 \"f@\"", n) + &kernel(&repeat("t += __LINE__;", n))
    }),
    ("uses of __LINE__", 1000, Runs, |n| kernel(&repeat("t += __LINE__;", n))),
    ("warnings", 2000, Runs, |n| repeat("#warning @", n) + &kernel("")),
    ("errors", 2000, Fails, |n| repeat("#error @", n)),
    ("macros that use macros", 2000, Runs, |n| {
        let mut chain = String::from("#define M0 1\n");
        for at in 1..n {
            let _ = writeln!(chain, "#define M{at} M{}", at - 1);
        }
        chain + &kernel(&format!("t = M{};", n - 1))
    }),
    ("else if", 200, Runs, |n| kernel(&(repeat("if (o[i] == @) t = 3 * @; else", n) + "t = 1;"))),
    ("else if of one value", 200, Runs, |n| {
        kernel(&(repeat("if (o[0] == @) t = 3 * @; else", n) + "t = 1;"))
    }),
    ("loops", 200, Runs, |n| kernel(&repeat("for (int j = 0; j < o[@]; j++) { t += j; }", n))),
    ("local variables", 600, Runs, |n| {
        kernel(&(repeat("int x@ = o[@];", n) + &repeat("t += x@;", n)))
    }),
    ("instances of a template", 400, Runs, |n| {
        let template = "template <int N> int f(int x) { return x + N; }\n";
        template.to_string() + &kernel(&repeat("t += f<@>(t);", n))
    }),
];

/// The processor time of some work, to which other work on the machine adds nothing. The compiler makes no thread of its
/// own where the stack is large enough.
fn processor_time(work: impl FnOnce() + Send) -> Duration {
    with_stack(|| {
        let start = seconds(THREAD_TIME);
        work();
        Duration::from_secs_f64(seconds(THREAD_TIME) - start)
    })
}

/// The time to compile a program from text to code.
fn time(text: &str, outcome: Outcome) -> Duration {
    let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{text}");
    processor_time(|| {
        let library = msl::compile(&source, &Options::default());
        if outcome == Runs {
            let library = library.unwrap_or_else(|error| panic!("{error}"));
            let kernel = library.kernel("k", &ConstantValues::default());
            let (module, _) = kernel.unwrap_or_else(|error| panic!("{error}"));
            Program::new(&module).unwrap_or_else(|error| panic!("{error}"));
        } else {
            assert!(library.is_err());
        }
    })
}

#[test]
fn compile_time_is_linear() {
    // Warm up: the library is parsed once per process.
    time(&kernel(""), Runs);
    let mut slow = String::new();
    for &(name, length, outcome, program) in CASES {
        // In an emulated processor half as long, as everything takes many times as long.
        let length = if crate::test_scale::scaled(20) == 1 { length / 2 } else { length };
        let (short, long) = (program(length), program(4 * length));
        // The shortest of several times has the least noise.
        let (mut least, mut most) = (Duration::MAX, Duration::MAX);
        let linear = (0..8).any(|_| {
            least = least.min(time(&short, outcome));
            most = most.min(time(&long, outcome));
            most.as_secs_f64() <= MAX_RATIO * least.as_secs_f64()
        });
        if !linear {
            let ratio = most.as_secs_f64() / least.as_secs_f64();
            let _ = writeln!(
                slow,
                "{name}: {least:?} at {length}, {ratio:.1} times that at four times"
            );
        }
    }
    assert!(slow.is_empty(), "compile time grows faster than the program:\n{slow}");
}

/// Programs of which all is machine code.
const NATIVE: &[Case] = &[
    ("operations with constants of their own", 2000, Runs, |n| {
        kernel(&format!("float x = i; {} t = int(x);", repeat("x = x * @.5f + 1.25f;", n)))
    }),
    ("values that live at the same time", 500, Runs, |n| {
        kernel(&(repeat("int x@ = o[i + @] * 3;", n) + &repeat("t += x@;", n)))
    }),
    ("loops", 100, Runs, |n| kernel(&repeat("for (int j = 0; j < o[@]; j++) { t += o[j]; }", n))),
    ("branches", 250, Runs, |n| kernel(&repeat("if (o[@] == int(i)) { o[i] = @; }", n))),
    ("else if", 100, Runs, |n| {
        kernel(&(repeat("if (o[i] == @) o[i] = 3 * @; else", n) + "t = 1;"))
    }),
];

/// The time to make machine code of a program.
fn native_time(text: &str) -> Duration {
    let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{text}");
    let library = msl::compile(&source, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let kernel = library.kernel("k", &ConstantValues::default());
    let (module, _) = kernel.unwrap_or_else(|error| panic!("{error}"));
    let program = Program::new(&module).unwrap_or_else(|error| panic!("{error}"));
    processor_time(|| _ = program.makes_native())
}

#[test]
fn machine_code_is_made_in_linear_time() {
    for &(name, length, _, program) in NATIVE {
        let (short, long) = (program(length), program(4 * length));
        let (mut least, mut most) = (Duration::MAX, Duration::MAX);
        let linear = (0..4).any(|_| {
            least = least.min(native_time(&short));
            most = most.min(native_time(&long));
            most.as_secs_f64() <= MAX_RATIO * least.as_secs_f64()
        });
        assert!(linear, "{name}: {least:?} at {length}, {most:?} at four times that");
    }
}
