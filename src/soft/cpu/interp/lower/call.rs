//! Functions that stay functions: how they are called, and where their registers and locals are.
//!
//! There is no recursion, so each function has its registers at a fixed offset in the frame, after those of all its callers,
//! and its locals after theirs in thread memory. Functions that are not active together share both. A call copies the
//! arguments into the callee's registers, leaves the address to return to in a slot, and jumps; the active lanes
//! are the same when it returns.

use super::{
    Code, Field, Function, Ins, Label, Lowering, NONE, Operand, Register, Uniformity, estimate,
    size_of_type,
};
use crate::soft::cpu::interp::control;
use crate::soft::cpu::interp::registers::Size;
use crate::soft::ir::facts::stack_slots::{assign_offsets, keeps_pointers};
use crate::soft::ir::walk::statements;
use crate::soft::ir::{FuncId, Op, Span, Stmt, Value};

/// Facts about a function for its calls.
#[derive(Clone, Debug)]
pub(super) struct Routine {
    /// Where the arguments go.
    params: Vec<Operand>,
    /// The slot for the address to return to.
    back: Register,
    /// The work of all of it, each loop's body once.
    work: u32,
}

/// The functions that a function calls.
fn callees(function: &Function) -> impl Iterator<Item = FuncId> {
    statements(&function.body).filter_map(|stmt| match stmt {
        Stmt::Call { func, .. } => Some(*func),
        _ => None,
    })
}

/// Where the locals of each function begin in thread memory, callers first, and the size of all of it.
pub(crate) fn thread_memory_layout(functions: &[&Function]) -> (Vec<Vec<u64>>, u64) {
    let keeps = functions.iter().skip(1).any(|function| keeps_pointers(function));
    let (mut firsts, mut most) = (vec![0u64; functions.len()], 0);
    let mut all = Vec::with_capacity(functions.len());
    for (number, function) in functions.iter().enumerate() {
        let (mut starts, bytes) = assign_offsets(function, keeps);
        starts.iter_mut().for_each(|start| *start += firsts[number]);
        all.push(starts);
        let end = firsts[number] + bytes;
        most = most.max(end);
        for callee in callees(function) {
            firsts[callee.index()] = end.max(firsts[callee.index()]);
        }
    }
    (all, most)
}

/// Lowers a kernel and the functions that it calls, callers first.
pub(crate) fn lower_all(functions: &[(&Function, &Uniformity)], hoist: bool) -> Code {
    let only: Vec<&Function> = functions.iter().map(|one| one.0).collect();
    let (layout, thread_bytes) = thread_memory_layout(&only);
    let mut firsts = vec![0u32];
    for (function, _) in functions {
        firsts.push(firsts[firsts.len() - 1] + function.locals.len() as u32);
    }
    let mut routines: Vec<Option<Routine>> = vec![None; functions.len()];
    let mut lowered = Vec::new();
    let mut start = 0;
    // Callees first: a call needs to know where the arguments go.
    for (number, (function, uniform)) in functions.iter().enumerate().rev() {
        let mut lowering = Lowering::new(function, uniform, &[], false);
        lowering.thread_bytes = thread_bytes as u32;
        lowering.first_local = firsts[number];
        lowering.routines.clone_from(&routines);
        lowering.local_starts = layout[number].iter().map(|&start| start as u32).collect();
        if number > 0 {
            routines[number] = Some(lowering.routine());
        } else {
            if hoist {
                lowering.hoist();
            }
            start = lowering.code.len() as u32;
            lowering.body();
            lowering.emit::<control::End>([NONE; 4], 0);
        }
        lowered.push(lowering);
    }
    lowered.reverse();
    assemble(lowered, start)
}

impl Lowering<'_> {
    /// The inputs and the statements of the function.
    pub(super) fn body(&mut self) {
        self.inputs();
        let end = self.label();
        self.joins.push(end);
        self.block(&self.function.body);
        self.bind(end);
    }

    /// All of a function that is called.
    fn routine(&mut self) -> Routine {
        let back = self.registers.add(Size::Slot, false);
        self.registers.touch(back, 0);
        let mut params = Vec::new();
        for (index, &ty) in self.function.params.iter().enumerate() {
            let is_it =
                |inst: &&crate::soft::ir::Inst| inst.op == Op::Param && inst.imm == index as u64;
            let values: Vec<Value> = (0..self.function.insts.len() as u32)
                .map(Value)
                .filter(|value| is_it(&self.function.inst(*value)))
                .collect();
            let uniform = values.first().is_none_or(|&value| self.is_uniform(value));
            let register = self.registers.add(size_of_type(ty, uniform), false);
            // The call writes it, whether it is used or not.
            self.registers.touch(register, 0);
            let operand = Operand { field: Field::Register(register), uniform };
            values.iter().for_each(|value| self.values[value.index()] = Some(operand));
            params.push(operand);
        }
        self.body();
        self.emit::<control::Return>([Field::Register(back), NONE, NONE, NONE], 0);
        let work = self.code.iter().fold(0u32, |sum, draft| sum.saturating_add(draft.work));
        Routine { params, back, work }
    }

    pub(super) fn call(&mut self, func: FuncId, args: &[Value], span: Span) {
        self.at(span);
        let Some(routine) = self.routines.get(func.index()).cloned().flatten() else {
            unreachable!("callees are lowered first")
        };
        for (param, &arg) in routine.params.iter().zip(args) {
            let Field::Register(register) = param.field else { continue };
            let (from, ty) = (self.operand(arg), self.function.ty(arg));
            self.copy(Field::Of(func, register), from, ty, param.uniform, false);
        }
        let back = Field::Of(func, routine.back);
        self.emit::<control::Call>([back, NONE, NONE, NONE], 0);
        self.code.last_mut().expect("just emitted").call = Some(func);
        self.add_work(routine.work);
        self.count_work();
    }
}

/// Puts the code of the functions together; the first is the kernel, which starts at its instruction `start`.
pub(super) fn assemble(mut functions: Vec<Lowering<'_>>, start: u32) -> Code {
    let hoisted = functions[0].hoisted;
    let constants: Vec<u64> =
        functions.iter().flat_map(|function| &function.constant_list).copied().collect();
    let all_constants = constants.len() as u32;
    // Where each function's constants, registers and code begin.
    let mut first_constant = vec![0u32];
    let mut first_code = vec![0usize];
    for function in &functions {
        let last = first_constant.len() - 1;
        first_constant.push(first_constant[last] + function.constant_list.len() as u32);
        first_code.push(first_code[last] + function.code.len());
    }
    let mut frames = vec![(all_constants + hoisted) * 8; functions.len()];
    let (mut frame_bytes, mut offsets) = (0, Vec::new());
    for (number, function) in functions.iter_mut().enumerate() {
        let (own, end) = function.registers.place(&function.extents, frames[number]);
        offsets.push(own);
        frame_bytes = frame_bytes.max(end);
        for callee in callees(function.function) {
            frames[callee.index()] = end.max(frames[callee.index()]);
        }
    }
    let (mut code, mut spans, mut whole_work) = (Vec::new(), Vec::new(), 0);
    let mut joined = Vec::new();
    let (mut runs, mut loops) = (Vec::new(), Vec::new());
    for (number, function) in functions.iter_mut().enumerate() {
        let resolve = |field: Field| match field {
            Field::Raw(number) => number,
            Field::Constant(slot) => (first_constant[number] + slot) * 8,
            Field::Hoisted(slot) => (all_constants + slot) * 8,
            Field::Register(register) => offsets[number][register.0 as usize],
            Field::Of(callee, register) => offsets[callee.index()][register.0 as usize],
        };
        // The work before each instruction.
        let mut work = vec![0u32];
        for draft in &function.code {
            work.push(work[work.len() - 1].saturating_add(draft.work));
        }
        let target = |at: usize, label: Label, own: u64| {
            let to = function.labels[label.0 as usize] as usize;
            let iteration = work[at + 1].saturating_sub(work[to]);
            let work = if to <= at { iteration } else { own as u32 };
            control::jump_imm((to as i64 - at as i64) as i32, work)
        };
        let mut own: Vec<Ins> = Vec::with_capacity(function.code.len());
        for (at, draft) in function.code.iter().enumerate() {
            let [a, b, c, d] = draft.fields.map(&resolve);
            let imm = match (draft.jump, draft.call) {
                (Some(label), _) => target(at, label, draft.imm),
                (None, Some(callee)) => {
                    let distance =
                        first_code[callee.index()] as i64 - (first_code[number] + at) as i64;
                    control::jump_imm(distance as i32, 0)
                }
                (None, None) => draft.imm,
            };
            own.push(Ins { run: draft.run, a, b, c, d: d | draft.flags, imm });
        }
        if let Some(natives) = function.native.take() {
            runs = natives.finish(&mut own, &resolve);
        }
        if number == 0 {
            whole_work = work[work.len() - 1];
            let finish = |draft: &estimate::Draft| draft.finish(&work, resolve);
            loops = function.estimates.iter().map(finish).collect();
        }
        joined.extend(function.joined.drain(..).map(|joined| joined.after(code.len())));
        code.extend(own);
        spans.extend(function.code.iter().map(|draft| draft.span));
    }
    Code {
        runs,
        code,
        spans,
        joined,
        constants,
        hoisted,
        start,
        frame_bytes,
        thread_bytes: functions[0].thread_bytes,
        has_barrier: functions.iter().any(|function| function.has_barrier),
        work: whole_work,
        loops,
    }
}
