//! The host's handle of an actor.

use super::core::Core;
use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::message::{Message, bytes_of, value_of};
use super::options::Priority;
use super::post::{Envelope, MessageId, Receipt, Wanted};
use super::receive::Receive;
use super::stat::ActorStat;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// An actor that receives `I`, sends `O` and has the state `S`. A clone is the same actor.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// use aruminium::ring::{Actor, Launch};
/// aruminium::message! {
///     pub struct Add { a: f32, b: f32 }
///     pub struct Sum { value: f32 }
///     pub struct Count { sums: u32 }
/// }
/// let code = "void handle(thread const Add &add, thread Count &count, thread Outbox<Sum> &out) {
///     count.sums += 1;
///     Sum sum;
///     sum.value = add.a + add.b;
///     out.reply(sum);
/// }";
/// let adder: Actor<Add, Sum, Count> = ring.spawn("adder", code, Count { sums: 0 }, Launch::new())?;
/// assert_eq!(adder.call(Add { a: 1.5, b: 2.0 }).wait()?, Sum { value: 3.5 });
/// assert_eq!(adder.read_state()?.sums, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Actor<I, O, S> {
    pub(super) core: Arc<Core>,
    pub(super) id: ActorId,
    pub(super) types: PhantomData<fn(I, S) -> O>,
}

impl<I, O, S> Clone for Actor<I, O, S> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), id: self.id, types: PhantomData }
    }
}

impl<I, O, S> fmt::Debug for Actor<I, O, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Actor").field(&self.id).finish()
    }
}

impl<I: Message, O: Message, S: Message> Actor<I, O, S> {
    /// Its number in the ring.
    ///
    /// ```
    /// fn print(actor: &aruminium::ring::Actor<u32, u32, u32>) {
    ///     println!("{:?}", actor.id());
    /// }
    /// ```
    pub fn id(&self) -> ActorId {
        self.id
    }

    /// Its name.
    ///
    /// ```
    /// fn print(actor: &aruminium::ring::Actor<u32, u32, u32>) {
    ///     println!("{}", actor.name());
    /// }
    /// ```
    pub fn name(&self) -> String {
        self.core.lock().seats[self.id.index()].name.clone()
    }

    /// Put a message into its mailbox. The next tick delivers it.
    ///
    /// # Errors
    ///
    /// [`RingError::Full`] if the mailbox is full, [`RingError::State`] if the actor has failed or ended.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// use aruminium::ring::{Launch, RingError};
    /// let actor = ring.spawn::<u32, u32, u32>("small", code, 0, Launch::new().capacity(2))?;
    /// actor.send(1)?;
    /// actor.send(2)?;
    /// assert!(matches!(actor.send(3), Err(RingError::Full { capacity: 2, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, message: I) -> Result<MessageId, RingError> {
        self.put(&message, 0, Priority::Normal)
    }

    /// Put a message into its mailbox, with a correlation and a priority that the caller chooses.
    ///
    /// The actor takes mail of higher priority first, from all its lanes; what the host sends to it is one lane, in order.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # use std::time::Duration;
    /// use aruminium::ring::Envelope;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m); }";
    /// let actor = ring.spawn::<u32, u32, u32>("echo", code, 0, Default::default())?;
    /// actor.send_envelope(Envelope::new(5, 99))?;
    /// assert_eq!(actor.receive().wait_envelope(Duration::from_secs(1))?.correlation, 99);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_envelope(&self, envelope: Envelope<I>) -> Result<MessageId, RingError> {
        self.put(&envelope.message, envelope.correlation, envelope.priority)
    }

    fn put(
        &self,
        message: &I,
        correlation: u64,
        priority: Priority,
    ) -> Result<MessageId, RingError> {
        let mut state = self.core.lock();
        let sent = state.send(self.id, bytes_of(message), Some(correlation), priority);
        sent.map(|header| MessageId::of(&header, state.restores))
    }

    /// Put messages into its mailbox until it is full; returns how many were sent.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), but a mailbox that is full is an error only if nothing was sent.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// # use aruminium::ring::Launch;
    /// let actor = ring.spawn::<u32, u32, u32>("small", code, 0, Launch::new().capacity(2))?;
    /// assert_eq!(actor.send_all(&[1, 2, 3])?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_all(&self, messages: &[I]) -> Result<usize, RingError> {
        let mut state = self.core.lock();
        for (sent, message) in messages.iter().enumerate() {
            match state.send(self.id, bytes_of(message), Some(0), Priority::Normal) {
                Ok(_) => {}
                Err(RingError::Full { .. }) if sent > 0 => return Ok(sent),
                Err(error) => return Err(error),
            }
        }
        Ok(messages.len())
    }

    /// Receive the next message from the actor to the host that is not the reply to a call.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m * m); }";
    /// let actor = ring.spawn::<u32, u32, u32>("square", code, 0, Default::default())?;
    /// actor.send_all(&[3, 4])?;
    /// assert_eq!((actor.receive().wait()?, actor.receive().wait()?), (9, 16));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receive(&self) -> Receive<O> {
        Receive::new(&self.core, self.id, Ok(Wanted::Any))
    }

    /// The next message, if one has arrived. The ring does not tick.
    ///
    /// # Errors
    ///
    /// None, at present: replies to calls and dead letters are passed over, however many there are.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m * m); }";
    /// let actor = ring.spawn::<u32, u32, u32>("square", code, 0, Default::default())?;
    /// actor.send(3)?;
    /// assert_eq!(actor.try_receive()?, None);
    /// ring.tick()?;
    /// assert_eq!(actor.try_receive()?, Some(9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_receive(&self) -> Result<Option<O>, RingError> {
        let letter = self.core.lock().take(self.id, Wanted::Any)?;
        Ok(letter.map(|letter| letter.open().message))
    }

    /// Wait for the next message, up to a time limit.
    ///
    /// # Errors
    ///
    /// As for [`Receive::wait_timeout`].
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # use std::time::Duration;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m * m); }";
    /// let actor = ring.spawn::<u32, u32, u32>("square", code, 0, Default::default())?;
    /// actor.send(3)?;
    /// assert_eq!(actor.receive_timeout(Duration::from_secs(1))?, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receive_timeout(&self, time: Duration) -> Result<O, RingError> {
        self.receive().wait_timeout(time)
    }

    /// Send a message and receive the reply to it. Other messages stay in the mailbox.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m * m); }";
    /// let actor = ring.spawn::<u32, u32, u32>("square", code, 0, Default::default())?;
    /// let (three, four) = (actor.call(3), actor.call(4));
    /// assert_eq!((four.wait()?, three.wait()?), (16, 9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn call(&self, message: I) -> Receive<O> {
        let mut state = self.core.lock();
        let sent = state.send(self.id, bytes_of(&message), None, Priority::Normal);
        drop(state);
        Receive::new(&self.core, self.id, sent.map(|header| Wanted::Reply(header.correlation())))
    }

    /// Whether a message that the host sent to this actor was delivered.
    ///
    /// # Errors
    ///
    /// [`RingError::Invalid`] if the message is not from the host.
    ///
    /// ```
    /// fn is_handled(actor: &aruminium::ring::Actor<u32, u32, u32>, id: aruminium::ring::MessageId) -> bool {
    ///     matches!(actor.receipt(id), Ok(aruminium::ring::Receipt::Delivered))
    /// }
    /// ```
    pub fn receipt(&self, id: MessageId) -> Result<Receipt, RingError> {
        let sequence = u32::try_from(id.number)
            .map_err(|_| RingError::Invalid("receipts are for messages from the host".into()))?;
        if id.target != self.id.0 {
            return Ok(Receipt::NotFound);
        }
        let state = self.core.lock();
        if id.restores != state.restores {
            return Ok(Receipt::NotFound);
        }
        Ok(state.seats[self.id.index()].post.receipt(sequence))
    }

    fn change(
        &self,
        to: ActorState,
        from: &[ActorState],
        what: &'static str,
    ) -> Result<(), RingError> {
        self.core.idle()?.set_active(self.id, to, from, what)
    }

    /// Make the actor handle mail from the next tick on: after spawning without `auto_activate`, a suspension or a fault.
    ///
    /// # Errors
    ///
    /// [`RingError::State`] if the actor was terminated, [`RingError::Closed`].
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// use aruminium::ring::{ActorState, Launch};
    /// let actor = ring.spawn::<u32, u32, u32>("later", code, 0, Launch::new().auto_activate(false))?;
    /// assert_eq!(actor.state(), ActorState::Launched);
    /// actor.activate()?;
    /// assert_eq!(actor.state(), ActorState::Active);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn activate(&self) -> Result<(), RingError> {
        let from = [ActorState::Launched, ActorState::Suspended, ActorState::Failed];
        self.change(ActorState::Active, &from, "activating")
    }

    /// Make the actor handle no mail after the ticks in flight. Its mail waits.
    ///
    /// # Errors
    ///
    /// [`RingError::State`] if the actor is not active, [`RingError::Closed`].
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += m; }";
    /// let actor = ring.spawn::<u32, u32, u32>("sum", code, 0, Default::default())?;
    /// actor.suspend()?;
    /// actor.send(1)?;
    /// assert_eq!(ring.tick()?.handled, 0);
    /// actor.resume()?;
    /// assert_eq!(ring.tick()?.handled, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn suspend(&self) -> Result<(), RingError> {
        self.change(ActorState::Suspended, &[ActorState::Active], "suspending")
    }

    /// Make the actor handle mail again.
    ///
    /// # Errors
    ///
    /// [`RingError::State`] if the actor is neither suspended nor active, [`RingError::Closed`].
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += m; }";
    /// # let actor = ring.spawn::<u32, u32, u32>("sum", code, 0, Default::default())?;
    /// actor.terminate()?;
    /// assert!(actor.resume().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(&self) -> Result<(), RingError> {
        self.change(ActorState::Active, &[ActorState::Suspended], "resuming")
    }

    /// End the actor, after the ticks in flight. Its unhandled mail becomes dead letters.
    ///
    /// # Errors
    ///
    /// [`RingError::Closed`].
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += m; }";
    /// # let actor = ring.spawn::<u32, u32, u32>("sum", code, 0, Default::default())?;
    /// actor.terminate()?;
    /// assert_eq!(actor.state(), aruminium::ring::ActorState::Terminated);
    /// assert!(actor.send(1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn terminate(&self) -> Result<(), RingError> {
        self.core.idle()?.terminate(self.id)
    }

    /// Whether it is active, suspended, failed or ended.
    ///
    /// ```
    /// fn is_active(actor: &aruminium::ring::Actor<u32, u32, u32>) -> bool {
    ///     actor.state() == aruminium::ring::ActorState::Active
    /// }
    /// ```
    pub fn state(&self) -> ActorState {
        self.core.lock().seats[self.id.index()].state
    }

    /// A copy of its state, after the ticks in flight.
    ///
    /// # Errors
    ///
    /// [`RingError::State`] if the actor was terminated, [`RingError::Closed`].
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += m; }";
    /// let actor = ring.spawn::<u32, u32, u32>("sum", code, 40, Default::default())?;
    /// actor.send(2)?;
    /// ring.tick()?;
    /// assert_eq!(actor.read_state()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_state(&self) -> Result<S, RingError> {
        let state = self.core.idle()?;
        let (seat, side) = (&state.seats[self.id.index()], state.record(self.id.index()).side);
        if seat.state == ActorState::Terminated {
            return Err(RingError::State {
                actor: seat.name.clone(),
                state: seat.state,
                what: "reading its state",
            });
        }
        Ok(value_of(&state.kinds[seat.kind].states.read(seat.place, side)))
    }

    /// Replace its state, after the ticks in flight.
    ///
    /// # Errors
    ///
    /// As for [`read_state`](Self::read_state).
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += m; }";
    /// # let actor = ring.spawn::<u32, u32, u32>("sum", code, 40, Default::default())?;
    /// actor.write_state(7)?;
    /// assert_eq!(actor.read_state()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_state(&self, value: S) -> Result<(), RingError> {
        self.core.idle()?.write_state(self.id, bytes_of(&value))
    }

    /// Its statistics, up to the end of the ticks in flight.
    ///
    /// ```
    /// fn print(actor: &aruminium::ring::Actor<u32, u32, u32>) {
    ///     println!("{} messages", actor.stat().processed);
    /// }
    /// ```
    pub fn stat(&self) -> ActorStat {
        self.core.settled().actor_stat(self.id)
    }

    /// The MSL that the actor's kernel is compiled from: structures, outbox, handler and loop.
    ///
    /// # Errors
    ///
    /// [`RingError::Layout`] if two structures of the same name have different layouts.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += m; }";
    /// let actor = ring.spawn::<u32, u32, u32>("sum", code, 0, Default::default())?;
    /// let source = actor.source()?;
    /// assert!(source.contains(code) && source.contains("kernel void RING_TICK"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn source(&self) -> Result<String, RingError> {
        let state = self.core.lock();
        let seat = &state.seats[self.id.index()];
        state.kinds[seat.kind].source(seat.ins.len())
    }
}
