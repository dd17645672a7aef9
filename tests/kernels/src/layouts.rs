//! Arrays of three dimensions by strides, as MLX's kernels address them.

/// The shape of an array and the distances of its neighbours in elements, the slowest dimension first.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Elements along each dimension.
    pub shape: [usize; 3],
    /// Elements from one to the next along each.
    pub strides: [usize; 3],
}

impl Layout {
    /// Element after element.
    pub fn dense(shape: [usize; 3]) -> Self {
        Self { shape, strides: [shape[1] * shape[2], shape[2], 1] }
    }

    /// The first dimension is the fastest in memory.
    pub fn transposed(shape: [usize; 3]) -> Self {
        Self { shape, strides: [1, shape[0], shape[0] * shape[1]] }
    }

    /// Every second element of memory, and the same ones along the first dimension.
    pub fn repeated(shape: [usize; 3]) -> Self {
        Self { shape, strides: [0, 2 * shape[2], 2] }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index in memory of an element in row-major order.
    pub fn at(&self, index: usize) -> usize {
        let [_, rows, columns] = self.shape;
        let position = [index / (rows * columns), index / columns % rows, index % columns];
        position.iter().zip(self.strides).map(|(at, stride)| at * stride).sum()
    }

    /// One past the largest index in memory.
    pub fn memory(&self) -> usize {
        let ends = self.shape.iter().zip(self.strides).map(|(n, stride)| (n - 1) * stride);
        ends.sum::<usize>() + 1
    }
}
