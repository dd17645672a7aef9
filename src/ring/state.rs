//! The state of a ring: its actors and lanes, and the tables that kernels read.

use super::error::{Cause, Fault, RingError};
use super::kind::{Kind, Types, check_own_layouts};
use super::layout::{
    HEADER, NO_LANE, RingHeader, RingLane, RingRecord, RingSeat, UNIT, head, stride,
};
use super::message::zeroed;
use super::options::{Launch, RingOptions, Supervision};
use super::post::{DeadLetter, Post};
use super::record::{Log, Op};
use super::submit::Plan;
use super::table::Table;
use super::trace::Trace;
use crate::{Dispatch, Gpu};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The number of an actor in its ring.
///
/// ```
/// use aruminium::ring::ActorId;
/// fn print(id: ActorId) {
///     println!("actor {}", id.number());
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub(super) u32);

impl ActorId {
    /// The number, from 1 on, by which messages identify the actor.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// let actor = ring.spawn::<u32, u32, u32>("first", code, 0, Default::default())?;
    /// assert_eq!(actor.id().number(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn number(self) -> u32 {
        self.0
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize - 1
    }

    pub(super) fn of(index: usize) -> Self {
        Self(index as u32 + 1)
    }
}

/// The states of an actor; `specs/ring.md` has the transitions.
///
/// ```
/// assert_eq!(aruminium::ring::ActorState::Suspended.to_string(), "suspended");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ActorState {
    /// Spawned, and not activated yet.
    Launched,
    /// It handles mail.
    Active,
    /// It keeps its mail until it is resumed.
    Suspended,
    /// Its handler failed. It keeps its state and mail.
    Failed,
    /// It has ended.
    Terminated,
}

impl ActorState {
    pub(super) fn of(number: u8) -> Option<Self> {
        let all = [Self::Launched, Self::Active, Self::Suspended, Self::Failed, Self::Terminated];
        all.into_iter().find(|state| *state as u8 == number)
    }
}

impl fmt::Display for ActorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Launched => "launched, not active yet",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Failed => "failed",
            Self::Terminated => "terminated",
        })
    }
}

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
    pub(super) handled: u64,
    pub(super) post: Post,
}

/// Everything that the ring's lock protects.
#[derive(Debug)]
pub(super) struct State {
    pub(super) gpu: Gpu,
    pub(super) options: RingOptions,
    /// The right to submit: taken while a thread ticks.
    pub(super) engine: Option<Dispatch>,
    pub(super) seats: Vec<Seat>,
    pub(super) kinds: Vec<Kind>,
    /// Complete ticks.
    pub(super) version: u64,
    pub(super) clock: u64,
    pub(super) sequence: u32,
    pub(super) heads: Table<u32>,
    pub(super) seat_table: Table<RingSeat>,
    pub(super) records: Table<RingRecord>,
    pub(super) lanes: Table<RingLane>,
    pub(super) lane_count: usize,
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
    /// The only actor that runs, while the failing one is searched for.
    pub(super) only: Option<usize>,
    /// Whether a tick may find something to do.
    pub(super) work: bool,
    pub(super) dead: Vec<DeadLetter>,
    pub(super) faults: Vec<Fault>,
    /// Actors that wait for each other, after the last submission.
    pub(super) cycle: Option<Vec<String>>,
    /// How many actors stalled in the last tick.
    pub(super) stalled: usize,
    /// Why the ring cannot continue.
    pub(super) broken: Option<String>,
    pub(super) closed: bool,
    /// Guards of `Ring::start`, and tasks that wait.
    pub(super) drivers: usize,
    pub(super) tasks: usize,
    /// Whether the ring's own thread runs.
    pub(super) driver: bool,
    /// Why that thread stopped ticking, until something changes.
    pub(super) refused: Option<String>,
    /// Threads that wait for a change.
    sleepers: usize,
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
}

/// A ring: its state, and the condition variables that threads wait for.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
    pub(super) opened: Instant,
}

impl Core {
    pub(super) fn open(gpu: &Gpu, options: RingOptions) -> Result<Arc<Self>, RingError> {
        if options.ticks == 0 || options.ticks > 1 << 12 {
            return Err(RingError::Invalid(format!(
                "{} ticks in a submission: from 1 to {} are possible",
                options.ticks,
                1 << 12
            )));
        }
        let engine = Dispatch::new(&gpu.new_command_queue()?);
        check_own_layouts(gpu, &engine)?;
        let state = State {
            gpu: clone_of(gpu)?,
            engine: Some(engine),
            seats: Vec::new(),
            kinds: Vec::new(),
            version: 0,
            clock: 0,
            sequence: 0,
            heads: Table::new(gpu, head::ERRORS)?,
            seat_table: Table::new(gpu, 16)?,
            records: Table::new(gpu, 32)?,
            lanes: Table::new(gpu, 64)?,
            lane_count: 0,
            edges: Table::new(gpu, 64)?,
            slots: Table::new(gpu, 1 << 16)?,
            slots_used: 0,
            orphans: Vec::new(),
            plan: None,
            seats_changed: false,
            touched: Vec::new(),
            only: None,
            work: false,
            dead: Vec::new(),
            faults: Vec::new(),
            cycle: None,
            stalled: 0,
            broken: None,
            closed: false,
            drivers: 0,
            tasks: 0,
            driver: false,
            refused: None,
            sleepers: 0,
            next_key: 0,
            checkpoint_at: 0,
            log: None,
            trace: None,
            figures: Figures { min_tick_ns: u64::MAX, ..Figures::default() },
            options,
        };
        Ok(Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            opened: Instant::now(),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, up to a time limit.
    pub(super) fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        time: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.sleepers += 1;
        let mut state = match time {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.sleepers -= 1;
        state
    }

    /// Wakes the threads that wait for a change.
    pub(super) fn notify(&self, state: &State) {
        if state.sleepers > 0 {
            self.changed.notify_all();
        }
    }

    /// The state, when no tick is in flight.
    pub(super) fn idle(&self) -> Result<MutexGuard<'_, State>, RingError> {
        let mut state = self.lock();
        while state.engine.is_none() && !state.closed {
            state = self.wait(state, None);
        }
        if state.closed { Err(RingError::Closed) } else { Ok(state) }
    }
}

/// Another reference to a device: there is one object for each.
fn clone_of(gpu: &Gpu) -> Result<Gpu, RingError> {
    let all = Gpu::all()?;
    let same = all.into_iter().find(|other| other.registry_id() == gpu.registry_id());
    same.ok_or(RingError::BackendUnavailable)
}

impl State {
    /// The side that the next tick reads.
    pub(super) fn side(&self) -> usize {
        (self.version & 1) as usize
    }

    pub(super) fn record(&self, actor: usize) -> RingRecord {
        self.records.get(actor * 2 + self.side())
    }

    pub(super) fn seat(&self, id: ActorId) -> Result<&Seat, RingError> {
        let unknown = || RingError::Invalid(format!("there is no actor {}", id.0));
        (id.0 as usize).checked_sub(1).and_then(|index| self.seats.get(index)).ok_or_else(unknown)
    }

    /// How many messages wait in a lane, and how many it holds.
    pub(super) fn depth(&self, lane: u32) -> (u32, u32) {
        let at = self.lanes.get(lane as usize);
        let side = self.side();
        (at.tail[side].wrapping_sub(at.head[side]), at.mask + 1)
    }

    /// The offset of a slot in the slots' buffer.
    pub(super) fn slot(lane: &RingLane, counter: u32) -> usize {
        lane.offset as usize * UNIT + (counter & lane.mask) as usize * lane.stride as usize
    }

    /// A lane for messages of a size, from and to actors by number; 0 is the host.
    fn lane(&mut self, from: u32, to: u32, size: usize, capacity: u32) -> Result<u32, RingError> {
        let (capacity, stride) = (capacity.next_power_of_two(), stride(size));
        let bytes = stride.checked_mul(capacity as usize);
        let end = bytes.and_then(|bytes| self.slots_used.checked_add(bytes));
        let end = end.filter(|end| end / UNIT < u32::MAX as usize).ok_or_else(|| {
            RingError::Invalid(format!(
                "a lane of {capacity} messages of {stride} bytes does not fit into the ring"
            ))
        })?;
        let number = self.lane_count;
        self.slots.reserve(&self.gpu, end)?;
        self.lanes.reserve(&self.gpu, number + 1)?;
        let offset = (self.slots_used / UNIT) as u32;
        let lane =
            RingLane { offset, stride: stride as u32, mask: capacity - 1, from, to, ..zeroed() };
        self.lanes.set(number, lane);
        (self.slots_used, self.lane_count) = (end, number + 1);
        Ok(number as u32)
    }

    pub(super) fn spawn(
        &mut self,
        name: &str,
        code: &str,
        types: Types,
        state: &[u8],
        launch: Launch,
    ) -> Result<ActorId, RingError> {
        launch.check()?;
        if self.seats.iter().any(|seat| seat.name == name && seat.state != ActorState::Terminated) {
            return Err(RingError::Invalid(format!(
                "an actor `{name}` is there already: choose another name"
            )));
        }
        let (index, gpu) = (self.seats.len(), &self.gpu);
        let known = self.kinds.iter().position(|kind| kind.fits(code, &types, &launch));
        let kind = match known {
            Some(kind) => kind,
            None => {
                let engine = self.engine.as_ref().ok_or(RingError::Closed)?;
                let kind =
                    Kind::new(gpu, engine, self.kinds.len(), name, code, types.clone(), &launch)?;
                self.kinds.push(kind);
                self.kinds.len() - 1
            }
        };
        self.seat_table.reserve(gpu, index + 1)?;
        self.records.reserve(gpu, (index + 1) * 2)?;
        let place = self.kinds[kind].place(gpu)?;
        self.kinds[kind].set_state(place, 0, state);
        let record = RingRecord { version: self.version, latency_min: u32::MAX, ..zeroed() };
        self.records.write(index * 2, &[record; 2]);
        let id = ActorId::of(index);
        let inbox = self.lane(0, id.0, types.input.size, launch.input)?;
        let reply = self.lane(id.0, 0, types.output.size, launch.output)?;
        self.kinds[kind].members.push(index);
        self.seats.push(Seat {
            name: name.to_owned(),
            kind,
            place,
            state: if launch.auto_activate { ActorState::Active } else { ActorState::Launched },
            launch,
            ins: vec![inbox],
            outs: Vec::new(),
            reply,
            saved: state.to_vec(),
            careful: 0,
            restarts: 0,
            faults: 0,
            handled: 0,
            post: Post::default(),
        });
        self.plan = None;
        Ok(id)
    }

    /// An edge from an actor to another one, or to nowhere.
    pub(super) fn connect(
        &mut self,
        from: ActorId,
        to: Option<ActorId>,
    ) -> Result<usize, RingError> {
        let source = self.seat(from)?;
        let emits = source.launch.emits;
        let output = &self.kinds[source.kind].types;
        let lane = match to {
            None => NO_LANE,
            Some(to) => {
                let target = self.seat(to)?;
                let input = &self.kinds[target.kind].types;
                if output.output_type != input.input_type {
                    return Err(RingError::Invalid(format!(
                        "actor `{}` sends `{}`, and actor `{}` receives `{}`: a lane needs one type",
                        source.name, output.output.name, target.name, input.input.name
                    )));
                }
                let ended =
                    [source, target].into_iter().find(|seat| seat.state == ActorState::Terminated);
                if let Some(seat) = ended {
                    return Err(RingError::State {
                        actor: seat.name.clone(),
                        state: seat.state,
                        what: "connecting",
                    });
                }
                let (size, capacity) = (input.input.size, target.launch.input.max(emits));
                let lane = self.lane(from.0, to.0, size, capacity)?;
                self.seats[to.index()].ins.push(lane);
                lane
            }
        };
        let outs = &mut self.seats[from.index()].outs;
        outs.push(lane);
        let edge = outs.len() - 1;
        self.plan = None;
        Ok(edge)
    }

    /// The mail of an actor that no tick has handled.
    pub(super) fn mail(&self, actor: usize) -> u64 {
        self.seats[actor].ins.iter().map(|&lane| u64::from(self.depth(lane).0)).sum()
    }

    /// The record of a fault, and what supervision does about it. Returns whether the caller is to get it.
    pub(super) fn supervise(&mut self, actor: usize, cause: Cause) -> Option<Fault> {
        let fault = Fault {
            actor: ActorId::of(actor),
            name: self.seats[actor].name.clone(),
            tick: self.version,
            cause,
        };
        self.faults.push(fault.clone());
        let waiting = self.mail(actor);
        let seat = &mut self.seats[actor];
        seat.faults += 1;
        (self.seats_changed, self.work) = (true, true);
        let policy = seat.launch.supervision;
        match policy {
            Supervision::Restart { limit } if seat.restarts < limit => {
                seat.restarts += 1;
                let poison = seat.careful > 0 || waiting == 1;
                seat.careful = if poison { seat.careful.saturating_sub(1) } else { waiting };
                if poison {
                    self.bury_next(actor, "the actor failed when it handled this message");
                }
                let side = self.record(actor).side;
                let Seat { kind, place, saved, .. } = &self.seats[actor];
                self.kinds[*kind].set_state(*place, side, saved);
            }
            _ => seat.state = ActorState::Failed,
        }
        (policy == Supervision::Escalate).then_some(fault)
    }

    /// Ends an actor. No tick is in flight.
    pub(super) fn terminate(&mut self, id: ActorId) -> Result<(), RingError> {
        if self.seat(id)?.state == ActorState::Terminated {
            return Ok(());
        }
        let actor = id.index();
        let record = self.record(actor);
        self.records.write(actor * 2, &[record; 2]);
        self.publish();
        let ins = self.seats[actor].ins.clone();
        let side = self.side();
        for lane in ins {
            // The actor will not write the other side any more, but its producers and the host read it.
            self.lanes.update(lane as usize, |lane| lane.head = [lane.head[side]; 2]);
            self.bury(lane, "the actor was terminated");
            let from = self.lanes.get(lane as usize).from;
            if from != 0
                && from != id.0
                && self.seats[from as usize - 1].state != ActorState::Terminated
            {
                self.orphans.push(lane);
            }
        }
        let own = &self.seats[actor].outs;
        self.orphans.retain(|lane| !own.contains(lane));
        let seat = &mut self.seats[actor];
        // The actor will write neither side of its tails any more, but its consumers read both.
        for &lane in seat.outs.iter().filter(|&&lane| lane != NO_LANE).chain([&seat.reply]) {
            self.lanes.update(lane as usize, |lane| lane.tail = [lane.tail[side]; 2]);
        }
        seat.state = ActorState::Terminated;
        let kind = &mut self.kinds[seat.kind];
        kind.members.retain(|&member| member != actor);
        kind.release(seat.place);
        seat.post.wake();
        self.plan = None;
        self.work = true;
        self.note(Op::Terminate(id.0));
        Ok(())
    }

    /// A change of state that the next submission makes effective.
    pub(super) fn set_active(
        &mut self,
        id: ActorId,
        to: ActorState,
        from: &[ActorState],
        what: &'static str,
    ) -> Result<(), RingError> {
        let seat = self.seat(id)?;
        if seat.state == to {
            return Ok(());
        }
        if !from.contains(&seat.state) {
            return Err(RingError::State { actor: seat.name.clone(), state: seat.state, what });
        }
        let seat = &mut self.seats[id.index()];
        seat.state = to;
        (seat.careful, seat.restarts) = (0, 0);
        self.seats_changed = true;
        self.work |= to == ActorState::Active;
        self.note(Op::State(id.0, to as u8));
        Ok(())
    }

    pub(super) fn note(&mut self, op: Op) {
        if let Some(log) = &mut self.log {
            log.push(op);
        }
    }

    /// Writes the host's counters into the lanes.
    pub(super) fn publish(&mut self) {
        for actor in std::mem::take(&mut self.touched) {
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

    /// The header and bytes in a slot.
    pub(super) fn letter(&self, lane: &RingLane, counter: u32) -> (RingHeader, Vec<u8>) {
        let slot = Self::slot(lane, counter);
        let header: RingHeader = self.slots.value(slot);
        let room = lane.stride as usize - HEADER;
        (header, self.slots.read(slot + HEADER, (header.length as usize).min(room)))
    }
}
