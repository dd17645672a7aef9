//! Tracking of the GPU's use of memory that the program owns, for layers that wrap it in buffers.

use super::buffer::Buffer;
use super::command::Commands;
use super::enums::PurgeableState;
use super::error::GpuError;
use super::footprint;
use crate::objc::tracking::{Footprint, Users, ViewGuard, Watched, next_number, take_number};
use std::ops::Range;
use std::sync::Arc;

/// The record of the uses of a range of memory: views from the CPU, and command buffers in flight. It is the
/// same record that [`Buffer::read`] and [`Buffer::write`] consult, for every buffer that wraps the memory.
///
/// It does not own the memory, and identifies it by its addresses only.
///
/// ```
/// # let gpu = aruminium::Gpu::open()?;
/// use aruminium::usage::Usage;
/// let buffer = gpu.buffer(64)?;
/// let usage = Usage::of(buffer.contents().cast(), 64);
/// let view = usage.view(0..16, true)?;
/// assert!(buffer.try_read(|_| ()).is_err(), "a part of it is being written");
/// drop(view);
/// assert!(buffer.try_read(|_| ()).is_ok() && !usage.is_in_flight());
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Debug)]
pub struct Usage {
    footprint: Footprint,
    start: usize,
    bytes: usize,
}

/// A view of memory from the CPU that is open until this is dropped; see [`Usage::view`].
///
/// ```
/// # let buffer = aruminium::Gpu::open()?.buffer(64)?;
/// use aruminium::usage::{OpenView, Usage};
/// let usage = Usage::of(buffer.contents().cast(), 64);
/// let view: OpenView<'_> = usage.view(0..64, false)?;
/// # drop(view);
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Debug)]
#[must_use = "the view is open until this is dropped"]
pub struct OpenView<'a> {
    _guard: ViewGuard<'a>,
}

/// A point in the order of submissions. A layer that lends memory records one when the memory is returned; it need not
/// wait for later submissions.
///
/// ```
/// # let gpu = aruminium::Gpu::open()?;
/// # let commands = gpu.new_command_queue()?.commands()?;
/// use aruminium::usage::Epoch;
/// let (buffer, gate) = (gpu.buffer(64)?, gpu.shared_event()?);
/// let before = Epoch::now();
/// commands.wait_for(&gate, 1);
/// let copier = commands.copier()?;
/// copier.fill(&buffer, (0..64).into(), 1);
/// copier.finish();
/// commands.submit();
/// let usage = buffer.usage().expect("it is shared");
/// assert!(!usage.is_in_flight_before(before) && usage.is_in_flight_before(Epoch::now()));
/// gate.set_signaled_value(1);
/// commands.finish()?;
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

impl Epoch {
    /// After every command buffer that was submitted, before every one that will be.
    ///
    /// ```
    /// use aruminium::usage::Epoch;
    /// assert!(Epoch::now() <= Epoch::now());
    /// ```
    #[inline]
    pub fn now() -> Self {
        Self(next_number())
    }

    /// Ends this epoch and returns it: those that [`now`](Self::now) returns later are later ones.
    ///
    /// ```
    /// use aruminium::usage::Epoch;
    /// assert!(Epoch::end() < Epoch::now());
    /// ```
    pub fn end() -> Self {
        Self(take_number())
    }
}

/// A command buffer that a layer watches, without keeping the program from dropping it; see [`Commands::watch`].
///
/// ```
/// # let queue = aruminium::Gpu::open()?.new_command_queue()?;
/// let (one, other) = (queue.commands()?, queue.commands()?);
/// let (first, second): (aruminium::usage::Watch, _) = (one.watch(), other.watch());
/// assert!(!first.is_over() && !first.wait(), "it is not submitted");
/// one.submit();
/// assert!(first.wait() && first.is_over());
/// drop(other);
/// assert!(second.wait() && second.is_over(), "it cannot be submitted any more");
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Debug)]
pub struct Watch(Arc<Watched>);

impl Commands {
    /// Watches the command buffer: until it has completed, or was dropped without having been submitted.
    ///
    /// ```
    /// # let queue = aruminium::Gpu::open()?.new_command_queue()?;
    /// let commands = queue.commands()?;
    /// let watch = commands.watch();
    /// drop(commands);
    /// assert!(watch.is_over());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn watch(&self) -> Watch {
        Watch(self.watched())
    }
}

impl Watch {
    /// Whether the program can still submit it.
    ///
    /// ```
    /// # let queue = aruminium::Gpu::open()?.new_command_queue()?;
    /// let commands = queue.commands()?;
    /// let watch = commands.watch();
    /// assert!(watch.is_unsubmitted());
    /// commands.submit();
    /// assert!(!watch.is_unsubmitted());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_unsubmitted(&self) -> bool {
        self.0.is_unsubmitted()
    }

    /// Whether it has completed or failed, or was dropped without having been submitted.
    ///
    /// ```
    /// # let queue = aruminium::Gpu::open()?.new_command_queue()?;
    /// let commands = queue.commands()?;
    /// let watch = commands.watch();
    /// commands.submit();
    /// commands.finish()?;
    /// assert!(watch.is_over());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    /// Waits until it is over; returns `false` at once if the program can still submit it.
    ///
    /// ```
    /// # let queue = aruminium::Gpu::open()?.new_command_queue()?;
    /// let commands = queue.commands()?;
    /// let watch = commands.watch();
    /// assert!(!watch.wait());
    /// commands.submit();
    /// assert!(watch.wait());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn wait(&self) -> bool {
        self.0.wait()
    }
}

impl Usage {
    /// The record of the memory at an address.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(64)?;
    /// let usage = aruminium::usage::Usage::of(buffer.contents().cast(), 64);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn of(start: *const u8, bytes: usize) -> Self {
        let start = start.addr();
        let footprint = Footprint::of(start..start.saturating_add(bytes.max(1)));
        Self { footprint, start, bytes }
    }

    /// Opens a view of a range of bytes, counted from the start of the memory. While it is open, no view of
    /// the same bytes opens that conflicts with it, and no command buffer is submitted that does.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferAccess`] if another view or a command buffer in flight conflicts with it, or if the
    /// range ends past the memory or before its own start.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(64)?;
    /// let usage = aruminium::usage::Usage::of(buffer.contents().cast(), 64);
    /// let (one, other) = (usage.view(0..32, true)?, usage.view(32..64, true)?);
    /// assert!(usage.view(31..33, false).is_err() && usage.view(64..65, false).is_err());
    /// # drop((one, other));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub fn view(&self, range: Range<usize>, writes: bool) -> Result<OpenView<'_>, GpuError> {
        self.open(range, writes, false)
    }

    /// Open a view after the command buffers that conflict with it have completed.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferAccess`] if another view conflicts with it, or if the range ends past the memory
    /// or before its own start.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(64)?;
    /// let usage = aruminium::usage::Usage::of(buffer.contents().cast(), 64);
    /// let view = usage.view_completed(0..64, true)?;
    /// # drop(view);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn view_completed(
        &self,
        range: Range<usize>,
        writes: bool,
    ) -> Result<OpenView<'_>, GpuError> {
        self.open(range, writes, true)
    }

    #[inline]
    fn open(
        &self,
        range: Range<usize>,
        writes: bool,
        waits: bool,
    ) -> Result<OpenView<'_>, GpuError> {
        if range.start > range.end {
            let Range { start, end } = range;
            return Err(GpuError::BufferAccess(format!(
                "the range of the view starts at byte {start}, after its end at byte {end}"
            )));
        }
        if range.end > self.bytes {
            let (end, bytes) = (range.end, self.bytes);
            return Err(GpuError::BufferAccess(format!(
                "it has {bytes} bytes, and byte {end} is past them"
            )));
        }
        footprint::view(
            &self.footprint,
            self.start + range.start..self.start + range.end,
            writes,
            waits,
        )
        .map(|guard| OpenView { _guard: guard })
        .map_err(|busy| GpuError::BufferAccess(busy.to_string()))
    }

    /// Whether a command buffer that uses the memory was submitted and has not completed.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(64)?;
    /// assert!(!aruminium::usage::Usage::of(buffer.contents().cast(), 64).is_in_flight());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_in_flight(&self) -> bool {
        self.footprint.is_in_flight()
    }

    /// Whether a command buffer that uses the memory was submitted before an epoch and has not completed.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(64)?;
    /// use aruminium::usage::{Epoch, Usage};
    /// let usage = Usage::of(buffer.contents().cast(), 64);
    /// assert!(!usage.is_in_flight_before(Epoch::now()));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_in_flight_before(&self, Epoch(number): Epoch) -> bool {
        self.footprint.is_used_by(Users::Before(number))
    }

    /// Whether a command buffer, not submitted yet, was encoded with the memory.
    ///
    /// It may return `true` without such a command buffer while another thread creates or drops a wrapper of a
    /// buffer over the memory.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let buffer = gpu.buffer(64)?;
    /// let usage = aruminium::usage::Usage::of(buffer.contents().cast(), 64);
    /// let copier = commands.copier()?;
    /// copier.fill(&buffer, (0..64).into(), 1);
    /// copier.finish();
    /// assert!(usage.is_encoded() && !usage.is_in_flight());
    /// commands.submit();
    /// usage.wait();
    /// assert!(!usage.is_encoded() && !usage.is_in_flight());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_encoded(&self) -> bool {
        self.footprint.is_encoded()
    }

    /// Whether an unsubmitted command buffer may use the memory only through a residency set that it, or its queue, has
    /// used since before `epoch`.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// use aruminium::usage::Epoch;
    /// let buffer = gpu.buffer(64)?;
    /// let usage = buffer.usage().expect("it is shared");
    /// // Systems before macOS 15 have no residency sets.
    /// if let Ok(set) = gpu.residency_set(&aruminium::ResidencySetDescriptor::new()) {
    ///     set.add(&buffer);
    ///     set.commit();
    ///     commands.use_residency_set(&set);
    ///     assert!(usage.is_in_encoded_set(Epoch::now()) && !usage.is_encoded());
    ///     commands.submit();
    ///     assert!(!usage.is_in_encoded_set(Epoch::now()));
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_in_encoded_set(&self, Epoch(number): Epoch) -> bool {
        self.footprint.is_in_encoded_set(number)
    }

    /// From now on the record lists command buffers while they are encoded with the memory, so that
    /// [`is_used_before`](Self::is_used_before) distinguishes them. The first use of the memory in each then takes a lock.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(64)?;
    /// aruminium::usage::Usage::of(buffer.contents().cast(), 64).list_encoded();
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn list_encoded(&self) {
        self.footprint.list_encoded();
    }

    /// Whether a command buffer that began to use the memory (or a residency set with it) before `epoch` may still use it,
    /// because it is unsubmitted or has not completed. A command buffer that was encoded before
    /// [`list_encoded`](Self::list_encoded) was called always counts, since its start is unknown.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let queue = gpu.new_command_queue()?;
    /// use aruminium::usage::Epoch;
    /// let buffer = gpu.buffer(64)?;
    /// let usage = buffer.usage().expect("it is shared");
    /// usage.list_encoded();
    /// let fill = || {
    ///     let commands = queue.commands()?;
    ///     let copier = commands.copier()?;
    ///     copier.fill(&buffer, (0..64).into(), 1);
    ///     copier.finish();
    ///     Ok::<_, aruminium::GpuError>(commands)
    /// };
    /// let first = fill()?;
    /// Epoch::end();
    /// let between = Epoch::now();
    /// let _second = fill()?;
    /// assert!(usage.is_used_before(between));
    /// first.submit();
    /// first.finish()?;
    /// assert!(usage.is_encoded() && !usage.is_used_before(between));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_used_before(&self, Epoch(number): Epoch) -> bool {
        self.footprint.is_used_before(number)
    }

    /// Waits until no command buffer that was submitted uses the memory.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(64)?;
    /// aruminium::usage::Usage::of(buffer.contents().cast(), 64).wait();
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn wait(&self) {
        self.footprint.wait(Users::All);
    }

    /// Waits until no command buffer that was submitted uses the memory: not for those that only use a residency set that
    /// has it, and began after an epoch.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(64)?;
    /// use aruminium::usage::{Epoch, Usage};
    /// Usage::of(buffer.contents().cast(), 64).wait_except_sets(Epoch::now());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn wait_except_sets(&self, Epoch(number): Epoch) {
        self.footprint.wait(Users::BoundOrBefore(number));
    }
}

impl Buffer {
    /// The record of the buffer's memory, which all buffers over the same memory share; `None` for private
    /// memory, which is not tracked.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let buffer = gpu.buffer(64)?;
    /// let usage = buffer.usage().expect("it is shared");
    /// let view = usage.view(0..16, true)?;
    /// assert!(buffer.try_read(|_| ()).is_err(), "a part of it is being written");
    /// # drop(view);
    /// assert!(gpu.buffer_private(64)?.usage().is_none());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn usage(&self) -> Option<Usage> {
        let footprint = self.footprint()?.clone();
        Some(Usage { footprint, start: self.contents().addr(), bytes: self.size() })
    }

    /// Whether a command buffer that uses the buffer's memory was submitted and has not completed. Private
    /// memory is not tracked: always `false`.
    ///
    /// ```
    /// assert!(!aruminium::Gpu::open()?.buffer(64)?.is_in_flight());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_in_flight(&self) -> bool {
        self.footprint().is_some_and(Footprint::is_in_flight)
    }

    /// The same, except for command buffers that only use a residency set that has the buffer, and began after an epoch.
    /// Private memory is not tracked: always `false`.
    ///
    /// ```
    /// use aruminium::usage::Epoch;
    /// assert!(!aruminium::Gpu::open()?.buffer(64)?.is_in_flight_except_sets(Epoch::now()));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_in_flight_except_sets(&self, Epoch(number): Epoch) -> bool {
        let users = Users::BoundOrBefore(number);
        self.footprint().is_some_and(|footprint| footprint.is_used_by(users))
    }

    /// Whether a command buffer, not submitted yet, was encoded with the buffer's memory; see
    /// [`Usage::is_encoded`]. Private memory is not tracked: always `false`.
    ///
    /// ```
    /// assert!(!aruminium::Gpu::open()?.buffer(64)?.is_encoded());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_encoded(&self) -> bool {
        self.footprint().is_some_and(Footprint::is_encoded)
    }

    /// Waits until no command buffer that was submitted uses the buffer's memory. Private memory is not
    /// tracked.
    ///
    /// ```
    /// aruminium::Gpu::open()?.buffer(64)?.wait_until_unused();
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn wait_until_unused(&self) {
        if let Some(footprint) = self.footprint() {
            footprint.wait(Users::All);
        }
    }

    /// The number of references to the buffer: this one, other wrappers, textures of it, and the residency
    /// sets that it is in. The system may have more of its own, for instance for command buffers that use it.
    ///
    /// While only one reference is left, no other code can get another one: from this a layer that lends buffers
    /// can conclude that the program no longer uses a buffer.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let buffer = gpu.buffer(64)?;
    /// let alone = buffer.references();
    /// let set = gpu.residency_set(&aruminium::ResidencySetDescriptor::new())?;
    /// set.add(&buffer);
    /// assert!(buffer.references() > alone);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn references(&self) -> usize {
        // SAFETY: every object responds to this message.
        unsafe { crate::msg!(self, [retainCount] -> usize) }
    }

    /// Makes the contents permanent again, if a message by any wrapper of the buffer, or of a texture of it, may have allowed
    /// Metal to discard them since the last call. Otherwise it costs a load: a layer that lends buffers calls it before each loan.
    ///
    /// ```
    /// use aruminium::PurgeableState;
    /// let buffer = aruminium::Gpu::open()?.buffer(64)?;
    /// buffer.set_purgeable_state(PurgeableState::Volatile);
    /// buffer.make_non_volatile();
    /// assert_eq!(buffer.set_purgeable_state(PurgeableState::KeepCurrent), PurgeableState::NonVolatile);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn make_non_volatile(&self) {
        // Whether a message was sent is recorded by the memory, which private memory is not.
        if self.footprint().is_none_or(Footprint::take_purgeable) {
            let state = PurgeableState::NonVolatile;
            // SAFETY: resources respond to this message, which the hook of its method must not record.
            unsafe { crate::msg!(self, [setPurgeableState: state] -> PurgeableState) };
        }
    }
}
