//! Mail between the host and actors: sending, receiving, and dead letters.

use super::clock::wall;
use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::layout::{CALL, DEAD, RingHeader, RingLane, halves};
use super::message::zeroed;
use super::options::{Priority, TimeSource};
use super::post::{DeadLetter, Letter, Wanted};
use super::record::Op;
use super::state::State;

const NO_LANE_BACK: &str = "its sender has no lane to the actor that it replies to";

impl State {
    /// Stamps a message: its sequence number and clock.
    fn stamp(&self) -> (u32, u64) {
        let wall = match self.options.time {
            TimeSource::Ticks => 0,
            TimeSource::Wall => wall(),
        };
        (self.sequence.wrapping_add(1).max(1), wall.max(self.clock + 1))
    }

    /// Puts a message into the mailbox of an actor, and returns its header. A call has a correlation that no other call of this
    /// ring has, also after a checkpoint was restored: its clock, unless that was turned back.
    pub(super) fn send(
        &mut self,
        id: ActorId,
        bytes: &[u8],
        correlation: Option<u64>,
        priority: Priority,
    ) -> Result<RingHeader, RingError> {
        let (sequence, clock) = self.stamp();
        let header = RingHeader {
            sequence,
            correlation: halves(correlation.unwrap_or(clock.max(self.called.saturating_add(1)))),
            target: id.0,
            kind: self.kinds[self.seats[id.index()].kind].types.input_type,
            length: bytes.len() as u32,
            flags: priority as u32 | if correlation.is_none() { CALL } else { 0 },
            clock,
            tick: self.version as u32,
            ..zeroed()
        };
        if self.seats[id.index()].state == ActorState::Failed {
            return Err(self.cannot_send(id.index()));
        }
        self.send_stamped(&header, bytes)?;
        Ok(header)
    }

    fn cannot_send(&self, actor: usize) -> RingError {
        let seat = &self.seats[actor];
        RingError::State { actor: seat.name.clone(), state: seat.state, what: "sending" }
    }

    /// The same with a given header, whose target and size are those of an actor. A recording may have it after the submission in
    /// which the actor failed, because it was sent while that ran.
    pub(super) fn send_stamped(
        &mut self,
        header: &RingHeader,
        bytes: &[u8],
    ) -> Result<(), RingError> {
        let actor = ActorId(header.target).index();
        let seat = &self.seats[actor];
        if self.closed {
            return Err(RingError::Closed);
        }
        if seat.state == ActorState::Terminated {
            return Err(self.cannot_send(actor));
        }
        let (lane, tail) = (self.shape(seat.ins[0]), seat.post.tail);
        if tail.wrapping_sub(seat.post.taken) > lane.mask {
            return Err(RingError::Full {
                actor: seat.name.clone(),
                capacity: lane.mask as usize + 1,
            });
        }
        self.put(&lane, tail, header, bytes);
        (self.sequence, self.clock) = (header.sequence, header.clock);
        self.called = self.called.max(header.call().unwrap_or(0));
        let post = &mut self.seats[actor].post;
        post.tail = tail.wrapping_add(1);
        post.sent.push_back(header.sequence);
        post.calls.extend(header.call());
        self.touch(actor);
        self.add_work();
        self.figures.sent += 1;
        if self.log.is_some() {
            self.note(Op::Send { header: *header, bytes: bytes.to_vec() });
        }
        Ok(())
    }

    /// The next mail from an actor to the host.
    pub(super) fn take(
        &mut self,
        id: ActorId,
        wanted: Wanted,
    ) -> Result<Option<Letter>, RingError> {
        let actor = id.index();
        let before = self.seats[actor].post.head;
        let found = match self.seats[actor].post.take_aside(wanted) {
            Some(letter) => Ok(Some(letter)),
            None => self.search(actor, wanted),
        };
        let looked = self.seats[actor].post.head.wrapping_sub(before);
        let taken = matches!(found, Ok(Some(_)));
        if taken || looked != 0 {
            self.note(Op::Take { actor: id.0, wanted, looked, taken });
        }
        if let Ok(Some(letter)) = &found {
            self.received(actor, wanted, letter.header.clock);
        }
        found
    }

    /// The same, of a recording: looks at a number of letters in the lane, and takes the one that was found then.
    pub(super) fn take_again(
        &mut self,
        id: ActorId,
        wanted: Wanted,
        looked: u32,
        taken: bool,
    ) -> Result<(), RingError> {
        let actor = id.index();
        let lane = self.shape(self.seats[actor].reply);
        for _ in 0..looked {
            let post = &self.seats[actor].post;
            if post.head == post.filled {
                break;
            }
            if let Some(letter) = self.pull(actor, &lane) {
                self.seats[actor].post.aside.push_back(letter);
            }
        }
        if taken {
            let Some(letter) = self.seats[actor].post.take_aside(wanted) else {
                return Err(RingError::Invalid(
                    "no message has arrived that was received then".into(),
                ));
            };
            self.received(actor, wanted, letter.header.clock);
        }
        self.note(Op::Take { actor: id.0, wanted, looked, taken });
        Ok(())
    }

    fn received(&mut self, actor: usize, wanted: Wanted, clock: u64) {
        self.figures.received += 1;
        self.clock = self.clock.max(clock) + 1;
        if let Wanted::Reply(correlation) = wanted {
            self.seats[actor].post.calls.remove(&correlation);
        }
    }

    /// Searches the lane from an actor; other messages are put aside.
    fn search(&mut self, actor: usize, wanted: Wanted) -> Result<Option<Letter>, RingError> {
        let lane = self.shape(self.seats[actor].reply);
        let post = &self.seats[actor].post;
        let mail = post.aside.iter().filter(|letter| post.wants(Wanted::Any, letter));
        let mut strangers = mail.count();
        loop {
            let seat = &self.seats[actor];
            if seat.post.head == seat.post.filled {
                return Ok(None);
            }
            if strangers > lane.mask as usize {
                return Err(RingError::Full {
                    actor: format!("{}, messages to the host that nothing receives", seat.name),
                    capacity: lane.mask as usize + 1,
                });
            }
            let Some(letter) = self.pull(actor, &lane) else { continue };
            let post = &mut self.seats[actor].post;
            if post.wants(wanted, &letter) {
                return Ok(Some(letter));
            }
            strangers += usize::from(post.wants(Wanted::Any, &letter));
            post.aside.push_back(letter);
        }
    }

    /// Takes the first letter out of the lane from an actor, which is not empty; `None` if it is a dead letter.
    fn pull(&mut self, actor: usize, lane: &RingLane) -> Option<Letter> {
        let head = self.seats[actor].post.head;
        let letter = self.letter(lane, head);
        self.seats[actor].post.head = head.wrapping_add(1);
        self.touch(actor);
        // A slot is free: an actor that waits for room may continue.
        if self.stalled > 0 {
            self.add_work();
        }
        if letter.header.flags & DEAD != 0 {
            self.dead.push(letter.die(NO_LANE_BACK));
            return None;
        }
        Some(letter)
    }

    /// Moves dead letters out of the lanes to the host. The other mail moves up within its lane, and still fills it. No tick is
    /// in flight.
    pub(super) fn sweep(&mut self) {
        let is_dead = |header: &RingHeader| header.flags & DEAD != 0;
        for actor in 0..self.seats.len() {
            let lane = self.shape(self.seats[actor].reply);
            let post = &self.seats[actor].post;
            let waiting: Vec<u32> = (0..post.filled.wrapping_sub(post.head))
                .map(|at| post.head.wrapping_add(at))
                .collect();
            let header = |&at: &u32| self.slots.value::<RingHeader>(Self::slot(&lane, at));
            if !waiting.iter().any(|at| is_dead(&header(at))) {
                continue;
            }
            let letters = waiting.iter().map(|&at| self.letter(&lane, at));
            let (dead, rest): (Vec<_>, Vec<_>) =
                letters.partition(|letter| is_dead(&letter.header));
            for (letter, &at) in rest.iter().zip(&waiting[dead.len()..]) {
                self.put(&lane, at, &letter.header, &letter.bytes);
            }
            let post = &mut self.seats[actor].post;
            post.head = post.head.wrapping_add(dead.len() as u32);
            self.touch(actor);
            self.dead.extend(dead.into_iter().map(|letter| letter.die(NO_LANE_BACK)));
        }
    }

    /// A call is not waited for any more: its reply is mail like any other.
    pub(super) fn forget_call(&mut self, id: ActorId, call: u64) {
        if self.seats[id.index()].post.calls.remove(&call) {
            self.note(Op::Forget { actor: id.0, call });
            // Others may have looked at the reply and left it.
            self.wake(id.index());
        }
    }

    /// The dead letters, which are then forgotten.
    pub(super) fn take_dead(&mut self) -> Vec<DeadLetter> {
        self.note(Op::TakeDead);
        // They may be what refused a submission.
        (self.refused, self.changed) = (None, true);
        std::mem::take(&mut self.dead)
    }

    /// Turns all messages of a lane into dead letters. No tick is in flight.
    pub(super) fn bury(&mut self, lane: u32, why: &'static str) {
        while self.bury_first(lane, why) {}
    }

    fn bury_first(&mut self, number: u32, why: &'static str) -> bool {
        let (lane, side) = (self.lanes.get(number as usize), self.side());
        let head = lane.head[side];
        if head == lane.tail[side] {
            return false;
        }
        let letter = self.letter(&lane, head);
        let head = head.wrapping_add(1);
        self.lanes.update(number as usize, |lane| lane.head = [head; 2]);
        if let Some(consumer) = (lane.to as usize).checked_sub(1) {
            self.seats[consumer].buried = self.seats[consumer].buried.wrapping_add(1);
        }
        if lane.from == 0 {
            let actor = lane.to as usize - 1;
            let post = &mut self.seats[actor].post;
            post.taken = head;
            post.last_sent = post.sent.pop_front().unwrap_or(post.last_sent);
            // There will be no reply.
            if letter.header.call().is_some_and(|call| post.calls.remove(&call)) {
                self.wake(actor);
            }
        }
        self.dead.push(letter.die(why));
        true
    }

    /// Turns the message that an actor would handle next into a dead letter.
    pub(super) fn bury_next(&mut self, actor: usize, why: &'static str) {
        let side = self.side();
        let waiting = self.seats[actor].ins.iter().filter_map(|&number| {
            let lane = self.lanes.get(number as usize);
            if lane.head[side] == lane.tail[side] {
                return None;
            }
            let header: RingHeader = self.slots.value(Self::slot(&lane, lane.head[side]));
            Some(((std::cmp::Reverse(header.flags & 255), header.clock, header.source), number))
        });
        if let Some((_, number)) = waiting.min() {
            self.bury_first(number, why);
        }
    }
}
