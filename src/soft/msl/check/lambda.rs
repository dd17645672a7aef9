//! Lambda expressions (C++14 expr.prim.lambda): a class with the captures as members and the call operator. The class's
//! scope is inside that of the lambda, so that its members hide the variables that they copy or refer to.

use super::lookup::Found;
use super::{Checker, Class, Entity, FuncId, ScopeKind};
use crate::soft::msl::ast;
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{self, Qual, StructId, StructName, Ty, TyId, Types};

/// The name of the classes of lambdas, which a program cannot spell.
const CLOSURE: &str = "(lambda)";

/// The name of the classes of statement expressions.
const STATEMENTS: &str = "(statement expression)";

/// A member of a closure and its initial value.
struct Captured {
    name: Name,
    qual: Qual,
    value: Expr,
}

/// The members of a closure, and the packs among them: the name, the first member and their number.
#[derive(Default)]
struct Captures {
    members: Vec<Captured>,
    packs: Vec<(Name, u32, u32)>,
}

impl Captures {
    fn has(&self, name: Name) -> bool {
        self.members.iter().any(|one| one.name == name)
            || self.packs.iter().any(|one| one.0 == name)
    }
}

impl Checker {
    pub(super) fn lambda(&mut self, lambda: &ast::Lambda, span: Span) -> Expr {
        if lambda.statements && self.body.is_none() {
            self.error(span, "statement expression not allowed at file scope");
            return self.error_expr(span);
        }
        let captured = self.captured(lambda, span);
        let name = StructName::plain(if lambda.statements { STATEMENTS } else { CLOSURE });
        let id = self.types.add_class(types::Struct::new(name, false));
        let scope = self.new_scope(ScopeKind::Class(id), self.scope);
        self.classes.push(Class::new(scope));
        for one in &captured.members {
            let align = self.types.layout(one.qual.ty).map_or(1, |layout| layout.1);
            self.add_field(id, Some(one.name), one.qual, align, span, false);
            self.classes[id.0 as usize].defaults.push(None);
        }
        for &(name, first, count) in &captured.packs {
            self.bind(scope, name, Entity::Fields(id, first, count));
        }
        self.complete_class(id);
        let ty = self.types.intern(Ty::Struct(id));
        self.outside(scope, |this| this.declare(&lambda.operator));
        let values = captured.members.into_iter().map(|one| one.value).collect();
        self.refuse_destructor(ty, span);
        self.value(ExprKind::Aggregate(values), ty, span)
    }

    fn captured(&mut self, lambda: &ast::Lambda, span: Span) -> Captures {
        let mut all = Captures::default();
        for ast::Capture { name, reference, object, pack, init } in &lambda.captures {
            if *pack
                && let Found::Entities(list) = self.lookup(name.name)
                && let Some(&pack @ (Entity::Locals(..) | Entity::Fields(..))) = list.first()
            {
                self.capture_pack((name.name, pack), *reference, name.span, &mut all);
                continue;
            }
            let value = match init {
                Some(init) => self.expr(init),
                None if name.name == Name::THIS => match self.this_object(name.span) {
                    Some(this) => {
                        let this = self.enclosing_object(this, name.span);
                        if *object { this } else { self.address_of(this, name.span) }
                    }
                    None => {
                        self.error(name.span, "'this' cannot be captured in this context");
                        continue;
                    }
                },
                None => match self.lookup(name.name) {
                    // Variables at program scope need no capture.
                    Found::Entities(list)
                        if !matches!(list.first(), Some(Entity::Local(_) | Entity::Binding(_))) =>
                    {
                        let text = self.text(name.name);
                        let message = format!(
                            "'{text}' cannot be captured because it is not a local variable"
                        );
                        self.error(name.span, message);
                        continue;
                    }
                    _ => self.path(&ast::Path::of(name.name, name.span)),
                },
            };
            all.members.extend(self.capture(name.name, value, *reference));
        }
        let Some(reference) = lambda.default else { return all };
        for &name in lambda.mentioned.iter() {
            if all.has(name) {
                continue;
            }
            let value = match self.lookup(name) {
                Found::Entities(list) => match list.first() {
                    Some(Entity::Local(variable)) if self.is_of_here(*variable) => {
                        self.path(&ast::Path::of(name, span))
                    }
                    Some(Entity::Binding(_)) => self.path(&ast::Path::of(name, span)),
                    Some(&pack @ Entity::Fields(..)) => {
                        self.capture_pack((name, pack), reference, span, &mut all);
                        continue;
                    }
                    Some(&pack @ Entity::Locals(first, count)) => {
                        if count == 0 || self.is_of_here(first) {
                            self.capture_pack((name, pack), reference, span, &mut all);
                        }
                        continue;
                    }
                    // So does a member function.
                    Some(first) if self.is_member_function(first) => {
                        if !all.has(Name::THIS) {
                            all.members.extend(self.captured_this(span));
                        }
                        continue;
                    }
                    _ => continue,
                },
                // A variable that the lambda around this one has captured.
                Found::Member(class, _) if self.is_closure(class) && name != Name::THIS => {
                    self.path(&ast::Path::of(name, span))
                }
                Found::Member(..) | Found::Nothing if name != Name::THIS => {
                    // A member needs `this`, once.
                    let member = matches!(self.lookup(name), Found::Member(..));
                    if member && !all.has(Name::THIS) {
                        all.members.extend(self.captured_this(span));
                    }
                    continue;
                }
                _ => {
                    all.members.extend(self.captured_this(span));
                    continue;
                }
            };
            all.members.extend(self.capture(name, value, reference));
        }
        all
    }

    /// Captures each element of a pack of parameters, as members with names that a program cannot spell.
    fn capture_pack(
        &mut self,
        (name, pack): (Name, Entity),
        reference: bool,
        span: Span,
        all: &mut Captures,
    ) {
        let (first, path) = (all.members.len() as u32, ast::Path::of(name, span));
        let mut count = 0;
        while let Some(element) = self.nth_element(pack, count as usize) {
            let value = self.named(Some(element), &path);
            let text = format!("{}:{count}", self.text(name));
            let name = self.context.names.intern(&text);
            all.members.extend(self.capture(name, value, reference));
            count += 1;
        }
        all.packs.push((name, first, all.members.len() as u32 - first));
    }

    fn captured_this(&mut self, span: Span) -> Option<Captured> {
        let object = self.this_object(span)?;
        let object = self.enclosing_object(object, span);
        let value = self.address_of(object, span);
        self.capture(Name::THIS, value, false)
    }

    /// Whether a variable is one of the function that is being checked, and not a known constant.
    fn is_of_here(&self, variable: super::VariableId) -> bool {
        let row = &self.variables[variable.0 as usize];
        self.body.as_ref().is_some_and(|body| body.owner == row.owner) && row.value.is_none()
    }

    fn capture(&mut self, name: Name, value: Expr, reference: bool) -> Option<Captured> {
        if value.qual.ty == Types::UNKNOWN {
            return None;
        }
        if reference {
            let referred = Qual { space: Some(value.qual.space_or_thread()), ..value.qual };
            let qual = Qual::plain(self.types.intern(Ty::Reference(referred, false)));
            let value = self.implicit(value, qual, "bind a reference of type");
            return Some(Captured { name, qual, value });
        }
        let ty = value.qual.ty;
        // Arrays are copied whole.
        let value = match value.place {
            true => self.stored(value),
            false => value,
        };
        Some(Captured { name, qual: Qual::plain(ty), value })
    }

    /// Whether a function, or the functions of a template, are members that need an object.
    fn is_member_function(&self, entity: &Entity) -> bool {
        match entity {
            Entity::Function(id) => self.func(*id).this.is_some(),
            Entity::Template(id) => self.is_member_template(*id),
            _ => false,
        }
    }

    // ---- pointers to the functions of lambdas ----------------------------------------------

    /// The function of a lambda without captures, as a pointer of type `to` ([expr.prim.lambda]/6).
    pub(super) fn closure_as_pointer(&mut self, closure: TyId, to: TyId) -> Option<FuncId> {
        let Ty::Pointer(pointee) = *self.types.get(to) else { return None };
        let Ty::Function(_, parameters) = self.types.get(pointee.ty).clone() else { return None };
        let id = match self.closure_operator(closure)? {
            Entity::Template(id) => {
                let sources = parameters.iter().map(|&parameter| {
                    let source = self.source_of(parameter);
                    (source.qual, source.place)
                });
                let sources: Vec<(Qual, bool)> = sources.collect();
                self.quiet_candidate(id, &sources)?
            }
            Entity::Function(id) => id,
            _ => return None,
        };
        let id = self.static_operator(id);
        (self.type_of_pointer(id) == Some(to)).then_some(id)
    }

    /// The same for a lambda without `auto` parameters, whose function has one type.
    pub(super) fn function_of_closure(&mut self, closure: TyId, span: Span) -> Option<Expr> {
        let Entity::Function(id) = self.closure_operator(closure)? else { return None };
        let id = self.static_operator(id);
        self.pointer_to_function(id, span)
    }

    /// The call operator of a lambda without captures.
    fn closure_operator(&mut self, closure: TyId) -> Option<Entity> {
        let (class, row) = self.types.structure(closure)?;
        if !self.is_closure(class) || !row.fields().is_empty() {
            return None;
        }
        let name = self.label_name(&ast::Label::Operator(Punct::LParen));
        let scope = self.classes[class.0 as usize].scope;
        self.scopes[scope.0 as usize].names.get(&name)?.first().copied()
    }

    /// The call operator as a function that needs no object, with its result.
    fn static_operator(&mut self, id: FuncId) -> FuncId {
        if let Some(&known) = self.static_operators.get(&id) {
            return known;
        }
        let func = super::Func { this: None, ..self.func(id).clone() };
        self.functions.push(func);
        let own = FuncId(self.functions.len() as u32 - 1);
        self.static_operators.insert(id, own);
        if self.func(own).result.is_none() {
            let index = self.instance(own, None);
            self.check_instance(index);
        }
        own
    }

    fn is_closure(&self, class: StructId) -> bool {
        matches!(&*self.types.class(class).name.text, CLOSURE | STATEMENTS)
    }

    /// Whether the body that is being checked is that of a statement expression.
    pub(super) fn is_in_statement_expression(&self) -> bool {
        let this = self.body.as_ref().and_then(|body| body.this);
        this.is_some_and(|(class, _)| &*self.types.class(class).name.text == STATEMENTS)
    }

    /// The member of a closure that is its captured `this`.
    pub(super) fn this_of_closure(&self, ty: TyId) -> Option<u32> {
        let (_, row) = self.types.structure(ty)?;
        row.field_named(Name::THIS).map(|at| at as u32)
    }

    /// `this` as an object of a class: in a lambda that captures it, that of the function around.
    pub(super) fn object_of_class(&mut self, class: StructId, span: Span) -> Option<Expr> {
        let object = self.this_object(span)?;
        let is_other = *self.types.get(object.qual.ty) != Ty::Struct(class);
        Some(if is_other { self.enclosing_object(object, span) } else { object })
    }

    /// The object of the enclosing member function in a lambda that captures it; the lambda itself otherwise.
    pub(super) fn enclosing_object(&mut self, object: Expr, span: Span) -> Expr {
        match self.this_of_closure(object.qual.ty) {
            Some(field) => {
                let captured = self.field(object, &[field], span);
                match self.types.get(captured.qual.ty) {
                    Ty::Pointer(_) => self.deref(captured, span),
                    // `[*this]`: the copy.
                    _ => captured,
                }
            }
            None => object,
        }
    }
}
