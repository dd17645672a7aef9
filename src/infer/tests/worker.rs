//! Workers, and streams that are awaited.

use super::Bench;
use crate::child::{is_child, run_child};
use crate::infer::{Arg, Error, Grid, Worker};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

#[test]
fn jobs_run_in_order_and_return_their_results() {
    let worker = Worker::spawn("order").unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let count = Arc::clone(&count);
            worker.submit(move || Ok(count.fetch_add(1, Ordering::Relaxed)))
        })
        .collect();
    let found: Vec<u32> = tasks.into_iter().map(|task| task.wait().unwrap()).collect();
    assert_eq!(found, (0..50).collect::<Vec<_>>());
    let name = worker.submit(|| Ok(std::thread::current().name().map(str::to_owned)));
    assert_eq!(name.wait().unwrap().as_deref(), Some("order"));
}

#[test]
fn errors_and_panics_are_those_of_their_job() {
    let worker = Worker::spawn("errors").unwrap();
    let error = worker.submit(|| -> Result<(), Error> { Err(Error::Shape("no axis".into())) });
    let text = worker.submit(|| -> Result<(), Error> { panic!("out of {}", "tokens") });
    let other = worker.submit(|| -> Result<(), Error> { std::panic::panic_any(7) });
    let fine = worker.submit(|| Ok(3));
    assert!(matches!(error.wait(), Err(Error::Shape(why)) if why == "no axis"));
    assert!(matches!(text.wait(), Err(Error::Panicked(why)) if why == "out of tokens"));
    assert!(matches!(other.wait(), Err(Error::Panicked(why)) if why == "no message"));
    assert_eq!(fine.wait().unwrap(), 3);
}

#[test]
fn dropping_a_worker_waits_for_its_jobs() {
    let worker = Worker::spawn("drop").unwrap();
    let done = Arc::new(AtomicU32::new(0));
    for _ in 0..3 {
        let done = Arc::clone(&done);
        // The task is dropped, and the job runs nevertheless.
        drop(worker.submit(move || {
            std::thread::sleep(std::time::Duration::from_millis(5));
            done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }));
    }
    drop(worker);
    assert_eq!(done.load(Ordering::Relaxed), 3);
}

/// A job that has the last handle to its worker cannot wait for its own thread.
#[test]
fn a_job_may_drop_its_worker() {
    let worker = Arc::new(Worker::spawn("own").unwrap());
    let (sender, receiver) = mpsc::channel::<()>();
    let own = Arc::clone(&worker);
    let task = worker.submit(move || {
        // Until the other handle is gone.
        _ = receiver.recv();
        drop(own);
        Ok(5)
    });
    drop(worker);
    drop(sender);
    assert_eq!(task.wait().unwrap(), 5);
}

/// Wakes a thread that sleeps.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn streams_are_awaited() {
    let bench = Bench::new();
    let x = bench.tensor(&[1; 8]);
    let args = [Arg::Tensor(&x), Arg::Bytes(&[1, 0, 0, 0])];
    for cuts in 0..3 {
        let mut stream = bench.stream();
        for _ in 0..cuts {
            stream.launch(&bench.kernel("twist"), &args, Grid::threads_1d(8)).unwrap();
            stream.cut().unwrap();
        }
        let report = block_on(stream.submit().unwrap()).unwrap();
        assert_eq!((report.counters.launches, report.profile.spans.len()), (cuts, cuts as usize));
    }
    assert_eq!(x.to_vec::<u32>().unwrap(), [40; 8]);
    // The error of a command buffer is that of the future.
    let y = bench.tensor(&[0; 8]);
    let mut stream = bench.stream();
    let mix = [Arg::Tensor(&x), Arg::Tensor(&y), Arg::Bytes(&[0; 4])];
    stream.launch(&bench.kernel("mix"), &mix, Grid::threads_1d(9)).unwrap();
    assert!(block_on(stream.submit().unwrap()).is_err());
}

/// Awaiting a stream starts no thread.
#[test]
fn an_awaited_stream_has_no_thread_of_its_own() {
    // Other tests of the process may start threads.
    if !is_child() {
        let name = "infer::tests::worker::an_awaited_stream_has_no_thread_of_its_own";
        let output = run_child(name, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let bench = Bench::new();
    bench.kernels.add(
        "slow",
        "kernel void slow(device uint *x, uint i [[thread_position_in_grid]]) {
             for (uint n = 0; n < 200000; n++) x[i] = x[i] * 3 + n;
         }",
    );
    let slow = bench.kernels.get("slow", "slow").unwrap();
    let x = bench.tensor(&[1; 64]);
    let waiting = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let names = threads
            .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("aruminium futur")).count()
    };
    let mut most = 0;
    for _ in 0..5 {
        let mut stream = bench.stream();
        stream.launch(&slow, &[Arg::Tensor(&x)], Grid::threads_1d(64)).unwrap();
        let running = stream.submit().unwrap();
        let mut running = std::pin::pin!(running);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        while running.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            most = most.max(waiting());
            std::thread::park();
        }
    }
    assert_eq!(most, 0);
}
