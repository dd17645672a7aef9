//! The instruction sets that there is machine code for, as the rest of the back end sees them.

#[cfg(target_arch = "aarch64")]
pub(crate) use super::aarch64::emit;
use super::allocate::Place;
use super::lir::Class;
use super::machine::Area;
use super::select::Strip;
#[cfg(target_arch = "x86_64")]
pub(crate) use super::x86_64::emit;

/// Facts about an instruction set for selection, allocation and slow paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Lanes of a vector, which may be several registers of the machine.
    pub(crate) lanes: u32,
    /// Vectors of a strip, where lanes do not exchange values.
    pub(crate) parts: u32,
    /// Whether masks have registers of their own; else they are vectors, all ones in lanes that are set.
    pub(crate) mask_registers: bool,
    /// Whether there are instructions that convert unsigned numbers.
    pub(crate) unsigned: bool,
    /// The registers with four times the strip's first lane, and with the work until the clock is read.
    pub(crate) first_lane: u32,
    pub(crate) budget: u32,
}

impl Target {
    /// The longest strip.
    pub(crate) const fn strip(self) -> Strip {
        let Self { lanes, parts, unsigned, .. } = self;
        Strip { lanes, parts, rows: false, part_rows: false, line: false, unsigned }
    }

    /// Whether registers of a class are vectors.
    pub(crate) const fn is_vector(self, class: Class) -> bool {
        match class {
            Class::Int => false,
            Class::Vector => true,
            Class::Mask => !self.mask_registers,
        }
    }
}

/// The largest size of the code's own memory in bytes: it is on the stack.
pub(crate) const MAX_AREA: u32 = 128 * 1024;

/// The bytes of a region's code, where its registers are, and the memory that it needs.
pub(crate) struct Emitted {
    pub(crate) bytes: Vec<u8>,
    /// How many of them are instructions; padding and constants follow.
    pub(crate) code_bytes: u32,
    /// The offset of each instruction's first byte, and the end of the last one.
    pub(crate) starts: Vec<u32>,
    pub(crate) places: Vec<Place>,
    pub(crate) area: Area,
}
