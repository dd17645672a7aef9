//! A table is resolved from an object, and has no methods of its class.

aruminium::metal_class! {
    pub class Number: NSNumber, table;
    pub fn new(value: bool) -> Number = class [numberWithBool:]; //~ ERROR: this is a method of the class itself
}

aruminium::imp_table! {
    pub table More: NSNumber;
    pub fn zero() -> Number = class [zero]; //~ ERROR: this is a method of the class itself
}

fn main() {}
