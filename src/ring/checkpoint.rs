//! Checkpoints: the whole state of a ring at the end of a tick, as bytes.

use super::bytes::{Reader, Writer, load, save};
use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::layout::RingRecord;
use super::message::bytes_of;
use super::post::Letter;
use super::state::State;
use std::path::Path;

const MAGIC: [u8; 8] = *b"ARURING\0";
const VERSION: u32 = 4;
pub(super) const WHAT: &str = "the checkpoint";

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
        Self::parse(&load(path.as_ref(), MAGIC)?)
    }
}

fn write_letter(out: &mut Writer, letter: &Letter) {
    out.raw(bytes_of(&letter.header)).list(&letter.bytes);
}

/// The reasons of dead letters, which bytes name by number.
pub(super) const REASONS: [&str; 3] = [
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
            out.u32((seat.state as u8).into()).u64(seat.careful);
            out.u32(seat.restarts).u32(seat.faults).u32(seat.buried);
            // The side of a state depends on ticks that were undone. A checkpoint must not, so it stores side 0.
            let record = RingRecord { side: 0, ..self.record(actor) };
            out.raw(bytes_of(&record));
            match seat.state {
                ActorState::Terminated => out.list(&[]),
                _ => {
                    let side = self.record(actor).side;
                    out.list(&self.kinds[seat.kind].states.read(seat.place, side))
                }
            };
            let post = &seat.post;
            out.u32(post.last_sent).u64(post.aside.len() as u64);
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
}
