//! A run of statements at run time: where its values are in the frame, and its machine code for each kind of strip.

use crate::soft::ir::hash::{FastMap, FastSet};
use std::fmt;
use std::mem::offset_of;
use std::sync::{Arc, OnceLock};

use super::machine::Machine;
use super::select::{Strip, select};
use super::shape::Shapes;
use crate::soft::cpu::Source;
use crate::soft::cpu::interp::code::Wave;
use crate::soft::cpu::interp::input::GroupPlace;
use crate::soft::cpu::interp::memory::Region;
use crate::soft::ir::facts::uniform::Uniformity;
use crate::soft::ir::{Input, Stmt, Value, VarId, catch_internal_error, with_stack};

/// Offsets of fields that machine code shares with the interpreter.
pub(crate) struct Layout;

impl Layout {
    pub(crate) const EXEC: i32 = offset_of!(Wave, exec) as i32;
    pub(crate) const BUDGET: i32 = offset_of!(Wave, budget) as i32;
    pub(crate) const REGIONS: i32 = offset_of!(Wave, regions) as i32;
    pub(crate) const REGION_COUNT: i32 = offset_of!(Wave, region_count) as i32;
    pub(crate) const THREAD_MEMORY: i32 = offset_of!(Wave, thread_memory) as i32;
    pub(crate) const REGION_BYTES: i32 = size_of::<Region>() as i32;
    pub(crate) const BASE: i32 = offset_of!(Region, base) as i32;
    pub(crate) const BYTES: i32 = offset_of!(Region, bytes) as i32;
    pub(crate) const SLACK: i32 = offset_of!(Region, slack) as i32;
    pub(crate) const WRITABLE: i32 = offset_of!(Region, writable) as i32;
    pub(crate) const PLACE: i32 = offset_of!(Wave, place) as i32;
    pub(crate) const OBSERVES_DEVICE: i32 = offset_of!(Wave, observes_device) as i32;
    pub(crate) const QUICK: i32 = offset_of!(Wave, quick) as i32;
    pub(crate) const NUMBER: i32 = offset_of!(Wave, number) as i32;
    pub(crate) const GROUPS: i32 = offset_of!(Wave, groups) as i32;
    pub(crate) const WAVE_BYTES: i32 = size_of::<Wave>() as i32;
    pub(crate) const INPUTS: i32 = offset_of!(GroupPlace<'static>, inputs) as i32;
    pub(crate) const GROUP_POSITION: i32 =
        Self::INPUTS + Input::ThreadgroupPositionInGrid as i32 * 12;
    pub(crate) const ORIGIN: i32 = offset_of!(GroupPlace<'static>, origin) as i32;
    pub(crate) const POSITIONS: i32 = offset_of!(GroupPlace<'static>, positions) as i32;
    pub(crate) const ALONE: i32 = offset_of!(Region, alone) as i32;
}

/// A value that is used after the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    pub(crate) value: Value,
    /// Its offset in the frame.
    pub(crate) offset: u32,
    pub(crate) uniform: bool,
}

/// A variable that the run reads or writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunVariable {
    pub(crate) id: VarId,
    pub(crate) offset: u32,
    pub(crate) uniform: bool,
    pub(crate) written: bool,
}

impl RunVariable {
    /// A variable that only the code of a whole body has.
    pub(crate) fn own(id: VarId, uniform: &Uniformity) -> Self {
        Self { id, offset: 0, uniform: uniform.variables[id.index()], written: false }
    }
}

/// The index of the code for any strips, which is made first, and of the code for short strips of rows.
const ANY: usize = 1;
const SHORT: usize = 2;
/// That of the code for strips each of whose vectors is a row, of kernels whose accesses are stamped.
const PARTS: usize = 3;
/// That of the code for threadgroups that are one row of whole SIMD-groups.
const LINES: usize = 4;

/// What decides which code of a run is used for a threadgroup.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// How many lanes at a time are neighbours in the first dimension.
    pub(crate) row: u32,
    /// The threads of the launch's largest threadgroup.
    pub(crate) threads: u32,
    /// Whether each of the launch's threadgroups is one row of whole SIMD-groups.
    pub(crate) lines: bool,
}

/// A run, as the interpreter's code has it.
pub(crate) struct Run {
    pub(crate) source: Arc<Source>,
    /// The statements, which are the source's.
    pub(crate) first: *const Stmt,
    pub(crate) length: usize,
    /// Whether lanes exchange values, so that one strip has all of them.
    pub(crate) whole: bool,
    /// Whether they do so by operations that know all lanes of a SIMD-group, and not by atomics alone.
    pub(crate) across: bool,
    /// Whether it is the kernel's whole body.
    pub(crate) body: bool,
    /// The word for the body's start.
    pub(crate) start_site: u32,
    /// Whether some lanes may be inactive here and active again later.
    pub(crate) masked: bool,
    /// The number of its first loop in the function.
    pub(crate) first_loop: usize,
    /// Shapes of values whatever the threadgroup's size is.
    pub(crate) shapes: Arc<Shapes>,
    /// Values that were computed before the first thread.
    pub(crate) done: Arc<Vec<bool>>,
    /// Values that the run computes.
    pub(crate) computed: FastSet<Value>,
    /// Reads of variables that may stand for the variable.
    pub(crate) aliases: FastSet<Value>,
    /// Values from before the run: their offset in the frame, and whether that is a slot.
    pub(crate) entering: FastMap<Value, (u32, bool)>,
    pub(crate) leaving: Vec<Leaving>,
    pub(crate) variables: Vec<RunVariable>,
    /// The words after the interpreter's instruction that stand for accesses and loops.
    pub(crate) access_sites: FastMap<Value, u32>,
    pub(crate) loop_sites: FastMap<usize, u32>,
    /// Whether its accesses are stamped (`specs/sanitizer.md`).
    pub(crate) stamped: bool,
    /// Whether SIMD-groups wait for each other in it.
    pub(crate) waits: bool,
    /// The code for whole strips of rows, for any strips, for short strips of rows, for strips of several rows, and for
    /// lines.
    pub(crate) machines: [OnceLock<Option<Machine>>; 5],
}

// SAFETY: the statements are the source's, which is shared and does not change.
unsafe impl Send for Run {}
// SAFETY: as above.
unsafe impl Sync for Run {}

impl fmt::Debug for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Run").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Run {
    /// The statements.
    pub(crate) fn stmts(&self) -> &[Stmt] {
        // SAFETY: `length` statements begin there, in a block of the source, which lives as long as this.
        unsafe { std::slice::from_raw_parts(self.first, self.length) }
    }

    pub(crate) fn is_done(&self, value: Value) -> bool {
        self.done[value.index()]
    }

    pub(crate) fn may_alias(&self, value: Value) -> bool {
        self.aliases.contains(&value)
    }

    /// The word that stands for an access.
    pub(crate) fn access_site(&self, value: Value) -> u32 {
        self.access_sites.get(&value).copied().unwrap_or(0)
    }

    /// The word that stands for a loop.
    pub(crate) fn loop_site(&self, number: usize) -> u32 {
        self.loop_sites.get(&number).copied().unwrap_or(0)
    }

    /// The code for such threadgroups; `None` if the system has no executable memory.
    pub(crate) fn machine(&self, fit: Fit) -> Option<&Machine> {
        let Fit { row, threads, lines } = fit;
        let [long, any, short] = self.strips()?;
        // A shorter strip is used if that makes it a row, or if it has all threads: lanes that are never active cost time, too.
        let has_all = threads <= short.lanes && !self.across && short != long;
        let (slot, strip) = if row >= short.lanes && has_all {
            (SHORT, short)
        } else if lines && self.has_lines() {
            (LINES, Strip { line: true, ..long })
        } else if row >= long.lanes * long.parts {
            (0, long)
        } else if row >= short.lanes && !self.whole {
            (SHORT, short)
        } else if row >= any.lanes && self.stamped {
            (PARTS, Strip { part_rows: true, ..any })
        } else {
            (ANY, any)
        };
        self.machine_of(slot, strip).or_else(|| self.any())
    }

    /// The kinds of strips that there is code for, in the order of `machines`.
    pub(crate) fn strips(&self) -> Option<[Strip; 3]> {
        let whole = self.longest()?;
        let rows = Strip { rows: true, ..whole };
        Some([rows, Strip { rows: false, ..whole }, Strip { parts: 1, ..rows }])
    }

    /// Whether there is code of its own for lines: where strips are visited once for each barrier, it pays.
    pub(crate) fn has_lines(&self) -> bool {
        self.body && self.waits && !self.stamped
    }

    fn machine_of(&self, slot: usize, strip: Strip) -> Option<&Machine> {
        let isa = self.source.isa;
        let make = || with_stack(|| Machine::new(select(self, strip), strip, isa));
        // A defect here costs speed only: the code for any strips is used instead. In tests it is a panic.
        let apart = (slot != ANY || self.body) && !cfg!(test);
        let make = || if apart { catch_internal_error(make).ok().flatten() } else { make() };
        self.machines[slot].get_or_init(make).as_ref()
    }

    /// The longest strips there are.
    fn longest(&self) -> Option<Strip> {
        let strip = Machine::whole_strip(self.source.isa)?;
        Some(if self.whole { Strip { parts: 32 / strip.lanes, ..strip } } else { strip })
    }

    /// The code for strips at any positions.
    fn any(&self) -> Option<&Machine> {
        self.machine_of(ANY, self.strips()?[ANY])
    }

    /// Whether there is code for a whole body and threadgroups like these; made where it is missing.
    pub(crate) fn has_machine(&self, fit: Fit) -> bool {
        self.machine(fit).is_some()
    }

    /// Makes the code that every run must have. False if that fails.
    pub(crate) fn prepare(&self) -> bool {
        self.any().is_some()
    }
}
