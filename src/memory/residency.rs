//! A residency set that pools and buffers over blocks share.

use super::reentrant::ReentrantLock;
use crate::objc::Object;
use crate::usage::{Epoch, Watch};
use crate::{Allocation, Buffer, Commands, Gpu, GpuError, ResidencySet, ResidencySetDescriptor};
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Allocations that are kept resident together. Additions and removals take effect at the next commit;
/// one commit before a command buffer is submitted is enough for any number of changes. A clone is another handle
/// to the same set.
///
/// Every command buffer that the set is used for counts as writing all of its allocations: views of them are
/// refused until those have completed.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gpu = aruminium::Gpu::open()?;
/// # let commands = gpu.new_command_queue()?.commands()?;
/// use aruminium::memory::{Block, Residency};
/// // Systems before macOS 15 have no residency sets.
/// if let Ok(residency) = Residency::new(&gpu, "weights") {
///     let buffer = gpu.wrap(&Block::open(4096)?)?;
///     residency.add(&buffer);
///     residency.use_in(&commands); // commits
///     assert!(!residency.commit(), "nothing changed since");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Residency(Arc<Inner>);

struct Inner {
    /// Held while a message is sent to the set: the record of its members changes before the message is sent, in the same
    /// order as the set, and a set is used by one thread at a time. What a message drops may run any code, which may use the
    /// set again.
    sending: ReentrantLock,
    /// Not locked while a message is sent.
    state: Mutex<State>,
}

struct State {
    set: ResidencySet,
    changed: bool,
    /// Allocations whose removal is not committed: the commit drops none of them while it holds the lock.
    removed: Vec<Removed>,
    /// The number of commits that have ended, and of those that have begun and not ended.
    commits: u64,
    committing: u64,
    /// The number of references that a set on this system takes to an allocation when it is added, and when the
    /// addition is committed.
    taken: [usize; 2],
    /// The buffers of pools, by their objects' addresses. Pools rely on the references that the set has to them.
    of_pools: HashSet<usize>,
    /// Command buffers that use the set and were not over at the last look, with the time when they began to use it.
    users: Vec<(Watch, Epoch)>,
}

// SAFETY: the set is sent messages only by the thread that holds `sending`; the rest belongs to no thread.
unsafe impl Send for State {}

/// A reference to an allocation.
struct Removed(#[expect(dead_code, reason = "it is dropped")] Object);

impl Residency {
    /// An empty set with a name.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] if the system has no residency sets.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// if let Err(error) = aruminium::memory::Residency::new(&gpu, "weights") {
    ///     println!("{error}");
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn new(gpu: &Gpu, label: &str) -> Result<Self, GpuError> {
        let descriptor = ResidencySetDescriptor::new();
        descriptor.set_label(label);
        let set = gpu.residency_set(&descriptor)?;
        // Measured, since it is not documented.
        let probe = gpu.buffer(1)?;
        let alone = probe.references();
        set.add(&probe);
        let added = probe.references();
        set.commit();
        let taken = [added.saturating_sub(alone), probe.references().saturating_sub(added)];
        set.remove(&probe);
        set.commit();
        let state = State {
            set,
            changed: false,
            removed: Vec::new(),
            commits: 0,
            committing: 0,
            taken,
            of_pools: HashSet::new(),
            users: Vec::new(),
        };
        Ok(Self(Arc::new(Inner { sending: ReentrantLock::default(), state: Mutex::new(state) })))
    }

    /// The number of commits that have begun. When more have ended, one has begun later.
    pub(super) fn commits(&self) -> u64 {
        let state = self.lock();
        state.commits + state.committing
    }

    /// How many references the set has to an allocation that was added before this many commits had begun; fewer while
    /// that is not certain.
    pub(super) fn references(&self, commits: u64) -> usize {
        let state = self.lock();
        let [added, committed] = state.taken;
        if state.commits > commits { added + committed } else { added }
    }

    /// Whether a command buffer that began to use the set before a moment is not over.
    pub(super) fn is_used(&self, before: Epoch) -> bool {
        let is_user = |(commands, since): &(Watch, Epoch)| *since < before && !commands.is_over();
        self.lock().users.iter().any(is_user)
    }

    /// Adds a buffer of a pool.
    pub(super) fn add_of_pool(&self, buffer: &Buffer) {
        self.lock().of_pools.insert(address(buffer));
        self.add(buffer);
    }

    /// Removes a buffer that its pool releases.
    pub(super) fn remove_of_pool(&self, buffer: &Buffer) {
        self.lock().of_pools.remove(&address(buffer));
        self.change(|set| set.remove(buffer));
    }

    /// Sends a message that the next commit completes.
    fn change(&self, message: impl FnOnce(&ResidencySet)) {
        let _guard = self.0.sending.lock();
        let set = self.lock().set.clone();
        message(&set);
        self.lock().changed = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an allocation.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let residency = aruminium::memory::Residency::new(&gpu, "weights")?;
    /// residency.add(&gpu.buffer(4096)?);
    /// assert!(residency.commit());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn add(&self, allocation: &dyn Allocation) {
        self.change(|set| set.add(allocation));
    }

    /// Removes an allocation. A [`Pool`](super::Pool) removes its buffers itself, when it releases them.
    ///
    /// # Panics
    ///
    /// If it is a buffer of a pool that shares the set; see [`try_remove`](Self::try_remove).
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let residency = aruminium::memory::Residency::new(&gpu, "weights")?;
    /// let buffer = gpu.buffer(4096)?;
    /// residency.add(&buffer);
    /// residency.remove(&buffer);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[track_caller]
    pub fn remove(&self, allocation: &dyn Allocation) {
        assert!(
            self.try_remove(allocation),
            "the buffer is of a pool, which removes it from the set when it releases it"
        );
    }

    /// [`remove`](Self::remove), where it would not panic; returns whether the allocation was removed.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let residency = aruminium::memory::Residency::new(&gpu, "weights")?;
    /// # use aruminium::memory::Pool;
    /// let pool = Pool::resident(&gpu, Default::default(), &residency);
    /// let lease = pool.take(1000)?;
    /// assert!(!residency.try_remove(&*lease));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn try_remove(&self, allocation: &dyn Allocation) -> bool {
        let of_pool = self.lock().of_pools.contains(&address(allocation));
        if !of_pool {
            // SAFETY: the caller has the allocation while this borrows it.
            let object = unsafe { Object::borrowed(allocation.allocation()) }.clone();
            self.lock().removed.push(Removed(object));
            self.change(|set| set.remove(allocation));
        }
        !of_pool
    }

    /// Commits the changes; returns whether there were any.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let residency = aruminium::memory::Residency::new(&gpu, "weights")?;
    /// assert!(!residency.commit());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn commit(&self) -> bool {
        let guard = self.0.sending.lock();
        let mut state = self.lock();
        let changed = std::mem::take(&mut state.changed);
        // Values that a commit drops may run code that commits, while the changes of the outer call are not committed yet.
        if !changed && state.committing == 0 {
            return false;
        }
        state.committing += 1;
        let (set, removed) = (state.set.clone(), std::mem::take(&mut state.removed));
        drop(state);
        set.commit();
        let mut state = self.lock();
        state.committing -= 1;
        state.commits += 1;
        drop(state);
        drop(guard);
        // Deallocators run without the lock: they may wait for other threads.
        drop(removed);
        changed
    }

    /// Commits the changes, and keeps the set resident while the command buffer runs.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// # let residency = aruminium::memory::Residency::new(&gpu, "weights")?;
    /// residency.use_in(&commands);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn use_in(&self, commands: &Commands) {
        self.commit();
        let guard = self.0.sending.lock();
        let mut state = self.lock();
        let (over, mut users): (Vec<_>, Vec<_>) =
            state.users.drain(..).partition(|(commands, _)| commands.is_over());
        users.push((commands.watch(), Epoch::end()));
        state.users = users;
        let set = state.set.clone();
        drop(state);
        // It counts as a user already, so that no lease that is returned meanwhile is missed.
        commands.use_residency_set(&set);
        // These may be the last references to command buffers: they are dropped without the locks.
        drop(guard);
        drop(over);
    }
}

impl fmt::Debug for Residency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let mut residency = f.debug_struct("Residency");
        residency.field("set", &state.set).field("changed", &state.changed).finish()
    }
}

fn address(allocation: &dyn Allocation) -> usize {
    allocation.allocation().as_ptr().addr()
}

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests {
    use super::*;
    use crate::test_scale::scaled;
    use std::sync::Barrier;

    /// After several threads have changed a set, its members are those that count as used by its command buffers.
    #[test]
    fn the_record_changes_in_the_order_of_the_set() -> Result<(), GpuError> {
        let gpu = Gpu::open()?;
        let Ok(residency) = Residency::new(&gpu, "threads") else { return Ok(()) };
        let queue = gpu.new_command_queue()?;
        let buffers = (0..64).map(|_| gpu.buffer(64)).collect::<Result<Vec<_>, _>>()?;
        for round in 0..scaled(100) {
            let start = Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    buffers.iter().for_each(|buffer| residency.add(buffer));
                });
                start.wait();
                buffers.iter().for_each(|buffer| residency.remove(buffer));
            });
            let (gate, commands) = (gpu.shared_event()?, queue.commands()?);
            commands.wait_for(&gate, 1);
            residency.use_in(&commands);
            commands.submit();
            let used: Vec<_> = buffers.iter().map(Buffer::is_in_flight).collect();
            let set = residency.lock().set.clone();
            let held: Vec<_> = buffers.iter().map(|buffer| set.contains(buffer)).collect();
            gate.set_signaled_value(1);
            commands.finish()?;
            assert_eq!(used, held, "round {round}");
        }
        Ok(())
    }

    /// A deallocator may wait for a thread that uses the set.
    #[test]
    fn a_commit_drops_what_was_removed_without_the_lock() -> Result<(), GpuError> {
        let gpu = Gpu::open()?;
        let Ok(residency) = Residency::new(&gpu, "waits") else { return Ok(()) };
        let block = crate::memory::Block::open(1 << 14).expect("a block");
        let (set, other) = (residency.clone(), Arc::new(gpu.buffer(64)?));
        let (added, in_time) = std::sync::mpsc::channel();
        let release = crate::Deallocator::new(move |_, _| {
            let (set, other) = (set.clone(), Arc::clone(&other));
            let (done, ended) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                set.add(&*other);
                _ = done.send(());
            });
            // Reported, since a panic does not leave a deallocator.
            let seconds = std::time::Duration::from_secs(20);
            _ = added.send(ended.recv_timeout(seconds).is_ok());
        });
        // SAFETY: the block lives until the buffer is freed.
        let buffer =
            unsafe { gpu.buffer_wrap_with(block.address().cast(), block.size(), &release)? };
        residency.add(&buffer);
        residency.commit();
        residency.remove(&buffer);
        drop((buffer, release));
        residency.commit();
        assert_eq!(in_time.recv(), Ok(true), "the set was free while the deallocator ran");
        assert!(residency.commit(), "the deallocator's thread added one");
        Ok(())
    }
}
