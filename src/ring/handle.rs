//! A ring: actors, and the ticks that they run in.

use super::actor::Actor;
use super::checkpoint::Checkpoint;
use super::core::Core;
use super::driver::Driver;
use super::error::{Fault, RingError};
use super::id::{ActorId, ActorState};
use super::kind::Types;
use super::message::{Message, bytes_of};
use super::options::{Launch, RingOptions};
use super::post::DeadLetter;
use super::record::Recording;
use super::run::Tick;
use super::stat::RingStat;
use super::state::Seat;
use super::topology::Topology;
use super::trace::Trace;
use crate::Gpu;
use std::marker::PhantomData;
use std::sync::Arc;

/// Whether there is a Metal device: Apple's, or soft Metal's.
///
/// ```
/// assert!(aruminium::ring::is_available());
/// ```
pub fn is_available() -> bool {
    Gpu::open().is_ok()
}

/// Actors, and the lanes between them. Any thread may use it. Dropping it ends its actors.
///
/// ```
/// use aruminium::ring::{Launch, Ring};
/// let ring = Ring::open(&aruminium::Gpu::open()?)?;
/// let code = "void handle(thread const uint &m, thread uint &count, thread Outbox<uint> &out) {
///     count += 1;
///     out.reply(m * 2);
/// }";
/// let actor = ring.spawn::<u32, u32, u32>("double", code, 0, Launch::new())?;
/// assert_eq!(actor.call(21).wait()?, 42);
/// ring.shutdown()?;
/// # Ok::<(), aruminium::ring::RingError>(())
/// ```
#[derive(Debug)]
pub struct Ring {
    pub(super) core: Arc<Core>,
}

impl Ring {
    /// A ring with the default options.
    ///
    /// # Errors
    ///
    /// [`RingError::Gpu`].
    ///
    /// ```
    /// let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn open(gpu: &Gpu) -> Result<Self, RingError> {
        Self::with(gpu, RingOptions::default())
    }

    /// A ring with options.
    ///
    /// # Errors
    ///
    /// [`RingError::Invalid`] for impossible options, [`RingError::Gpu`].
    ///
    /// ```
    /// use aruminium::ring::{Ring, RingOptions};
    /// let gpu = aruminium::Gpu::open()?;
    /// let ring = Ring::with(&gpu, RingOptions { ticks: 16, ..RingOptions::default() })?;
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn with(gpu: &Gpu, options: RingOptions) -> Result<Self, RingError> {
        Ok(Self { core: Core::open(gpu, options)? })
    }

    /// An actor that receives `I`, sends `O` and has a state. Its handler is the function `handle` in `code`.
    ///
    /// # Errors
    ///
    /// [`RingError::Handler`] if the handler does not compile, [`RingError::Invalid`] if there is an actor of this name,
    /// [`RingError::Layout`] if a type is not as large as its [layout](Message::layout).
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let wrong = ring.spawn::<u32, u32, u32>("wrong", "void handle() {}", 0, Default::default());
    /// assert!(wrong.unwrap_err().to_string().contains("the signature is"));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn spawn<I: Message, O: Message, S: Message>(
        &self,
        name: &str,
        code: &str,
        state: S,
        launch: Launch,
    ) -> Result<Actor<I, O, S>, RingError> {
        let types = Types::of::<I, O, S>()?;
        let id = self.core.idle()?.spawn(name, code, types, bytes_of(&state), launch)?;
        Ok(Actor { core: Arc::clone(&self.core), id, types: PhantomData })
    }

    /// A lane from one actor to another; returns the number of the edge, which the handler sends to.
    ///
    /// # Errors
    ///
    /// [`RingError::Invalid`] if one sends another type than the other receives.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let pass = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.send(0, m + 1); }";
    /// let keep = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s = m; }";
    /// let first = ring.spawn::<u32, u32, u32>("first", pass, 0, Default::default())?;
    /// let second = ring.spawn::<u32, u32, u32>("second", keep, 0, Default::default())?;
    /// assert_eq!(ring.connect(first.id(), second.id())?, 0);
    /// first.send(1)?;
    /// ring.run(10)?;
    /// assert_eq!(second.read_state()?, 2);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn connect(&self, from: ActorId, to: ActorId) -> Result<usize, RingError> {
        self.core.idle()?.connect(from, to)
    }

    /// Lanes between many actors; see [`Topology`].
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect), and if the shape does not fit the number of actors.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let wrong = ring.topology(&[], &aruminium::ring::Topology::Grid2 { width: 2, height: 1, wrap: false });
    /// assert!(wrong.is_err());
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn topology(&self, actors: &[ActorId], shape: &Topology) -> Result<(), RingError> {
        self.core.idle()?.topology(actors, shape)
    }

    /// Run one tick, on this thread.
    ///
    /// # Errors
    ///
    /// [`RingError::Fault`] if an actor failed that escalates: the tick ran without it. [`RingError::Cycle`] if actors
    /// wait for each other: the others' work was done.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// assert!(ring.tick()?.idle);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn tick(&self) -> Result<Tick, RingError> {
        self.run(1)
    }

    /// Run up to a number of ticks, many in a submission, until there is nothing to do.
    ///
    /// # Errors
    ///
    /// As for [`tick`](Self::tick).
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
    ///     s = m;
    ///     if (m > 0) { out.send(0, m - 1); }
    /// }";
    /// let actor = ring.spawn::<u32, u32, u32>("countdown", code, 0, Default::default())?;
    /// ring.connect(actor.id(), actor.id())?;
    /// actor.send(99)?;
    /// let run = ring.run(1000)?;
    /// assert_eq!((run.handled, run.ticks, ring.stat().submissions), (100, 101, 2));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn run(&self, ticks: u64) -> Result<Tick, RingError> {
        let mut tick = Tick::default();
        self.run_into(ticks, &mut tick)?;
        Ok(tick)
    }

    /// Run ticks as [`run`](Self::run) does, and say in `tick` what they did, also if there is an error.
    ///
    /// # Errors
    ///
    /// As for [`tick`](Self::tick).
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// use aruminium::ring::{RingError, Tick};
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { if (m == 7) { out.fail(1); } }";
    /// for (name, message) in [("one", 1), ("two", 7)] {
    ///     ring.spawn::<u32, u32, u32>(name, code, 0, Default::default())?.send(message)?;
    /// }
    /// let mut tick = Tick::default();
    /// assert!(matches!(ring.run_into(10, &mut tick), Err(RingError::Fault(_))));
    /// assert_eq!((tick.handled, tick.faults[0].name.as_str()), (1, "two"));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn run_into(&self, ticks: u64, tick: &mut Tick) -> Result<(), RingError> {
        self.core.run(ticks, tick)
    }

    /// Tick on a thread of the ring while there is mail, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`RingError::Closed`], and [`RingError::Io`] if no thread can be started.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # use std::time::Duration;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m); }";
    /// let actor = ring.spawn::<u32, u32, u32>("echo", code, 0, Default::default())?;
    /// let driver = ring.start()?;
    /// actor.send(1)?;
    /// assert_eq!(actor.receive_timeout(Duration::from_secs(10))?, 1);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn start(&self) -> Result<Driver, RingError> {
        Driver::new(&self.core)
    }

    /// A copy of the ring's whole state, at the end of a tick. Restarted actors begin with their states in it.
    ///
    /// # Errors
    ///
    /// [`RingError::Closed`].
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let checkpoint = ring.checkpoint()?;
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn checkpoint(&self) -> Result<Checkpoint, RingError> {
        Ok(self.core.idle()?.checkpoint())
    }

    /// Restore the state in a checkpoint. The ring must have the same actors and lanes, made in the same order.
    ///
    /// # Errors
    ///
    /// [`RingError::Format`] if the checkpoint is of another ring; then nothing has changed.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// let checkpoint = ring.checkpoint()?;
    /// ring.restore(&checkpoint)?;
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn restore(&self, checkpoint: &Checkpoint) -> Result<(), RingError> {
        self.core.idle()?.restore(&checkpoint.contents)
    }

    /// Begin a recording of what the host does, after the ticks in flight. Spawning and connecting are not in it: make actors and
    /// lanes before.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// ring.record();
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn record(&self) {
        self.core.settled().begin_log();
    }

    /// End the recording, after the ticks in flight; `None` if none was begun.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// assert!(ring.take_recording().is_none());
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn take_recording(&self) -> Option<Recording> {
        self.core.settled().log.take().map(|ops| Recording { ops })
    }

    /// Repeat the operations of a recording.
    ///
    /// # Errors
    ///
    /// [`RingError::Format`] if it does not fit the ring.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// ring.record();
    /// ring.tick()?;
    /// let recording = ring.take_recording().expect("it was begun");
    /// ring.replay(&recording)?;
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn replay(&self, recording: &Recording) -> Result<(), RingError> {
        self.core.replay(recording)
    }

    /// Begin a trace of submissions and mailboxes.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// ring.start_trace();
    /// ring.tick()?;
    /// assert!(ring.take_trace().is_some_and(|json| json.starts_with("{\"traceEvents\":[")));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn start_trace(&self) {
        self.core.lock().trace = Some(Trace::default());
    }

    /// End the trace, and return it as JSON that Chrome's tracing and Perfetto read; `None` if none was begun.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// assert!(ring.take_trace().is_none());
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn take_trace(&self) -> Option<String> {
        self.core.lock().trace.take().map(Trace::into_json)
    }

    /// Statistics of the ring and its actors, up to the end of the ticks in flight.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// println!("{}", ring.stat());
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn stat(&self) -> RingStat {
        self.core.settled().stat()
    }

    /// The actors that have not ended, with their names and states.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// assert!(ring.actors().is_empty());
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn actors(&self) -> Vec<(ActorId, String, ActorState)> {
        let state = self.core.lock();
        let all = state.seats.iter().enumerate();
        all.filter(|(_, seat)| seat.state != ActorState::Terminated)
            .map(|(actor, seat)| (ActorId::of(actor), seat.name.clone(), seat.state))
            .collect()
    }

    /// The actor of a name.
    ///
    /// # Errors
    ///
    /// [`RingError::Invalid`] if no actor has the name, or if it has other types.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// let actor = ring.spawn::<u32, u32, u32>("one", code, 0, Default::default())?;
    /// assert_eq!(ring.actor::<u32, u32, u32>("one")?.id(), actor.id());
    /// assert!(ring.actor::<u32, u32, f32>("one").is_err() && ring.actor::<u32, u32, u32>("two").is_err());
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn actor<I: Message, O: Message, S: Message>(
        &self,
        name: &str,
    ) -> Result<Actor<I, O, S>, RingError> {
        let state = self.core.lock();
        let is_it = |seat: &Seat| seat.name == name && seat.state != ActorState::Terminated;
        let Some(actor) = state.seats.iter().position(is_it) else {
            return Err(RingError::Invalid(format!("there is no actor `{name}`")));
        };
        if state.kinds[state.seats[actor].kind].types != Types::of::<I, O, S>()? {
            return Err(RingError::Invalid(format!(
                "actor `{name}` has other messages or another state"
            )));
        }
        Ok(Actor { core: Arc::clone(&self.core), id: ActorId::of(actor), types: PhantomData })
    }

    /// The actors on the shortest way from one to another by lanes, both included.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// let actor = ring.spawn::<u32, u32, u32>("one", code, 0, Default::default())?;
    /// assert_eq!(ring.route(actor.id(), actor.id()), Some(vec![actor.id()]));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn route(&self, from: ActorId, to: ActorId) -> Option<Vec<ActorId>> {
        let state = self.core.lock();
        state.seat(from).ok()?;
        state.seat(to).ok()?;
        state.route(from, to)
    }

    /// The messages that could not be delivered up to the end of the ticks in flight. The ring then forgets them.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// assert!(ring.take_dead_letters().is_empty());
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn take_dead_letters(&self) -> Vec<DeadLetter> {
        self.core.settled().take_dead()
    }

    /// The last faults of actors since the ring was opened, the oldest first: as many as
    /// [`RingOptions::faults`](super::RingOptions) says. [`RingStat`] counts those that were forgotten.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::ring::{Ring, RingOptions};
    /// let ring = Ring::with(&gpu, RingOptions { faults: 1, ..Default::default() })?;
    /// let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.fail(m); }";
    /// for code_of_fault in 1..4u32 {
    ///     let name = format!("actor {code_of_fault}");
    ///     ring.spawn::<u32, u32, u32>(&name, code, 0, Default::default())?.send(code_of_fault)?;
    ///     assert!(ring.tick().is_err());
    /// }
    /// assert_eq!((ring.faults().len(), ring.faults()[0].name.as_str()), (1, "actor 3"));
    /// assert_eq!((ring.stat().faults, ring.stat().faults_forgotten), (3, 2));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn faults(&self) -> Vec<Fault> {
        self.core.lock().faults.iter().cloned().collect()
    }

    /// End the ring after the ticks in flight. Everything that waits for an actor gets [`RingError::Closed`].
    ///
    /// # Errors
    ///
    /// [`RingError::Closed`] if it was closed already.
    ///
    /// ```
    /// # use aruminium::ring::RingError;
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    /// let actor = ring.spawn::<u32, u32, u32>("one", code, 0, Default::default())?;
    /// ring.shutdown()?;
    /// assert!(matches!(actor.send(1), Err(RingError::Closed)));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn shutdown(self) -> Result<(), RingError> {
        // With one lock, so that no other submission begins.
        self.core.idle()?.close();
        Ok(())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.core.lock().close();
    }
}
