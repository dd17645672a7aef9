//! Listings of machine code, as the emitter recorded it; `ARUMINIUM_SOFT_JIT_DUMP` prints them.

use std::fmt;
use std::sync::OnceLock;

use super::allocate::Place;
use super::lir::Code;
use super::select::Strip;
use super::target::{Emitted, Target, emit};
use crate::soft::ir::Function;
use crate::soft::variables;

/// Whether the code of a kernel is to be printed.
pub(crate) fn is_wanted(kernel: &str) -> bool {
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| variables::JIT_DUMP.given());
    wanted.as_ref().is_some_and(|names| {
        names.split(',').map(str::trim).any(|name| name == "all" || name == kernel)
    })
}

/// Prints the IR that machine code is made from.
pub(crate) fn print_ir(function: &Function) {
    if is_wanted(&function.name) {
        eprintln!("IR of {function}");
    }
}

/// The code of a run for one kind of strip: for each operation its offset, its bytes, and its registers' names.
pub(crate) struct Listing<'a> {
    pub(crate) kernel: &'a str,
    pub(crate) strip: Strip,
    pub(crate) code: &'a Code,
    pub(crate) emitted: &'a Emitted,
    pub(crate) target: Target,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, strip, code, emitted, target } = self;
        let Strip { lanes, parts, rows, .. } = strip;
        let kind = if *rows { "in rows" } else { "anywhere" };
        writeln!(out, "machine code of {kernel}: {parts} vectors of {lanes} lanes, {kind}")?;
        let starts = &emitted.starts;
        let (first, last) =
            (starts.first().copied().unwrap_or(0), starts.last().copied().unwrap_or(0));
        bytes(out, 0, &emitted.bytes[..first as usize], "entry")?;
        for (pair, ins) in starts.windows(2).zip(&code.code) {
            let text = named(&format!("{ins:?}"), code, &emitted.places, *target);
            bytes(out, pair[0], &emitted.bytes[pair[0] as usize..pair[1] as usize], &text)?;
        }
        bytes(out, last, &emitted.bytes[last as usize..], "exit, slow paths and constants")?;
        for (number, site) in code.sites.iter().enumerate() {
            let text = named(&format!("{:?}", site.what), code, &emitted.places, *target);
            writeln!(out, "  site {number}: {text}")?;
        }
        Ok(())
    }
}

/// A line for some bytes.
fn bytes(out: &mut fmt::Formatter<'_>, at: u32, bytes: &[u8], text: &str) -> fmt::Result {
    writeln!(out, "  {at:5x}  {text}")?;
    emit::lines(bytes).iter().try_for_each(|line| writeln!(out, "        {line}"))
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
