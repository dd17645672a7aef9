//! Phases: the parts of a kernel's body between barriers, where all threads of a threadgroup reach the same barriers. A body
//! without barriers is one phase.
//!
//! Loops and branches around barriers are then decided once for the threadgroup. A phase runs strip after strip, so no strip has
//! to wait in the middle of its code. What one phase computes for a strip and another one reads is in memory.

use super::plan::{self, Kind, is_threadgroup_barrier};
use super::select::Strip;
use super::shape::Shapes;
use crate::soft::ir::facts::uniform::Uniformity;
use crate::soft::ir::hash::{FastMap, FastSet};
use crate::soft::ir::walk::{instructions, loops, statements};
use crate::soft::ir::{Effect, Function, Input, Inst, Op, Span, Stmt, Value, VarId};
use crate::soft::sorted;
use std::ops::Range;

/// A body as phases.
pub(crate) struct Phases<'a> {
    pub(crate) steps: Vec<Step<'a>>,
    /// The values that are computed once for the threadgroup.
    pub(crate) common: Vec<bool>,
    /// The variables that have one value in the threadgroup.
    pub(crate) variables: Vec<bool>,
}

/// A part of a body, or the control flow around some.
pub(crate) enum Step<'a> {
    Phase(Phase<'a>),
    If(Value, Vec<Self>, Vec<Self>),
    Loop {
        span: Span,
        body: Vec<Self>,
        next: Vec<Self>,
    },
    /// Leaves the loop or its iteration. The `unreached` loops that follow are never executed.
    Leave {
        breaks: bool,
        unreached: usize,
    },
    /// All threads return. The `unreached` loops that follow are never executed.
    End {
        unreached: usize,
    },
}

/// Statements without barriers.
#[derive(Default)]
pub(crate) struct Phase<'a> {
    pub(crate) stmts: &'a [Stmt],
    /// The block that they are in, and the index of the first.
    block: &'a [Stmt],
    start: usize,
    /// Values from other phases for the strip, and values for them.
    pub(crate) entering: Vec<Value>,
    pub(crate) leaving: Vec<Value>,
    /// The variables of strips that it reads or assigns.
    pub(crate) variables: Vec<PhaseVariable>,
    pub(crate) prefix: Option<Prefix>,
    /// Whether only the first strip of a threadgroup does something.
    pub(crate) first_strip: bool,
}

impl<'a> Phase<'a> {
    /// Adds the phase that follows in the same block after a barrier.
    fn add(&mut self, next: &mut Self) {
        let end = next.start + next.stmts.len();
        self.stmts = &self.block[self.start..end];
        self.entering.append(&mut next.entering);
        sorted::sort(&mut self.entering);
        self.entering.dedup();
        for variable in next.variables.drain(..) {
            match self.variables.iter_mut().find(|ours| ours.id == variable.id) {
                Some(ours) => ours.stored |= variable.stored,
                None => self.variables.push(variable),
            }
        }
    }
}

/// A variable of a strip in a phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhaseVariable {
    pub(crate) id: VarId,
    pub(crate) before: Before,
    /// Whether later phases may need the value after this phase.
    pub(crate) stored: bool,
    /// Whether it is assigned in all lanes.
    assigned: bool,
}

/// The value of a variable where a phase starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing reads it.
    Unused,
    /// The threadgroup has just started.
    Zero,
    Memory,
}

/// A phase that only does something for the first threads: if a strip has none of them, neither have those that follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefix {
    /// The condition of the branch that is all of the phase.
    pub(crate) condition: Value,
    /// Whether that needs a threadgroup that is a single row.
    pub(crate) one_row: bool,
}

/// Finds the phases of a body; `None` if threads may go different ways to its barriers, or leave before the end. Addresses are
/// split by the shapes of the strip, too, in which more may be the same in all lanes.
pub(crate) fn find<'a>(
    function: &'a Function,
    uniform: &Uniformity,
    [shapes, of_strip]: [&Shapes; 2],
    strip: Strip,
    done: &[bool],
    body: &'a [Stmt],
) -> Option<Phases<'a>> {
    let mut barriers = instructions(body).map(|value| function.inst(value));
    let waits = barriers.any(is_threadgroup_barrier);
    let plain = |stmt: &Stmt| match stmt {
        Stmt::Call { .. } => false,
        Stmt::Do(value) => !matches!(function.inst(*value).op, Op::Probe | Op::Unwritten),
        _ => true,
    };
    if waits && !statements(body).all(plain) {
        return None;
    }
    let mut find = Find {
        function,
        uniform,
        shapes,
        of_strip,
        strip,
        done,
        apart: FastSet::default(),
        last: 0,
        common: vec![false; function.insts.len()],
        variables: uniform.variables.clone(),
        order: Vec::new(),
        conditions: Vec::new(),
        phase_of: vec![0; function.insts.len()],
        phases: 0,
        crossing: FastSet::default(),
    };
    if waits {
        find.mark_body(body);
        find.level(body);
        // Common variables could divide the last statements into phases.
        for stmt in &body[body.len() - find.last..] {
            match stmt {
                Stmt::Do(value) if function.inst(*value).op == Op::Set => {
                    find.variables[function.inst(*value).imm as usize] = false;
                }
                _ => {}
            }
        }
        find.settle();
    } else {
        // Strips share nothing that would have to be known outside of the phase.
        find.variables.fill(false);
    }
    if !find.conditions.iter().all(|&condition| find.is_common(condition)) {
        return None;
    }
    let mut steps = find.steps(body);
    if !matches!(steps.first(), Some(Step::Phase(_))) {
        steps.insert(0, Step::Phase(Phase::default()));
    }
    find.place_variables(&mut steps);
    each_phase(&mut steps, &mut |phase, _| find.complete(phase));
    find.join(&mut steps);
    Some(Phases { steps, common: find.common, variables: find.variables })
}

/// Calls `f` with each phase in order, and whether all threads come to it exactly once.
fn each_phase<'a>(steps: &mut [Step<'a>], f: &mut dyn FnMut(&mut Phase<'a>, bool)) {
    fn walk<'a>(steps: &mut [Step<'a>], once: bool, f: &mut dyn FnMut(&mut Phase<'a>, bool)) {
        for step in steps {
            match step {
                Step::Phase(phase) => f(phase, once),
                Step::If(_, then, otherwise) => {
                    walk(then, false, f);
                    walk(otherwise, false, f);
                }
                Step::Loop { body, next, .. } => {
                    walk(body, false, f);
                    walk(next, false, f);
                }
                Step::Leave { .. } | Step::End { .. } => {}
            }
        }
    }
    walk(steps, true, f);
}

struct Find<'a, 'b> {
    function: &'a Function,
    uniform: &'b Uniformity,
    shapes: &'b Shapes,
    of_strip: &'b Shapes,
    strip: Strip,
    done: &'b [bool],
    /// The statements that are no part of a phase: barriers, what has them inside, what leaves such loops, and returns before the
    /// last barrier.
    apart: FastSet<*const Stmt>,
    /// The number of statements at the end of the body in which threads return: they are one phase.
    last: usize,
    common: Vec<bool>,
    variables: Vec<bool>,
    /// The instructions outside of what is inside of phases, in order.
    order: Vec<Value>,
    /// The conditions of branches around phases.
    conditions: Vec<Value>,
    /// The phase that computes each value, by number from 1.
    phase_of: Vec<u32>,
    phases: u32,
    /// The values that another phase reads.
    crossing: FastSet<Value>,
}

impl<'a> Find<'a, '_> {
    fn inst(&self, value: Value) -> &'a Inst {
        self.function.inst(value)
    }

    /// Marks the statements of a body with barriers that are no part of a phase. After the last barrier threads may return as
    /// they like.
    fn mark_body(&mut self, body: &[Stmt]) {
        let waits = |stmt: &Stmt| {
            let mut all = instructions(std::slice::from_ref(stmt));
            all.any(|value| is_threadgroup_barrier(self.inst(value)))
        };
        let after = body.iter().rposition(waits).map_or(0, |at| at + 1);
        let returns = statements(&body[after..]).any(|stmt| matches!(stmt, Stmt::Return(_)));
        self.last = if returns { body.len() - after } else { 0 };
        self.mark(&body[..body.len() - self.last]);
    }

    /// Marks statements that are no part of a phase. Returns whether there is a barrier or a return in a block, and whether it
    /// leaves a loop around it.
    fn mark(&mut self, block: &[Stmt]) -> (bool, bool) {
        let (mut waits, mut leaves) = (false, false);
        for stmt in block {
            let (mut barrier, mut left) = match stmt {
                Stmt::Do(value) => (is_threadgroup_barrier(self.inst(*value)), false),
                Stmt::Return(_) => (true, false),
                Stmt::Break | Stmt::Continue => (false, true),
                _ => (false, false),
            };
            for inner in stmt.blocks() {
                let (inner_waits, inner_leaves) = self.mark(inner);
                barrier |= inner_waits;
                left |= inner_leaves && !matches!(stmt, Stmt::Loop { .. });
            }
            if barrier || left {
                self.apart.insert(stmt);
            }
            waits |= barrier;
            leaves |= left;
        }
        (waits, leaves)
    }

    fn is_apart(&self, stmt: &Stmt) -> bool {
        self.apart.contains(&std::ptr::from_ref(stmt))
    }

    /// Collects the instructions and conditions outside of what is inside of phases. A variable that is assigned inside has no
    /// common value.
    fn level(&mut self, block: &[Stmt]) {
        for stmt in block {
            match stmt {
                Stmt::Do(value) => self.order.push(*value),
                Stmt::If(condition, ..) if self.is_apart(stmt) => self.conditions.push(*condition),
                _ => {}
            }
            for inner in stmt.blocks() {
                if self.is_apart(stmt) {
                    self.level(inner);
                    continue;
                }
                for inst in instructions(inner).map(|value| self.function.inst(value)) {
                    if inst.op == Op::Set {
                        self.variables[inst.imm as usize] = false;
                    }
                }
            }
        }
    }

    /// Decides which values and variables are common. At first all are that may be; then those go that depend on others.
    fn settle(&mut self) {
        let order = std::mem::take(&mut self.order);
        for &value in &order {
            let inst = self.inst(value);
            self.common[value.index()] = !self.done[value.index()]
                && match inst.op {
                    Op::Set => true,
                    Op::Get => self.uniform.values[value.index()],
                    op => {
                        self.uniform.values[value.index()]
                            && op.row().effect == Effect::Pure
                            && !op.is_free()
                    }
                }
                && self.is_direct(value);
        }
        loop {
            let mut changed = false;
            for &value in &order {
                let inst = self.inst(value);
                let variable = inst.imm as usize;
                let holds = match inst.op {
                    Op::Get => self.variables[variable],
                    Op::Set => self.variables[variable] && self.is_common(inst.args[0]),
                    _ => inst.args.iter().all(|&arg| self.is_common(arg)),
                };
                let common = self.common[value.index()] && holds;
                changed |= common != self.common[value.index()];
                self.common[value.index()] = common;
                if inst.op == Op::Set && !common && !self.done[value.index()] {
                    changed |= std::mem::replace(&mut self.variables[variable], false);
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn is_direct(&self, value: Value) -> bool {
        plan::kind(self.function, self.uniform, self.shapes, value) == Kind::Direct
    }

    /// Whether a value is the same in all threads of the threadgroup, and known outside of phases.
    fn is_common(&self, value: Value) -> bool {
        let inst = self.inst(value);
        match inst.op {
            _ if self.done[value.index()] || self.common[value.index()] => true,
            Op::Const | Op::Allocation => true,
            Op::Input => is_common_input(inst.imm),
            _ => false,
        }
    }

    /// Whether it is an instruction of the strips in a phase.
    fn is_of_strip(&self, value: Value) -> bool {
        !self.done[value.index()] && !self.common[value.index()] && self.is_direct(value)
    }

    fn steps(&mut self, block: &'a [Stmt]) -> Vec<Step<'a>> {
        let (mut steps, mut start) = (Vec::new(), 0);
        // The variables that are read inside of the statements of the present phase.
        let mut read = FastSet::default();
        for (at, stmt) in block.iter().enumerate() {
            if !self.is_apart(stmt) {
                // Common values are computed before the phase, so a variable must not change while strips read it.
                let assigned = match stmt {
                    Stmt::Do(value) if self.common[value.index()] => match self.inst(*value) {
                        set if set.op == Op::Set => set.imm,
                        _ => u64::MAX,
                    },
                    _ => u64::MAX,
                };
                if read.contains(&assigned) {
                    self.phase(block, start..at, &mut steps);
                    start = at;
                    read.clear();
                }
                let inside = stmt.blocks().into_iter().flat_map(instructions);
                let gets = inside.filter(|&value| self.inst(value).op == Op::Get);
                read.extend(gets.map(|value| self.inst(value).imm));
                continue;
            }
            self.phase(block, start..at, &mut steps);
            start = at + 1;
            read.clear();
            match stmt {
                Stmt::If(condition, then, otherwise) => {
                    let (then, otherwise) = (self.steps(then), self.steps(otherwise));
                    steps.push(Step::If(*condition, then, otherwise));
                }
                Stmt::Loop { body, next, span } => {
                    let (body, next) = (self.steps(body), self.steps(next));
                    steps.push(Step::Loop { span: *span, body, next });
                }
                Stmt::Return(_) => {
                    steps.push(Step::End { unreached: loops(&block[start..]) });
                    return steps;
                }
                Stmt::Break | Stmt::Continue => {
                    let unreached = loops(&block[start..]);
                    steps.push(Step::Leave { breaks: *stmt == Stmt::Break, unreached });
                    return steps;
                }
                _ => {}
            }
        }
        self.phase(block, start..block.len(), &mut steps);
        steps
    }

    /// Adds a phase of statements, if there are any.
    fn phase(&mut self, block: &'a [Stmt], range: Range<usize>, steps: &mut Vec<Step<'a>>) {
        let (stmts, start) = (&block[range.clone()], range.start);
        if stmts.is_empty() {
            return;
        }
        self.phases += 1;
        let number = self.phases;
        let ours: Vec<Value> = instructions(stmts).filter(|&v| self.is_of_strip(v)).collect();
        for value in instructions(stmts) {
            self.phase_of[value.index()] = number;
        }
        let mut entering = FastSet::default();
        let conditions: Vec<Value> = statements(stmts).flat_map(Stmt::values).copied().collect();
        // A loop may end by the operand of a condition's negation.
        let negated = conditions.iter().map(|&value| self.inst(value));
        let negated = negated.filter(|inst| inst.op == Op::Not).map(|inst| inst.args[0]);
        let negated: Vec<Value> = negated.collect();
        let reads = |value: Value| {
            let by = |shapes| plan::reads(self.function, self.uniform, shapes, value);
            by(self.shapes).into_iter().chain(by(self.of_strip))
        };
        let read = ours.iter().flat_map(|&value| reads(value));
        let read: Vec<Value> = read.chain(conditions).chain(negated).collect();
        for value in read {
            let from = self.phase_of[value.index()];
            if from != 0 && from != number && self.is_of_strip(value) {
                entering.insert(value);
                self.crossing.insert(value);
            }
        }
        let mut entering: Vec<Value> = entering.into_iter().collect();
        sorted::sort(&mut entering);
        let variables = self.variables_of(stmts);
        steps.push(Step::Phase(Phase {
            stmts,
            block,
            start,
            entering,
            variables,
            ..Phase::default()
        }));
    }

    /// The variables of strips in a phase. `Before::Memory` stands for those that have to have a value.
    fn variables_of(&self, stmts: &[Stmt]) -> Vec<PhaseVariable> {
        let mut order = Vec::new();
        let mut found: FastMap<VarId, PhaseVariable> = FastMap::default();
        let mut note = |value: Value, inside: bool| {
            let inst = self.inst(value);
            let id = VarId(inst.imm as u32);
            let sets = inst.op == Op::Set;
            if !sets && inst.op != Op::Get || self.done[value.index()] || self.variables[id.index()]
            {
                return;
            }
            let variable = found.entry(id).or_insert_with(|| {
                order.push(id);
                PhaseVariable { id, before: Before::Unused, stored: false, assigned: false }
            });
            // An assignment in some of the lanes leaves the value of the others.
            if !variable.assigned && (inside || !sets) {
                variable.before = Before::Memory;
            }
            variable.assigned |= sets && !inside;
            variable.stored |= sets;
        };
        for stmt in stmts {
            match stmt {
                Stmt::Do(value) => note(*value, false),
                _ => stmt.blocks().into_iter().flat_map(instructions).for_each(|v| note(v, true)),
            }
        }
        order.iter().map(|id| found[id]).collect()
    }

    /// Decides which variables are in memory, and which of them are 0 at first.
    fn place_variables(&self, steps: &mut [Step<'a>]) {
        let (mut lasting, mut assigned) = (FastSet::default(), FastSet::default());
        let (mut zero, mut seen) = (Vec::new(), FastSet::default());
        let mut phases: FastMap<VarId, u32> = FastMap::default();
        each_phase(steps, &mut |phase, once| {
            for variable in &phase.variables {
                *phases.entry(variable.id).or_default() += 1;
                if variable.before == Before::Memory {
                    lasting.insert(variable.id);
                    if !assigned.contains(&variable.id) && seen.insert(variable.id) {
                        zero.push(variable.id);
                    }
                }
                if once && variable.assigned {
                    assigned.insert(variable.id);
                }
            }
        });
        each_phase(steps, &mut |phase, _| {
            for variable in &mut phase.variables {
                variable.stored &= lasting.contains(&variable.id);
            }
        });
        let Some(Step::Phase(first)) = steps.first_mut() else { return };
        for id in zero {
            match first.variables.iter_mut().find(|variable| variable.id == id) {
                Some(variable) if variable.before == Before::Memory => {
                    (variable.before, variable.stored) = (Before::Zero, phases[&id] > 1);
                }
                Some(_) => {}
                None => first.variables.push(PhaseVariable {
                    id,
                    before: Before::Zero,
                    stored: true,
                    assigned: false,
                }),
            }
        }
    }

    /// Adds what is known only of the whole body.
    fn complete(&self, phase: &mut Phase<'a>) {
        let leaving = instructions(phase.stmts).filter(|value| self.crossing.contains(value));
        phase.leaving = leaving.collect();
        phase.prefix = self.prefix(phase);
        phase.first_strip = phase.prefix.is_some_and(|prefix| self.is_in_first_strip(prefix));
    }

    /// Whether no strip but the first one takes a branch.
    fn is_in_first_strip(&self, prefix: Prefix) -> bool {
        let inst = self.inst(prefix.condition);
        let Some(bound) = self.function.constant_index(inst.args[1]) else { return false };
        let from_zero = match Input::from_imm(self.inst(inst.args[0]).imm) {
            Some((Input::ThreadIndexInThreadgroup, _)) => true,
            Some((Input::ThreadPositionInThreadgroup, 0)) => self.strip.line,
            _ => false,
        };
        let bound = bound + i64::from(inst.op != Op::Lt);
        from_zero && (0..=i64::from(self.strip.lanes * self.strip.parts)).contains(&bound)
    }

    /// Joins neighbouring phases that only the first strip runs: it does so in the order of the program, and a barrier between
    /// them is no code.
    fn join(&self, steps: &mut Vec<Step<'a>>) {
        let mut kept: Vec<Step<'a>> = Vec::with_capacity(steps.len());
        for mut step in steps.drain(..) {
            match &mut step {
                Step::If(_, first, second) | Step::Loop { body: first, next: second, .. } => {
                    self.join(first);
                    self.join(second);
                }
                Step::Phase(phase) => {
                    if let Some(Step::Phase(before)) = kept.last_mut()
                        && before.first_strip
                        && phase.first_strip
                        && self.follows(before, phase)
                    {
                        before.add(phase);
                        continue;
                    }
                }
                Step::Leave { .. } | Step::End { .. } => {}
            }
            kept.push(step);
        }
        *steps = kept;
    }

    /// Whether a phase begins after a barrier that ends another one, and assigns no common variable, which would change for
    /// both.
    fn follows(&self, before: &Phase<'a>, phase: &Phase<'a>) -> bool {
        let assigns =
            |stmt: &Stmt| matches!(stmt, Stmt::Do(value) if self.inst(*value).op == Op::Set);
        std::ptr::eq(before.block, phase.block)
            && phase.start == before.start + before.stmts.len() + 1
            && !phase.stmts.iter().any(assigns)
    }

    /// Whether a phase is a branch that only the first threads take.
    fn prefix(&self, phase: &Phase<'a>) -> Option<Prefix> {
        let mut condition = None;
        for stmt in phase.stmts {
            match stmt {
                Stmt::Do(value) if !self.is_of_strip(*value) => {}
                Stmt::Do(value) => {
                    let op = self.inst(*value).op;
                    let is_pure = op == Op::Get || op.row().effect == Effect::Pure;
                    (is_pure && condition.is_none()).then_some(())?;
                }
                Stmt::If(value, _, otherwise) if otherwise.is_empty() && condition.is_none() => {
                    condition = Some(*value);
                }
                _ => return None,
            }
        }
        let condition = condition?;
        let starts = phase.variables.iter().any(|variable| variable.before == Before::Zero);
        (phase.leaving.is_empty() && !starts).then_some(())?;
        let inst = self.inst(condition);
        let is_zero = |value: Value| self.function.constant_index(value) == Some(0);
        match inst.op {
            Op::Lt | Op::Le => self.is_common(inst.args[1]).then_some(())?,
            Op::Eq => is_zero(inst.args[1]).then_some(())?,
            _ => return None,
        }
        let rising = self.inst(inst.args[0]);
        (rising.op == Op::Input).then_some(())?;
        let one_row = match Input::from_imm(rising.imm)? {
            (Input::ThreadIndexInThreadgroup, _) => false,
            (Input::ThreadPositionInThreadgroup | Input::ThreadPositionInGrid, 0)
                if self.strip.line =>
            {
                false
            }
            (Input::ThreadPositionInThreadgroup | Input::ThreadPositionInGrid, 0) => true,
            _ => return None,
        };
        Some(Prefix { condition, one_row })
    }
}

/// Whether an input is the same in all threads of a threadgroup.
pub(crate) fn is_common_input(imm: u64) -> bool {
    use Input as I;
    !matches!(
        Input::from_imm(imm),
        Some((
            I::ThreadPositionInGrid
                | I::ThreadPositionInThreadgroup
                | I::ThreadIndexInThreadgroup
                | I::ThreadIndexInSimdgroup
                | I::ThreadIndexInQuadgroup
                | I::QuadgroupIndexInThreadgroup
                | I::SimdgroupIndexInThreadgroup,
            _
        ))
    )
}
