//! Resources that a launch may reach in addition to its arguments, by address or ID: `specs/arguments.md`.

use super::error::CommandError;
use super::execute::{image_at, memory_at};
use super::recording::{Object, Recording};
use super::table::{ObjectIndex, Slot};
use crate::soft::kernel::{Kernel, Resident, ResidentTexture};

/// The residents of a launch.
#[derive(Default)]
pub(super) struct Residents<'a> {
    pub(super) memory: Vec<Resident<'a>>,
    pub(super) textures: Vec<ResidentTexture<'a>>,
}

/// Where an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) object: ObjectIndex,
    pub(super) offset: usize,
    /// Whether kernels may write there.
    pub(super) writable: bool,
}

impl<'a> Residents<'a> {
    /// The memory that has an address, among what was declared and what all encoders may use. An address just past the
    /// end of a resource belongs to it, unless another one begins there.
    pub(super) fn at(
        recording: &Recording,
        declared: &[(ObjectIndex, bool)],
        address: u64,
    ) -> Option<Place> {
        let always = recording.always_resident.iter().map(|&object| (object, true));
        let place = |(object, writable): (ObjectIndex, bool)| {
            let Object::Memory(memory) = &recording.objects[object as usize] else { return None };
            let offset = usize::try_from(address.checked_sub(memory.address())?).ok()?;
            (offset <= memory.length()).then_some(Place { object, offset, writable })
        };
        let found = declared.iter().copied().chain(always).filter_map(place);
        found.min_by_key(|place| (place.offset, !place.writable))
    }

    /// The memory that has an address, among what all encoders may use.
    pub(super) fn memory(recording: &Recording, address: u64) -> Result<Place, CommandError> {
        Self::at(recording, &[], address).ok_or_else(|| {
            CommandError::invalid(format!(
                "the address {address:#x} is in no resource that is resident: it is stale, or no residency set of the \
                 queue or of the command buffer has the resource"
            ))
        })
    }

    /// The texture that has a resource ID, likewise.
    pub(super) fn texture(recording: &Recording, id: u64) -> Result<ObjectIndex, CommandError> {
        let is_texture = |object: &&ObjectIndex| matches!(&recording.objects[**object as usize], Object::Image(image) if image.id == id);
        recording.always_resident.iter().find(is_texture).copied().ok_or_else(|| {
            CommandError::invalid(format!(
                "no texture that is resident has the resource ID {id}: it was released, or no residency set of the \
                 queue or of the command buffer has it"
            ))
        })
    }

    /// Those of a dispatch, whose slots these are: what was declared for it, and its own arguments.
    pub(super) fn of(
        recording: &'a Recording,
        kernel: &Kernel,
        slots: &[Slot],
    ) -> Result<Self, CommandError> {
        let mut all: Vec<(ObjectIndex, bool)> = Vec::new();
        let mut parameters = kernel.parameters();
        for slot in slots {
            // The slot after those of the parameters is the last.
            let parameter = parameters.next();
            match *slot {
                Slot::Buffer { object, .. } | Slot::Part { object, .. } => {
                    all.push((object, parameter.is_some_and(|(parameter, _)| parameter.writable)));
                }
                Slot::Texture { object } => all.push((object, true)),
                Slot::Residents { start, end } => {
                    all.extend_from_slice(&recording.residents[start as usize..end as usize]);
                }
                _ => {}
            }
            if parameter.is_none() {
                break;
            }
        }
        all.extend(recording.always_resident.iter().map(|&object| (object, true)));
        all.sort_unstable();
        // If a resource is declared twice, the declaration that allows more counts.
        all.dedup_by(|next, kept| {
            next.0 == kept.0 && {
                kept.1 |= next.1;
                true
            }
        });
        let mut residents = Self::default();
        for (object, writable) in all {
            match &recording.objects[object as usize] {
                Object::Memory(_) => {
                    let memory = memory_at(recording, object)?;
                    residents.memory.push(Resident {
                        address: memory.address(),
                        base: memory.base(),
                        bytes: memory.length() as u64,
                        writable,
                        owner: &**memory,
                    });
                }
                Object::Image(_) => {
                    let image = image_at(recording, object)?;
                    let texture = image.for_kernels();
                    residents.textures.push(ResidentTexture { texture, owner: &**image });
                }
                Object::Pipeline(_) | Object::Event(_) => {}
            }
        }
        Ok(residents)
    }
}
