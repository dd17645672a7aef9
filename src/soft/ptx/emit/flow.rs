//! Control flow. Lanes branch by themselves, except in code in which they exchange values: there the mask of active lanes is
//! in a register, and lanes that leave meet the others first.
//!
//! A statement is *joint* if operations across lanes are in it, or if some of its lanes may leave an enclosing joint statement
//! from it. Every lane that enters a joint statement reaches its end. A lane that breaks, continues or returns on the way
//! records that in a register, `escape`; at the end all lanes vote, so that the new mask is known, and then each continues
//! at its target.

use super::super::text::{Kind, Label, Reg, ptx};
use super::limits::ends;
use super::together::may_differ;
use super::value::is_across;
use super::{Emit, SiteKind, layout};
use crate::soft::ir::walk::{instructions, statements};
use crate::soft::ir::{Block, Effect, Function, Op, Stmt, Value, internal_error};

/// How a lane leaves a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Break = 1,
    Continue = 2,
    Return = 3,
}

/// The construct around a statement.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// A branch of a joint `if`, whose lanes reconverge at the label.
    Branch {
        end: Label,
    },
    Loop(Loop),
}

#[derive(Clone, Copy, Debug)]
struct Loop {
    /// Where an iteration ends.
    next: Label,
    /// After the loop.
    end: Label,
    /// Whether lanes exchange values in it.
    joint: bool,
    /// Whether all lanes of an iteration reconverge at its end.
    reconverges: bool,
}

/// A loop that looks now and then whether the launch has to stop.
struct Poll {
    /// The code that does so, and where it returns to.
    label: Label,
    back: Label,
    /// The iterations up to the next time.
    left: Reg,
    /// Where the thread ends.
    exit: Label,
}

/// How many iterations of a loop are between two reads of the word that stops it: the word is not cached.
const ITERATIONS: u32 = 256;

/// Control flow around the point that is written.
#[derive(Default)]
pub(super) struct Flow {
    frames: Vec<Frame>,
    /// The mask of active lanes, if lanes exchange values anywhere.
    mask: Option<Reg>,
    /// Why the lane leaves; 0 if it does not.
    escape: Option<Reg>,
    exit: Option<Label>,
    /// The mask at the start, if the launch is strict and threads wait for each other.
    first: Option<Reg>,
    /// Whether threads may wait at different barriers.
    may_differ: bool,
    /// Whether the code notes that the threadgroup has started, and whether it has come to its first effect.
    noted: bool,
    began: bool,
    /// Whether this is the version of a loop that hardly ever runs.
    slow: bool,
    /// The number of the next loop, in the order in which they begin.
    loops: usize,
    /// The code that checks whether the launch has to stop, for each loop that does so.
    polls: Vec<Poll>,
    /// How many branches are around this point that only some lanes may take.
    partial: u32,
    /// Whether lanes may leave for good, somewhere, where others go on.
    leaves: bool,
}

/// Whether lanes exchange values in a block.
pub(super) fn exchanges(emit: &Emit<'_>, block: &[Stmt]) -> bool {
    instructions(block).any(|value| {
        let inst = emit.function.inst(value);
        let matrix = matches!(inst.op, Op::MatrixLoad | Op::MatrixStore | Op::MatrixMultiplyAdd);
        let barrier = inst.op == Op::Barrier;
        is_across(inst.op) || matrix || barrier
    })
}

/// Whether a statement in a block leaves it.
fn escapes(block: &[Stmt]) -> bool {
    block.iter().any(|stmt| match stmt {
        Stmt::Break | Stmt::Continue | Stmt::Return(_) => true,
        Stmt::If(_, then, other) => escapes(then) || escapes(other),
        Stmt::Loop { body, next, .. } => returns(body) || returns(next),
        Stmt::Do(_) | Stmt::Call { .. } => false,
    })
}

fn returns(block: &[Stmt]) -> bool {
    statements(block).any(|stmt| matches!(stmt, Stmt::Return(_)))
}

/// Whether a block continues the loop that it is in.
fn continues(block: &[Stmt]) -> bool {
    block.iter().any(|stmt| match stmt {
        Stmt::Continue => true,
        Stmt::If(_, then, other) => continues(then) || continues(other),
        _ => false,
    })
}

/// Whether a statement is an instruction that changes nothing outside of the thread, and does not wait for other threads.
pub(super) fn has_no_effect(function: &Function, stmt: &Stmt) -> bool {
    let Stmt::Do(value) = stmt else { return false };
    let op = function.inst(*value).op;
    matches!(op.row().effect, Effect::Pure | Effect::Reads)
        || matches!(op, Op::Get | Op::Set | Op::Load)
}

/// Whether a statement ends by itself, and changes nothing outside of the thread.
fn is_quiet(function: &Function, stmt: &Stmt) -> bool {
    let all = |block: &Block| block.iter().all(|stmt| is_quiet(function, stmt));
    match stmt {
        Stmt::Do(_) => has_no_effect(function, stmt),
        Stmt::If(_, then, other) => all(then) && all(other),
        Stmt::Loop { body, next, .. } => ends(function, body, next) && all(body) && all(next),
        Stmt::Break | Stmt::Continue | Stmt::Return(_) => true,
        Stmt::Call { .. } => false,
    }
}

impl Flow {
    /// Whether the code notes that the threadgroup has started.
    pub(super) fn noted(&self) -> bool {
        self.noted
    }

    /// Whether threads may wait at different barriers.
    pub(super) fn may_differ(&self) -> bool {
        self.may_differ
    }

    /// Whether all lanes are active that have a thread.
    pub(super) fn is_whole(&self) -> bool {
        self.mask.is_some() && self.partial == 0 && !self.leaves
    }

    /// The mask at the start, if the launch is strict and threads wait for each other.
    pub(super) fn first(&self) -> Option<Reg> {
        self.first
    }
}

impl Emit<'_> {
    /// The mask of active lanes.
    pub(super) fn mask(&self) -> Reg {
        match self.flow.mask {
            Some(mask) => mask,
            None => internal_error("PTX: no mask of active lanes".to_owned()),
        }
    }

    /// Writes all statements of the kernel.
    pub(super) fn function_body(&mut self) {
        let function = self.function;
        let exit = self.text.label();
        self.flow.exit = Some(exit);
        if exchanges(self, &function.body) {
            let mask = self.text.reg(Kind::Word);
            let first = self.first_mask();
            ptx!(self.text, "mov.b32 {mask}, {first};");
            self.flow.first = Some(first).filter(|_| self.options.strict);
            self.flow.may_differ = self.barriers() > 1 && may_differ(function);
            self.flow.mask = Some(mask);
            self.flow.leaves = self.may_leave(&function.body, false);
            let escape = self.text.reg(Kind::Word);
            ptx!(self.text, "mov.b32 {escape}, 0;");
            self.flow.escape = Some(escape);
        }
        self.block(&function.body);
        self.text.place(exit);
        if self.flow.first.is_some() && self.barriers() != 0 {
            self.arrive(None);
        }
        if !self.is_routine {
            ptx!(self.text, "exit;");
        }
    }

    pub(super) fn block(&mut self, block: &[Stmt]) {
        let fits = self.fits.len();
        self.statements(block);
        // Checks inside it may not have been made after it.
        self.fits.truncate(fits);
    }

    fn statements(&mut self, block: &[Stmt]) {
        let mut at = 0;
        while let Some(stmt) = block.get(at) {
            // Without checks the assembler finds the order, and the slow version of a loop should need few registers.
            let orders = self.options.checked && !self.is_routine && !self.flow.slow;
            let straight = match orders {
                true => self.straight(&block[at..]),
                false => 0,
            };
            if straight != 0 {
                at += straight;
                continue;
            }
            self.begin(stmt);
            let done = match self.copies(&block[at..]) {
                0 => self.tensor_products(&block[at..]),
                copies => copies,
            };
            if done != 0 {
                at += done;
                continue;
            }
            at += 1;
            match stmt {
                Stmt::Do(value) => self.instruction(*value),
                Stmt::If(condition, then, other) => self.branch(*condition, then, other),
                Stmt::Loop { body, next, span } => self.repeat(body, next, *span),
                Stmt::Break => self.leave(Exit::Break),
                Stmt::Continue => self.leave(Exit::Continue),
                Stmt::Return(value) => {
                    if let Some(value) = value {
                        let (to, from) = (self.result.clone(), self.operand(*value));
                        self.copy(&to, &from);
                    }
                    self.leave(Exit::Return);
                }
                Stmt::Call { .. } => internal_error("PTX: a call is left".to_owned()),
            }
            if matches!(stmt, Stmt::Break | Stmt::Continue | Stmt::Return(_)) {
                return;
            }
        }
    }

    /// Emits code that must precede a statement. Before the first that is not a plain instruction without an effect, the threadgroup records
    /// that it has started. Before the first that has an effect or may not end, the launch is skipped if an earlier one had a fault: the
    /// loads before it, and that of the word that records the fault, are in flight meanwhile. Where lanes meet, all take part from the start.
    fn begin(&mut self, stmt: &Stmt) {
        if self.flow.began || has_no_effect(self.function, stmt) {
            return;
        }
        if !std::mem::replace(&mut self.flow.noted, true) {
            self.note_start();
        }
        if self.flow.mask.is_some() || !is_quiet(self.function, stmt) {
            self.flow.began = true;
            self.end_if_skipped();
        }
    }

    fn branch(&mut self, condition: Value, then: &Block, other: &Block) {
        let reconverges = self.flow.mask.is_some()
            && (exchanges(self, then)
                || exchanges(self, other)
                || (escapes(then) || escapes(other)) && self.must_reconverge());
        let taken = self.scalar(condition);
        if !reconverges {
            return self.plain_branch(taken, then, other);
        }
        let mask = self.mask();
        let (yes, no) = (self.text.reg(Kind::Word), self.text.reg(Kind::Word));
        ptx!(self.text, "vote.sync.ballot.b32 {yes}, {taken}, {mask};");
        if self.uniform.values[condition.index()] {
            // All lanes take the same way, even if memory that they read has changed between them.
            let all = self.text.reg(Kind::Predicate);
            ptx!(self.text, "setp.ne.u32 {all}, {yes}, 0;");
            return self.plain_branch(all, then, other);
        }
        let (before, end, otherwise) =
            (self.text.reg(Kind::Word), self.text.label(), self.text.label());
        ptx!(self.text, "mov.b32 {before}, {mask};");
        ptx!(self.text, "not.b32 {no}, {yes};");
        ptx!(self.text, "and.b32 {no}, {no}, {before};");
        self.flow.frames.push(Frame::Branch { end });
        self.flow.partial += 1;
        ptx!(self.text, "@!{taken} bra {otherwise};");
        ptx!(self.text, "mov.b32 {mask}, {yes};");
        self.block(then);
        ptx!(self.text, "bra {end};");
        self.text.place(otherwise);
        ptx!(self.text, "mov.b32 {mask}, {no};");
        self.block(other);
        self.text.place(end);
        self.flow.frames.pop();
        self.flow.partial -= 1;
        ptx!(self.text, "bar.warp.sync {before};");
        ptx!(self.text, "mov.b32 {mask}, {before};");
        if escapes(then) || escapes(other) {
            self.reconverge(before, &[]);
        }
    }

    /// Whether some lanes may leave a block, or a loop in it, while others go on. Lanes that leave a loop in which none exchange values
    /// meet the others after it.
    fn may_leave(&self, block: &[Stmt], alone: bool) -> bool {
        block.iter().any(|stmt| match stmt {
            Stmt::If(condition, then, other) => {
                let uniform = self.uniform.values[condition.index()];
                let leave = |block: &Block| if alone { returns(block) } else { escapes(block) };
                !uniform && (leave(then) || leave(other))
                    || self.may_leave(then, alone)
                    || self.may_leave(other, alone)
            }
            Stmt::Loop { body, next, .. } => {
                let alone = !exchanges(self, body) && !exchanges(self, next);
                self.may_leave(body, alone) || self.may_leave(next, alone)
            }
            _ => false,
        })
    }

    /// Whether lanes that leave from here must meet the others: they leave a joint statement, or the kernel. A loop that is not
    /// joint has no returns in it, and its own lanes leave it one by one.
    fn must_reconverge(&self) -> bool {
        match self.flow.frames.last() {
            None | Some(Frame::Branch { .. }) => true,
            Some(Frame::Loop(frame)) => frame.joint,
        }
    }

    /// All lanes of `members` vote which of them continue here; the others continue where they leave to. Lanes whose reason is
    /// in `ends` continue here, too.
    fn reconverge(&mut self, members: Reg, ends: &[Exit]) {
        let (Some(escape), mask) = (self.flow.escape, self.mask()) else { return };
        let (stays, word) = (self.text.reg(Kind::Predicate), self.text.reg(Kind::Word));
        for &end in ends {
            let here = self.text.reg(Kind::Predicate);
            ptx!(self.text, "setp.eq.u32 {here}, {escape}, {};", end as u32);
            ptx!(self.text, "selp.b32 {escape}, 0, {escape}, {here};");
        }
        ptx!(self.text, "setp.eq.u32 {stays}, {escape}, 0;");
        ptx!(self.text, "vote.sync.ballot.b32 {word}, {stays}, {members};");
        ptx!(self.text, "mov.b32 {mask}, {word};");
        let on = self.text.label();
        ptx!(self.text, "@{stays} bra {on};");
        for exit in [Exit::Break, Exit::Continue, Exit::Return] {
            if let Some(label) = self.exit_label(exit) {
                let here = self.text.reg(Kind::Predicate);
                ptx!(self.text, "setp.eq.u32 {here}, {escape}, {};", exit as u32);
                ptx!(self.text, "@{here} bra {label};");
            }
        }
        ptx!(self.text, "exit;");
        self.text.place(on);
    }

    /// Where a lane goes next that leaves for a reason.
    fn exit_label(&self, exit: Exit) -> Option<Label> {
        for frame in self.flow.frames.iter().rev() {
            match (frame, exit) {
                (Frame::Branch { end }, _) => return Some(*end),
                (Frame::Loop(frame), Exit::Continue) => return Some(frame.next),
                (Frame::Loop(frame), Exit::Break) => {
                    return Some(if frame.reconverges { frame.next } else { frame.end });
                }
                // In a loop in which lanes do not exchange values none waits for another.
                (Frame::Loop(frame), Exit::Return) if !frame.joint => {}
                (Frame::Loop(frame), Exit::Return) => {
                    return Some(if frame.reconverges { frame.next } else { frame.end });
                }
            }
        }
        if exit == Exit::Return { self.flow.exit } else { None }
    }

    fn leave(&mut self, exit: Exit) {
        let Some(label) = self.exit_label(exit) else {
            internal_error("PTX: a break outside of a loop".to_owned())
        };
        if let (Some(escape), true) = (self.flow.escape, self.must_record_exit(exit)) {
            ptx!(self.text, "mov.b32 {escape}, {};", exit as u32);
        }
        ptx!(self.text, "bra {label};");
    }

    /// Whether a lane that leaves passes a point where lanes vote.
    fn must_record_exit(&self, exit: Exit) -> bool {
        for frame in self.flow.frames.iter().rev() {
            match frame {
                Frame::Branch { .. } => return true,
                Frame::Loop(frame) if exit != Exit::Return => return frame.reconverges,
                Frame::Loop(frame) if frame.joint => return true,
                Frame::Loop(_) => {}
            }
        }
        false
    }

    fn plain_branch(&mut self, taken: Reg, then: &Block, other: &Block) {
        let (otherwise, end) = (self.text.label(), self.text.label());
        ptx!(self.text, "@!{taken} bra {otherwise};");
        self.block(then);
        if other.is_empty() {
            self.text.place(otherwise);
            return;
        }
        ptx!(self.text, "bra {end};");
        self.text.place(otherwise);
        self.block(other);
        self.text.place(end);
    }

    fn repeat(&mut self, body: &Block, next: &Block, span: crate::soft::ir::Span) {
        self.flow.loops += 1;
        let (start, at_next, end) = (self.text.label(), self.text.label(), self.text.label());
        let all_returns = returns(body) || returns(next);
        let exchanged = exchanges(self, body) || exchanges(self, next);
        // A return from a loop without exchanges still leaves the joint statements around it.
        let joint =
            self.flow.mask.is_some() && (exchanged || all_returns && self.must_reconverge());
        let reconverges = joint && continues(body);
        let entered = self.text.reg(Kind::Word);
        if joint {
            let mask = self.mask();
            ptx!(self.text, "mov.b32 {entered}, {mask};");
        }
        // Lanes that continue meet others, which needs the mask of an iteration.
        let versions = if reconverges { None } else { self.check_before_loop(body, next, joint) };
        if let Some(versions) = versions {
            self.iterations(&versions, body, next, (end, joint));
            self.text.place(versions.slow);
            self.flow.slow = true;
        }
        self.flow.frames.push(Frame::Loop(Loop { next: at_next, end, joint, reconverges }));
        self.text.place(start);
        let iteration = self.text.reg(Kind::Word);
        if reconverges {
            let mask = self.mask();
            ptx!(self.text, "mov.b32 {iteration}, {mask};");
        }
        self.block(body);
        self.text.place(at_next);
        // From here on lanes that leave do not meet the others before the end of the loop.
        self.flow.frames.pop();
        self.flow.frames.push(Frame::Loop(Loop { next: at_next, end, joint, reconverges: false }));
        if reconverges {
            // Lanes that break or return came here to vote, and continue at the end.
            self.reconverge(iteration, &[Exit::Continue]);
        }
        self.block(next);
        if !self.is_routine && !ends(self.function, body, next) {
            self.poll(span);
        }
        ptx!(self.text, "bra {start};");
        self.text.place(end);
        self.flow.slow = false;
        self.flow.frames.pop();
        // If all lanes always break together, all are here.
        if joint && (!self.flow.is_whole() || all_returns || reconverges) {
            let mask = self.mask();
            ptx!(self.text, "bar.warp.sync {entered};");
            ptx!(self.text, "mov.b32 {mask}, {entered};");
            self.reconverge(entered, &[Exit::Break]);
        }
    }

    /// Writes an iteration of a loop without its test, which is known to hold. Its lanes continue at a label of their own.
    pub(super) fn iteration(&mut self, body: [&[Stmt]; 2], next: &Block, end: Label, joint: bool) {
        let at_next = self.text.label();
        self.flow.frames.push(Frame::Loop(Loop { next: at_next, end, joint, reconverges: false }));
        body.into_iter().for_each(|part| self.block(part));
        self.text.place(at_next);
        self.block(next);
        self.flow.frames.pop();
    }

    /// Ends the thread if the launch has to stop. Only every nth iteration looks.
    fn poll(&mut self, span: crate::soft::ir::Span) {
        let (left, none) = (self.text.reg(Kind::Word), self.text.reg(Kind::Predicate));
        let at = self.stop_word();
        let exit = self.exit(span, SiteKind::Stopped, at);
        let (label, back) = (self.text.label(), self.text.label());
        self.text.early(|text| ptx!(text, "mov.b32 {left}, {ITERATIONS};"));
        ptx!(self.text, "sub.u32 {left}, {left}, 1;");
        ptx!(self.text, "setp.eq.u32 {none}, {left}, 0;");
        ptx!(self.text, "@{none} bra {label};");
        self.text.place(back);
        self.flow.polls.push(Poll { label, back, left, exit });
    }

    /// The address of the word that stops the launch.
    fn stop_word(&mut self) -> Reg {
        self.text.early(|text| {
            let at = text.reg(Kind::Long);
            ptx!(text, "ld.param.u64 {at}, [args+{}];", layout::STOP);
            at
        })
    }

    /// The code of all looks, past the end of the kernel.
    pub(super) fn polls(&mut self) {
        for Poll { label, back, left, exit } in std::mem::take(&mut self.flow.polls) {
            let (word, stop) = (self.text.reg(Kind::Word), self.text.reg(Kind::Predicate));
            let at = self.stop_word();
            self.text.place(label);
            ptx!(self.text, "mov.b32 {left}, {ITERATIONS};");
            ptx!(self.text, "ld.relaxed.gpu.global.u32 {word}, [{at}];");
            ptx!(self.text, "setp.ne.u32 {stop}, {word}, 0;");
            ptx!(self.text, "@{stop} bra {exit};");
            ptx!(self.text, "bra {back};");
        }
    }
}
