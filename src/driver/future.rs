//! Waiting for command buffers without blocking: futures that completion handlers wake.

use super::command::Commands;
use super::error::GpuError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The state that a future and the thread that completes it share.
#[derive(Default)]
struct Shared(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    outcome: Option<Result<(), GpuError>>,
    /// The task that polled last.
    waker: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only the first outcome is recorded.
    fn complete(&self, outcome: impl FnOnce() -> Result<(), GpuError>) {
        if self.lock().outcome.is_some() {
            return;
        }
        let outcome = outcome();
        let mut progress = self.lock();
        progress.outcome = Some(outcome);
        let waker = progress.waker.take();
        drop(progress);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<(), GpuError>> {
        let mut progress = self.lock();
        match progress.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                progress.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Completes a future when its handler is called, or dropped without having been called.
struct Handler(Arc<Shared>);

impl Drop for Handler {
    fn drop(&mut self) {
        self.0.complete(|| {
            Err(GpuError::CommandBufferError("it was dropped without having been submitted".into()))
        });
    }
}

/// A future of a command buffer: ready when the work is done or has failed.
///
/// [`Commands::done`] makes it. Dropping it is safe at any time and does not wait.
///
/// ```
/// use std::future::Future;
/// fn is_future(_: &impl Future<Output = Result<(), aruminium::GpuError>>) {}
/// let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
/// let done: aruminium::Done = commands.done();
/// is_future(&done);
/// commands.submit();
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct Done(Arc<Shared>);

impl Done {
    /// A future of a command buffer, submitted or not.
    pub(super) fn of(commands: &Commands) -> Self {
        let shared = Arc::<Shared>::default();
        if commands.status() < Commands::STATUS_COMMITTED {
            let handler = Handler(Arc::clone(&shared));
            commands.on_completed(move |commands| handler.0.complete(|| commands.outcome()));
        } else if commands.status() >= Commands::STATUS_COMPLETED {
            shared.complete(|| commands.outcome());
        } else {
            // Metal takes handlers only before the commit. If no thread can be spawned this one waits.
            let waiter = Waiter { commands: commands.clone(), shared: Arc::clone(&shared) };
            let name = "aruminium future".to_owned();
            // If the thread cannot be spawned the closure is dropped, and its drop waits.
            _ = std::thread::Builder::new().name(name).spawn(move || drop(waiter));
        }
        Self(shared)
    }
}

/// Waits for a command buffer when it is dropped, and completes a future.
struct Waiter {
    commands: Commands,
    shared: Arc<Shared>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.shared.complete(|| self.commands.finish());
    }
}

impl Future for Done {
    type Output = Result<(), GpuError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("completed", &self.0.lock().outcome.is_some()).finish()
    }
}
