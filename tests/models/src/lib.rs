//! The lock-free parts of `memory`, compiled with a model checker's atomics: every interleaving of the
//! threads below, and every value that the memory orderings let an atomic load return, is tried.
//!
//! Memory that is handed out stands for itself as a cell of the checker's, which fails a model in which
//! two threads can use it at the same time, or without one's use happening before the other's.

#![cfg(test)]

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}
#[allow(dead_code)] // Each part has more than its models need.
#[path = "../../../src/memory/bump.rs"]
mod bump;
#[allow(dead_code)] // As above.
#[path = "../../../src/memory/shelf.rs"]
mod shelf;
#[allow(dead_code)] // As above.
#[path = "../../../src/memory/stack.rs"]
mod stack;

use atomic::Ordering;
use bump::Bump;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use shelf::Shelf;
use stack::Stack;

/// Memory of two slots of 8 bytes, handed out by a tape.
struct Memory {
    bump: Bump,
    slots: [UnsafeCell<u64>; 2],
}

impl Memory {
    fn new() -> Arc<Self> {
        let slots: [_; 2] = std::array::from_fn(|_| UnsafeCell::new(0));
        Arc::new(Self { bump: Bump::new(slots.len() * 8), slots })
    }

    fn take(&self, span: bool) -> Option<&UnsafeCell<u64>> {
        const ADDRESS: usize = 4096;
        self.bump.take(ADDRESS, 8, 8, span).map(|start| &self.slots[start / 8])
    }
}

/// Writes a slot: a data race if another thread can use it now.
fn write(slot: &UnsafeCell<u64>, value: u64) {
    // SAFETY: the checker fails the model if this is not the only use.
    slot.with_mut(|slot| unsafe { *slot = value });
}

/// Reads a slot, as `write` writes it.
fn read(slot: &UnsafeCell<u64>) -> u64 {
    // SAFETY: as for `write`.
    slot.with(|slot| unsafe { *slot })
}

/// Clears a tape that no buffer wraps; returns whether no span lived.
fn clear(bump: &Bump) -> bool {
    bump.clear(|| Ok::<(), ()>(())).is_ok()
}

#[test]
fn takes_are_disjoint() {
    loom::model(|| {
        let memory = Memory::new();
        let threads: Vec<_> = (1..3)
            .map(|thread| {
                let memory = Arc::clone(&memory);
                thread::spawn(move || {
                    let slot = memory.take(false).expect("there is a slot for each");
                    write(slot, thread);
                    assert_eq!(read(slot), thread);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(memory.take(false).is_none());
        assert_eq!(memory.bump.used(), 16, "what is refused changes nothing");
    });
}

#[test]
fn no_span_lives_when_the_tape_is_cleared() {
    loom::model(|| {
        let memory = Memory::new();
        let user = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                for value in 1..3 {
                    if let Some(slot) = memory.take(true) {
                        write(slot, value);
                        assert_eq!(read(slot), value);
                        memory.bump.end_span();
                    }
                }
            })
        };
        if clear(&memory.bump)
            && let Some(slot) = memory.take(true)
        {
            write(slot, 9);
            assert_eq!(read(slot), 9);
            memory.bump.end_span();
        }
        user.join().unwrap();
        assert_eq!(memory.bump.spans(), 0);
        assert!(clear(&memory.bump));
    });
}

/// Work that was encoded with a span outlives it: the span's drop releases what says so.
#[test]
fn what_encoded_work_uses_is_not_cleared() {
    loom::model(|| {
        let memory = Memory::new();
        let used = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let user = {
            let (memory, used) = (Arc::clone(&memory), Arc::clone(&used));
            thread::spawn(move || {
                if let Some(slot) = memory.take(true) {
                    used.store(true, Ordering::Relaxed);
                    memory.bump.end_span();
                    write(slot, 1);
                    used.store(false, Ordering::Release);
                }
            })
        };
        let unused = || if used.load(Ordering::Acquire) { Err(()) } else { Ok(()) };
        if memory.bump.clear(unused).is_ok()
            && let Some(slot) = memory.take(true)
        {
            write(slot, 9);
            memory.bump.end_span();
        }
        user.join().unwrap();
        assert!(memory.bump.clear(unused).is_ok());
    });
}

#[test]
fn two_may_clear() {
    loom::model(|| {
        let memory = Memory::new();
        let threads: Vec<_> = (1..3)
            .map(|value| {
                let memory = Arc::clone(&memory);
                thread::spawn(move || {
                    if let Some(slot) = memory.take(true) {
                        write(slot, value);
                        memory.bump.end_span();
                    }
                    clear(&memory.bump);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(clear(&memory.bump));
        let slot = memory.take(true).expect("the tape is empty");
        write(slot, 9);
    });
}

/// Threads take and return cells of a grid, each `times` times, and use them meanwhile.
fn cells(cells: usize, threads: &'static [usize], preemptions: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let grid = Arc::new((
            Stack::full(cells),
            (0..cells).map(|_| UnsafeCell::new(0)).collect::<Vec<_>>(),
        ));
        let handles: Vec<_> = threads
            .iter()
            .enumerate()
            .map(|(thread, &times)| {
                let grid = Arc::clone(&grid);
                thread::spawn(move || {
                    let (stack, slots) = &*grid;
                    for _ in 0..times {
                        let Some(index) = stack.pop() else { continue };
                        let value = thread as u64 + 1;
                        write(&slots[index], value);
                        assert_eq!(read(&slots[index]), value);
                        stack.push(index);
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(grid.0.len(), cells);
        let mut indices: Vec<_> = std::iter::from_fn(|| grid.0.pop()).collect();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..cells), "each is there once");
    });
}

#[test]
fn a_cell_has_one_owner() {
    cells(1, &[2, 2], 4);
}

#[test]
fn an_interrupted_pop_does_not_take_an_index_that_was_pushed_again() {
    // One thread holds two cells at a time, so that the nodes below the top change under the other.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(|| {
        let stack = Arc::new(Stack::full(2));
        let other = {
            let stack = Arc::clone(&stack);
            thread::spawn(move || {
                let (one, two) = (stack.pop(), stack.pop());
                if let Some(one) = one {
                    stack.push(one);
                }
                two
            })
        };
        let here = stack.pop();
        let there = other.join().unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| stack.pop()).collect();
        let mut all: Vec<_> = here.into_iter().chain(there).chain(rest).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1], "each has one owner");
    });
}

#[test]
fn the_number_of_free_cells_is_exact_at_some_moment() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(|| {
        let stack = Arc::new(Stack::full(3));
        let other = {
            let stack = Arc::clone(&stack);
            thread::spawn(move || {
                let (one, two) = (stack.pop().unwrap(), stack.pop().unwrap());
                stack.push(one);
                stack.push(two);
            })
        };
        assert!((1..=3).contains(&stack.len()));
        other.join().unwrap();
        assert_eq!(stack.len(), 3);
    });
}

#[test]
fn cells_of_three_threads() {
    cells(2, &[1, 1, 1], 2);
}

/// A buffer of a pool, and the work of the GPU that uses it.
#[derive(Clone)]
struct Lent(Arc<(UnsafeCell<u64>, loom::sync::atomic::AtomicBool)>);

impl Lent {
    fn is_idle(&mut self) -> bool {
        self.0.1.load(Ordering::Acquire)
    }
}

#[test]
fn a_buffer_returned_in_use_is_lent_after_its_last_use() {
    loom::model(|| {
        let pool = Arc::new(loom::sync::Mutex::new(Shelf::new(1)));
        let lent = Lent(Arc::new((UnsafeCell::new(0), loom::sync::atomic::AtomicBool::new(false))));
        let gpu = {
            let lent = lent.clone();
            thread::spawn(move || {
                write(&lent.0.0, 1);
                lent.0.1.store(true, Ordering::Release);
            })
        };
        let takers: Vec<_> = (0..2)
            .map(|taker| {
                let (pool, mut lent) = (Arc::clone(&pool), lent.clone());
                thread::spawn(move || {
                    if taker == 0 {
                        let idle = lent.is_idle();
                        pool.lock().unwrap().put(0, lent, idle);
                    }
                    let taken: Option<Lent> = pool.lock().unwrap().take(0, Lent::is_idle);
                    // Lent once, after the GPU's last use.
                    taken.inspect(|lent| write(&lent.0.0, 2)).is_some()
                })
            })
            .collect();
        let times = takers.into_iter().map(|taker| taker.join().unwrap());
        assert!(times.filter(|&taken| taken).count() <= 1);
        gpu.join().unwrap();
    });
}
