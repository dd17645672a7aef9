//! Where a thread is in the launch: computed in the prologue.

use std::collections::HashMap;

use super::super::text::{Kind, Label, Reg, ptx};
use super::{Emit, layout, record};
use crate::soft::ir::{Input, internal_error};

/// The inputs that were computed, and the numbers that they come from.
#[derive(Default)]
pub(super) struct Inputs {
    known: HashMap<u64, Reg>,
    place: Option<ThreadPosition>,
    /// The number of the first launch that had a fault.
    faulted: Option<Reg>,
    /// The labels of the cold code, for few threadgroups and threads: where each part starts, and where it returns to.
    cold_labels: Option<[Label; 4]>,
}

/// Where the thread is.
#[derive(Clone, Copy)]
pub(super) struct ThreadPosition {
    /// Threads of the grid.
    grid: [Reg; 3],
    /// Threads of a full threadgroup.
    group: [Reg; 3],
    /// Threads of this threadgroup.
    size: [Reg; 3],
    /// The position of this threadgroup.
    at: [Reg; 3],
    /// Threadgroups of the grid.
    groups: [Reg; 3],
    /// The thread's position in the threadgroup.
    thread: [Reg; 3],
    /// The thread's number in the threadgroup.
    pub(super) index: Reg,
    /// Threads of this threadgroup, in all dimensions.
    threads: Reg,
}

const AXES: [&str; 3] = ["x", "y", "z"];

fn word(text: &mut super::Text) -> Reg {
    text.reg(Kind::Word)
}

fn three(text: &mut super::Text) -> [Reg; 3] {
    std::array::from_fn(|_| word(text))
}

/// Registers with a field of the parameter that has three dimensions.
fn field(text: &mut super::Text, offset: usize) -> [Reg; 3] {
    let regs = three(text);
    for (d, reg) in regs.iter().enumerate() {
        ptx!(text, "ld.param.u32 {reg}, [args+{}];", offset + 4 * d);
    }
    regs
}

impl ThreadPosition {
    /// Threads of this threadgroup, in all dimensions.
    pub(super) fn threads(&self) -> Reg {
        self.threads
    }

    /// Of a thread of a full threadgroup, whose positions are the hardware's. The numbers are computed by [`number`](Self::number).
    /// For tensor cores the lanes have other numbers than the hardware's.
    fn common(text: &mut super::Text, tensor: bool) -> Self {
        let [grid, group, groups] =
            [layout::GRID, layout::GROUP, layout::GROUPS].map(|offset| field(text, offset));
        let [size, at, thread] = [three(text), three(text), three(text)];
        for (d, axis) in AXES.into_iter().enumerate() {
            ptx!(text, "mov.u32 {}, %ctaid.{axis};", at[d]);
            ptx!(text, "mov.u32 {}, %tid.{axis};", thread[d]);
            ptx!(text, "mov.u32 {}, {};", size[d], group[d]);
        }
        if tensor {
            super::tensor::number_lanes(text, thread[0]);
        }
        Self { grid, group, size, at, groups, thread, index: word(text), threads: word(text) }
    }

    /// The same, wherever the thread is: where a launch is cut into several the positions of threadgroups have another origin, and a
    /// smaller threadgroup at an edge numbers its own threads. Threads that are too many end.
    fn correct(&self, text: &mut super::Text) {
        let Self { grid, group, size, at, thread, .. } = *self;
        let (origin, edges) = (field(text, layout::ORIGIN), field(text, layout::EDGES));
        let (smaller, outside) = (text.reg(Kind::Predicate), text.reg(Kind::Predicate));
        let done = text.label();
        for d in 0..3 {
            let (or, before) = match d {
                0 => ("", String::new()),
                _ => (".or", format!(", {smaller}")),
            };
            ptx!(text, "add.u32 {}, {}, {};", at[d], at[d], origin[d]);
            ptx!(text, "setp.ge{or}.u32 {smaller}, {}, {}{before};", at[d], edges[d]);
        }
        ptx!(text, "@!{smaller} bra {done};");
        let (own, deep, row, all) = (word(text), word(text), word(text), word(text));
        for d in 0..3 {
            let (start, left) = (word(text), word(text));
            ptx!(text, "mul.lo.u32 {start}, {}, {};", at[d], group[d]);
            ptx!(text, "sub.u32 {left}, {}, {start};", grid[d]);
            ptx!(text, "min.u32 {}, {left}, {};", size[d], group[d]);
        }
        ptx!(text, "mul.lo.u32 {row}, {}, {};", size[0], size[1]);
        ptx!(text, "mul.lo.u32 {all}, {row}, {};", size[2]);
        ptx!(text, "mov.u32 {own}, %ntid.x;");
        ptx!(text, "mov.u32 {deep}, %ntid.y;");
        ptx!(text, "mad.lo.u32 {deep}, {deep}, {}, {};", thread[2], thread[1]);
        ptx!(text, "mad.lo.u32 {own}, {own}, {deep}, {};", thread[0]);
        ptx!(text, "setp.ge.u32 {outside}, {own}, {all};");
        ptx!(text, "@{outside} exit;");
        ptx!(text, "rem.u32 {}, {own}, {};", thread[0], size[0]);
        ptx!(text, "div.u32 {}, {own}, {};", thread[1], size[0]);
        ptx!(text, "rem.u32 {}, {}, {};", thread[1], thread[1], size[1]);
        ptx!(text, "div.u32 {}, {own}, {row};", thread[2]);
        text.place(done);
    }

    /// The thread's number, and that of threads.
    fn number(&self, text: &mut super::Text) {
        let Self { size, thread, index, threads, .. } = *self;
        let deep = word(text);
        ptx!(text, "mad.lo.u32 {deep}, {}, {}, {};", thread[2], size[1], thread[1]);
        ptx!(text, "mad.lo.u32 {index}, {deep}, {}, {};", size[0], thread[0]);
        ptx!(text, "mul.lo.u32 {threads}, {}, {};", size[0], size[1]);
        ptx!(text, "mul.lo.u32 {threads}, {threads}, {};", size[2]);
    }

    /// The same, computed where faults are recorded, so that the kernel itself need not: the thread's position in the grid, its
    /// number, and the number of its threadgroup, from 1.
    pub(super) fn of_fault(text: &mut super::Text, tensor: bool) -> ([Reg; 3], Reg, Reg) {
        let place = Self::common(text, tensor);
        place.correct(text);
        place.number(text);
        let position = three(text);
        for (d, reg) in position.iter().enumerate() {
            let Self { at, group, thread, .. } = place;
            ptx!(text, "mad.lo.u32 {reg}, {}, {}, {};", at[d], group[d], thread[d]);
        }
        let wide = |text: &mut super::Text, from: Reg| {
            let reg = text.reg(Kind::Long);
            ptx!(text, "cvt.u64.u32 {reg}, {from};");
            reg
        };
        let number = wide(text, place.at[2]);
        for d in [1, 0] {
            let (groups, at) = (wide(text, place.groups[d]), wide(text, place.at[d]));
            ptx!(text, "mad.lo.u64 {number}, {number}, {groups}, {at};");
        }
        ptx!(text, "add.u64 {number}, {number}, 1;");
        (position, place.index, number)
    }
}

impl Emit<'_> {
    /// The start of the kernel: where the thread is, and whether the launch is skipped because one before it had a fault. What
    /// a kernel does not use of it the assembler removes.
    pub(super) fn start(&mut self) {
        let cold_labels: [Label; 4] = std::array::from_fn(|_| self.text.label());
        let super::Options { tensor, regular, .. } = self.options;
        let (place, faulted) = self.text.early(|text| {
            let place = ThreadPosition::common(text, tensor);
            if !regular {
                let [correct, corrected, ..] = cold_labels;
                let (special, is_special) = (word(text), text.reg(Kind::Predicate));
                ptx!(text, "ld.param.u32 {special}, [args+{}];", layout::SPECIAL);
                ptx!(text, "setp.ne.u32 {is_special}, {special}, 0;");
                ptx!(text, "@{is_special} bra {correct};");
                text.place(corrected);
            }
            place.number(text);
            let (to, faulted) = (text.reg(Kind::Long), word(text));
            let (own, follows) = (word(text), text.reg(Kind::Predicate));
            // The first launch of a sequence has no earlier one.
            ptx!(text, "ld.param.u32 {own}, [args+{}];", layout::NUMBER);
            ptx!(text, "setp.ne.u32 {follows}, {own}, 1;");
            ptx!(text, "mov.b32 {faulted}, -1;");
            ptx!(text, "ld.param.u64 {to}, [args+{}];", layout::FAULTED);
            ptx!(text, "@{follows} ld.global.u32 {faulted}, [{to}];");
            (place, faulted)
        });
        self.inputs.place = Some(place);
        self.inputs.faulted = Some(faulted);
        self.inputs.cold_labels = Some(cold_labels);
    }

    /// Code that few threads run at the start, placed after the kernel's end.
    pub(super) fn cold_prologue(&mut self) {
        let (place, text) = (self.thread_position(), &mut self.text);
        let Some([correct, corrected, note, noted]) = self.inputs.cold_labels else { return };
        if !self.options.regular {
            text.place(correct);
            place.correct(text);
            ptx!(text, "bra {corrected};");
        }
        if !self.flow.noted() {
            return;
        }
        text.place(note);
        let (origin, [y, z, ..]) = (field(text, layout::ORIGIN), three(text));
        let (mask, row, number, any) = (word(text), word(text), word(text), word(text));
        let (notes, to) = (text.reg(Kind::Predicate), text.reg(Kind::Long));
        for (reg, d) in [(y, 1), (z, 2)] {
            ptx!(text, "mov.u32 {reg}, %ctaid.{};", AXES[d]);
            ptx!(text, "add.u32 {reg}, {reg}, {};", origin[d]);
        }
        ptx!(text, "mad.lo.u32 {row}, {z}, {}, {y};", place.groups[1]);
        ptx!(text, "ld.param.u32 {mask}, [args+{}];", layout::PROGRESS_MASK + 4);
        ptx!(text, "and.b32 {any}, {row}, {mask};");
        // One thread only: stores to one address wait for each other.
        for axis in &AXES {
            let thread = word(text);
            ptx!(text, "mov.u32 {thread}, %tid.{axis};");
            ptx!(text, "or.b32 {any}, {any}, {thread};");
        }
        ptx!(text, "setp.eq.u32 {notes}, {any}, 0;");
        ptx!(text, "mad.lo.u32 {number}, {row}, {}, {};", place.groups[0], place.at[0]);
        // From 1, so that the first differs from the word before the launch.
        ptx!(text, "add.u32 {number}, {number}, 1;");
        ptx!(text, "ld.param.u64 {to}, [args+{}];", layout::PROGRESS);
        ptx!(text, "@{notes} st.relaxed.gpu.global.u32 [{to}], {number};");
        // The first threadgroup of a sequence of launches notes the time, which takes long to read.
        let (launch, first, time) = (word(text), text.reg(Kind::Predicate), text.reg(Kind::Long));
        ptx!(text, "ld.param.u32 {launch}, [args+{}];", layout::NUMBER);
        ptx!(text, "max.u32 {launch}, {launch}, {number};");
        ptx!(text, "setp.eq.and.u32 {first}, {launch}, 1, {notes};");
        // A single threadgroup does not, since its work may be shorter than that: the host measures how long such a sequence takes.
        let (groups, [x, y, z]) = (word(text), place.groups);
        ptx!(text, "or.b32 {groups}, {x}, {y};");
        ptx!(text, "or.b32 {groups}, {groups}, {z};");
        ptx!(text, "setp.ne.and.u32 {first}, {groups}, 1, {first};");
        ptx!(text, "@!{first} bra {noted};");
        ptx!(text, "ld.param.u64 {to}, [args+{}];", layout::RECORD);
        ptx!(text, "mov.u64 {time}, %globaltimer;");
        ptx!(text, "st.relaxed.gpu.global.u64 [{to}+{}], {time};", record::BEGAN);
        ptx!(text, "bra {noted};");
    }

    /// Where the thread is.
    pub(super) fn thread_position(&self) -> ThreadPosition {
        match self.inputs.place {
            Some(place) => place,
            None => internal_error("PTX: an input before the start of the kernel".to_owned()),
        }
    }

    /// The threadgroup notes that it has started, for the watchdog.
    pub(super) fn note_start(&mut self) {
        let Some([.., note, noted]) = self.inputs.cold_labels else { return };
        let text = &mut self.text;
        let (mask, at, notes) = (word(text), word(text), text.reg(Kind::Predicate));
        // All threads of a threadgroup branch: where only some might, each SIMD-group would wait for them afterwards.
        ptx!(text, "ld.param.u32 {mask}, [args+{}];", layout::PROGRESS_MASK);
        ptx!(text, "mov.u32 {at}, %ctaid.x;");
        ptx!(text, "and.b32 {at}, {at}, {mask};");
        ptx!(text, "setp.eq.u32 {notes}, {at}, 0;");
        ptx!(text, "@{notes} bra.uni {note};");
        text.place(noted);
    }

    /// Ends the thread if an earlier launch had a fault. A fault of this one may be there already: so the word may be cached.
    pub(super) fn end_if_skipped(&mut self) {
        let Some(faulted) = self.inputs.faulted else { return };
        let (own, skips) = (self.text.reg(Kind::Word), self.text.reg(Kind::Predicate));
        ptx!(self.text, "ld.param.u32 {own}, [args+{}];", layout::NUMBER);
        ptx!(self.text, "setp.lt.u32 {skips}, {faulted}, {own};");
        ptx!(self.text, "@{skips} exit;");
    }

    /// The register of one component of an input.
    pub(super) fn input(&mut self, imm: u64) -> Reg {
        if let Some(reg) = self.inputs.known.get(&imm) {
            return *reg;
        }
        let Some((input, component)) = Input::from_imm(imm) else {
            internal_error(format!("PTX: no input has the number {imm}"))
        };
        let reg = self.compute_input(input, component as usize);
        self.inputs.known.insert(imm, reg);
        reg
    }

    fn compute_input(&mut self, input: Input, d: usize) -> Reg {
        let place = self.thread_position();
        let constant = |emit: &mut Self, bits: u64| emit.bits(Kind::Word, bits);
        let shift = |emit: &mut Self, from: Reg, round: u32, by: u32| {
            emit.text.early(|text| {
                let reg = text.reg(Kind::Word);
                ptx!(text, "add.u32 {reg}, {from}, {round};");
                ptx!(text, "shr.u32 {reg}, {reg}, {by};");
                reg
            })
        };
        let mask = |emit: &mut Self, from: Reg, mask: u32| {
            emit.text.early(|text| {
                let reg = text.reg(Kind::Word);
                ptx!(text, "and.b32 {reg}, {from}, {mask};");
                reg
            })
        };
        // Numbers of threads and groups are in the first component.
        let scalar = |emit: &mut Self, compute: &dyn Fn(&mut Self) -> Reg| {
            if d == 0 { compute(emit) } else { constant(emit, 1) }
        };
        let full = |emit: &mut Self| {
            emit.text.early(|text| {
                let reg = text.reg(Kind::Word);
                ptx!(text, "mul.lo.u32 {reg}, {}, {};", place.group[0], place.group[1]);
                ptx!(text, "mul.lo.u32 {reg}, {reg}, {};", place.group[2]);
                reg
            })
        };
        match input {
            Input::ThreadPositionInGrid => self.text.early(|text| {
                let reg = text.reg(Kind::Word);
                let (at, group, thread) = (place.at[d], place.group[d], place.thread[d]);
                ptx!(text, "mad.lo.u32 {reg}, {at}, {group}, {thread};");
                reg
            }),
            Input::ThreadPositionInThreadgroup => place.thread[d],
            Input::ThreadIndexInThreadgroup => place.index,
            Input::ThreadIndexInSimdgroup => mask(self, place.index, 31),
            Input::ThreadIndexInQuadgroup => mask(self, place.index, 3),
            Input::QuadgroupIndexInThreadgroup => shift(self, place.index, 0, 2),
            Input::SimdgroupIndexInThreadgroup => shift(self, place.index, 0, 5),
            Input::ThreadgroupPositionInGrid => place.at[d],
            Input::ThreadsPerGrid | Input::GridSize => place.grid[d],
            Input::ThreadsPerThreadgroup => place.size[d],
            Input::DispatchThreadsPerThreadgroup => place.group[d],
            Input::ThreadgroupsPerGrid => place.groups[d],
            Input::SimdgroupsPerThreadgroup => {
                scalar(self, &|emit| shift(emit, place.threads, 31, 5))
            }
            Input::QuadgroupsPerThreadgroup => {
                scalar(self, &|emit| shift(emit, place.threads, 3, 2))
            }
            Input::DispatchSimdgroupsPerThreadgroup => scalar(self, &|emit| {
                let full = full(emit);
                shift(emit, full, 31, 5)
            }),
            Input::DispatchQuadgroupsPerThreadgroup => scalar(self, &|emit| {
                let full = full(emit);
                shift(emit, full, 3, 2)
            }),
            Input::ThreadsPerSimdgroup => constant(self, 32),
            Input::GridOrigin => constant(self, 0),
        }
    }

    /// The mask of the lanes of this SIMD-group that have threads.
    pub(super) fn first_mask(&mut self) -> Reg {
        if self.options.whole {
            return self.bits(Kind::Word, u32::MAX.into());
        }
        let place = self.thread_position();
        self.text.early(|text| {
            let (left, mask, full) =
                (text.reg(Kind::Word), text.reg(Kind::Word), text.reg(Kind::Predicate));
            ptx!(text, "and.b32 {left}, {}, -32;", place.index);
            ptx!(text, "sub.u32 {left}, {}, {left};", place.threads);
            ptx!(text, "mov.b32 {mask}, 1;");
            ptx!(text, "shl.b32 {mask}, {mask}, {left};");
            ptx!(text, "sub.u32 {mask}, {mask}, 1;");
            ptx!(text, "setp.ge.u32 {full}, {left}, 32;");
            ptx!(text, "selp.b32 {mask}, -1, {mask}, {full};");
            mask
        })
    }
}
