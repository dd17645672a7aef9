//! Properties: of type encodings, and of the cache against a map.

use crate::abi::{Encoding, Imp, MethodEncoding, Sel};
use crate::soft::runtime::cache::Cache;
use crate::soft::runtime::class::{imp_from_ptr, imp_to_ptr};
use crate::soft::runtime::lock::Lock;
use proptest::prelude::*;
use std::collections::HashMap;

/// Any encoding that a compiler could write.
fn encoding() -> impl Strategy<Value = Encoding> {
    let letter = proptest::sample::select(b"cCsSiIlLqQfdDBv@#:*?".to_vec());
    let simple = prop_oneof![
        letter.prop_map(Encoding::Simple),
        Just(Encoding::Block),
        (0usize..64).prop_map(Encoding::Bits),
    ];
    simple.prop_recursive(5, 40, 5, |inner| {
        // `@?` is one type: a list must not set the two letters side by side, as `^@` and `?` do.
        let list =
            prop::collection::vec(inner.clone(), 1..5).prop_filter("reads as a block", |list| {
                !list.windows(2).any(|pair| {
                    pair[0].to_string().ends_with('@') && pair[1].to_string().starts_with('?')
                })
            });
        prop_oneof![
            inner.clone().prop_map(|to| Encoding::Pointer(Box::new(to))),
            (0usize..1000, inner).prop_map(|(length, of)| Encoding::Array(length, Box::new(of))),
            ("[A-Za-z_?]{1,8}", list.clone()).prop_map(|(name, list)| Encoding::Struct(name, list)),
            ("[A-Za-z_?]{1,8}", list).prop_map(|(name, list)| Encoding::Union(name, list)),
        ]
    })
}

/// What a method can take: a bit field, whose digits would run into an offset's, is none.
fn passed() -> impl Strategy<Value = Encoding> {
    encoding().prop_filter("a bit field", |encoding| {
        !encoding.to_string().ends_with(|c: char| c.is_ascii_digit())
    })
}

proptest! {
    // A failure prints its seed; seeds worth keeping become tests of their own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn encodings_survive_a_round_trip(encoding in encoding()) {
        prop_assert_eq!(encoding.to_string().parse::<Encoding>().unwrap(), encoding);
    }

    #[test]
    fn method_encodings_survive_a_round_trip(result in passed(), list in prop::collection::vec(passed(), 0..6)) {
        let method = MethodEncoding::new(result, list);
        prop_assert_eq!(method.to_string().parse::<MethodEncoding>().unwrap(), method);
    }

    #[test]
    fn any_text_is_an_encoding_or_an_error(text in "\\PC*", tail in "[\\^{}()\\[\\]=@?Qcb0-9\"]*") {
        for text in [&text, &tail] {
            if let Ok(encoding) = text.parse::<Encoding>() {
                let _ = encoding.layout();
            }
            let _ = text.parse::<MethodEncoding>();
        }
    }

    /// Selectors at any spacing, so that some tables grow for want of a place near home.
    #[test]
    fn the_cache_agrees_with_a_map(
        steps in prop::collection::vec((0usize..200, 1usize..1000, any::<bool>()), 1..300),
        spacing in prop::sample::select(vec![1usize, 2, 8, 64, 1 << 10, 1 << 14]),
    ) {
        let cache = Cache::empty();
        let mut model = HashMap::new();
        let mut lock = Lock::take();
        for (number, imp, replace) in steps {
            let selector = Sel::from_ptr(std::ptr::without_provenance_mut((number * spacing + 1) << 4));
            // SAFETY: the implementation is compared and never called.
            let imp: Imp = unsafe { imp_from_ptr(std::ptr::without_provenance_mut(imp)) };
            if replace {
                cache.replace(selector, imp, &mut lock);
            } else if cache.get(selector, &lock).is_none() {
                cache.insert(selector, imp, &mut lock);
            } else {
                continue;
            }
            // What no place could be found for is not cached; a replacement adds nothing.
            match cache.get(selector, &lock) {
                Some(found) => {
                    prop_assert_eq!(imp_to_ptr(found), imp_to_ptr(imp));
                    model.insert(selector, imp);
                }
                None => prop_assert!(replace || spacing >= 64),
            }
        }
        for (selector, imp) in model {
            // Moving to the largest table may lose some of those that share a home.
            match cache.get(selector, &lock) {
                Some(found) => prop_assert_eq!(imp_to_ptr(found), imp_to_ptr(imp)),
                None => prop_assert!(spacing >= 64),
            }
        }
    }
}

/// Selectors that share a home fill the largest table's places; what comes after them is not cached,
/// and costs no memory.
#[test]
fn a_full_cache_stays_as_it_is() {
    let cache = Cache::empty();
    let mut lock = Lock::take();
    let insert = |number: usize, lock: &mut Lock| {
        let selector = Sel::from_ptr(std::ptr::without_provenance_mut((number * 4096 + 7) << 4));
        // SAFETY: the implementation is never called.
        let imp: Imp = unsafe { imp_from_ptr(std::ptr::without_provenance_mut(1)) };
        cache.insert(selector, imp, lock);
        cache.get(selector, lock).is_some()
    };
    let cached = (0..1000).filter(|&number| insert(number, &mut lock)).count();
    assert!((8..20).contains(&cached), "{cached}");
    // Each of these would have taken a table of 64 KiB.
    let before = resident_kib();
    let late = (0..1000).filter(|&number| insert(number + 1000, &mut lock)).count();
    assert_eq!(late, 0);
    assert!(resident_kib().saturating_sub(before) < 8_192);
}

/// The memory that the process has in use, in KiB.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
