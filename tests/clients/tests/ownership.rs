//! The ownership of objects that `objc2-metal` and this crate share. A program of its own, with one test: the device counts the
//! memory of the whole process.

use aruminium::{Buffer, Objc2Memory};
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_metal::*;

type Theirs<P> = Retained<ProtocolObject<P>>;

/// Each conversion moves or makes one reference count: the object dies with the last owner, on either side.
#[test]
fn ownership_is_moved() {
    let device = MTLCreateSystemDefaultDevice().expect("a device");
    let options = MTLResourceOptions::StorageModeShared;
    let before = device.currentAllocatedSize();
    let bytes = 1 << 20;
    for round in 0..3 {
        let buffer = device.newBufferWithLength_options(bytes, options).unwrap();
        // SAFETY: the GPU does not use the buffer, here and below.
        let ours = unsafe { Buffer::from_objc2(buffer) };
        // SAFETY: as above.
        let copy: Theirs<dyn MTLBuffer> = unsafe { ours.to_objc2() };
        assert!(device.currentAllocatedSize() >= before + bytes);
        match round {
            // The wrapper dies first.
            0 => {
                drop(ours);
                assert_eq!(copy.length(), bytes);
                drop(copy);
            }
            // The other owner dies first.
            1 => {
                drop(copy);
                assert_eq!(ours.size(), bytes);
                drop(ours);
            }
            // The wrapper becomes an owner of the other kind.
            _ => {
                drop(copy);
                // SAFETY: as above.
                let moved: Theirs<dyn MTLBuffer> = unsafe { ours.into_objc2() };
                assert_eq!(moved.length(), bytes);
            }
        }
        assert_eq!(device.currentAllocatedSize(), before, "round {round}");
    }
}
