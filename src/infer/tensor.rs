//! Tensors: memory with a type and a shape.

use super::dtype::{DType, Element};
use super::error::Error;
use super::memory::Memory;
use super::shape::Shape;
use crate::Gpu;
use crate::memory::{Pool, View, ViewMut};
use std::fmt;
use std::ops::Range;

/// An array of values with up to eight axes, the outermost first, in memory of the GPU. A clone, and a view, share
/// the memory.
///
/// ```
/// use aruminium::infer::{DType, Tensor};
/// let gpu = aruminium::Gpu::open()?;
/// let tensor = Tensor::new(&gpu, DType::F32, &[4, 2])?;
/// let row = tensor.narrow(0, 3..4)?.reshape(&[2])?;
/// row.write::<f32>()?.copy_from_slice(&[5.0, 6.0]);
/// assert_eq!(tensor.read::<f32>()?[6..], [5.0, 6.0]);
/// // The guards of the CPU are checked against each other and against kernels.
/// let reading = tensor.read::<f32>()?;
/// assert!(row.write::<f32>().is_err(), "it is being read");
/// # drop(reading);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    memory: Memory,
    dtype: DType,
    shape: Shape,
    /// Where the tensor's values begin in the memory, and how many bytes they span.
    offset: usize,
    bytes: usize,
    /// The offset of the shape's value 0, in bytes.
    base: usize,
}

impl Tensor {
    /// A contiguous tensor in new shared memory, filled with zeros.
    ///
    /// # Errors
    ///
    /// If the shape does not fit the type, or there is no memory.
    ///
    /// ```
    /// use aruminium::infer::{DType, Quant, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// assert_eq!(Tensor::new(&gpu, DType::I8, &[3, 5])?.bytes(), 15);
    /// assert!(Tensor::new(&gpu, DType::Quant(Quant::Q4_0), &[3, 5]).is_err(), "5 values are no block");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn new(gpu: &Gpu, dtype: DType, shape: &[usize]) -> Result<Self, Error> {
        let tensor = Self::for_overwrite(gpu, dtype, shape)?;
        // Metal may reuse memory of earlier buffers of the process.
        tensor.write_bytes()?.fill(0);
        Ok(tensor)
    }

    /// A contiguous tensor in new shared memory, with unspecified contents: for results.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let result = Tensor::for_overwrite(&aruminium::Gpu::open()?, DType::F32, &[16])?;
    /// assert_eq!(result.count(), 16);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn for_overwrite(gpu: &Gpu, dtype: DType, shape: &[usize]) -> Result<Self, Error> {
        Self::made(dtype, shape, |bytes| Ok(gpu.buffer(bytes)?.into()))
    }

    /// A tensor in memory that only the GPU accesses, with unspecified contents.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let hidden = Tensor::private(&aruminium::Gpu::open()?, DType::F32, &[16])?;
    /// assert!(hidden.read::<f32>().is_err());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn private(gpu: &Gpu, dtype: DType, shape: &[usize]) -> Result<Self, Error> {
        Self::made(dtype, shape, |bytes| Ok(gpu.buffer_private(bytes)?.into()))
    }

    /// A tensor in a buffer that a pool lends, with unspecified contents. The buffer returns to the pool when the
    /// last tensor over it is dropped and no command buffer uses it.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), and if the pool's limit is reached.
    ///
    /// ```
    /// use aruminium::{infer::{DType, Tensor}, memory::Pool};
    /// let pool = Pool::new(&aruminium::Gpu::open()?, Default::default());
    /// let scratch = Tensor::in_pool(&pool, DType::F32, &[1000])?;
    /// drop(scratch);
    /// assert_eq!(pool.stat().lent, 0);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn in_pool(pool: &Pool, dtype: DType, shape: &[usize]) -> Result<Self, Error> {
        Self::made(dtype, shape, |bytes| Ok(pool.take(bytes)?.into()))
    }

    /// A contiguous tensor with a copy of values.
    ///
    /// # Errors
    ///
    /// If the shape has another number of values, or there is no memory.
    ///
    /// ```
    /// use aruminium::infer::Tensor;
    /// let gpu = aruminium::Gpu::open()?;
    /// let tensor = Tensor::from_slice(&gpu, &[1u32, 2, 3], &[3])?;
    /// assert_eq!(tensor.to_vec::<u32>()?, [1, 2, 3]);
    /// assert!(Tensor::from_slice(&gpu, &[1u32, 2, 3], &[2]).is_err());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn from_slice<T: Element>(gpu: &Gpu, values: &[T], shape: &[usize]) -> Result<Self, Error> {
        let layout = Shape::new(shape, T::DTYPE)?;
        if layout.count() != values.len() {
            let (expected, found) = (layout.count(), values.len());
            return Err(Error::Shape(format!(
                "the shape {shape:?} has {expected} values, and the slice {found}"
            )));
        }
        let tensor = Self::for_overwrite(gpu, T::DTYPE, shape)?;
        tensor.write::<T>()?.copy_from_slice(values);
        Ok(tensor)
    }

    fn made(
        dtype: DType,
        shape: &[usize],
        memory: impl FnOnce(usize) -> Result<Memory, Error>,
    ) -> Result<Self, Error> {
        let layout = Shape::new(shape, dtype)?;
        // Metal has no buffers of zero bytes.
        let bytes = dtype.bytes_of(layout.extent()).unwrap_or(0).max(1);
        Self::over(&memory(bytes)?, 0, dtype, shape)
    }

    /// See [`Memory::tensor`].
    pub(super) fn over(
        memory: &Memory,
        offset: usize,
        dtype: DType,
        shape: &[usize],
    ) -> Result<Self, Error> {
        Self {
            memory: memory.clone(),
            dtype,
            shape: Shape::new(shape, dtype)?,
            offset,
            bytes: 0,
            base: offset,
        }
        .checked()
    }

    /// Computes offset and size from the shape, and checks that they are within the memory.
    fn checked(mut self) -> Result<Self, Error> {
        let dtype = self.dtype;
        let (start, extent) =
            (dtype.bytes_of(self.shape.start()), dtype.bytes_of(self.shape.extent()));
        let offset = start.and_then(|start| start.checked_add(self.base));
        let end = offset.zip(extent).and_then(|(offset, extent)| offset.checked_add(extent));
        let (Some(offset), Some(bytes), Some(end)) = (offset, extent, end) else {
            let shape = self.shape();
            return Err(Error::Shape(format!(
                "the shape {shape:?} does not consist of whole blocks of {dtype}"
            )));
        };
        let size = self.memory.size();
        if end > size {
            return Err(Error::Shape(format!(
                "a tensor of {dtype} with the shape {:?} at offset {offset} ends at byte {end}; the memory has {size}",
                self.shape()
            )));
        }
        let align = self.align();
        if !offset.is_multiple_of(align) {
            return Err(Error::Shape(format!(
                "the offset {offset} is not a multiple of {align}, the size of {dtype}"
            )));
        }
        (self.offset, self.bytes) = (offset, bytes);
        Ok(self)
    }

    /// The alignment of the offset.
    pub(super) fn align(&self) -> usize {
        if self.dtype.is_quantized() { 1 } else { self.dtype.block_bytes() }
    }

    fn with(&self, shape: Shape) -> Result<Self, Error> {
        Self { shape, ..self.clone() }.checked()
    }

    /// The same view of other memory, with its first value at an offset.
    pub(super) fn moved(&self, memory: &Memory, offset: usize) -> Result<Self, Error> {
        let (memory, shape) = (memory.clone(), self.shape.at_zero());
        Self { memory, shape, base: offset, ..*self }.checked()
    }

    /// Whether several of its values are one in memory. No other view makes values overlap.
    pub(super) fn is_broadcast(&self) -> bool {
        self.shape().iter().zip(self.strides()).any(|(&length, &stride)| length > 1 && stride == 0)
    }

    /// Whether type, shape and strides are equal.
    pub(super) fn has_layout_of(&self, other: &Self) -> bool {
        self.dtype == other.dtype && self.shape.at_zero() == other.shape.at_zero()
    }

    /// The type of the values.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[2])?;
    /// assert_eq!(tensor.dtype(), DType::F16);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    #[inline]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The lengths of the axes, the outermost first.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[2, 5])?;
    /// assert_eq!(tensor.shape(), [2, 5]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    #[inline]
    pub fn shape(&self) -> &[usize] {
        self.shape.lengths()
    }

    /// The distance of neighbours along each axis, in values.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[2, 5])?;
    /// assert_eq!(tensor.strides(), [5, 1]);
    /// assert_eq!(tensor.transpose(0, 1)?.strides(), [1, 5]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    #[inline]
    pub fn strides(&self) -> &[usize] {
        self.shape.strides()
    }

    /// The number of axes.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// assert_eq!(Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[2, 5])?.rank(), 2);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The number of values.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// assert_eq!(Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[2, 5])?.count(), 10);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn count(&self) -> usize {
        self.shape.count()
    }

    /// The number of bytes from the first value to the end of the last one.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[2, 5])?;
    /// assert_eq!((tensor.bytes(), tensor.narrow(1, 0..1)?.bytes()), (20, 12));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The offset of the first value in the memory, in bytes.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[2, 5])?;
    /// assert_eq!(tensor.narrow(0, 1..2)?.offset(), 10);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The memory that it shares with its clones and views.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[2, 5])?;
    /// assert!(tensor.memory().is_same(tensor.transpose(0, 1)?.memory()));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    #[inline]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Whether the values are next to each other, in order.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[2, 5])?;
    /// assert!(tensor.is_contiguous() && !tensor.transpose(0, 1)?.is_contiguous());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn is_contiguous(&self) -> bool {
        self.shape.is_contiguous()
    }

    /// A view of a range of one axis.
    ///
    /// # Errors
    ///
    /// If there is no such axis or range, or the range cuts a block of quantised values.
    ///
    /// ```
    /// use aruminium::infer::Tensor;
    /// let tensor = Tensor::from_slice(&aruminium::Gpu::open()?, &[1u8, 2, 3, 4, 5, 6], &[2, 3])?;
    /// assert_eq!(tensor.narrow(1, 1..3)?.to_vec::<u8>()?, [2, 3, 5, 6]);
    /// assert!(tensor.narrow(1, 1..4).is_err() && tensor.narrow(2, 0..1).is_err());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn narrow(&self, axis: usize, range: Range<usize>) -> Result<Self, Error> {
        self.with(self.shape.narrow(axis, range, self.dtype)?)
    }

    /// A view of a range of each axis.
    ///
    /// # Errors
    ///
    /// As for [`narrow`](Self::narrow), and if there are more ranges than axes.
    ///
    /// ```
    /// use aruminium::infer::Tensor;
    /// let tensor = Tensor::from_slice(&aruminium::Gpu::open()?, &[1u8, 2, 3, 4, 5, 6], &[2, 3])?;
    /// assert_eq!(tensor.view(&[1..2, 0..2])?.to_vec::<u8>()?, [4, 5]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn view(&self, ranges: &[Range<usize>]) -> Result<Self, Error> {
        let narrow = |shape: Shape, (axis, range): (usize, &Range<usize>)| {
            shape.narrow(axis, range.clone(), self.dtype)
        };
        self.with(ranges.iter().enumerate().try_fold(self.shape, narrow)?)
    }

    /// A view with another shape of the same number of values, in the same order.
    ///
    /// # Errors
    ///
    /// If the number differs, or the tensor is not contiguous.
    ///
    /// ```
    /// use aruminium::infer::Tensor;
    /// let tensor = Tensor::from_slice(&aruminium::Gpu::open()?, &[1u8, 2, 3, 4, 5, 6], &[2, 3])?;
    /// assert_eq!(tensor.reshape(&[3, 2, 1])?.shape(), [3, 2, 1]);
    /// assert!(tensor.reshape(&[5]).is_err() && tensor.transpose(0, 1)?.reshape(&[6]).is_err());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn reshape(&self, shape: &[usize]) -> Result<Self, Error> {
        self.with(self.shape.reshape(shape, self.dtype)?)
    }

    /// A view with the axes in another order: axis `i` of the view is axis `order[i]` of the tensor.
    ///
    /// # Errors
    ///
    /// If it is not an order of all axes, or moves the last axis of quantised values.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F32, &[2, 3, 4])?;
    /// assert_eq!(tensor.permute(&[2, 0, 1])?.shape(), [4, 2, 3]);
    /// assert!(tensor.permute(&[0, 0, 1]).is_err());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn permute(&self, order: &[usize]) -> Result<Self, Error> {
        self.with(self.shape.permute(order, self.dtype)?)
    }

    /// A view with two axes exchanged.
    ///
    /// # Errors
    ///
    /// As for [`permute`](Self::permute).
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F32, &[2, 3, 4])?;
    /// assert_eq!(tensor.transpose(0, 2)?.shape(), [4, 3, 2]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn transpose(&self, one: usize, other: usize) -> Result<Self, Error> {
        let mut order: Vec<usize> = (0..self.rank()).collect();
        if one.max(other) >= order.len() {
            let (axis, shape) = (one.max(other), self.shape());
            return Err(Error::Shape(format!("the shape {shape:?} has no axis {axis}")));
        }
        order.swap(one, other);
        self.permute(&order)
    }

    /// A view that repeats axes of length 1, and has new axes in front, as in NumPy.
    ///
    /// # Errors
    ///
    /// If another axis would change its length.
    ///
    /// ```
    /// use aruminium::infer::Tensor;
    /// let tensor = Tensor::from_slice(&aruminium::Gpu::open()?, &[1u8, 2], &[2, 1])?;
    /// assert_eq!(tensor.broadcast(&[2, 2, 2])?.to_vec::<u8>()?, [1, 1, 2, 2, 1, 1, 2, 2]);
    /// assert!(tensor.broadcast(&[3, 1]).is_err());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn broadcast(&self, shape: &[usize]) -> Result<Self, Error> {
        self.with(self.shape.broadcast(shape, self.dtype)?)
    }

    /// A view of a contiguous tensor's bytes as values of another type, along the last axis.
    ///
    /// # Errors
    ///
    /// If the last axis is not a whole number of the other type's values, or the tensor is not contiguous.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::from_slice(&aruminium::Gpu::open()?, &[1.0f32, 2.0], &[1, 2])?;
    /// let bits = tensor.reinterpret(DType::U16)?;
    /// assert_eq!((bits.shape(), bits.to_vec::<u16>()?), (&[1, 4][..], vec![0, 0x3f80, 0, 0x4000]));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn reinterpret(&self, dtype: DType) -> Result<Self, Error> {
        // Reshaping checks that it is contiguous.
        self.shape.reshape(self.shape(), self.dtype)?;
        let mut shape = self.shape().to_vec();
        let last = shape.last().copied().unwrap_or(1);
        let bytes = self.dtype.bytes_of(last);
        let values = bytes.and_then(|bytes| {
            let whole = bytes.checked_rem(dtype.block_bytes())? == 0;
            whole.then(|| bytes / dtype.block_bytes() * dtype.block())
        });
        let Some(values) = values else {
            return Err(Error::Shape(format!(
                "the last axis of {last} values of {} is not a whole number of {dtype}",
                self.dtype
            )));
        };
        match shape.last_mut() {
            Some(last) => *last = values,
            None => shape.push(values),
        }
        Self::over(&self.memory, self.offset, dtype, &shape)
    }

    /// The range of bytes that the CPU views, if the values have a type and are contiguous.
    fn contiguous<T: Element>(&self) -> Result<(Range<usize>, usize), Error> {
        if !T::fits(self.dtype) {
            let what = format!("values of type {} are viewed", T::DTYPE);
            return Err(Error::DType { what, found: self.dtype });
        }
        self.shape.reshape(self.shape(), self.dtype)?;
        Ok((self.offset..self.offset + self.bytes, self.count()))
    }

    fn reading<T: Element>(&self, waits: bool) -> Result<View<'_, T>, Error> {
        let (range, count) = self.contiguous::<T>()?;
        let (start, guard) = self.memory.open(range, false, waits)?;
        // SAFETY: the memory holds that many values, aligned because the offset is a multiple of their size and
        // buffers begin at multiples of 16 bytes; while the guard lives nothing writes them.
        Ok(unsafe { View::new(start.cast::<T>(), count, guard) })
    }

    fn writing<T: Element>(&self, waits: bool) -> Result<ViewMut<'_, T>, Error> {
        let (range, count) = self.contiguous::<T>()?;
        let (start, guard) = self.memory.open(range, true, waits)?;
        // SAFETY: as for reading, and while the guard lives nothing else uses them.
        Ok(unsafe { ViewMut::new(start.cast::<T>(), count, guard) })
    }

    /// The values, for the CPU to read, after the command buffers that may write them have completed.
    ///
    /// # Errors
    ///
    /// If they have another type, are not contiguous, are in private memory, or the CPU is writing them.
    ///
    /// ```
    /// use aruminium::infer::Tensor;
    /// let tensor = Tensor::from_slice(&aruminium::Gpu::open()?, &[1i32, 2], &[2])?;
    /// assert_eq!(tensor.read::<i32>()?.iter().sum::<i32>(), 3);
    /// assert!(tensor.read::<u32>().is_err());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn read<T: Element>(&self) -> Result<View<'_, T>, Error> {
        self.reading(true)
    }

    /// The values, for the CPU to write, after the command buffers that use them have completed.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read), and if the CPU is reading them or the memory can only be read.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::I32, &[2])?;
    /// tensor.write::<i32>()?.fill(7);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn write<T: Element>(&self) -> Result<ViewMut<'_, T>, Error> {
        self.writing(true)
    }

    /// [`read`](Self::read), or an error if it would have to wait.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read), and if a command buffer that may write the values is in flight.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::I32, &[2])?;
    /// assert_eq!(tensor.try_read::<i32>()?[0], 0);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn try_read<T: Element>(&self) -> Result<View<'_, T>, Error> {
        self.reading(false)
    }

    /// [`write`](Self::write), or an error if it would have to wait.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write), and if a command buffer that uses the values is in flight.
    ///
    /// ```
    /// use aruminium::infer::{DType, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::I32, &[2])?;
    /// tensor.try_write::<i32>()?[0] = 1;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn try_write<T: Element>(&self) -> Result<ViewMut<'_, T>, Error> {
        self.writing(false)
    }

    /// The bytes from the first value to the last one, of any type and strides, for the CPU to read.
    ///
    /// # Errors
    ///
    /// If they are in private memory, or the CPU is writing them.
    ///
    /// ```
    /// use aruminium::infer::{DType, Quant, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::Quant(Quant::Q8_0), &[64])?;
    /// assert_eq!(tensor.read_bytes()?.len(), 68);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn read_bytes(&self) -> Result<View<'_, u8>, Error> {
        let (start, guard) =
            self.memory.open(self.offset..self.offset + self.bytes, false, true)?;
        // SAFETY: the memory holds that many bytes; while the guard lives nothing writes them.
        Ok(unsafe { View::new(start, self.bytes, guard) })
    }

    /// The bytes from the first value to the last one, for the CPU to write.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write), whatever the type and strides are.
    ///
    /// ```
    /// use aruminium::infer::{DType, Quant, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::Quant(Quant::Q8_0), &[64])?;
    /// tensor.write_bytes()?.fill(1);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn write_bytes(&self) -> Result<ViewMut<'_, u8>, Error> {
        let (start, guard) = self.memory.open(self.offset..self.offset + self.bytes, true, true)?;
        // SAFETY: as for reading, and while the guard lives nothing else uses them.
        Ok(unsafe { ViewMut::new(start, self.bytes, guard) })
    }

    /// A copy of the values in order, whatever the strides are.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read), but it may have any strides.
    ///
    /// ```
    /// use aruminium::infer::Tensor;
    /// let tensor = Tensor::from_slice(&aruminium::Gpu::open()?, &[1u8, 2, 3, 4], &[2, 2])?;
    /// assert_eq!(tensor.transpose(0, 1)?.to_vec::<u8>()?, [1, 3, 2, 4]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, Error> {
        if self.is_contiguous() {
            return Ok(self.read::<T>()?.to_vec());
        }
        // All values between the first one and the last one, as one axis.
        let shape = Shape::new(&[self.shape.extent()], self.dtype)?;
        let all = Self { shape, base: self.offset, ..self.clone() };
        let all = all.read::<T>()?;
        Ok(self.shape.offsets().map(|offset| all[offset - self.shape.start()]).collect())
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dtype, offset, .. } = self;
        let (shape, strides) = (self.shape(), self.strides());
        write!(f, "Tensor({dtype} {shape:?}, strides {strides:?}, offset {offset})")
    }
}
