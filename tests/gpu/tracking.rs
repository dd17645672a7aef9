//! Command buffers in flight, and memory that they use, for tests of tracking.

use super::gpu::Rig;
use aruminium::objc::link::getpagesize;
use aruminium::{Buffer, Commands, Encoder, Queue, SharedEvent};
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// A command buffer that stays in flight until its gate is opened.
pub(crate) struct Held {
    pub(crate) commands: Commands,
    pub(crate) gate: SharedEvent,
}

impl Held {
    pub(crate) fn new(queue: &Queue, gate: SharedEvent) -> Self {
        let commands = queue.commands().unwrap();
        commands.wait_for(&gate, 1);
        Self { commands, gate }
    }

    pub(crate) fn of(rig: &Rig) -> Self {
        Self::new(&rig.queue, rig.gpu.shared_event().unwrap())
    }

    pub(crate) fn encode(rig: &Rig, record: impl FnOnce(&Encoder)) -> Self {
        let held = Self::of(rig);
        let encoder = held.commands.encoder().unwrap();
        record(&encoder);
        encoder.finish();
        held
    }

    pub(crate) fn submitted(rig: &Rig, record: impl FnOnce(&Encoder)) -> Self {
        let held = Self::encode(rig, record);
        held.commands.submit();
        held
    }

    pub(crate) fn finish(&self) {
        self.gate.set_signaled_value(1);
        self.commands.finish().unwrap();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.set_signaled_value(1);
    }
}

/// Whether the CPU may read and write a buffer now.
pub(crate) fn may(buffer: &Buffer) -> (bool, bool) {
    (buffer.try_read(|_| ()).is_ok(), buffer.try_write(|_| ()).is_ok())
}

pub(crate) const ALL: (bool, bool) = (true, true);
pub(crate) const READ_ONLY: (bool, bool) = (true, false);
pub(crate) const NOTHING: (bool, bool) = (false, false);

/// Pages of memory, freed on drop.
pub(crate) struct Pages(pub(crate) *mut u8, pub(crate) Layout);

impl Pages {
    pub(crate) fn new(count: usize) -> Self {
        let page = getpagesize() as usize;
        let layout = Layout::from_size_align(count * page, page).unwrap();
        // SAFETY: the layout has a size.
        Self(unsafe { alloc_zeroed(layout) }, layout)
    }

    pub(crate) fn wrap(&self, rig: &Rig, first: usize, count: usize) -> Buffer {
        let page = self.1.align();
        // SAFETY: the pages are there until all buffers and their work are gone, and they are only
        // used through the buffers.
        unsafe { rig.gpu.buffer_wrap(self.0.add(first * page).cast(), count * page) }.unwrap()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.0, self.1) }
    }
}
