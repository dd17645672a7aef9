//! Blocks that kernels make of numbers.

use super::Format;
use crate::numbers::{Number, near};

/// How many steps a format has from the smallest number of a block to the largest (`true`), or to either side of zero.
const STEPS: [(&str, f64, bool); 8] = [
    ("q4_0", 8.0, false),
    ("q4_1", 15.0, true),
    ("q5_0", 16.0, false),
    ("q5_1", 31.0, true),
    ("q8_0", 127.0, false),
    // Its steps differ: the widest is 24 of 127.
    ("iq4_nl", 127.0 / 24.0, false),
    ("q2_0", 1.0, false),
    ("tq2_0", 1.0, false),
];

impl Format {
    /// Checks blocks that a kernel made of numbers: none is further from its number than the format allows, which is half a step, and one step
    /// where the largest number falls between two.
    ///
    /// # Panics
    /// If one is, or there is no rule for the format.
    #[track_caller]
    pub fn check_made(&self, kernel: &str, blocks: &[u8], values: &[f64]) {
        let made = self.weights(blocks);
        if self.name == "q1_0" {
            // The mean size, with each number's sign.
            let block = |values: &[f64]| {
                let mean = values.iter().map(|x| x.abs()).sum::<f64>() / values.len() as f64;
                values.iter().map(|x| mean.copysign(*x)).collect::<Vec<_>>()
            };
            let expected: Vec<f64> = values.chunks(self.weights).flat_map(block).collect();
            return near(kernel, &made, &expected, Number::F16.epsilon());
        }
        let rule = STEPS.iter().find(|(name, ..)| *name == self.name);
        let &(name, steps, has_least) = rule.unwrap_or_else(|| panic!("no steps of {}", self.name));
        let pairs = made.chunks(self.weights).zip(values.chunks(self.weights));
        for (block, (made, values)) in pairs.enumerate() {
            let most = values.iter().fold(f64::MIN, |a, &b| a.max(b));
            let least = values.iter().fold(f64::MAX, |a, &b| a.min(b));
            let range = if has_least { most - least } else { most.abs().max(least.abs()) };
            let step = range / steps;
            for (k, (made, value)) in made.iter().zip(values).enumerate() {
                // Scales are halves: a part in 2^11 of all steps.
                let allowed =
                    step * if has_least || name == "q8_0" { 0.5 } else { 1.0 } + range / 1024.0;
                assert!(
                    (made - value).abs() <= allowed,
                    "{kernel}: block {block}, number {k} is {made}, not {value}"
                );
            }
            // On the whole they are near: no rounding goes one way only.
            let count = values.len() as f64;
            let off = made.iter().zip(values).map(|(a, b)| a - b).sum::<f64>() / count;
            assert!(off.abs() <= step / 3.0, "{kernel}: block {block} is off by {off}");
        }
    }
}
