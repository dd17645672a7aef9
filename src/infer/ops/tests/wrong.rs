//! Each operand of each operation wrong once: in type, in length along each axis, in strides, and, if the operation writes it,
//! broadcast, in memory that can only be read, or over the bytes of each other operand. Nothing is recorded then.
//!
//! Wrong parameters are in the tests of each operation.

use super::Setup;
use crate::infer::ops::*;
use crate::infer::weights::{Affine, QuantizedWeight};
use crate::infer::{DType, Error, Memory, Ops, Quant, Stream, Tensor};
use crate::memory::Block;

/// A right operand: the name that errors have, its type, its shape, and what else is right: `0` another length of axis 0,
/// `0+` or `0-` a longer or shorter one, `v` any strides. `o` is an operand that the operation writes; the letters after `=`
/// are the first ones of operands that it may be the same view as.
pub(super) type Operand = (&'static str, DType, &'static [usize], &'static str);

pub(super) type Call = fn(&Ops, &mut Stream, &[Tensor]) -> Result<(), Error>;

const F: DType = DType::F32;
const I: DType = DType::I32;
const Q: DType = DType::Quant(Quant::Q8_0);

fn gated(t: &[Tensor]) -> Gated<'_, Tensor> {
    Gated { gate: &t[1], up: &t[2], kind: Gate::Silu }
}

fn packed(t: &[Tensor]) -> QuantizedWeight {
    let [weight, scales, biases] = [1, 2, 3].map(|i| t[i].clone());
    QuantizedWeight { weight, scales, biases, affine: Affine { bits: 4, group: 64 } }
}

fn cache(codes: &Tensor, lengths: &Tensor) -> TurboCache {
    TurboCache { codes: codes.clone(), lengths: lengths.clone(), bits: 4, dim: 8 }
}

fn attention(ops: &Ops, stream: &mut Stream, t: &[Tensor], few_tokens: usize) -> Result<(), Error> {
    let (positions, mask) = (Some(&t[4]), Some(&t[5]));
    let params = Attention { positions, mask, few_tokens, ..Attention::default() };
    ops.attention(stream, &t[0], &t[1], &t[2], &t[3], params)
}

const ATTENTION: &[Operand] = &[
    ("q", F, &[2, 4, 8], ""),
    ("k", DType::F16, &[6, 2, 8], ""),
    ("v", DType::F16, &[6, 2, 8], ""),
    ("o", F, &[2, 4, 8], "o=q"),
    ("positions", I, &[2], ""),
    ("the mask", F, &[2, 6], ""),
];

/// Every operation, in every way in which its operands are checked.
pub(super) const OPERATIONS: &[(&str, &[Operand], Call)] = &[
    (
        "linear",
        &[("x", F, &[3, 64], ""), ("w", Q, &[5, 64], ""), ("y", F, &[3, 5], "o")],
        |o, s, t| o.linear(s, &t[0], &t[1], &t[2], Linear::default()),
    ),
    (
        "linear",
        &[("x", F, &[40, 64], ""), ("w", F, &[5, 64], ""), ("y", F, &[40, 5], "o")],
        |o, s, t| o.linear(s, &t[0], &t[1], &t[2], Linear::default()),
    ),
    (
        "linear",
        &[
            ("x", F, &[3, 64], ""),
            ("w", Q, &[5, 64], ""),
            ("up", Q, &[5, 64], ""),
            ("y", F, &[3, 5], "o"),
        ],
        |o, s, t| o.linear(s, &t[0], gated(t), &t[3], Linear::default()),
    ),
    (
        "linear",
        &[
            ("x", F, &[3, 128], ""),
            ("the weight", DType::U32, &[5, 16], ""),
            ("scales", F, &[5, 2], ""),
            ("biases", F, &[5, 2], ""),
            ("y", F, &[3, 5], "o"),
        ],
        |o, s, t| o.linear(s, &t[0], &packed(t), &t[4], Linear::default()),
    ),
    (
        "linear_experts",
        &[
            ("x", F, &[4, 40], ""),
            ("w", F, &[5, 11, 40], "0-"),
            ("ids", I, &[8], ""),
            ("y", F, &[8, 11], "o"),
            ("scratch", I, &[22], "0+o"),
        ],
        |o, s, t| {
            let params = Experts { few_rows: 0, scratch: Some(&t[4]) };
            o.linear_experts(s, &t[0], &t[1], &t[2], &t[3], params)
        },
    ),
    (
        "linear_experts",
        &[
            ("x", F, &[4, 40], ""),
            ("w", F, &[5, 11, 40], "0"),
            ("ids", I, &[8], ""),
            ("y", F, &[8, 11], "o"),
        ],
        |o, s, t| o.linear_experts(s, &t[0], &t[1], &t[2], &t[3], Experts::default()),
    ),
    (
        "lookup",
        &[("indices", I, &[3], ""), ("w", Q, &[5, 64], "0"), ("y", F, &[3, 64], "o")],
        |o, s, t| o.lookup(s, &t[0], &t[1], &t[2]),
    ),
    (
        "matmul",
        &[("a", F, &[2, 3, 4], "0-v"), ("b", F, &[2, 4, 5], "0-v"), ("c", F, &[2, 3, 5], "ov")],
        |o, s, t| o.matmul(s, &t[0], &t[1], &t[2], Matmul::default()),
    ),
    (
        "norm",
        &[
            ("x", F, &[3, 16], ""),
            ("y", F, &[3, 16], "o=x"),
            ("the residual", F, &[3, 16], "o=x"),
            ("the weight", F, &[16], ""),
            ("the bias", F, &[16], ""),
        ],
        |o, s, t| {
            let [residual, weight, bias] = [&t[2], &t[3], &t[4]].map(Some);
            o.norm(s, &t[0], &t[1], Norm { residual, weight, bias, ..Norm::default() })
        },
    ),
    (
        "softmax",
        &[("x", F, &[3, 16], ""), ("y", F, &[3, 16], "o=x"), ("the mask", F, &[3, 16], "")],
        |o, s, t| o.softmax(s, &t[0], &t[1], Softmax { mask: Some(&t[2]), ..Softmax::default() }),
    ),
    ("reduce", &[("x", F, &[3, 16], "1"), ("y", F, &[3], "o")], |o, s, t| {
        o.reduce(s, &t[0], &t[1], Reduce::Sum)
    }),
    ("scan", &[("x", F, &[3, 16], ""), ("y", F, &[3, 16], "o=x")], |o, s, t| {
        o.scan(s, &t[0], &t[1])
    }),
    ("hadamard", &[("x", F, &[3, 16], ""), ("y", F, &[3, 16], "o=x")], |o, s, t| {
        o.hadamard(s, &t[0], &t[1], 1.0)
    }),
    (
        "top",
        &[("x", F, &[3, 16], "1"), ("indices", I, &[3, 4], "o"), ("values", F, &[3, 4], "o")],
        |o, s, t| o.top(s, &t[0], &t[1], Some(&t[2])),
    ),
    ("argsort", &[("x", F, &[3, 16], ""), ("indices", I, &[3, 16], "o")], |o, s, t| {
        o.argsort(s, &t[0], &t[1], Order::Ascending)
    }),
    (
        "concat",
        &[("a part", F, &[3, 4], "v"), ("a part", F, &[3, 5], "v"), ("y", F, &[3, 9], "ov")],
        |o, s, t| o.concat(s, &[&t[0], &t[1]], &t[2], 1),
    ),
    (
        "concat",
        &[("a part", F, &[3, 1], "v"), ("a part", F, &[3, 1], "v"), ("y", F, &[3, 2], "ov")],
        |o, s, t| o.concat(s, &[&t[0], &t[1]], &t[2], 1),
    ),
    (
        "take",
        &[("x", F, &[3, 16], "1v"), ("indices", I, &[3, 4], "v"), ("y", F, &[3, 4], "ov")],
        |o, s, t| o.take(s, &t[0], &t[1], &t[2], 1),
    ),
    (
        "scatter",
        &[("x", F, &[3, 4], "v"), ("indices", I, &[3, 4], "v"), ("y", F, &[3, 16], "1ov")],
        |o, s, t| {
            o.scatter(s, &t[0], &t[1], &t[2], Scatter { axis: 1, add: true })?;
            o.scatter(s, &t[0], &t[1], &t[2], Scatter { axis: 1, add: false })
        },
    ),
    (
        "sample",
        &[
            ("logits", F, &[2, 5], ""),
            ("tokens", I, &[2, 5], ""),
            ("random numbers", F, &[2], ""),
            ("the result", I, &[2], "o"),
        ],
        |o, s, t| o.sample(s, &t[0], &t[1], &t[2], &t[3], Sample::default()),
    ),
    ("unary", &[("x", F, &[3, 4], "v"), ("y", F, &[3, 4], "ov=x")], |o, s, t| {
        o.unary(s, Unary::Exp, &t[0], &t[1])
    }),
    (
        "binary",
        &[("a", F, &[3, 4], "v"), ("b", F, &[3, 4], "v"), ("y", F, &[3, 4], "ov=ab")],
        |o, s, t| o.binary(s, Binary::Add, &t[0], &t[1], &t[2]),
    ),
    (
        "rope",
        &[
            ("x", F, &[2, 3, 8], ""),
            ("positions", I, &[2], ""),
            ("frequencies", F, &[4], "0-"),
            ("y", F, &[2, 3, 8], "o=x"),
        ],
        |o, s, t| o.rope(s, &t[0], &t[1], &t[2], &t[3], Rope::default()),
    ),
    (
        "append",
        &[
            ("x", F, &[2, 3, 4], ""),
            ("positions", I, &[2], ""),
            ("the cache", DType::F16, &[5, 3, 4], "0o"),
        ],
        |o, s, t| o.append(s, &t[0], &t[1], &t[2]),
    ),
    (
        "append_turbo",
        &[
            ("x", F, &[2, 3, 8], ""),
            ("positions", I, &[2], ""),
            ("the codes of the cache", DType::U8, &[5, 3, 4], "o"),
            ("the lengths of the cache", F, &[5, 3], "o"),
        ],
        |o, s, t| o.append_turbo(s, &t[0], &t[1], &cache(&t[2], &t[3])),
    ),
    ("attention", ATTENTION, |o, s, t| attention(o, s, t, 8)),
    ("attention", ATTENTION, |o, s, t| attention(o, s, t, 0)),
    (
        "attention",
        &[
            ("q", F, &[2, 4, 8], ""),
            ("the codes of k", DType::U8, &[6, 2, 4], ""),
            ("the lengths of k", F, &[6, 2], ""),
            ("v", F, &[6, 2, 8], ""),
            ("o", F, &[2, 4, 8], "o=q"),
        ],
        |o, s, t| o.attention(s, &t[0], &cache(&t[1], &t[2]), &t[3], &t[4], Attention::default()),
    ),
    (
        "conv",
        &[
            ("x", F, &[6, 4], ""),
            ("the weight", F, &[4, 3], ""),
            ("the bias", F, &[4], ""),
            ("y", F, &[4, 4], "o"),
        ],
        |o, s, t| o.conv(s, &t[0], &t[3], Conv { weight: &t[1], bias: Some(&t[2]), silu: true }),
    ),
    (
        "ssm",
        &[
            ("x", F, &[3, 4], ""),
            ("y", F, &[3, 4], "o=x"),
            ("steps", F, &[3, 4], ""),
            ("a", F, &[4, 8], ""),
            ("b", F, &[3, 8], ""),
            ("c", F, &[3, 8], ""),
            ("d", F, &[4], ""),
            ("the state", F, &[4, 8], "o"),
        ],
        |o, s, t| {
            let [x, y, steps, a, b, c, d, state] = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| &t[i]);
            o.ssm(s, x, y, Ssm { steps, a, b, c, d, state })
        },
    ),
    (
        "delta",
        &[
            ("queries", F, &[3, 2, 8], ""),
            ("y", F, &[3, 4, 16], "o=v"),
            ("keys", F, &[3, 2, 8], ""),
            ("values", F, &[3, 4, 16], ""),
            ("the gate", F, &[3, 4], ""),
            ("beta", F, &[3, 4], ""),
            ("the state", F, &[4, 8, 16], "o"),
        ],
        |o, s, t| {
            let [queries, y, keys, values, gate, beta, state] =
                [0, 1, 2, 3, 4, 5, 6].map(|i| &t[i]);
            let few_tokens = 8;
            o.delta(
                s,
                queries,
                y,
                Delta { keys, values, gate, beta, state, scale: 1.0, few_tokens },
            )
        },
    ),
    (
        "solve",
        &[("a", F, &[3, 3], "v"), ("b", F, &[3, 2], "v"), ("x", F, &[3, 2], "ov=b")],
        |o, s, t| o.solve(s, &t[0], &t[1], &t[2], Solve::default()),
    ),
    ("patches", &[("x", F, &[2, 4, 5], "v"), ("y", F, &[12, 8], "o")], |o, s, t| {
        o.patches(s, &t[0], &t[1], Patches { step: [1, 1], ..Patches::tiles(2) })
    }),
    ("resize", &[("x", F, &[2, 3, 4], "12v"), ("y", F, &[2, 5, 6], "12ov")], |o, s, t| {
        o.resize(s, &t[0], &t[1], Resize::Centres)
    }),
];

/// A tensor of the same shape whose last axis is not contiguous.
fn strided(tensor: &Tensor, new: &dyn Fn(DType, &[usize]) -> Tensor) -> Option<Tensor> {
    let (dtype, mut shape) = (tensor.dtype(), tensor.shape().to_vec());
    match shape.len() {
        _ if dtype.is_quantized() => None,
        1 => new(dtype, &[shape[0], 2]).narrow(1, 0..1).ok()?.reshape(&shape).ok(),
        rank => {
            shape.swap(rank - 2, rank - 1);
            new(dtype, &shape).transpose(rank - 2, rank - 1).ok()
        }
    }
}

#[test]
fn each_operand_of_each_operation_wrong_once() {
    let setup = Setup::new(90);
    let new = |dtype, shape: &[usize]| Tensor::new(&setup.gpu, dtype, shape).expect("memory");
    let read_only = {
        use std::io::Write;
        let path = std::env::temp_dir().join(format!("aruminium-wrong-{}", std::process::id()));
        std::fs::File::create(&path)
            .and_then(|mut file| file.write_all(&[0; 4096]))
            .expect("a file");
        let file = std::fs::File::open(&path).expect("the file");
        std::fs::remove_file(&path).expect("the file");
        // SAFETY: nothing else uses the file.
        let block = unsafe { Block::map(&file, ..) }.expect("pages");
        Memory::wrap(&setup.gpu, &block).expect("a buffer")
    };
    let (mut wrong, mut aliased) = (0, 0);
    for (row, &(op, operands, call)) in OPERATIONS.iter().enumerate() {
        let right: Vec<Tensor> = operands.iter().map(|o| new(o.1, o.2)).collect();
        let with = |nth: usize, tensor: Tensor| {
            let mut all = right.clone();
            all[nth] = tensor;
            let mut stream = Stream::new(&setup.gpu, &setup.queue);
            let result = call(&setup.ops, &mut stream, &all).map_err(|error| error.to_string());
            let launches = stream.finish().expect("it runs").counters.launches;
            assert_eq!(
                launches > 0,
                result.is_ok(),
                "row {row}, {op}: {launches} launches, {result:?}"
            );
            result
        };
        assert_eq!(with(0, right[0].clone()), Ok(()), "row {row}, {op}");
        let mut check = |nth: usize, how: &str, tensor: Tensor, words: &[&str]| {
            let what = format!("row {row}, {op}, operand {}, {how}", operands[nth].0);
            match with(nth, tensor) {
                Ok(()) => panic!("{what}: no error"),
                Err(error) => {
                    let named = words.iter().all(|word| error.contains(word));
                    assert!(named, "{what}: the error does not name {words:?}: {error}");
                }
            }
            wrong += 1;
        };
        for (nth, &(name, dtype, shape, flags)) in operands.iter().enumerate() {
            let (flags, same) = flags.split_once('=').unwrap_or((flags, ""));
            check(nth, "another type", new(DType::F64, shape), &[&format!("{op}: {name} ")]);
            for axis in 0..shape.len() {
                let step = if axis + 1 == shape.len() { dtype.block() } else { 1 };
                for (sign, length) in [('+', shape[axis] + step), ('-', shape[axis] - step)] {
                    let (both, one) = (format!("{axis}"), format!("{axis}{sign}"));
                    let signed =
                        flags.contains(&format!("{both}+")) || flags.contains(&format!("{both}-"));
                    let mut shape = shape.to_vec();
                    shape[axis] = length;
                    let tensor = new(dtype, &shape);
                    if flags.contains(&one) || (flags.contains(&both) && !signed) {
                        assert_eq!(with(nth, tensor), Ok(()), "row {row}, {op}: {name} {shape:?}");
                    } else {
                        check(nth, &format!("{shape:?}"), tensor, &[]);
                    }
                }
            }
            if let Some(tensor) = strided(&right[nth], &new) {
                match flags.contains('v') {
                    true => {
                        assert_eq!(with(nth, tensor), Ok(()), "row {row}, {op}: strides of {name}")
                    }
                    false => check(nth, "strides", tensor, &[op]),
                }
            }
            if flags.contains('o') {
                for axis in (0..shape.len()).filter(|&axis| shape[axis] > 1) {
                    let mut one = shape.to_vec();
                    one[axis] = 1;
                    let tensor = new(dtype, &one).broadcast(shape).expect("a view");
                    check(nth, &format!("broadcast along {axis}"), tensor, &[]);
                }
                let tensor = read_only.tensor(0, dtype, shape).expect("a view");
                check(nth, "read-only", tensor, &["can only be read"]);
                for (other, &(other_name, other_type, other_shape, _)) in
                    operands.iter().enumerate()
                {
                    if other == nth {
                        continue;
                    }
                    // From the same byte on, and from the next value of four bytes if they still overlap.
                    let memory = Memory::from(setup.gpu.buffer(1 << 16).expect("memory"));
                    for offset in [0, 4] {
                        let found = memory.tensor(0, other_type, other_shape).expect("a view");
                        if offset >= found.bytes() {
                            continue;
                        }
                        let mut all = right.clone();
                        all[other] = found;
                        all[nth] = memory.tensor(offset, dtype, shape).expect("a view");
                        let mut stream = Stream::new(&setup.gpu, &setup.queue);
                        let result = call(&setup.ops, &mut stream, &all).map_err(|e| e.to_string());
                        let what = format!(
                            "row {row}, {op}: {name} over {other_name}, from byte {offset}"
                        );
                        let launches = stream.finish().expect("it runs").counters.launches;
                        assert_eq!(launches > 0, result.is_ok(), "{what}: {launches} launches");
                        match result {
                            Ok(()) => {
                                assert!(offset == 0 && same.contains(&other_name[..1]), "{what}")
                            }
                            Err(error) => {
                                let allowed = offset == 0 && same.contains(&other_name[..1]);
                                assert!(error.contains("overlap") && !allowed, "{what}: {error}");
                                aliased += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    println!("{wrong} wrong operands, {aliased} that overlap");
    assert!(aliased > 200);
}
