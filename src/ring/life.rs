//! The life of actors: spawning, connecting, changes of state, the end.

use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::kind::{Kind, Types};
use super::layout::{NO_LANE, RingLane, RingRecord, UNIT, stride};
use super::message::zeroed;
use super::options::Launch;
use super::places::MAX_IN_PLACE;
use super::post::Post;
use super::record::Op;
use super::state::{Seat, State};
use super::submitter::Submitter;

/// A lane to be made: from and to actors by number, where 0 is the host, for messages of a size.
struct Wanted {
    from: u32,
    to: u32,
    size: usize,
    capacity: u32,
}

impl State {
    /// Makes lanes, all of them or none; returns the number of the first one.
    fn lanes(&mut self, wanted: &[Wanted]) -> Result<u32, RingError> {
        let first = self.shapes.len();
        let (mut shapes, mut used) = (Vec::with_capacity(wanted.len()), self.slots_used);
        for &Wanted { from, to, size, capacity } in wanted {
            let (capacity, stride) = (capacity.next_power_of_two(), stride(size));
            let bytes = stride.checked_mul(capacity as usize);
            let end = bytes.and_then(|bytes| used.checked_add(bytes));
            let end = end.filter(|end| end / UNIT < u32::MAX as usize).ok_or_else(|| {
                RingError::Invalid(format!(
                    "a lane of {capacity} messages of {stride} bytes does not fit into the ring"
                ))
            })?;
            let (offset, stride) = ((used / UNIT) as u32, stride as u32);
            shapes.push(RingLane { offset, stride, mask: capacity - 1, from, to, ..zeroed() });
            used = end;
        }
        self.slots.reserve(&self.gpu, used)?;
        self.lanes.reserve(&self.gpu, first + wanted.len())?;
        self.lanes.write(first, &shapes);
        self.shapes.extend(shapes);
        self.slots_used = used;
        Ok(first as u32)
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
        let number = known.unwrap_or(self.kinds.len());
        let mut new = match known {
            Some(_) => None,
            None => {
                let engine = self.engine.as_ref().ok_or(RingError::Closed)?;
                Some(Kind::new(gpu, &engine.dispatch, number, name, code, types.clone(), &launch)?)
            }
        };
        let in_place = self.kinds.iter().filter(|kind| kind.in_place);
        let in_place: usize = in_place.map(|kind| kind.members.len()).sum();
        let kind = new.as_mut().unwrap_or_else(|| &mut self.kinds[number]);
        let (members, width) = (kind.members.len() as u32, kind.width());
        if (members + 1).checked_mul(width).is_none() {
            return Err(RingError::Invalid(format!(
                "actor {} of {width} threads with this handler: a launch has at most 2³² threads",
                members + 1
            )));
        }
        if launch.in_place && in_place >= MAX_IN_PLACE {
            return Err(RingError::Invalid(format!(
                "a ring has at most {MAX_IN_PLACE} actors with several threads or states in place"
            )));
        }
        // From here on tables may move, also if something fails. Nothing else changes before everything has its memory.
        (self.plan, self.refused) = (None, None);
        self.engine.iter_mut().for_each(Submitter::forget_ahead);
        kind.states.reserve(gpu)?;
        self.seat_table.reserve(gpu, index + 1)?;
        self.records.reserve(gpu, (index + 1) * 2)?;
        let id = ActorId::of(index);
        let (input, output) = (types.input.size, types.output.size);
        let inbox = self.lanes(&[
            Wanted { from: 0, to: id.0, size: input, capacity: launch.input },
            Wanted { from: id.0, to: 0, size: output, capacity: launch.output },
        ])?;
        let reply = inbox + 1;
        self.kinds.extend(new);
        let kind = &mut self.kinds[number];
        let place = kind.states.take(name);
        kind.states.write(place, 0, state);
        kind.members.push(index);
        let record = RingRecord { version: self.version, latency_min: u32::MAX, ..zeroed() };
        self.records.write(index * 2, &[record; 2]);
        self.seats.push(Seat {
            name: name.to_owned(),
            kind: number,
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

    /// An edge from an actor to another one.
    pub(super) fn connect(&mut self, from: ActorId, to: ActorId) -> Result<usize, RingError> {
        self.connect_all(&[(from, Some(to))])?;
        Ok(self.seats[from.index()].outs.len() - 1)
    }

    /// Edges from actors to others, or to nowhere: all of them or none.
    pub(super) fn connect_all(
        &mut self,
        edges: &[(ActorId, Option<ActorId>)],
    ) -> Result<(), RingError> {
        let mut wanted = Vec::new();
        for &(from, to) in edges {
            let source = self.seat(from)?;
            let output = &self.kinds[source.kind].types.output;
            let Some(to) = to else { continue };
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
            let capacity = target.launch.input.max(source.launch.emits);
            wanted.push(Wanted { from: from.0, to: to.0, size: input.size, capacity });
        }
        // Tables may move, also if there is not enough memory for all lanes.
        self.replanned();
        let mut lane = self.lanes(&wanted)?;
        for &(from, to) in edges {
            let mut edge = NO_LANE;
            if let Some(to) = to {
                edge = lane;
                lane += 1;
                self.seats[to.index()].ins.push(edge);
            }
            self.seats[from.index()].outs.push(edge);
        }
        Ok(())
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
        kind.states.give_back(seat.place);
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
        self.kinds[seat.kind].states.write(seat.place, side, bytes);
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
                seat.saved = self.kinds[seat.kind].states.read(seat.place, side);
            }
        }
        self.note(Op::Save);
    }
}
