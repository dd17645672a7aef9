//! Powers of two that integers are known to be multiples of, so that the alignment of addresses is known. Numbers in the bytes that a
//! command carries (the distance between rows of a matrix, for example) are multiples of 16 if the launch says so.

use std::collections::HashMap;

use super::{Options, assigned, inline_bytes};
use crate::soft::ir::{Function, Inst, Op, Type, Value};
use crate::soft::sorted;

/// A number in the bytes that a command carries, on which addresses depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PushedNumber {
    pub(crate) allocation: usize,
    /// Where its lowest byte is.
    pub(crate) offset: usize,
}

/// The most of them: a launch names them in one word of bits.
const MAX_NUMBERS: usize = 64;

/// The exponent of the largest power of two that counts, and of 16.
const MOST: u32 = 16;
const SIXTEEN: u32 = 4;

/// The numbers on which addresses depend, in the order of their loads; `sizes` are the bytes of each allocation that may be in
/// the kernel's parameter.
pub(crate) fn pushed_numbers(function: &Function, sizes: &[u32]) -> Vec<PushedNumber> {
    let mut found = Vec::new();
    for value in of_addresses(function) {
        if let Some(number) = pushed_number(function, sizes, value)
            && !found.contains(&number)
            && found.len() < MAX_NUMBERS
        {
            found.push(number);
        }
    }
    found
}

/// The number that a value is loaded from.
fn pushed_number(function: &Function, sizes: &[u32], value: Value) -> Option<PushedNumber> {
    let inst = function.inst(value);
    let is_number = matches!(inst.ty, Type::Scalar(scalar) if scalar.is_int());
    if inst.op != Op::Load || !is_number {
        return None;
    }
    let (allocation, offset) = inline_bytes::offset(function, inst.args[0])?;
    let offset = usize::try_from(offset?).ok()?;
    (sizes[allocation] != 0).then_some(PushedNumber { allocation, offset })
}

/// The operands that what is known about the result follows from.
fn sources(inst: &Inst) -> &[Value] {
    let args = &inst.args[..];
    match inst.op {
        Op::Add | Op::Sub | Op::Mul | Op::Shl | Op::Rem | Op::Min | Op::Max => args,
        Op::And | Op::Or | Op::Xor | Op::Neg | Op::Convert | Op::Set => args,
        Op::Select => &args[1..],
        _ => &[],
    }
}

/// The values that indices are computed from, in order.
fn of_addresses(function: &Function) -> Vec<Value> {
    let mut assigned: HashMap<u64, Vec<Value>> = HashMap::new();
    for inst in function.insts.iter().filter(|inst| inst.op == Op::Set) {
        assigned.entry(inst.imm).or_default().push(inst.args[0]);
    }
    let indices = function.insts.iter().filter(|inst| inst.op == Op::Index);
    let mut left: Vec<Value> = indices.map(|inst| inst.args[1]).collect();
    let mut seen = vec![false; function.insts.len()];
    let mut found = Vec::new();
    while let Some(value) = left.pop() {
        if std::mem::replace(&mut seen[value.index()], true) {
            continue;
        }
        found.push(value);
        let inst = function.inst(value);
        left.extend(sources(inst));
        if inst.op == Op::Get {
            left.extend(assigned.get(&inst.imm).into_iter().flatten());
        }
    }
    sorted::sort_by_key(&mut found, |value| value.index());
    found
}

/// For each value and variable the exponent of a power of two that it is a multiple of.
pub(super) struct Multiples {
    values: Vec<u32>,
}

impl Multiples {
    pub(super) fn new(function: &Function, sizes: &[u32], options: Options) -> Self {
        let numbers = pushed_numbers(function, sizes);
        let of_load = |value: Value| {
            let number = pushed_number(function, sizes, value);
            let bit = number.and_then(|number| numbers.iter().position(|one| *one == number));
            match (number, bit) {
                (Some(number), Some(bit))
                    if inline_bytes::start(sizes, options.pushed, number.allocation).is_some()
                        && options.multiples >> bit & 1 != 0 =>
                {
                    SIXTEEN
                }
                _ => 0,
            }
        };
        // Each round can only lower the multiples; it ends when none changes.
        let mut values = vec![MOST; function.insts.len()];
        // A variable that no assignment comes before may be any number.
        let assigned = assigned::before_reads(function);
        let mut variables: Vec<u32> =
            assigned.iter().map(|&assigned| if assigned { MOST } else { 0 }).collect();
        loop {
            let mut changed = false;
            for index in 0..values.len() {
                let inst = &function.insts[index];
                let found = match inst.op {
                    Op::Get => variables[inst.imm as usize],
                    Op::Load => of_load(Value(index as u32)),
                    _ => of_result(function, inst, &values),
                };
                if inst.op == Op::Set {
                    let variable = &mut variables[inst.imm as usize];
                    changed |= found < *variable;
                    *variable = found.min(*variable);
                }
                changed |= values[index] != found;
                values[index] = found;
            }
            if !changed {
                return Self { values };
            }
        }
    }

    /// The largest power of two, up to 16, that divides an index times a stride.
    pub(super) fn scaled(&self, index: Value, stride: u64) -> u64 {
        let exponent = self.values[index.index()] + (stride | 1 << SIXTEEN).trailing_zeros();
        1 << exponent.min(SIXTEEN)
    }
}

/// The exponent for the result of an operation.
fn of_result(function: &Function, inst: &Inst, values: &[u32]) -> u32 {
    let is_int = |ty: Type| matches!(ty, Type::Scalar(scalar) if scalar.is_int());
    let is_number = match inst.op {
        Op::Set => is_int(function.ty(inst.args[0])),
        Op::Convert => is_int(inst.ty) && is_int(function.ty(inst.args[0])),
        _ => is_int(inst.ty),
    };
    if !is_number {
        return 0;
    }
    let of = |arg: usize| values[inst.args[arg].index()];
    let least = sources(inst).iter().map(|arg| values[arg.index()]).min();
    let found = match inst.op {
        Op::Const => (inst.imm | 1 << MOST).trailing_zeros(),
        Op::Mul => of(0) + of(1),
        Op::And => of(0).max(of(1)),
        Op::Shl => {
            let bits = inst.ty.scalar().map_or(0, |scalar| 8 * scalar.bytes());
            let by = function.constant_index(inst.args[1]).unwrap_or(0);
            of(0) + (by & i64::from(bits.saturating_sub(1))) as u32
        }
        _ => least.unwrap_or(0),
    };
    found.min(MOST)
}
