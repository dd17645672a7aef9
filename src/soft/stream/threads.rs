//! The threads of a device: some run queues, one calls the program's blocks, others compile.

use super::settings::Settings;
use super::stall;
use crate::soft::fork::{is_forked, lock};
use crate::soft::system;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::*};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread spins before it sleeps: about as long as waking it takes.
const SPIN: Duration = Duration::from_micros(40);

/// The core on which a thread of one kind ran last.
pub(crate) struct Core(AtomicI32);

/// The core of the threads that wait for command buffers.
static WAITER: Core = Core::unknown();
/// The core of the threads that run queues.
pub(crate) static RUNNER: Core = Core::unknown();
/// The core of the thread that calls blocks, and of those that compile.
static OTHER: Core = Core::unknown();

impl Core {
    const fn unknown() -> Self {
        Self(AtomicI32::new(-1))
    }

    /// Notes the core of the calling thread, and returns it.
    fn note(&self) -> i32 {
        let core = system::core();
        self.0.store(core, Relaxed);
        core
    }

    fn is(&self, core: i32) -> bool {
        core >= 0 && self.0.load(Relaxed) == core
    }
}

/// Polls a condition for a short while, unless the thread that makes it true was last seen on this very core, where
/// polling would only delay it. Returns whether it became true.
fn spin(found: impl Fn() -> bool, here: &Core, there: &Core) -> bool {
    if Settings::get().cores < 2 {
        return found();
    }
    let start = Instant::now();
    loop {
        for _ in 0..32 {
            if found() {
                return true;
            }
            std::hint::spin_loop();
        }
        if there.is(here.note()) || start.elapsed() > SPIN {
            return false;
        }
    }
}

/// Polls for a short while for something that a thread of a queue does. Returns whether it is done.
pub(crate) fn spin_for_runner(done: impl Fn() -> bool) -> bool {
    spin(done, &WAITER, &RUNNER)
}

/// Jobs that threads of one kind take in order.
pub(crate) struct Jobs<T> {
    list: Mutex<List<T>>,
    more: Condvar,
    /// The length of the list, readable without the lock.
    waiting: AtomicUsize,
    /// How many threads spin before they sleep: at most one.
    spinning: AtomicUsize,
    /// The core of a thread that spun or took a job.
    core: &'static Core,
}

struct List<T> {
    jobs: VecDeque<T>,
    threads: usize,
    sleeping: usize,
}

impl<T: Send> Jobs<T> {
    pub(crate) const fn new(core: &'static Core) -> Self {
        Self {
            list: Mutex::new(List { jobs: VecDeque::new(), threads: 0, sleeping: 0 }),
            more: Condvar::new(),
            waiting: AtomicUsize::new(0),
            spinning: AtomicUsize::new(0),
            core,
        }
    }

    /// Adds a job. A thread is started when all are at work and there are fewer than `most`. A forked process, which
    /// has none of the threads, does the job at once.
    pub(crate) fn add(&'static self, job: T, most: usize, name: &str, run: fn(T)) {
        if is_forked() {
            return run(job);
        }
        let mut list = lock(&self.list);
        list.jobs.push_back(job);
        self.waiting.store(list.jobs.len(), Release);
        let free = list.sleeping + self.spinning.load(Relaxed);
        if list.jobs.len() > free && list.threads < most {
            let started =
                std::thread::Builder::new().name(name.to_owned()).spawn(move || self.work(run));
            list.threads += usize::from(started.is_ok());
            if list.threads == 0 {
                // The system provides no thread at all: the job is done here.
                let job = list.jobs.pop_back();
                drop(list);
                return job.into_iter().for_each(run);
            }
        }
        let wake = list.sleeping > 0 && self.spinning.load(Relaxed) == 0;
        drop(list);
        if wake {
            self.more.notify_one();
        }
    }

    /// The work of a thread.
    fn work(&self, run: fn(T)) {
        loop {
            run(self.next());
        }
    }

    fn next(&self) -> T {
        loop {
            if self.spinning.compare_exchange(0, 1, Relaxed, Relaxed).is_ok() {
                spin(|| self.waiting.load(Acquire) > 0, self.core, &WAITER);
                self.spinning.store(0, Relaxed);
            }
            let mut list = lock(&self.list);
            loop {
                if let Some(job) = list.jobs.pop_front() {
                    self.waiting.store(list.jobs.len(), Release);
                    let more = !list.jobs.is_empty() && list.sleeping > 0;
                    drop(list);
                    if more {
                        self.more.notify_one();
                    }
                    self.core.note();
                    return job;
                }
                list.sleeping += 1;
                list = self.more.wait(list).unwrap_or_else(PoisonError::into_inner);
                list.sleeping -= 1;
                if !list.jobs.is_empty() {
                    continue;
                }
                break;
            }
        }
    }
}

type Task = Box<dyn FnOnce() + Send>;

static CALLBACKS: Jobs<Task> = Jobs::new(&OTHER);

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Calls into the program, on a thread for that alone, in the order of these calls.
pub(super) fn call_back(call: impl FnOnce() + Send + 'static) {
    CALLBACKS.add(Box::new(call), 1, "aruminium-blocks", |call| {
        stall::note_activity();
        IN_CALLBACK.set(true);
        call();
        IN_CALLBACK.set(false);
    });
}

/// Whether the calling thread is inside of [`call_back`].
pub(crate) fn is_in_callback() -> bool {
    IN_CALLBACK.get()
}

static COMPILATIONS: Jobs<Task> = Jobs::new(&OTHER);

/// Compiles, or does other long work, on a thread of its own.
pub(crate) fn compile_aside(work: impl FnOnce() + Send + 'static) {
    COMPILATIONS.add(Box::new(work), Settings::get().cores, "aruminium-compile", |work| work());
}
