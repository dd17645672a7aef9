//! `imp_table!`: the functions of a class, found once.

/// Declares a table of pre-resolved method implementations for a class that has no wrapper type.
///
/// The table is resolved from the class of a live object. Each line becomes a typed function
/// pointer and a method that calls through it: no look-up, no `objc_msgSend`. A debugging or
/// capturing layer may give a later object another class; `matches` tells, and `refresh` resolves
/// the table again.
///
/// ```
/// use aruminium::{imp_table, foundation::NSString};
///
/// imp_table! {
///     /// What is asked of strings in a hot loop.
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
    (
        $(#[$meta:meta])*
        $vis:vis table $Table:ident: $Objc:ident;
        $(
            $(#[$about:meta])*
            $fn_vis:vis $(unsafe $($unsafe:literal)?)? fn $name:ident ($($args:tt)*) $(-> $ret:ty)?
                = $($how:ident)* [$($sel:tt)+] $($on:ident $fail:expr)?;
        )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $Table {
            __class: $crate::abi::Class,
            $($name: $crate::objc::ImpEntry<$crate::objc::ImpFn<
                $crate::__static_arguments!(
                    [$crate::__trailing!([$($how)*] [$($ret)?] [$($on $fail)?] [$($sel)+])]
                    $($args)*
                ),
                $crate::__sent_type!([$($how)*] [$($ret)?] [$($on $fail)?]),
            >>,)*
        }

        impl $Table {
            /// Finds the functions of the object's class.
            ///
            /// # Safety
            ///
            /// `object` is a live object that answers the table's selectors with the declared types.
            $vis unsafe fn resolve(object: $crate::abi::Id) -> Self {
                // SAFETY: a live object has a class, and its methods are of the declared types.
                unsafe {
                    let class = $crate::objc::link::object_getClass(object);
                    Self {
                        __class: class,
                        $($name: $crate::objc::ImpEntry::resolve::<
                            $crate::__static_arguments!(
                                [$crate::__trailing!([$($how)*] [$($ret)?] [$($on $fail)?] [$($sel)+])]
                                $($args)*
                            ),
                            $crate::__sent_type!([$($how)*] [$($ret)?] [$($on $fail)?]),
                        >(class, $crate::selector!($($sel)+)),)*
                    }
                }
            }

            /// Whether the object is of the class that the table was resolved from.
            ///
            /// # Safety
            ///
            /// `object` is nil or a live object.
            #[inline(always)]
            $vis unsafe fn matches(&self, object: $crate::abi::Id) -> bool {
                // SAFETY: passed on to the caller.
                self.__class == unsafe { $crate::objc::link::object_getClass(object) }
            }

            /// Resolves the table again if the object is of another class; answers whether it was.
            ///
            /// # Safety
            ///
            /// As for `resolve`.
            $vis unsafe fn refresh(&mut self, object: $crate::abi::Id) -> bool {
                // SAFETY: passed on to the caller.
                unsafe {
                    let stale = !self.matches(object);
                    if stale {
                        *self = Self::resolve(object);
                    }
                    stale
                }
            }

            $($crate::__imp_fn! {
                $Objc [
                    $(#[$about])*
                    ///
                    /// # Safety
                    ///
                    /// `receiver` is a live object that the table [`matches`](Self::matches), and
                    /// the method's own demands are met.
                    $fn_vis
                ]
                $name ($($args)*) [$($ret)?] [$($how)*] [$($sel)+] [$($on $fail)?]
            })*
        }

        // SAFETY: the table's own functions do what the trait asks for.
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

        $($crate::__require_unsafe!($name [$(unsafe $($unsafe)?)?] [$($how)*]);)*
        $($crate::__require_instance!($name [$($how)*]);)*

        const _: () = {
            $(_ = $crate::__method_info!(
                $Table [unsafe] $name ($($args)*) [$($ret)?] [$($how)*] [$($sel)+] [$($on $fail)?]
            );)*
        };
    };
}
