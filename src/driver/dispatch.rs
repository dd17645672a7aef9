//! Hot loops: command buffers whose every step is a call through a table.

use super::buffer::Buffer;
use super::command::{Commands, CommandsImps, Queue, QueueImps};
use super::encoder::{Encoder, EncoderImps, Size};
use super::error::GpuError;
use super::future::Done;
use super::pipeline::Pipeline;
use crate::objc::{ImpTables, autorelease_pool};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use super::encoder::Batch;

/// Encodes and submits work without `objc_msgSend`: for loops that do it thousands of times a second.
///
/// The methods of queue, command buffer and encoder are looked up when it is created. The class of each
/// command buffer and encoder is read once, and its table is resolved again if the class differs, as
/// it does under a debugging or capturing layer.
///
/// ```
/// use aruminium::{Dispatch, Gpu};
///
/// let gpu = Gpu::open()?;
/// let source = "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) { x[i] += a; }";
/// let pipeline = gpu.pipeline(&gpu.compile(source)?.function("add")?)?;
/// let queue = gpu.new_command_queue()?;
/// let buffer = gpu.buffer(64 * 4)?;
///
/// let dispatch = Dispatch::new(&queue);
/// // SAFETY: buffer and pipeline outlive the call, which waits.
/// unsafe {
///     dispatch.batch(|batch| {
///         batch.bind(&pipeline);
///         batch.bind_buffer(&buffer, 0, 0);
///         for step in 1..=3u8 {
///             batch.push(&f32::from(step).to_ne_bytes(), 1);
///             batch.launch((64, 1, 1), (32, 1, 1));
///         }
///     })?;
/// }
/// assert!(buffer.read_f32(|x| x.iter().all(|&x| x == 6.0)));
/// # Ok::<(), aruminium::GpuError>(())
/// ```
pub struct Dispatch {
    queue: Queue,
    queue_imps: QueueImps,
    commands_imps: ImpTables<CommandsImps>,
    encoder_imps: ImpTables<EncoderImps>,
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Dispatch {
    /// Looks up all methods, on a command buffer that is discarded.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue()?);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn new(queue: &Queue) -> Self {
        // SAFETY: a wrapped queue is alive.
        let queue_imps = unsafe { QueueImps::resolve(queue.as_raw()) };
        let dispatch = Self {
            queue: queue.clone(),
            queue_imps,
            commands_imps: ImpTables::new(),
            encoder_imps: ImpTables::new(),
        };
        // A queue that returns no command buffer now reports the error when work is dispatched.
        let _ = autorelease_pool(|| dispatch.encode(|_| ()));
        dispatch
    }

    /// One command buffer with the commands that the closure records, not submitted.
    #[inline(always)]
    fn encode(&self, record: impl FnOnce(&Batch<'_>)) -> Result<Commands, GpuError> {
        // SAFETY: the queue is of the class that its table was resolved from; the others are chosen
        // by the class of their object. The resources of the work live until it is done: that is the
        // contract of every caller.
        unsafe {
            let commands = self.queue_imps.commands_fast(self.queue.as_raw())?;
            let encoder: Encoder =
                self.commands_imps.of(commands.as_raw()).encoder(commands.as_raw())?;
            // The work is not tracked; the caller guarantees that nothing conflicts with it.
            let batch = Batch::new(&encoder, self.encoder_imps.of(encoder.as_raw()))
                .expect("the table was chosen by the encoder's class");
            record(&batch);
            encoder.finish_by(&batch);
            Ok(commands)
        }
    }

    #[inline(always)]
    fn submit(&self, commands: &Commands) {
        // SAFETY: the table is of the command buffer's class.
        unsafe { self.commands_imps.of(commands.as_raw()).submit(commands.as_raw()) }
    }

    #[inline(always)]
    fn finish(&self, commands: &Commands) -> Result<(), GpuError> {
        // SAFETY: the table is of the command buffer's class.
        unsafe {
            let imps = self.commands_imps.of(commands.as_raw());
            imps.wait(commands.as_raw());
            if imps.status(commands.as_raw()) == Commands::STATUS_ERROR {
                commands.outcome()
            } else {
                Ok(())
            }
        }
    }

    /// Run one kernel and wait for it. A buffer is bound from an offset to an index.
    ///
    /// # Errors
    ///
    /// [`GpuError::KernelFault`] or [`GpuError::CommandBufferError`] if the kernel fails.
    ///
    /// # Safety
    ///
    /// The kernel stays within its buffers. Nothing records what the work uses: until it is done, the
    /// caller neither views that memory from the CPU nor lets other threads do so.
    ///
    /// ```
    /// # use aruminium::{Dispatch, Gpu, autorelease_pool};
    /// # let gpu = Gpu::open()?;
    /// # let source = "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) { x[i] += a; }";
    /// # let pipeline = gpu.pipeline(&gpu.compile(source)?.function("add")?)?;
    /// # let (queue, buffer) = (gpu.new_command_queue()?, gpu.buffer(64 * 4)?);
    /// # let dispatch = Dispatch::new(&queue);
    /// let one = gpu.buffer_with_data(&1f32.to_ne_bytes())?;
    /// // SAFETY: the kernel stays within its buffers.
    /// unsafe { dispatch.dispatch(&pipeline, &[(&buffer, 0, 0), (&one, 0, 1)], (64, 1, 1), (32, 1, 1))? }
    /// assert_eq!(buffer.read_f32(|x| x[63]), 1.0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub unsafe fn dispatch(
        &self,
        pipeline: &Pipeline,
        buffers: &[(&Buffer, usize, usize)],
        grid: Size,
        group: Size,
    ) -> Result<(), GpuError> {
        // SAFETY: passed on to the caller.
        unsafe { self.batch(|batch| launch(batch, pipeline, buffers, grid, group)) }
    }

    /// Run one kernel and wait for it, with a few bytes copied to an index.
    ///
    /// # Errors
    ///
    /// As for [`dispatch`](Self::dispatch).
    ///
    /// # Safety
    ///
    /// As for [`dispatch`](Self::dispatch).
    ///
    /// ```
    /// # use aruminium::{Dispatch, Gpu, autorelease_pool};
    /// # let gpu = Gpu::open()?;
    /// # let source = "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) { x[i] += a; }";
    /// # let pipeline = gpu.pipeline(&gpu.compile(source)?.function("add")?)?;
    /// # let (queue, buffer) = (gpu.new_command_queue()?, gpu.buffer(64 * 4)?);
    /// # let dispatch = Dispatch::new(&queue);
    /// let bytes = 2.5f32.to_ne_bytes();
    /// // SAFETY: the kernel stays within its buffer.
    /// unsafe {
    ///     dispatch.dispatch_with_bytes(&pipeline, &[(&buffer, 0, 0)], &bytes, 1, (64, 1, 1), (32, 1, 1))?;
    /// }
    /// assert_eq!(buffer.read_f32(|x| x[63]), 2.5);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub unsafe fn dispatch_with_bytes(
        &self,
        pipeline: &Pipeline,
        buffers: &[(&Buffer, usize, usize)],
        bytes: &[u8],
        index: usize,
        grid: Size,
        group: Size,
    ) -> Result<(), GpuError> {
        // SAFETY: passed on to the caller.
        unsafe {
            self.batch(|batch| {
                batch.push(bytes, index);
                launch(batch, pipeline, buffers, grid, group);
            })
        }
    }

    /// Record any number of launches into one command buffer, run it and wait for it.
    ///
    /// # Errors
    ///
    /// As for [`dispatch`](Self::dispatch).
    ///
    /// # Safety
    ///
    /// As for [`dispatch`](Self::dispatch); bound resources live until the call returns.
    ///
    /// ```
    /// # use aruminium::{Dispatch, Gpu, autorelease_pool};
    /// # let gpu = Gpu::open()?;
    /// # let source = "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) { x[i] += a; }";
    /// # let pipeline = gpu.pipeline(&gpu.compile(source)?.function("add")?)?;
    /// # let (queue, buffer) = (gpu.new_command_queue()?, gpu.buffer(64 * 4)?);
    /// # let dispatch = Dispatch::new(&queue);
    /// // SAFETY: bound resources live until the call returns.
    /// unsafe {
    ///     dispatch.batch(|batch| {
    ///         batch.bind(&pipeline);
    ///         batch.bind_buffer(&buffer, 0, 0);
    ///         batch.push(&1f32.to_ne_bytes(), 1);
    ///         batch.launch((64, 1, 1), (32, 1, 1));
    ///         batch.launch_groups((2, 1, 1), (32, 1, 1));
    ///     })?;
    /// }
    /// assert_eq!(buffer.read_f32(|x| x[63]), 2.0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub unsafe fn batch(&self, record: impl FnOnce(&Batch<'_>)) -> Result<(), GpuError> {
        // SAFETY: passed on to the caller.
        autorelease_pool(|| unsafe { self.batch_raw(record) })
    }

    /// [`batch`](Self::batch) without an autorelease pool of its own: the caller has one around the whole loop.
    ///
    /// # Errors
    ///
    /// As for [`dispatch`](Self::dispatch).
    ///
    /// # Safety
    ///
    /// As for [`batch`](Self::batch).
    ///
    /// ```
    /// # use aruminium::{Dispatch, Gpu, autorelease_pool};
    /// # let gpu = Gpu::open()?;
    /// # let source = "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) { x[i] += a; }";
    /// # let pipeline = gpu.pipeline(&gpu.compile(source)?.function("add")?)?;
    /// # let (queue, buffer) = (gpu.new_command_queue()?, gpu.buffer(64 * 4)?);
    /// # let dispatch = Dispatch::new(&queue);
    /// // One pool for the whole loop.
    /// autorelease_pool(|| {
    ///     for _ in 0..10 {
    ///         // SAFETY: nothing is bound.
    ///         unsafe { dispatch.batch_raw(|_batch| { /* bind and launch */ })? }
    ///     }
    ///     Ok::<(), aruminium::GpuError>(())
    /// })?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub unsafe fn batch_raw(&self, record: impl FnOnce(&Batch<'_>)) -> Result<(), GpuError> {
        let commands = self.encode(record)?;
        self.submit(&commands);
        self.finish(&commands)
    }

    /// Record launches without submitting them, for instance while earlier work runs; [`Recorded::submit`] does.
    ///
    /// # Errors
    ///
    /// [`GpuError`] if Metal returns no command buffer or encoder.
    ///
    /// # Safety
    ///
    /// As for [`dispatch`](Self::dispatch). Bound resources live until the work is done, or until the result is dropped without having
    /// been submitted; they are not viewed from the CPU from the submission until the work is done.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let source = "kernel void next(device int *x) { x[0] += 1; }";
    /// # let pipeline = gpu.pipeline(&gpu.compile(source)?.function("next")?)?;
    /// # let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue()?);
    /// let buffer = gpu.buffer_with_data(&1i32.to_ne_bytes())?;
    /// // SAFETY: the buffer and the pipeline outlive the work, and nothing else uses the buffer meanwhile.
    /// let record = || unsafe {
    ///     dispatch.record(|batch| {
    ///         batch.bind(&pipeline);
    ///         batch.bind_buffer(&buffer, 0, 0);
    ///         batch.launch((1, 1, 1), (1, 1, 1));
    ///     })
    /// };
    /// let first = record()?.submit();
    /// let second = record()?; // while the first one runs
    /// first.wait()?;
    /// second.submit().wait()?;
    /// assert_eq!(buffer.read_as(|x: &[i32]| x[0]), 3);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub unsafe fn record(&self, record: impl FnOnce(&Batch<'_>)) -> Result<Recorded, GpuError> {
        autorelease_pool(|| Ok(Recorded { commands: self.encode(record)? }))
    }

    /// Record launches and submit them without waiting: the future waits for them.
    ///
    /// ```
    /// # use aruminium::{Dispatch, Gpu};
    /// # let gpu = Gpu::open()?;
    /// # let dispatch = Dispatch::new(&gpu.new_command_queue()?);
    /// let mut previous = None;
    /// for layer in 0..8 {
    ///     // Encoded while the previous layer runs.
    ///     // SAFETY: bound resources live until the future is waited for.
    ///     let next = unsafe { dispatch.batch_async(|_batch| { /* bind and launch */ }) };
    ///     if let Some(previous) = previous.replace(next) {
    ///         previous.wait()?;
    ///     }
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// # Safety
    ///
    /// As for [`dispatch`](Self::dispatch); bound resources live, and are not viewed from the CPU, until
    /// the future has waited.
    #[inline]
    pub unsafe fn batch_async(&self, record: impl FnOnce(&Batch<'_>)) -> GpuFuture {
        autorelease_pool(|| {
            let commands = self.encode(record);
            if let Ok(commands) = &commands {
                self.submit(commands);
            }
            GpuFuture { commands: Some(commands), done: None }
        })
    }
}

/// Launches that are recorded and not submitted; see [`Dispatch::record`].
///
/// ```
/// # let gpu = aruminium::Gpu::open()?;
/// # let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue()?);
/// // SAFETY: nothing is bound.
/// let recorded: aruminium::Recorded = unsafe { dispatch.record(|_| ())? };
/// recorded.submit().wait()?;
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Debug)]
#[must_use = "recorded work does not run unless it is submitted"]
pub struct Recorded {
    commands: Commands,
}

impl Recorded {
    /// Submit the work: the future waits for it.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue()?);
    /// // SAFETY: nothing is bound.
    /// let (first, second) = unsafe { (dispatch.record(|_| ())?, dispatch.record(|_| ())?) };
    /// let running = second.submit();
    /// drop(first); // it never runs
    /// running.wait()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub fn submit(self) -> GpuFuture {
        self.commands.submit();
        GpuFuture { commands: Some(Ok(self.commands)), done: None }
    }
}

#[inline(always)]
fn launch(
    batch: &Batch<'_>,
    pipeline: &Pipeline,
    buffers: &[(&Buffer, usize, usize)],
    grid: Size,
    group: Size,
) {
    batch.bind(pipeline);
    for &(buffer, offset, index) in buffers {
        batch.bind_buffer(buffer, offset, index);
    }
    batch.launch(grid, group);
}

/// Submitted work: wait for it, or `await` it. Dropping it waits, since bound resources may not live longer.
///
/// ```
/// use aruminium::{Dispatch, Gpu, GpuFuture};
/// let dispatch = Dispatch::new(&Gpu::open()?.new_command_queue()?);
/// // SAFETY: nothing is bound.
/// let future: GpuFuture = unsafe { dispatch.batch_async(|_batch| { /* bind and launch */ }) };
/// future.wait()?;
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping the future waits for the work, and loses its error"]
pub struct GpuFuture {
    /// `None` once the outcome was returned.
    commands: Option<Result<Commands, GpuError>>,
    /// Wakes the task; created with the first poll, so that a blocking wait does not pay for it.
    done: Option<Done>,
}

impl GpuFuture {
    /// The command buffer, unless it could not be submitted.
    ///
    /// ```
    /// # let dispatch = aruminium::Dispatch::new(&aruminium::Gpu::open()?.new_command_queue()?);
    /// // SAFETY: nothing is bound.
    /// let future = unsafe { dispatch.batch_async(|_| ()) };
    /// assert!(future.commands().is_some_and(|commands| commands.status() >= aruminium::Commands::STATUS_COMMITTED));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn commands(&self) -> Option<&Commands> {
        self.commands.as_ref()?.as_ref().ok()
    }

    /// Wait until the work is done.
    ///
    /// # Errors
    ///
    /// [`GpuError::KernelFault`] or [`GpuError::CommandBufferError`] if it failed, or the reason why it could not be
    /// submitted.
    ///
    /// ```
    /// # let dispatch = aruminium::Dispatch::new(&aruminium::Gpu::open()?.new_command_queue()?);
    /// // SAFETY: nothing is bound.
    /// let (first, second) = unsafe { (dispatch.batch_async(|_| ()), dispatch.batch_async(|_| ())) };
    /// second.wait()?;
    /// first.wait()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn wait(mut self) -> Result<(), GpuError> {
        self.commands.take().map_or(Ok(()), |commands| commands?.finish())
    }
}

impl Future for GpuFuture {
    type Output = Result<(), GpuError>;

    /// # Panics
    ///
    /// If it is polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let outcome =
            match this.commands.as_ref().expect("a future is not polled after it was ready") {
                Err(_) => Ok(()),
                Ok(commands) => {
                    let done = this.done.get_or_insert_with(|| commands.done());
                    std::task::ready!(Pin::new(done).poll(context))
                }
            };
        // An error that prevented the submission comes first.
        Poll::Ready(match this.commands.take() {
            Some(Err(error)) => Err(error),
            _ => outcome,
        })
    }
}

impl Drop for GpuFuture {
    fn drop(&mut self) {
        if let Some(Ok(commands)) = &self.commands {
            commands.wait();
        }
    }
}
