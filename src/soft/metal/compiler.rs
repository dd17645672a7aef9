//! The compiler and the back ends that Metal's classes use. No other file here names them.

use super::availability;
use super::datum::{DIAGNOSTICS, Datum};
use super::errors::{Error, LibraryError};
use super::profile;
use crate::soft::cpu::Cpu;
use crate::soft::ir::{Checks, Scalar, Span, catch_internal_error, with_stack};
use crate::soft::kernel::sanitize::{activate, written};
use crate::soft::kernel::{
    self, Access, Argument, ArgumentKind, Backend, CompileOptions, Kernel, Processor,
    SourcePosition, SourceText, limits,
};
use crate::soft::msl;
use crate::soft::msl::ast::Stage;
use crate::soft::msl::check::entry;
use crate::soft::msl::types::SCALAR_NAMES;
use crate::soft::msl::{CompileError, diagnostics::Listed};
use crate::soft::stream::settings::Settings;
use crate::soft::{ptx, variables};
use std::fmt::Display;
use std::sync::{Arc, LazyLock, OnceLock};

/// The most bytes that a source may have.
pub(super) const MAX_SOURCE: usize = crate::soft::msl::source::MAX_SOURCE;

/// The CPU's number.
const CPU: usize = 0;

/// The device with a number, which is made at its first use, or the reason why it cannot be.
fn processor(number: usize) -> Result<&'static Processor, &'static str> {
    static ALL: [OnceLock<Result<Processor, String>>; Processor::MAX] =
        [const { OnceLock::new() }; Processor::MAX];
    let Some(slot) = ALL.get(number) else { return Err("there is no such GPU") };
    let made = slot.get_or_init(|| {
        if number == CPU {
            return Ok(cpu(number, Settings::get().workers));
        }
        let gpu = ptx::Gpu::open(number - 1, Settings::get().checks)?;
        Ok(Processor::new(number, gpu.device_name(), Box::new(gpu)))
    });
    made.as_ref().map_err(String::as_str)
}

/// A CPU device with a number of threads.
fn cpu(number: usize, workers: usize) -> Processor {
    let cpu = Cpu::new(workers);
    let (plural, isa) = (if workers == 1 { "" } else { "s" }, cpu.device_name());
    let name = format!("soft Metal ({workers} worker{plural}, {isa})");
    Processor::new(number, name, Box::new(cpu))
}

/// The device that the settings choose; `None` if they name a GPU that is not there, or are an error.
pub(super) fn chosen() -> Option<&'static Processor> {
    static CHOSEN: LazyLock<Option<&'static Processor>> = LazyLock::new(|| {
        // A check that does not run must not look like one that finds nothing.
        if variables::SANITIZE.is_wrong() {
            return None;
        }
        let word = variables::DEVICE.word();
        let number = ptx::Gpu::number(&word).map_or(CPU, |gpu| gpu + 1);
        let report = |why: &&str| {
            variables::report(&format!("ARUMINIUM_SOFT_DEVICE={word}: {why}; there is no device"));
        };
        processor(number).inspect_err(report).ok()
    });
    *CHOSEN
}

/// All devices: the CPU, and the GPUs that can be used; none if the one that the settings name is not there. This starts CUDA's
/// driver, if there is one.
pub(super) fn all() -> Vec<&'static Processor> {
    if chosen().is_none() {
        return Vec::new();
    }
    let numbers = 0..=ptx::Gpu::count().min(Processor::MAX - 1);
    numbers.filter_map(|number| processor(number).ok()).collect()
}

/// A device beside the others, for tests: a CPU with one thread.
#[cfg(test)]
pub(super) fn second_cpu() -> &'static Processor {
    static SECOND: LazyLock<Processor> = LazyLock::new(|| cpu(Processor::MAX - 1, 1));
    &SECOND
}

/// `__METAL_VERSION__` if neither the host nor the settings choose a version.
const DEFAULT_LANGUAGE: u32 = 310;

/// The limits of kernels, the versions of the language and the variables in force, for `aruminium info`.
pub(super) fn settings() -> Datum {
    let newest = Settings::get().language;
    let version = |version: u32| Datum::from(msl::availability::version_name(version).as_str());
    let variable = |(name, value, origin): (String, String, &'static str)| {
        let (name, value) = (name.as_str().into(), value.as_str().into());
        Datum::Record(vec![("name", name), ("value", value), ("origin", origin.into())])
    };
    Datum::Record(vec![
        ("simdWidth", limits::SIMD_WIDTH.into()),
        ("buffers", limits::BUFFERS.into()),
        ("textures", limits::TEXTURES.into()),
        ("samplers", limits::SAMPLERS.into()),
        ("language", version(newest.unwrap_or(DEFAULT_LANGUAGE))),
        ("newestLanguage", version(newest.unwrap_or_else(msl::availability::newest))),
        ("variables", Datum::List(variables::in_force().into_iter().map(variable).collect())),
    ])
}

/// How to compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    /// Macros that the source sees, as `-D` would define them.
    pub(super) macros: Vec<(String, String)>,
    /// Files that the source may include, by the names in its directives.
    pub(super) headers: Vec<(String, String)>,
    /// The version of the language, as `__METAL_VERSION__` has it, if the host chose one.
    pub(super) language: Option<u32>,
    /// Whether every operation is exact: `MTLMathModeSafe`.
    pub(super) safe_math: bool,
    /// The most threads that a threadgroup may have; 0 if not set.
    pub(super) max_threads: usize,
}

/// A value for a function constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    /// Its index or name.
    pub(super) key: ConstantKey,
    /// A number of `MTLDataType`.
    pub(super) data_type: usize,
    pub(super) bytes: Box<[u8]>,
}

/// How a function constant is identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConstantKey {
    Index(usize),
    Name(String),
}

/// `MTLFunctionTypeVertex`.
pub(super) const FUNCTION_VERTEX: usize = 1;
/// `MTLFunctionTypeFragment`.
pub(super) const FUNCTION_FRAGMENT: usize = 2;
/// `MTLFunctionTypeKernel`.
pub(super) const FUNCTION_KERNEL: usize = 3;
/// `MTLFunctionTypeVisible`.
pub(super) const FUNCTION_VISIBLE: usize = 5;
/// `MTLFunctionTypeIntersection`.
pub(super) const FUNCTION_INTERSECTION: usize = 6;

/// The inputs of a function's compilation.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) source: Arc<Source>,
    /// Its name in the source.
    pub(super) name: String,
    /// Values of function constants.
    pub(super) constants: Vec<Constant>,
}

/// A visible function that is linked to a kernel.
#[derive(Clone)]
pub(super) struct Linked {
    pub(super) origin: Origin,
    /// Its handle, which pointers to it hold.
    pub(super) handle: u64,
}

/// A function constant that a library declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeclaredConstant {
    pub(super) name: String,
    pub(super) index: usize,
    pub(super) data_type: usize,
    pub(super) required: bool,
}

/// A compiled source text.
pub(super) struct Source {
    library: Arc<msl::Library>,
    /// The most threads that a threadgroup may have; 0 if not set.
    max_threads: usize,
    fast_math: bool,
    /// A hash of the text, the options and the device.
    fingerprint: u64,
    /// The device that its kernels are compiled for.
    pub(super) processor: &'static Processor,
}

/// A hash that is the same in every process: FNV-1a.
pub(super) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Origin {
    /// A hash of all that the function's code depends on.
    pub(super) fn fingerprint(&self) -> u64 {
        let source = self.source.fingerprint;
        fingerprint(&format!("{source:x} {} {:?}", self.name, self.constants))
    }
}

/// The messages of the compiler as data: a list of records.
fn listed(messages: &[Listed]) -> Datum {
    let record = |one: &Listed| {
        let mut fields =
            vec![("severity", one.severity.into()), ("message", one.message.as_str().into())];
        if let Some((file, line, column)) = &one.position {
            fields.push(("file", file.as_str().into()));
            fields.extend([("line", (*line).into()), ("column", (*column).into())]);
        }
        Datum::Record(fields)
    };
    Datum::List(messages.iter().map(record).collect())
}

/// The error of a library that does not compile.
pub(super) fn failure(error: CompileError) -> Error<LibraryError> {
    let list = listed(&error.1);
    Error::new(LibraryError::CompileFailure, error.0).with(DIAGNOSTICS, list)
}

/// Compiles a source text for a device: the functions in it, or the compiler's error messages.
pub(super) fn compile(
    processor: &'static Processor,
    source: &str,
    options: &Options,
) -> Result<Source, CompileError> {
    let library = Arc::new(check(source, options)?);
    let fingerprint = fingerprint(&format!("{} {options:?}\n{source}", processor.number));
    let (max_threads, fast_math) = (options.max_threads, !options.safe_math);
    Ok(Source { library, max_threads, fast_math, fingerprint, processor })
}

/// The same for no device.
pub(super) fn check(source: &str, options: &Options) -> Result<msl::Library, CompileError> {
    let newest = Settings::get().language;
    let language = options.language.or(newest);
    let version =
        ("__METAL_VERSION__".to_owned(), language.unwrap_or(DEFAULT_LANGUAGE).to_string());
    if let (Some(chosen), Some(newest)) = (options.language, newest)
        && chosen > newest
    {
        let text = format!(
            "error: version {} of the language is newer than ARUMINIUM_SOFT_MSL allows\n",
            msl::availability::version_name(chosen)
        );
        return Err(CompileError(text, Vec::new()));
    }
    let options_of_compiler = msl::Options {
        macros: std::iter::once(version).chain(options.macros.iter().cloned()).collect(),
        headers: options.headers.iter().cloned().collect(),
        language,
        fast_math: !options.safe_math,
        ..msl::Options::default()
    };
    msl::compile(source, &options_of_compiler)
}

impl Source {
    /// Refuses a value whose type is not the constant's.
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

    /// The compiler's messages, one by one.
    pub(super) fn diagnostics(&self) -> Datum {
        listed(&self.library.diagnostics)
    }

    /// The compiler's warnings; empty when there are none.
    pub(super) fn warnings(&self) -> &str {
        &self.library.warnings
    }

    /// The functions of the library: their names, and their kinds as `MTLFunctionType` numbers them.
    pub(super) fn functions(&self) -> Vec<(String, usize)> {
        let kind = |stage| match stage {
            Stage::Vertex => FUNCTION_VERTEX,
            Stage::Fragment => FUNCTION_FRAGMENT,
            Stage::Kernel => FUNCTION_KERNEL,
            Stage::Visible => FUNCTION_VISIBLE,
            Stage::Intersection => FUNCTION_INTERSECTION,
            Stage::Mesh => 7,
            Stage::Object => 8,
        };
        let entries = self.library.entries.iter();
        entries.map(|entry| (entry.name.clone(), kind(entry.stage))).collect()
    }

    /// The function constants that the library declares.
    pub(super) fn constants(&self) -> Vec<DeclaredConstant> {
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

    /// The IR of a kernel with these values of function constants, before any back end has seen it.
    pub(super) fn ir(&self, function: &str, constants: &[Constant]) -> Result<String, String> {
        with_stack(|| {
            let values = self.values(constants)?;
            let (module, _) = self.library.kernel(function, &values).map_err(|error| error.0)?;
            Ok(module.to_string())
        })
    }

    /// The machine code of a kernel with these values of function constants, as text.
    pub(super) fn listing(&self, function: &str, constants: &[Constant]) -> Result<String, String> {
        let kernel = self.kernel(function, constants, Checks::NONE, &[], 1)?;
        kernel.listing().map_err(|error| format!("kernel '{function}': {error}"))
    }

    /// Compiles a kernel with these values of function constants and with the functions that are linked to it.
    /// `deepest` is the most calls through pointers that are open at once.
    pub(super) fn kernel(
        &self,
        function: &str,
        constants: &[Constant],
        checks: Checks,
        linked: &[Linked],
        deepest: usize,
    ) -> Result<Kernel, String> {
        let settings = Settings::get();
        let checks = checks.with(settings.sanitize);
        if checks.has(Checks::INIT) {
            written::want();
        }
        if checks.has(Checks::RACES) {
            activate();
        }
        let checks = if settings.profile { checks.with(Checks::PROFILE) } else { checks };
        with_stack(|| self.compile(function, constants, checks, linked, deepest))
    }

    /// Checks a visible function with these values of function constants.
    pub(super) fn check_visible(
        &self,
        function: &str,
        constants: &[Constant],
    ) -> Result<(), String> {
        with_stack(|| {
            let values = self.values(constants)?;
            self.library.check_visible(function, &values).map_err(|error| error.0)
        })
    }

    /// The arguments of a function of a stage of rendering with these values of function constants, and the attributes of
    /// its input.
    pub(super) fn stage_arguments(
        &self,
        function: &str,
        constants: &[Constant],
    ) -> Result<(Vec<Argument>, Vec<StageAttribute>), String> {
        let values = self.values(constants)?;
        let arguments = with_stack(|| self.library.stage_arguments(function, &values));
        let arguments = arguments.map_err(|error| error.0)?;
        let reflected = |(argument, used): &(entry::Argument, bool)| {
            Some(Argument { used: *used, ..reflected(argument)? })
        };
        let attributes = arguments.iter().flat_map(|(argument, _)| {
            argument.attributes.iter().map(|attribute| StageAttribute {
                name: attribute.name.clone(),
                index: attribute.index as usize,
                data_type: data_type(attribute.scalar) + attribute.width as usize - 1,
                used: attribute.used,
            })
        });
        Ok((arguments.iter().filter_map(reflected).collect(), attributes.collect()))
    }

    /// The values as the compiler takes them.
    fn values(&self, constants: &[Constant]) -> Result<msl::ConstantValues, String> {
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
        Ok(values)
    }

    fn compile(
        &self,
        function: &str,
        constants: &[Constant],
        checks: Checks,
        linked: &[Linked],
        deepest: usize,
    ) -> Result<Kernel, String> {
        let values = msl::ConstantValues { checks, ..self.values(constants)? };
        let of_linked = linked
            .iter()
            .map(|one| one.origin.source.values(&one.origin.constants))
            .collect::<Result<Vec<_>, _>>()?;
        let functions: Vec<_> = linked
            .iter()
            .zip(&of_linked)
            .map(|(one, constants)| {
                let Origin { source, name, .. } = &one.origin;
                msl::Linked { library: &source.library, name, constants, handle: one.handle }
            })
            .collect();
        let deepest = u32::try_from(deepest).unwrap_or(u32::MAX);
        let (module, reflection) = self
            .library
            .linked_kernel(function, &values, &functions, deepest)
            .map_err(|error| error.0)?;
        let of_functions = linked.iter().map(|one| Arc::clone(&one.origin.source.library));
        let texts = msl::Texts::new(std::iter::once(Arc::clone(&self.library)).chain(of_functions));
        let texts = Arc::new(texts);
        let position = |span| {
            let at = texts.position(span);
            at.map_or(String::new(), |(file, line, column)| format!("{file}:{line}:{column}: "))
        };
        if let Some(family) = Settings::get().family
            && let Some((name, span, needed)) = availability::lacking(&module, family)
        {
            let at = position(span);
            return Err(format!(
                "{at}error: kernel '{function}' uses '{name}', which GPUs before the family Apple {needed} lack \
                 (ARUMINIUM_SOFT_FAMILY is apple{family})"
            ));
        }
        let declared = reflection.max_total_threads;
        let set = u32::try_from(self.max_threads).ok().filter(|threads| *threads > 0);
        let max_threads = [declared, set].into_iter().flatten().fold(limits::THREADS, u32::min);
        let arguments = reflection.arguments.iter().filter_map(reflected).collect();
        let options = CompileOptions { max_threads, checks, fast_math: self.fast_math };
        let source = KernelTexts(Arc::clone(&texts));
        let cannot_run =
            |error: &dyn Display| format!("error: kernel '{function}' cannot be run: {error}");
        let compile =
            || Kernel::compile(&*self.processor.backend, &module, &options, arguments, source);
        let kernel = catch_internal_error(compile)
            .map_err(|error| position(error.span) + &cannot_run(&error))?
            .map_err(|error| cannot_run(&error))?;
        if Settings::get().profile
            && let Some(profile) = kernel.profile()
        {
            profile::register(profile);
        }
        let names = linked.iter().map(|one| (one.handle, one.origin.name.clone()));
        Ok(kernel.with_linked(names.collect()))
    }
}

/// The texts of a kernel, for positions and profiles.
struct KernelTexts(Arc<msl::Texts>);

impl SourceText for KernelTexts {
    fn position(&self, span: Span) -> Option<SourcePosition> {
        let (file, line, column) = self.0.position(span)?;
        Some(SourcePosition { file, line, column })
    }

    fn file(&self, name: &str) -> Option<String> {
        self.0.file(name).map(str::to_owned)
    }
}

/// An attribute of a stage's input.
#[derive(Clone)]
pub(super) struct StageAttribute {
    pub(super) name: String,
    pub(super) index: usize,
    /// A number of `MTLDataType`.
    pub(super) data_type: usize,
    /// Whether the function uses it.
    pub(super) used: bool,
}

/// The `MTLDataType` of a scalar.
pub(super) fn data_type(scalar: Scalar) -> usize {
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

/// The name in the language of an `MTLDataType` of a scalar or vector.
fn name_of_data_type(number: usize) -> String {
    let found = SCALAR_NAMES.iter().find_map(|(name, scalar)| {
        let beyond = number.checked_sub(data_type(*scalar)).filter(|beyond| *beyond < 4)?;
        Some((name, beyond + 1))
    });
    match found {
        Some((name, 1)) => (*name).to_owned(),
        Some((name, width)) => format!("{name}{width}"),
        None => format!("MTLDataType {number}"),
    }
}

/// An argument as the host sees it; `None` for one that the host does not bind.
fn reflected(argument: &entry::Argument) -> Option<Argument> {
    let kind = match argument.kind {
        entry::ArgumentKind::Buffer => ArgumentKind::Buffer,
        entry::ArgumentKind::Threadgroup => ArgumentKind::Threadgroup,
        entry::ArgumentKind::Texture => ArgumentKind::Texture,
        entry::ArgumentKind::Sampler => ArgumentKind::Sampler,
        entry::ArgumentKind::Input(_) | entry::ArgumentKind::Unsupported => return None,
    };
    Some(Argument {
        name: argument.name.clone(),
        kind,
        index: argument.index,
        length: argument.count.unwrap_or(1),
        is_array: argument.count.is_some(),
        access: match argument.access {
            entry::Access::ReadOnly => Access::ReadOnly,
            entry::Access::ReadWrite => Access::ReadWrite,
            entry::Access::WriteOnly => Access::WriteOnly,
        },
        texture: argument.texture.map(|texture| kernel::TextureKind {
            kind: usize::from(texture.kind().host),
            depth: texture.kind().depth,
            scalar: texture.scalar,
        }),
        used: false,
        function_table: argument.function_table,
        tensor: argument.tensor,
        pointers: argument.pointers,
        pointee: argument.pointee.clone(),
        size: argument.size,
        align: argument.align,
    })
}
