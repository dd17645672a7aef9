//! Every path that this processor has, against the definition of the formats.
//!
//! `ARUMINIUM_TEST_SCALE` says how much: `full` tries all 2³² floats, `small` (an emulated
//! processor) a few hundred thousand, anything else some millions.

use std::sync::atomic::{AtomicU32, Ordering};

use super::element;
use super::path::{Path, available, stream_threshold};
use crate::test_floats::flushing;

/// A 16-bit format as IEEE 754 defines it (3.4), without any of the code under test.
struct Format {
    exponent_bits: u32,
}

const HALF: Format = Format { exponent_bits: 5 };
const BFLOAT: Format = Format { exponent_bits: 8 };

impl Format {
    fn mantissa_bits(&self) -> u32 {
        15 - self.exponent_bits
    }

    /// Magnitudes from this one on are the infinity and the NaNs.
    fn infinity(&self) -> u16 {
        0x7fff >> self.mantissa_bits() << self.mantissa_bits()
    }

    /// The value of a finite magnitude. The infinity counts as the next power of two would: the
    /// value from which rounding measures the distance (4.3.1).
    fn value(&self, magnitude: u16) -> f64 {
        let steps = 1u32 << self.mantissa_bits();
        let (exponent, mantissa) = (u32::from(magnitude) / steps, u32::from(magnitude) % steps);
        let bias = (1 << (self.exponent_bits - 1)) - 1;
        let (exponent, mantissa) =
            if exponent == 0 { (1, mantissa) } else { (exponent, mantissa + steps) };
        f64::from(mantissa) * 2f64.powi(exponent as i32 - bias - self.mantissa_bits() as i32)
    }

    /// The bits of the float that `bits` stand for.
    fn widened(&self, bits: u16) -> u32 {
        let (sign, magnitude) = (u32::from(bits & 0x8000) << 16, bits & 0x7fff);
        if magnitude >= self.infinity() {
            let payload = u32::from(magnitude - self.infinity()) << (23 - self.mantissa_bits());
            return sign | 0x7f80_0000 | payload | if payload != 0 { 0x40_0000 } else { 0 };
        }
        let value = self.value(magnitude);
        assert_eq!(f64::from(value as f32), value, "a float holds every half and bfloat");
        sign | (value as f32).to_bits()
    }

    /// The bits nearest to a float, found by bisection among all magnitudes.
    fn narrowed(&self, float: f32) -> u16 {
        let sign = if float.is_sign_negative() { 0x8000 } else { 0 };
        if float.is_nan() {
            let payload = (float.to_bits() & 0x7f_ffff) >> (23 - self.mantissa_bits());
            let quiet = 1 << (self.mantissa_bits() - 1);
            return sign | self.infinity() | payload as u16 | quiet;
        }
        let value = f64::from(float.abs());
        let (mut below, mut above) = (0, self.infinity());
        if value >= self.value(above) {
            return sign | above;
        }
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if self.value(middle) <= value { below = middle } else { above = middle }
        }
        let (down, up) = (value - self.value(below), self.value(above) - value);
        sign | if down < up || (down == up && below % 2 == 0) { below } else { above }
    }
}

enum Scale {
    Small,
    Sample,
    Full,
}

fn scale() -> Scale {
    match std::env::var("ARUMINIUM_TEST_SCALE").as_deref() {
        Ok("full") => Scale::Full,
        Ok("small") => Scale::Small,
        _ => Scale::Sample,
    }
}

/// A sample of all floats: every sign, exponent and ten bits of mantissa (every half, then), each
/// with lower bits on both sides of each rounding boundary, and with random ones.
fn sample(floats: &mut Vec<f32>, upper: u32) {
    let turns = [0, 1, 0xffe, 0xfff, 0x1000, 0x1001, 0x1fff];
    // Knuth's multiplicative hash, for the random lower bits.
    let noise = upper.wrapping_mul(2_654_435_761) >> 19;
    floats.extend(turns.into_iter().chain([noise]).map(|low| f32::from_bits(upper << 13 | low)));
}

/// Calls `check` with pieces of the floats to try, the number of which depends on the scale, on every core.
fn floats(check: impl Fn(&[f32]) + Sync) {
    let full = matches!(scale(), Scale::Full);
    let stride = if matches!(scale(), Scale::Small) { 37 } else { 1 };
    let pieces = if full { 1 << 16 } else { 1 << 9 };
    let next = AtomicU32::new(0);
    let work = || {
        let mut floats = Vec::new();
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return;
            }
            floats.clear();
            if full {
                floats.extend((0..1 << 16).map(|low| f32::from_bits(piece << 16 | low)));
            } else {
                (piece % stride..1 << 10)
                    .step_by(stride as usize)
                    .for_each(|low| sample(&mut floats, piece << 10 | low));
            }
            check(&floats);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}

fn bits(floats: &[f32]) -> Vec<u32> {
    floats.iter().map(|float| float.to_bits()).collect()
}

fn all_shorts() -> Vec<u16> {
    (0..=u16::MAX).collect()
}

/// Names the first element that differs: a slice of thousands says nothing.
#[track_caller]
fn assert_same<T: PartialEq + std::fmt::LowerHex>(got: &[T], expected: &[T], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    if let Some(at) = (0..got.len()).find(|&at| got[at] != expected[at]) {
        panic!("{what}: element {at} is {:#x}, not {:#x}", got[at], expected[at]);
    }
}

/// Calls `check` with every path, with ordinary and with streaming stores.
fn paths(mut check: impl FnMut(&'static Path, bool, &str)) {
    for path in available() {
        for stream in [false, true] {
            check(path, stream, &format!("{}, stream: {stream}", path.name));
        }
    }
}

#[test]
fn the_portable_path_is_always_there() {
    assert_eq!(available().last().map(|path| path.name), Some("portable"));
}

#[test]
fn every_half_and_bfloat_widens_to_its_value() {
    let shorts = all_shorts();
    let of = |format: &Format| shorts.iter().map(|&bits| format.widened(bits)).collect::<Vec<_>>();
    let (halves, bfloats) = (of(&HALF), of(&BFLOAT));
    paths(|path, stream, what| {
        let mut floats = vec![0.0; shorts.len()];
        // SAFETY: the slices have one length and the path is available.
        unsafe { (path.half_to_float)(&mut floats, &shorts, stream) };
        assert_same(&bits(&floats), &halves, what);
        // SAFETY: the same.
        unsafe { (path.bfloat_to_float)(&mut floats, &shorts, stream) };
        assert_same(&bits(&floats), &bfloats, what);
    });
    for &bits in &shorts {
        assert_eq!(super::fp16_to_f32(bits).to_bits(), halves[usize::from(bits)], "{bits:#x}");
        assert_eq!(super::bf16_to_f32(bits).to_bits(), bfloats[usize::from(bits)], "{bits:#x}");
    }
}

#[test]
fn every_half_and_bfloat_survives_a_round_trip() {
    let shorts = all_shorts();
    let quieted = |format: &Format| -> Vec<u16> {
        let quiet = 1 << (format.mantissa_bits() - 1);
        let nan = |bits| bits & 0x7fff > format.infinity();
        shorts.iter().map(|&bits| if nan(bits) { bits | quiet } else { bits }).collect()
    };
    paths(|path, stream, what| {
        let (mut floats, mut back) = (vec![0.0; shorts.len()], vec![0; shorts.len()]);
        // SAFETY: the slices have one length and the path is available.
        unsafe {
            (path.half_to_float)(&mut floats, &shorts, stream);
            (path.float_to_half)(&mut back, &floats, stream);
        }
        assert_same(&back, &quieted(&HALF), what);
        // SAFETY: the same.
        unsafe {
            (path.bfloat_to_float)(&mut floats, &shorts, stream);
            (path.float_to_bfloat)(&mut back, &floats, stream);
        }
        assert_same(&back, &quieted(&BFLOAT), what);
    });
}

#[test]
fn floats_narrow_to_the_nearest() {
    // Bisection is slow: of the full scale's floats it takes a sixteenth, another one in each piece.
    let stride = if matches!(scale(), Scale::Full) { 16 } else { 1 };
    floats(|floats| {
        let first = (floats[0].to_bits() >> 16) as usize % stride;
        for &float in floats[first..].iter().step_by(stride) {
            let what = float.to_bits();
            assert_eq!(element::float_to_half(float), HALF.narrowed(float), "half of {what:#x}");
            assert_eq!(
                element::float_to_bfloat(float),
                BFLOAT.narrowed(float),
                "bfloat of {what:#x}"
            );
        }
    });
}

#[test]
fn floats_narrow_to_the_same_bits_on_every_path() {
    floats(|floats| {
        let halves: Vec<u16> = floats.iter().map(|&float| element::float_to_half(float)).collect();
        let bfloats: Vec<u16> =
            floats.iter().map(|&float| element::float_to_bfloat(float)).collect();
        let mut shorts = vec![0; floats.len()];
        paths(|path, stream, what| {
            // SAFETY: the slices have one length and the path is available.
            unsafe { (path.float_to_half)(&mut shorts, floats, stream) };
            assert_same(&shorts, &halves, what);
            // SAFETY: the same.
            unsafe { (path.float_to_bfloat)(&mut shorts, floats, stream) };
            assert_same(&shorts, &bfloats, what);
        });
        for ((&float, &half), &bfloat) in floats.iter().zip(&halves).zip(&bfloats) {
            assert_eq!(super::f32_to_fp16(float), half, "{:#x}", float.to_bits());
            assert_eq!(super::f32_to_bf16(float), bfloat, "{:#x}", float.to_bits());
        }
    });
}

/// Bits of every kind: subnormals, NaNs, infinities and both signs within any few elements.
fn mixture(len: usize) -> Vec<u16> {
    let kinds = [0x0001, 0x83ff, 0x3c01, 0x7c00, 0xfc01, 0x7f80, 0xffa0, 0xc0de, 0x0400, 0x8000];
    (0..len).map(|at| kinds[at % kinds.len()] ^ (at as u16 & 0x0f)).collect()
}

#[test]
fn every_length_at_every_offset() {
    const LENGTHS: usize = 200;
    const OFFSETS: usize = 16;
    const ROOM: usize = LENGTHS + 2 * OFFSETS;
    // Guards around the target, which must stay.
    const SHORT: u16 = 0x5aa5;
    const FLOAT: f32 = 1234.5;

    let shorts = mixture(ROOM);
    let floats: Vec<f32> = shorts
        .iter()
        .enumerate()
        .map(|(at, &short)| f32::from_bits(u32::from(short) << 16 | (at as u32 * 0x2fff) & 0xffff))
        .collect();
    let lengths = (0..=LENGTHS).step_by(if matches!(scale(), Scale::Small) { 7 } else { 1 });
    for (length, offset) in lengths.flat_map(|length| (0..OFFSETS).map(move |at| (length, at))) {
        // The source at another alignment than the target, but at each in turn.
        let source = (offset * 5 + length) % OFFSETS;
        let (from, to) = (source..source + length, offset..offset + length);
        paths(|path, stream, what| {
            let what = format!("{what}, {length} elements, from {source} to {offset}");
            macro_rules! check {
                ($cast:ident, $from:expr, $guard:expr, $bits:expr) => {
                    let mut target = vec![$guard; ROOM];
                    let mut expected = target.clone();
                    for (to, &from) in expected[to.clone()].iter_mut().zip(&$from[from.clone()]) {
                        *to = element::$cast(from);
                    }
                    // SAFETY: the slices have one length and the path is available.
                    unsafe { (path.$cast)(&mut target[to.clone()], &$from[from.clone()], stream) };
                    assert_same(&$bits(&target), &$bits(&expected), &what);
                };
            }
            check!(half_to_float, shorts, FLOAT, bits);
            check!(bfloat_to_float, shorts, FLOAT, bits);
            check!(float_to_half, floats, SHORT, Vec::clone);
            check!(float_to_bfloat, floats, SHORT, Vec::clone);
        });
    }
}

#[test]
fn large_slices_stream() {
    // Enough for the public functions to stream, with a ragged start and end.
    let len = if matches!(scale(), Scale::Small) { 5003 } else { stream_threshold() / 6 + 5 };
    let halves: Vec<u16> = (0..len).map(|at| (at as u16).wrapping_mul(40_503)).collect();
    let mut floats = vec![0.0; len];
    super::cast_f16_f32(&mut floats[3..], &halves[3..]);
    for at in 3..len {
        let expected = element::half_to_float(halves[at]).to_bits();
        assert_eq!(floats[at].to_bits(), expected, "element {at}");
    }
    let mut back = vec![0; len];
    super::cast_f32_f16(&mut back[3..], &floats[3..]);
    for at in 3..len {
        assert_eq!(back[at], element::float_to_half(floats[at]), "element {at}");
    }
}

/// Processor modes that flush subnormals change no conversion: the values that they could flush
/// round to zero anyway, or are not floats' subnormals at all. bfloat16 is integer arithmetic.
#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn flushing_subnormals_changes_nothing() {
    let shorts = all_shorts();
    let floats: Vec<f32> = (0..1 << 16).map(|at| f32::from_bits(at << 16 | at)).collect();
    let widened: Vec<[u32; 2]> =
        shorts.iter().map(|&bits| [HALF.widened(bits), BFLOAT.widened(bits)]).collect();
    let narrowed: Vec<[u16; 2]> =
        floats.iter().map(|&float| [HALF.narrowed(float), BFLOAT.narrowed(float)]).collect();
    paths(|path, stream, what| {
        let mut wide = [vec![0.0; shorts.len()], vec![0.0; shorts.len()]];
        let mut narrow = [vec![0; floats.len()], vec![0; floats.len()]];
        // SAFETY: the slices have one length and the path is available.
        flushing(|| unsafe {
            (path.half_to_float)(&mut wide[0], &shorts, stream);
            (path.bfloat_to_float)(&mut wide[1], &shorts, stream);
            (path.float_to_half)(&mut narrow[0], &floats, stream);
            (path.float_to_bfloat)(&mut narrow[1], &floats, stream);
        });
        for format in 0..2 {
            let expected: Vec<u32> = widened.iter().map(|both| both[format]).collect();
            assert_same(&bits(&wide[format]), &expected, what);
            let expected: Vec<u16> = narrowed.iter().map(|both| both[format]).collect();
            assert_same(&narrow[format], &expected, what);
        }
    });
}
