//! Handlers of probes: they pass what the lanes do to the launch's checker (`specs/sanitizer.md`) and to the kernel's
//! profile (`specs/profile.md`).

use super::code::{Handler, Ins, LANES, Wave};
use super::memory::{Region, split};
use crate::soft::cpu::addresses::Addresses;
use crate::soft::ir::{AccessKind, Allocation, Finding, Probe, Space, Span};
use crate::soft::kernel::Locate;
use crate::soft::kernel::profile::Counts;
use crate::soft::kernel::sanitize::{Checker, Place};

/// The checker and the counts of a launch, and what they need to know about the running code.
pub(crate) struct Probes<'a> {
    /// Of kernels with checks that report.
    pub(crate) checker: Option<Checker<'a>>,
    /// Of kernels with a profile.
    pub(crate) counts: Option<Counts<'a>>,
    /// The code, and where its instructions are in the source.
    pub(crate) code: *const Ins,
    pub(crate) spans: &'a [Span],
    pub(crate) locate: Option<&'a Locate<'a>>,
    pub(crate) allocations: &'a [Allocation],
    pub(crate) addresses: &'a Addresses<'a>,
    /// The checker's number of each instruction, once it has one.
    pub(crate) sites: Vec<Option<u32>>,
}

impl std::fmt::Debug for Probes<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Probes").field("instructions", &self.sites.len()).finish_non_exhaustive()
    }
}

/// The numbers of the lanes in a mask.
fn lanes(mut mask: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lane = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(lane)
    })
}

/// Whether a region is threadgroup memory.
fn is_own(allocations: &[Allocation], region: u32) -> bool {
    let allocation = region.checked_sub(1).and_then(|nth| allocations.get(nth as usize));
    allocation.is_some_and(|allocation| allocation.kind.space() == Space::Threadgroup)
}

impl Probes<'_> {
    /// A threadgroup begins.
    pub(crate) fn enter(&mut self, number: u32) {
        if let Some(checker) = &mut self.checker {
            checker.enter(number);
        }
    }

    /// The active lanes of a SIMD-group do what a probe observes. Returns the site of an access.
    ///
    /// # Safety
    /// `ip` is an instruction of the code, and the regions are the launch's.
    pub(crate) unsafe fn observe(
        &mut self,
        wave: &Wave,
        ip: *const Ins,
        imm: u64,
        pointers: impl Fn(usize) -> u64,
        values: impl Fn(usize) -> u64,
    ) -> Option<u32> {
        // SAFETY: the caller's.
        let at = unsafe { ip.offset_from(self.code) as usize };
        let probe = Probe::from_imm(imm)?;
        if let Probe::Count { site } = probe {
            if let Some(counts) = &mut self.counts {
                // A pointer is a number and an offset, not an address, so that counts are the same each time.
                let pointers = lanes(wave.exec).map(|lane| (lane, pointers(lane as usize)));
                counts.count(site, wave.exec, pointers);
            }
            return None;
        }
        let Self { checker: Some(checker), sites, spans, locate, allocations, addresses, .. } =
            self
        else {
            return None;
        };
        let mut site = |checker: &mut Checker<'_>, kind: AccessKind| {
            if let Some(site) = sites.get(at).copied().flatten() {
                return site;
            }
            let span = spans.get(at).copied().unwrap_or_default();
            let site = checker.site(locate.and_then(|locate| locate(span)), kind);
            if let Some(known) = sites.get_mut(at) {
                *known = Some(site);
            }
            site
        };
        let (kind, bytes, known) = match probe {
            Probe::Access { kind, bytes, known } => (kind, bytes, known),
            Probe::Threadgroup(flags) => {
                checker.threadgroup_barrier(wave.number, flags);
                return None;
            }
            Probe::Simdgroup(flags) => {
                checker.simdgroup_barrier(wave.number, flags);
                return None;
            }
            Probe::Fence => {
                checker.fence();
                return None;
            }
            Probe::Start { .. } => {
                checker.begin(wave.number);
                return None;
            }
            Probe::Found(finding) => {
                let site = site(checker, AccessKind::Read);
                lanes(wave.exec).for_each(|lane| checker.found(wave.number, lane, site, finding));
                return None;
            }
            Probe::Aligned { bytes } => {
                let is_wrong = |lane: u32| {
                    // SAFETY: the caller's.
                    let found = unsafe { address(wave, pointers(lane as usize), 1) };
                    found.is_some_and(|(_, address, _)| !address.is_multiple_of(bytes.into()))
                };
                lanes(wave.exec).filter(|lane| is_wrong(*lane)).for_each(|lane| {
                    let site = site(checker, AccessKind::Read);
                    checker.found(wave.number, lane, site, Finding::Misaligned);
                });
                return None;
            }
            Probe::Wrote { bytes } | Probe::Unwrite { bytes } => {
                let is_written = matches!(probe, Probe::Wrote { .. });
                lanes(wave.exec).for_each(|lane| {
                    // SAFETY: the caller's.
                    let found = unsafe { address(wave, pointers(lane as usize), bytes) };
                    match found {
                        Some((number, address, _)) if is_written => {
                            checker.wrote(is_own(allocations, number), address, bytes);
                        }
                        Some((_, address, _)) => checker.unwrite(address, bytes),
                        None => {}
                    }
                });
                return None;
            }
            Probe::Count { .. } => return None,
        };
        let site = site(checker, kind);
        checker.step(wave.exec);
        let all = lanes(wave.exec).map(|lane| {
            // SAFETY: the caller's.
            let (number, address, _) = unsafe { address(wave, pointers(lane as usize), bytes) }?;
            Some((lane, is_own(allocations, number), address))
        });
        if let Some(all) = all.collect::<Option<Vec<_>>>()
            && let Some(&(_, own, _)) = all.first()
            && all.iter().all(|one| one.1 == own)
        {
            let all: Vec<(u32, u64)> = all.into_iter().map(|(lane, _, at)| (lane, at)).collect();
            let value = |lane: u32| known.then(|| values(lane as usize));
            if checker.access_all(site, own, bytes, &all, &value) {
                return Some(site);
            }
        }
        for lane in lanes(wave.exec) {
            // An access out of bounds is a fault of the instruction that follows.
            // SAFETY: the caller's.
            let found = unsafe { address(wave, pointers(lane as usize), bytes) };
            let Some((number, address, offset)) = found else { continue };
            let own = is_own(allocations, number);
            let name = || {
                let allocation = allocations.get((number as usize).wrapping_sub(1));
                let resident = || Some(addresses.resident(number)?.owner.name());
                allocation.map(|allocation| allocation.name.clone()).or_else(resident)
            };
            let place = Place { own, address, bytes, region: number, name: &name, offset };
            let value = known.then(|| values(lane as usize));
            checker.access(wave.number, lane, site, value, &place);
        }
        Some(site)
    }
}

/// A probe: `b` the lanes' pointers, `c` what they store; `imm` is a [`Probe`].
pub(crate) struct Observe;

impl Handler for Observe {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; the checker is the worker's, which runs one SIMD-group at a time.
        unsafe {
            if let Some(probes) = wave.probes.as_mut() {
                let lanes = |at: u32| frame.add(at as usize).cast::<[u64; LANES]>();
                let (pointers, values) = (lanes((*ip).b), lanes((*ip).c));
                probes.observe(wave, ip, (*ip).imm, |k| (&*pointers)[k], |k| (&*values)[k]);
            }
            ip.add(1)
        }
    }
}

/// Which bytes of memory were not written: `a` a bit for each, `b` the lanes' pointers, `imm` how many bytes.
pub(crate) struct Unwritten;

impl Handler for Unwritten {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; as above.
        unsafe {
            let ins = &*ip;
            let pointers = &*frame.add(ins.b as usize).cast::<[u64; LANES]>();
            let mut bits = [0u32; LANES];
            for lane in lanes(wave.exec) {
                bits[lane as usize] = unwritten(wave, pointers[lane as usize], ins.imm as u32);
            }
            *frame.add(ins.a as usize).cast() = bits;
            ip.add(1)
        }
    }
}

/// Which bytes at a pointer were not written, a bit for each.
///
/// # Safety
/// The checker is the worker's, and the regions are the launch's.
pub(crate) unsafe fn unwritten(wave: &Wave, pointer: u64, bytes: u32) -> u32 {
    // SAFETY: the caller's.
    let (probes, found) = unsafe { (wave.probes.as_ref(), address(wave, pointer, bytes)) };
    let Some(Probes { checker: Some(checker), allocations, .. }) = probes else { return 0 };
    found.map_or(0, |(number, address, _)| {
        checker.unwritten(is_own(allocations, number), address, bytes)
    })
}

/// The region, the address and the offset of a pointer to bytes that are in bounds.
///
/// # Safety
/// The regions are the launch's.
unsafe fn address(wave: &Wave, pointer: u64, bytes: u32) -> Option<(u32, u64, i64)> {
    let (number, offset) = split(pointer);
    if number >= wave.region_count {
        return None;
    }
    // SAFETY: the caller's.
    let region: &Region = unsafe { &*wave.regions.add(number as usize) };
    let inside = offset >= 0 && offset as u64 + u64::from(bytes) <= region.bytes;
    inside.then(|| (number, region.base.wrapping_add(offset as usize) as u64, offset))
}
