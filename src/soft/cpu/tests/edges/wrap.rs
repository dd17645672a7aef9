//! Indices that wrap around between the lanes of a SIMD-group, and uniform parts that bring what has not wrapped back into
//! the memory.

use super::super::*;
use super::pages::Pages;
use crate::soft::cpu::FaultKind;
use crate::soft::ir::Op;

/// An access to words at `(lane · step + bias) · 4`, to which more is added.
#[derive(Clone, Copy, Debug)]
struct Case {
    signed: bool,
    write: bool,
    step: u32,
    bias: u32,
    /// The same index again, times 4.
    twice: bool,
    /// A constant number of bytes.
    constant: i64,
    /// A number of bytes that is known at run time only.
    moved: Option<i64>,
    /// Lanes from this one on are active.
    first: u32,
}

const LENGTH: i64 = 128;

impl Case {
    fn module(self) -> Module {
        let mut b = kernel("wrap");
        let [data, out] = [0, 1].map(|number| device(&mut b, number));
        let uniform = constant(&mut b, 2);
        let lane = position(&mut b, 0);
        let first = b.u32(self.first);
        let active = b.op(Op::Le, &[first, lane]);
        b.begin_if(active);
        let bias = b.field(uniform, 8);
        let bias = b.load(bias, Type::U32);
        let step = b.u32(self.step);
        let index = b.op(Op::Mul, &[lane, step]);
        let mut index = b.add(index, bias);
        if self.signed {
            index = b.convert(index, Type::I32);
        }
        let mut at = b.index(data, index, 4);
        if self.twice {
            at = b.index(at, index, 4);
        }
        if self.moved.is_some() {
            let offset = b.load(uniform, Type::U64);
            at = b.index(at, offset, 1);
        }
        let at = b.field(at, self.constant);
        if self.write {
            b.store(at, lane);
        } else {
            let value = b.load(at, Type::U32);
            let to = b.index(out, lane, 4);
            b.store(to, value);
        }
        b.end_if();
        let buffers = vec![
            buffer("data", 0, Space::Device),
            buffer("out", 1, Space::Device),
            buffer("uniform", 2, Space::Constant),
        ];
        module(buffers, b.finish())
    }

    /// Where a lane's access is.
    fn offset(self, lane: u32) -> i64 {
        let index = lane.wrapping_mul(self.step).wrapping_add(self.bias);
        let index = if self.signed { i64::from(index as i32) } else { i64::from(index) };
        index * if self.twice { 8 } else { 4 } + self.constant + self.moved.unwrap_or(0)
    }

    /// Whether there was no fault; it is the model's outcome.
    fn check(self, way: Way) -> bool {
        let mut memory = Pages::new(1);
        let place = memory.place(LENGTH as usize, self.bias.is_multiple_of(2));
        memory.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8 ^ 0x5a);
        let mut out = [0u32; 32];
        let (mut want_memory, mut want_out) = (memory.to_vec(), out);
        let lanes = || self.first..32;
        let inside = |lane: &u32| (0..=LENGTH - 4).contains(&self.offset(*lane));
        let bad = lanes().find(|lane| !inside(lane)).map(|lane| (lane, self.offset(lane)));
        for lane in lanes().filter(|_| bad.is_none()) {
            let word = &mut want_memory[place + self.offset(lane) as usize..][..4];
            match self.write {
                true => word.copy_from_slice(&lane.to_ne_bytes()),
                false => want_out[lane as usize] = u32::from_ne_bytes((&*word).try_into().unwrap()),
            }
        }
        let mut uniform = self.moved.unwrap_or(0).to_ne_bytes().to_vec();
        uniform.extend(self.bias.to_ne_bytes());
        let data = &mut memory[place..place + LENGTH as usize];
        let bindings = [bind(0, data), bind(1, &mut out), bind(2, &mut uniform)];
        let found = run(&self.module(), way, &launch([32, 1, 1], [32, 1, 1], &bindings));
        let found = found.err().map(|fault| match fault.kind {
            FaultKind::Access { offset, .. } => (fault.position.expect("a position")[0], offset),
            other => panic!("{other:?}"),
        });
        assert_eq!(found, bad, "{self:?} {}", way.name());
        if bad.is_none() {
            assert!(memory[..] == want_memory && out == want_out, "{self:?} {}", way.name());
        }
        bad.is_none()
    }
}

#[test]
fn indices_that_wrap_are_not_taken_for_those_that_do_not() {
    let (ways, mut valid) = (Way::plain_and_native(), 0);
    for (signed, write, twice) in (0..8).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0)) {
        for (step, after) in [(1, 5), (1, 31), (1, 32), (3, 7), (1 << 26, 3)] {
            // Lane `after` is the first that has wrapped.
            let edge = if signed { 1u32 << 31 } else { 0 };
            let bias = edge.wrapping_sub(after * step);
            let case =
                Case { signed, write, twice, step, bias, constant: 0, moved: None, first: 0 };
            // Parts that bring the lanes before, or those after, to the start of memory.
            let [before, past] = [0, after.min(31)].map(|lane| -case.offset(lane));
            for (constant, moved) in [
                (before, None),
                (past, None),
                (0, Some(before)),
                (0, Some(past)),
                (4 - before, Some(2 * before - 4)),
            ] {
                for first in [0, after.min(31)] {
                    for &way in &ways {
                        let case = Case { constant, moved, first, ..case };
                        valid += usize::from(case.check(way));
                    }
                }
            }
        }
    }
    assert!(valid >= 32 * ways.len(), "only {valid} cases are valid");
}
