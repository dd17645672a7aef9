//! Facts about pointers: the buffers that they are offsets from, and their alignment. A variable has a fact if all values that are
//! assigned to it have it: a pointer that a loop advances stays in its buffer.

use super::multiples::Multiples;
use super::{Options, Root, assigned};
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{AllocationKind, Function, Inst, Module, Op, Value};

/// The facts about a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) root: Root,
    /// Its alignment: from 1 to 16.
    pub(super) alignment: u32,
}

impl Pointer {
    const UNKNOWN: Self = Self { root: Root::Unknown, alignment: 1 };

    /// A pointer some bytes further.
    fn advanced(self, by: u64) -> Self {
        Self { alignment: self.alignment.min(power(by)), ..self }
    }
}

/// The largest power of two up to 16 that a number is a multiple of.
fn power(number: u64) -> u32 {
    1 << (number | 16).trailing_zeros()
}

/// A pointer that is one of two; `None` is one about which nothing was found out yet.
fn either(a: Option<Pointer>, b: Option<Pointer>) -> Option<Pointer> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    let root = if a.root == b.root { a.root } else { Root::Unknown };
    Some(Pointer { root, alignment: a.alignment.min(b.alignment) })
}

/// The facts about all values and variables; those about values that are not pointers are meaningless.
pub(super) struct Pointers {
    values: Vec<Option<Pointer>>,
    variables: Vec<Option<Pointer>>,
}

impl Pointers {
    /// Finds out; `locals` are the offsets of locals in the thread's memory.
    pub(super) fn new(
        module: &Module,
        function: &Function,
        locals: &[u64],
        options: Options,
        multiples: &Multiples,
    ) -> Self {
        let start = |inst: &Inst| match inst.op {
            Op::Allocation => {
                let is_buffer =
                    |kind: &AllocationKind| matches!(kind, AllocationKind::Buffer { .. });
                let kind = &module.allocations[inst.imm as usize].kind;
                let alignment = if is_buffer(kind) { options.alignment } else { 16 };
                Some(Pointer { root: Root::Allocation(inst.imm as u32), alignment })
            }
            Op::Local => {
                let alignment = power(locals[inst.imm as usize]);
                Some(Pointer { root: Root::Local(inst.imm as u32), alignment })
            }
            Op::Index | Op::Field | Op::Select | Op::Get => None,
            _ => Some(Pointer::UNKNOWN),
        };
        let mut values: Vec<Option<Pointer>> = function.insts.iter().map(start).collect();
        let unknown = |assigned: bool| (!assigned).then_some(Pointer::UNKNOWN);
        let mut variables: Vec<Option<Pointer>> =
            assigned::before_reads(function).into_iter().map(unknown).collect();
        // Each round removes facts, until nothing changes.
        loop {
            let mut changed = false;
            for value in instructions(&function.body) {
                let inst = function.inst(value);
                let of = |arg: usize| values[inst.args[arg].index()];
                let found = match inst.op {
                    Op::Field => of(0).map(|from| from.advanced(inst.imm)),
                    Op::Index => {
                        let by = match function.constant_index(inst.args[1]) {
                            Some(number) => number.wrapping_mul(inst.imm as i64) as u64,
                            None => multiples.scaled(inst.args[1], inst.imm),
                        };
                        of(0).map(|from| from.advanced(by))
                    }
                    Op::Select => either(of(1), of(2)),
                    Op::Get => variables[inst.imm as usize],
                    Op::Set => either(variables[inst.imm as usize], of(0)),
                    _ => continue,
                };
                let slot = match inst.op {
                    Op::Set => &mut variables[inst.imm as usize],
                    _ => &mut values[value.index()],
                };
                changed |= *slot != found;
                *slot = found;
            }
            if !changed {
                return Self { values, variables };
            }
        }
    }

    /// The facts about a value.
    pub(super) fn of(&self, value: Value) -> Pointer {
        self.values[value.index()].unwrap_or(Pointer::UNKNOWN)
    }

    /// The facts about a variable, by its number.
    pub(super) fn of_variable(&self, number: u64) -> Pointer {
        self.variables[number as usize].unwrap_or(Pointer::UNKNOWN)
    }
}
