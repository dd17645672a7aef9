//! candle's kernels in the forms that read by strides, and those that copy and set parts of a buffer.
//!
//! Each is compared with the same operation on numbers laid out in a row, with the tolerances of that: exact where numbers
//! are moved, otherwise the rounding of the type.

use kernels::numbers::{Number, near, noise};
use kernels::run::{Kernels, Launch, lined};
use kernels::structs::{size, word};

const TYPES: [&str; 6] = ["f32", "f16", "bf16", "i64", "u32", "u8"];
const FLOATS: [&str; 3] = ["f32", "f16", "bf16"];

fn number(name: &str) -> Number {
    Number::named(name).unwrap_or_else(|| panic!("no type {name}"))
}

fn open(file: &str) -> Kernels {
    Kernels::open("candle-metal-kernels", file)
}

/// Three dimensions, read in an order that is not that of the buffer, with rows longer than what is read of them.
const SIDES: [usize; 3] = [5, 3, 7];
const STRIDES: [usize; 3] = [1, 45, 6];
const COUNT: usize = 5 * 3 * 7;
/// The last index read is 4 + 90 + 36.
const BUFFER: usize = 131;

/// Strides that repeat a row for all others, as when shapes are broadcast.
const REPEATED: [usize; 3] = [0, 0, 1];

/// Where the element of a number in order is.
fn place(at: usize, strides: [usize; 3]) -> usize {
    let [_, b, c] = SIDES;
    at / (b * c) * strides[0] + at / c % b * strides[1] + at % c * strides[2]
}

fn picked(values: &[f64], strides: [usize; 3]) -> Vec<f64> {
    (0..COUNT).map(|at| values[place(at, strides)]).collect()
}

fn sizes<'a>(launch: Launch<'a>, values: &[usize]) -> Launch<'a> {
    launch.bytes(&values.iter().flat_map(|&value| size(value)).collect::<Vec<u8>>())
}

/// A launch with its number of elements, its dimensions and their strides.
fn strided<'a>(kernels: &'a Kernels, kernel: &str) -> Launch<'a> {
    let launch = sizes(sizes(kernels.launch(kernel), &[COUNT]), &[SIDES.len()]);
    sizes(sizes(launch, &SIDES), &STRIDES)
}

fn run(launch: Launch<'_>, bytes: usize, result: usize) -> Vec<u8> {
    let (groups, threads) = lined(COUNT);
    launch.room(bytes).groups(groups, threads, result)
}

#[test]
fn factors() {
    let kernels = open("affine.metal");
    for name in TYPES {
        let (kernel, number) = (format!("affine_{name}_strided"), number(name));
        let input = number.some(1, BUFFER);
        let launch = strided(&kernels, &kernel).bytes(&3f32.to_le_bytes());
        let launch = launch.bytes(&2f32.to_le_bytes()).bytes(&number.encode(&input));
        let out = run(launch, COUNT * number.size(), 7);
        let expected: Vec<f64> =
            picked(&input, STRIDES).iter().map(|x| number.rounded(x * 3.0 + 2.0)).collect();
        near(&kernel, &number.decode(&out), &expected, number.epsilon());
    }
    // The one type that `candle.rs` leaves out.
    let input = Number::I64.some(2, COUNT);
    let launch = sizes(kernels.launch("affine_i64"), &[COUNT]).bytes(&3f32.to_le_bytes());
    let launch = launch.bytes(&2f32.to_le_bytes()).bytes(&Number::I64.encode(&input));
    let expected: Vec<f64> = input.iter().map(|x| x * 3.0 + 2.0).collect();
    near("affine_i64", &Number::I64.decode(&run(launch, COUNT * 8, 4)), &expected, 0.0);
}

#[test]
fn powers_and_elu() {
    let kernels = open("affine.metal");
    let power = |x: f64| x.powf(2.5);
    let elu = |x: f64| if x > 0.0 { x } else { 1.5 * (x.exp() - 1.0) };
    for name in FLOATS {
        let number = number(name);
        let positive: Vec<f64> = number.some(2, BUFFER).iter().map(|x| x.abs()).collect();
        let cases = [
            ("powf", 2.5f32, positive, &power as &dyn Fn(f64) -> f64),
            ("elu", 1.5, number.some(3, BUFFER), &elu),
        ];
        for (operation, factor, input, reference) in cases {
            let kernel = format!("{operation}_{name}_strided");
            let launch = strided(&kernels, &kernel).bytes(&factor.to_le_bytes());
            let out = run(launch.bytes(&number.encode(&input)), COUNT * number.size(), 6);
            let expected: Vec<f64> = picked(&input, STRIDES).into_iter().map(reference).collect();
            let tolerance = 1e-5 + 3.0 * number.epsilon();
            near(&kernel, &number.decode(&out), &expected, tolerance);
        }
    }
}

#[test]
fn casts() {
    let kernels = open("cast.metal");
    for from in TYPES {
        for to in TYPES {
            let kernel = format!("cast_{from}_{to}_strided");
            let (source, target) = (number(from), number(to));
            // Whole numbers that every type has, and fractions where the source has them.
            let fraction = if source.is_float() { 0.25 } else { 0.0 };
            let whole = noise(5).take(BUFFER).map(|bits| (bits % 60) as f64 + fraction);
            let input: Vec<f64> = whole.map(|value| source.rounded(value)).collect();
            let launch = strided(&kernels, &kernel).bytes(&source.encode(&input));
            let out = run(launch, COUNT * target.size(), 5);
            let kept = |x: f64| if target.is_float() { target.rounded(x) } else { x.trunc() };
            let expected: Vec<f64> = picked(&input, STRIDES).into_iter().map(kept).collect();
            near(&kernel, &target.decode(&out), &expected, 0.0);
        }
    }
}

#[test]
fn copies() {
    let kernels = open("unary.metal");
    for name in ["i64", "u32", "u8"] {
        let (kernel, number) = (format!("copy_{name}"), number(name));
        let input = number.some(4, BUFFER);
        let launch = sizes(kernels.launch(&kernel), &[COUNT]).bytes(&number.encode(&input));
        let out = run(launch, COUNT * number.size(), 2);
        near(&kernel, &number.decode(&out), &input[..COUNT], 0.0);
        let kernel = format!("copy_{name}_strided");
        let launch = strided(&kernels, &kernel).bytes(&number.encode(&input));
        let out = run(launch, COUNT * number.size(), 5);
        near(&kernel, &number.decode(&out), &picked(&input, STRIDES), 0.0);
    }
    // Two integers that no other kernel has go by types of the same size.
    let types = TYPES.iter().map(|name| (*name, number(name)));
    for (name, number) in types.chain([("i32", Number::U32), ("i16", Number::F16)]) {
        // 9 rows of 11 elements, out of rows of 13 and into rows of 17.
        let (kernel, bytes) = (format!("copy2d_{name}"), number.size());
        let (rows, row, from, to) = (9usize, 11usize, 13usize, 17usize);
        // No bits of any kind: a NaN of `half` comes through as some NaN, not as the same.
        let input = number.encode(&number.some(6, rows * from));
        let before = number.encode(&number.some(7, rows * to));
        let launch = [rows, row, from, to]
            .iter()
            .fold(kernels.launch(&kernel), |launch, &one| launch.bytes(&size(one)));
        let launch = launch.bytes(&input).bytes(&before);
        let out = launch.groups((2, 2, 1), (8, 8, 1), 5);
        let mut expected = before;
        for at in 0..rows {
            expected[at * to * bytes..][..row * bytes]
                .copy_from_slice(&input[at * from * bytes..][..row * bytes]);
        }
        assert!(out == expected, "{kernel}");
    }
}

#[test]
fn constants() {
    let kernels = open("unary.metal");
    for name in TYPES {
        let (kernel, number) = (format!("const_set_{name}"), number(name));
        let before = number.some(8, BUFFER);
        let launch = sizes(kernels.launch(&kernel), &[COUNT]).bytes(&number.encode(&[19.0]));
        let (groups, threads) = lined(COUNT);
        let out = launch.bytes(&number.encode(&before)).groups(groups, threads, 2);
        let mut expected = before.clone();
        expected[..COUNT].fill(19.0);
        near(&kernel, &number.decode(&out), &expected, 0.0);

        let kernel = format!("const_set_{name}_strided");
        let launch = strided(&kernels, &kernel).bytes(&number.encode(&[19.0]));
        let out = launch.bytes(&number.encode(&before)).groups(groups, threads, 5);
        let mut expected = before;
        (0..COUNT).for_each(|at| expected[place(at, STRIDES)] = 19.0);
        near(&kernel, &number.decode(&out), &expected, 0.0);
    }
}

#[test]
fn binary() {
    /// How a side is read.
    #[derive(Clone, Copy)]
    enum Side {
        InOrder,
        Strided,
        One,
    }
    use Side::{InOrder, One, Strided};
    let forms = [
        ("strided", Strided, Strided),
        ("lstrided", Strided, InOrder),
        ("rstrided", InOrder, Strided),
        ("scalar", One, One),
        ("cs", InOrder, One),
        ("sc", One, InOrder),
        ("rss", One, Strided),
        ("lss", Strided, One),
    ];
    type Operation = (&'static str, fn(f64, f64) -> f64, bool);
    let operations: [Operation; 12] = [
        ("badd", |x, y| x + y, false),
        ("bsub", |x, y| x - y, false),
        ("bmul", |x, y| x * y, false),
        ("bdiv", |x, y| x / y, false),
        ("bminimum", f64::min, false),
        ("bmaximum", f64::max, false),
        ("eq", |x, y| f64::from(u8::from(x == y)), true),
        ("ne", |x, y| f64::from(u8::from(x != y)), true),
        ("le", |x, y| f64::from(u8::from(x <= y)), true),
        ("lt", |x, y| f64::from(u8::from(x < y)), true),
        ("ge", |x, y| f64::from(u8::from(x >= y)), true),
        ("gt", |x, y| f64::from(u8::from(x > y)), true),
    ];
    let kernels = open("binary.metal");
    for name in TYPES {
        let number = number(name);
        // No zero to divide by, no difference below 0, and no product above 255.
        let left: Vec<f64> = noise(7).take(BUFFER).map(|bits| (bits % 9 + 9) as f64).collect();
        let right: Vec<f64> = noise(8).take(BUFFER).map(|bits| (bits % 9 + 1) as f64).collect();
        for (operation, reference, truth) in operations {
            let result = if truth { Number::U8 } else { number };
            for (form, of_left, of_right) in forms {
                let kernel = format!("{operation}_{name}_{form}");
                let read = |values: &[f64], side, strides| match side {
                    InOrder => values[..COUNT].to_vec(),
                    Strided => picked(values, strides),
                    One => vec![values[0]; COUNT],
                };
                let launch = sizes(strided(&kernels, &kernel), &REPEATED);
                let launch = launch.bytes(&number.encode(&left)).bytes(&number.encode(&right));
                let out = run(launch, COUNT * result.size(), 7);
                let read =
                    read(&left, of_left, STRIDES).into_iter().zip(read(&right, of_right, REPEATED));
                let expected: Vec<f64> =
                    read.map(|(x, y)| result.rounded(reference(x, y))).collect();
                near(&kernel, &result.decode(&out), &expected, result.epsilon());
            }
        }
    }
}

#[test]
fn choices() {
    let kernels = open("ternary.metal");
    for (which, name) in
        [("u8", "f32"), ("u32", "bf16"), ("i64", "f16"), ("u8", "i64"), ("u32", "u8")]
    {
        let (kernel, ids, number) = (format!("where_{which}_{name}"), number(which), number(name));
        let (yes, no) = (number.some(1, BUFFER), number.some(2, BUFFER));
        let chosen: Vec<f64> = noise(3).take(BUFFER).map(|bits| (bits % 2) as f64).collect();
        let mut launch = kernels.launch(&kernel);
        for index in 0..3 {
            launch = launch.constant(index, false);
        }
        let launch = sizes(sizes(sizes(launch, &[COUNT]), &[SIDES.len()]), &SIDES);
        let launch = sizes(sizes(sizes(launch, &STRIDES), &REPEATED), &STRIDES);
        let launch = launch.bytes(&ids.encode(&chosen)).bytes(&number.encode(&yes));
        let out = run(launch.bytes(&number.encode(&no)), COUNT * number.size(), 9);
        let pick = |at: usize| match chosen[place(at, STRIDES)] != 0.0 {
            true => yes[place(at, REPEATED)],
            false => no[place(at, STRIDES)],
        };
        let expected: Vec<f64> = (0..COUNT).map(pick).collect();
        near(&kernel, &number.decode(&out), &expected, 0.0);
    }
}

#[test]
fn reductions() {
    let kernels = open("reduce.metal");
    type Fold = (&'static str, f64, fn(f64, f64) -> f64);
    let folds: [Fold; 4] = [
        ("sum", 0.0, |a, b| a + b),
        ("mul", 1.0, |a, b| a * b),
        ("min", f64::INFINITY, f64::min),
        ("max", f64::NEG_INFINITY, f64::max),
    ];
    // Rows that are columns of the buffer: less than a SIMD-group, and more than a threadgroup's threads.
    for (rows, elements) in [(6usize, 21usize), (4, 1500), (3, 1)] {
        for name in TYPES {
            let number = number(name);
            // Ones and twos keep sums and products small; where they are compared, all of a row are different.
            let few: Vec<f64> = noise(9)
                .take(rows * elements)
                .enumerate()
                .map(|(at, bits)| if bits % 7 == 0 && at / rows < 5 { 2.0 } else { 1.0 })
                .collect();
            let some = number.some(10, rows * elements);
            let launch = |kernel: &str, input: &[f64]| {
                let launch = kernels.launch(kernel).bytes(&word(rows * elements)).bytes(&word(2));
                let launch = launch.bytes(&[word(rows), word(elements)].concat());
                let launch = launch.bytes(&[word(1), word(rows)].concat()).bytes(&word(elements));
                launch.bytes(&number.encode(input))
            };
            let threads = ((elements / 2).next_power_of_two().min(1024), 1, 1);
            let column = |input: &[f64], row: usize| -> Vec<f64> {
                (0..elements).map(|at| input[at * rows + row]).collect()
            };
            for (fold, start, reference) in folds {
                let kernel = format!("fast_{fold}_{name}_strided");
                let exact = matches!(fold, "sum" | "mul");
                let input = if exact { &few } else { &some };
                let launch = launch(&kernel, input).room(rows * number.size());
                let out = launch.groups((rows, 1, 1), threads, 6);
                let value = |row| column(input, row).into_iter().fold(start, reference);
                // A byte is what is left of 256; partial sums above 256 are rounded in a `bfloat`.
                let kept = |x: f64| if name == "u8" { x % 256.0 } else { number.rounded(x) };
                let expected: Vec<f64> = (0..rows).map(value).map(kept).collect();
                let doublings = (elements as f64).log2().max(1.0);
                let tolerance = if exact { doublings * number.epsilon() } else { 0.0 };
                near(&kernel, &number.decode(&out), &expected, tolerance);
            }
            for (arg, sign) in [("argmin", 1.0), ("argmax", -1.0)] {
                let kernel = format!("fast_{arg}_{name}_strided");
                let launch = launch(&kernel, &some).room(rows * 4);
                let out = launch.groups((rows, 1, 1), threads, 6);
                for (row, found) in Number::U32.decode(&out).into_iter().enumerate() {
                    let column = column(&some, row);
                    let best = column.iter().map(|x| x * sign).fold(f64::INFINITY, f64::min);
                    let found = column.get(found as usize).map(|x| x * sign);
                    assert_eq!(found, Some(best), "{kernel}: row {row}");
                }
            }
        }
    }
}
