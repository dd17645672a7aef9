//! Queues and their command buffers.

use super::encoder::{Copier, Encoder};
use super::enums::DispatchType;
use super::error::{GpuError, KernelFault};
use super::foundation::NSError;
use super::future::Done;
use super::heap::ResidencySet;
use super::sync::EventObject;
use crate::abi::Id;
use crate::metal_class;
use crate::objc::tracking::{
    ArgumentSink, MessageUse, Tracker, Watched, change_queue, changed_queue, release_queue,
};
use crate::objc::{Block, ClassState, Object, autorelease_pool};
use std::cell::OnceCell;
use std::sync::Arc;

metal_class! {
    /// A queue of work for the GPU: its command buffers run in the order in which they are submitted.
    ///
    /// There are five ways to create a command buffer, from the safest to the cheapest:
    /// [`commands`](Self::commands), [`commands_unretained`](Self::commands_unretained),
    /// [`commands_fast`](Self::commands_fast), [`commands_unchecked`](Self::commands_unchecked),
    /// [`commands_autoreleased`](Self::commands_autoreleased).
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::autorelease_pool;
    /// let queue = gpu.new_command_queue()?;
    /// queue.set_label("decoder");
    /// assert_eq!(queue.label().as_deref(), Some("decoder"));
    /// let commands = queue.commands()?;
    /// commands.submit();
    /// commands.finish()?;
    /// // SAFETY: nothing is encoded that has to outlive the work, and the pool is drained after the waits.
    /// autorelease_pool(|| unsafe {
    ///     for commands in [
    ///         queue.commands_unretained()?,
    ///         queue.commands_fast()?,
    ///         queue.commands_unchecked(),
    ///         queue.commands_autoreleased(),
    ///     ] {
    ///         commands.submit();
    ///         commands.finish()?;
    ///     }
    ///     Ok::<(), aruminium::GpuError>(())
    /// })?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// Memory that is resident for everything that the queue runs:
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let queue = gpu.new_command_queue()?;
    /// use aruminium::ResidencySetDescriptor;
    /// // Systems before macOS 15 have no residency sets.
    /// if let Ok(weights) = gpu.residency_set(&ResidencySetDescriptor::new()) {
    ///     queue.add_residency_set(&weights);
    ///     queue.remove_residency_set(&weights);
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Queue: MTLCommandQueue, labelled, table, state Resident;

    /// A command buffer that retains the resources that it uses.
    ///
    /// # Errors
    ///
    /// [`GpuError::CommandBufferError`] if Metal returns no command buffer.
    pub fn commands() -> Result<Commands, GpuError>
        = [commandBuffer] or GpuError::CommandBufferError;
    /// A command buffer that belongs to the autorelease pool; it retains the resources that it uses.
    ///
    /// # Errors
    ///
    /// [`GpuError::CommandBufferError`] if Metal returns no command buffer.
    ///
    /// # Safety
    ///
    /// It is not used after the pool around this call is drained.
    pub unsafe fn commands_unretained() -> Result<Commands, GpuError>
        = autoreleased [commandBuffer] or GpuError::CommandBufferError;
    /// A command buffer that does not retain the resources that it uses.
    ///
    /// # Errors
    ///
    /// [`GpuError::CommandBufferError`] if Metal returns no command buffer.
    ///
    /// # Safety
    ///
    /// All resources that are encoded live until the command buffer has completed.
    pub unsafe fn commands_fast() -> Result<Commands, GpuError>
        = [commandBufferWithUnretainedReferences] or GpuError::CommandBufferError;
    /// As `commands_fast`, but the result is not checked for nil.
    ///
    /// # Safety
    ///
    /// As for `commands_fast`.
    pub unsafe fn commands_unchecked() -> Commands = unchecked [commandBufferWithUnretainedReferences];
    /// As `commands_unchecked`, but the command buffer belongs to the autorelease pool.
    ///
    /// # Safety
    ///
    /// As for `commands_fast`, and it is not used after the pool around this call is drained.
    pub unsafe fn commands_autoreleased() -> Commands = unchecked autoreleased [commandBufferWithUnretainedReferences];
    /// Keep a set of allocations resident for all command buffers of the queue.
    pub fn add_residency_set(set: &ResidencySet) = [addResidencySet:];
    /// Stop keeping a set of allocations resident for the queue.
    pub fn remove_residency_set(set: &ResidencySet) = [removeResidencySet:];
}

impl Clone for Queue {
    /// Retains the queue.
    fn clone(&self) -> Self {
        Self { state: Resident, object: self.object.clone() }
    }
}

/// Records the memory of the queue's residency sets, for all wrappers of the queue.
#[derive(Debug)]
struct Resident;

impl ClassState for Resident {
    fn attach(_: &Object) -> Self {
        Self
    }

    #[inline(always)]
    fn sending(
        &self,
        queue: &Object,
        message_use: MessageUse,
        arguments: impl FnOnce(&mut ArgumentSink<'_>),
    ) {
        change_queue(queue, message_use, arguments);
    }

    #[inline(always)]
    fn sent(&self, queue: &Object, message_use: MessageUse) {
        changed_queue(queue, message_use);
    }

    #[inline]
    fn detach(&mut self, queue: &Object) {
        release_queue(queue);
    }
}

// SAFETY: Apple documents command queues as safe to use from any thread.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

metal_class! {
    /// Work for the GPU, submitted as a whole.
    ///
    /// ```
    /// # let queue = aruminium::Gpu::open()?.new_command_queue()?;
    /// use aruminium::Commands;
    /// let commands = queue.commands()?;
    /// commands.set_label("step 1");
    /// commands.on_scheduled(|commands| assert!(commands.status() >= Commands::STATUS_SCHEDULED));
    /// commands.on_completed(|commands| println!("{:.1} µs on the GPU", commands.gpu_time() * 1e6));
    /// assert_eq!(commands.status(), Commands::STATUS_NOT_ENQUEUED);
    /// commands.enqueue();
    /// assert_eq!(commands.status(), Commands::STATUS_ENQUEUED);
    /// commands.push_debug_group("layer 0");
    /// commands.encoder()?.finish();
    /// commands.copier()?.finish();
    /// commands.pop_debug_group();
    /// commands.submit();
    /// assert!(commands.status() >= Commands::STATUS_COMMITTED);
    /// commands.wait_until_scheduled();
    /// commands.wait();
    /// assert_eq!((commands.status(), commands.error()), (Commands::STATUS_COMPLETED, None));
    /// assert!(commands.gpu_end_time() >= commands.gpu_start_time());
    /// assert!(commands.kernel_end_time() >= commands.kernel_start_time());
    /// assert_eq!(commands.label().as_deref(), Some("step 1"));
    /// assert!(commands.retains_references());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// The other ways to create an encoder:
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// use aruminium::{DispatchType, ResidencySetDescriptor, autorelease_pool};
    /// commands.encoder_with(DispatchType::Concurrent)?.finish();
    /// // SAFETY: the encoders are not used after the pool is drained, and a command buffer without an open
    /// // encoder can create one.
    /// autorelease_pool(|| unsafe {
    ///     commands.encoder_unretained()?.finish();
    ///     commands.encoder_unchecked().finish();
    ///     commands.encoder_autoreleased().finish();
    ///     Ok::<(), aruminium::GpuError>(())
    /// })?;
    /// if let Ok(weights) = gpu.residency_set(&ResidencySetDescriptor::new()) {
    ///     commands.use_residency_set(&weights);
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Commands: MTLCommandBuffer, labelled, table, state Submission;

    /// An encoder for compute work.
    ///
    /// # Errors
    ///
    /// [`GpuError::EncoderCreationFailed`] with the reason.
    pub fn encoder() -> Result<Encoder, GpuError> = [computeCommandEncoder] because no_encoder;
    /// An encoder for compute work that belongs to the autorelease pool.
    ///
    /// # Errors
    ///
    /// [`GpuError::EncoderCreationFailed`] with the reason.
    ///
    /// # Safety
    ///
    /// It is not used after the pool around this call is drained.
    pub unsafe fn encoder_unretained() -> Result<Encoder, GpuError>
        = autoreleased [computeCommandEncoder] because no_encoder;
    /// An encoder for compute work, which is not checked for nil.
    ///
    /// # Safety
    ///
    /// The command buffer can create an encoder. If creating it failed the encoder is nil, and messages to nil do
    /// nothing: the work is lost without an error.
    pub unsafe fn encoder_unchecked() -> Encoder = unchecked [computeCommandEncoder];
    /// As `encoder_unchecked`, but the encoder belongs to the autorelease pool.
    ///
    /// # Safety
    ///
    /// As for `encoder_unchecked`, and it is not used after the pool around this call is drained.
    pub unsafe fn encoder_autoreleased() -> Encoder = unchecked autoreleased [computeCommandEncoder];
    /// An encoder whose launches run one after the other, or concurrently between barriers.
    ///
    /// # Errors
    ///
    /// [`GpuError::EncoderCreationFailed`] with the reason.
    pub fn encoder_with(dispatch: DispatchType) -> Result<Encoder, GpuError>
        = [computeCommandEncoderWithDispatchType:] because no_encoder;
    /// An encoder for copies.
    ///
    /// # Errors
    ///
    /// [`GpuError::EncoderCreationFailed`] with the reason.
    pub fn copier() -> Result<Copier, GpuError> = [blitCommandEncoder] because no_encoder;
    /// Reserve a position in the queue before the work is submitted.
    pub fn enqueue() = [enqueue];
    /// Submit the work.
    ///
    /// # Panics
    ///
    /// If the CPU is reading or writing memory that the work uses, in a closure passed to
    /// [`Buffer::write`](crate::Buffer::write) or the like; see
    /// [`try_submit`](crate::Commands::try_submit).
    pub fn submit() = [commit];
    /// Wait until the work is done, or has failed. It must have been submitted; [`finish`](crate::Commands::finish)
    /// checks that.
    pub fn wait() = [waitUntilCompleted];
    /// Wait until the work is scheduled on the GPU.
    pub fn wait_until_scheduled() = [waitUntilScheduled];
    /// The state of the work, as one of the `STATUS_` constants.
    pub fn status() -> u64 = [status];
    /// When the GPU started the work, in seconds since the system started.
    pub fn gpu_start_time() -> f64 = [GPUStartTime];
    /// When the GPU finished the work, in seconds since the system started.
    pub fn gpu_end_time() -> f64 = [GPUEndTime];
    /// When the CPU started to schedule the work.
    pub fn kernel_start_time() -> f64 = [kernelStartTime];
    /// When the CPU finished scheduling the work.
    pub fn kernel_end_time() -> f64 = [kernelEndTime];
    /// Whether the command buffer retains the resources that it uses.
    pub fn retains_references() -> bool = [retainedReferences];
    /// Begin a group of commands, for tools.
    pub fn push_debug_group(name: &str) = [pushDebugGroup:];
    /// End the group that began last.
    pub fn pop_debug_group() = [popDebugGroup];
    /// Keep a set of allocations resident while the work runs.
    pub fn use_residency_set(set: &ResidencySet) = [useResidencySet:];
}

/// The error of a command buffer that returned no encoder.
///
/// # Safety
///
/// `commands` is nil or a live command buffer.
#[cold]
unsafe fn no_encoder(commands: Id) -> GpuError {
    // SAFETY: passed on to the caller.
    let status = unsafe { crate::msg!(commands, [status] -> u64) };
    let why = if commands.is_nil() {
        "the command buffer is nil: creating it failed"
    } else if status >= Commands::STATUS_COMMITTED {
        "the command buffer was submitted already: get another one from the queue"
    } else {
        "another encoder of the command buffer has not ended: call `finish` on it first"
    };
    GpuError::EncoderCreationFailed(why.into())
}

metal_class! {
    /// The messages that the methods below send; none of them is for a hot loop.
    pub(super) trait Parts for Commands;

    fn error_object() -> Option<NSError> = [error];
    fn add_completed(handler: &Block<(Id,)>) = [addCompletedHandler:];
    fn add_scheduled(handler: &Block<(Id,)>) = [addScheduledHandler:];
    unsafe fn signal_event(event: Id, value: u64) = [encodeSignalEvent:value:];
    unsafe fn wait_event(event: Id, value: u64) = [encodeWaitForEvent:value:];
}

// SAFETY: a command buffer may be encoded on one thread and submitted on another, one at a time.
unsafe impl Send for Commands {}

impl Clone for Commands {
    /// Retains the command buffer: both values are the same one.
    fn clone(&self) -> Self {
        let tracker = OnceCell::from(self.state.tracker().share());
        Self { state: Submission(tracker), object: self.object.clone() }
    }
}

/// Records the memory that the command buffer uses; created with the first encoder.
#[derive(Debug)]
struct Submission(OnceCell<Arc<Tracker>>);

impl Submission {
    fn tracker(&self) -> &Arc<Tracker> {
        self.0.get_or_init(Tracker::new)
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        if let Some(tracker) = self.0.take() {
            Tracker::leave(tracker);
        }
    }
}

impl ClassState for Submission {
    #[inline(always)]
    fn attach(_: &Object) -> Self {
        Self(OnceCell::new())
    }

    #[inline(always)]
    fn tracker(&self) -> Option<&Arc<Tracker>> {
        Some(self.tracker())
    }

    #[inline(always)]
    #[track_caller]
    fn sending(
        &self,
        object: &Object,
        message_use: MessageUse,
        arguments: impl FnOnce(&mut ArgumentSink<'_>),
    ) {
        match message_use {
            MessageUse::Commit => {
                if let Err(error) = self.submit(object) {
                    panic!("{error}");
                }
            }
            MessageUse::MakeResident => self.tracker().use_allocations(arguments),
            MessageUse::BeginEncoder => self.tracker().encode(object),
            _ => {}
        }
    }
}

impl Submission {
    /// Called before the command buffer is committed.
    #[inline]
    fn submit(&self, commands: &Object) -> Result<(), GpuError> {
        match self.0.get() {
            Some(tracker) if !commands.as_raw().is_nil() => {
                tracker.submit(commands).map_err(|busy| {
                    GpuError::BufferAccess(format!(
                        "a command buffer that uses it cannot be submitted: {busy}"
                    ))
                })
            }
            _ => Ok(()),
        }
    }
}

impl Commands {
    /// Not enqueued yet.
    ///
    /// ```
    /// use aruminium::Commands;
    /// let name = |status| match status {
    ///     Commands::STATUS_NOT_ENQUEUED => "not enqueued",
    ///     Commands::STATUS_ENQUEUED => "enqueued",
    ///     Commands::STATUS_COMMITTED => "committed",
    ///     Commands::STATUS_SCHEDULED => "scheduled",
    ///     Commands::STATUS_COMPLETED => "completed",
    ///     Commands::STATUS_ERROR => "error",
    ///     _ => "another",
    /// };
    /// assert_eq!(name(4), "completed");
    /// ```
    pub const STATUS_NOT_ENQUEUED: u64 = 0;
    /// Enqueued, not submitted.
    pub const STATUS_ENQUEUED: u64 = 1;
    /// Submitted.
    pub const STATUS_COMMITTED: u64 = 2;
    /// Scheduled on the GPU.
    pub const STATUS_SCHEDULED: u64 = 3;
    /// Completed.
    pub const STATUS_COMPLETED: u64 = 4;
    /// Failed.
    pub const STATUS_ERROR: u64 = 5;

    /// The error's message, if the work failed.
    ///
    /// ```
    /// # let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// commands.submit();
    /// commands.wait();
    /// assert_eq!(commands.error(), None);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn error(&self) -> Option<String> {
        Some(self.error_object()?.description())
    }

    /// The error with its domain and code, if the work failed.
    ///
    /// ```
    /// # let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// commands.submit();
    /// commands.wait();
    /// if let Some(error) = commands.error_details() {
    ///     println!("{} {}: {}", error.domain(), error.code(), error.description());
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn error_details(&self) -> Option<NSError> {
        self.error_object()
    }

    /// Submit the work, unless the CPU is reading or writing memory that it uses.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferAccess`] if a view is open that conflicts with the work. Nothing was submitted;
    /// it may be submitted later.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let buffer = gpu.buffer(16)?;
    /// let copier = commands.copier()?;
    /// copier.fill(&buffer, (0..16).into(), 1);
    /// copier.finish();
    /// buffer.read(|_| assert!(commands.try_submit().is_err(), "the fill would write what is read"));
    /// commands.try_submit()?;
    /// commands.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn try_submit(&self) -> Result<(), GpuError> {
        self.state.submit(&self.object)?;
        // SAFETY: a command buffer responds to this message, and the memory that it uses is marked as in flight.
        unsafe { crate::msg!(self, [commit]) };
        Ok(())
    }

    /// The time that the GPU took, in seconds.
    ///
    /// ```
    /// # let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// commands.submit();
    /// commands.wait();
    /// assert!(commands.gpu_time() >= 0.0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn gpu_time(&self) -> f64 {
        self.gpu_end_time() - self.gpu_start_time()
    }

    /// Wait until the work is done.
    ///
    /// # Errors
    ///
    /// [`GpuError::KernelFault`] or [`GpuError::CommandBufferError`] if it failed; the latter at once if it
    /// was never submitted.
    ///
    /// ```
    /// # let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// assert!(commands.finish().is_err(), "not submitted");
    /// commands.submit();
    /// commands.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn finish(&self) -> Result<(), GpuError> {
        if self.status() < Self::STATUS_COMMITTED {
            return Err(GpuError::CommandBufferError(
                "it was not submitted, so that it never completes: call `submit` first".into(),
            ));
        }
        self.wait();
        self.outcome()
    }

    /// A future that is ready when the work is done or has failed.
    ///
    /// Call it before the work is submitted: then a completion handler wakes the task. For work that was
    /// submitted before, a thread waits.
    ///
    /// # Errors
    ///
    /// As for [`finish`](Self::finish); also if the command buffer is dropped without having been submitted.
    ///
    /// ```
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     use std::task::{Context, Poll, Wake, Waker};
    /// #     struct Unpark(std::thread::Thread);
    /// #     impl Wake for Unpark { fn wake(self: std::sync::Arc<Self>) { self.0.unpark() } }
    /// #     let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    /// #     let mut future = std::pin::pin!(future);
    /// #     loop {
    /// #         match future.as_mut().poll(&mut Context::from_waker(&waker)) {
    /// #             Poll::Ready(value) => return value,
    /// #             Poll::Pending => std::thread::park(),
    /// #         }
    /// #     }
    /// # }
    /// async fn run(commands: aruminium::Commands) -> Result<f64, aruminium::GpuError> {
    ///     let done = commands.done();
    ///     commands.submit();
    ///     done.await?;
    ///     Ok(commands.gpu_time())
    /// }
    /// let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// assert!(block_on(run(commands))? >= 0.0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn done(&self) -> Done {
        Done::of(self)
    }

    /// Shared by those that watch the command buffer.
    pub(super) fn watched(&self) -> Arc<Watched> {
        self.state.tracker().watch(&self.object)
    }

    /// The outcome of the work, if it is done.
    pub(super) fn outcome(&self) -> Result<(), GpuError> {
        if self.status() != Self::STATUS_ERROR {
            return Ok(());
        }
        // The error's properties are autoreleased.
        autorelease_pool(|| {
            let Some(error) = self.error_object() else {
                return Err(GpuError::CommandBufferError("Metal reports no reason".into()));
            };
            Err(match KernelFault::of(&error) {
                Some(fault) => GpuError::KernelFault(Box::new(fault)),
                None => GpuError::CommandBufferError(error.description()),
            })
        })
    }

    /// Call a closure on one of Metal's threads when the work is done or has failed.
    ///
    /// ```
    /// # let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// commands.on_completed(move |commands| _ = sender.send(commands.status()));
    /// commands.submit();
    /// assert_eq!(receiver.recv(), Ok(aruminium::Commands::STATUS_COMPLETED));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn on_completed(&self, handler: impl Fn(&Commands) + Send + Sync + 'static) {
        self.add_completed(&handler_block(handler));
    }

    /// Call a closure on one of Metal's threads when the work is scheduled on the GPU.
    ///
    /// ```
    /// # let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// commands.on_scheduled(|commands| println!("{commands:?} is handed over"));
    /// commands.submit();
    /// commands.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn on_scheduled(&self, handler: impl Fn(&Commands) + Send + Sync + 'static) {
        self.add_scheduled(&handler_block(handler));
    }

    /// Set the event to a value when the work encoded before this is done.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let event = gpu.shared_event()?;
    /// commands.signal(&event, 1);
    /// commands.submit();
    /// commands.finish()?;
    /// assert_eq!(event.signaled_value(), 1);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn signal(&self, event: &impl EventObject, value: u64) {
        // SAFETY: the event is alive, and the command buffer retains it.
        unsafe { self.signal_event(event.event(), value) }
    }

    /// Start the work encoded after this when the event has reached a value.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let event = gpu.shared_event()?;
    /// commands.wait_for(&event, 1);
    /// commands.submit();
    /// event.set_signaled_value(1);
    /// commands.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn wait_for(&self, event: &impl EventObject, value: u64) {
        // SAFETY: as above.
        unsafe { self.wait_event(event.event(), value) }
    }
}

/// A handler as Metal takes it: a block that is passed the command buffer.
fn handler_block(handler: impl Fn(&Commands) + Send + Sync + 'static) -> Block<(Id,)> {
    Block::new(move |commands: Id| {
        // SAFETY: Metal passes a command buffer that lives during the call.
        let commands = unsafe { crate::objc::ObjcClass::from_object(Object::borrowed(commands)) };
        handler(&commands);
    })
}
