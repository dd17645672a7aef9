//! NSSet and NSMutableSet: objects without an order, each once by `isEqual:`.

use super::array::{List, text_of};
use super::dictionary::Entries;
use super::enumeration::{StatePtr, enumerate};
use super::enumerator::Sequence;
use super::shared::Shared;
use super::string::slice;
use super::{NSObject, Text};
use crate::abi::{Bool, Class, Id, Imp, Sel};
use crate::soft::runtime::block::BlockRef;
use crate::soft::runtime::declare::{Ours, This, Zone, soft_class};
use crate::soft::runtime::key_value;
use crate::soft::runtime::object::{Object, Retained, SoftClass, Strong, class_of};
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::{send, send_with};
use std::sync::Arc;

/// The objects of a set, which are keys and values at the same time.
#[derive(Default)]
pub(crate) struct Unique(Shared<Entries>);

soft_class! {
    /// An immutable set.
    pub(crate) class NSSet(Unique): NSObject, conforms [NSCopying, NSMutableCopying, NSFastEnumeration],
        lacks super::absent::SET, kept as Unique::unchanging;
    make [set] = Unique::default;
    init [init] = Unique::default;
    make [setWithObject:] = |object: Id| Unique::from_ids(&raw const object, 1);
    make [setWithObjects:count:] = Unique::from_ids;
    init [initWithObjects:count:] = Unique::from_ids;
    make [setWithArray:] = |list: &Object<List>| Unique::new(list.objects().iter().cloned());
    init [initWithArray:] = |list: &Object<List>| Unique::new(list.objects().iter().cloned());
    make [setWithSet:] = |other: &Object<Unique>| other.snapshot();
    init [initWithSet:] = |other: &Object<Unique>| other.snapshot();
    [copy] = |this: This<'_, Unique>| Unique::unchanging(&this);
    [copyWithZone:] = |this: This<'_, Unique>, _: Zone| Unique::unchanging(&this);
    [mutableCopy] = Unique::changeable;
    [mutableCopyWithZone:] = |set: &Unique, _: Zone| set.changeable();

    [count] = |set: &Unique| set.entries().keys().len();
    [member:] = |set: &Unique, object: Id| set.entries().get(object);
    [containsObject:] = |set: &Unique, object: Id| set.has(object);
    [anyObject] = |set: &Unique| set.entries().keys().first().cloned();
    [allObjects] = |set: &Unique| List::object(set.entries().keys().iter().cloned());
    [objectEnumerator] = |set: &Unique| Sequence::object(set.entries().keys().iter().cloned());
    [countByEnumeratingWithState:objects:count:] = |set: &Unique, state: StatePtr, _: *mut Id, _: usize| {
        enumerate(set.entries().keys(), set.0.changes(), state)
    };
    [enumerateObjectsUsingBlock:] = Unique::each;
    [makeObjectsPerformSelector:] = |set: &Unique, selector: Sel| {
        // SAFETY: the message passed a selector that the objects respond to, without arguments.
        set.entries().keys().iter().for_each(|object| unsafe { send(object.id(), selector) });
    };
    [makeObjectsPerformSelector:withObject:] = |set: &Unique, selector: Sel, with: Id| {
        // SAFETY: the same, with one argument, an object.
        set.entries().keys().iter().for_each(|object| unsafe { send_with(object.id(), selector, with) });
    };
    raw [valueForKey:] = key_value::VALUE_OF_EACH_IN_SET;
    raw [setValue:forKey:] = key_value::SET_VALUE_OF_EACH;
    [isSubsetOfSet:] = |set: &Unique, other: &Object<Unique>| set.is_within(other);
    [intersectsSet:] = |set: &Unique, other: &Object<Unique>| {
        set.entries().keys().iter().any(|object| other.has(object.id()))
    };
    [setByAddingObject:] = |set: &Unique, object: Option<Retained>| {
        Strong::new(Unique::new(set.entries().keys().iter().cloned().chain(object)))
    };
    [setByAddingObjectsFromSet:] = |set: &Unique, other: &Object<Unique>| {
        Strong::new(Unique::new(set.entries().keys().iter().chain(other.entries().keys()).cloned()))
    };
    [setByAddingObjectsFromArray:] = |set: &Unique, other: &Object<List>| {
        Strong::new(Unique::new(set.entries().keys().iter().chain(&*other.objects()).cloned()))
    };
    [isEqual:] = |set: &Unique, other: Ours<Unique>| set.is_equal(other.0);
    [isEqualToSet:] = Unique::is_equal;
    [hash] = |set: &Unique| set.entries().keys().len();
    [description] = |set: &Unique| {
        let lines: String =
            set.entries().keys().iter().map(|object| format!("    {},\n", text_of(object))).collect();
        Text::object(format!("{{(\n{lines})}}"))
    };
}

soft_class! {
    /// A mutable set.
    pub(super) class NSMutableSet: NSSet, lacks super::absent::MUTABLE_SET;
    class [setWithCapacity:] = |class: Class, _: usize| {
        // SAFETY: a class responds to `alloc`, and what that makes to `init`; the result is owned here.
        unsafe { Retained::from_owned(send(send(class.as_id(), known::alloc()), known::init())) }
    };
    // SAFETY: an object that has been allocated responds to `init`, which takes it over.
    [initWithCapacity:] = |this: Id, _: usize| unsafe { send::<Id>(this, known::init()) };
    [addObject:] = |set: This<'_, Unique>, object: Option<Retained>| match object {
        Some(object) => set.add([object]),
        None => set.fault(format_args!("nil was passed where an object is needed")),
    };
    [removeObject:] = |set: &Unique, object: Option<Retained>| {
        // An object may use the set when it is released, which is after the change.
        let _old = object.map(|object| set.0.change(|all| all.remove(&object)));
    };
    [removeAllObjects] = |set: &Unique| _ = set.0.change(std::mem::take);
    [addObjectsFromArray:] = |set: &Unique, other: &Object<List>| set.add(other.objects().to_vec());
    [unionSet:] = |set: &Unique, other: &Object<Unique>| set.add(other.entries().keys().to_vec());
    [minusSet:] = |set: &Unique, other: &Object<Unique>| set.keep_if(|object| !other.has(object));
    [intersectSet:] = |set: &Unique, other: &Object<Unique>| set.keep_if(|object| other.has(object));
    [setSet:] = |set: &Unique, other: &Object<Unique>| set.replace((*other.entries()).clone());
}

impl Unique {
    fn new(objects: impl IntoIterator<Item = Retained>) -> Self {
        let mut all = Entries::default();
        objects.into_iter().for_each(|object| all.insert_once(object));
        Self(Shared::new(all))
    }

    /// None when an address or an object is missing.
    fn from_ids(objects: *const Id, count: usize) -> Option<Self> {
        // SAFETY: the caller passed that many objects.
        let objects = unsafe { slice(objects, count) }?;
        // SAFETY: as above.
        let retain = |object: &Id| unsafe { Retained::retain(*object) };
        objects.iter().map(retain).collect::<Option<Vec<_>>>().map(Self::new)
    }

    fn entries(&self) -> Arc<Entries> {
        self.0.get()
    }

    fn snapshot(&self) -> Self {
        Self(Shared::new((*self.entries()).clone()))
    }

    /// An NSMutableSet of the same objects.
    fn changeable(&self) -> Strong<Self> {
        Strong::of_class(&NSMutableSet, self.snapshot())
    }

    /// The set that a method keeps for one that was passed: itself, or of a mutable one a copy.
    fn unchanging(this: &Object<Self>) -> Strong<Self> {
        // SAFETY: a reference to an object keeps it alive.
        match std::ptr::eq(unsafe { class_of(this.id()) }, Self::class()) {
            true => this.retain(),
            false => Strong::new(this.snapshot()),
        }
    }

    fn has(&self, object: Id) -> bool {
        self.entries().get(object).is_some()
    }

    fn is_within(&self, other: &Self) -> bool {
        self.entries().keys().iter().all(|object| other.has(object.id()))
    }

    fn is_equal(&self, other: Option<&Object<Self>>) -> bool {
        let count = |set: &Self| set.entries().keys().len();
        other.is_some_and(|other| count(self) == count(other) && self.is_within(other))
    }

    fn add(&self, objects: impl IntoIterator<Item = Retained>) {
        self.0.change(|all| objects.into_iter().for_each(|object| all.insert_once(object)));
    }

    fn keep_if(&self, is_kept: impl Fn(Id) -> bool) {
        let kept = Self::new(self.entries().keys().iter().filter(|own| is_kept(own.id())).cloned());
        self.replace((*kept.entries()).clone());
    }

    fn replace(&self, objects: Entries) {
        let _old = self.0.change(|all| std::mem::replace(all, objects));
    }

    fn each(&self, block: BlockRef) {
        let Some(invoke) = block.invoke() else { return };
        // SAFETY: the block was passed as one that takes these arguments.
        let invoke = unsafe {
            std::mem::transmute::<Imp, unsafe extern "C" fn(BlockRef, Id, *mut Bool)>(invoke)
        };
        let (mut stop, entries) = (Bool::new(false), self.entries());
        for object in entries.keys() {
            // SAFETY: as above.
            unsafe { invoke(block, object.id(), &raw mut stop) };
            if stop.get() {
                break;
            }
        }
    }
}
