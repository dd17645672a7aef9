//! Tables by small keys of the compiler's own: numbers of values and variables, instructions. The standard hash, which
//! resists keys that an attacker chooses, takes longer than what the passes look up.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A table by such keys.
pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;
/// A set of such keys.
pub(crate) type FastSet<K> = HashSet<K, BuildHasherDefault<Mixer>>;

/// Multiplies each number in, and folds the product, so that every bit of a key reaches every bit of its hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixer(u64);

/// An odd number without a pattern: the fraction of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|&word| self.write_u64(u64::from_le_bytes(word)));
        rest.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        // The sum keeps a zero from making the hash zero whatever came before it.
        let product =
            u128::from(self.0.rotate_left(23) ^ number.wrapping_add(FACTOR)) * u128::from(FACTOR);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, Hash};

    fn hash(key: impl Hash) -> u64 {
        BuildHasherDefault::<Mixer>::default().hash_one(key)
    }

    #[test]
    fn regular_keys_spread_over_a_table() {
        let keys: [fn(u64) -> u64; 4] = [
            |at| hash(at as u32),
            |at| hash(at << 40),
            |at| hash((7u8, at * 4096)),
            |at| hash((at as u32, 0u64, [1u32, 2])),
        ];
        for (number, key) in keys.into_iter().enumerate() {
            // The low bits choose a bucket, the high ones what is compared first.
            for shift in [0, 57 - 12] {
                let mut buckets = vec![0; 4096];
                (0..4096).for_each(|at| buckets[(key(at) >> shift & 4095) as usize] += 1);
                let most = buckets.iter().max().unwrap();
                assert!(*most < 12, "keys {number} from bit {shift}: {most} of 4096 in one bucket");
            }
        }
    }
}
