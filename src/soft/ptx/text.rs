//! Text of PTX: registers, labels and lines.

use std::fmt::{self, Write};

use crate::soft::ir::{Scalar, Type};

/// The kinds of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A truth value.
    Predicate,
    /// 16 bits: the narrow floats, as they are in memory.
    Half,
    /// 32 bits: `f32`, and integers of up to 32 bits, widened.
    Word,
    /// 64 bits.
    Long,
}

/// Each kind with the letter of its registers and the type that declares them.
const KINDS: [(Kind, char, &str); 4] = [
    (Kind::Predicate, 'p', "pred"),
    (Kind::Half, 'h', "b16"),
    (Kind::Word, 'r', "b32"),
    (Kind::Long, 'd', "b64"),
];

impl Kind {
    /// The kind that holds a scalar.
    pub(super) const fn of(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Bool => Self::Predicate,
            Scalar::F16 | Scalar::BF16 => Self::Half,
            Scalar::I64 | Scalar::U64 => Self::Long,
            _ => Self::Word,
        }
    }

    /// The type of moves and selects.
    pub(super) const fn name(self) -> &'static str {
        KINDS[self as usize].2
    }
}

/// A virtual register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reg {
    pub(super) kind: Kind,
    number: u32,
}

impl fmt::Display for Reg {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "%{}{}", KINDS[self.kind as usize].1, self.number)
    }
}

/// A label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(u32);

impl fmt::Display for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "L{}", self.0)
    }
}

/// The code of a kernel while it is written: what runs once before the first statement, and the statements.
#[derive(Default)]
pub(super) struct Text {
    prologue: String,
    body: String,
    registers: [u32; KINDS.len()],
    labels: u32,
    /// Whether lines go to the prologue.
    early: bool,
}

/// Writes a line: `ptx!(text, "add.u32 {}, {a}, 1;", sum)`.
macro_rules! ptx {
    ($text:expr, $($format:tt)*) => { $text.line(format_args!($($format)*)) };
}
pub(super) use ptx;

impl Text {
    /// A new register.
    pub(super) fn reg(&mut self, kind: Kind) -> Reg {
        let count = &mut self.registers[kind as usize];
        *count += 1;
        Reg { kind, number: *count - 1 }
    }

    /// A new register for each component of a type.
    pub(super) fn regs(&mut self, ty: Type) -> Vec<Reg> {
        let kind = ty.scalar().map_or(Kind::Long, Kind::of);
        (0..ty.width()).map(|_| self.reg(kind)).collect()
    }

    /// A new label, not placed yet.
    pub(super) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// Places a label here.
    pub(super) fn place(&mut self, label: Label) {
        self.line(format_args!("{label}:"));
    }

    /// Writes a line.
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        let out = if self.early { &mut self.prologue } else { &mut self.body };
        // Writing to a string does not fail.
        let _ = writeln!(out, "\t{line}");
    }

    /// Writes what `write` writes to the prologue.
    pub(super) fn early<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.early, true);
        let result = write(self);
        self.early = before;
        result
    }

    /// Declarations of all registers, the prologue, the body.
    pub(super) fn finish(self) -> String {
        let mut out = String::new();
        for (kind, letter, name) in KINDS {
            let count = self.registers[kind as usize];
            if count != 0 {
                let _ = writeln!(out, "\t.reg .{name} %{letter}<{count}>;");
            }
        }
        out + &self.prologue + &self.body
    }
}
