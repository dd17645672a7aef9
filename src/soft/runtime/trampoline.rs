//! Methods whose implementation is a block: `imp_implementationWithBlock` and its like.
//!
//! An implementation gets the receiver and the selector, a block's function the block and the receiver. Between them is code that
//! puts the block, which it reads from memory, before the receiver. It is made in pages: a page of code, of `SLOT` bytes
//! for each block, and after it a page with the block of each slot at the same offset. The code is written before its page becomes
//! executable, and not afterwards.

use super::block::{self, Block};
use super::class::{imp_from_ptr, imp_to_ptr};
use super::fatal::fatal;
use crate::abi::{Bool, Id, Imp};
use crate::soft::fork::lock;
use crate::soft::system::{PRIVATE_ANONYMOUS, mmap};
use std::ffi::{c_int, c_void};
use std::sync::Mutex;

/// The bytes of a block's code.
const SLOT: usize = 16;

unsafe extern "C" {
    fn mprotect(at: *mut c_void, length: usize, access: c_int) -> c_int;
    safe fn getpagesize() -> c_int;
    #[cfg(target_arch = "aarch64")]
    fn __clear_cache(start: *mut c_void, end: *mut c_void);
}

/// The code of a slot, whose block is `page` bytes after it. `in_memory`: the address of the result comes first.
#[cfg(target_arch = "x86_64")]
fn code(page: usize, in_memory: bool) -> [u8; SLOT] {
    // The third instruction reads from here on.
    let [a, b, c, d] = (page as u32 - 10).to_le_bytes();
    match in_memory {
        // mov rsi, rdi; mov rdi, [rip + distance]; jmp [rdi + 16]
        false => [0x48, 0x89, 0xfe, 0x48, 0x8b, 0x3d, a, b, c, d, 0xff, 0x67, 16, 0xcc, 0xcc, 0xcc],
        // mov rdx, rsi; mov rsi, [rip + distance]; jmp [rsi + 16]
        true => [0x48, 0x89, 0xf2, 0x48, 0x8b, 0x35, a, b, c, d, 0xff, 0x66, 16, 0xcc, 0xcc, 0xcc],
    }
}

/// The same; the address of a result in memory has a register of its own.
#[cfg(target_arch = "aarch64")]
fn code(page: usize, _in_memory: bool) -> [u8; SLOT] {
    let words: [u32; 4] = [
        0xaa00_03e1,                                // mov x1, x0
        0x5800_0000 | ((page as u32 - 4) / 4) << 5, // ldr x0, distance
        0xf940_0810,                                // ldr x16, [x0, #16]
        0xd61f_0200,                                // br x16
    ];
    let mut code = [0; SLOT];
    code.as_chunks_mut().0.iter_mut().zip(words).for_each(|(to, word)| *to = word.to_le_bytes());
    code
}

const _: () = assert!(std::mem::offset_of!(Block, invoke) == 16, "as the code above has it");

/// A page of code and a page of blocks.
struct Pages {
    start: usize,
    in_memory: bool,
    /// Offsets of slots without a block.
    free: Vec<usize>,
}

static PAGES: Mutex<Vec<Pages>> = Mutex::new(Vec::new());

impl Pages {
    fn new(in_memory: bool) -> Self {
        const READ_WRITE: c_int = 3;
        const READ_EXECUTE: c_int = 5;
        let page = getpagesize() as usize;
        let code = code(page, in_memory);
        // SAFETY: the pages are new, and no more than the first is written here.
        unsafe {
            let start = mmap(std::ptr::null_mut(), 2 * page, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
            if start.addr() != usize::MAX {
                std::slice::from_raw_parts_mut(start.cast(), page / SLOT).fill(code);
                if mprotect(start, page, READ_EXECUTE) == 0 {
                    #[cfg(target_arch = "aarch64")]
                    __clear_cache(start, start.byte_add(page));
                    let free = (0..page).step_by(SLOT).rev().collect();
                    return Self { start: start.expose_provenance(), in_memory, free };
                }
            }
        }
        fatal(format_args!("imp_implementationWithBlock: the system allows no executable memory"))
    }

    /// Where the block of a slot is.
    fn block(&self, slot: usize) -> *mut *const Block {
        std::ptr::with_exposed_provenance_mut(self.start + getpagesize() as usize + slot)
    }

    /// The slot of an implementation that is in these pages and has a block.
    fn slot(&self, imp: Imp) -> Option<usize> {
        let offset = imp_to_ptr(imp).addr().checked_sub(self.start)?;
        let inside = offset < getpagesize() as usize && offset.is_multiple_of(SLOT);
        (inside && !self.free.contains(&offset)).then_some(offset)
    }
}

/// An implementation that calls a copy of a block: with the receiver and the arguments, but without the selector.
pub(crate) unsafe extern "C" fn imp_implementationWithBlock(block: Id) -> Imp {
    // SAFETY: as Objective-C requires of every caller: it is a block.
    let (block, in_memory) = unsafe {
        let block = block::copy(block.as_ptr().cast()).cast::<Block>().cast_const();
        (block, block::returns_in_memory(block))
    };
    let mut all = lock(&PAGES);
    let found = all.iter().position(|pages| pages.in_memory == in_memory && !pages.free.is_empty());
    let index = found.unwrap_or_else(|| {
        all.push(Pages::new(in_memory));
        all.len() - 1
    });
    let slot = all[index].free.pop().expect("pages with a free slot");
    // SAFETY: the slot is in the pages, and no implementation uses it. Its code is a function.
    unsafe {
        all[index].block(slot).write(block);
        imp_from_ptr(std::ptr::with_exposed_provenance_mut(all[index].start + slot))
    }
}

/// The block of an implementation. nil if it has none.
pub(crate) unsafe extern "C" fn imp_getBlock(imp: Imp) -> Id {
    let all = lock(&PAGES);
    let found = all.iter().find_map(|pages| Some(pages.block(pages.slot(imp)?)));
    // SAFETY: the slot has a block.
    found.map_or(Id::NIL, |block| unsafe { Id::from_ptr(block.read().cast_mut().cast()) })
}

/// Releases the block of an implementation, which must not be called any more. Whether it has one.
pub(crate) unsafe extern "C" fn imp_removeBlock(imp: Imp) -> Bool {
    let mut all = lock(&PAGES);
    let found = all.iter_mut().find_map(|pages| {
        let slot = pages.slot(imp)?;
        pages.free.push(slot);
        // SAFETY: the slot has a block, which is its copy.
        Some(unsafe { pages.block(slot).replace(std::ptr::null()) })
    });
    drop(all);
    // SAFETY: the copy belonged to the implementation.
    found.inspect(|block| unsafe { block::release(*block) });
    Bool::new(found.is_some())
}
