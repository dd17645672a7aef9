//! `objc_msgSend` and its variants for aarch64 (AAPCS64), and the field of a class that it reads.
//!
//! A hit is twelve instructions: nil?, the class, its buckets and mask, the bucket, is it the
//! selector?, jump. Only x16 and x17 are touched, which calls may clobber between any two functions.

#![allow(non_snake_case)] // C's names.

use super::cache::{Bucket, LARGEST, NO_BUCKETS};
use super::class::ClassData;
use super::send::{resolve, resolve_super, resolve_super2, unanswered};
use std::arch::naked_asm;
use std::mem::offset_of;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// Where a class's buckets are, and how many, in one word: the address in the lower 48 bits, and in the
/// upper 16 the number of homes less one. Shifted right by 44 bits, the word masks a selector's address:
/// the result is the offset of its home. The address bits that remain at the bottom do not matter, because
/// a selector's low four bits are zero.
#[repr(C)]
pub(super) struct Table {
    word: AtomicPtr<Bucket>,
}

/// The lowest bit of the number of homes. On Linux, addresses in user space have 48 bits unless a program
/// requests more, on Apple's systems 47.
const MASK_AT: u32 = 48;
const _: () = assert!(LARGEST <= 1 << (usize::BITS - MASK_AT));

impl Table {
    /// No buckets.
    pub(super) const fn empty() -> Self {
        Self { word: AtomicPtr::new((&raw const NO_BUCKETS).cast_mut()) }
    }

    /// The buckets, and the number of homes less one. Under the lock.
    pub(super) fn load(&self) -> (*const Bucket, usize) {
        let word = self.word.load(Acquire);
        (word.map_addr(|address| address & ((1 << MASK_AT) - 1)), word.addr() >> MASK_AT)
    }

    /// Shows readers a larger table. Under the lock.
    pub(super) fn publish(&self, buckets: *const Bucket, mask: usize) {
        let word = buckets.cast_mut().map_addr(|address| {
            assert!(address >> MASK_AT == 0, "an address of more than 48 bits");
            address | mask << MASK_AT
        });
        self.word.store(word, Release);
    }
}

/// Where the superclass of a class is.
const SUPERCLASS: usize = offset_of!(ClassData, superclass);

/// Writes a sender. They differ in how x16 gets the class, in what is done before the method is jumped to, and
/// in how a miss calls its resolver.
macro_rules! sender {
    (
        $(#[$doc:meta])* $name:ident: class { $($class:literal)+ }, jump { $($jump:literal)* },
        miss calls $resolve:path $(, uses $superclass:ident)?
    ) => {
        $(#[$doc])*
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                ".cfi_startproc",
                $($class,)+
                "ldr x17, [x16, {cache}]",
                "and x16, x17, 0xffffffffffff",
                "and x17, x1, x17, lsr 44",
                "add x16, x16, x17",
                "2:",
                "ldr x17, [x16]",
                "sub x17, x17, x1",
                "cbnz x17, 3f",
                // The implementation must not be loaded before the selector. The difference is zero here,
                // but an address that it is added to depends on it, and that orders the loads.
                "add x16, x16, x17",
                "ldr x16, [x16, 8]",
                $($jump,)*
                "br x16",
                // Another selector: continue until a bucket is empty, that is, the difference is -selector.
                "3:",
                "cmn x17, x1",
                "b.eq 4f",
                "add x16, x16, 16",
                "b 2b",
                // A miss: save everything that may carry an argument.
                "4:",
                "stp x29, x30, [sp, -224]!",
                ".cfi_def_cfa_offset 224",
                ".cfi_offset x29, -224",
                ".cfi_offset x30, -216",
                "mov x29, sp",
                ".cfi_def_cfa_register x29",
                "stp x0, x1, [sp, 16]",
                "stp x2, x3, [sp, 32]",
                "stp x4, x5, [sp, 48]",
                "stp x6, x7, [sp, 64]",
                "str x8, [sp, 80]",
                "stp q0, q1, [sp, 96]",
                "stp q2, q3, [sp, 128]",
                "stp q4, q5, [sp, 160]",
                "stp q6, q7, [sp, 192]",
                "bl {resolve}",
                "mov x16, x0",
                "ldp x0, x1, [sp, 16]",
                "ldp x2, x3, [sp, 32]",
                "ldp x4, x5, [sp, 48]",
                "ldp x6, x7, [sp, 64]",
                "ldr x8, [sp, 80]",
                "ldp q0, q1, [sp, 96]",
                "ldp q2, q3, [sp, 128]",
                "ldp q4, q5, [sp, 160]",
                "ldp q6, q7, [sp, 192]",
                "ldp x29, x30, [sp], 224",
                ".cfi_def_cfa sp, 0",
                ".cfi_restore x29",
                ".cfi_restore x30",
                $($jump,)*
                "br x16",
                "5:",
                "mov x1, 0",
                "movi d0, 0",
                "movi d1, 0",
                "movi d2, 0",
                "movi d3, 0",
                "ret",
                ".cfi_endproc",
                // Aligns the function's section, and so its first instruction: a hit is in one cache line.
                ".balign 64",
                cache = const offset_of!(ClassData, cache),
                resolve = sym $resolve,
                $($superclass = const SUPERCLASS,)?
            )
        }
    };
}

sender! {
    /// Sends a message. nil returns zero in every register that a result may be in; a struct that
    /// is returned in memory is left as it is.
    ///
    /// # Safety
    ///
    /// Called as the method's own type, with a receiver and a selector first. The receiver is nil or an
    /// object of this runtime.
    objc_msgSend: class { "cbz x0, 5f" "ldr x16, [x0]" }, jump {}, miss calls resolve
}

sender! {
    /// Sends a message to the methods of a class, which is passed with the receiver in a `Super`.
    ///
    /// # Safety
    ///
    /// Called as the method's own type, but with the address of a `Super` in place of the receiver.
    objc_msgSendSuper: class { "ldr x16, [x0, 8]" }, jump { "ldr x0, [x0]" },
    miss calls resolve_super
}

sender! {
    /// Sends a message to the methods of the superclass of the class that is passed in a `Super`.
    ///
    /// # Safety
    ///
    /// As for [`objc_msgSendSuper`].
    objc_msgSendSuper2: class { "ldr x16, [x0, 8]" "ldr x16, [x16, {superclass}]" }, jump { "ldr x0, [x0]" },
    miss calls resolve_super2, uses superclass
}

/// How many arguments come in general registers.
pub(super) const REGISTERS: usize = 8;

/// The implementation of every selector that a class has no method for.
///
/// # Safety
///
/// Called as a method.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn forward() {
    naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, -80]!",
        ".cfi_def_cfa_offset 80",
        ".cfi_offset x29, -80",
        ".cfi_offset x30, -72",
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        "stp x0, x1, [sp, 16]",
        "stp x2, x3, [sp, 32]",
        "stp x4, x5, [sp, 48]",
        "stp x6, x7, [sp, 64]",
        "add x0, sp, 16",
        "add x1, sp, 80",
        "mov x2, x8",
        "bl {unanswered}",
        "mov x0, 0",
        "mov x1, 0",
        "movi d0, 0",
        "movi d1, 0",
        "movi d2, 0",
        "movi d3, 0",
        "ldp x29, x30, [sp], 80",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
        unanswered = sym unanswered,
    )
}
