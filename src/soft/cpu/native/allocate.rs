//! Register allocation: a linear scan over lives that are not split.
//!
//! A life is the interval from the first to the last instruction that names a register, extended over the
//! loops that carry it. When there are more lives than registers, the one that is used least for its length
//! is in memory instead, for all of it.

use crate::soft::sorted;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::lir::{Class, Code, Reg};

/// Where a virtual register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this register of its file.
    Register(u8),
    /// At this offset of the spill area, in bytes.
    Spill(u32),
    /// Where it was from the start, see [`Home`](super::lir::Home).
    Home,
    /// Nothing uses it.
    None,
}

/// The registers that may be allocated, by class.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) ints: &'static [u8],
    pub(crate) vectors: &'static [u8],
    /// `None` if masks are in vector registers.
    pub(crate) masks: Option<&'static [u8]>,
    /// Bytes of a vector that is spilled.
    pub(crate) vector_bytes: u32,
}

/// The result.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) places: Vec<Place>,
    /// The first and the last instruction that need each register.
    pub(crate) first: Vec<u32>,
    pub(crate) last: Vec<u32>,
    /// Bytes of the spill area.
    pub(crate) spill_bytes: u32,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    from: u32,
    to: u32,
    /// Uses, each counted more for every loop around it.
    weight: f32,
}

/// Assigns every virtual register to a register or to memory.
pub(crate) fn allocate(code: &Code, files: &Files) -> Allocation {
    let lives = lives(code);
    let mut order: Vec<u32> = (0..lives.len() as u32).collect();
    order.retain(|&index| lives[index as usize].from != u32::MAX);
    sorted::sort_by_key(&mut order, |&index| lives[index as usize].from);

    let mut scan = Scan {
        code,
        lives: &lives,
        places: vec![Place::None; lives.len()],
        files: [Vec::new(), Vec::new(), Vec::new()],
        free: [
            files.ints.iter().rev().copied().collect(),
            files.vectors.iter().rev().copied().collect(),
            files.masks.unwrap_or(&[]).iter().rev().copied().collect(),
        ],
        masks_are_vectors: files.masks.is_none(),
    };
    for &index in &order {
        scan.place(index);
    }
    let mut places = scan.places;
    let spill_bytes = spill(code, &lives, &order, &mut places, files);
    let first = lives.iter().map(|life| life.from).collect();
    let last = lives.iter().map(|life| life.to).collect();
    Allocation { places, first, last, spill_bytes }
}

/// How loops are nested.
struct Nest {
    /// The innermost loop around each instruction.
    innermost: Vec<u32>,
    /// The loop around each loop, and how many there are.
    outer: Vec<u32>,
    depths: Vec<u32>,
}

impl Nest {
    /// No loop.
    const NONE: u32 = u32::MAX;

    fn of(code: &Code) -> Self {
        let loops = &code.loops;
        let mut order: Vec<u32> = (0..loops.len() as u32).collect();
        // Outer before inner.
        sorted::sort_by_key(&mut order, |&number| {
            let (start, end) = loops[number as usize];
            (start, std::cmp::Reverse(end))
        });
        let mut nest = Self {
            innermost: vec![Self::NONE; code.code.len() + 1],
            outer: vec![Self::NONE; loops.len()],
            depths: vec![1; loops.len()],
        };
        let (mut open, mut next): (Vec<u32>, usize) = (Vec::new(), 0);
        for at in 0..nest.innermost.len() as u32 {
            while open.last().is_some_and(|&number| loops[number as usize].1 < at) {
                open.pop();
            }
            while let Some(&number) = order.get(next)
                && loops[number as usize].0 <= at
            {
                if let Some(&outer) = open.last() {
                    nest.outer[number as usize] = outer;
                    nest.depths[number as usize] = nest.depths[outer as usize] + 1;
                }
                open.push(number);
                next += 1;
            }
            nest.innermost[at as usize] = open.last().copied().unwrap_or(Self::NONE);
        }
        nest
    }

    fn depth(&self, at: usize) -> u32 {
        self.depths.get(self.innermost[at] as usize).copied().unwrap_or(0)
    }
}

/// The lives of all registers.
fn lives(code: &Code) -> Vec<Life> {
    let none = Life { from: u32::MAX, to: 0, weight: 0.0 };
    let mut lives = vec![none; code.regs.len()];
    let nest = Nest::of(code);
    for (at, ins) in code.code.iter().enumerate() {
        let weight = 8f32.powi(nest.depth(at).min(8) as i32);
        let mut touch = |reg: Reg, weight: f32| {
            let life = &mut lives[reg.0 as usize];
            life.from = life.from.min(at as u32);
            life.to = life.to.max(at as u32);
            life.weight += weight;
        };
        ins.each(&mut |reg| touch(reg, weight));
        use super::lir::Ins;
        // A slow path reads and writes registers up to where it continues; that it needs them costs nothing.
        match *ins {
            Ins::SiteEnd { site } | Ins::Barrier { site } => {
                code.sites[site as usize].each(&mut |reg| touch(reg, 0.0))
            }
            Ins::Call { site } => code.sites[site as usize].each(&mut |reg| touch(reg, weight)),
            _ => {}
        }
    }
    for (life, info) in lives.iter_mut().zip(&code.regs) {
        if life.from == u32::MAX {
            continue;
        }
        if info.home.is_some() {
            // It is loaded when the strip starts.
            life.from = 0;
        }
        // Only loops around an end of the life change it: those inside are in it, and those outside do not meet it.
        for at in [life.from, life.to] {
            let mut around = nest.innermost[at as usize];
            while around != Nest::NONE {
                let (start, end) = code.loops[around as usize];
                let enters = life.from < start && start <= life.to && life.to < end;
                let carries = info.carried && life.from <= end && start <= life.to;
                if enters || carries {
                    life.to = life.to.max(end);
                }
                if carries {
                    life.from = life.from.min(start);
                }
                around = nest.outer[around as usize];
            }
        }
    }
    lives
}

struct Scan<'a> {
    code: &'a Code,
    lives: &'a [Life],
    places: Vec<Place>,
    /// Lives that have a register now, of each file.
    files: [Vec<u32>; 3],
    free: [Vec<u8>; 3],
    masks_are_vectors: bool,
}

impl Scan<'_> {
    fn file(&self, index: u32) -> usize {
        match self.code.regs[index as usize].class {
            Class::Int => 0,
            Class::Vector => 1,
            Class::Mask if self.masks_are_vectors => 1,
            Class::Mask => 2,
        }
    }

    /// How much a register is worth to a life: its uses for its length.
    fn worth(&self, index: u32) -> f32 {
        let life = self.lives[index as usize];
        // A value that has a home is loaded when it is used, and never stored.
        let again = if self.code.regs[index as usize].home.is_some() { 0.7 } else { 1.0 };
        life.weight * again / (life.to - life.from + 1) as f32
    }

    fn place(&mut self, index: u32) {
        let file = self.file(index);
        let from = self.lives[index as usize].from;
        let (lives, places, free) = (self.lives, &self.places, &mut self.free[file]);
        self.files[file].retain(|&other| {
            let lasts = lives[other as usize].to >= from;
            if !lasts && let Place::Register(register) = places[other as usize] {
                free.push(register);
            }
            lasts
        });
        if let Some(register) = self.free[file].pop() {
            self.places[index as usize] = Place::Register(register);
            self.files[file].push(index);
            return;
        }
        let cheapest = self.files[file]
            .iter()
            .copied()
            .min_by(|&a, &b| self.worth(a).total_cmp(&self.worth(b)))
            .filter(|&other| self.worth(other) < self.worth(index));
        match cheapest {
            Some(other) => {
                self.places[index as usize] = self.places[other as usize];
                self.places[other as usize] = Place::Spill(0);
                self.files[file].retain(|&active| active != other);
                self.files[file].push(index);
            }
            None => self.places[index as usize] = Place::Spill(0),
        }
    }
}

/// Assigns spill slots to lives without a register.
fn spill(code: &Code, lives: &[Life], order: &[u32], places: &mut [Place], files: &Files) -> u32 {
    // Units of a vector, and of 8 bytes for integers and masks: the end of the last life in each, the earliest first.
    let (mut small, mut large) = (BinaryHeap::new(), BinaryHeap::new());
    let mut offsets = Vec::new();
    for &index in order {
        let info = code.regs[index as usize];
        if places[index as usize] != Place::Spill(0) {
            continue;
        }
        if info.home.is_some() && !info.carried {
            places[index as usize] = Place::Home;
            continue;
        }
        let vector = match info.class {
            Class::Int => false,
            Class::Vector => true,
            Class::Mask => files.masks.is_none(),
        };
        let units = if vector { &mut large } else { &mut small };
        let life = lives[index as usize];
        let free = units.peek().filter(|&&Reverse((end, _))| end < life.from);
        let unit = match free {
            Some(&Reverse((_, unit))) => {
                units.pop();
                unit
            }
            None => units.len() as u32,
        };
        units.push(Reverse((life.to, unit)));
        offsets.push((index, vector, unit));
    }
    let large_bytes = large.len() as u32 * files.vector_bytes;
    for (index, vector, unit) in offsets {
        let offset = if vector { unit * files.vector_bytes } else { large_bytes + unit * 8 };
        places[index as usize] = Place::Spill(offset);
    }
    (large_bytes + small.len() as u32 * 8).next_multiple_of(64)
}
