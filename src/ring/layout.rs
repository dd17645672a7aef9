//! The structures that the host and the kernel of a tick share (`specs/ring.md`), declared once.

use crate::message;

message! {
    /// The header before each message in a slot. `tick.metal` writes it by vectors of four words.
    #[derive(Eq)]
    pub(super) struct RingHeader {
        sequence: u32,
        source: u32,
        correlation: [u32; 2],
        target: u32,
        kind: u32,
        length: u32,
        flags: u32,
        clock: u64,
        tick: u32,
        hops: u32,
        spare: [u32; 4],
    }

    /// The state of an actor after a tick, without its user data; one of two.
    pub(super) struct RingRecord {
        version: u64,
        clock: u64,
        handled: u64,
        stalls: u64,
        latency: u64,
        sent: u64,
        latency_min: u32,
        latency_max: u32,
        side: u32,
        now: u32,
        blocked: u32,
        spare: u32,
    }

    /// A ring of slots between two actors, or between one and the host.
    pub(super) struct RingLane {
        offset: u32,
        stride: u32,
        mask: u32,
        from: u32,
        to: u32,
        flags: u32,
        head: [u32; 2],
        tail: [u32; 2],
        burst: [u32; 2],
    }

    /// The data that the kernel reads about an actor.
    pub(super) struct RingSeat {
        ins: u32,
        in_count: u32,
        outs: u32,
        out_count: u32,
        reply: u32,
        emits: u32,
        budget: u32,
        run: u32,
        member: u32,
        kind: u32,
        priority: u32,
        spare: u32,
    }

    /// The arguments that differ from launch to launch.
    pub(super) struct RingStep {
        version: u64,
        index: u32,
        more: u32,
        first: u32,
        members: u32,
        counts: u32,
        launches: u32,
        grids: u32,
        errors: u32,
    }
}

/// The edge leads nowhere.
pub(super) const NO_LANE: u32 = u32::MAX;
/// A bit of a header's flags: the message could not be delivered.
pub(super) const DEAD: u32 = 1 << 8;
/// A bit of a header's flags: the correlation is that of a call, and not one of the program's.
pub(super) const CALL: u32 = 1 << 9;
/// The size of a header.
pub(super) const HEADER: usize = size_of::<RingHeader>();
/// Offsets in a slot are stored in this unit.
pub(super) const UNIT: usize = 16;

/// The words at the start of the head buffer.
pub(super) mod head {
    /// Set to `index + 1` by the tick after which the run stops.
    pub(in crate::ring) const STOP: usize = 0;
    /// `index + 1` of the last tick that ran.
    pub(in crate::ring) const RAN: usize = 1;
    /// `index + 1` of the last tick that handled mail.
    pub(in crate::ring) const ACTIVE: usize = 2;
    /// `index + 1` of the last tick in which an actor stalled.
    pub(in crate::ring) const STALLED: usize = 3;
    /// Whether a handler made a dead letter.
    pub(in crate::ring) const DEAD: usize = 4;
    /// `index + 1` of the last tick that began.
    pub(in crate::ring) const BEGAN: usize = 5;
    /// Two words for each actor follow: an error, and its code.
    pub(in crate::ring) const ERRORS: usize = 8;
}

/// The errors that a handler can make by the rules of the outbox.
pub(super) mod error {
    pub(in crate::ring) const FAILED: u32 = 1;
    pub(in crate::ring) const EMITS: u32 = 2;
    pub(in crate::ring) const EDGE: u32 = 3;
    pub(in crate::ring) const THREAD: u32 = 4;
}

impl RingHeader {
    /// The correlation, if the message belongs to a call.
    pub(super) fn call(&self) -> Option<u64> {
        (self.flags & CALL != 0).then(|| self.correlation())
    }

    pub(super) fn correlation(&self) -> u64 {
        u64::from(self.correlation[1]) << 32 | u64::from(self.correlation[0])
    }
}

/// The two words of a 64-bit number, the low one first.
pub(super) fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

/// The bytes of a slot for a message of `size` bytes.
pub(super) fn stride(size: usize) -> usize {
    (HEADER + size).next_multiple_of(UNIT)
}
