//! Limits of the device, those of Apple silicon: what Metal's classes report and check, what the compiler accepts, and
//! what back ends may rely on.

/// Threads of a SIMD-group.
pub(crate) const SIMD_WIDTH: u32 = 32;
/// Threads of a threadgroup, at most.
pub(crate) const THREADS: u32 = 1024;
/// Bytes of threadgroup memory, at most.
pub(crate) const THREADGROUP_MEMORY: u32 = 32 * 1024;
/// Indices of `[[buffer(n)]]`, and of `[[threadgroup(n)]]`.
pub(crate) const BUFFERS: u32 = 31;
/// The index of the hidden buffer that `os_log` writes to.
pub(crate) const LOG_BUFFER: u32 = BUFFERS;
/// Indices of `[[texture(n)]]`.
pub(crate) const TEXTURES: u32 = 128;
/// Indices of `[[sampler(n)]]`.
pub(crate) const SAMPLERS: u32 = 16;
/// Bytes that `setBytes:length:atIndex:` copies, at most.
pub(crate) const INLINE_BYTES: u32 = 4096;
