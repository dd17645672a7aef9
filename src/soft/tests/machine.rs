//! The machines that run the kernels of tests: each way of the CPU, or the GPU that `ARUMINIUM_SOFT_DEVICE` names.

use crate::soft::cpu::Way;
use crate::soft::cpu::by_index::{Launch, with_bindings};
use crate::soft::ir::Module;
use crate::soft::kernel::{Backend, CompileOptions, Executable};
use crate::soft::{ptx, variables};
use std::sync::LazyLock;

/// Something that runs kernels.
#[derive(Clone, Copy)]
pub(super) enum Machine {
    Cpu(Way),
    Gpu(&'static ptx::Gpu),
}

impl Machine {
    /// Every way of the CPU, or the GPU alone.
    pub(super) fn all() -> Vec<Self> {
        static GPU: LazyLock<Option<ptx::Gpu>> = LazyLock::new(|| {
            let number = ptx::Gpu::number(&variables::DEVICE.word())?;
            ptx::Gpu::open(number, true).ok()
        });
        match variables::DEVICE.word().strip_prefix("cuda") {
            Some(_) => vec![Self::Gpu(GPU.as_ref().expect("the GPU of that number"))],
            None => Way::all().into_iter().map(Self::Cpu).collect(),
        }
    }

    /// The name, for messages.
    pub(super) fn name(self) -> String {
        match self {
            Self::Cpu(way) => way.name(),
            Self::Gpu(gpu) => gpu.device_name(),
        }
    }

    /// Compiles a kernel.
    pub(super) fn executable(self, module: &Module) -> Result<Box<dyn Executable>, String> {
        let made = match self {
            Self::Cpu(way) => way.executable(module),
            Self::Gpu(gpu) => gpu.compile(module, &CompileOptions::default()),
        };
        made.map_err(|error| error.to_string())
    }
}

/// Launches a kernel once.
///
/// # Safety
/// As for [`Executable::launch`].
pub(super) unsafe fn launch(code: &dyn Executable, launch: &Launch<'_>) -> Result<(), String> {
    // SAFETY: the caller's.
    with_bindings(code.parameters(), launch, |launch| unsafe { code.launch(launch) })
        .map_err(|fault| fault.to_string())
}
