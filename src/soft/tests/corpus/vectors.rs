//! Rows for vectors and matrices.

use super::File;
use super::element::{noise, ulps};
use super::reference::{BFLOAT, HALF};

#[test]
fn vectors() {
    let mut file = File::open("vectors.metal", include_str!("../../../../tests/msl/vectors.metal"));
    file.kernel("constructors").each(40, |i| {
        let a = i as i32;
        let (v, w, x, y) = ([a, 2, 3, 4], [1, a, a, 4], [5, 6, a, 7], [a, 8, 8, 8]);
        let z = [a, 9, a, 9];
        let sum: Vec<i32> =
            (0..4).map(|k| v[k] + 10 * w[k] + 100 * x[k] + 1000 * y[k] + 10000 * z[k]).collect();
        sum[0] + 3 * sum[1] + 7 * sum[2] + 11 * sum[3] + a + 10 + 2
    });
    file.kernel("components").each(40, |i| {
        let mut v = [1, 2, 3, 4].map(|x| x * i as i32);
        v[0] += 5;
        v[1] = v[0] * 2;
        v[2] -= v[3];
        v[i % 4] += 100;
        v.into_iter().fold(0, |sum, x| sum * 3 + x)
    });
    file.kernel("swizzles").each(40, |i| {
        let mut v = [0, 1, 2, 3].map(|k| i as i32 + k);
        let pick = |v: [i32; 4], p: [usize; 4]| p.map(|k| v[k]);
        let (a, b) = (pick(v, [3, 2, 1, 0]), pick(v, [0, 0, 2, 2]));
        let mut w = [0, 1, 2, 3].map(|k| a[k] + b[k] * 10 + v[k] * 100);
        [v[2], v[0]] = [w[0], w[1]];
        [v[1], v[3]] = [v[1] + v[3], v[3] + v[1]];
        w[..3].fill(v[2]);
        let t = [v[3], v[2]];
        v[0] + 2 * v[1] + 3 * v[2] + 4 * v[3] + 5 * w[1] + 6 * w[3] + 7 * t[0] - t[1]
    });
    file.kernel("swizzle_swaps").each(40, |i| [1, 3, 5, 2].map(|k| k * i as i32));
    file.kernel("swizzles_in_memory").each(40, |i| {
        let [x, y, w] = [i as f32, i as f32 + 1.0, 7.0];
        [x + w, y, y + w, w + x]
    });
    let triple = |i: usize| -> Vec<i32> {
        let component = |(a, b): (i32, i32)| {
            let c = (a + b * 2 - a / b + a % b) ^ (a & b | 1);
            -(c << 2) + !a + (b >> 1) + 3
        };
        [(i as i32, 2), (7, i as i32 + 1), (-3, 5)].map(component).into()
    };
    let expected: Vec<i32> = (0..40).flat_map(triple).collect();
    file.kernel("vector_operators").grid(40, 1, 1).expects(&expected);
    file.kernel("vector_comparisons").each(40, |i| {
        let i = i as i32;
        let (a, b) = ([i, 1, 20, 8], [10, i, i, 8]);
        let all = |f: &dyn Fn(i32, i32) -> bool| [0, 1, 2, 3].map(|k| f(a[k], b[k]));
        let (less, same) = (all(&|a, b| a < b), all(&|a, b| a == b));
        let picked: i32 = (0..3).map(|k| a[k].min(b[k])).sum();
        i32::from(less[0]) + 2 * i32::from(less[1]) + 4 * i32::from(same[2]) + 8 + 16 + 64 * picked
    });
    file.kernel("vector_shifts").each(16, |i| [0x81u8, 3, 255, 1].map(|v| v << (i % 8) ^ v >> 1));
    file.kernel("narrow_vectors_wrap").each(256, |i| {
        [200, 100, 50, i as u8].map(|u: u8| i16::from(u.wrapping_mul(2)).wrapping_mul(300))
    });
    file.kernel("vector_conversions").each(40, |i| {
        let f = [1.0, 2.0, 3.0, -4.0].map(|x| x * 0.75f32 + i as f32);
        let t = f.map(|f| f as i32);
        let u = [(i * 100) as u8, i as u8, 300u32 as u8, 2];
        let back = |k: usize| f[k] + f32::from(u[k]);
        let large = (back(0) + back(2)) as i32 * 1000;
        t[0] + t[1] * 10 + t[3] * 100 + large + i32::from(t[0] != 0)
    });
    file.kernel("scalar_with_vector").each(40, |i| {
        let v = (1.0 / (2.0 + i as f64) + 6.0) * 0.5 - 1.0;
        [(); 4].map(|()| ulps(4.0, v))
    });
    let wide: Vec<[f32; 4]> = (0..40).map(|i| [1, 2, 3, 100].map(|k| (i % 7 * k) as f32)).collect();
    let packed: Vec<[f32; 3]> = (0..40).map(|i| [1, 2, 3].map(|k| (i % 5 + k) as f32)).collect();
    file.kernel("vectors_of_three").input(&wide).input(&packed).each(40, |i| {
        let ([x, y, z, _], [p, q, r]) = (wide[i], packed[i]);
        x + 10.0 * y + 100.0 * z + 1000.0 * p + 10000.0 * q + 100_000.0 * r
    });
    let bytes: Vec<[u8; 4]> = (0..50).map(|i| [i, 2 * i, 9, 9]).collect();
    file.kernel("packed_vectors").input(&bytes).each(50, |i| {
        let [x, y, z] = [2 * i, 2 * i, i].map(|k| k as f32);
        let z = z + 0.5;
        [z + x * 2.0, y + y * 2.0 - 1.0, x + z * 2.0]
    });
    file.kernel("sizes_and_alignments")
        .expects(&[808, 1616, 808, 404, 3232, 404, 1204, 802, 301, 4816, 1608, 804]);
    let x: Vec<[u16; 4]> =
        (0..40).map(|i| [1.5, -2.25, 0.1, 7.0].map(|k| HALF.bits(k * i as f64))).collect();
    let y: Vec<[u16; 4]> =
        (0..40).map(|i| [1.5, -2.25, 0.1, 7.0].map(|k| BFLOAT.bits(k * i as f64))).collect();
    file.kernel("half_and_bfloat_vectors").input(&x).input(&y).each(40, |i| {
        let h = x[i].map(|h| HALF.value(h));
        let (p, q) =
            (HALF.round(HALF.round(h[0] * 2.0) + h[3]), HALF.round(HALF.round(h[1] * 2.0) + h[2]));
        (HALF.round(p + q) + BFLOAT.value(y[i][2]) * 2.0) as f32
    });
    file.kernel("vectors_of_longs").each(40, |i| {
        let (a, b) = ((i as i64) << 33, -1);
        [(a * 3 + b) >> 1, (b * 3 + a) >> 1]
    });
    file.kernel("vectors_as_arguments").input(&[[0.5f32, 0.25, 0.0, 1.0]]).each(40, |i| {
        let v = [3.0 * i as f32, 3.0, 6.0];
        [v[0] * v[2] + 0.5, v[1] * v[0] + 0.25, v[2] * v[1], 1.0]
    });
    let halves: Vec<u16> =
        (0..8).chain(1..9).map(|at| crate::fp16::f32_to_fp16(at as f32)).collect();
    let wide = (0..8).map(|at| 1.0 + 2.0 * (if at == 7 { 5 } else { at } * (at + 1)) as f32);
    let wide: Vec<f32> = wide.chain([58.0]).collect();
    file.kernel("wide").input(&halves).expects(&wide);
    file.finish();
}

/// The determinant, by expansion along the first column.
fn determinant(columns: &[Vec<f64>]) -> f64 {
    let Some((first, rest)) = columns.split_first() else { return 1.0 };
    (0..first.len())
        .map(|row| {
            let without = |column: &Vec<f64>| {
                column.iter().enumerate().filter(|&(at, _)| at != row).map(|(_, &x)| x).collect()
            };
            let minor: Vec<Vec<f64>> = rest.iter().map(without).collect();
            let sign = if row % 2 == 0 { 1.0 } else { -1.0 };
            sign * first[row] * determinant(&minor)
        })
        .sum()
}

#[test]
fn matrices() {
    let mut file =
        File::open("matrices.metal", include_str!("../../../../tests/msl/matrices.metal"));
    // Small whole numbers: sums of products are exact in any order.
    let small = |seed| noise(seed).map(|bits| (bits % 17) as f32 - 8.0);
    let columns: Vec<[[f32; 4]; 4]> = {
        let mut next = small(11);
        (0..41)
            .map(|_| [(); 4].map(|()| [(); 4].map(|()| next.next().unwrap_or_default())))
            .collect()
    };
    let v: Vec<[f32; 4]> = columns.iter().map(|m| m[0]).rev().collect();
    let times = |m: &[[f32; 4]; 4], v: [f32; 4]| -> [f32; 4] {
        [0, 1, 2, 3].map(|r| (0..4).map(|c| m[c][r] * v[c]).sum())
    };
    let expected: Vec<[f32; 4]> = (0..40)
        .flat_map(|i| {
            let dot = |column: [f32; 4]| column.iter().zip(v[i]).map(|(a, b)| a * b).sum();
            [times(&columns[i], v[i]), columns[i].map(dot)]
        })
        .collect();
    file.kernel("matrix_times_vector").input(&columns).input(&v).grid(40, 1, 1).expects(&expected);
    let expected: Vec<[[f32; 4]; 4]> =
        (0..40).map(|i| columns[i + 1].map(|column| times(&columns[i], column))).collect();
    file.kernel("matrix_products").input(&columns).grid(40, 1, 1).expects(&expected);
    file.kernel("matrices_not_square").each(40, |i| {
        let i = i as f32;
        let a = [[1.0, 2.0, 3.0], [4.0, 5.0, i]];
        let b = [[1.0, i], [2.0, 3.0], [4.0, 5.0]];
        let c = |column: usize, row: usize| a[0][row] * b[column][0] + a[1][row] * b[column][1];
        let d = |column: usize, row: usize| (0..3).map(|k| b[k][row] * a[column][k]).sum::<f32>();
        let e = [0, 1, 2].map(|row| a[0][row] + 2.0 * a[1][row]);
        let f = a.map(|column| column.iter().zip(e).map(|(x, y)| x * y).sum::<f32>());
        c(0, 0) + 10.0 * c(1, 1) + 100.0 * c(2, 2) + d(0, 1) + 7.0 * d(1, 0) + f[0] - f[1]
    });
    file.kernel("matrix_constructors")
        .each(40, |i| 2.0 * i as f32 + 60.0 + 700.0 + 3000.0 + 2.0 + 50.0 + 4.0);
    file.kernel("matrix_arithmetic").each(40, |i| {
        // a + b - a, then + a - b: a again; (0 1; 1 0) swaps the columns.
        let _ = i;
        -3.0 * (1.0 + 20.0 + 300.0 + 4000.0) + 3.0 * 7.0 + 2.0f32
    });
    file.kernel("transposes").each(40, |i| {
        let m = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, i as f32]];
        let dot = |a: [f32; 4], b: [f32; 4]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        m[1][0] + 10.0 * m[1][3] + dot(m[0], m[0]) + dot(m[0], m[1]) * 3.0
    });
    let x: Vec<f32> = small(12).take(60).collect();
    let expected: Vec<f32> = (0..40)
        .flat_map(|i| {
            [2, 3, 4].map(|n| {
                let column = |c: usize| (0..n).map(|r| f64::from(x[i + c * n + r])).collect();
                determinant(&(0..n).map(column).collect::<Vec<_>>()) as f32
            })
        })
        .collect();
    file.kernel("determinants").input(&x).grid(40, 1, 1).expects(&expected);
    file.kernel("columns_by_index").each(40, |i| {
        let mut m = [[0.0; 3]; 3];
        (0..3).for_each(|c| m[(c + i) % 3] = [c as f32, 2.0 * c as f32, i as f32]);
        m[i % 3][1] += 100.0;
        m[2 - i % 3][i % 2] -= 1.0;
        m.iter().fold(0.0, |sum, column| sum * 2.0 + column[0] + 3.0 * column[1] + 5.0 * column[2])
    });
    file.kernel("half_matrices").each(40, |i| {
        let d = i as f32 * 0.5;
        [d + 2.0, 4.0, 3.0 * d + 6.0].iter().sum::<f32>()
    });
    let mut transform: Vec<f32> = columns[3].concat();
    transform.extend([5.0, 6.0, 7.0, 0.0]);
    file.kernel("matrices_in_structs").input(&transform).each(40, |i| {
        let v = times(&columns[3], [i as f32, 1.0, 0.0, 1.0]);
        [v[0] + 5.0, v[1] + 6.0, v[2] + 7.0, v[3]]
    });
    file.kernel("matrices_as_values").each(40, |i| {
        let (last, first) = (3.0 * i as f32, 2.0);
        if i & 1 == 0 { last + 2.0 * first } else { 2.0 * last + first }
    });
    let given: Vec<f32> = (0..12).map(|i| i as f32).collect();
    file.kernel("named_columns").input(&given).expects(&[213.0f32, 9.0]);
    file.finish();
}
