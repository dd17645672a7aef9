//! Calls (C++14 expr.call): candidates, the choice among them, and the call.

use super::builtins::{Row, rows};
use super::convert::Source;
use super::lookup::Found;
use super::overload::{Choice, IgnoredTemplate};
use super::texture::TextureCall;
use super::{Checker, Entity, FuncId, State};
use crate::soft::ir::Scalar;
use crate::soft::ir::hash::FastSet;
use crate::soft::msl::ast::{self, AddressSpace, Label, Path, TemplateArgument};
use crate::soft::msl::hir::{Expr, ExprKind, InstanceIndex};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

/// A candidate of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Candidate {
    Func(FuncId),
    /// A row of the table, for one type of its family, and the number of lanes.
    Row(&'static Row, u8, Scalar, u32, TyId),
    /// A member function of this texture.
    Texture(TextureCall, TyId),
}

/// Functions of MSL that this library does not support yet (MSL 6.10, 6.12).
const UNSUPPORTED: &[&str] =
    &["dfdx", "dfdy", "fwidth", "discard_fragment", "simdgroup_async_copy"];

impl Checker {
    /// A call; by-value parameters get the objects that are made for them.
    pub(super) fn call(&mut self, callee: &ast::Expr, arguments: &[ast::Expr], span: Span) -> Expr {
        self.made_by(|this| this.checked_call(callee, arguments, span))
    }

    fn checked_call(&mut self, callee: &ast::Expr, arguments: &[ast::Expr], span: Span) -> Expr {
        match &callee.kind {
            ast::ExprKind::Path(path) => {
                if let Some(special) = self.special_call(path, arguments, span) {
                    return special;
                }
                let arguments = self.arguments(arguments);
                self.call_path(path, arguments, span)
            }
            ast::ExprKind::Member { object, arrow, member } => {
                let object = self.expr(object);
                let object = if *arrow { self.deref(object, span) } else { object };
                let arguments = self.arguments(arguments);
                self.call_member(object, member, arguments, span)
            }
            _ => {
                let callee = self.expr(callee);
                let arguments = self.arguments(arguments);
                self.call_object(callee, arguments, span)
            }
        }
    }

    /// The arguments of a call. A braced list is checked once its parameter is known.
    pub(super) fn arguments(&mut self, arguments: &[ast::Expr]) -> Vec<Expr> {
        let mut all = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match &argument.kind {
                ast::ExprKind::InitList(_) => all.push(self.list_argument(argument)),
                ast::ExprKind::Expansion(..) => self.expansion(argument, &mut all),
                _ => all.push(self.expr(argument)),
            }
        }
        all
    }

    /// `object(…)` through its `operator()`.
    fn call_object(&mut self, object: Expr, arguments: Vec<Expr>, span: Span) -> Expr {
        if object.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        if self.types.structure(object.qual.ty).is_some() {
            let name = self.label_name(&Label::Operator(Punct::LParen));
            return self.call_named_member(object, name, None, arguments, span);
        }
        if let Some((pointer, result, parameters)) = self.function_pointer(&object) {
            return self.call_pointer(pointer, result, &parameters, arguments, span);
        }
        let name = self.types.name(object.qual.ty);
        self.error(span, format!("called object type '{name}' is not a function"));
        self.error_expr(span)
    }

    /// A pointer to a function, or what it points to: the pointer, and the function's type.
    fn function_pointer(&mut self, callee: &Expr) -> Option<(Expr, Qual, Vec<Qual>)> {
        let pointer = match (&callee.kind, self.types.get(callee.qual.ty)) {
            (ExprKind::Deref(pointer), Ty::Function(..)) => Expr::clone(pointer),
            _ => self.rvalue(callee.clone()),
        };
        let Ty::Pointer(to) = *self.types.get(pointer.qual.ty) else { return None };
        match self.types.get(to.ty) {
            Ty::Function(result, parameters) => Some((pointer, *result, parameters.clone())),
            _ => None,
        }
    }

    /// Calls a function through a pointer (`specs/functions.md`).
    fn call_pointer(
        &mut self,
        pointer: Expr,
        result: Qual,
        parameters: &[Qual],
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        if arguments.iter().any(|argument| argument.qual.ty == Types::UNKNOWN) {
            return self.error_expr(span);
        }
        let (given, wanted) = (arguments.len(), parameters.len());
        if given != wanted {
            let what = if given < wanted { "few" } else { "many" };
            let message =
                format!("too {what} arguments to function call, expected {wanted}, have {given}");
            self.error(span, message);
            return self.error_expr(span);
        }
        let convert = |(argument, parameter): (Expr, &Qual)| self.passed(argument, *parameter);
        let values = arguments.into_iter().zip(parameters).map(convert).collect();
        self.refuse_destructor(result.ty, span);
        self.wrap_result(ExprKind::Invoke(Box::new(pointer), values), result, span)
    }

    pub(super) fn call_path(&mut self, path: &Path, arguments: Vec<Expr>, span: Span) -> Expr {
        if arguments.iter().any(|argument| argument.qual.ty == Types::UNKNOWN) {
            return self.error_expr(span);
        }
        let name = match &path.last().name {
            Label::Name(name) => *name,
            label => self.label_name(label),
        };
        let found = self.lookup_path(path);
        if path.plain().is_some()
            && matches!(found, Found::Nothing)
            && let Some(builtin) = self.metal_builtin(name)
        {
            return self.call_metal_builtin(&builtin, arguments, span);
        }
        let mut candidates = Vec::new();
        let mut ignored = Vec::new();
        if let Found::Entities(list) = &found {
            for entity in list {
                match entity {
                    Entity::Function(id) => candidates.push(Candidate::Func(*id)),
                    // An instance of a variable template, whose class has a call operator.
                    Entity::Template(id)
                        if path.last().arguments.is_some() && !self.is_function_template(*id) =>
                    {
                        let object = self.path(path);
                        return self.call_object(object, arguments, span);
                    }
                    Entity::Template(id) => {
                        let explicit = path.last().arguments.clone();
                        match self.template_candidate(*id, explicit.as_deref(), &arguments, span) {
                            Ok(func) => candidates.push(Candidate::Func(func)),
                            Err(reason) => ignored.push((*id, reason)),
                        }
                    }
                    Entity::Local(_)
                    | Entity::Binding(_)
                    | Entity::Global(_)
                    | Entity::Field(..) => {
                        let object = self.path(path);
                        return self.call_object(object, arguments, span);
                    }
                    Entity::Type(qual) => {
                        let qual = *qual;
                        return self.construct(qual, arguments, span);
                    }
                    _ => {}
                }
            }
        }
        if let Found::Member(..) = found {
            let object = self.path(path);
            return self.call_object(object, arguments, span);
        }
        // A member function called from another: its object is `this`.
        let member = candidates.iter().any(|candidate| match candidate {
            Candidate::Func(id) => self.func(*id).this.is_some(),
            Candidate::Row(..) | Candidate::Texture(..) => false,
        });
        if member {
            if let Some(this) = self.this_object(span) {
                let this = match candidates.first() {
                    Some(Candidate::Func(id)) if self.is_of_other(*id, &this) => {
                        self.enclosing_object(this, span)
                    }
                    _ => this,
                };
                let this = self.part_named(this, path, span);
                let name = self.label_name(&path.last().name);
                let explicit = path.last().arguments.clone();
                return self.call_named_member(this, name, explicit.as_deref(), arguments, span);
            }
            let text = self.path_text(path);
            self.error(
                span,
                format!("call to non-static member function '{text}' without an object argument"),
            );
            return self.error_expr(span);
        }
        let mut by_library_type = false;
        if path.plain().is_some() {
            let known: FastSet<Entity> = match &found {
                Found::Entities(list) => list.iter().copied().collect(),
                _ => FastSet::default(),
            };
            let mut beside = self.functions_beside(name, &arguments);
            // The library's functions, too, if nothing else has the name.
            by_library_type =
                matches!(found, Found::Nothing) && self.has_type_of_library(&arguments);
            if by_library_type {
                beside.extend(self.library_entities(name));
            }
            for entity in beside.into_iter().filter(|entity| !known.contains(entity)) {
                match entity {
                    Entity::Function(id) => candidates.push(Candidate::Func(id)),
                    Entity::Template(id) => {
                        let explicit = path.last().arguments.clone();
                        match self.template_candidate(id, explicit.as_deref(), &arguments, span) {
                            Ok(func) => candidates.push(Candidate::Func(func)),
                            Err(reason) => ignored.push((id, reason)),
                        }
                    }
                    _ => {}
                }
            }
        }
        let text = self.text(name);
        if by_library_type || self.library_is_meant(path) {
            candidates.extend(self.row_candidates(&text, &arguments));
        }
        if candidates.is_empty() {
            let meant = self.library_is_meant(path);
            let templates = matches!(&found, Found::Entities(list) if !list.is_empty());
            let known = meant && rows(&text).next().is_some();
            let shown = self.path_text(path);
            if meant && UNSUPPORTED.contains(&text.as_str()) {
                self.unsupported(path.span, format!("'{shown}' is"));
            } else if !known && !templates {
                let what = match path.parts.len() {
                    1 => "use of undeclared identifier",
                    _ => "no member named",
                };
                self.error(path.span, format!("{what} '{shown}'"));
            } else {
                self.no_match(&shown, path.span);
                self.note_ignored(&ignored, arguments.len());
            }
            return self.error_expr(span);
        }
        let sources: Vec<Source> = arguments.iter().map(|a| self.source(a)).collect();
        match self.choose(&candidates, &sources) {
            Choice::One(index) => {
                let of_library = match candidates[index] {
                    Candidate::Func(id) => !self.library.is_of_program(self.func(id).span),
                    Candidate::Row(..) => true,
                    Candidate::Texture(..) => false,
                };
                if of_library {
                    self.refuse_newer(&text, path.span);
                }
                self.finish_call(candidates[index], arguments, span)
            }
            Choice::None => {
                self.no_match(&text, path.span);
                for candidate in candidates {
                    self.note_candidate(candidate, &arguments);
                }
                self.note_ignored(&ignored, arguments.len());
                self.error_expr(span)
            }
            Choice::Ambiguous(several) => {
                self.error(path.span, format!("call to '{text}' is ambiguous"));
                for at in several {
                    self.note_candidate(candidates[at], &arguments);
                }
                self.error_expr(span)
            }
        }
    }

    /// Whether a member function is of another class than the object's.
    fn is_of_other(&self, id: FuncId, object: &Expr) -> bool {
        let class = self.types.structure(object.qual.ty).map(|found| found.0);
        self.func(id).class != class
    }

    /// The best of the candidates, if there is one.
    pub(super) fn choose_candidate(
        &mut self,
        candidates: &[Candidate],
        arguments: &[Expr],
    ) -> Option<Candidate> {
        let sources: Vec<Source> = arguments.iter().map(|a| self.source(a)).collect();
        match self.choose(candidates, &sources) {
            Choice::One(index) => candidates.get(index).copied(),
            Choice::None | Choice::Ambiguous(..) => None,
        }
    }

    pub(super) fn finish_call(
        &mut self,
        candidate: Candidate,
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        match candidate {
            Candidate::Func(id) => self.call_function(id, None, arguments, span),
            Candidate::Row(row, lanes, scalar, width, first) => {
                self.call_row(row, lanes, (scalar, width, first), arguments, span)
            }
            Candidate::Texture(..) => self.error_expr(span),
        }
    }

    // ---- calling a function --------------------------------------------------------------

    /// Calls a function; for a member function, `this` is the object as an lvalue.
    pub(super) fn call_function(
        &mut self,
        id: FuncId,
        this: Option<Expr>,
        mut arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        // No function reads its arguments for `...`, but they are evaluated.
        let count = self.func(id).parameters.len();
        if arguments.len() > count {
            let extra = arguments.split_off(count);
            let call = self.call_function(id, this, arguments, span);
            let before = |call, extra| self.comma(extra, call, span);
            return extra.into_iter().rev().fold(call, before);
        }
        let mut values = Vec::new();
        let mut space = None;
        if let Some(object) = this {
            // A base's member function gets that part of the object.
            let owner = self.func(id).class.and_then(|class| {
                let ty = self.types.intern(Ty::Struct(class));
                self.base_path(object.qual.ty, ty)
            });
            let object = match owner {
                Some(path) => self.field(object, &path, span),
                None => object,
            };
            space = Some(object.qual.space_or_thread());
            let object = self.in_memory(object);
            let address = self.address_of(object, span);
            values.push(address);
        }
        self.request_member(id, span);
        if self.func(id).deleted {
            let name = self.func(id).name.clone();
            self.error(span, format!("call to deleted function '{name}'"));
        }
        if let Some(stage) = self.func(id).stage
            && stage != ast::Stage::Visible
        {
            let name = self.func(id).name.clone();
            self.error(span, format!("entry point '{name}' cannot be called"));
        }
        values.extend(self.convert_arguments(id, arguments));
        let index = self.instance(id, space);
        match self.result_of(id, index, span) {
            Some(result) => {
                self.refuse_destructor(result.ty, span);
                self.wrap_result(ExprKind::Call(index, values), result, span)
            }
            None => self.error_expr(span),
        }
    }

    /// The type of a function's result, which its body decides if it is declared `auto`; `None` after an error.
    pub(super) fn result_of(
        &mut self,
        id: FuncId,
        index: InstanceIndex,
        span: Span,
    ) -> Option<Qual> {
        let known = self.func(id).result;
        let state = match known {
            Some(result) if result.ty != Types::UNKNOWN => return known,
            // The body was checked, at least in part.
            Some(_) => self.instances[index.0 as usize].state.clone(),
            None => self.check_instance(index),
        };
        let name = self.func(id).name.clone();
        match state {
            // The caller has no type without it, so the errors are the caller's, too.
            State::Failed(errors, ..) if errors.has_errors() => {
                self.context.diagnostics.append(errors);
            }
            _ if known.is_some() => {}
            State::Checking => self.error(
                span,
                format!(
                    "function '{name}' with deduced return type cannot be used before it is defined"
                ),
            ),
            State::Failed(..) => self.error(
                span,
                format!("the return type of '{name}' cannot be deduced, as its body has errors"),
            ),
            _ => {}
        }
        self.func(id).result
    }

    /// Calls the function of the prelude that implements a construct of the language.
    pub(super) fn call_library(&mut self, name: &str, arguments: Vec<Expr>, span: Span) -> Expr {
        if arguments.iter().any(|argument| argument.qual.ty == Types::UNKNOWN) {
            return self.error_expr(span);
        }
        let name = self.context.names.intern(name);
        let found = self.library_entities(name);
        let func = found.into_iter().find_map(|entity| match entity {
            Entity::Template(id) => self.template_candidate(id, None, &arguments, span).ok(),
            _ => None,
        });
        match func {
            Some(id) => self.call_function(id, None, arguments, span),
            None => self.error_expr(span),
        }
    }

    fn convert_arguments(&mut self, id: FuncId, arguments: Vec<Expr>) -> Vec<Expr> {
        let mut values = Vec::with_capacity(arguments.len());
        let mut arguments = arguments.into_iter();
        while let Some(parameter) = self.func(id).parameters.get(values.len()) {
            let (qual, default) = (parameter.qual, parameter.default.clone());
            let argument = match (arguments.next(), default) {
                (Some(argument), _) => argument,
                (None, Some(default)) => {
                    let scope = self.func(id).scope;
                    self.with_default(default.span, |this| this.in_scope(scope).expr(&default))
                }
                (None, None) => break,
            };
            values.push(self.passed(argument, qual));
        }
        values
    }

    /// The initial value of a parameter, which the function destroys.
    fn passed(&mut self, argument: Expr, parameter: Qual) -> Expr {
        let check = |this: &mut Self| {
            let value = this.implicit(argument, parameter, "initialize a parameter of type");
            this.made_part(&value);
            value
        };
        // An operand is not checked as a part of a call.
        match self.records_objects() {
            true => check(self),
            false => self.made_by(check),
        }
    }

    /// The result of a call; an lvalue if the function returns a reference.
    fn wrap_result(&mut self, call: ExprKind, result: Qual, span: Span) -> Expr {
        if let Ty::Reference(referred, rvalue) = *self.types.get(result.ty) {
            let pointee = Qual { space: Some(referred.space_or_thread()), ..referred };
            let pointer = self.types.pointer(pointee);
            let call = self.value(call, pointer, span);
            return self.referred(call, pointee, rvalue);
        }
        self.value(call, result.ty, span)
    }

    /// Materialises an object that is a value, so that a member function can point to it.
    fn in_memory(&mut self, object: Expr) -> Expr {
        if object.place {
            return object;
        }
        let (qual, span) = (object.qual, object.span);
        let kind = ExprKind::Temporary(Box::new(object));
        Expr { kind, qual: Qual::plain(qual.ty), place: true, span }
    }

    pub(super) fn this_object(&mut self, span: Span) -> Option<Expr> {
        let body = self.body.as_mut()?;
        if let Some((object, used)) = &mut body.initialised {
            *used = true;
            return Some(object.clone());
        }
        let (_, qual) = body.this?;
        let ty = self.types.pointer(qual);
        let local = Expr {
            kind: ExprKind::Local(crate::soft::msl::hir::LocalIndex(0)),
            qual: Qual::plain(ty),
            place: true,
            span,
        };
        let pointer = self.rvalue(local);
        Some(Expr { kind: ExprKind::Deref(Box::new(pointer)), qual, place: true, span })
    }

    fn call_member(
        &mut self,
        object: Expr,
        member: &Path,
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        if object.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        if let (Some(texture), Label::Name(name)) =
            (self.texture(object.qual.ty), &member.last().name)
        {
            let name = self.text(*name);
            if name.starts_with("atomic_") {
                self.refuse_newer("atomic function of a texture", member.span);
            }
            return self.call_texture(object, texture, &name, arguments, span);
        }
        if let Ty::Opaque(name) = *self.types.get(object.qual.ty) {
            self.unsupported(span, format!("'{name}' is"));
            return self.error_expr(span);
        }
        if let Ty::SimdgroupMatrix(scalar) = *self.types.get(object.qual.ty) {
            let name = self.label_name(&member.last().name);
            if name != Name::THREAD_ELEMENTS || !arguments.is_empty() {
                let (text, ty) = (self.text(name), self.types.name(object.qual.ty));
                self.error(
                    member.span,
                    format!(
                        "no member function '{text}' with {} arguments in '{ty}'",
                        arguments.len()
                    ),
                );
                return self.error_expr(span);
            }
            let qual = object.qual.with(self.types.vector(scalar, 2));
            let place = object.place;
            return Expr { kind: ExprKind::ThreadElements(Box::new(object)), qual, place, span };
        }
        let object = self.part_named(object, member, span);
        if let Label::Destructor(_) = member.last().name
            && let Some(parts) = self.parts_of_class(object.qual.ty)
            && parts.iter().any(|&part| self.destructor_of(part).is_some())
        {
            let what = "an explicit call of a destructor whose members or bases have one is";
            self.unsupported(span, what);
            return self.error_expr(span);
        }
        if let (Some((class, _)), Label::Name(name)) =
            (self.types.structure(object.qual.ty), &member.last().name)
            && let Some(path) = self.field_path(class, *name)
        {
            let field = self.field(object, &path, span);
            return self.call_object(field, arguments, span);
        }
        let name = self.label_name(&member.last().name);
        if let (Label::Conversion(target), Some((class, _))) =
            (&member.last().name, self.types.structure(object.qual.ty))
        {
            // `object.operator T()`: of the conversion functions, the one to that type.
            let to = self.type_name(target);
            let all = self.conversions_of(class, to.ty);
            let same = |id: &FuncId| self.func(*id).result.is_some_and(|result| result.ty == to.ty);
            let members: Vec<FuncId> = all.into_iter().map(|one| one.0).filter(same).collect();
            return self.call_one_of(object, name, &members, &[], arguments, span);
        }
        let explicit = member.last().arguments.clone();
        self.call_named_member(object, name, explicit.as_deref(), arguments, span)
    }

    /// The base of an object for a qualified member name: `object.Base::member`.
    pub(super) fn part_named(&mut self, object: Expr, member: &Path, span: Span) -> Expr {
        let mut owner = member.clone();
        owner.parts.pop();
        if owner.parts.is_empty() {
            return object;
        }
        let outer = owner.parts.last().cloned();
        let Found::Entities(list) = self.lookup_path(&owner) else { return object };
        for entity in list {
            let applied = outer.as_ref().map_or(entity, |part| self.applied(entity, part));
            if let Entity::Type(qual) = applied
                && let Some(path) = self.base_path(object.qual.ty, qual.ty)
            {
                return self.field(object, &path, span);
            }
        }
        object
    }

    pub(super) fn call_named_member(
        &mut self,
        object: Expr,
        name: Name,
        explicit: Option<&[TemplateArgument]>,
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        if arguments.iter().any(|argument| argument.qual.ty == Types::UNKNOWN) {
            return self.error_expr(span);
        }
        let Some((class, _)) = self.types.structure(object.qual.ty) else {
            let ty = self.types.name(object.qual.ty);
            self.error(
                span,
                format!("member reference base type '{ty}' is not a structure or union"),
            );
            return self.error_expr(span);
        };
        let scope = self.classes[class.0 as usize].scope;
        let own = self.lookup_in(scope, name);
        let mut members = Vec::new();
        let mut ignored = Vec::new();
        for entity in &own {
            match entity {
                Entity::Function(id) if explicit.is_none() => members.push(*id),
                Entity::Template(id) => {
                    match self.template_candidate(*id, explicit, &arguments, span) {
                        Ok(func) => members.push(func),
                        Err(reason) => ignored.push((*id, reason)),
                    }
                }
                _ => {}
            }
        }
        self.call_one_of(object, name, &members, &ignored, arguments, span)
    }

    /// Calls the best of these members; `ignored` are the templates that do not fit.
    fn call_one_of(
        &mut self,
        object: Expr,
        name: Name,
        members: &[FuncId],
        ignored: &[IgnoredTemplate],
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        if members.is_empty() && ignored.is_empty() {
            let (member, ty) = (self.text(name), self.types.name(object.qual.ty));
            self.error(span, format!("no member named '{member}' in '{ty}'"));
            return self.error_expr(span);
        }
        let mut all = vec![object];
        all.extend(arguments);
        let text = self.text(name);
        match self.choose_member(members, &[], &all) {
            Choice::One(index) => {
                let id = members[index];
                let mut all = all.into_iter();
                let object = all.next();
                let this = object.filter(|_| self.func(id).this.is_some());
                self.call_function(id, this, all.collect(), span)
            }
            Choice::None => {
                self.error(span, format!("no matching member function for call to '{text}'"));
                for &id in members {
                    self.note_member(id, &all);
                }
                self.note_ignored(ignored, all.len() - 1);
                self.error_expr(span)
            }
            Choice::Ambiguous(several) => {
                self.error(span, format!("call to member function '{text}' is ambiguous"));
                for at in several {
                    self.note_member(members[at], &all);
                }
                self.error_expr(span)
            }
        }
    }

    pub(super) fn call_method(
        &mut self,
        id: FuncId,
        object: Expr,
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        self.call_function(id, Some(object), arguments, span)
    }

    /// An overloaded operator; `None` when no overload fits, and the built-in one may.
    pub(super) fn call_operator(
        &mut self,
        members: &[FuncId],
        free: &[FuncId],
        operands: &[Expr],
        span: Span,
    ) -> Option<Expr> {
        match self.choose_member(members, free, operands) {
            Choice::One(index) => {
                let mut operands = operands.iter().cloned();
                let id = *members.iter().chain(free).nth(index)?;
                let this = if index < members.len() { operands.next() } else { None };
                Some(self.call_function(id, this, operands.collect(), span))
            }
            Choice::None => None,
            Choice::Ambiguous(several) => {
                self.error(span, "use of overloaded operator is ambiguous");
                let all: Vec<FuncId> = members.iter().chain(free).copied().collect();
                for at in several {
                    match at < members.len() {
                        true => self.note_member(all[at], operands),
                        false => self.note_candidate(Candidate::Func(all[at]), operands),
                    }
                }
                Some(self.error_expr(span))
            }
        }
    }

    /// Chooses a constructor. Without one, the error is the list of those that fit equally well. Those of objects in
    /// other memory than a thread's are for constants only.
    pub(super) fn choose_constructor(
        &mut self,
        list: &[Entity],
        sources: &[Source],
    ) -> Result<FuncId, Vec<FuncId>> {
        let types: Vec<(Qual, bool)> = sources.iter().map(|one| (one.qual, one.place)).collect();
        let all: Vec<FuncId> =
            self.functions_of(list, &types).into_iter().map(|(id, _)| id).collect();
        for values in [true, false] {
            let fits = |id: &FuncId| self.func(*id).makes_values() == values;
            let fitting: Vec<FuncId> = all.iter().copied().filter(fits).collect();
            let candidates: Vec<Candidate> = fitting.iter().copied().map(Candidate::Func).collect();
            match self.choose(&candidates, sources) {
                Choice::One(index) => return Ok(fitting[index]),
                Choice::Ambiguous(several) => {
                    return Err(several.into_iter().map(|index| fitting[index]).collect());
                }
                Choice::None => {}
            }
        }
        Err(Vec::new())
    }

    /// Reports that no constructor fits, or that these fit equally well.
    pub(super) fn no_constructor(&mut self, ty: TyId, rivals: &[FuncId], span: Span) {
        let name = self.types.name(ty);
        let message = match rivals {
            [] => format!("no matching constructor for initialization of '{name}'"),
            _ => format!("call to constructor of '{name}' is ambiguous"),
        };
        self.error(span, message);
        rivals.iter().for_each(|&id| self.note_function(id));
    }

    pub(super) fn construct_with(
        &mut self,
        id: FuncId,
        ty: TyId,
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        self.refuse_destructor(ty, span);
        let values = self.convert_arguments(id, arguments);
        let index = self.instance(id, Some(AddressSpace::Thread));
        self.value(ExprKind::Construct(index, values), ty, span)
    }
}
