//! The few classes of Foundation that Metal's methods take and return.
//!
//! Most methods of this crate take `&str` and return `String`; these types are for methods that a
//! user declares, and for values that have no counterpart in Rust.

use super::error::GpuError;
use crate::abi::Id;
use crate::objc::{ObjcClass, Object, string};
use crate::{metal_class, msg, selector};
use std::ffi::c_void;
use std::fmt;

metal_class! {
    /// An immutable text.
    ///
    /// ```
    /// use aruminium::foundation::NSString;
    /// let name = NSString::from("Grüße");
    /// assert_eq!(name.len_utf16(), 5);
    /// assert_eq!(name.to_string(), "Grüße");
    /// assert!(name.is_equal(&"Grüße".into()));
    /// ```
    pub class NSString: NSString;

    /// The length in UTF-16 units.
    pub fn len_utf16() -> usize = [length];
    /// Whether two strings have the same UTF-16 units.
    pub fn is_equal(other: &NSString) -> bool = [isEqualToString:];
}

impl From<&str> for NSString {
    fn from(text: &str) -> Self {
        // SAFETY: the object is a new string.
        unsafe { Self::from_object(string::new(text)) }
    }
}

impl fmt::Display for NSString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the object is a live string.
        f.write_str(&unsafe { string::read(self.as_raw()) })
    }
}

impl PartialEq for NSString {
    fn eq(&self, other: &Self) -> bool {
        self.is_equal(other)
    }
}

metal_class! {
    /// An error: a domain, a code within it, and a description.
    ///
    /// ```
    /// use aruminium::foundation::{NSDictionary, NSError, NSString};
    /// let words = (&NSString::from("NSLocalizedDescription"), &NSString::from("no kernel here"));
    /// let error = NSError::new("MTLLibraryErrorDomain", 3, Some(&NSDictionary::new(&[words])));
    /// assert_eq!((error.domain().as_str(), error.code()), ("MTLLibraryErrorDomain", 3));
    /// assert_eq!(error.description(), "no kernel here");
    /// assert_eq!(error.user_info().len(), 1);
    /// ```
    pub class NSError: NSError;

    /// An error; the dictionary may hold its description under `NSLocalizedDescription`.
    pub fn new(domain: &str, code: isize, user_info: Option<&NSDictionary>) -> NSError
        = class [errorWithDomain:code:userInfo:];
    /// The domain of the code.
    pub fn domain() -> String = [domain];
    /// The error's code within the domain.
    pub fn code() -> isize = [code];
    /// The description of the error.
    pub fn description() -> String = [localizedDescription];
    /// Further information about the error.
    pub fn user_info() -> NSDictionary = [userInfo];
}

impl fmt::Display for NSError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description())
    }
}

impl std::error::Error for NSError {}

metal_class! {
    /// A sequence of objects.
    ///
    /// ```
    /// use aruminium::foundation::{NSArray, NSString};
    /// let names = NSArray::new(&[&NSString::from("add"), &NSString::from("mul")]);
    /// assert!(names.len() == 2 && !names.is_empty());
    /// // SAFETY: the elements are strings.
    /// let last: NSString = unsafe { names.get(1) }.unwrap();
    /// assert_eq!(last.to_string(), "mul");
    /// ```
    pub class NSArray: NSArray;

    /// An array of these objects.
    unsafe fn with_objects(objects: &[Id]) -> NSArray = class [arrayWithObjects:count:];
    /// The number of objects.
    pub fn len() -> usize = [count];
    /// The object at an index, which must be less than `len`.
    unsafe fn object_at(index: usize) -> Object = [objectAtIndex:];
}

impl NSArray {
    /// An array of these objects.
    pub fn new<T: ObjcClass>(objects: &[&T]) -> Self {
        let objects: Vec<Id> = objects.iter().map(|object| object.as_raw()).collect();
        // SAFETY: wrapped objects are alive, and the array retains them.
        unsafe { Self::with_objects(&objects) }
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object at an index.
    ///
    /// # Safety
    ///
    /// The object is of the class that `T` wraps.
    pub unsafe fn get<T: ObjcClass>(&self, index: usize) -> Option<T> {
        // SAFETY: the index is in range; the caller guarantees the class.
        (index < self.len()).then(|| unsafe { T::from_object(self.object_at(index)) })
    }
}

metal_class! {
    /// A boxed number.
    ///
    /// ```
    /// use aruminium::foundation::NSNumber;
    /// assert_eq!(NSNumber::from_f64(0.5).as_f64(), 0.5);
    /// assert_eq!(NSNumber::from_i64(-1).as_i64(), -1);
    /// assert_eq!(NSNumber::from_u64(u64::MAX).as_u64(), u64::MAX);
    /// assert!(NSNumber::from_bool(true).as_bool());
    /// ```
    pub class NSNumber: NSNumber;

    /// A boxed boolean.
    pub fn from_bool(value: bool) -> NSNumber = class [numberWithBool:];
    /// A boxed signed integer.
    pub fn from_i64(value: i64) -> NSNumber = class [numberWithLongLong:];
    /// A boxed unsigned integer.
    pub fn from_u64(value: u64) -> NSNumber = class [numberWithUnsignedLongLong:];
    /// A boxed floating-point number.
    pub fn from_f64(value: f64) -> NSNumber = class [numberWithDouble:];
    /// Whether the number is not zero.
    pub fn as_bool() -> bool = [boolValue];
    /// The number as a signed integer.
    pub fn as_i64() -> i64 = [longLongValue];
    /// The number as an unsigned integer.
    pub fn as_u64() -> u64 = [unsignedLongLongValue];
    /// The number as a floating-point number.
    pub fn as_f64() -> f64 = [doubleValue];
}

metal_class! {
    /// A map from keys to objects.
    ///
    /// ```
    /// use aruminium::foundation::{NSDictionary, NSNumber, NSString};
    /// let macros = NSDictionary::new(&[(&NSString::from("TILE"), &NSNumber::from_u64(16))]);
    /// // SAFETY: the object under this key is a number.
    /// let tile: NSNumber = unsafe { macros.get(&NSString::from("TILE")) }.unwrap();
    /// assert_eq!(tile.as_u64(), 16);
    /// assert!(macros.len() == 1 && !macros.is_empty());
    /// ```
    pub class NSDictionary: NSDictionary;

    unsafe fn with_objects(objects: *const Id, keys: *const Id, count: usize) -> Option<NSDictionary>
        = class [dictionaryWithObjects:forKeys:count:];
    /// The number of entries.
    pub fn len() -> usize = [count];
    unsafe fn object_for(key: Id) -> Option<Object> = [objectForKey:];
}

/// The error for an object that cannot be a dictionary's key.
fn no_key(index: usize, class: &str) -> GpuError {
    GpuError::ObjectCreationFailed(format!(
        "a dictionary copies its keys, and key {index}, of class {class}, cannot be copied"
    ))
}

impl NSDictionary {
    /// A dictionary of keys and objects.
    ///
    /// # Panics
    ///
    /// If a key cannot be copied; see [`try_new`](Self::try_new).
    pub fn new<K: ObjcClass, T: ObjcClass>(entries: &[(&K, &T)]) -> Self {
        Self::try_new(entries).unwrap_or_else(|error| panic!("NSDictionary::new: {error}"))
    }

    /// A dictionary of keys and objects. It owns copies of the keys.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] if a key is of a class whose objects cannot be copied, as
    /// Metal's cannot. Strings, numbers, URLs, data, arrays and dictionaries can.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::foundation::{NSDictionary, NSString};
    /// let name = NSString::from("gpu");
    /// assert!(NSDictionary::try_new(&[(&name, &gpu)]).is_ok());
    /// let error = NSDictionary::try_new(&[(&gpu, &name)]).unwrap_err();
    /// assert!(error.to_string().contains("cannot be copied"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn try_new<K: ObjcClass, T: ObjcClass>(entries: &[(&K, &T)]) -> Result<Self, GpuError> {
        let keys: Vec<Id> = entries.iter().map(|(key, _)| key.as_raw()).collect();
        let objects: Vec<Id> = entries.iter().map(|(_, object)| object.as_raw()).collect();
        let copy = selector!(copyWithZone:);
        for (nth, key) in keys.iter().enumerate() {
            // SAFETY: every object responds to this message. Apple's dictionaries throw an exception if the result is no.
            if !unsafe { msg!(*key, [respondsToSelector: copy] -> bool) } {
                return Err(no_key(nth, K::INFO.rust));
            }
        }
        // SAFETY: both arrays hold `len` wrapped objects, which the dictionary copies or retains.
        unsafe { Self::with_objects(objects.as_ptr(), keys.as_ptr(), entries.len()) }.ok_or_else(
            || {
                GpuError::ObjectCreationFailed(format!(
                    "a copy of a key of class {} is nil",
                    K::INFO.rust
                ))
            },
        )
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object under a key.
    ///
    /// # Safety
    ///
    /// The object is of the class that `T` wraps.
    pub unsafe fn get<T: ObjcClass>(&self, key: &impl ObjcClass) -> Option<T> {
        // SAFETY: the key is alive; the caller guarantees the object's class.
        unsafe { self.object_for(key.as_raw()).map(|object| T::from_object(object)) }
    }
}

metal_class! {
    /// The location of a file.
    ///
    /// ```
    /// use aruminium::foundation::NSURL;
    /// assert_eq!(NSURL::file("/tmp/a.gputrace").path().unwrap(), "/tmp/a.gputrace");
    /// ```
    pub class NSURL: NSURL;

    /// The URL of a file.
    pub fn file(path: &str) -> NSURL = class [fileURLWithPath:];
    /// The path of the file.
    pub fn path() -> Option<String> = [path];
}

metal_class! {
    /// A run of bytes.
    ///
    /// ```
    /// use aruminium::foundation::NSData;
    /// let data = NSData::new(&[1, 2, 3]);
    /// assert!(data.len() == 3 && !data.is_empty());
    /// assert_eq!(data.to_vec(), [1, 2, 3]);
    /// ```
    pub class NSData: NSData;

    /// A copy of these bytes.
    pub fn new(bytes: &[u8]) -> NSData = class [dataWithBytes:length:];
    /// The number of bytes.
    pub fn len() -> usize = [length];
    fn bytes() -> *const c_void = [bytes];
}

impl NSData {
    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let (bytes, len) = (self.bytes().cast::<u8>(), self.len());
        if bytes.is_null() {
            return Vec::new();
        }
        // SAFETY: an `NSData` holds `length` bytes at `bytes`, for as long as it lives.
        unsafe { std::slice::from_raw_parts(bytes, len) }.to_vec()
    }
}

/// Implements `Send` and `Sync` for classes whose objects any thread may use.
macro_rules! thread_safe {
    ($($class:ident),+) => {$(
        // SAFETY: Foundation's immutable value classes are thread-safe, and so are their counts.
        unsafe impl Send for $class {}
        // SAFETY: as above.
        unsafe impl Sync for $class {}
    )+};
}

thread_safe!(NSString, NSError, NSNumber, NSURL, NSData);
