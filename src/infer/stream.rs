//! Streams: launches with barriers only where they conflict.

use super::checks::{Apart, Checked};
use super::error::Error;
use super::graph::{ByteSlot, Graph, Recorder, Slot};
use super::kernels::{Kernel, WarmFailure};
use super::launch::{Arg, Grid};
use super::live::Live;
use super::ranges::{BufferRange, MemRanges, Role};
use super::recorder::COPY_OVERLAPS;
use super::report::{Counters, Report, Sampling};
use super::running::Running;
use super::tensor::Tensor;
use crate::{Capture, Gpu, Queue};
use std::fmt;
use std::path::Path;

/// Records launches into command buffers. They run side by side, except where they use the same bytes and one of them
/// writes: there the stream puts a barrier. What a kernel writes is known from its reflection, so there is nothing to
/// declare and nothing to forget.
///
/// ```
/// use aruminium::infer::{Arg, DType, Grid, Kernels, Stream, Tensor};
/// let gpu = aruminium::Gpu::open()?;
/// let kernels = Kernels::new(&gpu);
/// kernels.add("add", "kernel void add(device const float *x, device const float *y, device float *sum,
///     uint i [[thread_position_in_grid]]) { sum[i] = x[i] + y[i]; }");
/// let add = kernels.get("add", "add")?;
/// let x = Tensor::from_slice(&gpu, &[1.0f32; 64], &[64])?;
/// let [a, b, c] = [(); 3].map(|_| Tensor::new(&gpu, DType::F32, &[64]));
/// let (a, b, c) = (a?, b?, c?);
/// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
/// for (one, other, sum) in [(&x, &x, &a), (&x, &x, &b), (&a, &b, &c)] {
///     stream.launch(&add, &[one.into(), other.into(), sum.into()], Grid::threads_1d(64))?;
/// }
/// let report = stream.finish()?;
/// assert_eq!(c.read::<f32>()?[0], 4.0);
/// // The first two ran side by side.
/// assert_eq!((report.counters.launches, report.counters.barriers), (3, 1));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
pub struct Stream {
    sink: Sink,
    pub(super) log: Log,
    capture: Option<Capturing>,
}

/// A capture that ends with the stream.
struct Capturing;

impl Drop for Capturing {
    fn drop(&mut self) {
        Capture::shared().stop();
    }
}

/// The destination of launches.
enum Sink {
    Encode(Box<Live>),
    Record(Box<Recorder>),
}

/// Statistics of a stream so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) counters: Counters,
    labels: Vec<(String, u64)>,
    label: usize,
    kernels: Vec<(Kernel, u64)>,
    /// The position in `kernels` of the last launch.
    kernel: usize,
}

impl Log {
    /// Counts launches of a kernel under the current label.
    #[inline]
    pub(super) fn count(&mut self, kernel: &Kernel, launches: u64) {
        self.counters.launches += launches;
        if self.labels.is_empty() {
            self.labels.push((String::new(), 0));
        }
        self.labels[self.label].1 += launches;
        if !self.kernels.get(self.kernel).is_some_and(|(last, _)| last.is_same(kernel)) {
            let known = self.kernels.iter().position(|(known, _)| known.is_same(kernel));
            self.kernel = known.unwrap_or(self.kernels.len());
            if known.is_none() {
                self.kernels.push((kernel.clone(), 0));
            }
        }
        self.kernels[self.kernel].1 += launches;
    }

    /// The current label.
    pub(super) fn label(&self) -> &str {
        self.label_of(self.label)
    }

    /// The number of the current label, for comparisons.
    #[inline]
    pub(super) fn label_number(&self) -> usize {
        self.label
    }

    pub(super) fn label_of(&self, number: usize) -> &str {
        self.labels.get(number).map_or("", |(label, _)| label)
    }

    /// Launches of a graph count under their own labels, and under that of the stream if they have none.
    pub(super) fn replayed_under(&mut self, label: &str, stream: usize) {
        if label.is_empty() {
            self.label = stream;
        } else if label != self.label() {
            self.set_label(label);
        }
    }

    fn set_label(&mut self, label: &str) {
        // The first label is the empty one, which the stream has until it is set.
        if self.labels.is_empty() {
            self.labels.push((String::new(), 0));
        }
        let known = self.labels.iter().position(|(known, _)| known == label);
        self.label = known.unwrap_or(self.labels.len());
        if known.is_none() {
            self.labels.push((label.into(), 0));
        }
    }

    /// The report, still without times.
    pub(super) fn report(self) -> Report {
        let mut kernels: Vec<(String, u64)> = Vec::new();
        for (kernel, count) in &self.kernels {
            // A source that was replaced may have a kernel of the same name.
            match kernels.iter_mut().find(|(name, _)| name == kernel.variant()) {
                Some((_, sum)) => *sum += count,
                None => kernels.push((kernel.variant().into(), *count)),
            }
        }
        let mut labels = self.labels;
        labels.retain(|(_, count)| *count > 0);
        Report { counters: self.counters, labels, kernels, ..Report::default() }
    }
}

impl Stream {
    /// A stream that submits its command buffers to a queue. Nothing is made before the first launch.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// let stream = aruminium::infer::Stream::new(&gpu, &gpu.new_command_queue()?);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn new(gpu: &Gpu, queue: &Queue) -> Self {
        Self {
            sink: Sink::Encode(Box::new(Live::new(gpu, queue))),
            log: Log::default(),
            capture: None,
        }
    }

    pub(super) fn recorder() -> Self {
        Self { sink: Sink::Record(Box::default()), log: Log::default(), capture: None }
    }

    /// A recording of operations whose kernels are made, and noted if that fails.
    pub(super) fn warming() -> Self {
        let mut recorder: Box<Recorder> = Box::default();
        recorder.failures = Some(Vec::new());
        Self { sink: Sink::Record(recorder), log: Log::default(), capture: None }
    }

    pub(super) fn into_recorder(self) -> Option<Recorder> {
        match self.sink {
            Sink::Record(recorder) => Some(*recorder),
            Sink::Encode(_) => None,
        }
    }

    /// Launches a kernel. The arguments for its buffers are in the order of their indices; then come those for
    /// threadgroup memory. A grid without threads is checked, and nothing runs.
    ///
    /// A tensor's argument ends with the tensor's last value: on soft Metal an access past it is a fault.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`] if the number of arguments, the threadgroup's size or its memory is wrong,
    /// [`Error::Argument`] if an argument has another type than the kernel declares, is shorter than one value, is not
    /// aligned, or may be written although it can only be read; if Metal returns no encoder; and, if launches are sampled, if
    /// the launch before cannot be submitted, as for [`cut`](Self::cut). Nothing is recorded then.
    ///
    /// ```
    /// use aruminium::infer::{Arg, DType, Grid, Kernels, Stream, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let kernels = Kernels::new(&gpu);
    /// kernels.add("one", "kernel void one(device float *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }");
    /// let one = kernels.get("one", "one")?;
    /// let halves = Tensor::new(&gpu, DType::F16, &[64])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// let error = stream.launch(&one, &[Arg::Tensor(&halves)], Grid::threads_1d(64)).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "kernel 'one', argument 'x', buffer(0): the kernel declares f32, and the tensor holds f16"
    /// );
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    #[inline]
    pub fn launch(&mut self, kernel: &Kernel, args: &[Arg<'_>], grid: Grid) -> Result<(), Error> {
        kernel.parameters().check(kernel.name(), args, &grid)?;
        if grid.is_empty() {
            return Ok(());
        }
        match &mut self.sink {
            Sink::Encode(live) => live.launch(&mut self.log, kernel, args, grid)?,
            Sink::Record(recorder) => recorder.launch(kernel, args, grid, self.log.label())?,
        }
        self.log.count(kernel, 1);
        Ok(())
    }

    /// Records the launches of an operation. All of them are checked before the first one is recorded.
    pub(super) fn operation(
        &mut self,
        launches: &[Checked<'_>],
        apart: &[Apart<'_>],
    ) -> Result<(), Error> {
        apart.iter().try_for_each(Apart::check)?;
        launches.iter().try_for_each(Checked::check)?;
        if let Sink::Record(recorder) = &mut self.sink {
            recorder.operation(launches, apart, self.log.label())?;
        }
        for &Checked { kernel, args, grid, .. } in launches {
            if let Sink::Encode(live) = &mut self.sink {
                live.launch(&mut self.log, kernel, args, grid)?;
            }
            self.log.count(kernel, 1);
        }
        Ok(())
    }

    /// Notes a kernel that could not be made, if the recording is to go on without it.
    pub(super) fn warm_failed(&mut self, failure: WarmFailure) -> Result<(), Error> {
        let failures = match &mut self.sink {
            Sink::Record(recorder) => recorder.failures.as_mut(),
            Sink::Encode(_) => None,
        };
        match failures {
            Some(failures) => failures.push(failure),
            None => return Err(failure.error),
        }
        Ok(())
    }

    /// Copies bytes from a tensor to another one of the same size. Both must be contiguous.
    ///
    /// # Errors
    ///
    /// If the sizes differ, one is not contiguous, they overlap, or the target can only be read.
    ///
    /// ```
    /// use aruminium::infer::{DType, Stream, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let from = Tensor::from_slice(&gpu, &[1.0f32, 2.0], &[2])?;
    /// let to = Tensor::new(&gpu, DType::F32, &[2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// stream.copy(&from, &to)?;
    /// stream.finish()?;
    /// assert_eq!(to.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn copy(&mut self, from: &Tensor, to: &Tensor) -> Result<(), Error> {
        let why = if from.bytes() != to.bytes() {
            format!("{} bytes are copied to {} bytes", from.bytes(), to.bytes())
        } else if !(from.is_contiguous() && to.is_contiguous()) {
            "a tensor that is not contiguous is copied as bytes".into()
        } else if BufferRange::of(from, Role::Read).conflicts(&BufferRange::of(to, Role::Write)) {
            COPY_OVERLAPS.into()
        } else if to.memory().is_read_only() {
            "the target of a copy can only be read".into()
        } else if from.bytes() == 0 {
            return Ok(());
        } else {
            match &mut self.sink {
                Sink::Encode(live) => live.copy(&mut self.log, from, to)?,
                Sink::Record(recorder) => recorder.copy(from, to, self.log.label())?,
            }
            return Ok(());
        };
        Err(Error::Shape(why))
    }

    /// Puts a barrier: all later launches wait for all earlier ones. Streams put barriers where they are needed, so this is
    /// for programs that know more than the kernels' declarations say.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// let mut stream = aruminium::infer::Stream::new(&gpu, &gpu.new_command_queue()?);
    /// stream.barrier();
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn barrier(&mut self) {
        match &mut self.sink {
            Sink::Encode(live) => live.barrier(&mut self.log),
            Sink::Record(recorder) => recorder.barrier(),
        }
    }

    /// Names the launches that follow, for reports, profiles and captures.
    ///
    /// # Errors
    ///
    /// As for [`cut`](Self::cut), if labels are sampled. The label is not changed then.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// let mut stream = aruminium::infer::Stream::new(&gpu, &gpu.new_command_queue()?);
    /// stream.label("attention")?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn label(&mut self, label: &str) -> Result<(), Error> {
        if label == self.log.label() {
            return Ok(());
        }
        if let Sink::Encode(live) = &mut self.sink {
            live.label(&mut self.log, label)?;
        }
        self.log.set_label(label);
        Ok(())
    }

    /// Measures the GPU's time of parts of the stream: those recorded from now on.
    ///
    /// # Errors
    ///
    /// If it is a recording of a graph, which is measured when it is replayed in a stream.
    ///
    /// ```
    /// use aruminium::infer::{Sampling, Stream};
    /// let gpu = aruminium::Gpu::open()?;
    /// Stream::new(&gpu, &gpu.new_command_queue()?).sample(Sampling::Labels)?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn sample(&mut self, sampling: Sampling) -> Result<(), Error> {
        self.encoding("sampled")?.sample(sampling);
        Ok(())
    }

    /// The live part, which recordings of graphs do not have.
    fn encoding(&mut self, what: &str) -> Result<&mut Live, Error> {
        match &mut self.sink {
            Sink::Encode(live) => Ok(live),
            Sink::Record(_) => Err(recording(what)),
        }
    }

    /// Submits the launches recorded so far, so that the GPU starts with them. Later ones go into another command buffer,
    /// which waits for the first one by an event.
    ///
    /// # Errors
    ///
    /// If the CPU is using the memory of a launch, or it is a recording of a graph. What is recorded stays, and another call
    /// submits it.
    ///
    /// ```
    /// use aruminium::infer::{DType, Stream, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let [a, b, c] = [1u8, 2, 3].map(|x| Tensor::from_slice(&gpu, &[x; 16], &[16]));
    /// let (a, b, c) = (a?, b?, c?);
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// stream.copy(&a, &b)?;
    /// stream.cut()?;
    /// stream.copy(&b, &c)?;
    /// assert_eq!(stream.finish()?.counters.command_buffers, 2);
    /// assert_eq!(c.read::<u8>()?[0], 1);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn cut(&mut self) -> Result<(), Error> {
        match &mut self.sink {
            Sink::Encode(live) => live.cut(&mut self.log),
            Sink::Record(_) => Err(recording("cut")),
        }
    }

    /// Declares a tensor whose memory a replay of the graph may replace: views of it that launches bind after this
    /// are replaced with the same parts of the other tensor. Only in a recording of a graph.
    ///
    /// # Errors
    ///
    /// If it is not a recording of a graph, or the tensor overlaps another slot.
    ///
    /// ```
    /// use aruminium::infer::{DType, Graph, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let (from, to) = (Tensor::new(&gpu, DType::U8, &[4])?, Tensor::new(&gpu, DType::U8, &[4])?);
    /// let (graph, slot) = Graph::record(|stream| {
    ///     let slot = stream.slot(&from)?;
    ///     stream.copy(&from, &to)?;
    ///     Ok(slot)
    /// })?;
    /// let other = Tensor::from_slice(&gpu, &[7u8; 4], &[4])?;
    /// graph.replay(&gpu, &gpu.new_command_queue()?, &[(slot, &other)], &[])?.wait()?;
    /// assert_eq!(to.to_vec::<u8>()?, [7; 4]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn slot(&mut self, tensor: &Tensor) -> Result<Slot, Error> {
        match &mut self.sink {
            Sink::Record(recorder) => recorder.slot(tensor),
            Sink::Encode(_) => Err(not_recording("slots")),
        }
    }

    /// A slot for bytes: pass it with [`Arg::Slot`]. Only in a recording of a graph.
    ///
    /// # Errors
    ///
    /// If it is not a recording of a graph.
    ///
    /// ```
    /// use aruminium::infer::Graph;
    /// let (graph, slot) = Graph::record(|stream| stream.byte_slot())?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn byte_slot(&mut self) -> Result<ByteSlot, Error> {
        match &mut self.sink {
            Sink::Record(recorder) => Ok(recorder.byte_slot()),
            Sink::Encode(_) => Err(not_recording("slots")),
        }
    }

    /// Declares a tensor whose contents nothing reads after the graph: a fused kernel need not write it. Only in a recording
    /// of a graph.
    ///
    /// # Errors
    ///
    /// If it is not a recording of a graph.
    ///
    /// ```
    /// use aruminium::infer::{DType, Graph, Tensor};
    /// let between = Tensor::new(&aruminium::Gpu::open()?, DType::F32, &[4])?;
    /// let (graph, ()) = Graph::record(|stream| stream.scratch(&between))?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn scratch(&mut self, tensor: &Tensor) -> Result<(), Error> {
        match &mut self.sink {
            Sink::Record(recorder) => {
                recorder.scratch(tensor);
                Ok(())
            }
            Sink::Encode(_) => Err(not_recording("scratch tensors")),
        }
    }

    /// Records all launches of a graph, with other tensors and bytes in its slots. A slot that is not listed has what it
    /// was recorded with.
    ///
    /// # Errors
    ///
    /// If a slot is not the graph's, or what is passed for it has another type or size, or is not aligned: nothing is recorded
    /// then, nor if the slots overlap each other or other tensors where an operation or a copy allows no overlap. If Metal returns
    /// no encoder, and if launches are sampled and one cannot be submitted, as for
    /// [`cut`](Self::cut): then a part of the graph may have been recorded.
    ///
    /// ```
    /// use aruminium::infer::{Graph, Stream};
    /// let (graph, ()) = Graph::record(|_| Ok(()))?;
    /// let gpu = aruminium::Gpu::open()?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// stream.replay(&graph, &[], &[])?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn replay(
        &mut self,
        graph: &Graph,
        slots: &[(Slot, &Tensor)],
        bytes: &[(ByteSlot, &[u8])],
    ) -> Result<(), Error> {
        match &mut self.sink {
            Sink::Encode(live) => {
                // The launches count under the graph's labels.
                let label = self.log.label;
                let result = graph.encode(live, &mut self.log, slots, bytes);
                self.log.label = label;
                result
            }
            Sink::Record(_) => Err(recording("the target of a replay")),
        }
    }

    /// Captures the stream's further commands in a file: for Xcode on a Mac, as text on soft Metal.
    ///
    /// # Errors
    ///
    /// If captures are not enabled (`MTL_CAPTURE_ENABLED=1` on a Mac), one is running, the file exists, or commands were
    /// recorded already that are not submitted: then [`cut`](Self::cut) first.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// let mut stream = aruminium::infer::Stream::new(&gpu, &gpu.new_command_queue()?);
    /// assert!(stream.capture("/no such folder/decode.gputrace").is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn capture(&mut self, file: impl AsRef<Path>) -> Result<(), Error> {
        let live = self.encoding("captured")?;
        if live.is_recording() {
            return Err(Error::Gpu(crate::GpuError::CaptureFailed(
                "the stream has commands that are not submitted, which the capture would miss: call `cut` first".into(),
            )));
        }
        Capture::shared().start_queue(live.queue(), file)?;
        self.capture = Some(Capturing);
        Ok(())
    }

    /// The memory that launches used since the last barrier; `None` in a recording of a graph.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// let stream = aruminium::infer::Stream::new(&gpu, &gpu.new_command_queue()?);
    /// assert!(stream.ranges().is_some_and(|ranges| ranges.is_empty()));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn ranges(&self) -> Option<&MemRanges> {
        match &self.sink {
            Sink::Encode(live) => Some(live.ranges()),
            Sink::Record(_) => None,
        }
    }

    /// Submits the recorded launches, and waits until they are done.
    ///
    /// # Errors
    ///
    /// The error of the first command buffer that failed; [`GpuError::KernelFault`](crate::GpuError::KernelFault) if a
    /// kernel had a fault. If the last command buffer cannot be submitted, as for [`cut`](Self::cut), it is lost: call `cut`
    /// first, which keeps it.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// let report = aruminium::infer::Stream::new(&gpu, &gpu.new_command_queue()?).finish()?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn finish(self) -> Result<Report, Error> {
        self.submit()?.wait()
    }

    /// Submits the recorded launches without waiting.
    ///
    /// # Errors
    ///
    /// If the CPU is using the memory of a launch, or it is a recording of a graph. Launches that are not submitted are lost then:
    /// call [`cut`](Self::cut) first, which keeps them.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// let running = aruminium::infer::Stream::new(&gpu, &gpu.new_command_queue()?).submit()?;
    /// running.wait()?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn submit(mut self) -> Result<Running, Error> {
        match &mut self.sink {
            Sink::Encode(live) => {
                let done = live.last_cut(&mut self.log)?;
                let parts = live.take_parts();
                Ok(Running::new(parts, std::mem::take(&mut self.log).report(), done))
            }
            Sink::Record(_) => Err(recording("submitted")),
        }
    }
}

#[cold]
fn recording(what: &str) -> Error {
    Error::Launch { kernel: String::new(), why: format!("a recording of a graph cannot be {what}") }
}

#[cold]
fn not_recording(what: &str) -> Error {
    let why = format!("only recordings of graphs have {what}");
    Error::Launch { kernel: String::new(), why }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("counters", &self.log.counters).finish_non_exhaustive()
    }
}
