//! Buffers and heaps.

use super::*;
use crate::soft::stream::pages::PAGE;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

fn try_buffer(length: usize, options: usize) -> Option<Own> {
    let buffer = send!(
        *device(), "newBufferWithLength:options:", length => usize, options => usize; Id
    );
    (!buffer.is_nil()).then(|| Own::new(buffer))
}

#[test]
fn buffers_are_zeroed_memory_of_their_length() {
    for length in [1, 16, PAGE - 1, PAGE, PAGE + 1, 1 << 20] {
        let buffer = try_buffer(length, 0).unwrap();
        assert_eq!(send!(*buffer, "length"; usize), length);
        assert!(contents::<u8>(*buffer).iter().all(|byte| *byte == 0));
        assert!(send!(*buffer, "allocatedSize"; usize) >= length);
    }
    assert_eq!(contents::<u32>(*buffer_of(&[1u32, 2, 3])), [1, 2, 3]);
}

#[test]
fn impossible_buffers_are_nil() {
    let longest = send!(*device(), "maxBufferLength"; usize);
    for length in [0, longest + 1, usize::MAX, usize::MAX - 4095, 1 << 62] {
        assert!(try_buffer(length, 0).is_none(), "{length}");
    }
    for options in [2, 0x40, 0x300, 1 << 20, usize::MAX] {
        assert!(try_buffer(16, options).is_none(), "{options:#x}");
    }
    let from_null = send!(
        *device(), "newBufferWithBytes:length:options:", std::ptr::null() => *const c_void,
        16 => usize, 0 => usize; Id
    );
    assert!(from_null.is_nil());
}

#[test]
fn private_buffers_have_no_contents() {
    let buffer = try_buffer(64, 0x20).unwrap();
    assert!(send!(*buffer, "contents"; *mut c_void).is_null());
    assert_eq!(send!(*buffer, "storageMode"; usize), 2);
    assert_eq!(send!(*buffer, "hazardTrackingMode"; usize), 2);
    assert_eq!(send!(*buffer, "resourceOptions"; usize), 0x220);
}

#[test]
fn addresses_are_unique() {
    let buffers: Vec<Own> = (0..100).map(|i| buffer(i * 100 + 1)).collect();
    let mut ranges: Vec<(u64, u64)> = buffers
        .iter()
        .map(|buffer| {
            let start = send!(**buffer, "gpuAddress"; u64);
            (start, start + send!(**buffer, "length"; usize) as u64)
        })
        .collect();
    ranges.sort_unstable();
    assert!(ranges[0].0 > 0);
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
}

#[test]
fn labels_are_stored() {
    let buffer = buffer(16);
    assert!(send!(*buffer, "label"; Id).is_nil());
    let name = string("weights");
    send!(*buffer, "setLabel:", *name => Id; ());
    drop(name);
    assert_eq!(pool(|| text(send!(*buffer, "label"; Id))), "weights");
}

#[test]
fn wrapped_memory_is_used_in_place_and_deallocated() {
    let layout = std::alloc::Layout::from_size_align(2 * PAGE, PAGE).unwrap();
    // SAFETY: of a size.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    let wrap = |at: *mut u8, length: usize, block: Id| {
        send!(
            *device(), "newBufferWithBytesNoCopy:length:options:deallocator:",
            at.cast() => *mut c_void, length => usize, 0 => usize, block => Id; Id
        )
    };
    for (at, length) in
        [(memory.wrapping_add(8), PAGE), (memory, 100), (memory, 0), (std::ptr::null_mut(), PAGE)]
    {
        assert!(wrap(at, length, Id::NIL).is_nil());
    }
    let given_back = Arc::new(AtomicUsize::new(0));
    let (seen, expected) = (Arc::clone(&given_back), memory.addr());
    let deallocator = block(move |at, length| {
        assert_eq!(at.addr(), expected);
        seen.fetch_add(length.addr(), SeqCst);
    });
    let buffer = Own::new(wrap(memory, 2 * PAGE, deallocator));
    assert_eq!(send!(*buffer, "contents"; *mut c_void).addr(), memory.addr());
    assert_eq!(given_back.load(SeqCst), 0);
    drop(buffer);
    assert_eq!(given_back.load(SeqCst), 2 * PAGE);
    // SAFETY: allocated above, and freed once.
    unsafe { std::alloc::dealloc(memory, layout) };
}

#[test]
fn allocated_memory_is_counted() {
    let size = || send!(*device(), "currentAllocatedSize"; usize);
    // Other tests allocate too: less than this.
    const LARGE: usize = 1 << 32;
    let before = size();
    let large = try_buffer(LARGE, 0);
    let Some(large) = large else { return };
    assert!(size() >= LARGE && before < LARGE);
    drop(large);
    assert!(size() < LARGE);
}

#[test]
fn heaps_allocate_and_free_regions() {
    let descriptor = new("MTLHeapDescriptor");
    send!(*descriptor, "setSize:", 1 << 16 => usize; ());
    send!(*descriptor, "setStorageMode:", 0 => usize; ());
    let heap = Own::new(send!(*device(), "newHeapWithDescriptor:", *descriptor => Id; Id));
    let part = |length: usize, options: usize| {
        let buffer = send!(
            *heap, "newBufferWithLength:options:", length => usize, options => usize; Id
        );
        (!buffer.is_nil()).then(|| Own::new(buffer))
    };
    let free = || send!(*heap, "maxAvailableSizeWithAlignment:", 256 => usize; usize);
    assert_eq!(free(), 1 << 16);
    let parts: Vec<Own> = (0..4).map(|_| part(1 << 14, 0).unwrap()).collect();
    assert_eq!((free(), send!(*heap, "usedSize"; usize)), (0, 1 << 16));
    assert!(part(1, 0).is_none(), "a full heap");
    assert!(part(1, 0x20).is_none(), "another storage mode");
    let mut parts: Vec<Option<Own>> = parts.into_iter().map(Some).collect();
    parts[2] = None;
    assert_eq!(free(), 1 << 14);
    let again = part(1 << 14, 0).unwrap();
    assert_eq!(send!(*again, "heapOffset"; usize), 2 << 14);
    assert_eq!(pool(|| send!(*again, "heap"; Id)), *heap);
    send!(**parts[0].as_ref().unwrap(), "makeAliasable"; ());
    assert!(send!(**parts[0].as_ref().unwrap(), "isAliasable"; Bool).get());
    assert_eq!(free(), 1 << 14);
    parts[0] = None;
    assert_eq!(free(), 1 << 14, "given back once");
    drop((parts, again));
    assert_eq!(free(), 1 << 16);
}

#[test]
fn residency_sets_hold_what_is_added() {
    let descriptor = new("MTLResidencySetDescriptor");
    let mut error = Id::NIL;
    let set = Own::new(send!(
        *device(), "newResidencySetWithDescriptor:error:", *descriptor => Id,
        &raw mut error => *mut Id; Id
    ));
    let buffers = [buffer(PAGE), buffer(2 * PAGE)];
    let ids = [*buffers[0], *buffers[1], *buffers[0]];
    send!(*set, "addAllocations:count:", ids.as_ptr() => *const Id, 3 => usize; ());
    assert_eq!(send!(*set, "allocationCount"; usize), 2);
    assert_eq!(send!(*set, "allocatedSize"; usize), 0, "before the commit");
    send!(*set, "commit"; ());
    assert_eq!(send!(*set, "allocatedSize"; usize), 3 * PAGE);
    send!(*set, "removeAllocation:", *buffers[0] => Id; ());
    assert!(!send!(*set, "containsAllocation:", *buffers[0] => Id; Bool).get());
    assert!(send!(*set, "containsAllocation:", *buffers[1] => Id; Bool).get());
}
