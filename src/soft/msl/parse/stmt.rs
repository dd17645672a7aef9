//! Statements (C++14 stmt.stmt).

use super::scope::Known;
use super::{Parse, Parser};
use crate::soft::ir::{Span as Position, compiling};
use crate::soft::msl::ast::*;
use crate::soft::msl::lex::{Kind, Punct};
use crate::soft::msl::names::Name;
use std::sync::Arc;

impl Parser<'_> {
    /// block: '{' statement* '}'
    pub(super) fn block(&mut self) -> Parse<Block> {
        self.expect(Punct::LBrace)?;
        let outer_in = self.declare_in.take();
        let outer_name = self.class_name.take();
        let result = self.bracketed(|this| {
            this.scoped(|this| {
                let mut statements = Vec::new();
                while !this.is(Punct::RBrace) && !this.at_end() {
                    let (before, scope) = (this.at, this.scopes.current);
                    match this.statement() {
                        Ok(statement) => statements.push(statement),
                        Err(failed) => {
                            if this.diagnostics.is_full() {
                                return Err(failed);
                            }
                            this.scopes.current = scope;
                            if this.at == before {
                                this.advance();
                            }
                            this.recover();
                        }
                    }
                }
                this.expect(Punct::RBrace)?;
                Ok(statements)
            })
        });
        self.declare_in = outer_in;
        self.class_name = outer_name;
        Ok(Block { statements: result? })
    }

    /// statement: one of those below, or a declaration, or an expression
    fn statement(&mut self) -> Parse<Stmt> {
        self.nested(|this| {
            let start = this.token().span;
            compiling(Position(start.lo));
            let kind = this.statement_kind()?;
            Ok(Stmt { kind, span: this.span_from(start) })
        })
    }

    fn statement_kind(&mut self) -> Parse<StmtKind> {
        // Attributes of statements are hints (unroll, likely); those of declarations are parsed.
        if self.is(Punct::LBracket) && self.peek(1).is(Punct::LBracket) {
            let at = self.at;
            self.skip_attributes()?;
            if self.is_declaration_start() {
                self.at = at;
                return Ok(StmtKind::Decl(self.declaration()?));
            }
        }
        let token = self.token();
        match token.kind {
            Kind::Punct(Punct::LBrace) => return Ok(StmtKind::Block(self.block()?)),
            Kind::Punct(Punct::Semi) => {
                self.advance();
                return Ok(StmtKind::Empty);
            }
            Kind::Ident => {}
            _ => return self.expression_statement(),
        }
        match token.name {
            Name::IF => self.if_statement(),
            Name::WHILE => {
                self.advance();
                self.scoped(|this| {
                    let condition = this.condition()?;
                    let body = Box::new(this.scoped(Self::statement)?);
                    Ok(StmtKind::While { condition, body })
                })
            }
            Name::DO => self.do_statement(),
            Name::FOR => {
                self.advance();
                self.expect(Punct::LParen)?;
                self.scoped(Self::for_rest)
            }
            Name::SWITCH => {
                self.advance();
                self.scoped(|this| {
                    // `switch (init; condition)` is a block with both (C++17 stmt.select).
                    let (init, condition) = this.initialised_condition()?;
                    let body = Box::new(this.statement()?);
                    let kind = StmtKind::Switch { condition, body };
                    let Some(init) = init else { return Ok(kind) };
                    let span = this.span_from(token.span);
                    Ok(StmtKind::Block(Block { statements: vec![*init, Stmt { kind, span }] }))
                })
            }
            Name::CASE => {
                self.advance();
                let value = self.conditional_expr()?;
                let last = match self.eat(Punct::Ellipsis) {
                    true => Some(self.conditional_expr()?),
                    false => None,
                };
                self.expect(Punct::Colon)?;
                Ok(StmtKind::Case(value, last))
            }
            Name::DEFAULT => {
                self.advance();
                self.expect(Punct::Colon)?;
                Ok(StmtKind::Default)
            }
            Name::BREAK | Name::CONTINUE => {
                self.advance();
                self.expect(Punct::Semi)?;
                Ok(if token.name == Name::BREAK { StmtKind::Break } else { StmtKind::Continue })
            }
            // It would leave the function around it.
            Name::RETURN if self.in_statements => {
                self.fail(token.span, "'return' in a statement expression is not supported")
            }
            Name::RETURN => {
                self.advance();
                let value = match self.token().kind {
                    Kind::Punct(Punct::Semi) => None,
                    Kind::Punct(Punct::LBrace) => Some(self.init_list()?),
                    _ => Some(self.expression()?),
                };
                self.expect(Punct::Semi)?;
                Ok(StmtKind::Return(value))
            }
            // MSL 1.5.4: no goto, no exceptions, no inline assembly.
            Name::GOTO | Name::TRY | Name::THROW | Name::ASM => {
                let word = self.text(token.name);
                self.fail(token.span, format!("'{word}' is not supported in Metal"))
            }
            Name::ELSE => self.fail(token.span, "expected expression"),
            _ if self.is_declaration_start() => Ok(StmtKind::Decl(self.declaration()?)),
            _ => self.expression_statement(),
        }
    }

    fn expression_statement(&mut self) -> Parse<StmtKind> {
        let value = self.expression()?;
        if !self.is(Punct::Semi) {
            let span = self.previous_span().end();
            return self.fail(span, "expected ';' after expression");
        }
        self.advance();
        Ok(StmtKind::Expr(value))
    }

    /// if: 'if' 'constexpr'? '(' (init ';')? condition ')' statement ('else' statement)?
    fn if_statement(&mut self) -> Parse<StmtKind> {
        self.advance();
        let constant = self.eat_name(Name::CONSTEXPR);
        self.scoped(|this| {
            let (init, condition) = this.initialised_condition()?;
            let yes = Box::new(this.scoped(Self::statement)?);
            let no = match this.eat_name(Name::ELSE) {
                true => Some(Box::new(this.scoped(Self::statement)?)),
                false => None,
            };
            Ok(StmtKind::If { constant, init, condition, yes, no })
        })
    }

    /// initialised-condition: '(' statement? condition ')', of an `if` or a `switch`
    fn initialised_condition(&mut self) -> Parse<(Option<Box<Stmt>>, Condition)> {
        let init = self.look(|this| {
            this.expect(Punct::LParen)?;
            this.expression_or_declaration_then_semi()
        });
        if init.is_none() {
            return Ok((None, self.condition()?));
        }
        self.expect(Punct::LParen)?;
        let init = Box::new(self.statement()?);
        Ok((Some(init), self.condition_rest()?))
    }

    /// Whether an `if` has an init-statement: something up to a ';' before the ')' closes.
    fn expression_or_declaration_then_semi(&mut self) -> Parse<()> {
        let mut depth = 0u32;
        loop {
            match self.token().kind {
                Kind::Punct(Punct::Semi) if depth == 0 => return Ok(()),
                Kind::Punct(Punct::RParen | Punct::RBrace) if depth == 0 => return self.failed(),
                Kind::Punct(Punct::LParen | Punct::LBracket | Punct::LBrace) => depth += 1,
                Kind::Punct(Punct::RParen | Punct::RBracket | Punct::RBrace) => {
                    depth = depth.saturating_sub(1);
                }
                Kind::Eof => return self.failed(),
                _ => {}
            }
            self.advance();
        }
    }

    /// condition: '(' (expression | specifiers declarator initializer) ')'
    fn condition(&mut self) -> Parse<Condition> {
        if !self.is(Punct::LParen) {
            return self.fail(self.token().span, "expected '(' after statement keyword");
        }
        self.advance();
        self.condition_rest()
    }

    fn condition_rest(&mut self) -> Parse<Condition> {
        let condition = self.condition_inner()?;
        self.expect(Punct::RParen)?;
        Ok(condition)
    }

    fn condition_inner(&mut self) -> Parse<Condition> {
        Ok(if self.is_declaration_start() {
            Condition::Variable(Arc::new(self.condition_variable()?))
        } else {
            Condition::Expr(self.bracketed(Self::expression)?)
        })
    }

    /// do: 'do' statement 'while' '(' expression ')' ';'
    fn do_statement(&mut self) -> Parse<StmtKind> {
        self.advance();
        let body = Box::new(self.scoped(Self::statement)?);
        if !self.eat_name(Name::WHILE) {
            return self.fail(self.token().span, "expected 'while' in do/while loop");
        }
        self.expect(Punct::LParen)?;
        let condition = self.bracketed(Self::expression)?;
        self.expect(Punct::RParen)?;
        self.expect(Punct::Semi)?;
        Ok(StmtKind::Do { body, condition })
    }

    /// for-rest: (init ';' condition? ';' step? | variable ':' range) ')' statement
    fn for_rest(&mut self) -> Parse<StmtKind> {
        if self.is_declaration_start() {
            let range = self.attempt(|this| {
                let variable = this.range_variable()?;
                this.expect(Punct::Colon)?;
                Ok(variable)
            });
            if let Some((variable, parts)) = range {
                let range = match self.is(Punct::LBrace) {
                    true => self.init_list()?,
                    false => self.expression()?,
                };
                self.expect(Punct::RParen)?;
                if let Some(Decl::Bindings(parts)) = &parts {
                    for ident in &parts.names {
                        self.scopes.declare_here(ident.name, Known::Value);
                    }
                }
                let mut body = Box::new(self.statement()?);
                if let Some(parts) = parts {
                    let span = body.span;
                    let parts = Stmt { kind: StmtKind::Decl(parts), span };
                    let block = Block { statements: vec![parts, *body] };
                    body = Box::new(Stmt { kind: StmtKind::Block(block), span });
                }
                return Ok(StmtKind::RangeFor { variable: Arc::new(variable), range, body });
            }
        }
        let init = Box::new(self.statement()?);
        let condition = match self.is(Punct::Semi) {
            true => None,
            false => Some(self.condition_inner()?),
        };
        self.expect(Punct::Semi)?;
        let step = match self.is(Punct::RParen) {
            true => None,
            false => Some(self.bracketed(Self::expression)?),
        };
        self.expect(Punct::RParen)?;
        let body = Box::new(self.scoped(Self::statement)?);
        Ok(StmtKind::For { init, condition, step, body })
    }
}
