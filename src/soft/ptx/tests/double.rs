//! CUDA's driver for tests: its memory is the host's, kernels write the fault record that a test wants, or nothing, and entry points
//! fail where a test wants it.

use std::alloc::{Layout, alloc_zeroed};
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::super::cuda::{Address, Cuda, Handle, NOT_READY};
use super::super::emit::{SiteKind, layout, record};
use super::super::memory::Memory;
use super::super::transfer;
use super::super::{Gpu, prepare};
use crate::soft::kernel::texture::{Level, Texture};
use crate::soft::kernel::{
    Backend, Binding, CompileOptions, DeviceMemory, Executable, Fault, FaultKind, Launch, Owner,
    Resident, Source, Submitted, Transfer,
};
use crate::soft::msl;
use crate::soft::stream::format::Format;
use std::time::Duration;

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

#[test]
fn an_error_of_each_entry_point_is_a_fault_of_the_launch_and_the_next_one_works() {
    let calls = {
        let kernel = compiled(&gpu(), STORE);
        launch(&*kernel).expect("no fault");
        wanted(|wanted| std::mem::take(&mut wanted.calls))
    };
    let mut names: Vec<&str> = calls.clone();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let kernel = compiled(&gpu(), STORE);
        wanted(|wanted| wanted.failing = Some((name, 2)));
        let result = launch(&*kernel);
        wanted(|wanted| wanted.failing = None);
        let text = device_text(result);
        assert_eq!(text, format!("CUDA's {name} failed: out of memory (error 2)"));
        launch(&*kernel).unwrap_or_else(|fault| panic!("after {name}: {fault}"));
    }
}

#[test]
fn after_a_lost_context_every_launch_is_an_error_with_the_drivers_text() {
    let gpu = gpu();
    let kernel = compiled(&gpu, STORE);
    launch(&*kernel).expect("no fault");
    wanted(|wanted| wanted.failing = Some(("cuStreamSynchronize", ILLEGAL_ADDRESS)));
    let first = device_text(launch(&*kernel));
    assert!(first.contains("an illegal memory access was encountered (error 700)"), "{first}");
    for _ in 0..3 {
        let text = device_text(launch(&*kernel));
        assert!(text.contains("error 700"), "{text}");
    }
    assert!(Memory::new(&gpu.device, 100, false).is_err());
    drop(kernel);
    wanted(|wanted| *wanted = Wanted::default());
}

#[test]
fn a_fault_record_is_reported_and_the_next_launch_has_none() {
    let gpu = gpu();
    let kernel = compiled(&gpu, STORE);
    wanted(|wanted| wanted.fault = Some((0, 16, [3, 0, 0])));
    let fault = launch(&*kernel).expect_err("a fault");
    assert_eq!((fault.kernel.as_str(), fault.position), ("k", Some([3, 0, 0])));
    let FaultKind::Access { argument, offset, bytes, write, size, constant } = fault.kind else {
        panic!("{fault}")
    };
    assert_eq!((argument.as_deref(), offset, bytes, size), (Some("x"), 16, 4, 16));
    assert!(write && !constant);
    launch(&*kernel).expect("no fault");
    // A site that the code does not have is an error, too, and no panic.
    wanted(|wanted| wanted.fault = Some((99, 0, [0; 3])));
    assert!(device_text(launch(&*kernel)).contains("no known site"));
}

#[test]
fn a_fault_in_joined_loads_names_the_first_of_the_program() {
    let source = "kernel void k(device uint *x [[buffer(0)]], device const uint *y [[buffer(1)]],
        uint i [[thread_position_in_grid]]) {
        device const uint *row = y + 4 * i;
        x[i] = row[2] + row[3] + row[0] + row[1];
    }";
    let joined = prepare(&module(source), Default::default()).expect("code").to_string();
    assert!(joined.contains("load.joined"), "{joined}");
    let gpu = gpu();
    let kernel = compiled(&gpu, source);
    let (mut sums, mut rows) = ([0u32; 4], [0u32; 14]);
    let bindings = [bound(&mut sums), bound(&mut rows)];
    // The last row, of which two numbers are missing; of null all are.
    for (start, offset) in [(48u64, 56), (52, 60), (56, 64), (0u64.wrapping_sub(4), -4)] {
        wanted(|wanted| wanted.fault = Some((0, start, [3, 0, 0])));
        // SAFETY: the arrays outlive the launch.
        let fault = unsafe { kernel.launch(&launch_of(&bindings)) }.expect_err("a fault");
        let FaultKind::Access { argument, offset: found, bytes, write, .. } = fault.kind else {
            panic!("{fault}")
        };
        let found = (argument.as_deref(), found, bytes, write);
        assert_eq!(found, (Some("y"), offset, 4, false), "{start}");
    }
}

#[test]
fn a_kernel_that_uses_only_a_null_texture_has_a_table_of_textures() {
    let null = "using namespace metal; constant bool has [[function_constant(0)]];
        constant bool bound = is_function_constant_defined(has) && has;
        kernel void k(texture2d<float> t [[texture(0), function_constant(bound)]], device uint *x [[buffer(0)]])";
    for (body, uses) in [
        ("x[0] = is_null_texture(t) ? 1 : 2;", true),
        ("x[0] = uint(t.read(uint2(0)).x);", true),
        ("x[0] = 1;", false),
    ] {
        let kernel = compiled(&gpu(), &format!("{null} {{ {body} }}"));
        launch(&*kernel).expect("no fault");
        assert_eq!(wanted(|wanted| wanted.textures) != 0, uses, "{body}");
    }
}

/// Launches a kernel, and returns what was copied from the device.
fn copied(source: &str, launch: &Launch<'_>) -> Vec<(usize, usize)> {
    let kernel = compiled(&gpu(), source);
    wanted(|wanted| wanted.copied.clear());
    // SAFETY: what tests bind outlives the launch.
    unsafe { kernel.launch(launch) }.expect("no fault");
    wanted(|wanted| std::mem::take(&mut wanted.copied))
}

#[test]
fn only_bound_memory_that_the_kernel_may_write_is_copied_back() {
    // One follows the other.
    let mut words = [0u32; 8];
    let (x, y) = words.split_at_mut(4);
    let want = vec![(x.as_ptr().addr(), 16)];
    let bindings = [bound(x), bound(y)];
    let source = "kernel void k(device uint *x [[buffer(0)]], constant uint *y [[buffer(1)]]) { x[0] = y[0]; }";
    assert_eq!(copied(source, &launch_of(&bindings)), want);
}

#[test]
fn only_textures_that_the_kernel_may_write_are_copied_back() {
    let format = Format::of(53).expect("words");
    let (mut from, mut to) = ([0u32; 16], [0u32; 16]);
    let textures = [&mut from, &mut to].map(|words| texture(format, words));
    let bindings = textures.map(Binding::Texture);
    let source = "using namespace metal; kernel void k(texture2d<uint> a [[texture(0)]],
        texture2d<uint, access::write> b [[texture(1)]]) { b.write(a.read(uint2(0)), uint2(0)); }";
    assert_eq!(copied(source, &launch_of(&bindings)), [(to.as_ptr().addr(), 64)]);
}

struct Nameless;

impl Owner for Nameless {
    fn name(&self) -> String {
        String::new()
    }
}

#[test]
fn residents_are_copied_back_only_if_the_kernel_writes_through_a_pointer_from_memory() {
    let (mut own, mut far, mut out) = ([1u32, 0, 0, 0], [0u32; 4], [0u32; 4]);
    let resident = Resident {
        address: 1 << 32,
        base: far.as_mut_ptr().cast(),
        bytes: 16,
        writable: true,
        owner: &Nameless,
    };
    let at = far.as_ptr().addr();
    let bindings = [bound(&mut own), bound(&mut out)];
    let launch = Launch { residents: &[resident], ..launch_of(&bindings) };
    for (body, writes) in [
        ("out[0] = a.p[0];", false),
        ("for (device uint *p = a.p; *p == 1; p++) out[0] += *p;", false),
        ("a.p[0] = 1;", true),
        ("device uint *p = out[0] ? a.p : out; p[1] = 2;", true),
        ("atomic_store_explicit((device atomic_uint *)a.p, 1, memory_order_relaxed);", true),
        (
            "atomic_load_explicit((device atomic_uint *)a.p, memory_order_relaxed); out[0] = a.p[1];",
            false,
        ),
    ] {
        let source = format!(
            "using namespace metal; struct A {{ device uint *p; }};
            kernel void k(constant A &a [[buffer(0)]], device uint *out [[buffer(1)]]) {{ {body} }}"
        );
        let back = copied(&source, &launch);
        let has = back.iter().any(|&(start, bytes)| (start..start + bytes).contains(&at));
        assert_eq!(has, writes, "{body}");
    }
}

#[test]
fn a_launch_is_not_stopped_because_one_before_it_ended_as_it_was_stopped() {
    let gpu = gpu();
    let first = compiled(&gpu, STORE);
    let source = "using namespace metal; kernel void k(device uint *x [[buffer(0)]],
        texture2d<float> t [[texture(0)]]) { x[0] = uint(t.read(uint2(0)).x); }";
    let second = compiled(&gpu, source);
    let memory = Memory::new(&gpu.device, 64, false).expect("memory");
    let base = crate::soft::kernel::DeviceMemory::base(&memory).as_ptr();
    let buffer = Binding::Memory { base, bytes: 16, address: 0 };
    // A compressed texture is decoded after the launches before.
    let format = Format::of(130).expect("a compressed format");
    let mut pixels = [0; 16];
    let bindings = [buffer, Binding::Texture(texture(format, &mut pixels))];
    wanted(|wanted| (wanted.endless, wanted.ends) = (Some(0), true));
    // SAFETY: the memory outlives the launches.
    unsafe { first.submit(&launch_of(&bindings[..1])) }.expect("no fault");
    // SAFETY: as above; the pixels are decoded before it returns.
    unsafe { second.submit(&launch_of(&bindings)) }.expect("no fault");
    let (stopped, stop) = wanted(|wanted| (wanted.stopped, wanted.stop));
    wanted(|wanted| wanted.endless = None);
    second.finish().expect("no fault");
    wanted(|wanted| *wanted = Wanted::default());
    assert_eq!((stopped, stop), (true, 0));
}

#[test]
fn the_watchdog_stops_a_kernel_that_does_not_end() {
    let gpu = gpu();
    let module = module(LOOP);
    let function = prepare(&module, Default::default()).expect("code");
    let kernel: Box<dyn Executable> = compiled(&gpu, LOOP);
    let options = super::super::emit::Options {
        target: 90,
        threads: 256,
        alignment: 16,
        strict: false,
        checked: true,
        ..Default::default()
    };
    let emitted = super::super::emit::emit(&module, &function, options).expect("text");
    let stopped = emitted.sites.iter().position(|site| site.kind == SiteKind::Stopped);
    wanted(|wanted| wanted.endless = stopped.map(|site| site as u32));
    let fault = launch(&*kernel).expect_err("a fault");
    wanted(|wanted| *wanted = Wanted::default());
    assert_eq!(fault.kind, FaultKind::Watchdog { limit: Duration::from_millis(20) });
}

#[test]
fn what_the_host_cannot_wait_for_is_not_submitted_again() {
    // A launch that writes to memory that the driver does not know is waited for at once.
    let gpu = gpu();
    let kernel = compiled(&gpu, STORE);
    let memory = Memory::new(&gpu.device, 64, false).expect("memory");
    let base = crate::soft::kernel::DeviceMemory::base(&memory).as_ptr();
    let mut words = [0u32; 4];
    for (base, want) in [(words.as_mut_ptr().cast(), Submitted::Full), (base, Submitted::Running)] {
        let bindings = [Binding::Memory { base, bytes: 16, address: 0 }];
        // SAFETY: the memory outlives the launch.
        assert_eq!(unsafe { kernel.submit(&launch_of(&bindings)) }, Ok(want));
        kernel.finish().expect("no fault");
    }
}

#[test]
fn what_commands_carry_leaves_room_for_all_else_in_the_parameter() {
    // Each of them may be passed, but all would be more than a launch can pass.
    const COUNT: usize = 14;
    let parameters: String = (0..COUNT).map(|k| format!(", constant Params &p{k}")).collect();
    let sum: String = (0..COUNT).map(|k| format!(" + p{k}.words[63]")).collect();
    let source = format!(
        "struct Params {{ uint words[64]; }};
        kernel void k(device uint *x{parameters}) {{ x[0] = x[1]{sum}; }}"
    );
    let gpu = gpu();
    let kernel = compiled(&gpu, &source);
    let (mut words, mut carried) = ([0u32; 4], [0u32; 64]);
    let bytes = [bound(&mut carried); COUNT];
    let bindings: Vec<Binding<'_>> = [bound(&mut words)].into_iter().chain(bytes).collect();
    // SAFETY: what is bound outlives the launch.
    assert_eq!(unsafe { kernel.launch(&launch_of(&bindings)) }, Ok(()));
}

#[test]
fn what_is_proven_of_bytes_that_a_command_carries_is_not_of_others() {
    let gpu = gpu();
    let source = "kernel void k(constant uint2 *a [[buffer(0)]], constant uint2 *b [[buffer(1)]], device uint *x [[buffer(2)]],
        uint i [[thread_position_in_grid]]) { if (i < a[0].x) x[i] = b[0].x; }";
    let (mut few, mut many, mut x) = ([4, 0], [1000, 0], [0; 4]);
    // An argument with an address is a buffer; inline bytes have none.
    let buffer = |words: &mut [u32]| {
        let base = words.as_mut_ptr().cast();
        Binding::Memory { base, bytes: 8, address: 1 << 32 }
    };
    let proven = [bound(&mut few), buffer(&mut many), bound(&mut x)];
    let unknown = [buffer(&mut many), bound(&mut few), bound(&mut x)];
    // The text that the last of some launches runs.
    let text = |launches: &[&[Binding<'_>]]| {
        let kernel = compiled(&gpu, source);
        for bindings in launches {
            let launch = Launch { grid: [64, 1, 1], group: [64, 1, 1], ..launch_of(bindings) };
            // SAFETY: what is bound outlives the launch.
            assert_eq!(unsafe { kernel.launch(&launch) }, Ok(()));
        }
        wanted(|wanted| wanted.texts.pop()).expect("a text")
    };
    let (first, alone) = (text(&[&proven]), text(&[&unknown]));
    assert!(!first.contains("setp.ge.u32") && alone.contains("setp.ge.u32"), "{first}\n{alone}");
    assert_eq!(text(&[&proven, &unknown]), alone);
}

/// How often an entry point was called since this was last asked.
fn count(name: &str) -> usize {
    wanted(|wanted| {
        let count = wanted.calls.iter().filter(|call| **call == name).count();
        wanted.calls.clear();
        count
    })
}

#[test]
fn short_private_memory_is_the_devices_unless_it_is_a_page() {
    let gpu = gpu();
    for (bytes, private, managed) in
        [(32 << 10, true, 1), (32 << 10, false, 0), (4096, true, 0), (100_000, false, 1)]
    {
        count("");
        let memory = Memory::new(&gpu.device, bytes, private).unwrap();
        assert_eq!(count("cuMemAllocManaged"), managed, "{bytes} {private}");
        drop(memory);
    }
}

#[test]
fn copies_and_fills_of_a_devices_memory_are_in_the_order_of_its_stream() {
    let gpu = gpu();
    let [a, b] = [false, true].map(|private| Memory::new(&gpu.device, 100_000, private).unwrap());
    let bytes = |memory: &Memory, at: usize| {
        // SAFETY: the double's memory is the host's.
        unsafe { *memory.base().as_ptr().add(at) }
    };
    let fill = Transfer { source: Source::Fill(7), to: a.base().as_ptr(), bytes: 99_999 };
    let at = |memory: &Memory, at: usize| memory.base().as_ptr().wrapping_add(at);
    let copy = Transfer { source: Source::Copy(at(&a, 1)), to: at(&b, 1), bytes: 70_000 };
    count("");
    // SAFETY: both ends outlive the transfers.
    unsafe {
        assert_eq!(a.transfer(&fill), Some(Ok(Submitted::Running)));
        assert_eq!(b.transfer(&copy), Some(Ok(Submitted::Running)));
    }
    assert!(!wanted(|wanted| wanted.calls.contains(&"cuStreamSynchronize")));
    // A fill of units and one of the bytes after them; a copy has bytes before its units, too.
    assert_eq!(count("cuLaunchKernel"), 5);
    wanted(|wanted| wanted.slow = true);
    assert_eq!(b.finish(), Ok(Some(Duration::from_nanos(250))));
    assert_eq!(b.finish(), Ok(None));
    let found =
        [bytes(&a, 99_998), bytes(&a, 99_999), bytes(&b, 0), bytes(&b, 1), bytes(&b, 70_000)];
    assert_eq!(found, [7, 0, 0, 7, 7]);
    assert_eq!(bytes(&b, 70_001), 0);
}

#[test]
fn the_host_does_transfers_that_overlap_or_that_a_device_has_no_part_in() {
    let gpu = gpu();
    let [long, short] = [100_000, 100].map(|bytes| Memory::new(&gpu.device, bytes, false).unwrap());
    let mut own = [0u8; 64];
    let from = |memory: &Memory| Source::Copy(memory.base().as_ptr());
    let to = long.base().as_ptr();
    let refused = |transfer: Transfer| {
        // SAFETY: both ends outlive the transfer.
        let submitted = unsafe { long.transfer(&transfer) };
        long.finish().expect("no fault");
        submitted.is_none()
    };
    let overlapping = Transfer { source: from(&long), to: to.wrapping_add(16), bytes: 32 };
    assert!(refused(overlapping));
    assert!(!refused(Transfer { bytes: 16, ..overlapping }));
    assert!(refused(Transfer { source: Source::Copy(own.as_ptr()), to, bytes: 64 }));
    assert!(refused(Transfer { source: from(&long), to: own.as_mut_ptr(), bytes: 64 }));
    // Short memory stays with the host, which need not wait if nothing runs.
    let short_fill = Transfer { source: Source::Fill(1), to: short.base().as_ptr(), bytes: 10 };
    assert!(refused(short_fill));
    let fill = Transfer { source: Source::Fill(1), to, bytes: 10 };
    // SAFETY: as above.
    unsafe {
        assert_eq!(long.transfer(&fill), Some(Ok(Submitted::Running)));
        assert_eq!(long.transfer(&short_fill), Some(Ok(Submitted::Running)));
    }
    long.finish().expect("no fault");
}

#[test]
fn an_error_of_a_transfer_is_a_fault_with_the_drivers_text() {
    let gpu = gpu();
    let memory = Memory::new(&gpu.device, 100_000, false).expect("memory");
    let fill = Transfer { source: Source::Fill(1), to: memory.base().as_ptr(), bytes: 100 };
    for name in ["cuModuleLoadDataEx", "cuModuleGetFunction", "cuLaunchKernel"] {
        wanted(|wanted| wanted.failing = Some((name, 2)));
        // SAFETY: the memory outlives the transfer.
        let result = unsafe { memory.transfer(&fill) }.expect("the device does it");
        wanted(|wanted| wanted.failing = None);
        let text = device_text(result.map(|_| ()));
        assert_eq!(text, format!("CUDA's {name} failed: out of memory (error 2)"));
    }
    // SAFETY: as above.
    assert_eq!(unsafe { memory.transfer(&fill) }, Some(Ok(Submitted::Running)));
    wanted(|wanted| wanted.failing = Some(("cuStreamQuery", 2)));
    let failed = memory.finish();
    wanted(|wanted| wanted.failing = None);
    assert!(matches!(failed, Err((0, Fault { kind: FaultKind::Device { .. }, .. }))), "{failed:?}");
    // Short work has no time that the device measured.
    // SAFETY: as above.
    assert_eq!(unsafe { memory.transfer(&fill) }, Some(Ok(Submitted::Running)));
    assert_eq!(memory.finish(), Ok(None));
}
