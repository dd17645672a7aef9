//! The formulas of neural networks' kernels, in `f64`.

use crate::products::products;

/// 1 / (1 + e^-x)
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// x times its sigmoid.
pub fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

/// The Gaussian error linear unit in its `tanh` form.
pub fn gelu(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
    0.5 * x * (1.0 + inner.tanh())
}

/// e^x over the sum of all of them.
pub fn softmax(row: &[f64]) -> Vec<f64> {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = row.iter().map(|x| (x - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// The factor of a row in an RMS norm.
pub fn rms_scale(row: &[f64], epsilon: f64) -> f64 {
    let mean = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
    1.0 / (mean + epsilon).sqrt()
}

/// A row over its root mean square, times weights.
pub fn rms_norm(row: &[f64], weights: &[f64], epsilon: f64) -> Vec<f64> {
    let scale = rms_scale(row, epsilon);
    row.iter().zip(weights).map(|(x, weight)| x * scale * weight).collect()
}

/// The sum of products.
pub fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(x, y)| x * y).sum()
}

/// Each row of `left` times each row of `right`: the product with the transpose, by rows.
pub fn product(left: &[f64], right: &[f64], elements: usize) -> Vec<f64> {
    products(right, left, elements)
}

/// A square matrix of the given number of columns.
pub fn transposed(matrix: &[f64], columns: usize) -> Vec<f64> {
    let rows = matrix.len() / columns;
    (0..matrix.len()).map(|at| matrix[at % rows * columns + at / rows]).collect()
}

/// A pair rotated by an angle.
pub fn turned((x, y): (f64, f64), angle: f64) -> (f64, f64) {
    let (sin, cos) = angle.sin_cos();
    (x * cos - y * sin, x * sin + y * cos)
}

/// The indices of the largest values, in descending order; equal values by index.
pub fn largest(row: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..row.len()).collect();
    places.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
    places.truncate(count);
    places
}

/// `n` different values in a pseudo-random order.
pub fn different(seed: u64, count: usize) -> Vec<f64> {
    let order = crate::numbers::noise(seed).take(count).collect::<Vec<_>>();
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by_key(|&at| (order[at], at));
    places.into_iter().map(|at| at as f64 / count as f64 * 8.0 - 4.0).collect()
}

/// The output of a query: values weighted by the softmax of the scores. `mask` of the number of a key
/// is added to its score; minus infinity hides the key.
pub fn attention(
    query: &[f64],
    keys: &[f64],
    values: &[f64],
    scale: f64,
    mask: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let each = keys.chunks(query.len()).enumerate();
    let scores: Vec<f64> = each.map(|(at, key)| dot(query, key) * scale + mask(at)).collect();
    let weights = softmax(&scores);
    let width = values.len() / scores.len();
    let part = |at: usize| weights.iter().zip(values.chunks(width)).map(|(w, v)| w * v[at]).sum();
    (0..width).map(part).collect()
}

/// The Hadamard transform: element k is the sum of x_j (-1)^(bits that k and j share), over the root of the length.
pub fn hadamard(row: &[f64]) -> Vec<f64> {
    let sign = |bits: usize| if bits.count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
    let sum = |k: usize| row.iter().enumerate().map(|(j, x)| x * sign(j & k)).sum::<f64>();
    (0..row.len()).map(|k| sum(k) / (row.len() as f64).sqrt()).collect()
}
