//! The compiler of the Metal Shading Language: from a library's text to kernels in the IR.
//!
//! The phases are, in this order: [`preprocess`] (with [`lex`]), [`parse`]
//! (to [`ast`]), [`check`] (to [`hir`]), [`lower`] (to the IR). [`compile`] runs the first three over
//! a whole file; [`Library::kernel`] lowers one kernel on request. See `specs/msl.md`.

pub(crate) mod ast;
pub(crate) mod availability;
pub(crate) mod check;
pub(crate) mod diagnostics;
pub(crate) mod hir;
pub(crate) mod lex;
mod library;
pub(crate) mod lower;
pub(crate) mod names;
pub(crate) mod parse;
pub(crate) mod preprocess;
pub(crate) mod source;
pub(crate) mod texture;
pub(crate) mod traits;
pub(crate) mod types;

use crate::soft::ir::{self, Checks, InternalError};
use ast::Stage;
use check::entry::{self, Reflection};
use check::library::Library as Known;
use check::program::{Program, Role, Specialisation};
use check::{Checker, FuncId};
use diagnostics::{Diagnostics, Listed};
use hir::Constant;
use lower::Unit;
use names::Names;
use preprocess::Context;
use source::{MAX_SOURCE, SourceMap, Span};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How a library is compiled: the settings of `MTLCompileOptions`, and files to include.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) file_name: String,
    /// `-D name=value`
    pub(crate) macros: Vec<(String, String)>,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) fast_math: bool,
    /// The newest version of the language whose names are known, as `__METAL_VERSION__` has it; `None` is all.
    pub(crate) language: Option<u32>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            file_name: "program_source".into(),
            macros: Vec::new(),
            headers: HashMap::new(),
            fast_math: true,
            language: None,
        }
    }
}

/// A function that the host can request by name.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct EntryPoint {
    pub(crate) name: String,
    pub(crate) stage: Stage,
}

/// A function constant: a program-scope constant that the host sets when it creates a function (MSL 5.8).
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct FunctionConstant {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) scalar: ir::Scalar,
    /// The number of components; 1 for a scalar.
    pub(crate) width: u32,
}

/// Values for function constants, by index or by name, as bytes of the constant's own type.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConstantValues {
    pub(crate) by_index: HashMap<u32, Vec<u8>>,
    pub(crate) by_name: HashMap<String, Vec<u8>>,
    /// The checks that the kernel makes while it runs. With any check it computes only what the source evaluates: both arms of a
    /// conditional expression are not computed to select one.
    pub(crate) checks: Checks,
}

impl ConstantValues {
    /// The components of a constant's value.
    fn get(&self, constant: &FunctionConstant) -> Option<Vec<Constant>> {
        let by_index = self.by_index.get(&constant.index);
        let bytes = by_index.or_else(|| self.by_name.get(&constant.name))?;
        let size = constant.scalar.bytes() as usize;
        let components = bytes.get(..size * constant.width as usize)?.chunks_exact(size);
        Some(components.map(|bytes| component(bytes, constant.scalar)).collect())
    }
}

/// A scalar from its bytes; the slice has at least its size.
fn component(bytes: &[u8], scalar: ir::Scalar) -> Constant {
    let mut raw = [0; 8];
    raw[..bytes.len()].copy_from_slice(bytes);
    check::constant_from_bits(u64::from_le_bytes(raw), scalar)
}

/// A compiled library. Kernels are lowered on request.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) entries: Vec<EntryPoint>,
    pub(crate) function_constants: Vec<FunctionConstant>,
    /// The compiler's diagnostics as data: warnings, and errors about unsupported features in functions
    /// that were not requested yet.
    pub(crate) diagnostics: Vec<Listed>,
    /// The warnings, as text; empty when there are none.
    pub(crate) warnings: String,
    /// Errors about unsupported features, reported when a requested function does not exist.
    deferred: String,
    /// The source text, for reports; complete, and readable without a lock while kernels are compiled.
    sources: SourceMap,
    /// Checks the bodies of templates' instances when a kernel needs them.
    checker: Mutex<Checker>,
    functions: Vec<FuncId>,
}

/// A visible function that is linked to a kernel (`specs/functions.md`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linked<'a> {
    pub(crate) library: &'a Library,
    /// Its name in its library.
    pub(crate) name: &'a str,
    pub(crate) constants: &'a ConstantValues,
    /// Its handle, which pointers to it hold: unique, below 2^45, and not 0.
    pub(crate) handle: u64,
}

/// The texts of a kernel and of the functions that are linked to it, for the positions of instructions.
pub(crate) struct Texts(Vec<(u32, Arc<Library>)>);

impl Texts {
    /// The texts of these libraries, the kernel's first.
    pub(crate) fn new(libraries: impl IntoIterator<Item = Arc<Library>>) -> Self {
        let mut base = 0u32;
        let text = |library: Arc<Library>| {
            let own = base;
            base = base.saturating_add(library.sources.end());
            (own, library)
        };
        Self(libraries.into_iter().map(text).collect())
    }

    /// The file, line and column of an IR instruction's span, for reports of faults. It never waits for a compilation.
    pub(crate) fn position(&self, span: ir::Span) -> Option<(String, u32, u32)> {
        let before = self.0.partition_point(|text| text.0 <= span.0);
        let (base, library) = self.0.get(before.checked_sub(1)?)?;
        library.position(ir::Span(span.0 - base))
    }

    /// The text of the first file of a name, if its lines are numbered as positions are.
    pub(crate) fn file(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(_, library)| library.sources.text_of_file(name))
    }
}

/// A failed compilation: the report as Metal's own compiler prints it, and its diagnostics as data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CompileError(pub(crate) String, pub(crate) Vec<Listed>);

impl CompileError {
    fn new(diagnostics: &Diagnostics, sources: &SourceMap) -> Self {
        Self(diagnostics.render(sources), diagnostics.list(sources))
    }
}

impl std::fmt::Display for CompileError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// Compiles a library's text: everything except the code of kernels.
pub(crate) fn compile(source: &str, options: &Options) -> Result<Library, CompileError> {
    ir::with_stack(|| compile_here(source, options))
}

fn compile_here(source: &str, options: &Options) -> Result<Library, CompileError> {
    let library = Known::get();
    let mut context = Context {
        sources: SourceMap::starting_at(library.end),
        names: Names::above(library.names.clone()),
        diagnostics: Diagnostics::default(),
    };
    let Some(file) = context.sources.add(&options.file_name, source) else {
        let text = format!(
            "{}: error: the source has {} bytes, and the limit is {MAX_SOURCE}; compile it as \
             several libraries\n",
            options.file_name,
            source.len()
        );
        return Err(CompileError(text, Vec::new()));
    };
    ir::compiling(ir::Span(context.sources.file(file).base));
    let mut macros = library.macros.clone();
    if let Some(language) = options.language {
        macros.retain(|name, _| availability::has(language, context.names.text(*name)));
    }
    if options.fast_math {
        preprocess::define_text(&mut macros, &mut context.names, "__FAST_MATH__", "1");
    }
    for (name, body) in &options.macros {
        preprocess::define_text(&mut macros, &mut context.names, name, body);
    }
    let declarations = ir::catch_internal_error(|| {
        let tokens = preprocess::preprocess(&mut context, macros, &options.headers, file);
        parse::parse(&tokens, &context.names, &library.known, &mut context.diagnostics)
    });
    let declarations = declarations.map_err(|error| {
        broken(&error, std::mem::take(&mut context.diagnostics), &context.sources)
    })?;
    if context.diagnostics.has_errors() {
        return Err(CompileError::new(&context.diagnostics, &context.sources));
    }
    let Context { sources, names, diagnostics } = context;
    let context = check::Context { names, diagnostics };
    let mut checker = Checker::new(context, library);
    checker.language = options.language;
    let checked = ir::catch_internal_error(|| {
        checker.declare_all(&declarations);
        checker.check_all_bodies();
        checker.check_entry_names();
        checker.report_exceeded();
    });
    checked.map_err(|error| broken(&error, checker.recover(), &sources))?;
    let report = checker.context.diagnostics.render(&sources);
    let listed = checker.context.diagnostics.list(&sources);
    if checker.context.diagnostics.has_hard_errors() {
        return Err(CompileError(report, listed));
    }
    // The remaining errors are about unsupported features, which must not fail the file's other kernels.
    let (warnings, deferred) = match checker.context.diagnostics.has_errors() {
        true => (String::new(), report),
        false => (report, String::new()),
    };
    let mut entries = Vec::new();
    let mut functions = Vec::new();
    for (index, func) in checker.functions.iter().enumerate() {
        if let Some(stage) = func.stage
            && func.is_entry()
        {
            let id = FuncId(index as u32);
            entries.push(EntryPoint { name: checker.entry_name(id), stage });
            functions.push(id);
        }
    }
    for (name, func) in &checker.exports {
        let stage = checker.func(*func).stage.unwrap_or(Stage::Kernel);
        entries.push(EntryPoint { name: name.clone(), stage });
        functions.push(*func);
    }
    let function_constants = checker.function_constants();
    Ok(Library {
        entries,
        function_constants,
        diagnostics: listed,
        warnings,
        deferred,
        sources,
        checker: Mutex::new(checker),
        functions,
    })
}

/// The report after an internal error.
fn broken(error: &InternalError, diagnostics: Diagnostics, sources: &SourceMap) -> CompileError {
    let mut diagnostics = diagnostics;
    let span = Span::new(error.span.0, error.span.0);
    diagnostics.error(span, error.to_string());
    CompileError::new(&diagnostics, sources)
}

impl Drop for Library {
    /// Drops the functions on a large stack: their expressions may be deep.
    fn drop(&mut self) {
        let checker = self.checker.get_mut().unwrap_or_else(PoisonError::into_inner);
        let bodies = checker.take_bodies();
        ir::with_stack(|| drop(bodies));
    }
}

impl Library {
    fn find(&self, name: &str) -> Result<FuncId, CompileError> {
        let at = self.entries.iter().position(|entry| entry.name == name);
        at.map(|at| self.functions[at]).ok_or_else(|| {
            let deferred = &self.deferred;
            let text = format!("error: no function named '{name}' in the library\n{deferred}");
            CompileError(text, Vec::new())
        })
    }

    /// Checks the functions that a kernel needs. Only this step of creating a kernel holds the lock.
    fn program(&self, func: FuncId, role: Role) -> Result<Program, CompileError> {
        // After a panic in another thread `recover` has restored the checker.
        let mut checker = self.checker.lock().unwrap_or_else(PoisonError::into_inner);
        let program =
            ir::catch_internal_error(|| checker.program(func, role)).map_err(|error| {
                let diagnostics = checker.recover();
                broken(&error, diagnostics, &self.sources)
            })?;
        program.map_err(|error| CompileError::new(&error, &self.sources))
    }

    /// Lowers a kernel. Errors about unsupported features in this function and in those it calls are
    /// reported here.
    pub(crate) fn kernel(
        &self,
        name: &str,
        constants: &ConstantValues,
    ) -> Result<(ir::Module, Reflection), CompileError> {
        self.linked_kernel(name, constants, &[], 1)
    }

    /// The same with functions that are linked to it, and the most calls through pointers that are open at once.
    pub(crate) fn linked_kernel(
        &self,
        name: &str,
        constants: &ConstantValues,
        linked: &[Linked<'_>],
        deepest: u32,
    ) -> Result<(ir::Module, Reflection), CompileError> {
        let values = |constant: &FunctionConstant| constants.get(constant);
        self.kernel_with(name, constants.checks, &values, linked, deepest)
    }

    /// Checks a visible function, and those that it calls.
    pub(crate) fn check_visible(
        &self,
        name: &str,
        constants: &ConstantValues,
    ) -> Result<(), CompileError> {
        let func = self.find(name)?;
        ir::with_stack(|| {
            let program = self.program(func, Role::Function)?;
            let special = Specialisation::new(&program, &|constant| constants.get(constant));
            self.lowered(name, &[Unit { special: &special, handle: 0, base: 0 }], 1, &[])?;
            Ok(())
        })
    }

    /// The arguments of a function of a stage of rendering with these values of function constants, and for each whether the
    /// function uses it; of a stage's input, the attributes that exist.
    pub(crate) fn stage_arguments(
        &self,
        name: &str,
        constants: &ConstantValues,
    ) -> Result<Vec<(entry::Argument, bool)>, CompileError> {
        let func = self.find(name)?;
        let mut checker = self.checker.lock().unwrap_or_else(PoisonError::into_inner);
        let arguments = ir::catch_internal_error(|| checker.stage_arguments(func))
            .map_err(|error| broken(&error, checker.recover(), &self.sources))?;
        drop(checker);
        let mut arguments = arguments.map_err(|error| CompileError::new(&error, &self.sources))?;
        let is_conditional = |(argument, _): &(entry::Argument, bool)| {
            let of_attributes = argument.attributes.iter().map(|attribute| attribute.condition);
            of_attributes.chain([argument.condition]).any(|condition| condition.is_some())
        };
        if arguments.iter().any(is_conditional) {
            let program = self.program(func, Role::Function)?;
            let special = Specialisation::new(&program, &|constant| constants.get(constant));
            arguments.retain(|(argument, _)| !special.is_absent(argument.condition));
            for (argument, _) in &mut arguments {
                argument.attributes.retain(|attribute| !special.is_absent(attribute.condition));
            }
        }
        Ok(arguments)
    }

    /// Lowers a function with those that are linked to it.
    fn lowered(
        &self,
        name: &str,
        units: &[Unit<'_>],
        deepest: u32,
        linked: &[Linked<'_>],
    ) -> Result<ir::Module, CompileError> {
        let lowered = ir::catch_internal_error(|| lower::lower(units, deepest));
        let lowered =
            lowered.map_err(|error| match error.untyped && !self.deferred.is_empty() {
                false => broken(&error, Diagnostics::default(), &self.sources),
                // A part that the kernel needs has no type because of an error that does not fail the library.
                true => {
                    let deferred = &self.deferred;
                    let text = format!("error: '{name}' depends on code with errors\n{deferred}");
                    CompileError(text, Vec::new())
                }
            })?;
        lowered.map_err(|failure| {
            let linked = failure.unit.checked_sub(1).and_then(|unit| linked.get(unit));
            let sources = linked.map_or(&self.sources, |linked| &linked.library.sources);
            CompileError::new(&failure.diagnostics, sources)
        })
    }

    /// The same with the components of function constants' values.
    fn kernel_with(
        &self,
        name: &str,
        checks: Checks,
        values: &(dyn Fn(&FunctionConstant) -> Option<Vec<Constant>> + Sync),
        linked: &[Linked<'_>],
        deepest: u32,
    ) -> Result<(ir::Module, Reflection), CompileError> {
        let func = self.find(name)?;
        if self.entries.iter().any(|entry| entry.name == name && entry.stage == Stage::Visible) {
            let text = format!("error: function '{name}' is not a kernel");
            return Err(CompileError(text, Vec::new()));
        }
        ir::with_stack(|| {
            let program = self.program(func, Role::Kernel)?;
            let mut programs = Vec::new();
            for one in linked {
                let func = one.library.find(one.name)?;
                programs.push(one.library.program(func, Role::Function)?);
            }
            let special = Specialisation::new(&program, values).checked(checks);
            let specials: Vec<_> = programs
                .iter()
                .zip(linked)
                .map(|(program, one)| {
                    Specialisation::new(program, &|c| one.constants.get(c)).checked(checks)
                })
                .collect();
            let mut units = vec![Unit { special: &special, handle: 0, base: 0 }];
            let mut base = self.sources.end();
            for (special, one) in specials.iter().zip(linked) {
                units.push(Unit { special, handle: one.handle, base });
                base = base.saturating_add(one.library.sources.end());
            }
            let mut module = self.lowered(name, &units, deepest, linked)?;
            // An instance of a template is found by its host name.
            module.name = name.to_string();
            module.library = library::applied(&module.functions);
            Ok((module, program.reflection))
        })
    }

    /// Lowers a function that is no entry point, for the library itself.
    fn function(&self, name: &str) -> Result<ir::Module, String> {
        let func = {
            let checker = self.checker.lock().unwrap_or_else(PoisonError::into_inner);
            let at = checker.functions.iter().position(|func| func.name == name);
            FuncId(at.ok_or_else(|| format!("no function '{name}'"))? as u32)
        };
        let program = self.program(func, Role::Function).map_err(|error| error.to_string())?;
        let special = Specialisation::new(&program, &|_| None);
        let unit = Unit { special: &special, handle: 0, base: 0 };
        let module = lower::lower(&[unit], 1)
            .map_err(|failure| failure.diagnostics.render(&self.sources))?;
        Ok(ir::Module { library: library::applied(&module.functions), ..module })
    }

    /// The file, line and column of an IR instruction's span, for reports of faults. It never
    /// waits for a compilation.
    pub(crate) fn position(&self, span: ir::Span) -> Option<(String, u32, u32)> {
        let position = self.sources.position(span.0)?;
        Some((position.file.to_string(), position.line, position.column))
    }

    /// Reflection of a function's arguments, for the host.
    #[cfg(test)]
    pub(crate) fn reflection(&self, name: &str) -> Result<Reflection, CompileError> {
        let func = self.find(name)?;
        ir::with_stack(|| Ok(self.program(func, Role::Kernel)?.reflection))
    }
}

#[cfg(test)]
mod tests;
