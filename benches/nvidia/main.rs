//! Kernels on an NVIDIA GPU, beside the same ones in CUDA C++ (`plain.cu`): `.ci/gpu-figures` runs both.
//!
//! Each row is a name, a tab, and the microseconds of one launch: the least of several command buffers with many launches.

use aruminium::{Buffer, Encoder, Gpu, GpuError, Pipeline, Queue, autorelease_pool};
use std::time::Instant;

/// How often each row is measured.
const ROUNDS: usize = 7;

struct Rig {
    gpu: Gpu,
    queue: Queue,
}

type Size = (usize, usize, usize);

impl Rig {
    fn kernel(&self, source: &str, name: &str) -> Result<Pipeline, GpuError> {
        self.gpu.pipeline(&self.gpu.compile(source)?.function(name)?)
    }

    /// Private memory with these floats.
    fn floats(&self, count: usize, value: impl Fn(usize) -> f32) -> Result<Buffer, GpuError> {
        let shared = self.gpu.buffer(4 * count)?;
        shared.write_f32(|all| all.iter_mut().enumerate().for_each(|(i, x)| *x = value(i)));
        let private = self.gpu.buffer_private(4 * count)?;
        let commands = self.queue.commands()?;
        let copier = commands.copier()?;
        copier.copy(&shared, 0, &private, 0, 4 * count);
        copier.finish();
        commands.submit();
        commands.finish()?;
        Ok(private)
    }

    /// Microseconds of one of `launches` launches in a command buffer.
    fn time(&self, launches: usize, record: impl Fn(&Encoder)) -> Result<f64, GpuError> {
        let mut least = f64::INFINITY;
        for _ in 0..=ROUNDS {
            let spent = autorelease_pool(|| {
                let commands = self.queue.commands()?;
                let encoder = commands.encoder()?;
                (0..launches).for_each(|_| record(&encoder));
                encoder.finish();
                let start = Instant::now();
                commands.submit();
                commands.finish()?;
                Ok::<_, GpuError>(start.elapsed())
            })?;
            least = least.min(spent.as_secs_f64() * 1e6 / launches as f64);
        }
        Ok(least)
    }

    fn row(
        &self,
        name: &str,
        launches: usize,
        pipeline: &Pipeline,
        arguments: (&[&Buffer], &[u8]),
        (grid, group): (Size, Size),
    ) -> Result<(), GpuError> {
        let (buffers, bytes) = arguments;
        let time = self.time(launches, |encoder| {
            encoder.bind(pipeline);
            for (index, buffer) in buffers.iter().enumerate() {
                encoder.bind_buffer(buffer, 0, index);
            }
            encoder.push(bytes, buffers.len());
            encoder.launch(grid, group);
        })?;
        println!("{name}\t{time:.2}");
        Ok(())
    }
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    let queue = gpu.new_command_queue()?;
    let rig = Rig { gpu, queue };
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    println!("# {}", rig.gpu.name());
    let saxpy = rig.kernel(include_str!("../kernels/saxpy.metal"), "saxpy")?;
    for (name, count) in [("saxpy 16 Mi", 16 << 20), ("saxpy 256 Mi", 256 << 20)] {
        let (y, x) = (rig.floats(count, |_| 0.5)?, rig.floats(count, |i| (i % 1000) as f32)?);
        let size = ((count, 1, 1), (256, 1, 1));
        rig.row(name, 20, &saxpy, (&[&y, &x], &0.5f32.to_ne_bytes()), size)?;
    }
    let naive = rig.kernel(include_str!("../kernels/matmul.metal"), "matmul")?;
    let tiled = rig.kernel(include_str!("../kernels/matmul_tiled.metal"), "matmul_tiled")?;
    for (n, launches) in [(512usize, 50), (4096, 2)] {
        let number = |i: usize| (i % 17) as f32 / 16.0;
        let [a, b, c] =
            [rig.floats(n * n, number)?, rig.floats(n * n, number)?, rig.floats(n * n, number)?];
        let size = ((n, n, 1), (16, 16, 1));
        let arguments = (&[&c, &a, &b][..], &(n as u32).to_ne_bytes()[..]);
        rig.row(&format!("matmul {n}"), launches, &naive, arguments, size)?;
        rig.row(&format!("matmul tiled {n}"), launches, &tiled, arguments, size)?;
    }
    let mandelbrot = rig.kernel(include_str!("../kernels/mandelbrot.metal"), "mandelbrot")?;
    let (n, out) = (1024usize, rig.gpu.buffer_private(4 << 20)?);
    let size = ((n, n, 1), (16, 16, 1));
    rig.row("mandelbrot 1024", 50, &mandelbrot, (&[&out], &(n as u32).to_ne_bytes()), size)?;

    let tiny = "kernel void tiny(device uint *x [[buffer(0)]], constant uint &add [[buffer(1)]]) { x[0] += add; }";
    let tiny = rig.kernel(tiny, "tiny")?;
    let word = rig.gpu.buffer(4)?;
    let one = ((1, 1, 1), (1, 1, 1));
    rig.row("tiny, submit to wait", 1, &tiny, (&[&word], &1u32.to_ne_bytes()), one)?;
    rig.row("tiny, 1 of 1000", 1000, &tiny, (&[&word], &1u32.to_ne_bytes()), one)
}
