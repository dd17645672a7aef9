//! The detector alone, without kernels.

use super::*;

/// A thread's access: its SIMD-group and lane.
fn access(checker: &mut Checker<'_>, kind: AccessKind, thread: (u32, u32), at: (u64, u32)) {
    let site = checker.site(None, kind);
    checker.step();
    let place = Place { own: true, address: at.0, bytes: at.1, name: &|| None, offset: 0 };
    let value = u64::from(thread.0 * 32 + thread.1);
    checker.access(thread.0, thread.1, site, Some(value), &place);
}

/// What two accesses are, with something in between.
fn pair(
    first: (AccessKind, (u32, u32), (u64, u32)),
    between: impl Fn(&mut Checker<'_>),
    second: (AccessKind, (u32, u32), (u64, u32)),
) -> Vec<ReportKind> {
    let session = Session::default();
    let checks = Checks::RACES.with(Checks::BENIGN);
    let mut checker = session.launch("k", checks, [1024, 1, 1], [1024, 1, 1]);
    checker.enter(0);
    access(&mut checker, first.0, first.1, first.2);
    between(&mut checker);
    access(&mut checker, second.0, second.1, second.2);
    drop(checker);
    session.reports().iter().map(|report| report.kind).collect()
}

#[test]
fn two_accesses_race_if_one_writes_and_one_is_not_atomic() {
    use AccessKind::{AtomicRead, AtomicWrite, Read, Write};
    for (a, b, race) in [
        (Read, Read, false),
        (Read, Write, true),
        (Write, Read, true),
        (Write, Write, true),
        (AtomicRead, AtomicWrite, false),
        (AtomicWrite, AtomicWrite, false),
        (AtomicWrite, Read, true),
        (AtomicRead, Write, true),
        (AtomicRead, Read, false),
    ] {
        let found = pair((a, (0, 0), (8, 4)), |_| {}, (b, (1, 0), (8, 4)));
        assert_eq!(found, vec![ReportKind::Race; usize::from(race)], "{a:?} {b:?}");
        let lanes = pair((a, (0, 0), (8, 4)), |_| {}, (b, (0, 1), (8, 4)));
        assert_eq!(lanes, vec![ReportKind::Lockstep; usize::from(race)], "{a:?} {b:?}");
        let one = pair((a, (0, 0), (8, 4)), |_| {}, (b, (0, 0), (8, 4)));
        assert_eq!(one, [], "{a:?} {b:?}");
    }
}

#[test]
fn bytes_are_told_apart() {
    use AccessKind::Write;
    for (first, second, race) in [
        ((0, 1), (1, 1), false),
        ((0, 2), (1, 1), true),
        ((3, 2), (4, 1), true),
        ((3, 1), (4, 4), false),
        ((0, 16), (12, 4), true),
        ((1020, 8), (1024, 4), true),
    ] {
        let found = pair((Write, (0, 0), first), |_| {}, (Write, (1, 0), second));
        assert_eq!(!found.is_empty(), race, "{first:?} {second:?}");
    }
}

#[test]
fn barriers_order_the_memory_that_their_flags_name() {
    use AccessKind::{Read, Write};
    let all = |between: &dyn Fn(&mut Checker<'_>, u32)| {
        pair(
            (Write, (0, 0), (0, 4)),
            |checker| (0..4).for_each(|wave| between(checker, wave)),
            (Read, (1, 0), (0, 4)),
        )
    };
    for (bits, race) in [(0, true), (1, true), (2, false), (3, false)] {
        let flags = MemFlags::of_bits(bits);
        let found = all(&|checker, wave| checker.threadgroup_barrier(wave, flags));
        assert_eq!(!found.is_empty(), race, "{bits}");
        // It does not order other SIMD-groups.
        let found = all(&|checker, wave| checker.simdgroup_barrier(wave, flags));
        assert_eq!(found, [ReportKind::Race], "{bits}");
        let found = pair(
            (Write, (2, 0), (0, 4)),
            |checker| checker.simdgroup_barrier(2, flags),
            (Read, (2, 7), (0, 4)),
        );
        assert_eq!(!found.is_empty(), race, "{bits}");
    }
}
