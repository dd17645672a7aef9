//! A profile as annotated source for a terminal.

use std::fmt::{self, Display, Formatter};

use super::lines::{Line, SPACES, Summary};
use super::{Extent, Memory, Pattern};

/// A number with a noun, which gets an `s` unless it is one.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

impl Display for Extent {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}, {}, {}, {}; at most {} and {} of threadgroup memory in a threadgroup, {} of which fit at a time",
            counted(self.launches, "launch").replace("launchs", "launches"),
            counted(self.threadgroups, "threadgroup"),
            counted(self.simdgroups, "SIMD-group"),
            counted(self.threads, "thread"),
            counted(self.group_threads.into(), "thread"),
            counted(self.group_memory.into(), "byte"),
            self.fitting(),
        )
    }
}

/// The work of a line besides running: a sentence for each kind of memory, for barriers and for atomics.
pub(super) fn notes(line: &Line) -> Vec<String> {
    let mut notes: Vec<String> = line
        .memory
        .iter()
        .zip(SPACES)
        .filter(|(memory, _)| memory.number() > 0)
        .map(|(memory, space)| format!("{}: {}", space.name(), accesses(memory)))
        .collect();
    if line.barriers > 0 {
        notes.push(counted(line.barriers, "barrier"));
    }
    if line.atomics > 0 {
        let atomics = counted(line.atomics, "atomic operation");
        notes.push(format!("{atomics}, {} contended", line.contended));
    }
    notes
}

fn accesses(memory: &Memory) -> String {
    let mut parts = Vec::new();
    for (pattern, of) in Pattern::ALL.into_iter().zip(&memory.accesses) {
        if of.number > 0 {
            let bytes = counted(of.bytes, "byte");
            let lines = match of.cache_lines {
                0 => String::new(),
                lines => format!(", {}", counted(lines, "cache line")),
            };
            let stride = match (pattern, memory.stride) {
                (Pattern::Strided, Some((least, most))) if least == most => {
                    format!(" {least} apart")
                }
                (Pattern::Strided, Some((least, most))) => format!(" {least} to {most} apart"),
                _ => String::new(),
            };
            parts.push(format!("{} {}{stride} ({bytes}{lines})", of.number, pattern.name()));
        }
    }
    if memory.conflicts > 0 {
        parts.push(counted(memory.conflicts, "bank conflict"));
    }
    parts.join(", ")
}

impl Display for Summary {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "kernel '{}': {}", self.kernel, self.extent)?;
        for hint in &self.hints {
            writeln!(out, "hint: {hint}")?;
        }
        let total = self.operations().max(1);
        for (file, lines) in self.shown() {
            writeln!(out, "    runs  lanes  heat  {file}")?;
            for line in lines {
                let Some(shown) = line else {
                    writeln!(out, "                      ...")?;
                    continue;
                };
                match shown.line {
                    Some(line) => {
                        let heat = (100 * line.operations + total / 2) / total;
                        write!(out, "{:8}  {:5.1}  {heat:3}%", line.runs, line.average_lanes())?;
                    }
                    None => write!(out, "{:21}", "")?,
                }
                writeln!(out, "  {:4}  {}", shown.number, shown.text.trim_end())?;
                let Some(line) = shown.line else { continue };
                for note in notes(line) {
                    writeln!(out, "{:29}| {note}", "")?;
                }
                for hint in &line.hints {
                    writeln!(out, "{:29}| hint: {hint}", "")?;
                }
            }
        }
        Ok(())
    }
}
