//! The state of a ring: its actors and lanes, and the tables that kernels read.

use super::error::{Fault, RingError};
use super::id::{ActorId, ActorState};
use super::kind::{Kind, check_own_layouts};
use super::layout::{HEADER, RingHeader, RingLane, RingRecord, RingSeat, UNIT, head};
use super::options::{Launch, RingOptions};
use super::plan::Plan;
use super::post::{DeadLetter, Letter, Post};
use super::record::{Log, Op};
use super::submitter::Submitter;
use super::table::Table;
use super::trace::Trace;
use crate::Gpu;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

/// The host's data about an actor.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) name: String,
    pub(super) kind: usize,
    pub(super) place: u32,
    pub(super) launch: Launch,
    pub(super) state: ActorState,
    /// Lanes that lead to it, the one from the host first.
    pub(super) ins: Vec<u32>,
    /// Lanes by edge.
    pub(super) outs: Vec<u32>,
    /// The lane to the host.
    pub(super) reply: u32,
    /// The first state, or that of the last checkpoint: what a restart begins with.
    pub(super) saved: Vec<u8>,
    /// The number of messages that it still handles one per tick after a restart.
    pub(super) careful: u64,
    pub(super) restarts: u32,
    pub(super) faults: u32,
    /// The last one.
    pub(super) fault: Option<Fault>,
    pub(super) handled: u64,
    /// How many messages of its mail became dead letters before it handled them, modulo 2³².
    pub(super) buried: u32,
    pub(super) post: Post,
}

/// The ring's own thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thread {
    /// The ring has no thread of its own now.
    None,
    Awake,
    /// It sleeps until something changes, because there is nothing to do for those that want ticks.
    Waits,
    /// It sleeps because nothing wants its ticks, for a while. Other threads may tick meanwhile, which does not concern it: waking
    /// it for each submission would take longer than a submission.
    Lingers,
}

/// Everything that the ring's lock protects.
#[derive(Debug)]
pub(super) struct State {
    pub(super) gpu: Gpu,
    pub(super) options: RingOptions,
    /// The right to submit: taken while a submission runs.
    pub(super) engine: Option<Submitter>,
    pub(super) seats: Vec<Seat>,
    pub(super) kinds: Vec<Kind>,
    /// Complete ticks.
    pub(super) version: u64,
    pub(super) clock: u64,
    pub(super) sequence: u32,
    /// How often a checkpoint was restored, modulo 2³².
    pub(super) restores: u32,
    /// The highest correlation of a call. Restoring a checkpoint does not turn it back.
    pub(super) called: u64,
    pub(super) heads: Table<u32>,
    pub(super) seat_table: Table<RingSeat>,
    pub(super) records: Table<RingRecord>,
    pub(super) lanes: Table<RingLane>,
    /// The lanes without their counters, which launches in flight change.
    pub(super) shapes: Vec<RingLane>,
    pub(super) edges: Table<u32>,
    pub(super) slots: Table<u8>,
    pub(super) slots_used: usize,
    /// Lanes whose consumer has terminated, and whose producer has not.
    pub(super) orphans: Vec<u32>,
    pub(super) plan: Option<Arc<Plan>>,
    /// Whether seats must be written before the next submission.
    pub(super) seats_changed: bool,
    /// Actors for which the host's counters must be published.
    pub(super) touched: Vec<usize>,
    /// Whether a tick may find something to do.
    pub(super) work: bool,
    pub(super) dead: Vec<DeadLetter>,
    /// The last ones, as many as the options say.
    pub(super) faults: VecDeque<Fault>,
    /// Actors that wait for each other, after the last submission.
    pub(super) cycle: Option<Vec<String>>,
    /// How many actors stalled in the last tick.
    pub(super) stalled: usize,
    pub(super) closed: bool,
    /// Guards of `Ring::start`, and tasks that wait.
    pub(super) drivers: usize,
    pub(super) tasks: usize,
    pub(super) driver: Thread,
    /// Why the last submission of that thread was refused, until something changes.
    pub(super) refused: Option<String>,
    /// Threads that wait for a change, without the ring's own, and whether there was one.
    pub(super) sleepers: usize,
    pub(super) changed: bool,
    /// Threads that wait until no submission runs, by ticket, and the last ticket.
    pub(super) queue: VecDeque<u64>,
    pub(super) tickets: u64,
    /// Wakers to call, and others to drop, without the lock.
    pub(super) ready: Vec<Waker>,
    pub(super) gone: Vec<Waker>,
    pub(super) next_key: u64,
    pub(super) checkpoint_at: u64,
    pub(super) log: Option<Log>,
    pub(super) trace: Option<Trace>,
    pub(super) figures: Figures,
}

/// Counters of the host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) handled: u64,
    pub(super) submissions: u64,
    pub(super) busy_ns: u64,
    pub(super) last_tick_ns: u64,
    pub(super) min_tick_ns: u64,
    pub(super) max_tick_ns: u64,
    pub(super) checkpoints: u64,
    pub(super) faults: u64,
}

/// Another reference to a device: there is one object for each.
fn clone_of(gpu: &Gpu) -> Result<Gpu, RingError> {
    let all = Gpu::all()?;
    let same = all.into_iter().find(|other| other.registry_id() == gpu.registry_id());
    same.ok_or(RingError::BackendUnavailable)
}

impl State {
    pub(super) fn new(gpu: &Gpu, options: RingOptions) -> Result<Self, RingError> {
        if options.ticks == 0 || options.ticks > 1 << 12 {
            return Err(RingError::Invalid(format!(
                "{} ticks in a submission: from 1 to {} are possible",
                options.ticks,
                1 << 12
            )));
        }
        let engine = Submitter::new(&gpu.new_command_queue()?);
        check_own_layouts(gpu, &engine.dispatch)?;
        Ok(Self {
            gpu: clone_of(gpu)?,
            engine: Some(engine),
            seats: Vec::new(),
            kinds: Vec::new(),
            version: 0,
            clock: 0,
            sequence: 0,
            restores: 0,
            called: 0,
            heads: Table::new(gpu, head::ERRORS)?,
            seat_table: Table::new(gpu, 16)?,
            records: Table::new(gpu, 32)?,
            lanes: Table::new(gpu, 64)?,
            shapes: Vec::new(),
            edges: Table::new(gpu, 64)?,
            slots: Table::new(gpu, 1 << 16)?,
            slots_used: 0,
            orphans: Vec::new(),
            plan: None,
            seats_changed: false,
            touched: Vec::new(),
            work: false,
            dead: Vec::new(),
            faults: VecDeque::new(),
            cycle: None,
            stalled: 0,
            closed: false,
            drivers: 0,
            tasks: 0,
            driver: Thread::None,
            refused: None,
            sleepers: 0,
            changed: false,
            queue: VecDeque::new(),
            tickets: 0,
            ready: Vec::new(),
            gone: Vec::new(),
            next_key: 0,
            checkpoint_at: 0,
            log: None,
            trace: None,
            figures: Figures { min_tick_ns: u64::MAX, ..Figures::default() },
            options,
        })
    }

    /// Whether a submission may begin: none runs, and no thread waits for that.
    pub(super) fn is_free(&self) -> bool {
        self.engine.is_some() && self.queue.is_empty()
    }

    /// Whether nothing that the ring does by itself can change it, and no guard of `Ring::start` promises that others will.
    pub(super) fn is_idle(&self) -> bool {
        !self.work && self.is_free() && self.drivers == 0
    }

    /// Whether the ring's own thread ticks while there is work.
    pub(super) fn wants_ticks(&self) -> bool {
        self.tasks > 0 || self.drivers > 0
    }

    /// A tick may find something to do. What refused the last submission may be gone.
    pub(super) fn add_work(&mut self) {
        (self.work, self.changed, self.refused) = (true, true, None);
    }

    /// Actors or lanes change.
    pub(super) fn replanned(&mut self) {
        self.forget_plan();
        self.changed = true;
    }

    /// The launches are planned again; what refused a submission may be gone.
    pub(super) fn forget_plan(&mut self) {
        (self.plan, self.refused) = (None, None);
        if let Some(engine) = &mut self.engine {
            engine.forget_ahead();
        }
    }

    /// Wakes everything that waits for an actor.
    pub(super) fn wake(&mut self, actor: usize) {
        let waiters = self.seats[actor].post.waiters.drain(..);
        self.ready.extend(waiters.map(|waiter| waiter.waker));
        self.changed = true;
    }

    pub(super) fn wake_all(&mut self) {
        (0..self.seats.len()).for_each(|actor| self.wake(actor));
    }

    /// No submission begins any more, and everything that waits gets an error.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wake_all();
    }

    /// The actors that have not ended.
    pub(super) fn members(&self) -> impl Iterator<Item = usize> + '_ {
        self.kinds.iter().flat_map(|kind| kind.members.iter().copied())
    }

    /// The side that the next tick reads.
    pub(super) fn side(&self) -> usize {
        (self.version & 1) as usize
    }

    /// The work of an actor. No submission runs.
    pub(super) fn record(&self, actor: usize) -> RingRecord {
        self.records.get(actor * 2 + self.side())
    }

    pub(super) fn seat(&self, id: ActorId) -> Result<&Seat, RingError> {
        let unknown = || RingError::Invalid(format!("there is no actor {}", id.0));
        (id.0 as usize).checked_sub(1).and_then(|index| self.seats.get(index)).ok_or_else(unknown)
    }

    /// A lane, without its counters.
    pub(super) fn shape(&self, lane: u32) -> RingLane {
        self.shapes[lane as usize]
    }

    /// How many messages wait in a lane. No submission runs.
    pub(super) fn depth(&self, lane: u32) -> u32 {
        let (at, side) = (self.lanes.get(lane as usize), self.side());
        at.tail[side].wrapping_sub(at.head[side])
    }

    /// How many messages were taken out of the lanes to an actor, modulo 2³². No submission runs.
    pub(super) fn taken(&self, actor: usize) -> u32 {
        let heads = self.seats[actor].ins.iter();
        let heads = heads.map(|&lane| self.lanes.get(lane as usize).head[self.side()]);
        heads.fold(0, u32::wrapping_add)
    }

    /// The offset of a slot in the slots' buffer.
    pub(super) fn slot(lane: &RingLane, counter: u32) -> usize {
        lane.offset as usize * UNIT + (counter & lane.mask) as usize * lane.stride as usize
    }

    /// The mail of an actor that no tick has handled.
    pub(super) fn mail(&self, actor: usize) -> u64 {
        self.seats[actor].ins.iter().map(|&lane| u64::from(self.depth(lane))).sum()
    }

    pub(super) fn note(&mut self, op: Op) {
        if let Some(log) = &mut self.log {
            log.push(op);
        }
    }

    /// The last submission ran fewer ticks than it had, for no reason that a replay would have.
    pub(super) fn note_ticks(&mut self, ticks: u32) {
        let Some(log) = &mut self.log else { return };
        let last = log.iter_mut().rposition(|op| op.ticks().is_some());
        match last {
            Some(last) if ticks == 0 => _ = log.remove(last),
            Some(last) => log[last].ticks().into_iter().for_each(|count| *count = ticks),
            None => {}
        }
    }

    /// Begins a recording. No submission runs.
    pub(super) fn begin_log(&mut self) {
        let mut log = Vec::new();
        for (seat, actor) in self.seats.iter().zip(1..) {
            let mut calls: Vec<u64> = seat.post.calls.iter().copied().collect();
            calls.sort_unstable();
            log.extend(calls.into_iter().map(|call| Op::Await { actor, call }));
        }
        self.log = Some(log);
    }

    /// Writes the host's counters into the lanes.
    pub(super) fn publish(&mut self) {
        for actor in self.touched.drain(..) {
            let Seat { ins, reply, post, .. } = &mut self.seats[actor];
            post.touched = false;
            self.lanes.update(ins[0] as usize, |lane| lane.tail = [post.tail; 2]);
            self.lanes.update(*reply as usize, |lane| lane.head = [post.head; 2]);
        }
    }

    pub(super) fn touch(&mut self, actor: usize) {
        if !std::mem::replace(&mut self.seats[actor].post.touched, true) {
            self.touched.push(actor);
        }
    }

    /// The message in a slot.
    pub(super) fn letter(&self, lane: &RingLane, counter: u32) -> Letter {
        let slot = Self::slot(lane, counter);
        let header: RingHeader = self.slots.value(slot);
        let room = lane.stride as usize - HEADER;
        let bytes = self.slots.read(slot + HEADER, (header.length as usize).min(room));
        Letter { header, bytes, restores: self.restores }
    }

    /// Puts a message into a slot.
    pub(super) fn put(&mut self, lane: &RingLane, counter: u32, header: &RingHeader, bytes: &[u8]) {
        let slot = Self::slot(lane, counter);
        self.slots.set_value(slot, header);
        self.slots.write(slot + HEADER, bytes);
    }
}
