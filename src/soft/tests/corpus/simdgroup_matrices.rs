//! Rows for `simdgroup_matrix`.

use super::File;
use super::element::noise;
use crate::fp16::{bf16_to_f32, f32_to_bf16, f32_to_fp16, fp16_to_f32};

/// Multiples of 1/8 that halves and bfloats hold exactly.
fn values(seed: u64, count: usize) -> Vec<f32> {
    noise(seed).map(|bits| (bits % 17) as f32 * 0.125 - 1.0).take(count).collect()
}

/// Values whose products are not exact.
fn uneven(seed: u64, count: usize) -> Vec<f32> {
    noise(seed).map(|bits| (bits % 100_003) as f32 / 40_000.0 - 1.25).take(count).collect()
}

/// `a b + c`, n by n: chains of fused multiply-adds in the order of k.
fn multiply_add(a: &[f32], b: &[f32], c: &[f32], n: usize) -> Vec<f32> {
    (0..n * n)
        .map(|at| {
            let (row, column) = (at / n, at % n);
            (0..n).fold(c[at], |sum, k| a[row * n + k].mul_add(b[k * n + column], sum))
        })
        .collect()
}

fn transposed(m: &[f32]) -> Vec<f32> {
    (0..64).map(|at| m[at % 8 * 8 + at / 8]).collect()
}

#[test]
fn simdgroup_matrix() {
    let text = include_str!("../../../../tests/msl/simdgroup_matrix.metal");
    let mut file = File::open("simdgroup_matrix.metal", text);
    let (a, b, c) = (uneven(61, 64), uneven(62, 64), uneven(63, 64));
    let zeros = [0.0; 64];

    let numbers: Vec<f32> = (0..64).map(|at| at as f32).collect();
    let element = |lane: usize| {
        let quad = lane / 4;
        ((quad & 4) + lane / 2 % 4) * 8 + (quad & 2) * 2 + lane % 2 * 2
    };
    let expected: Vec<f32> = (0..64).map(|at| (element(at / 2) + at % 2) as f32).collect();
    file.kernel("layout").input(&numbers).grid(32, 1, 1).expects(&expected);

    let product = multiply_add(&a, &b, &zeros, 8);
    for name in ["product", "operator_product"] {
        file.kernel(name).input(&a).input(&b).grid(32, 1, 1).expects(&product);
    }
    let sum = multiply_add(&a, &b, &c, 8);
    file.kernel("accumulate").input(&a).input(&b).input(&c).grid(32, 1, 1).expects(&sum);

    let wide = uneven(64, 24 * 24);
    let corner: Vec<f32> = (0..64).map(|at| wide[(16 + at / 8) * 24 + 8 + at % 8]).collect();
    let both = [transposed(&corner), corner].concat();
    file.kernel("transposed").input(&wide).grid(32, 1, 1).expects(&both);
    let both = [a.clone(), transposed(&a)].concat();
    let row = file.kernel("transposed_or_not").input(&a).input(&[1u32]);
    row.grid(64, 1, 1).group(32, 1, 1).expects(&both);

    let diagonal = (0..64).map(|at| if at % 9 == 0 { 3.0 } else { 0.0 });
    let filled: Vec<f32> = [2.5; 64].into_iter().chain(diagonal).chain([1.0; 64]).collect();
    file.kernel("constants").input(&[0u16; 64]).grid(32, 1, 1).expects(&filled);

    let (x, y) = (values(65, 64), values(66, 64));
    let halves = |values: &[f32]| values.iter().map(|&v| f32_to_fp16(v)).collect::<Vec<_>>();
    let exact = multiply_add(&x, &y, &zeros, 8);
    let wide: Vec<f32> = exact.iter().map(|v| v + 0.125).collect();
    let narrow = exact.iter().map(|&v| fp16_to_f32(f32_to_fp16(v)));
    let both: Vec<f32> = wide.into_iter().chain(narrow).collect();
    file.kernel("mixed").input(&halves(&x)).input(&halves(&y)).grid(32, 1, 1).expects(&both);
    let brains = |values: &[f32]| values.iter().map(|&v| f32_to_bf16(v)).collect::<Vec<_>>();
    assert!(x.iter().all(|&v| bf16_to_f32(f32_to_bf16(v)) == v));
    let row = file.kernel("brains").input(&brains(&x)).input(&brains(&y));
    row.grid(32, 1, 1).expects(&brains(&exact));

    let (left, right) = (uneven(67, 1024), uneven(68, 1024));
    let expected = multiply_add(&left, &right, &[0.0; 1024], 32);
    let row = file.kernel("tiles").input(&left).input(&right).threadgroup(8192);
    row.grid(128, 1, 1).group(128, 1, 1).expects(&expected);

    let three = uneven(69, 192);
    file.kernel("picked").input(&three).input(&[2u32]).grid(32, 1, 1).expects(&three[128..]);
    let changed: Vec<f32> = (0..64)
        .map(|at| {
            let lane = (0..32).find(|&lane| element(lane) == at / 2 * 2).unwrap_or_default();
            if at % 2 == 0 { (a[at] + 0.5) * 2.0 } else { (lane as f32 + 0.5) * 2.0 }
        })
        .collect();
    file.kernel("members").input(&a).grid(32, 1, 1).expects(&changed);

    // The last row begins at byte 256; lane 22 is the first with elements of it.
    let row = file.kernel("beyond").input(&a).grid(32, 1, 1);
    row.faults("thread (22, 0, 0)");
    let row = file.kernel("far_beyond").input(&a).input(&[u64::MAX / 3]).grid(32, 1, 1);
    row.faults("of 'in'");
    let row = file.kernel("store_beyond").input(&a).grid(32, 1, 1);
    row.faults("narrow_argument");
    file.finish();
}
