//! How far the encoders of a command buffer had come when it failed.

use super::recording::{Command, Note, Recording};
use std::ops::Range;

/// How far an encoder had come, numbered as `MTLCommandEncoderErrorState` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All of its commands had completed.
    Completed = 1,
    /// It or another one that ran at the same time has the error.
    Affected = 2,
    /// None of its commands had begun.
    Pending = 3,
    /// It has the error.
    Faulted = 4,
}

impl Progress {
    /// All of them, by Metal's names.
    #[cfg(test)]
    pub(crate) const TABLE: &[(&str, Self)] = &[
        ("Completed", Self::Completed),
        ("Affected", Self::Affected),
        ("Pending", Self::Pending),
        ("Faulted", Self::Faulted),
    ];
}

/// An encoder of a command buffer that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncoderProgress {
    pub(crate) label: Option<String>,
    pub(crate) signposts: Vec<String>,
    pub(crate) progress: Progress,
}

/// The commands that an encoder recorded, and its labels.
struct Encoder<'a> {
    /// The number of its note: encoders may run in another order than that in which they were recorded.
    number: u32,
    label: Option<&'a String>,
    signposts: Vec<String>,
    commands: Range<usize>,
}

/// The encoders in the order in which they were recorded, if the recording has notes. Commands before the range have completed,
/// and those after it have not begun. In it is the error, unless it is empty.
pub(super) fn encoders(recording: &Recording, failed: &Range<usize>) -> Vec<EncoderProgress> {
    let Some(notes) = &recording.notes else { return Vec::new() };
    let mut encoders: Vec<Encoder<'_>> = Vec::new();
    let mut is_open = false;
    for (index, command) in recording.commands.iter().enumerate() {
        let note = match command {
            Command::Note(number) => notes.list.get(*number as usize).map(|note| (*number, note)),
            // Between encoders.
            Command::Signal { .. } | Command::Wait { .. } => {
                is_open = false;
                None
            }
            _ => None,
        };
        if let Some((number, Note::Encoder { label, .. })) = note {
            let (label, signposts) = (label.as_ref(), Vec::new());
            encoders.push(Encoder { number, label, signposts, commands: index..index });
            is_open = true;
        }
        let Some(last) = encoders.last_mut().filter(|_| is_open) else { continue };
        last.commands.end = index + 1;
        if let Some((_, Note::Signpost(name))) = note {
            last.signposts.push(name.clone());
        }
    }
    let has_error = |commands: &Range<usize>| {
        commands.start < failed.end && failed.start < commands.end && !failed.is_empty()
    };
    let suspects = encoders.iter().filter(|encoder| has_error(&encoder.commands)).count();
    encoders.sort_unstable_by_key(|encoder| encoder.number);
    let progress = |encoder: Encoder<'_>| EncoderProgress {
        label: encoder.label.cloned(),
        signposts: encoder.signposts,
        progress: match has_error(&encoder.commands) {
            true if suspects == 1 => Progress::Faulted,
            true => Progress::Affected,
            false if encoder.commands.end <= failed.start => Progress::Completed,
            false => Progress::Pending,
        },
    };
    encoders.into_iter().map(progress).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::stream::recording::Notes;

    /// Three encoders of three commands each, of which the last was recorded first, and an event after the first.
    fn recording() -> Recording {
        let mut recording = Recording::new();
        let mut notes = Notes::default();
        for label in ["c", "a", "b"] {
            let (protocol, groups) = ("MTLComputeCommandEncoder", Vec::new());
            notes.list.push(Note::Encoder { protocol, label: Some(label.to_owned()), groups });
            notes.list.push(Note::Signpost(format!("in {label}")));
        }
        for first in [2, 4, 0] {
            recording.commands.extend([
                Command::Note(first),
                Command::Note(first + 1),
                Command::Serial,
            ]);
            if first == 2 {
                recording.commands.push(Command::Signal { event: 0, value: 1 });
            }
        }
        recording.notes = Some(Box::new(notes));
        recording
    }

    #[test]
    fn encoders_are_listed_as_they_were_recorded_with_how_far_they_came() {
        use Progress::*;
        let recording = recording();
        for (failed, expected) in [
            // In `a`, at the event after it, and in `b`.
            (2..3, [Pending, Faulted, Pending]),
            (3..4, [Pending, Completed, Pending]),
            (5..6, [Pending, Completed, Faulted]),
            // In `b` or `c`.
            (6..8, [Affected, Completed, Affected]),
            // Before `b`, and at the end, without an error of an encoder.
            (4..4, [Pending, Completed, Pending]),
            (10..10, [Completed; 3]),
        ] {
            let encoders = encoders(&recording, &failed);
            let labels: Vec<_> = encoders.iter().map(|one| one.label.as_deref().unwrap()).collect();
            let signposts: Vec<_> = encoders.iter().map(|one| one.signposts.join(" ")).collect();
            assert_eq!(
                (&labels[..], &signposts[..]),
                (&["c", "a", "b"][..], &["in c", "in a", "in b"].map(String::from)[..])
            );
            let progress: Vec<_> = encoders.iter().map(|one| one.progress).collect();
            assert_eq!(progress, expected, "{failed:?}");
        }
    }

    #[test]
    fn nothing_is_known_without_notes() {
        let mut recording = recording();
        recording.notes = None;
        assert_eq!(encoders(&recording, &(0..1)), []);
    }
}
