//! Adds Objective-C methods that the crate lacks, as a user of the crate would: one line each.
//!
//! Run it with `cargo run --example new_method`; it needs no Mac.

use aruminium::foundation::NSString;
use aruminium::{imp_table, metal_class, msg};

// Methods for a class that the crate wraps already: a trait with a line for each method.
metal_class! {
    /// More methods of strings.
    pub trait StringExt for NSString;

    /// The text in capital letters.
    fn uppercase() -> String = [uppercaseString];
    /// Whether the text begins with another.
    fn has_prefix(prefix: &str) -> bool = [hasPrefix:];
    /// This text followed by another.
    fn appending(other: &NSString) -> NSString = [stringByAppendingString:];
}

// A whole class. `table` also makes `NumberImps`, the functions of the class, looked up once, and
// `direct` makes `FastNumber`, which calls them without `objc_msgSend`.
metal_class! {
    /// A number object, whose methods are called in a hot loop.
    pub class Number: NSNumber, table, direct FastNumber<'a>;

    /// The number.
    pub fn value() -> f64 = [doubleValue];
    /// The number as text.
    pub fn text() -> String = [stringValue];
    /// Whether two objects have the same number.
    pub fn same(other: &Number) -> bool = [isEqualToNumber:];
}

// The objects are made by a method of the class itself.
metal_class! {
    /// Makes number objects.
    class Boxes: NSNumber;

    fn boxed(value: f64) -> Number = class [numberWithDouble:];
}

// A table alone, for objects that need no type of their own.
imp_table! {
    /// The methods that a parser of texts calls.
    table TextImps: NSString;
    fn length() -> usize = [length];
    fn unit(index: usize) -> u16 = [characterAtIndex:];
}

fn main() {
    let metal = NSString::from("metal");
    println!("a trait of methods: {} {}", metal.uppercase(), metal.has_prefix("met"));
    assert_eq!(metal.uppercase(), "METAL");
    assert_eq!(metal.appending(&NSString::from(" shading")).to_string(), "metal shading");

    let number = Boxes::boxed(2.5);
    println!("a new class: {} is {}", number.text(), number.value());
    assert_eq!(number.value(), 2.5);

    // SAFETY: the object is alive, and its class has these methods.
    let imps = unsafe { NumberImps::resolve(number.as_raw()) };
    // SAFETY: a number's wrapper keeps no state that the calls below pass by.
    let fast =
        unsafe { FastNumber::new(&number, &imps) }.expect("the table is of this object's class");
    let sum: f64 = (0..1_000_000).map(|_| fast.value()).sum();
    println!("a million calls through the table: {sum}");
    assert_eq!(sum, 2_500_000.0);
    assert!(fast.same(&number));

    // SAFETY: the text is alive, and the indices are below its length.
    let vowels = unsafe {
        let imps = TextImps::resolve(metal.as_raw());
        let text = metal.as_raw();
        (0..imps.length(text))
            .filter(|&i| b"aeiou".iter().any(|&v| u16::from(v) == imps.unit(text, i)))
            .count()
    };
    println!("a table alone: {vowels} vowels");
    assert_eq!(vowels, 2);

    // SAFETY: `NSString` responds to this selector with an `int`.
    let number = unsafe { msg!(NSString::from("42"), [intValue] -> i32) };
    println!("one message: {number}");
    assert_eq!(number, 42);
    println!("ok");
}
