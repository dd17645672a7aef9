//! `include_metal!`: the text of a Metal source, which knows its file.

// The example is a program of its own: in the program that rustdoc merges the others into, the path would be relative to another
// folder, and nothing would be merged.
/// The text of a file as a `&'static str`, for [`Gpu::compile`](crate::Gpu::compile). Messages of the compiler and faults of
/// kernels name the file.
///
/// The path is relative to the Rust file, as for [`include_str!`].
///
/// ```standalone_crate
/// use aruminium::{Gpu, include_metal};
/// let library = Gpu::open()?.compile(include_metal!("../benches/kernels/saxpy.metal"))?;
/// # Ok::<(), aruminium::GpuError>(())
/// ```
///
/// A build script can check such files: [`Source::check_in_build`](crate::Source::check_in_build).
#[macro_export]
macro_rules! include_metal {
    ($path:literal $(,)?) => {
        concat!("#line 1 \"", $path, "\"\n", include_str!($path))
    };
}
