//! Scalarisation: vector arithmetic becomes arithmetic on components, and copies become loads and stores.
//!
//! After it, the only vector values are loads, the operands of stores, matrices, and what goes to and comes
//! from textures: loads and stores stay whole, so that one check covers them.

use crate::soft::ir::walk::Rebuild;
use crate::soft::ir::{Function, FunctionBuilder, Inst, Op, Rule, Scalar, Type, Value, VarId};

/// Rewrites a function without calls.
pub(crate) fn run(function: &Function) -> Function {
    let out = FunctionBuilder::new(&function.name, function.params.clone(), function.result);
    let mut out = out.reserved_for(function);
    let variables = function
        .variables
        .iter()
        .map(|variable| {
            let ty = match variable.ty {
                Type::Vector(scalar, _) => Type::Scalar(scalar),
                other => other,
            };
            let first = out.variable(&variable.name, ty);
            (1..variable.ty.width()).for_each(|_| _ = out.variable(&variable.name, ty));
            (first, variable.ty.width())
        })
        .collect();
    for local in &function.locals {
        out.local_like(local.clone());
    }
    let mut pass =
        Scalarise { function, out, variables, parts: vec![Parts::NONE; function.insts.len()] };
    pass.block(&function.body);
    pass.out.finish()
}

/// The values of the components that a value of the old function became.
#[derive(Clone, Copy)]
struct Parts {
    list: [Value; 4],
    width: u8,
}

impl Parts {
    const NONE: Self = Self { list: [Value(u32::MAX); 4], width: 0 };

    fn new(parts: &[Value]) -> Self {
        let mut list = Self::NONE.list;
        list[..parts.len()].copy_from_slice(parts);
        Self { list, width: parts.len() as u8 }
    }

    /// Components in order; at most four.
    fn of(parts: impl Iterator<Item = Value>) -> Self {
        let mut all = Self::NONE;
        for part in parts {
            all.list[all.width as usize] = part;
            all.width += 1;
        }
        all
    }

    fn get(&self) -> &[Value] {
        &self.list[..self.width as usize]
    }

    /// The component, or the scalar that all of them are equal to.
    fn at(&self, component: usize) -> Value {
        if self.width == 1 { self.list[0] } else { self.list[component] }
    }
}

struct Scalarise<'a> {
    function: &'a Function,
    out: FunctionBuilder,
    /// The variables of the components of each old variable: the first, and their number.
    variables: Vec<(VarId, u32)>,
    parts: Vec<Parts>,
}

/// The largest copy that is written out.
const LONGEST_COPY: u32 = 256;

impl<'a> Rebuild<'a> for Scalarise<'a> {
    fn source(&self) -> &'a Function {
        self.function
    }

    fn out(&mut self) -> &mut FunctionBuilder {
        &mut self.out
    }

    fn instruction(&mut self, value: Value) {
        self.parts[value.index()] = self.components(self.function.inst(value));
    }

    fn value(&mut self, value: Value) -> Value {
        let parts = self.of(value);
        let width = self.function.ty(value).width() as usize;
        let list = Parts::of((0..width).map(|component| parts.at(component)));
        self.vector(list.get())
    }
}

impl Scalarise<'_> {
    /// The variables of the components of an old variable.
    fn variables(&self, old: u64) -> impl Iterator<Item = VarId> + use<> {
        let (first, width) = self.variables[old as usize];
        (first.0..first.0 + width).map(VarId)
    }

    /// The components of an old value.
    fn of(&mut self, value: Value) -> Parts {
        let inst = self.function.inst(value);
        if inst.op.is_free() && self.parts[value.index()].width == 0 {
            let new = self.free(inst);
            self.parts[value.index()] = Parts::new(&[new]);
        }
        self.parts[value.index()]
    }

    fn free(&mut self, inst: &Inst) -> Value {
        self.out.free(inst.op, inst.ty, inst.imm)
    }

    /// A vector of components; a single component is returned as it is.
    fn vector(&mut self, parts: &[Value]) -> Value {
        if let &[one] = parts { one } else { self.out.op(Op::Compose, parts) }
    }

    /// The components of a new vector value.
    fn split(&mut self, value: Value) -> Parts {
        match self.out.ty(value).width() {
            width @ 2.. => {
                let parts: Vec<Value> = (0..width).map(|k| self.out.extract(value, k)).collect();
                Parts::new(&parts)
            }
            _ => Parts::new(&[value]),
        }
    }

    fn components(&mut self, inst: &Inst) -> Parts {
        let width = inst.ty.width() as usize;
        let mut list = [Parts::NONE; 6];
        for (parts, &arg) in list.iter_mut().zip(inst.args.iter()) {
            *parts = self.of(arg);
        }
        let args = &list[..inst.args.len()];
        // The operands at a component.
        let at = |k: usize| {
            let mut list = inst.args;
            list.iter_mut().zip(args).for_each(|(value, parts)| *value = parts.at(k));
            list
        };
        match inst.op.row().rule {
            Rule::Same(..)
            | Rule::Compare(_)
            | Rule::Test(_)
            | Rule::To(..)
            | Rule::Select
            | Rule::Scale
            | Rule::Convert
            | Rule::Across(_)
            | Rule::Shuffle
            | Rule::ShuffleFill => {
                let ty = inst.ty.scalar().map_or(inst.ty, Type::Scalar);
                Parts::of((0..width).map(|k| self.out.emit(inst.op, ty, &at(k), inst.imm)))
            }
            Rule::Given if inst.op == Op::Get => {
                Parts::of(self.variables(inst.imm).map(|variable| self.out.get(variable)))
            }
            Rule::Set => {
                for (k, variable) in self.variables(inst.imm).enumerate() {
                    self.out.set(variable, args[0].at(k));
                }
                Parts::NONE
            }
            Rule::Compose => {
                let parts: Vec<Value> = args.iter().map(|arg| arg.at(0)).collect();
                Parts::new(&parts)
            }
            Rule::Splat => Parts::new(&vec![args[0].at(0); width]),
            Rule::Extract => Parts::new(&[args[0].at(inst.imm as usize)]),
            Rule::Insert => {
                let mut parts = args[0];
                parts.list[inst.imm as usize] = args[1].at(0);
                parts
            }
            Rule::Swizzle => {
                let parts: Vec<Value> = (0..width)
                    .map(|k| {
                        let pick = (inst.imm >> (4 * k) & 15) as usize;
                        args[pick / 4].at(pick % 4)
                    })
                    .collect();
                Parts::new(&parts)
            }
            Rule::ExtractAt => {
                let (vector, index) = (args[0], args[1].at(0));
                let mut found = vector.at(0);
                for k in 1..vector.get().len() {
                    let here = self.is_component(index, k, vector.get().len());
                    found = self.out.op(Op::Select, &[here, vector.at(k), found]);
                }
                Parts::new(&[found])
            }
            Rule::InsertAt => {
                let (vector, scalar, index) = (args[0], args[1].at(0), args[2].at(0));
                let count = vector.get().len();
                let parts: Vec<Value> = (0..count)
                    .map(|k| {
                        let here = self.is_component(index, k, count);
                        self.out.op(Op::Select, &[here, scalar, vector.at(k)])
                    })
                    .collect();
                Parts::new(&parts)
            }
            Rule::Dot => {
                let (a, b) = (args[0], args[1]);
                let mut sum = self.out.mul(a.at(0), b.at(0));
                for k in 1..a.get().len() {
                    let product = self.out.mul(a.at(k), b.at(k));
                    sum = self.out.add(sum, product);
                }
                Parts::new(&[sum])
            }
            Rule::Reduce => {
                let op = if inst.op == Op::All { Op::And } else { Op::Or };
                let mut all = args[0].at(0);
                for k in 1..args[0].get().len() {
                    all = self.out.op(op, &[all, args[0].at(k)]);
                }
                Parts::new(&[all])
            }
            Rule::Bitcast => self.bitcast(inst, args[0]),
            Rule::Load => {
                let value = self.out.emit(Op::Load, inst.ty, &[args[0].at(0)], 0);
                self.split(value)
            }
            Rule::Store => {
                let value = self.vector(args[1].get());
                self.out.store(args[0].at(0), value);
                Parts::NONE
            }
            Rule::MatrixLoad => {
                let args: Vec<Value> = args.iter().map(|arg| arg.at(0)).collect();
                let value = self.out.emit(inst.op, inst.ty, &args, 0);
                self.split(value)
            }
            Rule::MatrixStore => {
                let matrix = self.vector(args[3].get());
                let args = [args[0].at(0), args[1].at(0), args[2].at(0), matrix];
                self.out.op(inst.op, &args);
                Parts::NONE
            }
            Rule::MatrixMultiplyAdd | Rule::Exactly(..) => {
                let args: Vec<Value> = args.iter().map(|arg| self.vector(arg.get())).collect();
                let value = self.out.emit(inst.op, inst.ty, &args, inst.imm);
                self.split(value)
            }
            Rule::Copy => {
                self.copy(args[0].at(0), args[1].at(0), inst.imm as u32);
                Parts::NONE
            }
            _ => Parts::new(&[self.out.emit(inst.op, inst.ty, &at(0), inst.imm)]),
        }
    }

    /// Whether `index`, taken modulo the width, is `k`. The widths are not all powers of two; beyond the
    /// width any component will do.
    fn is_component(&mut self, index: Value, k: usize, width: usize) -> Value {
        let Type::Scalar(scalar) = self.out.ty(index) else { unreachable!("an index is a scalar") };
        let low = self.out.int(scalar, width.next_power_of_two() as i64 - 1);
        let index = self.out.op(Op::And, &[index, low]);
        let k = self.out.int(scalar, k as i64);
        self.out.op(Op::Eq, &[index, k])
    }

    /// Reinterprets bits as another shape, through integers as wide as the narrower components.
    fn bitcast(&mut self, inst: &Inst, from: Parts) -> Parts {
        let Some(to) = inst.ty.scalar() else { return from };
        let source = match self.out.ty(from.at(0)) {
            Type::Scalar(scalar) => scalar,
            _ => return from,
        };
        let (narrow, wide) = (source.bytes().min(to.bytes()), source.bytes().max(to.bytes()));
        let ratio = (wide / narrow) as usize;
        let mut parts = Vec::new();
        if source.bytes() == to.bytes() {
            parts.extend(from.get().iter().map(|&part| self.out.bitcast(part, Type::Scalar(to))));
        } else if source.bytes() < to.bytes() {
            let big = unsigned(to.bytes());
            for group in from.get().chunks(ratio) {
                let mut bits = None;
                for (k, &part) in group.iter().enumerate() {
                    let part = self.out.bitcast(part, Type::Scalar(unsigned(narrow)));
                    let part = self.out.convert(part, Type::Scalar(big));
                    let shift = self.out.int(big, i64::from(8 * narrow) * k as i64);
                    let part = self.out.op(Op::Shl, &[part, shift]);
                    bits = Some(bits.map_or(part, |bits| self.out.op(Op::Or, &[bits, part])));
                }
                let bits = bits.unwrap_or(from.at(0));
                parts.push(self.out.bitcast(bits, Type::Scalar(to)));
            }
        } else {
            let big = unsigned(source.bytes());
            for &part in from.get() {
                let bits = self.out.bitcast(part, Type::Scalar(big));
                for k in 0..ratio {
                    let shift = self.out.int(big, i64::from(8 * narrow) * k as i64);
                    let piece = self.out.op(Op::Shr, &[bits, shift]);
                    let piece = self.out.convert(piece, Type::Scalar(unsigned(narrow)));
                    parts.push(self.out.bitcast(piece, Type::Scalar(to)));
                }
            }
        }
        Parts::new(&parts)
    }

    /// Copies words, then the remaining bytes; long copies use a loop over the words.
    fn copy(&mut self, to: Value, from: Value, bytes: u32) {
        let words = bytes / 4;
        if bytes > LONGEST_COPY {
            let i = self.out.variable("", Type::U32);
            let (zero, one, count) = (self.out.u32(0), self.out.u32(1), self.out.u32(words));
            self.out.set(i, zero);
            self.out.begin_loop();
            let at = self.out.get(i);
            let more = self.out.lt(at, count);
            let done = self.out.op(Op::Not, &[more]);
            self.out.break_if(done);
            let (source, target) = (self.out.index(from, at, 4), self.out.index(to, at, 4));
            let word = self.out.load(source, Type::U32);
            self.out.store(target, word);
            self.out.begin_next();
            let at = self.out.get(i);
            let next = self.out.add(at, one);
            self.out.set(i, next);
            self.out.end_loop();
        } else {
            // Four words at a time: each access has a fixed cost.
            let mut word = 0;
            while let Some(width) = [4, 2, 1].into_iter().find(|&width| word + width <= words) {
                self.move_one(to, from, i64::from(word) * 4, Type::of(Scalar::U32, width));
                word += width;
            }
        }
        for byte in words * 4..bytes {
            self.move_one(to, from, byte.into(), Type::Scalar(Scalar::U8));
        }
    }

    fn move_one(&mut self, to: Value, from: Value, at: i64, ty: Type) {
        let (source, target) = (self.out.field(from, at), self.out.field(to, at));
        let value = self.out.load(source, ty);
        self.out.store(target, value);
    }
}

/// The unsigned integer of `bytes` bytes.
fn unsigned(bytes: u32) -> Scalar {
    match bytes {
        1 => Scalar::U8,
        2 => Scalar::U16,
        4 => Scalar::U32,
        _ => Scalar::U64,
    }
}
