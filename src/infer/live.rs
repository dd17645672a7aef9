//! The command buffers and encoders of a stream.

use super::error::Error;
use super::kernels::Kernel;
use super::launch::{Arg, Grid};
use super::ranges::MemRanges;
use super::report::Sampling;
use super::running::Part;
use super::stream::Log;
use super::tensor::Tensor;
use crate::{
    BarrierScope, Commands, Copier, DispatchType, Done, Encoder, Fence, Gpu, Queue, SharedEvent,
    autorelease_pool,
};
use std::time::Instant;

/// The present command buffer and encoder of a stream, which are made when they are needed.
pub(super) struct Live {
    gpu: Gpu,
    queue: Queue,
    sampling: Sampling,
    /// Whether the present command buffer is to be submitted before the next command, because each launch is sampled. Not
    /// right after a launch: an error of a launch must mean that it was not recorded.
    full: bool,
    ranges: MemRanges,
    open: Open,
    commands: Option<Commands>,
    parts: Vec<Part>,
    /// The launches in the present command buffer.
    part: Contents,
    /// The kernel that is set in the open encoder.
    kernel: Option<Kernel>,
    /// Orders command buffers: the value is the number of those that were submitted.
    event: Option<SharedEvent>,
    /// Orders encoders: whether one of the command buffer updated it.
    fence: Option<Fence>,
    fenced: bool,
}

/// The open encoder.
enum Open {
    None,
    Compute(Encoder),
    Copy(Copier),
}

/// The launches and copies of a command buffer, for its span in the profile.
#[derive(Debug, Default)]
struct Contents {
    /// The number of their label in the log, and whether all have it.
    label: usize,
    mixed: bool,
    /// The kernel, if all are launches of it.
    kernel: Option<Kernel>,
    commands: u64,
    launches: u64,
}

impl Contents {
    /// Adds launches of a kernel, or copies.
    #[inline]
    fn add(&mut self, label: usize, kernel: Option<&Kernel>, count: u64) {
        if self.commands == 0 {
            self.label = label;
            self.kernel = kernel.cloned();
        } else {
            self.mixed |= self.label != label;
            let same = |first: &Kernel| kernel.is_some_and(|kernel| kernel.is_same(first));
            if self.kernel.as_ref().is_some_and(|first| !same(first)) {
                self.kernel = None;
            }
        }
        self.commands += count;
        self.launches += if kernel.is_some() { count } else { 0 };
    }
}

impl Live {
    pub(super) fn new(gpu: &Gpu, queue: &Queue) -> Self {
        Self {
            gpu: gpu.clone(),
            queue: queue.clone(),
            sampling: Sampling::default(),
            full: false,
            ranges: MemRanges::new(),
            open: Open::None,
            commands: None,
            parts: Vec::new(),
            part: Contents::default(),
            kernel: None,
            event: None,
            fence: None,
            fenced: false,
        }
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn ranges(&self) -> &MemRanges {
        &self.ranges
    }

    pub(super) fn ranges_mut(&mut self) -> &mut MemRanges {
        &mut self.ranges
    }

    pub(super) fn is_recording(&self) -> bool {
        self.commands.is_some()
    }

    pub(super) fn sample(&mut self, sampling: Sampling) {
        self.sampling = sampling;
    }

    /// Whether every launch, or every label, has a command buffer of its own.
    pub(super) fn is_sampled(&self) -> bool {
        self.sampling != Sampling::CommandBuffers
    }

    /// The command buffer; a new one waits for the one before it.
    fn commands(&mut self) -> Result<&Commands, Error> {
        if self.commands.is_none() {
            let commands = autorelease_pool(|| self.queue.commands())?;
            if let (Some(event), false) = (&self.event, self.parts.is_empty()) {
                commands.wait_for(event, self.parts.len() as u64);
            }
            self.commands = Some(commands);
        }
        match &self.commands {
            Some(commands) => Ok(commands),
            None => unreachable!("it was just made"),
        }
    }

    /// Ends the open encoder. The next encoder waits for its commands.
    fn close(&mut self, fence: bool) -> Result<(), Error> {
        if matches!(self.open, Open::None) {
            return Ok(());
        }
        if fence && self.fence.is_none() {
            self.fence = Some(self.gpu.fence()?);
        }
        let update = self.fence.as_ref().filter(|_| fence);
        match std::mem::replace(&mut self.open, Open::None) {
            Open::Compute(encoder) => {
                update.inspect(|fence| encoder.update_fence(fence));
                encoder.finish();
            }
            Open::Copy(copier) => {
                update.inspect(|fence| copier.update_fence(fence));
                copier.finish();
            }
            Open::None => {}
        }
        self.fenced = fence;
        self.kernel = None;
        self.ranges.reset();
        Ok(())
    }

    /// The encoder for launches.
    #[inline]
    pub(super) fn compute(&mut self, log: &mut Log) -> Result<(), Error> {
        match self.open {
            Open::Compute(_) => Ok(()),
            _ => self.open_compute(log),
        }
    }

    #[cold]
    fn open_compute(&mut self, log: &mut Log) -> Result<(), Error> {
        self.close(true)?;
        let commands = self.commands()?;
        let encoder = autorelease_pool(|| commands.encoder_with(DispatchType::Concurrent))?;
        if let (Some(fence), true) = (&self.fence, self.fenced) {
            encoder.wait_for_fence(fence);
            log.counters.fences += 1;
        }
        if !log.label().is_empty() {
            encoder.set_label(log.label());
        }
        self.fenced = false;
        self.open = Open::Compute(encoder);
        Ok(())
    }

    /// The encoder, which [`compute`](Self::compute) opened.
    #[inline]
    pub(super) fn encoder(&self) -> &Encoder {
        match &self.open {
            Open::Compute(encoder) => encoder,
            _ => unreachable!("`compute` was called before"),
        }
    }

    /// Called before a command is encoded: submits the command buffer if the sampling wants the command in another one. Replays
    /// change the label between launches, and back after them.
    #[inline]
    pub(super) fn prepare(&mut self, log: &mut Log) -> Result<(), Error> {
        let labelled = self.sampling == Sampling::Labels && self.part.commands > 0;
        if self.full || labelled && self.part.label != log.label_number() {
            self.cut(log)?;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn launch(
        &mut self,
        log: &mut Log,
        kernel: &Kernel,
        args: &[Arg<'_>],
        grid: Grid,
    ) -> Result<(), Error> {
        self.prepare(log)?;
        self.compute(log)?;
        let parameters = kernel.parameters();
        let needed = parameters.ranges(args).any(|range| self.ranges.conflicts(&range));
        if needed {
            self.put_barrier(log);
        } else {
            log.counters.barriers_avoided += u64::from(!self.ranges.is_empty());
        }
        self.ranges.checked(needed);
        parameters.ranges(args).for_each(|range| self.ranges.insert(&range));
        let set = self.kernel.as_ref().is_some_and(|set| set.is_same(kernel));
        let encoder = self.encoder();
        if !set {
            encoder.bind(kernel.pipeline());
        }
        for (parameter, arg) in parameters.list.iter().zip(args) {
            match *arg {
                Arg::Tensor(tensor) => bind(encoder, tensor, parameter.index),
                Arg::Bytes(bytes) | Arg::Slot(_, bytes) => encoder.push(bytes, parameter.index),
                Arg::Shared(bytes) => share(encoder, bytes, parameter.index),
            }
        }
        run(encoder, grid);
        if !set {
            self.kernel = Some(kernel.clone());
        }
        self.launched(log, kernel, 1);
        Ok(())
    }

    /// Called when launches were encoded: adds them to the command buffer's span.
    #[inline]
    pub(super) fn launched(&mut self, log: &Log, kernel: &Kernel, count: u64) {
        self.part.add(log.label_number(), Some(kernel), count);
        self.full = self.sampling == Sampling::Launches;
    }

    pub(super) fn put_barrier(&self, log: &mut Log) {
        log.counters.barriers += 1;
        let since = self.is_sampled().then(Instant::now);
        self.encoder().barrier(BarrierScope::BUFFERS);
        if let Some(since) = since {
            log.counters.barrier_ns += since.elapsed().as_nanos() as u64;
        }
    }

    pub(super) fn barrier(&mut self, log: &mut Log) {
        // Without a launch since the last barrier there is nothing to order.
        if matches!(self.open, Open::Compute(_)) && !self.ranges.is_empty() {
            self.put_barrier(log);
            self.ranges.reset();
        }
    }

    pub(super) fn copy(&mut self, log: &mut Log, from: &Tensor, to: &Tensor) -> Result<(), Error> {
        self.prepare(log)?;
        if !matches!(self.open, Open::Copy(_)) {
            self.close(true)?;
            let commands = self.commands()?;
            let copier = autorelease_pool(|| commands.copier())?;
            if let (Some(fence), true) = (&self.fence, self.fenced) {
                copier.wait_for_fence(fence);
                log.counters.fences += 1;
            }
            self.fenced = false;
            self.open = Open::Copy(copier);
        }
        log.counters.copies += 1;
        if let Open::Copy(copier) = &self.open {
            copier.copy(from.memory(), from.offset(), to.memory(), to.offset(), from.bytes());
        }
        self.part.add(log.label_number(), None, 1);
        self.full = self.sampling == Sampling::Launches;
        Ok(())
    }

    /// The label is about to change.
    pub(super) fn label(&mut self, log: &mut Log, label: &str) -> Result<(), Error> {
        if self.sampling == Sampling::Labels {
            return self.cut(log);
        }
        if let Open::Compute(encoder) = &self.open {
            encoder.signpost(label);
        }
        Ok(())
    }

    /// Submits the command buffer, if there is one.
    pub(super) fn cut(&mut self, log: &mut Log) -> Result<(), Error> {
        self.close(false)?;
        let Some(commands) = self.commands.take() else { return Ok(()) };
        let number = self.parts.len() as u64 + 1;
        let event = match &self.event {
            Some(event) => event,
            None => self.event.insert(self.gpu.shared_event()?),
        };
        commands.signal(event, number);
        // A command buffer that fails may not signal the event, and others must not wait for it for ever.
        let raised = event.clone();
        commands.on_completed(move |commands| {
            if commands.status() == Commands::STATUS_ERROR && raised.signaled_value() < number {
                raised.set_signaled_value(number);
            }
        });
        if let Err(error) = commands.try_submit() {
            // Commands recorded later in the same command buffer must stay after those recorded before.
            commands.wait_for(event, number);
            self.commands = Some(commands);
            return Err(error.into());
        }
        self.full = false;
        log.counters.command_buffers += 1;
        let Contents { label, mixed, kernel, commands: all, launches } =
            std::mem::take(&mut self.part);
        let label = if mixed || all == 0 { "" } else { log.label_of(label) }.to_owned();
        let kernel = kernel.map(|kernel| kernel.variant().to_owned()).unwrap_or_default();
        self.parts.push(Part { commands, label, kernel, launches });
        Ok(())
    }

    /// The same for the last command buffer; returns a future of its end.
    pub(super) fn last_cut(&mut self, log: &mut Log) -> Result<Option<Done>, Error> {
        let done = self.commands.as_ref().map(Commands::done);
        self.cut(log)?;
        Ok(done)
    }

    pub(super) fn take_parts(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.parts)
    }

    /// Called when a replay has changed the encoder's settings.
    pub(super) fn forget_kernel(&mut self) {
        self.kernel = None;
    }
}

/// Binds a tensor, up to its last value.
#[inline]
pub(super) fn bind(encoder: &Encoder, tensor: &Tensor, index: usize) {
    let start = tensor.offset();
    encoder.bind_range(tensor.memory(), start..start + tensor.bytes(), index);
}

#[inline]
pub(super) fn share(encoder: &Encoder, bytes: usize, index: usize) {
    encoder.threadgroup_memory(bytes.next_multiple_of(16), index);
}

#[inline]
pub(super) fn run(encoder: &Encoder, grid: Grid) {
    match grid {
        Grid::Threads { threads, group } => encoder.launch(threads, group),
        Grid::Groups { groups, group } => encoder.launch_groups(groups, group),
    }
}
