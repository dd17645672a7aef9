//! Expressions (C++14 expr; MSL 2.2.1, 2.3.1, 3).

use super::lookup::Found;
use super::template::Resource;
use super::{Checker, Entity, Owner, Variable, VariableId};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::{self, CastKind, Label, Path};
use crate::soft::msl::hir::{Constant, Expr, ExprKind};
use crate::soft::msl::lex::{self, Literal, LiteralType, Punct};
use crate::soft::msl::names::Name;
use crate::soft::msl::parse::assignment_operator;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

/// The most elements of fold expressions inside each other: their operators are nested as deep.
const MAX_FOLDED: usize = 1 << 14;

fn literal_scalar(ty: LiteralType) -> Scalar {
    match ty {
        LiteralType::Int => Scalar::I32,
        LiteralType::Uint => Scalar::U32,
        LiteralType::Long => Scalar::I64,
        LiteralType::Ulong => Scalar::U64,
        LiteralType::Half => Scalar::F16,
        LiteralType::Bfloat => Scalar::BF16,
        LiteralType::Float => Scalar::F32,
    }
}

impl Checker {
    /// Counts expressions in instances of templates and in defaults; false if there were too many.
    pub(super) fn charge_expressions(&mut self, count: usize, span: Span) -> bool {
        let counts = self.origin.is_some() || self.defaults > 0;
        !counts || self.charge(Resource::Expressions, count, span)
    }

    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Expr {
        use ast::ExprKind;
        let span = expr.span;
        self.at(span);
        if !self.charge_expressions(1, span) {
            return self.error_expr(span);
        }
        match &expr.kind {
            ExprKind::Number(Literal::Int(value, ty)) => {
                let kind = self::ExprKind::Constant(Constant::Int(*value));
                self.value(kind, Types::scalar(literal_scalar(*ty)), span)
            }
            ExprKind::Number(Literal::Float(value, ty)) => {
                let scalar = literal_scalar(*ty);
                let rounded = super::constant::round(*value, scalar);
                let kind = self::ExprKind::Constant(Constant::Float(rounded));
                self.value(kind, Types::scalar(scalar), span)
            }
            ExprKind::Bool(value) => {
                let kind = self::ExprKind::Constant(Constant::Int(u64::from(*value)));
                self.value(kind, Types::scalar(Scalar::Bool), span)
            }
            ExprKind::Char(value) => {
                let kind = self::ExprKind::Constant(Constant::Int(*value as i8 as u64));
                self.value(kind, Types::scalar(Scalar::I8), span)
            }
            ExprKind::Str(pieces) => self.string(pieces, span),
            ExprKind::Nullptr => {
                self.value(self::ExprKind::Constant(Constant::Int(0)), Types::NULLPTR, span)
            }
            ExprKind::This => {
                match self.this_object(span).or_else(|| self.object_unevaluated(span)) {
                    Some(object) => {
                        let object = self.enclosing_object(object, span);
                        self.address_of(object, span)
                    }
                    None => {
                        self.error(
                            span,
                            "invalid use of 'this' outside of a non-static member function",
                        );
                        self.error_expr(span)
                    }
                }
            }
            ExprKind::Path(path) => self.path(path),
            ExprKind::Unary(punct, operand) => self.unary(*punct, operand, span),
            ExprKind::Postfix(punct, operand) => self.postfix(*punct, operand, span),
            ExprKind::Binary(punct, left, right) => {
                let left = self.expr(left);
                let right = self.expr(right);
                self.binary(*punct, left, right, span)
            }
            ExprKind::Assign(operator, left, right) => {
                let left = self.expr(left);
                match (&right.kind, operator) {
                    (ExprKind::InitList(_), None) => {
                        let to = Qual::plain(left.qual.ty);
                        let right = self.list_value(to, right);
                        self.assign(left, right, span)
                    }
                    (_, None) => {
                        let right = self.expr(right);
                        self.assign(left, right, span)
                    }
                    (_, Some(punct)) => {
                        let right = self.expr(right);
                        self.compound(*punct, left, right, span)
                    }
                }
            }
            ExprKind::Conditional(condition, yes, no) => {
                let condition = self.expr(condition);
                let (yes, no) = (self.expr(yes), self.expr(no));
                self.conditional(condition, yes, no, span)
            }
            ExprKind::Or(first, second) => self.first_or_second(first, second, span),
            ExprKind::Comma(left, right) => {
                let left = self.expr(left);
                let right = self.expr(right);
                self.comma(left, right, span)
            }
            ExprKind::Call(callee, arguments) => self.call(callee, arguments, span),
            ExprKind::Index(base, index) => {
                let base = self.expr(base);
                let index = self.expr(index);
                self.index(base, index, span)
            }
            ExprKind::Member { object, arrow, member } => {
                let object = self.expr(object);
                let object = if *arrow && object.qual.ty != Types::UNKNOWN {
                    self.deref(object, span)
                } else {
                    object
                };
                self.member(object, member, span)
            }
            ExprKind::Construct { target, arguments, braces } => {
                if target.declarator.parts.is_empty()
                    && let Some(id) = self.placeholder(&target.specifiers)
                {
                    let init = match &arguments[..] {
                        [list] if *braces => ast::Init::List(list.clone()),
                        _ => ast::Init::Direct(arguments.clone()),
                    };
                    let made = self.deduced_object(id, &target.specifiers, &init, span);
                    return made.and_then(|made| made.1).unwrap_or_else(|| self.error_expr(span));
                }
                let target = self.type_name(target);
                match &arguments[..] {
                    options if *self.types.get(target.ty) == Ty::Sampler && !braces => {
                        self.sampler_value(options, span)
                    }
                    [list] if *braces => self.list_value(target, list),
                    [list] if matches!(list.kind, ExprKind::InitList(_)) => {
                        self.list_value(target, list)
                    }
                    [operand] if matches!(self.types.get(target.ty), Ty::Reference(..)) => {
                        let operand = self.expr(operand);
                        self.cast(CastKind::Static, target, operand, span)
                    }
                    _ => {
                        let values = self.arguments(arguments);
                        self.construct(target, values, span)
                    }
                }
            }
            ExprKind::Cast(kind, target, operand) => {
                let target = self.type_name(target);
                let operand = self.expr(operand);
                self.cast(*kind, target, operand, span)
            }
            ExprKind::SizeofType(target) => {
                let target = self.type_name(target);
                self.size_of(target, span)
            }
            ExprKind::SizeofExpr(operand) => {
                let operand = self.unevaluated(operand);
                self.size_of(operand.qual, span)
            }
            ExprKind::AlignofType(target) => {
                let target = self.type_name(target);
                let align = self.types.layout(target.ty).map_or(1, |layout| layout.1);
                let kind = self::ExprKind::Constant(Constant::Int(u64::from(align)));
                self.value(kind, Types::scalar(Scalar::U64), span)
            }
            ExprKind::Offsetof(class, part) => {
                let class = self.type_name(class);
                match self.offset_of(class.ty, part) {
                    Some((offset, _)) => {
                        let kind = self::ExprKind::Constant(Constant::Int(offset));
                        self.value(kind, Types::scalar(Scalar::U64), span)
                    }
                    None => self.error_expr(span),
                }
            }
            ExprKind::InitList(_) => {
                self.error(span, "initializer list cannot be used here");
                self.error_expr(span)
            }
            ExprKind::Checked(number) => self.checked_items[*number as usize].clone(),
            ExprKind::SizeofPack(pack) => match self.pack_length(pack.name) {
                Some(count) => {
                    let kind = self::ExprKind::Constant(Constant::Int(count as u64));
                    self.value(kind, Types::scalar(Scalar::U64), span)
                }
                None => {
                    let text = self.text(pack.name);
                    self.error(
                        pack.span,
                        format!("'{text}' does not refer to the name of a parameter pack"),
                    );
                    self.error_expr(span)
                }
            },
            ExprKind::Expanded(pattern, mentioned, at) => {
                // Most patterns are just the name of a pack, and need no scope for it.
                let element = pattern.plain().and_then(|name| self.pack_element(name, *at));
                match (element, &pattern.kind) {
                    (Some(element), ExprKind::Path(path)) => self.named(Some(element), path),
                    _ => self.with_element(mentioned, *at, |this| this.expr(pattern)),
                }
            }
            ExprKind::Expansion(..) => {
                self.error(span, "pack expansion is not allowed here");
                self.error_expr(span)
            }
            ExprKind::Fold(fold) => self.fold(fold, span),
            ExprKind::Lambda(lambda) => {
                self.refuse_newer("lambda expression", span);
                let captures = lambda.default.is_some() || !lambda.captures.is_empty();
                if self.body.is_none() && captures && !lambda.statements {
                    let message = "a lambda outside of a function has nothing to capture";
                    self.error(span, message);
                    return self.error_expr(span);
                }
                self.lambda(lambda, span)
            }
            ExprKind::Trait(which, operands) => self.trait_value(*which, operands, span),
            ExprKind::Noexcept => {
                let kind = self::ExprKind::Constant(Constant::Int(1));
                self.value(kind, Types::scalar(Scalar::Bool), span)
            }
        }
    }

    /// A string literal: an array of characters in constant memory (lex.string).
    fn string(&mut self, pieces: &[Name], span: Span) -> Expr {
        let text = self.joined_pieces(pieces);
        self.string_of(&text, span)
    }

    /// The bytes of adjacent literals.
    pub(super) fn joined_pieces(&self, pieces: &[Name]) -> Vec<u8> {
        let bytes = |&piece| lex::string_bytes(self.context.names.text(piece));
        pieces.iter().filter_map(bytes).flatten().collect()
    }

    /// The array of a string's characters and the zero after them.
    pub(super) fn characters(&mut self, text: &[u8], scalar: Scalar, span: Span) -> Expr {
        let element = Types::scalar(scalar);
        let character = |&byte: &u8| {
            let value = if scalar == Scalar::I8 { byte as i8 as u64 } else { byte.into() };
            self.value(ExprKind::Constant(Constant::Int(value)), element, span)
        };
        let parts: Vec<Expr> = text.iter().chain(&[0]).map(character).collect();
        let ty = self.types.intern(Ty::Array(element, Some(parts.len() as u32)));
        self.value(ExprKind::Aggregate(parts), ty, span)
    }

    fn string_of(&mut self, text: &[u8], span: Span) -> Expr {
        let init = self.characters(text, Scalar::I8, span);
        let ty = init.qual.ty;
        let space = Some(ast::AddressSpace::Constant);
        let qual = Qual { constant: true, space, ..Qual::plain(ty) };
        let global = self.unnamed_global(qual, init, span);
        Expr { kind: ExprKind::Global(global), qual, place: true, span }
    }

    /// C++17 expr.prim.fold: the elements joined by an operator, from the left or from the right.
    fn fold(&mut self, fold: &ast::Fold, span: Span) -> Expr {
        let Some(count) = self.expansion_length(&fold.mentioned, span) else {
            return self.error_expr(span);
        };
        let outer = self.folded;
        self.folded += count;
        if self.folded > MAX_FOLDED {
            self.folded = outer;
            let message = format!(
                "fold expressions inside each other have more than {MAX_FOLDED} elements: fold parts of the pack"
            );
            self.error(span, message);
            return self.error_expr(span);
        }
        let mut operands: Vec<Expr> = (0..count)
            .map(|at| self.with_element(&fold.mentioned, at, |this| this.expr(&fold.pattern)))
            .collect();
        self.folded = outer;
        if let Some(init) = &fold.init {
            let init = self.expr(init);
            operands.insert(if fold.left { 0 } else { operands.len() }, init);
        }
        if !fold.left {
            operands.reverse();
        }
        let joined = operands.into_iter().reduce(|done, next| {
            let (left, right) = if fold.left { (done, next) } else { (next, done) };
            self.joined(fold.operator, left, right, span)
        });
        match (joined, fold.operator) {
            (Some(value), _) => value,
            // [temp.variadic]/9: the value of a fold over no elements, for the operators that have one.
            (None, Punct::AndAnd | Punct::OrOr) => {
                let all = u64::from(fold.operator == Punct::AndAnd);
                let kind = ExprKind::Constant(Constant::Int(all));
                self.value(kind, Types::scalar(Scalar::Bool), span)
            }
            (None, Punct::Comma) => self.value(ExprKind::Zero, Types::VOID, span),
            (None, operator) => {
                let text = operator.text();
                self.error(
                    span,
                    format!("unary fold expression has empty expansion for operator '{text}' with no fallback value"),
                );
                self.error_expr(span)
            }
        }
    }

    fn joined(&mut self, operator: Punct, left: Expr, right: Expr, span: Span) -> Expr {
        match assignment_operator(operator) {
            _ if operator == Punct::Comma => self.comma(left, right, span),
            Some(None) => self.assign(left, right, span),
            Some(Some(punct)) => self.compound(punct, left, right, span),
            None => self.binary(operator, left, right, span),
        }
    }

    pub(super) fn comma(&self, left: Expr, right: Expr, span: Span) -> Expr {
        let (qual, place) = (right.qual, right.place);
        Expr { kind: ExprKind::Comma(Box::new(left), Box::new(right)), qual, place, span }
    }

    fn size_of(&mut self, target: Qual, span: Span) -> Expr {
        if target.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let ty = match *self.types.get(target.ty) {
            Ty::Reference(to, _) => to.ty,
            _ => target.ty,
        };
        let Some((size, _)) = self.types.layout(ty) else {
            let name = self.types.name(ty);
            self.error(
                span,
                format!("invalid application of 'sizeof' to an incomplete type '{name}'"),
            );
            return self.error_expr(span);
        };
        let kind = ExprKind::Constant(Constant::Int(u64::from(size)));
        self.value(kind, Types::scalar(Scalar::U64), span)
    }

    fn cast(&mut self, kind: CastKind, target: Qual, operand: Expr, span: Span) -> Expr {
        let reinterpret = kind == CastKind::Reinterpret;
        let mut result = self.explicit(operand, target, reinterpret);
        result.span = span;
        result
    }

    // ---- names ---------------------------------------------------------------------------

    /// The expression that a path is, which names an entity.
    pub(super) fn named(&mut self, entity: Option<Entity>, path: &Path) -> Expr {
        let span = path.span;
        match entity {
            Some(Entity::Local(variable)) => self.local(variable, path),
            Some(Entity::Binding(at)) => {
                let (owner, part) = self.bindings[at as usize].clone();
                if self.body.as_ref().is_some_and(|body| body.owner == owner) {
                    return Expr { span, ..part };
                }
                let name = self.path_text(path);
                self.error(span, format!("reference to '{name}' of an enclosing function"));
                self.error_expr(span)
            }
            Some(Entity::Global(global)) => {
                let qual = self.globals[global.0 as usize].qual;
                let place = Expr { kind: ExprKind::Global(global), qual, place: true, span };
                self.through_reference(place)
            }
            Some(Entity::Value(ty, constant)) => self.value(ExprKind::Constant(constant), ty, span),
            Some(Entity::Function(id)) => match self.pointer_to_function(id, span) {
                Some(pointer) => pointer,
                None => {
                    let text = self.path_text(path);
                    self.unsupported(span, format!("pointer to function '{text}' is"));
                    self.error_expr(span)
                }
            },
            Some(Entity::Template(id)) if self.is_function_template(id) => {
                self.name_of_functions(path, &[Entity::Template(id)])
            }
            Some(Entity::Template(id)) => match self.variable_instance(path, id) {
                Some(global) => {
                    let qual = self.globals[global.0 as usize].qual;
                    Expr { kind: ExprKind::Global(global), qual, place: true, span }
                }
                None => {
                    let text = self.path_text(path);
                    self.unsupported(span, format!("template '{text}' as a value is"));
                    self.error_expr(span)
                }
            },
            Some(Entity::Type(_)) => {
                let text = self.path_text(path);
                self.error(span, format!("unexpected type name '{text}': expected expression"));
                self.error_expr(span)
            }
            Some(Entity::Namespace(_)) => {
                let text = self.path_text(path);
                self.error(
                    span,
                    format!("unexpected namespace name '{text}': expected expression"),
                );
                self.error_expr(span)
            }
            Some(Entity::Field(class, at)) => match self.object_of_class(class, span) {
                Some(object) => self.field(object, &[at], span),
                None => self.error_expr(span),
            },
            Some(Entity::Pack(_) | Entity::Locals(..) | Entity::Fields(..)) => {
                let text = self.path_text(path);
                self.error(span, format!("expression contains unexpanded parameter pack '{text}'"));
                self.error_expr(span)
            }
            None => self.undeclared(path),
        }
    }

    /// A pointer to a function that is no member and no entry point (conv.func); `None` for others.
    pub(super) fn pointer_to_function(&mut self, id: super::FuncId, span: Span) -> Option<Expr> {
        if self.func(id).this.is_some() {
            return None;
        }
        let index = self.instance(id, None);
        let result = self.result_of(id, index, span);
        if result.is_none_or(|result| result.ty == Types::UNKNOWN) {
            return Some(self.error_expr(span));
        }
        let ty = self.type_of_pointer(id)?;
        Some(self.value(ExprKind::FunctionAddress(index), ty, span))
    }

    /// The type of that pointer.
    pub(super) fn type_of_pointer(&mut self, id: super::FuncId) -> Option<TyId> {
        let func = self.func(id);
        let result = func.result()?;
        if func.this.is_some() || !matches!(func.stage, None | Some(ast::Stage::Visible)) {
            return None;
        }
        let plain = |parameter: &super::Parameter| Qual::plain(parameter.qual.ty);
        let parameters = func.parameters.iter().map(plain).collect();
        let function = self.types.intern(Ty::Function(result, parameters));
        Some(self.types.pointer(Qual::plain(function)))
    }

    pub(super) fn path(&mut self, path: &Path) -> Expr {
        let span = path.span;
        match self.lookup_path(path) {
            Found::Entities(list)
                if list.len() > 1
                    && matches!(list[0], Entity::Function(_) | Entity::Template(_)) =>
            {
                self.name_of_functions(path, &list)
            }
            Found::Entities(list) if list.is_empty() && self.unevaluated > 0 => {
                match self.member_named(path) {
                    Some((class, fields)) => self.member_unevaluated(class, &fields, span),
                    None => self.undeclared(path),
                }
            }
            Found::Entities(list) => self.named(list.first().copied(), path),
            Found::Member(class, fields) => match self.object_of_class(class, span) {
                Some(object) if *self.types.get(object.qual.ty) == Ty::Struct(class) => {
                    self.field(object, &fields, span)
                }
                Some(object) => {
                    let text = self.path_text(path);
                    let class = self.types.intern(Ty::Struct(class));
                    let class = self.types.name(class);
                    let nested = self.types.name(object.qual.ty);
                    self.error(
                        span,
                        format!(
                            "use of non-static data member '{text}' of '{class}' from nested type '{nested}'"
                        ),
                    );
                    self.error_expr(span)
                }
                None if self.unevaluated > 0 => self.member_unevaluated(class, &fields, span),
                None => {
                    let text = self.path_text(path);
                    self.error(span, format!("invalid use of non-static data member '{text}'"));
                    self.error_expr(span)
                }
            },
            Found::Nothing => self.undeclared(path),
        }
    }

    /// A local by its name. From a local class, and from the signature of its own function, it has no
    /// object: only its type and its constant value are there ([class.local]/1, [basic.def.odr]/3).
    fn local(&mut self, variable: VariableId, path: &Path) -> Expr {
        let span = path.span;
        let Variable { owner, local, mut qual, value, span: declared } =
            self.variables[variable.0 as usize];
        let body = self.body.as_ref().filter(|body| body.initialised.is_none());
        let kind = match (body, value) {
            (Some(body), _) if body.owner == owner => {
                qual = body.locals[local.0 as usize].qual;
                ExprKind::Local(local)
            }
            (_, Some(value)) => return self.value(ExprKind::Constant(value), qual.ty, span),
            _ if self.unevaluated > 0 => ExprKind::Error,
            _ => {
                let name = self.path_text(path);
                let message = match owner {
                    Owner::Body(_, func) => {
                        let func = self.func(func).name.clone();
                        format!(
                            "reference to local variable '{name}' declared in enclosing function '{func}'"
                        )
                    }
                    Owner::Signature => {
                        format!("use of parameter '{name}' outside of function body")
                    }
                };
                self.error(span, message);
                self.context.diagnostics.note(declared, format!("'{name}' declared here"));
                return self.error_expr(span);
            }
        };
        self.through_reference(Expr { kind, qual, place: true, span })
    }

    fn undeclared(&mut self, path: &Path) -> Expr {
        let text = self.path_text(path);
        // The name of the function, as a string ([dcl.fct.def.general]/8), and GNU's names for it.
        if matches!(&*text, "__func__" | "__FUNCTION__" | "__PRETTY_FUNCTION__")
            && let Some(Owner::Body(_, func)) = self.body.as_ref().map(|body| body.owner)
        {
            let name = self.func(func).name.clone();
            return self
                .string_of(name.rsplit("::").next().unwrap_or_default().as_bytes(), path.span);
        }
        if path.parts.len() > 1 {
            self.error(path.span, format!("no member named '{text}'"));
        } else {
            self.error(path.span, format!("use of undeclared identifier '{text}'"));
        }
        self.error_expr(path.span)
    }

    /// A reference denotes the object it refers to; its own storage is a pointer.
    pub(super) fn through_reference(&mut self, place: Expr) -> Expr {
        let Ty::Reference(referred, _) = *self.types.get(place.qual.ty) else { return place };
        let span = place.span;
        let pointee = Qual { space: Some(referred.space_or_thread()), ..referred };
        let pointer = self.types.pointer(pointee);
        let load = self.value(ExprKind::Load(Box::new(place)), pointer, span);
        Expr { kind: ExprKind::Deref(Box::new(load)), qual: pointee, place: true, span }
    }

    // ---- parts of objects ----------------------------------------------------------------

    fn member(&mut self, object: Expr, member: &Path, span: Span) -> Expr {
        if object.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let object = self.part_named(object, member, span);
        let Label::Name(name) = member.last().name else {
            self.error(span, "a member function must be called");
            return self.error_expr(span);
        };
        match *self.types.get(object.qual.ty) {
            Ty::Vector(scalar, width) | Ty::Packed(scalar, width) => {
                return self.swizzle(object, scalar, width, name, member.span);
            }
            Ty::Struct(class) => {
                if let Some(fields) = self.field_path(class, name) {
                    return self.field(object, &fields, span);
                }
                let scope = self.classes[class.0 as usize].scope;
                match self.lookup_in(scope, name).first() {
                    Some(Entity::Global(global)) => {
                        let global = *global;
                        let qual = self.globals[global.0 as usize].qual;
                        return Expr { kind: ExprKind::Global(global), qual, place: true, span };
                    }
                    Some(Entity::Value(ty, constant)) => {
                        let (ty, constant) = (*ty, *constant);
                        return self.value(ExprKind::Constant(constant), ty, span);
                    }
                    Some(Entity::Function(_)) => {
                        self.error(span, "reference to non-static member function must be called");
                        return self.error_expr(span);
                    }
                    _ => {}
                }
                let (text, ty) = (self.text(name), self.types.name(object.qual.ty));
                self.error(member.span, format!("no member named '{text}' in '{ty}'"));
            }
            // The columns are all that a matrix has.
            Ty::Matrix(..) if self.context.names.text(name) == "columns" => return object,
            Ty::Opaque(name) => self.unsupported(member.span, format!("'{name}' is")),
            Ty::Pointer(pointee) => {
                let ty = self.types.name(object.qual.ty);
                let hint = matches!(self.types.get(pointee.ty), Ty::Struct(_) | Ty::Vector(..));
                let tail = if hint { "; did you mean to use '->'?" } else { "" };
                self.error(member.span, format!("member reference type '{ty}' is a pointer{tail}"));
            }
            _ => {
                let ty = self.types.name(object.qual.ty);
                self.error(
                    member.span,
                    format!("member reference base type '{ty}' is not a structure or union"),
                );
            }
        }
        self.error_expr(span)
    }

    /// A data member, by its path through anonymous structs.
    pub(super) fn field(&mut self, object: Expr, fields: &[u32], span: Span) -> Expr {
        let mut object = object;
        for &index in fields {
            let Some((_, row)) = self.types.structure(object.qual.ty) else {
                return self.error_expr(span);
            };
            let field = &row.fields()[index as usize];
            let mutable = field.mutable && object.qual.space != Some(ast::AddressSpace::Constant);
            let qual = Qual {
                constant: field.qual.constant || object.qual.constant && !mutable,
                volatile: field.qual.volatile || object.qual.volatile,
                space: object.qual.space,
                ty: field.qual.ty,
            };
            let place = object.place;
            object = Expr { kind: ExprKind::Field(Box::new(object), index), qual, place, span };
        }
        self.through_reference(object)
    }

    /// `v.xyz`, `v.rgba` (MSL 2.2.1); the two sets of letters do not mix.
    fn swizzle(&mut self, object: Expr, scalar: Scalar, width: u8, name: Name, span: Span) -> Expr {
        let text = self.text(name);
        let set = ["xyzw", "rgba"].into_iter().find(|set| text.chars().all(|c| set.contains(c)));
        let picks: Option<Vec<u8>> =
            set.map(|set| text.chars().filter_map(|c| set.find(c)).map(|at| at as u8).collect());
        let picks = picks.filter(|picks| (1..=4).contains(&picks.len()));
        let Some(picks) = picks else {
            let ty = self.types.name(object.qual.ty);
            self.error(span, format!("illegal vector component name '{text}' of '{ty}'"));
            return self.error_expr(span);
        };
        if picks.iter().any(|&pick| pick >= width) {
            self.error(span, "vector component access exceeds type");
            return self.error_expr(span);
        }
        let ty = self.types.vector(scalar, picks.len() as u32);
        let (place, qual) = (object.place, object.qual.with(ty));
        Expr { kind: ExprKind::Swizzle(Box::new(object), picks), qual, place, span }
    }

    fn index(&mut self, base: Expr, index: Expr, span: Span) -> Expr {
        if base.qual.ty == Types::UNKNOWN || index.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let name = self.label_name(&Label::Operator(Punct::LBracket));
        let base = match self.scope_of(Entity::Type(base.qual)) {
            Some(scope) if self.lookup_in(scope, name).is_empty() => self.pointer_operand(base),
            _ => base,
        };
        if self.types.structure(base.qual.ty).is_some() {
            return self.call_named_member(base, name, None, vec![index], span);
        }
        if base.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let index = self.integer_operand(index);
        let index = self.rvalue(index);
        if index.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        if self.index_scalar(&index).is_none() {
            // `2[array]` is valid C++, but not supported.
            self.error(index.span, "array subscript is not an integer");
            return self.error_expr(span);
        }
        let index = self.as_index(index);
        let element = match *self.types.get(base.qual.ty) {
            Ty::Array(element, count) => {
                self.check_bound(&index, count, span);
                element
            }
            Ty::Vector(scalar, width) | Ty::Packed(scalar, width) => {
                self.check_bound(&index, Some(u32::from(width)), span);
                Types::scalar(scalar)
            }
            Ty::Matrix(scalar, columns, rows) => {
                self.check_bound(&index, Some(u32::from(columns)), span);
                self.types.intern(Ty::Vector(scalar, rows))
            }
            Ty::Pointer(pointee) if self.types.layout(pointee.ty).is_some() => {
                let pointer = self.rvalue(base);
                let ty = pointer.qual.ty;
                let kind = ExprKind::Offset(Box::new(pointer), Box::new(index));
                let moved = self.value(kind, ty, span);
                return Expr {
                    kind: ExprKind::Deref(Box::new(moved)),
                    qual: pointee,
                    place: true,
                    span,
                };
            }
            _ => {
                self.error(span, "subscripted value is not an array, pointer, or vector");
                return self.error_expr(span);
            }
        };
        let in_memory = !matches!(self.types.get(base.qual.ty), Ty::Vector(..) | Ty::Packed(..));
        let base = match base.place {
            // An index at run time needs an object in memory.
            false if in_memory => {
                let (ty, span) = (base.qual.ty, base.span);
                let kind = ExprKind::Temporary(Box::new(base));
                Expr { kind, qual: Qual::plain(ty), place: true, span }
            }
            _ => base,
        };
        let (place, qual) = (base.place, base.qual.with(element));
        let kind = ExprKind::Element(Box::new(base), Box::new(index));
        Expr { kind, qual, place, span }
    }

    /// Warns of a constant index past the end, as C++ compilers do; the access faults at run time.
    fn check_bound(&mut self, index: &Expr, count: Option<u32>, span: Span) {
        let (ExprKind::Constant(Constant::Int(value)), Some(count)) = (&index.kind, count) else {
            return;
        };
        if *value as i64 >= i64::from(count) {
            self.context.diagnostics.warning(
                span,
                format!(
                    "array index {} is past the end of the array (which contains {count} elements)",
                    *value as i64
                ),
            );
        }
    }
}
