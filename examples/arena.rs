//! A loop like that of a decoder: each step takes its memory from a frame, and no part of it takes any from the system: not the
//! frame and its spans, nor what Metal needs to encode and to submit the step, and to wait for an earlier one. A step is encoded while
//! the one before runs, and the results are read at the end.
//!
//! `cargo run --release --features memory --example arena`

use aruminium::memory::{Frames, Layout};
use aruminium::{Commands, Gpu, GpuError, autorelease_pool};
use std::alloc::{GlobalAlloc, System};
use std::cell::Cell;
use std::collections::VecDeque;

/// Counts this thread's allocations.
struct Counting;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: std::alloc::Layout) {
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of the closure's allocations, and its result.
fn counted<R>(work: impl FnOnce() -> R) -> (usize, R) {
    let before = TAKEN.get();
    let result = work();
    (TAKEN.get() - before, result)
}

const WIDTH: usize = 1024;
const FRAMES: usize = 2;
/// The first steps make what the later ones use again. A debug build keeps some thousand freed objects to recognise messages to
/// them, and uses their memory again only then.
const WARM_UP: usize = if cfg!(debug_assertions) { 4096 } else { 64 };
const STEPS: usize = WARM_UP + 64;
const LAYER: &str = "
    kernel void layer(device const float *weights, device const float *x, device float *y, device float *result,
                      uint i [[thread_position_in_grid]], uint width [[threads_per_grid]]) {
        y[i] = x[i] * weights[i] + 1;
        if (i == width - 1) *result = y[i];
    }";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let gpu = Gpu::open()?;
    let pipeline = gpu.pipeline(&gpu.compile(LAYER)?.function("layer")?)?;
    let queue = gpu.new_command_queue()?;

    // Memory that lives as long as the model and the conversation.
    let layout = Layout::new(WIDTH * 4, 1 << 16, STEPS * 4)?;
    let mut weights = layout.weights().slice::<f32>(WIDTH).ok_or("the weights do not fit")?;
    weights.view_mut().fill(0.5);
    let weights_buffer = gpu.wrap(layout.weights().block())?;
    let history = layout.history().slice::<f32>(STEPS).ok_or("the history does not fit")?;
    let history_buffer = gpu.wrap(layout.history().block())?;

    // `next` waits for the step before the last one.
    let mut frames = Frames::new(&gpu, FRAMES, 4 * WIDTH * 4)?;
    // The first frames' steps wait at a gate, so that as many are in flight from the start as ever will be.
    let gate = gpu.shared_event()?;
    let mut taken = 0;
    let mut last = VecDeque::<Commands>::with_capacity(FRAMES + 2);
    for step in 0..STEPS {
        if step == FRAMES {
            gate.set_signaled_value(1);
        }
        let (count, done) = counted(|| {
            let frame = frames.next()?;
            let mut x = frame.slice::<f32>(WIDTH).ok_or("x does not fit")?;
            let y = frame.slice::<f32>(WIDTH).ok_or("y does not fit")?;
            x.view_mut().fill(step as f32);
            autorelease_pool(|| {
                let commands = queue.commands()?;
                if step < FRAMES {
                    commands.wait_for(&gate, 1);
                }
                let encoder = commands.encoder()?;
                encoder.bind(&pipeline);
                encoder.bind_buffer(&weights_buffer, weights.offset(), 0);
                x.bind(&encoder, 1);
                y.bind(&encoder, 2);
                encoder.bind_buffer(&history_buffer, history.offset() + step * size_of::<f32>(), 3);
                encoder.launch((WIDTH, 1, 1), (256, 1, 1));
                encoder.finish();
                commands.submit();
                last.push_back(commands);
                Ok::<_, GpuError>(())
            })?;
            // The steps that are kept may still run. Of the one that is not, the outcome is known.
            match last.len() > FRAMES + 1 {
                true => last.pop_front().map_or(Ok(()), |commands| commands.finish()),
                false => Ok(()),
            }?;
            Ok::<_, Box<dyn std::error::Error>>(())
        });
        done?;
        if step >= WARM_UP {
            taken += count;
        }
    }
    last.iter().try_for_each(Commands::finish)?;

    let history = history.view_completed()?;
    assert!(history.iter().enumerate().all(|(step, &y)| y == step as f32 * 0.5 + 1.0));
    println!("the last {} steps took memory from the system {taken} times", STEPS - WARM_UP);
    println!("{}", layout.stat());
    assert_eq!(taken, 0);
    Ok(())
}
