//! GPU work that is not tracked, declared by the program.

use crate::{Commands, GpuFuture};

/// Work that may use memory by means that are not tracked: [`Batch`](crate::Batch), unretained command
/// buffers, raw pointers. `until` of a [`Frame`](super::Frame) and of a [`Lease`](super::Lease) takes it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gpu = aruminium::Gpu::open()?;
/// # let commands = gpu.new_command_queue()?.commands()?;
/// use aruminium::memory::{Pool, Work};
/// fn keep(lease: &aruminium::memory::Lease, work: &impl Work) {
///     lease.until(work);
/// }
/// let pool = Pool::new(&gpu, Default::default());
/// let lease = pool.take(1000)?;
/// keep(&lease, &commands);
/// commands.submit();
/// # Ok(())
/// # }
/// ```
pub trait Work: sealed::Commands {}

impl Work for Commands {}
impl Work for GpuFuture {}

pub(super) mod sealed {
    /// The command buffer of the work; `None` if it could not be submitted.
    pub trait Commands {
        fn command_buffer(&self) -> Option<&crate::Commands>;
    }

    impl Commands for crate::Commands {
        fn command_buffer(&self) -> Option<&crate::Commands> {
            Some(self)
        }
    }

    impl Commands for crate::GpuFuture {
        fn command_buffer(&self) -> Option<&crate::Commands> {
            self.commands()
        }
    }
}

/// The command buffers that were declared.
#[derive(Debug, Default)]
pub(super) struct Declared(std::sync::Mutex<Vec<Commands>>);

impl Declared {
    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Commands>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn add(&self, work: &impl Work) {
        if let Some(commands) = work.command_buffer() {
            self.list().push(commands.clone());
        }
    }

    /// Whether all have completed or failed.
    pub(super) fn is_done(&self) -> bool {
        let mut list = self.list();
        list.retain(|commands| commands.status() < Commands::STATUS_COMPLETED);
        list.is_empty()
    }

    /// Waits for those that were submitted; returns whether all were.
    pub(super) fn wait(&self) -> bool {
        let mut list = self.list();
        list.retain(|commands| {
            let submitted = commands.status() >= Commands::STATUS_COMMITTED;
            if submitted {
                commands.wait();
            }
            !submitted
        });
        list.is_empty()
    }
}
