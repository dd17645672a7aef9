//! The memory of small objects that a thread has freed, for the next ones that it makes: a loop that makes and releases the same
//! objects in each iteration takes no memory from the system.

use std::alloc::{Layout, alloc as take, alloc_zeroed as take_zeroed, dealloc};
use std::cell::Cell;
use std::ptr::null_mut;

/// Sizes are rounded up to multiples of this, which is also the alignment.
const STEP: usize = 16;
/// The number of sizes.
const SIZES: usize = 16;
/// The most pieces of memory of each size that a thread keeps.
const MAX: usize = 16;

/// Pieces of memory of one size. The first word of each is the address of the next.
#[derive(Clone, Copy)]
struct List {
    first: *mut u8,
    count: usize,
}

struct Spare([Cell<List>; SIZES]);

thread_local! {
    static SPARE: Spare =
        const { Spare([const { Cell::new(List { first: null_mut(), count: 0 }) }; SIZES]) };
}

/// The list for a layout, and the layout of the pieces in it; `None` if they are not kept.
fn list_of(layout: Layout) -> Option<(usize, Layout)> {
    let index = layout.size().checked_sub(1)? / STEP;
    (index < SIZES && layout.align() <= STEP).then(|| (index, layout_at(index)))
}

fn layout_at(index: usize) -> Layout {
    Layout::from_size_align((index + 1) * STEP, STEP).expect("a small size")
}

impl Spare {
    fn take(&self, index: usize) -> Option<*mut u8> {
        let List { first, count } = self.0[index].get();
        if first.is_null() {
            return None;
        }
        // SAFETY: a piece in the list has the address of the next in its first word.
        let next = unsafe { first.cast::<*mut u8>().read() };
        self.0[index].set(List { first: next, count: count - 1 });
        Some(first)
    }

    /// # Safety
    ///
    /// The memory has the layout at the index, and is not used again unless it is taken.
    unsafe fn give(&self, index: usize, memory: *mut u8) -> bool {
        let List { first, count } = self.0[index].get();
        let has_room = count < MAX;
        if has_room {
            // SAFETY: the caller's; every layout has room for an address.
            unsafe { memory.cast::<*mut u8>().write(first) };
            self.0[index].set(List { first: memory, count: count + 1 });
        }
        has_room
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for index in 0..SIZES {
            while let Some(memory) = self.take(index) {
                // SAFETY: it was allocated with this layout.
                unsafe { dealloc(memory, layout_at(index)) }
            }
        }
    }
}

/// Memory of a layout, zeroed if requested; null if the allocation fails.
///
/// # Safety
///
/// The size is not zero.
pub(super) unsafe fn alloc(layout: Layout, zeroed: bool) -> *mut u8 {
    let list = list_of(layout);
    // Without thread-locals, when the thread ends, nothing is kept.
    let kept = list.and_then(|(index, _)| SPARE.try_with(|spare| spare.take(index)).ok().flatten());
    let layout = list.map_or(layout, |(_, layout)| layout);
    // SAFETY: the caller's; a piece that was kept has the layout.
    unsafe {
        match kept {
            Some(memory) => {
                if zeroed {
                    memory.write_bytes(0, layout.size());
                }
                memory
            }
            None if zeroed => take_zeroed(layout),
            None => take(layout),
        }
    }
}

/// Frees memory.
///
/// # Safety
///
/// [`alloc`] returned it for this layout, and it is not used again.
pub(super) unsafe fn free(memory: *mut u8, layout: Layout) {
    let list = list_of(layout);
    // SAFETY: the caller's.
    unsafe {
        let is_kept = list.is_some_and(|(index, _)| {
            SPARE.try_with(|spare| spare.give(index, memory)).unwrap_or(false)
        });
        if !is_kept {
            dealloc(memory, list.map_or(layout, |(_, layout)| layout));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// On a thread of its own, which has nothing yet, and gives everything back when it ends.
    fn apart(work: impl FnOnce() + Send) {
        std::thread::scope(|scope| scope.spawn(work).join().unwrap());
    }

    #[test]
    fn freed_memory_is_used_again_by_its_thread() {
        apart(|| {
            // SAFETY: each piece is freed once, with its layout, and is as large as it says.
            unsafe {
                let first = alloc(layout(33), false);
                first.write_bytes(7, 33);
                free(first, layout(33));
                let smaller = alloc(layout(32), false);
                assert_ne!(smaller, first, "of another size");
                let again = alloc(layout(48), true);
                assert_eq!(again, first);
                let bytes = std::slice::from_raw_parts(again, 48);
                assert!(bytes.iter().all(|&byte| byte == 0));
                free(again, layout(48));
                free(smaller, layout(32));
            }
        });
    }

    #[test]
    fn a_thread_keeps_few_pieces_and_none_of_large_objects() {
        apart(|| {
            // SAFETY: as above.
            unsafe {
                let made: Vec<_> = (0..2 * MAX).map(|_| alloc(layout(64), false)).collect();
                assert_eq!(made.iter().collect::<HashSet<_>>().len(), made.len());
                made.iter().for_each(|&memory| free(memory, layout(64)));
                let kept = SPARE.with(|spare| spare.0[3].get().count);
                assert_eq!(kept, MAX);
                for large in [layout(SIZES * STEP + 1), Layout::from_size_align(64, 32).unwrap()] {
                    let memory = alloc(large, true);
                    assert!(memory.addr().is_multiple_of(large.align()));
                    free(memory, large);
                }
                let counts = SPARE.with(|spare| spare.0.each_ref().map(|list| list.get().count));
                assert_eq!(counts.iter().sum::<usize>(), MAX);
            }
        });
    }
}
