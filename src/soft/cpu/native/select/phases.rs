//! Code of a body in phases: control flow around barriers once for the threadgroup, and each phase as a loop over its strips.
//!
//! Registers that are common to the threadgroup live on from phase to phase. A strip's values live in one phase only; those that
//! others need are in *rows* of the code's own memory, which have 4 bytes for each thread of the threadgroup.

use super::{Forms, Selection};
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::phases::{Before, Phase, PhaseVariable, Phases, Prefix, Step};
use crate::soft::cpu::native::region::Layout;
use crate::soft::ir::hash::FastMap;
use crate::soft::ir::walk::statements;
use crate::soft::ir::{Input, Op, Scalar, Span, Stmt, Type, Value, VarId};
use crate::soft::kernel::limits;

/// The state of selection while it works on a body in phases.
#[derive(Default)]
pub(super) struct State {
    /// The values that are computed once for the threadgroup.
    common: Vec<bool>,
    /// Where the values that cross phases are.
    crossing: FastMap<Value, Vec<Rows>>,
    variables: FastMap<VarId, Rows>,
    /// The offset of the strip in rows.
    row: Option<Reg>,
    in_phase: bool,
    /// In a phase: whether it has the first strip only.
    first_strip: bool,
    /// Whether a phase needed a value that it did not have.
    is_missing: bool,
    /// In a phase: the values and variables to store at its end.
    leaving: Vec<Value>,
    stored: Vec<VarId>,
    /// The branch whose condition no later strip fulfils if this one does not, and where to go then.
    last: Option<(Value, Label)>,
    /// Whether all threads are in one row.
    one_row: Option<Reg>,
    /// Where the threadgroup ends.
    end: Option<Label>,
}

/// The rows of the forms of a value.
#[derive(Clone, Debug, Default)]
struct Rows {
    int: Option<u32>,
    /// One for every [`Selection::parts`] registers.
    lanes: Vec<u32>,
    count: usize,
}

/// Bytes of a row.
const ROW: u32 = limits::THREADS * 4;
/// The largest number of bytes in rows; a body that needs more runs in rounds.
const MAX_ROWS: u32 = 96 * 1024;

impl<'a> Selection<'a> {
    /// Whether an instruction was selected ahead of the phase that it is part of.
    pub(super) fn is_ahead(&self, value: Value) -> bool {
        self.is_common(value) && self.phases.as_ref().is_some_and(|phases| phases.in_phase)
    }

    /// Whether the code is that of a phase that has the first strip only.
    pub(super) fn is_first_strip(&self) -> bool {
        self.phases.as_ref().is_some_and(|phases| phases.first_strip)
    }

    /// Whether a value of this body is computed outside of phases.
    pub(super) fn is_common(&self, value: Value) -> bool {
        self.phases.as_ref().is_some_and(|phases| phases.common[value.index()])
    }

    /// The branch on a condition, at a depth: where to go if no lane takes it.
    pub(super) fn unless_taken(&self, condition: Value, middle: Label, depth: u32) -> Label {
        let last = self.phases.as_ref().and_then(|phases| phases.last);
        last.filter(|&(value, _)| value == condition && depth == 0).map_or(middle, |at| at.1)
    }

    /// Notes that a phase needs a value that it does not have: the body then runs in rounds. False if it is not in phases.
    pub(super) fn is_missing(&mut self) -> bool {
        let Some(phases) = &mut self.phases else { return false };
        if cfg!(test) {
            unreachable!("a value from another phase is missing");
        }
        phases.is_missing = true;
        true
    }

    /// All of a body. False if its rows take too much memory, or a value is missing.
    pub(super) fn by_phases(&mut self, phases: Phases<'a>) -> bool {
        self.code.body = Some(Body::Phases);
        let variables = phases.variables;
        self.phases = Some(State { common: phases.common, ..State::default() });
        for variable in self.run.variables.iter().filter(|own| variables[own.id.index()]) {
            self.own_variable(variable.id, variable.uniform);
        }
        let end = self.label();
        self.state().end = Some(end);
        self.in_steps(&phases.steps);
        self.emit(Ins::Label(end));
        self.code.own_bytes <= MAX_ROWS && !self.state().is_missing
    }

    fn state(&mut self) -> &mut State {
        self.phases.as_mut().expect("the body is in phases")
    }

    fn in_steps(&mut self, steps: &[Step<'a>]) {
        for step in steps {
            match step {
                Step::Phase(phase) => self.phase(phase),
                Step::If(condition, then, otherwise) => self.either(*condition, then, otherwise),
                Step::Loop { span, body, next } => self.again(*span, body, next),
                Step::End { unreached } => {
                    let to = self.phases.as_ref().and_then(|phases| phases.end);
                    self.emit(Ins::Jump(to.expect("the body is in phases")));
                    self.begun += unreached;
                }
                Step::Leave { breaks, unreached } => {
                    let inside = self.inside.last().expect("a loop is around it");
                    let to = if *breaks { inside.exit } else { inside.next };
                    self.emit(Ins::Jump(to));
                    self.begun += unreached;
                }
            }
        }
    }

    fn either(&mut self, condition: Value, then: &[Step<'a>], otherwise: &[Step<'a>]) {
        self.origin = Origin::If(condition);
        let s = self.number(condition);
        let (middle, end) = (self.label(), self.label());
        self.emit(Ins::JumpIf { zero: true, s, to: middle });
        self.in_steps(then);
        if !otherwise.is_empty() {
            self.emit(Ins::Jump(end));
        }
        self.emit(Ins::Label(middle));
        self.in_steps(otherwise);
        self.emit(Ins::Label(end));
    }

    fn again(&mut self, span: Span, body: &[Step<'a>], next: &[Step<'a>]) {
        self.origin = Origin::Loop(span);
        let number = self.begun;
        self.begun += 1;
        let (head, next_label, exit) = (self.label(), self.label(), self.label());
        let start = self.out.len() as u32;
        self.emit(Ins::Label(head));
        self.inside.push(super::Inside {
            divergent: false,
            exit,
            next: next_label,
            continued: None,
            depth: 0,
        });
        self.in_steps(body);
        self.emit(Ins::Label(next_label));
        self.in_steps(next);
        self.inside.pop();
        self.origin = Origin::Loop(span);
        let site = self.site(self.run.loop_site(number), SiteKind::Clock);
        self.emit(Ins::Budget { work: 1, site });
        self.emit(Ins::Jump(head));
        let end = self.out.len() as u32;
        self.emit(Ins::Label(exit));
        self.code.loops.push((start, end));
    }

    fn phase(&mut self, phase: &Phase<'a>) {
        for stmt in phase.stmts {
            match stmt {
                Stmt::Do(value) if self.is_common(*value) => {
                    self.origin = Origin::Do(*value);
                    self.instruction(*value);
                }
                _ => {}
            }
        }
        // The loop's code is generated separately, because the values that each strip needs are discovered while it is
        // generated.
        let out = std::mem::take(&mut self.out);
        let origins = std::mem::take(&mut self.origins);
        let loops = std::mem::take(&mut self.code.loops);
        let (again, end, stop, done) = (self.label(), self.label(), self.label(), self.label());
        self.origin = Origin::Ends;
        self.state().first_strip = phase.first_strip;
        if self.strip.line {
            let mut all = statements(phase.stmts);
            let may_return = all.any(|stmt| matches!(stmt, Stmt::Return(_)));
            self.all_active(may_return);
        } else {
            self.load_exec(end);
        }
        let site = self.site(self.run.start_site, SiteKind::Clock);
        self.emit(Ins::Budget { work: 1, site });
        self.enter_phase(phase);
        let begun = self.out.len();
        let prefix = phase.prefix.filter(|_| !phase.first_strip);
        if let Some(Prefix { condition, one_row }) = prefix {
            let to = if one_row { stop } else { done };
            self.state().last = Some((condition, to));
        }
        self.joins.push(end);
        self.run_and_leave(phase.stmts);
        self.joins.pop();
        let does_nothing = self.out.len() == begun;
        self.out[0] = Ins::Budget { work: 1 + self.out.len() as u32 / 40, site };
        self.origin = Origin::Ends;
        if prefix.is_some_and(|prefix| prefix.one_row) {
            self.emit(Ins::Jump(end));
            self.emit(Ins::Label(stop));
            let s = self.one_row();
            self.emit(Ins::JumpIf { zero: false, s, to: done });
        }
        self.leave_phase(phase);

        let strip = std::mem::replace(&mut self.out, out);
        let strip_origins = std::mem::replace(&mut self.origins, origins);
        let inner = std::mem::replace(&mut self.code.loops, loops);
        let head = std::mem::take(&mut self.strip_head);
        if does_nothing {
            return;
        }
        let start = self.out.len() as u32;
        self.emit(Ins::Label(again));
        head.into_iter().for_each(|ins| self.emit(ins));
        let base = self.out.len() as u32;
        self.out.extend(strip);
        self.origins.extend(strip_origins);
        self.code.loops.extend(inner.into_iter().map(|(from, to)| (from + base, to + base)));
        self.emit(Ins::Label(end));
        if phase.first_strip {
            return;
        }
        self.emit(Ins::NextStrip { again });
        self.code.loops.push((start, self.out.len() as u32));
        self.emit(Ins::Label(done));
        self.emit(Ins::FirstStrip);
    }

    /// Gives a phase the strip's values and variables from other phases.
    fn enter_phase(&mut self, phase: &Phase<'a>) {
        self.inputs.forget_strip();
        self.state().in_phase = true;
        for &value in &phase.entering {
            let rows = self.phases.as_ref().and_then(|all| all.crossing.get(&value)).cloned();
            let Some(rows) = rows else { continue };
            let mut all: Vec<Forms> =
                rows.iter().map(|rows| self.forms_in_rows(value, rows)).collect();
            if self.ty(value).width() > 1 {
                self.vectors.insert(value, all);
            } else if let Some(forms) = all.pop() {
                self.forms[value.index()] = forms;
            }
        }
        for &PhaseVariable { id, before, .. } in &phase.variables {
            let forms = self.strip_variable(id, before);
            self.variables.insert(id, forms);
        }
        let parts = self.state();
        parts.leaving.clone_from(&phase.leaving);
        let stored = phase.variables.iter().filter(|variable| variable.stored);
        parts.stored = stored.map(|variable| variable.id).collect();
    }

    /// Stores what other phases need of a strip, where all of the phase's statements are done.
    pub(super) fn store_leaving(&mut self) {
        let Some(parts) = &self.phases else { return };
        let (leaving, stored) = (parts.leaving.clone(), parts.stored.clone());
        for value in leaving {
            let all = match self.loaded(value) {
                Some(components) => components,
                None => vec![self.forms[value.index()].clone()],
            };
            let ty = match self.ty(value) {
                Type::Vector(scalar, _) => Type::Scalar(scalar),
                ty => ty,
            };
            let known = self.state().crossing.remove(&value).unwrap_or_default();
            let rows = all.iter().enumerate();
            let rows = rows.map(|(at, forms)| self.store_forms(ty, forms, known.get(at).cloned()));
            let rows = rows.collect();
            self.state().crossing.insert(value, rows);
        }
        for id in stored {
            let forms = self.variables[&id].clone();
            let known = self.state().variables.get(&id).cloned();
            let ty = self.function.variables[id.index()].ty;
            let rows = self.store_forms(ty, &forms, known);
            self.state().variables.insert(id, rows);
        }
    }

    /// Forgets what has a register only in this phase.
    fn leave_phase(&mut self, phase: &Phase<'a>) {
        let ours: Vec<Value> = crate::soft::ir::walk::instructions(phase.stmts).collect();
        for &value in ours.iter().chain(&phase.entering) {
            if !self.is_common(value) {
                self.forms[value.index()] = Forms::default();
                self.forget_vector(value);
            }
        }
        for index in std::mem::take(&mut self.strip_inputs) {
            self.forms[index] = Forms::default();
        }
        for variable in &phase.variables {
            self.variables.remove(&variable.id);
        }
        self.checked.clear();
        self.forget_thread_lanes();
        let parts = self.state();
        (parts.row, parts.last, parts.in_phase) = (None, None, false);
        parts.first_strip = false;
        parts.leaving.clear();
        parts.stored.clear();
        // Nothing outside of a phase depends on lanes.
        self.exec.clear();
        self.entry.clear();
    }

    // --- Rows ------------------------------------------------------------------------------------------

    /// The strip's operand in a row.
    fn in_row(&mut self, row: u32, part: usize) -> MemRef {
        let index = match self.state().row {
            Some(row) => row,
            None => {
                let [first, number, scaled, d] = [(); 4].map(|()| self.int());
                let mem = MemRef { base: MemBase::Wave, index: None, disp: Layout::NUMBER };
                self.strip_head.push(Ins::FirstLane { d: first });
                self.strip_head.push(Ins::LoadInt { from: Scalar::U32, d: number, mem });
                let (op, wide) = (IntOp::Shl, true);
                self.strip_head.push(Ins::IntImm { op, wide, d: scaled, a: number, imm: 7 });
                self.strip_head.push(Ins::Int { op: IntOp::Add, wide, d, a: scaled, b: first });
                *self.state().row.insert(d)
            }
        };
        let disp = (row + part as u32 * self.strip.lanes * 4) as i32;
        MemRef { base: MemBase::Own, index: Some(index), disp }
    }

    fn new_row(&mut self) -> u32 {
        let row = self.code.own_bytes.next_multiple_of(64);
        self.code.own_bytes = row + ROW;
        row
    }

    fn store_forms(&mut self, ty: Type, forms: &Forms, known: Option<Rows>) -> Rows {
        let rows = known.unwrap_or_else(|| Rows {
            int: forms.int.map(|_| self.new_row()),
            lanes: (0..forms.lanes.len().div_ceil(self.parts())).map(|_| self.new_row()).collect(),
            count: forms.lanes.len(),
        });
        if let (Some(s), Some(row)) = (forms.int, rows.int) {
            let mem = self.in_row(row, 0);
            self.emit(Ins::StoreInt { bytes: 8, mem, s });
        }
        for (at, &s) in forms.lanes.iter().enumerate() {
            let mem = self.in_row(rows.lanes[at / self.parts()], at % self.parts());
            if ty == Type::BOOL {
                let d = self.int();
                self.emit(Ins::BitsOfMask { d, s });
                self.emit(Ins::StoreInt { bytes: 4, mem, s: d });
            } else {
                self.emit(Ins::StoreAll { mem, s });
            }
        }
        rows
    }

    fn forms_in_rows(&mut self, value: Value, rows: &Rows) -> Forms {
        let mask = self.is_bool(value);
        let int = rows.int.map(|row| {
            let d = self.int();
            self.load_int_row(d, row);
            d
        });
        let lanes = (0..rows.count).map(|at| {
            let d = if mask { self.mask() } else { self.lane() };
            self.load_row(d, mask, rows, at);
            d
        });
        Forms { int, lanes: lanes.collect() }
    }

    fn load_int_row(&mut self, d: Reg, row: u32) {
        let mem = self.in_row(row, 0);
        self.strip_head.push(Ins::LoadInt { from: Scalar::U64, d, mem });
    }

    fn load_row(&mut self, d: Reg, mask: bool, rows: &Rows, at: usize) {
        let mem = self.in_row(rows.lanes[at / self.parts()], at % self.parts());
        if mask {
            let bits = self.int();
            self.strip_head.push(Ins::LoadInt { from: Scalar::U32, d: bits, mem });
            self.strip_head.push(Ins::MaskOfBits { d, s: bits, first: 0 });
        } else {
            self.strip_head.push(Ins::Load { from: Scalar::U32, d, mem });
        }
    }

    /// The registers of a variable in a phase.
    fn strip_variable(&mut self, id: VarId, before: Before) -> Forms {
        let ty = self.function.variables[id.index()].ty;
        let uniform = self.run.source.uniform.variables[id.index()];
        let float = ty.scalar().is_some_and(|scalar| scalar.is_float()) && ty.space().is_none();
        let (mask, parts) = (ty == Type::BOOL, self.parts());
        let forms = if uniform && !float {
            Forms { int: Some(self.reg(Class::Int, true)), lanes: Vec::new() }
        } else {
            let count = if ty.bytes() == 8 { 2 * parts } else { parts };
            let class = if mask { Class::Mask } else { Class::Vector };
            let lanes = match uniform {
                true => vec![self.reg(class, true); count],
                false => (0..count).map(|_| self.reg(class, true)).collect(),
            };
            Forms { int: None, lanes }
        };
        let rows = match before {
            Before::Unused => return forms,
            Before::Zero => None,
            Before::Memory => Some(self.rows_of(id, &forms)),
        };
        if let Some(d) = forms.int {
            match rows.as_ref().and_then(|rows| rows.int) {
                Some(row) => self.load_int_row(d, row),
                None => self.strip_head.push(Ins::Const { d, bits: 0 }),
            }
        }
        for (at, &d) in forms.lanes.iter().enumerate() {
            match &rows {
                Some(rows) => self.load_row(d, mask, rows, at),
                None if mask => self.strip_head.push(Ins::MaskClear { d }),
                None => {
                    let a = self.lane_constant(0);
                    self.strip_head.push(Ins::Lane1 { op: Lane1::Move, d, a });
                }
            }
        }
        forms
    }

    /// The rows of a variable, which an earlier phase may not have stored if its code is never reached.
    fn rows_of(&mut self, id: VarId, forms: &Forms) -> Rows {
        if let Some(rows) = self.state().variables.get(&id) {
            return rows.clone();
        }
        let rows = Rows {
            int: forms.int.map(|_| self.new_row()),
            lanes: (0..forms.lanes.len().div_ceil(self.parts())).map(|_| self.new_row()).collect(),
            count: forms.lanes.len(),
        };
        self.state().variables.insert(id, rows.clone());
        rows
    }

    /// Whether all threads of the threadgroup are in one row.
    fn one_row(&mut self) -> Reg {
        if let Some(one_row) = self.state().one_row {
            return one_row;
        }
        let [y, z] =
            [1, 2].map(|component| self.input_number(Input::ThreadsPerThreadgroup.imm(component)));
        let (threads, one, d) = (self.int(), self.constant(1), self.int());
        self.head.push(Ins::Int { op: IntOp::Mul, wide: false, d: threads, a: y, b: z });
        let (test, kind) = (Test::Eq, Kind::Unsigned);
        self.head.push(Ins::Compare { test, kind, wide: false, d, a: threads, b: one });
        *self.state().one_row.insert(d)
    }

    /// Notes that a thread's input has a form in this phase only.
    pub(super) fn note_input(&mut self, value: Value) {
        let inst = self.function.inst(value);
        if self.phases.is_some()
            && inst.op == Op::Input
            && !crate::soft::cpu::native::phases::is_common_input(inst.imm)
        {
            self.strip_inputs.push(value.index());
        }
    }
}
