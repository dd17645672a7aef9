//! MLX's gathers, scatters, masked assignments, updates of slices and Hadamard transforms. MLX writes their instances at run time, as this
//! file does, from headers.
//!
//! Moves are exact; sums of a few numbers are rounded to the type.

use kernels::elements::{Element, Value};
use kernels::mlx_metal::at_run_time;
use kernels::numbers::noise;
use kernels::operands::rounded;
use kernels::references::hadamard;
use kernels::run::{Kernels, Launch};

/// The type of elements, and that of indices.
const TYPES: &[(&str, &str)] = &[
    ("float", "int32_t"),
    ("half", "uint32_t"),
    ("bfloat16_t", "int64_t"),
    ("uint8_t", "uint8_t"),
    ("int32_t", "int16_t"),
    ("int64_t", "uint64_t"),
    ("complex64_t", "int32_t"),
];

/// Kernels from instances of templates, each with a name.
fn instances(all: &[(String, String)]) -> Kernels {
    let line = |(name, text): &(String, String)| {
        format!("template [[host_name(\"{name}\")]] [[kernel]] decltype({text}) {text};\n")
    };
    at_run_time("indexing", "", &all.iter().map(line).collect::<String>())
}

/// Indices below a limit in a type; every third one of a signed type is counted from the end.
fn encoded(element: Element, indices: &[usize], limit: usize) -> Vec<u8> {
    let one = |(at, &index): (usize, &usize)| match element.is_signed() && at % 3 == 1 {
        true => Value::Int(index as i128 - limit as i128),
        false => Value::Int(index as i128),
    };
    element.encode(&indices.iter().enumerate().map(one).collect::<Vec<_>>())
}

fn indices_below(seed: u64, count: usize, limit: usize) -> Vec<usize> {
    noise(seed).take(count).map(|bits| bits as usize % limit).collect()
}

fn ints<'a>(launch: Launch<'a>, values: &[usize]) -> Launch<'a> {
    launch.bytes(&values.iter().flat_map(|&x| (x as i32).to_le_bytes()).collect::<Vec<_>>())
}

fn longs<'a>(launch: Launch<'a>, values: &[usize]) -> Launch<'a> {
    launch.bytes(&values.iter().flat_map(|&x| (x as u64).to_le_bytes()).collect::<Vec<_>>())
}

#[test]
fn gathers() {
    // Of one array of indices for the second axis, in each number of dimensions, or of two for the first and the last.
    const FORMS: &[(usize, usize)] = &[(1, 0), (1, 1), (1, 2), (2, 2)];
    let mut text = String::new();
    for ((ty, index), (arrays, dimensions)) in pairs(TYPES, FORMS) {
        let (second, list) = match arrays {
            1 => ("", "first"),
            _ => ("const device I* second [[buffer(12)]],", "first, second"),
        };
        let second = second.replace('I', index);
        text += &format!(
            "[[kernel]] void gather_{ty}_{arrays}_{dimensions}(const device {ty}* src [[buffer(0)]], device {ty}* out [[buffer(1)]],
                const constant int* shape [[buffer(2)]], const constant int64_t* strides [[buffer(3)]],
                const constant size_t& ndim [[buffer(4)]], const constant int* slices [[buffer(5)]],
                const constant int* axes [[buffer(6)]], const constant int* shapes [[buffer(7)]],
                const constant int64_t* steps [[buffer(8)]], const constant bool* contiguous [[buffer(9)]],
                const constant int& dimensions [[buffer(10)]], const device {index}* first [[buffer(11)]], {second}
                uint3 at [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {{
                Indices<{index}, {arrays}> indices{{{{{{{list}}}}}, shapes, steps, contiguous, dimensions}};
                gather_impl<{ty}, {index}, {arrays}, {dimensions}, int>(src, out, shape, strides, ndim, slices, axes, indices, at, grid);
            }}\n"
        );
    }
    let kernels = at_run_time("indexing", "", &text);
    let shape = [5, 6, 7];
    for ((ty, index), (arrays, dimensions)) in pairs(TYPES, FORMS) {
        let kernel = format!("gather_{ty}_{arrays}_{dimensions}");
        let (element, index) = (Element::named(ty), Element::named(index));
        let source = element.some(1, 5 * 6 * 7);
        // The second array's rows are padded.
        let (down, across) = [(1, 1), (4, 1), (3, 4)][dimensions];
        let axes = if arrays == 1 { vec![1] } else { vec![0, 2] };
        let mut slices = shape;
        axes.iter().for_each(|&axis| slices[axis] = 1);
        let chosen: Vec<Vec<usize>> = axes
            .iter()
            .map(|&axis| indices_below(axis as u64, down * across, shape[axis]))
            .collect();
        let launch = kernels.launch(&kernel).bytes(&element.encode(&source));
        let slice: usize = slices.iter().product();
        let launch = launch.room(down * across * slice * element.size());
        let launch = longs(ints(launch, &shape), &[42, 7, 1]).longs([3]);
        let launch = ints(ints(launch, &slices), &axes);
        let shapes: Vec<usize> = axes.iter().flat_map(|_| [down, across]).collect();
        let steps = [across, 1, across + 2, 1];
        let launch = longs(ints(launch, &shapes), &steps).bytes(&[1, 0]);
        let mut launch = launch.words([if dimensions == 2 { 2 } else { 1 }]);
        for (at, indices) in chosen.iter().enumerate() {
            let padding = if at == 1 { 2 } else { 0 };
            let rows = indices.chunks(across).flat_map(|row| [row, &vec![0; padding]].concat());
            launch = launch.bytes(&encoded(index, &rows.collect::<Vec<_>>(), shape[axes[at]]));
        }
        let [found] = launch.grid((down, across, slice), (1, 1, slice), [1]);
        let expected: Vec<Value> = (0..down * across * slice)
            .map(|at| {
                let (mut rest, mut place) = (at % slice, [0; 3]);
                for axis in (0..3).rev() {
                    (place[axis], rest) = (rest % slices[axis], rest / slices[axis]);
                }
                for (list, &axis) in chosen.iter().zip(&axes) {
                    place[axis] = list[at / slice];
                }
                source[place[0] * 42 + place[1] * 7 + place[2]]
            })
            .collect();
        element.check(&kernel, &found, &expected, 0.0);
    }
}

/// Each with each.
fn pairs<'a, A: Copy, B: Copy>(
    first: &'a [A],
    second: &'a [B],
) -> impl Iterator<Item = (A, B)> + 'a {
    first.iter().flat_map(move |&a| second.iter().map(move |&b| (a, b)))
}

const FLAGS: &[(bool, bool)] = &[(true, true), (false, false), (true, false)];

#[test]
fn gathers_along_an_axis() {
    let named = |ty: &str, flags: (bool, bool)| format!("gather_axis_{ty}_{}_{}", flags.0, flags.1);
    let all: Vec<(String, String)> = pairs(TYPES, FLAGS)
        .map(|((ty, index), flags)| {
            let text = format!("gather_axis<{ty}, {index}, int, {}, {}>", flags.0, flags.1);
            (named(ty, flags), text)
        })
        .collect();
    let kernels = instances(&all);
    let (before, along, after, count) = (3, 5, 4, 2);
    for ((ty, index), (contiguous, indices_are)) in pairs(TYPES, FLAGS) {
        let kernel = named(ty, (contiguous, indices_are));
        let (element, index) = (Element::named(ty), Element::named(index));
        let source = element.some(1, before * along * after);
        let chosen = indices_below(2, before * count * after, along);
        // Strides of the dimensions before and after, and of the axis; arrays that are not contiguous have the axis first.
        let strides = |is: bool, side: usize| {
            if is { ([side * after, 1], after) } else { ([after, 1], before * after) }
        };
        let (source_steps, source_step) = strides(contiguous, along);
        let (index_steps, index_step) = strides(indices_are, count);
        let mut stored = vec![0; chosen.len()];
        let place = |at: usize| (at / after / count, at / after % count, at % after);
        for (at, &index) in chosen.iter().enumerate() {
            let (row, which, column) = place(at);
            stored[row * index_steps[0] + column + which * index_step] = index;
        }
        let launch = kernels.launch(&kernel).bytes(&element.encode(&source));
        let launch =
            launch.bytes(&encoded(index, &stored, along)).room(chosen.len() * element.size());
        let launch = ints(launch, &[before, after]);
        let launch = longs(longs(launch, &source_steps), &index_steps).longs([2]).words([1]);
        let launch = launch.words([along]).longs([source_step]).longs([index_step]);
        let [found] = launch.grid((after, count, before), (after, count, 1), [2]);
        let expected: Vec<Value> = (0..chosen.len())
            .map(|at| {
                let (row, _, column) = place(at);
                source[row * source_steps[0] + column + chosen[at] * source_step]
            })
            .collect();
        element.check(&kernel, &found, &expected, 0.0);
    }
}

/// The operations of a scatter: it writes an element, adds it, or keeps the larger.
const UPDATES: &[&str] = &["None", "Sum", "Max"];

/// The types that MLX's atomics take.
const ATOMIC: &[(&str, &str)] = &[
    ("float", "int32_t"),
    ("half", "uint32_t"),
    ("bfloat16_t", "int64_t"),
    ("uint8_t", "uint8_t"),
    ("int32_t", "int16_t"),
];

fn operation(update: &str, ty: &str) -> String {
    if update == "None" { update.into() } else { format!("{update}<{ty}>") }
}

fn updated(element: Element, update: &str, old: Value, new: Value) -> Value {
    match (update, old, new) {
        ("Sum", Value::Int(old), Value::Int(new)) => element.of(old + new),
        ("Sum", old, new) => element.converted(Value::Real(old.real() + new.real())),
        ("Max", old, new) if old.real() > new.real() => old,
        _ => new,
    }
}

#[test]
fn scatters_along_an_axis() {
    let named = |ty: &str, update: &str| format!("scatter_axis_{ty}_{update}");
    let all: Vec<(String, String)> = pairs(ATOMIC, UPDATES)
        .map(|((ty, index), update)| {
            let operation = operation(update, ty);
            let text = format!("scatter_axis<{ty}, {index}, int, {operation}, true, true>");
            (named(ty, update), text)
        })
        .collect();
    let kernels = instances(&all);
    let (before, along, after, count) = (3, 5, 4, 3);
    for ((ty, index), update) in pairs(ATOMIC, UPDATES) {
        let kernel = named(ty, update);
        let (element, index) = (Element::named(ty), Element::named(index));
        let before_it = element.some(1, before * along * after);
        let updates = element.some(2, before * count * after);
        // Sums and extremes may meet; a write would have no order.
        let chosen: Vec<usize> = (0..updates.len())
            .map(|at| {
                let (row, which, column) = (at / after / count, at / after % count, at % after);
                if update == "None" {
                    (row + column + 2 * which) % along
                } else {
                    row * which % along
                }
            })
            .collect();
        let launch = kernels.launch(&kernel).bytes(&element.encode(&updates));
        let launch =
            launch.bytes(&encoded(index, &chosen, along)).bytes(&element.encode(&before_it));
        let launch = ints(launch, &[before, after]).longs([after, 1]).longs([after, 1]).longs([2]);
        let launch = launch.words([1]).words([along]).longs([after]).longs([after]);
        let [found] = launch.grid((after, count, before), (after, count, 1), [2]);
        let mut expected = before_it;
        for (at, &index) in chosen.iter().enumerate() {
            let (row, column) = (at / after / count, at % after);
            let place = (row * along + index) * after + column;
            expected[place] = updated(element, update, expected[place], updates[at]);
        }
        // Sums of half numbers are rounded in any order.
        element.check(&kernel, &found, &expected, 4.0 * element.epsilon());
    }
}

#[test]
fn scatters() {
    let mut text = String::new();
    let named = |ty: &str, update: &str, arrays: usize| format!("scatter_{ty}_{update}_{arrays}");
    for ((ty, index), (update, arrays)) in pairs(ATOMIC, &[("None", 1), ("Sum", 1), ("Sum", 2)]) {
        let second = if arrays == 1 {
            String::new()
        } else {
            format!("const device {index}* second [[buffer(16)]],")
        };
        let list = if arrays == 1 { "first" } else { "first, second" };
        let (name, operation) = (named(ty, update, arrays), operation(update, ty));
        text += &format!(
            "[[kernel]] void {name}(const device {ty}* updates [[buffer(1)]], device mlx_atomic<{ty}>* out [[buffer(2)]],
                const constant int* upd_shape [[buffer(3)]], const constant int64_t* upd_strides [[buffer(4)]],
                const constant size_t& upd_ndim [[buffer(5)]], const constant size_t& upd_size [[buffer(6)]],
                const constant int* out_shape [[buffer(7)]], const constant int64_t* out_strides [[buffer(8)]],
                const constant size_t& out_ndim [[buffer(9)]], const constant int* axes [[buffer(10)]],
                const constant size_t& idx_size [[buffer(11)]], const constant int* shapes [[buffer(12)]],
                const constant int64_t* steps [[buffer(13)]], const constant bool* contiguous [[buffer(14)]],
                const device {index}* first [[buffer(15)]], {second} uint2 at [[thread_position_in_grid]]) {{
                Indices<{index}, {arrays}> indices{{{{{{{list}}}}}, shapes, steps, contiguous, 1}};
                scatter_impl<{ty}, {index}, {operation}, {arrays}, true, 2, int>(updates, out, upd_shape, upd_strides, upd_ndim,
                    upd_size, out_shape, out_strides, out_ndim, axes, idx_size, indices, at);
            }}\n"
        );
    }
    let kernels = at_run_time("indexing", "", &text);
    let shape = [6, 5, 4];
    for ((ty, index), (update, arrays)) in pairs(ATOMIC, &[("None", 1), ("Sum", 1), ("Sum", 2)]) {
        let kernel = named(ty, update, arrays);
        let (element, index) = (Element::named(ty), Element::named(index));
        let count = 5;
        let slices = if arrays == 1 { [1, 5, 4] } else { [1, 1, 4] };
        let slice: usize = slices.iter().product();
        let before = element.some(1, 6 * 5 * 4);
        let updates = element.some(2, count * slice);
        let first: Vec<usize> = match update {
            "None" => vec![4, 0, 5, 2, 1],
            _ => vec![4, 0, 4, 2, 0],
        };
        let second = vec![1, 3, 1, 0, 4];
        let launch = kernels.launch(&kernel).at(1).bytes(&element.encode(&updates));
        let launch = launch.bytes(&element.encode(&before));
        let launch = ints(launch, &[&[count][..], &slices].concat());
        let launch = launch.longs([slice, slice, slices[2], 1]).longs([4]).longs([slice]);
        let launch = longs(ints(launch, &shape), &[20, 4, 1]).longs([3]);
        let launch = ints(launch, &[0, 1][..arrays]).longs([count]);
        let launch = ints(launch, &[count, count]).longs([1, 1]).bytes(&[1, 1]);
        let launch = launch.bytes(&encoded(index, &first, 6));
        let launch = if arrays == 2 { launch.bytes(&encoded(index, &second, 5)) } else { launch };
        let [found] = launch.grid((slice, count.div_ceil(2), 1), (slice, 1, 1), [2]);
        let mut expected = before;
        for (at, &new) in updates.iter().enumerate() {
            let (which, rest) = (at / slice, at % slice);
            let place = match arrays {
                1 => first[which] * 20 + rest,
                _ => first[which] * 20 + second[which] * 4 + rest,
            };
            expected[place] = updated(element, update, expected[place], new);
        }
        element.check(&kernel, &found, &expected, 4.0 * element.epsilon());
    }
}

#[test]
fn rows_masks_and_slices() {
    let mut all = Vec::new();
    for (ty, index) in TYPES {
        all.push((
            format!("gather_front_{ty}"),
            format!("gather_front<{ty}, {index}, int64_t, 2>"),
        ));
        for contiguous in [true, false] {
            let name = format!("masked_assign_{ty}_{contiguous}");
            all.push((name, format!("masked_assign_impl<{ty}, {contiguous}>")));
        }
        for (form, flags) in SLICES {
            let name = format!("slice_update_{ty}_{form}");
            all.push((name, format!("slice_update_op_impl<{ty}, int, Sum<{ty}>, {flags}>")));
        }
    }
    let kernels = instances(&all);
    for (ty, index) in TYPES {
        let (element, index) = (Element::named(ty), Element::named(index));
        // Rows of five, two elements a thread.
        let (rows, width, chosen) = (6, 5, [5, 0, 3, 3]);
        let source = element.some(1, rows * width);
        let kernel = format!("gather_front_{ty}");
        let launch = kernels.launch(&kernel).bytes(&element.encode(&source));
        let launch = launch
            .bytes(&encoded(index, &chosen, rows))
            .room(chosen.len() * width * element.size());
        let launch = launch.longs([width]).words([rows]);
        let [found] = launch.grid((3, chosen.len(), 1), (3, 1, 1), [2]);
        let expected: Vec<Value> =
            chosen.iter().flat_map(|&row| source[row * width..][..width].to_vec()).collect();
        element.check(&kernel, &found, &expected, 0.0);

        // Two batches of ten, whose chosen elements are replaced in order.
        let mask: Vec<bool> = noise(3).take(20).map(|bits| bits % 2 == 0).collect();
        let before = element.some(2, 20);
        for contiguous in [true, false] {
            let kernel = format!("masked_assign_{ty}_{contiguous}");
            let count =
                |range: std::ops::Range<usize>| mask[range].iter().filter(|is| **is).count();
            let offsets: Vec<usize> = (0..20).map(|at| count(at / 10 * 10..at)).collect();
            // Not contiguous: the batches are interleaved.
            let [batch, step] = if contiguous { [10, 1] } else { [1, 2] };
            let launch = kernels.launch(&kernel);
            let launch = launch.bytes(&mask.iter().map(|&is| u8::from(is)).collect::<Vec<_>>());
            let launch = ints(launch, &offsets).bytes(&element.encode(&source[..20]));
            let launch = launch.bytes(&element.encode(&before)).words([2, 10]);
            let launch = launch.longs([batch, step]).words([2]).longs([10]).longs([10]);
            let [found] = launch.grid((20, 1, 1), (20, 1, 1), [3]);
            let expected: Vec<Value> = (0..20)
                .map(|at| match mask[at] {
                    true => source[at / 10 * batch + offsets[at] * step],
                    false => before[at],
                })
                .collect();
            element.check(&kernel, &found, &expected, 0.0);
        }

        // Four rows of six are added to a part of eight rows of ten.
        for (form, _) in SLICES {
            let kernel = format!("slice_update_{ty}_{form}");
            let (out, updates) = (element.some(4, 80), element.some(5, 24));
            let launch = kernels.launch(&kernel).bytes(&element.encode(&updates));
            let launch = launch.bytes(&element.encode(&out)).words([4, 6]).longs([6, 1]).words([2]);
            let launch = launch.longs([24]).longs([10, 1]).longs([23]);
            let [found] = launch.grid((3, 4, 1), (3, 4, 1), [1]);
            let mut expected = out;
            for at in 0..24 {
                let place = 23 + at / 6 * 10 + at % 6;
                let new = updates[if *form == "scalar" { 0 } else { at }];
                let (a, b) = (expected[place].complex(), new.complex());
                expected[place] = match (expected[place], new) {
                    (Value::Complex(..), _) => Value::Complex(
                        f64::from((a.re + b.re) as f32),
                        f64::from((a.im + b.im) as f32),
                    ),
                    (old, new) => updated(element, "Sum", old, new),
                };
            }
            element.check(&kernel, &found, &expected, element.epsilon());
        }
    }
}

/// Forms of updates of slices, two elements a thread: whether the output is contiguous, whether the updates are, whether they are one.
const SLICES: &[(&str, &str)] = &[
    ("rows", "false, true, false, 2, 2"),
    ("strides", "false, false, false, 2, 2"),
    ("scalar", "false, false, true, 2, 2"),
    ("general", "false, false, false, 2, 0"),
];

#[test]
fn hadamard_transforms() {
    // Whole rows: the size, the radix, and elements read at once; columns have a stride, too, and no factor.
    const ROWS: &[(&str, usize, usize, usize)] = &[
        ("float", 32, 4, 4),
        ("float", 64, 16, 4),
        ("half", 1024, 16, 2),
        ("bfloat16_t", 512, 16, 2),
        ("float", 4096, 16, 4),
    ];
    const COLUMNS: (usize, usize, usize) = (64, 16, 4);
    let four = "#include <metal_stdlib>\nusing namespace metal;
        inline void hadamard_radix_m(thread float *x) {
            float a = x[0] + x[1], b = x[0] - x[1], c = x[2] + x[3], d = x[2] - x[3];
            x[0] = a + c; x[1] = b + d; x[2] = a - c; x[3] = b - d;
        }\n";
    let mut text = String::new();
    let mut add = |name: String, instance: String| {
        text += &format!(
            "template [[host_name(\"{name}\")]] [[kernel]] decltype({instance}) {instance};\n"
        );
    };
    for (ty, size, radix, reads) in ROWS {
        add(format!("rows_{ty}_{size}"), format!("hadamard_n<{ty}, {size}, {radix}, {reads}>"));
    }
    let (size, radix, stride) = COLUMNS;
    add("columns".into(), format!("hadamard_n<float, {size}, {radix}, 4, {stride}>"));
    add("fours".into(), "hadamard_m<float, 64, 4, 2>".into());
    let kernels = at_run_time("hadamard", four, &text);
    let reals = |all: &[Value]| all.iter().map(|x| x.real()).collect::<Vec<_>>();
    // The reference divides by the root of the size.
    let transformed = |row: &[f64], factor: f64| -> Vec<f64> {
        let root = (row.len() as f64).sqrt();
        hadamard(row).into_iter().map(|x| x * root * factor).collect()
    };
    for &(ty, size, radix, _) in ROWS {
        let element = Element::named(ty);
        let batches = 3;
        let x = element.some(1, batches * size);
        let scale = 1.0 / (size as f32).sqrt();
        let kernel = format!("rows_{ty}_{size}");
        let launch =
            kernels.launch(&kernel).bytes(&element.encode(&x)).room(x.len() * element.size());
        let threads = size / radix;
        let [found] = launch.floats([scale]).grid((threads, batches, 1), (threads, 1, 1), [1]);
        let expected = reals(&x)
            .chunks(size)
            .flat_map(|row| transformed(row, scale.into()))
            .collect::<Vec<_>>();
        // Each of up to three steps is rounded to the type.
        let tolerance = 1e-5 + 6.0 * element.epsilon();
        element.check(&kernel, &found, &rounded(element, expected), tolerance);
    }
    let float = Element::named("float");
    let batches = 2;
    let x = float.some(1, batches * size * stride);
    let launch = kernels.launch("columns").bytes(&float.encode(&x)).room(x.len() * 4).floats([1.0]);
    let [found] = launch.grid((size / radix, batches, stride), (size / radix, 1, 1), [1]);
    let mut expected = vec![0.0; x.len()];
    for column in 0..batches * stride {
        let at = |row: usize| (column / stride * size + row) * stride + column % stride;
        let values: Vec<f64> = (0..size).map(|row| x[at(row)].real()).collect();
        for (row, value) in transformed(&values, 1.0).into_iter().enumerate() {
            expected[at(row)] = value;
        }
    }
    float.check("columns", &found, &rounded(float, expected), 1e-4);

    // Four rows of 64, each of two batches: across the rows.
    let x = float.some(2, 2 * 4 * 64);
    let launch = kernels.launch("fours").bytes(&float.encode(&x)).room(x.len() * 4).floats([0.5]);
    let [found] = launch.grid((2, 32, 1), (1, 32, 1), [1]);
    let expected = (0..x.len()).map(|at| {
        let (batch, row, column) = (at / 256, at / 64 % 4, at % 64);
        let values: Vec<f64> =
            (0..4).map(|one| x[batch * 256 + one * 64 + column].real()).collect();
        transformed(&values, 0.5)[row]
    });
    float.check("fours", &found, &rounded(float, expected.collect::<Vec<_>>()), 1e-5);
}
