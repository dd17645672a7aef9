//! Expressions: values in registers, aggregates into memory.

use super::Body;
use super::place::Place;
use crate::soft::ir::{Barrier, Op, Scalar, Space, Type, Value};
use crate::soft::msl::check::builtins::{Accuracy, Builtin};
use crate::soft::msl::hir::{Binary, Constant, Expr, ExprKind, GlobalIndex, InstanceIndex};
use crate::soft::msl::types::{Ty, TyId, Types};

fn operation(op: Binary) -> Op {
    match op {
        Binary::Add => Op::Add,
        Binary::Sub => Op::Sub,
        Binary::Mul => Op::Mul,
        Binary::Div => Op::Div,
        Binary::Rem => Op::Rem,
        Binary::And => Op::And,
        Binary::Or => Op::Or,
        Binary::Xor => Op::Xor,
        Binary::Shl => Op::Shl,
        Binary::Shr => Op::Shr,
        Binary::Eq => Op::Eq,
        Binary::Ne => Op::Ne,
        Binary::Lt | Binary::Gt => Op::Lt,
        Binary::Le | Binary::Ge => Op::Le,
    }
}

/// Arrays longer than this are cleared and copied by a loop.
const UNROLLED: u32 = 16;

impl Body<'_, '_> {
    /// The value of a condition that is known now, function constants included.
    pub(super) fn known(&mut self, expr: &Expr) -> Option<Constant> {
        self.module.checker.evaluate_specialised(expr)
    }

    pub(super) fn constant(&mut self, constant: Constant, ty: Type) -> Value {
        let Some(scalar) = ty.scalar() else { return self.zero(ty) };
        let value = match constant {
            Constant::Int(value) if scalar.is_float() => {
                self.b.constant(scalar, u64::from((value as i64 as f32).to_bits()))
            }
            Constant::Int(value) => self.b.int(scalar, value as i64),
            Constant::Float(value) => self.b.constant(scalar, u64::from((value as f32).to_bits())),
        };
        self.b.splat(value, ty.width())
    }

    /// A scalar at program scope whose value is known needs no memory.
    pub(super) fn constant_global(&mut self, global: GlobalIndex, ty: TyId) -> Option<Value> {
        let (value, constant) = {
            let row = &self.module.checker.globals[global.0 as usize];
            (row.known_value(), row.function_constant)
        };
        let ty = self.ty(ty);
        if let Some(value) = value {
            return Some(self.constant(value, ty));
        }
        if constant.is_some() {
            let name = self.module.checker.globals[global.0 as usize].name.clone();
            self.error(&format!("function constant '{name}' is needed and has no value"));
            return Some(self.zero(ty));
        }
        let row = self.module.checker.globals[global.0 as usize].clone();
        let init = row.init.filter(|_| ty.scalar().is_some())?;
        let constant = self.known(&init);
        constant.map(|constant| self.constant(constant, ty))
    }

    /// Computes an expression for what it does.
    pub(super) fn effect(&mut self, expr: &Expr) {
        self.at(expr.span);
        match &expr.kind {
            ExprKind::Assign(..) | ExprKind::Compound { .. } => {
                self.place(expr);
            }
            ExprKind::Comma(first, last) => {
                self.effect(first);
                self.effect(last);
            }
            ExprKind::Convert(inner) | ExprKind::Deref(inner) => self.effect(inner),
            ExprKind::Local(_) | ExprKind::Global(_) | ExprKind::Constant(_) | ExprKind::Zero => {}
            _ if expr.place => {
                self.place(expr);
            }
            _ => {
                self.value(expr);
            }
        }
    }

    pub(super) fn value(&mut self, expr: &Expr) -> Value {
        self.at(expr.span);
        let ty = self.ty(expr.qual.ty);
        match &expr.kind {
            ExprKind::Constant(constant) => self.constant(*constant, ty),
            ExprKind::Load(place) => {
                let found = self.place(place);
                match (&found, self.is_aggregate(expr.qual.ty)) {
                    // The bytes stay where they are; who needs a copy makes one.
                    (Place::Memory(pointer), true) => *pointer,
                    _ => self.load(&found, ty),
                }
            }
            ExprKind::AddressOf(place) => self.address(place),
            _ if self.is_aggregate(expr.qual.ty) && !expr.place => {
                if let ExprKind::Field(..) | ExprKind::Element(..) = expr.kind
                    && let Place::Memory(pointer) = self.place(expr)
                {
                    return pointer;
                }
                let size = self.size(expr.qual.ty).max(1);
                let pointer = self.b.local("", size);
                self.put(pointer, expr);
                pointer
            }
            ExprKind::Zero => self.zero(ty),
            ExprKind::Convert(inner) => self.convert(inner, expr.qual.ty),
            ExprKind::Bitcast(inner) => {
                let value = self.value(inner);
                self.b.bitcast(value, ty)
            }
            ExprKind::Splat(inner) => {
                let value = self.value(inner);
                self.b.splat(value, ty.width())
            }
            ExprKind::Negate(inner) => {
                let value = self.value(inner);
                self.b.op(Op::Neg, &[value])
            }
            ExprKind::Not(inner) => {
                let value = self.value(inner);
                self.b.op(Op::Not, &[value])
            }
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right),
            ExprKind::Logical(and, left, right) => self.logical(*and, left, right),
            ExprKind::Conditional(condition, yes, no) => self.conditional(condition, yes, no, ty),
            ExprKind::Comma(first, last) => {
                self.effect(first);
                self.value(last)
            }
            ExprKind::Postfix(place, step) => {
                let target = self.place(place);
                let old = self.load(&target, ty);
                let new = match *self.module.checker.types.get(place.qual.ty) {
                    Ty::Pointer(to) => {
                        let size = self.size(to.ty);
                        self.b.field(old, i64::from(*step) * i64::from(size))
                    }
                    _ => {
                        let one = self.constant(Constant::Int(1), ty);
                        self.b.op(if *step > 0 { Op::Add } else { Op::Sub }, &[old, one])
                    }
                };
                self.store(&target, new);
                old
            }
            ExprKind::Offset(pointer, index) => {
                let size = self.pointee_size(pointer.qual.ty);
                let base = self.value(pointer);
                self.offset(base, index, size)
            }
            ExprKind::Distance(left, right) => {
                let size = self.pointee_size(left.qual.ty).max(1);
                let (left, right) = (self.value(left), self.value(right));
                let left = self.b.emit(Op::PointerToInt, Type::U64, &[left], 0);
                let right = self.b.emit(Op::PointerToInt, Type::U64, &[right], 0);
                let bytes = self.b.sub(left, right);
                let bytes = self.b.convert(bytes, Type::Scalar(Scalar::I64));
                let size = self.b.int(Scalar::I64, i64::from(size));
                self.b.op(Op::Div, &[bytes, size])
            }
            ExprKind::Compose(parts) => {
                let mut scalars = Vec::new();
                for part in parts {
                    let value = self.value(part);
                    match self.b.ty(value).width() {
                        1 => scalars.push(value),
                        width => scalars.extend((0..width).map(|at| self.b.extract(value, at))),
                    }
                }
                scalars.truncate(4);
                self.b.op(Op::Compose, &scalars)
            }
            ExprKind::Call(index, arguments) => match self.call(*index, arguments, None) {
                Some(value) => value,
                // It gives nothing, or what is wrong with it has been said.
                None => self.zero(ty),
            },
            ExprKind::Builtin(builtin, arguments) => self.builtin(*builtin, arguments, ty),
            ExprKind::Op(op, arguments) => {
                let values: Vec<Value> = arguments.iter().map(|a| self.value(a)).collect();
                match (op, self.b.ty(values[0]).width()) {
                    (Op::All | Op::Any, 1) => values[0],
                    _ => self.b.emit(*op, ty, &values, 0),
                }
            }
            ExprKind::IsDefined(global) => {
                let known = self.module.checker.globals[global.0 as usize].known_value().is_some();
                self.b.bool(known)
            }
            ExprKind::Error => {
                self.error("this expression was not understood");
                self.zero(ty)
            }
            // Places are read by loads; what comes here is a component or member of a value.
            _ => {
                let place = self.place(expr);
                self.load(&place, ty)
            }
        }
    }

    fn pointee_size(&self, ty: TyId) -> u32 {
        match *self.module.checker.types.get(ty) {
            Ty::Pointer(to) => self.size(to.ty),
            _ => 1,
        }
    }

    fn offset(&mut self, base: Value, index: &Expr, size: u32) -> Value {
        if let ExprKind::Constant(Constant::Int(count)) = index.kind {
            return self.b.field(base, (count as i64).wrapping_mul(i64::from(size)));
        }
        let index = self.value(index);
        self.b.index(base, index, i64::from(size))
    }

    fn convert(&mut self, inner: &Expr, to: TyId) -> Value {
        if to == Types::VOID {
            self.effect(inner);
            return self.b.i32(0);
        }
        let value = self.value(inner);
        let (from, ty) = (self.b.ty(value), self.ty(to));
        match (from, ty) {
            _ if from == ty => value,
            (Type::Pointer(_), Type::Pointer(_)) => {
                let bits = self.b.emit(Op::PointerToInt, Type::U64, &[value], 0);
                self.b.emit(Op::IntToPointer, ty, &[bits], 0)
            }
            (Type::Pointer(_), Type::Scalar(scalar)) => {
                let bits = self.b.emit(Op::PointerToInt, Type::U64, &[value], 0);
                if scalar == Scalar::Bool {
                    let null = self.b.constant(Scalar::U64, 0);
                    return self.b.op(Op::Ne, &[bits, null]);
                }
                self.b.convert(bits, ty)
            }
            (Type::Scalar(_), Type::Pointer(_)) => {
                let bits = self.b.convert(value, Type::U64);
                self.b.emit(Op::IntToPointer, ty, &[bits], 0)
            }
            _ => self.b.convert(value, ty),
        }
    }

    fn binary(&mut self, op: Binary, left: &Expr, right: &Expr) -> Value {
        if self.is_aggregate(left.qual.ty) || self.is_aggregate(right.qual.ty) {
            return self.matrix_by_vector(left, right);
        }
        let left = self.value(left);
        let right = self.value(right);
        self.combine(op, left, right)
    }

    fn combine(&mut self, op: Binary, left: Value, right: Value) -> Value {
        let (mut left, mut right) = (left, right);
        if self.b.ty(left).space().is_some() {
            left = self.b.emit(Op::PointerToInt, Type::U64, &[left], 0);
            right = self.b.emit(Op::PointerToInt, Type::U64, &[right], 0);
        }
        if matches!(op, Binary::Gt | Binary::Ge) {
            std::mem::swap(&mut left, &mut right);
        }
        // Comparisons of order, and arithmetic, see numbers; a vector of bool is one of 0 and 1.
        let ty = self.b.ty(left);
        let order = !matches!(op, Binary::Eq | Binary::Ne | Binary::And | Binary::Or | Binary::Xor);
        if order && ty.scalar() == Some(Scalar::Bool) {
            let wide = ty.with_scalar(Scalar::I32);
            let (a, b) = (self.b.convert(left, wide), self.b.convert(right, wide));
            let result = self.b.op(operation(op), &[a, b]);
            let back = self.b.ty(result).with_scalar(Scalar::Bool);
            return self.b.convert(result, back);
        }
        self.b.op(operation(op), &[left, right])
    }

    /// The new value of `left op= right`.
    pub(super) fn compound(
        &mut self,
        op: Binary,
        place: &Place,
        ty: TyId,
        right: Value,
        common: TyId,
    ) -> Value {
        let own = self.ty(ty);
        let old = self.load(place, own);
        if let Ty::Pointer(to) = *self.module.checker.types.get(ty) {
            let size = self.size(to.ty);
            return match self.b.constant_bits(right) {
                _ if self.b.ty(right).scalar().is_none() => old,
                _ => self.b.index(old, right, i64::from(size)),
            };
        }
        let common = self.ty(common);
        let old = self.b.convert(old, common);
        let new = self.combine(op, old, right);
        self.b.convert(new, own)
    }

    /// Whether computing an expression needlessly does nothing and cannot fault.
    fn is_harmless(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Constant(_) | ExprKind::Zero | ExprKind::IsDefined(_) => true,
            ExprKind::Load(place) => {
                self.is_harmless_place(place) && !self.is_aggregate(expr.qual.ty)
            }
            ExprKind::Convert(a) | ExprKind::Splat(a) | ExprKind::Negate(a) | ExprKind::Not(a) => {
                expr.qual.ty != Types::VOID && self.is_harmless(a)
            }
            ExprKind::Bitcast(a) => self.is_harmless(a),
            ExprKind::Binary(_, a, b) | ExprKind::Logical(_, a, b) | ExprKind::Offset(a, b) => {
                self.is_harmless(a) && self.is_harmless(b)
            }
            ExprKind::Swizzle(a, _) => !a.place && self.is_harmless(a),
            ExprKind::Conditional(a, b, c) => {
                self.is_harmless(a) && self.is_harmless(b) && self.is_harmless(c)
            }
            ExprKind::Compose(parts) => parts.iter().all(|part| self.is_harmless(part)),
            ExprKind::Op(_, parts) | ExprKind::Builtin(Builtin::Math(..), parts) => {
                !self.is_aggregate(expr.qual.ty) && parts.iter().all(|part| self.is_harmless(part))
            }
            _ => false,
        }
    }

    fn is_harmless_place(&self, place: &Expr) -> bool {
        match &place.kind {
            ExprKind::Local(local) => {
                !self.function.locals[local.0 as usize].in_memory
                    && !self.is_aggregate(place.qual.ty)
            }
            ExprKind::Global(global) => {
                self.module.checker.globals[global.0 as usize].known_value().is_some()
            }
            ExprKind::Swizzle(inner, _) => self.is_harmless_place(inner),
            _ => false,
        }
    }

    fn logical(&mut self, and: bool, left: &Expr, right: &Expr) -> Value {
        if let Some(known) = self.known(left) {
            let decides = (known == Constant::Int(0)) == and;
            return if decides { self.b.bool(!and) } else { self.value(right) };
        }
        let first = self.value(left);
        if self.is_harmless(right) {
            let second = self.value(right);
            return self.b.op(if and { Op::And } else { Op::Or }, &[first, second]);
        }
        let result = self.b.variable("", Type::BOOL);
        self.b.set(result, first);
        let go_on = if and { first } else { self.b.op(Op::Not, &[first]) };
        self.b.begin_if(go_on);
        let second = self.value(right);
        self.b.set(result, second);
        self.b.end_if();
        self.b.get(result)
    }

    fn conditional(&mut self, condition: &Expr, yes: &Expr, no: &Expr, ty: Type) -> Value {
        if let Some(known) = self.known(condition) {
            return self.value(if known != Constant::Int(0) { yes } else { no });
        }
        let condition = self.value(condition);
        if ty == Type::Void {
            self.b.begin_if(condition);
            self.effect(yes);
            self.b.begin_else();
            self.effect(no);
            self.b.end_if();
            return self.b.i32(0);
        }
        if self.is_harmless(yes) && self.is_harmless(no) && ty.scalar().is_some() {
            let (yes, no) = (self.value(yes), self.value(no));
            return self.b.op(Op::Select, &[condition, yes, no]);
        }
        let result = self.b.variable("", ty);
        self.b.begin_if(condition);
        let value = self.value(yes);
        self.b.set(result, value);
        self.b.begin_else();
        let value = self.value(no);
        self.b.set(result, value);
        self.b.end_if();
        self.b.get(result)
    }

    // ---- calls ---------------------------------------------------------------------------

    /// Calls a function; an aggregate result goes to `into`, or to memory of its own.
    fn call(
        &mut self,
        index: InstanceIndex,
        arguments: &[Expr],
        into: Option<Value>,
    ) -> Option<Value> {
        let span = self.span;
        let id = self.module.function_of(index);
        self.module.calls.push((self.id, id, span));
        let function = self.module.checked(index)?;
        let mut values = Vec::new();
        if self.is_aggregate(function.result) {
            let size = self.size(function.result).max(1);
            let pointer = match into {
                Some(pointer) => pointer,
                None => self.b.local("", size),
            };
            values.push(pointer);
        }
        for (argument, local) in arguments.iter().zip(&function.locals) {
            let value = match self.is_aggregate(local.qual.ty) {
                true => {
                    // By value: the callee may change its own.
                    let size = self.size(argument.qual.ty).max(1);
                    let copy = self.b.local("", size);
                    self.put(copy, argument);
                    copy
                }
                false => self.value(argument),
            };
            values.push(value);
        }
        self.at(span);
        let result = match self.is_aggregate(function.result) {
            true => Type::Void,
            false => self.ty(function.result),
        };
        let returned = self.b.call(id, &values, result);
        if result == Type::Void {
            values.first().copied().filter(|_| self.is_aggregate(function.result))
        } else {
            returned
        }
    }

    fn builtin(&mut self, builtin: Builtin, arguments: &[Expr], ty: Type) -> Value {
        let mut values: Vec<Value> = match builtin {
            Builtin::Transpose | Builtin::Determinant => Vec::new(),
            _ => arguments.iter().map(|argument| self.value(argument)).collect(),
        };
        match builtin {
            Builtin::Math(op, accuracy) => {
                let precise = match accuracy {
                    Accuracy::Default => self.function.precise,
                    Accuracy::Precise => true,
                    Accuracy::Fast => false,
                };
                self.b.math(op, precise, &values)
            }
            Builtin::Across(op, width) => self.b.simd(op, u32::from(width), ty, &values),
            Builtin::Atomic(op) => {
                values.pop();
                self.b.emit(op, ty, &values, 0)
            }
            Builtin::CompareExchange => {
                let (object, expected, desired) = (values[0], values[1], values[2]);
                let scalar = self.b.ty(desired);
                let wanted = self.b.load(expected, scalar);
                let found =
                    self.b.emit(Op::AtomicCompareExchange, scalar, &[object, wanted, desired], 0);
                self.b.store(expected, found);
                self.b.op(Op::Eq, &[found, wanted])
            }
            Builtin::Select => self.b.op(Op::Select, &[values[2], values[1], values[0]]),
            Builtin::ThreadgroupBarrier => {
                self.b.barrier(Barrier::Threadgroup);
                self.b.i32(0)
            }
            Builtin::SimdgroupBarrier => {
                self.b.barrier(Barrier::Simdgroup);
                self.b.i32(0)
            }
            Builtin::Fence => self.b.i32(0),
            Builtin::Determinant => self.determinant(&arguments[0]),
            Builtin::Transpose | Builtin::Op(_) | Builtin::Prelude => {
                self.error("this library function is not supported");
                self.b.i32(0)
            }
        }
    }

    // ---- aggregates ----------------------------------------------------------------------

    pub(super) fn assign_aggregate(&mut self, left: &Expr, right: &Expr) -> Place {
        let size = self.size(left.qual.ty);
        let value = self.value(right);
        let target = self.address(left);
        self.b.copy(target, value, size);
        Place::Memory(target)
    }

    /// Puts a value where nothing of the value itself can be: through a copy when it must.
    pub(super) fn put_copied(&mut self, pointer: Value, expr: &Expr) {
        let size = self.size(expr.qual.ty);
        let value = self.value(expr);
        self.b.copy(pointer, value, size);
    }

    /// Computes a value straight into fresh memory.
    pub(super) fn put(&mut self, pointer: Value, expr: &Expr) {
        self.at(expr.span);
        let ty = expr.qual.ty;
        if !self.is_aggregate(ty) {
            let value = self.value(expr);
            self.b.store(pointer, value);
            return;
        }
        match &expr.kind {
            ExprKind::Aggregate(parts) => self.parts(pointer, ty, parts),
            ExprKind::UnionValue(_, value) => {
                self.clear(pointer, ty);
                self.put(pointer, value);
            }
            ExprKind::Zero => self.clear(pointer, ty),
            ExprKind::Constant(_) => {
                // `atomic_int x = {0}`
                if let Ty::Atomic(scalar) = *self.module.checker.types.get(ty) {
                    let inner =
                        Expr { qual: expr.qual.with(Types::scalar(scalar)), ..expr.clone() };
                    let value = self.value(&inner);
                    self.b.store(pointer, value);
                }
            }
            ExprKind::Call(index, arguments)
                if self.b.ty(pointer).space() == Some(Space::Thread) =>
            {
                self.call(*index, arguments, Some(pointer));
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
                let size = self.size(ty);
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
                        if let ExprKind::Call(index, arguments) = &expr.kind
                            && let Some(value) = self.call(*index, arguments, None)
                        {
                            value
                        } else {
                            self.error("this value is not supported");
                            return;
                        }
                    }
                };
                self.b.copy(pointer, value, size);
            }
        }
    }

    fn construct(&mut self, index: InstanceIndex, arguments: &[Expr], pointer: Value, ty: TyId) {
        let size = self.size(ty).max(1);
        // A constructor's `this` is the thread's; elsewhere the finished object is copied to.
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
            self.b.copy(pointer, object, size);
        }
    }

    fn parts(&mut self, pointer: Value, ty: TyId, parts: &[Expr]) {
        match self.module.checker.types.get(ty).clone() {
            Ty::Array(element, count) => {
                let (size, count) = (self.size(element), count.unwrap_or(parts.len() as u32));
                for (at, part) in parts.iter().enumerate() {
                    let to = self.b.field(pointer, at as i64 * i64::from(size));
                    self.put(to, part);
                }
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
                    let offset = self.field_offset(ty, at as u32);
                    let to = self.b.field(pointer, i64::from(offset));
                    self.put(to, part);
                }
            }
        }
    }

    /// Zeroes an object.
    fn clear(&mut self, pointer: Value, ty: TyId) {
        match self.module.checker.types.get(ty).clone() {
            Ty::Array(element, count) => {
                self.clear_elements(pointer, element, 0, count.unwrap_or(0))
            }
            Ty::Struct(id) => {
                let row = self.module.checker.types.structs[id.0 as usize].clone();
                if row.union {
                    // Every byte: which member is read first is not known.
                    let byte = self.module.checker.types.intern(Ty::Scalar(Scalar::U8));
                    return self.clear_elements(pointer, byte, 0, row.size);
                }
                for field in row.fields {
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
                let zero = self.b.constant(scalar, 0);
                self.b.store(pointer, zero);
            }
            Ty::SimdgroupMatrix(_) => self.error("'simdgroup_matrix' is not supported"),
            _ => {
                let zero = self.ty(ty);
                let zero = self.zero(zero);
                self.b.store(pointer, zero);
            }
        }
    }

    fn clear_elements(&mut self, pointer: Value, element: TyId, from: u32, to: u32) {
        let size = self.size(element);
        if to.saturating_sub(from) <= UNROLLED {
            for at in from..to {
                let place = self.b.field(pointer, i64::from(at) * i64::from(size));
                self.clear(place, element);
            }
            return;
        }
        let counter = self.b.variable("", Type::U32);
        let first = self.b.u32(from);
        self.b.set(counter, first);
        self.b.begin_loop();
        let at = self.b.get(counter);
        let end = self.b.u32(to);
        let inside = self.b.lt(at, end);
        let outside = self.b.op(Op::Not, &[inside]);
        self.b.break_if(outside);
        let place = self.b.index(pointer, at, i64::from(size));
        self.clear(place, element);
        self.b.begin_next();
        let at = self.b.get(counter);
        let one = self.b.u32(1);
        let next = self.b.add(at, one);
        self.b.set(counter, next);
        self.b.end_loop();
    }

    // ---- matrices (MSL 3.2) --------------------------------------------------------------

    /// A matrix's column type, the bytes from one to the next, and how many there are.
    fn column_shape(&self, ty: TyId) -> (Type, u32, u32) {
        match *self.module.checker.types.get(ty) {
            Ty::Matrix(scalar, columns, rows) => {
                let stride = scalar.bytes() * if rows == 3 { 4 } else { u32::from(rows) };
                (Type::Vector(scalar, rows), stride, u32::from(columns))
            }
            _ => (self.ty(ty), self.size(ty), 1),
        }
    }

    fn columns(&mut self, pointer: Value, ty: TyId) -> Vec<Value> {
        let (column, stride, count) = self.column_shape(ty);
        (0..count)
            .map(|at| {
                let from = self.b.field(pointer, i64::from(at * stride));
                self.b.load(from, column)
            })
            .collect()
    }

    /// The sum of columns, each times its factor.
    fn combination(&mut self, columns: &[Value], factors: &[Value]) -> Value {
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

    fn components(&mut self, vector: Value) -> Vec<Value> {
        (0..self.b.ty(vector).width()).map(|at| self.b.extract(vector, at)).collect()
    }

    /// `M * v` is a combination of columns, `v * M` a dot product with each.
    fn matrix_by_vector(&mut self, left: &Expr, right: &Expr) -> Value {
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

    fn matrix(&mut self, pointer: Value, ty: TyId, op: Binary, left: &Expr, right: &Expr) {
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

    /// By the first column's cofactors.
    fn determinant(&mut self, matrix: &Expr) -> Value {
        let pointer = self.value(matrix);
        let columns = self.columns(pointer, matrix.qual.ty);
        let grid: Vec<Vec<Value>> = columns.iter().map(|&column| self.components(column)).collect();
        self.minor(&grid)
    }

    fn minor(&mut self, grid: &[Vec<Value>]) -> Value {
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
