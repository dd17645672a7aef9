//! The messages of a command buffer's kernels: the hidden buffer that `os_log` writes to, and what was read from it.
//!
//! `prelude.metal` has the code that writes there.

use super::error::CommandError;
use super::memory::Memory;
use super::printf::{self, Argument, Number};
use crate::soft::fork::lock;
use crate::soft::kernel::{Binding, Processor};
use crate::soft::sorted;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Words at the beginning of the buffer: the position of the first free word, how many messages had no room, the lowest level that is
/// wanted, and the number of words.
const HEADER: usize = 4;

/// The bytes of messages that a command buffer has room for, unless its log state says otherwise.
const ROOM: usize = 1 << 20;

/// `MTLLogLevel`.
pub(crate) mod level {
    pub(crate) const NAMES: [&str; 6] = ["undefined", "debug", "info", "notice", "error", "fault"];
    pub(crate) const ERROR: u32 = 4;
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kernel: String,
    /// The position of the thread in the grid.
    pub(crate) thread: [u32; 3],
    /// A constant of `MTLLogLevel`.
    pub(crate) level: u32,
    pub(crate) subsystem: String,
    pub(crate) category: String,
    pub(crate) text: String,
}

impl fmt::Display for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = level::NAMES.get(self.level as usize).unwrap_or(&level::NAMES[0]);
        write!(out, "kernel '{}', {name}: ", self.kernel)?;
        if !(self.subsystem.is_empty() && self.category.is_empty()) {
            write!(out, "[{}:{}] ", self.subsystem, self.category)?;
        }
        out.write_str(&self.text)
    }
}

/// The log of a command buffer.
#[derive(Default)]
pub(crate) struct Log(Mutex<State>);

#[derive(Default)]
struct State {
    /// The lowest level that is wanted.
    level: u32,
    /// How many bytes of messages there may be, if that was set.
    room: Option<usize>,
    /// Made when the first kernel that logs is launched.
    memory: Option<Arc<Memory>>,
    /// The words of earlier launches.
    used: usize,
    messages: Vec<Message>,
    /// How many messages had no room, and in which kernel the last of them was.
    dropped: Option<(u64, String)>,
}

impl State {
    fn room(&self) -> usize {
        self.room.unwrap_or(ROOM) / 4
    }
}

impl Log {
    /// Sets the lowest level that is wanted, and the bytes of all messages.
    pub(crate) fn limit(&self, level: u32, room: usize) {
        let mut state = lock(&self.0);
        (state.level, state.room) = (level, Some(room));
    }

    /// The buffer for the next launch.
    pub(super) fn open(
        &self,
        processor: Option<&'static Processor>,
    ) -> Result<Binding<'static>, CommandError> {
        let mut state = lock(&self.0);
        let words = HEADER + state.room();
        if state.memory.is_none() {
            state.memory = processor.and_then(|processor| Memory::new(processor, 4 * words, false));
        }
        let Some(memory) = &state.memory else {
            let text = format!("no memory for a log of {} bytes", 4 * words);
            return Err(CommandError::invalid(text));
        };
        let header = [HEADER, 0, state.level as usize, words - state.used].map(|word| word as u32);
        let (base, bytes, address) = (memory.base(), 4 * words as u64, memory.address());
        // SAFETY: the memory is longer, and no kernel runs that was given it.
        unsafe { base.cast::<[u32; HEADER]>().write(header) };
        Ok(Binding::Memory { base, bytes, address })
    }

    /// Reads the messages of a launch that is done, and returns where they were.
    pub(super) fn close(&self, kernel: &str) -> Option<std::ops::Range<u64>> {
        let mut state = lock(&self.0);
        let memory = state.memory.clone()?;
        // SAFETY: the memory is that long, and no kernel runs that was given it.
        let words = unsafe {
            std::slice::from_raw_parts_mut(memory.base().cast::<u32>(), memory.length() / 4)
        };
        let end = (words[0] as usize).clamp(HEADER, (words[3] as usize).max(HEADER));
        if words[1] != 0 {
            let before = state.dropped.take().map_or(0, |(count, _)| count);
            state.dropped = Some((before + u64::from(words[1]), kernel.to_owned()));
        }
        let mut messages = Vec::new();
        let mut rest = &words[HEADER..end];
        // After the last message there may be the room of one that did not fit.
        while let Some((record, after)) =
            rest.first().and_then(|&length| rest.split_at_checked(length as usize))
            && let Some(message) = message(kernel, record)
        {
            messages.push(message);
            state.used += record.len();
            rest = after;
        }
        words[HEADER..end].fill(0);
        // Messages of one thread are in the order in which it wrote them.
        sorted::sort_by_key(&mut messages, |message| {
            let [x, y, z] = message.thread;
            (z, y, x)
        });
        state.messages.append(&mut messages);
        let start = memory.base() as u64;
        Some(start..start + memory.length() as u64)
    }

    /// The messages so far, by launch and by thread. If some had no room, the last says how many.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let state = lock(&self.0);
        let cut = state.dropped.as_ref().map(|(count, kernel)| Message {
            kernel: kernel.clone(),
            thread: [0; 3],
            level: level::ERROR,
            subsystem: "aruminium".to_owned(),
            category: "log".to_owned(),
            text: format!(
                "{count} more messages had no room: the command buffer's log has {} bytes; a log state \
                 (MTLLogStateDescriptor, bufferSize) may have more",
                4 * state.room()
            ),
        });
        state.messages.iter().cloned().chain(cut).collect()
    }
}

/// The message in a record; `None` if that is none.
fn message(kernel: &str, record: &[u32]) -> Option<Message> {
    let &[_, level, x, y, z, ref rest @ ..] = record else { return None };
    let mut rest = rest;
    let mut text = || {
        // The bytes are those of memory, whatever the order of bytes is.
        let bytes: Vec<u8> = rest.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let length = bytes.iter().position(|&byte| byte == 0)?;
        rest = &rest[length / 4 + 1..];
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    };
    let (subsystem, category, format) = (text()?, text()?, text()?);
    let mut arguments = Vec::new();
    while let Some((&kind, after)) = rest.split_first() {
        let (parts, after) = after.split_at_checked(2 * (kind & 0xff) as usize)?;
        let number = |pair: &[u32]| {
            let bits = u64::from(pair[1]) << 32 | u64::from(pair[0]);
            match kind >> 16 {
                0 => Number::Unsigned(bits),
                1 => Number::Signed(bits as i64),
                _ => Number::Float(f32::from_bits(pair[0])),
            }
        };
        let parts = parts.chunks_exact(2).map(number).collect();
        arguments.push(Argument { bytes: (kind >> 8 & 0xff).clamp(1, 8), parts });
        rest = after;
    }
    let text = printf::format(&format, &arguments);
    Some(Message { kernel: kernel.to_owned(), thread: [x, y, z], level, subsystem, category, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_records_are_no_messages() {
        // A format "ab%d", a number, and three texts.
        let ab = u32::from_ne_bytes(*b"ab%d");
        let whole = [11, 3, 1, 2, 3, 0, 0, ab, 0, 1 | 4 << 8 | 1 << 16, -7i32 as u32, u32::MAX];
        let found = message("k", &whole).unwrap();
        assert_eq!((found.text.as_str(), found.thread, found.level), ("ab-7", [1, 2, 3], 3));
        assert!(
            (0..whole.len())
                .filter(|&length| length != 9)
                .all(|n| message("k", &whole[..n]).is_none())
        );
        assert_eq!(message("k", &whole[..9]).unwrap().text, "ab%d");
    }
}
