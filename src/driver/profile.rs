//! Counts of what each line of a kernel does (`specs/profile.md`); soft Metal only.

use super::beyond::supports;
use super::error::{Fields, GpuError};
use super::foundation::NSDictionary;
use super::pipeline::Pipeline;
use super::sanitize::records;
use crate::objc::autorelease_pool;
use crate::{msg, selector};
use std::fmt;

/// The counts of a kernel, line by line. Its text is the annotated source.
///
/// The rows of a matrix are read by columns:
///
/// ```
/// use aruminium::{Checks, Dispatch, Gpu, GpuError};
/// let gpu = Gpu::open()?;
/// let source = "kernel void columns(device float *out, device const float *in, uint i [[thread_position_in_grid]]) {
///     out[i] = in[i * 1024];
/// }";
/// let shader = gpu.compile(source)?.function("columns")?;
/// let counted = match shader.checked(Checks::PROFILE) {
///     Err(GpuError::Unsupported(_)) => return Ok(()), // Apple's Metal
///     counted => counted?,
/// };
/// let (pipeline, out, input) = (gpu.pipeline(&counted)?, gpu.buffer(4 << 10)?, gpu.buffer(4 << 20)?);
/// let dispatch = Dispatch::new(&gpu.new_command_queue()?);
/// // SAFETY: the kernel stays within its buffers.
/// unsafe { dispatch.dispatch(&pipeline, &[(&out, 0, 0), (&input, 0, 1)], (1024, 1, 1), (64, 1, 1))? };
///
/// let profile = pipeline.profile()?.expect("the kernel is counted");
/// let line = profile.line(2).expect("the line ran");
/// assert_eq!((line.runs, line.lanes), (32, 1024));
/// assert_eq!((line.device.contiguous.accesses, line.device.strided.accesses), (32, 32));
/// assert_eq!(line.device.stride, Some((4096, 4096)));
/// assert!(line.hints[0].contains("lanes are 4096 bytes apart"));
/// println!("{profile}");
/// # Ok::<(), GpuError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// The kernel's name.
    pub kernel: String,
    /// How often it was launched.
    pub launches: u64,
    /// The threadgroups of these launches.
    pub threadgroups: u64,
    /// Their SIMD-groups.
    pub simdgroups: u64,
    /// Their threads.
    pub threads: u64,
    /// The most threads of a threadgroup.
    pub threads_per_threadgroup: u64,
    /// The most threadgroup memory of a threadgroup, in bytes.
    pub threadgroup_memory: u64,
    /// How many threadgroups of that size fit into 1024 threads and 32 KiB of threadgroup memory, the limits of a single one.
    pub threadgroups_that_fit: u64,
    /// The lines that have code, by file and number.
    pub lines: Vec<ProfileLine>,
    /// Hints about the whole kernel, one sentence each.
    pub hints: Vec<String>,
    text: String,
    json: String,
    html: String,
}

/// Counts of one line of a kernel. A run is an execution by one SIMD-group.
///
/// ```
/// # fn show(line: &aruminium::ProfileLine) {
/// println!("{}:{} ran {} times, with {:.1} lanes", line.file, line.line, line.runs, line.average_lanes());
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfileLine {
    /// The name of the source file.
    pub file: String,
    /// The line, from 1 on.
    pub line: u32,
    /// How often SIMD-groups ran it.
    pub runs: u64,
    /// The active lanes of these runs in sum.
    pub lanes: u64,
    /// The operations of SIMD-groups at the line, before any optimisation.
    pub operations: u64,
    /// How often SIMD-groups came to a barrier.
    pub barriers: u64,
    /// The atomic operations of all lanes.
    pub atomics: u64,
    /// Those on an address that another lane of the SIMD-group changed by the same instruction.
    pub contended: u64,
    /// Accesses to `device` memory.
    pub device: MemoryProfile,
    /// Accesses to `constant` memory.
    pub constant: MemoryProfile,
    /// Accesses to `threadgroup` memory.
    pub threadgroup: MemoryProfile,
    /// Hints about the line, one sentence each.
    pub hints: Vec<String>,
}

/// The accesses of a line to memory of one address space, by how the lanes of a SIMD-group access it together.
///
/// ```
/// assert_eq!(aruminium::MemoryProfile::default().strided.accesses, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryProfile {
    /// All active lanes the same address, or only one lane.
    pub uniform: Accesses,
    /// Each lane the bytes after those of the lane before it.
    pub contiguous: Accesses,
    /// Each lane at the same distance from the lane before it.
    pub strided: Accesses,
    /// Anything else.
    pub scattered: Accesses,
    /// The least and the greatest distance between lanes of the strided accesses, in bytes.
    pub stride: Option<(u64, u64)>,
    /// With 32 banks of 4 bytes in threadgroup memory: how many more times than necessary the fullest bank is accessed.
    pub bank_conflicts: u64,
}

/// Accesses of one kind.
///
/// ```
/// # fn show(accesses: &aruminium::Accesses) {
/// println!("{} bytes in {} cache lines", accesses.bytes, accesses.cache_lines);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accesses {
    /// How many, of a SIMD-group each.
    pub accesses: u64,
    /// The bytes that lanes request.
    pub bytes: u64,
    /// The cache lines of 128 bytes that they touch; 0 for threadgroup memory.
    pub cache_lines: u64,
}

impl Accesses {
    fn of(fields: &Fields) -> Option<Self> {
        Some(Self {
            accesses: fields.unsigned("accesses")?,
            bytes: fields.unsigned("bytes")?,
            cache_lines: fields.unsigned("cacheLines")?,
        })
    }
}

impl MemoryProfile {
    fn of(fields: &Fields) -> Option<Self> {
        let pattern = |name| Accesses::of(&fields.record(name)?);
        Some(Self {
            uniform: pattern("uniform")?,
            contiguous: pattern("contiguous")?,
            strided: pattern("strided")?,
            scattered: pattern("scattered")?,
            stride: fields.unsigned("leastStride").zip(fields.unsigned("greatestStride")),
            bank_conflicts: fields.unsigned("bankConflicts")?,
        })
    }
}

impl ProfileLine {
    /// The active lanes of a run on average.
    ///
    /// ```
    /// # fn show(line: &aruminium::ProfileLine) {
    /// assert!(line.average_lanes() <= 32.0);
    /// # }
    /// ```
    pub fn average_lanes(&self) -> f64 {
        self.lanes as f64 / self.runs.max(1) as f64
    }

    fn of(fields: &Fields) -> Option<Self> {
        let memory = |space| {
            fields.record(space).and_then(|fields| MemoryProfile::of(&fields)).unwrap_or_default()
        };
        Some(Self {
            file: fields.text("file")?,
            line: fields.small("line")?,
            runs: fields.unsigned("runs")?,
            lanes: fields.unsigned("lanes")?,
            operations: fields.unsigned("operations")?,
            barriers: fields.unsigned("barriers")?,
            atomics: fields.unsigned("atomics")?,
            contended: fields.unsigned("contended")?,
            device: memory("device"),
            constant: memory("constant"),
            threadgroup: memory("threadgroup"),
            hints: fields.texts("hints"),
        })
    }
}

impl Profile {
    fn of(fields: &Fields) -> Option<Self> {
        Some(Self {
            kernel: fields.text("kernel")?,
            launches: fields.unsigned("launches")?,
            threadgroups: fields.unsigned("threadgroups")?,
            simdgroups: fields.unsigned("simdgroups")?,
            threads: fields.unsigned("threads")?,
            threads_per_threadgroup: fields.unsigned("threadsPerThreadgroup")?,
            threadgroup_memory: fields.unsigned("threadgroupMemory")?,
            threadgroups_that_fit: fields.unsigned("threadgroupsThatFit")?,
            lines: records(&fields.list("lines")?, ProfileLine::of),
            hints: fields.texts("hints"),
            text: fields.text("text")?,
            json: fields.text("json")?,
            html: fields.text("html")?,
        })
    }

    /// A line of the source that was compiled, by its number from 1 on; `None` if it has no code, or if the source names several
    /// files: [`lines`](Self::lines) has the lines of all.
    ///
    /// ```
    /// # fn show(profile: &aruminium::Profile) {
    /// assert!(profile.line(1).is_none());
    /// # }
    /// ```
    pub fn line(&self, number: u32) -> Option<&ProfileLine> {
        let mut lines = self.lines.iter().filter(|line| line.line == number);
        let first = lines.next()?;
        let main = std::iter::once(first).chain(lines).find(|line| line.file == "program_source");
        let alone = || self.lines.iter().all(|line| line.file == first.file).then_some(first);
        main.or_else(alone)
    }

    /// The profile as JSON, with the names of the fields as `specs/profile.md` has them.
    ///
    /// ```no_run
    /// # fn save(profile: &aruminium::Profile) -> std::io::Result<()> {
    /// std::fs::write("profile.json", profile.json())
    /// # }
    /// ```
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The profile as an HTML page that needs no other file.
    ///
    /// ```no_run
    /// # fn save(profile: &aruminium::Profile) -> std::io::Result<()> {
    /// std::fs::write("profile.html", profile.html())
    /// # }
    /// ```
    pub fn html(&self) -> &str {
        &self.html
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pipeline {
    /// The counts of this pipeline's launches until now, line by line; `None` if it is not counted.
    ///
    /// Kernels are counted if they come from [`Shader::checked`](crate::Shader::checked) with
    /// [`Checks::PROFILE`](crate::Checks::PROFILE), or all of them with the environment variable `ARUMINIUM_SOFT_PROFILE`.
    /// Pipelines of one function share its counts.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let shader = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// assert!(gpu.pipeline(&shader)?.profile().is_ok_and(|profile| profile.is_none()) || cfg!(target_vendor = "apple"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn profile(&self) -> Result<Option<Profile>, GpuError> {
        supports(self, selector!(aruminiumProfile), "profiles of kernels")?;
        autorelease_pool(|| {
            // SAFETY: soft Metal's pipeline states return a dictionary or nil.
            let fields = unsafe { msg!(self, [aruminiumProfile] -> Option<NSDictionary>) };
            Ok(fields.and_then(|fields| Profile::of(&Fields::new(fields))))
        })
    }
}
