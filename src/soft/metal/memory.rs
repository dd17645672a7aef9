//! The memory behind resources: zeroed pages of our own, or somebody else's.

use super::foundation::HeldBlock;
use super::pages::{PAGE, Pages, physical};
use crate::abi::{Id, Imp};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};

/// Bytes that kernels, blits and the CPU read and write, each at its own risk: as on a GPU, nothing
/// but the program's own order of work keeps two of them apart.
pub(super) struct Memory {
    length: usize,
    /// Where a kernel sees it.
    address: u64,
    owner: Owner,
    /// The resource was released. Command buffers that do not retain keep the memory, not the right
    /// to use it.
    released: AtomicBool,
}

enum Owner {
    Pages(Pages),
    /// The program, which may want to know when we are done.
    Program(NonNull<u8>, Option<HeldBlock>),
    /// Other memory, of which it is a part.
    Part {
        whole: Arc<Memory>,
        offset: usize,
    },
}

// SAFETY: the address is only handed on; who reads and writes behind it does so through raw pointers,
// and it is there as long as this is.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// How many bytes of pages all resources have.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// How many bytes of pages all resources have.
pub(super) fn allocated() -> usize {
    ALLOCATED.load(Relaxed)
}

/// Addresses that no other resource has: resources lie a page apart at least.
fn next_address(length: usize) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0x1_0000_0000);
    let room = (length as u64).next_multiple_of(PAGE as u64) + PAGE as u64;
    NEXT.fetch_add(room, Relaxed)
}

impl Memory {
    fn with(length: usize, owner: Owner) -> Arc<Self> {
        let address = match &owner {
            Owner::Part { whole, offset } => whole.address + *offset as u64,
            Owner::Pages(_) | Owner::Program(..) => next_address(length),
        };
        Arc::new(Self { length, address, owner, released: AtomicBool::new(false) })
    }

    /// Zeroed pages; none when there are not as many.
    pub(super) fn pages(length: usize) -> Option<Arc<Self>> {
        let bytes = length.checked_next_multiple_of(PAGE).filter(|_| length > 0)?;
        let before = ALLOCATED.fetch_add(bytes, Relaxed);
        let fits = before.checked_add(bytes).is_some_and(|all| all <= physical());
        match fits.then(|| Pages::new(bytes)).flatten() {
            Some(pages) => Some(Self::with(length, Owner::Pages(pages))),
            None => {
                ALLOCATED.fetch_sub(bytes, Relaxed);
                None
            }
        }
    }

    /// The program's own memory; none unless it begins and ends at a page.
    pub(super) fn lent(
        base: *mut c_void,
        length: usize,
        deallocator: Option<HeldBlock>,
    ) -> Option<Arc<Self>> {
        let aligned = base.addr().is_multiple_of(PAGE) && length.is_multiple_of(PAGE) && length > 0;
        let base = NonNull::new(base.cast()).filter(|_| aligned)?;
        Some(Self::with(length, Owner::Program(base, deallocator)))
    }

    /// A part of other memory; none beyond its end.
    pub(super) fn part(whole: &Arc<Self>, offset: usize, length: usize) -> Option<Arc<Self>> {
        let end = offset.checked_add(length)?;
        (end <= whole.length && length > 0)
            .then(|| Self::with(length, Owner::Part { whole: Arc::clone(whole), offset }))
    }

    /// Where it is. Who asks may write there.
    #[inline]
    pub(super) fn base(&self) -> *mut u8 {
        match &self.owner {
            Owner::Pages(pages) => pages.base().as_ptr(),
            Owner::Program(base, _) => base.as_ptr(),
            // SAFETY: the offset is inside.
            Owner::Part { whole, offset } => unsafe { whole.base().add(*offset) },
        }
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn address(&self) -> u64 {
        self.address
    }

    /// The address of a range; none unless all of it is inside.
    pub(super) fn range(&self, offset: usize, length: usize) -> Option<*mut u8> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.length);
        // SAFETY: the offset is inside.
        inside.then(|| unsafe { self.base().add(offset) })
    }

    /// The resource goes; see the field.
    pub(super) fn release(&self) {
        self.released.store(true, Release);
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.load(Acquire)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match &self.owner {
            Owner::Pages(pages) => _ = ALLOCATED.fetch_sub(pages.bytes(), Relaxed),
            Owner::Program(base, Some(deallocator)) => {
                // SAFETY: a deallocator is a block that takes the address and the length.
                unsafe {
                    let call = std::mem::transmute::<
                        Imp,
                        unsafe extern "C" fn(Id, *mut c_void, usize),
                    >(deallocator.invoke());
                    call(deallocator.id(), base.as_ptr().cast(), self.length);
                }
            }
            Owner::Program(_, None) | Owner::Part { .. } => {}
        }
    }
}
