//! Frequent cases of stamps of reads and atomics, by all lanes: at one address, with numbers instead of vectors; and two vectors that access the
//! same row.

use super::Selection;
use super::stamps::{Cells, Event, Planes, Stamped};
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::ir::Scalar;
use crate::soft::kernel::sanitize::stamps::{
    CLASS, OF_GROUPS, OF_LANES, OF_WAVES, Plane, QuickLayout as Quick, class_of,
};

impl Selection<'_> {
    /// The frequent cases of an access by all lanes where those of a part have one address, with numbers instead of vectors: the first one since
    /// the start, of which the last lane is in the first stamp and the one before it in the second; and one of which nothing has to be noted.
    pub(super) fn shared_at_one_address(
        &mut self,
        stamped: &Stamped<'_>,
        event: Event,
        planes: Planes,
        cells: &Cells,
        end: Label,
    ) {
        let starts = match cells {
            Cells::One(start, _) => vec![*start],
            Cells::Parts { starts, in_rows: false } => starts.clone(),
            _ => return,
        };
        let (some, known, is_all) = (self.label(), self.label(), self.int());
        let (kind, wide) = (Num::Unsigned, false);
        let lanes = self.constant((u32::MAX >> (32 - self.strip.lanes * self.strip.parts)).into());
        self.emit(Ins::Compare { test: Test::Eq, kind, wide, d: is_all, a: event.lanes, b: lanes });
        self.emit(Ins::JumpIf { zero: true, s: is_all, to: some });
        let limits = Quick::LIMITS[usize::from(stamped.own)];
        let start = self.quick_int(event.quick, Scalar::U32, limits + Quick::START);
        let mut all = Vec::new();
        for word in 0..stamped.in_plane() / 4 {
            all.extend(starts.iter().enumerate().map(|(nth, &start)| (nth as u32, start, word)));
        }
        let mem = |plane: Plane, start: Reg, word: u32| {
            let (base, disp) = (MemBase::Reg(planes[plane as usize]), 4 * word as i32);
            MemRef { base, index: Some(start), disp }
        };
        let unless = |this: &mut Self, test: Test, (a, b): (Reg, Reg), to: Label| {
            let d = this.int();
            this.emit(Ins::Compare { test, kind, wide, d, a, b });
            this.emit(Ins::JumpIf { zero: true, s: d, to });
        };
        let from = Scalar::U32;
        for (plane, to) in [(Plane::Writer, some), (Plane::First, known)] {
            for &(_, at, word) in &all {
                let stamp = self.int();
                self.emit(Ins::LoadInt { from, d: stamp, mem: mem(plane, at, word) });
                unless(self, Test::Lt, (stamp, start), to);
            }
        }
        let site = self.known_site(stamped, event.quick);
        let class = class_of(stamped.kind);
        // One stamp stands for all lanes if there is one address, else one for those of each part.
        let last = self.strip.lanes * (self.strip.parts + 1 - starts.len() as u32);
        for (plane, class, back) in [(Plane::First, class, 1), (Plane::Second, OF_LANES, 2)] {
            for &(nth, at, word) in &all {
                let lane = last + nth * self.strip.lanes - back;
                let s = self.plus_constant(event.next, (class | lane).into());
                self.emit(Ins::StoreInt { bytes: 4, mem: mem(plane, at, word), s });
            }
        }
        self.log(event, site);
        self.emit(Ins::Jump(end));
        self.emit(Ins::Label(known));
        let (since, level) = match stamped.own {
            true => (self.quick_int(event.quick, from, limits + Quick::PHASE), OF_WAVES),
            false => (start, OF_GROUPS),
        };
        let [level, mine] = [level, class].map(|number| self.constant(number.into()));
        for &(_, at, word) in &all {
            let [first, second] = [Plane::First, Plane::Second].map(|plane| {
                let d = self.int();
                self.emit(Ins::LoadInt { from, d, mem: mem(plane, at, word) });
                d
            });
            unless(self, Test::Le, (since, second), some);
            for (stamp, bits, number) in [(second, None, level), (first, Some(CLASS), mine)] {
                let low = self.int();
                match bits {
                    Some(bits) => {
                        let imm = bits as i32;
                        self.emit(Ins::IntImm { op: IntOp::And, wide, d: low, a: stamp, imm });
                    }
                    None => {
                        self.emit(Ins::Int { op: IntOp::And, wide, d: low, a: stamp, b: number });
                    }
                }
                unless(self, Test::Eq, (low, number), some);
            }
        }
        self.emit(Ins::Jump(end));
        self.emit(Ins::Label(some));
    }

    /// The same of two vectors that access one row, as rows of threads in a tile do that need the same column or row of another one: only one vector
    /// of stamps is tested, and the lanes of the second vector are in the first stamps. In threadgroup memory also the second SIMD-group of a phase
    /// that accesses the row.
    pub(super) fn shared_in_one_row(
        &mut self,
        stamped: &Stamped<'_>,
        event: Event,
        planes: Planes,
        cells: &Cells,
        end: Label,
    ) {
        let Cells::Parts { starts, in_rows: true } = cells else { return };
        let (&[one, two], true) = (&starts[..], self.strip.lanes == 16) else { return };
        let [others, untouched, second_group] = [(); 3].map(|()| self.label());
        let lanes = self.constant(u32::MAX.into());
        for (wide, a, b) in [(true, one, two), (false, event.lanes, lanes)] {
            let (test, kind, d) = (Test::Eq, Num::Unsigned, self.int());
            self.emit(Ins::Compare { test, kind, wide, d, a, b });
            self.emit(Ins::JumpIf { zero: true, s: d, to: others });
        }
        let class = class_of(stamped.kind);
        let start = self.start(event.quick, stamped.own);
        let [writer, first] = [Plane::Writer, Plane::First]
            .map(|plane| self.load_stamps(planes[plane as usize], cells, 0, 0));
        // Nothing to do is the most frequent of all.
        let over = self.is(Test::Lt, writer, start);
        let (since, level) = match stamped.own {
            true => {
                let at = Quick::LIMITS[1] + Quick::PHASE;
                (self.quick_lanes(event.quick, at), OF_WAVES)
            }
            false => (start, OF_GROUPS),
        };
        let [level, bits, mine] = [level, CLASS, class].map(|bits| self.lane_constant(bits));
        let second = self.load_stamps(planes[Plane::Second as usize], cells, 0, 0);
        let recent = self.is(Test::Le, since, second);
        let of_second = self.lane2(Lane2::And, second, level);
        let enough = self.is(Test::Eq, of_second, level);
        let of_first = self.lane2(Lane2::And, first, bits);
        let alike = self.is(Test::Eq, of_first, mine);
        let usual = self.both(MaskOp::And, over, alike);
        let both = self.both(MaskOp::And, recent, enough);
        let good = self.both(MaskOp::And, usual, both);
        // `AndNot` is the second where the first is false.
        let rest = self.both(MaskOp::AndNot, good, self.exec[0]);
        let masks = self.all_parts(&[rest]);
        self.emit(Ins::JumpNone { masks, to: end });
        let new = self.is(Test::Lt, first, start);
        let none = self.both(MaskOp::And, over, new);
        let rest = self.both(MaskOp::AndNot, none, self.exec[0]);
        let masks = self.all_parts(&[rest]);
        self.emit(Ins::JumpNone { masks, to: untouched });
        if stamped.own {
            let wave = self.quick_lanes(event.quick, Quick::LIMITS[1] + Quick::WAVE);
            let (earlier, known) =
                (self.is(Test::Lt, first, wave), self.is(Test::Le, start, first));
            let alone = self.both(MaskOp::AndNot, both, usual);
            let good =
                [earlier, known].into_iter().fold(alone, |a, b| self.both(MaskOp::And, a, b));
            let rest = self.both(MaskOp::AndNot, good, self.exec[0]);
            let masks = self.all_parts(&[rest]);
            self.emit(Ins::JumpNone { masks, to: second_group });
        }
        self.emit(Ins::Jump(others));
        if stamped.own {
            self.emit(Ins::Label(second_group));
            let site = self.known_site(stamped, event.quick);
            let stamps = self.new_stamps(event, OF_WAVES, 1);
            self.store_stamps(planes[Plane::Second as usize], cells, 0, 0, stamps, self.exec[0]);
            self.log(event, site);
            self.emit(Ins::Jump(end));
        }
        self.emit(Ins::Label(untouched));
        let site = self.known_site(stamped, event.quick);
        for (plane, class, part) in [(Plane::First, class, 1), (Plane::Second, OF_LANES, 0)] {
            let stamps = self.new_stamps(event, class, part);
            self.store_stamps(planes[plane as usize], cells, 0, 0, stamps, self.exec[0]);
        }
        self.log(event, site);
        self.emit(Ins::Jump(end));
        self.emit(Ins::Label(others));
    }
}
