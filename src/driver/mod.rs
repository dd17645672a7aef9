//! The driver: the types that a user of Metal holds.

pub mod foundation;

use crate::objc::{ClassInfo, ObjcClass};
use foundation::{NSArray, NSData, NSDictionary, NSError, NSNumber, NSString, NSURL};

/// Every class that this crate declares, with its methods: what a Rust name sends.
///
/// ```
/// use aruminium::CLASSES;
/// let string = CLASSES.iter().find(|class| class.objc == "NSString").unwrap();
/// let length = string.methods.iter().find(|method| method.selector == "length").unwrap();
/// assert_eq!(length.name, "len_utf16");
/// ```
pub const CLASSES: &[ClassInfo] = &[
    NSArray::INFO,
    NSData::INFO,
    NSDictionary::INFO,
    NSError::INFO,
    NSNumber::INFO,
    NSString::INFO,
    NSURL::INFO,
];
