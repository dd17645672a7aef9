//! An NVIDIA GPU: its context, its limits, and memory of its own that is used again.

use crate::soft::sorted::SortedMap;
use std::ffi::{CStr, c_int};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::cuda::{Address, Cuda, CudaError, Handle};
use super::memory::Shared;
use super::transfer;

/// Attributes, by CUDA's numbers.
const COMPUTE_MAJOR: c_int = 75;
const COMPUTE_MINOR: c_int = 76;
const CONCURRENT_MANAGED_ACCESS: c_int = 89;
const USES_HOST_POINTERS: c_int = 91;

/// The most bytes of released memory that are kept to be used again.
const MAX_FREE_BYTES: usize = 1 << 30;

/// A GPU.
pub(super) struct Device {
    pub(super) cuda: &'static Cuda,
    pub(super) name: String,
    /// The compute capability: 90 for 9.0.
    pub(super) target: u32,
    /// The driver's number of it.
    pub(super) number: c_int,
    /// Whether host and device may access managed memory at the same time.
    pub(super) has_managed: bool,
    /// Whether memory of the host that is registered has the same address on the device.
    pub(super) uses_host_pointers: bool,
    /// The bytes of its memory.
    pub(super) memory: usize,
    /// The context, once something needs it: it takes long to make.
    context: OnceLock<Handle>,
    /// Memory that the host accesses, too.
    pub(super) shared: Shared,
    /// The address of the numbers of sRGB's transfer function, once textures need them.
    srgb: OnceLock<Address>,
    /// The kernels of copies, fills and stamps, once there are some.
    transfers: OnceLock<transfer::Code>,
    /// Released memory by its length, and the bytes of all of it.
    free: Mutex<(SortedMap<usize, Vec<Address>>, usize)>,
    /// Streams that no launch uses now.
    streams: Mutex<Vec<Stream>>,
}

// SAFETY: the driver may be called from all threads.
unsafe impl Send for Device {}
// SAFETY: as above; what changes is guarded by locks.
unsafe impl Sync for Device {}

/// A stream, and a second one for what has to reach the device while the first is busy.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    pub(super) main: Handle,
    pub(super) side: Handle,
}

// SAFETY: streams may be used from all threads.
unsafe impl Send for Stream {}

impl Device {
    /// How many there are.
    pub(super) fn count(cuda: &Cuda) -> Result<usize, CudaError> {
        let mut count = 0;
        // SAFETY: the number is written.
        unsafe { cuda.device_count(&raw mut count)? };
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The GPU of a number.
    pub(super) fn open(cuda: &'static Cuda, number: c_int) -> Result<Self, CudaError> {
        let (mut device, mut name) = (0, [0; 256]);
        let attribute = |of: c_int, which: c_int| {
            let mut value = 0;
            // SAFETY: the value is written.
            unsafe { cuda.device_attribute(&raw mut value, which, of) }.map(|()| value)
        };
        // SAFETY: everything that is written has room.
        unsafe {
            cuda.device(&raw mut device, number)?;
            cuda.device_name(name.as_mut_ptr(), name.len() as c_int - 1, device)?;
        }
        let target = attribute(device, COMPUTE_MAJOR)? * 10 + attribute(device, COMPUTE_MINOR)?;
        // SAFETY: the driver ends the name with a zero, and the last byte is one in any case.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        let mut memory = 0;
        // SAFETY: the number is written.
        unsafe { cuda.device_memory(&raw mut memory, device)? };
        Ok(Self {
            cuda,
            name,
            target: target as u32,
            number: device,
            has_managed: attribute(device, CONCURRENT_MANAGED_ACCESS)? != 0,
            uses_host_pointers: attribute(device, USES_HOST_POINTERS)? != 0,
            memory,
            context: OnceLock::new(),
            shared: Shared::default(),
            srgb: OnceLock::new(),
            transfers: OnceLock::new(),
            free: Mutex::default(),
            streams: Mutex::default(),
        })
    }

    /// Makes the device that of the calling thread.
    pub(super) fn enter(&self) -> Result<(), CudaError> {
        let context = match self.context.get() {
            Some(context) => *context,
            None => {
                let mut context = std::ptr::null_mut();
                // SAFETY: the handle is written. Another thread may get it, too: it is the same one.
                unsafe { self.cuda.retain_context(&raw mut context, self.number)? };
                *self.context.get_or_init(|| context)
            }
        };
        // SAFETY: the context lives as long as the process.
        unsafe { self.cuda.set_context(context) }
    }

    /// The address of the numbers of [`srgb`](super::tables::srgb), which stay there.
    pub(super) fn srgb(&self) -> Result<Address, CudaError> {
        if let Some(known) = self.srgb.get() {
            return Ok(*known);
        }
        let numbers = super::tables::srgb();
        let (stream, bytes, mut address) = (self.take_stream()?, size_of_val(&numbers[..]), 0);
        // SAFETY: the address is written; the memory has that many bytes; the copy is waited for.
        unsafe {
            self.cuda.allocate(&raw mut address, bytes)?;
            self.cuda.copy_to_device(address, numbers.as_ptr().cast(), bytes, stream.main)?;
            self.cuda.synchronize(stream.main)?;
        }
        self.give_stream(stream);
        Ok(*self.srgb.get_or_init(|| address))
    }

    /// The kernels of copies, fills and stamps.
    pub(super) fn transfers(&self) -> Result<&transfer::Code, CudaError> {
        if let Some(known) = self.transfers.get() {
            return Ok(known);
        }
        let code = transfer::Code::new(self)?;
        Ok(self.transfers.get_or_init(|| code))
    }

    /// A stream that no other launch uses.
    pub(super) fn take_stream(&self) -> Result<Stream, CudaError> {
        const NON_BLOCKING: u32 = 1;
        let taken = self.streams.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(stream) = taken {
            return Ok(stream);
        }
        let (mut main, mut side) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the handles are written.
        unsafe {
            self.cuda.create_stream(&raw mut main, NON_BLOCKING)?;
            self.cuda.create_stream(&raw mut side, NON_BLOCKING)?;
        }
        Ok(Stream { main, side })
    }

    /// Returns a stream whose work is done to the pool.
    pub(super) fn give_stream(&self, stream: Stream) {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }
}

/// Memory of the device. It is freed when this is dropped, so no work may use it any more then.
pub(super) struct Block {
    device: Arc<Device>,
    pub(super) address: Address,
    bytes: usize,
}

impl Block {
    /// Memory of at least `bytes` bytes, with any contents.
    pub(super) fn new(device: &Arc<Device>, bytes: usize) -> Result<Self, CudaError> {
        // A power of two, or a multiple of 2 MiB, so that released memory fits again.
        let bytes = match bytes.max(256) {
            small @ ..=0x20_0000 => small.next_power_of_two(),
            large => large.next_multiple_of(2 << 20),
        };
        let mut free = device.free.lock().unwrap_or_else(PoisonError::into_inner);
        let again = free.0.get_mut(&bytes).and_then(Vec::pop);
        if let Some(address) = again {
            free.1 -= bytes;
            return Ok(Self { device: Arc::clone(device), address, bytes });
        }
        drop(free);
        let mut address = 0;
        // SAFETY: the address is written.
        unsafe { device.cuda.allocate(&raw mut address, bytes)? };
        Ok(Self { device: Arc::clone(device), address, bytes })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut free = self.device.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.1 + self.bytes <= MAX_FREE_BYTES {
            free.1 += self.bytes;
            free.0.get_or_insert_with(self.bytes, Vec::new).push(self.address);
            return;
        }
        drop(free);
        if self.device.enter().is_ok() {
            // SAFETY: no work uses it. Nothing can be done about an error.
            let _ = unsafe { self.device.cuda.free(self.address) };
        }
    }
}
