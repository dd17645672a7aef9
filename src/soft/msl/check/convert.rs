//! Conversions and their ranks (C++14 conv, over.ics; MSL 2.21, 2.22).

use super::{Checker, Entity, Func, FuncId};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::AddressSpace;
use crate::soft::msl::hir::{Constant, Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, StructId, Ty, TyId, Types};
use std::cmp::Ordering;

/// How good an implicit conversion is (over.ics.rank). Less is better, but for conversions to bases, which
/// [`Checker::compare_ranks`] orders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rank {
    Exact,
    /// Exact but for added qualifiers.
    Qualified,
    Promotion,
    Conversion,
    /// An object or a pointer to one becomes its base, or a pointer to its base; with qualifiers added if true.
    Base(TyId, bool),
    /// A pointer becomes a pointer to `void`, with qualifiers added if true.
    Void(bool),
    /// A pointer becomes a `bool`.
    Bool,
    /// A scalar becomes a vector (MSL 2.22).
    Splat,
    User,
    /// It is an argument for `...`.
    Ellipsis,
}

/// An argument, as overload resolution sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) qual: Qual,
    pub(super) place: bool,
    /// A constant 0, which converts to a null pointer.
    pub(super) zero: bool,
    /// `{…}`: a number of a list in [`Checker::lists`].
    pub(super) list: Option<u32>,
    /// A name of several functions.
    pub(super) overloaded: Option<u32>,
}

/// A constructor or conversion function that converts a value to another type.
#[derive(Clone, Debug)]
pub(super) struct UserConversion {
    func: FuncId,
    constructor: bool,
    /// Others that are as good: the conversion is ambiguous.
    rivals: Vec<FuncId>,
}

impl UserConversion {
    /// Whether no other is as good.
    pub(super) fn is_unique(&self) -> bool {
        self.rivals.is_empty()
    }
}

/// A candidate for a [`UserConversion`], with the conversions of its argument and of its result.
#[derive(Debug)]
struct Offer {
    func: FuncId,
    constructor: bool,
    argument: Rank,
    result: Rank,
}

impl Checker {
    pub(super) fn source(&self, expr: &Expr) -> Source {
        let zero = matches!(expr.kind, ExprKind::Constant(Constant::Int(0)));
        let list = match &expr.kind {
            ExprKind::List(_, number) => Some(*number),
            _ => None,
        };
        // No reference binds to a bit-field itself (class.bit/3); an xvalue is no lvalue.
        let place = expr.place && !self.is_bit_field(expr) && !expr.is_xvalue();
        let overloaded = match expr.kind {
            ExprKind::Overloaded(number) => Some(number),
            _ => None,
        };
        Source { qual: expr.qual, place, zero, list, overloaded }
    }

    pub(super) fn is_bit_field(&self, expr: &Expr) -> bool {
        let ExprKind::Field(base, index) = &expr.kind else { return false };
        let class = self.types.structure(base.qual.ty);
        class.is_some_and(|(_, row)| row.fields()[*index as usize].bits.is_some())
    }

    /// The type that a bit-field is promoted to by its width ([conv.prom]/5), if its declared type is not: `int` if it has all
    /// values.
    pub(super) fn promoted_bit_field(&self, expr: &Expr) -> Option<Scalar> {
        let ExprKind::Field(base, index) = &expr.kind else { return None };
        let (_, row) = self.types.structure(base.qual.ty)?;
        let field = &row.fields()[*index as usize];
        let Ty::Scalar(scalar) = *self.types.get(field.qual.ty) else { return None };
        match (field.bits?.width, scalar.is_signed()) {
            (..=31, _) | (32, true) => Some(Scalar::I32),
            (32, false) => Some(Scalar::U32),
            _ => None,
        }
    }

    /// The value of an operand of an operator: that of a bit-field is promoted by its width.
    pub(super) fn operand_value(&mut self, expr: Expr) -> Expr {
        let promoted = self.promoted_bit_field(&expr);
        let value = self.rvalue(expr);
        match promoted {
            Some(scalar) => self.convert_scalar(value, scalar),
            None => value,
        }
    }

    /// The same of an operand that may be an object of a class: that is converted, and not copied.
    pub(super) fn operand_or_object(&mut self, expr: Expr) -> Expr {
        match self.types.structure(expr.qual.ty) {
            Some(_) => expr,
            None => self.operand_value(expr),
        }
    }

    /// The rank of the conversion of `from` to `to`, if there is one.
    pub(super) fn rank(&mut self, from: Source, to: Qual) -> Option<Rank> {
        if from.qual.ty == Types::UNKNOWN || to.ty == Types::UNKNOWN {
            return Some(Rank::Exact);
        }
        if let Ty::Reference(referred, rvalue) = *self.types.get(to.ty) {
            return self.rank_reference(from, referred, rvalue);
        }
        if let Some(list) = from.list {
            return self.rank_list(list, to.ty);
        }
        if let Some(number) = from.overloaded {
            return self.overload_of(number, to.ty, Span::default()).map(|_| Rank::Exact);
        }
        self.rank_value(from, to.ty)
    }

    /// Binding a reference (dcl.init.ref): to an lvalue of the same type and space, or, when it is
    /// const or `&&`, and in thread memory, to a temporary.
    fn rank_reference(&mut self, from: Source, to: Qual, rvalue: bool) -> Option<Rank> {
        if from.qual.ty != to.ty && self.base_path(from.qual.ty, to.ty).is_some() {
            let base = Source { qual: from.qual.with(to.ty), ..from };
            let rank = self.rank_reference(base, to, rvalue)?;
            return Some(Rank::Base(to.ty, rank > Rank::Exact));
        }
        let same = from.place
            && from.qual.ty == to.ty
            && from.qual.space_or_thread() == to.space_or_thread();
        let constant = to.constant || to.space == Some(AddressSpace::Constant);
        if rvalue && from.place && from.qual.ty == to.ty {
            return None;
        }
        if same && (!from.qual.constant || constant) {
            return Some(if from.qual.constant == to.constant {
                Rank::Exact
            } else {
                Rank::Qualified
            });
        }
        let temporary = to.constant || rvalue;
        if same || !temporary || to.space_or_thread() != AddressSpace::Thread {
            return None;
        }
        if let Some(list) = from.list {
            return self.rank_list(list, to.ty);
        }
        // A copy of an object in other memory is worse than a reference to it.
        let copied = from.place && from.qual.ty == to.ty;
        let least = if copied { Rank::Conversion } else { Rank::Exact };
        self.rank_value(from, to.ty).map(|rank| rank.max(least))
    }

    fn rank_value(&mut self, from: Source, to: TyId) -> Option<Rank> {
        let source = from.qual.ty;
        if source == to {
            return Some(Rank::Exact);
        }
        match (self.types.get(source).clone(), self.types.get(to).clone()) {
            // A packed vector and its vector are the same value (MSL 2.2.3).
            (Ty::Packed(a, m), Ty::Vector(b, n)) | (Ty::Vector(a, m), Ty::Packed(b, n))
                if a == b && m == n =>
            {
                Some(Rank::Promotion)
            }
            (Ty::Array(element, _), Ty::Pointer(target)) => {
                let pointee = from.qual.with(element);
                self.rank_pointer(pointee, target)
            }
            (Ty::Pointer(pointee), Ty::Pointer(target)) => self.rank_pointer(pointee, target),
            (Ty::Nullptr, Ty::Pointer(_)) => Some(Rank::Conversion),
            (Ty::Scalar(_), Ty::Pointer(_)) if from.zero => Some(Rank::Conversion),
            (Ty::Pointer(_) | Ty::Array(..) | Ty::Nullptr, Ty::Scalar(Scalar::Bool)) => {
                Some(Rank::Bool)
            }
            (Ty::Struct(_), Ty::Struct(_)) if self.base_path(source, to).is_some() => {
                Some(Rank::Base(to, false))
            }
            (Ty::Struct(_), Ty::Pointer(_)) if self.closure_as_pointer(source, to).is_some() => {
                Some(Rank::User)
            }
            (Ty::Struct(_), _) | (_, Ty::Struct(_)) => {
                self.user_conversion(from, to, false).map(|_| Rank::User)
            }
            _ => self.rank_arithmetic(source, to),
        }
    }

    fn rank_pointer(&self, from: Qual, to: Qual) -> Option<Rank> {
        // Objects in constant memory are implicitly const (MSL 4.2).
        let constant = to.constant || to.space == Some(AddressSpace::Constant);
        let qualifiers = (!from.constant || constant) && (!from.volatile || to.volatile);
        if !qualifiers || from.space_or_thread() != to.space_or_thread() {
            return None;
        }
        let same = from.constant == to.constant && from.volatile == to.volatile;
        Some(match () {
            () if from.ty == to.ty && same => Rank::Exact,
            () if from.ty == to.ty => Rank::Qualified,
            () if to.ty == Types::VOID => Rank::Void(!same),
            () => {
                self.base_path(from.ty, to.ty)?;
                Rank::Base(to.ty, !same)
            }
        })
    }

    fn rank_arithmetic(&self, from: TyId, to: TyId) -> Option<Rank> {
        // Nothing converts implicitly to an enum, and a scoped enum to nothing.
        if matches!(self.types.get(to), Ty::Enum(_)) {
            return None;
        }
        let (from_scalar, from_width) = self.types.arithmetic(from)?;
        let (to_scalar, to_width) = self.types.arithmetic(to)?;
        match (from_width, to_width) {
            (1, 1) => {}
            (1, _) if !matches!(self.types.get(to), Ty::Packed(..)) => {}
            _ => return None,
        }
        // MSL 2.22: among floating types `bfloat` converts to `float` only, and none of them
        // converts to `bfloat`.
        match (from_scalar, to_scalar) {
            (Scalar::BF16, Scalar::F16) | (Scalar::F16 | Scalar::F32, Scalar::BF16) => return None,
            _ => {}
        }
        if to_width > 1 {
            return Some(Rank::Splat);
        }
        let promotes = from_scalar == to_scalar || to_scalar == promoted(from_scalar);
        Some(if promotes { Rank::Promotion } else { Rank::Conversion })
    }

    /// Compares two conversions of one source. Of two base classes, the more derived one is better (over.ics.rank/4);
    /// unrelated ones are equal.
    pub(super) fn compare_ranks(&self, a: Rank, b: Rank) -> Ordering {
        match (a, b) {
            (Rank::Base(a, added), Rank::Base(b, also)) if a == b => added.cmp(&also),
            (Rank::Base(a, _), Rank::Base(b, _)) => {
                let derives = |a, b| self.base_path(a, b).is_some();
                derives(b, a).cmp(&derives(a, b))
            }
            _ => a.cmp(&b),
        }
    }

    /// The constructor or conversion function that converts to `to`: the best by the conversion of its argument
    /// and then of its result (over.match.copy, over.match.conv). `explicit` ones are for explicit conversions only.
    pub(super) fn user_conversion(
        &mut self,
        from: Source,
        to: TyId,
        explicit: bool,
    ) -> Option<UserConversion> {
        // Not within another conversion of this kind (over.best.ics/4).
        if std::mem::replace(&mut self.converting, true) {
            return None;
        }
        let offers = self.offered_conversions(from, to, explicit);
        self.converting = false;
        let mut offers = offers.into_iter();
        let mut best = offers.next()?;
        let mut rivals: Vec<Offer> = Vec::new();
        for one in offers {
            match self.compare_offers(&one, &best) {
                Ordering::Less => {
                    rivals.push(std::mem::replace(&mut best, one));
                    rivals.retain(|rival| self.compare_offers(&best, rival) != Ordering::Less);
                }
                Ordering::Equal => rivals.push(one),
                Ordering::Greater => {}
            }
        }
        let Offer { func, constructor, .. } = best;
        Some(UserConversion {
            func,
            constructor,
            rivals: rivals.iter().map(|one| one.func).collect(),
        })
    }

    fn compare_offers(&mut self, a: &Offer, b: &Offer) -> Ordering {
        let ranks = [(a.argument, b.argument), (a.result, b.result)];
        let order = ranks.map(|(a, b)| self.compare_ranks(a, b));
        let order = order[0].then(order[1]);
        if order.is_ne() {
            return order;
        }
        // A function that is not from a template wins, then the more specialised template ([over.match.best]/1).
        match (self.func(a.func).made_from, self.func(b.func).made_from) {
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(first), Some(second)) if a.constructor && b.constructor => {
                let mut less = |a, b| self.more_special_function(a, b, 1);
                less(second, first).cmp(&less(first, second))
            }
            _ => Ordering::Equal,
        }
    }

    fn offered_conversions(&mut self, from: Source, to: TyId, explicit: bool) -> Vec<Offer> {
        let mut offers = Vec::new();
        if let Some((class, _)) = self.types.structure(to) {
            let list = self.classes[class.0 as usize].constructors.clone();
            for (func, _) in self.functions_of(&list, &[(from.qual, from.place)]) {
                let row = self.func(func);
                let least = row.parameters.iter().filter(|p| p.default.is_none()).count();
                let hidden = row.explicit && !explicit;
                if hidden || row.parameters.is_empty() || least > 1 || !row.makes_values() {
                    continue;
                }
                let parameter = row.parameters[0].qual;
                // A parameter of the class itself: a copy, not a conversion.
                let own = match *self.types.get(parameter.ty) {
                    Ty::Reference(referred, _) => referred.ty == to,
                    _ => parameter.ty == to,
                };
                if own {
                    continue;
                }
                if let Some(argument) = self.rank(from, parameter) {
                    offers.push(Offer { func, constructor: true, argument, result: Rank::Exact });
                }
            }
        }
        if let Some((class, _)) = self.types.structure(from.qual.ty) {
            for (func, _) in self.conversions_of(class, to) {
                let row = self.func(func);
                let (Some(result), Some(this)) = (row.result, row.this) else { continue };
                if row.explicit && !explicit || !self.takes_object(func, from.place) {
                    continue;
                }
                let Some(argument) = self.rank_this(from.qual, this) else { continue };
                let source = self.source_of(result);
                if let Some(result) = self.rank_value(source, to) {
                    offers.push(Offer { func, constructor: false, argument, result });
                }
            }
        }
        offers
    }

    /// A function's result of this type: an lvalue if the type is `&`.
    pub(super) fn source_of(&self, qual: Qual) -> Source {
        let plain = Source { qual, place: false, zero: false, list: None, overloaded: None };
        match *self.types.get(qual.ty) {
            Ty::Reference(to, rvalue) => Source { qual: to, place: !rvalue, ..plain },
            _ => plain,
        }
    }

    /// The functions of a list, and the instances of its templates for these arguments (true).
    pub(super) fn functions_of(
        &mut self,
        list: &[Entity],
        arguments: &[(Qual, bool)],
    ) -> Vec<(FuncId, bool)> {
        let one = |entity: &Entity| match *entity {
            Entity::Function(id) => Some((id, false)),
            Entity::Template(id) => Some((self.quiet_candidate(id, arguments)?, true)),
            _ => None,
        };
        list.iter().filter_map(one).collect()
    }

    /// A class's conversion functions, also inherited ones, and the instances of its templates of them that yield
    /// this type (true).
    pub(super) fn conversions_of(&mut self, class: StructId, to: TyId) -> Vec<(FuncId, bool)> {
        let list = self.classes[class.0 as usize].conversions.clone();
        let one = |entity: &Entity| match *entity {
            Entity::Function(id) => Some((id, false)),
            Entity::Template(id) => Some((self.conversion_candidate(id, to)?, true)),
            _ => None,
        };
        let mut all: Vec<(FuncId, bool)> = list.iter().filter_map(one).collect();
        let own = all.len();
        let ty = self.types.intern(Ty::Struct(class));
        for base in self.bases_of(ty) {
            let Some((base, _)) = self.types.structure(base) else { continue };
            for one in self.conversions_of(base, to) {
                // A conversion to the same type hides that of the base (class.conv.fct/7).
                let result = |id: FuncId| self.func(id).result;
                if !all[..own].iter().any(|mine| result(mine.0) == result(one.0)) {
                    all.push(one);
                }
            }
        }
        all
    }

    // ---- doing it ------------------------------------------------------------------------

    pub(super) fn error_expr(&self, span: Span) -> Expr {
        Expr { kind: ExprKind::Error, qual: Qual::plain(Types::UNKNOWN), place: false, span }
    }

    pub(super) fn value(&self, kind: ExprKind, ty: TyId, span: Span) -> Expr {
        Expr { kind, qual: Qual::plain(ty), place: false, span }
    }

    pub(super) fn int_value(&self, value: i64, span: Span) -> Expr {
        let kind = ExprKind::Constant(Constant::Int(value as u64));
        self.value(kind, Types::scalar(Scalar::I32), span)
    }

    /// The value of an lvalue; arrays become pointers to their first element (conv.lval, conv.array).
    pub(super) fn rvalue(&mut self, expr: Expr) -> Expr {
        let span = expr.span;
        if let ExprKind::Overloaded(number) = expr.kind {
            return self.unresolved_overloaded(number, span);
        }
        match *self.types.get(expr.qual.ty) {
            Ty::Array(element, _) if expr.place => {
                let pointee =
                    Qual { space: Some(expr.qual.space_or_thread()), ..expr.qual.with(element) };
                self.take_address(&expr);
                let ty = self.types.pointer(pointee);
                self.value(ExprKind::AddressOf(Box::new(expr)), ty, span)
            }
            _ if expr.place => {
                if let Some(copy) = self.copied(&expr) {
                    return copy;
                }
                let ty = expr.qual.ty;
                self.refuse_destructor(ty, span);
                // A load of `c ? a : b` becomes `c ? load a : load b`, so that neither needs to be in memory.
                let expr = match expr.kind {
                    ExprKind::Conditional(condition, yes, no) if !self.types.is_aggregate(ty) => {
                        let (yes, no) = (self.rvalue(*yes), self.rvalue(*no));
                        let kind = ExprKind::Conditional(condition, Box::new(yes), Box::new(no));
                        return self.value(kind, ty, span);
                    }
                    kind => Expr { kind, ..expr },
                };
                self.value(ExprKind::Load(Box::new(expr)), ty, span)
            }
            _ => Expr { qual: Qual::plain(expr.qual.ty), ..expr },
        }
    }

    /// Marks the local of an lvalue as one that must be in memory.
    pub(super) fn take_address(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Local(local) => {
                if let Some(body) = &mut self.body
                    && let Some(row) = body.locals.get_mut(local.0 as usize)
                {
                    row.in_memory = true;
                }
            }
            ExprKind::Field(base, _)
            | ExprKind::Element(base, _)
            | ExprKind::Swizzle(base, _)
            | ExprKind::ThreadElements(base) => {
                self.take_address(base);
            }
            ExprKind::Assign(base, _) | ExprKind::Compound { left: base, .. } => {
                self.take_address(base);
            }
            ExprKind::Comma(_, last) => self.take_address(last),
            ExprKind::Conditional(_, yes, no) => {
                self.take_address(yes);
                self.take_address(no);
            }
            _ => {}
        }
    }

    /// The arithmetic conversion of a scalar or vector value to another scalar type; keeps the shape.
    pub(super) fn convert_scalar(&mut self, expr: Expr, scalar: Scalar) -> Expr {
        let Some((_, width)) = self.types.arithmetic(expr.qual.ty) else { return expr };
        let ty = self.types.vector(scalar, width);
        self.convert_value(expr, ty)
    }

    /// Converts a value between types whose conversion is known to exist.
    pub(super) fn convert_value(&mut self, expr: Expr, ty: TyId) -> Expr {
        if expr.qual.ty == ty || expr.qual.ty == Types::UNKNOWN {
            return expr;
        }
        let span = expr.span;
        let (from, to) = (self.types.arithmetic(expr.qual.ty), self.types.arithmetic(ty));
        let kind = match (from, to) {
            (Some((_, 1)), Some((scalar, width))) if width > 1 => {
                let scalar_ty = Types::scalar(scalar);
                let inner = self.convert_value(expr, scalar_ty);
                ExprKind::Splat(Box::new(inner))
            }
            // Literals are converted immediately, so that they stay constants.
            (Some((a, 1)), Some((b, 1))) => match expr.kind {
                ExprKind::Constant(constant) => {
                    ExprKind::Constant(super::constant::convert(constant, a, b))
                }
                _ => ExprKind::Convert(Box::new(expr)),
            },
            _ => ExprKind::Convert(Box::new(expr)),
        };
        self.value(kind, ty, span)
    }

    /// Initialises a parameter or variable of type `to` with an expression, as by `=`.
    /// For a reference, the result is a pointer to its object.
    pub(super) fn implicit(&mut self, expr: Expr, to: Qual, what: &str) -> Expr {
        let span = expr.span;
        if expr.qual.ty == Types::UNKNOWN || to.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        if let ExprKind::List(list, _) = &expr.kind {
            let list = list.clone();
            return self.list_value(to, &list);
        }
        if let ExprKind::Overloaded(number) = expr.kind {
            return self.resolve_overloaded(number, to.ty, span);
        }
        let source = self.source(&expr);
        let Some(rank) = self.rank(source, to) else {
            let (from, target) = (self.types.name(expr.qual.ty), self.types.name(to.ty));
            self.error(
                span,
                format!(
                    "cannot {what} '{target}' with {} of type '{from}'",
                    if expr.place { "an lvalue" } else { "an rvalue" }
                ),
            );
            return self.error_expr(span);
        };
        let expr = self.as_base(expr, to);
        if let Ty::Reference(referred, _) = *self.types.get(to.ty) {
            return self.bind_reference(expr, referred, rank);
        }
        if rank == Rank::User {
            return self.convert_by_user(expr, to.ty, false);
        }
        let expr = self.rvalue(expr);
        self.convert_value(expr, to.ty)
    }

    /// Converts an object, or a pointer to one, to the base of the target type (conv.ptr/3,
    /// dcl.init.ref), which is a part of the object.
    pub(super) fn as_base(&mut self, expr: Expr, to: Qual) -> Expr {
        let span = expr.span;
        let wanted = match *self.types.get(to.ty) {
            Ty::Reference(to, _) => to.ty,
            _ => to.ty,
        };
        if let Some(path) = self.base_path(expr.qual.ty, wanted) {
            return self.field(expr, &path, span);
        }
        let pointees = match (self.types.get(expr.qual.ty), self.types.get(wanted)) {
            (Ty::Pointer(from), Ty::Pointer(to)) => Some((from.ty, to.ty)),
            _ => None,
        };
        let path = pointees.and_then(|(from, to)| self.base_path(from, to));
        let Some(path) = path else { return expr };
        let object = self.deref(expr, span);
        let base = self.field(object, &path, span);
        self.address_of(base, span)
    }

    fn bind_reference(&mut self, expr: Expr, referred: Qual, rank: Rank) -> Expr {
        let span = expr.span;
        let direct = expr.place
            && expr.qual.ty == referred.ty
            && expr.qual.space_or_thread() == referred.space_or_thread()
            && !matches!(expr.kind, ExprKind::Swizzle(..))
            && !self.is_bit_field(&expr)
            && rank != Rank::User;
        let place = if direct {
            self.take_address(&expr);
            expr
        } else {
            let value = match rank {
                Rank::User => self.convert_by_user(expr, referred.ty, false),
                _ => {
                    let value = self.rvalue(expr);
                    self.convert_value(value, referred.ty)
                }
            };
            let kind = ExprKind::Temporary(Box::new(value));
            Expr { kind, qual: Qual::plain(referred.ty), place: true, span }
        };
        let pointee = Qual { space: Some(referred.space_or_thread()), ..referred };
        let ty = self.types.pointer(pointee);
        self.value(ExprKind::AddressOf(Box::new(place)), ty, span)
    }

    pub(super) fn convert_by_user(&mut self, expr: Expr, to: TyId, explicit: bool) -> Expr {
        let span = expr.span;
        if let Some(id) = self.closure_as_pointer(expr.qual.ty, to)
            && let Some(pointer) = self.pointer_to_function(id, span)
        {
            return pointer;
        }
        let source = self.source(&expr);
        let Some(found) = self.user_conversion(source, to, explicit) else {
            return self.error_expr(span);
        };
        if !found.is_unique() {
            return self.ambiguous_conversion(&expr, to, &found);
        }
        if found.constructor {
            return self.construct_with(found.func, to, vec![expr], span);
        }
        let call = self.call_method(found.func, expr, Vec::new(), span);
        let value = self.rvalue(call);
        self.convert_value(value, to)
    }

    fn ambiguous_conversion(&mut self, expr: &Expr, to: TyId, found: &UserConversion) -> Expr {
        let (from, to) = (self.types.name(expr.qual.ty), self.types.name(to));
        self.error(expr.span, format!("conversion from '{from}' to '{to}' is ambiguous"));
        for &id in [found.func].iter().chain(&found.rivals) {
            self.note_function(id);
        }
        self.error_expr(expr.span)
    }

    /// A condition: anything that converts to `bool` (conv/4).
    pub(super) fn condition_value(&mut self, expr: Expr) -> Expr {
        let span = expr.span;
        if expr.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let bool_ty = Qual::plain(Types::scalar(Scalar::Bool));
        if let Some((_, width)) = self.types.arithmetic(expr.qual.ty)
            && width > 1
        {
            let name = self.types.name(expr.qual.ty);
            self.error(
                span,
                format!("value of type '{name}' is not contextually convertible to 'bool'"),
            );
            return self.error_expr(span);
        }
        // An `explicit operator bool` serves here (conv/4).
        if self.types.structure(expr.qual.ty).is_some() {
            let source = self.source(&expr);
            if self.user_conversion(source, bool_ty.ty, true).is_some() {
                return self.convert_by_user(expr, bool_ty.ty, true);
            }
        }
        self.implicit(expr, bool_ty, "initialize a variable of type")
    }

    /// A cast: `(T)e`, `T(e)`, `static_cast` (expr.cast, expr.static.cast; MSL 2.21).
    pub(super) fn explicit(&mut self, expr: Expr, to: Qual, reinterpret: bool) -> Expr {
        let span = expr.span;
        if expr.qual.ty == Types::UNKNOWN || to.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        if let ExprKind::Overloaded(number) = expr.kind {
            return self.resolve_overloaded(number, to.ty, span);
        }
        if to.ty == Types::VOID {
            return self.value(ExprKind::Convert(Box::new(expr)), Types::VOID, span);
        }
        if let Ty::Reference(referred, rvalue) = *self.types.get(to.ty) {
            let same_space = expr.qual.space_or_thread() == referred.space_or_thread();
            if expr.place && same_space {
                self.take_address(&expr);
                let pointee = Qual { space: Some(referred.space_or_thread()), ..referred };
                let ty = self.types.pointer(pointee);
                let address = self.value(ExprKind::AddressOf(Box::new(expr)), ty, span);
                return self.referred(address, pointee, rvalue);
            }
            let address = self.implicit(expr, to, "initialize a reference of type");
            let Ty::Pointer(pointee) = *self.types.get(address.qual.ty) else { return address };
            return self.referred(address, pointee, rvalue);
        }
        let source = self.source(&expr);
        if !reinterpret && let Some(rank) = self.rank(source, Qual::plain(to.ty)) {
            if rank == Rank::User {
                return self.convert_by_user(expr, to.ty, true);
            }
            let value = self.rvalue(expr);
            return self.convert_value(value, to.ty);
        }
        if !reinterpret && self.user_conversion(source, to.ty, true).is_some() {
            return self.convert_by_user(expr, to.ty, true);
        }
        let expr = self.rvalue(expr);
        // A conversion of an address to its own type would make an xvalue of what it points to.
        if expr.qual.ty == to.ty && matches!(self.types.get(to.ty), Ty::Pointer(_)) {
            return expr;
        }
        let (from, target) = (self.types.get(expr.qual.ty).clone(), self.types.get(to.ty).clone());
        let allowed = match (&from, &target) {
            // MSL 4: a cast never changes the address space.
            (Ty::Pointer(a), Ty::Pointer(b)) => a.space_or_thread() == b.space_or_thread(),
            (Ty::Pointer(_), Ty::Scalar(Scalar::U64 | Scalar::I64))
            | (Ty::Scalar(Scalar::U64 | Scalar::I64), Ty::Pointer(_)) => true,
            (Ty::Enum(_), Ty::Scalar(_) | Ty::Enum(_)) | (Ty::Scalar(_), Ty::Enum(_)) => true,
            (Ty::Matrix(_, a, b), Ty::Matrix(_, c, d)) => a == c && b == d,
            _ => match (self.types.arithmetic(expr.qual.ty), self.types.arithmetic(to.ty)) {
                (Some((_, m)), Some((_, n))) => m == n && !reinterpret,
                _ => false,
            },
        };
        if !allowed {
            let (from, target) = (self.types.name(expr.qual.ty), self.types.name(to.ty));
            self.error(span, format!("cannot cast from type '{from}' to '{target}'"));
            return self.error_expr(span);
        }
        self.value(ExprKind::Convert(Box::new(expr)), to.ty, span)
    }
}

impl Checker {
    /// The object that a reference refers to, by its address: an lvalue, or for `&&` an xvalue.
    pub(super) fn referred(&self, address: Expr, pointee: Qual, rvalue: bool) -> Expr {
        let (ty, span) = (address.qual.ty, address.span);
        let address = match rvalue {
            true => self.value(ExprKind::Convert(Box::new(address)), ty, span),
            false => address,
        };
        Expr { kind: ExprKind::Deref(Box::new(address)), qual: pointee, place: true, span }
    }
}

impl Expr {
    /// Whether this is an object that may be moved from ([basic.lval]): its address is converted to its own type.
    pub(super) fn is_xvalue(&self) -> bool {
        let ExprKind::Deref(address) = &self.kind else { return false };
        matches!(&address.kind, ExprKind::Convert(inner) if inner.qual.ty == address.qual.ty)
    }
}

impl Func {
    /// Whether a constructor makes objects in thread memory, as values are.
    pub(super) fn makes_values(&self) -> bool {
        !matches!(self.this, Some((_, Some(space))) if space != AddressSpace::Thread)
    }
}

/// Integral promotion (conv.prom); floats are not promoted, as `half` is a type of its own.
pub(super) fn promoted(scalar: Scalar) -> Scalar {
    match scalar {
        Scalar::Bool | Scalar::I8 | Scalar::U8 | Scalar::I16 | Scalar::U16 => Scalar::I32,
        other => other,
    }
}
