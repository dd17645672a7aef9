//! NSDictionary: values by key.

use super::array::{List, are_equal, give, text_of};
use super::enumeration::{StatePtr, enumerate};
use super::enumerator::Sequence;
use super::string::slice;
use super::{NSObject, Text};
use crate::abi::{Bool, Id, Imp};
use crate::soft::runtime::block::BlockRef;
use crate::soft::runtime::declare::{Ours, This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Retained, Strong};
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::{send, send_with};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// Keys and values, in the order of insertion.
#[derive(Default)]
pub(crate) struct Pairs {
    keys: Vec<Retained>,
    values: Vec<Retained>,
    indices: HashMap<Key, usize>,
}

/// A key, hashed and compared by the messages `hash` and `isEqual:`.
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
        conforms [NSCopying, NSFastEnumeration, NSSecureCoding];
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

    [count] = Pairs::count;
    [objectForKey:] = Pairs::get;
    [objectForKeyedSubscript:] = Pairs::get;
    [allKeys] = |pairs: &Pairs| List::object(pairs.keys.iter().cloned());
    [allValues] = |pairs: &Pairs| List::object(pairs.values.iter().cloned());
    [countByEnumeratingWithState:objects:count:] =
        |pairs: &Pairs, state: StatePtr, _: *mut Id, _: usize| enumerate(&pairs.keys, state);
    [getObjects:andKeys:] = |pairs: &Pairs, values: *mut Id, keys: *mut Id| {
        pairs.give(values, keys, pairs.keys.len())
    };
    [getObjects:andKeys:count:] = Pairs::give;
    [enumerateKeysAndObjectsUsingBlock:] = Pairs::each;
    [keyEnumerator] = |pairs: &Pairs| Sequence::object(pairs.keys.iter().cloned());
    [objectEnumerator] = |pairs: &Pairs| Sequence::object(pairs.values.iter().cloned());
    [isEqual:] = |pairs: &Pairs, other: Ours<Pairs>| pairs.is_equal(other.0);
    [isEqualToDictionary:] = Pairs::is_equal;
    [hash] = Pairs::count;
    [description] = Pairs::describe;
}

impl Pairs {
    fn of_pairs(other: Option<&Object<Self>>) -> Self {
        let mut all = Self::default();
        for (key, value) in other.iter().flat_map(|other| other.keys.iter().zip(&other.values)) {
            all.insert(key.clone(), value.clone());
        }
        all
    }

    /// Stores the first values and keys at two addresses, each of which may be null.
    fn give(&self, values: *mut Id, keys: *mut Id, count: usize) {
        let count = count.min(self.keys.len());
        give(&self.values[..count], values);
        give(&self.keys[..count], keys);
    }

    /// An NSDictionary of keys and values.
    pub(crate) fn object(pairs: impl IntoIterator<Item = (Retained, Retained)>) -> Strong<Self> {
        let mut all = Self::default();
        pairs.into_iter().for_each(|(key, value)| all.insert(key, value));
        Strong::new(all)
    }

    /// A later value of a key replaces an earlier one.
    fn insert(&mut self, key: Retained, value: Retained) {
        match self.indices.get(&Key(key.clone())) {
            Some(index) => self.values[*index] = value,
            None => {
                self.indices.insert(Key(key.clone()), self.keys.len());
                self.keys.push(key);
                self.values.push(value);
            }
        }
    }

    /// None when an address or an object is missing, or a key cannot be copied. Keys are copied, so that
    /// they cannot change.
    fn from_ids(values: *const Id, keys: *const Id, count: usize) -> Option<Self> {
        // SAFETY: the caller passed that many of each.
        let (values, keys) = unsafe { (slice(values, count)?, slice(keys, count)?) };
        let mut all = Self::default();
        for (key, value) in keys.iter().zip(values) {
            // SAFETY: as above; every object responds to `respondsToSelector:`, and `copyWithZone:` with an
            // object that is owned here.
            unsafe {
                let (responds, copy) = (known::responds_to_selector(), known::copy_with_zone());
                if !send_with::<_, Bool>(*key, responds, copy).get() {
                    return None;
                }
                let key = send(*key, known::copy());
                all.insert(Retained::from_owned(key)?, Retained::retain(*value)?);
            }
        }
        Some(all)
    }

    fn count(&self) -> usize {
        self.keys.len()
    }

    /// Keys and their values, as texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (String, String)> {
        self.keys.iter().zip(&self.values).map(|(key, value)| (text_of(key), text_of(value)))
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: Id) -> Option<Retained> {
        // SAFETY: the caller passed nil or an object.
        let key = Key(unsafe { Retained::retain(key) }?);
        self.indices.get(&key).map(|index| self.values[*index].clone())
    }

    fn each(&self, block: BlockRef) {
        let Some(invoke) = block.invoke() else { return };
        // SAFETY: the block was passed as one that takes these arguments.
        let invoke = unsafe {
            std::mem::transmute::<Imp, unsafe extern "C" fn(BlockRef, Id, Id, *mut Bool)>(invoke)
        };
        let mut stop = Bool::new(false);
        for (key, value) in self.keys.iter().zip(&self.values) {
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
            self.count() == other.count() && self.keys.iter().zip(&self.values).all(same)
        })
    }

    fn describe(&self) -> Strong<Text> {
        let line = |(key, value)| format!("    {} = {};\n", text_of(key), text_of(value));
        let lines: String = self.keys.iter().zip(&self.values).map(line).collect();
        Text::object(format!("{{\n{lines}}}"))
    }
}

fn from_lists(values: &Object<List>, keys: &Object<List>) -> Option<Pairs> {
    let count = values.objects().len();
    let ids = |list: &[Retained]| list.iter().map(Retained::id).collect::<Vec<_>>();
    (count == keys.objects().len()).then(|| {
        Pairs::from_ids(ids(values.objects()).as_ptr(), ids(keys.objects()).as_ptr(), count)
    })?
}

fn itself(this: This<'_, Pairs>) -> Strong<Pairs> {
    this.retain()
}
