//! Copies from a buffer to threadgroup memory. A load of 16 bytes whose only use is a store there becomes one asynchronous copy: the bytes go
//! through no register and not through the first cache, whose accesses limit kernels that copy tiles of matrices.

use super::super::text::ptx;
use super::Emit;
use crate::soft::ir::{Address, Effect, Function, Op, Space, Stmt, Value};

/// Bytes of a copy.
pub(super) const BYTES: u32 = 16;
/// The first compute capability that has such copies.
pub(super) const MIN_TARGET: u32 = 80;
/// How far a load and the end of the copies that begin with it are apart, in statements: looking further would take long in long code.
const MAX_STATEMENTS: usize = 256;

/// Copies, and what is between them.
#[derive(Default)]
pub(super) struct Copies {
    /// The statements up to the last copy.
    pub(super) count: usize,
    /// Each store, and the load that it stores.
    pub(super) pairs: Vec<(Value, Value)>,
    /// The parts of what is loaded, where it is taken apart and put together again.
    pub(super) parts: Vec<Value>,
}

/// Whether two stores of 16 bytes are of memory that does not overlap: that of different allocations, or at different constant distances from one address.
pub(super) fn are_apart(function: &Function, a: Value, b: Value) -> bool {
    let [a, b] = [a, b].map(|store| Address::of(function, function.inst(store).args[0]));
    let [from, to] = [a.base, b.base].map(|base| function.inst(base));
    if from.op == Op::Allocation && to.op == Op::Allocation && from.imm != to.imm {
        return true;
    }
    (a.base, &a.terms) == (b.base, &b.terms) && a.bytes.abs_diff(b.bytes) >= BYTES.into()
}

impl Emit<'_> {
    /// Writes the copies with which a block begins, and what is between them. Returns how many statements these are.
    pub(super) fn copies(&mut self, block: &[Stmt]) -> usize {
        if self.options.checked || self.is_routine || self.options.target < MIN_TARGET {
            return 0;
        }
        let copies = self.find_copies(block);
        for stmt in &block[..copies.count] {
            let Stmt::Do(value) = *stmt else { continue };
            if copies.parts.contains(&value) {
                continue;
            }
            if copies.pairs.iter().any(|pair| pair.1 == value) {
                self.check_early(value);
            } else if let Some(&(store, load)) = copies.pairs.iter().find(|pair| pair.0 == value) {
                self.copy_to_threadgroup(store, load);
            } else {
                self.instruction(value);
            }
        }
        if copies.count != 0 {
            // Nothing else accesses memory before they are done.
            ptx!(self.text, "cp.async.wait_all;");
        }
        copies.count
    }

    /// The copies with which a block begins.
    pub(super) fn find_copies(&self, block: &[Stmt]) -> Copies {
        let function = self.function;
        // The copies so far, and how many of them are complete: all that was loaded is stored.
        let (mut copies, mut complete, mut open) = (Copies::default(), (0, 0), Vec::new());
        for (at, stmt) in block.iter().take(MAX_STATEMENTS).enumerate() {
            let Stmt::Do(value) = *stmt else { break };
            let inst = function.inst(value);
            match inst.op {
                Op::Load if self.may_be_copied(value) => open.push(value),
                // The first statement is a load.
                _ if at == 0 => break,
                Op::Store => {
                    let (pointer, stored) = (inst.args[0], inst.args[1]);
                    let fits = function.ty(pointer).space() == Some(Space::Threadgroup)
                        && self.alignment(pointer) >= BYTES
                        && copies.pairs.iter().all(|&(store, _)| are_apart(function, store, value));
                    let Some((load, parts)) = self.only_loaded(stored).filter(|_| fits) else {
                        break;
                    };
                    let Some(position) = open.iter().position(|one| *one == load) else { break };
                    open.remove(position);
                    copies.pairs.push((value, load));
                    copies.parts.extend(parts);
                    if open.is_empty() {
                        copies.count = at + 1;
                        complete = (copies.pairs.len(), copies.parts.len());
                    }
                }
                Op::Get | Op::Set => {}
                op if op.row().effect == Effect::Pure => {}
                _ => break,
            }
        }
        copies.pairs.truncate(complete.0);
        copies.parts.truncate(complete.1);
        copies
    }

    /// Whether a load is of 16 bytes of a buffer, all at once.
    fn may_be_copied(&self, load: Value) -> bool {
        let inst = self.function.inst(load);
        let pointer = inst.args[0];
        inst.ty.bytes() == BYTES
            && matches!(self.function.ty(pointer).space(), Some(Space::Device | Space::Constant))
            && self.alignment(pointer) >= BYTES
            && self.pushed_offset(pointer).is_none()
    }

    /// The load whose result a value is, if nothing else uses that, and the instructions that take it apart and put it together again.
    fn only_loaded(&self, value: Value) -> Option<(Value, Vec<Value>)> {
        let inst = self.function.inst(value);
        let is_used = |value: Value, times: usize| self.uses[value.index()] as usize == times;
        if inst.op == Op::Load {
            return is_used(value, 1).then_some((value, Vec::new()));
        }
        let parts = &inst.args[..];
        let load = *self.function.inst(*parts.first()?).args.first()?;
        let is_part = |(at, &part): (usize, &Value)| {
            let inst = self.function.inst(part);
            let of_load = inst.op == Op::Extract && inst.imm == at as u64 && inst.args[0] == load;
            of_load && is_used(part, 1)
        };
        let whole = inst.op == Op::Compose
            && inst.ty == self.function.ty(load)
            && is_used(value, 1)
            && is_used(load, parts.len())
            && parts.iter().enumerate().all(is_part);
        whole.then(|| (load, parts.iter().copied().chain([value]).collect()))
    }

    fn copy_to_threadgroup(&mut self, store: Value, load: Value) {
        let [to, from] = [store, load].map(|access| *self.function.inst(access));
        let from = self.target_of_load(load, &from);
        let to = self.target_of_store(store, &to);
        ptx!(
            self.text,
            "cp.async.cg.shared.global [{}+{}], [{}+{}], {BYTES};",
            to.address,
            to.ahead,
            from.address,
            from.ahead
        );
    }
}
