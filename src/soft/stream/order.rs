//! The order of the encoders of a command buffer.
//!
//! Metal keeps the order of encoders that share a resource, unless the program tracks the hazards of that resource
//! itself: then only a fence does. A GPU may run such encoders side by side; here the later one runs first, so that a
//! missing fence has a visible effect.

use super::indirect::{Execution, INHERITED, Span};
use super::memory::Memory;
use super::recording::{Command, FenceUse, Grid, Object, PixelCopy, Recording, Segment};
use super::table::{ObjectIndex, Slot};
use crate::soft::kernel::sanitize::{EncoderOrder, is_active};
use crate::soft::kernel::{Access, Argument};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Consecutive commands that stay together.
struct Item {
    commands: Segment,
    /// The encoder that recorded them; `None` for commands between encoders (events), which everything waits for.
    encoder: Option<usize>,
    /// The tracked memory that they touch, and whether they may write there.
    memory: Vec<(*const Memory, bool)>,
}

/// More encoders than these keep their order: finding another takes the cube of their number.
const MAX: usize = 32;

/// Whether some memory was untracked when kernels were checked: then command buffers without such memory count, too, as they may be what
/// orders two others.
static IS_ANY_UNTRACKED: AtomicBool = AtomicBool::new(false);

/// Puts commands into the order in which they run. If nothing is untracked, that is the order in which they were
/// recorded.
pub(crate) fn put_in_order(recording: &mut Recording) {
    let count = recording.segments.len();
    let is_turned = !recording.untracked.is_empty() && (2..=MAX).contains(&count);
    let mut is_noted = is_active() && count > 0;
    if is_noted {
        let is_untracked = !recording.untracked.is_empty();
        let any = IS_ANY_UNTRACKED.fetch_or(is_untracked, Relaxed) || is_untracked;
        is_noted = any || !recording.fences.is_empty();
    }
    if !(is_turned || is_noted) {
        return;
    }
    let items = items(recording);
    let order = match is_turned {
        true => turned(recording, &items),
        false => (0..items.len()).collect(),
    };
    if is_noted {
        note(recording, &items, &order);
    }
    let mut commands = Vec::with_capacity(recording.commands.len());
    for &number in &order {
        let Segment { start, end } = items[number].commands;
        commands.extend_from_slice(&recording.commands[start..end]);
    }
    recording.commands = commands;
    // A recording that begins with a wait comes here again when it continues: segments no longer fit.
    recording.segments.clear();
}

/// The numbers of items in the order in which they run: a later one first, unless something orders them.
fn turned(recording: &Recording, items: &[Item]) -> Vec<usize> {
    let mut order = Vec::with_capacity(items.len());
    let mut left: Vec<usize> = (0..items.len()).collect();
    while !left.is_empty() {
        // The last one that need not wait for any of those before it. The first never has to.
        let free = (0..left.len()).rev().find(|nth| {
            left[..*nth]
                .iter()
                .all(|first| !must_wait(recording, &items[*first], &items[left[*nth]]))
        });
        order.push(left.remove(free.unwrap_or(0)));
    }
    order
}

/// Notes which encoders nothing orders, for the checks: `order` has the numbers of the items as they run.
fn note(recording: &mut Recording, items: &[Item], order: &[usize]) {
    let mut encoders: Vec<(usize, EncoderOrder)> = Vec::new();
    let mut start = 0;
    for &number in order {
        let item = &items[number];
        if let Some(encoder) = item.encoder {
            let comes_after = |&nth: &usize| {
                let earlier = encoders[nth].0;
                earlier < number && must_wait(recording, &items[earlier], item)
            };
            let after = match recording.segments.len() > MAX {
                // More than that count as ordered.
                true => encoders.len().checked_sub(1).into_iter().collect(),
                false => (0..encoders.len()).filter(comes_after).collect(),
            };
            let memory =
                item.memory.iter().map(|&(memory, writes)| (memory as u64, writes)).collect();
            let fences = |waits: bool| {
                let of = recording.fences.iter().filter(|fence| fence.segment == encoder);
                of.filter(|fence| fence.waits == waits).map(|fence| fence.fence).collect()
            };
            let (waits, updates) = (fences(true), fences(false));
            encoders.push((number, EncoderOrder { start, after, waits, updates, memory }));
        }
        start += item.commands.end - item.commands.start;
    }
    let ranges = recording.objects.iter().filter_map(|object| match object {
        Object::Memory(memory) if recording.untracked.contains(&Arc::as_ptr(memory)) => {
            let base = memory.range(0, 0)? as u64;
            Some(base..base + memory.length() as u64)
        }
        _ => None,
    });
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, kept| {
        let meet = next.start <= kept.end;
        if meet {
            kept.end = kept.end.max(next.end);
        }
        meet
    });
    recording.untracked_ranges = ranges;
    recording.encoders = encoders.into_iter().map(|(_, encoder)| encoder).collect();
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
        || first.memory.iter().any(|&(memory, writes)| {
            let hazard = |&(other, also): &(_, bool)| other == memory && (writes || also);
            second.memory.iter().any(hazard)
        })
}

/// The tracked memory that commands touch, and whether they may write there.
fn touched(recording: &Recording, commands: &[Command]) -> Vec<(*const Memory, bool)> {
    let mut objects: Vec<(ObjectIndex, bool)> = Vec::new();
    let always = || recording.always_resident.iter().map(|&object| (object, true));
    for command in commands {
        match *command {
            Command::Dispatch { pipeline, slots, grid, .. } => {
                match grid {
                    Grid::Indirect { object, .. } => objects.push((object, false)),
                    Grid::GroupsAt(_) | Grid::ThreadsAt(_) => {
                        objects.extend(always());
                    }
                    Grid::Threads(_) => {}
                }
                let Some(pipeline) = recording.pipeline_at(pipeline) else { continue };
                let mut parameters = pipeline.kernel.parameters();
                for slot in &recording.slots[slots as usize..][..pipeline.slots()] {
                    let declared = parameters.next();
                    match *slot {
                        // The resources that it may reach follow its arguments.
                        Slot::Residents { start, end } => {
                            objects.extend(&recording.residents[start as usize..end as usize]);
                            objects.extend(always());
                        }
                        Slot::Buffer { object, .. } | Slot::Part { object, .. } => {
                            let writes = declared.is_none_or(|(parameter, _)| parameter.writable);
                            objects.push((object, writes));
                        }
                        Slot::Texture { object } => {
                            let reads =
                                |(_, argument): (_, &Argument)| argument.access == Access::ReadOnly;
                            objects.push((object, !declared.is_some_and(reads)));
                        }
                        _ => {}
                    }
                }
            }
            Command::Execute(index) => {
                let Execution { commands, span, inherited, residents: (start, end), .. } =
                    recording.executions[index as usize];
                objects.push((commands, false));
                if let Span::Indirect { object, .. } = span {
                    objects.push((object, false));
                }
                let slots =
                    inherited.map_or(&[][..], |at| &recording.slots[at as usize..][..INHERITED]);
                objects.extend(slots.iter().filter_map(|slot| match slot {
                    Slot::Buffer { object, .. } | Slot::Part { object, .. } => {
                        Some((*object, true))
                    }
                    _ => None,
                }));
                objects.extend(&recording.residents[start as usize..end as usize]);
                objects.extend(always());
            }
            Command::CopyBuffer { from, to, .. } => objects.extend(copied(from, to)),
            Command::FillBuffer { buffer, .. } | Command::Sample { buffer, .. } => {
                objects.push((buffer, true))
            }
            Command::CopyPixels(index) => objects.extend(match recording.pixels[index as usize] {
                PixelCopy::ToTexture { from, to, .. } => copied(from.buffer, to.texture),
                PixelCopy::FromTexture { from, to, .. } => copied(from.texture, to.buffer),
                PixelCopy::Between { from, to, .. } => copied(from.texture, to.texture),
            }),
            Command::GenerateMipmaps(texture) => objects.push((texture, true)),
            Command::CopyToAddress { from, .. } => {
                objects.push((from, false));
                objects.extend(always());
            }
            Command::CopyTensor(index) => {
                let copy = &recording.tensors[index as usize];
                objects.extend(copied(copy.from.object, copy.to.object));
            }
            Command::Concurrent
            | Command::Serial
            | Command::Barrier(_)
            | Command::Signal { .. }
            | Command::Wait { .. }
            | Command::Note(_) => {}
        }
    }
    let memory = objects
        .into_iter()
        .filter_map(|(object, writes)| Some((memory_at(recording, object)?, writes)));
    let mut all: Vec<_> =
        memory.filter(|(memory, _)| !recording.untracked.contains(memory)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The objects of a copy.
fn copied(from: ObjectIndex, to: ObjectIndex) -> [(ObjectIndex, bool); 2] {
    [(from, false), (to, true)]
}

fn memory_at(recording: &Recording, index: ObjectIndex) -> Option<*const Memory> {
    match recording.objects.get(index as usize)? {
        Object::Memory(memory) => Some(Arc::as_ptr(memory)),
        Object::Image(image) => Some(image.memory()),
        Object::Pipeline(_) | Object::Event(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::recording::{Pixels, Rows};
    use super::*;
    use crate::abi::{MTLOrigin, MTLSize};

    /// A fill, which touches one object.
    fn fill(buffer: ObjectIndex) -> Command {
        Command::FillBuffer { buffer, start: 0, length: 1, value: 0 }
    }

    /// A recording with these commands in an encoder each. Object 0 is untracked, all others are tracked.
    fn recording(encoders: &[Command]) -> (Recording, Vec<Arc<Memory>>) {
        let memory: Vec<_> = (0..5).map(|_| Memory::pages(1).unwrap()).collect();
        let mut recording = Recording::new();
        for (index, memory) in memory.iter().enumerate() {
            recording.memory(memory, || index == 0);
        }
        for command in encoders {
            let start = recording.commands.len();
            recording.commands.push(*command);
            recording.segments.push(Segment { start, end: start + 1 });
        }
        (recording, memory)
    }

    /// Whether two encoders keep their order.
    fn is_kept(first: Command, second: Command) -> bool {
        let (mut recording, _memory) = recording(&[first, second]);
        put_in_order(&mut recording);
        assert!(recording.commands.len() == 2 && recording.segments.is_empty());
        recording.commands == [first, second]
    }

    #[test]
    fn encoders_keep_their_order_if_they_share_tracked_memory() {
        let (size, origin) = (MTLSize::from((1, 1, 1)), MTLOrigin { x: 0, y: 0, z: 0 });
        let rows = |buffer| Rows { buffer, offset: 0, bytes_per_row: 4, bytes_per_image: 4 };
        let texture = |texture| Pixels { texture, slice: 0, level: 0, origin };
        let pixels = [
            PixelCopy::ToTexture { from: rows(1), to: texture(2), size },
            PixelCopy::FromTexture { from: texture(1), to: rows(2), size },
            PixelCopy::Between { from: texture(1), to: texture(2), size },
        ];
        let copy = Command::CopyBuffer { from: 1, from_offset: 0, to: 2, to_offset: 0, length: 1 };
        let indirect = Grid::Indirect { object: 1, offset: 0 };
        let launch = Command::Dispatch { pipeline: 4, slots: 0, grid: indirect, group: [1; 3] };
        // Each with the objects that it touches.
        let mut commands = vec![
            (copy, &[1, 2][..]),
            (fill(1), &[1]),
            (Command::GenerateMipmaps(1), &[1]),
            (launch, &[1]),
        ];
        commands.extend((0..3).map(|index| (Command::CopyPixels(index), &[1, 2][..])));
        for (command, touched) in commands {
            for object in 0..4 {
                for first in [true, false] {
                    let pair = [command, fill(object)];
                    let pair = if first { pair } else { [pair[1], pair[0]] };
                    let (mut recording, _memory) = recording(&pair);
                    recording.pixels.extend(pixels);
                    put_in_order(&mut recording);
                    let kept = recording.commands == pair;
                    let shared = touched.contains(&object) || pair[0] == pair[1];
                    assert_eq!(kept, shared, "{command:?} and object {object}, {first}");
                }
            }
        }
        // Two reads of one object are in no order.
        let copies = [2, 3].map(|to| Command::CopyBuffer {
            from: 1,
            from_offset: 0,
            to,
            to_offset: 0,
            length: 1,
        });
        let (mut readers, _memory) = recording(&copies);
        put_in_order(&mut readers);
        assert_eq!(readers.commands, [copies[1], copies[0]]);
        // Untracked memory orders nothing.
        assert!(!is_kept(fill(0), Command::GenerateMipmaps(0)));
    }

    #[test]
    fn a_fence_orders_the_encoder_that_updates_it_and_one_that_waits() {
        let kept = |uses: &[(usize, u64, bool)]| {
            let (mut recording, _memory) = recording(&[fill(1), fill(2), fill(3)]);
            recording.fences = uses
                .iter()
                .map(|&(segment, fence, waits)| FenceUse { segment, fence, waits })
                .collect();
            put_in_order(&mut recording);
            recording
                .commands
                .iter()
                .map(|command| match command {
                    Command::FillBuffer { buffer, .. } => *buffer,
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(&[]), [3, 2, 1]);
        assert_eq!(kept(&[(0, 7, false), (1, 7, true)]), [3, 1, 2]);
        assert_eq!(kept(&[(0, 7, false), (2, 7, true)]), [2, 1, 3]);
        // Another fence, and a fence that is only waited for or only updated.
        assert_eq!(kept(&[(0, 7, false), (1, 8, true)]), [3, 2, 1]);
        assert_eq!(kept(&[(0, 7, true), (1, 7, true)]), [3, 2, 1]);
        assert_eq!(kept(&[(0, 7, false), (1, 7, false)]), [3, 2, 1]);
        assert_eq!(kept(&[(0, 7, true), (1, 7, false)]), [3, 2, 1]);
    }

    #[test]
    fn commands_between_encoders_and_many_encoders_keep_their_order() {
        let (mut between, _memory) = recording(&[fill(1), fill(2)]);
        let event = Command::Signal { event: 4, value: 1 };
        between.commands.insert(1, event);
        between.commands.push(event);
        between.segments[1] = Segment { start: 2, end: 3 };
        put_in_order(&mut between);
        assert_eq!(between.commands, [fill(1), event, fill(2), event]);
        for (count, turned) in [(1, false), (2, true), (MAX, true), (MAX + 1, false)] {
            let encoders: Vec<Command> = (0..count).map(|at| fill(1 + (at % 2) as u32)).collect();
            let (mut many, _memory) = recording(&encoders);
            put_in_order(&mut many);
            assert_eq!(many.commands != encoders, turned, "{count} encoders");
        }
        // Without untracked memory nothing moves.
        let (mut tracked, _memory) = recording(&[fill(1), fill(2)]);
        tracked.untracked.clear();
        put_in_order(&mut tracked);
        assert_eq!(tracked.commands, [fill(1), fill(2)]);
    }
}
