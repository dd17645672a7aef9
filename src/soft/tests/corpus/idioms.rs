//! Rows for idioms of code that frameworks, provers and translators from other languages write.

use super::File;
use crate::fp16::f32_to_fp16;

const TEXT: &str = include_str!("../../../../tests/msl/idioms.metal");

/// Two to the 64 less 15.
const MODULUS: u128 = (1 << 64) - 15;

#[test]
fn idioms() {
    let mut file = File::open("idioms.metal", TEXT);

    // A table of operations; strides in bytes transpose a square of 16 elements.
    let transposed = |i: usize| i % 4 * 4 + i / 4;
    let result = |i: usize| transposed(i) as f32 * 0.5 + 1.0;
    let values: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let strides = |size: i64| [4 * size, size];
    file.kernel("halved_float_float").input(&values).input(&strides(4)).each(16, result);
    let halves: Vec<u16> = values.iter().map(|&x| f32_to_fp16(x)).collect();
    let half = |i: usize| f32_to_fp16(result(i));
    file.kernel("halved_half_half").input(&halves).input(&strides(2)).each(16, half);
    let shorts: Vec<i16> = (0..16).collect();
    file.kernel("halved_float_short").input(&shorts).input(&strides(2)).each(16, result);

    // Two reports: a counter, then the text, the function and the line of each.
    let line = TEXT.lines().position(|line| line.contains("REPORT(all, \"value")).unwrap() + 1;
    let mut reports = [0u8; 84];
    reports[0] = 2;
    for (at, text) in [(4, "value 150 at 1"), (44, "value 1234 at 3")] {
        reports[at..at + text.len()].copy_from_slice(text.as_bytes());
        reports[at + 24..at + 31].copy_from_slice(b"reports");
        reports[at + 36..at + 40].copy_from_slice(&(line as u32).to_le_bytes());
    }
    file.kernel("reports")
        .out(&[0u8; 84])
        .input(&[5, 150, 7, 1234])
        .grid(4, 1, 1)
        .expects(&reports);

    // Sums of parts of an array, whose positions stop at its end.
    let pairs = [[0u32, 3], [2, 2], [1, 9]];
    let data = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    file.kernel("main_").at(2).input(&pairs).input(&data).input(&[24u32, 24]).each(8, |i| {
        let [start, count] = pairs.get(i).copied().unwrap_or_default();
        let term = |i: u32| data[(start + i).min(5) as usize] * (i.min(7) + 1) as f32;
        let sum: f32 = (0..count).map(term).sum();
        sum + (sum as i32 / 2) as f32
    });

    let weights = [1u32, 2, 3, 4, 5, 6, 7, 8];
    let sum = |local: usize| (0..local).map(|i| weights[i % 2 * 4 + i % 4]).sum::<u32>();
    file.kernel("tint_entry").input(&weights).threadgroup(16).each(8, |local| {
        let count = sum(local % 4) + sum(local % 4 + 4);
        count * 100 + (0..local as u32).sum::<u32>()
    });

    // Two buffers of eight numbers under several types.
    let numbers: Vec<f32> = (1..=8).map(|i| i as f32).collect();
    let aliased: Vec<f32> = (0..16)
        .map(|at| {
            let (i, odd) = (at % 8, at % 2);
            if at < 8 {
                let exponent = numbers[i / 2 * 2].to_bits() >> 23 & 1;
                let other = numbers[if odd == 1 { 4 + i / 2 } else { i / 2 }];
                return numbers[i] + exponent as f32 * 10.0 + 100.0 + 1000.0 * other;
            }
            let (a, b) = if odd == 1 { (6.0, 8.0) } else { (4.0, 6.0) };
            10.0 * a + 100.0 * b + [1.0, 2.5, 4.0][i % 3] * 2000.0 + 4.0 * 300_000.0
        })
        .collect();
    file.kernel("aliased").at(1).input(&numbers).grid(8, 1, 1).expects(&aliased);

    let (a, b) = (0x1234_5678_9abc_def0u128, MODULUS - 5);
    let power = (0..3).fold(a, |x, _| x * a % MODULUS);
    let digits = |x: u128| [x as u32, (x >> 32) as u32];
    file.kernel("prover").input(&digits(a)).input(&digits(b)).grid(3, 1, 1).expects(&[
        digits((a + b) % MODULUS),
        digits(a * b % MODULUS),
        digits(power),
    ]);

    let packed: Vec<u32> = (0..32u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
    let small = |code: u32| {
        let size = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0f32][code as usize % 8];
        if code & 8 != 0 { -size } else { size }
    };
    let of = |&word: &u32| (0..8).map(|at| small(word >> (4 * at) & 15)).sum::<f32>();
    let sums: Vec<f32> = packed.iter().map(of).collect();
    let (total, most) = (sums.iter().sum::<f32>(), sums.iter().copied().fold(f32::MIN, f32::max));
    file.kernel("weights").at(1).input(&packed).each(32, |_| total + most * 1000.0 + 1.0);

    file.kernel("policies").expects(&[11.0625f32 + 7.0, 41.0 + 2.5]);

    file.kernel("found_by_the_host").each(32, |lane| {
        let taken = [5.0f32 + 3.0, 7.0, 2.0][lane % 3] + 4.0 + 4.0;
        let product = 2.0 * (lane as f32 + 0.5) + 1.0;
        let least = (lane as f32).min(4.0) + 3.0;
        product + 100.0 * taken + 1e6 * (least + 9.0) + 1000.0 * (8.0 + 4.0 + 2.0 + 3.0 + 200.0)
    });
    file.finish();
}
