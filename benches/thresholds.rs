//! Where one kernel of an operation overtakes another: the thresholds of `infer::ops`.
//!
//! `cargo bench --features infer --bench thresholds`. Operations with a kernel for a few rows or tokens and one for many, in
//! tiles, are run with both for ascending sizes, which take turns. A time is the best of the rounds.

use aruminium::infer::ops::{Attention, Delta, Experts, Linear};
use aruminium::infer::{DType, Error, Ops, Quant, Stream, Tensor};
use aruminium::{Gpu, Queue, autorelease_pool};
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;

/// Records an operation with a threshold.
type Record<'a> = dyn Fn(&mut Stream, usize) -> Result<(), Error> + 'a;

struct Bench {
    gpu: Gpu,
    queue: Queue,
}

impl Bench {
    fn tensor(&self, dtype: DType, shape: &[usize]) -> Result<Tensor, Error> {
        Tensor::new(&self.gpu, dtype, shape)
    }

    fn ascending(&self, count: usize, below: usize) -> Result<Tensor, Error> {
        let list: Vec<i32> = (0..count).map(|i| (i % below) as i32).collect();
        Tensor::from_slice(&self.gpu, &list, &[count])
    }

    /// The time of one launch that computes in `threshold` or more: always in tiles if it is 0, and never if it is the maximum.
    fn time(&self, record: &Record<'_>, threshold: usize) -> Result<Duration, Error> {
        autorelease_pool(|| {
            let mut stream = Stream::new(&self.gpu, &self.queue);
            record(&mut stream, threshold)?;
            let start = Instant::now();
            stream.finish()?;
            Ok(start.elapsed())
        })
    }

    /// Prints the times of both kernels for each size, and the size from which on tiles are faster.
    fn sweep<'a>(
        &self,
        title: &str,
        sizes: &[usize],
        prepare: impl Fn(usize) -> Result<Box<Record<'a>>, Error>,
    ) -> Result<(), Error> {
        println!("\n{title:<40}{:>12}{:>12}{:>8}", "one by one", "in tiles", "ratio");
        let mut from = None;
        for &size in sizes {
            let record = prepare(size)?;
            let (mut few, mut tiles) = (Duration::MAX, Duration::MAX);
            for _ in 0..ROUNDS {
                few = few.min(self.time(&record, usize::MAX)?);
                tiles = tiles.min(self.time(&record, 0)?);
            }
            let ratio = tiles.as_secs_f64() / few.as_secs_f64();
            let [few, tiles] = [few, tiles].map(|time| time.as_secs_f64() * 1e6);
            println!("  {size:<38}{few:>9.1} µs{tiles:>9.1} µs{ratio:>8.2}");
            from = if ratio < 1.0 { from.or(Some(size)) } else { None };
        }
        match from {
            Some(size) => println!("  tiles are faster from {size} on"),
            None => println!("  tiles are not faster"),
        }
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let gpu = Gpu::open()?;
    println!("{}", gpu.name());
    let bench = &Bench { queue: gpu.new_command_queue()?, gpu };
    let ops = &Ops::new(&bench.gpu);
    let quants = [Quant::Q4_0, Quant::Q8_0, Quant::Q4_K].map(DType::Quant);
    for dtype in [DType::F32, DType::F16].into_iter().chain(quants) {
        bench.sweep(
            &format!("linear: rows, 1024 × 1024 of {dtype}"),
            &[1, 2, 3, 4, 5, 6, 7, 8],
            |rows| {
                let w = bench.tensor(dtype, &[1024, 1024])?;
                let [x, y] = [(); 2].map(|_| bench.tensor(DType::F32, &[rows, 1024]));
                let (x, y) = (x?, y?);
                Ok(Box::new(move |stream, few_rows| {
                    ops.linear(stream, &x, &w, &y, Linear { few_rows })
                }))
            },
        )?;
    }
    for dtype in [DType::F16, DType::Quant(Quant::Q4_0)] {
        let experts = 8;
        bench.sweep(
            &format!("experts: rows for each, 512 × 512 of {dtype}"),
            &[1, 2, 3, 4, 6, 8, 16],
            |each| {
                let rows = each * experts;
                let w = bench.tensor(dtype, &[experts, 512, 512])?;
                let [x, y] = [(); 2].map(|_| bench.tensor(DType::F32, &[rows, 512]));
                let (x, y, ids) = (x?, y?, bench.ascending(rows, experts)?);
                let scratch = bench.tensor(DType::I32, &[Experts::scratch(experts, rows)])?;
                Ok(Box::new(move |stream, few_rows| {
                    let params = Experts { few_rows, scratch: Some(&scratch) };
                    ops.linear_experts(stream, &x, &w, &ids, &y, params)
                }))
            },
        )?;
    }
    for dim in [64, 128] {
        bench.sweep(
            &format!("attention: tokens, 8 heads of {dim}, 512 keys"),
            &[1, 2, 4, 6, 8, 12, 16, 24, 32],
            |tokens| {
                let [q, o] = [(); 2].map(|_| bench.tensor(DType::F32, &[tokens, 8, dim]));
                let [k, v] = [(); 2].map(|_| bench.tensor(DType::F16, &[512, 2, dim]));
                let (q, o, k, v) = (q?, o?, k?, v?);
                Ok(Box::new(move |stream, few_tokens| {
                    ops.attention(
                        stream,
                        &q,
                        &k,
                        &v,
                        &o,
                        Attention { few_tokens, ..Attention::default() },
                    )
                }))
            },
        )?;
    }
    bench.sweep("delta: tokens, 4 heads of 64 × 64", &[1, 2, 4, 8, 12, 16, 24, 32, 64], |tokens| {
        let [queries, keys] = [(); 2].map(|_| bench.tensor(DType::F32, &[tokens, 4, 64]));
        let [values, y] = [(); 2].map(|_| bench.tensor(DType::F32, &[tokens, 4, 64]));
        let [gate, beta] = [(); 2].map(|_| bench.tensor(DType::F32, &[tokens, 4]));
        let state = bench.tensor(DType::F32, &[4, 64, 64])?;
        let (queries, keys, values, y, gate, beta) = (queries?, keys?, values?, y?, gate?, beta?);
        Ok(Box::new(move |stream, few_tokens| {
            let [keys, values, gate, beta, state] = [&keys, &values, &gate, &beta, &state];
            let delta = Delta { keys, values, gate, beta, state, scale: 1.0, few_tokens };
            ops.delta(stream, &queries, &y, delta)
        }))
    })
}
