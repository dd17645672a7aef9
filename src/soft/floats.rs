//! The state of the processor's arithmetic on floats, which a thread inherits from the one that starts it.

use std::arch::asm;
use std::marker::PhantomData;

/// While this lives, arithmetic of its thread is as a program finds it: it rounds to the nearest, keeps subnormal numbers and raises no
/// signals. A library that was linked with `-ffast-math` may have changed that for the whole program.
#[derive(Debug)]
pub(crate) struct DefaultState {
    before: State,
    /// It restores the state of the thread that made it.
    of_thread: PhantomData<*const ()>,
}

impl DefaultState {
    pub(crate) fn new() -> Self {
        let before = state();
        if before & !EVENTS != DEFAULT {
            set(DEFAULT);
        }
        Self { before, of_thread: PhantomData }
    }
}

impl Drop for DefaultState {
    fn drop(&mut self) {
        if self.before & !EVENTS != DEFAULT {
            set(self.before);
        }
    }
}

#[cfg(target_arch = "x86_64")]
type State = u32;
/// All exceptions are masked.
#[cfg(target_arch = "x86_64")]
const DEFAULT: State = 0x1f80;
/// Bits that record what has happened, and change nothing.
#[cfg(target_arch = "x86_64")]
const EVENTS: State = 0x3f;

/// MXCSR.
#[cfg(target_arch = "x86_64")]
fn state() -> State {
    let mut state = 0;
    // SAFETY: stores four bytes there.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut state, options(nostack, preserves_flags)) };
    state
}

#[cfg(target_arch = "x86_64")]
fn set(state: State) {
    // SAFETY: the bits are the default ones, or were in the register before.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const state, options(nostack, preserves_flags)) };
}

#[cfg(target_arch = "aarch64")]
type State = u64;
#[cfg(target_arch = "aarch64")]
const DEFAULT: State = 0;
/// The record of what has happened is another register.
#[cfg(target_arch = "aarch64")]
const EVENTS: State = 0;

/// FPCR.
#[cfg(target_arch = "aarch64")]
fn state() -> State {
    let state;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, fpcr", out(reg) state, options(nostack, preserves_flags)) };
    state
}

#[cfg(target_arch = "aarch64")]
fn set(state: State) {
    // SAFETY: the bits are the default ones, or were in the register before.
    unsafe { asm!("msr fpcr, {}", in(reg) state, options(nostack, preserves_flags)) };
}
