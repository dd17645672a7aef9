//! Cache sizes and prefetch hints on x86_64.

use std::arch::asm;

/// Orders streaming stores before every later one.
#[inline(always)]
pub(super) fn fence() {
    // SAFETY: every x86_64 processor has SSE; the instruction touches no register and no memory.
    unsafe { asm!("sfence", options(nostack, preserves_flags)) }
}

/// Prefetches the cache line of an address, which may be any.
#[inline(always)]
pub(super) fn will_read(address: *const u8) {
    // SAFETY: a prefetch changes nothing and never faults; every x86_64 processor has this one.
    unsafe { asm!("prefetcht0 [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) }
}

/// Prefetches the cache line of an address in a state in which a store does not wait. (The compiler's own
/// prefetch for writing becomes one for reading unless its target has `prfchw`.)
#[inline(always)]
pub(super) fn will_write(address: *const u8) {
    // SAFETY: a prefetch changes nothing and never faults; processors that have AVX2 and not this
    // one ignore it.
    unsafe { asm!("prefetchw [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) }
}

/// The size in bytes of the highest data cache, if it can be known.
pub(super) fn last_level() -> Option<usize> {
    // "Deterministic cache parameters": leaf 4 (Intel SDM, CPUID), on AMD with the same layout at
    // 0x8000_001d (AMD APM volume 3, E.4.16). A processor without this leaf reports no caches.
    [(0, 4), (0x8000_0000, 0x8000_001d)]
        .into_iter()
        .filter(|&(first, leaf)| cpuid(first, 0)[0] >= leaf)
        .flat_map(|(_, leaf)| (0..MAX_CACHES).map(move |index| cpuid(leaf, index)))
        .filter(|[eax, ..]| matches!(eax & 0x1f, DATA | UNIFIED))
        .max_by_key(|[eax, ..]| (eax >> 5) & 7)
        .map(|[_, ebx, ecx]| {
            let (ways, partitions, line) = (ebx >> 22, (ebx >> 12) & 0x3ff, ebx & 0xfff);
            [ways, partitions, line, ecx].into_iter().map(|field| field as usize + 1).product()
        })
}

/// Types of cache, in the low bits of `eax`.
const DATA: u32 = 1;
const UNIFIED: u32 = 3;

/// How many subleaves are read; those past the last cache have type 0.
const MAX_CACHES: u32 = 8;

/// `eax`, `ebx` and `ecx` of a leaf. (The function in `core::arch` is unsafe in some of the
/// compilers that the crate supports and safe in others.)
fn cpuid(leaf: u32, subleaf: u32) -> [u32; 3] {
    let (eax, ebx, ecx): (u32, u64, u32);
    // SAFETY: every x86_64 processor has `cpuid`, which writes these four registers only. The
    // compiler keeps `rbx` for itself, so it is put back.
    unsafe {
        asm!(
            "mov {ebx}, rbx",
            "cpuid",
            "xchg {ebx}, rbx",
            ebx = out(reg) ebx,
            inout("eax") leaf => eax,
            inout("ecx") subleaf => ecx,
            out("edx") _,
            options(nomem, nostack, preserves_flags),
        );
    }
    [eax, ebx as u32, ecx]
}
