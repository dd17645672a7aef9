//! Turns a kernel after the passes into text of PTX. `specs/ptx.md` describes the code.

mod across;
mod ahead;
mod assigned;
mod atomic;
mod barrier;
mod convert;
mod copies;
mod flow;
mod fragments;
mod inline_bytes;
mod input;
mod joined;
mod limits;
mod matrix;
mod memory;
mod multiples;
mod narrow;
mod order;
mod pointers;
mod routine;
mod tensor;
mod texture;
mod together;
mod value;
mod version;

use std::collections::{HashMap, HashSet};

use super::text::{Kind, Label, Reg, Text, ptx};
use crate::soft::ir::facts::stack_slots::assign_offsets;
use crate::soft::ir::facts::uniform::{self, Uniformity};
use crate::soft::ir::walk::{instructions, statements};
use crate::soft::ir::{
    AllocationKind, Function, JoinedLoads, Module, Op, Routine, Scalar, Space, Span, Type, Value,
    internal_error,
};
use crate::soft::sorted::SortedSet;
pub(super) use barrier::position;
pub(super) use inline_bytes::{
    inline_sizes, limit_inline_sizes, offset as inline_offset, start as inline_start,
};
pub(super) use memory::Limit;
pub(super) use multiples::{PushedNumber, pushed_numbers};
pub(super) use tensor::uses_tensor_cores;
pub(super) use texture::{expected, uses_textures};

/// The options that the text depends on, besides the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Options {
    /// The compute capability: 70 for 7.0.
    pub(super) target: u32,
    /// The most threads of a threadgroup.
    pub(super) threads: u32,
    /// The common alignment of the starts of all buffers, from 1 to 16.
    pub(super) alignment: u32,
    /// Whether reading just past the end of threadgroup memory is a fault, and a barrier that not all threads reach.
    pub(super) strict: bool,
    /// Whether accesses are checked.
    pub(super) checked: bool,
    /// The allocations whose bytes are in the kernel's parameter: bits by number.
    pub(super) pushed: u64,
    /// Which of the numbers in those bytes are multiples of 16: bits by number ([`PushedNumber`]).
    pub(super) multiples: u64,
    /// Whether all SIMD-groups have 32 threads.
    pub(super) whole: bool,
    /// Whether the positions of all threads are the hardware's.
    pub(super) regular: bool,
    /// Whether tensor cores multiply matrices of halves and bfloats: then lanes have the numbers that their layout needs.
    pub(super) tensor: bool,
}

/// The name of the kernel in the text.
pub(super) const ENTRY: &str = "kernel";

/// The layout of the kernel's parameter: fields, then one entry a region.
pub(super) mod layout {
    /// The address of the fault record.
    pub(crate) const RECORD: usize = 0;
    /// The address of the word that says that the launch has to stop.
    pub(crate) const STOP: usize = 8;
    /// The address of the word to which a threadgroup that starts writes.
    pub(crate) const PROGRESS: usize = 16;
    /// Threads of the grid.
    pub(crate) const GRID: usize = 24;
    /// Threads of a threadgroup.
    pub(crate) const GROUP: usize = 36;
    /// The position of the first threadgroup, where a launch is cut into several.
    pub(crate) const ORIGIN: usize = 48;
    /// The number of this launch, and the address of that of the first launch that had a fault.
    pub(crate) const NUMBER: usize = 60;
    pub(crate) const FAULTED: usize = 64;
    /// A threadgroup notes that it has started if its position in its row has none of the first word's bits, and the row's
    /// number none of the second's: of a large grid few do, since all write to one address.
    pub(crate) const PROGRESS_MASK: usize = 72;
    /// Threadgroups of the grid.
    pub(crate) const GROUPS: usize = 80;
    /// Whether the position of a thread may be another one than the hardware's.
    pub(crate) const SPECIAL: usize = 92;
    /// The addresses of the launch's tables (`super::super::tables`): samplers; textures and their number; where
    /// pointers in memory point to; regions and their number.
    pub(crate) const SAMPLERS: usize = 96;
    pub(crate) const TEXTURES: usize = 104;
    pub(crate) const TEXTURE_COUNT: usize = 112;
    pub(crate) const ADDRESSES: usize = 120;
    pub(crate) const FAR_REGIONS: usize = 128;
    pub(crate) const FAR_COUNT: usize = 136;
    /// In each dimension the first position of threadgroups whose threads number themselves.
    pub(crate) const EDGES: usize = 144;
    /// For each region its start, its length, and whether it may be written; region 0 is the null pointer's. A kernel
    /// that reads pointers from memory finds more of them, and these, in a table.
    pub(crate) const REGIONS: usize = 160;
    /// Bytes of a region's entry.
    pub(crate) const REGION: usize = 24;

    /// The most bytes of the parameter.
    pub(crate) const MAX_BYTES: usize = 4096;

    /// Where the bytes are that commands carry, after the regions of `allocations` allocations.
    pub(crate) const fn pushed(allocations: usize) -> usize {
        (REGIONS + REGION * (allocations + 1)).next_multiple_of(16)
    }

    /// Where the limits of accesses are ([`Limit`](super::Limit)), after those bytes.
    pub(crate) fn limits(sizes: &[u32], pushed: u64) -> usize {
        self::pushed(sizes.len()) + super::inline_bytes::bytes(sizes, pushed)
    }

    /// Bytes of the parameter with `count` limits.
    pub(crate) fn bytes(sizes: &[u32], pushed: u64, count: usize) -> usize {
        limits(sizes, pushed) + 8 * count
    }
}

/// The layout of a fault record.
pub(super) mod record {
    /// A lock.
    pub(crate) const LOCK: usize = 0;
    /// Whether there was a fault.
    pub(crate) const SET: usize = 4;
    /// The thread's number in the launch: the number of the threadgroup, and ten bits of that in the threadgroup.
    pub(crate) const KEY: usize = 8;
    /// The offset or the pointer.
    pub(crate) const VALUE: usize = 16;
    /// The number of the site.
    pub(crate) const SITE: usize = 24;
    /// The thread's position in the grid.
    pub(crate) const POSITION: usize = 28;
    /// Bytes of what is about a fault.
    pub(crate) const BYTES: usize = 40;
    /// When the first of a sequence of launches began, and when the last had ended, in nanoseconds of the GPU's clock.
    pub(crate) const BEGAN: usize = 40;
    pub(crate) const ENDED: usize = 48;
}

/// Bytes past the end of threadgroup memory that may be read if the launch is not strict.
pub(super) const SLACK: u32 = 16;

/// The base of a pointer's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Root {
    /// Nothing that is known: the register has the whole pointer.
    Unknown,
    /// An allocation.
    Allocation(u32),
    /// A local.
    Local(u32),
}

/// The number of a pointer's bits that are its offset; the number of its region is above them.
pub(super) const OFFSET_BITS: u32 = 48;

/// A point in the code where a fault may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) span: Span,
    pub(super) kind: SiteKind,
}

/// The kind of fault at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SiteKind {
    /// An access out of bounds.
    Access { root: Root, space: Space, bytes: u32, write: bool },
    /// An atomic access that is not aligned.
    Misaligned { root: Root, bytes: u32, write: bool },
    /// A loop that the watchdog stopped.
    Stopped,
    /// A barrier that not all threads of the threadgroup reach, or that others wait at another one. The value is the number of
    /// the thread in its threadgroup that does not reach it.
    Barrier,
    /// The end of the kernel, while other threads wait at a barrier. The value is the number of the thread in its
    /// threadgroup, and above it the number of the barrier, from 1, or 0 if the others wait at different ones.
    Ended,
    /// Use of a texture with a number that no texture has.
    Texture,
    /// An atomic function of a texture whose pixels are not integers.
    Format,
    /// Use of a number that is no sampler.
    Sampler,
}

/// Loads which were joined into one access.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) loads: JoinedLoads,
    /// How many bytes past the end of memory may be read.
    pub(super) slack: u32,
}

/// A kernel as text.
#[derive(Debug)]
pub(super) struct Emitted {
    pub(super) text: String,
    pub(super) sites: Vec<Site>,
    /// The limits that the launch computes.
    pub(super) limits: Vec<Limit>,
    /// The positions of the barriers, by number, if the launch is strict.
    pub(super) barriers: Vec<Span>,
    /// The accesses that do loads which were joined, by the numbers of their sites.
    pub(super) joined: HashMap<u32, Joined>,
    /// Bytes of the thread's own memory.
    pub(super) thread_bytes: u64,
    /// Bytes of threadgroup memory that the launch has to add for tiles of several iterations.
    pub(super) tile_bytes: u32,
}

/// Why there is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsupported(pub(super) String);

/// The number of the region of pointers into thread memory.
const THREAD: u64 = 1;

struct Emit<'a> {
    module: &'a Module,
    function: &'a Function,
    uniform: Uniformity,
    options: Options,
    text: Text,
    /// For each allocation the bytes that may be in the kernel's parameter.
    inline_sizes: Vec<u32>,
    /// For each value its registers, once it has some.
    values: Vec<Vec<Reg>>,
    pointers: pointers::Pointers,
    variables: Vec<Vec<Reg>>,
    /// Where each local starts.
    locals: Vec<u64>,
    thread_bytes: u64,
    tile_bytes: u32,
    sites: Vec<Site>,
    barriers: Vec<Span>,
    idle_barriers: HashSet<Value>,
    /// How often each value is used.
    uses: Vec<u32>,
    joined: HashMap<u32, Joined>,
    /// For each site its label, and the register with an offset or a pointer.
    exits: Vec<(Label, Reg)>,
    limits: HashMap<Limit, Reg>,
    joins: joined::Joins,
    /// Loads that were checked and not written yet.
    targets: HashMap<Value, memory::Target>,
    versions: version::Versions,
    /// Accesses that fit, here and in the blocks in this one.
    fits: Vec<narrow::CheckedIndex>,
    wide_checks: Vec<narrow::WideCheck>,
    /// Those that the launch computes.
    given_limits: Vec<Limit>,
    bases: HashMap<u32, Reg>,
    inputs: input::Inputs,
    flow: flow::Flow,
    /// The label of the code that records a fault.
    fault: Label,
    /// Whether the code has instructions of tensor cores.
    has_tensor: bool,
    /// Whether some operation across lanes needs the array of all lanes' values.
    uses_lane_room: bool,
    /// Whether this is a routine of the library, whose pointers are addresses and are not checked.
    is_routine: bool,
    /// The registers of a routine's result.
    result: Vec<Reg>,
    /// The routines that are called.
    routines: SortedSet<Routine>,
    /// Whether pointers may be to regions that are in a table.
    far: bool,
}

/// Writes a kernel.
pub(super) fn emit(
    module: &Module,
    function: &Function,
    options: Options,
) -> Result<Emitted, Unsupported> {
    let mut emit = Emit::new(module, function, options);
    emit.start();
    emit.function_body();
    emit.polls();
    emit.one_by_one();
    emit.wide_checks();
    emit.faults();
    emit.cold_prologue();
    emit.finish()
}

impl<'a> Emit<'a> {
    fn new(module: &'a Module, function: &'a Function, options: Options) -> Self {
        let mut text = Text::default();
        let fault = text.label();
        let (locals, thread_bytes) = assign_offsets(function, true);
        let inline_sizes = inline_bytes::inline_sizes(module, function);
        let multiples = multiples::Multiples::new(function, &inline_sizes, options);
        Self {
            module,
            function,
            uniform: uniform::analyse(function),
            options,
            inline_sizes,
            values: vec![Vec::new(); function.insts.len()],
            pointers: pointers::Pointers::new(module, function, &locals, options, &multiples),
            variables: function.variables.iter().map(|variable| text.regs(variable.ty)).collect(),
            text,
            locals,
            thread_bytes,
            tile_bytes: 0,
            sites: Vec::new(),
            barriers: Vec::new(),
            idle_barriers: barrier::idle_barriers(function),
            uses: uses(function),
            joined: HashMap::new(),
            exits: Vec::new(),
            limits: HashMap::new(),
            joins: joined::Joins::default(),
            targets: HashMap::new(),
            versions: version::Versions::default(),
            fits: Vec::new(),
            wide_checks: Vec::new(),
            given_limits: Vec::new(),
            bases: HashMap::new(),
            inputs: input::Inputs::default(),
            flow: flow::Flow::default(),
            fault,
            has_tensor: false,
            uses_lane_room: false,
            is_routine: false,
            result: Vec::new(),
            routines: SortedSet::new(),
            far: is_far(function),
        }
    }
}

impl Emit<'_> {
    /// The registers of a value, one a component.
    fn value(&mut self, value: Value) -> Vec<Reg> {
        if self.values[value.index()].is_empty() && self.function.inst(value).op.is_free() {
            self.values[value.index()] = self.free(value);
        }
        self.values[value.index()].clone()
    }

    /// The register of a scalar or pointer.
    fn scalar(&mut self, value: Value) -> Reg {
        let regs = self.value(value);
        match regs.first() {
            Some(reg) => *reg,
            None => internal_error(format!("PTX: {value} is used before it has a register")),
        }
    }

    /// The registers of a free value, which are set in the prologue.
    fn free(&mut self, value: Value) -> Vec<Reg> {
        let inst = *self.function.inst(value);
        match inst.op {
            Op::Const => vec![self.constant(inst.ty.scalar().unwrap_or(Scalar::U32), inst.imm)],
            Op::Input => vec![self.input(inst.imm)],
            // The offset from the root.
            Op::Allocation | Op::Local => vec![self.constant(Scalar::U64, 0)],
            Op::Texture => vec![self.constant(Scalar::U64, inst.imm + 1)],
            Op::Sampler => vec![self.bound_sampler(inst.imm)],
            Op::Param => self.parameter(inst.imm, inst.ty),
            _ => internal_error(format!("PTX: no registers for {:?}", inst.op)),
        }
    }

    /// A register with a constant, in widened bits.
    fn constant(&mut self, scalar: Scalar, bits: u64) -> Reg {
        let bits = match scalar {
            Scalar::F16 => u64::from(crate::soft::ir::half::f16_bits(f32::from_bits(bits as u32))),
            Scalar::BF16 => bits >> 16,
            _ => bits,
        };
        self.bits(Kind::of(scalar), bits)
    }

    /// A register with certain bits.
    fn bits(&mut self, kind: Kind, bits: u64) -> Reg {
        self.text.early(|text| {
            let reg = text.reg(kind);
            match kind {
                Kind::Predicate => {
                    let word = text.reg(Kind::Word);
                    ptx!(text, "mov.b32 {word}, {};", u32::from(bits != 0));
                    ptx!(text, "setp.ne.u32 {reg}, {word}, 0;");
                }
                Kind::Half => ptx!(text, "mov.b16 {reg}, {:#x};", bits & 0xffff),
                Kind::Word => ptx!(text, "mov.b32 {reg}, {:#x};", bits & 0xffff_ffff),
                Kind::Long => ptx!(text, "mov.b64 {reg}, {bits:#x};"),
            }
            reg
        })
    }

    /// A new register of the kind of a scalar.
    fn reg(&mut self, scalar: Scalar) -> Reg {
        self.text.reg(Kind::of(scalar))
    }

    /// The base of a pointer's offset.
    fn root(&self, pointer: Value) -> Root {
        self.pointers.of(pointer).root
    }

    /// A register with the whole pointer: the number of its region, and the offset.
    fn whole(&mut self, pointer: Value) -> Reg {
        let offset = self.scalar(pointer);
        let start = match self.root(pointer) {
            Root::Unknown => return offset,
            Root::Allocation(number) => u64::from(number + 1) << OFFSET_BITS,
            Root::Local(number) => (THREAD << OFFSET_BITS) + self.locals[number as usize],
        };
        let start = self.bits(Kind::Long, start);
        let whole = self.text.reg(Kind::Long);
        ptx!(self.text, "add.u64 {whole}, {offset}, {start};");
        whole
    }

    /// The registers of an operand that leaves the code in which its root is known.
    fn operand(&mut self, value: Value) -> Vec<Reg> {
        match self.function.ty(value) {
            Type::Pointer(_) => vec![self.whole(value)],
            _ => self.value(value),
        }
    }

    /// Copies registers.
    fn copy(&mut self, to: &[Reg], from: &[Reg]) {
        for (to, from) in to.iter().zip(from) {
            ptx!(self.text, "mov.{} {to}, {from};", to.kind.name());
        }
    }

    /// The texts of the routines that are called.
    fn called(&self) -> Result<String, Unsupported> {
        let mut out = String::new();
        for &routine in &self.routines {
            let Some(code) = self.module.library.routine(routine) else {
                return Err(Unsupported(format!(
                    "the routine '{}' of the library",
                    routine.name()
                )));
            };
            out += &routine::emit(self.module, &code, self.options, routine);
        }
        Ok(out)
    }

    /// Declarations, directives and code.
    fn finish(self) -> Result<Emitted, Unsupported> {
        use std::fmt::Write;
        let Options { target, threads, .. } = self.options;
        let bytes = layout::bytes(&self.inline_sizes, self.options.pushed, self.given_limits.len());
        if bytes > layout::MAX_BYTES {
            return Err(Unsupported("more arguments and tables than a launch can pass".into()));
        }
        let version = if self.has_tensor { "7.8" } else { "7.0" };
        let target = target.min(80);
        let mut out = format!(".version {version}\n.target sm_{target}\n.address_size 64\n");
        for (number, allocation) in self.module.allocations.iter().enumerate() {
            if let AllocationKind::Table(data) = &allocation.kind {
                let list: Vec<String> = data.iter().map(u8::to_string).collect();
                let size = data.len().max(1);
                let list = if list.is_empty() { "0".to_owned() } else { list.join(",") };
                // Writing to a string does not fail.
                let _ = writeln!(
                    out,
                    ".visible .global .align 16 .b8 {}[{size}] = {{{list}}};",
                    table(number)
                );
            }
        }
        let _ = writeln!(out, ".extern .shared .align 16 .b8 shared[];");
        out += &self.called()?;
        let _ = writeln!(out, ".visible .entry {ENTRY}(.param .align 16 .b8 args[{bytes}])");
        let _ = writeln!(out, ".maxntid {threads}, 1, 1\n{{");
        if self.thread_bytes != 0 {
            let _ = writeln!(out, "\t.local .align 16 .b8 locals[{}];", self.thread_bytes);
        }
        if self.uses_lane_room {
            let _ = writeln!(out, "\t.local .align 8 .b8 lanes[256];");
        }
        out += &self.text.finish();
        out += "}\n";
        let Self {
            sites, barriers, joined, thread_bytes, tile_bytes, given_limits: limits, ..
        } = self;
        Ok(Emitted { text: out, sites, limits, barriers, joined, thread_bytes, tile_bytes })
    }
}

/// How often each value is used.
fn uses(function: &Function) -> Vec<u32> {
    let mut uses = vec![0; function.insts.len()];
    let operands = instructions(&function.body).flat_map(|value| &function.inst(value).args[..]);
    let others = statements(&function.body).flat_map(|stmt| stmt.values());
    operands.chain(others).for_each(|value| uses[value.index()] += 1);
    uses
}

/// Whether a function reads pointers or textures from memory, or writes them there, so that a launch passes what it may reach.
pub(super) fn is_far(function: &Function) -> bool {
    let forms = |inst: &crate::soft::ir::Inst| matches!(inst.op, Op::FromMemory | Op::ToMemory);
    function.insts.iter().any(forms)
}

/// The name of a program-scope table in the text.
pub(super) fn table(number: usize) -> String {
    format!("table{number}")
}
