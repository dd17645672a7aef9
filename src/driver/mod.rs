//! The driver: the types that a user of Metal holds.

pub mod buffer;
pub mod capture;
pub mod command;
pub mod descriptor;
pub mod device;
pub mod dispatch;
pub mod encoder;
pub mod enums;
pub mod error;
pub mod ffi;
mod footprint;
pub mod foundation;
pub mod heap;
pub mod pipeline;
pub mod shader;
pub mod sync;
pub mod texture;

use crate::objc::{ClassInfo, ObjcClass};

/// Keeps traits whose implementations vouch for a pointer within this crate.
mod sealed {
    /// Implemented only for wrappers of this crate.
    #[doc(hidden)]
    pub trait Sealed {}

    /// Implements [`Sealed`] for classes.
    macro_rules! sealed {
        ($($room:ident::$class:ident),+) => {
            $(impl Sealed for super::$room::$class {})+
        };
    }

    sealed!(buffer::Buffer, texture::Texture, heap::Heap, sync::Event, sync::SharedEvent);
}

/// Lists classes by their types.
macro_rules! classes {
    ($($room:ident::{$($class:ident),+})+) => {
        /// Every class that this crate declares, with its methods: what a Rust name sends.
        ///
        /// ```
        /// use aruminium::CLASSES;
        /// let string = CLASSES.iter().find(|class| class.objc == "NSString").unwrap();
        /// let length = string.methods.iter().find(|method| method.selector == "length").unwrap();
        /// assert_eq!(length.name, "len_utf16");
        /// ```
        pub const CLASSES: &[ClassInfo] = &[
            $($($room::$class::INFO,)+)+
            ClassInfo::new("Commands", "MTLCommandBuffer", <command::Commands as command::Parts>::ADDED),
        ];
    };
}

classes! {
    device::{Gpu}
    buffer::{Buffer}
    shader::{ShaderLib, Shader}
    pipeline::{Pipeline}
    command::{Queue, Commands}
    encoder::{Encoder, Copier}
    texture::{Texture, Sampler}
    sync::{Fence, Event, SharedEvent, EventListener}
    heap::{Heap, ResidencySet}
    descriptor::{CompileOptions, ConstantValues, PipelineDescriptor, TextureDescriptor, SamplerDescriptor, HeapDescriptor, ResidencySetDescriptor}
    capture::{Capture, CaptureDescriptor}
    foundation::{NSString, NSError, NSArray, NSNumber, NSDictionary, NSURL, NSData}
}
