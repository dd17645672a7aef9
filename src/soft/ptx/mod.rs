//! The back end for NVIDIA GPUs: `specs/ptx.md` describes it.
//!
//! ```text
//! ir::Module ── passes ──> one function ── emit ──> PTX ── CUDA's driver ──> machine code ── launch ──> the GPU
//! ```

mod cuda;
mod device;
mod emit;
mod launch;
mod memory;
mod pipeline;
mod proof;
mod report;
mod sequence;
mod staging;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod transfer;

use std::collections::HashMap;
use std::ffi::CString;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use super::ir::facts::reach;
use super::ir::facts::written::{Written, written};
use super::ir::{AllocationKind, Function, LocalMemory, Module, Span, passes, with_stack};
use super::kernel::{
    Backend, CompileError, CompileOptions, DeviceMemory, Executable, Fault, FaultKind, Finished,
    Launch, Parameter, Reach, Submitted, limits,
};
use cuda::{Cuda, CudaError, Handle};
use device::Device;
use emit::{Options, Site};

/// The least compute capability whose tensor cores are used.
const MIN_TENSOR: u32 = 80;

/// A kernel with this many codes gets no more for what the numbers in bytes that commands carry are multiples of.
const MAX_CODES: usize = 16;

/// The most bytes of locals of a thread.
const MAX_THREAD_MEMORY: u64 = 64 * 1024;

/// A GPU that runs kernels.
pub(crate) struct Gpu {
    device: Arc<Device>,
    /// Whether accesses are checked.
    checked: bool,
}

impl Gpu {
    /// How many GPUs the machine has. The first call opens CUDA's driver, if there is one.
    pub(crate) fn count() -> usize {
        Cuda::get().map_or(0, |cuda| Device::count(cuda).unwrap_or(0))
    }

    /// The number of a GPU by its name: `cuda` is the first, `cuda:1` the second. `None` if it is no name of one.
    pub(crate) fn number(name: &str) -> Option<usize> {
        match name.strip_prefix("cuda")? {
            "" => Some(0),
            number => number.strip_prefix(':')?.parse().ok(),
        }
    }

    /// The GPU of a number, from 0; otherwise why it cannot be used. Unless accesses are `checked`, one that is out of bounds
    /// changes other memory, or ends the GPU's context.
    pub(crate) fn open(number: usize, checked: bool) -> Result<Self, String> {
        Self::of(Cuda::get()?, number, checked)
    }

    fn of(cuda: &'static Cuda, number: usize, checked: bool) -> Result<Self, String> {
        let count = Device::count(cuda).map_err(|error| error.to_string())?;
        if number >= count {
            let gpus = if count == 1 { "GPU" } else { "GPUs" };
            return Err(format!("CUDA's driver knows {count} {gpus}, numbered from 0"));
        }
        let device = Device::open(cuda, number as i32).map_err(|error| error.to_string())?;
        Ok(Self { device: Arc::new(device), checked })
    }
}

impl Backend for Gpu {
    fn device_name(&self) -> String {
        self.device.name.clone()
    }

    fn memory(&self) -> Option<usize> {
        Some(self.device.memory)
    }

    fn compile(
        &self,
        module: &Module,
        options: &CompileOptions,
    ) -> Result<Box<dyn Executable>, CompileError> {
        let checks = options.checks;
        if checks.any() {
            return Err(CompileError::Checked { checks });
        }
        let function = prepare(module)?;
        let sizes = emit::inline_sizes(module, &function);
        let tensor = options.fast_math
            && self.device.target >= MIN_TENSOR
            && emit::uses_tensor_cores(&function);
        let counts = [module.allocations.len(), module.textures.len(), module.samplers.len()];
        let reached = reach::reached(std::slice::from_ref(&function), counts);
        let used = [&reached.allocations[..], &reached.textures, &reached.samplers];
        let mut ready = Ready {
            device: Arc::clone(&self.device),
            parameters: Parameter::of_module(module, used),
            facts: Arc::new(Facts {
                locals: function.locals.clone(),
                far: emit::is_far(&function),
                expected: emit::expected(&function),
                uses_textures: emit::uses_textures(&function),
                written: written(&function, module.textures.len()),
                module: Module { functions: Vec::new(), ..module.clone() },
            }),
            numbers: emit::pushed_numbers(&function, &sizes),
            inline_sizes: sizes,
            tensor,
            may_prove: !emit::is_far(&function)
                && !emit::uses_textures(&function)
                && proof::is_possible(&function),
            proven: Mutex::default(),
            function,
            max_threads: options.max_threads,
            checked: self.checked,
            codes: Mutex::default(),
            written: Mutex::default(),
        };
        // Whatever has no text is an error now, not at the first launch.
        let options = ready.options(16, ready.max_threads, false);
        let emitted = with_stack(|| emit::emit(&ready.facts.module, &ready.function, options))
            .map_err(|unsupported| CompileError::Unsupported { what: unsupported.0 })?;
        emit::limit_inline_sizes(&mut ready.inline_sizes, emitted.limits.len());
        ready.written = Mutex::new(Some((options, emitted)));
        Ok(Box::new(ready))
    }

    fn allocate(&self, bytes: usize, private: bool) -> Option<Box<dyn DeviceMemory>> {
        Some(Box::new(memory::Memory::new(&self.device, bytes, private).ok()?))
    }

    unsafe fn reach(&self, base: NonNull<u8>, bytes: usize) -> Option<Reach> {
        // SAFETY: the caller's.
        Some(Box::new(unsafe { memory::Registration::of(&self.device, base, bytes)? }))
    }
}

/// Runs the passes.
fn prepare(module: &Module) -> Result<Function, CompileError> {
    let mut functions = with_stack(|| passes::run(module, &pipeline::PIPELINE))?;
    let function = functions.swap_remove(0);
    let (_, bytes) = super::ir::facts::stack_slots::assign_offsets(&function, true);
    if bytes > MAX_THREAD_MEMORY {
        return Err(CompileError::ThreadMemory { bytes, limit: MAX_THREAD_MEMORY });
    }
    Ok(function)
}

/// A kernel that is ready to be launched.
struct Ready {
    device: Arc<Device>,
    parameters: Box<[Parameter]>,
    facts: Arc<Facts>,
    /// For each allocation the bytes that may be in the kernel's parameter.
    inline_sizes: Vec<u32>,
    /// The numbers in those bytes that addresses depend on.
    numbers: Vec<emit::PushedNumber>,
    /// Whether tensor cores may multiply its matrices.
    tensor: bool,
    /// Whether it may be known at a launch that no access is out of bounds, and for the last launch whether it was.
    may_prove: bool,
    proven: Mutex<Option<(Vec<u64>, bool)>>,
    function: Function,
    max_threads: u32,
    checked: bool,
    /// The text that was written to see whether there is one, until a launch needs it.
    written: Mutex<Option<(Options, emit::Emitted)>>,
    /// Its code by what the code depends on.
    codes: Mutex<HashMap<Options, Arc<Code>>>,
}

/// Facts about a kernel for launches and reports of faults.
struct Facts {
    locals: Vec<LocalMemory>,
    /// Whether it reads pointers or textures from memory.
    far: bool,
    /// The kinds of textures that it expects there.
    expected: Vec<u64>,
    /// Whether it does something with textures, even if none is bound.
    uses_textures: bool,
    written: Written,
    /// The module without its functions.
    module: Module,
}

impl Facts {
    /// A fault of no thread.
    fn fault(&self, kind: FaultKind) -> Fault {
        let (kernel, span) = (self.module.name.clone(), Span::default());
        Fault { kernel, kind, span, source: None, position: None }
    }
}

/// Machine code on the GPU.
struct Code {
    device: Arc<Device>,
    module: Handle,
    function: Handle,
    /// For each allocation its address, if it is a table.
    tables: Vec<u64>,
    sites: Vec<Site>,
    limits: Vec<emit::Limit>,
    /// The positions of barriers, if the launch is strict.
    barriers: Vec<Span>,
    joined: HashMap<u32, emit::Joined>,
    thread_bytes: u64,
    /// Bytes of threadgroup memory beside what the kernel has.
    tile_bytes: u32,
}

// SAFETY: the driver may be called from all threads.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

impl Drop for Code {
    fn drop(&mut self) {
        if self.device.enter().is_ok() {
            // SAFETY: no launch uses the module any more. Nothing can be done about an error.
            let _ = unsafe { self.device.cuda.unload_module(self.module) };
        }
    }
}

impl Ready {
    /// The options that the code for a kind of launch depends on, without the arguments of the launch.
    fn options(&self, alignment: u32, threads: u32, strict: bool) -> Options {
        // Few threads may have more registers each.
        let threads = if threads <= 256 { 256 } else { limits::THREADS };
        let (target, checked) = (self.device.target, self.checked);
        Options { target, threads, alignment, strict, checked, ..Options::default() }
    }

    /// The code for launches of a kind, compiled by the first of them.
    fn code(&self, mut options: Options) -> Result<Arc<Code>, CudaError> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.len() >= MAX_CODES && !codes.contains_key(&options) {
            options.multiples = 0;
        }
        if let Some(code) = codes.get(&options) {
            return Ok(Arc::clone(code));
        }
        let code = Arc::new(self.load(self.text(options)?)?);
        codes.insert(options, Arc::clone(&code));
        Ok(code)
    }

    /// The text for launches of a kind.
    fn text(&self, options: Options) -> Result<emit::Emitted, CudaError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, emitted)) = written.take_if(|(known, _)| *known == options) {
            return Ok(emitted);
        }
        drop(written);
        let emitted = with_stack(|| emit::emit(&self.facts.module, &self.function, options));
        emitted.map_err(|unsupported| CudaError {
            call: "cuModuleLoadDataEx",
            code: 0,
            text: unsupported.0,
        })
    }

    /// Compiles text.
    fn load(&self, emitted: emit::Emitted) -> Result<Code, CudaError> {
        let error =
            |text: &str| CudaError { call: "cuModuleLoadDataEx", code: 0, text: text.into() };
        let text = CString::new(emitted.text).map_err(|_| error("a zero in the text"))?;
        let cuda = self.device.cuda;
        self.device.enter()?;
        // The driver's messages go to a buffer.
        const ERROR_LOG: i32 = 5;
        const ERROR_LOG_BYTES: i32 = 6;
        let mut log = vec![0u8; 8192];
        let mut names = [ERROR_LOG, ERROR_LOG_BYTES];
        let mut values = [log.as_mut_ptr().cast(), std::ptr::without_provenance_mut(log.len())];
        let (mut module, mut function) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (names, values) = (names.as_mut_ptr(), values.as_mut_ptr());
        // SAFETY: the text ends with a zero; the buffer has as many bytes as the options say.
        let loaded =
            unsafe { cuda.load_module(&raw mut module, text.as_ptr().cast(), 2, names, values) };
        loaded.map_err(|failed| {
            let said = String::from_utf8_lossy(&log);
            let said = said.trim_end_matches('\0').trim();
            let colon = if said.is_empty() { "" } else { ": " };
            CudaError { text: format!("{}{colon}{said}", failed.text), ..failed }
        })?;
        let name = CString::new(emit::ENTRY).map_err(|_| error("a zero in a name"))?;
        // SAFETY: the module is loaded.
        unsafe { cuda.function(&raw mut function, module, name.as_ptr())? };
        let address = |(number, allocation): (usize, &super::ir::Allocation)| {
            let AllocationKind::Table(_) = allocation.kind else { return Ok(0) };
            let (mut address, mut bytes) = (0, 0);
            let name = CString::new(emit::table(number)).map_err(|_| error("a zero in a name"))?;
            // SAFETY: the module is loaded, and the name ends with a zero.
            unsafe { cuda.global(&raw mut address, &raw mut bytes, module, name.as_ptr())? };
            Ok(address)
        };
        let tables = self.facts.module.allocations.iter().enumerate().map(address);
        let tables = tables.collect::<Result<_, CudaError>>()?;
        Ok(Code {
            device: Arc::clone(&self.device),
            module,
            function,
            tables,
            sites: emitted.sites,
            limits: emitted.limits,
            barriers: emitted.barriers,
            joined: emitted.joined,
            thread_bytes: emitted.thread_bytes,
            tile_bytes: emitted.tile_bytes,
        })
    }
}

impl Executable for Ready {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn listing(&self, _: &dyn Fn(Span) -> Option<String>) -> Result<String, CompileError> {
        // The text for memory at any addresses.
        let options = self.options(1, self.max_threads, false);
        let emitted = with_stack(|| emit::emit(&self.facts.module, &self.function, options));
        match emitted {
            Ok(emitted) => Ok(emitted.text),
            Err(unsupported) => Err(CompileError::Unsupported { what: unsupported.0 }),
        }
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        // SAFETY: the caller's.
        unsafe { self.begin(launch)? };
        self.end().map(|_| ()).map_err(|(_, fault)| fault)
    }

    unsafe fn submit(&self, launch: &Launch<'_>) -> Result<Submitted, Fault> {
        // SAFETY: the caller's.
        unsafe { self.begin(launch) }
    }

    fn finish(&self) -> Finished {
        self.end()
    }
}
