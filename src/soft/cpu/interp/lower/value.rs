//! Instructions: arithmetic, conversions, variables, and what lanes do together.

use super::{Field, Lowering, NONE, Operand, lane_bytes, size_of_type};
use crate::soft::cpu::interp::lanes::{self, Conversion};
use crate::soft::cpu::interp::registers::Size;
use crate::soft::cpu::interp::{control, simd};
use crate::soft::ir::semantics::{needs_narrowing, row_scalar};
use crate::soft::ir::{Barrier, Inst, Op, Rule, Scalar, Space, Type, Value, VarId};

/// About how long an operation on 32 lanes takes beyond the least, in units of 10 ns: rather too long than too short,
/// on the slowest instruction set, with memory that is not in the cache. The watchdog counts in these units.
fn work(op: Op) -> u32 {
    match (op, op.row().rule) {
        (Op::TextureRead | Op::TextureWrite | Op::TextureSize, _) => 128,
        (_, Rule::Exactly(..) | Rule::Probe) => 1024,
        (Op::Div | Op::Rem | Op::Sqrt, _) => 64,
        // Without an instruction for it.
        (Op::Fma, _) => 64,
        (_, Rule::Atomic | Rule::AtomicCompare | Rule::AtomicLoad | Rule::AtomicStore) => 256,
        (_, Rule::Load | Rule::Store) => 32,
        (_, Rule::MatrixLoad | Rule::MatrixStore | Rule::MatrixMultiplyAdd) => 64,
        (_, Rule::Across(_) | Rule::Shuffle | Rule::ShuffleFill | Rule::Vote) => 16,
        _ => 0,
    }
}

impl Lowering<'_> {
    pub(super) fn instruction(&mut self, value: Value) {
        let before = self.code.len();
        self.lower(value);
        if self.code.len() > before {
            let work = work(self.function.inst(value).op);
            self.add_work(if self.is_uniform(value) { work / 16 } else { work });
        }
    }

    fn lower(&mut self, value: Value) {
        let inst = *self.function.inst(value);
        self.at(inst.span);
        if self.done[value.index()] || inst.op.is_removable() && !self.uses.is_needed(value) {
            return;
        }
        match inst.op.row().rule {
            Rule::Same(..) | Rule::Compare(_) | Rule::Test(_) => {
                self.arithmetic(value, &inst);
            }
            Rule::Select => self.select(value, &inst),
            Rule::Convert => self.convert(value, &inst),
            Rule::Bitcast => self.bitcast(value, &inst),
            Rule::Given if inst.op == Op::Get => self.read(value, VarId(inst.imm as u32)),
            Rule::Set => self.assign(VarId(inst.imm as u32), inst.args[0]),
            Rule::Index | Rule::Field => self.pointer(value),
            Rule::PointerToInt if inst.op == Op::Address => self.pointer_address(value, &inst),
            Rule::PointerToInt | Rule::IntToPointer => {
                self.values[value.index()] = Some(self.operand(inst.args[0]));
            }
            Rule::Form => self.form(value, &inst),
            Rule::Load => self.load(value, &inst),
            Rule::Store => self.store(&inst),
            Rule::Extract => {
                let component = self.vectors.get(&inst.args[0]).map(|all| all[inst.imm as usize]);
                self.values[value.index()] = component;
            }
            // The operand of a store or a matrix, which takes the components.
            Rule::Compose => {}
            Rule::Across(_) | Rule::Shuffle | Rule::ShuffleFill | Rule::Vote | Rule::Given => {
                self.across(value, &inst);
            }
            Rule::Atomic | Rule::AtomicCompare | Rule::AtomicLoad | Rule::AtomicStore => {
                self.atomic(value, &inst);
            }
            Rule::MatrixLoad => self.matrix_load(value, &inst),
            Rule::MatrixStore => self.matrix_store(&inst),
            Rule::MatrixMultiplyAdd => self.matrix_multiply_add(value, &inst),
            Rule::Exactly(..) => self.texture(value, &inst),
            Rule::Probe => self.probe(&inst),
            Rule::Unwritten => self.unwritten(value, &inst),
            Rule::Barrier => {
                if Barrier::from_imm(inst.imm).0 == Barrier::Threadgroup {
                    self.has_barrier = true;
                    self.emit::<control::Barrier>([NONE; 4], inst.imm);
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
            Rule::To(..) | Rule::Scale => unreachable!("library functions were expanded"),
        }
    }

    pub(super) fn space(&self, pointer: Value) -> Space {
        self.function.ty(pointer).space().unwrap_or(Space::Device)
    }

    pub(super) fn scalar(&self, value: Value) -> Scalar {
        self.function.ty(value).scalar().unwrap_or(Scalar::U64)
    }

    fn arithmetic(&mut self, value: Value, inst: &Inst) {
        let scalar = self.scalar(inst.args[0]);
        if scalar == Scalar::Bool {
            return self.logic(value, inst);
        }
        let Some(row) = row_scalar(inst.op, scalar) else {
            unreachable!("{} of {scalar} has a row", inst.op.row().name)
        };
        let operands: Vec<Operand> = inst.args.iter().map(|&arg| self.operand(arg)).collect();
        let uniform: Vec<bool> = operands.iter().map(|operand| operand.uniform).collect();
        let once = uniform.iter().all(|&uniform| uniform);
        let Some(run) = lanes::handler(inst.op, row, once) else {
            unreachable!("{} of {row} has a handler", inst.op.row().name)
        };
        let to = self.destination(value);
        let mut fields = [to, NONE, NONE, NONE];
        for (field, operand) in fields[1..].iter_mut().zip(&operands) {
            *field = operand.field;
        }
        self.emit_run(run, fields, lanes::uniform_bits(&uniform));
        if needs_narrowing(inst.op, scalar) {
            self.step(Conversion::narrowing(scalar), to, to, self.is_uniform(value));
        }
    }

    pub(super) fn step(&mut self, step: Option<Conversion>, to: Field, from: Field, uniform: bool) {
        if let Some(step) = step {
            self.emit_run(step.handler(uniform), [to, from, NONE, NONE], 0);
        }
    }

    /// Operations on `bool`s work on masks, whether uniform or not.
    fn logic(&mut self, value: Value, inst: &Inst) {
        let a = self.field(inst.args[0]);
        let b = inst.args.get(1).map(|&arg| self.field(arg));
        let to = self.destination(value);
        let mut emit = |op, fields: [Field; 4]| {
            if let Some(run) = lanes::handler(op, Scalar::U32, true) {
                self.emit_run(run, fields, 0);
            }
        };
        match (inst.op, b) {
            (Op::Eq, Some(b)) => {
                emit(Op::Xor, [to, a, b, NONE]);
                emit(Op::Not, [to, to, NONE, NONE]);
            }
            (Op::Ne, Some(b)) => emit(Op::Xor, [to, a, b, NONE]),
            (op, Some(b)) => emit(op, [to, a, b, NONE]),
            (op, None) => emit(op, [to, a, NONE, NONE]),
        }
    }

    fn select(&mut self, value: Value, inst: &Inst) {
        let operands: Vec<Operand> = inst.args.iter().map(|&arg| self.operand(arg)).collect();
        let [condition, a, b] = operands[..] else { unreachable!("three operands") };
        let to = self.destination(value);
        let fields = [to, a.field, b.field, condition.field];
        if self.is_uniform(value) || inst.ty == Type::BOOL {
            return self.emit::<lanes::SelectSlot>(fields, 0);
        }
        let uniform = lanes::uniform_bits(&[a.uniform, b.uniform]);
        self.emit_run(lanes::select(lane_bytes(inst.ty)), fields, uniform);
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
            let uniform = lanes::uniform_bits(&[true; 2]);
            return self.emit_run(lanes::select(lane_bytes(inst.ty)), fields, uniform);
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
        let (from, to) = (self.scalar(inst.args[0]), self.scalar(value));
        let source = self.operand(inst.args[0]);
        self.steps(value, source, &Conversion::bitcast(from, to));
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
    pub(super) fn copy(&mut self, to: Field, from: Operand, ty: Type, slot: bool, masked: bool) {
        if ty == Type::BOOL && masked && !slot {
            return self.emit::<lanes::MoveSlot<true>>([to, from.field, NONE, NONE], 0);
        }
        if slot || ty == Type::BOOL {
            return self.emit::<lanes::MoveSlot<false>>([to, from.field, NONE, NONE], 0);
        }
        let run = lanes::move_to_lanes(lane_bytes(ty), from.uniform, masked);
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
}
