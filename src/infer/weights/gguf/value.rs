//! The values of a GGUF file's metadata.

use super::read::Reader;
use crate::infer::Error;

/// Defines [`Value`] and [`Array`] from the types of GGUF: variant, Rust type, id in the file.
macro_rules! values {
    ($($name:ident($ty:ty) = $id:literal, $bytes:literal;)+) => {
        /// A value of a GGUF file's metadata.
        ///
        /// ```
        /// use aruminium::infer::weights::{Array, Value};
        /// let (layers, names) = (Value::from(32u32), Value::from(vec!["a".to_owned(), "b".to_owned()]));
        /// assert_eq!((layers.as_u64(), layers.as_f64(), layers.as_str()), (Some(32), Some(32.0), None));
        /// assert_eq!(names.as_array().and_then(Array::as_strings).map(<[String]>::len), Some(2));
        /// ```
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Value {
            $(#[doc = concat!("One `", stringify!($ty), "`.")] $name($ty),)+
            /// Values of one type.
            Array(Array),
        }

        /// An array of a GGUF file's metadata.
        ///
        /// ```
        /// use aruminium::infer::weights::{Array, Value};
        /// let array = Array::I32(vec![5, -6]);
        /// assert_eq!((array.len(), array.get(1)), (2, Some(Value::I32(-6))));
        /// ```
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Array {
            $(#[doc = concat!("Values of type `", stringify!($ty), "`.")] $name(Vec<$ty>),)+
            /// Arrays.
            Array(Vec<Array>),
        }

        $(
            impl From<$ty> for Value {
                fn from(value: $ty) -> Self {
                    Self::$name(value)
                }
            }

            impl From<Vec<$ty>> for Value {
                fn from(values: Vec<$ty>) -> Self {
                    Self::Array(Array::$name(values))
                }
            }
        )+

        impl Value {
            /// The number that names the type in a file.
            pub(super) fn id(&self) -> u32 {
                match self {
                    $(Self::$name(_) => $id,)+
                    Self::Array(_) => ARRAY,
                }
            }

            pub(super) fn read(reader: &mut Reader<'_>, id: u32) -> Result<Self, Error> {
                match id {
                    $($id => <$ty>::take(reader).map(Self::$name),)+
                    ARRAY => Array::read(reader, 0).map(Self::Array),
                    _ => Err(unknown(reader, id)),
                }
            }

            pub(super) fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(value) => value.put(out),)+
                    Self::Array(array) => array.write(out),
                }
            }
        }

        impl Array {
            fn id(&self) -> u32 {
                match self {
                    $(Self::$name(_) => $id,)+
                    Self::Array(_) => ARRAY,
                }
            }

            fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Self, Error> {
                let id = u32::take(reader)?;
                match id {
                    $($id => reader.list($bytes, <$ty>::take).map(Self::$name),)+
                    ARRAY if depth == DEPTH => {
                        Err(reader.error(format!("arrays are nested more than {DEPTH} deep")))
                    }
                    ARRAY => reader.list(12, |reader| Self::read(reader, depth + 1)).map(Self::Array),
                    _ => Err(unknown(reader, id)),
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                self.id().put(out);
                (self.len() as u64).put(out);
                match self {
                    $(Self::$name(values) => values.iter().for_each(|value| value.put(out)),)+
                    Self::Array(arrays) => arrays.iter().for_each(|array| array.write(out)),
                }
            }

            /// The number of values.
            ///
            /// ```
            /// assert_eq!(aruminium::infer::weights::Array::U8(vec![1, 2]).len(), 2);
            /// ```
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$name(values) => values.len(),)+
                    Self::Array(arrays) => arrays.len(),
                }
            }

            /// One of the values.
            ///
            /// ```
            /// use aruminium::infer::weights::{Array, Value};
            /// assert_eq!(Array::U8(vec![1, 2]).get(1), Some(Value::U8(2)));
            /// assert_eq!(Array::U8(vec![1, 2]).get(2), None);
            /// ```
            pub fn get(&self, index: usize) -> Option<Value> {
                match self {
                    $(Self::$name(values) => values.get(index).cloned().map(Value::$name),)+
                    Self::Array(arrays) => arrays.get(index).cloned().map(Value::Array),
                }
            }
        }
    };
}

values! {
    U8(u8) = 0, 1;
    I8(i8) = 1, 1;
    U16(u16) = 2, 2;
    I16(i16) = 3, 2;
    U32(u32) = 4, 4;
    I32(i32) = 5, 4;
    F32(f32) = 6, 4;
    Bool(bool) = 7, 1;
    String(String) = 8, 8;
    U64(u64) = 10, 8;
    I64(i64) = 11, 8;
    F64(f64) = 12, 8;
}

/// The id of arrays.
const ARRAY: u32 = 9;

/// The maximum depth of nested arrays.
const DEPTH: usize = 8;

fn unknown(reader: &Reader<'_>, id: u32) -> Error {
    reader.error(format!("unknown type {id} of a value"))
}

impl Value {
    /// A whole number that is not negative, of any width.
    ///
    /// ```
    /// use aruminium::infer::weights::Value;
    /// assert_eq!((Value::I32(7).as_u64(), Value::I32(-7).as_u64()), (Some(7), None));
    /// ```
    pub fn as_u64(&self) -> Option<u64> {
        self.integer().and_then(|value| value.try_into().ok())
    }

    /// A whole number, of any width.
    ///
    /// ```
    /// use aruminium::infer::weights::Value;
    /// assert_eq!((Value::I8(-7).as_i64(), Value::U64(u64::MAX).as_i64()), (Some(-7), None));
    /// ```
    pub fn as_i64(&self) -> Option<i64> {
        self.integer().and_then(|value| value.try_into().ok())
    }

    fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(value) => value.into(),
            Self::I8(value) => value.into(),
            Self::U16(value) => value.into(),
            Self::I16(value) => value.into(),
            Self::U32(value) => value.into(),
            Self::I32(value) => value.into(),
            Self::U64(value) => value.into(),
            Self::I64(value) => value.into(),
            _ => return None,
        })
    }

    /// A number of any type, rounded.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::weights::Value::F32(0.5).as_f64(), Some(0.5));
    /// ```
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
            _ => self.integer().map(|value| value as f64),
        }
    }

    /// A boolean.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::weights::Value::Bool(true).as_bool(), Some(true));
    /// ```
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// A string.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::weights::Value::from("llama").as_str(), Some("llama"));
    /// ```
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// An array.
    ///
    /// ```
    /// use aruminium::infer::weights::Value;
    /// assert!(Value::from(vec![1u8]).as_array().is_some() && Value::U8(1).as_array().is_none());
    /// ```
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl Array {
    /// Whether there are no values.
    ///
    /// ```
    /// assert!(aruminium::infer::weights::Array::U8(vec![]).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values.
    ///
    /// ```
    /// use aruminium::infer::weights::Array;
    /// assert_eq!(Array::I32(vec![1, 2]).iter().filter_map(|value| value.as_u64()).sum::<u64>(), 3);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The strings, if it is an array of them.
    ///
    /// ```
    /// use aruminium::infer::weights::Array;
    /// assert_eq!(Array::String(vec!["a".to_owned()]).as_strings(), Some(&["a".to_owned()][..]));
    /// ```
    pub fn as_strings(&self) -> Option<&[String]> {
        match self {
            Self::String(values) => Some(values),
            _ => None,
        }
    }
}

/// A type that has one form in files.
pub(super) trait Stored: Sized {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Error>;
    fn put(&self, out: &mut Vec<u8>);
}

macro_rules! stored {
    ($($ty:ty),+) => {$(
        impl Stored for $ty {
            fn take(reader: &mut Reader<'_>) -> Result<Self, Error> {
                reader.array().map(Self::from_le_bytes)
            }

            fn put(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
        }
    )+};
}

stored!(u8, i8, u16, i16, u32, i32, f32, u64, i64, f64);

impl Stored for bool {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let error = |byte| format!("a boolean is 0 or 1, and not {byte}");
        match u8::take(reader)? {
            byte @ 0..2 => Ok(byte == 1),
            byte => Err(reader.error(error(byte))),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Stored for String {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.string()
    }

    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend(self.as_bytes());
    }
}
