//! Waiting for mail: futures for any executor, and waits that tick on the calling thread.

use super::core::Core;
use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::message::Message;
use super::post::{Envelope, Letter, Waiter, Wanted};
use super::state::State;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A message to wait for: the next one of an actor, or the reply to a call.
///
/// As a future it works under any executor. [`wait`](Self::wait) and its variants tick on the calling thread while the ring
/// has work, unless another thread does.
///
/// [`wait`](Self::wait), and the future of a call, end with [`RingError::Idle`] when the ring has no work left: the reply cannot
/// come. Where other threads or tasks will resume an actor or make room in a mailbox, hold a guard of
/// [`Ring::start`](super::Ring::start): while it lives, the ring is not idle. The future of [`receive`](super::Actor::receive)
/// waits on, because another task may not have sent yet what causes its message; [`within`](Self::within) limits the time.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// use aruminium::ring::Receive;
/// use std::time::Duration;
/// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m + 1); }";
/// let actor = ring.spawn::<u32, u32, u32>("next", code, 0, Default::default())?;
/// let reply: Receive<u32> = actor.call(41);
/// assert_eq!(reply.wait_timeout(Duration::from_secs(1))?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is received unless it is waited for"]
pub struct Receive<M> {
    core: Arc<Core>,
    id: ActorId,
    wanted: Wanted,
    /// Why the call could not be sent.
    pub(super) error: Option<RingError>,
    deadline: Option<Instant>,
    /// The number under which the task is registered.
    key: Option<u64>,
    message: PhantomData<fn() -> M>,
}

impl<M> fmt::Debug for Receive<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receive")
            .field("actor", &self.id)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl<M: Message> Receive<M> {
    pub(super) fn new(core: &Arc<Core>, id: ActorId, wanted: Result<Wanted, RingError>) -> Self {
        let (wanted, error) = match wanted {
            Ok(wanted) => (wanted, None),
            Err(error) => (Wanted::Any, Some(error)),
        };
        let core = Arc::clone(core);
        Self { core, id, wanted, error, deadline: None, key: None, message: PhantomData }
    }

    /// Set a time limit, after which the future is the error [`RingError::Timeout`].
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// # let actor = ring.spawn::<u32, u32, u32>("silent", code, 0, Default::default())?;
    /// use std::time::Duration;
    /// let future = actor.receive().within(Duration::from_millis(10));
    /// # drop(future);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within(mut self, time: Duration) -> Self {
        self.deadline = Instant::now().checked_add(time);
        self
    }

    /// Wait for the message.
    ///
    /// # Errors
    ///
    /// [`RingError::Idle`] if the ring has no work left that could make it; the errors of the ring and of the actor.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # use aruminium::ring::RingError;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// let actor = ring.spawn::<u32, u32, u32>("silent", code, 0, Default::default())?;
    /// assert!(matches!(actor.call(1).wait(), Err(RingError::Idle(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(mut self) -> Result<M, RingError> {
        Ok(self.block(None)?.open().message)
    }

    /// Wait for the message, up to a time limit.
    ///
    /// # Errors
    ///
    /// [`RingError::Timeout`], and the errors of the ring and of the actor.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # use aruminium::ring::RingError;
    /// # use std::time::Duration;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// let actor = ring.spawn::<u32, u32, u32>("silent", code, 0, Default::default())?;
    /// let nothing = actor.receive().wait_timeout(Duration::from_millis(1));
    /// assert!(matches!(nothing, Err(RingError::Timeout)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout(self, time: Duration) -> Result<M, RingError> {
        Ok(self.wait_envelope(time)?.message)
    }

    /// The same, with the message's header.
    ///
    /// # Errors
    ///
    /// As for [`wait_timeout`](Self::wait_timeout).
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # use std::time::Duration;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.post(m); }";
    /// let actor = ring.spawn::<u32, u32, u32>("echo", code, 0, Default::default())?;
    /// actor.send(3)?;
    /// assert_eq!(actor.receive().wait_envelope(Duration::from_secs(1))?.source, Some(actor.id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_envelope(mut self, time: Duration) -> Result<Envelope<M>, RingError> {
        Ok(self.block(Instant::now().checked_add(time))?.open())
    }

    fn block(&mut self, deadline: Option<Instant>) -> Result<Letter, RingError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let deadline = deadline.or(self.deadline);
        let core = Arc::clone(&self.core);
        let (mut state, mut ticks) = (core.lock(), 1);
        loop {
            if let Some(letter) = self.look(&mut state)? {
                // It is no call any more that could be given up.
                self.wanted = Wanted::Any;
                return Ok(letter);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(RingError::Timeout);
            }
            if state.work && state.is_free() {
                let most = state.options.ticks as u64;
                // Faults of other actors are in `Ring::faults`; this actor's fault is found above.
                core.run_once(state, ticks)?;
                ticks = (ticks * 2).min(most);
                state = core.lock();
            } else if state.is_idle() && left.is_none() {
                return Err(state.idle_error(self.id));
            } else {
                state = core.wait(state, left);
            }
        }
    }
}

impl<M> Receive<M> {
    /// Whether the future ends when the ring is idle. The message of a call was sent before the future was made, so nothing is
    /// left of it then. Other mail may be caused by what another task sends later.
    fn ends_idle(&self) -> bool {
        matches!(self.wanted, Wanted::Reply(_)) && self.deadline.is_none()
    }

    /// The message, if it has arrived, or the reason why it cannot arrive.
    fn look(&self, state: &mut State) -> Result<Option<Letter>, RingError> {
        let letter = state.take(self.id, self.wanted)?;
        if letter.is_some() {
            return Ok(letter);
        }
        if state.closed {
            return Err(RingError::Closed);
        }
        let seat = &state.seats[self.id.index()];
        match (seat.state, &state.cycle) {
            (ActorState::Failed, _) => {
                Err(seat.fault.as_ref().map_or_else(
                    || RingError::State {
                        actor: seat.name.clone(),
                        state: seat.state,
                        what: "receiving",
                    },
                    |fault| RingError::Fault(Box::new(fault.clone())),
                ))
            }
            (ActorState::Terminated, _) => Err(RingError::State {
                actor: seat.name.clone(),
                state: seat.state,
                what: "receiving",
            }),
            (_, Some(cycle)) if !state.work => Err(RingError::Cycle(cycle.clone())),
            _ => match self.wanted {
                Wanted::Reply(call) if !seat.post.calls.contains(&call) => Err(RingError::Idle(
                    "the message of the call is a dead letter (`Ring::take_dead_letters`, `Ring::faults`), or was sent after the \
                     checkpoint that was restored"
                        .into(),
                )),
                _ => Ok(None),
            },
        }
    }
}

impl<M: Message> Future for Receive<M> {
    type Output = Result<M, RingError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(error) = this.error.take() {
            return Poll::Ready(Err(error));
        }
        let core = Arc::clone(&this.core);
        let waker = context.waker().clone();
        let mut state = core.lock();
        let found = match this.look(&mut state) {
            Ok(None) if this.deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                Err(RingError::Timeout)
            }
            Ok(None) if this.ends_idle() && state.is_idle() => Err(state.idle_error(this.id)),
            // The error of the ring's thread. A thread that waits ticks itself, and has the error itself.
            Ok(None) => match &state.refused {
                Some(why) => Err(RingError::Idle(why.clone())),
                None => core.drive(&mut state).map(|()| None),
            },
            other => other,
        };
        match found.transpose() {
            Some(outcome) => {
                state.gone.push(waker);
                state.unregister(this.id, &mut this.key);
                Poll::Ready(outcome.map(|letter| letter.open().message))
            }
            None => {
                let (id, deadline, ends_idle) = (this.id, this.deadline, this.ends_idle());
                let key = *this.key.get_or_insert_with(|| state.new_task());
                state.register(id, Waiter { key, waker, deadline, ends_idle });
                Poll::Pending
            }
        }
    }
}

impl State {
    /// Why a wait for an actor of an idle ring is over.
    fn idle_error(&self, id: ActorId) -> RingError {
        RingError::Idle(match (self.seats[id.index()].state, self.stalled) {
            (ActorState::Active, 0) => "all mail is handled".to_owned(),
            (ActorState::Active, stalled) => {
                format!("{stalled} actors wait for room in lanes that nothing empties")
            }
            (other, _) => format!("the actor is {other}"),
        })
    }

    /// The number of another task.
    fn new_task(&mut self) -> u64 {
        self.tasks += 1;
        self.next_key += 1;
        self.next_key
    }

    /// A task waits for an actor, with its last waker.
    fn register(&mut self, id: ActorId, task: Waiter) {
        let waiters = &mut self.seats[id.index()].post.waiters;
        match waiters.iter_mut().find(|waiter| waiter.key == task.key) {
            Some(waiter) => self.gone.push(std::mem::replace(&mut waiter.waker, task.waker)),
            None => waiters.push(task),
        }
    }

    /// A task does not wait any more.
    fn unregister(&mut self, id: ActorId, key: &mut Option<u64>) {
        let Some(key) = key.take() else { return };
        self.tasks -= 1;
        self.changed = true;
        let waiters = &mut self.seats[id.index()].post.waiters;
        self.gone.extend(waiters.extract_if(.., |waiter| waiter.key == key).map(|it| it.waker));
    }
}

impl<M> Drop for Receive<M> {
    /// If nothing waits for a call any more, its reply becomes ordinary mail.
    fn drop(&mut self) {
        if self.key.is_none() && self.wanted == Wanted::Any {
            return;
        }
        let mut state = self.core.lock();
        state.unregister(self.id, &mut self.key);
        if let Wanted::Reply(call) = self.wanted {
            state.forget_call(self.id, call);
        }
    }
}
