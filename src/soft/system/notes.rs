//! The copies of soft Metal in a process of Linux: each has a note in its program or library, which the dynamic linker
//! maps together with the code.

use std::ffi::{CStr, c_char, c_int, c_void};

const NAME: [u8; 12] = *b"aruminium\0\0\0";
/// The length of the name with its NUL.
const NAME_SIZE: u32 = 10;
/// This project's notes have one type.
const RUNTIME: u32 = 1;

/// An ELF note without a description.
#[repr(C)]
struct Note {
    name_size: u32,
    description_size: u32,
    kind: u32,
    name: [u8; 12],
}

#[used]
#[unsafe(link_section = ".note.aruminium")]
static NOTE: Note = Note { name_size: NAME_SIZE, description_size: 0, kind: RUNTIME, name: NAME };

/// `struct dl_phdr_info`, as far as it is read here.
#[repr(C)]
struct Module {
    base: usize,
    name: *const c_char,
    segments: *const Segment,
    count: u16,
}

/// `Elf64_Phdr`.
#[repr(C)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_size: u64,
    size: u64,
    align: u64,
}

const PT_NOTE: u32 = 4;

unsafe extern "C" {
    fn dl_iterate_phdr(
        visit: unsafe extern "C" fn(*const Module, usize, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
}

/// How many notes of this project are among the notes in `bytes`. Some linkers put notes of both alignments, 4 and 8, into
/// one segment; those of alignment 8 have sizes that are multiples of 8, so each note ends where the next begins in units
/// of 4.
fn count(mut bytes: &[u8]) -> usize {
    let mut found = 0;
    while let Some((head, rest)) = bytes.split_at_checked(12) {
        let word =
            |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (name, description) = (word(0) as usize, word(4) as usize);
        found += usize::from(
            word(8) == RUNTIME && rest.starts_with(&NAME[..name.min(10)]) && name == 10,
        );
        let padded = |size: usize| size.next_multiple_of(4);
        bytes = rest.get(padded(12 + name) - 12 + padded(description)..).unwrap_or(&[]);
    }
    found
}

unsafe extern "C" fn visit(module: *const Module, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: the dynamic linker passes a module whose segments are mapped; `data` is the caller's list.
    unsafe {
        let module = &*module;
        let found = &mut *data.cast::<Vec<String>>();
        let name = CStr::from_ptr(module.name).to_string_lossy();
        for segment in std::slice::from_raw_parts(module.segments, module.count.into()) {
            if segment.kind == PT_NOTE {
                let start =
                    std::ptr::with_exposed_provenance(module.base + segment.address as usize);
                let bytes = std::slice::from_raw_parts(start, segment.size as usize);
                let name = if name.is_empty() { "the program" } else { &name };
                found.extend(std::iter::repeat_n(name.to_owned(), count(bytes)));
            }
        }
    }
    0
}

/// The programs and libraries of this process that have a copy, once for each copy.
pub(crate) fn copies() -> Vec<String> {
    std::hint::black_box(&raw const NOTE);
    let mut found: Vec<String> = Vec::new();
    // SAFETY: the function adds to the list that it is passed.
    unsafe { dl_iterate_phdr(visit, (&raw mut found).cast()) };
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_this_project_are_counted() {
        let other = [4_u32, 5, RUNTIME].map(u32::to_ne_bytes).concat();
        let other = [&other[..], b"GNU\0", &[1, 2, 3, 4, 5, 0, 0, 0]].concat();
        let ours = [&[NAME_SIZE, 0, RUNTIME].map(u32::to_ne_bytes).concat()[..], &NAME].concat();
        assert_eq!(count(&other), 0);
        assert_eq!(count(&[&other[..], &ours].concat()), 1);
        assert_eq!(count(&[&ours[..], &other, &ours].concat()), 2);
        assert_eq!(count(&ours[..20]), 0);
        // A note of the compiler's in the same segment, of alignment 8, and one of 20 bytes before ours.
        let property = [4_u32, 16, 5].map(u32::to_ne_bytes).concat();
        let property = [&property[..], b"GNU\0", &[0; 16]].concat();
        let id = [4_u32, 20, 3].map(u32::to_ne_bytes).concat();
        let id = [&id[..], b"GNU\0", &[0; 20]].concat();
        assert_eq!(count(&[&property[..], &id, &ours].concat()), 1);
    }
}
