//! Runs: submissions one after the other, until there is nothing to do.

use super::core::{Core, Guard};
use super::error::{Fault, RingError};
use super::submit::{Submission, SubmitGuard};

/// The result of `Ring::tick` and `Ring::run`.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
/// # let actor = ring.spawn::<u32, u32, u32>("first", code, 0, Default::default())?;
/// actor.send_all(&[1, 2, 3])?;
/// let tick = ring.tick()?;
/// assert_eq!((tick.ticks, tick.handled, tick.stalled), (1, 3, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Tick {
    /// How many ticks ran.
    pub ticks: u64,
    /// How many messages were handled.
    pub handled: u64,
    /// How many actors stalled in the last tick, because a lane that they send to is full.
    pub stalled: usize,
    /// Whether the last tick handled no mail.
    pub idle: bool,
    /// Faults that supervision has handled.
    pub faults: Vec<Fault>,
}

impl Tick {
    fn add(&mut self, ended: &Submission) {
        self.ticks += ended.ticks;
        self.handled += ended.handled;
        self.idle = ended.idle;
    }
}

impl Core {
    /// Runs up to a number of ticks on this thread, until there is nothing to do; `total` has what they did, also if there is an
    /// error.
    pub(super) fn run(&self, ticks: u64, total: &mut Tick) -> Result<(), RingError> {
        *total = Tick::default();
        let mut state = self.idle()?;
        let mut escalated = None;
        loop {
            let left = ticks - total.ticks;
            let goes_on = if left > 0 {
                let count = left.min(state.options.ticks as u64) as u32;
                let (after, goes_on) = self.submission(state, count, total, &mut escalated)?;
                state = after;
                goes_on && total.ticks < ticks
            } else {
                false
            };
            if !goes_on {
                total.stalled = state.stalled;
                return match (escalated, &state.cycle) {
                    (Some(fault), _) => Err(RingError::Fault(Box::new(fault))),
                    (None, Some(cycle)) => Err(RingError::Cycle(cycle.clone())),
                    (None, None) => Ok(()),
                };
            }
            // Threads that wait for the end of a submission come before the next one.
            drop(state);
            state = self.idle()?;
        }
    }

    /// One submission of a thread that then checks whether more are needed. Faults and cycles are in the state.
    pub(super) fn run_once<'a>(&'a self, state: Guard<'a>, ticks: u64) -> Result<(), RingError> {
        let count = ticks.min(state.options.ticks as u64) as u32;
        self.submission(state, count, &mut Tick::default(), &mut None).map(drop)
    }

    /// One submission, and what supervision does if it broke. Returns whether there may be more to do.
    pub(super) fn submission<'a>(
        &'a self,
        state: Guard<'a>,
        count: u32,
        total: &mut Tick,
        escalated: &mut Option<Fault>,
    ) -> Result<(Guard<'a>, bool), RingError> {
        // Declared before the guard, so that a panic unlocks the state first.
        let mut engine;
        let mut state = state;
        engine = SubmitGuard::take(self, &mut state);
        let plan = match state.prepare(count) {
            Ok(plan) => plan,
            Err(error) => {
                engine.release(&mut state);
                return Err(error);
            }
        };
        let (after, mut ended) = engine.submit(state, &plan, count);
        state = after;
        let mut outcome = Ok(None);
        if let Some(broken) = ended.broken.take() {
            (state, outcome) = engine.resolve(state, &plan, broken, &mut ended);
        }
        let undone = matches!(outcome, Ok(Some(_)));
        state.conclude(&mut ended, &plan.members, undone);
        total.add(&ended);
        match outcome {
            Ok(None) => {}
            Ok(Some((actor, cause))) => {
                let (fault, escalates) = state.supervise(actor, cause);
                if escalates {
                    *escalated = Some(fault.clone());
                }
                total.faults.push(fault);
            }
            Err(error) => {
                // A replay has no such error: it runs what completed.
                state.note_ticks(ended.ticks as u32);
                return Err(error);
            }
        }
        engine.release(&mut state);
        Ok((state, undone || !(ended.idle || ended.stopped)))
    }
}
