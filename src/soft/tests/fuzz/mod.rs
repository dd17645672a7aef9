//! Fuzzing: no input may make the compiler panic, hang, exhaust memory, or produce invalid IR.
//!
//! Inputs are random bytes, random sentences of the grammar, and the corpus truncated, mutated by bytes and
//! by tokens, spliced and repeated. `.ci/fuzz` runs a million.
//! `ARUMINIUM_TEST_SCALE=full` runs a hundred times as many, `ARUMINIUM_FUZZ_CORPUS=folder` adds the
//! `.metal` files below a folder, such as those that `tests/kernels` writes, and
//! `ARUMINIUM_TEST_SEED` sets the first seed.

mod sentences;

use crate::soft::cpu::Program;
use crate::soft::ir;
use crate::soft::msl::{self, CompileError, ConstantValues, Options};
use crate::test_random::Random;
use crate::test_scale::scaled;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The time limit of an input; generous, for busy and emulated machines.
const PATIENCE: Duration = Duration::from_secs(300);
/// The memory limit of an input: growth of the process, including tests that run concurrently.
const GROWTH: usize = 2 << 30;
/// The most kernels compiled per library, so that a library with hundreds does not take minutes.
const KERNELS: usize = 6;

/// The files from which inputs are derived.
fn corpus() -> &'static [String] {
    static CORPUS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    CORPUS.get_or_init(|| {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/msl");
        let added = std::env::var_os("ARUMINIUM_FUZZ_CORPUS").map(PathBuf::from);
        let mut paths = Vec::new();
        for folder in std::iter::once(own).chain(added) {
            find(&folder, &mut paths);
        }
        paths.sort();
        paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    })
}

fn find(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, out);
        } else if path.extension().is_some_and(|found| found == "metal") {
            out.push(path);
        }
    }
}

/// Runs all phases of the compiler. Errors are allowed; internal errors and invalid IR are failures.
fn compile(text: &str) -> Result<(), String> {
    let library = match msl::compile(text, &Options::default()) {
        Ok(library) => library,
        Err(error) => return expected(error),
    };
    for entry in library.entries.iter().take(KERNELS) {
        let module = match library.kernel(&entry.name, &ConstantValues::default()) {
            Ok((module, _)) => module,
            Err(error) => {
                expected(error)?;
                continue;
            }
        };
        let invalid = |invalid| format!("invalid IR of {}: {invalid}\n{module}", entry.name);
        ir::verify(&module).map_err(invalid)?;
        // An error here is an exceeded limit: memory or instructions.
        let program = ir::catch_internal_error(|| {
            let _ = Program::new(&module).is_ok_and(|program| program.makes_native());
        });
        program.map_err(|error| error.to_string()).map(drop)?;
    }
    Ok(())
}

/// Checks that an error is not an internal one.
fn expected(error: CompileError) -> Result<(), String> {
    match error.0.contains("internal compiler error") {
        true => Err(error.0),
        false => Ok(()),
    }
}

/// Fails and prints the input if it breaks a rule.
#[track_caller]
fn survives(text: String) {
    let before = peak_memory();
    let (sender, receiver) = channel();
    let input = text.clone();
    let thread = std::thread::spawn(move || {
        let _ = sender.send(compile(&input));
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error}\n{text}"),
        Err(RecvTimeoutError::Timeout) => panic!("the time limit was exceeded by\n{text}"),
        // The thread panicked.
        Err(RecvTimeoutError::Disconnected) => panic!("the compiler panicked on\n{text}"),
    }
    thread.join().unwrap();
    // The operating system's count is approximate and may decrease.
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes more for\n{text}");
}

/// The peak memory of this process, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Runs `n` inputs.
#[track_caller]
fn try_inputs(name: u64, count: usize, make: impl Fn(&mut Random) -> String) {
    let seed = std::env::var("ARUMINIUM_TEST_SEED").ok().and_then(|s| s.parse().ok());
    let mut random = Random::new(seed.unwrap_or(0) ^ name);
    let count = scaled(count);
    for _ in 0..count {
        survives(make(&mut random));
    }
    // `.ci/fuzz` adds these up.
    println!("{count} inputs");
}

fn any(random: &mut Random) -> &'static str {
    let corpus = corpus();
    &corpus[random.below(corpus.len())]
}

/// Splits a text into words, numbers, spaces and single punctuation marks.
fn pieces(text: &str) -> Vec<&str> {
    let class = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            1
        } else if c.is_whitespace() {
            2
        } else {
            0
        }
    };
    let mut out = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices().skip(1) {
        let before = text[start..].chars().next().unwrap_or(' ');
        if class(c) != class(before) || class(c) == 0 {
            out.push(&text[start..at]);
            start = at;
        }
    }
    out.push(&text[start..]);
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn random_bytes_survive() {
    try_inputs(1, 200, |random| {
        let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.below(256) as u8).collect();
        text(&bytes)
    });
}

#[test]
fn truncations_survive() {
    try_inputs(2, 400, |random| {
        let whole = any(random).as_bytes();
        text(&whole[..random.below(whole.len())])
    });
}

#[test]
fn changed_bytes_survive() {
    try_inputs(3, 400, |random| {
        let mut bytes = any(random).as_bytes().to_vec();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] ^= 1 << random.below(8),
                2 => bytes.insert(at, random.below(256) as u8),
                _ => bytes[at] = random.pick(b"(){}[]<>;,:\"'#\\/*\n0.eE&|+-=~!?@_"),
            }
        }
        text(&bytes)
    });
}

#[test]
fn changed_words_survive() {
    try_inputs(4, 600, |random| {
        let mut words = pieces(any(random));
        for _ in 0..1 + random.below(3) {
            let donor = pieces(any(random));
            let (at, other) = (random.below(words.len()), random.below(words.len()));
            let word = random.pick(&donor);
            match random.below(4) {
                0 => drop(words.remove(at)),
                1 => words[at] = word,
                2 => words.insert(at, word),
                _ => words.swap(at, other),
            }
        }
        words.concat()
    });
}

#[test]
fn splices_survive() {
    try_inputs(5, 300, |random| {
        let (first, second) = (pieces(any(random)), pieces(any(random)));
        let (end, start) = (random.below(first.len()), random.below(second.len()));
        first[..end].concat() + &second[start..].concat()
    });
}

#[test]
fn repetitions_survive() {
    try_inputs(6, 100, |random| {
        let words = pieces(any(random));
        let at = random.below(words.len());
        let end = (at + 1 + random.below(6)).min(words.len());
        let times = random.pick(&[2, 40, 300, 2000]);
        words[..at].concat() + &words[at..end].concat().repeat(times) + &words[end..].concat()
    });
}

/// One token or a few, as often as a file has room for them.
#[test]
fn long_repetitions_survive() {
    const UNITS: &[&str] = &[
        "_Pragma ",
        "_Pragma(",
        "_Pragma(\"unroll\") ",
        "(",
        "[",
        "{",
        "<",
        "int(",
        "(*",
        "*",
        "&",
        "! ",
        "- ",
        "f(",
        "W<",
        "sizeof ",
        "#if 1\n",
        "#define M M(\n",
        "M(",
        "__VA_OPT__(",
        "defined ",
        "template <",
        "struct S { ",
        "if (1) ",
        "else ",
        "do ",
        "x ? ",
        "x = ",
        "x, ",
        "a.",
        "a->",
        "::",
        "1 + ",
        "case 1: ",
        "[[",
        "decltype(",
        "const ",
        "alignas(",
        "operator ",
        "@",
        "\\\n",
    ];
    try_inputs(8, 20, |random| {
        let (open, close) = (random.pick(UNITS), random.pick(UNITS));
        let count = random.pick(&[10_000, 200_000, 1 << 20]);
        let start = random.pick(&[
            "",
            "#define f(x) x x\n",
            "kernel void k() { int x = ",
            "using T = ",
            "#if ",
        ]);
        format!("{start}{}{}", open.repeat(count), close.repeat(random.pick(&[0, count])))
    });
}

/// Declarations that are each made of the one before.
#[test]
fn chains_survive() {
    try_inputs(9, 60, sentences::chain);
}

#[test]
fn sentences_survive() {
    try_inputs(7, 1000, sentences::program);
}
