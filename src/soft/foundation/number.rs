//! NSNumber: a number or a truth value as an object.

use super::Text;
use super::value::NSValue;
use crate::soft::runtime::declare::{Ours, This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Strong};
use std::cmp::Ordering;
use std::ffi::{CStr, c_char, c_void};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A number, and the C type that it was made from.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    value: Value,
    objc_type: &'static CStr,
}

#[derive(Clone, Copy)]
enum Value {
    /// Every integer of up to 64 bits, signed or not.
    Integer(i128),
    Float(f64),
}

/// For each C type: its encoding, its kind of value, how it is made and how it is read.
macro_rules! numbers {
    ($($ty:ty, $encoding:literal, $kind:ident($wide:ty): $make:ident, $read:ident;)+) => {
        impl Number {$(
            fn $make(value: $ty) -> Self {
                Self { value: Value::$kind(<$wide>::from(value)), objc_type: $encoding }
            }
            /// Integers keep their low bits; a float is truncated and clamped.
            fn $read(self) -> $ty {
                match self.value {
                    Value::Integer(value) => value as $ty,
                    Value::Float(value) => value as $ty,
                }
            }
        )+}
    };
}

numbers! {
    i8, c"c", Integer(i128): from_i8, to_i8;
    u8, c"C", Integer(i128): from_u8, to_u8;
    i16, c"s", Integer(i128): from_i16, to_i16;
    u16, c"S", Integer(i128): from_u16, to_u16;
    i32, c"i", Integer(i128): from_i32, to_i32;
    u32, c"I", Integer(i128): from_u32, to_u32;
    i64, c"q", Integer(i128): from_i64, to_i64;
    u64, c"Q", Integer(i128): from_u64, to_u64;
    f32, c"f", Float(f64): from_f32, to_f32;
    f64, c"d", Float(f64): from_f64, to_f64;
}

soft_class! {
    /// A number.
    pub(crate) class NSNumber(Number): NSValue, conforms [NSCopying], lacks super::absent::NUMBER;
    make [numberWithBool:] = Number::from_bool;
    init [initWithBool:] = Number::from_bool;
    make [numberWithChar:] = Number::from_i8;
    init [initWithChar:] = Number::from_i8;
    make [numberWithUnsignedChar:] = Number::from_u8;
    init [initWithUnsignedChar:] = Number::from_u8;
    make [numberWithShort:] = Number::from_i16;
    init [initWithShort:] = Number::from_i16;
    make [numberWithUnsignedShort:] = Number::from_u16;
    init [initWithUnsignedShort:] = Number::from_u16;
    make [numberWithInt:] = Number::from_i32;
    init [initWithInt:] = Number::from_i32;
    make [numberWithUnsignedInt:] = Number::from_u32;
    init [initWithUnsignedInt:] = Number::from_u32;
    make [numberWithLong:] = Number::from_i64;
    init [initWithLong:] = Number::from_i64;
    make [numberWithUnsignedLong:] = Number::from_u64;
    init [initWithUnsignedLong:] = Number::from_u64;
    make [numberWithLongLong:] = Number::from_i64;
    init [initWithLongLong:] = Number::from_i64;
    make [numberWithUnsignedLongLong:] = Number::from_u64;
    init [initWithUnsignedLongLong:] = Number::from_u64;
    make [numberWithInteger:] = Number::from_i64;
    init [initWithInteger:] = Number::from_i64;
    make [numberWithUnsignedInteger:] = Number::from_u64;
    init [initWithUnsignedInteger:] = Number::from_u64;
    make [numberWithFloat:] = Number::from_f32;
    init [initWithFloat:] = Number::from_f32;
    make [numberWithDouble:] = Number::from_f64;
    init [initWithDouble:] = Number::from_f64;
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);

    [boolValue] = |number: &Number| number.to_bool();
    [charValue] = |number: &Number| number.to_i8();
    [unsignedCharValue] = |number: &Number| number.to_u8();
    [shortValue] = |number: &Number| number.to_i16();
    [unsignedShortValue] = |number: &Number| number.to_u16();
    [intValue] = |number: &Number| number.to_i32();
    [unsignedIntValue] = |number: &Number| number.to_u32();
    [longValue] = |number: &Number| number.to_i64();
    [unsignedLongValue] = |number: &Number| number.to_u64();
    [longLongValue] = |number: &Number| number.to_i64();
    [unsignedLongLongValue] = |number: &Number| number.to_u64();
    [integerValue] = |number: &Number| number.to_i64();
    [unsignedIntegerValue] = |number: &Number| number.to_u64();
    [floatValue] = |number: &Number| number.to_f32();
    [doubleValue] = |number: &Number| number.to_f64();
    [objCType] = Number::objc_type;
    // The messages of a value, whose bytes are those of the C type.
    [getValue:] = |number: &Number, to: *mut c_void| number.store(to);
    [getValue:size:] = |this: This<'_, Number>, to: *mut c_void, size: usize| match size == this.bytes().len() {
        true => this.store(to),
        false => this.fault(format_args!("a number of {} bytes was requested with {size}", this.bytes().len())),
    };
    [isEqualToValue:] = |number: &Number, other: Ours<Number>| number.is_equal(other.0);

    [compare:] = Number::compare;
    [isEqual:] = |number: &Number, other: Ours<Number>| number.is_equal(other.0);
    [isEqualToNumber:] = Number::is_equal;
    [hash] = Number::hash_value;
    [stringValue] = Number::describe;
    [description] = Number::describe;
}

impl Number {
    /// An NSNumber of an integer that 64 bits hold, signed or not.
    pub(crate) fn object(value: i128) -> Strong<Self> {
        let objc_type = if value > i64::MAX.into() { c"Q" } else { c"q" };
        Strong::new(Self { value: Value::Integer(value), objc_type })
    }

    fn from_bool(value: bool) -> Self {
        Self { value: Value::Integer(value.into()), objc_type: c"c" }
    }

    fn to_bool(self) -> bool {
        match self.value {
            Value::Integer(value) => value != 0,
            Value::Float(value) => value != 0.0,
        }
    }

    /// The value as the C type that it was made from.
    fn bytes(&self) -> Vec<u8> {
        match self.objc_type.to_bytes() {
            b"c" => self.to_i8().to_ne_bytes().into(),
            b"C" => self.to_u8().to_ne_bytes().into(),
            b"s" => self.to_i16().to_ne_bytes().into(),
            b"S" => self.to_u16().to_ne_bytes().into(),
            b"i" => self.to_i32().to_ne_bytes().into(),
            b"I" => self.to_u32().to_ne_bytes().into(),
            b"f" => self.to_f32().to_ne_bytes().into(),
            b"d" => self.to_f64().to_ne_bytes().into(),
            // The low bits are the same with a sign and without.
            _ => self.to_u64().to_ne_bytes().into(),
        }
    }

    fn store(&self, to: *mut c_void) {
        let bytes = self.bytes();
        // SAFETY: the caller passed room for a value of the type.
        unsafe { to.cast::<u8>().copy_from(bytes.as_ptr(), bytes.len()) }
    }

    fn objc_type(&self) -> *const c_char {
        self.objc_type.as_ptr()
    }

    /// Exact for every pair: an integer is never rounded to compare it with a float. NaN sorts first and
    /// equals itself, as a total order requires.
    fn order(&self, other: &Self) -> Ordering {
        match (self.value, other.value) {
            (Value::Integer(a), Value::Integer(b)) => a.cmp(&b),
            (Value::Float(a), Value::Float(b)) => {
                a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
            }
            (Value::Integer(a), Value::Float(b)) => integer_with_float(a, b),
            (Value::Float(a), Value::Integer(b)) => integer_with_float(b, a).reverse(),
        }
    }

    fn compare(&self, other: &Object<Self>) -> isize {
        self.order(other) as isize
    }

    fn is_equal(&self, other: Option<&Object<Self>>) -> bool {
        other.is_some_and(|other| self.order(other).is_eq())
    }

    /// Equal numbers have equal hashes, whatever they were made from.
    fn hash_value(&self) -> usize {
        let mut hasher = DefaultHasher::new();
        match self.value {
            Value::Integer(value) => value.hash(&mut hasher),
            // The cast saturates beyond the range of the integers here, so it equals none of them.
            Value::Float(value) if value.fract() == 0.0 => (value as i128).hash(&mut hasher),
            Value::Float(value) if value.is_nan() => {}
            Value::Float(value) => value.to_bits().hash(&mut hasher),
        }
        hasher.finish() as usize
    }

    fn describe(&self) -> Strong<Text> {
        Text::object(match self.value {
            Value::Integer(value) => value.to_string(),
            Value::Float(value) if self.objc_type == c"f" => (value as f32).to_string(),
            Value::Float(value) => value.to_string(),
        })
    }
}

fn integer_with_float(integer: i128, float: f64) -> Ordering {
    if float.is_nan() {
        return Ordering::Greater;
    }
    // If the integers are equal, the fraction decides; the cast saturates beyond the range.
    integer.cmp(&(float as i128)).then_with(|| 0.0f64.total_cmp(&(float.fract() + 0.0)))
}

fn itself(this: This<'_, Number>) -> Strong<Number> {
    this.retain()
}
