//! Messages that do not parse.

fn main() {
    let text = aruminium::foundation::NSString::from("a");
    unsafe {
        aruminium::msg!(text, [hasPrefix "a"] -> bool); //~ ERROR: is not a message: write one word, or words that each have an argument
    }
}
