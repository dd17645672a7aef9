//! The memory of a heap, and the regions of it that resources take.

use super::image::Image;
use super::memory::Memory;
use crate::soft::fork::lock;
use crate::soft::kernel::Processor;
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
    /// The offsets and lengths of what no region has. With placement that is everything.
    gaps: Mutex<BTreeMap<usize, usize>>,
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
    size: usize,
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
            self.heap.free(self.offset, self.size);
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
        let gaps = Mutex::new(BTreeMap::from([(0, memory.length())]));
        Arc::new(Self { memory, placement, gaps, resources: Mutex::default() })
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

    /// The device whose memory it is.
    pub(crate) fn processor(&self) -> Option<&'static Processor> {
        self.memory.processor()
    }

    pub(crate) fn is_placement(&self) -> bool {
        self.placement
    }

    /// The bytes that a resource of this length takes.
    pub(crate) fn size_of_region(length: usize) -> usize {
        length.max(1).checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX)
    }

    pub(crate) fn used_size(&self) -> usize {
        self.length() - lock(&self.gaps).values().sum::<usize>()
    }

    pub(crate) fn largest_gap(&self, align: usize) -> usize {
        let gaps = lock(&self.gaps);
        let aligned = gaps.iter().filter_map(|(start, length)| {
            let begin = start.checked_next_multiple_of(align.max(ALIGN))?;
            (start + length).checked_sub(begin)
        });
        aligned.max().unwrap_or(0)
    }

    /// Makes a gap of a region, together with the gaps beside it.
    fn free(&self, mut offset: usize, mut size: usize) {
        let mut gaps = lock(&self.gaps);
        if let Some(after) = gaps.remove(&(offset + size)) {
            size += after;
        }
        if let Some((&before, &length)) = gaps.range(..offset).next_back()
            && before + length == offset
        {
            (offset, size) = (before, length + size);
        }
        gaps.insert(offset, size);
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
                let mut gaps = lock(&self.gaps);
                let (&begin, &gap) = gaps.iter().find(|(_, gap)| **gap >= size)?;
                gaps.remove(&begin);
                if gap > size {
                    gaps.insert(begin + size, gap - size);
                }
                begin
            }
            _ => return None,
        };
        let freed = AtomicBool::new(false);
        let region = Region { heap: Arc::clone(self), offset, size, freed };
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

    /// Regions that are freed in any order leave one gap, and taking one does not look at all others: as many as a program with
    /// a texture for each material has are taken in a moment.
    #[test]
    fn gaps_are_joined() {
        const COUNT: usize = 100_000;
        let heap = HeapMemory::new(Memory::pages(COUNT * ALIGN).expect("memory"), false);
        let mut regions: Vec<_> =
            (0..COUNT).map(|_| heap.take(1, None).expect("there is room").1).collect();
        assert!(heap.take(1, None).is_none());
        assert_eq!((heap.used_size(), heap.largest_gap(1)), (COUNT * ALIGN, 0));
        for step in [7, 3, 1] {
            let mut index = 0;
            regions.retain(|_| {
                index += 1;
                index % step != 0
            });
            assert_eq!(heap.used_size(), regions.len() * ALIGN);
        }
        assert_eq!(*lock(&heap.gaps), BTreeMap::from([(0, COUNT * ALIGN)]));
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
