//! Matrices of SIMD-groups: two vectors for each part of the strip, in the order of lanes that `interp::matrix` defines.
//!
//! A part of 16 lanes has four rows, one of 8 lanes the left or right half of four.

use super::{INT, LANES, Selection};
use crate::soft::cpu::interp::memory::OFFSET_BITS;
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::shape::Start;
use crate::soft::ir::{Inst, Op, Scalar, Value};

/// Rows and columns.
const SIDE: i32 = 8;
/// The largest distance between rows or columns, in elements, for which there is code without a call.
const MAX_STEP: u64 = 1 << 20;

/// The vectors of a matrix's two registers, by part.
type Matrix = [Vec<Reg>; 2];

impl Selection<'_> {
    /// Requests the forms in which the operands are needed.
    pub(super) fn demand_matrix(&mut self, inst: &Inst) {
        let matrices = match inst.op {
            Op::MatrixMultiplyAdd => 0,
            _ => 3,
        };
        if matrices != 0 {
            let Some((start, sum)) = self.address(inst.args[0]) else { return };
            self.need_address(start, &sum);
            for &step in &inst.args[1..3] {
                if self.function.constant_index(step).is_none() {
                    self.need(step, INT);
                }
            }
        }
        for &matrix in &inst.args[matrices..] {
            for part in self.components(matrix) {
                self.need(part, LANES);
            }
        }
    }

    /// The lanes of a matrix that is used.
    fn matrix(&mut self, value: Value) -> Matrix {
        if let Some([a, b]) = self.loaded(value).as_deref() {
            return [a.lanes.clone(), b.lanes.clone()];
        }
        let parts = self.components(value);
        [0, 1].map(|at| self.in_lanes(parts[at]))
    }

    fn new_matrix(&mut self) -> Matrix {
        [0, 1].map(|_| (0..self.parts()).map(|_| self.lane()).collect())
    }

    /// `a b + c`: for each element a chain of fused multiply-adds in the interpreter's order.
    pub(super) fn multiply_add(&mut self, value: Value, inst: &Inst) {
        let [a, b, c] = [0, 1, 2].map(|at| self.matrix(inst.args[at]));
        let sums = self.new_matrix();
        for (sums, c) in sums.iter().zip(&c) {
            for (&d, &a) in sums.iter().zip(c) {
                self.emit(Ins::Lane1 { op: Lane1::Move, d, a });
            }
        }
        // Blocks of four rows and four columns, and how many of them are next to each other in a part.
        let sides = 16 / self.strip.lanes as usize;
        for k in 0..8 {
            // Column k of `a`, each element in all lanes of its row.
            let (block, odd) = (k / 4, (k & 2) / 2);
            let index = self.table(|lane| {
                let start = if sides == 1 { 8 * block } else { 0 };
                start + lane % 8 / 2 * 2 + odd
            });
            let rows: Vec<Reg> = (0..2)
                .map(|half| {
                    let part = if sides == 1 { half } else { 2 * half + block };
                    let (d, s) = (self.lane(), a[k % 2][part]);
                    self.emit(Ins::Permute { d, index, s });
                    d
                })
                .collect();
            for (register, sums) in sums.iter().enumerate() {
                for side in 0..sides {
                    // Row k of `b`, each pair of columns in all rows.
                    let (d, s) = (self.lane(), b[register][sides * block + side]);
                    self.emit(Ins::SpreadPair { d, s, pair: (k % 4) as u8 });
                    for (half, &a) in rows.iter().enumerate() {
                        let sum = sums[sides * half + side];
                        self.emit(Ins::Fma { d: sum, a, b: d, c: sum });
                    }
                }
            }
        }
        self.give_matrix(value, sums);
    }

    fn give_matrix(&mut self, value: Value, matrix: Matrix) {
        let forms = matrix.into_iter().map(|lanes| super::Forms { int: None, lanes }).collect();
        self.vectors.insert(value, forms);
    }

    /// A step in elements: known, or in a register of 64 bits.
    fn matrix_step(&mut self, step: Value) -> Result<i64, Reg> {
        match self.function.constant_index(step) {
            Some(step) if (0..MAX_STEP as i64).contains(&step) => Ok(step),
            Some(step) => Err(self.constant(step as u64)),
            None => Err(self.widened(step)),
        }
    }

    pub(super) fn matrix_access(&mut self, value: Value, inst: &Inst) {
        let Some((start, sum)) = self.address(inst.args[0]) else { return };
        debug_assert!(sum.lanes.is_empty(), "the lanes of a matrix have one address");
        let write = inst.op == Op::MatrixStore;
        let (matrix, scalar) = if write {
            (self.matrix(inst.args[3]), self.scalar(inst.args[3]))
        } else {
            (self.new_matrix(), self.scalar(value))
        };
        let exact = if write {
            self.components(inst.args[3]).iter().any(|&part| self.is_exact(part))
        } else {
            self.moved[value.index()]
        };
        let bytes = scalar.bytes();
        let steps = [inst.args[1], inst.args[2]].map(|step| self.matrix_step(step));
        let rows = steps[1] == Ok(1);
        // Narrow elements that are not adjacent are gathered as words, which may extend past the end.
        let over = if write || rows { 0 } else { 4 - bytes };
        let sum = self.offset(&sum);
        let target = self.target(start, sum, u64::from(bytes + over), write, u64::MAX);
        let from = match start {
            Start::Region(number) => self.constant(u64::from(number) << OFFSET_BITS),
            Start::Pointer(pointer) | Start::ThreadPointer(pointer) => self.number(pointer),
            Start::Local(_) => unreachable!("matrices are in shared memory"),
        };
        let pointer = self.plus(from, sum);
        let registers = steps.map(|step| match step {
            Ok(step) => self.constant(step as u64),
            Err(step) => step,
        });
        let site = MatrixAccess {
            write,
            scalar,
            pointer,
            steps: registers,
            exec: self.exec.clone(),
            data: matrix.clone().map(Operand::Lanes),
        };
        let site = self.site(self.run.access_site(value), SiteKind::Matrix(site));

        // Elements that may overlap are written one after the other.
        let least = if write { SIDE.into() } else { 0 };
        if write && (!rows || steps[0].is_ok_and(|step| step < least)) {
            return self.emit(Ins::Call { site });
        }
        // If the corners are in bounds, so is everything between them, since steps are neither negative nor large.
        let most = self.constant(MAX_STEP - least as u64);
        let mut high = target.offset;
        let mut apart = [high; 2];
        for (step, apart) in steps.into_iter().zip(&mut apart) {
            let bytes = i64::from(bytes);
            *apart = match step {
                Ok(step) => self.constant((step * bytes) as u64),
                Err(step) => {
                    let more = self.plus_constant(step, -least);
                    self.emit(Ins::CheckBelow { a: more, limit: most, site });
                    self.scaled(step, bytes)
                }
            };
            let all = self.scaled(*apart, i64::from(SIDE - 1));
            high = self.plus(high, all);
        }
        self.emit(Ins::CheckBelow { a: target.offset, limit: target.limit, site });
        self.emit(Ins::CheckBelow { a: high, limit: target.limit, site });
        let corner = self.plus(target.base, target.offset);
        match (rows, write) {
            (true, false) => self.load_rows(&matrix, corner, apart[0], scalar, exact),
            (true, true) => self.store_rows(&matrix, corner, apart[0], scalar, exact),
            (false, _) => self.gather_elements(&matrix, corner, apart, scalar, exact),
        }
        self.emit(Ins::SiteEnd { site });
        if !write {
            self.give_matrix(value, matrix);
        }
    }

    /// The addresses of eight rows.
    fn row_addresses(&mut self, corner: Reg, step: Reg) -> Vec<Reg> {
        let mut rows = vec![corner];
        while rows.len() < SIDE as usize {
            let next = self.plus(rows[rows.len() - 1], step);
            rows.push(next);
        }
        rows
    }

    /// The two rows from which the vectors of a part are loaded, and the offsets in them.
    fn row_pairs(&self, part: usize, bytes: i32) -> ([(usize, usize); 2], i32) {
        if self.strip.lanes == 16 {
            return ([(4 * part, 4 * part + 1), (4 * part + 2, 4 * part + 3)], 0);
        }
        let first = 4 * (part / 2);
        ([(first, first + 2), (first + 1, first + 3)], (part % 2) as i32 * 4 * bytes)
    }

    fn load_rows(&mut self, to: &Matrix, corner: Reg, step: Reg, scalar: Scalar, exact: bool) {
        let bytes = scalar.bytes();
        let rows = self.row_addresses(corner, step);
        for part in 0..self.parts() {
            let (pairs, disp) = self.row_pairs(part, bytes as i32);
            let [x, y] = pairs.map(|(low, high)| {
                let d = self.lane();
                let (low, high) = (rows[low], rows[high]);
                self.emit(Ins::LoadHalves { bytes, d, low, high, disp });
                d
            });
            for (register, to) in to.iter().enumerate() {
                let bits = if bytes == 4 { to[part] } else { self.lane() };
                if self.strip.lanes == 16 {
                    // A row has eight lanes, of which those of even or of odd columns are taken.
                    let index = self.table(|lane| {
                        let (row, column) = (lane % 8 / 2, lane / 8 * 4 + lane % 2 * 2 + register);
                        row * 8 + column
                    });
                    self.emit(Ins::PermuteTwo { d: bits, index, a: x, b: y });
                } else {
                    let op = if register == 0 { Lane2::Evens } else { Lane2::Odds };
                    self.emit(Ins::Lane2 { op, d: bits, a: x, b: y });
                }
                if bytes != 4 {
                    self.value_of_bits_in(to[part], scalar, bits, exact);
                }
            }
        }
    }

    fn store_rows(&mut self, from: &Matrix, corner: Reg, step: Reg, scalar: Scalar, exact: bool) {
        let bytes = scalar.bytes();
        let rows = self.row_addresses(corner, step);
        for (part, (&even, &odd)) in from[0].iter().zip(&from[1]).enumerate() {
            let [a, b] = [even, odd].map(|value| {
                if bytes == 4 { value } else { self.bits_of_value(scalar, value, exact) }
            });
            let (pairs, disp) = self.row_pairs(part, bytes as i32);
            for (number, (low, high)) in pairs.into_iter().enumerate() {
                let s = self.lane();
                if self.strip.lanes == 16 {
                    let index = self.table(|lane| {
                        let (row, column) = (2 * number + lane / 8, lane % 8);
                        column / 4 * 8 + row * 2 + column % 4 / 2 + column % 2 * 16
                    });
                    self.emit(Ins::PermuteTwo { d: s, index, a, b });
                } else {
                    let op = if number == 0 { Lane2::MixLow } else { Lane2::MixHigh };
                    self.emit(Ins::Lane2 { op, d: s, a, b });
                }
                self.emit(Ins::StoreHalves { bytes, s, low: rows[low], high: rows[high], disp });
            }
        }
    }

    /// Reads each element at its own address, for any steps.
    fn gather_elements(
        &mut self,
        to: &Matrix,
        corner: Reg,
        apart: [Reg; 2],
        scalar: Scalar,
        exact: bool,
    ) {
        let bytes = scalar.bytes();
        let [down, right] = apart.map(|s| {
            let d = self.lane();
            self.emit(Ins::Spread { d, s });
            d
        });
        // All lanes take part, active or not.
        let (ones, mask) = (self.constant(u32::MAX.into()), self.mask());
        self.emit(Ins::MaskOfInt { d: mask, s: ones });
        for part in 0..self.parts() {
            let first = part * self.strip.lanes as usize;
            let row = self.table(|lane| {
                let lane = first + lane;
                lane / 16 * 4 + lane / 2 % 4
            });
            let row = self.lane2(Lane2::Mul, row, down);
            for (register, to) in to.iter().enumerate() {
                let column = self.table(|lane| {
                    let lane = first + lane;
                    lane / 8 % 2 * 4 + lane % 2 * 2 + register
                });
                let column = self.lane2(Lane2::Mul, column, right);
                let (base, offsets) = (corner, self.lane2(Lane2::Add, row, column));
                let d = if bytes == 4 { to[part] } else { self.lane() };
                self.emit(Ins::Gather { d, base, offsets, disp: 0, mask });
                if bytes != 4 {
                    let low = self.lane_constant(0xffff);
                    let bits = self.lane2(Lane2::And, d, low);
                    self.value_of_bits_in(to[part], scalar, bits, exact);
                }
            }
        }
    }
}
