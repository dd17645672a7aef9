//! NSArray: a sequence of objects.

use super::enumeration::{StatePtr, enumerate};
use super::enumerator::Sequence;
use super::mutable_array::NSMutableArray;
use super::shared::Shared;
use super::string::slice;
use super::{NSObject, Text, absent};
use crate::abi::{Bool, Id, Imp, NSRange, Sel};
use crate::soft::runtime::block::BlockRef;
use crate::soft::runtime::declare::{Ours, This, Zone, soft_class};
use crate::soft::runtime::key_value;
use crate::soft::runtime::object::{Object, Retained, SoftClass, Strong, class_of};
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::{send, send_with};
use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::Arc;

/// The objects of an array.
#[derive(Default)]
pub(crate) struct List(pub(super) Shared<Vec<Retained>>);

soft_class! {
    /// An immutable array.
    pub(crate) class NSArray(List): NSObject, conforms [NSCopying, NSMutableCopying, NSFastEnumeration],
        lacks absent::ARRAY, kept as List::unchanging;
    make [array] = List::default;
    init [init] = List::default;
    make [arrayWithObject:] = |object: Id| List::from_ids(&raw const object, 1);
    make [arrayWithObjects:count:] = List::from_ids;
    init [initWithObjects:count:] = List::from_ids;
    make [arrayWithArray:] = List::from_list;
    init [initWithArray:] = List::from_list;
    init [initWithArray:copyItems:] = List::from_copies;
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);
    [mutableCopy] = List::changeable;
    [mutableCopyWithZone:] = |list: &List, _: Zone| list.changeable();

    [count] = List::count;
    [objectAtIndex:] = object_at;
    [objectAtIndexedSubscript:] = object_at;
    [firstObject] = List::first;
    [lastObject] = List::last;
    [containsObject:] = |list: &List, object: Id| list.position(object, are_equal).is_some();
    [indexOfObject:] = |list: &List, object: Id| index(list.position(object, are_equal));
    [indexOfObjectIdenticalTo:] = |list: &List, object: Id| index(list.position(object, |a, b| a == b));
    [indexOfObject:inRange:] = |list: This<'_, List>, object: Id, range: NSRange| {
        let part = part(&list, range);
        index(part.iter().position(|own| are_equal(own.id(), object)).map(|nth| nth + range.location))
    };
    [firstObjectCommonWithArray:] = |list: &List, other: &Object<List>| {
        list.objects().iter().find(|own| other.position(own.id(), are_equal).is_some()).cloned()
    };
    [countByEnumeratingWithState:objects:count:] = |list: &List, state: StatePtr, _: *mut Id, _: usize| {
        enumerate(&list.objects(), list.0.changes(), state)
    };
    [getObjects:] = |list: &List, to: *mut Id| give(&list.objects(), to);
    [getObjects:range:] = |list: This<'_, List>, to: *mut Id, range: NSRange| {
        give(&part(&list, range), to)
    };
    [subarrayWithRange:] = |list: This<'_, List>, range: NSRange| List::object(part(&list, range));
    [arrayByAddingObject:] = |list: &List, object: Option<Retained>| {
        List::object(list.objects().iter().cloned().chain(object))
    };
    [arrayByAddingObjectsFromArray:] = |list: &List, other: &Object<List>| {
        List::object(list.objects().iter().chain(other.objects().iter()).cloned())
    };
    [componentsJoinedByString:] = |list: &List, between: &Object<Text>| {
        let texts: Vec<String> = list.objects().iter().map(text_of).collect();
        Text::object(texts.join(&between.to_str()))
    };
    [enumerateObjectsUsingBlock:] = |list: &List, block: BlockRef| list.each(0, block);
    [enumerateObjectsWithOptions:usingBlock:] = List::each;
    [makeObjectsPerformSelector:] = |list: &List, selector: Sel| {
        // SAFETY: the message passed a selector that the objects respond to, without arguments.
        list.objects().iter().for_each(|object| unsafe { send(object.id(), selector) });
    };
    [makeObjectsPerformSelector:withObject:] = |list: &List, selector: Sel, with: Id| {
        // SAFETY: the same, with one argument, an object.
        list.objects().iter().for_each(|object| unsafe { send_with(object.id(), selector, with) });
    };
    [sortedArrayUsingSelector:] = |list: &List, selector: Sel| List::object(list.sorted(by_selector(selector)));
    [sortedArrayUsingComparator:] = |list: &List, block: BlockRef| List::object(list.sorted(by_block(block)));
    raw [valueForKey:] = key_value::VALUE_OF_EACH;
    raw [setValue:forKey:] = key_value::SET_VALUE_OF_EACH;
    [objectEnumerator] = |list: &List| Sequence::object(list.objects().iter().cloned());
    [reverseObjectEnumerator] = |list: &List| Sequence::object(list.objects().iter().rev().cloned());
    [isEqual:] = |list: &List, other: Ours<List>| list.is_equal(other.0);
    [isEqualToArray:] = List::is_equal;
    [hash] = List::count;
    [description] = List::describe;
}

impl List {
    fn new(objects: Vec<Retained>) -> Self {
        Self(Shared::new(objects))
    }

    /// An NSArray of these objects.
    pub(crate) fn object(objects: impl IntoIterator<Item = Retained>) -> Strong<Self> {
        Strong::new(Self::new(objects.into_iter().collect()))
    }

    /// An NSMutableArray of the same objects.
    fn changeable(&self) -> Strong<Self> {
        Strong::of_class(&NSMutableArray, Self::new(self.objects().to_vec()))
    }

    /// The array that a method keeps for one that was passed: itself, or of a mutable one a copy.
    fn unchanging(this: &Object<Self>) -> Strong<Self> {
        match Self::of(this.id()) {
            Some(this) => this.retain(),
            None => Self::object(this.objects().iter().cloned()),
        }
    }

    /// The array of this class itself that an object is. A subclass may compare in its own way.
    fn of<'a>(object: Id) -> Option<&'a Object<Self>> {
        // SAFETY: the caller passed nil or an object, which lives during the comparison.
        unsafe {
            let exact = !object.is_nil() && std::ptr::eq(class_of(object), Self::class());
            exact.then(|| Object::from_id(object))?
        }
    }

    /// The objects.
    pub(crate) fn objects(&self) -> Arc<Vec<Retained>> {
        self.0.get()
    }

    /// None when an address or an object is missing.
    fn from_ids(objects: *const Id, count: usize) -> Option<Self> {
        // SAFETY: the caller passed that many objects.
        let objects = unsafe { slice(objects, count) }?;
        // SAFETY: as above.
        objects
            .iter()
            .map(|object| unsafe { Retained::retain(*object) })
            .collect::<Option<_>>()
            .map(Self::new)
    }

    fn from_list(other: Option<&Object<Self>>) -> Self {
        Self::new(other.map_or_else(Vec::new, |other| other.objects().to_vec()))
    }

    /// None when an object cannot be copied.
    fn from_copies(other: Option<&Object<Self>>, copies: bool) -> Option<Self> {
        let list = Self::from_list(other);
        if !copies {
            return Some(list);
        }
        // SAFETY: an array retains its objects.
        let copy = |object: &Retained| unsafe { copied(object.id()) };
        list.objects().iter().map(copy).collect::<Option<_>>().map(Self::new)
    }

    fn count(&self) -> usize {
        self.objects().len()
    }

    fn first(&self) -> Option<Retained> {
        self.objects().first().cloned()
    }

    fn last(&self) -> Option<Retained> {
        self.objects().last().cloned()
    }

    pub(super) fn position(&self, object: Id, equal: impl Fn(Id, Id) -> bool) -> Option<usize> {
        self.objects().iter().position(|own| equal(own.id(), object))
    }

    /// Calls a block with each object, one after the other, the last one first if the options say so.
    fn each(&self, options: usize, block: BlockRef) {
        const REVERSE: usize = 2;
        let Some(invoke) = block.invoke() else { return };
        // SAFETY: the block was passed as one that takes these arguments.
        let invoke = unsafe {
            std::mem::transmute::<Imp, unsafe extern "C" fn(BlockRef, Id, usize, *mut Bool)>(invoke)
        };
        let (mut stop, objects) = (Bool::new(false), self.objects());
        for nth in 0..objects.len() {
            let index = if options & REVERSE == 0 { nth } else { objects.len() - 1 - nth };
            // SAFETY: as above.
            unsafe { invoke(block, objects[index].id(), index, &raw mut stop) };
            if stop.get() {
                break;
            }
        }
    }

    /// The objects in the order of a comparison.
    pub(super) fn sorted(&self, compare: impl Fn(Id, Id) -> isize) -> Vec<Retained> {
        merged(self.objects().to_vec(), &|a, b| compare(a.id(), b.id()).cmp(&0))
    }

    fn is_equal(&self, other: Option<&Object<Self>>) -> bool {
        other.is_some_and(|other| {
            let (own, other) = (self.objects(), other.objects());
            own.len() == other.len()
                && own.iter().zip(&*other).all(|(a, b)| are_equal(a.id(), b.id()))
        })
    }

    fn describe(&self) -> Strong<Text> {
        let lines: String =
            self.objects().iter().map(|object| format!("    {},\n", text_of(object))).collect();
        Text::object(format!("(\n{lines})"))
    }
}

fn itself(this: This<'_, List>) -> Strong<List> {
    this.retain()
}

fn object_at(this: This<'_, List>, index: usize) -> Retained {
    let objects = this.objects();
    objects.get(index).cloned().unwrap_or_else(|| beyond(&this, index, objects.len()))
}

/// Ends the program because of an index that an array does not have.
pub(super) fn beyond(this: &This<'_, List>, index: usize, length: usize) -> ! {
    this.fault(format_args!("index {index} beyond bounds of an array of {length}"))
}

/// The objects of a range.
pub(super) fn part(this: &This<'_, List>, range: NSRange) -> Vec<Retained> {
    let objects = this.objects();
    let end = range.location.checked_add(range.length);
    let part = end.and_then(|end| objects.get(range.location..end)).map(<[_]>::to_vec);
    part.unwrap_or_else(|| {
        let (NSRange { location, length }, all) = (range, objects.len());
        this.fault(format_args!(
            "range {{{location}, {length}}} beyond bounds of an array of {all}"
        ))
    })
}

/// A comparison by a message.
pub(super) fn by_selector(selector: Sel) -> impl Fn(Id, Id) -> isize {
    // SAFETY: the message passed a selector that the objects respond to with an order.
    move |a, b| unsafe { send_with(a, selector, b) }
}

/// A comparison by a block.
pub(super) fn by_block(block: BlockRef) -> impl Fn(Id, Id) -> isize {
    let invoke = block.invoke();
    move |a, b| {
        // SAFETY: the block was passed as one that compares two objects.
        invoke.map_or(0, |invoke| unsafe {
            let call =
                std::mem::transmute::<Imp, unsafe extern "C" fn(BlockRef, Id, Id) -> isize>(invoke);
            call(block, a, b)
        })
    }
}

/// Sorts by merging: a comparison that contradicts itself makes some order, whereas the standard library's
/// sort may panic.
pub(super) fn merged<T>(mut all: Vec<T>, compare: &impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    if all.len() < 2 {
        return all;
    }
    let right = merged(all.split_off(all.len() / 2), compare);
    let left = merged(all, compare);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    let next = std::iter::from_fn(|| match (left.peek(), right.peek()) {
        (Some(a), Some(b)) if compare(a, b) == Ordering::Greater => right.next(),
        (Some(_), _) => left.next(),
        _ => right.next(),
    });
    next.collect()
}

/// A copy of an object; none if it cannot be copied.
///
/// # Safety
///
/// It is an object.
pub(super) unsafe fn copied(object: Id) -> Option<Retained> {
    let (responds, copy) = (known::responds_to_selector(), known::copy_with_zone());
    // SAFETY: every object responds to `respondsToSelector:`, and `copyWithZone:` with an object that is owned here.
    unsafe {
        let can = send_with::<_, Bool>(object, responds, copy).get();
        can.then(|| Retained::from_owned(send(object, known::copy())))?
    }
}

/// Stores the objects at an address, without a reference.
pub(super) fn give(objects: &[Retained], to: *mut Id) {
    if !to.is_null() {
        for (index, object) in objects.iter().enumerate() {
            // SAFETY: the caller passed room for as many.
            unsafe { to.add(index).write(object.id()) };
        }
    }
}

/// `NSNotFound` when the object is not there.
fn index(found: Option<usize>) -> usize {
    found.unwrap_or(isize::MAX as usize)
}

/// Whether an object equals another by `isEqual:`. Arrays in arrays are compared without recursion, so
/// that nesting of any depth fits on the stack.
pub(super) fn are_equal(object: Id, other: Id) -> bool {
    let (mut first, mut pairs) = (Some((object, other)), Vec::new());
    while let Some((object, other)) = first.take().or_else(|| pairs.pop()) {
        if object == other {
            continue;
        }
        // Immutable arrays keep their objects while they are compared.
        match List::of(object).zip(List::of(other)).map(|(a, b)| (a.objects(), b.objects())) {
            Some((a, b)) if a.len() == b.len() => {
                pairs.extend(a.iter().zip(&*b).map(|(a, b)| (a.id(), b.id())));
            }
            Some(_) => return false,
            // SAFETY: both are objects, and every object responds to `isEqual:`.
            None => match unsafe { send_with::<_, Bool>(object, known::is_equal(), other) }.get() {
                true => {}
                false => return false,
            },
        }
    }
    true
}

/// How deep collections are described within collections, so that nesting of any depth fits on the stack.
const DESCRIBED: usize = 64;

/// An object's description; an ellipsis for what lies too deep in other collections.
pub(super) fn text_of(object: &Retained) -> String {
    thread_local!(static DEPTH: Cell<usize> = const { Cell::new(0) });
    let depth = DEPTH.get();
    if depth == DESCRIBED {
        return "…".into();
    }
    DEPTH.set(depth + 1);
    // SAFETY: every object responds to `description` with a string.
    let text = unsafe {
        let text: Id = send(object.id(), known::description());
        Object::<Text>::from_id(text)
    };
    let text = text.map_or_else(String::new, |text| text.to_str().into_owned());
    DEPTH.set(depth);
    text
}
