//! Mail between the host and actors, and dead letters.

use super::clock::{Hlc, wall};
use super::error::RingError;
use super::layout::{DEAD, HEADER, RingHeader, halves};
use super::message::{Message, bytes_of, value_of, zeroed};
use super::options::{Priority, TimeSource};
use super::record::Op;
use super::state::{ActorId, ActorState, State};
use std::collections::{HashMap, HashSet, VecDeque};
use std::task::Waker;
use std::time::Instant;

/// The id of a message: its sender, and the sender's sequence number.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
/// # let actor = ring.spawn::<u32, u32, u32>("first", code, 0, Default::default())?;
/// assert_ne!(actor.send(1)?, actor.send(1)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub(super) u64);

/// The status of a message from the host.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
/// # let actor = ring.spawn::<u32, u32, u32>("first", code, 0, Default::default())?;
/// use aruminium::ring::Receipt;
/// let id = actor.send(1)?;
/// assert_eq!(actor.receipt(id)?, Receipt::Pending);
/// ring.tick()?;
/// assert_eq!(actor.receipt(id)?, Receipt::Delivered);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// It waits in the mailbox.
    Pending,
    /// The handler was called with it, or it became a dead letter.
    Delivered,
    /// The host did not send it to this actor.
    NotFound,
}

/// A message with its header.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m * 2); }";
/// let actor = ring.spawn::<u32, u32, u32>("double", code, 0, Default::default())?;
/// actor.send(21)?;
/// let envelope = actor.receive().wait_envelope(std::time::Duration::from_secs(1))?;
/// assert_eq!((envelope.message, envelope.source, envelope.hops), (42, Some(actor.id()), 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Envelope<M> {
    /// The message's id; `None` for one that was not sent yet.
    pub id: Option<MessageId>,
    /// The correlation of a call, which replies carry on; 0 outside a call.
    pub correlation: u64,
    /// The sender; `None` is the host.
    pub source: Option<ActorId>,
    /// When it was sent, by the sender's clock.
    pub clock: Hlc,
    /// The tick in which it was sent.
    pub tick: u32,
    /// The number of actors that forwarded it.
    pub hops: u32,
    /// The sender's priority.
    pub priority: Priority,
    /// The message.
    pub message: M,
}

impl<M> Envelope<M> {
    /// A message to be sent, with a correlation.
    ///
    /// ```
    /// let envelope = aruminium::ring::Envelope::new(1u32, 7);
    /// assert_eq!((envelope.message, envelope.correlation, envelope.id), (1, 7, None));
    /// ```
    pub fn new(message: M, correlation: u64) -> Self {
        Self {
            id: None,
            correlation,
            source: None,
            clock: Hlc::default(),
            tick: 0,
            hops: 0,
            priority: Priority::Normal,
            message,
        }
    }
}

/// A message that could not be delivered.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
/// let actor = ring.spawn::<u32, u32, u32>("short-lived", code, 0, Default::default())?;
/// actor.send(5)?;
/// actor.terminate()?;
/// let dead = ring.take_dead_letters();
/// assert_eq!((dead.len(), dead[0].target, dead[0].message::<u32>()), (1, Some(actor.id()), Some(5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The message's id.
    pub id: MessageId,
    /// The sender; `None` is the host.
    pub source: Option<ActorId>,
    /// The actor that it was sent to; `None` is the host.
    pub target: Option<ActorId>,
    /// The number of the message's type.
    pub kind: u32,
    /// The bytes of the message.
    pub bytes: Vec<u8>,
    /// Why it was not delivered.
    pub why: &'static str,
}

impl DeadLetter {
    /// The message, if it is of this type.
    ///
    /// ```
    /// fn retry(letter: &aruminium::ring::DeadLetter) -> Option<u32> {
    ///     letter.message::<u32>()
    /// }
    /// ```
    pub fn message<M: Message>(&self) -> Option<M> {
        (self.kind == M::TYPE && self.bytes.len() == size_of::<M>()).then(|| value_of(&self.bytes))
    }
}

/// A message from an actor, of any type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Letter {
    pub(super) header: RingHeader,
    pub(super) bytes: Vec<u8>,
}

impl Letter {
    pub(super) fn open<M: Message>(self) -> Envelope<M> {
        let header = self.header;
        let priorities = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
        Envelope {
            id: Some(MessageId(header.id())),
            correlation: header.correlation(),
            source: (header.source != 0).then_some(ActorId(header.source)),
            clock: Hlc::of_word(header.clock, header.source),
            tick: header.tick,
            hops: header.hops,
            priority: priorities[(header.flags & 3) as usize],
            message: value_of(&self.bytes),
        }
    }
}

/// A task or thread that waits for an actor.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) key: u64,
    pub(super) waker: Waker,
    pub(super) deadline: Option<Instant>,
}

/// The host's end of an actor's two lanes.
#[derive(Debug, Default)]
pub(super) struct Post {
    /// The tail of the lane to the actor, and the consumer's head when the last submission ended.
    pub(super) tail: u32,
    pub(super) taken: u32,
    /// The head of the lane to the host, and the producer's tail when the last submission ended.
    pub(super) head: u32,
    pub(super) filled: u32,
    /// The counters have changed since the last submission.
    pub(super) touched: bool,
    /// Mail that was passed over to find a reply.
    pub(super) aside: VecDeque<Letter>,
    /// Replies to calls whose callers have not taken them yet.
    pub(super) replies: HashMap<u64, Letter>,
    /// Calls that wait for a reply.
    pub(super) calls: HashSet<u64>,
    pub(super) waiters: Vec<Waiter>,
    /// The ids of the messages in the lane to the actor, and of the last one before.
    pub(super) sent: VecDeque<u32>,
    pub(super) last_sent: u32,
}

impl Post {
    /// Wakes everything that waits.
    pub(super) fn wake(&mut self) {
        for waiter in self.waiters.drain(..) {
            waiter.waker.wake();
        }
    }
}

/// Which mail a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The next one that is no reply to a call that waits.
    Any,
    /// The reply with this correlation.
    Reply(u64),
}

impl State {
    /// Stamps a message: its sequence number and clock.
    fn stamp(&mut self) -> (u32, u64) {
        let wall = match self.options.time {
            TimeSource::Ticks => 0,
            TimeSource::Wall => wall(),
        };
        self.clock = wall.max(self.clock + 1);
        self.sequence = self.sequence.wrapping_add(1).max(1);
        (self.sequence, self.clock)
    }

    /// Puts a message into the mailbox of an actor. A call has its own id as correlation.
    pub(super) fn send(
        &mut self,
        id: ActorId,
        bytes: &[u8],
        correlation: Option<u64>,
    ) -> Result<MessageId, RingError> {
        self.send_stamped(id, bytes, correlation, None)
    }

    /// The same, with a given sequence number and clock.
    pub(super) fn send_stamped(
        &mut self,
        id: ActorId,
        bytes: &[u8],
        correlation: Option<u64>,
        stamp: Option<(u32, u64)>,
    ) -> Result<MessageId, RingError> {
        let actor = id.index();
        let seat = &self.seats[actor];
        if self.closed {
            return Err(RingError::Closed);
        }
        if matches!(seat.state, ActorState::Failed | ActorState::Terminated) {
            return Err(RingError::State {
                actor: seat.name.clone(),
                state: seat.state,
                what: "sending",
            });
        }
        let lane = self.lanes.get(seat.ins[0] as usize);
        let post = &seat.post;
        if post.tail.wrapping_sub(post.taken) > lane.mask {
            return Err(RingError::Full {
                actor: seat.name.clone(),
                capacity: lane.mask as usize + 1,
            });
        }
        let (tail, kind) = (post.tail, self.kinds[seat.kind].types.input_type);
        let (sequence, clock) = match stamp {
            Some((sequence, clock)) => {
                (self.sequence, self.clock) = (sequence, clock);
                (sequence, clock)
            }
            None => self.stamp(),
        };
        let correlation = correlation.unwrap_or(u64::from(sequence));
        let header = RingHeader {
            sequence,
            correlation: halves(correlation),
            target: id.0,
            kind,
            length: bytes.len() as u32,
            flags: Priority::Normal as u32,
            clock,
            tick: self.version as u32,
            ..zeroed()
        };
        let slot = Self::slot(&lane, tail);
        self.slots.set_value(slot, &header);
        self.slots.write(slot + HEADER, bytes);
        let post = &mut self.seats[actor].post;
        post.tail = tail.wrapping_add(1);
        post.sent.push_back(sequence);
        self.touch(actor);
        self.work = true;
        self.figures.sent += 1;
        if self.log.is_some() {
            self.note(Op::Send {
                actor: id.0,
                sequence,
                correlation,
                clock,
                bytes: bytes.to_vec(),
            });
        }
        Ok(MessageId(header.id()))
    }

    /// The next mail from an actor to the host.
    pub(super) fn take(
        &mut self,
        id: ActorId,
        wanted: Wanted,
    ) -> Result<Option<Letter>, RingError> {
        let actor = id.index();
        let found = match wanted {
            Wanted::Any => self.seats[actor].post.aside.pop_front(),
            Wanted::Reply(correlation) => self.seats[actor].post.replies.remove(&correlation),
        };
        let found = match found {
            Some(letter) => Some(letter),
            None => self.search(actor, wanted)?,
        };
        let Some(letter) = found else { return Ok(None) };
        self.figures.received += 1;
        self.clock = self.clock.max(letter.header.clock) + 1;
        let call = match wanted {
            Wanted::Any => 0,
            Wanted::Reply(correlation) => {
                self.seats[actor].post.calls.remove(&correlation);
                correlation
            }
        };
        self.note(Op::Take { actor: id.0, call });
        Ok(Some(letter))
    }

    /// Searches the lane from an actor; other messages are put aside.
    fn search(&mut self, actor: usize, wanted: Wanted) -> Result<Option<Letter>, RingError> {
        let lane = self.lanes.get(self.seats[actor].reply as usize);
        loop {
            let post = &self.seats[actor].post;
            if post.head == post.filled {
                return Ok(None);
            }
            if post.aside.len() > lane.mask as usize {
                return Err(RingError::Full {
                    actor: format!(
                        "{}, messages to the host that nothing receives",
                        self.seats[actor].name
                    ),
                    capacity: lane.mask as usize + 1,
                });
            }
            let (header, bytes) = self.letter(&lane, post.head);
            let letter = Letter { header, bytes };
            let post = &mut self.seats[actor].post;
            post.head = post.head.wrapping_add(1);
            // A slot is free: an actor that waited for it may continue.
            if post.filled.wrapping_sub(post.head) == lane.mask {
                self.work = true;
            }
            self.touch(actor);
            let post = &mut self.seats[actor].post;
            let correlation = header.correlation();
            if header.flags & DEAD != 0 {
                let why = "its sender has no lane to the actor that it replies to";
                self.dead.push(dead(letter, why));
            } else if wanted == Wanted::Reply(correlation) {
                return Ok(Some(letter));
            } else if correlation != 0 && post.calls.contains(&correlation) {
                post.replies.insert(correlation, letter);
            } else if wanted == Wanted::Any {
                return Ok(Some(letter));
            } else {
                post.aside.push_back(letter);
            }
        }
    }

    /// Moves dead letters out of the lanes to the host.
    pub(super) fn sweep(&mut self) {
        for actor in 0..self.seats.len() {
            let lane = self.lanes.get(self.seats[actor].reply as usize);
            let post = &self.seats[actor].post;
            let (mut at, end) = (post.head, post.filled);
            let mut mail = Vec::new();
            while at != end {
                let (header, bytes) = self.letter(&lane, at);
                mail.push(Letter { header, bytes });
                at = at.wrapping_add(1);
            }
            if mail.iter().all(|letter| letter.header.flags & DEAD == 0) {
                continue;
            }
            self.seats[actor].post.head = end;
            self.touch(actor);
            for letter in mail {
                if letter.header.flags & DEAD != 0 {
                    self.dead.push(dead(
                        letter,
                        "its sender has no lane to the actor that it replies to",
                    ));
                } else {
                    self.seats[actor].post.aside.push_back(letter);
                }
            }
        }
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
        let (header, bytes) = self.letter(&lane, head);
        self.dead.push(dead(Letter { header, bytes }, why));
        let head = head.wrapping_add(1);
        self.lanes.update(number as usize, |lane| lane.head = [head; 2]);
        if lane.from == 0 {
            let post = &mut self.seats[lane.to as usize - 1].post;
            post.taken = head;
            post.last_sent = post.sent.pop_front().unwrap_or(post.last_sent);
        }
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

pub(super) fn dead(letter: Letter, why: &'static str) -> DeadLetter {
    let header = letter.header;
    let actor = |number: u32| (number != 0).then_some(ActorId(number));
    DeadLetter {
        id: MessageId(header.id()),
        source: actor(header.source),
        target: actor(header.target),
        kind: header.kind,
        bytes: letter.bytes,
        why,
    }
}

/// The bytes of a message, as they are sent.
pub(super) fn bytes<M: Message>(message: &M) -> &[u8] {
    bytes_of(message)
}
