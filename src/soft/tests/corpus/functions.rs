//! Rows for the library's functions of single threads: relations, geometry, mathematics, packing; and
//! for patterns of real kernels.

use super::File;
use super::element::{Near, near, noise, ulps};
use super::reference::HALF;

/// Floats of every kind, in many combinations.
const SPECIAL: [f32; 13] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f32::NAN,
    2.5,
    f32::INFINITY,
    f32::NEG_INFINITY,
    1e-40,
    -1e-40,
    f32::MAX,
    f32::MIN_POSITIVE,
    -0.75,
];

fn flags(bits: &[bool]) -> u32 {
    bits.iter().rev().fold(0, |all, &bit| all << 1 | u32::from(bit))
}

#[test]
fn relational() {
    let mut file =
        File::open("relational.metal", include_str!("../../../../tests/msl/relational.metal"));
    let kinds = |x: f32| {
        flags(&[x.is_nan(), x.is_infinite(), x.is_finite(), x.is_normal(), x.is_sign_negative()])
    };
    let numbers = SPECIAL.map(|x| if x.is_nan() { f32::NAN } else { x });
    file.kernel("kinds").input(&numbers).each(13, |i| kinds(numbers[i]));
    let all: Vec<u16> = (0..=u16::MAX).collect();
    file.kernel("kinds_of_halves").input(&all).each(65536, |i| {
        let x = HALF.value(i as u16);
        flags(&[
            x.is_nan(),
            x.is_infinite(),
            x.is_finite(),
            x.is_finite() && x.abs() >= 2f64.powi(-14),
            i >> 15 == 1,
        ])
    });
    let mut pairs: Vec<f32> =
        SPECIAL.iter().flat_map(|&a| SPECIAL.iter().flat_map(move |&b| [a, b])).collect();
    pairs.push(0.0);
    file.kernel("order").input(&pairs).each(338, |i| {
        let (a, b) = (pairs[i], pairs[i + 1]);
        let unordered = a.is_nan() || b.is_nan();
        flags(&[
            a < b,
            a <= b,
            a == b,
            a != b,
            a > b,
            a >= b,
            !unordered,
            unordered,
            unordered || a >= b,
        ])
    });
    let vectors: Vec<[f32; 4]> =
        (0..52).map(|i| [0, 1, 3, 4].map(|k| SPECIAL[(i + k) % 13])).collect();
    file.kernel("of_vectors").input(&vectors).each(52, |i| {
        let v = vectors[i];
        flags(&[
            v.iter().any(|x| x.is_nan()),
            v.iter().all(|x| x.is_sign_negative()),
            v.iter().any(|x| x.is_infinite()),
            v.iter().all(|x| x.is_finite()),
            v[2].is_sign_negative(),
            v.iter().any(|&x| x > 1.0),
            !v.iter().any(|x| x.is_nan()),
        ])
    });
    let expected: Vec<[f32; 4]> = (0..52)
        .flat_map(|i| {
            let a = vectors[i];
            let first = [0, 1, 2, 3].map(|k| if a[k] > 0.5 { k as f32 + 1.0 } else { a[k] });
            let pick = |condition: bool, yes: f32, no: f32| if condition { yes } else { no };
            let second = [
                pick(a[0] > a[1], 2.0, 1.0),
                pick(a[2] < 0.0, 4.0, 3.0),
                pick(i & 1 == 1, 3.0, a[0]),
                4.0,
            ];
            [first, second]
        })
        .collect();
    file.kernel("selects").input(&vectors).grid(52, 1, 1).expects(&expected);
    let x: Vec<i32> = (0..40).map(|i| (i * 97 % 41 - 20) * 9).collect();
    file.kernel("selects_integers").input(&x).each(40, |i| {
        let x = x[i];
        let v = [if x > 0 { -1 } else { x }, if x & 1 == 1 { -2 } else { x }, x];
        let u = if x == 0 { 6 } else { 5 };
        v[0] + v[1] * 1000
            + v[2] * 7
            + u
            + if x != 0 { 100_000 } else { 0 }
            + if x < -100 { 200_000 } else { 0 }
    });
    file.finish();
}

/// Floats between two bounds.
fn between(low: f64, high: f64, seed: u64) -> Vec<f32> {
    let unit = noise(seed).map(|bits| (bits >> 11) as f64 * 2f64.powi(-53));
    unit.map(|x| (low + (high - low) * x) as f32).take(256).collect()
}

#[test]
fn common() {
    let mut file = File::open("common.metal", include_str!("../../../../tests/msl/common.metal"));
    let mut x = between(-3.0, 4.0, 71);
    x[..6].copy_from_slice(&[0.0, -1.0, 2.0, 0.5, 1.0, 3.0]);
    let sign = |x: f32| if x == 0.0 { x } else { x.signum() };
    let step = |edge: f32, x: f32| if x < edge { 0.0 } else { 1.0f32 };
    let expected: Vec<[f32; 4]> =
        x.iter().map(|&x| [x.clamp(-1.0, 2.0), x.clamp(0.0, 1.0), sign(x), step(0.5, x)]).collect();
    file.kernel("clamps").input(&x).grid(256, 1, 1).expects(&expected);
    let expected: Vec<[Near; 2]> = x
        .iter()
        .map(|&x| {
            let x = f64::from(x);
            let t = ((x + 1.0) / 4.0).clamp(0.0, 1.0);
            [near(1e-5, 10.0 + 10.0 * x), near(1e-6, t * t * (3.0 - 2.0 * t))]
        })
        .collect();
    file.kernel("mixes").input(&x).grid(256, 1, 1).expects(&expected);
    let expected: Vec<[Near; 3]> = x
        .windows(3)
        .map(|v| {
            let mix = |k: usize, to: f32, by: f32| v[k] + (to - v[k]) * by;
            let c = |k: usize| {
                v[k].clamp(0.0, 1.0)
                    + sign(v[k])
                    + step(k as f32, v[k])
                    + (v[k] * 0.5).clamp(0.0, 1.0)
            };
            let a: f32 = (0..3).map(|k| mix(k, k as f32 + 1.0, 0.25)).sum();
            let b: f32 = (0..3).map(|k| mix(k, 4.0, k as f32 * 0.5)).sum();
            [a, b, c(0) + 2.0 * c(1) + 4.0 * c(2)].map(|x| near(1e-5, f64::from(x)))
        })
        .collect();
    file.kernel("of_vectors").input(&x).grid(254, 1, 1).expects(&expected);
    file.kernel("of_halves").input(&x).each(256, |i| {
        let h = HALF.round(f64::from(x[i]));
        let mut sum = h.clamp(0.0, 1.0);
        for term in
            [f64::from(sign(h as f32)) * 2.0, h.clamp(-1.0, 1.0) * 4.0, (-h).clamp(-1.0, 1.0) * 8.0]
        {
            sum = HALF.round(sum + term);
        }
        HALF.round(sum + f64::from(step(0.25, h as f32))) as f32
    });

    let v: Vec<[f32; 3]> =
        between(-2.0, 2.0, 72).chunks_exact(3).map(|v| [v[0], v[1], v[2]]).collect();
    let wide = |v: [f32; 3]| v.map(f64::from);
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let threads = v.len() as u32 - 1;
    let rows = |f: &dyn Fn([f64; 3], [f64; 3]) -> Vec<f64>| -> Vec<Near> {
        v.windows(2)
            .flat_map(|pair| f(wide(pair[0]), wide(pair[1])))
            .map(|x| near(4e-6, x))
            .collect()
    };
    let expected = rows(&|a, b| {
        let cross = |k: usize, l: usize| a[k] * b[l] - a[l] * b[k];
        vec![dot(a, b), cross(1, 2), cross(2, 0), cross(0, 1)]
    });
    file.kernel("products").input(&v).grid(threads, 1, 1).expects(&expected);
    let expected = rows(&|a, b| {
        let apart = [0, 1, 2].map(|k| a[k] - b[k]);
        let flat = a[0].hypot(a[1]);
        vec![
            dot(a, a).sqrt(),
            dot(apart, apart).sqrt(),
            dot(a, a) + dot(apart, apart),
            flat + (dot(a, a) + 4.0).sqrt(),
        ]
    });
    file.kernel("lengths").input(&v).grid(threads, 1, 1).expects(&expected);
    let expected = rows(&|a, _| a.map(|x| x / dot(a, a).sqrt()).into());
    file.kernel("units").input(&v).grid(threads, 1, 1).expects(&expected);
    let expected = rows(&|a, b| {
        let n = [0.6f32, 0.0, 0.8].map(f64::from);
        let reflected = [0, 1, 2].map(|k| a[k] - 2.0 * dot(a, n) * n[k]);
        let faced = a.map(|x| if dot(b, n) < 0.0 { x } else { -x });
        [reflected, faced].concat()
    });
    file.kernel("reflections").input(&v).grid(threads, 1, 1).expects(&expected);
    let angles = between(0.0, 1.5, 73);
    let expected: Vec<Near> = angles
        .iter()
        .flat_map(|&angle| {
            // Snell's law; beyond the critical angle the result is 0.
            let sine = f64::from(angle).sin() * 1.5;
            if sine > 1.0 { [0.0, 0.0] } else { [sine, -(1.0 - sine * sine).sqrt()] }
        })
        .map(|x| near(2e-4, x))
        .collect();
    file.kernel("refractions").input(&angles).grid(256, 1, 1).expects(&expected);
    file.finish();
}

/// A row whose kernel writes `n` numbers for each input, and may read the next two inputs.
fn maths<R: super::element::Expected, const N: usize>(
    file: &mut File,
    kernel: &'static str,
    x: &[f32],
    f: impl Fn(f32, f32, f32) -> [R; N],
) {
    let expected: Vec<[R; N]> = x.windows(3).map(|v| f(v[0], v[1], v[2])).collect();
    file.kernel(kernel).input(x).grid(x.len() as u32 - 2, 1, 1).expects(&expected);
}

/// The next float after one, towards another.
fn next_after(x: f32, to: f32) -> f32 {
    if x < to {
        x.next_up()
    } else if x > to {
        x.next_down()
    } else {
        to
    }
}

#[test]
fn math() {
    let mut file = File::open("math.metal", include_str!("../../../../tests/msl/math.metal"));
    let mut x = between(-20.0, 20.0, 81);
    x[..12].copy_from_slice(&[
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        8388609.0,
        -0.25,
        1e9,
        7.0,
        -1e-7,
        0.499_999_97,
        3.0,
    ]);
    maths(&mut file, "roundings", &x, |x, _, _| {
        let fract = (x - x.floor()).min(1.0f32.next_down());
        [x.floor(), x.ceil(), x.trunc(), x.round(), x.round_ties_even(), fract]
    });
    let expected: Vec<[f32; 6]> = (0..256)
        .map(|i| {
            let exponent = f64::from(x[i]).abs().log2().floor();
            let mantissa = f64::from(x[i]) / (exponent + 1.0).exp2();
            let shifted = f64::from(x[i]) * ((i % 7) as f64 - 3.0).exp2();
            let fraction = (x[i] - x[i].trunc()).copysign(x[i]);
            [
                mantissa as f32,
                exponent as f32 + 1.0,
                fraction,
                x[i].trunc(),
                exponent as f32,
                shifted as f32,
            ]
        })
        .collect();
    file.kernel("pieces").input(&x).grid(256, 1, 1).expects(&expected);
    maths(&mut file, "comparisons", &x, |a, b, c| {
        let mut sorted = [a, b, c];
        sorted.sort_by(f32::total_cmp);
        let [least, median, most] = sorted;
        [
            a.min(b),
            a.max(b),
            (a - b).max(0.0),
            a.abs(),
            a.copysign(b),
            least + most,
            median,
            next_after(a, b),
        ]
    });
    maths(&mut file, "fused", &x, |a, b, c| [a.mul_add(b, c), a / b]);
    maths(&mut file, "remainders", &x, |a, b, _| [a % b]);
    let positive = between(1e-3, 1e4, 82);
    maths(&mut file, "roots", &positive, |x, _, _| {
        let (root, inverse) = (f64::from(x).sqrt(), 1.0 / f64::from(x).sqrt());
        [ulps(0.0, root), ulps(0.0, inverse), ulps(4.0, root), ulps(2.0, inverse)]
    });
    let moderate = between(-10.0, 10.0, 83);
    maths(&mut file, "exponentials", &moderate, |x, _, _| {
        let x = f64::from(x);
        let fast = 3.0 + (2.0 * x).abs().floor();
        let (e, two) = (x.exp(), x.exp2());
        [
            ulps(4.0, e),
            ulps(4.0, two),
            ulps(4.0, 10f64.powf(x)),
            ulps(fast, e),
            ulps(fast, two),
            ulps(fast, e),
        ]
    });
    maths(&mut file, "logarithms", &positive, |x, _, _| {
        let x = f64::from(x);
        let fast = |count: f64, error: i32, exact: f64| match x {
            0.5..=2.0 => near(2f64.powi(error), exact),
            _ => ulps(count, exact),
        };
        let (natural, binary) = (x.ln(), x.log2());
        [
            ulps(4.0, natural),
            ulps(4.0, binary),
            ulps(4.0, x.log10()),
            fast(3.0, -21, natural),
            fast(2.0, -22, binary),
            ulps(4.0, natural),
        ]
    });
    let bases = between(0.1, 8.0, 84);
    maths(&mut file, "powers", &bases, |x, y, _| {
        let (x, y) = (f64::from(x), f64::from(y));
        // The fast variant is exp2(y * log2(x)): the error follows from those of its parts.
        [ulps(16.0, x.powf(y)), ulps(16.0, x.powf(y)), ulps(32.0, x * x)]
    });
    let turn = between(-std::f64::consts::PI, std::f64::consts::PI, 85);
    maths(&mut file, "circular", &turn, |x, _, _| {
        let (sine, cosine) = f64::from(x).sin_cos();
        let error = 2f64.powi(-13);
        [
            ulps(4.0, sine),
            ulps(4.0, cosine),
            ulps(6.0, sine / cosine),
            near(error, sine),
            near(error, cosine),
            near(11.0 * error, sine + 10.0 * cosine),
        ]
    });
    maths(&mut file, "of_half_turns", &moderate, |x, _, _| {
        let (sine, cosine) = (f64::from(x) * std::f64::consts::PI).sin_cos();
        [ulps(4.0, sine), ulps(4.0, cosine), ulps(6.0, sine / cosine)]
    });
    let unit = between(-1.0, 1.0, 86);
    maths(&mut file, "inverse_circular", &unit, |x, y, _| {
        let (x, y) = (f64::from(x), f64::from(y));
        [
            ulps(4.0, x.asin()),
            ulps(4.0, x.acos()),
            ulps(5.0, (x * 8.0).atan()),
            ulps(6.0, x.atan2(y)),
        ]
    });
    maths(&mut file, "hyperbolic", &moderate, |x, _, _| {
        let above = f64::from(x.abs() + 1.0);
        let x = f64::from(x);
        [
            ulps(4.0, x.sinh()),
            ulps(4.0, x.cosh()),
            ulps(5.0, x.tanh()),
            near(1e-5, x.tanh()),
            ulps(4.0, x.asinh()),
            ulps(4.0, above.acosh()),
        ]
    });
    maths(&mut file, "inverse_tangent_hyperbolic", &unit, |x, _, _| {
        [ulps(5.0, f64::from(x * 0.99).atanh())]
    });
    let vectors: Vec<[f32; 4]> =
        x[12..].chunks_exact(4).map(|v| [v[0], v[1], v[2], v[3]]).collect();
    file.kernel("of_vectors").input(&vectors).each(vectors.len() as u32, |i| {
        let v = vectors[i];
        [0, 1, 2, 3].map(|k| {
            let exact = |x: f32| f64::from(x);
            near(
                1e-5,
                exact(v[k].abs().sqrt())
                    + exact(v[k].floor()) * 2.0
                    + exact(v[k]) * 2.0
                    + exact(v[3 - k]),
            )
        })
    });
    let halves: Vec<u16> = (0..=u16::MAX).filter(|&h| HALF.value(h).abs() < 200.0).collect();
    file.kernel("of_halves").input(&halves).each(halves.len() as u32, |i| {
        let x = HALF.value(halves[i]);
        let rounded = [x.floor(), x * x + 0.5, x.max(0.5), x.abs().sqrt(), x.round_ties_even()];
        rounded.map(|exact| HALF.bits(exact))
    });
    maths(&mut file, "safe", &x, |a, b, _| [a / b, 1.0 / a, (a + 1e8) - 1e8]);
    maths(&mut file, "safe_functions", &turn, |x, _, _| {
        let x = f64::from(x);
        let (sine, cosine) = x.sin_cos();
        [
            ulps(4.0, sine),
            ulps(4.0, cosine),
            ulps(4.0, x.exp()),
            ulps(5.0, x.tanh()),
            ulps(0.0, x.abs().sqrt()),
        ]
    });
    maths(&mut file, "precise_sincos", &turn, |x, _, _| {
        let (sine, cosine) = f64::from(x).sin_cos();
        [ulps(4.0, sine), ulps(4.0, cosine)]
    });
    let (inf, nan, pi) = (f32::INFINITY, f32::NAN, std::f32::consts::PI);
    file.kernel("safe_specials")
        .input(&[0.0f32])
        .expects(&[inf, -inf, nan, nan, inf, -inf, 3.0, 2.0, 1.0, -0.0, pi, 1.0]);
    file.finish();
}

#[test]
fn pack() {
    let mut file = File::open("pack.metal", include_str!("../../../../tests/msl/pack.metal"));
    let x: Vec<u32> = [0, u32::MAX, 0x8080_8080, 0x8000_7fff]
        .into_iter()
        .chain(noise(91).map(|bits| bits as u32))
        .take(200)
        .collect();
    let field = |x: u32, at: u32, bits: u32| x >> at & ((1 << bits) - 1);
    let unsigned = |x: u32, at: u32, bits: u32| {
        ulps(2.5, f64::from(field(x, at, bits)) / f64::from((1u32 << bits) - 1))
    };
    let signed = |x: u32, at: u32, bits: u32| {
        let value = (field(x, at, bits) << (32 - bits)) as i32 >> (32 - bits);
        ulps(2.5, (f64::from(value) / f64::from((1 << (bits - 1)) - 1)).max(-1.0))
    };
    let expected: Vec<[[Near; 4]; 4]> = x
        .iter()
        .map(|&x| {
            let bytes = [0, 8, 16, 24];
            let tens = [(0, 10), (10, 10), (20, 10), (30, 2)];
            [
                bytes.map(|at| unsigned(x, at, 8)),
                bytes.map(|at| signed(x, at, 8)),
                tens.map(|(at, bits)| unsigned(x, at, bits)),
                tens.map(|(at, bits)| signed(x, at, bits)),
            ]
        })
        .collect();
    file.kernel("unpacked_bytes").input(&x).grid(200, 1, 1).expects(&expected);
    let expected: Vec<[[Near; 2]; 2]> = x
        .iter()
        .map(|&x| [[0, 16].map(|at| unsigned(x, at, 16)), [0, 16].map(|at| signed(x, at, 16))])
        .collect();
    file.kernel("unpacked_shorts").input(&x).grid(200, 1, 1).expects(&expected);
    let floats: Vec<[f32; 4]> =
        between(-1.5, 1.5, 92).chunks_exact(4).map(|v| [v[0], v[1], v[2], v[3]]).collect();
    let expected: Vec<[u32; 5]> = floats
        .iter()
        .map(|v| {
            let scaled = |k: usize, low: f32, most: f32| {
                (v[k].clamp(low, 1.0) * most).round_ties_even() as i32 as u32
            };
            let packed = |components: &[usize], low: f32, bits: u32| {
                let most = if low < 0.0 { (1 << (bits - 1)) - 1 } else { (1 << bits) - 1 };
                let mask = (1 << bits) - 1;
                (0..).zip(components).fold(0, |all, (at, &k)| {
                    all | (scaled(k, low, most as f32) & mask) << (at * bits)
                })
            };
            [
                packed(&[0, 1, 2, 3], 0.0, 8),
                packed(&[0, 1, 2, 3], -1.0, 8),
                packed(&[0, 1], 0.0, 16),
                packed(&[2, 3], -1.0, 16),
                (packed(&[0, 1, 2], 0.0, 10) | scaled(3, 0.0, 3.0) << 30)
                    ^ (packed(&[0, 1, 2], -1.0, 10) | (scaled(3, -1.0, 1.0) & 3) << 30),
            ]
        })
        .collect();
    file.kernel("packed").input(&floats).grid(floats.len() as u32, 1, 1).expects(&expected);
    file.kernel("round_trips").input(&x).each(200, |_| 0u32);
    let linear = |s: f64| if s <= 0.04045 { s / 12.92 } else { ((s + 0.055) / 1.055).powf(2.4) };
    let expected: Vec<[Near; 4]> = x
        .iter()
        .map(|&x| {
            let [r, g, b] = [0, 8, 16].map(|at| f64::from(field(x, at, 8)) / 255.0);
            // `powr` may err by 16 ulps (MSL table 8.1).
            let [r, g, b] = [r, g, b].map(|s| ulps(32.0, linear(s)));
            [r, g, b, unsigned(x, 24, 8)]
        })
        .collect();
    file.kernel("unpacked_srgb").input(&x).grid(200, 1, 1).expects(&expected);
    let srgb = |l: f64| if l < 0.003_130_8 { l * 12.92 } else { 1.055 * l.powf(1.0 / 2.4) - 0.055 };
    let values = [-1.0, 0.0, 0.002, 0.003, 0.0625, 0.25, 0.5, 0.75, 1.0, 2.0];
    let colours: Vec<[u16; 4]> = values.iter().map(|&v| [HALF.bits(v); 4]).collect();
    let expected: Vec<u32> = values
        .iter()
        .map(|&v| {
            let clamped = HALF.value(HALF.bits(v)).clamp(0.0, 1.0);
            let byte = (srgb(clamped) * 255.0).round_ties_even() as u32;
            (byte * 0x01_0101) | ((clamped * 255.0).round_ties_even() as u32) << 24
        })
        .collect();
    file.kernel("packed_srgb").input(&colours).grid(10, 1, 1).expects(&expected);
    file.finish();
}

#[test]
fn traps() {
    let mut file = File::open("traps.metal", include_str!("../../../../tests/msl/traps.metal"));
    file.kernel("matrices_of_bfloats").each(40, |i| (i % 4 + 1) as f32 + 40.0);
    file.kernel("library::v2::nested").each(40, |i| (i * i) as f32);
    let scales: Vec<u16> = [0.1, -2.0, 0.007].map(|d| HALF.bits(d)).into();
    let quants: Vec<u8> = noise(93).map(|bits| bits as u8).take(48).collect();
    let blocks: Vec<u8> = scales
        .iter()
        .zip(quants.chunks(16))
        .flat_map(|(d, q)| [&d.to_le_bytes(), q].concat())
        .collect();
    file.kernel("dequantises").input(&blocks).each(96, |i| {
        let (block, j) = (i / 32, i % 32);
        let byte = quants[block * 16 + j % 16];
        let q = if j < 16 { byte & 15 } else { byte >> 4 };
        HALF.round((f64::from(q) - 8.0) * HALF.value(scales[block])) as f32
    });
    let bytes: Vec<i8> = noise(94).map(|bits| bits as i8).take(1280).collect();
    let (x, y) = bytes.split_at(640);
    file.kernel("dot_of_bytes").input(x).input(y).each(40, |i| {
        let of = |list: &[i8], k: usize| i32::from(list[16 * i + k]);
        (0..16).map(|k| of(x, k) * of(y, k)).sum::<i32>() as f32
    });
    let logits = &between(-5.0, 5.0, 95)[..200];
    let expected: Vec<Near> = logits
        .chunks(50)
        .flat_map(|row| {
            let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            row.iter().map(move |&x| near(2e-6, f64::from(x).exp() / sum))
        })
        .collect();
    file.kernel("softmax")
        .input(logits)
        .input(&[50i64])
        .threadgroup(128)
        .grid(256, 1, 1)
        .expects(&expected);
    let limbs: Vec<[u32; 4]> = noise(96)
        .map(|bits| [bits as u32, u32::MAX, (bits >> 32) as u32, u32::MAX - (bits % 3) as u32])
        .take(65)
        .collect();
    let number = |limbs: [u32; 4]| {
        limbs.iter().rev().fold(0, |all: u128, &limb| all << 32 | u128::from(limb))
    };
    file.kernel("big_sums").input(&limbs).each(64, |i| {
        let sum = number(limbs[i]).wrapping_add(number(limbs[i + 1]));
        [0, 32, 64, 96].map(|at| (sum >> at) as u32)
    });
    let large = [-1e4, -30.0, -1.0, 0.0, 0.5, 3.0, 100.0, 3e4f32];
    file.kernel("gelu_of_large").input(&large).each(8, |i| {
        let v = f64::from(large[i]);
        let exact = 0.5 * v * (1.0 + (0.79788456 * (v + 0.044715 * v * v * v)).tanh());
        near(1e-6 * v.abs().max(1.0), exact)
    });
    file.finish();
}
