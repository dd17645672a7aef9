//! The functions of MSL 6.5 in kernels, over dense samples of `float` and every `half`, compared with the
//! tables of MSL 8.4. `cargo test --lib accuracy -- --nocapture` prints the largest error of each.

use super::reference::HALF;
use super::{Setting, run};
use crate::soft::msl::check::builtins::math_names;
use crate::soft::msl::{self, Options};
use crate::soft::tests::machine::Machine;
use crate::test_scale::scaled;
use std::f64::consts::PI;

/// The error that table 8.2 allows with fast math.
enum Fast {
    /// The table has a formula; its error is at least that of table 8.1.
    AsSafe,
    /// Units in the last place, as a function of the argument.
    Ulps(fn(f64) -> f64),
    /// An absolute error for arguments in an interval; outside it, table 8.1.
    Within(f64, f64, f64),
    /// As `Within`; outside the interval, units in the last place.
    WithinOrUlps(f64, f64, f64, f64),
}

use Fast::*;

/// An expression of `x` and `y`, its exact value, and the allowed error.
struct Row {
    expression: &'static str,
    exact: fn(f64, f64) -> f64,
    /// Intervals of `x`, and values of `y`.
    x: &'static [(f32, f32)],
    y: &'static [f32],
    /// Units in the last place: table 8.1, and table 8.3.
    float: f64,
    half: f64,
    fast: Fast,
}

const fn row(
    expression: &'static str,
    exact: fn(f64, f64) -> f64,
    x: &'static [(f32, f32)],
    [float, half]: [f64; 2],
    fast: Fast,
) -> Row {
    Row { expression, exact, x, y: &[0.0], float, half, fast }
}

/// For functions of two arguments.
const fn pair(
    expression: &'static str,
    exact: fn(f64, f64) -> f64,
    x: &'static [(f32, f32)],
    y: &'static [f32],
    [float, half]: [f64; 2],
    fast: Fast,
) -> Row {
    Row { expression, exact, x, y, float, half, fast }
}

/// Half a unit, plus the error of the reference itself.
const ROUNDED: f64 = 0.5 + 1e-6;
const EXACT: [f64; 2] = [0.0; 2];
const CORRECT: [f64; 2] = [ROUNDED; 2];

const ALL: &[(f32, f32)] = &[(-f32::MAX, -1e-45), (1e-45, f32::MAX)];
const POSITIVE: &[(f32, f32)] = &[(1e-45, f32::MAX), (0.5, 2.0)];
const UNIT: &[(f32, f32)] = &[(-1.0, 1.0), (1e-30, 1e-3)];
const SMALL: &[(f32, f32)] = &[(-1e6, 1e6), (-3.0, 3.0)];
const ANGLE: &[(f32, f32)] = &[(-10.0, 10.0), (-48001.0, 48001.0), (1e4, f32::MAX), (1e-30, 1e-3)];
const Y: &[f32] = &[1.0, -3.0, 0.3, 1e-5, -7e4, 0.007];

/// Sine and cosine of pi times `x`. The reduction of `x` to a quadrant is exact.
fn turn(x: f64) -> (f64, f64) {
    let quadrant = (2.0 * x).round_ties_even();
    let (sin, cos) = ((x - quadrant / 2.0) * PI).sin_cos();
    match quadrant.rem_euclid(4.0) as u32 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

const ROWS: &[Row] = &[
    row("1.0f / x", |x, _| 1.0 / x, ALL, CORRECT, Ulps(|_| 1.0)),
    pair("divide(x, y)", |x, y| x / y, SMALL, Y, CORRECT, Ulps(|_| 2.5)),
    row("acos(x)", |x, _| x.acos(), UNIT, [4.0, 1.0], Ulps(|_| 5.0)),
    row("acosh(x)", |x, _| x.acosh(), &[(1.0, 1e9), (1.0, 4.0)], [4.0, 1.0], AsSafe),
    row("asin(x)", |x, _| x.asin(), UNIT, [4.0, 1.0], Ulps(|_| 5.0)),
    row("asinh(x)", |x, _| x.asinh(), SMALL, [4.0, 1.0], AsSafe),
    row("atan(x)", |x, _| x.atan(), SMALL, [5.0, 1.0], Ulps(|_| 5.0)),
    pair("atan2(x, y)", f64::atan2, SMALL, Y, [6.0, 1.0], AsSafe),
    row("atanh(x)", |x, _| x.atanh(), &[(-0.99999, 0.99999), (1e-20, 0.1)], [5.0, 1.0], AsSafe),
    row("ceil(x)", |x, _| x.ceil(), SMALL, EXACT, AsSafe),
    pair("copysign(x, y)", f64::copysign, SMALL, Y, EXACT, AsSafe),
    row("cos(x)", |x, _| x.cos(), ANGLE, [4.0, 1.0], Within(-PI, PI, 1.0 / 8192.0)),
    row("cosh(x)", |x, _| x.cosh(), &[(-89.4, 89.4)], [4.0, 1.0], AsSafe),
    row("cospi(x)", |x, _| turn(x).1, SMALL, [4.0, 1.0], Within(-1.0, 1.0, 1.0 / 8192.0)),
    row(
        "exp(x)",
        |x, _| x.exp(),
        &[(-104.0, 89.0)],
        [4.0, 1.0],
        Ulps(|x| 3.0 + (2.0 * x).abs().floor()),
    ),
    row(
        "exp2(x)",
        |x, _| x.exp2(),
        &[(-150.0, 128.5)],
        [4.0, 1.0],
        Ulps(|x| 3.0 + (2.0 * x).abs().floor()),
    ),
    row("exp10(x)", |x, _| 10f64.powf(x), &[(-45.0, 39.0)], [4.0, 1.0], AsSafe),
    row("fabs(x)", |x, _| x.abs(), SMALL, EXACT, AsSafe),
    pair("fdim(x, y)", |x, y| (x - y).max(0.0), SMALL, Y, CORRECT, AsSafe),
    row("floor(x)", |x, _| x.floor(), SMALL, EXACT, AsSafe),
    pair("fma(x, y, x)", |x, y| x * y + x, SMALL, Y, CORRECT, AsSafe),
    pair("fmax(x, y)", f64::max, SMALL, Y, EXACT, AsSafe),
    pair("fmin(x, y)", f64::min, SMALL, Y, EXACT, AsSafe),
    pair("fmod(x, y)", |x, y| x % y, SMALL, Y, EXACT, AsSafe),
    row("fract(x)", |x, _| x - x.floor(), &[(0.0, 1e6), (-1e6, -0.01)], CORRECT, AsSafe),
    row(
        "frexp(x, e)",
        |x, _| x / (x.abs().log2().floor() + 1.0).exp2(),
        &[(0.1, 1e6)],
        EXACT,
        AsSafe,
    ),
    row("T(ilogb(x))", |x, _| x.abs().log2().floor(), &[(0.1, 1e6)], EXACT, AsSafe),
    pair(
        "ldexp(x, int(y))",
        |x, y| x * y.trunc().exp2(),
        SMALL,
        &[0.0, 3.0, -20.0, -140.0, 15.0],
        CORRECT,
        AsSafe,
    ),
    row(
        "log(x)",
        |x, _| x.ln(),
        POSITIVE,
        [4.0, 1.0],
        WithinOrUlps(0.5, 2.0, 0.5 / 1048576.0, 3.0),
    ),
    row(
        "log2(x)",
        |x, _| x.log2(),
        POSITIVE,
        [4.0, 1.0],
        WithinOrUlps(0.5, 2.0, 0.25 / 1048576.0, 2.0),
    ),
    row("log10(x)", |x, _| x.log10(), POSITIVE, [4.0, 1.0], AsSafe),
    row("modf(x, whole)", |x, _| x.fract(), SMALL, EXACT, AsSafe),
    pair(
        "pow(x, y)",
        f64::powf,
        &[(1e-6, 1e6), (0.9, 1.1)],
        &[2.5, -3.0, 0.3, 5.7, -0.01],
        [16.0, 1.0],
        AsSafe,
    ),
    pair(
        "powr(x, y)",
        f64::powf,
        &[(1e-6, 1e6), (0.9, 1.1)],
        &[2.5, -3.0, 0.3, 5.7, -0.01],
        [16.0, 1.0],
        AsSafe,
    ),
    row("rint(x)", |x, _| x.round_ties_even(), SMALL, EXACT, AsSafe),
    row("round(x)", |x, _| x.round(), SMALL, EXACT, AsSafe),
    row("rsqrt(x)", |x, _| 1.0 / x.sqrt(), POSITIVE, CORRECT, Ulps(|_| 2.0)),
    row("sin(x)", |x, _| x.sin(), ANGLE, [4.0, 1.0], Within(-PI, PI, 1.0 / 8192.0)),
    row("sincos(x, e)", |x, _| x.sin(), ANGLE, [4.0, 1.0], Within(-PI, PI, 1.0 / 8192.0)),
    row("sinh(x)", |x, _| x.sinh(), &[(-89.4, 89.4), (1e-30, 1e-2)], [4.0, 1.0], AsSafe),
    row("sinpi(x)", |x, _| turn(x).0, SMALL, [4.0, 1.0], Within(-1.0, 1.0, 1.0 / 8192.0)),
    row("sqrt(x)", |x, _| x.sqrt(), POSITIVE, CORRECT, AsSafe),
    row("tan(x)", |x, _| x.tan(), ANGLE, [6.0, 1.0], AsSafe),
    row("tanh(x)", |x, _| x.tanh(), &[(-12.0, 12.0), (1e-30, 1e-2)], [5.0, 1.0], AsSafe),
    row("tanpi(x)", |x, _| turn(x).0 / turn(x).1, SMALL, [6.0, 1.0], AsSafe),
    row("trunc(x)", |x, _| x.trunc(), SMALL, EXACT, AsSafe),
];

/// A binary format: fraction bits, and the exponents of the least normal and the largest numbers.
#[derive(Clone, Copy)]
struct Precision {
    bits: i32,
    least: i32,
    most: i32,
}

const FLOAT: Precision = Precision { bits: 23, least: -126, most: 127 };
const HALVES: Precision = Precision { bits: 10, least: -14, most: 15 };

impl Precision {
    /// The distance from the exact value in units in the last place (MSL 8.4).
    fn ulps(self, got: f64, want: f64) -> f64 {
        if got == want || got.is_nan() && want.is_nan() {
            return 0.0;
        }
        let exponent = (want.abs().log2().floor() as i32).clamp(self.least, self.most);
        let unit = f64::from(exponent - self.bits).exp2();
        let past_the_end = f64::from(self.most + 1).exp2();
        // A value that rounds to infinity may be the largest number instead, and vice versa.
        if got.is_infinite()
            && want.abs() > past_the_end - unit * 4.0
            && got.signum() == want.signum()
        {
            return 0.0;
        }
        let want = want.clamp(-past_the_end, past_the_end);
        (got - want).abs() / unit
    }
}

impl Row {
    fn has(&self, x: f32) -> bool {
        self.x.iter().any(|&(low, high)| (low..=high).contains(&x))
    }

    /// The error divided by the allowed error: at most 1 passes.
    fn excess(&self, fast: bool, x: f64, got: f64, want: f64, ulps: f64) -> f64 {
        let over = |error: f64, allowed: f64| if error == 0.0 { 0.0 } else { error / allowed };
        match self.fast {
            Ulps(allowed) if fast => over(ulps, allowed(x)),
            Within(low, high, allowed) | WithinOrUlps(low, high, allowed, _)
                if fast && (low..=high).contains(&x) =>
            {
                over((got - want).abs(), allowed)
            }
            WithinOrUlps(.., allowed) if fast => over(ulps, allowed),
            _ => over(ulps, self.float),
        }
    }
}

/// Samples of intervals, in equal steps and in steps of equal ratio.
fn sample(row: &Row) -> Vec<f32> {
    let steps = scaled(8_000) as u32;
    let mut list = Vec::new();
    for &(low, high) in row.x {
        for step in 0..=steps {
            let part = f64::from(step) / f64::from(steps);
            list.push((f64::from(low) + (f64::from(high) - f64::from(low)) * part) as f32);
            let (from, to) = (low.abs().max(1e-30).to_bits(), high.abs().to_bits());
            let bits = f64::from(from) + (f64::from(to) - f64::from(from)) * part;
            let x = f32::from_bits(bits as u32);
            list.extend([x, -x].into_iter().filter(|x| (low..=high).contains(x)));
        }
    }
    list
}

/// One kernel per row, for a type.
fn source(ty: &str) -> String {
    let mut text = format!("#include <metal_stdlib>\nusing namespace metal;\ntypedef {ty} T;\n");
    for (number, row) in ROWS.iter().enumerate() {
        let e = if row.expression.starts_with("frexp") { "int e;" } else { "T e;" };
        let expression = row.expression.replace("1.0f", "T(1)");
        text += &format!(
            "kernel void f{number}(device T* out, device const T* xs, constant T& y, \
             uint i [[thread_position_in_grid]]) {{ T x = xs[i]; {e} T whole; out[i] = {expression}; }}\n"
        );
    }
    text
}

/// The results of a kernel for every `x`, with one `y`.
fn values(library: &msl::Library, kernel: usize, x: Vec<u8>, y: Vec<u8>, count: usize) -> Vec<u8> {
    let way = *Machine::all().last().expect("there is always one");
    let mut setting = Setting {
        grid: [count as u32, 1, 1],
        group: [256, 1, 1],
        buffers: vec![vec![0; x.len()], x, y],
        ..Setting::default()
    };
    run(library, &format!("f{kernel}"), way, &mut setting).expect("it runs");
    setting.buffers.swap_remove(0)
}

/// The largest error, and its arguments.
#[derive(Default)]
struct Worst {
    excess: f64,
    ulps: f64,
    at: (f64, f64),
}

impl Worst {
    fn consider(&mut self, excess: f64, ulps: f64, at: (f64, f64)) {
        self.ulps = self.ulps.max(ulps);
        if excess > self.excess || excess.is_nan() {
            (self.excess, self.at) = (excess, at);
        }
    }

    /// Prints it; returns false if it is too large.
    fn report(&self, row: &Row, what: &str) -> bool {
        let (ulps, (x, y)) = (self.ulps, self.at);
        println!(
            "{:16} {what:12} {ulps:6.3} ulp, at most {:3.0} % of the allowed error, at ({x:e}, {y})",
            row.expression,
            self.excess * 100.0
        );
        self.excess <= 1.0
    }
}

fn compile(ty: &str, fast_math: bool) -> msl::Library {
    let options = Options { fast_math, ..Options::default() };
    msl::compile(&source(ty), &options).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn floats_are_within_the_tables() {
    let mut failed = Vec::new();
    for fast in [false, true] {
        let library = compile("float", fast);
        for (number, row) in ROWS.iter().enumerate() {
            let (xs, mut worst) = (sample(row), Worst::default());
            let bytes: Vec<u8> = xs.iter().flat_map(|x| x.to_ne_bytes()).collect();
            for y in row.y {
                let out = values(&library, number, bytes.clone(), y.to_ne_bytes().into(), xs.len());
                for (x, got) in xs.iter().zip(out.chunks_exact(4)) {
                    let got = f32::from_ne_bytes(got.try_into().expect("four bytes")).into();
                    let (x, y) = (f64::from(*x), f64::from(*y));
                    let want = (row.exact)(x, y);
                    let ulps = FLOAT.ulps(got, want);
                    worst.consider(row.excess(fast, x, got, want, ulps), ulps, (x, y));
                }
            }
            if !worst.report(row, if fast { "float, fast" } else { "float" }) {
                failed.push(row.expression);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_half_is_within_the_table() {
    let library = compile("half", false);
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_ne_bytes).collect();
    let mut failed = Vec::new();
    for (number, row) in ROWS.iter().enumerate() {
        let mut worst = Worst::default();
        for y in row.y {
            let y = HALF.bits(f64::from(*y));
            if !HALF.value(y).is_finite() {
                continue;
            }
            let out = values(&library, number, bytes.clone(), y.to_ne_bytes().into(), 1 << 16);
            for (x, got) in (0..=u16::MAX).zip(out.chunks_exact(2)) {
                let (x, y) = (HALF.value(x), HALF.value(y));
                let got = HALF.value(u16::from_ne_bytes(got.try_into().expect("two bytes")));
                if x.is_finite() && row.has(x as f32) {
                    let ulps = HALVES.ulps(got, (row.exact)(x, y));
                    let excess = if ulps == 0.0 { 0.0 } else { ulps / row.half };
                    worst.consider(excess, ulps, (x, y));
                }
            }
        }
        if !worst.report(row, "half") {
            failed.push(row.expression);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_function_has_a_row() {
    let called =
        |name: &str| ROWS.iter().any(|row| row.expression.starts_with(&format!("{name}(")));
    let missing: Vec<&str> = math_names().filter(|name| !called(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
