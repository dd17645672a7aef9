//! Rows for templates, packs and base classes.

use super::File;
use crate::soft::ir::half::f16_bits;

#[test]
fn packs() {
    let mut file = File::open("packs.metal", include_str!("../../../../tests/msl/packs.metal"));
    file.kernel("recursive_sum").each(40, |i| i as f32 + 12.5);
    file.kernel("sizes_and_counts").each(10, |i| {
        // sizes: none, three; 1 + 2 + 16 bytes; 9 is the largest; {3, 9, 4} >= 3, {1, 2} >= 2 not.
        30 + 1900 + 90_000 + 100_000 + 4_000_000 + 20_000_000 + i as i32
    });
    let folds: Vec<i32> = (0..20).flat_map(|x| [x - 5, x + 1, x - 5, x - 1, x]).collect();
    file.kernel("folds").grid(20, 1, 1).expects(&folds);
    file.kernel("forwarded").each(20, |i| {
        let x = i as f32;
        2.0 * x + 3.0 + (x + 1.0) + 1.5 + 2.0 + 3.0 * (1.0 + 2.0 + x)
    });
    file.kernel("tuples").each(20, |i| [i as i32, 2, 7, -1][i % 4] * 10 + 3);
    file.kernel("two_packs").each(20, |i| 8 + 4 + i as i32);
    file.kernel("any_values").expects(&[83, 5, 99, 7]);
    file.finish();
}

#[test]
fn inheritance() {
    let mut file =
        File::open("inheritance.metal", include_str!("../../../../tests/msl/inheritance.metal"));
    file.kernel("members").each(20, |i| 15.0 + 30.0 + 300.0 + 30.0 + 2.0 + i as f32 + 4.0 + 4.0);
    file.kernel("converted").each(20, |_| 15.0f32 + 16.0 + 300.0 + 5.0 + 8000.0 + 80_000.0);
    file.kernel("layouts").expects(&[12u32, 16, 20, 4, 7, 1]);
    file.kernel("in_buffers").each(20, |i| 3 + i as i32);
    file.kernel("traits").each(20, |i| 1 + 4 + 20 * i as i32 + 100 * (2 + i as i32));
    file.kernel("introduced").expects(&[353, 210, 3003, 4004, 604, 45677, 912, 3 + 20 + 1100]);
    file.finish();
}

#[test]
fn functors() {
    let mut file =
        File::open("functors.metal", include_str!("../../../../tests/msl/functors.metal"));
    let chain = 4 + 80;
    file.kernel("by_result").expects(&[7 + 90 + 100, chain, chain + 1970 + chain]);
    file.kernel("changed_float").each(20, |i| i as f32 + 3.0);
    file.kernel("doubled_float").each(20, |i| i as f32 * 64.0);
    file.kernel("doubled_by_signature").each(20, |i| i as f32 * 8.0);
    file.kernel("changed_half").each(20, |i| f16_bits(i as f32 + 30.0));
    file.kernel("stepped_plain").each(20, |i| i as i32 + 101);
    file.kernel("stepped_scaled").each(20, |i| (i as i32 + 100) * 3);
    file.kernel("templates_of_templates").each(20, |i| i as i32 + 5 + 2400 + 120_000 + 7_000_000);
    file.kernel("orders").input(&[0f32]).expects(&[1, 2, 3, 4, 5, 6, 2, 3, 2, 3, 4, 12, 12]);
    file.kernel("definitions").each(20, |i| {
        let x = i as f32;
        x + 3.0 + 201.0 + 52.0 + 2.0 * x + x + 0.5 + 2.0
    });
    file.kernel("braces").each(20, |i| {
        let table = [5, 5, 5, 5, 6, 0, 0, 7][i % 8];
        i as i32 * 100 + 20 + 3 + 4 + 7 + table * 10_000 + 4
    });
    let (dims, strides) = ([4, 3, 5], [1, 10, 7]);
    file.kernel("found_elsewhere").input(&[dims, strides].concat()).each(64, |i| {
        let n = i as i32;
        let strided = n % 5 * 7 + n / 5 % 3 * 10 + n / 15;
        let next = if n % 32 == 31 { 31 } else { n % 32 + 1 };
        strided + 100 * (5 + n + 2) + 10_000 * next + 5_000_000
    });
    file.finish();
}

#[test]
fn aliases() {
    let mut file = File::open("aliases.metal", include_str!("../../../../tests/msl/aliases.metal"));
    file.kernel("alias_members").each(20, |i| {
        let x = i as f32;
        (10.0 * x + 103.0) + (10.0 * x + 204.0) * 1000.0 + (x + 5.0) + (2000.0 + x)
    });
    let input = [3f32, 29.0];
    file.kernel("alias_forms").input(&input).expects(&[2, 11, 71, 7, 29, 4, 16, 2, 13, 5, 2, 1]);
    file.finish();
}
