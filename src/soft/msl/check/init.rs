//! Initialisation (C++14 dcl.init; MSL 2.2.2, 2.3.2): variables and lists.

use super::constant::fits;
use super::{Checker, Entity};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::{self, Designator};
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, StructId, Ty, TyId, Types};

/// The last index that a designator may name: each element up to it becomes an expression.
const MAX_DESIGNATED: usize = 1 << 16;

fn is_expansion(expr: &ast::Expr) -> bool {
    matches!(expr.kind, ast::ExprKind::Expansion(..))
}

/// The elements of a list that are not consumed yet: inner braces may be omitted (dcl.init.aggr/12).
struct Items<'a> {
    list: &'a [(Option<Designator>, ast::Expr)],
    at: usize,
    /// The front item, if it was checked already to see whether it fits.
    checked: Option<Expr>,
}

/// Whose members a designator in a list names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Braces {
    /// Those of the object: the list is its own.
    Own,
    /// Those of the object around: this one has no braces.
    Omitted,
    /// Those of both: this one is an anonymous member.
    Anonymous,
}

impl Checker {
    /// The initial value of a variable of type `qual`; `None` if uninitialised. The type of the
    /// result determines `auto` and the size of arrays without one.
    pub(super) fn initializer(&mut self, qual: Qual, init: &ast::Init, span: Span) -> Option<Expr> {
        if *self.types.get(qual.ty) == Ty::Sampler {
            match init {
                ast::Init::None => return Some(self.sampler_value([], span)),
                ast::Init::Direct(options) => return Some(self.sampler_value(options, span)),
                ast::Init::Copy(_) | ast::Init::List(_) => {}
            }
        }
        if let Some(expr) = init.single()
            && let Some(value) = self.string_array(qual.ty, expr)
        {
            return Some(value);
        }
        let is_list = |expr: &ast::Expr| matches!(expr.kind, ast::ExprKind::InitList(_));
        let listed = match init {
            ast::Init::None => true,
            ast::Init::Copy(expr) | ast::Init::List(expr) => is_list(expr),
            ast::Init::Direct(arguments) => arguments.iter().all(is_list),
        };
        // [dcl.init]/17.5: arrays are not copied.
        if !listed && matches!(self.types.get(qual.ty), Ty::Array(..)) {
            self.error(span, "array initializer must be an initializer list");
            return Some(self.error_expr(span));
        }
        match init {
            ast::Init::None => self.default_value(qual, span),
            ast::Init::Copy(expr) | ast::Init::List(expr)
                if matches!(expr.kind, ast::ExprKind::InitList(_)) =>
            {
                Some(self.list_value(qual, expr))
            }
            ast::Init::Copy(expr) | ast::Init::List(expr) => {
                let value = self.expr(expr);
                Some(self.implicit(value, qual, "initialize a variable of type"))
            }
            ast::Init::Direct(arguments)
                if matches!(
                    arguments[..],
                    [ast::Expr { kind: ast::ExprKind::InitList(_), .. }]
                ) && !matches!(self.types.get(qual.ty), Ty::Reference(..)) =>
            {
                Some(self.list_value(qual, &arguments[0]))
            }
            ast::Init::Direct(arguments) => {
                let mut values = self.arguments(arguments);
                if !matches!(self.types.get(qual.ty), Ty::Reference(..)) {
                    return Some(self.construct(qual, values, span));
                }
                // A reference is bound the same way by parentheses and by `=` (dcl.init.ref).
                match (values.pop(), values.is_empty()) {
                    (Some(value), true) => {
                        Some(self.implicit(value, qual, "initialize a variable of type"))
                    }
                    _ => {
                        self.error(span, "a reference is initialized with one value");
                        Some(self.error_expr(span))
                    }
                }
            }
        }
    }

    /// An array of characters with the value of a string literal ([dcl.init.string]).
    fn string_array(&mut self, ty: TyId, expr: &ast::Expr) -> Option<Expr> {
        let ast::ExprKind::Str(pieces) = &expr.kind else { return None };
        let Ty::Array(element, count) = *self.types.get(ty) else { return None };
        let scalar = self.types.as_scalar(element);
        let scalar = scalar.filter(|scalar| matches!(scalar, Scalar::I8 | Scalar::U8))?;
        let text = self.joined_pieces(pieces);
        if count.is_some_and(|count| text.len() >= count as usize) {
            self.error(expr.span, "initializer-string for char array is too long");
            return Some(self.error_expr(expr.span));
        }
        let value = self.characters(&text, scalar, expr.span);
        let ty = if count.is_some() { ty } else { value.qual.ty };
        Some(Expr { qual: Qual::plain(ty), ..value })
    }

    /// Default initialisation: runs a class's constructor or member initialisers.
    pub(super) fn default_value(&mut self, qual: Qual, span: Span) -> Option<Expr> {
        if let Ty::Array(_, Some(_)) = self.types.get(qual.ty) {
            if !self.initialises_members(qual.ty) {
                return None;
            }
            // Element by element (dcl.init/7).
            let mut items = Items { list: &[], at: 0, checked: None };
            return Some(self.aggregate(qual.ty, &mut items, Braces::Own, span));
        }
        let (class, _) = self.types.structure(qual.ty)?;
        let row = &self.classes[class.0 as usize];
        if row.constructors.is_empty() {
            if !self.initialises_members(qual.ty) {
                return None;
            }
            let list = ast::Expr::new(ast::ExprKind::InitList(Vec::new()), span);
            return Some(self.list_value(qual, &list));
        }
        let list = row.constructors.clone();
        match self.choose_constructor(&list, &[]) {
            Ok(id) => Some(self.construct_with(id, qual.ty, Vec::new(), span)),
            Err(rivals) => {
                self.no_constructor(qual.ty, &rivals, span);
                None
            }
        }
    }

    /// Whether default initialisation does anything: a constructor or a default member initialiser,
    /// of the class or of one of its members and bases (class.ctor/6).
    fn initialises_members(&self, ty: TyId) -> bool {
        if let Ty::Array(element, _) = *self.types.get(ty) {
            return self.initialises_members(element);
        }
        let Some((class, row)) = self.types.structure(ty) else { return false };
        let known = &self.classes[class.0 as usize];
        !known.constructors.is_empty()
            || known.defaults.iter().any(Option::is_some)
            || !row.union
                && row.fields().iter().any(|field| self.initialises_members(field.qual.ty))
    }

    /// Whether lists initialise the members of a class: it has no constructors but defaulted and deleted ones
    /// ([dcl.init.aggr]/1).
    pub(super) fn is_aggregate(&self, class: StructId) -> bool {
        self.classes[class.0 as usize].constructors.iter().all(|entity| match entity {
            Entity::Function(id) => {
                let func = self.func(*id);
                func.deleted
                    || func
                        .definition
                        .as_ref()
                        .is_some_and(|d| matches!(d.body, ast::Body::Default))
            }
            _ => false,
        })
    }

    /// Whether an object without an initialiser has a value (dcl.init/7 with CWG 253).
    pub(super) fn has_default(&self, ty: TyId) -> bool {
        if ty == Types::UNKNOWN {
            return true;
        }
        let Some((class, row)) = self.types.structure(ty) else { return false };
        let known = &self.classes[class.0 as usize];
        let mut fields = row.fields().iter().zip(&known.defaults);
        !known.constructors.is_empty()
            || fields.all(|(field, default)| default.is_some() || self.has_default(field.qual.ty))
    }

    /// `T{…}`, `T x = {…}`
    pub(super) fn list_value(&mut self, qual: Qual, list: &ast::Expr) -> Expr {
        let ast::ExprKind::InitList(items) = &list.kind else {
            let value = self.expr(list);
            return self.implicit(value, qual, "initialize");
        };
        if qual.ty == Types::UNKNOWN {
            return self.error_expr(list.span);
        }
        if let Ty::Reference(referred, _) = *self.types.get(qual.ty) {
            let value = self.list_value(Qual::plain(referred.ty), list);
            return self.implicit(value, qual, "initialize");
        }
        if *self.types.get(qual.ty) == Ty::Sampler {
            return self.sampler_value(items.iter().map(|(_, option)| option), list.span);
        }
        // A list of one element of the same class copies it ([dcl.init.list]/3).
        let class = self.types.structure(qual.ty).map(|found| found.0);
        let constructed = class.is_some_and(|class| !self.is_aggregate(class));
        let expanded;
        let items = match items.iter().any(|(_, one)| is_expansion(one)) {
            true => {
                let exprs: Vec<ast::Expr> = items.iter().map(|(_, one)| one.clone()).collect();
                expanded = self.expanded(&exprs).into_iter().map(|one| (None, one)).collect();
                &expanded
            }
            false => items,
        };
        if let Some(element) = self.element_of_list(qual.ty) {
            return self.listed(qual.ty, element, items, list.span);
        }
        if let Some(class) = class.filter(|_| constructed) {
            let mut exprs: Vec<ast::Expr> = items.iter().map(|(_, one)| one.clone()).collect();
            if self.takes_lists(class) && !items.is_empty() {
                let checked = self.list_argument(list);
                let source = self.source(&checked);
                if let Some(id) = self.list_constructor(class, source) {
                    return self.construct_with(id, qual.ty, vec![checked], list.span);
                }
                // Each element is checked once.
                if let ExprKind::List(written, _) = checked.kind
                    && let ast::ExprKind::InitList(items) = written.kind
                {
                    exprs = items.into_iter().map(|(_, one)| one).collect();
                }
            }
            let values = self.arguments(&exprs);
            return self.construct(qual, values, list.span);
        }
        if let [(None, item)] = &items[..]
            && let Some(value) = self.string_array(qual.ty, item)
        {
            return value;
        }
        let mut items = Items { list: items, at: 0, checked: None };
        if let (Ty::Struct(_), [(None, item)]) = (self.types.get(qual.ty), items.list)
            && !matches!(item.kind, ast::ExprKind::InitList(_))
        {
            // An object of the class, or of one derived from it, is copied (CWG 1467).
            let value = self.expr(item);
            let from = value.qual.ty;
            if from == qual.ty || self.base_path(from, qual.ty).is_some() {
                return self.implicit(value, Qual::plain(qual.ty), "initialize");
            }
            items.checked = Some(value);
        }
        let value = match *self.types.get(qual.ty) {
            Ty::Scalar(_) | Ty::Enum(_) | Ty::Pointer(_) | Ty::Atomic(_) => match items.list {
                [] => self.value(ExprKind::Zero, qual.ty, list.span),
                [(_, item)] => {
                    items.at = 1;
                    let target = match *self.types.get(qual.ty) {
                        Ty::Atomic(scalar) => Types::scalar(scalar),
                        _ => qual.ty,
                    };
                    let value = self.item(item, Qual::plain(target));
                    Expr { qual: Qual::plain(qual.ty), ..value }
                }
                _ => {
                    self.error(list.span, "excess elements in scalar initializer");
                    return self.error_expr(list.span);
                }
            },
            Ty::Vector(..) | Ty::Packed(..) if !items.list.is_empty() => {
                let mut values: Vec<Expr> =
                    items.list.iter().map(|(_, item)| self.expr(item)).collect();
                // Values missing after several are zero, as in an aggregate; a single one is for all components.
                let lanes =
                    |value: &Expr| self.types.arithmetic(value.qual.ty).map(|shape| shape.1);
                if let (Some(given), Some((scalar, width))) =
                    (values.iter().map(lanes).sum::<Option<u32>>(), self.types.arithmetic(qual.ty))
                    && values.len() > 1
                {
                    let zero = self.value(ExprKind::Zero, Types::scalar(scalar), list.span);
                    values.extend((given..width).map(|_| zero.clone()));
                }
                return self.construct(qual, values, list.span);
            }
            Ty::Matrix(scalar, _, rows) if !items.list.is_empty() => {
                // An inner list is a column: `{{1, 2}, {3, 4}}`.
                let column = Qual::plain(self.types.vector(scalar, u32::from(rows)));
                let value = |(_, item): &(Option<Designator>, ast::Expr)| match item.kind {
                    ast::ExprKind::InitList(_) => self.list_value(column, item),
                    _ => self.expr(item),
                };
                let values: Vec<Expr> = items.list.iter().map(value).collect();
                return self.construct(qual, values, list.span);
            }
            _ => self.aggregate(qual.ty, &mut items, Braces::Own, list.span),
        };
        if items.at < items.list.len() {
            let what =
                if matches!(self.types.get(qual.ty), Ty::Array(..)) { "array" } else { "struct" };
            let span = items.list[items.at].1.span;
            self.error(span, format!("excess elements in {what} initializer"));
        }
        value
    }

    pub(super) fn item(&mut self, item: &ast::Expr, to: Qual) -> Expr {
        if matches!(item.kind, ast::ExprKind::InitList(_)) {
            return self.list_value(to, item);
        }
        let value = self.expr(item);
        self.refuse_narrowing(&value, to.ty);
        self.implicit(value, to, "initialize a member of type")
    }

    /// A constant in braces must be representable in the type ([dcl.init.list]/7).
    fn refuse_narrowing(&mut self, value: &Expr, to: TyId) {
        let scalars = self.types.as_scalar(value.qual.ty).zip(self.types.as_scalar(to));
        let Some((from, target)) = scalars.filter(|(from, target)| from != target) else { return };
        let read = self.rvalue(value.clone());
        let Ok(constant) = self.evaluate(&read) else { return };
        if fits(constant, from, target) {
            return;
        }
        let (from, target) = (self.types.name(value.qual.ty), self.types.name(to));
        self.error(
            value.span,
            format!("constant of type '{from}' cannot be narrowed to '{target}' in a list"),
        );
    }

    /// Consumes the elements of the list that an aggregate needs (dcl.init.aggr).
    fn aggregate(&mut self, ty: TyId, items: &mut Items<'_>, braces: Braces, span: Span) -> Expr {
        match *self.types.get(ty) {
            Ty::Array(element, count) => {
                let limit = count.map_or(usize::MAX, |count| count as usize);
                let parts = self.array_elements(element, limit, items, braces);
                // An array without a size has as many elements as the list.
                let ty = match count {
                    Some(_) => ty,
                    None => self.types.intern(Ty::Array(element, Some(parts.len() as u32))),
                };
                // Those without an initialiser in the list have that of their class.
                let others = match count.is_some() && parts.len() < limit {
                    true => self.default_element(element, span),
                    false => None,
                };
                let kind = match others {
                    Some(value) => ExprKind::Filled(parts, Box::new(value)),
                    None => ExprKind::Aggregate(parts),
                };
                self.value(kind, ty, span)
            }
            Ty::Struct(class) => self.aggregate_struct(class, ty, items, braces, span),
            _ => self.value(ExprKind::Zero, ty, span),
        }
    }

    /// The value of an element that a list does not mention, if it is not zero.
    fn default_element(&mut self, element: TyId, span: Span) -> Option<Expr> {
        match self.initialises_members(element) {
            true => self.default_value(Qual::plain(element), span),
            false => None,
        }
    }

    /// The elements of an array; designators set the index (C99 6.7.8, and GNU's ranges).
    fn array_elements(
        &mut self,
        element: TyId,
        limit: usize,
        items: &mut Items<'_>,
        braces: Braces,
    ) -> Vec<Expr> {
        let mut parts: Vec<Expr> = Vec::new();
        let mut next = 0;
        while let Some((designator, item)) = items.list.get(items.at) {
            let mut last = next;
            match designator {
                Some(_) if braces != Braces::Own => break,
                Some(Designator::Elements(first, end)) => {
                    let Some(range) = self.designated(first, end.as_deref(), limit) else {
                        items.at += 1;
                        continue;
                    };
                    (next, last) = range;
                }
                Some(Designator::Field(name)) => {
                    self.error(name.span, "field designator cannot initialize an array");
                    items.at += 1;
                    continue;
                }
                None if next >= limit => break,
                None => {}
            }
            let before = items.at;
            let value = self.element(element, items);
            if next > parts.len() {
                let zero = self.value(ExprKind::Zero, element, item.span);
                parts.resize(next, self.default_element(element, item.span).unwrap_or(zero));
            }
            if next == parts.len() {
                parts.resize(last + 1, value);
            } else {
                parts.resize(parts.len().max(last + 1), value.clone());
                parts[next..=last].fill(value);
            }
            next = last + 1;
            if items.at == before {
                break;
            }
        }
        parts
    }

    /// The range of elements of a designator `[first ... last]`.
    fn designated(
        &mut self,
        first: &ast::Expr,
        last: Option<&ast::Expr>,
        limit: usize,
    ) -> Option<(usize, usize)> {
        let from = self.constant_int(first)?;
        let to = match last {
            Some(last) => self.constant_int(last)?,
            None => from,
        };
        let bounds = (usize::try_from(from).ok(), usize::try_from(to).ok());
        match bounds {
            (Some(from), Some(to)) if from <= to && to < limit.min(MAX_DESIGNATED) => {
                Some((from, to))
            }
            (Some(from), Some(to)) if from <= to && to < limit => {
                let message = format!(
                    "array designator index {to} is too large: it is at most {}",
                    MAX_DESIGNATED - 1
                );
                self.error(first.span, message);
                None
            }
            _ => {
                self.error(first.span, "array designator index exceeds the array bounds");
                None
            }
        }
    }

    fn aggregate_struct(
        &mut self,
        class: StructId,
        ty: TyId,
        items: &mut Items<'_>,
        braces: Braces,
        span: Span,
    ) -> Expr {
        self.refuse_destructor(ty, span);
        let row = self.types.class(class).clone();
        if !row.complete {
            let name = self.types.name(ty);
            self.error(span, format!("initialization of incomplete type '{name}'"));
            return self.error_expr(span);
        }
        if row.union {
            let Some((designator, _)) = items.list.get(items.at) else {
                let defaults = &self.classes[class.0 as usize].defaults;
                let Some(index) = defaults.iter().position(Option::is_some) else {
                    return self.value(ExprKind::Zero, ty, span);
                };
                let value = self.member_default(class, index, span);
                return self.value(ExprKind::UnionValue(index as u32, Box::new(value)), ty, span);
            };
            let path = match designator {
                Some(Designator::Field(name)) if braces != Braces::Omitted => {
                    self.field_path(class, name.name)
                }
                Some(Designator::Elements(..)) if braces == Braces::Own => None,
                _ => (!row.fields().is_empty()).then(|| vec![0]),
            };
            let Some(path) = path else {
                self.error(span, "no such member in the union");
                items.at = items.list.len();
                return self.error_expr(span);
            };
            let index = path[0] as usize;
            let member = row.fields()[index].qual.ty;
            let value = match path.len() {
                1 => self.element(member, items),
                _ => self.aggregate(member, items, Braces::Anonymous, span),
            };
            return self.value(ExprKind::UnionValue(index as u32, Box::new(value)), ty, span);
        }
        let mut parts: Vec<Option<Expr>> = row.fields().iter().map(|_| None).collect();
        let mut next = 0;
        while let Some((designator, _)) = items.list.get(items.at) {
            if designator.is_some() && braces == Braces::Omitted {
                break;
            }
            if let Some(Designator::Elements(first, _)) = designator {
                self.error(first.span, "array designator cannot initialize a struct");
                items.at += 1;
                continue;
            }
            if let Some(Designator::Field(name)) = designator {
                match self.field_path(class, name.name).as_deref() {
                    Some(&[index]) => next = index as usize,
                    Some(&[index, ..]) => {
                        next = index as usize;
                        let member = row.fields()[next].qual.ty;
                        let inner = self.aggregate(member, items, Braces::Anonymous, span);
                        parts[next] = Some(inner);
                        next += 1;
                        continue;
                    }
                    _ if braces == Braces::Anonymous => break,
                    _ => {
                        let (text, ty) = (self.text(name.name), self.types.name(ty));
                        self.error(name.span, format!("field designator '{text}' does not refer to any field in type '{ty}'"));
                        items.at += 1;
                        continue;
                    }
                }
            }
            let Some(field) = row.fields().get(next) else { break };
            parts[next] = Some(self.element(field.qual.ty, items));
            next += 1;
        }
        let defaults = &self.classes[class.0 as usize].defaults;
        let missing = |(at, part): (usize, &Option<Expr>)| {
            part.is_none() && defaults.get(at).is_some_and(Option::is_some)
        };
        let any_default = parts.iter().enumerate().any(missing);
        // A default may use the members before it, which needs an object.
        let object = (any_default && self.body.is_some()).then(|| {
            let qual = Qual { space: Some(ast::AddressSpace::Thread), ..Qual::plain(ty) };
            let local = ExprKind::Local(self.new_local(String::new(), qual));
            Expr { kind: local, qual, place: true, span }
        });
        let outer = self.begin_initialising(object.clone().map(|object| (object, false)));
        let parts: Vec<Expr> = parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| match part {
                Some(part) => part,
                None => self.member_default(class, index, span),
            })
            .collect();
        let used = self.begin_initialising(outer).is_some_and(|(_, used)| used);
        match object {
            Some(object) if used => self.assigned_object(object, parts, span),
            _ => self.value(ExprKind::Aggregate(parts), ty, span),
        }
    }

    /// Sets the object that default member initialisers use; returns the previous one.
    fn begin_initialising(&mut self, object: Option<(Expr, bool)>) -> Option<(Expr, bool)> {
        let body = self.body.as_mut()?;
        std::mem::replace(&mut body.initialised, object)
    }

    /// The value of an object whose members are assigned one after the other (dcl.init.aggr/6).
    fn assigned_object(&mut self, object: Expr, parts: Vec<Expr>, span: Span) -> Expr {
        let ty = object.qual.ty;
        let mut value = self.value(ExprKind::Load(Box::new(object.clone())), ty, span);
        for (index, part) in parts.into_iter().enumerate().rev() {
            let mut member = self.field(object.clone(), &[index as u32], span);
            member.qual.constant = false;
            self.made_part(&part);
            let qual = member.qual;
            let kind = ExprKind::Assign(Box::new(member), Box::new(part));
            let assigned = Expr { kind, qual, place: true, span };
            value = self.value(ExprKind::Comma(Box::new(assigned), Box::new(value)), ty, span);
        }
        value
    }

    /// A member without an initialiser in a list: its own default, or zero.
    pub(super) fn member_default(&mut self, class: StructId, index: usize, span: Span) -> Expr {
        let ty = self.types.class(class).fields()[index].qual.ty;
        let default = self.classes[class.0 as usize].defaults.get(index);
        if !default.is_some_and(Option::is_some) && !self.initialises_members(ty) {
            return self.value(ExprKind::Zero, ty, span);
        }
        self.with_default(span, |this| this.default_of_member(class, index, span))
    }

    fn default_of_member(&mut self, class: StructId, index: usize, span: Span) -> Expr {
        let field = self.types.class(class).fields()[index].clone();
        let default = self.classes[class.0 as usize].defaults.get(index).cloned().flatten();
        if let Some(simple) = default {
            let scope = self.classes[class.0 as usize].scope;
            let one = simple
                .declarators
                .iter()
                .find(|one| one.declarator.name.as_ref().and_then(ast::Path::plain) == field.name);
            if let Some(one) = one {
                let qual = Qual::plain(field.qual.ty);
                let value = self.in_scope(scope).initializer(qual, &one.init, field.span);
                if let Some(value) = value {
                    return value;
                }
            }
        }
        match self.default_value(Qual::plain(field.qual.ty), span) {
            Some(value) => value,
            None => self.value(ExprKind::Zero, field.qual.ty, span),
        }
    }

    /// One element: a nested list, a value that fits, or the first element of an inner aggregate without braces.
    fn element(&mut self, ty: TyId, items: &mut Items<'_>) -> Expr {
        let (_, item) = &items.list[items.at];
        let to = Qual::plain(ty);
        if matches!(item.kind, ast::ExprKind::InitList(_)) {
            items.at += 1;
            items.checked = None;
            return self.list_value(to, item);
        }
        if let Some(value) = self.string_array(ty, item) {
            items.at += 1;
            return value;
        }
        let inner_aggregate = match *self.types.get(ty) {
            Ty::Array(..) => true,
            Ty::Struct(class) => self.is_aggregate(class),
            _ => false,
        };
        let value = match items.checked.take() {
            Some(value) => value,
            None => self.expr(item),
        };
        let source = self.source(&value);
        if inner_aggregate && value.qual.ty != Types::UNKNOWN && self.rank(source, to).is_none() {
            let span = item.span;
            items.checked = Some(value);
            return self.aggregate(ty, items, Braces::Omitted, span);
        }
        items.at += 1;
        self.refuse_narrowing(&value, ty);
        self.implicit(value, to, "initialize a member of type")
    }
}
