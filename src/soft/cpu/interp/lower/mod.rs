//! Lowers a kernel's tree to bytecode: registers for values and variables, masks for divergence, and
//! addressing folded into the accesses.

mod call;
mod estimate;
mod flow;
mod matrix;
mod memory;
mod native;
mod texture;
mod value;

use crate::soft::ir::hash::FastMap;
use std::sync::Arc;

use self::call::{Routine, assemble};
pub(crate) use self::call::{lower_all, thread_memory_layout};
use self::estimate::LoopWork;
use self::flow::LoopCode;
pub(crate) use self::memory::PIECE;
use super::code::{Handler, Ins, Run, function, get};
use super::control;
use super::fetch;
use super::hoist::constant_in_launch;
use super::input;
use super::lanes;
use super::memory::OFFSET_BITS;
use super::registers::{Extent, Register, Registers, Size};
use super::uses::Uses;
use crate::soft::cpu::Source;
use crate::soft::ir::facts::stack_slots::assign_offsets;
use crate::soft::ir::facts::uniform::Uniformity;
use crate::soft::ir::{
    FuncId, Function, Input, JoinedLoads, Op, Scalar, Span, Type, Value, compiling_instruction,
};

/// The result of lowering.
#[derive(Debug)]
pub(crate) struct Code {
    /// The instructions.
    pub(crate) code: Vec<Ins>,
    /// Where each came from.
    pub(crate) spans: Vec<Span>,
    /// The instructions that do loads which were joined, in order.
    pub(crate) joined: Vec<Joined>,
    /// The values that the frame starts with.
    pub(crate) constants: Vec<u64>,
    /// Slots after them for what is computed once a launch.
    pub(crate) hoisted: u32,
    /// The first instruction of a thread; before it is what is computed once, if anything is.
    pub(crate) start: u32,
    /// The size of a frame.
    pub(crate) frame_bytes: u32,
    /// Bytes of thread memory a thread.
    pub(crate) thread_bytes: u32,
    /// Whether SIMD-groups wait for each other.
    pub(crate) has_barrier: bool,
    /// The work of all of it, each loop's body once.
    pub(crate) work: u32,
    /// Its loops, inner ones after those around them; none of functions that it calls.
    pub(crate) loops: Vec<LoopWork>,
    /// The runs of machine code that instructions name by their address.
    #[expect(clippy::vec_box, reason = "instructions have the runs' addresses")]
    pub(crate) runs: Vec<Box<super::super::native::region::Run>>,
}

impl Code {
    /// Whether machine code runs whole threadgroups.
    pub(crate) fn is_body(&self) -> bool {
        self.body().is_some()
    }

    /// An estimate of the work of one SIMD-group.
    ///
    /// # Safety
    /// The frame is one of this code, and has what is computed before the first thread.
    pub(crate) unsafe fn estimate(&self, frame: *const u8) -> u64 {
        // SAFETY: offsets are those of slots in the frame.
        estimate::work(self.work, &self.loops, |offset| unsafe { get::<u64>(frame, offset) })
    }

    /// The joined loads that the instruction at an index stands for, if it does.
    pub(crate) fn joined_at(&self, number: usize) -> Option<&Joined> {
        let found = self.joined.binary_search_by_key(&number, |joined| joined.at);
        found.ok().map(|found| &self.joined[found])
    }

    /// The run that is the whole body, if that is one.
    pub(crate) fn body(&self) -> Option<&super::super::native::region::Run> {
        self.runs.first().map(|run| &**run).filter(|run| run.body)
    }
}

/// An operand before registers have offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// A plain number.
    Raw(u32),
    /// A register.
    Register(Register),
    /// A constant's slot.
    Constant(u32),
    /// A slot for what is computed once a launch.
    Hoisted(u32),
    /// A register of a function that is called.
    Of(FuncId, Register),
}

/// An instruction before registers have offsets and labels have positions.
#[derive(Clone, Copy, Debug)]
struct Draft {
    run: Run,
    fields: [Field; 4],
    imm: u64,
    /// Bits that are added to the fourth operand.
    flags: u32,
    jump: Option<Label>,
    /// The function that it calls.
    call: Option<FuncId>,
    /// About how long it takes, in units of 10 ns.
    work: u32,
    span: Span,
}

/// An instruction that does loads which were joined, or some of them.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    /// Its number.
    at: usize,
    loads: JoinedLoads,
    /// The size of a scalar.
    bytes: u32,
    /// The component that it begins with.
    component: u32,
}

impl Joined {
    /// The same after `before` other instructions.
    fn after(self, before: usize) -> Self {
        Self { at: before + self.at, ..self }
    }

    /// The access at `offset` for the report of a fault, where memory has `end` bytes that may be read: offset, size, and
    /// position in the source.
    pub(crate) fn first_outside(&self, offset: i64, end: u64) -> (i64, u32, Span) {
        let before = i64::from(self.component) * i64::from(self.bytes);
        let (offset, span) = self.loads.first_outside(offset.wrapping_sub(before), self.bytes, end);
        (offset, self.bytes, span)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Label(u32);

/// Where a value is: the field, and whether it is a slot with one value for all lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub(crate) field: Field,
    pub(crate) uniform: bool,
}

/// Indices and what each is multiplied by.
type Terms = Vec<(Value, i64)>;

/// Address computations that several accesses share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum AddressPart {
    /// The part that differs from lane to lane, with the pointer that it starts from, if that does.
    Lanes(Option<Value>, Terms),
    /// The part that does not.
    Sum(Terms),
}

pub(crate) struct Lowering<'a> {
    function: &'a Function,
    uniform: &'a Uniformity,
    uses: Uses,
    code: Vec<Draft>,
    labels: Vec<u32>,
    registers: Registers,
    values: Vec<Option<Operand>>,
    /// Parts of addresses that were made in the blocks around this point, and their names, the latest last.
    parts: FastMap<AddressPart, Field>,
    parts_here: Vec<AddressPart>,
    /// The components of vectors that were loaded.
    vectors: FastMap<Value, Vec<Operand>>,
    variables: Vec<Operand>,
    constants: FastMap<u64, u32>,
    constant_list: Vec<u64>,
    extents: Vec<Extent>,
    /// For each loop: the one around it, its extent, and how often it repeats.
    estimates: Vec<estimate::Draft>,
    loop_index: usize,
    loops: Vec<LoopCode>,
    /// Where the remaining lanes continue when the active ones have nothing left to run, innermost last.
    joins: Vec<Label>,
    /// Constructs around this point that some lanes may be outside of for a while.
    masked: u32,
    span: Span,
    joined: Vec<Joined>,
    local_starts: Vec<u32>,
    /// The number of the first local in reports.
    first_local: u32,
    /// The thread memory of the kernel and all functions that it calls.
    thread_bytes: u32,
    /// How to call each function that was lowered.
    routines: Vec<Option<Routine>>,
    has_barrier: bool,
    /// Work since a [`control::Count`].
    uncounted: u32,
    /// The code that is lowered now runs once a launch.
    hoisting: bool,
    hoisted: u32,
    /// For each value whether it was computed before the first thread.
    done: Vec<bool>,
    /// The statements that become machine code, if any do.
    native: Option<native::Natives>,
}

/// Lowers a function that is a kernel, inlined and scalarised; with `hoist`, what is the same for all
/// threads is computed before them.
pub(crate) fn lower(function: &Function, uniform: &Uniformity, hoist: bool) -> Code {
    Lowering::new(function, uniform, &[], hoist).whole()
}

/// Lowers the function of a source with machine code where possible; `None` if no part of it becomes machine code.
/// With `hoist`, what is the same for all threads is computed before them.
pub(crate) fn lower_native(source: &Arc<Source>, hoist: bool) -> Result<Code, &'static str> {
    // Machine code has no calls.
    if !source.routines.is_empty() {
        return Err("it calls functions that are not inlined");
    }
    let natives = native::Natives::of(source, hoist)
        .ok_or("it has no sequence of statements that is long enough for machine code")?;
    let (function, uniform) = (&source.function, &source.uniform);
    let mut lowering = Lowering::new(function, uniform, natives.entering(), hoist);
    lowering.native = Some(natives);
    let code = lowering.whole();
    // Code of a body is made for each kind of strip when it occurs.
    let is_made = code.body().is_some() || code.runs.iter().all(|run| run.prepare());
    is_made.then_some(code).ok_or("machine code of a part of it needs too much memory")
}

impl<'a> Lowering<'a> {
    fn new(function: &'a Function, uniform: &'a Uniformity, others: &[Value], hoist: bool) -> Self {
        let mut registers = Registers::default();
        let variables = function
            .variables
            .iter()
            .zip(&uniform.variables)
            .map(|(variable, &uniform)| Operand {
                field: Field::Register(registers.add(size_of_type(variable.ty, uniform), true)),
                uniform,
            })
            .collect();
        let (local_starts, thread_bytes) = local_starts(function);
        let mut lowering = Lowering {
            function,
            uniform,
            uses: Uses::find(function, uniform, others),
            code: Vec::with_capacity(function.insts.len()),
            labels: Vec::new(),
            registers,
            values: vec![None; function.insts.len()],
            parts: FastMap::default(),
            parts_here: Vec::new(),
            vectors: FastMap::default(),
            variables,
            constants: FastMap::default(),
            constant_list: Vec::new(),
            extents: Vec::new(),
            estimates: Vec::new(),
            loop_index: 0,
            loops: Vec::new(),
            joins: Vec::new(),
            masked: 0,
            span: Span::default(),
            joined: Vec::new(),
            local_starts,
            first_local: 0,
            thread_bytes: 0,
            routines: Vec::new(),
            has_barrier: false,
            uncounted: 0,
            hoisting: false,
            hoisted: 0,
            done: vec![false; function.insts.len()],
            native: None,
        };
        // The slot of zero comes first: an address without a uniform part adds it.
        lowering.constant(0);
        lowering.thread_bytes = thread_bytes;
        if hoist {
            lowering.hoist();
        }
        lowering
    }

    fn whole(mut self) -> Code {
        let start = self.code.len() as u32;
        // The code of a whole body has its inputs itself.
        let end = self.label();
        self.joins.push(end);
        if self.is_body() {
            self.native(&self.function.body);
        } else {
            self.inputs();
            self.block(&self.function.body);
        }
        self.bind(end);
        self.emit::<control::End>([Field::Raw(0); 4], 0);
        assemble(vec![self], start)
    }
}

fn size_of_type(ty: Type, uniform: bool) -> Size {
    match ty {
        Type::Scalar(Scalar::Bool) => Size::Slot,
        _ if uniform => Size::Slot,
        Type::Scalar(Scalar::I64 | Scalar::U64) | Type::Pointer(_) => Size::Lanes8,
        _ => Size::Lanes4,
    }
}

const fn lane_bytes(ty: Type) -> u32 {
    match ty {
        Type::Scalar(Scalar::I64 | Scalar::U64) | Type::Pointer(_) => 8,
        _ => 4,
    }
}

const NONE: Field = Field::Raw(0);

/// The work of an instruction, in units of 10 ns, and that of code without loops after which it is counted.
const WORK: u32 = 2;
const UNCOUNTED: u32 = 1 << 14;

/// Pointers into thread memory have this region's number, and offsets from the start of all of it.
pub(crate) const THREAD_POINTER: u64 = 1 << OFFSET_BITS;

/// The number of a local in reports that is not known, or too large for the field.
pub(crate) const UNKNOWN_LOCAL: u32 = 255;

/// Where each local of a kernel without calls starts in thread memory, and the size of that.
pub(crate) fn local_starts(function: &Function) -> (Vec<u32>, u32) {
    let (starts, bytes) = assign_offsets(function, false);
    (starts.into_iter().map(|start| start as u32).collect(), bytes as u32)
}

impl Lowering<'_> {
    /// The position of the instructions that follow.
    fn at(&mut self, span: Span) {
        self.span = span;
        compiling_instruction(span);
        #[cfg(test)]
        crate::soft::ir::inject_internal_error("emit", &self.function.name);
    }

    // --- Making instructions -------------------------------------------------------------------

    fn emit_run(&mut self, run: Run, fields: [Field; 4], imm: u64) {
        let at = self.code.len() as u32;
        for field in fields {
            if let Field::Register(register) = field {
                self.registers.touch(register, at);
            }
        }
        let span = self.span;
        let draft = Draft { run, fields, imm, flags: 0, jump: None, call: None, work: 0, span };
        self.code.push(draft);
        self.add_work(WORK);
    }

    /// Adds to the work of the last instruction.
    fn add_work(&mut self, work: u32) {
        let last = self.code.last_mut().expect("just emitted");
        last.work = last.work.saturating_add(work);
        self.uncounted = self.uncounted.saturating_add(work);
    }

    /// Counts the work in a long piece of code without loops, between two statements.
    fn count_work(&mut self) {
        if self.uncounted >= UNCOUNTED {
            let next = self.label();
            let work = self.uncounted;
            self.emit_jump::<control::Count>(NONE, NONE, next);
            self.code.last_mut().expect("just emitted").imm = work.into();
            self.bind(next);
            self.uncounted = 0;
        }
    }

    fn emit<H: Handler>(&mut self, fields: [Field; 4], imm: u64) {
        self.emit_run(function::<H>(), fields, imm);
    }

    fn emit_jump<H: Handler>(&mut self, a: Field, b: Field, to: Label) {
        self.emit::<H>([a, b, NONE, NONE], 0);
        self.code.last_mut().expect("just emitted").jump = Some(to);
    }

    fn label(&mut self) -> Label {
        self.labels.push(u32::MAX);
        Label(self.labels.len() as u32 - 1)
    }

    fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.code.len() as u32;
    }

    pub(crate) fn constant(&mut self, bits: u64) -> Field {
        let next = self.constant_list.len() as u32;
        let slot = *self.constants.entry(bits).or_insert(next);
        if slot == next {
            self.constant_list.push(bits);
        }
        Field::Constant(slot)
    }

    fn slot(&mut self) -> Register {
        self.registers.add(Size::Slot, false)
    }

    fn temporary(&mut self, size: Size) -> Field {
        Field::Register(self.registers.add(size, false))
    }

    // --- Values --------------------------------------------------------------------------------

    fn is_uniform(&self, value: Value) -> bool {
        self.uniform.values[value.index()]
    }

    /// Where a value that was computed is; constants and the starts of memory are made here.
    fn operand(&mut self, value: Value) -> Operand {
        if let Some(operand) = self.values[value.index()] {
            return operand;
        }
        let inst = self.function.inst(value);
        let bits = match inst.op {
            Op::Const if inst.ty == Type::BOOL && inst.imm != 0 => u64::from(u32::MAX),
            Op::Const => inst.imm,
            Op::Allocation => (inst.imm + 1) << OFFSET_BITS,
            Op::Texture => inst.imm + 1,
            Op::Local => THREAD_POINTER + u64::from(self.local_starts[inst.imm as usize]),
            // Only code that is never reached uses what was not computed.
            _ => 0,
        };
        Operand { field: self.constant(bits), uniform: true }
    }

    fn field(&mut self, value: Value) -> Field {
        self.operand(value).field
    }

    /// The operand in lanes, spread if it is uniform.
    fn in_lanes(&mut self, value: Value) -> Field {
        let operand = self.operand(value);
        let ty = self.function.ty(value);
        if !operand.uniform || ty == Type::BOOL {
            return operand.field;
        }
        let to = self.temporary(size_of_type(ty, false));
        let run = lanes::move_to_lanes(lane_bytes(ty), true, false);
        self.emit_run(run, [to, operand.field, NONE, NONE], 0);
        to
    }

    /// Where the result of an instruction goes: its own register, or that of the variable which the next
    /// statement assigns it to.
    fn destination(&mut self, value: Value) -> Field {
        if let Some(again) = self.values[value.index()] {
            // The test of a loop is made in two places.
            return again.field;
        }
        let uniform = self.is_uniform(value);
        if self.hoisting {
            let field = self.hoisted_slot();
            self.values[value.index()] = Some(Operand { field, uniform: true });
            return field;
        }
        if let Some(variable) = self.uses.forwarded(value)
            && (self.masked == 0 || uniform)
            && self.variables[variable.index()].uniform == uniform
        {
            let operand = self.variables[variable.index()];
            self.values[value.index()] = Some(operand);
            return operand.field;
        }
        let size = size_of_type(self.function.ty(value), uniform);
        let field = self.temporary(size);
        self.values[value.index()] = Some(Operand { field, uniform });
        field
    }

    /// Whether all of the body is machine code.
    fn is_body(&self) -> bool {
        self.native.as_ref().is_some_and(native::Natives::is_body)
    }

    /// Whether a value was computed before the first thread.
    fn is_done(&self, value: Value) -> bool {
        self.done[value.index()]
    }

    fn hoisted_slot(&mut self) -> Field {
        self.hoisted += 1;
        Field::Hoisted(self.hoisted - 1)
    }

    /// Values that are computed once a launch.
    fn hoist(&mut self) {
        let list = constant_in_launch(self.function, &self.uses);
        self.hoisting = true;
        for &value in &list {
            if matches!(self.function.inst(value).op, Op::Input | Op::Sampler) {
                self.input(value);
            } else {
                self.instruction(value);
            }
            self.done[value.index()] = true;
        }
        self.hoisting = false;
        // Intermediate results are not kept for the first thread.
        self.forget_parts(0);
        if !self.code.is_empty() {
            self.emit::<control::End>([NONE; 4], 0);
        }
    }

    /// Inputs and samplers that are used, at the start.
    fn inputs(&mut self) {
        for index in 0..self.function.insts.len() {
            let value = Value(index as u32);
            let input = matches!(self.function.inst(value).op, Op::Input | Op::Sampler);
            if !input || !self.uses.is_needed(value) || self.done[index] {
                continue;
            }
            self.input(value);
        }
    }

    fn input(&mut self, value: Value) {
        let inst = self.function.inst(value);
        if inst.op == Op::Sampler {
            let to = self.destination(value);
            return self.emit::<fetch::BoundSampler>([to, NONE, NONE, NONE], inst.imm);
        }
        let Some((input, component)) = Input::from_imm(inst.imm) else { return };
        let to = self.destination(value);
        let run = input::input(input);
        self.emit_run(run, [to, Field::Raw(component), NONE, NONE], input as u64);
    }
}
