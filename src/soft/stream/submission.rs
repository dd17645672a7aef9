//! The execution side of a command buffer, from its first encoder to its end.

use super::error::CommandError;
use super::label::Label;
use super::launched::Worked;
use super::log::Log;
use super::recording::{Recording, RecordingPool};
use super::threads;
use super::trace::{Times, Trace};
use crate::soft::fork::lock;
use crate::soft::kernel::sanitize::Session;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// `MTLCommandBufferStatus`.
pub(crate) mod status {
    pub(crate) const NOT_ENQUEUED: usize = 0;
    pub(crate) const ENQUEUED: usize = 1;
    pub(crate) const COMMITTED: usize = 2;
    pub(crate) const SCHEDULED: usize = 3;
    pub(crate) const COMPLETED: usize = 4;
    pub(crate) const ERROR: usize = 5;
}

/// A state that threads wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Scheduled,
    Completed,
}

/// Called once, on the thread for the program's blocks.
pub(crate) type Handler = Box<dyn FnOnce() + Send>;

/// Identifies a reserved position in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(pub(super) u64);

/// A command buffer as its queue sees it.
#[derive(Default)]
pub(crate) struct Submission {
    pub(crate) label: Label,
    pub(crate) retained: bool,
    /// Findings of checked kernels.
    pub(crate) session: Session,
    /// The messages that its kernels log.
    pub(crate) log: Log,
    /// `None` in one that is spare.
    recordings: Option<Arc<RecordingPool>>,
    state: Mutex<State>,
    /// A constant of [`status`]; written while the state is locked.
    status: AtomicUsize,
    /// Whether the completed handlers have returned, so that threads that wait may continue.
    done: AtomicBool,
    changed: Condvar,
}

/// The most submissions whose memory a thread keeps.
const MAX_SPARE: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<Arc<Submission>>> = const { RefCell::new(Vec::new()) };
}

/// The state that changes while a command buffer is encoded and executed.
#[derive(Default)]
pub(super) struct State {
    /// Present unless an encoder has it, or it is running or has run.
    pub(super) recording: Option<Box<Recording>>,
    /// The name of the encoder that has it.
    open: Option<&'static str>,
    pub(super) ticket: Option<Ticket>,
    /// The next command to run.
    pub(super) next: usize,
    /// When the device did those before it, if it measures that.
    pub(super) worked: Worked,
    pub(super) error: Option<CommandError>,
    pub(super) on_scheduled: Option<Handler>,
    pub(super) on_completed: Option<Handler>,
    /// How many threads wait for `changed`.
    waiting: usize,
    pub(super) times: Times,
    /// Present while the command buffer is captured.
    pub(super) trace: Option<Box<Trace>>,
}

impl Submission {
    pub(crate) fn new(
        recordings: &Arc<RecordingPool>,
        retained: bool,
        trace: Option<Box<Trace>>,
        queue: u64,
    ) -> Arc<Self> {
        let mut recording = recordings.take();
        recording.retaining = retained;
        recording.notes = trace.as_ref().map(|_| Box::default());
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
        let mut submission: Arc<Self> = spare.unwrap_or_default();
        let own = Arc::get_mut(&mut submission).expect("only this thread has it");
        own.retained = retained;
        own.session.set_queue(queue);
        own.recordings = Some(Arc::clone(recordings));
        let state = own.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        (state.recording, state.trace) = (Some(recording), trace);
        submission
    }

    /// Work that is recorded before it is known which queue it is for.
    pub(crate) fn apart(recordings: &Arc<RecordingPool>) -> Arc<Self> {
        let submission = Self::new(recordings, true, None, 0);
        if let Some(recording) = &mut submission.lock().recording {
            recording.notes = Trace::is_on().then(Box::default);
        }
        submission
    }

    /// Has an error say how far the encoders came.
    pub(crate) fn note_encoders(&self) {
        if let Some(recording) = &mut self.lock().recording {
            recording.notes.get_or_insert_default();
        }
    }

    /// The same work for a queue.
    pub(super) fn for_queue(&self, trace: Option<Box<Trace>>, queue: u64) -> Option<Arc<Self>> {
        let own = Self::new(self.recordings.as_ref()?, true, trace, queue);
        let (mut from, mut to) = (self.lock(), own.lock());
        let unused = std::mem::replace(&mut to.recording, from.recording.take());
        (to.error, to.open) = (from.error.take(), from.open);
        if let Some(recording) = &mut to.recording {
            // Nothing is tracked, and the recorded barriers are all that orders it: the end of an encoder does not.
            recording.untracked.clear();
            recording.segments.clear();
        }
        self.set_status(&mut from, status::COMMITTED);
        drop((from, to));
        own.label.set(self.label.get().as_deref());
        if let Some(unused) = unused {
            own.recycle(unused);
        }
        Some(own)
    }

    /// Called when the command buffer is freed: unless something else has the submission, this thread keeps the memory for the
    /// next command buffer.
    pub(crate) fn retire(mut submission: Arc<Self>) {
        if let Some(own) = Arc::get_mut(&mut submission) {
            *own = Self::default();
            _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < MAX_SPARE {
                    spare.push(submission);
                }
            });
        }
    }

    /// A constant of [`status`].
    pub(crate) fn status(&self) -> usize {
        self.status.load(Acquire)
    }

    pub(super) fn set_status(&self, _: &mut State, status: usize) {
        self.status.store(status, Release);
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.status() >= status::COMMITTED
    }

    pub(crate) fn times(&self) -> Times {
        lock(&self.state).times
    }

    /// The error that it ended with.
    pub(crate) fn error(&self) -> Option<CommandError> {
        let state = lock(&self.state);
        (self.status() == status::ERROR).then(|| state.error.clone())?
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Notes an error. The first one is reported. A command buffer that has completed already fails at once.
    pub(crate) fn fail(&self, error: CommandError) {
        self.fail_locked(&mut self.lock(), error);
    }

    pub(super) fn fail_locked(&self, state: &mut State, error: CommandError) {
        if state.error.is_none() {
            state.error = Some(error);
        }
        if self.status() == status::COMPLETED {
            self.set_status(state, status::ERROR);
        }
    }

    /// Why nothing can be recorded now; `None` if it can.
    fn refusal(&self, state: &State, what: &str) -> Option<String> {
        match state.open {
            _ if self.is_committed() => Some("the command buffer is committed already".to_owned()),
            Some(open) => Some(format!("the {open}{what} has not ended")),
            None => None,
        }
    }

    /// Hands the recording to an encoder. If it cannot be had, `misuse` makes an error of the reason.
    pub(crate) fn lend(
        &self,
        encoder: &'static str,
        misuse: impl FnOnce(&str) -> CommandError,
    ) -> Option<Box<Recording>> {
        let mut state = self.lock();
        if let Some(why) = self.refusal(&state, " before this one") {
            self.fail_locked(&mut state, misuse(&why));
            return None;
        }
        state.open = Some(encoder);
        state.recording.take()
    }

    /// Takes the recording back from the encoder that had it. An encoder that is dropped without having ended leaves
    /// the command buffer open: its commands may be half of what was meant.
    pub(crate) fn take_back(&self, recording: Box<Recording>, ended: bool) {
        let mut state = self.lock();
        if self.is_committed() {
            drop(state);
            return self.recycle(recording);
        }
        state.recording = Some(recording);
        if ended {
            state.open = None;
        }
    }

    /// Records between encoders. If that cannot be now, `misuse` makes an error of the reason.
    pub(crate) fn record(
        &self,
        add: impl FnOnce(&mut Recording),
        misuse: impl FnOnce(&str) -> CommandError,
    ) {
        let mut state = self.lock();
        if let Some(why) = self.refusal(&state, "") {
            return self.fail_locked(&mut state, misuse(&why));
        }
        if let Some(recording) = &mut state.recording {
            add(recording);
        }
    }

    /// Changes the open debug groups, if there are notes.
    pub(crate) fn change_debug_groups(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut state = self.lock();
        let recording = state.recording.as_mut();
        if let Some(notes) = recording.and_then(|recording| recording.notes.as_mut()) {
            change(&mut notes.groups);
        }
    }

    pub(super) fn recycle(&self, recording: Box<Recording>) {
        if let Some(recordings) = &self.recordings {
            recordings.recycle(recording);
        }
    }

    /// The encoder that has not ended.
    pub(super) fn open_encoder(state: &State) -> Option<&'static str> {
        state.open
    }

    /// Wakes the threads that wait for a change of the status.
    pub(super) fn notify(&self, state: &State) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Marks that the completed handlers have returned.
    pub(super) fn set_done(&self, state: &State) {
        self.done.store(true, Release);
        self.notify(state);
    }

    /// Ends it in an error, although nothing ran.
    pub(super) fn end(&self, state: &mut State, error: CommandError) {
        self.fail_locked(state, error);
        self.set_status(state, status::ERROR);
        self.set_done(state);
    }

    /// Whether a thread that waits for a stage may continue. It is completed when its completed handlers have
    /// returned; but in one of the program's blocks they do not count: they may be called after that block, on the same
    /// thread.
    pub(super) fn is_at(&self, stage: Stage) -> bool {
        match stage {
            Stage::Scheduled => self.status() >= status::SCHEDULED,
            Stage::Completed => {
                self.done.load(Acquire)
                    || self.status() >= status::COMPLETED && threads::is_in_callback()
            }
        }
    }

    /// Waits until it is over.
    pub(super) fn wait(&self, over: impl Fn() -> bool) {
        if threads::spin_for_runner(&over) {
            return;
        }
        let mut state = self.lock();
        while !over() {
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(recording) = state.recording.take()
            && let Some(recordings) = &self.recordings
        {
            recordings.recycle(recording);
        }
    }
}
