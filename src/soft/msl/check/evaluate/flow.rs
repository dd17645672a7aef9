//! Constant evaluation of calls and statements.

use super::item::{Item, Root};
use super::{Facts, Machine};
use crate::soft::ir::hash::FastMap;
use crate::soft::msl::check::constant::{Evaluated, MAX_CALLS, NotConstant, Unevaluated};
use crate::soft::msl::hir::{Constant, Function, InstanceIndex, LocalIndex, Stmt, StmtKind};
use crate::soft::msl::types::Types;
use std::sync::Arc;

/// A call that is active.
pub(super) struct Frame {
    pub(super) function: Arc<Function>,
    pub(super) objects: FastMap<LocalIndex, Root>,
}

/// How a statement ended.
enum Flow {
    Next,
    Break,
    Continue,
    Return(Option<Item>),
}

/// The number of a `case`, or `None` for `default`.
type Label = Option<u64>;

/// Whether a statement is a label of the innermost `switch` around it, or has it inside, as the cases of Duff's device are
/// inside of a loop.
fn has(statement: &Stmt, label: Label) -> bool {
    let inside = |block: &[Stmt]| block.iter().any(|one| has(one, label));
    match &statement.kind {
        StmtKind::Case(own) => *own == label,
        StmtKind::Block(block) => inside(block),
        StmtKind::If(_, yes, no) => inside(yes) || inside(no),
        StmtKind::Loop { body, .. } => inside(body),
        _ => false,
    }
}

impl<F: Facts> Machine<'_, F> {
    pub(super) fn call(&mut self, index: InstanceIndex, values: Vec<Item>) -> Evaluated<Item> {
        if self.frames.len() as u32 >= MAX_CALLS {
            return Err(Unevaluated::TooDeep);
        }
        // Results depend on nothing but the arguments, unless one is an address.
        let call = match values.iter().any(Item::has_address) {
            true => None,
            false => Some((index, values.clone())),
        };
        if let Some(call) = &call
            && let Some(known) = self.facts.shared(|all| all.call(call))
        {
            self.steps_of(known.parts())?;
            return Ok(known);
        }
        let function = self.facts.function(index).ok_or(NotConstant)?;
        let (before, mark) = (self.steps, self.objects.len());
        self.frames.push(Frame { function: function.clone(), objects: FastMap::default() });
        for (at, value) in values.into_iter().enumerate() {
            self.declare(LocalIndex(at as u32), value)?;
        }
        let flow = self.block(&function.body);
        self.frames.pop();
        let result = match flow? {
            Flow::Return(Some(value)) => value,
            _ if function.result == Types::VOID => Item::Zero,
            _ => return Err(NotConstant),
        };
        self.objects.truncate(mark);
        let steps = self.steps - before;
        if let Some(call) = call.filter(|_| !result.has_address()) {
            self.facts.shared(|all| all.remember_call(call, steps, &result));
        }
        Ok(result)
    }

    /// A new object for a local of the innermost call.
    fn declare(&mut self, local: LocalIndex, value: Item) -> Evaluated<()> {
        let frame = self.frames.last().ok_or(NotConstant)?;
        let ty = frame.function.locals.get(local.0 as usize).ok_or(NotConstant)?.qual.ty;
        let object = self.object(ty, value);
        let frame = self.frames.last_mut().ok_or(NotConstant)?;
        frame.objects.insert(local, object);
        Ok(())
    }

    /// Runs statements; what they declare ends with them.
    fn block(&mut self, block: &[Stmt]) -> Evaluated<Flow> {
        self.block_from(block, None)
    }

    /// The same, from a label in it if one is given.
    fn block_from(&mut self, block: &[Stmt], label: Option<Label>) -> Evaluated<Flow> {
        let mark = self.objects.len();
        let flow = self.statements(block, label)?;
        self.objects.truncate(mark);
        Ok(flow)
    }

    /// Runs statements; what they declare outlives them.
    fn statements(&mut self, block: &[Stmt], label: Option<Label>) -> Evaluated<Flow> {
        let first = match label {
            Some(label) => block.iter().position(|one| has(one, label)).ok_or(NotConstant)?,
            None => 0,
        };
        for (at, statement) in block.iter().enumerate().skip(first) {
            let mark = self.objects.len();
            let label = label.filter(|_| at == first);
            let flow = self.statement(statement, label)?;
            // Temporaries end with their statement, except those that a reference names.
            if !matches!(statement.kind, StmtKind::Let(..)) {
                self.objects.truncate(mark);
            }
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Runs a statement, or the part of it from a label on.
    fn statement(&mut self, statement: &Stmt, label: Option<Label>) -> Evaluated<Flow> {
        self.step()?;
        match &statement.kind {
            StmtKind::Expr(expr) => {
                match expr.place {
                    true => self.place(expr).map(drop)?,
                    false => self.run(expr).map(drop)?,
                };
            }
            StmtKind::Let(local, init) => {
                let value = match init {
                    Some(init) => self.run(init)?,
                    None => Item::Nothing,
                };
                self.declare(*local, value)?;
            }
            StmtKind::Block(block) => return self.block_from(block, label),
            StmtKind::If(condition, yes, no) => {
                let taken = match label {
                    Some(label) => yes.iter().any(|one| has(one, label)),
                    None => self.truth(condition)?,
                };
                return self.block_from(if taken { yes } else { no }, label);
            }
            StmtKind::Loop { condition, after, before, step, body } => {
                let (mut first, mut label) = (true, label);
                loop {
                    let mark = self.objects.len();
                    // A jump to a label in the body comes after the condition.
                    let inside = label.take();
                    if inside.is_none() {
                        self.statements(before, None)?;
                    }
                    if let Some(condition) = condition
                        && !(first && *after)
                        && inside.is_none()
                        && !self.truth(condition)?
                    {
                        break;
                    }
                    first = false;
                    match self.block_from(body, inside)? {
                        Flow::Break => break,
                        Flow::Return(value) => return Ok(Flow::Return(value)),
                        Flow::Next | Flow::Continue => {}
                    }
                    if let Some(step) = step {
                        match step.place {
                            true => self.place(step).map(drop)?,
                            false => self.run(step).map(drop)?,
                        };
                    }
                    self.objects.truncate(mark);
                    self.step()?;
                }
            }
            StmtKind::Return(value) => {
                return Ok(Flow::Return(match value {
                    Some(value) => Some(self.run(value)?),
                    None => None,
                }));
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::Switch(value, body) => {
                let Constant::Int(value) = self.scalar(value)? else { return Err(NotConstant) };
                let mut labels = [Some(value), None].into_iter();
                if let Some(label) = labels.find(|&label| body.iter().any(|one| has(one, label))) {
                    return Ok(match self.block_from(body, Some(label))? {
                        Flow::Break => Flow::Next,
                        flow => flow,
                    });
                }
            }
            StmtKind::Case(_) => {}
        }
        Ok(Flow::Next)
    }
}
