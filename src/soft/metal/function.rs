//! MTLFunction: a kernel of a library, with values for its function constants.

use super::argument_encoder::ArgumentEncoder;
use super::compiler::{Constant, DeclaredConstant, FUNCTION_KERNEL, Source};
use super::errors::{Error, LibraryError};
use super::foundation::{
    ErrorOut, Label, NSObject, Pairs, Strong, Text, device, label, labelled, set_label, soft_class,
};
use super::library::or_error;
use crate::abi::Id;
use crate::soft::ir::Checks;
use crate::soft::kernel::{ArgumentKind, Kernel};
use std::sync::Arc;

/// A function.
pub(super) struct Function {
    pub(super) kernel: Arc<Kernel>,
    /// The requested name, or the one in a descriptor.
    name: String,
    /// What it was compiled from.
    origin: Origin,
    label: Label,
}

/// What a function is compiled from.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) source: Arc<Source>,
    /// Its name in the source.
    pub(super) name: String,
    /// Values of function constants.
    pub(super) constants: Vec<Constant>,
}

labelled!(Function);

soft_class! {
    /// A function.
    pub(super) class SoftMTLFunction(Function): NSObject, conforms [MTLFunction];
    [label] = label::<Function>;
    [setLabel:] = set_label::<Function>;
    [device] = device::<Function>;
    [name] = |function: &Function| Text::object(function.name.as_str());
    [functionType] = |_: &Function| FUNCTION_KERNEL;
    [functionConstantsDictionary] = Function::constants;
    [options] = |_: &Function| 0usize;
    [vertexAttributes] = |_: &Function| Id::NIL;
    [stageInputAttributes] = |_: &Function| Id::NIL;
    [patchType] = |_: &Function| 0usize;
    [patchControlPointCount] = |_: &Function| -1isize;
    [newArgumentEncoderWithBufferIndex:] = Function::argument_encoder;
    [newArgumentEncoderWithBufferIndex:reflection:] =
        |function: &Function, index: usize, _: ErrorOut| function.argument_encoder(index);
    // Beyond Metal's API.
    [aruminiumFunctionWithChecks:error:] = |function: &Function, checks: usize, error: ErrorOut| {
        let checks = Checks::of_bits(checks as u32);
        or_error(Function::compile(function.origin.clone(), function.name.clone(), checks), error)
    };
}

/// A function constant that a function depends on.
pub(super) struct FunctionConstant(DeclaredConstant);

soft_class! {
    /// A function constant that a function depends on.
    pub(super) class MTLFunctionConstant(FunctionConstant): NSObject;
    [name] = |constant: &FunctionConstant| Text::object(constant.0.name.as_str());
    [index] = |constant: &FunctionConstant| constant.0.index;
    [type] = |constant: &FunctionConstant| constant.0.data_type;
    [required] = |constant: &FunctionConstant| constant.0.required;
}

impl Function {
    /// Compiles a kernel, which is called `name` from now on, with checks.
    pub(super) fn compile(
        origin: Origin,
        name: String,
        checks: Checks,
    ) -> Result<Strong<Self>, Error<LibraryError>> {
        let kernel = origin.source.kernel(&origin.name, &origin.constants, checks);
        let kernel = kernel.map_err(|text| Error::new(LibraryError::CompileFailure, text))?;
        let label = Label::default();
        Ok(Strong::new(Self { kernel: Arc::new(kernel), name, origin, label }))
    }

    /// An encoder for the struct that a buffer argument points to; `None` if that is no argument buffer.
    fn argument_encoder(&self, index: usize) -> Option<Strong<ArgumentEncoder>> {
        let index = u32::try_from(index).ok()?;
        let mut arguments = self.kernel.arguments().iter();
        let argument = arguments.find(|argument| argument.has(ArgumentKind::Buffer, index));
        let layout = argument.and_then(|argument| argument.layout.clone());
        if layout.is_none() {
            eprintln!(
                "aruminium: -[MTLFunction newArgumentEncoderWithBufferIndex:] of '{}': buffer({index}) is no argument buffer",
                self.name
            );
        }
        layout.map(ArgumentEncoder::object)
    }

    fn constants(&self) -> Strong<Pairs> {
        Pairs::object(self.origin.source.constants().into_iter().map(|constant| {
            let name = Text::object(constant.name.as_str()).into_retained();
            (name, Strong::new(FunctionConstant(constant)).into_retained())
        }))
    }
}
