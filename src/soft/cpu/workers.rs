//! The threads that run threadgroups: started once, and shared by all launches of a device.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread spins, waiting for work or for its helpers, before it sleeps.
const SPIN: Duration = Duration::from_micros(20);

/// A pool of threads. The launching thread works, too, so there is one fewer of them than cores.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Jobs that wait for helpers; a launch is in it once for each helper that it can use.
    queue: Mutex<VecDeque<Arc<Job>>>,
    /// The length of the queue, to be read without the lock.
    waiting: AtomicUsize,
    work: Condvar,
    stop: AtomicBool,
}

/// A launch that can use helpers.
struct Job {
    /// The function that each helper calls, which returns when no work is left. The pointer is valid while `helping`
    /// counts a helper or the job is in the queue: `Workers::run` waits for both.
    help: *const (dyn Fn() + Sync),
    /// Helpers at work.
    helping: AtomicUsize,
    /// Notified, with the lock of `panic` held, by the last helper.
    done: Condvar,
    /// The first panic of a helper.
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

// SAFETY: `help` is `Sync`, and its owner waits until all calls have returned; see its description.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while a lock is held cannot leave the data inconsistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workers {
    /// Starts `count - 1` threads: with the launching thread, `count` work.
    pub(crate) fn new(count: usize) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(VecDeque::new()),
            waiting: AtomicUsize::new(0),
            work: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let threads = (1..count.max(1))
            .filter_map(|number| {
                let shared = Arc::clone(&shared);
                // If the system cannot create a thread, the pool has one helper fewer.
                std::thread::Builder::new()
                    .name(format!("soft-metal-{number}"))
                    .spawn(move || shared.serve())
                    .ok()
            })
            .collect();
        Self { shared, threads }
    }

    /// One thread for each core.
    #[cfg(test)]
    pub(crate) fn for_this_machine() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// The threads that work on a launch, at most.
    pub(crate) fn count(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `help` on this thread, and on up to `helpers` others at the same time. Returns when all
    /// calls have.
    pub(crate) fn run(&self, helpers: usize, help: &(dyn Fn() + Sync)) {
        let helpers = helpers.min(self.threads.len());
        if helpers == 0 {
            return help();
        }
        let job = Arc::new(Job {
            // SAFETY: only the lifetime changes; `Wait` below keeps `help` alive for every helper.
            help: unsafe {
                std::mem::transmute::<*const (dyn Fn() + Sync + '_), *const (dyn Fn() + Sync)>(help)
            },
            helping: AtomicUsize::new(0),
            done: Condvar::new(),
            panic: Mutex::new(None),
        });
        {
            let mut queue = lock(&self.shared.queue);
            queue.extend(std::iter::repeat_n(Arc::clone(&job), helpers));
            self.shared.waiting.store(queue.len(), Ordering::Release);
        }
        self.shared.work.notify_all();
        // Waits even if `help` panics here.
        let wait = Wait { shared: &self.shared, job: &job };
        help();
        drop(wait);
        // The work of a helper that panicked is not done.
        if let Some(panic) = lock(&job.panic).take() {
            std::panic::resume_unwind(panic);
        }
    }
}

struct Wait<'a> {
    shared: &'a Shared,
    job: &'a Arc<Job>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        {
            let mut queue = lock(&self.shared.queue);
            queue.retain(|other| !Arc::ptr_eq(other, self.job));
            self.shared.waiting.store(queue.len(), Ordering::Release);
        }
        let start = Instant::now();
        while self.job.helping.load(Ordering::Acquire) != 0 {
            if start.elapsed() < SPIN {
                std::hint::spin_loop();
                continue;
            }
            let mut guard = lock(&self.job.panic);
            while self.job.helping.load(Ordering::Acquire) != 0 {
                guard = self.job.done.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Shared {
    fn serve(&self) {
        let mut idle = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            if self.waiting.load(Ordering::Acquire) == 0 && idle.elapsed() < SPIN {
                std::hint::spin_loop();
                continue;
            }
            let mut queue = lock(&self.queue);
            let Some(job) = queue.pop_front() else {
                if idle.elapsed() >= SPIN && !self.stop.load(Ordering::Acquire) {
                    drop(self.work.wait(queue).unwrap_or_else(PoisonError::into_inner));
                    idle = Instant::now();
                }
                continue;
            };
            // Counted before the queue is unlocked, so that the owner, which removes jobs from it, sees the count.
            job.helping.fetch_add(1, Ordering::AcqRel);
            self.waiting.store(queue.len(), Ordering::Release);
            drop(queue);
            // SAFETY: the job was in the queue, so its owner waits.
            let help = unsafe { &*job.help };
            // The launching thread panics instead.
            if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(help)) {
                lock(&job.panic).get_or_insert(panic);
            }
            if job.helping.fetch_sub(1, Ordering::AcqRel) == 1 {
                let _guard = lock(&job.panic);
                job.done.notify_all();
            }
            idle = Instant::now();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        drop(lock(&self.shared.queue));
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A thread ends without a result.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Workers({})", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_work_is_done_before_run_returns() {
        let workers = Workers::new(3);
        for _ in 0..200 {
            let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
            workers.run(8, &|| {
                while next.fetch_add(1, Ordering::Relaxed) < 100 {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
            assert_eq!(done.load(Ordering::Relaxed), 100);
        }
    }

    #[test]
    fn a_panic_of_a_helper_is_the_caller_s() {
        let workers = Workers::new(2);
        let (caller, started) = (std::thread::current().id(), AtomicUsize::new(0));
        let run = || {
            workers.run(1, &|| {
                if std::thread::current().id() != caller {
                    started.store(1, Ordering::Release);
                    std::panic::resume_unwind(Box::new("the helper's"));
                }
                while started.load(Ordering::Acquire) == 0 {
                    std::thread::yield_now();
                }
            });
        };
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"the helper's"));
        // The pool still works.
        workers.run(1, &|| ());
    }

    #[test]
    fn launches_of_several_threads_share_the_pool() {
        let workers = Workers::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let calls = AtomicUsize::new(0);
                        workers.run(2, &|| {
                            calls.fetch_add(1, Ordering::Relaxed);
                        });
                        assert!((1..=3).contains(&calls.load(Ordering::Relaxed)));
                    }
                });
            }
        });
    }
}
