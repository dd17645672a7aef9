//! NSArray: a sequence of objects.

use super::enumeration::{StatePtr, enumerate};
use super::enumerator::Sequence;
use super::string::slice;
use super::{NSObject, Text};
use crate::abi::{Bool, Id, Imp, NSRange};
use crate::soft::runtime::block::BlockRef;
use crate::soft::runtime::declare::{Ours, This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Retained, SoftClass, Strong, class_of};
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::{send, send_with};
use std::cell::Cell;

/// The objects of an array.
#[derive(Default)]
pub(crate) struct List(Box<[Retained]>);

soft_class! {
    /// An immutable array.
    pub(crate) class NSArray(List): NSObject, conforms [NSCopying, NSFastEnumeration, NSSecureCoding];
    make [array] = List::default;
    init [init] = List::default;
    make [arrayWithObject:] = |object: Id| List::from_ids(&raw const object, 1);
    make [arrayWithObjects:count:] = List::from_ids;
    init [initWithObjects:count:] = List::from_ids;
    make [arrayWithArray:] = List::from_list;
    init [initWithArray:] = List::from_list;
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);

    [count] = List::count;
    [objectAtIndex:] = object_at;
    [objectAtIndexedSubscript:] = object_at;
    [firstObject] = List::first;
    [lastObject] = List::last;
    [containsObject:] = |list: &List, object: Id| list.position(object).is_some();
    [indexOfObject:] = index_of;
    [countByEnumeratingWithState:objects:count:] =
        |list: &List, state: StatePtr, _: *mut Id, _: usize| enumerate(&list.0, state);
    [getObjects:] = |list: &List, to: *mut Id| give(&list.0, to);
    [getObjects:range:] = |list: This<'_, List>, to: *mut Id, range: NSRange| {
        give(part(&list, range), to)
    };
    [subarrayWithRange:] = |list: This<'_, List>, range: NSRange| {
        List::object(part(&list, range).iter().cloned())
    };
    [arrayByAddingObject:] = |list: &List, object: Option<Retained>| {
        List::object(list.0.iter().cloned().chain(object))
    };
    [arrayByAddingObjectsFromArray:] = |list: &List, other: &Object<List>| {
        List::object(list.0.iter().chain(&other.0).cloned())
    };
    [componentsJoinedByString:] = |list: &List, between: &Object<Text>| {
        let texts: Vec<String> = list.0.iter().map(text_of).collect();
        Text::object(texts.join(&between.to_str()))
    };
    [enumerateObjectsUsingBlock:] = List::each;
    [objectEnumerator] = |list: &List| Sequence::object(list.0.iter().cloned());
    [reverseObjectEnumerator] = |list: &List| Sequence::object(list.0.iter().rev().cloned());
    [isEqual:] = |list: &List, other: Ours<List>| list.is_equal(other.0);
    [isEqualToArray:] = List::is_equal;
    [hash] = List::count;
    [description] = List::describe;
}

impl List {
    /// An NSArray of these objects.
    pub(crate) fn object(objects: impl IntoIterator<Item = Retained>) -> Strong<Self> {
        Strong::new(Self(objects.into_iter().collect()))
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
    pub(crate) fn objects(&self) -> &[Retained] {
        &self.0
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
            .map(Self)
    }

    fn from_list(other: Option<&Object<Self>>) -> Self {
        Self(other.map_or_else(Box::default, |other| other.0.clone()))
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    fn first(&self) -> Option<Retained> {
        self.0.first().cloned()
    }

    fn last(&self) -> Option<Retained> {
        self.0.last().cloned()
    }

    fn position(&self, object: Id) -> Option<usize> {
        self.0.iter().position(|own| are_equal(own.id(), object))
    }

    fn each(&self, block: BlockRef) {
        let Some(invoke) = block.invoke() else { return };
        // SAFETY: the block was passed as one that takes these arguments.
        let invoke = unsafe {
            std::mem::transmute::<Imp, unsafe extern "C" fn(BlockRef, Id, usize, *mut Bool)>(invoke)
        };
        let mut stop = Bool::new(false);
        for (index, object) in self.0.iter().enumerate() {
            // SAFETY: as above.
            unsafe { invoke(block, object.id(), index, &raw mut stop) };
            if stop.get() {
                break;
            }
        }
    }

    fn is_equal(&self, other: Option<&Object<Self>>) -> bool {
        other.is_some_and(|other| {
            self.0.len() == other.0.len()
                && self.0.iter().zip(&other.0).all(|(a, b)| are_equal(a.id(), b.id()))
        })
    }

    fn describe(&self) -> Strong<Text> {
        let lines: String =
            self.0.iter().map(|object| format!("    {},\n", text_of(object))).collect();
        Text::object(format!("(\n{lines})"))
    }
}

fn itself(this: This<'_, List>) -> Strong<List> {
    this.retain()
}

fn object_at(this: This<'_, List>, index: usize) -> Retained {
    this.0.get(index).cloned().unwrap_or_else(|| {
        this.fault(format_args!("index {index} beyond bounds of an array of {}", this.0.len()))
    })
}

/// The objects of a range.
fn part<'a>(this: &'a This<'_, List>, range: NSRange) -> &'a [Retained] {
    let end = range.location.checked_add(range.length);
    end.and_then(|end| this.0.get(range.location..end)).unwrap_or_else(|| {
        let NSRange { location, length } = range;
        this.fault(format_args!(
            "range {{{location}, {length}}} beyond bounds of an array of {}",
            this.0.len()
        ))
    })
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
fn index_of(list: &List, object: Id) -> usize {
    list.position(object).unwrap_or(isize::MAX as usize)
}

/// Whether an object equals another by `isEqual:`. Arrays in arrays are compared without recursion, so
/// that nesting of any depth fits on the stack.
pub(super) fn are_equal(object: Id, other: Id) -> bool {
    let (mut first, mut pairs) = (Some((object, other)), Vec::new());
    while let Some((object, other)) = first.take().or_else(|| pairs.pop()) {
        if object == other {
            continue;
        }
        match List::of(object).zip(List::of(other)) {
            Some((a, b)) if a.0.len() == b.0.len() => {
                pairs.extend(a.0.iter().zip(&b.0).map(|(a, b)| (a.id(), b.id())));
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
