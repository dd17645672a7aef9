//! Uninitialised values: checked kernels track for each value which components come from memory that nothing wrote, and report
//! where such a value decides a branch or an address, or leaves the kernel (`specs/sanitizer.md`).
//!
//! A value has a *taint*, a `bool` for each component, where it may be uninitialised. A variable has a variable for the
//! taint of its value. A local has a *shadow* of its size, whose bytes are not zero where those of the local were not
//! written; a pointer into the one has a pointer into the other. The checker knows which bytes of threadgroup memory and of
//! private buffers were written. All of it is IR, so that the passes that follow remove what is known.

use super::rewrite::Constants;
use super::shadow::{Shadowed, is_null};
use crate::soft::ir::{
    Args, Block, Checks, Finding, Function, Inst, LocalMemory, Op, Probe, Rule, Scalar, Space,
    Span, Stmt, Type, Value, Variable,
};

/// Adds the taints to a function without calls, if the checks include them.
pub(crate) fn run(function: &mut Function, checks: Checks) {
    if !checks.has(Checks::INIT) {
        return;
    }
    let body = std::mem::take(&mut function.body);
    let constants = Constants::default();
    let (values, locals) = (function.insts.len(), function.locals.len());
    let variables = function.variables.len();
    let shadowed = Shadowed::of(function);
    let mut pass = Add {
        taints: vec![None; values],
        shadows: vec![None; values],
        variables: vec![None; variables],
        pointers: vec![None; variables],
        locals: vec![None; locals],
        shadowed,
        function,
        constants,
        span: Span::default(),
    };
    let mut start = pass.start();
    let body = pass.block(body);
    start.extend(body);
    function.body = start;
}

struct Add<'a> {
    function: &'a mut Function,
    constants: Constants,
    /// The taint of each value of the function; `None` if it is initialised.
    taints: Vec<Option<Value>>,
    /// For each pointer into thread memory, the one into the shadow.
    shadows: Vec<Option<Value>>,
    /// For each variable the variable of its taint, and of the shadow if it is a pointer.
    variables: Vec<Option<u64>>,
    pointers: Vec<Option<u64>>,
    /// For each local the number of its shadow.
    locals: Vec<Option<u64>>,
    shadowed: Shadowed,
    span: Span,
}

/// Whether all operands of an operation say what is read of a texture.
fn is_texture_read(op: Op) -> bool {
    use Op::{
        TextureCompare, TextureGather, TextureGatherCompare, TextureRead, TextureSample,
        TextureSize,
    };
    matches!(
        op,
        TextureRead
            | TextureSample
            | TextureCompare
            | TextureGather
            | TextureGatherCompare
            | TextureSize
    )
}

/// For an operation over the lanes up to each one, the sum over the same lanes.
fn prefix(op: Op) -> Option<Op> {
    match op {
        Op::SimdInclusiveSum | Op::SimdInclusiveProduct => Some(Op::SimdInclusiveSum),
        Op::SimdExclusiveSum | Op::SimdExclusiveProduct => Some(Op::SimdExclusiveSum),
        _ => None,
    }
}

/// The most words of a shadow that are set one by one, so that it may become variables.
const FEW_WORDS: u32 = 64;

impl Add<'_> {
    /// Makes the shadows, and the code that marks everything as uninitialised.
    fn start(&mut self) -> Block {
        let mut out = Block::new();
        for number in 0..self.variables.len() {
            let Variable { name, ty } = self.function.variables[number].clone();
            if ty.space().is_none() {
                let ty = ty.with_scalar(Scalar::Bool);
                let taint = self.variable(&name, ty);
                self.variables[number] = Some(taint);
                let yes = self.all(ty, true, &mut out);
                self.put_at(Op::Set, Type::Void, &[yes], taint, &mut out);
                // The same value each time, so that reports are the same.
                let zero = self.zero(self.function.variables[number].ty, &mut out);
                self.put_at(Op::Set, Type::Void, &[zero], number as u64, &mut out);
            } else if ty.space() == Some(Space::Thread) && self.shadowed.variables[number] {
                self.pointers[number] = Some(self.variable(&name, ty));
            }
        }
        for number in 0..self.locals.len() {
            let local = self.function.locals[number].clone();
            if self.shadowed.locals[number] {
                self.locals[number] = Some(self.function.locals.len() as u64);
                let bytes = local.bytes.next_multiple_of(4);
                self.function.locals.push(LocalMemory { bytes, ..local });
                self.fill(self.function.locals.len() as u64 - 1, bytes / 4, &mut out);
            }
        }
        out
    }

    /// Zero in every component.
    fn zero(&mut self, ty: Type, out: &mut Block) -> Value {
        let one = self.constants.get(self.function, ty.scalar().unwrap_or(Scalar::U64), 0);
        match ty.width() {
            1 => one,
            _ => self.put(Op::Splat, ty, &[one], out),
        }
    }

    fn variable(&mut self, name: &str, ty: Type) -> u64 {
        self.function.variables.push(Variable { name: name.to_owned(), ty });
        self.function.variables.len() as u64 - 1
    }

    /// Sets all words of a local.
    fn fill(&mut self, local: u64, words: u32, out: &mut Block) {
        let base = self.free(Op::Local, Type::Pointer(Space::Thread), local);
        let ones = self.constants.get(self.function, Scalar::U32, u32::MAX.into());
        if words <= FEW_WORDS {
            for word in 0..words {
                let at = self.field(base, u64::from(word) * 4, out);
                self.put(Op::Store, Type::Void, &[at, ones], out);
            }
            return;
        }
        let counter = self.variable("", Type::U32);
        let zero = self.constants.get(self.function, Scalar::U32, 0);
        self.put_at(Op::Set, Type::Void, &[zero], counter, out);
        let (mut body, mut next) = (Block::new(), Block::new());
        let now = self.put_at(Op::Get, Type::U32, &[], counter, &mut body);
        let at = self.put_at(Op::Index, self.function.ty(base), &[base, now], 4, &mut body);
        self.put(Op::Store, Type::Void, &[at, ones], &mut body);
        let one = self.constants.get(self.function, Scalar::U32, 1);
        let before = self.put_at(Op::Get, Type::U32, &[], counter, &mut next);
        let after = self.put(Op::Add, Type::U32, &[before, one], &mut next);
        self.put_at(Op::Set, Type::Void, &[after], counter, &mut next);
        let limit = self.constants.get(self.function, Scalar::U32, words.into());
        let done = self.put(Op::Le, Type::BOOL, &[limit, after], &mut next);
        next.push(Stmt::If(done, vec![Stmt::Break], Block::new()));
        out.push(Stmt::Loop { body, next, span: Span::default() });
    }

    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(2 * block.len());
        for stmt in block {
            match stmt {
                Stmt::Do(value) => {
                    let inst = *self.function.inst(value);
                    self.span = inst.span;
                    self.uses(&inst, &mut out);
                    let before = self.atomic(&inst, &mut out);
                    out.push(stmt);
                    let taint = match before {
                        Some(_) => before,
                        None => self.result(&inst, &mut out),
                    };
                    self.taints[value.index()] = taint;
                    self.shadows[value.index()] = self.shadow_of(&inst, &mut out);
                    self.written(&inst, before, &mut out);
                }
                stmt => {
                    if let Stmt::If(condition, ..) = &stmt {
                        self.span = self.function.inst(*condition).span;
                        self.report(self.taint(*condition), Finding::Branch, &mut out);
                    }
                    out.push(stmt.map_blocks(|inner| self.block(inner)));
                }
            }
        }
        out
    }

    fn taint(&self, value: Value) -> Option<Value> {
        self.taints.get(value.index()).copied().flatten()
    }

    /// The taint of a value that is stored. A store to a bit-field stores the bits around it again, as they were; they do not
    /// make it tainted.
    fn stored(&self, to: Value, value: Value) -> Option<Value> {
        self.bits(to, value).map_or_else(|| self.taint(value), |bits| self.taint(bits))
    }

    /// For the read-modify-write of a bit-field, whose old and new bits are masked by complementary constants, the value with
    /// the new bits; otherwise `None`.
    fn bits(&self, to: Value, value: Value) -> Option<Value> {
        let operands = |value: Value, op: Op| {
            let inst = self.function.inst(value);
            (inst.op == op).then(|| [inst.args[0], inst.args[1]])
        };
        let [kept, new] = operands(value, Op::Or)?;
        let [unit, rest] = operands(kept, Op::And)?;
        let [_, mask] = operands(new, Op::And)?;
        let (unit, rest, mask) =
            (self.function.inst(unit), self.function.inst(rest), self.function.inst(mask));
        let all = u64::MAX >> (64 - 8 * rest.ty.scalar()?.bytes());
        let are_complements =
            [rest, mask].iter().all(|one| one.op == Op::Const) && rest.imm & all == !mask.imm & all;
        (unit.op == Op::Load && unit.args[0] == to && are_complements).then_some(new)
    }

    fn space(&self, pointer: Value) -> Option<Space> {
        self.function.ty(pointer).space()
    }

    /// Reports what an instruction must not use: an address, or what it writes where the host sees it.
    fn uses(&mut self, inst: &Inst, out: &mut Block) {
        let rule = inst.op.row().rule;
        let pointers = match rule {
            Rule::Load
            | Rule::Store
            | Rule::Atomic
            | Rule::AtomicCompare
            | Rule::AtomicLoad
            | Rule::AtomicStore
            | Rule::MatrixLoad
            | Rule::MatrixStore => &inst.args[..1],
            Rule::Copy => &inst.args[..],
            // Which pixel: coordinates, the level, offsets.
            Rule::Exactly(..) if inst.op == Op::TextureWrite => &inst.args[..3],
            Rule::Exactly(..) if inst.op == Op::TextureAtomic => &inst.args[..2],
            Rule::Exactly(..) if is_texture_read(inst.op) => &inst.args[..],
            _ => &[],
        };
        for &pointer in pointers {
            self.report(self.taint(pointer), Finding::Address, out);
        }
        let device = pointers.first().is_some_and(|&to| self.space(to) == Some(Space::Device));
        let leaves = match rule {
            Rule::Store | Rule::Atomic | Rule::AtomicCompare | Rule::AtomicStore if device => {
                &inst.args[1..]
            }
            Rule::MatrixStore if device => &inst.args[3..],
            Rule::Exactly(..) if inst.op == Op::TextureWrite => &inst.args[3..],
            Rule::Exactly(..) if inst.op == Op::TextureAtomic => &inst.args[2..],
            _ => &[],
        };
        for &value in leaves {
            let taint = match rule {
                Rule::Store => self.stored(inst.args[0], value),
                _ => self.taint(value),
            };
            self.report(taint, Finding::Stored, out);
        }
    }

    /// The taint of what an atomic in threadgroup memory returns, and leaves there: it is known before it writes.
    fn atomic(&mut self, inst: &Inst, out: &mut Block) -> Option<Value> {
        let changes = matches!(inst.op.row().rule, Rule::Atomic | Rule::AtomicCompare);
        if !changes || self.space(inst.args[0]) != Some(Space::Threadgroup) {
            return None;
        }
        self.unwritten(inst.args[0], inst.ty, out)
    }

    /// The taint of an instruction's value.
    fn result(&mut self, inst: &Inst, out: &mut Block) -> Option<Value> {
        let shape = |ty: Type| ty.with_scalar(Scalar::Bool);
        let width = inst.ty.width();
        match inst.op.row().rule {
            Rule::Given if inst.op == Op::Get => {
                let taint = self.variables[inst.imm as usize]?;
                let ty = self.function.variables[taint as usize].ty;
                Some(self.put_at(Op::Get, ty, &[], taint, out))
            }
            Rule::Load => match self.space(inst.args[0])? {
                Space::Thread => {
                    let shadow = self.shadow(inst.args[0])?;
                    self.shadow_taint(shadow, inst.ty, out)
                }
                Space::Threadgroup | Space::Device => self.unwritten(inst.args[0], inst.ty, out),
                Space::Constant => None,
            },
            Rule::AtomicLoad if self.space(inst.args[0]) == Some(Space::Threadgroup) => {
                self.unwritten(inst.args[0], inst.ty, out)
            }
            Rule::Same(..)
            | Rule::Compare(_)
            | Rule::Test(_)
            | Rule::To(..)
            | Rule::Scale
            | Rule::Convert => inst.args.iter().fold(None, |all, &arg| {
                let taint = self.taint(arg);
                self.or(all, taint, out)
            }),
            Rule::Select => {
                let [condition, a, b] = [0, 1, 2].map(|index| self.taint(inst.args[index]));
                let chosen = match (a, b) {
                    (None, None) => None,
                    _ => {
                        let ty = shape(inst.ty);
                        let [a, b] = [a, b].map(|one| match one {
                            Some(taint) => taint,
                            None => self.all(ty, false, out),
                        });
                        Some(self.put(Op::Select, ty, &[inst.args[0], a, b], out))
                    }
                };
                let condition = condition.map(|one| self.spread(one, width, out));
                self.or(chosen, condition, out)
            }
            Rule::Compose | Rule::Splat | Rule::Extract | Rule::Insert | Rule::Swizzle => {
                self.mirrored(inst, inst.args.len(), out)
            }
            Rule::ExtractAt | Rule::InsertAt => {
                let data = inst.args.len() - 1;
                let parts = self.mirrored(inst, data, out);
                let index = self.taint(inst.args[data]).map(|one| self.spread(one, width, out));
                self.or(parts, index, out)
            }
            // Everything that a component of the result may come from.
            Rule::Bitcast
            | Rule::Dot
            | Rule::Reduce
            | Rule::Index
            | Rule::Field
            | Rule::PointerToInt
            | Rule::IntToPointer => self.any(&inst.args, width, out),
            Rule::Across(_) | Rule::Vote => {
                let here = self.any(&inst.args, 1, out)?;
                if let Some(before) = prefix(inst.op) {
                    // The lanes before, and of inclusive ones the lane itself.
                    let number = self.put(Op::Convert, Type::U32, &[here], out);
                    let sum = self.put_at(before, Type::U32, &[number], inst.imm, out);
                    let any = self.not_zero(sum, out);
                    return Some(self.spread(any, width, out));
                }
                let anywhere = self.put_at(Op::SimdAny, Type::BOOL, &[here], inst.imm, out);
                Some(self.spread(anywhere, width, out))
            }
            // The taints go the same way.
            Rule::Shuffle | Rule::ShuffleFill => {
                let data = if inst.op.row().rule == Rule::Shuffle { 1 } else { 2 };
                if inst.args[..data].iter().all(|&arg| self.taint(arg).is_none()) {
                    return None;
                }
                let ty = inst.ty.with_scalar(Scalar::U32);
                let mut args = inst.args;
                for arg in &mut args[..data] {
                    let taint = match self.taint(*arg) {
                        Some(taint) => taint,
                        None => self.all(shape(inst.ty), false, out),
                    };
                    *arg = self.put(Op::Convert, ty, &[taint], out);
                }
                let moved = self.put_at(inst.op, ty, &args, inst.imm, out);
                Some(self.not_zero(moved, out))
            }
            _ => None,
        }
    }

    /// The pointer into the shadow that belongs to a pointer into thread memory.
    fn shadow_of(&mut self, inst: &Inst, out: &mut Block) -> Option<Value> {
        if inst.ty.space() != Some(Space::Thread) {
            return None;
        }
        match inst.op {
            Op::Get => {
                let shadow = self.pointers[inst.imm as usize]?;
                Some(self.put_at(Op::Get, inst.ty, &[], shadow, out))
            }
            Op::Index | Op::Field => {
                let mut args = inst.args;
                args[0] = self.shadow(args[0])?;
                Some(self.put_at(inst.op, inst.ty, &args, inst.imm, out))
            }
            Op::Select => {
                let mut args = inst.args;
                (args[1], args[2]) = (self.shadow(args[1])?, self.shadow(args[2])?);
                Some(self.put(inst.op, inst.ty, &args, out))
            }
            _ if is_null(self.function, inst) => Some(self.put(inst.op, inst.ty, &inst.args, out)),
            _ => None,
        }
    }

    fn shadow(&mut self, pointer: Value) -> Option<Value> {
        let inst = *self.function.inst(pointer);
        if inst.op == Op::Local {
            let shadow = self.locals.get(inst.imm as usize).copied().flatten()?;
            return Some(self.free(Op::Local, inst.ty, shadow));
        }
        self.shadows.get(pointer.index()).copied().flatten()
    }

    /// Marks what an instruction wrote. `before` is what an atomic found.
    fn written(&mut self, inst: &Inst, before: Option<Value>, out: &mut Block) {
        match inst.op.row().rule {
            Rule::Set => {
                let (value, variable) = (inst.args[0], inst.imm as usize);
                if let Some(to) = self.variables.get(variable).copied().flatten() {
                    let ty = self.function.variables[to as usize].ty;
                    let taint = match self.taint(value) {
                        Some(taint) => taint,
                        None => self.all(ty, false, out),
                    };
                    self.put_at(Op::Set, Type::Void, &[taint], to, out);
                }
                if let Some(to) = self.pointers.get(variable).copied().flatten()
                    && let Some(shadow) = self.shadow(value)
                {
                    self.put_at(Op::Set, Type::Void, &[shadow], to, out);
                }
            }
            Rule::Store => {
                let (to, value) = (inst.args[0], inst.args[1]);
                let ty = self.function.ty(value);
                match self.space(to) {
                    Some(Space::Thread) => {
                        let Some(shadow) = self.shadow(to) else { return };
                        let bits = self.mask(self.stored(to, value), ty, out);
                        self.put(Op::Store, Type::Void, &[shadow, bits], out);
                    }
                    Some(Space::Threadgroup) => self.unwrite(to, self.stored(to, value), ty, out),
                    _ => {}
                }
            }
            Rule::Atomic | Rule::AtomicCompare | Rule::AtomicStore
                if self.space(inst.args[0]) == Some(Space::Threadgroup) =>
            {
                let stored = inst.args[inst.args.len() - 1];
                let taint = self.taint(stored);
                let taint = match inst.op {
                    Op::AtomicStore | Op::AtomicExchange => taint,
                    _ => self.or(before, taint, out),
                };
                self.unwrite(inst.args[0], taint, self.function.ty(stored), out);
            }
            Rule::Copy => self.copied(inst, out),
            _ => {}
        }
    }

    /// A copy within thread memory copies the shadow; anything else that is copied counts as initialised, as its padding is
    /// not known.
    fn copied(&mut self, inst: &Inst, out: &mut Block) {
        let Some(to) = self.shadow(inst.args[0]) else { return };
        if let Some(from) = self.shadow(inst.args[1]) {
            self.put_at(Op::Copy, Type::Void, &[to, from], inst.imm, out);
            return;
        }
        let (mut at, end) = (0, inst.imm);
        while at < end {
            let scalar = if end - at >= 4 { Scalar::U32 } else { Scalar::U8 };
            let zero = self.constants.get(self.function, scalar, 0);
            let here = self.field(to, at, out);
            self.put(Op::Store, Type::Void, &[here, zero], out);
            at += u64::from(scalar.bytes());
        }
    }

    // --- Taints ---------------------------------------------------------------------------------

    /// The same operation on the taints of its first `data` operands, if there are any.
    fn mirrored(&mut self, inst: &Inst, data: usize, out: &mut Block) -> Option<Value> {
        if inst.args[..data].iter().all(|&arg| self.taint(arg).is_none()) {
            return None;
        }
        let mut args = inst.args;
        for arg in &mut args[..data] {
            let ty = self.function.ty(*arg).with_scalar(Scalar::Bool);
            *arg = match self.taint(*arg) {
                Some(taint) => taint,
                None => self.all(ty, false, out),
            };
        }
        let ty = inst.ty.with_scalar(Scalar::Bool);
        Some(self.put_at(inst.op, ty, &args, inst.imm, out))
    }

    /// Whether any component of any of the operands is tainted, for each of `width` components.
    fn any(&mut self, args: &[Value], width: u32, out: &mut Block) -> Option<Value> {
        let mut all = None;
        for &arg in args {
            let Some(taint) = self.taint(arg) else { continue };
            let one = self.whole(taint, out);
            all = self.or(all, Some(one), out);
        }
        all.map(|one| self.spread(one, width, out))
    }

    /// Whether any component is tainted.
    fn whole(&mut self, taint: Value, out: &mut Block) -> Value {
        match self.function.ty(taint) {
            Type::BOOL => taint,
            _ => self.put(Op::Any, Type::BOOL, &[taint], out),
        }
    }

    /// A taint of one component, for each of `width`.
    fn spread(&mut self, taint: Value, width: u32, out: &mut Block) -> Value {
        match (self.function.ty(taint), width) {
            (Type::BOOL, 2..) => self.put(Op::Splat, Type::of(Scalar::Bool, width), &[taint], out),
            _ => taint,
        }
    }

    /// Either taint; one component stands for all.
    fn or(&mut self, a: Option<Value>, b: Option<Value>, out: &mut Block) -> Option<Value> {
        let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
        let width = self.function.ty(a).width().max(self.function.ty(b).width());
        let [a, b] = [a, b].map(|one| self.spread(one, width, out));
        Some(self.put(Op::Or, self.function.ty(a), &[a, b], out))
    }

    /// A constant taint.
    fn all(&mut self, ty: Type, tainted: bool, out: &mut Block) -> Value {
        let one = self.constants.get(self.function, Scalar::Bool, tainted.into());
        self.spread(one, ty.width(), out)
    }

    fn not_zero(&mut self, bits: Value, out: &mut Block) -> Value {
        let ty = self.function.ty(bits);
        let Some(scalar) = ty.scalar() else { return bits };
        let mut zero = self.constants.get(self.function, scalar, 0);
        if ty.width() > 1 {
            zero = self.put(Op::Splat, ty, &[zero], out);
        }
        self.put(Op::Ne, ty.with_scalar(Scalar::Bool), &[bits, zero], out)
    }

    /// The type of the bits of a shadow for a value of a type.
    fn bits_of(ty: Type) -> Type {
        let of = |bytes| match bytes {
            1 => Scalar::U8,
            2 => Scalar::U16,
            4 => Scalar::U32,
            _ => Scalar::U64,
        };
        match ty.scalar() {
            Some(scalar) => ty.with_scalar(of(scalar.bytes())),
            None => Type::U64,
        }
    }

    /// The shadow of a value in thread memory.
    fn shadow_taint(&mut self, shadow: Value, ty: Type, out: &mut Block) -> Option<Value> {
        let bits = self.put(Op::Load, Self::bits_of(ty), &[shadow], out);
        Some(self.not_zero(bits, out))
    }

    /// The bits for the shadow of a value with a taint.
    fn mask(&mut self, taint: Option<Value>, ty: Type, out: &mut Block) -> Value {
        let ty = Self::bits_of(ty);
        let Some(scalar) = ty.scalar() else { unreachable!("bits are integers") };
        let ones = match scalar.bytes() {
            8 => u64::MAX,
            bytes => (1 << (8 * bytes)) - 1,
        };
        let [zero, ones] = [0, ones].map(|bits| {
            let one = self.constants.get(self.function, scalar, bits);
            match ty.width() {
                1 => one,
                _ => self.put(Op::Splat, ty, &[one], out),
            }
        });
        match taint {
            Some(taint) => {
                let taint = self.spread(taint, ty.width(), out);
                self.put(Op::Select, ty, &[taint, ones, zero], out)
            }
            None => zero,
        }
    }

    /// The taint of a value in memory that threads share: a bit for each byte that was not written.
    fn unwritten(&mut self, pointer: Value, ty: Type, out: &mut Block) -> Option<Value> {
        let (bytes, width) = (ty.bytes(), ty.width());
        if bytes > 32 {
            return None;
        }
        let bits = self.put_at(Op::Unwritten, Type::U32, &[pointer], bytes.into(), out);
        let each = bytes / width.max(1);
        let mut parts = Vec::new();
        for component in 0..width {
            let mask = ((1u64 << each) - 1) << (component * each);
            let mask = self.constants.get(self.function, Scalar::U32, mask);
            let own = self.put(Op::And, Type::U32, &[bits, mask], out);
            parts.push(self.not_zero(own, out));
        }
        match parts[..] {
            [one] => Some(one),
            _ => Some(self.put(Op::Compose, Type::of(Scalar::Bool, width), &parts, out)),
        }
    }

    /// Marks threadgroup memory as not written where a tainted value was stored.
    fn unwrite(&mut self, pointer: Value, taint: Option<Value>, ty: Type, out: &mut Block) {
        let Some(taint) = taint else { return };
        let width = self.function.ty(taint).width();
        let each = ty.bytes() / ty.width().max(1);
        for component in 0..width {
            let (one, bytes) = match width {
                1 => (taint, ty.bytes()),
                _ => (self.put_at(Op::Extract, Type::BOOL, &[taint], component.into(), out), each),
            };
            let mut then = Block::new();
            let at = self.field(pointer, u64::from(component * each), &mut then);
            let none = self.constants.get(self.function, Scalar::U64, 0);
            let imm = Probe::Unwrite { bytes }.imm();
            self.put_at(Op::Probe, Type::Void, &[at, none], imm, &mut then);
            out.push(Stmt::If(one, then, Block::new()));
        }
    }

    /// Reports a finding in the threads where a taint holds, for any component.
    fn report(&mut self, taint: Option<Value>, finding: Finding, out: &mut Block) {
        let Some(taint) = taint else { return };
        let taint = self.whole(taint, out);
        let mut then = Block::new();
        self.put_at(Op::Probe, Type::Void, &[], Probe::Found(finding).imm(), &mut then);
        out.push(Stmt::If(taint, then, Block::new()));
    }

    // --- Instructions ---------------------------------------------------------------------------

    fn free(&mut self, op: Op, ty: Type, imm: u64) -> Value {
        let inst = Inst { op, ty, args: Args::NONE, imm, span: Span::default() };
        self.function.insts.push(inst);
        Value(self.function.insts.len() as u32 - 1)
    }

    fn field(&mut self, pointer: Value, bytes: u64, out: &mut Block) -> Value {
        match bytes {
            0 => pointer,
            _ => self.put_at(Op::Field, self.function.ty(pointer), &[pointer], bytes, out),
        }
    }

    fn put(&mut self, op: Op, ty: Type, args: &[Value], out: &mut Block) -> Value {
        self.put_at(op, ty, args, 0, out)
    }

    fn put_at(&mut self, op: Op, ty: Type, args: &[Value], imm: u64, out: &mut Block) -> Value {
        let inst = Inst { op, ty, args: Args::new(args), imm, span: self.span };
        self.function.put(inst, out)
    }
}
