//! Probes: checked kernels observe each access to memory that threads share, and each barrier (`specs/sanitizer.md`).
//!
//! It runs before all passes that merge, move or remove accesses, so that each is observed where the source has it. With
//! the same walk, [`count`] adds the counters of a profile (`specs/profile.md`).

use super::rewrite::{Change, Constants, Rewrite, rewrite};
use super::{Refused, inline};
use crate::soft::ir::hash::FastMap;
use crate::soft::ir::{
    AccessKind, Args, Barrier, Block, Checks, FuncId, Function, Input, Inst, Module, Op, Probe,
    Rule, Scalar, Site, SiteKind, Space, Span, Stmt, Type, Value, verify,
};

/// Whether the accesses of a kernel that consists of these functions are stamped (`specs/sanitizer.md`): those of kernels with fences are not, as
/// stamps do not say what fences order.
pub(crate) fn has_stamps(functions: &[Function], checks: Checks) -> bool {
    let mut all = functions.iter().flat_map(|function| &function.insts);
    let is_fence = |inst: &Inst| inst.op == Op::Probe && inst.imm == Probe::Fence.imm();
    checks.has(Checks::RACES) && !all.any(is_fence)
}

/// Has a kernel report that it begins.
pub(crate) fn start(function: &mut Function) {
    let mut start = Block::new();
    let (imm, span) = (Probe::Start { shifts: shifts(function) }.imm(), Span::default());
    let inst = Inst { op: Op::Probe, ty: Type::Void, args: Args::NONE, imm, span };
    function.put(inst, &mut start);
    function.body.splice(0..0, start);
}

/// The shifts of cells of device and of threadgroup memory, which have `4 >> shift` bytes, with which each access has whole cells, if it is short.
fn shifts(function: &Function) -> [u8; 2] {
    [Space::Device, Space::Threadgroup].map(|space| {
        let shift =
            |inst: &Inst| match Probe::from_imm(inst.imm).filter(|_| inst.op == Op::Probe)? {
                Probe::Access { bytes, .. } if function.ty(inst.args[0]).space() == Some(space) => {
                    let is_short = bytes <= 16;
                    is_short.then(|| 2 - bytes.trailing_zeros().min(2) as u8)
                }
                _ => None,
            };
        function.insts.iter().filter_map(shift).max().unwrap_or(0)
    })
}

/// Adds the probes that the checks need to a function, or removes those that it has.
pub(crate) fn run(function: &mut Function, checks: Checks) {
    let (races, init) = (checks.has(Checks::RACES), checks.has(Checks::INIT));
    let is_wanted = |probe| match probe {
        Some(Probe::Fence) => races || init,
        Some(Probe::Aligned { .. }) => checks.has(Checks::UNDEFINED),
        _ => true,
    };
    let is_removed = |inst: &Inst| inst.op == Op::Probe && !is_wanted(Probe::from_imm(inst.imm));
    if function.insts.iter().any(is_removed) {
        rewrite(function, &mut Remove(is_removed));
    }
    if !races && !init {
        return;
    }
    add(function, (races, init), None);
}

/// The module with counters of what each line does, all calls inlined, and what they count, by their numbers. `line` is a
/// number for the line of a position, if that is in the source.
pub(crate) fn count(
    module: &Module,
    mut line: impl FnMut(Span) -> Option<u32>,
) -> Result<(Module, Vec<Site>), Refused> {
    verify(module).map_err(Refused::Invalid)?;
    let (mut module, mut sites) = (module.clone(), Vec::new());
    // Lines are counted in the functions of the source, so that all calls of one share its counters.
    for (number, function) in module.functions.iter_mut().enumerate() {
        let line = Some::<&mut dyn FnMut(_) -> _>(&mut line);
        let counters = Counters { function: number as u32, line, sites: &mut sites };
        add(function, (false, false), Some(counters));
    }
    // The code of the language's own functions is at the position of their call, which it gets here.
    module.functions = inline::run(&module, inline::Calls::NONE).map_err(Refused::TooLarge)?;
    module.entry = FuncId(0);
    for function in &mut module.functions {
        add(
            function,
            (false, false),
            Some(Counters { function: 0, line: None, sites: &mut sites }),
        );
    }
    Ok((module, sites))
}

fn add(function: &mut Function, checks: (bool, bool), counters: Option<Counters<'_>>) {
    let body = std::mem::take(&mut function.body);
    let constants = Constants::default();
    let (lane, span, of_matrix) = (None, Span::default(), false);
    let (races, init) = checks;
    let mut pass = Add { function, constants, races, init, counters, of_matrix, lane, span };
    let body = pass.block(body);
    function.body = body;
}

/// The counters of a profile.
struct Counters<'a> {
    function: u32,
    /// The number of a line, if lines are counted; else accesses and barriers are.
    line: Option<&'a mut (dyn FnMut(Span) -> Option<u32> + 'a)>,
    sites: &'a mut Vec<Site>,
}

impl Counters<'_> {
    /// A counter of its own.
    fn site(&mut self, span: Span, kind: SiteKind) -> Probe {
        self.sites.push(Site { function: self.function, span, kind });
        Probe::Count { site: self.sites.len() as u32 - 1 }
    }
}

/// Removes instructions.
struct Remove<F>(F);

impl<F: Fn(&Inst) -> bool> Rewrite for Remove<F> {
    fn instruction(&mut self, function: &mut Function, value: Value) -> Change {
        if (self.0)(function.inst(value)) { Change::Remove } else { Change::Keep }
    }
}

struct Add<'a, 'c> {
    function: &'a mut Function,
    constants: Constants,
    /// Whether all accesses are observed, and whether writes are noted.
    races: bool,
    init: bool,
    /// Everything is counted, and not observed.
    counters: Option<Counters<'c>>,
    /// Whether the access is to an element of a matrix.
    of_matrix: bool,
    /// The number of the lane, where a matrix needed it.
    lane: Option<Value>,
    /// The position of the instruction that is observed.
    span: Span,
}

const U64: Type = Type::U64;

impl Add<'_, '_> {
    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(2 * block.len());
        // The counter of each line that the block has had.
        let mut lines = FastMap::default();
        for stmt in block {
            self.line(&stmt, &mut lines, &mut out);
            if let Stmt::Do(value) = stmt
                && self.counters.as_ref().is_none_or(|counters| counters.line.is_none())
            {
                self.observe(value, &mut out);
            }
            let done = if let Stmt::Do(value) = stmt { Some(value) } else { None };
            out.push(stmt.map_blocks(|inner| self.block(inner)));
            done.into_iter().for_each(|value| self.barrier(value, &mut out));
        }
        out
    }

    /// Adds the probe of a barrier, which is after it: then all SIMD-groups have come to it.
    fn barrier(&mut self, value: Value, out: &mut Block) {
        let inst = *self.function.inst(value);
        if inst.op.row().rule != Rule::Barrier || self.counters.is_some() {
            return;
        }
        self.span = inst.span;
        let probe = match Barrier::from_imm(inst.imm) {
            (Barrier::Threadgroup, flags) => Probe::Threadgroup(flags),
            (Barrier::Simdgroup, flags) => Probe::Simdgroup(flags),
        };
        self.probe(probe, &[], out);
    }

    /// Counts the line of a statement, if the block has not.
    fn line(&mut self, stmt: &Stmt, lines: &mut FastMap<u32, u32>, out: &mut Block) {
        let Some(counters) = &mut self.counters else { return };
        let Some(line_of) = &mut counters.line else { return };
        let span = match stmt {
            Stmt::Do(value) if self.function.inst(*value).op == Op::Probe => return,
            Stmt::Do(value) => self.function.inst(*value).span,
            Stmt::Call { span, .. } | Stmt::Loop { span, .. } => *span,
            _ => return,
        };
        let Some(line) = line_of(span) else { return };
        if let Some(known) = lines.get(&line) {
            if let SiteKind::Line(operations) = &mut counters.sites[*known as usize].kind {
                *operations += 1;
            }
            return;
        }
        lines.insert(line, counters.sites.len() as u32);
        let probe = counters.site(span, SiteKind::Line(1));
        self.span = span;
        self.probe(probe, &[], out);
    }

    /// Adds the probes of one instruction, which follows them.
    fn observe(&mut self, value: Value, out: &mut Block) {
        let inst = *self.function.inst(value);
        self.span = inst.span;
        match inst.op.row().rule {
            Rule::Load => {
                self.access(AccessKind::Read, inst.args[0], None, inst.ty.bytes(), out);
            }
            Rule::Store if self.is_shared(inst.args[0]) => {
                let stored = self.races.then(|| self.bits(inst.args[1], out));
                let bytes = self.function.ty(inst.args[1]).bytes();
                self.access(AccessKind::Write, inst.args[0], stored, bytes, out);
            }
            Rule::Copy => {
                let bytes = inst.imm as u32;
                self.access(AccessKind::Read, inst.args[1], None, bytes, out);
                self.access(AccessKind::Write, inst.args[0], None, bytes, out);
            }
            Rule::AtomicLoad => {
                self.access(AccessKind::AtomicRead, inst.args[0], None, inst.ty.bytes(), out);
            }
            Rule::AtomicStore | Rule::Atomic | Rule::AtomicCompare => {
                let bytes = self.function.ty(inst.args[1]).bytes();
                self.access(AccessKind::AtomicWrite, inst.args[0], None, bytes, out);
            }
            Rule::MatrixLoad | Rule::MatrixStore => {
                self.of_matrix = true;
                self.matrix(&inst, out);
                self.of_matrix = false;
            }
            Rule::Barrier => {
                if let Some(counters) = &mut self.counters {
                    let probe = counters.site(inst.span, SiteKind::Barrier);
                    self.probe(probe, &[], out);
                }
            }
            _ => {}
        }
    }

    fn is_shared(&self, pointer: Value) -> bool {
        match self.function.ty(pointer).space() {
            Some(Space::Threadgroup) => true,
            Some(Space::Device) => true,
            Some(Space::Constant) => self.counters.is_some(),
            _ => false,
        }
    }

    fn access(
        &mut self,
        kind: AccessKind,
        pointer: Value,
        stored: Option<Value>,
        bytes: u32,
        out: &mut Block,
    ) {
        if !self.is_shared(pointer) {
            return;
        }
        let zero = self.number(0);
        let space = self.function.ty(pointer).space();
        if let (Some(counters), Some(space)) = (&mut self.counters, space) {
            let kind = match self.of_matrix {
                true => SiteKind::Element(space, kind, bytes),
                false => SiteKind::Access(space, kind, bytes),
            };
            let probe = counters.site(self.span, kind);
            self.probe(probe, &[pointer, zero], out);
            return;
        }
        if self.races {
            let known = stored.is_some();
            let stored = stored.unwrap_or(zero);
            self.probe(Probe::Access { kind, bytes, known }, &[pointer, stored], out);
        }
        if self.init && kind.writes() {
            self.probe(Probe::Wrote { bytes }, &[pointer, zero], out);
        }
    }

    fn probe(&mut self, probe: Probe, args: &[Value], out: &mut Block) {
        self.put(Op::Probe, Type::Void, args, probe.imm(), out);
    }

    fn put(&mut self, op: Op, ty: Type, args: &[Value], imm: u64, out: &mut Block) -> Value {
        let inst = Inst { op, ty, args: Args::new(args), imm, span: self.span };
        self.function.put(inst, out)
    }

    fn number(&mut self, bits: u64) -> Value {
        self.constants.get(self.function, Scalar::U64, bits)
    }

    /// The bits of a value, of vectors a number that is the same for equal ones.
    fn bits(&mut self, value: Value, out: &mut Block) -> Value {
        let ty = self.function.ty(value);
        let (Some(scalar), width) = (ty.scalar(), ty.width()) else {
            return self.put(Op::PointerToInt, U64, &[value], 0, out);
        };
        let mut sum = None;
        for component in 0..width {
            let one = match width {
                1 => value,
                _ => {
                    let ty = Type::Scalar(scalar);
                    self.put(Op::Extract, ty, &[value], component.into(), out)
                }
            };
            let bits = self.scalar_bits(one, scalar, out);
            sum = Some(match sum {
                None => bits,
                Some(sum) => {
                    let odd = self.number(0x9e37_79b9_7f4a_7c15);
                    let product = self.put(Op::Mul, U64, &[sum, odd], 0, out);
                    self.put(Op::Add, U64, &[product, bits], 0, out)
                }
            });
        }
        sum.unwrap_or(value)
    }

    fn scalar_bits(&mut self, value: Value, scalar: Scalar, out: &mut Block) -> Value {
        let integer = match scalar {
            Scalar::U64 => return value,
            Scalar::F32 => Some(Scalar::U32),
            Scalar::F16 | Scalar::BF16 => Some(Scalar::U16),
            _ => None,
        };
        let value = match integer {
            Some(integer) => self.put(Op::Bitcast, Type::Scalar(integer), &[value], 0, out),
            None => value,
        };
        self.put(Op::Convert, U64, &[value], 0, out)
    }

    /// A lane's two elements of a matrix (`specs/ir.md`), at the pointer and steps of the first active lane.
    fn matrix(&mut self, inst: &Inst, out: &mut Block) {
        let (kind, matrix) = match inst.op {
            Op::MatrixStore => (AccessKind::Write, Some(inst.args[3])),
            _ => (AccessKind::Read, None),
        };
        let ty = matrix.map_or(inst.ty, |matrix| self.function.ty(matrix));
        let Some(scalar) = ty.scalar() else { return };
        if !self.is_shared(inst.args[0]) {
            return;
        }
        let lane = self.lane(out);
        let bit = |pass: &mut Self, from: u64, to: u64, out: &mut Block| {
            let (from, to, one) = (pass.number(from), pass.number(to), pass.number(1));
            let low = pass.put(Op::Shr, U64, &[lane, from], 0, out);
            let low = pass.put(Op::And, U64, &[low, one], 0, out);
            pass.put(Op::Shl, U64, &[low, to], 0, out)
        };
        let sum = |pass: &mut Self, bits: &[(u64, u64)], out: &mut Block| {
            let mut sum = pass.number(0);
            for &(from, to) in bits {
                let part = bit(pass, from, to, out);
                sum = pass.put(Op::Add, U64, &[sum, part], 0, out);
            }
            sum
        };
        let row = sum(self, &[(4, 2), (2, 1), (1, 0)], out);
        let column = sum(self, &[(3, 2), (0, 1)], out);
        let steps = [inst.args[1], inst.args[2]].map(|step| match self.function.ty(step) {
            U64 => step,
            _ => self.put(Op::Convert, U64, &[step], 0, out),
        });
        let bytes = scalar.bytes();
        for element in 0..2 {
            let number = self.number(element);
            let column = self.put(Op::Add, U64, &[column, number], 0, out);
            let down = self.put(Op::Mul, U64, &[row, steps[0]], 0, out);
            let across = self.put(Op::Mul, U64, &[column, steps[1]], 0, out);
            let index = self.put(Op::Add, U64, &[down, across], 0, out);
            let pointer = inst.args[0];
            let ty = self.function.ty(pointer);
            let at = self.put(Op::Index, ty, &[pointer, index], bytes.into(), out);
            let stored = match matrix {
                Some(matrix) => {
                    let ty = Type::Scalar(scalar);
                    let one = self.put(Op::Extract, ty, &[matrix], element, out);
                    Some(self.scalar_bits(one, scalar, out))
                }
                None => None,
            };
            self.access(kind, at, stored, bytes, out);
        }
    }

    /// The number of the lane in 64 bits.
    fn lane(&mut self, out: &mut Block) -> Value {
        let input = *self.lane.get_or_insert_with(|| {
            let imm = Input::ThreadIndexInSimdgroup.imm(0);
            let (op, span) = (Op::Input, Span::default());
            self.function.insts.push(Inst { op, ty: Type::U32, args: Args::NONE, imm, span });
            Value(self.function.insts.len() as u32 - 1)
        });
        self.put(Op::Convert, U64, &[input], 0, out)
    }
}
