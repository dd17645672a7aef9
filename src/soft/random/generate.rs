//! Makes random programs that are well defined: everything is initialised, indices are in bounds, loops
//! end, no divisor is zero, nothing is changed and read between two sequence points, and what depends on
//! the order of threads is left out.

use super::numbers::{convert, promoted, wrap};
use super::program::*;
use crate::soft::ir::Scalar;
use crate::test_random::Random;

const SCALARS: &[Scalar] = &[
    Scalar::I32,
    Scalar::U32,
    Scalar::F32,
    Scalar::I32,
    Scalar::F32,
    Scalar::I8,
    Scalar::U8,
    Scalar::I16,
    Scalar::U16,
    Scalar::I64,
    Scalar::U64,
    Scalar::F16,
    Scalar::BF16,
    Scalar::Bool,
];

/// What atomic functions do to a counter: one thing each, so that the order does not matter.
const ATOMICS: [&str; 7] = ["add", "sub", "or", "and", "xor", "max", "min"];

/// The program of a seed.
pub(super) fn generate(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let together = random.chance(50);
    let group = random.pick(if together { &[32, 64, 96] } else { &[32, 48, 64] });
    let threads = if together { 2 * group } else { group + 1 + random.below(group) };
    let mut maker = Maker {
        random,
        structs: Vec::new(),
        functions: Vec::new(),
        tables: Vec::new(),
        buffers: Vec::new(),
        routine: Making::default(),
        together,
    };
    for _ in 0..2 {
        let scalar = maker.random.pick(SCALARS);
        let values = (0..8).map(|_| maker.bits(scalar)).collect();
        maker.tables.push((scalar, values));
        let scalar = maker.random.pick(&SCALARS[..13]);
        let values = (0..INPUTS).map(|_| maker.bits(scalar)).collect();
        maker.buffers.push((scalar, values));
    }
    maker.structure();
    maker.class_template();
    maker.function_template();
    for _ in 0..1 + maker.random.below(3) {
        maker.function();
    }
    let kernel = maker.kernel();
    let Maker { structs, functions, tables, buffers, .. } = maker;
    Program { structs, functions, kernel, tables, buffers, threads, group }
}

/// A routine that is being made.
#[derive(Default)]
struct Making {
    variables: Vec<Row>,
    /// By block.
    visible: Vec<Vec<Variable>>,
    /// Counters of loops, and what is constant.
    frozen: Vec<Variable>,
    result: Option<Type>,
    kernel: bool,
    /// Called by one thread at a time: no functions of the SIMD-group.
    alone: bool,
    loops: usize,
    switches: usize,
    /// All threads of the threadgroup are here.
    uniform: bool,
    budget: usize,
}

struct Maker {
    random: Random,
    structs: Vec<Struct>,
    functions: Vec<Routine>,
    tables: Vec<(Scalar, Vec<u64>)>,
    buffers: Vec<(Scalar, Vec<u64>)>,
    routine: Making,
    /// The kernel has barriers and reads other threads' values: all threads stay to its end.
    together: bool,
}

impl Maker {
    fn scope(&self) -> Scope<'_> {
        Scope {
            structs: &self.structs,
            functions: &self.functions,
            variables: &self.routine.variables,
            arguments: None,
        }
    }

    fn begin(&mut self, budget: usize) {
        self.routine =
            Making { visible: vec![Vec::new()], budget, alone: true, ..Making::default() };
    }

    fn end(&mut self, body: Vec<Stmt>, parameters: usize) -> Routine {
        let made = std::mem::take(&mut self.routine);
        Routine {
            variables: made.variables,
            parameters,
            result: made.result,
            body,
            template: false,
            constant: false,
        }
    }

    fn variable(&mut self, ty: Type, kind: Kind) -> Variable {
        self.routine.variables.push(Row { ty, kind });
        Variable(self.routine.variables.len() - 1)
    }

    fn show(&mut self, variable: Variable) {
        self.routine.visible.last_mut().expect("a block is open").push(variable);
    }

    /// Bits of a value: small numbers, large ones, the ends of the range.
    fn bits(&mut self, scalar: Scalar) -> u64 {
        if scalar.is_float() {
            let simple = [0.0f32, 1.0, -2.5, 0.125, 100.0, -0.75, 3.0, 65504.0, 1e-7];
            let value = match self.random.below(4) {
                0 => f32::from_bits(self.random.next() as u32 & 0xbfff_ffff),
                _ => self.random.pick(&simple),
            };
            return convert(Scalar::F32, scalar, value.to_bits().into());
        }
        match self.random.below(8) {
            0 => wrap(scalar, self.random.next().into()),
            1 => wrap(scalar, (1i128 << self.random.below(64)) - self.random.below(2) as i128),
            _ => wrap(scalar, self.random.below(20) as i128 - 6),
        }
    }

    fn literal(&mut self, scalar: Scalar) -> Expr {
        let bits = self.bits(scalar);
        Expr::Literal(scalar, bits)
    }

    fn arithmetic(&mut self) -> Type {
        let scalar = self.random.pick(SCALARS);
        let width = if self.random.chance(25) { 2 + self.random.below(3) } else { 1 };
        Type::of(scalar, width)
    }

    // ---- places

    /// A place below a visible variable: of a type, or else of any arithmetic one.
    fn place(&mut self, want: Option<&Type>, written: bool, addressed: bool) -> Option<Place> {
        let all: Vec<Variable> = self.routine.visible.concat();
        let fitting: Vec<Variable> =
            all.into_iter().filter(|v| !written || !self.routine.frozen.contains(v)).collect();
        for _ in 0..6 {
            if fitting.is_empty() {
                break;
            }
            let mut place = Place::Variable(self.random.pick(&fitting));
            loop {
                let ty = self.scope().place(&place);
                if want == Some(&ty) {
                    return Some(place);
                }
                place = match ty {
                    Type::Struct(index, _) => {
                        let field = self.random.below(self.structs[index].fields.len());
                        Place::Field(Box::new(place), field)
                    }
                    Type::Array(_, count) if count.is_power_of_two() => {
                        let index = self.index();
                        Place::Element(Box::new(place), Box::new(index), count)
                    }
                    Type::Array(_, count) => {
                        let index = Expr::Literal(Scalar::I32, self.random.below(count) as u64);
                        Place::Below(Box::new(place), Box::new(index))
                    }
                    Type::Vector(_, width) if !addressed && self.random.chance(60) => {
                        let place = Box::new(place);
                        if width == 3 || self.random.chance(60) {
                            let mut picks: Vec<usize> = (0..width).collect();
                            for _ in 0..self.random.below(width) {
                                picks.remove(self.random.below(picks.len()));
                            }
                            if self.random.chance(50) {
                                picks.reverse();
                            }
                            return self.fits(Place::Swizzle(place, picks), want);
                        }
                        let index = self.index();
                        Place::Element(place, Box::new(index), width)
                    }
                    Type::Parameter | Type::ParameterArray => break,
                    Type::Scalar(_) | Type::Vector(..) if want.is_none() => return Some(place),
                    Type::Scalar(_) | Type::Vector(..) => break,
                };
            }
        }
        None
    }

    fn fits(&self, place: Place, want: Option<&Type>) -> Option<Place> {
        (want.is_none() || want == Some(&self.scope().place(&place))).then_some(place)
    }

    /// What an element is picked by; the printer masks it.
    fn index(&mut self) -> Expr {
        if self.random.chance(40) {
            return Expr::Literal(Scalar::I32, self.random.below(8) as u64);
        }
        let scalar = self.random.pick(&[Scalar::I32, Scalar::U32, Scalar::U8, Scalar::I16]);
        self.typed(&Type::Scalar(scalar), 1)
    }

    // ---- expressions

    fn of(&self, expr: &Expr) -> Type {
        self.scope().expr(expr)
    }

    fn scalar(&self, expr: &Expr) -> Scalar {
        match self.of(expr) {
            Type::Scalar(scalar) => scalar,
            other => unreachable!("{other:?} is no scalar"),
        }
    }

    fn cast(&mut self, scalar: Scalar, expr: Expr) -> Expr {
        Expr::Convert(Type::Scalar(scalar), Box::new(expr), self.random.below(3) as u8)
    }

    /// An integer: floats are converted.
    fn int(&mut self, depth: usize) -> Expr {
        let expr = self.number(depth);
        let scalar = self.random.pick(&[Scalar::I32, Scalar::U32, Scalar::I64, Scalar::I8]);
        if self.scalar(&expr).is_float() { self.cast(scalar, expr) } else { expr }
    }

    /// A divisor: neither 0 nor -1.
    fn divisor(&mut self, depth: usize) -> Expr {
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
    fn number(&mut self, depth: usize) -> Expr {
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
            _ => self.called(depth).unwrap_or_else(|| self.leaf()),
        }
    }

    fn leaf(&mut self) -> Expr {
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
    fn beside(&mut self, first: &Expr, second: Expr) -> Expr {
        match (self.scalar(first), self.scalar(&second)) {
            (Scalar::F16, Scalar::BF16) | (Scalar::BF16, Scalar::F16) => {
                self.cast(Scalar::F32, second)
            }
            _ => second,
        }
    }

    fn operation(&mut self, depth: usize) -> Expr {
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

    fn condition(&mut self, depth: usize) -> Expr {
        if self.random.chance(30) {
            return self.number(depth);
        }
        let a = self.number(depth);
        let b = self.number(depth);
        let b = self.beside(&a, b);
        let op = self.random.pick(&[Binary::Less, Binary::Equal, Binary::GreaterOrEqual]);
        Expr::Binary(op, Box::new(a), Box::new(b))
    }

    /// A library function whose arguments are of a type.
    fn library(&mut self, ty: &Type, depth: usize) -> Expr {
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

    fn vector_to_scalar(&mut self, depth: usize) -> Expr {
        let width = 2 + self.random.below(3);
        let scalar = self.random.pick(SCALARS);
        let vector = self.typed(&Type::Vector(scalar, width), depth);
        Expr::Swizzle(Box::new(vector), vec![self.random.below(width)])
    }

    /// A call of a function that changes nothing, or of a constant method.
    fn called(&mut self, depth: usize) -> Option<Expr> {
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

    fn template_arguments(&mut self) -> Arguments {
        Arguments { scalar: self.random.pick(&SCALARS[..13]), count: 1 + self.random.below(3) }
    }

    /// Values for a routine's parameters, from one on.
    fn arguments(
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
                ty @ Type::Struct(..) => self.place(Some(&ty), false, false).map(Expr::Read),
                ty if exact => Some(self.typed(&ty, depth)),
                ty => Some(self.implicit(&ty, depth)),
            })
            .collect()
    }

    fn method(
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

    /// A value that an assignment to the type converts.
    fn implicit(&mut self, ty: &Type, depth: usize) -> Expr {
        let Type::Scalar(to) = *ty else { return self.typed(ty, depth) };
        let expr = self.number(depth);
        match (self.scalar(&expr), to) {
            (Scalar::F16, Scalar::BF16) | (Scalar::BF16, Scalar::F16) => self.cast(to, expr),
            _ => expr,
        }
    }

    /// A value of exactly this arithmetic type.
    fn typed(&mut self, ty: &Type, depth: usize) -> Expr {
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
    fn vector_operation(&mut self, ty: &Type, depth: usize) -> Expr {
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

    // ---- statements

    fn block(&mut self, most: usize) -> Vec<Stmt> {
        self.routine.visible.push(Vec::new());
        let mut body = Vec::new();
        for _ in 0..1 + self.random.below(most) {
            if self.routine.budget == 0 {
                break;
            }
            self.routine.budget -= 1;
            self.statement(&mut body);
        }
        self.routine.visible.pop();
        body
    }

    fn statement(&mut self, out: &mut Vec<Stmt>) {
        let stmt = match self.random.below(32) {
            0..=4 => Some(self.declare()),
            5..=9 => self.assign(),
            10..=12 => self.compound(),
            13 => self.step(),
            14 => self.refer(),
            15..=17 => {
                let uniform = std::mem::replace(&mut self.routine.uniform, false);
                let condition = self.condition(2);
                let yes = self.block(3);
                let no = if self.random.chance(50) { self.block(3) } else { Vec::new() };
                self.routine.uniform = uniform;
                Some(Stmt::If(condition, yes, no))
            }
            18..=20 if self.routine.loops < 2 => Some(self.repeat()),
            21 => Some(self.switch()),
            22 => self.jump(),
            23 | 24 => self.call(),
            25 => self.change(),
            26..=28 if !self.routine.alone => self.across(),
            29 | 30 if self.routine.kernel && self.routine.uniform && self.together => {
                let to = self.place(None, true, true);
                let by = 1 + self.random.below(40);
                let value = self.number(2);
                to.filter(|to| matches!(self.scope().place(to), Type::Scalar(_)))
                    .map(|to| Stmt::Exchange(to, value, by))
            }
            31 if self.routine.kernel => {
                let counter = self.random.below(COUNTERS);
                let value = self.typed(&UINT, 2);
                Some(Stmt::Atomic(ATOMICS[counter % ATOMICS.len()], counter, value))
            }
            _ => self.assign(),
        };
        out.extend(stmt);
    }

    fn declare(&mut self) -> Stmt {
        let stmt = match self.random.below(10) {
            0 => {
                let element = self.arithmetic();
                let count = self.random.pick(&[2, 4, 8]);
                let values = (0..self.random.below(count + 1)).map(|_| self.typed(&element, 1));
                let values = values.collect();
                let array = Type::Array(Box::new(element), count);
                Stmt::DeclareList(self.variable(array, Kind::Value), values)
            }
            1 if !self.structs.is_empty() => self.object(),
            _ => {
                let ty = self.arithmetic();
                let value = self.implicit(&ty, 3);
                Stmt::Declare(self.variable(ty, Kind::Value), value)
            }
        };
        if let Stmt::Declare(variable, _) | Stmt::DeclareList(variable, _) = stmt {
            self.show(variable);
        }
        stmt
    }

    /// A structure: by a list of its parts, or as a copy.
    fn object(&mut self) -> Stmt {
        let index = self.random.below(self.structs.len());
        if self.structs[index].template {
            let ty = Type::Struct(index, Some(self.template_arguments()));
            return Stmt::DeclareList(self.variable(ty, Kind::Value), Vec::new());
        }
        let ty = Type::Struct(index, None);
        if self.random.chance(40)
            && let Some(place) = self.place(Some(&ty), false, false)
        {
            return Stmt::Declare(self.variable(ty, Kind::Value), Expr::Read(place));
        }
        let mut values = Vec::new();
        for field in self.structs[index].fields.clone() {
            match field {
                Type::Array(element, count) => {
                    values.extend((0..count).map(|_| self.typed(&element, 1)));
                }
                field => values.push(self.typed(&field, 1)),
            }
        }
        Stmt::DeclareList(self.variable(ty, Kind::Value), values)
    }

    fn assign(&mut self) -> Option<Stmt> {
        let whole = Type::Struct(0, None);
        if self.random.chance(8)
            && let Some(from) = self.place(Some(&whole), false, false)
        {
            let to = self.place(Some(&whole), true, false)?;
            return Some(Stmt::Assign(to, Expr::Read(from)));
        }
        let place = self.place(None, true, false)?;
        let value = self.implicit(&self.scope().place(&place), 3);
        Some(Stmt::Assign(place, value))
    }

    fn compound(&mut self) -> Option<Stmt> {
        use Binary::*;
        let place = self.place(None, true, false)?;
        let ty = self.scope().place(&place);
        let (scalar, width) = ty.arithmetic()?;
        let value = match width {
            1 => {
                let value = self.number(2);
                self.beside(&Expr::Literal(scalar, 0), value)
            }
            _ => self.typed(&ty, 2),
        };
        let float = self.of(&value).arithmetic()?.0.is_float() || scalar.is_float();
        let op = match (float, scalar) {
            (_, Scalar::Bool) if width > 1 => return None,
            (true, _) => self.random.pick(&[Add, Subtract, Multiply]),
            _ => self.random.pick(&[Add, Subtract, Multiply, And, Or, Xor, ShiftLeft, ShiftRight]),
        };
        Some(Stmt::Compound(place, op, value))
    }

    fn step(&mut self) -> Option<Stmt> {
        let plain: Vec<Variable> = self.routine.visible.concat();
        let plain: Vec<Variable> = plain
            .into_iter()
            .filter(|v| {
                let row = &self.routine.variables[v.0];
                row.kind == Kind::Value
                    && matches!(row.ty, Type::Scalar(scalar) if scalar != Scalar::Bool)
                    && !self.routine.frozen.contains(v)
            })
            .collect();
        if plain.len() < 2 {
            return None;
        }
        let (to, from) = (self.random.pick(&plain), self.random.pick(&plain));
        let mixed = |v: Variable| match self.routine.variables[v.0].ty {
            Type::Scalar(scalar) => scalar,
            _ => Scalar::I32,
        };
        if to == from || mixed(to) != mixed(from) && mixed(to).is_float() && mixed(from).is_float()
        {
            return None;
        }
        let step = if self.random.chance(50) { 1 } else { -1 };
        let before = self.random.chance(50);
        Some(Stmt::Step(Place::Variable(to), Place::Variable(from), step, before))
    }

    fn refer(&mut self) -> Option<Stmt> {
        let place = self.place(None, true, true)?;
        let kind = self.random.pick(&[Kind::Reference, Kind::Pointer]);
        let variable = self.variable(self.scope().place(&place), kind);
        self.show(variable);
        Some(Stmt::Refer(variable, place))
    }

    fn repeat(&mut self) -> Stmt {
        let form = self.random.below(3);
        // A loop that all threads walk alike keeps barriers possible.
        let even = self.routine.uniform && self.together && self.random.chance(60);
        let limit = match even {
            true => Expr::Literal(Scalar::I32, 1 + self.random.below(3) as u64),
            false => self.typed(&INT, 2),
        };
        let counter = self.variable(INT, Kind::Value);
        self.routine.frozen.push(counter);
        let uniform = std::mem::replace(&mut self.routine.uniform, even);
        let switches = std::mem::replace(&mut self.routine.switches, 0);
        self.routine.loops += 1;
        self.routine.visible.push(vec![counter]);
        let body = self.block(4);
        self.routine.visible.pop();
        self.routine.loops -= 1;
        self.routine.switches = switches;
        self.routine.uniform = uniform;
        match form {
            0 => Stmt::For(counter, limit, body),
            1 => Stmt::While(counter, limit, body),
            _ => Stmt::Do(counter, limit, body),
        }
    }

    fn switch(&mut self) -> Stmt {
        let value = self.int(2);
        let value =
            Expr::Binary(Binary::And, Box::new(value), Box::new(Expr::Literal(Scalar::I32, 7)));
        let mut labels: Vec<Option<i64>> = (0..5).map(|label| Some(label * 2 % 7)).collect();
        labels.push(None);
        let uniform = std::mem::replace(&mut self.routine.uniform, false);
        self.routine.switches += 1;
        let mut cases = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let count = 1 + self.random.below(2);
            let mine: Vec<Option<i64>> =
                (0..count).map(|_| labels.remove(self.random.below(labels.len()))).collect();
            let body = self.block(2);
            cases.push((mine, body, self.random.chance(60)));
        }
        self.routine.switches -= 1;
        self.routine.uniform = uniform;
        Stmt::Switch(value, cases)
    }

    /// A way out, under a condition.
    fn jump(&mut self) -> Option<Stmt> {
        let kernel = self.routine.kernel;
        let inside = self.routine.loops + self.routine.switches > 0 && !self.routine.uniform;
        let stmt = match self.random.below(3) {
            0 if inside => Stmt::Break,
            1 if self.routine.loops > 0 && !self.routine.uniform => Stmt::Continue,
            // Barriers need all threads to the end, and what is read of others must be there.
            _ if kernel && !self.together => {
                let mut body = self.stores();
                body.truncate(6);
                body.push(Stmt::Return(None));
                return Some(Stmt::If(self.condition(2), body, Vec::new()));
            }
            _ if !kernel => {
                let value = self.routine.result.clone().map(|ty| self.implicit(&ty, 2));
                Stmt::Return(value)
            }
            _ => return None,
        };
        Some(Stmt::If(self.condition(2), vec![stmt], Vec::new()))
    }

    /// A call of any function: by value, by reference, by pointer.
    fn call(&mut self) -> Option<Stmt> {
        let plain: Vec<usize> =
            (0..self.functions.len()).filter(|&at| !self.functions[at].template).collect();
        // One that uses the SIMD-group is for all threads at once.
        if plain.is_empty() || self.routine.alone {
            return None;
        }
        let function = self.random.pick(&plain);
        let routine = self.functions[function].clone();
        let mut arguments = Vec::new();
        for row in &routine.variables[..routine.parameters] {
            arguments.push(match (&row.ty, row.kind) {
                (ty @ Type::Struct(..), Kind::Value) => {
                    Argument::Value(Expr::Read(self.place(Some(ty), false, false)?))
                }
                (ty, Kind::Value) => Argument::Value(self.implicit(ty, 2)),
                (ty, _) => Argument::Place(self.place(Some(ty), true, true)?),
            });
        }
        let result = routine.result.as_ref().and_then(Type::arithmetic);
        let to = match result {
            Some((scalar, 1)) => {
                let to = self.place(Some(&Type::Scalar(scalar)), true, true);
                to.filter(|to| matches!(to, Place::Variable(_)))
            }
            _ => None,
        };
        Some(Stmt::Call(to, function, arguments))
    }

    fn change(&mut self) -> Option<Stmt> {
        let index = self.random.below(self.structs.len().max(1));
        let objects: Vec<Variable> = self.routine.visible.concat();
        let objects: Vec<Variable> = objects
            .into_iter()
            .filter(|v| {
                let ty = &self.routine.variables[v.0].ty;
                matches!(ty, Type::Struct(at, _) if *at == index)
                    && !self.routine.frozen.contains(v)
            })
            .collect();
        if objects.is_empty() {
            return None;
        }
        let object = Place::Variable(self.random.pick(&objects));
        let (object, method, arguments) = self.method(object, false, 2)?;
        Some(Stmt::Change(object, method, arguments))
    }

    fn across(&mut self) -> Option<Stmt> {
        use Across::*;
        let far = self.routine.kernel && self.routine.uniform && self.together;
        let delta = 1 + self.random.below(15);
        let across = match self.random.below(if far { 13 } else { 9 }) {
            0 => Sum,
            1 => Min,
            2 => Max,
            3 => And,
            4 => Or,
            5 => Xor,
            6 => InclusiveSum,
            7 => ExclusiveSum,
            8 => BroadcastFirst,
            9 => ShuffleXor(delta),
            10 => Broadcast(delta),
            11 => ShuffleUp(delta),
            _ => RotateDown(delta),
        };
        let to = self.place(None, true, true)?;
        if !matches!(self.scope().place(&to), Type::Scalar(_)) {
            return None;
        }
        let ints: Vec<Scalar> =
            SCALARS.iter().copied().filter(|s| !s.is_float() && *s != Scalar::Bool).collect();
        let scalar = self.random.pick(&ints);
        let value = self.typed(&Type::Scalar(scalar), 2);
        Some(Stmt::Across(to, across, value))
    }

    // ---- routines

    fn structure(&mut self) {
        let mut fields = Vec::new();
        for _ in 0..2 + self.random.below(3) {
            let ty = self.arithmetic();
            fields.push(match self.random.below(4) {
                0 => Type::Array(Box::new(ty), self.random.pick(&[2, 4])),
                _ => ty,
            });
        }
        self.structs.push(Struct { fields, methods: Vec::new(), template: false });
        let mut methods = Vec::new();
        for constant in [true, false] {
            self.begin(3);
            let this = self.variable(Type::Struct(0, None), Kind::This);
            self.show(this);
            if constant {
                self.routine.frozen.push(this);
            }
            let parameter = self.arithmetic();
            let parameter = self.variable(parameter, Kind::Value);
            self.show(parameter);
            let mut body;
            if constant {
                let result = Type::Scalar(self.random.pick(SCALARS));
                let value = self.implicit(&result, 3);
                self.routine.result = Some(result);
                body = vec![Stmt::Return(Some(value))];
            } else {
                body = self.block(3);
                body.extend(self.assign());
            }
            methods.push(Routine { constant, ..self.end(body, 2) });
        }
        self.structs[0].methods = methods;
    }

    /// A value of the type `T` of a template, of variables that have it.
    fn of_parameter(&mut self, names: &[Place], depth: usize) -> Expr {
        let pick = self.random.below(names.len());
        if depth == 0 {
            return Expr::Read(names[pick].clone());
        }
        let [a, b] = [0; 2].map(|_| Box::new(self.of_parameter(names, depth - 1)));
        let converted = |expr| Expr::Convert(Type::Parameter, Box::new(expr), 0);
        match self.random.below(6) {
            0 => Expr::Read(names[pick].clone()),
            1 => converted(Expr::Literal(Scalar::I32, self.random.below(9) as u64)),
            2 => converted(Expr::Count),
            3 => {
                let less = Expr::Binary(Binary::Less, a.clone(), b.clone());
                Expr::Conditional(Box::new(less), a, b)
            }
            _ => {
                let op = self.random.pick(&[Binary::Add, Binary::Subtract, Binary::Multiply]);
                converted(Expr::Binary(op, a, b))
            }
        }
    }

    /// `for (int i = 0; i < N; …) place = T(…)`, with `array[i]` among the names.
    fn over_elements(&mut self, names: &[Place], array: &Place, to_array: bool) -> Stmt {
        let counter = self.variable(INT, Kind::Value);
        let at = Box::new(Expr::Read(Place::Variable(counter)));
        let element = Place::Below(Box::new(array.clone()), at);
        let names = [names, std::slice::from_ref(&element)].concat();
        let value = self.of_parameter(&names, 2);
        let to = if to_array { element } else { names[0].clone() };
        Stmt::For(counter, Expr::Count, vec![Stmt::Assign(to, value)])
    }

    fn function_template(&mut self) {
        self.begin(0);
        let a = self.variable(Type::Parameter, Kind::Value);
        let b = self.variable(Type::Parameter, Kind::Value);
        let names = [a, b].map(Place::Variable);
        let array = self.variable(Type::ParameterArray, Kind::Value);
        let mut body = vec![Stmt::DeclareList(array, Vec::new())];
        let array = Place::Variable(array);
        body.push(self.over_elements(&names, &array, true));
        body.push(self.over_elements(&names, &array, false));
        body.push(Stmt::Return(Some(self.of_parameter(&names, 2))));
        self.routine.result = Some(Type::Parameter);
        let routine = Routine { template: true, ..self.end(body, 2) };
        self.functions.push(routine);
    }

    fn class_template(&mut self) {
        let index = self.structs.len();
        let fields = vec![Type::ParameterArray, Type::Parameter];
        self.structs.push(Struct { fields, methods: Vec::new(), template: true });
        let this = || Box::new(Place::Variable(Variable(0)));
        let (array, single) = (Place::Field(this(), 0), Place::Field(this(), 1));
        let mut methods = Vec::new();
        for constant in [false, true] {
            self.begin(0);
            self.variable(Type::Struct(index, None), Kind::This);
            let given = Place::Variable(self.variable(Type::Parameter, Kind::Value));
            let mut body =
                vec![self.over_elements(&[given.clone(), single.clone()], &array, !constant)];
            let value = self.of_parameter(&[given, single.clone()], 2);
            if constant {
                self.routine.result = Some(Type::Parameter);
                body.push(Stmt::Return(Some(value)));
            } else {
                body.push(Stmt::Assign(single.clone(), value));
            }
            methods.push(Routine { constant, ..self.end(body, 2) });
        }
        self.structs[index].methods = methods;
    }

    /// A function of some parameters, pure or with references and functions of the SIMD-group.
    fn function(&mut self) {
        self.begin(6);
        let pure = self.random.chance(50);
        self.routine.alone = pure;
        let parameters = 1 + self.random.below(3);
        for _ in 0..parameters {
            let ty = if self.random.chance(15) { Type::Struct(0, None) } else { self.arithmetic() };
            let kinds = [Kind::Value, Kind::Reference, Kind::Pointer];
            let kind = if pure { Kind::Value } else { self.random.pick(&kinds) };
            let parameter = self.variable(ty, kind);
            self.show(parameter);
        }
        let result = Type::Scalar(self.random.pick(SCALARS));
        self.routine.result = (pure || self.random.chance(60)).then_some(result);
        let mut body = self.block(5);
        if let Some(result) = self.routine.result.clone() {
            let value = self.implicit(&result, 2);
            body.push(Stmt::Return(Some(value)));
        }
        let routine = self.end(body, parameters);
        self.functions.push(routine);
    }

    fn kernel(&mut self) -> Routine {
        self.begin(24);
        self.routine.kernel = true;
        self.routine.alone = false;
        self.routine.uniform = true;
        let mut body = vec![];
        for _ in 0..3 {
            body.push(self.declare());
        }
        while self.routine.budget > 0 {
            self.routine.budget -= 1;
            self.statement(&mut body);
        }
        body.extend(self.stores());
        self.end(body, 0)
    }

    /// Writes what is visible to the output, as far as it has room.
    fn stores(&mut self) -> Vec<Stmt> {
        let mut scalars = Vec::new();
        for variable in self.routine.visible.concat() {
            self.flatten(Place::Variable(variable), &mut scalars);
        }
        // The last ones have seen most.
        scalars.reverse();
        scalars.truncate(WORDS);
        scalars.into_iter().enumerate().map(|(word, value)| Stmt::Store(word, value)).collect()
    }

    fn flatten(&self, place: Place, out: &mut Vec<Expr>) {
        let of = |index: usize| Box::new(Expr::Literal(Scalar::I32, index as u64));
        match self.scope().place(&place) {
            Type::Struct(index, _) => {
                for field in 0..self.structs[index].fields.len() {
                    self.flatten(Place::Field(Box::new(place.clone()), field), out);
                }
            }
            Type::Array(_, count) => {
                for index in 0..count {
                    self.flatten(Place::Below(Box::new(place.clone()), of(index)), out);
                }
            }
            Type::Vector(_, width) => {
                for component in 0..width {
                    out.push(Expr::Read(Place::Swizzle(Box::new(place.clone()), vec![component])));
                }
            }
            Type::Scalar(_) => out.push(Expr::Read(place)),
            Type::Parameter | Type::ParameterArray => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_program() {
        let text = |seed| super::super::print::print(&generate(seed));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
        assert_eq!(promoted(Scalar::I8), Scalar::I32);
    }
}
