//! Futures of command buffers: what wakes them, what they return, and that they may be dropped.

#![allow(clippy::undocumented_unsafe_blocks)] // The bindings outlive the waits.

mod gpu;

use aruminium::{Buffer, Commands, Dispatch, Done, GpuError, Pipeline, SharedEvent};
use gpu::Rig;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

const ADD_ONE: &str =
    "kernel void add_one(device uint *x, uint i [[thread_position_in_grid]]) { x[i] += 1; }";

/// Unparks a thread and counts how often.
struct Unpark(Thread, AtomicUsize);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.unpark();
    }
}

fn unpark() -> (Arc<Unpark>, Waker) {
    let wake = Arc::new(Unpark(thread::current(), AtomicUsize::new(0)));
    (Arc::clone(&wake), Waker::from(wake))
}

/// Polls only after a wake-up: a future that never wakes its task hangs here.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let (_, waker) = unpark();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

struct Work {
    rig: Rig,
    pipeline: Pipeline,
    buffer: Buffer,
    gate: SharedEvent,
}

impl Work {
    fn new() -> Self {
        let rig = Rig::new();
        let (pipeline, buffer) = (rig.kernel(ADD_ONE), rig.gpu.buffer(16).unwrap());
        let gate = rig.gpu.shared_event().unwrap();
        Self { rig, pipeline, buffer, gate }
    }

    /// A command buffer that adds one, after waiting for the gate if requested.
    fn commands(&self, threads: usize, gated: bool) -> Commands {
        let commands = self.rig.queue.commands().unwrap();
        if gated {
            commands.wait_for(&self.gate, 1);
        }
        let encoder = commands.encoder().unwrap();
        encoder.bind(&self.pipeline);
        encoder.bind_buffer(&self.buffer, 0, 0);
        encoder.launch((threads, 1, 1), (4, 1, 1));
        encoder.finish();
        commands
    }

    fn value(&self) -> u32 {
        self.buffer.read_as(|x: &[u32]| x[0])
    }
}

fn poll(done: &mut Done, waker: &Waker) -> Poll<Result<(), GpuError>> {
    Pin::new(done).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_completion_handler_wakes_the_task_that_polled_last() {
    let work = Work::new();
    let commands = work.commands(4, true);
    let mut done = commands.done();
    let ((first, first_waker), (last, last_waker)) = (unpark(), unpark());
    assert!(poll(&mut done, &first_waker).is_pending(), "not submitted");
    commands.submit();
    assert!(
        poll(&mut done, &last_waker).is_pending(),
        "the future was ready before the event was signalled"
    );
    thread::sleep(Duration::from_millis(5));
    assert_eq!(last.1.load(Ordering::SeqCst), 0);
    work.gate.set_signaled_value(1);
    while last.1.load(Ordering::SeqCst) == 0 {
        thread::park();
    }
    assert!(matches!(poll(&mut done, &last_waker), Poll::Ready(Ok(()))));
    assert_eq!((first.1.load(Ordering::SeqCst), last.1.load(Ordering::SeqCst)), (0, 1));
    assert_eq!(work.value(), 1);
}

#[test]
fn work_that_runs_or_is_done_can_be_awaited_too() {
    let work = Work::new();
    let commands = work.commands(4, true);
    commands.submit();
    let (running, other) = (commands.done(), commands.clone().done());
    work.gate.set_signaled_value(1);
    block_on(running).unwrap();
    block_on(other).unwrap();
    block_on(commands.done()).unwrap();
    assert_eq!(work.value(), 1);
}

#[test]
fn many_command_buffers_can_be_awaited_out_of_order() {
    let work = Work::new();
    let all: Vec<_> = (0..20).map(|_| work.commands(4, false)).collect();
    let mut futures: Vec<_> = all.iter().map(Commands::done).collect();
    all.iter().for_each(Commands::submit);
    futures.reverse();
    block_on(async {
        for done in futures {
            done.await.unwrap();
        }
    });
    assert_eq!(work.value(), 20);
}

#[cfg(not(target_vendor = "apple"))] // Apple's Metal does not report it.
#[test]
fn a_future_returns_the_fault() {
    let work = Work::new();
    let commands = work.commands(5, false);
    let done = commands.done();
    commands.submit();
    let Err(GpuError::KernelFault(fault)) = block_on(done) else { panic!("no fault") };
    assert_eq!((fault.kernel.as_str(), fault.size), ("add_one", Some(16)));
}

#[test]
fn a_future_ends_when_unsubmitted_work_is_dropped() {
    let work = Work::new();
    let commands = work.commands(4, false);
    let done = commands.done();
    drop(commands);
    let Err(GpuError::CommandBufferError(why)) = block_on(done) else { panic!("it never ran") };
    assert!(why.contains("without having been submitted"), "{why}");
}

#[test]
fn futures_may_be_dropped_at_any_time() {
    let work = Work::new();
    let commands = work.commands(4, true);
    drop(commands.done());
    let mut polled = commands.done();
    assert!(poll(&mut polled, Waker::noop()).is_pending());
    commands.submit();
    drop(polled);
    drop(commands.done());
    work.gate.set_signaled_value(1);
    commands.finish().unwrap();
    assert_eq!(work.value(), 1);
}

#[test]
fn a_batch_can_be_awaited() {
    let work = Work::new();
    let dispatch = Dispatch::new(&work.rig.queue);
    let launch = |threads: usize| unsafe {
        dispatch.batch_async(|batch| {
            batch.bind(&work.pipeline);
            batch.bind_buffer(&work.buffer, 0, 0);
            batch.launch((threads, 1, 1), (4, 1, 1));
        })
    };
    block_on(async {
        for _ in 0..10 {
            launch(4).await?;
        }
        Ok::<(), GpuError>(())
    })
    .unwrap();
    assert_eq!(work.value(), 10);
    // The command buffer before it delays it, so that it is pending at the first poll.
    let gated = work.commands(4, true);
    gated.submit();
    let mut future = launch(4);
    assert!(Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    work.gate.set_signaled_value(1);
    block_on(future).unwrap();
    assert_eq!(work.value(), 12);
    let mut polled = launch(4);
    let _ = Pin::new(&mut polled).poll(&mut Context::from_waker(Waker::noop()));
    drop(polled);
    assert_eq!(work.value(), 13, "dropping it waits");
    #[cfg(not(target_vendor = "apple"))] // Apple's Metal does not report it.
    assert!(matches!(block_on(launch(5)), Err(GpuError::KernelFault(_))));
}
