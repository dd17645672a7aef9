//! Random structures with methods, functions, templates, and the kernel.

use super::{Maker, SCALARS};
use crate::soft::ir::Scalar;
use crate::soft::tests::random::program::*;

impl Maker {
    pub(super) fn structure(&mut self) {
        let mut fields = Vec::new();
        for _ in 0..2 + self.random.below(3) {
            let ty = self.arithmetic();
            fields.push(match self.random.below(4) {
                0 => Type::Array(Box::new(ty), self.random.pick(&[2, 4])),
                _ => ty,
            });
        }
        self.structs.push(Struct {
            fields,
            methods: Vec::new(),
            template: false,
            conversions: None,
        });
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

    /// A value of a template's type `T`, from variables of that type.
    pub(super) fn of_parameter(&mut self, names: &[Place], depth: usize) -> Expr {
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
    pub(super) fn over_elements(&mut self, names: &[Place], array: &Place, to_array: bool) -> Stmt {
        let counter = self.variable(INT, Kind::Value);
        let at = Box::new(Expr::Read(Place::Variable(counter)));
        let element = Place::Below(Box::new(array.clone()), at);
        let names = [names, std::slice::from_ref(&element)].concat();
        let value = self.of_parameter(&names, 2);
        let to = if to_array { element } else { names[0].clone() };
        Stmt::For(counter, Expr::Count, vec![Stmt::Assign(to, value)])
    }

    pub(super) fn function_template(&mut self) {
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

    pub(super) fn class_template(&mut self) {
        let index = self.structs.len();
        let fields = vec![Type::ParameterArray, Type::Parameter];
        self.structs.push(Struct {
            fields,
            methods: Vec::new(),
            template: true,
            conversions: None,
        });
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

    /// A class in a namespace: a converting constructor, a conversion function, a member template.
    pub(super) fn class_with_conversions(&mut self) {
        let fields = vec![Type::Scalar(self.random.pick(SCALARS)), self.arithmetic()];
        let (methods, conversions) = (Vec::new(), None);
        self.structs.push(Struct { fields, methods, template: false, conversions });
        let object = Type::Struct(NAMED, None);

        self.begin(3);
        let this = self.variable(object.clone(), Kind::This);
        self.show(this);
        let given = Type::Scalar(self.random.pick(SCALARS));
        let given = self.variable(given, Kind::Value);
        self.show(given);
        let mut body = self.block(2);
        for field in 0..2 {
            let place = Place::Field(Box::new(Place::Variable(this)), field);
            let value = self.implicit(&self.scope().place(&place), 2);
            body.push(Stmt::Assign(place, value));
        }
        let from = self.end(body, 2);

        self.begin(2);
        let this = self.variable(object.clone(), Kind::This);
        self.show(this);
        self.routine.frozen.push(this);
        let result = Type::Scalar(self.random.pick(SCALARS));
        let value = self.implicit(&result, 2);
        self.routine.result = Some(result);
        let to = Routine { constant: true, ..self.end(vec![Stmt::Return(Some(value))], 1) };

        self.begin(0);
        let this = self.variable(object, Kind::This);
        let given = self.variable(Type::Parameter, Kind::Value);
        let own = Expr::Read(Place::Field(Box::new(Place::Variable(this)), 0));
        let own = Box::new(Expr::Convert(Type::Parameter, Box::new(own), 0));
        let given = Box::new(Expr::Read(Place::Variable(given)));
        let op = self.random.pick(&[Binary::Add, Binary::Subtract, Binary::Multiply]);
        let both = Expr::Binary(op, given.clone(), own.clone());
        let both = Box::new(Expr::Convert(Type::Parameter, Box::new(both), 0));
        let less = Box::new(Expr::Binary(Binary::Less, given, own.clone()));
        self.routine.result = Some(Type::Parameter);
        let body = vec![Stmt::Return(Some(Expr::Conditional(less, both, own)))];
        let member = Routine { constant: true, template: true, ..self.end(body, 2) };
        self.structs[NAMED].conversions = Some(Conversions { from, to, member });
    }

    /// A function with parameters; pure, or with references and SIMD-group functions.
    pub(super) fn function(&mut self) {
        self.begin(6);
        let pure = self.random.chance(50);
        self.routine.alone = pure;
        let parameters = 1 + self.random.below(3);
        let mut named = false;
        for _ in 0..parameters {
            let ty = match self.random.below(7) {
                0 => Type::Struct(0, None),
                1 => Type::Struct(NAMED, None),
                _ => self.arithmetic(),
            };
            named |= ty == Type::Struct(NAMED, None);
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
        let beside = named && self.random.chance(60);
        let routine = Routine { beside, ..self.end(body, parameters) };
        self.functions.push(routine);
    }

    pub(super) fn kernel(&mut self) -> Routine {
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

    /// Writes the visible variables to the output, as far as they fit.
    pub(super) fn stores(&mut self) -> Vec<Stmt> {
        let mut scalars = Vec::new();
        for variable in self.routine.visible.concat() {
            self.flatten(Place::Variable(variable), &mut scalars);
        }
        // The last variables depend on the most code.
        scalars.reverse();
        scalars.truncate(WORDS);
        scalars.into_iter().enumerate().map(|(word, value)| Stmt::Store(word, value)).collect()
    }

    pub(super) fn flatten(&self, place: Place, out: &mut Vec<Expr>) {
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
