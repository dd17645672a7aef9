//! A loop like that of a decoder: each step takes its memory from a frame and allocates none from the system. A step is
//! encoded while the one before runs, and the results are read at the end.
//!
//! `cargo run --release --features memory --example arena`

use aruminium::memory::{Frames, Layout};
use aruminium::{Commands, Gpu, autorelease_pool};
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
const STEPS: usize = 64;
const FRAMES: usize = 2;
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
    let mut taken = [0; 2];
    let mut last = VecDeque::<Commands>::with_capacity(FRAMES + 1);
    for step in 0..STEPS {
        let (for_memory, frame) = counted(|| frames.next());
        let frame = frame?;
        let (for_spans, spans) = counted(|| {
            let mut x = frame.slice::<f32>(WIDTH)?;
            let y = frame.slice::<f32>(WIDTH)?;
            x.view_mut().fill(step as f32);
            Some((x, y))
        });
        let (x, y) = spans.ok_or("x and y do not fit")?;

        // The step's kernel.
        let (for_commands, commands) = counted(|| {
            autorelease_pool(|| {
                let commands = queue.commands()?;
                let encoder = commands.encoder()?;
                encoder.bind(&pipeline);
                encoder.bind_buffer(&weights_buffer, weights.offset(), 0);
                x.bind(&encoder, 1);
                y.bind(&encoder, 2);
                encoder.bind_buffer(&history_buffer, history.offset() + step * size_of::<f32>(), 3);
                encoder.launch((WIDTH, 1, 1), (256, 1, 1));
                encoder.finish();
                commands.submit();
                Ok::<_, aruminium::GpuError>(commands)
            })
        });
        // A frame forgets its command buffer when it is reused. Metal's own memory goes when this loop forgets it, later.
        last.push_back(commands?);
        let (for_release, _) =
            counted(|| if last.len() > FRAMES { last.pop_front() } else { None });
        // The first half of the steps makes what later ones use again: lists, and the types of messages, which a debug build checks.
        if step >= STEPS / 2 {
            taken[0] += for_memory + for_spans;
            taken[1] += for_commands + for_release;
        }
    }

    let history = history.view_completed()?;
    assert!(history.iter().enumerate().all(|(step, &y)| y == step as f32 * 0.5 + 1.0));
    println!(
        "the last {} steps; memory taken from the system for frames and spans: {} times; by Metal for command \
         buffers: {} times",
        STEPS / 2,
        taken[0],
        taken[1]
    );
    println!("{}", layout.stat());
    assert_eq!(taken[0], 0);
    Ok(())
}
