//! The element types of MLX's arrays, by the names that instances of its templates have, and their values.

use crate::complex::{Complex, complex};
use crate::numbers::{Number, noise};

/// A value of an element.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    /// Of an integer, or of a `bool` as 0 or 1.
    Int(i128),
    /// Of a number with a fraction.
    Real(f64),
    /// Of a complex number.
    Complex(f64, f64),
}

impl Value {
    /// It as a complex number.
    pub fn complex(self) -> Complex {
        match self {
            Self::Int(x) => complex(x as f64, 0.0),
            Self::Real(x) => complex(x, 0.0),
            Self::Complex(re, im) => complex(re, im),
        }
    }

    /// Its real part.
    pub fn real(self) -> f64 {
        self.complex().re
    }
}

/// The type of an array's elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Element {
    /// `bool`
    Bool,
    /// An integer: its bits, and whether it has a sign.
    Int(u32, bool),
    /// `float`, `half` or `bfloat`
    Float(Number),
    /// A pair of `float`s
    Complex,
}

const F32: Number = Number::F32;

impl Element {
    /// The type with this name in MSL.
    ///
    /// # Panics
    /// If MLX has no such type.
    pub fn named(name: &str) -> Self {
        match name {
            "bool" => Self::Bool,
            "half" => Self::Float(Number::F16),
            "bfloat16_t" => Self::Float(Number::BF16),
            "float" => Self::Float(F32),
            "complex64_t" => Self::Complex,
            _ => {
                let signed = !name.starts_with('u');
                let digits = name.trim_start_matches('u').strip_prefix("int");
                let bits = digits.and_then(|rest| rest.strip_suffix("_t")?.parse().ok());
                Self::Int(bits.unwrap_or_else(|| panic!("no type {name}")), signed)
            }
        }
    }

    /// Bytes of one.
    pub fn size(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int(bits, _) => bits as usize / 8,
            Self::Float(number) => number.size(),
            Self::Complex => 8,
        }
    }

    /// Whether it is an integer or a `bool`.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Bool | Self::Int(..))
    }

    /// Whether it has negative values.
    pub fn is_signed(self) -> bool {
        !matches!(self, Self::Bool | Self::Int(_, false))
    }

    /// The distance of neighbours at 1; 0 for integers.
    pub fn epsilon(self) -> f64 {
        match self {
            Self::Float(number) => number.epsilon(),
            Self::Complex => F32.epsilon(),
            _ => 0.0,
        }
    }

    /// Numbers of this type within ±2.
    pub fn some(self, seed: u64, count: usize) -> Vec<Value> {
        let part = |bits: u64| (bits % 4001) as f64 / 1000.0 - 2.0;
        let one = |bits: u64| match self {
            Self::Complex => Value::Complex(part(bits), part(bits >> 9)),
            _ => Value::Real(part(bits)),
        };
        noise(seed).take(count).map(|bits| self.converted(one(bits))).collect()
    }

    /// An integer's value in this type.
    pub fn of(self, value: i128) -> Value {
        self.converted(Value::Int(value))
    }

    /// A value converted to this type: the nearest number, an integer modulo 2 to its bits, truth for a `bool`, and the real
    /// part of a complex number.
    pub fn converted(self, value: Value) -> Value {
        let real = match value {
            Value::Int(value) => value as f64,
            Value::Real(value) | Value::Complex(value, _) => value,
        };
        match (self, value) {
            (Self::Bool, Value::Complex(real, imaginary)) => {
                Value::Int(i128::from(real != 0.0 || imaginary != 0.0))
            }
            (Self::Bool, _) => Value::Int(i128::from(real != 0.0)),
            (Self::Int(bits, signed), value) => {
                let whole = if let Value::Int(whole) = value { whole } else { real as i128 };
                let low = whole & ((1 << bits) - 1);
                let negative = signed && low >> (bits - 1) == 1;
                Value::Int(if negative { low - (1 << bits) } else { low })
            }
            (Self::Float(number), _) => Value::Real(number.rounded(real)),
            (Self::Complex, Value::Complex(real, imaginary)) => {
                Value::Complex(F32.rounded(real), F32.rounded(imaginary))
            }
            (Self::Complex, _) => Value::Complex(F32.rounded(real), 0.0),
        }
    }

    /// The bytes of values of this type.
    pub fn encode(self, values: &[Value]) -> Vec<u8> {
        let one = |value: &Value| match (self, *value) {
            (Self::Float(number), Value::Real(value)) => number.encode(&[value]),
            (Self::Complex, Value::Complex(real, imaginary)) => F32.encode(&[real, imaginary]),
            (Self::Bool | Self::Int(..), Value::Int(value)) => {
                value.to_le_bytes()[..self.size()].to_vec()
            }
            (_, value) => panic!("{value:?} is no {self:?}"),
        };
        values.iter().flat_map(one).collect()
    }

    /// The values of bytes.
    pub fn decode(self, bytes: &[u8]) -> Vec<Value> {
        let one = |bytes: &[u8]| match self {
            Self::Float(number) => Value::Real(number.decode(bytes)[0]),
            Self::Complex => {
                let parts = F32.decode(bytes);
                Value::Complex(parts[0], parts[1])
            }
            // As it is: a `bool` that is neither 0 nor 1 equals no expected value.
            Self::Bool => Value::Int(i128::from(bytes[0])),
            Self::Int(..) => {
                let mut word = [0; 16];
                word[..bytes.len()].copy_from_slice(bytes);
                self.of(i128::from_le_bytes(word))
            }
        };
        bytes.chunks(self.size()).map(one).collect()
    }

    /// Checks that results are those expected: integers exactly, numbers within `tolerance` times the larger of 1 and their
    /// own size.
    ///
    /// # Panics
    /// With the first that is not, and how many are not.
    #[track_caller]
    pub fn check(self, what: &str, found: &[u8], expected: &[Value], tolerance: f64) {
        let found = self.decode(found);
        assert_eq!(found.len(), expected.len(), "{what}: the number of elements");
        let near = |found: f64, expected: f64, size: f64| {
            found == expected
                || found.is_nan() && expected.is_nan()
                || (found - expected).abs() <= tolerance * size.max(1.0)
        };
        let is_wrong =
            |(_, (found, expected)): &(usize, (&Value, &Value))| !match (**found, **expected) {
                (Value::Int(found), Value::Int(expected)) => found == expected,
                (Value::Real(found), Value::Real(expected)) => {
                    near(found, expected, expected.abs())
                }
                (Value::Complex(a, b), Value::Complex(c, d)) => {
                    let size = c.hypot(d);
                    near(a, c, size) && near(b, d, size)
                }
                _ => false,
            };
        let pairs = found.iter().zip(expected).enumerate();
        if let Some((at, (found, expected))) = pairs.clone().find(is_wrong) {
            let count = pairs.filter(is_wrong).count();
            panic!("{what}: element {at} is {found:?}, not {expected:?}; {count} differ");
        }
    }
}
