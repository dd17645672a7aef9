//! Constant evaluation (C++14 expr.const): runs the typed tree on objects of any type, with calls of functions and
//! constructors.
//!
//! An object is a tree of items; a place is a path in one. Objects of a caller are reached by their addresses, as in
//! the typed tree, where a reference is a pointer. An object that is not constant has an address too, so that member
//! functions that do not read it are constant.

mod flow;
mod item;
mod memory;

use self::flow::Frame;
pub(crate) use self::item::Item;
use self::item::{Place, Root};
pub(crate) use self::memory::Evaluations;
use super::constant::{
    Evaluated, MAX_STEPS, NotConstant, Unevaluated, binary, bits, convert, from_bits, negate, wrap,
};
use super::{Checker, Global, State};
use crate::soft::ir::{Op, Scalar, is_stack_low};
use crate::soft::msl::hir::{
    Binary, Constant, Expr, ExprKind, Function, GlobalIndex, InstanceIndex, LocalIndex,
};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Ty, TyId, Types};
use std::sync::Arc;

/// The program as seen by constant evaluation: one that is being checked, or one that
/// is checked and has values for its function constants.
pub(crate) trait Facts {
    fn types(&self) -> &Types;
    fn global(&self, global: GlobalIndex) -> &Global;
    /// The value of a constant local of the current body.
    fn local(&self, local: LocalIndex) -> Option<Item>;
    fn function(&mut self, index: InstanceIndex) -> Option<Arc<Function>>;
    /// Whether function constants have their values.
    fn specialised(&self) -> bool;
    /// Uses what all evaluations of the program share.
    fn shared<T>(&mut self, with: impl FnOnce(&mut Evaluations) -> T) -> T;
}

/// The value of a scalar expression, if it is constant.
pub(crate) fn evaluate(facts: &mut impl Facts, expr: &Expr) -> Evaluated<Constant> {
    // Most are literals.
    if let ExprKind::Constant(constant) = expr.kind {
        return Ok(constant);
    }
    Machine::of(facts, |machine| machine.scalar(expr))
}

/// The value of an expression of any type, if it is constant.
pub(crate) fn evaluate_item(facts: &mut impl Facts, expr: &Expr) -> Evaluated<Item> {
    match Machine::of(facts, |machine| machine.run(expr))? {
        item if item.has_address() => Err(NotConstant),
        item => Ok(item),
    }
}

/// Evaluates constant expressions.
struct Machine<'a, F> {
    facts: &'a mut F,
    steps: u32,
    /// The most steps.
    limit: u32,
    /// Locals and temporaries of the blocks and calls that run.
    objects: Vec<Object>,
    /// How many objects there have been.
    made: u64,
    /// The active calls, innermost last.
    frames: Vec<Frame>,
}

/// A local or a temporary. Its number is its own, so that an address does not outlive it.
struct Object {
    number: u64,
    ty: TyId,
    value: Item,
}

impl Facts for Checker {
    fn types(&self) -> &Types {
        &self.types
    }

    fn global(&self, global: GlobalIndex) -> &Global {
        &self.globals[global.0 as usize]
    }

    fn local(&self, local: LocalIndex) -> Option<Item> {
        let body = self.body.as_ref()?;
        match body.values.get(local.0 as usize).copied().flatten() {
            Some(constant) => Some(Item::Scalar(constant)),
            None => body.items.get(&local).cloned(),
        }
    }

    fn function(&mut self, index: InstanceIndex) -> Option<Arc<Function>> {
        match self.check_instance(index) {
            State::Checked(function) => Some(function),
            _ => None,
        }
    }

    fn specialised(&self) -> bool {
        false
    }

    fn shared<T>(&mut self, with: impl FnOnce(&mut Evaluations) -> T) -> T {
        with(&mut self.evaluations)
    }
}

impl Checker {
    /// The value of a scalar expression, if it is constant.
    pub(super) fn evaluate(&mut self, expr: &Expr) -> Evaluated<Constant> {
        evaluate(self, expr)
    }

    /// The value of an expression of any type, if it is constant.
    pub(super) fn evaluate_item(&mut self, expr: &Expr) -> Evaluated<Item> {
        evaluate_item(self, expr)
    }

    /// Reports that an expression has no value at compile time, and why where that is a limit.
    pub(super) fn not_constant(&mut self, span: Span, message: &str, why: Unevaluated) {
        self.error(span, format!("{message}{}", why.limit()));
    }
}

impl<'a, F: Facts> Machine<'a, F> {
    /// Evaluates with what is left of the program's steps.
    fn of<T>(facts: &'a mut F, evaluate: impl FnOnce(&mut Self) -> Evaluated<T>) -> Evaluated<T> {
        let left = facts.shared(|all| all.steps_left());
        let (limit, objects, frames) = (left.min(MAX_STEPS), Vec::new(), Vec::new());
        let mut machine = Machine { facts, steps: 0, limit, objects, made: 0, frames };
        let result = evaluate(&mut machine);
        let steps = machine.steps;
        machine.facts.shared(|all| all.spend(steps));
        result
    }

    fn step(&mut self) -> Evaluated<()> {
        self.steps_of(1)
    }

    /// Counts steps of work: copies and objects take a step for each part.
    fn steps_of(&mut self, steps: u32) -> Evaluated<()> {
        self.steps = self.steps.saturating_add(steps);
        match self.steps <= self.limit {
            true => Ok(()),
            false if self.limit == MAX_STEPS => Err(Unevaluated::TooLong),
            false => Err(Unevaluated::TooLongInAll),
        }
    }

    /// The scalar and the number of components of a type.
    fn shape(&self, ty: TyId) -> Evaluated<(Scalar, u32)> {
        let types = self.facts.types();
        match types.get(ty) {
            Ty::Enum(id) => Ok((types.enumeration(*id).underlying, 1)),
            Ty::Atomic(scalar) => Ok((*scalar, 1)),
            _ => types.arithmetic(ty).ok_or(NotConstant),
        }
    }

    /// The scalar value of an expression.
    fn scalar(&mut self, expr: &Expr) -> Evaluated<Constant> {
        let item = self.run(expr)?;
        self.constant(item, expr.qual.ty)
    }

    fn constant(&self, item: Item, ty: TyId) -> Evaluated<Constant> {
        match item {
            Item::Scalar(constant) => Ok(constant),
            Item::Zero => {
                let float = self.shape(ty)?.0.is_float();
                Ok(if float { Constant::Float(0.0) } else { Constant::Int(0) })
            }
            _ => Err(NotConstant),
        }
    }

    fn truth(&mut self, expr: &Expr) -> Evaluated<bool> {
        Ok(self.scalar(expr)? != Constant::Int(0))
    }

    /// The components of a scalar or vector value.
    fn components(&self, item: Item, ty: TyId) -> Evaluated<Vec<Constant>> {
        let (scalar, width) = self.shape(ty)?;
        if width == 1 {
            return Ok(vec![self.constant(item, ty)?]);
        }
        let scalar = Types::scalar(scalar);
        (0..width).map(|at| self.constant(item.part(at)?.clone(), scalar)).collect()
    }

    /// Applies an operation to each component.
    fn map(
        &mut self,
        expr: &Expr,
        operand: &Expr,
        apply: impl Fn(Constant) -> Evaluated<Constant>,
    ) -> Evaluated<Item> {
        let value = self.run(operand)?;
        let values = self.components(value, operand.qual.ty)?;
        let values: Evaluated<Vec<Constant>> = values.into_iter().map(apply).collect();
        Ok(joined(values?, self.shape(expr.qual.ty)?.1))
    }

    fn convert(&mut self, expr: &Expr, inner: &Expr) -> Evaluated<Item> {
        let pointer = |ty| matches!(self.facts.types().get(ty), Ty::Pointer(_));
        if pointer(expr.qual.ty) && pointer(inner.qual.ty) || expr.qual.ty == Types::VOID {
            return self.run(inner);
        }
        let (from, to) = (self.shape(inner.qual.ty)?.0, self.shape(expr.qual.ty)?.0);
        self.map(expr, inner, |value| Ok(convert(value, from, to)))
    }

    fn run(&mut self, expr: &Expr) -> Evaluated<Item> {
        self.step()?;
        if is_stack_low() {
            return Err(Unevaluated::TooDeep);
        }
        Ok(match &expr.kind {
            ExprKind::Constant(constant) => Item::Scalar(*constant),
            ExprKind::Zero => Item::Zero,
            // The target of an unknown pointer or reference is unknown, and may not be needed.
            ExprKind::Load(place) if self.is_pointer(expr.qual.ty) => match self.place(place)? {
                Place { root: Root::Unknown, .. } => {
                    Item::Address(Place { root: Root::Unknown, path: Vec::new() })
                }
                known => self.read(&known)?,
            },
            ExprKind::Load(place) => self.load(place)?,
            ExprKind::AddressOf(object) => {
                let place = self.place(object)?;
                let types = self.facts.types();
                // An array becomes a pointer to its first element.
                let decays = match (types.get(object.qual.ty), types.get(expr.qual.ty)) {
                    (Ty::Array(..), Ty::Pointer(to)) => to.ty != object.qual.ty,
                    _ => false,
                };
                Item::Address(if decays { place.part(0) } else { place })
            }
            ExprKind::Offset(pointer, count) => {
                let Constant::Int(count) = self.scalar(count)? else { return Err(NotConstant) };
                self.run(pointer)?.moved(count as i64)?
            }
            ExprKind::Distance(left, right) => match (self.run(left)?, self.run(right)?) {
                (Item::Address(left), Item::Address(right)) => {
                    Item::Scalar(Constant::Int(left.distance(&right)? as u64))
                }
                _ => return Err(NotConstant),
            },
            ExprKind::Convert(inner) => self.convert(expr, inner)?,
            ExprKind::Splat(inner) => {
                let value = self.scalar(inner)?;
                let width = self.shape(expr.qual.ty)?.1;
                Item::Parts(vec![Item::Scalar(value); width as usize])
            }
            ExprKind::Compose(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    let value = self.run(part)?;
                    all.extend(self.components(value, part.qual.ty)?);
                }
                joined(all, self.shape(expr.qual.ty)?.1)
            }
            ExprKind::Aggregate(parts) => {
                Item::Parts(parts.iter().map(|part| self.run(part)).collect::<Evaluated<_>>()?)
            }
            ExprKind::Filled(parts, others) => {
                let Ty::Array(_, Some(count)) = *self.facts.types().get(expr.qual.ty) else {
                    return Err(NotConstant);
                };
                // Each byte is a step: elements are copies, and arrays of arrays are large.
                let size = self.facts.types().size(expr.qual.ty);
                self.steps_of(size)?;
                let mut all =
                    parts.iter().map(|part| self.run(part)).collect::<Evaluated<Vec<Item>>>()?;
                all.resize(count as usize, self.run(others)?);
                Item::Parts(all)
            }
            ExprKind::UnionValue(member, value) => {
                Item::Member(*member, Box::new(self.run(value)?))
            }
            ExprKind::Field(base, index) if !expr.place => {
                let item = self.run(base)?.part(*index)?.clone();
                self.cut(item, base.qual.ty, *index)
            }
            ExprKind::Element(base, index) if !expr.place => {
                let index = self.index(index)?;
                self.run(base)?.part(index)?.clone()
            }
            ExprKind::Swizzle(base, picks) if !expr.place => {
                let value = self.run(base)?;
                self.picked(value, base.qual.ty, picks)?
            }
            ExprKind::Negate(inner) => {
                let scalar = self.shape(expr.qual.ty)?.0;
                self.map(expr, inner, |value| Ok(negate(value, scalar)))?
            }
            ExprKind::Not(inner) => {
                let scalar = self.shape(expr.qual.ty)?.0;
                self.map(expr, inner, |value| match (value, scalar) {
                    (Constant::Int(value), Scalar::Bool) => {
                        Ok(Constant::Int(u64::from(value == 0)))
                    }
                    (Constant::Int(value), scalar) => Ok(Constant::Int(wrap(!value, scalar))),
                    _ => Err(NotConstant),
                })?
            }
            ExprKind::Binary(op, left, right) => self.binary(expr, *op, left, right)?,
            ExprKind::Logical(and, left, right) => match self.truth(left)? == *and {
                true => self.run(right)?,
                false => Item::Scalar(Constant::Int(u64::from(!and))),
            },
            ExprKind::Conditional(condition, yes, no) => {
                let taken = if self.truth(condition)? { yes } else { no };
                self.run(taken)?
            }
            ExprKind::Comma(left, right) => {
                self.run(left)?;
                self.run(right)?
            }
            ExprKind::Op(op, arguments) => self.operation(*op, arguments)?,
            ExprKind::Bitcast(inner) => {
                let (from, to) = (self.shape(inner.qual.ty)?, self.shape(expr.qual.ty)?);
                if from.1 != to.1 {
                    return Err(NotConstant);
                }
                self.map(expr, inner, |value| Ok(from_bits(bits(value, from.0), to.0)))?
            }
            ExprKind::Postfix(object, step) => {
                let place = self.place(object)?;
                let ty = object.qual.ty;
                let old = self.read(&place)?;
                if self.is_pointer(ty) {
                    self.write(&place, old.clone().moved((*step).into())?)?;
                    return Ok(old);
                }
                let old = self.constant(old, ty)?;
                let scalar = self.shape(ty)?.0;
                let one = match scalar.is_float() {
                    true => Constant::Float(f64::from(*step)),
                    false => Constant::Int(*step as u64),
                };
                let new = binary(Binary::Add, old, one, scalar)?;
                self.write(&place, Item::Scalar(new))?;
                Item::Scalar(old)
            }
            ExprKind::IsDefined(global) if self.facts.specialised() => {
                let known = self.facts.global(*global).known_value().is_some();
                Item::Scalar(Constant::Int(u64::from(known)))
            }
            ExprKind::Call(index, arguments) => {
                let values = self.arguments(arguments)?;
                self.call(*index, values)?
            }
            ExprKind::FunctionAddress(index) => Item::Function(*index),
            ExprKind::Invoke(pointer, arguments) => {
                let Item::Function(index) = self.run(pointer)? else { return Err(NotConstant) };
                let values = self.arguments(arguments)?;
                self.call(index, values)?
            }
            ExprKind::Construct(index, arguments) => {
                let root = self.object(expr.qual.ty, Item::Nothing);
                let mut values = vec![Item::Address(Place { root, path: Vec::new() })];
                values.extend(self.arguments(arguments)?);
                self.call(*index, values)?;
                std::mem::replace(&mut self.object_mut(root)?.value, Item::Nothing)
            }
            _ if expr.place => self.load(expr)?,
            _ => return Err(NotConstant),
        })
    }

    fn arguments(&mut self, arguments: &[Expr]) -> Evaluated<Vec<Item>> {
        arguments.iter().map(|argument| self.run(argument)).collect()
    }

    fn index(&mut self, index: &Expr) -> Evaluated<u32> {
        match self.scalar(index)? {
            Constant::Int(at) => u32::try_from(at).map_err(|_| NotConstant),
            Constant::Float(_) => Err(NotConstant),
        }
    }

    fn picked(&self, value: Item, ty: TyId, picks: &[u8]) -> Evaluated<Item> {
        let all = self.components(value, ty)?;
        let pick = |&at: &u8| all.get(usize::from(at)).copied().ok_or(NotConstant);
        let chosen: Vec<Constant> = picks.iter().map(pick).collect::<Evaluated<_>>()?;
        let width = chosen.len() as u32;
        Ok(joined(chosen, width))
    }

    fn binary(&mut self, expr: &Expr, op: Binary, left: &Expr, right: &Expr) -> Evaluated<Item> {
        let (a, b) = (self.run(left)?, self.run(right)?);
        if let (Item::Address(a), Item::Address(b)) = (&a, &b) {
            // Unknown addresses may be equal or not.
            if a.root == Root::Unknown || b.root == Root::Unknown {
                return Err(NotConstant);
            }
            return match op {
                Binary::Eq => Ok(Item::Scalar(Constant::Int(u64::from(a == b)))),
                Binary::Ne => Ok(Item::Scalar(Constant::Int(u64::from(a != b)))),
                _ => {
                    let (left, right) = (Constant::Int(a.distance(b)? as u64), Constant::Int(0));
                    Ok(Item::Scalar(binary(op, left, right, Scalar::I64)?))
                }
            };
        }
        if let (Item::Function(a), Item::Function(b)) = (&a, &b) {
            let equal = (a == b) == (op == Binary::Eq);
            return Ok(Item::Scalar(Constant::Int(u64::from(equal))));
        }
        let scalar = self.shape(left.qual.ty)?.0;
        let (a, b) = (self.components(a, left.qual.ty)?, self.components(b, right.qual.ty)?);
        let pairs = a.into_iter().zip(b);
        let values: Evaluated<Vec<Constant>> =
            pairs.map(|(a, b)| binary(op, a, b, scalar)).collect();
        Ok(joined(values?, self.shape(expr.qual.ty)?.1))
    }

    fn operation(&mut self, op: Op, arguments: &[Expr]) -> Evaluated<Item> {
        let first = arguments.first().ok_or(NotConstant)?;
        let (scalar, width) = self.shape(first.qual.ty)?;
        let mut lists = Vec::new();
        for argument in arguments {
            let value = self.run(argument)?;
            lists.push(self.components(value, argument.qual.ty)?);
        }
        // The bits of a component.
        let ones = u64::MAX >> (64 - 8 * scalar.bytes());
        let apply = |at: usize| {
            let values: Vec<Constant> =
                lists.iter().filter_map(|list| list.get(at).copied()).collect();
            match (op, &values[..]) {
                // If one operand is a NaN, the other one (MSL 6.5).
                (
                    Op::Min | Op::Max,
                    &[Constant::Float(nan), other] | &[other, Constant::Float(nan)],
                ) if nan.is_nan() => Ok(other),
                (Op::Min, &[a, b]) => Ok(if less(a, b, scalar) { a } else { b }),
                (Op::Max, &[a, b]) => Ok(if less(a, b, scalar) { b } else { a }),
                (Op::Abs, &[a]) => Ok(match a {
                    Constant::Int(value) if (value as i64) < 0 && scalar.is_signed() => {
                        negate(a, scalar)
                    }
                    Constant::Float(value) => Constant::Float(value.abs()),
                    other => other,
                }),
                (Op::PopCount, &[Constant::Int(bits)]) => {
                    Ok(Constant::Int((bits & ones).count_ones().into()))
                }
                (Op::LeadingZeros, &[Constant::Int(bits)]) => {
                    let zeros = (bits & ones).leading_zeros() - ones.leading_zeros();
                    Ok(Constant::Int(zeros.into()))
                }
                _ => Err(NotConstant),
            }
        };
        let values: Evaluated<Vec<Constant>> = (0..width as usize).map(apply).collect();
        Ok(joined(values?, width))
    }

    // ---- objects -------------------------------------------------------------------------

    fn object(&mut self, ty: TyId, value: Item) -> Root {
        let (at, number) = (self.objects.len(), self.made);
        self.objects.push(Object { number, ty, value });
        self.made += 1;
        Root::Object { at, number }
    }

    fn object_mut(&mut self, root: Root) -> Evaluated<&mut Object> {
        let Root::Object { at, number } = root else { return Err(NotConstant) };
        self.objects.get_mut(at).filter(|object| object.number == number).ok_or(NotConstant)
    }

    /// The place that an lvalue denotes.
    fn place(&mut self, expr: &Expr) -> Evaluated<Place> {
        self.step()?;
        let whole = |root| Place { root, path: Vec::new() };
        Ok(match &expr.kind {
            ExprKind::Local(local) => whole(match self.frames.last() {
                Some(frame) => *frame.objects.get(local).ok_or(NotConstant)?,
                None => match self.facts.local(*local) {
                    Some(item) => {
                        self.steps_of(item.parts())?;
                        self.object(expr.qual.ty, item)
                    }
                    None => Root::Unknown,
                },
            }),
            ExprKind::Global(global) => whole(Root::Global(*global)),
            ExprKind::Deref(pointer) => match self.run(pointer)? {
                Item::Address(place) => place,
                _ => return Err(NotConstant),
            },
            ExprKind::Field(base, index) => self.place(base)?.part(*index),
            ExprKind::Element(base, index) => {
                let index = self.index(index)?;
                self.place(base)?.part(index)
            }
            ExprKind::Swizzle(base, picks) => match picks[..] {
                [pick] => self.place(base)?.part(pick.into()),
                _ => return Err(NotConstant),
            },
            ExprKind::Temporary(value) => {
                let item = self.run(value)?;
                whole(self.object(value.qual.ty, item))
            }
            ExprKind::Assign(left, right) => {
                let value = self.run(right)?;
                self.assign(left, |_, _| Ok(value))?
            }
            ExprKind::Compound { op, left, right, .. } if self.is_pointer(left.qual.ty) => {
                let Constant::Int(count) = self.scalar(right)? else { return Err(NotConstant) };
                let count = match op {
                    Binary::Sub => (count as i64).wrapping_neg(),
                    _ => count as i64,
                };
                self.assign(left, |_, old| old.moved(count))?
            }
            ExprKind::Compound { op, left, right, common } => {
                let value = self.run(right)?;
                let right = self.components(value, right.qual.ty)?;
                let ty = left.qual.ty;
                let ((own, width), (common, _)) = (self.shape(ty)?, self.shape(*common)?);
                self.assign(left, |this, old| {
                    let old = this.components(old, ty)?;
                    let one = |(old, &right): (Constant, &Constant)| {
                        let sum = binary(*op, convert(old, own, common), right, common)?;
                        Ok(convert(sum, common, own))
                    };
                    let values = old.into_iter().zip(&right).map(one);
                    Ok(joined(values.collect::<Evaluated<_>>()?, width))
                })?
            }
            ExprKind::Comma(first, last) => {
                self.run(first)?;
                self.place(last)?
            }
            ExprKind::Conditional(condition, yes, no) => {
                let taken = if self.truth(condition)? { yes } else { no };
                self.place(taken)?
            }
            _ => return Err(NotConstant),
        })
    }

    /// Writes to an lvalue what its old value becomes. Components are written to their vector, whose place is the result.
    fn assign(
        &mut self,
        left: &Expr,
        new: impl FnOnce(&Self, Item) -> Evaluated<Item>,
    ) -> Evaluated<Place> {
        let (object, picks) = match &left.kind {
            ExprKind::Swizzle(base, picks) if picks.len() > 1 => (&**base, Some(picks)),
            _ => (left, None),
        };
        let place = self.place(object)?;
        // A variable without a value can be assigned to.
        let whole = self.read(&place).unwrap_or(Item::Nothing);
        let Some(picks) = picks else {
            let value = new(self, whole)?;
            self.write(&place, value)?;
            return Ok(place);
        };
        let mut all = self.components(whole.clone(), object.qual.ty)?;
        let old = self.picked(whole, object.qual.ty, picks)?;
        let value = new(self, old)?;
        let values = self.components(value, left.qual.ty)?;
        for (&pick, value) in picks.iter().zip(values) {
            *all.get_mut(usize::from(pick)).ok_or(NotConstant)? = value;
        }
        let width = all.len() as u32;
        self.write(&place, joined(all, width))?;
        Ok(place)
    }

    /// The value of an lvalue.
    fn load(&mut self, expr: &Expr) -> Evaluated<Item> {
        if let ExprKind::Swizzle(base, picks) = &expr.kind
            && picks.len() > 1
        {
            let value = self.load(base)?;
            return self.picked(value, base.qual.ty, picks);
        }
        let place = self.place(expr)?;
        let item = match place.root {
            Root::Unknown if self.is_empty(expr.qual.ty) => Item::Nothing,
            _ => self.read(&place)?,
        };
        let item = match &expr.kind {
            ExprKind::Field(base, index) => self.cut(item, base.qual.ty, *index),
            _ => item,
        };
        match item {
            Item::Nothing if !self.is_empty(expr.qual.ty) => Err(NotConstant),
            item => Ok(item),
        }
    }

    /// A member's value cut to its bits if it is a bit-field.
    fn cut(&self, item: Item, class: TyId, index: u32) -> Item {
        let types = self.facts.types();
        let field = types.structure(class).and_then(|(_, row)| row.fields().get(index as usize));
        let Some((field, cut)) = field.and_then(|field| Some((field, field.bits?))) else {
            return item;
        };
        let (Item::Scalar(Constant::Int(value)), Ok((scalar, _))) =
            (&item, self.shape(field.qual.ty))
        else {
            return item;
        };
        let up = value << (64 - cut.width);
        let down = 64 - cut.width;
        let value = if scalar.is_signed() { (up as i64 >> down) as u64 } else { up >> down };
        Item::Scalar(Constant::Int(value))
    }

    fn is_pointer(&self, ty: TyId) -> bool {
        matches!(self.facts.types().get(ty), Ty::Pointer(_) | Ty::Reference(..))
    }

    /// Whether objects of the type have no value: classes without data.
    fn is_empty(&self, ty: TyId) -> bool {
        let class = self.facts.types().structure(ty);
        class.is_some_and(|(_, row)| row.fields().iter().all(|f| self.is_empty(f.qual.ty)))
    }

    fn read(&mut self, place: &Place) -> Evaluated<Item> {
        let item = match place.root {
            Root::Object { .. } => {
                let ty = self.object_mut(place.root)?.ty;
                self.within(ty, &place.path)?;
                self.object_mut(place.root)?.value.at(&place.path)?.clone()
            }
            Root::Global(global) => {
                self.within(self.facts.global(global).qual.ty, &place.path)?;
                self.read_global(global, &place.path)?
            }
            Root::Unknown => return Err(NotConstant),
        };
        self.steps_of(item.parts())?;
        Ok(item)
    }

    /// Fails unless the elements in a path are in their arrays.
    fn within(&self, ty: TyId, path: &[u32]) -> Evaluated<()> {
        let types = self.facts.types();
        let mut part = ty;
        for &index in path {
            part = match *types.get(part) {
                Ty::Array(_, Some(count)) if index >= count => return Err(NotConstant),
                Ty::Array(element, _) => element,
                Ty::Struct(id) => match types.class(id).fields().get(index as usize) {
                    Some(field) => field.qual.ty,
                    None => return Ok(()),
                },
                Ty::Matrix(_, columns, _) if index >= columns.into() => return Err(NotConstant),
                Ty::Matrix(..) => types.column(part),
                _ => match types.arithmetic(part) {
                    Some((_, width)) if index >= width => return Err(NotConstant),
                    _ => return Ok(()),
                },
            };
        }
        Ok(())
    }

    /// Reads part of a program-scope variable. Only the requested element of a list is evaluated; the result of a function call
    /// is computed once.
    fn read_global(&mut self, global: GlobalIndex, path: &[u32]) -> Evaluated<Item> {
        let row = self.facts.global(global);
        if let Some(value) = row.known_value() {
            return if path.is_empty() { Ok(Item::Scalar(value)) } else { Err(NotConstant) };
        }
        let init = row.init.clone().ok_or(NotConstant)?;
        let mut expr = &*init;
        let mut rest = path;
        while let Some((&index, deeper)) = rest.split_first() {
            let (parts, others) = match &expr.kind {
                ExprKind::Aggregate(parts) => (parts, None),
                ExprKind::Filled(parts, others) => (parts, Some(&**others)),
                _ => break,
            };
            match parts.get(index as usize).or(others) {
                Some(part) => expr = part,
                None => return Ok(Item::Zero),
            }
            rest = deeper;
        }
        let above = &path[..path.len() - rest.len()];
        if !rest.is_empty()
            && let Some(known) = self.facts.shared(|all| all.global_part(global, above, rest))
        {
            return known;
        }
        let outer = std::mem::take(&mut self.frames);
        let item = self.run(expr);
        self.frames = outer;
        let item = item?;
        let part = item.at(rest).cloned();
        if !rest.is_empty() && !item.has_address() {
            self.facts.shared(|all| all.remember_global(global, above, item));
        }
        part
    }

    fn write(&mut self, place: &Place, value: Item) -> Evaluated<()> {
        let ty = self.object_mut(place.root)?.ty;
        self.within(ty, &place.path)?;
        let types = self.facts.types();
        // Which of the types along the path are unions.
        let mut unions = Vec::new();
        let mut part = ty;
        for &index in &place.path {
            let (union, inner) = match *types.get(part) {
                Ty::Struct(id) => {
                    let row = types.class(id);
                    let field = row.fields().get(index as usize).ok_or(NotConstant)?;
                    (row.union, field.qual.ty)
                }
                Ty::Array(element, _) => (false, element),
                Ty::Matrix(..) => (false, types.column(part)),
                _ => (false, part),
            };
            unions.push(union);
            part = inner;
        }
        let (mut added, room) = (0, self.limit - self.steps);
        let object = self.object_mut(place.root)?;
        let part = object.value.at_mut(&place.path, |depth| unions[depth], room, &mut added);
        let written = part.map(|part| *part = value);
        self.steps_of(added)?;
        written
    }
}

/// A scalar, or the vector of several components.
fn joined(values: Vec<Constant>, width: u32) -> Item {
    match values[..] {
        [one] if width == 1 => Item::Scalar(one),
        _ => Item::Parts(values.into_iter().map(Item::Scalar).collect()),
    }
}

fn less(a: Constant, b: Constant, scalar: Scalar) -> bool {
    matches!(binary(Binary::Lt, a, b, scalar), Ok(Constant::Int(1)))
}
