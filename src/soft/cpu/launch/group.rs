//! Runs threadgroups: by the code of the whole body, or their SIMD-groups in turns.

use super::shape::{active_lanes, positions, product, row_lanes};
use super::{Ended, Line, Worker};
use crate::soft::cpu::apart::Apart;
use crate::soft::cpu::interp::code::{self, Ins, LANES, Stop, Wrong};
use crate::soft::cpu::native::region::Run;
use crate::soft::cpu::watch::Verdict;
use crate::soft::ir::{Barrier, Input};

impl Worker<'_> {
    /// Runs threadgroups from a position on, at least one and at most a number of them. Returns how many have finished, and how the
    /// last one ended.
    pub(super) fn groups(&mut self, position: [u32; 3], most: u64) -> (u32, Ended) {
        if let Some(run) = self.code.body() {
            // A checker wants to know where each begins, unless the code says that it begins.
            let most = if self.probes.is_some() && !self.starts { 1 } else { most };
            return self.by_body(run, position, most);
        }
        match self.group(position) {
            Ok(()) => (1, Ok(())),
            ended => (0, ended),
        }
    }

    /// Runs threadgroups of one size side by side, by the code of the kernel's whole body.
    fn by_body(&mut self, run: &Run, position: [u32; 3], most: u64) -> (u32, Ended) {
        let size = self.go_to(position);
        let (full, grid) = (self.shared.launch.group[0], self.shared.launch.grid[0]);
        // Those that are not the last of a row have the same size.
        let side_by_side = if size[0] == full { grid / full - position[0] } else { 1 };
        let count = u64::from(side_by_side).min(most) as u32;
        let Some(machine) = run.machine(self.place.fit()) else {
            unreachable!("the launch found the code")
        };
        let threads = product(size) as u32;
        self.state.place = (&raw mut self.place).cast();
        let active = |wave| active_lanes(threads, wave);
        self.areas.lay_out(&mut self.state, machine, &mut self.waves, threads, active);
        (self.state.left, self.state.step, self.state.budget) = (count, full, self.budget);
        // SAFETY: the state describes this launch, whose memory is there while it runs.
        let ended = unsafe { machine.call_body(&raw mut self.state) };
        self.budget = self.state.budget;
        let done = count - self.state.left;
        if ended {
            return (done, Ok(()));
        }
        // SAFETY: the code stopped at one of the SIMD-groups.
        let stopped = unsafe { &*self.state.stopped };
        match stopped.stop {
            Stop::Fault(ip, lane, wrong) => {
                let number = stopped.number as usize;
                (done, Err(Some(self.report(number, ip, lane, wrong))))
            }
            _ => (done, Err(None)),
        }
    }

    /// Runs the threadgroup at a position.
    fn group(&mut self, position: [u32; 3]) -> Ended {
        let size = self.go_to(position);
        let threads = product(size) as u32;
        let waves = threads.div_ceil(LANES as u32);
        let initial = |wave| active_lanes(threads, wave);
        if self.code.has_barrier {
            self.in_rounds(waves, initial)
        } else {
            self.one_by_one(waves, initial)
        }
    }

    /// Sets what the threadgroup at a position has for all its threads, and returns its size.
    fn go_to(&mut self, position: [u32; 3]) -> [u32; 3] {
        let (grid, full) = (self.shared.launch.grid, self.shared.launch.group);
        let origin: [u32; 3] = std::array::from_fn(|d| position[d] * full[d]);
        let size: [u32; 3] = std::array::from_fn(|d| full[d].min(grid[d] - origin[d]));
        let threads = product(size) as u32;
        let waves = threads.div_ceil(LANES as u32);
        let shape = self.shapes.iter().position(|&(of, _)| of == size).unwrap_or_else(|| {
            self.shapes.push((size, positions(size)));
            self.shapes.len() - 1
        });
        if let Some(probes) = &mut self.probes {
            let [across, down, _] = self.shared.groups;
            probes.enter(position[0] + across * (position[1] + down * position[2]));
        }
        self.place.positions = self.shapes[shape].1.as_ptr();
        self.place.origin = origin;
        self.place.row_lanes = row_lanes(size);
        let inputs = &mut self.place.inputs;
        inputs[Input::ThreadgroupPositionInGrid as usize] = position;
        inputs[Input::ThreadsPerThreadgroup as usize] = size;
        inputs[Input::SimdgroupsPerThreadgroup as usize] = [waves, 1, 1];
        inputs[Input::QuadgroupsPerThreadgroup as usize] = [threads.div_ceil(4), 1, 1];
        size
    }

    /// Runs SIMD-groups without barriers, one after the other.
    fn one_by_one(&mut self, waves: u32, initial: impl Fn(u32) -> u32) -> Ended {
        let start = self.start();
        let mut left = u32::MAX >> (32 - waves);
        while left != 0 {
            let number = self.pick(left);
            left &= !(1 << number);
            let wave = &mut self.waves[0];
            wave.place = (&raw const self.place).cast();
            wave.number = number;
            wave.exec = initial(number);
            self.charge(1)?;
            // SAFETY: the frame is as large as the program says, and this thread's own.
            match unsafe { self.run(0, start, self.frames) } {
                Stop::End | Stop::Barrier(_) => {}
                Stop::Fault(ip, lane, wrong) => return Err(Some(self.report(0, ip, lane, wrong))),
                Stop::Aborted => return Err(None),
            }
        }
        Ok(())
    }

    /// The next of these SIMD-groups, a bit each.
    #[inline(always)]
    fn pick(&mut self, left: u32) -> u32 {
        match &mut self.random {
            Some(random) => random.bit(left),
            None => left.trailing_zeros(),
        }
    }

    /// Counts the work of code outside of loops, for `waves` SIMD-groups, and checks the watchdog if the budget is used up.
    #[inline(always)]
    fn charge(&mut self, waves: u32) -> Ended {
        self.budget -= i64::from(self.code.work) * i64::from(waves);
        if self.budget >= 0 {
            return Ok(());
        }
        match self.place.watch.check(&mut self.budget) {
            Verdict::Continue => Ok(()),
            Verdict::Aborted => Err(None),
            Verdict::TimedOut => Err(Some(self.report(0, self.start(), 0, Wrong::Watchdog))),
        }
    }

    /// Runs a SIMD-group until it stops.
    ///
    /// # Safety
    /// As [`code::run`].
    #[inline(always)]
    unsafe fn run(&mut self, number: usize, from: *const Ins, frame: *mut u8) -> Stop {
        let wave = &mut self.waves[number];
        wave.budget = self.budget;
        // SAFETY: the caller's.
        unsafe { code::run(from, frame, wave) };
        self.budget = wave.budget;
        wave.stop
    }

    /// Runs SIMD-groups with barriers, in rounds: each runs until it waits or ends.
    fn in_rounds(&mut self, waves: u32, initial: impl Fn(u32) -> u32) -> Ended {
        let frame = (self.code.frame_bytes as usize).next_multiple_of(size_of::<Line>());
        for number in 0..waves {
            let wave = &mut self.waves[number as usize];
            wave.place = (&raw const self.place).cast();
            wave.number = number;
            wave.exec = initial(number);
        }
        self.charge(waves)?;
        self.apart.iter_mut().for_each(Apart::begin);
        let strict = self.shared.launch.strict;
        let mut from = self.start();
        // A bit for each SIMD-group that has not ended.
        let mut going = u32::MAX >> (32 - waves);
        loop {
            let mut waiting = None;
            let mut ended = None;
            let mut left = going;
            while left != 0 {
                let number = self.pick(left) as usize;
                left &= !(1 << number);
                // SAFETY: each SIMD-group has its own frame.
                match unsafe { self.run(number, from, self.frames.add(frame * number)) } {
                    Stop::End => {
                        going &= !(1 << number);
                        ended = ended.or(Some(number));
                    }
                    Stop::Barrier(ip) => {
                        let missing = initial(number as u32) & !self.waves[number].exec;
                        if strict && missing != 0 {
                            let lane = missing.trailing_zeros();
                            return Err(Some(self.report(number, ip, lane, Wrong::Barrier)));
                        }
                        // All have to wait at the same barrier.
                        if waiting.is_some_and(|other| other != ip) {
                            return Err(Some(self.report(number, ip, 0, Wrong::Barrier)));
                        }
                        waiting = Some(ip);
                    }
                    Stop::Fault(ip, lane, wrong) => {
                        return Err(Some(self.report(number, ip, lane, wrong)));
                    }
                    Stop::Aborted => return Err(None),
                }
            }
            let Some(ip) = waiting else { return Ok(()) };
            if strict && let Some(number) = ended {
                // Report its first thread, as one that the others wait for.
                return Err(Some(self.report(number, ip, 0, Wrong::Barrier)));
            }
            // SAFETY: the SIMD-groups stopped at this instruction of the code.
            let flags = Barrier::from_imm(unsafe { (*ip).imm }).1;
            if flags.threadgroup()
                && let (Some(apart), Some(random)) = (&mut self.apart, &mut self.random)
            {
                apart.merge(random);
            }
            // SAFETY: a barrier is never a program's last instruction.
            from = unsafe { ip.add(1) };
        }
    }
}
