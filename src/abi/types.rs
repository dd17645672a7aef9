//! The pointers of Objective-C's C interface, each a type of its own so that they cannot be mixed up.

use std::ffi::{c_char, c_void};
use std::fmt;

/// Declares a pointer-sized handle of the Objective-C runtime.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// ```
        #[doc = concat!("use aruminium::abi::", stringify!($name), " as Handle;")]
        /// assert!(Handle::NIL.is_nil() && Handle::default().is_null());
        /// let pointer = Handle::NIL.as_ptr();
        /// assert_eq!(Handle::from_ptr(pointer), Handle::NIL);
        /// ```
        #[repr(transparent)]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(*mut c_void);

        impl $name {
            /// The null handle.
            pub const NIL: Self = Self(std::ptr::null_mut());

            /// Takes a pointer that the runtime handed out.
            #[inline(always)]
            pub const fn from_ptr(pointer: *mut c_void) -> Self {
                Self(pointer)
            }

            /// The pointer itself, as C functions take it.
            #[inline(always)]
            pub const fn as_ptr(self) -> *mut c_void {
                self.0
            }

            /// Whether this is the null handle.
            #[inline(always)]
            pub const fn is_nil(self) -> bool {
                self.0.is_null()
            }

            /// [`is_nil`](Self::is_nil), as pointers spell it.
            #[inline(always)]
            pub const fn is_null(self) -> bool {
                self.is_nil()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::NIL
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:p})"), self.0)
            }
        }

        // SAFETY: a handle is an address; what may be done with the object, and on which
        // thread, is the contract of the `unsafe` functions that take it.
        unsafe impl Send for $name {}
        // SAFETY: as above; the handle itself is never written through.
        unsafe impl Sync for $name {}
    };
}

handle! {
    /// An object: Objective-C's `id`.
    Id
}
handle! {
    /// A registered selector: Objective-C's `SEL`. Equal names are equal pointers.
    Sel
}
handle! {
    /// A class: Objective-C's `Class`. A class is an object too, see [`Class::as_id`].
    Class
}
handle! {
    /// A method of a class, as `class_getInstanceMethod` returns it.
    Method
}
handle! {
    /// An instance variable of a class, as `class_getInstanceVariable` returns it.
    Ivar
}
handle! {
    /// A protocol, as `objc_getProtocol` returns it.
    Protocol
}

impl Class {
    /// The class as a receiver of class methods.
    ///
    /// ```
    /// use aruminium::{abi::Id, msg, objc::link};
    /// // SAFETY: the name is a C string, and every class responds to `hash`.
    /// unsafe {
    ///     let class: Id = link::objc_getClass(c"NSString".as_ptr()).as_id();
    ///     assert_ne!(msg!(class, [hash] -> usize), 0);
    /// }
    /// ```
    #[inline(always)]
    pub const fn as_id(self) -> Id {
        Id(self.0)
    }
}

impl Protocol {
    /// The protocol as an object, to be passed as an argument.
    ///
    /// ```
    /// use aruminium::abi::Protocol;
    /// assert!(Protocol::NIL.as_id().is_nil());
    /// ```
    #[inline(always)]
    pub const fn as_id(self) -> Id {
        Id(self.0)
    }
}

/// The description of a method in a protocol, as `protocol_getMethodDescription` returns it.
///
/// ```
/// use aruminium::{abi::{Bool, Sel}, objc::link};
/// // SAFETY: the name is a C string.
/// let description = unsafe {
///     let copying = link::objc_getProtocol(c"NSCopying".as_ptr());
///     link::protocol_getMethodDescription(copying, Sel::NIL, Bool::new(true), Bool::new(true))
/// };
/// assert!(description.name.is_nil() && description.types.is_null());
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MethodDescription {
    /// The selector; nil for none.
    pub name: Sel,
    /// The type encoding; null for none.
    pub types: *const c_char,
}

/// The function that carries out a method. It is called only after a cast to the method's own type.
///
/// ```
/// use aruminium::abi::{Id, Imp, Sel};
/// unsafe extern "C" fn answer(_: Id, _: Sel) -> usize {
///     42
/// }
/// // SAFETY: the caller casts it back before calling it.
/// let imp = unsafe { std::mem::transmute::<unsafe extern "C" fn(Id, Sel) -> usize, Imp>(answer) };
/// ```
pub type Imp = unsafe extern "C" fn();

/// Objective-C's `BOOL`: one byte, of which the embedded runtime only ever makes 0 or 1.
///
/// ```
/// use aruminium::abi::Bool;
/// assert!(Bool::new(true).get() && !Bool::new(false).get());
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Bool(u8);

impl Bool {
    /// `YES` or `NO` for a Rust `bool`.
    #[inline(always)]
    pub const fn new(value: bool) -> Self {
        Self(value as u8)
    }

    /// Any byte but 0 is true.
    #[inline(always)]
    pub const fn get(self) -> bool {
        self.0 != 0
    }
}

impl fmt::Debug for Bool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.get() { "YES" } else { "NO" })
    }
}
