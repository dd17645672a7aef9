//! The ends of memory: every form of access, byte by byte from 16 before the start to 16 past the end, in memory of
//! every length modulo 16 (of some lengths on an emulated CPU), compared with a model that only adds up offsets.

mod atomic;
mod forms;
mod matrix;
mod pages;
mod pointer;
mod texture;
mod thread;
mod wrap;

use super::super::FaultKind;
use super::super::interp::lower::PIECE;
use super::*;
use crate::soft::ir::{Op, Scalar};
pub(crate) use pages::Pages;

/// Bytes of memory, of which the memory under test is a part: more than twice as many as lanes are apart.
const MEMORY: usize = 4096;

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
                let in_order = in_program_order(count.into());
                let loads: Vec<(i64, Value)> = in_order
                    .map(|k| {
                        let from = b.field(at, k * size);
                        (k, b.load(from, self.ty))
                    })
                    .collect();
                let to = b.index(out, lane, self.bytes());
                for (k, value) in loads {
                    let to = b.field(to, k * size);
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

    /// Whether all of it becomes machine code where any does.
    #[cfg(target_arch = "x86_64")]
    fn has_code(self) -> bool {
        match self.form {
            Form::Pointers | Form::TwoArguments => false,
            // Lanes may be apart by any number of bytes.
            Form::Sum => !matches!(self.what, What::Atomic(_)),
            _ => !matches!(self.what, What::Atomic(_)) || self.ty.bytes() == 4,
        }
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
                let unsigned = !matches!(self.form, Form::Biased { signed: true, .. });
                (rest % self.scale() == 0 && !(unsigned && rest < 0))
                    .then_some((0, rest / self.scale()))
            }
            _ => Some((start, 0)),
        }
    }
}

/// The order in which a kernel loads `count` scalars, a power of two, that are joined.
fn in_program_order(count: i64) -> impl Iterator<Item = i64> {
    (0..count).map(move |k| (5 * k + count - 1) % count)
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
    memory: Pages,
    /// Whether the memory under test is at the start of that, and not at its end: by turns.
    first: bool,
    out: Vec<u8>,
    values: Vec<u8>,
}

impl Bench {
    fn new(kernel: Kernel, way: Way) -> Self {
        let program = way.program(&kernel.module()).expect("a valid module");
        #[cfg(target_arch = "x86_64")]
        assert!(!way.is_native() || !kernel.has_code() || program.is_one_run(), "{kernel:?}");
        let noise = |seed: usize| move |at: usize| (((at + seed) * 167) >> 3) as u8 ^ at as u8;
        let mut memory = Pages::new(MEMORY);
        memory.iter_mut().enumerate().for_each(|(at, byte)| *byte = noise(1)(at));
        Self {
            kernel,
            program,
            way,
            workers: Workers::new(1),
            memory,
            first: false,
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
        // Stores at near bytes overlap; the last lane's is left.
        let near = far.is_some_and(|(_, bytes)| bytes.abs() < 4);
        let twice = if matches!(kernel.form, Form::Sum) && !near { 1 << 40 } else { 0 };
        let extra = |k: i64| far.filter(|&(lane, _)| lane == k).map_or(0, |(_, bytes)| bytes);
        let more =
            |k: i64| if matches!(kernel.form, Form::Index { .. }) { extra(k) / scale } else { 0 };
        let mut indices: Vec<u32> =
            (0..32).map(|k| (element(k) + more(k) - shift) as u32).collect();
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

        // Threadgroup memory is elsewhere, and may be read a little past its end.
        self.first = !self.first || kernel.threadgroup;
        let place = self.memory.place(length, self.first);
        let before = self.memory.to_vec();
        let (mut want_memory, mut want_out) = (before.clone(), self.out.clone());
        let want =
            self.model(place..place + length, &offsets, mask, &mut want_memory, &mut want_out);
        let data = &mut self.memory[place..place + length];
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
        let case = || format!("{kernel:?} {length} {mask:#x} {offsets:?}");
        assert_eq!(got, want, "{}", case());
        let parts = self.way.is_native() && got.is_some();
        if parts {
            // Strips before the one that faults were done; outside of the buffer nothing changed.
            let end = place + length;
            assert!(self.memory[..place] == before[..place], "before: {}", case());
            assert!(self.memory[end..] == before[end..], "after: {}", case());
        } else if !kernel.threadgroup {
            assert!(self.memory[..] == want_memory, "memory: {}", case());
            assert!(self.out == want_out, "values: {}", case());
        }
        self.memory.copy_from_slice(&before);
    }

    /// How many lanes make an access before others do: of machine code, those of a strip.
    fn together(&self) -> usize {
        let varying_pointers = matches!(self.kernel.form, Form::Pointers | Form::TwoArguments);
        let strips = self.way.is_native() && !varying_pointers;
        if strips && self.way.isa().name() != "avx512" { 8 } else { 32 }
    }

    /// The expected outcome.
    fn model(
        &self,
        part: std::ops::Range<usize>,
        offsets: &[i64; 32],
        mask: u32,
        memory: &mut [u8],
        out: &mut [u8],
    ) -> Outcome {
        let kernel = self.kernel;
        let bytes = kernel.bytes();
        // Threadgroup memory may be read a little past its end.
        let slack = if kernel.threadgroup && !kernel.what.writes() { 16 } else { 0 };
        let end = part.len() as i64 + slack;
        let size = match kernel.what {
            What::Joined(count) => bytes / i64::from(count),
            _ => bytes,
        };
        let atomic = matches!(kernel.what, What::Atomic(_));
        let active = || (0..32usize).filter(|k| mask >> k & 1 == 1);
        // Joined loads are checked piece by piece, of all lanes that run together; of a lane the first in the program is reported.
        let piece = (size * PIECE as i64).min(bytes);
        // Up to 16 bytes are joined. Numbers of 64 bits stay apart.
        let join = if size < 8 { bytes.min(16).max(size) } else { size };
        let mut joins: Vec<i64> = in_program_order(bytes / size).map(|n| n * size / join).collect();
        let mut met = Vec::new();
        joins.retain(|join| {
            !met.contains(join) && {
                met.push(*join);
                true
            }
        });
        let mut order: Vec<(i64, usize)> = joins
            .into_iter()
            .flat_map(|number| {
                (number * join..(number + 1) * join).step_by(piece.min(join) as usize)
            })
            .flat_map(|from| active().map(move |k| (from, k)))
            .collect();
        order.sort_by_key(|&(_, k)| k / self.together());
        for (start, k) in order {
            let (from, to) = (offsets[k] + start, offsets[k] + bytes.min(start + piece.min(join)));
            let is_inside = |at: i64| at >= 0 && at + size <= end;
            for at in (from..to).step_by(size as usize) {
                let inside = is_inside(at);
                let address = self.memory.as_ptr() as i64 + part.start as i64 + at;
                // The first allocation of threadgroup memory is aligned.
                let address = if kernel.threadgroup { at } else { address };
                let aligned = !atomic || address % bytes == 0;
                if !inside || !aligned {
                    let own =
                        in_program_order(bytes / size).filter(|n| n * size / join == start / join);
                    let mut all = own.map(|n| offsets[k] + n * size);
                    let first = all.find(|&at| !is_inside(at)).unwrap_or(at);
                    return Some((k as u32, first, size as u32, inside));
                }
            }
        }
        for k in active() {
            let at = (part.start as i64 + offsets[k]) as usize;
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
        let numbered = patterns.iter().enumerate();
        let tested = |number| patterns.len() == 1 || is_tested(number, bytes);
        for (number, &pattern) in numbered.filter(|&(number, _)| tested(number)) {
            let span = (0..32).map(pattern).max().unwrap_or(0) * scale;
            let lengths = ((number % step) as i64..16).step_by(step).enumerate();
            for (_, more) in lengths.filter(|&(k, _)| k == 0 || is_tested(k, bytes + scale)) {
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
        // All lanes far from the memory.
        if !matches!(self.kernel.form, Form::Field(_) | Form::Biased { .. } | Form::Grid { .. }) {
            for far in [30, 31, 32, 33, 40, 45].map(|bits| 1i64 << bits) {
                for start in [far, -far, far - 4 * scale, far - 31 * scale - 1] {
                    self.check((31 * scale + bytes) as usize, start, |k| k, None, u32::MAX);
                }
            }
        }
        // The index of one lane is near the ends of its type, or its product with the scale is near those of 32 bits.
        if let Form::Index { signed } = self.kernel.form {
            let (low, high) = if signed { (-1i64 << 31, 1 << 31) } else { (0, 1 << 32) };
            let products = [(1 << 31) / scale, (1 << 32) / scale, (1 << 30) / scale];
            for far in [low, high - 1, high / 2].into_iter().chain(products) {
                for far in (far - 2..far + 2).filter(|&far| low <= far && far < high) {
                    for (lane, mask) in [(0, u32::MAX), (31, 0x8000_0001), (5, 32)] {
                        let mask = if self.kernel.masked { mask } else { u32::MAX };
                        let more = Some((lane, far * scale));
                        self.check(scale as usize, 0, |_| 0, more, mask);
                    }
                }
            }
        }
        // One lane far from the others, alone or with them; near enough for 32 bits, or not.
        if matches!(self.kernel.form, Form::Sum | Form::Pointers | Form::TwoArguments) {
            let length = 31 * scale + bytes;
            let near = [1, 2, 3];
            let far = [(1 << 31) - 1, 1 << 31, 1 << 32, (1 << 32) + 4, 1 << 33, 1 << 39, 1 << 45];
            for far in near.into_iter().chain(far) {
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

/// Whether the case of this number (a length of memory, a pattern, a distance) is tested: on an emulated CPU it is every fourth,
/// another one for each `kind` of access.
fn is_tested(number: usize, kind: i64) -> bool {
    crate::test_scale::scaled(20) > 1 || (number as i64 + kind) % 4 == 0
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
