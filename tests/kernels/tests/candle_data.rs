//! candle's kernels that move data: exact, but for the rounding of conversions.

use kernels::numbers::{Number, near, noise};
use kernels::run::{Kernels, lined};
use kernels::structs::size;

const TYPES: [&str; 6] = ["f32", "f16", "bf16", "i64", "u32", "u8"];

fn number(name: &str) -> Number {
    Number::named(name).unwrap_or_else(|| panic!("no type {name}"))
}

#[test]
fn cast() {
    let kernels = Kernels::open("candle-metal-kernels", "cast.metal");
    for from in TYPES {
        for to in TYPES {
            let (kernel, source, target) = (format!("cast_{from}_{to}"), number(from), number(to));
            // Whole numbers that every type has, and fractions where the source has them.
            let fraction = if source.is_float() { 0.25 } else { 0.0 };
            let input: Vec<f64> =
                noise(5).take(333).map(|bits| (bits % 120) as f64 + fraction).collect();
            let (groups, threads) = lined(333);
            let launch = kernels.launch(&kernel).bytes(&size(333)).bytes(&source.encode(&input));
            let out = launch.room(333 * target.size()).groups(groups, threads, 2);
            let read = source.decode(&source.encode(&input));
            let kept = |x: &f64| if target.is_float() { target.rounded(*x) } else { x.trunc() };
            let expected: Vec<f64> = read.iter().map(kept).collect();
            near(&kernel, &target.decode(&out), &expected, 0.0);
        }
    }
}

#[test]
fn fill() {
    let kernels = Kernels::open("candle-metal-kernels", "fill.metal");
    for name in TYPES {
        let (kernel, number) = (format!("fill_{name}"), number(name));
        let (groups, threads) = lined(100);
        let launch = kernels.launch(&kernel).room(100 * number.size());
        let launch = launch.bytes(&number.encode(&[7.0])).bytes(&size(99));
        let out = launch.groups(groups, threads, 0);
        let found = number.decode(&out);
        near(&kernel, &found[..99], &[7.0; 99], 0.0);
        assert_ne!(found[99], 7.0, "{kernel} writes past its end");
    }
}

#[test]
fn choice() {
    let kernels = Kernels::open("candle-metal-kernels", "ternary.metal");
    for which in ["u8", "u32", "i64"] {
        for name in TYPES {
            let (kernel, ids, number) =
                (format!("where_{which}_{name}"), number(which), number(name));
            let (yes, no) = (number.some(1, 300), number.some(2, 300));
            let chosen: Vec<f64> = noise(3).take(300).map(|bits| (bits % 2) as f64).collect();
            let (groups, threads) = lined(300);
            let mut launch = kernels.launch(&kernel);
            for index in 0..3 {
                launch = launch.constant(index, true);
            }
            let launch = launch.bytes(&size(300)).bytes(&size(1)).bytes(&size(300));
            let launch = launch.bytes(&size(1)).bytes(&size(1)).bytes(&size(1));
            let launch = launch.bytes(&ids.encode(&chosen)).bytes(&number.encode(&yes));
            let launch = launch.bytes(&number.encode(&no)).room(300 * number.size());
            let out = launch.groups(groups, threads, 9);
            let pick = |at: usize| if chosen[at] != 0.0 { yes[at] } else { no[at] };
            let expected: Vec<f64> = (0..300).map(pick).collect();
            near(&kernel, &number.decode(&out), &expected, 0.0);
        }
    }
}

#[test]
fn by_index() {
    let kernels = Kernels::open("candle-metal-kernels", "indexing.metal");
    // The product of the dimensions before the indexed one, that dimension, the product of those after it, and the indices.
    let (left, middle, right, count) = (3usize, 10usize, 4usize, 7usize);
    let total = left * count * right;
    let mut ran = 0;
    for name in kernels.names() {
        let parts: Vec<&str> = name.split('_').collect();
        let [operation @ ("is" | "gather"), ids, ty] = parts[..] else { continue };
        let (ids, number) = (number(ids), number(ty));
        let input = number.some(11, left * middle * right);
        let picks = if operation == "is" { count } else { total };
        let chosen: Vec<f64> = noise(12).take(picks).map(|bits| (bits % 10) as f64).collect();
        let mut launch = kernels.launch(&name);
        for one in [total, left, middle, right, count] {
            launch = launch.bytes(&size(one));
        }
        if operation == "is" {
            // It is contiguous, so that its shape is not looked at.
            launch = launch.bytes(&[1]).bytes(&size(0)).bytes(&size(0));
        }
        let result = if operation == "is" { 10 } else { 7 };
        let launch = launch.bytes(&number.encode(&input)).bytes(&ids.encode(&chosen));
        let (groups, threads) = lined(total);
        let out = launch.room(total * number.size()).groups(groups, threads, result);
        let from = |at: usize| {
            let pick = chosen[if operation == "is" { at / right % count } else { at }];
            input[(at / right / count * middle + pick as usize) * right + at % right]
        };
        let expected: Vec<f64> = (0..total).map(from).collect();
        near(&name, &number.decode(&out), &expected, 0.0);
        ran += 1;
    }
    assert_eq!(ran, 32, "kernels that select or gather");
}

#[test]
fn argsort() {
    let kernels = Kernels::open("candle-metal-kernels", "/sort.metal");
    for name in TYPES {
        let number = number(name);
        for (order, sign) in [("asc", 1.0), ("desc", -1.0)] {
            let kernel = format!("asort_{order}_{name}");
            for (rows, columns) in [(2usize, 6usize), (3, 50), (1, 200)] {
                // All different, and exact in every type.
                let input: Vec<f64> = (0..rows * columns)
                    .map(|at| ((at % columns * 77) % (columns + 1)) as f64)
                    .collect();
                let padded = columns.next_power_of_two();
                let launch = kernels.launch(&kernel).bytes(&number.encode(&input));
                let launch = launch.room(rows * columns * 4).bytes(&size(columns));
                let launch = launch.bytes(&size(padded)).memory(0, padded * 4);
                let out = launch.groups((1, rows, 1), (padded, 1, 1), 1);
                let found = Number::U32.decode(&out);
                for (row, found) in input.chunks(columns).zip(found.chunks(columns)) {
                    let mut order: Vec<usize> = (0..columns).collect();
                    order.sort_by(|&a, &b| (row[a] * sign).total_cmp(&(row[b] * sign)));
                    let expected: Vec<f64> = order.iter().map(|&at| at as f64).collect();
                    near(&kernel, found, &expected, 0.0);
                }
            }
        }
    }
}
