//! Operations across threads: SIMD-group and quad-group functions, barriers, atomics.

use super::by_index::Binding;
use super::*;
use crate::soft::ir::{Barrier, Effect, Op, Rule, Scalar};

/// The lanes that are active in the tests: all but a few, and not the first.
const ACTIVE: u32 = 0b1011_1111_1101_1111_0111_1111_1111_0110;

/// Runs `op` in the active lanes, on the lane's input, and returns each lane's result; the result of the others is 0.
fn lanes(
    way: Way,
    ty: Scalar,
    input: &[u64; 32],
    make: impl Fn(&mut FunctionBuilder, Value) -> Value,
) -> [u64; 32] {
    let module = exchange(ty, make);
    let (mut input, mut output) = (*input, [0u64; 32]);
    let bindings = [bind(0, &mut input), bind(1, &mut output)];
    run(&module, way, &launch([32, 1, 1], [32, 1, 1], &bindings)).unwrap();
    output
}

/// The kernel that does that.
fn exchange(ty: Scalar, make: impl Fn(&mut FunctionBuilder, Value) -> Value) -> Module {
    let mut b = kernel("lanes");
    let (from, to) = (device(&mut b, 0), device(&mut b, 1));
    let i = position(&mut b, 0);
    let (mask, one) = (b.u32(ACTIVE), b.u32(1));
    let bit = b.op(Op::Shr, &[mask, i]);
    let bit = b.op(Op::And, &[bit, one]);
    let active = b.op(Op::Eq, &[bit, one]);
    b.begin_if(active);
    let source = b.index(from, i, 8);
    let bits = b.load(source, if ty.bytes() == 8 { Type::U64 } else { Type::U32 });
    let narrow = match ty {
        Scalar::F32 => b.bitcast(bits, Type::F32),
        other => b.convert(bits, Type::Scalar(other)),
    };
    let result = make(&mut b, narrow);
    let target = b.index(to, i, 8);
    b.store(target, result);
    b.end_if();
    let buffers = vec![buffer("from", 0, Space::Device), buffer("to", 1, Space::Device)];
    module(buffers, b.finish())
}

#[test]
fn operations_across_lanes_are_machine_code() {
    let mut seen = 0;
    for &op in Op::ALL.iter().filter(|op| op.row().effect == Effect::Lanes) {
        for scalar in [
            Scalar::U32,
            Scalar::I32,
            Scalar::F32,
            Scalar::I8,
            Scalar::U16,
            Scalar::F16,
            Scalar::BF16,
            Scalar::Bool,
            Scalar::U64,
        ] {
            for (width, varies) in [(32, false), (32, true), (4, false), (4, true)] {
                let rule = op.row().rule;
                let fits = match rule {
                    Rule::Across(class) => class.has(scalar),
                    Rule::Vote => scalar == Scalar::Bool,
                    Rule::Shuffle => op != Op::SimdBroadcast || !varies,
                    // Distances that vary are left to the interpreter.
                    Rule::ShuffleFill => scalar != Scalar::Bool && !varies,
                    Rule::Given => true,
                    _ => false,
                };
                // Wide numbers are moved only.
                if !fits || scalar.bytes() == 8 && rule != Rule::Shuffle {
                    continue;
                }
                seen += 1;
                let module = exchange(scalar, |b, value| {
                    let by = if varies { position(b, 1) } else { b.u32(3) };
                    let piece = b.u32(4);
                    let stated = match op {
                        Op::SimdBallot => Type::U32,
                        _ if rule == Rule::Vote || rule == Rule::Given => Type::BOOL,
                        _ => Type::Void,
                    };
                    let args: &[Value] = match rule {
                        Rule::Shuffle => &[value, by],
                        Rule::ShuffleFill => &[value, value, by, piece],
                        Rule::Given => &[],
                        _ => &[value],
                    };
                    b.simd(op, width, stated, args)
                });
                for way in Way::all().into_iter().filter(|way| way.is_native()) {
                    let program = way.program(&module).unwrap();
                    let whole = program.is_one_run();
                    assert!(whole, "{op:?} of {scalar} by {width}, {}\n{module}", way.name());
                }
            }
        }
    }
    assert!(seen > 200, "{seen}");
}

fn active(lane: usize) -> bool {
    ACTIVE >> lane & 1 == 1
}

fn inputs() -> [u64; 32] {
    std::array::from_fn(|k| (k as u64 * 37 + 11) % 101)
}

#[test]
fn reductions_combine_the_active_lanes() {
    let input = inputs();
    for way in Way::all() {
        for width in [32usize, 4] {
            let reduce = |op: Op, fold: fn(u64, u64) -> u64| {
                let got = lanes(way, Scalar::U32, &input, |b, value| {
                    b.simd(op, width as u32, Type::Void, &[value])
                });
                for lane in (0..32).filter(|&lane| active(lane)) {
                    let group = lane / width * width..lane / width * width + width;
                    let values = group.filter(|&k| active(k)).map(|k| input[k]);
                    let want = values.reduce(fold).unwrap() as u32;
                    assert_eq!(got[lane] as u32, want, "{op:?} {width} {lane} {}", way.name());
                }
            };
            reduce(Op::SimdSum, |a, b| a + b);
            reduce(Op::SimdProduct, |a, b| (a as u32).wrapping_mul(b as u32).into());
            reduce(Op::SimdMin, u64::min);
            reduce(Op::SimdMax, u64::max);
            reduce(Op::SimdAnd, |a, b| a & b);
            reduce(Op::SimdOr, |a, b| a | b);
            reduce(Op::SimdXor, |a, b| a ^ b);
        }
        // In floats, small integers are exact in any order.
        let floats = input.map(|bits| u64::from((bits as f32).to_bits()));
        let got =
            lanes(way, Scalar::F32, &floats, |b, v| b.simd(Op::SimdSum, 32, Type::Void, &[v]));
        let want: u64 = (0..32).filter(|&k| active(k)).map(|k| input[k]).sum();
        assert_eq!(f32::from_bits(got[1] as u32), want as f32);
    }
}

#[test]
fn prefixes_count_from_the_lowest_active_lane() {
    let input = inputs();
    for way in Way::all() {
        for (op, inclusive) in [(Op::SimdInclusiveSum, true), (Op::SimdExclusiveSum, false)] {
            for ty in [Scalar::U64, Scalar::U8] {
                let got = lanes(way, ty, &input, |b, v| b.simd(op, 32, Type::Void, &[v]));
                let mut sum = 0;
                for lane in (0..32).filter(|&lane| active(lane)) {
                    let before = sum;
                    sum += input[lane];
                    let want = if inclusive { sum } else { before };
                    let mask = if ty == Scalar::U8 { 0xff } else { u64::MAX };
                    assert_eq!(got[lane] & mask, want & mask, "{op:?} {ty} {lane}");
                }
            }
        }
    }
}

#[test]
fn shuffles_take_values_from_other_lanes() {
    let input = inputs();
    type Rule = fn(usize, usize, usize) -> usize;
    let rules: [(Op, Rule); 6] = [
        (Op::SimdShuffle, |_, by, width| by % width),
        (Op::SimdShuffleXor, |k, by, width| (k ^ by) % width),
        (Op::SimdShuffleUp, |k, by, _| if k >= by { k - by } else { k }),
        (Op::SimdShuffleDown, |k, by, width| if k + by < width { k + by } else { k }),
        (Op::SimdRotateUp, |k, by, width| (k + width - by) % width),
        (Op::SimdRotateDown, |k, by, width| (k + by) % width),
    ];
    for way in Way::all() {
        for (op, rule) in rules {
            for (width, by) in [(32usize, 5usize), (4, 1), (4, 3)] {
                for ty in [Scalar::U32, Scalar::I64, Scalar::Bool] {
                    let got = lanes(way, ty, &input, |b, value| {
                        let by = b.u32(by as u32);
                        b.simd(op, width as u32, Type::Void, &[value, by])
                    });
                    for lane in (0..32).filter(|&lane| active(lane)) {
                        let source = lane / width * width + rule(lane % width, by, width);
                        if !active(source) {
                            continue;
                        }
                        let want = if ty == Scalar::Bool {
                            (input[source] != 0).into()
                        } else {
                            input[source]
                        };
                        assert_eq!(got[lane] & 0xff, want, "{op:?} {ty} {width} {lane}");
                    }
                }
            }
        }
        let first = ACTIVE.trailing_zeros() as usize;
        let got = lanes(way, Scalar::U32, &input, |b, v| {
            b.simd(Op::SimdBroadcastFirst, 32, Type::Void, &[v])
        });
        assert_eq!(got[20], input[first]);
    }
}

#[test]
fn shuffles_fill_from_a_second_value() {
    let input = inputs();
    for way in Way::all() {
        for up in [true, false] {
            let got = lanes(way, Scalar::U32, &input, |b, value| {
                let (thousand, by, modulo) = (b.u32(1000), b.u32(3), b.u32(8));
                let fill = b.add(value, thousand);
                let op = if up { Op::SimdFillUp } else { Op::SimdFillDown };
                b.simd(op, 32, Type::Void, &[value, fill, by, modulo])
            });
            for lane in (0..32).filter(|&lane| active(lane)) {
                let (start, index) = (lane / 8 * 8, lane % 8);
                let (source, filled) = match up {
                    true if index < 3 => (start + index + 5, true),
                    true => (lane - 3, false),
                    false if index >= 5 => (start + index - 5, true),
                    false => (lane + 3, false),
                };
                if active(source) {
                    let want = input[source] + if filled { 1000 } else { 0 };
                    assert_eq!(got[lane], want, "{up} {lane}");
                }
            }
        }
    }
}

#[test]
fn votes_count_the_active_lanes() {
    let input = inputs();
    let odd: u32 = (0..32).filter(|&k| active(k) && input[k] % 2 == 1).map(|k| 1 << k).sum();
    for way in Way::all() {
        let vote = |op: Op, width: u32, stated: Type| {
            lanes(way, Scalar::U32, &input, move |b, value| {
                let one = b.u32(1);
                let bit = b.op(Op::And, &[value, one]);
                let odd = b.op(Op::Eq, &[bit, one]);
                let args: &[Value] = if op == Op::SimdIsFirst { &[] } else { &[odd] };
                let vote = b.simd(op, width, stated, args);
                b.convert(vote, Type::U64)
            })
        };
        let ballot = vote(Op::SimdBallot, 32, Type::U64);
        let quads = vote(Op::SimdBallot, 4, Type::U32);
        let (all, any) = (vote(Op::SimdAll, 4, Type::BOOL), vote(Op::SimdAny, 4, Type::BOOL));
        let first = vote(Op::SimdIsFirst, 32, Type::BOOL);
        for lane in (0..32).filter(|&lane| active(lane)) {
            let start = lane / 4 * 4;
            let (votes, here) = (odd >> start & 15, ACTIVE >> start & 15);
            assert_eq!(ballot[lane], odd.into());
            assert_eq!(quads[lane], votes.into());
            assert_eq!(all[lane], u64::from(votes == here));
            assert_eq!(any[lane], u64::from(votes != 0));
            assert_eq!(first[lane], u64::from(lane == ACTIVE.trailing_zeros() as usize));
        }
    }
}

#[test]
fn atomics_of_every_kind() {
    for &op in Op::ALL {
        let rule = op.row().rule;
        let values = match rule {
            Rule::AtomicLoad => 0,
            Rule::Atomic | Rule::AtomicStore => 1,
            Rule::AtomicCompare => 2,
            _ => continue,
        };
        for scalar in [Scalar::U32, Scalar::I32, Scalar::F32, Scalar::U64, Scalar::I64] {
            let logic = matches!(op, Op::AtomicAnd | Op::AtomicOr | Op::AtomicXor);
            for one_address in [false, true] {
                if !(logic && scalar == Scalar::F32) {
                    atomics_agree(op, scalar, values, one_address);
                }
            }
        }
    }
}

/// An atomic in some of the lanes, whose results and words are compared with the interpreter's.
fn atomics_agree(op: Op, scalar: Scalar, values: usize, one_address: bool) {
    let mut b = kernel("atomic");
    let (words, out) = (device(&mut b, 0), device(&mut b, 1));
    let (i, three, seven) = (position(&mut b, 0), b.u32(3), b.u32(7));
    let odd = b.op(Op::And, &[i, three]);
    let active = b.op(Op::Ne, &[odd, three]);
    b.begin_if(active);
    let index = if one_address { three } else { b.op(Op::And, &[i, seven]) };
    let size = scalar.bytes() as usize;
    let pointer = b.index(words, index, size as i64);
    let (ty, nine) = (Type::Scalar(scalar), b.i32(9));
    let signed = b.convert(i, Type::I32);
    let value = b.sub(signed, nine);
    let value = b.convert(value, ty);
    let args: Vec<Value> =
        std::iter::once(pointer).chain(std::iter::repeat_n(value, values)).collect();
    let stated = if op == Op::AtomicLoad { ty } else { Type::Void };
    let before = b.emit(op, stated, &args, 0);
    let to = b.index(out, i, size as i64);
    b.store(to, if op == Op::AtomicStore { value } else { before });
    b.end_if();
    let buffers = vec![buffer("words", 0, Space::Device), buffer("out", 1, Space::Device)];
    let module = module(buffers, b.finish());
    let results = Way::all().into_iter().map(|way| {
        assert!(!way.is_native() || way.program(&module).unwrap().is_one_run(), "{module}");
        let word = |k: usize| match scalar {
            Scalar::F32 => (k as f32 - 3.5).to_bits(),
            _ => (k as u32).wrapping_sub(4),
        };
        let both = |k: usize| u64::from(word(2 * k + 1)) << 32 | u64::from(word(2 * k));
        let mut words: Vec<u64> = (0..size).map(both).collect();
        let mut out = vec![7u64; 8 * size];
        let bindings = [bind(0, &mut words), bind(1, &mut out)];
        run(&module, way, &launch([64, 1, 1], [64, 1, 1], &bindings)).unwrap();
        // A word that is off by one is reported before anything is changed.
        let kept = words.clone();
        let (off, bytes) = (size / 2, 8 * size as u64);
        let base = words.as_mut_ptr().wrapping_byte_add(off).cast();
        let bindings = [Binding { index: 0, base, bytes: bytes - off as u64 }, bind(1, &mut out)];
        let fault = run(&module, way, &launch([64, 1, 1], [64, 1, 1], &bindings)).unwrap_err();
        assert_eq!(words, kept);
        (way.name(), words, out, fault)
    });
    let results: Vec<_> = results.collect();
    for (way, words, out, fault) in &results[1..] {
        let (_, want_words, want_out, want_fault) = &results[0];
        assert_eq!((words, out), (want_words, want_out), "{op:?} of {scalar}, {way}");
        assert_eq!(fault, want_fault, "{op:?} of {scalar}, {way}");
    }
}

/// A tree reduction over threadgroups of 256, with the barrier in a uniform loop.
pub(crate) fn reduce() -> Module {
    let mut b = kernel("reduce");
    let (from, to) = (device(&mut b, 0), device(&mut b, 1));
    let shared = b.allocation(AllocationId(2), Space::Threadgroup);
    let i = position(&mut b, 0);
    let own = b.input(Input::ThreadIndexInThreadgroup, 0);
    let group = b.input(Input::ThreadgroupPositionInGrid, 0);
    let source = b.index(from, i, 4);
    let value = b.load(source, Type::F32);
    let slot = b.index(shared, own, 4);
    b.store(slot, value);
    b.barrier(Barrier::Threadgroup);
    let stride = b.variable("stride", Type::U32);
    let (half, zero, one) = (b.u32(128), b.u32(0), b.u32(1));
    b.set(stride, half);
    b.begin_loop();
    let s = b.get(stride);
    let done = b.op(Op::Eq, &[s, zero]);
    b.break_if(done);
    let low = b.lt(own, s);
    b.begin_if(low);
    let partner = b.add(own, s);
    let partner = b.index(shared, partner, 4);
    let (a, c) = (b.load(slot, Type::F32), b.load(partner, Type::F32));
    let sum = b.add(a, c);
    b.store(slot, sum);
    b.end_if();
    b.barrier(Barrier::Threadgroup);
    b.begin_next();
    let s = b.get(stride);
    let s = b.op(Op::Shr, &[s, one]);
    b.set(stride, s);
    b.end_loop();
    let first = b.op(Op::Eq, &[own, zero]);
    b.begin_if(first);
    let sum = b.load(shared, Type::F32);
    let target = b.index(to, group, 4);
    b.store(target, sum);
    b.end_if();
    let buffers = vec![
        buffer("from", 0, Space::Device),
        buffer("to", 1, Space::Device),
        Allocation { name: "shared".into(), kind: AllocationKind::Threadgroup(1024) },
    ];
    module(buffers, b.finish())
}

/// Counts bytes in 256 bins.
pub(crate) fn histogram() -> Module {
    let mut b = kernel("histogram");
    let (from, to) = (device(&mut b, 0), device(&mut b, 1));
    let (i, one) = (position(&mut b, 0), b.u32(1));
    let source = b.index(from, i, 1);
    let value = b.load(source, Type::Scalar(Scalar::U8));
    let bin = b.index(to, value, 4);
    b.op(Op::AtomicAdd, &[bin, one]);
    let buffers = vec![buffer("from", 0, Space::Device), buffer("to", 1, Space::Device)];
    module(buffers, b.finish())
}

#[test]
fn simd_groups_exchange_values_at_barriers() {
    let module = reduce();
    for way in Way::all() {
        let mut from: Vec<f32> = (0..1024).map(|i| (i % 13) as f32).collect();
        let want: Vec<f32> = from.chunks(256).map(|chunk| chunk.iter().sum()).collect();
        let mut to = vec![0f32; 4];
        let bindings = [bind(0, &mut from), bind(1, &mut to)];
        run(&module, way, &launch([1024, 1, 1], [256, 1, 1], &bindings)).unwrap();
        assert_eq!(to, want);
    }
}

#[test]
fn counts_before_a_fault_are_in_memory() {
    let module = histogram();
    for way in Way::all() {
        let mut from: Vec<u8> = (0..1024).map(|i| (i / 256) as u8).collect();
        let mut to = vec![5u32; 3];
        let bindings = [bind(0, &mut from), bind(1, &mut to)];
        let fault = run(&module, way, &launch([1024, 1, 1], [64, 1, 1], &bindings)).unwrap_err();
        assert_eq!(fault.position, Some([768, 0, 0]));
        let text = "write of 4 bytes at offset 12 of 'to', which has 12 bytes";
        assert!(fault.to_string().ends_with(text), "{fault}");
        assert_eq!(to, [261; 3]);
    }
}

#[test]
fn counts_through_two_arguments_of_one_buffer_add_up() {
    let mut b = kernel("shared");
    let (bins, same) = (device(&mut b, 0), device(&mut b, 1));
    let one = b.u32(1);
    b.op(Op::AtomicAdd, &[bins, one]);
    let before = b.op(Op::AtomicAdd, &[same, one]);
    // Each thread reads at least its own first addition.
    let missing = b.lt(before, one);
    b.begin_if(missing);
    let second = b.field(bins, 4);
    b.op(Op::AtomicAdd, &[second, one]);
    b.end_if();
    let buffers = vec![buffer("bins", 0, Space::Device), buffer("same", 1, Space::Device)];
    let module = module(buffers, b.finish());
    for way in Way::all() {
        let mut memory = vec![0u32; 8];
        let (bins, mut same) = (bind(0, &mut memory), bind(1, &mut memory));
        same.index = 1;
        let bindings = [bins, same];
        run(&module, way, &launch([64, 1, 1], [32, 1, 1], &bindings)).unwrap();
        assert_eq!(memory[..2], [128, 0]);
    }
}

#[test]
fn atomics_of_many_threads_lose_no_updates() {
    let mut b = kernel("histogram");
    let (from, to, sums) = (device(&mut b, 0), device(&mut b, 1), device(&mut b, 2));
    let i = position(&mut b, 0);
    let source = b.index(from, i, 1);
    let value = b.load(source, Type::Scalar(Scalar::U8));
    let bin = b.index(to, value, 4);
    let one = b.u32(1);
    b.op(Op::AtomicAdd, &[bin, one]);
    let float = b.f32(0.5);
    b.op(Op::AtomicAdd, &[sums, float]);
    let most = b.field(sums, 4);
    b.op(Op::AtomicMax, &[most, i]);
    let ticket = b.field(sums, 8);
    let ticket = b.op(Op::AtomicAdd, &[ticket, one]);
    let pointer = b.index(sums, ticket, 4);
    let pointer = b.field(pointer, 64);
    b.op(Op::AtomicStore, &[pointer, i]);
    let buffers = vec![
        buffer("from", 0, Space::Device),
        buffer("to", 1, Space::Device),
        buffer("sums", 2, Space::Device),
    ];
    let module = module(buffers, b.finish());
    let workers = Workers::new(4);
    for way in Way::all() {
        let n = 1 << 15;
        let mut from: Vec<u8> = (0..n).map(|i| (i * 7 / 5) as u8).collect();
        let mut want = vec![0u32; 256];
        from.iter().for_each(|&value| want[value as usize] += 1);
        let mut to = vec![0u32; 256];
        let mut sums = vec![0u32; 16 + n];
        let bindings = [bind(0, &mut from), bind(1, &mut to), bind(2, &mut sums)];
        let program = way.program(&module).unwrap();
        let grid = launch([n as u32, 1, 1], [128, 1, 1], &bindings);
        // SAFETY: the bindings outlive the launch.
        unsafe { program.launch_by_index(&grid, &workers) }.unwrap();
        assert_eq!(to, want);
        assert_eq!(f32::from_bits(sums[0]), n as f32 / 2.0);
        assert_eq!(sums[1..3], [n as u32 - 1, n as u32]);
        let mut tickets = sums[16..].to_vec();
        tickets.sort_unstable();
        assert!(tickets.iter().enumerate().all(|(k, &ticket)| k as u32 == ticket));
    }
}

#[test]
fn inputs_are_the_positions_of_a_thread() {
    let components = |input: Input| match input {
        Input::ThreadPositionInGrid
        | Input::ThreadPositionInThreadgroup
        | Input::ThreadgroupPositionInGrid
        | Input::ThreadsPerGrid
        | Input::ThreadsPerThreadgroup
        | Input::DispatchThreadsPerThreadgroup
        | Input::ThreadgroupsPerGrid => 3,
        _ => 1,
    };
    let count: u32 = Input::ALL.iter().map(|&input| components(input)).sum();
    let mut b = kernel("inputs");
    let out = device(&mut b, 0);
    let position: Vec<Value> = (0..3).map(|d| b.input(Input::ThreadPositionInGrid, d)).collect();
    let (width, height) = (b.input(Input::ThreadsPerGrid, 0), b.input(Input::ThreadsPerGrid, 1));
    let rows = b.mul(position[2], height);
    let rows = b.add(rows, position[1]);
    let index = b.mul(rows, width);
    let index = b.add(index, position[0]);
    let mut pointer = b.index(out, index, i64::from(count) * 4);
    for &input in Input::ALL {
        for component in 0..components(input) {
            let value = b.input(input, component);
            b.store(pointer, value);
            pointer = b.field(pointer, 4);
        }
    }
    let module = module(vec![buffer("out", 0, Space::Device)], b.finish());
    let (grid, group) = ([11u32, 7, 3], [4u32, 3, 2]);
    for way in Way::all() {
        let mut out = vec![0u32; (11 * 7 * 3 * count) as usize];
        let bindings = [bind(0, &mut out)];
        run(&module, way, &launch(grid, group, &bindings)).unwrap();
        for (index, got) in out.chunks(count as usize).enumerate() {
            let index = index as u32;
            let at = [index % 11, index / 11 % 7, index / 77];
            let groups: [u32; 3] = std::array::from_fn(|d| grid[d].div_ceil(group[d]));
            let position: [u32; 3] = std::array::from_fn(|d| at[d] / group[d]);
            let inside: [u32; 3] = std::array::from_fn(|d| at[d] % group[d]);
            let size: [u32; 3] =
                std::array::from_fn(|d| group[d].min(grid[d] - position[d] * group[d]));
            let linear = (inside[2] * size[1] + inside[1]) * size[0] + inside[0];
            let threads: u32 = size.iter().product();
            let mut want = Vec::new();
            for &input in Input::ALL {
                let value = match input {
                    Input::ThreadPositionInGrid => at,
                    Input::ThreadPositionInThreadgroup => inside,
                    Input::ThreadIndexInThreadgroup => [linear; 3],
                    Input::ThreadIndexInSimdgroup => [linear % 32; 3],
                    Input::ThreadIndexInQuadgroup => [linear % 4; 3],
                    Input::QuadgroupIndexInThreadgroup => [linear / 4; 3],
                    Input::ThreadgroupPositionInGrid => position,
                    Input::ThreadsPerGrid => grid,
                    Input::ThreadsPerThreadgroup => size,
                    Input::DispatchThreadsPerThreadgroup => group,
                    Input::ThreadgroupsPerGrid => groups,
                    Input::SimdgroupIndexInThreadgroup => [linear / 32; 3],
                    Input::SimdgroupsPerThreadgroup => [threads.div_ceil(32); 3],
                    Input::DispatchSimdgroupsPerThreadgroup => [1; 3],
                    Input::QuadgroupsPerThreadgroup => [threads.div_ceil(4); 3],
                    Input::DispatchQuadgroupsPerThreadgroup => [6; 3],
                    Input::ThreadsPerSimdgroup => [32; 3],
                    Input::GridOrigin => [0; 3],
                    Input::GridSize => grid,
                };
                want.extend(&value[..components(input) as usize]);
            }
            assert_eq!(got, want, "{at:?}");
        }
    }
}
