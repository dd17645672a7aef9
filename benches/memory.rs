//! The cost of making and releasing a buffer, by size, untouched and filled.
//!
//! Shared, private, with a copy of data, and wrapped around existing memory. The limit is the time of the program's
//! own allocator for the same number of zeroed bytes.

use aruminium::{Gpu, GpuError, ResourceOptions};
use rounds::{compare, way};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::hint::black_box;

#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod objects;
mod rounds;

/// Whole pages, as wrapped memory must be. Apple's pages have 16 KiB.
struct Pages(*mut u8, Layout);

impl Pages {
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes, 16 << 10).expect("a valid layout");
        // SAFETY: no size here is zero.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        Self(start, layout)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: `new` took it with this layout.
        unsafe { dealloc(self.0, self.1) }
    }
}

/// Made and released only.
fn untouched(gpu: &Gpu, size: &str, bytes: usize) {
    let pages = Pages::new(bytes);
    let data = vec![1u8; bytes];
    #[cfg(all(target_vendor = "apple", feature = "peers"))]
    let peer = peer::device(gpu);
    compare(
        &format!("a buffer of {size}"),
        None,
        &mut [
            way!("zeroed Vec", vec![0u8; bytes]),
            way!("shared", gpu.buffer(bytes).expect("a buffer")),
            way!("private", gpu.buffer_private(bytes).expect("a buffer")),
            // SAFETY: the pages outlive the buffer, which is not used.
            way!("wrapped", unsafe { gpu.buffer_wrap(pages.0.cast(), bytes) }.expect("a buffer")),
            way!("with data", gpu.buffer_with_data(&data).expect("a buffer")),
            #[cfg(all(target_vendor = "apple", feature = "peers"))]
            way!("objc2-metal, shared", peer::buffer(&peer, bytes)),
        ],
    );
}

/// Every byte is written before the release.
fn filled(gpu: &Gpu, size: &str, bytes: usize) {
    let shared = |options| {
        let buffer = gpu.buffer_with_options(bytes, options).expect("a buffer");
        buffer.write(|bytes| black_box(bytes).fill(1));
        buffer
    };
    let vec = || {
        let mut bytes = vec![0u8; bytes];
        black_box(&mut bytes[..]).fill(1);
        bytes
    };
    let kept = shared(ResourceOptions::STORAGE_SHARED);
    compare(
        &format!("a buffer of {size}, filled"),
        None,
        &mut [
            way!("zeroed Vec", vec()),
            way!("shared", shared(ResourceOptions::STORAGE_SHARED)),
            way!("a reused buffer", kept.write(|bytes| black_box(bytes).fill(1))),
        ],
    );
}

/// The same by `objc2-metal`.
#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod peer {
    use super::objects::theirs;
    use aruminium::Gpu;
    use objc2::rc::Retained;
    use objc2::runtime::ProtocolObject;
    use objc2_metal::*;

    pub(super) fn device(gpu: &Gpu) -> Retained<ProtocolObject<dyn MTLDevice>> {
        theirs(gpu)
    }

    pub(super) fn buffer(
        device: &ProtocolObject<dyn MTLDevice>,
        bytes: usize,
    ) -> Retained<ProtocolObject<dyn MTLBuffer>> {
        let shared = MTLResourceOptions::StorageModeShared;
        device.newBufferWithLength_options(bytes, shared).expect("a buffer")
    }
}

/// Blocks, tapes, grids and pools.
#[cfg(feature = "memory")]
mod arenas {
    use super::rounds::{compare, way};
    use aruminium::memory::{Block, Frames, Lease, Pool, PoolLimits, Slab, Tape};
    use aruminium::{Buffer, Commands, Gpu, GpuError, Queue};
    use std::hint::black_box;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    /// The smallest possible lock-free step: the limit for everything below.
    #[inline(always)]
    fn exchange(word: &AtomicU64, step: u64) -> u64 {
        let mut now = word.load(Ordering::Relaxed);
        loop {
            let then = now.wrapping_add(step);
            match word.compare_exchange_weak(now, then, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return now,
                Err(changed) => now = changed,
            }
        }
    }

    /// `n` takes; the memory is emptied whenever it is full, and at the end.
    macro_rules! takes {
        ($times:expr, $full:expr, $empty:expr, $take:expr) => {{
            let mut left: usize = $times;
            while left > 0 {
                let now = left.min($full);
                (0..now).for_each(|_| _ = black_box($take));
                $empty;
                left -= now;
            }
        }};
    }

    /// Only takes that succeed are measured.
    fn takes(size: usize) -> Result<(), GpuError> {
        const TAPE: usize = 64 << 20;
        let word = AtomicU64::new(0);
        let tape = Tape::start(TAPE)?;
        let full = tape.total() / size;
        let whole = Tape::start(TAPE)?;
        let mut local = whole.local(TAPE).expect("the tape is empty");
        #[cfg(feature = "peers")]
        let mut bump = bumpalo::Bump::with_capacity(TAPE + (1 << 20));
        compare(
            &format!("a take of {size} B"),
            None,
            &mut [
                way!("compare-exchange", exchange(black_box(&word), 64)),
                way!("Tape::take", |times| takes!(
                    times,
                    full,
                    tape.clear(),
                    tape.take(black_box(size), 8).expect("there is room")
                )),
                way!("Tape::slice, dropped", |times| takes!(
                    times,
                    full,
                    tape.clear(),
                    tape.slice::<u64>(black_box(size / 8)).expect("there is room")
                )),
                way!("Local::take", |times| takes!(
                    times,
                    full,
                    local.reset(),
                    local.take(black_box(size), 8).expect("there is room")
                )),
                #[cfg(feature = "peers")]
                way!("bumpalo", |times| {
                    let layout = std::alloc::Layout::from_size_align(size, 8).expect("a layout");
                    takes!(times, full, bump.reset(), bump.alloc_layout(black_box(layout)));
                }),
            ],
        );
        Ok(())
    }

    /// How many leases or frames are used by the GPU before the time of each is taken.
    const USED: usize = 256;

    /// A command buffer of its own that writes a buffer.
    fn use_on(queue: &Queue, buffer: &Buffer) -> Result<Commands, GpuError> {
        let commands = queue.commands()?;
        let copier = commands.copier()?;
        copier.fill(buffer, (0..64).into(), 1);
        copier.finish();
        commands.submit();
        Ok(commands)
    }

    /// The time of `times` calls of `next`, each for a frame that a finished command buffer has used.
    fn next_after_use(
        frames: &mut Frames,
        queue: &Queue,
        times: usize,
    ) -> Result<Duration, GpuError> {
        let (mut time, mut left) = (Duration::ZERO, times);
        while left > 0 {
            let mut last = None;
            for _ in 0..USED {
                last = Some(use_on(queue, frames.next()?.buffer())?);
            }
            last.map_or(Ok(()), |commands| commands.finish())?;
            let count = left.min(USED);
            let start = Instant::now();
            for _ in 0..count {
                black_box(frames.next()?);
            }
            time += start.elapsed();
            for _ in count..USED {
                frames.next()?;
            }
            left -= count;
        }
        Ok(time)
    }

    /// The same of leases: returned and taken after the command buffers that use them are done, or, if `early`, returned
    /// while these run, and taken afterwards; then only the taking is measured.
    fn lease_after_use(
        pool: &Pool,
        queue: &Queue,
        early: bool,
        times: usize,
    ) -> Result<Duration, GpuError> {
        let (mut time, mut left) = (Duration::ZERO, times);
        while left > 0 {
            let mut leases =
                (0..USED).map(|_| pool.take(64 << 10)).collect::<Result<Vec<Lease>, _>>()?;
            let commands =
                leases.iter().map(|lease| use_on(queue, lease)).collect::<Result<Vec<_>, _>>()?;
            if early {
                leases.clear();
            }
            commands.last().map_or(Ok(()), Commands::finish)?;
            drop(commands);
            let (count, mut taken) = (left.min(USED), Vec::with_capacity(USED));
            let start = Instant::now();
            for _ in 0..count {
                drop(leases.pop());
                taken.push(pool.take(64 << 10)?);
            }
            time += start.elapsed();
            left -= count;
        }
        Ok(time)
    }

    /// The time of clearing a tape that was used.
    fn clear_after_use(tapes: &[Tape], times: usize) -> Duration {
        let (mut time, mut left) = (Duration::ZERO, times);
        while left > 0 {
            tapes.iter().for_each(|tape| _ = black_box(tape.take(64, 8)));
            let count = left.min(tapes.len());
            let start = Instant::now();
            tapes[..count].iter().for_each(|tape| black_box(tape).clear());
            time += start.elapsed();
            tapes.iter().for_each(Tape::clear);
            left -= count;
        }
        time
    }

    pub(super) fn measure(gpu: &Gpu) -> Result<(), GpuError> {
        takes(64)?;
        takes(4096)?;

        let (empty, used, mut other, word) =
            (Tape::start(4096)?, Tape::start(4096)?, Tape::start(4096)?, AtomicU64::new(0));
        let tapes = (0..USED).map(|_| Tape::start(4096)).collect::<Result<Vec<_>, _>>()?;
        compare(
            "clearing a tape",
            None,
            &mut [
                way!("compare-exchange", exchange(black_box(&word), 64)),
                way!("Tape::clear, empty", black_box(&empty).clear()),
                way!("Tape::clear, used", timed | times | clear_after_use(&tapes, times)),
                way!("Tape::reset", black_box(&mut other).reset()),
                way!("two compare-exchanges", {
                    exchange(black_box(&word), 64);
                    exchange(black_box(&word), 64)
                }),
                way!("Tape::take and clear", {
                    black_box(used.take(black_box(64), 8).expect("there is room"));
                    black_box(&used).clear();
                }),
            ],
        );

        let (slab, word) = (Slab::new(4096, 1024)?, AtomicU64::new(0));
        #[cfg(feature = "peers")]
        let queue = {
            let queue = crossbeam_queue::ArrayQueue::new(1024);
            (0..1024u32).for_each(|index| _ = queue.push(index));
            queue
        };
        compare(
            "a cell, taken and returned",
            None,
            &mut [
                way!("two compare-exchanges", {
                    exchange(black_box(&word), 64);
                    exchange(black_box(&word), 64)
                }),
                way!("Slab", drop(black_box(slab.take()))),
                #[cfg(feature = "peers")]
                way!("crossbeam ArrayQueue", {
                    let index = queue.pop().expect("an index");
                    queue.push(black_box(index)).expect("room")
                }),
            ],
        );

        let queue = gpu.new_command_queue()?;
        let pool = Pool::new(gpu, PoolLimits::default());
        let lease = |early| {
            let (pool, queue) = (&pool, &queue);
            move |times| lease_after_use(pool, queue, early, times).expect("leases")
        };
        let (late, early) = (lease(false), lease(true));
        compare(
            "a lease of 64 KiB, and back",
            None,
            &mut [
                way!("a fresh buffer", drop(black_box(gpu.buffer(64 << 10).expect("a buffer")))),
                way!("Pool::take", drop(black_box(pool.take(64 << 10).expect("a lease")))),
                way!("the same, the GPU used it", timed | times | late(times)),
                way!("taken, it came back in use", timed | times | early(times)),
            ],
        );

        let mut frames = Frames::new(gpu, 2, 64 << 10)?;
        let mut many = Frames::new(gpu, USED, 64 << 10)?;
        compare(
            "the next frame",
            None,
            &mut [
                way!("Frames::next", _ = black_box(frames.next().expect("a frame"))),
                way!(
                    "the same, the GPU used it",
                    timed | times | { next_after_use(&mut many, &queue, times).expect("frames") }
                ),
            ],
        );

        let block = Block::open(1 << 20)?;
        compare(
            "a block of 1 MiB",
            None,
            &mut [
                way!("Block::open", Block::open(1 << 20).expect("a block")),
                way!("Gpu::wrap", gpu.wrap(&block).expect("a buffer")),
                way!("view", block.view::<f32>().len()),
                way!("prefault, present already", block.prefault().expect("pages")),
                way!("open and prefault", {
                    Block::open(1 << 20).expect("a block").prefault().expect("pages")
                }),
            ],
        );
        Ok(())
    }
}

fn main() -> Result<(), GpuError> {
    const SIZES: [(&str, usize); 4] =
        [("1 MiB", 1 << 20), ("16 KiB", 16 << 10), ("16 MiB", 16 << 20), ("128 MiB", 128 << 20)];
    let gpu = Gpu::open()?;
    println!("{}", gpu.name());
    for (size, bytes) in SIZES {
        untouched(&gpu, size, bytes);
    }
    for (size, bytes) in &SIZES[..3] {
        filled(&gpu, size, *bytes);
    }
    #[cfg(feature = "memory")]
    arenas::measure(&gpu)?;
    Ok(())
}
