//! The launches of a tick.

use super::layout::{RingStep, head};
use super::message::bytes_of;
use super::places::declare;
use crate::{Buffer, Pipeline};
use std::sync::Arc;

/// One launch of a tick.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) pipeline: Pipeline,
    pub(super) states: Arc<Buffer>,
    /// Where its actors are in the list of edges, and in the plan's list of members.
    pub(super) first: u32,
    pub(super) start: usize,
    pub(super) members: u32,
    pub(super) groups: u32,
    /// The threadgroups of one actor.
    pub(super) alone: u32,
    pub(super) threads: u32,
}

/// The launches of a tick, until actors or lanes change.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) launches: Vec<Planned>,
    /// The actors, in the order of launches.
    pub(super) members: Vec<usize>,
    /// The buffers that kernels find by their addresses.
    pub(super) reached: Vec<Arc<Buffer>>,
    /// The buffers at indices 0 to 5.
    pub(super) buffers: [Arc<Buffer>; 6],
    pub(super) counts: u32,
    pub(super) grids: u32,
}

impl Plan {
    /// Encodes a number of ticks.
    pub(super) fn encode(&self, batch: &crate::Batch<'_>, version: u64, count: u32) {
        self.bind(batch);
        let launches = self.launches.len() as u32;
        for tick in 0..count {
            for (number, launch) in (0..).zip(&self.launches) {
                let step = RingStep {
                    version: version + u64::from(tick),
                    index: tick,
                    more: (tick + 1 < count).into(),
                    ..self.step(launch)
                };
                launch.bind(batch, &step);
                let threads = (launch.threads as usize, 1, 1);
                if tick == 0 {
                    batch.launch_groups((launch.groups as usize, 1, 1), threads);
                } else {
                    let grid = self.grids + (tick * launches + number) * 3;
                    batch.launch_indirect(&self.buffers[0], grid as usize * 4, threads);
                }
            }
        }
    }

    /// Encodes the part of a tick that one actor has, by its index among the members.
    pub(super) fn encode_part(&self, batch: &crate::Batch<'_>, version: u64, member: usize) {
        self.bind(batch);
        for launch in &self.launches {
            let Some(place) = member.checked_sub(launch.start) else { continue };
            if place < launch.members as usize {
                let first = launch.first + place as u32;
                let step = RingStep { version, first, members: 1, ..self.step(launch) };
                launch.bind(batch, &step);
                let threads = (launch.threads as usize, 1, 1);
                batch.launch_groups((launch.alone as usize, 1, 1), threads);
            }
        }
    }

    fn bind(&self, batch: &crate::Batch<'_>) {
        for (index, buffer) in self.buffers.iter().enumerate() {
            batch.bind_buffer(buffer, 0, index);
        }
        declare(batch, &self.reached);
    }

    /// The arguments of a launch in the first tick of a submission.
    fn step(&self, launch: &Planned) -> RingStep {
        RingStep {
            version: 0,
            index: 0,
            more: 0,
            first: launch.first,
            members: launch.members,
            counts: self.counts,
            launches: self.launches.len() as u32,
            grids: self.grids,
            errors: head::ERRORS as u32,
        }
    }
}

impl Planned {
    fn bind(&self, batch: &crate::Batch<'_>, step: &RingStep) {
        batch.bind(&self.pipeline);
        batch.bind_buffer(&self.states, 0, 6);
        batch.push(bytes_of(step), 7);
    }
}
