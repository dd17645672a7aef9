//! NSObject: the methods of every object.

use super::class::{self, ClassData};
use super::declare::{Zone, soft_class};
use super::key_value;
use super::lock::Lock;
use super::object::{self, Retained, class_of};
use super::pool;
use super::protocol::ProtocolData;
use super::selector::known;
use super::send::{send, send_with, send_with_two};
use crate::abi::{Class, Id, Protocol, Sel};
use std::ffi::{CString, c_void};

soft_class! {
    /// The root class.
    pub(crate) class NSObject, conforms [NSObject];
    class [alloc] = alloc;
    class [allocWithZone:] = alloc_with_zone;
    class [new] = new;
    [init] = itself;
    [dealloc] = dealloc;

    [retain] = retain;
    [release] = release;
    [autorelease] = autorelease;
    [retainCount] = retain_count;

    [self] = borrowed_self;
    [copy] = copy;
    [class] = class;
    class [class] = itself;
    [superclass] = superclass;
    class [superclass] = superclass_of_class;

    [isKindOfClass:] = is_kind_of_class;
    [isMemberOfClass:] = is_member_of_class;
    class [isSubclassOfClass:] = is_subclass_of_class;
    [respondsToSelector:] = responds_to_selector;
    class [instancesRespondToSelector:] = instances_respond_to_selector;
    [conformsToProtocol:] = conforms_to_protocol;
    class [conformsToProtocol:] = class_conforms_to_protocol;
    [isProxy] = is_proxy;

    [isEqual:] = is_equal;
    [hash] = hash;
    [description] = describe;
    class [description] = describe_class;
    [debugDescription] = debug_description;

    [performSelector:] = perform;
    [performSelector:withObject:] = perform_with;
    [performSelector:withObject:withObject:] = perform_with_two;

    [methodSignatureForSelector:] = signature_for;
    class [instanceMethodSignatureForSelector:] = instance_signature_for;

    class [accessInstanceVariablesDirectly] = |_: Class| true;
    raw [valueForKey:] = key_value::VALUE;
    raw [setValue:forKey:] = key_value::SET_VALUE;
    raw [valueForKeyPath:] = key_value::VALUE_AT_PATH;
    raw [setValue:forKeyPath:] = key_value::SET_VALUE_AT_PATH;
    raw [valueForUndefinedKey:] = key_value::UNDEFINED;
    raw [setValue:forUndefinedKey:] = key_value::SET_UNDEFINED;
    raw [setNilValueForKey:] = key_value::SET_NIL;
    raw [dictionaryWithValuesForKeys:] = key_value::VALUES;
    raw [setValuesForKeysWithDictionary:] = key_value::SET_VALUES;
}

/// The class that a handle is. A message that passes a class passes nil or one of this runtime.
fn class_data(class: Class) -> Option<&'static ClassData> {
    // SAFETY: as above.
    unsafe { ClassData::from_handle(class) }
}

/// The class of a receiver.
fn class_data_of(receiver: Id) -> &'static ClassData {
    // SAFETY: a receiver is an object.
    unsafe { class_of(receiver) }
}

fn alloc(class: Class) -> Id {
    class_data(class).map_or(Id::NIL, object::allocate)
}

fn alloc_with_zone(class: Class, _zone: Zone) -> Id {
    alloc(class)
}

fn new(class: Class) -> Id {
    // SAFETY: a class may implement `alloc` itself; it returns an object that has `init`.
    unsafe { send(send(class.as_id(), known::alloc()), known::init()) }
}

fn itself(receiver: Id) -> Id {
    receiver
}

fn dealloc(receiver: Id) {
    // SAFETY: `dealloc` is sent after the last release.
    unsafe { object::deallocate(receiver) }
}

fn retain(receiver: Id) -> Id {
    // SAFETY: a receiver is an object.
    unsafe { object::retain(receiver) }
}

fn release(receiver: Id) {
    // SAFETY: the sender of `release` owns the receiver.
    unsafe { object::release(receiver) }
}

fn autorelease(receiver: Id) -> Id {
    // SAFETY: the sender of `autorelease` owns the receiver.
    unsafe { pool::autorelease(receiver) }
}

fn retain_count(receiver: Id) -> usize {
    // SAFETY: a receiver is an object.
    unsafe { object::retain_count(receiver) }
}

/// Returned at +0, and so by a push of its own: see `pool`.
fn borrowed_self(receiver: Id) -> Option<Retained> {
    // SAFETY: a receiver is an object.
    unsafe { Retained::retain(receiver) }
}

fn copy(receiver: Id) -> Id {
    // SAFETY: classes that can be copied respond to this with an object.
    unsafe { send_with(receiver, known::copy_with_zone(), std::ptr::null_mut::<c_void>()) }
}

fn class(receiver: Id) -> Class {
    class_data_of(receiver).handle()
}

fn superclass(receiver: Id) -> Class {
    superclass_of_class(class(receiver))
}

fn superclass_of_class(class: Class) -> Class {
    class_data(class).and_then(ClassData::superclass).map_or(Class::NIL, ClassData::handle)
}

pub(super) fn is_kind_of_class(receiver: Id, class: Class) -> bool {
    is_subclass_of_class(self::class(receiver), class)
}

fn is_member_of_class(receiver: Id, class: Class) -> bool {
    self::class(receiver) == class
}

fn is_subclass_of_class(class: Class, other: Class) -> bool {
    class_data(class).zip(class_data(other)).is_some_and(|(class, other)| class.is_kind_of(other))
}

pub(super) fn responds_to_selector(receiver: Id, selector: Sel) -> bool {
    instances_respond_to_selector(class(receiver), selector)
}

fn instances_respond_to_selector(class: Class, selector: Sel) -> bool {
    class_data(class).is_some_and(|class| class.method(selector, &mut Lock::take()).is_some())
}

fn conforms_to_protocol(receiver: Id, protocol: Protocol) -> bool {
    class_conforms_to_protocol(class(receiver), protocol)
}

fn class_conforms_to_protocol(class: Class, protocol: Protocol) -> bool {
    // SAFETY: a message that passes a protocol passes nil or one of this runtime.
    let protocol = unsafe { ProtocolData::from_handle(protocol) };
    class_data(class).zip(protocol).is_some_and(|(class, protocol)| class.conforms_to(protocol))
}

fn is_proxy(_receiver: Id) -> bool {
    false
}

fn is_equal(receiver: Id, other: Id) -> bool {
    receiver == other
}

fn hash(receiver: Id) -> usize {
    receiver.as_ptr().addr() >> 4
}

fn describe(receiver: Id) -> Id {
    string(&format!("<{}: {:p}>", class_data_of(receiver), receiver.as_ptr()))
}

fn describe_class(class: Class) -> Id {
    class_data(class).map_or(Id::NIL, |class| string(&class.to_string()))
}

/// An autoreleased `NSString`. The runtime must not name Foundation, so the class is looked up.
pub(super) fn string(text: &str) -> Id {
    let text = CString::new(text).unwrap_or_default();
    let Some(class) = class::named(c"NSString") else { return Id::NIL };
    // SAFETY: `NSString` responds to this message, and the text is a C string.
    unsafe { send_with(class.handle().as_id(), known::string_with_utf8_string(), text.as_ptr()) }
}

fn debug_description(receiver: Id) -> Id {
    // SAFETY: NSObject responds to this with an object that is not owned; so does this method, with the
    // same push.
    unsafe { send(receiver, known::description()) }
}

fn perform(receiver: Id, selector: Sel) -> Id {
    // SAFETY: the sender promises that the method takes nothing and returns an object or nothing.
    unsafe { send(receiver, selector) }
}

fn perform_with(receiver: Id, selector: Sel, argument: Id) -> Id {
    // SAFETY: as above, with one object.
    unsafe { send_with(receiver, selector, argument) }
}

fn perform_with_two(receiver: Id, selector: Sel, one: Id, other: Id) -> Id {
    // SAFETY: as above, with two objects.
    unsafe { send_with_two(receiver, selector, one, other) }
}

fn signature_for(receiver: Id, selector: Sel) -> Id {
    instance_signature_for(class(receiver), selector)
}

/// An autoreleased `NSMethodSignature`; nil for a message that has no method.
fn instance_signature_for(class: Class, selector: Sel) -> Id {
    let method = class_data(class).and_then(|class| class.method(selector, &mut Lock::take()));
    let Some((method, class)) = method.zip(class::named(c"NSMethodSignature")) else {
        return Id::NIL;
    };
    // SAFETY: the class answers this message, and the types are a C string.
    unsafe {
        send_with(class.handle().as_id(), known::signature_with_types(), method.types().as_ptr())
    }
}
