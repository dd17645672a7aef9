//! The cost of a launch in a stream and in a replayed graph, compared with the same calls without them.
//!
//! A launch has a pipeline, four buffers and sixteen bytes. Eight of them may run concurrently, and then there is a
//! barrier. Times are of one launch, recorded and submitted, with `n` of them in a command buffer; waiting for the GPU does
//! not count. Compared with: calls of [`Batch`] and of [`Encoder`], both without any check or tracking of conflicts.
//!
//! Then the time until a kernel has run for the first time and its parts, with and without a file of compiled kernels; the
//! attention of a prompt, in tiles and token by token; and the time to load the weights of a file of 1 GiB.

use aruminium::encoder::EncoderImps;
use aruminium::infer::ops::Attention;
use aruminium::infer::weights::{Entry, Gguf};
use aruminium::infer::{
    Arg, ByteSlot, DType, Error, Graph, Grid, Kernel, Kernels, Ops, Slot, Stream, Tensor,
};
use aruminium::{BarrierScope, Batch, DispatchType, Encoder, Gpu, Queue, autorelease_pool};
use rounds::{compare, way};
use std::time::{Duration, Instant};

mod rounds;

const SOURCE: &str = "
    struct Shape { uint a, b, c, d; };
    kernel void four(device const float *x, device const float *y, device const float *z, device float *to,
                     constant Shape &shape, uint i [[thread_position_in_grid]]) {
        to[i] = x[i] * y[i] + z[i] + float(shape.a);
    }";

/// Bytes that every launch pushes.
const BYTES: [u8; 16] = [7; 16];
const SIZE: (usize, usize, usize) = (32, 1, 1);
const GRID: Grid = Grid::Threads { threads: SIZE, group: SIZE };
/// The number of launches that may run concurrently.
const ABREAST: usize = 8;

struct Bench {
    gpu: Gpu,
    queue: Queue,
    imps: EncoderImps,
    kernel: Kernel,
    inputs: [Tensor; 3],
    outputs: Vec<Tensor>,
    /// The number of launches in a command buffer.
    each: usize,
}

/// The calls of a command buffer, for an `Encoder` and for a `Batch`.
macro_rules! by_hand {
    ($encoder:expr, $bench:expr, $count:expr) => {
        for number in 0..$count {
            if number > 0 && number % ABREAST == 0 {
                $encoder.barrier(BarrierScope::BUFFERS);
            }
            $encoder.bind($bench.kernel.pipeline());
            for (index, input) in $bench.inputs.iter().enumerate() {
                $encoder.bind_buffer(input.memory(), input.offset(), index);
            }
            $encoder.bind_buffer($bench.outputs[number % ABREAST].memory(), 0, 3);
            $encoder.push(&BYTES, 4);
            $encoder.launch(SIZE, SIZE);
        }
    };
}

impl Bench {
    fn new() -> Result<Self, Error> {
        let gpu = Gpu::open()?;
        let kernels = Kernels::new(&gpu);
        kernels.add("four", SOURCE);
        let queue = gpu.new_command_queue()?;
        let commands = queue.commands()?;
        // SAFETY: the encoder is alive during the call.
        let imps = unsafe { EncoderImps::resolve(commands.encoder()?.as_raw()) };
        let tensor = || Tensor::new(&gpu, DType::F32, &[32]);
        let inputs = [tensor()?, tensor()?, tensor()?];
        let outputs = (0..ABREAST).map(|_| tensor()).collect::<Result<_, _>>()?;
        Ok(Self {
            imps,
            kernel: kernels.get("four", "four")?,
            queue,
            inputs,
            outputs,
            each: 1,
            gpu,
        })
    }

    /// Records and submits command buffers until they have a number of launches, and returns how long that took. After each
    /// the GPU is waited for, which does not count.
    fn timed<R>(&self, times: usize, submit: impl Fn(usize) -> R, wait: impl Fn(R)) -> Duration {
        let mut all = Duration::ZERO;
        for first in (0..times).step_by(self.each) {
            autorelease_pool(|| {
                let start = Instant::now();
                let submitted = submit(self.each.min(times - first));
                all += start.elapsed();
                wait(submitted);
            });
        }
        all
    }

    fn encode(&self, times: usize, record: impl Fn(&Encoder, usize)) -> Duration {
        let submit = |count| {
            let commands = self.queue.commands().expect("a command buffer");
            let encoder = commands.encoder_with(DispatchType::Concurrent).expect("an encoder");
            record(&encoder, count);
            encoder.finish();
            commands.submit();
            commands
        };
        self.timed(times, submit, |commands| commands.finish().expect("it runs"))
    }

    fn by_batch(&self, times: usize) -> Duration {
        self.encode(times, |encoder, count| {
            // SAFETY: the encoder is alive and open, and its class is that of the table.
            let batch = unsafe { Batch::new(encoder, &self.imps) };
            let batch = batch.expect("the table of the encoder's class");
            by_hand!(batch, self, count);
        })
    }

    fn by_encoder(&self, times: usize) -> Duration {
        self.encode(times, |encoder, count| by_hand!(encoder, self, count))
    }

    fn launches(
        &self,
        stream: &mut Stream,
        count: usize,
        slot: Option<ByteSlot>,
    ) -> Result<(), Error> {
        let [x, y, z] = &self.inputs;
        for number in 0..count {
            let bytes = match slot {
                Some(slot) if number == 0 => Arg::Slot(slot, &BYTES),
                _ => Arg::Bytes(&BYTES),
            };
            let to = &self.outputs[number % ABREAST];
            stream.launch(&self.kernel, &[x.into(), y.into(), z.into(), to.into(), bytes], GRID)?;
        }
        Ok(())
    }

    fn by_stream(&self, times: usize) -> Duration {
        let submit = |count| {
            let mut stream = Stream::new(&self.gpu, &self.queue);
            self.launches(&mut stream, count, None).expect("launches");
            stream.submit().expect("it is submitted")
        };
        self.timed(times, submit, |running| drop(running.wait().expect("it runs")))
    }

    fn graph(&self) -> Result<(Graph, (Slot, ByteSlot)), Error> {
        Graph::record(|stream| {
            let slots = (stream.slot(&self.inputs[0])?, stream.byte_slot()?);
            self.launches(stream, self.each, Some(slots.1))?;
            Ok(slots)
        })
    }

    fn by_graph(
        &self,
        (graph, (slot, bytes)): &(Graph, (Slot, ByteSlot)),
        other: &Tensor,
        times: usize,
    ) -> Duration {
        let submit = |_| {
            let mut stream = Stream::new(&self.gpu, &self.queue);
            stream.replay(graph, &[(*slot, other)], &[(*bytes, &BYTES)]).expect("a replay");
            stream.submit().expect("it is submitted")
        };
        self.timed(times, submit, |running| drop(running.wait().expect("it runs")))
    }
}

/// A prompt of 256 tokens: 8 heads of 64 values, which share two heads of keys and values.
fn attention(gpu: &Gpu, queue: &Queue) -> Result<(), Error> {
    const TOKENS: usize = 256;
    let ops = Ops::new(gpu);
    let tensor = |dtype, heads| Tensor::new(gpu, dtype, &[TOKENS, heads, 64]);
    let (q, o) = (tensor(DType::F32, 8)?, tensor(DType::F32, 8)?);
    let (k, v) = (tensor(DType::F16, 2)?, tensor(DType::F16, 2)?);
    let list: Vec<i32> = (0..TOKENS as i32).collect();
    let positions = Tensor::from_slice(gpu, &list, &[TOKENS])?;
    let run = |few_tokens: usize| {
        autorelease_pool(|| {
            let params =
                Attention { positions: Some(&positions), few_tokens, ..Attention::default() };
            let mut stream = Stream::new(gpu, queue);
            ops.attention(&mut stream, &q, &k, &v, &o, params).expect("a launch");
            stream.finish().expect("attention");
        });
    };
    compare(
        "attention of a prompt",
        None,
        &mut [way!("in tiles", run(0)), way!("token by token", run(TOKENS))],
    );
    Ok(())
}

/// The parts of the time until a kernel has run once: attention over 512 keys.
fn first_use(gpu: &Gpu, queue: &Queue) -> Result<(), Error> {
    const NAME: &str = "attention";
    let kernel = include_str!("../src/infer/kernels/attention.metal");
    let defines = [("CAUSAL", "1"), ("DIM", "64"), ("Q", "float"), ("K", "half"), ("V", "half")];
    let defines: String =
        defines.iter().map(|(name, value)| format!("#define {name} {value}\n")).collect();
    // Each round has a text of its own, so that nothing is known from the one before.
    let number = std::cell::Cell::new(0);
    let source = || {
        number.set(number.get() + 1);
        format!(
            "#include <metal_stdlib>\nusing namespace metal;\n{defines}#define O float\n{kernel}// {}\n",
            number.get()
        )
    };
    let file = std::env::temp_dir().join(format!("first-use-{}", std::process::id()));
    // A file with the kernel of one text.
    let known = source();
    let cached = |file: &std::path::Path| {
        let kernels = Kernels::cached(gpu, file);
        kernels.add(NAME, known.as_str());
        kernels.get(NAME, NAME).expect("a kernel");
        kernels
    };
    assert_eq!(cached(&file).save()?, 1);
    let shape = |rows, heads| Tensor::new(gpu, DType::F32, &[rows, heads, 64]);
    let (q, o) = (shape(1, 8)?, shape(1, 8)?);
    let [k, v] = [(); 2].map(|_| Tensor::new(gpu, DType::F16, &[512, 2, 64]));
    let (k, v) = (k?, v?);
    let words = [1u32, 8, 4, 512, 512, 64, 128, 64, 128, 64, 512, 64, 0, 512];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend([0.125f32, 0.0].iter().flat_map(|value| value.to_ne_bytes()));
    let positions = Tensor::from_slice(gpu, &[511i32], &[1])?;
    let run = |kernel: &Kernel| {
        let mut stream = Stream::new(gpu, queue);
        let tensors = [&q, &k, &v, &o].map(Arg::Tensor);
        let args: Vec<Arg<'_>> =
            tensors.into_iter().chain([Arg::Bytes(&bytes), Arg::Tensor(&positions)]).collect();
        let grid = Grid::Groups { groups: (1, 8, 1), group: (128, 1, 1) };
        stream.launch(kernel, &args, grid).expect("a launch");
        stream.finish().expect("attention");
    };
    let made = || {
        let library = gpu.compile(&source()).expect("it compiles");
        let function = library.function(NAME).expect("a kernel");
        Kernel::of(NAME, gpu.pipeline_reflected(&function).expect("a pipeline")).expect("a kernel")
    };
    compare(
        "a kernel's first use",
        None,
        &mut [
            way!("the text is compiled", gpu.compile(&source()).expect("it compiles")),
            way!("and the kernel is made", made()),
            way!("and is run", run(&made())),
            way!(
                "is run 20 times",
                (0..20).fold(made(), |kernel, _| {
                    run(&kernel);
                    kernel
                })
            ),
            way!("made without a file", {
                let kernels = Kernels::new(gpu);
                kernels.add(NAME, source());
                kernels.get(NAME, NAME).expect("a kernel")
            }),
            way!("made from a file", assert_eq!(cached(&file).loaded(), 1)),
        ],
    );
    Ok(std::fs::remove_file(file)?)
}

/// 64 tensors of 16 MiB.
fn load(gpu: &Gpu) -> Result<(), Error> {
    let path = std::env::temp_dir().join(format!("load-{}.gguf", std::process::id()));
    let bytes = vec![1u8; 16 << 20];
    let names: Vec<String> = (0..64).map(|i| format!("blk.{i}.weight")).collect();
    let entries: Vec<Entry<'_>> =
        names.iter().map(|name| Entry::new(name, DType::F16, &[2048, 4096], &bytes)).collect();
    Gguf::write(std::fs::File::create(&path)?, &[], &entries)?;
    let mapped = || {
        let file = Gguf::open(&path).expect("a file");
        // SAFETY: no program changes the file.
        let tensors = unsafe { file.weights().map(gpu, |_| ()) };
        assert_eq!(tensors.expect("the weights").len(), 64);
    };
    let read = || std::fs::read(&path).expect("the bytes");
    compare(
        "load a file of 1 GiB",
        None,
        &mut [way!("mapped", mapped()), way!("fs::read", read())],
    );
    Ok(std::fs::remove_file(path)?)
}

fn main() -> Result<(), Error> {
    let mut bench = Bench::new()?;
    println!("{}", bench.gpu.name());
    let other = Tensor::new(&bench.gpu, DType::F32, &[32])?;
    for each in [1000, 100] {
        bench.each = each;
        let graph = bench.graph()?;
        let bench = &bench;
        compare(
            &format!("a launch, {each} to a command buffer"),
            None,
            &mut [
                way!("Batch", timed | times | bench.by_batch(times)),
                way!("Encoder", timed | times | bench.by_encoder(times)),
                way!("Stream", timed | times | bench.by_stream(times)),
                way!("Graph, replayed", timed | times | bench.by_graph(&graph, &other, times)),
            ],
        );
    }
    first_use(&bench.gpu, &bench.queue)?;
    attention(&bench.gpu, &bench.queue)?;
    load(&bench.gpu)
}
