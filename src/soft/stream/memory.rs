//! The memory of resources: zeroed pages, memory of the device, memory of the program, or parts of other memory.

use super::label::Label;
use super::pages::{PAGE, Pages, physical};
use crate::soft::kernel::sanitize::{forget, track, untrack};
use crate::soft::kernel::{self, DeviceMemory, FIRST_ADDRESS, Processor, Reach};
use std::any::Any;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};

/// Bytes that kernels, blits and the CPU read and write. As on a GPU, only the program's own order of work prevents
/// data races.
pub(crate) struct Memory {
    length: usize,
    /// Its address for kernels.
    address: u64,
    owner: Owner,
    /// The device whose resource it is; `None` for pages in tests.
    processor: Option<&'static Processor>,
    /// Whether its resource was released. Command buffers that do not retain references keep the memory alive, but may
    /// not use it any more.
    released: AtomicBool,
    /// The number under which it is known what was written there; 0 if it is not.
    tracked: AtomicU64,
    /// The label of its resource.
    pub(crate) label: Label,
}

/// Called when memory of the program is not used any more, with its address and length.
pub(crate) type Deallocator = Box<dyn FnOnce(*mut c_void, usize) + Send>;

enum Owner {
    Pages(Pages),
    /// The device, and how many bytes it allocated.
    Device(Box<dyn DeviceMemory>, usize),
    /// The program.
    Program {
        base: NonNull<u8>,
        deallocator: Option<Deallocator>,
        /// Kernels have access until this is dropped.
        reach: Option<Reach>,
    },
    /// Other memory that it is a part of.
    Part {
        whole: Arc<Memory>,
        offset: usize,
        /// The reservation of its bytes, which ends with it.
        _reservation: Arc<dyn Any + Send + Sync>,
    },
}

// SAFETY: the memory is accessed through raw pointers only, and lives as long as this does. The deallocator is called
// once, by the thread that drops this.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// The bytes of pages and of the device's memory of all resources.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// Notes that memory is not allocated any more.
fn freed(processor: Option<&'static Processor>, bytes: usize) {
    ALLOCATED.fetch_sub(bytes, Relaxed);
    if let Some(processor) = processor {
        processor.allocated.fetch_sub(bytes, Relaxed);
    }
}

/// Addresses that no other resource has: resources are a page apart at least.
fn next_address(length: usize) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(FIRST_ADDRESS as u64);
    let room = (length as u64).next_multiple_of(PAGE as u64) + PAGE as u64;
    NEXT.fetch_add(room, Relaxed)
}

impl Memory {
    fn with(length: usize, owner: Owner, processor: Option<&'static Processor>) -> Arc<Self> {
        let address = match &owner {
            Owner::Part { whole, offset, .. } => whole.address + *offset as u64,
            Owner::Pages(_) | Owner::Device(..) | Owner::Program { .. } => next_address(length),
        };
        let (released, tracked) = (AtomicBool::new(false), AtomicU64::new(0));
        let label = Label::default();
        Arc::new(Self { length, address, owner, processor, released, tracked, label })
    }

    /// Zeroed pages; `None` if the system does not have that many.
    #[cfg(test)]
    pub(crate) fn pages(length: usize) -> Option<Arc<Self>> {
        Self::made(length, None, |bytes| Pages::new(bytes).map(Owner::Pages))
    }

    /// Zeroed memory that kernels of a device access; `None` if there is not that much.
    pub(crate) fn new(
        processor: &'static Processor,
        length: usize,
        private: bool,
    ) -> Option<Arc<Self>> {
        Self::made(length, Some(processor), |bytes| {
            match processor.backend.allocate(bytes, private) {
                Some(memory) => Some(Owner::Device(memory, bytes)),
                None => Pages::new(bytes).map(Owner::Pages),
            }
        })
    }

    fn made(
        length: usize,
        processor: Option<&'static Processor>,
        owner: impl FnOnce(usize) -> Option<Owner>,
    ) -> Option<Arc<Self>> {
        let bytes = length.checked_next_multiple_of(PAGE).filter(|_| length > 0)?;
        let before = ALLOCATED.fetch_add(bytes, Relaxed);
        let fits = before.checked_add(bytes).is_some_and(|all| all <= physical());
        match fits.then(|| owner(bytes)).flatten() {
            Some(owner) => {
                if let Some(processor) = processor {
                    processor.allocated.fetch_add(bytes, Relaxed);
                }
                Some(Self::with(length, owner, processor))
            }
            None => {
                ALLOCATED.fetch_sub(bytes, Relaxed);
                None
            }
        }
    }

    /// The device whose resource it is.
    pub(crate) fn processor(&self) -> Option<&'static Processor> {
        self.processor
    }

    /// The program's own memory; `None` unless it begins and ends at a page boundary.
    ///
    /// # Safety
    /// It can be read and written until the deallocator is called.
    pub(crate) unsafe fn lent(
        processor: &'static Processor,
        base: *mut c_void,
        length: usize,
        deallocator: Option<Deallocator>,
    ) -> Option<Arc<Self>> {
        let aligned = base.addr().is_multiple_of(PAGE) && length.is_multiple_of(PAGE) && length > 0;
        let base = NonNull::new(base.cast()).filter(|_| aligned)?;
        // SAFETY: the caller's; this drops it before it calls the deallocator.
        let reach = unsafe { processor.backend.reach(base, length) };
        Some(Self::with(length, Owner::Program { base, deallocator, reach }, Some(processor)))
    }

    /// A part of other memory; `None` past its end. `reservation` is dropped with it.
    pub(crate) fn part(
        whole: &Arc<Self>,
        offset: usize,
        length: usize,
        reservation: Arc<dyn Any + Send + Sync>,
    ) -> Option<Arc<Self>> {
        let end = offset.checked_add(length)?;
        (end <= whole.length && length > 0).then(|| {
            let (whole, processor) = (Arc::clone(whole), whole.processor);
            Self::with(length, Owner::Part { whole, offset, _reservation: reservation }, processor)
        })
    }

    /// Its first byte. The caller may write there.
    #[inline]
    pub(crate) fn base(&self) -> *mut u8 {
        match &self.owner {
            Owner::Pages(pages) => pages.base().as_ptr(),
            Owner::Device(memory, _) => memory.base().as_ptr(),
            Owner::Program { base, .. } => base.as_ptr(),
            // SAFETY: the offset is inside.
            Owner::Part { whole, offset, .. } => unsafe { whole.base().add(*offset) },
        }
    }

    /// The memory of a device that it is, or is a part of.
    pub(crate) fn device(&self) -> Option<&dyn DeviceMemory> {
        match &self.owner {
            Owner::Device(memory, _) => Some(&**memory),
            Owner::Part { whole, .. } => whole.device(),
            Owner::Pages(_) | Owner::Program { .. } => None,
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Its address for kernels.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// The address of a range; `None` unless all of it is inside.
    pub(crate) fn range(&self, offset: usize, length: usize) -> Option<*mut u8> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.length);
        // SAFETY: the offset is inside.
        inside.then(|| unsafe { self.base().add(offset) })
    }

    /// Nothing but kernels and blits writes to the memory, so that checks know what was written.
    pub(crate) fn track(&self) {
        self.tracked.store(track(self.base(), self.length), Release);
    }

    /// Something else writes there.
    pub(crate) fn untrack(&self) {
        let number = self.tracked.load(Acquire);
        if number != 0 {
            untrack(self.base(), number);
        }
    }

    /// Notes that the resource was released.
    pub(crate) fn release(&self) {
        self.released.store(true, Release);
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Acquire)
    }
}

impl kernel::Owner for Memory {
    fn name(&self) -> String {
        self.label
            .get()
            .map_or_else(|| format!("buffer at {:#x}", self.address), |label| label.to_string())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        forget(&raw const *self as u64, self.base(), self.length);
        self.untrack();
        match &mut self.owner {
            Owner::Pages(pages) => freed(self.processor, pages.bytes()),
            Owner::Device(_, bytes) => freed(self.processor, *bytes),
            Owner::Program { base, deallocator, reach } => {
                *reach = None;
                if let Some(deallocate) = deallocator.take() {
                    deallocate(base.as_ptr().cast(), self.length);
                }
            }
            Owner::Part { .. } => {}
        }
    }
}
