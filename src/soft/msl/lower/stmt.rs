//! Statements: control flow stays structured; `switch` becomes a loop that runs once.

use super::{Body, Slot};
use crate::soft::ir::{Op, Scalar, Type, Value, VarId, internal_error};
use crate::soft::msl::hir::{Constant, Expr, Stmt, StmtKind};
use crate::soft::msl::types::Types;

impl Body<'_, '_> {
    pub(super) fn block(&mut self, block: &[Stmt]) {
        for statement in block {
            if self.b.is_closed() {
                return;
            }
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        self.at(statement.span);
        match &statement.kind {
            StmtKind::Expr(expr) => self.effect(expr),
            StmtKind::Let(local, init) => {
                let row = self.function.locals[local.0 as usize].clone();
                #[cfg(test)]
                crate::soft::ir::inject_internal_error("lower", &row.name);
                let slot = self.new_slot(&row);
                self.slots[local.0 as usize] = slot;
                match (slot, init) {
                    (_, None) => {}
                    (Slot::Register(variable), Some(init)) => {
                        let value = self.value(init);
                        self.b.set(variable, value);
                    }
                    (Slot::Memory(pointer), Some(init)) => self.put(pointer, init),
                    (Slot::Fixed(_) | Slot::Unset, Some(init)) => self.effect(init),
                }
                self.declare_unions(*local, init.as_ref());
            }
            StmtKind::Block(block) => self.block(block),
            StmtKind::If(condition, yes, no) => {
                if let Some(known) = self.known(condition) {
                    let taken = if known != Constant::Int(0) { yes } else { no };
                    return self.block(taken);
                }
                let condition = self.value(condition);
                self.b.begin_if(condition);
                self.block(yes);
                if !no.is_empty() {
                    self.b.begin_else();
                    self.block(no);
                }
                self.b.end_if();
            }
            StmtKind::Loop { condition, after, before, step, body } => {
                self.b.begin_loop();
                self.open.push(None);
                self.block(before);
                if !after {
                    self.leave_unless(condition.as_ref());
                }
                self.block(body);
                self.open.pop();
                self.b.begin_next();
                if let Some(step) = step {
                    self.effect(step);
                }
                if *after {
                    self.leave_unless(condition.as_ref());
                }
                self.b.end_loop();
            }
            StmtKind::Switch(value, body) => self.switch(value, body),
            // `switch` lowers its own labels.
            StmtKind::Case(_) => internal_error("a label outside of a switch"),
            StmtKind::Break => self.b.break_(),
            StmtKind::Continue => self.continue_(),
            StmtKind::Return(value) => self.return_(value.as_ref()),
        }
    }

    fn leave_unless(&mut self, condition: Option<&Expr>) {
        let Some(condition) = condition else { return };
        if matches!(self.known(condition), Some(known) if known != Constant::Int(0)) {
            return;
        }
        let condition = self.value(condition);
        let not = self.b.op(Op::Not, &[condition]);
        self.b.break_if(not);
    }

    /// A `continue` inside switches, which are loops in the IR: it breaks out of each, and each
    /// repeats it after its end.
    fn continue_(&mut self) {
        match self.open.last().copied().flatten() {
            None => self.b.continue_(),
            Some(flag) => {
                let yes = self.b.bool(true);
                self.b.set(flag, yes);
                self.b.break_();
            }
        }
    }

    fn return_(&mut self, value: Option<&Expr>) {
        let value = match value {
            Some(value) if self.function.result != Types::VOID => match self.result {
                Some(pointer) => {
                    self.put_copied(pointer, value);
                    None
                }
                None => Some(self.value(value)),
            },
            Some(value) => {
                self.effect(value);
                None
            }
            None => None,
        };
        self.b.return_(value);
    }

    /// Cases in order; a `running` flag implements fall-through. A `default`
    /// is taken when no label matches, wherever it is (C++14 stmt.switch).
    fn switch(&mut self, value: &Expr, body: &[Stmt]) {
        let scalar = self.ty(value.qual.ty).scalar().unwrap_or(Scalar::I32);
        let value = self.value(value);
        let flag = self.b.variable("", Type::BOOL);
        let no = self.b.bool(false);
        let continues = contains_continue(body);
        if continues {
            self.b.set(flag, no);
        }
        self.b.begin_loop();
        self.open.push(Some(flag));
        let nested = |statement: &Stmt| {
            !matches!(statement.kind, StmtKind::Case(_)) && labels_in(statement) > 0
        };
        if body.iter().any(nested) {
            self.jump(value, scalar, body);
        } else {
            self.cases(value, scalar, body);
        }
        self.open.pop();
        if !self.b.is_closed() {
            self.b.break_();
        }
        self.b.begin_next();
        self.b.end_loop();
        if continues {
            let passed = self.b.get(flag);
            self.b.begin_if(passed);
            self.continue_();
            self.b.end_if();
        }
    }

    /// The body of a `switch` whose labels are all in its outermost block.
    fn cases(&mut self, value: Value, scalar: Scalar, body: &[Stmt]) {
        let labels = own_labels(body);
        let running = self.b.variable("", Type::BOOL);
        // Code before the first label is unreachable.
        let mut at =
            body.iter().position(|s| matches!(s.kind, StmtKind::Case(_))).unwrap_or(body.len());
        let mut falls_in = false;
        while at < body.len() {
            let start = at;
            while at < body.len() && matches!(body[at].kind, StmtKind::Case(_)) {
                at += 1;
            }
            let group = &body[start..at];
            let end = body[at..].iter().position(|s| matches!(s.kind, StmtKind::Case(_)));
            let end = end.map_or(body.len(), |length| at + length);
            let code = &body[at..end];
            at = end;
            let mut taken = self.matches(group, &labels, value, scalar);
            if falls_in {
                let before = self.b.get(running);
                taken = self.b.op(Op::Or, &[before, taken]);
            }
            falls_in = !code.last().is_some_and(never_falls);
            if falls_in {
                self.b.set(running, taken);
            }
            self.b.begin_if(taken);
            self.block(code);
            self.b.end_if();
        }
    }

    /// The body of a `switch` with labels inside of nested statements, such as Duff's device.
    ///
    /// A variable holds the number of the label that control is on its way to, counted from 1 in the
    /// order of the text; 0 means that it has arrived. Statements before the label are skipped, and
    /// the statements around it are entered without testing their conditions.
    fn jump(&mut self, value: Value, scalar: Scalar, body: &[Stmt]) {
        let mut labels = Vec::new();
        body.iter().for_each(|statement| collect_labels(statement, &mut labels));
        let target = self.b.variable("", Type::U32);
        let default = labels.iter().position(Option::is_none).map_or(u32::MAX, |at| at as u32 + 1);
        let mut chosen = self.b.u32(default);
        for (at, label) in labels.iter().enumerate() {
            let Some(label) = *label else { continue };
            let label = self.b.int(scalar, label as i64);
            let equal = self.b.op(Op::Eq, &[value, label]);
            let number = self.b.u32(at as u32 + 1);
            chosen = self.b.op(Op::Select, &[equal, number, chosen]);
        }
        self.b.set(target, chosen);
        self.resume(body, &mut Jump { target, passed: 0 });
    }

    fn resume(&mut self, block: &[Stmt], jump: &mut Jump) {
        let mut at = 0;
        while let Some(statement) = block.get(at) {
            let plain = block[at..].iter().take_while(|next| labels_in(next) == 0).count();
            if plain > 0 {
                let arrived = self.arrived(jump);
                self.b.begin_if(arrived);
                self.block(&block[at..at + plain]);
                self.b.end_if();
                at += plain;
                continue;
            }
            self.resume_at_label(statement, jump);
            at += 1;
        }
    }

    /// A statement that is a label or contains labels.
    fn resume_at_label(&mut self, statement: &Stmt, jump: &mut Jump) {
        self.at(statement.span);
        match &statement.kind {
            StmtKind::Case(_) => {
                let here = self.is_ahead(jump, 1);
                jump.passed += 1;
                self.b.begin_if(here);
                let zero = self.b.u32(0);
                self.b.set(jump.target, zero);
                self.b.end_if();
            }
            StmtKind::Block(block) => self.resume(block, jump),
            StmtKind::If(condition, yes, no) => {
                let taken = self.b.variable("", Type::BOOL);
                let ahead = self.is_ahead(jump, yes.iter().map(labels_in).sum());
                self.b.set(taken, ahead);
                let arrived = self.arrived(jump);
                self.b.begin_if(arrived);
                let condition = self.value(condition);
                self.b.set(taken, condition);
                self.b.end_if();
                let taken = self.b.get(taken);
                self.b.begin_if(taken);
                self.resume(yes, jump);
                self.b.begin_else();
                self.resume(no, jump);
                self.b.end_if();
            }
            StmtKind::Loop { condition, after, before, step, body } => {
                let arrived = self.arrived(jump);
                let ahead = self.is_ahead(jump, body.iter().map(labels_in).sum());
                let entered = self.b.op(Op::Or, &[arrived, ahead]);
                self.b.begin_if(entered);
                self.b.begin_loop();
                self.open.push(None);
                let arrived = self.arrived(jump);
                self.b.begin_if(arrived);
                self.block(before);
                if !after {
                    self.leave_unless(condition.as_ref());
                }
                self.b.end_if();
                self.resume(body, jump);
                self.open.pop();
                self.b.begin_next();
                if let Some(step) = step {
                    self.effect(step);
                }
                if *after {
                    self.leave_unless(condition.as_ref());
                }
                self.b.end_loop();
                self.b.end_if();
            }
            _ => internal_error("a label in a statement that has none"),
        }
    }

    /// Whether control has arrived at its label.
    fn arrived(&mut self, jump: &Jump) -> Value {
        let target = self.b.get(jump.target);
        let zero = self.b.u32(0);
        self.b.op(Op::Eq, &[target, zero])
    }

    /// Whether control is on its way to one of the next labels.
    fn is_ahead(&mut self, jump: &Jump, count: u32) -> Value {
        let target = self.b.get(jump.target);
        let first = self.b.u32(jump.passed + 1);
        let from_first = self.b.sub(target, first);
        let count = self.b.u32(count);
        self.b.lt(from_first, count)
    }

    fn matches(&mut self, group: &[Stmt], labels: &[u64], value: Value, scalar: Scalar) -> Value {
        let equal = |this: &mut Self, label: u64| {
            let label = this.b.int(scalar, label as i64);
            this.b.op(Op::Eq, &[value, label])
        };
        let any = |this: &mut Self, list: &[u64]| {
            let mut any: Option<Value> = None;
            for &label in list {
                let one = equal(this, label);
                any = Some(match any {
                    Some(before) => this.b.op(Op::Or, &[before, one]),
                    None => one,
                });
            }
            any
        };
        let is_default = group.iter().any(|s| matches!(s.kind, StmtKind::Case(None)));
        if is_default {
            // No label outside the group may match.
            let own: Vec<u64> = own_labels(group);
            let others: Vec<u64> =
                labels.iter().copied().filter(|label| !own.contains(label)).collect();
            return match any(self, &others) {
                Some(matched) => self.b.op(Op::Not, &[matched]),
                None => self.b.bool(true),
            };
        }
        match any(self, &own_labels(group)) {
            Some(matched) => matched,
            None => self.b.bool(false),
        }
    }
}

/// The progress of [`Body::jump`].
struct Jump {
    /// The number of the label that control is on its way to.
    target: VarId,
    /// The number of labels so far.
    passed: u32,
}

/// The labels of a `switch` in one of its statements, in the order of the text.
fn collect_labels(statement: &Stmt, out: &mut Vec<Option<u64>>) {
    match &statement.kind {
        StmtKind::Case(label) => out.push(*label),
        StmtKind::Block(block) | StmtKind::Loop { body: block, .. } => {
            block.iter().for_each(|inner| collect_labels(inner, out));
        }
        StmtKind::If(_, yes, no) => yes.iter().chain(no).for_each(|s| collect_labels(s, out)),
        _ => {}
    }
}

fn labels_in(statement: &Stmt) -> u32 {
    let mut labels = Vec::new();
    collect_labels(statement, &mut labels);
    labels.len() as u32
}

fn own_labels(group: &[Stmt]) -> Vec<u64> {
    let label = |statement: &Stmt| match statement.kind {
        StmtKind::Case(label) => label,
        _ => None,
    };
    group.iter().filter_map(label).collect()
}

/// Whether control certainly does not continue after the statement.
fn never_falls(statement: &Stmt) -> bool {
    match &statement.kind {
        StmtKind::Break | StmtKind::Continue | StmtKind::Return(_) => true,
        StmtKind::Block(block) => block.last().is_some_and(never_falls),
        _ => false,
    }
}

/// Whether the statements contain a `continue` of an outer loop.
fn contains_continue(block: &[Stmt]) -> bool {
    block.iter().any(|statement| match &statement.kind {
        StmtKind::Continue => true,
        StmtKind::Block(block) | StmtKind::Switch(_, block) => contains_continue(block),
        StmtKind::If(_, yes, no) => contains_continue(yes) || contains_continue(no),
        _ => false,
    })
}
