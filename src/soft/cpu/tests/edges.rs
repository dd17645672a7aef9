//! The ends of memory: every form of access, byte by byte from 16 before the start to 16 past the end, in memory of
//! every length modulo 16, compared with a model that only adds up offsets.

use super::super::FaultKind;
use super::*;
use crate::soft::ir::{Op, Scalar};
use crate::soft::kernel::texture::{Level, NO_SWIZZLE, Pixel, PixelFormat, Texture};

/// Bytes around the memory under test: more than any lane is apart from the first, and 16.
const GUARD: usize = 33 * 32 + 64;

/// How an address is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Uniform: a constant distance from the argument.
    Field(i64),
    /// Uniform: a 64-bit offset.
    Offset,
    /// Uniform: a pointer that is computed.
    Pointer,
    /// A 32-bit index per lane, and a uniform 64-bit offset.
    Index { signed: bool },
    /// The sum, in 32 bits, of an index per lane and a uniform one; and a constant distance.
    Biased { distance: i64, signed: bool },
    /// The position in the grid instead of the index.
    Grid { distance: i64 },
    /// Two indices per lane.
    Sum,
    /// A pointer per lane, into one argument.
    Pointers,
    /// A pointer per lane, of odd lanes into the same memory bound a second time.
    TwoArguments,
}

/// The kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A load into every lane.
    Load,
    /// A store of varying values.
    Store,
    /// A store of a uniform value.
    StoreUniform,
    /// Loads of this many adjacent scalars, which become one.
    Joined(u32),
    /// An atomic operation.
    Atomic(Op),
}

impl What {
    fn writes(self) -> bool {
        match self {
            Self::Load | Self::Joined(_) => false,
            Self::Store | Self::StoreUniform => true,
            Self::Atomic(op) => op != Op::AtomicLoad,
        }
    }
}

/// A kernel to run many times.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    form: Form,
    what: What,
    ty: Type,
    /// Whether it accesses threadgroup memory, of which contents are not compared.
    threadgroup: bool,
    /// Whether lanes may be inactive.
    masked: bool,
}

/// The arguments, in this order.
const DATA: u32 = 0;
const AGAIN: u32 = 1;
const OUT: u32 = 2;
const VALUES: u32 = 3;
/// For each lane an index of 32 bits, and one of 64.
const INDICES: u32 = 4;
const WIDE: u32 = 5;
/// The uniform offset, the uniform index, the mask.
const UNIFORM: u32 = 6;

impl Kernel {
    /// Bytes of one access.
    fn bytes(self) -> i64 {
        match self.what {
            What::Joined(count) => i64::from(count) * memory_bytes(self.ty),
            _ => memory_bytes(self.ty),
        }
    }

    /// The distance between indices, in bytes.
    fn scale(self) -> i64 {
        // Loads are only joined if the lanes are not adjacent.
        if matches!(self.what, What::Joined(_)) { 2 * self.bytes() } else { self.bytes() }
    }

    fn address(self, b: &mut FunctionBuilder, data: Value, again: Value, lane: Value) -> Value {
        let (indices, wide) = (device(b, INDICES), device(b, WIDE));
        let uniform = constant(b, UNIFORM);
        let offset = |b: &mut FunctionBuilder| b.load(uniform, Type::U64);
        let index = |b: &mut FunctionBuilder, signed| {
            let from = b.index(indices, lane, 4);
            b.load(from, if signed { Type::I32 } else { Type::U32 })
        };
        let wide = |b: &mut FunctionBuilder| {
            let from = b.index(wide, lane, 8);
            b.load(from, Type::U64)
        };
        match self.form {
            Form::Field(distance) => b.field(data, distance),
            Form::Offset => {
                let offset = offset(b);
                b.index(data, offset, 1)
            }
            Form::Pointer => {
                let bits = b.op(Op::PointerToInt, &[data]);
                let offset = offset(b);
                let bits = b.add(bits, offset);
                let ty = b.ty(data);
                b.emit(Op::IntToPointer, ty, &[bits], 0)
            }
            Form::Index { signed } => {
                let (index, offset) = (index(b, signed), offset(b));
                let at = b.index(data, index, self.scale());
                b.index(at, offset, 1)
            }
            Form::Biased { distance, signed } => {
                let index = index(b, signed);
                let bias = b.field(uniform, 8);
                let bias = b.load(bias, if signed { Type::I32 } else { Type::U32 });
                let at = b.add(index, bias);
                let at = b.index(data, at, self.scale());
                b.field(at, distance)
            }
            Form::Grid { distance } => {
                let bias = b.field(uniform, 8);
                let bias = b.load(bias, Type::U32);
                let at = b.add(lane, bias);
                let at = b.index(data, at, self.scale());
                b.field(at, distance)
            }
            Form::Sum => {
                let (index, wide, offset) = (index(b, false), wide(b), offset(b));
                let at = b.index(data, index, self.scale());
                let at = b.index(at, wide, 1);
                b.index(at, offset, 1)
            }
            Form::Pointers | Form::TwoArguments => {
                let ty = b.ty(data);
                let mut start = b.op(Op::PointerToInt, &[data]);
                if self.form == Form::TwoArguments {
                    let other = b.op(Op::PointerToInt, &[again]);
                    let one = b.u32(1);
                    let bit = b.op(Op::And, &[lane, one]);
                    let odd = b.op(Op::Eq, &[bit, one]);
                    start = b.op(Op::Select, &[odd, other, start]);
                }
                let wide = wide(b);
                let bits = b.add(start, wide);
                let at = b.emit(Op::IntToPointer, ty, &[bits], 0);
                let offset = offset(b);
                b.index(at, offset, 1)
            }
        }
    }

    fn module(self) -> Module {
        let mut b = kernel("edges");
        let space = if self.threadgroup { Space::Threadgroup } else { Space::Device };
        let [data, again] = [DATA, AGAIN].map(|number| b.allocation(AllocationId(number), space));
        let (out, values) = (device(&mut b, OUT), device(&mut b, VALUES));
        let lane = position(&mut b, 0);
        if self.masked {
            let mask = constant(&mut b, UNIFORM);
            let mask = b.field(mask, 12);
            let mask = b.load(mask, Type::U32);
            let one = b.u32(1);
            let bit = b.op(Op::Shr, &[mask, lane]);
            let bit = b.op(Op::And, &[bit, one]);
            let on = b.op(Op::Eq, &[bit, one]);
            b.begin_if(on);
        }
        let at = self.address(&mut b, data, again, lane);
        let size = memory_bytes(self.ty);
        match self.what {
            What::Load => {
                let value = b.load(at, self.ty);
                let to = b.index(out, lane, size);
                b.store(to, value);
            }
            What::Joined(count) => {
                let pointers: Vec<Value> =
                    (0..count).map(|k| b.field(at, i64::from(k) * size)).collect();
                let loads: Vec<Value> =
                    pointers.into_iter().map(|pointer| b.load(pointer, self.ty)).collect();
                let to = b.index(out, lane, self.bytes());
                for (k, value) in loads.into_iter().enumerate() {
                    let to = b.field(to, k as i64 * size);
                    b.store(to, value);
                }
            }
            What::Store => {
                let from = b.index(values, lane, size);
                let value = b.load(from, self.ty);
                b.store(at, value);
            }
            What::StoreUniform => {
                let value = b.load(values, self.ty);
                b.store(at, value);
            }
            What::Atomic(op) => {
                let from = b.index(values, lane, size);
                let value = b.load(from, self.ty);
                match op {
                    Op::AtomicLoad => {
                        let value = b.emit(op, self.ty, &[at], 0);
                        let to = b.index(out, lane, size);
                        b.store(to, value);
                    }
                    Op::AtomicStore => {
                        b.emit(op, Type::Void, &[at, value], 0);
                    }
                    Op::AtomicCompareExchange => {
                        b.emit(op, self.ty, &[at, value, value], 0);
                    }
                    _ => {
                        b.emit(op, self.ty, &[at, value], 0);
                    }
                }
            }
        }
        if self.masked {
            b.end_if();
        }
        let mut allocations: Vec<Allocation> =
            ["data", "again", "out", "values", "indices", "wide"]
                .iter()
                .zip(0..)
                .map(|(name, index)| buffer(name, index, Space::Device))
                .collect();
        allocations.push(buffer("uniform", UNIFORM, Space::Constant));
        if self.threadgroup {
            for index in [DATA, AGAIN] {
                allocations[index as usize].kind = AllocationKind::ThreadgroupArgument { index };
            }
        }
        module(allocations, b.finish())
    }

    /// Whether all lanes have the same address.
    fn is_uniform(self) -> bool {
        matches!(self.form, Form::Field(_) | Form::Offset | Form::Pointer)
    }

    /// The arguments, offset and bias, with which an address has this start; `None` if that is impossible.
    fn uniform_part(self, start: i64) -> Option<(i64, i64)> {
        match self.form {
            Form::Field(distance) => (distance == start).then_some((0, 0)),
            Form::Biased { distance, .. } | Form::Grid { distance } => {
                let rest = start - distance;
                (rest % self.scale() == 0).then_some((0, rest / self.scale()))
            }
            _ => Some((start, 0)),
        }
    }
}

/// Bytes of a value in memory.
fn memory_bytes(ty: Type) -> i64 {
    i64::from(ty.scalar().map_or(8, Scalar::bytes) * ty.width())
}

/// Each lane's distance from the first lane, in elements.
const PATTERNS: &[fn(i64) -> i64] = &[
    |k| k,
    |k| k % 16,
    |k| k / 16,
    |_| 0,
    |k| 31 - k,
    |k| (k * 29 + 7) % 32,
    |k| if k < 16 { 0 } else { k },
    |k| if k < 16 { k } else { 16 },
];

/// Lanes that are active.
const MASKS: [u32; 6] =
    [1, 1 << 31, 0xffff, 0xffff_0000, 0x7fff_fffe, 0b1011_1111_1101_1111_0111_0110];

/// The outcome of a run: no fault, or the lane, offset and size of the access that is out of bounds; and whether it
/// is misaligned instead.
type Outcome = Option<(u32, i64, u32, bool)>;

/// The memory of all launches of a kernel.
struct Bench {
    kernel: Kernel,
    program: Program,
    way: Way,
    workers: Workers,
    memory: Vec<u8>,
    out: Vec<u8>,
    values: Vec<u8>,
}

impl Bench {
    fn new(kernel: Kernel, way: Way) -> Self {
        let program = way.program(&kernel.module()).expect("a valid module");
        let noise = |seed: usize| move |at: usize| (((at + seed) * 167) >> 3) as u8 ^ at as u8;
        Self {
            kernel,
            program,
            way,
            workers: Workers::new(1),
            memory: (0..2 * GUARD + 2048).map(noise(1)).collect(),
            out: vec![0; 32 * 32 * 4],
            values: (0..32 * 32).map(noise(77)).collect(),
        }
    }

    /// Runs with the first lane at `start` of memory of `length` bytes, and compares. One lane may be `far` bytes
    /// from where the pattern has it.
    fn check(
        &mut self,
        length: usize,
        start: i64,
        pattern: fn(i64) -> i64,
        far: Option<(i64, i64)>,
        mask: u32,
    ) {
        let kernel = self.kernel;
        let Some((offset, bias)) = kernel.uniform_part(start) else { return };
        let scale = kernel.scale();
        let grid = matches!(kernel.form, Form::Grid { .. });
        let element = |k: i64| match () {
            () if grid => k,
            () if kernel.is_uniform() => 0,
            () => pattern(k),
        };
        // Part of the distance is in the uniform number, and some of it twice and back.
        let shift = if matches!(kernel.form, Form::Biased { .. }) { 7 } else { 0 };
        let twice = if matches!(kernel.form, Form::Sum) { 1 << 40 } else { 0 };
        let extra = |k: i64| far.filter(|&(lane, _)| lane == k).map_or(0, |(_, bytes)| bytes);
        let mut indices: Vec<u32> = (0..32).map(|k| (element(k) - shift) as u32).collect();
        let mut wide: Vec<u64> = (0..32)
            .map(|k| match kernel.form {
                Form::Sum => (extra(k) - twice) as u64,
                _ => (element(k) * scale + extra(k)) as u64,
            })
            .collect();
        let mut uniform = (offset + twice).to_ne_bytes().to_vec();
        uniform.extend(((bias + shift) as u32).to_ne_bytes());
        uniform.extend(mask.to_ne_bytes());
        let offset = |k: i64| start + element(k) * scale + extra(k);
        let offsets: [i64; 32] = std::array::from_fn(|k| offset(k as i64));

        let (mut want_memory, mut want_out) = (self.memory.clone(), self.out.clone());
        let want = self.model(length, &offsets, mask, &mut want_memory, &mut want_out);
        let before = self.memory.clone();
        let data = &mut self.memory[GUARD..GUARD + length];
        let again = Binding { index: AGAIN, ..bind(DATA, data) };
        let bindings = [
            bind(DATA, data),
            again,
            bind(OUT, &mut self.out),
            bind(VALUES, &mut self.values),
            bind(INDICES, &mut indices),
            bind(WIDE, &mut wide),
            bind(UNIFORM, &mut uniform),
        ];
        let sizes = [(DATA, length as u32), (AGAIN, length as u32)];
        let mut grid = launch([32, 1, 1], [32, 1, 1], &bindings);
        if kernel.threadgroup {
            grid.threadgroup_memory = &sizes;
        }
        // SAFETY: the bindings outlive the launch.
        let got = unsafe { self.program.launch_by_index(&grid, &self.workers) };
        let got = got.err().map(|fault| outcome(&fault, kernel.what.writes(), length as u64));
        let case = || format!("{kernel:?} {length} {start} {mask:#x} {offsets:?}");
        assert_eq!(got, want, "{}", case());
        let parts = self.way.is_native() && got.is_some();
        if parts {
            // Strips before the one that faults were done; outside of the buffer nothing changed.
            let end = GUARD + length;
            assert!(self.memory[..GUARD] == before[..GUARD], "before: {}", case());
            assert!(self.memory[end..] == before[end..], "after: {}", case());
        } else if !kernel.threadgroup {
            assert!(self.memory == want_memory, "memory: {}", case());
            assert!(self.out == want_out, "values: {}", case());
        }
        self.memory = before;
    }

    /// The expected outcome.
    fn model(
        &self,
        length: usize,
        offsets: &[i64; 32],
        mask: u32,
        memory: &mut [u8],
        out: &mut [u8],
    ) -> Outcome {
        let kernel = self.kernel;
        let bytes = kernel.bytes();
        // Threadgroup memory may be read a little past its end.
        let slack = if kernel.threadgroup && !kernel.what.writes() { 16 } else { 0 };
        let end = length as i64 + slack;
        let part = match kernel.what {
            What::Joined(count) => bytes / i64::from(count),
            _ => bytes,
        };
        let atomic = matches!(kernel.what, What::Atomic(_));
        let active = || (0..32usize).filter(|k| mask >> k & 1 == 1);
        for k in active() {
            for at in (offsets[k]..offsets[k] + bytes).step_by(part as usize) {
                let inside = at >= 0 && at + part <= end;
                let address = self.memory.as_ptr() as i64 + GUARD as i64 + at;
                // What threadgroup memory begins with is aligned.
                let address = if kernel.threadgroup { at } else { address };
                let aligned = !atomic || address % bytes == 0;
                if !inside || !aligned {
                    return Some((k as u32, at, part as u32, inside));
                }
            }
        }
        for k in active() {
            let at = (GUARD as i64 + offsets[k]) as usize;
            let size = bytes as usize;
            let value = &self.values[k * size..][..size];
            let (data, out) = (&mut memory[at..at + size], &mut out[k * size..][..size]);
            match kernel.what {
                What::Load | What::Joined(_) | What::Atomic(Op::AtomicLoad) => {
                    out.copy_from_slice(data);
                    self.normalise(out);
                }
                What::Store | What::Atomic(Op::AtomicStore) => {
                    data.copy_from_slice(value);
                    self.normalise(data);
                }
                What::StoreUniform => {
                    data.copy_from_slice(&self.values[..size]);
                    self.normalise(data);
                }
                What::Atomic(Op::AtomicAdd) => {
                    let mut carry = 0;
                    for (byte, add) in data.iter_mut().zip(value) {
                        carry += u16::from(*byte) + u16::from(*add);
                        *byte = carry as u8;
                        carry >>= 8;
                    }
                }
                What::Atomic(_) => {}
            }
        }
        None
    }

    /// A `bool` that was in a register is 0 or 1.
    fn normalise(&self, bytes: &mut [u8]) {
        if self.kernel.ty.scalar() == Some(Scalar::Bool) {
            bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
        }
    }

    /// Runs over the edges of memory of each length modulo 16.
    fn sweep(&mut self) {
        let (bytes, scale) = (self.kernel.bytes(), self.kernel.scale());
        let grid = matches!(self.kernel.form, Form::Grid { .. });
        let patterns = match () {
            () if self.kernel.is_uniform() => &PATTERNS[3..4],
            () if grid => &PATTERNS[..1],
            () => PATTERNS,
        };
        let mut masks = MASKS.iter().cycle();
        // The patterns share the lengths: each length is tested with at least one of them.
        let step = patterns.len().min(if self.kernel.ty.width() == 1 { 4 } else { 7 });
        for (number, &pattern) in patterns.iter().enumerate() {
            let span = (0..32).map(pattern).max().unwrap_or(0) * scale;
            for more in ((number % step) as i64..16).step_by(step) {
                let length = span + bytes + more;
                // The whole lower edge is tested with one length, as it does not depend on the length.
                let first = if more < step as i64 { -16 } else { more - 2 };
                for start in first..=length - span + 16 {
                    let mask = if self.kernel.masked { *masks.next().unwrap() } else { u32::MAX };
                    self.check(length as usize, start, pattern, None, mask);
                }
            }
        }
        // Memory that is shorter than an access.
        for length in 0..bytes {
            for start in -2..2 {
                self.check(length as usize, start, |_| 0, None, u32::MAX);
            }
        }
        // One lane far from the others, alone or with them; near enough for 32 bits, or not.
        if matches!(self.kernel.form, Form::Sum | Form::Pointers | Form::TwoArguments) {
            let length = 31 * scale + bytes;
            for far in [(1 << 31) - 1, 1 << 31, 1 << 32, (1 << 32) + 4, 1 << 33, 1 << 39, 1 << 45] {
                for (lane, mask) in
                    [(0, u32::MAX), (5, u32::MAX), (31, 0x8000_0001), (5, !32), (4, 48)]
                {
                    let mask = if self.kernel.masked { mask } else { u32::MAX };
                    for far in [far, -far] {
                        self.check(length as usize, 0, |k| k, Some((lane, far)), mask);
                    }
                }
            }
        }
    }
}

/// The details of a fault.
fn outcome(fault: &Fault, write: bool, length: u64) -> (u32, i64, u32, bool) {
    let position = fault.position.expect("a position")[0];
    match &fault.kind {
        FaultKind::Access { argument, offset, bytes, write: wrote, size, constant: false } => {
            assert_eq!((*wrote, *size), (write, length));
            assert!(argument.as_deref().is_some_and(|name| ["data", "again"].contains(&name)));
            (position, *offset, *bytes, false)
        }
        FaultKind::Misaligned { argument, offset, bytes, write: wrote } => {
            assert_eq!((*wrote, argument.is_some()), (write, true));
            (position, *offset, *bytes, true)
        }
        other => panic!("{other:?}"),
    }
}

/// A type of `width` scalars.
const fn vector(scalar: Scalar, width: u32) -> Type {
    Type::of(scalar, width)
}

/// Runs kernels on some instruction sets.
fn sweep(kernels: impl IntoIterator<Item = Kernel>, ways: &[Way]) {
    for kernel in kernels {
        for &way in ways {
            Bench::new(kernel, way).sweep();
        }
    }
}

/// A kernel that accesses device memory with all lanes active.
const fn plain(form: Form, what: What, ty: Type) -> Kernel {
    Kernel { form, what, ty, threadgroup: false, masked: false }
}

/// The types that have handlers of their own: each size in memory, each width, each way to widen.
fn types() -> Vec<Type> {
    let mut types = Vec::new();
    for scalar in [Scalar::U8, Scalar::U16, Scalar::U32, Scalar::U64] {
        types.extend((1..=4).map(|width| vector(scalar, width)));
    }
    for scalar in [Scalar::Bool, Scalar::I8, Scalar::I16, Scalar::F16, Scalar::BF16] {
        types.push(vector(scalar, 1));
    }
    types
}

#[test]
fn uniform_accesses_at_the_ends_of_memory() {
    for ty in types() {
        for what in [What::Load, What::Store, What::StoreUniform] {
            for form in [Form::Offset, Form::Pointer] {
                sweep([plain(form, what, ty)], &Way::plain_and_native());
            }
        }
    }
    for distance in -16..=36 {
        for ty in [vector(Scalar::U8, 1), vector(Scalar::U32, 1), vector(Scalar::U16, 2)] {
            for what in [What::Load, What::Store] {
                sweep([plain(Form::Field(distance), what, ty)], &Way::plain_and_native());
            }
        }
    }
}

#[test]
fn indexed_accesses_at_the_ends_of_memory() {
    for ty in types() {
        for what in [What::Load, What::Store] {
            for (signed, masked) in [(false, false), (true, true)] {
                let kernel = Kernel { masked, ..plain(Form::Index { signed }, what, ty) };
                sweep([kernel], &Way::all());
            }
        }
    }
}

#[test]
fn biased_indices_and_rows_at_the_ends_of_memory() {
    for ty in [
        vector(Scalar::U32, 1),
        vector(Scalar::F32, 1),
        vector(Scalar::U16, 1),
        vector(Scalar::F16, 1),
        vector(Scalar::BF16, 4),
        vector(Scalar::U64, 2),
    ] {
        for what in [What::Load, What::Store] {
            for distance in -16..memory_bytes(ty) - 16 {
                for masked in [false, true] {
                    let forms = [
                        Form::Biased { distance, signed: masked },
                        Form::Biased { distance, signed: false },
                        Form::Grid { distance },
                    ];
                    let kernels = forms.map(|form| Kernel { masked, ..plain(form, what, ty) });
                    sweep(kernels, &Way::all());
                }
            }
        }
    }
}

#[test]
fn prepared_lanes_at_the_ends_of_memory() {
    for ty in types() {
        for what in [What::Load, What::Store] {
            for form in [Form::Sum, Form::Pointers, Form::TwoArguments] {
                let kernel = Kernel { masked: ty.width() == 1, ..plain(form, what, ty) };
                sweep([kernel], &Way::all());
            }
        }
    }
}

#[test]
fn joined_loads_at_the_ends_of_memory() {
    for scalar in [Scalar::U8, Scalar::U16, Scalar::U32, Scalar::U64] {
        for count in [2, 4] {
            let what = What::Joined(count);
            for form in [Form::Index { signed: false }, Form::Sum, Form::Pointers] {
                sweep([plain(form, what, vector(scalar, 1))], &Way::all());
            }
        }
    }
}

#[test]
fn threadgroup_memory_at_its_ends() {
    for ty in [
        vector(Scalar::U8, 1),
        vector(Scalar::F16, 1),
        vector(Scalar::F16, 4),
        vector(Scalar::U32, 1),
        vector(Scalar::U32, 3),
        vector(Scalar::U64, 4),
    ] {
        for what in [What::Load, What::Store] {
            for form in [Form::Offset, Form::Index { signed: false }, Form::Sum, Form::Pointers] {
                for masked in [false, true] {
                    let kernel = Kernel { threadgroup: true, masked, ..plain(form, what, ty) };
                    sweep([kernel], &Way::all());
                }
            }
        }
    }
}

#[test]
fn atomics_at_the_ends_of_memory() {
    let ops = [Op::AtomicLoad, Op::AtomicStore, Op::AtomicAdd, Op::AtomicCompareExchange];
    for scalar in [Scalar::U32, Scalar::U64] {
        for op in ops {
            for form in [
                Form::Offset,
                Form::Pointer,
                Form::Index { signed: false },
                Form::Sum,
                Form::TwoArguments,
            ] {
                for threadgroup in [false, true] {
                    let kernel = plain(form, What::Atomic(op), vector(scalar, 1));
                    sweep([Kernel { threadgroup, ..kernel }], &[Way::PLAIN]);
                }
            }
        }
    }
}

#[test]
fn constant_memory_is_not_written_by_any_form_of_access() {
    let forms = [
        Form::Field(0),
        Form::Offset,
        Form::Pointer,
        Form::Index { signed: false },
        Form::Biased { distance: 0, signed: false },
        Form::Grid { distance: 0 },
        Form::Sum,
        Form::Pointers,
        Form::TwoArguments,
    ];
    let whats = [What::Store, What::StoreUniform, What::Atomic(Op::AtomicAdd)];
    for (form, what) in forms.into_iter().flat_map(|form| whats.map(|what| (form, what))) {
        let kernel = plain(form, what, vector(Scalar::U32, 1));
        let mut module = kernel.module();
        for allocation in &mut module.allocations[..2] {
            let AllocationKind::Buffer { writable, .. } = &mut allocation.kind else { panic!() };
            *writable = false;
        }
        for way in Way::all() {
            let mut memory = [[7u32; 32], [0; 32], [1; 32]];
            let [data, zeros, values] = &mut memory;
            let mut indices: [u32; 32] = std::array::from_fn(|k| k as u32);
            let mut wide = [0u64; 32];
            let data = bind(DATA, data);
            let bindings = [
                data,
                Binding { index: AGAIN, ..data },
                bind(VALUES, values),
                bind(INDICES, &mut indices),
                bind(WIDE, &mut wide),
                bind(UNIFORM, zeros),
            ];
            let found = run(&module, way, &launch([32, 1, 1], [32, 1, 1], &bindings));
            let kind = found.expect_err("a fault").kind;
            let constant = matches!(kind, FaultKind::Access { constant: true, write: true, .. });
            assert!(constant, "{kernel:?} {kind:?}");
            assert_eq!(memory[0], [7; 32], "{kernel:?}");
        }
    }
}

/// How an address in thread memory is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    /// A uniform offset.
    Offset,
    /// An offset per lane.
    Lanes,
    /// An index of 32 bits per lane, of scalars.
    Index,
    /// Parts that are each far out of bounds and cancel: per lane, uniform, and constant.
    Far { displacement: i64, uniform: i64 },
    /// A pointer that is computed, uniform or per lane: bounded by all locals.
    Pointer { lanes: bool },
}

/// Locals before and after the one under test, of these bytes.
const NEIGHBOUR: i64 = 20;

/// `local[at] = values[lane]; out[lane] = local[at]`, or only the load.
fn local_kernel(form: Local, ty: Type, length: i64, write: bool) -> Module {
    let mut b = kernel("local");
    let [out, values, wide] = [0, 1, 2].map(|number| device(&mut b, number));
    let uniform = constant(&mut b, 3);
    let lane = position(&mut b, 0);
    let [before, local, after] = [("before", NEIGHBOUR), ("local", length), ("after", NEIGHBOUR)]
        .map(|(name, bytes)| b.local(name, bytes as u32));
    // All three stay in memory: their addresses vary.
    let (zero, three) = (b.u32(0), b.u32(3));
    let first = b.op(Op::And, &[lane, three]);
    for other in [before, after] {
        let at = b.index(other, first, 4);
        b.store(at, zero);
    }
    let offset = b.load(uniform, Type::U64);
    let per_lane = b.index(wide, lane, 8);
    let per_lane = b.load(per_lane, Type::U64);
    let at = match form {
        Local::Offset => b.index(local, offset, 1),
        Local::Lanes => b.index(local, per_lane, 1),
        Local::Index => {
            let index = b.convert(per_lane, Type::I32);
            b.index(local, index, ty.scalar().map_or(0, Scalar::bytes).into())
        }
        Local::Far { displacement, .. } => {
            let at = b.index(local, per_lane, 1);
            let at = b.index(at, offset, 1);
            b.field(at, displacement)
        }
        Local::Pointer { lanes } => {
            let pointer = b.op(Op::PointerToInt, &[local]);
            let bits = b.add(pointer, if lanes { per_lane } else { offset });
            let local = b.ty(local);
            b.emit(Op::IntToPointer, local, &[bits], 0)
        }
    };
    let size = memory_bytes(ty);
    if write {
        let from = b.index(values, lane, size);
        let value = b.load(from, ty);
        b.store(at, value);
    }
    let value = b.load(at, ty);
    let to = b.index(out, lane, size);
    b.store(to, value);
    let mut buffers: Vec<Allocation> = ["out", "values", "wide"]
        .iter()
        .zip(0..)
        .map(|(name, index)| buffer(name, index, Space::Device))
        .collect();
    buffers.push(buffer("uniform", 3, Space::Constant));
    module(buffers, b.finish())
}

#[test]
fn thread_memory_at_its_ends() {
    let far = 1i64 << 40;
    let forms = [
        Local::Offset,
        Local::Lanes,
        Local::Index,
        Local::Far { displacement: 0, uniform: -far },
        Local::Far { displacement: -0x4000_0000, uniform: 0x7000_0000 },
        Local::Far { displacement: far, uniform: 0 },
        Local::Far { displacement: -far, uniform: far - (1 << 30) },
        Local::Pointer { lanes: false },
        Local::Pointer { lanes: true },
    ];
    let (workers, ways) = (Workers::new(1), Way::plain_and_native());
    for ty in [
        vector(Scalar::U8, 1),
        vector(Scalar::U16, 3),
        vector(Scalar::BF16, 1),
        vector(Scalar::I8, 4),
        vector(Scalar::U32, 1),
        vector(Scalar::U32, 4),
        vector(Scalar::U64, 2),
    ] {
        let size = memory_bytes(ty);
        let part = i64::from(ty.scalar().map_or(0, Scalar::bytes));
        for (form, way) in forms.iter().flat_map(|&form| ways.iter().map(move |&way| (form, way))) {
            for write in [false, true] {
                for more in (0..16).step_by(if way.is_native() { 3 } else { 1 }) {
                    let length = size + more;
                    let program = way.program(&local_kernel(form, ty, length, write)).unwrap();
                    // Locals start at multiples of 4.
                    let all = 2 * NEIGHBOUR + (length + 3) / 4 * 4;
                    let (from, to) = match form {
                        Local::Pointer { .. } => (-NEIGHBOUR, all - NEIGHBOUR),
                        _ => (0, length),
                    };
                    for start in from - 16..=to + 16 {
                        if form == Local::Index && start % part != 0 {
                            continue;
                        }
                        // One lane is apart from the others, at the start.
                        let lanes =
                            !matches!(form, Local::Offset | Local::Pointer { lanes: false });
                        let at = |lane: i64| if lanes && lane == 5 { from } else { start };
                        let (displacement, uniform) = match form {
                            Local::Far { displacement, uniform } => (displacement, uniform),
                            _ => (0, if lanes { 0 } else { start }),
                        };
                        let scale = if form == Local::Index { part } else { 1 };
                        let lane_part =
                            |lane: i64| ((at(lane) - displacement - uniform) / scale) as u64;
                        let mut wide: Vec<u64> = (0..32).map(lane_part).collect();
                        let mut uniform = uniform.to_ne_bytes();
                        let mut out = vec![0u8; 32 * size as usize];
                        let mut values: Vec<u8> = (0..32 * size).map(|k| k as u8 ^ 0x5a).collect();
                        let bindings = [
                            bind(0, &mut out),
                            bind(1, &mut values),
                            bind(2, &mut wide),
                            bind(3, &mut uniform),
                        ];
                        let grid = launch([32, 1, 1], [32, 1, 1], &bindings);
                        // SAFETY: the bindings outlive the launch.
                        let got = unsafe { program.launch_by_index(&grid, &workers) };
                        let got = got.err().map(|fault| match fault.kind {
                            FaultKind::Access { argument, offset, bytes, write, size, .. } => {
                                let lane = fault.position.expect("a position")[0];
                                (lane, argument.unwrap(), offset, bytes, write, size)
                            }
                            other => panic!("{other:?}"),
                        });
                        let inside = from <= start && start + size <= to;
                        let want = (!inside).then(|| {
                            let (name, start, length) = match form {
                                Local::Pointer { .. } => ("thread memory", start - from, all),
                                _ => ("local", start, length),
                            };
                            (0, name.to_owned(), start, size as u32, write, length as u64)
                        });
                        assert_eq!(got, want, "{form:?} {ty} {write} {length} {start}");
                        if inside && write {
                            assert!(out == values, "{form:?} {ty} {length} {start}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn null_pointers_into_thread_memory_are_reported_as_null() {
    for (bits, lanes, write) in
        [(0u64, false, false), (8, true, false), (0, true, true), (77 << 48, false, true)]
    {
        let mut b = kernel("null");
        let (out, lane) = (device(&mut b, 0), position(&mut b, 0));
        let mut address = b.constant(Scalar::U64, bits);
        if lanes {
            let zero = b.convert(lane, Type::U64);
            address = b.add(address, zero);
        }
        let pointer = b.emit(Op::IntToPointer, Type::Pointer(Space::Thread), &[address], 0);
        if write {
            b.store(pointer, lane);
        }
        let value = b.load(pointer, Type::U32);
        b.store(out, value);
        let module = module(vec![buffer("out", 0, Space::Device)], b.finish());
        let (verb, offset) = (if write { "write" } else { "read" }, bits & 0xff);
        let want = format!("{verb} of 4 bytes at offset {offset} of a null or stale pointer");
        for way in Way::plain_and_native() {
            let found = run(&module, way, &launch([1, 1, 1], [1, 1, 1], &[]));
            let same = found.as_ref().is_err_and(|fault| fault.to_string().ends_with(&want));
            assert!(same, "{}: {found:?}", way.name());
        }
    }
}

#[test]
fn matrices_at_the_ends_of_memory() {
    let steps = [(8, 1), (1, 8), (-8, 1), (9, -1), (-1, -8), (0, 0)];
    // Steps that are known when the kernel is compiled, or not.
    let known = [(8, 1), (11, 1), (7, 1), (1, 8)].map(|steps| (Some(steps), vec![steps]));
    let all = [(None, steps.to_vec())].into_iter().chain(known);
    for (known, steps) in all {
        for scalar in [Scalar::F16, Scalar::BF16, Scalar::F32] {
            matrices_at_the_ends(scalar, known, &steps);
        }
    }
}

fn matrices_at_the_ends(scalar: Scalar, known: Option<(i64, i64)>, steps: &[(i64, i64)]) {
    let bytes = i64::from(scalar.bytes());
    for write in [false, true] {
        let mut b = kernel("matrix");
        let (data, out, values) = (device(&mut b, 0), device(&mut b, 1), device(&mut b, 2));
        let uniform = constant(&mut b, 3);
        let lane = position(&mut b, 0);
        let [start, row, column] = [0, 8, 16].map(|at| {
            let at = b.field(uniform, at);
            b.load(at, vector(Scalar::I64, 1))
        });
        let [row, column] = match known {
            Some((row, column)) => [row, column].map(|step| b.int(Scalar::I64, step)),
            None => [row, column],
        };
        let at = b.index(data, start, 1);
        let ty = vector(scalar, 2);
        if write {
            let from = b.index(values, lane, 2 * bytes);
            let value = b.load(from, ty);
            b.emit(Op::MatrixStore, Type::Void, &[at, row, column, value], 0);
        } else {
            let value = b.emit(Op::MatrixLoad, ty, &[at, row, column], 0);
            let to = b.index(out, lane, 2 * bytes);
            b.store(to, value);
        }
        let mut buffers: Vec<Allocation> = ["data", "out", "values"]
            .iter()
            .zip(0..)
            .map(|(name, index)| buffer(name, index, Space::Device))
            .collect();
        buffers.push(buffer("uniform", 3, Space::Constant));
        let module = module(buffers, b.finish());
        for way in Way::all() {
            let program = way.program(&module).unwrap();
            assert!(!way.is_native() || program.is_one_run(), "{module}");
            for &(row, column) in steps {
                matrix_sweep(&program, scalar, write, row, column);
            }
        }
    }
}

#[test]
fn steps_of_matrices_do_not_wrap_around() {
    for scalar in [Scalar::F32, Scalar::F16] {
        let mut b = kernel("matrix");
        let (data, uniform) = (device(&mut b, 0), constant(&mut b, 1));
        let [row, column] = [0, 8].map(|at| {
            let at = b.field(uniform, at);
            b.load(at, vector(Scalar::I64, 1))
        });
        let ty = vector(scalar, 2);
        let value = b.emit(Op::MatrixLoad, ty, &[data, row, column], 0);
        b.emit(Op::MatrixStore, Type::Void, &[data, row, column, value], 0);
        let buffers = vec![buffer("data", 0, Space::Device), buffer("steps", 1, Space::Constant)];
        let module = module(buffers, b.finish());
        for (row, column) in [
            (1 << 62, 1),
            (1, 1 << 61),
            (i64::MIN, 1),
            (i64::MAX, 1),
            (8, 1 << 60),
            (1 << 50, 1 << 50),
        ] {
            let mut data = [0f32; 64];
            let mut steps = [row, column];
            let bindings = [bind(0, &mut data), bind(1, &mut steps)];
            let mut kinds = Way::plain_and_native().into_iter().map(|way| {
                let found = run(&module, way, &launch([32, 1, 1], [32, 1, 1], &bindings));
                found.expect_err("a fault")
            });
            let first = kinds.next().unwrap();
            assert!(matches!(first.kind, FaultKind::Access { .. }), "{first:?}");
            kinds.for_each(|fault| assert_eq!(fault, first));
        }
    }
}

/// Accesses matrices whose rows and columns are `row` and `column` elements apart.
fn matrix_sweep(program: &Program, scalar: Scalar, write: bool, row: i64, column: i64) {
    let workers = Workers::new(1);
    let bytes = i64::from(scalar.bytes());
    let corners = [0, 7 * row, 7 * column, 7 * row + 7 * column].map(|at| at * bytes);
    let (low, high) = (corners.into_iter().min().unwrap(), corners.into_iter().max().unwrap());
    for more in 0..16 {
        let length = high - low + bytes + more;
        let first = if more == 0 { -16 } else { more - 2 };
        for start in (first..=more + 16).map(|start| start - low) {
            let mut memory: Vec<u8> =
                (0..2 * GUARD as i64 + length).map(|k| (k * 7) as u8).collect();
            let (mut out, mut values) = (
                vec![0u8; 64 * bytes as usize],
                (0..64 * bytes).map(|k| (k * 5 + 3) as u8).collect::<Vec<_>>(),
            );
            let mut uniform = [start, row, column];
            let (mut want_memory, mut want_out) = (memory.clone(), out.clone());
            // By the definition of specs/ir.md; an element is (row, column), and then the next column.
            let offset = |lane: i64, second: i64| {
                let bit = |n: i64| lane >> n & 1;
                let (i, j) = (4 * bit(4) + 2 * bit(2) + bit(1), 4 * bit(3) + 2 * bit(0) + second);
                start + (i * row + j * column) * bytes
            };
            let elements = || (0..32).flat_map(|lane| [(lane, 0), (lane, 1)]);
            let outside = |&(lane, second): &(i64, i64)| {
                let at = offset(lane, second);
                at < 0 || at + bytes > length
            };
            let want = elements().find(outside).map(|(lane, second)| {
                ([lane as u32, 0, 0], offset(lane, second), bytes as u32, write)
            });
            if want.is_none() {
                for (lane, second) in elements() {
                    let own = ((2 * lane + second) * bytes) as usize..;
                    let at = GUARD + offset(lane, second) as usize..;
                    let size = bytes as usize;
                    if write {
                        want_memory[at][..size].copy_from_slice(&values[own][..size]);
                    } else {
                        want_out[own][..size].copy_from_slice(&memory[at][..size]);
                    }
                }
            }
            let bindings = [
                bind(0, &mut memory[GUARD..GUARD + length as usize]),
                bind(1, &mut out),
                bind(2, &mut values),
                bind(3, &mut uniform),
            ];
            let grid = launch([32, 1, 1], [32, 1, 1], &bindings);
            // SAFETY: the bindings outlive the launch.
            let got = unsafe { program.launch_by_index(&grid, &workers) };
            let got = got.err().map(|fault| match fault.kind {
                FaultKind::Access { offset, bytes, write, .. } => {
                    (fault.position.expect("a position"), offset, bytes, write)
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(got, want, "{scalar} {write} {row} {column} {length} {start}");
            assert!(
                memory == want_memory && out == want_out,
                "{scalar} {write} {row} {column} {start}"
            );
        }
    }
}

/// Pixels of four bytes that are one number.
struct Number;

impl PixelFormat for Number {
    fn bytes(&self) -> usize {
        4
    }

    fn is_integer(&self) -> bool {
        true
    }

    fn has_alpha(&self) -> bool {
        true
    }

    fn decode(&self, bytes: &[u8]) -> Pixel {
        [u32::from_ne_bytes(bytes.try_into().expect("four bytes")), 0, 0, 0]
    }

    fn encode(&self, pixel: Pixel, bytes: &mut [u8]) {
        bytes.copy_from_slice(&pixel[0].to_ne_bytes());
    }
}

#[test]
fn textures_at_their_ends() {
    // Levels of 3 × 2 × 2 and 1 × 1 × 1 pixels, with room around rows, images, levels and slices.
    let levels = [
        Level { offset: 16, row: 20, image: 64, size: [3, 2, 2] },
        Level { offset: 160, row: 8, image: 8, size: [1, 1, 1] },
    ];
    let (slices, stride) = (12, 200);
    for (cube, elements, faces) in [(false, 12, 1), (true, 2, 6)] {
        let number = |word: usize| 0x8000_0000 | word as u32;
        let mut memory: Vec<u32> = (0..stride / 4 * (slices as usize + 2)).map(number).collect();
        let texture = Texture {
            base: memory.as_mut_ptr().cast::<u8>().wrapping_add(stride),
            levels: &levels,
            slices,
            stride,
            sides: 2,
            cube,
            format: &Number,
            swizzle: NO_SWIZZLE,
            id: 0,
        };
        // Around each end; a coordinate that is negative is a large one.
        let around = |end: i64| {
            let near = (-2..end + 2).map(|at| at as u32);
            near.chain([1 << 30, 1 << 31, u32::MAX / 6, u32::MAX / 6 + 1])
        };
        for level in around(2) {
            let size = levels.get(level as usize).map_or([0; 3], |level| level.size);
            let third = if cube { faces } else { i64::from(size[2]) };
            for x in around(size[0].into()) {
                for y in around(size[1].into()) {
                    for z in around(third) {
                        for element in around(elements) {
                            let inside = x < size[0]
                                && y < size[1]
                                && i64::from(z) < third
                                && i64::from(element) < elements
                                && level < 2;
                            let word = inside.then(|| {
                                let level = &levels[level as usize];
                                let (face, z) = if cube { (z, 0) } else { (0, z) };
                                let slice = element as usize * faces as usize + face as usize;
                                let at = stride * (slice + 1) + level.offset;
                                let at = at + level.image * z as usize + level.row * y as usize;
                                (at + 4 * x as usize) / 4
                            });
                            let at = [x, y, z, element];
                            let want = word.map_or(0, number);
                            assert_eq!(texture.read(at, level)[0], want, "{at:?} {level} {cube}");
                            texture.write(at, level, [77; 4]);
                            if let Some(word) = word {
                                assert_eq!(memory[word], 77, "{at:?} {level} {cube}");
                                memory[word] = number(word);
                            }
                        }
                    }
                }
            }
        }
        assert!(memory.iter().enumerate().all(|(word, &is)| is == number(word)));
    }
}
