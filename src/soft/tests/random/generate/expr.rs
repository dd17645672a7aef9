//! Random expressions: of any type, of a given type, or convertible to a type.

use super::{Maker, SCALARS};
use crate::soft::ir::Scalar;
use crate::soft::tests::random::program::*;

impl Maker {
    pub(super) fn of(&self, expr: &Expr) -> Type {
        self.scope().expr(expr)
    }

    pub(super) fn scalar(&self, expr: &Expr) -> Scalar {
        match self.of(expr) {
            Type::Scalar(scalar) => scalar,
            other => unreachable!("{other:?} is no scalar"),
        }
    }

    pub(super) fn cast(&mut self, scalar: Scalar, expr: Expr) -> Expr {
        Expr::Convert(Type::Scalar(scalar), Box::new(expr), self.random.below(3) as u8)
    }

    /// An integer: floats are converted.
    pub(super) fn int(&mut self, depth: usize) -> Expr {
        let expr = self.number(depth);
        let scalar = self.random.pick(&[Scalar::I32, Scalar::U32, Scalar::I64, Scalar::I8]);
        if self.scalar(&expr).is_float() { self.cast(scalar, expr) } else { expr }
    }

    /// A divisor: neither 0 nor -1.
    pub(super) fn divisor(&mut self, depth: usize) -> Expr {
        if self.random.chance(50) {
            let value = self.random.pick(&[2i64, 3, 7, 8, 10, 255, -3, -8, 1]);
            return Expr::Literal(Scalar::I32, value as u64);
        }
        let masked = [self.int(depth), Expr::Literal(Scalar::I32, 15)];
        let [value, mask] = masked.map(Box::new);
        let low = Expr::Binary(Binary::And, value, mask);
        Expr::Binary(Binary::Add, Box::new(low), Box::new(Expr::Literal(Scalar::I32, 1)))
    }

    /// A scalar of some type.
    pub(super) fn number(&mut self, depth: usize) -> Expr {
        if depth == 0 || self.random.chance(15) {
            return self.leaf();
        }
        let depth = depth - 1;
        match self.random.below(20) {
            0..=7 => self.operation(depth),
            8 => {
                let value = self.number(depth);
                match (self.random.below(3), self.scalar(&value).is_float()) {
                    (0, _) => Expr::Unary(Unary::Not, Box::new(value)),
                    (1, false) => Expr::Unary(Unary::Complement, Box::new(value)),
                    _ => Expr::Unary(Unary::Negate, Box::new(value)),
                }
            }
            9 => {
                let (a, b) = (self.number(depth), self.number(depth));
                Expr::Logical(self.random.chance(50), Box::new(a), Box::new(b))
            }
            10 | 11 => {
                let condition = self.condition(depth);
                let yes = self.number(depth);
                let no = self.number(depth);
                let no = self.beside(&yes, no);
                Expr::Conditional(Box::new(condition), Box::new(yes), Box::new(no))
            }
            12 | 13 => {
                let (to, value) = (self.random.pick(SCALARS), self.number(depth));
                self.cast(to, value)
            }
            14 => {
                let scalar = self.random.pick(&SCALARS[..13]);
                self.library(&Type::Scalar(scalar), depth)
            }
            15 if self.routine.kernel => {
                let at = Box::new(self.index());
                let index = self.random.below(self.buffers.len());
                Expr::Buffer(index, self.buffers[index].0, at)
            }
            15 | 16 => {
                let at = Box::new(self.index());
                let index = self.random.below(self.tables.len());
                Expr::Table(index, self.tables[index].0, at)
            }
            17 => self.vector_to_scalar(depth),
            18 if self.random.chance(50) => self.of_object(depth).unwrap_or_else(|| self.leaf()),
            _ => self.called(depth).unwrap_or_else(|| self.leaf()),
        }
    }

    pub(super) fn leaf(&mut self) -> Expr {
        if self.random.chance(65)
            && let Some(place) = self.place(None, false, false)
        {
            let expr = Expr::Read(place);
            return match self.of(&expr) {
                Type::Vector(_, width) => {
                    Expr::Swizzle(Box::new(expr), vec![self.random.below(width)])
                }
                _ => expr,
            };
        }
        if self.routine.kernel && self.random.chance(50) {
            return Expr::Input(self.random.pick(Input::ALL));
        }
        let scalar = self.random.pick(SCALARS);
        self.literal(scalar)
    }

    /// The second of two operands: half and bfloat have no common type.
    pub(super) fn beside(&mut self, first: &Expr, second: Expr) -> Expr {
        match (self.scalar(first), self.scalar(&second)) {
            (Scalar::F16, Scalar::BF16) | (Scalar::BF16, Scalar::F16) => {
                self.cast(Scalar::F32, second)
            }
            _ => second,
        }
    }

    pub(super) fn operation(&mut self, depth: usize) -> Expr {
        use Binary::*;
        let op = self.random.pick(&[
            Add,
            Subtract,
            Multiply,
            Add,
            Subtract,
            Multiply,
            Divide,
            Remainder,
            And,
            Or,
            Xor,
            ShiftLeft,
            ShiftRight,
            Equal,
            Unequal,
            Less,
            LessOrEqual,
            Greater,
            GreaterOrEqual,
        ]);
        let (a, b) = match op {
            Remainder => (self.int(depth), self.divisor(depth)),
            And | Or | Xor | ShiftLeft | ShiftRight => (self.int(depth), self.int(depth)),
            Divide => {
                let a = self.number(depth);
                let b = if self.scalar(&a).is_float() {
                    let b = self.number(depth);
                    self.beside(&a, b)
                } else {
                    self.divisor(depth)
                };
                (a, b)
            }
            _ => {
                let (a, b) = (self.number(depth), self.number(depth));
                let b = self.beside(&a, b);
                (a, b)
            }
        };
        Expr::Binary(op, Box::new(a), Box::new(b))
    }

    pub(super) fn condition(&mut self, depth: usize) -> Expr {
        if self.random.chance(30) {
            return self.number(depth);
        }
        let a = self.number(depth);
        let b = self.number(depth);
        let b = self.beside(&a, b);
        let op = self.random.pick(&[Binary::Less, Binary::Equal, Binary::GreaterOrEqual]);
        Expr::Binary(op, Box::new(a), Box::new(b))
    }

    /// A call of a library function whose arguments have a type.
    pub(super) fn library(&mut self, ty: &Type, depth: usize) -> Expr {
        let (scalar, _) = ty.arithmetic().expect("a number");
        let fits = |f: &&Function| match f.domain {
            Domain::Both => true,
            Domain::Ints => !scalar.is_float(),
            Domain::Floats => scalar.is_float(),
        };
        let fitting: Vec<Function> = FUNCTIONS.iter().filter(fits).copied().collect();
        let function = self.random.pick(&fitting);
        let arguments = (0..function.count).map(|_| self.typed(ty, depth)).collect();
        Expr::Library(function, arguments)
    }

    pub(super) fn vector_to_scalar(&mut self, depth: usize) -> Expr {
        let width = 2 + self.random.below(3);
        let scalar = self.random.pick(SCALARS);
        let vector = self.typed(&Type::Vector(scalar, width), depth);
        Expr::Swizzle(Box::new(vector), vec![self.random.below(width)])
    }

    /// A call of a function without side effects, or of a const method.
    pub(super) fn called(&mut self, depth: usize) -> Option<Expr> {
        if self.random.chance(30) {
            let objects: Vec<Variable> = self.routine.visible.concat();
            let objects: Vec<Variable> = objects
                .into_iter()
                .filter(|v| matches!(self.routine.variables[v.0].ty, Type::Struct(..)))
                .collect();
            if objects.is_empty() {
                return None;
            }
            let object = Place::Variable(self.random.pick(&objects));
            return self
                .method(object, true, depth)
                .map(|(object, method, arguments)| Expr::Method(object, method, arguments));
        }
        let pure = |f: &Routine| {
            let by_value = |row: &Row| row.kind == Kind::Value;
            matches!(f.result, Some(Type::Scalar(_) | Type::Parameter))
                && f.alone
                && f.variables[..f.parameters].iter().all(by_value)
        };
        let pure: Vec<usize> =
            (0..self.functions.len()).filter(|&at| pure(&self.functions[at])).collect();
        if pure.is_empty() {
            return None;
        }
        let function = self.random.pick(&pure);
        let list = self.functions[function].template.then(|| self.template_arguments());
        let arguments = self.arguments(&self.functions[function].clone(), 0, list, depth)?;
        Some(Expr::Call(function, list, arguments))
    }

    pub(super) fn template_arguments(&mut self) -> Arguments {
        Arguments { scalar: self.random.pick(&SCALARS[..13]), count: 1 + self.random.below(3) }
    }

    /// Values for a routine's parameters, starting at an index.
    pub(super) fn arguments(
        &mut self,
        routine: &Routine,
        from: usize,
        list: Option<Arguments>,
        depth: usize,
    ) -> Option<Vec<Expr>> {
        let rows = &routine.variables[from..routine.parameters];
        let exact = list.is_some();
        rows.iter()
            .map(|row| match row.ty.resolve(list) {
                ty @ Type::Struct(..) => self.object_argument(&ty, routine.beside, depth),
                ty if exact => Some(self.typed(&ty, depth)),
                ty => Some(self.implicit(&ty, depth)),
            })
            .collect()
    }

    /// An object as an argument: a variable, or what a conversion makes. A function that is found by its
    /// argument gets a variable.
    pub(super) fn object_argument(
        &mut self,
        ty: &Type,
        beside: bool,
        depth: usize,
    ) -> Option<Expr> {
        let named = *ty == Type::Struct(NAMED, None) && !beside;
        match named && self.random.chance(50) {
            true => self.converted_to_object(depth),
            false => self.place(Some(ty), false, false).map(Expr::Read),
        }
    }

    /// An object that a scalar is converted to, once the class is made.
    pub(super) fn converted_to_object(&mut self, depth: usize) -> Option<Expr> {
        let conversions = self.structs[NAMED].conversions.as_ref()?;
        let from = conversions.from.variables[1].ty.clone();
        Some(Expr::Made(Box::new(self.typed(&from, depth))))
    }

    /// An object with conversions.
    pub(super) fn convertible(&mut self) -> Option<Place> {
        self.structs.get(NAMED)?.conversions.as_ref()?;
        self.place(Some(&Type::Struct(NAMED, None)), false, false)
    }

    /// An operator on an object, which is converted, or a call of its member template.
    pub(super) fn of_object(&mut self, depth: usize) -> Option<Expr> {
        use Binary::*;
        let object = self.convertible()?;
        if self.random.chance(40) {
            let scalar = self.random.pick(&SCALARS[..13]);
            let argument = self.typed(&Type::Scalar(scalar), depth);
            return Some(Expr::Member(object, scalar, Box::new(argument)));
        }
        let op = self.random.pick(&[Add, Subtract, Multiply, Less, Equal, GreaterOrEqual]);
        let object = Expr::Implicit(object);
        let other = self.number(depth);
        let other = self.beside(&object, other);
        let operands = if self.random.chance(50) { [object, other] } else { [other, object] };
        let [a, b] = operands.map(Box::new);
        Some(Expr::Binary(op, a, b))
    }

    pub(super) fn method(
        &mut self,
        object: Place,
        constant: bool,
        depth: usize,
    ) -> Option<(Place, usize, Vec<Expr>)> {
        let Type::Struct(index, list) = self.scope().place(&object) else { return None };
        let methods: Vec<usize> = (0..self.structs[index].methods.len())
            .filter(|&at| self.structs[index].methods[at].constant == constant)
            .collect();
        if methods.is_empty() {
            return None;
        }
        let method = self.random.pick(&methods);
        let routine = self.structs[index].methods[method].clone();
        let arguments = self.arguments(&routine, 1, list, depth)?;
        Some((object, method, arguments))
    }

    /// A value that converts to the type by assignment.
    pub(super) fn implicit(&mut self, ty: &Type, depth: usize) -> Expr {
        let Type::Scalar(to) = *ty else { return self.typed(ty, depth) };
        if self.random.chance(10)
            && let Some(place) = self.convertible()
        {
            let object = Expr::Implicit(place);
            let narrow = [Scalar::F16, Scalar::BF16];
            // As below: no conversion between these is implicit.
            if !narrow.contains(&self.scalar(&object)) && !narrow.contains(&to) {
                return object;
            }
        }
        let expr = self.number(depth);
        match (self.scalar(&expr), to) {
            // MSL 2.22: no other floating type converts implicitly to bfloat, and bfloat not to half.
            (Scalar::F16 | Scalar::F32, Scalar::BF16) | (Scalar::BF16, Scalar::F16) => {
                self.cast(to, expr)
            }
            _ => expr,
        }
    }

    /// A value of exactly this arithmetic type.
    pub(super) fn typed(&mut self, ty: &Type, depth: usize) -> Expr {
        let (scalar, width) = ty.arithmetic().expect("a number");
        if width == 1 {
            let expr = self.number(depth);
            return if self.scalar(&expr) == scalar { expr } else { self.cast(scalar, expr) };
        }
        if self.random.chance(40)
            && let Some(place) = self.place(Some(ty), false, false)
        {
            return Expr::Read(place);
        }
        let inner = depth.saturating_sub(1);
        match self.random.below(if depth == 0 { 2 } else { 9 }) {
            0 => {
                let value = self.typed(&Type::Scalar(scalar), inner);
                Expr::Convert(ty.clone(), Box::new(value), self.random.below(3) as u8)
            }
            1 => {
                let mut parts = Vec::new();
                let mut left = width;
                while left > 0 {
                    let take =
                        if depth > 0 && left < width { 1 + self.random.below(left) } else { 1 };
                    parts.push(self.typed(&Type::of(scalar, take), inner));
                    left -= take;
                }
                Expr::Compose(scalar, width, parts)
            }
            2..=4 => self.vector_operation(ty, inner),
            5 => {
                let from = 2 + self.random.below(3);
                let vector = self.typed(&Type::Vector(scalar, from), inner);
                let picks = (0..width).map(|_| self.random.below(from)).collect();
                Expr::Swizzle(Box::new(vector), picks)
            }
            6 => {
                let from = Type::Vector(self.random.pick(SCALARS), width);
                let vector = self.typed(&from, inner);
                Expr::Convert(ty.clone(), Box::new(vector), 0)
            }
            7 if scalar != Scalar::Bool => match self.library(ty, inner) {
                call if self.of(&call) == *ty => call,
                call => Expr::Convert(ty.clone(), Box::new(call), 0),
            },
            _ => {
                let (a, b) = (self.typed(ty, inner), self.typed(ty, inner));
                let condition = self.typed(&Type::Vector(Scalar::Bool, width), inner);
                Expr::Select(Box::new(a), Box::new(b), Box::new(condition))
            }
        }
    }

    /// An operator on vectors, or on a vector and a scalar of its type.
    pub(super) fn vector_operation(&mut self, ty: &Type, depth: usize) -> Expr {
        use Binary::*;
        let (scalar, width) = ty.arithmetic().expect("a vector");
        if scalar == Scalar::Bool {
            let from = Type::Vector(self.random.pick(&SCALARS[..13]), width);
            let (a, b) = (self.typed(&from, depth), self.typed(&from, depth));
            let op =
                self.random.pick(&[Less, Equal, Unequal, GreaterOrEqual, Greater, LessOrEqual]);
            return Expr::Binary(op, Box::new(a), Box::new(b));
        }
        let op = match scalar.is_float() {
            true => self.random.pick(&[Add, Subtract, Multiply, Divide]),
            false => {
                self.random.pick(&[Add, Subtract, Multiply, And, Or, Xor, ShiftLeft, ShiftRight])
            }
        };
        let one = Type::Scalar(scalar);
        let (left, right) = match self.random.below(4) {
            0 => (ty, &one),
            1 if !op.shifts() => (&one, ty),
            _ => (ty, ty),
        };
        let (a, b) = (self.typed(left, depth), self.typed(right, depth));
        Expr::Binary(op, Box::new(a), Box::new(b))
    }
}
