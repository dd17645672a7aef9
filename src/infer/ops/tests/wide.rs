//! Views of more than 2³² values, whose positions need 64 bits. Their memory is never touched as a whole.

use super::{FLOATS, Setup, values};
use crate::infer::ops::{Attention, Rope, TurboCache};
use crate::infer::{DType, Tensor};

/// Values from head to head: two heads on, 32 bits are exceeded by a little.
const STEP: usize = (1 << 31) + 64;

/// Three heads of 8 values for each of some tokens that follow each other, each head far from the one before.
fn far(memory: &Tensor, column: usize, tokens: usize) -> Tensor {
    let columns = memory.narrow(1, column..column + 8 * tokens).expect("a view");
    let heads = columns.reshape(&[3, tokens, 8]).expect("a view");
    heads.transpose(0, 1).expect("a view")
}

fn copy(from: &Tensor, to: &Tensor) {
    for head in 0..3 {
        for token in 0..from.shape()[0] {
            let part = |tensor: &Tensor| {
                tensor.narrow(0, token..token + 1).and_then(|row| row.narrow(1, head..head + 1))
            };
            let (from, to) = (part(from).expect("a view"), part(to).expect("a view"));
            let bytes = from.read_bytes().expect("free").to_vec();
            to.write_bytes().expect("free").copy_from_slice(&bytes);
        }
    }
}

#[test]
fn heads_may_be_more_than_32_bits_apart() {
    let mut setup = Setup::new(92);
    assert_eq!(FLOATS[1], DType::F16);
    let Ok(memory) = Tensor::for_overwrite(&setup.gpu, DType::F16, &[3, STEP]) else {
        println!("the system has no 12.9 GiB of addresses");
        return;
    };
    let (tokens, rows) = (2, 3);
    let mut near = |tokens: usize| setup.random(DType::F16, &[tokens, 3, 8]);
    let (q, k, v) = (near(tokens), near(rows), near(rows));
    let [far_q, far_k, far_v] = [(&q, 0), (&k, 512), (&v, 1024)].map(|(near, column)| {
        let far = far(&memory, column, near.shape()[0]);
        copy(near, &far);
        far
    });
    let positions = setup.tensor(DType::I32, &[2], &[1.0, 2.0]);
    let frequencies = setup.tensor(DType::F32, &[4], &[1.0, 0.5, 0.25, 0.125]);
    let (far_o, o) = (far(&memory, 2048, tokens), setup.result(DType::F16, &[tokens, 3, 8]));
    let compare = |what: &str| {
        let found = setup.result(DType::F16, &[tokens, 3, 8]);
        copy(&far_o, &found);
        assert_eq!(values(&found), values(&o), "{what}");
    };
    for few_tokens in [8, 0] {
        let params = Attention { positions: Some(&positions), few_tokens, ..Attention::default() };
        setup.run(|ops, stream| {
            ops.attention(stream, &q, &k, &v, &o, params)?;
            ops.attention(stream, &far_q, &far_k, &far_v, &far_o, params)
        });
        compare(if few_tokens > 0 { "attention" } else { "attention in tiles" });
    }
    setup.run(|ops, stream| {
        ops.rope(stream, &q, &positions, &frequencies, &o, Rope::default())?;
        ops.rope(stream, &far_q, &positions, &frequencies, &far_o, Rope::default())
    });
    compare("rope");
    let caches = [(); 2].map(|_| TurboCache::new(&setup.gpu, 4, [4, 3, 8]).expect("memory"));
    setup.run(|ops, stream| {
        ops.append_turbo(stream, &q, &positions, &caches[0])?;
        ops.append_turbo(stream, &far_q, &positions, &caches[1])
    });
    let [near, far] = caches.map(|cache| cache.codes.read_bytes().expect("free").to_vec());
    assert!(near == far && near.iter().any(|&byte| byte != 0), "append_turbo");
}
