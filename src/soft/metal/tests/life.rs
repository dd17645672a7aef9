//! Load, races, and objects that are released while work is in flight.

use super::*;
#[cfg(target_os = "linux")]
use crate::memory_use::{measure, resident};
use std::sync::Arc;

/// A command buffer that increments `count` counters.
fn counting(queue: Id, pipeline: Id, buffer: Id, count: usize) -> Own {
    let commands = commands(queue);
    let encoder = encoder(*commands);
    bind(*encoder, pipeline);
    bind_buffer(*encoder, buffer, 0, 0);
    launch(*encoder, count, 32);
    end(*encoder);
    commands
}

#[test]
fn eight_threads_with_a_queue_each() {
    let pipeline = Arc::new(pipeline(SAXPY, "count_up"));
    let rounds = scale(1250);
    let threads: Vec<_> = (0..8)
        .map(|nth| {
            let pipeline = Arc::clone(&pipeline);
            std::thread::spawn(move || {
                let (queue, buffer) = (queue(), buffer(4 * 33));
                let mut last = None;
                for round in 0..rounds {
                    let commands = counting(*queue, **pipeline, *buffer, 33);
                    commit(*commands);
                    if (round + nth) % 7 == 0 {
                        wait(*commands);
                        assert_eq!(outcome(*commands), Ok(()));
                    }
                    last = Some(commands);
                }
                wait(*last.unwrap());
                assert_eq!(contents::<u32>(*buffer), [rounds as u32; 33]);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// All objects but one are released before the work is done, in every order.
#[test]
fn objects_may_be_released_while_work_is_in_flight() {
    let event = Own::new(send!(*device(), "newSharedEvent"; Id));
    let mut value = 0;
    for order in 0..scale(400) {
        value += 1;
        let kept = {
            let library = library(SAXPY);
            let function = function(*library, "count_up");
            let mut error = Id::NIL;
            let pipeline = Own::new(send!(
                *device(), "newComputePipelineStateWithFunction:error:", *function => Id,
                &raw mut error => *mut Id; Id
            ));
            let (queue, buffer) = (queue(), buffer(16));
            let commands = commands(*queue);
            send!(*commands, "encodeWaitForEvent:value:", *event => Id, value => u64; ());
            let encoder = encoder(*commands);
            bind(*encoder, *pipeline);
            bind_buffer(*encoder, *buffer, 0, 0);
            launch(*encoder, 4, 4);
            end(*encoder);
            commit(*commands);
            let kept = Own::retain(*buffer);
            let mut all = vec![library, function, pipeline, queue, buffer, commands, encoder];
            let mut rest = order;
            while !all.is_empty() {
                drop(all.swap_remove(rest % all.len()));
                rest = rest / 7 + 1;
            }
            kept
        };
        assert_eq!(contents::<u32>(*kept), [0; 4]);
        send!(*event, "setSignaledValue:", value => u64; ());
        let start = std::time::Instant::now();
        while contents::<u32>(*kept) != [1; 4] {
            assert!(start.elapsed().as_secs() < 20);
            std::thread::yield_now();
        }
    }
}

#[test]
fn uncommitted_command_buffers_may_be_released() {
    let (pipeline, buffer, queue) = (pipeline(SAXPY, "count_up"), buffer(64), queue());
    for nth in 0..100 {
        let commands = counting(*queue, *pipeline, *buffer, 16);
        if nth % 2 == 0 {
            send!(*commands, "enqueue"; ());
        }
    }
    let last = counting(*queue, *pipeline, *buffer, 16);
    assert_eq!(finish(*last), Ok(()));
    assert_eq!(contents::<u32>(*buffer), [1; 16]);
}

/// Without any autorelease pool: returned objects are retained by the return-value handshake.
#[test]
#[cfg(target_os = "linux")]
fn command_buffers_do_not_leak_memory() {
    measure("soft::metal::tests::life::command_buffers_do_not_leak_memory", || {
        let taken = |id: Id| {
            // SAFETY: what the last message returned.
            Own::new(unsafe { objc_retainAutoreleasedReturnValue(id) })
        };
        let (pipeline, buffer, queue) = (pipeline(SAXPY, "count_up"), buffer(64), queue());
        let run = |count: usize| {
            for nth in 0..count {
                let commands = taken(send!(*queue, "commandBuffer"; Id));
                let encoder = taken(send!(*commands, "computeCommandEncoder"; Id));
                bind(*encoder, *pipeline);
                bind_buffer(*encoder, *buffer, 0, 0);
                launch(*encoder, 16, 16);
                end(*encoder);
                commit(*commands);
                if nth % 64 == 0 {
                    wait(*commands);
                }
            }
        };
        let (first, count) = (5_000, scale(50_000));
        run(first);
        let before = resident();
        run(count);
        let grown = resident().saturating_sub(before);
        // A leak of one object per command buffer is 5 MB or more.
        assert!(grown < 4 << 20, "{grown} bytes");
        let last = taken(send!(*queue, "commandBuffer"; Id));
        assert_eq!(finish(*last), Ok(()));
        assert_eq!(contents::<u32>(*buffer)[0] as usize, first + count);
    });
}
