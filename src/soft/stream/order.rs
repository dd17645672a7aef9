//! The order of the encoders of a command buffer.
//!
//! Metal keeps the order of encoders that share a resource, unless the program tracks the hazards of that resource
//! itself: then only a fence does. A GPU may run such encoders side by side; here the later one runs first, so that a
//! missing fence has a visible effect.

use super::memory::Memory;
use super::recording::{Command, FenceUse, Grid, Object, PixelCopy, Recording, Segment};
use super::table::{ObjectIndex, Slot};
use std::sync::Arc;

/// Consecutive commands that stay together.
struct Item {
    commands: Segment,
    /// The encoder that recorded them; `None` for commands between encoders (events), which everything waits for.
    encoder: Option<usize>,
    /// The tracked memory that they touch.
    memory: Vec<*const Memory>,
}

/// More encoders than these keep their order: finding another takes the cube of their number.
const MOST: usize = 32;

/// Puts commands into the order in which they run. If nothing is untracked, that is the order in which they were
/// recorded.
pub(crate) fn put_in_order(recording: &mut Recording) {
    if recording.untracked.is_empty() || !(2..=MOST).contains(&recording.segments.len()) {
        return;
    }
    let items = items(recording);
    let mut commands = Vec::with_capacity(recording.commands.len());
    let mut left: Vec<usize> = (0..items.len()).collect();
    while !left.is_empty() {
        // The last one that need not wait for any of those before it. The first never has to.
        let free = (0..left.len()).rev().find(|nth| {
            left[..*nth]
                .iter()
                .all(|first| !must_wait(recording, &items[*first], &items[left[*nth]]))
        });
        let next = &items[left.remove(free.unwrap_or(0))].commands;
        commands.extend_from_slice(&recording.commands[next.start..next.end]);
    }
    recording.commands = commands;
    // A recording that begins with a wait comes here again when it continues: segments no longer fit.
    recording.untracked.clear();
}

/// The commands of each encoder, and those between encoders.
fn items(recording: &Recording) -> Vec<Item> {
    let between = |start: usize, end: usize| {
        let commands = Segment { start, end };
        (start < end).then_some(Item { commands, encoder: None, memory: Vec::new() })
    };
    let mut items = Vec::new();
    let mut end = 0;
    for (encoder, segment) in recording.segments.iter().enumerate() {
        items.extend(between(end, segment.start));
        let memory = touched(recording, &recording.commands[segment.start..segment.end]);
        items.push(Item { commands: *segment, encoder: Some(encoder), memory });
        end = segment.end;
    }
    items.extend(between(end, recording.commands.len()));
    items
}

/// Whether the second of two items may not begin before the first has ended.
fn must_wait(recording: &Recording, first: &Item, second: &Item) -> bool {
    let (Some(from), Some(to)) = (first.encoder, second.encoder) else { return true };
    let fences = |encoder: usize, waits: bool| {
        let of_encoder = move |fence: &&FenceUse| fence.segment == encoder && fence.waits == waits;
        recording.fences.iter().filter(of_encoder).map(|fence| fence.fence)
    };
    fences(from, false).any(|updated| fences(to, true).any(|waited| updated == waited))
        || first.memory.iter().any(|memory| second.memory.contains(memory))
}

/// The tracked memory that commands touch.
fn touched(recording: &Recording, commands: &[Command]) -> Vec<*const Memory> {
    let mut objects = Vec::new();
    for command in commands {
        match *command {
            Command::Dispatch { pipeline, slots, grid, .. } => {
                if let Grid::Indirect { object, .. } = grid {
                    objects.push(object);
                }
                let count = recording.pipeline_at(pipeline).map_or(0, |pipeline| pipeline.slots());
                for slot in &recording.slots[slots as usize..][..count] {
                    // What it may reach follows its arguments.
                    if let Slot::Residents { start, end } = *slot {
                        let residents = &recording.residents[start as usize..end as usize];
                        objects.extend(residents.iter().map(|resident| resident.0));
                        objects.extend(&recording.always_resident);
                    }
                    if let Slot::Buffer { object, .. }
                    | Slot::Part { object, .. }
                    | Slot::Texture { object } = slot
                    {
                        objects.push(*object);
                    }
                }
            }
            Command::CopyBuffer { from, to, .. } => objects.extend([from, to]),
            Command::FillBuffer { buffer, .. } => objects.push(buffer),
            Command::CopyPixels(index) => objects.extend(match recording.pixels[index as usize] {
                PixelCopy::ToTexture { from, to, .. } => [from.buffer, to.texture],
                PixelCopy::FromTexture { from, to, .. } => [from.texture, to.buffer],
                PixelCopy::Between { from, to, .. } => [from.texture, to.texture],
            }),
            Command::GenerateMipmaps(texture) => objects.push(texture),
            Command::Concurrent
            | Command::Serial
            | Command::Barrier
            | Command::Signal { .. }
            | Command::Wait { .. }
            | Command::Note(_) => {}
        }
    }
    let memory = objects.into_iter().filter_map(|object| memory_at(recording, object));
    memory.filter(|memory| !recording.untracked.contains(memory)).collect()
}

fn memory_at(recording: &Recording, index: ObjectIndex) -> Option<*const Memory> {
    match recording.objects.get(index as usize)? {
        Object::Memory(memory) => Some(Arc::as_ptr(memory)),
        Object::Image(image) => Some(image.memory()),
        Object::Pipeline(_) | Object::Event(_) => None,
    }
}
