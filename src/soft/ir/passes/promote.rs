//! Promotion: locals in thread memory that are only accessed at constant offsets become variables, one for
//! each scalar or pointer in them (scalar replacement of aggregates).
//!
//! The types of a local's parts are not declared; they are inferred from the accesses to it, and to other
//! locals that it is copied from or to. A local stays in memory if accesses overlap in part, if its address
//! is used otherwise, or if it is indexed by a value.

use crate::soft::ir::hash::FastMap;
use crate::soft::ir::walk::{Rebuild, statements};
use crate::soft::sorted::SortedMap;

use crate::soft::ir::{
    Block, Function, FunctionBuilder, Inst, Op, Scalar, Stmt, Type, Value, VarId,
};

/// Most variables that one local may become.
const MAX_PIECES: usize = 1024;

/// Rewrites a function without calls.
pub(crate) fn run(function: &mut Function) {
    if !function.locals.is_empty() {
        *function = promoted(function);
    }
}

fn promoted(function: &Function) -> Function {
    let mut find = Find {
        function,
        at: FastMap::default(),
        locals: function
            .locals
            .iter()
            .map(|l| Local { bytes: l.bytes.into(), ..Local::default() })
            .collect(),
        copies: Vec::new(),
    };
    find.block(&function.body);
    find.settle();

    let mut out = FunctionBuilder::new(&function.name, function.params.clone(), function.result);
    let variables = function.variables.iter();
    let variables = variables.map(|variable| out.variable(&variable.name, variable.ty)).collect();
    let mut kept = Vec::new();
    let mut pieces = Vec::new();
    for (local, found) in function.locals.iter().zip(&find.locals) {
        kept.push(found.stays.then(|| out.local_like(local.clone())));
        let mut variables = SortedMap::new();
        for &(offset, ty) in found.pieces.iter().filter(|_| !found.stays) {
            variables.insert(offset, (out.variable(&local.name, ty), ty));
        }
        pieces.push(variables);
    }
    let at = find.at;
    let values = vec![None; function.insts.len()];
    let mut pass = Promote { function, out, at, variables, kept, pieces, values };
    pass.block(&function.body);
    pass.out.finish()
}

/// A position in a local: its number, and an offset in bytes.
type Position = (usize, i64);

#[derive(Clone, Debug, Default)]
struct Local {
    bytes: i64,
    stays: bool,
    /// The scalars and pointers in it, by offset.
    pieces: SortedMap<i64, Type>,
}

impl Local {
    /// Records a piece at an offset. Returns whether it is new.
    fn note(&mut self, offset: i64, ty: Type) -> bool {
        if self.stays {
            return false;
        }
        let end = offset + i64::from(ty.bytes());
        if let Some(known) = self.pieces.get(&offset)
            && known.bytes() == ty.bytes()
        {
            return false;
        }
        let below = self.pieces.before(&end).last();
        let overlaps = below.is_some_and(|(at, known)| at + i64::from(known.bytes()) > offset);
        if overlaps || offset < 0 || end > self.bytes || self.pieces.len() >= MAX_PIECES {
            // Out of bounds, it stays to be reported.
            self.stays = true;
            return false;
        }
        self.pieces.insert(offset, ty);
        true
    }

    /// The pieces in a range, relative to its start; `None` if one lies across an end.
    fn within(&self, start: i64, bytes: i64) -> Option<Vec<(i64, Type)>> {
        let end = start + bytes;
        let mut found = Vec::new();
        for &(at, ty) in self.pieces.before(&end) {
            let piece_end = at + i64::from(ty.bytes());
            if piece_end <= start {
                continue;
            }
            if at < start || piece_end > end {
                return None;
            }
            found.push((at - start, ty));
        }
        Some(found)
    }
}

struct Find<'a> {
    function: &'a Function,
    /// Pointers that are a constant offset into a local.
    at: FastMap<Value, Position>,
    locals: Vec<Local>,
    /// Copies: to, from, bytes.
    copies: Vec<(Option<Position>, Option<Position>, i64)>,
}

/// The components of a type that is loaded or stored, with their offsets.
fn components(ty: Type) -> impl Iterator<Item = (i64, Type)> {
    let part = ty.scalar().map_or(ty, Type::Scalar);
    (0..ty.width()).map(move |k| (i64::from(k * part.bytes()), part))
}

/// The value of a constant index, by its sign.
fn constant_index(function: &Function, value: Value) -> Option<i64> {
    let inst = function.inst(value);
    let scalar = inst.ty.scalar()?;
    let narrow_signed = scalar.is_signed() && scalar.bytes() < 8;
    (inst.op == Op::Const).then_some(if narrow_signed {
        inst.imm as u32 as i32 as i64
    } else {
        inst.imm as i64
    })
}

impl Find<'_> {
    fn position(&self, value: Value) -> Option<Position> {
        let inst = self.function.inst(value);
        if inst.op == Op::Local {
            return Some((inst.imm as usize, 0));
        }
        self.at.get(&value).copied()
    }

    /// The value is used as more than an address.
    fn escapes(&mut self, value: Value) {
        if let Some((local, _)) = self.position(value) {
            self.locals[local].stays = true;
        }
    }

    fn access(&mut self, pointer: Value, ty: Type) {
        if let Some((local, offset)) = self.position(pointer) {
            for (at, part) in components(ty) {
                self.locals[local].note(offset.saturating_add(at), part);
            }
        }
    }

    fn block(&mut self, block: &Block) {
        for stmt in statements(block) {
            match stmt {
                Stmt::Do(value) => self.instruction(*value),
                other => other.values().iter().for_each(|&value| self.escapes(value)),
            }
        }
    }

    fn instruction(&mut self, value: Value) {
        let inst = *self.function.inst(value);
        let position = inst.args.first().and_then(|&pointer| self.position(pointer));
        match inst.op {
            Op::Field => {
                if let Some((local, offset)) = position {
                    self.at.insert(value, (local, offset.saturating_add(inst.imm as i64)));
                }
            }
            Op::Index => {
                if let Some((local, offset)) = position {
                    match constant_index(self.function, inst.args[1]) {
                        Some(index) => {
                            let bytes = index.saturating_mul(inst.imm as i64);
                            self.at.insert(value, (local, offset.saturating_add(bytes)));
                        }
                        None => self.locals[local].stays = true,
                    }
                }
            }
            Op::Load => self.access(inst.args[0], inst.ty),
            Op::Store => {
                self.access(inst.args[0], self.function.ty(inst.args[1]));
                self.escapes(inst.args[1]);
            }
            Op::Copy => {
                let from = self.position(inst.args[1]);
                self.copies.push((position, from, i64::from(inst.imm as u32)));
            }
            _ => inst.args.iter().for_each(|&arg| self.escapes(arg)),
        }
    }

    /// Propagates pieces through copies until nothing changes.
    fn settle(&mut self) {
        let mut changed = true;
        let mut filled = false;
        while changed {
            changed = false;
            for index in 0..self.copies.len() {
                let (to, from, bytes) = self.copies[index];
                for (source, target) in [(to, from), (from, to)] {
                    let (Some((source, start)), Some((target, target_start))) = (source, target)
                    else {
                        continue;
                    };
                    match self.locals[source].within(start, bytes) {
                        Some(pieces) => {
                            for (offset, ty) in pieces {
                                changed |= self.locals[target].note(target_start + offset, ty);
                            }
                        }
                        None => self.locals[source].stays = true,
                    }
                }
            }
            if !changed && !filled {
                // Bytes that are copied to or from memory need pieces, too.
                filled = true;
                for index in 0..self.copies.len() {
                    if let (Some(position), other, bytes) | (other, Some(position), bytes) =
                        self.copies[index]
                        && other.is_none_or(|(other, _)| self.locals[other].stays)
                    {
                        changed |= self.fill(position, bytes);
                    }
                }
            }
        }
        // A copy of a range that is out of bounds, or that a piece lies across, is done in memory.
        for &(to, from, bytes) in &self.copies {
            for (local, start) in [to, from].into_iter().flatten() {
                let found = &self.locals[local];
                let inside = 0 <= start && start + bytes <= found.bytes;
                if !inside || found.within(start, bytes).is_none() {
                    self.locals[local].stays = true;
                }
            }
        }
    }

    /// Fills the parts of a range without pieces with words, and with bytes where words do not fit.
    fn fill(&mut self, (local, start): Position, bytes: i64) -> bool {
        let local = &mut self.locals[local];
        let end = (start + bytes).min(local.bytes);
        let (mut at, mut changed) = (start.max(0), false);
        while at < end && !local.stays {
            if let Some(ty) = local.pieces.get(&at) {
                at += i64::from(ty.bytes());
                continue;
            }
            let next = local.pieces.not_before(&at).first().map_or(end, |&(next, _)| next.min(end));
            let word = at % 4 == 0 && at + 4 <= next;
            let ty = Type::Scalar(if word { Scalar::U32 } else { Scalar::U8 });
            changed |= local.note(at, ty);
            at += i64::from(ty.bytes());
        }
        changed
    }
}

struct Promote<'a> {
    function: &'a Function,
    out: FunctionBuilder,
    at: FastMap<Value, Position>,
    variables: Vec<VarId>,
    /// The locals that stay in memory.
    kept: Vec<Option<Value>>,
    /// The variables of the others, by offset.
    pieces: Vec<SortedMap<i64, (VarId, Type)>>,
    values: Vec<Option<Value>>,
}

impl<'a> Rebuild<'a> for Promote<'a> {
    fn source(&self) -> &'a Function {
        self.function
    }

    fn out(&mut self) -> &mut FunctionBuilder {
        &mut self.out
    }

    fn instruction(&mut self, value: Value) {
        self.values[value.index()] = self.built(value, self.function.inst(value));
    }

    fn value(&mut self, value: Value) -> Value {
        if let Some(known) = self.values[value.index()] {
            return known;
        }
        let inst = self.function.inst(value);
        match (inst.op, self.kept.get(inst.imm as usize)) {
            (Op::Local, Some(&Some(local))) => local,
            _ => self.out.free(inst.op, inst.ty, inst.imm),
        }
    }
}

impl Promote<'_> {
    /// The position of a pointer, if it points into a local that became variables.
    fn promoted(&self, pointer: Value) -> Option<Position> {
        let inst = self.function.inst(pointer);
        let position = match inst.op {
            Op::Local => Some((inst.imm as usize, 0)),
            _ => self.at.get(&pointer).copied(),
        };
        position.filter(|&(local, _)| self.kept[local].is_none())
    }

    fn built(&mut self, value: Value, inst: &Inst) -> Option<Value> {
        match inst.op {
            Op::Field | Op::Index if self.promoted(value).is_some() => None,
            Op::Load => match self.promoted(inst.args[0]) {
                Some((local, offset)) => {
                    let parts: Vec<Value> = components(inst.ty)
                        .map(|(at, ty)| self.read(local, offset + at, ty))
                        .collect();
                    Some(if let &[one] = &parts[..] {
                        one
                    } else {
                        self.out.op(Op::Compose, &parts)
                    })
                }
                None => Some(self.same(inst)),
            },
            Op::Store => match self.promoted(inst.args[0]) {
                Some((local, offset)) => {
                    let ty = self.function.ty(inst.args[1]);
                    let value = self.value(inst.args[1]);
                    for (k, (at, part)) in components(ty).enumerate() {
                        let part_value =
                            if ty.width() == 1 { value } else { self.out.extract(value, k as u32) };
                        self.write(local, offset + at, part, part_value);
                    }
                    None
                }
                None => Some(self.same(inst)),
            },
            Op::Copy => {
                let (to, from) = (self.promoted(inst.args[0]), self.promoted(inst.args[1]));
                if to.is_none() && from.is_none() {
                    return Some(self.same(inst));
                }
                self.copy(inst, to, from);
                None
            }
            _ => Some(self.same(inst)),
        }
    }

    /// The instruction as it was.
    fn same(&mut self, inst: &Inst) -> Value {
        let args: Vec<Value> = inst.args.iter().map(|&arg| self.value(arg)).collect();
        let imm = match inst.op {
            Op::Get | Op::Set => self.variables[inst.imm as usize].0.into(),
            _ => inst.imm,
        };
        self.out.emit(inst.op, inst.ty, &args, imm)
    }

    /// A value's bits as another type of the same size.
    fn cast(&mut self, value: Value, to: Type) -> Value {
        let from = self.out.ty(value);
        match (from, to) {
            _ if from == to => value,
            (Type::Pointer(_), Type::Scalar(_)) => {
                let bits = self.out.op(Op::PointerToInt, &[value]);
                self.cast(bits, to)
            }
            (Type::Scalar(_), Type::Pointer(_)) => {
                let bits = self.cast(value, Type::U64);
                self.out.emit(Op::IntToPointer, to, &[bits], 0)
            }
            (Type::Pointer(_), Type::Pointer(_)) => {
                let bits = self.out.op(Op::PointerToInt, &[value]);
                self.out.emit(Op::IntToPointer, to, &[bits], 0)
            }
            // A truth value in a byte.
            (Type::Scalar(Scalar::Bool), _) | (_, Type::Scalar(Scalar::Bool)) => {
                self.out.convert(value, to)
            }
            _ => self.out.bitcast(value, to),
        }
    }

    fn read(&mut self, local: usize, offset: i64, ty: Type) -> Value {
        let &(variable, _) = self.pieces[local].at(&offset);
        let value = self.out.get(variable);
        self.cast(value, ty)
    }

    fn write(&mut self, local: usize, offset: i64, _: Type, value: Value) {
        let &(variable, ty) = self.pieces[local].at(&offset);
        let value = self.cast(value, ty);
        self.out.set(variable, value);
    }

    /// Copies piece by piece.
    fn copy(&mut self, inst: &Inst, to: Option<Position>, from: Option<Position>) {
        let bytes = i64::from(inst.imm as u32);
        let Some((local, start)) = to.or(from) else { return };
        let pieces: Vec<(i64, Type)> = self.pieces[local]
            .before(&(start + bytes))
            .iter()
            .filter(|&&(at, _)| at >= start)
            .map(|&(at, (_, ty))| (at - start, ty))
            .collect();
        let mut values = Vec::new();
        for &(at, ty) in &pieces {
            values.push(match from {
                Some((local, start)) if self.pieces[local].contains_key(&(start + at)) => {
                    Some(self.read(local, start + at, ty))
                }
                // The source has nothing there that was ever written.
                Some(_) => None,
                None => {
                    let pointer = self.value(inst.args[1]);
                    let pointer = self.out.field(pointer, at);
                    Some(self.out.load(pointer, ty))
                }
            });
        }
        for (&(at, ty), value) in pieces.iter().zip(values) {
            let Some(value) = value else { continue };
            match to {
                Some((local, start)) => self.write(local, start + at, ty, value),
                None => {
                    let pointer = self.value(inst.args[0]);
                    let pointer = self.out.field(pointer, at);
                    self.out.store(pointer, value);
                }
            }
        }
    }
}

/// Locals that are left in memory, for tests.
#[cfg(test)]
fn left(function: &Function) -> Vec<&str> {
    function.locals.iter().map(|local| local.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::Input;

    #[test]
    fn structs_become_variables_through_copies() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let (first, second, array) =
            (b.local("first", 16), b.local("second", 16), b.local("array", 16));
        let x = b.input(Input::ThreadPositionInGrid, 0);
        let half = b.constant(Scalar::F16, u64::from(1f32.to_bits()));
        b.store(first, x);
        let pair = b.splat(half, 2);
        let at = b.field(first, 4);
        b.store(at, pair);
        b.copy(second, first, 16);
        let at = b.field(second, 6);
        let part = b.load(at, Type::Scalar(Scalar::F16));
        let at = b.index(array, x, 2);
        b.store(at, part);
        let bits = b.load(second, Type::F32);
        b.store(array, bits);
        let mut f = b.finish();
        run(&mut f);
        assert_eq!(left(&f), ["array"]);
        let text = f.to_string();
        assert_eq!(text.matches("var $").count(), 6, "{text}");
        assert!(text.contains("bitcast"), "{text}");
    }

    #[test]
    fn locals_with_overlapping_or_out_of_bounds_accesses_stay() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let (parts, short, good) = (b.local("parts", 8), b.local("short", 4), b.local("good", 8));
        let (x, wide) = (b.u32(1), b.int(Scalar::U64, 7));
        b.store(parts, wide);
        let at = b.field(parts, 4);
        b.store(at, x);
        let at = b.field(short, 4);
        b.store(at, x);
        b.store(good, wide);
        let mut f = b.finish();
        run(&mut f);
        assert_eq!(left(&f), ["parts", "short"]);
    }
}
