//! MTLCommandQueue: command buffers in the order in which they were enqueued.

use super::command_buffer::{CommandBuffer, Progress};
use super::commands::Recording;
use super::descriptors::CommandBufferDescriptor;
use super::device::{self, Device};
use super::errors::{CommandBufferError, Problem};
use super::foundation::{
    Label, NSObject, Object, Strong, This, label, labelled, lock, set_label, soft_class,
};
use super::residency_set::ResidencySet;
use super::stall::{self, Watched};
use super::worker;
use crate::abi::Id;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// A queue.
pub(super) struct Queue {
    /// Tells it from others in captures.
    pub(super) number: u64,
    pub(super) label: Label,
    line: Mutex<Line>,
    /// Recordings with room in them, for command buffers to come.
    spare: Mutex<Vec<Box<Recording>>>,
}

labelled!(Queue);

/// The command buffers that are not done.
#[derive(Default)]
struct Line {
    places: VecDeque<Entry>,
    /// A runner has the queue, or an event will give it to one.
    running: bool,
    /// Watches the first place while it is reserved and keeps others waiting.
    watch: Option<(Ticket, Watched)>,
}

enum Entry {
    /// The place of a command buffer that was enqueued and not yet committed.
    Reserved(Ticket),
    /// A command buffer to be run, or to be gone on with.
    Ready(Strong<CommandBuffer>),
}

/// What names a reserved place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

soft_class! {
    /// A queue.
    pub(super) class SoftMTLCommandQueue(Queue): NSObject, conforms [MTLCommandQueue];
    [label] = label::<Queue>;
    [setLabel:] = set_label::<Queue>;
    [device] = |_: &Queue| -> Strong<Device> { device::shared() };
    [commandBuffer] = |this: This<'_, Queue>| CommandBuffer::object(this.retain(), true, 0);
    [commandBufferWithUnretainedReferences] =
        |this: This<'_, Queue>| CommandBuffer::object(this.retain(), false, 0);
    [commandBufferWithDescriptor:] = described;
    [insertDebugCaptureBoundary] = |_: &Queue| ();
    [addResidencySet:] = |_: &Queue, _: Option<&Object<ResidencySet>>| ();
    [removeResidencySet:] = |_: &Queue, _: Option<&Object<ResidencySet>>| ();
    [addResidencySets:count:] = |_: &Queue, _: *const Id, _: usize| ();
    [removeResidencySets:count:] = |_: &Queue, _: *const Id, _: usize| ();
}

fn described(
    this: This<'_, Queue>,
    descriptor: Option<&Object<CommandBufferDescriptor>>,
) -> Strong<CommandBuffer> {
    let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
    CommandBuffer::object(this.retain(), fields.retained_references, fields.error_options)
}

/// How many recordings a queue keeps for later: one for each command buffer that may be under way
/// on a queue of Metal's.
const SPARE: usize = 64;

impl Queue {
    pub(super) fn object() -> Strong<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Strong::new(Self {
            number: NEXT.fetch_add(1, Relaxed),
            label: Label::default(),
            line: Mutex::default(),
            spare: Mutex::default(),
        })
    }

    /// An empty recording.
    pub(super) fn recording(&self) -> Box<Recording> {
        lock(&self.spare).pop().unwrap_or_else(|| Box::new(Recording::new()))
    }

    /// Takes a recording back. What it kept is released here.
    pub(super) fn recycle(&self, mut recording: Box<Recording>) {
        recording.clear();
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE {
            spare.push(recording);
        }
    }

    /// Reserves the next place.
    pub(super) fn reserve(&self) -> Ticket {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let ticket = Ticket(NEXT.fetch_add(1, Relaxed));
        lock(&self.line).places.push_back(Entry::Reserved(ticket));
        ticket
    }

    /// A command buffer takes the place that was reserved for it, or the last.
    pub(super) fn submit(this: &Strong<Self>, buffer: Strong<CommandBuffer>, at: Option<Ticket>) {
        let mut line = lock(&this.line);
        let reserved =
            |entry: &Entry| matches!((entry, at), (Entry::Reserved(a), Some(b)) if *a == b);
        match line.places.iter().position(reserved) {
            Some(index) => line.places[index] = Entry::Ready(buffer),
            None => {
                if at.is_some() {
                    let why = "the watchdog gave away the place in the queue that enqueue had taken, \
                               because commit was not sent in time";
                    buffer.note(Problem::new(CommandBufferError::Timeout, why.to_owned()));
                }
                line.places.push_back(Entry::Ready(buffer));
            }
        }
        Self::start(this, line);
    }

    /// Gives a reserved place up.
    pub(super) fn give_up(this: &Strong<Self>, ticket: Ticket) {
        let mut line = lock(&this.line);
        line.places.retain(|entry| !matches!(entry, Entry::Reserved(other) if *other == ticket));
        Self::start(this, line);
    }

    /// The first command buffer, which waits for an event, ends in an error instead.
    pub(super) fn fail_first(&self, why: impl FnOnce() -> String) {
        if let Some(Entry::Ready(buffer)) = lock(&self.line).places.front() {
            buffer.note(Problem::new(CommandBufferError::Timeout, why()));
        }
    }

    /// The watchdog's answer to a first place that stays reserved: it is given up, and the command
    /// buffer after it, which may depend on what is missing, ends in an error. Those after that run.
    fn give_up_first(this: &Strong<Self>, ticket: Ticket, silence: Duration) {
        let mut line = lock(&this.line);
        if !matches!(line.places.front(), Some(Entry::Reserved(first)) if *first == ticket) {
            return;
        }
        line.places.pop_front();
        let next = line.places.iter().find_map(|entry| match entry {
            Entry::Ready(buffer) => Some(buffer.clone()),
            Entry::Reserved(_) => None,
        });
        if let Some(next) = &next {
            let why = format!(
                "the watchdog ended the wait for a command buffer that was enqueued earlier and not \
                 committed: nothing has run for {} ms",
                silence.as_millis()
            );
            next.note(Problem::new(CommandBufferError::Timeout, why));
        }
        Self::start(this, line);
    }

    /// Begins or ends the watch over the first place.
    fn watch_first(this: &Strong<Self>, line: &mut Line) {
        let keeps_waiting = match line.places.front() {
            Some(Entry::Reserved(ticket)) => {
                line.places.iter().any(|entry| matches!(entry, Entry::Ready(_))).then_some(*ticket)
            }
            _ => None,
        };
        if line.watch.as_ref().map(|(ticket, _)| *ticket) != keeps_waiting {
            line.watch = keeps_waiting.map(|ticket| {
                let queue = this.clone();
                let give_up = move |_, silence| Self::give_up_first(&queue, ticket, silence);
                (ticket, stall::watch(give_up))
            });
        }
    }

    /// Has a runner continue with the queue if its first command buffer is ready and no runner has it.
    fn start(this: &Strong<Self>, mut line: MutexGuard<'_, Line>) {
        Self::watch_first(this, &mut line);
        let ready = matches!(line.places.front(), Some(Entry::Ready(_)));
        if ready && !std::mem::replace(&mut line.running, true) {
            drop(line);
            worker::schedule(this.clone());
        }
    }
}

impl Object<Queue> {
    /// Runs command buffers until there is none to run. Called by runners.
    pub(super) fn run(&self) {
        loop {
            let mut line = lock(&self.line);
            let Some(Entry::Ready(buffer)) = line.places.front() else {
                line.running = false;
                Queue::watch_first(&self.retain(), &mut line);
                return;
            };
            let buffer = buffer.clone();
            drop(line);
            // It stays at the front while it runs, so that the event it waits for may have it go on
            // elsewhere before this call returns.
            match buffer.run(self) {
                Progress::Waits => return,
                Progress::Done(finish) => {
                    let front = lock(&self.line).places.pop_front();
                    drop(front);
                    finish.tell(buffer);
                }
            }
        }
    }
}
