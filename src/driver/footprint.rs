//! The memory that a resource uses, determined when it is first bound or viewed.

use crate::abi::Id;
use crate::msg;
use crate::objc::tracking::{ArgumentSink, Busy, Footprint, LazyFootprint, MessageUse};
use crate::objc::{ClassState, Object};
use std::ffi::c_void;
use std::sync::OnceLock;

/// The state of a wrapper whose object is a resource: its footprint, or that the CPU cannot access it.
#[derive(Debug)]
pub(super) struct Located<Kind> {
    footprint: LazyFootprint,
    kind: Kind,
}

/// How the footprint of a kind of resource is determined.
pub(super) trait Locate: Default {
    /// The footprint; `None` if no view from the CPU can exist.
    fn locate(object: &Object) -> Option<Footprint>;

    /// Whether no kernel can write the resource.
    fn read_only(&self, object: &Object) -> bool {
        let _ = object;
        false
    }
}

impl<Kind: Locate> Located<Kind> {
    /// The footprint of the wrapper's object.
    #[inline]
    pub(super) fn footprint(&self, object: &Object) -> Option<&Footprint> {
        self.footprint.get(|| Kind::locate(object))
    }
}

impl<Kind: Locate> ClassState for Located<Kind> {
    #[inline]
    fn attach(_: &Object) -> Self {
        Self { footprint: LazyFootprint::new(), kind: Kind::default() }
    }

    #[inline(always)]
    fn report_to(&self, object: &Object, to: &mut ArgumentSink<'_>) {
        let read_only = || self.kind.read_only(object);
        to.resource(object, &self.footprint, Kind::locate, read_only);
    }

    #[inline(always)]
    fn sending(
        &self,
        object: &Object,
        message_use: MessageUse,
        _: impl FnOnce(&mut ArgumentSink<'_>),
    ) {
        if message_use == MessageUse::Purge
            && let Some(footprint) = self.footprint(object)
        {
            footprint.note_purgeable();
        }
    }
}

const STORAGE_PRIVATE: usize = 2;
const STORAGE_MEMORYLESS: usize = 3;

/// Whether the CPU cannot access an object's memory.
///
/// # Safety
///
/// The object is a resource or a heap.
unsafe fn is_hidden(object: Id) -> bool {
    // SAFETY: passed on to the caller.
    let mode = unsafe { msg!(object, [storageMode] -> usize) };
    mode == STORAGE_PRIVATE || mode == STORAGE_MEMORYLESS
}

/// The footprint of a resource without a CPU address: the address of its object.
fn of_object(object: Id) -> Footprint {
    let address = object.as_ptr().addr();
    Footprint::of(address..address + 1)
}

/// The resources of a heap share its footprint.
///
/// # Safety
///
/// The object is a resource.
unsafe fn of_heap_of(resource: Id) -> Option<Footprint> {
    // SAFETY: passed on to the caller.
    let heap = unsafe { msg!(resource, [heap] -> Id) };
    (!heap.is_nil()).then(|| of_object(heap))
}

/// # Safety
///
/// The object is a buffer.
unsafe fn of_buffer(buffer: Id) -> Option<Footprint> {
    // SAFETY: passed on to the caller.
    unsafe {
        if is_hidden(buffer) {
            return None;
        }
        of_heap_of(buffer).or_else(|| {
            let contents = msg!(buffer, [contents] -> *mut c_void).addr();
            let length = msg!(buffer, [length] -> usize);
            (contents != 0).then(|| Footprint::of(contents..contents + length.max(1)))
        })
    }
}

/// # Safety
///
/// The object is a texture.
unsafe fn of_texture(texture: Id) -> Option<Footprint> {
    // SAFETY: passed on to the caller; the parent and the buffer live as long as the texture.
    unsafe {
        let (parent, buffer) =
            (msg!(texture, [parentTexture] -> Id), msg!(texture, [buffer] -> Id));
        match (parent.is_nil(), buffer.is_nil()) {
            // Whether the CPU can reach the memory is for its owner to say: a texture of a shared buffer may
            // call itself private.
            (false, _) => of_texture(parent),
            (true, false) => of_buffer(buffer),
            (true, true) if is_hidden(texture) => None,
            (true, true) => of_heap_of(texture).or_else(|| Some(of_object(texture))),
        }
    }
}

/// Buffers.
#[derive(Debug, Default)]
pub(super) struct InBuffer;

impl Locate for InBuffer {
    fn locate(object: &Object) -> Option<Footprint> {
        // SAFETY: the state belongs to a wrapper of buffers.
        unsafe { of_buffer(object.as_raw()) }
    }
}

/// Textures. Their usage may forbid that kernels write them.
#[derive(Debug, Default)]
pub(super) struct InTexture(OnceLock<bool>);

impl Locate for InTexture {
    fn locate(object: &Object) -> Option<Footprint> {
        // SAFETY: the state belongs to a wrapper of textures.
        unsafe { of_texture(object.as_raw()) }
    }

    fn read_only(&self, object: &Object) -> bool {
        const SHADER_READ: usize = 1;
        const PIXEL_FORMAT_VIEW: usize = 16;
        *self.0.get_or_init(|| {
            // SAFETY: as above.
            let usage = unsafe { msg!(object, [usage] -> usize) };
            usage != 0 && usage & !(SHADER_READ | PIXEL_FORMAT_VIEW) == 0
        })
    }
}

/// Heaps.
#[derive(Debug, Default)]
pub(super) struct InHeap;

impl Locate for InHeap {
    fn locate(object: &Object) -> Option<Footprint> {
        // SAFETY: the state belongs to a wrapper of heaps.
        (!unsafe { is_hidden(object.as_raw()) }).then(|| of_object(object.as_raw()))
    }
}

/// Opens a view, after the command buffers that conflict with it have ended if `waits`.
pub(super) fn view(
    footprint: &Footprint,
    range: std::ops::Range<usize>,
    writes: bool,
    waits: bool,
) -> Result<crate::objc::tracking::ViewGuard<'_>, Busy> {
    loop {
        match footprint.view(range.clone(), writes) {
            Err(Busy::Flight { flight, .. }) if waits => flight.wait(),
            result => return result,
        }
    }
}
