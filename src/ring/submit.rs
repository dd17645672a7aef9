//! One submission: its launches, and what the host reads when they have ended.

use super::core::{Core, Guard};
use super::error::{Cause, RingError};
use super::layout::{NO_LANE, error, head};
use super::plan::Plan;
use super::state::State;
use super::submitter::Submitter;
use crate::GpuError;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// The result of a submission.
#[derive(Default)]
pub(super) struct Submission {
    pub(super) ticks: u64,
    pub(super) handled: u64,
    pub(super) idle: bool,
    pub(super) stopped: bool,
    /// Whether a handler made a dead letter.
    pub(super) dead: bool,
    /// Whether an actor stalled, and whether one did in the last tick.
    pub(super) stalled: [bool; 2],
    pub(super) broken: Option<SubmissionError>,
}

/// Why a submission did not complete.
pub(super) enum SubmissionError {
    /// An actor broke a rule of the outbox, or failed alone.
    Actor(usize, Cause),
    /// Metal's error, and the actors that may have made it.
    Metal(GpuError, Vec<usize>),
}

/// The right to submit. Other threads wait until it is given back, or dropped.
pub(super) struct SubmitGuard<'a> {
    core: &'a Core,
    submitter: Option<Submitter>,
}

impl Drop for SubmitGuard<'_> {
    fn drop(&mut self) {
        if self.submitter.is_some() {
            let core = self.core;
            let mut state = core.lock();
            // An error or a panic ended the submission: its work is not done.
            state.work = true;
            self.release(&mut state);
        }
    }
}

impl<'a> SubmitGuard<'a> {
    /// Takes the right; no submission runs. The guard, and those of `submit`, call no wakers until it is given back.
    pub(super) fn take(core: &'a Core, state: &mut Guard<'_>) -> Self {
        let submitter = state.engine.take();
        state.defers = submitter.is_some();
        Self { core, submitter }
    }

    pub(super) fn release(&mut self, state: &mut Guard<'_>) {
        state.engine = self.submitter.take();
        (state.changed, state.defers) = (true, false);
    }

    /// One submission of a number of ticks.
    pub(super) fn submit<'s>(
        &mut self,
        state: Guard<'s>,
        plan: &Arc<Plan>,
        count: u32,
    ) -> (Guard<'s>, Submission)
    where
        'a: 's,
    {
        let (version, start) = (state.version, Instant::now());
        let (mut state, result) =
            self.run_unlocked(state, |submitter| submitter.run(plan, version, count));
        let ended = state.read_results(result, &plan.members);
        state.measure(self.core, start, &ended);
        (state, ended)
    }

    /// Reruns the undone tick for one actor, with its mail, and undoes it again. Returns whether that actor alone fails.
    pub(super) fn submit_alone<'s>(
        &mut self,
        mut state: Guard<'s>,
        plan: &Plan,
        actor: usize,
    ) -> (Guard<'s>, Result<Option<Cause>, RingError>)
    where
        'a: 's,
    {
        let (version, start) = (state.version, Instant::now());
        state.clear_head();
        let member = plan.members.iter().position(|&member| member == actor).unwrap_or_default();
        let (mut state, result) = self.run_unlocked(state, |submitter| {
            submitter.batch(|batch| plan.encode_part(batch, version, member))
        });
        let cause = match result {
            Ok(()) => Ok(state.take_error(actor)),
            Err(error) => Cause::of(error).map(Some),
        };
        // It stays undone.
        state.undo_record(actor);
        state.measure(self.core, start, &Submission::default());
        (state, cause)
    }

    /// Runs the tick that was undone again, one actor after the other. All of it is undone if one fails.
    pub(super) fn submit_in_parts<'s>(
        &mut self,
        mut state: Guard<'s>,
        plan: &Plan,
    ) -> (Guard<'s>, Result<Submission, RingError>)
    where
        'a: 's,
    {
        let (version, start) = (state.version, Instant::now());
        state.clear_head();
        let (mut result, mut failed) = (Ok(()), None);
        for (member, &actor) in plan.members.iter().enumerate() {
            (state, result) = self.run_unlocked(state, |submitter| {
                submitter.batch(|batch| plan.encode_part(batch, version, member))
            });
            if result.is_err() {
                failed = Some(actor);
                break;
            }
        }
        let mut ended = state.read_results(result, &plan.members);
        state.measure(self.core, start, &ended);
        let cause = match ended.broken.take() {
            Some(SubmissionError::Metal(error, _)) => Cause::of(error),
            other => {
                ended.broken = other;
                return (state, Ok(ended));
            }
        };
        let ended = cause.map(|cause| {
            ended.broken = failed.map(|actor| SubmissionError::Actor(actor, cause));
            ended
        });
        (state, ended)
    }

    /// Submits without the lock.
    fn run_unlocked<'s>(
        &mut self,
        state: Guard<'s>,
        run: impl FnOnce(&mut Submitter) -> Result<(), GpuError>,
    ) -> (Guard<'s>, Result<(), GpuError>)
    where
        'a: 's,
    {
        drop(state);
        let result = self.submitter.as_mut().map_or(Ok(()), run);
        let mut state = self.core.lock();
        state.defers = true;
        (state, result)
    }
}

impl State {
    /// Reads the results of a submission of actors.
    pub(super) fn read_results(
        &mut self,
        result: Result<(), GpuError>,
        members: &[usize],
    ) -> Submission {
        let before = self.version;
        let broken = match result {
            Ok(()) => {
                self.version += u64::from(self.heads.get(head::RAN));
                self.outbox_error(members)
                    .map(|(actor, cause)| SubmissionError::Actor(actor, cause))
            }
            Err(error) => {
                // Records do not say it: the first thread of an actor writes its record before another one fails.
                self.version += u64::from(self.heads.get(head::BEGAN).saturating_sub(1));
                let suspects = self.suspects();
                Some(SubmissionError::Metal(error, suspects))
            }
        };
        if matches!(broken, Some(SubmissionError::Actor(..))) {
            self.version -= 1;
        }
        let ticks = self.version - before;
        let stopped = self.heads.get(head::STOP) != 0;
        let (active, stalled) = (self.heads.get(head::ACTIVE), self.heads.get(head::STALLED));
        let idle = broken.is_none() && (ticks == 0 || u64::from(active) != ticks);
        let side = self.side();
        let mut handled = 0;
        for &actor in members {
            let record = self.record(actor);
            if broken.is_some() {
                self.undo_record(actor);
            }
            let seat = &mut self.seats[actor];
            let taken = self.lanes.get(seat.ins[0] as usize).head[side];
            let gone = taken.wrapping_sub(seat.post.taken);
            if gone != 0 {
                seat.post.taken = taken;
                if let Some(&last) = seat.post.sent.get(gone as usize - 1) {
                    seat.post.last_sent = last;
                }
                seat.post.sent.drain(..(gone as usize).min(seat.post.sent.len()));
            }
            let more = record.handled - seat.handled;
            (handled, seat.handled) = (handled + more, record.handled);
            if seat.careful > 0 && more > 0 {
                seat.careful = seat.careful.saturating_sub(more);
                self.seats_changed |= seat.careful == 0;
            }
        }
        self.figures.handled += handled;
        let dead = self.heads.get(head::DEAD) != 0;
        let stalled = [stalled != 0, stalled != 0 && u64::from(stalled) == ticks];
        Submission { ticks, handled, idle, stopped, dead, stalled, broken }
    }

    /// Does what follows the last tick of a submission; `undone` if a tick after it had a fault. A replay does it after the same
    /// tick, so nothing of it depends on how the ticks were submitted, and the host sees none of their mail before.
    pub(super) fn conclude(&mut self, ended: &mut Submission, members: &[usize], undone: bool) {
        let side = self.side();
        for &actor in members {
            let seat = &mut self.seats[actor];
            let filled = self.lanes.get(seat.reply as usize).tail[side];
            if filled != seat.post.filled {
                seat.post.filled = filled;
                self.wake(actor);
            }
        }
        self.stalled = 0;
        if ended.stalled[1] {
            self.find_cycle(members);
        }
        let dead = self.dead.len();
        for lane in self.orphans.clone() {
            self.bury(lane, "the actor was terminated");
        }
        if ended.dead {
            self.sweep();
        }
        // Actors that waited for room in those lanes, or in one that the host emptied meanwhile, may continue.
        ended.idle &= self.dead.len() == dead;
        let room = ended.stalled[0] && !self.touched.is_empty();
        if undone || !ended.idle || room {
            self.add_work();
        }
        // Threads that waited for this work check whether there is more.
        self.changed = true;
        let every = self.options.checkpoint_every;
        if !undone && every > 0 && self.version - self.checkpoint_at >= every {
            self.save_states();
        }
        if self.cycle.is_some() {
            self.wake_all();
        }
    }

    /// The actors that may have broken the tick: those that ran and have no record of it, or have threads that end after the
    /// one that writes it, or broke a rule of the outbox in it, which is then forgotten. Before records are undone.
    fn suspects(&mut self) -> Vec<usize> {
        let done = |actor: usize| {
            self.kinds[self.seats[actor].kind].width() == 1
                && (0..2).any(|side| self.records.get(actor * 2 + side).version > self.version)
        };
        let ran = |actor: usize| self.seat_table.get(actor).run != 0;
        let broke = |actor: usize| self.heads.get(head::ERRORS + actor * 2) != 0;
        let suspects =
            self.members().filter(|&actor| ran(actor) && (!done(actor) || broke(actor))).collect();
        self.heads.write(head::ERRORS, &vec![0; self.seats.len() * 2]);
        suspects
    }

    /// Takes the violations of the outbox's rules; returns the first one in the order of launches.
    fn outbox_error(&mut self, members: &[usize]) -> Option<(usize, Cause)> {
        if self.heads.get(head::STOP) == 0 {
            return None;
        }
        let mut first = None;
        for &actor in members {
            let cause = self.take_error(actor);
            first = first.or(cause.map(|cause| (actor, cause)));
        }
        first
    }

    /// Takes the violation of the outbox's rules by an actor.
    fn take_error(&mut self, actor: usize) -> Option<Cause> {
        let at = head::ERRORS + actor * 2;
        let cause = match self.heads.get(at) {
            0 => return None,
            error::FAILED => Cause::Failed(self.heads.get(at + 1)),
            error::EDGE => Cause::Edge,
            error::THREAD => Cause::Thread,
            _ => Cause::Emits,
        };
        self.heads.write(at, &[0, 0]);
        Some(cause)
    }

    /// Invalidates the record of an undone tick; otherwise the actor would count as done when the tick runs again.
    fn undo_record(&mut self, actor: usize) {
        let undone = actor * 2 + (self.side() ^ 1);
        let version = self.version;
        self.records.update(undone, |undone| undone.version = undone.version.min(version));
    }

    /// Counts the actors that stalled, and finds a cycle: actors that handled nothing, each of which has no room in its lane to the
    /// next. Other lanes may be full, too; no room in those would let the cycle go on.
    fn find_cycle(&mut self, members: &[usize]) {
        let mut stuck = HashMap::new();
        for &actor in members {
            let record = self.record(actor);
            if record.blocked == 0 {
                continue;
            }
            self.stalled += 1;
            if record.now == 0 && record.blocked - 1 != NO_LANE {
                stuck.insert(actor, self.full_to(actor));
            }
        }
        // Actors from which no cycle is reached, and the path to the present one.
        let mut free = HashSet::new();
        for &start in members {
            let mut path: Vec<(usize, usize)> = vec![(start, 0)];
            while let Some((actor, turn)) = path.last_mut() {
                let to = stuck.get(actor).and_then(|all| all.get(*turn)).copied();
                *turn += 1;
                match to {
                    None => {
                        free.insert(*actor);
                        path.pop();
                    }
                    Some(to) => {
                        if let Some(first) = path.iter().position(|(on, _)| *on == to) {
                            let names = path[first..].iter();
                            self.cycle =
                                Some(names.map(|(on, _)| self.seats[*on].name.clone()).collect());
                            return;
                        }
                        if !free.contains(&to) {
                            path.push((to, 0));
                        }
                    }
                }
            }
        }
    }

    /// The actors to which an actor has a lane without room for what it may send when it handles a message.
    fn full_to(&self, actor: usize) -> Vec<usize> {
        let seat = &self.seats[actor];
        let lanes = seat.outs.iter().filter(|&&lane| lane != NO_LANE);
        let full = lanes.filter(|&&lane| {
            let room = self.lanes.get(lane as usize).mask + 1 - self.depth(lane);
            room < seat.launch.emits
        });
        full.filter_map(|&lane| (self.lanes.get(lane as usize).to as usize).checked_sub(1))
            .collect()
    }

    fn measure(&mut self, core: &Core, start: Instant, ended: &Submission) {
        let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let figures = &mut self.figures;
        figures.submissions += 1;
        figures.busy_ns += took;
        if let Some(per_tick) = took.checked_div(ended.ticks) {
            figures.last_tick_ns = per_tick;
            figures.min_tick_ns = figures.min_tick_ns.min(per_tick);
            figures.max_tick_ns = figures.max_tick_ns.max(per_tick);
        }
        if let Some(mut trace) = self.trace.take() {
            let start = start.duration_since(core.opened);
            trace.submission(self.version, start, took, ended.ticks, ended.handled);
            for (actor, seat) in self.seats.iter().enumerate() {
                trace.depths(&seat.name, self.mail(actor), self.depth(seat.reply).into());
            }
            self.trace = Some(trace);
        }
    }
}
