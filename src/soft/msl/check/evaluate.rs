//! Constant evaluation (C++14 expr.const): runs the typed tree on objects of any type, with calls of functions and
//! constructors.
//!
//! An object is a tree of items; a place is a path in one. Objects of a caller are reached by their addresses, as in
//! the typed tree, where a reference is a pointer. An object that is not constant has an address too, so that member
//! functions that do not read it are constant.

use super::constant::{Evaluated, NotConstant, binary, bits, convert, from_bits, negate, wrap};
use super::{Checker, Global, State};
use crate::soft::ir::hash::FastMap;
use crate::soft::ir::{Op, Scalar, is_stack_low};
use crate::soft::msl::hir::{
    Binary, Constant, Expr, ExprKind, Function, GlobalIndex, InstanceIndex, LocalIndex, Stmt,
    StmtKind,
};
use crate::soft::msl::types::{Ty, TyId, Types};
use std::sync::Arc;

/// The most steps of one evaluation, so that no `constexpr` loop hangs the compiler.
const MAX_STEPS: u32 = 1 << 20;
const MAX_CALLS: u32 = 64;
/// The most parts of an object that is written part by part.
const MAX_PARTS: usize = 1 << 16;

/// A constant object or value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Item {
    /// Without a value yet.
    Nothing,
    /// Zero of whatever type it has.
    Zero,
    Scalar(Constant),
    /// Members, elements, columns or components; those that are missing are zero.
    Parts(Vec<Item>),
    /// The member of a union that has a value.
    Member(u32, Box<Item>),
    Address(Place),
}

/// An object or a part of one.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Place {
    root: Root,
    path: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Root {
    /// One of the machine's objects.
    Object(usize),
    Global(GlobalIndex),
    /// A local of the function that is being checked, and the like: nothing is known of its value.
    Unknown,
}

impl Place {
    fn part(mut self, index: u32) -> Place {
        self.path.push(index);
        self
    }
}

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
}

/// The value of a scalar expression, if it is constant.
pub(crate) fn evaluate(facts: &mut impl Facts, expr: &Expr) -> Evaluated<Constant> {
    // Most are literals.
    if let ExprKind::Constant(constant) = expr.kind {
        return Ok(constant);
    }
    Machine::new(facts).scalar(expr)
}

/// The value of an expression of any type, if it is constant.
pub(crate) fn evaluate_item(facts: &mut impl Facts, expr: &Expr) -> Evaluated<Item> {
    match Machine::new(facts).run(expr)? {
        item if item.has_address() => Err(NotConstant),
        item => Ok(item),
    }
}

impl Item {
    /// Whether it is or contains the address of an object that ends with the evaluation.
    fn has_address(&self) -> bool {
        match self {
            Item::Address(_) => true,
            Item::Parts(parts) => parts.iter().any(Item::has_address),
            Item::Member(_, value) => value.has_address(),
            Item::Nothing | Item::Zero | Item::Scalar(_) => false,
        }
    }

    fn part(&self, index: u32) -> Evaluated<&Item> {
        match self {
            Item::Zero => Ok(&Item::Zero),
            Item::Parts(parts) => Ok(parts.get(index as usize).unwrap_or(&Item::Zero)),
            Item::Member(member, value) if *member == index => Ok(value),
            _ => Err(NotConstant),
        }
    }

    /// The part at the end of a path.
    fn at(&self, path: &[u32]) -> Evaluated<&Item> {
        path.iter().try_fold(self, |item, &index| item.part(index))
    }

    /// The same, to be written.
    fn at_mut(&mut self, path: &[u32], union: impl Fn(usize) -> bool) -> Evaluated<&mut Item> {
        let mut item = self;
        for (depth, &index) in path.iter().enumerate() {
            if union(depth) {
                if !matches!(item, Item::Member(member, _) if *member == index) {
                    *item = Item::Member(index, Box::new(Item::Nothing));
                }
                let Item::Member(_, value) = item else { return Err(NotConstant) };
                item = value;
                continue;
            }
            let fill = match item {
                Item::Zero | Item::Parts(_) => Item::Zero,
                Item::Nothing => Item::Nothing,
                _ => return Err(NotConstant),
            };
            if !matches!(item, Item::Parts(_)) {
                *item = Item::Parts(Vec::new());
            }
            let Item::Parts(parts) = item else { return Err(NotConstant) };
            let at = index as usize;
            if at >= MAX_PARTS {
                return Err(NotConstant);
            }
            if parts.len() <= at {
                parts.resize(at + 1, fill);
            }
            item = &mut parts[at];
        }
        Ok(item)
    }
}

/// Evaluates constant expressions.
struct Machine<'a, F> {
    facts: &'a mut F,
    steps: u32,
    /// Locals and temporaries, with their types.
    objects: Vec<(TyId, Item)>,
    /// The active calls, innermost last.
    frames: Vec<Frame>,
}

struct Frame {
    function: Arc<Function>,
    objects: FastMap<LocalIndex, usize>,
}

/// How a statement ended.
enum Flow {
    Next,
    Break,
    Continue,
    Return(Option<Item>),
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
}

impl<'a, F: Facts> Machine<'a, F> {
    fn new(facts: &'a mut F) -> Machine<'a, F> {
        Machine { facts, steps: 0, objects: Vec::new(), frames: Vec::new() }
    }

    fn step(&mut self) -> Evaluated<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(NotConstant) } else { Ok(()) }
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
            return Err(NotConstant);
        }
        Ok(match &expr.kind {
            ExprKind::Constant(constant) => Item::Scalar(*constant),
            ExprKind::Zero => Item::Zero,
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
                let Item::Address(mut place) = self.run(pointer)? else { return Err(NotConstant) };
                let last = place.path.last_mut().ok_or(NotConstant)?;
                let moved = i64::from(*last).checked_add(count as i64).ok_or(NotConstant)?;
                *last = u32::try_from(moved).map_err(|_| NotConstant)?;
                Item::Address(place)
            }
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
                self.steps = self.steps.saturating_add(size);
                self.step()?;
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
            ExprKind::Construct(index, arguments) => {
                let object = self.object(expr.qual.ty, Item::Nothing);
                let this = Place { root: Root::Object(object), path: Vec::new() };
                let mut values = vec![Item::Address(this)];
                values.extend(self.arguments(arguments)?);
                self.call(*index, values)?;
                std::mem::replace(&mut self.objects[object].1, Item::Nothing)
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
            return match op {
                Binary::Eq => Ok(Item::Scalar(Constant::Int(u64::from(a == b)))),
                Binary::Ne => Ok(Item::Scalar(Constant::Int(u64::from(a != b)))),
                _ => Err(NotConstant),
            };
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

    fn object(&mut self, ty: TyId, item: Item) -> usize {
        self.objects.push((ty, item));
        self.objects.len() - 1
    }

    /// The place that an lvalue denotes.
    fn place(&mut self, expr: &Expr) -> Evaluated<Place> {
        self.step()?;
        let whole = |root| Place { root, path: Vec::new() };
        Ok(match &expr.kind {
            ExprKind::Local(local) => whole(match self.frames.last() {
                Some(frame) => Root::Object(*frame.objects.get(local).ok_or(NotConstant)?),
                None => match self.facts.local(*local) {
                    Some(item) => Root::Object(self.object(expr.qual.ty, item)),
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
                whole(Root::Object(self.object(value.qual.ty, item)))
            }
            ExprKind::Assign(left, right) => {
                let value = self.run(right)?;
                self.assign(left, |_, _| Ok(value))?
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
        // What has no value yet can be assigned to.
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
        let item = self.read(&place)?;
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

    /// Whether objects of the type have no value: classes without data.
    fn is_empty(&self, ty: TyId) -> bool {
        let class = self.facts.types().structure(ty);
        class.is_some_and(|(_, row)| row.fields().iter().all(|f| self.is_empty(f.qual.ty)))
    }

    fn read(&mut self, place: &Place) -> Evaluated<Item> {
        match place.root {
            Root::Object(at) => self.objects[at].1.at(&place.path).cloned(),
            Root::Global(global) => self.read_global(global, &place.path),
            Root::Unknown => Err(NotConstant),
        }
    }

    /// Part of a variable at program scope. Of a table only the element is evaluated.
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
        let outer = std::mem::take(&mut self.frames);
        let item = self.run(expr);
        self.frames = outer;
        item?.at(rest).cloned()
    }

    fn write(&mut self, place: &Place, value: Item) -> Evaluated<()> {
        let Root::Object(at) = place.root else { return Err(NotConstant) };
        let types = self.facts.types();
        let (ty, object) = &mut self.objects[at];
        // Which of the types along the path are unions.
        let mut unions = Vec::new();
        let mut part = *ty;
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
        *object.at_mut(&place.path, |depth| unions[depth])? = value;
        Ok(())
    }

    // ---- functions and statements ----------------------------------------------------------

    fn call(&mut self, index: InstanceIndex, values: Vec<Item>) -> Evaluated<Item> {
        if self.frames.len() as u32 >= MAX_CALLS {
            return Err(NotConstant);
        }
        let function = self.facts.function(index).ok_or(NotConstant)?;
        self.frames.push(Frame { function: function.clone(), objects: FastMap::default() });
        for (at, value) in values.into_iter().enumerate() {
            self.declare(LocalIndex(at as u32), value)?;
        }
        let flow = self.block(&function.body);
        self.frames.pop();
        match flow? {
            Flow::Return(Some(value)) => Ok(value),
            _ if function.result == Types::VOID => Ok(Item::Zero),
            _ => Err(NotConstant),
        }
    }

    /// A new object for a local of the innermost call.
    fn declare(&mut self, local: LocalIndex, value: Item) -> Evaluated<()> {
        let frame = self.frames.last_mut().ok_or(NotConstant)?;
        let ty = frame.function.locals.get(local.0 as usize).ok_or(NotConstant)?.qual.ty;
        frame.objects.insert(local, self.objects.len());
        self.objects.push((ty, value));
        Ok(())
    }

    fn block(&mut self, block: &[Stmt]) -> Evaluated<Flow> {
        for statement in block {
            let flow = self.statement(statement)?;
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Stmt) -> Evaluated<Flow> {
        self.step()?;
        match &statement.kind {
            StmtKind::Expr(expr) => {
                match expr.place {
                    true => self.place(expr).map(drop)?,
                    false => self.run(expr).map(drop)?,
                };
            }
            StmtKind::Let(local, init) => {
                let value = match init {
                    Some(init) => self.run(init)?,
                    None => Item::Nothing,
                };
                self.declare(*local, value)?;
            }
            StmtKind::Block(block) => return self.block(block),
            StmtKind::If(condition, yes, no) => {
                let branch = if self.truth(condition)? { yes } else { no };
                return self.block(branch);
            }
            StmtKind::Loop { condition, after, before, step, body } => {
                let mut first = true;
                loop {
                    self.block(before)?;
                    if let Some(condition) = condition
                        && !(first && *after)
                        && !self.truth(condition)?
                    {
                        break;
                    }
                    first = false;
                    match self.block(body)? {
                        Flow::Break => break,
                        Flow::Return(value) => return Ok(Flow::Return(value)),
                        Flow::Next | Flow::Continue => {}
                    }
                    if let Some(step) = step {
                        match step.place {
                            true => self.place(step).map(drop)?,
                            false => self.run(step).map(drop)?,
                        };
                    }
                    self.step()?;
                }
            }
            StmtKind::Return(value) => {
                return Ok(Flow::Return(match value {
                    Some(value) => Some(self.run(value)?),
                    None => None,
                }));
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::Switch(value, body) => {
                let Constant::Int(value) = self.scalar(value)? else { return Err(NotConstant) };
                let label = |wanted: Option<u64>| {
                    body.iter().position(
                        |one| matches!(one.kind, StmtKind::Case(label) if label == wanted),
                    )
                };
                if let Some(at) = label(Some(value)).or_else(|| label(None)) {
                    return Ok(match self.block(&body[at..])? {
                        Flow::Break => Flow::Next,
                        flow => flow,
                    });
                }
            }
            StmtKind::Case(_) => {}
        }
        Ok(Flow::Next)
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
