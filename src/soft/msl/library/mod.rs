//! The library's mathematical functions: MSL that is compiled to IR once per process and shared by all kernels
//! (`specs/library.md`).

use super::{Options, compile_here};
use crate::soft::ir::passes::{
    self, Pipeline, common, dead, flatten, fold, forward, inline, promote, scalarise,
};
use crate::soft::ir::{self, Checks, Function, Op, Routine, internal_error};
use crate::soft::sorted;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A file of the library; it is checked when a kernel first needs one of its functions.
struct File {
    name: &'static str,
    text: &'static str,
    checked: OnceLock<super::Library>,
}

impl File {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, checked: OnceLock::new() }
    }

    fn checked(&self) -> &super::Library {
        self.checked.get_or_init(|| {
            let common = include_str!("common.metal").to_owned();
            let options = Options {
                file_name: self.name.to_owned(),
                headers: HashMap::from([("common.metal".to_owned(), common)]),
                ..Options::default()
            };
            compile_here(self.text, &options)
                .unwrap_or_else(|error| internal_error(format!("in the library: {error}")))
        })
    }
}

macro_rules! file {
    ($name:literal) => {
        File::new($name, include_str!($name))
    };
}

static PARTS: File = file!("parts.metal");
static EXPONENTIAL: File = file!("exponential.metal");
static TRIGONOMETRIC: File = file!("trigonometric.metal");
static HYPERBOLIC: File = file!("hyperbolic.metal");

/// Where a function is; it has its operation's name.
fn file(op: Op) -> &'static File {
    match op {
        Op::Round | Op::Fmod | Op::Ldexp | Op::Mantissa | Op::Exponent | Op::Ilogb => &PARTS,
        Op::Sinh | Op::Cosh | Op::Tanh | Op::Asinh | Op::Acosh | Op::Atanh => &HYPERBOLIC,
        Op::Sin | Op::Cos | Op::Tan | Op::SinPi | Op::CosPi | Op::TanPi => &TRIGONOMETRIC,
        Op::Asin | Op::Acos | Op::Atan | Op::Atan2 => &TRIGONOMETRIC,
        _ => &EXPONENTIAL,
    }
}

static TEXTURE: File = file!("texture.metal");
static ARGUMENTS: File = file!("arguments.metal");

/// The limit up to which a function is short, before it is copied.
const PIPELINE: Pipeline = Pipeline {
    checks: Checks::NONE,
    calls: inline::Calls::NONE,
    first: &[&[
        ("forward first", forward::run),
        ("fold first", fold::run),
        ("dead first", dead::run),
        ("promote", promote::run),
        ("scalarise", |function| *function = scalarise::run(function)),
        ("forward", forward::run),
        ("fold", fold::run),
        ("common", common::run),
        ("flatten", flatten::run),
        ("forward again", forward::run),
        ("fold again", fold::run),
        ("common again", common::run),
        ("dead", dead::run),
    ]],
    expanded: &[
        ("fold expanded", fold::run),
        ("common expanded", common::run),
        ("dead expanded", dead::run),
    ],
};

/// The code of a function, without calls and applications of others.
fn code(op: Op) -> Arc<Function> {
    const FIRST: usize = Op::Round as usize;
    static CODE: [OnceLock<Arc<Function>>; Op::Powr as usize + 1 - FIRST] =
        [const { OnceLock::new() }; Op::Powr as usize + 1 - FIRST];
    let made = CODE[op as usize - FIRST].get_or_init(|| compiled(file(op), op.row().name));
    made.clone()
}

/// A function of a file after the passes.
fn compiled(file: &File, name: &str) -> Arc<Function> {
    let made = file.checked().function(name).and_then(|module| {
        passes::run(&module, &PIPELINE)
            .map(|mut functions| functions.swap_remove(0))
            .map_err(|refused| format!("{refused:?}"))
    });
    Arc::new(made.unwrap_or_else(|error| internal_error(format!("in the library: {error}"))))
}

/// The code of a routine, without calls.
fn routine(routine: Routine) -> Arc<Function> {
    const COUNT: usize = Routine::ALL.len();
    static CODE: [OnceLock<Arc<Function>>; COUNT] = [const { OnceLock::new() }; COUNT];
    let file = if routine.is_of_textures() { &TEXTURE } else { &ARGUMENTS };
    CODE[routine as usize].get_or_init(|| compiled(file, routine.name())).clone()
}

/// The library functions that some functions apply.
pub(super) fn applied(functions: &[Function]) -> ir::Library {
    let all = functions.iter().flat_map(|function| &function.insts);
    let mut ops: Vec<Op> = all.map(|inst| inst.op).filter(|op| op.is_library()).collect();
    sorted::sort(&mut ops);
    ops.dedup();
    ir::Library::of(ops.into_iter().map(|op| (op, code(op)))).with_routines(routine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{Stmt, catch_internal_error, walk};

    #[test]
    fn every_routine_uses_no_memory_of_a_module() {
        for &one in Routine::ALL {
            let code = catch_internal_error(|| ir::with_stack(|| routine(one)));
            let code = code.unwrap_or_else(|error| panic!("{}: {error}", one.name()));
            println!("{:4} {}", walk::instructions(&code.body).count(), one.name());
            let reached = ir::facts::reach::reached(std::slice::from_ref(&*code), [99; 3]);
            assert!(!reached.allocations.contains(&true), "{code}");
            let called = walk::statements(&code.body).any(|stmt| matches!(stmt, Stmt::Call { .. }));
            assert!(!called, "{code}");
        }
    }

    #[test]
    fn every_function_is_one_that_a_pass_can_copy() {
        for &op in Op::ALL.iter().filter(|op| op.is_library()) {
            let code = catch_internal_error(|| code(op)).unwrap_or_else(|error| panic!("{error}"));
            println!("{:4} instructions: {code}", walk::instructions(&code.body).count());
            let returns = walk::statements(&code.body).filter(|s| matches!(s, Stmt::Return(_)));
            assert_eq!(returns.count(), 1, "{code}");
            assert!(matches!(code.body.last(), Some(Stmt::Return(Some(_)))), "{code}");
            assert!(code.locals.is_empty(), "{code}");
        }
    }
}
