//! Unit tests of the parts of `memory`.

mod edges;
mod plain;

use super::{Block, Grid, Layout, MemError, Shared, Slab, Tape};
use crate::memory_use;
use crate::test_scale::scaled;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The message of the panic that the closure ends in.
fn panic_of(work: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(work)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a message")).to_owned(),
    }
}

#[test]
fn two_mutable_views_panic() {
    let block = Block::open(4096).unwrap();
    let same = block.clone();
    let view = block.view_mut::<u32>();
    assert!(panic_of(|| drop(same.view_mut::<u8>())).contains("being written"));
    assert!(panic_of(|| drop(same.view::<u8>())).contains("being written"));
    drop(view);
    let views = (same.view::<u8>(), block.view::<u16>());
    assert!(panic_of(|| drop(same.view_mut::<u8>())).contains("being read"));
    drop(views);
    drop(same.view_mut::<u8>());
}

#[test]
fn a_divided_block_has_no_views() {
    let block = Block::open(4096).unwrap();
    let tape = Tape::over(block.clone()).unwrap();
    assert!(panic_of(|| drop(block.view::<u8>())).contains("hands out parts"));
    assert!(matches!(Tape::over(block.clone()), Err(MemError::Busy(_))));
    drop(tape);
    let view = block.view::<u8>();
    assert!(matches!(Tape::over(block.clone()), Err(MemError::Busy(_))));
    drop(view);
    Tape::over(block).unwrap();
}

#[test]
fn wrong_alignments_panic() {
    let tape = Tape::start(4096).unwrap();
    for align in [0, 3, 48] {
        assert!(panic_of(|| _ = tape.take(1, align)).contains("power of two"), "{align}");
        let local = tape.local(64).unwrap();
        assert!(panic_of(|| _ = local.take(1, align)).contains("power of two"), "{align}");
    }
    assert_eq!(tape.spans(), 0);
}

#[test]
fn foreign_cells_return_to_their_grid() {
    let (one, other) = (Slab::new(64, 2).unwrap(), Slab::new(64, 2).unwrap());
    let cell = one.take().unwrap();
    let text = panic_of(|| other.give(cell));
    assert!(text.contains("of another grid"), "{text}");
    assert_eq!((one.free(), other.free()), (2, 2));
}

#[test]
fn alignment_is_of_the_address_up_to_the_whole_tape() {
    let tape = Tape::start(1 << 22).unwrap();
    for shift in 0..22 {
        tape.clear();
        tape.take(1, 1).unwrap();
        // The next multiple is at most 2 MiB after the start.
        let start = tape.take(1, 1 << shift).unwrap();
        assert_eq!(start.addr() % (1 << shift), 0);
        assert!(tape.owns(start));
    }
    tape.clear();
    assert_eq!(tape.take(1, 1 << 63), None);
    assert_eq!(tape.take(usize::MAX, 1), None);
    assert_eq!(tape.used(), 0, "what is refused changes nothing");
}

#[test]
fn live_spans_hold_off_clearing() {
    let tape = Tape::start(4096).unwrap();
    let (one, other) = (tape.slice::<u8>(10).unwrap(), tape.slice::<u32>(10).unwrap());
    assert_eq!((one.offset(), other.offset(), tape.used()), (0, 12, 52));
    assert!(panic_of(|| tape.clear()).contains("2 of its spans live"));
    drop(one);
    assert!(!tape.try_clear());
    drop(other);
    let local = tape.local(100).unwrap();
    let span = local.slice::<u64>(2).unwrap();
    assert_eq!(span.offset() % 128, 0);
    drop(span);
    assert!(!tape.try_clear(), "a local part is a span");
    drop(local);
    tape.clear();
    assert_eq!((tape.used(), tape.spans()), (0, 0));
}

#[test]
fn marks_belong_to_their_tape() {
    let (mut one, other) = (Tape::start(4096).unwrap(), Tape::start(4096).unwrap());
    one.take(10, 1);
    let mark = one.mark();
    one.take(10, 1);
    one.rewind(mark);
    one.rewind(mark);
    assert_eq!(one.used(), 10);
    assert!(panic_of(|| one.rewind(other.mark())).contains("another tape"));
    one.reset();
    assert!(panic_of(|| one.rewind(mark)).contains("past the tape's 0"));
}

#[test]
fn a_mark_of_an_earlier_tape_over_the_same_block_is_foreign() {
    let block = Block::open(4096).unwrap();
    let first = Tape::over(block.clone()).unwrap();
    first.take(100, 1);
    let mark = first.mark();
    drop(first);
    let mut second = Tape::over(block).unwrap();
    second.take(200, 1);
    assert!(panic_of(|| second.rewind(mark)).contains("another tape"));
    assert_eq!(second.used(), 200);
}

#[test]
fn a_conversation_is_cleared_whole_or_not_at_all() {
    let layout = Layout::new(4096, 4096, 4096).unwrap();
    layout.history().take(10, 1).unwrap();
    layout.scratch().take(20, 1).unwrap();
    let used = || (layout.history().used(), layout.scratch().used());
    for tape in [layout.history(), layout.scratch()] {
        let span = tape.slice::<u8>(1).unwrap();
        let before = used();
        assert!(panic_of(|| layout.clear_talk()).contains("1 of its spans live"));
        assert!(!layout.try_clear_talk());
        assert_eq!(used(), before);
        drop(span);
    }
    layout.clear_talk();
    assert_eq!(used(), (0, 0));
}

#[test]
fn takes_of_many_threads_are_disjoint() {
    const THREADS: usize = 8;
    const SIZES: [usize; 4] = [8, 24, 40, 64];
    // Each thread marks what it takes and checks that the marks are still there before the tape is
    // cleared for the next round. At full scale each takes ten million times.
    let takes = scaled(100_000);
    let tape = Tape::start(takes.min(100_000) * 64 * THREADS).unwrap();
    let mut left = takes;
    while left > 0 {
        let round = left.min(100_000);
        left -= round;
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let tape = &tape;
                scope.spawn(move || {
                    let mut taken: Vec<(*mut u64, usize)> = Vec::with_capacity(round);
                    for index in 0..round {
                        let words = SIZES[index % SIZES.len()] / 8;
                        let start = tape.take(words * 8, 8).unwrap().cast::<u64>();
                        // SAFETY: the words are this thread's, if the tape keeps its promise.
                        unsafe { std::slice::from_raw_parts_mut(start, words) }.fill(thread as u64);
                        taken.push((start, words));
                    }
                    for (start, words) in taken {
                        // SAFETY: as above.
                        let values = unsafe { std::slice::from_raw_parts(start, words) };
                        assert!(values.iter().all(|&value| value == thread as u64));
                    }
                });
            }
        });
        let bytes: usize = (0..round).map(|index| SIZES[index % SIZES.len()]).sum();
        assert_eq!(tape.used(), bytes * THREADS);
        tape.clear();
    }
}

#[test]
fn spans_survive_clears_by_another_thread() {
    const USERS: usize = 3;
    const CHUNK: u64 = 1024;
    let tape = Tape::start(1 << 16).unwrap();
    let (arrived, start) = (AtomicUsize::new(0), Barrier::new(USERS + 1));
    let chunks = scaled(50_000) / CHUNK as usize + 1;
    thread::scope(|scope| {
        for user in 1..=USERS as u64 {
            let (tape, arrived, start) = (&tape, &arrived, &start);
            scope.spawn(move || {
                for round in 0..chunks as u64 * CHUNK {
                    if let Some(mut span) = tape.slice::<u64>(3) {
                        span.view_mut().fill(user << 32 | round);
                        if round % 64 == 0 {
                            thread::yield_now();
                        }
                        assert!(span.view().iter().all(|&value| value == user << 32 | round));
                    }
                    if round % CHUNK == CHUNK - 1 {
                        arrived.fetch_add(1, Ordering::Release);
                        start.wait();
                    }
                }
            });
        }
        for chunk in 1..=chunks {
            while arrived.load(Ordering::Acquire) < chunk * USERS {
                tape.try_clear();
                thread::yield_now();
            }
            // All spans are dropped.
            assert!(tape.try_clear());
            assert_eq!(tape.used(), 0);
            start.wait();
        }
    });
}

#[test]
fn cells_of_many_threads_are_disjoint() {
    let grid: Grid<64, 6> = Grid::new().unwrap();
    let rounds = scaled(20_000);
    thread::scope(|scope| {
        for thread in 1..5u64 {
            let grid = &grid;
            scope.spawn(move || {
                for round in 0..rounds as u64 {
                    let cells: [_; 2] = std::array::from_fn(|_| grid.take());
                    for mut cell in cells.into_iter().flatten() {
                        cell.view_mut::<u64>().fill(thread << 32 | round);
                        if round % 64 == 0 {
                            thread::yield_now();
                        }
                        assert!(cell.view::<u64>().iter().all(|&x| x == thread << 32 | round));
                    }
                }
            });
        }
    });
    assert_eq!(grid.free(), 6);
    let cells: Vec<_> = std::iter::from_fn(|| grid.take()).collect();
    let mut ids: Vec<_> = cells.iter().map(|cell| cell.id()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5]);
    assert_eq!(grid.free(), 0);
}

#[test]
fn the_last_cell_returned_is_taken_first() {
    let slab = Slab::new(64, 3).unwrap();
    let (one, two) = (slab.take().unwrap(), slab.take().unwrap());
    let (first, second) = (one.id(), two.id());
    drop(one);
    drop(two);
    assert_eq!(slab.take().map(|cell| cell.id()), Some(second));
    let two = slab.take().unwrap();
    assert_eq!((two.id(), slab.take().map(|cell| cell.id())), (second, Some(first)));
}

/// A million opens at full scale.
#[test]
fn opening_leaks_nothing() {
    memory_use::measure("memory::tests::opening_leaks_nothing", || {
        let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        // Those of blocks: a sanitizer's runtime makes others.
        let mappings = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            maps.lines().filter(|line| line.contains("memfd:aruminium")).count()
        };
        let rounds = |count| {
            for _ in 0..count {
                let block = Block::open(1 << 14).unwrap();
                block.as_bytes_mut()[0] = 1;
            }
        };
        // As often as below, because a sanitizer's runtime takes memory at first.
        rounds(scaled(10_000));
        let block = Block::open(1 << 14).unwrap();
        assert_eq!(mappings(), 1);
        drop(block);
        let before = (descriptors(), mappings());
        let resident = memory_use::resident();
        rounds(scaled(10_000));
        assert_eq!((descriptors(), mappings()), before);
        let grown = memory_use::resident().saturating_sub(resident);
        assert!(grown < 1 << 20, "{grown} bytes");
    });
}

/// The system's figures of the mapping at an address, in bytes.
#[cfg(target_os = "linux")]
fn of_mapping(start: *const u8, field: &str) -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let header = format!("{:x}-", start.addr());
    let mut mapping = maps.lines().skip_while(|line| !line.starts_with(&header)).skip(1);
    let line = mapping.find(|line| line.starts_with(field)).expect("the mapping has it");
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// An emulator of another processor does not pass advice about pages on.
#[cfg(target_os = "linux")]
fn is_emulated() -> bool {
    std::env::var_os("ARUMINIUM_TEST_RUNNER").is_some()
}

#[cfg(target_os = "linux")]
#[test]
fn prefault_keeps_contents_and_makes_pages() {
    const BYTES: usize = 1 << 20;
    let block = Block::open(BYTES).unwrap();
    let present = || of_mapping(block.address(), "Rss:");
    assert_eq!(present(), 0, "pages are made on first touch");
    block.prefault().unwrap();
    assert!(is_emulated() || present() == BYTES);
    for (index, byte) in block.as_bytes_mut().iter_mut().enumerate().step_by(4096) {
        *byte = index as u8 | 1;
    }
    let tape = Tape::over(block.clone()).unwrap();
    tape.warm();
    drop(tape);
    assert!(block.as_bytes().iter().enumerate().step_by(4096).all(|(i, &b)| b == i as u8 | 1));
    let warm = Tape::start_warm(BYTES).unwrap();
    assert!(is_emulated() || of_mapping(warm.block().address(), "Rss:") == BYTES);
    let half = Block::open(BYTES).unwrap();
    half.as_bytes_mut()[..BYTES / 2].fill(7);
    // As before Linux 5.14.
    half.lock_pages().unwrap();
    assert_eq!(of_mapping(half.address(), "Rss:"), BYTES);
    assert_eq!(of_mapping(half.address(), "Locked:"), 0);
    let bytes = half.as_bytes();
    assert!(
        bytes[..BYTES / 2].iter().all(|&b| b == 7) && bytes[BYTES / 2..].iter().all(|&b| b == 0)
    );
}

/// Making pages present is not an access: what another thread writes meanwhile stays.
#[cfg(target_os = "linux")]
#[test]
fn prefault_changes_nothing_while_another_thread_writes() {
    const PAGES: usize = 64;
    let rounds = scaled(2_000);
    let block = Block::open(PAGES * 4096).unwrap();
    let same = block.clone();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut view = same.view_mut::<u32>();
            for round in 1..=rounds as u32 {
                for word in view.iter_mut().step_by(1024) {
                    assert_eq!(std::mem::replace(word, round), round - 1);
                }
            }
        });
        // Also if an assertion fails.
        while !writer.is_finished() {
            block.prefault().unwrap();
            block.lock_pages().unwrap();
        }
    });
    assert!(block.view::<u32>().iter().step_by(1024).all(|&word| word == rounds as u32));
}

/// Where the system cannot make pages present, they are read: not while a kernel or another view writes them.
#[test]
fn pages_that_must_be_read_are_read_as_a_view() {
    use std::sync::atomic::AtomicBool;
    let gpu = crate::Gpu::open().unwrap();
    let block = Block::open(1 << 14).unwrap();
    let buffer = gpu.wrap(&block).unwrap();
    buffer.write(|_| assert!(matches!(block.touch(), Err(MemError::Busy(_)))));
    buffer.read(|_| block.touch().unwrap());
    let tape = Tape::over(block.clone()).unwrap();
    let mut span = tape.slice::<u8>(1 << 14).unwrap();
    let view = span.view_mut();
    assert!(block.touch().is_err());
    drop(view);
    block.touch().unwrap();

    let (gate, open) = (gpu.shared_event().unwrap(), AtomicBool::new(false));
    let commands = gpu.new_command_queue().unwrap().commands().unwrap();
    commands.wait_for(&gate, 1);
    let copier = commands.copier().unwrap();
    copier.fill(&buffer, (0..1 << 14).into(), 7);
    copier.finish();
    commands.submit();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(std::time::Duration::from_millis(10));
            open.store(true, Ordering::SeqCst);
            gate.set_signaled_value(1);
        });
        block.touch().unwrap();
        assert!(open.load(Ordering::SeqCst), "the command buffer had not completed");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn pins_are_counted() {
    // Locked memory is counted for the whole process.
    memory_use::measure("memory::tests::pins_are_counted", || {
        let block = Block::open(1 << 14).unwrap();
        let bytes = block.size();
        let locked = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("VmLck:")).unwrap();
            let process = line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10;
            assert_eq!(of_mapping(block.address(), "Locked:"), process);
            process
        };
        assert_eq!(locked(), 0);
        let one = match block.pin() {
            Ok(pinned) => pinned,
            Err(error) => {
                let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
                let line = limits.lines().find(|line| line.starts_with("Max locked memory"));
                let soft = line.and_then(|line| line.split_whitespace().nth(3)).unwrap();
                let limit: usize = soft.parse().expect("there is a limit");
                assert!(limit < bytes && error.to_string().contains("ulimit"), "{error}");
                return;
            }
        };
        assert_eq!((locked(), of_mapping(block.address(), "Rss:")), (bytes, bytes));
        let two = block.pin().unwrap();
        drop(one);
        assert_eq!(locked(), bytes, "the other pin lives");
        block.prefault().unwrap();
        assert_eq!(locked(), bytes, "prefaulting unpins nothing");
        drop(two);
        assert_eq!(locked(), 0);
        block.prefault().unwrap();
        assert_eq!(locked(), 0);
    });
}

/// Types that may be sent to another thread, and those that several threads may use at the same time.
#[test]
fn types_belong_to_threads_as_specified() {
    use crate::memory::*;
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    shared::<(Block, Shared, Tape, Span<'_, f32>, Layout, Stat, MemError, Mark)>();
    shared::<(Slab, Grid<64, 1>, Cell<'_>, Divided<'_>, View<'_, f32>, ViewMut<'_, f32>)>();
    shared::<(Pool, Lease, PoolStat, Residency, Frames, Frame<'_>, Pinned<'_>)>();
    shared::<(crate::Buffer, crate::usage::Usage)>();
    sent::<Local<'_>>();
}

/// For users: what it is and how much is used, not its locks and counters.
#[test]
fn debug_output_is_short() {
    let block = Block::open(4096).unwrap();
    let text = format!("{block:?}");
    assert!(
        text.starts_with("Block { id: ") && text.ends_with("requested: 4096, read_only: false }")
    );
    let tape = Tape::over(block).unwrap();
    let span = tape.slice::<u8>(5).unwrap();
    assert!(format!("{tape:?}").ends_with("used: 5, spans: 1, buffer: None }"), "{tape:?}");
    assert!(format!("{span:?}").ends_with("len: 5 }"), "{span:?}");
    let slab = Slab::new(64, 3).unwrap();
    assert!(format!("{slab:?}").ends_with("cell_size: 64, total: 3, free: 3 }"), "{slab:?}");
}

/// After a leaked guard nothing can be read or written that it may refer to, until the memory is unmapped.
#[test]
fn leaked_guards_keep_what_they_have() {
    let mut tape = Tape::start(4096).unwrap();
    let mut span = tape.slice::<u32>(4).unwrap();
    std::mem::forget(span.view_mut());
    assert!(span.try_view().is_err() && span.try_view_mut().is_err());
    std::mem::forget(span);
    assert!(!tape.try_clear() && tape.spans() == 1);
    // No reference to it can be left.
    tape.reset();
    assert_eq!((tape.used(), tape.spans()), (0, 0));
    let again = tape.slice::<u32>(4).unwrap();
    assert!(again.try_view().is_err(), "its view was never closed");
    drop(again);
    let block = tape.block().clone();
    drop(tape);
    assert!(matches!(Tape::over(block), Err(MemError::Busy(_))));

    let slab = Slab::new(64, 2).unwrap();
    std::mem::forget(slab.take());
    assert_eq!((slab.free(), slab.take().map(|cell| cell.id())), (1, Some(1)));
    let block = Block::open(4096).unwrap();
    std::mem::forget(block.pin());
    std::mem::forget(block.view::<u8>());
    assert!(block.try_view_mut::<u8>().is_err() && block.try_view::<u8>().is_ok());
}

mod processes {
    use super::*;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    #[test]
    fn seals_decide_what_can_be_imported() {
        let block = Block::open(4096).unwrap();
        let sent = block.export().unwrap();
        assert!(matches!(
            Block::import(sent.try_clone().unwrap()),
            Err(MemError::Unsealed("writing"))
        ));
        // No other process can write it, by a write or by a mapping.
        assert!(File::from(sent.try_clone().unwrap()).write_at(b"x", 0).is_err());
        let received = Shared::import(sent).unwrap();
        assert!(matches!(received.write(0, b"x"), Err(MemError::ReadOnly)));
        assert!(matches!(received.atomic_u32(0), Err(MemError::ReadOnly)));
        block.as_bytes_mut()[..5].copy_from_slice(b"hello");
        let mut text = [0; 5];
        received.read(0, &mut text).unwrap();
        assert_eq!(&text, b"hello");
        // A file has no seals, and a memfd has none unless it was sealed.
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        assert!(matches!(Shared::import(file.into()), Err(MemError::Unsealed("shrinking"))));
    }

    #[test]
    fn frozen_memory_is_constant() {
        let block = Block::open(4096).unwrap();
        block.as_bytes_mut()[..5].copy_from_slice(b"hello");
        let clone = block.clone();
        let kept = block.freeze().unwrap_err();
        assert!(matches!(kept.error, MemError::Busy(_)));
        assert_eq!(&kept.block.as_bytes()[..5], b"hello");
        drop(kept);
        let id = clone.id();
        let block = clone.freeze().unwrap();
        assert_eq!(block.id(), id);
        assert!(matches!(block.try_view_mut::<u8>(), Err(MemError::ReadOnly)));
        assert!(matches!(Tape::over(block.clone()), Err(MemError::ReadOnly)));
        let sent = block.export().unwrap();
        assert!(File::from(sent.try_clone().unwrap()).write_at(b"x", 0).is_err());
        let received = Block::import(sent).unwrap();
        drop(block);
        assert_eq!(&received.as_bytes()[..5], b"hello");
    }

    /// Another process has the memory mapped for writing.
    #[test]
    fn a_block_that_cannot_be_frozen_keeps_its_contents() {
        use std::os::fd::BorrowedFd;
        let block = Block::open(4096).unwrap();
        block.as_bytes_mut()[..5].copy_from_slice(b"hello");
        // SAFETY: the block keeps the descriptor open.
        let descriptor = unsafe { BorrowedFd::borrow_raw(block.handle()) };
        let there = Shared::import(descriptor.try_clone_to_owned().unwrap()).unwrap();
        let kept = block.freeze().unwrap_err();
        assert!(kept.to_string().contains("sealing against writing"), "{kept}");
        let block = kept.block;
        assert_eq!(&block.as_bytes()[..5], b"hello");
        // It is the same memory as before.
        block.as_bytes_mut()[0] = b'j';
        let mut byte = [0];
        there.read(0, &mut byte).unwrap();
        assert_eq!(byte, *b"j");

        // Exported memory cannot be mapped for writing again.
        let sent = block.export().unwrap();
        let block = block.freeze().unwrap_err().block;
        there.write(0, b"k").unwrap();
        assert_eq!(&block.as_bytes()[..5], b"jello", "it is this process's own");
        block.as_bytes_mut()[0] = b'h';
        assert!(!block.is_read_only() && block.export().is_err());
        let kept = block.freeze().unwrap_err();
        assert!(matches!(kept.error, MemError::System { .. }), "it can be written: {kept}");
        drop((there, kept));
        let mut byte = [0];
        Shared::import(sent).unwrap().read(0, &mut byte).unwrap();
        assert_eq!(byte, *b"k");

        let block = Block::open(4096).unwrap();
        block.as_bytes_mut()[0] = 7;
        assert_eq!(block.freeze().unwrap().as_bytes()[0], 7);
    }

    /// Before Linux 6.7 memory that is sealed against writing cannot be mapped shared.
    #[cfg(target_os = "linux")]
    #[test]
    fn frozen_memory_is_shared_by_a_private_mapping() {
        let block = Block::open(4096).unwrap();
        block.as_bytes_mut()[0] = 7;
        let shared = Shared::import(block.freeze().unwrap().export().unwrap()).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let header = format!("{:x}-", shared.address().addr());
        let line = maps.lines().find(|line| line.starts_with(&header)).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some("r--p"), "{line}");
        let mut byte = [0];
        shared.read(0, &mut byte).unwrap();
        assert_eq!(byte, [7]);
        assert!(matches!(shared.write(0, &byte), Err(MemError::ReadOnly)) && shared.is_read_only());
    }

    /// Another program may forbid further seals of what it shares.
    #[test]
    fn constant_memory_is_passed_on() {
        let file = memfd_create("constant", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, crate::memory::sys::page() as u64).unwrap();
        File::from(file.try_clone().unwrap()).write_at(b"hello", 0).unwrap();
        let seals = SealFlags::SHRINK | SealFlags::WRITE | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).unwrap();
        let received = Block::import(file).unwrap();
        let passed_on = Block::import(received.export().unwrap()).unwrap();
        drop(received);
        assert_eq!(&passed_on.freeze().unwrap().as_bytes()[..5], b"hello");
    }

    /// Huge pages may run out when they are accessed, which would end the process.
    #[cfg(target_os = "linux")]
    #[test]
    fn huge_pages_are_not_imported() {
        let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
        // The system may have no huge pages at all.
        let Ok(file) = memfd_create("huge", flags) else { return };
        ftruncate(&file, 1 << 30).unwrap();
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::WRITE).unwrap();
        let error = Block::import(file.try_clone().unwrap()).unwrap_err().to_string();
        assert!(error.contains("huge pages") && error.contains("1073741824 bytes"), "{error}");
        assert!(Shared::import(file).unwrap_err().to_string().contains("huge pages"));
    }

    /// The bytes of the mapping at an address that the system has copied for this process.
    #[cfg(target_os = "linux")]
    fn copied(start: *const u8) -> usize {
        of_mapping(start, "Anonymous:")
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn prefaulting_and_pinning_a_mapped_file_copy_nothing() {
        let path = std::env::temp_dir().join(format!("aruminium-copies-{}", std::process::id()));
        std::fs::write(&path, vec![7u8; 1 << 20]).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        // SAFETY: no other program has the file.
        let block = unsafe { Block::map(&file, ..) }.unwrap();
        block.prefault().unwrap();
        assert_eq!(copied(block.address()), 0);
        assert!(is_emulated() || of_mapping(block.address(), "Rss:") == 1 << 20);
        let pinned = block.pin();
        assert_eq!(copied(block.address()), 0);
        if pinned.is_ok() {
            assert_eq!(of_mapping(block.address(), "Rss:"), 1 << 20);
        }
        drop(pinned);
        assert!(block.as_bytes().iter().all(|&byte| byte == 7));
        block.touch().unwrap();
        assert_eq!(copied(block.address()), 0);
    }

    #[test]
    fn shared_memory_is_copied_at_any_offset() {
        let shared = Shared::open(4096).unwrap();
        let there = Shared::import(shared.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_ne!(shared.address(), there.address());
        let bytes: Vec<u8> = (1..=40).collect();
        for start in 0..9 {
            for len in 0..bytes.len() {
                shared.write(0, &[0xffu8; 64]).unwrap();
                there.write(start, &bytes[..len]).unwrap();
                let mut all = [0; 64];
                shared.read(0, &mut all).unwrap();
                let mut expected = [0xff; 64];
                expected[start..start + len].copy_from_slice(&bytes[..len]);
                assert_eq!(all, expected, "{len} bytes at {start}");
                let mut part = vec![0; len];
                shared.read(start, &mut part).unwrap();
                assert_eq!(part, bytes[..len]);
            }
        }
        let end = shared.size();
        assert!(shared.write(end - 3, b"four").is_err() && shared.write(usize::MAX, b"x").is_err());
        assert!(shared.atomic_u32(end).is_err() && shared.atomic_u32(end - 4).is_ok());
        shared.write(end, b"").unwrap();
    }

    #[test]
    fn ranges_of_files() {
        let path = std::env::temp_dir().join(format!("aruminium-ranges-{}", std::process::id()));
        let page = crate::memory::sys::page() as u64;
        let contents: Vec<u8> = (0..page * 2 + 100).map(|index| (index / page) as u8 + 1).collect();
        std::fs::write(&path, &contents).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let map = |range: (std::ops::Bound<u64>, std::ops::Bound<u64>)| {
            // SAFETY: no other program has the file.
            unsafe { Block::map(&file, range) }
        };
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let block = map((Included(page), Unbounded)).unwrap();
        assert_eq!((block.requested(), block.as_bytes()[0]), (page as usize + 100, 2));
        assert_eq!(block.as_bytes()[block.requested()], 0, "the last page is filled up");
        assert!(matches!(map((Included(1), Unbounded)), Err(MemError::Unaligned { value: 1, .. })));
        assert!(matches!(
            map((Unbounded, Excluded(page * 2 + 101))),
            Err(MemError::TooLarge { .. })
        ));
        assert!(matches!(map((Unbounded, Included(u64::MAX))), Err(MemError::TooLarge { .. })));
        assert!(matches!(map((Included(page), Excluded(page))), Err(MemError::ZeroSize)));
        assert!(matches!(map((Excluded(u64::MAX), Unbounded)), Err(MemError::TooLarge { .. })));
        let copy = Block::read(&file, page * 2 - 1..page * 2 + 1).unwrap();
        assert_eq!(copy.as_bytes()[..3], [2, 3, 0]);
        assert!(Block::read(&file, page * 9..).is_err());
    }
}
