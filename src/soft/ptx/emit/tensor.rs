//! Products of matrices by tensor cores. The elements of the factors must be halves or bfloats that were converted to `f32`, which is exact.
//! The products are exact, too, but their sums are rounded in another way than by a chain of fused multiply-adds; so this is for programs that
//! allow fast math.
//!
//! A tensor core multiplies 16 by 8 elements with 8 by 8: two matrices of SIMD-groups, above each other, with one. Its layout of lanes is
//! Metal's, if lane `(a b c d e)`, in bits, has the number `(a d b c e)`. So the lanes of the whole kernel are numbered in this way, and elements
//! need not be exchanged, except that the right factor is transposed.

use std::collections::{HashMap, HashSet};

use super::super::text::{Kind, Reg, Text, ptx};
use super::Emit;
use super::value::is_across;
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Effect, Function, Op, Scalar, Stmt, Type, Value};

/// Moves of bits of a thread's number: those of a mask, to the left or to the right.
const MOVES: [(u32, &str, u32); 3] =
    [(!0b01110, "shl", 0), (0b00010, "shl", 2), (0b01100, "shr", 1)];
const MOVES_BACK: [(u32, &str, u32); 3] =
    [(!0b01110, "shl", 0), (0b01000, "shr", 2), (0b00110, "shl", 1)];

fn move_bits(text: &mut Text, from: Reg, to: Reg, moves: [(u32, &str, u32); 3]) {
    let [own, parts @ ..] = moves;
    let (all, part) = (text.reg(Kind::Word), text.reg(Kind::Word));
    ptx!(text, "and.b32 {all}, {from}, {};", own.0 as i32);
    for (mask, direction, by) in parts {
        ptx!(text, "and.b32 {part}, {from}, {mask};");
        ptx!(text, "{direction}.b32 {part}, {part}, {by};");
        ptx!(text, "or.b32 {all}, {all}, {part};");
    }
    ptx!(text, "mov.b32 {to}, {all};");
}

/// Numbers the lanes: of the hardware's position in a row of whole warps becomes the thread's.
pub(super) fn number_lanes(text: &mut Text, position: Reg) {
    move_bits(text, position, position, MOVES);
}

/// Whether tensor cores may multiply matrices of a kernel, and nothing else in it depends on which lane is which thread.
pub(crate) fn uses_tensor_cores(function: &Function) -> bool {
    let mut ops = instructions(&function.body).map(|value| function.inst(value));
    let products = instructions(&function.body).filter(|&value| factors(function, value).is_some());
    products.count() != 0 && !ops.any(|inst| is_across(inst.op))
}

/// The narrow type that both factors of a product were converted from.
pub(super) fn factors(function: &Function, product: Value) -> Option<Scalar> {
    let inst = function.inst(product);
    if inst.op != Op::MatrixMultiplyAdd {
        return None;
    }
    let [left, right] = [inst.args[0], inst.args[1]].map(|factor| narrow(function, factor));
    let (left, right) = (left?.0, right?.0);
    (left == right).then_some(left)
}

/// The values that a factor was converted from, and their type: two scalars or a vector.
pub(super) fn narrow(function: &Function, factor: Value) -> Option<(Scalar, Vec<Value>)> {
    let inst = function.inst(factor);
    let converted = |value: Value| {
        let inst = function.inst(value);
        let from = *inst.args.first().filter(|_| inst.op == Op::Convert)?;
        let scalar = function.ty(from).scalar()?;
        matches!(scalar, Scalar::F16 | Scalar::BF16).then_some((scalar, from))
    };
    if inst.op != Op::Compose {
        let (scalar, from) = converted(factor)?;
        return Some((scalar, vec![from]));
    }
    let [(first, x), (second, y)] = [converted(inst.args[0])?, converted(inst.args[1])?];
    (first == second).then(|| (first, vec![x, y]))
}

/// The products of a block and what is between them.
struct Run<'a> {
    function: &'a Function,
    /// The values that are not written yet, in order; and for each variable that is read, its value.
    pending: Vec<Value>,
    assigned: HashMap<Value, Value>,
    inside: HashSet<Value>,
    /// The factors that are ready in registers.
    left: HashMap<Value, Reg>,
    right: HashMap<Value, Reg>,
}

impl Run<'_> {
    fn is_ready(&self, value: Value) -> bool {
        let is_there = |arg: &Value| !self.inside.contains(arg);
        match self.assigned.get(&value) {
            Some(source) => is_there(source),
            None => self.function.inst(value).args.iter().all(is_there),
        }
    }

    fn done(&mut self, value: Value) {
        self.inside.remove(&value);
        self.pending.retain(|&one| one != value);
    }
}

impl Emit<'_> {
    /// The hardware's number of a lane.
    pub(super) fn hardware_lane(&mut self, lane: Reg) -> Reg {
        let reg = self.text.reg(Kind::Word);
        move_bits(&mut self.text, lane, reg, MOVES_BACK);
        reg
    }

    /// Writes the products with which a block begins, and what is between them. Returns how many statements these are.
    pub(super) fn tensor_products(&mut self, block: &[Stmt]) -> usize {
        if !self.options.tensor || !self.flow.is_whole() {
            return 0;
        }
        let function = self.function;
        let may_move = |stmt: &&Stmt| {
            let Stmt::Do(value) = **stmt else { return false };
            let inst = function.inst(value);
            match inst.op {
                Op::MatrixMultiplyAdd => true,
                Op::Get => !matches!(inst.ty, Type::Pointer(_)),
                Op::Set => !matches!(function.ty(inst.args[0]), Type::Pointer(_)),
                op => op.row().effect == Effect::Pure,
            }
        };
        let is_product =
            |stmt: &Stmt| matches!(stmt, Stmt::Do(value) if factors(function, *value).is_some());
        if !block.first().is_some_and(is_product) {
            return 0;
        }
        let statements = &block[..block.iter().take_while(may_move).count()];
        let mut run = Run {
            function,
            pending: Vec::new(),
            assigned: HashMap::new(),
            inside: HashSet::new(),
            left: HashMap::new(),
            right: HashMap::new(),
        };
        let mut sets: Vec<Value> = Vec::new();
        for value in instructions(statements) {
            let inst = function.inst(value);
            let of_variable = |set: &Value| function.inst(*set).imm == inst.imm;
            match inst.op {
                Op::Set => {
                    sets.retain(|set| !of_variable(set));
                    sets.push(value);
                    continue;
                }
                Op::Get => match sets.iter().find(|set| of_variable(set)) {
                    Some(&set) => _ = run.assigned.insert(value, function.inst(set).args[0]),
                    None => {
                        self.instruction(value);
                        continue;
                    }
                },
                _ => {}
            }
            run.pending.push(value);
            run.inside.insert(value);
        }
        let mask = self.mask();
        ptx!(self.text, "bar.warp.sync {mask};");
        while !run.pending.is_empty() {
            self.write_products(&mut run);
        }
        // Variables have their last values.
        sets.into_iter().for_each(|set| self.instruction(set));
        statements.len()
    }

    /// Writes what is ready, and then a product, or two with one right factor.
    fn write_products(&mut self, run: &mut Run<'_>) {
        let function = run.function;
        let is_product = |value: Value| function.inst(value).op == Op::MatrixMultiplyAdd;
        for value in run.pending.clone() {
            if is_product(value) || !run.is_ready(value) {
                continue;
            }
            match run.assigned.get(&value) {
                Some(&source) => self.values[value.index()] = self.value(source),
                None => self.instruction(value),
            }
            run.done(value);
        }
        let ready: Vec<Value> = run
            .pending
            .iter()
            .copied()
            .filter(|&value| is_product(value) && run.is_ready(value))
            .collect();
        let Some(&first) = ready.first() else { return };
        match factors(function, first) {
            None => self.instruction(first),
            Some(scalar) => {
                let right = function.inst(first).args[1];
                let same = |value: &&Value| function.inst(**value).args[1] == right;
                let second = ready[1..].iter().find(same).copied();
                self.product(run, scalar, first, second);
                second.into_iter().for_each(|second| run.done(second));
            }
        }
        run.done(first);
    }

    /// One instruction for one or two products.
    fn product(&mut self, run: &mut Run<'_>, scalar: Scalar, first: Value, second: Option<Value>) {
        self.has_tensor = true;
        let function = self.function;
        let factors = |value: Value| function.inst(value).args;
        let right = factors(first)[1];
        let mut registers = vec![self.left_factor(run, factors(first)[0])];
        let mut sums = self.value(factors(first)[2]);
        match second {
            Some(second) => {
                registers.push(self.left_factor(run, factors(second)[0]));
                sums.extend(self.value(factors(second)[2]));
            }
            None => {
                let zero = self.bits(Kind::Word, 0);
                registers.push(zero);
                sums.extend([zero, zero]);
            }
        }
        let right = self.right_factor(run, right);
        let results: Vec<Reg> = (0..4).map(|_| self.text.reg(Kind::Word)).collect();
        let list = |regs: &[Reg]| regs.iter().map(Reg::to_string).collect::<Vec<_>>().join(", ");
        let ty = if scalar == Scalar::F16 { "f16" } else { "bf16" };
        ptx!(
            self.text,
            "mma.sync.aligned.m16n8k8.row.col.f32.{ty}.{ty}.f32 {{{}}}, {{{}}}, {{{right}}}, {{{}}};",
            list(&results),
            list(&registers),
            list(&sums)
        );
        let (upper, lower) = results.split_at(2);
        self.values[first.index()] = upper.to_vec();
        if let Some(second) = second {
            self.values[second.index()] = lower.to_vec();
        }
    }

    /// A register with both elements of a factor, as they were before they were converted.
    fn left_factor(&mut self, run: &mut Run<'_>, factor: Value) -> Reg {
        if let Some(reg) = run.left.get(&factor) {
            return *reg;
        }
        if let Some((reg, false)) = self.loaded_fragment(factor) {
            return reg;
        }
        let (_, narrow) = narrow(run.function, factor)
            .unwrap_or_else(|| crate::soft::ir::internal_error("PTX: a factor of f32".to_owned()));
        let halves: Vec<Reg> = narrow.into_iter().flat_map(|value| self.value(value)).collect();
        let reg = self.text.reg(Kind::Word);
        ptx!(self.text, "mov.b32 {reg}, {{{}, {}}};", halves[0], halves[1]);
        run.left.insert(factor, reg);
        reg
    }

    /// The same, transposed.
    fn right_factor(&mut self, run: &mut Run<'_>, factor: Value) -> Reg {
        if let Some(reg) = run.right.get(&factor) {
            return *reg;
        }
        if let Some((reg, true)) = self.loaded_fragment(factor) {
            return reg;
        }
        let (from, reg) = (self.left_factor(run, factor), self.text.reg(Kind::Word));
        ptx!(self.text, "movmatrix.sync.aligned.m8n8.trans.b16 {reg}, {from};");
        run.right.insert(factor, reg);
        reg
    }
}

#[cfg(test)]
mod tests {
    use super::{MOVES, MOVES_BACK};

    fn moved(lane: u32, moves: [(u32, &str, u32); 3]) -> u32 {
        let part = |(mask, direction, by): (u32, &str, u32)| match direction {
            "shl" => (lane & mask) << by,
            _ => (lane & mask) >> by,
        };
        moves.into_iter().map(part).fold(0, |all, part| all | part)
    }

    #[test]
    fn lanes_have_the_elements_of_metal_and_of_tensor_cores() {
        for hardware in 0..64 {
            let thread = moved(hardware, MOVES);
            assert_eq!(moved(thread, MOVES_BACK), hardware);
            assert_eq!(thread / 32, hardware / 32);
            let bit = |at: u32| thread >> at & 1;
            // Metal's layout, and that of the PTX ISA for a left factor of 16 by 8 halves.
            let row = bit(4) << 2 | bit(2) << 1 | bit(1);
            let column = bit(3) << 2 | bit(0) << 1;
            let lane = hardware % 32;
            assert_eq!((row, column), (lane / 4, lane % 4 * 2), "{hardware}");
        }
    }
}
