//! Faults: which actor made them, and what its supervision does.

use super::core::Guard;
use super::error::{Cause, Fault, RingError};
use super::id::{ActorId, ActorState};
use super::kind::Kind;
use super::options::Supervision;
use super::plan::Plan;
use super::state::{Seat, State};
use super::submit::{Submission, SubmissionError, SubmitGuard};
use crate::{FaultKind, GpuError};

impl<'a> SubmitGuard<'a> {
    /// The fault of a submission that did not complete. If each actor alone does what the tick that was undone has for it, they took
    /// too long together only, or the process did not run for a while: then the tick runs in parts, which `ended` includes.
    pub(super) fn resolve<'s>(
        &mut self,
        state: Guard<'s>,
        plan: &Plan,
        broken: SubmissionError,
        ended: &mut Submission,
    ) -> (Guard<'s>, Result<Option<(usize, Cause)>, RingError>)
    where
        'a: 's,
    {
        let (state, blamed) = self.blame(state, plan, broken);
        if !matches!(blamed, Ok(None)) {
            return (state, blamed);
        }
        let (mut state, parts) = self.submit_in_parts(state, plan);
        let fault = parts.map(|parts| {
            let (ticks, handled) = (ended.ticks + parts.ticks, ended.handled + parts.handled);
            let dead = ended.dead || parts.dead;
            let stalled = [ended.stalled[0] || parts.stalled[0], parts.stalled[1]];
            let fault = match parts.broken {
                Some(SubmissionError::Actor(actor, cause)) => Some((actor, cause)),
                _ => None,
            };
            *ended = Submission { ticks, handled, dead, stalled, broken: None, ..parts };
            fault
        });
        if matches!(fault, Ok(None)) {
            state.note_ticks(ended.ticks as u32);
        }
        (state, fault)
    }

    /// The actor that broke a submission; `None` if each alone does what the tick that was undone has for it.
    fn blame<'s>(
        &mut self,
        mut state: Guard<'s>,
        plan: &Plan,
        broken: SubmissionError,
    ) -> (Guard<'s>, Result<Option<(usize, Cause)>, RingError>)
    where
        'a: 's,
    {
        let (error, suspects) = match broken {
            SubmissionError::Actor(actor, cause) => return (state, Ok(Some((actor, cause)))),
            SubmissionError::Metal(error, suspects) => (error, suspects),
        };
        // The watchdog stops a kernel in any thread, not necessarily in the one that does not end.
        let mut named = match &error {
            GpuError::KernelFault(fault) if fault.kind != FaultKind::Timeout => {
                let actor = state.member_at(&fault.kernel, fault.thread);
                actor.map(|actor| (actor, Cause::Kernel(fault.clone())))
            }
            GpuError::KernelFault(_) | GpuError::CommandBufferError(_) => None,
            // Nothing ran, and no actor is at fault.
            _ => return (state, Err(error.into())),
        };
        // If several actors fail in one tick, Metal may name any of them: look for the first in the order of launches.
        for actor in suspects {
            if let Some(found) = named.take_if(|named| named.0 == actor) {
                return (state, Ok(Some(found)));
            }
            let cause;
            (state, cause) = self.submit_alone(state, plan, actor);
            match cause {
                Ok(None) => {}
                Ok(Some(cause)) => return (state, Ok(Some((actor, cause)))),
                Err(error) => return (state, Err(error)),
            }
        }
        (state, Ok(named))
    }
}

impl Cause {
    /// The cause of a command buffer's error; the error itself if nothing ran.
    pub(super) fn of(error: GpuError) -> Result<Self, RingError> {
        match error {
            GpuError::KernelFault(fault) => Ok(Self::Kernel(fault)),
            GpuError::CommandBufferError(why) => Ok(Self::Commands(why)),
            other => Err(other.into()),
        }
    }
}

impl State {
    /// Notes a fault, and does what supervision says. Returns the fault, and whether it escalates.
    pub(super) fn supervise(&mut self, actor: usize, cause: Cause) -> (Fault, bool) {
        let fault = Fault {
            actor: ActorId::of(actor),
            name: self.seats[actor].name.clone(),
            tick: self.version,
            cause,
        };
        self.note_fault(fault.clone());
        let waiting = self.mail(actor);
        let seat = &mut self.seats[actor];
        seat.faults = seat.faults.saturating_add(1);
        seat.fault = Some(fault.clone());
        self.seats_changed = true;
        let policy = seat.launch.supervision;
        match policy {
            Supervision::Restart { limit } if seat.restarts < limit => {
                seat.restarts += 1;
                let poison = seat.careful > 0 || waiting == 1;
                seat.careful = if poison { seat.careful.saturating_sub(1) } else { waiting };
                if poison {
                    self.bury_next(actor, "the actor failed when it handled this message");
                }
                let side = self.record(actor).side;
                let Seat { kind, place, saved, .. } = &self.seats[actor];
                self.kinds[*kind].states.write(*place, side, saved);
            }
            _ => seat.state = ActorState::Failed,
        }
        self.add_work();
        self.wake(actor);
        (fault, policy == Supervision::Escalate)
    }

    /// Keeps a fault for `Ring::faults`, and forgets the oldest one if there are as many as the ring keeps.
    fn note_fault(&mut self, fault: Fault) {
        self.figures.faults += 1;
        if self.faults.len() >= self.options.faults {
            self.faults.pop_front();
        }
        if self.options.faults > 0 {
            self.faults.push_back(fault);
        }
    }

    /// The actor whose thread of a kernel this is.
    fn member_at(&self, kernel: &str, thread: Option<[u32; 3]>) -> Option<usize> {
        let kind = (0..self.kinds.len()).find(|&number| Kind::kernel(number) == kernel)?;
        let kind = &self.kinds[kind];
        kind.members.get((thread?[0] / kind.width()) as usize).copied()
    }
}
