//! Submitting the launches of a plan, the next tick's encoded ahead.

use super::plan::Plan;
use crate::{Batch, Capture, Dispatch, GpuError, Queue, Recorded, autorelease_pool};
use std::sync::Arc;

/// Submits the launches of a ring. Only the thread that has it does.
#[derive(Debug)]
pub(super) struct Submitter {
    pub(super) dispatch: Dispatch,
    ahead: Option<Ahead>,
}

/// The launches of the next tick, encoded while the one before it ran.
#[derive(Debug)]
struct Ahead {
    // Dropped before the plan, which keeps alive what it uses.
    recorded: Recorded,
    plan: Arc<Plan>,
    version: u64,
    /// Whether a capture has it: one that starts or ends later has the tick or not.
    captured: bool,
}

impl Submitter {
    pub(super) fn new(queue: &Queue) -> Self {
        Self { dispatch: Dispatch::new(queue), ahead: None }
    }

    /// Forgets what is encoded ahead, because actors or lanes change.
    pub(super) fn forget_ahead(&mut self) {
        self.ahead = None;
    }

    /// Runs a number of ticks. If it is one, the next submission probably is one as well, and is encoded meanwhile: that would
    /// otherwise be part of the time from a call to its reply.
    pub(super) fn run(
        &mut self,
        plan: &Arc<Plan>,
        version: u64,
        count: u32,
    ) -> Result<(), GpuError> {
        autorelease_pool(|| {
            let captured = Capture::shared().is_capturing();
            let is_this = |ahead: &Ahead| {
                count == 1
                    && ahead.version == version
                    && ahead.captured == captured
                    && Arc::ptr_eq(&ahead.plan, plan)
            };
            let recorded = match self.ahead.take().filter(is_this) {
                Some(ahead) => ahead.recorded,
                None => self.record(plan, version, count)?,
            };
            let running = recorded.submit();
            if count == 1 {
                let (plan, version) = (Arc::clone(plan), version + 1);
                // A failure is reported when the tick itself is encoded.
                let recorded = self.record(&plan, version, 1).ok();
                self.ahead = recorded.map(|recorded| Ahead { recorded, plan, version, captured });
            }
            running.wait()
        })
    }

    fn record(&self, plan: &Plan, version: u64, count: u32) -> Result<Recorded, GpuError> {
        // SAFETY: the kernels stay within their buffers by the counters that the state and they maintain, which the plan keeps
        // alive, in `run` or in `ahead`; while they run, the state accesses only slots that they do not.
        unsafe { self.dispatch.record(|batch| plan.encode(batch, version, count)) }
    }

    /// Runs launches of a plan.
    pub(super) fn batch(&self, encode: impl FnOnce(&Batch<'_>)) -> Result<(), GpuError> {
        // SAFETY: as above; the caller has the plan.
        unsafe { self.dispatch.batch(encode) }
    }
}
