//! Operators (C++14 expr, over.match.oper; MSL 3).

use super::convert::{Rank, promoted};
use super::lookup::Found;
use super::{Checker, Entity, FuncSet, LIBRARY_SCOPE};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast;
use crate::soft::msl::hir::{Binary, Expr, ExprKind};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

pub(super) fn binary_operator(punct: Punct) -> Option<Binary> {
    Some(match punct {
        Punct::Plus => Binary::Add,
        Punct::Minus => Binary::Sub,
        Punct::Star => Binary::Mul,
        Punct::Slash => Binary::Div,
        Punct::Percent => Binary::Rem,
        Punct::Amp => Binary::And,
        Punct::Pipe => Binary::Or,
        Punct::Caret => Binary::Xor,
        Punct::Shl => Binary::Shl,
        Punct::Shr => Binary::Shr,
        Punct::EqEq => Binary::Eq,
        Punct::NotEq => Binary::Ne,
        Punct::Less => Binary::Lt,
        Punct::Greater => Binary::Gt,
        Punct::LessEq => Binary::Le,
        Punct::GreaterEq => Binary::Ge,
        _ => return None,
    })
}

/// An operation on a pointer.
#[derive(Clone, Copy)]
enum PointerOperation {
    /// `p + n`
    Forward,
    /// `n + p`
    ForwardSwapped,
    /// `p - n`
    Backward,
    /// `p - q`
    Distance,
    /// `p == q`, both converted to this type.
    Compare(TyId),
    /// `p == q` of unrelated types: an error.
    CompareUnrelated,
}

/// The type in which two scalars are combined (the usual arithmetic conversions, expr/11, with
/// MSL's floating types: the wider one).
pub(super) fn common_scalar(a: Scalar, b: Scalar) -> Scalar {
    let (a, b) = (promoted(a), promoted(b));
    if a == b {
        return a;
    }
    match (a.is_float(), b.is_float()) {
        (true, true) => Scalar::F32,
        (true, false) => a,
        (false, true) => b,
        (false, false) => {
            let (wide, narrow) = if a.bytes() >= b.bytes() { (a, b) } else { (b, a) };
            match (wide.bytes() == narrow.bytes(), wide.bytes()) {
                (true, 4) => Scalar::U32,
                (true, _) => Scalar::U64,
                (false, _) => wide,
            }
        }
    }
}

/// The types that a built-in operator takes, to which a class may convert.
#[derive(Clone, Copy)]
enum Operand {
    Number,
    Integer,
    Pointer,
    NumberOrPointer,
}

impl Operand {
    fn includes(self, types: &Types, ty: TyId) -> bool {
        let pointer = matches!(types.get(ty), Ty::Pointer(_));
        match self {
            Operand::Number => types.arithmetic(ty).is_some(),
            Operand::Integer => {
                let scoped = matches!(types.get(ty), Ty::Enum(_));
                scoped || types.as_scalar(ty).is_some_and(|scalar| !scalar.is_float())
            }
            Operand::Pointer => pointer,
            Operand::NumberOrPointer => pointer || types.arithmetic(ty).is_some(),
        }
    }
}

impl Checker {
    fn is_class_like(&self, ty: TyId) -> bool {
        matches!(self.types.get(ty), Ty::Struct(_) | Ty::Enum(_) | Ty::SimdgroupMatrix(_))
    }

    /// An operator that a class or enum overloads; `None` when no overload fits.
    pub(super) fn overloaded(
        &mut self,
        punct: Punct,
        operands: &[Expr],
        span: Span,
    ) -> Option<Expr> {
        if !operands.iter().any(|operand| self.is_class_like(operand.qual.ty)) {
            return None;
        }
        if !self.uses_prelude_operators() {
            let operators = self.library.operators.clone();
            self.declare_prelude(&operators);
        }
        let name = self.label_name(&ast::Label::Operator(punct));
        let mut members = Vec::new();
        if let Some((class, _)) = self.types.structure(operands[0].qual.ty) {
            let scope = self.classes[class.0 as usize].scope;
            // Every class has an assignment of its own, which hides those of its bases (over.ass).
            let own = match punct {
                Punct::Assign => self.scopes[scope.0 as usize].names.get(&name).cloned(),
                _ => Some(self.lookup_in(scope, name)),
            };
            let own = own.unwrap_or_default();
            members.extend(own.iter().filter_map(|entity| match entity {
                Entity::Function(id) => Some(*id),
                _ => None,
            }));
            for entity in own {
                if let Entity::Template(id) = entity {
                    members.extend(self.template_candidate(id, None, &operands[1..], span));
                }
            }
        }
        let mut free = Vec::new();
        // A wide vector is a class here only: in Metal its operators are built in, and a program's are for classes and enums.
        let of_program = operands.iter().any(|operand| {
            let ty = operand.qual.ty;
            self.is_class_like(ty) && !self.is_wide_vector(ty)
        });
        if of_program && let Found::Entities(list) = self.lookup(name) {
            for entity in &list {
                if let Entity::Template(id) = entity {
                    free.extend(self.template_candidate(*id, None, operands, span));
                }
            }
            free.extend(list.iter().filter_map(|entity| match entity {
                Entity::Function(id) => Some(*id),
                _ => None,
            }));
        }
        let mut known = FuncSet::of(free.iter().copied());
        let beside = match of_program {
            true => self.functions_beside(name, operands),
            false => Vec::new(),
        };
        for entity in beside {
            let id = match entity {
                Entity::Function(id) => Some(id),
                Entity::Template(id) => self.template_candidate(id, None, operands, span).ok(),
                _ => None,
            };
            free.extend(id.filter(|&id| known.insert(id)));
        }
        // The library's operators are found by their operands' namespace ([basic.lookup.argdep]).
        for entity in self.lookup_in(LIBRARY_SCOPE, name) {
            let id = match entity {
                Entity::Function(id) => Some(id),
                Entity::Template(id) => self.template_candidate(id, None, operands, span).ok(),
                _ => None,
            };
            free.extend(id.filter(|&id| known.insert(id)));
        }
        self.call_operator(&members, &free, operands, span)
    }

    fn uses_prelude_operators(&mut self) -> bool {
        let name = self.label_name(&ast::Label::Operator(Punct::Pipe));
        self.scopes[LIBRARY_SCOPE.0 as usize].names.contains_key(&name)
    }

    pub(super) fn unary(&mut self, punct: Punct, operand: &ast::Expr, span: Span) -> Expr {
        let operand = self.expr(operand);
        self.unary_operator(punct, operand, span)
    }

    pub(super) fn unary_operator(&mut self, punct: Punct, operand: Expr, span: Span) -> Expr {
        if operand.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        if let Some(call) = self.overloaded(punct, std::slice::from_ref(&operand), span) {
            return call;
        }
        match punct {
            Punct::Amp => self.address_of(operand, span),
            Punct::Star => self.deref(operand, span),
            Punct::Inc | Punct::Dec => {
                if !self.steps(punct, &operand, span) {
                    return self.error_expr(span);
                }
                let one = self.int_value(1, span);
                let operator = if punct == Punct::Inc { Punct::Plus } else { Punct::Minus };
                self.compound(operator, operand, one, span)
            }
            Punct::Not => {
                let value = self.operand_or_object(operand);
                self.unary_value(punct, value, span)
            }
            _ => {
                let accepts = match punct {
                    Punct::Plus => Operand::NumberOrPointer,
                    Punct::Tilde => Operand::Integer,
                    _ => Operand::Number,
                };
                if punct == Punct::Plus
                    && let Some(pointer) = self.function_of_closure(operand.qual.ty, span)
                {
                    return pointer;
                }
                let operand = self.built_in_operand(operand, accepts, Types::UNKNOWN);
                let value = self.operand_value(operand);
                self.unary_value(punct, value, span)
            }
        }
    }

    pub(super) fn address_of(&mut self, operand: Expr, span: Span) -> Expr {
        // The name of a function is a pointer to it already.
        if matches!(operand.kind, ExprKind::FunctionAddress(_) | ExprKind::Overloaded(_)) {
            return operand;
        }
        let component = match &operand.kind {
            ExprKind::Swizzle(..) => true,
            ExprKind::Element(base, _) => {
                matches!(self.types.get(base.qual.ty), Ty::Vector(..))
            }
            _ => false,
        };
        let bit_field = self.is_bit_field(&operand);
        if !operand.place || component || bit_field {
            let what = match () {
                () if bit_field => "bit-field",
                () if component => "vector element",
                () => "rvalue",
            };
            self.error(span, format!("cannot take the address of {what}"));
            return self.error_expr(span);
        }
        self.take_address(&operand);
        let pointee = Qual { space: Some(operand.qual.space_or_thread()), ..operand.qual };
        let ty = self.types.pointer(pointee);
        self.value(ExprKind::AddressOf(Box::new(operand)), ty, span)
    }

    pub(super) fn deref(&mut self, operand: Expr, span: Span) -> Expr {
        let operand = self.pointer_operand(operand);
        let value = self.rvalue(operand);
        match *self.types.get(value.qual.ty) {
            Ty::Pointer(pointee) if pointee.ty != Types::VOID => {
                Expr { kind: ExprKind::Deref(Box::new(value)), qual: pointee, place: true, span }
            }
            _ => {
                let name = self.types.name(value.qual.ty);
                self.error(
                    span,
                    format!("indirection requires pointer operand ('{name}' invalid)"),
                );
                self.error_expr(span)
            }
        }
    }

    fn unary_value(&mut self, punct: Punct, value: Expr, span: Span) -> Expr {
        let Some((scalar, width)) = self.types.arithmetic(value.qual.ty) else {
            if punct == Punct::Not
                && matches!(self.types.get(value.qual.ty), Ty::Pointer(_) | Ty::Struct(_))
            {
                let condition = self.condition_value(value);
                return self.value(
                    ExprKind::Not(Box::new(condition)),
                    Types::scalar(Scalar::Bool),
                    span,
                );
            }
            if let (Ty::Pointer(_), Punct::Plus) = (self.types.get(value.qual.ty), punct) {
                return value;
            }
            if let (Ty::Matrix(..), Punct::Minus) = (self.types.get(value.qual.ty), punct) {
                let ty = value.qual.ty;
                return self.value(ExprKind::Negate(Box::new(value)), ty, span);
            }
            return self.bad_unary(&value, span);
        };
        if punct == Punct::Not {
            let value = self.convert_scalar(value, Scalar::Bool);
            let ty = value.qual.ty;
            return self.value(ExprKind::Not(Box::new(value)), ty, span);
        }
        // Scalars are promoted, vectors keep their type (MSL 3.1).
        let scalar = if width == 1 { promoted(scalar) } else { scalar };
        if punct == Punct::Tilde && !scalar.is_int() {
            return self.bad_unary(&value, span);
        }
        let value = self.convert_scalar(value, scalar);
        let ty = value.qual.ty;
        let kind = match (punct, &value.kind) {
            (Punct::Plus, _) => return value,
            // Numbers of 0 and 1 that become a vector of bools again, as in all arithmetic on such vectors.
            (Punct::Minus, _) if scalar == Scalar::Bool => return value,
            (Punct::Minus, ExprKind::Constant(constant)) => {
                ExprKind::Constant(super::constant::negate(*constant, scalar))
            }
            (Punct::Minus, _) => ExprKind::Negate(Box::new(value)),
            _ => ExprKind::Not(Box::new(value)),
        };
        self.value(kind, ty, span)
    }

    pub(super) fn bad_unary(&mut self, value: &Expr, span: Span) -> Expr {
        if value.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let name = self.types.name(value.qual.ty);
        self.error(span, format!("invalid argument type '{name}' to unary expression"));
        self.error_expr(span)
    }

    pub(super) fn binary(&mut self, punct: Punct, left: Expr, right: Expr, span: Span) -> Expr {
        if left.qual.ty == Types::UNKNOWN || right.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let operands = [left, right];
        if let Some(call) = self.overloaded(punct, &operands, span) {
            return call;
        }
        let [left, right] = operands;
        if matches!(punct, Punct::AndAnd | Punct::OrOr) {
            return self.logical(punct, left, right, span);
        }
        let Some(operator) = binary_operator(punct) else { return self.error_expr(span) };
        let (left, right) = (self.operand_or_object(left), self.operand_or_object(right));
        let (left, right) = (self.as_arithmetic(left, &right), right);
        let right = self.as_arithmetic(right, &left);
        if let Some(operation) = self.pointer_operation(operator, &left, &right) {
            return self.pointer_arithmetic(operation, operator, (left, right), span);
        }
        if let Some((ty, scalar)) = self.matrix_type(operator, left.qual.ty, right.qual.ty) {
            let mut operand = |expr: Expr| match scalar {
                Some(scalar) if !matches!(self.types.get(expr.qual.ty), Ty::Matrix(..)) => {
                    self.convert_value(expr, Types::scalar(scalar))
                }
                _ => expr,
            };
            let (left, right) = (Box::new(operand(left)), Box::new(operand(right)));
            return self.value(ExprKind::Binary(operator, left, right), ty, span);
        }
        let Some((common, width)) = self.common_type(operator, left.qual.ty, right.qual.ty) else {
            return self.bad_binary(&left, &right, span);
        };
        let ty = self.types.vector(common, width);
        let left = self.convert_value(left, ty);
        // The result of a shift has the type of the left side ([expr.shift]/1).
        let right = self.convert_value(right, ty);
        let result =
            if operator.is_comparison() { self.types.vector(Scalar::Bool, width) } else { ty };
        self.value(ExprKind::Binary(operator, Box::new(left), Box::new(right)), result, span)
    }

    /// A class operand of a built-in operator converts to a type that the operator takes, if it can
    /// (over.match.oper/3, conv/5). With several such conversions, one to the `preferred` type is used.
    fn built_in_operand(&mut self, expr: Expr, accepts: Operand, preferred: TyId) -> Expr {
        let Some((class, _)) = self.types.structure(expr.qual.ty) else { return expr };
        // For each type the best by its object.
        let mut fits: Vec<(super::FuncId, TyId, Rank)> = Vec::new();
        for (id, _) in self.conversions_of(class, preferred) {
            let func = self.func(id);
            let (Some(result), Some(this)) = (func.result, func.this) else { continue };
            let to = self.source_of(result).qual.ty;
            let fitting = accepts.includes(&self.types, to)
                && !func.explicit
                && self.takes_object(id, self.source(&expr).place);
            let Some(rank) = self.rank_this(expr.qual, this).filter(|_| fitting) else { continue };
            match fits.iter_mut().find(|one| one.1 == to) {
                Some(known) if rank < known.2 => *known = (id, to, rank),
                Some(_) => {}
                None => fits.push((id, to, rank)),
            }
        }
        let exact = fits.iter().find(|one| one.1 == preferred);
        let chosen = match (exact, &fits[..]) {
            (Some(one), _) | (None, [one]) => one.0,
            (None, []) => return expr,
            (None, _) => {
                let name = self.types.name(expr.qual.ty);
                let message = format!("conversion of an operand of type '{name}' is ambiguous");
                self.error(expr.span, message);
                fits.iter().for_each(|one| self.note_function(one.0));
                return self.error_expr(expr.span);
            }
        };
        let span = expr.span;
        let call = self.call_method(chosen, expr, Vec::new(), span);
        self.rvalue(call)
    }

    /// A class object that becomes a pointer, whose elements are indexed.
    pub(super) fn pointer_operand(&mut self, expr: Expr) -> Expr {
        self.built_in_operand(expr, Operand::Pointer, Types::UNKNOWN)
    }

    /// A class operand that becomes an integer: an index, or the value of a `switch`.
    pub(super) fn integer_operand(&mut self, expr: Expr) -> Expr {
        self.built_in_operand(expr, Operand::Integer, Types::scalar(Scalar::I64))
    }

    /// A class operand of a binary operator.
    pub(super) fn as_arithmetic(&mut self, expr: Expr, other: &Expr) -> Expr {
        self.built_in_operand(expr, Operand::NumberOrPointer, other.qual.ty)
    }

    pub(super) fn bad_binary(&mut self, left: &Expr, right: &Expr, span: Span) -> Expr {
        // An error was reported when an operand's value was taken.
        if left.qual.ty == Types::UNKNOWN || right.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let (a, b) = (self.types.name(left.qual.ty), self.types.name(right.qual.ty));
        self.error(span, format!("invalid operands to binary expression ('{a}' and '{b}')"));
        self.error_expr(span)
    }

    /// The scalar and width in which an operator works (MSL 3.1): two scalars by the usual
    /// conversions, a vector and a scalar in the vector's type, two vectors of one type.
    pub(super) fn common_type(&self, operator: Binary, a: TyId, b: TyId) -> Option<(Scalar, u32)> {
        let same_enum =
            a == b && operator.is_comparison() && matches!(self.types.get(a), Ty::Enum(_));
        if same_enum && let Ty::Enum(id) = self.types.get(a) {
            return Some((self.types.enumeration(*id).underlying, 1));
        }
        let (sa, wa) = self.types.arithmetic(a)?;
        let (sb, wb) = self.types.arithmetic(b)?;
        let shift = matches!(operator, Binary::Shl | Binary::Shr);
        let (scalar, width) = match (wa, wb) {
            (1, 1) if shift => (promoted(sa), 1),
            (1, 1) => (common_scalar(sa, sb), 1),
            (_, 1) => (sa, wa),
            (1, _) => (sb, wb),
            _ if wa == wb && (sa == sb || shift) => (sa, wa),
            _ => return None,
        };
        // MSL 2.22: neither converts to the other.
        if matches!((sa, sb), (Scalar::F16, Scalar::BF16) | (Scalar::BF16, Scalar::F16)) {
            return None;
        }
        let bits =
            shift || matches!(operator, Binary::And | Binary::Or | Binary::Xor | Binary::Rem);
        let floats = sa.is_float() || sb.is_float();
        if bits && floats || operator == Binary::Rem && scalar == Scalar::Bool {
            return None;
        }
        Some((scalar, width))
    }

    fn logical(&mut self, punct: Punct, left: Expr, right: Expr, span: Span) -> Expr {
        let and = punct == Punct::AndAnd;
        let width =
            |this: &Self, expr: &Expr| this.types.arithmetic(expr.qual.ty).map_or(1, |a| a.1);
        let most = width(self, &left).max(width(self, &right));
        if most > 1 {
            // On vectors both sides are evaluated, by component (MSL 3.1).
            let (left, right) = (self.rvalue(left), self.rvalue(right));
            let ty = self.types.vector(Scalar::Bool, most);
            let fits = |expr: &Expr| {
                self.types.arithmetic(expr.qual.ty).is_some_and(|(_, own)| own == 1 || own == most)
            };
            if !fits(&left) || !fits(&right) {
                return self.bad_binary(&left, &right, span);
            }
            let (left, right) = (self.convert_value(left, ty), self.convert_value(right, ty));
            let operator = if and { Binary::And } else { Binary::Or };
            return self.value(
                ExprKind::Binary(operator, Box::new(left), Box::new(right)),
                ty,
                span,
            );
        }
        let left = self.condition_value(left);
        let right = self.condition_value(right);
        let bool_ty = Types::scalar(Scalar::Bool);
        self.value(ExprKind::Logical(and, Box::new(left), Box::new(right)), bool_ty, span)
    }

    /// The pointer operation of an operator for these operand types, if one is a pointer.
    fn pointer_operation(
        &self,
        operator: Binary,
        left: &Expr,
        right: &Expr,
    ) -> Option<PointerOperation> {
        let pointee = |expr: &Expr| match self.types.get(expr.qual.ty) {
            Ty::Pointer(pointee) => Some(*pointee),
            _ => None,
        };
        let integer = |expr: &Expr| self.index_scalar(expr).is_some();
        let null = |expr: &Expr| self.source(expr).zero || expr.qual.ty == Types::NULLPTR;
        Some(match (pointee(left), pointee(right), operator) {
            (Some(_), None, Binary::Add) if integer(right) => PointerOperation::Forward,
            (None, Some(_), Binary::Add) if integer(left) => PointerOperation::ForwardSwapped,
            (Some(_), None, Binary::Sub) if integer(right) => PointerOperation::Backward,
            (Some(a), Some(b), Binary::Sub) if a.ty == b.ty => PointerOperation::Distance,
            (Some(a), Some(b), _)
                if operator.is_comparison() && a.space_or_thread() == b.space_or_thread() =>
            {
                let related = a.ty == b.ty
                    || a.ty == Types::VOID
                    || b.ty == Types::VOID
                    || self.base_path(a.ty, b.ty).is_some()
                    || self.base_path(b.ty, a.ty).is_some();
                match related {
                    true => PointerOperation::Compare(left.qual.ty),
                    false => PointerOperation::CompareUnrelated,
                }
            }
            (Some(_), None, _) if operator.is_comparison() && null(right) => {
                PointerOperation::Compare(left.qual.ty)
            }
            (None, Some(_), _) if operator.is_comparison() && null(left) => {
                PointerOperation::Compare(right.qual.ty)
            }
            _ => return None,
        })
    }

    fn pointer_arithmetic(
        &mut self,
        operation: PointerOperation,
        operator: Binary,
        (left, right): (Expr, Expr),
        span: Span,
    ) -> Expr {
        let pointees = [&left, &right].map(|expr| match self.types.get(expr.qual.ty) {
            Ty::Pointer(pointee) => Some(pointee.ty),
            _ => None,
        });
        if let (Binary::Add | Binary::Sub, [a, b]) = (operator, pointees)
            && let Some(pointee) = a.or(b)
            && !self.has_elements(pointee, span)
        {
            return self.error_expr(span);
        }
        let (pointer, count) = match operation {
            PointerOperation::Forward => (left, self.as_index(right)),
            PointerOperation::ForwardSwapped => (right, self.as_index(left)),
            PointerOperation::Backward => {
                // Widen before negating: `p - 1u` moves back by one element.
                let wide = self.convert_value(right, Types::scalar(Scalar::I64));
                let ty = wide.qual.ty;
                (left, self.value(ExprKind::Negate(Box::new(wide)), ty, span))
            }
            PointerOperation::Distance => {
                let kind = ExprKind::Distance(Box::new(left), Box::new(right));
                return self.value(kind, Types::scalar(Scalar::I64), span);
            }
            PointerOperation::Compare(ty) => {
                let left = self.convert_value(left, ty);
                let right = self.convert_value(right, ty);
                let kind = ExprKind::Binary(operator, Box::new(left), Box::new(right));
                return self.value(kind, Types::scalar(Scalar::Bool), span);
            }
            PointerOperation::CompareUnrelated => {
                // [expr.rel]/3
                let (a, b) = (self.types.name(left.qual.ty), self.types.name(right.qual.ty));
                let message = format!("comparison of distinct pointer types ('{a}' and '{b}')");
                self.error(span, message);
                return self.error_expr(span);
            }
        };
        let ty = pointer.qual.ty;
        self.value(ExprKind::Offset(Box::new(pointer), Box::new(count)), ty, span)
    }

    /// MSL 3.2: matrices add and multiply with each other, with vectors and with scalars. The type
    /// of the result, and the scalar type to which an operand that is not a matrix is converted.
    fn matrix_type(
        &mut self,
        operator: Binary,
        left: TyId,
        right: TyId,
    ) -> Option<(TyId, Option<Scalar>)> {
        let (a, b) = (self.types.get(left), self.types.get(right));
        Some(match (operator, a, b) {
            (Binary::Add | Binary::Sub, Ty::Matrix(..), Ty::Matrix(..)) if a == b => (left, None),
            (Binary::Mul, &Ty::Matrix(s, inner, rows), &Ty::Matrix(t, columns, inner2))
                if s == t && inner == inner2 =>
            {
                (self.types.intern(Ty::Matrix(s, columns, rows)), None)
            }
            (Binary::Mul, &Ty::Matrix(s, columns, rows), &Ty::Vector(t, width))
                if s == t && columns == width =>
            {
                (self.types.vector(s, u32::from(rows)), None)
            }
            (Binary::Mul, &Ty::Vector(t, width), &Ty::Matrix(s, columns, rows))
                if s == t && rows == width =>
            {
                (self.types.vector(s, u32::from(columns)), None)
            }
            (Binary::Mul | Binary::Div, &Ty::Matrix(s, ..), _) => {
                self.types.as_scalar(right)?;
                (left, Some(s))
            }
            (Binary::Mul, _, &Ty::Matrix(s, ..)) => {
                self.types.as_scalar(left)?;
                (right, Some(s))
            }
            _ => return None,
        })
    }

    /// Reports arithmetic on a pointer whose elements have no size (expr.add/1).
    pub(super) fn has_elements(&mut self, pointee: TyId, span: Span) -> bool {
        if self.types.layout(pointee).is_some() {
            return true;
        }
        let what = match pointee {
            Types::VOID => "void".to_owned(),
            _ => format!("incomplete type '{}'", self.types.name(pointee)),
        };
        self.error(span, format!("arithmetic on a pointer to {what}"));
        false
    }

    /// The scalar type of an operand that counts elements: an integer, a `bool` or an unscoped enum.
    pub(super) fn index_scalar(&self, expr: &Expr) -> Option<Scalar> {
        self.types.as_scalar(expr.qual.ty).filter(|scalar| !scalar.is_float())
    }

    /// A number of elements as an integer of the IR (conv.prom): a `bool` is 0 or 1.
    pub(super) fn as_index(&mut self, expr: Expr) -> Expr {
        match self.index_scalar(&expr) {
            Some(Scalar::Bool) => self.convert_scalar(expr, Scalar::I32),
            Some(scalar) => self.convert_scalar(expr, scalar),
            None => expr,
        }
    }

    pub(super) fn conditional(&mut self, condition: Expr, yes: Expr, no: Expr, span: Span) -> Expr {
        if [&condition, &yes, &no].iter().any(|e| e.qual.ty == Types::UNKNOWN) {
            return self.error_expr(span);
        }
        // MSL 3.1: a vector of conditions picks by component.
        if self.types.arithmetic(condition.qual.ty).is_some_and(|(_, width)| width > 1) {
            let condition = self.rvalue(condition);
            let condition = self.convert_scalar(condition, Scalar::Bool);
            let width = self.types.arithmetic(condition.qual.ty).map_or(1, |a| a.1);
            let (yes, no) = (self.rvalue(yes), self.rvalue(no));
            let common = self.common_type(Binary::Add, yes.qual.ty, no.qual.ty);
            let fits = |expr: &Expr| {
                self.types.arithmetic(expr.qual.ty).is_some_and(|(_, own)| own == 1 || own == width)
            };
            let Some((scalar, _)) = common.filter(|_| fits(&yes) && fits(&no)) else {
                return self.bad_binary(&yes, &no, span);
            };
            let ty = self.types.vector(scalar, width);
            let (yes, no) = (self.convert_value(yes, ty), self.convert_value(no, ty));
            let op = ExprKind::Op(crate::soft::ir::Op::Select, vec![condition, yes, no]);
            return self.value(op, ty, span);
        }
        let condition = Box::new(self.condition_value(condition));
        // Two lvalues of one type yield an lvalue ([expr.cond]/4).
        let aggregate = self.types.is_aggregate(yes.qual.ty);
        let scalar = self.types.as_scalar(yes.qual.ty).is_some();
        if yes.place && no.place && yes.qual == no.qual && (aggregate || scalar) {
            let qual = yes.qual;
            if aggregate {
                self.take_address(&yes);
                self.take_address(&no);
            }
            let kind = ExprKind::Conditional(condition, Box::new(yes), Box::new(no));
            return Expr { kind, qual, place: true, span };
        }
        let (yes, no) = match yes.qual.ty == no.qual.ty {
            true => (self.rvalue(yes), self.rvalue(no)),
            false => (self.operand_or_object(yes), self.operand_or_object(no)),
        };
        let types = (yes.qual.ty, no.qual.ty);
        let Some((yes, no)) = self.unify(yes, no) else {
            let (a, b) = (self.types.name(types.0), self.types.name(types.1));
            self.error(span, format!("incompatible operand types ('{a}' and '{b}')"));
            return self.error_expr(span);
        };
        let (yes, no) = (self.rvalue(yes), self.rvalue(no));
        let ty = yes.qual.ty;
        self.value(ExprKind::Conditional(condition, Box::new(yes), Box::new(no)), ty, span)
    }

    /// `a ?: b`, whose first operand is evaluated once.
    pub(super) fn first_or_second(
        &mut self,
        first: &ast::Expr,
        second: &ast::Expr,
        span: Span,
    ) -> Expr {
        let first = self.expr(first);
        let first = self.rvalue(first);
        let second = self.expr(second);
        // Outside of functions nothing has an effect.
        if self.body.is_none() || first.qual.ty == Types::UNKNOWN {
            return self.conditional(first.clone(), first, second, span);
        }
        let qual = Qual { space: Some(ast::AddressSpace::Thread), ..Qual::plain(first.qual.ty) };
        let local = ExprKind::Local(self.new_local(String::new(), qual));
        let kept = Expr { kind: local, qual, place: true, span };
        let read = self.rvalue(kept.clone());
        let chosen = self.conditional(read.clone(), read, second, span);
        let kind = ExprKind::Assign(Box::new(kept), Box::new(first));
        let kept = Expr { kind, qual, place: true, span };
        let (qual, place) = (chosen.qual, chosen.place);
        Expr { kind: ExprKind::Comma(Box::new(kept), Box::new(chosen)), qual, place, span }
    }

    /// Converts the two results of `?:` to one type.
    fn unify(&mut self, yes: Expr, no: Expr) -> Option<(Expr, Expr)> {
        if yes.qual.ty == no.qual.ty {
            return Some((yes, no));
        }
        if let Some((scalar, width)) = self.common_type(Binary::Add, yes.qual.ty, no.qual.ty) {
            let ty = self.types.vector(scalar, width);
            return Some((self.convert_value(yes, ty), self.convert_value(no, ty)));
        }
        let (a, b) = (self.source(&yes), self.source(&no));
        if self.rank(a, no.qual).is_some() {
            let ty = no.qual;
            return Some((self.implicit(yes, ty, "initialize"), no));
        }
        if self.rank(b, yes.qual).is_some() {
            let ty = yes.qual;
            let no = self.implicit(no, ty, "initialize");
            return Some((yes, no));
        }
        None
    }
}
