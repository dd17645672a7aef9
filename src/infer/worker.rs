//! A thread that encodes.

use super::error::Error;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// A thread that runs closures in order: for encoding concurrently with the program's own thread, without starting a
/// thread each time. Dropping it waits for the closures, unless one of them drops it.
///
/// ```
/// use aruminium::infer::{Error, Stream, Worker};
/// let gpu = aruminium::Gpu::open()?;
/// let queue = gpu.new_command_queue()?;
/// let worker = Worker::spawn("encoder")?;
/// let task = worker.submit(move || Stream::new(&gpu, &queue).finish());
/// assert_eq!(task.wait()?.counters.launches, 0);
/// // A panic is an error of its task, and the thread continues.
/// let failed = worker.submit(|| -> Result<(), Error> { panic!("out of tokens") });
/// assert!(failed.wait().unwrap_err().to_string().contains("out of tokens"));
/// assert_eq!(worker.submit(|| Ok(7)).wait()?, 7);
/// # Ok::<(), Error>(())
/// ```
pub struct Worker {
    /// `None` once it ends.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

/// A closure that a [`Worker`] runs.
///
/// ```
/// use aruminium::infer::{Task, Worker};
/// let task: Task<u32> = Worker::spawn("encoder")?.submit(|| Ok(1));
/// assert_eq!(task.wait()?, 1);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[must_use = "dropping it loses the error of the closure"]
pub struct Task<T>(Receiver<Result<T, Error>>);

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system cannot start a thread.
    ///
    /// ```
    /// let worker = aruminium::infer::Worker::spawn("encoder")?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn spawn(name: &str) -> Result<Self, Error> {
        let (jobs, queue) = channel::<Job>();
        // Objects that Metal leaves to a pool are released with the job.
        let run = move || queue.into_iter().for_each(crate::autorelease_pool);
        let thread = std::thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs a closure after those that were submitted before.
    ///
    /// ```
    /// let worker = aruminium::infer::Worker::spawn("encoder")?;
    /// assert_eq!(worker.submit(|| Ok("done")).wait()?, "done");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Task<T> {
        let (sender, receiver) = channel();
        let job = move || {
            let result = catch_unwind(AssertUnwindSafe(job));
            // The task may have been dropped.
            _ = sender.send(result.unwrap_or_else(|panic| Err(Error::Panicked(message(&*panic)))));
        };
        if let Some(jobs) = &self.jobs {
            // The thread ends only after this sender is dropped, so the job arrives.
            _ = jobs.send(Box::new(job));
        }
        Task(receiver)
    }
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

impl<T> Task<T> {
    /// Waits for the closure, and returns its result.
    ///
    /// # Errors
    ///
    /// The closure's error; [`Error::Panicked`] if it panicked.
    ///
    /// ```
    /// let worker = aruminium::infer::Worker::spawn("encoder")?;
    /// assert_eq!(worker.submit(|| Ok(2)).wait()?, 2);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn wait(self) -> Result<T, Error> {
        let ended = || Err(Error::Panicked("the worker's thread has ended".into()));
        self.0.recv().unwrap_or_else(|_| ended())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        let own = |thread: &JoinHandle<()>| thread.thread().id() == std::thread::current().id();
        // A job that drops its own worker cannot wait for itself: the thread ends after it. Jobs catch their panics.
        if let Some(thread) = self.thread.take().filter(|thread| !own(thread)) {
            _ = thread.join();
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("thread", &self.thread).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}
