//! A loop like that of a decoder: each step takes its memory from a frame and allocates none from the system.
//!
//! `cargo run --release --features memory --example arena`

use aruminium::memory::{Frames, Layout};
use aruminium::{Gpu, autorelease_pool};
use std::alloc::{GlobalAlloc, System};
use std::cell::Cell;

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
const LAYER: &str = "
    kernel void layer(device const float *weights, device const float *x, device float *y,
                      uint i [[thread_position_in_grid]]) {
        y[i] = x[i] * weights[i] + 1;
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
    let mut history = layout.history().slice::<f32>(STEPS).ok_or("the history does not fit")?;

    // Two frames: a step is encoded while the one before runs.
    let mut frames = Frames::new(&gpu, 2, 4 * WIDTH * 4)?;
    let mut taken_for_memory = 0;
    for step in 0..STEPS {
        let (taken, result) = counted(|| {
            let frame = frames.next()?;
            let x = frame.slice::<f32>(WIDTH).ok_or("x does not fit")?;
            let y = frame.slice::<f32>(WIDTH).ok_or("y does not fit")?;
            Ok::<_, Box<dyn std::error::Error>>((x.offset(), y.offset(), x.len() + y.len()))
        });
        result?;
        // The first steps allocate lists that later ones use again.
        taken_for_memory += if step < 2 { 0 } else { taken };

        // The same, with the kernel. Metal's own allocations for a command buffer are not counted.
        let frame = frames.next()?;
        let mut x = frame.slice::<f32>(WIDTH).ok_or("x does not fit")?;
        let y = frame.slice::<f32>(WIDTH).ok_or("y does not fit")?;
        x.view_mut().fill(step as f32);
        autorelease_pool(|| {
            let commands = queue.commands()?;
            let encoder = commands.encoder()?;
            encoder.bind(&pipeline);
            encoder.bind_buffer(&weights_buffer, weights.offset(), 0);
            x.bind(&encoder, 1);
            y.bind(&encoder, 2);
            encoder.launch((WIDTH, 1, 1), (256, 1, 1));
            encoder.finish();
            commands.submit();
            Ok::<(), aruminium::GpuError>(())
        })?;
        history.view_mut()[step] = y.view_completed()?[WIDTH - 1];
    }

    let history = history.view();
    assert!(history.iter().enumerate().all(|(step, &y)| y == step as f32 * 0.5 + 1.0));
    println!(
        "{STEPS} steps; memory taken from the system for their frames and spans: {taken_for_memory} times"
    );
    println!("{}", layout.stat());
    assert_eq!(taken_for_memory, 0);
    Ok(())
}
