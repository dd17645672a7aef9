//! Blocks whose texels are derived by hand from the definitions of the formats.

use super::*;
use crate::soft::ir::half::f16_value;

/// A block of fields, each a value and its bits, from the lowest on. The rest is 0.
fn low_first(fields: &[(u32, u32)]) -> [u8; 16] {
    let (mut word, mut at) = (0u128, 0);
    for &(value, count) in fields {
        assert!(count == 32 || value < 1 << count, "{value} in {count} bits");
        word |= u128::from(value) << at;
        at += count;
    }
    assert!(at <= 128, "{at} bits");
    word.to_le_bytes()
}

/// The same from the highest on, in 64 bits, big-endian.
fn high_first(fields: &[(u32, u32)]) -> [u8; 8] {
    let (mut word, mut at) = (0u64, 64);
    for &(value, count) in fields {
        assert!(value < 1 << count, "{value} in {count} bits");
        at -= count;
        word |= u64::from(value) << at;
    }
    word.to_be_bytes()
}

fn eights(codec: Codec, block: &[u8], x: u32, y: u32) -> [f32; 4] {
    texel(codec, block, [x, y]).map(|part| part * 255.0)
}

#[track_caller]
fn near(found: [f32; 4], wanted: [f32; 4]) {
    let same = found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-4);
    assert!(same, "{found:?} instead of {wanted:?}");
}

#[test]
fn bc1_mixes_four_colors_or_three_and_transparent() {
    let third = 1.0 / 3.0;
    let block = low_first(&[(0xf800, 16), (0x001f, 16), (0b11_10_01_00, 8)]);
    for (x, wanted) in
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [2.0 * third, 0.0, third], [third, 0.0, 2.0 * third]]
            .into_iter()
            .enumerate()
    {
        let [red, green, blue] = wanted;
        near(texel(Codec::Bc1, &block[..8], [x as u32, 0]), [red, green, blue, 1.0]);
    }
    // The same in the last row, with the endpoints exchanged.
    let block = low_first(&[(0x001f, 16), (0xf800, 16), (0, 24), (0b11_10_01_00, 8)]);
    near(texel(Codec::Bc1, &block[..8], [0, 3]), [0.0, 0.0, 1.0, 1.0]);
    near(texel(Codec::Bc1, &block[..8], [2, 3]), [0.5, 0.0, 0.5, 1.0]);
    near(texel(Codec::Bc1, &block[..8], [3, 3]), [0.0; 4]);
    let green = low_first(&[(21 << 5, 16)]);
    near(texel(Codec::Bc1, &green[..8], [1, 1]), [0.0, 21.0 / 63.0, 0.0, 1.0]);
}

#[test]
fn bc2_and_bc3_have_alpha() {
    // Alphas of texels 0 and 1, and three colors, which are four here.
    let color = [(0x001f, 16), (0xf800, 16), (0b11_10_01_00, 8)];
    let mut fields = vec![(3, 4), (15, 4), (0, 28), (0, 28)];
    fields.extend(color);
    let block = low_first(&fields);
    near(texel(Codec::Bc2, &block, [0, 0]), [0.0, 0.0, 1.0, 0.2]);
    near(texel(Codec::Bc2, &block, [1, 0]), [1.0, 0.0, 0.0, 1.0]);
    near(texel(Codec::Bc2, &block, [3, 0]), [2.0 / 3.0, 0.0, 1.0 / 3.0, 0.0]);
    let mut fields = vec![(255, 8), (0, 8), (0o7_2_1_0, 24), (0, 24)];
    fields.extend(color);
    let block = low_first(&fields);
    near(texel(Codec::Bc3, &block, [0, 0]), [0.0, 0.0, 1.0, 1.0]);
    near(texel(Codec::Bc3, &block, [1, 0]), [1.0, 0.0, 0.0, 0.0]);
    near(texel(Codec::Bc3, &block, [2, 0]), [1.0 / 3.0, 0.0, 2.0 / 3.0, 6.0 / 7.0]);
    near(texel(Codec::Bc3, &block, [3, 0]), [2.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 7.0]);
}

#[test]
fn bc4_and_bc5_have_six_or_eight_steps() {
    let unsigned = Codec::Bc4 { signed: false };
    let block = low_first(&[(10, 8), (60, 8), (0o7_6_5_2, 24)]);
    for (x, wanted) in [20.0, 50.0, 0.0, 255.0].into_iter().enumerate() {
        near(eights(unsigned, &block[..8], x as u32, 0), [wanted, 0.0, 0.0, 255.0]);
    }
    let signed = Codec::Bc4 { signed: true };
    // -128 is less than -127, so there are six; both are -1.
    let block = low_first(&[(0x80, 8), (0x81, 8), (0o7_6_1_0, 24)]);
    for (x, wanted) in [-1.0, -1.0, -1.0, 1.0].into_iter().enumerate() {
        near(texel(signed, &block[..8], [x as u32, 0]), [wanted, 0.0, 0.0, 1.0]);
    }
    let block = low_first(&[(127, 8), (0, 8), (0o2, 24), (0, 24), (0, 8), (255, 8), (0o7, 24)]);
    near(texel(signed, &block[..8], [0, 0]), [6.0 / 7.0, 0.0, 0.0, 1.0]);
    near(texel(Codec::Bc5 { signed: false }, &block, [0, 0]), [108.857 / 255.0, 1.0, 0.0, 1.0]);
    near(texel(Codec::Bc5 { signed: true }, &block, [0, 0]), [6.0 / 7.0, -6.0 / 889.0, 0.0, 1.0]);
}

/// `count` times the same field.
fn times(count: usize, field: (u32, u32)) -> Vec<(u32, u32)> {
    vec![field; count]
}

#[test]
fn bc7_has_eight_modes() {
    let check = |parts: &[&[(u32, u32)]], wanted: &[([u32; 2], [u8; 4])]| {
        let block = low_first(&parts.concat());
        for &([x, y], wanted) in wanted {
            assert_eq!(bptc::texel(word(&block), x, y), wanted, "{:#x} at {x}, {y}", block[0]);
        }
    };
    let zeros = |count| times(count, (0, 1));
    // Three subsets: red up to 15, red 15, green 15; a low bit for each end; indices of two (the anchors) or three bits.
    check(
        &[
            &[(1, 1), (0, 4), (0, 4), (15, 4), (15, 4), (15, 4), (0, 4), (0, 4)],
            &[(0, 16), (15, 4), (15, 4), (0, 24), (0, 1), (1, 1), (1, 1), (1, 1), (0, 2)],
            &[(0, 2), (7, 3), (0, 3), (0, 2), (1, 3)],
        ],
        &[
            ([0, 0], [0, 0, 0, 255]),
            ([1, 0], [255, 8, 8, 255]),
            ([2, 0], [255, 8, 8, 255]),
            ([1, 2], [0, 247, 0, 255]),
            ([0, 1], [36, 1, 1, 255]),
        ],
    );
    // Two subsets, the upper and the lower half, each with a low bit.
    check(
        &[
            &[(2, 2), (13, 6), (0, 6), (63, 6), (63, 6), (63, 6), (0, 24), (0, 24), (1, 1), (0, 1)],
            &[(0, 2), (7, 3)],
        ],
        &[([0, 0], [2, 2, 2, 255]), ([1, 0], [255, 2, 2, 255]), ([3, 3], [253, 0, 0, 255])],
    );
    // Three subsets: two rows, one, one.
    check(
        &[
            &[(4, 3), (8, 6), (31, 5), (31, 5), (0, 20), (0, 10), (31, 5), (31, 5), (0, 10)],
            &[(0, 25), (16, 5), (0, 22), (3, 2), (1, 2)],
        ],
        &[
            ([3, 1], [255, 0, 0, 255]),
            ([1, 2], [0, 255, 0, 255]),
            ([0, 3], [0, 0, 132, 255]),
            ([1, 3], [0, 0, 43, 255]),
        ],
    );
    // Two subsets, left and right, with a low bit for each end.
    check(
        &[
            &[(8, 4), (0, 6), (127, 7), (127, 7), (0, 14), (0, 28), (0, 28)],
            &[(1, 1), (0, 1), (0, 2), (0, 1), (3, 2)],
        ],
        &[([0, 0], [255, 1, 1, 255]), ([1, 0], [254, 0, 0, 255]), ([2, 0], [0, 0, 0, 255])],
    );
    // Indices of two and of three bits: for color and alpha, exchanged, and rotated.
    for (rotation, selection, wanted) in [
        (0, 0, [84, 0, 0, 36]),
        (0, 1, [36, 0, 0, 84]),
        (1, 0, [36, 0, 0, 84]),
        (2, 0, [84, 36, 0, 0]),
        (3, 0, [84, 0, 36, 0]),
    ] {
        check(
            &[
                &[
                    (16, 5),
                    (rotation, 2),
                    (selection, 1),
                    (0, 5),
                    (31, 5),
                    (0, 20),
                    (0, 6),
                    (63, 6),
                ],
                &[(0, 1), (1, 2), (0, 28), (0, 2), (1, 3)],
            ],
            &[([1, 0], wanted)],
        );
    }
    // The same with two bits each.
    check(
        &[
            &[(32, 6), (0, 2), (0, 7), (127, 7), (0, 28), (7, 8), (200, 8)],
            &[(0, 1), (3, 2), (0, 28), (0, 1), (2, 2)],
        ],
        &[([0, 0], [0, 0, 0, 7]), ([1, 0], [255, 0, 0, 137])],
    );
    // One subset, indices of four bits.
    check(
        &[
            &[(64, 7), (0, 7), (127, 7), (0, 28), (127, 7), (127, 7), (0, 1), (1, 1)],
            &[(0, 3), (8, 4)],
        ],
        &[([0, 0], [0, 0, 0, 254]), ([1, 0], [135, 1, 1, 255])],
    );
    // Two subsets with alpha.
    check(
        &[&[(128, 8), (0, 6), (31, 5), (0, 15), (0, 20), (0, 20), (0, 20), (1, 1)], &zeros(3)],
        &[([0, 0], [255, 4, 4, 4]), ([3, 0], [0; 4])],
    );
    check(&[&[(0, 8), (255, 8)]], &[([0, 0], [0; 4])]);
}

#[test]
fn bc6h_modes_use_each_bit_once() {
    bptc::tests::check_layouts();
}

#[test]
fn bc6h_halves() {
    let unsigned = Codec::Bc6h { signed: false };
    let signed = Codec::Bc6h { signed: true };
    // Ten bits each.
    let block = low_first(&[(3, 5), (0x3ff, 10), (0, 10), (512, 10)]);
    let half = f16_value;
    assert_eq!(texel(unsigned, &block, [0, 0]), [65504.0, 0.0, half(0x3e0f), 1.0]);
    assert_eq!(texel(signed, &block, [0, 0]), [half(0x8000 | 93), 0.0, -65504.0, 1.0]);
    // Eleven bits, and a difference of -1.
    let block = low_first(&[(7, 5), (0, 30), (0x1ff, 9), (1, 1), (0, 20), (0, 3), (15, 4)]);
    assert_eq!(texel(unsigned, &block, [1, 0]), [half(0x3df8), 0.0, 0.0, 1.0]);
    // Sixteen bits, of which the upper six are reversed.
    let block = low_first(&[(15, 5), (1, 10), (0, 20), (0, 4), (1, 6)]);
    assert_eq!(texel(unsigned, &block, [0, 0]), [1.5, 0.0, 0.0, 1.0]);
    // Reserved modes.
    for mode in [19, 23, 27, 31] {
        let block = low_first(&[(mode, 5), (0xffff, 16)]);
        assert_eq!(texel(unsigned, &block, [2, 2]), [0.0, 0.0, 0.0, 1.0]);
    }
}

/// The codes of texels a, b, c and d, the first column, in the lower half of a block.
fn first_column(codes: [u32; 4]) -> [(u32, u32); 2] {
    let bits = |shift: u32| {
        let bits = codes.iter().enumerate().map(|(at, code)| (code >> shift & 1) << at);
        bits.sum()
    };
    [(bits(1), 16), (bits(0), 16)]
}

#[track_caller]
fn check_etc(codec: Codec, fields: &[&[(u32, u32)]], wanted: &[([u32; 2], [u8; 4])]) {
    let block = high_first(&fields.concat());
    for &(at, wanted) in wanted {
        near(texel(codec, &block, at).map(|part| part * 255.0), wanted.map(f32::from));
    }
}

#[test]
fn etc2_has_five_modes() {
    let color = Codec::Etc2;
    let halves = |flipped: u32| {
        [(15, 4), (1, 4), (0, 4), (2, 4), (0, 4), (3, 4), (0, 3), (7, 3), (0, 1), (flipped, 1)]
    };
    // Steps of 2 and 8 on the left, of 47 and 183 on the right; only the last texel has a code.
    let last = [(0, 16), (0x8000, 16)];
    check_etc(
        color,
        &[&halves(0), &last],
        &[
            ([0, 0], [255, 2, 2, 255]),
            ([0, 3], [255, 2, 2, 255]),
            ([3, 0], [64, 81, 98, 255]),
            ([3, 3], [200, 217, 234, 255]),
        ],
    );
    check_etc(
        color,
        &[&halves(1), &last],
        &[([3, 0], [255, 2, 2, 255]), ([0, 3], [64, 81, 98, 255])],
    );
    // 16, and 16 - 4.
    let differences =
        [(16, 5), (4, 3), (0, 5), (0, 3), (0, 5), (0, 3), (0, 3), (0, 3), (1, 1), (0, 1)];
    check_etc(
        color,
        &[&differences, &first_column([0, 1, 2, 3])],
        &[
            ([0, 0], [134, 2, 2, 255]),
            ([0, 1], [140, 8, 8, 255]),
            ([0, 2], [130, 0, 0, 255]),
            ([0, 3], [124, 0, 0, 255]),
            ([2, 0], [101, 2, 2, 255]),
        ],
    );
    let mode_t = |bit: u32| {
        [(7, 3), (3, 2), (0, 1), (3, 2), (0, 8), (0, 4), (8, 4), (0, 4), (1, 2), (bit, 1), (0, 1)]
    };
    let codes = first_column([0, 1, 2, 3]);
    check_etc(
        color,
        &[&mode_t(1), &codes],
        &[
            ([0, 0], [255, 0, 0, 255]),
            ([0, 1], [11, 147, 11, 255]),
            ([0, 2], [0, 136, 0, 255]),
            ([0, 3], [0, 125, 0, 255]),
        ],
    );
    let mode_h = [
        [(0, 1), (8, 4), (2, 3), (7, 3), (1, 1), (1, 1), (0, 1)],
        [(6, 3), (0, 4), (0, 4), (1, 4), (1, 1), (1, 1), (0, 1)],
    ]
    .concat();
    check_etc(
        color,
        &[&mode_h, &codes],
        &[
            ([0, 0], [168, 117, 255, 255]),
            ([0, 1], [104, 53, 206, 255]),
            ([0, 2], [32, 32, 49, 255]),
            ([0, 3], [0, 0, 0, 255]),
        ],
    );
    let planar = |bit: u32| {
        [
            &[(1, 1), (63, 6), (0, 1), (0, 1), (0, 6), (0, 1), (7, 3), (3, 2), (0, 1)][..],
            &[(6, 3), (0, 5), (bit, 1), (0, 1), (127, 7), (30, 6), (63, 6), (0, 7), (30, 6)],
        ]
        .concat()
    };
    let wanted = [([0, 0], [255, 0, 121, 255]), ([2, 1], [128, 128, 121, 255])];
    check_etc(color, &[&planar(1)], &wanted);
    // With one bit of alpha the third code is transparent, except in the planar mode.
    let punch = Codec::Etc2Punch;
    let mut transparent = differences;
    check_etc(punch, &[&differences, &codes], &[([0, 2], [130, 0, 0, 255])]);
    transparent[8] = (0, 1);
    check_etc(
        punch,
        &[&transparent, &codes],
        &[
            ([0, 0], [132, 0, 0, 255]),
            ([0, 1], [140, 8, 8, 255]),
            ([0, 2], [0; 4]),
            ([0, 3], [124, 0, 0, 255]),
        ],
    );
    check_etc(punch, &[&mode_t(0), &codes], &[([0, 0], [255, 0, 0, 255]), ([0, 2], [0; 4])]);
    check_etc(punch, &[&planar(0)], &wanted);
}

#[test]
fn eac_multiplies_factors() {
    // Base, multiplier, table, and the codes of the first column.
    let block = |base: u32, multiplier: u32, table: u32, codes: [u32; 4]| {
        let mut fields = vec![(base, 8), (multiplier, 4), (table, 4)];
        fields.extend(codes.map(|code| (code, 3)));
        high_first(&fields)
    };
    let alphas = [block(100, 2, 0, [0, 7, 4, 3]), [0; 8]].concat();
    for (y, wanted) in [94.0, 128.0, 104.0, 70.0].into_iter().enumerate() {
        assert_eq!(eights(Codec::Etc2Eac, &alphas, 0, y as u32)[3], wanted);
    }
    let one = Codec::Eac { both: false, signed: false };
    let sixteenths = block(128, 0, 13, [4, 0, 7, 3]);
    for (y, wanted) in [1028.0, 1027.0, 1037.0, 1018.0].into_iter().enumerate() {
        near(texel(one, &sixteenths, [0, y as u32]), [wanted / 2047.0, 0.0, 0.0, 1.0]);
    }
    let both = [block(255, 15, 0, [7, 0, 0, 0]), block(0x80, 1, 13, [4, 5, 0, 0])].concat();
    let two = |signed| Codec::Eac { both: true, signed };
    near(texel(two(false), &both, [0, 0]), [1.0, 1028.0 / 2047.0, 0.0, 1.0]);
    near(texel(two(true), &both, [0, 0]), [1.0, -1016.0 / 1023.0, 0.0, 1.0]);
    near(texel(two(true), &both, [0, 1]), [-368.0 / 1023.0, -1008.0 / 1023.0, 0.0, 1.0]);
}

/// A block of 4 × 4 texels with as many weights of two bits, one partition and one mode of endpoints. Texel 0 has the
/// first endpoint, texel 1 the second.
fn astc_block(mode: u32, values: &[u32]) -> [u8; 16] {
    let mut fields = vec![(0x42, 11), (0, 2), (mode, 4)];
    fields.extend(values.iter().map(|&value| (value, 8)));
    let block = u128::from_le_bytes(low_first(&fields));
    (block | 3 << 124).to_le_bytes()
}

fn astc(profile: Profile) -> Codec {
    Codec::Astc(4, 4, profile)
}

#[test]
fn astc_endpoints_of_low_range() {
    let grey = |grey: u8, alpha: u8| [grey, grey, grey, alpha];
    type Row<'a> = (u32, &'a [u32], [u8; 4], [u8; 4]);
    let rows: [Row<'_>; 14] = [
        (0, &[10, 200], grey(10, 255), grey(200, 255)),
        (1, &[128, 0x45], grey(96, 255), grey(101, 255)),
        (1, &[252, 0xff], grey(255, 255), grey(255, 255)),
        (4, &[10, 200, 30, 40], grey(10, 30), grey(200, 40)),
        (5, &[100, 20, 200, 138], grey(50, 228), grey(60, 233)),
        (6, &[100, 200, 50, 128], [50, 100, 25, 255], [100, 200, 50, 255]),
        (8, &[10, 20, 30, 40, 50, 60], [10, 30, 50, 255], [20, 40, 60, 255]),
        (8, &[20, 10, 40, 30, 60, 50], [30, 40, 50, 255], [40, 50, 60, 255]),
        (9, &[100, 20, 100, 20, 100, 20], grey(50, 255), grey(60, 255)),
        (9, &[100, 126, 100, 126, 100, 126], grey(49, 255), grey(50, 255)),
        (10, &[100, 200, 50, 128, 7, 9], [50, 100, 25, 7], [100, 200, 50, 9]),
        (12, &[10, 20, 30, 40, 50, 60, 1, 2], [10, 30, 50, 1], [20, 40, 60, 2]),
        (12, &[20, 10, 40, 30, 60, 50, 1, 2], [30, 40, 50, 2], [40, 50, 60, 1]),
        (13, &[100, 20, 100, 20, 100, 20, 100, 20], grey(50, 50), grey(60, 60)),
    ];
    for (mode, values, first, second) in rows {
        let block = astc_block(mode, values);
        near(eights(astc(Profile::Srgb), &block, 0, 0), first.map(f32::from));
        near(eights(astc(Profile::Srgb), &block, 1, 0), second.map(f32::from));
        // In 16 bits, cut to a half.
        let exact = |part: u8| match part {
            255 => 1.0,
            _ => f32::from(part) * 257.0 / 65536.0,
        };
        for profile in [Profile::Ldr, Profile::Hdr] {
            let found = texel(astc(profile), &block, [1, 0]);
            for (found, part) in found.into_iter().zip(second) {
                let exact = exact(part);
                assert!(found <= exact && exact - found <= exact / 1024.0, "{found} {exact}");
            }
        }
    }
}

#[test]
fn astc_endpoints_of_high_range() {
    // Twelve bits of which the upper five are an exponent: below a quarter of the fraction, steps are three eighths.
    let number = |bits: u32| {
        let fraction = (bits & 0x7f) << 4;
        assert!(fraction < 512, "the first quarter");
        f16_value(((bits >> 7) << 10 | (3 * fraction) >> 3) as u16)
    };
    let grey = |bits: u32| [bits, bits, bits, 0x780];
    type Row<'a> = (u32, &'a [u32], [u32; 4], [u32; 4]);
    let rows: [Row<'_>; 8] = [
        (2, &[0x10, 0x20], grey(0x100), grey(0x200)),
        (2, &[0x20, 0x11], grey(0x118), grey(0x200 - 8)),
        (3, &[0x85, 0x21], grey(0x214), grey(0x218)),
        (3, &[0x05, 0x21], grey(0x20a), grey(0x20c)),
        (7, &[0xc0, 0xa0, 0x80, 0x84], [0x780, 0x380, 0, 0x780], [0x800, 0x400, 0, 0x780]),
        (
            11,
            &[0x10, 0x20, 0x30, 0x40, 0x84, 0x88],
            [0x100, 0x300, 0x80, 0x780],
            [0x200, 0x400, 0x100, 0x780],
        ),
        (
            11,
            &[0x42, 0x01, 0x01, 0x02, 0x01, 0x02],
            [0x208, 0x1f8, 0x1e8, 0x780],
            [0x210, 0x208, 0x200, 0x780],
        ),
        (
            15,
            &[0x10, 0x20, 0x30, 0x40, 0x84, 0x88, 0x84, 0x88],
            [0x100, 0x300, 0x80, 0x80],
            [0x200, 0x400, 0x100, 0x100],
        ),
    ];
    for (mode, values, first, second) in rows {
        let block = astc_block(mode, values);
        for (x, wanted) in [(0, first), (1, second)] {
            let found = texel(astc(Profile::Hdr), &block, [x, 0]);
            // Values in other quarters are compared by their exponents alone.
            for (found, bits) in found.into_iter().zip(wanted) {
                if bits & 0x7f < 32 {
                    assert_eq!(found, number(bits), "mode {mode}, {bits:#x}");
                } else {
                    let exact = f32::exp2((bits >> 7) as f32 - 15.0);
                    assert!(found >= exact && found < 2.0 * exact, "mode {mode}, {bits:#x}");
                }
            }
            near(texel(astc(Profile::Ldr), &block, [x, 0]), [1.0, 0.0, 1.0, 1.0]);
        }
    }
    // Colors of high range with an alpha of low range.
    let block = astc_block(14, &[0x10, 0x20, 0x30, 0x40, 0x84, 0x88, 0, 255]);
    assert_eq!(texel(astc(Profile::Hdr), &block, [0, 0])[3], 0.0);
    assert_eq!(texel(astc(Profile::Hdr), &block, [1, 0])[3], 1.0);
}

#[test]
fn astc_blocks_of_one_color() {
    let block = |high: u32, extent: u32, parts: [u32; 4]| {
        let mut fields = vec![(0x1fc, 9), (high, 1), (3, 2)];
        fields.extend([(extent, 13); 4]);
        fields.extend(parts.map(|part| (part, 16)));
        low_first(&fields)
    };
    let ones = 0x1fff;
    let color = block(0, ones, [0x8000, 0, 0xffff, 0x4000]);
    near(texel(astc(Profile::Ldr), &color, [3, 2]), [0.5, 0.0, 1.0, 0.25]);
    near(eights(astc(Profile::Srgb), &color, 3, 2), [128.0, 0.0, 255.0, 64.0]);
    let high = block(1, ones, [0x3c00, 0x4000, 0x7bff, 0x3c00]);
    near(texel(astc(Profile::Hdr), &high, [0, 0]), [1.0, 2.0, 65504.0, 1.0]);
    let invalid = [1.0, 0.0, 1.0, 1.0];
    near(texel(astc(Profile::Ldr), &high, [0, 0]), invalid);
    near(texel(astc(Profile::Hdr), &block(0, 5, [0; 4]), [0, 0]), invalid);
    // Reserved modes, and a grid that is larger than the block.
    near(texel(astc(Profile::Ldr), &[0; 16], [0, 0]), invalid);
    let wide = low_first(&[(0x42 | 1 << 7, 11)]);
    near(texel(astc(Profile::Ldr), &wide, [0, 0]), invalid);
    assert_ne!(texel(Codec::Astc(5, 4, Profile::Ldr), &wide, [0, 0]), invalid);
}

#[test]
fn astc_digits_reach_every_combination() {
    astc::tests::check_digits();
}
