//! candle's kernels that write by index: exact, since each element gets its numbers in a fixed order, and is rounded to
//! its type after each.

use kernels::numbers::{Number, near, noise};
use kernels::run::{Kernels, lined};
use kernels::structs::size;

/// The sizes around the dimension that is indexed: of what is left of it, its own in the source and in the result, and of
/// what is right of it.
#[derive(Clone, Copy)]
struct Shape {
    left: usize,
    source: usize,
    result: usize,
    right: usize,
}

const SHAPES: [Shape; 3] = [
    Shape { left: 3, source: 7, result: 10, right: 5 },
    Shape { left: 1, source: 64, result: 9, right: 33 },
    Shape { left: 70, source: 2, result: 3, right: 1 },
];

/// The index that means "no element".
fn none(ids: Number) -> f64 {
    match ids {
        Number::U8 => 255.0,
        Number::U32 => f64::from(u32::MAX),
        _ => i64::MAX as f64,
    }
}

/// Indices, of which some are out of range.
fn indices(ids: Number, count: usize, below: usize) -> Vec<f64> {
    let numbers = noise(21).take(count);
    numbers
        .map(|bits| if bits % 11 == 0 { none(ids) } else { (bits % below as u64) as f64 })
        .collect()
}

#[test]
fn scatter_and_add() {
    let kernels = Kernels::open("candle-metal-kernels", "indexing.metal");
    let mut ran = 0;
    for name in kernels.names() {
        let parts: Vec<&str> = name.split('_').collect();
        let [operation @ ("s" | "sa" | "ia"), ids, ty] = parts[..] else { continue };
        let number = |name| Number::named(name).unwrap_or_else(|| panic!("no type {name}"));
        let (ids, number) = (number(ids), number(ty));
        for shape in SHAPES {
            let Shape { left, source, result, right } = shape;
            let input = number.some(22, left * source * right);
            let before = number.some(23, left * result * right);
            // The indices of `ia` are the same everywhere, the others have one for each number.
            let alike = operation == "ia";
            let count = if alike { source } else { input.len() };
            let chosen = indices(ids, count, result);
            let mut launch = kernels.launch(&name);
            for one in [left * right, left, source, right, result] {
                launch = launch.bytes(&size(one));
            }
            if alike {
                launch = launch.bytes(&size(source));
            }
            let launch = launch.bytes(&number.encode(&input)).bytes(&ids.encode(&chosen));
            let launch = launch.bytes(&number.encode(&before));
            let (groups, threads) = lined(left * right);
            let out = launch.groups(groups, threads, if alike { 8 } else { 7 });
            let mut expected = before;
            for (at, value) in input.into_iter().enumerate() {
                let (outer, middle, inner) = (at / right / source, at / right % source, at % right);
                let index = chosen[if alike { middle } else { at }];
                if index == none(ids) {
                    continue;
                }
                let place = &mut expected[(outer * result + index as usize) * right + inner];
                let sum = if operation == "s" { value } else { *place + value };
                // Integers wrap: a byte is what is left of 256.
                let wrapped = if number == Number::U8 { sum.rem_euclid(256.0) } else { sum };
                *place = number.rounded(wrapped);
            }
            near(&name, &number.decode(&out), &expected, 0.0);
        }
        ran += 1;
    }
    assert_eq!(ran, 38, "kernels that write by index");
}
