//! The lock-free parts of `memory`, and the count of uses of tracked memory, compiled with a model checker's atomics: every interleaving of the
//! threads below, and every value that the memory orderings let an atomic load return, is tried.
//!
//! Memory that is handed out is represented by a cell of the checker's, which fails a model in which
//! two threads can use it at the same time, or without one's use happening before the other's.

#![cfg(test)]

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    use std::cell::Cell;

    loom::thread_local! {
        static THREAD: Cell<u64> = Cell::new(0);
    }

    /// Gives this thread a number.
    pub(crate) fn number_thread(number: u64) {
        THREAD.with(|thread| thread.set(number));
    }

    pub(crate) fn thread() -> u64 {
        THREAD.with(Cell::get)
    }

    pub(crate) fn numbered_thread() -> u64 {
        thread()
    }
}
#[allow(dead_code)] // Each part has more than its models need.
#[path = "../../../src/memory/bump.rs"]
mod bump;
#[allow(dead_code)] // As above.
#[path = "../../../src/objc/tracking/count.rs"]
mod count;
#[allow(dead_code)] // As above.
#[path = "../../../src/memory/free_lists.rs"]
mod free_lists;
#[allow(dead_code)] // As above.
#[path = "../../../src/memory/leases.rs"]
mod leases;
#[allow(dead_code)] // As above.
#[path = "../../../src/memory/stack.rs"]
mod stack;

use atomic::{Ordering, number_thread};
use bump::Bump;
use count::{BiasedCount, Change};
use leases::{Leasable, Leases};
use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::sync::{Arc, Mutex};
use loom::thread;
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

/// Clears a tape whose block no other code has; returns whether no span lived.
fn clear(bump: &Bump) -> bool {
    bump.clear_private::<()>().expect("the block is not shared").is_ok()
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
        let used = Arc::new(AtomicBool::new(false));
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

/// A thread gets the block, wraps it, clears the tape and takes the same bytes again while another one clears. What
/// was encoded with them is in use, though the offset is what it was.
#[test]
fn a_clear_sees_that_its_block_was_wrapped_meanwhile() {
    loom::model(|| {
        let memory = Memory::new();
        let (used, clearing) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(())));
        memory.take(false).expect("the tape is empty");
        let clear = |memory: &Memory, used: &AtomicBool, clearing: &Mutex<()>| {
            memory.bump.clear_private::<()>().unwrap_or_else(|| {
                let _clearing = clearing.lock().unwrap();
                let unused = || if used.load(Ordering::Acquire) { Err(()) } else { Ok(()) };
                memory.bump.clear(unused)
            })
        };
        let user = {
            let (memory, used) = (Arc::clone(&memory), Arc::clone(&used));
            let clearing = Arc::clone(&clearing);
            thread::spawn(move || {
                memory.bump.share();
                if clear(&memory, &used, &clearing).is_ok()
                    && let Some(slot) = memory.take(true)
                {
                    used.store(true, Ordering::Relaxed);
                    memory.bump.end_span();
                    write(slot, 1);
                    used.store(false, Ordering::Release);
                }
            })
        };
        if clear(&memory, &used, &clearing).is_ok()
            && let Some(slot) = memory.take(true)
        {
            write(slot, 9);
            memory.bump.end_span();
        }
        user.join().unwrap();
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

/// A buffer of a pool, with the uses of it that the driver records.
struct Buffer {
    contents: UnsafeCell<u64>,
    encoded: AtomicBool,
    in_flight: AtomicBool,
}

/// The item of the pool: its handle of the buffer. Clones are the model's, of the program and of the GPU.
#[derive(Clone)]
struct Item(Arc<Buffer>);

const BYTES: usize = 8;

impl Item {
    fn new(encoded: bool, in_flight: bool) -> Self {
        let contents = UnsafeCell::new(0);
        let (encoded, in_flight) = (AtomicBool::new(encoded), AtomicBool::new(in_flight));
        Self(Arc::new(Buffer { contents, encoded, in_flight }))
    }

    /// Submits the command buffer that was encoded with it, as the driver does: it is in flight before it is not encoded
    /// any more.
    fn submit(&self) {
        self.0.in_flight.store(true, Ordering::Release);
        self.0.encoded.store(false, Ordering::Release);
    }

    /// The GPU runs the command buffer.
    fn complete(&self) {
        write(&self.0.contents, 1);
        self.0.in_flight.store(false, Ordering::Release);
    }
}

impl Leasable for Item {
    fn bytes(&self) -> usize {
        BYTES
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
        self.0.encoded.load(Ordering::Acquire)
    }

    fn is_in_flight(&self) -> bool {
        self.0.in_flight.load(Ordering::Acquire)
    }
}

/// Lends an item of the pool, which may have one; `None` if it would be a second one.
fn lease(pool: &Leases<Item>, make: impl FnOnce() -> Item) -> Option<Box<Item>> {
    let lent = pool.lease(0, BYTES, 1, || Ok(make()), |in_use| assert_eq!(in_use, BYTES));
    lent.ok().map(|(item, _)| item)
}

/// A pool that may have one item, which is lent, encoded or in flight.
fn pool_of_one(encoded: bool) -> (Arc<Leases<Item>>, Box<Item>) {
    let pool = Arc::new(Leases::new(1, BYTES, usize::MAX));
    let item = lease(&pool, || Item::new(encoded, !encoded)).expect("the pool is empty");
    (pool, item)
}

/// The lease is returned while the GPU runs, and two threads want the buffer.
fn returned_in_use(encoded: bool, preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let (pool, item) = pool_of_one(encoded);
        let gpu = {
            let item = item.clone();
            thread::spawn(move || {
                if encoded {
                    item.submit();
                }
                item.complete();
            })
        };
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                // Not before its last use, which the checker knows.
                lease(&pool, || unreachable!("the pool has its item"))
                    .inspect(|item| write(&item.0.contents, 2))
            })
        };
        pool.give_back(0, 1, item);
        let here = lease(&pool, || unreachable!("the pool has its item"))
            .inspect(|item| write(&item.0.contents, 3));
        let there = other.join().unwrap();
        assert!(here.is_none() || there.is_none(), "it is lent once");
        gpu.join().unwrap();
        let taken = here.or(there);
        let figures = pool.figures();
        let lent = if taken.is_some() { BYTES } else { 0 };
        assert_eq!((figures.made, figures.lent, figures.pending), (1, lent, 0));
        assert_eq!(figures.free, BYTES - lent, "it can be lent when the GPU has finished");
    });
}

#[test]
fn a_buffer_returned_in_flight_is_lent_after_its_last_use() {
    returned_in_use(false, None);
}

#[test]
fn a_buffer_returned_before_its_submission_is_lent_after_its_last_use() {
    returned_in_use(true, Some(3));
}

/// Threads lend and return at the limit: never more than it, and each has the buffer alone.
#[test]
fn a_pool_at_its_limit_lends_to_one_thread_at_a_time() {
    loom::model(|| {
        let pool = Arc::new(Leases::new(1, BYTES, 0));
        let threads: Vec<_> = (1..3)
            .map(|value| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    let Some(item) = lease(&pool, || Item::new(false, false)) else { return };
                    write(&item.0.contents, value);
                    assert_eq!(read(&item.0.contents), value);
                    pool.give_back(0, 1, item);
                })
            })
            .collect();
        pool.trim(0);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let figures = pool.figures();
        assert_eq!((figures.lent, figures.requested), (0, 0));
        // Items that are returned beyond the limit of free bytes are released, so that each lease is of a new item.
        assert_eq!((figures.free, figures.pending), (0, 0));
        assert!(figures.made == figures.takes && (1..=2).contains(&figures.takes));
    });
}

/// A count whose owner has number 1, with a number of uses that this thread began.
fn begun(uses: usize) -> Arc<BiasedCount> {
    let count = Arc::new(BiasedCount::new());
    number_thread(1);
    (0..uses).for_each(|_| count.add(Change::Begun));
    count
}

#[test]
fn a_use_is_counted_while_others_begin_and_end() {
    loom::model(|| {
        let count = begun(2);
        let [ender, reader] = [Arc::clone(&count), Arc::clone(&count)];
        let ender = thread::spawn(move || {
            number_thread(2);
            // One that began on the owner, and one of its own.
            [Change::Ended, Change::Begun, Change::Ended]
                .iter()
                .for_each(|&change| ender.add(change));
        });
        let reader = thread::spawn(move || {
            let seen = reader.get();
            assert!((1..=4).contains(&seen), "{seen}");
        });
        [Change::Begun, Change::Ended].iter().for_each(|&change| count.add(change));
        [ender, reader].into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(count.get(), 1);
    });
}

/// A record: whoever drops the last reference frees it, or keeps it while a use that was made by means of a reference has not
/// ended; then the next search frees it.
#[test]
fn a_record_is_freed_after_its_last_use() {
    struct Record {
        count: Arc<BiasedCount>,
        references: loom::sync::atomic::AtomicU64,
        is_kept: Mutex<bool>,
        memory: UnsafeCell<u64>,
    }
    impl Record {
        fn drop_reference(&self) {
            if self.references.fetch_sub(1, Ordering::AcqRel) == 1 {
                let mut is_kept = self.is_kept.lock().unwrap();
                match self.count.get() {
                    0 => write(&self.memory, 0),
                    _ => *is_kept = true,
                }
            }
        }

        fn search(&self) {
            let mut is_kept = self.is_kept.lock().unwrap();
            if *is_kept && self.count.get() == 0 {
                *is_kept = false;
                write(&self.memory, 0);
            }
        }
    }
    loom::model(|| {
        let (count, references) = (begun(0), loom::sync::atomic::AtomicU64::new(2));
        let (is_kept, memory) = (Mutex::new(false), UnsafeCell::new(1));
        let record = Arc::new(Record { count, references, is_kept, memory });
        let [user, other] = [Arc::clone(&record), Arc::clone(&record)];
        let user = thread::spawn(move || {
            number_thread(2);
            user.count.add(Change::Begun);
            user.drop_reference();
            assert_eq!(read(&user.memory), 1, "it was not freed");
            user.count.add(Change::Ended);
        });
        let other = thread::spawn(move || other.drop_reference());
        record.search();
        [user, other].into_iter().for_each(|thread| thread.join().unwrap());
        record.search();
        assert_eq!(read(&record.memory), 0, "it was freed");
    });
}
