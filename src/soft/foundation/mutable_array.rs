//! NSMutableArray: a sequence of objects that changes.

use super::array::{List, NSArray, are_equal, beyond, by_block, by_selector, part};
use crate::abi::{Class, Id, NSRange, Sel};
use crate::soft::runtime::block::BlockRef;
use crate::soft::runtime::declare::{This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Retained, Strong};
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::send;

soft_class! {
    /// A mutable array.
    pub(super) class NSMutableArray: NSArray, lacks super::absent::MUTABLE_ARRAY;
    class [arrayWithCapacity:] = |class: Class, _: usize| {
        // SAFETY: a class responds to `alloc`, and what that makes to `init`; the result is owned here.
        unsafe { Retained::from_owned(send(send(class.as_id(), known::alloc()), known::init())) }
    };
    // SAFETY: an object that has been allocated responds to `init`, which takes it over.
    [initWithCapacity:] = |this: Id, _: usize| unsafe { send::<Id>(this, known::init()) };
    [copy] = snapshot;
    [copyWithZone:] = |list: &List, _: Zone| snapshot(list);

    [addObject:] = |list: This<'_, List>, object: Option<Retained>| {
        let object = some(&list, object);
        list.0.change(|all| all.push(object));
    };
    [addObjectsFromArray:] = |list: &List, other: &Object<List>| {
        let more = other.objects();
        list.0.change(|all| all.extend(more.iter().cloned()));
    };
    [insertObject:atIndex:] = |list: This<'_, List>, object: Option<Retained>, index: usize| {
        let object = some(&list, object);
        list.0.change(|all| {
            if index > all.len() {
                beyond(&list, index, all.len());
            }
            all.insert(index, object);
        });
    };
    [removeObjectAtIndex:] = |list: This<'_, List>, index: usize| {
        // An object may use the array when it is released, which is after the change.
        let _old = list.0.change(|all| match index < all.len() {
            true => all.remove(index),
            false => beyond(&list, index, all.len()),
        });
    };
    [removeLastObject] = |list: &List| _ = list.0.change(Vec::pop);
    [removeAllObjects] = |list: &List| _ = list.0.change(std::mem::take);
    [removeObject:] = |list: &List, object: Id| remove(list, &|own| are_equal(own, object));
    [removeObjectIdenticalTo:] = |list: &List, object: Id| remove(list, &|own| own == object);
    [removeObjectsInArray:] = |list: &List, others: &Object<List>| {
        remove(list, &|own| others.position(own, are_equal).is_some())
    };
    [removeObjectsInRange:] = |list: This<'_, List>, range: NSRange| replace(&list, range, &[]);
    [replaceObjectAtIndex:withObject:] = set_object;
    [setObject:atIndexedSubscript:] = |list: This<'_, List>, object: Option<Retained>, index: usize| {
        set_object(list, index, object);
    };
    [replaceObjectsInRange:withObjectsFromArray:] =
        |list: This<'_, List>, range: NSRange, other: &Object<List>| {
            replace(&list, range, &other.objects())
        };
    [exchangeObjectAtIndex:withObjectAtIndex:] = |list: This<'_, List>, one: usize, other: usize| {
        list.0.change(|all| match one.max(other) < all.len() {
            true => all.swap(one, other),
            false => beyond(&list, one.max(other), all.len()),
        });
    };
    [setArray:] = |list: &List, other: &Object<List>| set(list, other.objects().to_vec());
    [sortUsingSelector:] = |list: &List, selector: Sel| set(list, list.sorted(by_selector(selector)));
    [sortUsingComparator:] = |list: &List, block: BlockRef| set(list, list.sorted(by_block(block)));
}

fn snapshot(list: &List) -> Strong<List> {
    List::object(list.objects().iter().cloned())
}

/// An object. nil ends the program.
fn some(this: &This<'_, List>, object: Option<Retained>) -> Retained {
    object.unwrap_or_else(|| this.fault(format_args!("nil was passed where an object is needed")))
}

/// Replaces all objects.
fn set(list: &List, objects: Vec<Retained>) {
    let _old = list.0.change(|all| std::mem::replace(all, objects));
}

fn remove(list: &List, is_removed: &dyn Fn(Id) -> bool) {
    set(list, list.objects().iter().filter(|own| !is_removed(own.id())).cloned().collect());
}

/// Replaces the objects of a range.
fn replace(this: &This<'_, List>, range: NSRange, by: &[Retained]) {
    let _old = part(this, range);
    this.0.change(|all| {
        let end = range.location + range.length;
        _ = all.splice(range.location..end, by.iter().cloned());
    });
}

/// Replaces the object of an index, or adds one after the last.
fn set_object(list: This<'_, List>, index: usize, object: Option<Retained>) {
    let object = some(&list, object);
    let _old = list.0.change(|all| {
        let length = all.len();
        match all.get_mut(index) {
            Some(old) => Some(std::mem::replace(old, object)),
            None if index == length => {
                all.push(object);
                None
            }
            None => beyond(&list, index, length),
        }
    });
}
