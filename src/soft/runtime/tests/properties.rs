//! Random tests: type encodings survive printing and parsing, and the method cache agrees with a map.

use crate::abi::{Encoding, Imp, MethodEncoding, Sel};
use crate::soft::runtime::cache::Cache;
use crate::soft::runtime::class::{imp_from_ptr, imp_to_ptr};
use crate::soft::runtime::lock::Lock;
use crate::test_random::Random;
use std::collections::HashMap;

/// How many random cases each test runs.
const CASES: u64 = 512;

/// A random encoding that a compiler could write, nested at most `depth` levels deep.
fn encoding(random: &mut Random, depth: usize) -> Encoding {
    let kinds = if depth == 0 { 3 } else { 7 };
    match random.below(kinds) {
        0 => Encoding::Simple(random.pick(b"cCsSiIlLqQfdDBv@#:*?")),
        1 => Encoding::Block,
        2 => Encoding::Bits(random.below(64)),
        3 => Encoding::Pointer(Box::new(encoding(random, depth - 1))),
        4 => Encoding::Array(random.below(1000), Box::new(encoding(random, depth - 1))),
        5 => Encoding::Struct(name(random), fields(random, depth - 1)),
        _ => Encoding::Union(name(random), fields(random, depth - 1)),
    }
}

fn name(random: &mut Random) -> String {
    (0..1 + random.below(8)).map(|_| char::from(random.pick(b"Aambz_?"))).collect()
}

/// The fields of a struct or union. `@?` is one type, a block: fields that print as `^@` and `?` side by
/// side would be read back as another list.
fn fields(random: &mut Random, depth: usize) -> Vec<Encoding> {
    loop {
        let list: Vec<_> = (0..1 + random.below(4)).map(|_| encoding(random, depth)).collect();
        let text: Vec<_> = list.iter().map(Encoding::to_string).collect();
        if !text.windows(2).any(|pair| pair[0].ends_with('@') && pair[1].starts_with('?')) {
            return list;
        }
    }
}

/// An encoding that a method can take. A bit field is not: its digits would run into the offset's.
fn parameter(random: &mut Random) -> Encoding {
    loop {
        let encoding = encoding(random, 3);
        if !encoding.to_string().ends_with(|c: char| c.is_ascii_digit()) {
            return encoding;
        }
    }
}

#[test]
fn encodings_survive_a_round_trip() {
    for seed in 0..CASES {
        let encoding = encoding(&mut Random::new(seed), 5);
        assert_eq!(encoding.to_string().parse::<Encoding>().unwrap(), encoding, "seed {seed}");
    }
}

#[test]
fn method_encodings_survive_a_round_trip() {
    for seed in 0..CASES {
        let random = &mut Random::new(seed);
        let (result, count) = (parameter(random), random.below(6));
        let method = MethodEncoding::new(result, (0..count).map(|_| parameter(random)));
        assert_eq!(method.to_string().parse::<MethodEncoding>().unwrap(), method, "seed {seed}");
    }
}

/// Parsing ends in an encoding or an error whatever the text: never in a panic.
#[test]
fn any_text_is_an_encoding_or_an_error() {
    for seed in 0..CASES * 4 {
        let random = &mut Random::new(seed);
        let any_char =
            |random: &mut Random| char::from_u32(random.below(0x11_0000) as u32).unwrap_or('\0');
        let any: String = (0..random.below(40)).map(|_| any_char(random)).collect();
        let likely: String = (0..random.below(40))
            .map(|_| char::from(random.pick(b"^{}()[]=@?Qcb0123456789\"")))
            .collect();
        // A valid encoding with one character replaced, or cut off in the middle of one.
        let mut changed: Vec<char> = encoding(random, 4).to_string().chars().collect();
        let at = random.below(changed.len());
        changed[at] =
            if random.chance(50) { any_char(random) } else { char::from(random.pick(b"{}[]()^9")) };
        let changed: String = changed.into_iter().collect();
        let cut: String = changed.chars().take(at).collect();
        for text in [any, likely, changed, cut] {
            if let Ok(encoding) = text.parse::<Encoding>() {
                let _ = encoding.layout();
            }
            let _ = text.parse::<MethodEncoding>();
        }
    }
}

/// Compares the cache with a map. Selectors come at several spacings, so that some tables grow because
/// no slot near a selector's own is free.
#[test]
fn the_cache_agrees_with_a_map() {
    for seed in 0..CASES {
        let random = &mut Random::new(seed);
        let spacing = random.pick(&[1usize, 2, 8, 64, 1 << 10, 1 << 14]);
        let cache = Cache::empty();
        let mut model = HashMap::new();
        let mut lock = Lock::take();
        for _ in 0..1 + random.below(300) {
            let (number, imp) = (random.below(200), 1 + random.below(999));
            let replace = random.chance(50);
            let selector =
                Sel::from_ptr(std::ptr::without_provenance_mut((number * spacing + 1) << 4));
            // SAFETY: the implementation is compared and never called.
            let imp: Imp = unsafe { imp_from_ptr(std::ptr::without_provenance_mut(imp)) };
            if replace {
                cache.replace(selector, imp, &mut lock);
            } else if cache.get(selector, &lock).is_none() {
                cache.insert(selector, imp, &mut lock);
            } else {
                continue;
            }
            // A selector that found no free slot is not cached, and replacing adds nothing.
            match cache.get(selector, &lock) {
                Some(found) => {
                    assert_eq!(imp_to_ptr(found), imp_to_ptr(imp), "seed {seed}");
                    model.insert(selector, imp);
                }
                None => assert!(replace || spacing >= 64, "seed {seed}"),
            }
        }
        for (selector, imp) in model {
            // Moving to the largest table may lose some of the selectors that share a slot.
            match cache.get(selector, &lock) {
                Some(found) => assert_eq!(imp_to_ptr(found), imp_to_ptr(imp), "seed {seed}"),
                None => assert!(spacing >= 64, "seed {seed}"),
            }
        }
    }
}

/// Selectors that share a slot fill the largest table; later ones are not cached and take no memory.
#[test]
#[cfg(target_os = "linux")]
fn a_full_cache_does_not_grow() {
    use crate::memory_use::{measure, resident};
    measure("soft::runtime::tests::properties::a_full_cache_does_not_grow", || {
        let cache = Cache::empty();
        let mut lock = Lock::take();
        let insert = |number: usize, lock: &mut Lock| {
            let selector =
                Sel::from_ptr(std::ptr::without_provenance_mut((number * 4096 + 7) << 4));
            // SAFETY: the implementation is never called.
            let imp: Imp = unsafe { imp_from_ptr(std::ptr::without_provenance_mut(1)) };
            cache.insert(selector, imp, lock);
            cache.get(selector, lock).is_some()
        };
        let cached = (0..1000).filter(|&number| insert(number, &mut lock)).count();
        assert!((8..20).contains(&cached), "{cached}");
        // Each of these would have taken a table of 64 KiB.
        let before = resident();
        let late = (0..1000).filter(|&number| insert(number + 1000, &mut lock)).count();
        assert_eq!(late, 0);
        assert!(resident().saturating_sub(before) < 8 << 20);
    });
}
