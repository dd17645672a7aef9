//! Rows for the library's functions of integers and of bits.

use super::File;
use super::element::{Element, Expected, noise};
use super::reference::BFLOAT;

/// The integer types of the library, as used by the rows.
trait Integer: Element + Expected + PartialEq + 'static {
    const BITS: u32;
    fn from_bits(bits: u64) -> Self;
    /// The value, exactly.
    fn wide(self) -> i128;
    /// The exact value, wrapped to the type.
    fn wrapped(wide: i128) -> Self;
    /// The exact value, clamped to the type.
    fn clamped(wide: i128) -> Self;
}

macro_rules! integer {
    ($($ty:ty)*) => {$(
        impl Integer for $ty {
            const BITS: u32 = <$ty>::BITS;
            fn from_bits(bits: u64) -> Self { bits as $ty }
            fn wide(self) -> i128 { self.into() }
            fn wrapped(wide: i128) -> Self { wide as $ty }
            fn clamped(wide: i128) -> Self { wide.clamp(<$ty>::MIN.into(), <$ty>::MAX.into()) as $ty }
        }
    )*};
}

integer! { i8 u8 i16 u16 i32 u32 i64 u64 }

/// `n` numbers, small and extreme ones among them.
fn numbers<T: Integer>(seed: u64) -> Vec<T> {
    let edges = [0, 1, 2, u64::MAX, u64::MAX - 1, 1 << (T::BITS - 1), (1 << (T::BITS - 1)) - 1];
    let noise = noise(seed).map(|bits| if bits % 5 == 0 { bits >> 56 } else { bits });
    edges.into_iter().chain(noise).take(COUNT).map(T::from_bits).collect()
}

const COUNT: usize = 200;

/// A row whose kernel writes `n` numbers for each pair of its inputs.
fn pairs<T: Integer, R: Expected, const N: usize>(
    file: &mut File,
    kernel: &'static str,
    f: impl Fn(T, T) -> [R; N],
) {
    let (x, mut y) = (numbers::<T>(61), numbers::<T>(62));
    y.rotate_right(3);
    let expected: Vec<[R; N]> = x.iter().zip(&y).map(|(&x, &y)| f(x, y)).collect();
    file.kernel(kernel).input(&x).input(&y).grid(COUNT as u32, 1, 1).expects(&expected);
}

fn counts<T: Integer>(file: &mut File, kernel: &'static str) {
    pairs(file, kernel, |x: T, _| {
        let bits = (x.wide() as u64) << (64 - T::BITS);
        let leading = bits.leading_zeros().min(T::BITS);
        let trailing = (bits >> (64 - T::BITS)).trailing_zeros().min(T::BITS);
        let [ones, leading, trailing] =
            [bits.count_ones(), leading, trailing].map(|n| T::wrapped(n.into()));
        [ones, leading, trailing, T::from_bits(bits.reverse_bits())]
    });
}

fn saturating<T: Integer>(file: &mut File, kernel: &'static str) {
    pairs(file, kernel, |x: T, y: T| {
        let (x, y) = (x.wide(), y.wide());
        [
            T::clamped(x + y),
            T::clamped(x - y),
            T::wrapped((x + y) >> 1),
            T::wrapped((x + y + 1) >> 1),
        ]
    });
}

fn products<T: Integer>(file: &mut File, kernel: &'static str) {
    pairs(file, kernel, |x: T, y: T| {
        let high = x.wide().wrapping_mul(y.wide()) >> T::BITS;
        let count = (y.wide() as u64 % u64::from(T::BITS)) as u32;
        let bits = x.wide() as u64 & (u64::MAX >> (64 - T::BITS));
        let rotated = u128::from(bits) << count;
        let rotated = (rotated | rotated >> T::BITS) as u64;
        [T::wrapped(high), T::wrapped(high + x.wide()), T::from_bits(rotated)]
    });
}

#[test]
fn integers() {
    let mut file =
        File::open("integers.metal", include_str!("../../../../tests/msl/integers.metal"));
    counts::<u32>(&mut file, "counts_uint");
    counts::<i32>(&mut file, "counts_int");
    counts::<u8>(&mut file, "counts_uchar");
    counts::<i16>(&mut file, "counts_short");
    counts::<u64>(&mut file, "counts_ulong");
    saturating::<i32>(&mut file, "saturating_int");
    saturating::<u32>(&mut file, "saturating_uint");
    saturating::<i8>(&mut file, "saturating_char");
    saturating::<u8>(&mut file, "saturating_uchar");
    saturating::<i16>(&mut file, "saturating_short");
    saturating::<i64>(&mut file, "saturating_long");
    saturating::<u64>(&mut file, "saturating_ulong");
    products::<i32>(&mut file, "products_int");
    products::<u32>(&mut file, "products_uint");
    products::<i16>(&mut file, "products_short");
    products::<u8>(&mut file, "products_uchar");
    products::<i64>(&mut file, "products_long");
    products::<u64>(&mut file, "products_ulong");

    let table: Vec<u32> = (0..512).map(|k| k * k + 1).collect();
    let bytes: Vec<u8> = (0..=255).flat_map(|k: u8| [k, k.wrapping_mul(7), 0, 0]).collect();
    file.kernel("narrow_sums_wrap").input(&bytes).input(&table).each(256, |i| {
        let (x, y) = (bytes[4 * i].wrapping_add(200), bytes[4 * i + 1] >> 1);
        table[usize::from(x)] + table[usize::from(y)]
    });
    pairs(&mut file, "of_24_bits", |x: i32, y: i32| {
        let product = (x << 8 >> 8).wrapping_mul(y << 8 >> 8);
        [product.wrapping_add(77) ^ product]
    });
    pairs(&mut file, "of_24_bits_unsigned", |x: u32, y: u32| {
        let low = (x & 0xff_ffff).wrapping_mul(y & 0xff_ffff);
        [low.wrapping_add(77) ^ (x >> 8).wrapping_mul(y >> 8)]
    });
    pairs(&mut file, "saturated_products", |x: i32, y: i32| {
        [i32::clamped(x.wide() * y.wide() + 1000)]
    });
    pairs(&mut file, "saturated_products_unsigned", |x: u32, y: u32| {
        [u32::clamped(x.wide() * i128::from(y >> 16) + 1000)]
    });
    pairs(&mut file, "differences", |x: i32, y: i32| {
        [x.abs_diff(y), (x as u32).abs_diff(y as u32), x.wrapping_abs() as u32]
    });
    pairs(&mut file, "fields", |x: u32, y: u32| {
        let (offset, bits) = (y % 24, y / 32 % 9);
        let mask = (1 << bits) - 1;
        let field = x >> offset & mask;
        let negative = bits > 0 && field >> (bits - 1) == 1;
        let signed = if negative { field | !mask } else { field };
        [field, signed, x & !(mask << offset) | (y & mask) << offset]
    });
    pairs(&mut file, "whole_fields", |x: u32, _: u32| [x ^ 5 ^ (x >> 3 & 31)]);
    pairs(&mut file, "ordered", |x: i32, y: i32| {
        let mut sorted = [x, y, x ^ y];
        sorted.sort();
        let [least, median, most] = sorted;
        [x.min(y), x.max(y), least, most, median, x.clamp(y.min(x ^ y), y.max(x ^ y))]
    });
    pairs(&mut file, "ordered_unsigned", |x: u64, y: u64| {
        [x.min(y) ^ x.max(y).max(1 << 63), x.clamp(100, y | 100)]
    });
    let x: Vec<[i32; 4]> =
        numbers::<i32>(63).chunks_exact(4).map(|v| [v[0], v[1], v[2], v[3]]).collect();
    file.kernel("of_vectors").input(&x).each(x.len() as u32, |i| {
        let v = x[i];
        [0, 1, 2, 3].map(|k| {
            let x = v[k];
            let counts = x.count_ones() as i32 + x.leading_zeros() as i32 * 100;
            let high = (x.wide() << 20 >> 32) as i32;
            let ordered = x.max(v[3 - k]).wrapping_sub(x.clamp(-5, 5));
            counts.wrapping_add(ordered).wrapping_add(high).wrapping_add(x.wrapping_abs())
        })
    });
    let x: Vec<[u8; 4]> =
        numbers::<u8>(64).chunks_exact(4).map(|v| [v[0], v[1], v[2], v[3]]).collect();
    file.kernel("of_narrow_vectors").input(&x).each(x.len() as u32, |i| {
        [0, 1, 2, 3].map(|k| {
            let x = (x[i][k], x[i][3 - k], x[i][(k + 1) % 4]);
            x.0.saturating_add(x.1)
                ^ x.0.abs_diff(x.2)
                ^ x.0.rotate_left(3)
                ^ ((u16::from(x.0) + 7) / 2) as u8
        })
    });
    file.finish();
}

#[test]
fn bits() {
    let mut file = File::open("bits.metal", include_str!("../../../../tests/msl/bits.metal"));
    let words = numbers::<u32>(65);
    let finite: Vec<u32> =
        words.iter().copied().filter(|&x| f32::from_bits(x).is_finite()).collect();
    let expected: Vec<[u32; 2]> = finite.iter().map(|&x| [x, x ^ 1 << 31]).collect();
    file.kernel("floats_and_ints")
        .input(&finite)
        .grid(finite.len() as u32, 1, 1)
        .expects(&expected);
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let numbers_only = |fraction: u32| {
        all.iter().copied().filter(move |x| {
            let infinity = 0x7fff >> fraction << fraction;
            x & infinity != infinity
        })
    };
    file.kernel("halves").input(&all).each(all.len() as u32, |i| all[i] ^ 0x8000);
    let bfloats: Vec<u16> = numbers_only(7).collect();
    file.kernel("bfloats").input(&bfloats).each(bfloats.len() as u32, |i| {
        (BFLOAT.value(bfloats[i]) as f32).to_bits() + u32::from(BFLOAT.bits(1.0))
    });
    file.kernel("vectors_and_scalars").input(&words).each(COUNT as u32, |i| {
        let x = words[i];
        x.swap_bytes() ^ x.rotate_left(16) ^ x
    });
    let longs = numbers::<u64>(66);
    file.kernel("wide").input(&longs).each(COUNT as u32, |i| {
        let x = longs[i];
        let turned = (0..4).fold(0, |all, k| all << 16 | (x >> (16 * k) & 0xffff));
        x.rotate_left(32).wrapping_add(turned).wrapping_add(x)
    });
    let floats: Vec<[f32; 4]> =
        (0..40).map(|i| [1.0, -2.5, 1e-20, 1e30].map(|x| x * i as f32)).collect();
    file.kernel("vectors").input(&floats).each(40, |i| floats[i].map(|x| x.to_bits() >> 23 & 255));
    let bytes: Vec<u8> = (0..=255).collect();
    file.kernel("built_halves").input(&bytes).each(256, |i| i as f32);
    file.finish();
}
