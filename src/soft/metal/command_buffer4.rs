//! MTL4CommandAllocator and MTL4CommandBuffer: work that is encoded before it is committed to a queue (`specs/metal4.md`).

use super::absent::COMMAND_BUFFER4;
use super::compute_encoder4::ComputeEncoder4;
use super::counter_heap::CounterHeap;
use super::datum::Datum;
use super::encoder::own;
use super::foundation::{
    Label, NSObject, Object, Retained, Strong, Text, This, device, label, labelled, lock,
    of_device, set_label, soft_class,
};
use super::log_state::LogState;
use super::properties::{LabelText, properties};
use super::residency_set::{self, ResidencySet};
use super::residents;
use crate::abi::{Id, MTL4BufferRange, NSRange};
use crate::soft::kernel::Processor;
use crate::soft::stream::error::CommandError;
use crate::soft::stream::recording::{Command, Recording, RecordingPool};
use crate::soft::stream::submission::{Submission, status};
use std::sync::{Arc, Mutex, Weak};

properties! {
    /// Properties of a new allocator.
    class MTL4CommandAllocatorDescriptor(CommandAllocatorDescriptor, CommandAllocatorFields);
    [label, setLabel:] label: LabelText = None;
}

properties! {
    /// How a command buffer is encoded.
    class MTL4CommandBufferOptions(CommandBufferOptions4, CommandBufferFields4);
    [logState, setLogState:] log_state: Option<Retained> = None;
}

/// An allocator: the memory of command buffers.
pub(super) struct CommandAllocator {
    processor: &'static Processor,
    label: Label,
    recordings: Arc<RecordingPool>,
    users: Mutex<Users>,
}

/// The command buffers of an allocator.
#[derive(Default)]
struct Users {
    /// Whether one is being encoded.
    encoding: bool,
    /// Those that were committed.
    committed: Vec<Weak<Submission>>,
}

labelled!(CommandAllocator);
of_device! { CommandAllocator, allocator => allocator.processor; }

soft_class! {
    /// An allocator.
    pub(super) class SoftMTL4CommandAllocator(CommandAllocator): NSObject, conforms [MTL4CommandAllocator];
    [device] = device::<CommandAllocator>;
    [label] = label::<CommandAllocator>;
    [allocatedSize] = |allocator: &CommandAllocator| allocator.recordings.bytes() as u64;
    [reset] = CommandAllocator::reset;
}

impl CommandAllocator {
    pub(super) fn object(
        processor: &'static Processor,
        descriptor: Option<&Object<CommandAllocatorDescriptor>>,
    ) -> Strong<Self> {
        let own_label = Label::default();
        let text = descriptor.and_then(|descriptor| descriptor.get().label);
        own_label.set(text.as_ref().map(|text| text.to_str()).as_deref());
        let recordings = Arc::new(RecordingPool::new(Some(processor)));
        Strong::new(Self { processor, label: own_label, recordings, users: Mutex::default() })
    }

    /// Commands are never overwritten here; on a GPU they would be, so that it is reported.
    fn reset(&self) {
        let users = lock(&self.users);
        let runs = |user: &Weak<Submission>| {
            user.upgrade().is_some_and(|user| user.status() < status::COMPLETED)
        };
        let why = match &*users {
            Users { encoding: true, .. } => "a command buffer is being encoded with it",
            users if users.committed.iter().any(runs) => {
                "a command buffer that was encoded with it has not completed"
            }
            _ => return self.recordings.empty(),
        };
        drop(users);
        eprintln!("aruminium: -[MTL4CommandAllocator reset]{}: {why}", self.label.after_noun());
    }
}

/// A command buffer, which may be encoded many times.
pub(super) struct CommandBuffer4 {
    processor: &'static Processor,
    label: Label,
    encoded: Mutex<Option<Encoded>>,
    /// The work that was committed last.
    committed: Mutex<Option<Arc<Submission>>>,
}

/// The work that is encoded, or being encoded.
struct Encoded {
    submission: Arc<Submission>,
    allocator: Strong<CommandAllocator>,
    /// Who gets the messages of its kernels.
    log_state: Option<Strong<LogState>>,
    /// Whether it is what its allocator counts as being encoded.
    counts: bool,
    ended: bool,
}

impl Encoded {
    /// Another command buffer may be encoded with the allocator.
    fn leave_allocator(&mut self) {
        if std::mem::take(&mut self.counts) {
            lock(&self.allocator.users).encoding = false;
        }
    }
}

/// A command buffer may be released before it has ended.
impl Drop for Encoded {
    fn drop(&mut self) {
        self.leave_allocator();
    }
}

labelled!(CommandBuffer4);
of_device! { CommandBuffer4, buffer => buffer.processor; }

soft_class! {
    /// A command buffer.
    pub(super) class SoftMTL4CommandBuffer(CommandBuffer4): NSObject,
        conforms [MTL4CommandBuffer], lacks COMMAND_BUFFER4;
    [device] = device::<CommandBuffer4>;
    [label] = label::<CommandBuffer4>;
    [setLabel:] = set_label::<CommandBuffer4>;
    [beginCommandBufferWithAllocator:] =
        |buffer: &CommandBuffer4, allocator: Option<&Object<CommandAllocator>>| {
            buffer.begin("beginCommandBufferWithAllocator:", allocator, None);
        };
    [beginCommandBufferWithAllocator:options:] = |
        buffer: &CommandBuffer4, allocator: Option<&Object<CommandAllocator>>,
        options: Option<&Object<CommandBufferOptions4>>,
    | {
        let fields = options.map(|options| options.get()).unwrap_or_default();
        let log_state = LogState::of(fields.log_state.as_ref());
        buffer.begin("beginCommandBufferWithAllocator:options:", allocator, log_state);
    };
    [endCommandBuffer] = CommandBuffer4::end;
    // Beyond Metal's API.
    [aruminiumReports] = |buffer: &CommandBuffer4| {
        let committed = lock(&buffer.committed);
        let reports = committed.as_ref().map(|work| work.session.reports()).unwrap_or_default();
        Datum::List(reports.iter().map(Datum::from).collect()).object()
    };
    [computeCommandEncoder] = |this: This<'_, CommandBuffer4>| {
        let submission = this.open("computeCommandEncoder")?;
        ComputeEncoder4::open(&submission, this.retain())
    };
    [pushDebugGroup:] = |buffer: &CommandBuffer4, name: Option<&Object<Text>>| {
        if let Some(submission) = buffer.open("pushDebugGroup:") {
            submission.change_debug_groups(|groups| groups.push(own(name)));
        }
    };
    [popDebugGroup] = |buffer: &CommandBuffer4| {
        if let Some(submission) = buffer.open("popDebugGroup") {
            submission.change_debug_groups(|groups| _ = groups.pop());
        }
    };
    [useResidencySet:] = |buffer: &CommandBuffer4, set: Option<&Object<ResidencySet>>| {
        let members = set.map(|set| set.members()).unwrap_or_default();
        buffer.record("useResidencySet:", |recording| add_residents(recording, &members));
    };
    [useResidencySets:count:] = |buffer: &CommandBuffer4, sets: *const Id, count: usize| {
        let members: Vec<_> =
            residency_set::of(sets, count).flat_map(|set| set.members()).collect();
        buffer.record("useResidencySets:count:", |recording| add_residents(recording, &members));
    };
    [writeTimestampIntoHeap:atIndex:] =
        |buffer: &CommandBuffer4, heap: Option<&Object<CounterHeap>>, index: usize| {
            buffer.record("writeTimestampIntoHeap:atIndex:", |recording| {
                CounterHeap::record(heap, recording, index)
            });
        };
    [resolveCounterHeap:withRange:intoBuffer:waitFence:updateFence:] = |
        buffer: &CommandBuffer4, heap: Option<&Object<CounterHeap>>, range: NSRange,
        to: MTL4BufferRange,
        _: Id, _: Id,
    | {
        buffer.record("resolveCounterHeap:withRange:intoBuffer:waitFence:updateFence:", |recording| {
            CounterHeap::resolve_to(heap, recording, range, (to.buffer_address, to.length as usize))
        });
    };
}

/// Lets all of a command buffer use resources.
pub(super) fn add_residents(recording: &mut Recording, members: &[Retained]) -> Result<(), String> {
    for member in members {
        let found = residents::objects(recording, member.id())?;
        recording.always_resident.extend(found);
    }
    Ok(())
}

impl CommandBuffer4 {
    pub(super) fn object(processor: &'static Processor) -> Strong<Self> {
        let (encoded, committed) = Default::default();
        Strong::new(Self { processor, label: Label::default(), encoded, committed })
    }

    fn message(&self, selector: &str, why: &str) -> String {
        format!("-[MTL4CommandBuffer {selector}]{}: {why}", self.label.after_noun())
    }

    /// The error of a message that was sent at the wrong time or with wrong arguments.
    fn misuse(&self, selector: &str, why: &str) -> CommandError {
        CommandError::invalid(self.message(selector, why))
    }

    fn begin(
        &self,
        selector: &str,
        allocator: Option<&Object<CommandAllocator>>,
        log_state: Option<Strong<LogState>>,
    ) {
        let mut encoded = lock(&self.encoded);
        let Some(allocator) = allocator else {
            return eprintln!(
                "aruminium: {}",
                self.message(selector, "nil was passed for the allocator")
            );
        };
        if let Some(encoded) = encoded.as_ref().filter(|encoded| !encoded.ended) {
            let why = "it was begun already, and endCommandBuffer was not sent";
            return encoded.submission.fail(self.misuse(selector, why));
        }
        let submission = Submission::apart(&allocator.recordings);
        submission.label.set(self.label.get().as_deref());
        let counts = !std::mem::replace(&mut lock(&allocator.users).encoding, true);
        if !counts {
            let why = "another command buffer is being encoded with the allocator";
            submission.fail(self.misuse(selector, why));
        }
        let begin = |recording: &mut Recording| recording.commands.push(Command::Concurrent);
        submission.record(begin, |why| self.misuse(selector, why));
        let allocator = allocator.retain();
        *encoded = Some(Encoded { submission, allocator, log_state, counts, ended: false });
    }

    fn end(&self) {
        let mut encoded = lock(&self.encoded);
        match encoded.as_mut().filter(|encoded| !encoded.ended) {
            Some(encoded) => {
                let end = |recording: &mut Recording| recording.commands.push(Command::Serial);
                encoded.submission.record(end, |why| self.misuse("endCommandBuffer", why));
                encoded.ended = true;
                encoded.leave_allocator();
            }
            None => eprintln!("aruminium: {}", self.message("endCommandBuffer", NOT_BEGUN)),
        }
    }

    /// The work that is being encoded. Without any, the message is reported and has no effect.
    fn open(&self, selector: &str) -> Option<Arc<Submission>> {
        let encoded = lock(&self.encoded);
        let open = encoded.as_ref().filter(|encoded| !encoded.ended);
        if open.is_none() {
            eprintln!("aruminium: {}", self.message(selector, NOT_BEGUN));
        }
        open.map(|encoded| Arc::clone(&encoded.submission))
    }

    /// Records between encoders.
    fn record(&self, selector: &str, add: impl FnOnce(&mut Recording) -> Result<(), String>) {
        let Some(submission) = self.open(selector) else { return };
        let mut added = Ok(());
        submission.record(|recording| added = add(recording), |why| self.misuse(selector, why));
        if let Err(why) = added {
            submission.fail(self.misuse(selector, &why));
        }
    }

    /// Its work, to be committed, made into that of a queue by `adopt`, and who gets its messages.
    pub(super) fn commit(
        &self,
        adopt: impl FnOnce(&Submission) -> Option<Arc<Submission>>,
    ) -> Result<(Arc<Submission>, Option<Strong<LogState>>), CommandError> {
        let selector = "commit:count:";
        let taken = lock(&self.encoded).take();
        let encoded = taken.ok_or_else(|| {
            self.misuse(selector, "it was not begun, or was committed already: a command buffer is begun for each commit")
        })?;
        if !encoded.ended {
            return Err(self.misuse(selector, "endCommandBuffer was not sent"));
        }
        let committed = adopt(&encoded.submission)
            .ok_or_else(|| self.misuse(selector, "it was committed already"))?;
        let mut users = lock(&encoded.allocator.users);
        users
            .committed
            .retain(|user| user.upgrade().is_some_and(|user| user.status() < status::COMPLETED));
        users.committed.push(Arc::downgrade(&committed));
        drop(users);
        // The work that was committed before is freed after the lock.
        let earlier = lock(&self.committed).replace(Arc::clone(&committed));
        drop(earlier);
        if let Some(log_state) = &encoded.log_state {
            log_state.limit(&committed.log);
        }
        Ok((committed, encoded.log_state.clone()))
    }
}

const NOT_BEGUN: &str = "beginCommandBufferWithAllocator: was not sent";
