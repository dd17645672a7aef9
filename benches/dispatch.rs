//! What work costs on its way to the GPU: encoding one dispatch, a round trip, and many launches one
//! by one, in batches, and in batches that overlap.

use aruminium::abi::{Id, Imp, MTLSize, Sel};
use aruminium::encoder::EncoderImps;
use aruminium::objc::link;
use aruminium::{
    Batch, Buffer, Dispatch, Encoder, Gpu, GpuError, GpuFuture, Pipeline, Queue, autorelease_pool,
    msg,
};
use rounds::{Way, compare, way};
use std::ffi::{CStr, c_void};

mod rounds;

const SOURCE: &str = "
    struct Shape { uint a, b, c, d; };
    kernel void tiny(device float *y [[buffer(0)]],
                     device const float *x [[buffer(1)]],
                     device const float *z [[buffer(2)]],
                     constant Shape &shape [[buffer(3)]],
                     uint i [[thread_position_in_grid]]) {
        y[i] = x[i] + z[i] + float(shape.a);
    }
";

/// How many dispatches go into one command buffer where encoding is measured.
const CHUNK: usize = 1000;
/// How many launches one unit of work has where ways of submitting are compared.
const LAUNCHES: usize = 16;

const GRID: (usize, usize, usize) = (32, 1, 1);

struct Bench {
    gpu: Gpu,
    queue: Queue,
    pipeline: Pipeline,
    buffers: [Buffer; 3],
}

/// What one dispatch is, spelt for an [`Encoder`] and for a [`Batch`].
macro_rules! one_dispatch {
    ($encoder:expr, $bench:expr) => {{
        $encoder.bind(&$bench.pipeline);
        $encoder.bind_buffer(&$bench.buffers[0], 0, 0);
        $encoder.bind_buffer(&$bench.buffers[1], 0, 1);
        $encoder.bind_buffer(&$bench.buffers[2], 0, 2);
        $encoder.push(&[7; 16], 3);
        $encoder.launch(GRID, GRID);
    }};
}

impl Bench {
    fn new() -> Result<Self, GpuError> {
        let gpu = Gpu::open()?;
        let pipeline = gpu.pipeline(&gpu.compile(SOURCE)?.function("tiny")?)?;
        let queue = gpu.new_command_queue()?;
        let buffers = [gpu.buffer(128)?, gpu.buffer(128)?, gpu.buffer(128)?];
        Ok(Self { gpu, queue, pipeline, buffers })
    }

    /// Has something encoded so many times, into command buffers that are thrown away.
    fn encode(&self, times: usize, mut record: impl FnMut(&Encoder, usize)) {
        for first in (0..times).step_by(CHUNK) {
            autorelease_pool(|| {
                let commands = self.queue.commands().expect("a command buffer");
                let encoder = commands.encoder().expect("an encoder");
                record(&encoder, CHUNK.min(times - first));
            });
        }
    }

    fn by_batch(&self, times: usize) {
        self.encode(times, |encoder, count| {
            // SAFETY: the encoder is alive.
            let imps = unsafe { EncoderImps::resolve(encoder.as_raw()) };
            let batch = Batch::new(encoder, &imps).expect("the table is of this encoder's class");
            (0..count).for_each(|_| one_dispatch!(batch, self));
        });
    }

    fn by_encoder(&self, times: usize) {
        self.encode(times, |encoder, count| (0..count).for_each(|_| one_dispatch!(encoder, self)));
    }

    fn by_messages(&self, times: usize) {
        let size = MTLSize::from(GRID);
        let bytes = [7u8; 16];
        self.encode(times, |encoder, count| {
            for _ in 0..count {
                // SAFETY: the selectors are the encoder's, with these types; all objects are alive.
                unsafe {
                    msg!(encoder, [setComputePipelineState: &self.pipeline]);
                    for (index, buffer) in self.buffers.iter().enumerate() {
                        msg!(encoder, [setBuffer: buffer, offset: 0usize, atIndex: index]);
                    }
                    msg!(encoder, [setBytes: bytes.as_ptr().cast::<c_void>(), length: 16usize, atIndex: 3usize]);
                    msg!(encoder, [dispatchThreads: size, threadsPerThreadgroup: size]);
                }
            }
        });
    }

    /// As a program does that keeps neither selectors nor functions.
    fn by_looked_up_selectors(&self, times: usize) {
        type SetObject = unsafe extern "C" fn(Id, Sel, Id);
        type SetBuffer = unsafe extern "C" fn(Id, Sel, Id, usize, usize);
        type SetBytes = unsafe extern "C" fn(Id, Sel, *const c_void, usize, usize);
        type Launch = unsafe extern "C" fn(Id, Sel, MTLSize, MTLSize);
        const SET_PIPELINE: &CStr = c"setComputePipelineState:";
        const SET_BUFFER: &CStr = c"setBuffer:offset:atIndex:";
        const SET_BYTES: &CStr = c"setBytes:length:atIndex:";
        const LAUNCH: &CStr = c"dispatchThreads:threadsPerThreadgroup:";
        let size = MTLSize::from(GRID);
        let bytes = [7u8; 16];
        // SAFETY: the types are those of the methods whose selectors are sent.
        let (set_object, set_buffer, set_bytes, launch) = unsafe {
            (
                std::mem::transmute::<Imp, SetObject>(link::objc_msgSend),
                std::mem::transmute::<Imp, SetBuffer>(link::objc_msgSend),
                std::mem::transmute::<Imp, SetBytes>(link::objc_msgSend),
                std::mem::transmute::<Imp, Launch>(link::objc_msgSend),
            )
        };
        self.encode(times, |encoder, count| {
            let encoder = encoder.as_raw();
            for _ in 0..count {
                // SAFETY: the names are C strings; all objects are alive.
                unsafe {
                    let selector = |name: &CStr| link::sel_registerName(name.as_ptr());
                    set_object(encoder, selector(SET_PIPELINE), self.pipeline.as_raw());
                    for (index, buffer) in self.buffers.iter().enumerate() {
                        set_buffer(encoder, selector(SET_BUFFER), buffer.as_raw(), 0, index);
                    }
                    set_bytes(encoder, selector(SET_BYTES), bytes.as_ptr().cast(), 16, 3);
                    launch(encoder, selector(LAUNCH), size, size);
                }
            }
        });
    }
}

fn encoding(bench: &Bench) {
    compare(
        "encode one dispatch",
        None,
        &mut [
            Way { name: "Batch", repeat: &mut |times| bench.by_batch(times) },
            Way { name: "Encoder", repeat: &mut |times| bench.by_encoder(times) },
            Way { name: "msg!", repeat: &mut |times| bench.by_messages(times) },
            Way {
                name: "selectors looked up",
                repeat: &mut |times| bench.by_looked_up_selectors(times),
            },
        ],
    );
}

fn round_trip(bench: &Bench) {
    let dispatch = Dispatch::new(&bench.queue);
    let empty = || {
        autorelease_pool(|| {
            let commands = bench.queue.commands().expect("a command buffer");
            commands.submit();
            commands.finish()
        })
    };
    let encoder = || {
        autorelease_pool(|| {
            let commands = bench.queue.commands()?;
            let encoder = commands.encoder()?;
            one_dispatch!(encoder, bench);
            encoder.finish();
            commands.submit();
            commands.finish()
        })
    };
    // SAFETY: the kernel stays within its buffers, which outlive the wait.
    let batch = || unsafe { dispatch.batch(|batch| one_dispatch!(batch, bench)) };
    compare(
        "submit to wait",
        None,
        &mut [
            way!("nothing", empty().expect("no fault")),
            way!("a tiny kernel, Dispatch", batch().expect("no fault")),
            way!("a tiny kernel, Encoder", encoder().expect("no fault")),
        ],
    );
}

fn submitting(bench: &Bench) {
    let dispatch = Dispatch::new(&bench.queue);
    let record = |batch: &Batch<'_>| (0..LAUNCHES).for_each(|_| one_dispatch!(batch, bench));
    // SAFETY, for all three: the kernel stays within its buffers, which outlive every wait.
    let one_by_one = || {
        for _ in 0..LAUNCHES {
            // SAFETY: as said above.
            unsafe { dispatch.batch(|batch| one_dispatch!(batch, bench)) }.expect("no fault");
        }
    };
    // SAFETY: as said above.
    let batched = || unsafe { dispatch.batch(record) }.expect("no fault");
    let mut pipelined = |times: usize| {
        let mut previous: Option<GpuFuture> = None;
        for _ in 0..times {
            // SAFETY: as said above.
            let next = unsafe { dispatch.batch_async(record) };
            if let Some(previous) = previous.replace(next) {
                previous.wait().expect("no fault");
            }
        }
    };
    compare(
        "16 tiny kernels",
        None,
        &mut [
            way!("a batch", batched()),
            Way { name: "a batch, pipelined", repeat: &mut pipelined },
            way!("one by one", one_by_one()),
        ],
    );
}

fn main() -> Result<(), GpuError> {
    let bench = Bench::new()?;
    println!("{}", bench.gpu.name());
    encoding(&bench);
    round_trip(&bench);
    submitting(&bench);
    Ok(())
}
