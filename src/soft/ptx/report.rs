//! The report of a fault: what the record that a kernel wrote means.

use std::sync::Arc;

use super::Code;
use super::emit::{self, Joined, OFFSET_BITS, Root, Site, SiteKind, record};
use super::launch::{GLOBAL, Region, WRITABLE};
use super::sequence::Pending;
use crate::soft::ir::{AllocationKind, HANDLE_BYTES, Space};
use crate::soft::kernel::handle::{WRONG_FORMAT, WrongTexture, wrong_sampler};
use crate::soft::kernel::{Fault, FaultKind};

impl Pending {
    /// The contents of a fault record.
    pub(super) fn fault(&self, record: &[u8]) -> Fault {
        let position = std::array::from_fn(|d| number(record, record::POSITION + 4 * d, 4) as u32);
        let value = number(record, record::VALUE, 8);
        let site_number = number(record, record::SITE, 4) as u32;
        let site = |code: &Arc<Code>| {
            let site = *code.sites.get(site_number as usize)?;
            Some((Arc::clone(code), site))
        };
        let Some((code, site)) = self.code.as_ref().and_then(site) else {
            return self.facts.fault(FaultKind::Device { what: "a fault of no known site".into() });
        };
        let Site { mut span, kind } = site;
        let mut position: [u32; 3] = position;
        let kernel = self.facts.module.name.clone();
        let kind = match kind {
            SiteKind::Stopped => FaultKind::Watchdog { limit: self.watchdog.unwrap_or_default() },
            SiteKind::Barrier | SiteKind::Ended => {
                let [grid, group] = self.sizes;
                position = emit::position(position, value as u32, grid, group);
                if kind == SiteKind::Ended {
                    let barrier = ((value >> 32) as usize).wrapping_sub(1);
                    span = code.barriers.get(barrier).copied().unwrap_or_default();
                }
                FaultKind::Barrier
            }
            SiteKind::Texture => {
                let owner = |number| self.owners.texture(number);
                FaultKind::Handle { what: WrongTexture::of(value).text(owner) }
            }
            SiteKind::Format => FaultKind::Handle { what: WRONG_FORMAT.to_owned() },
            SiteKind::Sampler => FaultKind::Handle { what: wrong_sampler(value) },
            SiteKind::Misaligned { root, bytes, write } => {
                let (argument, offset, _) = self.found(root, value);
                FaultKind::Misaligned { argument, offset, bytes, write }
            }
            SiteKind::Access { root, space, mut bytes, write } => {
                let (argument, mut offset, size, constant) = match (root, space) {
                    (Root::Local(local), _) if self.has_handles(local) => {
                        let local = &self.facts.locals[local as usize];
                        let index = (value as i64).div_euclid(HANDLE_BYTES.into());
                        let length = (local.bytes / HANDLE_BYTES).into();
                        let argument = local.name.clone();
                        let kind = FaultKind::Element { argument, index, length };
                        return Fault {
                            kernel,
                            kind,
                            span,
                            source: None,
                            position: Some(position),
                        };
                    }
                    (Root::Local(_), _) | (Root::Unknown, Space::Thread) => {
                        let (argument, offset, size) =
                            self.thread_found(root, value, code.thread_bytes);
                        (argument, offset, size, false)
                    }
                    _ => {
                        let (argument, offset, region) = self.found(root, value);
                        (argument, offset, region.bytes, region.flags & WRITABLE == 0)
                    }
                };
                if let Some(Joined { loads, slack }) = code.joined.get(&site_number) {
                    bytes /= loads.len();
                    (offset, span) = loads.first_outside(offset, bytes, size + u64::from(*slack));
                }
                FaultKind::Access { argument, offset, bytes, write, size, constant }
            }
        };
        Fault { kernel, kind, span, source: None, position: Some(position) }
    }

    /// Whether a local is an array of textures or samplers.
    fn has_handles(&self, local: u32) -> bool {
        self.facts.locals.get(local as usize).is_some_and(|local| local.handles)
    }

    /// The argument that a pointer is into, the offset, and the region.
    fn found(&self, root: Root, value: u64) -> (Option<String>, i64, Region) {
        let (number, offset) = match root {
            Root::Allocation(number) => (u64::from(number) + 1, value as i64),
            _ => split(value),
        };
        let at = (number as usize).wrapping_sub(1);
        let allocations = &self.facts.module.allocations;
        let name = match allocations.get(at) {
            Some(allocation) => Some(allocation.name.clone()),
            None => {
                let beyond = at.checked_sub(allocations.len());
                beyond.and_then(|number| self.owners.resident(number)).map(|owner| owner.name())
            }
        };
        let mut region = self.regions.get(at).copied().unwrap_or_default();
        // Nothing that is bound is no memory, but it is not constant for that.
        if region.flags & GLOBAL == 0
            && let Some(allocation) = self.facts.module.allocations.get(at)
            && let AllocationKind::Buffer { writable: true, .. } = allocation.kind
        {
            region.flags |= WRITABLE;
        }
        (name, offset, region)
    }

    /// The same in thread memory.
    fn thread_found(
        &self,
        root: Root,
        value: u64,
        thread_bytes: u64,
    ) -> (Option<String>, i64, u64) {
        if let Root::Local(number) = root
            && let Some(local) = self.facts.locals.get(number as usize)
        {
            return (Some(local.name.clone()), value as i64, local.bytes.into());
        }
        let (number, offset) = split(value);
        let own = number == 1;
        (own.then(|| "thread memory".to_owned()), offset, if own { thread_bytes } else { 0 })
    }
}

/// The number of a pointer's region, and its offset.
fn split(pointer: u64) -> (u64, i64) {
    let number = pointer.wrapping_add(1 << (OFFSET_BITS - 1)) >> OFFSET_BITS;
    (number, ((pointer << (64 - OFFSET_BITS)) as i64) >> (64 - OFFSET_BITS))
}

/// A number in a record.
pub(super) fn number(record: &[u8], at: usize, bytes: usize) -> u64 {
    record[at..at + bytes].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
