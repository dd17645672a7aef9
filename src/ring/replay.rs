//! Doing again what a recording contains.

use super::core::Core;
use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::record::{Op, Recording};
use super::run::Tick;
use std::collections::HashSet;

impl Core {
    pub(super) fn replay(&self, recording: &Recording) -> Result<(), RingError> {
        // Calls of the recording, which nothing waits for here.
        let mut calls = HashSet::new();
        let outcome = recording.ops.iter().enumerate().try_for_each(|(number, op)| {
            self.replay_one(op, &mut calls).map_err(|error| match error {
                RingError::Invalid(why) => {
                    RingError::Format(format!("operation {number} of the recording: {why}"))
                }
                other => other,
            })
        });
        let mut state = self.settled();
        for (id, call) in calls {
            state.forget_call(id, call);
        }
        outcome
    }

    fn replay_one(&self, op: &Op, calls: &mut HashSet<(ActorId, u64)>) -> Result<(), RingError> {
        let mut state = self.idle()?;
        let known = |actor: u32| state.seat(ActorId(actor)).map(|seat| (ActorId(actor), seat.kind));
        match op {
            Op::Send { header, bytes } => {
                let (id, _) = known(header.target)?;
                state
                    .check_header(header, bytes.len(), (0, header.target))
                    .map_err(RingError::Invalid)?;
                state.send_stamped(header, bytes)?;
                calls.extend(header.call().map(|call| (id, call)));
            }
            Op::Take { actor, wanted, looked, taken } => {
                let (id, _) = known(*actor)?;
                state.take_again(id, *wanted, *looked, *taken)?;
            }
            Op::Run(count) => {
                let most = state.options.ticks;
                if *count as usize > most {
                    return Err(RingError::Invalid(format!(
                        "a submission of {count} ticks, and this ring has at most {most}: open it with the same options"
                    )));
                }
                // Faults are supervised as they were then.
                self.submission(state, *count, &mut Tick::default(), &mut None)?;
            }
            Op::State(actor, number) => {
                let (id, _) = known(*actor)?;
                let to = ActorState::of(*number)
                    .ok_or_else(|| RingError::Invalid(format!("the state {number} is unknown")))?;
                let from = [
                    ActorState::Launched,
                    ActorState::Active,
                    ActorState::Suspended,
                    ActorState::Failed,
                ];
                state.set_active(id, to, &from, "replaying")?;
            }
            Op::Terminate(actor) => {
                let (id, _) = known(*actor)?;
                state.terminate(id)?;
            }
            Op::Await { actor, call } => {
                let (id, _) = known(*actor)?;
                state.seats[id.index()].post.calls.insert(*call);
                calls.insert((id, *call));
            }
            Op::Forget { actor, call } => {
                let (id, _) = known(*actor)?;
                state.forget_call(id, *call);
            }
            Op::Save => state.save_states(),
            Op::Write { actor, bytes } => {
                let (id, kind) = known(*actor)?;
                let size = state.kinds[kind].types.state.size;
                if bytes.len() != size {
                    return Err(RingError::Invalid(format!(
                        "a state of {} bytes, and the actor's has {size}",
                        bytes.len()
                    )));
                }
                state.write_state(id, bytes)?;
            }
            Op::TakeDead => _ = state.take_dead(),
            Op::Restore(contents) => state.restore(contents)?,
        }
        Ok(())
    }
}
