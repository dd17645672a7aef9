//! The parts that need no system call, so that an interpreter such as Miri can run their tests.

use crate::memory::bump::{self, Bump, Held};
use crate::memory::free_lists::FreeLists;
use crate::memory::stack::Stack;
use crate::memory::sys::owned::Owned;
use crate::memory::{MemError, Stat};
use std::thread;

fn clear(bump: &Bump) -> Result<(), Held<()>> {
    bump.clear(|| Ok(()))
}

#[test]
fn a_bump_aligns_addresses() {
    let bump = Bump::new(4096);
    // The memory begins at an odd address.
    let take = |size, align| bump.take(1001, size, align, false);
    assert_eq!(take(1, 1), Some(0));
    assert_eq!(take(8, 8), Some(7));
    assert_eq!(take(1, 256), Some(23));
    assert_eq!(bump.used(), 24);
    assert_eq!((take(4073, 1), take(usize::MAX, 1), take(1, 1 << 63)), (None, None, None));
    assert_eq!(take(4072, 1), Some(24));
    assert_eq!((take(1, 1), bump.used()), (None, 4096));
    clear(&bump).unwrap();
    for shift in 0..12 {
        clear(&bump).unwrap();
        let start = take(1, 1 << shift).unwrap();
        assert_eq!((1001 + start) % (1 << shift), 0);
    }
}

#[test]
fn fits_are_aligned_and_within_the_memory() {
    for end in [4096usize, 5097, isize::MAX as usize] {
        for (next, size, align) in
            [(0, 1, 1), (1, 8, 8), (100, 28, 64), (0, 4096, 1), (1, 4096, 1), (4095, 1, 1 << 63)]
        {
            let next = end - 4096 + next;
            if let Some((start, after)) = bump::fit(next, end, size, align) {
                assert_eq!(start % align, 0);
                assert!(start >= next && start - next < align);
                assert!(after - start == size && after <= end);
            } else {
                assert!(end - next < align - 1 + size);
            }
        }
    }
    assert_eq!(bump::fit(1, 4096, usize::MAX, 1), None);
}

#[test]
fn a_bump_is_cleared_without_spans_and_when_the_memory_is_unused() {
    let bump = Bump::new(64);
    let empty: Result<(), Held<&str>> = bump.clear(|| Err("an empty one has nothing to free"));
    assert_eq!(empty, Ok(()));
    bump.take(0, 8, 8, true).unwrap();
    bump.take(0, 8, 8, true).unwrap();
    assert_eq!(clear(&bump), Err(Held::Spans(2)));
    bump.end_span();
    bump.end_span();
    assert_eq!(bump.clear(|| Err("used")), Err(Held::Memory("used")));
    assert_eq!((bump.used(), bump.spans()), (16, 0));
    // A span that began and ended during the check: the memory is checked again.
    let asked = std::cell::Cell::new(0);
    let result = bump.clear(|| {
        asked.set(asked.get() + 1);
        if asked.get() == 1 {
            bump.take(0, 8, 8, true).unwrap();
            bump.end_span();
            return Ok(());
        }
        Err("used by the new span")
    });
    assert_eq!((result, bump.used()), (Err(Held::Memory("used by the new span")), 24));
    clear(&bump).unwrap();
    assert_eq!(bump.used(), 0);
}

#[test]
fn a_bump_whose_block_is_shared_is_cleared_by_the_slow_way_only() {
    let mut bump = Bump::new(64);
    let private = |bump: &Bump| bump.clear_private::<()>();
    bump.take(0, 8, 8, true).unwrap();
    assert_eq!(private(&bump), Some(Err(Held::Spans(1))));
    bump.end_span();
    assert_eq!((private(&bump), bump.used()), (Some(Ok(())), 0));
    bump.share();
    assert_eq!(private(&bump), Some(Ok(())), "an empty one");
    assert_eq!((bump.take(0, 8, 8, false), bump.take(1, 4, 4, false)), (Some(0), Some(11)));
    assert_eq!((private(&bump), bump.used(), bump.spans()), (None, 15, 0));
    bump.share();
    assert_eq!((clear(&bump), bump.used()), (Ok(()), 0));
    assert_eq!((bump.take(0, 64, 8, true), bump.take(0, 1, 1, false)), (Some(0), None));
    bump.end_span();
    bump.set(8);
    assert_eq!((private(&bump), bump.used()), (None, 8), "it is shared for ever");
}

#[test]
fn threads_share_a_bump_and_a_stack() {
    let (bump, stack) = (Bump::new(4096), Stack::full(3));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20 {
                    bump.take(0, 8, 8, true).unwrap();
                    bump.end_span();
                    let index = stack.pop().expect("each thread has one at a time");
                    stack.push(index);
                }
            });
        }
    });
    assert_eq!((bump.used(), bump.spans(), stack.len()), (3 * 20 * 8, 0, 3));
}

#[test]
fn a_stack_returns_the_last_index_first() {
    let stack = Stack::full(3);
    assert_eq!(
        (stack.pop(), stack.pop(), stack.pop(), stack.pop()),
        (Some(0), Some(1), Some(2), None)
    );
    stack.push(1);
    stack.push(2);
    assert_eq!((stack.len(), stack.pop(), stack.pop(), stack.len()), (2, Some(2), Some(1), 0));
}

#[test]
fn a_shelf_keeps_what_is_in_use() {
    let mut lists = FreeLists::new(2);
    lists.insert(0, 1, true);
    lists.insert(0, 2, false);
    lists.insert(1, 3, true);
    assert_eq!(lists.remove_idle(0, |_| unreachable!("one is free")), Some(1));
    assert_eq!(lists.remove_idle(0, |_| false), None);
    assert_eq!(lists.remove_idle(0, |item| *item == 2), Some(2));
    assert_eq!((lists.remove_largest(), lists.remove_largest()), (Some(3), None));
}

#[test]
fn memory_that_a_block_owns_is_not_found() {
    let owned = Owned::new();
    let found = || owned.find(7, || Ok(()));
    found().unwrap();
    owned.make(|| Ok(7), |&number| number).unwrap();
    let error = found().unwrap_err();
    assert!(
        matches!(error, MemError::Busy(_))
            && error.to_string().contains("memory 7 belongs to a block")
    );
    owned.find(8, || Ok(())).unwrap();
    owned.release(7);
    found().unwrap();
    assert!(owned.make(|| Err::<u32, _>(MemError::BlockCreateFailed), |&number| number).is_err());
}

#[test]
fn figures_are_in_mib() {
    let (weights_used, weights_total, scratch_used) = (5 << 20, 8 << 20, (2 << 20) - 1);
    let (scratch_total, history_used, history_total) = (2 << 20, 0, 1 << 20);
    let stat = Stat {
        weights_used,
        weights_total,
        scratch_used,
        scratch_total,
        history_used,
        history_total,
    };
    assert_eq!(stat.to_string(), "weights: 5/8 MB | scratch: 1/2 MB | history: 0/1 MB");
}
