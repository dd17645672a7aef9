//! CUDA's driver for tests: its memory is the host's, kernels write the fault record that a test wants, or nothing, and entry points
//! fail where a test wants it.

use std::alloc::{Layout, alloc_zeroed};
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::super::Gpu;
use super::super::cuda::{Address, Cuda, Handle, NOT_READY};
use super::super::emit::{layout, record};
use super::super::transfer;
use crate::soft::kernel::texture::{Level, Texture};
use crate::soft::kernel::{
    Backend, Binding, CompileOptions, DeviceMemory, Executable, Fault, FaultKind, Launch, Submitted,
};
use crate::soft::msl;
use crate::soft::stream::format::Format;
use std::time::Duration;

mod launches;
mod memory;

/// The state of this thread's driver.
#[derive(Default)]
struct Wanted {
    /// The entry point that fails, and the error. Once the context is lost all fail.
    failing: Option<(&'static str, c_int)>,
    lost: bool,
    /// The fault record of the next launch: site, value and position.
    fault: Option<(u32, u64, [u32; 3])>,
    /// Whether kernels run until they are stopped, and then have a fault at this site.
    endless: Option<u32>,
    /// The address of the last launch's fault record.
    record: Address,
    /// The address of its table of textures.
    textures: Address,
    stopped: bool,
    /// The entry points that were called.
    calls: Vec<&'static str>,
    /// Copies from the device: the destinations, and the numbers of bytes.
    copied: Vec<(usize, usize)>,
    /// Whether work goes on until the time of its end is requested.
    slow: bool,
    /// Whether kernels that are stopped end without a fault.
    ends: bool,
    /// The word that stops kernels, when the last launch began.
    stop: u32,
    /// The texts that were compiled.
    texts: Vec<String>,
    /// How many GPUs there are besides the first, and the number of one whose name is not known.
    more: c_int,
    nameless: Option<c_int>,
}

thread_local! {
    static WANTED: RefCell<Wanted> = RefCell::default();
}

/// `CUDA_ERROR_ILLEGAL_ADDRESS`: after it no call works.
const ILLEGAL_ADDRESS: c_int = 700;

fn wanted<T>(change: impl FnOnce(&mut Wanted) -> T) -> T {
    WANTED.with_borrow_mut(change)
}

/// Notes a call; the error that it has to return.
fn called(name: &'static str) -> Option<c_int> {
    wanted(|wanted| {
        wanted.calls.push(name);
        let error = wanted.failing.filter(|(failing, _)| *failing == name).map(|(_, error)| error);
        wanted.lost |= error == Some(ILLEGAL_ADDRESS);
        if wanted.lost { Some(ILLEGAL_ADDRESS) } else { error }
    })
}

/// Memory that is never released: later launches reuse it.
fn memory(bytes: usize) -> usize {
    let layout = Layout::from_size_align(bytes.max(1), 4096).expect("a length");
    // SAFETY: the length is not 0.
    unsafe { alloc_zeroed(layout) }.expose_provenance()
}

/// Declares the entry points, and [`find`], which returns their addresses by name.
macro_rules! double {
    ($($name:ident($($arg:ident: $ty:ty),*) $body:block)*) => {
        $(
            // The driver's own; some do nothing.
            #[allow(non_snake_case, unused_unsafe, clippy::too_many_arguments)]
            unsafe extern "C" fn $name($($arg: $ty),*) -> c_int {
                if let Some(error) = called(stringify!($name)) {
                    return error;
                }
                // SAFETY: the caller passes what CUDA's documentation of the entry point demands.
                unsafe { $body }
            }
        )*

        /// The address of an entry point.
        fn find(name: &CStr) -> *mut c_void {
            match name.to_bytes() {
                $(name if name == stringify!($name).as_bytes() => $name as *mut c_void,)*
                b"cuGetErrorString" => error_text as *mut c_void,
                _ => std::ptr::null_mut(),
            }
        }

        /// The names of all entry points.
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

unsafe extern "C" fn error_text(code: c_int, text: *mut *const c_char) -> c_int {
    let known = match code {
        2 => c"out of memory",
        218 => c"a PTX JIT compilation failed",
        ILLEGAL_ADDRESS => c"an illegal memory access was encountered",
        _ => return 1,
    };
    // SAFETY: the caller's.
    unsafe { text.write(known.as_ptr()) };
    0
}

/// Writes a fault record.
///
/// # Safety
/// A record is at the address.
unsafe fn put_record(at: Address, (site, value, position): (u32, u64, [u32; 3])) {
    let base = std::ptr::with_exposed_provenance_mut::<u8>(at as usize);
    // SAFETY: the caller's; fields of a record are aligned.
    unsafe {
        base.add(record::SITE).cast::<u32>().write(site);
        base.add(record::VALUE).cast::<u64>().write(value);
        base.add(record::POSITION).cast::<[u32; 3]>().write(position);
        base.add(record::SET).cast::<u32>().write(1);
    }
}

/// The offset of a unit's size in the handle of a fill.
const FILLS: usize = 100;
/// The handle of the kernel that writes the time.
const STAMP: usize = 200;

/// The work of a transfer's kernel.
///
/// # Safety
/// Both ends are valid.
unsafe fn move_units(function: usize, argument: &transfer::Argument) {
    let to = std::ptr::with_exposed_provenance_mut::<u8>(argument.to as usize);
    let count = argument.count as usize;
    if argument.number == 1 {
        // SAFETY: the caller's.
        unsafe {
            std::ptr::with_exposed_provenance_mut::<u64>(argument.began as usize).write(1_000)
        };
    }
    // SAFETY: the caller's.
    unsafe {
        match function.checked_sub(FILLS) {
            Some(unit) => to.write_bytes(argument.value as u8, count * unit),
            None => {
                let from = std::ptr::with_exposed_provenance::<u8>(argument.from as usize);
                to.copy_from_nonoverlapping(from, count * function);
            }
        }
    }
}

double! {
    cuInit(_flags: c_uint) { 0 }
    cuDeviceGetCount(count: *mut c_int) { count.write(1 + wanted(|wanted| wanted.more)); 0 }
    cuDeviceGet(device: *mut c_int, number: c_int) { device.write(number); 0 }
    cuDeviceGetName(name: *mut c_char, _length: c_int, device: c_int) {
        if wanted(|wanted| wanted.nameless) == Some(device) {
            return 2;
        }
        name.copy_from(c"Double".as_ptr(), 7);
        0
    }
    cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, _device: c_int) {
        value.write(if attribute == 75 { 9 } else { c_int::from(attribute != 76) });
        0
    }
    cuDevicePrimaryCtxRetain(context: *mut Handle, _device: c_int) { context.write(std::ptr::null_mut()); 0 }
    cuCtxSetCurrent(_context: Handle) { 0 }
    cuModuleLoadDataEx(module: *mut Handle, text: *const c_void, _options: c_uint, _names: *mut c_int, _values: *mut *mut c_void) {
        let text = CStr::from_ptr(text.cast()).to_string_lossy().into_owned();
        wanted(|wanted| wanted.texts.push(text));
        module.write(std::ptr::null_mut());
        0
    }
    cuModuleUnload(_module: Handle) { 0 }
    cuModuleGetFunction(function: *mut Handle, _module: Handle, name: *const c_char) {
        // Kernels of transfers have the size of their units in their names.
        let name = CStr::from_ptr(name).to_str().expect("a name");
        let unit = |kind: &str| name.strip_prefix(kind).and_then(|unit| unit.parse::<usize>().ok());
        let found = unit("copy").or_else(|| Some(FILLS + unit("fill")?));
        let found = if name == "stamp" { Some(STAMP) } else { found };
        function.write(std::ptr::without_provenance_mut(found.unwrap_or(0)));
        0
    }
    cuModuleGetGlobal_v2(address: *mut Address, bytes: *mut usize, _module: Handle, _name: *const c_char) {
        address.write(0); bytes.write(0);
        0
    }
    cuMemAlloc_v2(address: *mut Address, bytes: usize) { address.write(memory(bytes) as Address); 0 }
    cuMemFree_v2(_address: Address) { 0 }
    cuMemHostAlloc(address: *mut *mut c_void, bytes: usize, _flags: c_uint) {
        address.write(std::ptr::with_exposed_provenance_mut(memory(bytes)));
        0
    }
    cuMemAllocManaged(address: *mut Address, bytes: usize, _flags: c_uint) {
        address.write(memory(bytes) as Address);
        0
    }
    cuMemAdvise(_at: Address, _bytes: usize, _advice: c_int, _device: c_int) { 0 }
    cuMemPrefetchAsync(_at: Address, _bytes: usize, _device: c_int, _stream: Handle) { 0 }
    cuMemFreeHost(_address: *mut c_void) { 0 }
    cuMemHostRegister_v2(_at: *mut c_void, _bytes: usize, _flags: c_uint) { 0 }
    cuMemHostUnregister(_at: *mut c_void) { 0 }
    cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int) { bytes.write(1 << 30); 0 }
    cuMemcpyHtoDAsync_v2(to: Address, from: *const c_void, bytes: usize, _stream: Handle) {
        std::ptr::with_exposed_provenance_mut::<u8>(to as usize).copy_from(from.cast(), bytes);
        0
    }
    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: Address, bytes: usize, _stream: Handle) {
        wanted(|wanted| wanted.copied.push((to.addr(), bytes)));
        to.cast::<u8>().copy_from(std::ptr::with_exposed_provenance(from as usize), bytes);
        0
    }
    cuMemsetD8Async(at: Address, byte: u8, bytes: usize, _stream: Handle) {
        std::ptr::with_exposed_provenance_mut::<u8>(at as usize).write_bytes(byte, bytes);
        // Only the word that stops kernels is filled so.
        wanted(|wanted| wanted.stopped |= byte == 1);
        0
    }
    cuStreamCreate(stream: *mut Handle, _flags: c_uint) { stream.write(std::ptr::null_mut()); 0 }
    cuStreamSynchronize(_stream: Handle) {
        let (record, stopped) = wanted(|wanted| (wanted.record, wanted.endless.filter(|_| wanted.stopped && !wanted.ends)));
        if let Some(site) = stopped {
            put_record(record, (site, 0, [0; 3]));
        }
        0
    }
    cuStreamQuery(_stream: Handle) {
        let is_busy = |wanted: &Wanted| wanted.slow || wanted.endless.is_some() && !wanted.stopped;
        wanted(|wanted| if is_busy(wanted) { NOT_READY } else { 0 })
    }
    cuLaunchKernel(
        function: Handle, _gx: c_uint, _gy: c_uint, _gz: c_uint, _bx: c_uint, _by: c_uint, _bz: c_uint,
        _shared: c_uint, _stream: Handle, arguments: *mut *mut c_void, _extra: *mut *mut c_void
    ) {
        if function.addr() == STAMP {
            let at = (*arguments).cast::<Address>().read() as usize;
            std::ptr::with_exposed_provenance_mut::<u64>(at).write(1_250);
            wanted(|wanted| wanted.slow = false);
            return 0;
        }
        if !function.is_null() {
            move_units(function.addr(), &*(*arguments).cast());
            return 0;
        }
        // The kernel has one parameter, which has the address.
        let field = |at| (*arguments).cast::<u8>().add(at).cast::<Address>().read_unaligned();
        let (at, textures, stop) =
            (field(layout::RECORD), field(layout::TEXTURES), field(layout::STOP));
        let fault = wanted(|wanted| {
            (wanted.record, wanted.textures) = (at, textures);
            wanted.stop = std::ptr::with_exposed_provenance::<u32>(stop as usize).read();
            wanted.fault.take()
        });
        if let Some(fault) = fault {
            put_record(at, fault);
        }
        0
    }
}

/// The double.
fn cuda() -> &'static Cuda {
    Box::leak(Box::new(Cuda::started(find).unwrap_or_else(|why| panic!("{why}"))))
}

/// A GPU of the double.
fn gpu() -> Gpu {
    let gpu = Gpu::of(cuda(), 0, true).expect("a GPU");
    wanted(|wanted| wanted.calls.clear());
    gpu
}

/// A kernel of a source.
fn module(source: &str) -> crate::soft::ir::Module {
    let library = msl::compile(source, &msl::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    library.kernel("k", &Default::default()).unwrap_or_else(|error| panic!("{error}")).0
}

// Four words are too few for these, so that there is no proof that no access is out of bounds, and the code has checks.
const STORE: &str = "kernel void k(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i + 1] = 1; }";
const LOOP: &str = "kernel void k(device uint *x [[buffer(0)]]) { while (x[0] == 0) x[4] += 1; }";

fn compiled(gpu: &Gpu, source: &str) -> Box<dyn Executable> {
    gpu.compile(&module(source), &CompileOptions::default()).expect("code")
}

/// A launch of four threads.
fn launch_of<'a>(bindings: &'a [Binding<'a>]) -> Launch<'a> {
    let watchdog = Some(Duration::from_millis(20));
    Launch { bindings, watchdog, ..Launch::bare([4, 1, 1], [4, 1, 1]) }
}

/// The 32-bit values of a bound buffer.
fn bound(words: &mut [u32]) -> Binding<'static> {
    let bytes = size_of_val(words) as u64;
    Binding::Memory { base: words.as_mut_ptr().cast(), bytes, address: 0 }
}

/// A texture of 4 columns and rows, and what its pixels are in.
fn texture(format: &'static Format, words: &mut [u32]) -> Texture<'static> {
    const LEVELS: &[Level] = &[Level { offset: 0, row: 16, image: 64, size: [4, 4, 1] }];
    let (base, levels) = (words.as_mut_ptr().cast(), LEVELS);
    let (slices, stride, sides, swizzle) = (1, 64, 2, [2, 3, 4, 5]);
    Texture { base, levels, slices, stride, sides, cube: false, format, swizzle, id: 0 }
}

/// Launches a kernel whose buffer is memory that the driver does not know.
fn launch(kernel: &dyn Executable) -> Result<(), Fault> {
    let mut words = [0u32; 4];
    let bindings = [bound(&mut words)];
    // SAFETY: the words outlive the launch.
    unsafe { kernel.launch(&launch_of(&bindings)) }
}

/// The text of a fault of the device.
fn device_text(result: Result<(), Fault>) -> String {
    match result {
        Err(Fault { kind: FaultKind::Device { what }, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_entry_point_that_is_missing_is_named() {
    for &name in NAMES {
        let without = |symbol: &CStr| match symbol.to_bytes() == name.as_bytes() {
            true => std::ptr::null_mut(),
            false => find(symbol),
        };
        assert_eq!(Cuda::from(without).err(), Some(name));
    }
    assert!(Cuda::from(find).is_ok());
}

#[test]
fn a_driver_that_cannot_be_used_says_why() {
    let old = |name: &CStr| if name == c"cuMemAdvise" { std::ptr::null_mut() } else { find(name) };
    let why = Cuda::started(old).err();
    assert!(why.as_ref().is_some_and(|why| why.contains("has no cuMemAdvise")), "{why:?}");
    wanted(|wanted| wanted.failing = Some(("cuInit", 2)));
    let why = Cuda::started(find).err();
    wanted(|wanted| wanted.failing = None);
    assert_eq!(why.as_deref(), Some("CUDA's cuInit failed: out of memory (error 2)"));
}

#[test]
fn gpus_keep_their_numbers_if_one_cannot_be_opened() {
    wanted(|wanted| (wanted.more, wanted.nameless) = (2, Some(1)));
    let open = |number| Gpu::of(cuda(), number, true).map(|gpu| gpu.device.number);
    let found = [0, 1, 2, 3].map(open);
    wanted(|wanted| (wanted.more, wanted.nameless) = (0, None));
    let refused = "CUDA's cuDeviceGetName failed: out of memory (error 2)".to_owned();
    let missing = "CUDA's driver knows 3 GPUs, numbered from 0".to_owned();
    assert_eq!(found, [Ok(0), Err(refused), Ok(2), Err(missing)]);
    // A GPU has no context before something needs it.
    assert!(!wanted(|wanted| wanted.calls.contains(&"cuDevicePrimaryCtxRetain")));
}

#[test]
fn nothing_is_loaded_while_a_kernel_runs() {
    let kernel = compiled(&gpu(), STORE);
    launch(&*kernel).expect("no fault");
    let calls = wanted(|wanted| std::mem::take(&mut wanted.calls));
    let at = |name: &str| calls.iter().position(|call| *call == name).expect("a call");
    let loads = calls.iter().filter(|call| **call == "cuModuleLoadDataEx").count();
    let before = calls[..at("cuLaunchKernel")].iter().filter(|call| **call == "cuModuleLoadDataEx");
    // The kernel, and those of transfers and stamps.
    assert_eq!((loads, before.count()), (2, 2), "{calls:?}");
}

#[test]
fn a_thread_waits_for_each_of_two_gpus_apart() {
    wanted(|wanted| wanted.more = 1);
    let [first, second] = [0, 1].map(|number| Gpu::of(cuda(), number, true).expect("a GPU"));
    wanted(|wanted| wanted.more = 0);
    let kernels = [&first, &second].map(|gpu| compiled(gpu, STORE));
    let memory = first.allocate(4096, false).expect("memory");
    let other = second.allocate(4096, false).expect("memory");
    let binding = |memory: &dyn DeviceMemory| {
        [Binding::Memory { base: memory.base().as_ptr(), bytes: 16, address: 0 }]
    };
    for (at, memory) in [&*memory, &*other].into_iter().enumerate() {
        let bindings = binding(memory);
        if at == 1 {
            wanted(|wanted| wanted.fault = Some((0, 99, [1, 0, 0])));
        }
        // SAFETY: the memory outlives the launches.
        let submitted = unsafe { kernels[at].submit(&launch_of(&bindings)) };
        assert!(matches!(submitted, Ok(Submitted::Running)), "{submitted:?}");
    }
    // The fault of the second is not one of the first.
    assert!(kernels[0].finish().is_ok());
    let fault = kernels[1].finish().expect_err("a fault");
    assert!(fault.0 == 0 && matches!(fault.1.kind, FaultKind::Access { .. }), "{fault:?}");
}
