//! Sending messages from Rust, and the slow path of `objc_msgSend`.

use super::class::{ClassData, Kind};
use super::fatal::{MethodName, fatal};
use super::object;
use super::send_arch::{REGISTERS, forward};
use crate::abi::{Class, Encode, Family, Id, Imp, Sel};

/// The slow path of `objc_msgSend`, after a miss in the cache: returns the implementation, or a function
/// that reports an unrecognized selector.
///
/// # Safety
///
/// `receiver` is an object, `selector` a selector.
pub(super) unsafe extern "C" fn resolve(receiver: Id, selector: Sel) -> Imp {
    // SAFETY: the caller's.
    unsafe { class_of_living(receiver, selector) }.cached_imp(selector).unwrap_or(FORWARDER)
}

/// The same for `objc_msgSend_stret`.
///
/// # Safety
///
/// As for [`resolve`].
#[cfg(target_arch = "x86_64")]
pub(super) unsafe extern "C" fn resolve_stret(receiver: Id, selector: Sel) -> Imp {
    // SAFETY: the caller's.
    unsafe { class_of_living(receiver, selector) }.cached_imp(selector).unwrap_or(FORWARDER_STRET)
}

/// The receiver of `objc_msgSendSuper`.
#[repr(C)]
pub(super) struct Super {
    receiver: Id,
    class: Class,
}

/// Writes the slow path of a sender to a class: the implementation, or a function that reports an unrecognized
/// selector.
macro_rules! resolvers {
    ($($(#[$attribute:meta])* $name:ident: $class:expr, $missing:expr;)+) => {$(
        $(#[$attribute])*
        ///
        /// # Safety
        ///
        /// `to` has an object and a class, `selector` is a selector.
        pub(super) unsafe extern "C" fn $name(to: *const Super, selector: Sel) -> Imp {
            // SAFETY: the caller's.
            let class = unsafe { ClassData::from_handle((*to).class) }.and_then($class);
            class.and_then(|class| class.cached_imp(selector)).unwrap_or($missing)
        }
    )+};
}

resolvers! {
    /// The slow path of `objc_msgSendSuper`.
    resolve_super: Some, FORWARDER;
    /// The slow path of `objc_msgSendSuper2`.
    resolve_super2: ClassData::superclass, FORWARDER;
    /// The slow path of `objc_msgSendSuper_stret`.
    #[cfg(target_arch = "x86_64")]
    resolve_super_stret: Some, FORWARDER_STRET;
    /// The slow path of `objc_msgSendSuper2_stret`.
    #[cfg(target_arch = "x86_64")]
    resolve_super2_stret: ClassData::superclass, FORWARDER_STRET;
}

/// The class of a receiver, which must not have been freed.
///
/// # Safety
///
/// As for [`resolve`].
unsafe fn class_of_living(receiver: Id, selector: Sel) -> &'static ClassData {
    // SAFETY: the caller's.
    let class = unsafe { object::class_of(receiver) };
    if class.kind == Kind::Zombie {
        // SAFETY: the receiver is of the zombies' class.
        unsafe { object::sent_to_zombie(receiver, selector) }
    }
    class
}

/// The implementation of every selector that a class has no method for: it passes the arguments to
/// [`unanswered`], and returns zero in every register that a result may come back in.
pub(super) const FORWARDER: Imp = forward;

/// The same for methods that return a struct in memory.
// SAFETY: `Imp` is called only after a cast to a method's type; the address of the result comes first, and is returned.
#[cfg(target_arch = "x86_64")]
pub(super) const FORWARDER_STRET: Imp = unsafe {
    std::mem::transmute::<unsafe extern "C-unwind" fn(*mut u8, Id, Sel) -> *mut u8, Imp>(
        forward_stret,
    )
};

/// Reports a message that the receiver's class lacks, and clears its result if that is in memory. If no header declares the
/// message, it is an exception for a caller that catches one, or the end of the program.
///
/// # Safety
///
/// `registers` has the arguments that came in the general registers, `REGISTERS` of them, and `stack` is where the
/// others are. The first two are an object and a selector. `result` is where the method called by that selector puts a
/// struct, or null.
pub(super) unsafe extern "C-unwind" fn unanswered(
    registers: *const usize,
    stack: *const usize,
    result: *mut u8,
) {
    // SAFETY: the caller's.
    let (receiver, selector) =
        unsafe { (*registers.cast::<Id>(), *registers.add(1).cast::<Sel>()) };
    // SAFETY: a sender passes an object.
    let (class, name) = unsafe { class_and_name(receiver, selector) };
    let Some((lacks, bytes)) = class.lacking(name) else {
        // SAFETY: as above.
        unsafe { unrecognized(receiver, selector) }
    };
    // The receiver and the selector come before the arguments.
    let last = crate::abi::colons(name) + 1;
    // SAFETY: there are that many words on the stack, whatever they are.
    let last = unsafe {
        match last.checked_sub(REGISTERS) {
            None => *registers.add(last),
            Some(nth) => *stack.add(nth),
        }
    };
    (lacks.report)(&MethodName::new(class, selector), name, last);
    if bytes > 0 && !result.is_null() {
        // SAFETY: the result is of a type that comes back in memory on this CPU, so the sender has made room there.
        unsafe { result.write_bytes(0, bytes) }
    }
    // A method for initialisation owns its receiver, and returns nil in its place.
    if !class.is_meta() && Family::of(name) == Family::Init {
        // SAFETY: the sender has given up the object.
        unsafe { object::release(receiver) }
    }
}

/// The same for a message whose sender expects a struct in memory.
///
/// # Safety
///
/// `result` has room for the struct that the method called by that selector returns; the others are an object and a selector.
#[cfg(target_arch = "x86_64")]
unsafe extern "C-unwind" fn forward_stret(result: *mut u8, receiver: Id, selector: Sel) -> *mut u8 {
    // SAFETY: the caller's.
    let (class, name) = unsafe { class_and_name(receiver, selector) };
    let Some((lacks, bytes @ 1..)) = class.lacking(name) else {
        // SAFETY: as above.
        unsafe { unrecognized(receiver, selector) }
    };
    // None of these messages has an argument that is reported to.
    (lacks.report)(&MethodName::new(class, selector), name, 0);
    // SAFETY: the caller's.
    unsafe { result.write_bytes(0, bytes) }
    result
}

/// The class of a receiver, and the name of a selector.
///
/// # Safety
///
/// They are an object and a selector.
unsafe fn class_and_name(receiver: Id, selector: Sel) -> (&'static ClassData, &'static str) {
    let name = super::selector::name(selector).map_or("", |name| name.to_str().unwrap_or(""));
    // SAFETY: the caller's.
    (unsafe { object::class_of(receiver) }, name)
}

unsafe extern "C-unwind" fn unrecognized(receiver: Id, selector: Sel) -> ! {
    // SAFETY: a sender passes an object.
    let method = unsafe { MethodName::of(receiver, selector) };
    let why = format!("{method}: unrecognized selector sent to instance {:p}", receiver.as_ptr());
    #[cfg(feature = "export")]
    super::exception::raise("NSInvalidArgumentException", &why);
    fatal(format_args!("{why}"))
}

/// A function that is called only after a cast to its own type, and that an exception may leave.
pub(super) type Unwinding = unsafe extern "C-unwind" fn();

/// `objc_msgSend`, for messages that an exception may leave. That one has C's ABI, so the compiler takes a call of it for one that
/// does not unwind, also if the call is made by a pointer of another ABI.
#[unsafe(naked)]
pub(super) unsafe extern "C-unwind" fn send_unwinding() {
    #[cfg(target_arch = "x86_64")]
    std::arch::naked_asm!("jmp {}", sym super::entry::objc_msgSend);
    #[cfg(target_arch = "aarch64")]
    std::arch::naked_asm!("b {}", sym super::entry::objc_msgSend);
}

/// Writes a function that sends a message with these arguments.
macro_rules! senders {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $ty:ident),*);)+) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// The receiver is nil or an object, and what it does for the selector takes and returns
        /// these types. A result larger than two registers is not returned this way.
        pub(crate) unsafe fn $name<$($ty: Encode,)* R: Encode>(
            receiver: Id, selector: Sel, $($argument: $ty),*
        ) -> R {
            const { assert!(size_of::<R>() <= 16) };
            let send: Imp = super::entry::objc_msgSend;
            // SAFETY: the caller's; a sender is called as the method's own type.
            unsafe {
                std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Sel, $($ty),*) -> R>(send)(
                    receiver, selector, $($argument),*
                )
            }
        }
    )+};
}

senders! {
    /// Sends a message without arguments.
    send();
    /// Sends a message with one argument.
    send_with(argument: A);
    /// Sends a message with two arguments.
    send_with_two(one: A, other: B);
    /// Sends a message with three arguments.
    #[cfg(feature = "export")]
    send_with_three(one: A, other: B, third: C);
}
