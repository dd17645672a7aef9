//! One submission: its launches, and what the host reads when they have ended.

use super::core::{Core, Guard};
use super::error::{Cause, RingError};
use super::layout::{NO_LANE, error, head};
use super::state::State;
use crate::{Dispatch, GpuError};
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// How a submission ended.
pub(super) struct Ended {
    pub(super) ticks: u64,
    pub(super) handled: u64,
    pub(super) idle: bool,
    pub(super) stopped: bool,
    pub(super) broken: Option<Broken>,
}

/// Why a submission did not complete.
pub(super) enum Broken {
    /// An actor broke a rule of the outbox.
    Outbox(usize, Cause),
    /// Metal's error, and the actors that may have made it.
    Metal(GpuError, Vec<usize>),
}

/// The right to submit. Other threads wait until it is given back, or dropped.
pub(super) struct Engine<'a> {
    core: &'a Core,
    dispatch: Option<Dispatch>,
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        if self.dispatch.is_some() {
            let core = self.core;
            self.give_back(&mut core.lock());
        }
    }
}

impl<'a> Engine<'a> {
    /// Takes the right; no submission runs. The guard, and those of `submit`, call no wakers until it is given back.
    pub(super) fn of(core: &'a Core, state: &mut Guard<'_>) -> Self {
        let dispatch = state.engine.take();
        state.defers = dispatch.is_some();
        Self { core, dispatch }
    }

    pub(super) fn give_back(&mut self, state: &mut Guard<'_>) {
        state.engine = self.dispatch.take();
        (state.changed, state.defers) = (true, false);
    }

    /// One submission of a number of ticks.
    pub(super) fn submit<'s>(
        &mut self,
        mut state: Guard<'s>,
        count: u32,
    ) -> (Guard<'s>, Result<Ended, RingError>)
    where
        'a: 's,
    {
        let plan = match state.prepare(count) {
            Ok(plan) => plan,
            Err(error) => return (state, Err(error)),
        };
        let version = state.version;
        let Some(dispatch) = &self.dispatch else { return (state, Err(RingError::Closed)) };
        drop(state);

        let start = Instant::now();
        // SAFETY: the kernels stay within their buffers by the counters that the state and they maintain, which the
        // plan keeps alive; while they run, the state accesses only slots that they do not.
        let result = unsafe { dispatch.batch(|batch| plan.encode(batch, version, count)) };
        let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);

        let mut state = self.core.lock();
        state.defers = true;
        let ended = state.settle(result, &plan.members);
        state.measure(self.core, start, took, &ended);
        (state, Ok(ended))
    }
}

impl State {
    /// Reads the results of a submission of actors.
    pub(super) fn settle(&mut self, result: Result<(), GpuError>, members: &[usize]) -> Ended {
        let before = self.version;
        let broken = match result {
            Ok(()) => {
                self.version += u64::from(self.heads.get(head::RAN));
                self.outbox_error().map(|(actor, cause)| Broken::Outbox(actor, cause))
            }
            Err(error) => {
                // Records do not say it: the first thread of an actor writes its record before another one fails.
                self.version += u64::from(self.heads.get(head::BEGAN).saturating_sub(1));
                let suspects = self.suspects();
                Some(Broken::Metal(error, suspects))
            }
        };
        if matches!(broken, Some(Broken::Outbox(..))) {
            self.version -= 1;
        }
        if self.only.is_some() {
            // This tick ran only to find the actor at fault.
            self.version = before;
        }
        let ticks = self.version - before;
        let stopped = self.heads.get(head::STOP) != 0;
        let (active, stalled) = (self.heads.get(head::ACTIVE), self.heads.get(head::STALLED));
        let idle = broken.is_none() && (ticks == 0 || u64::from(active) != ticks);
        let side = self.side();
        let mut handled = 0;
        for &actor in members {
            let record = self.record(actor);
            if broken.is_some() || self.only.is_some() {
                // A record of the tick that was undone would say that the actor has completed it when it runs again.
                self.records.update(actor * 2 + (side ^ 1), |undone| {
                    undone.version = undone.version.min(self.version);
                });
            }
            let seat = &mut self.seats[actor];
            let (taken, filled) = (
                self.lanes.get(seat.ins[0] as usize).head[side],
                self.lanes.get(seat.reply as usize).tail[side],
            );
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
            if filled != seat.post.filled {
                seat.post.filled = filled;
                self.wake(actor);
            }
        }
        self.stalled = 0;
        if stalled != 0 && u64::from(stalled) == ticks {
            self.find_cycle(members);
        }
        let dead = self.dead.len();
        for lane in self.orphans.clone() {
            self.bury(lane, "the actor was terminated");
        }
        if self.heads.get(head::DEAD) != 0 {
            self.sweep();
        }
        // Actors that waited for room in those lanes, or in one that the host emptied meanwhile, may continue.
        let idle = idle && self.dead.len() == dead;
        let room = stalled != 0 && !self.touched.is_empty();
        if broken.is_some() || !idle || room {
            self.add_work();
        }
        // Threads that waited for this work check whether there is more.
        self.changed = true;
        self.figures.handled += handled;
        let every = self.options.checkpoint_every;
        let whole = broken.is_none() && self.only.is_none();
        if whole && every > 0 && self.version - self.checkpoint_at >= every {
            self.save_states();
        }
        if self.cycle.is_some() {
            self.wake_all();
        }
        Ended { ticks, handled, idle, stopped, broken }
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

    /// Takes the first violation of the outbox's rules.
    fn outbox_error(&mut self) -> Option<(usize, Cause)> {
        if self.heads.get(head::STOP) == 0 {
            return None;
        }
        let mut first = None;
        for actor in (0..self.seats.len()).rev() {
            let at = head::ERRORS + actor * 2;
            let cause = match self.heads.get(at) {
                0 => continue,
                error::FAILED => Cause::Failed(self.heads.get(at + 1)),
                error::EDGE => Cause::Edge,
                error::THREAD => Cause::Thread,
                _ => Cause::Emits,
            };
            self.heads.write(at, &[0, 0]);
            first = Some((actor, cause));
        }
        first
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

    fn measure(&mut self, core: &Core, start: Instant, took: u64, ended: &Ended) {
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
