//! Points at which machine code may call a slow path: what the slow path does, and with which registers.

use super::Reg;
use crate::soft::cpu::interp::code::Run;
use crate::soft::ir::Scalar;

/// A point at which the code may call a slow path: an access that failed its check, an operation without
/// code of its own, or a read of the clock.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The number among the region's sites in the interpreter's code, which knows the source line.
    pub(crate) number: u32,
    pub(crate) what: SiteKind,
}

/// The kind of a site.
#[derive(Clone, Debug)]
pub(crate) enum SiteKind {
    Clock,
    /// A barrier of the threadgroup that strips reach with these lanes, where the rules are strict.
    Barrier(Vec<Reg>),
    Access(Access),
    Matrix(MatrixAccess),
    /// An atomic, by the interpreter's handler for one address.
    Atomic {
        access: Access,
        run: Run,
        operands: Vec<Operand>,
    },
    /// A probe: what it is, the number of its value, the active lanes (none if it concerns the whole SIMD-group), their addresses and what
    /// they store, if it has those.
    Probe {
        imm: u64,
        value: u32,
        exec: Vec<Reg>,
        pointer: Option<Access>,
        stored: Option<Operand>,
    },
    /// Which of the bytes at the lanes' addresses were not written: bits, in the access's data.
    Unwritten {
        bytes: u32,
        access: Access,
    },
    /// An operation, by the interpreter's handler.
    /// With `once` it works on slots, else on 32 lanes.
    Operation {
        run: Run,
        args: Vec<Operand>,
        result: Operand,
        once: bool,
    },
}

/// An operand or a result of a site.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// One number for all lanes; with `bool` a truth value.
    Int {
        reg: Reg,
        bool: bool,
    },
    Lanes(Vec<Reg>),
    Masks(Vec<Reg>),
    /// Numbers of 64 bits, by halves.
    Wide {
        low: Vec<Reg>,
        high: Vec<Reg>,
    },
    /// Some bytes of a word in each lane, from one of them on: a component of a load that stays in its word.
    Part {
        words: Vec<Reg>,
        byte: u32,
        bytes: u32,
    },
}

impl Operand {
    fn each(&self, f: &mut impl FnMut(Reg)) {
        match self {
            Self::Int { reg, .. } => f(*reg),
            Self::Lanes(regs) | Self::Masks(regs) | Self::Part { words: regs, .. } => {
                regs.iter().copied().for_each(f);
            }
            Self::Wide { low, high } => low.iter().chain(high).copied().for_each(f),
        }
    }
}

/// An access lane by lane.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) write: bool,
    /// The region's number, or a register with a pointer.
    pub(crate) region: RegionRef,
    /// The scalar type in memory.
    pub(crate) scalar: Scalar,
    /// The uniform part of the offset.
    pub(crate) offset: Reg,
    /// The distance that each lane adds.
    pub(crate) terms: Vec<Term>,
    /// The active lanes.
    pub(crate) exec: Vec<Reg>,
    /// The components, adjacent in memory: results of loads, sources of stores.
    pub(crate) data: Vec<Operand>,
    /// Whether the components are loads that were joined.
    pub(crate) joined: bool,
}

/// An access to a matrix of the SIMD-group, by the interpreter's handler.
#[derive(Clone, Debug)]
pub(crate) struct MatrixAccess {
    pub(crate) write: bool,
    /// The scalar type in memory.
    pub(crate) scalar: Scalar,
    pub(crate) pointer: Reg,
    /// Elements from one row, and from one column, to the next.
    pub(crate) steps: [Reg; 2],
    /// The active lanes; a fault reports one of them.
    pub(crate) exec: Vec<Reg>,
    /// The matrix's registers.
    pub(crate) data: [Operand; 2],
}

/// Which region an access is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegionRef {
    Number(u32),
    /// A register with the number of the region that a pointer is in.
    Found(Reg),
    /// Thread memory: the local that a fault reports, its start and its size.
    Thread {
        local: u32,
        start: u32,
        bytes: u32,
    },
}

/// A varying 32-bit index and its scale.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) index: LaneIndex,
    pub(crate) signed: bool,
    pub(crate) scale: i64,
}

/// How to compute a lane's index.
#[derive(Clone, Debug)]
pub(crate) enum LaneIndex {
    /// The index of the strip's first lane, and the step to each further lane, in 32 bits.
    Affine {
        first: Reg,
        stride: u32,
    },
    /// The index of the strip's first lane, and what each lane adds, in 32 bits.
    Apart {
        first: Reg,
        by: Box<[u32; 32]>,
    },
    Lanes(Vec<Reg>),
    /// A 64-bit number, by halves; its sign makes no difference modulo 2^64.
    Wide {
        low: Vec<Reg>,
        high: Vec<Reg>,
    },
}

impl Access {
    fn each(&self, f: &mut impl FnMut(Reg)) {
        if let RegionRef::Found(reg) = self.region {
            f(reg);
        }
        f(self.offset);
        for term in &self.terms {
            match &term.index {
                LaneIndex::Affine { first, .. } | LaneIndex::Apart { first, .. } => f(*first),
                LaneIndex::Lanes(regs) => regs.iter().copied().for_each(&mut *f),
                LaneIndex::Wide { low, high } => {
                    low.iter().chain(high).copied().for_each(&mut *f);
                }
            }
        }
        self.exec.iter().copied().for_each(&mut *f);
        self.data.iter().for_each(|data| data.each(f));
    }
}

impl Site {
    /// Calls `f` with every register that the site reads or writes.
    pub(crate) fn each(&self, f: &mut impl FnMut(Reg)) {
        match &self.what {
            SiteKind::Clock => {}
            SiteKind::Barrier(exec) => exec.iter().copied().for_each(f),
            SiteKind::Access(access) | SiteKind::Unwritten { access, .. } => access.each(f),
            SiteKind::Probe { exec, pointer, stored, .. } => {
                exec.iter().copied().for_each(&mut *f);
                pointer.iter().for_each(|access| access.each(f));
                stored.iter().for_each(|stored| stored.each(f));
            }
            SiteKind::Atomic { access, operands, .. } => {
                access.each(f);
                operands.iter().for_each(|operand| operand.each(f));
            }
            SiteKind::Matrix(access) => {
                f(access.pointer);
                access.steps.into_iter().for_each(&mut *f);
                access.exec.iter().copied().for_each(&mut *f);
                access.data.iter().for_each(|data| data.each(f));
            }
            SiteKind::Operation { args, result, .. } => {
                args.iter().for_each(|arg| arg.each(f));
                result.each(f);
            }
        }
    }
}
