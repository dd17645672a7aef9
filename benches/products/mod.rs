//! Launches of products that others published: candle's of two matrices, and ggml's of quantised rows and a vector.

use aruminium::ConstantValues;

/// Threads along x, y and z.
pub(crate) type Size = (usize, usize, usize);

/// Weights of a quantised block, which begins with a half, the scale of them all.
pub(crate) const WEIGHTS: usize = 32;

fn words(words: &[i32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// The arguments of candle's gemm for square matrices in tiles of 64 by 64: sizes, steps from row to row, tiles,
/// steps from matrix to matrix, passes over 16 columns.
pub(crate) fn gemm_arguments(side: usize) -> Vec<u8> {
    let all = ((side * side) as u64).to_ne_bytes();
    let (side, tiles) = (side as i32, (side / 64) as i32);
    let sizes = words(&[side, side, side, side, side, side, tiles, tiles]);
    [sizes, [all; 3].concat(), words(&[0, side / 16, 1, 0])].concat()
}

/// The function constants of a gemm without batches, scales and incomplete tiles.
pub(crate) fn gemm_constants() -> ConstantValues {
    let constants = ConstantValues::new();
    for (index, value) in [(10, false), (100, false), (110, false), (300, false)] {
        constants.set(index, value);
    }
    for index in [200, 201, 202] {
        constants.set(index, true);
    }
    constants
}

/// SIMD-groups of a gemm's threadgroup, by rows and by columns of its tile. For large products of halves candle takes the first
/// (`select_tile_config` of its `mlx_gemm.rs`), for large ones of floats the second.
pub(crate) const CANDLE_HALVES: (usize, usize) = (1, 2);
pub(crate) const CANDLE_FLOATS: (usize, usize) = (2, 2);

/// The name of a gemm of candle's, its grid and its threadgroups.
pub(crate) fn gemm_kernel(
    scalar: &str,
    side: usize,
    (rows, columns): (usize, usize),
) -> (String, Size, Size) {
    let name = format!("gemm_nn_{scalar}_{scalar}_64_64_16_{rows}_{columns}");
    (name, (side / 64 * 32, side / 64 * columns, rows), (32, columns, rows))
}

/// ggml's product of rows of a format and a vector.
pub(crate) struct VectorProduct {
    pub(crate) format: &'static str,
    /// Bytes of a block.
    pub(crate) bytes: usize,
    /// Rows that a SIMD-group takes, SIMD-groups of a threadgroup, and rows of that.
    shape: (usize, usize, usize),
}

pub(crate) const Q4_0: VectorProduct =
    VectorProduct { format: "q4_0", bytes: 18, shape: (4, 2, 8) };
pub(crate) const Q8_0: VectorProduct =
    VectorProduct { format: "q8_0", bytes: 34, shape: (2, 4, 2) };

impl VectorProduct {
    pub(crate) fn kernel(&self) -> String {
        format!("kernel_mul_mv_{}_f32", self.format)
    }

    pub(crate) fn constants(&self) -> ConstantValues {
        let constants = ConstantValues::new();
        constants.set(600, self.shape.1 as i16);
        constants
    }

    /// Columns and rows of either side with the bytes from one to the next, those of the result, and the rows that a
    /// SIMD-group takes.
    pub(crate) fn arguments(&self, rows: usize, columns: usize) -> Vec<u8> {
        let bytes = |steps: [usize; 4]| -> Vec<u8> {
            steps.iter().flat_map(|&step| (step as u64).to_ne_bytes()).collect()
        };
        let row = self.row_bytes(columns);
        let last = words(&[rows as i32, 1, self.shape.0 as i32]);
        [
            words(&[columns as i32, rows as i32, 1, 0]),
            bytes([self.bytes, row, row * rows, row * rows]),
            words(&[columns as i32, 1, 1, 0]),
            bytes([4, 4 * columns, 4 * columns, 4 * columns]),
            last,
            [1i16; 2].map(i16::to_ne_bytes).concat(),
        ]
        .concat()
    }

    pub(crate) fn row_bytes(&self, columns: usize) -> usize {
        columns / WEIGHTS * self.bytes
    }

    /// The grid and its threadgroups.
    pub(crate) fn size(&self, rows: usize) -> (Size, Size) {
        let (_, simdgroups, rows_of_group) = self.shape;
        ((rows / rows_of_group * 32, simdgroups, 1), (32, simdgroups, 1))
    }

    /// Bytes of the threadgroup memory that the kernel takes.
    pub(crate) fn threadgroup_bytes(&self) -> usize {
        128 * self.shape.0
    }
}
