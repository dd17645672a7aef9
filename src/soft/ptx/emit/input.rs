//! Where a thread is in the launch: computed in the prologue.

use std::collections::HashMap;

use super::super::text::{Kind, Reg, ptx};
use super::{Emit, layout};
use crate::soft::ir::{Input, internal_error};

/// The inputs that were computed, and the numbers that they come from.
#[derive(Default)]
pub(super) struct Inputs {
    known: HashMap<u64, Reg>,
    place: Option<Place>,
}

/// Where the thread is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Threads of the grid.
    grid: [Reg; 3],
    /// Threads of a full threadgroup.
    group: [Reg; 3],
    /// Threads of this threadgroup.
    size: [Reg; 3],
    /// The position of this threadgroup.
    pub(super) at: [Reg; 3],
    /// Threadgroups of the grid.
    groups: [Reg; 3],
    /// The thread's position in the threadgroup.
    thread: [Reg; 3],
    /// The thread's number in the threadgroup.
    pub(super) index: Reg,
    /// Threads of this threadgroup, in all dimensions.
    threads: Reg,
}

impl Place {
    /// Threads of this threadgroup, in all dimensions.
    pub(super) fn threads(&self) -> Reg {
        self.threads
    }
}

/// The number of a threadgroup, from 1.
pub(super) fn group_number(text: &mut super::Text, place: Place) -> Reg {
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
    number
}

impl Emit<'_> {
    /// The start of the kernel: threads outside of the grid end, and the mask of active lanes is set.
    pub(super) fn start(&mut self) {
        let place = self.text.early(|text| {
            let word = |text: &mut super::Text| text.reg(Kind::Word);
            let three = |text: &mut super::Text| std::array::from_fn::<Reg, 3, _>(|_| word(text));
            let (grid, group, origin) = (three(text), three(text), three(text));
            let fields = [(grid, layout::GRID), (group, layout::GROUP), (origin, layout::ORIGIN)];
            for (regs, offset) in fields {
                for (d, reg) in regs.iter().enumerate() {
                    ptx!(text, "ld.param.u32 {reg}, [args+{}];", offset + 4 * d);
                }
            }
            let (at, size, groups) = (three(text), three(text), three(text));
            for (d, axis) in ["x", "y", "z"].into_iter().enumerate() {
                let (left, start) = (word(text), word(text));
                ptx!(text, "mov.u32 {}, %ctaid.{axis};", at[d]);
                ptx!(text, "add.u32 {}, {}, {};", at[d], at[d], origin[d]);
                ptx!(text, "mul.lo.u32 {start}, {}, {};", at[d], group[d]);
                ptx!(text, "sub.u32 {left}, {}, {start};", grid[d]);
                ptx!(text, "min.u32 {}, {left}, {};", size[d], group[d]);
                ptx!(text, "ld.param.u32 {}, [args+{}];", groups[d], layout::GROUPS + 4 * d);
            }
            let (thread, index, threads, row) = (three(text), word(text), word(text), word(text));
            let (full, flat) = (word(text), word(text));
            ptx!(text, "mul.lo.u32 {row}, {}, {};", size[0], size[1]);
            ptx!(text, "mul.lo.u32 {threads}, {row}, {};", size[2]);
            ptx!(text, "mul.lo.u32 {full}, {}, {};", group[0], group[1]);
            ptx!(text, "mul.lo.u32 {full}, {full}, {};", group[2]);
            // In a full threadgroup the positions are the hardware's; a smaller one at an edge numbers its own threads.
            let (smaller, other) = (text.reg(Kind::Predicate), text.reg(Kind::Predicate));
            let (divide, ready) = (text.label(), text.label());
            for (d, axis) in ["x", "y", "z"].into_iter().enumerate() {
                ptx!(text, "mov.u32 {}, %tid.{axis};", thread[d]);
            }
            ptx!(text, "mov.u32 {index}, %ntid.x;");
            let deep = word(text);
            ptx!(text, "mov.u32 {deep}, %ntid.y;");
            ptx!(text, "mad.lo.u32 {deep}, {deep}, {}, {};", thread[2], thread[1]);
            ptx!(text, "mad.lo.u32 {index}, {index}, {deep}, {};", thread[0]);
            ptx!(text, "ld.param.u32 {flat}, [args+{}];", layout::FLAT);
            ptx!(text, "setp.ne.u32 {other}, {flat}, 0;");
            ptx!(text, "setp.ne.or.u32 {smaller}, {threads}, {full}, {other};");
            ptx!(text, "@{smaller} bra {divide};");
            ptx!(text, "bra {ready};");
            text.place(divide);
            ptx!(text, "setp.ge.u32 {other}, {index}, {threads};");
            ptx!(text, "@{other} exit;");
            ptx!(text, "rem.u32 {}, {index}, {};", thread[0], size[0]);
            ptx!(text, "div.u32 {}, {index}, {};", thread[1], size[0]);
            ptx!(text, "rem.u32 {}, {}, {};", thread[1], thread[1], size[1]);
            ptx!(text, "div.u32 {}, {index}, {row};", thread[2]);
            text.place(ready);
            Place { grid, group, size, at, groups, thread, index, threads }
        });
        self.inputs.place = Some(place);
        self.progress(place);
    }

    /// Where the thread is.
    pub(super) fn thread_place(&self) -> Place {
        match self.inputs.place {
            Some(place) => place,
            None => internal_error("PTX: an input before the start of the kernel".to_owned()),
        }
    }

    /// Ends the thread if an earlier launch had a fault, which is no news of this one: so the word may be cached. The first thread
    /// of a threadgroup notes that it has started, for the watchdog.
    fn progress(&mut self, place: Place) {
        self.text.early(|text| {
            let (skips, to, noted) =
                (text.reg(Kind::Predicate), text.reg(Kind::Long), text.label());
            let (own, faulted, low) =
                (text.reg(Kind::Word), text.reg(Kind::Word), text.reg(Kind::Word));
            ptx!(text, "ld.param.u64 {to}, [args+{}];", layout::FAULTED);
            ptx!(text, "ld.param.u32 {own}, [args+{}];", layout::NUMBER);
            ptx!(text, "ld.global.u32 {faulted}, [{to}];");
            ptx!(text, "setp.ne.u32 {skips}, {faulted}, 0;");
            ptx!(text, "setp.ne.and.u32 {skips}, {faulted}, {own}, {skips};");
            ptx!(text, "@{skips} exit;");
            ptx!(text, "setp.ne.u32 {skips}, {}, 0;", place.index);
            ptx!(text, "@{skips} bra {noted};");
            let number = group_number(text, place);
            ptx!(text, "ld.param.u32 {own}, [args+{}];", layout::PROGRESS_MASK);
            ptx!(text, "cvt.u32.u64 {low}, {number};");
            ptx!(text, "and.b32 {low}, {low}, {own};");
            ptx!(text, "setp.ne.u32 {skips}, {low}, 0;");
            ptx!(text, "@{skips} bra {noted};");
            ptx!(text, "ld.param.u64 {to}, [args+{}];", layout::PROGRESS);
            ptx!(text, "st.relaxed.gpu.global.u64 [{to}], {number};");
            text.place(noted);
        });
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
        let place = self.thread_place();
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
        let place = self.thread_place();
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
