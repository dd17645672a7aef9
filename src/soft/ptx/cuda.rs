//! CUDA's driver: `libcuda.so.1`, opened when it is first needed, and the entry points that the back end calls.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::sync::OnceLock;

/// An address in the device's memory.
pub(super) type Address = u64;
/// A handle of the driver: a context, a module, a function or a stream.
pub(super) type Handle = *mut c_void;

/// An error that the driver returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CudaError {
    /// The entry point.
    pub(super) call: &'static str,
    /// The driver's number.
    pub(super) code: c_int,
    /// The driver's text.
    pub(super) text: String,
}

impl fmt::Display for CudaError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, code, text } = self;
        write!(out, "CUDA's {call} failed: {text} (error {code})")
    }
}

impl std::error::Error for CudaError {}

/// `CUDA_ERROR_NOT_READY`
pub(super) const NOT_READY: c_int = 600;

/// Declares the entry points: a field with a function pointer each, and a method that checks the result.
macro_rules! entry_points {
    ($($(#[$doc:meta])* $method:ident = $symbol:literal ($($arg:ident: $ty:ty),*);)*) => {
        /// The driver's entry points.
        pub(super) struct Cuda {
            $($method: unsafe extern "C" fn($($ty),*) -> c_int,)*
            error_text: unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int,
        }

        impl Cuda {
            /// Finds all entry points by `find`; the name of the first that is missing otherwise.
            pub(super) fn from(find: impl Fn(&CStr) -> *mut c_void) -> Result<Self, &'static str> {
                let get = |name: &'static str| {
                    let symbol = CString::new(name).map_err(|_| name)?;
                    let found = find(&symbol);
                    if found.is_null() { Err(name) } else { Ok(found) }
                };
                // SAFETY: the symbols are functions of these types, by CUDA's documentation.
                unsafe {
                    Ok(Self {
                        $($method: std::mem::transmute::<
                            *mut c_void,
                            unsafe extern "C" fn($($ty),*) -> c_int,
                        >(get($symbol)?),)*
                        error_text: std::mem::transmute::<
                            *mut c_void,
                            unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int,
                        >(get("cuGetErrorString")?),
                    })
                }
            }

            $(
                $(#[$doc])*
                ///
                /// # Safety
                /// As CUDA's documentation of the entry point demands: handles and pointers are valid.
                #[allow(clippy::too_many_arguments)] // The driver's own.
                pub(super) unsafe fn $method(&self, $($arg: $ty),*) -> Result<(), CudaError> {
                    // SAFETY: the caller's.
                    self.check($symbol, unsafe { (self.$method)($($arg),*) })
                }
            )*
        }
    };
}

entry_points! {
    /// Initialises the driver.
    init = "cuInit" (flags: c_uint);
    /// The number of devices.
    device_count = "cuDeviceGetCount" (count: *mut c_int);
    /// A device by its number.
    device = "cuDeviceGet" (device: *mut c_int, number: c_int);
    /// A device's name.
    device_name = "cuDeviceGetName" (name: *mut c_char, length: c_int, device: c_int);
    /// An attribute of a device.
    device_attribute = "cuDeviceGetAttribute" (value: *mut c_int, attribute: c_int, device: c_int);
    /// The context that all users of a device in a process share.
    retain_context = "cuDevicePrimaryCtxRetain" (context: *mut Handle, device: c_int);
    /// Makes a context that of the calling thread.
    set_context = "cuCtxSetCurrent" (context: Handle);
    /// Compiles a module.
    load_module = "cuModuleLoadDataEx" (
        module: *mut Handle, text: *const c_void, options: c_uint, names: *mut c_int, values: *mut *mut c_void
    );
    /// Releases a module.
    unload_module = "cuModuleUnload" (module: Handle);
    /// A function of a module.
    function = "cuModuleGetFunction" (function: *mut Handle, module: Handle, name: *const c_char);
    /// A variable of a module.
    global = "cuModuleGetGlobal_v2" (
        address: *mut Address, bytes: *mut usize, module: Handle, name: *const c_char
    );
    /// Takes memory of the device.
    allocate = "cuMemAlloc_v2" (address: *mut Address, bytes: usize);
    /// Releases memory of the device.
    free = "cuMemFree_v2" (address: Address);
    /// Takes memory of the host that stays where it is, which the device accesses at the same address.
    allocate_host = "cuMemHostAlloc" (address: *mut *mut c_void, bytes: usize, flags: c_uint);
    /// Takes memory that host and device access at the same address, and whose pages move between them.
    allocate_managed = "cuMemAllocManaged" (address: *mut Address, bytes: usize, flags: c_uint);
    /// Says how managed memory will be used.
    advise = "cuMemAdvise" (at: Address, bytes: usize, advice: c_int, device: c_int);
    /// Moves the pages of managed memory to a device, in the order of a stream.
    prefetch = "cuMemPrefetchAsync" (at: Address, bytes: usize, device: c_int, stream: Handle);
    /// Releases memory of the host.
    free_host = "cuMemFreeHost" (address: *mut c_void);
    /// Lets the device access memory of the host.
    register = "cuMemHostRegister_v2" (at: *mut c_void, bytes: usize, flags: c_uint);
    /// Ends that.
    unregister = "cuMemHostUnregister" (at: *mut c_void);
    /// The bytes of a device's memory.
    device_memory = "cuDeviceTotalMem_v2" (bytes: *mut usize, device: c_int);
    /// Copies to the device, in the order of a stream.
    copy_to_device = "cuMemcpyHtoDAsync_v2" (
        to: Address, from: *const c_void, bytes: usize, stream: Handle
    );
    /// Copies from the device, in the order of a stream.
    copy_from_device = "cuMemcpyDtoHAsync_v2" (
        to: *mut c_void, from: Address, bytes: usize, stream: Handle
    );
    /// Fills memory of the device with a byte, in the order of a stream.
    fill = "cuMemsetD8Async" (at: Address, byte: u8, bytes: usize, stream: Handle);
    /// A stream.
    create_stream = "cuStreamCreate" (stream: *mut Handle, flags: c_uint);
    /// Waits for all work of a stream.
    synchronize = "cuStreamSynchronize" (stream: Handle);
    /// Whether all work of a stream is done.
    query = "cuStreamQuery" (stream: Handle);
    /// Launches a kernel, in the order of a stream.
    launch = "cuLaunchKernel" (
        function: Handle,
        grid_x: c_uint, grid_y: c_uint, grid_z: c_uint,
        block_x: c_uint, block_y: c_uint, block_z: c_uint,
        shared: c_uint, stream: Handle, arguments: *mut *mut c_void, extra: *mut *mut c_void
    );
}

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

impl Cuda {
    /// The driver, initialised; otherwise why it cannot be used.
    pub(super) fn get() -> Result<&'static Self, &'static str> {
        static CUDA: OnceLock<Result<Cuda, String>> = OnceLock::new();
        CUDA.get_or_init(Self::open).as_ref().map_err(String::as_str)
    }

    fn open() -> Result<Self, String> {
        const NOW: c_int = 2;
        // SAFETY: the library's name ends with a zero; what it does when it is loaded is CUDA's.
        let library = unsafe { dlopen(c"libcuda.so.1".as_ptr(), NOW) };
        if library.is_null() {
            return Err("CUDA's driver, libcuda.so.1, cannot be loaded".to_owned());
        }
        // SAFETY: the library is open, and never closed.
        Self::started(|name| unsafe { dlsym(library, name.as_ptr()) })
    }

    /// The driver with these entry points, initialised.
    pub(super) fn started(find: impl Fn(&CStr) -> *mut c_void) -> Result<Self, String> {
        let missing = |name| format!("CUDA's driver, libcuda.so.1, has no {name}: it is too old");
        let cuda = Self::from(find).map_err(missing)?;
        // SAFETY: the flags must be 0.
        unsafe { cuda.init(0) }.map_err(|error| error.to_string())?;
        Ok(cuda)
    }

    fn check(&self, call: &'static str, code: c_int) -> Result<(), CudaError> {
        if code == 0 {
            return Ok(());
        }
        let mut text = std::ptr::null();
        // SAFETY: the text is a constant of the driver's.
        let known = unsafe { (self.error_text)(code, &raw mut text) } == 0 && !text.is_null();
        let text = match known {
            // SAFETY: as above.
            true => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
            false => "unknown error".to_owned(),
        };
        Err(CudaError { call, code, text })
    }
}
