//! Statements and function bodies (C++14 stmt.stmt, class.base.init).

use super::constant::NotConstant;
use super::destroy::Cleanups;
use super::lookup::Found;
use super::template::TemplateId;
use super::{Body, Checker, Entity, FuncId, Owner, ScopeKind, VariableId};
use crate::soft::ir::hash::{FastMap, FastSet};
use crate::soft::msl::ast::{self, AddressSpace, Condition, Decl, StmtKind as Ast};
use crate::soft::msl::hir::{Constant, Expr, ExprKind, Function, LocalIndex, Stmt, StmtKind, Uses};
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, StructId, Ty, TyId, Types};
use std::sync::Arc;

/// The most values of a range of cases.
const MAX_CASES: i64 = 1 << 12;

impl Checker {
    /// Checks a function's body with `this` in the given space. `None` when there is no body.
    pub(super) fn function_body(
        &mut self,
        id: FuncId,
        space: Option<AddressSpace>,
    ) -> Option<Function> {
        let func = self.func(id);
        let (scope, result, span) = (func.scope, func.result, func.span);
        let (name, constructor, class, this) =
            (func.name.clone(), func.constructor, func.class, func.this);
        let (parameters, packs) = (func.parameters.clone(), func.packs.clone());
        let entry = !matches!(func.stage, None | Some(ast::Stage::Visible));
        let Some(definition) = func.definition.clone() else {
            self.error(span, format!("function '{name}' is used but not defined"));
            return None;
        };
        self.scope = self.new_scope(ScopeKind::Block, scope);
        self.bodies += 1;
        let mut body = Body {
            owner: Owner::Body(self.bodies, id),
            locals: Vec::new(),
            values: Vec::new(),
            items: FastMap::default(),
            result,
            decltype: matches!(definition.specifiers.base, ast::BaseType::Decltype(None)),
            this: None,
            breakable: 0,
            loops: 0,
            labels: Vec::new(),
            cleanups: Cleanups::default(),
            initialised: None,
            entry,
        };
        if let (Some((constant, _)), Some(class)) = (this, class) {
            let ty = self.types.intern(Ty::Struct(class));
            let constant = constant || space == Some(AddressSpace::Constant);
            let qual =
                Qual { constant, space: space.or(Some(AddressSpace::Thread)), ..Qual::plain(ty) };
            body.this = Some((class, qual));
        }
        let this = body.this;
        self.body = Some(body);
        if let Some((_, qual)) = this {
            let ty = self.types.pointer(qual);
            self.new_local("this".into(), Qual::plain(ty));
        }
        for parameter in &parameters {
            let text = parameter.name.map(|name| self.text(name)).unwrap_or_default();
            let local = self.new_local(text, parameter.qual);
            if let Some(name) = parameter.name {
                self.redefinition(name, parameter.span);
                self.bind_local(name, local, parameter.span);
            }
            self.note_cleanup(local, parameter.qual, parameter.span);
            if entry {
                continue;
            }
            if let Ty::Opaque(what) = *self.types.get(parameter.qual.ty) {
                self.unsupported(parameter.span, format!("'{what}' is"));
            }
        }
        let count = self.body.as_ref().map_or(0, |body| body.locals.len()) as u32;
        let before = count - parameters.len() as u32;
        for pack in packs {
            let first = VariableId(self.variables.len() as u32);
            for at in pack.first..pack.first + pack.count {
                self.variable(LocalIndex(before + at), parameters[at as usize].span);
            }
            self.bind(self.scope, pack.name, Entity::Locals(first, pack.count));
        }
        if entry {
            self.check_entry(id);
        }
        let mut statements = Vec::new();
        if constructor
            && !self.is_defaulted_copy(id)
            && let Some(class) = class
        {
            self.member_initializers(class, &definition, &mut statements);
        }
        if let ast::Body::Block(block) = &definition.body {
            // The parameters' own scope is that of the outermost block ([basic.scope.block]/2).
            for statement in &block.statements {
                self.statement(statement, &mut statements);
            }
            self.end_scope(0, &mut statements);
        }
        let mut body = self.body.take()?;
        let result = match body.result {
            Some(result) => result,
            None => Qual::plain(Types::VOID),
        };
        if self.func(id).result.is_none() && result.ty != Types::UNKNOWN {
            self.check_entry_result(id, result);
        }
        self.functions[id.0 as usize].result = Some(result);
        if result.ty == Types::VOID && !constructor && !entry {
            let own = (self.instance(id, space), count as usize);
            self.loop_tail_calls(&mut statements, &mut body.locals, own, span);
        }
        let uses = Uses::of_block(&statements);
        Some(Function {
            uses,
            name,
            locals: body.locals,
            parameters: count,
            result: result.ty,
            body: statements,
        })
    }

    /// A constructor's members: its own initialisers, then the defaults of the class
    /// (class.base.init/9), in the order of declaration.
    fn member_initializers(
        &mut self,
        class: StructId,
        definition: &ast::Function,
        out: &mut Vec<Stmt>,
    ) {
        // A delegating constructor has no other initialisers ([class.base.init]/6).
        if let [(path, init, None)] = &definition.initializers[..]
            && let Found::Entities(list) = self.lookup_path(path)
            && let ty = self.types.intern(Ty::Struct(class))
            && list.contains(&Entity::Type(Qual::plain(ty)))
        {
            let value =
                self.made_for_object(|this| this.initializer(Qual::plain(ty), init, path.span));
            if let (Some(value), Some(this)) = (value, self.this_object(path.span)) {
                out.push(assignment(this, value));
            }
            return;
        }
        // Each initialiser with the base that it names, and with its element if it expands packs.
        let mut given = Vec::new();
        for one @ (path, _, expands) in &definition.initializers {
            let count = match expands {
                Some(mentioned) => self.expansion_length(mentioned, path.span).unwrap_or(0),
                None => 1,
            };
            for at in 0..count {
                let base = self.element_of(one, at, |this| this.base_named(class, path));
                let member =
                    path.plain().is_some_and(|name| self.field_path(class, name).is_some());
                if !member && base.is_none() {
                    let text = self.path_text(path);
                    self.error(
                        path.span,
                        format!(
                            "member initializer '{text}' does not name a non-static data member"
                        ),
                    );
                }
                given.push((one, at, base));
            }
        }
        let row = self.types.class(class).clone();
        for (index, field) in row.fields().iter().enumerate() {
            let given = given.iter().find(|((path, ..), _, base)| match field.base {
                true => *base == Some(field.qual.ty),
                false => path.plain().is_some() && path.plain() == field.name,
            });
            let qual = Qual::plain(field.qual.ty);
            let span = given.map_or(definition.span, |((path, ..), ..)| path.span);
            let value = match given {
                Some(((_, ast::Init::Direct(arguments), _), ..)) if arguments.is_empty() => {
                    self.made_for_object(|this| Some(this.value_initialised(qual, span)))
                }
                Some((one, at, _)) => self.element_of(one, *at, |this| {
                    this.made_for_object(|this| this.initializer(qual, &one.1, span))
                }),
                None if row.union => None,
                None => {
                    let value =
                        self.made_for_object(|this| Some(this.member_default(class, index, span)));
                    // A member without a default is uninitialised.
                    value.filter(|value| !matches!(value.kind, ExprKind::Zero))
                }
            };
            let (Some(value), Some(this)) = (value, self.this_object(span)) else { continue };
            let member = Expr {
                kind: ExprKind::Field(Box::new(this), index as u32),
                qual: field.qual,
                place: true,
                span,
            };
            out.push(assignment(member, value));
        }
    }

    /// `T()`: runs a class's constructor or member initialisers, and is zero otherwise (dcl.init/8).
    fn value_initialised(&mut self, qual: Qual, span: Span) -> Expr {
        match self.default_value(qual, span) {
            Some(value) => value,
            None => self.value(ExprKind::Zero, qual.ty, span),
        }
    }

    /// Checks an initialiser of a constructor, of which this is an element if it expands packs.
    fn element_of<T>(
        &mut self,
        one: &(ast::Path, ast::Init, Option<ast::Mentioned>),
        at: usize,
        check: impl FnOnce(&mut Self) -> T,
    ) -> T {
        match &one.2 {
            Some(mentioned) => self.with_element(mentioned, at, check),
            None => check(self),
        }
    }

    /// The base class that a constructor's initialiser names.
    fn base_named(&mut self, class: StructId, path: &ast::Path) -> Option<TyId> {
        let ty = self.types.intern(Ty::Struct(class));
        let bases = self.bases_of(ty);
        if bases.is_empty()
            || path.plain().is_some_and(|name| self.field_path(class, name).is_some())
        {
            return None;
        }
        let qual = self.named_type(path);
        bases.into_iter().find(|&base| base == qual.ty)
    }

    fn block(&mut self, block: &ast::Block) -> Vec<Stmt> {
        self.scoped_with_cleanups(|this| {
            let mut out = Vec::new();
            for statement in &block.statements {
                this.statement(statement, &mut out);
            }
            out
        })
    }

    /// A statement as a block with its own scope: a branch or the body of a loop.
    fn branch(&mut self, statement: &ast::Stmt) -> Vec<Stmt> {
        match &statement.kind {
            Ast::Block(block) => self.block(block),
            _ => self.scoped_with_cleanups(|this| {
                let mut out = Vec::new();
                this.statement(statement, &mut out);
                out
            }),
        }
    }

    fn statement(&mut self, statement: &ast::Stmt, out: &mut Vec<Stmt>) {
        if self.context.diagnostics.is_full() {
            return;
        }
        let span = statement.span;
        self.at(span);
        let push = |out: &mut Vec<Stmt>, kind| out.push(Stmt { kind, span });
        match &statement.kind {
            Ast::Empty => {}
            Ast::Expr(expr) => {
                let expr = self.expr(expr);
                push(out, StmtKind::Expr(expr));
            }
            Ast::Decl(declaration) => self.local_declaration(declaration, out),
            Ast::Block(block) => push(out, StmtKind::Block(self.block(block))),
            Ast::If { constant, init, condition, yes, no } => {
                let block = self.scoped_with_cleanups(|this| {
                    let mut out = Vec::new();
                    if let Some(init) = init {
                        this.statement(init, &mut out);
                    }
                    let condition = this.condition(condition, &mut out);
                    let known = constant.then(|| this.evaluate(&condition));
                    if let Some(Err(why)) = known
                        && condition.qual.ty != Types::UNKNOWN
                    {
                        let message = "constexpr if condition is not a constant expression";
                        this.not_constant(condition.span, message, why);
                    }
                    let taken = known.and_then(Result::ok).map(|value| value != Constant::Int(0));
                    let mut part = |statement: Option<&ast::Stmt>, live: bool| match statement {
                        Some(statement) if live => this.branch(statement),
                        _ => Vec::new(),
                    };
                    let yes = part(Some(yes), taken != Some(false));
                    let no = part(no.as_deref(), taken != Some(true));
                    out.push(Stmt { kind: StmtKind::If(condition, yes, no), span });
                    out
                });
                push(out, StmtKind::Block(block));
            }
            Ast::While { condition, body } => {
                let kind = self.scoped(|this| {
                    let mut before = Vec::new();
                    let condition = Some(this.loop_condition(condition, &mut before));
                    let body = this.loop_body(body);
                    StmtKind::Loop { condition, after: false, before, step: None, body }
                });
                push(out, kind);
            }
            Ast::Do { body, condition } => {
                let body = self.loop_body(body);
                let condition = self.expr(condition);
                let condition = Some(self.condition_value(condition));
                push(
                    out,
                    StmtKind::Loop { condition, after: true, before: Vec::new(), step: None, body },
                );
            }
            Ast::For { init, condition, step, body } => {
                let block = self.scoped_with_cleanups(|this| {
                    let mut out = Vec::new();
                    this.statement(init, &mut out);
                    let mut before = Vec::new();
                    let condition = condition.as_ref().map(|c| this.loop_condition(c, &mut before));
                    let step = step.as_ref().map(|step| this.expr(step));
                    let body = this.loop_body(body);
                    let kind = StmtKind::Loop { condition, after: false, before, step, body };
                    out.push(Stmt { kind, span });
                    out
                });
                push(out, StmtKind::Block(block));
            }
            Ast::RangeFor { variable, range, body } => {
                let block = self.scoped(|this| this.range_for(variable, range, body, span));
                push(out, StmtKind::Block(block));
            }
            Ast::Switch { condition, body } => {
                let block = self.scoped_with_cleanups(|this| {
                    let mut out = Vec::new();
                    let value = this.switch_value(condition, &mut out);
                    this.enter_jumps(false);
                    if let Some(body) = this.this_body() {
                        body.breakable += 1;
                        body.labels.push(FastSet::default());
                    }
                    let inner = this.branch(body);
                    this.leave_jumps();
                    if let Some(body) = this.this_body() {
                        body.breakable -= 1;
                        body.labels.pop();
                    }
                    out.push(Stmt { kind: StmtKind::Switch(value, inner), span });
                    out
                });
                push(out, StmtKind::Block(block));
            }
            Ast::Case(first, last) => {
                let Some(first) = self.constant_int(first) else { return };
                let last = match last {
                    Some(last) => self.constant_int(last),
                    None => Some(first),
                };
                let Some(last) = last else { return };
                if last.saturating_sub(first) >= MAX_CASES {
                    let message = format!("a range of cases has more than {MAX_CASES} values");
                    return self.error(span, message);
                }
                for value in first..=last {
                    push(out, StmtKind::Case(Some(value as u64)));
                    self.label(Some(value), span);
                }
            }
            Ast::Default => {
                push(out, StmtKind::Case(None));
                self.label(None, span);
            }
            Ast::Break => {
                if self.body.as_ref().is_some_and(|body| body.breakable == 0) {
                    self.leaves_nothing("'break' statement not in loop or switch statement", span);
                }
                self.cleanups_of_jump(false, out);
                push(out, StmtKind::Break);
            }
            Ast::Continue => {
                if self.body.as_ref().is_some_and(|body| body.loops == 0) {
                    self.leaves_nothing("'continue' statement not in loop statement", span);
                }
                self.cleanups_of_jump(true, out);
                push(out, StmtKind::Continue);
            }
            Ast::Return(value) => {
                let value = self.made_for_object(|this| this.returned(value.as_ref(), span));
                let value = self.cleanups_of_return(value, out);
                push(out, StmtKind::Return(value));
            }
        }
    }

    /// Reports a jump without a statement that it leaves.
    fn leaves_nothing(&mut self, message: &str, span: Span) {
        match self.is_in_statement_expression() {
            true => self.unsupported(span, "leaving a statement expression by a jump is"),
            false => self.error(span, message),
        }
    }

    /// A `case`, or a `default` without a value, in the enclosing switch (stmt.switch).
    fn label(&mut self, value: Option<i64>, span: Span) {
        if self.jumps_past_object() {
            self.error(span, "cannot jump from switch statement to this case label");
        }
        let Some(body) = self.this_body() else { return };
        let message = match (body.labels.last_mut().map(|labels| labels.insert(value)), value) {
            (Some(true), _) => return,
            (Some(false), Some(value)) => format!("duplicate case value '{value}'"),
            (Some(false), None) => "multiple default labels in one switch".into(),
            (None, Some(_)) => "'case' statement not in switch statement".into(),
            (None, None) => "'default' statement not in switch statement".into(),
        };
        self.error(span, message);
    }

    pub(super) fn loop_body(&mut self, body: &ast::Stmt) -> Vec<Stmt> {
        if let Some(body) = self.this_body() {
            body.loops += 1;
            body.breakable += 1;
        }
        self.enter_jumps(true);
        let out = self.branch(body);
        self.leave_jumps();
        if let Some(body) = self.this_body() {
            body.loops -= 1;
            body.breakable -= 1;
        }
        out
    }

    /// The condition of an `if` or a loop; the declaration of its variable comes before.
    pub(super) fn condition(&mut self, condition: &Condition, before: &mut Vec<Stmt>) -> Expr {
        let value = self.condition_operand(condition, before);
        self.condition_value(value)
    }

    fn condition_operand(&mut self, condition: &Condition, before: &mut Vec<Stmt>) -> Expr {
        match condition {
            Condition::Expr(expr) => self.expr(expr),
            Condition::Variable(simple) => {
                self.local_variables(simple, before);
                let name = simple.declarators.first().and_then(|d| d.declarator.name.clone());
                match name {
                    Some(name) => self.path(&name),
                    None => self.error_expr(simple.span),
                }
            }
        }
    }

    fn switch_value(&mut self, condition: &Condition, before: &mut Vec<Stmt>) -> Expr {
        let value = self.condition_operand(condition, before);
        let span = value.span;
        if value.qual.ty == Types::UNKNOWN {
            return value;
        }
        let value = self.integer_operand(value);
        let value = self.operand_value(value);
        if value.qual.ty == Types::UNKNOWN {
            return value;
        }
        let scalar = match self.types.get(value.qual.ty) {
            Ty::Enum(id) => Some(self.types.enumeration(*id).underlying),
            _ => self.types.as_scalar(value.qual.ty).filter(|scalar| !scalar.is_float()),
        };
        match scalar {
            Some(scalar) => {
                let ty = Types::scalar(super::convert::promoted(scalar));
                if value.qual.ty == ty {
                    value
                } else {
                    self.value(ExprKind::Convert(Box::new(value)), ty, span)
                }
            }
            None => {
                let name = self.types.name(value.qual.ty);
                self.error(
                    span,
                    format!("statement requires expression of integer type ('{name}' invalid)"),
                );
                self.error_expr(span)
            }
        }
    }

    fn returned(&mut self, value: Option<&ast::Expr>, span: Span) -> Option<Expr> {
        let wanted = self.body.as_ref().and_then(|body| body.result);
        match (value, wanted) {
            (None, Some(wanted)) if wanted.ty != Types::VOID => {
                self.error(span, "non-void function should return a value");
                None
            }
            (None, _) => {
                self.deduce_result(Qual::plain(Types::VOID));
                None
            }
            (Some(value), Some(wanted)) if wanted.ty == Types::VOID => {
                let value = self.expr(value);
                if value.qual.ty != Types::VOID && value.qual.ty != Types::UNKNOWN {
                    self.error(span, "void function should not return a value");
                }
                Some(value)
            }
            (Some(value), Some(wanted)) => Some(match value.kind {
                ast::ExprKind::InitList(_) => self.list_value(wanted, value),
                _ => {
                    let value = self.expr(value);
                    match self.moved_local(&value, wanted) {
                        Some(moved) => moved,
                        None => self.implicit(value, wanted, "return a value of type"),
                    }
                }
            }),
            // `decltype(auto)`: the first one is as any other of a known type.
            (Some(expr), None) if self.body.as_ref().is_some_and(|body| body.decltype) => {
                let qual = self.decltype(expr);
                self.deduce_result(Qual { constant: false, ..Qual::plain(qual.ty) });
                self.returned(value, span)
            }
            (Some(value), None) => {
                let value = self.expr(value);
                let wanted = Qual::plain(value.qual.ty);
                let value = match self.moved_local(&value, wanted) {
                    Some(moved) => moved,
                    None => self.rvalue(value),
                };
                self.deduce_result(value.qual);
                Some(value)
            }
        }
    }

    fn deduce_result(&mut self, qual: Qual) {
        if let Some(body) = &mut self.body
            && body.result.is_none()
        {
            body.result = Some(qual);
        }
    }

    // ---- local variables -----------------------------------------------------------------

    fn local_declaration(&mut self, declaration: &Decl, out: &mut Vec<Stmt>) {
        match declaration {
            Decl::Simple(simple)
                if !simple.specifiers.storage.typedef
                    && simple.declarators.iter().all(|d| d.declarator.function().is_none()) =>
            {
                self.local_variables(simple, out);
            }
            Decl::Bindings(bindings) => self.structured_bindings(bindings, out),
            Decl::Function(function) => {
                let span = function.declarator.span;
                self.error(span, "function definition is not allowed here");
            }
            // A function's declaration in a block is one of the enclosing namespace, and its name is
            // visible in the block only ([basic.link]/6).
            Decl::Simple(simple) if !simple.specifiers.storage.typedef => {
                if simple.declarators.iter().any(|one| one.declarator.function().is_none()) {
                    let what = "declaration of functions and variables together is";
                    return self.unsupported(simple.span, what);
                }
                let here = self.scope;
                let Some(around) = self.namespace_around(here) else { return };
                self.in_scope(around).declare(declaration);
                for one in &simple.declarators {
                    let Some(name) = one.declarator.name.as_ref().and_then(ast::Path::plain) else {
                        continue;
                    };
                    for entity in self.lookup_in(around, name) {
                        self.bind(here, name, entity);
                    }
                }
            }
            other => self.declare(other),
        }
    }

    fn local_variables(&mut self, simple: &Arc<ast::Simple>, out: &mut Vec<Stmt>) {
        let (base, deduced) = self.variable_specifiers(&simple.specifiers);
        let mut first = None;
        for (index, one) in simple.declarators.iter().enumerate() {
            let Some(name) = one.declarator.name.as_ref().and_then(ast::Path::plain) else {
                self.error(one.declarator.span, "expected unqualified-id");
                continue;
            };
            // Threadgroup variables and tables exist once, not in each thread (MSL 4.2, 4.4). The
            // space is that of the variable itself: `device int* p` is a pointer in thread memory.
            let qual = self.declared_type(base, &one.declarator);
            let shared =
                matches!(qual.space, Some(AddressSpace::Threadgroup | AddressSpace::Constant))
                    || simple.specifiers.storage.statik && qual.constant;
            if qual.space == Some(AddressSpace::Threadgroup)
                && self.body.as_ref().is_some_and(|body| !body.entry)
            {
                // MSL 4.4: its lifetime is that of the threadgroup, so it is declared in the entry point.
                let text = self.text(name);
                let message =
                    format!("threadgroup variable '{text}' must be declared in a kernel function");
                self.error(one.declarator.span, message);
            }
            if qual.space == Some(AddressSpace::Threadgroup)
                && (deduced.is_some() || matches!(simple.specifiers.base, ast::BaseType::Auto))
            {
                let text = self.text(name);
                let what = match deduced {
                    Some(_) => "a class template without arguments",
                    None => "'auto'",
                };
                let message =
                    format!("threadgroup variable '{text}' must have a type other than {what}");
                self.error(one.declarator.span, message);
                continue;
            }
            if shared {
                self.global(simple, (base, deduced), index);
                self.compare_deduced(simple, deduced, one, &mut first);
                // All threads of the group share it, and each writes its initial value.
                if qual.space == Some(AddressSpace::Threadgroup)
                    && !matches!(one.init, ast::Init::None)
                {
                    let span = one.declarator.span;
                    let place = ast::Path::of(name, span);
                    let place = self.path(&place);
                    if let Some(value) = self.initializer(Qual::plain(qual.ty), &one.init, span) {
                        out.push(assignment(place, value));
                    }
                }
                continue;
            }
            if simple.specifiers.storage.statik {
                // MSL 5.3: only constants outlive a thread.
                let text = self.text(name);
                let message =
                    format!("static variable '{text}' must reside in constant address space");
                self.error(one.declarator.span, message);
            }
            if qual.space == Some(AddressSpace::Device) {
                self.error(
                    one.declarator.span,
                    "automatic variable qualified with an address space",
                );
                continue;
            }
            self.local_variable(simple, one, (base, deduced), name, qual, out);
            self.compare_deduced(simple, deduced, one, &mut first);
        }
    }

    fn local_variable(
        &mut self,
        simple: &ast::Simple,
        one: &ast::InitDeclarator,
        (base, template): (Qual, Option<TemplateId>),
        name: Name,
        qual: Qual,
        out: &mut Vec<Stmt>,
    ) {
        let span = one.declarator.span;
        let decltype = matches!(simple.specifiers.base, ast::BaseType::Decltype(None));
        let auto = matches!(simple.specifiers.base, ast::BaseType::Auto)
            || template.is_some()
            || decltype && !matches!(one.init, ast::Init::Copy(_));
        let mut qual = Qual { space: Some(AddressSpace::Thread), ..qual };
        if let (true, ast::Init::Copy(expr)) = (decltype, &one.init) {
            qual = self.decltype(expr);
            qual.space = Some(AddressSpace::Thread);
        }
        let value = if auto {
            let mut deduced = qual;
            let value = self.made_for_object(|this| {
                let (qual, value) = match template {
                    Some(id) => this.deduced_value(id, simple, base, one),
                    None => this.auto_value(base, one, span),
                };
                deduced = qual;
                value
            });
            qual = Qual { space: Some(AddressSpace::Thread), ..deduced };
            value
        } else {
            self.made_for_object(|this| this.initializer(qual, &one.init, span))
        };
        if let (Ty::Array(_, None), Some(value)) = (self.types.get(qual.ty), &value) {
            qual.ty = value.qual.ty;
        }
        if self.types.layout(qual.ty).is_none() && qual.ty != Types::UNKNOWN {
            let ty = self.types.name(qual.ty);
            self.error(span, format!("variable has incomplete type '{ty}'"));
        }
        if matches!(self.types.get(qual.ty), Ty::Reference(..)) && value.is_none() {
            let text = self.text(name);
            self.error(
                span,
                format!("declaration of reference variable '{text}' requires an initializer"),
            );
        }
        if let Ty::Opaque(what) = *self.types.get(qual.ty) {
            self.unsupported(span, format!("'{what}' is"));
        }
        self.redefinition(name, span);
        let attributes = simple.specifiers.attributes.iter().chain(&one.declarator.attributes);
        self.alignment(qual.ty, attributes);
        // [dcl.init]/7: it could not get a value later.
        let says_nothing = value.is_none() && matches!(one.init, ast::Init::None);
        if qual.constant && says_nothing && !self.has_default(qual.ty) {
            let ty = self.types.name(qual.ty);
            let message = format!("default initialization of an object of const type 'const {ty}'");
            self.error(span, message);
        }
        let text = self.text(name);
        let evaluated = match &value {
            Some(value) if qual.constant && self.types.as_scalar(qual.ty).is_some() => {
                Some(self.evaluate(value))
            }
            _ => None,
        };
        let constant = evaluated.and_then(Result::ok);
        if simple.specifiers.storage.constexpr
            && value.is_some()
            && constant.is_none()
            && self.types.as_scalar(qual.ty).is_some()
            && !self.context.diagnostics.has_errors()
        {
            let text = self.text(name);
            let message =
                format!("constexpr variable '{text}' must be initialized by a constant expression");
            let why = evaluated.and_then(Result::err).unwrap_or(NotConstant);
            self.not_constant(span, &message, why);
        }
        let item = match &value {
            Some(value) if simple.specifiers.storage.constexpr && constant.is_none() => {
                self.evaluate_item(value).ok()
            }
            _ => None,
        };
        // A constant replaces its initialiser, which may call a recursive function.
        let value = match (value, constant) {
            (Some(value), Some(constant)) if simple.specifiers.storage.constexpr => {
                Some(Expr { kind: ExprKind::Constant(constant), place: false, ..value })
            }
            (value, _) => value,
        };
        let local = self.new_local(text, qual);
        if let Some(body) = &mut self.body {
            body.values[local.0 as usize] = constant;
            body.items.extend(item.map(|item| (local, item)));
        }
        self.bind_local(name, local, span);
        self.note_cleanup(local, qual, span);
        out.push(Stmt { kind: StmtKind::Let(local, value), span });
    }
}

/// The statement `place = value`.
fn assignment(place: Expr, value: Expr) -> Stmt {
    let (qual, span) = (place.qual, place.span);
    let kind = ExprKind::Assign(Box::new(place), Box::new(value));
    Stmt { kind: StmtKind::Expr(Expr { kind, qual, place: true, span }), span }
}
