//! Waits for events that are never signalled, and for command buffers that are enqueued and never
//! committed: the watch ends them when nothing has run on the device for the watchdog's time.
//!
//! A wait may well be long: another queue computes, or the program does. It is in vain when nothing
//! runs that could end it, so the time counts from the last sign of life of the whole device.

use super::foundation::lock;
use super::settings::Settings;
use super::worker;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many runners run commands.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Counts what happened: queues that runners took up, commands that ran, events that changed.
static HAPPENED: AtomicUsize = AtomicUsize::new(0);

/// Something happened that a wait may have been for.
pub(super) fn sign_of_life() {
    HAPPENED.fetch_add(1, Release);
}

/// Commands run while it lives.
pub(super) struct Running(());

impl Running {
    pub(super) fn new() -> Self {
        RUNNING.fetch_add(1, AcqRel);
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        sign_of_life();
        RUNNING.fetch_sub(1, AcqRel);
    }
}

/// Ends a wait in an error. It is passed the number of the wait and how long nothing has run.
type GiveUp = Box<dyn FnOnce(u64, Duration) + Send>;

/// The current waits, by number: the first is the oldest.
struct Waits {
    list: BTreeMap<u64, (Instant, GiveUp)>,
    next: u64,
    watched: bool,
}

static WAITS: Mutex<Waits> = Mutex::new(Waits { list: BTreeMap::new(), next: 1, watched: false });
static MORE: Condvar = Condvar::new();

/// A wait that is watched as long as this lives.
pub(super) struct Watched(u64);

/// The number of waits that nobody watches.
const NOT_WATCHED: u64 = 0;

impl Watched {
    pub(super) fn is(&self, number: u64) -> bool {
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
pub(super) fn watch(give_up: impl FnOnce(u64, Duration) + Send + 'static) -> Watched {
    let Some(limit) = Settings::get().watchdog else { return Watched(NOT_WATCHED) };
    let mut waits = lock(&WAITS);
    let number = waits.next;
    waits.next += 1;
    waits.list.insert(number, (Instant::now(), Box::new(give_up)));
    if !waits.watched {
        let watch = move || give_up_in_vain(limit);
        let started = std::thread::Builder::new().name("aruminium-watch".to_owned()).spawn(watch);
        waits.watched = started.is_ok();
    }
    drop(waits);
    MORE.notify_one();
    Watched(number)
}

/// The life of the watch.
fn give_up_in_vain(limit: Duration) -> ! {
    /// Between looks: part of the time, and no longer than nobody minds.
    const PARTS: u32 = 8;
    const LONGEST: Duration = Duration::from_secs(1);
    /// What a queue has, after another was given up, to do something about it.
    const CHANCE: Duration = Duration::from_millis(10);
    let look = (limit / PARTS).min(LONGEST);
    let (mut happened, mut silent_since) = (HAPPENED.load(Acquire), Instant::now());
    let mut pause = look;
    loop {
        let mut waits = lock(&WAITS);
        while waits.list.is_empty() {
            waits = MORE.wait(waits).unwrap_or_else(PoisonError::into_inner);
        }
        drop(waits);
        std::thread::sleep(pause);
        pause = look;
        let now = Instant::now();
        // Asked first: what is over by now has been counted.
        let busy = worker::queues_wait() || RUNNING.load(Acquire) > 0;
        let latest = HAPPENED.load(Acquire);
        if latest != happened || busy {
            (happened, silent_since) = (latest, now);
            continue;
        }
        // One at a time: what goes on behind it may be what the others wait for.
        let mut waits = lock(&WAITS);
        let since = |start: Instant| now.duration_since(start.max(silent_since));
        if let Some(oldest) = waits.list.first_entry().filter(|wait| since(wait.get().0) >= limit) {
            let (number, (start, give_up)) = oldest.remove_entry();
            drop(waits);
            give_up(number, since(start));
            pause = look.min(CHANCE);
        }
    }
}
