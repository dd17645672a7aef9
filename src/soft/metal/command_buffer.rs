//! MTLCommandBuffer: from its first encoder to its last completed handler.

use super::blit_encoder::BlitEncoder;
use super::capture;
use super::commands::{Command, Recording};
use super::compute_encoder::ComputeEncoder;
use super::descriptors::{BlitPassDescriptor, ComputePassDescriptor};
use super::device::{self, Device};
use super::encoder;
use super::errors::{Problem, Trouble, invalid};
use super::event::{Waiter, signal_of};
use super::execute;
use super::foundation::{
    AFTER_FORK, Failure, HeldBlock, Label, List, NSObject, Object, Strong, Text, This, is_forked,
    label, labelled, lock, set_label, soft_class,
};
use super::order;
use super::queue::{Queue, Ticket};
use super::residency_set::ResidencySet;
use super::stall;
use super::trace::Trace;
use super::worker;
use crate::abi::{Id, Imp};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Condvar, Mutex, PoisonError};

/// A command buffer.
pub(super) struct CommandBuffer {
    queue: Strong<Queue>,
    retained: bool,
    error_options: usize,
    label: Label,
    state: Mutex<State>,
    /// Of `status`; written with the state locked.
    status: AtomicUsize,
    /// The handlers have been called, and who waits may go on.
    done: AtomicBool,
    news: Condvar,
}

labelled!(CommandBuffer);

/// `MTLCommandBufferStatus`.
mod status {
    pub(super) const NOT_ENQUEUED: usize = 0;
    pub(super) const ENQUEUED: usize = 1;
    pub(super) const COMMITTED: usize = 2;
    pub(super) const SCHEDULED: usize = 3;
    pub(super) const COMPLETED: usize = 4;
    pub(super) const ERROR: usize = 5;
}

struct State {
    /// Here, unless an encoder has it, or it has been run.
    recording: Option<Box<Recording>>,
    /// The encoder that has it.
    open: Option<&'static str>,
    ticket: Option<Ticket>,
    /// The next command to run.
    next: usize,
    trouble: Option<Trouble>,
    error: Option<Strong<Failure>>,
    scheduled: Vec<HeldBlock>,
    completed: Vec<HeldBlock>,
    /// How many threads wait for news.
    waiting: usize,
    kernel: (f64, f64),
    gpu: (f64, f64),
    /// There while it is captured.
    trace: Option<Box<Trace>>,
}

/// What a capture tells of a command buffer's end.
pub(super) struct Ending<'a> {
    pub(super) label: &'a Label,
    pub(super) queue: &'a Queue,
    pub(super) retained: bool,
    pub(super) trouble: Option<&'a Trouble>,
    pub(super) kernel: (f64, f64),
    pub(super) gpu: (f64, f64),
}

soft_class! {
    /// A command buffer.
    pub(super) class SoftMTLCommandBuffer(CommandBuffer): NSObject, conforms [MTLCommandBuffer];
    [label] = label::<CommandBuffer>;
    [setLabel:] = set_label::<CommandBuffer>;
    [device] = |_: &CommandBuffer| -> Strong<Device> { device::shared() };
    [commandQueue] = |buffer: &CommandBuffer| buffer.queue.clone();
    [retainedReferences] = |buffer: &CommandBuffer| buffer.retained;
    [errorOptions] = |buffer: &CommandBuffer| buffer.error_options;
    [status] = |buffer: &CommandBuffer| buffer.status.load(Acquire);
    [error] = CommandBuffer::error;
    [logs] = |_: &CommandBuffer| List::object([]);
    [GPUStartTime] = |buffer: &CommandBuffer| lock(&buffer.state).gpu.0;
    [GPUEndTime] = |buffer: &CommandBuffer| lock(&buffer.state).gpu.1;
    [kernelStartTime] = |buffer: &CommandBuffer| lock(&buffer.state).kernel.0;
    [kernelEndTime] = |buffer: &CommandBuffer| lock(&buffer.state).kernel.1;

    [computeCommandEncoder] = |this: This<'_, CommandBuffer>| ComputeEncoder::open(&this, 0);
    [computeCommandEncoderWithDispatchType:] =
        |this: This<'_, CommandBuffer>, kind: usize| ComputeEncoder::open(&this, kind);
    [computeCommandEncoderWithDescriptor:] =
        |this: This<'_, CommandBuffer>, descriptor: Option<&Object<ComputePassDescriptor>>| {
            let kind = descriptor.map_or(0, |descriptor| descriptor.get().dispatch_type);
            ComputeEncoder::open(&this, kind)
        };
    [blitCommandEncoder] = |this: This<'_, CommandBuffer>| BlitEncoder::open(&this);
    [blitCommandEncoderWithDescriptor:] =
        |this: This<'_, CommandBuffer>, _: Option<&Object<BlitPassDescriptor>>| {
            BlitEncoder::open(&this)
        };
    [encodeSignalEvent:value:] = |buffer: &CommandBuffer, event: Id, value: u64| {
        buffer.encode_event("encodeSignalEvent:value:", event, |event| {
            Command::Signal { event, value }
        })
    };
    [encodeWaitForEvent:value:] = |buffer: &CommandBuffer, event: Id, value: u64| {
        buffer.encode_event("encodeWaitForEvent:value:", event, |event| {
            Command::Wait { event, value }
        })
    };

    [addScheduledHandler:] = |buffer: &CommandBuffer, block: Option<HeldBlock>| {
        buffer.add_handler("addScheduledHandler:", block, |state| &mut state.scheduled)
    };
    [addCompletedHandler:] = |buffer: &CommandBuffer, block: Option<HeldBlock>| {
        buffer.add_handler("addCompletedHandler:", block, |state| &mut state.completed)
    };
    [enqueue] = CommandBuffer::enqueue;
    [commit] = commit;
    [waitUntilScheduled] = CommandBuffer::wait_until_scheduled;
    [waitUntilCompleted] = CommandBuffer::wait_until_completed;

    [pushDebugGroup:] = |buffer: &CommandBuffer, name: Option<&Object<Text>>| {
        buffer.note_groups(|groups| groups.push(encoder::own(name)));
    };
    [popDebugGroup] = |buffer: &CommandBuffer| buffer.note_groups(|groups| _ = groups.pop());
    [useResidencySet:] = |_: &CommandBuffer, _: Option<&Object<ResidencySet>>| ();
    [useResidencySets:count:] = |_: &CommandBuffer, _: *const Id, _: usize| ();
}

/// Seconds since the machine started.
fn now() -> f64 {
    #[repr(C)]
    struct TimeSpec {
        seconds: i64,
        nanoseconds: i64,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: std::ffi::c_int, time: *mut TimeSpec) -> std::ffi::c_int;
    }
    const CLOCK_MONOTONIC: std::ffi::c_int = 1;
    let mut time = TimeSpec { seconds: 0, nanoseconds: 0 };
    // SAFETY: Linux has this clock, and `struct timespec` is two 64-bit words on our hosts.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut time) };
    time.seconds as f64 + time.nanoseconds as f64 * 1e-9
}

/// How far a command buffer came in one go.
pub(super) enum Progress {
    /// It waits for an event, which knows the queue.
    Waits,
    /// It is at its end, which is to be told.
    Done(Finish),
}

/// The end of a command buffer that nobody knows of yet.
pub(super) struct Finish {
    result: Result<(), Trouble>,
    /// What a capture writes of its commands.
    trace: Option<(Box<Trace>, String)>,
}

/// Calls handlers of a command buffer.
fn call_handlers(buffer: &Strong<CommandBuffer>, handlers: &[HeldBlock]) {
    for handler in handlers {
        // SAFETY: it was passed as a block that takes a command buffer.
        unsafe {
            let call = std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Id)>(handler.invoke());
            call(handler.id(), buffer.id());
        }
    }
}

impl CommandBuffer {
    pub(super) fn object(
        queue: Strong<Queue>,
        retained: bool,
        error_options: usize,
    ) -> Strong<Self> {
        let mut recording = queue.recording();
        recording.retaining = retained;
        let trace = capture::trace(&queue);
        recording.notes = trace.as_ref().map(|_| Box::default());
        let state = State {
            recording: Some(recording),
            open: None,
            ticket: None,
            next: 0,
            trouble: None,
            error: None,
            scheduled: Vec::new(),
            completed: Vec::new(),
            waiting: 0,
            kernel: (0.0, 0.0),
            gpu: (0.0, 0.0),
            trace,
        };
        Strong::new(Self {
            queue,
            retained,
            error_options,
            label: Label::default(),
            state: Mutex::new(state),
            status: AtomicUsize::new(status::NOT_ENQUEUED),
            done: AtomicBool::new(false),
            news: Condvar::new(),
        })
    }

    /// Notes what is wrong. The first trouble is the one that is told. A command buffer that is past
    /// its end, or that will never have one, fails on the spot.
    pub(super) fn note(&self, trouble: Trouble) {
        self.note_in(&mut lock(&self.state), trouble);
    }

    fn note_in(&self, state: &mut State, trouble: Trouble) {
        if state.trouble.is_none() {
            state.trouble = Some(trouble);
        }
        if self.status.load(Relaxed) == status::COMPLETED {
            self.status.store(status::ERROR, Release);
        }
    }

    /// The message that is at fault, by name.
    fn misuse(&self, state: &mut State, selector: &str, why: &str) {
        let name = self.label.after_noun();
        self.note_in(state, invalid(format!("-[MTLCommandBuffer {selector}]{name}: {why}")));
    }

    fn error(&self) -> Option<Strong<Failure>> {
        let mut state = lock(&self.state);
        if self.status.load(Relaxed) != status::ERROR {
            return None;
        }
        if state.error.is_none() {
            state.error = state.trouble.as_ref().map(Problem::failure);
        }
        state.error.clone()
    }

    /// Hands the recording to an encoder; none, and a note, when it cannot be.
    pub(super) fn lend(&self, selector: &str, encoder: &'static str) -> Option<Box<Recording>> {
        let mut state = lock(&self.state);
        let why = match (self.status.load(Relaxed), state.open) {
            (status::COMMITTED.., _) => "the command buffer is committed already".to_owned(),
            (_, Some(open)) => format!("the {open} before this one has not ended"),
            _ => {
                state.open = Some(encoder);
                return state.recording.take();
            }
        };
        self.misuse(&mut state, selector, &why);
        None
    }

    /// Takes the recording back from the encoder that had it. One that goes without having ended
    /// stays open: what it recorded may be half of what was meant.
    pub(super) fn take_back(&self, recording: Box<Recording>, ended: bool) {
        let mut state = lock(&self.state);
        if self.status.load(Relaxed) >= status::COMMITTED {
            drop(state);
            return self.queue.recycle(recording);
        }
        state.recording = Some(recording);
        if ended {
            state.open = None;
        }
    }

    fn encode_event(&self, selector: &str, event: Id, command: impl FnOnce(u32) -> Command) {
        let mut state = lock(&self.state);
        let why = match (signal_of(event), self.status.load(Relaxed), state.open) {
            (None, ..) => "nil, or an object that is no event".to_owned(),
            (_, status::COMMITTED.., _) => "the command buffer is committed already".to_owned(),
            (_, _, Some(open)) => format!("the {open} has not ended"),
            (Some(signal), ..) => {
                if let Some(recording) = &mut state.recording {
                    let place = recording.event(&signal);
                    recording.commands.push(command(place));
                }
                return;
            }
        };
        self.misuse(&mut state, selector, &why);
    }

    fn note_groups(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut state = lock(&self.state);
        let recording = state.recording.as_mut();
        if let Some(notes) = recording.and_then(|recording| recording.notes.as_mut()) {
            change(&mut notes.groups);
        }
    }

    fn add_handler(
        &self,
        selector: &str,
        block: Option<HeldBlock>,
        list: impl FnOnce(&mut State) -> &mut Vec<HeldBlock>,
    ) {
        let mut state = lock(&self.state);
        let Some(block) = block else {
            return self.misuse(&mut state, selector, "nil was passed for the block");
        };
        if self.status.load(Relaxed) >= status::COMMITTED {
            return self.misuse(&mut state, selector, "the command buffer is committed already");
        }
        list(&mut state).push(block);
    }

    fn enqueue(&self) {
        let mut state = lock(&self.state);
        match self.status.load(Relaxed) {
            status::NOT_ENQUEUED => {
                state.ticket = Some(self.queue.reserve());
                self.status.store(status::ENQUEUED, Release);
            }
            status::ENQUEUED => {}
            _ => self.misuse(&mut state, "enqueue", "the command buffer is committed already"),
        }
    }

    fn wait_until_scheduled(&self) {
        self.wait("waitUntilScheduled", || self.status.load(Acquire) >= status::SCHEDULED);
    }

    fn wait_until_completed(&self) {
        // A block that waits would wait for blocks that are called after it: the work is enough for it.
        let in_block = worker::calls_blocks();
        self.wait("waitUntilCompleted", || {
            self.done.load(Acquire) || in_block && self.status.load(Acquire) >= status::COMPLETED
        });
    }

    fn wait(&self, selector: &str, over: impl Fn() -> bool) {
        if over() {
            return;
        }
        if self.status.load(Acquire) < status::COMMITTED && self.fail_uncommitted(selector) {
            return;
        }
        if is_forked() {
            // What the parent committed completes in the parent.
            let mut state = lock(&self.state);
            self.misuse(&mut state, selector, AFTER_FORK);
            self.status.store(status::ERROR, Release);
            self.done.store(true, Release);
            return;
        }
        if worker::look(&over) {
            return;
        }
        let mut state = lock(&self.state);
        while !over() {
            state.waiting += 1;
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }
}

impl CommandBuffer {
    /// Ends a command buffer in an error because a thread waits for it before it was committed. Its
    /// place in the queue is free again, so that those after it run. Returns whether it was
    /// uncommitted.
    fn fail_uncommitted(&self, selector: &str) -> bool {
        let mut state = lock(&self.state);
        if self.status.load(Relaxed) >= status::COMMITTED {
            return false;
        }
        let why = "the command buffer was never committed, so that it would never complete: \
                   send commit before waiting";
        self.misuse(&mut state, selector, why);
        self.status.store(status::ERROR, Release);
        self.done.store(true, Release);
        let ticket = state.ticket.take();
        drop(state);
        if let Some(ticket) = ticket {
            Queue::give_up(&self.queue, ticket);
        }
        true
    }
}

fn commit(this: This<'_, CommandBuffer>) {
    let mut state = lock(&this.state);
    if this.status.load(Relaxed) >= status::COMMITTED {
        return this.misuse(&mut state, "commit", "the command buffer is committed already");
    }
    if let Some(open) = state.open {
        let why = format!("the {open} has not ended: endEncoding was not sent");
        this.misuse(&mut state, "commit", &why);
    }
    state.kernel.0 = now();
    this.status.store(status::COMMITTED, Release);
    let ticket = state.ticket.take();
    if is_forked() {
        this.misuse(&mut state, "commit", AFTER_FORK);
        drop(state);
        let buffer = this.retain();
        // It has an error, so that nothing runs.
        if let Progress::Done(finish) = buffer.run(&this.queue) {
            finish.tell(buffer);
        }
        return;
    }
    drop(state);
    Queue::submit(&this.queue, this.retain(), ticket);
}

impl Strong<CommandBuffer> {
    /// Runs commands, from where it stopped to the end or to an event that is to be waited for.
    pub(super) fn run(&self, queue: &Object<Queue>) -> Progress {
        let mut scheduled = Vec::new();
        let mut state = lock(&self.state);
        if self.status.load(Relaxed) == status::COMMITTED {
            state.gpu.0 = now();
            state.kernel.1 = state.gpu.0;
            self.status.store(status::SCHEDULED, Release);
            if state.waiting > 0 {
                self.news.notify_all();
            }
            scheduled = std::mem::take(&mut state.scheduled);
        }
        let recording = match &state.trouble {
            Some(_) => None,
            None => state.recording.take(),
        };
        let mut next = state.next;
        let mut trace = state.trace.take();
        drop(state);
        if !scheduled.is_empty() {
            let buffer = self.clone();
            worker::deliver(move || call_handlers(&buffer, &scheduled));
        }
        let Some(mut recording) = recording else {
            let trace = trace.map(|trace| (trace, String::new()));
            return Progress::Done(Finish { result: Ok(()), trace });
        };
        if next == 0 {
            order::put_in_order(&mut recording);
        }
        loop {
            let running = stall::Running::new();
            let step = execute::run(&recording, &mut next, trace.as_deref_mut());
            drop(running);
            match step {
                execute::Step::Done(result) => {
                    let trace = trace.map(|trace| {
                        let commands = trace.commands(&recording);
                        (trace, commands)
                    });
                    self.queue.recycle(recording);
                    return Progress::Done(Finish { result, trace });
                }
                execute::Step::Wait(signal, value) => {
                    let mut state = lock(&self.state);
                    if signal.value() >= value {
                        continue;
                    }
                    if let Some(trace) = &mut trace {
                        trace.wait();
                    }
                    // Everything is put down before the event may have another runner take it up.
                    (state.recording, state.next, state.trace) = (Some(recording), next, trace);
                    drop(state);
                    let waiter = Waiter::Queue(queue.retain(), signal.watch());
                    match signal.when_reached(value, waiter) {
                        None => return Progress::Waits,
                        Some(_) => return self.run(queue),
                    }
                }
            }
        }
    }
}

impl Finish {
    /// Tells everybody that the command buffer is at its end.
    pub(super) fn tell(self, buffer: Strong<CommandBuffer>) {
        let mut state = lock(&buffer.state);
        state.gpu.1 = now();
        if let Err(trouble) = self.result {
            buffer.note_in(&mut state, trouble);
        }
        if let Some((trace, commands)) = self.trace {
            let ending = Ending {
                label: &buffer.label,
                queue: &buffer.queue,
                retained: buffer.retained,
                trouble: state.trouble.as_ref(),
                kernel: state.kernel,
                gpu: state.gpu,
            };
            trace.finish(&ending, &commands);
        }
        let end = if state.trouble.is_some() { status::ERROR } else { status::COMPLETED };
        buffer.status.store(end, Release);
        let unused = state.recording.take();
        let handlers = std::mem::take(&mut state.completed);
        if handlers.is_empty() {
            buffer.done.store(true, Release);
        }
        if state.waiting > 0 {
            buffer.news.notify_all();
        }
        drop(state);
        if let Some(recording) = unused {
            buffer.queue.recycle(recording);
        }
        if !handlers.is_empty() {
            worker::deliver(move || {
                call_handlers(&buffer, &handlers);
                drop(handlers);
                let state = lock(&buffer.state);
                buffer.done.store(true, Release);
                if state.waiting > 0 {
                    buffer.news.notify_all();
                }
            });
        }
    }
}

impl Drop for CommandBuffer {
    /// One that was never committed gives up quietly.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(recording) = state.recording.take() {
            self.queue.recycle(recording);
        }
        if let Some(ticket) = state.ticket.take() {
            Queue::give_up(&self.queue, ticket);
        }
    }
}
