//! MTLLibrary: a compiled source text, and the functions in it.

use super::absent::LIBRARY;
use super::compiler::{self, Constant, Options, Origin, Source};
use super::datum::DIAGNOSTICS;
use super::descriptors::CompileOptions;
use super::errors::{Error, LibraryError, or_error};
use super::foundation::{
    AFTER_FORK, ErrorOut, Failure, HeldBlock, Label, List, NSObject, Object, Strong, Text, This,
    compile_aside, device, is_forked, label, labelled, of_device, set_label, soft_class,
};
use super::function::{Function, FunctionReflection};
use super::function_descriptors::{FunctionConstantValues, FunctionDescriptor};
use crate::abi::{Id, Imp};
use crate::soft::ir::Checks;
use crate::soft::kernel::Processor;
use std::sync::Arc;

/// A library.
pub(super) struct Library {
    source: Arc<Source>,
    install_name: Option<Strong<Text>>,
    label: Label,
}

labelled!(Library);
of_device! { Library, library => library.source.processor; }

soft_class! {
    /// A library.
    pub(super) class SoftMTLLibrary(Library): NSObject, conforms [MTLLibrary], lacks LIBRARY;
    [label] = label::<Library>;
    [setLabel:] = set_label::<Library>;
    [device] = device::<Library>;
    [functionNames] = Library::function_names;
    [type] = |_: &Library| 0isize;
    [installName] = |library: &Library| library.install_name.clone();
    // Beyond Metal's API.
    [aruminiumIR:error:] = |library: &Library, name: &Object<Text>, error: ErrorOut| {
        let ir = library.source.ir(&name.to_str(), &[]).map(Text::object);
        or_error(ir.map_err(|text| Error::new(LibraryError::CompileFailure, text)), error)
    };
    [aruminiumListing:error:] = |library: &Library, name: &Object<Text>, error: ErrorOut| {
        let text = library.source.listing(&name.to_str(), &[]).map(Text::object);
        or_error(text.map_err(|text| Error::new(LibraryError::CompileFailure, text)), error)
    };
    [aruminiumDiagnostics] = |library: &Library| library.source.diagnostics().object();
    [newFunctionWithName:] = |library: &Library, name: &Object<Text>| {
        library.function(&name.to_str(), None, &[]).ok()
    };
    [reflectionForFunctionWithName:] = |library: &Library, name: &Object<Text>| {
        library.function(&name.to_str(), None, &[]).ok().map(|function| Strong::new(FunctionReflection(function)))
    };
    [newFunctionWithName:constantValues:error:] = Library::specialised;
    [newFunctionWithName:constantValues:completionHandler:] = specialised_later;
    [newFunctionWithDescriptor:error:] = Library::described;
    [newFunctionWithDescriptor:completionHandler:] = described_later;
}

/// Why a library or a function could not be made.
type LibraryFailure = Error<LibraryError>;

/// An error in a forked process, where the compiler may be locked by a thread that does not exist.
fn refuse_after_fork() -> Result<(), LibraryFailure> {
    match is_forked() {
        true => Err(Error::new(LibraryError::Unsupported, format!("no compiler: {AFTER_FORK}"))),
        false => Ok(()),
    }
}

impl Library {
    /// Compiles a source text.
    pub(super) fn compile(
        processor: &'static Processor,
        source: &str,
        options: Option<&Object<CompileOptions>>,
    ) -> Result<Strong<Self>, LibraryFailure> {
        let fields = options.map(|options| options.get()).unwrap_or_default();
        let macros = fields.macros.iter().flat_map(|macros| macros.texts());
        let headers = fields.headers.iter().flat_map(|headers| headers.texts());
        let how = Options {
            macros: macros.collect(),
            headers: headers.collect(),
            language: fields.language(),
            safe_math: fields.is_safe(),
            max_threads: fields.max_threads,
        };
        Self::compile_as(processor, source, how, fields.install_name)
    }

    /// Compiles a source text with the compiler's own options.
    pub(super) fn compile_as(
        processor: &'static Processor,
        source: &str,
        how: Options,
        install_name: Option<Strong<Text>>,
    ) -> Result<Strong<Self>, LibraryFailure> {
        refuse_after_fork()?;
        match compiler::compile(processor, source, &how) {
            Ok(source) => Ok(Self::of(Arc::new(source), install_name)),
            Err(error) => Err(compiler::failure(error)),
        }
    }

    /// The error of a source text that does not compile.
    #[cfg(feature = "export")]
    pub(super) fn check(source: &str, how: &Options) -> Result<(), LibraryFailure> {
        refuse_after_fork()?;
        compiler::check(source, how).map(|_| ()).map_err(compiler::failure)
    }

    /// A library of compiled functions.
    pub(super) fn of(source: Arc<Source>, install_name: Option<Strong<Text>>) -> Strong<Self> {
        Strong::new(Self { source, install_name, label: Label::default() })
    }

    /// The compiler's warnings: Metal passes them as an error together with the library.
    pub(super) fn warning(&self) -> Option<LibraryFailure> {
        let warnings = self.source.warnings();
        (!warnings.is_empty()).then(|| {
            let list = self.source.diagnostics();
            Error::new(LibraryError::CompileWarning, warnings).with(DIAGNOSTICS, list)
        })
    }

    fn function_names(&self) -> Strong<List> {
        let names = self.source.functions().into_iter();
        List::object(names.map(|(name, _)| Text::object(name).into_retained()))
    }

    /// Sets the label.
    pub(super) fn set_name(&self, name: Option<&Object<Text>>) {
        set_label(self, name);
    }

    /// The function called `name`, under its own or another name.
    pub(super) fn function(
        &self,
        name: &str,
        other: Option<String>,
        constants: &[Constant],
    ) -> Result<Strong<Function>, LibraryFailure> {
        refuse_after_fork()?;
        let label = self.label.after_noun();
        let functions = self.source.functions();
        let Some((_, kind)) = functions.iter().find(|(known, _)| known == name) else {
            let text = format!("library{label} has no function named '{name}'");
            return Err(Error::new(LibraryError::FunctionNotFound, text));
        };
        let source = Arc::clone(&self.source);
        let origin = Origin { source, name: name.to_owned(), constants: constants.to_vec() };
        Function::compile(origin, *kind, other.unwrap_or_else(|| name.to_owned()), Checks::NONE)
    }

    fn specialised(
        &self,
        name: &Object<Text>,
        constants: Option<&Object<FunctionConstantValues>>,
        error: ErrorOut,
    ) -> Option<Strong<Function>> {
        let constants = constants.map(|constants| constants.get()).unwrap_or_default();
        or_error(self.function(&name.to_str(), None, &constants), error)
    }

    fn described(
        &self,
        descriptor: &Object<FunctionDescriptor>,
        error: ErrorOut,
    ) -> Option<Strong<Function>> {
        or_error(self.of_descriptor(descriptor), error)
    }

    pub(super) fn of_descriptor(
        &self,
        descriptor: &FunctionDescriptor,
    ) -> Result<Strong<Function>, LibraryFailure> {
        let fields = descriptor.get();
        let name = fields.name.ok_or_else(|| {
            Error::new(LibraryError::FunctionNotFound, "the function descriptor has no name")
        })?;
        let other = fields.specialized_name.map(|name| name.to_str().into_owned());
        let constants = fields.constants.map(|constants| constants.get()).unwrap_or_default();
        self.function(&name.to_str(), other, &constants)
    }
}

/// Calls a block with an object and an error, one of which is nil, on the thread that makes it.
pub(super) fn complete_later<
    P: super::foundation::SoftClass,
    D: super::errors::Domain + Send + 'static,
>(
    block: Option<HeldBlock>,
    make: impl FnOnce() -> Result<Strong<P>, Error<D>> + Send + 'static,
) {
    let Some(block) = block else { return };
    compile_aside(move || {
        let result = make().map_err(|error| error.ns_error());
        let object = result.as_ref().map_or(Id::NIL, |object| object.id());
        let error = result.as_ref().err().map_or(Id::NIL, |error: &Strong<Failure>| error.id());
        // SAFETY: the message passed a block that takes an object and an error.
        unsafe {
            let call = std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Id, Id)>(block.invoke());
            call(block.id(), object, error);
        }
    });
}

fn specialised_later(
    this: This<'_, Library>,
    name: &Object<Text>,
    constants: Option<&Object<FunctionConstantValues>>,
    block: Option<HeldBlock>,
) {
    let (library, name) = (this.retain(), name.to_str().into_owned());
    let constants = constants.map(|constants| constants.get()).unwrap_or_default();
    complete_later(block, move || library.function(&name, None, &constants));
}

fn described_later(
    this: This<'_, Library>,
    descriptor: &Object<FunctionDescriptor>,
    block: Option<HeldBlock>,
) {
    let (library, descriptor) = (this.retain(), descriptor.retain());
    complete_later(block, move || library.of_descriptor(&descriptor));
}
