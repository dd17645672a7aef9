//! Makes a device and ends: how long it takes a program to start.

fn main() {
    assert!(objc2_metal::MTLCreateSystemDefaultDevice().is_some());
}
