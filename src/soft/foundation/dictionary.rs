//! NSDictionary: values by key.

use super::array::{List, are_equal, by_block, by_selector, copied, give, merged, text_of};
use super::enumeration::{StatePtr, enumerate};
use super::enumerator::Sequence;
use super::mutable_dictionary::NSMutableDictionary;
use super::shared::Shared;
use super::string::slice;
use super::{NSObject, Text};
use crate::abi::{Bool, Id, Imp, Sel};
use crate::soft::runtime::block::BlockRef;
use crate::soft::runtime::declare::{Ours, This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Retained, SoftClass, Strong, class_of};
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::send;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The keys and values of a dictionary.
#[derive(Default)]
pub(crate) struct Pairs(pub(super) Shared<Entries>);

/// Keys and values, in the order of insertion until one is removed.
#[derive(Clone, Default)]
pub(super) struct Entries {
    keys: Vec<Retained>,
    values: Vec<Retained>,
    indices: HashMap<Key, usize>,
}

/// A key, hashed and compared by the messages `hash` and `isEqual:`.
#[derive(Clone)]
struct Key(Retained);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // SAFETY: every object responds to `hash`.
        unsafe { send::<usize>(self.0.id(), known::hash()) }.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        are_equal(self.0.id(), other.0.id())
    }
}

impl Eq for Key {}

soft_class! {
    /// An immutable dictionary.
    pub(crate) class NSDictionary(Pairs): NSObject,
        conforms [NSCopying, NSMutableCopying, NSFastEnumeration], lacks super::absent::DICTIONARY,
        kept as Pairs::unchanging;
    make [dictionary] = Pairs::default;
    init [init] = Pairs::default;
    make [dictionaryWithObject:forKey:] =
        |value: Id, key: Id| Pairs::from_ids(&raw const value, &raw const key, 1);
    make [dictionaryWithObjects:forKeys:count:] = Pairs::from_ids;
    init [initWithObjects:forKeys:count:] = Pairs::from_ids;
    make [dictionaryWithObjects:forKeys:] = from_lists;
    init [initWithObjects:forKeys:] = from_lists;
    make [dictionaryWithDictionary:] = Pairs::of_pairs;
    init [initWithDictionary:] = Pairs::of_pairs;
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);
    [mutableCopy] = Pairs::changeable;
    [mutableCopyWithZone:] = |pairs: &Pairs, _: Zone| pairs.changeable();

    [count] = Pairs::count;
    [objectForKey:] = Pairs::get;
    [objectForKeyedSubscript:] = Pairs::get;
    [valueForKey:] = Pairs::get;
    [allKeysForObject:] = |pairs: &Pairs, value: Id| {
        let entries = pairs.entries();
        let keys = entries.all().filter(|(_, own)| are_equal(own.id(), value)).map(|(key, _)| key.clone());
        List::object(keys.collect::<Vec<_>>())
    };
    [objectsForKeys:notFoundMarker:] = |pairs: &Pairs, keys: &Object<List>, missing: Option<Retained>| {
        List::object(keys.objects().iter().filter_map(|key| pairs.get(key.id()).or(missing.clone())))
    };
    [keysSortedByValueUsingSelector:] = |pairs: &Pairs, selector: Sel| pairs.sorted(by_selector(selector));
    [keysSortedByValueUsingComparator:] = |pairs: &Pairs, block: BlockRef| pairs.sorted(by_block(block));
    [allKeys] = |pairs: &Pairs| List::object(pairs.entries().keys.iter().cloned());
    [allValues] = |pairs: &Pairs| List::object(pairs.entries().values.iter().cloned());
    [countByEnumeratingWithState:objects:count:] = |pairs: &Pairs, state: StatePtr, _: *mut Id, _: usize| {
        enumerate(&pairs.entries().keys, pairs.0.changes(), state)
    };
    [getObjects:andKeys:] = |pairs: &Pairs, values: *mut Id, keys: *mut Id| {
        pairs.give(values, keys, usize::MAX)
    };
    [getObjects:andKeys:count:] = Pairs::give;
    [enumerateKeysAndObjectsUsingBlock:] = Pairs::each;
    [keyEnumerator] = |pairs: &Pairs| Sequence::object(pairs.entries().keys.iter().cloned());
    [objectEnumerator] = |pairs: &Pairs| Sequence::object(pairs.entries().values.iter().cloned());
    [isEqual:] = |pairs: &Pairs, other: Ours<Pairs>| pairs.is_equal(other.0);
    [isEqualToDictionary:] = Pairs::is_equal;
    [hash] = Pairs::count;
    [description] = Pairs::describe;
}

impl Entries {
    /// A later value of a key replaces an earlier one, which is returned.
    pub(super) fn insert(&mut self, key: Retained, value: Retained) -> Option<Retained> {
        match self.indices.get(&Key(key.clone())) {
            Some(index) => Some(std::mem::replace(&mut self.values[*index], value)),
            None => {
                self.indices.insert(Key(key.clone()), self.keys.len());
                self.keys.push(key);
                self.values.push(value);
                None
            }
        }
    }

    /// Adds an object as key and value, unless an equal one is there.
    pub(super) fn insert_once(&mut self, object: Retained) {
        if !self.indices.contains_key(&Key(object.clone())) {
            self.insert(object.clone(), object);
        }
    }

    pub(super) fn keys(&self) -> &[Retained] {
        &self.keys
    }

    /// The value of a key.
    pub(super) fn get(&self, key: Id) -> Option<Retained> {
        // SAFETY: the caller passed nil or an object.
        let key = Key(unsafe { Retained::retain(key) }?);
        self.indices.get(&key).map(|index| self.values[*index].clone())
    }

    /// Removes a key with its value, in whose place the last ones come.
    pub(super) fn remove(&mut self, key: &Retained) -> Option<(Retained, Retained)> {
        let index = self.indices.remove(&Key(key.clone()))?;
        let removed = (self.keys.swap_remove(index), self.values.swap_remove(index));
        if let Some(moved) = self.keys.get(index) {
            self.indices.insert(Key(moved.clone()), index);
        }
        Some(removed)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Retained, &Retained)> {
        self.keys.iter().zip(&self.values)
    }
}

impl Pairs {
    /// The keys and values as they are now.
    pub(super) fn entries(&self) -> Arc<Entries> {
        self.0.get()
    }

    fn of_pairs(other: Option<&Object<Self>>) -> Self {
        Self(Shared::new(other.map_or_else(Entries::default, |other| (*other.entries()).clone())))
    }

    /// An NSMutableDictionary without values.
    pub(super) fn empty_and_mutable() -> Strong<Self> {
        Self::default().changeable()
    }

    /// An NSMutableDictionary of the same keys and values.
    fn changeable(&self) -> Strong<Self> {
        Strong::of_class(&NSMutableDictionary, self.snapshot())
    }

    /// The same keys and values, whatever becomes of these.
    pub(super) fn snapshot(&self) -> Self {
        Self(Shared::new((*self.entries()).clone()))
    }

    /// The dictionary that a method keeps for one that was passed: itself, or of a mutable one a copy.
    fn unchanging(this: &Object<Self>) -> Strong<Self> {
        // SAFETY: a reference to an object keeps it alive.
        match std::ptr::eq(unsafe { class_of(this.id()) }, Self::class()) {
            true => this.retain(),
            false => Strong::new(this.snapshot()),
        }
    }

    /// Stores the first values and keys at two addresses, each of which may be null.
    fn give(&self, values: *mut Id, keys: *mut Id, count: usize) {
        let entries = self.entries();
        let count = count.min(entries.keys.len());
        give(&entries.values[..count], values);
        give(&entries.keys[..count], keys);
    }

    /// An NSDictionary of keys and values.
    pub(crate) fn object(pairs: impl IntoIterator<Item = (Retained, Retained)>) -> Strong<Self> {
        let mut all = Entries::default();
        pairs.into_iter().for_each(|(key, value)| _ = all.insert(key, value));
        Strong::new(Self(Shared::new(all)))
    }

    /// None when an address or an object is missing, or a key cannot be copied. Keys are copied, so that
    /// they cannot change.
    fn from_ids(values: *const Id, keys: *const Id, count: usize) -> Option<Self> {
        // SAFETY: the caller passed that many of each.
        let (values, keys) = unsafe { (slice(values, count)?, slice(keys, count)?) };
        let mut all = Entries::default();
        for (key, value) in keys.iter().zip(values) {
            // SAFETY: as above.
            unsafe { all.insert(copied(*key)?, Retained::retain(*value)?) };
        }
        Some(Self(Shared::new(all)))
    }

    /// The keys in the order of their values.
    fn sorted(&self, compare: impl Fn(Id, Id) -> isize) -> Strong<List> {
        let entries = self.entries();
        let by_value = |a: &(&Retained, &Retained), b: &(&Retained, &Retained)| {
            compare(a.1.id(), b.1.id()).cmp(&0)
        };
        let pairs = merged(entries.all().collect(), &by_value);
        List::object(pairs.into_iter().map(|(key, _)| key.clone()))
    }

    fn count(&self) -> usize {
        self.entries().keys.len()
    }

    /// Keys and their values, as texts.
    pub(crate) fn texts(&self) -> Vec<(String, String)> {
        self.entries().all().map(|(key, value)| (text_of(key), text_of(value))).collect()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: Id) -> Option<Retained> {
        self.entries().get(key)
    }

    fn each(&self, block: BlockRef) {
        let Some(invoke) = block.invoke() else { return };
        // SAFETY: the block was passed as one that takes these arguments.
        let invoke = unsafe {
            std::mem::transmute::<Imp, unsafe extern "C" fn(BlockRef, Id, Id, *mut Bool)>(invoke)
        };
        let (mut stop, entries) = (Bool::new(false), self.entries());
        for (key, value) in entries.all() {
            // SAFETY: as above.
            unsafe { invoke(block, key.id(), value.id(), &raw mut stop) };
            if stop.get() {
                break;
            }
        }
    }

    fn is_equal(&self, other: Option<&Object<Self>>) -> bool {
        other.is_some_and(|other| {
            let same = |(key, value): (&Retained, &Retained)| {
                other.get(key.id()).is_some_and(|other| are_equal(value.id(), other.id()))
            };
            self.count() == other.count() && self.entries().all().all(same)
        })
    }

    fn describe(&self) -> Strong<Text> {
        let line = |(key, value)| format!("    {} = {};\n", text_of(key), text_of(value));
        let lines: String = self.entries().all().map(line).collect();
        Text::object(format!("{{\n{lines}}}"))
    }
}

fn from_lists(values: &Object<List>, keys: &Object<List>) -> Option<Pairs> {
    let count = values.objects().len();
    let ids = |list: &[Retained]| list.iter().map(Retained::id).collect::<Vec<_>>();
    (count == keys.objects().len()).then(|| {
        Pairs::from_ids(ids(&values.objects()).as_ptr(), ids(&keys.objects()).as_ptr(), count)
    })?
}

fn itself(this: This<'_, Pairs>) -> Strong<Pairs> {
    this.retain()
}
