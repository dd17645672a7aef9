//! Strings and errors survive a round trip through Foundation's classes.

use aruminium::foundation::{NSDictionary, NSError, NSString};
use proptest::prelude::*;

proptest! {
    // A failure prints its seed; an input worth keeping becomes a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every Rust string survives becoming an `NSString` and being read back.
    #[test]
    fn strings_survive_a_round_trip(text in any::<String>()) {
        let string = NSString::from(text.as_str());
        prop_assert_eq!(string.to_string(), text.clone());
        prop_assert_eq!(string.len_utf16(), text.encode_utf16().count());
        prop_assert!(string == NSString::from(text.as_str()));
    }

    /// The same for the text of an error, which is stored in a dictionary.
    #[test]
    fn errors_survive_a_round_trip(domain in "[A-Za-z]{1,20}", code in any::<i32>(), text in "\\PC{1,40}") {
        let info = NSDictionary::new(&[(&NSString::from("NSLocalizedDescription"), &NSString::from(text.as_str()))]);
        let error = NSError::new(&domain, code as isize, Some(&info));
        prop_assert_eq!(error.domain(), domain);
        prop_assert_eq!(error.code(), code as isize);
        prop_assert_eq!(error.description(), text);
    }
}
