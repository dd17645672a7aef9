//! Passes over the IR, a file each.

use super::{Function, Invalid, Module, verify};

pub(crate) mod scalarise;
pub(crate) mod uniform;

/// All passes: a module becomes one function, without calls, and with scalar arithmetic only.
pub(crate) fn run(module: &Module) -> Result<Function, Invalid> {
    verify(module)?;
    Ok(scalarise::run(module.function(module.entry)))
}
