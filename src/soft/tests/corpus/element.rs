//! Elements of the corpus' buffers: input numbers, and expected numbers or bounds.

use std::fmt::Debug;

/// An input number.
pub(super) trait Element: Copy {
    fn put(self, bytes: &mut Vec<u8>);
}

/// The expected value of an element of `out`.
pub(super) trait Expected: Debug {
    const BYTES: usize;

    fn matches(&self, found: &[u8]) -> bool;
    fn show(found: &[u8]) -> String;
}

/// The bytes of a buffer.
pub(super) fn bytes<T: Element>(values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| value.put(&mut bytes));
    bytes
}

/// Compares all of `out` with the expected elements; the error is the first difference.
pub(super) fn check<E: Expected>(found: &[u8], expected: &[E]) -> Result<(), String> {
    assert_eq!(found.len(), expected.len() * E::BYTES, "the size of out");
    let wrong = |(_, (found, expected)): &(usize, (&[u8], &E))| !expected.matches(found);
    let elements = found.chunks(E::BYTES).zip(expected).enumerate();
    match elements.clone().find(wrong) {
        None => Ok(()),
        Some((at, (found, wanted))) => {
            let all = elements.filter(wrong).count();
            let found = E::show(found);
            Err(format!(
                "out[{at}] is {found}, not {wanted:?} ({all} of {} differ)",
                expected.len()
            ))
        }
    }
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl Element for $ty {
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
        }

        impl Expected for $ty {
            const BYTES: usize = size_of::<$ty>();

            fn matches(&self, found: &[u8]) -> bool {
                self.to_le_bytes() == found
            }

            fn show(found: &[u8]) -> String {
                <$ty>::from_le_bytes(found.try_into().expect("an element's bytes")).to_string()
            }
        }
    )*};
}

integers! { u8 i8 u16 i16 u32 i32 u64 i64 }

impl Element for f32 {
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

/// Equal bits; for a NaN, any NaN.
impl Expected for f32 {
    const BYTES: usize = 4;

    fn matches(&self, found: &[u8]) -> bool {
        let found = float(found);
        found.to_bits() == self.to_bits() || found.is_nan() && self.is_nan()
    }

    fn show(found: &[u8]) -> String {
        format!("{:?}", float(found))
    }
}

/// A vector in memory, as its components.
impl<T: Element, const N: usize> Element for [T; N] {
    fn put(self, bytes: &mut Vec<u8>) {
        self.into_iter().for_each(|component| component.put(bytes));
    }
}

impl<E: Expected, const N: usize> Expected for [E; N] {
    const BYTES: usize = N * E::BYTES;

    fn matches(&self, found: &[u8]) -> bool {
        self.iter().zip(found.chunks(E::BYTES)).all(|(expected, found)| expected.matches(found))
    }

    fn show(found: &[u8]) -> String {
        found.chunks(E::BYTES).map(E::show).collect::<Vec<_>>().join(" ")
    }
}

fn float(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().expect("four bytes of a float"))
}

/// A float within this distance of an exact value.
#[derive(Debug)]
pub(super) struct Near {
    exact: f64,
    error: f64,
}

/// Within `n` units in the last place of a float, as MSL 8.4 defines them.
pub(super) fn ulps(count: f64, exact: f64) -> Near {
    let exponent = exact.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
    Near { exact, error: count * (exponent - 23.0).exp2() }
}

/// Within an absolute error.
pub(super) fn near(error: f64, exact: f64) -> Near {
    Near { exact, error }
}

impl Expected for Near {
    const BYTES: usize = 4;

    fn matches(&self, found: &[u8]) -> bool {
        let found = float(found);
        let error = (f64::from(found) - self.exact).abs();
        // The error of rounding the exact value to a float is allowed.
        error <= self.error || found == self.exact as f32 || found.is_nan() && self.exact.is_nan()
    }

    fn show(found: &[u8]) -> String {
        f32::show(found)
    }
}

/// Pseudorandom numbers, the same in every run.
pub(super) fn noise(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    })
}
