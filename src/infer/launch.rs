//! The arguments of a launch, and their checks.

use super::dtype::DType;
use super::error::Error;
use super::graph::ByteSlot;
use super::overlap::{overlap, same_values};
use super::ranges::{BufferRange, Role};
use super::tensor::Tensor;
use crate::{BindingType, DataType, Pipeline, Size};

/// One argument of a launch. Arguments for buffers are in the order of their indices, then those for threadgroup memory in
/// the order of theirs.
///
/// ```
/// use aruminium::infer::{Arg, DType, Grid, Kernels, Stream, Tensor};
/// let gpu = aruminium::Gpu::open()?;
/// let kernels = Kernels::new(&gpu);
/// kernels.add("add", "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) { x[i] += a; }");
/// let x = Tensor::new(&gpu, DType::F32, &[100])?;
/// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
/// stream.launch(&kernels.get("add", "add")?, &[Arg::Tensor(&x), Arg::Bytes(&1.5f32.to_ne_bytes())], Grid::threads_1d(100))?;
/// stream.finish()?;
/// assert_eq!(x.read::<f32>()?[99], 1.5);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Arg<'a> {
    /// A tensor, for a pointer to device or constant memory.
    Tensor(&'a Tensor),
    /// Bytes that are copied now, at most 4 KiB, for an argument that the kernel only reads.
    Bytes(&'a [u8]),
    /// The same, but a graph's replay may pass other bytes: see [`Graph`](super::Graph).
    Slot(ByteSlot, &'a [u8]),
    /// Threadgroup memory of this many bytes.
    Shared(usize),
}

impl<'a> Arg<'a> {
    /// The slot and its bytes, if it is one.
    pub(super) fn slot(&self) -> Option<(ByteSlot, &'a [u8])> {
        match *self {
            Self::Slot(slot, bytes) => Some((slot, bytes)),
            _ => None,
        }
    }
}

impl<'a> From<&'a Tensor> for Arg<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

/// The threads of a launch.
///
/// ```
/// use aruminium::infer::Grid;
/// let grid = Grid::Threads { threads: (1000, 8, 1), group: (32, 8, 1) };
/// assert_eq!(Grid::threads_1d(1000), Grid::Threads { threads: (1000, 1, 1), group: (256, 1, 1) });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grid {
    /// A number of threads; threadgroups at the edges may be smaller.
    Threads {
        /// The threads along each axis.
        threads: Size,
        /// The size of a threadgroup.
        group: Size,
    },
    /// A number of whole threadgroups.
    Groups {
        /// The threadgroups along each axis.
        groups: Size,
        /// The size of a threadgroup.
        group: Size,
    },
}

impl Grid {
    /// Threads along one axis, in groups of at most 256.
    ///
    /// ```
    /// use aruminium::infer::Grid;
    /// assert_eq!(Grid::threads_1d(40), Grid::Threads { threads: (40, 1, 1), group: (40, 1, 1) });
    /// ```
    pub fn threads_1d(threads: usize) -> Self {
        Self::Threads { threads: (threads, 1, 1), group: (threads.clamp(1, 256), 1, 1) }
    }

    /// Threadgroups along one axis.
    ///
    /// ```
    /// use aruminium::infer::Grid;
    /// assert_eq!(Grid::groups_1d(7, 32), Grid::Groups { groups: (7, 1, 1), group: (32, 1, 1) });
    /// ```
    pub fn groups_1d(groups: usize, group: usize) -> Self {
        Self::Groups { groups: (groups, 1, 1), group: (group, 1, 1) }
    }

    /// The size of a threadgroup.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::Grid::groups_1d(7, 32).group(), (32, 1, 1));
    /// ```
    pub fn group(&self) -> Size {
        match *self {
            Self::Threads { group, .. } | Self::Groups { group, .. } => group,
        }
    }

    /// Whether there is nothing to run.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        let (Self::Threads { threads: (x, y, z), .. } | Self::Groups { groups: (x, y, z), .. }) =
            *self;
        x == 0 || y == 0 || z == 0
    }

    /// The total number of threads along an axis, if a kernel can count it.
    fn fits(&self) -> bool {
        let axes = match *self {
            Self::Threads { threads: (x, y, z), .. } => [Some(x), Some(y), Some(z)],
            Self::Groups { groups: (a, b, c), group: (x, y, z) } => {
                [a.checked_mul(x), b.checked_mul(y), c.checked_mul(z)]
            }
        };
        axes.iter().all(|axis| axis.is_some_and(|n| u32::try_from(n).is_ok()))
    }
}

/// The types of values that an argument accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepts {
    Anything,
    Only(DType),
}

impl Accepts {
    /// By the type of the pointer. Bytes and structs may be a view of anything, such as blocks of quantised values.
    fn of(data_type: DataType) -> Self {
        const TABLE: [(std::ops::RangeInclusive<usize>, DType); 11] = [
            (DataType::Float.0..=DataType::Float4.0, DType::F32),
            (DataType::Half.0..=DataType::Half4.0, DType::F16),
            (DataType::BFloat.0..=DataType::BFloat4.0, DType::BF16),
            (DataType::Int.0..=DataType::Int4.0, DType::I32),
            (DataType::UInt.0..=DataType::UInt4.0, DType::U32),
            (DataType::Short.0..=DataType::Short4.0, DType::I16),
            (DataType::UShort.0..=DataType::UShort4.0, DType::U16),
            (DataType::Char.0..=DataType::Char4.0, DType::I8),
            (DataType::Bool.0..=DataType::Bool4.0, DType::Bool),
            (DataType::Long.0..=DataType::Long4.0, DType::I64),
            (DataType::ULong.0..=DataType::ULong4.0, DType::U64),
        ];
        let row = TABLE.iter().find(|(types, _)| types.contains(&data_type.0));
        row.map_or(Self::Anything, |(_, dtype)| Self::Only(*dtype))
    }

    #[inline]
    fn accepts(self, dtype: DType) -> bool {
        match self {
            Self::Anything => true,
            Self::Only(DType::Bool) => matches!(dtype, DType::Bool | DType::U8),
            Self::Only(wanted) => wanted == dtype,
        }
    }
}

/// One argument that a kernel declares.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) index: usize,
    pub(super) written: bool,
    used: bool,
    is_buffer: bool,
    accepts: Accepts,
    bytes: usize,
    pub(super) align: usize,
}

/// Pairs of a result and an operand that may be the same view: the kernel reads each value, or row, before it writes it, in the
/// same thread or threadgroup.
pub(super) type InPlace = &'static [[&'static str; 2]];

/// The arguments that a kernel declares, in the order in which launches pass them, and its limits.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    pub(super) list: Box<[Parameter]>,
    pub(super) max_threads: usize,
    /// Whether the kernel may use memory that is not bound.
    pub(super) indirect: bool,
    static_memory: usize,
}

/// The most bytes that `setBytes:length:atIndex:` copies.
const MAX_BYTES: usize = 4096;

/// The most threadgroup memory of Apple's GPUs.
const MAX_SHARED: usize = 32 << 10;

impl Parameter {
    #[cold]
    fn wrong(&self, kernel: &str, why: String) -> Error {
        let Self { name, index, .. } = self;
        let table = if self.is_buffer { "buffer" } else { "threadgroup" };
        Error::Argument {
            kernel: kernel.into(),
            argument: format!("'{name}', {table}({index})"),
            why,
        }
    }

    #[inline]
    fn check_tensor(&self, kernel: &str, tensor: &Tensor) -> Result<(), Error> {
        let fits = self.is_buffer
            && self.accepts.accepts(tensor.dtype())
            && tensor.bytes() >= self.bytes
            && tensor.offset() & (self.align - 1) == 0
            && !(self.written && tensor.memory().is_read_only());
        if fits { Ok(()) } else { self.why_not(kernel, tensor) }
    }

    #[cold]
    fn why_not(&self, kernel: &str, tensor: &Tensor) -> Result<(), Error> {
        let Self { accepts, bytes, align, .. } = self;
        Err(self.wrong(
            kernel,
            match accepts {
                _ if !self.is_buffer => {
                    "it takes threadgroup memory, and a tensor was passed".into()
                }
                Accepts::Only(wanted) if !accepts.accepts(tensor.dtype()) => {
                    format!("the kernel declares {wanted}, and the tensor holds {}", tensor.dtype())
                }
                _ if self.written && tensor.memory().is_read_only() => {
                    "the kernel may write it, and the tensor's memory can only be read".into()
                }
                _ if tensor.offset() & (align - 1) != 0 => {
                    format!("the tensor's offset {} is not a multiple of {align}", tensor.offset())
                }
                // A kernel may be passed a tensor without values.
                _ if tensor.bytes() == 0 => return Ok(()),
                _ => format!(
                    "the tensor has {} bytes, and the kernel needs at least {bytes}",
                    tensor.bytes()
                ),
            },
        ))
    }

    #[inline]
    pub(super) fn check_bytes(&self, kernel: &str, bytes: &[u8]) -> Result<(), Error> {
        let fits =
            self.is_buffer && !self.written && (self.bytes..=MAX_BYTES).contains(&bytes.len());
        if fits {
            return Ok(());
        }
        let length = bytes.len();
        Err(self.wrong(
            kernel,
            match self {
                _ if !self.is_buffer => "it takes threadgroup memory, and bytes were passed".into(),
                _ if self.written => "the kernel may write it: pass a tensor".into(),
                _ if length > MAX_BYTES => {
                    format!("{length} bytes were passed; the limit is {MAX_BYTES}: pass a tensor")
                }
                _ => format!(
                    "{length} bytes were passed, and the kernel needs at least {}",
                    self.bytes
                ),
            },
        ))
    }
}

impl Parameters {
    /// The parameters in the pipeline's reflection.
    pub(super) fn of(kernel: &str, pipeline: &Pipeline) -> Result<Self, Error> {
        let bindings = pipeline.reflection()?;
        let mut list = Vec::new();
        for binding in bindings {
            let is_buffer = binding.kind == BindingType::Buffer;
            if !is_buffer && binding.kind != BindingType::ThreadgroupMemory {
                if !binding.used {
                    continue;
                }
                return Err(Error::Launch {
                    kernel: kernel.into(),
                    why: format!(
                        "it has the argument '{}', a {:?}, which a stream does not bind",
                        binding.name, binding.kind
                    ),
                });
            }
            list.push(Parameter {
                name: binding.name.clone(),
                index: binding.index,
                written: is_buffer && binding.is_written(),
                used: binding.used,
                is_buffer,
                accepts: Accepts::of(binding.data_type),
                bytes: if binding.used { binding.bytes } else { 0 },
                align: binding.align.max(1).next_power_of_two(),
            });
        }
        list.sort_by_key(|parameter| (!parameter.is_buffer, parameter.index));
        Ok(Self {
            list: list.into(),
            max_threads: pipeline.max_total_threads_per_threadgroup(),
            indirect: bindings.iter().any(|binding| binding.indirect && binding.used),
            static_memory: pipeline.static_threadgroup_memory_length(),
        })
    }

    /// Checks that no tensor that the kernel may write is broadcast, or has bytes in common with another argument: the order
    /// of their accesses within a launch is unknown. `in_place` has the names of pairs that may be the same view. Only
    /// for kernels that compute addresses from strides: others are passed bytes.
    pub(super) fn check_results(
        &self,
        kernel: &str,
        args: &[Arg<'_>],
        in_place: InPlace,
    ) -> Result<(), Error> {
        let tensors = || {
            self.list.iter().zip(args).filter_map(|(parameter, arg)| match *arg {
                Arg::Tensor(tensor) => Some((parameter, tensor)),
                _ => None,
            })
        };
        for (parameter, tensor) in tensors().filter(|(parameter, _)| parameter.written) {
            if tensor.is_broadcast() {
                let why = "the tensor is broadcast: several values would be written to one";
                return Err(parameter.wrong(kernel, why.into()));
            }
            for (other, found) in tensors().filter(|(other, _)| !std::ptr::eq(*other, parameter)) {
                if !overlap(tensor, found) {
                    continue;
                }
                let allowed = in_place.contains(&[&parameter.name, &other.name]);
                if allowed && same_values(tensor, found) {
                    continue;
                }
                let name = &other.name;
                let why = match allowed {
                    true => format!(
                        "the tensor overlaps '{name}': the result may be the same view, and nothing else that overlaps"
                    ),
                    false => format!(
                        "the tensor overlaps '{name}': the launch reads and writes them in any order"
                    ),
                };
                return Err(parameter.wrong(kernel, why));
            }
        }
        Ok(())
    }

    /// Checks the arguments and the grid of a launch.
    #[inline]
    pub(super) fn check(&self, kernel: &str, args: &[Arg<'_>], grid: &Grid) -> Result<(), Error> {
        if args.len() != self.list.len() {
            return Err(self.wrong_count(kernel, args.len()));
        }
        let mut shared = self.static_memory;
        for (parameter, arg) in self.list.iter().zip(args) {
            match *arg {
                Arg::Tensor(tensor) => parameter.check_tensor(kernel, tensor)?,
                Arg::Bytes(bytes) | Arg::Slot(_, bytes) => parameter.check_bytes(kernel, bytes)?,
                Arg::Shared(_) if parameter.is_buffer => {
                    let why = "it takes a tensor or bytes, and threadgroup memory was passed";
                    return Err(parameter.wrong(kernel, why.into()));
                }
                Arg::Shared(0) if parameter.used => {
                    return Err(parameter.wrong(kernel, "no threadgroup memory was passed".into()));
                }
                Arg::Shared(bytes) => {
                    let bytes = bytes.checked_next_multiple_of(16).unwrap_or(usize::MAX);
                    shared = shared.saturating_add(bytes);
                }
            }
        }
        let (x, y, z) = grid.group();
        let threads = x.saturating_mul(y).saturating_mul(z);
        if threads == 0 || threads > self.max_threads || shared > MAX_SHARED || !grid.fits() {
            return Err(self.wrong_sizes(kernel, grid, shared));
        }
        Ok(())
    }

    #[cold]
    fn wrong_count(&self, kernel: &str, found: usize) -> Error {
        let names: Vec<&str> = self.list.iter().map(|parameter| parameter.name.as_str()).collect();
        let (count, names) = (names.len(), names.join(", "));
        let why = format!("{found} arguments were passed, and it has {count}: {names}");
        Error::Launch { kernel: kernel.into(), why }
    }

    #[cold]
    fn wrong_sizes(&self, kernel: &str, grid: &Grid, shared: usize) -> Error {
        let (group, most) = (grid.group(), self.max_threads);
        let why = if shared > MAX_SHARED {
            format!("{shared} bytes of threadgroup memory; there are {MAX_SHARED}")
        } else if !grid.fits() {
            format!("the grid {grid:?} has more threads along an axis than 32 bits can count")
        } else {
            format!("a threadgroup of {group:?} threads; from 1 to {most} threads are possible")
        };
        Error::Launch { kernel: kernel.into(), why }
    }

    /// The ranges of memory that a launch uses.
    #[inline]
    pub(super) fn ranges<'a>(
        &'a self,
        args: &'a [Arg<'a>],
    ) -> impl Iterator<Item = BufferRange> + 'a {
        let all = self.indirect.then_some(BufferRange::EVERYTHING);
        let each = self.list.iter().zip(args).filter_map(|(parameter, arg)| match arg {
            Arg::Tensor(tensor) => {
                let role = if parameter.written { Role::Write } else { Role::Read };
                Some(BufferRange::of(tensor, role))
            }
            _ => None,
        });
        each.chain(all)
    }
}
