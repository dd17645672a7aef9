//! A hybrid logical clock: physical time, and a counter for what happens within a microsecond.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The bits of the counter within a microsecond.
const COUNTER: u32 = 12;
/// The last moment that is accepted, in the year 2103: nine years are left to moments that follow.
pub(super) const LAST: u64 = u64::MAX / 16 * 15;

/// A moment of a [`Clock`]: ordered by time, then by counter, then by node.
///
/// ```
/// use aruminium::ring::Hlc;
/// let moment = Hlc::new(5, 2, 1);
/// assert!(moment < Hlc::new(5, 3, 0) && moment < Hlc::new(6, 0, 0));
/// assert_eq!(moment.to_string(), "5.2@1");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc {
    /// Microseconds since 1970, or the time of a logical source.
    pub physical: u64,
    /// The counter within a microsecond.
    pub logical: u32,
    /// The clock that made it.
    pub node: u32,
}

impl Hlc {
    /// A moment of a node.
    ///
    /// ```
    /// assert_eq!(aruminium::ring::Hlc::new(1, 2, 3).node, 3);
    /// ```
    pub fn new(physical: u64, logical: u32, node: u32) -> Self {
        Self { physical, logical, node }
    }

    /// The 64-bit form for devices and clocks. A counter that is too large for it carries into the time.
    pub(super) fn word(self) -> u64 {
        self.physical.saturating_mul(1 << COUNTER).saturating_add(self.logical.into())
    }

    /// The moment that a word stands for.
    pub(super) fn of_word(word: u64, node: u32) -> Self {
        let logical = (word & ((1 << COUNTER) - 1)) as u32;
        Self { physical: word >> COUNTER, logical, node }
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@{}", self.physical, self.logical, self.node)
    }
}

/// The sender of a message is further ahead than a clock allows.
///
/// ```
/// use aruminium::ring::{Clock, Hlc, Skew};
/// let skew: Skew = Clock::new(1).update(Hlc::new(u64::MAX >> 12, 0, 2)).unwrap_err();
/// assert!(skew.ahead > skew.allowed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skew {
    /// How far ahead of this clock's wall time the sender is.
    pub ahead: Duration,
    /// The maximum drift.
    pub allowed: Duration,
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the sender's clock is {:?} ahead, and {:?} are allowed: correct one of the clocks",
            self.ahead, self.allowed
        )
    }
}

impl std::error::Error for Skew {}

/// A hybrid logical clock. Each [`tick`](Self::tick) is later than every one before it, on all threads.
///
/// ```
/// use aruminium::ring::Clock;
/// let (here, there) = (Clock::new(1), Clock::new(2));
/// let sent = here.tick();
/// let received = there.update(sent)?;
/// assert!(received > sent && there.tick() > received);
/// # Ok::<(), aruminium::ring::Skew>(())
/// ```
#[derive(Debug)]
pub struct Clock {
    last: AtomicU64,
    node: u32,
    drift: Duration,
}

impl Clock {
    /// A clock with a maximum drift of a minute.
    ///
    /// ```
    /// assert_eq!(aruminium::ring::Clock::new(7).tick().node, 7);
    /// ```
    pub fn new(node: u32) -> Self {
        Self::with_max_drift(node, Duration::from_secs(60))
    }

    /// A clock that accepts messages from senders that are ahead by at most `drift`.
    ///
    /// ```
    /// use aruminium::ring::{Clock, Hlc};
    /// use std::time::Duration;
    /// let clock = Clock::with_max_drift(1, Duration::from_millis(1));
    /// let ahead = Hlc { physical: clock.tick().physical + 10_000_000, ..clock.now() };
    /// assert!(clock.update(ahead).is_err());
    /// ```
    pub fn with_max_drift(node: u32, drift: Duration) -> Self {
        Self { last: AtomicU64::new(0), node, drift }
    }

    /// The current moment, without advancing the clock. It is not before any moment that the clock returned.
    ///
    /// ```
    /// let clock = aruminium::ring::Clock::new(1);
    /// let then = clock.tick();
    /// assert!(clock.now() >= then);
    /// ```
    pub fn now(&self) -> Hlc {
        // Relaxed: threads share nothing but this word.
        Hlc::of_word(self.last.load(Ordering::Relaxed).max(wall()), self.node)
    }

    /// A new moment, later than all before it.
    ///
    /// ```
    /// let clock = aruminium::ring::Clock::new(1);
    /// assert!(clock.tick() < clock.tick());
    /// ```
    pub fn tick(&self) -> Hlc {
        self.advance(wall())
    }

    /// A new moment, later than the received one and than all before it.
    ///
    /// # Errors
    ///
    /// [`Skew`] if the sender is ahead of the wall clock by more than the maximum drift, or past the last moment that a clock
    /// counts (in the year 2103).
    ///
    /// ```
    /// use aruminium::ring::{Clock, Hlc};
    /// let clock = Clock::new(1);
    /// assert!(clock.update(Hlc::new(3, 0, 2))? > Hlc::new(3, 0, 2));
    /// # Ok::<(), aruminium::ring::Skew>(())
    /// ```
    pub fn update(&self, received: Hlc) -> Result<Hlc, Skew> {
        let wall = wall();
        let ahead = Duration::from_micros(received.physical.saturating_sub(wall >> COUNTER));
        let word = received.word();
        if ahead > self.drift || word > LAST {
            let most = Duration::from_micros(LAST.saturating_sub(wall) >> COUNTER);
            let allowed = self.drift.min(most);
            return Err(Skew { ahead, allowed });
        }
        Ok(self.advance(wall.max(word + 1)))
    }

    /// The first moment that is not before a word, and after all before it.
    fn advance(&self, word: u64) -> Hlc {
        let next = |last: u64| word.max(last + 1);
        // Relaxed: the read-modify-write orders the values, and no other memory depends on it.
        let last =
            self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        let last = last.unwrap_or_else(|last| last);
        Hlc::of_word(next(last), self.node)
    }
}

/// The wall clock, as a word.
pub(super) fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX) << COUNTER
}
