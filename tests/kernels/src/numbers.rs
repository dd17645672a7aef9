//! Numbers in the types of kernels, and comparison with references.

use aruminium::fp16::{bf16_to_f32, f32_to_bf16, f32_to_fp16, fp16_to_f32};

/// The element of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// `float`
    F32,
    /// `half`
    F16,
    /// `bfloat`
    BF16,
    /// `uint`
    U32,
    /// `uchar`
    U8,
    /// `long`
    I64,
}

impl Number {
    /// The type by the name that kernels end with.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "f32" => Self::F32,
            "f16" => Self::F16,
            "bf16" => Self::BF16,
            "u32" => Self::U32,
            "u8" => Self::U8,
            "i64" => Self::I64,
            _ => return None,
        })
    }

    /// Bytes of one.
    pub fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::U32 => 4,
            Self::I64 => 8,
        }
    }

    /// Whether it has a fraction.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }

    /// The distance of neighbours at 1; 0 for integers.
    pub fn epsilon(self) -> f64 {
        match self {
            Self::F32 => f64::from(f32::EPSILON),
            Self::F16 => 2f64.powi(-10),
            Self::BF16 => 2f64.powi(-7),
            _ => 0.0,
        }
    }

    /// The nearest value that the type can represent.
    pub fn rounded(self, value: f64) -> f64 {
        self.decode(&self.encode(&[value]))[0]
    }

    /// The bytes of values.
    pub fn encode(self, values: &[f64]) -> Vec<u8> {
        let each = values.iter().map(|&value| match self {
            Self::F32 => (value as f32).to_le_bytes().to_vec(),
            Self::F16 => f32_to_fp16(value as f32).to_le_bytes().to_vec(),
            Self::BF16 => f32_to_bf16(value as f32).to_le_bytes().to_vec(),
            Self::U32 => (value as i64 as u32).to_le_bytes().to_vec(),
            Self::U8 => vec![value as i64 as u8],
            Self::I64 => (value as i64).to_le_bytes().to_vec(),
        });
        each.flatten().collect()
    }

    /// The values of bytes.
    pub fn decode(self, bytes: &[u8]) -> Vec<f64> {
        let one = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            let bits = u64::from_le_bytes(word);
            match self {
                Self::F32 => f64::from(f32::from_bits(bits as u32)),
                Self::F16 => f64::from(fp16_to_f32(bits as u16)),
                Self::BF16 => f64::from(bf16_to_f32(bits as u16)),
                Self::U32 | Self::U8 => bits as f64,
                Self::I64 => bits as i64 as f64,
            }
        };
        bytes.chunks(self.size()).map(one).collect()
    }

    /// `n` different values of the type, between -2 and 2; integers from 0 to 7.
    pub fn some(self, seed: u64, count: usize) -> Vec<f64> {
        let numbers = noise(seed).take(count);
        numbers
            .map(|bits| match self.is_float() {
                true => self.rounded((bits % 4001) as f64 / 1000.0 - 2.0),
                false => (bits % 8) as f64,
            })
            .collect()
    }
}

/// An endless sequence of pseudo-random numbers (an LCG's upper bits).
pub fn noise(seed: u64) -> impl Iterator<Item = u64> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407))
    };
    std::iter::successors(next(&(seed ^ 0x9e37_79b9_7f4a_7c15)), next).map(|state| state >> 33)
}

/// Checks that numbers are within `tolerance` of others, times their own size where that is above 1.
///
/// # Panics
/// If one is not, with the first such number and their count; if the sanitizer has found a race that is expected it is printed instead.
#[track_caller]
pub fn near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: the number of elements");
    let wrong = |(_, (found, expected)): &(usize, (&f64, &f64))| {
        let same = found == expected || found.is_nan() && expected.is_nan();
        // A NaN is near no number.
        let distance = (**found - **expected).abs();
        !same && (distance.is_nan() || distance > tolerance * expected.abs().max(1.0))
    };
    let all = found.iter().zip(expected).enumerate();
    if let Some((at, (found, expected))) = all.clone().find(wrong) {
        let count = all.filter(wrong).count();
        let text = format!("{what}: element {at} is {found}, not {expected}; {count} differ");
        assert!(crate::reports::has_raced(), "{text}");
        eprintln!("{text}");
    }
}
