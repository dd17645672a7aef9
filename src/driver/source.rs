//! Metal sources in files: compiled under their own names, with the files that they include, and checked by build scripts.

use super::descriptor::CompileOptions;
use super::device::Gpu;
use super::diagnostics::{Diagnostic, Severity};
use super::error::GpuError;
use super::shader::ShaderLib;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A Metal source in a file, with the folders and the macros that it is compiled with.
///
/// Diagnostics and faults name the file, and the files that it includes, by their paths.
/// [`include_metal!`](crate::include_metal) embeds a file in the program instead.
///
/// ```
/// use aruminium::{Gpu, GpuError, Source};
/// let folder = std::env::temp_dir().join("aruminium-source");
/// std::fs::create_dir_all(&folder)?;
/// let path = folder.join("fill.metal");
/// std::fs::write(&path, "kernel void fill(device int *x, uint i [[thread_position_in_grid]]) { x[i] = VALUE; }")?;
///
/// let gpu = Gpu::open()?;
/// gpu.pipeline(&Source::new(&path).define("VALUE", "7").compile(&gpu)?.function("fill")?)?;
///
/// let Err(GpuError::LibraryCompilationFailed(why)) = Source::new(&path).compile(&gpu) else { unreachable!() };
/// assert!(why.contains("fill.metal:1:") && why.contains("'VALUE'"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    folders: Vec<PathBuf>,
    macros: Vec<(String, String)>,
}

/// The texts of a source and of the files that it includes.
struct Files {
    text: String,
    /// The included files by the names in the directives: their paths and texts.
    headers: BTreeMap<String, (PathBuf, String)>,
}

impl Source {
    /// The source in a file, which is read when it is compiled.
    ///
    /// ```
    /// assert!(aruminium::Source::new("no/such.metal").compile(&aruminium::Gpu::open()?).is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), folders: Vec::new(), macros: Vec::new() }
    }

    /// Adds a folder in which included files are searched for, after the folder of the file that includes them.
    ///
    /// ```
    /// let source = aruminium::Source::new("kernels/add.metal").include("include");
    /// # let _ = source;
    /// ```
    #[must_use]
    pub fn include(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// Defines a macro.
    ///
    /// ```
    /// let source = aruminium::Source::new("kernels/add.metal").define("TILE", "16");
    /// # let _ = source;
    /// ```
    #[must_use]
    pub fn define(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.macros.push((name.into(), text.into()));
        self
    }

    /// Compiles the source.
    ///
    /// # Errors
    ///
    /// [`GpuError::LibraryCompilationFailed`] with the compiler's messages, or with the path of a file that cannot be read
    /// and the reason; [`GpuError::Unsupported`] on Apple's Metal for a source that includes files, which its compiler
    /// finds only at build time.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join("aruminium-compile");
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("one.metal");
    /// std::fs::write(&path, "kernel void one(device int *x) { x[0] = 1; }")?;
    /// let library = aruminium::Source::new(&path).compile(&aruminium::Gpu::open()?)?;
    /// assert_eq!(library.function_names(), ["one"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compile(&self, gpu: &Gpu) -> Result<ShaderLib, GpuError> {
        let files = self.read()?;
        gpu.compile_with(&named(&self.path, &files.text), Some(&self.options(&files)?))
    }

    /// Compiles the source only for what the compiler says. [`Diagnostic::file`] is a path.
    ///
    /// On Apple's Metal, whose compiler returns only text, that text is one error.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile) for files that cannot be read. Errors in the source are in the list.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join("aruminium-check");
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("wrong.metal");
    /// std::fs::write(&path, "kernel void k(device int *x) { x[0] = y; }")?;
    /// let found = aruminium::Source::new(&path).check(&aruminium::Gpu::open()?)?;
    /// assert_eq!(found[0].severity, aruminium::Severity::Error);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, gpu: &Gpu) -> Result<Vec<Diagnostic>, GpuError> {
        self.check_files(gpu, &self.read()?)
    }

    fn check_files(&self, gpu: &Gpu, files: &Files) -> Result<Vec<Diagnostic>, GpuError> {
        let (text, options) = (named(&self.path, &files.text), self.options(files)?);
        match gpu.diagnose(&text, Some(&options)) {
            Err(GpuError::Unsupported(_)) => {}
            found => return found,
        }
        match gpu.compile_with(&text, Some(&options)) {
            Ok(_) => Ok(Vec::new()),
            Err(error) => Ok(vec![Diagnostic {
                severity: Severity::Error,
                message: error.to_string(),
                file: Some(self.path.display().to_string()),
                line: None,
                column: None,
            }]),
        }
    }

    /// For a build script: checks the source, and has Cargo run the script again when one of its files changes.
    /// Each message of the compiler becomes a warning of the build.
    ///
    /// ```no_run
    /// // build.rs
    /// fn main() -> Result<(), aruminium::GpuError> {
    ///     aruminium::Source::new("src/kernels.metal").check_in_build()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`GpuError::LibraryCompilationFailed`] if the source has errors, so that the build fails.
    pub fn check_in_build(&self) -> Result<(), GpuError> {
        // Also if the file is not there.
        println!("cargo:rerun-if-changed={}", self.path.display());
        let files = self.read()?;
        for (path, _) in files.headers.values() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
        let mut errors = String::new();
        for one in self.check_files(&Gpu::open()?, &files)? {
            // A warning of Cargo's is one line.
            let message = one.to_string().replace('\n', " ");
            println!("cargo:warning={message}");
            if one.severity == Severity::Error {
                let _ = write!(errors, "\n{message}");
            }
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(GpuError::LibraryCompilationFailed(errors)),
        }
    }

    /// Reads the file and what it includes.
    fn read(&self) -> Result<Files, GpuError> {
        let mut files = Files { text: text_of(&self.path)?, headers: BTreeMap::new() };
        let mut waiting = vec![(self.path.clone(), files.text.clone())];
        while let Some((from, text)) = waiting.pop() {
            for name in text.lines().filter_map(included) {
                let beside = from.parent().unwrap_or(Path::new(""));
                let folders =
                    std::iter::once(beside).chain(self.folders.iter().map(PathBuf::as_path));
                // A name without a file may be a header of the language, or stand in a part that is left out.
                let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
                let Some(path) = found else { continue };
                match files.headers.get(name) {
                    Some((known, _)) if *known == path => continue,
                    // The compiler knows files by the names in the directives.
                    Some((known, _)) => {
                        return Err(GpuError::LibraryCompilationFailed(format!(
                            "'{name}' is {} in one place and {} in {}: include them by different names",
                            known.display(),
                            path.display(),
                            from.display()
                        )));
                    }
                    None => {}
                }
                let text = text_of(&path)?;
                waiting.push((path.clone(), text.clone()));
                files.headers.insert(name.to_owned(), (path, text));
            }
        }
        Ok(files)
    }

    fn options(&self, files: &Files) -> Result<CompileOptions, GpuError> {
        let options = CompileOptions::new();
        let macros = self.macros.iter().map(|(name, text)| (&**name, &**text));
        options.set_macros(&macros.collect::<Vec<_>>());
        let headers = files.headers.iter().map(|(name, (path, text))| (name, named(path, text)));
        let headers: Vec<_> = headers.collect();
        if !headers.is_empty() {
            let pairs = headers.iter().map(|(name, text)| (&***name, &**text));
            options.set_headers(&pairs.collect::<Vec<_>>())?;
        }
        Ok(options)
    }
}

/// A text in which the compiler knows the path of its file.
fn named(path: &Path, text: &str) -> String {
    let path = path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    format!("#line 1 \"{path}\"\n{text}")
}

/// The most bytes of a file that are read: the limit of a compilation. A path may name a device that never ends.
const MAX_BYTES: u64 = 16 << 20;

fn text_of(path: &Path) -> Result<String, GpuError> {
    let failed =
        |why: String| GpuError::LibraryCompilationFailed(format!("{}: {why}", path.display()));
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed(format!(
            "it has more than {MAX_BYTES} bytes, the limit of a compilation"
        )));
    }
    Ok(text)
}

/// The file that a line includes.
fn included(line: &str) -> Option<&str> {
    let directive = line.trim_start().strip_prefix('#')?.trim_start();
    let name = directive
        .strip_prefix("include")
        .or_else(|| directive.strip_prefix("import"))?
        .trim_start();
    let end = match name.chars().next()? {
        '"' => '"',
        '<' => '>',
        _ => return None,
    };
    name[1..].split_once(end).map(|(name, _)| name)
}
