//! Indices: decomposes pointer arithmetic and rebuilds it in a form that accesses can absorb.
//!
//! Sums in 64 bits, as of `size_t`, become steps of 32 bits, so that their uniform part is computed once.
//! Several indices that are known to be small become one: the rows and columns of a threadgroup's tile.
//! Both are exact: addresses are computed modulo 2^64, and an index is extended by the sign of its type.

use super::rewrite::Constants;
use crate::soft::ir::{Args, Block, Function, Input, Inst, Op, Scalar, Stmt, Type, Value};

/// Most nested operations to look through.
const DEEPEST: u32 = 8;
/// Indices of one address, at most.
const MAX_TERMS: usize = 8;

/// Rewrites the indices of a scalarised function.
pub(crate) fn run(function: &mut Function) {
    let body = std::mem::take(&mut function.body);
    let constants = Constants::default();
    let mut pass = Indices { function, constants };
    let body = pass.block(body);
    pass.function.body = body;
}

struct Indices<'a> {
    function: &'a mut Function,
    constants: Constants,
}

/// An address taken apart: `base + bytes + Σ index × scale`.
struct Sum {
    base: Value,
    bytes: i64,
    terms: Vec<(Value, i64)>,
    /// Whether a sum or a product was taken apart.
    changed: bool,
}

impl Indices<'_> {
    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(block.len());
        for stmt in block {
            match stmt {
                Stmt::Do(value) => {
                    if self.function.inst(value).op == Op::Index {
                        self.index(value, &mut out);
                    }
                    out.push(Stmt::Do(value));
                }
                other => out.push(other.map_blocks(|block| self.block(block))),
            }
        }
        out
    }

    /// Rebuilds a pointer where that is better; its operands are emitted before it.
    fn index(&mut self, value: Value, out: &mut Block) {
        let Some(mut sum) = self.taken_apart(value) else { return };
        let joined = self.join_small(&mut sum, out);
        if !joined && !sum.changed {
            return;
        }
        let ty = self.function.ty(value);
        let mut pointer = sum.base;
        let mut last = (Op::Field, Args::new(&[pointer]), sum.bytes as u64);
        for (k, &(index, scale)) in sum.terms.iter().enumerate() {
            if k > 0 || sum.bytes != 0 {
                pointer = self.emit(last.0, ty, last.1, last.2, out);
            }
            last = (Op::Index, Args::new(&[pointer, index]), scale as u64);
        }
        let inst = &mut self.function.insts[value.index()];
        (inst.op, inst.args, inst.imm) = last;
    }

    fn emit(&mut self, op: Op, ty: Type, args: Args, imm: u64, out: &mut Block) -> Value {
        self.function.put(Inst { op, ty, args, imm, span: Default::default() }, out)
    }

    fn taken_apart(&self, pointer: Value) -> Option<Sum> {
        let mut sum = Sum { base: pointer, bytes: 0, terms: Vec::new(), changed: false };
        loop {
            let inst = self.function.inst(sum.base);
            match inst.op {
                Op::Field => sum.bytes = sum.bytes.wrapping_add(inst.imm as i64),
                Op::Index => self.term(inst.args[1], inst.imm as i64, DEEPEST, &mut sum)?,
                _ => return Some(sum),
            }
            sum.base = inst.args[0];
        }
    }

    /// Adds `index × scale`, splitting 64-bit sums. `None` if there are too many terms.
    fn term(&self, index: Value, scale: i64, depth: u32, sum: &mut Sum) -> Option<()> {
        let inst = self.function.inst(index);
        let from = inst.ty.scalar()?;
        let constant = |k: usize| {
            let of = self.function.inst(*inst.args.get(k)?);
            (of.op == Op::Const).then_some(of.imm as i64)
        };
        if let Some(number) = self.function.constant_index(index) {
            sum.bytes = sum.bytes.wrapping_add(number.wrapping_mul(scale));
            return Some(());
        }
        if from.bytes() == 8 && depth > 0 {
            match (inst.op, constant(1)) {
                (Op::Convert, _) => {
                    let narrow = self.function.ty(inst.args[0]).scalar()?;
                    if narrow.is_int() && narrow.bytes() < 8 {
                        sum.changed = true;
                        return self.term(inst.args[0], scale, depth - 1, sum);
                    }
                }
                (Op::Add, _) => {
                    sum.changed = true;
                    self.term(inst.args[0], scale, depth - 1, sum)?;
                    return self.term(inst.args[1], scale, depth - 1, sum);
                }
                (Op::Mul, Some(by)) => {
                    if let Some(scale) = scale.checked_mul(by).filter(|&scale| scale > 0) {
                        sum.changed = true;
                        return self.term(inst.args[0], scale, depth - 1, sum);
                    }
                }
                (Op::Shl, Some(by @ 0..32)) => {
                    if let Some(scale) = scale.checked_mul(1 << by).filter(|&scale| scale > 0) {
                        sum.changed = true;
                        return self.term(inst.args[0], scale, depth - 1, sum);
                    }
                }
                _ => {}
            }
        }
        // A constant that is added to a narrower number, where their sum cannot wrap.
        let of = |k: usize| most(self.function, *inst.args.get(k)?, DEEPEST);
        let fits = || of(0)?.checked_add(of(1)?).filter(|&sum| sum <= limit(from));
        if inst.op == Op::Add && from.bytes() <= 4 && fits().is_some() {
            let known = |k: usize| self.function.constant_index(inst.args[k]);
            let rest = match (known(0), known(1)) {
                (Some(_), None) => Some((0, 1)),
                (None, Some(_)) => Some((1, 0)),
                _ => None,
            };
            if let Some((number, rest)) = rest
                && depth > 0
            {
                sum.changed = true;
                self.term(inst.args[number], scale, depth - 1, sum)?;
                return self.term(inst.args[rest], scale, depth - 1, sum);
            }
        }
        sum.terms.push((index, scale));
        (sum.terms.len() <= MAX_TERMS).then_some(())
    }

    /// Puts the terms with small indices together, if there are several: their sum cannot leave 31 bits.
    fn join_small(&mut self, sum: &mut Sum, out: &mut Block) -> bool {
        let mut small: Vec<(Value, i64, u64)> = Vec::new();
        let mut rest = Vec::new();
        for &(index, scale) in &sum.terms {
            match most(self.function, index, DEEPEST) {
                Some(most) if scale > 0 => small.push((index, scale, most)),
                _ => rest.push((index, scale)),
            }
        }
        let unit = small.iter().fold(0, |unit, &(_, scale, _)| common_divisor(unit, scale));
        let highest = small.iter().try_fold(0u64, |sum, &(_, scale, most)| {
            most.checked_mul((scale / unit) as u64)?.checked_add(sum)
        });
        if small.len() < 2 || highest.is_none_or(|highest| highest > i32::MAX as u64) {
            return false;
        }
        let mut joined = None;
        for (mut index, scale, _) in small {
            if self.function.ty(index) != Type::U32 {
                index = self.emit(Op::Convert, Type::U32, Args::new(&[index]), 0, out);
            }
            let factor = (scale / unit) as u64;
            if factor != 1 {
                let (op, by) = match factor.is_power_of_two() {
                    true => (Op::Shl, factor.trailing_zeros().into()),
                    false => (Op::Mul, factor),
                };
                let by = self.constants.get(self.function, Scalar::U32, by);
                index = self.emit(op, Type::U32, Args::new(&[index, by]), 0, out);
            }
            joined = Some(match joined {
                Some(before) => self.emit(Op::Add, Type::U32, Args::new(&[before, index]), 0, out),
                None => index,
            });
        }
        rest.extend(joined.map(|index| (index, unit)));
        sum.terms = rest;
        true
    }
}

fn common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The largest value of a type of integers.
fn limit(scalar: Scalar) -> u64 {
    u64::MAX >> (64 - 8 * scalar.bytes() + u32::from(scalar.is_signed()))
}

/// The largest value of an index, if that is known and the index is never negative.
fn most(function: &Function, value: Value, depth: u32) -> Option<u64> {
    let inst = function.inst(value);
    let scalar = inst.ty.scalar().filter(|scalar| scalar.is_int())?;
    let of = |k: usize| most(function, *inst.args.get(k)?, depth.checked_sub(1)?);
    let limit = limit(scalar);
    let constant = |k: usize| {
        let of = function.inst(*inst.args.get(k)?);
        (of.op == Op::Const).then_some(of.imm)
    };
    let known = match inst.op {
        Op::Const => Some(inst.imm),
        Op::Input => Input::from_imm(inst.imm).and_then(|(input, _)| input.most()).map(u64::from),
        Op::Add => of(0).zip(of(1)).and_then(|(a, b)| a.checked_add(b)),
        Op::Mul => of(0).zip(of(1)).and_then(|(a, b)| a.checked_mul(b)),
        Op::Shl => of(0)
            .zip(constant(1))
            .and_then(|(a, by)| a.checked_mul(1u64.checked_shl(u32::try_from(by).ok()?)?)),
        Op::Shr => {
            let highest = of(0).or((!scalar.is_signed()).then_some(limit));
            let bits = u64::from(8 * scalar.bytes());
            highest.zip(constant(1)).map(|(a, by)| a >> (by & (bits - 1)))
        }
        // A mask that is not negative, whatever the other operand is.
        Op::And => [of(0), of(1)].into_iter().flatten().min(),
        Op::Min if !scalar.is_signed() => [of(0), of(1)].into_iter().flatten().min(),
        // A remainder of zero's may be anything.
        Op::Rem if !scalar.is_signed() => constant(1).and_then(|by| by.checked_sub(1)),
        Op::Div if constant(1).is_some_and(|by| by != 0) && !scalar.is_signed() => of(0),
        Op::Convert => of(0),
        Op::Select => of(1).zip(of(2)).map(|(a, b)| a.max(b)),
        _ => None,
    };
    let narrow = (!scalar.is_signed() && scalar.bytes() < 4).then_some(limit);
    known.filter(|&known| known <= limit).or(narrow)
}

#[cfg(test)]
mod tests {
    use super::super::{dead, fold};
    use super::*;
    use crate::soft::ir::{AllocationId, FunctionBuilder, Space};

    /// The text of a function that loads from `tile` at what `index` adds, after the pass.
    fn after(index: impl FnOnce(&mut FunctionBuilder, Value) -> Value) -> String {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let out = b.local("out", 4);
        let tile = b.allocation(AllocationId(0), Space::Threadgroup);
        let pointer = index(&mut b, tile);
        let value = b.load(pointer, Type::F32);
        b.store(out, value);
        let mut f = b.finish();
        run(&mut f);
        fold::run(&mut f);
        dead::run(&mut f);
        f.to_string()
    }

    #[test]
    fn rows_and_columns_of_a_tile_become_one_index() {
        let text = after(|b, tile| {
            let x = b.input(Input::ThreadPositionInThreadgroup, 0);
            let y = b.input(Input::ThreadPositionInThreadgroup, 1);
            let row = b.index(tile, y, 64);
            let row = b.field(row, 256);
            b.index(row, x, 4)
        });
        assert_eq!(text.matches(" index +").count(), 1, "{text}");
        assert!(text.contains("shl thread_position_in_threadgroup.y, 4u32"), "{text}");
        assert!(text.contains("field +256, @0"), "{text}");
    }

    #[test]
    fn constants_leave_sums_that_cannot_wrap() {
        let of = |input: Input| {
            after(|b, tile| {
                let (x, sixteen, three) = (b.input(input, 0), b.u32(16), b.u32(3));
                let sum = b.add(sixteen, x);
                let sum = b.add(sum, three);
                b.index(tile, sum, 4)
            })
        };
        let text = of(Input::ThreadIndexInSimdgroup);
        assert!(text.contains("field +76, @0") && !text.contains("add"), "{text}");
        let text = of(Input::ThreadPositionInGrid);
        assert!(text.contains("add") && !text.contains("field"), "{text}");
    }

    #[test]
    fn indices_that_may_wrap_stay_apart() {
        let text = after(|b, tile| {
            let x = b.input(Input::ThreadPositionInGrid, 0);
            let y = b.input(Input::ThreadPositionInGrid, 1);
            let row = b.index(tile, y, 64);
            b.index(row, x, 4)
        });
        assert_eq!(text.matches(" index +").count(), 2, "{text}");
        assert!(!text.contains("add"), "{text}");
    }

    #[test]
    fn an_index_is_small_only_if_its_computation_cannot_wrap() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let grid = b.input(Input::ThreadPositionInGrid, 0);
        let x = b.input(Input::ThreadPositionInThreadgroup, 0);
        let by = [0, 7, 16, 22, 23].map(|n| b.u32(n));
        let cases = [
            (x, Some(1023)),
            (grid, None),
            (b.convert(x, Type::Scalar(Scalar::U8)), Some(255)),
            (b.convert(x, Type::Scalar(Scalar::I8)), None),
            (b.convert(grid, Type::Scalar(Scalar::U16)), Some(0xffff)),
            (b.op(Op::And, &[grid, by[1]]), Some(7)),
            (b.op(Op::Rem, &[grid, by[2]]), Some(15)),
            (b.op(Op::Rem, &[x, by[0]]), None),
            (b.op(Op::Div, &[x, by[0]]), None),
            (b.op(Op::Shl, &[x, by[3]]), Some(1023 << 22)),
            (b.op(Op::Shl, &[x, by[4]]), None),
            (b.op(Op::Shr, &[grid, by[3]]), Some(1023)),
            (b.sub(x, by[1]), None),
        ];
        let f = b.finish();
        for (value, want) in cases {
            assert_eq!(most(&f, value, DEEPEST), want, "{value} of {f}");
        }
    }

    #[test]
    fn sums_in_64_bits_become_steps() {
        let text = after(|b, tile| {
            let wide = Type::Scalar(Scalar::U64);
            let x = b.input(Input::ThreadPositionInGrid, 0);
            let group = b.input(Input::ThreadgroupPositionInGrid, 0);
            let (x, group) = (b.convert(x, wide), b.convert(group, wide));
            let stride = b.int(Scalar::U64, 12);
            let start = b.mul(group, stride);
            let sum = b.add(start, x);
            b.index(tile, sum, 4)
        });
        assert!(!text.contains("convert"), "{text}");
        assert!(text.contains("index +48, @0, threadgroup_position_in_grid.x"), "{text}");
        assert!(text.contains(", thread_position_in_grid.x\n"), "{text}");
    }
}
