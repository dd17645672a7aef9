//! Checks of an operation's launches that depend on which tensors overlap. A graph keeps them, for replays with other tensors.

use super::error::Error;
use super::kernels::Kernel;
use super::launch::{Arg, Grid, InPlace};
use super::overlap::overlap;
use super::tensor::Tensor;

/// A launch of an operation. Its kernel computes addresses from strides, so its results must not overlap other arguments,
/// except those that `in_place` lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) args: &'a [Arg<'a>],
    pub(super) grid: Grid,
    pub(super) in_place: InPlace,
}

impl Checked<'_> {
    pub(super) fn check(&self) -> Result<(), Error> {
        let (parameters, name) = (self.kernel.parameters(), self.kernel.name());
        parameters.check_results(name, self.args, self.in_place)?;
        parameters.check(name, self.args, &self.grid)
    }
}

/// Tensors of commands that follow each other, which must have no bytes in common.
#[derive(Clone, Copy, Debug)]
pub(super) enum Apart<'a> {
    /// Two tensors, and the message if they overlap.
    Pair { tensors: [&'a Tensor; 2], why: &'static str },
    /// The parts that an operation reads and the targets that it writes, one after the other: no part may overlap the target
    /// of an earlier one.
    InOrder { op: &'static str, from: &'a [&'a Tensor], to: &'a [Tensor] },
}

impl Apart<'_> {
    pub(super) fn check(&self) -> Result<(), Error> {
        match *self {
            Self::Pair { tensors: [one, other], why } if overlap(one, other) => {
                Err(Error::Shape(why.into()))
            }
            Self::Pair { .. } => Ok(()),
            Self::InOrder { op, from, to } => {
                from.iter().enumerate().try_for_each(|(nth, part)| {
                    match to[..nth].iter().position(|target| overlap(part, target)) {
                        Some(target) => Err(Error::Shape(format!(
                            "{op}: part {nth} overlaps the target of part {target}"
                        ))),
                        None => Ok(()),
                    }
                })
            }
        }
    }
}

/// A tensor of a recorded check. Operands of a graph are ranges of bytes; this also has shape and strides.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) operand: u32,
    pub(super) tensor: Tensor,
}

/// A check of a recording.
#[derive(Debug)]
pub(super) enum Check {
    /// The results of a launch; other arguments than tensors are `None`.
    Results { kernel: Kernel, args: Vec<Option<Part>>, in_place: InPlace },
    /// Two tensors that must be apart.
    Pair { parts: Box<[Part; 2]>, why: &'static str },
    /// Parts that must be apart from targets of earlier ones.
    InOrder { op: &'static str, from: Box<[Part]>, to: Box<[Part]> },
}

impl Check {
    /// The check with other tensors.
    pub(super) fn again(
        &self,
        other: impl Fn(&Part) -> Result<Tensor, Error>,
    ) -> Result<(), Error> {
        match self {
            Self::Results { kernel, args, in_place } => {
                let tensors = args.iter().map(|part| part.as_ref().map(&other).transpose());
                let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
                // Only tensors are compared.
                let args = tensors.iter().map(|t| t.as_ref().map_or(Arg::Bytes(&[]), Arg::Tensor));
                let args: Vec<Arg<'_>> = args.collect();
                kernel.parameters().check_results(kernel.name(), &args, in_place)
            }
            Self::Pair { parts, why } => {
                let [one, two] = &**parts;
                Apart::Pair { tensors: [&other(one)?, &other(two)?], why }.check()
            }
            Self::InOrder { op, from, to } => {
                let from = from.iter().map(&other).collect::<Result<Vec<_>, _>>()?;
                let to = to.iter().map(&other).collect::<Result<Vec<_>, _>>()?;
                let from: Vec<&Tensor> = from.iter().collect();
                Apart::InOrder { op, from: &from, to: &to }.check()
            }
        }
    }
}
