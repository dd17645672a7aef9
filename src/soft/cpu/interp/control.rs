//! Handlers of control flow: jumps, and the masks of divergence.
//!
//! An `if` parks the lanes of the other branch in a slot, a loop those that broke or continued. They resume
//! where the paths join. When no lane is left, the code jumps to the next join, so code never runs
//! without active lanes.

use super::code::{Handler, Ins, Stop, Wave, Wrong, get, put};
use crate::soft::cpu::watch::Verdict;

/// The immediate of a jump: the distance in instructions, and above it, of a jump back, the work of one iteration.
pub(crate) fn jump_imm(distance: i32, work: u32) -> u64 {
    u64::from(distance as u32) | u64::from(work) << 32
}

/// The instruction that a jump goes to.
///
/// # Safety
/// `ip` is in a program's code, and its immediate is that of a jump inside that.
#[inline(always)]
unsafe fn target(ip: *const Ins) -> *const Ins {
    // SAFETY: the caller's.
    unsafe { ip.offset((*ip).imm as i32 as isize) }
}

/// Jumps back for a loop's next iteration, after checking the watchdog if the budget is used up.
///
/// # Safety
/// As [`target`].
#[inline(always)]
unsafe fn again(ip: *const Ins, wave: &mut Wave) -> *const Ins {
    // SAFETY: the caller's.
    unsafe {
        wave.budget -= ((*ip).imm >> 32) as i64;
        if wave.budget < 0 { poll(ip, wave, target(ip)) } else { target(ip) }
    }
}

/// Declares handlers by their bodies.
macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident |$ip:ident, $ins:ident, $frame:ident, $wave:ident| $body:block)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Handler for $name {
            #[inline(always)]
            unsafe fn run($ip: *const Ins, $frame: *mut u8, $wave: &mut Wave) -> *const Ins {
                // SAFETY: the contract of `Run`.
                unsafe {
                    let $ins = &*$ip;
                    // Not every handler uses these.
                    let _ = (&$ins, &$frame, &$wave);
                    $body
                }
            }
        }
    )*};
}

handlers! {
    /// Ends the SIMD-group.
    End |ip, ins, frame, wave| {
        wave.stop = Stop::End;
        std::ptr::null()
    }

    /// Jumps.
    Jump |ip, ins, frame, wave| { target(ip) }

    /// Jumps unless the uniform condition `b` holds.
    JumpUnless |ip, ins, frame, wave| {
        if get::<u32>(frame, ins.b) == 0 { target(ip) } else { ip.add(1) }
    }

    /// Jumps if the uniform condition `b` holds.
    JumpIf |ip, ins, frame, wave| {
        if get::<u32>(frame, ins.b) != 0 { target(ip) } else { ip.add(1) }
    }

    /// Parks the lanes where `b` does not hold in `a`. Jumps if no lane is left.
    If |ip, ins, frame, wave| {
        let condition: u32 = get(frame, ins.b);
        put(frame, ins.a, wave.exec & !condition);
        wave.exec &= condition;
        if wave.exec == 0 { target(ip) } else { ip.add(1) }
    }

    /// Exchanges the active lanes and those parked in `a`. Jumps if no lane is then active.
    Else |ip, ins, frame, wave| {
        let parked: u32 = get(frame, ins.a);
        put(frame, ins.a, wave.exec);
        wave.exec = parked;
        if wave.exec == 0 { target(ip) } else { ip.add(1) }
    }

    /// Resumes the lanes parked in `a`, and empties it. Jumps if no lane is then active.
    Join |ip, ins, frame, wave| {
        wave.exec |= get::<u32>(frame, ins.a);
        put(frame, ins.a, 0u32);
        if wave.exec == 0 { target(ip) } else { ip.add(1) }
    }

    /// Parks all active lanes in `a` and jumps.
    Park |ip, ins, frame, wave| {
        put(frame, ins.a, get::<u32>(frame, ins.a) | wave.exec);
        wave.exec = 0;
        target(ip)
    }

    /// Parks the lanes where `b` holds in `a`. Jumps if no lane is left.
    ParkIf |ip, ins, frame, wave| {
        let leaving = wave.exec & get::<u32>(frame, ins.b);
        put(frame, ins.a, get::<u32>(frame, ins.a) | leaving);
        wave.exec &= !leaving;
        if wave.exec == 0 { target(ip) } else { ip.add(1) }
    }

    /// Ends the active lanes and jumps.
    Leave |ip, ins, frame, wave| {
        wave.exec = 0;
        target(ip)
    }

    /// Ends the lanes where `b` holds. Jumps if no lane is left.
    LeaveIf |ip, ins, frame, wave| {
        wave.exec &= !get::<u32>(frame, ins.b);
        if wave.exec == 0 { target(ip) } else { ip.add(1) }
    }

    /// Calls a function: leaves the next instruction in the slot `a`, and jumps.
    Call |ip, ins, frame, wave| {
        put(frame, ins.a, ip.add(1));
        target(ip)
    }

    /// Returns to the instruction in the slot `a`, which a call left there.
    Return |ip, ins, frame, wave| { get::<*const Ins>(frame, ins.a) }

    /// Empties the slot `a`.
    Clear |ip, ins, frame, wave| {
        put(frame, ins.a, 0u64);
        ip.add(1)
    }

    /// Jumps if no lane is active.
    JumpNone |ip, ins, frame, wave| {
        if wave.exec == 0 { target(ip) } else { ip.add(1) }
    }

    /// Begins a loop's next iteration.
    Again |ip, ins, frame, wave| { again(ip, wave) }

    /// Counts the work of code outside of loops; the immediate is that of a jump to the next instruction.
    Count |ip, ins, frame, wave| { again(ip, wave) }

    /// Begins a loop's next iteration unless the uniform condition `b` holds.
    AgainUnless |ip, ins, frame, wave| {
        if get::<u32>(frame, ins.b) != 0 {
            return ip.add(1);
        }
        again(ip, wave)
    }

    /// Parks the lanes where `b` holds in `a`. Begins a loop's next iteration with the others.
    AgainParkIf |ip, ins, frame, wave| {
        let leaving = wave.exec & get::<u32>(frame, ins.b);
        put(frame, ins.a, get::<u32>(frame, ins.a) | leaving);
        wave.exec &= !leaving;
        if wave.exec == 0 {
            return ip.add(1);
        }
        again(ip, wave)
    }

    /// Waits for the threadgroup's other SIMD-groups. As on a GPU, not all lanes need to be active. The worker reads the flags.
    Barrier |ip, ins, frame, wave| {
        wave.stop = Stop::Barrier(ip);
        std::ptr::null()
    }
}

/// Checks the watchdog, and whether the launch was stopped.
#[cold]
fn poll(ip: *const Ins, wave: &mut Wave, next: *const Ins) -> *const Ins {
    // SAFETY: `place` belongs to the worker, which outlives the SIMD-group's run.
    match unsafe { &*wave.place }.watch.check(&mut wave.budget) {
        Verdict::Continue => next,
        Verdict::Aborted => {
            wave.stop = Stop::Aborted;
            std::ptr::null()
        }
        Verdict::TimedOut => wave.fault(ip, wave.first(), Wrong::Watchdog),
    }
}
