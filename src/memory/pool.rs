//! Buffers that are lent, returned and reused.

use super::leases::{Leasable, Leases};
use super::residency::Residency;
use super::work::{Declared, Work, keep_forever};
use crate::usage::Epoch;
use crate::{Buffer, Gpu, GpuError, autorelease_pool};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// Shared buffers by size class, which are lent and reused. A clone is another handle to the same pool.
///
/// There are four classes for each doubling of the size, so that at most a fifth of a buffer is not used, from
/// 256 bytes on. A returned buffer is lent again when the last command buffer that uses it is done.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gpu = aruminium::Gpu::open()?;
/// use aruminium::memory::{Pool, PoolLimits};
/// let pool = Pool::new(&gpu, PoolLimits::default());
/// let lease = pool.take(1000)?;
/// lease.write_f32(|x| x.fill(1.0)); // It derefs to a buffer.
/// let address = lease.gpu_address();
/// drop(lease);
/// assert_eq!(pool.take_zeroed(900)?.gpu_address(), address);
/// println!("{:?}", pool.stat());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    gpu: Gpu,
    limits: PoolLimits,
    residency: Option<Residency>,
    leases: Leases<Entry>,
}

/// A buffer of the pool.
struct Entry {
    buffer: Buffer,
    /// The fewest references to the buffer that were seen, without those of the residency set: only the pool had it
    /// then. And the number of commits of the set when it was made.
    references: usize,
    commits: u64,
    /// The pool's residency set, which has the buffer as long as this lives.
    residency: Option<Residency>,
    /// Work that was declared for the last lease of the buffer.
    declared: Declared,
    /// When it came back. Command buffers that begin to use the pool's residency set later do not use it.
    returned: Epoch,
}

impl Leasable for Entry {
    fn bytes(&self) -> usize {
        self.buffer.size()
    }

    fn on_return(&mut self) {
        self.returned = Epoch::now();
        self.declared.forget_done();
    }

    fn is_referred_to(&mut self) -> bool {
        let of_set = self.residency.as_ref().map_or(0, |set| set.references(self.commits));
        let references = self.buffer.references().saturating_sub(of_set);
        // The system may have had a reference for a moment when the buffer was made.
        self.references = self.references.min(references);
        let referred = references > self.references;
        // The writes of the last user before it dropped its reference are visible from here on.
        fence(Ordering::Acquire);
        referred
    }

    fn is_declared(&mut self) -> bool {
        !self.declared.is_done()
    }

    fn is_in_set(&self) -> bool {
        self.residency.as_ref().is_some_and(|set| set.is_used(self.returned))
    }

    fn is_encoded(&self) -> bool {
        self.buffer.is_encoded()
    }

    fn is_in_flight(&self) -> bool {
        self.buffer.is_in_flight_except_sets(self.returned)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(residency) = &self.residency {
            residency.remove_of_pool(&self.buffer);
        }
    }
}

/// The limits of a [`Pool`].
///
/// ```
/// use aruminium::memory::PoolLimits;
/// let limits = PoolLimits { total: 1 << 30, free: 1 << 28 };
/// assert_eq!(PoolLimits::default().total, usize::MAX);
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// The most bytes in all of its buffers, lent or not. Beyond it `take` fails.
    pub total: usize,
    /// The most bytes in buffers that are not lent, those that the GPU still uses included. Beyond it free buffers are
    /// released, the largest first.
    pub free: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { total: usize::MAX, free: usize::MAX }
    }
}

/// Statistics of a [`Pool`]. Sizes are those of whole buffers.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gpu = aruminium::Gpu::open()?;
/// let pool = aruminium::memory::Pool::new(&gpu, Default::default());
/// drop(pool.take(1000)?);
/// drop(pool.take(1000)?);
/// let stat = pool.stat();
/// assert_eq!((stat.takes, stat.made, stat.lent, stat.free), (2, 1, 0, 1024));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStat {
    /// The number of leases so far.
    pub takes: u64,
    /// The number of buffers that had to be created for them.
    pub made: u64,
    /// Bytes in buffers that are lent.
    pub lent: usize,
    /// Bytes that were requested in those leases.
    pub requested: usize,
    /// Bytes in buffers that can be lent.
    pub free: usize,
    /// Bytes in buffers that were returned while the GPU still used them.
    pub pending: usize,
}

/// The size of the smallest buffer.
const SMALLEST: usize = 256;
const CLASSES: usize = 4 * usize::BITS as usize;

/// The class of a size, and the size of its buffers: the next of 4, 5, 6 and 7 times a power of two.
fn class(bytes: usize) -> Option<(usize, usize)> {
    let bytes = bytes.max(SMALLEST);
    let step = 1usize << (bytes.ilog2() - 2);
    let size = bytes.checked_next_multiple_of(step)?;
    let doubling = size.ilog2();
    Some((4 * doubling as usize + (size >> (doubling - 2)) % 4, size))
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pool = f.debug_struct("Pool");
        pool.field("limits", &self.0.limits).field("stat", &self.stat()).finish()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("requested", &self.requested)
            .field("buffer", &self.entry.buffer)
            .finish()
    }
}

impl Pool {
    /// An empty pool.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::memory::{Pool, PoolLimits};
    /// let pool = Pool::new(&gpu, PoolLimits { total: 4096, free: 4096 });
    /// let _all = pool.take(4096)?;
    /// assert!(pool.take(1).unwrap_err().to_string().contains("limit"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(gpu: &Gpu, limits: PoolLimits) -> Self {
        Self::with(gpu, limits, None)
    }

    /// An empty pool whose buffers are all in a residency set.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::memory::{Pool, Residency};
    /// // Systems before macOS 15 have no residency sets.
    /// if let Ok(residency) = Residency::new(&gpu, "step") {
    ///     let pool = Pool::resident(&gpu, Default::default(), &residency);
    ///     let leases = [pool.take(1000)?, pool.take(5000)?];
    ///     assert!(residency.commit(), "once for all of them");
    ///     # drop(leases);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn resident(gpu: &Gpu, limits: PoolLimits, residency: &Residency) -> Self {
        Self::with(gpu, limits, Some(residency.clone()))
    }

    fn with(gpu: &Gpu, limits: PoolLimits, residency: Option<Residency>) -> Self {
        let leases = Leases::new(CLASSES, limits.total, limits.free);
        Self(Arc::new(Inner { gpu: gpu.clone(), limits, residency, leases }))
    }

    /// Lends a buffer of at least `bytes` bytes. Its contents are those of its last use.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] for zero bytes, or beyond the limit of the pool or the device.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// let pool = aruminium::memory::Pool::new(&gpu, Default::default());
    /// let lease = pool.take(1000)?;
    /// assert_eq!((lease.requested(), lease.size()), (1000, 1024));
    /// # Ok(())
    /// # }
    /// ```
    pub fn take(&self, bytes: usize) -> Result<Lease, GpuError> {
        self.lease(bytes).map(|(lease, _)| lease)
    }

    /// The same, filled with zeros. The buffers of a [`resident`](Self::resident) pool are filled after the command
    /// buffers that use the residency set have completed.
    ///
    /// # Errors
    ///
    /// As for [`take`](Self::take).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// let pool = aruminium::memory::Pool::new(&gpu, Default::default());
    /// pool.take(1000)?.write(|bytes| bytes.fill(7));
    /// assert!(pool.take_zeroed(1000)?.read(|bytes| bytes.iter().all(|&byte| byte == 0)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_zeroed(&self, bytes: usize) -> Result<Lease, GpuError> {
        let (lease, new) = self.lease(bytes)?;
        if !new {
            lease.write_completed(|bytes| bytes.fill(0))?;
        }
        Ok(lease)
    }

    /// A lease, and whether its buffer is new.
    fn lease(&self, bytes: usize) -> Result<(Lease, bool), GpuError> {
        let (class, size) =
            Some(bytes).filter(|&bytes| bytes > 0).and_then(class).ok_or_else(|| {
                let range = format!("a lease has 1 to {} bytes", 7usize << (usize::BITS - 3));
                GpuError::BufferCreationFailed(format!("{bytes} bytes were requested; {range}"))
            })?;
        let refuse = |used: usize| {
            GpuError::BufferCreationFailed(format!(
                "{size} bytes beside the {used} that are in use are past the pool's limit of {}",
                self.0.limits.total
            ))
        };
        let make = || self.0.make(size);
        let (mut entry, new) = self.0.leases.lease(class, size, bytes, make, refuse)?;
        entry.declared.clear();
        entry.buffer.make_non_volatile();
        let pool = Arc::clone(&self.0);
        Ok((Lease { entry: ManuallyDrop::new(entry), class, requested: bytes, pool }, new))
    }

    /// Releases buffers that are not lent, the largest first, until at most `keep` bytes of them are left.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// let pool = aruminium::memory::Pool::new(&gpu, Default::default());
    /// drop(pool.take(1000)?);
    /// pool.trim(0);
    /// assert_eq!(pool.stat().free, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn trim(&self, keep: usize) {
        self.0.leases.trim(keep);
    }

    /// Statistics of the pool.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// let pool = aruminium::memory::Pool::new(&gpu, Default::default());
    /// let lease = pool.take(1000)?;
    /// assert_eq!((pool.stat().lent, pool.stat().requested), (1024, 1000));
    /// # drop(lease);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stat(&self) -> PoolStat {
        let figures = self.0.leases.figures();
        PoolStat {
            takes: figures.takes,
            made: figures.made,
            lent: figures.lent,
            requested: figures.requested,
            free: figures.free,
            pending: figures.pending,
        }
    }
}

impl Inner {
    fn make(&self, size: usize) -> Result<Entry, GpuError> {
        // Objects that the system autoreleases while it makes the buffer are not counted.
        let buffer = autorelease_pool(|| self.gpu.buffer(size))?;
        let references = buffer.references();
        // Finds the record of its memory, which drops command buffers that are over: later the pool is locked.
        _ = buffer.is_encoded();
        let mut commits = 0;
        if let Some(residency) = &self.residency {
            // In this order a commit of another thread in between makes the buffer look used, not idle.
            residency.add_of_pool(&buffer);
            commits = residency.commits();
        }
        let (residency, declared) = (self.residency.clone(), Declared::default());
        Ok(Entry { buffer, references, commits, residency, declared, returned: Epoch::now() })
    }
}

impl Drop for Inner {
    /// Declared work does not retain its buffers, so wait for it.
    fn drop(&mut self) {
        self.leases.for_each_pending(|entry| {
            if !entry.declared.wait() {
                keep_forever(&entry.buffer);
            }
            entry.buffer.wait_until_unused();
        });
    }
}

/// A buffer that a [`Pool`] lends; it derefs to the [`Buffer`]. When this is dropped and the GPU is done with
/// the buffer, it can be lent again.
///
/// A texture of the buffer, or a command buffer that was encoded with it, prevents its reuse.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gpu = aruminium::Gpu::open()?;
/// # let commands = gpu.new_command_queue()?.commands()?;
/// let pool = aruminium::memory::Pool::new(&gpu, Default::default());
/// let lease = pool.take(1000)?;
/// let copier = commands.copier()?;
/// copier.fill(&lease, (0..1000).into(), 7);
/// copier.finish();
/// drop(lease);
/// assert_eq!(pool.stat().free, 0, "the command buffer can still be submitted");
/// commands.submit();
/// commands.finish()?;
/// drop(commands);
/// assert_eq!(pool.stat().free, 1024);
/// # Ok(())
/// # }
/// ```
pub struct Lease {
    entry: ManuallyDrop<Box<Entry>>,
    class: usize,
    requested: usize,
    pool: Arc<Inner>,
}

impl Lease {
    /// The number of bytes requested; the buffer has at least as many.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// let pool = aruminium::memory::Pool::new(&gpu, Default::default());
    /// assert_eq!(pool.take(1000)?.requested(), 1000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn requested(&self) -> usize {
        self.requested
    }

    /// Declares work that uses the buffer by means that are not tracked: the buffer is not lent again, and not freed,
    /// before it is done. Bindings by safe methods of encoders need no declaration.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue()?);
    /// let pool = aruminium::memory::Pool::new(&gpu, Default::default());
    /// let lease = pool.take(1000)?;
    /// // SAFETY: the lease keeps the buffer until the work is done, and nothing views it before.
    /// let future = unsafe { dispatch.batch_async(|batch| batch.bind_buffer(&lease, 0, 0)) };
    /// lease.until(&future);
    /// # Ok(())
    /// # }
    /// ```
    pub fn until(&self, work: &impl Work) {
        self.entry.declared.add(work);
    }
}

impl Deref for Lease {
    type Target = Buffer;

    #[inline]
    fn deref(&self) -> &Buffer {
        &self.entry.buffer
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // SAFETY: the entry is not used after this.
        let entry = unsafe { ManuallyDrop::take(&mut self.entry) };
        self.pool.leases.give_back(self.class, self.requested, entry);
    }
}

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests {
    use super::*;

    /// The system had a reference when the pool counted them, and dropped it later.
    #[test]
    fn a_reference_that_was_there_for_a_moment_hides_no_other() -> Result<(), GpuError> {
        let pool = Pool::new(&Gpu::open()?, PoolLimits::default());
        let mut lease = pool.take(1024)?;
        lease.entry.references += 1;
        drop(lease);
        let lease = pool.take(1024)?;
        // SAFETY: the object is alive.
        let other = unsafe { crate::objc::Object::borrowed(lease.as_raw()) }.clone();
        drop(lease);
        assert_eq!((pool.stat().free, pool.stat().pending), (0, 1024));
        drop(other);
        assert_eq!((pool.stat().free, pool.stat().pending), (1024, 0));
        Ok(())
    }
}
