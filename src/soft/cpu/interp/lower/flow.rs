//! Control flow: the tree becomes jumps and masks.

use super::{Field, Label, Lowering, NONE};
use crate::soft::cpu::interp::control;
use crate::soft::cpu::interp::registers::Register;
use crate::soft::ir::facts::uniform::Divergence;
use crate::soft::ir::walk::loops;
use crate::soft::ir::{Block, Effect, Op, Span, Stmt, Value};

/// A loop around the point of lowering.
#[derive(Clone, Copy)]
pub(super) struct LoopCode {
    divergence: Divergence,
    broken: Register,
    continued: Register,
    next: Label,
    exit: Label,
    /// Divergent ifs between the loop and this point.
    divergent_depth: u32,
    /// Its number among the estimates of loops.
    estimate: usize,
}

impl Lowering<'_> {
    /// A block, or a part of one: values stay known after it.
    pub(super) fn block(&mut self, block: &[Stmt]) {
        let ends = |stmt: &&Stmt| matches!(stmt, Stmt::Break | Stmt::Continue | Stmt::Return(_));
        let reached = block.iter().position(|stmt| ends(&stmt)).map_or(block.len(), |end| end + 1);
        let parts = self.parts_here.len();
        let mut at = 0;
        while at < reached {
            let run = self.native_run(&block[at..reached]);
            match run {
                0 => self.stmt(&block[at]),
                _ => self.native(&block[at..at + run]),
            }
            at += run.max(1);
        }
        self.forget_parts(parts);
        // The statements that follow are never reached; their loops count all the same.
        self.loop_index += loops(&block[reached..]);
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Do(value) => {
                self.instruction(*value);
                self.count_work();
            }
            Stmt::If(condition, then, otherwise) => self.branch(*condition, then, otherwise),
            Stmt::Loop { body, next, span } => self.repeat(body, next, *span),
            Stmt::Break => self.leave_loop(None),
            Stmt::Continue => self.end_iteration(None),
            Stmt::Return(_) => self.leave(None),
            Stmt::Call { func, args, span, .. } => self.call(*func, args, *span),
        }
    }

    pub(super) fn join(&self) -> Label {
        *self.joins.last().expect("the end is always there")
    }

    /// Return, in all active lanes or where the condition holds.
    fn leave(&mut self, condition: Option<Field>) {
        let join = self.join();
        match condition {
            None => self.emit_jump::<control::Leave>(NONE, NONE, join),
            Some(condition) => self.emit_jump::<control::LeaveIf>(NONE, condition, join),
        }
    }

    /// Break, in all active lanes or where the condition holds.
    fn leave_loop(&mut self, condition: Option<Field>) {
        let inside = *self.loops.last().expect("break is in a loop");
        let join = self.join();
        let broken = Field::Register(inside.broken);
        match condition {
            None if !inside.divergence.breaks => {
                self.emit_jump::<control::Jump>(NONE, NONE, inside.exit);
            }
            None => self.emit_jump::<control::Park>(broken, NONE, join),
            Some(condition) => self.emit_jump::<control::ParkIf>(broken, condition, join),
        }
    }

    /// Continue, in all active lanes or where the condition holds.
    fn end_iteration(&mut self, condition: Option<Field>) {
        let inside = *self.loops.last().expect("continue is in a loop");
        let join = self.join();
        let continued = Field::Register(inside.continued);
        match condition {
            None if inside.divergent_depth == 0 => {
                self.emit_jump::<control::Jump>(NONE, NONE, inside.next);
            }
            None => self.emit_jump::<control::Park>(continued, NONE, join),
            Some(condition) => self.emit_jump::<control::ParkIf>(continued, condition, join),
        }
    }

    fn branch(&mut self, condition: Value, then: &Block, otherwise: &Block) {
        let test = self.operand(condition);
        if test.uniform {
            return self.uniform_branch(test.field, then, otherwise);
        }
        if otherwise.is_empty()
            && let [only] = &then[..]
        {
            match only {
                Stmt::Break => return self.leave_loop(Some(test.field)),
                Stmt::Continue => return self.end_iteration(Some(test.field)),
                Stmt::Return(_) => return self.leave(Some(test.field)),
                _ => {}
            }
        }
        let parked = Field::Register(self.slot());
        let (middle, end) = (self.label(), self.label());
        let simple = otherwise.is_empty();
        self.masked += 1;
        if let Some(inside) = self.loops.last_mut() {
            inside.divergent_depth += 1;
        }
        self.emit_jump::<control::If>(parked, test.field, if simple { end } else { middle });
        self.joins.push(if simple { end } else { middle });
        self.block(then);
        self.joins.pop();
        if !simple {
            self.bind(middle);
            self.emit_jump::<control::Else>(parked, NONE, end);
            self.joins.push(end);
            self.block(otherwise);
            self.joins.pop();
        }
        self.bind(end);
        self.masked -= 1;
        if let Some(inside) = self.loops.last_mut() {
            inside.divergent_depth -= 1;
        }
        let join = self.join();
        self.emit_jump::<control::Join>(parked, NONE, join);
    }

    fn uniform_branch(&mut self, test: Field, then: &Block, otherwise: &Block) {
        let inside = self.loops.last().copied();
        if let (Some(inside), [Stmt::Break], []) = (inside, &then[..], &otherwise[..])
            && !inside.divergence.breaks
        {
            return self.emit_jump::<control::JumpIf>(NONE, test, inside.exit);
        }
        let (middle, end) = (self.label(), self.label());
        self.emit_jump::<control::JumpUnless>(NONE, test, middle);
        self.block(then);
        if !otherwise.is_empty() {
            self.emit_jump::<control::Jump>(NONE, NONE, end);
        }
        self.bind(middle);
        self.block(otherwise);
        self.bind(end);
    }

    fn repeat(&mut self, body: &Block, next: &Block, span: Span) {
        let divergence = self.uniform.loops[self.loop_index];
        self.loop_index += 1;
        let around = self.loops.last().map(|around| around.estimate);
        let estimate = self.estimate(around, body, next);
        self.prepare_for(body);
        self.prepare_for(next);
        let inside = LoopCode {
            divergence,
            broken: self.slot(),
            continued: self.slot(),
            next: self.label(),
            exit: self.label(),
            divergent_depth: 0,
            estimate,
        };
        let masked = divergence.breaks || divergence.continues;
        for (register, used) in
            [(inside.broken, divergence.breaks), (inside.continued, divergence.continues)]
        {
            if used {
                self.emit::<control::Clear>([Field::Register(register), NONE, NONE, NONE], 0);
            }
        }
        // Where lanes leave one by one, they wait for the others at the end of the iteration. Where all leave together, only
        // lanes that returned are missing; if all returned, nothing of the loop is left to run.
        let join = self.join();
        let (body_join, next_join) = if masked { (inside.next, inside.exit) } else { (join, join) };
        self.masked += u32::from(masked);
        self.loops.push(inside);
        let head = self.label();
        let loop_index = self.loop_index;

        // A test at the top is made once before the loop, and again at the end of each iteration.
        self.joins.push(body_join);
        let test = self.top_test(body);
        let test_length = test.map_or(0, |length| length + 1);
        self.block(&body[..test_length]);
        self.bind(head);
        // Values of the test are live at the start of each iteration, like those that were computed before the loop.
        let first = self.code.len() as u32;
        self.block(&body[test_length..]);
        self.joins.pop();

        self.bind(inside.next);
        if divergence.continues {
            let continued = Field::Register(inside.continued);
            self.emit_jump::<control::Join>(continued, NONE, inside.exit);
        } else if masked {
            self.emit_jump::<control::JumpNone>(NONE, NONE, inside.exit);
        }
        self.joins.push(next_join);
        self.block(next);
        match test {
            Some(length) => {
                // The loops of the test were counted the first time.
                let loop_index = std::mem::replace(&mut self.loop_index, loop_index);
                let Stmt::If(condition, ..) = &body[length] else { unreachable!("the test") };
                self.block(&body[..length]);
                self.loop_index = loop_index;
                let condition = self.operand(*condition);
                // The jump back is the loop's: there one without an end is stopped.
                self.at(span);
                if condition.uniform && !divergence.breaks {
                    self.emit_jump::<control::AgainUnless>(NONE, condition.field, head);
                } else {
                    let broken = Field::Register(inside.broken);
                    self.emit_jump::<control::AgainParkIf>(broken, condition.field, head);
                }
            }
            None => {
                self.at(span);
                self.emit_jump::<control::Again>(NONE, NONE, head);
            }
        }
        self.joins.pop();
        self.loops.pop();
        self.masked -= u32::from(masked);
        self.bind(inside.exit);
        let last = self.code.len() as u32;
        if divergence.breaks {
            self.emit_jump::<control::Join>(Field::Register(inside.broken), NONE, join);
        } else if masked {
            self.emit_jump::<control::JumpNone>(NONE, NONE, join);
        }
        self.extents.push((first, last));
        self.set_extent(estimate, (first, last));
    }

    /// If the body begins with a short computation and a conditional break: the length of the former.
    fn top_test(&self, body: &Block) -> Option<usize> {
        const LONGEST: usize = 8;
        let length = body.iter().take_while(|stmt| matches!(stmt, Stmt::Do(_))).count();
        let pure = body[..length].iter().all(|stmt| match stmt {
            Stmt::Do(value) => {
                let inst = self.function.inst(*value);
                let known = self.is_done(*value);
                known || inst.op.row().effect == Effect::Pure || inst.op == Op::Get
            }
            _ => false,
        });
        match body.get(length)? {
            Stmt::If(_, then, otherwise) => {
                (length <= LONGEST && pure && then[..] == [Stmt::Break] && otherwise.is_empty())
                    .then_some(length)
            }
            _ => None,
        }
    }
}
