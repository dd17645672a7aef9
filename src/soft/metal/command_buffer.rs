//! MTLCommandBuffer: from its first encoder to its last completed handler.

use super::absent::COMMAND_BUFFER;
use super::blit_encoder::BlitEncoder;
use super::compute_encoder::ComputeEncoder;
use super::counters::Samples;
use super::datum::Datum;
use super::encoder;
use super::encoder_info::ENCODER_EXECUTION_STATUS;
use super::errors::ns_error_of_command;
use super::event::signal_of;
use super::foundation::{
    Failure, HeldBlock, Label, Labelled, List, NSObject, Object, Retained, Strong, Text, This,
    device, in_pool, label, lock, of_device, set_label, soft_class,
};
use super::log_state::{FunctionLog, LogState};
use super::pass_descriptors::{BlitPassDescriptor, ComputePassDescriptor};
use super::queue::Queue;
use super::render::RenderPassDescriptor;
use super::render_encoder::RenderEncoder;
use super::residency_set::{self, ResidencySet};
use super::residents;
use crate::abi::{Id, Imp};
use crate::soft::stream::error::CommandError;
use crate::soft::stream::recording::{Command, Recording};
use crate::soft::stream::submission::{Handler, Stage, Submission, status};
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex};

/// A command buffer.
pub(super) struct CommandBuffer {
    queue: Strong<Queue>,
    submission: ManuallyDrop<Arc<Submission>>,
    error_options: usize,
    log_state: Option<Strong<LogState>>,
    handlers: Mutex<Handlers>,
    /// The NSError, once it was requested.
    error: Mutex<Option<Strong<Failure>>>,
}

/// The handlers that `commit` passes on.
#[derive(Default)]
struct Handlers {
    scheduled: Vec<HeldBlock>,
    completed: Vec<HeldBlock>,
}

impl CommandBuffer {
    fn status(&self) -> usize {
        let now = self.submission.status();
        if now >= status::COMPLETED {
            self.submission.session.seen();
        }
        now
    }
}

impl Labelled for CommandBuffer {
    fn label(&self) -> &Label {
        &self.submission.label
    }
}

of_device! { CommandBuffer, buffer => buffer.queue.queue.processor; }

soft_class! {
    /// A command buffer.
    pub(super) class SoftMTLCommandBuffer(CommandBuffer): NSObject, conforms [MTLCommandBuffer], lacks COMMAND_BUFFER;
    [label] = label::<CommandBuffer>;
    [setLabel:] = set_label::<CommandBuffer>;
    [device] = device::<CommandBuffer>;
    [commandQueue] = |buffer: &CommandBuffer| buffer.queue.clone();
    [retainedReferences] = |buffer: &CommandBuffer| buffer.submission.retained;
    [errorOptions] = |buffer: &CommandBuffer| buffer.error_options;
    [status] = CommandBuffer::status;
    [error] = CommandBuffer::error;
    // Beyond Metal's API.
    [aruminiumReports] = |buffer: &CommandBuffer| {
        Datum::List(buffer.submission.session.reports().iter().map(Datum::from).collect()).object()
    };
    [aruminiumSetOrder:] = |buffer: &CommandBuffer, seed: u64| {
        buffer.submission.record(
            |recording| recording.order = Some(seed),
            |why| buffer.misuse("aruminiumSetOrder:", why),
        );
    };
    [aruminiumLogs] = |buffer: &CommandBuffer| {
        Datum::List(buffer.submission.log.messages().iter().map(Datum::from).collect()).object()
    };
    [logs] = |buffer: &CommandBuffer| {
        let logs = buffer.submission.log.messages().into_iter().map(FunctionLog::object);
        List::object(logs.map(Strong::into_retained))
    };
    [GPUStartTime] = |buffer: &CommandBuffer| buffer.submission.times().gpu.0;
    [GPUEndTime] = |buffer: &CommandBuffer| buffer.submission.times().gpu.1;
    [kernelStartTime] = |buffer: &CommandBuffer| buffer.submission.times().kernel.0;
    [kernelEndTime] = |buffer: &CommandBuffer| buffer.submission.times().kernel.1;

    [computeCommandEncoder] = |buffer: &CommandBuffer| {
        ComputeEncoder::open(&buffer.submission, 0, Samples::NONE)
    };
    [computeCommandEncoderWithDispatchType:] =
        |buffer: &CommandBuffer, kind: usize| {
            ComputeEncoder::open(&buffer.submission, kind, Samples::NONE)
        };
    [computeCommandEncoderWithDescriptor:] =
        |buffer: &CommandBuffer, descriptor: Option<&Object<ComputePassDescriptor>>| {
            let fields = descriptor.map(|descriptor| descriptor.get());
            let (kind, samples) = fields.map_or((0, Samples::NONE), |fields| {
                (fields.dispatch_type, fields.samples.samples())
            });
            ComputeEncoder::open(&buffer.submission, kind, samples)
        };
    [blitCommandEncoder] = |buffer: &CommandBuffer| {
        BlitEncoder::open(&buffer.submission, Samples::NONE)
    };
    [blitCommandEncoderWithDescriptor:] =
        |buffer: &CommandBuffer, descriptor: Option<&Object<BlitPassDescriptor>>| {
            let samples = descriptor.map(|descriptor| descriptor.get().samples.samples());
            BlitEncoder::open(&buffer.submission, samples.unwrap_or(Samples::NONE))
        };
    [renderCommandEncoderWithDescriptor:] =
        |buffer: &CommandBuffer, descriptor: Option<&Object<RenderPassDescriptor>>| {
            RenderEncoder::open(&buffer.submission, descriptor)
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
        buffer.add_handler("addScheduledHandler:", block, |handlers| &mut handlers.scheduled)
    };
    [addCompletedHandler:] = |buffer: &CommandBuffer, block: Option<HeldBlock>| {
        buffer.add_handler("addCompletedHandler:", block, |handlers| &mut handlers.completed)
    };
    [enqueue] = |buffer: &CommandBuffer| {
        buffer.queue.queue.enqueue(&buffer.submission, |why| buffer.misuse("enqueue", why));
    };
    [commit] = commit;
    [waitUntilScheduled] = |buffer: &CommandBuffer| {
        buffer.wait("waitUntilScheduled", Stage::Scheduled)
    };
    [waitUntilCompleted] = |buffer: &CommandBuffer| {
        buffer.wait("waitUntilCompleted", Stage::Completed)
    };

    [pushDebugGroup:] = |buffer: &CommandBuffer, name: Option<&Object<Text>>| {
        buffer.submission.change_debug_groups(|groups| groups.push(encoder::own(name)));
    };
    [popDebugGroup] = |buffer: &CommandBuffer| {
        buffer.submission.change_debug_groups(|groups| _ = groups.pop());
    };
    [useResidencySet:] = |buffer: &CommandBuffer, set: Option<&Object<ResidencySet>>| {
        buffer.use_residency_sets("useResidencySet:", set.map(|set| set.members()).unwrap_or_default());
    };
    [useResidencySets:count:] = |buffer: &CommandBuffer, sets: *const Id, count: usize| {
        let members = residency_set::of(sets, count).flat_map(|set| set.members()).collect();
        buffer.use_residency_sets("useResidencySets:count:", members);
    };
}

/// A function that passes messages to a log state, and calls these handlers with the command buffer; `None` if there is nothing to do.
fn handler(
    buffer: &This<'_, CommandBuffer>,
    log_state: Option<Strong<LogState>>,
    handlers: Vec<HeldBlock>,
) -> Option<Handler> {
    if handlers.is_empty() && log_state.is_none() {
        return None;
    }
    let buffer = buffer.retain();
    Some(Box::new(move || {
        in_pool(move || {
            if let Some(log_state) = log_state {
                log_state.deliver(&buffer.submission.log.messages());
            }
            for handler in handlers {
                // SAFETY: it was passed as a block that takes a command buffer.
                unsafe {
                    let call =
                        std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Id)>(handler.invoke());
                    call(handler.id(), buffer.id());
                }
            }
        });
    }))
}

impl CommandBuffer {
    pub(super) fn object(
        queue: Strong<Queue>,
        retained: bool,
        error_options: usize,
        log_state: Option<Strong<LogState>>,
    ) -> Strong<Self> {
        let submission = ManuallyDrop::new(queue.queue.submission(retained));
        if let Some(log_state) = &log_state {
            log_state.limit(&submission.log);
        }
        if error_options & ENCODER_EXECUTION_STATUS != 0 {
            submission.note_encoders();
        }
        Strong::new(Self {
            queue,
            submission,
            error_options,
            log_state,
            handlers: Mutex::default(),
            error: Mutex::default(),
        })
    }

    /// The error for a message that was sent at the wrong time or with wrong arguments.
    fn misuse(&self, selector: &str, why: &str) -> CommandError {
        let name = self.submission.label.after_noun();
        CommandError::invalid(format!("-[MTLCommandBuffer {selector}]{name}: {why}"))
    }

    fn error(&self) -> Option<Strong<Failure>> {
        let mut error = lock(&self.error);
        if error.is_none() {
            let with_encoders = self.error_options & ENCODER_EXECUTION_STATUS != 0;
            let ended = self.submission.error();
            *error = ended.map(|ended| ns_error_of_command(&ended, with_encoders));
        }
        error.clone()
    }

    fn encode_event(&self, selector: &str, event: Id, command: impl FnOnce(u32) -> Command) {
        let Some(signal) = signal_of(event) else {
            let why = "nil, or an object that is not an event, was passed";
            return self.submission.fail(self.misuse(selector, why));
        };
        self.submission.record(
            |recording| {
                let event = recording.event(&signal);
                recording.commands.push(command(event));
            },
            |why| self.misuse(selector, why),
        );
    }

    /// All encoders of the command buffer may use these resources.
    fn use_residency_sets(&self, selector: &str, members: Vec<Retained>) {
        let add = |recording: &mut Recording| {
            for member in &members {
                // Sets have nothing but allocations.
                let found = residents::objects(recording, member.id()).unwrap_or_default();
                recording.always_resident.extend(found);
            }
        };
        self.submission.record(add, |why| self.misuse(selector, why));
    }

    fn add_handler(
        &self,
        selector: &str,
        block: Option<HeldBlock>,
        list: impl FnOnce(&mut Handlers) -> &mut Vec<HeldBlock>,
    ) {
        let mut handlers = lock(&self.handlers);
        let why = match block {
            None => "nil was passed for the block",
            Some(_) if self.submission.is_committed() => "the command buffer is committed already",
            Some(block) => return list(&mut handlers).push(block),
        };
        self.submission.fail(self.misuse(selector, why));
    }

    fn wait(&self, selector: &str, stage: Stage) {
        self.queue.queue.wait(&self.submission, stage, |why| self.misuse(selector, why));
    }
}

fn commit(this: This<'_, CommandBuffer>) {
    // Locked until the command buffer is committed, so that no handler is added in between and lost.
    let mut handlers = lock(&this.handlers);
    let Handlers { scheduled, completed } = std::mem::take(&mut *handlers);
    let scheduled = handler(&this, None, scheduled);
    let completed = handler(&this, this.log_state.clone(), completed);
    let misuse = |why: &str| this.misuse("commit", why);
    let members = this.queue.residents();
    if !members.is_empty() && !this.submission.is_committed() {
        this.use_residency_sets("commit", members);
    }
    this.queue.queue.commit(&this.submission, scheduled, completed, misuse);
}

impl Drop for CommandBuffer {
    fn drop(&mut self) {
        self.queue.queue.released(&self.submission);
        // SAFETY: it is not used after this.
        Submission::retire(unsafe { ManuallyDrop::take(&mut self.submission) });
    }
}
