//! Assignment, compound assignment, `++` and `--` (C++14 expr.ass, expr.pre.incr, expr.post.incr).

use super::Checker;
use super::operator::binary_operator;
use crate::soft::ir::Scalar;
use crate::soft::msl::ast;
use crate::soft::msl::hir::{Binary, Expr, ExprKind};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

impl Checker {
    /// Whether an expression can be assigned to; reports the error if not.
    pub(super) fn assignable(&mut self, left: &Expr, span: Span) -> bool {
        if !left.place {
            self.error(span, "expression is not assignable");
            return false;
        }
        if let ExprKind::Conditional(..) = left.kind {
            self.take_address(left);
        }
        if left.qual.constant || left.qual.space == Some(ast::AddressSpace::Constant) {
            let name = self.types.qual_name(left.qual);
            self.error(
                span,
                format!("cannot assign to an lvalue of const-qualified type '{name}'"),
            );
            return false;
        }
        if let ExprKind::Swizzle(_, picks) = &left.kind
            && picks.iter().enumerate().any(|(at, pick)| picks[..at].contains(pick))
        {
            self.error(span, "vector is not assignable (contains duplicate components)");
            return false;
        }
        if matches!(self.types.get(left.qual.ty), Ty::Array(..) | Ty::Function(..)) {
            let name = self.types.name(left.qual.ty);
            self.error(span, format!("array type '{name}' is not assignable"));
            return false;
        }
        true
    }

    pub(super) fn assign(&mut self, left: Expr, right: Expr, span: Span) -> Expr {
        if left.qual.ty == Types::UNKNOWN || right.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let target = Qual::plain(left.qual.ty);
        // The copy assignment that each class has is no function here, unless the class has its own.
        let copied =
            right.qual.ty == target.ty || self.base_path(right.qual.ty, target.ty).is_some();
        let operands = [left, right];
        if !(copied && self.is_assigned_by_members(target.ty))
            && let Some(call) = self.overloaded(Punct::Assign, &operands, span)
        {
            return call;
        }
        let [left, right] = operands;
        if !self.assignable(&left, span) {
            return self.error_expr(span);
        }
        let right = match self.types.structure(target.ty) {
            Some(_) => self.as_base(right, target),
            None => right,
        };
        if let Some(assigned) = self.assigned_members(&left, &right) {
            return assigned;
        }
        let right = match self.types.structure(target.ty) {
            // No constructor copies the value first.
            Some(_) if right.place && right.qual.ty == target.ty => {
                self.value(ExprKind::Load(Box::new(right)), target.ty, span)
            }
            _ => self.implicit(right, target, "assign to an lvalue of type"),
        };
        let qual = left.qual;
        Expr { kind: ExprKind::Assign(Box::new(left), Box::new(right)), qual, place: true, span }
    }

    fn incompatible(&mut self, to: TyId, from: TyId, span: Span) {
        let (to, from) = (self.types.name(to), self.types.name(from));
        self.error(span, format!("assigning to '{to}' from incompatible type '{from}'"));
    }

    pub(super) fn compound(&mut self, punct: Punct, left: Expr, right: Expr, span: Span) -> Expr {
        if left.qual.ty == Types::UNKNOWN || right.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let compound = match punct {
            Punct::Plus => Punct::PlusEq,
            Punct::Minus => Punct::MinusEq,
            Punct::Star => Punct::StarEq,
            Punct::Slash => Punct::SlashEq,
            Punct::Percent => Punct::PercentEq,
            Punct::Amp => Punct::AmpEq,
            Punct::Pipe => Punct::PipeEq,
            Punct::Caret => Punct::CaretEq,
            Punct::Shl => Punct::ShlEq,
            _ => Punct::ShrEq,
        };
        let operands = [left, right];
        if let Some(call) = self.overloaded(compound, &operands, span) {
            return call;
        }
        let [left, right] = operands;
        if !self.assignable(&left, span) {
            return self.error_expr(span);
        }
        let Some(operator) = binary_operator(punct) else { return self.error_expr(span) };
        let right = self.operand_or_object(right);
        let qual = left.qual;
        if matches!(self.types.get(qual.ty), Ty::Pointer(_) | Ty::Matrix(..)) {
            // The rules of `+` and `-`, then a store.
            let value = self.rvalue(left.clone());
            let given = right.qual.ty;
            let sum = self.binary(punct, value, right, span);
            if sum.qual.ty != qual.ty {
                if sum.qual.ty != Types::UNKNOWN {
                    self.incompatible(qual.ty, sum.qual.ty, span);
                }
                return self.error_expr(span);
            }
            let kind = match sum.kind {
                ExprKind::Offset(_, by) => ExprKind::Compound {
                    op: Binary::Add,
                    left: Box::new(left),
                    right: by,
                    common: qual.ty,
                },
                ExprKind::Binary(op, _, by) => {
                    ExprKind::Compound { op, left: Box::new(left), right: by, common: qual.ty }
                }
                // An operator of the program's own.
                _ => {
                    self.incompatible(qual.ty, given, span);
                    return self.error_expr(span);
                }
            };
            return Expr { kind, qual, place: true, span };
        }
        let right = self.as_arithmetic(right, &left);
        if let Ty::Enum(_) = self.types.get(qual.ty) {
            // Only a value of the enum itself can be assigned to it ([expr.ass]/3).
            self.incompatible(qual.ty, right.qual.ty, span);
            return self.error_expr(span);
        }
        let read = self.promoted_bit_field(&left).map_or(qual.ty, Types::scalar);
        let common = self.common_type(operator, read, right.qual.ty);
        let own = self.types.arithmetic(qual.ty);
        let Some(((scalar, width), (_, own_width))) = common.zip(own) else {
            return self.bad_binary(&left, &right, span);
        };
        if width != own_width {
            return self.bad_binary(&left, &right, span);
        }
        let common = self.types.vector(scalar, width);
        let right = Box::new(self.convert_value(right, common));
        let kind = ExprKind::Compound { op: operator, left: Box::new(left), right, common };
        Expr { kind, qual, place: true, span }
    }

    /// Whether `++` or `--` may change an operand of this type; reports the error if not. A `bool` may be
    /// incremented, which sets it, and not decremented (expr.pre.incr/1, expr.post.incr/1).
    pub(super) fn steps(&mut self, punct: Punct, operand: &Expr, span: Span) -> bool {
        let verb = if punct == Punct::Inc { "increment" } else { "decrement" };
        let name = self.types.name(operand.qual.ty);
        match *self.types.get(operand.qual.ty) {
            Ty::Scalar(Scalar::Bool) if punct == Punct::Dec => {
                self.error(span, "cannot decrement expression of type bool");
            }
            Ty::Enum(_) => {
                self.error(span, format!("cannot {verb} expression of enum type '{name}'"));
            }
            _ => return true,
        }
        false
    }

    pub(super) fn postfix(&mut self, punct: Punct, operand: &ast::Expr, span: Span) -> Expr {
        let operand = self.expr(operand);
        if operand.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let operands = [operand, self.int_value(0, span)];
        if let Some(call) = self.overloaded(punct, &operands, span) {
            return call;
        }
        let [operand, _] = operands;
        let counts = self.types.arithmetic(operand.qual.ty).is_some()
            || matches!(self.types.get(operand.qual.ty), Ty::Pointer(_));
        if !counts {
            return self.bad_unary(&operand, span);
        }
        if !self.steps(punct, &operand, span) || !self.assignable(&operand, span) {
            return self.error_expr(span);
        }
        if let Ty::Pointer(to) = *self.types.get(operand.qual.ty)
            && !self.has_elements(to.ty, span)
        {
            return self.error_expr(span);
        }
        let ty = operand.qual.ty;
        let step = if punct == Punct::Inc { 1 } else { -1 };
        self.value(ExprKind::Postfix(Box::new(operand), step), ty, span)
    }
}
