//! Accesses to memory: each is checked first, and those that may not be aligned are done in smaller pieces.

use super::super::text::{Kind, Reg, ptx};
use super::input::ThreadPosition;
use super::{Emit, Joined, OFFSET_BITS, Root, SLACK, SiteKind, THREAD, layout, record};
use crate::soft::ir::{AllocationKind, Inst, Scalar, Space, Span, Value, internal_error};

/// The offsets at which an access may start: below a number. Or the indices, if there is a stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Limit {
    pub(crate) allocation: u32,
    bytes: u32,
    /// How many bytes past the end may be accessed.
    slack: u32,
    stride: u32,
}

impl Limit {
    pub(super) fn new(allocation: u32, bytes: u32, slack: u32) -> Self {
        Self { allocation, bytes, slack, stride: 0 }
    }

    /// The first index that does not fit, in 32 bits, of an access at `index × stride + distance`.
    pub(crate) fn of_index(allocation: u32, bytes: u32, stride: u32, distance: u32) -> Self {
        Self { allocation, bytes: bytes + distance, slack: 0, stride }
    }

    /// The number, for an allocation of a length.
    pub(crate) fn of(self, length: u64) -> u64 {
        let offsets = (length + u64::from(self.slack) + 1).saturating_sub(self.bytes.into());
        match self.stride {
            0 => offsets,
            stride => offsets.div_ceil(stride.into()).min(u32::MAX.into()),
        }
    }

    /// The kind of the register with it.
    fn kind(self) -> Kind {
        if self.stride == 0 { Kind::Long } else { Kind::Word }
    }
}

/// Memory that was checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// `global`, `shared` or `local`.
    pub(super) window: &'static str,
    /// The address in that window, and what is added to it.
    pub(super) address: Reg,
    pub(super) ahead: i64,
    /// The alignment of the address, as far as is known.
    pub(super) alignment: u32,
    /// The offset or the whole pointer, for reports.
    pub(super) value: Reg,
    pub(super) root: Root,
}

impl Emit<'_> {
    /// A label that is jumped to where something is wrong. `value` is the offset or the pointer.
    pub(super) fn exit(&mut self, span: Span, kind: SiteKind, value: Reg) -> super::Label {
        let label = self.text.label();
        self.sites.push(super::Site { span, kind });
        self.exits.push((label, value));
        label
    }

    pub(super) fn window(space: Space) -> &'static str {
        match space {
            Space::Device | Space::Constant => "global",
            Space::Threadgroup => "shared",
            Space::Thread => "local",
        }
    }

    /// The register with the start of an allocation.
    pub(super) fn base(&mut self, number: u32) -> Reg {
        if let Some(reg) = self.bases.get(&number) {
            return *reg;
        }
        let field = layout::REGIONS + layout::REGION * (number as usize + 1);
        let shared = self.module.allocations[number as usize].kind.space() == Space::Threadgroup;
        let reg = self.text.early(|text| {
            let reg = text.reg(Kind::Long);
            ptx!(text, "ld.param.u64 {reg}, [args+{field}];");
            if shared {
                add_shared(text, reg);
            }
            reg
        });
        self.bases.insert(number, reg);
        reg
    }

    /// The register with the first offset at which an access does not fit any more.
    pub(super) fn limit(&mut self, limit: Limit) -> Reg {
        if let Some(reg) = self.limits.get(&limit) {
            return *reg;
        }
        let reg = match &self.module.allocations[limit.allocation as usize].kind {
            AllocationKind::Table(data) => self.bits(Kind::Long, limit.of(data.len() as u64)),
            AllocationKind::Threadgroup(bytes) => self.bits(Kind::Long, limit.of((*bytes).into())),
            _ => {
                let field = layout::limits(&self.inline_sizes, self.options.pushed);
                let field = field + 8 * self.given_limits.len();
                self.given_limits.push(limit);
                self.given(field, limit.kind())
            }
        };
        self.limits.insert(limit, reg);
        reg
    }

    /// The limit of accesses to an allocation.
    pub(super) fn limit_of(&mut self, allocation: u32, bytes: u32, write: bool) -> Reg {
        let space = self.module.allocations[allocation as usize].kind.space();
        let slack = self.slack(space, write);
        self.limit(Limit::new(allocation, bytes, slack))
    }

    /// How many bytes past the end of memory may be accessed.
    fn slack(&self, space: Space, write: bool) -> u32 {
        let past = space == Space::Threadgroup && !write && !self.options.strict;
        if past { SLACK } else { 0 }
    }

    /// Whether a kernel may write to an allocation.
    pub(super) fn is_writable(&self, number: u32) -> bool {
        match self.module.allocations[number as usize].kind {
            AllocationKind::Buffer { writable, .. } => writable,
            AllocationKind::Table(_) => false,
            AllocationKind::Threadgroup(_) | AllocationKind::ThreadgroupArgument { .. } => true,
        }
    }

    /// The alignment of a pointer, as far as is known.
    pub(super) fn alignment(&self, pointer: Value) -> u32 {
        if self.is_routine {
            return 16;
        }
        self.pointers.of(pointer).alignment
    }

    /// Checks an access.
    pub(super) fn access(&mut self, pointer: Value, bytes: u32, write: bool, span: Span) -> Target {
        let value = self.scalar(pointer);
        let target = self.access_by(pointer, value, bytes, write, span);
        Target { alignment: self.alignment(pointer), ..target }
    }

    /// The same, but the index may be checked instead of the offset; the address may then be a few bytes past that of the
    /// access.
    fn access_or_index(&mut self, pointer: Value, bytes: u32, write: bool, span: Span) -> Target {
        match self.narrow_access(pointer, bytes, write, span) {
            Some(target) => target,
            None => self.access(pointer, bytes, write, span),
        }
    }

    /// An access that needs no check.
    fn checked_target(&mut self, pointer: Value, bytes: u32) -> Target {
        let Some(space) = self.function.ty(pointer).space() else {
            internal_error("PTX: an access through no pointer".to_owned())
        };
        let (value, root) = (self.scalar(pointer), self.root(pointer));
        let address = self.unchecked(root, space, value);
        let alignment = self.alignment(pointer).min(bytes);
        Target { window: Self::window(space), address, ahead: 0, alignment, value, root }
    }

    /// The same of `value`, a pointer that was made from another: an offset from the same root, or a whole pointer.
    pub(super) fn access_by(
        &mut self,
        pointer: Value,
        value: Reg,
        bytes: u32,
        write: bool,
        span: Span,
    ) -> Target {
        let Some(space) = self.function.ty(pointer).space() else {
            internal_error("PTX: an access through no pointer".to_owned())
        };
        let root = self.root(pointer);
        let window = Self::window(space);
        if self.is_routine {
            return Target { window, address: value, ahead: 0, alignment: 16, value, root };
        }
        if !self.options.checked {
            let address = self.unchecked(root, space, value);
            let alignment = self.alignment(pointer).min(bytes);
            return Target { window, address, ahead: 0, alignment, value, root };
        }
        let exit = self.exit(span, SiteKind::Access { root, space, bytes, write }, value);
        let wrong = self.text.reg(Kind::Predicate);
        let address = match root {
            Root::Allocation(number) => {
                if write && !self.is_writable(number) {
                    ptx!(self.text, "bra {exit};");
                }
                let limit = self.limit_of(number, bytes, write);
                let base = self.base(number);
                ptx!(self.text, "setp.ge.u64 {wrong}, {value}, {limit};");
                ptx!(self.text, "@{wrong} bra {exit};");
                let address = self.text.reg(Kind::Long);
                ptx!(self.text, "add.u64 {address}, {base}, {value};");
                address
            }
            Root::Local(number) => {
                let size = u64::from(self.function.locals[number as usize].bytes);
                let limit = (size + 1).saturating_sub(bytes.into());
                ptx!(self.text, "setp.ge.u64 {wrong}, {value}, {limit};");
                ptx!(self.text, "@{wrong} bra {exit};");
                self.in_locals(value, self.locals[number as usize])
            }
            Root::Unknown if space == Space::Thread => {
                let offset = self.text.reg(Kind::Long);
                let limit = (self.thread_bytes + 1).saturating_sub(bytes.into());
                ptx!(self.text, "sub.u64 {offset}, {value}, {:#x};", THREAD << OFFSET_BITS);
                ptx!(self.text, "setp.ge.u64 {wrong}, {offset}, {limit};");
                ptx!(self.text, "@{wrong} bra {exit};");
                self.in_locals(offset, 0)
            }
            Root::Unknown => self.found(value, bytes, write, space, exit),
        };
        let alignment = self.alignment(pointer).min(bytes);
        Target { window, address, ahead: 0, alignment, value, root }
    }

    /// The address of an access that is not checked.
    fn unchecked(&mut self, root: Root, space: Space, value: Reg) -> Reg {
        match root {
            Root::Allocation(number) => {
                let (base, address) = (self.base(number), self.text.reg(Kind::Long));
                ptx!(self.text, "add.u64 {address}, {base}, {value};");
                address
            }
            Root::Local(number) => self.in_locals(value, self.locals[number as usize]),
            Root::Unknown => {
                let offset = self.offset(value);
                if space == Space::Thread {
                    return self.in_locals(offset, 0);
                }
                let (entry, from) = (self.any_entry(value), self.entry_window());
                let address = self.text.reg(Kind::Long);
                ptx!(self.text, "ld.{from}.u64 {address}, [{entry}];");
                ptx!(self.text, "add.u64 {address}, {address}, {offset};");
                if space == Space::Threadgroup {
                    add_shared(&mut self.text, address);
                }
                address
            }
        }
    }

    /// An address in thread memory.
    fn in_locals(&mut self, offset: Reg, start: u64) -> Reg {
        let address = self.text.reg(Kind::Long);
        // Without locals no access is in bounds, and there is no memory to name.
        let room = if self.thread_bytes == 0 { "0" } else { "locals" };
        ptx!(self.text, "mov.u64 {address}, {room};");
        ptx!(self.text, "add.u64 {address}, {address}, {offset};");
        ptx!(self.text, "add.u64 {address}, {address}, {start};");
        address
    }

    /// The address of a pointer whose region is known when the kernel runs.
    fn found(
        &mut self,
        pointer: Reg,
        bytes: u32,
        write: bool,
        space: Space,
        exit: super::Label,
    ) -> Reg {
        let (entry, offset, length, flags) = (
            self.entry(pointer, exit),
            self.offset(pointer),
            self.text.reg(Kind::Long),
            self.text.reg(Kind::Long),
        );
        let (wrong, last, address) =
            (self.text.reg(Kind::Predicate), self.text.reg(Kind::Long), self.text.reg(Kind::Long));
        let (from, slack) = (self.entry_window(), self.slack(space, write));
        let text = &mut self.text;
        ptx!(text, "ld.{from}.u64 {length}, [{entry}+8];");
        ptx!(text, "ld.{from}.u64 {flags}, [{entry}+16];");
        if slack != 0 {
            ptx!(text, "add.u64 {length}, {length}, {slack};");
        }
        ptx!(text, "setp.lt.u64 {wrong}, {length}, {bytes};");
        ptx!(text, "@{wrong} bra {exit};");
        ptx!(text, "sub.u64 {last}, {length}, {bytes};");
        ptx!(text, "setp.gt.u64 {wrong}, {offset}, {last};");
        ptx!(text, "@{wrong} bra {exit};");
        // The flags have a bit for each window that the region is in, and one if it may be written.
        let need = if space == Space::Threadgroup { 4 } else { 2 } | u64::from(write);
        ptx!(text, "and.b64 {flags}, {flags}, {need};");
        ptx!(text, "setp.ne.u64 {wrong}, {flags}, {need};");
        ptx!(text, "@{wrong} bra {exit};");
        ptx!(text, "ld.{from}.u64 {address}, [{entry}];");
        ptx!(text, "add.u64 {address}, {address}, {offset};");
        if space == Space::Threadgroup {
            add_shared(text, address);
        }
        address
    }

    /// Where the entries of regions are.
    fn entry_window(&self) -> &'static str {
        if self.far { "global" } else { "param" }
    }

    /// The address of the entry of a pointer's region; there is a jump to `exit` if there is no such region.
    fn entry(&mut self, pointer: Reg, exit: super::Label) -> Reg {
        let number = self.region(pointer);
        let wrong = self.text.reg(Kind::Predicate);
        let text = &mut self.text;
        if self.far {
            let all = text.reg(Kind::Long);
            ptx!(text, "ld.param.u64 {all}, [args+{}];", layout::FAR_COUNT);
            ptx!(text, "setp.gt.u64 {wrong}, {number}, {all};");
        } else {
            let count = self.module.allocations.len();
            ptx!(text, "setp.gt.u64 {wrong}, {number}, {count};");
        }
        ptx!(text, "@{wrong} bra {exit};");
        self.entry_of(number)
    }

    /// The same without a check.
    fn any_entry(&mut self, pointer: Reg) -> Reg {
        let number = self.region(pointer);
        self.entry_of(number)
    }

    /// The number of a pointer's region.
    fn region(&mut self, pointer: Reg) -> Reg {
        let number = self.text.reg(Kind::Long);
        ptx!(self.text, "add.u64 {number}, {pointer}, {:#x};", 1u64 << (OFFSET_BITS - 1));
        ptx!(self.text, "shr.u64 {number}, {number}, {OFFSET_BITS};");
        number
    }

    fn entry_of(&mut self, number: Reg) -> Reg {
        let (entry, start) = (self.text.reg(Kind::Long), self.text.reg(Kind::Long));
        let text = &mut self.text;
        if self.far {
            ptx!(text, "ld.param.u64 {start}, [args+{}];", layout::FAR_REGIONS);
        } else {
            ptx!(text, "mov.u64 {start}, args;");
            ptx!(text, "add.u64 {start}, {start}, {};", layout::REGIONS);
        }
        ptx!(text, "mad.lo.u64 {entry}, {number}, {}, {start};", layout::REGION);
        entry
    }

    /// The offset of a whole pointer.
    fn offset(&mut self, pointer: Reg) -> Reg {
        let offset = self.text.reg(Kind::Long);
        ptx!(self.text, "shl.b64 {offset}, {pointer}, {};", 64 - OFFSET_BITS);
        ptx!(self.text, "shr.s64 {offset}, {offset}, {};", 64 - OFFSET_BITS);
        offset
    }

    /// The address of a pointer among all memory of the device, for comparisons.
    pub(super) fn address(&mut self, pointer: Value) -> Reg {
        let (whole, root) = (self.whole(pointer), self.root(pointer));
        if self.is_routine {
            return whole;
        }
        let space = self.function.ty(pointer).space();
        match root {
            Root::Allocation(number) => {
                let (base, offset, reg) =
                    (self.base(number), self.scalar(pointer), self.text.reg(Kind::Long));
                ptx!(self.text, "add.u64 {reg}, {base}, {offset};");
                reg
            }
            Root::Unknown if space != Some(Space::Thread) => {
                let (none, done) = (self.text.label(), self.text.label());
                let entry = self.entry(whole, none);
                let (offset, reg) = (self.offset(whole), self.text.reg(Kind::Long));
                ptx!(self.text, "ld.{}.u64 {reg}, [{entry}];", self.entry_window());
                ptx!(self.text, "add.u64 {reg}, {reg}, {offset};");
                ptx!(self.text, "bra {done};");
                self.text.place(none);
                ptx!(self.text, "mov.u64 {reg}, {whole};");
                self.text.place(done);
                reg
            }
            _ => whole,
        }
    }

    /// Reads a scalar, a vector or a pointer.
    pub(super) fn load(&mut self, value: Value, inst: &Inst) -> Vec<Reg> {
        let (ty, pointer) = (inst.ty, inst.args[0]);
        if let Some(regs) = self.load_pushed(pointer, ty).or_else(|| self.fragment(value)) {
            return regs;
        }
        let target = self.target_of_load(value, inst);
        let scalar = ty.scalar().unwrap_or(Scalar::U64);
        let regs: Vec<Reg> = (0..ty.width()).map(|_| self.reg(scalar)).collect();
        self.move_all(&target, scalar, &regs, false);
        regs
    }

    /// The memory of a load, which is checked unless it was before.
    pub(super) fn target_of_load(&mut self, load: Value, inst: &Inst) -> Target {
        match self.targets.remove(&load) {
            Some(target) => target,
            None => self.check(load, inst),
        }
    }

    /// Checks a load.
    fn check(&mut self, load: Value, inst: &Inst) -> Target {
        let (ty, pointer) = (inst.ty, inst.args[0]);
        if let Some(target) = self.version_target(load, pointer, ty.bytes()) {
            return target;
        }
        self.note_joined(inst);
        match self.checked_together(load) {
            true => self.checked_target(pointer, ty.bytes()),
            false => self.access_or_index(pointer, ty.bytes(), false, inst.span),
        }
    }

    /// Checks a load before it is written.
    pub(super) fn check_early(&mut self, load: Value) {
        let inst = *self.function.inst(load);
        let is_pushed = self.pushed_offset(inst.args[0]).is_some();
        if !is_pushed {
            let target = self.check(load, &inst);
            self.targets.insert(load, target);
        }
    }

    /// Notes for reports that the next access does loads which were joined.
    pub(super) fn note_joined(&mut self, inst: &Inst) {
        let space = self.function.ty(inst.args[0]).space();
        let number = (inst.imm as usize).checked_sub(1).filter(|_| self.options.checked);
        if let (Some(number), Some(space)) = (number, space) {
            let (loads, slack) = (self.function.joined[number].clone(), self.slack(space, false));
            self.joined.insert(self.sites.len() as u32, Joined { loads, slack });
        }
    }

    /// Writes a scalar, a vector or a pointer.
    pub(super) fn store(&mut self, store: Value, inst: &Inst) {
        let ty = self.function.ty(inst.args[1]);
        let regs = self.operand(inst.args[1]);
        let target = self.target_of_store(store, inst);
        self.move_all(&target, ty.scalar().unwrap_or(Scalar::U64), &regs, true);
    }

    /// The memory of a store, which is checked.
    pub(super) fn target_of_store(&mut self, store: Value, inst: &Inst) -> Target {
        let (pointer, bytes) = (inst.args[0], self.function.ty(inst.args[1]).bytes());
        match self.version_target(store, pointer, bytes) {
            Some(target) => target,
            None => self.access_or_index(pointer, bytes, true, inst.span),
        }
    }

    /// Moves scalars that are side by side from or to memory.
    pub(super) fn move_all(&mut self, target: &Target, scalar: Scalar, regs: &[Reg], write: bool) {
        let bytes = scalar.bytes();
        if target.alignment >= bytes {
            return self.move_aligned(target, scalar, regs, write);
        }
        let mut target = *target;
        if target.ahead != 0 {
            let address = self.text.reg(Kind::Long);
            ptx!(self.text, "add.s64 {address}, {}, {};", target.address, target.ahead);
            (target.address, target.ahead) = (address, 0);
        }
        let target = &target;
        // It is aligned nearly always; where it is not, bytes are moved one by one.
        let (odd, done) = (self.text.label(), self.text.label());
        let (low, wrong) = (self.text.reg(Kind::Long), self.text.reg(Kind::Predicate));
        ptx!(self.text, "and.b64 {low}, {}, {};", target.address, bytes - 1);
        ptx!(self.text, "setp.ne.u64 {wrong}, {low}, 0;");
        ptx!(self.text, "@{wrong} bra {odd};");
        let aligned = Target { alignment: bytes, ..*target };
        self.move_aligned(&aligned, scalar, regs, write);
        ptx!(self.text, "bra {done};");
        self.text.place(odd);
        for (k, &reg) in regs.iter().enumerate() {
            self.move_bytes(target, scalar, reg, k as u32 * bytes, write);
        }
        self.text.place(done);
    }

    fn move_aligned(&mut self, target: &Target, scalar: Scalar, regs: &[Reg], write: bool) {
        let (bytes, window) = (scalar.bytes(), target.window);
        let mut at = 0;
        while at < regs.len() {
            let left = regs.len() - at;
            let offset = at as u32 * bytes;
            let here = target.alignment.min(1 << (offset | 16).trailing_zeros());
            let count = [4, 2, 1].into_iter().find(|&count| {
                count == 1 || count as usize <= left && count * bytes <= here.min(16)
            });
            let count = count.unwrap_or(1) as usize;
            let list = &regs[at..at + count];
            let offset = target.ahead + i64::from(offset);
            self.move_vector(window, target.address, offset, scalar, list, write);
            at += count;
        }
    }

    /// One instruction for one, two or four scalars.
    fn move_vector(
        &mut self,
        window: &str,
        address: Reg,
        offset: i64,
        scalar: Scalar,
        regs: &[Reg],
        write: bool,
    ) {
        let ty = memory_type(scalar);
        let vector = if regs.len() == 1 { String::new() } else { format!(".v{}", regs.len()) };
        let braces = |regs: &[Reg]| {
            let list: Vec<String> = regs.iter().map(Reg::to_string).collect();
            if list.len() == 1 { list[0].clone() } else { format!("{{{}}}", list.join(", ")) }
        };
        let is_bool = scalar == Scalar::Bool;
        if write {
            let regs: Vec<Reg> = match is_bool {
                true => regs.iter().map(|&reg| self.memory_bits(scalar, reg)).collect(),
                false => regs.to_vec(),
            };
            let list = braces(&regs);
            ptx!(self.text, "st.{window}{vector}.{ty} [{address}+{offset}], {list};");
            return;
        }
        let loaded: Vec<Reg> = match is_bool {
            true => regs.iter().map(|_| self.text.reg(Kind::Word)).collect(),
            false => regs.to_vec(),
        };
        let list = braces(&loaded);
        ptx!(self.text, "ld.{window}{vector}.{ty} {list}, [{address}+{offset}];");
        if is_bool {
            for (to, from) in regs.iter().zip(&loaded) {
                ptx!(self.text, "setp.ne.u32 {to}, {from}, 0;");
            }
        }
    }

    /// A scalar, byte by byte.
    fn move_bytes(&mut self, target: &Target, scalar: Scalar, reg: Reg, offset: u32, write: bool) {
        let (bytes, window, address) = (scalar.bytes(), target.window, target.address);
        if write {
            let bits = self.memory_bits(scalar, reg);
            for k in 0..bytes {
                let part = self.text.reg(bits.kind);
                let name = bits.kind.name();
                ptx!(self.text, "shr.{} {part}, {bits}, {};", name.replace('b', "u"), 8 * k);
                ptx!(self.text, "st.{window}.u8 [{address}+{}], {part};", offset + k);
            }
            return;
        }
        let kind = if bytes == 8 { Kind::Long } else { Kind::Word };
        let name = kind.name();
        let all = self.text.reg(kind);
        ptx!(self.text, "mov.{name} {all}, 0;");
        for k in 0..bytes {
            let part = self.text.reg(kind);
            ptx!(self.text, "ld.{window}.u8 {part}, [{address}+{}];", offset + k);
            ptx!(self.text, "shl.{name} {part}, {part}, {};", 8 * k);
            ptx!(self.text, "or.{name} {all}, {all}, {part};");
        }
        let value = self.of_memory_bits(scalar, all);
        self.copy(&[reg], &[value]);
    }

    /// The code that records a fault and ends the thread. If several threads fault, the report of the SIMD-group with the
    /// lowest number is kept; within it the first fault, and among simultaneous ones the lowest lane.
    pub(super) fn faults(&mut self) {
        if self.exits.is_empty() {
            return;
        }
        let (site, value) = (self.text.reg(Kind::Word), self.text.reg(Kind::Long));
        for (number, (label, from)) in std::mem::take(&mut self.exits).into_iter().enumerate() {
            self.text.place(label);
            ptx!(self.text, "mov.u32 {site}, {number};");
            ptx!(self.text, "mov.u64 {value}, {from};");
            ptx!(self.text, "bra {};", self.fault);
        }
        self.text.place(self.fault);
        self.end_if_skipped();
        let (position, thread, group) =
            ThreadPosition::of_fault(&mut self.text, self.options.tensor);
        let (again, latch, unlock, write) =
            (self.text.label(), self.text.label(), self.text.label(), self.text.label());
        let text = &mut self.text;
        let (at, key, other, index) = (
            text.reg(Kind::Long),
            text.reg(Kind::Long),
            text.reg(Kind::Long),
            text.reg(Kind::Long),
        );
        let (old, busy, done) =
            (text.reg(Kind::Word), text.reg(Kind::Predicate), text.reg(Kind::Word));
        ptx!(text, "ld.param.u64 {at}, [args+{}];", layout::RECORD);
        ptx!(text, "cvt.u64.u32 {index}, {thread};");
        ptx!(text, "shl.b64 {key}, {group}, 10;");
        ptx!(text, "or.b64 {key}, {key}, {index};");
        ptx!(text, "mov.u32 {done}, 0;");
        // A lane that has the lock releases it before the lanes of its SIMD-group meet at the end of the loop.
        text.place(again);
        ptx!(text, "atom.acquire.gpu.global.cas.b32 {old}, [{at}+{}], 0, 1;", record::LOCK);
        ptx!(text, "setp.ne.u32 {busy}, {old}, 0;");
        ptx!(text, "@{busy} bra {latch};");
        ptx!(text, "ld.relaxed.gpu.global.u32 {old}, [{at}+{}];", record::SET);
        ptx!(text, "setp.eq.u32 {busy}, {old}, 0;");
        ptx!(text, "@{busy} bra {write};");
        let (own, its) = (text.reg(Kind::Long), text.reg(Kind::Long));
        ptx!(text, "ld.relaxed.gpu.global.u64 {other}, [{at}+{}];", record::KEY);
        ptx!(text, "setp.ge.u64 {busy}, {key}, {other};");
        ptx!(text, "@{busy} bra {unlock};");
        ptx!(text, "shr.u64 {own}, {key}, 5;");
        ptx!(text, "shr.u64 {its}, {other}, 5;");
        ptx!(text, "setp.ne.u64 {busy}, {own}, {its};");
        ptx!(text, "@{busy} bra {write};");
        ptx!(text, "ld.relaxed.gpu.global.u32 {old}, [{at}+{}];", record::SITE);
        ptx!(text, "setp.ne.u32 {busy}, {old}, {site};");
        ptx!(text, "@{busy} bra {unlock};");
        text.place(write);
        ptx!(text, "st.relaxed.gpu.global.u64 [{at}+{}], {key};", record::KEY);
        ptx!(text, "st.relaxed.gpu.global.u64 [{at}+{}], {value};", record::VALUE);
        ptx!(text, "st.relaxed.gpu.global.u32 [{at}+{}], {site};", record::SITE);
        for (d, reg) in position.iter().enumerate() {
            let field = record::POSITION + 4 * d;
            ptx!(text, "st.relaxed.gpu.global.u32 [{at}+{field}], {reg};");
        }
        ptx!(text, "st.relaxed.gpu.global.u32 [{at}+{}], 1;", record::SET);
        ptx!(text, "ld.param.u64 {other}, [args+{}];", layout::FAULTED);
        ptx!(text, "ld.param.u32 {old}, [args+{}];", layout::NUMBER);
        ptx!(text, "st.relaxed.gpu.global.u32 [{other}], {old};");
        text.place(unlock);
        ptx!(text, "atom.release.gpu.global.exch.b32 {old}, [{at}+{}], 0;", record::LOCK);
        ptx!(text, "mov.u32 {done}, 1;");
        text.place(latch);
        ptx!(text, "setp.eq.u32 {busy}, {done}, 0;");
        ptx!(text, "@{busy} bra {again};");
        ptx!(text, "exit;");
    }
}

/// The type of moves from and to memory: integers are widened as they are loaded.
pub(super) fn memory_type(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool | Scalar::U8 => "u8",
        Scalar::I8 => "s8",
        Scalar::U16 => "u16",
        Scalar::I16 => "s16",
        Scalar::F16 | Scalar::BF16 => "b16",
        Scalar::I64 | Scalar::U64 => "b64",
        _ => "b32",
    }
}

/// Adds the start of threadgroup memory: the entries of regions there have offsets from it.
fn add_shared(text: &mut super::Text, reg: Reg) {
    let start = text.reg(Kind::Long);
    ptx!(text, "mov.u64 {start}, shared;");
    ptx!(text, "add.u64 {reg}, {reg}, {start};");
}
