//! Listings of machine code: address, bytes and text of each instruction, and what it is for.

use std::fmt::{self, Write};
use std::sync::OnceLock;

use super::allocate::Place;
use super::lir::{Body, Code, Origin};
use super::machine;
use super::region::Run;
use super::select::{Strip, select};
use super::target::{Emitted, Target, emit};
use crate::soft::ir::{Function, Line, Span, with_stack};
use crate::soft::variables;

/// Whether the code of a kernel is to be printed.
pub(crate) fn is_wanted(kernel: &str) -> bool {
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| variables::JIT_DUMP.given());
    wanted.as_ref().is_some_and(|names| {
        names.split(',').map(str::trim).any(|name| name == "all" || name == kernel)
    })
}

/// The code of a run, for each kind of strip. `line` describes a line of the source.
pub(crate) fn listing(run: &Run, line: &dyn Fn(Span) -> Option<String>) -> String {
    let mut text = String::new();
    let Some(target) = emit::target(run.source.isa) else { return text };
    let Some([long, any, short]) = run.strips() else { return text };
    // Short strips are in use where longer ones exist, and lanes do not exchange values.
    let short = (short != long && !run.across).then_some(short);
    let parted = run.stamped.then_some(Strip { part_rows: true, ..any });
    let line_strip = run.has_lines().then_some(Strip { line: true, ..long });
    for strip in [long, any].into_iter().chain(short).chain(parted).chain(line_strip) {
        let code = with_stack(|| select(run, strip));
        let function = &run.source.function;
        #[cfg(test)]
        crate::soft::ir::inject_internal_error("listing", &function.name);
        let _ = match machine::emitted(&code, target) {
            Some(emitted) => {
                write!(
                    text,
                    "{}",
                    Listing { function, strip, code: &code, emitted: &emitted, target, line }
                )
            }
            None => writeln!(
                text,
                "no code for {}: it needs too much memory",
                kind(function, strip, code.body)
            ),
        };
    }
    text
}

/// The kind of code: which threads it runs.
fn kind(function: &Function, strip: Strip, body: Option<Body>) -> String {
    let Strip { lanes, parts, rows, part_rows, line, .. } = strip;
    let what = match body {
        Some(Body::Rounds) => "all of, in rounds between barriers,",
        Some(Body::Phases) => "all of",
        None => "a part of",
    };
    let vectors = if parts == 1 { "1 vector".to_owned() } else { format!("{parts} vectors") };
    let row = match (rows, part_rows) {
        _ if line => ", of one row of whole SIMD-groups",
        (true, _) => ", neighbours in x",
        (false, true) => ", neighbours in x in each",
        (false, false) => ", at any positions",
    };
    format!(
        "{what} {}, {} threads at a time: {vectors} of {lanes}{row}",
        function.name,
        lanes * parts
    )
}

/// The code of a run for one kind of strip.
struct Listing<'a> {
    function: &'a Function,
    strip: Strip,
    code: &'a Code,
    emitted: &'a Emitted,
    target: Target,
    line: &'a dyn Fn(Span) -> Option<String>,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, strip, code, emitted, target, .. } = self;
        writeln!(out, "machine code of {}", kind(function, *strip, code.body))?;
        let starts = &emitted.starts;
        let (first, last) =
            (starts.first().copied().unwrap_or(0), starts.last().copied().unwrap_or(0));
        writeln!(out, "; entry")?;
        self.instructions(out, 0, first)?;
        let (mut origin, mut shown) = (None, None);
        for (at, (pair, ins)) in starts.windows(2).zip(&code.code).enumerate() {
            let of = code.origins[at];
            if origin.replace(of) != Some(of) {
                self.origin(out, of, &mut shown)?;
            }
            writeln!(out, ";     {}", named(&format!("{ins:?}"), code, &emitted.places, *target))?;
            self.instructions(out, pair[0], pair[1])?;
        }
        writeln!(out, "; exit and slow paths")?;
        self.instructions(out, last, emitted.code_bytes)?;
        for (number, site) in code.sites.iter().enumerate() {
            let text = named(&format!("{:?}", site.what), code, &emitted.places, *target);
            writeln!(out, ";   site {number}: {text}")?;
        }
        self.constants(out)
    }
}

impl Listing<'_> {
    /// The line of the source, if it is another than the last, and the operation of the IR.
    fn origin(
        &self,
        out: &mut fmt::Formatter<'_>,
        origin: Origin,
        shown: &mut Option<String>,
    ) -> fmt::Result {
        let function = self.function;
        let (span, text) = match origin {
            Origin::Ends => return writeln!(out, "; start or end of the run"),
            Origin::Do(value) => (function.inst(value).span, Line(function, value).to_string()),
            Origin::If(value) => (function.inst(value).span, format!("if {value}")),
            Origin::Loop(span) => (span, "loop".to_owned()),
        };
        let line = (self.line)(span);
        if line.is_some() && line != *shown {
            writeln!(out, "; {}", line.as_deref().unwrap_or_default())?;
            *shown = line;
        }
        writeln!(out, ";   {text}")
    }

    /// The instructions from one offset to another.
    fn instructions(&self, out: &mut fmt::Formatter<'_>, from: u32, to: u32) -> fmt::Result {
        let bytes = &self.emitted.bytes[..to as usize];
        let mut at = from as usize;
        while at < bytes.len() {
            let (length, text) =
                emit::instruction(bytes, at).unwrap_or_else(|| (1, "(unknown)".to_owned()));
            let shown: String =
                bytes[at..at + length].iter().map(|byte| format!("{byte:02x} ")).collect();
            writeln!(out, "{at:6x}:  {shown:33} {text}")?;
            at += length;
        }
        Ok(())
    }

    /// The bytes after the code: constants, 16 bytes in a line.
    fn constants(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, code) = (&self.emitted.bytes, self.emitted.code_bytes as usize);
        let start = code.next_multiple_of(emit::POOL_ALIGN);
        if start < bytes.len() {
            writeln!(out, "; constants")?;
        }
        for (row, bytes) in bytes.get(start..).unwrap_or_default().chunks(16).enumerate() {
            let shown: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
            writeln!(out, "{:6x}:  {}", start + row * 16, shown.trim_end())?;
        }
        Ok(())
    }
}

/// Puts the names of the machine's registers in place of the virtual registers' numbers.
fn named(text: &str, code: &Code, places: &[Place], target: Target) -> String {
    // A base that is a register is printed as `Reg(Reg(…))`.
    let text = text.replace("Reg(Reg(", "at (Reg(");
    let mut parts = text.split("Reg(");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((number, rest)) = part.split_once(')') else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        let info = code.regs[number];
        let name = match places[number] {
            Place::Register(at) => emit::register_name(info.class, at, target),
            Place::Spill(offset) => format!("[{}+{offset}]", emit::OWN),
            Place::Home => format!("{:?}", info.home),
            Place::None => "unused".to_owned(),
        };
        result += &format!("v{number}={name}{rest}");
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::cpu::IsaKind;
    use crate::soft::cpu::native::lir::{Class, Info, Ins, IntOp, MemBase, MemRef, Reg};

    #[test]
    fn operands_have_the_names_of_their_registers() {
        let of = |class| Info { class, carried: false, home: None };
        let code = Code {
            regs: vec![of(Class::Int), of(Class::Vector), of(Class::Mask), of(Class::Int)],
            ..Code::default()
        };
        let places =
            [Place::Register(3), Place::Register(17), Place::Register(2), Place::Spill(64)];
        let mem = MemRef { base: MemBase::Reg(Reg(0)), index: Some(Reg(3)), disp: 8 };
        let store = Ins::Store { bytes: 4, mem, s: Reg(1), mask: Reg(2) };
        for target in IsaKind::available().into_iter().filter_map(emit::target) {
            let name = |at: usize| match places[at] {
                Place::Register(number) => emit::register_name(code.regs[at].class, number, target),
                _ => format!("[{}+64]", emit::OWN),
            };
            let [base, value, mask, index] = [0, 1, 2, 3].map(name);
            let text = named(&format!("{store:?}"), &code, &places, target);
            let memory = format!("base: at (v0={base}), index: Some(v3={index})");
            assert!(text.contains(&memory), "{text}");
            assert!(text.contains(&format!("s: v1={value}, mask: v2={mask}")), "{text}");
            let sum = Ins::Int { op: IntOp::Add, wide: true, d: Reg(3), a: Reg(0), b: Reg(0) };
            let text = named(&format!("{sum:?}"), &code, &places, target);
            assert!(
                text.ends_with(&format!("d: v3={index}, a: v0={base}, b: v0={base} }}")),
                "{text}"
            );
        }
    }
}
