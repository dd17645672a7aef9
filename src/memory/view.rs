//! Guards through which the CPU uses memory.

use crate::usage::OpenView;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Memory that the CPU reads, as a slice. While the view lives nothing writes the memory.
///
/// ```
/// let block = aruminium::memory::Block::open(4096)?;
/// let view = block.view::<u32>();
/// assert!(view.iter().all(|&x| x == 0), "new memory is zeroed");
/// assert!(block.try_view_mut::<u32>().is_err(), "it is being read");
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
pub struct View<'a, T> {
    // Not a reference, which would promise that the memory stays unchanged until a function that the view is passed to
    // returns, even if the function drops the view before.
    start: *const T,
    len: usize,
    _guard: OpenView<'a>,
    _slice: PhantomData<&'a [T]>,
}

/// Memory that the CPU writes, as a mutable slice. While the view lives nothing else uses the memory.
///
/// ```
/// let block = aruminium::memory::Block::open(4096)?;
/// let mut view = block.view_mut::<f32>();
/// view[0] = 0.5;
/// assert!(block.try_view::<f32>().is_err(), "it is being written");
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
pub struct ViewMut<'a, T> {
    start: *mut T,
    len: usize,
    _guard: OpenView<'a>,
    _slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&[T]`, and a guard that any thread may drop.
unsafe impl<T: Sync> Send for View<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for View<'_, T> {}
// SAFETY: it is a `&mut [T]`, and such a guard.
unsafe impl<T: Send> Send for ViewMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for ViewMut<'_, T> {}

impl<'a, T> View<'a, T> {
    /// # Safety
    ///
    /// The memory holds `len` values, which nothing writes while the guard lives.
    pub(crate) unsafe fn new(start: *const T, len: usize, guard: OpenView<'a>) -> Self {
        Self { start, len, _guard: guard, _slice: PhantomData }
    }
}

impl<'a, T> ViewMut<'a, T> {
    /// # Safety
    ///
    /// The memory holds `len` values, which nothing else uses while the guard lives.
    pub(crate) unsafe fn new(start: *mut T, len: usize, guard: OpenView<'a>) -> Self {
        Self { start, len, _guard: guard, _slice: PhantomData }
    }
}

impl<T> Deref for View<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: by the contract of `new`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<T> Deref for ViewMut<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: by the contract of `new`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<T> DerefMut for ViewMut<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: by the contract of `new`.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl<T: fmt::Debug> fmt::Debug for View<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for ViewMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
