//! Structs, arrays and matrices: built, copied and computed in memory (MSL 3.2).

use super::Body;
use super::place::Place;
use crate::soft::ir::{Op, Scalar, Space, Type, Value};
use crate::soft::msl::check::builtins::Builtin;
use crate::soft::msl::hir::{Binary, Expr, ExprKind, InstanceIndex};
use crate::soft::msl::types::{Ty, TyId, Types, atomic_storage};
use std::ops::Range;

/// Arrays longer than this are cleared and copied by a loop.
pub(super) const UNROLLED: u32 = 16;

impl Body<'_, '_> {
    pub(super) fn assign_aggregate(&mut self, left: &Expr, right: &Expr) -> Place {
        let value = self.value(right);
        self.write_member(left);
        let target = self.address(left);
        self.copy_object(target, value, left.qual.ty);
        Place::Memory(target)
    }

    /// Stores a value to memory that its expression may read: computes it first, then copies it.
    pub(super) fn put_copied(&mut self, pointer: Value, expr: &Expr) {
        let value = self.value(expr);
        self.copy_object(pointer, value, expr.qual.ty);
    }

    /// Computes a value directly into fresh memory.
    pub(super) fn put(&mut self, pointer: Value, expr: &Expr) {
        self.at(expr.span);
        let ty = expr.qual.ty;
        if !self.is_aggregate(ty) {
            let value = self.value(expr);
            self.store_value(&Place::Memory(pointer), value, ty);
            return;
        }
        match &expr.kind {
            ExprKind::Aggregate(parts) => self.parts(pointer, ty, parts),
            ExprKind::Filled(parts, others) => self.put_filled(pointer, ty, parts, others),
            ExprKind::UnionValue(_, value) => {
                self.clear(pointer, ty);
                self.put(pointer, value);
            }
            ExprKind::Zero => self.clear(pointer, ty),
            ExprKind::Constant(_) => {
                // `atomic_int x = {0}`
                if let Ty::Atomic(scalar) = *self.module.types.get(ty) {
                    let inner =
                        Expr { qual: expr.qual.with(Types::scalar(scalar)), ..expr.clone() };
                    let value = self.value(&inner);
                    let value = self.b.convert(value, Type::Scalar(atomic_storage(scalar)));
                    self.b.store(pointer, value);
                }
            }
            ExprKind::Call(index, arguments)
                if self.b.ty(pointer).space() == Some(Space::Thread) =>
            {
                self.call(*index, arguments, Some(pointer));
            }
            ExprKind::Invoke(callee, arguments)
                if self.b.ty(pointer).space() == Some(Space::Thread) =>
            {
                self.invoke(callee, arguments, Some(pointer));
            }
            ExprKind::Construct(index, arguments) => self.construct(*index, arguments, pointer, ty),
            ExprKind::Conditional(condition, yes, no) => {
                let condition = self.value(condition);
                self.b.begin_if(condition);
                self.put(pointer, yes);
                self.b.begin_else();
                self.put(pointer, no);
                self.b.end_if();
            }
            ExprKind::Comma(first, last) => {
                self.effect(first);
                self.put(pointer, last);
            }
            ExprKind::Binary(op, left, right) => self.matrix(pointer, ty, *op, left, right),
            ExprKind::Negate(inner) | ExprKind::Convert(inner) => {
                let negate = matches!(expr.kind, ExprKind::Negate(_));
                let from = self.value(inner);
                let source = self.columns(from, inner.qual.ty);
                let (column, stride, count) = self.column_shape(ty);
                for (at, value) in source.into_iter().take(count as usize).enumerate() {
                    let value = match negate {
                        true => self.b.op(Op::Neg, &[value]),
                        false => self.b.convert(value, column),
                    };
                    let to = self.b.field(pointer, at as i64 * i64::from(stride));
                    self.b.store(to, value);
                }
            }
            ExprKind::Builtin(Builtin::Transpose, arguments) => {
                let from = self.value(&arguments[0]);
                let source = self.columns(from, arguments[0].qual.ty);
                let (_, stride, count) = self.column_shape(ty);
                for at in 0..count {
                    let parts: Vec<Value> = source.iter().map(|&c| self.b.extract(c, at)).collect();
                    let column = self.b.op(Op::Compose, &parts);
                    let to = self.b.field(pointer, i64::from(at * stride));
                    self.b.store(to, column);
                }
            }
            _ => {
                let value = match expr.place {
                    true => self.address(expr),
                    false
                        if matches!(
                            expr.kind,
                            ExprKind::Load(_) | ExprKind::Field(..) | ExprKind::Element(..)
                        ) =>
                    {
                        self.value(expr)
                    }
                    false => {
                        let value = match &expr.kind {
                            ExprKind::Call(index, arguments) => self.call(*index, arguments, None),
                            ExprKind::Invoke(callee, arguments) => {
                                self.invoke(callee, arguments, None)
                            }
                            _ => None,
                        };
                        let Some(value) = value else {
                            self.error("this value is not supported");
                            return;
                        };
                        value
                    }
                };
                self.copy_object(pointer, value, ty);
            }
        }
    }

    pub(super) fn construct(
        &mut self,
        index: InstanceIndex,
        arguments: &[Expr],
        pointer: Value,
        ty: TyId,
    ) {
        let size = self.size(ty).max(1);
        // A constructor's `this` is in thread memory; to any other memory the finished object is copied.
        let own = self.b.ty(pointer).space() == Some(Space::Thread);
        let object = if own { pointer } else { self.b.local("", size) };
        let span = self.span;
        let id = self.module.function_of(index);
        self.module.calls.push((self.id, id, span));
        let Some(function) = self.module.checked(index) else { return };
        let mut values = vec![object];
        for (argument, local) in arguments.iter().zip(&function.locals[1..]) {
            let value = match self.is_aggregate(local.qual.ty) {
                true => {
                    let copy_size = self.size(argument.qual.ty).max(1);
                    let copy = self.b.local("", copy_size);
                    self.put(copy, argument);
                    copy
                }
                false => self.value(argument),
            };
            values.push(value);
        }
        self.at(span);
        self.b.call(id, &values, Type::Void);
        if !own {
            self.copy_object(pointer, object, ty);
        }
    }

    pub(super) fn parts(&mut self, pointer: Value, ty: TyId, parts: &[Expr]) {
        match self.module.types.get(ty).clone() {
            Ty::Array(element, count) => {
                let count = count.unwrap_or(parts.len() as u32);
                self.first_elements(pointer, element, parts);
                self.clear_elements(pointer, element, parts.len() as u32, count);
            }
            Ty::Matrix(..) => {
                let (_, stride, _) = self.column_shape(ty);
                for (at, part) in parts.iter().enumerate() {
                    let value = self.value(part);
                    let to = self.b.field(pointer, at as i64 * i64::from(stride));
                    self.b.store(to, value);
                }
            }
            _ => {
                for (at, part) in parts.iter().enumerate() {
                    match self.field_place(pointer, ty, at as u32) {
                        Place::Memory(to) => self.put(to, part),
                        bits => {
                            let value = self.value(part);
                            self.store(&bits, value);
                        }
                    }
                }
            }
        }
    }

    fn first_elements(&mut self, pointer: Value, element: TyId, parts: &[Expr]) {
        let size = i64::from(self.size(element));
        for (at, part) in (0..).zip(parts) {
            let to = self.b.field(pointer, at * size);
            self.put(to, part);
        }
    }

    /// An array from its first elements and the value of each of the others.
    fn put_filled(&mut self, pointer: Value, ty: TyId, parts: &[Expr], others: &Expr) {
        let Ty::Array(element, Some(count)) = *self.module.types.get(ty) else { return };
        self.first_elements(pointer, element, parts);
        let (size, others_start) = (i64::from(self.size(element)), parts.len() as u32);
        if count - others_start <= UNROLLED {
            for at in others_start..count {
                let to = self.b.field(pointer, i64::from(at) * size);
                self.put(to, others);
            }
            return;
        }
        self.counted(others_start..count, |this, at| {
            let to = this.b.index(pointer, at, size);
            this.put(to, others);
        });
    }

    /// Zeroes an object.
    pub(super) fn clear(&mut self, pointer: Value, ty: TyId) {
        match self.module.types.get(ty).clone() {
            Ty::Array(element, count) => {
                self.clear_elements(pointer, element, 0, count.unwrap_or(0))
            }
            Ty::Struct(id) => {
                let row = self.module.types.class(id).clone();
                if row.union {
                    // Every byte, since any member may be read first.
                    let byte = Types::scalar(Scalar::U8);
                    return self.clear_elements(pointer, byte, 0, row.size);
                }
                for field in row.fields() {
                    let at = self.b.field(pointer, i64::from(field.offset));
                    self.clear(at, field.qual.ty);
                }
            }
            Ty::Matrix(..) => {
                let (column, stride, count) = self.column_shape(ty);
                for at in 0..count {
                    let to = self.b.field(pointer, i64::from(at * stride));
                    let zero = self.zero(column);
                    self.b.store(to, zero);
                }
            }
            Ty::Atomic(scalar) => {
                let zero = self.b.constant(atomic_storage(scalar), 0);
                self.b.store(pointer, zero);
            }
            _ => {
                let zero = self.ty(ty);
                let zero = self.zero(zero);
                self.b.store(pointer, zero);
            }
        }
    }

    pub(super) fn clear_elements(&mut self, pointer: Value, element: TyId, from: u32, to: u32) {
        let size = self.size(element);
        if to.saturating_sub(from) <= UNROLLED {
            for at in from..to {
                let place = self.b.field(pointer, i64::from(at) * i64::from(size));
                self.clear(place, element);
            }
            return;
        }
        self.counted(from..to, |this, at| {
            let place = this.b.index(pointer, at, i64::from(size));
            this.clear(place, element);
        });
    }

    /// A loop over a counter.
    pub(super) fn counted(&mut self, range: Range<u32>, each: impl FnOnce(&mut Self, Value)) {
        let counter = self.b.variable("", Type::U32);
        let first = self.b.u32(range.start);
        self.b.set(counter, first);
        self.b.begin_loop();
        let at = self.b.get(counter);
        let end = self.b.u32(range.end);
        let inside = self.b.lt(at, end);
        let outside = self.b.op(Op::Not, &[inside]);
        self.b.break_if(outside);
        each(self, at);
        self.b.begin_next();
        let at = self.b.get(counter);
        let one = self.b.u32(1);
        let next = self.b.add(at, one);
        self.b.set(counter, next);
        self.b.end_loop();
    }

    /// A matrix's column type, the stride in bytes, and the number of columns.
    pub(super) fn column_shape(&self, ty: TyId) -> (Type, u32, u32) {
        match *self.module.types.get(ty) {
            Ty::Matrix(scalar, columns, rows) => {
                let stride = scalar.bytes() * if rows == 3 { 4 } else { u32::from(rows) };
                (Type::Vector(scalar, rows), stride, u32::from(columns))
            }
            _ => (self.ty(ty), self.size(ty), 1),
        }
    }

    pub(super) fn columns(&mut self, pointer: Value, ty: TyId) -> Vec<Value> {
        let (column, stride, count) = self.column_shape(ty);
        (0..count)
            .map(|at| {
                let from = self.b.field(pointer, i64::from(at * stride));
                self.b.load(from, column)
            })
            .collect()
    }

    /// The sum of columns, each multiplied by its factor.
    pub(super) fn combination(&mut self, columns: &[Value], factors: &[Value]) -> Value {
        let mut sum: Option<Value> = None;
        for (&column, &factor) in columns.iter().zip(factors) {
            let width = self.b.ty(column).width();
            let factor = self.b.splat(factor, width);
            sum = Some(match sum {
                None => self.b.mul(column, factor),
                Some(sum) => self.b.op(Op::Fma, &[column, factor, sum]),
            });
        }
        match sum {
            Some(sum) => sum,
            None => self.b.i32(0),
        }
    }

    /// The components of a vector, or the scalar itself.
    pub(super) fn components(&mut self, value: Value) -> Vec<Value> {
        match self.b.ty(value).width() {
            1 => vec![value],
            width => (0..width).map(|at| self.b.extract(value, at)).collect(),
        }
    }

    /// `M * v` is a combination of columns, `v * M` a dot product with each.
    pub(super) fn matrix_by_vector(&mut self, left: &Expr, right: &Expr) -> Value {
        let (a, b) = (self.value(left), self.value(right));
        if self.is_aggregate(left.qual.ty) {
            let columns = self.columns(a, left.qual.ty);
            let factors = self.components(b);
            return self.combination(&columns, &factors);
        }
        let columns = self.columns(b, right.qual.ty);
        let parts: Vec<Value> =
            columns.iter().map(|&column| self.b.op(Op::Dot, &[a, column])).collect();
        self.b.op(Op::Compose, &parts)
    }

    pub(super) fn matrix(
        &mut self,
        pointer: Value,
        ty: TyId,
        op: Binary,
        left: &Expr,
        right: &Expr,
    ) {
        let (a, b) = (self.value(left), self.value(right));
        let (matrix_a, matrix_b) =
            (self.is_aggregate(left.qual.ty), self.is_aggregate(right.qual.ty));
        let (_, stride, count) = self.column_shape(ty);
        let left_columns = if matrix_a { self.columns(a, left.qual.ty) } else { Vec::new() };
        let right_columns = if matrix_b { self.columns(b, right.qual.ty) } else { Vec::new() };
        for at in 0..count as usize {
            let value = match (matrix_a, matrix_b) {
                (true, true) if op == Binary::Mul => {
                    let factors = self.components(right_columns[at]);
                    self.combination(&left_columns, &factors)
                }
                (true, true) => self.combine(op, left_columns[at], right_columns[at]),
                (true, false) => {
                    let width = self.b.ty(left_columns[at]).width();
                    let scalar = self.b.splat(b, width);
                    self.combine(op, left_columns[at], scalar)
                }
                (false, true) => {
                    let width = self.b.ty(right_columns[at]).width();
                    let scalar = self.b.splat(a, width);
                    self.combine(op, scalar, right_columns[at])
                }
                (false, false) => return,
            };
            let to = self.b.field(pointer, at as i64 * i64::from(stride));
            self.b.store(to, value);
        }
    }

    /// Expansion by the cofactors of the first column.
    pub(super) fn determinant(&mut self, matrix: &Expr) -> Value {
        let pointer = self.value(matrix);
        let columns = self.columns(pointer, matrix.qual.ty);
        let grid: Vec<Vec<Value>> = columns.iter().map(|&column| self.components(column)).collect();
        self.minor(&grid)
    }

    pub(super) fn minor(&mut self, grid: &[Vec<Value>]) -> Value {
        if grid.len() == 1 {
            return grid[0][0];
        }
        let mut sum: Option<Value> = None;
        for row in 0..grid.len() {
            let rest: Vec<Vec<Value>> = grid[1..]
                .iter()
                .map(|column| {
                    let kept = column.iter().enumerate().filter(|(at, _)| *at != row);
                    kept.map(|(_, &value)| value).collect()
                })
                .collect();
            let cofactor = self.minor(&rest);
            let term = self.b.mul(grid[0][row], cofactor);
            sum = Some(match sum {
                None => term,
                Some(sum) if row % 2 == 0 => self.b.add(sum, term),
                Some(sum) => self.b.sub(sum, term),
            });
        }
        match sum {
            Some(sum) => sum,
            None => self.b.i32(0),
        }
    }
}
