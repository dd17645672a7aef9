//! Buffers that are lent, returned and reused.

use super::residency::Residency;
use super::shelf::Shelf;
use super::work::{Declared, Work, keep_forever};
use crate::usage::Epoch;
use crate::{Buffer, Gpu, GpuError};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    state: Mutex<State>,
}

struct State {
    shelf: Shelf<Entry>,
    /// Bytes in all buffers, lent or not.
    total: usize,
    /// Its `free` and `pending` are computed when the statistics are requested.
    stat: PoolStat,
}

/// A buffer of the pool.
struct Entry {
    buffer: Buffer,
    /// The number of references to the buffer when only the pool had it, and the number of commits of the
    /// residency set at that time.
    references: usize,
    commits: u64,
    /// Work that was declared for the last lease of the buffer.
    declared: Declared,
    /// When it came back. Command buffers that begin to use the pool's residency set later do not use it.
    returned: Epoch,
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
    /// The most bytes in buffers that are not lent. Buffers returned beyond it are released.
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
        let state = State { shelf: Shelf::new(CLASSES), total: 0, stat: PoolStat::default() };
        Self(Arc::new(Inner { gpu: gpu.clone(), limits, residency, state: Mutex::new(state) }))
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
        self.lend(bytes).map(|(lease, _)| lease)
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
        let (lease, new) = self.lend(bytes)?;
        if !new {
            lease.write_completed(|bytes| bytes.fill(0))?;
        }
        Ok(lease)
    }

    /// A lease, and whether its buffer is new.
    fn lend(&self, bytes: usize) -> Result<(Lease, bool), GpuError> {
        let (class, size) =
            Some(bytes).filter(|&bytes| bytes > 0).and_then(class).ok_or_else(|| {
                let range = format!("a lease has 1 to {} bytes", 7usize << (usize::BITS - 3));
                GpuError::BufferCreationFailed(format!("{bytes} bytes were requested; {range}"))
            })?;
        // Dropped after the lock is released.
        let mut released = Vec::new();
        let mut state = self.0.lock();
        let found = state.shelf.take(class, |entry| self.0.is_idle(entry));
        let new = found.is_none();
        let mut entry = match found {
            Some(entry) => entry,
            None => self.0.make(&mut state, size, &mut released)?,
        };
        state.stat.takes += 1;
        state.stat.made += u64::from(new);
        state.stat.lent += size;
        state.stat.requested += bytes;
        drop(state);
        entry.declared.clear();
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
        let mut released = Vec::new();
        let mut state = self.0.lock();
        state.shelf.settle(|entry| self.0.is_idle(entry));
        self.0.trim(&mut state, keep, &mut released);
        drop(state);
        drop(released);
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
        let mut state = self.0.lock();
        state.shelf.settle(|entry| self.0.is_idle(entry));
        let size = |entry: &Entry| entry.buffer.size();
        let (free, pending) =
            (state.shelf.free().map(size).sum(), state.shelf.pending().map(size).sum());
        PoolStat { free, pending, ..state.stat }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic leaves the state inconsistent, so poisoning is ignored.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether only the pool has the buffer, and no command buffer of its last lease can still use it.
    fn is_idle(&self, entry: &mut Entry) -> bool {
        let set = self.residency.as_ref();
        let of_set = set.map_or(0, |set| set.references(entry.commits));
        entry.buffer.references() <= entry.references + of_set
            && entry.declared.is_done()
            && !set.is_some_and(|set| set.is_used(entry.returned))
            // In this order, because another thread may submit encoded work between the two.
            && !entry.buffer.is_encoded()
            && !entry.buffer.is_in_flight_except_sets(entry.returned)
    }

    fn make(
        &self,
        state: &mut State,
        size: usize,
        released: &mut Vec<Entry>,
    ) -> Result<Entry, GpuError> {
        let over = |state: &State| state.total.saturating_add(size) > self.limits.total;
        if over(state) {
            state.shelf.settle(|entry| self.is_idle(entry));
            self.trim_while(state, released, over);
        }
        if over(state) {
            return Err(GpuError::BufferCreationFailed(format!(
                "{size} bytes beside the {} that are in use are past the pool's limit of {}",
                state.total, self.limits.total
            )));
        }
        let buffer = self.gpu.buffer(size)?;
        let references = buffer.references();
        let mut commits = 0;
        if let Some(residency) = &self.residency {
            // In this order a commit of another thread in between makes the buffer look used, not idle.
            residency.add_of_pool(&buffer);
            commits = residency.commits();
        }
        state.total += size;
        let (declared, returned) = (Declared::default(), Epoch::now());
        Ok(Entry { buffer, references, commits, declared, returned })
    }

    fn trim(&self, state: &mut State, keep: usize, released: &mut Vec<Entry>) {
        self.trim_while(state, released, |state| state.total - state.stat.lent > keep);
    }

    /// Moves free buffers to `released`, which the caller drops after it has released the lock: the last reference to a
    /// command buffer that was declared may run any code.
    fn trim_while(
        &self,
        state: &mut State,
        released: &mut Vec<Entry>,
        more: impl Fn(&State) -> bool,
    ) {
        while more(state)
            && let Some(entry) = state.shelf.remove_largest()
        {
            state.total -= entry.buffer.size();
            if let Some(residency) = &self.residency {
                residency.remove_of_pool(&entry.buffer);
            }
            released.push(entry);
        }
    }

    fn take_back(&self, class: usize, requested: usize, mut entry: Entry) {
        entry.returned = Epoch::now();
        let idle = self.is_idle(&mut entry);
        let mut released = Vec::new();
        let mut state = self.lock();
        state.stat.lent -= entry.buffer.size();
        state.stat.requested -= requested;
        state.shelf.put(class, entry, idle);
        if state.total - state.stat.lent > self.limits.free {
            state.shelf.settle(|entry| self.is_idle(entry));
            self.trim(&mut state, self.limits.free, &mut released);
        }
        drop(state);
        drop(released);
    }
}

impl Drop for Inner {
    /// Declared work does not retain its buffers, so wait for it.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for entry in state.shelf.pending_mut() {
            if !entry.declared.wait() {
                keep_forever(&entry.buffer);
            }
            entry.buffer.wait_until_unused();
        }
        if let Some(residency) = &self.residency {
            state
                .shelf
                .free()
                .chain(state.shelf.pending())
                .for_each(|entry| residency.remove_of_pool(&entry.buffer));
        }
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
    entry: ManuallyDrop<Entry>,
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
        self.pool.take_back(self.class, self.requested, entry);
    }
}
