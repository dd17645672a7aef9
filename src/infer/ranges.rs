//! The memory that launches use, and whether a launch must wait for those before it.

use super::memory::Memory;
use super::tensor::Tensor;
use std::ops::Range;

/// Whether a launch reads or writes a range of memory.
///
/// ```
/// assert_ne!(aruminium::infer::Role::Read, aruminium::infer::Role::Write);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The launch only reads it.
    Read,
    /// The launch may write it.
    Write,
}

/// A range of bytes that a launch uses. Shared memory is identified by its addresses, so that buffers over the same
/// pages conflict.
///
/// ```
/// use aruminium::infer::{BufferRange, DType, Role, Tensor};
/// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F32, &[8])?;
/// let (left, right) = (tensor.narrow(0, 0..5)?, tensor.narrow(0, 4..8)?);
/// let read = BufferRange::of(&left, Role::Read);
/// assert!(read.conflicts(&BufferRange::of(&right, Role::Write)));
/// assert!(!read.conflicts(&BufferRange::of(&right, Role::Read)), "both only read");
/// assert!(!read.conflicts(&BufferRange::of(&right.narrow(0, 1..4)?, Role::Write)), "they only touch");
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferRange {
    start: u64,
    end: u64,
    role: Role,
}

impl BufferRange {
    /// All memory: for launches that reach memory through pointers.
    ///
    /// ```
    /// use aruminium::infer::{BufferRange, DType, Role, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F32, &[8])?;
    /// assert!(BufferRange::EVERYTHING.conflicts(&BufferRange::of(&tensor, Role::Read)));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub const EVERYTHING: Self = Self { start: 0, end: u64::MAX, role: Role::Write };

    /// The range of a tensor, from its first value to the end of its last one.
    ///
    /// ```
    /// use aruminium::infer::{BufferRange, DType, Role, Tensor};
    /// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F32, &[8])?;
    /// assert_eq!(BufferRange::of(&tensor, Role::Read).bytes(), 32);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    #[inline]
    pub fn of(tensor: &Tensor, role: Role) -> Self {
        Self::at(tensor.memory(), tensor.offset()..tensor.offset() + tensor.bytes(), role)
    }

    /// A range of bytes of memory.
    #[inline]
    pub(super) fn at(memory: &Memory, range: Range<usize>, role: Role) -> Self {
        let base = memory.address();
        Self { start: base + range.start as u64, end: base + range.end as u64, role }
    }

    /// Whether all bytes of another range are in this one.
    pub(super) fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The number of bytes.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::BufferRange::EVERYTHING.bytes(), u64::MAX);
    /// ```
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the launch reads or writes it.
    ///
    /// ```
    /// use aruminium::infer::{BufferRange, Role};
    /// assert_eq!(BufferRange::EVERYTHING.role(), Role::Write);
    /// ```
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the two have bytes in common.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.start.max(other.start) < self.end.min(other.end)
    }

    /// Whether launches that use the two must run one after the other: they have bytes in common, and one writes.
    ///
    /// ```
    /// use aruminium::infer::BufferRange;
    /// assert!(BufferRange::EVERYTHING.conflicts(&BufferRange::EVERYTHING));
    /// ```
    pub fn conflicts(&self, other: &Self) -> bool {
        (self.role == Role::Write || other.role == Role::Write) && self.overlaps(other)
    }
}

/// Disjoint ranges, sorted. Ranges that touch are one.
#[derive(Clone, Debug, Default)]
struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    #[inline]
    fn overlap(&self, range: &BufferRange) -> bool {
        let first = self.0.partition_point(|&(_, end)| end <= range.start);
        range.start < range.end && self.0.get(first).is_some_and(|&(start, _)| start < range.end)
    }

    #[inline]
    fn insert(&mut self, range: &BufferRange) {
        let (mut start, mut end) = (range.start, range.end);
        if start >= end {
            return;
        }
        let first = self.0.partition_point(|&(_, other)| other < start);
        let count = self.0[first..].iter().take_while(|&&(other, _)| other <= end).count();
        match count {
            0 => return self.0.insert(first, (start, end)),
            _ => {
                start = start.min(self.0[first].0);
                end = end.max(self.0[first + count - 1].1);
            }
        }
        self.0[first] = (start, end);
        self.0.drain(first + 1..first + count);
    }
}

/// The memory that launches used since the last barrier. [`Stream`](super::Stream) has one; it is also usable alone.
///
/// Because a barrier is put only where a launch conflicts with one since the last barrier, as late as possible, no
/// other choice of barriers for the same order of launches has fewer.
///
/// ```
/// use aruminium::infer::{BufferRange, DType, MemRanges, Role, Tensor};
/// let gpu = aruminium::Gpu::open()?;
/// let (x, y) = (Tensor::new(&gpu, DType::F32, &[8])?, Tensor::new(&gpu, DType::F32, &[8])?);
/// let (read, write) = (BufferRange::of(&x, Role::Read), BufferRange::of(&y, Role::Write));
/// let mut ranges = MemRanges::new();
/// assert!(!ranges.check_and_add(&[read, write]), "it is the first");
/// assert!(!ranges.check_and_add(&[read]), "x is only read");
/// assert!(ranges.check_and_add(&[write]), "y was written");
/// assert_eq!((ranges.checks(), ranges.barriers()), (3, 1));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemRanges {
    read: Intervals,
    written: Intervals,
    checks: u64,
    barriers: u64,
}

impl MemRanges {
    /// An empty set of uses.
    ///
    /// ```
    /// assert!(aruminium::infer::MemRanges::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    #[inline]
    pub(super) fn conflicts(&self, range: &BufferRange) -> bool {
        self.written.overlap(range) || (range.role == Role::Write && self.read.overlap(range))
    }

    #[inline]
    pub(super) fn insert(&mut self, range: &BufferRange) {
        match range.role {
            Role::Read => self.read.insert(range),
            Role::Write => self.written.insert(range),
        }
    }

    /// Whether a launch that uses these ranges must wait for one that was added.
    ///
    /// ```
    /// use aruminium::infer::{BufferRange, MemRanges};
    /// let mut ranges = MemRanges::new();
    /// assert!(!ranges.check(&[BufferRange::EVERYTHING]));
    /// ranges.add(&[BufferRange::EVERYTHING]);
    /// assert!(ranges.check(&[BufferRange::EVERYTHING]));
    /// ```
    pub fn check(&self, launch: &[BufferRange]) -> bool {
        launch.iter().any(|range| self.conflicts(range))
    }

    /// Adds the ranges of a launch.
    ///
    /// ```
    /// use aruminium::infer::{BufferRange, MemRanges};
    /// let mut ranges = MemRanges::new();
    /// ranges.add(&[BufferRange::EVERYTHING]);
    /// assert_eq!(ranges.len(), 1);
    /// ```
    pub fn add(&mut self, launch: &[BufferRange]) {
        launch.iter().for_each(|range| self.insert(range));
    }

    /// Returns whether a barrier is needed before a launch, and adds the launch. If a barrier is needed, earlier ranges are
    /// forgotten.
    ///
    /// ```
    /// use aruminium::infer::{BufferRange, MemRanges};
    /// let mut ranges = MemRanges::new();
    /// assert!(!ranges.check_and_add(&[BufferRange::EVERYTHING]));
    /// assert!(ranges.check_and_add(&[BufferRange::EVERYTHING]));
    /// ```
    pub fn check_and_add(&mut self, launch: &[BufferRange]) -> bool {
        let needed = self.check(launch);
        self.checked(needed);
        self.add(launch);
        needed
    }

    /// Counts a check, and forgets everything if a barrier is needed.
    #[inline]
    pub(super) fn checked(&mut self, needed: bool) {
        self.checks += 1;
        if needed {
            self.barriers += 1;
            self.reset();
        }
    }

    /// Forgets all ranges, as after a barrier.
    ///
    /// ```
    /// use aruminium::infer::{BufferRange, MemRanges};
    /// let mut ranges = MemRanges::new();
    /// ranges.add(&[BufferRange::EVERYTHING]);
    /// ranges.reset();
    /// assert!(!ranges.check(&[BufferRange::EVERYTHING]));
    /// ```
    pub fn reset(&mut self) {
        self.read.0.clear();
        self.written.0.clear();
    }

    /// The number of separate ranges since the last barrier.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::MemRanges::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.read.0.len() + self.written.0.len()
    }

    /// Whether nothing was used since the last barrier.
    ///
    /// ```
    /// assert!(aruminium::infer::MemRanges::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of launches that were checked by [`check_and_add`](Self::check_and_add).
    ///
    /// ```
    /// assert_eq!(aruminium::infer::MemRanges::new().checks(), 0);
    /// ```
    pub fn checks(&self) -> u64 {
        self.checks
    }

    /// The number of barriers that they needed.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::MemRanges::new().barriers(), 0);
    /// ```
    pub fn barriers(&self) -> u64 {
        self.barriers
    }
}
