//! Rows for the language apart from arithmetic: user-defined types, names, overload resolution,
//! constants, statements.

use super::File;
use super::element::noise;

#[test]
fn structs() {
    let mut file = File::open("structs.metal", include_str!("../../../../tests/msl/structs.metal"));
    file.kernel("methods").each(40, |i| {
        let i = i as i32;
        let (x, y) = ((i + 3) * 10, 4 - 3);
        (x + y) * 100 + 2 * y + if i > 5 { y * (i - 5) } else { x }
    });
    file.kernel("operators").each(40, |i| {
        // (i + 2j) * 3 - (1 - j) * j, then one more: 3i + 0 + (6 - 1)j before the increments.
        let (re, im) = (3.0 * i as f32 - 1.0, 5.0);
        let (e, d) = (re + 1.0, re + 2.0);
        d * 1000.0 + im + e + 10.0 * im + (100.0 * d + 10000.0 * im) + 2.0
    });
    file.kernel("initialisation")
        .each(40, |i| i as i32 + 50 + (200 + 100 - 256) + 900 + 3000 + i as i32 + 1 + 3);
    file.kernel("nested_by_value").each(40, |i| {
        let cell = |r: usize, c: usize| (r * 10 + c + i) as i32;
        let mut first = [0, 1, 2, 3].map(|c| cell(0, c));
        first[i % 4] = -1;
        (0..4).map(|c| 2 * cell(i % 3, c) - cell(2, c) + first[c]).sum::<i32>()
    });
    let particle = |position: [f32; 3], mass: f32, id: u32, alive: u8| {
        let floats = [position[0], position[1], position[2], mass].map(f32::to_bits);
        [floats[0], floats[1], floats[2], floats[3], id, u32::from(alive)]
    };
    let mass = |i: usize| i as f32 * 0.5;
    let given: Vec<[u32; 6]> =
        (0..40).map(|i| particle([i as f32; 3], mass(i), 7, (i % 2) as u8)).collect();
    file.kernel("structs_in_buffers").out(&given).input(&given).each(40, |i| {
        let position = [1.0, 2.0, 3.0].map(|k| i as f32 + k * mass(i));
        particle(position, mass(i), 7 + i as u32, (1 - i % 2) as u8)
    });
    file.kernel("layout").input(&[0u8; 96]).expects(&[4, 8, 16, 32, 40 + 16 + 8, 80, 16, 80]);
    file.kernel("alignments").expects(&[16, 1, 32]);
    file.kernel("this_in_address_spaces")
        .each(100, |i| 4 * i as i32 + (100 + 3) + (10 + 2) + (1 + 1) + (1000 + 4) - i as i32);
    file.kernel("functors")
        .each(40, |i| (0..i % 10).fold(0.0f32, |sum, j| sum + 1002.0 * j as f32));
    let (dims, steps) = ([2u32, 3, 5], [7u32, 11, 13]);
    file.kernel("defaults_of_members").input(&[dims, steps].concat()).each(40, |i| {
        let i = i as u32;
        let at = i % dims[2] * steps[2] + i / dims[2] % dims[1] * steps[1] + i / 15 * steps[0];
        at + 1000 * 3 * i + 600_000
    });
    file.finish();
}

#[test]
fn unions() {
    let mut file = File::open("unions.metal", include_str!("../../../../tests/msl/unions.metal"));
    let x: Vec<f32> = noise(21).map(|bits| f32::from_bits(bits as u32)).take(64).collect();
    file.kernel("punning").input(&x).each(64, |i| (x[i].to_bits() ^ 0xff).wrapping_add(1 << 16));
    let expected: Vec<i32> = (0..40)
        .flat_map(|i| {
            let whole = [i, (i as f32).to_bits() as i32, i | -1 << 16];
            [i % 3, whole[i as usize % 3]]
        })
        .collect();
    file.kernel("anonymous").grid(40, 1, 1).expects(&expected);
    file.kernel("in_buffers").each(40, |i| {
        let mut words = [i as u32, 1, 2, 3];
        words[i % 4] = 77;
        words[3] += 1;
        words
    });
    file.kernel("enumerations").each(16, |i| {
        let switched = match i {
            1 => 1000,
            2 => 2000,
            11 => 13000,
            i if i > 2 => 10000,
            _ => 0,
        };
        let p = if i & 1 == 1 { 6 } else { 1 };
        p * 10 + 6 - 1 + 1 + 250 + switched + 11
    });
    file.kernel("aliases").each(40, |i| i as i32 + 45 + 5 + 15 + 400 + 3);
    file.finish();
}

#[test]
fn namespaces() {
    let mut file =
        File::open("namespaces.metal", include_str!("../../../../tests/msl/namespaces.metal"));
    file.kernel("outer::in_a_namespace").each(40, |i| 1 + 2 * i as i32);
    file.kernel("lookup").expects(&[50, 12, 101 + 3 + 9, 43, 5, 7]);
    file.kernel("shadowing").each(40, |i| 1 + 100 + 2000 + 10000 * i as i32 + 10 + 2);
    file.kernel("alternative_tokens").each(40, |i| {
        let i = i as u32;
        let y = !((((i & 6) | ((5 * i) ^ 3)) & 0xff) | 0x100);
        let seven = if i > 3 && i <= 9 || i == 1 { 7 } else { 0 };
        y.wrapping_add(seven).wrapping_add(u32::from(i != 2))
    });
    file.kernel("using_declarations").each(40, |i| (i as i32 - 5).clamp(-2, 2) + (i as i32).min(3));
    file.finish();
}

#[test]
fn reopened() {
    let mut file =
        File::open("reopened.metal", include_str!("../../../../tests/msl/reopened.metal"));
    file.kernel("reopened").expects(&[2.5f32, 5.0, 4.0, 5.0, 12.0]);
    file.kernel("metal_builtins").each(32, |i| {
        let x = i as f32;
        32.0 + 2.0 * x + 1.0 + 4.0 + 32000.0 + 0.25 * x + x + 1.0
    });
    file.kernel("features").expects(&[7]);
    file.finish();
}

#[test]
fn traits() {
    let mut file = File::open("traits.metal", include_str!("../../../../tests/msl/traits.metal"));
    file.kernel("limits").expects(&[65504.0f32, 1.0, 1.0, 32767.0, 9.0]);
    file.finish();
}

#[test]
fn evaluation() {
    let mut file =
        File::open("evaluation.metal", include_str!("../../../../tests/msl/evaluation.metal"));
    file.kernel("tables").each(12, |i| {
        let entry = [12.0f32, -8.0, 70.0][i % 3];
        entry + 5.0 + 300.0 + [97.0, 98.0, 99.0, 0.0][i % 4] + 1.0
    });
    file.kernel("members").expects(&[8 + 3 + 1, 6 + 300, 21]);
    // Digits from the last on with weights 1, 1, 2 and 2.
    file.kernel("tail_calls").expects(&[20 + 10 + 5 + 2 + 1, 1, (4 + 3 + 2 * 2 + 2) * 10 + 4]);
    file.kernel("evaluated").expects(&[
        45150 + 2221 + 12,
        178_433_024 / 1024 + 2500 + 90,
        7 + 2 * 7 + 3 * 7,
        7 + 8 + 9,
        6 + 60,
    ]);
    file.finish();
}

#[test]
fn classes() {
    let mut file = File::open("classes.metal", include_str!("../../../../tests/msl/classes.metal"));
    file.kernel("conversions").input(&[20]).expects(&[6.0f32, 22.0, 43.0, 6.5, 1.0, 41.0]);
    file.kernel("by_argument").expects(&[21 + 14, 15, 12]);
    file.kernel("members_of_packs").expects(&[222, 9, 12 + 20 + 2, 321]);
    file.kernel("bound").expects(&[109, 24, 45, 6, 21]);
    file.kernel("spelled").expects(&[3]);
    file.kernel("lists_in_parentheses").expects(&[3, 12, 5, 4]);
    let packed = |t: i32, low: i32, high: i32, a: i32, b: i32, last: i32| {
        t + low * 10 + high * 100 + a * 1000 + b * 10000 + last * 100_000
    };
    file.kernel("designated").expects(&[
        packed(1, 0, 3, 0, 5, 6),
        packed(0, 2, 4, 7, 8, 9),
        1 + 200,
    ]);
    file.kernel("inherited_operators").expects(&[14, 1, 7, 500, 21, 1, 11]);
    file.kernel("by_object").expects(&[1 + 20 + 300 + 2000, 1 + 20, 4 + 50]);
    file.kernel("converted_operands").input(&[1, 2, 4, 8]).expects(&[-3, -1, 70, 1, 1 + 2 + 8, 12]);
    file.finish();
}

#[test]
fn specialisations() {
    let text = include_str!("../../../../tests/msl/specialisations.metal");
    let mut file = File::open("specialisations.metal", text);
    file.kernel("specialised").expects(&[2.0f32 + 20.0 + 200.0, 2730.0, 9624.0, 544.0, 1562.0]);
    file.kernel("outside").expects(&[
        2 + 10 + 300,
        -1100,
        2 + 230,
        9 + 30 + 900,
        5 + 60 + 700 + 8000,
        2 + 10 + 300,
        2 + 40 + 100,
        1 + 20,
        5 + 1006 + 50000 + 200000,
        8 + 50 + 4100,
        2,
    ]);
    file.kernel("friends").expects(&[11 + 500, 1, 23 + 2400]);
    file.kernel("declared_first").expects(&[21, 32, 54]);
    file.finish();
}

#[test]
fn deduction() {
    let text = include_str!("../../../../tests/msl/deduction.metal");
    let mut file = File::open("deduction.metal", text);
    file.kernel("deduced").expects(&[10.0f32, 20.0, 3.5, 42.0, 6.0, 6.5, 5.25, 13.0, 47.5, 3.0]);
    file.finish();
}

#[test]
fn copies() {
    let mut file = File::open("copies.metal", include_str!("../../../../tests/msl/copies.metal"));
    file.kernel("copies").expects(&[
        5210,
        1 + 300,
        1 + 20 + 100,
        1 + 200,
        2 + 20 + 300 + 3000,
        1 + 10 + 3000 + 1000,
        1 + 80 + 100,
        4,
        8 + 20 + 100 + 3000,
    ]);
    file.kernel("assignments").expects(&[11, 11 + 200 + 4000, 21 + 100 + 1000, 8, 1 + 150]);
    file.finish();
}

/// The numbers that objects note, as the kernel packs them.
fn noted(list: &[i64]) -> u64 {
    list.iter().fold(1, |all: u64, &one| all.wrapping_mul(31).wrapping_add((one + 200) as u64))
}

#[test]
fn destructors() {
    let text = include_str!("../../../../tests/msl/destructors.metal");
    let mut file = File::open("destructors.metal", text);
    file.kernel("destructors").expects(&[
        noted(&[1, 2, 3, -3, 4, -4, -2, -1]),
        noted(&[1, 2, 3, -3, -2, -10, -1]),
        noted(&[1, 2, 3, -3, -2, -1]),
        noted(&[1, 101, 7, -101, 101, -101, -1]),
        noted(&[4, 5, 6, -6, -5, -4]),
        noted(&[1, 2, 9, -9, -2, 3, -3, 4, -4, -1]) + 9,
        noted(&[1, 2, 9, -9, 8, -8, -2, -1]) + 5,
        100 + 5,
        noted(&[1, 2, -2, 3, -1]),
    ]);
    file.kernel("kept").expects(&[
        noted(&[1, 2, 102, -102, -2, -1]),
        noted(&[1, 2, 102, -2, -1, -102]),
        noted(&[1, 7, -1, 5, 7, -5]),
        noted(&[1, 2, -2, -1]),
        noted(&[1, 2, 9, -2, -1]),
        noted(&[-4]),
        4500,
        4 + 2,
        5 + 10 + 100 + 3000,
        2,
        noted(&[1, -1, 7, 3, -3, 7, 3, -3]),
        (4 + 3 + 6 + 1 + 3 + 10) * 10,
    ]);
    file.finish();
}

#[test]
fn references() {
    let text = include_str!("../../../../tests/msl/references.metal");
    let mut file = File::open("references.metal", text);
    file.kernel("references").expects(&[13, 12, 123, 810, 121, 13, 12, 110_712, 1]);
    file.kernel("returns_moved").expects(&[37]);
    file.finish();
}

#[test]
fn initializer_lists() {
    let text = include_str!("../../../../tests/msl/initializer_lists.metal");
    let mut file = File::open("initializer_lists.metal", text);
    file.kernel("constants").expects(&[4 + 90 + 1600 + 30000, 5 + 14 + 3300, 9, 6 + 14 + 2200, 6]);
    file.kernel("lists").expects(&[3 + 10 + 1200 + 20000, 51, 7, 311, 15, 1, 6, 63, 7 + 2200, 21]);
    file.finish();
}

#[test]
fn bit_fields() {
    let mut file =
        File::open("bit_fields.metal", include_str!("../../../../tests/msl/bit_fields.metal"));
    // Units of 32 bits: low, middle and high; `other` and the bits after it; `last`.
    let unit = |low: u32, middle: i32, high: u32| {
        low & 7 | (middle as u32 & 31) << 3 | (high & 0xf_ffff) << 8
    };
    let words = [unit(6, -7, 0xabcde), 0xffff | 1 << 16 | 2 << 18, 0xf5];
    file.kernel("read").input(&words).expects(&[
        6,
        -7,
        0xabcde,
        0xffff,
        1,
        2,
        5,
        -3 + 1000,
        1,
        2 + 9,
    ]);
    file.kernel("promoted").input(&words).expects(&[7, 3, 0x10_0000 - 0xabcde, 7, 2]);
    let written: Vec<u32> = (0..8u32)
        .flat_map(|i| {
            let flags = i | (i & 1) << 16 | (i % 3) << 18;
            [unit(i, i as i32 - 4, (1 << i) + 1), flags, ((10 + i) & 15) ^ 3]
        })
        .collect();
    file.kernel("write").grid(8, 1, 1).expects(&written);
    file.finish();
}

#[test]
fn lambdas() {
    let mut file = File::open("lambdas.metal", include_str!("../../../../tests/msl/lambdas.metal"));
    let expected: Vec<i32> = (0..8)
        .flat_map(|x| {
            let whole = (12 + 5 + x) + (5 + 1 + 5 + x);
            [x + 1 + 3 + 7 + 50 + 3, 107 + 9, whole + 2 + 5, 2 * 3 + 4 + 3]
        })
        .collect();
    file.kernel("lambdas").grid(8, 1, 1).expects(&expected);
    file.kernel("qualified").expects(&[6]);
    file.kernel("nested_deeply").expects(&[2234, 2, 14 + 77 + 10]);
    file.kernel("copied_object").expects(&[31225, 5]);
    file.kernel("as_pointers").expects(&[209, 106, 6, 79, 8]);
    file.kernel("in_braces").expects(&[2354, 798, 10 + 4 + 2]);
    file.kernel("captured_packs").expects(&[7, 18, 234, 432, 5, 23]);
    file.finish();
}

#[test]
fn strings() {
    let mut file = File::open("strings.metal", include_str!("../../../../tests/msl/strings.metal"));
    let of = |c: char| c as i32;
    file.kernel("arrays_of_characters").expects(&[
        of('b'),
        255_000 + of('z'),
        of('i') * 10,
        6000 + of('e'),
        of('b') * 1000 + of('c'),
        of('y'),
    ]);
    let names = ["x", "yz", r#"raw "\n""#, "\n)"];
    let (all, length) =
        (names.map(str::len).iter().sum::<usize>() as i32, |i: usize| names[i].len() as i32);
    let expected: Vec<i32> = (0..4)
        .flat_map(|i| {
            let (value, name, tag, own) = [(1, 3, 0, 1), (3, 5, of('I'), 3)][i % 2];
            let first = i32::from(names[i].as_bytes()[0]);
            [length(i) * 100 + first, name * 100 + value * 10 + tag, own * 10 + 4, all]
        })
        .collect();
    file.kernel("tables_of_strings").grid(4, 1, 1).expects(&expected);
    file.finish();
}

#[test]
fn extensions() {
    let text = include_str!("../../../../tests/msl/extensions.metal");
    let mut file = File::open("extensions.metal", text);
    let expected: Vec<i32> = (0..7)
        .flat_map(|i| {
            let kind = [1, 2, 2, 2, 13, 4, 4][i as usize];
            let either = if i == 2 { 77 } else { i - 2 };
            [kind, either, 1 + 10 + 400, 6 + 1 + 800 + 3000 + 10000]
        })
        .collect();
    file.kernel("extensions").grid(7, 1, 1).expects(&expected);
    file.kernel("without_objects").expects(&[38, 16 + 8, 2, 6 + 1100, 4 + 600]);
    file.kernel("parts_in_loops").expects(&[44 + 112 + 404 + 116, 120_716]);
    file.finish();
}

#[test]
fn overloads() {
    let mut file =
        File::open("overloads.metal", include_str!("../../../../tests/msl/overloads.metal"));
    file.kernel("operators_of_wide_vectors").expects(&[-2.0f32]);
    file.kernel("by_rank").expects(&[1, 2, 3, 4, 5, 6, 11, 78, 32, 3]);
    file.kernel("by_address_space").input(&[0; 4]).expects(&[1234, 21, 5]);
    file.kernel("by_reference").input(&[0]).expects(&[2, 1, 1, 3, 4]);
    file.kernel("by_number").expects(&[0, 321, 303, 6, 6]);
    file.kernel("by_user_conversion").expects(&[2.0f32, -5.0, 3.0]);
    file.kernel("by_base").expects(&[2, 3, 21, 2]);
    file.kernel("by_list").expects(&[321, 44, 5, 6, 33]);
    file.kernel("by_ellipsis").expects(&[112, 10, 71]);
    file.kernel("declared_first").each(40, |i| 3 * i as i32 + 1);
    file.kernel("of_call_and_index").each(40, |i| 5 + 60 + 100 * (i as i32 + 1) + 50000);
    file.kernel("own_versions").each(32, |lane| {
        let down = |by: usize| if lane + by < 32 { lane + by } else { lane };
        let sum = down(3) + 1 + down(4) + 2 + down(1) + (lane.min(4) + 5) * 1000 + 100_000 + 1;
        sum as f32
    });
    file.finish();
}

#[test]
fn constants() {
    let mut file =
        File::open("constants.metal", include_str!("../../../../tests/msl/constants.metal"));
    file.kernel("tables").each(60, |i| {
        let table = [1.5, -2.0, 3e2, 0.125, 0.0][i % 5]
            + ([[1, 2, 3], [4, 5, 6]][i % 2][i % 3] * 10) as f32;
        let bytes = [100.0, 200.0, 25000.0, 25500.0][i % 4] + [0.5, 2.0][i & 1];
        let (key, weight, tag) = [(1.0, 2.0, 2.0), (2.0, 6.0, 0.0), (3.0, 0.0, 0.0)][i % 3];
        table + bytes + [4.0, 5.0][i & 1] + (20 * 2 + 42) as f32 + key + weight + tag + 1.0
    });
    let hash = |x: u32| ((x ^ 61) * 9) >> 4;
    file.kernel("constant_expressions").each(40, |i| {
        let sizes = 4 * (8 + 8 - 10) + 2000 + 8 + 4 * 32;
        sizes + 10000 * (i as i32 % 3).pow(3) + (hash(12345) + hash(i as u32)) as i32
    });
    file.kernel("constant_floats").expects(&[
        2.5,
        std::f32::consts::PI,
        1.0 / 3.0,
        13.5,
        f32::MAX,
        f32::EPSILON,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        65504.0,
    ]);
    file.kernel("deduced").each(40, |i| {
        let b = 1.5 * i as f32;
        (b + 1.0) as i32 + (b * 2.0) as i32 * 10 + 2000 + 300 * 10000 + i32::from(i > 0) + 2
    });
    file.kernel("deduced_results").each(40, |i| i as f32 * 0.75);
    file.kernel("referred_to").expects(&[3, 42 + 5 + 42, 82]);
    file.kernel("limits").expects(&[i32::MAX, -32768, 255 - 128, 1, 1, 1, 1, 1]);
    file.kernel("own_limits").expects(&[-32768, 3]);
    file.finish();
}

#[test]
fn control() {
    let mut file = File::open("control.metal", include_str!("../../../../tests/msl/control.metal"));
    file.kernel("conditionals").each(64, |i| match i {
        0..10 => 1,
        10..20 => {
            if i & 1 == 1 {
                2
            } else {
                3
            }
        }
        _ => i as i32 % 4 * 10,
    });
    file.kernel("assigns_and_returns").each(64, |i| if i % 3 == 0 { 2 } else { 1 });
    file.kernel("breaks_after_continues")
        .each(64, |i| (0..4).find(|j| i % (j + 2) != 0).map_or(0, |j| j as i32 + 1));
    file.kernel("loops").each(64, |i| {
        let (mut sum, mut n) = ((0..5).map(|j| j * (10 - j)).sum::<i32>(), i as i32);
        while n > 0 {
            sum += n % 3;
            n /= 2;
        }
        loop {
            n += 1;
            sum += n;
            if n >= i as i32 % 5 {
                break;
            }
        }
        (sum + 6) / 7 * 7
    });
    file.kernel("nested_loops").each(100, |i| {
        let mut sum = 0;
        for a in 0..i % 7 {
            for b in a..9 {
                if (a + b + i) % 5 == 0 {
                    continue;
                }
                if a * b > i {
                    break;
                }
                let passes = (1..).map(|k| b + 3 * k).take_while(|&c| c <= 12);
                sum += passes.filter(|c| c % 2 == 0).sum::<usize>() + 1000;
            }
            if sum > 20000 {
                break;
            }
        }
        sum as i32
    });
    file.kernel("early_returns").each(3000, |i| match i % 3 {
        0 => -1,
        _ => (0..50).find(|j| j * j > i as i32).unwrap_or(100),
    });
    let classify = |x: i32| match (2..x).find(|k| x % k == 0) {
        _ if x < 0 => -1,
        Some(k) if x / k > 10 => k * 100,
        found => found.unwrap_or(0),
    };
    file.kernel("returns_from_calls").each(100, |i| {
        let n = i as i32 - 5;
        if i % 2 == 1 { classify(n) } else { classify(n * 3) + 10000 }
    });
    const POISON: i32 = i32::from_le_bytes([super::POISON; 4]);
    file.kernel("switches").each(64, |i| {
        let grown = |a: i32| if i > 20 { a + 10 } else { (a + 110) * 2 };
        [6, 1, grown(99), grown(0), grown(0), 0, POISON, grown(99), -1, grown(99)][i % 10]
    });
    file.kernel("switches_in_loops").each(64, |i| {
        let mut sum = 0;
        for j in 0..12 {
            sum += match (j + i as i32) % 4 {
                0 => continue,
                1 => 2,
                2 => 1000 + if j & 1 == 1 { 10 } else { 100 },
                _ => 1000,
            };
            if sum > 9000 {
                break;
            }
            sum += 10000 / (j + 1) % 7;
        }
        sum
    });
    file.kernel("short_circuits").each(16, |i| {
        let bit = |k: usize| i & k != 0;
        let (a, b) = (bit(1) && bit(2), bit(4) || bit(8));
        let (c, calls) = if a {
            (1, 1)
        } else if b {
            (5, 2)
        } else {
            (0, 0)
        };
        let calls = calls + i32::from(bit(1)) + i32::from(!bit(4));
        calls * 100 + i32::from(a) + 2 * i32::from(b) + 4 * c
    });
    let x: Vec<i32> = (0..40).map(|i| i % 5 - 1).collect();
    file.kernel("bounds_are_guarded").input(&x).input(&[40u32]).each(64, |i| match x.get(i) {
        Some(&x) if x > 0 => x,
        _ => -1,
    });
    file.kernel("collatz").each(300, |i| {
        let next = |n: &usize| (*n != 1).then(|| if n & 1 == 1 { 3 * n + 1 } else { n / 2 });
        std::iter::successors(Some(i + 1), next).count() as i32 - 1
    });
    file.kernel("uniform_branches").input(&[2]).each(40, |i| 2 * (i as i32 + 15));
    file.kernel("together_again").each(64, |i| i as i32 % 8 * 1000 + 32);
    file.kernel("empty_statements").each(2, |i| 70 + if i == 0 { 8 } else { 7 });
    file.kernel("read_before_a_step").each(64, |i| {
        let before = (i as u8).wrapping_sub(i as u8 & 1);
        i32::from(before) * 1001
    });
    file.kernel("never_ends").out(&[0; 64]).grid(64, 1, 1).faults("no threadgroup finished for");
    file.finish();
}

/// A cell of the product of two matrices, whose elements are exact in `float`, and their sums too.
fn product(
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
    k: usize,
) -> impl Fn(usize, usize) -> f32 {
    move |row, column| (0..k).map(|at| a(row, at) * b(at, column)).sum()
}

#[test]
fn tensors() {
    let mut file = File::open("tensors.metal", include_str!("../../../../tests/msl/tensors.metal"));
    let rows: Vec<i32> = (0..24).map(|at| at / 6 * 10 + at % 6).collect();
    file.kernel("views").at(1).input(&rows).expects(&[34, 0, 33, 23, 22, 32, 332, 7]);

    let numbers = |count: usize, seed: usize| -> Vec<f32> {
        (0..count).map(|at| ((at * 7 + seed * 13) % 17) as f32 - 8.0).collect()
    };
    let (m, n, k) = (50usize, 45usize, 19usize);
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let cell = product(|row, k| a[row * 19 + k], |k, column| b[k * 45 + column], k);
    let expected: Vec<f32> = (0..m * n).map(|at| cell(at / n, at % n)).collect();
    file.kernel("product")
        .input(&a)
        .input(&b)
        .input(&[m as i32, n as i32, k as i32, 0])
        .grid(3 * 128, 3, 1)
        .group(128, 1, 1)
        .expects(&expected);

    let bias = numbers(32, 5);
    for (name, tile, half) in [("tiled_half", 16, true), ("tiled_float", 8, false)] {
        let k = 2 * tile;
        let (a, b) = (numbers(16 * k, 3), numbers(32 * k, 4));
        let cell = product(|row, at| a[row * k + at], |at, column| b[column * k + at], k);
        let expected: Vec<f32> = (0..16 * 32)
            .map(|at| cell(at / 32, at % 32) + bias[at % 32] + if at == 511 { 0.5 } else { 0.0 })
            .collect();
        let case = file.kernel(name).grid(64, 1, 1).group(64, 1, 1);
        let case = match half {
            true => case.input(&halves(&a)).input(&halves(&b)),
            false => case.input(&a).input(&b),
        };
        case.input(&bias).expects(&expected);
    }

    let (a, b) = (numbers(16 * 20, 8), numbers(20 * 16, 9));
    for (name, k) in [("shortened_4", 4), ("shortened_12", 12), ("shortened_16", 16)] {
        let cell = product(|row, k| a[row * 20 + k], |k, column| b[k * 16 + column], k);
        let expected: Vec<f32> = (0..256).map(|at| cell(at / 16, at % 16)).collect();
        let case = file.kernel(name).input(&a).input(&b);
        case.grid(32, 1, 1).group(32, 1, 1).expects(&expected);
    }

    let (a, b) = (numbers(16 * 32, 6), numbers(32 * 32, 7));
    let cell = product(|row, k| a[row * 32 + k], |k, column| b[k * 32 + column], 32);
    let expected: Vec<f32> = (0..512).map(|at| cell(at / 32, at % 32)).collect();
    for name in ["held_nn", "held_nt", "held_tn", "held_tt"] {
        let case = file.kernel(name).input(&a).input(&b);
        case.grid(32, 1, 1).group(32, 1, 1).expects(&expected);
    }

    let (a, b): (Vec<i8>, Vec<u8>) =
        (0..256).map(|at| ((at * 37 % 256) as u8 as i8, (at * 91 % 256) as u8)).unzip();
    let expected: Vec<i32> = (0..256)
        .map(|at| {
            let (row, column) = (at / 16, at % 16);
            let sum = |k: usize| i32::from(a[row * 16 + k]) * i32::from(b[k * 16 + column]);
            1000 + (0..16).map(sum).sum::<i32>()
        })
        .collect();
    file.kernel("bytes")
        .out(&[1000; 256])
        .input(&a)
        .input(&b)
        .grid(32, 1, 1)
        .group(32, 1, 1)
        .expects(&expected);

    let place = |at: usize| {
        let (lane, i) = (at / 16, at % 16);
        let row = (lane >> 4 & 1) * 4 + (lane >> 1 & 3) + (i / 4 % 2) * 8;
        let column = ((lane >> 3 & 1) * 2 + (lane & 1)) * 4 + i % 4 + i / 8 * 16;
        (row * 32 + column) as i32
    };
    let expected: Vec<i32> = (0..512).map(place).collect();
    file.kernel("places").grid(32, 1, 1).group(32, 1, 1).expects(&expected);
    file.finish();
}

fn halves(values: &[f32]) -> Vec<u16> {
    values.iter().map(|&value| crate::fp16::f32_to_fp16(value)).collect()
}
