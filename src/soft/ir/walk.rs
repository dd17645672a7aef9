//! Walks over the tree of a function, shared by passes, analyses and back ends.

use super::{Block, Function, FunctionBuilder, Stmt, Type, Value};

impl Stmt {
    /// The blocks inside of a statement, in order: the two of an `if`, or a loop's body and its `next` block.
    pub(crate) fn blocks(&self) -> [&[Stmt]; 2] {
        match self {
            Self::If(_, then, otherwise) => [then, otherwise],
            Self::Loop { body, next, .. } => [body, next],
            _ => [&[], &[]],
        }
    }

    /// The same, to change them; `None` if a statement has no blocks.
    pub(crate) fn blocks_mut(&mut self) -> Option<[&mut Block; 2]> {
        match self {
            Self::If(_, then, otherwise) => Some([then, otherwise]),
            Self::Loop { body, next, .. } => Some([body, next]),
            _ => None,
        }
    }

    /// The values that the statement itself reads: a condition, a result, arguments. An instruction's operands are not
    /// among them.
    pub(crate) fn values(&self) -> &[Value] {
        match self {
            Self::If(value, ..) | Self::Return(Some(value)) => std::slice::from_ref(value),
            Self::Call { args, .. } => args,
            _ => &[],
        }
    }

    /// The same, to change them.
    pub(crate) fn values_mut(&mut self) -> &mut [Value] {
        match self {
            Self::If(value, ..) | Self::Return(Some(value)) => std::slice::from_mut(value),
            Self::Call { args, .. } => args,
            _ => &mut [],
        }
    }

    /// The statement with each block inside of it replaced.
    pub(crate) fn map_blocks(mut self, mut change: impl FnMut(Block) -> Block) -> Self {
        if let Some([first, second]) = self.blocks_mut() {
            *first = change(std::mem::take(first));
            *second = change(std::mem::take(second));
        }
        self
    }
}

/// All statements of a block in the order of the source, each before those inside of it.
pub(crate) fn statements(block: &[Stmt]) -> Statements<'_> {
    Statements { block, next: 0, open: Vec::new(), loops: true }
}

/// The same without the statements inside of loops.
pub(crate) fn statements_outside_loops(block: &[Stmt]) -> Statements<'_> {
    Statements { loops: false, ..statements(block) }
}

/// A walk over a block. The passes spend much of their time in it, so it is plain code that is short in a debug build, too.
pub(crate) struct Statements<'a> {
    block: &'a [Stmt],
    /// The position in the block.
    next: usize,
    /// The blocks that follow, with the positions in them, the next one last.
    open: Vec<(&'a [Stmt], usize)>,
    /// Whether it enters loops.
    loops: bool,
}

impl<'a> Iterator for Statements<'a> {
    type Item = &'a Stmt;

    fn next(&mut self) -> Option<&'a Stmt> {
        while self.next == self.block.len() {
            (self.block, self.next) = self.open.pop()?;
        }
        let block = self.block;
        let stmt = &block[self.next];
        self.next += 1;
        let (first, second): (&[Stmt], &[Stmt]) = match stmt {
            Stmt::If(_, then, otherwise) => (then, otherwise),
            Stmt::Loop { body, next, .. } if self.loops => (body, next),
            _ => return Some(stmt),
        };
        self.open.push((block, self.next));
        if !second.is_empty() {
            self.open.push((second, 0));
        }
        (self.block, self.next) = (first, 0);
        Some(stmt)
    }
}

impl Drop for Function {
    /// Drops nested blocks one after another: a recursive drop of deep ones may need more stack than a thread has.
    fn drop(&mut self) {
        let mut open = vec![std::mem::take(&mut self.body)];
        while let Some(mut block) = open.pop() {
            for stmt in &mut block[..] {
                if let Some([first, second]) = stmt.blocks_mut() {
                    open.push(std::mem::take(first));
                    open.push(std::mem::take(second));
                }
            }
        }
    }
}

/// All instructions of a block in the order of the source.
pub(crate) fn instructions(block: &[Stmt]) -> Instructions<'_> {
    Instructions(statements(block))
}

/// The instructions of a block that are not inside of loops in it.
pub(crate) fn outside_loops(block: &[Stmt]) -> Instructions<'_> {
    Instructions(statements_outside_loops(block))
}

/// A walk over the instructions of a block.
pub(crate) struct Instructions<'a>(Statements<'a>);

impl Iterator for Instructions<'_> {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        loop {
            if let Stmt::Do(value) = self.0.next()? {
                return Some(*value);
            }
        }
    }
}

/// The number of loops in a block.
pub(crate) fn loops(block: &[Stmt]) -> usize {
    statements(block).filter(|stmt| matches!(stmt, Stmt::Loop { .. })).count()
}

/// A pass that builds a function anew from one that it reads.
pub(crate) trait Rebuild<'a> {
    /// The function that is read.
    fn source(&self) -> &'a Function;
    /// The new one.
    fn out(&mut self) -> &mut FunctionBuilder;
    /// Builds what an instruction becomes.
    fn instruction(&mut self, value: Value);
    /// The new value of a condition or a result.
    fn value(&mut self, value: Value) -> Value;

    /// Builds what a block becomes.
    fn block(&mut self, block: &[Stmt]) {
        for stmt in block {
            match stmt {
                Stmt::Do(value) => {
                    let span = self.source().inst(*value).span;
                    self.out().at(span);
                    self.instruction(*value);
                }
                Stmt::If(condition, then, otherwise) => {
                    let condition = self.value(*condition);
                    self.out().begin_if(condition);
                    self.block(then);
                    if !otherwise.is_empty() {
                        self.out().begin_else();
                        self.block(otherwise);
                    }
                    self.out().end_if();
                }
                Stmt::Loop { body, next, span } => {
                    self.out().at(*span);
                    self.out().begin_loop();
                    self.block(body);
                    self.out().begin_next();
                    self.block(next);
                    self.out().end_loop();
                }
                Stmt::Break => self.out().break_(),
                Stmt::Continue => self.out().continue_(),
                Stmt::Return(value) => {
                    let value = value.map(|value| self.value(value));
                    self.out().return_(value);
                }
                Stmt::Call { func, args, span, .. } => {
                    self.out().at(*span);
                    let args: Vec<Value> = args.iter().map(|&arg| self.value(arg)).collect();
                    // A call that stays a call has no result.
                    self.out().call(*func, &args, Type::Void);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::Span;

    #[test]
    fn statements_come_in_the_order_of_the_source() {
        let of = |number| Stmt::Do(Value(number));
        let (body, next) = (vec![of(2), Stmt::Break], vec![of(3)]);
        let inner = Stmt::Loop { body, next, span: Span::default() };
        let block = vec![of(0), Stmt::If(Value(0), vec![of(1), inner], vec![of(4)]), of(5)];
        let order: Vec<u32> = instructions(&block).map(|value| value.0).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        assert_eq!(statements(&block).count(), 9);
        let short =
            block.into_iter().map(|stmt| stmt.map_blocks(|mut block| block.drain(..1).collect()));
        let short: Vec<Stmt> = short.collect();
        assert_eq!(instructions(&short).map(|value| value.0).collect::<Vec<_>>(), [0, 1, 4, 5]);
    }
}
