//! Recordings: the host's operations on a ring, which can be replayed.

use super::bytes::{Reader, Writer, load, save};
use super::error::RingError;
use super::layout::{HEADER, RingHeader};
use super::message::{bytes_of, value_of};
use super::post::Wanted;
use std::path::Path;

const MAGIC: [u8; 8] = *b"ARURECRD";
const VERSION: u32 = 4;

/// One operation of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Send {
        header: RingHeader,
        bytes: Vec<u8>,
    },
    /// Mail was searched for, in the first `looked` letters of the lane; whether it was taken. (Their indices may differ in a replay: in the
    /// recorded ring the lane may have been searched before the end of a submission that moved them.)
    Take {
        actor: u32,
        wanted: Wanted,
        looked: u32,
        taken: bool,
    },
    /// A submission of this number of ticks.
    Run(u32),
    State(u32, u8),
    Terminate(u32),
    /// A call that was waited for when the recording began.
    Await {
        actor: u32,
        call: u64,
    },
    /// A call is not waited for any more.
    Forget {
        actor: u32,
        call: u64,
    },
    /// The states for restarts were saved.
    Save,
    /// The state of an actor was replaced.
    Write {
        actor: u32,
        bytes: Vec<u8>,
    },
    /// The dead letters were taken.
    TakeDead,
    /// A checkpoint with these contents was restored.
    Restore(Vec<u8>),
}

impl Op {
    /// The number of ticks of a submission.
    pub(super) fn ticks(&mut self) -> Option<&mut u32> {
        match self {
            Self::Run(count) => Some(count),
            _ => None,
        }
    }
}

/// The operations since a recording began.
pub(super) type Log = Vec<Op>;

/// The actions of the host on a ring from [`Ring::record`](super::Ring::record) on: sends, receives, submissions, changes of states,
/// restored checkpoints. Actors and lanes are not in it: make them before.
///
/// Replayed on a ring with the same actors and lanes, in the state that the recorded one began in, it leads to the same bytes.
///
/// ```
/// # use aruminium::ring::{Recording, Ring, RingError};
/// # let gpu = aruminium::Gpu::open()?;
/// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += m; }";
/// let build = || -> Result<_, RingError> {
///     let ring = Ring::open(&gpu)?;
///     let sum = ring.spawn::<u32, u32, u32>("sum", code, 0, Default::default())?;
///     Ok((ring, sum))
/// };
/// let (ring, sum) = build()?;
/// ring.record();
/// sum.send_all(&[1, 2, 3])?;
/// ring.tick()?;
/// let recording = ring.take_recording().expect("it was started");
///
/// let (again, sum) = build()?;
/// again.replay(&Recording::parse(&recording.to_bytes())?)?;
/// assert_eq!(sum.read_state()?, 6);
/// assert_eq!(again.checkpoint()?.to_bytes(), ring.checkpoint()?.to_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub(super) ops: Log,
}

impl Recording {
    /// The number of operations.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// ring.record();
    /// assert_eq!(ring.take_recording().map(|recording| recording.operations()), Some(0));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn operations(&self) -> usize {
        self.ops.len()
    }

    /// The recording as bytes, with a checksum.
    ///
    /// ```
    /// # fn example(recording: &aruminium::ring::Recording) -> Result<(), aruminium::ring::RingError> {
    /// assert_eq!(&aruminium::ring::Recording::parse(&recording.to_bytes())?, recording);
    /// # Ok(()) }
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        for op in &self.ops {
            match op {
                Op::Send { header, bytes } => out.u32(0).raw(bytes_of(header)).list(bytes),
                Op::Take { actor, wanted, looked, taken } => {
                    let (call, number) = match wanted {
                        Wanted::Any => (0, 0),
                        Wanted::Reply(number) => (1, *number),
                    };
                    out.u32(1).u32(*actor).u32(call).u64(number).u32(*looked).u32((*taken).into())
                }
                Op::Run(ticks) => out.u32(2).u32(*ticks),
                Op::State(actor, state) => out.u32(3).u32(*actor).u32((*state).into()),
                Op::Terminate(actor) => out.u32(4).u32(*actor),
                Op::Await { actor, call } => out.u32(5).u32(*actor).u64(*call),
                Op::Forget { actor, call } => out.u32(6).u32(*actor).u64(*call),
                Op::Save => out.u32(7),
                Op::Write { actor, bytes } => out.u32(8).u32(*actor).list(bytes),
                Op::TakeDead => out.u32(9),
                Op::Restore(contents) => out.u32(10).list(contents),
            };
        }
        out.seal(MAGIC, VERSION)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`RingError::Format`] if the bytes are damaged or of another version.
    ///
    /// ```
    /// use aruminium::ring::{Recording, RingError};
    /// assert!(matches!(Recording::parse(b"nothing"), Err(RingError::Format(_))));
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, RingError> {
        let mut reader = Reader::open(bytes, MAGIC, VERSION, "the recording")?;
        let mut ops = Log::new();
        while !reader.is_empty() {
            ops.push(match reader.u32()? {
                0 => Op::Send {
                    header: value_of(reader.raw(HEADER)?),
                    bytes: reader.list()?.to_vec(),
                },
                1 => {
                    let (actor, call, number) = (reader.u32()?, flag(&mut reader)?, reader.u64()?);
                    let wanted = if call { Wanted::Reply(number) } else { Wanted::Any };
                    Op::Take { actor, wanted, looked: reader.u32()?, taken: flag(&mut reader)? }
                }
                2 => Op::Run(reader.u32()?),
                3 => {
                    let (actor, state) = (reader.u32()?, reader.u32()?);
                    Op::State(actor, u8::try_from(state).map_err(|_| unknown("state", state))?)
                }
                4 => Op::Terminate(reader.u32()?),
                5 => Op::Await { actor: reader.u32()?, call: reader.u64()? },
                6 => Op::Forget { actor: reader.u32()?, call: reader.u64()? },
                7 => Op::Save,
                8 => Op::Write { actor: reader.u32()?, bytes: reader.list()?.to_vec() },
                9 => Op::TakeDead,
                10 => Op::Restore(reader.list()?.to_vec()),
                other => return Err(unknown("operation", other)),
            });
        }
        Ok(Self { ops })
    }

    /// Writes the bytes to a file.
    ///
    /// # Errors
    ///
    /// [`RingError::Io`].
    ///
    /// ```no_run
    /// # fn example(recording: &aruminium::ring::Recording) -> Result<(), aruminium::ring::RingError> {
    /// recording.save("run.recording")?;
    /// # Ok(()) }
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
    /// assert!(aruminium::ring::Recording::load("/nowhere/run.recording").is_err());
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RingError> {
        Self::parse(&load(path.as_ref(), MAGIC)?)
    }
}

fn unknown(what: &str, number: u32) -> RingError {
    RingError::Format(format!("the recording: {what} {number} is unknown"))
}

/// A number that is 0 or 1.
fn flag(reader: &mut Reader<'_>) -> Result<bool, RingError> {
    match reader.u32()? {
        number @ 0..=1 => Ok(number == 1),
        other => Err(unknown("flag", other)),
    }
}
