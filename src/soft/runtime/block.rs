//! Blocks: copied from the stack to the heap, counted there, freed with what they captured.
//!
//! The layout and the flags are those of the Blocks ABI that clang documents
//! ("Block Implementation Specification").

use super::class::ClassData;
use super::declare::{Zone, soft_class};
use super::fatal::fatal;
use super::nsobject::NSObject;
use super::object::{self, Retained, bury};
use super::{deallocate, side};
use crate::abi::{Encode, Id, Imp};
use std::alloc::{Layout, handle_alloc_error};
use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering::*};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

/// A block. What it captured follows.
#[repr(C)]
pub(crate) struct Block {
    isa: *const ClassData,
    flags: AtomicI32,
    reserved: i32,
    pub(super) invoke: unsafe extern "C" fn(),
    descriptor: *const Descriptor,
}

/// The compiler's record of a block. The helpers exist if `HAS_COPY_DISPOSE` is set.
#[repr(C)]
struct Descriptor {
    reserved: usize,
    size: usize,
    copy: unsafe extern "C" fn(*mut c_void, *const c_void),
    dispose: unsafe extern "C" fn(*const c_void),
}

/// The last owner has released the block. What disposes of it may retain and release it again without
/// disposing of it twice.
const DEALLOCATING: i32 = 1;
/// Twice the number of owners. When all bits are set they stay so.
const COUNT: i32 = 0xfffe;
const ONE: i32 = 2;
/// The block is on the heap.
const NEEDS_FREE: i32 = 1 << 24;
const HAS_COPY_DISPOSE: i32 = 1 << 25;
/// The function's result is a struct in memory, whose address is passed first. Set along with `HAS_SIGNATURE`.
#[cfg(feature = "export")]
const RETURNS_IN_MEMORY: i32 = 1 << 29 | HAS_SIGNATURE;
#[cfg(feature = "export")]
const HAS_SIGNATURE: i32 = 1 << 30;
/// The block captures nothing and lives for ever.
const IS_GLOBAL: i32 = 1 << 28;

soft_class! {
    /// The superclass of all blocks.
    pub(super) class NSBlock: NSObject, kind Block;
    [copy] = copy_object;
    [copyWithZone:] = copy_with_zone;
}

fn copy_object(block: Id) -> Id {
    // SAFETY: the receiver is a block. Retaining a block copies it.
    unsafe { object::retain(block) }
}

fn copy_with_zone(block: Id, _zone: Zone) -> Id {
    copy_object(block)
}

soft_class! {
    /// Blocks on the stack of the function that wrote them.
    #[cfg_attr(feature = "export", unsafe(no_mangle))]
    pub class _NSConcreteStackBlock: NSBlock, kind Block, named "__NSStackBlock__";
}

soft_class! {
    /// Blocks on the heap.
    #[cfg_attr(feature = "export", unsafe(no_mangle))]
    pub(super) class _NSConcreteMallocBlock: NSBlock, kind Block, named "__NSMallocBlock__";
}

soft_class! {
    /// Blocks that capture nothing.
    #[cfg_attr(feature = "export", unsafe(no_mangle))]
    pub(super) class _NSConcreteGlobalBlock: NSBlock, kind Block, named "__NSGlobalBlock__";
}

impl Descriptor {
    fn layout(&self) -> Layout {
        let layout = Layout::from_size_align(self.size, 16).ok();
        layout.filter(|_| self.size >= size_of::<Block>()).unwrap_or_else(|| {
            fatal(format_args!("_Block_copy: a block cannot have {} bytes", self.size))
        })
    }
}

/// Copies a block to the heap, or retains one that is there.
///
/// # Safety
///
/// `block` is null or a block.
pub(super) unsafe fn copy(block: *const Block) -> *mut c_void {
    // SAFETY: the caller's.
    let Some(this) = (unsafe { block.as_ref() }) else { return std::ptr::null_mut() };
    let flags = this.flags.load(Relaxed);
    if flags & NEEDS_FREE != 0 {
        let more = |flags| (flags & COUNT != COUNT).then_some(flags + ONE);
        // A count that has reached its limit stays there, and the block is never freed.
        let _ = this.flags.fetch_update(Relaxed, Relaxed, more);
        return block.cast_mut().cast();
    }
    if flags & IS_GLOBAL != 0 {
        return block.cast_mut().cast();
    }
    // SAFETY: a block has a descriptor, whose size includes what it captured; the helper takes the new
    // block and the old.
    unsafe {
        let descriptor = &*this.descriptor;
        let layout = descriptor.layout();
        let memory = malloc(layout.size()).cast::<u8>();
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        std::ptr::copy_nonoverlapping(block.cast::<u8>(), memory, descriptor.size);
        let new = memory.cast::<Block>();
        (*new).isa = &raw const _NSConcreteMallocBlock.class;
        (*new).flags = AtomicI32::new(flags & !(COUNT | DEALLOCATING) | NEEDS_FREE | ONE);
        if flags & HAS_COPY_DISPOSE != 0 {
            (descriptor.copy)(memory.cast(), block.cast());
        }
        memory.cast()
    }
}

/// Releases a copied block. The last release disposes of what it captured and frees it.
///
/// # Safety
///
/// `block` is null or a block that the caller owns.
pub(super) unsafe fn release(block: *const Block) {
    // SAFETY: the caller's.
    let Some(this) = (unsafe { block.as_ref() }) else { return };
    if this.flags.load(Relaxed) & NEEDS_FREE == 0 {
        return;
    }
    let less = |flags| match flags & (COUNT | DEALLOCATING) {
        ONE => Some(flags - ONE + DEALLOCATING),
        _ => (flags & COUNT != COUNT).then_some(flags - ONE),
    };
    let Ok(flags) = this.flags.fetch_update(AcqRel, Relaxed, less) else { return };
    match flags & (COUNT | DEALLOCATING) {
        0 | DEALLOCATING => {
            fatal(format_args!("_Block_release: {block:p} was released more often than copied"))
        }
        // SAFETY: this was the last owner.
        ONE => unsafe { deallocate::deallocate(Id::from_ptr(block.cast_mut().cast())) },
        _ => {}
    }
}

/// Retains a block unless it is being disposed of. Returns whether it did; a block that is not on the heap is
/// not counted.
///
/// # Safety
///
/// `block` is a block whose memory has not been freed.
pub(super) unsafe fn retain_alive(block: *const Block) -> bool {
    // SAFETY: the caller's.
    let flags = unsafe { &(*block).flags };
    let more = |flags| match flags & (COUNT | DEALLOCATING) {
        0 | DEALLOCATING => None,
        COUNT => Some(flags),
        count if count & DEALLOCATING != 0 => None,
        _ => Some(flags + ONE),
    };
    flags.load(Relaxed) & NEEDS_FREE == 0 || flags.fetch_update(Acquire, Relaxed, more).is_ok()
}

/// Whether a block is on the heap.
///
/// # Safety
///
/// `block` is a block.
pub(super) unsafe fn is_copied(block: *const Block) -> bool {
    // SAFETY: the caller's.
    unsafe { &(*block).flags }.load(Relaxed) & NEEDS_FREE != 0
}

/// Whether the block's function returns a struct in memory, as its compiler says.
///
/// # Safety
///
/// `block` is null or a block.
#[cfg(feature = "export")]
pub(super) unsafe fn returns_in_memory(block: *const Block) -> bool {
    // SAFETY: the caller's.
    let flags = unsafe { block.as_ref() }.map_or(0, |block| block.flags.load(Relaxed));
    flags & RETURNS_IN_MEMORY == RETURNS_IN_MEMORY
}

/// Disposes of what a copied block captured, and frees it.
///
/// # Safety
///
/// `block` is a copied block without owners.
pub(super) unsafe fn dispose(block: *const Block) {
    // SAFETY: the caller's. The descriptor is not read after the helper has run: it may be part of what
    // the block captured. Its size is not relied on: some bindings replace the descriptor of a block that has
    // been copied.
    unsafe {
        let descriptor = &*(*block).descriptor;
        side::forget(Id::from_ptr(block.cast_mut().cast()));
        if (*block).flags.load(Relaxed) & HAS_COPY_DISPOSE != 0 {
            (descriptor.dispose)(block.cast());
        }
        let free_copy = |memory: *mut u8, _| free(memory.cast());
        bury(Id::from_ptr(block.cast_mut().cast()), Layout::new::<Block>(), free_copy);
    }
}

/// A block that a method takes as an argument.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct BlockRef(Id);

// SAFETY: a block is passed as a pointer; `@?` is its encoding.
unsafe impl Encode for BlockRef {
    const ENCODING: &'static str = "@?";
}

impl BlockRef {
    /// # Safety
    ///
    /// `block` is null or a block.
    pub(crate) unsafe fn from_ptr(block: *const c_void) -> Self {
        Self(Id::from_ptr(block.cast_mut()))
    }

    /// The block's function; none for nil. Cast it to the block's own type before calling it.
    pub(crate) fn invoke(self) -> Option<Imp> {
        // SAFETY: the argument is nil or a block.
        unsafe { self.0.as_ptr().cast::<Block>().as_ref() }.map(|block| block.invoke)
    }

    /// Retains the block, which copies it to the heap if it is on the stack; none for nil.
    pub(crate) fn hold(self) -> Option<HeldBlock> {
        // SAFETY: the argument is nil or a block.
        unsafe { Retained::retain(self.0) }.map(HeldBlock)
    }
}

/// A retained block, to be called later.
pub(crate) struct HeldBlock(Retained);

impl HeldBlock {
    /// The block: the first argument of its function.
    pub(crate) fn id(&self) -> Id {
        self.0.id()
    }

    /// The block's function. Cast it to the block's own type before calling it.
    pub(crate) fn invoke(&self) -> Imp {
        // SAFETY: it was made from a block.
        unsafe { (*self.0.id().as_ptr().cast::<Block>()).invoke }
    }
}
