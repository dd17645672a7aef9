//! Methods with a variable number of arguments, which are read as the system's C passes them.
//!
//! The implementation of such a method stores the registers in which arguments are passed and calls a Rust function with
//! a `va_list` that begins at the receiver.

use crate::abi::Id;
use std::ffi::c_void;

/// The arguments that have not been read: C's `va_list` (System V ABI for x86-64, 3.5.7).
#[cfg(target_arch = "x86_64")]
#[repr(C)]
pub(super) struct Variadic {
    general: u32,
    vector: u32,
    stack: *const u64,
    registers: *const u8,
}

/// The arguments that have not been read: C's `va_list` (Procedure Call Standard for the Arm 64-bit Architecture, B.4).
#[cfg(all(target_arch = "aarch64", not(target_vendor = "apple")))]
#[repr(C)]
pub(super) struct Variadic {
    stack: *const u64,
    general_end: *const u8,
    vector_end: *const u8,
    general: i32,
    vector: i32,
}

/// The arguments that have not been read. On Apple's arm64 systems those after the named ones are on the stack, eight bytes each,
/// and C's `va_list` is their address ("Writing ARM64 code for Apple platforms").
#[cfg(all(target_arch = "aarch64", target_vendor = "apple"))]
#[repr(C)]
pub(super) struct Variadic {
    stack: *const u64,
}

impl Variadic {
    /// Calls a function with the arguments of a C function that was passed a `va_list`.
    ///
    /// # Safety
    ///
    /// The parameter is one, as C passes it: by its address, but for Apple's arm64 systems.
    pub(super) unsafe fn passed<R>(list: *mut c_void, read: impl FnOnce(&mut Self) -> R) -> R {
        #[cfg(all(target_arch = "aarch64", target_vendor = "apple"))]
        return read(&mut Self { stack: list.cast_const().cast() });
        // SAFETY: the caller's.
        #[cfg(not(all(target_arch = "aarch64", target_vendor = "apple")))]
        read(unsafe { &mut *list.cast::<Self>() })
    }

    /// The next argument, which is an integer or a pointer.
    ///
    /// # Safety
    ///
    /// The caller has passed one.
    pub(super) unsafe fn word(&mut self) -> u64 {
        // SAFETY: the caller's. The offsets are those of registers that have been stored.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if self.general < 48 {
                let word = self.registers.add(self.general as usize).cast::<u64>().read();
                self.general += 8;
                return word;
            }
            #[cfg(all(target_arch = "aarch64", not(target_vendor = "apple")))]
            if self.general < 0 {
                let word = self.general_end.offset(self.general as isize).cast::<u64>().read();
                self.general += 8;
                return word;
            }
            self.next_on_stack()
        }
    }

    /// The next argument, which is a `double`.
    ///
    /// # Safety
    ///
    /// The caller has passed one.
    pub(super) unsafe fn double(&mut self) -> f64 {
        // SAFETY: as above.
        let bits = unsafe {
            #[cfg(target_arch = "x86_64")]
            if self.vector < 48 + 8 * 16 {
                let number = self.registers.add(self.vector as usize).cast::<f64>().read();
                self.vector += 16;
                return number;
            }
            #[cfg(all(target_arch = "aarch64", not(target_vendor = "apple")))]
            if self.vector < 0 {
                let number = self.vector_end.offset(self.vector as isize).cast::<f64>().read();
                self.vector += 16;
                return number;
            }
            self.next_on_stack()
        };
        f64::from_bits(bits)
    }

    /// The next argument, which is an object or nil.
    ///
    /// # Safety
    ///
    /// The caller has passed one.
    pub(super) unsafe fn object(&mut self) -> Id {
        // SAFETY: the caller's.
        let address = unsafe { self.word() };
        Id::from_ptr(std::ptr::with_exposed_provenance_mut(address as usize))
    }

    unsafe fn next_on_stack(&mut self) -> u64 {
        // SAFETY: the caller's.
        unsafe {
            let word = self.stack.read();
            self.stack = self.stack.add(1);
            word
        }
    }
}

/// Writes the implementations of methods, and functions. Each calls a function with the arguments, a method's receiver and
/// selector first, and returns what it returns. The number is that of the arguments which every caller passes, these two included.
macro_rules! variadic {
    (@store 1) => { "str x0, [sp, #56]\n add x9, sp, #56" };
    (@store 3) => { "stp x1, x2, [sp, #48]\n str x0, [sp, #40]\n add x9, sp, #40" };
    (@store 4) => { "stp x2, x3, [sp, #48]\n stp x0, x1, [sp, #32]\n add x9, sp, #32" };
    ($($name:ident calls $body:path, named $named:tt;)+) => {$(
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            std::arch::naked_asm!(
                ".cfi_startproc",
                "push rbp",
                ".cfi_def_cfa_offset 16",
                ".cfi_offset rbp, -16",
                "mov rbp, rsp",
                ".cfi_def_cfa_register rbp",
                "sub rsp, 208",
                "mov [rsp], rdi",
                "mov [rsp + 8], rsi",
                "mov [rsp + 16], rdx",
                "mov [rsp + 24], rcx",
                "mov [rsp + 32], r8",
                "mov [rsp + 40], r9",
                "movaps [rsp + 48], xmm0",
                "movaps [rsp + 64], xmm1",
                "movaps [rsp + 80], xmm2",
                "movaps [rsp + 96], xmm3",
                "movaps [rsp + 112], xmm4",
                "movaps [rsp + 128], xmm5",
                "movaps [rsp + 144], xmm6",
                "movaps [rsp + 160], xmm7",
                "mov dword ptr [rsp + 176], 0",
                "mov dword ptr [rsp + 180], 48",
                "lea rax, [rbp + 16]",
                "mov [rsp + 184], rax",
                "mov [rsp + 192], rsp",
                "lea rdi, [rsp + 176]",
                "call {body}",
                "leave",
                ".cfi_def_cfa rsp, 8",
                "ret",
                ".cfi_endproc",
                body = sym $body,
            );
            #[cfg(all(target_arch = "aarch64", not(target_vendor = "apple")))]
            std::arch::naked_asm!(
                ".cfi_startproc",
                "stp x29, x30, [sp, #-16]!",
                ".cfi_def_cfa_offset 16",
                ".cfi_offset w29, -16",
                ".cfi_offset w30, -8",
                "mov x29, sp",
                ".cfi_def_cfa w29, 16",
                "sub sp, sp, #224",
                "stp x0, x1, [sp]",
                "stp x2, x3, [sp, #16]",
                "stp x4, x5, [sp, #32]",
                "stp x6, x7, [sp, #48]",
                "stp q0, q1, [sp, #64]",
                "stp q2, q3, [sp, #96]",
                "stp q4, q5, [sp, #128]",
                "stp q6, q7, [sp, #160]",
                "add x9, x29, #16",
                "str x9, [sp, #192]",
                "add x9, sp, #64",
                "str x9, [sp, #200]",
                "add x9, sp, #192",
                "str x9, [sp, #208]",
                "mov w9, #-64",
                "str w9, [sp, #216]",
                "mov w9, #-128",
                "str w9, [sp, #220]",
                "add x0, sp, #192",
                "bl {body}",
                "mov sp, x29",
                "ldp x29, x30, [sp], #16",
                ".cfi_def_cfa sp, 0",
                "ret",
                ".cfi_endproc",
                body = sym $body,
            );
            // The named arguments come before the others, which are where the stack was.
            #[cfg(all(target_arch = "aarch64", target_vendor = "apple"))]
            std::arch::naked_asm!(
                ".cfi_startproc",
                "sub sp, sp, #64",
                ".cfi_def_cfa_offset 64",
                "stp x29, x30, [sp]",
                ".cfi_offset w29, -64",
                ".cfi_offset w30, -56",
                $crate::soft::foundation::variadic::variadic!(@store $named),
                "str x9, [sp, #16]",
                "add x0, sp, #16",
                "mov x29, sp",
                ".cfi_def_cfa w29, 64",
                "bl {body}",
                "ldp x29, x30, [sp]",
                "add sp, sp, #64",
                ".cfi_def_cfa sp, 0",
                "ret",
                ".cfi_endproc",
                body = sym $body,
            );
        }
    )+};
}
pub(super) use variadic;
