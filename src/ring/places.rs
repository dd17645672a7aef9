//! The memory of actors' states: two for each actor, of which one is read and the other written.

use super::error::RingError;
use super::table::Table;
use crate::{Batch, Buffer, Gpu, ResourceUsage};
use std::sync::Arc;

/// How many actors of a ring may have states that handlers access in place: a launch reaches fewer than 2¹⁶ buffers.
pub(super) const MAX_IN_PLACE: usize = 32_000;

/// Places for the states of a kind's actors, by number.
#[derive(Debug)]
pub(super) struct Places {
    size: usize,
    count: u32,
    free: Vec<u32>,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    /// One buffer for all: the kernel copies a state to thread memory, calls handlers, and copies it back.
    Copied(Table<u8>),
    /// Handlers get references. Each state is in a buffer of its own, so that an access outside of it is a fault. The kernel
    /// finds a state by its address in a table, two for each place.
    InPlace(Vec<Table<u8>>, Table<u64>),
}

impl Places {
    pub(super) fn new(gpu: &Gpu, size: usize, in_place: bool) -> Result<Self, RingError> {
        let memory = if in_place {
            Memory::InPlace(Vec::new(), Table::new(gpu, 2)?)
        } else {
            Memory::Copied(Table::new(gpu, size * 2)?)
        };
        Ok(Self { size, count: 0, free: Vec::new(), memory })
    }

    /// Makes room for another actor.
    pub(super) fn reserve(&mut self, gpu: &Gpu) -> Result<(), RingError> {
        if !self.free.is_empty() {
            return Ok(());
        }
        let after = (self.count as usize + 1) * 2;
        match &mut self.memory {
            Memory::Copied(states) => states.reserve(gpu, after * self.size)?,
            Memory::InPlace(states, addresses) => {
                addresses.reserve(gpu, after)?;
                // Two, or none if there is no memory for both.
                let pair = [Table::new(gpu, self.size)?, Table::new(gpu, self.size)?];
                let first = states.len();
                addresses.write(first, &pair.each_ref().map(|state| state.buffer().gpu_address()));
                states.extend(pair);
            }
        }
        self.free.push(self.count);
        self.count += 1;
        Ok(())
    }

    /// Takes a place, after `reserve`. Faults name the actor's memory by the actor.
    pub(super) fn take(&mut self, actor: &str) -> u32 {
        let place = self.free.pop().expect("a place was reserved");
        if let Memory::InPlace(states, _) = &self.memory {
            for state in &states[place as usize * 2..][..2] {
                state.buffer().set_label(&format!("the state of actor {actor}"));
            }
        }
        place
    }

    /// Frees a place for another actor.
    pub(super) fn give_back(&mut self, place: u32) {
        self.free.push(place);
    }

    pub(super) fn read(&self, place: u32, side: u32) -> Vec<u8> {
        let index = (place * 2 + side) as usize;
        match &self.memory {
            Memory::Copied(states) => states.read(index * self.size, self.size),
            Memory::InPlace(states, _) => states[index].read(0, self.size),
        }
    }

    pub(super) fn write(&mut self, place: u32, side: u32, bytes: &[u8]) {
        let index = (place * 2 + side) as usize;
        match &mut self.memory {
            Memory::Copied(states) => states.write(index * self.size, bytes),
            Memory::InPlace(states, _) => states[index].write(0, bytes),
        }
    }

    /// The buffer that the kernel is bound to: the states, or their addresses.
    pub(super) fn table(&self) -> &Arc<Buffer> {
        match &self.memory {
            Memory::Copied(states) => states.buffer(),
            Memory::InPlace(_, addresses) => addresses.buffer(),
        }
    }

    /// The buffers of a place that the kernel finds by their addresses.
    pub(super) fn reached(&self, place: u32) -> impl Iterator<Item = Arc<Buffer>> {
        let states = match &self.memory {
            Memory::Copied(_) => &[][..],
            Memory::InPlace(states, _) => &states[place as usize * 2..][..2],
        };
        states.iter().map(|state| Arc::clone(state.buffer()))
    }

    pub(super) fn bytes(&self) -> usize {
        match &self.memory {
            Memory::Copied(states) => states.buffer().size(),
            Memory::InPlace(states, addresses) => {
                let all = states.iter().map(|state| state.buffer().size());
                all.sum::<usize>() + addresses.buffer().size()
            }
        }
    }
}

/// Declares the buffers of [`Places::reached`] to a batch.
pub(super) fn declare(batch: &Batch<'_>, reached: &[Arc<Buffer>]) {
    for buffer in reached {
        batch.use_resource(&**buffer, ResourceUsage::READ | ResourceUsage::WRITE);
    }
}
