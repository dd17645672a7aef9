//! MTL4Compiler: libraries and pipelines by descriptors (`specs/metal4.md`).

use super::absent::COMPILER4;
use super::descriptors::CompileOptions;
use super::errors::{Error, LibraryError, or_error};
use super::foundation::{
    ErrorOut, HeldBlock, Label, List, NSObject, Object, Pairs, Retained, SoftClass, Strong, Text,
    This, compile_aside, device, label, labelled, lock, of_device, soft_class,
};
use super::function::{CALL_DEPTH, Function};
use super::function_descriptors::FunctionConstantValues;
use super::library::Library;
use super::pipeline::{ComputePipelineState, Settings};
use super::properties::{LabelText, properties};
use crate::abi::{Id, Imp, MTLSize};

use crate::soft::kernel::Processor;
use crate::soft::stream::pipeline::Limits;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

properties! {
    /// Properties of a new compiler.
    class MTL4CompilerDescriptor(CompilerDescriptor, CompilerFields);
    [label, setLabel:] label: LabelText = None;
    [pipelineDataSetSerializer, setPipelineDataSetSerializer:] serializer: Option<Retained> = None;
}

properties! {
    /// Where a compiler looks up what is compiled already.
    class MTL4CompilerTaskOptions(CompilerTaskOptions, CompilerTaskFields);
    [lookupArchives, setLookupArchives:] archives: Option<Strong<List>> = None;
}

properties! {
    /// The source text of a library.
    class MTL4LibraryDescriptor(LibraryDescriptor, LibraryFields);
    [name, setName:] name: LabelText = None;
    [source, setSource:] source: Option<Strong<Text>> = None;
    [options, setOptions:] options: Option<Strong<CompileOptions>> = None;
}

properties! {
    /// A function that is not named.
    class MTL4FunctionDescriptor(AnyFunctionDescriptor, AnyFunctionFields);
}

properties! {
    /// A function of a library.
    class MTL4LibraryFunctionDescriptor(LibraryFunctionDescriptor, LibraryFunctionFields);
    [name, setName:] name: Option<Strong<Text>> = None;
    [library, setLibrary:] library: Option<Strong<Library>> = None;
}

properties! {
    /// A function with values for its constants.
    class MTL4SpecializedFunctionDescriptor(SpecializedFunctionDescriptor, SpecializedFunctionFields);
    [functionDescriptor, setFunctionDescriptor:] function: Option<Retained> = None;
    [specializedName, setSpecializedName:] name: Option<Strong<Text>> = None;
    [constantValues, setConstantValues:] constants: Option<Strong<FunctionConstantValues>> = None;
}

properties! {
    /// The functions that are linked to a kernel.
    class MTL4StaticLinkingDescriptor(StaticLinkingDescriptor, StaticLinkingFields);
    [functionDescriptors, setFunctionDescriptors:] functions: Option<Strong<List>> = None;
    [privateFunctionDescriptors, setPrivateFunctionDescriptors:] private: Option<Strong<List>> = None;
    [groups, setGroups:] groups: Option<Strong<Pairs>> = None;
}

properties! {
    /// How a pipeline is validated and described. Without effect: kernels are always checked.
    class MTL4PipelineOptions(PipelineOptions, PipelineOptionFields);
    [shaderValidation, setShaderValidation:] validation: isize = 0;
    [shaderReflection, setShaderReflection:] reflection: usize = 0;
}

properties! {
    /// A pipeline of no kind.
    class MTL4PipelineDescriptor(AnyPipelineDescriptor, AnyPipelineFields);
    [label, setLabel:] label: LabelText = None;
    [options, setOptions:] options: Option<Strong<PipelineOptions>> = None;
}

properties! {
    /// Properties of a new compute pipeline state.
    class MTL4ComputePipelineDescriptor(ComputePipelineDescriptor4, ComputePipelineFields4);
    [label, setLabel:] label: LabelText = None;
    [options, setOptions:] options: Option<Strong<PipelineOptions>> = None;
    [computeFunctionDescriptor, setComputeFunctionDescriptor:] function: Option<Retained> = None;
    [threadGroupSizeIsMultipleOfThreadExecutionWidth,
        setThreadGroupSizeIsMultipleOfThreadExecutionWidth:] multiple_of_width: bool = false;
    [maxTotalThreadsPerThreadgroup, setMaxTotalThreadsPerThreadgroup:] max_threads: usize = 0;
    [requiredThreadsPerThreadgroup, setRequiredThreadsPerThreadgroup:] required: MTLSize =
        MTLSize { width: 0, height: 0, depth: 0 };
    [supportBinaryLinking, setSupportBinaryLinking:] linking: bool = false;
    [staticLinkingDescriptor, setStaticLinkingDescriptor:] linked: Option<Strong<StaticLinkingDescriptor>> = None;
    [supportIndirectCommandBuffers, setSupportIndirectCommandBuffers:] indirect: isize = 0;
    rows {
        [reset] = |this: &ComputePipelineDescriptor4| {
            let _old = std::mem::take(&mut *lock(&this.0));
        };
    }
}

/// A compiler.
pub(super) struct Compiler {
    processor: &'static Processor,
    label: Label,
    serializer: Option<Retained>,
}

labelled!(Compiler);
of_device! { Compiler, compiler => compiler.processor; }

soft_class! {
    /// A compiler.
    pub(super) class SoftMTL4Compiler(Compiler): NSObject, conforms [MTL4Compiler], lacks COMPILER4;
    [device] = device::<Compiler>;
    [label] = label::<Compiler>;
    [pipelineDataSetSerializer] = |compiler: &Compiler| compiler.serializer.clone();
    [newLibraryWithDescriptor:error:] =
        |compiler: &Compiler, descriptor: Option<&Object<LibraryDescriptor>>, error: ErrorOut| {
            or_error(library(compiler.processor, descriptor), error)
        };
    [newLibraryWithDescriptor:completionHandler:] = |
        this: This<'_, Compiler>, descriptor: Option<Strong<LibraryDescriptor>>, block: Option<HeldBlock>,
    | {
        let processor = this.processor;
        task(this, block, move || library(processor, descriptor.as_deref()))
    };
    [newComputePipelineStateWithDescriptor:compilerTaskOptions:error:] = |
        _: &Compiler, descriptor: Option<&Object<ComputePipelineDescriptor4>>,
        _: Option<&Object<CompilerTaskOptions>>, error: ErrorOut,
    | or_error(pipeline(descriptor, Id::NIL), error);
    [newComputePipelineStateWithDescriptor:dynamicLinkingDescriptor:compilerTaskOptions:error:] = |
        _: &Compiler, descriptor: Option<&Object<ComputePipelineDescriptor4>>, dynamic: Id,
        _: Option<&Object<CompilerTaskOptions>>, error: ErrorOut,
    | or_error(pipeline(descriptor, dynamic), error);
    [newComputePipelineStateWithDescriptor:compilerTaskOptions:completionHandler:] = |
        this: This<'_, Compiler>, descriptor: Option<Strong<ComputePipelineDescriptor4>>,
        _: Option<&Object<CompilerTaskOptions>>, block: Option<HeldBlock>,
    | task(this, block, move || pipeline(descriptor.as_deref(), Id::NIL));
    [newComputePipelineStateWithDescriptor:dynamicLinkingDescriptor:compilerTaskOptions:completionHandler:] = |
        this: This<'_, Compiler>, descriptor: Option<Strong<ComputePipelineDescriptor4>>,
        dynamic: Option<Retained>, _: Option<&Object<CompilerTaskOptions>>, block: Option<HeldBlock>,
    | {
        task(this, block, move || {
            pipeline(descriptor.as_deref(), dynamic.as_ref().map_or(Id::NIL, Retained::id))
        })
    };
}

impl Compiler {
    pub(super) fn object(
        processor: &'static Processor,
        descriptor: Option<&Object<CompilerDescriptor>>,
    ) -> Strong<Self> {
        let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
        let own_label = Label::default();
        own_label.set(fields.label.as_ref().map(|text| text.to_str()).as_deref());
        Strong::new(Self { processor, label: own_label, serializer: fields.serializer })
    }
}

type Failed = Error<LibraryError>;

fn missing(what: &str) -> Failed {
    Error::new(LibraryError::FunctionNotFound, format!("there is no {what}: nil was passed"))
}

fn library(
    processor: &'static Processor,
    descriptor: Option<&Object<LibraryDescriptor>>,
) -> Result<Strong<Library>, Failed> {
    let fields = descriptor.ok_or_else(|| missing("descriptor of a library"))?.get();
    let source = fields.source.ok_or_else(|| missing("source text of the library"))?;
    let library = Library::compile(processor, &source.to_str(), fields.options.as_deref())?;
    library.set_name(fields.name.as_deref());
    Ok(library)
}

/// The function that a descriptor names.
fn function(descriptor: Id) -> Result<Strong<Function>, Failed> {
    if descriptor.is_nil() {
        return Err(missing("descriptor of a function"));
    }
    // SAFETY: an object, which the descriptor that has it keeps alive.
    let named = unsafe { Object::<LibraryFunctionDescriptor>::from_id(descriptor) };
    if let Some(named) = named {
        let LibraryFunctionFields { name, library } = named.get();
        let library = library.ok_or_else(|| missing("library of the function"))?;
        let name = name.ok_or_else(|| missing("name of the function"))?;
        return library.function(&name.to_str(), None, &[]);
    }
    // SAFETY: as above.
    let Some(special) = (unsafe { Object::<SpecializedFunctionDescriptor>::from_id(descriptor) })
    else {
        let text =
            "functions of libraries and specialised ones are possible; stitched functions are not";
        return Err(Error::new(LibraryError::Unsupported, text));
    };
    let SpecializedFunctionFields { function: of, name: other, constants } = special.get();
    let of = of.as_ref().map_or(Id::NIL, Retained::id);
    // SAFETY: as above.
    let named = (!of.is_nil()).then(|| unsafe { Object::<LibraryFunctionDescriptor>::from_id(of) });
    let Some(named) = named.flatten() else {
        return Err(missing("function of a library that is specialised"));
    };
    let LibraryFunctionFields { name, library } = named.get();
    let library = library.ok_or_else(|| missing("library of the function"))?;
    let name = name.ok_or_else(|| missing("name of the function"))?;
    let constants = constants.map(|constants| constants.get()).unwrap_or_default();
    library.function(&name.to_str(), other.map(|text| text.to_str().into_owned()), &constants)
}

fn functions(list: Option<&Strong<List>>) -> Result<Vec<Strong<Function>>, Failed> {
    let objects = list.map(|list| list.objects().to_vec()).unwrap_or_default();
    objects.iter().map(|object| function(object.id())).collect()
}

fn pipeline(
    descriptor: Option<&Object<ComputePipelineDescriptor4>>,
    dynamic: Id,
) -> Result<Strong<ComputePipelineState>, Failed> {
    if !dynamic.is_nil() {
        let text =
            "binary functions and dynamic libraries do not exist here: link functions statically";
        return Err(Error::new(LibraryError::Unsupported, text));
    }
    let fields = descriptor.ok_or_else(|| missing("descriptor of a pipeline"))?.get();
    let linked = fields.linked.map(|linked| linked.get()).unwrap_or_default();
    ComputePipelineState::new(Settings {
        function: function(fields.function.as_ref().map_or(Id::NIL, Retained::id))?,
        limits: Limits {
            max_threads: fields.max_threads,
            whole_simd_groups: fields.multiple_of_width,
        },
        label: fields.label,
        exported: functions(linked.functions.as_ref())?,
        private: functions(linked.private.as_ref())?,
        call_depth: CALL_DEPTH,
        adding: false,
        indirect: fields.indirect != 0,
    })
}

/// A compilation on a thread of its own.
pub(super) struct CompilerTask {
    compiler: Strong<Compiler>,
    finished: Arc<(Mutex<bool>, Condvar)>,
}

/// `MTL4CompilerTaskStatus`.
const COMPILING: isize = 2;
const FINISHED: isize = 3;

soft_class! {
    /// A compilation on a thread of its own.
    pub(super) class SoftMTL4CompilerTask(CompilerTask): NSObject, conforms [MTL4CompilerTask];
    [compiler] = |task: &CompilerTask| task.compiler.clone();
    [status] = |task: &CompilerTask| if *lock(&task.finished.0) { FINISHED } else { COMPILING };
    [waitUntilCompleted] = |task: &CompilerTask| {
        let mut finished = lock(&task.finished.0);
        while !*finished {
            finished = task.finished.1.wait(finished).unwrap_or_else(PoisonError::into_inner);
        }
    };
}

/// Compiles aside, and calls a block with the object or an error.
fn task<P: SoftClass>(
    compiler: This<'_, Compiler>,
    block: Option<HeldBlock>,
    make: impl FnOnce() -> Result<Strong<P>, Failed> + Send + 'static,
) -> Strong<CompilerTask> {
    let finished = Arc::new((Mutex::new(false), Condvar::new()));
    let done = Arc::clone(&finished);
    compile_aside(move || {
        let made = make().map_err(|error| error.ns_error());
        if let Some(block) = block {
            // SAFETY: the message passed a block that takes these objects.
            unsafe {
                let call =
                    std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Id, Id)>(block.invoke());
                let object = made.as_ref().map_or(Id::NIL, |object| object.id());
                call(block.id(), object, made.as_ref().err().map_or(Id::NIL, |error| error.id()));
            }
        }
        *lock(&done.0) = true;
        done.1.notify_all();
    });
    Strong::new(CompilerTask { compiler: compiler.retain(), finished })
}
