//! MTLFunctionHandle and MTLVisibleFunctionTable: what kernels call through pointers (`specs/functions.md`).

use super::descriptors::VisibleFunctionTableDescriptor;
use super::foundation::{Label, NSObject, Object, Strong, Text, device, of_device, soft_class};
use super::function::Function;
use super::resource::{HasResource, Options, Resource, resource_class};
use crate::abi::{Id, MTLResourceID, NSRange};
use crate::soft::ir::HANDLE_BYTES;
use crate::soft::kernel::Processor;
use crate::soft::stream::memory::Memory;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A function that a pipeline can call through pointers.
pub(super) struct FunctionHandle {
    function: Strong<Function>,
}

soft_class! {
    /// A function that a pipeline can call through pointers.
    pub(super) class SoftMTLFunctionHandle(FunctionHandle): NSObject, conforms [MTLFunctionHandle];
    [name] = |handle: &FunctionHandle| Text::object(handle.function.name());
    [functionType] = |handle: &FunctionHandle| handle.function.kind;
    [device] = device::<FunctionHandle>;
    [gpuResourceID] = |handle: &FunctionHandle| MTLResourceID { _impl: handle.function.handle };
}

of_device! { FunctionHandle, handle => handle.function.processor(); }

impl FunctionHandle {
    pub(super) fn object(function: Strong<Function>) -> Strong<Self> {
        Strong::new(Self { function })
    }
}

/// A table of functions: in memory the number of its entries, then their handles.
pub(super) struct VisibleFunctionTable {
    pub(super) memory: Arc<Memory>,
    entries: usize,
    resource: Resource,
}

resource_class! {
    /// A table of functions.
    class SoftMTLVisibleFunctionTable(VisibleFunctionTable): MTLVisibleFunctionTable;
    [gpuResourceID] = |table: &VisibleFunctionTable| MTLResourceID { _impl: table.memory.address() };
    [setFunction:atIndex:] =
        |table: &VisibleFunctionTable, function: Option<&Object<FunctionHandle>>, index: usize| {
            table.report("setFunction:atIndex:", table.set(function, index));
        };
    [setFunctions:withRange:] =
        |table: &VisibleFunctionTable, functions: *const Id, range: NSRange| {
            let done = super::argument_encoder::all(functions, range, |function, _, index| {
                table.set(function, index)
            });
            table.report("setFunctions:withRange:", done);
        };
}

impl HasResource for VisibleFunctionTable {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    fn label(&self) -> &Label {
        &self.memory.label
    }

    fn processor(&self) -> Option<&'static Processor> {
        self.memory.processor()
    }

    fn allocated_size(&self) -> usize {
        self.memory.length()
    }
}

impl VisibleFunctionTable {
    /// A table without functions; `None` if there is no memory for it.
    pub(super) fn object(
        processor: &'static Processor,
        descriptor: &VisibleFunctionTableDescriptor,
    ) -> Option<Strong<Self>> {
        let entries = descriptor.get().count;
        let bytes = entries.checked_add(1)?.checked_mul(HANDLE_BYTES as usize)?;
        let memory = Memory::new(processor, bytes, false)?;
        // SAFETY: the memory is new, and the count is at its start.
        unsafe { memory.base().cast::<u64>().write(entries as u64) };
        Some(Strong::new(Self { memory, entries, resource: Resource::new(Options(0), None) }))
    }

    /// Sets an entry; nil clears it.
    fn set(&self, function: Option<&Object<FunctionHandle>>, index: usize) -> Result<(), String> {
        let handle = function.map_or(0, |function| function.function.handle);
        let entry = (index < self.entries)
            .then(|| self.memory.range((index + 1) * HANDLE_BYTES as usize, HANDLE_BYTES as usize));
        let entry = entry
            .flatten()
            .ok_or_else(|| format!("index {index}: the table has {} functions", self.entries))?;
        // SAFETY: the entry is inside the table's memory, which begins at a page. Kernels may read it meanwhile.
        unsafe { AtomicU64::from_ptr(entry.cast()) }.store(handle, Relaxed);
        Ok(())
    }

    /// There is no command buffer that could report an error, so it goes to standard error.
    fn report(&self, selector: &str, result: Result<(), String>) {
        if let Err(why) = result {
            let label = self.memory.label.after_noun();
            eprintln!("aruminium: -[MTLVisibleFunctionTable {selector}]{label}: {why}");
        }
    }
}

impl Drop for VisibleFunctionTable {
    fn drop(&mut self) {
        self.memory.release();
    }
}
