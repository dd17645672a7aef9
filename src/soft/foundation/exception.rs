//! NSException: what is thrown for a message that no method answers.

use super::{NSObject, Pairs, Text};
use crate::soft::runtime::declare::{This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Strong};

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
        Self { name: name.retain(), reason, user_info }
    }
}

fn itself(this: This<'_, Exception>) -> Strong<Exception> {
    this.retain()
}
