//! Accesses to memory, with their addresses folded in; pointers; atomics.

use super::{
    AddressPart, Field, Joined, Lowering, NONE, Operand, THREAD_POINTER, UNKNOWN_LOCAL,
    size_of_type,
};
use crate::soft::cpu::interp::code::Run;
use crate::soft::cpu::interp::lanes;
use crate::soft::cpu::interp::memory::{Access, Lanes, OFFSET_BITS, place};
use crate::soft::cpu::interp::pointer::{self, Scaled, ScaledOnce, form};
use crate::soft::cpu::interp::prepared::Prepare;
use crate::soft::cpu::interp::probe::{Observe, Unwritten};
use crate::soft::cpu::interp::registers::Size;
use crate::soft::cpu::interp::thread::{thread_flags, thread_imm};
use crate::soft::cpu::interp::{atomic, control};
use crate::soft::ir::facts::address::{Base, Lanewise, Plan};
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Block, Inst, Op, Scalar, Space, Type, Value};

/// Scalars that one instruction of the bytecode loads, at most. Longer vectors are loaded, and checked, piece by piece.
pub(crate) const PIECE: usize = 4;

/// How an access finds its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addressing {
    Uniform,
    Indexed,
    Prepared,
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

/// A component of a value that is stored, or passed to a texture operation.
#[derive(Clone, Copy)]
pub(super) enum Part {
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
    /// A pointer that is more than an address: computed whole, in 64 bits.
    pub(super) fn pointer(&mut self, value: Value) {
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
        let run = lanes::move_to_lanes(8, false, false);
        self.emit_run(run, [to, sum, NONE, NONE], 0);
    }

    /// Where a pointer points to in the machine's memory.
    pub(super) fn pointer_address(&mut self, value: Value, inst: &Inst) {
        let from = self.operand(inst.args[0]);
        if self.space(inst.args[0]) == Space::Thread {
            self.values[value.index()] = Some(from);
            return;
        }
        let to = self.destination(value);
        let fields = [to, from.field, NONE, NONE];
        if self.is_uniform(value) {
            self.emit::<pointer::Address<true>>(fields, 0);
        } else {
            self.emit::<pointer::Address<false>>(fields, 0);
        }
    }

    /// A pointer or texture in its other form.
    pub(super) fn form(&mut self, value: Value, inst: &Inst) {
        let from = self.operand(inst.args[0]);
        let operation = match (inst.op, inst.ty.space()) {
            (Op::FromMemory, Some(_)) => form::POINTER,
            (Op::FromMemory, None) => form::TEXTURE,
            (_, Some(_)) => form::ADDRESS,
            (_, None) => form::ID,
        };
        let fields = [self.destination(value), from.field, NONE, NONE];
        let imm = operation | inst.imm << form::EXPECTED;
        if self.is_uniform(value) {
            self.emit::<pointer::Form<true>>(fields, imm);
        } else {
            self.emit::<pointer::Form<false>>(fields, imm);
        }
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
                let run = lanes::move_to_lanes(8, true, false);
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
            let run = lanes::move_to_lanes(8, true, false);
            self.emit_run(run, [spread, offset, NONE, NONE], 0);
            let to = self.temporary(Size::Lanes8);
            self.emit::<Scaled<true>>([to, spread, sum, Field::Raw(2)], 1);
            sum = to;
        }
        sum
    }

    /// A probe, which takes whole pointers and the bits that are stored.
    pub(super) fn probe(&mut self, inst: &Inst) {
        let mut fields = [NONE; 4];
        for (field, &arg) in fields[1..].iter_mut().zip(inst.args.iter()) {
            *field = self.in_lanes(arg);
        }
        self.emit::<Observe>(fields, inst.imm);
    }

    /// Which bytes of threadgroup memory were not written.
    pub(super) fn unwritten(&mut self, value: Value, inst: &Inst) {
        let pointers = self.in_lanes(inst.args[0]);
        let to = self.destination(value);
        self.emit::<Unwritten>([to, pointers, NONE, NONE], inst.imm);
    }

    pub(super) fn load(&mut self, value: Value, inst: &Inst) {
        let mut plan = Plan::of(self.function, self.uniform, inst.args[0]);
        let uniform = self.is_uniform(value);
        let scalar = self.scalar(value);
        let registers = if inst.ty.width() == 1 {
            vec![self.destination(value)]
        } else {
            let component = |lowering: &mut Self| {
                let field = if lowering.hoisting {
                    lowering.hoisted_slot()
                } else {
                    lowering.temporary(size_of_type(Type::Scalar(scalar), uniform))
                };
                Operand { field, uniform }
            };
            let parts: Vec<Operand> = (0..inst.ty.width()).map(|_| component(self)).collect();
            let fields = parts.iter().map(|part| part.field).collect();
            self.vectors.insert(value, parts);
            fields
        };
        for (piece, registers) in registers.chunks(PIECE).enumerate() {
            let ty = match inst.ty {
                Type::Vector(scalar, _) => Type::of(scalar, registers.len() as u32),
                ty => ty,
            };
            let address = self.address(&plan, self.space(inst.args[0]));
            self.note_joined(inst, (piece * PIECE) as u32);
            let access = match address.kind {
                Addressing::Uniform => Access::Uniform,
                Addressing::Indexed => Access::Indexed { write: false },
                Addressing::Prepared => Access::Prepared { write: false },
                Addressing::Thread { lanewise } => Access::Thread { write: false, lanewise },
            };
            self.access(access, ty, &address, registers);
            plan.displacement = plan.displacement.wrapping_add(ty.bytes().into());
        }
    }

    /// Notes for reports that the next instruction does loads that were joined, from a component on.
    pub(super) fn note_joined(&mut self, inst: &Inst, component: u32) {
        let Some(number) = (inst.imm as usize).checked_sub(1) else { return };
        let loads = self.function.joined[number].clone();
        let bytes = inst.ty.scalar().map_or(0, Scalar::bytes);
        self.joined.push(Joined { at: self.code.len(), loads, bytes, component });
    }

    pub(super) fn store(&mut self, inst: &Inst) {
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
            Addressing::Prepared => Access::Prepared { write: true },
            Addressing::Thread { lanewise } => Access::Thread { write: true, lanewise },
        };
        let once = access == Access::StoreOnce;
        let scalar = Type::Scalar(ty.scalar().unwrap_or(Scalar::U64));
        let registers: Vec<Field> = parts
            .iter()
            .map(|&part| match part {
                Part::Value(value) if once => self.field(value),
                Part::Loaded(operand) if once => operand.field,
                part => self.part_in_lanes(part, scalar),
            })
            .collect();
        self.access(access, ty, &address, &registers);
    }

    /// A component in lanes, spread if it is uniform.
    pub(super) fn part_in_lanes(&mut self, part: Part, scalar: Type) -> Field {
        match part {
            Part::Value(value) => self.in_lanes(value),
            Part::Loaded(operand) if !operand.uniform => operand.field,
            Part::Loaded(operand) => {
                let to = self.temporary(size_of_type(scalar, false));
                self.copy(to, operand, scalar, false, false);
                to
            }
        }
    }

    /// The components of a value that is stored, or passed to a texture operation.
    pub(super) fn components(&self, value: Value) -> Vec<Part> {
        let inst = self.function.inst(value);
        match self.vectors.get(&value) {
            Some(parts) => parts.iter().map(|&part| Part::Loaded(part)).collect(),
            None if inst.op == Op::Compose => {
                inst.args.iter().map(|&arg| Part::Value(arg)).collect()
            }
            None => vec![Part::Value(value)],
        }
    }

    fn emit_access(&mut self, run: Run, data: Field, address: &Address, flags: u32) {
        self.emit_run(run, [data, address.index, address.offset, address.place], address.imm);
        self.code.last_mut().expect("just emitted").flags = flags;
    }

    fn access(&mut self, access: Access, ty: Type, address: &Address, registers: &[Field]) {
        let run = access.handler(ty);
        let first = if registers.len() == 1 { registers[0] } else { NONE };
        let flags = match access {
            Access::Thread { lanewise, .. } => thread_flags(lanewise),
            _ => address.flags,
        };
        self.emit_access(run, first, address, flags | place::width_bits(registers.len()));
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
            Base::Pointer(_) if self.lane_pointer(plan).is_some() => (NONE, place::LANE_POINTERS),
            Base::Pointer(pointer) => (self.field(pointer), place::POINTER),
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
                address.kind = Addressing::Prepared;
                address.index = self.prepared(plan);
            }
        }
        if i32::try_from(plan.displacement).is_ok() {
            address.imm |= (plan.displacement as u32 as u64) << 32;
            if !plan.uniform.is_empty() {
                address.offset = self.common_sum(plan);
                flags |= place::OFFSET;
            }
        } else {
            address.offset = self.uniform_sum(zero, plan);
            flags |= place::OFFSET;
        }
        Address { flags, ..address }
    }

    /// Where the lanes of an address point, found here unless it was before.
    fn prepared(&mut self, plan: &Plan) -> Field {
        let pointer = self.lane_pointer(plan);
        let part = AddressPart::Lanes(pointer, plan.lanes.clone());
        if let Some(&found) = self.parts.get(&part) {
            return found;
        }
        let base = pointer.map(|pointer| self.operand(pointer));
        let from = self.lane_sum(base, plan, false);
        let to = self.temporary(Size::Prepared);
        let fields = [to, from, NONE, NONE];
        match pointer {
            Some(_) => self.emit::<Prepare<true>>(fields, 0),
            None => self.emit::<Prepare<false>>(fields, 0),
        }
        self.keep_part(part, to)
    }

    /// The slot of an address's uniform terms, added up here unless they were before.
    fn common_sum(&mut self, plan: &Plan) -> Field {
        if let [(index, 1)] = plan.uniform[..]
            && index_kind(self.scalar(index)) == 2
        {
            return self.field(index);
        }
        let part = AddressPart::Sum(plan.uniform.clone());
        if let Some(&made) = self.parts.get(&part) {
            return made;
        }
        let zero = self.constant(0);
        let sum = self.uniform_sum(zero, &Plan { displacement: 0, ..plan.clone() });
        self.keep_part(part, sum)
    }

    /// Keeps a part until the end of the block.
    fn keep_part(&mut self, part: AddressPart, made: Field) -> Field {
        self.parts.insert(part.clone(), made);
        self.parts_here.push(part);
        made
    }

    /// Forgets all parts but the first ones.
    pub(super) fn forget_parts(&mut self, first: usize) {
        for part in self.parts_here.drain(first..) {
            self.parts.remove(&part);
        }
    }

    /// The pointer that an address starts from, if that varies.
    fn lane_pointer(&self, plan: &Plan) -> Option<Value> {
        match plan.base {
            Base::Pointer(pointer) if !self.is_uniform(pointer) => Some(pointer),
            _ => None,
        }
    }

    /// Finds before a loop where the lanes point that do not move in it.
    pub(super) fn prepare_for(&mut self, block: &Block) {
        for value in instructions(block) {
            self.prepare_early(self.function.inst(value));
        }
    }

    fn prepare_early(&mut self, access: &Inst) {
        if !matches!(access.op, Op::Load | Op::Store) || self.space(access.args[0]) == Space::Thread
        {
            return;
        }
        let plan = Plan::of(self.function, self.uniform, access.args[0]);
        let moves = plan.lanewise(self.function, self.uniform) == Lanewise::Sum;
        let known = |value: Value| self.values[value.index()].is_some();
        let leaves = plan.lanes.iter().map(|&(index, _)| index).chain(self.lane_pointer(&plan));
        if moves && leaves.into_iter().all(known) {
            self.prepared(&plan);
        }
    }

    /// The operands of an access to thread memory. Everything that is added is 64 bits wide, as elsewhere, so that
    /// parts which are far out of bounds by themselves may cancel out.
    fn thread_address(&mut self, plan: &Plan) -> Address {
        let zero = self.constant(0);
        let (bytes, number, start, base) = match plan.base {
            Base::Local(number) => {
                let bytes = self.function.locals[number as usize].bytes;
                let in_reports = self.first_local.saturating_add(number);
                (bytes, in_reports, self.local_starts[number as usize], None)
            }
            Base::Region(_) => (0, UNKNOWN_LOCAL, 0, None),
            Base::Pointer(pointer) => {
                (self.thread_bytes, UNKNOWN_LOCAL, 0, Some(self.operand(pointer)))
            }
        };
        // A pointer becomes an offset from the start of thread memory; null is far below it.
        let from_start = self.constant(THREAD_POINTER.wrapping_neg());
        let near = i32::try_from(plan.displacement).ok();
        let rest = Plan { displacement: near.map_or(plan.displacement, |_| 0), ..plan.clone() };
        let mut offset = match base {
            Some(base) if base.uniform => {
                let to = self.temporary(Size::Slot);
                self.emit::<ScaledOnce>([to, base.field, from_start, Field::Raw(2)], 1);
                to
            }
            Some(_) => from_start,
            None => zero,
        };
        offset = self.uniform_sum(offset, &rest);
        let lane_base = base.filter(|base| !base.uniform);
        let lanewise = !plan.lanes.is_empty() || lane_base.is_some();
        let index = if lanewise { self.lane_sum(lane_base, &rest, false) } else { zero };
        Address {
            kind: Addressing::Thread { lanewise },
            index,
            offset,
            place: Field::Raw(start),
            flags: 0,
            imm: thread_imm(bytes, number.min(UNKNOWN_LOCAL), near.unwrap_or(0)),
        }
    }

    pub(super) fn atomic(&mut self, value: Value, inst: &Inst) {
        let plan = Plan::of(self.function, self.uniform, inst.args[0]);
        let address = self.address(&plan, self.space(inst.args[0]));
        let scalar = match inst.args.get(1) {
            Some(&arg) => self.scalar(arg),
            None => self.scalar(value),
        };
        let operands: Vec<Field> = inst.args[1..].iter().map(|&arg| self.in_lanes(arg)).collect();
        let returns = self.uses.is_needed(value);
        let to = if returns { self.destination(value) } else { NONE };
        let lanes = match address.kind {
            Addressing::Uniform => Lanes::Uniform,
            Addressing::Indexed => Lanes::Indexed,
            Addressing::Prepared => Lanes::Prepared,
            Addressing::Thread { .. } => unreachable!("atomics are in shared memory"),
        };
        let run = atomic::handler(inst.op, scalar);
        self.emit_access(run, to, &address, address.flags);
        let mut fields = [NONE; 4];
        fields[..operands.len()].copy_from_slice(&operands);
        self.emit::<control::End>(fields, atomic::form(lanes, returns));
    }
}
