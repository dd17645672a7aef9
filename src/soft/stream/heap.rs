//! The memory of a heap, and the regions of it that resources take.

use super::image::Image;
use super::memory::Memory;
use crate::soft::fork::lock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex, Weak};

/// Resources in a heap begin at multiples of this.
pub(crate) const ALIGN: usize = 256;

/// The memory of a heap.
pub(crate) struct HeapMemory {
    memory: Arc<Memory>,
    /// Whether the program chooses offsets itself.
    placement: bool,
    /// The offsets and lengths of the regions in use. Empty for placement.
    used: Mutex<BTreeMap<usize, usize>>,
    /// The resources in it, and some that are no more.
    resources: Mutex<Vec<Member>>,
}

/// A resource in a heap.
pub(crate) enum Resource {
    Memory(Arc<Memory>),
    Image(Arc<Image>),
}

/// The same, not kept alive.
enum Member {
    Memory(Weak<Memory>),
    Image(Weak<Image>),
}

impl Member {
    fn resource(&self) -> Option<Resource> {
        match self {
            Self::Memory(memory) => {
                memory.upgrade().filter(|one| !one.is_released()).map(Resource::Memory)
            }
            Self::Image(image) => {
                image.upgrade().filter(|one| !one.is_released()).map(Resource::Image)
            }
        }
    }
}

/// A resource's part of a heap. Its bytes are free again when it is dropped, or earlier if the resource is aliasable.
pub(crate) struct Region {
    heap: Arc<HeapMemory>,
    offset: usize,
    freed: AtomicBool,
}

impl Region {
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Whether other resources may take the same bytes.
    pub(crate) fn is_aliasable(&self) -> bool {
        self.heap.placement || self.freed.load(Relaxed)
    }

    pub(crate) fn make_aliasable(&self) {
        if !self.heap.placement && !self.freed.swap(true, Relaxed) {
            lock(&self.heap.used).remove(&self.offset);
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.make_aliasable();
    }
}

impl HeapMemory {
    pub(crate) fn new(memory: Arc<Memory>, placement: bool) -> Arc<Self> {
        Arc::new(Self { memory, placement, used: Mutex::default(), resources: Mutex::default() })
    }

    /// Notes a resource that was made in it.
    pub(crate) fn add(&self, resource: Resource) {
        let mut resources = lock(&self.resources);
        // Forgets what is gone whenever the list would grow.
        if resources.len() == resources.capacity() {
            resources.retain(|member| member.resource().is_some());
        }
        resources.push(match resource {
            Resource::Memory(memory) => Member::Memory(Arc::downgrade(&memory)),
            Resource::Image(image) => Member::Image(Arc::downgrade(&image)),
        });
    }

    /// The resources in it.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        lock(&self.resources).iter().filter_map(Member::resource).collect()
    }

    pub(crate) fn length(&self) -> usize {
        self.memory.length()
    }

    pub(crate) fn is_placement(&self) -> bool {
        self.placement
    }

    /// The bytes that a resource of this length takes.
    pub(crate) fn size_of_region(length: usize) -> usize {
        length.max(1).checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX)
    }

    pub(crate) fn used_size(&self) -> usize {
        lock(&self.used).values().sum()
    }

    /// The gaps between the regions in use: their offsets and lengths.
    fn gaps(used: &BTreeMap<usize, usize>, size: usize, align: usize) -> Vec<(usize, usize)> {
        let ends = std::iter::once(0).chain(used.iter().map(|(start, length)| start + length));
        let starts = used.keys().copied().chain([size]);
        ends.zip(starts)
            .filter_map(|(end, start)| {
                let begin = end.checked_next_multiple_of(align)?;
                Some((begin, start.checked_sub(begin)?))
            })
            .collect()
    }

    pub(crate) fn largest_gap(&self, align: usize) -> usize {
        let gaps = Self::gaps(&lock(&self.used), self.length(), align.max(ALIGN));
        gaps.iter().map(|(_, length)| *length).max().unwrap_or(0)
    }

    /// Takes a region: the first gap that is large enough, or at the given offset of a placement heap. `None` if there
    /// is no room, or if an offset is given for the wrong kind of heap.
    pub(crate) fn take(
        self: &Arc<Self>,
        length: usize,
        at: Option<usize>,
    ) -> Option<(Arc<Memory>, Arc<Region>)> {
        let size = Self::size_of_region(length);
        let offset = match (self.placement, at) {
            (true, Some(offset)) => Some(offset).filter(|offset| offset.is_multiple_of(ALIGN))?,
            (false, None) => {
                let mut used = lock(&self.used);
                let gaps = Self::gaps(&used, self.length(), ALIGN);
                let (begin, _) = gaps.into_iter().find(|(_, gap)| *gap >= size)?;
                used.insert(begin, size);
                begin
            }
            _ => return None,
        };
        let region = Region { heap: Arc::clone(self), offset, freed: AtomicBool::new(false) };
        let region = Arc::new(region);
        let memory = Memory::part(&self.memory, offset, length, Arc::clone(&region) as _)?;
        Some((memory, region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap(placement: bool) -> Arc<HeapMemory> {
        HeapMemory::new(Memory::pages(16 * ALIGN).expect("memory"), placement)
    }

    /// A gap that is too small for a region by one unit is passed over; one that fits exactly is taken.
    #[test]
    fn regions_do_not_overlap() {
        let heap = heap(false);
        let take = |length| heap.take(length, None).expect("there is room");
        let (first, second, third) = (take(ALIGN), take(ALIGN), take(1));
        assert_eq!(
            [&first, &second, &third].map(|(_, region)| region.offset()),
            [0, ALIGN, 2 * ALIGN]
        );
        drop(second);
        let (_memory, large) = take(ALIGN + 1);
        assert_eq!(large.offset(), 3 * ALIGN, "the gap has one unit");
        let (_memory, small) = take(ALIGN);
        assert_eq!(small.offset(), ALIGN, "the gap is taken");
        assert_eq!((heap.used_size(), heap.largest_gap(1)), (5 * ALIGN, 11 * ALIGN));
        assert!(heap.take(11 * ALIGN + 1, None).is_none() && heap.take(11 * ALIGN, None).is_some());
    }

    #[test]
    fn placement_needs_an_aligned_offset_inside_the_heap() {
        let heap = heap(true);
        let fits = |length, offset| heap.take(length, Some(offset)).is_some();
        assert!(fits(ALIGN, 0) && fits(ALIGN, 15 * ALIGN) && fits(16 * ALIGN, 0));
        assert!(!fits(ALIGN, ALIGN / 2) && !fits(ALIGN, ALIGN - 1) && !fits(ALIGN, ALIGN + 1));
        assert!(
            !fits(ALIGN + 1, 15 * ALIGN)
                && !fits(1, 16 * ALIGN)
                && !fits(1, usize::MAX - ALIGN + 1)
        );
        assert!(heap.take(ALIGN, None).is_none());
    }
}
