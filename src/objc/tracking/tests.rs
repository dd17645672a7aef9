//! Counts of uses, beside `tests/models`.

use super::count::BiasedCount;
use super::count::Change::{Begun, Ended};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::thread::scope;

#[test]
fn any_thread_may_end_what_another_began() {
    let count = BiasedCount::new();
    let elsewhere = |change| _ = scope(|scope| scope.spawn(|| count.add(change)).join());
    count.add(Begun);
    count.add(Begun);
    elsewhere(Ended);
    assert_eq!(count.get(), 1);
    elsewhere(Begun);
    elsewhere(Begun);
    assert_eq!(count.get(), 3);
    (0..3).for_each(|_| count.add(Ended));
    assert_eq!(count.get(), 0);
}

#[test]
fn the_count_stays_right_after_any_number_of_uses_that_end_elsewhere() {
    for before in [1 << 31, (1 << 31) + 1, 1 << 32, u64::MAX] {
        let count = BiasedCount::new();
        count.add(Begun);
        // As if that many uses had begun on this thread and ended on another.
        count.by_owner[Begun as usize].fetch_add(before, Relaxed);
        count.by_others[Ended as usize].fetch_add(before, Relaxed);
        assert_eq!(count.get(), 1, "{before}");
        scope(|scope| _ = scope.spawn(|| count.add(Ended)).join());
        assert_eq!(count.get(), 0, "{before}");
    }
}

#[test]
fn uses_that_never_end_count_however_many_they_are() {
    let count = BiasedCount::new();
    count.add(Begun);
    count.by_owner[Begun as usize].fetch_add(u64::from(u32::MAX), Relaxed);
    assert_eq!(count.get() as u64, 1 << 32);
}

#[test]
fn a_use_counts_while_other_threads_begin_and_end_theirs() {
    const USES: usize = 20_000;
    let (count, is_done) = (BiasedCount::new(), AtomicBool::new(false));
    count.add(Begun);
    scope(|scope| {
        let (send, receive) = std::sync::mpsc::sync_channel(8);
        // Uses that begin here end there, where others begin and end.
        let there = scope.spawn(|| {
            for () in receive {
                [Ended, Begun, Ended].into_iter().for_each(|change| count.add(change));
            }
        });
        // A count that missed a beginning would be 0, or wrap.
        let reader = scope.spawn(|| {
            while !is_done.load(Relaxed) {
                let seen = count.get();
                assert!((1..=2 * USES + 1).contains(&seen), "{seen}");
            }
        });
        for _ in 0..USES {
            count.add(Begun);
            send.send(()).expect("the thread receives");
        }
        drop(send);
        there.join().expect("no panic");
        is_done.store(true, Relaxed);
        reader.join().expect("no panic");
    });
    assert_eq!(count.get(), 1);
}
