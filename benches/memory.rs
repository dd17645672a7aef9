//! What it costs to make a buffer and to release it, by size, untouched and filled.
//!
//! Shared, private, with a copy of data, and wrapped around memory that is there. The limit is what the
//! program's own allocator takes for as many zeroed bytes.

use aruminium::{Gpu, GpuError, ResourceOptions};
use rounds::{compare, way};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::hint::black_box;

#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod objects;
mod rounds;

/// Memory that begins and ends at a page, as what is wrapped must. Apple's are of 16 KiB.
struct Pages(*mut u8, Layout);

impl Pages {
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes, 16 << 10).expect("a layout that there is");
        // SAFETY: no size here is zero.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        Self(start, layout)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: `new` took it with this layout.
        unsafe { dealloc(self.0, self.1) }
    }
}

/// Made and released, nothing else.
fn untouched(gpu: &Gpu, size: &str, bytes: usize) {
    let pages = Pages::new(bytes);
    let data = vec![1u8; bytes];
    #[cfg(all(target_vendor = "apple", feature = "peers"))]
    let peer = peer::device(gpu);
    compare(
        &format!("a buffer of {size}"),
        None,
        &mut [
            way!("zeroed Vec", vec![0u8; bytes]),
            way!("shared", gpu.buffer(bytes).expect("a buffer")),
            way!("private", gpu.buffer_private(bytes).expect("a buffer")),
            // SAFETY: the pages outlive the buffer, which nothing is done with.
            way!("wrapped", unsafe { gpu.buffer_wrap(pages.0.cast(), bytes) }.expect("a buffer")),
            way!("with data", gpu.buffer_with_data(&data).expect("a buffer")),
            #[cfg(all(target_vendor = "apple", feature = "peers"))]
            way!("objc2-metal, shared", peer::buffer(&peer, bytes)),
        ],
    );
}

/// Every byte is written between.
fn filled(gpu: &Gpu, size: &str, bytes: usize) {
    let shared = |options| {
        let buffer = gpu.buffer_with_options(bytes, options).expect("a buffer");
        buffer.write(|bytes| black_box(bytes).fill(1));
        buffer
    };
    let vec = || {
        let mut bytes = vec![0u8; bytes];
        black_box(&mut bytes[..]).fill(1);
        bytes
    };
    let kept = shared(ResourceOptions::STORAGE_SHARED);
    compare(
        &format!("a buffer of {size}, filled"),
        None,
        &mut [
            way!("zeroed Vec", vec()),
            way!("shared", shared(ResourceOptions::STORAGE_SHARED)),
            way!("one that is kept", kept.write(|bytes| black_box(bytes).fill(1))),
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
    use objc2_metal::*;

    pub(super) fn device(gpu: &Gpu) -> Retained<ProtocolObject<dyn MTLDevice>> {
        theirs(gpu)
    }

    pub(super) fn buffer(
        device: &ProtocolObject<dyn MTLDevice>,
        bytes: usize,
    ) -> Retained<ProtocolObject<dyn MTLBuffer>> {
        let shared = MTLResourceOptions::StorageModeShared;
        device.newBufferWithLength_options(bytes, shared).expect("a buffer")
    }
}

fn main() -> Result<(), GpuError> {
    const SIZES: [(&str, usize); 4] =
        [("1 MiB", 1 << 20), ("16 KiB", 16 << 10), ("16 MiB", 16 << 20), ("128 MiB", 128 << 20)];
    let gpu = Gpu::open()?;
    println!("{}", gpu.name());
    for (size, bytes) in SIZES {
        untouched(&gpu, size, bytes);
    }
    for (size, bytes) in &SIZES[..3] {
        filled(&gpu, size, *bytes);
    }
    Ok(())
}
