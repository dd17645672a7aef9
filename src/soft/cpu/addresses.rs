//! Resolves addresses and IDs in the memory of a launch: `specs/arguments.md`.

use super::interp::memory::{OFFSET_BITS, Region, split};
use crate::soft::ir::Expected;
use crate::soft::kernel::handle::{MISFIT, MISSING};
use crate::soft::kernel::texture::Texture;
use crate::soft::kernel::{Resident, ResidentTexture};

/// The region number of a pointer that memory has in the form of registers, although its region has an address: an invalid one.
const FOREIGN: u64 = 0xffff;

/// A range of addresses.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: u64,
    end: u64,
    /// The highest end of this range and of those before it.
    reach: u64,
    /// The number of its region.
    region: u32,
}

/// The addresses and IDs of a launch. Empty for a kernel that needs none.
#[derive(Default)]
pub(crate) struct Addresses<'a> {
    /// By start.
    ranges: Vec<Range>,
    /// For each region its address; 0 if it has none.
    starts: Vec<u64>,
    /// IDs of textures and their numbers, by ID.
    textures: Vec<(u64, u32)>,
    /// For each texture its ID.
    ids: Vec<u64>,
    /// The residents, which are the regions and textures after those of the kernel's own arguments.
    residents: &'a [Resident<'a>],
    resident_textures: &'a [ResidentTexture<'a>],
    /// How many regions and textures are the kernel's own.
    own: [usize; 2],
}

impl<'a> Addresses<'a> {
    /// Adds the residents to the regions and textures of a launch. `starts` has the addresses of the regions so far.
    pub(crate) fn new(
        residents: &'a [Resident<'a>],
        resident_textures: &'a [ResidentTexture<'a>],
        mut starts: Vec<u64>,
        regions: &mut Vec<Region>,
        textures: &mut Vec<Texture<'a>>,
    ) -> Self {
        let own = [regions.len(), textures.len()];
        let mut ranges = Vec::with_capacity(residents.len());
        // A pointer has 16 bits for the number of its region, and one number is for foreign pointers.
        for resident in residents.iter().take((FOREIGN as usize).saturating_sub(own[0])) {
            let (start, bytes) = (resident.address, resident.bytes.min(1 << 46));
            let (end, region) = (start.saturating_add(bytes), regions.len() as u32);
            ranges.push(Range { start, end, reach: end, region });
            starts.push(start);
            let (base, writable) = (resident.base, resident.writable);
            regions.push(Region { base, bytes, slack: 0, writable, alone: false });
        }
        ranges.sort_by_key(|range| range.start);
        let mut reach = 0;
        for range in &mut ranges {
            reach = reach.max(range.end);
            range.reach = reach;
        }
        let numbers = own[1] as u32 + 1..;
        let mut by_id: Vec<_> = resident_textures
            .iter()
            .zip(numbers)
            .map(|(one, number)| (one.texture.id, number))
            .collect();
        by_id.sort_unstable();
        textures.extend(resident_textures.iter().map(|one| one.texture));
        let ids = textures.iter().map(|texture| texture.id).collect();
        Self { ranges, starts, textures: by_id, ids, residents, resident_textures, own }
    }

    /// A pointer, from its form in memory. One that is in no resident stays an address, that is, a pointer into region
    /// 0, which has no bytes.
    pub(crate) fn pointer(&self, bits: u64) -> u64 {
        let (number, offset) = split(bits);
        if number != 0 {
            let known = self.starts.get(number as usize).is_some_and(|start| *start == 0);
            return if known {
                bits
            } else {
                FOREIGN << OFFSET_BITS | offset as u64 & ((1 << (OFFSET_BITS - 1)) - 1)
            };
        }
        let after = self.ranges.partition_point(|range| range.start <= bits);
        let here = self.ranges[..after].iter().rev();
        let near = here.take_while(|range| range.reach >= bits);
        match near.into_iter().find(|range| range.end >= bits) {
            Some(range) => {
                (u64::from(range.region) << OFFSET_BITS).wrapping_add(bits - range.start)
            }
            None => bits,
        }
    }

    /// The form in memory of a pointer. If its region has no address, it is the same.
    pub(crate) fn address(&self, pointer: u64) -> u64 {
        let (number, offset) = split(pointer);
        match self.starts.get(number as usize) {
            Some(&start) if start != 0 => start.wrapping_add(offset as u64),
            _ => pointer,
        }
    }

    /// The number of a texture, from its ID.
    pub(crate) fn texture(&self, id: u64, expected: Option<Expected>) -> u64 {
        if id == 0 {
            return 0;
        }
        let Ok(found) = self.textures.binary_search_by_key(&id, |entry| entry.0) else {
            return MISSING | id;
        };
        let number = self.textures[found].1;
        let resident = &self.resident_textures[number as usize - 1 - self.own[1]];
        match expected.filter(|expected| resident.owner.misfit(*expected).is_some()) {
            Some(expected) => MISSING | MISFIT | expected.imm() << 32 | u64::from(number),
            None => number.into(),
        }
    }

    /// The ID of a texture by its number; of one that does not exist, what memory had.
    pub(crate) fn id(&self, number: u64) -> u64 {
        let index = (number & u64::from(u32::MAX)).wrapping_sub(1) as usize;
        match number & (MISSING | MISFIT) {
            MISSING => number & !MISSING,
            _ => self.ids.get(index).copied().unwrap_or(0),
        }
    }

    /// The resident that a region is; `None` for the kernel's own.
    pub(crate) fn resident(&self, region: u32) -> Option<&Resident<'a>> {
        self.residents.get((region as usize).checked_sub(self.own[0])?)
    }

    /// The resident that a texture is, by its number; `None` for the kernel's own.
    pub(crate) fn resident_texture(&self, number: u32) -> Option<&ResidentTexture<'a>> {
        self.resident_textures.get((number as usize).checked_sub(1 + self.own[1])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::kernel::Owner;

    struct Nameless;

    impl Owner for Nameless {
        fn name(&self) -> String {
            String::new()
        }
    }

    fn resident(address: u64, bytes: u64) -> Resident<'static> {
        let base = std::ptr::null_mut();
        Resident { address, base, bytes, writable: true, owner: &Nameless }
    }

    #[test]
    fn addresses_are_found_in_the_resource_that_has_them() {
        // The third is a part of the first, as in a heap whose resources share bytes.
        let residents = [resident(0x1000, 0x1000), resident(0x3000, 16), resident(0x1100, 16)];
        let none = Region {
            base: std::ptr::null_mut(),
            bytes: 0,
            slack: 0,
            writable: false,
            alone: false,
        };
        let (mut regions, mut textures) = (vec![none; 2], Vec::new());
        let addresses =
            Addresses::new(&residents, &[], vec![0, 0x9000], &mut regions, &mut textures);
        assert_eq!(regions.len(), 5);
        let found = |bits| split(addresses.pointer(bits));
        assert_eq!(found(0x1000), (2, 0));
        assert_eq!(found(0x1fff), (2, 0xfff));
        assert_eq!(found(0x1108), (4, 8));
        assert_eq!(found(0x1111), (2, 0x111));
        // Just past the end belongs to it, and no more.
        assert_eq!(found(0x2000), (2, 0x1000));
        assert_eq!(found(0x2001), (0, 0x2001));
        assert_eq!(found(0xfff), (0, 0xfff));
        assert_eq!(found(0x3010), (3, 16));
        assert_eq!(found(0), (0, 0));
        // A pointer in the other form is foreign if its region has an address.
        assert_eq!(found(1 << OFFSET_BITS).0, 0xffff);
        for bits in [0x1000, 0x1108, 0x3010, 0x7777] {
            assert_eq!(addresses.address(addresses.pointer(bits)), bits);
        }
        assert_eq!(addresses.address((1 << OFFSET_BITS) + 4), 0x9004);
    }
}
