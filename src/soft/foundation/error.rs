//! NSError: a domain, a code and a description.

use super::{List, NSObject, Pairs, Text, absent};
use crate::soft::runtime::declare::{This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Retained, SoftClass, Strong};

/// An error.
pub(crate) struct Failure {
    domain: Strong<Text>,
    code: isize,
    user_info: Strong<Pairs>,
}

/// The keys of user information, each of which is its own value.
const DESCRIPTION: &str = "NSLocalizedDescription";
const FAILURE_REASON: &str = "NSLocalizedFailureReason";
const RECOVERY_SUGGESTION: &str = "NSLocalizedRecoverySuggestion";

soft_class! {
    /// An error.
    pub(crate) class NSError(Failure): NSObject, conforms [NSCopying], lacks absent::ERROR;
    make [errorWithDomain:code:userInfo:] = Failure::from_objects;
    init [initWithDomain:code:userInfo:] = Failure::from_objects;
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);

    [domain] = |error: &Failure| error.domain.clone();
    [code] = |error: &Failure| error.code;
    [userInfo] = |error: &Failure| error.user_info.clone();
    [localizedDescription] = Failure::localized_description;
    [localizedFailureReason] = |error: &Failure| error.info(FAILURE_REASON);
    [localizedRecoverySuggestion] = |error: &Failure| error.info(RECOVERY_SUGGESTION);
    [localizedRecoveryOptions] = |error: &Failure| error.info("NSLocalizedRecoveryOptions");
    [recoveryAttempter] = |error: &Failure| error.info("NSRecoveryAttempter");
    [helpAnchor] = |error: &Failure| error.info("NSHelpAnchor");
    [underlyingErrors] = |error: &Failure| List::object(error.info("NSUnderlyingError"));
    [description] = Failure::describe;
}

impl Failure {
    /// An NSError with a description and further information.
    pub(crate) fn object(
        domain: &str,
        code: isize,
        description: &str,
        info: impl IntoIterator<Item = (&'static str, Retained)>,
    ) -> Strong<Self> {
        let description = (DESCRIPTION, Text::object(description).into_retained());
        let key = |(key, value)| (Text::object(key).into_retained(), value);
        Strong::new(Self {
            domain: Text::object(domain),
            code,
            user_info: Pairs::object(std::iter::once(description).chain(info).map(key)),
        })
    }

    fn from_objects(domain: &Object<Text>, code: isize, user_info: Option<&Object<Pairs>>) -> Self {
        let user_info = user_info.map_or_else(|| Pairs::object([]), Object::retain);
        Self { domain: Text::keep(domain), code, user_info }
    }

    fn info(&self, key: &str) -> Option<Retained> {
        self.user_info.get(Text::object(key).id())
    }

    fn summary(&self) -> String {
        let (domain, code) = (self.domain.to_str(), self.code);
        format!("The operation couldn't be completed. ({domain} error {code}.)")
    }

    fn localized_description(&self) -> Retained {
        self.info(DESCRIPTION).unwrap_or_else(|| Text::object(self.summary()).into_retained())
    }

    fn describe(&self) -> Strong<Text> {
        let (domain, code) = (self.domain.to_str(), self.code);
        let description = super::array::text_of(&self.localized_description());
        Text::object(format!("Error Domain={domain} Code={code} \"{description}\""))
    }
}

fn itself(this: This<'_, Failure>) -> Strong<Failure> {
    this.retain()
}
