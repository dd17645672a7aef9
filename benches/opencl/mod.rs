//! OpenCL, the peer of the kernels: loaded at run time, if `ARUMINIUM_BENCH_OPENCL` is set and
//! a driver is installed.
//!
//! `libOpenCL` is opened by name, so that the benchmarks build without it.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::mem::{size_of, size_of_val, transmute};
use std::ptr::{null, null_mut};

/// An object of OpenCL's.
type Object = *mut c_void;
type Status = c_int;

/// `CL_DEVICE_TYPE_ALL`, `CL_DEVICE_NAME`, and the flags of `clCreateBuffer` for memory that is written and
/// starts as a copy; `CL_TRUE`.
const ALL_DEVICES: u64 = 0xffff_ffff;
const DEVICE_NAME: c_uint = 0x102b;
const READ_WRITE_COPY: u64 = 1 | 1 << 5;
const BLOCKING: c_uint = 1;

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Declares the functions that are called, with OpenCL's own names, and how to find them.
macro_rules! api {
    ($($name:ident($($ty:ty),*) -> $result:ty;)*) => {
        #[allow(non_snake_case)] // OpenCL's spelling.
        struct Api {
            $($name: unsafe extern "C" fn($($ty),*) -> $result,)*
        }

        impl Api {
            /// All of them, if the library has them.
            fn load() -> Option<Self> {
                // SAFETY: the names end with NUL; RTLD_NOW is 2 on every Unix that has OpenCL.
                let library = unsafe { dlopen(c"libOpenCL.so.1".as_ptr(), 2) };
                if library.is_null() {
                    return None;
                }
                Some(Self {
                    $($name: {
                        let name = concat!(stringify!($name), "\0");
                        // SAFETY: the library is open, the name ends with NUL.
                        let found = unsafe { dlsym(library, name.as_ptr().cast()) };
                        if found.is_null() {
                            return None;
                        }
                        // SAFETY: OpenCL 1.1 declares the function of that name with this type.
                        unsafe { transmute::<*mut c_void, unsafe extern "C" fn($($ty),*) -> $result>(found) }
                    },)*
                })
            }
        }
    };
}

api! {
    clGetPlatformIDs(c_uint, *mut Object, *mut c_uint) -> Status;
    clGetDeviceIDs(Object, u64, c_uint, *mut Object, *mut c_uint) -> Status;
    clGetDeviceInfo(Object, c_uint, usize, *mut c_void, *mut usize) -> Status;
    clCreateContext(*const isize, c_uint, *const Object, *const c_void, *mut c_void, *mut Status) -> Object;
    clCreateCommandQueue(Object, Object, u64, *mut Status) -> Object;
    clCreateProgramWithSource(Object, c_uint, *const *const c_char, *const usize, *mut Status) -> Object;
    clBuildProgram(Object, c_uint, *const Object, *const c_char, *const c_void, *mut c_void) -> Status;
    clCreateKernel(Object, *const c_char, *mut Status) -> Object;
    clCreateBuffer(Object, u64, usize, *mut c_void, *mut Status) -> Object;
    clSetKernelArg(Object, c_uint, usize, *const c_void) -> Status;
    clEnqueueNDRangeKernel(
        Object, Object, c_uint, *const usize, *const usize, *const usize, c_uint, *const Object, *mut Object
    ) -> Status;
    clEnqueueReadBuffer(
        Object, Object, c_uint, usize, usize, *mut c_void, c_uint, *const Object, *mut Object
    ) -> Status;
    clFinish(Object) -> Status;
}

/// A device with a queue. Its objects live as long as the program.
pub(crate) struct OpenCl {
    api: Api,
    device: Object,
    context: Object,
    queue: Object,
}

/// Memory of the device.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    object: Object,
    bytes: usize,
}

/// An argument of a kernel.
pub(crate) enum Argument<'a> {
    Memory(Memory),
    Bytes(&'a [u8]),
}

/// A kernel with its arguments bound, and the threads that it runs.
pub(crate) struct Kernel<'a> {
    cl: &'a OpenCl,
    kernel: Object,
    grid: [usize; 3],
    group: [usize; 3],
}

fn checked(status: Status, what: &str) {
    assert_eq!(status, 0, "{what} failed");
}

impl OpenCl {
    /// The first device, if `ARUMINIUM_BENCH_OPENCL` is set.
    pub(crate) fn open() -> Option<Self> {
        std::env::var_os("ARUMINIUM_BENCH_OPENCL")?;
        let api = Api::load()?;
        let (mut platform, mut device, mut status) = (null_mut(), null_mut(), 0);
        // SAFETY: each call writes one object through its pointer, and is passed one device.
        let (context, queue) = unsafe {
            if (api.clGetPlatformIDs)(1, &mut platform, null_mut()) != 0
                || (api.clGetDeviceIDs)(platform, ALL_DEVICES, 1, &mut device, null_mut()) != 0
            {
                return None;
            }
            let context =
                (api.clCreateContext)(null(), 1, &device, null(), null_mut(), &mut status);
            checked(status, "clCreateContext");
            let queue = (api.clCreateCommandQueue)(context, device, 0, &mut status);
            checked(status, "clCreateCommandQueue");
            (context, queue)
        };
        Some(Self { api, device, context, queue })
    }

    /// The device's name.
    pub(crate) fn name(&self) -> String {
        let mut name = [0u8; 256];
        // SAFETY: at most all but the last byte are written.
        let status = unsafe {
            let to = name.as_mut_ptr().cast();
            (self.api.clGetDeviceInfo)(self.device, DEVICE_NAME, 255, to, null_mut())
        };
        checked(status, "clGetDeviceInfo");
        CStr::from_bytes_until_nul(&name).unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Memory with the bytes of a slice of numbers.
    pub(crate) fn memory<T: Copy>(&self, values: &[T]) -> Memory {
        let bytes = size_of_val(values);
        let mut status = 0;
        // SAFETY: the values are copied before the call returns.
        let object = unsafe {
            let from = values.as_ptr().cast_mut().cast();
            (self.api.clCreateBuffer)(self.context, READ_WRITE_COPY, bytes, from, &mut status)
        };
        checked(status, "clCreateBuffer");
        Memory { object, bytes }
    }

    /// The contents of memory.
    pub(crate) fn read<T: Copy + Default>(&self, memory: Memory) -> Vec<T> {
        let mut values = vec![T::default(); memory.bytes / size_of::<T>()];
        // SAFETY: the values have as many bytes, and the call returns when they are written.
        let status = unsafe {
            let to = values.as_mut_ptr().cast();
            let (queue, object) = (self.queue, memory.object);
            let read = self.api.clEnqueueReadBuffer;
            read(queue, object, BLOCKING, 0, memory.bytes, to, 0, null(), null_mut())
        };
        checked(status, "clEnqueueReadBuffer");
        values
    }

    /// The kernel of that name out of a source, with its arguments bound.
    pub(crate) fn kernel(
        &self,
        source: &str,
        name: &str,
        arguments: &[Argument<'_>],
        grid: (usize, usize, usize),
        group: (usize, usize, usize),
    ) -> Kernel<'_> {
        let api = &self.api;
        let name = CString::new(name).expect("a name has no NUL");
        let mut status = 0;
        // SAFETY: the source is passed with its length, the name ends with NUL, objects are live, and
        // arguments are copied by the call.
        let kernel = unsafe {
            let (text, length) = (source.as_ptr().cast(), source.len());
            let program =
                (api.clCreateProgramWithSource)(self.context, 1, &text, &length, &mut status);
            checked(status, "clCreateProgramWithSource");
            let options = c"".as_ptr();
            let status =
                (api.clBuildProgram)(program, 1, &self.device, options, null(), null_mut());
            checked(status, "clBuildProgram");
            let mut status = 0;
            let kernel = (api.clCreateKernel)(program, name.as_ptr(), &mut status);
            checked(status, "clCreateKernel");
            for (index, argument) in arguments.iter().enumerate() {
                let (bytes, from) = match argument {
                    Argument::Memory(memory) => {
                        (size_of::<Object>(), (&raw const memory.object).cast())
                    }
                    Argument::Bytes(bytes) => (bytes.len(), bytes.as_ptr().cast()),
                };
                let status = (api.clSetKernelArg)(kernel, index as c_uint, bytes, from);
                checked(status, "clSetKernelArg");
            }
            kernel
        };
        Kernel { cl: self, kernel, grid: grid.into(), group: group.into() }
    }
}

impl Kernel<'_> {
    /// Runs it to its end.
    pub(crate) fn run(&self) {
        let api = &self.cl.api;
        let (queue, grid, group) = (self.cl.queue, self.grid.as_ptr(), self.group.as_ptr());
        // SAFETY: sizes are given for three dimensions, and all objects are live.
        let (launched, finished) = unsafe {
            let launch = api.clEnqueueNDRangeKernel;
            let status = launch(queue, self.kernel, 3, null(), grid, group, 0, null(), null_mut());
            (status, (api.clFinish)(queue))
        };
        checked(launched, "clEnqueueNDRangeKernel");
        checked(finished, "clFinish");
    }
}
