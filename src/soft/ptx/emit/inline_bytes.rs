//! Bytes that a command carries (`setBytes`). A kernel that only loads from them, at constant offsets, finds them in its parameter,
//! which costs neither a copy before the launch nor checks.

use super::super::text::{Kind, Reg, ptx};
use super::memory::memory_type;
use super::{Emit, layout};
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{AllocationKind, Function, Module, Op, Scalar, Type, Value};

/// The most bytes of an argument that are passed so.
const MAX_BYTES: u32 = 256;

/// For each allocation how many bytes from its start the kernel may load, if it does nothing else with it, so that they may be
/// in the kernel's parameter; 0 if they may not.
pub(crate) fn inline_sizes(module: &Module, function: &Function) -> Vec<u32> {
    let is_buffer = |kind: &AllocationKind| matches!(kind, AllocationKind::Buffer { .. });
    // None once something else is done with it.
    let mut sizes: Vec<Option<u32>> = module
        .allocations
        .iter()
        .enumerate()
        // A launch names them in one word of bits.
        .map(|(number, allocation)| (number < 64 && is_buffer(&allocation.kind)).then_some(0))
        .collect();
    for value in instructions(&function.body) {
        let inst = function.inst(value);
        for (k, &arg) in inst.args.iter().enumerate() {
            let Some((number, offset)) = offset(function, arg) else { continue };
            let Some(size) = &mut sizes[number] else { continue };
            let scalar = i64::from(inst.ty.scalar().unwrap_or(Scalar::U64).bytes());
            let end = |offset: i64| offset.checked_add(inst.ty.bytes().into());
            sizes[number] = match (inst.op, offset) {
                // Their own uses count.
                (Op::Index | Op::Field, _) if k == 0 => Some(*size),
                (Op::Load, Some(at)) if at >= 0 && at % scalar == 0 => end(at)
                    .and_then(|end| u32::try_from(end).ok())
                    .filter(|end| *end <= MAX_BYTES)
                    .map(|end| end.max(*size)),
                _ => None,
            };
        }
    }
    sizes.into_iter().map(Option::unwrap_or_default).collect()
}

/// Takes the bytes of arguments that the parameter has no room for from the `rooms`. Code with no bytes in it has this many `limits`; half of
/// what is left is for more of them, as the code depends on which arguments are passed so.
pub(crate) fn limit_inline_sizes(sizes: &mut [u32], limits: usize) {
    let mut left = layout::MAX_BYTES.saturating_sub(layout::bytes(sizes, 0, limits)) / 2;
    for size in sizes {
        let bytes = size.next_multiple_of(16) as usize;
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => *size = 0,
        }
    }
}

/// The allocation that a pointer is into, and its offset from the start, if that is constant.
pub(crate) fn offset(function: &Function, pointer: Value) -> Option<(usize, Option<i64>)> {
    let (mut at, mut sum) = (pointer, Some(0i64));
    loop {
        let inst = function.inst(at);
        let by = match inst.op {
            Op::Allocation => return Some((inst.imm as usize, sum)),
            Op::Field => Some(inst.imm as i64),
            Op::Index => function
                .constant_index(inst.args[1])
                .and_then(|index| index.checked_mul(inst.imm as i64)),
            _ => return None,
        };
        sum = sum.zip(by).and_then(|(sum, by)| sum.checked_add(by));
        at = inst.args[0];
    }
}

/// Where the bytes of an allocation are in the kernel's parameter, if it is among the `pushed` ones, which are bits by number.
pub(crate) fn start(sizes: &[u32], pushed: u64, number: usize) -> Option<usize> {
    let is_pushed = number < 64 && pushed >> number & 1 != 0;
    (is_pushed && sizes[number] != 0)
        .then(|| layout::pushed(sizes.len()) + bytes(&sizes[..number], pushed))
}

/// Bytes of the parameter for the pushed ones.
pub(crate) fn bytes(sizes: &[u32], pushed: u64) -> usize {
    let size = |(number, size): (usize, &u32)| match number < 64 && pushed >> number & 1 != 0 {
        true => size.next_multiple_of(16) as usize,
        false => 0,
    };
    sizes.iter().enumerate().map(size).sum()
}

impl Emit<'_> {
    /// Where the bytes of an allocation are in the kernel's parameter, if they are there.
    pub(super) fn pushed(&self, number: u32) -> Option<usize> {
        start(&self.inline_sizes, self.options.pushed, number as usize)
    }

    /// Where the kernel's parameter has what a pointer is to, if it is there.
    pub(super) fn pushed_offset(&self, pointer: Value) -> Option<usize> {
        let (number, offset) = offset(self.function, pointer)?;
        Some(self.pushed(number as u32)? + offset? as usize)
    }

    /// Loads what is in the kernel's parameter; `None` if it is elsewhere.
    pub(super) fn load_pushed(&mut self, pointer: Value, ty: Type) -> Option<Vec<Reg>> {
        let at = self.pushed_offset(pointer)?;
        let scalar = ty.scalar().unwrap_or(Scalar::U64);
        let part = |k: u32| {
            let (reg, at) = (self.text.reg(Kind::of(scalar)), at + (k * scalar.bytes()) as usize);
            let loaded = if scalar == Scalar::Bool { self.text.reg(Kind::Word) } else { reg };
            ptx!(self.text, "ld.param.{} {loaded}, [args+{at}];", memory_type(scalar));
            if scalar == Scalar::Bool {
                ptx!(self.text, "setp.ne.u32 {reg}, {loaded}, 0;");
            }
            reg
        };
        Some((0..ty.width()).map(part).collect())
    }
}
