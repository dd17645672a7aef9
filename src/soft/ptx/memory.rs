//! Memory that the host and a GPU access at the same address: what resources are made of, and what programs lend.
//!
//! Short buffers are memory of the host, which the GPU reads through its bus: to move pages forth and back takes longer than
//! the accesses. The pages of longer ones move to where they are used.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use super::cuda::CudaError;
use super::device::Device;
use super::sequence::{self, Sequence};
use super::staging::Range;
use super::transfer::{self, overlaps};
use crate::soft::kernel::{DeviceMemory, Fault, Finished, Source, Submitted, Transfer};
use crate::soft::sorted;
use crate::soft::sorted::SortedMap;

/// The longest memory that stays with the host.
const SMALL: usize = 64 << 10;
/// The most bytes of released memory that are kept to be used again, and the longest of it.
const MAX_FREE_BYTES: usize = 1 << 30;
const LONGEST: usize = 64 << 20;
/// The alignment of resources' addresses.
const PAGE: usize = 4096;

/// `CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP`, the same for registered memory.
const FOR_ALL_DEVICES: u32 = 1 | 2;
/// `CU_MEM_ATTACH_GLOBAL`
const GLOBAL: u32 = 1;
/// `CU_MEM_ADVISE_SET_PREFERRED_LOCATION`
const PREFERS: i32 = 3;

/// A kind of memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    /// It stays with the host.
    Host,
    /// It moves.
    Moves,
    /// It moves, but is the device's unless the host accesses it.
    Device,
}

/// A device's record of memory that the host accesses, too.
#[derive(Default)]
pub(super) struct Shared {
    /// Ranges that the device accesses at their own address, by their starts.
    ranges: RwLock<SortedMap<usize, Known>>,
    /// Memory that was released.
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    list: SortedMap<(Home, usize), Vec<usize>>,
    bytes: usize,
    /// The bytes of all memory that moves, whether released or not.
    moving: usize,
}

/// The error for memory that is not requested from the driver.
fn too_much() -> CudaError {
    CudaError { call: "cuMemAllocManaged", code: 2, text: "not that much managed memory".into() }
}

/// A range that the device accesses at its own address.
struct Known {
    end: usize,
    /// Whether it stays with the host.
    stays: bool,
    /// The registration that it depends on, if it is memory of the program.
    registration: Option<Weak<Registration>>,
}

/// The registration that keeps a range accessible.
pub(super) type Keep = Option<Arc<Registration>>;

impl Shared {
    /// If the device accesses a range at its own address: what keeps it so.
    pub(super) fn find(&self, start: usize, bytes: usize) -> Option<Keep> {
        let ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        let (_, known) = ranges.last_up_to(&start)?;
        if start + bytes > known.end {
            return None;
        }
        match &known.registration {
            None => Some(None),
            // It may be ending.
            Some(registration) => registration.upgrade().map(Some),
        }
    }

    /// The parts of a range between the ends of ranges that the device knows: the driver refuses to copy memory across one.
    pub(super) fn parts(&self, range: Range) -> Vec<Range> {
        let end = range.start + range.bytes;
        let ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        let known =
            ranges.before(&end).iter().rev().take_while(|(_, known)| known.end > range.start);
        let mut cuts: Vec<usize> = known.flat_map(|(start, known)| [*start, known.end]).collect();
        cuts.retain(|cut| (range.start + 1..end).contains(cut));
        cuts.extend([range.start, end]);
        sorted::sort(&mut cuts);
        cuts.dedup();
        let part = |ends: &[usize]| Range { start: ends[0], bytes: ends[1] - ends[0], ..range };
        cuts.windows(2).map(part).collect()
    }

    /// Whether a range is of memory that stays with the host.
    fn stays(&self, start: usize) -> bool {
        let ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        let known = ranges.last_up_to(&start);
        known.is_some_and(|(_, known)| known.stays && start < known.end)
    }

    fn add(
        &self,
        start: usize,
        bytes: usize,
        stays: bool,
        registration: Option<Weak<Registration>>,
    ) {
        let known = Known { end: start + bytes, stays, registration };
        self.ranges.write().unwrap_or_else(PoisonError::into_inner).insert(start, known);
    }

    fn remove(&self, start: usize) {
        self.ranges.write().unwrap_or_else(PoisonError::into_inner).remove(&start);
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory of a device and the host.
pub(super) struct Memory {
    device: Arc<Device>,
    home: Home,
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it is only an address; the driver may be called from all threads.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Zeroed memory, of the kind that suits.
    pub(super) fn new(
        device: &Arc<Device>,
        bytes: usize,
        private: bool,
    ) -> Result<Self, CudaError> {
        // If memory that only the device accesses stayed with the host, each access would go over the bus.
        let home = match (bytes <= SMALL, private) {
            (true, true) if bytes > PAGE && device.has_managed => Home::Device,
            (true, _) => Home::Host,
            (false, false) => Home::Moves,
            (false, true) => Home::Device,
        };
        // A length that released memory fits again.
        let bytes = match home {
            Home::Host => bytes.next_power_of_two().max(PAGE),
            _ => bytes.checked_next_multiple_of(SMALL).ok_or_else(too_much)?,
        };
        device.enter()?;
        let start = match Self::again(device, home, bytes) {
            Some(start) => start,
            None => Self::fresh(device, home, bytes)?,
        };
        let base =
            NonNull::new(std::ptr::with_exposed_provenance_mut(start)).ok_or_else(too_much)?;
        let memory = Self { device: Arc::clone(device), home, base, bytes };
        memory.zero()?;
        device.shared.add(start, bytes, home == Home::Host, None);
        Ok(memory)
    }

    /// Memory that was released.
    fn again(device: &Device, home: Home, bytes: usize) -> Option<usize> {
        let mut free = device.shared.free();
        let start = free.list.get_mut(&(home, bytes))?.pop()?;
        free.bytes -= bytes;
        Some(start)
    }

    /// Memory from the driver.
    fn fresh(device: &Device, home: Home, bytes: usize) -> Result<usize, CudaError> {
        let cuda = device.cuda;
        if home == Home::Host {
            let mut address = std::ptr::null_mut();
            // SAFETY: the address is written.
            unsafe { cuda.allocate_host(&raw mut address, bytes, FOR_ALL_DEVICES)? };
            return Ok(address.expose_provenance());
        }
        if !device.has_managed {
            return Err(too_much());
        }
        {
            // More than the device has would move all the time.
            let mut free = device.shared.free();
            let all = free.moving.saturating_add(bytes);
            if all > device.memory / 4 * 3 {
                return Err(too_much());
            }
            free.moving = all;
        }
        let mut address = 0;
        // SAFETY: the address is written; the memory is as long as the advice says.
        let taken = unsafe {
            cuda.allocate_managed(&raw mut address, bytes, GLOBAL).and_then(|()| match home {
                Home::Device => cuda.advise(address, bytes, PREFERS, device.number),
                _ => Ok(()),
            })
        };
        if let Err(error) = taken {
            device.shared.free().moving -= bytes;
            return Err(error);
        }
        Ok(address as usize)
    }

    /// Sets all bytes to zero.
    fn zero(&self) -> Result<(), CudaError> {
        if self.home == Home::Host {
            // SAFETY: the memory is this long, and no other code has it.
            unsafe { self.base.write_bytes(0, self.bytes) };
            return Ok(());
        }
        let stream = self.device.take_stream()?;
        let cuda = self.device.cuda;
        let start = self.base.addr().get() as u64;
        // SAFETY: as above; the stream is waited for.
        unsafe {
            // Pages that come one by one, as they are accessed, are small on the device. If they do not come at once that is slower, and no error.
            let _ = cuda.prefetch(start, self.bytes, self.device.number, stream.main);
            cuda.fill(start, 0, self.bytes, stream.main)?;
            cuda.synchronize(stream.main)?;
        }
        self.device.give_stream(stream);
        Ok(())
    }
}

impl DeviceMemory for Memory {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    unsafe fn transfer(&self, transfer: &Transfer) -> Option<Result<Submitted, Fault>> {
        let shared = &self.device.shared;
        let (to, bytes) = (transfer.to.addr(), transfer.bytes);
        let mut keep = vec![shared.find(to, bytes)?];
        let mut stays = shared.stays(to);
        if let Source::Copy(from) = transfer.source {
            keep.push(shared.find(from.addr(), bytes)?);
            stays &= shared.stays(from.addr());
        }
        // The host copies memory that stays on the host itself: that is faster than a kernel when the GPU is idle.
        if overlaps(transfer) || stays && sequence::is_idle(&self.device) {
            return None;
        }
        if bytes == 0 {
            return Some(Ok(Submitted::Done));
        }
        // SAFETY: the device accesses both ends at their addresses. That they last is the caller's.
        let submit = |sequence: &mut Sequence| unsafe { sequence.transfer(transfer, keep) };
        Some(sequence::with(&self.device, submit).map_err(|error| self.fault(&error)))
    }

    fn finish(&self) -> Finished {
        sequence::finish(&self.device).map_err(|error| (0, self.fault(&error)))?
    }
}

impl Memory {
    fn fault(&self, error: &CudaError) -> Fault {
        sequence::device_fault(&transfer::facts(), error)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let start = self.base.addr().get();
        self.device.shared.remove(start);
        let mut free = self.device.shared.free();
        if self.bytes <= LONGEST && free.bytes + self.bytes <= MAX_FREE_BYTES {
            free.bytes += self.bytes;
            free.list.get_or_insert_with((self.home, self.bytes), Vec::new).push(start);
            return;
        }
        if self.home != Home::Host {
            free.moving -= self.bytes;
        }
        drop(free);
        if self.device.enter().is_ok() {
            let cuda = self.device.cuda;
            // SAFETY: no work uses it. Nothing can be done about an error.
            let _ = unsafe {
                match self.home {
                    Home::Host => cuda.free_host(self.base.as_ptr().cast()),
                    _ => cuda.free(start as u64),
                }
            };
        }
    }
}

/// Makes memory of the program accessible for a device.
pub(super) struct Registration {
    device: Arc<Device>,
    base: NonNull<u8>,
}

// SAFETY: as for `Memory`.
unsafe impl Send for Registration {}
// SAFETY: as above.
unsafe impl Sync for Registration {}

impl Registration {
    /// The same one for memory that is registered already. `None` if the driver refuses, as it does for files.
    ///
    /// # Safety
    /// The memory can be read and written as long as this lives.
    pub(super) unsafe fn of(
        device: &Arc<Device>,
        base: NonNull<u8>,
        bytes: usize,
    ) -> Option<Arc<Self>> {
        if !device.uses_host_pointers {
            return None;
        }
        if let Some(known) = device.shared.find(base.addr().get(), bytes) {
            return known;
        }
        device.enter().ok()?;
        // SAFETY: the caller's.
        unsafe { device.cuda.register(base.as_ptr().cast(), bytes, FOR_ALL_DEVICES) }.ok()?;
        let registration = Arc::new(Self { device: Arc::clone(device), base });
        device.shared.add(base.addr().get(), bytes, true, Some(Arc::downgrade(&registration)));
        Some(registration)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.device.shared.remove(self.base.addr().get());
        if self.device.enter().is_ok() {
            // SAFETY: it was registered, and no work uses it. Nothing can be done about an error.
            let _ = unsafe { self.device.cuda.unregister(self.base.as_ptr().cast()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_found_if_all_of_it_is_in_one_piece() {
        let shared = Shared::default();
        shared.add(0x1000, 0x1000, false, None);
        shared.add(0x4000, 0x2000, false, None);
        let found = |start, bytes| shared.find(start, bytes).is_some();
        assert!(found(0x1000, 0x1000) && found(0x1800, 0));
        assert!(found(0x5fff, 1) && !found(0x5fff, 2));
        assert!(!found(0xfff, 1) && !found(0x2000, 1) && !found(0x3fff, 2));
        shared.remove(0x4000);
        assert!(!found(0x4000, 1));
    }

    #[test]
    fn a_range_is_copied_in_parts_where_what_is_known_begins_or_ends() {
        let shared = Shared::default();
        shared.add(0x1000, 0x1000, false, None);
        shared.add(0x2000, 0x1000, false, None);
        shared.add(0x8000, 0x1000, false, None);
        let parts = |start, bytes| -> Vec<(usize, usize)> {
            let parts = shared.parts(Range { start, bytes, write: true });
            parts.into_iter().map(|part| (part.start, part.bytes)).collect()
        };
        assert_eq!(parts(0x1800, 0x1000), [(0x1800, 0x800), (0x2000, 0x800)]);
        assert_eq!(
            parts(0, 0x4000),
            [(0, 0x1000), (0x1000, 0x1000), (0x2000, 0x1000), (0x3000, 0x1000)]
        );
        assert_eq!(parts(0x1000, 0x1000), [(0x1000, 0x1000)]);
        assert_eq!(parts(0x5000, 16), [(0x5000, 16)]);
    }

    #[test]
    fn a_range_whose_registration_ends_is_not_used() {
        let shared = Shared::default();
        shared.add(0x1000, 0x1000, true, Some(Weak::new()));
        assert!(shared.find(0x1000, 1).is_none());
    }
}
