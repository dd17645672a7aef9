//! MLX's sorts of rows longer than a threadgroup's block, binary searches, cross entropies, dot products, and the small kernels of
//! attention by blocks of queries.
//!
//! Orders and moves are exact; sums are in `float`, in any order.

use kernels::elements::{Element, Value};
use kernels::mlx_metal::sampled;
use kernels::operands::rounded;
use std::cmp::Ordering;
use std::collections::BTreeMap;

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// Complex numbers are compared by their real parts first.
fn order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        _ => {
            let (left, right) = (left.complex(), right.complex());
            left.re.total_cmp(&right.re).then(left.im.total_cmp(&right.im))
        }
    }
}

/// Different numbers of a type, except for a `bool` and integers of 8 bits, without a negative zero.
fn some(element: Element, seed: u64, count: usize) -> Vec<Value> {
    match element {
        Element::Int(..) | Element::Bool => {
            let all = kernels::numbers::noise(seed).take(count);
            all.map(|bits| element.of(i128::from(bits) - (1 << 30))).collect()
        }
        _ => element
            .some(seed, count)
            .into_iter()
            .map(|x| if x.real() == 0.0 { element.converted(Value::Real(0.0)) } else { x })
            .collect(),
    }
}

/// A kernel's name, its type, the threads of a group, and the elements of each.
type Kernel = (String, Element, usize, usize);

#[test]
fn sorts_of_many_blocks() {
    let (kernels, instances) = sampled("multi_block_sort", |one| one.name.clone());
    // The three kernels of each type run in turn.
    let mut of_types: BTreeMap<String, BTreeMap<&str, Kernel>> = BTreeMap::new();
    for one in &instances {
        let arguments = one.arguments();
        let step = one.template().rsplit('_').next().unwrap_or_default();
        let sizes = [3, 4].map(|at| number(arguments[at]));
        let kernel = (one.name.clone(), Element::named(arguments[0]), sizes[0], sizes[1]);
        of_types.entry(arguments.join(" ")).or_default().insert(step, kernel);
    }
    assert!(of_types.len() >= 12, "{} types", of_types.len());
    const ROWS: usize = 2;
    for kernels_of_type in of_types.values() {
        let (sort, element, threads, each) = &kernels_of_type["sort"];
        let (element, threads) = (*element, *threads);
        // Three whole blocks, and a part of one.
        let size = 3 * threads * each + 77;
        let blocks = size.div_ceil(threads * each);
        let values = some(element, 1, ROWS * size);
        let launch = kernels.launch(sort).bytes(&element.encode(&values));
        let launch = launch.room(ROWS * size * element.size()).room(ROWS * size * 4);
        let launch = launch.words([size]).words([1]).words([1]).words([ROWS]).longs([size]);
        let groups = (blocks, ROWS, 1);
        let [mut sorted, mut order_of] = launch.results(groups, (threads, 1, 1), [1, 2]);
        let mut tiles = 2;
        while tiles / 2 < blocks {
            let (partition, ..) = &kernels_of_type["partition"];
            let launch = kernels.launch(partition).room(ROWS * (blocks + 1) * 4);
            let launch = launch.bytes(&sorted).bytes(&order_of).words([size]).words([tiles]);
            let launch = launch.words([blocks]);
            let parts = launch.groups((1, ROWS, 1), (blocks + 1, 1, 1), 0);
            let (merge, ..) = &kernels_of_type["merge"];
            let launch = kernels.launch(merge).bytes(&parts).bytes(&sorted).bytes(&order_of);
            let launch = launch.room(sorted.len()).room(order_of.len());
            let launch = launch.words([size]).words([tiles]).words([blocks]);
            [sorted, order_of] = launch.results(groups, (threads, 1, 1), [3, 4]);
            tiles *= 2;
        }
        let indices: Vec<usize> = order_of
            .chunks_exact(4)
            .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]) as usize)
            .collect();
        let mut expected = Vec::new();
        for row in values.chunks(size) {
            let mut row = row.to_vec();
            row.sort_by(order);
            expected.extend(row);
        }
        element.check(sort, &sorted, &expected, 0.0);
        for (row, indices) in indices.chunks(size).enumerate() {
            let chosen: Vec<Value> = indices.iter().map(|&at| values[row * size + at]).collect();
            assert_eq!(
                chosen,
                expected[row * size..(row + 1) * size],
                "{sort}: indices of row {row}"
            );
            let mut all = indices.to_vec();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..size), "{sort}: each index once in row {row}");
        }
    }
}

#[test]
fn binary_searches() {
    let (kernels, instances) = sampled("searchsorted", |one| one.name.clone());
    assert!(instances.len() >= 26, "{} kernels", instances.len());
    for instance in &instances {
        let arguments = instance.arguments();
        let (element, right) = (Element::named(arguments[0]), arguments[1] == "true");
        // Every second element is one of the row's.
        let (count, wanted) = (37, 60);
        let mut row = some(element, 1, count);
        row.sort_by(order);
        let spread: Vec<Value> = row.iter().flat_map(|&one| [one, row[0]]).collect();
        // Some are in the row.
        let mut values = some(element, 2, wanted);
        values[..20].copy_from_slice(&row[10..30]);
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&spread));
        let launch =
            launch.bytes(&element.encode(&values)).room(wanted * 4).words([count]).longs([2]);
        let [found] = launch.grid((5, 4, 3), (5, 4, 1), [2]);
        let before = |value: &Value| {
            let is = |one: &&Value| match order(one, value) {
                Ordering::Less => true,
                Ordering::Equal => right,
                Ordering::Greater => false,
            };
            Value::Int(row.iter().filter(is).count() as i128)
        };
        let expected: Vec<Value> = values.iter().map(before).collect();
        Element::Int(32, false).check(&instance.name, &found, &expected, 0.0);
    }
}

#[test]
fn cross_entropies() {
    let (kernels, instances) = sampled("cross_entropy", |one| one.name.clone());
    assert!(instances.len() >= 6, "{} kernels", instances.len());
    let float = Element::named("float");
    for instance in &instances {
        let element = Element::named(instance.arguments()[0]);
        let (rows, size, threads) = (3, 1003, 128);
        let x = element.some(1, rows * size);
        // The last is counted from the end.
        let targets = [0i32, 517, -2];
        let target = |row: usize| targets[row].rem_euclid(size as i32) as usize;
        let row = |row: usize| x[row * size..(row + 1) * size].iter().map(|x| x.real());
        let sum = |at: usize| row(at).map(f64::exp).sum::<f64>();
        let loss = |at: usize| sum(at).ln() - x[at * size + target(at)].real();
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&x));
        let launch = launch.bytes(&targets.map(i32::to_le_bytes).concat());
        let groups = (rows, 1, 1);
        if instance.template() == "cross_entropy" {
            let launch = launch.room(rows * 4).words([size]);
            let found = launch.groups(groups, (threads, 1, 1), 2);
            float.check(&instance.name, &found, &rounded(float, (0..rows).map(loss)), 1e-5);
            continue;
        }
        let weights = [1.0f32, -2.0, 0.5];
        let launch = launch.floats([0, 1, 2].map(|at| loss(at) as f32)).floats(weights);
        let launch = launch.room(x.len() * element.size()).words([size]);
        let found = launch.groups(groups, (threads, 1, 1), 4);
        let expected = (0..rows * size).map(|at| {
            let (row, column) = (at / size, at % size);
            let chance = x[at].real().exp() / sum(row);
            let is = f64::from(u8::from(column == target(row)));
            f64::from(weights[row]) * (chance - is)
        });
        element.check(
            &instance.name,
            &found,
            &rounded(element, expected),
            1e-5 + element.epsilon(),
        );
    }
}

#[test]
fn dot_products() {
    let (kernels, instances) = sampled("dot", |one| one.name.clone());
    assert!(instances.len() >= 3, "{} kernels", instances.len());
    let float = Element::named("float");
    for instance in &instances {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [items, threads] = [1, 2].map(|at| number(arguments[at]));
        let of_a_group = items * threads;
        let count = of_a_group + 1003;
        let (a, b) = (element.some(1, count), element.some(2, count));
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&a));
        let launch = launch.bytes(&element.encode(&b)).room(2 * 4).words([count]);
        let found = launch.groups((2, 1, 1), (threads, 1, 1), 2);
        let sums = [0..of_a_group, of_a_group..count]
            .map(|part| part.map(|at| a[at].real() * b[at].real()).sum::<f64>());
        // Of 16384 terms of up to 4.
        float.check(&instance.name, &found, &rounded(float, sums), 2e-2);
    }
}

#[test]
fn blocks_of_queries() {
    let (kernels, instances) = sampled("sdpa_blocked", |one| one.name.clone());
    assert!(instances.len() >= 4, "{} kernels", instances.len());
    for instance in &instances {
        let element = Element::named(instance.arguments()[0]);
        if instance.template() == "sdpa_blocked_scale_copy" {
            // Queries 3 to 6 of two batches of two heads, whose rows are longer in memory than they are.
            let (heads, rows, side, first, all, ld) = (2, 4, 24, 3, 9, 30);
            let queries = element.some(1, 2 * heads * all * ld);
            let scale = 0.25;
            let launch = kernels.launch(&instance.name).bytes(&element.encode(&queries));
            let launch = launch.room(2 * heads * rows * side * element.size()).floats([scale]);
            let launch = launch.longs([heads * all * ld, all * ld, ld]).words([heads]);
            let launch = launch.words([rows]).words([side]).words([first]);
            let [found] = launch.grid((side, rows, 2 * heads), (side, rows, 1), [1]);
            let expected = (0..2 * heads * rows * side).map(|at| {
                let (head, row, part) = (at / side / rows, at / side % rows, at % side);
                queries[head * all * ld + (first + row) * ld + part].real() * f64::from(scale)
            });
            element.check(&instance.name, &found, &rounded(element, expected), 0.0);
            continue;
        }
        // The last columns of each tile of rows are a triangle.
        let (rows, tile, columns) = (12, 4, 10);
        let scores = element.some(1, rows * columns);
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&scores));
        let launch = launch.words([tile]).words([columns]);
        let [found] = launch.grid((tile, rows, 1), (tile, rows, 1), [0]);
        let least = match instance.arguments()[0] {
            "half" => -65504.0,
            _ => -((2.0 - 2f64.powi(-7)) * 2f64.powi(127)),
        };
        let expected = (0..rows * columns).map(|at| {
            let (row, column) = (at / columns % tile, at % columns);
            if column >= columns - tile && column - (columns - tile) > row {
                least
            } else {
                scores[at].real()
            }
        });
        element.check(&instance.name, &found, &rounded(element, expected), 0.0);
    }
}
