//! Indices that wrap around between the lanes of a SIMD-group, with other parts of the address that move the lanes that have
//! not wrapped back into the memory.

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
    /// The bias of a second index, with the same step.
    second: Option<u32>,
    /// The indices are in memory, so that the compiler does not see how they vary.
    loaded: bool,
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
        let (uniform, indices) = (constant(&mut b, 2), constant(&mut b, 3));
        let lane = position(&mut b, 0);
        let first = b.u32(self.first);
        let active = b.op(Op::Le, &[first, lane]);
        b.begin_if(active);
        let mut at = data;
        for number in 0..1 + i64::from(self.second.is_some()) {
            let mut index = if self.loaded {
                let from = b.index(indices, lane, 4);
                let from = b.field(from, number * 128);
                b.load(from, Type::U32)
            } else {
                let bias = b.field(uniform, 8 + 4 * number);
                let bias = b.load(bias, Type::U32);
                let step = b.u32(self.step);
                let index = b.op(Op::Mul, &[lane, step]);
                b.add(index, bias)
            };
            if self.signed {
                index = b.convert(index, Type::I32);
            }
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
            buffer("indices", 3, Space::Constant),
        ];
        module(buffers, b.finish())
    }

    fn biases(self) -> [u32; 2] {
        [self.bias, self.second.unwrap_or(0)]
    }

    /// Where a lane's access is.
    fn offset(self, lane: u32) -> i64 {
        let index = |bias: u32| {
            let index = lane.wrapping_mul(self.step).wrapping_add(bias);
            if self.signed { i64::from(index as i32) } else { i64::from(index) }
        };
        let indices = index(self.bias) + self.second.map_or(0, index);
        indices * 4 + self.constant + self.moved.unwrap_or(0)
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
        uniform.extend(self.biases().map(u32::to_ne_bytes).as_flattened());
        let mut indices = self
            .biases()
            .map(|bias| lanes_of(|lane| lane.wrapping_mul(self.step).wrapping_add(bias)));
        let data = &mut memory[place..place + LENGTH as usize];
        let bindings =
            [bind(0, data), bind(1, &mut out), bind(2, &mut uniform), bind(3, &mut indices)];
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

fn lanes_of(number: impl Fn(u32) -> u32) -> [u32; 32] {
    std::array::from_fn(|lane| number(lane as u32))
}

#[test]
fn indices_that_wrap_are_not_taken_for_those_that_do_not() {
    let (ways, mut valid) = (Way::plain_and_native(), 0);
    for bits in 0..16 {
        let [signed, write, twice, loaded] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        for (step, after) in [(1, 5), (1, 31), (1, 32), (3, 7), (1 << 26, 3)] {
            // Lane `after` is the first that has wrapped.
            let edge = if signed { 1u32 << 31 } else { 0 };
            let bias = edge.wrapping_sub(after * step);
            let plain = Case {
                signed,
                write,
                step,
                bias,
                second: twice.then_some(bias),
                loaded,
                constant: 0,
                moved: None,
                first: 0,
            };
            // Parts that bring the lanes before, or those after, to the start of memory.
            let [before, past] = [0, after.min(31)].map(|lane| -plain.offset(lane));
            let parts = [
                (before, None),
                (past, None),
                (0, Some(before)),
                (0, Some(past)),
                (4 - before, Some(2 * before - 4)),
                // Right if the index were signed.
                (i64::from(after) * i64::from(step) * 4, None),
            ];
            let cases = parts.map(|(constant, moved)| Case { constant, moved, ..plain });
            // A second index does it, while the first has not wrapped.
            let opposite = Case { second: Some(bias.wrapping_neg()), ..plain };
            for case in cases.into_iter().chain([opposite]) {
                for first in [0, after.min(31)] {
                    for &way in &ways {
                        valid += usize::from(Case { first, ..case }.check(way));
                    }
                }
            }
        }
    }
    assert!(valid >= 64 * ways.len(), "only {valid} cases are valid");
}

#[test]
fn distances_of_more_than_32_bits_are_not_cut_off() {
    let distances = [1i64 << 30, 1 << 31, 1 << 32, (1 << 32) + 4, 1 << 45];
    for distance in distances.into_iter().flat_map(|distance| [distance, -distance]) {
        for (write, loaded) in [(false, false), (false, true), (true, false), (true, true)] {
            let case = Case {
                signed: true,
                write,
                step: 1,
                bias: 0,
                second: None,
                loaded,
                constant: distance,
                moved: None,
                first: 0,
            };
            for way in Way::plain_and_native() {
                assert!(!case.check(way), "{case:?}");
            }
        }
    }
}
