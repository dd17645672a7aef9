//! Shapes and strides, counted in values.

use super::dtype::DType;
use super::error::Error;
use std::ops::Range;

/// The most axes that a tensor can have.
pub(super) const MAX_RANK: usize = 8;

/// Lengths and strides of up to [`MAX_RANK`] axes, the outermost first, and where the first value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    rank: u8,
    lengths: [usize; MAX_RANK],
    strides: [usize; MAX_RANK],
    /// The offset of the first value, in values.
    start: usize,
}

impl Shape {
    /// Contiguous axes.
    pub(super) fn new(lengths: &[usize], dtype: DType) -> Result<Self, Error> {
        if lengths.len() > MAX_RANK {
            let rank = lengths.len();
            return Err(Error::Shape(format!(
                "the shape {lengths:?} has {rank} axes; at most {MAX_RANK} are supported"
            )));
        }
        if dtype.block() == 0 {
            return Err(Error::DType {
                what: "the size of the values is unknown".into(),
                found: dtype,
            });
        }
        let last = lengths.last().copied().unwrap_or(1);
        if !last.is_multiple_of(dtype.block()) {
            let block = dtype.block();
            return Err(Error::Shape(format!(
                "the last axis of the shape {lengths:?} is not a multiple of {block}, the block of {dtype}"
            )));
        }
        let count = lengths.iter().try_fold(1usize, |count, &n| count.checked_mul(n.max(1)));
        let whole = count.and_then(|count| count.checked_next_multiple_of(dtype.block()));
        if whole.and_then(|count| dtype.bytes_of(count)).is_none() {
            return Err(Error::Shape(format!(
                "a tensor of {dtype} with the shape {lengths:?} is larger than an address space"
            )));
        }
        let mut shape = Self {
            rank: lengths.len() as u8,
            lengths: [1; MAX_RANK],
            strides: [0; MAX_RANK],
            start: 0,
        };
        shape.lengths[..lengths.len()].copy_from_slice(lengths);
        let mut stride = 1;
        for axis in (0..lengths.len()).rev() {
            shape.strides[axis] = stride;
            stride *= lengths[axis].max(1);
        }
        Ok(shape)
    }

    #[inline]
    pub(super) fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    #[inline]
    pub(super) fn lengths(&self) -> &[usize] {
        &self.lengths[..self.rank()]
    }

    #[inline]
    pub(super) fn strides(&self) -> &[usize] {
        &self.strides[..self.rank()]
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// The same axes, with the first value at the start.
    pub(super) fn at_zero(&self) -> Self {
        Self { start: 0, ..*self }
    }

    /// The number of values.
    pub(super) fn count(&self) -> usize {
        self.lengths().iter().product()
    }

    /// The number of values from the first to the last one, those between them that are not its own included.
    pub(super) fn extent(&self) -> usize {
        if self.count() == 0 {
            return 0;
        }
        let last = self.lengths().iter().zip(self.strides()).map(|(n, stride)| (n - 1) * stride);
        1 + last.sum::<usize>()
    }

    pub(super) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        let axes = self.lengths().iter().zip(self.strides()).rev();
        for (&length, &stride) in axes {
            if length != 1 && stride != expected {
                return false;
            }
            expected *= length.max(1);
        }
        true
    }

    fn axis(&self, axis: usize) -> Result<usize, Error> {
        if axis < self.rank() {
            return Ok(axis);
        }
        let lengths = self.lengths();
        Err(Error::Shape(format!("the shape {lengths:?} has no axis {axis}")))
    }

    /// A range of an axis.
    pub(super) fn narrow(
        &self,
        axis: usize,
        range: Range<usize>,
        dtype: DType,
    ) -> Result<Self, Error> {
        let axis = self.axis(axis)?;
        let length = self.lengths[axis];
        if range.start > range.end || range.end > length {
            let lengths = self.lengths();
            return Err(Error::Shape(format!(
                "the range {range:?} is not within axis {axis} of the shape {lengths:?}"
            )));
        }
        let block = dtype.block();
        if axis + 1 == self.rank()
            && !(range.start.is_multiple_of(block) && range.len().is_multiple_of(block))
        {
            return Err(Error::Shape(format!(
                "the range {range:?} does not consist of whole blocks of {block} values"
            )));
        }
        let mut shape = *self;
        shape.start += range.start * self.strides[axis];
        shape.lengths[axis] = range.len();
        Ok(shape)
    }

    /// Other lengths for the same values in the same order.
    pub(super) fn reshape(&self, lengths: &[usize], dtype: DType) -> Result<Self, Error> {
        let mut shape = Self::new(lengths, dtype)?;
        if shape.count() != self.count() {
            let (old, new) = (self.count(), shape.count());
            let own = self.lengths();
            return Err(Error::Shape(format!(
                "the shape {lengths:?} has {new} values, and the shape {own:?} has {old}"
            )));
        }
        if !self.is_contiguous() {
            let (own, strides) = (self.lengths(), self.strides());
            return Err(Error::Shape(format!(
                "a view with the shape {own:?} and the strides {strides:?} is not contiguous: copy it first"
            )));
        }
        shape.start = self.start;
        Ok(shape)
    }

    /// The axes in another order.
    pub(super) fn permute(&self, order: &[usize], dtype: DType) -> Result<Self, Error> {
        let rank = self.rank();
        let mut shape = *self;
        let mut seen = [false; MAX_RANK];
        for (to, &from) in order.iter().enumerate() {
            if from >= rank || std::mem::replace(&mut seen[from], true) || to >= rank {
                return Err(Error::Shape(format!("{order:?} is not an order of {rank} axes")));
            }
            (shape.lengths[to], shape.strides[to]) = (self.lengths[from], self.strides[from]);
        }
        if order.len() != rank {
            return Err(Error::Shape(format!("{order:?} is not an order of {rank} axes")));
        }
        if dtype.is_quantized() && order.last().is_some_and(|&last| last + 1 != rank) {
            return Err(Error::Shape(format!("the last axis of {dtype} values cannot move")));
        }
        Ok(shape)
    }

    /// Axes of length 1 repeated, and new axes in front, as in NumPy.
    pub(super) fn broadcast(&self, lengths: &[usize], dtype: DType) -> Result<Self, Error> {
        let own = self.lengths();
        let mismatch =
            || Error::Shape(format!("the shape {own:?} cannot be broadcast to {lengths:?}"));
        let front = lengths.len().checked_sub(self.rank()).ok_or_else(mismatch)?;
        let mut shape = Self::new(lengths, dtype)?;
        shape.start = self.start;
        shape.strides[..front].fill(0);
        for axis in front..lengths.len() {
            let (length, stride) = (own[axis - front], self.strides[axis - front]);
            shape.strides[axis] = match length == lengths[axis] {
                true => stride,
                false if length == 1 => 0,
                false => return Err(mismatch()),
            };
        }
        Ok(shape)
    }

    /// The offset of every value, in order.
    pub(super) fn offsets(&self) -> impl Iterator<Item = usize> {
        let shape = *self;
        (0..shape.count()).map(move |mut index| {
            let mut offset = shape.start;
            for axis in (0..shape.rank()).rev() {
                offset += index % shape.lengths[axis] * shape.strides[axis];
                index /= shape.lengths[axis];
            }
            offset
        })
    }
}
