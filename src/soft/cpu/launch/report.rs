//! The report of a fault: what happened, in which thread, to which argument.

use super::Worker;
use crate::soft::cpu::interp::code::{Ins, LANES, Wrong};
use crate::soft::cpu::interp::lower::{THREAD_POINTER, UNKNOWN_LOCAL};
use crate::soft::cpu::interp::memory;
use crate::soft::ir::HANDLE_BYTES;
use crate::soft::kernel::handle::{WRONG_FORMAT, WrongTexture, wrong_sampler};
use crate::soft::kernel::{Fault, FaultKind};

impl Worker<'_> {
    /// Makes the report of a fault.
    #[cold]
    pub(super) fn report(&self, wave: usize, ip: *const Ins, lane: u32, wrong: Wrong) -> Fault {
        let program = self.shared.program;
        let number = self.waves[wave].number as usize;
        // SAFETY: the positions are those of the group that just ran.
        let positions = unsafe { &*self.place.positions.add(number) };
        let lane = (lane as usize).min(LANES - 1);
        let position = std::array::from_fn(|d| positions[d][lane] + self.place.origin[d]);
        let name = |region: u32| {
            let allocation = program.allocations.get((region as usize).wrapping_sub(1));
            let resident = || self.shared.addresses.resident(region);
            allocation
                .map(|allocation| allocation.name.clone())
                .or_else(|| resident().map(|resident| resident.owner.name()))
        };
        // SAFETY: handlers stop at instructions of the program's code.
        let at = unsafe { ip.offset_from(self.code.code.as_ptr()) } as usize;
        let mut span = self.code.spans.get(at).copied().unwrap_or_default();
        let mut wrong = wrong;
        if let Wrong::Access { region, offset, bytes, .. } = &mut wrong
            && let Some(joined) = self.code.joined_at(at)
        {
            let region = self.regions.get(*region as usize);
            let end = region.map_or(0, |region| region.bytes + u64::from(region.slack));
            (*offset, *bytes, span) = joined.first_outside(*offset, end);
        }
        let fault = |kind| {
            let (kernel, position) = (program.name.clone(), Some(position));
            Fault { kernel, kind, span, source: None, position }
        };
        fault(match wrong {
            Wrong::Access { region, offset, bytes, write } => FaultKind::Access {
                argument: name(region),
                offset,
                bytes,
                write,
                size: self.regions.get(region as usize).map_or(0, |region| region.bytes),
                constant: self.regions.get(region as usize).is_some_and(|region| !region.writable),
            },
            Wrong::Misaligned { region, offset, bytes, write } => {
                FaultKind::Misaligned { argument: name(region), offset, bytes, write }
            }
            Wrong::ThreadAccess { local, offset, bytes, write } => {
                let own = program.locals.get(local as usize).filter(|_| local != UNKNOWN_LOCAL);
                let (argument, offset, size) = match own {
                    Some(own) if own.handles => {
                        let index = offset.div_euclid(HANDLE_BYTES.into());
                        let length = (own.bytes / HANDLE_BYTES).into();
                        let argument = own.name.clone();
                        return fault(FaultKind::Element { argument, index, length });
                    }
                    Some(own) => (Some(own.name.clone()), offset, own.bytes),
                    _ => {
                        // The access went through a pointer, which may be null.
                        let (number, start) =
                            memory::split(THREAD_POINTER.wrapping_add(offset as u64));
                        let own = number == memory::split(THREAD_POINTER).0;
                        let size = if own { self.code.thread_bytes } else { 0 };
                        (own.then(|| "thread memory".to_owned()), start, size)
                    }
                };
                let size = size.into();
                FaultKind::Access { argument, offset, bytes, write, size, constant: false }
            }
            Wrong::Texture { number } => {
                let resident = |number| {
                    let texture = self.shared.addresses.resident_texture(number);
                    texture.map(|texture| texture.owner)
                };
                FaultKind::Handle { what: WrongTexture::of(number).text(resident) }
            }
            Wrong::Format => FaultKind::Handle { what: WRONG_FORMAT.to_owned() },
            Wrong::Sampler { bits } => FaultKind::Handle { what: wrong_sampler(bits) },
            Wrong::Barrier => FaultKind::Barrier,
            Wrong::Watchdog => {
                FaultKind::Watchdog { limit: self.shared.launch.watchdog.unwrap_or_default() }
            }
        })
    }
}
