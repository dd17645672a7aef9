//! Accesses: addresses, checks, and the loads and stores that they guard.

use super::apart::Form;
use super::words::word_count;
use super::{Base, Forms, MAX_BACK, MAX_LANES, Selection};
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::cpu::native::region::Layout;
use crate::soft::cpu::native::shape::{Start, Sum};
use crate::soft::ir::facts::affine::is_within;
use crate::soft::ir::{Inst, Scalar, Value};

/// Where an access goes.
pub(super) struct Target {
    pub(super) region: RegionRef,
    /// The region's start.
    pub(super) base: Reg,
    /// The offsets at which the access may start are below this.
    pub(super) limit: Reg,
    pub(super) offset: Reg,
    /// The address of the region's row in the table.
    pub(super) row: (Reg, i32),
}

impl Selection<'_> {
    /// The base of a region, and the limit below which an access of `bytes` bytes may start, at most `most`.
    pub(super) fn region(&mut self, region: u32, bytes: u64, write: bool, most: u64) -> (Reg, Reg) {
        let at = region as i32 * Layout::REGION_BYTES;
        let base = match self.bases.get(&Base::Region(region)) {
            Some(&base) => base,
            None => {
                let (table, base) = (self.regions(), self.int());
                let mem =
                    MemRef { base: MemBase::Reg(table), index: None, disp: at + Layout::BASE };
                self.head.push(Ins::LoadInt { from: Scalar::U64, d: base, mem });
                self.bases.insert(Base::Region(region), base);
                base
            }
        };
        if let Some(&limit) = self.limits.get(&(region, bytes, write, most)) {
            return (base, limit);
        }
        let table = self.regions();
        let mut code = Vec::new();
        let limit = self.limit(&mut code, (table, at), bytes, write, most);
        self.head.append(&mut code);
        self.limits.insert((region, bytes, write, most), limit);
        (base, limit)
    }

    pub(super) fn regions(&mut self) -> Reg {
        if let Some(&table) = self.bases.get(&Base::Regions) {
            return table;
        }
        let table = self.int();
        let mem = MemRef { base: MemBase::Wave, index: None, disp: Layout::REGIONS };
        self.head.push(Ins::LoadInt { from: Scalar::U64, d: table, mem });
        self.bases.insert(Base::Regions, table);
        table
    }

    /// The number of offsets at which an access of `bytes` bytes to the region at `table` may start, at most `most`.
    pub(super) fn limit(
        &mut self,
        out: &mut Vec<Ins>,
        (table, at): (Reg, i32),
        bytes: u64,
        write: bool,
        most: u64,
    ) -> Reg {
        let field = |disp: i32| MemRef { base: MemBase::Reg(table), index: None, disp: at + disp };
        let length = self.int();
        out.push(Ins::LoadInt { from: Scalar::U64, d: length, mem: field(Layout::BYTES) });
        let (more, open) = (self.int(), self.int());
        if write {
            let writable = self.int();
            out.push(Ins::LoadInt {
                from: Scalar::Bool,
                d: writable,
                mem: field(Layout::WRITABLE),
            });
            let zero = self.constant(0);
            out.push(Ins::Choose { wide: true, d: open, c: writable, a: length, b: zero });
        } else {
            out.push(Ins::LoadInt { from: Scalar::U32, d: more, mem: field(Layout::SLACK) });
            out.push(Ins::Int { op: IntOp::Add, wide: true, d: open, a: length, b: more });
        }
        let (less, negative, limit) = (self.int(), self.int(), self.int());
        out.push(Ins::IntImm {
            op: IntOp::Add,
            wide: true,
            d: less,
            a: open,
            imm: 1 - bytes as i32,
        });
        let zero = self.constant(0);
        let (wide, kind) = (true, Num::Signed);
        out.push(Ins::Compare { test: Test::Lt, kind, wide, d: negative, a: less, b: zero });
        out.push(Ins::Choose { wide, d: limit, c: negative, a: zero, b: less });
        self.at_most(out, limit, most)
    }

    /// The lower of a limit and `most`.
    pub(super) fn at_most(&mut self, out: &mut Vec<Ins>, limit: Reg, most: u64) -> Reg {
        if most == u64::MAX {
            return limit;
        }
        let (b, below, lower) = (self.constant(most), self.int(), self.int());
        let (wide, kind) = (true, Num::Unsigned);
        out.push(Ins::Compare { test: Test::Lt, kind, wide, d: below, a: limit, b });
        out.push(Ins::Choose { wide, d: lower, c: below, a: limit, b });
        lower
    }

    /// The offset from which on code leaves an access to the slow path: the limits of lanes have 32 bits, and an index that
    /// wraps from lane to lane must not be in bounds again.
    fn most(sum: &Sum, step: Option<i64>, moved: bool) -> u64 {
        match (&sum.lanes[..], step) {
            ([], _) => u64::MAX,
            (_, None) => MAX_LANES,
            // `start_of` checks that it does not wrap.
            (lanes, Some(_)) if may_wrap(lanes.len(), moved, sum.constant) => u64::MAX,
            (lanes, Some(_)) => MAX_LANES * lanes[0].1 as u64,
        }
    }

    /// The uniform part of an offset.
    pub(super) fn offset(&mut self, sum: &Sum) -> Reg {
        let mut total = None;
        for &(term, scale) in &sum.same {
            let index = self.widened(term);
            let scaled = self.scaled(index, scale);
            total = Some(match total {
                Some(sum) => self.plus(sum, scaled),
                None => scaled,
            });
        }
        match total {
            Some(total) => self.plus_constant(total, sum.constant),
            None => self.constant(sum.constant as u64),
        }
    }

    pub(super) fn load(&mut self, value: Value, inst: &Inst) {
        let Some((start, sum)) = self.address(inst.args[0]) else { return };
        let scalar = self.scalar(value);
        let width = inst.ty.width();
        let same = sum.lanes.is_empty() && !start.is_thread();
        let float = scalar.is_float() && inst.ty.space().is_none();
        let bool = scalar == Scalar::Bool;
        let parts = self.parts();
        // Halves are read as bits, except rows of halves that are not moved.
        let exact = self.moved[value.index()];
        let row = width == 1 && !same && !start.is_thread() && self.step(&sum) == Some(2);
        let read = match scalar {
            _ if !float && (same || scalar.bytes() < 8) => scalar,
            Scalar::F16 if row && !exact => scalar,
            Scalar::F16 | Scalar::BF16 => Scalar::U16,
            // The halves of wide numbers are components.
            Scalar::I64 | Scalar::U64 => Scalar::U32,
            _ => scalar,
        };
        let wide = !same && scalar.bytes() == 8;
        if let Some(packed) =
            self.packed(scalar, width, exact).filter(|_| !same && !start.is_thread())
        {
            let joined = inst.imm != 0;
            self.access(value, start, &sum, packed.read, packed.data(), false, joined);
            self.packed.insert(value, packed);
            return;
        }
        // The results are registers from the start, since a slow path also writes them.
        let components: Vec<Forms> = (0..width)
            .map(|_| {
                if wide {
                    let lanes = (0..2 * parts).map(|_| self.lane()).collect();
                    Forms { int: None, lanes }
                } else if same && (!float || read != scalar) {
                    Forms { int: Some(self.int()), lanes: Vec::new() }
                } else if same {
                    Forms { int: None, lanes: vec![self.lane(); parts] }
                } else {
                    let class = if bool { Class::Mask } else { Class::Vector };
                    let lanes = (0..parts).map(|_| self.reg(class, false)).collect();
                    Forms { int: None, lanes }
                }
            })
            .collect();
        let data = components
            .iter()
            .flat_map(|forms| match forms.int {
                Some(reg) => vec![Operand::Int { reg, bool }],
                None if bool => vec![Operand::Masks(forms.lanes.clone())],
                None => {
                    forms.lanes.chunks(parts).map(|half| Operand::Lanes(half.to_vec())).collect()
                }
            })
            .collect();
        let joined = inst.imm != 0;
        self.access(value, start, &sum, read, data, false, joined);
        let components: Vec<Forms> = if read == scalar || wide {
            components
        } else {
            components.into_iter().map(|forms| self.floats_of_bits(forms, scalar, exact)).collect()
        };
        if width == 1 {
            let forms = components.into_iter().next().unwrap_or_default();
            return match forms.int {
                Some(reg) => self.give_int(value, reg),
                None => self.give_lanes(value, forms.lanes),
            };
        }
        // An extract that needs an integer in lanes broadcasts it itself.
        self.vectors.insert(value, components);
    }

    pub(super) fn store(&mut self, value: Value, inst: &Inst) {
        let Some((start, sum)) = self.address(inst.args[0]) else { return };
        let stored = inst.args[1];
        let scalar = self.scalar(stored);
        let one_address = sum.lanes.is_empty() && !start.is_thread();
        let written = match scalar {
            // The halves of wide numbers, and of pointers, are components.
            Scalar::I64 | Scalar::U64 if !one_address => Scalar::U32,
            _ if self.ty(stored).space().is_some() => scalar,
            Scalar::F16 | Scalar::BF16 => Scalar::U16,
            Scalar::Bool => Scalar::U8,
            _ => scalar,
        };
        let loaded = self.loaded(stored);
        let exact: Vec<bool> = match loaded {
            Some(_) => vec![true; self.ty(stored).width() as usize],
            None => self.components(stored).iter().map(|&part| self.is_exact(part)).collect(),
        };
        let components: Vec<(Forms, bool)> = match loaded {
            Some(parts) => parts
                .into_iter()
                .map(|forms| {
                    let same = forms.int.is_some()
                        || forms.lanes.windows(2).all(|pair| pair[0] == pair[1])
                            && forms.lanes.len() > 1;
                    (forms, same)
                })
                .collect(),
            None => self
                .components(stored)
                .into_iter()
                .map(|part| {
                    let same = self.shapes.is_same(part);
                    let forms = if one_address && same && self.is_int(part) {
                        Forms { int: Some(self.number(part)), lanes: Vec::new() }
                    } else {
                        Forms { int: None, lanes: self.in_lanes(part) }
                    };
                    (forms, same)
                })
                .collect(),
        };
        let data = components
            .into_iter()
            .zip(exact)
            .flat_map(|((forms, same), exact)| {
                let forms = self.in_memory(forms, scalar, exact);
                let number = |reg: Reg| vec![Operand::Int { reg, bool: false }];
                let parts = self.parts();
                match forms.int {
                    Some(reg) if one_address => number(reg),
                    Some(reg) if scalar.bytes() == 8 => {
                        let wide = self.spread_wide(reg);
                        [wide.low, wide.high].map(|half| Operand::Lanes(vec![half; parts])).into()
                    }
                    Some(reg) => {
                        // A loaded number that is broadcast.
                        let d = self.lane();
                        self.emit(Ins::Spread { d, s: reg });
                        vec![Operand::Lanes(vec![d; parts])]
                    }
                    None if one_address && scalar.bytes() == 8 => {
                        let low = self.of_last_lane(&forms.lanes[..parts]);
                        let high = self.of_last_lane(&forms.lanes[parts..]);
                        number(self.whole_of(low, high))
                    }
                    None if one_address && same => {
                        let d = self.int();
                        self.emit(Ins::First { d, s: forms.lanes[0] });
                        number(d)
                    }
                    None if one_address => number(self.of_last_lane(&forms.lanes)),
                    None => forms
                        .lanes
                        .chunks(parts)
                        .map(|half| Operand::Lanes(half.to_vec()))
                        .collect(),
                }
            })
            .collect();
        self.access(value, start, &sum, written, data, true, false);
    }

    /// Reads or writes adjacent components of a scalar type.
    #[allow(clippy::too_many_arguments)] // They describe an access.
    pub(super) fn access(
        &mut self,
        value: Value,
        start: Start,
        sum: &Sum,
        scalar: Scalar,
        data: Vec<Operand>,
        write: bool,
        joined: bool,
    ) {
        if start.is_thread() {
            return self.thread_access(value, start, sum, scalar, data, write);
        }
        if let Some(&checked) = self.checked.get(&value) {
            return self.access_checked(checked, sum, scalar, &data, write);
        }
        let step = self.step(sum).filter(|_| !sum.lanes.is_empty());
        if let Some(distances) = self.distances(sum) {
            let form = Form { value, scalar, write, joined };
            return self.access_apart(start, sum, &form, data, &distances);
        }
        let offset = self.offset(sum);
        // Whether the offset has a part that is known only at run time.
        let moved = !sum.same.is_empty() || matches!(start, Start::Pointer(_));
        let one_address = sum.lanes.is_empty();
        let width = data.len();
        let extent = match step {
            None if !one_address => span(scalar, width, write),
            _ => self.extent(step, scalar, width, write),
        };
        let most = Self::most(sum, step, moved);
        let Target { region, base, limit, offset, row } =
            self.target(start, offset, extent, write, most);
        let affine = step.is_some();
        let terms: Vec<Term> = sum
            .lanes
            .iter()
            .map(|&(index, scale)| Term {
                index: match self.shapes.step(index) {
                    Some(stride) if affine => {
                        LaneIndex::Affine { first: self.number(index), stride }
                    }
                    _ => self.lane_index(index),
                },
                signed: self.scalar(index).is_signed(),
                scale,
            })
            .collect();
        let access = Access {
            write,
            region,
            scalar,
            offset,
            terms: terms.clone(),
            exec: self.exec.clone(),
            data: data.clone(),
            joined,
        };
        let site = self.site(self.run.access_site(value), SiteKind::Access(access));
        if write && self.overlaps(step, scalar, width) {
            return self.emit(Ins::Call { site });
        }
        if one_address {
            self.emit(Ins::CheckBelow { a: offset, limit, site });
            let mem = MemRef { base: MemBase::Reg(base), index: Some(offset), disp: 0 };
            self.at_one_address(mem, scalar, &data, write);
            return self.emit(Ins::SiteEnd { site });
        }
        if let Some(step) = step {
            return self.evenly(
                &access_parts(&terms),
                offset,
                (base, limit, row, most),
                step,
                site,
                scalar,
                &data,
                write,
                moved,
                sum.constant,
            );
        }
        let by_parts =
            self.by_parts(sum, &terms, (offset, moved), (base, limit), site, scalar, &data, write);
        let lanes = self.lane_offsets(&terms, offset, limit, site, moved, sum.constant);
        if write {
            self.check_overlaps(sum, &lanes, scalar, width, site);
        }
        for (part, offsets) in lanes.into_iter().enumerate() {
            self.lanes_at(base, offsets, scalar, &data, part, write);
        }
        if let Some((end, noted)) = by_parts {
            self.emit(Ins::Label(end));
            self.noted = noted;
        }
        self.emit(Ins::SiteEnd { site });
    }

    /// The target of an access of `bytes` bytes at `offset` from `start`.
    pub(super) fn target(
        &mut self,
        start: Start,
        offset: Reg,
        bytes: u64,
        write: bool,
        most: u64,
    ) -> Target {
        match start {
            Start::Region(number) => {
                let (base, limit) = self.region(number, bytes, write, most);
                let row = (self.regions(), number as i32 * Layout::REGION_BYTES);
                Target { region: RegionRef::Number(number), base, limit, offset, row }
            }
            Start::Local(_) | Start::ThreadPointer(_) => {
                unreachable!("thread memory is not a region")
            }
            Start::Pointer(pointer) => {
                let (found, row, inner) = self.find_region(pointer);
                let offset = self.plus(offset, inner);
                let base = self.int();
                let mem = MemRef { base: MemBase::Reg(row), index: None, disp: Layout::BASE };
                self.emit(Ins::LoadInt { from: Scalar::U64, d: base, mem });
                let mut code = Vec::new();
                let limit = self.limit(&mut code, (row, 0), bytes, write, most);
                code.into_iter().for_each(|ins| self.emit(ins));
                let row = (row, 0);
                Target { region: RegionRef::Found(found), base, limit, offset, row }
            }
        }
    }

    /// A varying index.
    pub(super) fn lane_index(&mut self, index: Value) -> LaneIndex {
        let mut low = self.in_lanes(index);
        if !self.is_wide(index) {
            return LaneIndex::Lanes(low);
        }
        let high = low.split_off(self.parts());
        LaneIndex::Wide { low, high }
    }

    /// Reads or writes adjacent components, once for all lanes.
    pub(super) fn at_one_address(
        &mut self,
        first: MemRef,
        scalar: Scalar,
        data: &[Operand],
        write: bool,
    ) {
        for (at, data) in data.iter().enumerate() {
            let disp = first.disp + at as i32 * scalar.bytes() as i32;
            let mem = MemRef { disp, ..first };
            self.emit(match data {
                Operand::Int { reg, .. } if write => {
                    Ins::StoreInt { bytes: scalar.bytes(), mem, s: *reg }
                }
                Operand::Int { reg, .. } => Ins::LoadInt { from: scalar, d: *reg, mem },
                Operand::Lanes(regs) | Operand::Masks(regs) => Ins::LoadSpread { d: regs[0], mem },
                Operand::Wide { .. } | Operand::Part { .. } => {
                    unreachable!("halves are components, and lanes have addresses of their own")
                }
            });
        }
    }

    /// The number of the region that a pointer is in, the address of its row in the table, and the offset in the region.
    pub(super) fn find_region(&mut self, pointer: Value) -> (Reg, Reg, Reg) {
        let pointer = self.number(pointer);
        let half = self.constant(1 << 47);
        let (sum, number, up, offset) = (self.int(), self.int(), self.int(), self.int());
        self.emit(Ins::Int { op: IntOp::Add, wide: true, d: sum, a: pointer, b: half });
        self.emit(Ins::IntImm { op: IntOp::Shr, wide: true, d: number, a: sum, imm: 48 });
        self.emit(Ins::IntImm { op: IntOp::Shl, wide: true, d: up, a: pointer, imm: 16 });
        self.emit(Ins::IntImm { op: IntOp::Sar, wide: true, d: offset, a: up, imm: 16 });
        // A number that no region has is replaced by that of null, which has no bytes.
        let (count, known, safe) = (self.int(), self.int(), self.int());
        let mem = MemRef { base: MemBase::Wave, index: None, disp: Layout::REGION_COUNT };
        self.emit(Ins::LoadInt { from: Scalar::U32, d: count, mem });
        let (wide, kind) = (true, Num::Unsigned);
        self.emit(Ins::Compare { test: Test::Lt, kind, wide, d: known, a: number, b: count });
        let zero = self.constant(0);
        self.emit(Ins::Choose { wide, d: safe, c: known, a: number, b: zero });
        let (bytes, row, table) = (self.int(), self.int(), self.regions());
        let imm = Layout::REGION_BYTES;
        self.emit(Ins::IntImm { op: IntOp::Mul, wide, d: bytes, a: safe, imm });
        self.emit(Ins::Int { op: IntOp::Add, wide, d: row, a: table, b: bytes });
        (number, row, offset)
    }

    /// The offset of the first lane of an access whose terms are affine.
    pub(super) fn first_offset(
        &mut self,
        terms: &[Term],
        offset: Reg,
        site: u32,
        moved: bool,
        constant: i64,
    ) -> Reg {
        self.start_of(&access_parts(terms), offset, site, moved, constant)
    }

    pub(super) fn start_of(
        &mut self,
        firsts: &[(Reg, u32, bool, i64)],
        offset: Reg,
        site: u32,
        moved: bool,
        constant: i64,
    ) -> Reg {
        let lanes = i64::from(self.strip.lanes * self.strip.parts);
        let may_wrap = may_wrap(firsts.len(), moved, constant);
        let mut start = offset;
        for &(first, stride, signed, scale) in firsts {
            let wide = if signed {
                let d = self.int();
                self.emit(Ins::Widen { from: Scalar::I32, wide: true, d, s: first });
                d
            } else {
                first
            };
            if may_wrap {
                let (edge, up) =
                    (if signed { 1i64 << 31 } else { 1 << 32 }, i64::from(stride) * (lanes - 1));
                // Signed numbers are offset, so that one unsigned comparison is enough.
                let moved = self.plus_constant(wide, if signed { 1 << 31 } else { 0 });
                let bound = self.constant((edge + if signed { 1 << 31 } else { 0 } - up) as u64);
                self.emit(Ins::CheckBelow { a: moved, limit: bound, site });
            }
            let scaled = self.scaled(wide, scale);
            start = if start == offset && !moved {
                self.plus_constant(scaled, constant)
            } else {
                self.plus(start, scaled)
            };
        }
        start
    }

    /// An access whose offset is affine in the lane.
    #[allow(clippy::too_many_arguments)] // As above.
    pub(super) fn evenly(
        &mut self,
        firsts: &[(Reg, u32, bool, i64)],
        offset: Reg,
        (base, limit, row, most): (Reg, Reg, (Reg, i32), u64),
        step: i64,
        site: u32,
        scalar: Scalar,
        data: &[Operand],
        write: bool,
        moved: bool,
        constant: i64,
    ) {
        let size = i64::from(scalar.bytes());
        let start = self.start_of(firsts, offset, site, moved, constant);
        // Where lanes may be inactive, it may be these that are out of bounds: `lane < 8 ? x[lane] : 0`.
        let some = (self.depth > 0).then(|| (self.label(), self.label()));
        self.emit(match some {
            Some((to, _)) => Ins::JumpUnlessBelow { a: start, limit, to },
            None => Ins::CheckBelow { a: start, limit, site },
        });
        if data.len() == 1 && step == size {
            for part in 0..self.parts() {
                let disp = (part as i64 * i64::from(self.strip.lanes) * size) as i32;
                let mem = MemRef { base: MemBase::Reg(base), index: Some(start), disp };
                self.part_of_row(mem, scalar, &data[0], part, write);
            }
        } else if let (4, 8, [Operand::Lanes(low), Operand::Lanes(high)]) = (size, step, data) {
            for part in 0..self.parts() {
                let disp = (part as u32 * self.strip.lanes * 8) as i32;
                let mem = MemRef { base: MemBase::Reg(base), index: Some(start), disp };
                let (low, high, mask) = (low[part], high[part], Some(self.exec[part]));
                self.emit(if write {
                    Ins::StorePairs { mem, low, high, mask }
                } else {
                    Ins::LoadPairs { low, high, mem }
                });
            }
        } else {
            let first = MemRef { base: MemBase::Reg(base), index: Some(start), disp: 0 };
            self.stepping(first, step, scalar, data, write);
        }
        if let Some((some, end)) = some {
            self.emit(Ins::Jump(end));
            self.emit(Ins::Label(some));
            let mut code = Vec::new();
            let bytes = span(scalar, data.len(), write);
            let limit = self.limit(&mut code, row, bytes, write, most);
            code.into_iter().for_each(|ins| self.emit(ins));
            self.evenly_if_active(start, base, limit, step, site, scalar, data, write);
            self.emit(Ins::Label(end));
        }
        self.emit(Ins::SiteEnd { site });
    }

    /// The same lane by lane, with checks of the first and of the last active lane of each part.
    #[allow(clippy::too_many_arguments)] // As above.
    fn evenly_if_active(
        &mut self,
        start: Reg,
        base: Reg,
        limit: Reg,
        step: i64,
        site: u32,
        scalar: Scalar,
        data: &[Operand],
        write: bool,
    ) {
        let at = self.plus(base, start);
        for part in 0..self.parts() {
            let first = part as u32 * self.strip.lanes;
            let offsets = self.lane_home(Home::Iota { first, factor: step as u32 });
            let (bits, next) = (self.int(), self.label());
            self.emit(Ins::BitsOfMask { d: bits, s: self.exec[part] });
            self.emit(Ins::JumpIf { zero: true, s: bits, to: next });
            let (lowest, last) = (self.int(), self.int());
            self.emit(Ins::LowestBit { d: lowest, s: bits });
            self.emit(Ins::Last { d: last, s: offsets, bits });
            let lowest = self.scaled(lowest, step);
            let lowest = self.plus_constant(lowest, i64::from(first) * step);
            for offset in [lowest, last] {
                let a = self.plus(start, offset);
                self.emit(Ins::CheckBelow { a, limit, site });
            }
            match data {
                [Operand::Lanes(regs)] if scalar == Scalar::F16 && !write => {
                    let bits = self.lane();
                    let lanes = Operand::Lanes(vec![bits; self.parts()]);
                    self.lanes_at(at, offsets, Scalar::U16, &[lanes], part, write);
                    let op = Lane1::ValueOfHalf { exact: false };
                    self.emit(Ins::Lane1 { op, d: regs[part], a: bits });
                }
                _ => self.lanes_at(at, offsets, scalar, data, part, write),
            }
            self.emit(Ins::Label(next));
        }
    }

    /// Reads or writes the components of each lane, from `first` on for the first lane and `step` bytes further for each
    /// lane after it. All lanes are in bounds.
    pub(super) fn stepping(
        &mut self,
        first: MemRef,
        step: i64,
        scalar: Scalar,
        data: &[Operand],
        write: bool,
    ) {
        let lanes = self.strip.lanes;
        if !write && word_count(scalar, data.len()) == 4 {
            for part in 0..self.parts() {
                let words = self.words(scalar, data, part);
                self.quads(&words, |_, lane| {
                    let lane = part as u32 * lanes + lane;
                    MemRef { disp: first.disp + (i64::from(lane) * step) as i32, ..first }
                });
                self.parts_of_words(&words, scalar, data, part);
            }
            return;
        }
        let MemBase::Reg(base) = first.base else { unreachable!("a region is at an address") };
        let at = first.index.map_or(base, |index| self.plus(base, index));
        let at = self.plus_constant(at, first.disp.into());
        for part in 0..self.parts() {
            let offsets =
                self.lane_home(Home::Iota { first: part as u32 * lanes, factor: step as u32 });
            self.lanes_at(at, offsets, scalar, data, part, write);
        }
    }

    /// The offset of each lane, checked.
    pub(super) fn lane_offsets(
        &mut self,
        terms: &[Term],
        offset: Reg,
        limit: Reg,
        site: u32,
        moved: bool,
        constant: i64,
    ) -> Vec<Reg> {
        // The uniform part below 2^30, and all terms together, keep the sum below 2^31.
        const PART: i64 = 1 << 30;
        let fixed = !moved && is_within(constant, PART - 1);
        let plain = fixed && constant == 0;
        let all_terms = if plain { 2 * PART - 1 } else { PART };
        let each_term = all_terms / terms.len().max(1) as i64;
        if !fixed {
            let moved = self.plus_constant(offset, PART);
            let bound = self.constant(2 * PART as u64);
            self.emit(Ins::CheckBelow { a: moved, limit: bound, site });
        }
        let spread = |selection: &mut Self, s: Reg| {
            let d = selection.lane();
            selection.emit(Ins::Spread { d, s });
            d
        };
        let uniform = if plain { None } else { Some(spread(self, offset)) };
        let bound = spread(self, limit);
        (0..self.parts())
            .map(|part| {
                let mut good: Option<Reg> = None;
                let mut also = |selection: &mut Self, mask: Reg| {
                    good = Some(match good {
                        Some(good) => {
                            let d = selection.mask();
                            selection.emit(Ins::MaskBin { op: MaskOp::And, d, a: good, b: mask });
                            d
                        }
                        None => mask,
                    });
                };
                let mut sum = uniform;
                for term in terms {
                    let (index, high) = match &term.index {
                        LaneIndex::Lanes(regs) => (regs[part], None),
                        LaneIndex::Wide { low, high } => (low[part], Some(high[part])),
                        LaneIndex::Affine { .. } | LaneIndex::Apart { .. } => {
                            unreachable!("lanes whose distances are not known")
                        }
                    };
                    if let Some(high) = high {
                        let (sign, d) = (self.lane1(Lane1::Sar(31), index), self.mask());
                        let (test, kind) = (Test::Eq, Num::Unsigned);
                        self.emit(Ins::CompareLanes { test, kind, d, a: sign, b: high });
                        also(self, d);
                    }
                    let most = each_term / term.scale.abs();
                    let (moved, range) = if term.signed || high.is_some() {
                        let up = self.lane_constant(most as u32);
                        let d = self.lane();
                        self.emit(Ins::Lane2 { op: Lane2::Add, d, a: index, b: up });
                        (d, self.lane_constant(2 * most as u32))
                    } else {
                        (index, self.lane_constant(most as u32))
                    };
                    let mask = self.mask();
                    let (test, kind) = (Test::Lt, Num::Unsigned);
                    self.emit(Ins::CompareLanes { test, kind, d: mask, a: moved, b: range });
                    also(self, mask);
                    let scaled = if term.scale == 1 {
                        index
                    } else {
                        let d = self.lane();
                        if term.scale > 0 && (term.scale as u64).is_power_of_two() {
                            let bits = term.scale.trailing_zeros() as u8;
                            self.emit(Ins::Lane1 { op: Lane1::Shl(bits), d, a: index });
                        } else {
                            let by = self.lane_constant(term.scale as u32);
                            self.emit(Ins::Lane2 { op: Lane2::Mul, d, a: index, b: by });
                        }
                        d
                    };
                    sum = Some(match sum {
                        Some(sum) => {
                            let d = self.lane();
                            self.emit(Ins::Lane2 { op: Lane2::Add, d, a: sum, b: scaled });
                            d
                        }
                        None => scaled,
                    });
                }
                let sum = sum.unwrap_or(bound);
                let mask = self.mask();
                let (test, kind) = (Test::Lt, Num::Unsigned);
                self.emit(Ins::CompareLanes { test, kind, d: mask, a: sum, b: bound });
                also(self, mask);
                let active = self.exec[part];
                if let Some(good) = good {
                    self.emit(Ins::CheckLanes { active, good, site });
                }
                sum
            })
            .collect()
    }
}

/// Whether an index could wrap between lanes and still be in bounds.
fn may_wrap(terms: usize, moved: bool, constant: i64) -> bool {
    terms > 1 || moved || constant < -MAX_BACK
}

/// The bytes that a lane accesses: narrow scalars are read as whole words, which may extend past the last of them.
pub(super) fn span(scalar: Scalar, components: usize, write: bool) -> u64 {
    let bytes = u64::from(scalar.bytes()) * components as u64;
    if write { bytes } else { bytes.next_multiple_of(4) }
}

/// The first lanes of terms, their strides, signs and scales.
fn access_parts(terms: &[Term]) -> Vec<(Reg, u32, bool, i64)> {
    terms
        .iter()
        .filter_map(|term| match term.index {
            LaneIndex::Affine { first, stride } => Some((first, stride, term.signed, term.scale)),
            LaneIndex::Apart { .. } | LaneIndex::Lanes(_) | LaneIndex::Wide { .. } => None,
        })
        .collect()
}
