//! Queues: they execute submissions in the order in which those were enqueued.
//!
//! A queue that has work is scheduled; a thread takes it and runs its submissions in order until there are none, or
//! until one waits for an event. Then the thread leaves the queue, and the event schedules it again. So threads wait for
//! nothing but work, and a hundred waiting queues hold none.

use super::error::{CommandError, ErrorCode};
use super::event::{Signal, Wake};
use super::execute;
use super::label::Label;
use super::launched::Worked;
use super::order;
use super::progress::encoders;
use super::recording::RecordingPool;
use super::reports;
use super::settings::Settings;
use super::stall::{self, Busy, Watched};
use super::submission::{Handler, Stage, State, Submission, Ticket, status};
use super::threads::{self, Jobs, RUNNER};
use super::trace::{Ending, Trace};
use crate::soft::fork::{AFTER_FORK, is_forked, lock};
use crate::soft::kernel::Processor;
use crate::soft::kernel::sanitize::{SharedClock, is_active, queue_made};
use crate::soft::system;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A queue.
pub(crate) struct Queue {
    /// Identifies it in captures.
    pub(crate) number: u64,
    pub(crate) label: Label,
    /// The device that runs its command buffers; `None` in tests of this module.
    pub(crate) processor: Option<&'static Processor>,
    line: Mutex<Line>,
    recordings: Arc<RecordingPool>,
    /// The work of its command buffers, for checks.
    clock: SharedClock,
}

/// The submissions that have not ended.
#[derive(Default)]
struct Line {
    entries: VecDeque<Entry>,
    /// Whether a thread has the queue, or an event will schedule it.
    running: bool,
    /// The watch over the first entry while it is reserved and others wait for it.
    watch: Option<(Ticket, Watched)>,
}

enum Entry {
    /// The position of a command buffer that was enqueued and is not committed yet.
    Reserved(Ticket),
    /// A submission that can run, or that waits for an event.
    Ready(Arc<Submission>),
}

/// How far a submission came.
enum Progress {
    /// It waits for an event, which will schedule the queue.
    Waits,
    /// It has run to its end, which is not reported yet.
    Done(Outcome),
}

/// How a submission ended.
struct Outcome {
    result: Result<(), CommandError>,
    /// For a capture: the trace, and its lines for the commands.
    trace: Option<(Box<Trace>, String)>,
    /// When the device worked, if it measures that.
    worked: Worked,
}

static QUEUES: Jobs<(Arc<Queue>, Busy)> = Jobs::new(&RUNNER);

/// Has a thread run the queue. In a forked process queues do not run: the parent runs what they hold.
fn schedule(queue: Arc<Queue>) {
    if is_forked() {
        return;
    }
    // Two at least: one that is busy must not keep other queues waiting.
    let most = Settings::get().workers.max(2);
    QUEUES.add((queue, Busy::new()), most, "aruminium-queue", |(queue, scheduled)| {
        drop(scheduled);
        queue.run();
    });
}

/// Seconds since the machine started.
pub(super) fn now() -> f64 {
    system::seconds(system::MONOTONIC)
}

/// The same in nanoseconds.
pub(crate) fn nanoseconds() -> u64 {
    (now() * 1e9) as u64
}

const COMMITTED_ALREADY: &str = "the command buffer is committed already";

impl Queue {
    pub(crate) fn new(processor: Option<&'static Processor>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        queue_made();
        Arc::new(Self {
            number: NEXT.fetch_add(1, Relaxed),
            label: Label::default(),
            processor,
            line: Mutex::default(),
            recordings: Arc::new(RecordingPool::new(processor)),
            clock: SharedClock::default(),
        })
    }

    /// A new command buffer.
    pub(crate) fn submission(&self, retained: bool) -> Arc<Submission> {
        Submission::new(
            &self.recordings,
            retained,
            Trace::new(self.number, self.processor),
            self.number,
        )
    }

    /// A command buffer of what was recorded apart from a queue, among resources that all of it may use.
    pub(crate) fn adopt(&self, recorded: &Submission) -> Option<Arc<Submission>> {
        recorded.for_queue(Trace::new(self.number, self.processor), self.number)
    }

    /// Reserves the next position for a command buffer. `misuse` makes an error of why that cannot be.
    pub(crate) fn enqueue(&self, submission: &Submission, misuse: impl Fn(&str) -> CommandError) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut state = submission.lock();
        match submission.status() {
            status::NOT_ENQUEUED => {
                let ticket = Ticket(NEXT.fetch_add(1, Relaxed));
                lock(&self.line).entries.push_back(Entry::Reserved(ticket));
                state.ticket = Some(ticket);
                submission.set_status(&mut state, status::ENQUEUED);
            }
            status::ENQUEUED => {}
            _ => submission.fail_locked(&mut state, misuse(COMMITTED_ALREADY)),
        }
    }

    /// Commits a command buffer: it takes the position that was reserved for it, or the last. `misuse` makes an error
    /// of what is wrong.
    pub(crate) fn commit(
        self: &Arc<Self>,
        submission: &Arc<Submission>,
        on_scheduled: Option<Handler>,
        on_completed: Option<Handler>,
        misuse: impl Fn(&str) -> CommandError,
    ) {
        let mut state = submission.lock();
        if submission.is_committed() {
            return submission.fail_locked(&mut state, misuse(COMMITTED_ALREADY));
        }
        if let Some(open) = Submission::open_encoder(&state) {
            let why = format!("the {open} has not ended: endEncoding was not sent");
            submission.fail_locked(&mut state, misuse(&why));
        }
        (state.on_scheduled, state.on_completed) = (on_scheduled, on_completed);
        state.times.kernel.0 = now();
        if !is_forked() {
            submission.session.committed();
        }
        submission.set_status(&mut state, status::COMMITTED);
        let ticket = state.ticket.take();
        if is_forked() {
            submission.fail_locked(&mut state, misuse(AFTER_FORK));
            drop(state);
            // It has an error, so that nothing runs.
            if let Progress::Done(outcome) = self.run_submission(submission) {
                self.finish(Arc::clone(submission), outcome);
            }
            return;
        }
        drop(state);
        self.submit(Arc::clone(submission), ticket);
    }

    fn submit(self: &Arc<Self>, submission: Arc<Submission>, at: Option<Ticket>) {
        let mut line = lock(&self.line);
        let reserved =
            |entry: &Entry| matches!((entry, at), (Entry::Reserved(a), Some(b)) if *a == b);
        match line.entries.iter().position(reserved) {
            Some(index) => line.entries[index] = Entry::Ready(submission),
            None => {
                if at.is_some() {
                    let why = "the watchdog released the position in the queue that enqueue had \
                               reserved, because commit was not sent in time";
                    submission.fail(CommandError::new(ErrorCode::Timeout, why));
                }
                line.entries.push_back(Entry::Ready(submission));
            }
        }
        self.start(line);
    }

    /// Waits for a command buffer. One that is not committed would never end: it fails at once, and its position in
    /// the queue is free again.
    pub(crate) fn wait(
        self: &Arc<Self>,
        submission: &Submission,
        stage: Stage,
        misuse: impl Fn(&str) -> CommandError,
    ) {
        if !submission.is_committed() && self.fail_uncommitted(submission, &misuse) {
            return;
        }
        let over = || submission.is_at(stage);
        if !over() {
            if is_forked() {
                // Command buffers that the parent committed complete in the parent.
                return submission.end(&mut submission.lock(), misuse(AFTER_FORK));
            }
            submission.wait(over);
        }
        if stage == Stage::Completed {
            submission.session.seen();
        }
    }

    /// Ends a command buffer that was not committed. Returns whether it was uncommitted.
    fn fail_uncommitted(
        self: &Arc<Self>,
        submission: &Submission,
        misuse: impl Fn(&str) -> CommandError,
    ) -> bool {
        let mut state = submission.lock();
        if submission.is_committed() {
            return false;
        }
        let why = "the command buffer was never committed, so that it would never complete: send commit \
                   before waiting";
        submission.end(&mut state, misuse(why));
        let ticket = state.ticket.take();
        drop(state);
        self.give_up(ticket);
        true
    }

    /// A command buffer was released. If it was enqueued and not committed, its position is free again.
    pub(crate) fn released(self: &Arc<Self>, submission: &Submission) {
        if submission.status() == status::ENQUEUED {
            let ticket = submission.lock().ticket.take();
            self.give_up(ticket);
        }
    }

    fn give_up(self: &Arc<Self>, ticket: Option<Ticket>) {
        let Some(ticket) = ticket else { return };
        let mut line = lock(&self.line);
        line.entries.retain(|entry| !matches!(entry, Entry::Reserved(other) if *other == ticket));
        self.start(line);
    }

    /// The watchdog's action for a first entry that stays reserved: removes it, and fails the next submission, which may
    /// depend on it. Later ones run.
    fn give_up_first(self: &Arc<Self>, ticket: Ticket, silence: Duration) {
        let mut line = lock(&self.line);
        if !matches!(line.entries.front(), Some(Entry::Reserved(first)) if *first == ticket) {
            return;
        }
        line.entries.pop_front();
        let next = line.entries.iter().find_map(|entry| match entry {
            Entry::Ready(submission) => Some(Arc::clone(submission)),
            Entry::Reserved(_) => None,
        });
        if let Some(next) = &next {
            let why = format!(
                "the watchdog ended the wait for a command buffer that was enqueued earlier and not \
                 committed: nothing has run for {} ms",
                silence.as_millis()
            );
            next.fail(CommandError::new(ErrorCode::Timeout, why));
        }
        self.start(line);
    }

    /// Begins or ends the watch over the first entry.
    fn watch_first(self: &Arc<Self>, line: &mut Line) {
        let keeps_waiting = match line.entries.front() {
            Some(Entry::Reserved(ticket)) => {
                line.entries.iter().any(|entry| matches!(entry, Entry::Ready(_))).then_some(*ticket)
            }
            _ => None,
        };
        if line.watch.as_ref().map(|(ticket, _)| *ticket) != keeps_waiting {
            line.watch = keeps_waiting.map(|ticket| {
                let queue = Arc::clone(self);
                let give_up = move |_, silence| queue.give_up_first(ticket, silence);
                (ticket, stall::watch(give_up))
            });
        }
    }

    /// Has a thread run the queue if its first submission is ready and no thread has the queue.
    fn start(self: &Arc<Self>, mut line: MutexGuard<'_, Line>) {
        self.watch_first(&mut line);
        let ready = matches!(line.entries.front(), Some(Entry::Ready(_)));
        if ready && !std::mem::replace(&mut line.running, true) {
            drop(line);
            schedule(Arc::clone(self));
        }
    }

    /// Runs submissions until none is ready.
    fn run(self: &Arc<Self>) {
        loop {
            let mut line = lock(&self.line);
            let Some(Entry::Ready(submission)) = line.entries.front() else {
                line.running = false;
                self.watch_first(&mut line);
                return;
            };
            let submission = Arc::clone(submission);
            drop(line);
            // It stays in front while it runs: the event that it waits for may have another thread continue with it
            // before this call returns.
            match self.run_submission(&submission) {
                Progress::Waits => return,
                Progress::Done(outcome) => {
                    let front = lock(&self.line).entries.pop_front();
                    drop(front);
                    self.finish(submission, outcome);
                }
            }
        }
    }

    /// Runs commands, from where it stopped, to the end or to an event that it has to wait for.
    fn run_submission(self: &Arc<Self>, submission: &Arc<Submission>) -> Progress {
        let mut state = submission.lock();
        let mut on_scheduled = None;
        if submission.status() == status::COMMITTED {
            state.times.gpu.0 = now();
            state.times.kernel.1 = state.times.gpu.0;
            submission.set_status(&mut state, status::SCHEDULED);
            submission.notify(&state);
            on_scheduled = state.on_scheduled.take();
        }
        let failed = state.error.is_some();
        // Of one that failed already, the checks take what it orders. In a forked process their locks may be held for ever.
        let recording = match failed {
            true if !is_active() || is_forked() => None,
            _ => state.recording.take(),
        };
        let mut next = state.next;
        let (mut trace, mut worked) = (state.trace.take(), state.worked);
        drop(state);
        if let Some(handler) = on_scheduled {
            threads::call_back(handler);
        }
        let Some(mut recording) = recording else {
            let trace = trace.map(|trace| (trace, String::new()));
            return Progress::Done(Outcome { result: Ok(()), trace, worked });
        };
        if next == 0 {
            order::put_in_order(&mut recording);
            submission.session.after_queue(&self.clock);
        }
        if failed {
            submission.session.end(&recording.encoders, &recording.untracked_ranges);
            submission.session.before(&self.clock);
            submission.lock().recording = Some(recording);
            let trace = trace.map(|trace| (trace, String::new()));
            return Progress::Done(Outcome { result: Ok(()), trace, worked });
        }
        loop {
            let running = Busy::new();
            let step =
                execute::run(&recording, &mut next, trace.as_deref_mut(), submission, &mut worked);
            drop(running);
            match step {
                execute::Step::Done(result) => {
                    submission.session.end(&recording.encoders, &recording.untracked_ranges);
                    submission.session.before(&self.clock);
                    let trace = trace.map(|trace| {
                        let commands = trace.commands(&recording);
                        (trace, commands)
                    });
                    submission.recycle(recording);
                    return Progress::Done(Outcome { result, trace, worked });
                }
                execute::Step::Wait(signal, value) => {
                    let mut state = submission.lock();
                    if signal.value() >= value {
                        continue;
                    }
                    if let Some(trace) = &mut trace {
                        trace.wait();
                    }
                    // Everything is stored before the event may have another thread take it up.
                    (state.recording, state.next, state.trace) = (Some(recording), next, trace);
                    state.worked = worked;
                    drop(state);
                    match self.wait_for(&signal, value) {
                        None => return Progress::Waits,
                        Some(_) => return self.run_submission(submission),
                    }
                }
            }
        }
    }

    /// Has the queue scheduled when an event has reached a value; returns the current value instead if it has already.
    fn wait_for(self: &Arc<Self>, signal: &Arc<Signal>, value: u64) -> Option<u64> {
        let (queue, label) = (Arc::clone(self), signal.label.after_noun());
        signal.when_reached_or_given_up(value, move |wake| {
            if let Wake::GivenUp(now, silence) = wake {
                queue.fail_first(format!(
                    "the watchdog ended the wait for event{label} to reach {value}: it is at {now}, and \
                     nothing has run for {} ms",
                    silence.as_millis()
                ));
            }
            schedule(queue);
        })
    }

    /// The first submission, which waits for an event, fails instead.
    fn fail_first(&self, why: String) {
        if let Some(Entry::Ready(submission)) = lock(&self.line).entries.front() {
            submission.fail(CommandError::new(ErrorCode::Timeout, why));
        }
    }

    /// Reports the end of a submission.
    fn finish(&self, submission: Arc<Submission>, outcome: Outcome) {
        let mut state = submission.lock();
        match outcome.worked {
            Some(worked) => state.times.gpu = worked,
            None => state.times.gpu.1 = now(),
        }
        if let Err(error) = outcome.result {
            submission.fail_locked(&mut state, error);
        }
        let State { error, recording, next, .. } = &mut *state;
        // Where nothing ran since, it came as far as before.
        if let (Some(error), Some(recording)) = (error, recording)
            && error.encoders.is_empty()
        {
            error.encoders = encoders(recording, &(*next..*next));
        }
        if let Some((trace, commands)) = outcome.trace {
            let ending = Ending {
                label: &submission.label,
                queue: self.number,
                queue_label: &self.label,
                retained: submission.retained,
                error: state.error.as_ref(),
                times: state.times,
            };
            trace.finish(&ending, &commands);
        }
        if Settings::get().sanitize.any() {
            reports::print(&submission.session.reports());
        }
        submission.session.ended();
        let end = if state.error.is_some() { status::ERROR } else { status::COMPLETED };
        submission.set_status(&mut state, end);
        let unused = state.recording.take();
        let on_completed = state.on_completed.take();
        match on_completed {
            Some(_) => submission.notify(&state),
            None => submission.set_done(&state),
        }
        drop(state);
        if let Some(recording) = unused {
            submission.recycle(recording);
        }
        if let Some(handler) = on_completed {
            threads::call_back(move || {
                submission.session.seen();
                handler();
                submission.set_done(&submission.lock());
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misuse(why: &str) -> CommandError {
        CommandError::invalid(why.to_owned())
    }

    fn enqueue(queue: &Queue) -> (Arc<Submission>, Ticket) {
        let submission = queue.submission(false);
        queue.enqueue(&submission, misuse);
        let ticket = submission.lock().ticket.expect("it has a position");
        (submission, ticket)
    }

    /// Commits a submission and waits for it; returns its error.
    fn run(queue: &Arc<Queue>, submission: &Arc<Submission>) -> Option<CommandError> {
        queue.commit(submission, None, None, misuse);
        queue.wait(submission, Stage::Completed, misuse);
        submission.error()
    }

    #[test]
    fn waiting_for_what_is_not_committed_is_an_error_at_once() {
        let queue = Queue::new(None);
        let submission = queue.submission(false);
        queue.wait(&submission, Stage::Completed, misuse);
        assert_eq!(submission.status(), status::ERROR);
    }

    #[test]
    fn a_watch_that_ends_late_gives_nothing_away() {
        let queue = Queue::new(None);
        let ((first, watched), (second, _)) = (enqueue(&queue), enqueue(&queue));
        queue.released(&first);
        queue.give_up_first(watched, Duration::ZERO);
        assert!(run(&queue, &second).is_none());
    }

    #[test]
    fn a_position_that_the_watchdog_gave_away_is_an_error() {
        let queue = Queue::new(None);
        let (submission, ticket) = enqueue(&queue);
        queue.give_up_first(ticket, Duration::ZERO);
        let error = run(&queue, &submission).expect("its position is gone");
        assert!(error.to_string().contains("released the position"), "{error}");
    }
}
