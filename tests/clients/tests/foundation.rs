//! Foundation's conversions by `objc2-foundation`, and classes that adopt its protocols.

use objc2::rc::Retained;
use objc2::runtime::{AnyObject, NSObject, NSObjectProtocol, NSZone};
use objc2::{AnyThread, DefinedClass, define_class, msg_send};
use objc2_foundation::{
    CopyingHelper, NSArray, NSCopying, NSData, NSDictionary, NSMutableArray, NSMutableCopying,
    NSMutableDictionary, NSNumber, NSString, NSURL, ns_string,
};
use objc2_metal::{MTLCompileOptions, MTLTextureDescriptor};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[test]
fn paths_become_urls_and_back() {
    for path in ["/tmp/a b/file.txt", "/tmp/größe#1", "/"] {
        let url = NSURL::from_file_path(path).unwrap();
        assert_eq!(url.to_file_path().unwrap(), Path::new(path));
    }
    let bytes = Path::new(std::ffi::OsStr::from_bytes(b"/tmp/\xff"));
    assert_eq!(NSURL::from_file_path(bytes).unwrap().to_file_path().unwrap(), bytes);
    let here = std::env::current_dir().unwrap();
    assert_eq!(NSURL::from_file_path("x").unwrap().to_file_path().unwrap(), here.join("x"));
    let folder = NSURL::from_directory_path("/tmp/./folder").unwrap();
    assert_eq!(folder.absoluteString().unwrap().to_string(), "file:///tmp/folder/");
    assert!(NSURL::from_file_path("").is_none());
}

#[test]
fn vectors_become_data_without_a_copy() {
    let bytes = vec![1u8, 2, 3];
    let start = bytes.as_ptr();
    let data = NSData::from_vec(bytes);
    assert_eq!(
        (data.to_vec(), unsafe { data.as_bytes_unchecked() }.as_ptr()),
        (vec![1, 2, 3], start)
    );
    assert_eq!(NSData::from_vec(Vec::new()).len(), 0);
}

#[test]
fn collections_are_iterated() {
    let (one, two) = (NSNumber::new_i64(1), NSNumber::new_i64(2));
    let pairs = NSDictionary::from_slices(&[ns_string!("a"), ns_string!("b")], &[&*one, &*two]);
    let values: Vec<i64> = pairs.objects().map(|value| value.as_i64()).collect();
    assert_eq!(values, [1, 2]);
    let keys: Vec<String> = pairs.keys().map(|key| key.to_string()).collect();
    assert_eq!(keys, ["a", "b"]);
    let list = NSArray::from_slice(&[&*one, &*two]);
    let all = unsafe { list.reverseObjectEnumerator() };
    let values: Vec<i64> = all.iter().map(|value| value.as_i64()).collect();
    assert_eq!(values, [2, 1]);
}

/// A class with Foundation's protocols, as `objc2-foundation` documents it.
struct Fields {
    number: i64,
}

define_class!(
    #[unsafe(super(NSObject))]
    #[name = "ClientValue"]
    #[ivars = Fields]
    struct Value;

    unsafe impl NSObjectProtocol for Value {
        #[unsafe(method(isEqual:))]
        fn is_equal(&self, other: Option<&AnyObject>) -> bool {
            let other = other.and_then(|other| other.downcast_ref::<Value>());
            other.is_some_and(|other| other.ivars().number == self.ivars().number)
        }

        #[unsafe(method(hash))]
        fn hash_value(&self) -> usize {
            self.ivars().number as usize
        }
    }

    unsafe impl NSCopying for Value {
        #[unsafe(method_id(copyWithZone:))]
        fn copy_with_zone(&self, _zone: *mut NSZone) -> Retained<Self> {
            Value::new(self.ivars().number)
        }
    }
);

unsafe impl CopyingHelper for Value {
    type Result = Self;
}

impl Value {
    fn new(number: i64) -> Retained<Self> {
        let this = Self::alloc().set_ivars(Fields { number });
        unsafe { msg_send![super(this), init] }
    }
}

#[test]
fn a_class_adopts_protocols_of_foundation() {
    let value = Value::new(7);
    let copy = value.copy();
    assert!(!std::ptr::eq(&*value, &*copy));
    let other: &AnyObject = &copy;
    assert!(value.isEqual(Some(other)));
    // As a key it is copied, and found by `hash` and `isEqual:`.
    let pairs = NSDictionary::from_slices(&[&*value], &[&*NSString::from_str("seven")]);
    assert_eq!(pairs.objectForKey(&copy).unwrap().to_string(), "seven");
    assert!(pairs.objectForKey(&Value::new(8)).is_none());
}

#[test]
fn descriptors_are_copied_in_a_zone() {
    let descriptor = MTLTextureDescriptor::new();
    unsafe { descriptor.setWidth(12) };
    let copy = unsafe { descriptor.copyWithZone(std::ptr::null_mut()) };
    unsafe { descriptor.setWidth(13) };
    assert_eq!(copy.width(), 12);
}

#[test]
fn mutable_collections_change() {
    let list = NSMutableArray::from_slice(&[&*NSNumber::new_i64(1), &*NSNumber::new_i64(2)]);
    list.addObject(&NSNumber::new_i64(3));
    list.insert(0, &NSNumber::new_i64(0));
    list.removeObjectAtIndex(1);
    let values: Vec<i64> = list.iter().map(|value| value.as_i64()).collect();
    assert_eq!(values, [0, 2, 3]);
    let fixed = list.copy();
    list.removeAllObjects();
    assert_eq!((list.len(), fixed.len(), fixed.mutableCopy().len()), (0, 3, 3));

    let pairs = NSMutableDictionary::<NSString, NSNumber>::new();
    pairs.insert(ns_string!("a"), &*NSNumber::new_i64(1));
    pairs.insert(ns_string!("b"), &*NSNumber::new_i64(2));
    pairs.removeObjectForKey(ns_string!("a"));
    let keys: Vec<String> = pairs.keys().map(|key| key.to_string()).collect();
    assert_eq!(keys, ["b"]);
    // Macros of a library, in a dictionary that is filled entry by entry.
    let options = MTLCompileOptions::new();
    let macros = Retained::as_ptr(&pairs).cast::<NSDictionary<NSString, NSObject>>();
    unsafe { options.setPreprocessorMacros(Some(&*macros)) };
    assert_eq!(options.preprocessorMacros().unwrap().len(), 1);
}
