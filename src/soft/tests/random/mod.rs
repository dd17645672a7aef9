//! Random MSL programs, compiled and run on every instruction set, compared with an evaluation of the
//! generator's own tree.
//!
//! `ARUMINIUM_TEST_SCALE=full` makes the run a hundred times as long, `ARUMINIUM_TEST_SEED` sets the
//! first seed. A failing program is shrunk before it is printed; add its seed to [`FAILED`].

mod evaluate;
mod generate;
mod numbers;
mod print;
mod program;
mod shrink;

use crate::soft::cpu::Way;
use crate::soft::cpu::by_index::{Binding, Launch};
use crate::soft::ir::Scalar;
use crate::soft::kernel::Executable;
use crate::soft::msl::{self, ConstantValues, Options};
use crate::soft::tests::machine::{self, Machine};
use crate::test_scale::scaled;
use evaluate::{COUNTER_START, Outcome, evaluate};
use program::{COUNTERS, Program, WORDS};

/// Seeds of programs that failed before.
const FAILED: &[u64] = &[
    // A conversion that changes no bits was an alias of its variable.
    1907, 2470,
    // On a GPU, lanes that left a loop were missing in the mask of active lanes.
    56, 400, 457, 802, 823, 1211, 1216,
];

/// The failure of a program.
#[derive(Debug)]
struct Failure {
    kind: &'static str,
    words: String,
}

impl Failure {
    fn new(kind: &'static str, words: impl ToString) -> Self {
        Self { kind, words: words.to_string() }
    }

    /// Whether another program fails in the same way: for reports, with the same first message.
    fn is_like(&self, other: &Failure) -> bool {
        fn reason(report: &str) -> &str {
            let line = report.lines().next().unwrap_or_default();
            line.split_once("error: ").map_or(line, |(_, message)| message)
        }
        self.kind == other.kind
            && (self.kind != "does not compile" || reason(&self.words) == reason(&other.words))
    }
}

/// Compiles a program, runs it on each instruction set, and compares the results with the evaluation.
fn check(program: &Program) -> Result<(), Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::new("does not compile", error);
    let text = print::print(program);
    let library = msl::compile(&text, &Options::default()).map_err(|error| refused(&error))?;
    let (module, _) =
        library.kernel("k", &ConstantValues::default()).map_err(|error| refused(&error))?;
    let expected = evaluate(program);
    let calls = Machine::Cpu(Way::CALLS);
    for way in Machine::all().into_iter().chain([calls]) {
        let code = way.executable(&module).map_err(|error| refused(&error))?;
        let found = launch(program, &*code)
            .map_err(|fault| Failure::new("faults", format!("{}: {fault}", way.name())))?;
        if found != expected {
            let words = format!("{}: {}", way.name(), differ(&found, &expected));
            return Err(Failure::new("the results differ", words));
        }
    }
    Ok(())
}

/// The same, with panics as failures: of the compiler, or, for a program
/// that is being shrunk, of the evaluation.
fn check_calmly(program: &Program) -> Result<(), Failure> {
    std::panic::catch_unwind(|| check(program))
        .unwrap_or_else(|_| Err(Failure::new("panics", "see above")))
}

fn launch(program: &Program, code: &dyn Executable) -> Result<Outcome, String> {
    let mut out = vec![0u64; program.threads * WORDS];
    let mut counters = vec![COUNTER_START; COUNTERS];
    let mut inputs: Vec<Vec<u8>> =
        program.buffers.iter().map(|(scalar, values)| memory(*scalar, values)).collect();
    let mut bindings = vec![
        Binding { index: 0, base: out.as_mut_ptr().cast(), bytes: out.len() as u64 * 8 },
        Binding { index: 1, base: counters.as_mut_ptr().cast(), bytes: COUNTERS as u64 * 4 },
    ];
    bindings.extend((2..).zip(&mut inputs).map(|(index, input)| Binding {
        index,
        base: input.as_mut_ptr(),
        bytes: input.len() as u64,
    }));
    let launch =
        Launch::of([program.threads as u32, 1, 1], [program.group as u32, 1, 1], &bindings);
    // SAFETY: the bindings are the vectors above, which outlive the launch and nothing else uses.
    unsafe { machine::launch(code, &launch) }?;
    Ok(Outcome { out, counters })
}

/// Values as the bytes of a buffer.
fn memory(scalar: Scalar, values: &[u64]) -> Vec<u8> {
    let bytes = |&bits: &u64| {
        let value = f32::from_bits(bits as u32);
        let raw = match scalar {
            Scalar::F16 | Scalar::BF16 => numbers::narrow_bits(scalar, value).into(),
            _ => bits,
        };
        raw.to_le_bytes()[..scalar.bytes() as usize].to_vec()
    };
    values.iter().flat_map(bytes).collect()
}

fn differ(found: &Outcome, expected: &Outcome) -> String {
    let words = found.out.iter().zip(&expected.out).position(|(a, b)| a != b);
    match words {
        Some(at) => format!(
            "thread {}, word {}: {:#x} instead of {:#x}",
            at / WORDS,
            at % WORDS,
            found.out[at],
            expected.out[at]
        ),
        None => format!("counters {:x?} instead of {:x?}", found.counters, expected.counters),
    }
}

/// Fails with the smallest program that still fails in the same way.
#[track_caller]
fn try_seed(seed: u64) {
    let program = generate::generate(seed);
    let Err(first) = check_calmly(&program) else { return };
    println!("seed {seed} {}: {}", first.kind, first.words);
    let same = |candidate: &Program| check_calmly(candidate).is_err_and(|it| it.is_like(&first));
    let small = shrink::shrink(program, same);
    let found = check_calmly(&small).err().unwrap_or(first);
    panic!("seed {seed} {}: {}\n{}", found.kind, found.words, print::print(&small));
}

/// Runs `n` programs, of every second seed: two tests run in parallel.
fn run(remainder: u64) {
    let first: u64 =
        std::env::var("ARUMINIUM_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    for seed in first..first + scaled(100) as u64 {
        try_seed(2 * seed + remainder);
    }
}

#[test]
fn random_programs_of_even_seeds_match_their_evaluation() {
    run(0);
}

#[test]
fn random_programs_of_odd_seeds_match_their_evaluation() {
    run(1);
}

#[test]
fn random_programs_that_failed_match_their_evaluation() {
    FAILED.iter().for_each(|&seed| try_seed(seed));
}
