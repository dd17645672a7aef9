//! The Metal Shading Language: a library's text in, kernels in the IR out.

pub(crate) mod diagnostics;
pub(crate) mod lex;
pub(crate) mod names;
pub(crate) mod preprocess;
pub(crate) mod source;
pub(crate) mod ast;
pub(crate) mod parse;
pub(crate) mod stack;
