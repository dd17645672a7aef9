//! Foundation's protocols: what each requires.

use super::enumeration::StatePtr;
use crate::abi::{Bool, Id};
use crate::soft::runtime::declare::Zone;
use crate::soft::runtime::protocol::soft_protocol;

soft_protocol! {
    protocol NSCopying: [] {
        [copyWithZone:] (Zone) -> Id;
    }
    protocol NSMutableCopying: [] {
        [mutableCopyWithZone:] (Zone) -> Id;
    }
    protocol NSCoding: [] {
        [encodeWithCoder:] (Id) -> ();
        [initWithCoder:] (Id) -> Id;
    }
    protocol NSSecureCoding: [NSCoding] {
        class [supportsSecureCoding] () -> Bool;
    }
    protocol NSFastEnumeration: [] {
        [countByEnumeratingWithState:objects:count:] (StatePtr, *mut Id, usize) -> usize;
    }
}
