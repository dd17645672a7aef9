//! Which statements of a kernel become machine code: the longest runs that this back end has code for.
//!
//! A run is a sequence of statements of one block, with everything nested in them. The interpreter executes what is
//! between runs, and values that cross from one to the other are in the SIMD-group's frame.

use crate::soft::ir::hash::{FastMap, FastSet};

use super::select::{across, atomic};
use super::shape::{self, Lanes, Shapes};
use crate::soft::ir::facts::uniform::Uniformity;
use crate::soft::ir::semantics::row_scalar;
use crate::soft::ir::walk::{instructions, statements};
use crate::soft::ir::{
    Address, Barrier, Effect, Function, Inst, Op, Probe, Rule, Scalar, Stmt, Type, Value,
};

/// Runs of statements, by the address of the first.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// How many statements each has.
    pub(crate) runs: FastMap<*const Stmt, usize>,
    /// For each value, whether it is used outside of the run that computes it.
    pub(crate) leaves: Vec<bool>,
    /// Values that runs use and do not compute.
    pub(crate) entering: Vec<Value>,
    /// Whether the only run is the whole body, barriers of threadgroups and inputs included.
    pub(crate) body: bool,
}

/// How a value is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By machine code.
    Direct,
    /// Not by itself: it is an operand of addresses and stores only, which compute it as part of their own code.
    Folded,
    /// Only by the interpreter.
    Interpreted,
}

impl Plan {
    /// Plans a function whose values in `done` were computed before its first thread.
    pub(crate) fn of(function: &Function, uniform: &Uniformity, done: &[bool]) -> Self {
        let shapes = Shapes::of(function, uniform, Lanes::UNKNOWN, |_| true);
        let count = function.insts.len();
        let mut planner = Planner {
            function,
            uniform,
            shapes: &shapes,
            done,
            interpreted: FastSet::default(),
            plan: Self { leaves: vec![false; count], ..Self::default() },
            owners: vec![0; count],
            body: true,
        };
        let stmts = &function.body;
        if planner.whole_block(stmts) && !stmts.is_empty() {
            planner.plan.body = true;
            planner.take(stmts);
            planner.uses(stmts, 0);
            debug_assert!(planner.interpreted.is_empty());
            return planner.plan;
        }
        planner.body = false;
        // A value that the interpreter uses may have to be computed by the interpreter, which splits runs.
        loop {
            planner.plan = Self { leaves: vec![false; count], ..Self::default() };
            planner.owners.fill(0);
            planner.block(&function.body);
            let before = planner.interpreted.len();
            planner.uses(&function.body, 0);
            if planner.interpreted.len() == before {
                return planner.plan;
            }
        }
    }
}

struct Planner<'a> {
    function: &'a Function,
    uniform: &'a Uniformity,
    shapes: &'a Shapes,
    done: &'a [bool],
    /// Values that the interpreter has to compute.
    interpreted: FastSet<Value>,
    plan: Plan,
    /// The run that computes each value, by number from 1.
    owners: Vec<u32>,
    /// Whether a run may end threads and wait for other SIMD-groups: if it is the whole body.
    body: bool,
}

impl Planner<'_> {
    fn block(&mut self, block: &[Stmt]) {
        let mut start = 0;
        for (at, stmt) in block.iter().enumerate() {
            if self.supports(stmt, false) {
                continue;
            }
            self.run(&block[start..at]);
            start = at + 1;
            stmt.blocks().into_iter().for_each(|inner| self.block(inner));
        }
        self.run(&block[start..]);
    }

    /// Records a run if it is long enough to be worth the call.
    fn run(&mut self, stmts: &[Stmt]) {
        // The interpreter takes a few nanoseconds for an instruction, and a little more to call a run.
        const WORTH: u32 = 6;
        let weight: u32 = statements(stmts).map(|stmt| self.weight(stmt)).sum();
        if weight >= WORTH {
            self.take(stmts);
        }
    }

    /// Makes statements a run.
    fn take(&mut self, stmts: &[Stmt]) {
        let Some(first) = stmts.first() else { return };
        self.plan.runs.insert(std::ptr::from_ref(first), stmts.len());
        let number = self.plan.runs.len() as u32;
        instructions(stmts).for_each(|value| self.owners[value.index()] = number);
    }

    /// Without what is inside of the statement.
    fn weight(&self, stmt: &Stmt) -> u32 {
        match stmt {
            Stmt::Do(value) if self.done[value.index()] => 0,
            Stmt::Do(value) => match self.function.inst(*value).op {
                Op::Load | Op::Store => 3,
                _ if is_whole(self.function.inst(*value)) => 4,
                Op::Get | Op::Compose | Op::Extract => 0,
                _ if kind(self.function, self.uniform, self.shapes, *value) == Kind::Folded => 0,
                _ => 1,
            },
            Stmt::If(..) => 1,
            Stmt::Loop { .. } => 8,
            _ => 0,
        }
    }

    /// Whether an instruction may be part of a run.
    fn is_ours(&self, value: Value) -> bool {
        !self.interpreted.contains(&value)
            && kind(self.function, self.uniform, self.shapes, value) != Kind::Interpreted
    }

    fn whole_block(&self, block: &[Stmt]) -> bool {
        block.iter().all(|stmt| self.supports(stmt, false))
    }

    fn supports(&self, stmt: &Stmt, in_loop: bool) -> bool {
        match stmt {
            Stmt::Do(value) => {
                self.done[value.index()]
                    || (self.body || !is_threadgroup_barrier(self.function.inst(*value)))
                        && self.is_ours(*value)
                        && self.function.inst(*value).args.iter().all(|&arg| {
                            // Vectors do not cross from the interpreter to a run, nor from what is computed before
                            // the first thread.
                            self.function.ty(arg).width() == 1
                                || self.is_ours(arg) && !self.done[arg.index()]
                        })
            }
            Stmt::If(..) | Stmt::Loop { .. } => {
                let in_loop = in_loop || matches!(stmt, Stmt::Loop { .. });
                stmt.blocks().into_iter().flatten().all(|stmt| self.supports(stmt, in_loop))
            }
            Stmt::Break | Stmt::Continue => in_loop,
            Stmt::Return(_) => self.body,
            Stmt::Call { .. } => false,
        }
    }

    /// Records the uses of values: in the run of that number, or for 0 outside of runs.
    fn uses(&mut self, block: &[Stmt], run: u32) {
        let mut at = 0;
        while let Some(stmt) = block.get(at) {
            let length =
                if run == 0 { self.plan.runs.get(&std::ptr::from_ref(stmt)) } else { None };
            if let Some(&length) = length {
                let number = self.first_owner(&block[at..at + length]);
                self.uses(&block[at..at + length], number.unwrap_or(u32::MAX));
                at += length;
                continue;
            }
            match stmt {
                Stmt::Do(value) if !self.done[value.index()] => {
                    for arg in self.operands(*value, run != 0) {
                        self.used(arg, run);
                    }
                }
                Stmt::If(condition, ..) => {
                    self.used(*condition, run);
                    if run == 0 {
                        // The interpreter's instruction for the end of an iteration also compares.
                        for arg in self.function.inst(*condition).args.iter().copied() {
                            self.used(arg, run);
                        }
                    }
                }
                _ => {}
            }
            stmt.blocks().into_iter().for_each(|inner| self.uses(inner, run));
            at += 1;
        }
    }

    fn first_owner(&self, stmts: &[Stmt]) -> Option<u32> {
        instructions(stmts).map(|value| self.owners[value.index()]).find(|&owner| owner != 0)
    }

    /// The values that an instruction's code reads, in a run or in the interpreter.
    fn operands(&self, value: Value, native: bool) -> Vec<Value> {
        if native {
            return reads(self.function, self.uniform, self.shapes, value);
        }
        let inst = self.function.inst(value);
        let mut all = inst.args.to_vec();
        for &arg in inst.args.iter() {
            let operand = self.function.inst(arg);
            if operand.ty.space().is_some() {
                // The interpreter folds addresses, too, and sums of indices.
                let address = Address::of(self.function, arg);
                all.push(address.base);
                for (term, _) in address.terms {
                    all.push(term);
                    let index = self.function.inst(term);
                    if index.op == Op::Add {
                        all.extend(index.args.iter());
                    }
                }
            }
            // A product in a sum is not computed by itself.
            if inst.op == Op::Add && operand.op == Op::Mul {
                all.extend(operand.args.iter());
            }
        }
        all
    }

    fn used(&mut self, value: Value, run: u32) {
        let owner = self.owners[value.index()];
        if run == 0 {
            let whole = self.function.ty(value).width() > 1;
            let folded = kind(self.function, self.uniform, self.shapes, value) != Kind::Direct;
            if owner != 0 && !self.done[value.index()] && (whole || folded) {
                self.interpreted.insert(value);
            }
        }
        if run != 0 && owner != run {
            self.plan.entering.push(value);
        }
        // A vector is not carried into a run, from another or from the interpreter.
        if run != 0 && owner != run && self.function.ty(value).width() > 1 {
            self.interpreted.insert(value);
        }
        if owner != run && owner != 0 {
            self.plan.leaves[value.index()] = true;
        }
    }
}

/// The values that the machine code of an instruction reads: of a folded operand, the values that it is computed from.
pub(crate) fn reads(
    function: &Function,
    uniform: &Uniformity,
    shapes: &Shapes,
    value: Value,
) -> Vec<Value> {
    let inst = function.inst(value);
    let mut all = Vec::new();
    match inst.op {
        _ if kind(function, uniform, shapes, value) == Kind::Folded => {}
        Op::Barrier => {}
        op if is_access(op) && !inst.args.is_empty() => {
            let Some((start, sum)) = shape::address(function, shapes, inst.args[0]) else {
                return inst.args.to_vec();
            };
            all.extend(start.pointer());
            all.extend(sum.same.iter().chain(&sum.lanes).map(|&(value, _)| value));
            // The stored value, and before it the steps of a matrix.
            inst.args[1..].iter().for_each(|data| all.extend(components(function, data)));
        }
        Op::MatrixMultiplyAdd => {
            inst.args.iter().for_each(|matrix| all.extend(components(function, matrix)));
        }
        _ => all.extend(inst.args.iter()),
    }
    all
}

/// The operands of a `Compose`, or else the value itself.
pub(crate) fn components<'a>(function: &'a Function, value: &'a Value) -> &'a [Value] {
    let inst = function.inst(*value);
    if inst.op == Op::Compose { &inst.args } else { std::slice::from_ref(value) }
}

/// Whether an instruction waits for the threadgroup's other SIMD-groups.
pub(crate) fn is_threadgroup_barrier(inst: &Inst) -> bool {
    inst.op == Op::Barrier && Barrier::from_imm(inst.imm).0 == Barrier::Threadgroup
}

/// Whether lanes exchange values in an operation, so that a strip must have all of them.
pub(crate) fn is_whole(inst: &Inst) -> bool {
    let op = inst.op;
    matches!(op.row().effect, Effect::Lanes | Effect::Syncs) && !is_threadgroup_barrier(inst)
        // The checker counts what a SIMD-group does, not a strip.
        || matches!(op, Op::MatrixLoad | Op::MatrixStore | Op::Probe)
}

/// Whether lanes exchange values by memory: each access of a lane is before or after those of the others.
pub(crate) fn is_atomic(op: Op) -> bool {
    op.row().effect == Effect::Syncs && op != Op::Barrier
}

/// Whether an operation accesses or observes memory at the address in its first operand, if it has one.
pub(crate) fn is_access(op: Op) -> bool {
    matches!(
        op,
        Op::Load | Op::Store | Op::MatrixLoad | Op::MatrixStore | Op::Probe | Op::Unwritten
    ) || is_atomic(op)
}

/// Whether an operation returns a vector whose components are in registers.
fn has_components(op: Op) -> bool {
    matches!(op, Op::Load | Op::MatrixLoad | Op::MatrixMultiplyAdd)
}

/// Whether registers of a strip can hold values of a type.
fn holds(ty: Type, same: bool) -> bool {
    match ty {
        Type::Pointer(_) => same,
        Type::Scalar(_) => true,
        Type::Vector(..) | Type::Void => false,
    }
}

/// How an instruction is computed in a run.
pub(crate) fn kind(
    function: &Function,
    uniform: &Uniformity,
    shapes: &Shapes,
    value: Value,
) -> Kind {
    let inst = function.inst(value);
    let same = uniform.values[value.index()];
    let direct = |yes: bool| if yes { Kind::Direct } else { Kind::Interpreted };
    let operands_held =
        || inst.args.iter().all(|&arg| holds(function.ty(arg), uniform.values[arg.index()]));
    match inst.op.row().rule {
        Rule::Same(..) | Rule::Compare(_) | Rule::Test(_) => {
            direct(holds(inst.ty, same) && operands_held() && has_code(function, inst))
        }
        Rule::Select => direct(holds(inst.ty, same) && operands_held()),
        Rule::Convert | Rule::Bitcast => direct(holds(inst.ty, same) && operands_held()),
        Rule::Across(_) | Rule::Shuffle | Rule::ShuffleFill | Rule::Vote => {
            let mut all = inst.args.iter().chain([&value]);
            let narrow = inst.op.row().rule == Rule::Shuffle
                || all
                    .all(|&value| function.ty(value).bytes() <= 4 || uniform.values[value.index()]);
            direct(
                holds(inst.ty, same)
                    && operands_held()
                    && narrow
                    && across::has_code(function, inst),
            )
        }
        Rule::Given if inst.op == Op::SimdIsFirst => Kind::Direct,
        Rule::Given if inst.op == Op::Get => direct(holds(inst.ty, same)),
        Rule::Set => {
            let variable = &function.variables[inst.imm as usize];
            direct(holds(variable.ty, uniform.variables[inst.imm as usize]) && operands_held())
        }
        Rule::Index | Rule::Field if same => Kind::Direct,
        Rule::Index | Rule::Field => Kind::Folded,
        Rule::PointerToInt if inst.op == Op::Address => Kind::Interpreted,
        Rule::Form => Kind::Interpreted,
        Rule::PointerToInt | Rule::IntToPointer => direct(same),
        Rule::Load => {
            let component = match inst.ty {
                Type::Vector(scalar, _) => Type::Scalar(scalar),
                ty => ty,
            };
            let known = shape::address(function, shapes, inst.args[0]).is_some();
            direct(known && holds(component, same))
        }
        Rule::Store => {
            if shape::address(function, shapes, inst.args[0]).is_none() {
                return Kind::Interpreted;
            }
            let parts = components(function, &inst.args[1]);
            direct(parts.iter().all(|&part| {
                let ty = function.ty(part);
                match ty {
                    Type::Vector(scalar, _) => {
                        has_components(function.inst(part).op) && holds(Type::Scalar(scalar), false)
                    }
                    _ => holds(ty, uniform.values[part.index()]),
                }
            }))
        }
        Rule::Extract => {
            let vector = inst.args[0];
            let known = has_components(function.inst(vector).op)
                && kind(function, uniform, shapes, vector) == Kind::Direct;
            direct(known && holds(inst.ty, same))
        }
        Rule::MatrixLoad | Rule::MatrixStore => {
            // The pointer and the steps are the same in all lanes.
            let address = shape::address(function, shapes, inst.args[0]);
            let steps = &inst.args[1..3];
            let one_address = address.is_some_and(|(_, sum)| sum.lanes.is_empty());
            direct(
                one_address
                    && steps.iter().all(|step| uniform.values[step.index()])
                    && inst.args[3..].iter().all(|&matrix| has_parts(function, matrix)),
            )
        }
        Rule::Atomic | Rule::AtomicCompare | Rule::AtomicLoad | Rule::AtomicStore => {
            let held = inst.args[1..].iter().all(|&arg| holds(function.ty(arg), false));
            let address = shape::address(function, shapes, inst.args[0]);
            direct(held && address.is_some_and(|(_, sum)| atomic::has_code(function, inst, &sum)))
        }
        Rule::MatrixMultiplyAdd => {
            direct(inst.args.iter().all(|&matrix| has_parts(function, matrix)))
        }
        Rule::Probe | Rule::Unwritten => {
            let held = |&value: &Value| holds(function.ty(value), uniform.values[value.index()]);
            let mut addresses = inst.args.iter().take(1);
            let known = addresses.all(|&at| shape::address(function, shapes, at).is_some());
            let counts = matches!(Probe::from_imm(inst.imm), Some(Probe::Count { .. }));
            let counts = inst.op == Op::Probe && counts;
            direct(known && inst.args.iter().skip(1).all(held) && !counts)
        }
        Rule::Compose => Kind::Folded,
        Rule::Barrier => Kind::Direct,
        _ => Kind::Interpreted,
    }
}

/// Whether registers have the two components of a matrix.
fn has_parts(function: &Function, matrix: Value) -> bool {
    let op = function.inst(matrix).op;
    op == Op::Compose || has_components(op)
}

/// Whether there is a row of the table of semantics, or code for `bool`s.
fn has_code(function: &Function, inst: &Inst) -> bool {
    let Some(scalar) = inst.args.first().and_then(|&arg| function.ty(arg).scalar()) else {
        return false;
    };
    let effect = inst.op.row().effect == Effect::Pure;
    match scalar {
        Scalar::Bool => {
            matches!(inst.op, Op::And | Op::Or | Op::Xor | Op::Not | Op::Eq | Op::Ne)
        }
        _ => effect && row_scalar(inst.op, scalar).is_some(),
    }
}
