//! The sanitizer's findings, as data and as text.

use std::fmt;

use super::Run;
use super::shadow::{Apart, Record};
use crate::soft::ir::{AccessKind, Finding};
use crate::soft::kernel::SourcePosition;

/// One finding: the first occurrence at its lines, and how many there were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The kernel of the later access.
    pub(crate) kernel: String,
    /// The finding.
    pub(crate) kind: ReportKind,
    /// The argument or variable, if the memory has a name.
    pub(crate) argument: Option<String>,
    /// The offset of the later access from its start.
    pub(crate) offset: i64,
    /// How many bytes the later access has.
    pub(crate) bytes: u32,
    /// The accesses, in the order in which they happened.
    pub(crate) accesses: Vec<Access>,
    /// A correction.
    pub(crate) remedy: String,
    /// How often it was found.
    pub(crate) count: u64,
}

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ReportKind {
    /// Two accesses that nothing orders.
    Race,
    /// The same, and both write one value.
    SameValue,
    /// The same in one SIMD-group, by different instructions.
    Lockstep,
    /// The access of one thread.
    Of(Finding),
    /// More was found than a command buffer reports.
    Omitted,
}

impl ReportKind {
    /// Its name in data.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Race => "race",
            Self::SameValue => "same value",
            Self::Lockstep => "lockstep",
            Self::Of(Finding::Shift) => "shift",
            Self::Of(Finding::DivideByZero) => "division by zero",
            Self::Of(Finding::DivideOverflow) => "division overflow",
            Self::Of(Finding::FloatToInt) => "float to integer",
            Self::Of(Finding::SignedOverflow) => "signed overflow",
            Self::Of(Finding::Branch) => "uninitialised branch",
            Self::Of(Finding::Address) => "uninitialised address",
            Self::Of(Finding::Stored) => "uninitialised store",
            Self::Of(Finding::Misaligned) => "misaligned access",
            Self::Of(Finding::Member) => "other member of a union",
            Self::Omitted => "omitted",
        }
    }

    /// Whether GPUs tolerate it.
    pub(crate) const fn is_benign(self) -> bool {
        matches!(self, Self::SameValue | Self::Lockstep)
    }
}

/// One access of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// The kernel.
    pub(crate) kernel: String,
    /// Where in its source.
    pub(crate) source: Option<SourcePosition>,
    /// How.
    pub(crate) kind: AccessKind,
    /// The position in the grid of the thread.
    pub(crate) thread: [u32; 3],
}

impl fmt::Display for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.kind {
            AccessKind::Read => "reads",
            AccessKind::Write => "writes",
            AccessKind::AtomicRead => "reads atomically",
            AccessKind::AtomicWrite => "changes atomically",
        };
        let [x, y, z] = self.thread;
        write!(out, "thread ({x}, {y}, {z}) {verb}")?;
        match &self.source {
            Some(source) => write!(out, " ({source})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, kind, offset, bytes, remedy, count, .. } = self;
        let what = match kind {
            ReportKind::Of(finding) => return self.of_thread(*finding, out),
            ReportKind::Omitted => {
                write!(
                    out,
                    "kernel '{kernel}': more was found than a command buffer reports; {remedy}"
                )?;
                return counted(*count, out);
            }
            ReportKind::Race => "race",
            ReportKind::SameValue => "benign race (both write the same value)",
            ReportKind::Lockstep => "benign race (within a SIMD-group)",
        };
        write!(out, "kernel '{kernel}': {what} on {bytes} bytes at offset {offset} of ")?;
        match &self.argument {
            Some(name) => write!(out, "'{name}': ")?,
            None => out.write_str("memory without a name: ")?,
        }
        for (number, access) in self.accesses.iter().enumerate() {
            out.write_str(if number == 0 { "" } else { ", and " })?;
            if access.kernel != *kernel {
                write!(out, "in kernel '{}' ", access.kernel)?;
            }
            write!(out, "{access}")?;
        }
        write!(out, "; {remedy}")?;
        counted(*count, out)
    }
}

/// How often something was found, if it was more than once.
fn counted(count: u64, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    if count > 1 { write!(out, " (found {count} times)") } else { Ok(()) }
}

/// The launch of a threadgroup.
pub(super) fn launch_of(launches: &[Run], group: u32) -> usize {
    launches.partition_point(|run| run.first_group <= group).saturating_sub(1)
}

/// The position in the grid of a thread.
pub(super) fn thread(launches: &[Run], group: u32, wave: u32, lane: u32) -> [u32; 3] {
    let run = &launches[launch_of(launches, group)];
    let number = group - run.first_group;
    let groups: [u32; 3] = std::array::from_fn(|d| run.grid[d].div_ceil(run.group[d]));
    let position =
        [number % groups[0], number / groups[0] % groups[1], number / groups[0] / groups[1]];
    let origin: [u32; 3] = std::array::from_fn(|d| position[d] * run.group[d]);
    let size: [u32; 3] = std::array::from_fn(|d| run.group[d].min(run.grid[d] - origin[d]));
    let index = wave * 32 + lane;
    [
        origin[0] + index % size[0],
        origin[1] + index / size[0] % size[1],
        origin[2] + index / size[0] / size[1],
    ]
}

/// The construct that would order two accesses.
pub(super) fn remedy(
    launches: &[Run],
    old: &Record,
    new: &Record,
    apart: Apart,
    own: bool,
) -> String {
    let flag = if own { "mem_threadgroup" } else { "mem_device" };
    let mixed = old.kind.is_atomic() != new.kind.is_atomic();
    let text = match apart {
        Apart::Groups if launch_of(launches, old.group) != launch_of(launches, new.group) => {
            "nothing orders the two launches: put a memory barrier of the encoder between them, or use a \
             serial encoder"
                .to_owned()
        }
        Apart::Groups => "no barrier orders threadgroups of one launch: use atomics for both accesses, or a \
                          second launch"
            .to_owned(),
        Apart::Instruction => "the instruction is the same for both threads: have one of them write, or use an atomic"
            .to_owned(),
        Apart::Waves if old.met < new.met => format!(
            "the threadgroup_barrier between them does not order this memory: its flags lack mem_flags::{flag}"
        ),
        Apart::Waves => {
            format!("put threadgroup_barrier(mem_flags::{flag}) between them")
        }
        Apart::Lanes => format!("put simdgroup_barrier(mem_flags::{flag}) between them"),
    };
    if mixed { format!("only one of them is atomic; {text}") } else { text }
}

/// The construct that would order accesses of two queues.
pub(super) const OF_QUEUES: &str = "nothing orders the two command buffers, which are of different queues: signal an event after the first and wait for \
     it before the second, or wait until the first has completed before the second is committed";

/// The construct that would order accesses of two encoders of a queue.
pub(super) const OF_ENCODERS: &str = "nothing orders the two encoders, as the program tracks the hazards of this memory itself: update a fence in the \
     first and wait for it in the second";

/// The correction of a fault of one thread.
pub(super) const fn remedy_of(finding: Finding) -> &'static str {
    match finding {
        Finding::Shift => "keep the count below the number of bits of the type",
        Finding::DivideByZero => "test the divisor",
        Finding::DivideOverflow => "treat a divisor of -1 apart",
        Finding::FloatToInt => "clamp the value to the range of the integer type, and test for NaN",
        Finding::Misaligned => {
            "use a packed type, or make the offset (of the binding, or in the kernel) a multiple of the alignment"
        }
        Finding::SignedOverflow => "compute in an unsigned or a wider type",
        Finding::Member => "reinterpret the bits with as_type<T>()",
        Finding::Branch | Finding::Address | Finding::Stored => {
            "give the variable or memory that it comes from a value on every path to this line"
        }
    }
}

impl Report {
    /// The report that counts what has none, the first of which was found in a kernel.
    pub(super) fn omitted(kernel: String) -> Self {
        Self {
            kernel,
            kind: ReportKind::Omitted,
            argument: None,
            offset: 0,
            bytes: 0,
            accesses: Vec::new(),
            remedy: "correct what is reported first, or check fewer kernels".to_owned(),
            count: 1,
        }
    }

    /// The text of a report about one thread.
    fn of_thread(&self, finding: Finding, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match finding {
            Finding::Shift => {
                "a shift by a negative number of bits, or by as many as the type has or more"
            }
            Finding::DivideByZero => "an integer is divided by zero",
            Finding::DivideOverflow => "the lowest integer is divided by -1",
            Finding::FloatToInt => {
                "a float is converted to an integer type that cannot represent it"
            }
            Finding::SignedOverflow => "the result of signed arithmetic is out of range",
            Finding::Misaligned => {
                "an address is not a multiple of the alignment of the type that is accessed there"
            }
            Finding::Member => "a member of a union is read, and another one was written last",
            Finding::Branch => "an uninitialised value decides a branch",
            Finding::Address => "an uninitialised value is part of an address",
            Finding::Stored => {
                "an uninitialised value is written to memory that outlives the kernel"
            }
        };
        write!(out, "kernel '{}': {what}", self.kernel)?;
        for access in &self.accesses {
            let [x, y, z] = access.thread;
            write!(out, ", in thread ({x}, {y}, {z})")?;
            if let Some(source) = &access.source {
                write!(out, " ({source})")?;
            }
        }
        write!(out, "; {}", self.remedy)?;
        counted(self.count, out)
    }
}
