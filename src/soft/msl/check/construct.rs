//! Values that constructors make (MSL 2.2.2, 2.3.2; C++14 class.expl.init): of scalars, vectors, matrices and classes.

use super::Checker;
use super::convert::Source;
use crate::soft::ir::Scalar;
use crate::soft::msl::ast;
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, StructId, Ty, TyId, Types};

impl Checker {
    /// `T(a, b, …)`
    pub(super) fn construct(&mut self, target: Qual, mut arguments: Vec<Expr>, span: Span) -> Expr {
        if target.ty == Types::UNKNOWN {
            // `auto x(1)`
            let mut arguments = arguments.into_iter();
            return match (arguments.next(), arguments.next()) {
                (Some(one), None) => self.rvalue(one),
                _ => self.error_expr(span),
            };
        }
        if arguments.iter().any(|argument| argument.qual.ty == Types::UNKNOWN) {
            return self.error_expr(span);
        }
        match *self.types.get(target.ty) {
            Ty::Vector(scalar, width) | Ty::Packed(scalar, width) => {
                self.construct_vector(target.ty, scalar, u32::from(width), arguments, span)
            }
            Ty::Matrix(scalar, columns, rows) => {
                self.construct_matrix(target.ty, scalar, (columns, rows), arguments, span)
            }
            Ty::Struct(class) => self.construct_class(target.ty, class, arguments, span),
            // MSL 2.4: a scalar makes a diagonal matrix.
            Ty::SimdgroupMatrix(scalar)
                if arguments.len() == 1 && self.types.as_scalar(arguments[0].qual.ty).is_some() =>
            {
                let to = Qual::plain(Types::scalar(scalar));
                let value = self.implicit(arguments.remove(0), to, "initialize");
                self.call_library("make_diagonal_simdgroup_matrix", vec![value], span)
            }
            Ty::Opaque(name) if !arguments.is_empty() => {
                self.unsupported(span, format!("'{name}' is"));
                self.error_expr(span)
            }
            _ => {
                let mut arguments = arguments.into_iter();
                match (arguments.next(), arguments.next()) {
                    (None, _) => self.value(ExprKind::Zero, target.ty, span),
                    (Some(one), None) => {
                        let mut value = self.explicit(one, target, false);
                        value.span = span;
                        value
                    }
                    _ => {
                        let name = self.types.name(target.ty);
                        self.error(span, format!("excess arguments to construct '{name}'"));
                        self.error_expr(span)
                    }
                }
            }
        }
    }

    /// MSL 2.2.2: one scalar for all components, a vector of the same width, or parts that
    /// have as many components together.
    fn construct_vector(
        &mut self,
        ty: TyId,
        scalar: Scalar,
        width: u32,
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        if arguments.is_empty() {
            return self.value(ExprKind::Zero, ty, span);
        }
        let vector = self.types.vector(scalar, width);
        let mut parts = Vec::new();
        let mut total = 0;
        for argument in arguments {
            let argument = match self.types.structure(argument.qual.ty) {
                Some(_) => {
                    let name = self.types.name(argument.qual.ty);
                    let source = self.source(&argument);
                    if self.user_conversion(source, vector, true).is_some() {
                        self.convert_by_user(argument, vector, true)
                    } else if self.user_conversion(source, Types::scalar(scalar), true).is_some() {
                        self.convert_by_user(argument, Types::scalar(scalar), true)
                    } else {
                        self.error(
                            span,
                            format!("no conversion from '{name}' to a vector component"),
                        );
                        return self.error_expr(span);
                    }
                }
                None => self.rvalue(argument),
            };
            let Some((_, lanes)) = self.types.arithmetic(argument.qual.ty) else {
                let (from, to) = (self.types.name(argument.qual.ty), self.types.name(ty));
                self.error(span, format!("no matching conversion from '{from}' to '{to}'"));
                return self.error_expr(span);
            };
            total += lanes;
            parts.push(self.convert_scalar(argument, scalar));
        }
        let kind = if let [one] = &parts[..]
            && (total == 1 || total == width)
        {
            let one = one.clone();
            if total == 1 {
                ExprKind::Splat(Box::new(one))
            } else {
                ExprKind::Convert(Box::new(one))
            }
        } else if total == width {
            ExprKind::Compose(parts)
        } else {
            let (name, few) = (self.types.name(ty), if total < width { "few" } else { "many" });
            self.error(
                span,
                format!("too {few} elements to construct '{name}' ({total} for {width})"),
            );
            return self.error_expr(span);
        };
        let value = self.value(kind, vector, span);
        self.convert_value(value, ty)
    }

    /// MSL 2.3.2: the diagonal, the columns, or all elements column by column.
    fn construct_matrix(
        &mut self,
        ty: TyId,
        scalar: Scalar,
        (columns, rows): (u8, u8),
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        let column = self.types.intern(Ty::Vector(scalar, rows));
        let mut values: Vec<Expr> = Vec::new();
        for argument in arguments {
            values.push(self.rvalue(argument));
        }
        if let [one] = &values[..] {
            let one = one.clone();
            if let Ty::Matrix(..) = self.types.get(one.qual.ty) {
                return self.explicit(one, Qual::plain(ty), false);
            }
            if self.types.as_scalar(one.qual.ty).is_some() {
                let diagonal = self.convert_scalar(one, scalar);
                let zero = self.value(ExprKind::Zero, Types::scalar(scalar), span);
                let parts = (0..columns)
                    .map(|c| {
                        let pick = |r: u8| if r == c { diagonal.clone() } else { zero.clone() };
                        self.value(ExprKind::Compose((0..rows).map(pick).collect()), column, span)
                    })
                    .collect();
                return self.value(ExprKind::Aggregate(parts), ty, span);
            }
        }
        let all = values.len();
        let vectors = values.iter().all(|value| value.qual.ty == column);
        if vectors && all == usize::from(columns) {
            return self.value(ExprKind::Aggregate(values), ty, span);
        }
        let scalars = values.iter().all(|value| self.types.as_scalar(value.qual.ty).is_some());
        if scalars && all == usize::from(columns) * usize::from(rows) {
            let values: Vec<Expr> =
                values.into_iter().map(|value| self.convert_scalar(value, scalar)).collect();
            let parts = values
                .chunks(usize::from(rows))
                .map(|chunk| self.value(ExprKind::Compose(chunk.to_vec()), column, span))
                .collect();
            return self.value(ExprKind::Aggregate(parts), ty, span);
        }
        if all == 0 {
            return self.value(ExprKind::Zero, ty, span);
        }
        let name = self.types.name(ty);
        self.error(span, format!("no matching constructor for initialization of '{name}'"));
        self.error_expr(span)
    }

    fn construct_class(
        &mut self,
        ty: TyId,
        class: StructId,
        arguments: Vec<Expr>,
        span: Span,
    ) -> Expr {
        if let [one] = &arguments[..]
            && one.qual.ty == ty
        {
            return self.rvalue(one.clone());
        }
        let constructors = self.classes[class.0 as usize].constructors.clone();
        let sources: Vec<Source> = arguments.iter().map(|one| self.source(one)).collect();
        let rivals = match self.choose_constructor(&constructors, &sources) {
            Ok(id) => return self.construct_with(id, ty, arguments, span),
            Err(rivals) => rivals,
        };
        if constructors.is_empty() && arguments.is_empty() {
            let list = ast::Expr::new(ast::ExprKind::InitList(Vec::new()), span);
            return self.list_value(Qual::plain(ty), &list);
        }
        if let ([one], []) = (&arguments[..], &rivals[..]) {
            let source = self.source(one);
            if self.user_conversion(source, ty, true).is_some() {
                return self.convert_by_user(one.clone(), ty, true);
            }
        }
        self.no_constructor(ty, &rivals, span);
        self.error_expr(span)
    }
}
