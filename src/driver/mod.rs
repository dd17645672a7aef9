//! The driver: the types that a user of Metal works with.

pub mod archive;
pub mod argument;
mod beyond;
pub mod buffer;
pub mod capture;
mod classes;
pub mod command;
pub mod descriptor;
pub mod device;
pub mod diagnostics;
pub mod dispatch;
pub mod encoder;
pub mod enums;
pub mod error;
pub mod ffi;
mod footprint;
pub mod foundation;
pub mod function_table;
pub mod future;
pub mod heap;
pub mod indirect;
#[cfg(all(feature = "objc2", any(target_vendor = "apple", aruminium_launcher)))]
pub mod interop;
pub mod logs;
pub mod metal4;
pub mod pipeline;
#[cfg(feature = "bytemuck")]
pub mod pod;
pub mod profile;
pub mod reflection;
pub mod sanitize;
pub mod shader;
pub mod source;
pub mod sync;
pub mod tensor;
pub mod texture;
pub mod usage;

pub use classes::CLASSES;

/// Seals traits whose implementations guarantee a valid pointer.
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

    sealed!(
        buffer::Buffer,
        texture::Texture,
        heap::Heap,
        function_table::FunctionTable,
        indirect::IndirectCommands,
        tensor::Tensor,
        sync::Event,
        sync::SharedEvent
    );
}
