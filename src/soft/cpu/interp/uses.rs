//! An analysis of uses for lowering: which values are needed at all, which reads of variables need no copy,
//! and which results can be written to a variable directly.

use crate::soft::ir::facts::uniform::Uniformity;
use crate::soft::ir::{Block, Effect, Function, Op, Rule, Scalar, Stmt, Type, Value, VarId};

use super::lanes::Conversion;
use crate::soft::ir::facts::address::Plan;

/// The results.
#[derive(Debug)]
pub(crate) struct Uses {
    needed: Vec<bool>,
    alias: Vec<bool>,
    forwarded: Vec<Option<VarId>>,
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
        for (value, at) in std::mem::take(&mut find.roots) {
            find.need(value, at);
        }
        find.aliases();
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
