//! The cost of submitting work to the GPU: a round trip, and many launches.
//!
//! Waiting: one launch, and sixteen, each by itself or all in one batch. Overlapping: batches of sixteen, where the
//! next one is encoded while the last one runs. In parallel: one by one, by eight threads at the same time. The
//! limit of each is the same with empty command buffers.

use aruminium::{Batch, Commands, Dispatch, Encoder, GpuError, GpuFuture, autorelease_pool};
use rounds::{compare, way};
use tiny::{Tiny, one_dispatch};

#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod objects;
mod rounds;
mod tiny;

/// The number of launches in a group of many.
const LAUNCHES: usize = 16;

/// Submits a command buffer whose encoder the closure fills by messages.
fn submit(tiny: &Tiny, record: impl FnOnce(&Encoder)) -> Result<Commands, GpuError> {
    let commands = tiny.queue.commands()?;
    let encoder = commands.encoder()?;
    record(&encoder);
    encoder.finish();
    commands.submit();
    Ok(commands)
}

/// The same, and waits for it.
fn run(tiny: &Tiny, record: impl FnOnce(&Encoder)) {
    autorelease_pool(|| submit(tiny, record)?.finish()).expect("no fault");
}

/// An empty command buffer.
fn empty(tiny: &Tiny) -> Commands {
    let commands = tiny.queue.commands().expect("a command buffer");
    commands.submit();
    commands
}

/// Submits one after the other, and waits for each after the next one was submitted.
fn overlap<T>(times: usize, submit: impl Fn() -> T, wait: impl Fn(T) -> Result<(), GpuError>) {
    let mut previous = None;
    for _ in 0..times {
        let next = autorelease_pool(&submit);
        if let Some(previous) = previous.replace(next) {
            wait(previous).expect("no fault");
        }
    }
    previous.map_or(Ok(()), wait).expect("no fault");
}

fn waited_for(tiny: &Tiny, dispatch: &Dispatch) {
    #[cfg(all(target_vendor = "apple", feature = "peers"))]
    let peer = peer::Peer::of(tiny);
    let record = |batch: &Batch<'_>| one_dispatch!(batch, tiny);
    // SAFETY: the kernel stays within its buffers, which outlive the wait.
    let batch = || unsafe { dispatch.batch(record) }.expect("no fault");
    let encoder = || run(tiny, |encoder| one_dispatch!(encoder, tiny));
    let nothing = || autorelease_pool(|| empty(tiny).finish()).expect("no fault");
    compare(
        "submit to wait, a tiny kernel",
        None,
        &mut [
            way!("nothing submitted", nothing()),
            way!("Dispatch", batch()),
            way!("Encoder", encoder()),
            #[cfg(all(target_vendor = "apple", feature = "peers"))]
            way!("objc2-metal", peer.run(1)),
        ],
    );

    let all = |batch: &Batch<'_>| (0..LAUNCHES).for_each(|_| one_dispatch!(batch, tiny));
    // SAFETY: as above.
    let batched = || unsafe { dispatch.batch(all) }.expect("no fault");
    let encoded = || run(tiny, |encoder| (0..LAUNCHES).for_each(|_| one_dispatch!(encoder, tiny)));
    compare(
        "16 tiny kernels, waited for",
        None,
        &mut [
            way!("nothing submitted", nothing()),
            way!("Dispatch, a batch", batched()),
            way!("Encoder, a batch", encoded()),
            way!("Dispatch, one by one", (0..LAUNCHES).for_each(|_| batch())),
            way!("Encoder, one by one", (0..LAUNCHES).for_each(|_| encoder())),
            #[cfg(all(target_vendor = "apple", feature = "peers"))]
            way!("objc2-metal, a batch", peer.run(LAUNCHES)),
        ],
    );
}

fn overlapping(tiny: &Tiny, dispatch: &Dispatch) {
    #[cfg(all(target_vendor = "apple", feature = "peers"))]
    let peer = peer::Peer::of(tiny);
    let all = |batch: &Batch<'_>| (0..LAUNCHES).for_each(|_| one_dispatch!(batch, tiny));
    // SAFETY: the kernel stays within its buffers, which outlive the wait.
    let futures = || unsafe { dispatch.batch_async(all) };
    let commands = || {
        let record = |encoder: &Encoder| (0..LAUNCHES).for_each(|_| one_dispatch!(encoder, tiny));
        submit(tiny, record).expect("a command buffer")
    };
    compare(
        "16 tiny kernels, overlapping",
        None,
        &mut [
            way!("nothing submitted", |times| overlap(
                times,
                || empty(tiny),
                |commands| commands.finish()
            )),
            way!("Dispatch", |times| overlap(times, futures, GpuFuture::wait)),
            way!("Encoder", |times| overlap(times, commands, |commands| commands.finish())),
            #[cfg(all(target_vendor = "apple", feature = "peers"))]
            way!("objc2-metal", |times| peer.overlap(times, LAUNCHES)),
        ],
    );
}

/// Eight threads, each with a queue, that wait for every launch, like tests of a program that run in parallel.
fn in_parallel() -> Result<(), GpuError> {
    const THREADS: usize = 8;
    const EACH: usize = 256;
    let all = (0..THREADS).map(|_| Tiny::new()).collect::<Result<Vec<_>, _>>()?;
    let work = |tiny: &Tiny| {
        for _ in 0..EACH {
            run(tiny, |encoder| one_dispatch!(encoder, tiny));
        }
    };
    compare(
        "2048 tiny kernels, waited for",
        None,
        &mut [
            way!("one thread", all.iter().for_each(work)),
            way!(
                "8 threads",
                std::thread::scope(|scope| all.iter().for_each(|tiny| {
                    scope.spawn(|| work(tiny));
                }))
            ),
        ],
    );
    Ok(())
}

/// The same by `objc2-metal`.
#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod peer {
    use super::objects::theirs;
    use super::tiny::{GRID, Tiny};
    use objc2::rc::{Retained, autoreleasepool};
    use objc2::runtime::ProtocolObject;
    use objc2_metal::*;
    use std::ptr::NonNull;

    type Submitted = Retained<ProtocolObject<dyn MTLCommandBuffer>>;

    pub(super) struct Peer {
        queue: Retained<ProtocolObject<dyn MTLCommandQueue>>,
        pipeline: Retained<ProtocolObject<dyn MTLComputePipelineState>>,
        buffers: [Retained<ProtocolObject<dyn MTLBuffer>>; 3],
    }

    impl Peer {
        pub(super) fn of(tiny: &Tiny) -> Self {
            Self {
                queue: theirs(&tiny.queue),
                pipeline: theirs(&tiny.pipeline),
                buffers: [0, 1, 2].map(|index| theirs(&tiny.buffers[index])),
            }
        }

        fn submit(&self, launches: usize) -> Submitted {
            let (width, height, depth) = GRID;
            let size = MTLSize { width, height, depth };
            let bytes = [7u8; 16];
            let commands = self.queue.commandBuffer().expect("a command buffer");
            let encoder = commands.computeCommandEncoder().expect("an encoder");
            for _ in 0..launches {
                encoder.setComputePipelineState(&self.pipeline);
                for (index, buffer) in self.buffers.iter().enumerate() {
                    // SAFETY: the offset is inside the buffer, and the kernel has the index.
                    unsafe { encoder.setBuffer_offset_atIndex(Some(buffer), 0, index) };
                }
                // SAFETY: there are as many bytes.
                unsafe { encoder.setBytes_length_atIndex(NonNull::from(&bytes).cast(), 16, 3) };
                encoder.dispatchThreads_threadsPerThreadgroup(size, size);
            }
            encoder.endEncoding();
            commands.commit();
            commands
        }

        fn finish(commands: &Submitted) {
            commands.waitUntilCompleted();
            assert_eq!(commands.status(), MTLCommandBufferStatus::Completed);
        }

        pub(super) fn run(&self, launches: usize) {
            autoreleasepool(|_| Self::finish(&self.submit(launches)));
        }

        pub(super) fn overlap(&self, times: usize, launches: usize) {
            let mut previous: Option<Submitted> = None;
            for _ in 0..times {
                let next = autoreleasepool(|_| self.submit(launches));
                if let Some(previous) = previous.replace(next) {
                    Self::finish(&previous);
                }
            }
            previous.iter().for_each(Self::finish);
        }
    }
}

fn main() -> Result<(), GpuError> {
    let tiny = Tiny::new()?;
    println!("{}", tiny.gpu.name());
    let dispatch = Dispatch::new(&tiny.queue);
    waited_for(&tiny, &dispatch);
    overlapping(&tiny, &dispatch);
    in_parallel()
}
