//! MTLFunction: a kernel of a library, with values for its function constants.

use super::argument_encoder::ArgumentEncoder;
use super::compiler::{DeclaredConstant, FUNCTION_KERNEL};
use super::foundation::{
    ErrorOut, Label, NSObject, Pairs, Strong, Text, device, label, labelled, set_label, soft_class,
};
use crate::abi::Id;
use crate::soft::kernel::{ArgumentKind, Kernel};
use std::sync::Arc;

/// A function.
pub(super) struct Function {
    pub(super) kernel: Arc<Kernel>,
    /// The requested name, or the one in a descriptor.
    name: String,
    constants: Vec<DeclaredConstant>,
    label: Label,
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
    pub(super) fn object(
        kernel: Kernel,
        name: String,
        constants: Vec<DeclaredConstant>,
    ) -> Strong<Self> {
        Strong::new(Self { kernel: Arc::new(kernel), name, constants, label: Label::default() })
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
        Pairs::object(self.constants.iter().map(|constant| {
            let object = Strong::new(FunctionConstant(constant.clone()));
            (Text::object(constant.name.as_str()).into_retained(), object.into_retained())
        }))
    }
}
