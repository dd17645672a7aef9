//! Programs with other bindings to Metal: the tests of this package. Examples in documentation link as programs do:
//!
//! ```
//! let device = objc2_metal::MTLCreateSystemDefaultDevice().expect("a device");
//! let name = objc2_metal::MTLDevice::name(&*device).to_string();
//! assert!(name.starts_with("soft Metal"), "{name}");
//! // Here this is the thread that the process began with, but for tests.
//! assert!(objc2::MainThreadMarker::new().is_some());
//! ```
