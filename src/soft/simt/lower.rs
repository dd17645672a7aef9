//! Lowers a kernel's tree to bytecode: registers for values and variables, masks for divergence, and
//! addressing folded into the accesses.

use std::collections::HashMap;

use super::address::{Base, Lanewise, Plan};
use super::code::{Ins, Run};
use super::control;
use super::isa::IsaKind;
use super::lanes::{self, Conversion};
use super::launch;
use super::memory::{Access, Lanes, OFFSET_BITS, Scaled, ScaledOnce, place, thread_imm};
use super::registers::{Extent, Register, Registers, Size};
use super::uses::Uses;
use super::{atomic, simd};
use crate::soft::ir::passes::uniform::{Divergence, Uniformity};
use crate::soft::ir::semantics::{needs_narrowing, row_scalar};
use crate::soft::ir::{
    Barrier, Block, Effect, Function, Input, Inst, Op, Rule, Scalar, Space, Span, Stmt, Type,
    Value, VarId,
};

/// What lowering gives.
#[derive(Debug)]
pub(crate) struct Code {
    /// The instructions.
    pub(crate) code: Vec<Ins>,
    /// Where each came from.
    pub(crate) spans: Vec<Span>,
    /// The values that the frame starts with.
    pub(crate) constants: Vec<u64>,
    /// The size of a frame.
    pub(crate) frame_bytes: u32,
    /// For each local its start in thread memory.
    pub(crate) local_starts: Vec<u32>,
    /// Bytes of thread memory a thread.
    pub(crate) thread_bytes: u32,
    /// Whether SIMD-groups wait for each other.
    pub(crate) has_barrier: bool,
}

/// An operand before registers have places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// A number that is no place.
    Raw(u32),
    /// A register.
    Register(Register),
    /// A constant's slot.
    Constant(u32),
}

/// An instruction before registers have places and labels have positions.
#[derive(Clone, Copy, Debug)]
struct Draft {
    run: Run,
    fields: [Field; 4],
    imm: u64,
    /// Bits that are added to the fourth operand.
    flags: u32,
    jump: Option<Label>,
    span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Label(u32);

/// Where a value is: the field, and whether it is a slot with one value for all lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub(crate) field: Field,
    pub(crate) uniform: bool,
}

/// A loop around the point of lowering.
#[derive(Clone, Copy)]
struct LoopCode {
    divergence: Divergence,
    broken: Register,
    continued: Register,
    next: Label,
    exit: Label,
    /// Divergent ifs between the loop and this point.
    parted: u32,
}

pub(crate) struct Lowering<'a> {
    function: &'a Function,
    uniform: &'a Uniformity,
    uses: Uses,
    isa: IsaKind,
    code: Vec<Draft>,
    labels: Vec<u32>,
    registers: Registers,
    values: Vec<Option<Operand>>,
    /// The components of vectors that were loaded.
    vectors: HashMap<Value, Vec<Operand>>,
    variables: Vec<Operand>,
    constants: HashMap<u64, u32>,
    constant_list: Vec<u64>,
    extents: Vec<Extent>,
    begun: usize,
    loops: Vec<LoopCode>,
    /// Where lanes that have nowhere to go let the others go on, innermost last.
    joins: Vec<Label>,
    /// Constructs around this point that some lanes may be outside of for a while.
    masked: u32,
    span: Span,
    local_starts: Vec<u32>,
    has_barrier: bool,
}

/// Lowers a function that is a kernel, inlined and scalarised.
pub(crate) fn lower(function: &Function, uniform: &Uniformity, isa: IsaKind) -> Code {
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
    let mut thread_bytes = 0;
    let local_starts = function
        .locals
        .iter()
        .map(|local| {
            let start = thread_bytes;
            thread_bytes += local.bytes.next_multiple_of(4);
            start
        })
        .collect();
    let mut lowering = Lowering {
        function,
        uniform,
        uses: Uses::find(function, uniform),
        isa,
        code: Vec::new(),
        labels: Vec::new(),
        registers,
        values: vec![None; function.insts.len()],
        vectors: HashMap::new(),
        variables,
        constants: HashMap::new(),
        constant_list: Vec::new(),
        extents: Vec::new(),
        begun: 0,
        loops: Vec::new(),
        joins: Vec::new(),
        masked: 0,
        span: Span::default(),
        local_starts,
        has_barrier: false,
    };
    // The slot of zero comes first: an address without a uniform part adds it.
    lowering.constant(0);
    lowering.inputs();
    let end = lowering.label();
    lowering.joins.push(end);
    lowering.block(&function.body);
    lowering.bind(end);
    lowering.emit::<control::End>([Field::Raw(0); 4], 0);
    lowering.finish(thread_bytes)
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

/// Pointers into thread memory have this region's number, and offsets from the start of all of it.
const THREAD_POINTER: u64 = 1 << OFFSET_BITS;

/// The number of a local in reports that is not known, or too large to be told.
pub(crate) const UNKNOWN_LOCAL: u32 = 255;

/// How an access finds its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addressing {
    Uniform,
    Indexed,
    Offset,
    Thread { lanewise: bool },
}

/// The operands of an access besides its data.
struct Address {
    kind: Addressing,
    index: Field,
    offset: Field,
    place: Field,
    flags: u32,
    imm: u64,
}

/// A component of what is stored.
#[derive(Clone, Copy)]
enum Part {
    Value(Value),
    Loaded(Operand),
}

/// How [`ScaledOnce`] and [`Scaled`] extend an index.
const fn index_kind(scalar: Scalar) -> u32 {
    match scalar {
        Scalar::I64 | Scalar::U64 => 2,
        other if other.is_signed() => 1,
        _ => 0,
    }
}

impl Lowering<'_> {
    // --- Making instructions -------------------------------------------------------------------

    fn emit_run(&mut self, run: Run, fields: [Field; 4], imm: u64) {
        let at = self.code.len() as u32;
        for field in fields {
            if let Field::Register(register) = field {
                self.registers.touch(register, at);
            }
        }
        self.code.push(Draft { run, fields, imm, flags: 0, jump: None, span: self.span });
    }

    fn emit<H: super::code::Handler>(&mut self, fields: [Field; 4], imm: u64) {
        let run = self.isa.run::<H>();
        self.emit_run(run, fields, imm);
    }

    fn emit_jump<H: super::code::Handler>(&mut self, a: Field, b: Field, to: Label) {
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
        let run = lanes::move_to_lanes(self.isa, lane_bytes(ty), true, false);
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

    /// Inputs that are used, at the start.
    fn inputs(&mut self) {
        for index in 0..self.function.insts.len() {
            let value = Value(index as u32);
            let inst = self.function.inst(value);
            if inst.op != Op::Input || !self.uses.is_needed(value) {
                continue;
            }
            let Some((input, component)) = Input::from_imm(inst.imm) else { continue };
            let to = self.destination(value);
            let run = launch::input(self.isa, input);
            self.emit_run(run, [to, Field::Raw(component), NONE, NONE], input as u64);
        }
    }

    // --- Statements ----------------------------------------------------------------------------

    fn block(&mut self, block: &Block) {
        for stmt in block {
            self.stmt(stmt);
            if matches!(stmt, Stmt::Break | Stmt::Continue | Stmt::Return(_)) {
                // What follows is never reached; its loops count all the same.
                let rest = block.iter().skip_while(|other| !std::ptr::eq(*other, stmt)).skip(1);
                rest.for_each(|stmt| self.skip(stmt));
                break;
            }
        }
    }

    /// Counts the loops of what is never reached.
    fn skip(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::If(_, a, b) => a.iter().chain(b).for_each(|stmt| self.skip(stmt)),
            Stmt::Loop { body, next } => {
                self.begun += 1;
                body.iter().chain(next).for_each(|stmt| self.skip(stmt));
            }
            _ => {}
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Do(value) => self.instruction(*value),
            Stmt::If(condition, then, otherwise) => self.branch(*condition, then, otherwise),
            Stmt::Loop { body, next } => self.repeat(body, next),
            Stmt::Break => self.leave_loop(None),
            Stmt::Continue => self.end_pass(None),
            Stmt::Return(_) => self.leave(None),
            Stmt::Call { .. } => unreachable!("calls were inlined"),
        }
    }

    fn join(&self) -> Label {
        *self.joins.last().expect("the end is always there")
    }

    /// Return, in all active lanes or where the condition holds.
    fn leave(&mut self, condition: Option<Field>) {
        let join = self.join();
        match condition {
            None => self.emit_jump::<control::Leave>(NONE, NONE, join),
            Some(condition) => self.emit_jump::<control::LeaveIf>(NONE, condition, join),
        }
    }

    /// Break, in all active lanes or where the condition holds.
    fn leave_loop(&mut self, condition: Option<Field>) {
        let inside = *self.loops.last().expect("break is in a loop");
        let join = self.join();
        let broken = Field::Register(inside.broken);
        match condition {
            None if !inside.divergence.breaks => {
                self.emit_jump::<control::Jump>(NONE, NONE, inside.exit);
            }
            None => self.emit_jump::<control::Park>(broken, NONE, join),
            Some(condition) => self.emit_jump::<control::ParkIf>(broken, condition, join),
        }
    }

    /// Continue, in all active lanes or where the condition holds.
    fn end_pass(&mut self, condition: Option<Field>) {
        let inside = *self.loops.last().expect("continue is in a loop");
        let join = self.join();
        let continued = Field::Register(inside.continued);
        match condition {
            None if inside.parted == 0 => {
                self.emit_jump::<control::Jump>(NONE, NONE, inside.next);
            }
            None => self.emit_jump::<control::Park>(continued, NONE, join),
            Some(condition) => self.emit_jump::<control::ParkIf>(continued, condition, join),
        }
    }

    fn branch(&mut self, condition: Value, then: &Block, otherwise: &Block) {
        let test = self.operand(condition);
        if test.uniform {
            return self.uniform_branch(test.field, then, otherwise);
        }
        if otherwise.is_empty()
            && let [only] = &then[..]
        {
            match only {
                Stmt::Break => return self.leave_loop(Some(test.field)),
                Stmt::Continue => return self.end_pass(Some(test.field)),
                Stmt::Return(_) => return self.leave(Some(test.field)),
                _ => {}
            }
        }
        let parked = Field::Register(self.slot());
        let (middle, end) = (self.label(), self.label());
        let simple = otherwise.is_empty();
        self.masked += 1;
        if let Some(inside) = self.loops.last_mut() {
            inside.parted += 1;
        }
        self.emit_jump::<control::If>(parked, test.field, if simple { end } else { middle });
        self.joins.push(if simple { end } else { middle });
        self.block(then);
        self.joins.pop();
        if !simple {
            self.bind(middle);
            self.emit_jump::<control::Else>(parked, NONE, end);
            self.joins.push(end);
            self.block(otherwise);
            self.joins.pop();
        }
        self.bind(end);
        self.masked -= 1;
        if let Some(inside) = self.loops.last_mut() {
            inside.parted -= 1;
        }
        let join = self.join();
        self.emit_jump::<control::Join>(parked, NONE, join);
    }

    fn uniform_branch(&mut self, test: Field, then: &Block, otherwise: &Block) {
        let inside = self.loops.last().copied();
        if let (Some(inside), [Stmt::Break], []) = (inside, &then[..], &otherwise[..])
            && !inside.divergence.breaks
        {
            return self.emit_jump::<control::JumpIf>(NONE, test, inside.exit);
        }
        let (middle, end) = (self.label(), self.label());
        self.emit_jump::<control::JumpUnless>(NONE, test, middle);
        self.block(then);
        if !otherwise.is_empty() {
            self.emit_jump::<control::Jump>(NONE, NONE, end);
        }
        self.bind(middle);
        self.block(otherwise);
        self.bind(end);
    }

    fn repeat(&mut self, body: &Block, next: &Block) {
        let divergence = self.uniform.loops[self.begun];
        self.begun += 1;
        let inside = LoopCode {
            divergence,
            broken: self.slot(),
            continued: self.slot(),
            next: self.label(),
            exit: self.label(),
            parted: 0,
        };
        let masked = divergence.breaks || divergence.continues;
        for (register, used) in
            [(inside.broken, divergence.breaks), (inside.continued, divergence.continues)]
        {
            if used {
                self.emit::<control::Clear>([Field::Register(register), NONE, NONE, NONE], 0);
            }
        }
        // Lanes that leave one by one find the others at the end of the pass; where all go together,
        // only lanes that returned are missing, and if all did, there is nothing to go on with here.
        let join = self.join();
        let (body_join, next_join) = if masked { (inside.next, inside.exit) } else { (join, join) };
        self.masked += u32::from(masked);
        self.loops.push(inside);
        let head = self.label();
        let begun = self.begun;

        // A test at the top is made once before the loop, and again at the end of each pass.
        self.joins.push(body_join);
        let test = self.top_test(body);
        let test_length = test.map_or(0, |length| length + 1);
        self.block_part(&body[..test_length]);
        self.bind(head);
        // What the test computes is carried into each pass, like what was there before.
        let first = self.code.len() as u32;
        self.block_part(&body[test_length..]);
        self.joins.pop();

        self.bind(inside.next);
        if divergence.continues {
            let continued = Field::Register(inside.continued);
            self.emit_jump::<control::Join>(continued, NONE, inside.exit);
        } else if masked {
            self.emit_jump::<control::JumpNone>(NONE, NONE, inside.exit);
        }
        self.joins.push(next_join);
        self.block(next);
        match test {
            Some(length) => {
                // The loops of the test were counted the first time.
                let begun = std::mem::replace(&mut self.begun, begun);
                self.block_part(&body[..length]);
                self.begun = begun;
                let Stmt::If(condition, ..) = &body[length] else { unreachable!("the test") };
                let condition = self.operand(*condition);
                if condition.uniform && !divergence.breaks {
                    self.emit_jump::<control::AgainUnless>(NONE, condition.field, head);
                } else {
                    let broken = Field::Register(inside.broken);
                    self.emit_jump::<control::AgainParkIf>(broken, condition.field, head);
                }
            }
            None => self.emit_jump::<control::Again>(NONE, NONE, head),
        }
        self.joins.pop();
        self.loops.pop();
        self.masked -= u32::from(masked);
        self.bind(inside.exit);
        let last = self.code.len() as u32;
        if divergence.breaks {
            self.emit_jump::<control::Join>(Field::Register(inside.broken), NONE, join);
        } else if masked {
            self.emit_jump::<control::JumpNone>(NONE, NONE, join);
        }
        self.extents.push((first, last));
    }

    /// Part of a block. Values stay known after it, as what follows is the rest of the block.
    fn block_part(&mut self, part: &[Stmt]) {
        for stmt in part {
            self.stmt(stmt);
            if matches!(stmt, Stmt::Break | Stmt::Continue | Stmt::Return(_)) {
                let rest = part.iter().skip_while(|other| !std::ptr::eq(*other, stmt)).skip(1);
                rest.for_each(|stmt| self.skip(stmt));
                break;
            }
        }
    }

    /// If the body begins with a short computation and a conditional break: the length of the former.
    fn top_test(&self, body: &Block) -> Option<usize> {
        const LONGEST: usize = 8;
        let length = body.iter().take_while(|stmt| matches!(stmt, Stmt::Do(_))).count();
        let pure = body[..length].iter().all(|stmt| match stmt {
            Stmt::Do(value) => {
                let inst = self.function.inst(*value);
                inst.op.row().effect == Effect::Pure || inst.op == Op::Get
            }
            _ => false,
        });
        match body.get(length)? {
            Stmt::If(_, then, otherwise) => {
                (length <= LONGEST && pure && then[..] == [Stmt::Break] && otherwise.is_empty())
                    .then_some(length)
            }
            _ => None,
        }
    }

    // --- Instructions --------------------------------------------------------------------------

    fn instruction(&mut self, value: Value) {
        let inst = *self.function.inst(value);
        self.span = inst.span;
        if inst.op.is_removable() && !self.uses.is_needed(value) {
            return;
        }
        match inst.op.row().rule {
            Rule::Same(..) | Rule::Compare(_) | Rule::Test(_) | Rule::To(..) | Rule::Scale => {
                self.arithmetic(value, &inst);
            }
            Rule::Select => self.select(value, &inst),
            Rule::Convert => self.convert(value, &inst),
            Rule::Bitcast => self.bitcast(value, &inst),
            Rule::Given if inst.op == Op::Get => self.read(value, VarId(inst.imm as u32)),
            Rule::Set => self.assign(VarId(inst.imm as u32), inst.args[0]),
            Rule::Index | Rule::Field => self.pointer(value),
            Rule::PointerToInt | Rule::IntToPointer => {
                self.values[value.index()] = Some(self.operand(inst.args[0]));
            }
            Rule::Load => self.load(value, &inst),
            Rule::Store => self.store(&inst),
            Rule::Extract => {
                let component = self.vectors.get(&inst.args[0]).map(|all| all[inst.imm as usize]);
                self.values[value.index()] = component;
            }
            // The operand of a store, which takes the components.
            Rule::Compose => {}
            Rule::Across(_) | Rule::Shuffle | Rule::ShuffleFill | Rule::Vote | Rule::Given => {
                self.across(value, &inst);
            }
            Rule::Atomic | Rule::AtomicCompare | Rule::AtomicLoad | Rule::AtomicStore => {
                self.atomic(value, &inst);
            }
            Rule::Barrier => {
                if inst.imm == Barrier::Threadgroup as u64 {
                    self.has_barrier = true;
                    self.emit::<control::Barrier>([NONE; 4], 0);
                }
            }
            Rule::Splat
            | Rule::ExtractAt
            | Rule::Insert
            | Rule::InsertAt
            | Rule::Swizzle
            | Rule::Dot
            | Rule::Reduce
            | Rule::Copy => unreachable!("{} was scalarised", inst.op.row().name),
        }
    }

    fn space(&self, pointer: Value) -> Space {
        self.function.ty(pointer).space().unwrap_or(Space::Device)
    }

    fn scalar(&self, value: Value) -> Scalar {
        self.function.ty(value).scalar().unwrap_or(Scalar::U64)
    }

    fn arithmetic(&mut self, value: Value, inst: &Inst) {
        let scalar = self.scalar(inst.args[0]);
        if scalar == Scalar::Bool {
            return self.logic(value, inst);
        }
        if let Some((a, b, c)) = self.uses.fused(value) {
            return self.mul_add(value, a, b, c);
        }
        let Some(row) = row_scalar(inst.op, scalar) else {
            unreachable!("{} of {scalar} has a row", inst.op.row().name)
        };
        let operands: Vec<Operand> = inst.args.iter().map(|&arg| self.operand(arg)).collect();
        let shape: Vec<bool> = operands.iter().map(|operand| operand.uniform).collect();
        let Some(run) = lanes::handler(self.isa, inst.op, row, &shape) else {
            unreachable!("{} takes {shape:?}", inst.op.row().name)
        };
        let to = self.destination(value);
        let mut fields = [to, NONE, NONE, NONE];
        for (field, operand) in fields[1..].iter_mut().zip(&operands) {
            *field = operand.field;
        }
        self.emit_run(run, fields, 0);
        if needs_narrowing(inst.op, scalar) {
            self.step(Conversion::narrowing(scalar), to, to, self.is_uniform(value));
        }
    }

    fn step(&mut self, step: Option<Conversion>, to: Field, from: Field, uniform: bool) {
        if let Some(run) = step.and_then(|step| step.handler(self.isa, uniform)) {
            self.emit_run(run, [to, from, NONE, NONE], 0);
        }
    }

    /// Operations on `bool`s work on masks, whether uniform or not.
    fn logic(&mut self, value: Value, inst: &Inst) {
        let a = self.field(inst.args[0]);
        let b = inst.args.get(1).map(|&arg| self.field(arg));
        let to = self.destination(value);
        let mut emit = |op, fields: [Field; 4], shape: &[bool]| {
            if let Some(run) = lanes::handler(self.isa, op, Scalar::U32, shape) {
                self.emit_run(run, fields, 0);
            }
        };
        match (inst.op, b) {
            (Op::Eq, Some(b)) => {
                emit(Op::Xor, [to, a, b, NONE], &[true; 2]);
                emit(Op::Not, [to, to, NONE, NONE], &[true]);
            }
            (Op::Ne, Some(b)) => emit(Op::Xor, [to, a, b, NONE], &[true; 2]),
            (op, Some(b)) => emit(op, [to, a, b, NONE], &[true; 2]),
            (op, None) => emit(op, [to, a, NONE, NONE], &[true]),
        }
    }

    fn mul_add(&mut self, value: Value, a: Value, b: Value, c: Value) {
        let (mut a, mut b, c) = (self.operand(a), self.operand(b), self.operand(c));
        if b.uniform {
            std::mem::swap(&mut a, &mut b);
        }
        let to = self.destination(value);
        let run = lanes::mul_add(self.isa, a.uniform, c.uniform);
        self.emit_run(run, [to, a.field, b.field, c.field], 0);
    }

    fn select(&mut self, value: Value, inst: &Inst) {
        let operands: Vec<Operand> = inst.args.iter().map(|&arg| self.operand(arg)).collect();
        let [condition, a, b] = operands[..] else { unreachable!("three operands") };
        let to = self.destination(value);
        let fields = [to, a.field, b.field, condition.field];
        if self.is_uniform(value) || inst.ty == Type::BOOL {
            return self.emit::<lanes::SelectSlot>(fields, 0);
        }
        let run = lanes::select(self.isa, lane_bytes(inst.ty), a.uniform, b.uniform);
        self.emit_run(run, fields, 0);
    }

    fn convert(&mut self, value: Value, inst: &Inst) {
        let (from, to) = (self.scalar(inst.args[0]), self.scalar(value));
        let source = self.operand(inst.args[0]);
        if from == Scalar::Bool && to != Scalar::Bool {
            let one = if to.is_float() { u64::from(1f32.to_bits()) } else { 1 };
            let (one, zero) = (self.constant(one), self.constant(0));
            let to = self.destination(value);
            let fields = [to, one, zero, source.field];
            if source.uniform {
                return self.emit::<lanes::SelectSlot>(fields, 0);
            }
            let run = lanes::select(self.isa, lane_bytes(inst.ty), true, true);
            return self.emit_run(run, fields, 0);
        }
        self.steps(value, source, &Conversion::steps(from, to));
    }

    /// A chain of conversions; an empty one changes nothing but the type.
    fn steps(&mut self, value: Value, source: Operand, steps: &[Conversion]) {
        let Some((last, first)) = steps.split_last() else {
            self.values[value.index()] = Some(source);
            return;
        };
        let mut from = source.field;
        for &step in first {
            // Intermediate results are no wider than what they come from or go to.
            let to = self.temporary(if source.uniform { Size::Slot } else { Size::Lanes8 });
            self.step(Some(step), to, from, source.uniform);
            from = to;
        }
        let to = self.destination(value);
        self.step(Some(*last), to, from, source.uniform);
    }

    fn bitcast(&mut self, value: Value, inst: &Inst) {
        use Conversion as C;
        let (from, to) = (self.scalar(inst.args[0]), self.scalar(value));
        let source = self.operand(inst.args[0]);
        let mut steps = match from {
            Scalar::F16 => vec![C::F16Bits],
            Scalar::BF16 => vec![C::BF16Bits],
            _ => Vec::new(),
        };
        match to {
            Scalar::F16 => steps.extend([C::WrapU16, C::F16Value]),
            Scalar::BF16 => steps.push(C::BF16Value),
            _ if to.bytes() < 4 && to != from => steps.extend(C::narrowing(to)),
            _ => {}
        }
        self.steps(value, source, &steps);
    }

    fn read(&mut self, value: Value, variable: VarId) {
        let operand = self.variables[variable.index()];
        if self.uses.may_alias(value) {
            self.values[value.index()] = Some(operand);
            return;
        }
        let to = self.destination(value);
        self.copy(to, operand, self.function.ty(value), operand.uniform, false);
    }

    /// Copies into a slot or a register in lanes.
    fn copy(&mut self, to: Field, from: Operand, ty: Type, slot: bool, masked: bool) {
        if ty == Type::BOOL && masked && !slot {
            return self.emit::<lanes::MoveSlot<true>>([to, from.field, NONE, NONE], 0);
        }
        if slot || ty == Type::BOOL {
            return self.emit::<lanes::MoveSlot<false>>([to, from.field, NONE, NONE], 0);
        }
        let run = lanes::move_to_lanes(self.isa, lane_bytes(ty), from.uniform, masked);
        self.emit_run(run, [to, from.field, NONE, NONE], 0);
    }

    fn assign(&mut self, variable: VarId, value: Value) {
        let from = self.operand(value);
        let to = self.variables[variable.index()];
        if from.field == to.field {
            return;
        }
        let ty = self.function.variables[variable.index()].ty;
        self.copy(to.field, from, ty, to.uniform, self.masked > 0);
    }

    // --- Memory --------------------------------------------------------------------------------

    /// A pointer that is more than an address: computed whole, in 64 bits.
    fn pointer(&mut self, value: Value) {
        let plan = Plan::of(self.function, self.uniform, value);
        let base = match plan.base {
            Base::Region(number) => {
                let start = self.constant((u64::from(number) + 1) << OFFSET_BITS);
                Operand { field: start, uniform: true }
            }
            Base::Local(number) => {
                let start = u64::from(self.local_starts[number as usize]);
                Operand { field: self.constant(THREAD_POINTER + start), uniform: true }
            }
            Base::Pointer(pointer) => self.operand(pointer),
        };
        if self.is_uniform(value) {
            let sum = self.uniform_sum(base.field, &plan);
            let to = self.destination(value);
            return self.emit::<lanes::MoveSlot<false>>([to, sum, NONE, NONE], 0);
        }
        let sum = self.lane_sum(Some(base), &plan, true);
        let to = self.destination(value);
        let run = lanes::move_to_lanes(self.isa, 8, false, false);
        self.emit_run(run, [to, sum, NONE, NONE], 0);
    }

    /// `start` plus the uniform terms and the displacement, in a slot.
    fn uniform_sum(&mut self, start: Field, plan: &Plan) -> Field {
        let mut sum = start;
        for &(index, scale) in &plan.uniform {
            let to = self.temporary(Size::Slot);
            let index_field = self.field(index);
            let kind = Field::Raw(index_kind(self.scalar(index)));
            self.emit::<ScaledOnce>([to, index_field, sum, kind], scale as u64);
            sum = to;
        }
        if plan.displacement != 0 {
            let to = self.temporary(Size::Slot);
            let displacement = self.constant(plan.displacement as u64);
            self.emit::<ScaledOnce>([to, displacement, sum, Field::Raw(2)], 1);
            sum = to;
        }
        sum
    }

    /// The lane terms in a register of 64-bit lanes, with the base if it is given, and with the uniform
    /// terms if `whole`.
    fn lane_sum(&mut self, base: Option<Operand>, plan: &Plan, whole: bool) -> Field {
        let start = match base {
            Some(base) if !base.uniform => base.field,
            _ => {
                let zero = self.constant(0);
                let start = base.map_or(zero, |base| base.field);
                let to = self.temporary(Size::Lanes8);
                let run = lanes::move_to_lanes(self.isa, 8, true, false);
                self.emit_run(run, [to, start, NONE, NONE], 0);
                to
            }
        };
        let mut sum = start;
        for &(index, scale) in &plan.lanes {
            let to = self.temporary(Size::Lanes8);
            let (from, kind) = (self.field(index), index_kind(self.scalar(index)));
            let fields = [to, from, sum, Field::Raw(kind)];
            if kind == 2 {
                self.emit::<Scaled<true>>(fields, scale as u64);
            } else {
                self.emit::<Scaled<false>>(fields, scale as u64);
            }
            sum = to;
        }
        if whole && (plan.displacement != 0 || !plan.uniform.is_empty()) {
            let zero = self.constant(0);
            let offset = self.uniform_sum(zero, plan);
            let spread = self.temporary(Size::Lanes8);
            let run = lanes::move_to_lanes(self.isa, 8, true, false);
            self.emit_run(run, [spread, offset, NONE, NONE], 0);
            let to = self.temporary(Size::Lanes8);
            self.emit::<Scaled<true>>([to, spread, sum, Field::Raw(2)], 1);
            sum = to;
        }
        sum
    }

    fn load(&mut self, value: Value, inst: &Inst) {
        let plan = Plan::of(self.function, self.uniform, inst.args[0]);
        let uniform = self.is_uniform(value);
        let address = self.address(&plan, self.space(inst.args[0]));
        let registers = if inst.ty.width() == 1 {
            vec![self.destination(value)]
        } else {
            let ty = self.scalar(value);
            let component = |lowering: &mut Self| Operand {
                field: lowering.temporary(size_of_type(Type::Scalar(ty), uniform)),
                uniform,
            };
            let parts: Vec<Operand> = (0..inst.ty.width()).map(|_| component(self)).collect();
            let fields = parts.iter().map(|part| part.field).collect();
            self.vectors.insert(value, parts);
            fields
        };
        let access = match address.kind {
            Addressing::Uniform => Access::Uniform,
            Addressing::Indexed => Access::Indexed { write: false },
            Addressing::Offset => Access::Offset { write: false },
            Addressing::Thread { lanewise } => Access::Thread { write: false, lanewise },
        };
        self.access(access, inst.ty, &address, &registers);
    }

    fn store(&mut self, inst: &Inst) {
        let ty = self.function.ty(inst.args[1]);
        let plan = Plan::of(self.function, self.uniform, inst.args[0]);
        let parts = self.components(inst.args[1]);
        let uniform = parts.iter().all(|&part| match part {
            Part::Value(value) => self.operand(value).uniform,
            Part::Loaded(operand) => operand.uniform,
        });
        let address = self.address(&plan, self.space(inst.args[0]));
        let access = match address.kind {
            Addressing::Uniform if uniform => Access::StoreOnce,
            Addressing::Uniform => Access::StoreLast,
            Addressing::Indexed => Access::Indexed { write: true },
            Addressing::Offset => Access::Offset { write: true },
            Addressing::Thread { lanewise } => Access::Thread { write: true, lanewise },
        };
        let once = access == Access::StoreOnce;
        let scalar = Type::Scalar(ty.scalar().unwrap_or(Scalar::U64));
        let registers: Vec<Field> = parts
            .iter()
            .map(|&part| match part {
                Part::Value(value) if once => self.field(value),
                Part::Value(value) => self.in_lanes(value),
                Part::Loaded(operand) if once || !operand.uniform => operand.field,
                Part::Loaded(operand) => {
                    let to = self.temporary(size_of_type(scalar, false));
                    self.copy(to, operand, scalar, false, false);
                    to
                }
            })
            .collect();
        self.access(access, ty, &address, &registers);
    }

    /// The components of what is stored.
    fn components(&self, value: Value) -> Vec<Part> {
        let inst = self.function.inst(value);
        match self.vectors.get(&value) {
            Some(parts) => parts.iter().map(|&part| Part::Loaded(part)).collect(),
            None if inst.op == Op::Compose => {
                inst.args.iter().map(|&arg| Part::Value(arg)).collect()
            }
            None => vec![Part::Value(value)],
        }
    }

    fn emit_access(&mut self, run: Run, data: Field, address: &Address) {
        self.emit_run(run, [data, address.index, address.offset, address.place], address.imm);
        self.code.last_mut().expect("just emitted").flags = address.flags;
    }

    fn access(&mut self, access: Access, ty: Type, address: &Address, registers: &[Field]) {
        let run = access.handler(self.isa, ty);
        let first = if registers.len() == 1 { registers[0] } else { NONE };
        self.emit_access(run, first, address);
        if registers.len() > 1 {
            // The components' registers are in a word of their own.
            let mut fields = [NONE; 4];
            fields[..registers.len()].copy_from_slice(registers);
            self.emit::<control::End>(fields, 0);
        }
    }

    /// Makes the operands of an access out of its plan.
    fn address(&mut self, plan: &Plan, space: Space) -> Address {
        if space == Space::Thread {
            return self.thread_address(plan);
        }
        let zero = self.constant(0);
        let (place, mut flags) = match plan.base {
            Base::Region(number) | Base::Local(number) => (Field::Raw(number + 1), 0),
            Base::Pointer(pointer) => {
                let base = self.operand(pointer);
                if !base.uniform {
                    let index = self.lane_sum(Some(base), plan, true);
                    let flags = place::LANE_POINTERS;
                    let kind = Addressing::Offset;
                    return Address { kind, index, offset: zero, place: NONE, flags, imm: 0 };
                }
                (base.field, place::POINTER)
            }
        };
        let mut address = Address {
            kind: Addressing::Uniform,
            index: zero,
            offset: zero,
            place,
            flags: 0,
            imm: 0,
        };
        match plan.lanewise(self.function, self.uniform) {
            Lanewise::None => {}
            Lanewise::Index { index, bias, scale } => {
                address.kind = Addressing::Indexed;
                address.index = self.field(index);
                address.imm = scale.into();
                if let Some(bias) = bias {
                    address.offset = self.field(bias);
                }
                flags |= if self.scalar(index).is_signed() { place::SIGNED } else { 0 };
            }
            Lanewise::Sum => {
                address.kind = Addressing::Offset;
                address.index = self.lane_sum(None, plan, false);
            }
        }
        if plan.uniform.is_empty() && i32::try_from(plan.displacement).is_ok() {
            address.imm |= (plan.displacement as u32 as u64) << 32;
        } else {
            address.offset = self.uniform_sum(zero, plan);
            flags |= place::OFFSET;
        }
        Address { flags, ..address }
    }

    fn thread_address(&mut self, plan: &Plan) -> Address {
        let zero = self.constant(0);
        // Offsets in thread memory are small: what is far out of bounds is so in 31 bits as well.
        let displacement = plan.displacement.clamp(-(1 << 29), 1 << 29) as i32;
        let (bytes, number, start, base) = match plan.base {
            Base::Local(number) => {
                let bytes = self.function.locals[number as usize].bytes;
                (bytes, number, self.local_starts[number as usize], None)
            }
            Base::Region(_) => (0, UNKNOWN_LOCAL, 0, None),
            Base::Pointer(pointer) => {
                let all = self.function.locals.iter().map(|l| l.bytes.next_multiple_of(4)).sum();
                (all, UNKNOWN_LOCAL, 0, Some(self.operand(pointer)))
            }
        };
        let only = Plan { displacement: 0, ..plan.clone() };
        let start_of_all = self.constant(THREAD_POINTER.wrapping_neg());
        let (uniform_base, lane_base) = match base {
            Some(base) if base.uniform => (Some(base.field), None),
            other => (None, other),
        };
        let mut offset = zero;
        if let Some(base) = uniform_base {
            // From the start of thread memory; null is far below it.
            let to = self.temporary(Size::Slot);
            self.emit::<ScaledOnce>([to, base, start_of_all, Field::Raw(2)], 1);
            offset = to;
        }
        if !plan.uniform.is_empty() || uniform_base.is_some() {
            let sum = self.uniform_sum(offset, &only);
            offset = self.saturated(sum, true);
        }
        let lanewise = !plan.lanes.is_empty() || lane_base.is_some();
        let mut index = zero;
        if lanewise {
            let start = lane_base.map(|base| {
                let spread = self.temporary(Size::Lanes8);
                let run = lanes::move_to_lanes(self.isa, 8, true, false);
                self.emit_run(run, [spread, start_of_all, NONE, NONE], 0);
                let to = self.temporary(Size::Lanes8);
                self.emit::<Scaled<true>>([to, base.field, spread, Field::Raw(2)], 1);
                Operand { field: to, uniform: false }
            });
            let sum = self.lane_sum(start, &only, false);
            index = self.saturated(sum, false);
        }
        Address {
            kind: Addressing::Thread { lanewise },
            index,
            offset,
            place: Field::Raw(start),
            flags: 0,
            imm: thread_imm(bytes, number.min(UNKNOWN_LOCAL), displacement),
        }
    }

    /// A 64-bit offset held to 29 bits, as 32-bit lanes.
    fn saturated(&mut self, sum: Field, uniform: bool) -> Field {
        let size = |bytes| match (uniform, bytes) {
            (true, _) => Size::Slot,
            (false, 8) => Size::Lanes8,
            (false, _) => Size::Lanes4,
        };
        let (low, high) = (self.constant((-(1i64 << 29)) as u64), self.constant(1 << 29));
        let mut from = sum;
        for (op, limit) in [(Op::Max, low), (Op::Min, high)] {
            let to = self.temporary(size(8));
            if let Some(run) = lanes::handler(self.isa, op, Scalar::I64, &[uniform, true]) {
                self.emit_run(run, [to, from, limit, NONE], 0);
            }
            from = to;
        }
        let to = self.temporary(size(4));
        self.step(Some(Conversion::Truncate), to, from, uniform);
        to
    }

    // --- Between lanes and threads ---------------------------------------------------------------

    fn across(&mut self, value: Value, inst: &Inst) {
        let scalar = inst.args.first().map_or(Scalar::Bool, |&arg| self.scalar(arg));
        let fields: Vec<Field> = inst.args.iter().map(|&arg| self.in_lanes(arg)).collect();
        let whole_64 = |lowering: &mut Self, index: usize| {
            // Lane numbers and distances may be of any integer type; 32 bits are enough.
            let Some(&arg) = inst.args.get(index) else { return NONE };
            if lowering.scalar(arg).bytes() < 8 {
                return fields[index];
            }
            let to = lowering.temporary(Size::Lanes4);
            lowering.step(Some(Conversion::Truncate), to, fields[index], false);
            to
        };
        let mut operands = [NONE; 4];
        match inst.op.row().rule {
            Rule::Shuffle => {
                operands[1] = fields[0];
                operands[2] = whole_64(self, 1);
            }
            Rule::ShuffleFill => {
                operands[1] = fields[0];
                operands[2] = fields[1];
                operands[3] = whole_64(self, 2);
            }
            _ => operands[1] = fields.first().copied().unwrap_or(NONE),
        }
        let modulo = if inst.op.row().rule == Rule::ShuffleFill { whole_64(self, 3) } else { NONE };
        let uniform = self.is_uniform(value);
        let wide_result = inst.ty == Type::U64;
        let run = simd::handler(inst.op, scalar, wide_result);
        // A uniform result is written in lanes by the handlers and then taken from the first active one.
        let in_lanes = size_of_type(inst.ty, false);
        let to = if uniform && in_lanes != Size::Slot && !simd::gives_slot(inst.op) {
            self.temporary(in_lanes)
        } else {
            self.destination(value)
        };
        operands[0] = to;
        self.emit_run(run, operands, inst.imm);
        if inst.op.row().rule == Rule::ShuffleFill {
            self.emit::<control::End>([modulo, NONE, NONE, NONE], 0);
        }
        let narrowed =
            matches!(inst.op.row().rule, Rule::Across(_)) && simd::needs_narrowing(inst.op);
        if narrowed && to != NONE {
            let slot = matches!(to, Field::Register(r) if self.registers.size(r) == Size::Slot);
            self.step(Conversion::narrowing(scalar), to, to, slot);
        }
        if self.values[value.index()].is_none() {
            let slot = self.destination(value);
            let bytes = lane_bytes(inst.ty);
            self.emit_run(simd::first_lane(bytes), [slot, to, NONE, NONE], 0);
        }
    }

    fn atomic(&mut self, value: Value, inst: &Inst) {
        let plan = Plan::of(self.function, self.uniform, inst.args[0]);
        let address = self.address(&plan, self.space(inst.args[0]));
        let scalar = match inst.args.get(1) {
            Some(&arg) => self.scalar(arg),
            None => self.scalar(value),
        };
        let operands: Vec<Field> = inst.args[1..].iter().map(|&arg| self.in_lanes(arg)).collect();
        let gives = self.uses.is_needed(value);
        let to = if gives { self.destination(value) } else { NONE };
        let lanes = match address.kind {
            Addressing::Uniform => Lanes::Uniform,
            Addressing::Indexed => Lanes::Indexed,
            Addressing::Offset => Lanes::Offset,
            Addressing::Thread { .. } => unreachable!("atomics are in shared memory"),
        };
        let run = atomic::handler(inst.op, scalar, lanes, gives);
        self.emit_access(run, to, &address);
        let mut fields = [NONE; 4];
        fields[..operands.len()].copy_from_slice(&operands);
        self.emit::<control::End>(fields, 0);
    }

    // --- The end -------------------------------------------------------------------------------

    fn finish(mut self, thread_bytes: u32) -> Code {
        let reserved = self.constant_list.len() as u32 * 8;
        let (offsets, frame_bytes) = self.registers.place(&self.extents, reserved);
        let resolve = |field: Field| match field {
            Field::Raw(number) => number,
            Field::Constant(slot) => slot * 8,
            Field::Register(register) => offsets[register.0 as usize],
        };
        let code = self
            .code
            .iter()
            .enumerate()
            .map(|(at, draft)| {
                let [a, b, c, d] = draft.fields.map(resolve);
                let imm = match draft.jump {
                    Some(label) => (i64::from(self.labels[label.0 as usize]) - at as i64) as u64,
                    None => draft.imm,
                };
                Ins { run: draft.run, a, b, c, d: d | draft.flags, imm }
            })
            .collect();
        Code {
            code,
            spans: self.code.iter().map(|draft| draft.span).collect(),
            constants: self.constant_list,
            frame_bytes,
            local_starts: self.local_starts,
            thread_bytes,
            has_barrier: self.has_barrier,
        }
    }
}
