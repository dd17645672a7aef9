//! The recording of a graph: launches as data.

use super::checks::{Apart, Check, Checked, Part};
use super::error::Error;
use super::graph::{ByteSlot, Slot};
use super::kernels::{Kernel, WarmFailure};
use super::launch::{Arg, Grid};
use super::overlap::{covers, overlap};
use super::ranges::{BufferRange, Role};
use super::tensor::Tensor;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The commands of a graph, in order.
#[derive(Debug)]
pub(super) struct Recorder {
    /// A unique number of the graph, by which slots of other graphs are recognised.
    pub(super) id: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) operands: Vec<Operand>,
    /// The operands by address and size.
    known: HashMap<(u64, usize), u32>,
    pub(super) slots: Vec<Tensor>,
    /// The sizes of byte slots; 0 until one is used.
    pub(super) byte_slots: Vec<usize>,
    pub(super) scratch: Vec<BufferRange>,
    /// The checks that replays make again if their tensors overlap, in order.
    pub(super) checks: Vec<Check>,
    /// The kernels that could not be made, if the recording is one of [`Ops::warm`](super::Ops::warm).
    pub(super) failures: Option<Vec<WarmFailure>>,
    /// Whether its nodes have another order than when they were recorded.
    pub(super) rewritten: bool,
}

/// One command.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) label: Arc<str>,
    pub(super) command: Command,
}

#[derive(Clone, Debug)]
pub(super) enum Command {
    Launch { kernel: Kernel, args: Vec<NodeArg>, grid: Grid },
    Copy { from: u32, to: u32 },
    Barrier,
}

/// An argument of a launch.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NodeArg {
    Operand(u32),
    Bytes(Box<[u8]>),
    Slot(ByteSlot, Box<[u8]>),
    Shared(usize),
}

/// A range of memory that launches bind.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) tensor: Tensor,
    /// The slot that it is a part of, and its offset there.
    pub(super) slot: Option<(usize, usize)>,
    /// The alignment that its offset must have.
    pub(super) align: usize,
    /// Whether a launch or a copy may write it.
    pub(super) written: bool,
}

impl Default for Recorder {
    fn default() -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            nodes: Vec::new(),
            operands: Vec::new(),
            known: HashMap::new(),
            slots: Vec::new(),
            byte_slots: Vec::new(),
            scratch: Vec::new(),
            checks: Vec::new(),
            failures: None,
            rewritten: false,
        }
    }
}

impl Operand {
    /// Adds the needs of another use of it.
    pub(super) fn add_use(&mut self, align: usize, written: bool) {
        self.align = self.align.max(align);
        self.written |= written;
    }
}

/// The error of a copy.
pub(super) const COPY_OVERLAPS: &str = "the source and the target of a copy overlap";

impl Recorder {
    fn push(&mut self, label: &str, command: Command) {
        let label = match self.nodes.last() {
            Some(last) if *last.label == *label => Arc::clone(&last.label),
            _ => label.into(),
        };
        self.nodes.push(Node { label, command });
    }

    /// The slot that a tensor is a view of.
    ///
    /// # Errors
    ///
    /// If it overlaps a slot and is no view of it: a replay could not say which bytes to replace.
    fn slot_of(&self, tensor: &Tensor) -> Result<Option<usize>, Error> {
        let Some(index) = self.slots.iter().position(|slot| overlap(slot, tensor)) else {
            return Ok(None);
        };
        let slot = &self.slots[index];
        let inside = covers(slot, tensor);
        if inside && slot.memory().is_same(tensor.memory()) {
            return Ok(Some(index));
        }
        let what = if inside {
            "is other memory over the same bytes: launch with views of the slot's tensor"
        } else {
            "is not a part of it: launch with views of the slot's tensor, or declare the whole tensor as the slot"
        };
        Err(Error::Shape(format!("{tensor:?} overlaps slot {index}, {slot:?}, and {what}")))
    }

    /// The operand of a tensor's bytes. Its alignment is that of the tensor's type, too, because operands of the same bytes
    /// are one: other memory for it must be aligned for each type under which it was recorded.
    fn operand(&mut self, tensor: &Tensor, align: usize, written: bool) -> Result<u32, Error> {
        let slot = self.slot_of(tensor)?;
        let key = (tensor.memory().address() + tensor.offset() as u64, tensor.bytes());
        let index = *self.known.entry(key).or_insert_with(|| {
            let slot = slot.map(|index| (index, tensor.offset() - self.slots[index].offset()));
            self.operands.push(Operand { tensor: tensor.clone(), slot, align: 1, written: false });
            self.operands.len() as u32 - 1
        });
        self.operands[index as usize].add_use(align.max(tensor.align()), written);
        Ok(index)
    }

    /// Checks that tensors that overlap slots are views of them.
    fn check_slots(&self, args: &[Arg<'_>]) -> Result<(), Error> {
        args.iter().try_for_each(|arg| match arg {
            Arg::Tensor(tensor) => self.slot_of(tensor).map(|_| ()),
            _ => Ok(()),
        })
    }

    /// Records the launches of an operation, which were checked, and their checks.
    pub(super) fn operation(
        &mut self,
        launches: &[Checked<'_>],
        apart: &[Apart<'_>],
        label: &str,
    ) -> Result<(), Error> {
        launches.iter().try_for_each(|launch| self.check_slots(launch.args))?;
        for launch in launches {
            self.launch(launch.kernel, launch.args, launch.grid, label)?;
        }
        for apart in apart {
            let check = match *apart {
                Apart::Pair { tensors: [one, other], why } => {
                    Check::Pair { parts: Box::new([self.part(one)?, self.part(other)?]), why }
                }
                Apart::InOrder { op, from, to } => {
                    let from = from.iter().map(|tensor| self.part(tensor));
                    let from = from.collect::<Result<_, _>>()?;
                    let to = to.iter().map(|tensor| self.part(tensor));
                    Check::InOrder { op, from, to: to.collect::<Result<_, _>>()? }
                }
            };
            self.checks.push(check);
        }
        for &Checked { kernel, args, in_place, .. } in launches {
            let args = args.iter().map(|arg| match *arg {
                Arg::Tensor(tensor) => self.part(tensor).map(Some),
                _ => Ok(None),
            });
            let args = args.collect::<Result<_, Error>>()?;
            self.checks.push(Check::Results { kernel: kernel.clone(), args, in_place });
        }
        Ok(())
    }

    fn part(&mut self, tensor: &Tensor) -> Result<Part, Error> {
        Ok(Part { operand: self.operand(tensor, 1, false)?, tensor: tensor.clone() })
    }

    pub(super) fn launch(
        &mut self,
        kernel: &Kernel,
        args: &[Arg<'_>],
        grid: Grid,
        label: &str,
    ) -> Result<(), Error> {
        // Everything is checked before anything is recorded.
        self.check_slots(args)?;
        let mut byte_slots = self.byte_slots.clone();
        for (slot, bytes) in args.iter().filter_map(Arg::slot) {
            let size = byte_slots.get_mut(slot.index).filter(|_| slot.graph == self.id);
            let size =
                size.ok_or_else(|| Error::Shape("a byte slot is not one of this graph".into()))?;
            if *size != 0 && *size != bytes.len() {
                let (index, found) = (slot.index, bytes.len());
                return Err(Error::Shape(format!(
                    "byte slot {index} has {size} bytes, and {found} were passed"
                )));
            }
            *size = bytes.len();
        }
        self.byte_slots = byte_slots;
        let parameters = &kernel.parameters().list;
        let args = parameters.iter().zip(args).map(|(parameter, arg)| {
            Ok(match *arg {
                Arg::Tensor(tensor) => {
                    NodeArg::Operand(self.operand(tensor, parameter.align, parameter.written)?)
                }
                Arg::Bytes(bytes) => NodeArg::Bytes(bytes.into()),
                Arg::Slot(slot, bytes) => NodeArg::Slot(slot, bytes.into()),
                Arg::Shared(bytes) => NodeArg::Shared(bytes),
            })
        });
        let args = args.collect::<Result<_, Error>>()?;
        self.push(label, Command::Launch { kernel: kernel.clone(), args, grid });
        Ok(())
    }

    pub(super) fn copy(&mut self, from: &Tensor, to: &Tensor, label: &str) -> Result<(), Error> {
        self.slot_of(to)?;
        let copy =
            Command::Copy { from: self.operand(from, 1, false)?, to: self.operand(to, 1, true)? };
        self.push(label, copy);
        let parts = Box::new([self.part(from)?, self.part(to)?]);
        self.checks.push(Check::Pair { parts, why: COPY_OVERLAPS });
        Ok(())
    }

    pub(super) fn barrier(&mut self) {
        self.push("", Command::Barrier);
    }

    pub(super) fn slot(&mut self, tensor: &Tensor) -> Result<Slot, Error> {
        let overlaps = |other: &Tensor| overlap(other, tensor);
        let bound = self.operands.iter().any(|operand| overlaps(&operand.tensor));
        if bound || self.slots.iter().any(overlaps) {
            let what = if bound {
                "a launch before it uses its memory"
            } else {
                "it overlaps another slot"
            };
            return Err(Error::Shape(format!("{tensor:?} cannot be a slot: {what}")));
        }
        self.slots.push(tensor.clone());
        Ok(Slot { graph: self.id, index: self.slots.len() - 1 })
    }

    pub(super) fn byte_slot(&mut self) -> ByteSlot {
        self.byte_slots.push(0);
        ByteSlot { graph: self.id, index: self.byte_slots.len() - 1 }
    }

    pub(super) fn scratch(&mut self, tensor: &Tensor) {
        self.scratch.push(BufferRange::of(tensor, Role::Write));
    }
}

impl NodeArg {
    /// The argument as a launch passes it, with the tensors of the operands and the bytes of slots.
    pub(super) fn passed<'a>(
        &'a self,
        tensors: &'a [Tensor],
        slot: impl FnOnce(ByteSlot, &'a [u8]) -> &'a [u8],
    ) -> Arg<'a> {
        match self {
            Self::Operand(operand) => Arg::Tensor(&tensors[*operand as usize]),
            Self::Bytes(bytes) => Arg::Bytes(bytes),
            Self::Slot(number, bytes) => Arg::Bytes(slot(*number, bytes)),
            Self::Shared(bytes) => Arg::Shared(*bytes),
        }
    }
}

impl Node {
    /// The operands that it uses, and how.
    pub(super) fn operands(&self) -> impl Iterator<Item = (u32, Role)> + '_ {
        let (args, kernel, copy) = match &self.command {
            Command::Launch { kernel, args, .. } => (args.as_slice(), Some(kernel), None),
            Command::Copy { from, to } => {
                (&[][..], None, Some([(*from, Role::Read), (*to, Role::Write)]))
            }
            Command::Barrier => (&[][..], None, None),
        };
        let parameters = kernel.map_or(&[][..], |kernel| &kernel.parameters().list);
        let launch = parameters.iter().zip(args).filter_map(|(parameter, arg)| match arg {
            NodeArg::Operand(operand) => {
                Some((*operand, if parameter.written { Role::Write } else { Role::Read }))
            }
            _ => None,
        });
        launch.chain(copy.into_iter().flatten())
    }

    pub(super) fn is_launch(&self) -> bool {
        matches!(self.command, Command::Launch { .. })
    }

    /// Whether it uses memory that is not bound, or orders everything.
    pub(super) fn uses_everything(&self) -> bool {
        match &self.command {
            Command::Launch { kernel, .. } => kernel.parameters().indirect,
            Command::Copy { .. } => false,
            Command::Barrier => true,
        }
    }

    /// The ranges of memory that it uses.
    pub(super) fn ranges<'a>(
        &'a self,
        operands: &'a [Operand],
    ) -> impl Iterator<Item = BufferRange> + 'a {
        let all = self.uses_everything().then_some(BufferRange::EVERYTHING);
        let each = self.operands();
        each.map(|(operand, role)| BufferRange::of(&operands[operand as usize].tensor, role))
            .chain(all)
    }
}
