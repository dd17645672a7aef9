//! Objects of `objc2`, to and from this crate's types: a program that uses `objc2-metal` can adopt this crate one call
//! at a time, and the other way round.
//!
//! Compiled for Apple's systems, and on Linux for programs that `aruminium run` starts: `objc2` compiles for Apple's systems
//! alone, and the launcher compiles it as for one.

use crate::abi::Id;
use crate::objc::{ObjcClass, Object};
use objc2::ProtocolType;
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;

/// Conversions to and from `Retained<ProtocolObject<dyn MTL…>>`. Feature `objc2`.
///
/// The protocol is the caller's, of any version of `objc2-metal` that has this version of `objc2`. Its name is compared with that
/// of the type when the program is compiled: another protocol is a compile error.
///
/// Both sides share the object. What the other side does with it is not tracked: its calls that make the GPU use memory
/// are `unsafe` there, and their contract includes that nothing reads what the GPU writes at the same time, through
/// [`Buffer::read`](crate::Buffer::read) for instance.
///
/// ```
/// use aruminium::{Gpu, Objc2};
/// use objc2::{extern_protocol, rc::Retained, runtime::{NSObjectProtocol, ProtocolObject}};
///
/// // Or `use objc2_metal::MTLBuffer`.
/// extern_protocol!(
///     unsafe trait MTLBuffer: NSObjectProtocol {
///         #[unsafe(method(length))]
///         fn length(&self) -> usize;
///     }
/// );
///
/// let buffer = Gpu::open()?.buffer(64)?;
/// let theirs: Retained<ProtocolObject<dyn MTLBuffer>> = buffer.to_objc2();
/// assert_eq!(theirs.length(), 64);
/// let same = aruminium::Buffer::from_objc2(theirs);
/// assert_eq!(same.as_raw(), buffer.as_raw());
/// # Ok::<(), aruminium::GpuError>(())
/// ```
pub trait Objc2: ObjcClass + sealed::Sealed {
    /// The object, retained once more.
    fn to_objc2<P: ProtocolType + ?Sized>(&self) -> Retained<ProtocolObject<P>> {
        const { assert!(is_same(P::NAME, Self::INFO.objc), "the type wraps another protocol") }
        let object = self.as_raw().as_ptr().cast::<ProtocolObject<P>>();
        // SAFETY: the object is alive, and conforms to the protocol.
        unsafe { Retained::retain(object) }.expect("a wrapped object is not nil")
    }

    /// The object, in place of this value.
    fn into_objc2<P: ProtocolType + ?Sized>(self) -> Retained<ProtocolObject<P>> {
        self.to_objc2()
    }

    /// Wraps an object, and takes over its reference count.
    fn from_objc2<P: ProtocolType + ?Sized>(object: Retained<ProtocolObject<P>>) -> Self {
        const { assert!(is_same(P::NAME, Self::INFO.objc), "the type wraps another protocol") }
        let object = Id::from_ptr(Retained::into_raw(object).cast());
        // SAFETY: it conforms to the protocol, is not nil, and its count is passed on.
        unsafe { Self::from_object(Object::owned(object)) }
    }
}

mod sealed {
    /// Implemented for the types below only.
    #[doc(hidden)]
    pub trait Sealed {}
}

/// Whether two names are equal, at compile time.
const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// The types that have no state of their own but what the object has. A command buffer or an encoder has: which buffers it uses.
macro_rules! shared {
    ($($room:ident::$class:ident),+ $(,)?) => {
        $(
            impl sealed::Sealed for super::$room::$class {}
            impl Objc2 for super::$room::$class {}
        )+
    };
}

shared!(
    device::Gpu,
    buffer::Buffer,
    texture::Texture,
    texture::Sampler,
    heap::Heap,
    heap::ResidencySet,
    command::Queue,
    shader::ShaderLib,
    shader::Shader,
    pipeline::Pipeline,
    function_table::FunctionTable,
    function_table::FunctionHandle,
    indirect::IndirectCommands,
    sync::Fence,
    sync::Event,
    sync::SharedEvent,
);
