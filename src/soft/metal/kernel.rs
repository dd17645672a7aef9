//! The seam between Metal's classes and what compiles and runs kernels.

use super::device::GROUP_THREADS;
use super::errors::{CommandBufferError, Problem, Trouble};
use super::settings::Settings;
use super::texture::Image;
use crate::soft::cpu;
use crate::soft::ir::{Allocation, AllocationKind, Bound, Module, Sampler, Scalar};
use crate::soft::kernel::FaultKind;
use crate::soft::msl;
use crate::soft::msl::ast::Stage;
pub(super) use crate::soft::msl::check::entry::Access;
use crate::soft::msl::check::entry::{Argument as Reflected, ArgumentKind as ReflectedKind};
use std::sync::{Arc, LazyLock};

/// How to compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    /// Macros that the source sees, as `-D` would define them.
    pub(super) macros: Vec<(String, String)>,
    /// Whether every operation is exact, as `MTLMathModeSafe` has it.
    pub(super) safe_math: bool,
    /// The most threads that a threadgroup may have; 0 when nothing was said.
    pub(super) max_threads: usize,
}

/// A value for a function constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    /// By which it is found.
    pub(super) key: ConstantKey,
    /// The type, of `MTLDataType`.
    pub(super) data_type: usize,
    pub(super) bytes: Box<[u8]>,
}

/// What names a function constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConstantKey {
    Index(usize),
    Name(String),
}

/// What a kernel's argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArgumentKind {
    Buffer,
    Threadgroup,
    Texture,
    Sampler,
}

/// An argument of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) kind: ArgumentKind,
    pub(super) index: usize,
    /// What the kernel may do there.
    pub(super) access: Access,
    /// What a texture must be.
    pub(super) texture: Option<TextureKind>,
    /// How many textures or samplers an array has; 1 for all others, which are none.
    pub(super) length: usize,
    pub(super) is_array: bool,
    /// Whether the kernel touches it at all.
    pub(super) used: bool,
    /// The size of what a pointer points to, and its alignment; 0 for others.
    pub(super) size: usize,
    pub(super) align: usize,
    /// Of `MTLDataType`.
    pub(super) data_type: usize,
}

/// What a texture argument takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextureKind {
    /// Of `MTLTextureType`.
    pub(super) kind: usize,
    pub(super) depth: bool,
    /// What the components of its pixels become.
    pub(super) scalar: Scalar,
}

impl Argument {
    /// Whether the kernel may write there.
    pub(super) fn is_written(&self) -> bool {
        self.access != Access::ReadOnly
    }

    /// Whether a dispatch without it is refused. If the program wants no checks, memory that is missing has
    /// no bytes, a texture no pixels, and a sampler is MSL's default. Of an array, elements may be missing
    /// (MSL 6.12.17 asks which).
    pub(super) fn must_be_bound(&self) -> bool {
        self.used && !self.is_array && Settings::get().checks
    }
}

/// What a dispatch gives an argument.
#[derive(Clone, Copy)]
pub(super) enum Binding<'a> {
    /// Bytes at an address.
    Memory {
        base: *mut u8,
        length: usize,
    },
    /// So many bytes of threadgroup memory.
    Threadgroup(usize),
    Texture(&'a Arc<Image>),
    Sampler(Sampler),
    /// Nothing; the kernel does not use it.
    Nothing,
}

/// One launch.
pub(super) struct Launch<'a> {
    /// How many threads; threadgroups at the edges may be smaller.
    pub(super) grid: [u32; 3],
    /// How many in a threadgroup.
    pub(super) group: [u32; 3],
    /// What each argument of the kernel is given, in their order; an array takes as many as it has elements.
    pub(super) bindings: &'a [Binding<'a>],
}

/// Something that can be launched.
pub(super) trait Execute: Send + Sync {
    /// Runs to the end, or to the first fault.
    fn launch(&self, launch: &Launch<'_>) -> Result<(), Trouble>;
}

/// A kernel that is ready to run.
pub(super) struct Kernel {
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    /// The threadgroup memory that it takes whatever is bound.
    pub(super) static_threadgroup: usize,
    /// The most threads a threadgroup may have.
    pub(super) max_threads: usize,
    pub(super) program: Box<dyn Execute>,
}

impl Kernel {
    /// Each thing that is bound, by its argument and its index: an array as often as it has elements.
    pub(super) fn bound(&self) -> impl Iterator<Item = (&Argument, usize)> {
        self.arguments.iter().flat_map(|argument| {
            (argument.index..argument.index + argument.length).map(move |index| (argument, index))
        })
    }
}

/// What a function of a library is, as `MTLFunctionType` numbers it.
pub(super) const FUNCTION_KERNEL: usize = 3;

/// A function constant that a library declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeclaredConstant {
    pub(super) name: String,
    pub(super) index: usize,
    pub(super) data_type: usize,
    pub(super) required: bool,
}

/// A compiled source.
pub(super) trait Source: Send + Sync {
    /// Functions that can be asked for, and what they are.
    fn functions(&self) -> Vec<(String, usize)>;
    /// What the compiler warns of, as compilers say it; empty when there is nothing.
    fn warnings(&self) -> &str;
    /// The function constants that a function depends on.
    fn constants(&self, function: &str) -> Vec<DeclaredConstant>;
    /// Whether a function can be made with these constants: what is wrong otherwise.
    fn kernel(&self, function: &str, constants: &[Constant]) -> Result<Kernel, String>;
}

/// Compiles a source text: the functions in it, or what is wrong, as compilers say it.
pub(super) fn compile(source: &str, options: &Options) -> Result<Arc<dyn Source>, String> {
    let options_of_compiler = msl::Options {
        macros: options.macros.clone(),
        fast_math: !options.safe_math,
        ..msl::Options::default()
    };
    let library = msl::compile(source, &options_of_compiler).map_err(|error| error.0)?;
    let max_threads = options.max_threads;
    Ok(Arc::new(Compiled { library: Arc::new(library), max_threads }))
}

/// The name of the instruction set that kernels run with.
pub(super) fn instruction_set() -> &'static str {
    cpu::IsaKind::chosen().name()
}

/// A fault that has no more precise name.
pub(super) fn internal(text: impl Into<String>) -> Trouble {
    Problem::new(CommandBufferError::Internal, text)
}

/// What the compiler gives.
struct Compiled {
    library: Arc<msl::Library>,
    /// The most threads a threadgroup may have; 0 when nothing was said.
    max_threads: usize,
}

impl Compiled {
    /// A value of another type than the constant's is refused: its bytes would mean something else.
    fn check_type(&self, constant: &Constant) -> Result<(), String> {
        let declared = self.library.function_constants.iter().find(|one| match &constant.key {
            ConstantKey::Index(index) => one.index as usize == *index,
            ConstantKey::Name(name) => one.name == *name,
        });
        match declared {
            Some(one) if declared_type(one) != constant.data_type => Err(format!(
                "error: function constant '{}' is of type '{}', its value of type '{}'",
                one.name,
                name_of_data_type(declared_type(one)),
                name_of_data_type(constant.data_type)
            )),
            _ => Ok(()),
        }
    }
}

impl Source for Compiled {
    fn warnings(&self) -> &str {
        &self.library.warnings
    }

    fn functions(&self) -> Vec<(String, usize)> {
        let kind = |stage| match stage {
            Stage::Vertex => 1,
            Stage::Fragment => 2,
            Stage::Kernel => FUNCTION_KERNEL,
            Stage::Other => 0,
        };
        let entries = self.library.entries.iter();
        entries.map(|entry| (entry.name.clone(), kind(entry.stage))).collect()
    }

    fn constants(&self, _function: &str) -> Vec<DeclaredConstant> {
        let declared = self.library.function_constants.iter();
        declared
            .map(|constant| DeclaredConstant {
                name: constant.name.clone(),
                index: constant.index as usize,
                data_type: declared_type(constant),
                required: true,
            })
            .collect()
    }

    fn kernel(&self, function: &str, constants: &[Constant]) -> Result<Kernel, String> {
        let mut values = msl::ConstantValues::default();
        for constant in constants {
            self.check_type(constant)?;
            let bytes = constant.bytes.to_vec();
            match &constant.key {
                ConstantKey::Index(index) => {
                    let index = u32::try_from(*index).map_err(|_| {
                        format!("error: there is no function constant of index {index}")
                    })?;
                    values.by_index.insert(index, bytes);
                }
                ConstantKey::Name(name) => _ = values.by_name.insert(name.clone(), bytes),
            }
        }
        let (module, reflection) =
            self.library.kernel(function, &values).map_err(|error| error.0)?;
        let program = cpu::Program::new(&module)
            .map_err(|error| format!("error: kernel '{function}' cannot be run: {error}"))?;
        let declared = reflection.max_total_threads.map(|threads| threads as usize);
        let limits = [declared, Some(self.max_threads).filter(|threads| *threads > 0)];
        let reached = program.reached();
        let arguments: Vec<Argument> = reflection
            .arguments
            .iter()
            .filter_map(|argument| reflected(argument, &module, &reached))
            .collect();
        Ok(Kernel {
            name: function.to_owned(),
            static_threadgroup: static_threadgroup(&module),
            max_threads: limits.into_iter().flatten().fold(GROUP_THREADS, usize::min),
            program: Box::new(Ready {
                program,
                library: Arc::clone(&self.library),
                places: places(&arguments),
            }),
            arguments,
        })
    }
}

/// The `MTLDataType` of a scalar.
fn data_type(scalar: Scalar) -> usize {
    match scalar {
        Scalar::Bool => 53,
        Scalar::I8 => 45,
        Scalar::U8 => 49,
        Scalar::I16 => 37,
        Scalar::U16 => 41,
        Scalar::I32 => 29,
        Scalar::U32 => 33,
        Scalar::I64 => 81,
        Scalar::U64 => 85,
        Scalar::F16 => 16,
        Scalar::BF16 => 121,
        Scalar::F32 => 3,
    }
}

/// The `MTLDataType` of a function constant.
fn declared_type(constant: &msl::FunctionConstant) -> usize {
    data_type(constant.scalar) + constant.width as usize - 1
}

/// What the language calls an `MTLDataType` of a scalar or vector.
fn name_of_data_type(number: usize) -> String {
    let found = SCALARS.iter().find_map(|(name, scalar)| {
        let beyond = number.checked_sub(data_type(*scalar)).filter(|beyond| *beyond < 4)?;
        Some((name, beyond + 1))
    });
    match found {
        Some((name, 1)) => (*name).to_owned(),
        Some((name, width)) => format!("{name}{width}"),
        None => format!("MTLDataType {number}"),
    }
}

/// The scalars of the language by name.
const SCALARS: [(&str, Scalar); 12] = [
    ("bool", Scalar::Bool),
    ("char", Scalar::I8),
    ("uchar", Scalar::U8),
    ("short", Scalar::I16),
    ("ushort", Scalar::U16),
    ("int", Scalar::I32),
    ("uint", Scalar::U32),
    ("long", Scalar::I64),
    ("ulong", Scalar::U64),
    ("half", Scalar::F16),
    ("bfloat", Scalar::BF16),
    ("float", Scalar::F32),
];

/// The `MTLDataType` of a type by its name; a struct when it is none of the language's own.
fn data_type_of(name: &str) -> usize {
    const NONE: usize = 0;
    const STRUCT: usize = 1;
    if name.is_empty() || name == "void" {
        return NONE;
    }
    let (stem, components) = match name.as_bytes().last() {
        Some(digit @ b'2'..=b'4') => (&name[..name.len() - 1], usize::from(digit - b'1')),
        _ => (name, 0),
    };
    let scalar = SCALARS.iter().find(|(known, _)| *known == stem);
    scalar.map_or(STRUCT, |(_, scalar)| data_type(*scalar) + components)
}

/// An argument that the host gives; none for where the thread is.
fn reflected(argument: &Reflected, module: &Module, reached: &cpu::Reached) -> Option<Argument> {
    let kind = match argument.kind {
        ReflectedKind::Buffer => ArgumentKind::Buffer,
        ReflectedKind::Threadgroup => ArgumentKind::Threadgroup,
        ReflectedKind::Texture => ArgumentKind::Texture,
        ReflectedKind::Sampler => ArgumentKind::Sampler,
        ReflectedKind::Input(_) | ReflectedKind::Unsupported => return None,
    };
    let here = |allocation: &Allocation| match allocation.kind {
        AllocationKind::Buffer { index, .. } => {
            kind == ArgumentKind::Buffer && index == argument.index
        }
        AllocationKind::ThreadgroupArgument { index } => {
            kind == ArgumentKind::Threadgroup && index == argument.index
        }
        _ => false,
    };
    let bound = |list: &[Bound], reached: &[bool]| {
        let of = |bound: &Bound| {
            bound.index >= argument.index
                && bound.index < argument.index + argument.count.unwrap_or(1)
        };
        list.iter().zip(reached).any(|(bound, reached)| *reached && of(bound))
    };
    // What the module does not know is not touched.
    let used = match kind {
        ArgumentKind::Texture => bound(&module.textures, &reached.textures),
        ArgumentKind::Sampler => bound(&module.samplers, &reached.samplers),
        _ => {
            module.allocations.iter().position(here).is_some_and(|place| reached.allocations[place])
        }
    };
    Some(Argument {
        name: argument.name.clone(),
        kind,
        index: argument.index as usize,
        access: argument.access,
        texture: argument.texture.map(|texture| TextureKind {
            kind: usize::from(texture.kind().host),
            depth: texture.kind().depth,
            scalar: texture.scalar,
        }),
        length: argument.count.unwrap_or(1) as usize,
        is_array: argument.count.is_some(),
        used,
        size: argument.size as usize,
        align: argument.align as usize,
        data_type: data_type_of(&argument.type_name),
    })
}

/// The index of each thing that is bound.
fn places(arguments: &[Argument]) -> Vec<u32> {
    let of = |argument: &Argument| argument.index..argument.index + argument.length;
    arguments.iter().flat_map(of).map(|index| index as u32).collect()
}

/// The threadgroup memory that a kernel declares itself.
fn static_threadgroup(module: &Module) -> usize {
    let bytes = module.allocations.iter().map(|allocation| match allocation.kind {
        AllocationKind::Threadgroup(bytes) => bytes.next_multiple_of(16) as usize,
        _ => 0,
    });
    bytes.sum()
}

/// A kernel of the executor.
struct Ready {
    program: cpu::Program,
    /// Knows where in the source a fault is.
    library: Arc<msl::Library>,
    /// The index of each argument.
    places: Vec<u32>,
}

impl Execute for Ready {
    fn launch(&self, launch: &Launch<'_>) -> Result<(), Trouble> {
        static WORKERS: LazyLock<cpu::Workers> =
            LazyLock::new(|| cpu::Workers::new(Settings::get().workers));
        let (mut buffers, mut memory) = (Vec::new(), Vec::new());
        let (mut textures, mut samplers) = (Vec::new(), Vec::new());
        for (binding, index) in launch.bindings.iter().zip(&self.places) {
            match *binding {
                Binding::Memory { base, length } => {
                    buffers.push(cpu::Binding { index: *index, base, bytes: length as u64 });
                }
                Binding::Threadgroup(bytes) => memory.push((*index, bytes as u32)),
                Binding::Texture(image) => textures.push((*index, image.for_kernels())),
                Binding::Sampler(sampler) => samplers.push((*index, sampler)),
                Binding::Nothing => {}
            }
        }
        let launch = cpu::Launch {
            grid: launch.grid,
            group: launch.group,
            bindings: &buffers,
            textures: &textures,
            samplers: &samplers,
            threadgroup_memory: &memory,
            watchdog: Settings::get().watchdog,
            strict: Settings::get().strict,
        };
        // SAFETY: the recording keeps what is bound, and the lengths are what there is. Who else has
        // access at the same time does so by the program's own order of work.
        unsafe { self.program.launch(&launch, &WORKERS) }.map_err(|fault| self.trouble(&fault))
    }
}

impl Ready {
    fn trouble(&self, fault: &crate::soft::kernel::Fault) -> Trouble {
        let code = match fault.kind {
            FaultKind::Access { .. } => CommandBufferError::PageFault,
            FaultKind::Watchdog => CommandBufferError::Timeout,
            FaultKind::Barrier => CommandBufferError::Internal,
            FaultKind::GroupSize { .. } | FaultKind::ThreadgroupMemory { .. } => {
                CommandBufferError::InvalidResource
            }
        };
        let place = self.library.place(fault.span).filter(|_| fault.position.is_some());
        let place = place
            .map_or_else(String::new, |(file, line, column)| format!(" ({file}:{line}:{column})"));
        Problem::new(code, format!("{fault}{place}"))
    }
}
