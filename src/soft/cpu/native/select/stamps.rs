//! Stamps of accesses under `races` (`specs/sanitizer.md`): tests and updates the planes of four-byte cells for all lanes at once, as
//! `kernel/sanitize/quick.rs` does; the checker is called only where the test fails.

use super::{Base, MAX_LANES, Selection};
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::cpu::native::region::Layout;
use crate::soft::cpu::native::shape::{Start, Sum};
use crate::soft::ir::{AccessKind, Function, Probe, Scalar, Value};
use crate::soft::kernel::sanitize::stamps::{
    CLASS, EVENT, LANE, MAX_OFFSET, MIXED, OF_GROUPS, OF_LANES, OF_WAVES, Plane,
    QuickLayout as Quick, class_of, fits, value_at,
};

const _: () = assert!(MAX_OFFSET == MAX_LANES);

/// If the accesses of a kernel are stamped: the shifts of cells of device and of threadgroup memory.
pub(super) fn shifts(function: &Function) -> Option<[u8; 2]> {
    function.insts.iter().find_map(Probe::shifts)
}

/// An access that is tested.
pub(super) struct Stamped<'a> {
    pub(super) value: Value,
    pub(super) site: u32,
    pub(super) kind: AccessKind,
    pub(super) own: bool,
    pub(super) bytes: u32,
    /// A cell has `4 >> shift` bytes.
    pub(super) shift: u32,
    pub(super) start: Start,
    pub(super) sum: &'a Sum,
    pub(super) access: &'a Access,
    pub(super) stored: Option<&'a Operand>,
}

/// Where the cells of the lanes are in each plane.
pub(super) enum Cells {
    /// Side by side from an offset on.
    Row(Reg),
    /// All at one offset, also in lanes.
    One(Reg, Reg),
    /// In each part the same, or side by side if they are in rows: the offset of its first lane.
    Parts { starts: Vec<Reg>, in_rows: bool },
    /// At an offset for each lane, by parts. `apart` if no two lanes have one in common.
    Lanes { offsets: Vec<Reg>, apart: bool },
}

impl Stamped<'_> {
    /// The bytes of a cell.
    fn unit(&self) -> u32 {
        4 >> self.shift
    }

    /// The bytes of its cells in a plane.
    pub(super) fn in_plane(&self) -> u32 {
        self.bytes << self.shift
    }
}

impl Cells {
    /// Whether no two lanes access the same bytes.
    fn are_apart(&self) -> bool {
        matches!(self, Self::Row(_) | Self::Lanes { apart: true, .. })
    }
}

/// The planes, by their numbers.
pub(super) type Planes = [Reg; Plane::COUNT];

/// The limits that stamps are compared with, in lanes.
struct Limits {
    own: bool,
    start: Reg,
    group: Reg,
    done: Reg,
}

/// Registers of an access: the stamp that the next event has, the lanes, and the address of the checker's numbers.
#[derive(Clone, Copy)]
pub(super) struct Event {
    pub(super) quick: Reg,
    pub(super) next: Reg,
    pub(super) lanes: Reg,
}

impl Selection<'_> {
    /// Whether machine code can test an access whose cells have this number of bytes in a plane.
    pub(super) fn can_stamp(&self, kind: AccessKind, bytes: u32, known: bool) -> bool {
        let is_known = known || kind != AccessKind::Write;
        self.stamps.is_some() && is_known && fits(bytes)
    }

    /// Tests an access, and calls the site if the test fails.
    pub(super) fn stamp(&mut self, stamped: &Stamped<'_>) {
        let values = (stamped.kind == AccessKind::Write).then(|| self.values(stamped));
        let event = self.event(stamped);
        let (planes, limit) = self.planes(stamped);
        let cells = self.cells(stamped, limit);
        match values {
            Some(values) => self.stamp_write(stamped, event, planes, &cells, &values),
            None => self.stamp_shared(stamped, event, planes, &cells),
        }
        self.emit(Ins::SiteEnd { site: stamped.site });
        // On every way to here the checker has these lanes, also after a call.
        self.noted = Some((self.exec.clone(), self.cleared, event.lanes));
    }

    /// The address of the checker's numbers.
    pub(super) fn quick(&mut self) -> Reg {
        if let Some(&known) = self.bases.get(&Base::Quick) {
            return known;
        }
        let d = self.int();
        let mem = MemRef { base: MemBase::Wave, index: None, disp: Layout::QUICK };
        self.head.push(Ins::LoadInt { from: Scalar::U64, d, mem });
        self.bases.insert(Base::Quick, d);
        d
    }

    pub(super) fn quick_int(&mut self, base: Reg, from: Scalar, disp: i32) -> Reg {
        let d = self.int();
        let mem = MemRef { base: MemBase::Reg(base), index: None, disp };
        self.emit(Ins::LoadInt { from, d, mem });
        d
    }

    pub(super) fn quick_lanes(&mut self, base: Reg, disp: i32) -> Reg {
        let d = self.lane();
        let mem = MemRef { base: MemBase::Reg(base), index: None, disp };
        self.emit(Ins::LoadSpread { d, mem });
        d
    }

    pub(super) fn put_quick(&mut self, base: Reg, disp: i32, s: Reg) {
        let mem = MemRef { base: MemBase::Reg(base), index: None, disp };
        self.emit(Ins::StoreInt { bytes: 4, mem, s });
    }

    /// The values that lanes write: the same for all, or by parts.
    fn values(&mut self, stamped: &Stamped<'_>) -> Vec<Reg> {
        let parts = self.parts();
        match stamped.stored {
            Some(Operand::Int { reg, bool }) => {
                let (high, both, d) = (self.int(), self.int(), self.lane());
                self.emit(Ins::IntImm { op: IntOp::Shr, wide: true, d: high, a: *reg, imm: 32 });
                self.emit(Ins::Int { op: IntOp::Xor, wide: true, d: both, a: *reg, b: high });
                if *bool {
                    self.emit(Ins::IntImm {
                        op: IntOp::And,
                        wide: false,
                        d: both,
                        a: *reg,
                        imm: 1,
                    });
                }
                self.emit(Ins::Spread { d, s: both });
                vec![d; parts]
            }
            Some(Operand::Lanes(lanes)) => lanes.clone(),
            Some(Operand::Part { .. }) => unreachable!("stores have no parts of words"),
            Some(Operand::Wide { low, high }) => {
                let halves: Vec<(Reg, Reg)> =
                    low.iter().copied().zip(high.iter().copied()).collect();
                halves.into_iter().map(|(low, high)| self.lane2(Lane2::Xor, low, high)).collect()
            }
            Some(Operand::Masks(masks)) => {
                let (a, b) = (self.lane_constant(1), self.lane_constant(0));
                masks.clone().into_iter().map(|mask| self.chosen(mask, a, b)).collect()
            }
            None => unreachable!("the value of a write is known"),
        }
    }

    /// The active lanes, which the checker notes: as events before them had others, lanes may not have met again.
    fn noted_lanes(&mut self, quick: Reg, next: Reg) -> Reg {
        if let Some((exec, cleared, lanes)) = &self.noted
            && (exec, *cleared) == (&self.exec, self.cleared)
        {
            return *lanes;
        }
        let mut lanes: Option<Reg> = None;
        for (part, mask) in self.exec.clone().into_iter().enumerate() {
            let bits = self.int();
            self.emit(Ins::BitsOfMask { d: bits, s: mask });
            let Some(b) = lanes else {
                lanes = Some(bits);
                continue;
            };
            let (up, d) = (self.int(), self.int());
            let imm = (part as u32 * self.strip.lanes) as i32;
            self.emit(Ins::IntImm { op: IntOp::Shl, wide: false, d: up, a: bits, imm });
            self.emit(Ins::Int { op: IntOp::Or, wide: false, d, a: up, b });
            lanes = Some(d);
        }
        let lanes = lanes.unwrap_or_else(|| self.constant(0));
        let before = self.quick_int(quick, Scalar::U32, Quick::LANES);
        let (other, same) = (self.int(), self.label());
        let (test, kind, wide) = (Test::Ne, Num::Unsigned, false);
        self.emit(Ins::Compare { test, kind, wide, d: other, a: lanes, b: before });
        self.emit(Ins::JumpIf { zero: true, s: other, to: same });
        self.put_quick(quick, Quick::LANES, lanes);
        self.put_quick(quick, Quick::CONVERGED, next);
        self.emit(Ins::Label(same));
        lanes
    }

    /// Notes the lanes, and that there is room for an event.
    fn event(&mut self, stamped: &Stamped<'_>) -> Event {
        let quick = self.quick();
        let next = self.quick_int(quick, Scalar::U32, Quick::NEXT);
        let lanes = self.noted_lanes(quick, next);
        let last = self.quick_int(quick, Scalar::U32, Quick::LAST);
        self.emit(Ins::CheckBelow { a: next, limit: last, site: stamped.site });
        Event { quick, next, lanes }
    }

    /// The site's number, which an event is logged with; calls the site if it is not known, so that this is before the first stamp is stored.
    pub(super) fn known_site(&mut self, stamped: &Stamped<'_>, quick: Reg) -> Reg {
        let sites = self.quick_int(quick, Scalar::U64, Quick::SITES);
        let site = self.quick_int(sites, Scalar::U32, 4 * stamped.value.index() as i32);
        let zero = self.constant(0);
        self.emit(Ins::CheckBelow { a: zero, limit: site, site: stamped.site });
        site
    }

    /// The checker's row of a region: an address, and the distance from there.
    pub(super) fn row_of(&mut self, region: &RegionRef) -> (Reg, i32) {
        let quick = self.quick();
        let rows = self.quick_int(quick, Scalar::U64, Quick::ROWS);
        match *region {
            RegionRef::Number(number) => (rows, number as i32 * Quick::ROW_BYTES),
            RegionRef::Found(number) => {
                // A number that no region has is replaced by that of null.
                let (count, known, safe, bytes) = (self.int(), self.int(), self.int(), self.int());
                let mem = MemRef { base: MemBase::Wave, index: None, disp: Layout::REGION_COUNT };
                self.emit(Ins::LoadInt { from: Scalar::U32, d: count, mem });
                let (wide, kind, zero) = (true, Num::Unsigned, self.constant(0));
                self.emit(Ins::Compare {
                    test: Test::Lt,
                    kind,
                    wide,
                    d: known,
                    a: number,
                    b: count,
                });
                self.emit(Ins::Choose { wide, d: safe, c: known, a: number, b: zero });
                let imm = Quick::ROW_BYTES;
                self.emit(Ins::IntImm { op: IntOp::Mul, wide, d: bytes, a: safe, imm });
                (self.plus(rows, bytes), 0)
            }
            RegionRef::Thread { .. } => unreachable!("only memory that threads share is observed"),
        }
    }

    /// The planes of the access's region, and the offset below which it may begin.
    fn planes(&mut self, stamped: &Stamped<'_>) -> (Planes, Reg) {
        let (row, disp) = self.row_of(&stamped.access.region);
        let words = stamped.in_plane() as i32 / 4;
        let limit =
            self.limit_in_row(row, disp + Quick::ROW_LIMITS + 8 * (words - 1), stamped.shift);
        let planes =
            std::array::from_fn(|plane| self.quick_int(row, Scalar::U64, disp + 8 * plane as i32));
        (planes, limit)
    }

    /// A limit in a row, which is one of planes, as one of memory.
    fn limit_in_row(&mut self, row: Reg, disp: i32, shift: u32) -> Reg {
        let in_plane = self.quick_int(row, Scalar::U64, disp);
        if shift == 0 {
            return in_plane;
        }
        let (more, limit) = (self.plus_constant(in_plane, (1 << shift) - 1), self.int());
        let imm = shift as i32;
        self.emit(Ins::IntImm { op: IntOp::Shr, wide: true, d: limit, a: more, imm });
        limit
    }

    /// The offset in a plane of a cell.
    fn in_plane(&mut self, offset: Reg, shift: u32) -> Reg {
        if shift == 0 {
            return offset;
        }
        let d = self.int();
        let imm = shift as i32;
        self.emit(Ins::IntImm { op: IntOp::Shl, wide: true, d, a: offset, imm });
        d
    }

    /// The cells of an access whose bytes are all in bounds, at addresses that are multiples of a cell's.
    fn cells(&mut self, stamped: &Stamped<'_>, limit: Reg) -> Cells {
        let Stamped { site, sum, access, shift, .. } = *stamped;
        let unit = i64::from(stamped.unit());
        let is_one = i64::from(stamped.bytes) == unit;
        let whole = |scale: i64| scale % unit == 0;
        let of_region = matches!(stamped.start, Start::Region(_));
        if !(of_region && whole(sum.constant) && sum.same.iter().all(|&(_, scale)| whole(scale))) {
            self.check_whole(access.offset, unit, site);
        }
        if sum.lanes.is_empty() {
            self.emit(Ins::CheckBelow { a: access.offset, limit, site });
            let (start, spread) = (self.in_plane(access.offset, shift), self.lane());
            self.emit(Ins::Spread { d: spread, s: start });
            return Cells::One(start, spread);
        }
        let moved = !sum.same.is_empty() || !of_region;
        let all_whole = sum.lanes.iter().all(|&(_, scale)| whole(scale));
        let in_rows = self
            .step_of_parts(sum)
            .filter(|&step| all_whole && (step == 0 || step == unit && is_one));
        if let Some(step) = in_rows
            && let Some(starts) = self.part_starts(sum, &access.terms, access.offset, site, moved)
        {
            let mut up = step * i64::from(self.strip.lanes - 1);
            let mut limit = limit;
            if up == 15 * unit && matches!(access.region, RegionRef::Number(_)) {
                // A row of cells: the first is tested for the last one.
                let (row, disp) = self.row_of(&access.region);
                (up, limit) = (0, self.limit_in_row(row, disp + Quick::ROW_OF_16, shift));
            }
            for &start in &starts {
                self.emit(Ins::CheckBelow { a: start, limit, site });
                if up != 0 {
                    let a = self.plus_constant(start, up);
                    self.emit(Ins::CheckBelow { a, limit, site });
                }
            }
            let starts = starts.into_iter().map(|start| self.in_plane(start, shift)).collect();
            return Cells::Parts { starts, in_rows: step != 0 };
        }
        let even = self.step(sum).filter(|&step| whole(step));
        let (offsets, apart) = if let Some(step) = even {
            let start = self.first_offset(&access.terms, access.offset, site, moved, sum.constant);
            if !all_whole {
                // The lanes are whole cells apart, but the first may begin within one.
                self.check_whole(start, unit, site);
            }
            let last = self
                .plus_constant(start, step * i64::from(self.strip.lanes * self.strip.parts - 1));
            for a in [start, last] {
                self.emit(Ins::CheckBelow { a, limit, site });
            }
            let start = self.in_plane(start, shift);
            if step == unit && is_one {
                return Cells::Row(start);
            }
            let spread = self.lane();
            self.emit(Ins::Spread { d: spread, s: start });
            let offsets = (0..self.strip.parts).map(|part| {
                let factor = (step as u32) << shift;
                let up = self.lane_home(Home::Iota { first: part * self.strip.lanes, factor });
                self.lane2(Lane2::Add, spread, up)
            });
            (offsets.collect(), step >= i64::from(stamped.bytes))
        } else {
            let terms = &access.terms;
            let offsets = self.lane_offsets(terms, access.offset, limit, site, moved, sum.constant);
            if !all_whole {
                for (part, &offset) in offsets.iter().enumerate() {
                    let low = self.lane_constant(unit as u32 - 1);
                    let (low, zero) = (self.lane2(Lane2::And, offset, low), self.lane_constant(0));
                    let good = self.is(Test::Eq, low, zero);
                    self.emit(Ins::CheckLanes { active: self.exec[part], good, site });
                }
            }
            let shifted = |offset: Reg| match shift {
                0 => offset,
                _ => self.lane1(Lane1::Shl(shift as u8), offset),
            };
            (offsets.into_iter().map(shifted).collect(), false)
        };
        Cells::Lanes { offsets, apart }
    }

    /// Calls the site if an offset is not a multiple of a cell's bytes.
    fn check_whole(&mut self, offset: Reg, unit: i64, site: u32) {
        let (low, one) = (self.int(), self.constant(1));
        let imm = unit as i32 - 1;
        self.emit(Ins::IntImm { op: IntOp::And, wide: false, d: low, a: offset, imm });
        self.emit(Ins::CheckBelow { a: low, limit: one, site });
    }

    /// A comparison of unsigned numbers.
    pub(super) fn is(&mut self, test: Test, a: Reg, b: Reg) -> Reg {
        let d = self.mask();
        self.emit(Ins::CompareLanes { test, kind: Num::Unsigned, d, a, b });
        d
    }

    pub(super) fn both(&mut self, op: MaskOp, a: Reg, b: Reg) -> Reg {
        let d = self.mask();
        self.emit(Ins::MaskBin { op, d, a, b });
        d
    }

    fn any(&mut self, masks: &[Reg]) -> Reg {
        masks[1..].iter().fold(masks[0], |a, &b| self.both(MaskOp::Or, a, b))
    }

    pub(super) fn load_stamps(&mut self, plane: Reg, cells: &Cells, word: u32, part: usize) -> Reg {
        let (d, disp) = (self.lane(), 4 * word as i32);
        let ins = match cells {
            Cells::Row(start) => {
                let disp = (part as u32 * self.strip.lanes * 4) as i32;
                let mem = MemRef { base: MemBase::Reg(plane), index: Some(*start), disp };
                Ins::Load { from: Scalar::U32, d, mem }
            }
            Cells::One(offset, _) => {
                let mem = MemRef { base: MemBase::Reg(plane), index: Some(*offset), disp };
                Ins::LoadSpread { d, mem }
            }
            Cells::Parts { starts, in_rows, .. } => {
                let mem = MemRef { base: MemBase::Reg(plane), index: Some(starts[part]), disp };
                match in_rows {
                    true => Ins::Load { from: Scalar::U32, d, mem },
                    false => Ins::LoadSpread { d, mem },
                }
            }
            Cells::Lanes { offsets, .. } => {
                Ins::Gather { d, base: plane, offsets: offsets[part], disp, mask: self.exec[part] }
            }
        };
        self.emit(ins);
        d
    }

    pub(super) fn store_stamps(
        &mut self,
        plane: Reg,
        cells: &Cells,
        word: u32,
        part: usize,
        s: Reg,
        mask: Reg,
    ) {
        let disp = 4 * word as i32;
        let scatter = |offsets| Ins::Scatter { bytes: 4, base: plane, offsets, disp, s, mask };
        let ins = match cells {
            Cells::Row(start) => {
                let disp = (part as u32 * self.strip.lanes * 4) as i32;
                let mem = MemRef { base: MemBase::Reg(plane), index: Some(*start), disp };
                Ins::Store { bytes: 4, mem, s, mask }
            }
            Cells::One(_, spread) => scatter(*spread),
            Cells::Parts { starts, in_rows: true, .. } => {
                let mem = MemRef { base: MemBase::Reg(plane), index: Some(starts[part]), disp };
                Ins::Store { bytes: 4, mem, s, mask }
            }
            Cells::Parts { starts, .. } => {
                let spread = self.lane();
                self.emit(Ins::Spread { d: spread, s: starts[part] });
                scatter(spread)
            }
            Cells::Lanes { offsets, .. } => scatter(offsets[part]),
        };
        self.emit(ins);
    }

    /// The limit below which stamps are of no interest.
    pub(super) fn start(&mut self, quick: Reg, own: bool) -> Reg {
        self.quick_lanes(quick, Quick::LIMITS[usize::from(own)] + Quick::START)
    }

    fn limits(&mut self, quick: Reg, own: bool, start: Reg) -> Limits {
        let at = Quick::LIMITS[usize::from(own)];
        let group = self.quick_lanes(quick, at + Quick::GROUP);
        let done = if own { group } else { self.quick_lanes(quick, at + Quick::DONE) };
        Limits { own, start, group, done }
    }

    /// Whether stamps are ordered before; `over` says whether they are below the start.
    fn is_after(&mut self, limits: &Limits, stamp: Reg, over: Reg) -> Reg {
        if limits.own {
            return over;
        }
        let since = self.lane2(Lane2::Sub, stamp, limits.group);
        let done = self.is(Test::Lt, since, limits.done);
        self.both(MaskOp::Or, over, done)
    }

    /// Whether stamps are the lane's own, not before `since`.
    fn is_mine(&mut self, stamp: Reg, since: Reg, mask: u32, part: usize) -> Reg {
        let bits = self.lane_constant(mask);
        let low = self.lane2(Lane2::And, stamp, bits);
        let lane = self.lane_home(Home::Iota { first: part as u32 * self.strip.lanes, factor: 1 });
        let (same, recent) = (self.is(Test::Eq, low, lane), self.is(Test::Le, since, stamp));
        self.both(MaskOp::And, same, recent)
    }

    /// The lanes' stamps of the event, with a class or a level.
    pub(super) fn new_stamps(&mut self, event: Event, class: u32, part: usize) -> Reg {
        let (next, spread) = (self.plus_constant(event.next, class.into()), self.lane());
        self.emit(Ins::Spread { d: spread, s: next });
        let lane = self.lane_home(Home::Iota { first: part as u32 * self.strip.lanes, factor: 1 });
        self.lane2(Lane2::Add, spread, lane)
    }

    /// Logs the event of a site.
    pub(super) fn log(&mut self, event: Event, site: Reg) {
        let log = self.quick_int(event.quick, Scalar::U64, Quick::LOG);
        let (bytes, after) = (self.int(), self.int());
        self.emit(Ins::IntImm { op: IntOp::Shr, wide: false, d: bytes, a: event.next, imm: 4 });
        let at = self.plus(log, bytes);
        self.put_quick(at, 0, site);
        self.put_quick(at, 4, event.lanes);
        let imm = EVENT as i32;
        self.emit(Ins::IntImm { op: IntOp::Add, wide: false, d: after, a: event.next, imm });
        self.put_quick(event.quick, Quick::NEXT, after);
    }

    /// Each word of each part.
    fn each_cell(&self, stamped: &Stamped<'_>) -> Vec<(u32, usize)> {
        let words = 0..stamped.in_plane() / 4;
        words.flat_map(|word| (0..self.parts()).map(move |part| (word, part))).collect()
    }

    fn stamp_write(
        &mut self,
        stamped: &Stamped<'_>,
        event: Event,
        planes: Planes,
        cells: &Cells,
        values: &[Reg],
    ) {
        let (site, known) = (stamped.site, self.known_site(stamped, event.quick));
        let start = self.start(event.quick, stamped.own);
        let segment = self.quick_lanes(event.quick, Quick::SEGMENT);
        let all = self.each_cell(stamped);
        let is_simple = cells.are_apart();
        let (first, end) = (self.label(), self.label());
        if is_simple {
            // The frequent case first: no other write, and no other thread's read, since the start.
            let rest = self.rest(&all, |this, word, part| {
                let writer = this.load_stamps(planes[Plane::Writer as usize], cells, word, part);
                let mut good = this.is(Test::Lt, writer, start);
                for plane in [Plane::First, Plane::Second] {
                    let reader = this.load_stamps(planes[plane as usize], cells, word, part);
                    let over = this.is(Test::Lt, reader, start);
                    let mine = this.is_mine(reader, segment, LANE, part);
                    let fits = this.both(MaskOp::Or, over, mine);
                    good = this.both(MaskOp::And, good, fits);
                }
                good
            });
            self.emit(Ins::JumpNone { masks: rest, to: first });
        }
        let limits = self.limits(event.quick, stamped.own, start);
        let converged = self.quick_lanes(event.quick, Quick::CONVERGED);
        let (mut written, mixed) = (Vec::new(), self.lane_constant(MIXED));
        for &(word, part) in &all {
            let writer = self.load_stamps(planes[Plane::Writer as usize], cells, word, part);
            let over = self.is(Test::Lt, writer, limits.start);
            let after = self.is_after(&limits, writer, over);
            let mine = self.is_mine(writer, converged, CLASS | LANE, part);
            let value = self.value_of(stamped, values, word, part);
            let before = self.load_stamps(planes[Plane::Value as usize], cells, word, part);
            let equal = self.is(Test::Eq, before, value);
            let same = self.both(MaskOp::Or, over, equal);
            let after = self.both(MaskOp::And, after, same);
            let mut good = self.both(MaskOp::Or, after, mine);
            for plane in [Plane::First, Plane::Second] {
                let reader = self.load_stamps(planes[plane as usize], cells, word, part);
                let over = self.is(Test::Lt, reader, limits.start);
                let after = self.is_after(&limits, reader, over);
                let mine = self.is_mine(reader, segment, LANE, part);
                let fits = self.both(MaskOp::Or, after, mine);
                good = self.both(MaskOp::And, good, fits);
            }
            self.emit(Ins::CheckLanes { active: self.exec[part], good, site });
            written.push((writer, self.chosen(same, value, mixed)));
        }
        let writers = planes[Plane::Writer as usize];
        let new: Vec<Reg> = (0..self.parts()).map(|part| self.new_stamps(event, 0, part)).collect();
        if !is_simple {
            // Lanes that write the same bytes find the stamp of another one.
            for &(word, part) in &all {
                self.store_stamps(writers, cells, word, part, new[part], self.exec[part]);
            }
            let found: Vec<Reg> = all
                .iter()
                .map(|&(word, part)| self.load_stamps(writers, cells, word, part))
                .collect();
            for (&(word, part), &(old, _)) in all.iter().zip(&written) {
                self.store_stamps(writers, cells, word, part, old, self.exec[part]);
            }
            for (&(_, part), found) in all.iter().zip(found) {
                let good = self.is(Test::Eq, found, new[part]);
                self.emit(Ins::CheckLanes { active: self.exec[part], good, site });
            }
        }
        for (&(word, part), (_, value)) in all.iter().zip(written) {
            let mask = self.exec[part];
            self.store_stamps(planes[Plane::Value as usize], cells, word, part, value, mask);
            self.store_stamps(writers, cells, word, part, new[part], mask);
        }
        self.log(event, known);
        if is_simple {
            self.emit(Ins::Jump(end));
            self.emit(Ins::Label(first));
            for &(word, part) in &all {
                let (new, mask) = (self.new_stamps(event, 0, part), self.exec[part]);
                let value = self.value_of(stamped, values, word, part);
                self.store_stamps(planes[Plane::Value as usize], cells, word, part, value, mask);
                self.store_stamps(writers, cells, word, part, new, mask);
            }
            self.log(event, known);
            self.emit(Ins::Label(end));
        }
    }

    /// The stamps that lanes write to a word, in the form of its plane.
    fn value_of(&mut self, stamped: &Stamped<'_>, values: &[Reg], word: u32, part: usize) -> Reg {
        let delta = (4 * word).wrapping_neg();
        let up = self.lane_constant(value_at(delta, stamped.in_plane(), stamped.shift));
        self.lane2(Lane2::Add, values[part], up)
    }

    /// The active lanes, by parts, of which a test does not hold for every word.
    fn rest(
        &mut self,
        all: &[(u32, usize)],
        mut test: impl FnMut(&mut Self, u32, usize) -> Reg,
    ) -> [Reg; 4] {
        let mut good: Vec<Option<Reg>> = vec![None; self.parts()];
        for &(word, part) in all {
            let one = test(self, word, part);
            good[part] = Some(match good[part] {
                Some(before) => self.both(MaskOp::And, before, one),
                None => one,
            });
        }
        // `AndNot` is the second where the first is false.
        let rest = good.into_iter().flatten().zip(self.exec.clone());
        let rest: Vec<Reg> =
            rest.map(|(good, exec)| self.both(MaskOp::AndNot, good, exec)).collect();
        self.all_parts(&rest)
    }

    /// Reads and atomics.
    fn stamp_shared(&mut self, stamped: &Stamped<'_>, event: Event, planes: Planes, cells: &Cells) {
        let (site, own, quick) = (stamped.site, stamped.own, event.quick);
        let class = class_of(stamped.kind);
        let at = Quick::LIMITS[usize::from(own)];
        let start = self.start(quick, own);
        let class_bits = self.lane_constant(CLASS);
        let (mine, many_bits) = (self.lane_constant(class), self.lane_constant(OF_GROUPS));
        let [of_lanes, of_waves, of_groups] =
            [OF_LANES, OF_WAVES, OF_GROUPS].map(|level| self.lane_constant(level));
        let zero = self.lane_constant(0);
        let [writers, firsts, seconds] =
            [Plane::Writer, Plane::First, Plane::Second].map(|plane| planes[plane as usize]);
        let all = self.each_cell(stamped);
        let (untouched, end) = (self.label(), self.label());
        self.shared_at_one_address(stamped, event, planes, cells, end);
        self.shared_in_one_row(stamped, event, planes, cells, end);
        // The frequent cases first. The first access since the start.
        let mut known = Vec::new();
        let rest = self.rest(&all, |this, word, part| {
            let [writer, first] =
                [writers, firsts].map(|plane| this.load_stamps(plane, cells, word, part));
            let [over, new] = [writer, first].map(|stamp| this.is(Test::Lt, stamp, start));
            known.push((over, first));
            this.both(MaskOp::And, over, new)
        });
        self.emit(Ins::JumpNone { masks: rest, to: untouched });
        // Nothing to do: no write since the start, and two accesses that differ enough.
        let phase = self.quick_lanes(quick, at + Quick::PHASE);
        let (since, level) = if own { (phase, of_waves) } else { (start, of_groups) };
        let mut known = known.into_iter();
        let rest = self.rest(&all, |this, word, part| {
            let other = this.load_stamps(seconds, cells, word, part);
            let recent = this.is(Test::Le, since, other);
            let of_other = this.lane2(Lane2::And, other, level);
            let enough = this.is(Test::Eq, of_other, level);
            let (over, first) = known.next().expect("one for each cell");
            let of_first = this.lane2(Lane2::And, first, class_bits);
            let alike = this.is(Test::Eq, of_first, mine);
            [over, recent, enough].into_iter().fold(alike, |a, b| this.both(MaskOp::And, a, b))
        });
        self.emit(Ins::JumpNone { masks: rest, to: end });
        let number = self.known_site(stamped, quick);
        let limits = self.limits(quick, own, start);
        let wave = self.quick_lanes(quick, at + Quick::WAVE);
        let segment = self.quick_lanes(quick, Quick::SEGMENT);
        let converged = self.quick_lanes(quick, Quick::CONVERGED);
        // Which cells get a first stamp, and which a second one, with its level.
        let (mut fresh, mut second) = (Vec::new(), Vec::new());
        for &(word, part) in &all {
            let writer = self.load_stamps(writers, cells, word, part);
            let below = self.is(Test::Lt, writer, limits.start);
            let after = self.is_after(&limits, writer, below);
            let own_write = self.is_mine(writer, segment, CLASS | LANE, part);
            let good = self.both(MaskOp::Or, after, own_write);

            let first = self.load_stamps(firsts, cells, word, part);
            let other = self.load_stamps(seconds, cells, word, part);
            let over = self.is(Test::Lt, first, limits.start);
            let level = self.lane2(Lane2::And, other, class_bits);
            let groups = self.is(Test::Eq, level, many_bits);
            let current = self.is(Test::Le, limits.start, other);
            let many = self.both(MaskOp::And, groups, current);
            let earlier = self.is(Test::Lt, first, wave);
            let recent = self.is(Test::Le, converged, first);
            let wave_bit = self.lane2(Lane2::And, other, of_waves);
            let has_level = self.is(Test::Ne, wave_bit, zero);
            let in_phase = self.is(Test::Le, phase, other);
            let two = self.both(MaskOp::And, has_level, in_phase);
            let known = self.any(&[earlier, recent, many, two]);
            let of_first = self.lane2(Lane2::And, first, class_bits);
            let alike = self.is(Test::Eq, of_first, mine);
            let fits = self.both(MaskOp::Or, over, alike);
            let good = self.both(MaskOp::And, good, known);
            let good = self.both(MaskOp::And, good, fits);
            self.emit(Ins::CheckLanes { active: self.exec[part], good, site });

            let after = self.is_after(&limits, first, over);
            // `AndNot` is the second where the first is false.
            let alone = self.both(MaskOp::AndNot, many, after);
            let is_fresh = self.both(MaskOp::Or, over, alone);
            let is_fresh = self.both(MaskOp::And, is_fresh, self.exec[part]);
            fresh.push(is_fresh);

            // Enough: the lane itself, or a second one of the same level.
            let same_lane = self.is_mine(first, converged, LANE, part);
            let since = self.is(Test::Le, converged, other);
            let in_wave = self.both(MaskOp::Or, same_lane, since);
            let in_wave = self.both(MaskOp::And, in_wave, recent);
            let in_group = self.both(MaskOp::AndNot, recent, two);
            let mut enough = self.both(MaskOp::Or, in_wave, in_group);
            let mut level = self.chosen(recent, of_lanes, of_waves);
            if !own {
                let elsewhere = self.is(Test::Lt, first, limits.group);
                enough = self.both(MaskOp::AndNot, elsewhere, enough);
                level = self.chosen(elsewhere, of_groups, level);
            }
            let done = self.any(&[enough, many, is_fresh]);
            let wanted = self.both(MaskOp::AndNot, done, self.exec[part]);
            second.push((wanted, level));
        }
        let masks: Vec<Reg> = (0..self.parts())
            .map(|part| {
                let of_part = all.iter().enumerate().filter(|(_, cell)| cell.1 == part);
                let masks: Vec<Reg> =
                    of_part.flat_map(|(at, _)| [fresh[at], second[at].0]).collect();
                self.any(&masks)
            })
            .collect();
        let masks = self.all_parts(&masks);
        self.emit(Ins::JumpNone { masks, to: end });
        let new: Vec<Reg> =
            (0..self.parts()).map(|part| self.new_stamps(event, class, part)).collect();
        for (at, &(word, part)) in all.iter().enumerate() {
            self.store_stamps(firsts, cells, word, part, new[part], fresh[at]);
        }
        if !cells.are_apart() {
            // Several lanes may access the same bytes.
            for (at, &(word, part)) in all.iter().enumerate() {
                let found = self.load_stamps(firsts, cells, word, part);
                let other = self.is(Test::Ne, found, new[part]);
                let lost = self.both(MaskOp::And, other, fresh[at]);
                let (wanted, level) = second[at];
                let level = self.chosen(lost, of_lanes, level);
                second[at] = (self.both(MaskOp::Or, wanted, lost), level);
            }
        }
        let plain: Vec<Reg> =
            (0..self.parts()).map(|part| self.new_stamps(event, 0, part)).collect();
        for (at, &(word, part)) in all.iter().enumerate() {
            let (wanted, level) = second[at];
            let stamp = self.lane2(Lane2::Add, plain[part], level);
            self.store_stamps(seconds, cells, word, part, stamp, wanted);
        }
        self.log(event, number);
        self.emit(Ins::Jump(end));
        self.emit(Ins::Label(untouched));
        let number = self.known_site(stamped, quick);
        for &(word, part) in &all {
            let (new, mask) = (self.new_stamps(event, class, part), self.exec[part]);
            self.store_stamps(firsts, cells, word, part, new, mask);
        }
        if !cells.are_apart() {
            for &(word, part) in &all {
                let found = self.load_stamps(firsts, cells, word, part);
                let new = self.new_stamps(event, class, part);
                let lost = self.is(Test::Ne, found, new);
                let mask = self.both(MaskOp::And, lost, self.exec[part]);
                let stamp = self.new_stamps(event, OF_LANES, part);
                self.store_stamps(seconds, cells, word, part, stamp, mask);
            }
        }
        self.log(event, number);
        self.emit(Ins::Label(end));
    }
}
