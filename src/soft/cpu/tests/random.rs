//! Random programs on every instruction set, compared with the reference interpreter.
//!
//! Programs are well defined: every variable and local is set at the start, every access is in bounds,
//! loops end. They have divergent branches, loops that lanes leave one by one, functions, vectors, locals
//! that are indexed by values, and all types. Programs in which lanes exchange values are compared with the
//! portable interpreter instead, as the reference runs one thread after the other.

use super::reference;
use super::*;
use crate::soft::ir::{Barrier, Op, Rule, Scalar, VarId, verify};
use crate::test_random::Random;

/// Threads of a run; not a multiple of the group, nor of 32.
const THREADS: u32 = 77;
/// Elements of each local array; indices are masked to this length.
const ELEMENTS: u32 = 8;
/// 32-bit words of input, and bytes of output a thread.
const INPUTS: u32 = 64;
const OUTPUT: u32 = 128;
/// Words that atomics of integers access, and as many for floats.
const SHARED: u32 = 8;

struct Generator {
    random: Random,
    b: FunctionBuilder,
    /// The visible values of each open block.
    values: Vec<Vec<Value>>,
    variables: Vec<(VarId, Type)>,
    locals: Vec<(Value, Scalar)>,
    /// The number of open loops; `continue` is allowed where `in_body` is set.
    loops: u32,
    in_body: bool,
    budget: u32,
    callee: Option<(Vec<Type>, Type)>,
    /// The result type of the function that is being made, if it is not the kernel.
    result: Option<Type>,
    /// Whether lanes exchange values.
    across: bool,
    /// Whether there are barriers between statements of the kernel, which change nothing.
    barriers: bool,
}

const SCALARS: &[Scalar] = &[
    Scalar::I32,
    Scalar::U32,
    Scalar::F32,
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

impl Generator {
    fn new(seed: u64, b: FunctionBuilder) -> Self {
        Self {
            random: Random::new(seed),
            b,
            values: vec![Vec::new()],
            variables: Vec::new(),
            locals: Vec::new(),
            loops: 0,
            in_body: false,
            budget: 60,
            callee: None,
            result: None,
            across: false,
            barriers: false,
        }
    }

    fn ty(&mut self) -> Type {
        let scalar = self.random.pick(SCALARS);
        let width = if self.random.chance(25) { 2 + self.random.below(3) as u32 } else { 1 };
        Type::of(scalar, width)
    }

    fn know(&mut self, value: Value) -> Value {
        self.values.last_mut().unwrap().push(value);
        value
    }

    /// A constant of a scalar type.
    fn constant(&mut self, scalar: Scalar) -> Value {
        if scalar.is_float() {
            let value = self.random.pick(&[0.0f32, 1.0, -2.5, 0.125, 100.0, -0.75]);
            return self.b.constant(scalar, value.to_bits().into());
        }
        let small = self.random.below(16) as i64 - 4;
        let value = if self.random.chance(20) { self.random.next() as i64 } else { small };
        self.b.int(scalar, value)
    }

    /// A value of a type: a visible one, a variable, or one composed of others.
    fn value(&mut self, ty: Type) -> Value {
        let fitting: Vec<Value> =
            self.values.iter().flatten().copied().filter(|&v| self.b.ty(v) == ty).collect();
        if !fitting.is_empty() && self.random.chance(60) {
            return self.random.pick(&fitting);
        }
        let fitting: Vec<VarId> =
            self.variables.iter().filter(|v| v.1 == ty).map(|v| v.0).collect();
        if !fitting.is_empty() && self.random.chance(60) {
            let variable = self.random.pick(&fitting);
            let value = self.b.get(variable);
            return self.know(value);
        }
        let scalar = ty.scalar().unwrap();
        if ty.width() > 1 {
            let parts: Vec<Value> =
                (0..ty.width()).map(|_| self.value(Type::Scalar(scalar))).collect();
            let value = self.b.op(Op::Compose, &parts);
            return self.know(value);
        }
        match self.random.below(4) {
            0 => {
                let position = position(&mut self.b, 0);
                let value = self.b.convert(position, ty);
                self.know(value)
            }
            1 if scalar != Scalar::Bool => self.load_input(scalar),
            _ => self.constant(scalar),
        }
    }

    /// Reads the input at a random address in bounds, uniform or varying.
    fn load_input(&mut self, scalar: Scalar) -> Value {
        let input = device(&mut self.b, 0);
        let index_type = self.random.pick(&[Scalar::U32, Scalar::I32, Scalar::U64, Scalar::U8]);
        let index = self.value(Type::Scalar(index_type));
        let mask = self.b.int(index_type, 31);
        let index = self.b.op(Op::And, &[index, mask]);
        let pointer = self.b.index(input, index, 8);
        let value = self.b.load(pointer, Type::Scalar(scalar));
        self.know(value)
    }

    /// A new value by a random operation.
    fn operation(&mut self) -> Value {
        // Functions that are not the same bits as another's by rule, and what lone threads have not.
        let op = self.random.pick(Op::ALL);
        let op = if op.is_library() { Op::Fma } else { op };
        let ty = self.ty();
        let scalar = ty.scalar().unwrap();
        let fits = |class: crate::soft::ir::Class| class.has(scalar);
        let value = match op.row().rule {
            Rule::Same(count, class) if fits(class) => {
                let args: Vec<Value> = (0..count).map(|_| self.value(ty)).collect();
                self.b.emit(op, ty, &args, 0)
            }
            Rule::Compare(class) if fits(class) => {
                let args = [self.value(ty), self.value(ty)];
                self.b.op(op, &args)
            }
            Rule::Test(class) if fits(class) => {
                let arg = self.value(ty);
                self.b.op(op, &[arg])
            }
            Rule::Select => {
                let wide = self.random.chance(50);
                let condition = if wide { ty.with_scalar(Scalar::Bool) } else { Type::BOOL };
                let args = [self.value(condition), self.value(ty), self.value(ty)];
                self.b.op(op, &args)
            }
            Rule::Convert => {
                let from = self.random.pick(SCALARS);
                let arg = self.value(ty.with_scalar(from));
                self.b.convert(arg, ty)
            }
            Rule::Bitcast if scalar != Scalar::Bool => {
                let targets =
                    [Scalar::U8, Scalar::I16, Scalar::U32, Scalar::F32, Scalar::U64, Scalar::F16];
                let to = self.random.pick(&targets);
                let arg = self.value(ty);
                match ty.bytes() / to.bytes() {
                    width @ 1..=4 if ty.bytes().is_multiple_of(to.bytes()) => {
                        self.b.bitcast(arg, Type::of(to, width))
                    }
                    _ => arg,
                }
            }
            Rule::Splat if ty.width() > 1 => {
                let arg = self.value(Type::Scalar(scalar));
                self.b.splat(arg, ty.width())
            }
            Rule::Extract | Rule::ExtractAt if ty.width() > 1 => {
                let arg = self.value(ty);
                let index = self.value(Type::U32);
                // A width of 3 has no fourth component to find.
                let index = if ty.width() == 3 { self.b.u32(2) } else { index };
                self.b.op(Op::ExtractAt, &[arg, index])
            }
            Rule::Insert if ty.width() > 1 => {
                let (vector, part) = (self.value(ty), self.value(Type::Scalar(scalar)));
                let component = self.random.below(ty.width() as usize) as u32;
                self.b.insert(vector, part, component)
            }
            Rule::InsertAt if ty.width() > 1 => {
                let args =
                    [self.value(ty), self.value(Type::Scalar(scalar)), self.value(Type::U32)];
                self.b.op(op, &args)
            }
            Rule::Swizzle if ty.width() > 1 => {
                let arg = self.value(ty);
                let count = 1 + self.random.below(4);
                let picks: Vec<u32> =
                    (0..count).map(|_| self.random.below(ty.width() as usize) as u32).collect();
                self.b.swizzle(arg, &picks)
            }
            Rule::Dot if ty.width() > 1 && scalar.is_float() => {
                let args = [self.value(ty), self.value(ty)];
                self.b.op(op, &args)
            }
            Rule::Reduce => {
                let arg = self.value(ty.with_scalar(Scalar::Bool));
                self.b.op(op, &[arg])
            }
            Rule::Load => self.load_local(),
            _ if self.across => match self.exchange(op, scalar) {
                Some(value) => value,
                None => return self.value(ty),
            },
            _ => return self.value(ty),
        };
        self.know(value)
    }

    /// A new value by an operation across lanes on a scalar type.
    fn exchange(&mut self, op: Op, scalar: Scalar) -> Option<Value> {
        let (rule, ty) = (op.row().rule, Type::Scalar(scalar));
        let width = self.random.pick(&[32, 32, 4]);
        Some(match rule {
            Rule::Across(class) if class.has(scalar) => {
                let arg = self.value(ty);
                self.b.simd(op, width, Type::Void, &[arg])
            }
            Rule::Vote => {
                let arg = self.value(Type::BOOL);
                let wide = op == Op::SimdBallot && width == 32 && self.random.chance(50);
                let stated = match op {
                    Op::SimdBallot if wide => Type::U64,
                    Op::SimdBallot => Type::U32,
                    _ => Type::BOOL,
                };
                self.b.simd(op, width, stated, &[arg])
            }
            Rule::Given if op == Op::SimdIsFirst => self.b.simd(op, width, Type::BOOL, &[]),
            Rule::Shuffle => self.shuffle(op, ty, width),
            Rule::ShuffleFill if scalar != Scalar::Bool => self.fill(op, ty, width),
            Rule::Atomic | Rule::AtomicCompare | Rule::AtomicLoad | Rule::AtomicStore => {
                return self.atomic(op);
            }
            _ => return None,
        })
    }

    /// An atomic on one of a few shared words, at an address that may differ from lane to lane.
    fn atomic(&mut self, op: Op) -> Option<Value> {
        let logic = matches!(op, Op::AtomicAnd | Op::AtomicOr | Op::AtomicXor);
        let types = [Scalar::U32, Scalar::I32, Scalar::F32];
        let scalar = self.random.pick(&types[..if logic { 2 } else { 3 }]);
        let index = if self.random.chance(40) {
            let index = self.random.below(SHARED as usize) as u32;
            self.b.u32(index)
        } else {
            let (index, mask) = (self.value(Type::U32), self.b.u32(SHARED - 1));
            self.b.op(Op::And, &[index, mask])
        };
        // Floats have words of their own, as the payload of a NaN is unspecified.
        let shared = device(&mut self.b, 2);
        let start =
            self.b.field(shared, if scalar == Scalar::F32 { i64::from(4 * SHARED) } else { 0 });
        let pointer = self.b.index(start, index, 4);
        let ty = Type::Scalar(scalar);
        let values = match op.row().rule {
            Rule::AtomicCompare => 2,
            Rule::AtomicLoad => 0,
            _ => 1,
        };
        let mut args = vec![pointer];
        args.extend((0..values).map(|_| self.value(ty)));
        let stated = if op == Op::AtomicLoad { ty } else { Type::Void };
        let value = self.b.emit(op, stated, &args, 0);
        (op != Op::AtomicStore).then_some(value)
    }

    /// A shuffle: 0 in lanes that read an inactive one, whose value is unspecified.
    fn shuffle(&mut self, op: Op, ty: Type, width: u32) -> Value {
        let arg = self.value(ty);
        let by = if self.random.chance(50) {
            let number = self.random.below(40) as u32;
            self.b.u32(number)
        } else {
            // Lane numbers may be of any integer type.
            let by =
                if self.random.chance(20) { self.value(Type::U64) } else { self.value(Type::U32) };
            // All lanes name the same.
            if op == Op::SimdBroadcast {
                self.b.simd(Op::SimdBroadcastFirst, 32, Type::Void, &[by])
            } else {
                by
            }
        };
        let result = self.b.simd(op, width, Type::Void, &[arg, by]);
        let by = self.b.convert(by, Type::U32);
        let (own, below) = (self.lane(), self.b.u32(width - 1));
        let inside = self.b.op(Op::And, &[own, below]);
        let b = &mut self.b;
        let start = b.sub(own, inside);
        let stays = |b: &mut FunctionBuilder, limit: Value, op: Op| {
            let near = b.op(Op::Le, &[by, limit]);
            let moved = b.op(op, &[own, by]);
            b.op(Op::Select, &[near, moved, own])
        };
        let source = match op {
            Op::SimdShuffleUp => stays(b, inside, Op::Sub),
            Op::SimdShuffleDown => {
                let limit = b.sub(below, inside);
                stays(b, limit, Op::Add)
            }
            _ => {
                let lane = match op {
                    Op::SimdShuffleXor => b.op(Op::Xor, &[own, by]),
                    Op::SimdRotateUp => b.sub(own, by),
                    Op::SimdRotateDown => b.add(own, by),
                    _ => by,
                };
                let inside = b.op(Op::And, &[lane, below]);
                b.add(start, inside)
            }
        };
        self.of_active(source, result)
    }

    /// A shuffle that fills, likewise.
    fn fill(&mut self, op: Op, ty: Type, width: u32) -> Value {
        let (arg, fill) = (self.value(ty), self.value(ty));
        let modulo = if width == 4 { 4 } else { self.random.pick(&[2, 4, 8, 16, 32]) };
        let by = self.random.below(modulo as usize + 1) as u32;
        let own = self.lane();
        let b = &mut self.b;
        let (piece, distance) = (b.u32(modulo), b.u32(by));
        let result = b.simd(op, width, Type::Void, &[arg, fill, distance, piece]);
        let below = b.u32(modulo - 1);
        let inside = b.op(Op::And, &[own, below]);
        let start = b.sub(own, inside);
        let op = if op == Op::SimdFillUp { Op::Sub } else { Op::Add };
        let lane = b.op(op, &[inside, distance]);
        let lane = b.op(Op::And, &[lane, below]);
        let source = b.add(start, lane);
        self.of_active(source, result)
    }

    fn lane(&mut self) -> Value {
        self.b.input(Input::ThreadIndexInSimdgroup, 0)
    }

    /// A value if a lane is active, else 0.
    fn of_active(&mut self, lane: Value, value: Value) -> Value {
        let b = &mut self.b;
        let yes = b.int(Scalar::Bool, 1);
        let active = b.simd(Op::SimdBallot, 32, Type::U32, &[yes]);
        let one = b.u32(1);
        let bit = b.op(Op::Shr, &[active, lane]);
        let bit = b.op(Op::And, &[bit, one]);
        let is_active = b.op(Op::Eq, &[bit, one]);
        let zero = b.constant(b.ty(value).scalar().unwrap(), 0);
        b.op(Op::Select, &[is_active, value, zero])
    }

    fn element(&mut self) -> (Value, Scalar) {
        let (local, scalar) = self.random.pick(&self.locals.clone());
        let index = if self.random.chance(40) {
            let index = self.random.below(ELEMENTS as usize) as u32;
            self.b.u32(index)
        } else {
            let index = self.value(Type::U32);
            let mask = self.b.u32(ELEMENTS - 1);
            self.b.op(Op::And, &[index, mask])
        };
        (self.b.index(local, index, scalar.bytes().into()), scalar)
    }

    fn load_local(&mut self) -> Value {
        let (pointer, scalar) = self.element();
        self.b.load(pointer, Type::Scalar(scalar))
    }

    fn condition(&mut self) -> Value {
        let ty = self.random.pick(&[Type::U32, Type::I32, Type::F32, Type::BOOL, Type::U64]);
        if ty == Type::BOOL {
            return self.value(ty);
        }
        let args = [self.value(ty), self.value(ty)];
        let op = self.random.pick(&[Op::Lt, Op::Le, Op::Eq, Op::Ne]);
        let condition = self.b.op(op, &args);
        self.know(condition)
    }

    fn scope(&mut self, make: impl FnOnce(&mut Self)) {
        self.values.push(Vec::new());
        make(self);
        self.values.pop();
    }

    fn statements(&mut self, most: usize) {
        for _ in 0..1 + self.random.below(most) {
            if self.budget == 0 {
                return;
            }
            self.budget -= 1;
            self.statement();
            if self.barriers && self.values.len() == 1 && self.budget.is_multiple_of(3) {
                self.b.barrier(Barrier::Threadgroup);
            }
        }
    }

    fn assign(&mut self) {
        let (variable, ty) = self.random.pick(&self.variables.clone());
        let value = self.value(ty);
        self.b.set(variable, value);
    }

    fn statement(&mut self) {
        match self.random.below(20) {
            0..=5 => drop(self.operation()),
            6..=9 => self.assign(),
            10..=11 => {
                let (pointer, scalar) = self.element();
                let value = self.value(Type::Scalar(scalar));
                self.b.store(pointer, value);
            }
            12..=14 => {
                let condition = self.condition();
                self.b.begin_if(condition);
                self.scope(|g| g.statements(4));
                if self.random.chance(50) {
                    self.b.begin_else();
                    self.scope(|g| g.statements(4));
                }
                self.b.end_if();
            }
            15..=16 if self.loops < 2 => self.repeat(),
            17 if self.loops > 0 => {
                let condition = self.condition();
                self.b.begin_if(condition);
                if self.in_body && self.random.chance(50) {
                    self.b.continue_();
                } else {
                    self.b.break_();
                }
                self.b.end_if();
            }
            18 if self.random.chance(40) => {
                let condition = self.condition();
                self.b.begin_if(condition);
                self.scope(|g| {
                    if g.result.is_none() {
                        g.output();
                    }
                    let value = g.result.map(|ty| g.value(ty));
                    g.b.return_(value);
                });
                self.b.end_if();
            }
            19 => {
                if let Some((params, result)) = self.callee.clone() {
                    let args: Vec<Value> = params.iter().map(|&ty| self.value(ty)).collect();
                    if let Some(value) = self.b.call(FuncId(1), &args, result) {
                        self.know(value);
                    }
                }
            }
            _ => self.assign(),
        }
    }

    /// A loop with its own counter, which ends after a few iterations; their number may differ between lanes.
    fn repeat(&mut self) {
        let counter = self.b.variable("n", Type::U32);
        let (zero, one, three) = (self.b.u32(0), self.b.u32(1), self.b.u32(3));
        let limit = if self.random.chance(30) {
            three
        } else {
            let limit = self.value(Type::U32);
            self.b.op(Op::And, &[limit, three])
        };
        self.b.set(counter, zero);
        let (outer, outer_body) = (self.loops, self.in_body);
        let at_end = self.random.chance(40);
        let test = |b: &mut FunctionBuilder| {
            let now = b.get(counter);
            let more = b.lt(now, limit);
            let done = b.op(Op::Not, &[more]);
            b.break_if(done);
        };
        self.b.begin_loop();
        if !at_end {
            test(&mut self.b);
        }
        self.loops += 1;
        self.in_body = true;
        self.scope(|g| g.statements(5));
        self.b.begin_next();
        self.in_body = false;
        self.scope(|g| g.statements(1));
        let now = self.b.get(counter);
        let next = self.b.add(now, one);
        self.b.set(counter, next);
        if at_end {
            test(&mut self.b);
        }
        self.b.end_loop();
        (self.loops, self.in_body) = (outer, outer_body);
    }

    fn declare(&mut self) {
        for _ in 0..6 {
            let ty = self.ty();
            let variable = self.b.variable("v", ty);
            let scalar = ty.scalar().unwrap();
            let first = self.constant(scalar);
            let value = self.b.splat(first, ty.width());
            self.b.set(variable, value);
            self.variables.push((variable, ty));
        }
        for _ in 0..2 {
            let scalar = self.random.pick(SCALARS);
            let local = self.b.local("array", ELEMENTS * scalar.bytes());
            for element in 0..ELEMENTS {
                let pointer = self.b.field(local, i64::from(element * scalar.bytes()));
                let value = self.constant(scalar);
                self.b.store(pointer, value);
            }
            self.locals.push((local, scalar));
        }
    }

    /// Writes all variables to the thread's part of the output.
    fn output(&mut self) {
        let out = device(&mut self.b, 1);
        let i = position(&mut self.b, 0);
        let start = self.b.index(out, i, OUTPUT.into());
        let mut offset = 0;
        for (variable, ty) in self.variables.clone() {
            let pointer = self.b.field(start, offset);
            let value = self.b.get(variable);
            self.b.store(pointer, value);
            offset += i64::from(ty.bytes().next_multiple_of(4));
        }
        for (local, scalar) in self.locals.clone() {
            let to = self.b.field(start, offset);
            let bytes = 2 * scalar.bytes();
            self.b.copy(to, local, bytes);
            offset += i64::from(bytes.next_multiple_of(4));
        }
    }
}

fn program(seed: u64, across: bool) -> Module {
    let mut functions = Vec::new();
    let mut first = Generator::new(seed, kernel("random"));
    first.across = across;
    first.barriers = seed % 2 == 1;
    // A function of two parameters that the kernel may call.
    let params = vec![first.ty(), first.ty()];
    let result = first.ty();
    let builder = FunctionBuilder::new("callee", params.clone(), result);
    let mut callee = Generator::new(seed ^ 0x5555, builder);
    for index in 0..params.len() {
        let param = callee.b.param(index as u32);
        callee.know(param);
    }
    callee.result = Some(result);
    callee.budget = 15;
    callee.declare();
    callee.statements(10);
    let value = callee.value(result);
    callee.b.return_(Some(value));
    first.callee = Some((params, result));
    first.declare();
    first.statements(20);
    first.output();
    functions.push(first.b.finish());
    functions.push(callee.b.finish());
    let names = ["in", "out", "shared"].iter().zip(0..);
    let allocations = names.map(|(name, index)| buffer(name, index, Space::Device));
    let allocations = allocations.take(if across { 3 } else { 2 }).collect();
    Module {
        name: "random".into(),
        allocations,
        textures: vec![],
        samplers: vec![],
        library: Default::default(),
        functions,
        entry: FuncId(0),
    }
}

/// Compares the outputs of the reference interpreter and of each instruction set; all NaNs are treated as equal.
fn check(seed: u64) {
    let module = program(seed, false);
    verify(&module).unwrap_or_else(|invalid| panic!("seed {seed}: {invalid}\n{module}"));
    let mut memory = vec![input(seed), vec![0; (THREADS * OUTPUT) as usize]];
    reference::run(&module, THREADS, &mut memory);
    let mut want = canonical(&module, &memory[1]);
    want.resize(want.len() + 4 * SHARED as usize, 0);
    compare(seed, &module, &want);
}

/// The same for programs in which lanes exchange values.
fn check_across(seed: u64) {
    let module = program(seed, true);
    verify(&module).unwrap_or_else(|invalid| panic!("seed {seed}: {invalid}\n{module}"));
    compare(seed, &module, &output(seed, &module, Way::PLAIN));
}

fn input(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let words = (0..INPUTS).map(|k| if k % 4 == 1 { 0x3fc0_0000 } else { random.next() as u32 });
    words.flat_map(u32::to_le_bytes).collect()
}

/// The output of a program.
fn output(seed: u64, module: &Module, way: Way) -> Vec<u8> {
    let mut input = input(seed);
    let mut output = vec![0u8; (THREADS * OUTPUT) as usize];
    let mut shared = vec![0u8; 8 * SHARED as usize];
    let bindings = [bind(0, &mut input), bind(1, &mut output), bind(2, &mut shared)];
    let result = run(module, way, &launch([THREADS, 1, 1], [64, 1, 1], &bindings));
    result.unwrap_or_else(|fault| panic!("seed {seed}, {}: {fault}\n{module}", way.name()));
    let mut all = canonical(module, &output);
    all.extend(&shared[..4 * SHARED as usize]);
    all
}

/// Compares what a program writes each way.
fn compare(seed: u64, module: &Module, want: &[u8]) {
    for way in Way::all().into_iter().chain([Way::CALLS]) {
        let got = output(seed, module, way);
        if let Some(at) = (0..got.len()).find(|&at| got[at] != want[at]) {
            let (thread, offset) = (at / OUTPUT as usize, at % OUTPUT as usize);
            panic!(
                "seed {seed}, {}: thread {thread}, byte {offset}: {} instead of {}\n{module}",
                way.name(),
                got[at],
                want[at]
            );
        }
    }
}

/// The output with every NaN of the variables as the same bits: which NaN an operation yields is unspecified.
fn canonical(module: &Module, output: &[u8]) -> Vec<u8> {
    let mut output = output.to_vec();
    let kernel = module.function(module.entry);
    for thread in output.chunks_mut(OUTPUT as usize) {
        let mut offset = 0;
        for variable in kernel.variables.iter().filter(|v| v.name == "v") {
            let scalar = variable.ty.scalar().unwrap();
            let size = scalar.bytes() as usize;
            for k in 0..variable.ty.width() as usize {
                let bytes = &mut thread[offset + k * size..][..size];
                let mut raw = [0; 8];
                raw[..size].copy_from_slice(bytes);
                let bits = reference::widen(scalar, u64::from_le_bytes(raw));
                if scalar.is_float() && f32::from_bits(bits as u32).is_nan() {
                    bytes.fill(0x7f);
                }
            }
            offset += (variable.ty.bytes() as usize).next_multiple_of(4);
        }
    }
    output
}

/// Seeds of programs that failed in the past.
const FAILED: &[u64] = &[
    // Lanes that broke while others continued did not resume.
    1310, // Assignments by lanes that then returned were visible to the others.
    1515,
];

/// The same of programs in which lanes exchange values.
const FAILED_ACROSS: &[u64] = &[
    // An atomic changed what a register had before a barrier.
    213,
];

#[test]
fn random_programs_that_failed_agree_with_the_reference() {
    FAILED.iter().for_each(|&seed| check(seed));
    FAILED_ACROSS.iter().for_each(|&seed| check_across(seed));
}

fn first_seed() -> u64 {
    std::env::var("ARUMINIUM_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0)
}

#[test]
fn random_programs_agree_with_the_reference() {
    let first = first_seed();
    for seed in first..first + crate::test_scale::scaled(100) as u64 {
        check(seed);
    }
}

#[test]
fn random_programs_in_which_lanes_exchange_values_agree() {
    let first = first_seed();
    for seed in first..first + crate::test_scale::scaled(100) as u64 {
        check_across(seed);
    }
}
