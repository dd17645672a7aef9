//! Reflection data: each class lists its declared methods.

use super::argument::{Arguments, catches};
use super::link;
use super::returned::Return;
use super::send::{c_string, encoding_of};
use crate::abi::{Class, Encode, Family, MethodEncoding};
use std::ffi::CStr;
use std::fmt;

/// The receiver of a method: an object, or the class itself.
///
/// ```
/// use aruminium::{Capture, objc::{Level, ObjcClass}};
/// let levels = |level| Capture::INFO.methods.iter().filter(move |method| method.level == level).count();
/// assert_eq!(levels(Level::Class), 1, "`shared`");
/// assert!(levels(Level::Instance) > 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// `-[Class method]`.
    Instance,
    /// `+[Class method]`.
    Class,
}

/// Whether a method can return nil.
///
/// ```
/// use aruminium::{Gpu, objc::{Nullability, ObjcClass}};
/// let compile = Gpu::INFO.methods.iter().find(|method| method.name == "compile_with").unwrap();
/// assert_eq!(compile.nullability, Nullability::Error);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nullability {
    /// Never, or the method does not return a pointer.
    NonNull,
    /// It may return nil, without a reason.
    Nullable,
    /// It returns nil if it fails, and stores an `NSError`.
    Error,
}

/// One declared method.
///
/// ```
/// use aruminium::{Encoder, abi::Family, objc::{MethodInfo, ObjcClass}};
/// let bind: &MethodInfo = &Encoder::INFO.methods[0];
/// assert_eq!((bind.name, bind.selector), ("bind", "setComputePipelineState:"));
/// assert_eq!(bind.encoding().to_string(), "v24@0:8@16");
/// assert_eq!(bind.family(), Family::None);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MethodInfo {
    /// Its name in Rust.
    pub name: &'static str,
    /// Its selector.
    pub selector: &'static str,
    /// Whether an object or the class receives it.
    pub level: Level,
    /// The encoding of what it returns.
    pub result: &'static str,
    /// The encodings of what each declared argument becomes.
    pub arguments: &'static [&'static [&'static str]],
    /// Whether it can return nil, as it was declared.
    pub nullability: Nullability,
}

/// One declared class or protocol.
///
/// ```
/// use aruminium::{CLASSES, objc::ClassInfo};
/// let queue: &ClassInfo = CLASSES.iter().find(|class| class.rust == "Queue").unwrap();
/// assert_eq!(queue.objc, "MTLCommandQueue");
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ClassInfo {
    /// The name of the Rust type.
    pub rust: &'static str,
    /// The name of the class or protocol.
    pub objc: &'static str,
    /// Its declared methods.
    pub methods: &'static [MethodInfo],
}

impl ClassInfo {
    #[doc(hidden)]
    pub const fn new(
        rust: &'static str,
        objc: &'static str,
        methods: &'static [MethodInfo],
    ) -> Self {
        Self { rust, objc, methods }
    }
}

impl fmt::Debug for ClassInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({} methods)", self.rust, self.objc, self.methods.len())
    }
}

impl MethodInfo {
    /// The row of a method that takes `A` and returns `R`.
    #[doc(hidden)]
    pub const fn new<A: Arguments, R: Return>(
        name: &'static str,
        selector: &'static str,
        of_the_class: bool,
    ) -> Self {
        Self {
            name,
            selector,
            level: if of_the_class { Level::Class } else { Level::Instance },
            result: R::Raw::ENCODING,
            arguments: A::ENCODINGS,
            nullability: if catches::<R>(selector) { Nullability::Error } else { R::NULLABILITY },
        }
    }

    /// The ownership family of the selector; [`Family::None`] if no object is returned.
    pub const fn family(&self) -> Family {
        match self.result.as_bytes() {
            b"@" => Family::of(self.selector),
            _ => Family::None,
        }
    }

    /// The whole method's encoding.
    pub fn encoding(&self) -> MethodEncoding {
        encoding_of(self.result, self.arguments)
    }

    /// Compares the declaration with the method that a class really has: `None` if it has none,
    /// otherwise its encoding and whether a call as declared passes every value where the method expects it.
    ///
    /// # Safety
    ///
    /// `class` is a class of the runtime; for a class method, the class itself.
    ///
    /// ```
    /// use aruminium::{Gpu, objc::{ObjcClass, link}};
    /// let gpu = Gpu::open()?;
    /// for method in Gpu::INFO.methods {
    ///     // SAFETY: a device has a class.
    ///     let found = unsafe { method.found_in(link::object_getClass(gpu.as_raw())) };
    ///     assert!(found.is_none_or(|(_, fits)| fits), "{}", method.selector);
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub unsafe fn found_in(&self, class: Class) -> Option<(String, bool)> {
        let selector = c_string(self.selector);
        // SAFETY: the caller promises that the class is one; the rest came from the runtime.
        unsafe {
            let selector = link::sel_registerName(selector.as_ptr());
            let method = match self.level {
                Level::Instance => link::class_getInstanceMethod(class, selector),
                Level::Class => link::class_getClassMethod(class, selector),
            };
            if method.is_nil() {
                return None;
            }
            let text = link::method_getTypeEncoding(method);
            if text.is_null() {
                return None;
            }
            let text = CStr::from_ptr(text).to_string_lossy().into_owned();
            let same =
                text.parse::<MethodEncoding>().is_ok_and(|found| found.same_abi(&self.encoding()));
            Some((text, same))
        }
    }
}
