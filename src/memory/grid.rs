//! Cells of one size, taken and returned in any order.

use super::block::Block;
use super::deferred::DeferredCells;
use super::error::MemError;
use super::stack::{self, Stack};
use super::view::{View, ViewMut};
use crate::Plain;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

/// Cells whose size and number are chosen at run time. [`Grid`] has them in its type.
///
/// Any number of threads may take and return cells; the cell returned last is taken first.
///
/// ```
/// use aruminium::memory::Slab;
/// let slab = Slab::new(4096, 16)?;
/// let cell = slab.take().expect("there is a free cell");
/// assert_eq!((slab.free(), slab.total(), slab.cell_size()), (15, 16, 4096));
/// drop(cell);
/// assert_eq!(slab.free(), 16);
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
pub struct Slab {
    base: NonNull<u8>,
    cell: usize,
    cells: Stack,
    /// Cells that were returned while a command buffer may use them.
    deferred: DeferredCells,
    block: Block,
}

// SAFETY: the block's memory is handed out in cells that do not overlap, by atomic operations.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

/// The size of a cell is a multiple of this: a cache line.
const LINE: usize = 64;

impl Slab {
    /// Cells of `cell` bytes, a multiple of 64.
    ///
    /// # Errors
    ///
    /// For no cells, a size that is not such a multiple, or more than 16,777,215 cells; or a system error.
    ///
    /// ```
    /// use aruminium::memory::Slab;
    /// assert!(Slab::new(100, 4).unwrap_err().to_string().contains("not a multiple of 64"));
    /// assert!(Slab::new(64, 0).is_err());
    /// ```
    pub fn new(cell: usize, cells: usize) -> Result<Self, MemError> {
        if cell == 0 || cells == 0 {
            return Err(MemError::ZeroSize);
        }
        if !cell.is_multiple_of(LINE) {
            let (value, multiple) = (cell as u64, LINE as u64);
            return Err(MemError::Unaligned { what: "the size of a cell", value, multiple });
        }
        if cells > stack::LIMIT {
            let (requested, limit) = (cells as u64, stack::LIMIT as u64);
            return Err(MemError::TooLarge { what: "cells", requested, limit });
        }
        let bytes = cell.checked_mul(cells).ok_or(MemError::too_many_bytes(usize::MAX))?;
        let block = Block::open(bytes)?;
        block.record().divide()?;
        block.record().usage().list_encoded();
        let base = NonNull::new(block.address()).expect("a block has an address");
        let (cells, deferred) = (Stack::full(cells), DeferredCells::default());
        Ok(Self { base, cell, cells, deferred, block })
    }

    /// Takes a cell; `None` if all are taken, or were returned while a command buffer may use them.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 1)?;
    /// let cell = slab.take();
    /// assert!(cell.is_some() && slab.take().is_none());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn take(&self) -> Option<Cell<'_>> {
        let index = match self.cells.pop() {
            Some(index) => index,
            None => {
                self.settle();
                self.cells.pop()?
            }
        };
        Some(Cell { slab: self, index })
    }

    /// Frees the deferred cells that no command buffer uses any more.
    #[inline]
    fn settle(&self) {
        let record = self.block.record();
        if record.is_wrapped() {
            self.deferred.release_unused(record, |index| self.cells.push(index));
        }
    }

    #[inline]
    fn take_back(&self, index: usize) {
        let record = self.block.record();
        if !record.is_wrapped() || !self.deferred.defer_if_used(record, index) {
            self.cells.push(index);
        }
    }

    /// Returns a cell, as dropping it does.
    ///
    /// # Panics
    ///
    /// If the cell belongs to another grid; it is returned to that one.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 1)?;
    /// slab.give(slab.take().expect("there is a free cell"));
    /// assert_eq!(slab.free(), 1);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[track_caller]
    pub fn give(&self, cell: Cell<'_>) {
        assert!(
            std::ptr::eq(self, cell.slab),
            "cell {} is of another grid, which it was returned to",
            cell.index
        );
    }

    /// The number of free cells. Those that were returned while a command buffer may use them are not, before it has
    /// completed.
    ///
    /// ```
    /// assert_eq!(aruminium::memory::Slab::new(64, 3)?.free(), 3);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn free(&self) -> usize {
        self.settle();
        self.cells.len()
    }

    /// How many cells there are.
    ///
    /// ```
    /// assert_eq!(aruminium::memory::Slab::new(64, 3)?.total(), 3);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn total(&self) -> usize {
        self.cells.total()
    }

    /// The size of a cell in bytes.
    ///
    /// ```
    /// assert_eq!(aruminium::memory::Slab::new(128, 3)?.cell_size(), 128);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn cell_size(&self) -> usize {
        self.cell
    }

    /// The memory under the cells, for inspection.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// let cell = slab.take().expect("there is a free cell");
    /// assert!(slab.tape().owns(cell.address()) && slab.tape().total() >= 256);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn tape(&self) -> Divided<'_> {
        Divided(self)
    }
}

impl fmt::Debug for Slab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab")
            .field("block", &self.block)
            .field("cell_size", &self.cell)
            .field("total", &self.total())
            .field("free", &self.cells.len())
            .finish()
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        self.block.record().unite();
    }
}

/// The memory that a grid divides into cells. It can only be inspected.
///
/// ```
/// let slab = aruminium::memory::Slab::new(64, 4)?;
/// let memory: aruminium::memory::Divided<'_> = slab.tape();
/// assert_eq!((memory.used(), memory.free()), (256, memory.total() - 256));
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Divided<'a>(&'a Slab);

impl<'a> Divided<'a> {
    /// The block.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// assert!(slab.tape().block().try_view::<u8>().is_err(), "the grid hands out its parts");
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn block(&self) -> &'a Block {
        &self.0.block
    }

    /// The size of the block in bytes.
    ///
    /// ```
    /// assert!(aruminium::memory::Slab::new(64, 4)?.tape().total() >= 256);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn total(&self) -> usize {
        self.0.block.size()
    }

    /// The number of bytes in cells, free or not.
    ///
    /// ```
    /// assert_eq!(aruminium::memory::Slab::new(64, 4)?.tape().used(), 256);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn used(&self) -> usize {
        self.0.cell * self.0.total()
    }

    /// The number of bytes after the last cell.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// assert_eq!(slab.tape().free(), slab.tape().total() - 256);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn free(&self) -> usize {
        self.total() - self.used()
    }

    /// Whether an address is in the block.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// assert!(slab.tape().owns(slab.tape().block().address()));
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn owns(&self, pointer: *const u8) -> bool {
        pointer.addr().checked_sub(self.0.base.addr().get()).is_some_and(|at| at < self.total())
    }
}

/// A cell of a grid, owned exclusively. Dropping it returns it, when the command buffers that were encoded with the
/// grid's memory until then have completed.
///
/// ```
/// let slab = aruminium::memory::Slab::new(64, 4)?;
/// let mut cell = slab.take().expect("there is a free cell");
/// // It may move to another thread.
/// std::thread::scope(|scope| {
///     scope.spawn(move || cell.view_mut::<u32>().fill(7));
/// });
/// assert_eq!(slab.free(), 4);
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
pub struct Cell<'a> {
    slab: &'a Slab,
    index: usize,
}

impl<'a> Cell<'a> {
    /// The start of the cell.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// assert_eq!(slab.take().expect("there is a free cell").address().addr() % 64, 0);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn address(&self) -> *mut u8 {
        // SAFETY: the index is a cell's, and all cells are within the block.
        unsafe { self.slab.base.add(self.offset()) }.as_ptr()
    }

    /// The index of the cell in the grid.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// assert!(slab.take().expect("there is a free cell").id() < 4);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn id(&self) -> usize {
        self.index
    }

    /// The offset of the cell in the grid's block, in bytes.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// let cell = slab.take().expect("there is a free cell");
    /// assert_eq!(cell.offset(), 64 * cell.id());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn offset(&self) -> usize {
        self.index * self.slab.cell
    }

    /// The first bytes of the cell.
    ///
    /// # Panics
    ///
    /// If the cell has fewer bytes.
    ///
    /// # Safety
    ///
    /// While the bytes are borrowed, nothing else reads or writes them: no command buffer in flight that uses the cell,
    /// no view of a buffer over the grid's block ([`Buffer::read`](crate::Buffer::read) and the like are safe to call,
    /// and do not check this borrow), no raw pointer to it, and no other unit through the block's handle.
    /// [`view_mut`](Self::view_mut) needs no such promise.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// let mut cell = slab.take().expect("there is a free cell");
    /// // SAFETY: no kernel uses the cell.
    /// unsafe { cell.bytes(5) }.copy_from_slice(b"hello");
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[track_caller]
    pub unsafe fn bytes(&mut self, len: usize) -> &mut [u8] {
        let cell = self.slab.cell;
        assert!(len <= cell, "{len} bytes of a cell that has {cell}");
        // SAFETY: the cell has the bytes, and the caller guarantees that nothing else uses them.
        unsafe { std::slice::from_raw_parts_mut(self.address(), len) }
    }

    /// The cell as values, to read.
    ///
    /// # Panics
    ///
    /// If the values' alignment is more than the cell's, if a command buffer that may write the grid's memory was
    /// submitted and has not completed (see [`view_completed`](Self::view_completed)), or if a buffer over the grid's
    /// memory is being written.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// assert_eq!(slab.take().expect("there is a free cell").view::<f32>().len(), 16);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[track_caller]
    pub fn view<T: Plain>(&self) -> View<'_, T> {
        self.try_view().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The cell as values, to write.
    ///
    /// # Panics
    ///
    /// If the values' alignment is more than the cell's, if a command buffer that uses the grid's memory was submitted
    /// and has not completed (see [`view_mut_completed`](Self::view_mut_completed)), or if a buffer over the grid's memory
    /// is being read or written.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// slab.take().expect("there is a free cell").view_mut::<f32>()[15] = 1.0;
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[track_caller]
    pub fn view_mut<T: Plain>(&mut self) -> ViewMut<'_, T> {
        self.try_view_mut().unwrap_or_else(|error| panic!("{error}"))
    }

    /// [`view`](Self::view), or the reason why it is not possible.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`] or [`MemError::Unaligned`] where `view` panics.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// assert_eq!(slab.take().expect("there is a free cell").try_view::<u64>()?.len(), 8);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn try_view<T: Plain>(&self) -> Result<View<'_, T>, MemError> {
        self.reading(false)
    }

    /// [`view_mut`](Self::view_mut), or the reason why it is not possible.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`] or [`MemError::Unaligned`] where `view_mut` panics.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// slab.take().expect("there is a free cell").try_view_mut::<u64>()?[0] = 1;
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn try_view_mut<T: Plain>(&mut self) -> Result<ViewMut<'_, T>, MemError> {
        self.writing(false)
    }

    /// [`try_view`](Self::try_view), after the command buffers that may write the grid's memory have completed.
    ///
    /// # Errors
    ///
    /// As for `try_view`, except that command buffers are waited for.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// let buffer = gpu.wrap(slab.tape().block())?;
    /// let cell = slab.take().expect("there is a free cell");
    /// let copier = commands.copier()?;
    /// copier.fill(&buffer, (cell.offset()..cell.offset() + 64).into(), 7);
    /// copier.finish();
    /// commands.submit();
    /// assert_eq!(*cell.view_completed::<u8>()?, [7; 64]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn view_completed<T: Plain>(&self) -> Result<View<'_, T>, MemError> {
        self.reading(true)
    }

    /// [`try_view_mut`](Self::try_view_mut), after the command buffers that use the grid's memory have completed.
    ///
    /// # Errors
    ///
    /// As for `try_view_mut`, except that command buffers are waited for.
    ///
    /// ```
    /// let slab = aruminium::memory::Slab::new(64, 4)?;
    /// slab.take().expect("there is a free cell").view_mut_completed::<u8>()?.fill(7);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn view_mut_completed<T: Plain>(&mut self) -> Result<ViewMut<'_, T>, MemError> {
        self.writing(true)
    }

    fn reading<T: Plain>(&self, waits: bool) -> Result<View<'_, T>, MemError> {
        let (start, len) = self.values()?;
        let open = self.slab.block.record().view(self.range(), false, waits)?;
        // SAFETY: the grid handed the cell out once; while the view is open nothing writes it.
        Ok(unsafe { View::new(start, len, open) })
    }

    fn writing<T: Plain>(&mut self, waits: bool) -> Result<ViewMut<'_, T>, MemError> {
        let (start, len) = self.values()?;
        let open = self.slab.block.record().view(self.range(), true, waits)?;
        // SAFETY: as for reading, and while the view is open nothing else reads it.
        Ok(unsafe { ViewMut::new(start, len, open) })
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.offset()..self.offset() + self.slab.cell
    }

    fn values<T: Plain>(&self) -> Result<(*mut T, usize), MemError> {
        let start = self.address().cast::<T>();
        if !start.is_aligned() {
            let (value, multiple) = (start.addr() as u64, align_of::<T>() as u64);
            return Err(MemError::Unaligned { what: "the cell's address", value, multiple });
        }
        Ok((start, self.slab.cell.checked_div(size_of::<T>()).unwrap_or(0)))
    }
}

impl fmt::Debug for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("id", &self.index).field("address", &self.address()).finish()
    }
}

impl Drop for Cell<'_> {
    #[inline]
    fn drop(&mut self) {
        self.slab.take_back(self.index);
    }
}

/// `CELLS` cells of `CELL` bytes, a multiple of 64. It derefs to a [`Slab`].
///
/// ```
/// use aruminium::memory::Grid;
/// let grid: Grid<256, 4> = Grid::new()?;
/// let cell = grid.take().expect("there is a free cell");
/// assert_eq!((grid.free(), grid.total()), (3, 4));
/// grid.give(cell);
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
///
/// A size that is not such a multiple does not compile:
///
/// ```compile_fail
/// aruminium::memory::Grid::<100, 4>::new().unwrap();
/// ```
#[derive(Debug)]
pub struct Grid<const CELL: usize, const CELLS: usize>(Slab);

impl<const CELL: usize, const CELLS: usize> Grid<CELL, CELLS> {
    /// A new grid; all cells are free.
    ///
    /// # Errors
    ///
    /// A system error.
    ///
    /// ```
    /// assert_eq!(aruminium::memory::Grid::<64, 2>::new()?.free(), 2);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn new() -> Result<Self, MemError> {
        const {
            assert!(
                CELL > 0 && CELL.is_multiple_of(LINE),
                "the size of a cell is a multiple of 64"
            );
            assert!(CELLS > 0 && CELLS <= stack::LIMIT, "a grid has 1 to 16,777,215 cells");
        }
        Slab::new(CELL, CELLS).map(Self)
    }

    /// How many cells there are.
    ///
    /// ```
    /// assert_eq!(aruminium::memory::Grid::<64, 2>::new()?.total(), 2);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub const fn total(&self) -> usize {
        CELLS
    }
}

impl<const CELL: usize, const CELLS: usize> Deref for Grid<CELL, CELLS> {
    type Target = Slab;

    #[inline]
    fn deref(&self) -> &Slab {
        &self.0
    }
}
