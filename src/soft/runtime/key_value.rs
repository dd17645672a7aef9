//! Key-value coding: values of objects by name, through accessors or instance variables.
//!
//! Exceptions pass through these functions, so they are the methods themselves. The runtime must not name Foundation:
//! numbers, values and collections are made and read by messages.

use super::class::{self, ClassData, MethodData};
use super::declare::{Types, types};
use super::fatal::fatal;
use super::lock::Lock;
use super::object::{self, class_of};
use super::send::{Unwinding, send_unwinding};
use super::variable::{self, Variable};
use super::{entry, pool, selector};
use crate::abi::{Encoding, Family, Id, Imp, MethodEncoding, Sel};
use std::ffi::{CStr, CString, c_char, c_void};

/// Functions as methods: for each its row.
macro_rules! methods {
    ($($row:ident = $function:ident($($ty:ty),*) -> $result:ty;)+) => {$(
        pub(crate) const $row: (Imp, Types) = (
            // SAFETY: an `Imp` is called only after a cast to the method's own type.
            unsafe {
                std::mem::transmute::<unsafe extern "C-unwind" fn(Id, Sel, $($ty),*) -> $result, Imp>($function)
            },
            types!($result $(, $ty)*),
        );
    )+};
}

methods! {
    VALUE = value(Id) -> Id;
    SET_VALUE = set_value(Id, Id) -> ();
    VALUE_AT_PATH = value_at_path(Id) -> Id;
    SET_VALUE_AT_PATH = set_value_at_path(Id, Id) -> ();
    UNDEFINED = undefined(Id) -> Id;
    SET_UNDEFINED = set_undefined(Id, Id) -> ();
    SET_NIL = set_nil(Id) -> ();
    VALUES = values(Id) -> Id;
    SET_VALUES = set_values(Id) -> ();
    VALUE_OF_EACH = value_of_each(Id) -> Id;
    VALUE_OF_EACH_IN_SET = value_of_each_in_set(Id) -> Id;
    SET_VALUE_OF_EACH = set_value_of_each(Id, Id) -> ();
}

/// Writes a function that sends a message by its name, which exceptions may leave.
macro_rules! senders {
    ($($name:ident($($argument:ident: $ty:ident),*);)+) => {$(
        /// # Safety
        ///
        /// The receiver is nil or an object, whose method for the selector takes and returns these types.
        unsafe fn $name<$($ty: Copy,)* R>(receiver: Id, name: &str, $($argument: $ty),*) -> R {
            let send: Unwinding = send_unwinding;
            // SAFETY: the caller's; a sender is called as the method's own type.
            unsafe {
                std::mem::transmute::<Unwinding, unsafe extern "C-unwind" fn(Id, Sel, $($ty),*) -> R>(send)(
                    receiver, selector_of(name), $($argument),*
                )
            }
        }
    )+};
}

senders! {
    send();
    send_with(argument: A);
    send_with_two(one: A, other: B);
}

fn selector_of(name: &str) -> Sel {
    let name = CString::new(name).unwrap_or_default();
    selector::intern(&name, &mut Lock::take())
}

/// A class of Foundation's, as the receiver of a message.
fn class_named(name: &CStr) -> Id {
    class::named(name).map_or(Id::NIL, |class| class.handle().as_id())
}

/// `NSUTF8StringEncoding`.
const UTF8: usize = 4;

/// The text of an `NSString`; empty for nil.
///
/// # Safety
///
/// It is nil or a string.
unsafe fn text_of(string: Id) -> String {
    // SAFETY: the caller's; the text lives as long as the string.
    unsafe {
        let text: *const c_char = send(string, "UTF8String");
        if text.is_null() {
            return String::new();
        }
        // It may have a NUL inside.
        let length: usize = send_with(string, "lengthOfBytesUsingEncoding:", UTF8);
        String::from_utf8_lossy(std::slice::from_raw_parts(text.cast(), length)).into_owned()
    }
}

/// An object that a method returns without its count: pushed for this return, as `pool` requires.
///
/// # Safety
///
/// It is nil or an object.
unsafe fn returned(object: Id) -> Id {
    pool::leave(object);
    // SAFETY: the caller's; the count is the pool's.
    unsafe { pool::autorelease_return_value(object::retain(object)) }
}

/// Throws an exception, or ends the program if nothing catches one.
fn refuse(name: &str, why: &str) -> ! {
    #[cfg(feature = "export")]
    super::exception::raise(name, why);
    fatal(format_args!("{name}: {why}"))
}

/// Where a value is read or written: through a method, or in memory.
#[derive(Clone, Copy)]
enum Place {
    Accessor(Id, &'static MethodData),
    Memory(*mut c_void),
}

impl Place {
    /// # Safety
    ///
    /// The accessor returns a `T`, or the memory has one.
    unsafe fn get<T: Copy>(self) -> T {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Self::Accessor(object, method) => {
                    std::mem::transmute::<Imp, unsafe extern "C-unwind" fn(Id, Sel) -> T>(
                        method.imp(),
                    )(object, method.selector)
                }
                Self::Memory(at) => at.cast::<T>().read_unaligned(),
            }
        }
    }

    /// # Safety
    ///
    /// The accessor takes a `T`, or the memory has room for one.
    unsafe fn set<T: Copy>(self, value: T) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Self::Accessor(object, method) => {
                    std::mem::transmute::<Imp, unsafe extern "C-unwind" fn(Id, Sel, T)>(
                        method.imp(),
                    )(object, method.selector, value)
                }
                Self::Memory(at) => at.cast::<T>().write_unaligned(value),
            }
        }
    }
}

/// Writes the conversions of numbers: for each encoding its type, and `NSNumber`'s messages.
macro_rules! numbers {
    ($($letter:literal $ty:ty, $make:literal, $read:literal;)+) => {
        /// A number as an object; `None` if the encoding is not a number's.
        ///
        /// # Safety
        ///
        /// The place has a value of the encoding.
        unsafe fn number(letter: u8, place: Place) -> Option<Id> {
            let class = class_named(c"NSNumber");
            // SAFETY: the caller's; `NSNumber` responds to these messages.
            unsafe {
                match letter {
                    $($letter => Some(send_with(class, $make, place.get::<$ty>())),)+
                    _ => None,
                }
            }
        }

        /// Stores a number; whether the encoding is a number's.
        ///
        /// # Safety
        ///
        /// The place takes a value of the encoding, and the object is a number.
        unsafe fn set_number(letter: u8, place: Place, value: Id) -> bool {
            // SAFETY: the caller's.
            unsafe {
                match letter {
                    $($letter => place.set::<$ty>(send(value, $read)),)+
                    _ => return false,
                }
            }
            true
        }
    };
}

numbers! {
    b'B' u8, "numberWithUnsignedChar:", "boolValue";
    b'c' i8, "numberWithChar:", "charValue";
    b'C' u8, "numberWithUnsignedChar:", "unsignedCharValue";
    b's' i16, "numberWithShort:", "shortValue";
    b'S' u16, "numberWithUnsignedShort:", "unsignedShortValue";
    b'i' i32, "numberWithInt:", "intValue";
    b'I' u32, "numberWithUnsignedInt:", "unsignedIntValue";
    // Four bytes on every system: `long` has the encoding `q` where it has eight.
    b'l' i32, "numberWithInt:", "intValue";
    b'L' u32, "numberWithUnsignedInt:", "unsignedIntValue";
    b'q' i64, "numberWithLongLong:", "longLongValue";
    b'Q' u64, "numberWithUnsignedLongLong:", "unsignedLongLongValue";
    b'f' f32, "numberWithFloat:", "floatValue";
    b'd' f64, "numberWithDouble:", "doubleValue";
}

/// A struct of integers and pointers, which is passed as the words that it fills.
#[repr(C)]
#[derive(Clone, Copy)]
struct Words<const N: usize>([u64; N]);

/// The number of words of a type that is passed as words: structs with floats are not.
fn words(encoding: &Encoding) -> Option<usize> {
    fn whole(encoding: &Encoding) -> bool {
        match encoding {
            Encoding::Simple(letter) => !b"fdv".contains(letter),
            Encoding::Struct(_, fields) => fields.iter().all(whole),
            Encoding::Pointer(_) | Encoding::Block => true,
            Encoding::Array(..) | Encoding::Union(..) | Encoding::Bits(_) => false,
        }
    }
    let (size, _) = encoding.layout().filter(|_| whole(encoding))?;
    Some(size.div_ceil(8))
}

/// Calls a block of code with a number of words as a constant.
macro_rules! with_words {
    ($count:expr, $n:ident => $code:expr, else $other:expr) => {
        with_words!(@arms $count, $n => $code, $other, 1 2 3 4 5 6)
    };
    (@arms $count:expr, $n:ident => $code:expr, $other:expr, $($number:literal)+) => {
        match $count {
            $(Some($number) => { const $n: usize = $number; $code })+
            _ => $other,
        }
    };
}

/// A value as an object; `None` for a type that has none, `void` for instance.
///
/// # Safety
///
/// The place has a value of the type.
unsafe fn boxed(ty: &Encoding, place: Place) -> Option<Id> {
    let wrap = |bytes: *const c_void| {
        let name = CString::new(ty.to_string()).unwrap_or_default();
        let class = class_named(c"NSValue");
        // SAFETY: the bytes have a value of the type, and `NSValue` responds to this message.
        unsafe { Some(send_with_two(class, "valueWithBytes:objCType:", bytes, name.as_ptr())) }
    };
    // SAFETY: the caller's.
    unsafe {
        match (ty, place) {
            (Encoding::Simple(b'@' | b'#') | Encoding::Block, _) => Some(place.get()),
            (Encoding::Simple(letter), _) if is_number(*letter) => number(*letter, place),
            (_, Place::Memory(at)) => ty.layout().and_then(|_| wrap(at)),
            _ => with_words!(words(ty), N => {
                let value: Words<N> = place.get();
                wrap((&raw const value).cast())
            }, else None),
        }
    }
}

/// Whether an encoding is a number's.
fn is_number(letter: u8) -> bool {
    b"BcCsSiIlLqQfd".contains(&letter)
}

/// Stores the bytes of an `NSValue`; throws if they are those of another type.
///
/// # Safety
///
/// There is room for a value of the type, and the object is an `NSValue`.
unsafe fn store(ty: &Encoding, to: *mut c_void, value: Id) {
    // SAFETY: the caller's; the encoding is a C string.
    unsafe {
        let own: *const c_char = send(value, "objCType");
        let own = if own.is_null() { c"" } else { CStr::from_ptr(own) };
        let own = own.to_string_lossy();
        if !own.parse::<Encoding>().is_ok_and(|own| own.same_abi(ty)) {
            let why = format!("a value of type {own} was passed where {ty} is needed");
            refuse("NSInvalidArgumentException", &why);
        }
        let size = ty.layout().map_or(0, |layout| layout.0);
        send_with_two(value, "getValue:size:", to, size)
    }
}

/// Stores an object as a value of a type; whether it can be.
///
/// # Safety
///
/// The place takes a value of the type; the object is nil or one that has such a value.
unsafe fn unbox(ty: &Encoding, place: Place, value: Id) -> bool {
    // SAFETY: the caller's.
    unsafe {
        match (ty, place) {
            (Encoding::Simple(b'@' | b'#') | Encoding::Block, Place::Memory(at)) => {
                entry::objc_storeStrong(at.cast(), value);
            }
            (Encoding::Simple(b'@' | b'#') | Encoding::Block, _) => place.set(value),
            (Encoding::Simple(letter), _) if set_number(*letter, place, value) => {}
            (_, Place::Memory(_)) if ty.layout().is_none() => return false,
            (_, Place::Memory(at)) => store(ty, at, value),
            _ => with_words!(words(ty), N => {
                let mut words = Words([0; N]);
                store(ty, (&raw mut words).cast(), value);
                place.set(words);
            }, else return false),
        }
    }
    true
}

/// Whether a method of a name may be an accessor. Those that count references or make objects are none: what they return
/// is owned, or not an object yet, or no more.
fn is_accessor(name: &str) -> bool {
    const OTHERS: [&str; 5] =
        ["retain", "release", "autorelease", "dealloc", "nonretainedObjectValue"];
    !Family::of(name).returns_owned() && !OTHERS.contains(&name)
}

/// The first method of these names that an object has, and its type, if it takes that many arguments.
fn accessor(
    object: Id,
    names: &[String],
    arguments: usize,
) -> Option<(&'static MethodData, MethodEncoding)> {
    // SAFETY: a receiver is an object.
    let class = unsafe { class_of(object) };
    names.iter().filter(|name| is_accessor(name)).find_map(|name| {
        let name = CString::new(&**name).ok()?;
        let method = class.method_named(&name, &mut Lock::take())?;
        let types: MethodEncoding = method.types().to_str().ok()?.parse().ok()?;
        (types.arguments.len() == 2 + arguments).then_some((method, types))
    })
}

/// The instance variable of a key, if the class lets its variables be accessed.
fn variable_of(object: Id, key: &str) -> Option<(&'static Variable, Encoding)> {
    // SAFETY: a receiver is an object, whose class responds to the message.
    let class: &'static ClassData = unsafe {
        let class = class_of(object);
        let direct: u8 = send(class.handle().as_id(), "accessInstanceVariablesDirectly");
        (direct != 0).then_some(class)?
    };
    let big = capital(key);
    let names = [format!("_{key}"), format!("_is{big}"), key.to_owned(), format!("is{big}")];
    let found = names.into_iter().find_map(|name| {
        let name = CString::new(name).ok()?;
        variable::named(class, &name)
    })?;
    let ty: Encoding = found.types.to_str().ok()?.parse().ok()?;
    // The size is the program's word, as the type is.
    ty.layout().is_some_and(|(size, _)| size <= found.size).then_some((found, ty))
}

/// A key with a capital first letter.
fn capital(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// `valueForKey:`
unsafe extern "C-unwind" fn value(this: Id, _: Sel, key: Id) -> Id {
    // SAFETY: the message passed a string; what is found is of its own type.
    unsafe {
        let name = text_of(key);
        let big = capital(&name);
        let getters = [format!("get{big}"), name.clone(), format!("is{big}"), format!("_{name}")];
        let found = match accessor(this, &getters, 0) {
            Some((method, types)) => boxed(&types.result, Place::Accessor(this, method)),
            None => variable_of(this, &name)
                .and_then(|(variable, ty)| boxed(&ty, Place::Memory(variable.of(this)))),
        };
        returned(found.unwrap_or_else(|| send_with(this, "valueForUndefinedKey:", key)))
    }
}

/// `setValue:forKey:`
unsafe extern "C-unwind" fn set_value(this: Id, _: Sel, value: Id, key: Id) {
    // SAFETY: as above.
    unsafe {
        let name = text_of(key);
        let big = capital(&name);
        let setters = [format!("set{big}:"), format!("_set{big}:")];
        let found = match accessor(this, &setters, 1) {
            Some((method, types)) => {
                Some((types.arguments[2].clone(), Place::Accessor(this, method)))
            }
            None => variable_of(this, &name)
                .map(|(variable, ty)| (ty, Place::Memory(variable.of(this)))),
        };
        let is_object =
            |ty: &Encoding| matches!(ty, Encoding::Simple(b'@' | b'#') | Encoding::Block);
        match found {
            Some((ty, _)) if value.is_nil() && !is_object(&ty) => {
                send_with(this, "setNilValueForKey:", key)
            }
            Some((ty, place)) if unbox(&ty, place, value) => {}
            _ => send_with_two(this, "setValue:forUndefinedKey:", value, key),
        }
    }
}

/// Follows a path to the object of its last key, or to one that has a method of its own for paths. Returns the object, what is
/// left of the path, and whether that is one key.
///
/// # Safety
///
/// A receiver is an object, and values are.
unsafe fn follow<'a>(this: Id, path: &'a str, message: &str, ours: Imp) -> (Id, &'a str, bool) {
    let (mut object, mut rest, mut is_ours) = (this, path, true);
    while is_ours && let Some((key, others)) = rest.split_once('.') {
        // SAFETY: the caller's.
        unsafe {
            object = send_with(object, "valueForKey:", string(key));
            let class = (!object.is_nil()).then(|| class_of(object));
            let method =
                class.and_then(|class| class.method(selector_of(message), &mut Lock::take()));
            is_ours = method.is_some_and(|method| std::ptr::fn_addr_eq(method.imp(), ours));
        }
        rest = others;
    }
    (object, rest, is_ours)
}

/// `valueForKeyPath:`
unsafe extern "C-unwind" fn value_at_path(this: Id, _: Sel, path: Id) -> Id {
    const MESSAGE: &str = "valueForKeyPath:";
    // SAFETY: the message passed a string, and values are objects.
    unsafe {
        let text = text_of(path);
        let (object, rest, is_key) = follow(this, &text, MESSAGE, VALUE_AT_PATH.0);
        let rest = if rest.len() == text.len() { path } else { string(rest) };
        returned(send_with(object, if is_key { "valueForKey:" } else { MESSAGE }, rest))
    }
}

/// `setValue:forKeyPath:`
unsafe extern "C-unwind" fn set_value_at_path(this: Id, _: Sel, value: Id, path: Id) {
    const MESSAGE: &str = "setValue:forKeyPath:";
    // SAFETY: as above.
    unsafe {
        let text = text_of(path);
        let (object, rest, is_key) = follow(this, &text, MESSAGE, SET_VALUE_AT_PATH.0);
        let rest = if rest.len() == text.len() { path } else { string(rest) };
        send_with_two(object, if is_key { "setValue:forKey:" } else { MESSAGE }, value, rest)
    }
}

fn string(text: &str) -> Id {
    super::nsobject::string(text)
}

/// Throws because an object has nothing of a key.
unsafe fn refuse_key(this: Id, message: &str, key: Id) -> ! {
    // SAFETY: a receiver is an object, and the key a string.
    let (class, key) = unsafe { (class_of(this), text_of(key).replace('\0', "\\0")) };
    let why = format!(
        "[<{class} {:p}> {message}]: this class is not key value coding-compliant for the key {key}.",
        this.as_ptr()
    );
    refuse("NSUnknownKeyException", &why)
}

/// `valueForUndefinedKey:`
unsafe extern "C-unwind" fn undefined(this: Id, _: Sel, key: Id) -> Id {
    // SAFETY: the message passed a string.
    unsafe { refuse_key(this, "valueForUndefinedKey:", key) }
}

/// `setValue:forUndefinedKey:`
unsafe extern "C-unwind" fn set_undefined(this: Id, _: Sel, _: Id, key: Id) {
    // SAFETY: as above.
    unsafe { refuse_key(this, "setValue:forUndefinedKey:", key) }
}

/// `setNilValueForKey:`
unsafe extern "C-unwind" fn set_nil(this: Id, _: Sel, key: Id) {
    // SAFETY: as above.
    let (class, key) = unsafe { (class_of(this), text_of(key)) };
    let why = format!(
        "[<{class} {:p}> setNilValueForKey:]: could not set nil as the value for the key {key}.",
        this.as_ptr()
    );
    refuse("NSInvalidArgumentException", &why)
}

/// Calls a function with each object of an array.
///
/// # Safety
///
/// It is nil or an array.
unsafe fn each(array: Id, mut run: impl FnMut(Id)) {
    // SAFETY: the caller's.
    unsafe {
        // The called method may change the array.
        let mut at = 0;
        while at < send::<usize>(array, "count") {
            run(send_with(array, "objectAtIndex:", at));
            at += 1;
        }
    }
}

/// The value of a key, `NSNull` for nil.
///
/// # Safety
///
/// An object, and a string.
unsafe fn value_or_null(object: Id, key: Id) -> Id {
    // SAFETY: the caller's.
    unsafe {
        let value: Id = send_with(object, "valueForKey:", key);
        if value.is_nil() { send(class_named(c"NSNull"), "null") } else { value }
    }
}

/// `dictionaryWithValuesForKeys:`
unsafe extern "C-unwind" fn values(this: Id, _: Sel, keys: Id) -> Id {
    // SAFETY: the message passed an array of strings.
    unsafe {
        let all: Id = send(class_named(c"NSMutableDictionary"), "dictionary");
        each(keys, |key| send_with_two(all, "setObject:forKey:", value_or_null(this, key), key));
        returned(all)
    }
}

/// `setValuesForKeysWithDictionary:`
unsafe extern "C-unwind" fn set_values(this: Id, _: Sel, values: Id) {
    // SAFETY: the message passed a dictionary.
    unsafe {
        let null: Id = send(class_named(c"NSNull"), "null");
        each(send(values, "allKeys"), |key| {
            let value: Id = send_with(values, "objectForKey:", key);
            let value = if value == null { Id::NIL } else { value };
            send_with_two(this, "setValue:forKey:", value, key)
        });
    }
}

/// `valueForKey:` of an array: the values of its objects.
unsafe extern "C-unwind" fn value_of_each(this: Id, _: Sel, key: Id) -> Id {
    // SAFETY: the receiver is an array, and the message passed a string.
    unsafe {
        let all: Id = send(class_named(c"NSMutableArray"), "array");
        each(this, |object| send_with(all, "addObject:", value_or_null(object, key)));
        returned(all)
    }
}

/// `valueForKey:` of a set: the values of its objects, without nil.
unsafe extern "C-unwind" fn value_of_each_in_set(this: Id, _: Sel, key: Id) -> Id {
    // SAFETY: the receiver is a set, and the message passed a string.
    unsafe {
        let all: Id = send(class_named(c"NSMutableSet"), "set");
        each(send(this, "allObjects"), |object| {
            let value: Id = send_with(object, "valueForKey:", key);
            if !value.is_nil() {
                send_with(all, "addObject:", value)
            }
        });
        returned(all)
    }
}

/// `setValue:forKey:` of an array or a set: for each of its objects.
unsafe extern "C-unwind" fn set_value_of_each(this: Id, _: Sel, value: Id, key: Id) {
    // SAFETY: the receiver is one of them, and the message passed a string.
    unsafe {
        let is_set: u8 = send_with(this, "isKindOfClass:", class_named(c"NSSet"));
        let all = if is_set != 0 { send(this, "allObjects") } else { this };
        each(all, |object| send_with_two(object, "setValue:forKey:", value, key));
    }
}
