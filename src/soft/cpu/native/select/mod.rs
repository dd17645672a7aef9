//! Selection: a run of statements becomes machine operations over virtual registers, for one strip of lanes.
//!
//! A value has one or two forms. A uniform integer is a number in an integer register; for an affine one, that is the
//! first lane's number. Floats and other varying values are vectors, one for each part of the strip; varying truth
//! values are masks. A form is made where the value is computed, if a use needs it.

pub(crate) mod across;
mod apart;
pub(crate) mod atomic;
mod bits;
mod convert;
mod demand;
mod flow;
mod half;
mod input;
mod matrix;
mod memory;
mod packed;
mod parts;
mod phases;
mod probe;
mod segments;
mod shared;
mod stamps;
mod thread;
mod value;
mod version;
mod wide;
mod words;
mod written;

use super::lir::{
    Body, Class, Code, Home, Info, Ins, IntOp, Kind, Label, Lane1, Lane2, MaskOp, MemBase, MemRef,
    Origin, Reg, SiteKind, Test,
};
use super::phases::find;
use super::region::{Layout, Run};
use super::shape::{Lanes, OfLanes, Shape, Shapes};
use super::tidy::tidy;
use crate::soft::ir::hash::{FastMap, FastSet};
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Function, Op, Scalar, Stmt, Type, Value, VarId};

/// A kind of strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Strip {
    /// Lanes of a vector.
    pub(crate) lanes: u32,
    /// Vectors of a strip.
    pub(crate) parts: u32,
    /// Whether lanes are neighbours in the first dimension and have the same position in the others.
    pub(crate) rows: bool,
    /// Whether at least the lanes of each vector are.
    pub(crate) part_rows: bool,
    /// Whether the threadgroup is one row of whole SIMD-groups: all lanes have a thread, whose position is its index.
    pub(crate) line: bool,
    /// Whether the processor has instructions that convert unsigned numbers.
    pub(crate) unsigned: bool,
}

/// A value is needed as a number.
const INT: u8 = 1;
/// A value is needed in lanes.
const LANES: u8 = 2;

/// The forms that a value has.
#[derive(Clone, Debug, Default)]
struct Forms {
    int: Option<Reg>,
    /// Vectors, or masks of a `bool`.
    lanes: Vec<Reg>,
}

/// A loop that encloses the current statement.
struct Inside {
    divergent: bool,
    exit: Label,
    next: Label,
    /// Lanes that continue with the next iteration.
    continued: Option<Vec<Reg>>,
    /// How many divergent constructs enclose the loop.
    depth: u32,
}

/// An address that code keeps in a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Base {
    Region(u32),
    /// The table of regions.
    Regions,
    /// Thread memory of the strip's first lane.
    ThreadLanes,
    /// The checker's numbers.
    Quick,
}

pub(crate) struct Selection<'a> {
    function: &'a Function,
    run: &'a Run,
    shapes: Shapes,
    /// How values vary within a vector, where its lanes are neighbours and those of the strip are not.
    part_shapes: Option<Shapes>,
    strip: Strip,
    out: Vec<Ins>,
    /// The purpose of each of `out`, and of the next ones.
    origins: Vec<Origin>,
    origin: Origin,
    head: Vec<Ins>,
    /// The start of a threadgroup, and that of a strip; in phases, of each of them. They follow `head`.
    group_head: Vec<Ins>,
    strip_head: Vec<Ins>,
    code: Code,
    forms: Vec<Forms>,
    /// The components of vectors that were loaded.
    vectors: FastMap<Value, Vec<Forms>>,
    /// Vectors of narrow components that were loaded, and stay in their words until they are used.
    packed: FastMap<Value, packed::Packed>,
    want: Vec<u8>,
    /// For each value, whether it is moved, see `half`.
    moved: Vec<bool>,
    variables: FastMap<VarId, Forms>,
    exec: Vec<Reg>,
    /// The mask of all lanes, once it was needed.
    all: Option<Reg>,
    /// The lanes that are active when the run starts; `exec` changes.
    entry: Vec<Reg>,
    /// How many divergent constructs enclose the current statement.
    depth: u32,
    inside: Vec<Inside>,
    /// Where to continue when no lane is active any more.
    joins: Vec<Label>,
    begun: usize,
    bases: FastMap<Base, Reg>,
    limits: FastMap<(u32, u64, bool, u64), Reg>,
    constants: FastMap<u64, Reg>,
    lane_constants: FastMap<Home, Reg>,
    /// The offset in the code's own memory of room for the lanes of a strip, once that was needed.
    row: Option<u32>,
    /// The same for the operands of 64-bit atomics.
    wide_rows: Option<u32>,
    /// Accesses in the current statements whose bounds were checked ahead of them.
    checked: FastMap<Value, version::Checked>,
    /// How often a mask was cleared so far.
    cleared: u32,
    /// The blocks that lanes may leave before their ends, by the addresses of their first statements, and whether they may
    /// end there.
    leaving: FastMap<*const Stmt, bool>,
    /// How often each variable is read in the whole function.
    reads: Vec<u32>,
    /// Variables that need no masks at the level of the enclosing loop.
    private: FastSet<VarId>,
    /// The masks from before each loop around that has masks of its own: lanes that return leave them, too.
    outer: Vec<Vec<Reg>>,
    /// The sources of inputs.
    inputs: input::Inputs,
    /// Set if the run is a body in phases, and the thread's inputs that have forms in this one.
    phases: Option<phases::State>,
    strip_inputs: Vec<usize>,
    /// If accesses are stamped: the shifts of cells of device and of threadgroup memory.
    stamps: Option<[u8; 2]>,
    /// The lanes of a stamped access, as recorded since the last label.
    noted: Option<Noted>,
}

/// The masks of a stamped access, how many were cleared before it, and the number of its lanes.
type Noted = (Vec<Reg>, u32, Reg);

/// Offsets of lanes are below this, so that they fit in 31 bits, with room for what is added to them.
const MAX_LANES: u64 = (1 << 31) - (1 << 21);
/// The largest constant that may be subtracted from an index, so that an index that wraps is still out of bounds.
const MAX_BACK: i64 = 1 << 20;

/// Selects the code of a run for one kind of strip.
pub(crate) fn select(run: &Run, strip: Strip) -> Code {
    let selection = || selection(run, strip);
    run.body.then(|| selection().whole_in_phases()).flatten().unwrap_or_else(|| selection().whole())
}

fn selection(run: &Run, strip: Strip) -> Selection<'_> {
    let source = &run.source;
    let function = &source.function;
    let lanes = Lanes { count: strip.lanes * strip.parts, rows: strip.rows };
    let shapes =
        Shapes::of(function, &source.uniform, lanes, |value| run.computed.contains(&value));
    // A loaded value may be valid in active lanes only, and any lane represents its vector.
    let part = Lanes { count: strip.lanes, rows: true };
    let is_parted = strip.part_rows && !strip.rows;
    let part_shapes = is_parted.then(|| Shapes::of(function, &source.uniform, part, |_| false));
    let count = function.insts.len();
    let mut leaving = FastMap::default();
    flow::find_leaving(run.stmts(), &mut leaving);
    Selection {
        function,
        run,
        shapes,
        part_shapes,
        strip,
        out: Vec::new(),
        origins: Vec::new(),
        origin: Origin::Ends,
        head: Vec::new(),
        group_head: Vec::new(),
        strip_head: Vec::new(),
        code: Code { lanes: strip.lanes, parts: strip.parts, ..Code::default() },
        forms: vec![Forms::default(); count],
        vectors: FastMap::default(),
        packed: FastMap::default(),
        want: vec![0; count],
        moved: half::moved(function),
        variables: FastMap::default(),
        exec: Vec::new(),
        all: None,
        entry: Vec::new(),
        depth: u32::from(run.masked),
        inside: Vec::new(),
        joins: Vec::new(),
        begun: run.first_loop,
        bases: FastMap::default(),
        limits: FastMap::default(),
        constants: FastMap::default(),
        lane_constants: FastMap::default(),
        row: None,
        wide_rows: None,
        checked: FastMap::default(),
        cleared: 0,
        leaving,
        reads: reads_of(function),
        private: FastSet::default(),
        outer: Vec::new(),
        inputs: input::Inputs::default(),
        phases: None,
        strip_inputs: Vec::new(),
        stamps: stamps::shifts(function),
        noted: None,
    }
}

/// How often each variable is read.
fn reads_of(function: &Function) -> Vec<u32> {
    let mut reads = vec![0; function.variables.len()];
    for inst in instructions(&function.body).map(|value| function.inst(value)) {
        if inst.op == Op::Get {
            reads[inst.imm as usize] += 1;
        }
    }
    reads
}

impl<'a> Selection<'a> {
    fn whole(mut self) -> Code {
        let run = self.run;
        let stmts = run.stmts();
        for leaving in &run.leaving {
            let bits = if leaving.uniform && !self.is_float(leaving.value) { INT } else { LANES };
            self.need(leaving.value, bits);
        }
        self.demand(stmts);

        let end = self.label();
        self.load_exec(end);
        self.head.append(&mut self.strip_head);
        for variable in &run.variables {
            match run.body {
                true => self.own_variable(variable.id, variable.uniform),
                false => self.enter_variable(variable.id, variable.offset, variable.uniform),
            }
        }
        self.joins.push(end);
        self.code.body = run.body.then_some(Body::Rounds);
        if run.body {
            let site = self.site(run.start_site, SiteKind::Clock);
            self.emit(Ins::Budget { work: 1, site });
        }
        self.run_and_leave(stmts);
        if let (true, Some(Ins::Budget { site, .. })) = (run.body, self.out.first().copied()) {
            let work = 1 + self.out.len() as u32 / 40;
            self.out[0] = Ins::Budget { work, site };
        }
        self.emit(Ins::Label(end));
        self.finish()
    }

    /// A body in phases; `None` if it cannot be.
    fn whole_in_phases(mut self) -> Option<Code> {
        let run = self.run;
        let (function, uniform) = (self.function, &run.source.uniform);
        let shapes = [&*run.shapes, &self.shapes];
        let phases = find(function, uniform, shapes, self.strip, &run.done, run.stmts())?;
        self.demand(self.run.stmts());
        self.by_phases(phases).then(|| self.finish())
    }

    /// Loads the active lanes at the start of a strip, which goes to `end` if there are none.
    fn load_exec(&mut self, end: Label) {
        self.exec = (0..self.strip.parts)
            .map(|part| {
                let bits = self.reg(Class::Int, false);
                let scalar = if self.strip.lanes == 8 { Scalar::U8 } else { Scalar::U16 };
                let disp = Layout::EXEC + (part * self.strip.lanes / 8) as i32;
                let mem = MemRef { base: MemBase::WaveBits, index: None, disp };
                self.strip_head.push(Ins::LoadInt { from: scalar, d: bits, mem });
                let mask = self.reg(Class::Mask, true);
                self.strip_head.push(Ins::MaskOfBits { d: mask, s: bits, first: 0 });
                mask
            })
            .collect();
        // A SIMD-group has at least one thread.
        if self.phases.is_none() || self.strip.lanes * self.strip.parts < 32 {
            let masks = self.all_parts(&self.exec);
            self.strip_head.push(Ins::JumpNone { masks, to: end });
        }
        self.entry = self.exec.clone();
    }

    /// Makes all lanes the active ones at the start of a strip of a line. Lanes that may return need masks of their own.
    fn all_active(&mut self, may_return: bool) {
        let all = match self.all {
            Some(all) => all,
            None => {
                let (s, d) = (self.constant(u32::MAX.into()), self.mask());
                self.head.push(Ins::MaskOfInt { d, s });
                *self.all.insert(d)
            }
        };
        let mask = |selection: &mut Self| {
            let d = selection.reg(Class::Mask, true);
            selection.strip_head.push(Ins::MaskMove { d, s: all });
            d
        };
        let parts = self.parts();
        self.exec = match may_return {
            true => (0..parts).map(|_| mask(self)).collect(),
            false => vec![all; parts],
        };
        self.entry = self.exec.clone();
    }

    /// Whether masks are those of all lanes, whatever the threads do.
    fn are_all(&self, masks: &[Reg]) -> bool {
        masks.iter().all(|&mask| Some(mask) == self.all)
    }

    fn finish(mut self) -> Code {
        // All strips of all threadgroups share that mask.
        #[cfg(test)]
        assert!(self.all.is_none() || self.out.iter().all(|ins| ins.only_result() != self.all));
        let groups = self.phases.is_some().then_some(self.head.len() as u32);
        self.head.extend(groups.map(|_| Ins::Group));
        self.head.append(&mut self.group_head);
        self.head.append(&mut self.strip_head);
        let head = self.head.len() as u32;
        let mut code = self.code;
        code.origins = vec![Origin::Ends; self.head.len()];
        code.origins.append(&mut self.origins);
        code.code = self.head;
        code.code.append(&mut self.out);
        for (start, end) in &mut code.loops {
            *start += head;
            *end += head;
        }
        // From one threadgroup to the next.
        let end = code.code.len() as u32;
        code.loops.extend(groups.map(|start| (start, end)));
        tidy(&mut code);
        code
    }
    // --- Helpers -------------------------------------------------------------------------------------

    pub(super) fn reg(&mut self, class: Class, carried: bool) -> Reg {
        self.code.regs.push(Info { class, carried, home: None });
        Reg(self.code.regs.len() as u32 - 1)
    }

    pub(super) fn int(&mut self) -> Reg {
        self.reg(Class::Int, false)
    }

    pub(super) fn lane(&mut self) -> Reg {
        self.reg(Class::Vector, false)
    }

    pub(super) fn mask(&mut self) -> Reg {
        self.reg(Class::Mask, false)
    }

    /// The result of an operation in each lane.
    pub(super) fn lane1(&mut self, op: Lane1, a: Reg) -> Reg {
        let d = self.lane();
        self.emit(Ins::Lane1 { op, d, a });
        d
    }

    /// The same of two operands.
    pub(super) fn lane2(&mut self, op: Lane2, a: Reg, b: Reg) -> Reg {
        let d = self.lane();
        self.emit(Ins::Lane2 { op, d, a, b });
        d
    }

    /// A register whose value is in memory when the strip starts.
    pub(super) fn at_home(&mut self, class: Class, home: Home, carried: bool) -> Reg {
        self.code.regs.push(Info { class, carried, home: Some(home) });
        Reg(self.code.regs.len() as u32 - 1)
    }

    pub(super) fn label(&mut self) -> Label {
        self.code.labels += 1;
        Label(self.code.labels - 1)
    }

    pub(super) fn emit(&mut self, ins: Ins) {
        if matches!(ins, Ins::Label(_) | Ins::Call { .. }) {
            self.noted = None;
        }
        self.out.push(ins);
        self.origins.push(self.origin);
    }

    pub(super) fn parts(&self) -> usize {
        self.strip.parts as usize
    }

    pub(super) fn ty(&self, value: Value) -> Type {
        self.function.ty(value)
    }

    pub(super) fn scalar(&self, value: Value) -> Scalar {
        self.ty(value).scalar().unwrap_or(Scalar::U64)
    }

    pub(super) fn is_float(&self, value: Value) -> bool {
        self.scalar(value).is_float() && self.ty(value).space().is_none()
    }

    pub(super) fn is_bool(&self, value: Value) -> bool {
        self.ty(value) == Type::BOOL
    }

    /// Whether the first form of a value is an integer.
    pub(super) fn is_int(&self, value: Value) -> bool {
        !self.is_float(value) && self.shapes.shape(value) != Shape::Any
    }

    pub(super) fn all_parts(&self, masks: &[Reg]) -> [Reg; 4] {
        std::array::from_fn(|part| masks[part.min(masks.len() - 1)])
    }

    pub(super) fn constant(&mut self, bits: u64) -> Reg {
        if let Some(&reg) = self.constants.get(&bits) {
            return reg;
        }
        let reg = self.int();
        self.head.push(Ins::Const { d: reg, bits });
        self.constants.insert(bits, reg);
        reg
    }

    pub(super) fn lane_constant(&mut self, bits: u32) -> Reg {
        self.lane_home(Home::Constant(bits))
    }

    pub(super) fn lane_home(&mut self, home: Home) -> Reg {
        if let Some(&reg) = self.lane_constants.get(&home) {
            return reg;
        }
        let reg = self.at_home(Class::Vector, home, false);
        self.lane_constants.insert(home, reg);
        reg
    }

    // --- Values --------------------------------------------------------------------------------------

    /// A value as an integer; of an affine value, the first lane's.
    pub(super) fn number(&mut self, value: Value) -> Reg {
        if let Some(numbers) = self.shapes.known(value) {
            return self.constant(numbers[0].into());
        }
        if let Some(reg) = self.forms[value.index()].int {
            return reg;
        }
        if !self.forms[value.index()].lanes.is_empty() && !self.is_given(value) {
            let lanes = self.forms[value.index()].lanes.clone();
            return self.first_lane(value, &lanes);
        }
        let inst = *self.function.inst(value);
        let reg = match inst.op {
            Op::Const if inst.ty == Type::BOOL => {
                self.constant(if inst.imm != 0 { u64::from(u32::MAX) } else { 0 })
            }
            Op::Const => {
                self.constant(if inst.ty.bytes() <= 4 { inst.imm & 0xffff_ffff } else { inst.imm })
            }
            Op::Allocation => self.constant((inst.imm + 1) << 48),
            Op::Input if !self.run.entering.contains_key(&value) => {
                self.note_input(value);
                self.input_number(inst.imm)
            }
            _ => {
                let Some(&(offset, uniform)) = self.run.entering.get(&value) else {
                    if !self.is_missing() {
                        debug_assert!(false, "{value} is not computed or carried into the run");
                    }
                    return self.constant(0);
                };
                if self.is_bool(value) && !uniform {
                    return self.bool_of_active(value);
                }
                let d = self.int();
                let ty = self.ty(value);
                let wide = ty.bytes() == 8;
                let ins = if uniform {
                    let mem = MemRef { base: MemBase::Frame, index: None, disp: offset as i32 };
                    let from = if wide { Scalar::U64 } else { Scalar::U32 };
                    Ins::LoadInt { from, d, mem }
                } else {
                    // The first lane of the strip.
                    let mem =
                        MemRef { base: MemBase::FrameLanes, index: None, disp: offset as i32 };
                    Ins::LoadInt { from: Scalar::U32, d, mem }
                };
                self.head.push(ins);
                d
            }
        };
        self.forms[value.index()].int = Some(reg);
        reg
    }

    /// A value in lanes: vectors, or masks of a `bool`.
    pub(super) fn in_lanes(&mut self, value: Value) -> Vec<Reg> {
        if let Some(&numbers) = self.shapes.known(value) {
            return self.of_lanes(&numbers);
        }
        if !self.forms[value.index()].lanes.is_empty() {
            return self.forms[value.index()].lanes.clone();
        }
        if let Some(reg) = self.forms[value.index()].int
            && !self.is_given(value)
        {
            return self.lanes_of(value, reg);
        }
        let inst = *self.function.inst(value);
        let parts = self.parts();
        let regs = match inst.op {
            Op::Const if self.is_wide(value) => {
                let halves = [inst.imm, inst.imm >> 32];
                halves
                    .into_iter()
                    .flat_map(|bits| vec![self.lane_constant(bits as u32); parts])
                    .collect()
            }
            Op::Const if !self.is_bool(value) => vec![self.lane_constant(inst.imm as u32); parts],
            Op::Input if !self.run.entering.contains_key(&value) => {
                self.note_input(value);
                self.input_lanes(inst.imm)
            }
            _ => match self.run.entering.get(&value) {
                Some(&(offset, uniform)) if self.is_bool(value) => {
                    let scalar = if self.strip.lanes == 8 { Scalar::U8 } else { Scalar::U16 };
                    (0..parts)
                        .map(|part| {
                            let bits = self.int();
                            let disp = offset as i32 + (part as u32 * self.strip.lanes / 8) as i32;
                            let mem = MemRef { base: MemBase::FrameBits, index: None, disp };
                            let _ = uniform; // All bits of a uniform one are equal.
                            self.head.push(Ins::LoadInt { from: scalar, d: bits, mem });
                            let mask = self.mask();
                            self.head.push(Ins::MaskOfBits { d: mask, s: bits, first: 0 });
                            mask
                        })
                        .collect()
                }
                Some(&(offset, true)) if self.is_wide(value) => {
                    let mut half = |offset| {
                        let reg = self.at_home(Class::Vector, Home::Slot(offset), false);
                        vec![reg; parts]
                    };
                    [half(offset), half(offset + 4)].concat()
                }
                Some(&(offset, false)) if self.is_wide(value) => self.wide_of_frame(offset, false),
                Some(&(offset, true)) => {
                    let reg = self.at_home(Class::Vector, Home::Slot(offset), false);
                    vec![reg; parts]
                }
                Some(&(offset, false)) => (0..parts as u32)
                    .map(|part| {
                        let home = Home::Lanes(offset + part * self.strip.lanes * 4);
                        self.at_home(Class::Vector, home, false)
                    })
                    .collect(),
                None => {
                    // A constant truth value, a pointer to the start of an argument, or what no reachable statement needs.
                    let number = self.number(value);
                    if self.is_bool(value) {
                        let mask = self.mask();
                        self.head.push(Ins::MaskOfInt { d: mask, s: number });
                        vec![mask; parts]
                    } else if self.is_wide(value) {
                        let wide = self.spread_wide(number);
                        [vec![wide.low; parts], vec![wide.high; parts]].concat()
                    } else {
                        vec![self.lane_constant(0); parts]
                    }
                }
            },
        };
        self.forms[value.index()].lanes = regs.clone();
        regs
    }

    /// Records an integer as a value's form, and makes its lanes if they are needed.
    pub(super) fn give_int(&mut self, value: Value, reg: Reg) {
        self.forms[value.index()].int = Some(reg);
        if self.want[value.index()] & LANES != 0 {
            let lanes = self.lanes_of(value, reg);
            self.forms[value.index()].lanes = lanes;
        }
    }

    pub(super) fn lanes_of(&mut self, value: Value, reg: Reg) -> Vec<Reg> {
        let parts = self.parts();
        if self.is_bool(value) {
            let d = self.mask();
            self.emit(Ins::MaskOfInt { d, s: reg });
            return vec![d; parts];
        }
        if self.is_wide(value) {
            let wide = self.spread_wide(reg);
            return [vec![wide.low; parts], vec![wide.high; parts]].concat();
        }
        let spread = self.lane();
        self.emit(Ins::Spread { d: spread, s: reg });
        let up: Vec<Reg> = match self.shapes.shape(value) {
            Shape::Affine(factor) => (0..parts as u32)
                .map(|part| self.lane_home(Home::Iota { first: part * self.strip.lanes, factor }))
                .collect(),
            Shape::Apart(numbers) => {
                let numbers = *self.shapes.of_lanes(numbers);
                self.of_lanes(&numbers)
            }
            _ => return vec![spread; parts],
        };
        up.into_iter().map(|up| self.lane2(Lane2::Add, spread, up)).collect()
    }

    /// Known numbers in lanes.
    pub(super) fn of_lanes(&mut self, numbers: &OfLanes) -> Vec<Reg> {
        let lanes = self.strip.lanes as usize;
        (0..self.parts())
            .map(|part| {
                let at = |lane: usize| numbers[part * lanes + lane % lanes];
                self.lane_home(Home::Table(std::array::from_fn(at)))
            })
            .collect()
    }

    /// A truth value from before the run that is uniform: inactive lanes are ignored.
    fn bool_of_active(&mut self, value: Value) -> Reg {
        let masks = self.in_lanes(value);
        let mut any: Option<Reg> = None;
        for (part, &mask) in masks.iter().enumerate() {
            let (active, bits) = (self.mask(), self.int());
            let lanes = self.entry[part];
            self.head.push(Ins::MaskBin { op: MaskOp::And, d: active, a: mask, b: lanes });
            self.head.push(Ins::BitsOfMask { d: bits, s: active });
            any = Some(match any {
                Some(others) => {
                    let d = self.int();
                    let (a, b) = (others, bits);
                    self.head.push(Ins::Int { op: IntOp::Or, wide: false, d, a, b });
                    d
                }
                None => bits,
            });
        }
        let (zero, d) = (self.constant(0), self.int());
        let (test, kind, a) = (Test::Ne, Kind::Unsigned, any.unwrap_or(zero));
        self.head.push(Ins::Compare { test, kind, wide: false, d, a, b: zero });
        self.forms[value.index()].int = Some(d);
        d
    }

    /// Whether a value exists before the run, or is a constant.
    pub(super) fn is_given(&self, value: Value) -> bool {
        self.function.inst(value).op.is_free() || self.run.entering.contains_key(&value)
    }

    /// A value's number in the first lane.
    pub(super) fn first_lane(&mut self, value: Value, lanes: &[Reg]) -> Reg {
        if self.is_wide(value) {
            let halves = [lanes[0], lanes[self.parts()]];
            let [low, high] = halves.map(|s| {
                let d = self.int();
                self.emit(Ins::First { d, s });
                d
            });
            return self.whole_of(low, high);
        }
        let (s, d) = (lanes[0], self.int());
        if self.is_bool(value) {
            let (bits, low) = (self.int(), self.int());
            self.emit(Ins::BitsOfMask { d: bits, s });
            self.emit(Ins::IntImm { op: IntOp::And, wide: false, d: low, a: bits, imm: 1 });
            let zero = self.constant(0);
            self.emit(Ins::Int { op: IntOp::Sub, wide: false, d, a: zero, b: low });
        } else {
            self.emit(Ins::First { d, s });
        }
        d
    }

    /// Records lanes as a value's form. If the value is uniform, its integer is the first lane's.
    pub(super) fn give_lanes(&mut self, value: Value, mut regs: Vec<Reg>) {
        // An operation may return an operand's register unchanged (half of a wide number, say), which may be the register of a
        // variable that changes while the result lives. Reads of variables themselves are copied where that happens.
        if self.function.inst(value).op != Op::Get {
            for reg in &mut regs {
                let info = self.code.regs[reg.0 as usize];
                if info.carried && info.class == Class::Vector {
                    *reg = self.lane1(Lane1::Move, *reg);
                }
            }
        }
        if self.is_int(value) {
            let d = self.first_lane(value, &regs);
            self.forms[value.index()].int = Some(d);
        }
        self.forms[value.index()].lanes = regs;
    }
}
