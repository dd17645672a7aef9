//! The launches of a tick.

use super::layout::{RingStep, head};
use super::message::bytes_of;
use crate::{Buffer, Pipeline};
use std::sync::Arc;

/// One launch of a tick.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) pipeline: Pipeline,
    pub(super) states: Arc<Buffer>,
    pub(super) first: u32,
    pub(super) members: u32,
    pub(super) groups: u32,
    pub(super) threads: u32,
}

/// The launches of a tick, until actors or lanes change.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) launches: Vec<Planned>,
    /// The actors, in the order of launches.
    pub(super) members: Vec<usize>,
    /// The buffers at indices 0 to 5.
    pub(super) buffers: [Arc<Buffer>; 6],
    pub(super) counts: u32,
    pub(super) grids: u32,
}

impl Plan {
    pub(super) fn encode(&self, batch: &crate::Batch<'_>, version: u64, count: u32) {
        for (index, buffer) in self.buffers.iter().enumerate() {
            batch.bind_buffer(buffer, 0, index);
        }
        let launches = self.launches.len() as u32;
        for tick in 0..count {
            for (number, launch) in (0..).zip(&self.launches) {
                let Planned { pipeline, states, first, members, groups, threads } = launch;
                batch.bind(pipeline);
                batch.bind_buffer(states, 0, 6);
                let step = RingStep {
                    version: version + u64::from(tick),
                    index: tick,
                    more: (tick + 1 < count).into(),
                    first: *first,
                    members: *members,
                    counts: self.counts,
                    launches,
                    grids: self.grids,
                    errors: head::ERRORS as u32,
                };
                batch.push(bytes_of(&step), 7);
                let threads = (*threads as usize, 1, 1);
                if tick == 0 {
                    batch.launch_groups((*groups as usize, 1, 1), threads);
                } else {
                    let grid = self.grids + (tick * launches + number) * 3;
                    batch.launch_indirect(&self.buffers[0], grid as usize * 4, threads);
                }
            }
        }
    }
}
