//! Random orders of work that nothing orders, determined by a seed.

/// Random numbers: the generator SplitMix64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below a limit, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of the bits of a mask, which is not 0.
    pub(crate) fn bit(&mut self, mut mask: u32) -> u32 {
        for _ in 0..self.below(mask.count_ones().into()) {
            mask &= mask - 1;
        }
        mask.trailing_zeros()
    }
}

fn mixed(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The numbers below a total in a random order, without a list of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shuffle {
    seed: u64,
    total: u64,
    /// Half of the bits of the numbers that are permuted; there may be up to four times as many as the total.
    half: u32,
}

impl Shuffle {
    pub(crate) fn new(seed: u64, total: u64) -> Self {
        let bits = u64::BITS - total.saturating_sub(1).leading_zeros();
        Self { seed, total, half: bits.div_ceil(2).max(1) }
    }

    /// The number at a position below the total.
    pub(crate) fn at(&self, position: u64) -> u64 {
        // A Feistel network permutes the larger range; where it leaves the smaller one, it is applied again.
        let mut number = position;
        loop {
            number = self.permuted(number);
            if number < self.total || self.total == 0 {
                return number;
            }
        }
    }

    fn permuted(&self, number: u64) -> u64 {
        let mask = u64::MAX >> (u64::BITS - self.half);
        let (mut left, mut right) = (number >> self.half & mask, number & mask);
        for round in 0..4 {
            let mix = mixed(right ^ self.seed.rotate_left(16 * round)) & mask;
            (left, right) = (right, left ^ mix);
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_has_every_number_once_in_an_order_of_its_seed() {
        for total in [1, 2, 3, 5, 64, 1000] {
            let order = |seed| -> Vec<u64> {
                (0..total).map(|position| Shuffle::new(seed, total).at(position)).collect()
            };
            let mut sorted = order(7);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..total).collect::<Vec<_>>());
            assert_eq!(order(7), order(7));
            assert!(total < 64 || order(7) != order(8) && order(7) != sorted);
        }
    }

    #[test]
    fn bits_are_those_of_the_mask() {
        let mut random = Random::new(1);
        let mut seen = 0;
        for _ in 0..200 {
            seen |= 1 << random.bit(0x8421_0030);
        }
        assert_eq!(seen, 0x8421_0030_u32);
    }
}
