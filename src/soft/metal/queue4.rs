//! MTL4CommandQueue: commits command buffers, and calls back with their times and their error (`specs/metal4.md`).

use super::absent::QUEUE4;
use super::binding::{items, object};
use super::command_buffer4::{CommandBuffer4, add_residents};
use super::errors::ns_error_of_commit;
use super::event::signal_of;
use super::foundation::{
    Failure, HeldBlock, Label, Labelled, NSObject, Object, Retained, Strong, device, in_pool,
    label, lock, of_device, run_on, soft_class,
};
use super::log_state::LogState;
use super::properties::{LabelText, properties};
use super::residency_set::{self, ResidencySet};
use crate::abi::{Id, Imp};
use crate::soft::kernel::Processor;
use crate::soft::stream::error::CommandError;
use crate::soft::stream::queue;
use crate::soft::stream::recording::Command;
use crate::soft::stream::submission::{Handler, Submission};
use std::sync::{Arc, Mutex};

properties! {
    /// Properties of a new queue.
    class MTL4CommandQueueDescriptor(CommandQueueDescriptor4, CommandQueueFields4);
    [label, setLabel:] label: LabelText = None;
    [feedbackQueue, setFeedbackQueue:] feedback: Option<Retained> = None;
}

/// The handlers to be called after a commit.
#[derive(Default)]
pub(super) struct CommitOptions(Mutex<Vec<Arc<HeldBlock>>>);

soft_class! {
    /// The handlers to be called after a commit.
    pub(super) class MTL4CommitOptions(CommitOptions): NSObject;
    init [init] = CommitOptions::default;
    [addFeedbackHandler:] = |options: &CommitOptions, block: Option<HeldBlock>| {
        lock(&options.0).extend(block.map(Arc::new));
    };
}

/// How committed work ended.
pub(super) struct CommitFeedback {
    error: Option<Strong<Failure>>,
    times: (f64, f64),
}

soft_class! {
    /// How committed work ended.
    pub(super) class SoftMTL4CommitFeedback(CommitFeedback): NSObject, conforms [MTL4CommitFeedback];
    [error] = |feedback: &CommitFeedback| feedback.error.clone();
    [GPUStartTime] = |feedback: &CommitFeedback| feedback.times.0;
    [GPUEndTime] = |feedback: &CommitFeedback| feedback.times.1;
}

/// A queue.
pub(super) struct Queue4 {
    queue: Arc<queue::Queue>,
    /// The queue of libdispatch's that calls back; without one, the thread of all completed handlers does.
    feedback: Option<Retained>,
    /// The residency sets of all command buffers.
    sets: Mutex<Vec<Strong<ResidencySet>>>,
}

impl Labelled for Queue4 {
    fn label(&self) -> &Label {
        &self.queue.label
    }
}

of_device! { Queue4, queue => queue.queue.processor; }

soft_class! {
    /// A queue.
    pub(super) class SoftMTL4CommandQueue(Queue4): NSObject, conforms [MTL4CommandQueue], lacks QUEUE4;
    [device] = device::<Queue4>;
    [label] = label::<Queue4>;
    [commit:count:] = |queue: &Queue4, buffers: *const Id, count: usize| {
        queue.commit(buffers, count, Vec::new());
    };
    [commit:count:options:] = |
        queue: &Queue4, buffers: *const Id, count: usize, options: Option<&Object<CommitOptions>>,
    | {
        let handlers = options.map(|options| lock(&options.0).clone()).unwrap_or_default();
        queue.commit(buffers, count, handlers);
    };
    [signalEvent:value:] = |queue: &Queue4, event: Id, value: u64| {
        queue.pass_event("signalEvent:value:", event, |event| Command::Signal { event, value });
    };
    [waitForEvent:value:] = |queue: &Queue4, event: Id, value: u64| {
        queue.pass_event("waitForEvent:value:", event, |event| Command::Wait { event, value });
    };
    [addResidencySet:] =
        |queue: &Queue4, set: Option<&Object<ResidencySet>>| queue.add_sets(set.into_iter());
    [addResidencySets:count:] =
        |queue: &Queue4, sets: *const Id, count: usize| queue.add_sets(residency_set::of(sets, count));
    [removeResidencySet:] =
        |queue: &Queue4, set: Option<&Object<ResidencySet>>| queue.remove_sets(set.into_iter());
    [removeResidencySets:count:] =
        |queue: &Queue4, sets: *const Id, count: usize| queue.remove_sets(residency_set::of(sets, count));
}

impl Queue4 {
    pub(super) fn object(
        processor: &'static Processor,
        descriptor: Option<&Object<CommandQueueDescriptor4>>,
    ) -> Strong<Self> {
        let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
        let queue = queue::Queue::new(Some(processor));
        queue.label.set(fields.label.as_ref().map(|text| text.to_str()).as_deref());
        Strong::new(Self { queue, feedback: fields.feedback, sets: Mutex::default() })
    }

    fn add_sets<'a>(&self, sets: impl Iterator<Item = &'a Object<ResidencySet>>) {
        lock(&self.sets).extend(sets.map(Object::retain));
    }

    fn remove_sets<'a>(&self, sets: impl Iterator<Item = &'a Object<ResidencySet>>) {
        let mut own = lock(&self.sets);
        for set in sets {
            own.retain(|other| !std::ptr::eq::<Object<ResidencySet>>(&**other, set));
        }
    }

    fn misuse(&self, selector: &str, why: &str) -> CommandError {
        let label = self.queue.label.after_noun();
        CommandError::invalid(format!("-[MTL4CommandQueue {selector}]{label}: {why}"))
    }

    /// Commits command buffers in their order.
    fn commit(&self, buffers: *const Id, count: usize, handlers: Vec<Arc<HeldBlock>>) {
        let selector = "commit:count:";
        let members: Vec<Retained> =
            lock(&self.sets).iter().flat_map(|set| set.members()).collect();
        let mut work: Vec<Arc<Submission>> = Vec::new();
        let mut log_states = Vec::new();
        let mut refused = None;
        let ids = items(buffers, count, "command buffers");
        let objects = ids.and_then(|ids| {
            let found =
                ids.iter().map(|id| object::<CommandBuffer4>(*id, "command buffer of Metal 4"));
            found.collect::<Result<Vec<_>, _>>()
        });
        for buffer in objects.unwrap_or_else(|why| {
            refused = Some(self.misuse(selector, &why));
            Vec::new()
        }) {
            let committed = match buffer {
                Some(buffer) => buffer.commit(|recorded| self.queue.adopt(recorded)),
                None => Err(self.misuse(selector, "nil was passed for a command buffer")),
            };
            match committed {
                Ok((submission, log_state)) => {
                    log_states.extend(log_state.map(|state| (Arc::clone(&submission), state)));
                    work.push(submission);
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if let Some(error) = refused {
            let failed = self.queue.submission(true);
            failed.fail(error);
            work.push(failed);
        }
        // Nothing was committed: handlers are called when the work before this is done.
        if work.is_empty() && !handlers.is_empty() {
            work.push(self.queue.submission(true));
        }
        for submission in &work {
            let misuse = |why: &str| self.misuse(selector, why);
            let mut added = Ok(());
            submission.record(|recording| added = add_residents(recording, &members), misuse);
            if let Err(why) = added {
                submission.fail(self.misuse(selector, &why));
            }
        }
        let Some((last, others)) = work.split_last() else { return };
        let all = work.clone();
        // The messages of the last one's kernels come before the feedback.
        let of_last = |(submission, _): &Delivery| Arc::ptr_eq(submission, last);
        let last_delivery =
            log_states.iter().position(of_last).map(|at| log_states.swap_remove(at));
        let (feedback, label) = (self.feedback.clone(), self.queue.label.after_noun());
        let report = Box::new(move || {
            last_delivery.into_iter().for_each(deliver);
            let first_error = all.iter().find_map(|submission| submission.error());
            if let Some(error) = first_error.as_ref().filter(|_| handlers.is_empty()) {
                eprintln!(
                    "aruminium: command queue{label}: {error}; a feedback handler receives it"
                );
            }
            let (start, end) = (all[0].times().gpu.0, all[all.len() - 1].times().gpu.1);
            let call =
                move || in_pool(move || call_back(&handlers, first_error.as_ref(), (start, end)));
            match feedback {
                Some(queue) => run_on(&queue, call),
                None => call(),
            }
        });
        for submission in others {
            let own = log_states.iter().position(|(one, _)| Arc::ptr_eq(one, submission));
            let delivery = own.map(|at| log_states.swap_remove(at));
            let report = delivery.map(|delivery| Box::new(move || deliver(delivery)) as Handler);
            self.queue.commit(submission, None, report, |why| self.misuse(selector, why));
        }
        self.queue.commit(last, None, Some(report), |why| self.misuse(selector, why));
    }

    /// Signals an event or waits for one, between command buffers.
    fn pass_event(&self, selector: &str, event: Id, command: impl FnOnce(u32) -> Command) {
        let misuse = |why: &str| self.misuse(selector, why);
        let Some(signal) = signal_of(event) else {
            let why = "nil, or an object that is not an event, was passed";
            return eprintln!("aruminium: {}", misuse(why));
        };
        let submission = self.queue.submission(true);
        submission.record(
            |recording| {
                let event = recording.event(&signal);
                recording.commands.push(command(event));
            },
            misuse,
        );
        let label = self.queue.label.after_noun();
        let waited = Arc::clone(&submission);
        let report = Box::new(move || {
            if let Some(error) = waited.error() {
                eprintln!("aruminium: command queue{label}: {error}");
            }
        });
        self.queue.commit(&submission, None, Some(report), misuse);
    }
}

/// Work whose messages a log state gets.
type Delivery = (Arc<Submission>, Strong<LogState>);

fn deliver((submission, log_state): Delivery) {
    in_pool(move || log_state.deliver(&submission.log.messages()));
}

/// Calls blocks with how work ended.
fn call_back(handlers: &[Arc<HeldBlock>], error: Option<&CommandError>, times: (f64, f64)) {
    if handlers.is_empty() {
        return;
    }
    let error = error.map(ns_error_of_commit);
    let feedback = Strong::new(CommitFeedback { error, times });
    for handler in handlers {
        // SAFETY: it was passed as a block that takes this object.
        unsafe {
            let call = std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Id)>(handler.invoke());
            call(handler.id(), feedback.id());
        }
    }
}
