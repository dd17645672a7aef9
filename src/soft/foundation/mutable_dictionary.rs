//! NSMutableDictionary: values by key, which change.

use super::List;
use super::array::copied;
use super::dictionary::{NSDictionary, Pairs};
use crate::abi::{Class, Id};
use crate::soft::runtime::declare::{This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Retained, Strong};
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::send;

soft_class! {
    /// A mutable dictionary.
    pub(super) class NSMutableDictionary: NSDictionary, lacks super::absent::MUTABLE_DICTIONARY;
    class [dictionaryWithCapacity:] = |class: Class, _: usize| {
        // SAFETY: a class responds to `alloc`, and what that makes to `init`; the result is owned here.
        unsafe { Retained::from_owned(send(send(class.as_id(), known::alloc()), known::init())) }
    };
    // SAFETY: an object that has been allocated responds to `init`, which takes it over.
    [initWithCapacity:] = |this: Id, _: usize| unsafe { send::<Id>(this, known::init()) };
    [copy] = |pairs: &Pairs| Strong::new(pairs.snapshot());
    [copyWithZone:] = |pairs: &Pairs, _: Zone| Strong::new(pairs.snapshot());

    [setObject:forKey:] = |pairs: This<'_, Pairs>, value: Option<Retained>, key: Option<Retained>| {
        match value {
            Some(value) => insert(&pairs, value, key),
            None => pairs.fault(format_args!("nil was passed for the value")),
        }
    };
    [setObject:forKeyedSubscript:] =
        |pairs: This<'_, Pairs>, value: Option<Retained>, key: Option<Retained>| match value {
            Some(value) => insert(&pairs, value, key),
            None => remove(&pairs, key),
        };
    [setValue:forKey:] =
        |pairs: This<'_, Pairs>, value: Option<Retained>, key: Option<Retained>| match value {
            Some(value) => insert(&pairs, value, key),
            None => remove(&pairs, key),
        };
    [removeObjectForKey:] = |pairs: &Pairs, key: Option<Retained>| remove(pairs, key);
    [removeObjectsForKeys:] = |pairs: &Pairs, keys: &Object<List>| {
        keys.objects().iter().for_each(|key| remove(pairs, Some(key.clone())));
    };
    [removeAllObjects] = |pairs: &Pairs| _ = pairs.0.change(std::mem::take);
    [addEntriesFromDictionary:] = |pairs: &Pairs, other: &Object<Pairs>| {
        let more = other.entries();
        let _old: Vec<_> = pairs.0.change(|all| {
            more.all().map(|(key, value)| all.insert(key.clone(), value.clone())).collect()
        });
    };
    [setDictionary:] = |pairs: &Pairs, other: &Object<Pairs>| {
        let new = (*other.entries()).clone();
        let _old = pairs.0.change(|all| std::mem::replace(all, new));
    };
}

/// Keys are copied, so that they cannot change.
fn insert(pairs: &This<'_, Pairs>, value: Retained, key: Option<Retained>) {
    // SAFETY: the key is owned here.
    let key = key.and_then(|key| unsafe { copied(key.id()) });
    let key =
        key.unwrap_or_else(|| pairs.fault(format_args!("the key is nil, or has no copyWithZone:")));
    // An object may use the dictionary when it is released, which is after the change.
    let _old = pairs.0.change(|all| all.insert(key, value));
}

fn remove(pairs: &Pairs, key: Option<Retained>) {
    let Some(key) = key else { return };
    let _old = pairs.0.change(|all| all.remove(&key));
}
