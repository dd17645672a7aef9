//! Rows for functions across SIMD-groups and quad-groups, and for atomics.

use super::File;
use super::element::noise;

/// The results of a function across a group of lanes, over a grid of whole and partial groups.
fn across<T: Copy, R>(values: &[T], width: usize, f: impl Fn(&[T], usize) -> R) -> Vec<R> {
    let groups = values.chunks(width);
    groups
        .flat_map(|group| (0..group.len()).map(|lane| f(group, lane)).collect::<Vec<_>>())
        .collect()
}

fn ints(seed: u64, count: usize) -> Vec<i32> {
    noise(seed).map(|bits| (bits % 401) as i32 - 200).take(count).collect()
}

#[test]
fn simdgroup() {
    let mut file =
        File::open("simdgroup.metal", include_str!("../../../../tests/msl/simdgroup.metal"));
    let x = ints(51, 128);
    let unsigned: Vec<u32> = noise(52).map(|bits| bits as u32).take(128).collect();
    let floats: Vec<f32> = x.iter().map(|&x| x as f32 * 0.25).collect();
    let grid = 128;
    macro_rules! row {
        ($name:literal, $input:expr, |$group:ident, $lane:ident| $value:expr) => {
            let expected = across(&$input, 32, |$group, $lane| $value);
            file.kernel($name).input(&$input).grid(grid, 1, 1).expects(&expected);
        };
    }
    row!("sums", x, |group, _lane| group.iter().sum::<i32>());
    row!("float_sums", floats, |group, _lane| group.iter().sum::<f32>());
    file.kernel("half_sums").each(64, |_| 496.0f32 + 15.5);
    row!("products", unsigned, |group, _lane| group
        .iter()
        .fold(1, |all: u32, &x| all.wrapping_mul(x)));
    row!("extremes", x, |group, _lane| [group.iter().copied().min(), group.iter().copied().max()]
        .map(Option::unwrap_or_default));
    row!("float_extremes", floats, |group, _lane| [
        group.iter().copied().fold(f32::INFINITY, f32::min),
        group.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    ]);
    row!("bits", unsigned, |group, _lane| [
        group.iter().fold(u32::MAX, |all, x| all & (x | 0xff)),
        group.iter().fold(0, |all, x| all | (x & 0xff_00ff)),
        group.iter().fold(0, |all, x| all ^ x),
    ]);
    file.kernel("vectors").each(64, |_| 496.0f32 + 32_000.0 + 640_000.0 + 31.0);
    // 496 does not fit a uchar.
    file.kernel("narrow").each(64, |_| 496 % 256 - 16_000 + 700_000);
    row!("prefix_sums", x, |group, lane| [
        group[..=lane].iter().sum::<i32>(),
        group[..lane].iter().sum()
    ]);
    row!("prefix_products", unsigned, |group, lane| [lane + 1, lane]
        .map(|end| group[..end].iter().fold(1, |all: u32, &x| all.wrapping_mul(x))));
    row!("shuffles", x, |group, lane| [
        (lane * 7 + 3) % 32,
        lane ^ 5,
        (lane + 29) % 32,
        (lane + 3) % 32
    ]
    .map(|at| group[at]));
    row!("shifts", x, |group, lane| [lane.wrapping_sub(4), lane + 9]
        .map(|at| group.get(at).copied().unwrap_or(0)));
    // The filling data continues the data before lane 0, or after the last lane of the modulo's block.
    row!("fills", x, |group, lane| {
        let up = |delta: usize, modulo: usize| {
            let (block, at) = (lane / modulo * modulo, lane % modulo);
            if at >= delta { group[lane - delta] } else { -group[block + modulo + at - delta] }
        };
        let down = |delta: usize, modulo: usize| {
            let (block, at) = (lane / modulo * modulo, lane % modulo + delta);
            if at < modulo { group[block + at] } else { -group[block + at - modulo] }
        };
        [up(5, 32), down(5, 32), up(3, 8), down(3, 8)]
    });
    row!("broadcasts", x, |group, _lane| group[9] * 3 + group[0]);
    row!("float_shuffles", floats, |group, lane| group[lane ^ 1] + 4.0 * (lane ^ 1) as f32 + 3.0);
    let thirds = (0..32).step_by(3).fold(0, |mask, lane| mask | 1u32 << lane);
    let votes: Vec<u32> = (0..64).flat_map(|_| [thirds, 0, 1 + 4, 1 + 4]).collect();
    file.kernel("votes").grid(64, 1, 1).expects(&votes);
    file.kernel("firsts").each(64, |i| match i % 32 {
        0 => 1,
        5 => 10,
        6 => 100,
        _ => 0,
    });
    row!("diverged", x, |group, lane| {
        let of = |f: &dyn Fn(usize) -> bool| (0..32).filter(|&at| f(at)).collect::<Vec<usize>>();
        let (first, second) = (of(&|at| at % 3 == 1), of(&|at| at % 3 != 1 && at < 20));
        let third = of(&|at| at % 3 != 1 && at >= 20);
        if first.contains(&lane) {
            first.iter().map(|&at| group[at]).sum::<i32>()
        } else if second.contains(&lane) {
            let most = second.iter().map(|&at| group[at]).max().unwrap_or_default();
            most * 1000 + second.iter().filter(|&&at| at < lane).count() as i32
        } else {
            third.len() as i32 + group[third[0]] * 100
        }
    });
    file.kernel("diverged_in_loops").each(64, |i| (0..i % 32).map(|j| 31 - j as i32).sum::<i32>());
    file.kernel("active_threads").each(64, |i| match i % 32 {
        lane if lane % 2 == 0 => 0,
        lane if lane > 10 => 0xaaaa_aaaa & !0x7ff,
        _ => 0x2a0u32,
    });
    let partial: Vec<i32> = x[..40]
        .chunks(32)
        .flat_map(|group| {
            let (sum, least) = (group.iter().sum::<i32>(), group.iter().copied().min());
            let product = group.iter().fold(1i32, |all, x| all.wrapping_mul(1 + x % 2));
            let size = group.len() as i32;
            let same = sum
                + least.unwrap_or_default() * 1000
                + 100_000
                + size * 1_000_000
                + (product & 0xff);
            (1..=size).map(move |last| same + last * 7)
        })
        .collect();
    file.kernel("partial").input(&x).grid(40, 1, 1).expects(&partial);
    let sums: Vec<f32> = floats.chunks(72).map(|group| group.iter().sum()).collect();
    file.kernel("in_functions_reduce")
        .input(&floats)
        .threadgroup(128)
        .grid(128, 1, 1)
        .group(72, 1, 1)
        .expects(&sums);
    file.finish();
}

#[test]
fn quadgroup() {
    let mut file =
        File::open("quadgroup.metal", include_str!("../../../../tests/msl/quadgroup.metal"));
    let x = ints(53, 64);
    macro_rules! row {
        ($name:literal, $input:expr, |$group:ident, $lane:ident| $value:expr) => {
            let expected = across(&$input, 4, |$group, $lane| $value);
            file.kernel($name).input(&$input).grid(64, 1, 1).expects(&expected);
        };
    }
    row!("reductions", x, |group, _lane| {
        let product: i32 = group.iter().map(|x| x % 5).product();
        let xor = group.iter().fold(0, |all, x| all ^ x);
        let ends = [group.iter().copied().min(), group.iter().copied().max()]
            .map(Option::unwrap_or_default);
        [group.iter().sum(), ends[0], ends[1], product + xor * 1000]
    });
    let unsigned: Vec<u32> = noise(54).map(|bits| bits as u32).take(64).collect();
    row!("logic", unsigned, |group, _lane| {
        let (and, or) =
            (group.iter().fold(u32::MAX, |all, x| all & x), group.iter().fold(0, |all, x| all | x));
        and ^ or.wrapping_mul(3)
    });
    row!("prefixes", x, |group, lane| group[..=lane].iter().sum::<i32>()
        + 1000 * group[..lane].iter().sum::<i32>());
    row!("shuffles", x, |group, lane| [
        group[3 - lane],
        group[lane ^ 2],
        group[(lane + 3) % 4],
        group[2] + group[0] * 1000
    ]);
    row!("fills", x, |group, lane| [
        if lane == 0 { -group[3] } else { group[lane - 1] },
        if lane == 0 { group[3] } else { -group[lane - 1] },
    ]);
    file.kernel("votes").each(32, |i| {
        i32::from(i < 12) + 2 * i32::from(i / 4 == 1) + 4 * i32::from(i % 4 == 0) + 8 * 0b1010
    });
    file.finish();
}

#[test]
fn atomics() {
    let mut file = File::open("atomics.metal", include_str!("../../../../tests/msl/atomics.metal"));
    let bytes: Vec<u8> = noise(55).map(|bits| bits as u8).take(5000).collect();
    let count =
        |list: &[u8], what: &dyn Fn(u8) -> bool| list.iter().filter(|&&x| what(x)).count() as u32;
    let counts: Vec<u32> = (0..=255).map(|bin| count(&bytes, &|x| x == bin)).collect();
    file.kernel("counts").input(&bytes).out(&[0u32; 256]).grid(5000, 1, 1).expects(&counts);
    file.kernel("tickets").input(&[0u32]).each(1000, |_| 7u32);

    let start = [3u32, 5, u32::MAX, 0, 9, u32::MAX, 0];
    let x: Vec<u32> = noise(56).map(|bits| bits as u32).take(300).collect();
    let mut unsigned = start;
    for &x in &x {
        unsigned[0] = unsigned[0].wrapping_add(x);
        unsigned[1] = unsigned[1].wrapping_sub(x);
        unsigned[2] &= x | 0xf0f;
        unsigned[3] |= x & 0x3c3c;
        unsigned[4] ^= x;
        unsigned[5] = unsigned[5].min(x);
        unsigned[6] = unsigned[6].max(x);
    }
    file.kernel("unsigned_operations").input(&x).out(&start).grid(300, 1, 1).expects(&unsigned);
    let start = [0, 0, 0, 0, 0, i32::MAX, i32::MIN];
    let mut signed = unsigned.map(|x| x as i32);
    signed[0] -= 3;
    signed[1] = signed[1].wrapping_sub(5);
    signed[2] = 0;
    signed[4] ^= 9;
    signed[5] = x.iter().map(|&x| x as i32).min().unwrap_or_default();
    signed[6] = x.iter().map(|&x| x as i32).max().unwrap_or_default();
    file.kernel("signed_operations").input(&x).out(&start).grid(300, 1, 1).expects(&signed);
    let own = ints(57, 64);
    file.kernel("previous_values").input(&own).each(64, |i| {
        let mut a = own[i];
        let steps: [&dyn Fn(i32) -> i32; 9] = [
            &|a| a + 5,
            &|a| a - 2,
            &|a| a | 64,
            &|a| a & 0x7e,
            &|a| a ^ 0x55,
            &|a| a.max(50),
            &|a| a.min(60),
            &|_| -1,
            &|a| a,
        ];
        let previous = steps.iter().map(|step| {
            let next = step(a);
            std::mem::replace(&mut a, next)
        });
        previous.fold(0, |sum, was| sum * 3 + was)
    });
    file.kernel("stores").each(64, |i| 3 * i as u32);
    let own: Vec<u32> = (0..64).map(|i| i % 20).collect();
    file.kernel("compare_exchange").input(&own).each(64, |i| match own[i] {
        10 => 10000 + 1000 + 99,
        a => a * 100 + a,
    });
    let floats: Vec<f32> = (0..500).map(|i| i as f32 * 0.5).collect();
    let sum = floats.iter().sum::<f32>();
    file.kernel("updates_by_loop").input(&floats).out(&[0f32]).grid(500, 1, 1).expects(&[sum]);
    let halves = [0, 1].map(|odd| floats.iter().skip(odd).step_by(2).sum::<f32>());
    file.kernel("float_add").input(&floats).out(&[0f32; 2]).grid(500, 1, 1).expects(&halves);
    let longs: Vec<u64> = (1..=300u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let (most, least) = (longs.iter().max().unwrap(), longs.iter().min().unwrap());
    let case = file.kernel("long_extremes").input(&longs).out(&[0u64, u64::MAX]);
    case.grid(300, 1, 1).expects(&[*most, *least]);
    file.kernel("float_exchange").input(&floats).each(64, |i| floats[i] * 100.0 + 25.0 + 1.5);
    let flags: Vec<u32> = (0..64).map(|i| i / 2 % 2).collect();
    file.kernel("flags").input(&flags).each(64, |i| {
        let third = u32::from(i % 3 == 0);
        (flags[i] * 3) | third << 2 | third << 3 | 4 << 8 | (i as u32 % 2) << 5
    });
    let bins: Vec<u32> = bytes[..1024]
        .chunks(256)
        .flat_map(|group| (0..16).map(|bin| count(group, &|x| x % 16 == bin)).collect::<Vec<_>>())
        .collect();
    file.kernel("in_threadgroup_memory")
        .input(&bytes)
        .grid(1024, 1, 1)
        .group(256, 1, 1)
        .expects(&bins);
    let x = ints(58, 256);
    file.kernel("threadgroup_signed").input(&x).threadgroup(16).group(128, 1, 1).each(256, |i| {
        let group = &x[i / 128 * 128..][..128];
        let (least, most) = (group.iter().min(), group.iter().max());
        least.copied().unwrap_or_default() * 1000 + most.copied().unwrap_or_default()
    });
    let queue: Vec<u32> = (0..65)
        .map(|at| {
            if at == 0 {
                34
            } else if at <= 34 {
                5
            } else {
                0
            }
        })
        .collect();
    file.kernel("in_structs").out(&[0u32; 65]).grid(100, 1, 1).expects(&queue);
    let total =
        (0..100).map(|i| i * (0..i % 4).filter(|j| (i + j) % 2 == 1).count() as i32).sum::<i32>();
    file.kernel("under_divergence").out(&[0]).grid(100, 1, 1).expects(&[total]);
    file.kernel("fences").out(&[0u32]).grid(100, 1, 1).expects(&[200u32]);
    file.finish();
}
