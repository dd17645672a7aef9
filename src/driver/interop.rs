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
/// Both sides share the object. Objects with memory have the conversions of [`Objc2Memory`].
///
/// ```
/// use aruminium::{Gpu, Objc2};
/// use objc2::{extern_protocol, rc::Retained, runtime::{NSObjectProtocol, ProtocolObject}};
///
/// // Or `use objc2_metal::MTLDevice`.
/// extern_protocol!(
///     unsafe trait MTLDevice: NSObjectProtocol {
///         #[unsafe(method(registryID))]
///         fn registry_id(&self) -> u64;
///     }
/// );
///
/// let gpu = Gpu::open()?;
/// let theirs: Retained<ProtocolObject<dyn MTLDevice>> = gpu.to_objc2();
/// assert_eq!(theirs.registry_id(), gpu.registry_id());
/// assert_eq!(Gpu::from_objc2(theirs).as_raw(), gpu.as_raw());
/// # Ok::<(), aruminium::GpuError>(())
/// ```
pub trait Objc2: ObjcClass + sealed::Plain {
    /// The object, retained once more.
    fn to_objc2<P: ProtocolType + ?Sized>(&self) -> Retained<ProtocolObject<P>> {
        retained(self)
    }

    /// The object, in place of this value.
    fn into_objc2<P: ProtocolType + ?Sized>(self) -> Retained<ProtocolObject<P>> {
        retained(&self)
    }

    /// Wraps an object, and takes over its reference count.
    fn from_objc2<P: ProtocolType + ?Sized>(object: Retained<ProtocolObject<P>>) -> Self {
        wrapped(object)
    }
}

/// The conversions of [`Objc2`], of objects with memory, and of those that refer to memory: they are `unsafe`. Feature `objc2`.
///
/// # Safety
///
/// `objc2-metal` has safe methods that make the GPU use memory: `fillBuffer_range_value`, `addAllocation`, `commit` and others.
/// This crate does not [track](crate::usage) what is encoded by them. Therefore, for as long as both sides have the object,
/// the caller ensures of the memory of a [`Buffer`](crate::Buffer), [`Texture`](crate::Texture) or [`Heap`](crate::Heap), of
/// all allocations of a [`ResidencySet`](crate::ResidencySet), and of all that the commands of an
/// [`IndirectCommands`](crate::IndirectCommands) use:
///
/// * From the commit of a command buffer that the other side encoded with the memory until it has completed, no view of the
///   memory is open that conflicts with it: no closure passed to [`Buffer::read`](crate::Buffer::read), `write` or their
///   variants runs, no [`OpenView`](crate::usage::OpenView) exists, and `Texture::read` and `write` do not run.
/// * The same holds for references into the memory that the other side makes of `contents`.
/// * Memory that a layer lends (a lease of a pool, a cell, a tape) is not returned before such a command buffer has completed.
///
/// Also, a residency set is used by one thread at a time, of both sides. This crate does not track the allocations that the other
/// side adds to it or removes from it, nor kernels that use them through the set.
///
/// ```
/// use aruminium::{Buffer, Gpu, Objc2Memory};
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
/// // SAFETY: it is not encoded.
/// let theirs: Retained<ProtocolObject<dyn MTLBuffer>> = unsafe { buffer.to_objc2() };
/// assert_eq!(theirs.length(), 64);
/// // SAFETY: as above.
/// let same = unsafe { Buffer::from_objc2(theirs) };
/// assert_eq!(same.as_raw(), buffer.as_raw());
/// # Ok::<(), aruminium::GpuError>(())
/// ```
///
/// Without `unsafe` it does not compile:
///
/// ```compile_fail,E0133
/// use aruminium::{Gpu, Objc2Memory};
/// # objc2::extern_protocol!(unsafe trait MTLBuffer: objc2::runtime::NSObjectProtocol {});
/// let buffer = Gpu::open()?.buffer(64)?;
/// let theirs = buffer.to_objc2::<dyn MTLBuffer>();
/// # Ok::<(), aruminium::GpuError>(())
/// ```
pub trait Objc2Memory: ObjcClass + sealed::Memory {
    /// The object, retained once more.
    ///
    /// # Safety
    ///
    /// See the [trait](Self#safety).
    unsafe fn to_objc2<P: ProtocolType + ?Sized>(&self) -> Retained<ProtocolObject<P>> {
        retained(self)
    }

    /// The object, in place of this value.
    ///
    /// # Safety
    ///
    /// See the [trait](Self#safety): other wrappers of the object may exist.
    unsafe fn into_objc2<P: ProtocolType + ?Sized>(self) -> Retained<ProtocolObject<P>> {
        retained(&self)
    }

    /// Wraps an object, and takes over its reference count.
    ///
    /// # Safety
    ///
    /// See the [trait](Self#safety): command buffers that the other side committed before count as well.
    unsafe fn from_objc2<P: ProtocolType + ?Sized>(object: Retained<ProtocolObject<P>>) -> Self {
        wrapped(object)
    }
}

fn retained<T: ObjcClass, P: ProtocolType + ?Sized>(value: &T) -> Retained<ProtocolObject<P>> {
    const { assert!(is_same(P::NAME, T::INFO.objc), "the type wraps another protocol") }
    let object = value.as_raw().as_ptr().cast::<ProtocolObject<P>>();
    // SAFETY: the object is alive, and conforms to the protocol.
    unsafe { Retained::retain(object) }.expect("a wrapped object is not nil")
}

fn wrapped<T: ObjcClass, P: ProtocolType + ?Sized>(object: Retained<ProtocolObject<P>>) -> T {
    const { assert!(is_same(P::NAME, T::INFO.objc), "the type wraps another protocol") }
    let object = Id::from_ptr(Retained::into_raw(object).cast());
    // SAFETY: it conforms to the protocol, is not nil, and its count is passed on.
    unsafe { T::from_object(Object::owned(object)) }
}

mod sealed {
    /// Implemented for the types of `Objc2` only.
    #[doc(hidden)]
    pub trait Plain {}

    /// Implemented for the types of `Objc2Memory` only.
    #[doc(hidden)]
    pub trait Memory {}
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

/// Implements a trait for the types whose state follows from the object. That of a command buffer or an encoder does not:
/// which buffers it uses.
macro_rules! shared {
    ($Trait:ident, $Seal:ident: $($room:ident::$class:ident),+ $(,)?) => {
        $(
            impl sealed::$Seal for super::$room::$class {}
            impl $Trait for super::$room::$class {}
        )+
    };
}

shared!(
    Objc2, Plain: device::Gpu,
    texture::Sampler,
    command::Queue,
    shader::ShaderLib,
    shader::Shader,
    pipeline::Pipeline,
    function_table::FunctionTable,
    function_table::FunctionHandle,
    sync::Fence,
    sync::Event,
    sync::SharedEvent,
);

shared!(
    Objc2Memory, Memory: buffer::Buffer,
    texture::Texture,
    heap::Heap,
    heap::ResidencySet,
    indirect::IndirectCommands,
);
