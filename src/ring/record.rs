//! Recordings: the host's operations on a ring, which can be replayed.

use super::bytes::{Reader, Writer, save};
use super::error::RingError;
use super::post::Wanted;
use super::state::{ActorId, ActorState, Core};
use std::path::Path;

const MAGIC: [u8; 8] = *b"ARURECRD";
const VERSION: u32 = 1;

/// One operation of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Send {
        actor: u32,
        sequence: u32,
        correlation: u64,
        clock: u64,
        bytes: Vec<u8>,
    },
    /// A message was taken; for a call its correlation, else 0.
    Take {
        actor: u32,
        call: u64,
    },
    /// The number of ticks that ran in a submission.
    Run(u64),
    State(u32, u8),
    Terminate(u32),
}

/// The operations since a recording began.
pub(super) type Log = Vec<Op>;

/// The host's operations on a ring from [`Ring::record`](super::Ring::record) on: sends, receives, ticks, changes of state.
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
                Op::Send { actor, sequence, correlation, clock, bytes } => {
                    out.u32(0).u32(*actor).u32(*sequence).u64(*correlation).u64(*clock).list(bytes)
                }
                Op::Take { actor, call } => out.u32(1).u32(*actor).u64(*call),
                Op::Run(ticks) => out.u32(2).u64(*ticks),
                Op::State(actor, state) => out.u32(3).u32(*actor).u32((*state).into()),
                Op::Terminate(actor) => out.u32(4).u32(*actor),
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
                    actor: reader.u32()?,
                    sequence: reader.u32()?,
                    correlation: reader.u64()?,
                    clock: reader.u64()?,
                    bytes: reader.list()?.to_vec(),
                },
                1 => Op::Take { actor: reader.u32()?, call: reader.u64()? },
                2 => Op::Run(reader.u64()?),
                3 => Op::State(reader.u32()?, reader.u32()? as u8),
                4 => Op::Terminate(reader.u32()?),
                other => {
                    return Err(RingError::Format(format!(
                        "the recording: operation {other} is unknown"
                    )));
                }
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
        Self::parse(&std::fs::read(path)?)
    }
}

impl Core {
    pub(super) fn replay(&self, recording: &Recording) -> Result<(), RingError> {
        for (number, op) in recording.ops.iter().enumerate() {
            self.replay_one(op).map_err(|error| match error {
                RingError::Invalid(why) => {
                    RingError::Format(format!("operation {number} of the recording: {why}"))
                }
                other => other,
            })?;
        }
        Ok(())
    }

    fn replay_one(&self, op: &Op) -> Result<(), RingError> {
        let known = |actor: u32| -> Result<ActorId, RingError> {
            self.lock().seat(ActorId(actor)).map(|_| ActorId(actor))
        };
        match op {
            Op::Send { actor, sequence, correlation, clock, bytes } => {
                let (id, mut state) = (known(*actor)?, self.idle()?);
                let size = state.kinds[state.seats[id.index()].kind].types.input.size;
                if size != bytes.len() {
                    let why = format!(
                        "a message of {} bytes, and the actor receives {size}",
                        bytes.len()
                    );
                    return Err(RingError::Invalid(why));
                }
                if *correlation == u64::from(*sequence) {
                    state.seats[id.index()].post.calls.insert(*correlation);
                }
                let stamp = Some((*sequence, *clock));
                state.send_stamped(id, bytes, Some(*correlation), stamp).map(|_| ())
            }
            Op::Take { actor, call } => {
                let wanted = if *call == 0 { Wanted::Any } else { Wanted::Reply(*call) };
                let id = known(*actor)?;
                match self.idle()?.take(id, wanted)? {
                    Some(_) => Ok(()),
                    None => Err(RingError::Invalid(
                        "no message has arrived that was received then".into(),
                    )),
                }
            }
            Op::Run(ticks) => match self.run(*ticks) {
                // The recorded run had the same error.
                Ok(_) | Err(RingError::Fault(_) | RingError::Cycle(_)) => Ok(()),
                Err(error) => Err(error),
            },
            Op::State(actor, number) => {
                let to = ActorState::of(*number)
                    .ok_or_else(|| RingError::Invalid(format!("the state {number} is unknown")))?;
                let from = [
                    ActorState::Launched,
                    ActorState::Active,
                    ActorState::Suspended,
                    ActorState::Failed,
                ];
                let id = known(*actor)?;
                self.idle()?.set_active(id, to, &from, "replaying")
            }
            Op::Terminate(actor) => {
                let id = known(*actor)?;
                self.idle()?.terminate(id)
            }
        }
    }
}
