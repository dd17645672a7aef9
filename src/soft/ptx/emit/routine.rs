//! Routines of the library as functions, and calls of them. Their pointers are addresses: what they read are tables that the
//! launch made, and positions in textures are checked against those.

use std::fmt::Write;

use super::super::text::{Kind, Reg, ptx};
use super::{Emit, Options};
use crate::soft::ir::{Function, Module, Routine, Type};

/// The result of a function, in declarations and calls.
fn declared(name: &str, regs: &[Reg]) -> String {
    match regs {
        [one] => format!(".param .{} {name}", one.kind.name()),
        all => format!(".param .align 16 .b8 {name}[{}]", 4 * all.len()),
    }
}

/// The registers of a result, as one operand.
fn list(regs: &[Reg]) -> (String, String) {
    match regs {
        [one] => (one.kind.name().to_owned(), one.to_string()),
        all => {
            let names: Vec<String> = all.iter().map(Reg::to_string).collect();
            (format!("v{}.b32", all.len()), format!("{{{}}}", names.join(", ")))
        }
    }
}

/// A routine as a function.
pub(super) fn emit(
    module: &Module,
    function: &Function,
    options: Options,
    routine: Routine,
) -> String {
    let mut emit = Emit::new(module, function, options);
    emit.is_routine = true;
    if function.result != Type::Void {
        emit.result = emit.text.regs(function.result);
    }
    emit.function_body();
    if !emit.result.is_empty() {
        let (kind, regs) = list(&emit.result);
        ptx!(emit.text, "st.param.{kind} [result], {regs};");
    }
    ptx!(emit.text, "ret;");
    let kinds = function.params.iter().map(|ty| ty.scalar().map_or(Kind::Long, Kind::of));
    let parameters: Vec<String> =
        kinds.enumerate().map(|(k, kind)| format!(".param .{} p{k}", kind.name())).collect();
    let result = match &emit.result[..] {
        [] => String::new(),
        regs => format!("({}) ", declared("result", regs)),
    };
    let mut out = format!(".func {result}{}({})\n{{\n", routine.name(), parameters.join(", "));
    if emit.thread_bytes != 0 {
        // Writing to a string does not fail.
        let _ = writeln!(out, "\t.local .align 16 .b8 locals[{}];", emit.thread_bytes);
    }
    out += &emit.text.finish();
    out + "}\n"
}

impl Emit<'_> {
    /// The registers of a routine's parameter.
    pub(super) fn parameter(&mut self, number: u64, ty: Type) -> Vec<Reg> {
        let kind = ty.scalar().map_or(Kind::Long, Kind::of);
        let reg = self.text.early(|text| {
            let reg = text.reg(kind);
            ptx!(text, "ld.param.{} {reg}, [p{number}];", kind.name());
            reg
        });
        vec![reg]
    }

    /// Calls a routine.
    pub(super) fn call(&mut self, routine: Routine, args: &[Reg], result: Type) -> Vec<Reg> {
        self.routines.insert(routine);
        let regs = if result == Type::Void { Vec::new() } else { self.text.regs(result) };
        ptx!(self.text, "{{");
        let names: Vec<String> = (0..args.len()).map(|k| format!("a{k}")).collect();
        for (name, arg) in names.iter().zip(args) {
            let kind = arg.kind.name();
            ptx!(self.text, ".param .{kind} {name};");
            ptx!(self.text, "st.param.{kind} [{name}], {arg};");
        }
        let names = names.join(", ");
        if regs.is_empty() {
            ptx!(self.text, "call {}, ({names});", routine.name());
        } else {
            let (kind, into) = list(&regs);
            ptx!(self.text, "{};", declared("r", &regs));
            ptx!(self.text, "call (r), {}, ({names});", routine.name());
            ptx!(self.text, "ld.param.{kind} {into}, [r];");
        }
        ptx!(self.text, "}}");
        regs
    }
}
