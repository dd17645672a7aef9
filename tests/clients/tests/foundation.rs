//! Foundation's conversions by `objc2-foundation`, and classes that adopt its protocols.

use objc2::rc::Retained;
use objc2::runtime::{AnyObject, NSObject, NSObjectProtocol, NSZone};
use objc2::{AnyThread, ClassType, DefinedClass, define_class, msg_send, sel};
use objc2_foundation::{
    CopyingHelper, NSArray, NSClassFromString, NSCopying, NSData, NSDate, NSDictionary, NSError,
    NSException, NSHomeDirectory, NSMutableArray, NSMutableCopying, NSMutableData,
    NSMutableDictionary, NSMutableSet, NSMutableString, NSNull, NSNumber, NSObjectNSKeyValueCoding,
    NSPOSIXErrorDomain, NSProtocolFromString, NSRange, NSSelectorFromString, NSSet, NSString,
    NSTemporaryDirectory, NSThread, NSURL, NSUndefinedKeyException, NSValue, ns_string,
};
use objc2_metal::{MTLCompileOptions, MTLTextureDescriptor};
use std::os::unix::ffi::OsStrExt;
use std::panic::AssertUnwindSafe;
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

#[test]
fn mutable_text_and_data_change() {
    let text = NSMutableString::from_str("größe");
    text.appendString(ns_string!("!"));
    text.insertString_atIndex(ns_string!("die "), 0);
    text.deleteCharactersInRange(NSRange::new(0, 1));
    let fixed = text.copy();
    text.setString(ns_string!("other"));
    assert_eq!((text.to_string(), fixed.to_string()), ("other".into(), "ie größe!".into()));
    // A label is a copy of that time.
    let descriptor = objc2_metal::MTLComputePipelineDescriptor::new();
    descriptor.setLabel(Some(&text));
    text.appendString(ns_string!("wise"));
    assert_eq!(descriptor.label().unwrap().to_string(), "other");
    assert_eq!(text.mutableCopy().to_string(), "otherwise");

    let data = NSMutableData::with_bytes(&[1, 2, 3]);
    data.push(4);
    data.replace_range(0..2, &[9]);
    unsafe { data.as_mut_bytes_unchecked()[0] = 8 };
    assert_eq!((data.to_vec(), data.copy().to_vec()), (vec![8, 3, 4], vec![8, 3, 4]));
    data.setLength(1);
    assert_eq!(data.mutableCopy().to_vec(), [8]);
}

#[test]
fn sets_and_values_and_dates_are_objects() {
    let (one, two) = (NSNumber::new_i64(1), NSNumber::new_i64(2));
    let set = NSMutableSet::from_slice(&[&*one, &*two, &*one]);
    set.addObject(&NSNumber::new_i64(2));
    set.removeObject(&one);
    assert_eq!((set.len(), set.containsObject(&two)), (1, true));
    let fixed = NSSet::from_slice(&[&*two]);
    assert!(set.isEqualToSet(&fixed));
    assert_eq!(fixed.iter().map(|object| object.as_i64()).sum::<i64>(), 2);

    let range = NSValue::new(NSRange::new(3, 4));
    assert_eq!(range.get_range(), Some(NSRange::new(3, 4)));
    let pointer = NSValue::new(std::ptr::null::<std::ffi::c_void>());
    assert!(unsafe { pointer.get::<*const std::ffi::c_void>() }.is_null());
    let null = NSNull::null();
    assert!(std::ptr::eq(&*null, &*NSNull::null()));
    let past = NSDate::dateWithTimeIntervalSinceNow(-5.0);
    assert!(past.timeIntervalSinceNow() <= -5.0);
    assert!(!NSThread::isMainThread_class());
    NSThread::currentThread().setName(Some(ns_string!("own")));
    assert_eq!(NSThread::currentThread().name().unwrap().to_string(), "own");
}

#[test]
fn an_exception_is_raised_and_caught() {
    let exception =
        NSException::new(ns_string!("Name"), Some(ns_string!("because")), None).unwrap();
    let result = objc2::exception::catch(AssertUnwindSafe(|| exception.raise()));
    let caught = result.map(|()| ()).unwrap_err().expect("not nil");
    let caught = NSException::from_exception(caught).expect("an NSException");
    assert_eq!(caught.reason().unwrap().to_string(), "because");
}

#[test]
fn values_have_names() {
    let descriptor = MTLTextureDescriptor::new();
    let value = |key| descriptor.valueForKey(key).unwrap();
    unsafe { descriptor.setValue_forKey(Some(&NSNumber::new_i64(7)), ns_string!("width")) };
    assert_eq!(descriptor.width(), 7);
    let width = value(ns_string!("width")).downcast::<NSNumber>().unwrap();
    assert_eq!(width.as_i64(), 7);
    // The accessors of Booleans, and a value of a value.
    let options = MTLCompileOptions::new();
    options.setInstallName(Some(ns_string!("a name")));
    let length = options.valueForKeyPath(ns_string!("installName.length")).unwrap();
    assert_eq!(length.downcast::<NSNumber>().unwrap().as_usize(), 6);
    let names = NSArray::from_slice(&[ns_string!("one"), ns_string!("three")]);
    let lengths = names.valueForKey(ns_string!("length")).downcast::<NSArray>().unwrap();
    assert_eq!(lengths.count(), 2);
    let read = AssertUnwindSafe(|| drop(options.valueForKey(ns_string!("colour"))));
    let error = objc2::exception::catch(read).unwrap_err().expect("not nil");
    let error = NSException::from_exception(error).expect("an NSException");
    assert_eq!(&*error.name(), unsafe { NSUndefinedKeyException });
}

#[test]
fn names_become_classes_and_selectors() {
    let class = NSClassFromString(ns_string!("NSString")).unwrap();
    assert_eq!((class, &*NSString::from_class(class)), (NSString::class(), ns_string!("NSString")));
    assert!(NSClassFromString(ns_string!("NoSuchClass")).is_none());
    let selector = NSSelectorFromString(ns_string!("setLabel:"));
    assert_eq!(
        (selector, &*unsafe { NSString::from_selector(selector) }),
        (sel!(setLabel:), ns_string!("setLabel:"))
    );
    let protocol = NSProtocolFromString(ns_string!("MTLBuffer")).unwrap();
    assert_eq!(&*unsafe { NSString::from_protocol(&protocol) }, ns_string!("MTLBuffer"));
    assert!(NSTemporaryDirectory().to_string().ends_with('/'));
    assert_eq!(NSHomeDirectory().to_string(), std::env::var("HOME").unwrap());
    let error = unsafe { NSError::new(2, NSPOSIXErrorDomain) };
    assert_eq!(&*error.domain(), ns_string!("NSPOSIXErrorDomain"));
    let image = unsafe { std::ffi::CStr::from_ptr(objc2::ffi::class_getImageName(class)) };
    assert_eq!(image, c"libaruminium.so.0");
}
