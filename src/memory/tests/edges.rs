//! Allocators at their limits, compared with models.

use super::*;
use crate::Plain;
use crate::memory::bump::{self, Bump};
use crate::memory::free_lists::FreeLists;
use crate::memory::leases::{Figures, Leasable, Leases};
use crate::memory::stack::{self, Stack};

#[test]
fn tapes_take_what_fits_and_nothing_more() {
    for base in [0x1000, 0x1001, 0x1004, 0x100c] {
        for (total, used) in
            (0..=24usize).flat_map(|total| (0..=total).map(move |used| (total, used)))
        {
            for (size, shift) in (1..=20).flat_map(|size| (0..=4).map(move |shift| (size, shift))) {
                let align = 1 << shift;
                let start = (base + used).next_multiple_of(align) - base;
                let want = (start + size <= total).then_some(start);
                let case = (base, total, used, size, align);
                let fit = bump::fit(base + used, base + total, size, align);
                assert_eq!(fit, want.map(|start| (base + start, base + start + size)), "{case:?}");
                let mut bump = Bump::new(total);
                bump.set(used);
                assert_eq!(bump.take(base, size, align, size % 2 == 1), want, "{case:?}");
                let end = want.map_or(used, |start| start + size);
                let spans = u64::from(want.is_some() && size % 2 == 1);
                assert_eq!(
                    (bump.used(), bump.spans(), bump.total()),
                    (end, spans, total),
                    "{case:?}"
                );
                let cleared = bump.clear(|| Ok::<(), ()>(()));
                let held = matches!(cleared, Err(bump::Held::Spans(live)) if live == spans);
                assert!(if spans == 0 { cleared.is_ok() } else { held }, "{case:?}");
            }
        }
    }
}

#[test]
fn sizes_alignments_and_spans_have_limits() {
    let mut bump = Bump::new(64);
    bump.set(8);
    for shift in 39..64 {
        for (size, align) in
            [(1 << shift, 1), ((1 << shift) + 1, 8), (usize::MAX, 1), (8, 1 << shift)]
        {
            // Also at an address that is a multiple of the alignment.
            for (base, span) in
                [(0x1000, false), (0x1000, true), (1 << shift, false), (1 << shift, true)]
            {
                assert_eq!(bump.take(base, size, align, span), None, "{size} {align}");
                assert_eq!((bump.used(), bump.spans()), (8, 0), "{size} {align}");
            }
        }
    }
    // A span more than the word can count is refused.
    let spans = bump::SPANS;
    for _ in 0..spans {
        bump.take(0x1000, 0, 1, true).unwrap();
    }
    assert_eq!((bump.take(0x1000, 0, 1, true), bump.spans()), (None, spans));
    assert_eq!(bump.take(0x1000, 8, 1, false), Some(8), "what is no span is not counted");
    // Where the system has the addresses for it, a block can be larger than a tape.
    if let Ok(block) = Block::open(bump::LIMIT + 1) {
        assert!(matches!(Tape::over(block), Err(MemError::TooLarge { .. })));
    }
}

#[test]
fn addresses_at_the_ends_belong_to_their_owner_only() {
    let tape = Tape::start(4096).unwrap();
    let slab = Slab::new(64, 8).unwrap();
    let (parts, base) = (slab.tape(), slab.tape().block().address());
    let ends = |start: *mut u8, total: usize| {
        [-1, 0, total as isize - 1, total as isize].map(|at| start.wrapping_offset(at))
    };
    let found = ends(tape.block().address(), tape.total()).map(|at| tape.owns(at));
    assert_eq!(found, [false, true, true, false]);
    let found = ends(base, parts.total()).map(|at| parts.owns(at));
    assert_eq!(found, [false, true, true, false]);
}

#[test]
fn a_mark_of_an_earlier_tape_at_the_same_address_is_foreign() {
    let tape = Tape::start(1 << 16).unwrap();
    let (mark, base) = (tape.mark(), tape.block().address());
    drop(tape);
    // The system usually has the address again at once.
    let tapes: Vec<Tape> = (0..8).map(|_| Tape::start(1 << 16).unwrap()).collect();
    for mut tape in tapes.into_iter().filter(|tape| tape.block().address() == base) {
        assert!(panic_of(|| tape.rewind(mark)).contains("another tape"));
    }
}

/// Values that are aligned to more than a cell is.
#[derive(Clone, Copy)]
#[repr(align(128))]
struct Wide(#[allow(dead_code)] [u8; 128]); // Only its size and alignment matter.

// SAFETY: all bytes belong to the array, and all of their values are valid.
unsafe impl Plain for Wide {}

#[test]
fn grids_and_cells_have_limits() {
    for (cell, cells) in [(0, 1), (64, 0), (0, 0)] {
        assert!(matches!(Slab::new(cell, cells), Err(MemError::ZeroSize)), "{cell} {cells}");
    }
    for cell in [1, 63, 65, 127] {
        assert!(matches!(Slab::new(cell, 1), Err(MemError::Unaligned { .. })), "{cell}");
    }
    let many = Slab::new(64, stack::LIMIT + 1);
    assert!(matches!(many, Err(MemError::TooLarge { .. })));
    let slab = Slab::new(192, 3).unwrap();
    let [mut first, mut second] = [slab.take().unwrap(), slab.take().unwrap()];
    assert_eq!([first.offset(), second.offset()], [0, 192]);
    // SAFETY: nothing else uses the cells.
    unsafe {
        assert_eq!(first.bytes(192).len(), 192);
        assert!(panic_of(|| _ = first.bytes(193)).contains("193 bytes of a cell that has 192"));
    }
    assert!(second.try_view::<Wide>().is_err() && first.try_view::<Wide>().is_ok());
    // Neighbours are apart, byte for byte.
    let (mut one, mut other) = (first.view_mut::<u8>(), second.view_mut::<u8>());
    assert_eq!([one.len(), other.len()], [192, 192]);
    (one[191], other[0]) = (1, 2);
}

#[test]
fn a_stack_has_each_index_once_and_knows_its_depth() {
    for len in 1..20 {
        let stack = Stack::full(len);
        let mut taken: Vec<usize> = (0..len)
            .map(|at| {
                assert_eq!((stack.len(), stack.total()), (len - at, len));
                stack.pop().unwrap()
            })
            .collect();
        assert_eq!((stack.pop(), stack.len()), (None, 0));
        taken.sort_unstable();
        assert!(taken.iter().copied().eq(0..len));
        for (at, index) in taken.into_iter().enumerate() {
            stack.push(index);
            assert_eq!(stack.len(), at + 1);
        }
        assert_eq!(stack.pop(), Some(len - 1), "the last one pushed");
    }
}

#[test]
fn a_shelf_hands_out_idle_items_of_a_class() {
    let mut lists = FreeLists::new(4);
    lists.insert(1, "free", true);
    lists.insert(1, "busy", false);
    lists.insert(3, "large", true);
    assert_eq!(lists.remove_idle(2, |_| false), None);
    assert_eq!(lists.remove_idle(1, |_| false), Some("free"));
    assert_eq!(lists.remove_idle(1, |_| false), None);
    assert_eq!((lists.free().count(), lists.pending().count()), (1, 1));
    assert_eq!(lists.remove_idle(1, |item| *item == "busy"), Some("busy"));
    lists.insert(0, "small", true);
    lists.insert(2, "late", false);
    lists.collect_idle(|_| false);
    assert_eq!(lists.pending().count(), 1);
    assert_eq!([lists.remove_largest(), lists.remove_largest()], [Some("large"), Some("small")]);
    assert_eq!(lists.remove_largest(), None, "what is in use stays");
    lists.collect_idle(|_| true);
    assert_eq!(lists.remove_largest(), Some("late"));
}

/// Bytes that nothing uses.
struct Bytes(usize);

impl Leasable for Bytes {
    fn bytes(&self) -> usize {
        self.0
    }

    fn on_return(&mut self) {}

    fn is_referred_to(&mut self) -> bool {
        false
    }

    fn is_declared(&mut self) -> bool {
        false
    }

    fn is_in_set(&self) -> bool {
        false
    }

    fn is_encoded(&self) -> bool {
        false
    }

    fn is_in_flight(&self) -> bool {
        false
    }
}

/// To make a buffer may run any code, such as that of this pool.
#[test]
fn items_are_made_without_the_lock_and_counted_before() {
    let leases = Leases::<Bytes>::new(2, 128, usize::MAX);
    let none = |_| "none";
    let make = || {
        let Figures { takes, made, lent, requested, .. } = leases.figures();
        assert_eq!((takes, made, lent, requested), (1, 1, 100, 90));
        let over = leases.lease(
            1,
            29,
            1,
            || Ok(Bytes(29)),
            |used| {
                assert_eq!(used, 100, "the bytes are taken already");
                "full"
            },
        );
        assert_eq!(over.map(drop).unwrap_err(), "full");
        let (item, _) = leases.lease(1, 28, 1, || Ok(Bytes(28)), none)?;
        leases.give_back(1, 1, item);
        Err("no memory")
    };
    assert_eq!(leases.lease(0, 100, 90, make, none).map(drop).unwrap_err(), "no memory");
    let Figures { takes, made, lent, requested, free, .. } = leases.figures();
    assert_eq!((takes, made, lent, requested, free), (1, 1, 0, 0, 28));
    // All bytes of the item that was not made are there again.
    let (item, new) = leases.lease(0, 100, 90, || Ok(Bytes(100)), none).unwrap();
    assert!(new);
    leases.give_back(0, 90, item);
    assert_eq!(leases.figures().free, 128);
}

/// Bytes that are in use as long as this says so.
struct Used(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Leasable for Used {
    fn bytes(&self) -> usize {
        64
    }

    fn on_return(&mut self) {}

    fn is_referred_to(&mut self) -> bool {
        false
    }

    fn is_declared(&mut self) -> bool {
        false
    }

    fn is_in_set(&self) -> bool {
        false
    }

    fn is_encoded(&self) -> bool {
        false
    }

    fn is_in_flight(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// To take an item looks whether others are idle by now: those beyond the limit of free bytes go at once.
#[test]
fn taking_releases_what_became_idle_beyond_the_limit() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    let leases = Leases::<Used>::new(2, usize::MAX, 0);
    let lend = |class, used: &Arc<AtomicBool>| {
        let make = || Ok::<_, ()>(Used(Arc::clone(used)));
        leases.lease(class, 64, 64, make, |_| ()).unwrap().0
    };
    let (used, idle) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let item = lend(0, &used);
    leases.give_back(0, 64, item);
    assert_eq!(Arc::strong_count(&used), 2, "it is in use");
    used.store(false, Ordering::Relaxed);
    let other = lend(1, &idle);
    assert_eq!(Arc::strong_count(&used), 1, "it was released");
    leases.give_back(1, 64, other);
    assert_eq!(Arc::strong_count(&idle), 1);
}
