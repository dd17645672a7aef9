//! Graphs: launches that are recorded once and replayed with other tensors.

use super::checks::Part;
use super::error::Error;
use super::kernels::{Kernel, WarmFailure};
use super::launch::Grid;
use super::live::{Live, run, share};
use super::ranges::{BufferRange, MemRanges, Role};
use super::recorder::{Command, Node as Recorded, NodeArg, Operand};
use super::report::Counters;
use super::running::Running;
use super::stream::{Log, Stream};
use super::tensor::Tensor;
use crate::{BarrierScope, Gpu, Queue};
use std::ops::Range;

use super::node::{Node, NodeKind};
pub(super) use super::recorder::Recorder;

/// A tensor of a graph that may be replaced in a replay; made by [`Stream::slot`].
///
/// ```
/// use aruminium::infer::{DType, Graph, Slot, Tensor};
/// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F32, &[4])?;
/// let (graph, slot): (Graph, Slot) = Graph::record(|stream| stream.slot(&tensor))?;
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    pub(super) graph: u64,
    pub(super) index: usize,
}

/// Bytes of a graph that may be replaced in a replay; made by [`Stream::byte_slot`] and passed by
/// [`Arg::Slot`](super::Arg::Slot).
///
/// ```
/// use aruminium::infer::{ByteSlot, Graph};
/// let (graph, slot): (Graph, ByteSlot) = Graph::record(|stream| stream.byte_slot())?;
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteSlot {
    pub(super) graph: u64,
    pub(super) index: usize,
}

/// Launches that are recorded once and replayed, with other tensors and bytes in their slots. Checks and barriers are
/// those of the recording; only where a replaced tensor overlaps others are barriers derived again.
///
/// ```
/// use aruminium::infer::{Arg, DType, Graph, Grid, Kernels, Tensor};
/// let gpu = aruminium::Gpu::open()?;
/// let kernels = Kernels::new(&gpu);
/// kernels.add("add", "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) { x[i] += a; }");
/// let add = kernels.get("add", "add")?;
/// let x = Tensor::new(&gpu, DType::F32, &[8])?;
/// let (graph, (tensor, step)) = Graph::record(|stream| {
///     let (tensor, step) = (stream.slot(&x)?, stream.byte_slot()?);
///     stream.launch(&add, &[Arg::Tensor(&x), Arg::Slot(step, &1.0f32.to_ne_bytes())], Grid::threads_1d(8))?;
///     stream.launch(&add, &[Arg::Tensor(&x), Arg::Bytes(&10.0f32.to_ne_bytes())], Grid::threads_1d(8))?;
///     Ok((tensor, step))
/// })?;
/// let (queue, y) = (gpu.new_command_queue()?, Tensor::new(&gpu, DType::F32, &[8])?);
/// graph.replay(&gpu, &queue, &[], &[])?.wait()?;
/// graph.replay(&gpu, &queue, &[(tensor, &y)], &[(step, &2.0f32.to_ne_bytes())])?.wait()?;
/// assert_eq!((x.to_vec::<f32>()?[0], y.to_vec::<f32>()?[0]), (11.0, 12.0));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Debug)]
pub struct Graph {
    pub(super) recorded: Recorder,
    pub(super) plan: Plan,
}

/// The messages of a replay. Everything that does not depend on the slots is computed in advance.
#[derive(Debug, Default)]
pub(super) struct Plan {
    steps: Vec<Step>,
    grids: Vec<Grid>,
    bytes: Vec<u8>,
    /// The number of launches by label and kernel, each with the index of a node that has these.
    counts: Vec<(u32, u64)>,
    /// Counts of barriers, and of launches that need no barrier.
    counters: Counters,
    /// The number of nodes before the first barrier and the first copy.
    head: usize,
    /// The first node after the last barrier.
    tail: usize,
    /// For each node the number of barriers and changes of the encoder before it.
    pub(super) groups: Vec<u32>,
    /// Whether no slot overlaps another slot or other memory of the graph.
    isolated: bool,
}

/// One message of a replay.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Sets the pipeline of the kernel of a node.
    Kernel(u32),
    Bind {
        operand: u32,
        index: u8,
    },
    Bytes {
        start: u32,
        length: u16,
        index: u8,
    },
    Slot {
        slot: u32,
        start: u32,
        length: u16,
        index: u8,
    },
    Share {
        bytes: u32,
        index: u8,
    },
    Launch(u32),
    Barrier,
    /// Does the copy of a node, in an encoder for copies.
    Copy(u32),
}

impl Plan {
    pub(super) fn of(recorded: &Recorder) -> Self {
        let head = recorded.nodes.len();
        let mut plan = Self { isolated: isolated(recorded, |_| None), head, ..Self::default() };
        let mut ranges = MemRanges::new();
        let mut set = Encoded::default();
        let (mut copying, mut group) = (false, 0);
        for (number, node) in recorded.nodes.iter().enumerate() {
            let uses = || node.ranges(&recorded.operands);
            match &node.command {
                Command::Barrier => {
                    if !ranges.is_empty() {
                        plan.barrier(&mut ranges, number);
                    }
                }
                Command::Copy { .. } => {
                    if !copying {
                        // The encoder changes; a fence orders the commands of the two.
                        copying = true;
                        group += u32::from(number > 0);
                        ranges.reset();
                        plan.tail = number;
                        plan.head = plan.head.min(number);
                    }
                    plan.steps.push(Step::Copy(number as u32));
                }
                Command::Launch { kernel, args, grid } => {
                    if std::mem::take(&mut copying) {
                        (set, plan.tail) = (Encoded::default(), number);
                        group += 1;
                    }
                    if uses().any(|range| ranges.conflicts(&range)) {
                        plan.barrier(&mut ranges, number);
                    } else {
                        plan.counters.barriers_avoided += u64::from(!ranges.is_empty());
                    }
                    uses().for_each(|range| ranges.insert(&range));
                    plan.launch(recorded, number, kernel, args, *grid, &mut set);
                }
            }
            plan.groups.push(plan.counters.barriers as u32 + group);
        }
        plan
    }

    fn barrier(&mut self, ranges: &mut MemRanges, number: usize) {
        self.steps.push(Step::Barrier);
        self.counters.barriers += 1;
        self.tail = number;
        self.head = self.head.min(number);
        ranges.reset();
    }

    fn launch(
        &mut self,
        recorded: &Recorder,
        number: usize,
        kernel: &Kernel,
        args: &[NodeArg],
        grid: Grid,
        set: &mut Encoded,
    ) {
        if set.kernel.is_none_or(|last| !same_kernel(&recorded.nodes[last], kernel)) {
            self.steps.push(Step::Kernel(number as u32));
        }
        set.kernel = Some(number);
        for (parameter, arg) in kernel.parameters().list.iter().zip(args) {
            let index = parameter.index as u8;
            let step = match arg {
                NodeArg::Operand(operand) => Step::Bind { operand: *operand, index },
                NodeArg::Bytes(bytes) => {
                    let (start, length) = self.store(bytes);
                    Step::Bytes { start, length, index }
                }
                NodeArg::Slot(slot, bytes) => {
                    let (start, length) = self.store(bytes);
                    Step::Slot { slot: slot.index as u32, start, length, index }
                }
                NodeArg::Shared(bytes) => {
                    self.steps.push(Step::Share { bytes: *bytes as u32, index });
                    continue;
                }
            };
            // An argument that is bound already is not bound again.
            if set.bound.get(usize::from(index)) != Some(&Some(step)) {
                self.steps.push(step);
            }
            if let Some(bound) = set.bound.get_mut(usize::from(index)) {
                *bound = Some(step);
            }
        }
        self.steps.push(Step::Launch(self.grids.len() as u32));
        self.grids.push(grid);
        let node = &recorded.nodes[number];
        let known = self.counts.iter_mut().find(|(first, _)| {
            let first = &recorded.nodes[*first as usize];
            first.label == node.label && same_kernel(first, kernel)
        });
        match known {
            Some((_, count)) => *count += 1,
            None => self.counts.push((number as u32, 1)),
        }
    }

    /// Stores bytes and returns their position. Equal bytes are stored once.
    fn store(&mut self, bytes: &[u8]) -> (u32, u16) {
        // A short search, since equal bytes usually belong to launches that are near each other.
        let from = self.bytes.len().saturating_sub(1024);
        let known = match bytes.len() {
            0 => Some(0),
            length => self.bytes[from..]
                .windows(length)
                .position(|part| part == bytes)
                .map(|at| from + at),
        };
        let start = known.unwrap_or(self.bytes.len());
        if known.is_none() {
            self.bytes.extend_from_slice(bytes);
        }
        (start as u32, bytes.len() as u16)
    }
}

/// The present settings of an encoder.
#[derive(Default)]
struct Encoded {
    /// A node with the kernel.
    kernel: Option<usize>,
    bound: [Option<Step>; 31],
}

fn same_kernel(node: &Recorded, kernel: &Kernel) -> bool {
    matches!(&node.command, Command::Launch { kernel: other, .. } if other.is_same(kernel))
}

/// Whether the slots, some with other tensors, overlap neither each other nor other memory of the graph.
fn isolated<'a>(recorded: &'a Recorder, other: impl Fn(usize) -> Option<&'a Tensor>) -> bool {
    let mut used = MemRanges::new();
    for operand in recorded.operands.iter().filter(|operand| operand.slot.is_none()) {
        used.insert(&BufferRange::of(&operand.tensor, Role::Write));
    }
    recorded.slots.iter().enumerate().all(|(index, slot)| {
        let range = BufferRange::of(other(index).unwrap_or(slot), Role::Write);
        let free = !used.conflicts(&range);
        used.insert(&range);
        free
    })
}

/// The contents of the slots of a replay.
struct Filled<'a> {
    tensors: Vec<Option<&'a Tensor>>,
    bytes: Vec<Option<&'a [u8]>>,
}

impl Filled<'_> {
    /// The memory of an operand, and its bytes there.
    #[inline]
    fn place<'b>(&'b self, operand: &'b Operand) -> (&'b super::Memory, Range<usize>) {
        let other = operand.slot.and_then(|(slot, delta)| Some((self.tensors[slot]?, delta)));
        let (memory, start) = match other {
            None => (operand.tensor.memory(), operand.tensor.offset()),
            Some((tensor, delta)) => (tensor.memory(), tensor.offset() + delta),
        };
        (memory, start..start + operand.tensor.bytes())
    }

    /// The tensor of an operand.
    fn tensor(&self, operand: &Operand) -> Result<Tensor, Error> {
        let (memory, range) = self.place(operand);
        operand.tensor.moved(memory, range.start)
    }

    /// The tensor of a check.
    fn part(&self, operands: &[Operand], part: &Part) -> Result<Tensor, Error> {
        let (memory, range) = self.place(&operands[part.operand as usize]);
        part.tensor.moved(memory, range.start)
    }
}

impl Graph {
    /// Records the launches of a closure. Nothing runs. The closure's result is returned with the graph.
    ///
    /// # Errors
    ///
    /// The closure's error.
    ///
    /// ```
    /// use aruminium::infer::Graph;
    /// let (graph, slot) = Graph::record(|stream| stream.byte_slot())?;
    /// assert_eq!(graph.nodes().count(), 0);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn record<R>(
        record: impl FnOnce(&mut Stream) -> Result<R, Error>,
    ) -> Result<(Self, R), Error> {
        let mut stream = Stream::recorder();
        let result = record(&mut stream)?;
        let recorded = stream.into_recorder().unwrap_or_default();
        let plan = Plan::of(&recorded);
        Ok((Self { recorded, plan }, result))
    }

    /// Makes the kernels of the operations that a closure records; returns those that could not be made, each once.
    pub(super) fn warm(
        record: impl FnOnce(&mut Stream) -> Result<(), Error>,
    ) -> Result<Vec<WarmFailure>, Error> {
        let mut stream = Stream::warming();
        record(&mut stream)?;
        let recorder = stream.into_recorder().unwrap_or_default();
        let mut failures = recorder.failures.unwrap_or_default();
        failures.sort_by(|one, other| one.source.cmp(&other.source));
        failures.dedup_by(|one, other| one.source == other.source);
        Ok(failures)
    }

    /// Runs the graph in command buffers of its own, with other tensors and bytes in slots. A slot that is not listed has
    /// what it was recorded with.
    ///
    /// # Errors
    ///
    /// As for [`Stream::replay`] and [`Stream::submit`].
    ///
    /// ```
    /// use aruminium::infer::Graph;
    /// let gpu = aruminium::Gpu::open()?;
    /// let (graph, ()) = Graph::record(|_| Ok(()))?;
    /// graph.replay(&gpu, &gpu.new_command_queue()?, &[], &[])?.wait()?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn replay(
        &self,
        gpu: &Gpu,
        queue: &Queue,
        slots: &[(Slot, &Tensor)],
        bytes: &[(ByteSlot, &[u8])],
    ) -> Result<Running, Error> {
        let mut stream = Stream::new(gpu, queue);
        stream.replay(self, slots, bytes)?;
        stream.submit()
    }

    /// Checks the tensors and bytes for the slots.
    fn fill<'a>(
        &self,
        slots: &[(Slot, &'a Tensor)],
        bytes: &[(ByteSlot, &'a [u8])],
    ) -> Result<Filled<'a>, Error> {
        let recorded = &self.recorded;
        let mut filled = Filled {
            tensors: vec![None; recorded.slots.len()],
            bytes: vec![None; recorded.byte_slots.len()],
        };
        for &(slot, tensor) in slots {
            let own = recorded.slots.get(slot.index).filter(|_| slot.graph == recorded.id);
            let own = own.ok_or_else(|| Error::Shape("a slot is not one of this graph".into()))?;
            if !own.has_layout_of(tensor) {
                return Err(Error::Shape(format!(
                    "slot {} was recorded with {own:?}, and {tensor:?} has another type, shape or strides",
                    slot.index
                )));
            }
            for operand in &recorded.operands {
                let Some((_, delta)) = operand.slot.filter(|part| part.0 == slot.index) else {
                    continue;
                };
                let offset = tensor.offset() + delta;
                if !offset.is_multiple_of(operand.align) {
                    return Err(Error::Shape(format!(
                        "slot {}: a kernel uses {tensor:?} from the offset {offset}, which is not a multiple of {}",
                        slot.index, operand.align
                    )));
                }
                if operand.written && tensor.memory().is_read_only() {
                    return Err(Error::Shape(format!(
                        "slot {}: a kernel may write {tensor:?}, whose memory can only be read",
                        slot.index
                    )));
                }
            }
            filled.tensors[slot.index] = Some(tensor);
        }
        for &(slot, bytes) in bytes {
            let size = recorded.byte_slots.get(slot.index).filter(|_| slot.graph == recorded.id);
            let size =
                *size.ok_or_else(|| Error::Shape("a byte slot is not one of this graph".into()))?;
            if size != bytes.len() {
                return Err(Error::Shape(format!(
                    "byte slot {} was recorded with {size} bytes, and {} were passed",
                    slot.index,
                    bytes.len()
                )));
            }
            filled.bytes[slot.index] = Some(bytes);
        }
        Ok(filled)
    }

    /// Records the graph into a stream.
    pub(super) fn encode(
        &self,
        live: &mut Live,
        log: &mut Log,
        slots: &[(Slot, &Tensor)],
        bytes: &[(ByteSlot, &[u8])],
    ) -> Result<(), Error> {
        let filled = self.fill(slots, bytes)?;
        let as_recorded = slots.is_empty()
            || (self.plan.isolated && isolated(&self.recorded, |slot| filled.tensors[slot]));
        if !as_recorded && self.recorded.rewritten {
            return Err(Error::Shape(
                "the graph was optimized for tensors that do not overlap, and the slots of this replay do".into(),
            ));
        }
        if !as_recorded {
            let other = |part: &Part| filled.part(&self.recorded.operands, part);
            self.recorded.checks.iter().try_for_each(|check| check.again(other))?;
        }
        // The plan has the barriers of a stream without earlier launches. If an earlier launch conflicts with one before the
        // plan's first barrier, another barrier is due: before the first node the plan can follow it, elsewhere the plan
        // would have other barriers than a new recording.
        let first = self.first_conflict(live.ranges(), &filled);
        if live.is_sampled() || !as_recorded || first.is_some_and(|node| node > 0) {
            self.encode_again(live, log, &filled)
        } else {
            self.encode_plan(live, log, &filled, first.is_some())
        }
    }

    /// The first node before the plan's first barrier that conflicts with launches before the replay.
    fn first_conflict(&self, before: &MemRanges, filled: &Filled<'_>) -> Option<usize> {
        let Recorder { nodes, operands, .. } = &self.recorded;
        let head = nodes[..self.plan.head].iter().filter(|_| !before.is_empty());
        head.enumerate().find_map(|(number, node)| {
            let place = |(operand, role): (u32, Role)| {
                let (memory, range) = filled.place(&operands[operand as usize]);
                BufferRange::at(memory, range, role)
            };
            let all = node.uses_everything().then_some(BufferRange::EVERYTHING);
            let mut uses = node.operands().map(place).chain(all);
            uses.any(|range| before.conflicts(&range)).then_some(number)
        })
    }

    /// Encodes launch by launch, with barriers where these tensors need them.
    fn encode_again(
        &self,
        live: &mut Live,
        log: &mut Log,
        filled: &Filled<'_>,
    ) -> Result<(), Error> {
        let operands = &self.recorded.operands;
        let tensors = operands.iter().map(|operand| filled.tensor(operand));
        let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        let label = log.label_number();
        for node in &self.recorded.nodes {
            match &node.command {
                Command::Barrier => live.barrier(log),
                Command::Copy { from, to } => {
                    log.replayed_under(&node.label, label);
                    live.copy(log, &tensors[*from as usize], &tensors[*to as usize])?;
                }
                Command::Launch { kernel, args, grid } => {
                    let slot = |slot: ByteSlot, bytes| filled.bytes[slot.index].unwrap_or(bytes);
                    let args: Vec<_> = args.iter().map(|arg| arg.passed(&tensors, slot)).collect();
                    log.replayed_under(&node.label, label);
                    live.launch(log, kernel, &args, *grid)?;
                    log.count(kernel, 1);
                }
            }
        }
        Ok(())
    }

    /// Encodes the steps of the plan, after a barrier if the first node needs one.
    fn encode_plan(
        &self,
        live: &mut Live,
        log: &mut Log,
        filled: &Filled<'_>,
        barrier: bool,
    ) -> Result<(), Error> {
        let Self { recorded: Recorder { nodes, operands, .. }, plan } = self;
        if plan.steps.is_empty() {
            return Ok(());
        }
        live.prepare(log)?;
        if barrier {
            live.barrier(log);
        } else if plan.head > 0 && !live.ranges().is_empty() {
            log.counters.barriers_avoided += 1;
        }
        let label = log.label_number();
        let places: Vec<_> = operands.iter().map(|operand| filled.place(operand)).collect();
        // The steps set kernels of their own.
        live.forget_kernel();
        if let Err(error) = self.encode_steps(live, log, filled, &places, label) {
            // Which launches are in the encoder is not known: what follows them waits for all.
            live.ranges_mut().insert(&BufferRange::EVERYTHING);
            return Err(error);
        }
        log.counters.barriers += plan.counters.barriers;
        log.counters.barriers_avoided += plan.counters.barriers_avoided;
        for &(number, count) in &plan.counts {
            let node = &nodes[number as usize];
            if let Command::Launch { kernel, .. } = &node.command {
                log.replayed_under(&node.label, label);
                live.launched(log, kernel, count);
                log.count(kernel, count);
            }
        }
        // The uses since the last barrier, for launches after the replay.
        if plan.tail > 0 {
            live.ranges_mut().reset();
        }
        // A copy has none: an encoder for launches that follows waits for it by a fence.
        let launches = nodes[plan.tail..].iter().filter(|node| node.is_launch());
        for node in launches {
            for (operand, role) in node.operands() {
                let (memory, range) = &places[operand as usize];
                live.ranges_mut().insert(&BufferRange::at(memory, range.clone(), role));
            }
            if node.uses_everything() {
                live.ranges_mut().insert(&BufferRange::EVERYTHING);
            }
        }
        Ok(())
    }

    /// Encodes the steps of the plan; `places` are those of the operands.
    fn encode_steps(
        &self,
        live: &mut Live,
        log: &mut Log,
        filled: &Filled<'_>,
        places: &[(&super::Memory, Range<usize>)],
        label: usize,
    ) -> Result<(), Error> {
        let Self { recorded: Recorder { nodes, operands, .. }, plan } = self;
        let mut steps = plan.steps.iter();
        let mut next = steps.next();
        while let Some(step) = next {
            if let Step::Copy(number) = *step {
                let node = &nodes[number as usize];
                if let Command::Copy { from, to } = node.command {
                    log.replayed_under(&node.label, label);
                    let (from, to) = (&operands[from as usize], &operands[to as usize]);
                    live.copy(log, &filled.tensor(from)?, &filled.tensor(to)?)?;
                }
                next = steps.next();
                continue;
            }
            live.compute(log)?;
            let encoder = live.encoder();
            while let Some(step) = next {
                match *step {
                    Step::Kernel(number) => {
                        if let Command::Launch { kernel, .. } = &nodes[number as usize].command {
                            encoder.bind(kernel.pipeline());
                        }
                    }
                    Step::Bind { operand, index } => {
                        let (memory, range) = &places[operand as usize];
                        encoder.bind_range(memory, range.clone(), usize::from(index));
                    }
                    Step::Bytes { start, length, index } => {
                        let bytes = &plan.bytes[start as usize..][..usize::from(length)];
                        encoder.push(bytes, usize::from(index));
                    }
                    Step::Slot { slot, start, length, index } => {
                        let recorded = &plan.bytes[start as usize..][..usize::from(length)];
                        let bytes = filled.bytes[slot as usize].unwrap_or(recorded);
                        encoder.push(bytes, usize::from(index));
                    }
                    Step::Share { bytes, index } => {
                        share(encoder, bytes as usize, usize::from(index))
                    }
                    Step::Launch(grid) => run(encoder, plan.grids[grid as usize]),
                    Step::Barrier => encoder.barrier(BarrierScope::BUFFERS),
                    Step::Copy(_) => break,
                }
                next = steps.next();
            }
        }
        Ok(())
    }

    /// The commands, in order.
    ///
    /// ```
    /// use aruminium::infer::{DType, Graph, NodeKind, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let (from, to) = (Tensor::new(&gpu, DType::U8, &[4])?, Tensor::new(&gpu, DType::U8, &[4])?);
    /// let (graph, ()) = Graph::record(|stream| stream.copy(&from, &to))?;
    /// let node = graph.nodes().next().expect("the copy");
    /// assert!(matches!(node.kind, NodeKind::Copy));
    /// assert_eq!(node.uses().len(), 2);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        let node = |(node, group): (&'_ Recorded, &u32)| Node {
            kind: match &node.command {
                Command::Launch { kernel, grid, .. } => {
                    NodeKind::Launch { kernel: kernel.clone(), grid: *grid }
                }
                Command::Copy { .. } => NodeKind::Copy,
                Command::Barrier => NodeKind::Barrier,
            },
            group: *group as usize,
            index: 0,
            graph: self,
        };
        let nodes = self.recorded.nodes.iter().zip(&self.plan.groups);
        nodes.map(node).enumerate().map(|(index, node)| Node { index, ..node })
    }

    /// The number of barriers of a replay.
    ///
    /// ```
    /// use aruminium::infer::Graph;
    /// assert_eq!(Graph::record(|_| Ok(()))?.0.barriers(), 0);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn barriers(&self) -> u64 {
        self.plan.counters.barriers
    }

    /// The dependences: pairs of numbers in the order of [`nodes`](Self::nodes), of which the second node must wait for the
    /// first. Pairs that follow from others are left out.
    ///
    /// ```
    /// use aruminium::infer::{DType, Graph, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let [a, b, c] = [(); 3].map(|_| Tensor::new(&gpu, DType::U8, &[4]));
    /// let (a, b, c) = (a?, b?, c?);
    /// let (graph, ()) = Graph::record(|stream| {
    ///     stream.copy(&a, &b)?;
    ///     stream.copy(&b, &c)?;
    ///     stream.copy(&a, &c)
    /// })?;
    /// assert_eq!(graph.edges(), [(0, 1), (1, 2)]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn edges(&self) -> Vec<(usize, usize)> {
        let uses = self.recorded.uses();
        let count = uses.len();
        // For each node, the nodes that it waits for, directly or indirectly.
        let mut before = vec![vec![false; count]; count];
        let mut edges = Vec::new();
        for second in 0..count {
            for first in (0..second).rev() {
                if !before[second][first] && depend(&uses[first], &uses[second]) {
                    edges.push((first, second));
                    let (earlier, later) = before.split_at_mut(second);
                    let all = later[0].iter_mut().zip(&earlier[first]);
                    all.for_each(|(one, other)| *one |= other);
                    later[0][first] = true;
                }
            }
        }
        edges.sort_unstable_by_key(|&(first, second)| (second, first));
        edges
    }
}

impl Recorder {
    /// The memory that each node uses.
    pub(super) fn uses(&self) -> Vec<Vec<BufferRange>> {
        self.nodes.iter().map(|node| node.ranges(&self.operands).collect()).collect()
    }
}

/// Whether one of two nodes must wait for the other.
pub(super) fn depend(first: &[BufferRange], second: &[BufferRange]) -> bool {
    first.iter().any(|range| second.iter().any(|other| range.conflicts(other)))
}
