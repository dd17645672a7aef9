//! MLX's functions of rows: softmax, its logarithm, scans and sorts.

use kernels::complex::complex;
use kernels::elements::{Element, Value};
use kernels::mlx_metal::sampled;
use kernels::numbers::noise;
use kernels::references;

/// The values of numbers with a fraction.
fn reals(values: &[Value]) -> Vec<f64> {
    let real = |value: &Value| match *value {
        Value::Real(x) => x,
        other => panic!("{other:?} is no number"),
    };
    values.iter().map(real).collect()
}

/// Different values of a type: small integers of both signs if it has them, numbers and complex numbers within ±2.
fn some(element: Element, seed: u64, count: usize) -> Vec<Value> {
    let each = noise(seed).take(count).map(|bits| match element {
        Element::Bool => Value::Int(i128::from(bits % 2)),
        Element::Int(_, signed) => element.of(i128::from(bits % 101) - if signed { 50 } else { 0 }),
        Element::Float(_) => element.converted(Value::Real((bits % 4001) as f64 / 1000.0 - 2.0)),
        Element::Complex => {
            let part = |bits: u64| (bits % 41) as f64 / 10.0 - 2.0;
            element.converted(Value::Complex(part(bits), part(bits >> 8)))
        }
    });
    each.collect()
}

/// Rows of one family of softmax: of one block with 4 elements a thread, or of any length in a loop.
fn rows(family: &str, reference: impl Fn(&[f64]) -> Vec<f64>) {
    let (kernels, instances) = sampled(family, |one| one.name.clone());
    for instance in instances {
        let element = Element::named(instance.arguments()[0]);
        let looped = instance.template().contains("looped");
        // The looped forms read the results of 32 SIMD-groups.
        let (length, count, threads) = if looped { (9001, 2, 1024) } else { (230, 3, 64) };
        let data = some(element, 5, length * count);
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&data));
        let results = data.chunks(length).map(|row| reference(&reals(row))).collect::<Vec<_>>();
        let expected = results.concat();
        let launch = launch.room(expected.len() * element.size()).words([length]);
        let found = launch.groups((count, 1, 1), (threads, 1, 1), 1);
        // Sums are of the type itself unless the kernel is precise, and have thousands of terms.
        let expected: Vec<Value> =
            expected.iter().map(|&x| element.converted(Value::Real(x))).collect();
        element.check(&instance.name, &found, &expected, 1e-5 + 4.0 * element.epsilon());
    }
}

#[test]
fn softmax_of_rows() {
    rows("softmax", references::softmax);
}

#[test]
fn logarithms_of_sums_of_powers() {
    rows("logsumexp", |row| {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        vec![most + row.iter().map(|x| (x - most).exp()).sum::<f64>().ln()]
    });
}

// ---- scans ---------------------------------------------------------------------------------

/// One step of a scan.
fn step(operation: &str, to: Element, sum: Value, x: Value) -> Value {
    let larger = |left: Value, right: Value| match (left, right) {
        (Value::Int(a), Value::Int(b)) => a >= b,
        (Value::Real(a), Value::Real(b)) => a >= b,
        (Value::Complex(a, b), Value::Complex(c, d)) => a > c || a == c && b >= d,
        _ => panic!("{left:?} and {right:?}"),
    };
    match (operation, sum, x) {
        ("CumMax", ..) => {
            if larger(sum, x) {
                sum
            } else {
                x
            }
        }
        ("CumMin", ..) => {
            if larger(sum, x) {
                x
            } else {
                sum
            }
        }
        ("CumSum", Value::Int(a), Value::Int(b)) => to.of(a + b),
        ("CumProd", Value::Int(a), Value::Int(b)) => to.of(a * b),
        ("CumSum", Value::Real(a), Value::Real(b)) => Value::Real(a + b),
        ("CumProd", Value::Real(a), Value::Real(b)) => Value::Real(a * b),
        ("CumLogaddexp", Value::Real(a), Value::Real(b)) => {
            Value::Real(a.max(b) + (-(a - b).abs()).exp().ln_1p())
        }
        (_, Value::Complex(a, b), Value::Complex(c, d)) => {
            let (x, y) = (complex(a, b), complex(c, d));
            let z = match operation {
                "CumSum" => x + y,
                "CumProd" => x * y,
                // The larger real part is divided out, so that nothing overflows.
                _ => {
                    let most = complex(x.re.max(y.re), 0.0);
                    most + ((x - most).exp() + (y - most).exp()).ln()
                }
            };
            Value::Complex(z.re, z.im)
        }
        _ => panic!("{operation} of {sum:?} and {x:?}"),
    }
}

/// The first result of a scan that excludes the element itself.
fn neutral(operation: &str, to: Element) -> Value {
    let limit = |positive: bool| match to {
        Element::Bool => Value::Int(i128::from(positive)),
        Element::Int(bits, true) => {
            Value::Int(if positive { (1 << (bits - 1)) - 1 } else { -(1 << (bits - 1)) })
        }
        Element::Int(bits, false) => Value::Int(if positive { (1 << bits) - 1 } else { 0 }),
        Element::Float(_) if positive => Value::Real(f64::INFINITY),
        Element::Float(_) => Value::Real(f64::NEG_INFINITY),
        Element::Complex if positive => Value::Complex(f64::INFINITY, f64::INFINITY),
        Element::Complex => Value::Complex(f64::NEG_INFINITY, f64::NEG_INFINITY),
    };
    match operation {
        "CumMax" | "CumLogaddexp" => limit(false),
        "CumMin" => limit(true),
        "CumProd" => to.converted(Value::Real(1.0)),
        _ => to.converted(Value::Real(0.0)),
    }
}

#[test]
fn scans() {
    let (kernels, instances) = sampled("scan", |one| {
        let arguments = one.arguments();
        let operation = arguments[2].split('<').next().unwrap_or_default();
        format!("{} {operation} {}", one.template(), arguments[4..].join(" "))
    });
    for instance in instances {
        let [from, to, operation, _, inclusive, reverse] = instance.arguments()[..] else {
            panic!("{instance:?}")
        };
        let (from, to) = (Element::named(from), Element::named(to));
        let operation = operation.split('<').next().unwrap_or_default();
        let (inclusive, reverse) = (inclusive == "true", reverse == "true");
        let contiguous = instance.template() == "contiguous_scan";
        // Several blocks of 32 · 4 elements along the axis; 45 columns of the strided form are two tiles of 32.
        let (length, columns, outer) = if contiguous { (301, 1, 3) } else { (70, 45, 2) };
        let count = length * columns * outer;
        // Products of many numbers stay near 1.
        let data = match (operation, from) {
            ("CumProd", Element::Float(_)) => {
                let near_one = |bits: u64| 1.0 + ((bits % 9) as f64 - 4.0) / 256.0;
                noise(3)
                    .take(count)
                    .map(|bits| from.converted(Value::Real(near_one(bits))))
                    .collect()
            }
            ("CumProd", Element::Complex) => {
                let turned = |bits: u64| f64::from(bits as u32 % 63) / 10.0;
                let one = |bits| Value::Complex(f64::cos(turned(bits)), f64::sin(turned(bits)));
                noise(3).take(count).map(|bits| from.converted(one(bits))).collect()
            }
            _ => some(from, 3, count),
        };
        let mut expected = vec![Value::Int(0); count];
        for line in 0..outer * columns {
            let (block, column) = (line / columns, line % columns);
            let index = |at: usize| {
                let at = if reverse { length - 1 - at } else { at };
                (block * length + at) * columns + column
            };
            let mut sum = neutral(operation, to);
            for at in 0..length {
                let next = step(operation, to, sum, to.converted(data[index(at)]));
                // The first step from an infinity.
                let next = if at == 0 { to.converted(data[index(0)]) } else { next };
                expected[index(at)] = if inclusive { next } else { sum };
                sum = next;
            }
        }
        let expected: Vec<Value> = expected.iter().map(|&value| to.converted(value)).collect();
        let launch = kernels.launch(&instance.name).bytes(&from.encode(&data));
        let launch = launch.room(count * to.size()).longs([length]);
        let found = if contiguous {
            launch.groups((1, outer, 1), (64, 1, 1), 1)
        } else {
            let blocks = columns.div_ceil(32);
            let launch = launch.longs([columns]).longs([blocks]);
            launch.groups((1, outer * blocks, 1), (256, 1, 1), 1)
        };
        // Sums of up to 300 numbers of size 2 in the type itself, in another order.
        let tolerance = match to {
            Element::Float(_) | Element::Complex => 300.0 * to.epsilon(),
            _ => 0.0,
        };
        to.check(&instance.name, &found, &expected, tolerance);
    }
}

// ---- sorts ---------------------------------------------------------------------------------

fn key(value: Value) -> (f64, f64) {
    match value {
        Value::Int(x) => (x as f64, 0.0),
        Value::Real(x) => (x, 0.0),
        Value::Complex(x, y) => (x, y),
    }
}

#[test]
fn sorts_of_blocks() {
    let (kernels, instances) = sampled("sort", |one| {
        let arguments = one.arguments();
        format!("{} {}", one.template(), arguments[2..].join(" "))
    });
    for instance in instances {
        let [from, to, indices, threads, each] = instance.arguments()[..] else {
            panic!("{instance:?}")
        };
        let (from, to) = (Element::named(from), Element::named(to));
        let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| panic!("{text}"));
        let threads = number(threads);
        // Not all of a block.
        let (length, count) = (threads * number(each) - 5, 2);
        let data = some(from, 11, length * count);
        let mut expected = Vec::new();
        for row in data.chunks(length) {
            let mut order: Vec<usize> = (0..length).collect();
            // Merges are stable.
            order.sort_by(|&a, &b| {
                let ((a, b), (c, d)) = (key(row[a]), key(row[b]));
                a.total_cmp(&c).then(b.total_cmp(&d))
            });
            expected.extend(order.into_iter().map(|at| match indices {
                "true" => to.of(at as i128),
                _ => row[at],
            }));
        }
        let launch = kernels.launch(&instance.name).bytes(&from.encode(&data));
        let launch = launch.room(expected.len() * to.size()).words([length]).words([1]).words([1]);
        let launch = if instance.template() == "block_sort_nc" {
            // The outer dimension by its shape and strides.
            launch.words([1]).words([count]).longs([length]).longs([length])
        } else {
            launch.words([length]).words([length])
        };
        let found = launch.groups((1, count, 1), (threads, 1, 1), 1);
        to.check(&instance.name, &found, &expected, 0.0);
    }
}
