//! Diagnostics: collected in order, printed in the format of Metal's own compiler.

use super::source::{SourceMap, Span};
use super::types::UNKNOWN;
use crate::soft::ir::hash::FastMap;
use std::fmt::Write;

/// The severity, named as the compiler prints it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Severity {
    Error,
    Warning,
    Note,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One message with its position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    pub(crate) message: String,
    /// The range to underline.
    pub(crate) span: Span,
    /// Whether the error is about a feature of MSL that this compiler does not support. It is deferred
    /// until a function that needs the feature is requested.
    pub(crate) unsupported: bool,
}

/// A message with its position in the source, for programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    /// `error`, `warning` or `note`.
    pub(crate) severity: &'static str,
    pub(crate) message: String,
    /// The file, and line and column from 1; `None` for code of the built-in library.
    pub(crate) position: Option<(String, u32, u32)>,
}

/// The diagnostics of a compilation, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnostics {
    list: Vec<Diagnostic>,
    /// Indices of the errors and warnings in the list, by position: a message is reported once.
    by_span: FastMap<Span, Vec<u32>>,
    errors: usize,
    warnings: usize,
    /// The last error or warning was dropped, so its notes are dropped too.
    dropping: bool,
}

/// After this many errors a phase stops, as in clang: later ones mostly repeat earlier ones.
const MAX_ERRORS: usize = 20;
/// The most errors and the most warnings that are stored: code in progress when a phase stops may
/// report more.
const MAX_STORED: usize = 1000;

impl Diagnostics {
    fn push(&mut self, severity: Severity, span: Span, message: impl Into<String>) {
        let message = message.into();
        // A macro used twice may report the same error at the same position twice.
        if severity != Severity::Note && self.find(span, |known| known.message == message) {
            return;
        }
        self.add(Diagnostic { severity, message, span, unsupported: false });
    }

    /// Whether there is an error or warning at this position for which `same` is true.
    fn find(&self, span: Span, same: impl Fn(&Diagnostic) -> bool) -> bool {
        let indices = self.by_span.get(&span).into_iter().flatten();
        indices.map(|&index| &self.list[index as usize]).any(same)
    }

    fn add(&mut self, diagnostic: Diagnostic) {
        self.dropping = match diagnostic.severity {
            // The cause of an unknown type was reported already.
            Severity::Error if self.errors > 0 && diagnostic.message.contains(UNKNOWN) => true,
            Severity::Error => self.errors >= MAX_STORED,
            Severity::Warning => self.warnings >= MAX_STORED,
            Severity::Note => self.dropping,
        };
        if self.dropping {
            return;
        }
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Note => return self.list.push(diagnostic),
        }
        self.by_span.entry(diagnostic.span).or_default().push(self.list.len() as u32);
        self.list.push(diagnostic);
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Error, span, message);
    }

    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Warning, span, message);
    }

    pub(crate) fn note(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Note, span, message);
    }

    /// Reports an error about a feature of MSL that this compiler does not support.
    pub(crate) fn unsupported(&mut self, span: Span, message: impl Into<String>) {
        let before = self.list.len();
        self.push(Severity::Error, span, message);
        if let Some(last) = self.list.get_mut(before) {
            last.unsupported = true;
        }
    }

    /// Adds diagnostics that were collected separately. A duplicate error is dropped with its notes.
    pub(crate) fn append(&mut self, other: Diagnostics) {
        let mut known = false;
        for diagnostic in other.list {
            if diagnostic.severity != Severity::Note {
                known = self.find(diagnostic.span, |one| *one == diagnostic);
            }
            if !known {
                // A later error's notes are kept, even if the previous error was dropped.
                self.add(diagnostic);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a diagnostic that was removed before.
    pub(crate) fn restore(&mut self, diagnostic: Diagnostic) {
        self.add(diagnostic);
    }

    /// Removes all diagnostics after the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        for removed in self.list.drain(len..) {
            match removed.severity {
                Severity::Error => self.errors -= 1,
                Severity::Warning => self.warnings -= 1,
                Severity::Note => continue,
            }
            if let Some(indices) = self.by_span.get_mut(&removed.span) {
                indices.retain(|&index| (index as usize) < len);
            }
        }
    }

    pub(crate) fn count(&self, severity: Severity) -> usize {
        match severity {
            Severity::Error => self.errors,
            Severity::Warning => self.warnings,
            Severity::Note => self.list.len() - self.errors - self.warnings,
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Errors that are not about an unsupported feature.
    pub(crate) fn has_hard_errors(&self) -> bool {
        self.errors > 0 && self.list.iter().any(|d| d.severity == Severity::Error && !d.unsupported)
    }

    /// Whether the first error is about an unsupported feature: later errors often follow from it.
    pub(crate) fn begins_with_unsupported(&self) -> bool {
        self.list.iter().find(|d| d.severity == Severity::Error).is_some_and(|d| d.unsupported)
    }

    /// Whether the limit of errors is reached, so that the phase stops.
    pub(crate) fn is_full(&self) -> bool {
        self.count(Severity::Error) >= MAX_ERRORS
    }

    /// The diagnostics as data.
    pub(crate) fn list(&self, sources: &SourceMap) -> Vec<Listed> {
        let listed = |diagnostic: &Diagnostic| {
            let position = sources.position(sources.in_file(diagnostic.span).lo);
            Listed {
                severity: diagnostic.severity.word(),
                message: diagnostic.message.clone(),
                position: position
                    .map(|position| (position.file.to_owned(), position.line, position.column)),
            }
        };
        self.list.iter().map(listed).collect()
    }

    /// The report for a user: each message with its line and a caret, and the counts at the end.
    pub(crate) fn render(&self, sources: &SourceMap) -> String {
        let mut out = String::new();
        for diagnostic in &self.list {
            render_one(
                &mut out,
                diagnostic.severity,
                &diagnostic.message,
                diagnostic.span,
                sources,
            );
            render_macros(&mut out, diagnostic.span, sources);
        }
        let counts: Vec<String> = [Severity::Warning, Severity::Error]
            .into_iter()
            .map(|severity| (severity, self.count(severity)))
            .filter(|&(_, count)| count > 0)
            .map(|(severity, count)| {
                format!("{count} {}{}", severity.word(), if count == 1 { "" } else { "s" })
            })
            .collect();
        if !counts.is_empty() {
            let _ = writeln!(out, "{} generated.", counts.join(" and "));
        }
        out
    }
}

/// With more nested macros than this only the first and last are shown, as in clang.
const MAX_MACROS: usize = 6;

/// Notes for the macros whose expansion contains a position, one each.
fn render_macros(out: &mut String, span: Span, sources: &SourceMap) {
    let macros = sources.macros_of(span);
    let skipped = macros.len().saturating_sub(MAX_MACROS);
    for (at, (name, span)) in macros.into_iter().enumerate() {
        if skipped > 0 && at == MAX_MACROS / 2 {
            let message = format!("(skipping {skipped} expansions in backtrace)");
            render_one(out, Severity::Note, &message, span, sources);
        }
        if skipped == 0 || !(MAX_MACROS / 2..MAX_MACROS / 2 + skipped).contains(&at) {
            let message = format!("expanded from macro '{name}'");
            render_one(out, Severity::Note, &message, span, sources);
        }
    }
}

/// A line longer than this is cut around the caret, so that a report stays readable.
const MAX_SHOWN_LINE: usize = 200;

fn render_one(
    out: &mut String,
    severity: Severity,
    message: &str,
    span: Span,
    sources: &SourceMap,
) {
    let (word, span) = (severity.word(), sources.in_file(span));
    let Some(position) = sources.position(span.lo) else {
        let _ = writeln!(out, "<metal_stdlib>: {word}: {message}");
        return;
    };
    let _ =
        writeln!(out, "{}:{}:{}: {word}: {message}", position.file, position.line, position.column);
    let caret = position.column as usize - 1;
    let mut from = caret.saturating_sub(MAX_SHOWN_LINE / 2);
    let mut to = (from + MAX_SHOWN_LINE).min(position.text.len());
    if position.text.len() <= MAX_SHOWN_LINE {
        (from, to) = (0, position.text.len());
    }
    while !position.text.is_char_boundary(from.min(position.text.len())) {
        from -= 1;
    }
    while !position.text.is_char_boundary(to) {
        to += 1;
    }
    let shown = position.text.get(from..to).unwrap_or("");
    let _ = writeln!(out, "{shown}");
    let before = position.text.get(from..caret).unwrap_or(shown);
    // Tabs stay tabs, so that the caret is under its character at any tab width.
    let indent: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let width = (span.hi.saturating_sub(span.lo) as usize).min(to.saturating_sub(caret)).max(1);
    let _ = writeln!(out, "{indent}^{}", "~".repeat(width - 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_position_line_caret_and_counts() {
        let mut sources = SourceMap::default();
        sources.add("program_source", "kernel void k() {\n\treturn foo;\n}\n").unwrap();
        let mut diagnostics = Diagnostics::default();
        let at = 18 + 8;
        diagnostics.error(Span::new(at, at + 3), "use of undeclared identifier 'foo'");
        diagnostics.warning(Span::new(0, 6), "a warning");
        assert_eq!(
            diagnostics.render(&sources),
            "program_source:2:9: error: use of undeclared identifier 'foo'\n\treturn foo;\n\t       ^~~\n\
             program_source:1:1: warning: a warning\nkernel void k() {\n^~~~~~\n\
             1 warning and 1 error generated.\n"
        );
    }

    #[test]
    fn the_same_error_is_reported_once() {
        let mut diagnostics = Diagnostics::default();
        diagnostics.error(Span::new(1, 2), "x");
        diagnostics.error(Span::new(1, 2), "x");
        assert_eq!(diagnostics.count(Severity::Error), 1);
    }
}
