//! Selection: a run of statements becomes machine operations over virtual registers, for one strip of lanes.
//!
//! A value is in one or two forms. What is the same in all lanes of the strip is a number in an integer
//! register, and so is the first lane of what goes up evenly; floats, and what differs from lane to lane, are
//! vectors, one for each part of the strip; truth values that differ are masks. A form is made where the value
//! is computed, if something needs it.

use std::collections::HashMap;

use super::lir::{
    Access, Class, Code, Home, Info, Ins, IntOp, Kind as Num, Label, Lane1, Lane2, LaneIndex,
    MaskOp, MemBase, MemRef, Operand, Reg, RegionRef, Site, SiteKind, Term, Test,
};
use super::plan::{Kind, kind};
use super::region::{Layout, Run};
use super::shape::{self, Shape, Shapes, Start, Sum};
use crate::soft::cpu::IsaKind;
use crate::soft::cpu::interp::code::Run as Handler;
use crate::soft::cpu::interp::lanes::{self, Conversion};
use crate::soft::ir::semantics::{needs_narrowing, row_scalar};
use crate::soft::ir::{Block, Function, Inst, Op, Rule, Scalar, Stmt, Type, Value, VarId};

/// What a strip is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Strip {
    /// Lanes of a vector.
    pub(crate) lanes: u32,
    /// Vectors of a strip.
    pub(crate) parts: u32,
    /// Whether lanes have positions side by side in the first dimension, and the same in the others.
    pub(crate) rows: bool,
    /// Whether scattered lanes can be written, and narrow ones.
    pub(crate) scatters: bool,
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

/// A loop around the point of selection.
struct Inside {
    divergent: bool,
    exit: Label,
    next: Label,
    /// Lanes that go on with the next iteration.
    continued: Option<Vec<Reg>>,
    /// The depth of divergent constructs in which the loop stands.
    depth: u32,
}

pub(crate) struct Selection<'a> {
    function: &'a Function,
    run: &'a Run,
    shapes: Shapes,
    strip: Strip,
    isa: IsaKind,
    out: Vec<Ins>,
    head: Vec<Ins>,
    code: Code,
    forms: Vec<Forms>,
    /// The components of vectors that were loaded.
    vectors: HashMap<Value, Vec<Forms>>,
    want: Vec<u8>,
    variables: HashMap<VarId, Forms>,
    exec: Vec<Reg>,
    /// Divergent constructs around this point.
    depth: u32,
    inside: Vec<Inside>,
    /// Where to go on when no lane is left.
    joins: Vec<Label>,
    begun: usize,
    bases: HashMap<u32, Reg>,
    limits: HashMap<(u32, u64, bool), Reg>,
    constants: HashMap<u64, Reg>,
    lane_constants: HashMap<Home, Reg>,
}

/// Bytes of buffers, at most: offsets of lanes fit in 31 bits with room for what is added to them.
pub(crate) const MAX_REGION: u64 = (1 << 31) - (1 << 21);
/// How far a constant may reach back before an index, so that one that wraps is still out of bounds.
const MAX_BACK: i64 = 1 << 20;

/// Selects the code of a run for one kind of strip.
pub(crate) fn select(run: &Run, strip: Strip, isa: IsaKind) -> Code {
    let source = &run.source;
    let function = &source.function;
    let shapes = Shapes::of(function, &source.uniform, strip.rows);
    let count = function.insts.len();
    let selection = Selection {
        function,
        run,
        shapes,
        strip,
        isa,
        out: Vec::new(),
        head: Vec::new(),
        code: Code { lanes: strip.lanes, parts: strip.parts, ..Code::default() },
        forms: vec![Forms::default(); count],
        vectors: HashMap::new(),
        want: vec![0; count],
        variables: HashMap::new(),
        exec: Vec::new(),
        depth: u32::from(run.masked),
        inside: Vec::new(),
        joins: Vec::new(),
        begun: run.first_loop,
        bases: HashMap::new(),
        limits: HashMap::new(),
        constants: HashMap::new(),
        lane_constants: HashMap::new(),
    };
    selection.whole()
}

impl Selection<'_> {
    fn whole(mut self) -> Code {
        let run = self.run;
        let stmts = run.stmts();
        for leaving in &run.leaving {
            let bits = if leaving.uniform && !self.is_float(leaving.value) { INT } else { LANES };
            self.need(leaving.value, bits);
        }
        self.demand(stmts);

        let end = self.label();
        self.exec = (0..self.strip.parts)
            .map(|part| {
                let bits = self.reg(Class::Int, false);
                let scalar = if self.strip.lanes == 8 { Scalar::U8 } else { Scalar::U16 };
                let disp = Layout::EXEC + (part * self.strip.lanes / 8) as i32;
                let mem = MemRef { base: MemBase::WaveBits, index: None, disp };
                self.head.push(Ins::LoadInt { from: scalar, d: bits, mem });
                let mask = self.reg(Class::Mask, true);
                self.head.push(Ins::MaskOfBits { d: mask, s: bits, first: 0 });
                mask
            })
            .collect();
        let masks = self.both(&self.exec);
        self.head.push(Ins::JumpNone { masks, to: end });
        for variable in &run.variables {
            self.enter_variable(variable.id, variable.offset, variable.uniform);
        }
        self.joins.push(end);
        self.block(stmts);
        self.leave();
        self.emit(Ins::Label(end));

        let head = self.head.len() as u32;
        let mut code = self.code;
        code.code = self.head;
        code.code.append(&mut self.out);
        for (start, end) in &mut code.loops {
            *start += head;
            *end += head;
        }
        code
    }

    // --- Small things --------------------------------------------------------------------------------

    fn reg(&mut self, class: Class, carried: bool) -> Reg {
        self.code.regs.push(Info { class, carried, home: None });
        Reg(self.code.regs.len() as u32 - 1)
    }

    fn int(&mut self) -> Reg {
        self.reg(Class::Int, false)
    }

    fn lane(&mut self) -> Reg {
        self.reg(Class::Vector, false)
    }

    fn mask(&mut self) -> Reg {
        self.reg(Class::Mask, false)
    }

    /// A register whose value is in memory when the strip starts.
    fn at_home(&mut self, class: Class, home: Home, carried: bool) -> Reg {
        self.code.regs.push(Info { class, carried, home: Some(home) });
        Reg(self.code.regs.len() as u32 - 1)
    }

    fn label(&mut self) -> Label {
        self.code.labels += 1;
        Label(self.code.labels - 1)
    }

    fn emit(&mut self, ins: Ins) {
        self.out.push(ins);
    }

    fn parts(&self) -> usize {
        self.strip.parts as usize
    }

    fn ty(&self, value: Value) -> Type {
        self.function.ty(value)
    }

    fn scalar(&self, value: Value) -> Scalar {
        self.ty(value).scalar().unwrap_or(Scalar::U64)
    }

    fn is_float(&self, value: Value) -> bool {
        self.scalar(value).is_float() && self.ty(value).space().is_none()
    }

    fn is_bool(&self, value: Value) -> bool {
        self.ty(value) == Type::BOOL
    }

    /// Whether a value's own form is a number.
    fn is_int(&self, value: Value) -> bool {
        !self.is_float(value) && self.shapes.shape(value) != Shape::Any
    }

    fn both(&self, masks: &[Reg]) -> [Reg; 2] {
        [masks[0], *masks.last().unwrap_or(&masks[0])]
    }

    fn constant(&mut self, bits: u64) -> Reg {
        if let Some(&reg) = self.constants.get(&bits) {
            return reg;
        }
        let reg = self.int();
        self.head.push(Ins::Const { d: reg, bits });
        self.constants.insert(bits, reg);
        reg
    }

    fn lane_constant(&mut self, bits: u32) -> Reg {
        self.lane_home(Home::Constant(bits))
    }

    fn lane_home(&mut self, home: Home) -> Reg {
        if let Some(&reg) = self.lane_constants.get(&home) {
            return reg;
        }
        let reg = self.at_home(Class::Vector, home, false);
        self.lane_constants.insert(home, reg);
        reg
    }

    // --- What is needed ------------------------------------------------------------------------------

    fn need(&mut self, value: Value, bits: u8) {
        // A number is where its lanes come from.
        let bits = if bits & LANES != 0 && self.is_int(value) { bits | INT } else { bits };
        self.want[value.index()] |= bits;
    }

    fn demand(&mut self, block: &[Stmt]) {
        for stmt in block.iter().rev() {
            match stmt {
                Stmt::Do(value) => self.demand_of(*value),
                Stmt::If(condition, a, b) => {
                    self.demand(b);
                    self.demand(a);
                    let bits = if self.shapes.is_same(*condition) { INT } else { LANES };
                    self.need(*condition, bits);
                }
                Stmt::Loop { body, next } => {
                    self.demand(next);
                    self.demand(body);
                }
                _ => {}
            }
        }
    }

    /// What the operands of an instruction are needed as.
    fn demand_of(&mut self, value: Value) {
        let inst = *self.function.inst(value);
        if self.run.is_done(value) || self.kind(value) != Kind::Direct {
            return;
        }
        let has_effect = matches!(inst.op, Op::Store | Op::Set);
        if !has_effect && self.want[value.index()] == 0 {
            return;
        }
        match inst.op {
            Op::Set => {
                let uniform = self.run.source.uniform.variables[inst.imm as usize];
                let int = uniform && !self.is_float(inst.args[0]);
                self.need(inst.args[0], if int { INT } else { LANES });
            }
            Op::Load | Op::Store => {
                let Some((start, sum)) = self.address(inst.args[0]) else { return };
                if let Start::Pointer(pointer) = start {
                    self.need(pointer, INT);
                }
                for &(term, _) in &sum.same {
                    self.need(term, INT);
                }
                let affine = self.is_affine(&sum);
                for &(term, _) in &sum.lanes {
                    self.need(term, if affine { INT } else { LANES });
                }
                if inst.op == Op::Store {
                    for part in self.components(inst.args[1]) {
                        let once = sum.lanes.is_empty() && self.shapes.is_same(part);
                        let bits = if once && self.is_int(part) { INT } else { LANES };
                        self.need(part, bits);
                    }
                }
            }
            Op::Get => {}
            _ => {
                for &arg in inst.args.iter() {
                    let bits = if self.by_numbers(value, &inst) { INT } else { LANES };
                    self.need(arg, bits);
                }
            }
        }
    }

    /// Whether an instruction computes one number for the strip out of numbers.
    fn by_numbers(&self, value: Value, inst: &Inst) -> bool {
        self.is_int(value) && !inst.args.iter().any(|&arg| self.is_float(arg))
    }

    fn kind(&self, value: Value) -> Kind {
        kind(self.function, &self.run.source.uniform, &self.run.shapes, value)
    }

    fn address(&self, pointer: Value) -> Option<(Start, Sum)> {
        shape::address(self.function, &self.shapes, pointer)
    }

    /// Whether all lanes are found from the first one's.
    fn is_affine(&self, sum: &Sum) -> bool {
        self.step(sum).is_some()
    }

    /// How far lanes are apart, in bytes, if they are evenly and not far.
    fn step(&self, sum: &Sum) -> Option<i64> {
        let mut step = 0i64;
        for &(term, scale) in &sum.lanes {
            let Shape::Affine(stride) = self.shapes.shape(term) else { return None };
            let stride = i64::from(stride as i32);
            if !(1..=1 << 12).contains(&stride) || scale < 1 {
                return None;
            }
            step += stride * scale;
        }
        (step <= 1 << 24).then_some(step)
    }

    /// The components of what is stored.
    fn components(&self, value: Value) -> Vec<Value> {
        let inst = self.function.inst(value);
        if inst.op == Op::Compose { inst.args.to_vec() } else { vec![value] }
    }

    // --- Values --------------------------------------------------------------------------------------

    /// A value as a number; of what goes up evenly, the first lane's.
    fn number(&mut self, value: Value) -> Reg {
        if let Some(reg) = self.forms[value.index()].int {
            return reg;
        }
        if let Some(&s) = self.forms[value.index()].lanes.first()
            && !self.is_given(value)
        {
            return self.first_lane(value, s);
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
            _ => {
                let Some(&(offset, uniform)) = self.run.entering.get(&value) else {
                    debug_assert!(false, "{value} is neither computed nor carried into the run");
                    return self.constant(0);
                };
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
    fn in_lanes(&mut self, value: Value) -> Vec<Reg> {
        if !self.forms[value.index()].lanes.is_empty() {
            return self.forms[value.index()].lanes.clone();
        }
        if let Some(reg) = self.forms[value.index()].int {
            if !self.is_given(value) {
                return self.lanes_of(value, reg);
            }
        }
        let inst = *self.function.inst(value);
        let parts = self.parts();
        let regs = match inst.op {
            Op::Const if !self.is_bool(value) => vec![self.lane_constant(inst.imm as u32); parts],
            _ => match self.run.entering.get(&value) {
                Some(&(offset, uniform)) if self.is_bool(value) => {
                    let scalar = if self.strip.lanes == 8 { Scalar::U8 } else { Scalar::U16 };
                    (0..parts)
                        .map(|part| {
                            let bits = self.int();
                            let disp = offset as i32 + (part as u32 * self.strip.lanes / 8) as i32;
                            let mem = MemRef { base: MemBase::FrameBits, index: None, disp };
                            let _ = uniform; // All bits of a uniform one are alike.
                            self.head.push(Ins::LoadInt { from: scalar, d: bits, mem });
                            let mask = self.mask();
                            self.head.push(Ins::MaskOfBits { d: mask, s: bits, first: 0 });
                            mask
                        })
                        .collect()
                }
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
                    // A constant truth value, or what nothing that is reached needs.
                    let number = self.number(value);
                    if self.is_bool(value) {
                        let mask = self.mask();
                        self.head.push(Ins::MaskOfInt { d: mask, s: number });
                        vec![mask; parts]
                    } else {
                        vec![self.lane_constant(0); parts]
                    }
                }
            },
        };
        self.forms[value.index()].lanes = regs.clone();
        regs
    }

    /// Notes a number as a value's form, and makes its lanes if they are needed.
    fn give_int(&mut self, value: Value, reg: Reg) {
        self.forms[value.index()].int = Some(reg);
        if self.want[value.index()] & LANES != 0 {
            let lanes = self.lanes_of(value, reg);
            self.forms[value.index()].lanes = lanes;
        }
    }

    fn lanes_of(&mut self, value: Value, reg: Reg) -> Vec<Reg> {
        let parts = self.parts();
        if self.is_bool(value) {
            let d = self.mask();
            self.emit(Ins::MaskOfInt { d, s: reg });
            return vec![d; parts];
        }
        let spread = self.lane();
        self.emit(Ins::Spread { d: spread, s: reg });
        let Shape::Affine(factor) = self.shapes.shape(value) else { return vec![spread; parts] };
        (0..parts as u32)
            .map(|part| {
                let up = self.lane_home(Home::Iota { first: part * self.strip.lanes, factor });
                let d = self.lane();
                self.emit(Ins::Lane2 { op: Lane2::Add, d, a: spread, b: up });
                d
            })
            .collect()
    }

    /// Whether a value is there before the run, or is a constant.
    fn is_given(&self, value: Value) -> bool {
        self.function.inst(value).op.is_free() || self.run.entering.contains_key(&value)
    }

    /// The number that a value is in the first lane.
    fn first_lane(&mut self, value: Value, s: Reg) -> Reg {
        let d = self.int();
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

    /// Notes lanes as a value's form. If the value is one number, that is the first lane's.
    fn give_lanes(&mut self, value: Value, regs: Vec<Reg>) {
        if self.is_int(value) {
            let d = self.first_lane(value, regs[0]);
            self.forms[value.index()].int = Some(d);
        }
        self.forms[value.index()].lanes = regs;
    }

    // --- Statements ----------------------------------------------------------------------------------

    fn block(&mut self, block: &[Stmt]) {
        for (at, stmt) in block.iter().enumerate() {
            match stmt {
                Stmt::Do(value) => self.instruction(*value),
                Stmt::If(condition, then, otherwise) => self.branch(*condition, then, otherwise),
                Stmt::Loop { body, next } => self.repeat(body, next),
                Stmt::Break | Stmt::Continue => {
                    self.leave_iteration(*stmt == Stmt::Break);
                    // What follows is never reached; its loops count all the same.
                    block[at + 1..].iter().for_each(|stmt| self.skip(stmt));
                    return;
                }
                Stmt::Return(_) | Stmt::Call { .. } => unreachable!("runs have none"),
            }
        }
    }

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

    fn join(&self) -> Label {
        *self.joins.last().expect("the end is always there")
    }

    fn none_left(&mut self, to: Label) {
        let masks = self.both(&self.exec);
        self.emit(Ins::JumpNone { masks, to });
    }

    /// Break or continue, in all active lanes.
    fn leave_iteration(&mut self, breaks: bool) {
        let inside = self.inside.last().expect("break is in a loop");
        let (divergent, exit, next, depth) =
            (inside.divergent, inside.exit, inside.next, inside.depth);
        let together = depth == self.depth;
        if breaks && !divergent {
            return self.emit(Ins::Jump(exit));
        }
        if !breaks && together {
            return self.emit(Ins::Jump(next));
        }
        if !breaks {
            let continued = inside.continued.clone().unwrap_or_default();
            for (&to, &lanes) in continued.iter().zip(&self.exec.clone()) {
                self.emit(Ins::MaskBin { op: MaskOp::Or, d: to, a: to, b: lanes });
            }
        }
        for mask in self.exec.clone() {
            self.emit(Ins::MaskClear { d: mask });
        }
        let join = self.join();
        self.emit(Ins::Jump(join));
    }

    /// Whether lanes may leave a block for another place than its end.
    fn leaves(block: &[Stmt]) -> bool {
        block.iter().any(|stmt| match stmt {
            Stmt::Break | Stmt::Continue => true,
            Stmt::If(_, a, b) => Self::leaves(a) || Self::leaves(b),
            _ => false,
        })
    }

    fn branch(&mut self, condition: Value, then: &Block, otherwise: &Block) {
        if self.shapes.is_same(condition) {
            return self.uniform_branch(condition, then, otherwise);
        }
        let test = self.in_lanes(condition);
        let outer = self.exec.clone();
        let carried = Self::leaves(then) || Self::leaves(otherwise);
        let split = |selection: &mut Self, op: MaskOp| -> Vec<Reg> {
            (0..outer.len())
                .map(|part| {
                    let d = selection.reg(Class::Mask, carried);
                    selection.emit(Ins::MaskBin { op, d, a: test[part], b: outer[part] });
                    d
                })
                .collect()
        };
        let then_lanes = split(self, MaskOp::And);
        let else_lanes =
            if carried || !otherwise.is_empty() { split(self, MaskOp::AndNot) } else { Vec::new() };
        let (middle, end) = (self.label(), self.label());
        self.depth += 1;
        self.joins.push(middle);
        self.exec = then_lanes.clone();
        self.none_left(middle);
        self.block(then);
        self.emit(Ins::Label(middle));
        self.joins.pop();
        if !otherwise.is_empty() {
            self.joins.push(end);
            self.exec = else_lanes.clone();
            self.none_left(end);
            self.block(otherwise);
            self.joins.pop();
        }
        self.emit(Ins::Label(end));
        self.depth -= 1;
        self.exec = outer.clone();
        if carried {
            for part in 0..outer.len() {
                let (d, a, b) = (outer[part], then_lanes[part], else_lanes[part]);
                self.emit(Ins::MaskBin { op: MaskOp::Or, d, a, b });
            }
            let join = self.join();
            self.none_left(join);
        }
    }

    fn uniform_branch(&mut self, condition: Value, then: &Block, otherwise: &Block) {
        let test = self.number(condition);
        let (middle, end) = (self.label(), self.label());
        self.emit(Ins::JumpIf { zero: true, s: test, to: middle });
        self.block(then);
        if !otherwise.is_empty() {
            self.emit(Ins::Jump(end));
        }
        self.emit(Ins::Label(middle));
        self.block(otherwise);
        self.emit(Ins::Label(end));
        // Where all lanes of one side left it and the other side goes on, the mask is as that side has it.
        if Self::leaves(then) || Self::leaves(otherwise) {
            let join = self.join();
            self.none_left(join);
        }
    }

    fn repeat(&mut self, body: &Block, next: &Block) {
        let divergence = self.run.source.uniform.loops[self.begun];
        let number = self.begun;
        self.begun += 1;
        let divergent = divergence.breaks || divergence.continues;
        let outer = self.exec.clone();
        if divergent {
            self.exec = outer
                .iter()
                .map(|&lanes| {
                    let d = self.reg(Class::Mask, true);
                    self.emit(Ins::MaskMove { d, s: lanes });
                    d
                })
                .collect();
            self.depth += 1;
        }
        let continued = divergence.continues.then(|| {
            (0..outer.len())
                .map(|_| {
                    let d = self.reg(Class::Mask, true);
                    self.emit(Ins::MaskClear { d });
                    d
                })
                .collect::<Vec<_>>()
        });
        let (head, next_label, exit) = (self.label(), self.label(), self.label());
        let start = self.out.len() as u32;
        self.emit(Ins::Label(head));
        self.inside.push(Inside {
            divergent: divergence.breaks,
            exit,
            next: next_label,
            continued: continued.clone(),
            depth: self.depth,
        });
        self.joins.push(next_label);
        self.block(body);
        self.joins.pop();
        self.emit(Ins::Label(next_label));
        if let Some(continued) = continued {
            for (&lanes, &waiting) in self.exec.clone().iter().zip(&continued) {
                self.emit(Ins::MaskBin { op: MaskOp::Or, d: lanes, a: lanes, b: waiting });
                self.emit(Ins::MaskClear { d: waiting });
            }
        }
        if divergent {
            self.none_left(exit);
        }
        self.joins.push(exit);
        self.block(next);
        self.joins.pop();
        if divergent {
            self.none_left(exit);
        }
        let site = self.site(self.run.loop_site(number), SiteKind::Clock);
        self.emit(Ins::Budget { site });
        self.emit(Ins::Jump(head));
        let end = self.out.len() as u32;
        self.emit(Ins::Label(exit));
        self.code.loops.push((start, end));
        self.inside.pop();
        if divergent {
            self.depth -= 1;
        }
        self.exec = outer;
    }

    // --- Variables -----------------------------------------------------------------------------------

    fn enter_variable(&mut self, id: VarId, offset: u32, uniform: bool) {
        let ty = self.function.variables[id.index()].ty;
        let parts = self.parts();
        let float = ty.scalar().is_some_and(|scalar| scalar.is_float()) && ty.space().is_none();
        let forms = if uniform && !float {
            let d = self.reg(Class::Int, true);
            let from = if ty.bytes() == 8 { Scalar::U64 } else { Scalar::U32 };
            let mem = MemRef { base: MemBase::Frame, index: None, disp: offset as i32 };
            self.head.push(Ins::LoadInt { from, d, mem });
            Forms { int: Some(d), lanes: Vec::new() }
        } else if ty == Type::BOOL {
            let scalar = if self.strip.lanes == 8 { Scalar::U8 } else { Scalar::U16 };
            let lanes = (0..parts)
                .map(|part| {
                    let bits = self.int();
                    let disp = offset as i32 + (part as u32 * self.strip.lanes / 8) as i32;
                    let mem = MemRef { base: MemBase::FrameBits, index: None, disp };
                    self.head.push(Ins::LoadInt { from: scalar, d: bits, mem });
                    let mask = self.reg(Class::Mask, true);
                    self.head.push(Ins::MaskOfBits { d: mask, s: bits, first: 0 });
                    mask
                })
                .collect();
            Forms { int: None, lanes }
        } else if uniform {
            let reg = self.at_home(Class::Vector, Home::Slot(offset), true);
            Forms { int: None, lanes: vec![reg; parts] }
        } else {
            let lanes = (0..parts as u32)
                .map(|part| {
                    let home = Home::Lanes(offset + part * self.strip.lanes * 4);
                    self.at_home(Class::Vector, home, true)
                })
                .collect();
            Forms { int: None, lanes }
        };
        self.variables.insert(id, forms);
    }

    /// Writes what others read after the run.
    fn leave(&mut self) {
        let run = self.run;
        for leaving in &run.leaving {
            let forms = self.forms[leaving.value.index()].clone();
            self.write_back(&forms, self.ty(leaving.value), leaving.offset, leaving.uniform, false);
        }
        for variable in run.variables.iter().filter(|variable| variable.written) {
            let forms = self.variables[&variable.id].clone();
            let ty = self.function.variables[variable.id.index()].ty;
            self.write_back(&forms, ty, variable.offset, variable.uniform, true);
        }
    }

    fn write_back(&mut self, forms: &Forms, ty: Type, offset: u32, uniform: bool, late: bool) {
        if uniform {
            let s = match forms.int {
                Some(reg) => reg,
                None => {
                    let d = self.int();
                    self.emit(Ins::First { d, s: forms.lanes[0] });
                    d
                }
            };
            // Another strip may read the slot before it changes.
            let several = self.strip.lanes * self.strip.parts < 32;
            let (base, disp) = if late && several {
                let own = self.code.own_bytes;
                self.code.own_bytes += 8;
                self.code.late.push((own, offset));
                (MemBase::Own, own as i32)
            } else {
                (MemBase::Frame, offset as i32)
            };
            return self.emit(Ins::StoreInt {
                bytes: 8,
                mem: MemRef { base, index: None, disp },
                s,
            });
        }
        for part in 0..self.parts() {
            let reg = forms.lanes[part];
            if ty == Type::BOOL {
                let bits = self.int();
                self.emit(Ins::BitsOfMask { d: bits, s: reg });
                let bytes = self.strip.lanes / 8;
                let disp = (offset + part as u32 * bytes) as i32;
                let mem = MemRef { base: MemBase::FrameBits, index: None, disp };
                self.emit(Ins::StoreInt { bytes, mem, s: bits });
            } else {
                let disp = (offset + part as u32 * self.strip.lanes * 4) as i32;
                let mem = MemRef { base: MemBase::FrameLanes, index: None, disp };
                self.emit(Ins::StoreAll { mem, s: reg });
            }
        }
    }

    fn read(&mut self, value: Value, id: VarId) {
        let forms = self.variables[&id].clone();
        if let Some(reg) = forms.int {
            let d = self.int();
            self.emit(Ins::Move { d, s: reg });
            return self.give_int(value, d);
        }
        let masks = self.is_bool(value);
        let same = forms.lanes.windows(2).all(|pair| pair[0] == pair[1]);
        let count = if same { 1 } else { forms.lanes.len() };
        let mut lanes: Vec<Reg> = (0..count)
            .map(|part| {
                let s = forms.lanes[part];
                if masks {
                    let d = self.mask();
                    self.emit(Ins::MaskMove { d, s });
                    d
                } else if self.run.may_alias(value) {
                    s
                } else {
                    let d = self.lane();
                    self.emit(Ins::Lane1 { op: Lane1::Move, d, a: s });
                    d
                }
            })
            .collect();
        lanes.resize(self.parts(), lanes[0]);
        self.give_lanes(value, lanes);
    }

    fn assign(&mut self, id: VarId, value: Value) {
        let to = self.variables[&id].clone();
        if let Some(d) = to.int {
            let s = self.number(value);
            return self.emit(Ins::Move { d, s });
        }
        let from = self.in_lanes(value);
        let uniform = self.run.source.uniform.variables[id.index()];
        let masked = self.depth > 0 && !uniform;
        let count = if uniform { 1 } else { to.lanes.len() };
        for part in 0..count {
            let (d, s, mask) = (to.lanes[part], from[part], self.exec[part]);
            let ins = match (self.is_bool(value), masked) {
                (false, false) => Ins::Lane1 { op: Lane1::Move, d, a: s },
                (false, true) => Ins::MoveMasked { d, mask, s },
                (true, false) => Ins::MaskMove { d, s },
                (true, true) => {
                    let (new, old) = (self.mask(), self.mask());
                    self.emit(Ins::MaskBin { op: MaskOp::And, d: new, a: mask, b: s });
                    self.emit(Ins::MaskBin { op: MaskOp::AndNot, d: old, a: mask, b: d });
                    Ins::MaskBin { op: MaskOp::Or, d, a: new, b: old }
                }
            };
            self.emit(ins);
        }
    }

    // --- Instructions --------------------------------------------------------------------------------

    fn instruction(&mut self, value: Value) {
        let inst = *self.function.inst(value);
        if self.run.is_done(value) || self.kind(value) != Kind::Direct {
            return;
        }
        match inst.op {
            Op::Store => return self.store(value, &inst),
            Op::Set => return self.assign(VarId(inst.imm as u32), inst.args[0]),
            _ if self.want[value.index()] == 0 => return,
            _ => {}
        }
        match inst.op.row().rule {
            Rule::Load => self.load(value, &inst),
            Rule::Given => self.read(value, VarId(inst.imm as u32)),
            Rule::Extract => {
                if let Some(forms) =
                    self.vectors.get(&inst.args[0]).map(|all| all[inst.imm as usize].clone())
                {
                    match forms.int {
                        Some(reg) if self.is_int(value) => self.give_int(value, reg),
                        _ => self.give_lanes(value, forms.lanes),
                    }
                }
            }
            Rule::Index | Rule::Field => self.pointer(value, &inst),
            Rule::PointerToInt | Rule::IntToPointer => {
                let reg = self.number(inst.args[0]);
                self.give_int(value, reg);
            }
            Rule::Select => self.choose(value, &inst),
            Rule::Convert => self.convert(value, &inst),
            Rule::Bitcast => self.bitcast(value, &inst),
            _ if self.scalar(inst.args[0]) == Scalar::Bool => self.logic(value, &inst),
            _ => self.arithmetic(value, &inst),
        }
    }

    /// `reg` as a number of 64 bits, by the sign of its type.
    fn widened(&mut self, value: Value) -> Reg {
        let reg = self.number(value);
        let scalar = self.scalar(value);
        if scalar.bytes() == 8 || !scalar.is_signed() || self.ty(value).space().is_some() {
            return reg;
        }
        let d = self.int();
        self.emit(Ins::Widen { from: Scalar::I32, wide: true, d, s: reg });
        d
    }

    fn scaled(&mut self, reg: Reg, scale: i64) -> Reg {
        if scale == 1 {
            return reg;
        }
        let d = self.int();
        if scale > 0 && (scale as u64).is_power_of_two() {
            let imm = scale.trailing_zeros() as i32;
            self.emit(Ins::IntImm { op: IntOp::Shl, wide: true, d, a: reg, imm });
        } else if let Ok(imm) = i32::try_from(scale) {
            self.emit(Ins::IntImm { op: IntOp::Mul, wide: true, d, a: reg, imm });
        } else {
            let by = self.constant(scale as u64);
            self.emit(Ins::Int { op: IntOp::Mul, wide: true, d, a: reg, b: by });
        }
        d
    }

    fn plus(&mut self, a: Reg, b: Reg) -> Reg {
        let d = self.int();
        self.emit(Ins::Int { op: IntOp::Add, wide: true, d, a, b });
        d
    }

    fn plus_constant(&mut self, a: Reg, constant: i64) -> Reg {
        if constant == 0 {
            return a;
        }
        let d = self.int();
        match i32::try_from(constant) {
            Ok(imm) => self.emit(Ins::IntImm { op: IntOp::Add, wide: true, d, a, imm }),
            Err(_) => {
                let b = self.constant(constant as u64);
                self.emit(Ins::Int { op: IntOp::Add, wide: true, d, a, b });
            }
        }
        d
    }

    fn pointer(&mut self, value: Value, inst: &Inst) {
        let base = self.number(inst.args[0]);
        let sum = match inst.op {
            Op::Field => self.plus_constant(base, inst.imm as i64),
            _ => match self.function.constant_index(inst.args[1]) {
                Some(number) => self.plus_constant(base, number.wrapping_mul(inst.imm as i64)),
                None => {
                    let index = self.widened(inst.args[1]);
                    let scaled = self.scaled(index, inst.imm as i64);
                    self.plus(base, scaled)
                }
            },
        };
        self.give_int(value, sum);
    }

    fn choose(&mut self, value: Value, inst: &Inst) {
        let [c, a, b] = [inst.args[0], inst.args[1], inst.args[2]];
        if self.by_numbers(value, inst) {
            let (c, a, b) = (self.number(c), self.number(a), self.number(b));
            let d = self.int();
            self.emit(Ins::Choose { wide: true, d, c, a, b });
            return self.give_int(value, d);
        }
        let (c, a, b) = (self.in_lanes(c), self.in_lanes(a), self.in_lanes(b));
        let bools = self.is_bool(value);
        let regs = (0..self.parts())
            .map(|part| {
                let (mask, a, b) = (c[part], a[part], b[part]);
                if bools {
                    let (yes, no, d) = (self.mask(), self.mask(), self.mask());
                    self.emit(Ins::MaskBin { op: MaskOp::And, d: yes, a: mask, b: a });
                    self.emit(Ins::MaskBin { op: MaskOp::AndNot, d: no, a: mask, b });
                    self.emit(Ins::MaskBin { op: MaskOp::Or, d, a: yes, b: no });
                    d
                } else {
                    let d = self.lane();
                    self.emit(Ins::Select { d, mask, a, b });
                    d
                }
            })
            .collect();
        self.give_lanes(value, regs);
    }

    fn logic(&mut self, value: Value, inst: &Inst) {
        let not_after = inst.op == Op::Eq;
        let op = match inst.op {
            Op::And => Some(IntOp::And),
            Op::Or => Some(IntOp::Or),
            Op::Not => None,
            _ => Some(IntOp::Xor),
        };
        if self.by_numbers(value, inst) {
            let a = self.number(inst.args[0]);
            let mut d = a;
            if let Some(op) = op {
                let b = self.number(inst.args[1]);
                d = self.int();
                self.emit(Ins::Int { op, wide: false, d, a, b });
            }
            if op.is_none() || not_after {
                let s = d;
                d = self.int();
                self.emit(Ins::Not { wide: false, d, s });
            }
            return self.give_int(value, d);
        }
        let a = self.in_lanes(inst.args[0]);
        let b = inst.args.get(1).map(|&b| self.in_lanes(b));
        let regs = (0..self.parts())
            .map(|part| {
                let mut d = a[part];
                if let (Some(op), Some(b)) = (op, &b) {
                    let op = match op {
                        IntOp::And => MaskOp::And,
                        IntOp::Or => MaskOp::Or,
                        _ => MaskOp::Xor,
                    };
                    let to = self.mask();
                    self.emit(Ins::MaskBin { op, d: to, a: d, b: b[part] });
                    d = to;
                }
                if op.is_none() || not_after {
                    let to = self.mask();
                    self.emit(Ins::MaskNot { d: to, a: d });
                    d = to;
                }
                d
            })
            .collect();
        self.give_lanes(value, regs);
    }

    fn arithmetic(&mut self, value: Value, inst: &Inst) {
        let scalar = self.scalar(inst.args[0]);
        let Some(row) = row_scalar(inst.op, scalar) else {
            unreachable!("the plan asked for a row")
        };
        let narrows = needs_narrowing(inst.op, scalar);
        if self.by_numbers(value, inst) {
            let args: Vec<Reg> = inst.args.iter().map(|&arg| self.number(arg)).collect();
            let d = self.int_op(inst.op, row, &args).unwrap_or_else(|| {
                let shape = vec![true; args.len()];
                let run = lanes::handler(IsaKind::Baseline, inst.op, row, &shape);
                let args =
                    inst.args.iter().zip(&args).map(|(&arg, &reg)| self.int_operand(arg, reg));
                let args = args.collect();
                self.call_for_int(value, run, args)
            });
            let d = if narrows { self.wrapped(d, scalar) } else { d };
            return self.give_int(value, d);
        }
        let args: Vec<Vec<Reg>> = inst.args.iter().map(|&arg| self.in_lanes(arg)).collect();
        let same = self.shapes.is_same(value);
        let direct = has_lanes(inst.op, row, self.strip);
        if !direct {
            let shape = vec![false; args.len()];
            let run = lanes::handler(self.isa, inst.op, row, &shape);
            let kinds: Vec<bool> = inst.args.iter().map(|&arg| self.is_bool(arg)).collect();
            let args = args.into_iter().zip(kinds);
            let args = args
                .map(|(regs, bool)| if bool { Operand::Masks(regs) } else { Operand::Lanes(regs) })
                .collect();
            let mut regs = self.call_for_lanes(self.is_bool(value), run, args);
            if narrows {
                regs = regs.into_iter().map(|reg| self.wrapped_lanes(reg, scalar)).collect();
            }
            return self.give_lanes(value, regs);
        }
        let count = if same { 1 } else { self.parts() };
        let mut regs: Vec<Reg> = (0..count)
            .map(|part| {
                let args: Vec<Reg> = args.iter().map(|regs| regs[part]).collect();
                let d = self.lane_op(inst.op, row, &args);
                if narrows { self.wrapped_lanes(d, scalar) } else { d }
            })
            .collect();
        regs.resize(self.parts(), regs[0]);
        self.give_lanes(value, regs);
    }

    fn int_operand(&self, value: Value, reg: Reg) -> Operand {
        Operand::Int { reg, bool: self.is_bool(value) }
    }

    /// An operation on numbers; none if there is no code for it.
    fn int_op(&mut self, op: Op, row: Scalar, args: &[Reg]) -> Option<Reg> {
        let wide = row.bytes() == 8;
        let kind = if row.is_signed() { Num::Signed } else { Num::Unsigned };
        if row.bytes() < 4 {
            return None;
        }
        let test = match op {
            Op::Eq => Some(Test::Eq),
            Op::Ne => Some(Test::Ne),
            Op::Lt => Some(Test::Lt),
            Op::Le => Some(Test::Le),
            _ => None,
        };
        if let Some(test) = test {
            let d = self.int();
            self.emit(Ins::Compare { test, kind, wide, d, a: args[0], b: args[1] });
            return Some(d);
        }
        let int = match op {
            Op::Add => IntOp::Add,
            Op::Sub => IntOp::Sub,
            Op::Mul => IntOp::Mul,
            Op::And => IntOp::And,
            Op::Or => IntOp::Or,
            Op::Xor => IntOp::Xor,
            Op::Shl => IntOp::Shl,
            Op::Shr if row.is_signed() => IntOp::Sar,
            Op::Shr => IntOp::Shr,
            Op::Neg => {
                let (zero, d) = (self.constant(0), self.int());
                self.emit(Ins::Int { op: IntOp::Sub, wide, d, a: zero, b: args[0] });
                return Some(d);
            }
            Op::Not => {
                let d = self.int();
                self.emit(Ins::Not { wide, d, s: args[0] });
                return Some(d);
            }
            Op::Min | Op::Max => {
                // The larger is the second where the first is less.
                let (a, b) = if op == Op::Min { (args[0], args[1]) } else { (args[1], args[0]) };
                let (test, d) = (self.int(), self.int());
                self.emit(Ins::Compare {
                    test: Test::Lt,
                    kind,
                    wide,
                    d: test,
                    a: args[0],
                    b: args[1],
                });
                self.emit(Ins::Choose { wide: true, d, c: test, a, b });
                return Some(d);
            }
            _ => return None,
        };
        let d = self.int();
        self.emit(Ins::Int { op: int, wide, d, a: args[0], b: args[1] });
        Some(d)
    }

    /// A number wrapped to a narrow type and widened again.
    fn wrapped(&mut self, reg: Reg, scalar: Scalar) -> Reg {
        let d = self.int();
        self.emit(Ins::Widen { from: scalar, wide: false, d, s: reg });
        d
    }

    fn wrapped_lanes(&mut self, reg: Reg, scalar: Scalar) -> Reg {
        let bits = 32 - 8 * scalar.bytes() as u8;
        if !scalar.is_signed() {
            let ones = self.lane_constant(u32::MAX >> bits);
            let d = self.lane();
            self.emit(Ins::Lane2 { op: Lane2::And, d, a: reg, b: ones });
            return d;
        }
        let (up, d) = (self.lane(), self.lane());
        self.emit(Ins::Lane1 { op: Lane1::Shl(bits), d: up, a: reg });
        self.emit(Ins::Lane1 { op: Lane1::Sar(bits), d, a: up });
        d
    }

    /// An operation in lanes that [`has_lanes`].
    fn lane_op(&mut self, op: Op, row: Scalar, args: &[Reg]) -> Reg {
        let kind = match row {
            Scalar::F32 => Num::Float,
            _ if row.is_signed() => Num::Signed,
            _ => Num::Unsigned,
        };
        let test = match op {
            Op::Eq => Some(Test::Eq),
            Op::Ne => Some(Test::Ne),
            Op::Lt => Some(Test::Lt),
            Op::Le => Some(Test::Le),
            _ => None,
        };
        if let Some(test) = test {
            let d = self.mask();
            self.emit(Ins::CompareLanes { test, kind, d, a: args[0], b: args[1] });
            return d;
        }
        if op == Op::IsNan {
            let d = self.mask();
            self.emit(Ins::IsNan { d, a: args[0] });
            return d;
        }
        if op == Op::Fma {
            let d = self.lane();
            self.emit(Ins::Fma { d, a: args[0], b: args[1], c: args[2] });
            return d;
        }
        if let Some(op) = lane1(op, row) {
            let d = self.lane();
            self.emit(Ins::Lane1 { op, d, a: args[0] });
            return d;
        }
        let two = |selection: &mut Self, op: Lane2, a: Reg, b: Reg| {
            let d = selection.lane();
            selection.emit(Ins::Lane2 { op, d, a, b });
            d
        };
        match (op, row) {
            (Op::Neg, Scalar::F32) => {
                let sign = self.lane_constant(1 << 31);
                two(self, Lane2::Xor, args[0], sign)
            }
            (Op::Abs, Scalar::F32) => {
                let rest = self.lane_constant(u32::MAX >> 1);
                two(self, Lane2::And, args[0], rest)
            }
            (Op::Neg, _) => {
                let zero = self.lane_constant(0);
                two(self, Lane2::Sub, zero, args[0])
            }
            (Op::Not, _) => {
                let ones = self.lane_constant(u32::MAX);
                two(self, Lane2::Xor, args[0], ones)
            }
            (Op::Shl | Op::Shr, _) => {
                let (five, by) = (self.lane_constant(31), self.lane());
                self.emit(Ins::Lane2 { op: Lane2::And, d: by, a: args[1], b: five });
                let op = match (op, row.is_signed()) {
                    (Op::Shl, _) => Lane2::Shl,
                    (_, true) => Lane2::Sar,
                    (_, false) => Lane2::Shr,
                };
                two(self, op, args[0], by)
            }
            (Op::CopySign, _) => {
                let (sign, rest) = (self.lane_constant(1 << 31), self.lane_constant(u32::MAX >> 1));
                let (a, b) =
                    (two(self, Lane2::And, args[0], rest), two(self, Lane2::And, args[1], sign));
                two(self, Lane2::Or, a, b)
            }
            _ => match lane2(op, row) {
                Some(lane) => two(self, lane, args[0], args[1]),
                None => unreachable!("{} of {row} has code in lanes", op.row().name),
            },
        }
    }

    fn convert(&mut self, value: Value, inst: &Inst) {
        let (from, to) = (self.scalar(inst.args[0]), self.scalar(value));
        if from == Scalar::Bool && to != Scalar::Bool {
            let one = if to.is_float() { 1f32.to_bits() } else { 1 };
            if self.by_numbers(value, inst) {
                let (c, d) = (self.number(inst.args[0]), self.int());
                self.emit(Ins::IntImm { op: IntOp::And, wide: false, d, a: c, imm: 1 });
                return self.give_int(value, d);
            }
            let masks = self.in_lanes(inst.args[0]);
            let (one, zero) = (self.lane_constant(one), self.lane_constant(0));
            let regs = masks
                .into_iter()
                .map(|mask| {
                    let d = self.lane();
                    self.emit(Ins::Select { d, mask, a: one, b: zero });
                    d
                })
                .collect();
            return self.give_lanes(value, regs);
        }
        self.steps(value, inst.args[0], &Conversion::steps(from, to));
    }

    fn bitcast(&mut self, value: Value, inst: &Inst) {
        let to = self.scalar(value);
        let from = self.scalar(inst.args[0]);
        let mut steps = Vec::new();
        if to.bytes() < 4 && to != from {
            steps.extend(Conversion::narrowing(to));
        }
        self.steps(value, inst.args[0], &steps);
    }

    /// A chain of conversions; an empty one changes nothing but the type.
    fn steps(&mut self, value: Value, from: Value, steps: &[Conversion]) {
        let inst = *self.function.inst(value);
        if self.by_numbers(value, &inst) {
            let mut reg = self.number(from);
            for &step in steps {
                reg = self.int_step(step, reg);
            }
            return self.give_int(value, reg);
        }
        // From a number to lanes the first step may have to be of 64 bits.
        if self.scalar(from).bytes() == 8 {
            let reg = self.number(from);
            let mut args = vec![Operand::Int { reg, bool: false }];
            let mut regs = Vec::new();
            for &step in steps {
                regs = self.call_once_for_lanes(step.handler(IsaKind::Baseline, true), args);
                args = vec![Operand::Lanes(regs.clone())];
            }
            return self.give_lanes(value, regs);
        }
        let to_wide = self.scalar(value).bytes() == 8;
        if to_wide {
            let lanes = self.in_lanes(from);
            let mut args = vec![Operand::Lanes(lanes)];
            let mut reg = self.constant(0);
            for &step in steps {
                reg = self.call_for_int(value, step.handler(IsaKind::Baseline, true), args);
                args = vec![Operand::Int { reg, bool: false }];
            }
            return self.give_int(value, reg);
        }
        let mut regs = self.in_lanes(from);
        for &step in steps {
            regs = self.lane_step(step, regs);
        }
        self.give_lanes(value, regs);
    }

    fn int_step(&mut self, step: Conversion, s: Reg) -> Reg {
        use Conversion as C;
        let d = self.int();
        let widen = |from, wide| Ins::Widen { from, wide, d, s };
        let ins = match step {
            C::WrapI8 => widen(Scalar::I8, false),
            C::WrapU8 => widen(Scalar::U8, false),
            C::WrapI16 => widen(Scalar::I16, false),
            C::WrapU16 => widen(Scalar::U16, false),
            C::SignExtend => widen(Scalar::I32, true),
            C::ZeroExtend | C::Truncate => widen(Scalar::U32, false),
            C::U32ToBool | C::U64ToBool => {
                let zero = self.constant(0);
                let wide = step == C::U64ToBool;
                Ins::Compare { test: Test::Ne, kind: Num::Unsigned, wide, d, a: s, b: zero }
            }
            _ => unreachable!("{step:?} is of floats"),
        };
        self.emit(ins);
        d
    }

    fn lane_step(&mut self, step: Conversion, from: Vec<Reg>) -> Vec<Reg> {
        use Conversion as C;
        let one = |selection: &mut Self, op: Lane1, a: Reg| {
            let d = selection.lane();
            selection.emit(Ins::Lane1 { op, d, a });
            d
        };
        let unsigned = self.strip.scatters;
        let direct = match step {
            C::F32ToU32 | C::U32ToF32 => unsigned,
            C::WrapI8 | C::WrapU8 | C::WrapI16 | C::WrapU16 => true,
            C::I32ToF32 | C::F32ToI32 | C::F32ToI8 | C::F32ToU8 | C::F32ToI16 | C::F32ToU16 => true,
            C::U32ToBool | C::F32ToBool => true,
            _ => false,
        };
        if !direct {
            let bool = matches!(step, C::U64ToBool);
            return self.call_for_lanes(
                bool,
                step.handler(self.isa, false),
                vec![Operand::Lanes(from)],
            );
        }
        let clamp = match step {
            C::F32ToI8 => Some((-0x80, 0x7f)),
            C::F32ToU8 => Some((0, 0xff)),
            C::F32ToI16 => Some((-0x8000, 0x7fff)),
            C::F32ToU16 => Some((0, 0xffff)),
            _ => None,
        };
        from.into_iter()
            .map(|a| match step {
                C::WrapI8 => self.wrapped_lanes(a, Scalar::I8),
                C::WrapU8 => self.wrapped_lanes(a, Scalar::U8),
                C::WrapI16 => self.wrapped_lanes(a, Scalar::I16),
                C::WrapU16 => self.wrapped_lanes(a, Scalar::U16),
                C::I32ToF32 => one(self, Lane1::FloatOfSigned, a),
                C::U32ToF32 => one(self, Lane1::FloatOfUnsigned, a),
                C::F32ToU32 => one(self, Lane1::UnsignedOfFloat, a),
                C::U32ToBool | C::F32ToBool => {
                    let (zero, d) = (self.lane_constant(0), self.mask());
                    let kind = if step == C::F32ToBool { Num::Float } else { Num::Unsigned };
                    self.emit(Ins::CompareLanes { test: Test::Ne, kind, d, a, b: zero });
                    d
                }
                _ => {
                    let mut reg = one(self, Lane1::SignedOfFloat, a);
                    if let Some((low, high)) = clamp {
                        let (low, high) =
                            (self.lane_constant(low as u32), self.lane_constant(high as u32));
                        let (up, d) = (self.lane(), self.lane());
                        self.emit(Ins::Lane2 { op: Lane2::MaxSigned, d: up, a: reg, b: low });
                        self.emit(Ins::Lane2 { op: Lane2::MinSigned, d, a: up, b: high });
                        reg = d;
                    }
                    reg
                }
            })
            .collect()
    }

    // --- Calls ---------------------------------------------------------------------------------------

    fn site(&mut self, number: u32, what: SiteKind) -> u32 {
        self.code.sites.push(Site { number, what });
        self.code.sites.len() as u32 - 1
    }

    fn call(&mut self, run: Option<Handler>, args: Vec<Operand>, result: Operand, once: bool) {
        let Some(run) = run else { unreachable!("the plan asked for a handler") };
        let site = self.site(0, SiteKind::Operation { run, args, result, once });
        self.emit(Ins::Call { site });
    }

    fn call_for_int(&mut self, value: Value, run: Option<Handler>, args: Vec<Operand>) -> Reg {
        let d = self.int();
        self.call(run, args, Operand::Int { reg: d, bool: self.is_bool(value) }, true);
        d
    }

    fn call_once_for_lanes(&mut self, run: Option<Handler>, args: Vec<Operand>) -> Vec<Reg> {
        let d = self.lane();
        self.call(run, args, Operand::Lanes(vec![d]), true);
        vec![d; self.parts()]
    }

    fn call_for_lanes(&mut self, bool: bool, run: Option<Handler>, args: Vec<Operand>) -> Vec<Reg> {
        let class = if bool { Class::Mask } else { Class::Vector };
        let regs: Vec<Reg> = (0..self.parts()).map(|_| self.reg(class, false)).collect();
        let result = if bool { Operand::Masks(regs.clone()) } else { Operand::Lanes(regs.clone()) };
        self.call(run, args, result, false);
        regs
    }

    // --- Memory --------------------------------------------------------------------------------------

    /// The base of a region, and the offsets below which an access of so many bytes may start.
    fn region(&mut self, region: u32, bytes: u64, write: bool) -> (Reg, Reg) {
        let at = region as i32 * Layout::REGION_BYTES;
        let base = match self.bases.get(&region) {
            Some(&base) => base,
            None => {
                let (table, base) = (self.regions(), self.int());
                let mem =
                    MemRef { base: MemBase::Reg(table), index: None, disp: at + Layout::BASE };
                self.head.push(Ins::LoadInt { from: Scalar::U64, d: base, mem });
                self.bases.insert(region, base);
                base
            }
        };
        if let Some(&limit) = self.limits.get(&(region, bytes, write)) {
            return (base, limit);
        }
        let table = self.regions();
        let mut code = Vec::new();
        let limit = self.limit(&mut code, table, at, bytes, write);
        self.head.append(&mut code);
        self.limits.insert((region, bytes, write), limit);
        (base, limit)
    }

    fn regions(&mut self) -> Reg {
        // Under a number that no region has.
        if let Some(&table) = self.bases.get(&u32::MAX) {
            return table;
        }
        let table = self.int();
        let mem = MemRef { base: MemBase::Wave, index: None, disp: Layout::REGIONS };
        self.head.push(Ins::LoadInt { from: Scalar::U64, d: table, mem });
        self.bases.insert(u32::MAX, table);
        table
    }

    /// How many offsets an access of so many bytes to the region at `table` may start from.
    fn limit(&mut self, out: &mut Vec<Ins>, table: Reg, at: i32, bytes: u64, write: bool) -> Reg {
        let field = |disp: i32| MemRef { base: MemBase::Reg(table), index: None, disp: at + disp };
        let length = self.int();
        out.push(Ins::LoadInt { from: Scalar::U64, d: length, mem: field(Layout::BYTES) });
        let (more, open) = (self.int(), self.int());
        if write {
            let writable = self.int();
            out.push(Ins::LoadInt {
                from: Scalar::Bool,
                d: writable,
                mem: field(Layout::WRITABLE),
            });
            let zero = self.constant(0);
            out.push(Ins::Choose { wide: true, d: open, c: writable, a: length, b: zero });
        } else {
            out.push(Ins::LoadInt { from: Scalar::U32, d: more, mem: field(Layout::SLACK) });
            out.push(Ins::Int { op: IntOp::Add, wide: true, d: open, a: length, b: more });
        }
        let (less, negative, limit) = (self.int(), self.int(), self.int());
        out.push(Ins::IntImm {
            op: IntOp::Add,
            wide: true,
            d: less,
            a: open,
            imm: 1 - bytes as i32,
        });
        let zero = self.constant(0);
        let (wide, kind) = (true, Num::Signed);
        out.push(Ins::Compare { test: Test::Lt, kind, wide, d: negative, a: less, b: zero });
        out.push(Ins::Choose { wide, d: limit, c: negative, a: zero, b: less });
        limit
    }

    /// The uniform part of an offset.
    fn offset(&mut self, sum: &Sum) -> Reg {
        let mut total = None;
        for &(term, scale) in &sum.same {
            let index = self.widened(term);
            let scaled = self.scaled(index, scale);
            total = Some(match total {
                Some(sum) => self.plus(sum, scaled),
                None => scaled,
            });
        }
        match total {
            Some(total) => self.plus_constant(total, sum.constant),
            None => self.constant(sum.constant as u64),
        }
    }

    fn load(&mut self, value: Value, inst: &Inst) {
        let Some((start, sum)) = self.address(inst.args[0]) else { return };
        let scalar = self.scalar(value);
        let width = inst.ty.width();
        let same = sum.lanes.is_empty();
        let float = scalar.is_float() && inst.ty.space().is_none();
        let bool = scalar == Scalar::Bool;
        let parts = self.parts();
        // The results, before anything is read: a slow path gives them too.
        let components: Vec<Forms> = (0..width)
            .map(|_| {
                if same && !float {
                    Forms { int: Some(self.int()), lanes: Vec::new() }
                } else if same {
                    Forms { int: None, lanes: vec![self.lane(); parts] }
                } else {
                    let class = if bool { Class::Mask } else { Class::Vector };
                    let lanes = (0..parts).map(|_| self.reg(class, false)).collect();
                    Forms { int: None, lanes }
                }
            })
            .collect();
        let data = components
            .iter()
            .map(|forms| match forms.int {
                Some(reg) => Operand::Int { reg, bool },
                None if bool => Operand::Masks(forms.lanes.clone()),
                None => Operand::Lanes(forms.lanes.clone()),
            })
            .collect();
        let joined = inst.imm != 0;
        self.access(value, start, &sum, scalar, data, false, joined);
        if width == 1 {
            let forms = components.into_iter().next().unwrap_or_default();
            return match forms.int {
                Some(reg) => self.give_int(value, reg),
                None => self.give_lanes(value, forms.lanes),
            };
        }
        // An extract that needs a number in lanes spreads it itself.
        self.vectors.insert(value, components);
    }

    fn store(&mut self, value: Value, inst: &Inst) {
        let Some((start, sum)) = self.address(inst.args[0]) else { return };
        let stored = inst.args[1];
        let scalar = self.scalar(stored);
        let bool = scalar == Scalar::Bool;
        let loaded = self.vectors.get(&stored).cloned();
        let components: Vec<(Forms, bool)> = match loaded {
            Some(parts) => parts
                .into_iter()
                .map(|forms| {
                    let same = forms.int.is_some()
                        || forms.lanes.windows(2).all(|pair| pair[0] == pair[1])
                            && self.parts() > 1;
                    (forms, same)
                })
                .collect(),
            None => self
                .components(stored)
                .into_iter()
                .map(|part| {
                    let same = self.shapes.is_same(part);
                    let forms = if sum.lanes.is_empty() && same && self.is_int(part) {
                        Forms { int: Some(self.number(part)), lanes: Vec::new() }
                    } else {
                        Forms { int: None, lanes: self.in_lanes(part) }
                    };
                    (forms, same)
                })
                .collect(),
        };
        let one_address = sum.lanes.is_empty();
        let data = components
            .into_iter()
            .map(|(forms, same)| match forms.int {
                Some(reg) if one_address => Operand::Int { reg, bool },
                Some(reg) => {
                    // A loaded number that goes to many places.
                    let d = self.lane();
                    self.emit(Ins::Spread { d, s: reg });
                    Operand::Lanes(vec![d; self.parts()])
                }
                None if one_address && same && !bool => {
                    let d = self.int();
                    self.emit(Ins::First { d, s: forms.lanes[0] });
                    Operand::Int { reg: d, bool: false }
                }
                None if bool => Operand::Masks(forms.lanes),
                None => Operand::Lanes(forms.lanes),
            })
            .collect();
        self.access(value, start, &sum, scalar, data, true, false);
    }

    /// Reads or writes components of a scalar type that are side by side in memory.
    #[allow(clippy::too_many_arguments)] // What an access is.
    fn access(
        &mut self,
        value: Value,
        start: Start,
        sum: &Sum,
        scalar: Scalar,
        data: Vec<Operand>,
        write: bool,
        joined: bool,
    ) {
        let size = u64::from(scalar.bytes());
        let total = size * data.len() as u64;
        let lanes = i64::from(self.strip.lanes * self.strip.parts);
        let mut offset = self.offset(sum);
        let step = self.step(sum).filter(|_| !sum.lanes.is_empty());
        let one_address = sum.lanes.is_empty();
        let contiguous = step == Some(total as i64) && data.len() == 1;
        // Narrow scalars are gathered as words, which may lie past the end.
        let over = if one_address || contiguous { 0 } else { 4u64.saturating_sub(size) };
        let span = match step {
            Some(step) => step as u64 * (lanes as u64 - 1),
            None => 0,
        };
        let (region, base, limit) = match start {
            Start::Region(number) => {
                let (base, limit) = self.region(number, total + span + over, write);
                (RegionRef::Number(number), base, limit)
            }
            Start::Pointer(pointer) => {
                let (found, row, inner) = self.find_region(pointer);
                offset = self.plus(offset, inner);
                let base = self.int();
                let mem = MemRef { base: MemBase::Reg(row), index: None, disp: Layout::BASE };
                self.emit(Ins::LoadInt { from: Scalar::U64, d: base, mem });
                let mut code = Vec::new();
                let limit = self.limit(&mut code, row, 0, total + span + over, write);
                self.out.append(&mut code);
                (RegionRef::Found(found), base, limit)
            }
        };
        let affine = step.is_some();
        let terms: Vec<Term> = sum
            .lanes
            .iter()
            .map(|&(index, scale)| Term {
                index: match self.shapes.shape(index) {
                    Shape::Affine(stride) if affine => {
                        LaneIndex::Affine { first: self.number(index), stride }
                    }
                    _ => LaneIndex::Lanes(self.in_lanes(index)),
                },
                signed: self.scalar(index).is_signed(),
                scale,
            })
            .collect();
        let access = Access {
            write,
            region,
            scalar,
            offset,
            terms: terms.clone(),
            exec: self.exec.clone(),
            data: data.clone(),
            joined,
        };
        let site = self.site(self.run.access_site(value), SiteKind::Access(access));
        let varies = data.iter().any(|data| !matches!(data, Operand::Int { .. }));
        let bool = scalar == Scalar::Bool;
        let slow = if write {
            // The last active lane's value, scattered narrow ones, and truth values that differ.
            one_address && varies
                || !one_address && (bool || !self.strip.scatters && !(contiguous && size == 4))
                || !one_address && !contiguous && size != 4
        } else {
            !one_address && size == 8
        };
        if slow {
            return self.emit(Ins::Call { site });
        }
        if one_address {
            self.emit(Ins::CheckBelow { a: offset, limit, site });
            for (at, data) in data.iter().enumerate() {
                let disp = at as i32 * size as i32;
                let mem = MemRef { base: MemBase::Reg(base), index: Some(offset), disp };
                match data {
                    Operand::Int { reg, .. } if write && bool => {
                        let d = self.int();
                        self.emit(Ins::IntImm { op: IntOp::And, wide: false, d, a: *reg, imm: 1 });
                        self.emit(Ins::StoreInt { bytes: 1, mem, s: d });
                    }
                    Operand::Int { reg, .. } if write => {
                        self.emit(Ins::StoreInt { bytes: size as u32, mem, s: *reg });
                    }
                    Operand::Int { reg, .. } => {
                        self.emit(Ins::LoadInt { from: scalar, d: *reg, mem });
                    }
                    Operand::Lanes(regs) | Operand::Masks(regs) => {
                        self.emit(Ins::LoadSpread { d: regs[0], mem });
                    }
                }
            }
            return self.emit(Ins::SiteEnd { site });
        }
        if let Some(step) = step {
            return self.evenly(
                &access_parts(&terms),
                offset,
                base,
                limit,
                step,
                site,
                scalar,
                &data,
                write,
                sum,
            );
        }
        self.scattered(&terms, offset, base, limit, site, scalar, &data, write, sum);
    }

    /// The number of the region that a pointer is in, where its row of the table is, and the offset in it.
    fn find_region(&mut self, pointer: Value) -> (Reg, Reg, Reg) {
        let pointer = self.number(pointer);
        let half = self.constant(1 << 47);
        let (sum, number, up, offset) = (self.int(), self.int(), self.int(), self.int());
        self.emit(Ins::Int { op: IntOp::Add, wide: true, d: sum, a: pointer, b: half });
        self.emit(Ins::IntImm { op: IntOp::Shr, wide: true, d: number, a: sum, imm: 48 });
        self.emit(Ins::IntImm { op: IntOp::Shl, wide: true, d: up, a: pointer, imm: 16 });
        self.emit(Ins::IntImm { op: IntOp::Sar, wide: true, d: offset, a: up, imm: 16 });
        // A number that no region has is taken for null's, which has no bytes.
        let (count, known, safe) = (self.int(), self.int(), self.int());
        let mem = MemRef { base: MemBase::Wave, index: None, disp: Layout::REGION_COUNT };
        self.emit(Ins::LoadInt { from: Scalar::U32, d: count, mem });
        let (wide, kind) = (true, Num::Unsigned);
        self.emit(Ins::Compare { test: Test::Lt, kind, wide, d: known, a: number, b: count });
        let zero = self.constant(0);
        self.emit(Ins::Choose { wide, d: safe, c: known, a: number, b: zero });
        let (bytes, row, table) = (self.int(), self.int(), self.regions());
        let imm = Layout::REGION_BYTES;
        self.emit(Ins::IntImm { op: IntOp::Mul, wide, d: bytes, a: safe, imm });
        self.emit(Ins::Int { op: IntOp::Add, wide, d: row, a: table, b: bytes });
        (number, row, offset)
    }

    /// An access by lanes that are evenly apart.
    #[allow(clippy::too_many_arguments)] // As above.
    fn evenly(
        &mut self,
        firsts: &[(Reg, u32, bool, i64)],
        offset: Reg,
        base: Reg,
        limit: Reg,
        step: i64,
        site: u32,
        scalar: Scalar,
        data: &[Operand],
        write: bool,
        sum: &Sum,
    ) {
        let size = i64::from(scalar.bytes());
        let lanes = i64::from(self.strip.lanes * self.strip.parts);
        // Where an index may wrap between lanes and still be in bounds, that it does not is checked.
        let may_wrap = firsts.len() > 1 || !sum.same.is_empty() || sum.constant < -MAX_BACK;
        let mut start = offset;
        for &(first, stride, signed, scale) in firsts {
            let wide = if signed {
                let d = self.int();
                self.emit(Ins::Widen { from: Scalar::I32, wide: true, d, s: first });
                d
            } else {
                first
            };
            if may_wrap {
                let (edge, up) =
                    (if signed { 1i64 << 31 } else { 1 << 32 }, i64::from(stride) * (lanes - 1));
                // Signed numbers are moved up, so that one unsigned comparison will do.
                let moved = self.plus_constant(wide, if signed { 1 << 31 } else { 0 });
                let bound = self.constant((edge + if signed { 1 << 31 } else { 0 } - up) as u64);
                self.emit(Ins::CheckBelow { a: moved, limit: bound, site });
            }
            let scaled = self.scaled(wide, scale);
            start = if start == offset && sum.same.is_empty() {
                self.plus_constant(scaled, sum.constant)
            } else {
                self.plus(start, scaled)
            };
        }
        self.emit(Ins::CheckBelow { a: start, limit, site });
        if data.len() == 1 && step == size {
            for part in 0..self.parts() {
                let disp = (part as i64 * i64::from(self.strip.lanes) * size) as i32;
                let mem = MemRef { base: MemBase::Reg(base), index: Some(start), disp };
                self.part_of_row(mem, scalar, &data[0], part, write);
            }
        } else {
            let at = self.plus(base, start);
            for part in 0..self.parts() {
                let first = part as u32 * self.strip.lanes;
                let offsets = self.lane_home(Home::Iota { first, factor: step as u32 });
                for (component, data) in data.iter().enumerate() {
                    let disp = component as i32 * size as i32;
                    self.lanes_at(at, offsets, disp, scalar, data, part, write);
                }
            }
        }
        self.emit(Ins::SiteEnd { site });
    }

    fn part_of_row(
        &mut self,
        mem: MemRef,
        scalar: Scalar,
        data: &Operand,
        part: usize,
        write: bool,
    ) {
        let mask = self.exec[part];
        match data {
            Operand::Lanes(regs) if write => {
                self.emit(Ins::Store { bytes: scalar.bytes(), mem, s: regs[part], mask });
            }
            Operand::Lanes(regs) => self.emit(Ins::Load { from: scalar, d: regs[part], mem }),
            Operand::Masks(regs) => {
                let (wide, zero) = (self.lane(), self.lane_constant(0));
                self.emit(Ins::Load { from: Scalar::U8, d: wide, mem });
                let (test, kind) = (Test::Ne, Num::Unsigned);
                self.emit(Ins::CompareLanes { test, kind, d: regs[part], a: wide, b: zero });
            }
            Operand::Int { .. } => unreachable!("lanes at many addresses"),
        }
    }

    /// Reads or writes each lane at `base` plus its offset plus a displacement.
    #[allow(clippy::too_many_arguments)] // As above.
    fn lanes_at(
        &mut self,
        base: Reg,
        offsets: Reg,
        disp: i32,
        scalar: Scalar,
        data: &Operand,
        part: usize,
        write: bool,
    ) {
        let mask = self.exec[part];
        match data {
            Operand::Lanes(regs) if write => {
                self.emit(Ins::Scatter { base, offsets, disp, s: regs[part], mask });
            }
            Operand::Lanes(regs) if scalar.bytes() == 4 => {
                self.emit(Ins::Gather { d: regs[part], base, offsets, disp, mask });
            }
            Operand::Lanes(regs) | Operand::Masks(regs) => {
                // The low bytes of a word.
                let (word, up) = (self.lane(), self.lane());
                self.emit(Ins::Gather { d: word, base, offsets, disp, mask });
                let bits = 32 - 8 * scalar.bytes() as u8;
                self.emit(Ins::Lane1 { op: Lane1::Shl(bits), d: up, a: word });
                if scalar == Scalar::Bool {
                    let zero = self.lane_constant(0);
                    let (test, kind) = (Test::Ne, Num::Unsigned);
                    self.emit(Ins::CompareLanes { test, kind, d: regs[part], a: up, b: zero });
                } else {
                    let op = if scalar.is_signed() { Lane1::Sar(bits) } else { Lane1::Shr(bits) };
                    self.emit(Ins::Lane1 { op, d: regs[part], a: up });
                }
            }
            Operand::Int { .. } => unreachable!("lanes at many addresses"),
        }
    }

    /// An access by lanes anywhere.
    #[allow(clippy::too_many_arguments)] // As above.
    fn scattered(
        &mut self,
        terms: &[Term],
        offset: Reg,
        base: Reg,
        limit: Reg,
        site: u32,
        scalar: Scalar,
        data: &[Operand],
        write: bool,
        sum: &Sum,
    ) {
        // Each term below 2^28 and the uniform part below 2^30 keep the sum below 2^31.
        const TERM: i64 = 1 << 28;
        const PART: i64 = 1 << 30;
        let fixed = sum.same.is_empty() && sum.constant.abs() < PART;
        let plain = fixed && sum.constant == 0;
        if !fixed {
            let moved = self.plus_constant(offset, PART);
            let bound = self.constant(2 * PART as u64);
            self.emit(Ins::CheckBelow { a: moved, limit: bound, site });
        }
        let spread = |selection: &mut Self, s: Reg| {
            let d = selection.lane();
            selection.emit(Ins::Spread { d, s });
            d
        };
        let uniform = if plain { None } else { Some(spread(self, offset)) };
        let bound = spread(self, limit);
        let offsets: Vec<Reg> = (0..self.parts())
            .map(|part| {
                let mut good: Option<Reg> = None;
                let mut also = |selection: &mut Self, mask: Reg| {
                    good = Some(match good {
                        Some(good) => {
                            let d = selection.mask();
                            selection.emit(Ins::MaskBin { op: MaskOp::And, d, a: good, b: mask });
                            d
                        }
                        None => mask,
                    });
                };
                let mut sum = uniform;
                for term in terms {
                    let LaneIndex::Lanes(regs) = &term.index else {
                        unreachable!("lanes that are not even")
                    };
                    let index = regs[part];
                    let most = TERM / term.scale.abs();
                    let (moved, range) = if term.signed {
                        let up = self.lane_constant(most as u32);
                        let d = self.lane();
                        self.emit(Ins::Lane2 { op: Lane2::Add, d, a: index, b: up });
                        (d, self.lane_constant(2 * most as u32))
                    } else {
                        (index, self.lane_constant(most as u32))
                    };
                    let mask = self.mask();
                    let (test, kind) = (Test::Lt, Num::Unsigned);
                    self.emit(Ins::CompareLanes { test, kind, d: mask, a: moved, b: range });
                    also(self, mask);
                    let scaled = if term.scale == 1 {
                        index
                    } else {
                        let d = self.lane();
                        if term.scale > 0 && (term.scale as u64).is_power_of_two() {
                            let bits = term.scale.trailing_zeros() as u8;
                            self.emit(Ins::Lane1 { op: Lane1::Shl(bits), d, a: index });
                        } else {
                            let by = self.lane_constant(term.scale as u32);
                            self.emit(Ins::Lane2 { op: Lane2::Mul, d, a: index, b: by });
                        }
                        d
                    };
                    sum = Some(match sum {
                        Some(sum) => {
                            let d = self.lane();
                            self.emit(Ins::Lane2 { op: Lane2::Add, d, a: sum, b: scaled });
                            d
                        }
                        None => scaled,
                    });
                }
                let sum = sum.unwrap_or(bound);
                let mask = self.mask();
                let (test, kind) = (Test::Lt, Num::Unsigned);
                self.emit(Ins::CompareLanes { test, kind, d: mask, a: sum, b: bound });
                also(self, mask);
                let active = self.exec[part];
                if let Some(good) = good {
                    self.emit(Ins::CheckLanes { active, good, site });
                }
                sum
            })
            .collect();
        for (part, &offsets) in offsets.iter().enumerate() {
            for (component, data) in data.iter().enumerate() {
                let disp = component as i32 * scalar.bytes() as i32;
                self.lanes_at(base, offsets, disp, scalar, data, part, write);
            }
        }
        self.emit(Ins::SiteEnd { site });
    }
}

/// The first lanes of terms, their strides, signs and scales.
fn access_parts(terms: &[Term]) -> Vec<(Reg, u32, bool, i64)> {
    terms
        .iter()
        .filter_map(|term| match term.index {
            LaneIndex::Affine { first, stride } => Some((first, stride, term.signed, term.scale)),
            LaneIndex::Lanes(_) => None,
        })
        .collect()
}

/// The operation of one operand, if it is one of the machine's.
fn lane1(op: Op, row: Scalar) -> Option<Lane1> {
    Some(match (op, row) {
        (Op::Sqrt, Scalar::F32) => Lane1::Sqrt,
        (Op::Floor, Scalar::F32) => Lane1::Floor,
        (Op::Ceil, Scalar::F32) => Lane1::Ceil,
        (Op::Trunc, Scalar::F32) => Lane1::Trunc,
        (Op::Rint, Scalar::F32) => Lane1::Rint,
        (Op::Abs, Scalar::I32) => Lane1::AbsInt,
        (Op::Abs, Scalar::U32) => Lane1::Move,
        _ => return None,
    })
}

/// The operation of two operands, if it is one of the machine's.
fn lane2(op: Op, row: Scalar) -> Option<Lane2> {
    Some(match (op, row) {
        (Op::Add, Scalar::F32) => Lane2::AddFloat,
        (Op::Sub, Scalar::F32) => Lane2::SubFloat,
        (Op::Mul, Scalar::F32) => Lane2::MulFloat,
        (Op::Div, Scalar::F32) => Lane2::DivFloat,
        (Op::Min, Scalar::F32) => Lane2::MinFloat,
        (Op::Max, Scalar::F32) => Lane2::MaxFloat,
        (Op::Add, Scalar::U32) => Lane2::Add,
        (Op::Sub, Scalar::U32) => Lane2::Sub,
        (Op::Mul, Scalar::U32) => Lane2::Mul,
        (Op::Min, Scalar::I32) => Lane2::MinSigned,
        (Op::Min, Scalar::U32) => Lane2::MinUnsigned,
        (Op::Max, Scalar::I32) => Lane2::MaxSigned,
        (Op::Max, Scalar::U32) => Lane2::MaxUnsigned,
        (Op::And, Scalar::U32) => Lane2::And,
        (Op::Or, Scalar::U32) => Lane2::Or,
        (Op::Xor, Scalar::U32) => Lane2::Xor,
        _ => return None,
    })
}

/// Whether an operation has code in lanes.
fn has_lanes(op: Op, row: Scalar, _strip: Strip) -> bool {
    let word = matches!(row, Scalar::I32 | Scalar::U32 | Scalar::F32);
    let other = match op {
        Op::Eq | Op::Ne | Op::Lt | Op::Le => word,
        Op::IsNan | Op::Fma | Op::CopySign => row == Scalar::F32,
        Op::Neg => word,
        Op::Abs => row == Scalar::F32,
        Op::Not => row == Scalar::U32,
        Op::Shl | Op::Shr => matches!(row, Scalar::I32 | Scalar::U32),
        _ => false,
    };
    other || lane1(op, row).is_some() || lane2(op, row).is_some()
}
