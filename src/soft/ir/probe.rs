//! Probes: the events that they observe, and the checks that a kernel is compiled with (`specs/sanitizer.md`).

use super::{Inst, Op, Space, Span};

/// The checks that a kernel is compiled with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks(u32);

impl Checks {
    /// None.
    pub(crate) const NONE: Self = Self(0);
    /// Accesses of different threads to the same bytes that nothing orders.
    pub(crate) const RACES: Self = Self(1);
    /// Races that GPUs tolerate are reported too.
    pub(crate) const BENIGN: Self = Self(2);
    /// Arithmetic that the language leaves undefined.
    pub(crate) const UNDEFINED: Self = Self(4);
    /// Use of memory and variables that nothing wrote.
    pub(crate) const INIT: Self = Self(8);
    /// The work of each line is counted (`specs/profile.md`).
    pub(crate) const PROFILE: Self = Self(16);

    /// The names of those that report, in the order of the bits.
    pub(crate) const NAMES: &'static [&'static str] = &["races", "benign", "undefined", "init"];

    /// The names of the checks that are chosen.
    pub(crate) fn names(self) -> String {
        let chosen = |&(bit, _): &(usize, &&str)| self.0 >> bit & 1 != 0;
        let all = Self::NAMES.iter().chain(&["profile"]).enumerate();
        all.filter(chosen).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }

    /// The checks in a number, without bits that name none.
    pub(crate) const fn of_bits(bits: u32) -> Self {
        Self(bits & (Self::PROFILE.0 | (Self::PROFILE.0 - 1)))
    }

    /// The checks that a list names.
    pub(crate) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let bit = |name: &str| Self::NAMES.iter().position(|known| *known == name.trim());
        Self(names.into_iter().filter_map(bit).fold(0, |all, bit| all | 1 << bit))
    }

    /// Both.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of these are among them.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there are any that need the kernel to be changed.
    pub(crate) const fn any(self) -> bool {
        self.0 & !Self::BENIGN.0 != 0
    }

    /// Whether there are any that report what they find.
    pub(crate) const fn report(self) -> bool {
        self.0 & !(Self::BENIGN.0 | Self::PROFILE.0) != 0
    }
}

/// The event that a probe reports: an access to memory, or one that orders accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The thread accesses bytes at the first operand; what is stored is the second.
    Access {
        /// How.
        kind: AccessKind,
        /// How many bytes.
        bytes: u32,
        /// Whether the second operand says what is stored.
        known: bool,
    },
    /// The threads of a threadgroup have met, and order the memory that the flags name.
    Threadgroup(MemFlags),
    /// The same for the threads of a SIMD-group.
    Simdgroup(MemFlags),
    /// A fence of device scope.
    Fence,
    /// A SIMD-group begins to run the kernel.
    Start {
        /// How the accesses are stamped, in device and in threadgroup memory: a cell has `4 >> shift` bytes.
        shifts: [u8; 2],
    },
    /// The thread writes to these bytes, of which the checker notes that they were written.
    Wrote {
        /// How many bytes.
        bytes: u32,
    },
    /// The last value that the thread wrote to these bytes of threadgroup memory is itself uninitialised.
    Unwrite {
        /// How many bytes.
        bytes: u32,
    },
    /// The active threads do what the language leaves undefined.
    Found(Finding),
    /// The first operand is dereferenced as a type with this alignment.
    Aligned {
        /// In bytes.
        bytes: u32,
    },
    /// The active threads come to a site of the profile; if it is an access, the first operand is its address.
    Count {
        /// Its number among those of the kernel.
        site: u32,
    },
}

/// Where a profile counts: a line in a block, or an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// The number of its function in the module, of a line.
    pub(crate) function: u32,
    /// Where it is in the source.
    pub(crate) span: Span,
    /// The counted quantity.
    pub(crate) kind: SiteKind,
}

/// The quantity that is counted at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SiteKind {
    /// Runs of a line, with its number of operations.
    Line(u32),
    /// Barriers.
    Barrier,
    /// Accesses of this many bytes each.
    Access(Space, AccessKind, u32),
    /// Accesses to an element of a matrix, which are a part of what the instruction accesses.
    Element(Space, AccessKind, u32),
}

/// Operations of one thread that the language leaves undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Finding {
    /// A shift by a negative number of bits, or by as many as the type has or more.
    Shift,
    /// An integer is divided by zero.
    DivideByZero,
    /// The lowest integer is divided by -1.
    DivideOverflow,
    /// A float is converted to an integer type that cannot represent it.
    FloatToInt,
    /// The result of signed arithmetic is out of range.
    SignedOverflow,
    /// An uninitialised value decides a branch.
    Branch,
    /// It is part of an address.
    Address,
    /// It is written to memory that outlives the kernel.
    Stored,
    /// An address is not a multiple of the alignment of the type that is there.
    Misaligned,
    /// A member of a union is read, and another one was written last.
    Member,
}

impl Finding {
    const ALL: [Self; 10] = [
        Self::Shift,
        Self::DivideByZero,
        Self::DivideOverflow,
        Self::FloatToInt,
        Self::SignedOverflow,
        Self::Branch,
        Self::Address,
        Self::Stored,
        Self::Misaligned,
        Self::Member,
    ];
}

/// How a thread accesses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AccessKind {
    Read,
    Write,
    AtomicRead,
    AtomicWrite,
}

impl AccessKind {
    const ALL: [Self; 4] = [Self::Read, Self::Write, Self::AtomicRead, Self::AtomicWrite];

    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::AtomicWrite)
    }

    pub(crate) const fn is_atomic(self) -> bool {
        matches!(self, Self::AtomicRead | Self::AtomicWrite)
    }
}

/// The kinds of memory that a barrier orders, with the bits of the language's `mem_flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemFlags(u8);

impl MemFlags {
    /// How many bits there are.
    pub(crate) const BITS: u32 = 5;
    /// Everything.
    pub(crate) const ALL: Self = Self((1 << Self::BITS) - 1);
    const DEVICE: u8 = 1;
    const THREADGROUP: u8 = 2;

    /// The flags in a number.
    pub(crate) const fn of_bits(bits: u64) -> Self {
        Self((bits & Self::ALL.0 as u64) as u8)
    }

    /// Their number.
    pub(crate) const fn bits(self) -> u64 {
        self.0 as u64
    }

    /// Whether `device` memory is ordered.
    pub(crate) const fn device(self) -> bool {
        self.0 & Self::DEVICE != 0
    }

    /// Whether `threadgroup` memory is ordered.
    pub(crate) const fn threadgroup(self) -> bool {
        self.0 & Self::THREADGROUP != 0
    }
}

impl Probe {
    /// Whether an instruction reports that the kernel begins.
    pub(crate) fn is_start(inst: &Inst) -> bool {
        Self::shifts(inst).is_some()
    }

    /// The sizes of cells of device and of threadgroup memory, as shifts, if the instruction reports that the kernel begins.
    pub(crate) fn shifts(inst: &Inst) -> Option<[u8; 2]> {
        match Self::from_imm(inst.imm).filter(|_| inst.op == Op::Probe)? {
            Self::Start { shifts } => Some(shifts),
            _ => None,
        }
    }

    /// The immediate of a probe: what it is in the low byte, the number above it.
    pub(crate) const fn imm(self) -> u64 {
        match self {
            Self::Access { kind, bytes, known } => {
                kind as u64 | (bytes as u64) << 8 | (known as u64) << 63
            }
            Self::Threadgroup(flags) => 4 | flags.bits() << 8,
            Self::Simdgroup(flags) => 5 | flags.bits() << 8,
            Self::Fence => 6,
            Self::Start { shifts: [device, own] } => 11 | (device as u64) << 8 | (own as u64) << 16,
            Self::Wrote { bytes } => 12 | (bytes as u64) << 8,
            Self::Unwrite { bytes } => 8 | (bytes as u64) << 8,
            Self::Found(finding) => 7 | (finding as u64) << 8,
            Self::Count { site } => 9 | (site as u64) << 8,
            Self::Aligned { bytes } => 10 | (bytes as u64) << 8,
        }
    }

    /// The event of an immediate.
    pub(crate) fn from_imm(imm: u64) -> Option<Self> {
        let flags = MemFlags::of_bits(imm >> 8);
        Some(match imm & 0xff {
            4 => Self::Threadgroup(flags),
            5 => Self::Simdgroup(flags),
            6 => Self::Fence,
            11 => Self::Start { shifts: [(imm >> 8) as u8, (imm >> 16) as u8] },
            12 => Self::Wrote { bytes: (imm >> 8) as u32 },
            8 => Self::Unwrite { bytes: (imm >> 8) as u32 },
            10 => Self::Aligned { bytes: (imm >> 8) as u32 },
            9 => Self::Count { site: (imm >> 8) as u32 },
            7 => Self::Found(*Finding::ALL.get((imm >> 8) as usize)?),
            kind => Self::Access {
                kind: *AccessKind::ALL.get(kind as usize)?,
                bytes: (imm >> 8) as u32,
                known: imm >> 63 != 0,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_survive_their_immediate() {
        let flags = MemFlags::of_bits(2);
        assert!(flags.threadgroup() && !flags.device());
        for kind in AccessKind::ALL {
            for known in [false, true] {
                let probe = Probe::Access { kind, bytes: 70_000, known };
                assert_eq!(Probe::from_imm(probe.imm()), Some(probe));
            }
        }
        let all = Probe::Simdgroup(MemFlags::ALL);
        for probe in [Probe::Threadgroup(flags), all, Probe::Fence, Probe::Start { shifts: [1, 2] }]
        {
            assert_eq!(Probe::from_imm(probe.imm()), Some(probe));
        }
        for finding in Finding::ALL {
            assert_eq!(Probe::from_imm(Probe::Found(finding).imm()), Some(Probe::Found(finding)));
        }
        let unwrite = Probe::Unwrite { bytes: 8 };
        assert_eq!(Probe::from_imm(unwrite.imm()), Some(unwrite));
        let wrote = Probe::Wrote { bytes: 16 };
        assert_eq!(Probe::from_imm(wrote.imm()), Some(wrote));
        let count = Probe::Count { site: 70_000 };
        assert_eq!(Probe::from_imm(count.imm()), Some(count));
        let aligned = Probe::Aligned { bytes: 16 };
        assert_eq!(Probe::from_imm(aligned.imm()), Some(aligned));
        assert_eq!(Probe::from_imm(13), None);
    }

    #[test]
    fn checks_have_names() {
        let both = Checks::named(["races", " benign", "order=3"]);
        assert_eq!(both, Checks::RACES.with(Checks::BENIGN));
        assert_eq!(both.with(Checks::PROFILE).names(), "races, benign, profile");
        assert!(both.any() && both.has(Checks::RACES) && !Checks::BENIGN.any());
        assert_eq!(Checks::of_bits(u32::MAX).0, (2 << Checks::NAMES.len()) - 1);
        assert!(Checks::PROFILE.any() && !Checks::PROFILE.report() && Checks::INIT.report());
    }
}
