//! The threads behind a device: runners carry out command buffers, a courier calls blocks, others
//! compile.
//!
//! A queue that has work is scheduled; a runner takes it and runs its command buffers in order until
//! there are none, or until one waits for an event. Then the queue leaves the runner, and the event
//! schedules it again: a runner never waits for anything but work.

use super::foundation::{Strong, is_forked, lock};
use super::queue::Queue;
use super::settings::Settings;
use super::stall;
use crate::soft::runtime::entry::{objc_autoreleasePoolPop, objc_autoreleasePoolPush};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::*};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread looks for news before it sleeps: about as long as waking it takes.
const PATIENCE: Duration = Duration::from_micros(40);

/// The core on which threads of one kind were lately.
struct Core(AtomicI32);

/// The core of the threads that wait for command buffers.
static WAITER: Core = Core::unknown();

impl Core {
    const fn unknown() -> Self {
        Self(AtomicI32::new(-1))
    }

    /// Notes the calling thread's; answers it.
    fn note(&self) -> i32 {
        unsafe extern "C" {
            fn sched_getcpu() -> std::ffi::c_int;
        }
        // SAFETY: it has no demands. -1 is answered where nobody knows.
        let core = unsafe { sched_getcpu() };
        self.0.store(core, Relaxed);
        core
    }

    fn is(&self, core: i32) -> bool {
        core >= 0 && self.0.load(Relaxed) == core
    }
}

/// Looks for something again and again, for a short while, unless whoever brings it was last seen on
/// this very core: looking would only keep it from coming. Whether it was found.
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
        if there.is(here.note()) || start.elapsed() > PATIENCE {
            return false;
        }
    }
}

/// Looks for a short while whether what a runner does is over.
pub(super) fn look(over: impl Fn() -> bool) -> bool {
    spin(over, &WAITER, &QUEUES.core)
}

/// Work that threads of one kind take in the order in which it came.
struct Jobs<T> {
    list: Mutex<List<T>>,
    more: Condvar,
    /// The length of the list, to be looked at from outside.
    waiting: AtomicUsize,
    /// How many threads look for news before they sleep. One is enough.
    looking: AtomicUsize,
    /// Where a thread looked, or took a job.
    core: Core,
}

struct List<T> {
    jobs: VecDeque<T>,
    threads: usize,
    sleeping: usize,
}

impl<T: Send> Jobs<T> {
    const fn new() -> Self {
        Self {
            list: Mutex::new(List { jobs: VecDeque::new(), threads: 0, sleeping: 0 }),
            more: Condvar::new(),
            waiting: AtomicUsize::new(0),
            looking: AtomicUsize::new(0),
            core: Core::unknown(),
        }
    }

    /// Adds a job. A thread is started when all are at work and there are fewer than `most`. A forked
    /// process, which has none of the threads, does the job at once.
    fn add(&'static self, job: T, most: usize, name: &str, run: fn(T)) {
        if is_forked() {
            return run(job);
        }
        let mut list = lock(&self.list);
        list.jobs.push_back(job);
        self.waiting.store(list.jobs.len(), Release);
        let free = list.sleeping + self.looking.load(Relaxed);
        if list.jobs.len() > free && list.threads < most {
            let started =
                std::thread::Builder::new().name(name.to_owned()).spawn(move || self.work(run));
            list.threads += usize::from(started.is_ok());
            if list.threads == 0 {
                // The system gives us no thread at all: the work is done here.
                let job = list.jobs.pop_back();
                drop(list);
                return job.into_iter().for_each(run);
            }
        }
        let wake = list.sleeping > 0 && self.looking.load(Relaxed) == 0;
        drop(list);
        if wake {
            self.more.notify_one();
        }
    }

    /// The life of a thread.
    fn work(&self, run: fn(T)) {
        loop {
            run(self.next());
        }
    }

    fn next(&self) -> T {
        loop {
            if self.looking.compare_exchange(0, 1, Relaxed, Relaxed).is_ok() {
                spin(|| self.waiting.load(Acquire) > 0, &self.core, &WAITER);
                self.looking.store(0, Relaxed);
            }
            let mut list = lock(&self.list);
            loop {
                if let Some(job) = list.jobs.pop_front() {
                    // Said before it waits no more: in between it would look as if nothing happened.
                    stall::sign_of_life();
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

static QUEUES: Jobs<Strong<Queue>> = Jobs::new();

/// Has a runner run the queue. In a forked process queues stand still: what they hold is run by the
/// parent.
pub(super) fn schedule(queue: Strong<Queue>) {
    if is_forked() {
        return;
    }
    // Two at least: one that is busy must not keep other queues waiting.
    let most = Settings::get().workers.max(2);
    QUEUES.add(queue, most, "aruminium-queue", |queue| in_pool(|| queue.run()));
}

/// Whether queues wait for a runner.
pub(super) fn queues_wait() -> bool {
    QUEUES.waiting.load(Acquire) > 0
}

type Delivery = Box<dyn FnOnce() + Send>;
static DELIVERIES: Jobs<Delivery> = Jobs::new();

/// Calls a block of the program, on a thread for that alone, in the order in which it came here.
pub(super) fn deliver(call: impl FnOnce() + Send + 'static) {
    DELIVERIES.add(Box::new(call), 1, "aruminium-blocks", |call| {
        CALLS_BLOCKS.set(true);
        in_pool(call);
        CALLS_BLOCKS.set(false);
    });
}

thread_local! {
    static CALLS_BLOCKS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is the thread that calls blocks, in one of them.
pub(super) fn calls_blocks() -> bool {
    CALLS_BLOCKS.get()
}

static COMPILATIONS: Jobs<Delivery> = Jobs::new();

/// Compiles, or does other long work, aside.
pub(super) fn compile_aside(work: impl FnOnce() + Send + 'static) {
    let most = Settings::get().cores;
    COMPILATIONS.add(Box::new(work), most, "aruminium-compile", in_pool);
}

/// Runs with an autorelease pool.
fn in_pool(run: impl FnOnce()) {
    // SAFETY: the pool is ended on the thread that began it, after what began in it.
    unsafe {
        let pool = objc_autoreleasePoolPush();
        run();
        objc_autoreleasePoolPop(pool);
    }
}
