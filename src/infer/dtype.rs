//! The types of values that tensors hold.

use crate::Plain;
use crate::fp16::{Bfloat, Half};
use std::fmt;

/// The type of a tensor's values.
///
/// ```
/// use aruminium::infer::{DType, Quant};
/// assert_eq!((DType::F16.name(), DType::F16.bytes_of(3)), ("f16", Some(6)));
/// // Quantised values come in blocks of a fixed size.
/// let q4 = DType::Quant(Quant::Q4_0);
/// assert_eq!((q4.block(), q4.block_bytes()), (32, 18));
/// assert_eq!((q4.bytes_of(64), q4.bytes_of(33)), (Some(36), None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// 32-bit floats.
    F32,
    /// Half-precision floats.
    F16,
    /// Bfloats: the upper half of a 32-bit float.
    BF16,
    /// 64-bit floats, which kernels cannot compute with.
    F64,
    /// Signed bytes.
    I8,
    /// Bytes.
    U8,
    /// Signed 16-bit integers.
    I16,
    /// Unsigned 16-bit integers.
    U16,
    /// Signed 32-bit integers.
    I32,
    /// Unsigned 32-bit integers.
    U32,
    /// Signed 64-bit integers.
    I64,
    /// Unsigned 64-bit integers.
    U64,
    /// Truth values: bytes that are 0 or 1.
    Bool,
    /// Blocks of quantised values.
    Quant(Quant),
}

/// A block format of ggml, by its id in GGUF files.
///
/// An id without a name here is a valid type too: its tensors can be listed, and have no size.
///
/// ```
/// use aruminium::infer::Quant;
/// assert_eq!((Quant::Q6_K.id(), Quant::Q6_K.name()), (14, Some("q6_k")));
/// assert_eq!(Quant::from_id(14), Quant::Q6_K);
/// assert_eq!((Quant::from_id(999).name(), Quant::from_id(999).block_bytes()), (None, 0));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quant(u32);

/// The table of block formats: constant, id, name, values per block, bytes per block.
macro_rules! quants {
    ($($constant:ident = $id:literal, $name:literal, $values:literal, $bytes:literal;)*) => {
        impl Quant {
            $(#[doc = concat!("`", $name, "`: blocks of ", $values, " values in ", $bytes, " bytes.")]
            pub const $constant: Self = Self($id);)*

            /// Every format with a name.
            ///
            /// ```
            /// use aruminium::infer::Quant;
            /// assert!(Quant::ALL.iter().all(|quant| quant.name().is_some()));
            /// ```
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];

            /// Its name, the number of values in a block, and the number of bytes.
            const fn row(self) -> Option<(&'static str, usize, usize)> {
                match self.0 {
                    $($id => Some(($name, $values, $bytes)),)*
                    _ => None,
                }
            }
        }
    };
}

quants! {
    Q4_0 = 2, "q4_0", 32, 18;
    Q4_1 = 3, "q4_1", 32, 20;
    Q5_0 = 6, "q5_0", 32, 22;
    Q5_1 = 7, "q5_1", 32, 24;
    Q8_0 = 8, "q8_0", 32, 34;
    Q8_1 = 9, "q8_1", 32, 36;
    Q2_K = 10, "q2_k", 256, 84;
    Q3_K = 11, "q3_k", 256, 110;
    Q4_K = 12, "q4_k", 256, 144;
    Q5_K = 13, "q5_k", 256, 176;
    Q6_K = 14, "q6_k", 256, 210;
    Q8_K = 15, "q8_k", 256, 292;
    IQ2_XXS = 16, "iq2_xxs", 256, 66;
    IQ2_XS = 17, "iq2_xs", 256, 74;
    IQ3_XXS = 18, "iq3_xxs", 256, 98;
    IQ1_S = 19, "iq1_s", 256, 50;
    IQ4_NL = 20, "iq4_nl", 32, 18;
    IQ3_S = 21, "iq3_s", 256, 110;
    IQ2_S = 22, "iq2_s", 256, 82;
    IQ4_XS = 23, "iq4_xs", 256, 136;
    IQ1_M = 29, "iq1_m", 256, 56;
    TQ1_0 = 34, "tq1_0", 256, 54;
    TQ2_0 = 35, "tq2_0", 256, 66;
    MXFP4 = 39, "mxfp4", 32, 17;
    NVFP4 = 40, "nvfp4", 64, 36;
    Q1_0 = 41, "q1_0", 128, 18;
    Q2_0 = 42, "q2_0", 64, 18;
}

impl Quant {
    /// The format with an id of ggml, whether it has a name here or not. The ids of plain types (`f32` is 0)
    /// are [`DType::from_ggml`]'s.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::Quant::from_id(2), aruminium::infer::Quant::Q4_0);
    /// ```
    pub const fn from_id(id: u32) -> Self {
        Self(id)
    }

    /// The id in GGUF files.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::Quant::Q8_0.id(), 8);
    /// ```
    pub const fn id(self) -> u32 {
        self.0
    }

    /// The name, in lower case; `None` for an id that this version of the crate does not know.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::Quant::IQ4_NL.name(), Some("iq4_nl"));
    /// ```
    pub const fn name(self) -> Option<&'static str> {
        match self.row() {
            Some((name, ..)) => Some(name),
            None => None,
        }
    }

    /// The number of values in a block; 0 for an unknown id.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::Quant::Q4_K.block(), 256);
    /// ```
    pub const fn block(self) -> usize {
        match self.row() {
            Some((_, values, _)) => values,
            None => 0,
        }
    }

    /// The number of bytes of a block; 0 for an unknown id.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::Quant::Q4_K.block_bytes(), 144);
    /// ```
    pub const fn block_bytes(self) -> usize {
        match self.row() {
            Some((.., bytes)) => bytes,
            None => 0,
        }
    }
}

impl fmt::Display for Quant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "ggml type {}", self.0),
        }
    }
}

impl fmt::Debug for Quant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The table of plain types: variant, name, bytes per value, id of ggml, name in safetensors files.
macro_rules! plain_types {
    ($($variant:ident $name:literal $bytes:literal ggml $ggml:expr, safetensors $safe:literal;)*) => {
        impl DType {
            /// The plain types: all that are not quantised.
            ///
            /// ```
            /// use aruminium::infer::DType;
            /// assert!(DType::PLAIN.iter().all(|dtype| dtype.block() == 1));
            /// ```
            pub const PLAIN: &'static [Self] = &[$(Self::$variant),*];

            /// Its name, size, id and name in safetensors files; `None` for quantised types.
            const fn row(self) -> Option<(&'static str, usize, Option<u32>, &'static str)> {
                match self {
                    $(Self::$variant => Some(($name, $bytes, $ggml, $safe)),)*
                    Self::Quant(_) => None,
                }
            }
        }
    };
}

plain_types! {
    F32 "f32" 4 ggml Some(0), safetensors "F32";
    F16 "f16" 2 ggml Some(1), safetensors "F16";
    BF16 "bf16" 2 ggml Some(30), safetensors "BF16";
    F64 "f64" 8 ggml Some(28), safetensors "F64";
    I8 "i8" 1 ggml Some(24), safetensors "I8";
    U8 "u8" 1 ggml None, safetensors "U8";
    I16 "i16" 2 ggml Some(25), safetensors "I16";
    U16 "u16" 2 ggml None, safetensors "U16";
    I32 "i32" 4 ggml Some(26), safetensors "I32";
    U32 "u32" 4 ggml None, safetensors "U32";
    I64 "i64" 8 ggml Some(27), safetensors "I64";
    U64 "u64" 8 ggml None, safetensors "U64";
    Bool "bool" 1 ggml None, safetensors "BOOL";
}

impl DType {
    /// The name, in lower case.
    ///
    /// ```
    /// use aruminium::infer::{DType, Quant};
    /// assert_eq!((DType::BF16.name(), DType::Quant(Quant::Q5_1).name()), ("bf16", "q5_1"));
    /// ```
    pub const fn name(self) -> &'static str {
        match (self.row(), self) {
            (Some((name, ..)), _) => name,
            (None, Self::Quant(quant)) => match quant.name() {
                Some(name) => name,
                None => "unknown",
            },
            (None, _) => unreachable!(),
        }
    }

    /// The number of values in a block: 1 unless it is quantised; 0 for an unknown id.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::DType::F32.block(), 1);
    /// ```
    pub const fn block(self) -> usize {
        match self {
            Self::Quant(quant) => quant.block(),
            _ => 1,
        }
    }

    /// The number of bytes of a block; of a value, unless it is quantised.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::DType::I64.block_bytes(), 8);
    /// ```
    pub const fn block_bytes(self) -> usize {
        match (self.row(), self) {
            (Some((_, bytes, ..)), _) => bytes,
            (None, Self::Quant(quant)) => quant.block_bytes(),
            (None, _) => unreachable!(),
        }
    }

    /// The number of bytes of a number of values; `None` if they are not whole blocks, if the size is unknown,
    /// or if it is more than an address space has.
    ///
    /// ```
    /// use aruminium::infer::{DType, Quant};
    /// assert_eq!(DType::F64.bytes_of(2), Some(16));
    /// assert_eq!(DType::Quant(Quant::from_id(999)).bytes_of(256), None);
    /// assert_eq!(DType::F64.bytes_of(usize::MAX), None);
    /// ```
    pub const fn bytes_of(self, values: usize) -> Option<usize> {
        match (values.checked_div(self.block()), values.checked_rem(self.block())) {
            (Some(blocks), Some(0)) => blocks.checked_mul(self.block_bytes()),
            _ => None,
        }
    }

    /// Whether the values are quantised.
    ///
    /// ```
    /// use aruminium::infer::{DType, Quant};
    /// assert!(DType::Quant(Quant::Q4_0).is_quantized() && !DType::U8.is_quantized());
    /// ```
    pub const fn is_quantized(self) -> bool {
        matches!(self, Self::Quant(_))
    }

    /// Whether the values are plain floats.
    ///
    /// ```
    /// use aruminium::infer::DType;
    /// assert!(DType::BF16.is_float() && !DType::I8.is_float());
    /// ```
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16 | Self::F64)
    }

    /// The type with an id of ggml. An id that is unknown is a [`Quant`] without a name.
    ///
    /// ```
    /// use aruminium::infer::{DType, Quant};
    /// assert_eq!(DType::from_ggml(30), DType::BF16);
    /// assert_eq!(DType::from_ggml(12), DType::Quant(Quant::Q4_K));
    /// ```
    pub fn from_ggml(id: u32) -> Self {
        let plain = Self::PLAIN.iter().find(|dtype| dtype.ggml() == Some(id));
        plain.copied().unwrap_or(Self::Quant(Quant::from_id(id)))
    }

    /// The id of ggml, if it has one.
    ///
    /// ```
    /// use aruminium::infer::DType;
    /// assert_eq!((DType::I16.ggml(), DType::U32.ggml()), (Some(25), None));
    /// ```
    pub const fn ggml(self) -> Option<u32> {
        match (self.row(), self) {
            (_, Self::Quant(quant)) => Some(quant.id()),
            (Some((_, _, id, _)), _) => id,
            (None, _) => None,
        }
    }

    /// The type with a name of the safetensors format.
    ///
    /// ```
    /// use aruminium::infer::DType;
    /// assert_eq!(DType::from_safetensors("BF16"), Some(DType::BF16));
    /// assert_eq!(DType::from_safetensors("F8_E4M3"), None);
    /// ```
    pub fn from_safetensors(name: &str) -> Option<Self> {
        Self::PLAIN.iter().copied().find(|dtype| dtype.safetensors() == Some(name))
    }

    /// The name in the safetensors format; `None` for quantised types.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::DType::Bool.safetensors(), Some("BOOL"));
    /// ```
    pub const fn safetensors(self) -> Option<&'static str> {
        match self.row() {
            Some((.., name)) => Some(name),
            None => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quant(quant) => quant.fmt(f),
            plain => f.write_str(plain.name()),
        }
    }
}

/// Rust's types of values that a tensor can hold.
///
/// ```
/// use aruminium::infer::{DType, Element};
/// assert_eq!(<aruminium::fp16::Half as Element>::DTYPE, DType::F16);
/// assert!(u8::fits(DType::Bool) && !u8::fits(DType::I8));
/// ```
pub trait Element: Plain {
    /// The type of a tensor of such values.
    const DTYPE: DType;

    /// Whether values of this type can be viewed in a tensor of another one: only bytes, as truth values.
    fn fits(dtype: DType) -> bool {
        dtype == Self::DTYPE || (Self::DTYPE == DType::U8 && dtype == DType::Bool)
    }
}

/// Implements [`Element`].
macro_rules! elements {
    ($($ty:ty = $variant:ident),+) => {$(
        impl Element for $ty {
            const DTYPE: DType = DType::$variant;
        }
    )+};
}

elements!(
    f32 = F32,
    Half = F16,
    Bfloat = BF16,
    f64 = F64,
    i8 = I8,
    u8 = U8,
    i16 = I16,
    u16 = U16,
    i32 = I32,
    u32 = U32,
    i64 = I64,
    u64 = U64
);
#[cfg(feature = "half")]
elements!(half::f16 = F16, half::bf16 = BF16);
