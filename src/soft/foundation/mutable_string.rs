//! NSMutableString: text that changes.
//!
//! As on Apple's systems, a string must not change while another thread uses it.

use super::format::append_format;
use super::string::{NSString, Text, units_in};
use crate::abi::{Class, Id, NSRange};
use crate::soft::runtime::declare::{This, Zone, soft_class, types};
use crate::soft::runtime::object::{Object, Retained, Strong};
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::send;

soft_class! {
    /// A mutable string.
    pub(super) class NSMutableString: NSString, lacks super::absent::MUTABLE_STRING;
    class [stringWithCapacity:] = |class: Class, _: usize| {
        // SAFETY: a class responds to `alloc`, and what that makes to `init`; the result is owned here.
        unsafe { Retained::from_owned(send(send(class.as_id(), known::alloc()), known::init())) }
    };
    // SAFETY: an object that has been allocated responds to `init`, which takes it over.
    [initWithCapacity:] = |this: Id, _: usize| unsafe { send::<Id>(this, known::init()) };
    [copy] = snapshot;
    [copyWithZone:] = |this: &Text, _: Zone| snapshot(this);
    [description] = snapshot;

    [appendString:] = |this: This<'_, Text>, more: &Object<Text>| append(&this, more);
    raw [appendFormat:] = (append_format, types!((), Id));
    [insertString:atIndex:] = |this: This<'_, Text>, more: &Object<Text>, index: usize| {
        replace(this, NSRange { location: index, length: 0 }, more);
    };
    [replaceCharactersInRange:withString:] = replace;
    [deleteCharactersInRange:] = |this: This<'_, Text>, range: NSRange| replace(this, range, &Text::object(""));
    [replaceOccurrencesOfString:withString:options:range:] = |
        this: This<'_, Text>, old: &Object<Text>, new: &Object<Text>, options: usize, range: NSRange,
    | {
        units_in(&this, range);
        let (text, count) = this.replacing(old, new, options, range);
        set(&this, text);
        count
    };
    [setString:] = |this: This<'_, Text>, text: &Object<Text>| set(&this, text.snapshot());
}

fn snapshot(text: &Text) -> Strong<Text> {
    Strong::new(text.snapshot())
}

fn set(this: &Object<Text>, text: Text) {
    // SAFETY: the methods above hold no reference to the text, and other threads do not use it.
    unsafe { this.change(|now| *now = text) };
}

/// Adds a text, which may be the same, at the end.
pub(super) fn append(this: &Object<Text>, more: &Object<Text>) {
    let same = std::ptr::eq(this, more).then(|| more.snapshot());
    // SAFETY: as above; the text that is added is another.
    unsafe { this.change(|text| text.push(same.as_ref().unwrap_or(more))) };
}

fn replace(this: This<'_, Text>, range: NSRange, new: &Object<Text>) {
    units_in(&this, range);
    set(&this, this.with_range(range, new.units()));
}
