//! The memory behind resources: zeroed pages of our own, or somebody else's.

use super::foundation::HeldBlock;
use crate::abi::{Id, Imp};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};

/// What a page is here; memory that is wrapped begins and ends at one.
pub(super) const PAGE: usize = 4096;

/// Bytes that kernels, blits and the CPU read and write, each at its own risk: as on a GPU, nothing
/// but the program's own order of work keeps two of them apart.
pub(super) struct Memory {
    base: NonNull<u8>,
    length: usize,
    /// Where a kernel sees it.
    address: u64,
    owner: Owner,
    /// The resource was released. Command buffers that do not retain keep the memory, not the right
    /// to use it.
    released: AtomicBool,
}

enum Owner {
    /// So many bytes of pages.
    Pages(usize),
    /// The program, which may want to know when we are done.
    Program(Option<HeldBlock>),
    /// A part of other memory.
    Part { _whole: Arc<Memory> },
}

// SAFETY: the address is only handed on; who reads and writes behind it does so through raw pointers,
// and the pages are there as long as this is.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// How many bytes of pages all resources have.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// How many bytes of pages all resources have.
pub(super) fn allocated() -> usize {
    ALLOCATED.load(Relaxed)
}

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        n: usize,
        access: c_int,
        flags: c_int,
        fd: c_int,
        o: i64,
    ) -> *mut c_void;
    fn munmap(at: *mut c_void, length: usize) -> c_int;
    fn sysconf(name: c_int) -> isize;
}

// Linux's numbers, the same on x86_64 and aarch64.
const PROT_READ_WRITE: c_int = 1 | 2;
const MAP_PRIVATE_ANONYMOUS: c_int = 0x02 | 0x20;
const MAP_NORESERVE: c_int = 0x4000;
const SC_PAGESIZE: c_int = 30;
const SC_PHYS_PAGES: c_int = 85;

/// How much memory the machine has.
pub(super) fn physical() -> usize {
    // SAFETY: these names are known on Linux; -1 is answered for others.
    let (pages, size) = unsafe { (sysconf(SC_PHYS_PAGES), sysconf(SC_PAGESIZE)) };
    match (usize::try_from(pages), usize::try_from(size)) {
        (Ok(pages), Ok(size)) if pages > 0 => pages.saturating_mul(size),
        _ => 1 << 32,
    }
}

/// Addresses that no other resource has: resources lie a page apart at least.
fn next_address(length: usize) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0x1_0000_0000);
    let room = (length as u64).next_multiple_of(PAGE as u64) + PAGE as u64;
    NEXT.fetch_add(room, Relaxed)
}

impl Memory {
    fn with(base: NonNull<u8>, length: usize, owner: Owner) -> Arc<Self> {
        let address = match &owner {
            Owner::Part { _whole: whole } => {
                whole.address + (base.addr().get() - whole.base.addr().get()) as u64
            }
            _ => next_address(length),
        };
        Arc::new(Self { base, length, address, owner, released: AtomicBool::new(false) })
    }

    /// Zeroed pages; none when there are not as many.
    pub(super) fn pages(length: usize) -> Option<Arc<Self>> {
        let mapped = length.checked_next_multiple_of(PAGE).filter(|_| length > 0)?;
        let before = ALLOCATED.fetch_add(mapped, Relaxed);
        let fits = before.checked_add(mapped).is_some_and(|all| all <= physical());
        // SAFETY: asks for fresh pages wherever there is room.
        let base = fits.then(|| unsafe {
            let flags = MAP_PRIVATE_ANONYMOUS | MAP_NORESERVE;
            mmap(std::ptr::null_mut(), mapped, PROT_READ_WRITE, flags, -1, 0)
        });
        // `MAP_FAILED` is -1, which is no page's address.
        match base.filter(|base| base.addr().is_multiple_of(PAGE)).and_then(NonNull::new) {
            Some(base) => Some(Self::with(base.cast(), length, Owner::Pages(mapped))),
            None => {
                ALLOCATED.fetch_sub(mapped, Relaxed);
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
        Some(Self::with(base, length, Owner::Program(deallocator)))
    }

    /// A part of other memory; none beyond its end.
    pub(super) fn part(whole: &Arc<Self>, offset: usize, length: usize) -> Option<Arc<Self>> {
        let end = offset.checked_add(length)?;
        (end <= whole.length && length > 0).then(|| {
            // SAFETY: the offset is inside.
            let base = unsafe { whole.base.add(offset) };
            Self::with(base, length, Owner::Part { _whole: Arc::clone(whole) })
        })
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
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
            Owner::Pages(mapped) => {
                // SAFETY: these pages were mapped by `pages`, and nobody uses them any more.
                unsafe { munmap(self.base.as_ptr().cast(), *mapped) };
                ALLOCATED.fetch_sub(*mapped, Relaxed);
            }
            Owner::Program(Some(deallocator)) => {
                // SAFETY: a deallocator is a block that takes the address and the length.
                unsafe {
                    let call = std::mem::transmute::<
                        Imp,
                        unsafe extern "C" fn(Id, *mut c_void, usize),
                    >(deallocator.invoke());
                    call(deallocator.id(), self.base.as_ptr().cast(), self.length);
                }
            }
            Owner::Program(None) | Owner::Part { .. } => {}
        }
    }
}
