//! Images: patches of them, and other sizes.

use super::source::{File, Variant};
use super::{Matrix, Ops, float, spans, word, wrong};
use crate::infer::launch::{Arg, Grid};
use crate::infer::{Error, Stream, Tensor};

/// The choices of [`Ops::patches`]: rows and then columns.
///
/// ```
/// use aruminium::infer::ops::Patches;
/// let patches = Patches { step: [8, 8], ..Patches::tiles(16) };
/// assert_eq!(patches.counts([64, 32]), [7, 3]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patches {
    /// The size of a patch.
    pub size: [usize; 2],
    /// The distance from patch to patch.
    pub step: [usize; 2],
    /// The number of zeros before and after each row and column of the image.
    pub padding: [usize; 2],
}

impl Patches {
    /// Square patches that do not overlap.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::ops::Patches::tiles(14).counts([224, 224]), [16, 16]);
    /// ```
    pub fn tiles(size: usize) -> Self {
        Self { size: [size; 2], step: [size; 2], padding: [0; 2] }
    }

    /// The number of patches along the rows and columns of an image of a size; 0 if none fits.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::ops::Patches::tiles(14).counts([13, 30]), [0, 2]);
    /// ```
    pub fn counts(&self, size: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let all = size[axis].saturating_add(self.padding[axis].saturating_mul(2));
            let rest = all.checked_sub(self.size[axis]);
            rest.map_or(0, |rest| rest / self.step[axis].max(1) + 1)
        })
    }
}

/// The positions that [`Ops::resize`] interpolates at.
///
/// ```
/// use aruminium::infer::ops::Resize;
/// assert_ne!(Resize::Centres, Resize::Corners);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// A value stands for a square, and is in its centre.
    Centres,
    /// The first and the last values of rows and columns stay what they are.
    Corners,
}

/// Channels, rows and columns of an image, and its strides.
fn image(op: &str, name: &str, tensor: &Tensor) -> Result<[u32; 6], Error> {
    let (&[channels, rows, columns], &[a, b, c]) = (tensor.shape(), tensor.strides()) else {
        let shape = tensor.shape();
        return Err(wrong(op, format!("{name} of shape {shape:?} is not channels, rows, columns")));
    };
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip([channels, rows, columns, a, b, c]) {
        *to = word(op, from)?;
    }
    Ok(all)
}

fn params(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_ne_bytes).collect()
}

impl Ops {
    /// The patches of an image, channels × rows × columns with any strides: each row of `y` has the channels, rows and columns
    /// of one, so that a product with the weights of a convolution is the convolution. Outside of the image are zeros.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Patches};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[1, 2, 4])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[2, 4])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.patches(&mut stream, &x, &y, Patches::tiles(2))?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn patches(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        y: &Tensor,
        patches: Patches,
    ) -> Result<(), Error> {
        let op = "patches";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        let from = image(op, "x", x)?;
        let Patches { size, step, padding } = patches;
        if size.contains(&0) || step.contains(&0) {
            return Err(wrong(op, format!("patches of {size:?} in steps of {step:?}")));
        }
        let counts = patches.counts([x.shape()[1], x.shape()[2]]);
        let sizes = [x.shape()[0], size[0], size[1], counts[0], counts[1]];
        if sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size.max(1))).is_none() {
            let why = format!(
                "patches of {size:?} with padding {padding:?} are more values than can be counted"
            );
            return Err(wrong(op, why));
        }
        let columns = x.shape()[0] * size[0] * size[1];
        spans(op, &[("x", x), ("y", y)])?;
        let to = Matrix::sized(op, "y", y, counts[0] * counts[1], columns)?;
        if to.rows == 0 || to.columns == 0 {
            return Ok(());
        }
        let words = [counts[1], to.rows].into_iter().chain(size).chain(step).chain(padding);
        let words: Result<Vec<u32>, Error> =
            words.chain([to.stride]).map(|value| word(op, value)).collect();
        let params = params(from.into_iter().chain(words?));
        let variant = Variant::new(File::Images, "patches").number("PATCHES", 1);
        let args = [x.into(), y.into(), Arg::Bytes(&params)];
        let threads = (to.columns, to.rows, 1);
        let grid = Grid::Threads { threads, group: (64, 4, 1) };
        self.launch(stream, variant.ty("X", x_type).ty("Y", y_type), &args, grid)
    }

    /// An image in another size, by bilinear interpolation. `x` and `y` are channels × rows × columns, with any strides.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Resize};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[0.0f32, 4.0], &[1, 1, 2])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[1, 1, 4])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.resize(&mut stream, &x, &y, Resize::Centres)?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 1.0, 3.0, 4.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn resize(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        y: &Tensor,
        resize: Resize,
    ) -> Result<(), Error> {
        let op = "resize";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        let (from, to) = (image(op, "x", x)?, image(op, "y", y)?);
        spans(op, &[("x", x), ("y", y)])?;
        if y.count() == 0 {
            return Ok(());
        }
        if from[0] != to[0] || x.count() == 0 {
            let (x, y) = (x.shape(), y.shape());
            return Err(wrong(op, format!("x {x:?} cannot be resized to {y:?}")));
        }
        let corners = resize == Resize::Corners;
        let scale = |axis: usize| match (corners, from[axis], to[axis]) {
            (true, _, 1) => 0.0,
            (true, from, to) => f64::from(from - 1) / f64::from(to - 1),
            (false, from, to) => f64::from(from) / f64::from(to),
        };
        let scales = [scale(1), scale(2)].map(|scale| (scale as f32).to_bits());
        let params = params(from.into_iter().chain(to).chain(scales));
        let variant = Variant::new(File::Images, "resize")
            .number("RESIZE", 1)
            .number("CORNERS", corners.into())
            .ty("X", x_type)
            .ty("Y", y_type);
        let args = [x.into(), y.into(), Arg::Bytes(&params)];
        let threads = (y.shape()[2], y.shape()[1], y.shape()[0]);
        self.launch(stream, variant, &args, Grid::Threads { threads, group: (32, 8, 1) })
    }
}
