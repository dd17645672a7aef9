//! Inputs of threads, which the code of a whole body reads from the threadgroup that runs.

use super::Selection;
use crate::soft::cpu::interp::input::Positions;
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::phases::is_common_input;
use crate::soft::cpu::native::region::Layout;
use crate::soft::ir::{Input, Scalar};

/// Registers that inputs have in common, once one needed them.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    place: Option<Reg>,
    /// Where the positions of the strip's first lane are.
    positions: Option<Reg>,
    /// The number of the strip's first lane in the SIMD-group, and in the threadgroup.
    first: Option<Reg>,
    index: Option<Reg>,
}

impl Inputs {
    /// Forgets what belongs to a strip in a phase.
    pub(super) fn forget_strip(&mut self) {
        *self = Self { place: self.place, ..Self::default() };
    }
}

/// Bytes of the positions in one dimension.
const DIMENSION: i32 = 32 * 4;

impl Selection<'_> {
    /// Loads what is the same in all threadgroups of a call.
    fn common_load(&mut self, from: Scalar, base: MemBase, disp: i32) -> Reg {
        let (d, mem) = (self.int(), MemRef { base, index: None, disp });
        self.head.push(Ins::LoadInt { from, d, mem });
        d
    }

    fn group_load(&mut self, from: Scalar, base: MemBase, disp: i32) -> Reg {
        let (d, mem) = (self.int(), MemRef { base, index: None, disp });
        self.group_head.push(Ins::LoadInt { from, d, mem });
        d
    }

    fn strip_load(&mut self, from: Scalar, base: MemBase, disp: i32) -> Reg {
        let (d, mem) = (self.int(), MemRef { base, index: None, disp });
        self.strip_head.push(Ins::LoadInt { from, d, mem });
        d
    }

    fn strip_int(&mut self, op: IntOp, wide: bool, a: Reg, b: Reg) -> Reg {
        let d = self.int();
        self.strip_head.push(Ins::Int { op, wide, d, a, b });
        d
    }

    fn strip_imm(&mut self, op: IntOp, a: Reg, imm: i32) -> Reg {
        let d = self.int();
        self.strip_head.push(Ins::IntImm { op, wide: true, d, a, imm });
        d
    }

    /// The threadgroup's place.
    fn place(&mut self) -> Reg {
        if let Some(place) = self.inputs.place {
            return place;
        }
        let place = self.common_load(Scalar::U64, MemBase::Wave, Layout::PLACE);
        *self.inputs.place.insert(place)
    }

    /// Four times the strip's first lane.
    fn first(&mut self) -> Reg {
        if let Some(first) = self.inputs.first {
            return first;
        }
        let d = self.int();
        self.strip_head.push(Ins::FirstLane { d });
        *self.inputs.first.insert(d)
    }

    /// The number of the strip's first thread in the threadgroup.
    fn index(&mut self) -> Reg {
        if let Some(index) = self.inputs.index {
            return index;
        }
        if self.is_first_strip() {
            return self.constant(0);
        }
        let number = self.strip_load(Scalar::U32, MemBase::Wave, Layout::NUMBER);
        let scaled = self.strip_imm(IntOp::Shl, number, 5);
        if self.strip.lanes * self.strip.parts == 32 {
            return *self.inputs.index.insert(scaled);
        }
        let first = self.first();
        let lane = self.strip_imm(IntOp::Shr, first, 2);
        let index = self.strip_int(IntOp::Add, true, scaled, lane);
        *self.inputs.index.insert(index)
    }

    /// Where the positions of the strip's first lane are.
    fn positions(&mut self) -> Reg {
        if let Some(positions) = self.inputs.positions {
            return positions;
        }
        let place = self.place();
        let table = self.common_load(Scalar::U64, MemBase::Reg(place), Layout::POSITIONS);
        let number = self.strip_load(Scalar::U32, MemBase::Wave, Layout::NUMBER);
        let at = self.strip_imm(IntOp::Mul, number, size_of::<Positions>() as i32);
        let wave = self.strip_int(IntOp::Add, true, table, at);
        let first = self.first();
        let positions = self.strip_int(IntOp::Add, true, wave, first);
        *self.inputs.positions.insert(positions)
    }

    fn origin(&mut self, component: u32) -> Reg {
        let place = self.place();
        self.group_load(Scalar::U32, MemBase::Reg(place), Layout::ORIGIN + component as i32 * 4)
    }

    /// An input as a number: of what rises, the first lane's.
    pub(super) fn input_number(&mut self, imm: u64) -> Reg {
        let Some((input, component)) = Input::from_imm(imm) else { return self.constant(0) };
        match input {
            Input::ThreadPositionInThreadgroup if self.strip.line => match component {
                0 => self.index(),
                _ => self.constant(0),
            },
            Input::ThreadPositionInGrid if self.strip.line => {
                let origin = self.origin(component);
                if component != 0 {
                    return origin;
                }
                let index = self.index();
                self.strip_int(IntOp::Add, false, index, origin)
            }
            Input::ThreadPositionInGrid | Input::ThreadPositionInThreadgroup => {
                let positions = MemBase::Reg(self.positions());
                let position =
                    self.strip_load(Scalar::U32, positions, component as i32 * DIMENSION);
                if input == Input::ThreadPositionInThreadgroup {
                    return position;
                }
                let origin = self.origin(component);
                self.strip_int(IntOp::Add, false, position, origin)
            }
            Input::ThreadIndexInThreadgroup => self.index(),
            Input::ThreadIndexInSimdgroup => {
                let first = self.first();
                self.strip_imm(IntOp::Shr, first, 2)
            }
            Input::QuadgroupIndexInThreadgroup => {
                let index = self.index();
                self.strip_imm(IntOp::Shr, index, 2)
            }
            Input::ThreadIndexInQuadgroup => self.constant(0),
            Input::SimdgroupIndexInThreadgroup => {
                self.strip_load(Scalar::U32, MemBase::Wave, Layout::NUMBER)
            }
            _ => {
                let place = self.place();
                let disp = Layout::INPUTS + (input as i32 * 3 + component as i32) * 4;
                match input {
                    Input::ThreadgroupPositionInGrid => {
                        self.group_load(Scalar::U32, MemBase::Reg(place), disp)
                    }
                    _ => self.common_load(Scalar::U32, MemBase::Reg(place), disp),
                }
            }
        }
    }

    /// An input in lanes.
    pub(super) fn input_lanes(&mut self, imm: u64) -> Vec<Reg> {
        let number = |selection: &mut Self| {
            let (s, d) = (selection.input_number(imm), selection.lane());
            let head = match Input::from_imm(imm) {
                Some((Input::ThreadgroupPositionInGrid, _)) => &mut selection.group_head,
                _ if is_common_input(imm) => &mut selection.head,
                _ => &mut selection.strip_head,
            };
            head.push(Ins::Spread { d, s });
            d
        };
        let (lanes, parts) = (self.strip.lanes, self.strip.parts);
        let Some((input, component)) = Input::from_imm(imm) else {
            return vec![number(self); parts as usize];
        };
        let plus = |selection: &mut Self, a: Reg, b: Reg| {
            let d = selection.lane();
            selection.strip_head.push(Ins::Lane2 { op: Lane2::Add, d, a, b });
            d
        };
        let in_line = matches!(
            input,
            Input::ThreadPositionInGrid | Input::ThreadPositionInThreadgroup if self.strip.line
        );
        match input {
            Input::ThreadPositionInGrid | Input::ThreadPositionInThreadgroup if !in_line => {
                let base = MemBase::Reg(self.positions());
                let origin = (input == Input::ThreadPositionInGrid).then(|| {
                    let (s, d) = (self.origin(component), self.lane());
                    self.group_head.push(Ins::Spread { d, s });
                    d
                });
                let position = |part: u32| {
                    let disp = component as i32 * DIMENSION + (part * lanes * 4) as i32;
                    let (d, mem) = (self.lane(), MemRef { base, index: None, disp });
                    self.strip_head.push(Ins::Load { from: Scalar::U32, d, mem });
                    origin.map_or(d, |origin| plus(self, d, origin))
                };
                (0..parts).map(position).collect()
            }
            Input::ThreadIndexInQuadgroup => {
                let table = std::array::from_fn(|lane| lane as u32 % 4);
                vec![self.lane_home(Home::Table(table)); parts as usize]
            }
            Input::ThreadIndexInThreadgroup
            | Input::ThreadIndexInSimdgroup
            | Input::QuadgroupIndexInThreadgroup
            | Input::ThreadPositionInGrid
            | Input::ThreadPositionInThreadgroup
                if !in_line || component == 0 =>
            {
                let quads = input == Input::QuadgroupIndexInThreadgroup;
                let first = if quads {
                    let (s, d) = (self.index(), self.lane());
                    self.strip_head.push(Ins::Spread { d, s });
                    d
                } else {
                    number(self)
                };
                let index = |part: u32| {
                    let up = self.lane_home(Home::Iota { first: part * lanes, factor: 1 });
                    let a = plus(self, first, up);
                    if !quads {
                        return a;
                    }
                    let d = self.lane();
                    self.strip_head.push(Ins::Lane1 { op: Lane1::Shr(2), d, a });
                    d
                };
                (0..parts).map(index).collect()
            }
            _ => vec![number(self); parts as usize],
        }
    }
}
