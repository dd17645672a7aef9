//! The detector alone, without kernels.

use super::deferred::{Deferred, MOST, Part, collect, deferred_at};
use super::queues::{Batch, FIRST_ENCODER, Table, joined, published_at, table};
use super::*;
use crate::test_random::Random;

/// A thread's access: its SIMD-group and lane.
fn access(checker: &mut Checker<'_>, kind: AccessKind, thread: (u32, u32), at: (u64, u32)) {
    let site = checker.site(None, kind);
    checker.step(u32::MAX);
    let place =
        Place { own: true, address: at.0, bytes: at.1, region: 1, name: &|| None, offset: 0 };
    let value = u64::from(thread.0 * 32 + thread.1);
    checker.access(thread.0, thread.1, site, Some(value), &place);
}

/// Two accesses, with something in between.
fn pair(
    first: (AccessKind, (u32, u32), (u64, u32)),
    between: impl Fn(&mut Checker<'_>),
    second: (AccessKind, (u32, u32), (u64, u32)),
) -> Vec<ReportKind> {
    let session = Session::default();
    let checks = Checks::RACES.with(Checks::BENIGN);
    let mut checker = session.launch("k", checks, extent([1024, 1, 1], [1024, 1, 1]), false);
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
fn what_is_found_beyond_the_most_reports_is_counted() {
    let session = Session::default();
    let extent = extent([64, 1, 1], [64, 1, 1]);
    let mut checker = session.launch("k", Checks::UNDEFINED, extent, false);
    checker.enter(0);
    for line in 0..MOST_REPORTS as u32 + 2 {
        let source = SourcePosition { file: "k.metal".to_owned(), line, column: 1 };
        let site = checker.site(Some(source), AccessKind::Read);
        checker.found(0, 0, site, Finding::Shift);
        checker.found(0, 1, site, Finding::Shift);
    }
    drop(checker);
    let reports = session.reports();
    assert_eq!(reports.len(), MOST_REPORTS + 1);
    let [first, .., last] = &reports[..] else { unreachable!("there are many") };
    assert_eq!((first.count, last.kind, last.count), (2, ReportKind::Omitted, 4));
    assert!(last.to_string().contains("kernel 'k': more was found"), "{last}");
}

#[test]
fn bytes_are_distinguished() {
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

/// An access as the model remembers it.
#[derive(Clone, Copy)]
struct Seen {
    thread: [u32; 3],
    clock: [u32; 2],
    step: u32,
    lanes: u32,
    kind: AccessKind,
    bytes: [u64; 2],
    value: u64,
}

impl Seen {
    /// Whether this access races with a later one, by the definition; without `benign`, in a way that GPUs do not tolerate.
    fn races(&self, next: &Self, benign: bool) -> bool {
        let overlap = self.bytes[0] < next.bytes[1] && next.bytes[0] < self.bytes[1];
        let kinds = (self.kind.writes() || next.kind.writes())
            && !(self.kind.is_atomic() && next.kind.is_atomic());
        let ordered = self.thread == next.thread
            || self.thread[0] == next.thread[0]
                && (self.clock[0] < next.clock[0]
                    || self.thread[1] == next.thread[1] && self.clock[1] < next.clock[1]);
        let writes = self.kind == AccessKind::Write && next.kind == self.kind;
        let same = writes && self.value == next.value && self.bytes == next.bytes;
        let lockstep = self.thread[..2] == next.thread[..2]
            && self.step != next.step
            && self.lanes >> next.thread[2] & 1 != 0;
        overlap && kinds && !ordered && (benign || !same && !lockstep)
    }
}

/// Random accesses and barriers: for each access the detector finds something if and only if it races with any of all
/// earlier ones.
#[test]
fn random_programs_race_where_the_definition_says() {
    const KINDS: [AccessKind; 4] =
        [AccessKind::Read, AccessKind::Write, AccessKind::AtomicRead, AccessKind::AtomicWrite];
    let flags = MemFlags::ALL;
    let (mut racing, mut silent) = (0, 0);
    for seed in 0..6000 {
        let mut random = Random::new(seed);
        let session = Session::default();
        let benign = seed % 2 == 0;
        let checks = if benign { Checks::RACES.with(Checks::BENIGN) } else { Checks::RACES };
        // Threadgroup memory, or device memory.
        let own = seed % 4 < 2;
        let mut checker = session.launch("k", checks, extent([384, 1, 1], [128, 1, 1]), false);
        let sites = KINDS.map(|kind| checker.site(None, kind));
        let (mut all, mut count, mut step) = (Vec::<Seen>::new(), 0, 0);
        // Few writes in half of the programs, so that reads collect.
        let writes = random.pick(&[5, 50]);
        for group in 0..3 {
            checker.enter(group);
            if own {
                all.clear();
            }
            let (mut epoch, mut inner) = (0, [0; 4]);
            for _ in 0..random.below(16) {
                let wave = random.below(4);
                if random.chance(12) {
                    epoch += 1;
                    (0..4).for_each(|wave| checker.threadgroup_barrier(wave, flags));
                    continue;
                }
                if random.chance(12) {
                    inner[wave] += 1;
                    checker.simdgroup_barrier(wave as u32, flags);
                    continue;
                }
                let kind = usize::from(random.chance(writes)) + 2 * usize::from(random.chance(30));
                let lanes = random.pick(&[1, 2, 3, 4, 6, 7]);
                step += 1;
                checker.step(lanes);
                for lane in (0..3).filter(|lane| lanes >> lane & 1 != 0) {
                    let (start, length) = (random.below(12) as u64, random.pick(&[1, 2, 4, 8]));
                    let value = random.pick(&[7, 7, 8]);
                    let seen = Seen {
                        thread: [group, wave as u32, lane],
                        clock: [epoch, inner[wave]],
                        step,
                        lanes,
                        kind: KINDS[kind],
                        bytes: [start, start + u64::from(length)],
                        value,
                    };
                    let (address, bytes, name) = (start, length, &|| None);
                    let place = Place { own, address, bytes, region: 1, name, offset: 0 };
                    checker.access(wave as u32, lane, sites[kind], Some(value), &place);
                    let reports = &checker.found.lock().unwrap().reports;
                    let now = reports.iter().map(|report| report.count).sum();
                    let expected = all.iter().any(|earlier| earlier.races(&seen, benign));
                    let place = (seen.thread, seen.bytes);
                    assert_eq!(now > count, expected, "seed {seed}, {place:?}");
                    count = now;
                    all.push(seen);
                    *(if expected { &mut racing } else { &mut silent }) += 1;
                }
            }
        }
    }
    assert!(racing > 1000 && silent > 1000, "{racing} {silent}");
}

/// A write by one thread in a command buffer of a queue, which ends.
fn written_by(queue: u64, address: u64) -> Session {
    value_written_by(queue, address, None)
}

fn value_written_by(queue: u64, address: u64, value: Option<u64>) -> Session {
    let mut session = Session::default();
    session.set_queue(queue);
    let mut checker = session.launch("k", Checks::RACES, extent([1; 3], [1; 3]), false);
    checker.enter(0);
    let site = checker.site(None, AccessKind::Write);
    checker.step(1);
    let place = Place { own: false, address, bytes: 4, region: 1, name: &|| None, offset: 0 };
    checker.access(0, 0, site, value, &place);
    drop(checker);
    session.order();
    session
}

/// Launch after launch writes other values to the same memory: that takes no more memory, and races of each value are found.
#[test]
fn repeated_writes_of_a_queue_are_few_records() {
    // An address of this test alone: what is published stays.
    let address = 0x7300_0000_0000;
    (0..2).for_each(|_| queue_made());
    for value in 0..1000 {
        assert_eq!(value_written_by(11, address, Some(value)).reports().len(), 0);
        assert!(published_at(address) <= 2, "{}", published_at(address));
    }
    // Of the last two values, one is another one.
    for value in [998, 999] {
        assert_eq!(value_written_by(12, address, Some(value)).reports().len(), 1);
        forget(0, address as *const u8, 4);
        (998..1000).for_each(|value| drop(value_written_by(11, address, Some(value))));
    }
}

#[test]
fn queues_race_unless_a_clock_or_new_memory_is_between() {
    // Nothing is there: the addresses are of this test alone.
    let at = |number: u64| 0x7000_0000_0000 + number * 0x1_0000;
    let reports = |session: &Session| session.reports().len();
    (0..2).for_each(|_| queue_made());
    written_by(1, at(0));
    assert_eq!(reports(&written_by(1, at(0))), 0);
    assert_eq!(reports(&written_by(2, at(0) + 4)), 0);
    assert_eq!(reports(&written_by(2, at(0))), 1);
    for (base, bytes, left) in [(at(1), 4, 0), (at(1) - 4096, 4096, 1), (at(1) - 5000, 9000, 0)] {
        let mine = written_by(3, at(1));
        forget(0, base as *const u8, bytes);
        assert_eq!(reports(&written_by(4, at(1))), left, "{base:#x} {bytes}");
        forget(0, at(1) as *const u8, 4);
        assert_eq!(reports(&mine), 0);
    }
    let (first, clock) = (written_by(5, at(2)), SharedClock::default());
    first.before(&clock);
    let mut second = Session::default();
    second.set_queue(6);
    second.after(&clock);
    assert_eq!(second.clock.get(), first.clock.get());
}

fn extent(grid: [u32; 3], group: [u32; 3]) -> Extent {
    Extent { grid, group, arguments: Vec::new() }
}

/// Memory for a test: words at an address that nothing else has.
const WORDS: u64 = 8;

/// The accesses of a SIMD-group, by one instruction: by stamps if they suffice, else one by one. Returns whether they did.
fn access_in(
    checker: &mut Checker<'_>,
    own: bool,
    (wave, site): (u32, u32),
    bytes: u32,
    lanes: &[(u32, u64)],
    value: u64,
) -> bool {
    checker.step(lanes.iter().map(|lane| 1 << lane.0).sum());
    if checker.access_all(site, own, bytes, lanes, &|_| Some(value)) {
        return true;
    }
    for &(lane, address) in lanes {
        let place = Place { own, address, bytes, region: 1, name: &|| None, offset: 0 };
        checker.access(wave, lane, site, Some(value), &place);
    }
    false
}

/// Random programs whose accesses are stamped, as kernels run: each SIMD-group until its next barrier. An instruction is found to race
/// if and only if one of its accesses races with any of all earlier ones.
#[test]
fn stamped_programs_race_where_the_definition_says() {
    const KINDS: [AccessKind; 4] =
        [AccessKind::Read, AccessKind::Write, AccessKind::AtomicRead, AccessKind::AtomicWrite];
    let (mut racing, mut silent, mut quick) = (0, 0, 0);
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let session = Session::default();
        let benign = seed % 2 == 0;
        let checks = if benign { Checks::RACES.with(Checks::BENIGN) } else { Checks::RACES };
        let own = seed % 4 < 2;
        let base = 0x7100_0000_0000 + seed * 0x100;
        let mut checker = session.launch("k", checks, extent([384, 1, 1], [128, 1, 1]), false);
        // Cells of four bytes, of two, or of one.
        let shift = (seed / 4 % 3) as u8;
        let unit = 4 >> shift;
        checker.regions(&[None, Some((own, base..base + 4 * WORDS))], 0, Some([shift; 2]));
        let sites = KINDS.map(|kind| checker.site(None, kind));
        let (mut all, mut count, mut step) = (Vec::<Seen>::new(), 0, 0);
        let writes = random.pick(&[5, 50]);
        for group in 0..3 {
            checker.enter(group);
            if own {
                all.clear();
            }
            let (mut epochs, mut inner) = ([0, 0], [0; 4]);
            for phase in 0..random.below(4) {
                // The accesses that the barrier before the phase orders.
                let flags = MemFlags::of_bits(random.pick(&[1, 2, 3, 3, 0]));
                if phase > 0 {
                    epochs[0] += u32::from(flags.device());
                    epochs[1] += u32::from(flags.threadgroup());
                }
                for wave in 0..4 {
                    match phase {
                        0 => checker.begin(wave),
                        _ => checker.threadgroup_barrier(wave, flags),
                    }
                    let mask = random.pick(&[1, 2, 3, 4, 6, 7]);
                    for _ in 0..random.below(5) {
                        if random.chance(10) {
                            inner[wave as usize] += 1;
                            checker.simdgroup_barrier(wave, MemFlags::ALL);
                        }
                        let kind =
                            usize::from(random.chance(writes)) + 2 * usize::from(random.chance(30));
                        let lanes =
                            if random.chance(70) { mask } else { random.pick(&[1, 2, 3, 7]) };
                        step += 1;
                        let cells = random.pick(&[0, 1, 1, 1, 2, 3, 4, 8]);
                        let bytes = if cells == 0 { 1 } else { cells * unit };
                        // One address, neighbours, or any.
                        let (first, shape) = (random.below(4) as u64, random.below(3));
                        let mut at = Vec::new();
                        for lane in (0..3).filter(|lane| lanes >> lane & 1 != 0) {
                            let word = match shape {
                                0 => first,
                                1 => first + u64::from(lane),
                                _ => random.below(5) as u64,
                            };
                            let byte = if random.chance(4) { 1 } else { 0 };
                            let start = u64::from(unit) * word.min(WORDS - 5);
                            at.push((lane, base + start + byte));
                        }
                        let value = random.pick(&[7, 7, 8]);
                        let site = sites[kind];
                        quick += u32::from(access_in(
                            &mut checker,
                            own,
                            (wave, site),
                            bytes,
                            &at,
                            value,
                        ));
                        let mut expected = false;
                        for (lane, address) in at {
                            let seen = Seen {
                                thread: [group, wave, lane],
                                clock: [epochs[usize::from(own)], inner[wave as usize]],
                                step,
                                lanes,
                                kind: KINDS[kind],
                                bytes: [address, address + u64::from(bytes)],
                                value,
                            };
                            expected |= all.iter().any(|earlier| earlier.races(&seen, benign));
                            all.push(seen);
                        }
                        let reports = &checker.found.lock().unwrap().reports;
                        let now = reports.iter().map(|report| report.count).sum();
                        assert_eq!(now > count, expected, "seed {seed}, step {step}: {reports:?}");
                        count = now;
                        *(if expected { &mut racing } else { &mut silent }) += 1;
                    }
                }
            }
        }
    }
    assert!(racing > 1000 && silent > 1000 && quick > 5000, "{racing} {silent} {quick}");
}

/// The stamps of a long command buffer are numbered anew when there is no room for more events, and mean the same.
#[test]
fn stamps_are_numbered_anew() {
    for races in [false, true] {
        let session = Session::default();
        let mut checker =
            session.launch("k", Checks::RACES, extent([128, 1, 1], [64, 1, 1]), false);
        let base = 0x7200_0000_0000;
        checker.regions(&[None, Some((false, base..base + 64))], 0, Some([0; 2]));
        let write = checker.site(None, AccessKind::Write);
        let write = |checker: &mut Checker<'_>, wave, word: u64| {
            access_in(checker, false, (wave, write), 4, &[(3, base + 4 * word)], 5)
        };
        checker.enter(0);
        checker.begin(0);
        assert!(write(&mut checker, 0, 0));
        // As if there had been many.
        let quick = &checker.state.events.quick;
        let before = quick.next.get();
        quick.last.set(before);
        assert!(write(&mut checker, 0, 1));
        assert!(checker.state.events.quick.last.get() > before);
        assert!(write(&mut checker, 0, 1));
        checker.threadgroup_barrier(0, MemFlags::ALL);
        checker.begin(1);
        checker.threadgroup_barrier(1, MemFlags::ALL);
        assert!(write(&mut checker, 1, 1));
        checker.enter(1);
        checker.begin(0);
        let word = if races { 0 } else { 2 };
        assert_eq!(write(&mut checker, 0, word), !races);
        drop(checker);
        // The same value: benign.
        assert_eq!(session.reports().len(), 0);
        let mut checker = session.launch("k", Checks::RACES, extent([64, 1, 1], [64, 1, 1]), false);
        checker.regions(&[None, Some((false, base..base + 64))], 0, Some([0; 2]));
        let read = checker.site(None, AccessKind::Read);
        checker.enter(0);
        checker.begin(0);
        access_in(&mut checker, false, (0, read), 4, &[(0, base + 4 * word)], 0);
        drop(checker);
        assert_eq!(session.reports().len(), 1, "{:?}", session.reports());
        assert_eq!(session.reports()[0].accesses.len(), 2);
    }
}

/// Cells of device memory become smaller and larger between launches that nothing orders: what is known stays, by byte.
#[test]
fn cells_of_other_sizes_know_the_same() {
    let session = Session::default();
    let base = 0x7200_0000_0000;
    let mut count = 0;
    // Each launch writes bytes, and is found to race with all before that wrote some of them.
    for (shift, start, bytes, races) in [
        (0, 8, 4, false),
        (2, 7, 1, false),
        (2, 9, 1, true),
        (1, 6, 2, true),
        (0, 0, 4, false),
        (1, 2, 2, true),
    ] {
        let mut checker = session.launch("k", Checks::RACES, extent([1; 3], [1; 3]), false);
        checker.regions(&[None, Some((false, base..base + 64))], 0, Some([shift; 2]));
        checker.enter(0);
        checker.begin(0);
        let site = checker.site(None, AccessKind::Write);
        access_in(&mut checker, false, (0, site), bytes, &[(0, base + start)], start);
        drop(checker);
        let now: u64 = session.reports().iter().map(|report| report.count).sum();
        assert_eq!(now > count, races, "{start}: {bytes}");
        count = now;
    }
}

/// Launches that nothing orders store one value to the same bytes, in cells of several sizes.
#[test]
fn cells_of_other_sizes_know_the_same_values() {
    let base = 0x7200_1000_0000;
    for (start, bytes) in [(0, 4), (2, 2), (5, 1), (8, 8), (3, 4)] {
        for (first, second) in (0..3).flat_map(|first| (0..3).map(move |second| (first, second))) {
            for value in [7, 8] {
                let session = Session::default();
                let checks = Checks::RACES.with(Checks::BENIGN);
                for (shift, value) in [(first, 7), (second, value)] {
                    let mut checker = session.launch("k", checks, extent([1; 3], [1; 3]), false);
                    let memory = Some((false, base..base + 64));
                    checker.regions(&[None, memory], 0, Some([shift; 2]));
                    checker.enter(0);
                    checker.begin(0);
                    let site = checker.site(None, AccessKind::Write);
                    access_in(&mut checker, false, (0, site), bytes, &[(0, base + start)], value);
                }
                let kinds: Vec<_> = session.reports().iter().map(|report| report.kind).collect();
                let expected = if value == 7 { ReportKind::SameValue } else { ReportKind::Race };
                assert_eq!(kinds, [expected], "{start}, {bytes}: {first}, {second}");
            }
        }
    }
}

/// The cells of single bytes that one access covers become one access to a cell of four.
#[test]
fn parts_of_an_access_are_put_together() {
    let mut shadow = Shadow::default();
    let (events, planes) = (Events::default(), []);
    let stamps = Stamps { events: &events, planes: &planes };
    let new = |lane| Record {
        group: 0,
        epoch: 0,
        inner: 0,
        met: 0,
        step: 1,
        site: 0,
        lanes: 3,
        value: 7,
        wave: 0,
        lane,
        mask: 0,
        kind: AccessKind::Write,
        stamp: 0,
        is_passing: false,
    };
    // Lane 0 has bytes 2 to 5, lane 1 bytes 6 and 7.
    for (lane, start, bytes) in [(0, 2u64, 4), (1, 6, 2)] {
        shadow.access(&stamps, (start << 2, bytes << 2), 2, new(lane), |_| false, |_, _, _| {});
    }
    let all = resized(shadow.take().collect(), 2, 0);
    let found: Vec<_> =
        all.iter().map(|(cell, record)| (*cell, record.lane, record.mask)).collect();
    assert_eq!(found, [(0, 0, 0b1100), (1, 0, 0b0011), (1, 1, 0b1100)]);
}

/// An encoder of a queue with untracked memory at an address, where a thread writes a value: how many races are found.
fn untracked_write(queue: u64, address: u64, [waits, updates]: [&[u64]; 2]) -> usize {
    let mut session = Session::default();
    session.set_queue(queue);
    let (waits, updates) = (waits.to_vec(), updates.to_vec());
    let all = [EncoderOrder { waits, updates, ..EncoderOrder::default() }];
    let range = address..address + 4;
    let untracked = std::slice::from_ref(&range);
    activate();
    session.begin_encoders(&all, untracked, 0);
    let mut checker = session.launch("k", Checks::RACES, extent([1; 3], [1; 3]), false);
    checker.enter(0);
    let site = checker.site(None, AccessKind::Write);
    checker.step(1);
    let place = Place { own: false, address, bytes: 4, region: 1, name: &|| None, offset: 0 };
    checker.access(0, 0, site, None, &place);
    drop(checker);
    session.end(&all, untracked);
    session.before(&SharedClock::default());
    session.reports().len()
}

/// Fences work in all queues of a device.
#[test]
fn fences_order_encoders_of_queues() {
    // Fences and addresses of this test alone.
    const FENCES: [u64; 2] = [u64::MAX - 1, u64::MAX];
    for (number, queues) in [[21, 21], [21, 22]].into_iter().enumerate() {
        let at = |nth: u64| 0x7400_0000_0000 + (number as u64) * 0x1_0000 + nth * 64;
        let [fence, other] = FENCES.map(|fence| fence - 2 * number as u64);
        assert_eq!(untracked_write(queues[0], at(0), [&[], &[fence]]), 0);
        assert_eq!(untracked_write(queues[1], at(0), [&[fence], &[other]]), 0, "{queues:?}");
        assert_eq!(untracked_write(queues[0], at(0), [&[other], &[]]), 0, "{queues:?}");
        assert_eq!(untracked_write(queues[0], at(1), [&[], &[fence]]), 0);
        for waits in [&[][..], &[fence - 100]] {
            assert_eq!(untracked_write(queues[1], at(1), [waits, &[]]), 1, "{queues:?}");
            forget(0, at(1) as *const u8, 4);
            assert_eq!(untracked_write(queues[0], at(1), [&[], &[fence]]), 0);
        }
    }
}

/// A record outlives its stamp's number, and does not become that stamp again.
#[test]
fn records_have_no_stamps_after_events_are_numbered_anew() {
    let session = Session::default();
    let base = 0x7200_2000_0000;
    let regions = [None, Some((false, base..base + 64))];
    let mut checker = session.launch("k", Checks::RACES, extent([64, 1, 1], [32, 1, 1]), false);
    checker.regions(&regions, 0, Some([0; 2]));
    let [write, read] = [AccessKind::Write, AccessKind::Read].map(|kind| checker.site(None, kind));
    checker.enter(0);
    checker.begin(0);
    // Many events, so that no number after is that of the write; and a read of a byte, which has no stamp.
    for _ in 0..100 {
        access_in(&mut checker, false, (0, write), 4, &[(3, base + 8)], 5);
    }
    assert!(access_in(&mut checker, false, (0, write), 4, &[(3, base)], 5));
    assert!(!access_in(&mut checker, false, (0, read), 1, &[(3, base)], 5));
    let quick = &checker.state.events.quick;
    quick.last.set(quick.next.get());
    access_in(&mut checker, false, (0, read), 4, &[(3, base)], 5);
    // Another threadgroup writes another value.
    checker.enter(1);
    checker.begin(0);
    access_in(&mut checker, false, (0, write), 4, &[(0, base)], 6);
    drop(checker);
    let reports = session.reports();
    let writes = reports.iter().filter(|report| report.accesses[0].kind.writes()).count();
    assert_eq!((writes, reports.len()), (1, 2), "{reports:?}");
}

/// The numbers of queues and of encoders, of which there may be millions, do not make one value of two.
#[test]
fn values_that_are_not_known_differ() {
    let starts = [0, FIRST_ENCODER, FIRST_ENCODER + (1 << 22)];
    let sources = starts.into_iter().flat_map(|start| start..start + 4096);
    for thread in [0, 7, 1 << 20] {
        let mut all: Vec<u32> = sources.clone().map(|it| folded(unknown(thread, it))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 3 * 4096, "thread {thread}");
    }
}

/// A command buffer of a queue after what the clocks say, in which a thread accesses words at an address, and what comes after it.
fn accesses_by(
    queue: u64,
    after: &[&SharedClock],
    base: u64,
    accesses: &[(AccessKind, u64)],
) -> (Session, SharedClock) {
    let (mut session, clock) = (Session::default(), SharedClock::default());
    session.set_queue(queue);
    after.iter().for_each(|clock| session.after(clock));
    let mut checker = session.launch("k", Checks::RACES, extent([1; 3], [1; 3]), false);
    checker.regions(&[None, Some((false, base..base + 4 * WORDS))], 0, Some([0; 2]));
    checker.enter(0);
    checker.begin(0);
    for &(kind, word) in accesses {
        let site = checker.site(None, kind);
        access_in(&mut checker, false, (0, site), 4, &[(0, base + 4 * word)], queue);
    }
    drop(checker);
    session.before(&clock);
    (session, clock)
}

/// Records are made of what two queues access and one writes, and of nothing else.
#[test]
fn accesses_of_one_queue_are_deferred() {
    use AccessKind::{Read, Write};
    let base = 0x7500_0000_0000;
    (0..2).for_each(|_| queue_made());
    let reports = |queue, after: &[&SharedClock], accesses: &[(AccessKind, u64)]| {
        let (session, clock) = accesses_by(queue, after, base, accesses);
        (session.reports().len(), clock)
    };
    let is_recorded = || !table().recorded(&(base..base + 4 * WORDS)).is_empty();
    assert_eq!(reports(31, &[], &[(Read, 0), (Write, 1)]).0, 0);
    let (_, clock) = reports(31, &[], &[(Read, 0)]);
    assert_eq!(reports(32, &[&clock], &[(Write, 1)]).0, 0);
    assert!(deferred_at(base) == 3 && !is_recorded());
    assert_eq!(reports(33, &[], &[(Read, 1)]).0, 1);
    assert!(is_recorded());
    // What has become records is deferred no longer.
    assert!(deferred_at(base) < 3, "{}", deferred_at(base));
    // All of it is forgotten with the memory.
    forget(0, base as *const u8, 4 * WORDS as usize);
    assert!(deferred_at(base) == 0 && !is_recorded());
    for queue in [31, 32] {
        assert_eq!(reports(queue, &[], &[(Read, 1)]).0, 0);
    }
    assert!(!is_recorded(), "both read");
}

/// What is deferred and what has records races alike, in whatever order queues come.
#[test]
fn deferred_accesses_race_like_records() {
    const KINDS: [AccessKind; 4] =
        [AccessKind::Read, AccessKind::Write, AccessKind::AtomicRead, AccessKind::AtomicWrite];
    (0..2).for_each(|_| queue_made());
    let (mut racing, mut silent) = (0, 0);
    for seed in 0..400 {
        let run = |is_recorded: bool| {
            let mut random = Random::new(seed);
            let base = 0x7600_0000_0000 + (2 * seed + u64::from(is_recorded)) * 0x1000;
            // What comes after each command buffer, and after all of each queue.
            let mut clocks: Vec<SharedClock> = Vec::new();
            let queues = [(); 3].map(|()| SharedClock::default());
            let mut races = Vec::new();
            for _ in 0..6 {
                let queue = random.below(3);
                let mut after: Vec<_> = clocks.iter().filter(|_| random.chance(40)).collect();
                after.push(&queues[queue]);
                let accesses: Vec<_> = (0..1 + random.below(3))
                    .map(|_| (random.pick(&KINDS), random.below(3) as u64))
                    .collect();
                let (session, clock) = accesses_by(61 + queue as u64, &after, base, &accesses);
                session.before(&queues[queue]);
                races.push(!session.reports().is_empty());
                clocks.push(clock);
                if is_recorded {
                    (0..3).for_each(|word| table().spread_at(base + 4 * word));
                }
            }
            forget(0, base as *const u8, 4 * WORDS as usize);
            races
        };
        let [deferred, recorded] = [false, true].map(run);
        assert_eq!(deferred, recorded, "seed {seed}");
        deferred.iter().for_each(|&race| *(if race { &mut racing } else { &mut silent }) += 1);
    }
    assert!(racing > 200 && silent > 200, "{racing} {silent}");
}

/// What the program has seen is dropped when all that was committed before has ended.
#[test]
fn what_was_seen_is_dropped() {
    let base = 0x7700_0000_0000;
    (0..2).for_each(|_| queue_made());
    activate();
    let earlier = Session::default();
    earlier.committed();
    let (seen, _) = accesses_by(71, &[], base, &[(AccessKind::Write, 0)]);
    seen.seen();
    collect();
    assert_eq!(deferred_at(base), 1, "the earlier one may be a race");
    earlier.ended();
    // Other tests have command buffers, too.
    let since = std::time::Instant::now();
    while deferred_at(base) > 0 {
        assert!(since.elapsed().as_secs() < 60);
        std::thread::yield_now();
        collect();
    }
}

/// The oldest of too many are made records.
#[test]
fn a_bounded_number_is_deferred() {
    let base = 0x7800_0000_0000;
    let mut table = Table::default();
    for group in 0..MOST + 2 {
        let [grid, size] = [[1; 3]; 2];
        let run =
            Run { first_group: 0, grid, group: size, arguments: Vec::new(), checks: Checks::RACES };
        let batch = Batch::new((group as u64, 0), Vec::new(), vec![run]);
        let mut state = State::default();
        let address = base + 0x1000 * group as u64;
        let record = Record {
            group: 0,
            epoch: 0,
            inner: 0,
            met: 0,
            step: 0,
            site: 0,
            lanes: 1,
            value: 0,
            wave: 0,
            lane: 0,
            mask: 0xf,
            kind: AccessKind::Write,
            stamp: 0,
            is_passing: false,
        };
        state.device.add(address / 4, record);
        let parts = vec![Part::new(address..address + 4)];
        table.keep(Deferred::new(batch, Ticks::default(), parts, state));
    }
    assert_eq!(table.deferred.len(), MOST);
    let recorded =
        |nth: u64| !table.recorded(&(base + 0x1000 * nth..base + 0x1000 * nth + 4)).is_empty();
    assert!(recorded(0) && recorded(1) && !recorded(2));
}

#[test]
fn ranges_that_meet_are_one() {
    let cells = [0..4, 0..4, 4..8, 4..8, 12..16];
    assert_eq!(joined(cells.into_iter()), [0..8, 12..16]);
}
