//! Classes that only have properties: the macro that declares them, and the sizes of Metal's data types.

use super::foundation::{Strong, Text};

/// Declares a class of properties: for each its getter, its setter, its Rust name, its type and its initial value;
/// after `read`, those without a setter.
/// Further rows are as in `soft_class!`.
macro_rules! properties {
    (
        $(#[$doc:meta])*
        class $name:ident($payload:ident, $fields:ident);
        $([$getter:ident, $setter:ident:] $field:ident: $ty:ty = $default:expr;)*
        $(read { $([$read:ident] $read_field:ident: $read_ty:ty = $read_default:expr;)+ })?
        $(rows { $($rows:tt)* })?
    ) => {
        /// The properties.
        #[derive(Clone)]
        pub(super) struct $fields {
            $(pub(super) $field: $ty,)*
            $($(pub(super) $read_field: $read_ty,)+)?
        }

        impl Default for $fields {
            fn default() -> Self {
                Self { $($field: $default,)* $($($read_field: $read_default,)+)? }
            }
        }

        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $payload(Mutex<$fields>);

        impl $payload {
            /// All properties as they are now.
            pub(super) fn get(&self) -> $fields {
                lock(&self.0).clone()
            }
        }

        soft_class! {
            $(#[$doc])*
            pub(super) class $name($payload): NSObject, conforms [NSCopying];
            init [init] = $payload::default;
            [copyWithZone:] = |this: &$payload, _: $crate::soft::metal::foundation::Zone| {
                Strong::new($payload(Mutex::new(this.get())))
            };
            $(
                [$getter] = |this: &$payload| lock(&this.0).$field.clone();
                [$setter:] = |this: &$payload, value: $ty| {
                    // The old value is dropped after the lock is released.
                    let _old = std::mem::replace(&mut lock(&this.0).$field, value);
                };
            )*
            $($([$read] = |this: &$payload| lock(&this.0).$read_field.clone();)+)?
            $($($rows)*)?
        }
    };
}
pub(super) use properties;

/// A label.
pub(super) type LabelText = Option<Strong<Text>>;

/// The scalars of `MTLDataType`: the number of the scalar, which those of its vectors of two to four follow, and
/// the bytes of a component.
pub(super) const SCALARS: [(usize, u32); 12] = [
    (3, 4),
    (16, 2),
    (29, 4),
    (33, 4),
    (37, 2),
    (41, 2),
    (45, 1),
    (49, 1),
    (53, 1),
    (81, 8),
    (85, 8),
    (121, 2),
];

/// The size of a type that a function constant may have, of `MTLDataType`: scalars and vectors, where
/// a vector of three has the size of one of four.
pub(super) fn size_of_data_type(data_type: usize) -> Option<usize> {
    SCALARS.iter().find_map(|&(first, size)| {
        let nth = data_type.checked_sub(first).filter(|nth| *nth < 4)?;
        Some(size as usize * [1, 2, 4, 4][nth])
    })
}
