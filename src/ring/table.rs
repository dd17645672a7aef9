//! Tables in shared memory that host and device use in turns.

use super::error::RingError;
use super::message::{bytes_of, value_of};
use crate::{Buffer, Gpu, Plain};
use std::marker::PhantomData;
use std::sync::Arc;

/// Values in a shared buffer.
///
/// The host's side of it belongs to the ring's state, which a lock guards. While launches are in flight the
/// state accesses only slots that those launches do not: the free ones of lanes that the host fills, and
/// the full ones of lanes that it empties.
#[derive(Debug)]
pub(super) struct Table<T> {
    buffer: Arc<Buffer>,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Plain> Table<T> {
    /// Zeroed values.
    pub(super) fn new(gpu: &Gpu, len: usize) -> Result<Self, RingError> {
        let len = len.max(1);
        let bytes = len.checked_mul(size_of::<T>()).ok_or_else(|| {
            RingError::Invalid(format!(
                "a table of {len} values of {} bytes is too large",
                size_of::<T>()
            ))
        })?;
        Ok(Self { buffer: Arc::new(gpu.buffer(bytes)?), len, values: PhantomData })
    }

    pub(super) fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    /// The address of `count` values from an index on.
    fn at(&self, index: usize, count: usize) -> *mut T {
        let end = index.checked_add(count);
        assert!(end.is_some_and(|end| end <= self.len), "value {index} of {}", self.len);
        // SAFETY: the index is within the buffer.
        unsafe { self.buffer.contents().cast::<T>().add(index) }
    }

    pub(super) fn get(&self, index: usize) -> T {
        // SAFETY: within the buffer, which is aligned for every plain type; no launch in flight writes it.
        unsafe { self.at(index, 1).read() }
    }

    pub(super) fn set(&mut self, index: usize, value: T) {
        // SAFETY: as for `get`, and no launch in flight reads it.
        unsafe { self.at(index, 1).write(value) }
    }

    pub(super) fn update(&mut self, index: usize, change: impl FnOnce(&mut T)) {
        let mut value = self.get(index);
        change(&mut value);
        self.set(index, value);
    }

    pub(super) fn read(&self, index: usize, count: usize) -> Vec<T> {
        let start = self.at(index, count);
        // SAFETY: as for `get`; the slice is only used here.
        unsafe { std::slice::from_raw_parts(start, count) }.to_vec()
    }

    pub(super) fn write(&mut self, index: usize, values: &[T]) {
        // SAFETY: as for `set`; the buffer does not overlap a slice of Rust's memory.
        unsafe {
            self.at(index, values.len()).copy_from_nonoverlapping(values.as_ptr(), values.len())
        }
    }

    /// Makes room for `len` values at least, with the same contents. No launch is in flight.
    pub(super) fn reserve(&mut self, gpu: &Gpu, len: usize) -> Result<(), RingError> {
        if len > self.len {
            let larger = Self::new(gpu, len.max(self.len.saturating_mul(2)))?;
            // SAFETY: both buffers have `self.len` values, and nothing else uses them.
            unsafe {
                larger.at(0, self.len).copy_from_nonoverlapping(self.at(0, self.len), self.len)
            }
            *self = larger;
        }
        Ok(())
    }
}

impl Table<u8> {
    /// The value at an offset in bytes.
    pub(super) fn value<V: Plain>(&self, offset: usize) -> V {
        let start = self.at(offset, size_of::<V>());
        // SAFETY: as for `get`.
        value_of(unsafe { std::slice::from_raw_parts(start, size_of::<V>()) })
    }

    pub(super) fn set_value<V: Plain>(&mut self, offset: usize, value: &V) {
        self.write(offset, bytes_of(value));
    }
}
