//! candle's products of a matrix and a vector, all 144: rows or columns, plain or scaled and added to something.
//!
//! Tolerance: sums of up to 600 products in `float` are within 10⁻⁴, and then rounded to the type, as are the two parts where
//! something is added: both in units of the parts' sizes.

use kernels::numbers::{Number, near};
use kernels::run::Kernels;
use kernels::structs::Struct;

/// The parameters that the name of a kernel contains.
struct Shape {
    turned: bool,
    number: Number,
    /// SIMD-groups of a threadgroup along the rows and the columns.
    simdgroups: (usize, usize),
    /// Results of a threadgroup.
    results: usize,
    many_dimensions: bool,
    adds: bool,
}

impl Shape {
    fn of(kernel: &str) -> Self {
        let value = |name: &str| -> usize {
            let found = kernel.split('_').find_map(|part| part.strip_prefix(name)?.parse().ok());
            found.unwrap_or_else(|| panic!("{kernel} has no {name}"))
        };
        let numbers =
            [("float32", Number::F32), ("bfloat16", Number::BF16), ("float16", Number::F16)];
        let number = numbers.into_iter().find(|(name, _)| kernel.contains(&format!("_{name}_")));
        let turned = kernel.starts_with("gemv_t");
        let along = if turned { ["bn", "sn", "tn"] } else { ["bm", "sm", "tm"] };
        Self {
            turned,
            number: number.unwrap_or_else(|| panic!("{kernel} has no type")).1,
            simdgroups: (value("bm"), value("bn")),
            results: along.into_iter().map(value).product(),
            many_dimensions: value("nc") == 1,
            adds: value("axpby") == 1,
        }
    }
}

#[test]
fn matrix_times_vector() {
    let kernels = Kernels::open("candle-metal-kernels", "gemv.metal");
    let names = kernels.names();
    assert_eq!(names.len(), 144);
    for kernel in &names {
        let shape = Shape::of(kernel);
        let number = shape.number;
        for (results, elements) in [(64usize, 64usize), (37, 101), (4, 600), (130, 33)] {
            let batches = [2, 3];
            let count: usize = batches.iter().product();
            // Where there are two dimensions of batches, the matrix is the same along the second.
            let matrices = if shape.many_dimensions { batches[0] } else { count };
            let matrix = number.some(1, matrices * results * elements);
            let vector = number.some(2, count * elements);
            let added = number.some(3, count * results);
            let (alpha, beta) = if shape.adds { (0.5, -1.25) } else { (1.0, 0.0) };
            let step = if shape.turned { results } else { elements };
            let sizes = [elements, results, step].map(|value| (value as i32).to_le_bytes());
            let steps = |each: usize, shared: bool| {
                let strides = match (shape.many_dimensions, shared) {
                    (true, true) => [each, 0],
                    (true, false) => [each * batches[1], each],
                    (false, _) => [each, 0],
                };
                Struct::new().u64(strides.map(|stride| stride as u64)).bytes()
            };
            let launch = kernels.launch(kernel).bytes(&number.encode(&matrix));
            let launch = launch.bytes(&number.encode(&vector)).bytes(&number.encode(&added));
            let launch = launch.room(count * results * number.size());
            let launch = sizes.iter().fold(launch, |launch, size| launch.bytes(size));
            let launch = launch.bytes(&(alpha as f32).to_le_bytes());
            let launch = launch.bytes(&(beta as f32).to_le_bytes()).bytes(&2i32.to_le_bytes());
            let launch = launch.bytes(&Struct::new().i32(batches.map(|b| b as i32)).bytes());
            let launch = launch.bytes(&steps(elements, false));
            let launch = launch.bytes(&steps(results * elements, true));
            let launch = launch.bytes(&steps(results, false)).bytes(&1i32.to_le_bytes());
            let groups = (results.div_ceil(shape.results), 1, count);
            let out = launch.groups(groups, (32, shape.simdgroups.1, shape.simdgroups.0), 3);
            let parts = |at: usize| {
                let (batch, row) = (at / results, at % results);
                let of = if shape.many_dimensions { batch / batches[1] } else { batch };
                let element = |k: usize| {
                    let place = if shape.turned { k * results + row } else { row * elements + k };
                    matrix[of * results * elements + place] * vector[batch * elements + k]
                };
                (alpha * (0..elements).map(element).sum::<f64>(), beta * added[at])
            };
            let parts: Vec<_> = (0..count * results).map(parts).collect();
            let in_units = |value: f64, (a, b): (f64, f64)| value / (a.abs() + b.abs()).max(1.0);
            let found = number.decode(&out).into_iter().zip(&parts);
            let found: Vec<f64> = found.map(|(value, &parts)| in_units(value, parts)).collect();
            let expected: Vec<f64> = parts.iter().map(|&(a, b)| in_units(a + b, (a, b))).collect();
            near(kernel, &found, &expected, 1e-4 + number.epsilon());
        }
    }
}
