//! MTLFunction: a function of a library, with values for its function constants.

use super::argument_encoder::ArgumentEncoder;
use super::compiler::{
    DeclaredConstant, FUNCTION_KERNEL, FUNCTION_VISIBLE, Linked, Origin, StageAttribute,
};
use super::errors::{Error, LibraryError, or_error};
use super::foundation::{
    ErrorOut, Label, List, NSObject, Pairs, SoftClass, Strong, Text, device, label, labelled,
    next_id, of_device, set_label, soft_class,
};
use super::pipeline::{Bound, BoundArgument, objects};
use super::stage_input::{Attribute, VertexAttribute};
use crate::abi::Id;
use crate::soft::ir::Checks;
use crate::soft::kernel::{Argument, ArgumentKind, Kernel, Processor};
use std::sync::Arc;

/// The most calls through pointers that are open at once, unless a pipeline's descriptor sets it.
pub(super) const CALL_DEPTH: usize = 1;

/// A function.
pub(super) struct Function {
    code: Code,
    /// A number of `MTLFunctionType`.
    pub(super) kind: usize,
    /// The requested name, or the one in a descriptor.
    name: String,
    /// The inputs of its compilation.
    origin: Origin,
    checks: Checks,
    label: Label,
    /// Its handle, which pointers to it hold.
    pub(super) handle: u64,
}

/// The result of a function's compilation.
enum Code {
    /// A kernel to which no functions are linked.
    Kernel(Arc<Kernel>),
    /// None of its own: it is compiled with the kernels that it is linked to.
    Visible,
    /// None at all: a stage of rendering has arguments only.
    Stage(Box<[Argument]>, Box<[StageAttribute]>),
}

labelled!(Function);
of_device! { Function, function => function.processor(); }

soft_class! {
    /// A function.
    pub(super) class SoftMTLFunction(Function): NSObject, conforms [MTLFunction];
    [label] = label::<Function>;
    [setLabel:] = set_label::<Function>;
    [device] = device::<Function>;
    [name] = |function: &Function| Text::object(function.name.as_str());
    [functionType] = |function: &Function| function.kind;
    [functionConstantsDictionary] = Function::constants;
    [options] = |_: &Function| 0usize;
    [vertexAttributes] = Function::attributes::<VertexAttribute>;
    [stageInputAttributes] = Function::attributes::<Attribute>;
    [patchType] = |_: &Function| 0usize;
    [patchControlPointCount] = |_: &Function| -1isize;
    [newArgumentEncoderWithBufferIndex:] = Function::argument_encoder;
    [newArgumentEncoderWithBufferIndex:reflection:] =
        |function: &Function, index: usize, reflection: ErrorOut| {
            let encoder = function.argument_encoder(index);
            let argument = encoder.as_ref().and_then(|_| function.buffer(index));
            reflection.set_or_nil(argument.map(|argument| Strong::new(BoundArgument(argument.clone()))));
            encoder
        };
    // Beyond Metal's API.
    [aruminiumFunctionWithChecks:error:] = |function: &Function, checks: usize, error: ErrorOut| {
        let checks = Checks::of_bits(checks as u32);
        let (origin, name) = (function.origin.clone(), function.name.clone());
        or_error(Function::compile(origin, function.kind, name, checks), error)
    };
}

/// The arguments of a function that is in no pipeline.
pub(super) struct FunctionReflection(pub(super) Strong<Function>);

soft_class! {
    /// The arguments of a function that is in no pipeline.
    pub(super) class MTLFunctionReflection(FunctionReflection): NSObject;
    [bindings] = |this: &FunctionReflection| objects::<Bound>(this.0.arguments());
    [userAnnotation] = |_: &FunctionReflection| Id::NIL;
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
    /// Compiles a kernel with checks, or checks a visible function, which is called `name` from now on. Of functions of other
    /// kinds only the arguments are found out.
    pub(super) fn compile(
        origin: Origin,
        kind: usize,
        name: String,
        checks: Checks,
    ) -> Result<Strong<Self>, Error<LibraryError>> {
        let Origin { source, name: own, constants } = &origin;
        let code = match kind {
            FUNCTION_VISIBLE => source.check_visible(own, constants).map(|()| Code::Visible),
            FUNCTION_KERNEL => source
                .kernel(own, constants, checks, &[], CALL_DEPTH)
                .map(|kernel| Code::Kernel(Arc::new(kernel))),
            _ => source
                .stage_arguments(own, constants)
                .map(|(arguments, attributes)| Code::Stage(arguments.into(), attributes.into())),
        };
        let code = code.map_err(|text| Error::new(LibraryError::CompileFailure, text))?;
        let (label, handle) = (Label::default(), next_id());
        Ok(Strong::new(Self { code, kind, name, origin, checks, label, handle }))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The device that it was compiled for.
    pub(super) fn processor(&self) -> &'static Processor {
        self.origin.source.processor
    }

    /// A hash of all that its code depends on.
    pub(super) fn fingerprint(&self) -> u64 {
        self.origin.fingerprint()
    }

    /// The code of a kernel with the functions that are linked to it. `deepest` is the most calls through pointers that
    /// are open at once.
    pub(super) fn kernel(
        &self,
        linked: &[Strong<Self>],
        deepest: usize,
    ) -> Result<Arc<Kernel>, String> {
        let Code::Kernel(kernel) = &self.code else {
            return Err(format!("error: function '{}' is not a kernel", self.name));
        };
        if let Some(other) = linked.iter().find(|function| function.kind != FUNCTION_VISIBLE) {
            return Err(format!(
                "error: function '{}' is linked, but it is not visible",
                other.name
            ));
        }
        if linked.is_empty() && deepest == CALL_DEPTH {
            return Ok(Arc::clone(kernel));
        }
        let linked: Vec<Linked> = linked
            .iter()
            .map(|function| Linked { origin: function.origin.clone(), handle: function.handle })
            .collect();
        let Origin { source, name, constants } = &self.origin;
        source.kernel(name, constants, self.checks, &linked, deepest).map(Arc::new)
    }

    /// The arguments of a kernel or of a stage of rendering; none of a visible function, which the host does not call.
    pub(super) fn arguments(&self) -> &[Argument] {
        match &self.code {
            Code::Kernel(kernel) => kernel.arguments(),
            Code::Stage(arguments, _) => arguments,
            Code::Visible => &[],
        }
    }

    /// The attributes of a stage's input as objects of a class; `None` if it has none.
    fn attributes<P: SoftClass + From<StageAttribute>>(&self) -> Option<Strong<List>> {
        let Code::Stage(_, attributes) = &self.code else { return None };
        let object = |one: &StageAttribute| Strong::new(P::from(one.clone())).into_retained();
        (!attributes.is_empty()).then(|| List::object(attributes.iter().map(object)))
    }

    /// The buffer argument of an index.
    fn buffer(&self, index: usize) -> Option<&Argument> {
        let index = u32::try_from(index).ok()?;
        self.arguments().iter().find(|argument| argument.has(ArgumentKind::Buffer, index))
    }

    /// An encoder for the struct that a buffer argument points to; `None` if that is no argument buffer.
    fn argument_encoder(&self, index: usize) -> Option<Strong<ArgumentEncoder>> {
        let layout = self.buffer(index).and_then(Argument::layout);
        if layout.is_none() {
            eprintln!(
                "aruminium: -[MTLFunction newArgumentEncoderWithBufferIndex:] of '{}': buffer({index}) is no argument buffer",
                self.name
            );
        }
        layout.map(|layout| ArgumentEncoder::object(self.processor(), layout))
    }

    fn constants(&self) -> Strong<Pairs> {
        Pairs::object(self.origin.source.constants().into_iter().map(|constant| {
            let name = Text::object(constant.name.as_str()).into_retained();
            (name, Strong::new(FunctionConstant(constant)).into_retained())
        }))
    }
}
