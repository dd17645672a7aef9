//! Shrinks a failing program while it fails in the same way.

use super::program::*;
use crate::soft::ir::Scalar;

/// The smallest program found; `fails` compiles each candidate first, so a candidate may be invalid.
pub(super) fn shrink(mut program: Program, fails: impl Fn(&Program) -> bool) -> Program {
    loop {
        let before = size(&program);
        for edit in [Edit::Remove, Edit::Open, Edit::Simplify] {
            let mut at = 0;
            while let Some(candidate) = edited(&program, edit, at) {
                if size(&candidate) < size(&program) && fails(&candidate) {
                    program = candidate;
                } else {
                    at += 1;
                }
            }
        }
        if size(&program) >= before {
            return program;
        }
    }
}

fn size(program: &Program) -> usize {
    super::print::print(program).len()
}

#[derive(Clone, Copy, PartialEq)]
enum Edit {
    /// Removes a statement.
    Remove,
    /// Replaces a statement by its body.
    Open,
    /// Replaces an expression by one of its parts, or by 1.
    Simplify,
}

/// The program with an edit at the position of this number; `None` past the last position.
fn edited(program: &Program, edit: Edit, at: usize) -> Option<Program> {
    let mut program = program.clone();
    let (structs, functions) = (program.structs.clone(), program.functions.clone());
    let (mut left, mut done) = (at, false);
    for routine in program.routines_mut() {
        let variables = routine.variables.clone();
        let scope = Scope {
            structs: &structs,
            functions: &functions,
            variables: &variables,
            arguments: None,
        };
        let mut editor = Editor { edit, scope, left, done };
        editor.block(&mut routine.body);
        (left, done) = (editor.left, editor.done);
    }
    done.then_some(program)
}

struct Editor<'a> {
    edit: Edit,
    scope: Scope<'a>,
    /// Positions still to skip.
    left: usize,
    done: bool,
}

impl Editor<'_> {
    /// Whether this is the position to edit.
    fn here(&mut self) -> bool {
        if self.done {
            return false;
        }
        self.done = self.left == 0;
        self.left = self.left.saturating_sub(1);
        self.done
    }

    fn block(&mut self, body: &mut Vec<Stmt>) {
        let mut index = 0;
        while index < body.len() && !self.done {
            let inside =
                blocks(&mut body[index]).into_iter().map(std::mem::take).collect::<Vec<_>>();
            let has_blocks = !inside.is_empty();
            for (block, kept) in blocks(&mut body[index]).into_iter().zip(&inside) {
                block.clone_from(kept);
            }
            // A function without its last return would have no value.
            let removable = !matches!(body[index], Stmt::Return(Some(_)));
            if self.edit == Edit::Remove && removable && self.here() {
                body.remove(index);
                return;
            }
            if self.edit == Edit::Open && has_blocks && self.here() {
                body.splice(index..=index, inside.concat());
                return;
            }
            if self.edit == Edit::Simplify {
                for expr in exprs(&mut body[index]) {
                    self.expr(expr);
                }
            }
            for block in blocks(&mut body[index]) {
                self.block(block);
            }
            index += 1;
        }
    }

    fn expr(&mut self, expr: &mut Expr) {
        // The replacement has the same type, so that the program stays valid.
        let ty = self.scope.expr(expr);
        let mut smaller: Vec<Expr> = parts(expr).into_iter().map(|part| part.clone()).collect();
        smaller.retain(|part| self.scope.expr(part) == ty);
        if !matches!(ty, Type::Struct(..)) {
            let one = Box::new(Expr::Literal(Scalar::I32, 1));
            smaller.push(Expr::Convert(ty, one, 0));
        }
        for candidate in smaller {
            if self.here() {
                *expr = candidate;
                return;
            }
        }
        for part in parts(expr) {
            self.expr(part);
        }
    }
}

/// The blocks directly in a statement.
fn blocks(stmt: &mut Stmt) -> Vec<&mut Vec<Stmt>> {
    match stmt {
        Stmt::If(_, yes, no) => vec![yes, no],
        Stmt::For(.., body) | Stmt::While(.., body) | Stmt::Do(.., body) => vec![body],
        Stmt::Switch(_, cases) => cases.iter_mut().map(|case| &mut case.body).collect(),
        _ => Vec::new(),
    }
}

/// The expressions directly in a statement.
fn exprs(stmt: &mut Stmt) -> Vec<&mut Expr> {
    match stmt {
        Stmt::Declare(_, value)
        | Stmt::Assign(_, value)
        | Stmt::Compound(_, _, value)
        | Stmt::If(value, ..)
        | Stmt::For(_, value, _)
        | Stmt::While(_, value, _)
        | Stmt::Do(_, value, _)
        | Stmt::Switch(value, _)
        | Stmt::Return(Some(value))
        | Stmt::Across(_, _, value)
        | Stmt::Exchange(_, value, _)
        | Stmt::Atomic(_, _, value)
        | Stmt::Store(_, value) => vec![value],
        Stmt::DeclareList(_, values) | Stmt::Change(_, _, values) => values.iter_mut().collect(),
        Stmt::Call(_, _, arguments) => arguments
            .iter_mut()
            .filter_map(|argument| match argument {
                Argument::Value(value) => Some(value),
                Argument::Place(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The expressions directly in an expression.
fn parts(expr: &mut Expr) -> Vec<&mut Expr> {
    match expr {
        Expr::Unary(_, value)
        | Expr::Convert(_, value, _)
        | Expr::Swizzle(value, _)
        | Expr::Made(value)
        | Expr::Member(.., value) => vec![value],
        Expr::Buffer(.., at) | Expr::Table(.., at) => vec![at],
        Expr::Binary(_, a, b) | Expr::Logical(_, a, b) => vec![a, b],
        Expr::Conditional(a, b, c) | Expr::Select(a, b, c) => vec![a, b, c],
        Expr::Compose(.., list)
        | Expr::Library(_, list)
        | Expr::Call(.., list)
        | Expr::Method(.., list) => list.iter_mut().collect(),
        Expr::Literal(..) | Expr::Read(_) | Expr::Input(_) | Expr::Implicit(_) | Expr::Count => {
            Vec::new()
        }
    }
}
