//! Conversion of components to their format in memory; loads of the 32-bit words that contain narrow or adjacent components.

use super::{Forms, Selection};
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::cpu::native::shape::Sum;
use crate::soft::ir::Scalar;

impl Selection<'_> {
    /// The values of halves or bfloats from their bits.
    pub(super) fn floats_of_bits(&mut self, forms: Forms, scalar: Scalar, exact: bool) -> Forms {
        let lanes = match forms.int {
            Some(s) => {
                let d = self.lane();
                self.emit(Ins::Spread { d, s });
                vec![self.value_of_bits(scalar, d, exact); self.parts()]
            }
            None => {
                forms.lanes.iter().map(|&bits| self.value_of_bits(scalar, bits, exact)).collect()
            }
        };
        Forms { int: None, lanes }
    }

    /// Applies an operation to the vector of each part, once if all parts share a register.
    pub(super) fn each_part(
        &mut self,
        regs: &[Reg],
        mut f: impl FnMut(&mut Self, Reg) -> Reg,
    ) -> Vec<Reg> {
        if regs.windows(2).all(|pair| pair[0] == pair[1]) {
            return vec![f(self, regs[0]); regs.len()];
        }
        regs.iter().map(|&reg| f(self, reg)).collect()
    }

    /// A component in the format of memory: the bits of halves and bfloats, 1 and 0 for truth values.
    pub(super) fn in_memory(&mut self, forms: Forms, scalar: Scalar, exact: bool) -> Forms {
        let int = forms.int.map(|a| {
            if scalar != Scalar::Bool {
                return a;
            }
            let d = self.int();
            self.emit(Ins::IntImm { op: IntOp::And, wide: false, d, a, imm: 1 });
            d
        });
        if forms.lanes.is_empty() {
            return Forms { int, ..forms };
        }
        let lanes = match scalar {
            Scalar::F16 | Scalar::BF16 => self.each_part(&forms.lanes, |selection, reg| {
                selection.bits_of_value(scalar, reg, exact)
            }),
            Scalar::Bool => {
                let (a, b) = (self.lane_constant(1), self.lane_constant(0));
                self.each_part(&forms.lanes, |selection, mask| selection.chosen(mask, a, b))
            }
            _ => forms.lanes,
        };
        Forms { int, lanes }
    }

    /// Loads four adjacent words for each lane: 16 bytes a lane, four lanes to a vector, which are then transposed.
    pub(super) fn quads(&mut self, words: &[Reg], mut mem: impl FnMut(&mut Self, u32) -> MemRef) {
        let quads = self.strip.lanes / 4;
        let [a, b, c, d] = std::array::from_fn(|k| {
            let mems = std::array::from_fn(|quad| {
                let quad = (quad as u32).min(quads - 1);
                mem(self, 4 * quad + k as u32)
            });
            let d = self.lane();
            self.emit(Ins::LoadQuads { d, mems });
            d
        });
        let both = [Lane2::MixLow, Lane2::MixHigh];
        let even = both.map(|op| self.lane2(op, a, c));
        let odd = both.map(|op| self.lane2(op, b, d));
        for (half, words) in words.chunks(2).enumerate() {
            for (&d, op) in words.iter().zip(both) {
                self.emit(Ins::Lane2 { op, d, a: even[half], b: odd[half] });
            }
        }
    }

    /// Stores four adjacent words of each lane in the same way; no lane is left out.
    pub(super) fn store_quads(&mut self, words: &[Reg; 4], mem: impl Fn(u32) -> MemRef) {
        let quads = self.strip.lanes / 4;
        let &[a, b, c, d] = words;
        let both = [Lane2::MixLow, Lane2::MixHigh];
        // The first two words, and the others, of the even lanes and of the odd ones.
        let ac = both.map(|op| self.lane2(op, a, c));
        let bd = both.map(|op| self.lane2(op, b, d));
        for lane in 0..4 {
            let (low, high) = (ac[lane / 2], bd[lane / 2]);
            let s = self.lane2(both[lane % 2], low, high);
            let mems =
                std::array::from_fn(|quad| mem(4 * (quad as u32).min(quads - 1) + lane as u32));
            self.emit(Ins::StoreQuads { mems, s });
        }
    }

    /// The same for active lanes at `base` plus an offset for each. If no lane is active, the results are of no use.
    fn quads_at(&mut self, base: Reg, offsets: Reg, part: usize, words: &[Reg]) {
        let (mask, done, bits) = (self.exec[part], self.label(), self.int());
        self.emit(Ins::BitsOfMask { d: bits, s: mask });
        self.emit(Ins::JumpIf { zero: true, s: bits, to: done });
        // The offset of an inactive lane was not checked, so it reads what the last active one does.
        let (last, spread, s) = (self.int(), self.lane(), self.lane());
        self.emit(Ins::Last { d: last, s: offsets, bits });
        self.emit(Ins::Spread { d: spread, s: last });
        self.emit(Ins::Select { d: s, mask, a: offsets, b: spread });
        let row = self.row() + part as u32 * self.strip.lanes * 4;
        let own =
            |lane: u32| MemRef { base: MemBase::Own, index: None, disp: (row + 4 * lane) as i32 };
        self.emit(Ins::StoreAll { mem: own(0), s });
        self.quads(words, |selection, lane| {
            let offset = selection.int();
            selection.emit(Ins::LoadInt { from: Scalar::U32, d: offset, mem: own(lane) });
            MemRef { base: MemBase::Reg(base), index: Some(offset), disp: 0 }
        });
        self.emit(Ins::Label(done));
    }

    /// Room for the lanes of a strip in the code's own memory: its offset.
    pub(super) fn row(&mut self) -> u32 {
        *self.row.get_or_insert_with(|| {
            self.code.own_bytes += 32 * 4;
            self.code.own_bytes - 32 * 4
        })
    }

    pub(super) fn part_of_row(
        &mut self,
        mem: MemRef,
        scalar: Scalar,
        data: &Operand,
        part: usize,
        write: bool,
    ) {
        let mask = self.exec[part];
        match data {
            Operand::Lanes(regs) if write && scalar.bytes() == 4 && self.are_all(&[mask]) => {
                self.emit(Ins::StoreAll { mem, s: regs[part] });
            }
            Operand::Lanes(regs) if write => {
                self.emit(Ins::Store { bytes: scalar.bytes(), mem, s: regs[part], mask });
            }
            Operand::Lanes(regs) => self.emit(Ins::Load { from: scalar, d: regs[part], mem }),
            Operand::Masks(regs) => {
                let (wide, zero) = (self.lane(), self.lane_constant(0));
                self.emit(Ins::Load { from: Scalar::U8, d: wide, mem });
                let (test, kind) = (Test::Ne, Num::Unsigned);
                self.emit(Ins::CompareLanes { test, kind, d: regs[part], a: wide, b: zero });
            }
            Operand::Int { .. } | Operand::Wide { .. } | Operand::Part { .. } => {
                unreachable!("components are lanes of 32 bits")
            }
        }
    }

    /// Leaves a store to the slow path if active lanes may overlap in part, as in `*(device uint2 *)(x + (lane ^ 1))`: code stores
    /// component after component, but lanes are to store one after the other. Offsets that are multiples of the lanes' bytes are
    /// equal or apart.
    pub(super) fn check_overlaps(
        &mut self,
        sum: &Sum,
        offsets: &[Reg],
        scalar: Scalar,
        components: usize,
        site: u32,
    ) {
        let bytes = scalar.bytes() * components as u32;
        let scales = sum.lanes.iter().map(|&(_, scale)| scale.unsigned_abs());
        if components == 1 || scales.fold(0, divisor) >= bytes.into() {
            return;
        }
        let (rest, zero) =
            (self.lane_constant(bytes.next_power_of_two() - 1), self.lane_constant(0));
        for (part, &offsets) in offsets.iter().enumerate() {
            let (a, good) = (self.lane2(Lane2::And, offsets, rest), self.mask());
            let (test, kind) = (Test::Eq, Num::Unsigned);
            self.emit(Ins::CompareLanes { test, kind, d: good, a, b: zero });
            self.emit(Ins::CheckLanes { active: self.exec[part], good, site });
        }
    }

    /// Reads or writes the components of each lane at `base` plus its offset.
    pub(super) fn lanes_at(
        &mut self,
        base: Reg,
        offsets: Reg,
        scalar: Scalar,
        data: &[Operand],
        part: usize,
        write: bool,
    ) {
        let mask = self.exec[part];
        let bytes = scalar.bytes();
        if write {
            for (number, data) in data.iter().enumerate() {
                let (disp, s) = (number as i32 * bytes as i32, component(data, part));
                self.emit(Ins::Scatter { bytes, base, offsets, disp, s, mask });
            }
            return;
        }
        let words = self.words(scalar, data, part);
        if words.len() == 4 {
            self.quads_at(base, offsets, part, &words);
        } else {
            for (number, &d) in words.iter().enumerate() {
                let disp = 4 * number as i32;
                self.emit(Ins::Gather { d, base, offsets, disp, mask });
            }
        }
        self.parts_of_words(&words, scalar, data, part);
    }

    /// Loads the adjacent words that contain each lane's components. A component of 32 bits is the word itself.
    pub(super) fn words(&mut self, scalar: Scalar, data: &[Operand], part: usize) -> Vec<Reg> {
        if let Operand::Part { .. } = data[0] {
            let first = |data: &Operand| match data {
                Operand::Part { words, byte: 0, .. } => Some(words[part]),
                _ => None,
            };
            return data.iter().filter_map(first).collect();
        }
        if scalar.bytes() == 4 {
            return data.iter().map(|data| component(data, part)).collect();
        }
        (0..word_count(scalar, data.len())).map(|_| self.lane()).collect()
    }

    /// Sets narrow components to the parts of their words.
    pub(super) fn parts_of_words(
        &mut self,
        words: &[Reg],
        scalar: Scalar,
        data: &[Operand],
        part: usize,
    ) {
        let bytes = scalar.bytes();
        if bytes == 4 || matches!(data[0], Operand::Part { .. }) {
            return;
        }
        for (&word, data) in words.iter().zip(data.chunks(4 / bytes as usize)) {
            for (number, data) in data.iter().enumerate() {
                self.part_of_word(word, number as u32 * bytes, scalar, component(data, part));
            }
        }
    }

    /// A narrow scalar at a byte of each lane, widened.
    pub(super) fn part_of_word(&mut self, word: Reg, byte: u32, scalar: Scalar, d: Reg) {
        let bits = 32 - 8 * scalar.bytes() as u8;
        let up = bits - 8 * byte as u8;
        let a = if up == 0 { word } else { self.lane1(Lane1::Shl(up), word) };
        if scalar == Scalar::Bool {
            let (a, b) = (self.lane1(Lane1::Shr(bits), a), self.lane_constant(0));
            return self.emit(Ins::CompareLanes { test: Test::Ne, kind: Num::Unsigned, d, a, b });
        }
        let op = if scalar.is_signed() { Lane1::Sar(bits) } else { Lane1::Shr(bits) };
        self.emit(Ins::Lane1 { op, d, a });
    }

    /// The number in the last active lane.
    pub(super) fn of_last_lane(&mut self, regs: &[Reg]) -> Reg {
        let mut found: Option<Reg> = None;
        for (part, &s) in regs.iter().enumerate() {
            let (bits, d) = (self.int(), self.int());
            self.emit(Ins::BitsOfMask { d: bits, s: self.exec[part] });
            self.emit(Ins::Last { d, s, bits });
            found = Some(match found {
                Some(b) => {
                    let to = self.int();
                    self.emit(Ins::Choose { wide: false, d: to, c: bits, a: d, b });
                    to
                }
                None => d,
            });
        }
        found.unwrap_or_else(|| self.constant(0))
    }
}

/// The register of a component's lanes.
pub(super) fn component(data: &Operand, part: usize) -> Reg {
    match data {
        Operand::Lanes(regs) | Operand::Masks(regs) => regs[part],
        Operand::Int { .. } | Operand::Wide { .. } | Operand::Part { .. } => {
            unreachable!("components are lanes of 32 bits")
        }
    }
}

/// How many words contain a lane's adjacent components.
pub(super) fn word_count(scalar: Scalar, components: usize) -> usize {
    (scalar.bytes() as usize * components).div_ceil(4)
}

/// The greatest common divisor.
fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}
