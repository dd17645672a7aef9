//! A table is resolved from an object, and class methods are not its own.

aruminium::metal_class! {
    pub class Number: NSNumber, table;
    pub fn new(value: bool) -> Number = class [numberWithBool:];
}

//~ ERROR: `new` is a method of the class, which an IMP table of its objects cannot hold

fn main() {}
