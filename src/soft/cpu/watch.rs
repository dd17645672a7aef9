//! The watchdog: stops a launch when none of its threadgroups has finished for a given time.
//!
//! Workers count their work in units of about 10 ns, as estimated when the code is generated. When a worker has used up its
//! budget it checks the clock, whether another worker has stopped the launch, and whether a threadgroup has
//! finished since its last check. The budget is adapted so that it lasts about a millisecond, on slow machines and
//! in builds without optimisation, too.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The state that the workers of a launch share.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limit: Option<Duration>,
    /// The launch has stopped.
    aborted: AtomicBool,
    /// Set when a worker waits for a new beat. Thanks to it, most threadgroups only read a flag when they finish.
    beat_wanted: AtomicBool,
    /// Incremented when a threadgroup finishes while `beat_wanted` is set.
    beats: AtomicU64,
}

impl Watchdog {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        let (aborted, beat_wanted) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { limit, aborted, beat_wanted, beats: AtomicU64::new(0) }
    }

    /// Stops the launch.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    /// Whether the launch has stopped.
    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// The flag that is set when a worker waits for a threadgroup to finish.
    pub(crate) fn beat_wanted(&self) -> *const AtomicBool {
        &raw const self.beat_wanted
    }

    /// Records that a threadgroup has finished.
    #[inline(always)]
    pub(crate) fn finished(&self) {
        if self.beat_wanted.load(Ordering::Relaxed) {
            self.beat_wanted.store(false, Ordering::Relaxed);
            self.beats.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The worker may continue.
    Continue,
    /// Another worker has stopped the launch.
    Aborted,
    /// No threadgroup has finished for too long.
    TimedOut,
}

/// Work between two checks: at most, at first, and at least. Without optimisation much work takes many times as long as estimated.
const MAX_BUDGET: i64 = if cfg!(debug_assertions) { 1 << 13 } else { 1 << 17 };
const INITIAL_BUDGET: i64 = 1 << 13;
const MIN_BUDGET: i64 = 1 << 8;
/// How long a budget should last: between these times.
const MIN_INTERVAL: Duration = Duration::from_micros(500);
const MAX_INTERVAL: Duration = Duration::from_millis(2);

/// One worker's view of the watchdog.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    launch: &'a Watchdog,
    /// The budget when it was last filled.
    budget: Cell<i64>,
    /// The work that was done before that.
    work_done: Cell<i64>,
    last_check: Cell<Instant>,
    /// The beats at the last check, and the time at which they were last found to have changed.
    last_beats: Cell<u64>,
    last_progress: Cell<Instant>,
    /// Whether there was a check: before the first one threadgroups may finish without a beat.
    has_checked: Cell<bool>,
}

#[cfg(test)]
thread_local! {
    /// For tests: called where a worker on this thread starts, and at each of its checks.
    pub(crate) static CHECK_OBSERVER: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Calls the observer of this thread.
#[cfg(test)]
fn observe() {
    CHECK_OBSERVER.get().iter().for_each(|observer| observer());
}

impl<'a> Watch<'a> {
    pub(crate) fn new(launch: &'a Watchdog, now: Instant) -> Self {
        #[cfg(test)]
        observe();
        let last_beats = Cell::new(launch.beats.load(Ordering::Relaxed));
        let (last_check, last_progress) = (Cell::new(now), Cell::new(now));
        let (budget, work_done) = (Cell::new(INITIAL_BUDGET), Cell::new(0));
        Self {
            launch,
            budget,
            work_done,
            last_check,
            last_beats,
            last_progress,
            has_checked: Cell::new(false),
        }
    }

    /// The work that was done, if this is left of the budget.
    #[inline(always)]
    pub(crate) fn work_done(&self, left: i64) -> u64 {
        self.work_done.get().saturating_add(self.budget.get().saturating_sub(left)).max(0) as u64
    }

    /// The work that may be done before the first check.
    pub(crate) fn first_budget(&self) -> i64 {
        self.budget.get()
    }

    /// Checks the clock and the other workers, and refills the budget.
    #[cold]
    pub(crate) fn check(&self, budget: &mut i64) -> Verdict {
        #[cfg(test)]
        observe();
        if self.launch.is_aborted() {
            return Verdict::Aborted;
        }
        let now = Instant::now();
        let lasted = now.duration_since(self.last_check.replace(now));
        let mut next = self.budget.get();
        if lasted > MAX_INTERVAL {
            next = (next / 2).max(MIN_BUDGET);
        } else if lasted < MIN_INTERVAL {
            next = (next * 2).min(MAX_BUDGET);
        }
        self.work_done.set(self.work_done(*budget) as i64);
        self.budget.set(next);
        *budget = next;
        let Some(limit) = self.launch.limit else { return Verdict::Continue };
        let beats = self.launch.beats.load(Ordering::Relaxed);
        let first = !self.has_checked.replace(true);
        if self.last_beats.replace(beats) != beats || first {
            self.last_progress.set(now);
        } else if now.duration_since(self.last_progress.get()) > limit {
            return Verdict::TimedOut;
        }
        // Only written when it changes: the other workers read it often.
        if !self.launch.beat_wanted.load(Ordering::Relaxed) {
            self.launch.beat_wanted.store(true, Ordering::Relaxed);
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
            assert_eq!(watch.check(&mut budget), Verdict::Continue);
            std::thread::sleep(LIMIT / 2);
            launch.finished();
        }
        // Both workers notice that the last threadgroup finished.
        assert_eq!(watch.check(&mut budget), Verdict::Continue);
        assert_eq!(other.check(&mut budget), Verdict::Continue);
        std::thread::sleep(LIMIT * 2);
        assert_eq!(watch.check(&mut budget), Verdict::TimedOut);
        assert_eq!(other.check(&mut budget), Verdict::TimedOut);
        launch.abort();
        assert_eq!(watch.check(&mut budget), Verdict::Aborted);
    }

    #[test]
    fn work_before_the_first_check_makes_no_worker_late() {
        // On a slow machine, and without a beat, because none was requested.
        let launch = Watchdog::new(Some(LIMIT));
        let watch = Watch::new(&launch, Instant::now());
        launch.finished();
        std::thread::sleep(LIMIT * 2);
        assert_eq!(watch.check(&mut 0), Verdict::Continue);
        std::thread::sleep(LIMIT * 2);
        assert_eq!(watch.check(&mut 0), Verdict::TimedOut);
    }

    #[test]
    fn without_a_limit_no_worker_is_late() {
        let launch = Watchdog::new(None);
        let watch = Watch::new(&launch, Instant::now() - Duration::from_secs(1000));
        assert_eq!(watch.check(&mut 0), Verdict::Continue);
    }

    #[test]
    fn work_is_counted_across_budgets_and_beyond_them() {
        let launch = Watchdog::new(None);
        let watch = Watch::new(&launch, Instant::now());
        let first = watch.first_budget();
        assert_eq!(watch.work_done(first), 0);
        assert_eq!(watch.work_done(first - 10), 10);
        let mut budget = -7;
        watch.check(&mut budget);
        assert_eq!(watch.work_done(budget), first as u64 + 7);
        assert_eq!(watch.work_done(budget - 100), first as u64 + 107);
    }

    #[test]
    fn budgets_last_about_a_millisecond() {
        let launch = Watchdog::new(Some(Duration::from_secs(60)));
        let watch = Watch::new(&launch, Instant::now());
        let mut budget = watch.first_budget();
        // Fast work: more of it between two checks.
        for _ in 0..20 {
            watch.check(&mut budget);
        }
        assert_eq!(budget, MAX_BUDGET);
        // Slow work: less.
        for _ in 0..3 {
            std::thread::sleep(MAX_INTERVAL * 2);
            watch.check(&mut budget);
        }
        assert!(budget <= MAX_BUDGET / 8, "{budget}");
    }
}
