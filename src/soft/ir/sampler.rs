//! The state of a sampler (MSL 2.10), packed into 64 bits, so that kernels can copy samplers as numbers.

use super::half::{f16_bits, f16_value};

/// Declares the choices of a field, each by its name in the language, in the order of their numbers in
/// Metal's interface (`MTLSamplerAddressMode` and its like).
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($choice:ident $text:literal),* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $(#[doc = concat!("`", $text, "`")] $choice),* }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$choice),*];
            const NAMES: &'static [&'static str] = &[$($text),*];

            /// The choice of this number; the first for an unknown one.
            fn of(number: u64) -> Self {
                Self::ALL.get(number as usize).copied().unwrap_or(Self::ALL[0])
            }
        }
    )*};
}

choices! {
    /// The unit of coordinates.
    Coordinates { Normalized "normalized", Pixel "pixel" }
    /// How coordinates outside the texture are mapped.
    Address {
        ClampToEdge "clamp_to_edge", MirrorClampToEdge "mirror_clamp_to_edge", Repeat "repeat",
        MirroredRepeat "mirrored_repeat", ClampToZero "clamp_to_zero", ClampToBorder "clamp_to_border"
    }
    /// The color beyond the edges.
    Border {
        TransparentBlack "transparent_black", OpaqueBlack "opaque_black", OpaqueWhite "opaque_white"
    }
    /// The filter within a level.
    Filter { Nearest "nearest", Linear "linear" }
    /// The filter between levels.
    MipFilter { None "none", Nearest "nearest", Linear "linear" }
    /// How the reference value is compared with a pixel's.
    Compare {
        Never "never", Less "less", Equal "equal", LessEqual "less_equal", Greater "greater",
        NotEqual "not_equal", GreaterEqual "greater_equal", Always "always"
    }
    /// How the pixels under a filter are combined.
    Reduction { WeightedAverage "weighted_average", Minimum "minimum", Maximum "maximum" }
}

/// A field: its first bit and how many it has.
type Bits = (u32, u32);

const COORDINATES: Bits = (0, 1);
const ADDRESS: [Bits; 3] = [(1, 3), (4, 3), (7, 3)];
const BORDER: Bits = (10, 2);
const MIN: Bits = (12, 1);
const MAG: Bits = (13, 1);
const MIP: Bits = (14, 2);
const COMPARE: Bits = (16, 3);
const REDUCTION: Bits = (19, 2);
/// In 64ths, signed.
const BIAS: Bits = (21, 11);
/// Halves without a sign: a level of detail needs no more.
const LOD: [Bits; 2] = [(32, 15), (47, 15)];
/// Set in every sampler, so that other numbers in memory are not mistaken for one.
const MARK: Bits = (63, 1);

/// The options of a sampler in the source: the name, its choices, and the fields that it sets.
const OPTIONS: &[(&str, &[&str], &[Bits])] = &[
    ("coord", Coordinates::NAMES, &[COORDINATES]),
    ("address", Address::NAMES, &ADDRESS),
    ("s_address", Address::NAMES, &[ADDRESS[0]]),
    ("t_address", Address::NAMES, &[ADDRESS[1]]),
    ("r_address", Address::NAMES, &[ADDRESS[2]]),
    ("border_color", Border::NAMES, &[BORDER]),
    ("filter", Filter::NAMES, &[MIN, MAG]),
    ("min_filter", Filter::NAMES, &[MIN]),
    ("mag_filter", Filter::NAMES, &[MAG]),
    ("mip_filter", MipFilter::NAMES, &[MIP]),
    ("compare_func", Compare::NAMES, &[COMPARE]),
    ("reduction", Reduction::NAMES, &[REDUCTION]),
];

/// The names of the options.
pub(crate) fn options() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|row| row.0)
}

/// A sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sampler(pub(crate) u64);

impl Default for Sampler {
    /// As MSL's table 2.7 has it; the first choice of every field is its default.
    fn default() -> Self {
        let mut sampler = Self(0);
        sampler.put(MARK, 1);
        sampler.set_lod_clamp(0.0, f32::INFINITY);
        sampler
    }
}

impl Sampler {
    /// Whether the number is a sampler.
    pub(crate) const fn is_one(self) -> bool {
        self.get(MARK) != 0
    }

    const fn get(self, (first, count): Bits) -> u64 {
        self.0 >> first & ((1 << count) - 1)
    }

    fn put(&mut self, (first, count): Bits, value: u64) {
        let mask = ((1 << count) - 1) << first;
        self.0 = self.0 & !mask | value << first & mask;
    }

    /// Sets an option as `option::choice` does; `None` if there is no such option or choice.
    pub(crate) fn set(&mut self, option: &str, choice: &str) -> Option<()> {
        let row = OPTIONS.iter().find(|row| row.0 == option)?;
        let number = row.1.iter().position(|name| *name == choice)?;
        self.set_number(option, number)
    }

    /// The same for the choice's number in Metal's interface.
    pub(crate) fn set_number(&mut self, option: &str, number: usize) -> Option<()> {
        let (_, choices, fields) = OPTIONS.iter().find(|row| row.0 == option)?;
        choices.get(number)?;
        fields.iter().for_each(|&field| self.put(field, number as u64));
        Some(())
    }

    /// Sets the range of levels.
    pub(crate) fn set_lod_clamp(&mut self, least: f32, most: f32) {
        // No level is below 0.
        self.put(LOD[0], f16_bits(least.max(0.0)).into());
        self.put(LOD[1], f16_bits(most.max(0.0)).into());
    }

    /// Sets the bias added to every level of detail, from -16 to 16.
    pub(crate) fn set_bias(&mut self, bias: f32) {
        self.put(BIAS, ((bias.clamp(-16.0, 15.98) * 64.0) as i64 & 0x7ff) as u64);
    }

    pub(crate) fn coordinates(self) -> Coordinates {
        Coordinates::of(self.get(COORDINATES))
    }

    pub(crate) fn address(self, axis: usize) -> Address {
        Address::of(self.get(ADDRESS[axis]))
    }

    pub(crate) fn border(self) -> Border {
        Border::of(self.get(BORDER))
    }

    pub(crate) fn min_filter(self) -> Filter {
        Filter::of(self.get(MIN))
    }

    pub(crate) fn mag_filter(self) -> Filter {
        Filter::of(self.get(MAG))
    }

    pub(crate) fn mip_filter(self) -> MipFilter {
        MipFilter::of(self.get(MIP))
    }

    pub(crate) fn compare(self) -> Compare {
        Compare::of(self.get(COMPARE))
    }

    pub(crate) fn reduction(self) -> Reduction {
        Reduction::of(self.get(REDUCTION))
    }

    pub(crate) fn bias(self) -> f32 {
        ((self.get(BIAS) << 53) as i64 >> 53) as f32 / 64.0
    }

    pub(crate) fn lod_clamp(self) -> (f32, f32) {
        (f16_value(self.get(LOD[0]) as u16), f16_value(self.get(LOD[1]) as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_sets_its_own_fields() {
        for (option, choices, _) in OPTIONS {
            for choice in *choices {
                let mut sampler = Sampler::default();
                sampler.set(option, choice).unwrap();
                let mut again = Sampler::default();
                again.set_number(option, choices.iter().position(|name| name == choice).unwrap());
                assert_eq!(sampler, again);
                assert_eq!(sampler.lod_clamp(), (0.0, f32::INFINITY), "{option}::{choice}");
                assert_eq!(sampler.bias(), 0.0, "{option}::{choice}");
            }
            let mut sampler = Sampler::default();
            assert_eq!(sampler.set(option, "nothing"), None);
            assert_eq!(sampler.set_number(option, choices.len()), None);
        }
        let mut sampler = Sampler::default();
        sampler.set("t_address", "repeat");
        sampler.set("mag_filter", "linear");
        sampler.set_lod_clamp(0.5, 7.0);
        sampler.set_bias(-2.25);
        assert_eq!(sampler.address(0), Address::ClampToEdge);
        assert_eq!(sampler.address(1), Address::Repeat);
        assert_eq!((sampler.min_filter(), sampler.mag_filter()), (Filter::Nearest, Filter::Linear));
        assert_eq!((sampler.lod_clamp(), sampler.bias()), ((0.5, 7.0), -2.25));
    }
}
