//! The environment variables, in one table: their names, values, defaults and meaning.
//!
//! The first read of any of them checks all: an unknown `ARUMINIUM_…` and a value that is not in the table are
//! reported on standard error, once, and ignored, except that a
//! wrong `ARUMINIUM_SOFT_SANITIZE` hides the device. The table for users in `specs/soft-metal.md` is written from this one.

use std::env;
use std::io::Write;
use std::sync::Once;

/// The values that a variable may have.
#[derive(Clone, Copy)]
pub(crate) enum Values {
    Words(&'static [&'static str]),
    /// A whole number, not less than the first and not more than the second.
    Number(usize, usize),
    /// Words, and `name=number`, several of them with commas between; of each pair of words, the first means nothing without
    /// the second.
    List(&'static [&'static str], &'static [&'static str], &'static [(&'static str, &'static str)]),
    Any,
}

/// One environment variable.
pub(crate) struct Variable {
    name: &'static str,
    values: Values,
    /// The value that stands for an absent one, or a description of the default.
    default: &'static str,
    /// For `specs/soft-metal.md`, which a test compares.
    #[cfg(test)]
    meaning: &'static str,
}

/// The variables that the library reads, each with a name in Rust, and those that only other programs read.
macro_rules! variables {
    (
        read {$(
            $(#[$attribute:meta])* $id:ident: $name:literal, $values:expr, $default:literal, $meaning:literal;
        )+}
        known {$($known:literal, $of:expr, $unset:literal, $about:literal;)+}
    ) => {
        $(
            $(#[$attribute])*
            pub(crate) static $id: Variable = variables!(@ $name, $values, $default, $meaning);
        )+
        /// How many of the variables the library reads: the first ones.
        const READ: usize = [$($name),+].len();
        static VARIABLES: &[&Variable] =
            &[$(&$id,)+ $(&variables!(@ $known, $of, $unset, $about)),+];
    };
    (@ $name:literal, $values:expr, $default:literal, $meaning:literal) => {
        Variable {
            name: $name,
            values: $values,
            default: $default,
            #[cfg(test)]
            meaning: $meaning,
        }
    };
}

use Values::{Any, List, Number, Words};

variables! {
    read {
        DEVICE: "ARUMINIUM_SOFT_DEVICE", Words(&["cpu", "cuda", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4", "cuda:5", "cuda:6",
            "cuda:7", "none"]), "cpu",
            "the default device: the CPU, or an NVIDIA GPU by its number (`cuda` is the first); `none` hides all devices, \
             and is read at each call";
        WORKERS: "ARUMINIUM_SOFT_WORKERS", Number(1, 256), "one thread per core",
            "how many threads run kernels";
        WATCHDOG: "ARUMINIUM_SOFT_WATCHDOG_MS", Number(0, usize::MAX), "60000",
            "milliseconds after which a launch is stopped if none of its threadgroups has finished, and a wait for an event if \
             nothing has run on the device; 0 is no limit";
        CHECKS: "ARUMINIUM_SOFT_CHECKS", Words(&["on", "off"]), "on",
            "`off` ignores messages that are wrong, as Metal without its validation layer does, and kernels on an NVIDIA GPU do \
             not check their accesses";
        STRICT: "ARUMINIUM_SOFT_STRICT", Words(&["on", "off"]), "off",
            "`on` makes errors of two things that published kernels do against the language's rules and GPUs allow: a \
             `threadgroup_barrier` that not all threads reach (otherwise the SIMD-groups that do reach it meet, and threads \
             that have ended are not waited for), and a read of up to 16 bytes past the end of threadgroup memory (otherwise \
             the value is unspecified)";
        SANITIZE: "ARUMINIUM_SOFT_SANITIZE", List(&["races", "benign", "undefined", "init"], &["order"], &[("benign", "races")]), "unset",
            "checks that cost time, several of them with commas between. `races` reports accesses of different threads that \
             nothing orders, `benign` (with `races`) those too that GPUs tolerate, `undefined` arithmetic without a defined result, and `init` the use of what nothing wrote \
             ([sanitizer.md](sanitizer.md)). With `order=SEED` launches of a concurrent encoder that no barrier orders run in an order \
             drawn from the seed, another one for each group of launches (otherwise the last runs first), and so do the threadgroups of a \
             launch, the SIMD-groups of a threadgroup and the lanes of a SIMD-group in atomics and in stores to one address, interpreted and on \
             one thread; what a SIMD-group wrote to threadgroup memory is visible to others only after a barrier whose flags name that \
             memory; the same program with one queue runs in the same order each time. With any other name there is no device, so that a \
             mistake does not pass for a program without faults";
        PROFILE: "ARUMINIUM_SOFT_PROFILE", Any, "unset",
            "the file to which the profiles of all kernels are written when the process ends: what each line did, as a page if the name \
             ends in `.html`, as a picture if it ends in `.svg`, as JSON if it ends in `.json`, as annotated source otherwise; `-` is standard error ([profile.md](profile.md))";
        FAMILY: "ARUMINIUM_SOFT_FAMILY", Words(&["apple4", "apple5", "apple6", "apple7", "apple8", "apple9"]), "unset",
            "the family of GPUs that the device belongs to: a kernel that needs what GPUs of the family lack is an error \
             (unset: the device is of the family Apple 7, and every kernel runs)";
        LANGUAGE: "ARUMINIUM_SOFT_MSL", Words(&["2.3", "2.4", "3.0", "3.1", "3.2", "4.0"]), "unset",
            "the newest version of the language that the compiler knows: a source that uses names of a later one is an \
             error (unset: all names are known, and `__METAL_VERSION__` is 310 unless the compile options say otherwise)";
        ISA: "ARUMINIUM_ISA", Words(&["baseline", "avx2", "avx512"]), "the best that the processor has",
            "the instruction set of machine code; on x86_64 `baseline` has none, and `avx2` and `avx512` exist there only";
        JIT: "ARUMINIUM_SOFT_JIT", Words(&["on", "off", "always"]), "on",
            "`on` makes machine code of kernels that work for about half a millisecond, `always` of every kernel, `off` \
             of none; so does a system without executable memory";
        JIT_DUMP: "ARUMINIUM_SOFT_JIT_DUMP", Any, "unset",
            "prints the IR and the machine code of the kernels whose names it lists, separated by commas, on standard error \
             when machine code is made; `all` is every kernel";
    }
    known {
        "ARUMINIUM_LAUNCHER_LIBRARY", Any, "unset",
            "set by the launcher for the compiler wrapper of `aruminium run`: the folder of the library to link";
        "ARUMINIUM_LAUNCHER", Any, "unset",
            "set by the launcher: its own path, as it was put in the place of the compiler wrapper";
        "ARUMINIUM_LAUNCHER_NEXT", Any, "unset",
            "set by the launcher: the compiler wrapper that the user had set, which the launcher's own calls";
        "ARUMINIUM_TEST_SCALE", Words(&["small", "many", "full"]), "unset",
            "for this repository's tests: `small` makes long loops short, `many` and `full` make random tests longer";
        "ARUMINIUM_TEST_SEED", Number(0, usize::MAX), "0",
            "for this repository's tests: where random tests begin";
        "ARUMINIUM_TEST_RUNNER", Any, "unset",
            "for this repository's tests: the emulator that starts their child processes";
        "ARUMINIUM_TEST_PTXAS", Any, "unset",
            "for this repository's tests: the path of NVIDIA's assembler, which then has to accept the text of kernels";
        "ARUMINIUM_TEST_PTX_SOURCES", Any, "unset",
            "for this repository's tests: a folder of sources, a sample of whose kernels it has to accept, too";
        "ARUMINIUM_TEST_PART", Any, "unset",
            "for this repository's tests: the part of those kernels that is tried, as `3/16`";
        "ARUMINIUM_TEST_CHILD", Any, "unset",
            "for this repository's tests: set by a test that starts its own program again";
        "ARUMINIUM_FUZZ_CORPUS", Any, "unset",
            "for this repository's tests: a folder of sources for the fuzzers to change";
        "ARUMINIUM_UPDATE", Any, "unset",
            "for this repository's tests: write the recorded texts instead of comparing them";
        "ARUMINIUM_BENCH_OPENCL", Any, "unset",
            "for this repository's benchmarks: measure OpenCL beside `kernels`";
    }
}

impl Variable {
    /// The value, if there is one that the variable may have.
    pub(crate) fn given(&self) -> Option<String> {
        static CHECKED: Once = Once::new();
        CHECKED.call_once(|| {
            for line in complaints(env::vars_os().map(|(name, value)| {
                (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
            })) {
                report(&line);
            }
        });
        self.accept(&env::var(self.name).ok()?)
    }

    /// Whether there is a value that the variable may not have. It is reported by the first read of any variable.
    pub(crate) fn is_wrong(&self) -> bool {
        env::var_os(self.name).is_some() && self.given().is_none()
    }

    /// The value without surrounding space, if the variable may have it.
    fn accept(&self, value: &str) -> Option<String> {
        let value = value.trim();
        let valid = match self.values {
            Words(words) => words.contains(&value),
            Number(least, most) => {
                value.parse().is_ok_and(|number| (least..=most).contains(&number))
            }
            List(words, names, pairs) => {
                let has = |word: &str| value.split(',').any(|part| part.trim() == word);
                pairs.iter().all(|&(one, other)| has(other) || !has(one))
                    && value.split(',').all(|part| {
                        words.contains(&part.trim()) || assignment(part, names).is_some()
                    })
            }
            Any => true,
        };
        valid.then(|| value.to_owned())
    }

    /// The value or the default.
    pub(crate) fn word(&self) -> String {
        self.given().unwrap_or_else(|| self.default.to_owned())
    }

    /// The number or the default, `None` if the default is not a number.
    pub(crate) fn number(&self) -> Option<usize> {
        self.word().parse().ok()
    }

    /// The number that a value of the form `name=number` has for a name.
    pub(crate) fn numbered(&self, name: &str) -> Option<u64> {
        let given = self.given()?;
        given.split(',').find_map(|part| assignment(part, &[name]))
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Vec<String> {
        let given = self.given().unwrap_or_default();
        given.split(',').map(|item| item.trim().to_owned()).collect()
    }

    /// The values, in words.
    fn expected(&self) -> String {
        match self.values {
            Words(words) => words.join(" or "),
            Number(least, usize::MAX) => format!("a whole number from {least}"),
            Number(least, most) => format!("a whole number from {least} to {most}"),
            List(words, names, pairs) => {
                let names = names.iter().map(|name| format!("{name}=NUMBER"));
                let all = words.iter().map(|&word| word.to_owned()).chain(names);
                let pairs = pairs.iter().map(|(one, other)| format!(", {one} with {other} only"));
                let pairs: String = pairs.collect();
                format!("a list of {}{pairs}", all.collect::<Vec<_>>().join(","))
            }
            Any => "anything".to_owned(),
        }
    }
}

/// The number in `name=number`, if the name is one of these.
fn assignment(text: &str, names: &[&str]) -> Option<u64> {
    let (name, number) = text.split_once('=')?;
    names.contains(&name.trim()).then(|| number.trim().parse().ok())?
}

/// The variables in force: the name, the value, and where the value comes from, which is `default`, `set`, `wrong` or
/// `unknown`. Those of the last two kinds are ignored.
pub(crate) fn in_force() -> Vec<(String, String, &'static str)> {
    let value = |name: &str| Some(env::var_os(name)?.to_string_lossy().into_owned());
    let known = VARIABLES.iter().enumerate().filter_map(|(nth, variable)| {
        let (value, origin) = match value(variable.name) {
            Some(value) if variable.accept(&value).is_some() => (value, "set"),
            Some(value) => (value, "wrong"),
            None if nth < READ => (variable.default.to_owned(), "default"),
            None => return None,
        };
        Some((variable.name.to_owned(), value, origin))
    });
    let names = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let is_unknown = |name: &String| {
        name.starts_with("ARUMINIUM_") && VARIABLES.iter().all(|variable| variable.name != name)
    };
    let mut unknown: Vec<String> = names.filter(is_unknown).collect();
    unknown.sort();
    let unknown = unknown.into_iter().map(|name| (value(&name).unwrap_or_default(), name));
    known.chain(unknown.map(|(value, name)| (name, value, "unknown"))).collect()
}

/// Writes a line to standard error.
pub(crate) fn report(line: &str) {
    // Not `eprintln`, which panics if standard error is closed.
    let _ = writeln!(std::io::stderr(), "aruminium: {line}");
}

/// Writes a text of several lines to standard error, as `report` does.
pub(crate) fn print(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A line for each variable of the environment that is misspelt or has a wrong value.
fn complaints(environment: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let ours = environment.filter(|(name, _)| name.starts_with("ARUMINIUM_"));
    let mut lines: Vec<String> = ours
        .filter_map(|(name, value)| match VARIABLES.iter().find(|variable| variable.name == name) {
            Some(variable) if variable.accept(&value).is_some() => None,
            Some(variable) => {
                let (expected, default) = (variable.expected(), variable.default);
                let effect = match variable.name == SANITIZE.name {
                    true => "is an error, and there is no device",
                    false => "is ignored",
                };
                Some(format!(
                    "{name}={value} {effect}: the value is {expected} (default: {default})"
                ))
            }
            None => {
                let nearest =
                    VARIABLES.iter().min_by_key(|variable| distance(variable.name, &name));
                let near = nearest.filter(|variable| distance(variable.name, &name) <= 4);
                let advice = near.map_or_else(
                    || "specs/soft-metal.md lists the variables".to_owned(),
                    |variable| format!("did you mean {}?", variable.name),
                );
                Some(format!("the environment variable {name} is unknown and ignored: {advice}"))
            }
        })
        .collect();
    // The order of the environment is arbitrary.
    lines.sort();
    lines
}

/// How many characters must be inserted, removed or replaced to make one text of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::{is_child, run_child};
    use std::path::Path;

    #[test]
    fn values_are_checked() {
        assert_eq!(WORKERS.accept(" 3 ").as_deref(), Some("3"));
        for wrong in ["0", "257", "-1", "many", ""] {
            assert_eq!(WORKERS.accept(wrong), None, "{wrong}");
        }
        assert_eq!(WATCHDOG.accept("0").as_deref(), Some("0"));
        assert_eq!(CHECKS.accept("off").as_deref(), Some("off"));
        assert_eq!(CHECKS.accept("OFF"), None);
        assert_eq!(SANITIZE.accept("order=7").as_deref(), Some("order=7"));
        assert_eq!(assignment(" order = 7 ", &["order"]), Some(7));
        assert_eq!(SANITIZE.accept("races, order=7").as_deref(), Some("races, order=7"));
        assert_eq!(SANITIZE.accept("benign,races").as_deref(), Some("benign,races"));
        for wrong in [
            "benign",
            "benign,init",
            "order",
            "order=",
            "order=-1",
            "odor=7",
            "order=7,",
            "races=1",
            "racer",
            "",
        ] {
            assert_eq!(SANITIZE.accept(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn complaints_name_the_mistake_and_the_remedy() {
        let environment = [
            ("ARUMINIUM_SOFT_WORKER", "3"),
            ("ARUMINIUM_SOFT_WORKERS", "many"),
            ("ARUMINIUM_SOFT_CHECKS", "no"),
            ("ARUMINIUM_SOFT_SANITIZE", "races,undefinde"),
            ("ARUMINIUM_SOFT_STRICT", "on"),
            ("ARUMINIUM_TRACTOR_BEAM", "1"),
            ("PATH", "/bin"),
        ];
        let lines =
            complaints(environment.map(|(name, value)| (name.into(), value.into())).into_iter());
        assert_eq!(
            lines,
            [
                "ARUMINIUM_SOFT_CHECKS=no is ignored: the value is on or off (default: on)",
                "ARUMINIUM_SOFT_SANITIZE=races,undefinde is an error, and there is no device: the value is a list of \
                 races,benign,undefined,init,order=NUMBER, benign with races only (default: unset)",
                "ARUMINIUM_SOFT_WORKERS=many is ignored: the value is a whole number from 1 to 256 (default: one \
                 thread per core)",
                "the environment variable ARUMINIUM_SOFT_WORKER is unknown and ignored: did you mean \
                 ARUMINIUM_SOFT_WORKERS?",
                "the environment variable ARUMINIUM_TRACTOR_BEAM is unknown and ignored: specs/soft-metal.md lists the \
                 variables",
            ]
        );
    }

    /// In a process of its own, which reads several variables several times.
    #[test]
    fn mistakes_are_reported_once() {
        if is_child() {
            for _ in 0..3 {
                assert_eq!(CHECKS.word(), "on");
                assert_eq!(WORKERS.number(), Some(3));
                assert_eq!(STRICT.word(), "off");
            }
            return;
        }
        let name =
            format!("{}::mistakes_are_reported_once", module_path!().split_once("::").unwrap().1);
        let variables = [
            ("ARUMINIUM_SOFT_CHECKS", "perhaps"),
            ("ARUMINIUM_SOFT_WORKERS", "3"),
            ("ARUMINIUM_SOFT_STRCT", "on"),
        ];
        let output = run_child(&name, &variables);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with("aruminium: ")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("ARUMINIUM_SOFT_CHECKS=perhaps is ignored"), "{text}");
        assert!(lines[1].contains("did you mean ARUMINIUM_SOFT_STRICT?"), "{text}");
    }

    /// The table of the page, between its two marks, is written from this one.
    #[test]
    fn the_page_has_the_table() {
        const BEGIN: &str = "<!-- variables: begin -->\n";
        const END: &str = "<!-- variables: end -->";
        let mut table = String::from(
            "\n| variable | values | default | meaning |\n| --- | --- | --- | --- |\n",
        );
        for variable in VARIABLES {
            let Variable { name, default, meaning, .. } = variable;
            let values = match variable.values {
                Words(words) => format!("`{}`", words.join("`, `")),
                _ => variable.expected(),
            };
            table += &format!("| `{name}` | {values} | {default} | {meaning} |\n");
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/soft-metal.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (found, after) = rest.split_once(END).unwrap();
        if found != format!("{table}\n") {
            assert!(
                env::var_os("CI").is_none(),
                "run `cargo test the_page_has_the_table` and commit specs/soft-metal.md"
            );
            std::fs::write(&path, format!("{before}{BEGIN}{table}\n{END}{after}")).unwrap();
        }
    }

    /// No source reads a variable that the table does not have.
    #[test]
    fn every_variable_of_the_sources_is_in_the_table() {
        fn read(folder: &Path, names: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                    read(&path, names);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let quoted = text.split('"').filter(|text| text.starts_with("ARUMINIUM_"));
                    let is_name =
                        |text: &&str| text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
                    names.extend(quoted.filter(is_name).map(str::to_owned));
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut names = Vec::new();
        for folder in ["src", "tests", "benches", "examples"] {
            read(&root.join(folder), &mut names);
        }
        assert!(names.len() > VARIABLES.len());
        for name in names {
            // The tests above misspell some.
            let misspelt = [
                "ARUMINIUM_SOFT_WORKER",
                "ARUMINIUM_SOFT_WORKRS",
                "ARUMINIUM_SOFT_STRCT",
                "ARUMINIUM_TRACTOR_BEAM",
                "ARUMINIUM_",
            ];
            let known = VARIABLES.iter().any(|variable| variable.name == name);
            assert!(
                known || misspelt.contains(&name.as_str()),
                "{name} is not in the table of src/soft/variables.rs"
            );
        }
    }
}
