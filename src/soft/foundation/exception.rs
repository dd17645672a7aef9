//! NSException: what is thrown for a message that no method answers, and by programs.

use super::format::text_of_format;
use super::variadic::{Variadic, variadic};
use super::{List, NSObject, Pairs, Text};
use crate::abi::{Id, Imp};
use crate::soft::runtime::declare::{This, Zone, soft_class, types};
use crate::soft::runtime::object::{Object, SoftClass, Strong};
use crate::soft::runtime::pool;

/// An exception.
pub(crate) struct Exception {
    name: Strong<Text>,
    reason: Option<Strong<Text>>,
    user_info: Option<Strong<Pairs>>,
}

soft_class! {
    /// An exception.
    pub(crate) class NSException(Exception): NSObject, conforms [NSCopying];
    make [exceptionWithName:reason:userInfo:] = Exception::new;
    init [initWithName:reason:userInfo:] = Exception::new;
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);
    raw [raise] = (RAISE, types!(()));
    raw_class [raise:format:] = (raise_format, types!((), Id, Id));
    [callStackSymbols] = |_: &Exception| List::object([]);
    [callStackReturnAddresses] = |_: &Exception| List::object([]);
    [name] = |exception: &Exception| exception.name.clone();
    [reason] = |exception: &Exception| exception.reason.clone();
    [userInfo] = |exception: &Exception| exception.user_info.clone();
    [description] = |exception: &Exception| exception.reason.clone().unwrap_or(exception.name.clone());
}

impl Exception {
    fn new(
        name: &Object<Text>,
        reason: Option<Strong<Text>>,
        user_info: Option<Strong<Pairs>>,
    ) -> Self {
        Self { name: Text::keep(name), reason, user_info }
    }
}

fn itself(this: This<'_, Exception>) -> Strong<Exception> {
    this.retain()
}

/// Throws an object. Methods in Rust let no exception pass, so this is the method itself.
// SAFETY: `Imp` is called only after a cast to the method's type, which has a selector besides.
const RAISE: Imp =
    unsafe { std::mem::transmute::<unsafe extern "C-unwind" fn(Id) -> !, Imp>(throw) };

#[cfg(feature = "export")]
use crate::soft::runtime::exception::throw;

/// Nothing catches exceptions in a program that only has methods of Rust.
#[cfg(not(feature = "export"))]
unsafe extern "C-unwind" fn throw(exception: Id) -> ! {
    use crate::soft::runtime::{fatal::fatal, object::Object};
    // SAFETY: the receiver of a message is an object.
    let exception = unsafe { Object::<Exception>::from_id(exception) };
    let reason = exception.and_then(|exception| exception.reason.clone());
    let reason = reason.as_ref().map_or_else(String::new, |reason| reason.to_str().into_owned());
    fatal(format_args!("an exception was thrown, and nothing catches it: {reason}"))
}

variadic! {
    raise_format calls raise, named 4;
}

/// `+[NSException raise:format:]`.
unsafe extern "C-unwind" fn raise(list: &mut Variadic) {
    // SAFETY: the message's arguments: the name comes before the format.
    unsafe {
        let (_class, _selector, name) = (list.object(), list.word(), list.object());
        let reason = text_of_format(list);
        let name = Object::<Text>::from_id(name).map_or_else(|| Text::object(""), Object::retain);
        let exception = Strong::new(Exception { name, reason: Some(reason), user_info: None });
        throw(pool::autorelease(exception.into_retained().into_owned()))
    }
}
