//! TurboQuant: vectors rotated by a Walsh–Hadamard transform, and quantised by a codebook for normally distributed values.
//!
//! A vector is divided by its length and rotated, after which its values, times the root of their number, are distributed
//! nearly like the standard normal distribution, whatever the vector was. So one codebook, the Lloyd–Max quantiser of that
//! distribution, fits all vectors, and a vector is its length and a code for each value. The rotation is its own inverse and
//! keeps products, so attention can be computed with rotated vectors.
//!
//! This is the reference on the CPU, including [`attention`]; [`Ops::append_turbo`](super::Ops::append_turbo) and
//! [`Ops::attention`](super::Ops::attention) do the same with a [`TurboCache`](super::ops::TurboCache).

use super::Error;
use std::sync::OnceLock;

/// The numbers of bits that a code may have.
///
/// ```
/// assert!(aruminium::infer::turboquant::BITS.contains(&4));
/// ```
pub const BITS: [u32; 6] = [2, 3, 4, 5, 6, 8];

#[cold]
fn wrong(why: String) -> Error {
    Error::Shape(format!("turboquant: {why}"))
}

/// Rotates a vector by the Walsh–Hadamard transform, divided by the root of its length: its own inverse.
///
/// # Errors
///
/// If the length is not a power of two.
///
/// ```
/// let mut values = [3.0, 1.0];
/// aruminium::infer::turboquant::rotate(&mut values)?;
/// assert!((values[0] - 8f32.sqrt()).abs() < 1e-6 && (values[1] - 2f32.sqrt()).abs() < 1e-6);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
pub fn rotate(values: &mut [f32]) -> Result<(), Error> {
    let count = values.len();
    if !count.is_power_of_two() {
        return Err(wrong(format!("{count} values: a power of two is needed")));
    }
    let mut step = 1;
    while step < count {
        for pairs in values.chunks_exact_mut(2 * step) {
            let (left, right) = pairs.split_at_mut(step);
            for (a, b) in left.iter_mut().zip(right) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        step *= 2;
    }
    let scale = (count as f32).sqrt().recip();
    values.iter_mut().for_each(|value| *value *= scale);
    Ok(())
}

/// The density of the standard normal distribution.
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// The probability of values from 0 to `x`, by a series of positive terms.
fn probability(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term > sum * 1e-17 {
        n += 2.0;
        term *= x * x / n;
        sum += term;
    }
    density(x) * sum
}

/// The codebook of the standard normal distribution with a number of bits: its levels, ascending, which make the mean square
/// of errors as small as possible (Lloyd and Max). Each level is the mean of the values that are nearest to it.
///
/// # Errors
///
/// If `bits` is not one of [`BITS`].
///
/// ```
/// let levels = aruminium::infer::turboquant::codebook(2)?;
/// assert!((levels[2] - 0.4528).abs() < 1e-4 && (levels[3] - 1.5104).abs() < 1e-4);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
pub fn codebook(bits: u32) -> Result<&'static [f32], Error> {
    static BOOKS: [OnceLock<Vec<f32>>; BITS.len()] = [const { OnceLock::new() }; BITS.len()];
    let place = BITS.iter().position(|&each| each == bits);
    let place =
        place.ok_or_else(|| wrong(format!("codes of {bits} bits: {BITS:?} are possible")))?;
    Ok(BOOKS[place].get_or_init(|| levels(1 << bits)))
}

/// The levels, by shooting: the lowest positive level determines the next boundary, because it is the mean of its cell, and
/// so each level the next one. The lowest one is right if the highest one is the mean of everything above the last boundary.
fn levels(count: usize) -> Vec<f32> {
    let half = count / 2;
    let (mut low, mut high) = (0.0, 1.5);
    let mut found = Vec::new();
    for _ in 0..100 {
        let first = (low + high) / 2.0;
        match shoot(first, half) {
            // The last level is below the mean of its cell, or not.
            Ok((levels, short)) => {
                found = levels;
                if short { low = first } else { high = first }
            }
            Err(()) => high = first,
        }
    }
    let negative = found.iter().rev().map(|level| -level);
    negative.chain(found.iter().copied()).map(|level| level as f32).collect()
}

/// The positive levels that follow from the lowest one, and whether that one is too small. An error if it is so large that
/// no boundary has the wanted mean below it.
fn shoot(first: f64, count: usize) -> Result<(Vec<f64>, bool), ()> {
    // The mean of the values between two boundaries, and above one.
    let mean = |a: f64, b: f64| (density(a) - density(b)) / (probability(b) - probability(a));
    let above = |a: f64| density(a) / (0.5 - probability(a));
    let (mut levels, mut start, mut level) = (vec![first], 0.0, first);
    while levels.len() < count {
        if above(start) <= level {
            return Err(());
        }
        // The end of the cell whose mean is the level, by Newton's method.
        let mut end = 2.0 * level - start;
        for _ in 0..12 {
            let found = mean(start, end);
            let slope = density(end) * (end - found) / (probability(end) - probability(start));
            end = (end - (found - level) / slope).clamp(level, 8.0);
        }
        (level, start) = (2.0 * end - level, end);
        levels.push(level);
    }
    Ok((levels, level < above(start)))
}

/// A vector that was encoded.
///
/// ```
/// let vector = aruminium::infer::turboquant::encode(&[1.0, 2.0, 3.0, 4.0], 4)?;
/// assert_eq!((vector.codes.len(), vector.bits), (2, 4));
/// assert!((vector.length - 30f32.sqrt()).abs() < 1e-6);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// A code for each value, as a stream of bits, the lowest first.
    pub codes: Vec<u8>,
    /// The length of the vector.
    pub length: f32,
    /// The number of bits of a code.
    pub bits: u32,
}

/// The number of bytes of the codes of a vector.
pub(super) fn code_bytes(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Encodes a vector.
///
/// # Errors
///
/// If its length is not a power of two, or `bits` is not one of [`BITS`].
///
/// ```
/// use aruminium::infer::turboquant::{decode, encode};
/// let vector = [0.5, -1.0, 2.0, 0.25, 0.0, 1.5, -0.75, 1.0];
/// let close = decode(&encode(&vector, 8)?, 8)?;
/// assert!(close.iter().zip(vector).all(|(a, b)| (a - b).abs() < 0.1));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
pub fn encode(vector: &[f32], bits: u32) -> Result<Encoded, Error> {
    let book = codebook(bits)?;
    let mut values = vector.to_vec();
    rotate(&mut values)?;
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let scale = if length > 0.0 { (vector.len() as f32).sqrt() / length } else { 0.0 };
    let mut codes = vec![0; code_bytes(vector.len(), bits)];
    for (i, value) in values.iter().enumerate() {
        // The number of boundaries, in the middle between levels, that the value exceeds.
        let code = book.windows(2).filter(|pair| value * scale > (pair[0] + pair[1]) / 2.0).count();
        let at = i * bits as usize;
        let shifted = code << (at % 8);
        codes[at / 8] |= shifted as u8;
        if shifted > 0xff {
            codes[at / 8 + 1] |= (shifted >> 8) as u8;
        }
    }
    Ok(Encoded { codes, length, bits })
}

/// The rotated vector that codes stand for.
fn rotated(vector: &Encoded, count: usize) -> Result<Vec<f32>, Error> {
    let (book, bits) = (codebook(vector.bits)?, vector.bits as usize);
    if !count.is_power_of_two() || vector.codes.len() != code_bytes(count, vector.bits) {
        let found = vector.codes.len();
        return Err(wrong(format!("{found} bytes are no codes of {bits} bits of {count} values")));
    }
    let scale = vector.length / (count as f32).sqrt();
    let value = |i: usize| {
        let at = i * bits;
        let next = vector.codes.get(at / 8 + 1).copied().unwrap_or(0);
        let both = usize::from(vector.codes[at / 8]) | usize::from(next) << 8;
        book[both >> (at % 8) & ((1 << bits) - 1)] * scale
    };
    Ok((0..count).map(value).collect())
}

/// The vector of `count` values that codes stand for.
///
/// # Errors
///
/// If the codes are not those of `count` values.
///
/// ```
/// use aruminium::infer::turboquant::{decode, encode};
/// assert_eq!(decode(&encode(&[0.0; 4], 2)?, 4)?, [0.0; 4]);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
pub fn decode(vector: &Encoded, count: usize) -> Result<Vec<f32>, Error> {
    let mut values = rotated(vector, count)?;
    rotate(&mut values)?;
    Ok(values)
}

/// Attention of one query over keys and values that were encoded, in `f64` and without rotating them back: the query is
/// rotated, and so is the sum at the end.
///
/// # Errors
///
/// If there are not as many values as keys, or they are not vectors of the query's length.
///
/// ```
/// use aruminium::infer::turboquant::{attention, encode};
/// let (key, value) = (encode(&[1.0, 0.0], 4)?, encode(&[3.0, -3.0], 8)?);
/// let sum = attention(&[2.0, 5.0], &[key], &[value], 1.0)?;
/// assert!((sum[0] - 3.0).abs() < 0.2 && (sum[1] + 3.0).abs() < 0.2);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
pub fn attention(
    query: &[f32],
    keys: &[Encoded],
    values: &[Encoded],
    scale: f32,
) -> Result<Vec<f32>, Error> {
    if keys.len() != values.len() {
        return Err(wrong(format!("{} keys and {} values", keys.len(), values.len())));
    }
    let mut turned = query.to_vec();
    rotate(&mut turned)?;
    let mut logits = Vec::with_capacity(keys.len());
    for key in keys {
        let key = rotated(key, query.len())?;
        let terms = turned.iter().zip(&key).map(|(q, k)| f64::from(*q) * f64::from(*k));
        logits.push(terms.sum::<f64>() * f64::from(scale));
    }
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut sums = vec![0.0f64; query.len()];
    for (weight, value) in weights.iter().zip(values) {
        let value = rotated(value, query.len())?;
        sums.iter_mut().zip(value).for_each(|(sum, v)| *sum += weight / total * f64::from(v));
    }
    let mut sums: Vec<f32> = sums.into_iter().map(|sum| sum as f32).collect();
    rotate(&mut sums)?;
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::{BITS, codebook, decode, density, encode, probability, rotate};

    #[test]
    fn levels_are_the_means_of_their_cells() {
        for bits in BITS {
            let book = codebook(bits).expect("a book");
            assert_eq!(book.len(), 1 << bits);
            let half = &book[book.len() / 2..];
            let mut start = 0.0;
            for (i, &level) in half.iter().enumerate() {
                assert_eq!(level, -book[book.len() / 2 - 1 - i], "symmetric");
                let level = f64::from(level);
                let mean = match half.get(i + 1) {
                    Some(&next) => {
                        let end = (level + f64::from(next)) / 2.0;
                        let mass = probability(end) - probability(start);
                        let mean = (density(start) - density(end)) / mass;
                        start = end;
                        mean
                    }
                    None => density(start) / (0.5 - probability(start)),
                };
                assert!(
                    (mean - level).abs() < 1e-4,
                    "{bits} bits: level {i} is {level}, not {mean}"
                );
            }
        }
        // Max's table of 1960 for 16 levels.
        let book = codebook(4).expect("a book");
        for (found, published) in
            book[8..].iter().zip([0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733])
        {
            assert!((found - published).abs() < 1e-3, "{found} {published}");
        }
    }

    #[test]
    fn errors_are_those_of_the_quantiser() {
        let mut state = 1u64;
        let mut vector = [0.0f32; 256];
        for value in &mut vector {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *value = (state >> 40) as f32 / (1 << 24) as f32 - 0.5;
        }
        // A value is larger than the others, which the rotation spreads.
        vector[17] = 2.0;
        let square = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>();
        // The relative mean square of errors for normal values, from Max's table, and half as much again for chance.
        for (bits, distortion) in [(2, 0.1175), (3, 0.03454), (4, 0.009497), (5, 0.002499)] {
            let found = decode(&encode(&vector, bits).expect("codes"), 256).expect("values");
            let errors: Vec<f32> = found.iter().zip(vector).map(|(a, b)| a - b).collect();
            let relative = square(&errors) / square(&vector);
            assert!(relative < 1.5 * distortion, "{bits} bits: {relative}");
        }
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let mut three = [1.0; 3];
        assert!(rotate(&mut three).unwrap_err().to_string().contains("a power of two is needed"));
        assert!(rotate(&mut []).is_err());
        assert!(codebook(7).unwrap_err().to_string().contains("codes of 7 bits"));
        let vector = encode(&[1.0; 4], 3).expect("codes");
        assert!(decode(&vector, 8).unwrap_err().to_string().contains("no codes of 3 bits of 8"));
        let two = [vector.clone(), vector.clone()];
        let error = super::attention(&[1.0; 4], &two, &two[..1], 1.0).unwrap_err();
        assert!(error.to_string().contains("2 keys and 1 values"));
    }
}
