//! Arithmetic that flushes subnormal numbers to zero, as a program may have set it.

/// Runs `work` with subnormal operands and results flushed to zero: FTZ and DAZ of MXCSR.
#[cfg(target_arch = "x86_64")]
pub(crate) fn flushing<T>(work: impl FnOnce() -> T) -> T {
    let mut before = 0u32;
    // SAFETY: both bits are valid on x86_64; the state is put back below. `work` is opaque calls.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &mut before, options(nostack));
        std::arch::asm!("ldmxcsr [{}]", in(reg) &(before | 0x8040), options(nostack));
    }
    let done = work();
    // SAFETY: this is the state from before.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &before, options(nostack)) };
    done
}

/// Runs `work` with subnormal operands and results flushed to zero: FZ and FZ16 of FPCR.
#[cfg(target_arch = "aarch64")]
pub(crate) fn flushing<T>(work: impl FnOnce() -> T) -> T {
    let before: u64;
    // SAFETY: a processor without FZ16 ignores the bit; the state is put back below. `work` is
    // opaque calls.
    unsafe {
        std::arch::asm!("mrs {}, fpcr", out(reg) before, options(nostack));
        std::arch::asm!("msr fpcr, {}", in(reg) before | 1 << 24 | 1 << 19, options(nostack));
    }
    let done = work();
    // SAFETY: this is the state from before.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) before, options(nostack)) };
    done
}
