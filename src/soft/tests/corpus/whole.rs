//! Rows for files like those of real programs, with many features in each kernel.

use super::File;
use super::element::{Element as _, near, noise};
use super::reference::HALF;

#[test]
fn language() {
    let mut file =
        File::open("language.metal", include_str!("../../../../tests/msl/language.metal"));
    // The box of both is 2 by 3, that of `b` 1 by 1.
    let measured = 6.0 + 1.0 + std::f32::consts::PI * 1.5 * 1.5;
    let accessed = measured + (10.0 + 1.0) + (7.0 + 2.0) + (4.0 + 3.0);
    file.kernel("classes")
        .input(&[10.0f32])
        .expects(&[measured, 4.0, 16256.0, accessed, 5.0, 64.0]);
    let words: Vec<i32> = (0..10).map(|i| i * 7 % 12).collect();
    let mut total = 0;
    for word in &words[..5] {
        match word & 3 {
            0 => continue,
            1 => total += 3,
            2 => total += 2,
            _ => total = if total > 100 { 0 } else { total * 2 },
        }
    }
    loop {
        total -= 1;
        if total <= 10 || total & 1 == 0 {
            break;
        }
    }
    while total / 2 != 0 {
        total /= 2;
        if total == 3 {
            break;
        }
    }
    file.kernel("control").input(&words).grid(5, 3, 1).group(5, 3, 1).expects(&[total; 15]);
    let m: [[f32; 4]; 4] = std::array::from_fn(|c| std::array::from_fn(|r| (c * 3 + r) as f32));
    let mut a = m;
    a[3] = [2.0, -1.0, 4.0, 1.0];
    let product = |c: usize, r: usize| (0..4).map(|k| a[k][r] * a[k][c]).sum::<f32>() + a[c][r];
    let b: [[f32; 4]; 4] = std::array::from_fn(|c| std::array::from_fn(|r| product(c, r)));
    file.kernel("matrices")
        .out(&m)
        .input(&[[2.0f32, -1.0, 4.0, 0.0]])
        .input(&[[0.0f32; 4]; 3])
        .expects(&b);
    file.finish();
}

#[test]
fn quantised() {
    let mut file =
        File::open("quantised.metal", include_str!("../../../../tests/msl/quantised.metal"));
    let bytes: Vec<u8> = noise(5).map(|bits| bits as u8).take(3 * 16).collect();
    let scales = [0.5, 2.0, -0.125];
    let mut blocks = Vec::new();
    for (scale, nibbles) in scales.iter().zip(bytes.chunks(16)) {
        HALF.bits(*scale).put(&mut blocks);
        blocks.extend(nibbles);
    }
    let values: Vec<f32> = (0..96)
        .map(|k| {
            let byte = bytes[k / 2];
            let nibble = if k % 2 == 0 { byte & 15 } else { byte >> 4 };
            (f64::from(i32::from(nibble) - 8) * scales[k / 32]) as f32
        })
        .collect();
    file.kernel("dequantise").at(1).input(&blocks).grid(48, 1, 1).expects(&values);
    let table = [
        -1.0f32, -0.7, -0.5, -0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.15, 0.25, 0.35, 0.45, 0.55, 0.75,
        1.0,
    ];
    let picked: Vec<f32> = bytes.iter().map(|byte| table[usize::from(byte & 15)]).collect();
    file.kernel("by_table").at(1).input(&bytes).grid(12, 1, 1).expects(&picked);
    // Two rows of three blocks; all sums are exact.
    let weights: Vec<i8> = noise(6).map(|bits| bits as i8).take(6 * 32).collect();
    let x: Vec<f32> = (0..96).map(|i| (i % 7) as f32 - 3.0).collect();
    let mut blocks = Vec::new();
    for (block, weights) in weights.chunks(32).enumerate() {
        HALF.bits(scales[block % 3]).put(&mut blocks);
        weights.iter().for_each(|weight| weight.put(&mut blocks));
    }
    let row = |row: usize| -> f32 {
        let term = |k: usize| f64::from(weights[row * 96 + k]) * f64::from(x[k]) * scales[k / 32];
        (0..96).map(term).sum::<f64>() as f32
    };
    file.kernel("rows")
        .at(2)
        .input(&blocks)
        .input(&x)
        .input(&[[3u32, 2]])
        .grid(64, 1, 1)
        .group(32, 1, 1)
        .expects(&[row(0), row(1)]);
    file.finish();
}

#[test]
fn reduce() {
    let mut file = File::open("reduce.metal", include_str!("../../../../tests/msl/reduce.metal"));
    let x: Vec<f32> = noise(7).map(|bits| (bits % 1000) as f32 - 300.0).take(500).collect();
    file.kernel("sum_tree")
        .at(1)
        .input(&x)
        .input(&[500u32])
        .grid(512, 1, 1)
        .group(256, 1, 1)
        .expects(&[x[..256].iter().sum::<f32>(), x[256..].iter().sum::<f32>()]);
    let halves: Vec<f64> = x[..200].iter().map(|&x| f64::from(x) / 8.0).collect();
    let bits: Vec<u16> = halves.iter().map(|&x| HALF.bits(x)).collect();
    let most = halves.iter().map(|&x| HALF.round(x)).fold(f64::MIN, f64::max);
    file.kernel("max_simd")
        .at(1)
        .input(&bits)
        .out(&[i32::MIN])
        .input(&[50u32])
        .grid(64, 1, 1)
        .expects(&[(most * 16.0) as i32]);
    let (width, rows) = (75, 3);
    let x: Vec<f32> = (0..width * rows).map(|i| (i * 31 % 97) as f32 / 16.0 - 2.0).collect();
    let mut expected = Vec::new();
    for row in x.chunks(width) {
        let powers: Vec<f64> = row.iter().map(|&x| f64::from(x).exp()).collect();
        let total: f64 = powers.iter().sum();
        // A few ulp of the exponential, the division and the sum.
        expected.extend(powers.iter().map(|power| near(2e-6 * power / total, power / total)));
    }
    file.kernel("softmax_rows")
        .at(1)
        .input(&x)
        .input(&[width as i32])
        .threadgroup(128)
        .grid(32 * rows as u32, 1, 1)
        .group(32, 1, 1)
        .expects(&expected);
    let bytes: Vec<u8> = noise(8).map(|bits| bits as u8).take(256).collect();
    let count =
        |bin: usize| bytes.iter().filter(|&&byte| usize::from(byte >> 4) == bin).count() as u32;
    let bins: Vec<u32> = (0..16).map(count).collect();
    file.kernel("histogram")
        .at(1)
        .input(&bytes)
        .out(&[0u32; 16])
        .grid(256, 1, 1)
        .group(256, 1, 1)
        .expects(&bins);
    file.finish();
}
