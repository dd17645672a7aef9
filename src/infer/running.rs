//! Streams that were submitted.

use super::error::Error;
use super::report::{Report, Span, publish_kernels};
use crate::{Commands, Done};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A command buffer of a stream, and the launches in it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) commands: Commands,
    pub(super) label: String,
    pub(super) kernel: String,
    pub(super) launches: u64,
}

/// A stream that was submitted: wait for its report, or `await` it. Dropping it neither waits nor stops the work, whose
/// memory stays valid; its error is lost.
///
/// ```
/// use aruminium::infer::{Running, Stream};
/// let gpu = aruminium::Gpu::open()?;
/// let running: Running = Stream::new(&gpu, &gpu.new_command_queue()?).submit()?;
/// assert_eq!(running.wait()?.counters.launches, 0);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[must_use = "dropping it loses the error of the work"]
pub struct Running {
    parts: Vec<Part>,
    report: Report,
    /// Wakes the task when the last command buffer is done. Made before that one is submitted: later, waiting would take a thread.
    done: Option<Done>,
}

impl Running {
    pub(super) fn new(parts: Vec<Part>, report: Report, done: Option<Done>) -> Self {
        report.counters.publish();
        publish_kernels(&report.kernels);
        Self { parts, report, done }
    }

    /// Whether all work is done, or has failed.
    ///
    /// ```
    /// use aruminium::infer::Stream;
    /// let gpu = aruminium::Gpu::open()?;
    /// assert!(Stream::new(&gpu, &gpu.new_command_queue()?).submit()?.is_done());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn is_done(&self) -> bool {
        self.parts.iter().all(|part| part.commands.status() >= Commands::STATUS_COMPLETED)
    }

    /// Waits until the work is done, and returns the report.
    ///
    /// # Errors
    ///
    /// The error of the first command buffer that failed.
    ///
    /// ```
    /// use aruminium::infer::Stream;
    /// let gpu = aruminium::Gpu::open()?;
    /// let report = Stream::new(&gpu, &gpu.new_command_queue()?).submit()?.wait()?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn wait(mut self) -> Result<Report, Error> {
        self.collect()
    }

    /// The report, once all command buffers are done.
    fn collect(&mut self) -> Result<Report, Error> {
        let mut report = std::mem::take(&mut self.report);
        let mut outcome = Ok(());
        let mut times = crate::infer::Counters::default();
        for Part { commands, label, kernel, launches } in std::mem::take(&mut self.parts) {
            let result = commands.finish();
            times.syncs += 1;
            let (start, end) = (commands.gpu_start_time(), commands.gpu_end_time());
            times.gpu_ns += ((end - start).max(0.0) * 1e9) as u64;
            report.profile.spans.push(Span { label, kernel, launches, start, end });
            outcome = outcome.and(result);
        }
        times.publish();
        (report.counters.syncs, report.counters.gpu_ns) = (times.syncs, times.gpu_ns);
        outcome?;
        Ok(report)
    }
}

impl Future for Running {
    type Output = Result<Report, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(last) = this.parts.last() {
            let done = this.done.get_or_insert_with(|| last.commands.done());
            // The error of an earlier command buffer comes first.
            _ = ready!(Pin::new(done).poll(context));
        }
        Poll::Ready(this.collect())
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("command_buffers", &self.parts.len())
            .finish_non_exhaustive()
    }
}
