//! Messages with headers, dead letters, receipts, and the host's end of an actor's lanes.

use super::clock::Hlc;
use super::id::ActorId;
use super::layout::RingHeader;
use super::message::{Message, value_of};
use super::options::Priority;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::task::Waker;
use std::time::Instant;

/// The id of a message: its sender, the sender's sequence number of 32 bits, its target, and how often the ring was
/// restored before.
///
/// A ring that restores a checkpoint continues with the numbers in it, so that its bytes are the same again. All of its
/// messages have new ids then, those in the checkpoint too: an id from before the restore is the id of no message.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
/// # let actor = ring.spawn::<u32, u32, u32>("first", code, 0, Default::default())?;
/// assert_ne!(actor.send(1)?, actor.send(1)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    /// The sender in the high half, its counter in the low one.
    pub(super) number: u64,
    /// 0 is the host.
    pub(super) target: u32,
    /// How often the ring was restored, modulo 2³².
    pub(super) restores: u32,
}

impl MessageId {
    pub(super) fn of(header: &RingHeader, restores: u32) -> Self {
        let number = u64::from(header.source) << 32 | u64::from(header.sequence);
        Self { number, target: header.target, restores }
    }
}

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
    /// The host did not send it to this actor, or more than 2³¹ messages ago, or before the ring was restored.
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
    /// The sender's priority; of a message to be sent, its own.
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
    /// Of its id.
    pub(super) restores: u32,
}

impl Letter {
    pub(super) fn open<M: Message>(self) -> Envelope<M> {
        let header = self.header;
        let priorities = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
        Envelope {
            id: Some(MessageId::of(&header, self.restores)),
            correlation: header.correlation(),
            source: (header.source != 0).then_some(ActorId(header.source)),
            clock: Hlc::of_word(header.clock, header.source),
            tick: header.tick,
            hops: header.hops,
            priority: priorities[(header.flags & 3) as usize],
            message: value_of(&self.bytes),
        }
    }

    pub(super) fn die(self, why: &'static str) -> DeadLetter {
        let header = self.header;
        let actor = |number: u32| (number != 0).then_some(ActorId(number));
        DeadLetter {
            id: MessageId::of(&header, self.restores),
            source: actor(header.source),
            target: actor(header.target),
            kind: header.kind,
            bytes: self.bytes,
            why,
        }
    }
}

/// A task that waits for an actor.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) key: u64,
    pub(super) waker: Waker,
    pub(super) deadline: Option<Instant>,
    /// Whether the wait is over when the ring has no work left.
    pub(super) ends_idle: bool,
}

/// Hashes correlations of calls, which are moments of the clock: no program chooses them.
#[derive(Debug, Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(8) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
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
    /// Mail that was passed over to find something else, in the order in which it came.
    pub(super) aside: VecDeque<Letter>,
    /// Calls whose replies are waited for, by correlation.
    pub(super) calls: HashSet<u64, BuildHasherDefault<Spread>>,
    pub(super) waiters: Vec<Waiter>,
    /// The sequence numbers of the messages in the lane to the actor, and of the last one before.
    pub(super) sent: VecDeque<u32>,
    pub(super) last_sent: u32,
}

impl Post {
    /// Whether a caller wants this mail.
    pub(super) fn wants(&self, wanted: Wanted, letter: &Letter) -> bool {
        let call = letter.header.call();
        match wanted {
            Wanted::Any => call.is_none_or(|call| !self.calls.contains(&call)),
            Wanted::Reply(correlation) => call == Some(correlation),
        }
    }

    /// Takes a letter out of those put aside.
    pub(super) fn take_aside(&mut self, wanted: Wanted) -> Option<Letter> {
        let at = self.aside.iter().position(|letter| self.wants(wanted, letter))?;
        self.aside.remove(at)
    }

    pub(super) fn receipt(&self, sequence: u32) -> Receipt {
        // The numbers wrap: half of them are before the last one.
        if self.sent.contains(&sequence) {
            Receipt::Pending
        } else if self.last_sent != 0 && self.last_sent.wrapping_sub(sequence) < 1 << 31 {
            Receipt::Delivered
        } else {
            Receipt::NotFound
        }
    }
}

/// Which mail a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The next one that is no reply to a call that waits.
    Any,
    /// The reply to the call with this correlation.
    Reply(u64),
}
