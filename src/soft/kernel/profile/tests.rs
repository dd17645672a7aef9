//! Tests of how accesses are classified.

use super::*;

/// Counts of an access to device memory, and its conflicts if it were threadgroup memory.
fn access(kind: AccessKind, bytes: u32, addresses: impl IntoIterator<Item = (u32, u64)>) -> Count {
    let mut count = Count::default();
    let lanes: Vec<_> = addresses.into_iter().collect();
    count.access((Space::Device, kind, bytes), true, &lanes, &mut Vec::new());
    assert_eq!(count.memory.conflicts, 0);
    let mut own = Count::default();
    own.access((Space::Threadgroup, kind, bytes), true, &lanes, &mut Vec::new());
    assert!(own.memory.accesses.iter().all(|of| of.cache_lines == 0));
    count.memory.conflicts = own.memory.conflicts;
    count
}

fn every(stride: u64) -> impl Iterator<Item = (u32, u64)> {
    (0..32).map(move |lane| (lane, 256 + u64::from(lane) * stride))
}

#[test]
fn patterns_and_cache_lines() {
    let is = |count: Count, pattern: Pattern, cache_lines: u64, conflicts: u64| {
        let lanes: u64 = count.memory.accesses.iter().map(|of| of.number).sum();
        let accesses = count.memory.accesses[pattern as usize];
        assert_eq!((lanes, accesses.number), (1, 1), "{pattern:?} {count:?}");
        assert_eq!((accesses.cache_lines, count.memory.conflicts), (cache_lines, conflicts));
    };
    let read = |bytes, addresses: &[(u32, u64)]| {
        access(AccessKind::Read, bytes, addresses.iter().copied())
    };
    is(access(AccessKind::Read, 4, every(4)), Pattern::Contiguous, 1, 0);
    is(access(AccessKind::Read, 16, every(16)), Pattern::Contiguous, 4, 0);
    is(access(AccessKind::Read, 4, every(0)), Pattern::Uniform, 1, 0);
    // Two lanes for each bank, then all of them in one.
    is(access(AccessKind::Read, 4, every(8)), Pattern::Strided, 2, 1);
    is(access(AccessKind::Read, 4, every(128)), Pattern::Strided, 32, 31);
    // One more element in each row.
    is(access(AccessKind::Read, 4, every(132)), Pattern::Strided, 32, 0);
    is(read(4, &[(7, 100)]), Pattern::Uniform, 1, 0);
    // Across the end of a cache line, backwards, and with lanes missing.
    is(read(4, &[(3, 126)]), Pattern::Uniform, 2, 0);
    is(read(4, &[(0, 8), (1, 4)]), Pattern::Strided, 1, 0);
    is(read(4, &[(1, 4), (3, 12), (4, 16)]), Pattern::Contiguous, 1, 0);
    is(read(4, &[(1, 4), (3, 13)]), Pattern::Scattered, 1, 0);
    is(read(4, &[(0, 0), (1, 4), (2, 12)]), Pattern::Scattered, 1, 0);
    // Below the start of memory, which is a fault of the access itself.
    is(read(4, &[(0, u64::MAX - 3), (1, 0)]), Pattern::Contiguous, 2, 0);
    assert_eq!(access(AccessKind::Read, 4, every(40)).memory.stride, Some((40, 40)));
}

#[test]
fn atomics_of_one_address_are_contended() {
    assert_eq!(access(AccessKind::AtomicWrite, 4, every(0)).contended, 32);
    assert_eq!(access(AccessKind::AtomicWrite, 4, every(4)).contended, 0);
    assert_eq!(access(AccessKind::Write, 4, every(0)).contended, 0);
    let pairs = (0..5).map(|lane| (lane, u64::from(lane / 2)));
    assert_eq!(access(AccessKind::AtomicWrite, 4, pairs).contended, 4);
}

#[test]
fn counts_add_up() {
    let mut sum = access(AccessKind::Read, 4, every(8));
    sum.add(&access(AccessKind::Read, 4, every(64)));
    assert_eq!(sum.memory.stride, Some((8, 64)));
    assert_eq!(
        (sum.memory.accesses[Pattern::Strided as usize].number, sum.memory.number()),
        (2, 2)
    );
    assert_eq!(sum.memory.accesses[Pattern::Strided as usize].bytes, 256);
}
