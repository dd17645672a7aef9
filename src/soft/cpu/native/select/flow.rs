//! Statements and variables: branches, loops, and the masks of lanes.

use super::version::Step;
use super::{Forms, Inside, Selection};
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::plan::is_threadgroup_barrier;
use crate::soft::ir::hash::{FastMap, FastSet};
use crate::soft::ir::walk::{instructions, loops};
use crate::soft::ir::{Block, Inst, Op, Scalar, Stmt, Type, Value, VarId};

impl Selection<'_> {
    pub(super) fn block(&mut self, block: &[Stmt]) {
        let around = self.origin;
        for (at, stmt) in block.iter().enumerate() {
            self.origin = match stmt {
                Stmt::Do(value) => Origin::Do(*value),
                Stmt::If(condition, ..) => Origin::If(*condition),
                Stmt::Loop { span, .. } => Origin::Loop(*span),
                _ => around,
            };
            match stmt {
                Stmt::Do(value) => self.instruction(*value),
                Stmt::If(condition, then, otherwise) => self.branch(*condition, then, otherwise),
                Stmt::Loop { body, next, .. } => {
                    let private = self.private_variables(&block[..at], body, next);
                    let outer = std::mem::replace(&mut self.private, private);
                    self.repeat(body, next);
                    self.private = outer;
                }
                Stmt::Break | Stmt::Continue => {
                    self.leave_iteration(*stmt == Stmt::Break);
                    // The statements that follow are never reached, but their loops are numbered.
                    self.begun += loops(&block[at + 1..]);
                    break;
                }
                Stmt::Return(_) => {
                    self.end_lanes();
                    self.begun += loops(&block[at + 1..]);
                    break;
                }
                Stmt::Call { .. } => unreachable!("calls were inlined"),
            }
        }
        self.origin = around;
    }

    pub(super) fn join(&self) -> Label {
        *self.joins.last().expect("the end is always there")
    }

    pub(super) fn none_left(&mut self, to: Label) {
        let masks = self.all_parts(&self.exec);
        self.emit(Ins::JumpNone { masks, to });
    }

    /// Break or continue, in all active lanes.
    pub(super) fn leave_iteration(&mut self, breaks: bool) {
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
        self.cleared += 1;
        let join = self.join();
        self.emit(Ins::Jump(join));
    }

    /// Ends the active lanes, wherever they are.
    fn end_lanes(&mut self) {
        for masks in self.outer.clone() {
            for (&d, &a) in masks.iter().zip(&self.exec.clone()) {
                self.emit(Ins::MaskBin { op: MaskOp::AndNot, d, a, b: d });
            }
        }
        for mask in self.exec.clone() {
            self.emit(Ins::MaskClear { d: mask });
        }
        self.cleared += 1;
        let join = self.join();
        self.emit(Ins::Jump(join));
    }

    /// A barrier: of a SIMD-group it is nothing, as all lanes are at the same statement anyway.
    pub(super) fn barrier(&mut self, value: Value, inst: &Inst) {
        // Between phases, and in one that has only the first strip, it is no code.
        if is_threadgroup_barrier(inst) && self.phases.is_none() {
            let exec = SiteKind::Barrier(self.exec.clone());
            let site = self.site(self.run.access_site(value), exec);
            self.emit(Ins::Barrier { site });
        }
    }

    /// Whether lanes may leave a block before its end.
    fn leaves(&self, block: &[Stmt]) -> bool {
        self.leaving.contains_key(&block.as_ptr())
    }

    /// Whether lanes may end in a block.
    fn ends(&self, block: &[Stmt]) -> bool {
        self.leaving.get(&block.as_ptr()).is_some_and(|&ends| ends)
    }

    pub(super) fn branch(&mut self, condition: Value, then: &Block, otherwise: &Block) {
        if self.shapes.is_same(condition) {
            return self.uniform_branch(condition, then, otherwise);
        }
        if let ([Stmt::Break], []) = (&then[..], &otherwise[..])
            && self
                .inside
                .last()
                .is_some_and(|inside| inside.divergent && inside.depth == self.depth)
        {
            return self.break_if(condition);
        }
        let test = self.in_lanes(condition);
        let outer = self.exec.clone();
        let carried = self.leaves(then) || self.leaves(otherwise);
        let split = |selection: &mut Self, op: MaskOp| -> Vec<Reg> {
            (0..outer.len())
                .map(|part| {
                    let d = selection.reg(Class::Mask, carried);
                    selection.emit(Ins::MaskBin { op, d, a: test[part], b: outer[part] });
                    d
                })
                .collect()
        };
        let then_lanes = match self.are_all(&outer) && !carried {
            true => test.clone(),
            false => split(self, MaskOp::And),
        };
        let else_lanes =
            if carried || !otherwise.is_empty() { split(self, MaskOp::AndNot) } else { Vec::new() };
        let (middle, end) = (self.label(), self.label());
        self.depth += 1;
        self.joins.push(middle);
        self.exec = then_lanes.clone();
        let past = self.unless_taken(condition, middle, self.depth - 1);
        self.none_left(past);
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

    /// Ends a loop in the lanes that a condition holds for, where all lanes that are in it are active.
    fn break_if(&mut self, condition: Value) {
        let inst = *self.function.inst(condition);
        let (condition, op) = match inst.op {
            Op::Not if !self.is_given(condition) => (inst.args[0], MaskOp::And),
            _ => (condition, MaskOp::AndNot),
        };
        let test = self.in_lanes(condition);
        for (&lanes, test) in self.exec.clone().iter().zip(test) {
            self.emit(Ins::MaskBin { op, d: lanes, a: test, b: lanes });
        }
        self.cleared += 1;
        let join = self.join();
        self.none_left(join);
    }

    /// Variables that are assigned before a loop, in the same block, and read only inside the loop: their value in lanes
    /// that left the loop does not matter.
    fn private_variables(&self, before: &[Stmt], body: &Block, next: &Block) -> FastSet<VarId> {
        let divergence = self.run.source.uniform.loops[self.begun];
        if !divergence.breaks || divergence.continues {
            return FastSet::default();
        }
        let variable = |value: Value, op: Op| {
            let inst = self.function.inst(value);
            (inst.op == op).then_some(VarId(inst.imm as u32))
        };
        let mut reads: FastMap<VarId, u32> = FastMap::default();
        for value in instructions(body).chain(instructions(next)) {
            if let Some(id) = variable(value, Op::Get) {
                *reads.entry(id).or_default() += 1;
            }
        }
        let set = before.iter().filter_map(|stmt| match stmt {
            Stmt::Do(value) => variable(*value, Op::Set),
            _ => None,
        });
        set.filter(|id| reads.get(id).is_some_and(|count| *count == self.reads[id.index()]))
            .collect()
    }

    pub(super) fn uniform_branch(&mut self, condition: Value, then: &Block, otherwise: &Block) {
        let test = self.number(condition);
        if let ([Stmt::Break], []) = (&then[..], &otherwise[..])
            && let Some(&Inside { divergent: false, exit, .. }) = self.inside.last()
        {
            return self.emit(Ins::JumpIf { zero: false, s: test, to: exit });
        }
        let cleared = self.cleared;
        let (middle, end) = (self.label(), self.label());
        let past = self.unless_taken(condition, middle, self.depth);
        self.emit(Ins::JumpIf { zero: true, s: test, to: past });
        self.block(then);
        if !otherwise.is_empty() {
            self.emit(Ins::Jump(end));
        }
        self.emit(Ins::Label(middle));
        self.block(otherwise);
        self.emit(Ins::Label(end));
        // If all lanes of one side left and the other side continues, the mask is the one of that side.
        if self.cleared != cleared {
            let join = self.join();
            self.none_left(join);
        }
    }

    /// A loop; after each iteration the registers in `moving` are advanced.
    pub(super) fn repeat_once(&mut self, body: &Block, next: &Block, moving: &[(Reg, Step)]) {
        let divergence = self.run.source.uniform.loops[self.begun];
        let number = self.begun;
        self.begun += 1;
        // If there is no `continue` of single lanes, the loop ends when the last lane leaves it.
        let waits = divergence.continues;
        let divergent = divergence.breaks || waits;
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
            self.outer.push(outer.clone());
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
        self.joins.push(if waits { next_label } else { exit });
        self.block(body);
        self.joins.pop();
        self.emit(Ins::Label(next_label));
        if let Some(continued) = continued {
            for (&lanes, &waiting) in self.exec.clone().iter().zip(&continued) {
                self.emit(Ins::MaskBin { op: MaskOp::Or, d: lanes, a: lanes, b: waiting });
                self.emit(Ins::MaskClear { d: waiting });
            }
            self.none_left(exit);
        }
        self.joins.push(exit);
        self.block(next);
        self.joins.pop();
        self.move_on(moving);
        let site = self.site(self.run.loop_site(number), SiteKind::Clock);
        // Forty instructions take about ten nanoseconds. A call, for all lanes, takes up to a microsecond (64-bit divisions),
        // and many times that without optimisation, for which budgets are smaller.
        let calls = self.out[start as usize..].iter().filter(|ins| matches!(ins, Ins::Call { .. }));
        let work = 1 + 64 * calls.count() as u32 + (self.out.len() as u32 - start) / 40;
        self.emit(Ins::Budget { work, site });
        self.emit(Ins::Jump(head));
        let end = self.out.len() as u32;
        self.emit(Ins::Label(exit));
        self.code.loops.push((start, end));
        self.inside.pop();
        if divergent {
            self.outer.pop();
            self.depth -= 1;
        }
        self.exec = outer;
        if self.ends(body) || self.ends(next) {
            self.cleared += 1;
            let join = self.join();
            self.none_left(join);
        }
    }

    /// A variable of a whole body, which has no other memory. It is 0 until it is assigned.
    pub(super) fn own_variable(&mut self, id: VarId, uniform: bool) {
        let ty = self.function.variables[id.index()].ty;
        let parts = self.parts();
        let float = ty.scalar().is_some_and(|scalar| scalar.is_float()) && ty.space().is_none();
        let forms = if uniform && !float {
            let d = self.reg(Class::Int, true);
            self.group_head.push(Ins::Const { d, bits: 0 });
            Forms { int: Some(d), lanes: Vec::new() }
        } else if ty == Type::BOOL {
            let mut cleared = || {
                let d = self.reg(Class::Mask, true);
                self.group_head.push(Ins::MaskClear { d });
                d
            };
            Forms { int: None, lanes: (0..parts).map(|_| cleared()).collect() }
        } else {
            let count = if ty.bytes() == 8 { 2 * parts } else { parts };
            let constant = self.lane_constant(0);
            let mut zero = || {
                let d = self.reg(Class::Vector, true);
                self.group_head.push(Ins::Lane1 { op: Lane1::Move, d, a: constant });
                d
            };
            let lanes = match uniform {
                true => vec![zero(); count],
                false => (0..count).map(|_| zero()).collect(),
            };
            Forms { int: None, lanes }
        };
        self.variables.insert(id, forms);
    }

    pub(super) fn enter_variable(&mut self, id: VarId, offset: u32, uniform: bool) {
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
        } else if ty.bytes() == 8 {
            Forms { int: None, lanes: self.wide_of_frame(offset, true) }
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

    /// Writes values that are used after the run to the frame.
    pub(super) fn leave(&mut self) {
        self.store_leaving();
        let run = self.run;
        for leaving in &run.leaving {
            let mut forms = self.forms[leaving.value.index()].clone();
            if self.shapes.known(leaving.value).is_some() {
                forms.lanes = self.in_lanes(leaving.value);
            }
            self.write_back(&forms, self.ty(leaving.value), leaving.offset, leaving.uniform, false);
        }
        for variable in run.variables.iter().filter(|variable| variable.written) {
            let forms = self.variables[&variable.id].clone();
            let ty = self.function.variables[variable.id.index()].ty;
            self.write_back(&forms, ty, variable.offset, variable.uniform, true);
        }
    }

    pub(super) fn write_back(
        &mut self,
        forms: &Forms,
        ty: Type,
        offset: u32,
        uniform: bool,
        late: bool,
    ) {
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
                // Both versions of a run write it.
                let known = self.code.late.iter().find(|late| late.1 == offset).map(|late| late.0);
                let own = known.unwrap_or_else(|| {
                    let own = self.code.own_bytes;
                    self.code.own_bytes += 8;
                    self.code.late.push((own, offset));
                    own
                });
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
            if ty.bytes() == 8 {
                let (mem, high) = (self.wide_place(offset, part), forms.lanes[self.parts() + part]);
                self.emit(Ins::StorePairs { mem, low: reg, high, mask: None });
            } else if ty == Type::BOOL {
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

    pub(super) fn read(&mut self, value: Value, id: VarId) {
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
                } else if self.run.may_alias(value) && !self.is_common(value) {
                    s
                } else {
                    let d = self.lane();
                    self.emit(Ins::Lane1 { op: Lane1::Move, d, a: s });
                    d
                }
            })
            .collect();
        lanes.resize(forms.lanes.len(), lanes[0]);
        self.give_lanes(value, lanes);
    }

    pub(super) fn assign(&mut self, id: VarId, value: Value) {
        let to = self.variables[&id].clone();
        if let Some(d) = to.int {
            let s = self.number(value);
            return self.emit(Ins::Move { d, s });
        }
        let from = self.in_lanes(value);
        let uniform = self.run.source.uniform.variables[id.index()];
        let private = self.private.contains(&id)
            && self.inside.last().is_some_and(|inside| inside.depth == self.depth);
        let masked = self.depth > 0 && !uniform && !private;
        let count = if uniform { 1 } else { to.lanes.len() };
        for (part, &d) in to.lanes.iter().enumerate().take(count) {
            let s = from[part];
            let mask = masked.then(|| self.exec[part % self.parts()]);
            let ins = match (self.is_bool(value), mask) {
                (false, None) => Ins::Lane1 { op: Lane1::Move, d, a: s },
                (false, Some(mask)) => Ins::MoveMasked { d, mask, s },
                (true, None) => Ins::MaskMove { d, s },
                (true, Some(mask)) => {
                    let (new, old) = (self.mask(), self.mask());
                    self.emit(Ins::MaskBin { op: MaskOp::And, d: new, a: mask, b: s });
                    self.emit(Ins::MaskBin { op: MaskOp::AndNot, d: old, a: mask, b: d });
                    Ins::MaskBin { op: MaskOp::Or, d, a: new, b: old }
                }
            };
            self.emit(ins);
        }
    }
}

/// Collects the blocks that lanes may leave before their ends, by the addresses of their first statements, and whether they may
/// end there. Returns both of this block.
pub(super) fn find_leaving(block: &[Stmt], found: &mut FastMap<*const Stmt, bool>) -> (bool, bool) {
    let (mut leaves, mut ends) = (false, false);
    for stmt in block {
        for inner in stmt.blocks() {
            let (inner_leaves, inner_ends) = find_leaving(inner, found);
            // A break or continue leaves the loop that it is in, or its iteration.
            leaves |= inner_leaves && matches!(stmt, Stmt::If(..));
            ends |= inner_ends;
        }
        leaves |= matches!(stmt, Stmt::Break | Stmt::Continue);
        ends |= matches!(stmt, Stmt::Return(_));
    }
    leaves |= ends;
    if leaves {
        found.insert(block.as_ptr(), ends);
    }
    (leaves, ends)
}
