//! A trait adds methods to objects; the class itself is another receiver.

aruminium::metal_class! {
    pub trait More for NSString;
    fn empty() -> NSString = class [string]; //~ ERROR: this is a method of the class itself; tables and traits hold methods of its objects
}

use aruminium::foundation::NSString;

fn main() {}
