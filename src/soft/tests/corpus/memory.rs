//! Rows for pointers, arrays, threadgroup memory, the arguments of kernels, and atomics.

use super::File;
use super::element::{Element as _, noise};
use super::reference::HALF;

#[test]
fn pointers() {
    let mut file =
        File::open("pointers.metal", include_str!("../../../../tests/msl/pointers.metal"));
    let numbers: Vec<i32> = (0..40).map(|i| i * 7 - 90).collect();
    file.kernel("cast_of_const").input(&numbers).each(40, |i| numbers[i] + 1);
    file.kernel("references").each(40, |i| {
        let (mut a, mut b) = (20, i as i32 + 2);
        *if a > b { &mut a } else { &mut b } = 1000;
        a + b * 10 + a
    });
    let x: Vec<i32> = (0..60).map(|i| i * i % 37).collect();
    file.kernel("arithmetic").input(&x).each(40, |i| {
        // After `*p++` the pointer is at i + 1.
        let distance = 10 - (i as i32 + 1);
        let sum = x[i] + x[i + 2] - x[i] + x[8] + distance * 100;
        let order = i32::from(distance > 0) * 1000 + i32::from(distance == 0) * 2000 + 4000;
        sum + order + x[i] * 10000
    });
    file.kernel("to_locals").each(40, |i| {
        let mut values = [1, 2, 3, 4];
        values[i % 4] = 50;
        values[(i + 1) % 4] += 50;
        8000 + 80000 + values.iter().sum::<i32>()
    });
    let (a, b) = ([0; 40], [0; 40]);
    let case = file.kernel("compared").input(&a).input(&b);
    case.each(40, |i| 1 + 16 + 32 + 128 + 3 + if i == 0 { 512 } else { 0 });
    let nodes: Vec<[i32; 2]> = (0..40).map(|i| [i % 11, (i * 7 + 3) % 40]).collect();
    file.kernel("to_structs").input(&nodes).each(40, |i| {
        let walk = |(sum, at): (i32, usize), _| (sum * 2 + nodes[at][0], nodes[at][1] as usize);
        (0..5).fold((0, i), walk).0
    });
    let (a, b): (Vec<i32>, Vec<i32>) = (0..64).map(|i| (i * 3 % 29, 1000 + i)).unzip();
    file.kernel("pointer_to_pointer").input(&a).input(&b).each(40, |i| {
        let both = [&a, &b];
        let moved = i >> 1 & 1;
        both[i & 1][i] + both[moved][i + 1] + a[i + usize::from(moved == 0)]
    });
    file.kernel("varying_targets").input(&a).input(&b).each(60, |i| {
        let p = [&a[i..], &b[i..], &b[i + 1..]][i % 3];
        p[0] + 5 + p[1]
    });
    let bytes: Vec<u8> = (0..200u32).map(|i| (i * 89 % 251) as u8).collect();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
    file.kernel("casts").input(&bytes).each(40, |i| {
        (word(4 * i) % 1000
            + (word(4 * i) >> 16) % 100 * 1000
            + u32::from(bytes[1 + 3 * i + 2]) * 100_000) as i32
    });
    file.kernel("casts_of_locals").each(40, |i| (-(i as f32)).to_bits().wrapping_add(0xbf));
    file.kernel("in_the_constant_space")
        .input(&[5, 6, 7, 8])
        .input(&[9])
        .each(40, |i| [5, 6, 7, 8][i % 4] * 100 + 5 + 9 + 9);
    file.kernel("in_threadgroup_memory").each(128, |i| {
        let group = i / 64 * 64;
        ((group + 63 - i % 64) * 3000 + (i ^ 1) * 3) as i32
    });
    file.kernel("null_pointers").each(40, |i| 3 + 8 * (i as i32 & 1));
    file.kernel("arrays_as_arguments").each(40, |i| {
        let i = i as i32;
        200 * i + 3 * i + 5 + 2 * i + 5
    });
    file.kernel("reads_out_of_bounds")
        .input(&[0; 40])
        .out(&[0; 40])
        .grid(40, 1, 1)
        .faults("thread (39, 0, 0): read of 4 bytes at offset 160 of 'in', which has 160 bytes");
    file.kernel("writes_out_of_bounds")
        .out(&[0; 40])
        .grid(40, 1, 1)
        .faults("thread (0, 0, 0): write of 4 bytes at offset -12 of 'out', which has 160 bytes");
    file.kernel("follows_null")
        .out(&[0; 40])
        .grid(40, 1, 1)
        .faults("thread (7, 0, 0): write of 4 bytes at offset 28 of a null or stale pointer");
    file.kernel("leaves_a_local_array")
        .out(&[0; 40])
        .grid(40, 1, 1)
        .faults("thread (4, 0, 0): write of 4 bytes at offset 16 of 'a', which has 16 bytes");
    file.finish();
}

#[test]
fn arrays() {
    let mut file = File::open("arrays.metal", include_str!("../../../../tests/msl/arrays.metal"));
    file.kernel("filled_and_summed").each(40, |i| {
        let sum = [9, 7, 5, 3, 1].iter().fold(0, |sum, j| sum * 3 + j * i as i32);
        sum + (i % 10 * i) as i32
    });
    file.kernel("initialised")
        .each(40, |i| 2 + [i as i32, 5, 6][i % 3] + i32::from(b'b') * 100 + 3 + 40000 + 12);
    file.kernel("array_refs").each(40, |i| ((6 + i as i32) * 10 + 4) * 1000 + 52);
    file.kernel("two_dimensions").each(40, |i| {
        let cell = |r: usize, c: usize| {
            (r * 10 + c + i) as i32 + if r == i % 4 && c == 2 { 1000 } else { 0 }
        };
        (0..4).fold(0, |sum, r| sum * 2 + cell(r, (r + i) % 5) + cell(r, 2))
    });
    let x: Vec<i32> = noise(31).map(|bits| bits as i32 % 100).take(8 * 64).collect();
    let mut sorted = x.clone();
    sorted.chunks_mut(8).for_each(<[i32]>::sort);
    file.kernel("insertion_sort").input(&x).grid(64, 1, 1).expects(&sorted);
    file.kernel("of_structs").each(40, |i| {
        let mut green = [2u8, 5, 0];
        green[i % 3] = green[i % 3].wrapping_add(250);
        let copied = green[(i + 1) % 3];
        green[2] = copied;
        let depth = if (i + 1) % 3 == 0 { 1_000_000 } else { 0 };
        i32::from(copied) + i32::from(green[0]) * 1000 + depth
    });
    file.kernel("of_vectors").each(48, |i| {
        let mut v = [[1.0; 4], [2.0, 3.0, 4.0, 5.0], [0.0; 4], [0.0; 4]];
        [v[2][0], v[2][2]] = [3.0, 5.0];
        v[i % 4][i % 3] += 100.0;
        v[3] = [0, 1, 2, 3].map(|k| v[0][k] + v[2][k]);
        let dot: f32 = v[3].iter().zip([1.0, 10.0, 100.0, 1000.0]).map(|(a, b)| a * b).sum();
        dot + v[i % 4][1]
    });
    file.kernel("ranges").each(40, |i| {
        let i = i as i32;
        [2, 4, 6, 2 * i].iter().fold(6 + i, |sum, x| sum * 2 + x)
    });
    file.kernel("ranges_of_classes").each(40, |i| {
        let i = i as i32;
        let sum = [3, 6, 3 * i].iter().fold(0, |sum, x| sum * 7 + x);
        let down: i32 = (1..=i % 4).filter(|x| *x != 2).sum();
        sum + down * 1000 + (i + 5) * 100_000
    });
    file.kernel("large").each(256, |i| {
        let (mut seen, mut x) = (std::collections::HashSet::new(), i);
        while seen.insert(x) {
            x = (x * 5 + 3) % 256;
            if seen.len() > 20 + i % 5 {
                break;
            }
        }
        (seen.len() * 1000 + x) as u32
    });
    // 0, i, 0, 7, 8 as digits; six times -3; and 1, 0, 0, 0, 9, 9.
    file.kernel("designated").each(9, |i| i as i32 * 1000 + 78 - 18 + 1_900_000 + 24);
    file.finish();
}

#[test]
fn threadgroup() {
    let mut file =
        File::open("threadgroup.metal", include_str!("../../../../tests/msl/threadgroup.metal"));
    // The last group is a partial one.
    file.kernel("reverses").group(128, 1, 1).each(300, |i| {
        let (start, size) = (i / 128 * 128, (300 - i / 128 * 128).min(128));
        (start + size - 1 - i % 128) as i32
    });
    let x: Vec<u32> = (0..1024).map(|i| i * i % 101).collect();
    let sums: Vec<u32> = x.chunks(256).map(|chunk| chunk.iter().sum()).collect();
    file.kernel("tree_sum")
        .input(&x)
        .threadgroup(1024)
        .grid(1024, 1, 1)
        .group(256, 1, 1)
        .expects(&sums);
    file.kernel("scan")
        .input(&x)
        .group(256, 1, 1)
        .each(1024, |i| x[i / 256 * 256..=i].iter().sum::<u32>());
    let (width, height) = (40, 24);
    let tile: Vec<f32> = (0..width * height).map(|i| i as f32).collect();
    let turned: Vec<f32> =
        (0..width * height).map(|at| tile[at % height * width + at / height]).collect();
    file.kernel("transpose_tiles").input(&tile).grid(40, 24, 1).group(8, 8, 1).expects(&turned);
    file.kernel("two_arguments").threadgroup(64 * 8).threadgroup(64 * 8).each(128, |i| {
        let other = i ^ 3;
        let t = other % 64;
        other as f32 * 0.5 + (t * 1000) as u16 as f32 + t as f32 * 0.25 + 3.0
    });
    file.kernel("scalars_and_structs")
        .each(128, |i| ((i / 64 * 64 + 5) * 100 + i % 4 * 7 + 2) as i32);
    file.kernel("barriers_in_functions").each(128, |i| (i + 33) as i32 % 64 * 6);
    file.kernel("through_device_memory")
        .input(&[0; 128])
        .each(128, |i| ((i / 64 * 64 + (i % 64 + 40) % 64) * 2) as i32);
    file.kernel("barriers_in_uniform_branches").input(&[5]).each(64, |i| (i as i32 + 5) % 64);
    file.kernel("simdgroup_barriers").each(128, |i| (i ^ 16) as i32);
    file.kernel("barrier_not_reached")
        .out(&[0; 64])
        .grid(64, 1, 1)
        .faults("does not reach a barrier");
    file.kernel("past_threadgroup_memory").threadgroup(128).out(&[0; 64]).grid(64, 1, 1).faults(
        "thread (32, 0, 0): write of 4 bytes at offset 128 of 'shared', which has 128 bytes",
    );
    file.finish();
}

#[test]
fn attributes() {
    let mut file =
        File::open("attributes.metal", include_str!("../../../../tests/msl/attributes.metal"));
    let expected: Vec<u32> = (0..100u32)
        .flat_map(|g| {
            let size = if g < 96 { 48 } else { 4 };
            [g, g % 48, g / 48, g % 48, size, 100, 3, 48]
        })
        .collect();
    file.kernel("positions_of_one").grid(100, 1, 1).group(48, 1, 1).expects(&expected);
    let (grid, group) = ([9u32, 5, 3], [4u32, 2, 2]);
    let pack = |v: [u32; 3]| v[0] | v[1] << 8 | v[2] << 16;
    let expected: Vec<u32> = (0..9 * 5 * 3)
        .flat_map(|at| {
            let g = [at % 9, at / 9 % 5, at / 45];
            let each = |f: &dyn Fn(usize) -> u32| [f(0), f(1), f(2)];
            let (t, place) = (each(&|k| g[k] % group[k]), each(&|k| g[k] / group[k]));
            let size = each(&|k| group[k].min(grid[k] - place[k] * group[k]));
            let index = (t[2] * size[1] + t[1]) * size[0] + t[0];
            let groups = each(&|k| grid[k].div_ceil(group[k]));
            [pack(g), pack(t), pack(place), index, pack(size), pack(groups), 953, 0]
        })
        .collect();
    file.kernel("positions_of_three").grid(9, 5, 3).group(4, 2, 2).expects(&expected);
    let expected: Vec<u32> = (0..60)
        .map(|at| {
            let (x, y) = (at % 10, at / 10);
            let (n, m) = (if x < 8 { 4 } else { 2 }, 2);
            x + y * 10 + x % 4 * 100 + y % 2 * 1000 + n * 10000 + m * 100_000
        })
        .collect();
    file.kernel("positions_of_two").grid(10, 6, 1).group(4, 2, 1).expects(&expected);
    file.kernel("in_simdgroups").group(80, 1, 1).each(160, |i| {
        let t = i as u32 % 80;
        t % 32 + t / 32 * 100 + 320_000 + 3_000_000 + 320_000_000
    });
    file.kernel("in_quadgroups").group(40, 1, 1).each(80, |i| {
        let t = i as u32 % 40;
        t % 4 + t / 4 * 10 + 10000
    });
    file.kernel("with_the_attribute").each(40, |i| i as u32 + 1);
    file.kernel("limited").each(64, |i| i as u32 + 2);
    file.kernel("calls_visible").each(40, |i| 2 * (i as u32 + 1));
    file.kernel("coherent_memory")
        .input(&(5..45).collect::<Vec<u32>>())
        .input(&[5u32])
        .each(40, |i| i as u32 + 5 + 1 + 5);
    file.kernel("changed_position").each(40, |i| 3 * i as u32);
    file.finish();
}

#[test]
fn buffers() {
    let mut file = File::open("buffers.metal", include_str!("../../../../tests/msl/buffers.metal"));
    let x: Vec<i32> = (0..100).map(|i| i * 7 % 23).collect();
    file.kernel("indices_found")
        .input(&x)
        .input(&[5])
        .input(&[6, 7])
        .each(40, |i| x[i] + 500 + 7000);
    let y: Vec<i32> = (0..40).map(|i| i % 3).collect();
    file.kernel("indices_mixed").input(&x).input(&y).input(&x).each(40, |i| x[i] * 101 + y[i] * 10);
    file.kernel("indices_turned").input(&[3]).input(&[4]).each(40, |_| 34);
    file.kernel("indices_by_expression").input(&[3]).input(&[4]).expects(&[34]);
    // count, scale, four steps, three halves at 16, a bool at 22, and padding in the last 8 bytes.
    let mut parameters = Vec::new();
    50u32.put(&mut parameters);
    0.5f32.put(&mut parameters);
    [1u16, 2, 3, 4].put(&mut parameters);
    [1.5, -1.0, 0.25].map(|x| HALF.bits(x)).put(&mut parameters);
    parameters.extend([1, 0]);
    file.kernel("parameters").input(&parameters).out(&[0f32; 64]).each(64, |i| match i {
        0..50 => -(i as f32 * 0.5 + (i % 4 + 1) as f32 + [1.5, -1.0, 0.25][i % 3]),
        _ => 0.0,
    });
    let noisy: Vec<u64> = noise(41).take(100).collect();
    let small: Vec<i8> = noisy.iter().map(|&x| x as i8).collect();
    file.kernel("bytes").input(&small).each(100, |i| (small[i] >> 1) as u8);
    let short: Vec<u16> = noisy.iter().map(|&x| x as u16).collect();
    file.kernel("shorts").input(&short).each(100, |i| (i32::from(short[i]) - 40000) as i16);
    file.kernel("longs").input(&noisy).each(100, |i| noisy[i].wrapping_mul(3));
    let flags: Vec<u8> = noisy.iter().map(|&x| x as u8 & 1).collect();
    file.kernel("bools").input(&flags).each(100, |i| 1 - flags[i]);
    let strided: Vec<i32> = (0..64).map(|at| x[at % 8 * 3 + at / 8 * 9]).collect();
    file.kernel("strided")
        .input(&x)
        .input(&[3u32, 9])
        .grid(8, 8, 1)
        .group(8, 4, 1)
        .expects(&strided);
    let at: Vec<u16> = noisy.iter().map(|&x| (x >> 7) as u16 % 100).collect();
    file.kernel("gathers").input(&x).input(&at).each(100, |i| x[at[i] as usize]);
    let turned: Vec<u16> = (0..100).map(|i| i * 37 % 100).collect();
    file.kernel("scatters")
        .input(&turned)
        .each(100, |at| turned.iter().position(|&to| to as usize == at).map_or(-1, |i| i as i32));
    file.kernel("in_place").out(&x).each(100, |i| if i & 1 == 1 { x[i] + 10 } else { x[i] * x[i] });
    let pairs: Vec<[f32; 2]> = (0..41).map(|i| [i as f32, i as f32 * 0.5]).collect();
    let triples: Vec<[u8; 4]> = (0..41).map(|i| [i, 2 * i, 3 * i, 77]).collect();
    file.kernel("whole_vectors").input(&pairs).input(&triples).each(40, |i| {
        let ([a, b], [c, d]) = (pairs[i], pairs[i + 1]);
        let [x, y, z, _] = triples[i].map(f32::from);
        [a + x, b + y, c + z, d]
    });
    file.kernel("qualified").input(&x).input(&y).each(40, |i| x[i] - y[i]);
    file.kernel("volatiles").each(40, |i| i as i32 + 1);
    file.kernel("absent").each(40, |i| i as f32);
    file.finish();
}
