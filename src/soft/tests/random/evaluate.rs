//! Evaluates a random program, statement by statement, over all threads of a threadgroup.
//!
//! It walks the generator's tree and shares no code with the compiler or the executor. Expressions
//! are computed thread by thread; statements for a set of threads at once, because the functions of a
//! SIMD-group see the threads that are active there. Threads that diverged reconverge after the
//! statement where they diverged.

use super::numbers;
use super::program::*;
use crate::soft::ir::Scalar;

/// The contents of a program's two output buffers.
#[derive(PartialEq, Debug)]
pub(super) struct Outcome {
    pub(super) out: Vec<u64>,
    pub(super) counters: Vec<u32>,
}

/// The initial values of the counters.
pub(super) const COUNTER_START: u32 = 0x1234;

/// Runs all threadgroups, one after the other.
pub(super) fn evaluate(program: &Program) -> Outcome {
    let mut machine = Machine {
        program,
        first: 0,
        lanes: 0,
        memory: Vec::new(),
        shared: Vec::new(),
        outcome: Outcome {
            out: vec![0; program.threads * WORDS],
            counters: vec![COUNTER_START; COUNTERS],
        },
    };
    for first in (0..program.threads).step_by(program.group) {
        machine.first = first;
        machine.lanes = program.group.min(program.threads - first);
        machine.memory = vec![Vec::new(); machine.lanes];
        machine.shared = vec![0; machine.lanes];
        let mut frame = machine.frame(&program.kernel, None);
        let all = Lanes::MAX >> (Lanes::BITS as usize - machine.lanes);
        machine.block(&mut frame, &program.kernel.body, all);
    }
    machine.outcome
}

/// The threads of a set, the lowest first.
fn each(lanes: Lanes) -> impl Iterator<Item = usize> {
    (0..Lanes::BITS as usize).filter(move |lane| lanes >> lane & 1 != 0)
}

/// An object of any type, flattened: one cell per scalar.
#[derive(Clone, Debug)]
struct Value {
    ty: Type,
    cells: Vec<u64>,
}

impl Value {
    fn scalar(scalar: Scalar, bits: u64) -> Self {
        Value { ty: Type::Scalar(scalar), cells: vec![bits] }
    }

    fn truth(&self) -> bool {
        match self.ty {
            Type::Scalar(scalar) => numbers::convert(scalar, Scalar::Bool, self.cells[0]) != 0,
            _ => unreachable!("a condition is a scalar"),
        }
    }

    /// An index or a count.
    fn index(&self) -> usize {
        self.cells[0] as usize
    }

    /// The value converted to another type of the same shape; a scalar is broadcast to a vector.
    fn convert(self, to: &Type) -> Value {
        match (self.ty.arithmetic(), to.arithmetic()) {
            (Some((from, width)), Some((scalar, count))) => {
                let cell = |k: usize| self.cells[if width == 1 { 0 } else { k }];
                let cells = (0..count).map(|k| numbers::convert(from, scalar, cell(k))).collect();
                Value { ty: to.clone(), cells }
            }
            _ => self,
        }
    }
}

/// The location of an object, or a part of one, in the memory of its thread; a swizzle selects cells.
#[derive(Clone, Debug, Default)]
struct Location {
    object: usize,
    offset: usize,
    picks: Option<Vec<usize>>,
}

/// An enclosing loop or switch, and the threads that left its body.
struct Jump {
    repeats: bool,
    broke: Lanes,
    continued: Lanes,
}

/// A call: the meaning of its names, and the location of its variables.
struct Frame<'a> {
    routine: &'a Routine,
    arguments: Option<Arguments>,
    /// By variable and thread.
    places: Vec<Vec<Location>>,
    results: Vec<Option<Value>>,
    jumps: Vec<Jump>,
}

struct Machine<'a> {
    program: &'a Program,
    /// The first thread of the threadgroup, and how many there are.
    first: usize,
    lanes: usize,
    /// The objects of each thread.
    memory: Vec<Vec<Vec<u64>>>,
    shared: Vec<u64>,
    outcome: Outcome,
}

impl<'a> Machine<'a> {
    fn frame(&self, routine: &'a Routine, arguments: Option<Arguments>) -> Frame<'a> {
        Frame {
            routine,
            arguments,
            places: vec![vec![Location::default(); self.lanes]; routine.variables.len()],
            results: vec![None; self.lanes],
            jumps: Vec::new(),
        }
    }

    fn scope<'f>(&self, frame: &'f Frame<'a>) -> Scope<'f>
    where
        'a: 'f,
    {
        Scope {
            structs: &self.program.structs,
            functions: &self.program.functions,
            variables: &frame.routine.variables,
            arguments: frame.arguments,
        }
    }

    /// The number of cells of an object.
    fn cells(&self, ty: &Type) -> usize {
        match ty {
            Type::Scalar(_) => 1,
            Type::Vector(_, width) => *width,
            Type::Array(element, count) => self.cells(element) * count,
            Type::Struct(index, arguments) => {
                let fields = &self.program.structs[*index].fields;
                fields.iter().map(|field| self.cells(&field.resolve(*arguments))).sum()
            }
            Type::Parameter | Type::ParameterArray => unreachable!("resolved before"),
        }
    }

    // ---- memory

    fn locate(&mut self, frame: &Frame<'a>, place: &Place, lane: usize) -> Location {
        match place {
            Place::Variable(variable) => frame.places[variable.0][lane].clone(),
            Place::Field(base, field) => {
                let Type::Struct(index, arguments) = self.scope(frame).place(base) else {
                    unreachable!("a field of a structure");
                };
                let arguments = arguments.or(frame.arguments);
                let fields = &self.program.structs[index].fields[..*field];
                let before: usize =
                    fields.iter().map(|ty| self.cells(&ty.resolve(arguments))).sum();
                let base = self.locate(frame, base, lane);
                Location { offset: base.offset + before, ..base }
            }
            Place::Element(base, index, count) => {
                let at = self.expr(frame, index, lane).index() & (count - 1);
                self.element(frame, base, at, lane)
            }
            Place::Below(base, index) => {
                let at = self.expr(frame, index, lane).index();
                self.element(frame, base, at, lane)
            }
            Place::Swizzle(base, picks) => {
                Location { picks: Some(picks.clone()), ..self.locate(frame, base, lane) }
            }
        }
    }

    fn element(&mut self, frame: &Frame<'a>, base: &Place, at: usize, lane: usize) -> Location {
        let size = match self.scope(frame).place(base) {
            Type::Array(element, _) => self.cells(&element),
            _ => 1,
        };
        let base = self.locate(frame, base, lane);
        Location { offset: base.offset + at * size, ..base }
    }

    fn read(&self, location: &Location, ty: Type, lane: usize) -> Value {
        let object = &self.memory[lane][location.object][location.offset..];
        let cells = match &location.picks {
            Some(picks) => picks.iter().map(|&pick| object[pick]).collect(),
            None => object[..self.cells(&ty)].to_vec(),
        };
        Value { ty, cells }
    }

    /// Assigns to a place, with the conversion of an assignment.
    fn assign(&mut self, frame: &Frame<'a>, place: &Place, value: Value, lane: usize) {
        let value = value.convert(&self.scope(frame).place(place));
        let location = self.locate(frame, place, lane);
        let object = &mut self.memory[lane][location.object][location.offset..];
        match location.picks {
            Some(picks) => {
                picks.iter().zip(value.cells).for_each(|(&pick, cell)| object[pick] = cell)
            }
            None => object[..value.cells.len()].copy_from_slice(&value.cells),
        }
    }

    fn declare(&mut self, frame: &mut Frame<'a>, variable: Variable, value: Value, lane: usize) {
        let ty = frame.routine.variables[variable.0].ty.resolve(frame.arguments);
        let mut cells = value.convert(&ty).cells;
        cells.resize(self.cells(&ty), 0);
        frame.places[variable.0][lane] =
            Location { object: self.memory[lane].len(), ..Location::default() };
        self.memory[lane].push(cells);
    }

    // ---- statements

    fn block(&mut self, frame: &mut Frame<'a>, body: &'a [Stmt], mut active: Lanes) -> Lanes {
        for stmt in body {
            if active == 0 {
                break;
            }
            active = self.stmt(frame, stmt, active);
        }
        active
    }

    /// Runs a statement for the active threads; returns those that reach its end.
    fn stmt(&mut self, frame: &mut Frame<'a>, stmt: &'a Stmt, active: Lanes) -> Lanes {
        match stmt {
            Stmt::Declare(variable, value) => {
                for lane in each(active) {
                    let value = self.expr(frame, value, lane);
                    self.declare(frame, *variable, value, lane);
                }
            }
            Stmt::DeclareList(variable, values) => {
                for lane in each(active) {
                    let parts = values.iter().map(|value| self.expr(frame, value, lane).cells);
                    let cells = parts.collect::<Vec<_>>().concat();
                    let ty = frame.routine.variables[variable.0].ty.resolve(frame.arguments);
                    self.declare(frame, *variable, Value { ty, cells }, lane);
                }
            }
            Stmt::Refer(variable, place) => {
                for lane in each(active) {
                    frame.places[variable.0][lane] = self.locate(frame, place, lane);
                }
            }
            Stmt::Assign(place, value) => {
                for lane in each(active) {
                    let value = self.expr(frame, value, lane);
                    self.assign(frame, place, value, lane);
                }
            }
            Stmt::Compound(place, op, value) => {
                for lane in each(active) {
                    let value = self.expr(frame, value, lane);
                    let old = self.expr(frame, &Expr::Read(place.clone()), lane);
                    self.assign(frame, place, binary(*op, old, value), lane);
                }
            }
            Stmt::Step(to, place, step, before) => {
                let one = Value::scalar(Scalar::I32, 1);
                let op = if *step > 0 { Binary::Add } else { Binary::Subtract };
                for lane in each(active) {
                    let old = self.expr(frame, &Expr::Read(place.clone()), lane);
                    let new = binary(op, old.clone(), one.clone()).convert(&old.ty);
                    self.assign(frame, place, new.clone(), lane);
                    self.assign(frame, to, if *before { new } else { old }, lane);
                }
            }
            Stmt::If(condition, yes, no) => {
                let chosen = self.test(frame, condition, active);
                let yes = self.block(frame, yes, chosen);
                return yes | self.block(frame, no, active & !chosen);
            }
            Stmt::For(counter, limit, body) => {
                self.start(frame, *counter, active);
                return self.repeat(
                    frame,
                    active,
                    |machine, frame, pass, live| {
                        if pass > 0 {
                            machine.count(frame, *counter, live);
                        }
                        machine.below(frame, *counter, limit, live)
                    },
                    body,
                );
            }
            Stmt::While(counter, limit, body) => {
                self.start(frame, *counter, active);
                return self.repeat(
                    frame,
                    active,
                    |machine, frame, _, live| {
                        let more = machine.below(frame, *counter, limit, live);
                        machine.count(frame, *counter, live);
                        more
                    },
                    body,
                );
            }
            Stmt::Do(counter, limit, body) => {
                self.start(frame, *counter, active);
                return self.repeat(
                    frame,
                    active,
                    |machine, frame, pass, live| {
                        if pass == 0 {
                            return live;
                        }
                        machine.count(frame, *counter, live);
                        machine.below(frame, *counter, limit, live)
                    },
                    body,
                );
            }
            Stmt::Switch(value, cases) => return self.switch(frame, value, cases, active),
            Stmt::Break => {
                frame.jumps.last_mut().expect("a break is in a loop or switch").broke |= active;
                return 0;
            }
            Stmt::Continue => {
                let around = frame.jumps.iter_mut().rev().find(|jump| jump.repeats);
                around.expect("a continue is in a loop").continued |= active;
                return 0;
            }
            Stmt::Return(value) => {
                for lane in each(active) {
                    let value = value.as_ref().map(|value| self.expr(frame, value, lane));
                    frame.results[lane] = value;
                }
                return 0;
            }
            Stmt::Call(to, function, arguments) => {
                self.call(frame, to, *function, arguments, active)
            }
            Stmt::Change(object, method, arguments) => {
                for lane in each(active) {
                    self.method(frame, object, *method, arguments, lane);
                }
            }
            Stmt::Across(to, across, value) => {
                let values: Vec<Option<Value>> = (0..self.lanes)
                    .map(|lane| (active >> lane & 1 != 0).then(|| self.expr(frame, value, lane)))
                    .collect();
                for lane in each(active) {
                    let row = lane / 32 * 32;
                    let group = &values[row..self.lanes.min(row + 32)];
                    let value = together(*across, group, lane - row);
                    self.assign(frame, to, value, lane);
                }
            }
            Stmt::Exchange(to, value, by) => {
                for lane in each(active) {
                    let value = self.expr(frame, value, lane);
                    self.shared[lane] = value.convert(&Type::Scalar(Scalar::U64)).cells[0];
                }
                for lane in each(active) {
                    let bits = self.shared[(lane + by) % self.lanes];
                    self.assign(frame, to, Value::scalar(Scalar::U64, bits), lane);
                }
            }
            Stmt::Atomic(name, counter, value) => {
                for lane in each(active) {
                    let value = self.expr(frame, value, lane).convert(&UINT).cells[0] as u32;
                    let counter = &mut self.outcome.counters[*counter];
                    *counter = match *name {
                        "add" => counter.wrapping_add(value),
                        "sub" => counter.wrapping_sub(value),
                        "or" => *counter | value,
                        "and" => *counter & value,
                        "xor" => *counter ^ value,
                        "max" => value.max(*counter),
                        _ => value.min(*counter),
                    };
                }
            }
            Stmt::Store(word, value) => {
                for lane in each(active) {
                    let value = self.expr(frame, value, lane);
                    let bits = match value.ty {
                        Type::Scalar(scalar) if scalar.is_float() => {
                            if numbers::float(value.cells[0]).is_nan() {
                                0x7fc0_0000
                            } else {
                                value.cells[0]
                            }
                        }
                        _ => value.cells[0],
                    };
                    self.outcome.out[(self.first + lane) * WORDS + word] = bits;
                }
            }
        }
        active
    }

    fn test(&mut self, frame: &Frame<'a>, condition: &'a Expr, active: Lanes) -> Lanes {
        each(active)
            .filter(|&lane| self.expr(frame, condition, lane).truth())
            .fold(0, |set, lane| set | 1 << lane)
    }

    fn start(&mut self, frame: &mut Frame<'a>, counter: Variable, active: Lanes) {
        for lane in each(active) {
            self.declare(frame, counter, Value::scalar(Scalar::I32, 0), lane);
        }
    }

    fn count(&mut self, frame: &Frame<'a>, counter: Variable, active: Lanes) {
        for lane in each(active) {
            let object = frame.places[counter.0][lane].object;
            self.memory[lane][object][0] += 1;
        }
    }

    fn below(
        &mut self,
        frame: &Frame<'a>,
        counter: Variable,
        limit: &'a Expr,
        active: Lanes,
    ) -> Lanes {
        each(active)
            .filter(|&lane| {
                let limit = self.expr(frame, limit, lane).cells[0] & 3;
                self.memory[lane][frame.places[counter.0][lane].object][0] < limit
            })
            .fold(0, |set, lane| set | 1 << lane)
    }

    /// A loop: before each iteration `more` returns the threads that continue.
    fn repeat(
        &mut self,
        frame: &mut Frame<'a>,
        active: Lanes,
        mut more: impl FnMut(&mut Self, &mut Frame<'a>, usize, Lanes) -> Lanes,
        body: &'a [Stmt],
    ) -> Lanes {
        let (mut live, mut left) = (active, 0);
        for pass in 0.. {
            let going = more(self, frame, pass, live);
            left |= live & !going;
            if going == 0 {
                break;
            }
            frame.jumps.push(Jump { repeats: true, broke: 0, continued: 0 });
            live = self.block(frame, body, going);
            let jump = frame.jumps.pop().expect("pushed above");
            live |= jump.continued;
            left |= jump.broke;
        }
        left
    }

    fn switch(
        &mut self,
        frame: &mut Frame<'a>,
        value: &'a Expr,
        cases: &'a [Case],
        active: Lanes,
    ) -> Lanes {
        let values: Vec<Option<i64>> = (0..self.lanes)
            .map(|lane| {
                (active >> lane & 1 != 0).then(|| self.expr(frame, value, lane).cells[0] as i64)
            })
            .collect();
        let named: Vec<Option<i64>> = cases.iter().flat_map(|case| &case.labels).copied().collect();
        frame.jumps.push(Jump { repeats: false, broke: 0, continued: 0 });
        let (mut running, mut entered) = (0, 0);
        for Case { labels, body, ends } in cases {
            for lane in each(active) {
                let meant = if named.contains(&values[lane]) { values[lane] } else { None };
                if labels.contains(&meant) {
                    running |= 1 << lane;
                    entered |= 1 << lane;
                }
            }
            running = self.block(frame, body, running);
            if *ends {
                frame.jumps.last_mut().expect("pushed above").broke |= running;
                running = 0;
            }
        }
        let jump = frame.jumps.pop().expect("pushed above");
        // A `continue` inside belongs to the enclosing loop.
        running | jump.broke | active & !entered
    }

    /// Calls a function for all active threads together.
    fn call(
        &mut self,
        frame: &mut Frame<'a>,
        to: &'a Option<Place>,
        function: usize,
        arguments: &'a [Argument],
        active: Lanes,
    ) {
        let routine = &self.program.functions[function];
        let mut inner = self.frame(routine, None);
        let kept: Vec<usize> = self.memory.iter().map(Vec::len).collect();
        for lane in each(active) {
            for (index, argument) in arguments.iter().enumerate() {
                match argument {
                    Argument::Value(value) => {
                        let value = self.expr(frame, value, lane);
                        self.declare(&mut inner, Variable(index), value, lane);
                    }
                    Argument::Place(place) => {
                        inner.places[index][lane] = self.locate(frame, place, lane);
                    }
                }
            }
        }
        self.block(&mut inner, &routine.body, active);
        for lane in each(active) {
            if let (Some(to), Some(value), Some(ty)) =
                (to, inner.results[lane].take(), &routine.result)
            {
                self.assign(frame, to, value.convert(ty), lane);
            }
            self.memory[lane].truncate(kept[lane]);
        }
    }

    /// Calls a routine for one thread.
    fn alone(
        &mut self,
        mut inner: Frame<'a>,
        arguments: Vec<Value>,
        skipped: usize,
        lane: usize,
    ) -> Option<Value> {
        let kept = self.memory[lane].len();
        for (index, value) in arguments.into_iter().enumerate() {
            self.declare(&mut inner, Variable(skipped + index), value, lane);
        }
        let body = &inner.routine.body;
        self.block(&mut inner, body, 1 << lane);
        self.memory[lane].truncate(kept);
        let ty = inner.routine.result.as_ref()?.resolve(inner.arguments);
        Some(inner.results[lane].take().expect("every path returns").convert(&ty))
    }

    fn method(
        &mut self,
        frame: &Frame<'a>,
        object: &Place,
        method: usize,
        arguments: &[Expr],
        lane: usize,
    ) -> Option<Value> {
        let Type::Struct(index, list) = self.scope(frame).place(object) else {
            unreachable!("a method of a structure");
        };
        let arguments = arguments.iter().map(|value| self.expr(frame, value, lane)).collect();
        let mut inner = self.frame(&self.program.structs[index].methods[method], list);
        inner.places[0][lane] = self.locate(frame, object, lane);
        self.alone(inner, arguments, 1, lane)
    }

    fn conversions(&self) -> &'a Conversions {
        self.program.structs[NAMED].conversions.as_ref().expect("they are made")
    }

    // ---- expressions

    fn expr(&mut self, frame: &Frame<'a>, expr: &Expr, lane: usize) -> Value {
        match expr {
            Expr::Literal(scalar, bits) => Value::scalar(*scalar, *bits),
            Expr::Read(place) => {
                let ty = self.scope(frame).place(place);
                let location = self.locate(frame, place, lane);
                self.read(&location, ty, lane)
            }
            Expr::Input(input) => {
                let value = match input {
                    Input::Position => self.first + lane,
                    Input::Local => lane,
                    Input::Group => self.first / self.program.group,
                    Input::Lane => lane % 32,
                    Input::SimdGroup => lane / 32,
                };
                Value::scalar(Scalar::U32, value as u64)
            }
            Expr::Count => {
                let count = frame.arguments.expect("in a template").count;
                Value::scalar(Scalar::I32, count as u64)
            }
            Expr::Buffer(index, scalar, at) => {
                let at = self.expr(frame, at, lane).index() & (INPUTS - 1);
                Value::scalar(*scalar, self.program.buffers[*index].1[at])
            }
            Expr::Table(index, scalar, at) => {
                let at = self.expr(frame, at, lane).index() & 7;
                Value::scalar(*scalar, self.program.tables[*index].1[at])
            }
            Expr::Unary(op, value) => {
                let ty = self.scope(frame).expr(expr);
                let value = self.expr(frame, value, lane);
                let value = if *op == Unary::Not { value } else { value.convert(&ty) };
                let (scalar, _) = value.ty.arithmetic().expect("a number");
                let to = |&cell: &u64| match op {
                    Unary::Not => {
                        numbers::unary(*op, scalar, numbers::convert(scalar, Scalar::Bool, cell))
                    }
                    _ => numbers::unary(*op, scalar, cell),
                };
                Value { ty, cells: value.cells.iter().map(to).collect() }
            }
            Expr::Binary(op, a, b) => {
                let a = self.expr(frame, a, lane);
                binary(*op, a, self.expr(frame, b, lane))
            }
            Expr::Logical(and, a, b) => {
                let first = self.expr(frame, a, lane).truth();
                let truth = if first == *and { self.expr(frame, b, lane).truth() } else { first };
                Value::scalar(Scalar::Bool, truth.into())
            }
            Expr::Conditional(condition, yes, no) => {
                let ty = self.scope(frame).expr(expr);
                let chosen = if self.expr(frame, condition, lane).truth() { yes } else { no };
                self.expr(frame, chosen, lane).convert(&ty)
            }
            Expr::Convert(ty, value, _) => {
                let ty = ty.resolve(frame.arguments);
                self.expr(frame, value, lane).convert(&ty)
            }
            Expr::Compose(scalar, width, parts) => {
                let mut cells = Vec::new();
                for part in parts {
                    let value = self.expr(frame, part, lane);
                    let (_, width) = value.ty.arithmetic().expect("numbers");
                    cells.extend(value.convert(&Type::of(*scalar, width)).cells);
                }
                if cells.len() == 1 {
                    cells = vec![cells[0]; *width];
                }
                Value { ty: Type::of(*scalar, *width), cells }
            }
            Expr::Swizzle(value, picks) => {
                let ty = self.scope(frame).expr(expr);
                let value = self.expr(frame, value, lane);
                Value { ty, cells: picks.iter().map(|&pick| value.cells[pick]).collect() }
            }
            Expr::Select(a, b, condition) => {
                let (a, b) = (self.expr(frame, a, lane), self.expr(frame, b, lane));
                let condition = self.expr(frame, condition, lane);
                let cell = |k: usize| if condition.cells[k] != 0 { b.cells[k] } else { a.cells[k] };
                Value { cells: (0..a.cells.len()).map(cell).collect(), ty: a.ty }
            }
            Expr::Library(function, arguments) => {
                let values: Vec<Value> =
                    arguments.iter().map(|value| self.expr(frame, value, lane)).collect();
                let (scalar, width) = values[0].ty.arithmetic().expect("numbers");
                let cell = |k: usize| {
                    let cells: Vec<u64> = values.iter().map(|value| value.cells[k]).collect();
                    numbers::library(*function, scalar, &cells)
                };
                let ty = Type::of(numbers::result(*function, scalar), width);
                Value { ty, cells: (0..width).map(cell).collect() }
            }
            Expr::Call(function, list, arguments) => {
                let arguments =
                    arguments.iter().map(|value| self.expr(frame, value, lane)).collect();
                let inner = self.frame(&self.program.functions[*function], *list);
                self.alone(inner, arguments, 0, lane).expect("a function with a result")
            }
            Expr::Implicit(object) => {
                let mut inner = self.frame(&self.conversions().to, None);
                inner.places[0][lane] = self.locate(frame, object, lane);
                self.alone(inner, Vec::new(), 1, lane).expect("a conversion has a result")
            }
            Expr::Made(value) => {
                let value = self.expr(frame, value, lane);
                let ty = Type::Struct(NAMED, None);
                let object = self.memory[lane].len();
                let cells = vec![0; self.cells(&ty)];
                self.memory[lane].push(cells);
                let mut inner = self.frame(&self.conversions().from, None);
                inner.places[0][lane] = Location { object, ..Location::default() };
                self.alone(inner, vec![value], 1, lane);
                let cells = self.memory[lane].pop().expect("the object");
                Value { ty, cells }
            }
            Expr::Member(object, scalar, value) => {
                let value = self.expr(frame, value, lane);
                let arguments = Arguments { scalar: *scalar, count: 1 };
                let mut inner = self.frame(&self.conversions().member, Some(arguments));
                inner.places[0][lane] = self.locate(frame, object, lane);
                self.alone(inner, vec![value], 1, lane).expect("a member with a result")
            }
            Expr::Method(object, method, arguments) => self
                .method(frame, object, *method, arguments, lane)
                .expect("a method with a result"),
        }
    }
}

/// An operator between two scalars in their common type, or component by component.
fn binary(op: Binary, a: Value, b: Value) -> Value {
    let (Some((x, left)), Some((y, right))) = (a.ty.arithmetic(), b.ty.arithmetic()) else {
        unreachable!("operators take numbers");
    };
    let scalar = match (left, right) {
        // [expr.shift]: the operands are promoted separately.
        (1, 1) if op.shifts() => numbers::promoted(x),
        (1, 1) => numbers::common(x, y),
        (1, _) => y,
        _ => x,
    };
    let width = left.max(right);
    let cell = |value: &Value, from: Scalar, k: usize| {
        let bits = value.cells[if value.cells.len() == 1 { 0 } else { k }];
        // A shift uses only the low bits of its count, whatever its type.
        if op.shifts() && from.bytes() > scalar.bytes() {
            bits & u64::from(numbers::width(scalar) - 1)
        } else {
            numbers::convert(from, scalar, bits)
        }
    };
    let cells = (0..width).map(|k| numbers::binary(op, scalar, cell(&a, x, k), cell(&b, y, k)));
    let cells = cells.collect();
    Value { ty: Type::of(if op.compares() { Scalar::Bool } else { scalar }, width), cells }
}

/// The result of a SIMD-group function for one thread, from the values of the active threads (MSL 6.9.2).
fn together(across: Across, values: &[Option<Value>], lane: usize) -> Value {
    let active = || values.iter().flatten().cloned();
    let fold = |op: Binary, values: &mut dyn Iterator<Item = Value>| {
        values.reduce(|a, b| {
            let ty = a.ty.clone();
            binary(op, a, b).convert(&ty)
        })
    };
    let best = |less: Binary| {
        active().reduce(|a, b| if binary(less, b.clone(), a.clone()).truth() { b } else { a })
    };
    let of = |lane: usize| values.get(lane).cloned().flatten();
    let before = &mut values[..lane].iter().flatten().cloned();
    let value = match across {
        Across::Sum => fold(Binary::Add, &mut active()),
        Across::Min => best(Binary::Less),
        Across::Max => best(Binary::Greater),
        Across::And => fold(Binary::And, &mut active()),
        Across::Or => fold(Binary::Or, &mut active()),
        Across::Xor => fold(Binary::Xor, &mut active()),
        Across::InclusiveSum => fold(Binary::Add, &mut before.chain(of(lane))),
        Across::ExclusiveSum => {
            let zero = Value::scalar(Scalar::I32, 0).convert(&of(lane).expect("active").ty);
            fold(Binary::Add, &mut std::iter::once(zero).chain(before))
        }
        Across::BroadcastFirst => active().next(),
        Across::ShuffleXor(mask) => of(lane ^ mask),
        Across::Broadcast(from) => of(from),
        Across::ShuffleUp(delta) => of(lane.checked_sub(delta).unwrap_or(lane)),
        Across::RotateDown(delta) => of((lane + delta) % 32),
    };
    value.expect("the threads that are read are active")
}
