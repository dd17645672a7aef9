//! Restoring checkpoints: every field is checked before the first one is used.

use super::bytes::Reader;
use super::checkpoint::{REASONS, WHAT};
use super::clock::LAST;
use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::layout::{CALL, DEAD, HEADER, RingHeader, RingRecord};
use super::message::{Layout, value_of};
use super::post::{DeadLetter, Letter, MessageId, Post};
use super::record::Op;
use super::state::State;
use std::collections::HashSet;

/// Counters are at most this: no ring comes near it, and one that continues there overflows nothing.
const LARGEST: u64 = 1 << 62;

/// A checkpoint that was read and fits the ring.
struct Saved<'a> {
    version: u64,
    clock: u64,
    sequence: u32,
    actors: Vec<SavedActor<'a>>,
    lanes: Vec<SavedLane>,
    dead: Vec<DeadLetter>,
}

struct SavedActor<'a> {
    state: ActorState,
    careful: u64,
    restarts: u32,
    faults: u32,
    buried: u32,
    record: RingRecord,
    bytes: &'a [u8],
    post: Post,
}

struct SavedLane {
    head: u32,
    tail: u32,
    letters: Vec<Letter>,
}

fn differs<T>(why: String) -> Result<T, RingError> {
    Err(RingError::Format(format!("{WHAT} is of another ring: {why}")))
}

fn wrong<T>(why: String) -> Result<T, RingError> {
    Err(RingError::Format(format!("{WHAT} is of no ring: {why}")))
}

/// A counter or a clock, which is at most `largest`.
fn up_to(largest: u64, what: &str, value: u64) -> Result<u64, RingError> {
    if value <= largest { Ok(value) } else { wrong(format!("{what} is {value}")) }
}

/// The number of an actor; `None` is the host.
fn actor(number: u32) -> Option<ActorId> {
    (number != 0).then_some(ActorId(number))
}

impl State {
    /// Checks the header of a message with a number of bytes, from and to actors by number; 0 is the host. A message that
    /// could not be delivered is in the lane from its sender to the host.
    pub(super) fn check_header(
        &self,
        header: &RingHeader,
        bytes: usize,
        (from, to): (u32, u32),
    ) -> Result<(), String> {
        let is_dead = header.flags & DEAD != 0;
        let (kind, size) = self.message_type(from, to);
        let is_actor = |number: u32| number != 0 && number as usize <= self.seats.len();
        if (header.kind, bytes, header.length as usize) != (kind, size, size) {
            return Err(format!(
                "a message has type {}, {bytes} bytes and a length of {}, where messages have type {kind} and {size} bytes",
                header.kind, header.length
            ));
        }
        let addressed = match is_dead {
            true => from != 0 && to == 0 && is_actor(header.target),
            false => header.target == to,
        };
        if header.source != from || !addressed {
            let (source, target) = (header.source, header.target);
            return Err(format!(
                "a message from {source} to {target} in the lane from {from} to {to}"
            ));
        }
        let call = header.call().unwrap_or(0);
        // The flags beside these bits are the priority.
        if header.flags & !(DEAD | CALL) > 3
            || header.clock.max(call) > LAST
            || (from == 0 && header.sequence == 0)
            || header.spare != [0; 4]
        {
            return Err(format!("no ring makes the header {header:?}"));
        }
        Ok(())
    }

    /// The number and size of the messages from and to actors by number, not both the host.
    fn message_type(&self, from: u32, to: u32) -> (u32, usize) {
        let types = |actor: u32| &self.kinds[self.seats[actor as usize - 1].kind].types;
        match from {
            0 => (types(to).input_type, types(to).input.size),
            _ => (types(from).output_type, types(from).output.size),
        }
    }

    /// The number in ids after the next restore.
    fn next_restores(&self) -> u32 {
        self.restores.wrapping_add(1)
    }

    fn read_letter(
        &self,
        reader: &mut Reader<'_>,
        ends: (u32, u32),
        calls: &mut HashSet<u64>,
    ) -> Result<Letter, RingError> {
        let header: RingHeader = value_of(reader.raw(HEADER)?);
        let bytes = reader.list()?.to_vec();
        self.check_header(&header, bytes.len(), ends).or_else(differs)?;
        calls.extend(header.call());
        Ok(Letter { header, bytes, restores: self.next_restores() })
    }

    /// Checks the counters of an actor when the ring has completed a number of ticks.
    fn check_record(
        &self,
        number: u32,
        state: ActorState,
        record: &RingRecord,
        version: u64,
    ) -> Result<(), String> {
        let RingRecord { handled, latency, latency_min, latency_max, now, blocked, .. } = *record;
        let ended = state == ActorState::Terminated;
        if record.version != version && !(ended && record.version < version) {
            return Err(format!("it has completed {} ticks of {version}", record.version));
        }
        let counters = [handled, record.stalls, latency, record.sent];
        if record.clock > LAST || counters.iter().any(|&counter| counter > LARGEST) {
            let clock = record.clock;
            return Err(format!(
                "its clock {clock} or one of its counters {counters:?} is too large"
            ));
        }
        let times = |each: u32| u128::from(handled) * u128::from(each);
        let possible = match handled {
            0 => (latency, latency_min, latency_max) == (0, u32::MAX, 0),
            _ => (times(latency_min)..=times(latency_max)).contains(&latency.into()),
        };
        if !possible {
            return Err(format!(
                "{handled} messages that waited for {latency} ticks, each for {latency_min} to {latency_max}"
            ));
        }
        let waits = blocked.checked_sub(1).map(|lane| self.shapes.get(lane as usize));
        let own = waits.is_none_or(|lane| lane.is_some_and(|lane| lane.from == number));
        if u64::from(now) > handled || !own || (record.side, record.spare) != (0, 0) {
            return Err(format!("no ring makes the record {record:?}"));
        }
        Ok(())
    }

    fn read_actor<'a>(
        &self,
        reader: &mut Reader<'a>,
        index: usize,
        version: u64,
        calls: &mut HashSet<u64>,
    ) -> Result<SavedActor<'a>, RingError> {
        let (seat, number) = (&self.seats[index], ActorId::of(index).0);
        let types = &self.kinds[seat.kind].types;
        let name = reader.list()?;
        let digests = [reader.u64()?, reader.u64()?, reader.u64()?];
        if name != seat.name.as_bytes() || digests != types.layouts().map(Layout::digest) {
            return differs(format!(
                "actor `{}` is there with other messages or another state than `{}` here",
                String::from_utf8_lossy(name),
                seat.name
            ));
        }
        let state = reader.u32()?;
        let Some(state) = u8::try_from(state).ok().and_then(ActorState::of) else {
            return wrong(format!("the state of actor `{}` has number {state}", seat.name));
        };
        let ended = state == ActorState::Terminated;
        if ended != (seat.state == ActorState::Terminated) {
            return differs(format!(
                "actor `{}` is {state} there, and {} here",
                seat.name, seat.state
            ));
        }
        let careful = up_to(LARGEST, "a number of messages", reader.u64()?)?;
        let (restarts, faults, buried) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let record: RingRecord = value_of(reader.raw(size_of::<RingRecord>())?);
        self.check_record(number, state, &record, version)
            .or_else(|why| wrong(format!("actor `{}`: {why}", seat.name)))?;
        let bytes = reader.list()?;
        if bytes.len() != if ended { 0 } else { types.state.size } {
            return differs(format!(
                "the state of actor `{}` has {} bytes",
                seat.name,
                bytes.len()
            ));
        }
        let mut post = Post { last_sent: reader.u32()?, ..Post::default() };
        for _ in 0..reader.u64()? {
            let letter = self.read_letter(reader, (number, 0), calls)?;
            if letter.header.flags & DEAD != 0 {
                return wrong(format!("mail of actor `{}` is a dead letter", seat.name));
            }
            post.aside.push_back(letter);
        }
        Ok(SavedActor { state, careful, restarts, faults, buried, record, bytes, post })
    }

    fn read_lane(
        &self,
        reader: &mut Reader<'_>,
        number: usize,
        calls: &mut HashSet<u64>,
    ) -> Result<SavedLane, RingError> {
        let lane = self.shapes[number];
        let shape = [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
        if shape != [lane.from, lane.to, lane.mask, lane.stride] {
            return differs(format!("lane {number} has other ends or another capacity"));
        }
        let (head, tail) = (reader.u32()?, reader.u32()?);
        let depth = tail.wrapping_sub(head);
        if depth > lane.mask + 1 {
            return wrong(format!("lane {number} has more mail than it holds"));
        }
        let letters = (0..depth).map(|_| self.read_letter(reader, (lane.from, lane.to), calls));
        Ok(SavedLane { head, tail, letters: letters.collect::<Result<_, _>>()? })
    }

    fn read_dead(&self, reader: &mut Reader<'_>) -> Result<DeadLetter, RingError> {
        let (number, source, target) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let (kind, reason, bytes) =
            (reader.u32()?, reader.u32()? as usize, reader.list()?.to_vec());
        let is_known = |number: u32| number as usize <= self.seats.len();
        let Some(why) = REASONS.get(reason).copied().filter(|_| {
            number >> 32 == u64::from(source)
                && is_known(source)
                && is_known(target)
                && target != 0
                && (kind, bytes.len()) == self.message_type(source, target)
        }) else {
            return wrong(format!(
                "a dead letter {number:#x} of type {kind} from {source} to {target} with {} bytes, for reason {reason}",
                bytes.len()
            ));
        };
        let (source, target_of) = (actor(source), actor(target));
        let id = MessageId { number, target, restores: self.next_restores() };
        Ok(DeadLetter { id, source, target: target_of, kind, why, bytes })
    }

    /// Reads and checks a checkpoint; also returns the calls that it has messages of.
    fn read<'a>(&self, contents: &'a [u8]) -> Result<(Saved<'a>, HashSet<u64>), RingError> {
        let (mut reader, mut calls) = (Reader::new(contents, WHAT), HashSet::new());
        let reader = &mut reader;
        let version = up_to(LARGEST, "the number of ticks", reader.u64()?)?;
        let clock = up_to(LAST, "the clock", reader.u64()?)?;
        let sequence = reader.u32()?;
        let (actors, lanes) = (reader.u32()? as usize, reader.u32()? as usize);
        if (actors, lanes) != (self.seats.len(), self.shapes.len()) {
            return differs(format!(
                "it has {actors} actors and {lanes} lanes, and this one {} and {}",
                self.seats.len(),
                self.shapes.len()
            ));
        }
        let actors = (0..actors)
            .map(|index| self.read_actor(reader, index, version, &mut calls))
            .collect::<Result<Vec<_>, _>>()?;
        let lanes = (0..lanes)
            .map(|number| self.read_lane(reader, number, &mut calls))
            .collect::<Result<Vec<_>, _>>()?;
        for (seat, saved) in self.seats.iter().zip(&actors) {
            let heads = seat.ins.iter().map(|&lane| lanes[lane as usize].head);
            let taken = heads.fold(0, u32::wrapping_add);
            if taken != (saved.record.handled as u32).wrapping_add(saved.buried) {
                return wrong(format!(
                    "actor `{}` has handled {} messages, {} were dead letters, and its lanes count {taken}",
                    seat.name, saved.record.handled, saved.buried
                ));
            }
        }
        let mut dead = Vec::new();
        for _ in 0..reader.u64()? {
            dead.push(self.read_dead(reader)?);
        }
        reader.end()?;
        Ok((Saved { version, clock, sequence, actors, lanes, dead }, calls))
    }

    /// Restores the ring's state. An error leaves it unchanged.
    pub(super) fn restore(&mut self, contents: &[u8]) -> Result<(), RingError> {
        let (saved, calls) = self.read(contents)?;
        (self.version, self.clock, self.sequence) = (saved.version, saved.clock, saved.sequence);
        self.restores = self.next_restores();
        self.dead = saved.dead;
        // Calls do not begin again with the clock: replies to those in the mail must not be taken for those of later ones.
        self.called = calls.iter().fold(self.called, |last, &call| last.max(call));
        for (number, SavedLane { head, tail, letters }) in saved.lanes.iter().enumerate() {
            self.lanes.update(number, |lane| (lane.head, lane.tail) = ([*head; 2], [*tail; 2]));
            let lane = self.lanes.get(number);
            for (letter, at) in letters.iter().zip(0..) {
                self.put(&lane, head.wrapping_add(at), &letter.header, &letter.bytes);
            }
        }
        for (actor, saved_actor) in saved.actors.into_iter().enumerate() {
            let SavedActor { state, careful, restarts, faults, buried, record, bytes, post } =
                saved_actor;
            self.records.write(actor * 2, &[record; 2]);
            let seat = &mut self.seats[actor];
            if state != ActorState::Terminated {
                self.kinds[seat.kind].states.write(seat.place, 0, bytes);
                seat.saved = bytes.to_vec();
            }
            seat.state = state;
            (seat.careful, seat.restarts, seat.faults) = (careful, restarts, faults);
            (seat.buried, seat.handled) = (buried, record.handled);
            let (inbox, reply) =
                (&saved.lanes[seat.ins[0] as usize], &saved.lanes[seat.reply as usize]);
            let old = std::mem::replace(&mut seat.post, post);
            seat.post.waiters = old.waiters;
            // Calls are the program's, and not in the checkpoint. Those that were made after it get no reply.
            seat.post.calls = old.calls;
            seat.post.calls.retain(|call| calls.contains(call));
            seat.post.sent = inbox.letters.iter().map(|letter| letter.header.sequence).collect();
            (seat.post.taken, seat.post.tail) = (inbox.head, inbox.tail);
            (seat.post.head, seat.post.filled) = (reply.head, reply.tail);
        }
        self.touched.clear();
        self.checkpoint_at = self.version;
        (self.cycle, self.stalled) = (None, 0);
        self.replanned();
        self.add_work();
        self.wake_all();
        if self.log.is_some() {
            self.note(Op::Restore(contents.to_vec()));
        }
        Ok(())
    }
}
