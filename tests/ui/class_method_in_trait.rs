//! A trait adds methods to objects; the class itself is another receiver.

aruminium::metal_class! {
    pub trait More for aruminium_string;
    fn empty() -> NSString = class [string];
}

//~ ERROR: `empty` is a method of the class, and a trait adds methods to its objects

use aruminium::foundation::NSString;
use aruminium::foundation::NSString as aruminium_string;

fn main() {}
