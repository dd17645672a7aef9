//! Calls from machine code to the interpreter's handlers: atomics of one address, matrices, rare operations.

use super::lir::{Access, MatrixAccess, Operand, RegionRef};
use super::machine::Saved;
use crate::soft::cpu::interp::code::{Ins, Stop, Wave, Wrong};
use crate::soft::cpu::interp::memory::{Lanes, OFFSET_BITS, Target, place};
use crate::soft::cpu::interp::{self, atomic};

/// Does an atomic by the interpreter's handler for one address, lane after lane, after all addresses have been
/// checked. An error has the lane that is wrong.
///
/// # Safety
/// The SIMD-group's regions are those of the launch.
pub(super) unsafe fn atomic(
    saved: &Saved<'_>,
    access: &Access,
    run: interp::code::Run,
    operands: &[Operand],
    wave: &mut Wave,
) -> Result<(), (u32, Wrong)> {
    let number = match access.region {
        RegionRef::Number(number) => number,
        RegionRef::Found(reg) => saved.int(reg) as u32,
        RegionRef::Thread { .. } => unreachable!("atomics are in shared memory"),
    };
    let active = saved.active(&access.exec);
    let lanes = || (0..saved.machine.lanes()).filter(|lane| active >> lane & 1 != 0);
    for lane in lanes() {
        let offset = saved.offset(access, lane);
        let (region, bytes, write) = (number, access.scalar.bytes(), access.write);
        // SAFETY: the caller's.
        let target = unsafe { Target::region(wave, number, offset, bytes as usize, write) };
        if !target.allows(offset) {
            return Err((lane as u32, Wrong::Access { region, offset, bytes, write }));
        }
        if !(target.base.addr() as u64).wrapping_add(offset as u64).is_multiple_of(bytes.into()) {
            return Err((lane as u32, Wrong::Misaligned { region, offset, bytes, write }));
        }
    }
    let exec = wave.exec;
    for lane in lanes() {
        let mut frame = Operands([[0; 256]; 4]);
        let memory = frame.0.as_mut_ptr().cast::<u8>();
        let (pointer, wide) = (256, access.scalar.bytes() == 8);
        let bits =
            (u64::from(number) << OFFSET_BITS).wrapping_add(saved.offset(access, lane) as u64);
        // SAFETY: a slot, and lanes of registers, in that memory.
        unsafe {
            memory.add(pointer as usize).cast::<u64>().write(bits);
            for (at, operand) in operands.iter().enumerate() {
                let (at, bits) = (memory.add(512 + at * 256), saved.get(operand, lane));
                match wide {
                    true => at.cast::<u64>().add(lane).write(bits),
                    false => at.cast::<u32>().add(lane).write(bits as u32),
                }
            }
        }
        let words = [
            Ins { run, a: 0, b: 0, c: 0, d: pointer | place::POINTER, imm: 0 },
            Ins { run, a: 512, b: 768, c: 0, d: 0, imm: atomic::form(Lanes::Uniform, true) },
        ];
        wave.exec = 1 << lane;
        // SAFETY: the operands are in this memory, and it checks the access.
        unsafe { run(words.as_ptr(), memory, wave) };
        // SAFETY: a lane of the result.
        let old = unsafe {
            match wide {
                true => memory.cast::<u64>().add(lane).read(),
                false => memory.cast::<u32>().add(lane).read().into(),
            }
        };
        saved.set(&access.data[0], lane, old);
    }
    wave.exec = exec;
    Ok(())
}

/// Accesses a matrix by the interpreter's handler. An error has the lane that is wrong.
///
/// # Safety
/// The SIMD-group's regions are those of the launch.
pub(super) unsafe fn matrix(
    saved: &Saved<'_>,
    access: &MatrixAccess,
    wave: &mut Wave,
) -> Result<(), (u32, Wrong)> {
    let mut operands = Operands([[0; 256]; 4]);
    let memory = operands.0.as_mut_ptr().cast::<u8>();
    let [at, down, right] = [512, 520, 528];
    let slots = [(at, access.pointer), (down, access.steps[0]), (right, access.steps[1])];
    for (slot, reg) in slots {
        // SAFETY: a slot in that memory.
        unsafe { memory.add(slot as usize).cast::<u64>().write(saved.int(reg)) };
    }
    // SAFETY: a register's 32 lanes are in that memory.
    let lane = |register: usize, lane: usize| unsafe {
        memory.add(register * 256).cast::<u32>().add(lane)
    };
    for (register, data) in access.data.iter().enumerate().filter(|_| access.write) {
        for number in 0..32 {
            // SAFETY: as above.
            unsafe { lane(register, number).write(saved.get(data, number) as u32) };
        }
    }
    let run = interp::matrix::handler(access.scalar, access.write);
    let words = [
        Ins { run, a: 0, b: 256, c: at, d: down, imm: 0 },
        Ins { run, a: right, b: 0, c: 0, d: 0, imm: 0 },
    ];
    let exec = std::mem::replace(&mut wave.exec, saved.active(&access.exec));
    // SAFETY: the operands are in this memory, and it checks the access.
    let next = unsafe { run(words.as_ptr(), memory, wave) };
    wave.exec = exec;
    if next.is_null() {
        let Stop::Fault(_, lane, wrong) = wave.stop else { unreachable!("it only faults") };
        return Err((lane, wrong));
    }
    for (register, data) in access.data.iter().enumerate().filter(|_| !access.write) {
        for number in 0..32 {
            // SAFETY: as above.
            saved.set(data, number, unsafe { lane(register, number).read() }.into());
        }
    }
    Ok(())
}

/// Memory for the operands of a handler: 32 lanes of 8 bytes each.
#[repr(C, align(128))]
struct Operands([[u8; 256]; 4]);

/// Does an operation by the interpreter's handler.
///
/// # Safety
/// The handler reads and writes its operands only, and their number is that of `args`.
pub(super) unsafe fn operation(
    saved: &Saved<'_>,
    run: crate::soft::cpu::interp::code::Run,
    args: &[Operand],
    result: &Operand,
    once: bool,
    wave: &mut Wave,
) {
    let mut operands = Operands([[0; 256]; 4]);
    let memory = operands.0.as_mut_ptr().cast::<u8>();
    let lanes = if once { 1 } else { saved.machine.lanes() };
    for (at, arg) in args.iter().enumerate() {
        let at = memory.wrapping_add((at + 1) * 256);
        for lane in 0..lanes {
            let bits = saved.get(arg, lane);
            // SAFETY: a slot, 32 lanes of 4 bytes, or 32 bits.
            unsafe {
                match arg {
                    Operand::Int { bool: true, .. } => {
                        at.cast::<u32>().write(if bits != 0 { u32::MAX } else { 0 });
                    }
                    Operand::Int { .. } => at.cast::<u64>().write(bits),
                    Operand::Lanes(_) => at.cast::<u32>().add(lane).write(bits as u32),
                    Operand::Wide { .. } => at.cast::<u64>().add(lane).write(bits),
                    Operand::Part { .. } => unreachable!("only loads have parts of words"),
                    Operand::Masks(_) => *at.cast::<u32>() |= (bits as u32) << lane,
                }
            }
        }
    }
    let ins = Ins { run, a: 0, b: 256, c: 512, d: 768, imm: 0 };
    // SAFETY: the handler's operands are in this memory.
    unsafe { run(&raw const ins, memory, wave) };
    for lane in 0..saved.machine.lanes() {
        // SAFETY: as above.
        let bits = unsafe {
            match result {
                Operand::Int { bool: true, .. } => u64::from(memory.cast::<u32>().read() & 1),
                Operand::Int { .. } => memory.cast::<u64>().read(),
                Operand::Lanes(_) => memory.cast::<u32>().add(lane).read().into(),
                Operand::Wide { .. } => memory.cast::<u64>().add(lane).read(),
                Operand::Part { .. } => unreachable!("only loads have parts of words"),
                Operand::Masks(_) => u64::from(memory.cast::<u32>().read() >> lane & 1),
            }
        };
        saved.set(result, lane, bits);
        if matches!(result, Operand::Int { .. }) {
            break;
        }
    }
}
