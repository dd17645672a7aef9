//! The watchdog of a launch: it is stopped when no threadgroup of it has finished for a time.
//!
//! Workers count their work in units of about 10 ns, as estimated when the code is made. When a worker has used up its
//! budget it looks at the clock, at whether another worker has stopped the launch, and at whether a threadgroup has
//! finished since its last look. A budget lasts about a millisecond; on a slow machine, or in a build without
//! optimisation, it shrinks until it does.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the workers of a launch share.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limit: Option<Duration>,
    /// The launch has stopped.
    aborted: AtomicBool,
    /// A worker wants to know whether a threadgroup finishes. That way most threadgroups only read a flag.
    asked: AtomicBool,
    /// How often a threadgroup has finished after a worker had asked.
    beats: AtomicU64,
}

impl Watchdog {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        let (aborted, asked) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { limit, aborted, asked, beats: AtomicU64::new(0) }
    }

    /// Stops the launch.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    /// Whether the launch has stopped.
    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// Records that a threadgroup has finished.
    #[inline(always)]
    pub(crate) fn finished(&self) {
        if self.asked.load(Ordering::Relaxed) {
            self.asked.store(false, Ordering::Relaxed);
            self.beats.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a worker finds when it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well.
    Continue,
    /// Another worker has stopped the launch.
    Aborted,
    /// No threadgroup has finished for too long.
    Late,
}

/// Work between two looks at the clock: at most, at first, and at least.
const MOST: i64 = 1 << 17;
const FIRST: i64 = 1 << 13;
const LEAST: i64 = 1 << 8;
/// What a budget should last: between these times.
const SHORT: Duration = Duration::from_micros(500);
const LONG: Duration = Duration::from_millis(2);

/// One worker's view.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    launch: &'a Watchdog,
    budget: Cell<i64>,
    looked: Cell<Instant>,
    /// The beats at the last look, and when they were found to have changed.
    seen: Cell<u64>,
    changed: Cell<Instant>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(launch: &'a Watchdog, now: Instant) -> Self {
        let seen = Cell::new(launch.beats.load(Ordering::Relaxed));
        let (looked, changed) = (Cell::new(now), Cell::new(now));
        Self { launch, budget: Cell::new(FIRST), looked, seen, changed }
    }

    /// What may be worked before the first look.
    pub(crate) fn first_budget(&self) -> i64 {
        self.budget.get()
    }

    /// Looks at the clock and at the other workers, and refills the budget.
    #[cold]
    pub(crate) fn look(&self, budget: &mut i64) -> Verdict {
        if self.launch.is_aborted() {
            return Verdict::Aborted;
        }
        let now = Instant::now();
        let lasted = now.duration_since(self.looked.replace(now));
        let mut next = self.budget.get();
        if lasted > LONG {
            next = (next / 2).max(LEAST);
        } else if lasted < SHORT {
            next = (next * 2).min(MOST);
        }
        self.budget.set(next);
        *budget = next;
        let Some(limit) = self.launch.limit else { return Verdict::Continue };
        let beats = self.launch.beats.load(Ordering::Relaxed);
        if self.seen.replace(beats) != beats {
            self.changed.set(now);
        } else if now.duration_since(self.changed.get()) > limit {
            return Verdict::Late;
        }
        // Only written when it changes: the other workers read it often.
        if !self.launch.asked.load(Ordering::Relaxed) {
            self.launch.asked.store(true, Ordering::Relaxed);
        }
        Verdict::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(30);

    #[test]
    fn a_worker_is_late_only_if_no_threadgroup_finishes() {
        let launch = Watchdog::new(Some(LIMIT));
        let watch = Watch::new(&launch, Instant::now());
        let other = Watch::new(&launch, Instant::now());
        let mut budget = 0;
        for _ in 0..5 {
            assert_eq!(watch.look(&mut budget), Verdict::Continue);
            std::thread::sleep(LIMIT / 2);
            launch.finished();
        }
        // Both workers hear of what the last one finished.
        assert_eq!(watch.look(&mut budget), Verdict::Continue);
        assert_eq!(other.look(&mut budget), Verdict::Continue);
        std::thread::sleep(LIMIT * 2);
        assert_eq!(watch.look(&mut budget), Verdict::Late);
        assert_eq!(other.look(&mut budget), Verdict::Late);
        launch.abort();
        assert_eq!(watch.look(&mut budget), Verdict::Aborted);
    }

    #[test]
    fn without_a_limit_nobody_is_late() {
        let launch = Watchdog::new(None);
        let watch = Watch::new(&launch, Instant::now() - Duration::from_secs(1000));
        assert_eq!(watch.look(&mut 0), Verdict::Continue);
    }

    #[test]
    fn budgets_last_about_a_millisecond() {
        let launch = Watchdog::new(Some(Duration::from_secs(60)));
        let watch = Watch::new(&launch, Instant::now());
        let mut budget = watch.first_budget();
        // Fast work: more of it between two looks.
        for _ in 0..20 {
            watch.look(&mut budget);
        }
        assert_eq!(budget, MOST);
        // Slow work: less.
        for _ in 0..3 {
            std::thread::sleep(LONG * 2);
            watch.look(&mut budget);
        }
        assert!(budget <= MOST / 8, "{budget}");
    }
}
