//! The ids of actors, and the states of an actor.

use std::fmt;

/// The number of an actor in its ring.
///
/// ```
/// use aruminium::ring::ActorId;
/// fn print(id: ActorId) {
///     println!("actor {}", id.number());
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub(super) u32);

impl ActorId {
    /// The number, from 1 on, by which messages identify the actor.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// let actor = ring.spawn::<u32, u32, u32>("first", code, 0, Default::default())?;
    /// assert_eq!(actor.id().number(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn number(self) -> u32 {
        self.0
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize - 1
    }

    pub(super) fn of(index: usize) -> Self {
        Self(index as u32 + 1)
    }
}

/// The states of an actor; `specs/ring.md` has the transitions.
///
/// ```
/// assert_eq!(aruminium::ring::ActorState::Suspended.to_string(), "suspended");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ActorState {
    /// Spawned, and not activated yet.
    Launched,
    /// It handles mail.
    Active,
    /// It keeps its mail until it is resumed.
    Suspended,
    /// Its handler failed. It keeps its state and mail.
    Failed,
    /// It has ended.
    Terminated,
}

impl ActorState {
    pub(super) fn of(number: u8) -> Option<Self> {
        let all = [Self::Launched, Self::Active, Self::Suspended, Self::Failed, Self::Terminated];
        all.into_iter().find(|state| *state as u8 == number)
    }
}

impl fmt::Display for ActorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Launched => "launched, not active yet",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Failed => "failed",
            Self::Terminated => "terminated",
        })
    }
}
