//! MTLResidencySet: resources that kernels may reach through pointers in memory.

use super::descriptors::ResidencySetFields;
use super::foundation::{
    List, NSObject, Object, Retained, Strong, Text, device, lock, of_device, soft_class,
};
use crate::abi::{Id, Sel};
use crate::soft::kernel::Processor;
use crate::soft::runtime::send::send;
use std::sync::Mutex;

/// A residency set: its members, and those after the next commit.
pub(super) struct ResidencySet {
    processor: &'static Processor,
    label: Option<Strong<Text>>,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    now: Vec<Retained>,
    next: Vec<Retained>,
}

of_device! { ResidencySet, set => set.processor; }

soft_class! {
    /// A residency set.
    pub(super) class SoftMTLResidencySet(ResidencySet): NSObject, conforms [MTLResidencySet];
    [label] = |set: &ResidencySet| set.label.clone();
    [device] = device::<ResidencySet>;
    [addAllocation:] = |set: &ResidencySet, object: Id| set.add(&raw const object, 1);
    [addAllocations:count:] = ResidencySet::add;
    [removeAllocation:] = |set: &ResidencySet, object: Id| set.remove(&raw const object, 1);
    [removeAllocations:count:] = ResidencySet::remove;
    [removeAllAllocations] = |set: &ResidencySet| {
        let _gone = std::mem::take(&mut lock(&set.members).next);
    };
    [containsAllocation:] = |set: &ResidencySet, object: Id| {
        lock(&set.members).next.iter().any(|member| member.id() == object)
    };
    [allAllocations] = |set: &ResidencySet| List::object(lock(&set.members).next.clone());
    [allocationCount] = |set: &ResidencySet| lock(&set.members).next.len();
    [allocatedSize] = ResidencySet::allocated_size;
    [commit] = ResidencySet::commit;
    [requestResidency] = |_: &ResidencySet| ();
    [endResidency] = |_: &ResidencySet| ();
}

/// The objects that a message passed with a count; empty if the address is NULL.
fn objects<'a>(address: *const Id, count: usize) -> &'a [Id] {
    match address.is_null() {
        true => &[],
        // SAFETY: the message passed that many.
        false => unsafe { std::slice::from_raw_parts(address, count) },
    }
}

/// The residency sets that a message passed with a count.
pub(super) fn of<'a>(
    address: *const Id,
    count: usize,
) -> impl Iterator<Item = &'a Object<ResidencySet>> {
    // SAFETY: the message passed objects, which live until it is answered.
    objects(address, count).iter().filter_map(|id| unsafe { Object::from_id(*id) })
}

impl ResidencySet {
    pub(super) fn object(
        processor: &'static Processor,
        fields: ResidencySetFields,
    ) -> Strong<Self> {
        Strong::new(Self { processor, label: fields.label, members: Mutex::default() })
    }

    fn add(&self, address: *const Id, count: usize) {
        let mut members = lock(&self.members);
        for id in objects(address, count) {
            if members.next.iter().any(|member| member.id() == *id) {
                continue;
            }
            // SAFETY: the message passed objects.
            members.next.extend(unsafe { Retained::retain(*id) });
        }
    }

    fn remove(&self, address: *const Id, count: usize) {
        let gone = objects(address, count);
        let is_gone = |member: &mut Retained| gone.contains(&member.id());
        let _gone: Vec<_> = lock(&self.members).next.extract_if(.., is_gone).collect();
    }

    fn commit(&self) {
        let mut members = lock(&self.members);
        let next = members.next.clone();
        let old = std::mem::replace(&mut members.now, next);
        // Last references are dropped without the lock: a deallocator may use the set.
        drop(members);
        drop(old);
    }

    /// The committed members.
    pub(super) fn members(&self) -> Vec<Retained> {
        lock(&self.members).now.clone()
    }

    /// The sum of the sizes of the committed members.
    fn allocated_size(&self) -> usize {
        let members = self.members();
        // SAFETY: a C string.
        let selector: Sel =
            unsafe { crate::soft::runtime::entry::sel_registerName(c"allocatedSize".as_ptr()) };
        // SAFETY: allocations respond to this message with a number.
        members.iter().map(|member| unsafe { send::<usize>(member.id(), selector) }).sum()
    }
}
