//! An analysis of uses for lowering: which values are needed at all, which reads of variables need no copy,
//! which results can be written to a variable directly, and which products are fused with a sum.

use crate::soft::ir::facts::uniform::Uniformity;
use crate::soft::ir::{Block, Effect, Function, Input, Op, Rule, Scalar, Stmt, Type, Value, VarId};

use super::lanes::Conversion;
use crate::soft::ir::facts::address::Plan;
use crate::soft::ir::walk::statements;

/// The results.
#[derive(Debug)]
pub(crate) struct Uses {
    needed: Vec<bool>,
    alias: Vec<bool>,
    forwarded: Vec<Option<VarId>>,
    once: Vec<bool>,
    row_only: Vec<bool>,
    fused: Vec<Option<(Value, Value, Value)>>,
}

impl Uses {
    /// Whether a value has to be computed.
    pub(crate) fn is_needed(&self, value: Value) -> bool {
        self.needed[value.index()]
    }

    /// Whether a read of a variable can use the variable's own register: it is not assigned before the last
    /// use of the value.
    pub(crate) fn may_alias(&self, value: Value) -> bool {
        self.alias[value.index()]
    }

    /// The variable that the next statement assigns the value to, if that is its only use.
    pub(crate) fn forwarded(&self, value: Value) -> Option<VarId> {
        self.forwarded[value.index()]
    }

    /// Whether a value has a single use.
    pub(crate) fn is_used_once(&self, value: Value) -> bool {
        self.once[value.index()]
    }

    /// Whether an input is only the index of rows, each accessed once: it is then not computed where lanes
    /// turn out to be adjacent.
    pub(crate) fn is_row_only(&self, value: Value) -> bool {
        self.row_only[value.index()]
    }

    /// `(a, b, c)` where the value is `a * b + c`, the product used nowhere else.
    pub(crate) fn fused(&self, value: Value) -> Option<(Value, Value, Value)> {
        self.fused[value.index()]
    }

    /// Analyses a function; `others` are values that machine code needs, too.
    pub(crate) fn find(function: &Function, uniform: &Uniformity, others: &[Value]) -> Self {
        let count = function.insts.len();
        let mut find = Find {
            function,
            uniform,
            uses: Self {
                needed: vec![false; count],
                alias: vec![false; count],
                forwarded: vec![None; count],
                once: Vec::new(),
                row_only: Vec::new(),
                fused: vec![None; count],
            },
            count: vec![0; count],
            at: vec![0; count],
            last: vec![0; count],
            sets: vec![Vec::new(); function.variables.len()],
            loops: Vec::new(),
            now: 0,
            roots: others.iter().map(|&value| (value, u32::MAX)).collect(),
        };
        find.number(&function.body);
        find.fuse();
        for (value, at) in std::mem::take(&mut find.roots) {
            find.need(value, at);
        }
        find.rows();
        find.aliases();
        find.uses.once = find.count.iter().map(|&count| count == 1).collect();
        find.uses
    }
}

struct Find<'a> {
    function: &'a Function,
    uniform: &'a Uniformity,
    uses: Uses,
    /// How often each value is an operand.
    count: Vec<u32>,
    /// The position of each instruction, in the order of the tree.
    at: Vec<u32>,
    /// The last position that uses each value.
    last: Vec<u32>,
    /// The positions at which each variable is assigned.
    sets: Vec<Vec<u32>>,
    /// First and last position of each loop, outer before inner.
    loops: Vec<(u32, u32)>,
    now: u32,
    /// Operands of instructions with an effect.
    roots: Vec<(Value, u32)>,
}

impl Find<'_> {
    fn number(&mut self, block: &Block) {
        for (index, stmt) in block.iter().enumerate() {
            self.now += 1;
            match stmt {
                Stmt::Do(value) => self.instruction(*value, block.get(index + 1)),
                Stmt::If(condition, then, otherwise) => {
                    self.count[condition.index()] += 1;
                    self.roots.push((*condition, self.now));
                    self.number(then);
                    self.number(otherwise);
                }
                Stmt::Loop { body, next, .. } => {
                    let index = self.loops.len();
                    self.loops.push((self.now, u32::MAX));
                    self.number(body);
                    self.number(next);
                    self.now += 1;
                    self.loops[index].1 = self.now;
                }
                Stmt::Call { args, .. } => {
                    for &arg in args {
                        self.count[arg.index()] += 1;
                        self.roots.push((arg, self.now));
                    }
                }
                _ => {}
            }
        }
    }

    fn instruction(&mut self, value: Value, following: Option<&Stmt>) {
        let inst = self.function.inst(value);
        self.at[value.index()] = self.now;
        for &arg in inst.args.iter() {
            self.count[arg.index()] += 1;
        }
        if inst.op == Op::Set {
            self.sets[inst.imm as usize].push(self.now);
        }
        if let Some(Stmt::Do(next)) = following {
            let next = self.function.inst(*next);
            if next.op == Op::Set && next.args[0] == value {
                self.uses.forwarded[value.index()] = Some(VarId(next.imm as u32));
            }
        }
        if matches!(inst.op.row().effect, Effect::Writes | Effect::Syncs) {
            self.operands(value);
        }
    }

    /// Adds the operands of an instruction with an effect to the roots.
    fn operands(&mut self, value: Value) {
        let now = self.now;
        self.inputs(value).into_iter().for_each(|input| self.roots.push((input, now)));
    }

    /// The values read to compute a value: for accesses, the parts of the address.
    fn inputs(&self, value: Value) -> Vec<Value> {
        let inst = self.function.inst(value);
        if let Some((a, b, c)) = self.uses.fused[value.index()] {
            return vec![a, b, c];
        }
        match inst.op.row().rule {
            Rule::Load
            | Rule::Store
            | Rule::Atomic
            | Rule::AtomicCompare
            | Rule::AtomicLoad
            | Rule::AtomicStore => {
                let plan = Plan::of(self.function, self.uniform, inst.args[0]);
                let mut inputs = plan.leaves(self.function, self.uniform);
                inputs.extend(&inst.args[1..]);
                inputs
            }
            Rule::Index | Rule::Field => {
                let plan = Plan::of(self.function, self.uniform, value);
                let mut inputs = plan.leaves(self.function, self.uniform);
                // Computed whole, sums are not taken apart.
                inputs.extend(plan.lanes.iter().map(|&(index, _)| index));
                inputs
            }
            _ => inst.args.to_vec(),
        }
    }

    /// Finds sums of a product that has no other use.
    fn fuse(&mut self) {
        for index in 0..self.function.insts.len() {
            let inst = self.function.inst(Value(index as u32));
            let float = inst.ty == Type::Scalar(Scalar::F32);
            if inst.op != Op::Add || !float || self.at[index] == 0 || self.uniform.values[index] {
                continue;
            }
            let product = |value: Value| {
                let of = self.function.inst(value);
                of.op == Op::Mul
                    && self.count[value.index()] == 1
                    && !self.uniform.values[value.index()]
            };
            let (a, b) = (inst.args[0], inst.args[1]);
            let (product, other) = match (product(a), product(b)) {
                (true, _) => (a, b),
                (_, true) => (b, a),
                _ => continue,
            };
            let factors = self.function.inst(product).args;
            self.uses.fused[index] = Some((factors[0], factors[1], other));
        }
    }

    /// Finds the positions in the grid that are only the index of rows outside of loops.
    fn rows(&mut self) {
        let of_grid = Input::ThreadPositionInGrid.imm(0);
        let is_grid = |value: Value| {
            let inst = self.function.inst(value);
            inst.op == Op::Input && inst.imm == of_grid
        };
        let mut row_only: Vec<bool> =
            (0..self.count.len()).map(|index| is_grid(Value(index as u32))).collect();
        for index in 0..self.count.len() {
            let (value, at) = (Value(index as u32), self.at[index]);
            let inst = self.function.inst(value);
            let writes = matches!(inst.op.row().effect, Effect::Writes | Effect::Syncs);
            if at == 0 || !writes && !self.uses.needed[index] {
                continue;
            }
            let looped = self.loops.iter().any(|&(start, end)| start < at && at < end);
            let accessed = match inst.op {
                Op::Load => Some(inst.ty),
                Op::Store => Some(self.function.ty(inst.args[1])),
                _ => None,
            };
            let row = accessed.filter(|_| !looped).and_then(|ty| {
                let plan = Plan::of(self.function, self.uniform, inst.args[0]);
                plan.row(self.function, self.uniform, ty)
            });
            let stored = if inst.op == Op::Store { inst.args.get(1) } else { None };
            for input in self.inputs(value) {
                row_only[input.index()] &= row == Some(input) && stored != Some(&input);
            }
        }
        for stmt in statements(&self.function.body) {
            if let Stmt::Call { args, .. } = stmt {
                args.iter().for_each(|arg| row_only[arg.index()] = false);
            }
        }
        self.uses.row_only = row_only;
    }

    fn need(&mut self, value: Value, at: u32) {
        // An explicit stack: chains of operands can be long.
        let mut stack = vec![(value, at)];
        while let Some((value, at)) = stack.pop() {
            let index = value.index();
            let until = self.until(self.at[index], at);
            self.last[index] = self.last[index].max(until);
            let again = std::mem::replace(&mut self.uses.needed[index], true);
            if self.stands_for_operands(value) {
                stack.extend(self.inputs(value).into_iter().map(|input| (input, at)));
            } else if !again {
                let here = self.at[index];
                stack.extend(self.inputs(value).into_iter().map(|input| (input, here)));
            }
        }
    }

    /// Whether a value may share the register of its operand, which then lives as long as it does.
    fn stands_for_operands(&self, value: Value) -> bool {
        let inst = self.function.inst(value);
        match inst.op.row().rule {
            // A conversion that changes nothing but the type.
            Rule::Convert => {
                let scalar = |ty: Type| ty.scalar().unwrap_or(Scalar::U64);
                let from = scalar(self.function.ty(inst.args[0]));
                from != Scalar::Bool && Conversion::steps(from, scalar(inst.ty)).is_empty()
            }
            Rule::Extract
            | Rule::Compose
            | Rule::Bitcast
            | Rule::PointerToInt
            | Rule::IntToPointer => true,
            _ => false,
        }
    }

    /// The position until which a value defined at `from` lives for a use at `at`: the end of the outermost loop
    /// that holds the use and not the definition.
    fn until(&self, from: u32, at: u32) -> u32 {
        let inside = |&&(start, end): &&(u32, u32)| start < at && at < end && from <= start;
        self.loops.iter().find(inside).map_or(at, |&(_, end)| end)
    }

    fn aliases(&mut self) {
        for index in 0..self.function.insts.len() {
            let inst = self.function.inst(Value(index as u32));
            if self.count[index] != 1 {
                self.uses.forwarded[index] = None;
            }
            if inst.op == Op::Get {
                let (from, to) = (self.at[index], self.last[index]);
                let sets = &self.sets[inst.imm as usize];
                let next = sets.partition_point(|&set| set <= from);
                self.uses.alias[index] = sets.get(next).is_none_or(|&set| set > to);
            }
        }
    }
}
