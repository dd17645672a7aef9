//! The common part of encoders: they own the recording of their command buffer while they are open, and return it
//! when they end.

use super::fence::Fence;
use super::foundation::{Label, Object, SoftClass, Text};
use crate::soft::kernel::Processor;
use crate::soft::stream::error::CommandError;
use crate::soft::stream::recording::{Command, Note, Ordered, Recording, Segment};
use crate::soft::stream::settings::Settings;
use crate::soft::stream::submission::Submission;
use std::cell::{Cell, UnsafeCell};
use std::error::Error;
use std::sync::Arc;

/// The error of a message. It is passed in two registers: a larger error would slow down every correct message.
pub(super) type Why = Box<dyn Error>;

/// The part of an encoder that is the same for both kinds.
pub(super) struct Encoder {
    commands: Arc<Submission>,
    recording: UnsafeCell<Option<Box<Recording>>>,
    /// A message is recording.
    busy: Cell<bool>,
    pub(super) label: Label,
    /// The device of the command buffer.
    pub(super) processor: Option<&'static Processor>,
    /// The protocol, for messages.
    protocol: &'static str,
}

// SAFETY: the submission and the label are Sync. The rest is used by one thread at a time: that is Metal's contract for
// messages to an encoder, which senders promise to keep.
unsafe impl Sync for Encoder {}
// SAFETY: all parts are Send.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder that has the recording; `None`, and an error of the command buffer, if it cannot be had.
    pub(super) fn open(
        commands: &Arc<Submission>,
        selector: &str,
        protocol: &'static str,
    ) -> Option<Self> {
        let misuse = |why: &str| {
            let name = commands.label.after_noun();
            let of =
                if protocol.starts_with("MTL4") { "MTL4CommandBuffer" } else { "MTLCommandBuffer" };
            CommandError::invalid(format!("-[{of} {selector}]{name}: {why}"))
        };
        let mut recording = commands.lend(protocol, misuse)?;
        let start = recording.commands.len();
        recording.segments.push(Segment { start, end: start });
        recording.note(|notes| {
            let groups = notes.groups.clone();
            Note::Encoder { protocol, label: None, groups }
        });
        Some(Self {
            commands: Arc::clone(commands),
            processor: recording.processor,
            recording: UnsafeCell::new(Some(recording)),
            busy: Cell::new(false),
            label: Label::default(),
            protocol,
        })
    }

    /// Records with `add`. Its error becomes that of the command buffer.
    #[inline]
    pub(super) fn record(
        &self,
        selector: &str,
        add: impl FnOnce(&mut Recording) -> Result<(), Why>,
    ) {
        if self.busy.replace(true) {
            return self.fault(selector, "sent while another message is being answered".into());
        }
        // SAFETY: one thread at a time, and `busy` says that this one is not recording already.
        let recording = unsafe { &mut *self.recording.get() };
        let result = match recording {
            Some(recording) => add(recording),
            None => Err(after_the_end()),
        };
        self.busy.set(false);
        if let Err(why) = result {
            self.fault(selector, why);
        }
    }

    /// Records the error of a message. With checks off the message has no effect at all.
    #[cold]
    fn fault(&self, selector: &str, why: Why) {
        if !Settings::get().checks {
            return;
        }
        let (protocol, label) = (self.protocol, self.label.after_noun());
        let message = format!("-[{protocol} {selector}]{label}: {why}");
        self.commands.fail(CommandError::invalid(message));
    }

    fn take(&self) -> Option<Box<Recording>> {
        // SAFETY: as in `record`.
        (!self.busy.get()).then(|| unsafe { (*self.recording.get()).take() })?
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if let Some(recording) = self.take() {
            self.commands.take_back(recording, false);
        }
    }
}

#[cold]
fn after_the_end() -> Why {
    "sent after endEncoding".into()
}

/// An encoder's payload.
pub(super) trait HasEncoder: SoftClass {
    fn encoder(&self) -> &Encoder;
    /// Records what belongs at the end.
    fn close(&self, recording: &mut Recording) -> Result<(), Why>;
}

/// Why a command buffer cannot use a pipeline or a resource that it uses.
fn of_another_device(recording: &mut Recording) -> Option<Why> {
    let (other, own) = (recording.foreign.take()?, recording.processor?);
    let [own, other] = [&own.name, &other.name];
    Some(
        format!("commands of device '{own}' use a pipeline or a resource of device '{other}'")
            .into(),
    )
}

pub(super) fn end_encoding<P: HasEncoder>(this: &P) {
    let encoder = this.encoder();
    match encoder.take() {
        Some(mut recording) => {
            if let Err(why) = this.close(&mut recording) {
                encoder.fault("endEncoding", why);
            }
            if let Some(why) = of_another_device(&mut recording) {
                encoder.fault("endEncoding", why);
            }
            let end = recording.commands.len();
            if let Some(segment) = recording.segments.last_mut() {
                segment.end = end;
            }
            if let Some(notes) = &mut recording.notes {
                let begins = |note: &&mut Note| matches!(note, Note::Encoder { .. });
                if let Some(Note::Encoder { label, .. }) = notes.list.iter_mut().rev().find(begins)
                {
                    *label = encoder.label.get().map(|text| text.to_string());
                }
            }
            encoder.commands.take_back(recording, true);
        }
        None => encoder.fault("endEncoding", after_the_end()),
    }
}

/// A string that a message passed; `None` for nil.
type Name<'a> = Option<&'a Object<Text>>;

pub(super) fn own(name: Name<'_>) -> String {
    name.map_or_else(String::new, |name| name.to_str().into_owned())
}

fn take_note<P: HasEncoder>(this: &P, selector: &str, note: impl FnOnce() -> Note) {
    this.encoder().record(selector, |recording| {
        recording.note(|_| note());
        Ok(())
    });
}

pub(super) fn insert_signpost<P: HasEncoder>(this: &P, name: Name<'_>) {
    take_note(this, "insertDebugSignpost:", || Note::Signpost(own(name)));
}

pub(super) fn push_debug_group<P: HasEncoder>(this: &P, name: Name<'_>) {
    take_note(this, "pushDebugGroup:", || Note::Push(own(name)));
}

pub(super) fn pop_debug_group<P: HasEncoder>(this: &P) {
    take_note(this, "popDebugGroup", || Note::Pop);
}

pub(super) fn barrier_between_stages<P: HasEncoder>(this: &P, _after: usize, _before: usize) {
    let selector = "barrierAfterQueueStages:beforeStages:";
    this.encoder().record(selector, |recording| {
        recording.commands.push(Command::Barrier(Ordered::All));
        Ok(())
    });
}

pub(super) fn update_fence<P: HasEncoder>(this: &P, fence: Option<&Object<Fence>>) {
    pass_fence(this, "updateFence:", fence, false);
}

pub(super) fn wait_for_fence<P: HasEncoder>(this: &P, fence: Option<&Object<Fence>>) {
    pass_fence(this, "waitForFence:", fence, true);
}

fn pass_fence<P: HasEncoder>(this: &P, selector: &str, fence: Option<&Object<Fence>>, waits: bool) {
    this.encoder().record(selector, |recording| {
        let fence = fence.ok_or("nil was passed for the fence")?;
        recording.fence(fence.number, waits);
        Ok(())
    });
}

/// Declares a class of encoders: the rows that all of them have, and its own.
macro_rules! encoder_class {
    (
        $(#[$doc:meta])*
        class $name:ident($payload:ty): $protocol:ident, lacks $lacks:path;
        $($rows:tt)*
    ) => {
        impl $crate::soft::metal::foundation::Labelled for $payload {
            fn label(&self) -> &$crate::soft::metal::foundation::Label {
                &$crate::soft::metal::encoder::HasEncoder::encoder(self).label
            }
        }

        $crate::soft::metal::foundation::of_device! {
            $payload, this => $crate::soft::metal::encoder::HasEncoder::encoder(this).processor;
        }

        $crate::soft::metal::foundation::soft_class! {
            $(#[$doc])*
            pub(super) class $name($payload): NSObject, conforms [$protocol], lacks $lacks;
            [label] = $crate::soft::metal::foundation::label::<$payload>;
            [setLabel:] = $crate::soft::metal::foundation::set_label::<$payload>;
            [device] = $crate::soft::metal::foundation::device::<$payload>;
            [endEncoding] = $crate::soft::metal::encoder::end_encoding::<$payload>;
            [insertDebugSignpost:] = $crate::soft::metal::encoder::insert_signpost::<$payload>;
            [pushDebugGroup:] = $crate::soft::metal::encoder::push_debug_group::<$payload>;
            [popDebugGroup] = $crate::soft::metal::encoder::pop_debug_group::<$payload>;
            [barrierAfterQueueStages:beforeStages:] =
                $crate::soft::metal::encoder::barrier_between_stages::<$payload>;
            [updateFence:] = $crate::soft::metal::encoder::update_fence::<$payload>;
            [waitForFence:] = $crate::soft::metal::encoder::wait_for_fence::<$payload>;
            $($rows)*
        }
    };
}
pub(super) use encoder_class;
