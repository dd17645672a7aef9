//! Which registers a strip keeps at the barriers of a body in rounds; see `specs/native.md`.

use super::allocate::{Allocation, Place};
use super::lir::{Class, Code, Ins, Reg};
use super::target::Target;

/// A register of the machine whose value is needed after a barrier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) reg: Reg,
    /// The file that it is in, and its number there.
    pub(crate) file: Class,
    pub(crate) number: u8,
    /// Whether its value is in memory at any barrier, so that only loading it is left.
    pub(crate) in_memory: bool,
}

/// The values that are saved at barriers, and those that are saved where they are computed.
#[derive(Debug)]
pub(crate) struct Barriers<'a> {
    code: &'a Code,
    allocation: &'a Allocation,
    target: Target,
    /// Virtual registers that are saved where they are computed, as they never change.
    saved_once: Vec<bool>,
}

impl<'a> Barriers<'a> {
    /// Finds the registers that a barrier does not have to save: one instruction computes each, and nothing but a slow
    /// path changes it, which changes what is saved as well. The memory is that of the machine's register, which has
    /// no other value as long as this one is needed.
    pub(crate) fn of(code: &'a Code, allocation: &'a Allocation, target: Target) -> Self {
        let mut found = Self { code, allocation, target, saved_once: Vec::new() };
        let mut saved_once = vec![false; code.regs.len()];
        for (at, _) in code.code.iter().enumerate().filter(|(_, ins)| is_barrier(ins)) {
            found.kept(at).for_each(|kept| saved_once[kept.reg.0 as usize] = true);
        }
        let mut results = vec![0; saved_once.len()];
        for ins in &code.code {
            match ins.only_result() {
                Some(d) => results[d.0 as usize] += 1,
                // The results of these are not saved where they are computed.
                None => each_changed(ins, &mut |reg| results[reg.0 as usize] += 2),
            }
        }
        for ((saved, results), info) in saved_once.iter_mut().zip(results).zip(&code.regs) {
            *saved &= results == 1 && !info.carried && info.home.is_none();
        }
        found.saved_once = saved_once;
        found
    }

    /// The registers that instructions before and after this one need.
    pub(crate) fn kept(&self, at: usize) -> impl Iterator<Item = Kept> {
        let at = at as u32;
        let lives = self.allocation.first.iter().zip(&self.allocation.last).enumerate();
        lives
            .filter(move |&(_, (&from, &to))| from < at && at < to)
            .filter_map(|(index, _)| self.file_of(Reg(index as u32)))
    }

    /// The register that an instruction computes, if it is saved there.
    pub(crate) fn saved_by(&self, ins: &Ins) -> Option<Kept> {
        let d = ins.only_result().filter(|d| self.saved_once[d.0 as usize])?;
        self.file_of(d)
    }

    /// The machine's register for a virtual one, if it has one.
    fn file_of(&self, reg: Reg) -> Option<Kept> {
        let at = reg.0 as usize;
        let Place::Register(number) = self.allocation.places[at] else { return None };
        let info = self.code.regs[at];
        let file = if self.target.is_vector(info.class) { Class::Vector } else { info.class };
        let at_home = info.home.is_some() && !info.carried;
        let in_memory = at_home || self.saved_once.get(at).is_some_and(|&saved| saved);
        Some(Kept { reg, file, number, in_memory })
    }
}

fn is_barrier(ins: &Ins) -> bool {
    matches!(ins, Ins::Barrier { .. })
}

/// Calls `f` with every register that an instruction without an [`only_result`](Ins::only_result) may change, and at times with
/// others that it names: only instructions that are known to change none are left out.
fn each_changed(ins: &Ins, f: &mut impl FnMut(Reg)) {
    use Ins as I;
    match ins {
        I::StoreInt { .. }
        | I::StoreAll { .. }
        | I::StoreQuads { .. }
        | I::Store { .. }
        | I::StorePairs { .. }
        | I::StoreHalves { .. }
        | I::Scatter { .. }
        | I::JumpIf { .. }
        | I::JumpNone { .. }
        | I::JumpUnlessBelow { .. }
        | I::CheckBelow { .. }
        | I::CheckLanes { .. } => {}
        _ => ins.each(f),
    }
}
