//! Rows for scalars: the preprocessor, arithmetic, conversions.

use super::File;
use super::element::{noise, ulps};
use super::reference::{BFLOAT, HALF};

#[test]
fn preprocessor() {
    let text = include_str!("../../../../tests/msl/preprocessor.metal");
    let mut file = File::open("preprocessor.metal", text);
    file.kernel("object_macros").expects(&[42, 42, 42, 499]);
    file.kernel("function_macros").each(40, |i| ((i + 1).pow(2) + 1 + i.pow(2)) as i32);
    file.kernel("variadic_macros").expects(&[3, 3, 42, 2, 5, 11]);
    file.kernel("conditionals").expects(&[1, 2, 0x7 & !2 | 1 << 4, 1]);
    file.kernel("rescans").expects(&[10, 17]);
    file.kernel("nesting").each(40, |i| (4 * i + 2 * (i + 1)) as i32);
    file.kernel("pragmas").each(40, |i| (6 * i + 6 + 2) as i32);
    file.kernel("predefined").expects(&[700, 310, 1, 1, -1]);
    file.kernel("spliced_lines").expects(&[5, 1]);
    file.finish();
}

/// Edge cases of integer arithmetic, then pseudorandom values.
fn longs(seed: u64, count: usize) -> Vec<i64> {
    let edges = [0, 1, -1, 2, -2, 127, 128, -128, 255, 256, 32767, 32768, -32768, 65535, 65536];
    let wide = [i32::MAX.into(), i32::MIN.into(), u32::MAX.into(), 1 << 32, i64::MAX, i64::MIN];
    let noise = noise(seed).map(|bits| bits as i64 >> (bits % 64));
    edges.into_iter().chain(wide).chain(noise).take(count).collect()
}

#[test]
fn scalars() {
    let mut file = File::open("scalars.metal", include_str!("../../../../tests/msl/scalars.metal"));
    file.kernel("sizes").expects(&[
        101,
        101,
        202,
        404,
        808,
        202,
        408,
        1 + 2 + 4 + 8 + 8,
        1 + 2 + 4 + 4 + 8,
    ]);
    file.kernel("wraps_uchar")
        .each(300, |i| (i as u8).wrapping_add(200).wrapping_mul(3).wrapping_sub(1));
    file.kernel("wraps_char").each(300, |i| {
        let a = (i as i8).wrapping_add(100);
        a.wrapping_mul(a).wrapping_add(1).wrapping_neg()
    });
    file.kernel("wraps_short").each(100, |i| !((i * 1000) as i16).wrapping_mul(37) ^ 0x55);
    file.kernel("wraps_ushort").each(100, |i| {
        let a = ((i * 5000) as u16).wrapping_sub(60000);
        a.wrapping_add(a.wrapping_add(1))
    });
    let x = longs(1, 101);
    let ints: Vec<i32> = x.iter().map(|&x| x as i32).collect();
    file.kernel("wraps_int").input(&ints).each(100, |i| {
        let square = ints[i].wrapping_mul(ints[i]);
        square.wrapping_add(ints[i + 1]).wrapping_sub(ints[i] << 3)
    });
    file.kernel("wraps_long").input(&x).each(100, |i| {
        let product = x[i].wrapping_mul(x[i + 1]);
        product.wrapping_sub(x[i] >> 7).wrapping_add(x[i] ^ !x[i + 1])
    });
    file.kernel("wraps_ulong").input(&x).each(100, |i| {
        let x = x[i] as u64;
        x.wrapping_mul(6364136223846793005).wrapping_add(x.rotate_left(31))
    });
    file.kernel("promotion").each(40, |i| {
        let a = 250 + i as i32 % 6;
        (a + 10) * 1000 + 100 + (!a & 1) - 5
    });
    file.kernel("mixed_signs").each(32, |i| {
        let a = i as i32 - 16;
        let unsigned = a as u32;
        i32::from(unsigned < 3)
            + 2 * i32::from(unsigned / 3 == 0)
            + 4 * i32::from(a < 3)
            + 8 * i32::from(a < 0)
            + 16 * (unsigned.wrapping_mul(3) % 2) as i32
    });
    file.kernel("shift_counts").each(130, |i| {
        let (one, minus, wide) = (0x8000_0001u32, -1_000_000i32, 0x8000_0000_0000_0001u64);
        let i = i as u32;
        let narrow = one.wrapping_shl(i) ^ one.wrapping_shr(i) ^ minus.wrapping_shr(i) as u32;
        narrow ^ (wide.wrapping_shr(i) >> 32) as u32 ^ wide.wrapping_shl(i) as u32
    });
    file.kernel("narrow_shifts")
        .each(64, |i| -12345i16 >> (i % 16) ^ (54321u16 << (i % 16)) as i16);

    let y: Vec<i64> =
        longs(2, 140).into_iter().rev().filter(|&y| y as i8 != 0 && y as i32 != 0).collect();
    let y = &y[..100];
    let (x32, y32): (Vec<i32>, Vec<i32>) = (ints, y.iter().map(|&y| y as i32).collect());
    let (x8, y8): (Vec<i8>, Vec<i8>) =
        (x.iter().map(|&x| x as i8).collect(), y.iter().map(|&y| y as i8).collect());
    let pairs =
        |quotient: &dyn Fn(usize) -> [i64; 2]| (0..100).flat_map(quotient).collect::<Vec<i64>>();
    let expected =
        pairs(&|i| [x32[i].wrapping_div(y32[i]), x32[i].wrapping_rem(y32[i])].map(i64::from));
    let expected: Vec<i32> = expected.iter().map(|&x| x as i32).collect();
    file.kernel("divides_int").input(&x32).input(&y32).grid(100, 1, 1).expects(&expected);
    let expected =
        pairs(&|i| [x32[i] as u32 / y32[i] as u32, x32[i] as u32 % y32[i] as u32].map(i64::from));
    let expected: Vec<u32> = expected.iter().map(|&x| x as u32).collect();
    file.kernel("divides_uint").input(&x32).input(&y32).grid(100, 1, 1).expects(&expected);
    let expected = pairs(&|i| [x[i].wrapping_div(y[i]), x[i].wrapping_rem(y[i])]);
    file.kernel("divides_long").input(&x).input(y).grid(100, 1, 1).expects(&expected);
    let expected =
        pairs(&|i| [i64::from(x8[i]) / i64::from(y8[i]), i64::from(x8[i] as u8 % y8[i] as u8)]);
    let expected: Vec<i16> = expected.iter().map(|&x| x as i16).collect();
    file.kernel("divides_narrow").input(&x8).input(&y8).grid(100, 1, 1).expects(&expected);
    file.kernel("divides_by_zero").input(&[0i32; 100]).each(100, |i| 2 * i as u32);

    file.kernel("literals").expects(&[
        0xffff_ffff,
        4_294_967_295,
        0xffff_ffff,
        0b1010_1010,
        0o777,
        i64::from(b'A') + 10 + 16 + 92,
        8,
        i32::MIN.into(),
        1i64 << 32,
        127 - 32768 + 65535,
        i64::MAX,
        5 % -3 + -5 % 3 * 10,
    ]);
    file.kernel("booleans").each(40, |i| {
        let (a, b, c) = (i & 4 != 0, i & 2 != 0, i == 0);
        let bits = [a, b, c, a | b, a == b, a != b, a && !b || c, a & b];
        bits.iter().rev().fold(0, |all, &bit| 2 * all + i32::from(bit))
    });

    let halves = |seed| noise(seed).map(|bits| bits as u16).filter(|&h| HALF.value(h).is_finite());
    let x: Vec<u16> = halves(3).take(1000).collect();
    let y: Vec<u16> = halves(4).take(1000).collect();
    let expected: Vec<u16> = (0..1000)
        .flat_map(|i| {
            let (x, y) = (HALF.value(x[i]), HALF.value(y[i]));
            [x + y, x * y, x - y].map(|exact| HALF.bits(exact))
        })
        .collect();
    file.kernel("half_arithmetic").input(&x).input(&y).grid(1000, 1, 1).expects(&expected);
    let tenth = HALF.round(0.1);
    file.kernel("half_steps")
        .each(100, |i| (0..i).fold(0.0, |sum, _| HALF.round(sum + tenth)) as f32);
    file.kernel("half_with_float").each(100, |i| {
        let h = HALF.round(i as f64 / 3.0) as f32;
        // A product and a sum may be contracted.
        ulps(1.0, f64::from(h) * f64::from(0.1f32) + f64::from(if i & 1 == 1 { h } else { 0.25 }))
    });
    file.kernel("bfloat_arithmetic").each(100, |i| {
        let a = BFLOAT.round(f64::from(i as f32 * 0.37));
        let b = BFLOAT.round(f64::from(1.7f32));
        BFLOAT.round(a * b) as f32 + BFLOAT.round(a + b) as f32
    });
    file.kernel("increments").each(40, |i| (30_000 * i + 200 * i + 10 * i + 3) as i32);
    file.kernel("compound_assignment").each(100, |i| {
        let a = (i as u32 * 77 + 5 + 3 - i as u32) * 9 / 7 % 1000;
        ((a << 3 >> 1 | 0x100) & 0xfff ^ 0x5a5) + 242
    });
    file.kernel("comma_and_conditional").each(40, |i| {
        let (mut a, mut b) = (
            i as i32 + 1,
            if i < 5 {
                1
            } else if i < 10 {
                2
            } else {
                3
            },
        );
        *if i & 1 != 0 { &mut a } else { &mut b } = 100;
        *if i & 2 != 0 { &mut a } else { &mut b } += 6;
        *if i != 0 { &mut a } else { &mut b } -= 1;
        a * 1000 + b
    });
    file.finish();
}

#[test]
fn conversions() {
    let mut file =
        File::open("conversions.metal", include_str!("../../../../tests/msl/conversions.metal"));
    // Values that fit the target: both signs, halves, and just below whole numbers.
    let within = |low: f32, high: f32| {
        let noise = noise(5).map(|bits| f32::from_bits(bits as u32));
        let edges =
            [0.0, -0.0, 0.5, -0.5, 0.999_999_94, 1.0, 1.5, 2.5, 100.99, -100.99, f32::NAN, 1e-40];
        let fits = move |x: &f32| x.is_nan() || low < *x && *x < high;
        let small = (0..).map(|i| (i as f32 - 50.0) * 1.37);
        edges
            .into_iter()
            .filter(fits)
            .chain([high - high * 1e-6])
            .chain(small.filter(fits).take(40))
            .chain(noise.filter(fits))
            .take(128)
            .collect::<Vec<f32>>()
    };
    let x = within(-2_147_483_700.0, 2_147_483_600.0);
    file.kernel("float_to_int").input(&x).each(128, |i| x[i] as i32);
    let x = within(-1.0, 4_294_967_200.0);
    file.kernel("float_to_uint").input(&x).each(128, |i| x[i] as u32);
    let x = within(-9.2e18, 9.2e18);
    file.kernel("float_to_long").input(&x).each(128, |i| x[i] as i64);
    let x = within(-32769.0, 32768.0);
    file.kernel("float_to_short").input(&x).each(128, |i| x[i] as i16);
    let x = within(-1.0, 256.0);
    file.kernel("float_to_uchar").input(&x).each(128, |i| x[i] as u8);
    let x = [0.0, -0.0, 1.0, -0.25, 1e-30, f32::INFINITY, 5.0, 0.5];
    file.kernel("float_to_bool").input(&x).each(8, |i| if x[i] != 0.0 { 7u8 } else { 8 });

    let mut x: Vec<f32> = noise(6).map(|bits| f32::from_bits(bits as u32)).take(1000).collect();
    x.extend(
        noise(7).map(|bits| HALF.value(bits as u16) as f32 * (1.0 + 0.5 * f32::EPSILON)).take(1000),
    );
    // Between two halves, and between the largest and infinity.
    x.extend((0..1000u16).map(|h| ((HALF.value(h * 30) + HALF.value(h * 30 + 1)) / 2.0) as f32));
    x.extend([65519.996, 65520.0, 65536.0, -65520.0, 2.98e-8, 2.981e-8, f32::INFINITY, 0.0, -0.0]);
    x.retain(|x| !x.is_nan());
    file.kernel("float_to_half").input(&x).each(x.len() as u32, |i| HALF.bits(f64::from(x[i])));
    file.kernel("float_to_bfloat").input(&x).each(x.len() as u32, |i| BFLOAT.bits(f64::from(x[i])));
    let all: Vec<u16> = (0..=u16::MAX).collect();
    file.kernel("half_to_float").input(&all).each(65536, |i| HALF.value(i as u16) as f32);
    file.kernel("bfloat_to_float").input(&all).each(65536, |i| BFLOAT.value(i as u16) as f32);
    let positive: Vec<u16> = (0..=0x7bff).collect();
    let expected: Vec<i32> =
        positive.iter().flat_map(|&h| [HALF.value(h) as i32, HALF.value(h) as i32]).collect();
    file.kernel("half_to_ints").input(&positive).grid(0x7c00, 1, 1).expects(&expected);

    let longs = longs(8, 500);
    let ints: Vec<i32> = longs.iter().map(|&x| x as i32).collect();
    let expected: Vec<f32> = ints.iter().flat_map(|&x| [x as f32, x as u32 as f32]).collect();
    file.kernel("int_to_float").input(&ints).grid(500, 1, 1).expects(&expected);
    let expected: Vec<f32> = longs.iter().flat_map(|&x| [x as f32, x as u64 as f32]).collect();
    file.kernel("long_to_float").input(&longs).grid(500, 1, 1).expects(&expected);
    file.kernel("int_to_half").input(&ints).each(500, |i| HALF.bits(f64::from(ints[i])));
    let expected: Vec<i64> = longs
        .iter()
        .flat_map(|&x| {
            let narrow = [i64::from(x as i8), i64::from(x as u8), i64::from(x as i16)];
            narrow.into_iter().chain([
                i64::from(x as u16),
                i64::from(x as i32),
                i64::from(x as u32),
            ])
        })
        .collect();
    file.kernel("between_integers").input(&longs).grid(500, 1, 1).expects(&expected);
    file.kernel("implicit_in_calls")
        .each(40, |i| i32::from((i * 100) as u8) * 1000 + (i as f32 * 0.75) as i32);
    file.finish();
}
