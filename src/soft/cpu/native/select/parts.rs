//! Accesses of strips whose vectors are rows of threads, though the strip is not: in tiles of 16 columns, for instance, a
//! SIMD-group has two rows. The lanes of a vector then often have one address, or are side by side, and need no gathers.

use super::{Noted, Selection};
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::shape::Sum;
use crate::soft::ir::Scalar;

/// Terms that wrap between lanes are found by a comparison only if their steps are not larger.
const MAX_STRIDE: u32 = 1 << 12;

impl Selection<'_> {
    /// Reads or writes by parts, if the lanes of each have one address or are side by side. Code for any lanes follows, where it goes if a part is not in
    /// bounds as a whole: after that are the label of the end, and what is noted of lanes, which do not change.
    #[allow(clippy::too_many_arguments)] // They describe an access.
    pub(super) fn by_parts(
        &mut self,
        sum: &Sum,
        terms: &[Term],
        (offset, moved): (Reg, bool),
        target: (Reg, Reg),
        site: u32,
        scalar: Scalar,
        data: &[Operand],
        write: bool,
    ) -> Option<(Label, Option<Noted>)> {
        let step = self.row_of_parts(sum, scalar, data, write)?;
        let starts = self.part_starts(sum, terms, offset, site, moved)?;
        let (some, end, noted) = (self.label(), self.label(), self.noted.clone());
        self.in_parts(&starts, step, target, scalar, &data[0], write, some);
        self.emit(Ins::Jump(end));
        self.emit(Ins::Label(some));
        Some((end, noted))
    }

    /// The distance of neighbouring lanes in bytes, if those of each vector access one scalar at one address, or are side by side.
    fn row_of_parts(
        &self,
        sum: &Sum,
        scalar: Scalar,
        data: &[Operand],
        write: bool,
    ) -> Option<i64> {
        let step = self.step_of_parts(sum)?;
        let is_one = step == 0 && !write && scalar.bytes() == 4;
        let fits = match data {
            [Operand::Lanes(_)] => is_one || step == i64::from(scalar.bytes()),
            [Operand::Masks(_)] => step == 1 && !write,
            _ => false,
        };
        fits.then_some(step)
    }

    /// The offset of the first lane of each vector, where each term has a step within a vector; `None` if a term has 64 bits in each
    /// lane, or may wrap unnoticed.
    pub(super) fn part_starts(
        &mut self,
        sum: &Sum,
        terms: &[Term],
        offset: Reg,
        site: u32,
        moved: bool,
    ) -> Option<Vec<Reg>> {
        let shapes = self.part_shapes.as_ref()?;
        let stride = |&(term, _): &(_, i64)| shapes.step(term).filter(|&step| step <= MAX_STRIDE);
        let strides: Vec<u32> = sum.lanes.iter().map(stride).collect::<Option<_>>()?;
        let in_lanes = |term: &Term| match &term.index {
            LaneIndex::Lanes(lanes) => Some(lanes.clone()),
            _ => None,
        };
        let lanes: Vec<Vec<Reg>> = terms.iter().map(in_lanes).collect::<Option<_>>()?;
        let mut starts = Vec::new();
        for part in 0..self.parts() {
            let mut firsts = Vec::new();
            for ((term, lanes), &stride) in terms.iter().zip(&lanes).zip(&strides) {
                let d = self.int();
                self.emit(Ins::First { d, s: lanes[part] });
                firsts.push((d, stride, term.signed, term.scale));
            }
            starts.push(self.start_of(&firsts, offset, site, moved, sum.constant));
        }
        Some(starts)
    }

    /// Reads or writes by parts, and goes to `some` if one is not in bounds as a whole; false if it cannot be done.
    #[allow(clippy::too_many_arguments)] // They describe an access.
    fn in_parts(
        &mut self,
        starts: &[Reg],
        step: i64,
        (base, limit): (Reg, Reg),
        scalar: Scalar,
        data: &Operand,
        write: bool,
        some: Label,
    ) {
        let up = step * i64::from(self.strip.lanes - 1);
        for &start in starts {
            self.emit(Ins::JumpUnlessBelow { a: start, limit, to: some });
            if up != 0 {
                let a = self.plus_constant(start, up);
                self.emit(Ins::JumpUnlessBelow { a, limit, to: some });
            }
        }
        for (part, &start) in starts.iter().enumerate() {
            let mem = MemRef { base: MemBase::Reg(base), index: Some(start), disp: 0 };
            match data {
                Operand::Lanes(regs) if step == 0 => {
                    self.emit(Ins::LoadSpread { d: regs[part], mem });
                }
                _ => self.part_of_row(mem, scalar, data, part, write),
            }
        }
    }
}
