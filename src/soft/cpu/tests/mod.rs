//! Tests of the executor.

pub(crate) mod by_index;
mod bytecode;
mod counted;
mod edges;
mod faults;
mod kernels;
mod lanes;
mod nans;
mod random;
mod reference;
mod rows;
mod speed;
mod values;

use super::{CompileError, Fault, IsaKind, Program, Workers};
use crate::soft::ir::{
    Allocation, AllocationId, AllocationKind, FuncId, Function, FunctionBuilder, Input, Module,
    Space, Type, Value,
};
use crate::soft::kernel::Executable;
use by_index::{Binding, Launch};
pub(crate) use edges::Pages;

/// A way to run kernels: an instruction set, with machine code or by the interpreter alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    isa: IsaKind,
    native: bool,
    /// Functions that can be called are not inlined.
    calls: bool,
    /// Values that are the same for all threads are computed before them.
    hoists: bool,
}

impl Way {
    /// The interpreter, built for what the target guarantees.
    pub(crate) const PLAIN: Self =
        Self { isa: IsaKind::Baseline, native: false, calls: false, hoists: true };
    /// The interpreter, with calls.
    pub(crate) const CALLS: Self = Self { calls: true, ..Self::PLAIN };

    /// Every way that this machine has.
    pub(crate) fn all() -> Vec<Self> {
        let native = IsaKind::available().into_iter().filter(|&isa| super::has_native(isa));
        let native: Vec<Self> =
            native.map(|isa| Self { isa, native: true, ..Self::PLAIN }).collect();
        // Launches with an argument that is missing use this.
        let unhoisted = native.last().map(|&way| Self { hoists: false, ..way });
        std::iter::once(Self::PLAIN).chain(unhoisted).chain(native).collect()
    }

    /// The interpreter built for the target, and every way with machine code.
    pub(crate) fn plain_and_native() -> Vec<Self> {
        let all = Self::all().into_iter();
        all.filter(|&way| way == Self::PLAIN || way.native).collect()
    }

    /// A program that runs this way.
    pub(crate) fn program(self, module: &Module) -> Result<Program, CompileError> {
        if self.calls {
            return Program::with_calls(module, self.isa);
        }
        let program = Program::with_isa(module, self.isa)?.with_native(self.native);
        Ok(if self.hoists { program } else { program.without_hoisting() })
    }

    /// The same as a back end makes it.
    pub(crate) fn executable(self, module: &Module) -> Result<Box<dyn Executable>, CompileError> {
        let program = self.program(module)?;
        Ok(Box::new(super::Ready { program, threads: 1, workers: Default::default() }))
    }

    /// Whether it is with machine code, which runs the lanes of a SIMD-group in several strips: where one faults,
    /// what the others did before is not the same.
    pub(crate) fn is_native(self) -> bool {
        self.native
    }

    /// The instruction set.
    pub(crate) fn isa(self) -> IsaKind {
        self.isa
    }

    /// The name, for messages.
    pub(crate) fn name(self) -> String {
        format!(
            "{}{}",
            self.isa.name(),
            match self {
                Self { native: true, hoists: false, .. } => ", native without hoisting",
                Self { native: true, .. } => ", native",
                Self { calls: true, .. } => ", with calls",
                _ => "",
            }
        )
    }
}

/// A buffer argument of a kernel under test.
pub(crate) fn buffer(name: &str, index: u32, space: Space) -> Allocation {
    let kind = AllocationKind::Buffer { index, writable: space == Space::Device, space };
    Allocation { name: name.into(), kind }
}

/// A module of one function.
pub(crate) fn module(allocations: Vec<Allocation>, kernel: Function) -> Module {
    Module {
        name: kernel.name.clone(),
        allocations,
        textures: vec![],
        samplers: vec![],
        library: Default::default(),
        functions: vec![kernel],
        entry: FuncId(0),
    }
}

/// Starts a kernel.
pub(crate) fn kernel(name: &str) -> FunctionBuilder {
    FunctionBuilder::new(name, vec![], Type::Void)
}

/// One component of the thread's position in the grid.
pub(crate) fn position(b: &mut FunctionBuilder, component: u32) -> Value {
    b.input(Input::ThreadPositionInGrid, component)
}

/// The start of a device buffer.
pub(crate) fn device(b: &mut FunctionBuilder, number: u32) -> Value {
    b.allocation(AllocationId(number), Space::Device)
}

/// The start of a constant buffer.
pub(crate) fn constant(b: &mut FunctionBuilder, number: u32) -> Value {
    b.allocation(AllocationId(number), Space::Constant)
}

/// The bytes of a slice, bound to an index.
pub(crate) fn bind<T>(index: u32, data: &mut [T]) -> Binding {
    let bytes = size_of_val(data) as u64;
    Binding { index, base: data.as_mut_ptr().cast(), bytes }
}

/// A launch over buffers, without more.
pub(crate) fn launch(grid: [u32; 3], group: [u32; 3], bindings: &[Binding]) -> Launch<'_> {
    Launch { watchdog: None, ..Launch::of(grid, group, bindings) }
}

/// Runs on one instruction set and one thread.
pub(crate) fn run(module: &Module, way: Way, launch: &Launch<'_>) -> Result<(), Fault> {
    let program = way.program(module).expect("a valid module");
    // SAFETY: the bindings of tests are slices that outlive the launch.
    unsafe { program.launch_by_index(launch, &Workers::new(1)) }
}
