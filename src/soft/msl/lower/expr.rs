//! Expressions: scalars and vectors to registers, aggregates to memory.

use super::place::Place;
use super::{Body, Lowering};
use crate::soft::ir::{
    Address, AllocationKind, Barrier, MemFlags, Op, Probe, Scalar, Space, Type, Value,
    is_stack_low, untyped,
};
use crate::soft::msl::check::builtins::Builtin;
use crate::soft::msl::hir::{Binary, Constant, Expr, ExprKind, GlobalIndex};
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

impl Body<'_, '_> {
    /// The value of a condition that is constant, function constants included.
    pub(super) fn known(&mut self, expr: &Expr) -> Option<Constant> {
        self.module.special.evaluate(expr)
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

    /// The value of a scalar at program scope, if constant: it needs no memory.
    pub(super) fn constant_global(&mut self, global: GlobalIndex, ty: TyId) -> Option<Value> {
        let ty = self.ty(ty);
        let row = self.module.special.global(global).clone();
        if let Some(value) = row.known_value() {
            return Some(self.constant(value, ty));
        }
        if row.lacks_value() {
            self.error(&format!("function constant '{}' is needed and has no value", row.name));
            return Some(self.zero(ty));
        }
        let init = row.init.filter(|_| ty.scalar().is_some())?;
        let constant = self.known(&init);
        constant.map(|constant| self.constant(constant, ty))
    }

    /// Computes an expression for its side effects.
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
        if is_stack_low() {
            self.error("the expression is nested too deeply");
            return match self.is_aggregate(expr.qual.ty) {
                true => self.b.local("", self.size(expr.qual.ty)),
                false => self.zero(ty),
            };
        }
        match &expr.kind {
            ExprKind::Constant(constant) => self.constant(*constant, ty),
            ExprKind::Load(place) => {
                self.read_member(place);
                let found = self.place(place);
                match (&found, self.is_aggregate(expr.qual.ty)) {
                    // No copy here: the caller copies the bytes if it needs to.
                    (Place::Memory(pointer), true) => *pointer,
                    _ => self.load_value(&found, expr.qual.ty),
                }
            }
            ExprKind::AddressOf(place) => {
                if self.is_of_addresses(place) {
                    self.error(
                        "the address of a variable that contains addresses is not supported",
                    );
                    return self.zero(ty);
                }
                self.address(place)
            }
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
                self.change_member(place);
                let target = self.place(place);
                let old = self.load_value(&target, place.qual.ty);
                let new = match *self.module.types.get(place.qual.ty) {
                    Ty::Pointer(to) => {
                        let size = self.size(to.ty);
                        self.b.field(old, i64::from(*step) * i64::from(size))
                    }
                    _ => {
                        let one = self.constant(Constant::Int(1), ty);
                        self.combine(if *step > 0 { Binary::Add } else { Binary::Sub }, old, one)
                    }
                };
                self.store_value(&target, new, place.qual.ty);
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
                let left = self.b.emit(Op::Address, Type::U64, &[left], 0);
                let right = self.b.emit(Op::Address, Type::U64, &[right], 0);
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
                // No value, or an error that is already reported.
                None => self.zero(ty),
            },
            ExprKind::FunctionAddress(index) => {
                let handle = Lowering::handle_of(self.module.unit, *index);
                self.b.constant(Scalar::U64, handle)
            }
            ExprKind::Invoke(callee, arguments) => match self.invoke(callee, arguments, None) {
                Some(value) => value,
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
                let known = !self.module.special.global(*global).lacks_value();
                self.b.bool(known)
            }
            // The value of the name of functions alone is not used: anything else was an error.
            ExprKind::Overloaded(_) => self.b.i32(0),
            ExprKind::List(..) => untyped("a braced list"),
            ExprKind::Error => untyped("an expression"),
            // Lvalues are read by loads; this is a component or member of a value.
            _ => {
                let place = self.place(expr);
                self.load_value(&place, expr.qual.ty)
            }
        }
    }

    fn pointee_size(&self, ty: TyId) -> u32 {
        match *self.module.types.get(ty) {
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
        self.note_cast_of_const(inner.qual.ty, to, value);
        match (from, ty) {
            _ if from == ty => value,
            (Type::Pointer(_), Type::Pointer(_)) => {
                let bits = self.b.emit(Op::PointerToInt, Type::U64, &[value], 0);
                self.b.emit(Op::IntToPointer, ty, &[bits], 0)
            }
            (Type::Pointer(_), Type::Scalar(scalar)) => {
                if scalar == Scalar::Bool {
                    let address = self.b.emit(Op::Address, Type::U64, &[value], 0);
                    let null = self.b.constant(Scalar::U64, 0);
                    return self.b.op(Op::Ne, &[address, null]);
                }
                let bits = self.pointer_bits(value);
                self.b.convert(bits, ty)
            }
            (Type::Scalar(_), Type::Pointer(_)) => {
                let bits = self.b.convert(value, Type::U64);
                self.pointer_of_bits(bits, ty)
            }
            _ => self.b.convert(value, ty),
        }
    }

    /// A kernel may write to a buffer that it takes as `const device` if it casts the `const` away: the buffer is no constant
    /// object ([dcl.type.cv]/4).
    fn note_cast_of_const(&mut self, from: TyId, to: TyId, pointer: Value) {
        let types = self.module.types;
        let (Ty::Pointer(from), Ty::Pointer(to)) = (types.get(from), types.get(to)) else {
            return;
        };
        let base = Address::of(self.b.function(), pointer).base;
        let base = self.b.function().inst(base);
        let (is_argument, number) = (base.op == Op::Allocation, base.imm as usize);
        if from.constant
            && !to.constant
            && is_argument
            && let AllocationKind::Buffer { writable, space: Space::Device, .. } =
                &mut self.module.allocations[number].kind
        {
            *writable = true;
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

    pub(super) fn combine(&mut self, op: Binary, left: Value, right: Value) -> Value {
        let (mut left, mut right) = (left, right);
        if self.b.ty(left).space().is_some() {
            left = self.b.emit(Op::Address, Type::U64, &[left], 0);
            right = self.b.emit(Op::Address, Type::U64, &[right], 0);
        }
        if matches!(op, Binary::Gt | Binary::Ge) {
            std::mem::swap(&mut left, &mut right);
        }
        // Ordering comparisons and arithmetic need numbers: a vector of bool becomes one of 0 and 1.
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
        let old = self.load_value(place, ty);
        if let Ty::Pointer(to) = *self.module.types.get(ty) {
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

    /// Whether an expression can be computed speculatively: it has no side effects and cannot fault.
    fn is_harmless(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Constant(_) | ExprKind::Zero | ExprKind::IsDefined(_) => true,
            _ if self.module.special.checks.any() => false,
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
            ExprKind::Op(_, parts) => {
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
            ExprKind::Global(global) => self.module.special.global(*global).known_value().is_some(),
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

    // ---- builtins ------------------------------------------------------------------------

    /// A value as it is in the memory of an atomic type.
    fn stored_atomic(&mut self, value: Value) -> Value {
        if self.b.ty(value) == Type::BOOL { self.b.convert(value, Type::U32) } else { value }
    }

    fn builtin(&mut self, builtin: Builtin, arguments: &[Expr], ty: Type) -> Value {
        let mut values: Vec<Value> = match builtin {
            Builtin::Texture(call) => return self.texture(call, arguments),
            Builtin::IsNullTexture => return self.is_null_texture(&arguments[0]),
            Builtin::Transpose | Builtin::Determinant => Vec::new(),
            _ => arguments.iter().map(|argument| self.value(argument)).collect(),
        };
        match builtin {
            Builtin::Across(op, width) => self.b.simd(op, u32::from(width), ty, &values),
            Builtin::Atomic(op) => {
                values.pop();
                if let Some(value) = values.get_mut(1) {
                    *value = self.stored_atomic(*value);
                }
                let stored = if ty == Type::BOOL { Type::U32 } else { ty };
                let before = self.b.emit(op, stored, &values, 0);
                if stored == ty { before } else { self.b.convert(before, ty) }
            }
            Builtin::CompareExchange => {
                let (object, expected, desired) = (values[0], values[1], values[2]);
                let scalar = self.b.ty(desired);
                let known = self.b.load(expected, scalar);
                let (wanted, desired) = (self.stored_atomic(known), self.stored_atomic(desired));
                let stored = self.b.ty(desired);
                let found =
                    self.b.emit(Op::AtomicCompareExchange, stored, &[object, wanted, desired], 0);
                let value = self.b.convert(found, scalar);
                self.b.store(expected, value);
                self.b.op(Op::Eq, &[found, wanted])
            }
            Builtin::Select => self.b.op(Op::Select, &[values[2], values[1], values[0]]),
            Builtin::ThreadgroupBarrier => {
                let ordered = self.ordered_memory(&arguments[0]);
                self.b.barrier_of(Barrier::Threadgroup, ordered);
                self.b.i32(0)
            }
            Builtin::SimdgroupBarrier => {
                let ordered = self.ordered_memory(&arguments[0]);
                self.b.barrier_of(Barrier::Simdgroup, ordered);
                self.b.i32(0)
            }
            Builtin::Fence => {
                // Without a scope it is that of the device (MSL 6.15.3).
                let scope = arguments.get(2).map(|scope| &scope.kind);
                let constant = match scope {
                    Some(ExprKind::Constant(Constant::Int(scope))) => Some(*scope),
                    _ => None,
                };
                if constant.is_none_or(|scope| matches!(scope, DEVICE_SCOPE | SYSTEM_SCOPE)) {
                    self.b.emit(Op::Probe, Type::Void, &[], Probe::Fence.imm());
                }
                self.b.i32(0)
            }
            Builtin::SimdgroupMatrix(op) => self.b.emit(op, ty, &values, 0),
            Builtin::Input(input, axis) => self.b.input(input, axis.into()),
            Builtin::LogBuffer => {
                let id = self.module.log_buffer();
                self.b.allocation(id, Space::Device)
            }
            Builtin::Determinant => self.determinant(&arguments[0]),
            Builtin::Transpose
            | Builtin::Op(_)
            | Builtin::Prelude
            | Builtin::Texture(_)
            | Builtin::IsNullTexture => {
                self.error("this library function is not supported");
                self.b.i32(0)
            }
        }
    }

    /// The memory that an argument of type `mem_flags` names. If its value is not known here, it is all memory.
    fn ordered_memory(&mut self, flags: &Expr) -> MemFlags {
        match self.known(flags) {
            Some(Constant::Int(bits)) => MemFlags::of_bits(bits),
            _ => MemFlags::ALL,
        }
    }
}

/// `thread_scope_device` and `thread_scope_system`.
const DEVICE_SCOPE: u64 = 2;
const SYSTEM_SCOPE: u64 = 3;
