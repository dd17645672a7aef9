//! The functions of MSL 6.5 at zeros, infinities, NaN, denormal numbers and ties: the results are C's.

use super::{Setting, run};
use crate::soft::msl::{self, Options};
use crate::soft::tests::machine::Machine;
use std::f32::consts::PI;

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;
const LEAST: f32 = f32::from_bits(1);
const HALF_LEAST: f32 = 1.0 / (1 << 24) as f32;

/// An expression of `T`s `x` and `y`, and what it is for some of them.
type Row = (&'static str, &'static [(f32, f32, f32)]);

const FLOATS: &[Row] = &[
    (
        "exp(x)",
        &[(-INF, 0.0, 0.0), (INF, 0.0, INF), (NAN, 0.0, NAN), (-0.0, 0.0, 1.0), (1e30, 0.0, INF)],
    ),
    (
        "exp2(x)",
        &[
            (-INF, 0.0, 0.0),
            (-149.0, 0.0, LEAST),
            (128.0, 0.0, INF),
            (NAN, 0.0, NAN),
            (7.0, 0.0, 128.0),
        ],
    ),
    ("exp10(x)", &[(-INF, 0.0, 0.0), (INF, 0.0, INF), (NAN, 0.0, NAN), (3.0, 0.0, 1000.0)]),
    (
        "log(x)",
        &[(0.0, 0.0, -INF), (-0.0, 0.0, -INF), (-1.0, 0.0, NAN), (INF, 0.0, INF), (NAN, 0.0, NAN)],
    ),
    ("log2(x)", &[(INF, 0.0, INF), (LEAST, 0.0, -149.0), (-LEAST, 0.0, NAN), (NAN, 0.0, NAN)]),
    ("log10(x)", &[(0.0, 0.0, -INF), (INF, 0.0, INF), (-INF, 0.0, NAN), (1000.0, 0.0, 3.0)]),
    ("sin(x)", &[(INF, 0.0, NAN), (-INF, 0.0, NAN), (NAN, 0.0, NAN), (-0.0, 0.0, -0.0)]),
    ("cos(x)", &[(INF, 0.0, NAN), (NAN, 0.0, NAN), (-0.0, 0.0, 1.0)]),
    ("tan(x)", &[(INF, 0.0, NAN), (NAN, 0.0, NAN), (-0.0, 0.0, -0.0)]),
    ("sinpi(x)", &[(1e9, 0.0, 0.0), (f32::MAX, 0.0, 0.0), (INF, 0.0, NAN), (0.5, 0.0, 1.0)]),
    (
        "cospi(x)",
        &[(16_777_217.0, 0.0, 1.0), (f32::MAX, 0.0, 1.0), (NAN, 0.0, NAN), (1.0, 0.0, -1.0)],
    ),
    ("asin(x)", &[(-0.0, 0.0, -0.0), (1.5, 0.0, NAN), (NAN, 0.0, NAN)]),
    ("acos(x)", &[(1.0, 0.0, 0.0), (-1.0, 0.0, PI), (-1.5, 0.0, NAN), (NAN, 0.0, NAN)]),
    ("atan(x)", &[(-0.0, 0.0, -0.0), (-INF, 0.0, -PI / 2.0), (NAN, 0.0, NAN)]),
    (
        "atan2(x, y)",
        &[
            (0.0, -0.0, PI),
            (-0.0, 1.0, -0.0),
            (INF, -INF, 3.0 * (PI / 4.0)),
            (0.0, 0.0, 0.0),
            (-1.0, 0.0, -PI / 2.0),
            (NAN, 1.0, NAN),
            (1.0, NAN, NAN),
        ],
    ),
    ("sinh(x)", &[(-0.0, 0.0, -0.0), (-INF, 0.0, -INF), (NAN, 0.0, NAN)]),
    ("cosh(x)", &[(-0.0, 0.0, 1.0), (-INF, 0.0, INF), (NAN, 0.0, NAN)]),
    ("tanh(x)", &[(-0.0, 0.0, -0.0), (INF, 0.0, 1.0), (-INF, 0.0, -1.0), (NAN, 0.0, NAN)]),
    ("asinh(x)", &[(-0.0, 0.0, -0.0), (-INF, 0.0, -INF), (NAN, 0.0, NAN)]),
    ("acosh(x)", &[(1.0, 0.0, 0.0), (INF, 0.0, INF), (0.5, 0.0, NAN), (NAN, 0.0, NAN)]),
    (
        "atanh(x)",
        &[(-0.0, 0.0, -0.0), (1.0, 0.0, INF), (-1.0, 0.0, -INF), (1.5, 0.0, NAN), (NAN, 0.0, NAN)],
    ),
    (
        "pow(x, y)",
        &[
            (-2.0, 3.0, -8.0),
            (-2.0, 0.5, NAN),
            (-0.0, -1.0, -INF),
            (-0.0, -2.0, INF),
            (0.0, 0.0, 1.0),
            (0.0, 1e-38, 0.0),
            (-1.0, INF, 1.0),
            (0.5, -INF, INF),
            (0.5, INF, 0.0),
            (-INF, 3.0, -INF),
            (-INF, -3.0, -0.0),
            (INF, -0.5, 0.0),
            (NAN, 0.0, 1.0),
            (NAN, 1.0, NAN),
            (1.0, NAN, 1.0),
            (2.0, NAN, NAN),
            (2.0, -149.0, LEAST),
            (1e-30, 1e38, 0.0),
            (1.000_000_1, 1e30, INF),
            (-3.0, 1e30, INF),
            (LEAST, 0.0, 1.0),
            (LEAST, 1.0, LEAST),
        ],
    ),
    (
        "powr(x, y)",
        &[
            (-1.0, 2.0, NAN),
            (0.0, 0.0, NAN),
            (0.0, 2.0, 0.0),
            (INF, 1.0, INF),
            (1.0, INF, NAN),
            (NAN, 1.0, NAN),
        ],
    ),
    (
        "rsqrt(x)",
        &[(0.0, 0.0, INF), (INF, 0.0, 0.0), (-1.0, 0.0, NAN), (NAN, 0.0, NAN), (0.25, 0.0, 2.0)],
    ),
    (
        "fmod(x, y)",
        &[
            (1.0, 0.0, NAN),
            (INF, 1.0, NAN),
            (1.0, INF, 1.0),
            (-0.0, 1.0, -0.0),
            (-5.5, 2.0, -1.5),
            (NAN, 1.0, NAN),
            (1.0, NAN, NAN),
            (f32::MAX, LEAST, 0.0),
            (f32::MAX, 11.0 * LEAST, 10.0 * LEAST),
            (-7.0 * LEAST, 4.0 * LEAST, -3.0 * LEAST),
        ],
    ),
    (
        "round(x)",
        &[
            (-2.5, 0.0, -3.0),
            (0.499_999_97, 0.0, 0.0),
            (-0.2, 0.0, -0.0),
            (INF, 0.0, INF),
            (NAN, 0.0, NAN),
        ],
    ),
    ("fract(x)", &[(-1e-30, 0.0, 1.0 - f32::EPSILON / 2.0), (2.75, 0.0, 0.75), (NAN, 0.0, NAN)]),
    (
        "ldexp(x, int(y))",
        &[
            (LEAST, 200.0, 2_251_799_813_685_248.0),
            (f32::MAX, -400.0, 0.0),
            (f32::MAX, -277.0, LEAST),
            (1.5, -149.0, 2.0 * LEAST),
            (1.0, -150.0, 0.0),
            (-1.0, 1e9, -INF),
            (-INF, -1e9, -INF),
            (NAN, 1.0, NAN),
            (-0.0, 5.0, -0.0),
        ],
    ),
    (
        "frexp(x, e)",
        &[
            (-12.0, 0.0, -0.75),
            (LEAST, 0.0, 0.5),
            (-0.0, 0.0, -0.0),
            (-INF, 0.0, -INF),
            (NAN, 0.0, NAN),
        ],
    ),
    ("(frexp(x, e), T(e))", &[(-12.0, 0.0, 4.0), (LEAST, 0.0, -148.0), (0.0, 0.0, 0.0)]),
    (
        "T(ilogb(x))",
        &[
            (LEAST, 0.0, -149.0),
            (8.0, 0.0, 3.0),
            (0.0, 0.0, -2_147_483_648.0),
            (INF, 0.0, 2_147_483_648.0),
        ],
    ),
    (
        "nextafter(x, y)",
        &[
            (1.0, 2.0, 1.0 + f32::EPSILON),
            (0.0, -1.0, -LEAST),
            (0.0, -0.0, -0.0),
            (f32::MAX, INF, INF),
            (1.0, NAN, NAN),
            (NAN, 1.0, NAN),
        ],
    ),
    ("T(isinf(x))", &[(-INF, 0.0, 1.0), (f32::MAX, 0.0, 0.0), (NAN, 0.0, 0.0)]),
    ("T(isnan(x))", &[(-INF, 0.0, 0.0), (NAN, 0.0, 1.0)]),
    (
        "T(isnormal(x))",
        &[(f32::MIN_POSITIVE, 0.0, 1.0), (LEAST, 0.0, 0.0), (INF, 0.0, 0.0), (NAN, 0.0, 0.0)],
    ),
    ("T(signbit(x))", &[(-0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (-3.0, 0.0, 1.0)]),
];

const HALVES: &[Row] = &[
    (
        "nextafter(x, y)",
        &[
            (0.0, -1.0, -HALF_LEAST),
            (1.0, 2.0, 1.0 + 1.0 / 1024.0),
            (65504.0, INF, INF),
            (-1.0, 0.0, -1.0 + 1.0 / 2048.0),
        ],
    ),
    ("fract(x)", &[(-HALF_LEAST, 0.0, 1.0 - 1.0 / 2048.0), (NAN, 0.0, NAN)]),
    ("ldexp(x, int(y))", &[(1.0, -25.0, 0.0), (1.5, -24.0, 2.0 * HALF_LEAST), (1.0, 16.0, INF)]),
    ("frexp(x, e)", &[(HALF_LEAST, 0.0, 0.5)]),
    ("exp(x)", &[(12.0, 0.0, INF), (-INF, 0.0, 0.0)]),
    ("T(isnormal(x))", &[(HALF_LEAST, 0.0, 0.0), (1.0 / 16384.0, 0.0, 1.0)]),
    ("T(signbit(x))", &[(-0.0, 0.0, 1.0), (2.0, 0.0, 0.0)]),
    ("fmod(x, y)", &[(65504.0, HALF_LEAST, 0.0), (-7.5, 2.0, -1.5)]),
];

const BFLOATS: &[Row] = &[
    ("nextafter(x, y)", &[(1.0, 0.0, 1.0 - 1.0 / 256.0), (1.0, 2.0, 1.0 + 1.0 / 128.0)]),
    ("fract(x)", &[(-1e-30, 0.0, 1.0 - 1.0 / 256.0)]),
    ("ldexp(x, int(y))", &[(1.5, -133.0, f32::from_bits(2 << 16)), (1.0, -134.0, 0.0)]),
];

/// Runs the rows in every way. Pairs of numbers become `T` in the kernel, which is exact.
fn check(ty: &str, rows: &[Row]) {
    let mut source = String::from("#include <metal_stdlib>\nusing namespace metal;\n");
    source += &format!("typedef {ty} T;\n");
    for (number, (expression, _)) in rows.iter().enumerate() {
        source += &format!(
            "kernel void f{number}(device float* out, device const float2* in, uint i [[thread_position_in_grid]]) \
             {{ T x = T(in[i].x), y = T(in[i].y); int e = int(y); out[i] = float({expression}); }}\n"
        );
    }
    let library =
        msl::compile(&source, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut failed = Vec::new();
    for (number, (expression, cases)) in rows.iter().enumerate() {
        for way in Machine::all() {
            let input = cases.iter().flat_map(|&(x, y, _)| [x, y]).flat_map(f32::to_ne_bytes);
            let mut setting = Setting {
                grid: [cases.len() as u32, 1, 1],
                group: [32, 1, 1],
                buffers: vec![vec![0; 4 * cases.len()], input.collect()],
                ..Setting::default()
            };
            run(&library, &format!("f{number}"), way, &mut setting).expect("it runs");
            for (&(x, y, want), got) in cases.iter().zip(setting.buffers[0].chunks_exact(4)) {
                let got = f32::from_ne_bytes(got.try_into().expect("four bytes"));
                if got.to_bits() != want.to_bits() && !(got.is_nan() && want.is_nan()) {
                    failed.push(format!(
                        "{ty}: {expression} of {x:e}, {y:e}: {got:e}, not {want:e} ({})",
                        way.name()
                    ));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn special_results_are_those_of_c() {
    check("float", FLOATS);
    check("half", HALVES);
    check("bfloat", BFLOATS);
}
