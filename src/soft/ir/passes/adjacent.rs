//! Adjacent loads: loads of adjacent scalars at an address that differs from lane to lane become one vector load.
//! They are common where each lane walks through a row or a block of numbers.
//!
//! Only where no memory is written in between, and all lanes that read one read the others. Loads whose lanes
//! are adjacent to each other are left alone: those are contiguous already.

use crate::soft::ir::hash::FastMap;
use crate::soft::sorted;

use crate::soft::ir::facts::uniform;
use crate::soft::ir::{
    Address, Args, Block, Effect, Function, Inst, JoinedLoads, Op, Scalar, Space, Stmt, Type, Value,
};

/// Joins up to four loads of a function.
pub(crate) fn four(function: &mut Function) {
    run(function, |_| 4);
}

/// Joins loads of up to 16 bytes together.
pub(crate) fn sixteen_bytes(function: &mut Function) {
    run(function, |scalar| 16 / scalar.bytes() as usize);
}

fn run(function: &mut Function, most: fn(Scalar) -> usize) {
    let varying = uniform::analyse(function).values.into_iter().map(|uniform| !uniform).collect();
    let body = std::mem::take(&mut function.body);
    let body = Adjacent { function, varying, most }.block(body);
    function.body = body;
}

struct Adjacent<'a> {
    function: &'a mut Function,
    varying: Vec<bool>,
    /// The largest number of scalars that are loaded together.
    most: fn(Scalar) -> usize,
}

/// One load: its distance from its group's address, its position among the statements, and its value.
type Member = (i64, usize, Value);

/// The common part of loads that may be joined.
type Group = (Value, Vec<(Value, i64)>, Scalar);

impl Adjacent<'_> {
    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(block.len());
        // Statements in a row that write no memory.
        let mut open = Vec::new();
        for stmt in block {
            match stmt {
                Stmt::Do(value) if !self.separates(value) => open.push(value),
                Stmt::Do(_) => {
                    self.close(&mut open, &mut out);
                    out.push(stmt);
                }
                other => {
                    self.close(&mut open, &mut out);
                    out.push(other.map_blocks(|block| self.block(block)));
                }
            }
        }
        self.close(&mut open, &mut out);
        out
    }

    /// Whether loads may not move from one side of an instruction to the other.
    fn separates(&self, value: Value) -> bool {
        let inst = self.function.inst(value);
        match inst.op.row().effect {
            Effect::Writes => inst.op != Op::Set,
            Effect::Syncs => true,
            _ => false,
        }
    }

    /// Joins loads among consecutive statements, and emits the statements.
    fn close(&mut self, open: &mut Vec<Value>, out: &mut Block) {
        let mut groups: FastMap<Group, Vec<Member>> = FastMap::default();
        for (at, &value) in open.iter().enumerate() {
            if let Some((group, distance)) = self.group(value) {
                groups.entry(group).or_default().push((distance, at, value));
            }
        }
        // By the statement that a vector is to be loaded before.
        let mut wide: FastMap<usize, Vec<Vec<Member>>> = FastMap::default();
        for ((_, terms, scalar), mut members) in groups {
            sorted::sort(&mut members);
            members.dedup_by_key(|&mut (distance, ..)| distance);
            let next_to = |a: &Member, b: &Member| b.0.wrapping_sub(a.0) == scalar.bytes().into();
            for run in members.chunk_by(next_to) {
                let mut rest = run;
                let fits = |width: usize, rest: &[Member]| {
                    width <= rest.len() && width <= (self.most)(scalar)
                };
                while let Some(width) = [16, 8, 4, 2].into_iter().find(|&width| fits(width, rest)) {
                    let (joined, after) = rest.split_at(width);
                    rest = after;
                    let bytes = width as i64 * i64::from(scalar.bytes());
                    if self.pays(&terms, joined[0].2, bytes)
                        && let Some(first) = joined.iter().map(|&(_, at, _)| at).min()
                    {
                        wide.entry(first).or_default().push(joined.to_vec());
                    }
                }
            }
        }
        for (at, value) in std::mem::take(open).into_iter().enumerate() {
            let mut loads = wide.remove(&at).unwrap_or_default();
            // The order of a HashMap is not deterministic.
            sorted::sort(&mut loads);
            for members in loads {
                self.join(value, &members, out);
            }
            out.push(Stmt::Do(value));
        }
    }

    /// The common part of a load and those that it may be joined with, and its distance.
    fn group(&self, value: Value) -> Option<(Group, i64)> {
        let inst = self.function.inst(value);
        let Type::Scalar(scalar) = inst.ty else { return None };
        let pointer = *inst.args.first()?;
        let elsewhere = self.function.ty(pointer) == Type::Pointer(Space::Thread);
        let small = scalar != Scalar::Bool && scalar.bytes() <= 4;
        if inst.op != Op::Load || elsewhere || !small || !self.varying[value.index()] {
            return None;
        }
        let address = Address::of(self.function, pointer);
        Some(((address.base, address.terms, scalar), address.bytes))
    }

    /// Whether lanes are expected to be at least so far apart that their accesses do not overlap.
    fn pays(&self, terms: &[(Value, i64)], load: Value, bytes: i64) -> bool {
        let pointer = self.function.inst(load).args[0];
        let base = Address::of(self.function, pointer).base;
        let mut moving = terms.iter().filter(|(index, _)| self.varying[index.index()]);
        match (self.varying[base.index()], moving.next(), moving.next()) {
            (true, ..) | (_, Some(_), Some(_)) => true,
            (false, Some(&(index, scale)), None) => {
                let wide = self.function.ty(index).scalar().is_some_and(|ty| ty.bytes() == 8);
                let apart = scale.unsigned_abs().saturating_mul(1 << self.factor(index, 0).min(31));
                wide || apart >= bytes.unsigned_abs()
            }
            (false, None, _) => false,
        }
    }

    /// The power of two that divides an index as long as it does not wrap: its exponent.
    fn factor(&self, index: Value, depth: u32) -> u32 {
        let inst = self.function.inst(index);
        if let Some(number) = self.function.constant_index(index) {
            return number.trailing_zeros();
        }
        let of = |at: usize| self.factor(inst.args[at], depth + 1);
        let constant = |at: usize| self.function.constant_index(inst.args[at]);
        match inst.op {
            _ if depth > 8 => 0,
            Op::Shl => constant(1).map_or(0, |bits| of(0) + (bits as u32 & 31)),
            Op::Mul => of(0).saturating_add(of(1)),
            Op::Add | Op::Sub => of(0).min(of(1)),
            Op::Convert if self.function.ty(inst.args[0]).scalar().is_some_and(Scalar::is_int) => {
                of(0)
            }
            _ => 0,
        }
    }

    /// Loads a vector, and makes the loads its components. `first` is the load that comes first.
    fn join(&mut self, first: Value, members: &[Member], out: &mut Block) {
        let inst = *self.function.inst(first);
        let distance = |value| members.iter().find(|&&(.., member)| member == value);
        let (Some(here), Some(start), Some(scalar)) =
            (distance(first), members.first(), inst.ty.scalar())
        else {
            return;
        };
        let mut pointer = inst.args[0];
        if start.0 != here.0 {
            let ty = self.function.ty(pointer);
            let imm = (start.0 - here.0) as u64;
            let args = Args::new(&[pointer]);
            pointer = self.function.put(Inst { op: Op::Field, ty, args, imm, ..inst }, out);
        }
        let ty = Type::of(scalar, members.len() as u32);
        let mut in_order: Vec<(usize, u32, Value)> =
            (0..).zip(members).map(|(component, &(_, at, value))| (at, component, value)).collect();
        sorted::sort(&mut in_order);
        let span = |value| self.function.inst(value).span;
        let loads = in_order.into_iter().map(|(_, component, value)| (component, span(value)));
        let loads = JoinedLoads::new(loads);
        self.function.joined.push(loads);
        let imm = self.function.joined.len() as u64;
        let args = Args::new(&[pointer]);
        let vector = self.function.put(Inst { ty, args, imm, ..inst }, out);
        for (component, &(.., value)) in members.iter().enumerate() {
            let inst = &mut self.function.insts[value.index()];
            (inst.op, inst.args, inst.imm) = (Op::Extract, Args::new(&[vector]), component as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{AllocationId, FunctionBuilder, Input};

    /// Loads at these distances, by lanes that are `scale` bytes apart, with a store before the last.
    fn loads(distances: &[i64], scale: i64, store: bool) -> String {
        loads_of(Type::F32, distances, scale, store)
    }

    fn loads_of(ty: Type, distances: &[i64], scale: i64, store: bool) -> String {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let (from, to) = (AllocationId(0), AllocationId(1));
        let from = b.allocation(from, Space::Device);
        let to = b.allocation(to, Space::Device);
        let lane = b.input(Input::ThreadPositionInGrid, 0);
        let start = b.index(from, lane, scale);
        let target = b.index(to, lane, 64);
        let mut values = Vec::new();
        for (k, &distance) in distances.iter().enumerate() {
            if store && k + 1 == distances.len() {
                b.store(target, lane);
            }
            let place = b.field(start, distance);
            values.push(b.load(place, ty));
        }
        for (k, value) in values.into_iter().enumerate() {
            let place = b.field(target, 4 * k as i64);
            b.store(place, value);
        }
        let mut f = b.finish();
        sixteen_bytes(&mut f);
        f.to_string()
    }

    #[test]
    fn adjacent_loads_become_one() {
        let text = loads(&[8, 0, 4, 12, 20, 16], 64, false);
        assert!(
            text.contains("f32x4 = load.joined") && text.contains("f32x2 = load.joined"),
            "{text}"
        );
        assert!(!text.contains("f32 = load"), "{text}");
    }

    #[test]
    fn sixteen_bytes_are_loaded_together() {
        let bytes: Vec<i64> = (0..23).collect();
        let text = loads_of(Type::Scalar(Scalar::U8), &bytes, 64, false);
        for width in [16, 4, 2] {
            assert!(text.contains(&format!("u8x{width} = load.joined")), "{text}");
        }
        let text = loads(&[0, 4, 8, 12, 16, 20, 24, 28], 64, false);
        assert_eq!(text.matches("f32x4 = load.joined").count(), 2, "{text}");
    }

    #[test]
    fn lanes_are_apart_by_the_factors_of_their_index() {
        let text = |by: u32, op: fn(&mut FunctionBuilder, Value, Value) -> Value| {
            let mut b = FunctionBuilder::new("f", vec![], Type::Void);
            let (from, out) = (b.allocation(AllocationId(0), Space::Device), b.local("out", 8));
            let (lane, by) = (b.input(Input::ThreadPositionInGrid, 0), b.u32(by));
            let index = op(&mut b, lane, by);
            let start = b.index(from, index, 4);
            let values = [0, 4].map(|distance| {
                let place = b.field(start, distance);
                b.load(place, Type::F32)
            });
            let sum = b.add(values[0], values[1]);
            b.store(out, sum);
            let mut f = b.finish();
            sixteen_bytes(&mut f);
            f.to_string()
        };
        let shifted = |b: &mut FunctionBuilder, lane, by| b.op(Op::Shl, &[lane, by]);
        // A constant may be either operand.
        let product = |b: &mut FunctionBuilder, lane, by| b.op(Op::Mul, &[lane, by]);
        let multiple = |b: &mut FunctionBuilder, lane, by| b.op(Op::Mul, &[by, lane]);
        assert!(text(1, shifted).contains("f32x2 = load.joined"));
        assert!(text(2, product).contains("f32x2 = load.joined"));
        assert!(text(6, multiple).contains("f32x2 = load.joined"));
        for other in [text(0, shifted), text(3, product), text(5, multiple)] {
            assert!(!other.contains("f32x2"), "{other}");
        }
    }

    #[test]
    fn adjacency_does_not_wrap_around() {
        let text = loads(&[i64::MIN, i64::MAX - 3, 0], 64, false);
        assert!(!text.contains("f32x"), "{text}");
    }

    #[test]
    fn loads_that_are_not_adjacent_stay() {
        for (distances, scale, store) in [
            // Apart; lanes side by side; another write in between.
            (&[0, 8][..], 64, false),
            (&[0, 4], 4, false),
            (&[0, 4], 64, true),
        ] {
            let text = loads(distances, scale, store);
            assert!(!text.contains("f32x2"), "{text}");
        }
    }
}
