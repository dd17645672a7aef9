//! Descriptors of functions and of pipelines, and the values of function constants.

use super::compiler::{Constant, ConstantKey};
use super::foundation::{
    List, NSObject, Object, Pairs, Retained, Strong, Text, This, Zone, lock, soft_class,
};
use super::function::{CALL_DEPTH, Function};
use super::properties::{LabelText, properties, size_of_data_type};
use super::slots::Slots;
use super::stage_input::{PipelineBufferDescriptor, StageInputOutputDescriptor};
use crate::abi::{Class, MTLSize, NSRange};
use std::ffi::c_void;
use std::sync::Mutex;

properties! {
    /// Properties of a new compute pipeline state.
    class MTLComputePipelineDescriptor(ComputePipelineDescriptor, ComputePipelineFields);
    [label, setLabel:] label: LabelText = None;
    [computeFunction, setComputeFunction:] function: Option<Strong<Function>> = None;
    [threadGroupSizeIsMultipleOfThreadExecutionWidth,
        setThreadGroupSizeIsMultipleOfThreadExecutionWidth:] multiple_of_width: bool = false;
    [maxTotalThreadsPerThreadgroup, setMaxTotalThreadsPerThreadgroup:] max_threads: usize = 0;
    [linkedFunctions, setLinkedFunctions:] linked: Option<Strong<LinkedFunctions>> = None;
    [maxCallStackDepth, setMaxCallStackDepth:] call_depth: usize = CALL_DEPTH;
    [supportIndirectCommandBuffers, setSupportIndirectCommandBuffers:] indirect: bool = false;
    [supportAddingBinaryFunctions, setSupportAddingBinaryFunctions:] adding: bool = false;
    [preloadedLibraries, setPreloadedLibraries:] preloaded: Option<Strong<List>> = None;
    [insertLibraries, setInsertLibraries:] inserted: Option<Strong<List>> = None;
    [binaryArchives, setBinaryArchives:] archives: Option<Strong<List>> = None;
    [shaderValidation, setShaderValidation:] validation: isize = 0;
    [requiredThreadsPerThreadgroup, setRequiredThreadsPerThreadgroup:] required: MTLSize =
        MTLSize { width: 0, height: 0, depth: 0 };
    [stageInputDescriptor, setStageInputDescriptor:] stage_input: Option<Strong<StageInputOutputDescriptor>> = None;
    read {
        [buffers] buffers: Strong<Slots<PipelineBufferDescriptor>> = Strong::new(Slots::default());
    }
    rows {
        [reset] = |this: &ComputePipelineDescriptor| {
            let _old = std::mem::take(&mut *lock(&this.0));
        };
    }
}

properties! {
    /// The functions that a kernel may call through pointers.
    class MTLLinkedFunctions(LinkedFunctions, LinkedFields);
    [functions, setFunctions:] functions: Option<Strong<List>> = None;
    [binaryFunctions, setBinaryFunctions:] binary: Option<Strong<List>> = None;
    [privateFunctions, setPrivateFunctions:] private: Option<Strong<List>> = None;
    [groups, setGroups:] groups: Option<Strong<Pairs>> = None;
    rows {
        class [linkedFunctions] = |_: Class| Strong::new(LinkedFunctions::default());
    }
}

impl LinkedFields {
    /// The functions that the pipeline makes handles of. Those in groups are also in one of the other lists.
    pub(super) fn exported(&self) -> Vec<Strong<Function>> {
        let lists = [&self.functions, &self.binary].into_iter().flatten();
        lists.flat_map(|list| functions(list)).collect()
    }

    /// Those that are linked only.
    pub(super) fn private(&self) -> Vec<Strong<Function>> {
        self.private.as_ref().map_or(Vec::new(), |list| functions(list))
    }
}

/// The functions in a list.
pub(super) fn functions(list: &List) -> Vec<Strong<Function>> {
    // SAFETY: the list keeps its objects alive.
    let function = |object: &Retained| unsafe { Object::<Function>::from_id(object.id()) };
    list.objects().iter().filter_map(function).map(Object::retain).collect()
}

properties! {
    /// Names a function of a library.
    class MTLFunctionDescriptor(FunctionDescriptor, FunctionFields);
    [name, setName:] name: LabelText = None;
    [specializedName, setSpecializedName:] specialized_name: LabelText = None;
    [constantValues, setConstantValues:] constants: Option<Strong<FunctionConstantValues>> = None;
    [options, setOptions:] options: usize = 0;
    [binaryArchives, setBinaryArchives:] archives: Option<Strong<List>> = None;
    rows {
        class [functionDescriptor] = |_: Class| Strong::new(FunctionDescriptor::default());
    }
}

/// Values for function constants.
#[derive(Default)]
pub(super) struct FunctionConstantValues(Mutex<Vec<Constant>>);

soft_class! {
    /// Values for function constants.
    pub(super) class MTLFunctionConstantValues(FunctionConstantValues): NSObject, conforms [NSCopying];
    init [init] = FunctionConstantValues::default;
    [copyWithZone:] = |this: &FunctionConstantValues, _: Zone| {
        Strong::new(FunctionConstantValues(Mutex::new(this.get())))
    };
    [setConstantValue:type:atIndex:] =
        |this: &FunctionConstantValues, value: *const c_void, data_type: usize, index: usize| {
            this.set(ConstantKey::Index(index), value, data_type);
        };
    [setConstantValue:type:withName:] = with_name;
    [setConstantValues:type:withRange:] = with_range;
    [reset] = |this: &FunctionConstantValues| lock(&this.0).clear();
}

fn with_name(
    this: &FunctionConstantValues,
    value: *const c_void,
    data_type: usize,
    name: &Object<Text>,
) {
    this.set(ConstantKey::Name(name.to_str().into_owned()), value, data_type);
}

fn with_range(
    this: This<'_, FunctionConstantValues>,
    values: *const c_void,
    data_type: usize,
    range: NSRange,
) {
    let Some(size) = size_of_data_type(data_type).filter(|_| !values.is_null()) else { return };
    for nth in 0..range.length {
        let value = values.cast::<u8>().wrapping_add(nth * size).cast();
        this.set(ConstantKey::Index(range.location.wrapping_add(nth)), value, data_type);
    }
}

impl FunctionConstantValues {
    pub(super) fn get(&self) -> Vec<Constant> {
        lock(&self.0).clone()
    }

    /// A later value replaces an earlier one. A value of an unknown type is ignored here; the function reports it as
    /// missing.
    fn set(&self, key: ConstantKey, value: *const c_void, data_type: usize) {
        let Some(size) = size_of_data_type(data_type).filter(|_| !value.is_null()) else { return };
        // SAFETY: the message passed a value of this type.
        let bytes = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) }.into();
        let mut all = lock(&self.0);
        all.retain(|constant| constant.key != key);
        all.push(Constant { key, data_type, bytes });
    }
}
