//! Accesses by lanes that are adjacent, in rows, at one address, or anywhere, with any of them inactive: whichever
//! path is taken, memory is as if lanes accessed it one after the other, and faults name the first of them.

use super::super::FaultKind;
use super::*;
use crate::soft::ir::{Op, Scalar};

/// Words of the memory that is accessed, and words around it.
const WORDS: usize = 64;
const GUARD: usize = 96;

/// The varying part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moves {
    /// One index, to which the bias is added in 32 bits.
    Index,
    /// Two indices, the second of them the bias.
    Indices,
    /// A pointer, for odd lanes into the same memory bound once more.
    Pointer,
}

/// The form of an address: `displacement + (index + bias) * scale`.
#[derive(Clone, Copy, Debug)]
struct Form {
    moves: Moves,
    scale: i64,
    bias: u32,
    displacement: i64,
    write: bool,
    /// The number of adjacent words to read.
    width: u32,
}

impl Form {
    fn offset(self, index: u32) -> i64 {
        let sum = match self.moves {
            Moves::Index => index.wrapping_add(self.bias).into(),
            _ => i64::from(index) + i64::from(self.bias),
        };
        sum * self.scale + self.displacement
    }

    /// The address of the access without the displacement.
    fn address(self, b: &mut FunctionBuilder, data: [Value; 2], at: Value, lane: Value) -> Value {
        let bias = b.u32(self.bias);
        if self.moves == Moves::Index {
            let at = b.add(at, bias);
            return b.index(data[0], at, self.scale);
        }
        // A number that is 0, which no pass can prove.
        let (seven, high) = (b.u32(7), b.u32(1 << 31));
        let zero = b.op(Op::Shr, &[lane, seven]);
        let zero = b.op(Op::And, &[zero, high]);
        let bias = b.add(bias, zero);
        let addresses = data.map(|data| {
            let address = b.index(data, at, self.scale);
            b.index(address, bias, self.scale)
        });
        if self.moves == Moves::Indices {
            return addresses[0];
        }
        let one = b.u32(1);
        let bit = b.op(Op::And, &[lane, one]);
        let even = b.op(Op::Eq, &[bit, zero]);
        b.op(Op::Select, &[even, addresses[0], addresses[1]])
    }

    /// In the lanes that a mask has: `out[i] = data[index[i]]`, or `data[index[i]] = i + 1`.
    fn kernel(self) -> Module {
        let mut b = kernel("rows");
        let (data, index, out) = (device(&mut b, 0), device(&mut b, 1), device(&mut b, 2));
        let (mask, again) = (constant(&mut b, 3), device(&mut b, 4));
        let (i, one) = (position(&mut b, 0), b.u32(1));
        let mask = b.load(mask, Type::U32);
        let bit = b.op(Op::Shr, &[mask, i]);
        let bit = b.op(Op::And, &[bit, one]);
        let on = b.op(Op::Eq, &[bit, one]);
        let source = b.index(index, i, 4);
        let at = b.load(source, Type::U32);
        let address = self.address(&mut b, [data, again], at, i);
        // Inactive lanes may be prepared before the loop with the others.
        b.begin_loop();
        b.begin_if(on);
        let address = b.field(address, self.displacement);
        if self.write {
            let value = b.add(i, one);
            b.store(address, value);
        } else {
            let words = b.load(address, Type::of(Scalar::U32, self.width));
            let mut value = words;
            if self.width > 1 {
                value = b.u32(0);
                for k in 0..self.width {
                    let (word, times) = (b.extract(words, k), b.u32(2 * k + 1));
                    let part = b.mul(word, times);
                    value = b.add(value, part);
                }
            }
            let target = b.index(out, i, 4);
            b.store(target, value);
        }
        b.end_if();
        b.break_();
        b.end_loop();
        let buffers = vec![
            buffer("data", 0, Space::Device),
            buffer("index", 1, Space::Device),
            buffer("out", 2, Space::Device),
            buffer("mask", 3, Space::Constant),
            buffer("again", 4, Space::Device),
        ];
        module(buffers, b.finish())
    }
}

/// Indices side by side, in rows, the same, and without any order; near the ends and beyond them.
fn indices() -> Vec<[u32; 32]> {
    let mut found = Vec::new();
    for start in [0u32, 3, 16, 31, 32, 33, 40, 63, u32::MAX - 40, u32::MAX - 10, u32::MAX - 4] {
        found.push(std::array::from_fn(|k| start.wrapping_add(k as u32)));
        found.push(std::array::from_fn(|k| start.wrapping_add(k as u32 % 16)));
        found.push(std::array::from_fn(|k| start.wrapping_add(k as u32 / 16)));
        found.push(std::array::from_fn(|k| start.wrapping_add(k as u32 % 8)));
        found.push(std::array::from_fn(|k| start.wrapping_sub(k as u32)));
        found.push([start; 32]);
        let both = |k: u32| if k < 16 { start } else { start.wrapping_add(k) };
        found.push(std::array::from_fn(|k| both(k as u32)));
        found.push(std::array::from_fn(|k| start.wrapping_add((k as u32 * 29 + 7) % 31)));
    }
    found
}

#[test]
fn all_forms_of_access_agree_with_one_lane_at_a_time() {
    let mut forms = Vec::new();
    for (scale, bias, displacement) in [
        (4, 0, 0),
        (4, 5, 0),
        (4, 0, -16),
        (4, 5, 12),
        (64, 0, 0),
        (64, 1, 8),
        (2, 0, 0),
        (8, 0, 4),
    ] {
        for moves in [Moves::Index, Moves::Indices, Moves::Pointer] {
            let form = Form { moves, scale, bias, displacement, write: false, width: 1 };
            forms.extend([form, Form { write: true, ..form }]);
            forms.extend([2, 4].map(|width| Form { width, ..form }));
        }
    }
    let masks =
        [u32::MAX, 1, 1 << 31, 0xffff, 0xffff_0000, 0b1011_1111_1101_1111_0111_0110, 0x7fff_fffe];
    let workers = Workers::new(1);
    for way in Way::all() {
        for form in &forms {
            let program = way.program(&form.kernel()).unwrap();
            for (number, mut index) in indices().into_iter().enumerate() {
                let mut mask = [masks[number % masks.len()]];
                let mut memory: Vec<u32> = (0..(WORDS + 2 * GUARD) as u32).map(|w| !w).collect();
                let mut out = [7u32; 32];
                let (mut want_memory, mut want_out) = (memory.clone(), out);
                let want = reference(*form, &index, mask[0], &mut want_memory, &mut want_out);
                let data = &mut memory[GUARD..GUARD + WORDS];
                let again = Binding { index: 4, ..bind(0, data) };
                let bindings = [
                    bind(0, data),
                    bind(1, &mut index),
                    bind(2, &mut out),
                    bind(3, &mut mask),
                    again,
                ];
                let grid = launch([32, 1, 1], [32, 1, 1], &bindings);
                // SAFETY: the bindings outlive the launch.
                let got = unsafe { program.launch_by_index(&grid, &workers) };
                let got = got.err().map(|fault| match fault.kind {
                    FaultKind::Access { offset, .. } => (fault.position, offset),
                    other => panic!("{other:?}"),
                });
                let case = (way.name(), form, index, mask);
                assert_eq!(got, want, "{case:?}");
                if way.is_native() && want.is_some() {
                    // Strips before the one that faults were done; outside of the buffer nothing changed.
                    let outside = |memory: &[u32]| {
                        (memory[..GUARD].to_vec(), memory[GUARD + WORDS..].to_vec())
                    };
                    assert!(outside(&memory) == outside(&want_memory), "{case:?}");
                } else {
                    assert!(memory == want_memory && out == want_out, "{case:?}");
                }
            }
        }
    }
}

/// The same, lane by lane; nothing is done if a lane is out of bounds, and the first of those is reported.
fn reference(
    form: Form,
    index: &[u32; 32],
    mask: u32,
    memory: &mut [u32],
    out: &mut [u32; 32],
) -> Option<(Option<[u32; 3]>, i64)> {
    let on = || (0..32usize).filter(|k| mask >> k & 1 == 1);
    let bytes_each = 4 * i64::from(form.width);
    let inside = |offset: i64| 0 <= offset && offset <= 4 * WORDS as i64 - bytes_each;
    if let Some(k) = on().find(|&k| !inside(form.offset(index[k]))) {
        return Some((Some([k as u32, 0, 0]), form.offset(index[k])));
    }
    let mut bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_ne_bytes()).collect();
    for k in on() {
        let at = 4 * GUARD + form.offset(index[k]) as usize;
        if form.write {
            bytes[at..at + 4].copy_from_slice(&(k as u32 + 1).to_ne_bytes());
        } else {
            let words = bytes[at..].chunks(4).take(form.width as usize).enumerate();
            let part = |(k, word): (usize, &[u8])| {
                let word = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
                word.wrapping_mul(2 * k as u32 + 1)
            };
            out[k] = words.map(part).fold(0, u32::wrapping_add);
        }
    }
    for (word, bytes) in memory.iter_mut().zip(bytes.chunks(4)) {
        *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    None
}

#[test]
fn positions_in_the_grid_are_rows_in_groups_of_any_shape() {
    let mut b = kernel("copy");
    let (from, to, i) = (device(&mut b, 0), device(&mut b, 1), position(&mut b, 0));
    let (source, target) = (b.index(from, i, 4), b.index(to, i, 4));
    let value = b.load(source, Type::U32);
    b.store(target, value);
    let buffers = vec![buffer("from", 0, Space::Device), buffer("to", 1, Space::Device)];
    let module = module(buffers, b.finish());
    for way in Way::all() {
        for group in [[64, 1, 1], [48, 1, 1], [33, 1, 1], [1, 40, 1], [16, 4, 1], [32, 2, 2]] {
            for width in [1u32, 31, 32, 33, 100, 128] {
                let mut from: Vec<u32> = (1..=width).collect();
                let mut to = vec![0u32; width as usize];
                let bindings = [bind(0, &mut from), bind(1, &mut to)];
                run(&module, way, &launch([width, 5, 2], group, &bindings)).unwrap();
                assert_eq!(to, from, "{} {group:?} {width}", way.name());
            }
        }
    }
}
