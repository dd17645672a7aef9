//! Weights of a few bits with a scale and a bias for each group, as MLX quantises them, and products with them.

use crate::elements::{Element, Value};
use crate::numbers::noise;

/// Numbers of some bits, one after the other, from the lowest bit of the first byte on.
pub fn packed(numbers: &[u64], bits: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; (numbers.len() * bits).div_ceil(8)];
    for (at, number) in numbers.iter().enumerate() {
        for bit in (0..bits).filter(|bit| number >> bit & 1 == 1) {
            let place = at * bits + bit;
            bytes[place / 8] |= 1 << (place % 8);
        }
    }
    bytes
}

/// Weights, row by row.
#[derive(Clone, Debug)]
pub struct Affine {
    /// The numbers, packed.
    pub bytes: Vec<u8>,
    /// The scale of each group.
    pub scales: Vec<Value>,
    /// The bias of each group.
    pub biases: Vec<Value>,
    /// The weights, decoded.
    pub weights: Vec<f64>,
}

impl Affine {
    /// Some weights of a type.
    pub fn some(element: Element, bits: usize, group: usize, count: usize) -> Self {
        let numbers: Vec<u64> = noise(9).take(count).map(|x| x % (1 << bits)).collect();
        let most = ((1u64 << bits) - 1) as f64;
        let scales: Vec<Value> = element
            .some(10, count / group)
            .into_iter()
            .map(|x| element.converted(Value::Real(x.real() / most)))
            .collect();
        let biases = element.some(11, count / group);
        let weight = |(at, &number): (usize, &u64)| {
            number as f64 * scales[at / group].real() + biases[at / group].real()
        };
        let weights = numbers.iter().enumerate().map(weight).collect();
        Self { bytes: packed(&numbers, bits), scales, biases, weights }
    }

    /// Their products with vectors: see [`vector_products`].
    pub fn product(
        &self,
        element: Element,
        x: &[Value],
        sizes: (usize, usize, usize),
    ) -> Vec<Value> {
        vector_products(element, &self.weights, x, sizes)
    }
}

/// The products of vectors of `inputs` numbers, `vectors` in each batch, and the batch's matrix of `outputs` rows of weights.
pub fn vector_products(
    element: Element,
    weights: &[f64],
    x: &[Value],
    (inputs, outputs, vectors): (usize, usize, usize),
) -> Vec<Value> {
    let results = x.len() / inputs * outputs;
    let each = (0..results).map(|at| {
        let (vector, row) = (at / outputs, at % outputs);
        let batch = vector / vectors;
        let x = &x[vector * inputs..(vector + 1) * inputs];
        let weights = &weights[(batch * outputs + row) * inputs..][..inputs];
        let sum = x.iter().zip(weights).map(|(x, w)| x.real() * w).sum::<f64>();
        element.converted(Value::Real(sum))
    });
    each.collect()
}
