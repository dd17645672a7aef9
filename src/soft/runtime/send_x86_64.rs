//! `objc_msgSend` and its variants for x86_64 (System V), and the fields of a class that it reads.
//!
//! A hit is nine instructions: nil?, the class, its mask, the bucket, is it the selector?, jump. Only
//! r10 and r11 are touched, which no argument is passed in.

#![allow(non_snake_case)] // C's names.

use super::cache::{Bucket, NO_BUCKETS};
use super::class::ClassData;
use super::send::{
    resolve, resolve_stret, resolve_super, resolve_super_stret, resolve_super2,
    resolve_super2_stret, unanswered,
};
use std::arch::naked_asm;
use std::mem::offset_of;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};

/// Where a class's buckets are, and how many.
///
/// Two words. A reader must not see the mask of a larger table with the buckets of a smaller one. Tables only grow: the buckets are stored before the mask and loaded
/// after it, and x86 reorders neither. An old mask with new buckets may miss, and the slow path
/// looks under the lock.
#[repr(C)]
pub(super) struct Table {
    buckets: AtomicPtr<Bucket>,
    /// The number of homes less one, times the size of a bucket: a selector's address masked with
    /// it is the offset of its home.
    mask: AtomicUsize,
}

impl Table {
    /// No buckets.
    pub(super) const fn empty() -> Self {
        Self {
            buckets: AtomicPtr::new((&raw const NO_BUCKETS).cast_mut()),
            mask: AtomicUsize::new(0),
        }
    }

    /// The buckets, and the number of homes less one. Under the lock.
    pub(super) fn load(&self) -> (*const Bucket, usize) {
        (self.buckets.load(Acquire), self.mask.load(Relaxed) / size_of::<Bucket>())
    }

    /// Shows readers a larger table. Under the lock.
    pub(super) fn publish(&self, buckets: *const Bucket, mask: usize) {
        self.buckets.store(buckets.cast_mut(), Release);
        self.mask.store(mask * size_of::<Bucket>(), Release);
    }
}

const BUCKETS: usize = offset_of!(ClassData, cache) + offset_of!(Table, buckets);
const MASK: usize = offset_of!(ClassData, cache) + offset_of!(Table, mask);

/// Where the superclass of a class is.
const SUPERCLASS: usize = offset_of!(ClassData, superclass);

/// Writes a sender. They differ in how r11 gets the class, in the register of the selector, in what is done
/// before the method is jumped to, in the result for nil, and in how a miss calls its resolver.
macro_rules! sender {
    (
        $(#[$doc:meta])* $name:ident: $selector:literal, $selector_low:literal,
        class { $($class:literal)+ }, jump { $($jump:literal)* },
        nil { $($nil:literal)* }, miss { $($miss:literal)* } calls $resolve:path $(, uses $superclass:ident)?
    ) => {
        $(#[$doc])*
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                ".cfi_startproc",
                $($class,)+
                "mov r10d, dword ptr [r11 + {mask}]",
                concat!("and r10d, ", $selector_low),
                "add r10, [r11 + {buckets}]",
                "2:",
                concat!("cmp ", $selector, ", [r10]"),
                "jne 3f",
                $($jump,)*
                "jmp [r10 + 8]",
                // Another selector: continue until a bucket is empty.
                "3:",
                "cmp qword ptr [r10], 0",
                "je 4f",
                "add r10, 16",
                "jmp 2b",
                // A miss: save everything that may carry an argument, and rax, in which a variadic
                // function gets the number of vector registers in use.
                "4:",
                "push rbp",
                ".cfi_def_cfa_offset 16",
                ".cfi_offset rbp, -16",
                "mov rbp, rsp",
                ".cfi_def_cfa_register rbp",
                "sub rsp, 192",
                "movaps [rsp], xmm0",
                "movaps [rsp + 16], xmm1",
                "movaps [rsp + 32], xmm2",
                "movaps [rsp + 48], xmm3",
                "movaps [rsp + 64], xmm4",
                "movaps [rsp + 80], xmm5",
                "movaps [rsp + 96], xmm6",
                "movaps [rsp + 112], xmm7",
                "mov [rsp + 128], rdi",
                "mov [rsp + 136], rsi",
                "mov [rsp + 144], rdx",
                "mov [rsp + 152], rcx",
                "mov [rsp + 160], r8",
                "mov [rsp + 168], r9",
                "mov [rsp + 176], rax",
                $($miss,)*
                "call {resolve}",
                "mov r11, rax",
                "movaps xmm0, [rsp]",
                "movaps xmm1, [rsp + 16]",
                "movaps xmm2, [rsp + 32]",
                "movaps xmm3, [rsp + 48]",
                "movaps xmm4, [rsp + 64]",
                "movaps xmm5, [rsp + 80]",
                "movaps xmm6, [rsp + 96]",
                "movaps xmm7, [rsp + 112]",
                "mov rdi, [rsp + 128]",
                "mov rsi, [rsp + 136]",
                "mov rdx, [rsp + 144]",
                "mov rcx, [rsp + 152]",
                "mov r8, [rsp + 160]",
                "mov r9, [rsp + 168]",
                "mov rax, [rsp + 176]",
                "leave",
                ".cfi_def_cfa rsp, 8",
                ".cfi_restore rbp",
                $($jump,)*
                "jmp r11",
                "5:",
                $($nil,)*
                "ret",
                ".cfi_endproc",
                // Aligns the function's section, and so its first instruction: a hit is in one cache line.
                ".balign 64",
                mask = const MASK,
                buckets = const BUCKETS,
                resolve = sym $resolve,
                $($superclass = const SUPERCLASS,)?
            )
        }
    };
}

sender! {
    /// Sends a message whose result, if any, is returned in registers. nil returns zero in all of them.
    ///
    /// # Safety
    ///
    /// Called as the method's own type, with a receiver and a selector first. The receiver is nil or
    /// an object of this runtime.
    objc_msgSend: "rsi", "esi",
    class { "test rdi, rdi" "je 5f" "mov r11, [rdi]" }, jump {},
    nil { "xor eax, eax" "xor edx, edx" "xorps xmm0, xmm0" "xorps xmm1, xmm1" },
    miss {} calls resolve
}

sender! {
    /// Sends a message whose result is a struct in memory, whose address comes before the receiver.
    /// nil leaves that memory as it is.
    ///
    /// # Safety
    ///
    /// As for [`objc_msgSend`].
    objc_msgSend_stret: "rdx", "edx",
    class { "test rsi, rsi" "je 5f" "mov r11, [rsi]" }, jump {},
    nil { "mov rax, rdi" },
    miss { "mov rdi, rsi" "mov rsi, rdx" } calls resolve_stret
}

sender! {
    /// Sends a message whose result is a `long double`, which comes back on the floating-point stack.
    ///
    /// # Safety
    ///
    /// As for [`objc_msgSend`].
    objc_msgSend_fpret: "rsi", "esi",
    class { "test rdi, rdi" "je 5f" "mov r11, [rdi]" }, jump {},
    nil { "fldz" },
    miss {} calls resolve
}

sender! {
    /// Sends a message whose result is a complex `long double`.
    ///
    /// # Safety
    ///
    /// As for [`objc_msgSend`].
    objc_msgSend_fp2ret: "rsi", "esi",
    class { "test rdi, rdi" "je 5f" "mov r11, [rdi]" }, jump {},
    nil { "fldz" "fldz" },
    miss {} calls resolve
}

sender! {
    /// Sends a message to the methods of a class, which is passed with the receiver in a `Super`.
    ///
    /// # Safety
    ///
    /// Called as the method's own type, but with the address of a `Super` in place of the receiver.
    objc_msgSendSuper: "rsi", "esi",
    class { "mov r11, [rdi + 8]" }, jump { "mov rdi, [rdi]" },
    nil {}, miss {} calls resolve_super
}

sender! {
    /// The same for a result that is a struct in memory.
    ///
    /// # Safety
    ///
    /// As for [`objc_msgSendSuper`], with the result's address first.
    objc_msgSendSuper_stret: "rdx", "edx",
    class { "mov r11, [rsi + 8]" }, jump { "mov rsi, [rsi]" },
    nil {}, miss { "mov rdi, rsi" "mov rsi, rdx" } calls resolve_super_stret
}

sender! {
    /// Sends a message to the methods of the superclass of the class that is passed in a `Super`.
    ///
    /// # Safety
    ///
    /// As for [`objc_msgSendSuper`].
    objc_msgSendSuper2: "rsi", "esi",
    class { "mov r11, [rdi + 8]" "mov r11, [r11 + {superclass}]" }, jump { "mov rdi, [rdi]" },
    nil {}, miss {} calls resolve_super2, uses superclass
}

sender! {
    /// The same for a result that is a struct in memory.
    ///
    /// # Safety
    ///
    /// As for [`objc_msgSendSuper_stret`].
    objc_msgSendSuper2_stret: "rdx", "edx",
    class { "mov r11, [rsi + 8]" "mov r11, [r11 + {superclass}]" }, jump { "mov rsi, [rsi]" },
    nil {}, miss { "mov rdi, rsi" "mov rsi, rdx" } calls resolve_super2_stret, uses superclass
}

/// How many arguments come in general registers.
pub(super) const REGISTERS: usize = 6;

/// The implementation of every selector that a class has no method for.
///
/// # Safety
///
/// Called as a method.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn forward() {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push r9",
        "push r8",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "mov rdi, rsp",
        "lea rsi, [rbp + 16]",
        "xor edx, edx",
        "call {unanswered}",
        "xor eax, eax",
        "xor edx, edx",
        "xorps xmm0, xmm0",
        "xorps xmm1, xmm1",
        "leave",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
        unanswered = sym unanswered,
    )
}
