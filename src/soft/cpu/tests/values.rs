//! Every operation and conversion of every type, in lanes and uniform, on numbers at the edges of the types: each way
//! has the bits of the table of semantics.

use super::reference::{narrow_bits, widen};
use super::*;
use crate::soft::ir::semantics::{convert, eval, row_scalar};
use crate::soft::ir::{Op, Rule, Scalar};
use crate::test_random::Random;

/// Threads of a run, in several SIMD-groups of which the last is not full.
const THREADS: u32 = 200;

const SCALARS: [Scalar; 12] = [
    Scalar::Bool,
    Scalar::I8,
    Scalar::U8,
    Scalar::I16,
    Scalar::U16,
    Scalar::I32,
    Scalar::U32,
    Scalar::I64,
    Scalar::U64,
    Scalar::F16,
    Scalar::BF16,
    Scalar::F32,
];

/// Values of a type, as their bits in memory: edges, and numbers of any size.
fn values(scalar: Scalar, random: &mut Random) -> Vec<u64> {
    let powers = (0..64).flat_map(|k| [0, 1, 2].map(|more| (1u64 << k).wrapping_add(more) - 1));
    let mut all: Vec<u64> = match scalar {
        Scalar::Bool => vec![0, 1],
        _ if scalar.is_int() => powers.flat_map(|number| [number, number.wrapping_neg()]).collect(),
        Scalar::F32 => {
            let integers = powers.map(|number| number as f32);
            let near = integers.flat_map(|x| [x.next_down(), x, x.next_up(), x + 0.5]);
            let special =
                [0.0, f32::INFINITY, f32::NAN, f32::MIN_POSITIVE, f32::MAX, 65519.99, 65520.0];
            let all = near.chain(special).flat_map(|x| [x, -x]);
            all.map(|x| u64::from(x.to_bits())).collect()
        }
        _ => (0..=u16::MAX).step_by(129).map(u64::from).collect(),
    };
    if scalar != Scalar::Bool {
        all.extend((0..200).map(|_| random.next() >> random.below(64)));
    }
    let bits = 8 * scalar.bytes();
    all.iter().map(|value| value & (u64::MAX >> (64 - bits))).collect()
}

/// `out[i] = make(in0[i], in1[i], …)`, all elements 8 bytes apart. With `uniform` every thread does all of it, one after
/// the other.
fn kernel_of(
    types: &[Scalar],
    uniform: bool,
    make: impl FnOnce(&mut FunctionBuilder, &[Value]) -> Value,
) -> Module {
    let mut b = kernel("values");
    let mut i = position(&mut b, 0);
    let counter = b.variable("i", Type::U32);
    let (zero, one, count) = (b.u32(0), b.u32(1), b.u32(THREADS));
    if uniform {
        b.set(counter, zero);
        b.begin_loop();
        i = b.get(counter);
        let more = b.lt(i, count);
        let done = b.op(Op::Not, &[more]);
        b.break_if(done);
    }
    let args: Vec<Value> = (1..)
        .zip(types)
        .map(|(number, &ty)| {
            let from = device(&mut b, number);
            let from = b.index(from, i, 8);
            b.load(from, Type::Scalar(ty))
        })
        .collect();
    let value = make(&mut b, &args);
    let out = device(&mut b, 0);
    let out = b.index(out, i, 8);
    b.store(out, value);
    if uniform {
        b.begin_next();
        let now = b.get(counter);
        let next = b.add(now, one);
        b.set(counter, next);
        b.end_loop();
    }
    let names = ["out", "a", "b", "c"];
    let buffers = names.iter().zip(0..=types.len() as u32);
    module(buffers.map(|(name, index)| buffer(name, index, Space::Device)).collect(), b.finish())
}

/// Runs a kernel of [`kernel_of`] each way and compares; all NaNs of floats are equal.
fn check(
    case: &str,
    types: &[Scalar],
    result: Scalar,
    make: impl Fn(&mut FunctionBuilder, &[Value]) -> Value,
    want: impl Fn(&[u64]) -> u64,
) {
    let mut random = Random::new(case.len() as u64 * 31 + u64::from(result.bytes()));
    let inputs: Vec<Vec<u64>> = types
        .iter()
        .map(|&ty| {
            let all = values(ty, &mut random);
            // Small numbers often: shifts, divisors.
            let pick = |random: &mut Random| {
                let value = random.pick(&all);
                if ty.is_int() && random.chance(30) { value & 7 } else { value }
            };
            (0..THREADS).map(|_| pick(&mut random)).collect()
        })
        .collect();
    let want: Vec<u64> = (0..THREADS as usize)
        .map(|i| {
            let args = inputs.iter().zip(types).map(|(input, &ty)| widen(ty, input[i]));
            want(&args.collect::<Vec<u64>>())
        })
        .collect();
    for uniform in [false, true] {
        let module = kernel_of(types, uniform, &make);
        for way in Way::plain_and_native() {
            let mut inputs = inputs.clone();
            let mut out = vec![0u64; THREADS as usize];
            let mut bindings = vec![bind(0, &mut out)];
            bindings.extend((1..).zip(&mut inputs).map(|(index, input)| bind(index, input)));
            let threads = if uniform { 32 } else { THREADS };
            run(&module, way, &launch([threads, 1, 1], [64, 1, 1], &bindings)).unwrap();
            for (i, (&got, &want)) in out.iter().zip(&want).enumerate() {
                let got = widen(result, got);
                let nan = |bits: u64| f32::from_bits(bits as u32).is_nan();
                let same = got == widen(result, narrow_bits(result, want));
                let same = same || result.is_float() && nan(got) && nan(want);
                let args: Vec<u64> = inputs.iter().map(|input| input[i]).collect();
                assert!(
                    same,
                    "{case}, {}, {uniform}: {args:x?}: {got:x}, not {want:x}",
                    way.name()
                );
            }
        }
    }
}

#[test]
fn conversions_of_every_type() {
    for from in SCALARS {
        for to in SCALARS {
            let make =
                |b: &mut FunctionBuilder, args: &[Value]| b.convert(args[0], Type::Scalar(to));
            let case = format!("{from} to {to}");
            check(&case, &[from], to, make, |args| convert(from, to, args[0]));
        }
    }
}

#[test]
fn operations_of_every_type() {
    for &op in Op::ALL {
        for scalar in SCALARS {
            // Operations without a row are library code.
            if op != Op::Select && row_scalar(op, scalar).is_none() {
                continue;
            }
            let fits = |class: crate::soft::ir::Class| class.has(scalar);
            let (types, result) = match op.row().rule {
                Rule::Same(count, class) if fits(class) => (vec![scalar; count as usize], scalar),
                Rule::Compare(class) if fits(class) => (vec![scalar; 2], Scalar::Bool),
                Rule::Test(class) if fits(class) => (vec![scalar], Scalar::Bool),
                Rule::To(class, to) if fits(class) => (vec![scalar], to),
                Rule::Scale if scalar.is_float() => (vec![scalar, Scalar::I32], scalar),
                Rule::Select => (vec![Scalar::Bool, scalar, scalar], scalar),
                _ => continue,
            };
            let make = |b: &mut FunctionBuilder, args: &[Value]| match op.row().rule {
                Rule::Same(..) => b.emit(op, Type::Scalar(scalar), args, 0),
                _ => b.op(op, args),
            };
            let case = format!("{} of {scalar}", op.row().name);
            check(&case, &types, result, make, |args| {
                eval(op, scalar, args).expect("an operation of scalars")
            });
        }
    }
}
