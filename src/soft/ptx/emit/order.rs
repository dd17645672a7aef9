//! The order of straight code: loads that do not depend on each other are checked first, then done, and what uses them follows. So
//! all are under way at a time, although the assembler moves nothing over the branch of a check.

use std::collections::HashSet;

use super::Emit;
use super::flow::has_no_effect;
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Effect, Function, Op, Stmt, Value};

/// The statement that is written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The check of a load.
    Check(Value),
    /// An instruction.
    Do(Value),
}

/// Loads that are independent, and what is around them.
#[derive(Default)]
struct Segment {
    early: Vec<Value>,
    loads: Vec<Value>,
    late: Vec<Value>,
    /// Values and variables that depend on the loads.
    values: HashSet<Value>,
    variables: HashSet<u64>,
}

impl Segment {
    fn end(&mut self, steps: &mut Vec<Step>) {
        let Self { early, loads, late, .. } = std::mem::take(self);
        steps.extend(early.into_iter().map(Step::Do));
        // One load has its check before it anyway.
        if loads.len() > 1 {
            steps.extend(loads.iter().map(|&load| Step::Check(load)));
        }
        steps.extend(loads.into_iter().chain(late).map(Step::Do));
    }

    fn add(&mut self, function: &Function, value: Value, steps: &mut Vec<Step>) {
        let inst = function.inst(value);
        let depends = |segment: &Self| inst.args.iter().any(|arg| segment.values.contains(arg));
        match inst.op {
            // The first of two faults is that of the first load: so loads keep their order.
            Op::Load => {
                if depends(self) {
                    self.end(steps);
                }
                self.loads.push(value);
                self.values.insert(value);
            }
            Op::Get if self.variables.contains(&inst.imm) => {
                self.late.push(value);
                self.values.insert(value);
            }
            Op::Get => self.early.push(value),
            Op::Set if depends(self) || self.variables.contains(&inst.imm) => {
                self.late.push(value);
                self.variables.insert(inst.imm);
            }
            Op::Set => self.early.push(value),
            op if op.row().effect == Effect::Reads => {
                self.end(steps);
                steps.push(Step::Do(value));
            }
            _ if depends(self) => {
                self.late.push(value);
                self.values.insert(value);
            }
            _ => self.early.push(value),
        }
    }
}

/// The order of the first statements of a block, up to one with an effect, and how many these are.
fn in_order(function: &Function, block: &[Stmt]) -> (Vec<Step>, usize) {
    let (mut steps, mut segment, mut seen) = (Vec::new(), Segment::default(), 0);
    for stmt in block {
        let Stmt::Do(value) = stmt else { break };
        if !has_no_effect(function, stmt) {
            break;
        }
        segment.add(function, *value, &mut steps);
        seen += 1;
    }
    segment.end(&mut steps);
    (steps, seen)
}

impl Emit<'_> {
    /// Writes the first statements of a block, up to one with an effect. Returns how many these are.
    pub(super) fn straight(&mut self, block: &[Stmt]) -> usize {
        self.join_loads(block);
        let (mut steps, seen) = in_order(self.function, block);
        // Where no check is between the loads the assembler finds the order, which decides how many registers it needs.
        let is_checked = |step: &&Step| match step {
            Step::Check(load) => {
                let pointer = self.function.inst(*load).args[0];
                !self.versions.is_checked(*load) && self.pushed_offset(pointer).is_none()
            }
            Step::Do(_) => false,
        };
        if steps.iter().filter(is_checked).count() == 0 {
            steps.clear();
            steps.extend(instructions(&block[..seen]).map(Step::Do));
        }
        let is_check = |step: &Step| matches!(step, Step::Check(_));
        for run in steps.chunk_by(|a, b| is_check(a) && is_check(b)) {
            match run {
                [Step::Do(value)] => self.instruction(*value),
                checks => {
                    let load = |step: &Step| match *step {
                        Step::Check(load) | Step::Do(load) => load,
                    };
                    self.check_all(&checks.iter().map(load).collect::<Vec<_>>());
                }
            }
        }
        self.end_joins();
        seen
    }
}
