//! mlx-native's kernels that only move data: copies, slices, permutations, gathers, embeddings, caches.
//!
//! Everything is exact: a result is an input, at another index, and in another type where the kernel has two.

use Number::{BF16, F16, F32, U32};
use kernels::numbers::{Number, near, noise};
use kernels::products::narrowed;
use kernels::references::transposed;
use kernels::run::{Kernels, Size, lined};
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// Groups of 16 by 4 threads.
const TILE: Size = (16, 4, 1);

#[track_caller]
fn same(kernel: &str, number: Number, found: &[u8], expected: &[f64]) {
    near(kernel, &number.decode(found), &narrowed(number, expected), 0.0);
}

/// `n` numbers below a limit.
fn picks(seed: u64, count: usize, limit: usize) -> Vec<usize> {
    noise(seed).take(count).map(|bits| bits as usize % limit).collect()
}

fn words(values: &[usize]) -> Vec<u8> {
    values.iter().flat_map(|&value| (value as u32).to_le_bytes()).collect()
}

/// Columns from `start` on of a matrix with the given number of columns.
fn columns(matrix: &[f64], of: usize, start: usize, count: usize) -> Vec<f64> {
    matrix.chunks(of).flat_map(|row| row[start..start + count].to_vec()).collect()
}

#[test]
fn permutations() {
    let kernels = open("elementwise.metal");
    for (rows, width) in [(1usize, 7usize), (33, 5), (64, 48)] {
        for (name, number) in [("f32", F32), ("f16", F16)] {
            let kernel = format!("transpose_2d_{name}");
            let input = number.some(1, rows * width);
            let launch = kernels.launch(&kernel).numbers(number, &input);
            let launch = launch.room(input.len() * number.size()).words([rows, width]);
            let [out] = launch.grid((width, rows, 1), TILE, [1]);
            same(&kernel, number, &out, &transposed(&input, width));
        }
    }
    let swaps = [
        ("permute_021_bf16", BF16, BF16),
        ("permute_021_f16", F16, F16),
        ("permute_021_f32", F32, F32),
        ("permute_021_bf16_to_f32", BF16, F32),
        ("permute_021_f32_to_f16", F32, F16),
        ("transpose_last2_bf16", BF16, BF16),
        ("transpose_last2_f16", F16, F16),
    ];
    for (a, b, c) in [(1usize, 1usize, 1usize), (3, 5, 33), (7, 16, 64)] {
        for (kernel, read, write) in swaps {
            let input = read.some(2, a * b * c);
            let launch = kernels.launch(kernel).numbers(read, &input);
            let launch = launch.room(input.len() * write.size()).words([a, b, c]);
            let last = kernel.starts_with("transpose");
            let threads = if last { (b, c, a) } else { (c, b, a) };
            let [out] = launch.grid(threads, TILE, [1]);
            let expected: Vec<f64> = match last {
                true => input.chunks(b * c).flat_map(|one| transposed(one, c)).collect(),
                false => (0..b * a)
                    .flat_map(|at| {
                        let (b_at, a_at) = (at / a, at % a);
                        input[(a_at * b + b_at) * c..][..c].to_vec()
                    })
                    .collect(),
            };
            same(kernel, write, &out, &expected);
        }
    }
}

#[test]
fn copies() {
    let kernels = open("copy.metal");
    for (rows, width) in [(1usize, 1usize), (5, 33), (40, 100)] {
        // By columns, and with room between rows.
        let input = F32.some(1, rows * (width + 3) + 3);
        for (row_step, column_step) in [(1, rows), (width + 3, 1)] {
            let launch = kernels.launch("strided_copy_f32").numbers(F32, &input);
            let launch = launch.room(rows * width * 4).words([rows, width, row_step, column_step]);
            let [out] = launch.grid((width, rows, 1), TILE, [1]);
            let at = |at: usize| input[at / width * row_step + at % width * column_step];
            let expected: Vec<f64> = (0..rows * width).map(at).collect();
            same("strided_copy_f32", F32, &out, &expected);
        }
        let (count, into) = (rows * width, 11);
        let launch = kernels.launch("offset_copy_f32").numbers(F32, &input);
        let launch = launch.numbers(F32, &vec![9.0; count + 20]).words([3, into, count]);
        let (groups, threads) = lined(count);
        let out = launch.groups(groups, threads, 1);
        let mut expected = vec![9.0; count + 20];
        expected[into..into + count].copy_from_slice(&input[3..3 + count]);
        same("offset_copy_f32", F32, &out, &expected);
    }

    let kernels = open("bank_slice_bf16.metal");
    let (rows, whole, bank, start) = (5, 48, 20, 17);
    for (name, number) in [("bf16", BF16), ("f32", F32)] {
        let (kernel, input) = (format!("bank_slice_{name}"), number.some(4, rows * whole));
        let launch = kernels.launch(&kernel).numbers(number, &input);
        let launch = launch.room(rows * bank * number.size()).words([rows, whole, bank, start]);
        let [out] = launch.grid((bank, rows, 1), TILE, [1]);
        same(&kernel, number, &out, &columns(&input, whole, start, bank));
    }
    let input = F32.some(5, rows * bank);
    let launch = kernels.launch("bank_concat_f32").numbers(F32, &input);
    let launch = launch.numbers(F32, &vec![9.0; rows * whole]).words([rows, whole, bank, start]);
    let [out] = launch.grid((bank, rows, 1), TILE, [1]);
    same("bank_concat_f32", F32, &out, &into_columns(&input, bank, whole, start));
}

/// A matrix inside a larger one that is filled with nines.
fn into_columns(matrix: &[f64], of: usize, whole: usize, start: usize) -> Vec<f64> {
    let mut all = vec![9.0; matrix.len() / of * whole];
    for (row, part) in all.chunks_mut(whole).zip(matrix.chunks(of)) {
        row[start..start + of].copy_from_slice(part);
    }
    all
}

#[test]
fn slices_and_concatenations() {
    let kernels = open("slice_concat_2d.metal");
    for (rows, whole, part, start) in
        [(1usize, 9usize, 9usize, 0usize), (7, 50, 13, 37), (20, 128, 64, 32)]
    {
        let input = F32.some(1, rows * whole);
        let launch = kernels.launch("slice_2d_cols_f32").numbers(F32, &input);
        let launch = launch.room(rows * part * 4).words([whole, part, start]);
        let [out] = launch.grid((part, rows, 1), TILE, [1]);
        same("slice_2d_cols_f32", F32, &out, &columns(&input, whole, start, part));
        let input = F32.some(2, rows * part);
        let launch = kernels.launch("copy_2d_cols_into_f32").numbers(F32, &input);
        let launch = launch.numbers(F32, &vec![9.0; rows * whole]).words([part, whole, start]);
        let [out] = launch.grid((part, rows, 1), TILE, [1]);
        let expected = into_columns(&input, part, whole, start);
        same("copy_2d_cols_into_f32", F32, &out, &expected);
        let kernels = open("feature_concat.metal");
        let launch = kernels.launch("feature_concat_f32").words([rows, part, start, whole]);
        let launch = launch.numbers(F32, &input).numbers(F32, &vec![9.0; rows * whole]);
        let (groups, threads) = lined(rows * part);
        same("feature_concat_f32", F32, &launch.groups(groups, threads, 2), &expected);
    }

    let kernels = open("qkv_split.metal");
    let (rows, [q, k, v]) = (5, [40, 13, 9]);
    let whole = q + k + v;
    let input = F32.some(3, rows * whole);
    let launch = kernels.launch("qkv_split_f32").numbers(F32, &input).room(rows * q * 4);
    let launch = launch.room(rows * k * 4).room(rows * v * 4).words([rows, q, k, v, whole]);
    let out = launch.grid((whole, rows, 1), TILE, [1, 2, 3]);
    for (out, (start, count)) in out.iter().zip([(0, q), (q, k), (q + k, v)]) {
        same("qkv_split_f32", F32, out, &columns(&input, whole, start, count));
    }

    let kernels = open("q_gate_deinterleave.metal");
    let (rows, heads, head) = (3, 5, 24);
    // Bits, whatever they mean.
    let input: Vec<f64> = noise(4).take(rows * heads * head * 2).map(|bits| bits as f64).collect();
    let half = rows * heads * head * 4;
    let launch = kernels.launch("q_gate_deinterleave_f32").numbers(U32, &input).room(half);
    let launch = launch.room(half).words([rows, heads, head]);
    let out = launch.grid((head, heads, rows), TILE, [1, 2]);
    for (out, start) in out.iter().zip([0, head]) {
        same("q_gate_deinterleave_f32", U32, out, &columns(&input, 2 * head, start, head));
    }

    let kernels = open("repeat_tiled.metal");
    let (places, groups, heads, head) = (3, 2, 6, 20);
    let input = F32.some(5, places * groups * head);
    let launch = kernels.launch("repeat_tiled_f32").numbers(F32, &input);
    let launch = launch.room(places * heads * head * 4).words([places, groups, heads, head]);
    let [out] = launch.grid((head, heads, places), TILE, [1]);
    let place = input.chunks(groups * head);
    let expected: Vec<f64> = place.flat_map(|all| all.repeat(heads / groups)).collect();
    same("repeat_tiled_f32", F32, &out, &expected);
}

#[test]
fn images() {
    let kernels = open("block_merge_2x2.metal");
    let (nx, ny, width) = (6usize, 4usize, 5usize);
    let input = F32.some(1, nx * ny * width);
    let launch = kernels.launch("block_merge_2x2_f32").words([nx, ny, width, nx / 2]);
    let (groups, threads) = lined(input.len());
    let out = launch.numbers(F32, &input).room(input.len() * 4).groups(groups, threads, 2);
    let mut expected = Vec::new();
    for (y, x) in (0..ny / 2).flat_map(|y| (0..nx / 2).map(move |x| (y, x))) {
        for (down, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let from = ((2 * y + down) * nx + 2 * x + right) * width;
            expected.extend(&input[from..from + width]);
        }
    }
    same("block_merge_2x2_f32", F32, &out, &expected);

    let kernels = open("im2col_2d_3ch.metal");
    let (high, wide, side) = (12usize, 18usize, 3usize);
    let (down, across) = (high / side, wide / side);
    let input = F32.some(2, 3 * high * wide);
    let each = 3 * side * side;
    let all = [high, wide, side, across, down, each, down * across, 0];
    let launch = kernels.launch("im2col_2d_3ch_f32").words(all).numbers(F32, &input);
    let (groups, threads) = lined(down * across * each);
    let out = launch.room(down * across * each * 4).groups(groups, threads, 2);
    let mut expected = Vec::new();
    for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
        for (channel, row) in (0..3).flat_map(|c| (0..side).map(move |row| (c, row))) {
            let from = (channel * high + y * side + row) * wide + x * side;
            expected.extend(&input[from..from + side]);
        }
    }
    same("im2col_2d_3ch_f32", F32, &out, &expected);
}

#[test]
fn gathers() {
    let (rows, width, count) = (37usize, 50usize, 9usize);
    let mut numbers = picks(1, count, rows);
    let table = F32.some(2, rows * width);
    let of = |table: &[f64], numbers: &[usize]| -> Vec<f64> {
        let row = |&at: &usize| match table.get(at * width..(at + 1) * width) {
            Some(row) => row.to_vec(),
            None => vec![0.0; width],
        };
        numbers.iter().flat_map(row).collect()
    };
    let kernels = open("elementwise.metal");
    let scale = Struct::new().f32([3.0]).u32([width as u32, 5]).bytes();
    let launch = kernels.launch("embedding_gather_scale_f32").numbers(F32, &table);
    let (groups, threads) = lined(width);
    let out = launch.room(width * 4).bytes(&scale).groups(groups, threads, 1);
    let scaled = |values: Vec<f64>| values.iter().map(|x| x * 3.0).collect::<Vec<f64>>();
    same("embedding_gather_scale_f32", F32, &out, &scaled(of(&table, &[5])));
    let scale = Struct::new().f32([3.0]).u32([width as u32, count as u32]).bytes();
    let launch = kernels.launch("embedding_gather_scale_batch_f32").numbers(F32, &table);
    let launch = launch.bytes(&words(&numbers)).room(count * width * 4).bytes(&scale);
    let [out] = launch.grid((width, count, 1), TILE, [2]);
    same("embedding_gather_scale_batch_f32", F32, &out, &scaled(of(&table, &numbers)));

    // A number past the last row: the last row, and for the embeddings zeros.
    numbers[3] = rows + 2;
    let kernels = open("gather.metal");
    let launch = kernels.launch("gather_f32").numbers(F32, &table).bytes(&words(&numbers));
    let launch = launch.room(count * width * 4).words([width, count, rows]);
    let [out] = launch.grid((width, count, 1), TILE, [2]);
    let clamped: Vec<usize> = numbers.iter().map(|&at| at.min(rows - 1)).collect();
    same("gather_f32", F32, &out, &of(&table, &clamped));

    let kernels = open("embedding_dense.metal");
    for (name, number) in [("bf16", BF16), ("f16", F16), ("f32", F32)] {
        let (kernel, table) =
            (format!("embedding_gather_{name}_f32"), number.some(3, rows * width));
        let launch = kernels.launch(&kernel).numbers(number, &table).bytes(&words(&numbers));
        let launch = launch.room(count * width * 4).words([rows, width, count, 0]);
        let [out] = launch.grid((width, count, 1), TILE, [2]);
        same(&kernel, F32, &out, &of(&table, &numbers));
    }

    let kernels = open("embedding_autograd.metal");
    let launch = kernels.launch("embedding_lookup_f32").numbers(F32, &table);
    let launch = launch.bytes(&words(&numbers)).room(count * width * 4).words([rows, width]);
    let [out] = launch.grid((width, count, 1), TILE, [2]);
    same("embedding_lookup_f32", F32, &out, &of(&table, &numbers));
    // Slopes that are halves, so that sums are exact; one number twice.
    numbers[7] = numbers[0];
    let slopes: Vec<f64> = F32.some(4, count * width).iter().map(|x| (x * 2.0).round()).collect();
    let launch = kernels.launch("embedding_scatter_add_f32").numbers(F32, &slopes);
    let launch = launch.bytes(&words(&numbers)).room(rows * width * 4).words([rows, width, count]);
    let [out] = launch.grid((width, rows, 1), TILE, [2]);
    let mut expected = vec![0.0; rows * width];
    for (slopes, &row) in slopes.chunks(width).zip(&numbers).filter(|(_, row)| **row < rows) {
        for (sum, slope) in expected[row * width..].iter_mut().zip(slopes) {
            *sum += slope;
        }
    }
    same("embedding_scatter_add_f32", F32, &out, &expected);
}

#[test]
fn places_along_rows() {
    let kernels = open("take_along_axis.metal");
    let (rows, width, count) = (13usize, 40usize, 6usize);
    // Different in a row; one past the end, which yields 0 and takes nothing.
    let mut numbers: Vec<usize> =
        (0..rows * count).map(|at| (at * 7 + at / count) % width).collect();
    numbers[4] = width;
    let input = F32.some(1, rows * width);
    let launch = kernels.launch("take_along_axis_f32").numbers(F32, &input);
    let launch = launch.bytes(&words(&numbers)).room(rows * count * 4).words([rows, width, count]);
    let [out] = launch.grid((rows, count, 1), TILE, [2]);
    let taken = numbers.iter().enumerate().map(|(at, &number)| match number < width {
        true => input[at / count * width + number],
        false => 0.0,
    });
    same("take_along_axis_f32", F32, &out, &taken.collect::<Vec<_>>());
    let slopes = F32.some(2, rows * count);
    let launch = kernels.launch("take_along_axis_backward_f32").numbers(F32, &slopes);
    let launch = launch.bytes(&words(&numbers)).numbers(F32, &vec![0.0; rows * width]);
    let [out] = launch.words([rows, width, count]).grid((rows, count, 1), TILE, [2]);
    let mut expected = vec![0.0; rows * width];
    for (at, (&number, slope)) in numbers.iter().zip(&slopes).enumerate() {
        if number < width {
            expected[at / count * width + number] = *slope;
        }
    }
    same("take_along_axis_backward_f32", F32, &out, &expected);

    let kernels = open("gather_bench.metal");
    let (places, head) = (7usize, 64usize);
    let packed: Vec<u8> = noise(3).take(places * head / 2).map(|bits| bits as u8).collect();
    let centres = F32.some(4, 16 * head);
    let launch = kernels.launch("gather_bench_nibble").bytes(&packed).numbers(F32, &centres);
    let launch = launch.words([places]).words([head]).room(places * head * 4);
    let [out] = launch.grid((head, places, 1), TILE, [4]);
    let nibble = |at: usize| usize::from(packed[at / 2] >> (at % 2 * 4) & 15);
    let expected = (0..places * head).map(|at| centres[nibble(at) * head + at % head]);
    same("gather_bench_nibble", F32, &out, &expected.collect::<Vec<_>>());
    let cache = F16.some(5, places * head);
    let launch = kernels.launch("gather_bench_f16_seq").numbers(F16, &cache);
    let launch = launch.words([places]).words([head]).room(places * head * 4);
    let [out] = launch.grid((head, places, 1), TILE, [3]);
    same("gather_bench_f16_seq", F32, &out, &cache);
}
