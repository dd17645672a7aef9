//! Submissions: the launches of ticks, and the host's work after them.

use super::error::{Cause, Fault, RingError};
use super::kind::Kind;
use super::layout::{NO_LANE, RingSeat, RingStep, error, head};
use super::message::{bytes_of, zeroed};
use super::record::Op;
use super::state::{ActorState, Core, State};
use crate::{Buffer, Dispatch, FaultKind, GpuError, Pipeline};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// One launch of a tick.
#[derive(Debug)]
struct Planned {
    pipeline: Pipeline,
    states: Arc<Buffer>,
    first: u32,
    members: u32,
    groups: u32,
    threads: u32,
}

/// The launches of a tick, until actors or lanes change.
#[derive(Debug)]
pub(super) struct Plan {
    launches: Vec<Planned>,
    /// The buffers at indices 0 to 5.
    buffers: [Arc<Buffer>; 6],
    counts: u32,
    grids: u32,
}

/// The result of `Ring::tick` and `Ring::run`.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
/// # let actor = ring.spawn::<u32, u32, u32>("first", code, 0, Default::default())?;
/// actor.send_all(&[1, 2, 3])?;
/// let tick = ring.tick()?;
/// assert_eq!((tick.ticks, tick.handled, tick.stalled), (1, 3, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Tick {
    /// How many ticks ran.
    pub ticks: u64,
    /// How many messages were handled.
    pub handled: u64,
    /// How many actors stalled in the last tick, because a lane that they send to is full.
    pub stalled: usize,
    /// Whether the last tick handled no mail.
    pub idle: bool,
    /// Faults that supervision has handled.
    pub faults: Vec<Fault>,
}

/// How a submission ended.
pub(super) struct Ended {
    ticks: u64,
    handled: u64,
    idle: bool,
    stopped: bool,
    broken: Option<Broken>,
}

/// Why a submission did not complete.
enum Broken {
    /// An actor broke a rule of the outbox.
    Outbox(usize, Cause),
    Metal(GpuError),
}

/// The right to submit. Other threads wait until it is dropped.
pub(super) struct Engine<'a> {
    core: &'a Core,
    dispatch: Option<Dispatch>,
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.engine = self.dispatch.take();
        self.core.notify(&state);
    }
}

impl Core {
    /// Runs up to a number of ticks on this thread, until there is nothing to do.
    pub(super) fn run(&self, ticks: u64) -> Result<Tick, RingError> {
        self.engine()?.run(ticks)
    }

    fn engine(&self) -> Result<Engine<'_>, RingError> {
        let dispatch = self.idle()?.engine.take();
        Ok(Engine { core: self, dispatch })
    }

    /// The same, if no other thread ticks.
    pub(super) fn try_run(&self, ticks: u64) -> Result<Option<Tick>, RingError> {
        let Some(dispatch) = self.lock().engine.take() else { return Ok(None) };
        Engine { core: self, dispatch: Some(dispatch) }.run(ticks).map(Some)
    }
}

impl Engine<'_> {
    fn run(&mut self, ticks: u64) -> Result<Tick, RingError> {
        let mut total = Tick::default();
        let mut escalated = None;
        while total.ticks < ticks {
            let ended = self.submit(ticks - total.ticks)?;
            total.ticks += ended.ticks;
            total.handled += ended.handled;
            total.idle = ended.idle;
            match ended.broken {
                Some(broken) => {
                    let (actor, cause) = self.blame(broken)?;
                    let mut state = self.core.lock();
                    escalated = state.supervise(actor, cause).or(escalated);
                    total.faults.extend(state.faults.last().cloned());
                }
                None if ended.idle || ended.stopped => break,
                None => {}
            }
        }
        let mut state = self.core.lock();
        total.stalled = state.stalled;
        if state.options.checkpoint_every > 0
            && state.version - state.checkpoint_at >= state.options.checkpoint_every
        {
            state.save_states();
        }
        match (escalated, &state.cycle) {
            (Some(fault), _) => Err(RingError::Fault(Box::new(fault))),
            (None, Some(cycle)) => Err(RingError::Cycle(cycle.clone())),
            (None, None) => Ok(total),
        }
    }

    /// One submission of up to a number of ticks.
    fn submit(&mut self, ticks: u64) -> Result<Ended, RingError> {
        let mut state = self.core.lock();
        let count = ticks.min(state.options.ticks as u64) as u32;
        let plan = state.prepare(count)?;
        let version = state.version;
        drop(state);

        let dispatch = self.dispatch.as_ref().ok_or(RingError::Closed)?;
        let start = Instant::now();
        // SAFETY: the kernels stay within their buffers by the counters that the state and they maintain, which the
        // plan keeps alive; while they run, the state accesses only slots that they do not.
        let result = unsafe { dispatch.batch(|batch| plan.encode(batch, version, count)) };
        let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);

        let mut state = self.core.lock();
        let ended = state.settle(result);
        state.measure(self.core, start, took, &ended);
        self.core.notify(&state);
        Ok(ended)
    }

    /// The actor that broke a submission.
    fn blame(&mut self, broken: Broken) -> Result<(usize, Cause), RingError> {
        let error = match broken {
            Broken::Outbox(actor, cause) => return Ok((actor, cause)),
            Broken::Metal(error) => error,
        };
        let state = self.core.lock();
        // The watchdog stops a kernel in any thread, not necessarily in the one that does not end.
        if let GpuError::KernelFault(fault) = &error
            && fault.kind != FaultKind::Timeout
            && let Some(actor) = state.member_at(&fault.kernel, fault.thread)
        {
            return Ok((actor, Cause::Kernel(fault.clone())));
        }
        let suspects = state.suspects();
        drop(state);
        for actor in suspects {
            let mut state = self.core.lock();
            (state.only, state.seats_changed) = (Some(actor), true);
            drop(state);
            let ended = self.submit(1);
            let mut state = self.core.lock();
            state.only = None;
            state.seats_changed = true;
            match ended?.broken {
                Some(Broken::Metal(GpuError::KernelFault(fault))) => {
                    return Ok((actor, Cause::Kernel(fault)));
                }
                Some(Broken::Metal(error)) => {
                    return Ok((actor, Cause::Commands(error.to_string())));
                }
                Some(Broken::Outbox(actor, cause)) => return Ok((actor, cause)),
                None => {}
            }
        }
        self.core.lock().broken = Some(error.to_string());
        Err(error.into())
    }
}

impl Plan {
    pub(super) fn encode(&self, batch: &crate::Batch<'_>, version: u64, count: u32) {
        for (index, buffer) in self.buffers.iter().enumerate() {
            batch.bind_buffer(buffer, 0, index);
        }
        let launches = self.launches.len() as u32;
        for tick in 0..count {
            for (number, launch) in (0..).zip(&self.launches) {
                let Planned { pipeline, states, first, members, groups, threads } = launch;
                batch.bind(pipeline);
                batch.bind_buffer(states, 0, 6);
                let step = RingStep {
                    version: version + u64::from(tick),
                    index: tick,
                    more: (tick + 1 < count).into(),
                    first: *first,
                    members: *members,
                    counts: self.counts,
                    launches,
                    grids: self.grids,
                    errors: head::ERRORS as u32,
                };
                batch.push(bytes_of(&step), 7);
                let threads = (*threads as usize, 1, 1);
                if tick == 0 {
                    batch.launch_groups((*groups as usize, 1, 1), threads);
                } else {
                    let grid = self.grids + (tick * launches + number) * 3;
                    batch.launch_indirect(&self.buffers[0], grid as usize * 4, threads);
                }
            }
        }
    }
}

impl State {
    /// Writes everything that the next submission reads.
    pub(super) fn prepare(&mut self, count: u32) -> Result<Arc<Plan>, RingError> {
        if let Some(why) = &self.broken {
            return Err(RingError::Gpu(GpuError::CommandBufferError(why.clone())));
        }
        if self.dead.len() > self.options.dead_letters {
            return Err(RingError::Full {
                actor: "dead letters; take them with `Ring::take_dead_letters`".into(),
                capacity: self.options.dead_letters,
            });
        }
        self.publish();
        let plan = match &self.plan {
            Some(plan) => Arc::clone(plan),
            None => self.replan()?,
        };
        if std::mem::take(&mut self.seats_changed) {
            for actor in 0..self.seats.len() {
                let (run, budget) = self.runs(actor);
                self.seat_table.update(actor, |seat| (seat.run, seat.budget) = (run, budget));
            }
        }
        // Mail that is sent or taken while the submission runs is work for the next one.
        self.work = false;
        self.cycle = None;
        for word in 0..head::ERRORS {
            self.heads.set(word, 0);
        }
        let launches = plan.launches.len();
        for grid in launches..count as usize * launches {
            self.heads.set(plan.grids as usize + grid * 3, 0);
        }
        Ok(plan)
    }

    /// Whether an actor handles mail, and how much in a tick.
    fn runs(&self, actor: usize) -> (u32, u32) {
        let seat = &self.seats[actor];
        let chosen = self.only.is_none_or(|only| only == actor);
        let run = seat.state == ActorState::Active && chosen;
        (run.into(), if seat.careful > 0 { 1 } else { seat.launch.budget })
    }

    /// Writes the lists of lanes and actors, and plans the launches of a tick.
    fn replan(&mut self) -> Result<Arc<Plan>, RingError> {
        let mut edges = Vec::new();
        for (actor, seat) in self.seats.iter().enumerate() {
            if seat.state == ActorState::Terminated {
                continue;
            }
            let (run, budget) = self.runs(actor);
            let ins = edges.len() as u32;
            edges.extend(&seat.ins);
            let outs = edges.len() as u32;
            edges.extend(&seat.outs);
            let entry = RingSeat {
                ins,
                in_count: seat.ins.len() as u32,
                outs,
                out_count: seat.outs.len() as u32,
                reply: seat.reply,
                emits: seat.launch.emits,
                budget,
                run,
                member: seat.place,
                kind: self.kinds[seat.kind].types.output_type,
                priority: seat.launch.priority as u32,
                ..zeroed()
            };
            self.seat_table.set(actor, entry);
        }
        let mut launches = Vec::new();
        for kind in &mut self.kinds {
            if kind.members.is_empty() {
                continue;
            }
            let ins =
                kind.members.iter().map(|&actor| self.seats[actor].ins.len()).max().unwrap_or(1);
            kind.prepare(&self.gpu, ins)?;
            let pipelines = kind.pipelines(ins);
            let first = edges.len() as u32;
            edges.extend(kind.members.iter().map(|&actor| actor as u32));
            let mut launch = |pipeline: &Pipeline, (groups, threads): (u32, u32)| {
                launches.push(Planned {
                    pipeline: pipeline.clone(),
                    states: Arc::clone(kind.states.buffer()),
                    first,
                    members: kind.members.len() as u32,
                    groups,
                    threads,
                });
            };
            if let Some(save) = &pipelines.save {
                launch(save, kind.save_grid());
            }
            launch(&pipelines.tick, kind.grid());
        }
        let counts = edges.len() as u32;
        edges.extend(launches.iter().map(|launch| launch.groups));
        self.edges.reserve(&self.gpu, edges.len())?;
        self.edges.write(0, &edges);

        let grids = head::ERRORS + self.seats.len() * 2;
        let words = self.options.ticks * launches.len() * 3;
        self.heads.reserve(&self.gpu, grids + words)?;
        self.heads.write(0, &vec![0; grids]);
        self.heads.write(grids, &vec![1; words]);
        let plan = Arc::new(Plan {
            launches,
            buffers: [
                Arc::clone(self.heads.buffer()),
                Arc::clone(self.seat_table.buffer()),
                Arc::clone(self.records.buffer()),
                Arc::clone(self.lanes.buffer()),
                Arc::clone(self.edges.buffer()),
                Arc::clone(self.slots.buffer()),
            ],
            counts,
            grids: grids as u32,
        });
        self.seats_changed = false;
        self.plan = Some(Arc::clone(&plan));
        Ok(plan)
    }

    /// Reads the results of a submission.
    pub(super) fn settle(&mut self, result: Result<(), GpuError>) -> Ended {
        let before = self.version;
        let broken = match result {
            Ok(()) => {
                self.version += u64::from(self.heads.get(head::RAN));
                self.outbox_error().map(|(actor, cause)| Broken::Outbox(actor, cause))
            }
            Err(error) => {
                // An actor that has not completed a tick has no record of it.
                let newest = |actor: usize| {
                    let [one, other] =
                        [0, 1].map(|side| self.records.get(actor * 2 + side).version);
                    one.max(other)
                };
                self.version = self.members().map(newest).min().unwrap_or(before);
                Some(Broken::Metal(error))
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
        let (mut handled, mut counted) = (0, u64::from(self.heads.get(head::HANDLED)));
        let exact = broken.is_some();
        let active_members: Vec<usize> = self.members().collect();
        for &actor in &active_members {
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
            if filled != seat.post.filled {
                seat.post.filled = filled;
                seat.post.wake();
            }
            if exact || seat.careful > 0 {
                let now = self.records.get(actor * 2 + side).handled;
                let more = now - seat.handled;
                handled += more;
                if seat.careful > 0 && more > 0 {
                    seat.careful = seat.careful.saturating_sub(more);
                    self.seats_changed |= seat.careful == 0;
                }
            }
        }
        if exact {
            counted = handled;
        }
        for &actor in &active_members {
            self.seats[actor].handled = self.records.get(actor * 2 + side).handled;
        }
        self.stalled = 0;
        if stalled != 0 && u64::from(stalled) == ticks {
            self.find_cycle(&active_members);
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
        self.work |= broken.is_some() || !idle || room;
        self.figures.handled += counted;
        if ticks > 0 && self.only.is_none() {
            self.note(Op::Run(ticks));
        }
        if self.cycle.is_some() || broken.is_some() {
            for seat in &mut self.seats {
                seat.post.wake();
            }
        }
        Ended { ticks, handled: counted, idle, stopped, broken }
    }

    /// The actors that run or could run.
    fn members(&self) -> impl Iterator<Item = usize> + '_ {
        self.kinds.iter().flat_map(|kind| kind.members.iter().copied())
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

    /// The actor whose thread of a kernel this is.
    fn member_at(&self, kernel: &str, thread: Option<[u32; 3]>) -> Option<usize> {
        let kind = (0..self.kinds.len()).find(|&number| Kind::kernel(number) == kernel)?;
        let kind = &self.kinds[kind];
        kind.members.get((thread?[0] / kind.width()) as usize).copied()
    }

    /// The actors that may have broken the tick: those that run and have no record of it.
    fn suspects(&self) -> Vec<usize> {
        let done = |actor: usize| {
            (0..2).any(|side| self.records.get(actor * 2 + side).version > self.version)
        };
        self.members().filter(|&actor| self.runs(actor).0 != 0 && !done(actor)).collect()
    }

    /// Follows each actor that handled nothing because a lane is full to the consumer of that lane, to find a cycle.
    fn find_cycle(&mut self, members: &[usize]) {
        let mut next = HashMap::new();
        for &actor in members {
            let record = self.record(actor);
            if record.blocked == 0 {
                continue;
            }
            self.stalled += 1;
            if record.now == 0 && record.blocked - 1 != NO_LANE {
                next.insert(actor, self.lanes.get(record.blocked as usize - 1).to);
            }
        }
        for &start in members {
            let (mut path, mut at) = (Vec::new(), start);
            while let Some(&to) = next.get(&at) {
                path.push(at);
                if to == 0 {
                    break;
                }
                at = to as usize - 1;
                if let Some(first) = path.iter().position(|&actor| actor == at) {
                    self.cycle = Some(
                        path[first..].iter().map(|&actor| self.seats[actor].name.clone()).collect(),
                    );
                    return;
                }
            }
        }
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
            trace.submission(
                self,
                start.duration_since(core.opened),
                took,
                ended.ticks,
                ended.handled,
            );
            self.trace = Some(trace);
        }
    }
}
