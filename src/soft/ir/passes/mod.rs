//! The passes over the IR, one file each. Which of them run, and in what order, is each back end's choice.

pub(crate) mod adjacent;
pub(crate) mod broadcast;
pub(crate) mod common;
pub(crate) mod dead;
pub(crate) mod flatten;
pub(crate) mod fold;
pub(crate) mod forward;
pub(crate) mod index;
pub(crate) mod init;
pub(crate) mod inline;
pub(crate) mod invariant;
pub(crate) mod library;
pub(crate) mod probes;
pub(crate) mod promote;
pub(crate) mod rewrite;
pub(crate) mod scalarise;
mod shadow;
pub(crate) mod step;
pub(crate) mod undefined;
pub(crate) mod unroll;

use super::verify::verify_one;
use super::{Checks, Function, Invalid, Module, Span, compiling, verify};

/// Why the passes rejected a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The module breaks a rule of the IR.
    Invalid(Invalid),
    /// There is too much code.
    TooLarge(TooLarge),
}

/// A limit on the size of code was exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// The counted quantity.
    pub(crate) what: &'static str,
    pub(crate) number: u64,
    pub(crate) limit: u64,
    /// The function that contributes most, and how much, where calls are inlined.
    pub(crate) largest: Option<(String, u64)>,
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TooLarge { what, number, limit, largest } = self;
        write!(out, "it has {number} {what}; the limit is {limit}")?;
        if let Some((name, number)) = largest {
            write!(out, "; calls of '{name}' contribute {number} of them")?;
        }
        out.write_str("; split it into several kernels, or replace repeated calls by loops")
    }
}

/// One step of a pipeline: its name, for messages, and what it does to a function.
pub(crate) type Pass = (&'static str, fn(&mut Function));

/// A back end's passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pipeline {
    /// The checks that the kernel makes while it runs.
    pub(crate) checks: Checks,
    /// Which functions stay functions.
    pub(crate) calls: inline::Calls,
    /// Those that see each application of a library function as one operation.
    pub(crate) first: &'static [&'static [Pass]],
    /// Those that follow where applications were replaced by code.
    pub(crate) expanded: &'static [Pass],
}

/// The first passes of back ends: scalar arithmetic only, and short branches as selects.
pub(crate) const SCALAR: &[Pass] = &[
    // Before promotion: they make offsets constant.
    ("forward first", forward::run),
    ("fold first", fold::run),
    ("unroll", unroll::run),
    ("forward unrolled", forward::run),
    ("fold unrolled", fold::run),
    // Removes pointers to locals that were passed as arguments and are not read any more.
    ("dead first", dead::run),
    ("promote", promote::run),
    ("scalarise", |function| *function = scalarise::run(function)),
    ("forward", forward::run),
    ("fold", fold::run),
    // Assignments to all variables that have become values: the later passes visit what is left.
    ("dead assignments", dead::run),
    ("index", index::run),
    ("common", common::run),
    ("flatten", flatten::run),
];

/// The last of the first passes of back ends: each value is computed once, early, and only if it is used.
/// `joined` joins adjacent loads.
pub(crate) const fn once(joined: fn(&mut Function)) -> [Pass; 6] {
    [
        ("forward again", forward::run),
        ("fold again", fold::run),
        ("common again", common::run),
        ("adjacent", joined),
        ("invariant", invariant::run),
        ("dead", dead::run),
    ]
}

/// The passes after the code of library functions was put in, which has been through such passes: here it meets constants
/// and its neighbours.
pub(crate) const EXPANDED: &[Pass] = &[
    ("fold expanded", fold::run),
    ("common expanded", common::run),
    ("invariant expanded", invariant::run),
    ("dead expanded", dead::run),
];

/// Inlines calls and runs a back end's passes in order: a module becomes the kernel, and the functions that it still calls,
/// callers first. Small kernels have none.
pub(crate) fn run(module: &Module, pipeline: &Pipeline) -> Result<Vec<Function>, Refused> {
    verify(module).map_err(Refused::Invalid)?;
    // Taints do not go through calls.
    let follow = pipeline.checks.has(Checks::INIT);
    let calls = if follow { inline::Calls::NONE } else { pipeline.calls };
    let mut functions = inline::run(module, calls).map_err(Refused::TooLarge)?;
    let signatures: Vec<Function> = functions.iter().map(signature).collect();
    let has_stamps = probes::has_stamps(&functions, pipeline.checks);
    for (number, function) in functions.iter_mut().enumerate() {
        if let Some(first) = function.insts.iter().find(|inst| inst.span != Span::default()) {
            compiling(first.span);
        }
        #[cfg(test)]
        super::inject_internal_error("passes", &function.name);
        // After each pass where the passes are tested: this takes as long as they do.
        let verify = |function: &Function, pass| check(module, &signatures, function, pass);
        let check = |function: &Function, pass| {
            if cfg!(all(test, debug_assertions)) {
                verify(function, pass);
            }
        };
        check(function, "inline");
        add_checks(function, pipeline.checks);
        if has_stamps && number == 0 {
            probes::start(function);
        }
        check(function, "probes");
        let all = |function: &mut Function, passes: &[Pass]| {
            for (name, pass) in passes {
                pass(function);
                check(function, name);
            }
        };
        pipeline.first.iter().for_each(|passes| all(function, passes));
        if library::run(function, &module.library) {
            check(function, "library");
            all(function, pipeline.expanded);
        }
        if cfg!(debug_assertions) {
            verify(function, "all passes");
        }
    }
    Ok(functions)
}

/// Adds what checks need to a function; without checks it stays as it is.
pub(crate) fn add_checks(function: &mut Function, checks: Checks) {
    init::run(function, checks);
    undefined::run(function, checks);
    probes::run(function, checks);
}

/// A function without its code.
fn signature(function: &Function) -> Function {
    Function {
        name: function.name.clone(),
        params: function.params.clone(),
        result: function.result,
        insts: Vec::new(),
        variables: Vec::new(),
        locals: Vec::new(),
        joined: Vec::new(),
        body: Vec::new(),
    }
}

/// Verifies the result of a pass.
fn check(module: &Module, signatures: &[Function], function: &Function, pass: &str) {
    if let Err(invalid) = verify_one(module, signatures, function) {
        super::internal_error(format!("after {pass}: {invalid}\n{function}"));
    }
}
