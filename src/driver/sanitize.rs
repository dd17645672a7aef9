//! Checks of kernels that soft Metal makes while they run, and their reports (`specs/sanitizer.md`); soft Metal only.

use super::beyond::supports;
use super::command::Commands;
use super::error::{Fields, GpuError};
use super::foundation::{NSArray, NSDictionary};
use super::metal4::Commands4;
use super::shader::Shader;
use crate::objc::autorelease_pool;
use crate::{msg, selector};
use std::fmt;
use std::ops::BitOr;

/// The checks that a kernel makes while it runs.
///
/// ```
/// use aruminium::Checks;
/// let all = Checks::RACES | Checks::BENIGN;
/// assert_ne!(all, Checks::RACES);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checks(usize);

impl Checks {
    /// Two threads access the same bytes, at least one writes, at least one is not atomic, and nothing orders the two.
    pub const RACES: Self = Self(1);
    /// With races: those too that GPUs tolerate, [`ReportKind::SameValue`] and [`ReportKind::Lockstep`].
    pub const BENIGN: Self = Self(2);
    /// Shifts by too many bits, division by zero, conversions out of range, signed overflow and misaligned accesses.
    pub const UNDEFINED: Self = Self(4);
    /// Variables, thread memory and threadgroup memory that nothing wrote decide a branch or an address, or leave the kernel.
    pub const INIT: Self = Self(8);
    /// The work of each line is counted, for [`Pipeline::profile`](crate::Pipeline::profile).
    pub const PROFILE: Self = Self(16);
}

impl BitOr for Checks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A finding of a kernel's checks: the first occurrence at its lines, and the number of occurrences.
///
/// Each thread reads what a thread of the other SIMD-group writes, and no barrier is between:
///
/// ```
/// use aruminium::{Checks, Gpu, GpuError, ReportKind};
/// let gpu = Gpu::open()?;
/// let source = "kernel void shift(device int *data, threadgroup int *tile, uint i [[thread_index_in_threadgroup]]) {
///     tile[i] = data[i];
///     data[i] = tile[(i + 32) % 64];
/// }";
/// let shader = gpu.compile(source)?.function("shift")?;
/// let checked = match shader.checked(Checks::RACES) {
///     Err(GpuError::Unsupported(_)) => return Ok(()), // Apple's Metal
///     checked => checked?,
/// };
/// let (pipeline, data) = (gpu.pipeline(&checked)?, gpu.buffer(64 * 4)?);
/// let commands = gpu.new_command_queue()?.commands()?;
/// let encoder = commands.encoder()?;
/// encoder.bind(&pipeline);
/// encoder.bind_buffer(&data, 0, 0);
/// encoder.threadgroup_memory(64 * 4, 0);
/// encoder.launch((64, 1, 1), (64, 1, 1));
/// encoder.finish();
/// commands.submit();
/// commands.finish()?;
/// let reports = commands.reports()?;
/// let race = &reports[0];
/// assert_eq!((race.kind, race.argument.as_deref()), (ReportKind::Race, Some("tile")));
/// assert_eq!(race.accesses.iter().map(|access| access.line).collect::<Vec<_>>(), [Some(3), Some(2)]);
/// assert!(race.remedy.contains("threadgroup_barrier"));
/// # Ok::<(), GpuError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The finding.
    pub kind: ReportKind,
    /// The kernel's name.
    pub kernel: String,
    /// The argument or variable that was accessed, if the memory has a name.
    pub argument: Option<String>,
    /// The offset of the last access, in bytes from its start.
    pub offset: i64,
    /// The size of the last access, in bytes.
    pub bytes: u64,
    /// The accesses, in the order in which they happened here.
    pub accesses: Vec<ReportAccess>,
    /// A correction.
    pub remedy: String,
    /// How often it was found at these lines.
    pub count: u64,
    /// All of this as text.
    pub message: String,
}

/// The subject of a report.
///
/// ```
/// assert_ne!(aruminium::ReportKind::Race, aruminium::ReportKind::Lockstep);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportKind {
    /// Two accesses that nothing orders.
    Race,
    /// The same, and both write one value.
    SameValue,
    /// The same in one SIMD-group, by different instructions, which GPUs run one after the other.
    Lockstep,
    /// A shift by a negative number of bits, or by as many as the type has or more.
    Shift,
    /// An integer is divided by zero.
    DivisionByZero,
    /// The lowest integer is divided by -1.
    DivisionOverflow,
    /// A float is converted to an integer type that cannot represent it.
    FloatToInteger,
    /// The result of signed arithmetic is out of range.
    SignedOverflow,
    /// An uninitialised value decides a branch.
    UninitialisedBranch,
    /// An uninitialised value is part of an address.
    UninitialisedAddress,
    /// An uninitialised value is written to memory that outlives the kernel.
    UninitialisedStore,
    /// An address is not a multiple of the alignment of the type that is accessed there.
    MisalignedAccess,
    /// A member of a union is read, and another one was written last.
    UnionMember,
    /// More was found than a command buffer reports: how much, is the count.
    Omitted,
    /// Something that this version of the crate has no name for.
    Other,
}

/// One access of a report.
///
/// ```
/// # fn show(access: &aruminium::ReportAccess) {
/// println!("{:?} {:?}:{:?}", access.thread, access.file, access.line);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportAccess {
    /// The kernel's name.
    pub kernel: String,
    /// The position of the thread in the grid.
    pub thread: [u32; 3],
    /// Whether it is a write.
    pub write: bool,
    /// Whether it is atomic.
    pub atomic: bool,
    /// The name of the source file.
    pub file: Option<String>,
    /// The line, from 1 on.
    pub line: Option<u32>,
    /// The column, from 1 on.
    pub column: Option<u32>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The records in a list from soft Metal.
pub(super) fn records<T>(list: &NSArray, record: impl Fn(&Fields) -> Option<T>) -> Vec<T> {
    // SAFETY: the list holds dictionaries.
    let field = |index| unsafe { list.get::<NSDictionary>(index) };
    (0..list.len()).filter_map(|index| record(&Fields::new(field(index)?))).collect()
}

impl ReportAccess {
    fn of(fields: &Fields) -> Option<Self> {
        Some(Self {
            kernel: fields.text("kernel")?,
            thread: fields.triple("thread")?,
            write: fields.flag("write"),
            atomic: fields.flag("atomic"),
            file: fields.text("file"),
            line: fields.small("line"),
            column: fields.small("column"),
        })
    }
}

impl Report {
    fn of(fields: &Fields) -> Option<Self> {
        let kind = match fields.text("kind")?.as_str() {
            "race" => ReportKind::Race,
            "same value" => ReportKind::SameValue,
            "lockstep" => ReportKind::Lockstep,
            "shift" => ReportKind::Shift,
            "division by zero" => ReportKind::DivisionByZero,
            "division overflow" => ReportKind::DivisionOverflow,
            "float to integer" => ReportKind::FloatToInteger,
            "signed overflow" => ReportKind::SignedOverflow,
            "uninitialised branch" => ReportKind::UninitialisedBranch,
            "uninitialised address" => ReportKind::UninitialisedAddress,
            "uninitialised store" => ReportKind::UninitialisedStore,
            "misaligned access" => ReportKind::MisalignedAccess,
            "other member of a union" => ReportKind::UnionMember,
            "omitted" => ReportKind::Omitted,
            _ => ReportKind::Other,
        };
        Some(Self {
            kind,
            kernel: fields.text("kernel")?,
            argument: fields.text("argument"),
            offset: fields.signed("offset")?,
            bytes: fields.unsigned("bytes")?,
            accesses: records(&fields.list("accesses")?, ReportAccess::of),
            remedy: fields.text("remedy")?,
            count: fields.unsigned("count")?,
            message: fields.text("message")?,
        })
    }
}

impl Shader {
    /// The same function, compiled again with checks; pipelines made from it report what they find to
    /// [`Commands::reports`].
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal; [`GpuError::FunctionCreationFailed`] if the kernel cannot be compiled
    /// with checks.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let shader = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// if let Ok(checked) = shader.checked(aruminium::Checks::RACES) {
    ///     assert_eq!(checked.name(), "one");
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn checked(&self, checks: Checks) -> Result<Self, GpuError> {
        supports(self, selector!(aruminiumFunctionWithChecks:error:), "checks of kernels")?;
        // SAFETY: soft Metal's functions return a function, or store an error.
        let checked = unsafe {
            msg!(self, [aruminiumFunctionWithChecks: checks.0, error: _] -> Result<Shader, GpuError>)
        };
        checked.map_err(|error| GpuError::FunctionCreationFailed(error.to_string()))
    }
}

impl Commands {
    /// Has everything that nothing orders run in random orders, drawn from a seed: launches of a concurrent encoder, the
    /// threadgroups of a launch, the SIMD-groups of a threadgroup, and lanes in atomics and in stores to one address. What a SIMD-group
    /// writes to threadgroup memory becomes visible to others only by barriers whose flags name that memory. The same commands with
    /// the same seed run in the same orders.
    ///
    /// So code that works by luck fails: here which thread gets which slot. It is called before the command buffer is committed;
    /// `ARUMINIUM_SOFT_SANITIZE=order=SEED` does it for a whole process.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal.
    ///
    /// ```
    /// use aruminium::{Gpu, GpuError};
    /// let gpu = Gpu::open()?;
    /// let source = "using namespace metal;
    /// kernel void take(device atomic_uint *next, device uint *slot, uint i [[thread_position_in_grid]]) {
    ///     slot[i] = atomic_fetch_add_explicit(next, 1, memory_order_relaxed);
    /// }";
    /// let pipeline = gpu.pipeline(&gpu.compile(source)?.function("take")?)?;
    /// let queue = gpu.new_command_queue()?;
    /// let slots = |seed| -> Result<Vec<u32>, GpuError> {
    ///     let (next, slot) = (gpu.buffer_with_data(&[0; 4])?, gpu.buffer(64 * 4)?);
    ///     let commands = queue.commands()?;
    ///     commands.set_order(seed)?;
    ///     let encoder = commands.encoder()?;
    ///     encoder.bind(&pipeline);
    ///     encoder.bind_buffer(&next, 0, 0);
    ///     encoder.bind_buffer(&slot, 0, 1);
    ///     encoder.launch((64, 1, 1), (64, 1, 1));
    ///     encoder.finish();
    ///     commands.submit();
    ///     commands.finish()?;
    ///     Ok(slot.read_as::<u32, _>(<[u32]>::to_vec))
    /// };
    /// let first = match slots(1) {
    ///     Err(GpuError::Unsupported(_)) => return Ok(()), // Apple's Metal
    ///     first => first?,
    /// };
    /// assert_ne!(first, (0..64).collect::<Vec<_>>());
    /// assert_eq!(slots(1)?, first);
    /// assert_ne!(slots(2)?, first);
    /// # Ok::<(), GpuError>(())
    /// ```
    pub fn set_order(&self, seed: u64) -> Result<(), GpuError> {
        supports(self, selector!(aruminiumSetOrder:), "orders by a seed")?;
        // SAFETY: soft Metal's command buffers take an integer of 64 bits.
        unsafe { msg!(self, [aruminiumSetOrder: seed]) };
        Ok(())
    }

    /// The findings in the command buffer's checked kernels so far; complete once it has completed.
    ///
    /// Kernels are checked if they come from [`Shader::checked`], or all of them with the environment variable
    /// `ARUMINIUM_SOFT_SANITIZE`.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal.
    ///
    /// ```
    /// let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// commands.submit();
    /// commands.finish()?;
    /// assert!(commands.reports().is_ok_and(|all| all.is_empty()) || cfg!(target_vendor = "apple"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn reports(&self) -> Result<Vec<Report>, GpuError> {
        supports(self, selector!(aruminiumReports), "reports of checks")?;
        // SAFETY: soft Metal's command buffers return an array.
        autorelease_pool(|| Ok(listed(&unsafe { msg!(self, [aruminiumReports] -> NSArray) })))
    }
}

impl Commands4 {
    /// The findings in the checked kernels of the work that was committed last; complete once it is done. As
    /// [`Commands::reports`].
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let commands = gpu.commands4()?;
    /// assert!(commands.reports().is_ok_and(|all| all.is_empty()) || cfg!(target_vendor = "apple"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn reports(&self) -> Result<Vec<Report>, GpuError> {
        supports(self, selector!(aruminiumReports), "reports of checks")?;
        // SAFETY: as above.
        autorelease_pool(|| Ok(listed(&unsafe { msg!(self, [aruminiumReports] -> NSArray) })))
    }
}

fn listed(list: &NSArray) -> Vec<Report> {
    records(list, Report::of)
}
