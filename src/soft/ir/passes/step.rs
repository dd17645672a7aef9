//! Stepping variables: a varying pointer or number of 32 bits that is assigned once and then only moved by uniform
//! distances is split into its start and a uniform distance.
//!
//! The start is then the same in all iterations of a loop, so the 32 pointers are examined only once; the
//! distance is one number. Of a number, the difference between two lanes does not change.

use crate::soft::ir::hash::FastMap;

use super::rewrite::Constants;
use crate::soft::ir::facts::uniform::{self, Uniformity};
use crate::soft::ir::{
    Address, Args, Block, Function, Inst, Op, Scalar, Space, Stmt, Type, Value, VarId, Variable,
};

/// The type of a variable's distance, if variables of its type are split.
fn distance_type(ty: Type) -> Option<Type> {
    match ty {
        Type::Pointer(Space::Device | Space::Constant | Space::Threadgroup) => {
            Some(Type::Scalar(Scalar::I64))
        }
        Type::Scalar(Scalar::I32 | Scalar::U32) => Some(ty),
        _ => None,
    }
}

/// A number that is assigned, as another one plus or minus a third.
fn sum(function: &Function, value: Value) -> Option<(Op, Value, Value)> {
    let inst = function.inst(value);
    (matches!(inst.op, Op::Add | Op::Sub) && distance_type(inst.ty) == Some(inst.ty))
        .then(|| (inst.op, inst.args[0], inst.args[1]))
}

/// Splits the variables of a function.
pub(crate) fn run(function: &mut Function) {
    let before = uniform::analyse(function);
    let mut chosen = candidates(function, &before);
    // Splitting does not pay if the distance turns out to vary: such variables stay as they are.
    while !chosen.is_empty() {
        let mut split = function.clone();
        let distances = Step::split_variables(&mut split, &chosen);
        let after = uniform::analyse(&split);
        let varies = |distance: &VarId| !after.variables[distance.index()];
        if !distances.iter().any(varies) {
            *function = split;
            return;
        }
        let kept = chosen.iter().zip(&distances).filter(|(_, distance)| !varies(distance));
        chosen = kept.map(|(&pointer, _)| pointer).collect();
    }
}

/// The variables that vary, have one start, and are moved by uniform distances.
fn candidates(function: &Function, uniform: &Uniformity) -> Vec<VarId> {
    let variables = vec![Moves::default(); function.variables.len()];
    let mut survey = Survey { function, uniform, variables, reads: FastMap::default(), now: 0 };
    survey.block(&function.body);
    let steps = |variable: &usize| {
        let may = distance_type(function.variables[*variable].ty).is_some();
        let Moves { starts, moves, otherwise, .. } = survey.variables[*variable];
        may && starts == 1 && moves > 0 && !otherwise && !uniform.variables[*variable]
    };
    (0..function.variables.len()).filter(steps).map(|variable| VarId(variable as u32)).collect()
}

/// How a variable is assigned.
#[derive(Clone, Copy, Debug, Default)]
struct Moves {
    /// Assignments of something else.
    starts: u32,
    /// Where the last of them is, in the order of the tree.
    last_start: u32,
    /// Assignments of its old value plus a uniform distance.
    moves: u32,
    /// Whether it is moved in any other way.
    otherwise: bool,
}

struct Survey<'a> {
    function: &'a Function,
    uniform: &'a Uniformity,
    variables: Vec<Moves>,
    /// For each read of a variable, the number of its block and its position in the order of the tree.
    reads: FastMap<Value, (u32, u32)>,
    now: u32,
}

impl Survey<'_> {
    fn block(&mut self, block: &[Stmt]) {
        self.now += 1;
        let number = self.now;
        for stmt in block {
            match stmt {
                Stmt::Do(value) => self.instruction(*value, number),
                Stmt::If(_, first, second) | Stmt::Loop { body: first, next: second, .. } => {
                    self.block(first);
                    self.block(second);
                }
                _ => {}
            }
        }
    }

    fn instruction(&mut self, value: Value, block: u32) {
        self.now += 1;
        let inst = self.function.inst(value);
        match inst.op {
            Op::Get => {
                self.reads.insert(value, (block, self.now));
            }
            Op::Set => self.assignment(inst, block),
            _ => {}
        }
    }

    fn assignment(&mut self, set: &Inst, block: u32) {
        let reads = |value: Value| {
            let inst = self.function.inst(value);
            inst.op == Op::Get && inst.imm == set.imm
        };
        // The read that the variable is moved from, and by what.
        let (read, by) = match sum(self.function, set.args[0]) {
            Some((_, a, b)) if reads(a) => (a, vec![b]),
            Some((Op::Add, a, b)) => (b, vec![a]),
            _ => {
                let Address { base, terms, .. } = Address::of(self.function, set.args[0]);
                (base, terms.into_iter().map(|(index, _)| index).collect())
            }
        };
        let variable = &mut self.variables[set.imm as usize];
        if !reads(read) {
            variable.starts += 1;
            variable.last_start = self.now;
            return;
        }
        variable.moves += 1;
        let fixed = by.iter().all(|by| self.uniform.values[by.index()]);
        // There must be no new start between the read and the assignment, nor in another iteration.
        let near = self
            .reads
            .get(&read)
            .is_some_and(|&(read_in, read_at)| read_in == block && variable.last_start < read_at);
        variable.otherwise |= !(fixed && near);
    }
}

struct Step<'a> {
    function: &'a mut Function,
    /// The distance that goes with each variable that is split.
    distance: Vec<Option<VarId>>,
    constants: Constants,
}

impl Step<'_> {
    /// Splits variables, and returns the variables of their distances.
    fn split_variables(function: &mut Function, chosen: &[VarId]) -> Vec<VarId> {
        let mut distance = vec![None; function.variables.len()];
        let mut made = Vec::new();
        for &split in chosen {
            let Variable { name, ty } = function.variables[split.index()].clone();
            let ty = distance_type(ty).expect("a variable of this type was chosen");
            made.push(VarId(function.variables.len() as u32));
            function.variables.push(Variable { name, ty });
            distance[split.index()] = made.last().copied();
        }
        let body = std::mem::take(&mut function.body);
        let body = Step { constants: Constants::default(), function, distance }.block(body);
        function.body = body;
        made
    }

    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(block.len());
        for stmt in block {
            match stmt {
                Stmt::Do(value) => self.instruction(value, &mut out),
                other => out.push(other.map_blocks(|block| self.block(block))),
            }
        }
        out
    }

    fn instruction(&mut self, value: Value, out: &mut Block) {
        let inst = *self.function.inst(value);
        let split = match inst.op {
            Op::Get | Op::Set => self.distance.get(inst.imm as usize).copied().flatten(),
            _ => None,
        };
        let Some(distance) = split else { return out.push(Stmt::Do(value)) };
        let number = self.function.variables[distance.index()].ty;
        let emit = |step: &mut Self, op, ty, args: &[Value], imm, out: &mut Block| {
            step.function.put(Inst { op, ty, args: Args::new(args), imm, ..inst }, out)
        };
        if inst.op == Op::Get {
            // The value is what it was: where it starts, and the distance.
            let start = self.function.put(inst, out);
            let by = emit(self, Op::Get, number, &[], distance.0.into(), out);
            let whole = &mut self.function.insts[value.index()];
            let (op, imm) = if inst.ty == number { (Op::Add, 0) } else { (Op::Index, 1) };
            (whole.op, whole.args, whole.imm) = (op, Args::new(&[start, by]), imm);
            return out.push(Stmt::Do(value));
        }
        if let Some(scalar @ (Scalar::I32 | Scalar::U32)) = number.scalar() {
            // The distance in the sum that replaced a read of the variable.
            let distance_of = |step: &Self, read: Value| {
                let (_, start, by) = sum(step.function, read)?;
                let start = step.function.inst(start);
                (start.op == Op::Get && start.imm == inst.imm).then_some(by)
            };
            let by = sum(self.function, inst.args[0]).and_then(|(op, a, b)| {
                let of = |read, by| distance_of(self, read).map(|distance| (op, distance, by));
                of(a, b).or_else(|| of(b, a).filter(|_| op == Op::Add))
            });
            let by = match by {
                Some((op, distance, by)) => emit(self, op, number, &[distance, by], 0, out),
                None => {
                    out.push(Stmt::Do(value));
                    self.constants.get(self.function, scalar, 0)
                }
            };
            emit(self, Op::Set, Type::Void, &[by], distance.0.into(), out);
            return;
        }
        // Likewise, a read that a pointer is moved from is already a start and a distance, so all terms are from the start.
        let address = Address::of(self.function, inst.args[0]);
        let base = self.function.inst(address.base);
        let moves = base.op == Op::Get && base.imm == inst.imm;
        let mut by = self.constants.get(self.function, Scalar::I64, 0);
        if moves {
            by = self.constants.get(self.function, Scalar::I64, address.bytes as u64);
            for (index, scale) in address.terms {
                let mut part = index;
                if self.function.ty(index) != number {
                    part = emit(self, Op::Convert, number, &[index], 0, out);
                }
                if scale != 1 {
                    let scale = self.constants.get(self.function, Scalar::I64, scale as u64);
                    part = emit(self, Op::Mul, number, &[part, scale], 0, out);
                }
                by = emit(self, Op::Add, number, &[by, part], 0, out);
            }
        } else {
            out.push(Stmt::Do(value));
        }
        emit(self, Op::Set, Type::Void, &[by], distance.0.into(), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{AllocationId, FunctionBuilder, Input};

    /// A pointer that starts at the lane's position and moves in a loop: by 4 bytes, or by a distance that varies.
    fn walk(by_lane: bool, anew: bool) -> Function {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let from = b.allocation(AllocationId(0), Space::Device);
        let lane = b.input(Input::ThreadPositionInGrid, 0);
        let p = b.variable("p", Type::Pointer(Space::Device));
        let (i, last) = (b.variable("i", Type::U32), b.u32(9));
        let start = b.index(from, lane, 64);
        b.set(p, start);
        b.begin_loop();
        let (now, one) = (b.get(i), b.u32(1));
        let done = b.lt(last, now);
        b.break_if(done);
        let here = b.get(p);
        let value = b.load(here, Type::F32);
        b.store(here, value);
        if anew {
            b.set(p, start);
        }
        let next = if by_lane { b.index(here, lane, 4) } else { b.field(here, 4) };
        b.set(p, next);
        b.begin_next();
        let more = b.add(now, one);
        b.set(i, more);
        b.end_loop();
        b.finish()
    }

    #[test]
    fn a_uniform_step_is_a_distance() {
        let mut f = walk(false, false);
        run(&mut f);
        let uniform = uniform::analyse(&f);
        let distance = f.variables.len() - 1;
        assert_eq!(f.variables[distance].ty, Type::Scalar(Scalar::I64));
        assert!(uniform.variables[distance], "{f}");
        let text = f.to_string();
        assert_eq!(text.matches("set $0").count(), 1, "{text}");
        assert_eq!(text.matches(&format!("set ${distance}")).count(), 2, "{text}");
    }

    #[test]
    fn varying_distances_are_not_split() {
        for (by_lane, anew) in [(true, false), (false, true)] {
            for mut f in [walk(by_lane, anew), count(by_lane, anew, Op::Add)] {
                let before = f.to_string();
                run(&mut f);
                assert_eq!(f.to_string(), before);
            }
        }
    }

    /// A number that starts at the lane's position and moves in a loop, likewise.
    fn count(by_lane: bool, anew: bool, op: Op) -> Function {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let lane = b.input(Input::ThreadPositionInGrid, 0);
        let (i, last, seven) = (b.variable("i", Type::U32), b.u32(99), b.u32(7));
        b.set(i, lane);
        b.begin_loop();
        let now = b.get(i);
        let done = b.lt(last, now);
        b.break_if(done);
        b.begin_next();
        if anew {
            b.set(i, lane);
        }
        let now = b.get(i);
        let by = if by_lane { lane } else { seven };
        let next = if op == Op::Add { b.add(by, now) } else { b.sub(now, by) };
        b.set(i, next);
        b.end_loop();
        b.finish()
    }

    #[test]
    fn a_number_has_a_uniform_distance() {
        for op in [Op::Add, Op::Sub] {
            let mut f = count(false, false, op);
            run(&mut f);
            let distance = f.variables.len() - 1;
            assert_eq!((distance, f.variables[distance].ty), (1, Type::U32));
            assert!(uniform::analyse(&f).variables[distance], "{f}");
            let text = f.to_string();
            assert_eq!(text.matches("set $0").count(), 1, "{text}");
            assert_eq!(text.matches("set $1").count(), 2, "{text}");
        }
    }
}
