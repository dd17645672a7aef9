//! A small decoder: the same chain of kernels for every token, as in an inference engine.
//!
//! Each step is a norm, a projection to query, key and value, a rotation by position, attention over
//! the cache, an output projection with the residual, and a feed-forward layer with its own. The
//! chain is run in three ways: a command buffer for each kernel, one for each step, and pipelined. The results of all
//! three equal the CPU's.
//!
//! Run it with `cargo run --release --example inference_loop`.

use aruminium::{Batch, Buffer, Dispatch, Gpu, GpuError, GpuFuture, Pipeline, Size};
use std::time::Instant;

/// The width of the model.
const DIM: usize = 128;
const HEADS: usize = 4;
const HEAD: usize = DIM / HEADS;
const HIDDEN: usize = 256;
const TOKENS: usize = 48;
const EPSILON: f32 = 1e-5;

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;

    // Divides by the root of the mean square; one threadgroup of 32.
    kernel void rms_norm(device float *out [[buffer(0)]],
                     device const float *x [[buffer(1)]],
                     constant uint &n [[buffer(2)]],
                     uint lane [[thread_position_in_threadgroup]]) {
        float sum = 0;
        for (uint i = lane; i < n; i += 32) sum += x[i] * x[i];
        float scale = rsqrt(simd_sum(sum) / float(n) + 1e-5f);
        for (uint i = lane; i < n; i += 32) out[i] = x[i] * scale;
    }

    // out[row] = act(weights[row] . x), a SIMD-group a row.
    struct Shape { uint columns; uint relu; };
    kernel void matvec(device float *out [[buffer(0)]],
                       device const float *x [[buffer(1)]],
                       device const float *weights [[buffer(2)]],
                       constant Shape &shape [[buffer(3)]],
                       uint row [[threadgroup_position_in_grid]],
                       uint lane [[thread_position_in_threadgroup]]) {
        float sum = 0;
        for (uint k = lane; k < shape.columns; k += 32) sum += weights[row * shape.columns + k] * x[k];
        sum = simd_sum(sum);
        if (lane == 0) out[row] = shape.relu ? max(sum, 0.0f) : sum;
    }

    // Turns pairs of query and key by the token's position, and puts key and value into the cache.
    struct Place { uint position; uint dim; uint head; };
    kernel void rope(device float *qkv [[buffer(0)]],
                       device float *keys [[buffer(1)]],
                       device float *values [[buffer(2)]],
                       constant Place &place [[buffer(3)]],
                       uint pair [[thread_position_in_grid]]) {
        uint at = 2 * pair;
        float angle = float(place.position) * exp2(-8.0f * float(at % place.head) / float(place.head));
        float c = cos(angle), s = sin(angle);
        for (uint part = 0; part < 2; part++) {
            device float *v = qkv + part * place.dim + at;
            float2 turned = float2(v[0] * c - v[1] * s, v[0] * s + v[1] * c);
            v[0] = turned.x;
            v[1] = turned.y;
        }
        for (uint k = at; k < at + 2; k++) {
            keys[place.position * place.dim + k] = qkv[place.dim + k];
            values[place.position * place.dim + k] = qkv[2 * place.dim + k];
        }
    }

    // Softmax attention of one query over the cache, a threadgroup a head and a thread a channel.
    kernel void attend(device float *out [[buffer(0)]],
                       device const float *qkv [[buffer(1)]],
                       device const float *keys [[buffer(2)]],
                       device const float *values [[buffer(3)]],
                       constant Place &place [[buffer(4)]],
                       uint head [[threadgroup_position_in_grid]],
                       uint lane [[thread_position_in_threadgroup]]) {
        uint at = head * place.head + lane;
        float largest = -INFINITY, total = 0, sum = 0;
        for (uint t = 0; t <= place.position; t++) {
            float score = simd_sum(qkv[at] * keys[t * place.dim + at]) * rsqrt(float(place.head));
            float next = max(largest, score);
            float old = exp(largest - next), weight = exp(score - next);
            total = total * old + weight;
            sum = sum * old + weight * values[t * place.dim + at];
            largest = next;
        }
        out[at] = sum / total;
    }

    kernel void add(device float *x [[buffer(0)]],
                    device const float *change [[buffer(1)]],
                    constant uint &n [[buffer(2)]],
                    uint i [[thread_position_in_grid]]) {
        if (i < n) x[i] += change[i];
    }
";

/// A weight from its indices: small values of both signs, so that activations stay small.
fn weight(matrix: usize, row: usize, column: usize) -> f32 {
    let mixed = (row * 31 + column * 17 + matrix * 101).wrapping_mul(2_654_435_761) >> 7;
    ((mixed % 2001) as f32 / 1000.0 - 1.0) * 0.15
}

/// The input of a token.
fn embedding(token: usize, channel: usize) -> f32 {
    ((token * 13 + channel * 7) % 23) as f32 / 11.5 - 1.0
}

/// The weight matrices: number, rows, columns.
const MATRICES: [(usize, usize); 4] = [(3 * DIM, DIM), (DIM, DIM), (HIDDEN, DIM), (DIM, HIDDEN)];

struct Model {
    rms_norm: Pipeline,
    matvec: Pipeline,
    rope: Pipeline,
    attend: Pipeline,
    add: Pipeline,
    weights: Vec<Buffer>,
    /// The inputs, a row for each token, which the outputs replace.
    x: Buffer,
    keys: Buffer,
    values: Buffer,
    normed: Buffer,
    qkv: Buffer,
    attended: Buffer,
    hidden: Buffer,
    change: Buffer,
}

/// One launch: buffers with their offsets, at consecutive indices, and a few words after them.
struct Launch<'a> {
    pipeline: &'a Pipeline,
    buffers: Vec<(&'a Buffer, usize)>,
    words: Vec<u8>,
    grid: Size,
    group: Size,
}

impl<'a> Launch<'a> {
    fn new<const B: usize, const W: usize>(
        pipeline: &'a Pipeline,
        buffers: [(&'a Buffer, usize); B],
        words: [usize; W],
        threads: usize,
    ) -> Self {
        let words = words.iter().flat_map(|&word| (word as u32).to_ne_bytes()).collect();
        Self { pipeline, buffers: buffers.into(), words, grid: (threads, 1, 1), group: (32, 1, 1) }
    }

    fn encode(&self, batch: &Batch<'_>) {
        batch.bind(self.pipeline);
        for (index, &(buffer, offset)) in self.buffers.iter().enumerate() {
            batch.bind_buffer(buffer, offset, index);
        }
        batch.push(&self.words, self.buffers.len());
        batch.launch(self.grid, self.group);
    }
}

impl Model {
    fn new(gpu: &Gpu) -> Result<Self, GpuError> {
        let library = gpu.compile(SOURCE)?;
        let kernel = |name| gpu.pipeline(&library.function(name)?);
        let floats = |count: usize| gpu.buffer(count * size_of::<f32>());
        let weights = MATRICES.into_iter().enumerate().map(|(matrix, (rows, columns))| {
            let buffer = floats(rows * columns)?;
            buffer.write_f32(|w| {
                w.iter_mut()
                    .enumerate()
                    .for_each(|(i, w)| *w = weight(matrix, i / columns, i % columns));
            });
            Ok(buffer)
        });
        Ok(Self {
            rms_norm: kernel("rms_norm")?,
            matvec: kernel("matvec")?,
            rope: kernel("rope")?,
            attend: kernel("attend")?,
            add: kernel("add")?,
            weights: weights.collect::<Result<_, GpuError>>()?,
            x: floats(TOKENS * DIM)?,
            keys: floats(TOKENS * DIM)?,
            values: floats(TOKENS * DIM)?,
            normed: floats(DIM)?,
            qkv: floats(3 * DIM)?,
            attended: floats(DIM)?,
            hidden: floats(HIDDEN)?,
            change: floats(DIM)?,
        })
    }

    fn matvec<'a>(
        &'a self,
        out: &'a Buffer,
        x: &'a Buffer,
        matrix: usize,
        relu: bool,
    ) -> Launch<'a> {
        let (rows, columns) = MATRICES[matrix];
        let buffers = [(out, 0), (x, 0), (&self.weights[matrix], 0)];
        Launch::new(&self.matvec, buffers, [columns, relu.into()], rows * 32)
    }

    /// The chain of one token.
    fn step(&self, token: usize) -> [Launch<'_>; 10] {
        let x = (&self.x, token * DIM * size_of::<f32>());
        let (qkv, keys, values) = ((&self.qkv, 0), (&self.keys, 0), (&self.values, 0));
        let place = [token, DIM, HEAD];
        let norm = || Launch::new(&self.rms_norm, [(&self.normed, 0), x], [DIM], 32);
        let residual = || Launch::new(&self.add, [x, (&self.change, 0)], [DIM], DIM);
        [
            norm(),
            self.matvec(&self.qkv, &self.normed, 0, false),
            Launch::new(&self.rope, [qkv, keys, values], place, DIM / 2),
            Launch::new(&self.attend, [(&self.attended, 0), qkv, keys, values], place, DIM),
            self.matvec(&self.change, &self.attended, 1, false),
            residual(),
            norm(),
            self.matvec(&self.hidden, &self.normed, 2, true),
            self.matvec(&self.change, &self.hidden, 3, false),
            residual(),
        ]
    }
}

/// The same on the CPU.
mod reference {
    use super::{DIM, EPSILON, HEAD, HEADS, MATRICES, TOKENS, embedding, weight};

    fn norm(x: &[f32]) -> Vec<f32> {
        let square: f32 = x.iter().map(|x| x * x).sum();
        let scale = 1.0 / (square / x.len() as f32 + EPSILON).sqrt();
        x.iter().map(|x| x * scale).collect()
    }

    fn matvec(matrix: usize, x: &[f32]) -> Vec<f32> {
        let (rows, columns) = MATRICES[matrix];
        (0..rows).map(|row| (0..columns).map(|k| weight(matrix, row, k) * x[k]).sum()).collect()
    }

    fn rope(part: &mut [f32], position: usize) {
        for (pair, v) in part.chunks_exact_mut(2).enumerate() {
            let power = -8.0 * ((2 * pair) % HEAD) as f32 / HEAD as f32;
            let (sin, cos) = (position as f32 * power.exp2()).sin_cos();
            (v[0], v[1]) = (v[0] * cos - v[1] * sin, v[0] * sin + v[1] * cos);
        }
    }

    fn attend(query: &[f32], cache: &[(Vec<f32>, Vec<f32>)]) -> Vec<f32> {
        let mut out = Vec::with_capacity(DIM);
        for head in 0..HEADS {
            let range = head * HEAD..(head + 1) * HEAD;
            let score = |key: &Vec<f32>| -> f32 {
                let products =
                    query[range.clone()].iter().zip(&key[range.clone()]).map(|(q, k)| q * k);
                products.sum::<f32>() / (HEAD as f32).sqrt()
            };
            let scores: Vec<f32> = cache.iter().map(|(key, _)| score(key)).collect();
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weights: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f32 = weights.iter().sum();
            out.extend(range.map(|channel| {
                let sum: f32 =
                    weights.iter().zip(cache).map(|(w, (_, value))| w * value[channel]).sum();
                sum / total
            }));
        }
        out
    }

    /// The outputs of all tokens.
    pub(crate) fn run() -> Vec<f32> {
        let (mut cache, mut out) = (Vec::new(), Vec::new());
        for token in 0..TOKENS {
            let mut x: Vec<f32> = (0..DIM).map(|channel| embedding(token, channel)).collect();
            let mut qkv = matvec(0, &norm(&x));
            qkv[..2 * DIM].chunks_exact_mut(DIM).for_each(|part| rope(part, token));
            cache.push((qkv[DIM..2 * DIM].to_vec(), qkv[2 * DIM..].to_vec()));
            let change = matvec(1, &attend(&qkv[..DIM], &cache));
            x.iter_mut().zip(change).for_each(|(x, change)| *x += change);
            let mut hidden = matvec(2, &norm(&x));
            hidden.iter_mut().for_each(|h| *h = h.max(0.0));
            x.iter_mut().zip(matvec(3, &hidden)).for_each(|(x, change)| *x += change);
            out.extend(x);
        }
        out
    }
}

/// Runs all tokens in one way, and checks and times them.
fn measure(
    name: &str,
    model: &Model,
    expected: &[f32],
    run: impl FnOnce() -> Result<(), GpuError>,
) -> Result<(), GpuError> {
    model.x.write_f32(|x| {
        x.iter_mut().enumerate().for_each(|(i, x)| *x = embedding(i / DIM, i % DIM));
    });
    let start = Instant::now();
    run()?;
    let time = start.elapsed();
    let distances =
        || expected.iter().enumerate().map(|(i, y)| model.x.read_f32(|x| (x[i] - y).abs()));
    let furthest = distances().fold(0.0, f32::max);
    println!(
        "{name}: {:.1} µs a token, furthest from the CPU by {furthest:.1e}",
        time.as_secs_f64() * 1e6 / TOKENS as f64
    );
    // Sums are added up in another order than on the CPU.
    assert!(distances().all(|distance| distance < 1e-3), "{name} is wrong");
    Ok(())
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    let model = Model::new(&gpu)?;
    let dispatch = Dispatch::new(&gpu.new_command_queue()?);
    let expected = reference::run();
    println!("{}: {TOKENS} tokens, {DIM} wide, {HEADS} heads, 10 kernels a token", gpu.name());

    measure("a command buffer a kernel", &model, &expected, || {
        for launch in (0..TOKENS).flat_map(|token| model.step(token)) {
            // SAFETY: the kernels stay within the model's buffers; the call waits.
            unsafe { dispatch.batch(|batch| launch.encode(batch))? }
        }
        Ok(())
    })?;
    measure("a command buffer a token", &model, &expected, || {
        for token in 0..TOKENS {
            // SAFETY: as above.
            unsafe {
                dispatch.batch(|batch| {
                    model.step(token).iter().for_each(|launch| launch.encode(batch))
                })?;
            }
        }
        Ok(())
    })?;
    measure("pipelined", &model, &expected, || {
        let mut previous: Option<GpuFuture> = None;
        for token in 0..TOKENS {
            let record = |batch: &Batch<'_>| {
                model.step(token).iter().for_each(|launch| launch.encode(batch))
            };
            // SAFETY: as above; the model outlives every future.
            let next = unsafe { dispatch.batch_async(record) };
            if let Some(previous) = previous.replace(next) {
                previous.wait()?;
            }
        }
        previous.map_or(Ok(()), GpuFuture::wait)
    })
}
