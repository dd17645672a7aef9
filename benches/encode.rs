//! The cost of encoding a dispatch: a pipeline, three buffers, sixteen bytes and a launch, six messages in all.
//!
//! Times are of one dispatch, with `n` of them in a command buffer, which is discarded. Through [`Batch`]'s
//! table, through [`Encoder`]'s messages, through `msg!`, and through `objc_msgSend` with every selector looked
//! up each time, as in a program that stores none. The limit: writing the arguments of the six messages to
//! memory.

use aruminium::abi::{Id, Imp, MTLSize, Sel};
use aruminium::encoder::EncoderImps;
use aruminium::objc::link;
use aruminium::{Batch, Buffer, Encoder, GpuError, autorelease_pool, msg};
use rounds::{compare, way};
use std::ffi::{CStr, c_void};
use std::hint::black_box;
use tiny::{GRID, Tiny, one_dispatch};

#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod objects;
mod rounds;
mod tiny;

/// Bytes that every dispatch pushes.
const BYTES: [u8; 16] = [7; 16];

struct Bench {
    tiny: Tiny,
    imps: EncoderImps,
    /// The number of dispatches in a command buffer.
    each: usize,
}

impl Bench {
    fn new() -> Result<Self, GpuError> {
        let tiny = Tiny::new()?;
        let commands = tiny.queue.commands()?;
        // SAFETY: the encoder is alive during the call.
        let imps = unsafe { EncoderImps::resolve(commands.encoder()?.as_raw()) };
        Ok(Self { tiny, imps, each: 1 })
    }

    /// Encodes `times` dispatches into command buffers that are discarded.
    fn encode(&self, times: usize, mut record: impl FnMut(&Encoder, usize)) {
        for first in (0..times).step_by(self.each) {
            autorelease_pool(|| {
                let commands = self.tiny.queue.commands().expect("a command buffer");
                let encoder = commands.encoder().expect("an encoder");
                record(&encoder, self.each.min(times - first));
            });
        }
    }

    fn by_batch(&self, times: usize) {
        self.encode(times, |encoder, count| {
            // SAFETY: the work is discarded.
            let batch = unsafe { Batch::new(encoder, &self.imps) };
            let batch = batch.expect("the table of the encoder's class");
            (0..count).for_each(|_| one_dispatch!(batch, self.tiny));
        });
    }

    fn by_encoder(&self, times: usize) {
        self.encode(times, |encoder, count| {
            (0..count).for_each(|_| one_dispatch!(encoder, self.tiny));
        });
    }

    fn by_messages(&self, times: usize) {
        let size = MTLSize::from(GRID);
        self.encode(times, |encoder, count| {
            for _ in 0..count {
                // SAFETY: the selectors are the encoder's, with these types; all objects are alive.
                unsafe {
                    msg!(encoder, [setComputePipelineState: &self.tiny.pipeline]);
                    for (index, buffer) in self.tiny.buffers.iter().enumerate() {
                        msg!(encoder, [setBuffer: buffer, offset: 0usize, atIndex: index]);
                    }
                    msg!(encoder, [setBytes: BYTES.as_ptr().cast::<c_void>(), length: 16usize, atIndex: 3usize]);
                    msg!(encoder, [dispatchThreads: size, threadsPerThreadgroup: size]);
                }
            }
        });
    }

    /// Binds buffers in turn, by the method that tracks them or by its message alone.
    fn bind(&self, times: usize, buffers: &[Buffer], tracked: bool) {
        self.encode(times, |encoder, count| {
            for buffer in buffers.iter().cycle().take(count) {
                if tracked {
                    encoder.bind_buffer(buffer, 0, 0);
                } else {
                    // SAFETY: the selector is the encoder's, with these types; both objects are alive.
                    unsafe { msg!(encoder, [setBuffer: buffer, offset: 0usize, atIndex: 0usize]) };
                }
            }
        });
    }

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
                    set_object(encoder, selector(SET_PIPELINE), self.tiny.pipeline.as_raw());
                    for (index, buffer) in self.tiny.buffers.iter().enumerate() {
                        set_buffer(encoder, selector(SET_BUFFER), buffer.as_raw(), 0, index);
                    }
                    set_bytes(encoder, selector(SET_BYTES), BYTES.as_ptr().cast(), 16, 3);
                    launch(encoder, selector(LAUNCH), size, size);
                }
            }
        });
    }
}

/// The arguments of a dispatch: a pipeline; three times a buffer, an offset and an index; a length, an index
/// and sixteen bytes; two sizes.
type Words = [u64; 1 + 9 + 4 + 6];

/// The limit: writing the arguments of a command buffer's dispatches, `times` times.
fn by_hand(memory: &mut [Words], times: usize) {
    for first in (0..times).step_by(memory.len()) {
        for dispatch in memory.iter_mut().take(times - first) {
            *dispatch = black_box(Words::default());
        }
        black_box(&mut *memory);
    }
}

/// The same by `objc2-metal`.
#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod peer {
    use super::{BYTES, Bench, objects::theirs};
    use objc2::rc::{Retained, autoreleasepool};
    use objc2::runtime::ProtocolObject;
    use objc2_metal::*;
    use std::ptr::NonNull;

    pub(super) struct Peer {
        queue: Retained<ProtocolObject<dyn MTLCommandQueue>>,
        pipeline: Retained<ProtocolObject<dyn MTLComputePipelineState>>,
        buffers: [Retained<ProtocolObject<dyn MTLBuffer>>; 3],
        each: usize,
    }

    impl Peer {
        pub(super) fn of(bench: &Bench) -> Self {
            Self {
                queue: theirs(&bench.tiny.queue),
                pipeline: theirs(&bench.tiny.pipeline),
                buffers: [0, 1, 2].map(|index| theirs(&bench.tiny.buffers[index])),
                each: bench.each,
            }
        }

        pub(super) fn encode(&self, times: usize) {
            let (width, height, depth) = super::GRID;
            let size = MTLSize { width, height, depth };
            for first in (0..times).step_by(self.each) {
                autoreleasepool(|_| {
                    let commands = self.queue.commandBuffer().expect("a command buffer");
                    let encoder = commands.computeCommandEncoder().expect("an encoder");
                    for _ in 0..self.each.min(times - first) {
                        encoder.setComputePipelineState(&self.pipeline);
                        for (index, buffer) in self.buffers.iter().enumerate() {
                            // SAFETY: the offset is inside the buffer, and the kernel has the index.
                            unsafe { encoder.setBuffer_offset_atIndex(Some(buffer), 0, index) };
                        }
                        let bytes = NonNull::from(&BYTES).cast();
                        // SAFETY: there are as many bytes.
                        unsafe { encoder.setBytes_length_atIndex(bytes, BYTES.len(), 3) };
                        encoder.dispatchThreads_threadsPerThreadgroup(size, size);
                    }
                    encoder.endEncoding();
                });
            }
        }
    }
}

fn main() -> Result<(), GpuError> {
    let mut bench = Bench::new()?;
    println!("{}", bench.tiny.gpu.name());
    for each in [100, 1, 10, 1000] {
        bench.each = each;
        let bench = &bench;
        let mut memory = vec![Words::default(); each];
        #[cfg(all(target_vendor = "apple", feature = "peers"))]
        let peer = peer::Peer::of(bench);
        compare(
            &format!("a dispatch, {each} to a command buffer"),
            None,
            &mut [
                way!("words written", |times| by_hand(&mut memory, times)),
                way!("Batch", |times| bench.by_batch(times)),
                way!("Encoder", |times| bench.by_encoder(times)),
                way!("msg!", |times| bench.by_messages(times)),
                way!("selectors looked up", |times| bench.by_looked_up_selectors(times)),
                #[cfg(all(target_vendor = "apple", feature = "peers"))]
                way!("objc2-metal", |times| peer.encode(times)),
            ],
        );
    }
    // The bindings of a command buffer are all of one buffer, or each of another.
    bench.each = 1000;
    let many = (0..bench.each).map(|_| bench.tiny.gpu.buffer(128));
    let many = many.collect::<Result<Vec<Buffer>, GpuError>>()?;
    for (title, buffers) in [("a bind made before", &many[..1]), ("a first bind", &many[..])] {
        compare(
            title,
            None,
            &mut [
                way!("its message", |times| bench.bind(times, buffers, false)),
                way!("tracked", |times| bench.bind(times, buffers, true)),
            ],
        );
    }
    Ok(())
}
