//! Reference implementation of 16-bit floating-point formats, directly from their definition.

/// A binary format of 16 bits: as in IEEE 754, with `n` exponent bits and the rest fraction.
pub(super) struct Format {
    exponent: u32,
    fraction: u32,
}

pub(super) const HALF: Format = Format { exponent: 5, fraction: 10 };
pub(super) const BFLOAT: Format = Format { exponent: 8, fraction: 7 };

impl Format {
    const fn bias(&self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    /// The bits of the nearest value, ties to even.
    pub(super) fn bits(&self, x: f64) -> u16 {
        let sign = if x.is_sign_negative() { 0x8000 } else { 0 };
        let infinity = ((1 << self.exponent) - 1) << self.fraction;
        if x.is_nan() {
            return infinity | 1 << (self.fraction - 1);
        }
        let lowest = 1 - self.bias();
        let exponent = (x.abs().log2().floor() as i32).clamp(lowest, self.bias() + 1);
        let step = f64::from(exponent - self.fraction as i32).exp2();
        let steps = (x.abs() / step).round_ties_even();
        // The steps of a normal number start at the hidden bit; rounding up past the last carries into the exponent.
        let bits = f64::from(exponent - lowest) * f64::from(1 << self.fraction) + steps;
        sign | bits.min(f64::from(infinity)) as u16
    }

    /// The value of these bits.
    pub(super) fn value(&self, bits: u16) -> f64 {
        let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
        let fraction = f64::from(u32::from(bits) & ((1 << self.fraction) - 1));
        let exponent = i32::from(bits & 0x7fff) >> self.fraction;
        let step = f64::from(exponent.max(1) - self.bias() - self.fraction as i32).exp2();
        let hidden = if exponent == 0 { 0.0 } else { f64::from(1 << self.fraction) };
        if exponent == (1 << self.exponent) - 1 {
            return if fraction == 0.0 { sign * f64::INFINITY } else { f64::NAN };
        }
        sign * (hidden + fraction) * step
    }

    /// The nearest value.
    pub(super) fn round(&self, x: f64) -> f64 {
        self.value(self.bits(x))
    }
}
