//! The compiler's diagnostics as data; soft Metal only.

use super::beyond::supports;
use super::descriptor::CompileOptions;
use super::device::Gpu;
use super::error::{Fields, GpuError};
use super::foundation::{NSArray, NSDictionary, NSError, NSString};
use super::shader::ShaderLib;
use crate::abi::Id;
use crate::objc::{ObjcClass, Object, autorelease_pool};
use crate::{msg, selector};
use std::fmt;

/// One message of the compiler.
///
/// ```
/// use aruminium::{Diagnostic, Gpu, GpuError, Severity};
/// let gpu = Gpu::open()?;
/// let source = "kernel void k(device int *x) {
///     int unused = 1;
///     x[0] = y;
/// }";
/// match gpu.diagnose(source, None) {
///     Ok(all) => {
///         let error: &Diagnostic = all.iter().find(|one| one.severity == Severity::Error).unwrap();
///         assert_eq!((error.line, error.column), (Some(3), Some(12)));
///         assert!(error.message.contains("'y'"));
///     }
///     // Apple's compiler returns no such list.
///     Err(error) => assert!(matches!(error, GpuError::Unsupported(_))),
/// }
/// # Ok::<(), GpuError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// The message, one line.
    pub message: String,
    /// The name of the file.
    pub file: Option<String>,
    /// The line, from 1 on.
    pub line: Option<u32>,
    /// The column, from 1 on.
    pub column: Option<u32>,
}

impl fmt::Display for Diagnostic {
    /// The message with its place, on one line: `add.metal:3:12: error: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            for number in [self.line, self.column].into_iter().flatten() {
                write!(f, "{number}:")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}: {}", self.severity, self.message)
    }
}

/// The severity of a diagnostic.
///
/// ```
/// assert!(aruminium::Severity::Error < aruminium::Severity::Warning);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The source, or the function, does not compile.
    Error,
    /// It compiles, but probably does not do what was intended.
    Warning,
    /// A note on the message before it.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// The messages in a list from soft Metal.
fn messages(list: &NSArray) -> Vec<Diagnostic> {
    let message = |index| {
        // SAFETY: the list holds dictionaries.
        let fields = Fields::new(unsafe { list.get::<NSDictionary>(index) }?);
        let severity = match fields.text("severity")?.as_str() {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            _ => Severity::Note,
        };
        Some(Diagnostic {
            severity,
            message: fields.text("message")?,
            file: fields.text("file"),
            line: fields.small("line"),
            column: fields.small("column"),
        })
    };
    (0..list.len()).filter_map(message).collect()
}

impl Gpu {
    /// Compile MSL source text only for its diagnostics: errors, warnings and notes; the list is empty
    /// if there are none.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal: its compiler returns only text, which
    /// [`compile`](Self::compile) returns.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// let fine = "kernel void one(device int *x) { x[0] = 1; }";
    /// assert!(gpu.diagnose(fine, None).is_ok_and(|all| all.is_empty()) || cfg!(target_vendor = "apple"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn diagnose(
        &self,
        source: &str,
        options: Option<&CompileOptions>,
    ) -> Result<Vec<Diagnostic>, GpuError> {
        autorelease_pool(|| {
            let mut error = Id::NIL;
            // SAFETY: a device responds to this message with these types; the slot outlives the call.
            let library = unsafe {
                msg!(self, [newLibraryWithSource: source, options: options, error: &raw mut error]
                    -> Option<ShaderLib>)
            };
            if let Some(library) = library {
                return library.diagnostics();
            }
            // SAFETY: without a library an error is returned, which the pool owns.
            let error = unsafe { NSError::from_object(Object::borrowed(error)) };
            let key = NSString::from("AruminiumDiagnostics");
            // SAFETY: only soft Metal sets this key; its value is an array.
            match unsafe { error.user_info().get::<NSArray>(&key) } {
                Some(list) => Ok(messages(&list)),
                None => Err(GpuError::Unsupported(format!(
                    "a list of diagnostics; the compiler says: {}",
                    error.description()
                ))),
            }
        })
    }
}

impl ShaderLib {
    /// The compiler's diagnostics for the source: warnings, notes, and errors in functions that need an unsupported
    /// feature.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// let library = gpu.compile("#warning to do\nkernel void one(device int *x) { x[0] = 1; }")?;
    /// if let Ok(all) = library.diagnostics() {
    ///     assert_eq!((all[0].severity, all[0].line), (aruminium::Severity::Warning, Some(1)));
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn diagnostics(&self) -> Result<Vec<Diagnostic>, GpuError> {
        supports(self, selector!(aruminiumDiagnostics), "a list of diagnostics")?;
        // SAFETY: soft Metal's libraries return an array.
        Ok(messages(&unsafe { msg!(self, [aruminiumDiagnostics] -> NSArray) }))
    }
}
