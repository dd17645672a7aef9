//! Errors of a ring, and faults of its actors.

use super::clock::Skew;
use super::id::{ActorId, ActorState};
use crate::{GpuError, KernelFault};
use std::fmt;

/// Why a call of a ring failed.
///
/// ```
/// use aruminium::ring::RingError;
/// let error = RingError::Full { actor: "adder".into(), capacity: 4 };
/// assert_eq!(error.to_string(), "the mailbox of actor `adder` is full (4 messages): let the ring tick, then send again");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RingError {
    /// There is no Metal device.
    BackendUnavailable,
    /// Metal reported an error.
    Gpu(GpuError),
    /// A handler does not compile; the compiler's messages, and the signature that a handler has.
    Handler(String),
    /// A structure is laid out differently by Rust and by the MSL compiler, or its name is used twice.
    Layout(String),
    /// The mailbox has no room for the message.
    Full {
        /// The actor's name.
        actor: String,
        /// How many messages the mailbox holds.
        capacity: usize,
    },
    /// Actors wait for each other's full lanes.
    Cycle(Vec<String>),
    /// An actor failed, and its supervision is to escalate.
    Fault(Box<Fault>),
    /// The actor is not in a state that allows the call.
    State {
        /// The actor's name.
        actor: String,
        /// The state that it is in.
        state: ActorState,
        /// The operation.
        what: &'static str,
    },
    /// An actor does not exist, or an argument of a call is wrong.
    Invalid(String),
    /// Nothing arrived within the time-out.
    Timeout,
    /// The ring has no work left that could make a reply.
    Idle(String),
    /// The ring was shut down.
    Closed,
    /// The bytes are no checkpoint, recording or message of this version, or do not belong to this ring.
    Format(String),
    /// A sender's clock is too far ahead.
    Skew(Skew),
    /// A file could not be read or written.
    Io(std::io::Error),
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackendUnavailable => f.write_str("there is no Metal device on this system"),
            Self::Gpu(error) => error.fmt(f),
            Self::Handler(why) => write!(f, "the handler does not compile: {why}"),
            Self::Layout(why) => write!(f, "the layout of a message: {why}"),
            Self::Full { actor, capacity } => write!(
                f,
                "the mailbox of actor `{actor}` is full ({capacity} messages): let the ring tick, then send again"
            ),
            Self::Cycle(actors) => write!(
                f,
                "these actors wait for each other's full lanes, in a cycle: `{}`; give the lanes more capacity, \
                 or terminate one of them",
                actors.join("`, `")
            ),
            Self::Fault(fault) => fault.fmt(f),
            Self::State { actor, state, what } => {
                write!(f, "{what} is not possible: actor `{actor}` is {state}")
            }
            Self::Invalid(why) => f.write_str(why),
            Self::Timeout => f.write_str("nothing arrived within the time-out"),
            Self::Idle(why) => write!(f, "no message can arrive: {why}"),
            Self::Closed => f.write_str("the ring was shut down"),
            Self::Format(why) => f.write_str(why),
            Self::Skew(skew) => skew.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gpu(error) => Some(error),
            Self::Fault(fault) => Some(fault),
            Self::Skew(skew) => Some(skew),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<GpuError> for RingError {
    fn from(error: GpuError) -> Self {
        match error {
            GpuError::DeviceNotFound => Self::BackendUnavailable,
            other => Self::Gpu(other),
        }
    }
}

impl From<Skew> for RingError {
    fn from(skew: Skew) -> Self {
        Self::Skew(skew)
    }
}

impl From<std::io::Error> for RingError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// The cause of an actor's fault.
///
/// ```
/// use aruminium::ring::Cause;
/// assert_eq!(Cause::Failed(7).to_string(), "its handler called `fail` with code 7");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The kernel had a fault, as soft Metal describes it.
    Kernel(Box<KernelFault>),
    /// The command buffer failed; the message of Metal's error.
    Commands(String),
    /// The handler called `fail` with this code.
    Failed(u32),
    /// The handler sent more messages into one lane than `Launch::emits` allows.
    Emits,
    /// The handler sent to an edge that it does not have.
    Edge,
    /// A thread other than the first sent a message.
    Thread,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(fault) => fault.fmt(f),
            Self::Commands(why) => f.write_str(why),
            Self::Failed(code) => write!(f, "its handler called `fail` with code {code}"),
            Self::Emits => f.write_str(
                "its handler sent more messages into one lane than `Launch::emits` allows for each message",
            ),
            Self::Edge => f.write_str("its handler sent to an edge that the actor does not have"),
            Self::Thread => f.write_str("a thread other than the first sent a message"),
        }
    }
}

/// A fault of an actor.
///
/// ```
/// fn report(fault: &aruminium::ring::Fault) {
///     println!("{} failed in tick {}: {}", fault.name, fault.tick, fault.cause);
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fault {
    /// The actor.
    pub actor: ActorId,
    /// Its name.
    pub name: String,
    /// The tick in which it failed, which then ran again without it.
    pub tick: u64,
    /// The cause.
    pub cause: Cause,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "actor `{}` failed in tick {}: {}", self.name, self.tick, self.cause)
    }
}

impl std::error::Error for Fault {}
