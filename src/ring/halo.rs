//! Halo exchange: the cells around each tile, gathered from its neighbours by one kernel.

use super::error::RingError;
use super::message::bytes_of;
use crate::{Batch, Buffer, Encoder, Gpu, Pipeline, Plain, Queue};
use std::fmt;
use std::marker::PhantomData;

/// Three sizes, along x, y and z; in two dimensions z is 1.
///
/// ```
/// let tile: aruminium::ring::Dims = [64, 64, 1];
/// ```
pub type Dims = [usize; 3];

/// The values beyond the borders of the whole domain.
///
/// ```
/// use aruminium::ring::Border;
/// let zero = Border::Constant(0.0f32);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Border<T> {
    /// The cells of the opposite border.
    Wrap,
    /// The nearest cell within the domain.
    Clamp,
    /// This value.
    Constant(T),
}

/// Which cells around a tile are filled.
///
/// ```
/// use aruminium::ring::Reach;
/// assert_ne!(Reach::Faces, Reach::All);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The cells next to faces, which stencils along the axes read.
    #[default]
    Faces,
    /// Edges and corners too.
    All,
}

crate::message! {
    /// The domain, as an argument of the kernel.
    struct HaloShape {
        grid: [u32; 3],
        tile: [u32; 3],
        width: [u32; 3],
        mode: u32,
        all: u32,
        cells: u32,
    }
}

/// Threads run along rows of cells around a tile, or along columns at its left and right: what is divided is the same for all
/// threads of a row. Positions are moved into the neighbours' tiles by steps of a tile, which is one step for most halos.
const SOURCE: &str = "
    // Moves a position within tile `tile` (negative, or past its end) into the tile that has the cell. Returns whether the
    // cell is beyond the border, and constant.
    bool ring_find(thread int &at, thread int &tile, int size, int tiles, uint mode) {
        while (at < 0) { at += size; tile -= 1; }
        while (at >= size) { at -= size; tile += 1; }
        if (tile >= 0 && tile < tiles) { return false; }
        if (mode == 2u) { return true; }
        if (mode == 1u) {
            at = tile < 0 ? 0 : size - 1;
            tile = tile < 0 ? 0 : tiles - 1;
            return false;
        }
        while (tile < 0) { tile += tiles; }
        while (tile >= tiles) { tile -= tiles; }
        return false;
    }

    kernel void ring_halo(
        device CELL *cells [[buffer(0)]],
        constant HaloShape &shape [[buffer(1)]],
        constant CELL &outside [[buffer(2)]],
        uint3 at [[thread_position_in_grid]])
    {
        uint tx = shape.tile[0], ty = shape.tile[1], tz = shape.tile[2];
        uint wx = shape.width[0], wy = shape.width[1], wz = shape.width[2];
        uint px = tx + 2u * wx, py = ty + 2u * wy;
        uint run = at.x, layer = at.y, tile = at.z;
        uint columns = 2u * wx * tz, rows = 2u * wy * tz;
        uint x, y, z;
        if (layer < columns) {
            if (run >= ty) { return; }
            uint side = layer % (2u * wx);
            x = side < wx ? side : side + tx;
            y = wy + run;
            z = wz + layer / (2u * wx);
        } else if (layer < columns + rows) {
            if (run >= px) { return; }
            uint side = (layer - columns) % (2u * wy);
            x = run;
            y = side < wy ? side : side + ty;
            z = wz + (layer - columns) / (2u * wy);
        } else {
            if (run >= px) { return; }
            uint side = (layer - columns - rows) / py;
            x = run;
            y = (layer - columns - rows) % py;
            z = side < wz ? side : side + tz;
        }
        bool in_x = x >= wx && x < wx + tx, in_y = y >= wy && y < wy + ty, in_z = z >= wz && z < wz + tz;
        if (shape.all == 0u && uint(in_x) + uint(in_y) + uint(in_z) < 2u) { return; }
        int gx = int(shape.grid[0]), gy = int(shape.grid[1]), gz = int(shape.grid[2]);
        int i = int(tile) % gx, j = int(tile) / gx % gy, k = int(tile) / gx / gy;
        int sx = int(x) - int(wx), sy = int(y) - int(wy), sz = int(z) - int(wz);
        bool beyond = ring_find(sx, i, int(tx), gx, shape.mode);
        beyond = ring_find(sy, j, int(ty), gy, shape.mode) || beyond;
        beyond = ring_find(sz, k, int(tz), gz, shape.mode) || beyond;
        uint to = tile * shape.cells + (z * py + y) * px + x;
        if (beyond) {
            cells[to] = outside;
            return;
        }
        uint neighbour = uint(i + gx * (j + gy * k));
        cells[to] = cells[neighbour * shape.cells + ((uint(sz) + wz) * py + uint(sy) + wy) * px + uint(sx) + wx];
    }";

/// The most bytes of a cell: those that Metal takes as bytes of an argument.
const LARGEST: usize = 4096;

/// The declaration of `CELL`, a type of MSL for cells of a size: as few integers as possible, whose alignment the size allows.
fn cell_of(bytes: usize) -> String {
    let words = [(16, "uint4"), (8, "uint2"), (4, "uint"), (2, "ushort"), (1, "uchar")];
    let (size, word) =
        words.into_iter().find(|(size, _)| bytes.is_multiple_of(*size)).unwrap_or((1, "uchar"));
    match bytes / size {
        1 => format!("#define CELL {word}\n"),
        count => format!("struct RingCell {{ {word} words[{count}]; }};\n#define CELL RingCell\n"),
    }
}

/// The work of an exchange by a [`Halo`].
///
/// The host copies nothing in an exchange: it encodes a launch, whose kernel reads and writes the tiles where they are.
///
/// ```
/// # let gpu = aruminium::Gpu::open()?;
/// use aruminium::ring::{Border, Halo, HaloStat, Reach};
/// let halo = Halo::<f32>::new(&gpu, [2, 2, 1], [8, 8, 1], 1, Border::Wrap, Reach::All)?;
/// let stat: HaloStat = halo.stat();
/// assert_eq!((stat.cells, stat.bytes, stat.launches), (4 * 36, 4 * 36 * 4, 1));
/// # Ok::<(), aruminium::ring::RingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HaloStat {
    /// Cells around tiles that an exchange writes.
    pub cells: u64,
    /// The size of these cells in bytes.
    pub bytes: u64,
    /// Launches for an exchange of all tiles.
    pub launches: u32,
}

/// Tiles with cells around them, in one buffer.
///
/// ```
/// # let gpu = aruminium::Gpu::open()?;
/// use aruminium::ring::{Border, Halo, Reach, Tiles};
/// let halo = Halo::new(&gpu, [2, 1, 1], [2, 1, 1], 1, Border::Constant(9u32), Reach::Faces)?;
/// let tiles: Tiles<u32> = halo.tiles(&gpu)?;
/// tiles.write(&[1, 2, 3, 4]);
/// halo.exchange(&gpu.new_command_queue()?, &tiles)?;
/// // The second tile has two cells, and one at each end: its left neighbour is the first tile.
/// assert_eq!(tiles.buffer().read_as(|cells: &[u32]| cells[4..8].to_vec()), [2, 3, 4, 9]);
/// assert_eq!(tiles.read(), [1, 2, 3, 4]);
/// # Ok::<(), aruminium::ring::RingError>(())
/// ```
#[derive(Debug)]
pub struct Tiles<T> {
    buffer: Buffer,
    shape: HaloShape,
    cells: PhantomData<T>,
}

/// The exchange of cells between the tiles of a grid. Cells are of any plain type of 1 to 4096 bytes.
///
/// ```
/// # let gpu = aruminium::Gpu::open()?;
/// use aruminium::ring::{Border, Halo, Reach};
/// // 8 by 8 tiles of 64 by 64 cells, with two cells around each.
/// let halo = Halo::new(&gpu, [8, 8, 1], [64, 64, 1], 2, Border::Constant(0.0f32), Reach::All)?;
/// let tiles = halo.tiles(&gpu)?;
/// let queue = gpu.new_command_queue()?;
/// halo.exchange(&queue, &tiles)?;
/// # Ok::<(), aruminium::ring::RingError>(())
/// ```
pub struct Halo<T> {
    pipeline: Pipeline,
    shape: HaloShape,
    outside: Vec<u8>,
    cells: PhantomData<T>,
}

impl<T> fmt::Debug for Halo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halo").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl<T: Plain> Halo<T> {
    /// An exchange for a grid of tiles of one size, with `width` cells around each. An axis along which grid and tile have
    /// size 1 has no such cells.
    ///
    /// # Errors
    ///
    /// [`RingError::Invalid`] for a size of zero, more cells than 32 bits count, or a cell of more than 4096 bytes;
    /// [`RingError::Gpu`].
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::ring::{Border, Halo, Reach};
    /// let volume = Halo::<f32>::new(&gpu, [2, 2, 2], [8, 8, 8], 1, Border::Clamp, Reach::Faces)?;
    /// assert!(Halo::<f32>::new(&gpu, [0, 1, 1], [8, 8, 1], 1, Border::Clamp, Reach::Faces).is_err());
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn new(
        gpu: &Gpu,
        grid: Dims,
        tile: Dims,
        width: usize,
        border: Border<T>,
        reach: Reach,
    ) -> Result<Self, RingError> {
        let bytes = size_of::<T>();
        if !(1..=LARGEST).contains(&bytes) {
            return Err(RingError::Invalid(format!(
                "a cell of {bytes} bytes: cells of 1 to {LARGEST} are possible"
            )));
        }
        let shape = shape(grid, tile, width, reach).ok_or_else(|| {
            RingError::Invalid(format!(
                "a grid of {grid:?} tiles of {tile:?} cells, {width} cells around each: sizes begin at 1, and all cells \
                 together are fewer than 2^31"
            ))
        })?;
        let (mode, outside) = match border {
            Border::Wrap => (0, None),
            Border::Clamp => (1, None),
            Border::Constant(value) => (2, Some(value)),
        };
        let outside = outside.map_or_else(|| vec![0; bytes], |value| bytes_of(&value).to_vec());
        let layout = <HaloShape as super::Message>::layout().msl();
        let source = format!(
            "#include <metal_stdlib>\nusing namespace metal;\n{}{layout}{SOURCE}",
            cell_of(bytes)
        );
        let pipeline = gpu.pipeline(&gpu.compile(&source)?.function("ring_halo")?)?;
        Ok(Self { pipeline, shape: HaloShape { mode, ..shape }, outside, cells: PhantomData })
    }

    /// Zeroed tiles of this shape, in one buffer.
    ///
    /// # Errors
    ///
    /// [`RingError::Gpu`] if there is not enough memory.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::ring::{Border, Halo, Reach};
    /// let halo = Halo::<f32>::new(&gpu, [2, 2, 1], [8, 8, 1], 1, Border::Wrap, Reach::All)?;
    /// assert_eq!(halo.tiles(&gpu)?.buffer().size(), 4 * 10 * 10 * 4);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn tiles(&self, gpu: &Gpu) -> Result<Tiles<T>, RingError> {
        let bytes = tile_count(&self.shape) * self.shape.cells as usize * size_of::<T>();
        Ok(Tiles { buffer: gpu.buffer(bytes)?, shape: self.shape, cells: PhantomData })
    }

    /// Exchange, and wait for it.
    ///
    /// # Errors
    ///
    /// [`RingError::Invalid`] if the tiles are of another shape, [`RingError::Gpu`].
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # use aruminium::ring::{Border, Halo, Reach};
    /// # let halo = Halo::<f32>::new(&gpu, [2, 2, 1], [8, 8, 1], 1, Border::Wrap, Reach::All)?;
    /// let tiles = halo.tiles(&gpu)?;
    /// halo.exchange(&gpu.new_command_queue()?, &tiles)?;
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn exchange(&self, queue: &Queue, tiles: &Tiles<T>) -> Result<(), RingError> {
        let commands = queue.commands()?;
        let encoder = commands.encoder()?;
        self.encode(&encoder, tiles)?;
        encoder.finish();
        commands.try_submit()?;
        Ok(commands.finish()?)
    }

    /// Encode the exchange: one launch, which reads and writes only the tiles.
    ///
    /// # Errors
    ///
    /// [`RingError::Invalid`] if the tiles are of another shape.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # use aruminium::ring::{Border, Halo, Reach};
    /// # let halo = Halo::<f32>::new(&gpu, [2, 2, 1], [8, 8, 1], 1, Border::Wrap, Reach::All)?;
    /// # let tiles = halo.tiles(&gpu)?;
    /// let commands = gpu.new_command_queue()?.commands()?;
    /// let encoder = commands.encoder()?;
    /// for step in 0..10 {
    ///     halo.encode(&encoder, &tiles)?;
    ///     // Launch a stencil here.
    /// }
    /// encoder.finish();
    /// commands.submit();
    /// commands.finish()?;
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn encode(&self, encoder: &Encoder, tiles: &Tiles<T>) -> Result<(), RingError> {
        let Some(threads) = self.threads(tiles)? else { return Ok(()) };
        encoder.bind(&self.pipeline);
        encoder.bind_buffer(&tiles.buffer, 0, 0);
        encoder.push(bytes_of(&self.shape), 1);
        encoder.push(&self.outside, 2);
        encoder.launch(threads, GROUP);
        Ok(())
    }

    /// Encode the exchange in a batch. A batch does not track memory: wait for it before you view the tiles.
    ///
    /// # Errors
    ///
    /// As for [`encode`](Self::encode).
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # use aruminium::ring::{Border, Halo, Reach};
    /// # let halo = Halo::<f32>::new(&gpu, [2, 2, 1], [8, 8, 1], 1, Border::Wrap, Reach::All)?;
    /// # let tiles = halo.tiles(&gpu)?;
    /// let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue()?);
    /// let mut outcome = Ok(());
    /// // SAFETY: the tiles outlive the call, which waits.
    /// unsafe { dispatch.batch(|batch| outcome = halo.encode_batch(batch, &tiles))? };
    /// outcome?;
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn encode_batch(&self, batch: &Batch<'_>, tiles: &Tiles<T>) -> Result<(), RingError> {
        let Some(threads) = self.threads(tiles)? else { return Ok(()) };
        batch.bind(&self.pipeline);
        batch.bind_buffer(&tiles.buffer, 0, 0);
        batch.push(bytes_of(&self.shape), 1);
        batch.push(&self.outside, 2);
        batch.launch(threads, GROUP);
        Ok(())
    }

    /// The grid of threads; `None` if there is nothing to exchange.
    fn threads(&self, tiles: &Tiles<T>) -> Result<Option<crate::Size>, RingError> {
        let (own, theirs) = (self.shape, tiles.shape);
        if (own.grid, own.tile, own.width) != (theirs.grid, theirs.tile, theirs.width) {
            return Err(RingError::Invalid(
                "the tiles are of another shape than the exchange".into(),
            ));
        }
        let [tx, ty, tz] = own.tile.map(|n| n as usize);
        let [wx, wy, wz] = own.width.map(|n| n as usize);
        let layers = 2 * (wx * tz + wy * tz + wz * (ty + 2 * wy));
        Ok((layers > 0).then(|| (ty.max(tx + 2 * wx), layers, tile_count(&own))))
    }

    /// The work of one exchange.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # use aruminium::ring::{Border, Halo, Reach};
    /// let halo = Halo::<f32>::new(&gpu, [1, 1, 1], [8, 8, 1], 1, Border::Wrap, Reach::Faces)?;
    /// assert_eq!(halo.stat().cells, 32);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn stat(&self) -> HaloStat {
        let HaloShape { tile, width, cells, all, .. } = self.shape;
        let interior: u32 = tile.iter().product();
        let faces = |axis: usize| 2 * u64::from(width[axis]) * u64::from(interior / tile[axis]);
        let ghosts = match all {
            0 => (0..3).map(faces).sum(),
            _ => u64::from(cells - interior),
        };
        let cells = ghosts * tile_count(&self.shape) as u64;
        let bytes = cells * size_of::<T>() as u64;
        HaloStat { cells, bytes, launches: (cells > 0).into() }
    }
}

const GROUP: crate::Size = (64, 1, 1);

fn tile_count(shape: &HaloShape) -> usize {
    shape.grid.iter().map(|&tiles| tiles as usize).product()
}

fn shape(grid: Dims, tile: Dims, width: usize, reach: Reach) -> Option<HaloShape> {
    let narrow = |sizes: Dims| -> Option<[u32; 3]> {
        let [x, y, z] = sizes.map(|size| u32::try_from(size).ok().filter(|&size| size > 0));
        Some([x?, y?, z?])
    };
    let (grid, tile, all_around) = (narrow(grid)?, narrow(tile)?, u32::try_from(width).ok()?);
    let width =
        [0, 1, 2].map(|axis| if (grid[axis], tile[axis]) == (1, 1) { 0 } else { all_around });
    let cells = (0..3).try_fold(1u32, |cells, axis| {
        cells.checked_mul(tile[axis].checked_add(width[axis].checked_mul(2)?)?)
    })?;
    let tiles = grid.iter().try_fold(1u32, |all, &n| all.checked_mul(n))?;
    cells.checked_mul(tiles).filter(|&all| all < 1 << 31)?;
    Some(HaloShape { grid, tile, width, mode: 0, all: (reach == Reach::All).into(), cells })
}

impl<T: Plain> Tiles<T> {
    /// The buffer: tile after tile, each with the cells around it, `x` first.
    ///
    /// ```
    /// fn bytes(tiles: &aruminium::ring::Tiles<f32>) -> usize {
    ///     tiles.buffer().size()
    /// }
    /// ```
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// The size of a tile with the cells around it.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # use aruminium::ring::{Border, Halo, Reach};
    /// let halo = Halo::<f32>::new(&gpu, [2, 2, 1], [8, 8, 1], 3, Border::Wrap, Reach::All)?;
    /// assert_eq!(halo.tiles(&gpu)?.padded(), [14, 14, 1]);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn padded(&self) -> Dims {
        [0, 1, 2].map(|axis| (self.shape.tile[axis] + 2 * self.shape.width[axis]) as usize)
    }

    /// The index in the buffer of each cell of the domain, `x` first.
    fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        let HaloShape { grid, tile, width, cells, .. } = self.shape;
        let (grid, tile, width) =
            (grid.map(|n| n as usize), tile.map(|n| n as usize), width.map(|n| n as usize));
        let [padded_x, padded_y, _] = self.padded();
        let size = [0, 1, 2].map(|axis| grid[axis] * tile[axis]);
        (0..size.iter().product()).map(move |cell: usize| {
            let [x, y, z] = [cell % size[0], cell / size[0] % size[1], cell / size[0] / size[1]];
            let at = x / tile[0] + grid[0] * (y / tile[1] + grid[1] * (z / tile[2]));
            let (x, y, z) =
                (x % tile[0] + width[0], y % tile[1] + width[1], z % tile[2] + width[2]);
            at * cells as usize + (z * padded_y + y) * padded_x + x
        })
    }

    /// Set all cells of the domain, `x` first.
    ///
    /// # Panics
    ///
    /// If there are more or fewer cells, or while a command buffer uses the tiles.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # use aruminium::ring::{Border, Halo, Reach};
    /// # let halo = Halo::<f32>::new(&gpu, [2, 2, 1], [8, 8, 1], 3, Border::Wrap, Reach::All)?;
    /// halo.tiles(&gpu)?.write(&[1.0; 256]);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    #[track_caller]
    pub fn write(&self, domain: &[T]) {
        let size: usize = tile_count(&self.shape)
            * self.shape.tile.iter().map(|&n| n as usize).product::<usize>();
        assert_eq!(domain.len(), size, "the domain has {size} cells");
        self.buffer.write_as(|cells: &mut [T]| {
            self.indices().zip(domain).for_each(|(at, &cell)| cells[at] = cell);
        });
    }

    /// All cells of the domain, `x` first.
    ///
    /// # Panics
    ///
    /// While a command buffer writes the tiles.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # use aruminium::ring::{Border, Halo, Reach};
    /// # let halo = Halo::<f32>::new(&gpu, [2, 2, 1], [8, 8, 1], 3, Border::Wrap, Reach::All)?;
    /// assert_eq!(halo.tiles(&gpu)?.read(), [0.0; 256]);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    #[track_caller]
    pub fn read(&self) -> Vec<T> {
        self.buffer.read_as(|cells: &[T]| self.indices().map(|at| cells[at]).collect())
    }
}
