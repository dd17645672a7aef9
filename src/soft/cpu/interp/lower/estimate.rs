//! How often loops repeat: an estimate of a launch's work before it begins.
//!
//! The limit of a counted loop is often the same for all threads of a launch. It is then in the frame before the first thread.

use super::{Field, Lowering};
use crate::soft::ir::facts::affine::Counted;
use crate::soft::ir::{Block, Function, Op, Scalar, Stmt, Value, VarId};

/// The iterations of a loop of which nothing is known. It is large: to interpret a long loop costs more than to compile
/// a short one.
const UNKNOWN: u64 = 1 << 16;
/// The iterations of a loop that halves or doubles what it tests.
const HALVING: u64 = 32;

/// How often a loop repeats.
#[derive(Clone, Copy, Debug)]
pub(super) enum Repeats<At> {
    About(u64),
    /// Until a counter that rises by `step` comes to a limit.
    UpTo {
        limit: At,
        scalar: Scalar,
        step: u64,
        inclusive: bool,
    },
}

/// A loop before registers have offsets and instructions their work.
#[derive(Debug)]
pub(super) struct Draft {
    /// The loop around it.
    outer: Option<usize>,
    /// Its first instruction, and the one after its last.
    extent: (u32, u32),
    repeats: Repeats<Field>,
}

/// The work of a loop.
#[derive(Debug)]
pub(crate) struct LoopWork {
    outer: Option<usize>,
    /// The work of one iteration, in which each inner loop has one.
    work: u32,
    /// The limit is at an offset in the frame.
    repeats: Repeats<u32>,
}

impl Draft {
    /// The finished loop, where `work` has the work before each instruction.
    pub(super) fn finish(&self, work: &[u32], resolve: impl Fn(Field) -> u32) -> LoopWork {
        let (first, last) = self.extent;
        let repeats = match self.repeats {
            Repeats::About(number) => Repeats::About(number),
            Repeats::UpTo { limit, scalar, step, inclusive } => {
                Repeats::UpTo { limit: resolve(limit), scalar, step, inclusive }
            }
        };
        let work = work[last as usize].saturating_sub(work[first as usize]);
        LoopWork { outer: self.outer, work, repeats }
    }
}

impl Repeats<u32> {
    /// The number of iterations, if the counter starts at 0 and no thread leaves early.
    fn number(self, slot: impl Fn(u32) -> u64) -> u64 {
        match self {
            Self::About(number) => number,
            Self::UpTo { limit, scalar, step, inclusive } => {
                let limit = match (scalar, slot(limit)) {
                    (Scalar::I32, bits) => (bits as i32).max(0) as u64,
                    (Scalar::I64, bits) => (bits as i64).max(0) as u64,
                    (Scalar::U32, bits) => u64::from(bits as u32),
                    (_, bits) => bits,
                };
                limit.saturating_add(inclusive.into()).div_ceil(step)
            }
        }
    }
}

/// An estimate of the work of one SIMD-group, given the work of its code with each loop's body once, and the slots of a
/// frame by their offsets.
pub(super) fn work(whole: u32, loops: &[LoopWork], slot: impl Fn(u32) -> u64) -> u64 {
    let mut total = u64::from(whole);
    // How often each loop's body is run.
    let mut times: Vec<u64> = Vec::with_capacity(loops.len());
    for inside in loops {
        let around = inside.outer.map_or(1, |outer| times[outer]);
        let own = around.saturating_mul(inside.repeats.number(&slot).max(1));
        times.push(own);
        total = total.saturating_add((own - around).saturating_mul(inside.work.into()));
    }
    total
}

impl Lowering<'_> {
    /// Adds a loop inside of another, and returns its number.
    pub(super) fn estimate(&mut self, outer: Option<usize>, body: &Block, next: &Block) -> usize {
        let done = |value: Value| self.is_done(value);
        let counted = Counted::estimate(self.function, done, body, next)
            .and_then(|counted| self.up_to(counted));
        let halves = || if halves(self.function, body, next) { HALVING } else { UNKNOWN };
        let repeats = counted.unwrap_or_else(|| Repeats::About(halves()));
        self.estimates.push(Draft { outer, extent: (0, 0), repeats });
        self.estimates.len() - 1
    }

    /// Sets where a loop's instructions are.
    pub(super) fn set_extent(&mut self, number: usize, extent: (u32, u32)) {
        self.estimates[number].extent = extent;
    }

    /// A counted loop, if its limit is known before the first thread.
    fn up_to(&mut self, counted: Counted) -> Option<Repeats<Field>> {
        let Counted { limit, step, down, inclusive, .. } = counted;
        let scalar = self.function.ty(limit).scalar()?;
        let is_const = self.function.inst(limit).op == Op::Const;
        let known = is_const || self.is_done(limit);
        (known && !down).then(|| Repeats::UpTo {
            limit: self.field(limit),
            scalar,
            step,
            inclusive,
        })
    }
}

/// Whether a loop's test compares a variable that each iteration shifts or divides.
fn halves(function: &Function, body: &[Stmt], next: &[Stmt]) -> bool {
    let variable = |value: Value| {
        let inst = function.inst(value);
        (inst.op == Op::Get).then_some(VarId(inst.imm as u32))
    };
    let Some(Stmt::If(condition, ..)) = body.iter().find(|stmt| !matches!(stmt, Stmt::Do(_)))
    else {
        return false;
    };
    let mut test = function.inst(*condition);
    while test.op == Op::Not {
        test = function.inst(test.args[0]);
    }
    let tested: Vec<VarId> = test.args.iter().filter_map(|&value| variable(value)).collect();
    body.iter().chain(next).any(|stmt| {
        let Stmt::Do(set) = stmt else { return false };
        let set = function.inst(*set);
        let id = VarId(set.imm as u32);
        if set.op != Op::Set || !tested.contains(&id) {
            return false;
        }
        let new = function.inst(set.args[0]);
        matches!(new.op, Op::Shr | Op::Shl | Op::Div) && variable(new.args[0]) == Some(id)
    })
}
