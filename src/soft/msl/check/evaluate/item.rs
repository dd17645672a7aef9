//! Objects and values of constant evaluation, and places in them.

use crate::soft::msl::check::constant::{Evaluated, NotConstant};
use crate::soft::msl::hir::{Constant, GlobalIndex, InstanceIndex};

/// A constant object or value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Item {
    /// Without a value yet.
    Nothing,
    /// Zero of whatever type it has.
    Zero,
    Scalar(Constant),
    /// Members, elements, columns or components; those that are missing are zero.
    Parts(Vec<Item>),
    /// The member of a union that has a value.
    Member(u32, Box<Item>),
    Address(Place),
    Function(InstanceIndex),
}

/// An object or a part of one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Place {
    pub(super) root: Root,
    pub(super) path: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Root {
    /// One of the machine's objects: its position, and its number, which is that of no object that there was there before.
    Object {
        at: usize,
        number: u64,
    },
    Global(GlobalIndex),
    /// A local of the function that is being checked, and the like: nothing is known of its value.
    Unknown,
}

impl Place {
    pub(super) fn part(mut self, index: u32) -> Place {
        self.path.push(index);
        self
    }

    /// How many elements of an array it is after another one of the same array.
    pub(super) fn distance(&self, other: &Place) -> Evaluated<i64> {
        match (&self.path[..], &other.path[..]) {
            ([above @ .., at], [others_above @ .., other_at])
                if self.root == other.root
                    && above == others_above
                    && self.root != Root::Unknown =>
            {
                Ok(i64::from(*at) - i64::from(*other_at))
            }
            _ => Err(NotConstant),
        }
    }
}

impl Item {
    /// Whether it is or contains the address of an object that ends with the evaluation.
    pub(super) fn has_address(&self) -> bool {
        match self {
            Item::Address(_) => true,
            Item::Parts(parts) => parts.iter().any(Item::has_address),
            Item::Member(_, value) => value.has_address(),
            Item::Nothing | Item::Zero | Item::Scalar(_) | Item::Function(_) => false,
        }
    }

    /// The address that is a number of elements after this one.
    pub(super) fn moved(self, count: i64) -> Evaluated<Item> {
        let Item::Address(mut place) = self else { return Err(NotConstant) };
        let last = place.path.last_mut().ok_or(NotConstant)?;
        let moved = i64::from(*last).checked_add(count).ok_or(NotConstant)?;
        *last = u32::try_from(moved).map_err(|_| NotConstant)?;
        Ok(Item::Address(place))
    }

    /// How many items it consists of beside itself.
    pub(super) fn parts(&self) -> u32 {
        match self {
            Item::Parts(parts) => parts
                .iter()
                .fold(0, |sum: u32, part| sum.saturating_add(1).saturating_add(part.parts())),
            Item::Member(_, value) => value.parts().saturating_add(1),
            Item::Nothing | Item::Zero | Item::Scalar(_) | Item::Address(_) | Item::Function(_) => {
                0
            }
        }
    }

    pub(super) fn part(&self, index: u32) -> Evaluated<&Item> {
        match self {
            Item::Zero => Ok(&Item::Zero),
            Item::Parts(parts) => Ok(parts.get(index as usize).unwrap_or(&Item::Zero)),
            Item::Member(member, value) if *member == index => Ok(value),
            _ => Err(NotConstant),
        }
    }

    /// The part at the end of a path.
    pub(super) fn at(&self, path: &[u32]) -> Evaluated<&Item> {
        path.iter().try_fold(self, |item, &index| item.part(index))
    }

    /// The same, to be written. `added` becomes the number of items that had to be added, at most `room`.
    pub(super) fn at_mut(
        &mut self,
        path: &[u32],
        union: impl Fn(usize) -> bool,
        room: u32,
        added: &mut u32,
    ) -> Evaluated<&mut Item> {
        let mut item = self;
        for (depth, &index) in path.iter().enumerate() {
            if union(depth) {
                if !matches!(item, Item::Member(member, _) if *member == index) {
                    *item = Item::Member(index, Box::new(Item::Nothing));
                }
                let Item::Member(_, value) = item else { return Err(NotConstant) };
                item = value;
                continue;
            }
            let fill = match item {
                Item::Zero | Item::Parts(_) => Item::Zero,
                Item::Nothing => Item::Nothing,
                _ => return Err(NotConstant),
            };
            if !matches!(item, Item::Parts(_)) {
                *item = Item::Parts(Vec::new());
            }
            let Item::Parts(parts) = item else { return Err(NotConstant) };
            let at = index as usize;
            if parts.len() <= at {
                *added = added.saturating_add((at + 1 - parts.len()) as u32);
                if *added > room {
                    return Err(NotConstant);
                }
                parts.resize(at + 1, fill);
            }
            item = &mut parts[at];
        }
        Ok(item)
    }
}
