//! GPU work that is not tracked, declared by the program.

use crate::objc::Object;
use crate::usage::Watch;
use crate::{Buffer, Commands, GpuFuture};
use std::sync::{Mutex, PoisonError};

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

/// The command buffers that were declared. They are watched and not kept: one that the program has dropped and never submitted
/// is done, whatever its handlers own.
#[derive(Debug, Default)]
pub(super) struct Declared(Mutex<Vec<Watch>>);

impl Declared {
    pub(super) fn add(&self, work: &impl Work) {
        let Some(commands) = work.command_buffer() else { return };
        let watch = commands.watch();
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Forget those that are done before the list grows: memory that is lent for long is declared in every step.
        let is_full = list.len() == list.capacity();
        let (done, rest) = match is_full {
            true => list.drain(..).partition(Watch::is_over),
            false => (Vec::new(), Vec::new()),
        };
        list.extend(rest);
        list.push(watch);
        // The last references to command buffers are dropped without the lock.
        drop(list);
        drop::<Vec<_>>(done);
    }

    fn list(&mut self) -> &mut Vec<Watch> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all are done. It drops none of them: the last reference to a command buffer may run any code, and the
    /// caller holds a lock.
    pub(super) fn is_done(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().all(Watch::is_over)
    }

    /// Forgets those that are done. The caller holds no lock.
    pub(super) fn forget_done(&mut self) {
        self.list().retain(|work| !work.is_over());
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.list().clear();
    }

    /// Waits for those that were submitted; returns whether all are done.
    pub(super) fn wait(&mut self) -> bool {
        self.list().retain(|work| !work.wait());
        self.list().is_empty()
    }
}

/// Never frees a buffer that declared work uses, because the program can still submit the work, which may not retain the
/// buffer.
pub(super) fn keep_forever(buffer: &Buffer) {
    // SAFETY: the buffer is alive.
    let object = unsafe { Object::borrowed(buffer.as_raw()) };
    // A clone has a reference of its own.
    std::mem::forget(object.clone());
}
