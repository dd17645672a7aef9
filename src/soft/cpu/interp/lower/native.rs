//! Runs of statements that are machine code: one instruction of the bytecode, and a word for each site that may
//! fail in it.

use crate::soft::ir::hash::{FastMap, FastSet};
use crate::soft::sorted;
use std::sync::Arc;

use super::{Field, Lowering, NONE, Operand};
use crate::soft::cpu::Source;
use crate::soft::cpu::interp::code::Ins;
use crate::soft::cpu::interp::control;
use crate::soft::cpu::interp::hoist::constant_in_launch;
use crate::soft::cpu::interp::uses::Uses;
use crate::soft::cpu::native::machine;
use crate::soft::cpu::native::plan::{self, Kind, Plan};
use crate::soft::cpu::native::region::{Leaving, Run, RunVariable};
use crate::soft::cpu::native::shape::{Lanes, Shapes};
use crate::soft::ir::walk::loops;
use crate::soft::ir::{Op, Probe, Span, Stmt, Value, VarId};

/// The statements that become machine code, and those that already have.
pub(super) struct Natives {
    source: Arc<Source>,
    plan: Plan,
    shapes: Arc<Shapes>,
    done: Arc<Vec<bool>>,
    drafts: Vec<Draft>,
}

/// A run before registers have offsets.
struct Draft {
    /// Its instruction.
    at: u32,
    run: Run,
    entering: Vec<(Value, Operand)>,
    leaving: Vec<(Value, Operand)>,
    variables: Vec<(VarId, Operand, bool)>,
}

impl Natives {
    /// The plan for a source's function; none if no part of it is worth machine code.
    pub(super) fn of(source: &Arc<Source>, hoist: bool) -> Option<Self> {
        let uses = Uses::find(&source.function, &source.uniform, &[]);
        let mut done = vec![false; source.function.insts.len()];
        let early = if hoist { constant_in_launch(&source.function, &uses) } else { Vec::new() };
        for value in early {
            done[value.index()] = true;
        }
        let plan = Plan::of(&source.function, &source.uniform, &done);
        if plan.runs.is_empty() {
            return None;
        }
        let shapes = Shapes::of(&source.function, &source.uniform, Lanes::UNKNOWN, |_| true);
        let (shapes, done) = (Arc::new(shapes), Arc::new(done));
        Some(Self { source: Arc::clone(source), plan, shapes, done, drafts: Vec::new() })
    }

    /// Whether the whole body is one run.
    pub(super) fn is_body(&self) -> bool {
        self.plan.body
    }

    /// Values from before the runs that need them.
    pub(super) fn entering(&self) -> &[Value] {
        &self.plan.entering
    }

    /// Sets the offsets of the runs, and the addresses of the runs in their instructions.
    #[expect(clippy::vec_box, reason = "instructions have the runs' addresses")]
    pub(super) fn finish(self, code: &mut [Ins], resolve: &impl Fn(Field) -> u32) -> Vec<Box<Run>> {
        let finish = |draft: Draft| {
            let mut run = draft.run;
            let place = |operand: Operand| (resolve(operand.field), operand.uniform);
            run.entering =
                draft.entering.into_iter().map(|(value, at)| (value, place(at))).collect();
            let leaving = draft.leaving.into_iter().map(|(value, at)| {
                let (offset, uniform) = place(at);
                Leaving { value, offset, uniform }
            });
            run.leaving = leaving.collect();
            let variables = draft.variables.into_iter().map(|(id, at, written)| {
                let (offset, uniform) = place(at);
                RunVariable { id, offset, uniform, written }
            });
            run.variables.extend(variables);
            let run = Box::new(run);
            code[draft.at as usize].imm = std::ptr::from_ref(&*run).addr() as u64;
            run
        };
        self.drafts.into_iter().map(finish).collect()
    }
}

/// Accesses and loops of a run.
#[derive(Default)]
struct Contents {
    defined: FastSet<Value>,
    read: Vec<Value>,
    /// Operands of what is folded into accesses.
    folded: Vec<Value>,
    /// Variables, and whether they are assigned.
    variables: FastMap<VarId, bool>,
    /// Accesses and loops, with the source positions that reports name.
    accesses: Vec<(Value, Span)>,
    loops: Vec<(usize, Span)>,
    loop_index: usize,
    /// Whether lanes exchange values, or only some of a SIMD-group's lanes reach a barrier.
    whole: bool,
    /// Whether something else than atomics makes it so.
    across: bool,
    /// Whether SIMD-groups wait for each other.
    barrier: bool,
}

impl Lowering<'_> {
    /// How many statements from here on are one run of machine code.
    pub(super) fn native_run(&self, stmts: &[Stmt]) -> usize {
        let Some(natives) = &self.native else { return 0 };
        let length = natives.plan.runs.get(&std::ptr::from_ref(&stmts[0]));
        length.copied().filter(|&length| length <= stmts.len()).unwrap_or(0)
    }

    /// Emits the instruction for a run.
    pub(super) fn native(&mut self, stmts: &[Stmt]) {
        let Some(natives) = self.native.take() else { return };
        let mut contents = Contents { loop_index: self.loop_index, ..Contents::default() };
        Self::look(&natives, stmts, false, &mut contents);
        let first_loop = self.loop_index;
        self.loop_index += loops(stmts);

        let mut entering: Vec<(Value, Operand)> = Vec::new();
        let mut seen = FastSet::default();
        for &value in &contents.read {
            let inst = self.function.inst(value);
            let made = matches!(inst.op, Op::Const | Op::Allocation)
                || natives.plan.body && inst.op == Op::Input && !natives.done[value.index()];
            if made || contents.defined.contains(&value) || !seen.insert(value) {
                continue;
            }
            let operand = self.operand(value);
            entering.push((value, operand));
        }
        let mut leaving = Vec::new();
        let mut defined: Vec<Value> = contents.defined.iter().copied().collect();
        sorted::sort(&mut defined);
        for value in defined {
            if natives.plan.leaves[value.index()] {
                self.destination(value);
                let operand = self.operand(value);
                leaving.push((value, operand));
            }
        }
        let mut ids: Vec<(VarId, bool)> =
            contents.variables.iter().map(|(&id, &set)| (id, set)).collect();
        sorted::sort(&mut ids);
        // A body's variables are nowhere else.
        let own: Vec<RunVariable> = match natives.plan.body {
            true => ids.drain(..).map(|(id, _)| RunVariable::own(id, self.uniform)).collect(),
            false => Vec::new(),
        };
        let variables: Vec<_> =
            ids.into_iter().map(|(id, set)| (id, self.variables[id.index()], set)).collect();
        self.has_barrier |= contents.barrier;

        let sites = contents.accesses.len() + contents.loops.len();
        // The last is for where the body starts.
        let words = 2 + sites;
        let at = self.code.len() as u32;
        self.emit_run(machine::native, [Field::Raw(words as u32), NONE, NONE, NONE], 0);
        let accesses = contents.accesses.iter().map(|access| (access.1, Some(access.0)));
        let loops = contents.loops.iter().map(|inside| (inside.1, None));
        let function = self.function;
        for (span, access) in accesses.chain(loops).chain([(self.span, None)]).collect::<Vec<_>>() {
            self.span = span;
            match access.map(|access| function.inst(access)) {
                Some(inst) if inst.op == Op::Load => self.note_joined(inst, 0),
                _ => {}
            }
            self.emit::<control::End>([NONE; 4], 0);
        }
        // Strips read and write in turn, so everything lives from the first word to the last.
        let last = self.code.len() as u32 - 1;
        let operands =
            entering.iter().map(|entry| entry.1).chain(leaving.iter().map(|entry| entry.1));
        let operands: Vec<Operand> =
            operands.chain(variables.iter().map(|entry| entry.1)).collect();
        for operand in operands {
            if let Field::Register(register) = operand.field {
                self.registers.touch(register, at);
                self.registers.touch(register, last);
            }
        }
        let number = |at: usize| at as u32;
        let accesses = contents.accesses.iter().enumerate();
        let access_sites = accesses.map(|(at, &(value, _))| (value, number(at))).collect();
        let loops = contents.loops.iter().enumerate();
        let after = contents.accesses.len();
        let loop_sites = loops.map(|(at, &(inside, _))| (inside, number(after + at))).collect();
        let gets =
            contents.defined.iter().copied().filter(|&value| {
                self.function.inst(value).op == Op::Get && self.uses.may_alias(value)
            });
        let run = Run {
            source: Arc::clone(&natives.source),
            first: stmts.as_ptr(),
            length: stmts.len(),
            whole: contents.whole,
            across: contents.across,
            body: natives.plan.body,
            start_site: sites as u32,
            masked: self.masked > 0,
            first_loop,
            shapes: Arc::clone(&natives.shapes),
            done: Arc::clone(&natives.done),
            aliases: gets.collect(),
            computed: contents.defined.clone(),
            entering: FastMap::default(),
            leaving: Vec::new(),
            variables: own,
            access_sites,
            loop_sites,
            stamped: natives.source.function.insts.iter().any(Probe::is_start),
            waits: contents.barrier,
            machines: Default::default(),
        };
        let mut natives = natives;
        natives.drafts.push(Draft { at, run, entering, leaving, variables });
        self.native = Some(natives);
    }

    /// Collects what statements define, read, assign and access. `parted`: only some lanes may be active.
    fn look(natives: &Natives, stmts: &[Stmt], parted: bool, contents: &mut Contents) {
        let (function, uniform) = (&natives.source.function, &natives.source.uniform);
        for stmt in stmts {
            let mut parts = parted;
            match stmt {
                Stmt::Do(value) if natives.done[value.index()] => {}
                Stmt::Do(value) => {
                    let inst = function.inst(*value);
                    let shapes = &natives.shapes;
                    if plan::kind(function, uniform, shapes, *value) != Kind::Direct {
                        contents.defined.insert(*value);
                        contents.folded.extend(inst.args.iter());
                        continue;
                    }
                    contents.whole |= plan::is_whole(inst);
                    contents.across |= plan::is_whole(inst) && !plan::is_atomic(inst.op);
                    if plan::is_threadgroup_barrier(inst) {
                        // Strips of a SIMD-group have to meet at the same barriers.
                        contents.whole |= parted;
                        contents.across |= parted;
                        contents.barrier = true;
                        contents.accesses.push((*value, inst.span));
                    }
                    contents.read.extend(plan::reads(function, uniform, shapes, *value));
                    contents.defined.insert(*value);
                    let id = VarId(inst.imm as u32);
                    match inst.op {
                        Op::Get => {
                            contents.variables.entry(id).or_insert(false);
                        }
                        Op::Set => {
                            contents.variables.insert(id, true);
                        }
                        op if plan::is_access(op) => contents.accesses.push((*value, inst.span)),
                        _ => {}
                    }
                }
                Stmt::If(condition, ..) => {
                    contents.read.push(*condition);
                    parts |= !uniform.values[condition.index()];
                }
                Stmt::Loop { span, .. } => {
                    let divergence = uniform.loops[contents.loop_index];
                    parts |= divergence.breaks || divergence.continues;
                    contents.loops.push((contents.loop_index, *span));
                    contents.loop_index += 1;
                }
                other => contents.read.extend(other.values()),
            }
            for inner in stmt.blocks() {
                Self::look(natives, inner, parts, contents);
            }
        }
    }
}
