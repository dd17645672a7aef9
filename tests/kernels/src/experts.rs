//! Products of tokens with the matrices of the experts that they take.

use crate::numbers::near;
use crate::products::{Rows, products};

/// How many experts there are, how many of them each token takes, and how many tokens there are.
#[derive(Clone, Copy, Debug)]
pub struct Experts {
    /// All experts, a prime number.
    pub all: usize,
    /// Those of one token.
    pub taken: usize,
    /// The tokens.
    pub tokens: usize,
}

impl Experts {
    /// Which experts each token takes; no two the same.
    pub fn choices(self) -> Vec<usize> {
        let taken = self.taken;
        (0..self.tokens * taken).map(|at| (at / taken * 3 + at % taken * 2) % self.all).collect()
    }

    /// The choices as the bytes of `int`s.
    pub fn bytes(self) -> Vec<u8> {
        self.choices().into_iter().flat_map(|expert| (expert as i32).to_le_bytes()).collect()
    }

    /// Each token times the matrix of each expert that it takes; tokens bring one row for all of them.
    fn products(self, weights: &[f64], inputs: &[f64], rows: usize, elements: usize) -> Vec<f64> {
        let each = self.choices().into_iter().enumerate().flat_map(|(at, expert)| {
            let weights = &weights[expert * rows * elements..][..rows * elements];
            products(weights, &inputs[at / self.taken * elements..][..elements], elements)
        });
        each.collect()
    }

    /// Checks such products, as [`near_products`](crate::products::near_products).
    ///
    /// # Panics
    /// As [`near`].
    #[track_caller]
    pub fn near(
        self,
        kernel: &str,
        found: &[f64],
        (matrix, inputs): (&Rows, &[f64]),
        (rows, elements): (usize, usize),
        tolerance: f64,
    ) {
        let sizes = |values: &[f64]| values.iter().map(|value| value.abs()).collect::<Vec<_>>();
        let sizes = self.products(&sizes(&matrix.weights), &sizes(inputs), rows, elements);
        let expected = self.products(&matrix.weights, inputs, rows, elements);
        let in_units =
            |values: &[f64]| values.iter().zip(&sizes).map(|(v, s)| v / s).collect::<Vec<_>>();
        near(kernel, &in_units(found), &in_units(&expected), tolerance);
    }
}
