//! The life of actors: spawning, connecting, changes of state, the end.

use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::kind::{Kind, Types};
use super::layout::{NO_LANE, RingLane, RingRecord, UNIT, stride};
use super::message::zeroed;
use super::options::Launch;
use super::post::Post;
use super::record::Op;
use super::state::{Seat, State};

impl State {
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
        let number = self.shapes.len();
        self.slots.reserve(&self.gpu, end)?;
        self.lanes.reserve(&self.gpu, number + 1)?;
        let offset = (self.slots_used / UNIT) as u32;
        let lane =
            RingLane { offset, stride: stride as u32, mask: capacity - 1, from, to, ..zeroed() };
        self.lanes.set(number, lane);
        self.shapes.push(lane);
        self.slots_used = end;
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
        let (members, width) = (self.kinds[kind].members.len() as u32, self.kinds[kind].width());
        if (members + 1).checked_mul(width).is_none() {
            return Err(RingError::Invalid(format!(
                "actor {} of {width} threads with this handler: a launch has at most 2³² threads",
                members + 1
            )));
        }
        // From here on tables may move, also if something fails.
        (self.plan, self.refused) = (None, None);
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
            fault: None,
            handled: 0,
            buried: 0,
            post: Post::default(),
        });
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
        let output = &self.kinds[source.kind].types.output;
        let lane = match to {
            None => NO_LANE,
            Some(to) => {
                let target = self.seat(to)?;
                let input = &self.kinds[target.kind].types.input;
                // Types with one name and one number may be laid out differently.
                if output != input {
                    return Err(RingError::Invalid(format!(
                        "actor `{}` sends `{}` of {} bytes, and actor `{}` receives `{}` of {} bytes: a lane needs one type, \
                         with one layout",
                        source.name, output.name, output.size, target.name, input.name, input.size
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
                let (size, capacity) = (input.size, target.launch.input.max(emits));
                self.replanned();
                let lane = self.lane(from.0, to.0, size, capacity)?;
                self.seats[to.index()].ins.push(lane);
                lane
            }
        };
        let outs = &mut self.seats[from.index()].outs;
        outs.push(lane);
        let edge = outs.len() - 1;
        self.replanned();
        Ok(edge)
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
            if from != 0 && self.seats[from as usize - 1].state != ActorState::Terminated {
                self.orphans.push(lane);
            }
        }
        // Nothing sends into these any more, one to itself included.
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
        self.wake(actor);
        self.replanned();
        self.add_work();
        self.note(Op::Terminate(id.0));
        Ok(())
    }

    /// A change of state. No submission runs.
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
        if to == ActorState::Active {
            self.add_work();
        }
        // Threads that wait for a suspended actor's mail may get an error instead.
        self.changed = true;
        self.note(Op::State(id.0, to as u8));
        Ok(())
    }

    /// Replaces the state of an actor. No submission runs.
    pub(super) fn write_state(&mut self, id: ActorId, bytes: &[u8]) -> Result<(), RingError> {
        let side = self.record(id.index()).side;
        let seat = &self.seats[id.index()];
        if seat.state == ActorState::Terminated {
            return Err(RingError::State {
                actor: seat.name.clone(),
                state: seat.state,
                what: "writing its state",
            });
        }
        self.kinds[seat.kind].set_state(seat.place, side, bytes);
        if self.log.is_some() {
            self.note(Op::Write { actor: id.0, bytes: bytes.to_vec() });
        }
        Ok(())
    }

    /// Keeps the states of all actors for restarts.
    pub(super) fn save_states(&mut self) {
        self.checkpoint_at = self.version;
        self.figures.checkpoints += 1;
        for actor in 0..self.seats.len() {
            let side = self.record(actor).side;
            let seat = &mut self.seats[actor];
            if seat.state != ActorState::Terminated {
                seat.saved = self.kinds[seat.kind].state(seat.place, side);
            }
        }
        self.note(Op::Save);
    }
}
