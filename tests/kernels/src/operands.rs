//! Two matrices in the memory orders that kernels take, their products, and the arguments of MLX's products by tiles.

use crate::complex::Complex;
use crate::elements::{Element, Value};
use crate::structs::Struct;
use std::ops::Range;

/// The matrices of a product.
#[derive(Clone, Debug)]
pub struct Operands {
    /// Their type.
    pub element: Element,
    /// Rows of the first, columns of the second, and the terms of a sum.
    pub sizes: (usize, usize, usize),
    /// Whether the first and the second lie in memory by columns.
    pub turned: (bool, bool),
    /// The first.
    pub a: Vec<Value>,
    /// The second.
    pub b: Vec<Value>,
}

impl Operands {
    /// Some matrices; `count` of the second.
    pub fn some(
        element: Element,
        turned: (bool, bool),
        sizes: (usize, usize, usize),
        count: usize,
    ) -> Self {
        let (m, n, k) = sizes;
        let (a, b) = (element.some(1, m * k), element.some(2, count * k * n));
        Self { element, sizes, turned, a, b }
    }

    /// The distances of the first's and the second's rows, or columns where they lie by columns.
    pub fn leading(&self) -> (usize, usize) {
        let (m, n, k) = self.sizes;
        (if self.turned.0 { m } else { k }, if self.turned.1 { k } else { n })
    }

    /// An element of the first.
    pub fn a(&self, row: usize, at: usize) -> Complex {
        let (m, _, k) = self.sizes;
        self.a[if self.turned.0 { at * m + row } else { row * k + at }].complex()
    }

    /// An element of the second of a number.
    pub fn b(&self, which: usize, at: usize, column: usize) -> Complex {
        let (_, n, k) = self.sizes;
        let place = if self.turned.1 { column * k + at } else { at * n + column };
        self.b[which * n * k + place].complex()
    }

    /// An element of the product, of these terms only.
    pub fn sum(&self, row: usize, column: usize, terms: Range<usize>) -> Complex {
        terms.map(|at| self.a(row, at) * self.b(0, at, column)).sum()
    }

    /// A result of the first's rows and the second's columns.
    pub fn each(&self, value: impl Fn(usize, usize) -> Complex) -> Vec<Complex> {
        let (m, n, _) = self.sizes;
        (0..m * n).map(|at| value(at / n, at % n)).collect()
    }

    /// Columns and rows of tiles.
    pub fn tiles(&self, bm: usize, bn: usize) -> (usize, usize) {
        (self.sizes.1.div_ceil(bn), self.sizes.0.div_ceil(bm))
    }

    /// `GEMMParams` for tiles of these sizes; `steps` are those between batches of the first, the second and the result.
    pub fn parameters(&self, (bm, bn, bk): (usize, usize, usize), steps: [u64; 3]) -> Vec<u8> {
        let ((m, n, k), (a, b)) = (self.sizes, self.leading());
        let (across, down) = self.tiles(bm, bn);
        let sizes = Struct::new().i32([m, n, k, a, b, n, across, down].map(|size| size as i32));
        sizes.u64(steps).i32([0, (k / bk) as i32, 1]).bytes()
    }
}

/// Numbers as values of a type, rounded to it.
pub fn rounded<T: Into<Complex>>(
    element: Element,
    numbers: impl IntoIterator<Item = T>,
) -> Vec<Value> {
    let value = |number: T| {
        let number = number.into();
        element.converted(Value::Complex(number.re, number.im))
    };
    numbers.into_iter().map(value).collect()
}
