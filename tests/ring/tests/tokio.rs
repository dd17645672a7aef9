//! A ring under tokio, an executor that the ring does not depend on.

use aruminium::Gpu;
use aruminium::ring::{Envelope, Launch, Ring, RingError, is_available};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

aruminium::message! {
    struct Square { value: f32 }
    struct Count { handled: u32 }
}

const COMPUTE: &str = "
    void handle(thread const Square &square, thread Count &count, thread Outbox<Square> &out) {
        count.handled += 1;
        Square reply;
        reply.value = square.value * square.value;
        out.reply(reply);
    }";

/// The usage example of the crate `ringkernel-metal`: launch, activate, send an envelope, receive with a
/// time-out, terminate, shut down.
#[tokio::test]
async fn the_usage_of_ringkernel_metal() -> Result<(), Box<dyn Error>> {
    if !is_available() {
        eprintln!("Metal not available");
        return Ok(());
    }
    let ring = Ring::open(&Gpu::open()?)?;
    let launch = Launch::new().auto_activate(false);
    let compute =
        ring.spawn::<Square, Square, Count>("compute", COMPUTE, Count { handled: 0 }, launch)?;
    compute.activate()?;

    compute.send_envelope(Envelope::new(Square { value: 3.0 }, 17))?;
    let response = compute.receive().within(Duration::from_secs(10)).await?;
    assert_eq!(response.value, 9.0);

    compute.terminate()?;
    ring.shutdown()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_call_one_actor() -> Result<(), Box<dyn Error>> {
    let ring = Ring::open(&Gpu::open()?)?;
    let compute = ring.spawn::<Square, Square, Count>(
        "compute",
        COMPUTE,
        Count { handled: 0 },
        Launch::new(),
    )?;
    let tasks: Vec<_> = (0..200u16)
        .map(|i| {
            let compute = compute.clone();
            tokio::spawn(async move {
                compute.call(Square { value: i.into() }).await.map(|reply| reply.value)
            })
        })
        .collect();
    for (i, task) in (0..200u16).zip(tasks) {
        assert_eq!(task.await??, f32::from(i) * f32::from(i));
    }
    assert_eq!(compute.read_state()?.handled, 200);
    Ok(())
}

#[tokio::test]
async fn a_future_that_is_dropped_loses_no_mail() -> Result<(), Box<dyn Error>> {
    let ring = Ring::open(&Gpu::open()?)?;
    let compute = ring.spawn::<Square, Square, Count>(
        "compute",
        COMPUTE,
        Count { handled: 0 },
        Launch::new(),
    )?;
    let waiting = compute.receive();
    assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
    let nothing = compute.receive().within(Duration::from_millis(20)).await;
    assert!(matches!(nothing, Err(RingError::Timeout)));
    compute.send(Square { value: 2.0 })?;
    assert_eq!(compute.receive().await?.value, 4.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_are_aborted_lose_no_mail() -> Result<(), Box<dyn Error>> {
    let ring = Ring::open(&Gpu::open()?)?;
    // A small mailbox to the host, so that the actor waits for room.
    let launch = Launch::new().capacities(1024, 4);
    let compute =
        ring.spawn::<Square, Square, Count>("compute", COMPUTE, Count { handled: 0 }, launch)?;
    let (sent, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..200u16)
        .map(|i| {
            let (compute, sent, received) =
                (compute.clone(), Arc::clone(&sent), Arc::clone(&received));
            tokio::spawn(async move {
                for _ in 0..5 {
                    let call = compute.call(Square { value: i.into() });
                    sent.fetch_add(1, Ordering::Relaxed);
                    let outcome = call.within(Duration::from_micros(500)).await;
                    match outcome {
                        Ok(reply) => {
                            assert_eq!(reply.value, f32::from(i) * f32::from(i));
                            received.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(RingError::Timeout | RingError::Full { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        if number % 3 == 0 {
            task.abort();
        }
        match task.await {
            Err(error) if !error.is_cancelled() => return Err(error.into()),
            _ => {}
        }
    }
    loop {
        let idle = ring.run(100)?.idle;
        let mut left = 0;
        while compute.try_receive()?.is_some() {
            left += 1;
        }
        received.fetch_add(left, Ordering::Relaxed);
        if idle && left == 0 {
            break;
        }
    }
    let counts = [sent, received].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts[0], counts[1]);
    assert_eq!(compute.read_state()?.handled as usize, counts[0]);
    Ok(())
}
