//! Checkpoints: the whole state of a ring at the end of a tick, as bytes.

use super::bytes::{Reader, Writer, save};
use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::layout::{HEADER, RingHeader, RingRecord};
use super::message::{Layout, bytes_of, value_of};
use super::post::{DeadLetter, Letter, MessageId, Post};
use super::record::Op;
use super::state::State;
use std::collections::HashSet;
use std::path::Path;

const MAGIC: [u8; 8] = *b"ARURING\0";
const VERSION: u32 = 3;
const WHAT: &str = "the checkpoint";

/// The state of a ring at the end of a tick: states, mail, clocks and counters of all actors.
///
/// It is restored into a ring with the same actors and lanes, made in the same order, also in another process.
///
/// ```
/// # use aruminium::ring::{Checkpoint, Ring};
/// # let gpu = aruminium::Gpu::open()?;
/// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += m; }";
/// let ring = Ring::open(&gpu)?;
/// let sum = ring.spawn::<u32, u32, u32>("sum", code, 0, Default::default())?;
/// sum.send(5)?;
/// ring.tick()?;
/// let bytes = ring.checkpoint()?.to_bytes();
///
/// let other = Ring::open(&gpu)?;
/// let sum = other.spawn::<u32, u32, u32>("sum", code, 0, Default::default())?;
/// other.restore(&Checkpoint::parse(&bytes)?)?;
/// assert_eq!(sum.read_state()?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Without the magic number and the checksum.
    pub(super) contents: Vec<u8>,
}

impl Checkpoint {
    /// The checkpoint as bytes, with a checksum.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let checkpoint = ring.checkpoint()?;
    /// assert_eq!(aruminium::ring::Checkpoint::parse(&checkpoint.to_bytes())?, checkpoint);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.raw(&self.contents);
        out.seal(MAGIC, VERSION)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`RingError::Format`] if the bytes are damaged or of another version.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let mut bytes = ring.checkpoint()?.to_bytes();
    /// *bytes.last_mut().unwrap() ^= 1;
    /// let error = aruminium::ring::Checkpoint::parse(&bytes).unwrap_err();
    /// assert!(error.to_string().contains("checksum"));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, RingError> {
        let reader = Reader::open(bytes, MAGIC, VERSION, WHAT)?;
        Ok(Self { contents: reader.rest().to_vec() })
    }

    /// Writes the bytes to a file, in one step.
    ///
    /// # Errors
    ///
    /// [`RingError::Io`].
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let path = std::env::temp_dir().join(format!("ring-{}.checkpoint", std::process::id()));
    /// ring.checkpoint()?.save(&path)?;
    /// ring.restore(&aruminium::ring::Checkpoint::load(&path)?)?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), RingError> {
        save(path.as_ref(), &self.to_bytes())
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`RingError::Io`] and [`RingError::Format`].
    ///
    /// ```
    /// assert!(aruminium::ring::Checkpoint::load("/nowhere/ring.checkpoint").is_err());
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RingError> {
        Self::parse(&std::fs::read(path)?)
    }
}

fn write_letter(out: &mut Writer, letter: &Letter) {
    out.raw(bytes_of(&letter.header)).list(&letter.bytes);
}

/// A message, whose type has this size.
fn read_letter(reader: &mut Reader<'_>, size: usize) -> Result<Letter, RingError> {
    let header: RingHeader = value_of(reader.raw(HEADER)?);
    let bytes = reader.list()?.to_vec();
    if (bytes.len(), header.length as usize) != (size, size) {
        let found = bytes.len();
        return Err(RingError::Format(format!(
            "the checkpoint is of another ring: a message has {found} bytes there, and {size} here"
        )));
    }
    Ok(Letter { header, bytes })
}

/// The reasons of dead letters, which bytes name by number.
const REASONS: [&str; 3] = [
    "the actor was terminated",
    "its sender has no lane to the actor that it replies to",
    "the actor failed when it handled this message",
];

impl State {
    pub(super) fn checkpoint(&mut self) -> Checkpoint {
        self.publish();
        self.save_states();
        let side = self.side();
        let mut out = Writer::default();
        out.u64(self.version).u64(self.clock).u32(self.sequence);
        out.u32(self.seats.len() as u32).u32(self.shapes.len() as u32);
        for (actor, seat) in self.seats.iter().enumerate() {
            let types = &self.kinds[seat.kind].types;
            out.list(seat.name.as_bytes());
            types.layouts().iter().for_each(|layout| _ = out.u64(layout.digest()));
            out.list(&(seat.state as u8).to_le_bytes());
            out.u64(seat.careful).u32(seat.restarts).u32(seat.faults).u64(seat.handled);
            // The side of a state depends on ticks that were undone. A checkpoint must not, so it stores side 0.
            let record = RingRecord { side: 0, ..self.record(actor) };
            out.raw(bytes_of(&record));
            match seat.state {
                ActorState::Terminated => out.list(&[]),
                _ => out.list(&self.kinds[seat.kind].state(seat.place, self.record(actor).side)),
            };
            let post = &seat.post;
            out.u32(post.last_sent).u64(post.sent.len() as u64);
            post.sent.iter().for_each(|&sequence| _ = out.u32(sequence));
            out.u64(post.aside.len() as u64);
            post.aside.iter().for_each(|letter| write_letter(&mut out, letter));
        }
        for number in 0..self.shapes.len() {
            let lane = self.lanes.get(number);
            let (head, tail) = (lane.head[side], lane.tail[side]);
            out.u32(lane.from).u32(lane.to).u32(lane.mask).u32(lane.stride).u32(head).u32(tail);
            let mut at = head;
            while at != tail {
                write_letter(&mut out, &self.letter(&lane, at));
                at = at.wrapping_add(1);
            }
        }
        out.u64(self.dead.len() as u64);
        for letter in &self.dead {
            let reason = REASONS.iter().position(|&why| why == letter.why).unwrap_or(0) as u32;
            let number = |actor: Option<ActorId>| actor.map_or(0, |id| id.0);
            out.u64(letter.id.number).u32(number(letter.source)).u32(number(letter.target));
            out.u32(letter.kind).u32(reason).list(&letter.bytes);
        }
        Checkpoint { contents: out.into_bytes() }
    }

    /// Restores the ring's state. An error leaves it unchanged, because everything is read before anything is written.
    pub(super) fn restore(&mut self, contents: &[u8]) -> Result<(), RingError> {
        let mut reader = Reader::new(contents, WHAT);
        let differs = |why: String| {
            Err(RingError::Format(format!("the checkpoint is of another ring: {why}")))
        };
        let (version, clock, sequence) = (reader.u64()?, reader.u64()?, reader.u32()?);
        let (actors, lanes) = (reader.u32()? as usize, reader.u32()? as usize);
        if (actors, lanes) != (self.seats.len(), self.shapes.len()) {
            return differs(format!(
                "it has {actors} actors and {lanes} lanes, and this one {} and {}",
                self.seats.len(),
                self.shapes.len()
            ));
        }
        let (mut restored, mut calls) = (Vec::new(), HashSet::new());
        for seat in &self.seats {
            let types = &self.kinds[seat.kind].types;
            let name = reader.list()?;
            let digests = [reader.u64()?, reader.u64()?, reader.u64()?];
            let same = digests == types.layouts().map(Layout::digest);
            if name != seat.name.as_bytes() || !same {
                return differs(format!(
                    "actor `{}` is there with other messages or another state than `{}` here",
                    String::from_utf8_lossy(name),
                    seat.name
                ));
            }
            let state = reader.list()?.first().copied().and_then(ActorState::of);
            let Some(state) = state else { return differs("an actor's state is unknown".into()) };
            if (state == ActorState::Terminated) != (seat.state == ActorState::Terminated) {
                return differs(format!(
                    "actor `{}` is {state} there, and {} here",
                    seat.name, seat.state
                ));
            }
            let counters = (reader.u64()?, reader.u32()?, reader.u32()?, reader.u64()?);
            let record: RingRecord = value_of(reader.raw(size_of::<RingRecord>())?);
            let bytes = reader.list()?;
            if state != ActorState::Terminated && bytes.len() != types.state.size {
                return differs(format!(
                    "the state of actor `{}` has {} bytes",
                    seat.name,
                    bytes.len()
                ));
            }
            let mut post = Post { last_sent: reader.u32()?, ..Post::default() };
            for _ in 0..reader.u64()? {
                post.sent.push_back(reader.u32()?);
            }
            for _ in 0..reader.u64()? {
                let letter = read_letter(&mut reader, types.output.size)?;
                calls.extend(letter.header.call());
                post.aside.push_back(letter);
            }
            restored.push((state, counters, record, bytes, post));
        }
        let mut mail = Vec::new();
        for number in 0..lanes {
            let lane = self.lanes.get(number);
            let shape = [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
            if shape != [lane.from, lane.to, lane.mask, lane.stride] {
                return differs(format!("lane {number} has other ends or another capacity"));
            }
            let (head, tail) = (reader.u32()?, reader.u32()?);
            if tail.wrapping_sub(head) > lane.mask + 1 {
                return differs(format!("lane {number} has more mail than it holds"));
            }
            let mut letters = Vec::new();
            // A lane is between the host and an actor, or has one type at both ends.
            let (end, to_host) = if lane.to == 0 { (lane.from, true) } else { (lane.to, false) };
            let types = &self.kinds[self.seats[end as usize - 1].kind].types;
            let size = if to_host { types.output.size } else { types.input.size };
            for _ in 0..tail.wrapping_sub(head) {
                let letter = read_letter(&mut reader, size)?;
                calls.extend(letter.header.call());
                letters.push(letter);
            }
            mail.push((head, tail, letters));
        }
        let mut dead = Vec::new();
        for _ in 0..reader.u64()? {
            let (number, source, target) = (reader.u64()?, reader.u32()?, reader.u32()?);
            let (kind, reason) = (reader.u32()?, reader.u32()? as usize);
            let actor = |number: u32| (number != 0).then_some(ActorId(number));
            dead.push(DeadLetter {
                id: MessageId { number, target },
                source: actor(source),
                target: actor(target),
                kind,
                why: REASONS.get(reason).copied().unwrap_or(REASONS[0]),
                bytes: reader.list()?.to_vec(),
            });
        }
        reader.end()?;

        (self.version, self.clock, self.sequence, self.dead) = (version, clock, sequence, dead);
        // Calls do not begin again with the clock: replies to those in the mail must not be taken for those of later ones.
        self.called = calls.iter().fold(self.called, |last, &call| last.max(call));
        for (number, (head, tail, letters)) in mail.into_iter().enumerate() {
            self.lanes.update(number, |lane| (lane.head, lane.tail) = ([head; 2], [tail; 2]));
            let lane = self.lanes.get(number);
            for (letter, at) in letters.iter().zip(0..) {
                self.put(&lane, head.wrapping_add(at), &letter.header, &letter.bytes);
            }
        }
        for (actor, (state, counters, record, bytes, post)) in restored.into_iter().enumerate() {
            self.records.write(actor * 2, &[record; 2]);
            let seat = &mut self.seats[actor];
            if state != ActorState::Terminated {
                self.kinds[seat.kind].set_state(seat.place, 0, bytes);
                seat.saved = bytes.to_vec();
            }
            seat.state = state;
            (seat.careful, seat.restarts, seat.faults, seat.handled) = counters;
            let (inbox, reply) =
                (self.lanes.get(seat.ins[0] as usize), self.lanes.get(seat.reply as usize));
            let old = std::mem::replace(&mut seat.post, post);
            seat.post.waiters = old.waiters;
            // Calls are the program's, and not in the checkpoint. Those that were made after it get no reply.
            seat.post.calls = old.calls;
            seat.post.calls.retain(|call| calls.contains(call));
            (seat.post.taken, seat.post.tail) = (inbox.head[0], inbox.tail[0]);
            (seat.post.head, seat.post.filled) = (reply.head[0], reply.tail[0]);
        }
        self.touched.clear();
        self.checkpoint_at = version;
        (self.broken, self.cycle, self.stalled) = (None, None, 0);
        self.replanned();
        self.add_work();
        self.wake_all();
        if self.log.is_some() {
            self.note(Op::Restore(contents.to_vec()));
        }
        Ok(())
    }
}
