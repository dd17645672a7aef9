//! Products of matrices whose rows are quantised or plain, and comparison with their tolerance.

use crate::blocks::Format;
use crate::numbers::{Number, near};

/// Rows of a matrix.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The bytes that a kernel reads.
    pub bytes: Vec<u8>,
    /// Their values.
    pub weights: Vec<f64>,
    /// Bytes of one.
    pub row: usize,
}

impl Rows {
    /// `n` rows of random blocks.
    pub fn some(format: &Format, seed: u64, rows: usize, elements: usize) -> Self {
        let bytes = format.some(seed, rows * elements / format.weights);
        let weights = format.weights(&bytes);
        Self { bytes, weights, row: elements / format.weights * format.bytes }
    }

    /// `n` rows of plain numbers.
    pub fn plain(number: Number, seed: u64, rows: usize, elements: usize) -> Self {
        let weights = number.some(seed, rows * elements);
        Self { bytes: number.encode(&weights), weights, row: elements * number.size() }
    }
}

/// Rows times columns in `f64`, first by column, as ggml stores the result.
pub fn products(weights: &[f64], inputs: &[f64], elements: usize) -> Vec<f64> {
    let dot = |row: &[f64], column: &[f64]| row.iter().zip(column).map(|(a, b)| a * b).sum();
    let columns = inputs.chunks(elements);
    columns.flat_map(|column| weights.chunks(elements).map(move |row| dot(row, column))).collect()
}

/// Checks products of weights and inputs: the tolerance is in units of the sum of the products' sizes.
///
/// # Panics
/// As [`near`].
#[track_caller]
pub fn near_products(
    what: &str,
    found: &[f64],
    (weights, inputs): (&[f64], &[f64]),
    elements: usize,
    tolerance: f64,
) {
    let sizes = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value.abs()).collect() };
    let sizes = products(&sizes(weights), &sizes(inputs), elements);
    let in_units =
        |values: &[f64]| -> Vec<f64> { values.iter().zip(&sizes).map(|(v, s)| v / s).collect() };
    near(what, &in_units(found), &in_units(&products(weights, inputs, elements)), tolerance);
}

/// Values rounded to a type.
pub fn narrowed(number: Number, values: &[f64]) -> Vec<f64> {
    values.iter().map(|&value| number.rounded(value)).collect()
}
