//! Options of a ring, and of an actor when it is spawned.

use super::error::RingError;

/// Where the clock of a ring takes its time from.
///
/// ```
/// use aruminium::ring::{RingOptions, TimeSource};
/// let options = RingOptions { time: TimeSource::Wall, ..RingOptions::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeSource {
    /// Only the events of the ring, so that runs repeat bit for bit.
    #[default]
    Ticks,
    /// Microseconds since 1970. A recording contains them.
    Wall,
}

/// Options of a ring.
///
/// ```
/// let options = aruminium::ring::RingOptions { ticks: 8, ..Default::default() };
/// ```
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// The largest number of ticks in a submission.
    pub ticks: usize,
    /// Where the clock takes its time from.
    pub time: TimeSource,
    /// The ring takes a checkpoint whenever this many ticks have run since the last one; 0 is never.
    pub checkpoint_every: u64,
    /// How many dead letters are kept; when there are more, the next tick is refused until the program takes them.
    pub dead_letters: usize,
    /// How many faults `Ring::faults` returns at most: the last ones. `RingStat` counts the others.
    pub faults: usize,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            ticks: 64,
            time: TimeSource::default(),
            checkpoint_every: 0,
            dead_letters: 1 << 16,
            faults: 1 << 10,
        }
    }
}

/// The priority of the messages that an actor sends: a receiver takes those of higher priority first.
///
/// ```
/// use aruminium::ring::Priority;
/// assert!(Priority::Low < Priority::Normal && Priority::High < Priority::Critical);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Priority {
    /// After all others.
    Low,
    /// The default, and the priority of the host's messages.
    #[default]
    Normal,
    /// Before normal ones.
    High,
    /// Before all others.
    Critical,
}

/// The reaction to an actor's failure.
///
/// ```
/// use aruminium::ring::{Launch, Supervision};
/// let launch = Launch::new().supervision(Supervision::Restart { limit: 3 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Supervision {
    /// The actor has failed, and the tick returns its fault as an error.
    #[default]
    Escalate,
    /// The actor has failed, and the others continue.
    Stop,
    /// The actor is restarted from the last checkpoint, or its first state, `limit` times at most. What its state has become
    /// since then is lost: [`RingOptions::checkpoint_every`] says how much that may be. A message that it fails with alone is a
    /// dead letter.
    Restart {
        /// The number of restarts after which it has failed.
        limit: u32,
    },
}

/// How an actor runs.
///
/// ```
/// use aruminium::ring::{Launch, Priority};
/// let launch = Launch::new().capacity(64).emits(2).priority(Priority::High);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    pub(super) groups: u32,
    pub(super) threads: u32,
    pub(super) in_place: bool,
    pub(super) input: u32,
    pub(super) output: u32,
    pub(super) emits: u32,
    pub(super) budget: u32,
    pub(super) priority: Priority,
    pub(super) auto_activate: bool,
    pub(super) supervision: Supervision,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            groups: 1,
            threads: 1,
            in_place: false,
            input: 1024,
            output: 1024,
            emits: 1,
            budget: u32::MAX,
            priority: Priority::Normal,
            auto_activate: true,
            supervision: Supervision::Escalate,
        }
    }
}

impl Launch {
    /// One thread, mailboxes of 1024 messages, one message sent for each one handled.
    ///
    /// ```
    /// assert_eq!(aruminium::ring::Launch::new(), aruminium::ring::Launch::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// A grid of threadgroups for each actor, and the threads of each. More than one thread implies
    /// [`in_place`](Self::in_place).
    ///
    /// ```
    /// let launch = aruminium::ring::Launch::new().grid(1, 64);
    /// ```
    pub fn grid(mut self, groups: u32, threads: u32) -> Self {
        (self.groups, self.threads) = (groups, threads);
        self.in_place |= groups.saturating_mul(threads) > 1;
        self
    }

    /// The handler gets its state as `device S &`, not as a copy in thread memory: for large states. The state has whole pages of
    /// memory, and the actor a threadgroup, of its own.
    ///
    /// ```
    /// let launch = aruminium::ring::Launch::new().in_place();
    /// ```
    pub fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// The capacity of the mailbox from the host and of that to the host, in messages; rounded up to a power of two.
    ///
    /// ```
    /// let launch = aruminium::ring::Launch::new().capacity(4096);
    /// ```
    pub fn capacity(self, messages: u32) -> Self {
        self.capacities(messages, messages)
    }

    /// The same, with a capacity for each direction.
    ///
    /// ```
    /// let launch = aruminium::ring::Launch::new().capacities(16, 64);
    /// ```
    pub fn capacities(mut self, from_host: u32, to_host: u32) -> Self {
        (self.input, self.output) = (from_host, to_host);
        self
    }

    /// The largest number of messages that the handler sends into one lane for each message that it handles.
    ///
    /// ```
    /// let launch = aruminium::ring::Launch::new().emits(2);
    /// ```
    pub fn emits(mut self, messages: u32) -> Self {
        self.emits = messages;
        self
    }

    /// The largest number of messages that the actor handles in one tick.
    ///
    /// ```
    /// let launch = aruminium::ring::Launch::new().budget(8);
    /// ```
    pub fn budget(mut self, messages: u32) -> Self {
        self.budget = messages;
        self
    }

    /// The priority of what the actor sends.
    ///
    /// ```
    /// use aruminium::ring::{Launch, Priority};
    /// let launch = Launch::new().priority(Priority::Critical);
    /// ```
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Whether the actor handles mail at once, or after it is activated.
    ///
    /// ```
    /// let launch = aruminium::ring::Launch::new().auto_activate(false);
    /// ```
    pub fn auto_activate(mut self, activate: bool) -> Self {
        self.auto_activate = activate;
        self
    }

    /// The reaction to the actor's failure.
    ///
    /// ```
    /// use aruminium::ring::{Launch, Supervision};
    /// let launch = Launch::new().supervision(Supervision::Stop);
    /// ```
    pub fn supervision(mut self, supervision: Supervision) -> Self {
        self.supervision = supervision;
        self
    }

    /// Metal has no kernels that run until they are stopped.
    ///
    /// # Errors
    ///
    /// Always [`RingError::Invalid`], which says what to use instead.
    ///
    /// ```
    /// assert!(aruminium::ring::Launch::persistent().unwrap_err().to_string().contains("tick"));
    /// ```
    pub fn persistent() -> Result<Self, RingError> {
        Err(RingError::Invalid(
            "Metal has no persistent kernels: its launches end. An actor is launched once per tick and keeps its state \
             between them; `Ring::run` submits many ticks at once, and `Ring::start` keeps them coming"
                .into(),
        ))
    }

    pub(super) fn check(&self) -> Result<(), RingError> {
        let limits = [
            ("groups", self.groups, 1 << 16),
            ("threads of a group", self.threads, 1024),
            ("messages from the host", self.input, 1 << 24),
            ("messages to the host", self.output, 1 << 24),
            ("messages sent for each one handled", self.emits, 1 << 16),
            ("messages handled in a tick", self.budget, u32::MAX),
        ];
        for (what, value, limit) in limits {
            if value == 0 || value > limit {
                return Err(RingError::Invalid(format!(
                    "{value} {what}: from 1 to {limit} are possible"
                )));
            }
        }
        if self.emits > self.output.next_power_of_two() {
            return Err(RingError::Invalid(format!(
                "the mailbox to the host holds {} messages, and the handler may send {} for each one: raise the capacity",
                self.output, self.emits
            )));
        }
        Ok(())
    }
}
