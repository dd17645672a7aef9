//! Waits for events that are never signalled, and for command buffers that are enqueued and never
//! committed: a thread ends them when nothing has run on the device for the watchdog's time.
//!
//! A wait may well be long, while another queue computes or the program does. It cannot succeed when nothing runs that
//! could end it, so the time counts from the last activity of the whole device.

use super::settings::Settings;
use crate::soft::fork::lock;
use crate::soft::sorted::SortedMap;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many [`Busy`] there are.
static BUSY: AtomicUsize = AtomicUsize::new(0);
/// Counts activity: queues that a thread began to run, commands that ran, events that changed.
static ACTIVITY: AtomicUsize = AtomicUsize::new(0);

/// Notes that something happened which a wait may depend on.
pub(crate) fn note_activity() {
    ACTIVITY.fetch_add(1, Release);
}

/// While one exists, commands run or a queue waits for a thread, and no wait is ended.
pub(crate) struct Busy(());

impl Busy {
    pub(crate) fn new() -> Self {
        BUSY.fetch_add(1, AcqRel);
        Self(())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // In this order, so that the device never looks idle in between.
        note_activity();
        BUSY.fetch_sub(1, AcqRel);
    }
}

/// Ends a wait in an error. It is passed the number of the wait and how long nothing has run.
type GiveUp = Box<dyn FnOnce(u64, Duration) + Send>;

/// The current waits, by number: the first is the oldest.
struct Waits {
    list: SortedMap<u64, (Instant, GiveUp)>,
    next: u64,
    watched: bool,
}

static WAITS: Mutex<Waits> = Mutex::new(Waits { list: SortedMap::new(), next: 1, watched: false });
static MORE: Condvar = Condvar::new();

/// A wait that is watched as long as this lives.
pub(crate) struct Watched(u64);

/// The number of a wait that may last for ever.
const NOT_WATCHED: u64 = 0;

impl Watched {
    pub(crate) fn is(&self, number: u64) -> bool {
        self.0 == number
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.0 != NOT_WATCHED {
            // Dropped after the lock is released: what it owns may end other waits.
            let _removed = lock(&WAITS).list.remove(&self.0);
        }
    }
}

/// Watches a wait that begins now, unless waits may last for ever.
pub(crate) fn watch(give_up: impl FnOnce(u64, Duration) + Send + 'static) -> Watched {
    let Some(limit) = Settings::get().watchdog else { return Watched(NOT_WATCHED) };
    let mut waits = lock(&WAITS);
    let number = waits.next;
    waits.next += 1;
    waits.list.insert(number, (Instant::now(), Box::new(give_up)));
    if !waits.watched {
        let watch = move || end_stalled_waits(limit);
        let started = std::thread::Builder::new().name("aruminium-watch".to_owned()).spawn(watch);
        waits.watched = started.is_ok();
    }
    drop(waits);
    MORE.notify_one();
    Watched(number)
}

/// The thread that ends waits.
fn end_stalled_waits(limit: Duration) -> ! {
    /// The pause between checks is this part of the limit, up to `LONGEST`.
    const PARTS: u32 = 8;
    const LONGEST: Duration = Duration::from_secs(1);
    /// The pause after a wait was ended, in which what depends on it can run.
    const GRACE: Duration = Duration::from_millis(10);
    let interval = (limit / PARTS).min(LONGEST);
    let (mut seen, mut silent_since) = (ACTIVITY.load(Acquire), Instant::now());
    let mut pause = interval;
    loop {
        let mut waits = lock(&WAITS);
        while waits.list.is_empty() {
            waits = MORE.wait(waits).unwrap_or_else(PoisonError::into_inner);
        }
        drop(waits);
        std::thread::sleep(pause);
        pause = interval;
        let now = Instant::now();
        // Read in this order: work that has ended by now has been counted as activity.
        let busy = BUSY.load(Acquire) > 0;
        let latest = ACTIVITY.load(Acquire);
        if latest != seen || busy {
            (seen, silent_since) = (latest, now);
            continue;
        }
        // One at a time: what runs after it may be what the others wait for.
        let mut waits = lock(&WAITS);
        let since = |start: Instant| now.duration_since(start.max(silent_since));
        let is_due = waits.list.values().next().is_some_and(|(start, _)| since(*start) >= limit);
        if let Some((number, (start, give_up))) = is_due.then(|| waits.list.pop_first()).flatten() {
            drop(waits);
            give_up(number, since(start));
            pause = interval.min(GRACE);
        }
    }
}
