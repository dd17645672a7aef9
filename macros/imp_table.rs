//! `imp_table!`: the implementations of a class's methods, looked up once.

/// Declares a table of pre-resolved method implementations for a class that has no wrapper type.
///
/// The table is resolved from the class of a live object. Each line becomes an entry, the implementation with its
/// selector, and a method that calls it: no look-up, no `objc_msgSend`. A debugging or capturing layer may give a
/// later object another class; `matches` says so, and `refresh` resolves the table again.
///
/// ```
/// use aruminium::{imp_table, foundation::NSString};
///
/// imp_table! {
///     /// The methods of strings that a hot loop calls.
///     pub table StringImps: NSString;
///     /// How many UTF-16 units the text has.
///     pub fn length() -> usize = [length];
///     pub fn unit(index: usize) -> u16 = [characterAtIndex:];
/// }
///
/// let text = NSString::from("metal");
/// // SAFETY: the object is a live string.
/// let imps = unsafe { StringImps::resolve(text.as_raw()) };
/// // SAFETY: as above, and the table was resolved from its class.
/// unsafe {
///     assert!(imps.matches(text.as_raw()));
///     assert_eq!(imps.length(text.as_raw()), 5);
///     assert_eq!(imps.unit(text.as_raw(), 0), u16::from(b'm'));
/// }
/// ```
#[macro_export]
macro_rules! imp_table {
    ($(#[$meta:meta])* $vis:vis table $Table:ident: $Objc:ident; $($lines:tt)*) => {
        $crate::__lines! { __checked_table [[$(#[$meta])*] [$vis] $Table $Objc] $($lines)* }
    };
}

/// A table whose lines nothing else has checked.
#[doc(hidden)]
#[macro_export]
macro_rules! __checked_table {
    ($header:tt $($line:tt)*) => {
        $crate::__table! { $header $($line)* }

        const _: () = {
            _ = || $crate::__check_all! { [NotOfTheClass] $($line)* };
        };
    };
}

/// The type of a table.
#[doc(hidden)]
#[macro_export]
macro_rules! __table {
    (
        [[$($meta:tt)*] [$($vis:tt)*] $Table:ident $Objc:ident]
        $(($about:tt $fn_vis:tt $unsafe:tt $name:tt $args:tt $ret:tt $how:tt [$($sel:tt)+] $fail:tt))*
    ) => {
        $($meta)*
        #[derive(Clone, Copy, Debug)]
        $($vis)* struct $Table {
            __class: $crate::abi::Class,
            $($name: $crate::objc::ImpEntry,)*
        }

        impl $Table {
            /// Finds the implementations that the object's class has.
            ///
            /// # Safety
            ///
            /// `object` is a live object that responds to the table's selectors with the declared types.
            $($vis)* unsafe fn resolve(object: $crate::abi::Id) -> Self {
                // SAFETY: a live object has a class, and its methods are of the declared types.
                unsafe {
                    let class = $crate::objc::link::object_getClass(object);
                    Self {
                        __class: class,
                        $($name: $crate::objc::ImpEntry::resolve::<$crate::__sent_type!($how $ret $fail)>(
                            class,
                            $crate::__cached_selector!($($sel)+).get(),
                        ),)*
                    }
                }
            }

            /// Whether the object is of the class that the table was resolved from.
            ///
            /// # Safety
            ///
            /// `object` is nil or a live object.
            #[inline(always)]
            $($vis)* unsafe fn matches(&self, object: $crate::abi::Id) -> bool {
                // SAFETY: passed on to the caller.
                self.__class == unsafe { $crate::objc::link::object_getClass(object) }
            }

            /// Resolves the table again if the object is of another class; returns whether it was.
            ///
            /// # Safety
            ///
            /// As for `resolve`.
            $($vis)* unsafe fn refresh(&mut self, object: $crate::abi::Id) -> bool {
                // SAFETY: passed on to the caller.
                unsafe {
                    let stale = !self.matches(object);
                    if stale {
                        *self = Self::resolve(object);
                    }
                    stale
                }
            }

            $($crate::__table_fn! {
                $Objc ($about $fn_vis $unsafe $name $args $ret $how [$($sel)+] $fail)
            })*
        }

        // SAFETY: the table's own functions do what the trait requires.
        unsafe impl $crate::objc::ImpTable for $Table {
            unsafe fn resolve(object: $crate::abi::Id) -> Self {
                // SAFETY: passed on to the caller.
                unsafe { $Table::resolve(object) }
            }

            #[inline(always)]
            unsafe fn matches(&self, object: $crate::abi::Id) -> bool {
                // SAFETY: passed on to the caller.
                unsafe { $Table::matches(self, object) }
            }
        }
    };
}
