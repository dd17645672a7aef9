//! The cost of compiling a source to a library, and a library to a pipeline.
//!
//! One small kernel, and a source with many. Every source is new, so that no cache of the system has it. The
//! limit: reading each byte of the source once.

use aruminium::{Gpu, GpuError};
use rounds::{compare, way};
use std::cell::Cell;
use std::fmt::Write;
use std::hint::black_box;

#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod objects;
mod rounds;

const HEAD: &str = "#include <metal_stdlib>\nusing namespace metal;\n";

const SMALL: &str = "
kernel void scale(device float *y, device const float *x, constant float &a,
                  uint i [[thread_position_in_grid]]) {
    y[i] = a * x[i];
}
";

/// A template, a helper and a reduction: `@` is the number of the copy.
const PART: &str = "
struct Shape@ { uint rows; uint columns; float scale; };

template <typename T> inline T sum_of_lanes@(T value, uint width) {
    for (uint step = width / 2; step > 0; step /= 2) value += simd_shuffle_down(value, ushort(step));
    return value;
}

static inline float activate@(float x) { return x / (1.0f + exp(-x)); }

kernel void rows@(device float *out [[buffer(0)]], device const float4 *in [[buffer(1)]],
                  constant Shape@ &shape [[buffer(2)]], uint row [[threadgroup_position_in_grid]],
                  uint lane [[thread_index_in_simdgroup]], uint group [[simdgroup_index_in_threadgroup]]) {
    threadgroup float partial[32];
    float sum = 0;
    for (uint k = lane + 32 * group; k < shape.columns; k += 1024) {
        float4 x = in[row * shape.columns + k];
        sum += dot(x, x) * shape.scale;
    }
    sum = sum_of_lanes@<float>(sum, 32);
    if (lane == 0) partial[group] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (group == 0) {
        sum = sum_of_lanes@<float>(partial[lane], 32);
        if (lane == 0 && row < shape.rows) out[row] = activate@(sum);
    }
}
";

/// A source that a comment at its end makes unique each time.
struct Source {
    text: String,
    kernel: &'static str,
    times: Cell<usize>,
}

impl Source {
    fn new(parts: impl IntoIterator<Item = String>, kernel: &'static str) -> Self {
        let text = std::iter::once(HEAD.to_owned()).chain(parts).collect();
        Self { text, kernel, times: Cell::new(0) }
    }

    fn fresh(&self) -> String {
        self.times.set(self.times.get() + 1);
        let mut text = self.text.clone();
        writeln!(text, "// {}", self.times.get()).expect("a String takes all");
        text
    }
}

fn compiling(gpu: &Gpu, title: &str, source: &Source) {
    let library = gpu.compile(&source.text).expect("a source that compiles");
    let pipeline = |library: &aruminium::ShaderLib| {
        let kernel = library.function(source.kernel).expect("a kernel of the source");
        gpu.pipeline(&kernel).expect("a pipeline")
    };
    #[cfg(all(target_vendor = "apple", feature = "peers"))]
    let peer = peer::device(gpu);
    compare(
        title,
        None,
        &mut [
            way!("bytes looked at", {
                let text = source.fresh();
                black_box(text.as_bytes()).iter().filter(|&&byte| byte == b'\n').count()
            }),
            way!("to a library", gpu.compile(&source.fresh()).expect("a library")),
            way!("and to a pipeline", pipeline(&gpu.compile(&source.fresh()).expect("a library"))),
            way!("library to pipeline", pipeline(&library)),
            #[cfg(all(target_vendor = "apple", feature = "peers"))]
            way!("objc2-metal, to a library", peer::library(&peer, &source.fresh())),
        ],
    );
}

/// The same by `objc2-metal`.
#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod peer {
    use super::objects::theirs;
    use aruminium::Gpu;
    use objc2::rc::Retained;
    use objc2::runtime::ProtocolObject;
    use objc2_foundation::NSString;
    use objc2_metal::*;

    pub(super) fn device(gpu: &Gpu) -> Retained<ProtocolObject<dyn MTLDevice>> {
        theirs(gpu)
    }

    pub(super) fn library(
        device: &ProtocolObject<dyn MTLDevice>,
        source: &str,
    ) -> Retained<ProtocolObject<dyn MTLLibrary>> {
        let source = NSString::from_str(source);
        device.newLibraryWithSource_options_error(&source, None).expect("a library")
    }
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    println!("{}", gpu.name());
    let small = Source::new([SMALL.to_owned()], "scale");
    compiling(&gpu, &format!("a small source, {} lines", small.text.lines().count()), &small);
    let parts = (0..32).map(|copy| PART.replace('@', &copy.to_string()));
    let large = Source::new(parts, "rows17");
    let title = format!("a large source, {} lines", large.text.lines().count());
    compiling(&gpu, &title, &large);
    Ok(())
}
