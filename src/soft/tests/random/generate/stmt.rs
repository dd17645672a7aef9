//! Random statements: declarations, assignments, control flow, calls, barriers and atomics.

use super::{Maker, SCALARS};
use crate::soft::ir::Scalar;
use crate::soft::tests::random::program::*;

/// The atomic operation of each counter: one only, so that the order does not matter.
const ATOMICS: [&str; 7] = ["add", "sub", "or", "and", "xor", "max", "min"];

impl Maker {
    pub(super) fn block(&mut self, most: usize) -> Vec<Stmt> {
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

    pub(super) fn statement(&mut self, out: &mut Vec<Stmt>) {
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

    pub(super) fn declare(&mut self) -> Stmt {
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
    pub(super) fn object(&mut self) -> Stmt {
        let index = self.random.below(self.structs.len());
        if index == NAMED {
            // Its constructor declares objects, too, but not those of its own class.
            let made = self.converted_to_object(2).unwrap_or(Expr::Literal(Scalar::I32, 1));
            let ty = self.of(&made);
            return Stmt::Declare(self.variable(ty, Kind::Value), made);
        }
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

    pub(super) fn assign(&mut self) -> Option<Stmt> {
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

    pub(super) fn compound(&mut self) -> Option<Stmt> {
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

    pub(super) fn step(&mut self) -> Option<Stmt> {
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

    pub(super) fn refer(&mut self) -> Option<Stmt> {
        let place = self.place(None, true, true)?;
        let kind = self.random.pick(&[Kind::Reference, Kind::Pointer]);
        let variable = self.variable(self.scope().place(&place), kind);
        self.show(variable);
        Some(Stmt::Refer(variable, place))
    }

    pub(super) fn repeat(&mut self) -> Stmt {
        let form = self.random.below(3);
        // A loop that all threads run alike may contain barriers.
        let even = self.routine.uniform && self.together && self.random.chance(60);
        let limit = match even {
            true => Expr::Literal(Scalar::I32, 1 + self.random.below(3) as u64),
            false => self.typed(&INT, 2),
        };
        let counter = self.variable(INT, Kind::Value);
        self.routine.frozen.push(counter);
        let uniform = std::mem::replace(&mut self.routine.uniform, even);
        let outer_even = std::mem::replace(&mut self.routine.even, even);
        let switches = std::mem::replace(&mut self.routine.switches, 0);
        self.routine.loops += 1;
        self.routine.visible.push(vec![counter]);
        let body = self.block(4);
        self.routine.visible.pop();
        self.routine.loops -= 1;
        self.routine.switches = switches;
        self.routine.even = outer_even;
        self.routine.uniform = uniform;
        match form {
            0 => Stmt::For(counter, limit, body),
            1 => Stmt::While(counter, limit, body),
            _ => Stmt::Do(counter, limit, body),
        }
    }

    pub(super) fn switch(&mut self) -> Stmt {
        let value = self.int(2);
        let value =
            Expr::Binary(Binary::And, Box::new(value), Box::new(Expr::Literal(Scalar::I32, 7)));
        let mut left: Vec<Option<i64>> = (0..5).map(|label| Some(label * 2 % 7)).collect();
        left.push(None);
        let uniform = std::mem::replace(&mut self.routine.uniform, false);
        self.routine.switches += 1;
        let mut cases = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let count = 1 + self.random.below(2);
            let labels = (0..count).map(|_| left.remove(self.random.below(left.len()))).collect();
            let body = self.block(2);
            cases.push(Case { labels, body, ends: self.random.chance(60) });
        }
        self.routine.switches -= 1;
        self.routine.uniform = uniform;
        Stmt::Switch(value, cases)
    }

    /// A conditional break, continue or return.
    pub(super) fn jump(&mut self) -> Option<Stmt> {
        let kernel = self.routine.kernel;
        let leaves = self.routine.loops > 0 && !self.routine.even;
        let stmt = match self.random.below(3) {
            0 if leaves || self.routine.switches > 0 => Stmt::Break,
            1 if leaves => Stmt::Continue,
            // All threads must reach the barriers, and write the values that others read.
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
    pub(super) fn call(&mut self) -> Option<Stmt> {
        let plain: Vec<usize> =
            (0..self.functions.len()).filter(|&at| !self.functions[at].template).collect();
        // A function that uses the SIMD-group is called by all threads together.
        if plain.is_empty() || self.routine.alone {
            return None;
        }
        let function = self.random.pick(&plain);
        let routine = self.functions[function].clone();
        let mut arguments = Vec::new();
        for row in &routine.variables[..routine.parameters] {
            arguments.push(match (&row.ty, row.kind) {
                (ty @ Type::Struct(..), Kind::Value) => {
                    Argument::Value(self.object_argument(ty, routine.beside, 2)?)
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

    pub(super) fn change(&mut self) -> Option<Stmt> {
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

    pub(super) fn across(&mut self) -> Option<Stmt> {
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
}
