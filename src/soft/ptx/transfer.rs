//! Copies, fills and stamps of time, in the order of a stream. Copies and fills are kernels, so that after a fault they are skipped as
//! launches are.

use std::ffi::{CString, c_void};
use std::fmt::Write;
use std::sync::Arc;

use super::Facts;
use super::cuda::{Address, CudaError, Handle};
use super::device::Device;
use super::emit::record;
use super::sequence::Reports;
use crate::soft::ir::{FuncId, Module};
use crate::soft::kernel::{Source, Transfer};

/// Threads of a block, and units of memory that each moves.
const THREADS: u64 = 256;
const EACH: u64 = 4;

/// The sizes of units: bytes, and the suffix of an access with the names of its registers.
const UNITS: [(usize, &str, &str); 5] = [
    (1, "u8", "%r0"),
    (2, "u16", "%r0"),
    (4, "b32", "%r0"),
    (8, "v2.b32", "{%r0, %r1}"),
    (16, "v4.b32", "{%r0, %r1, %r2, %r3}"),
];

/// The parameter of the kernels.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) to: Address,
    pub(super) from: Address,
    /// Units.
    pub(super) count: u64,
    /// Where the number of the first launch that had a fault is, and where progress is noted.
    faulted: Address,
    progress: Address,
    /// Where the time is noted if this is the first work.
    pub(super) began: Address,
    /// The number of this one.
    pub(super) number: u32,
    /// The byte of a fill, four times.
    pub(super) value: u32,
}

/// The kernels of a device.
pub(super) struct Code {
    copies: [Handle; UNITS.len()],
    fills: [Handle; UNITS.len()],
    stamp: Handle,
}

// SAFETY: handles may be used from all threads.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

/// The name of the kernel that writes the time to an address.
const STAMP: &str = "stamp";

fn name(is_fill: bool, bytes: usize) -> String {
    format!("{}{bytes}", if is_fill { "fill" } else { "copy" })
}

/// The text of all kernels. In those of transfers thread `i` of block `b` moves the units `(b × EACH + k) × THREADS + i`.
pub(super) fn text(target: u32) -> String {
    let mut text = format!(
        ".version 7.0
.target sm_{}
.address_size 64
.visible .entry {STAMP}(.param .u64 at)
{{
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [at];
	mov.u64 %d1, %globaltimer;
	st.global.u64 [%d0], %d1;
	exit;
}}
",
        target.min(80)
    );
    for (is_fill, (bytes, suffix, list)) in
        [false, true].into_iter().flat_map(|is_fill| UNITS.map(|unit| (is_fill, unit)))
    {
        let name = name(is_fill, bytes);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            ".visible .entry {name}(.param .align 8 .b8 args[56])
.maxntid {THREADS}
{{
	.reg .pred %p<4>;
	.reg .b32 %r<10>;
	.reg .b64 %d<10>;
	ld.param.u64 %d0, [args];
	ld.param.u64 %d1, [args+8];
	ld.param.u64 %d2, [args+16];
	ld.param.u64 %d3, [args+24];
	ld.param.u64 %d4, [args+32];
	ld.param.u64 %d9, [args+40];
	ld.param.u32 %r4, [args+48];
	ld.param.u32 %r0, [args+52];
	ld.global.u32 %r5, [%d3];
	setp.lt.u32 %p0, %r5, %r4;
	@%p0 exit;
	mov.b32 %r1, %r0;
	mov.b32 %r2, %r0;
	mov.b32 %r3, %r0;
	mov.u32 %r6, %ctaid.x;
	mov.u32 %r7, %tid.x;
	and.b32 %r8, %r6, 255;
	or.b32 %r8, %r8, %r7;
	setp.ne.u32 %p1, %r8, 0;
	add.u32 %r9, %r6, 1;
	@!%p1 st.relaxed.gpu.global.u32 [%d4], %r9;
	or.b32 %r8, %r6, %r7;
	max.u32 %r4, %r4, 1;
	sub.u32 %r4, %r4, 1;
	or.b32 %r8, %r8, %r4;
	setp.ne.u32 %p3, %r8, 0;
	@%p3 bra NOTED;
	mov.u64 %d8, %globaltimer;
	st.relaxed.gpu.global.u64 [%d9], %d8;
	NOTED:
	mul.wide.u32 %d5, %r6, {};
	cvt.u64.u32 %d6, %r7;
	add.u64 %d5, %d5, %d6;
",
            THREADS * EACH
        );
        for _ in 0..EACH {
            let _ = writeln!(
                text,
                "\tsetp.ge.u64 %p2, %d5, %d2;\n\t@%p2 exit;\n\tmad.lo.u64 %d7, %d5, {bytes}, %d0;"
            );
            if !is_fill {
                let _ = writeln!(
                    text,
                    "\tmad.lo.u64 %d8, %d5, {bytes}, %d1;\n\tld.global.{suffix} {list}, [%d8];"
                );
            }
            let _ = writeln!(
                text,
                "\tst.global.{suffix} [%d7], {list};\n\tadd.u64 %d5, %d5, {THREADS};"
            );
        }
        text += "\texit;\n}\n";
    }
    text
}

impl Code {
    /// Compiles the kernels.
    pub(super) fn new(device: &Device) -> Result<Self, CudaError> {
        let error = CudaError { call: "cuModuleLoadDataEx", code: 0, text: "a zero".into() };
        let text = CString::new(text(device.target)).map_err(|_| error.clone())?;
        let (cuda, none, mut module) = (device.cuda, std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the text ends with a zero, and there are no options. The module is never unloaded.
        unsafe {
            cuda.load_module(&raw mut module, text.as_ptr().cast(), 0, none, none.cast())?;
        }
        let mut found = [[std::ptr::null_mut(); UNITS.len()]; 2];
        for (is_fill, functions) in found.iter_mut().enumerate() {
            for ((bytes, ..), function) in UNITS.iter().zip(functions) {
                let name = CString::new(name(is_fill == 1, *bytes)).map_err(|_| error.clone())?;
                // SAFETY: the module is loaded, and the name ends with a zero.
                unsafe { cuda.function(function, module, name.as_ptr())? };
            }
        }
        let [copies, fills] = found;
        let (mut stamp, name) = (std::ptr::null_mut(), CString::new(STAMP).map_err(|_| error)?);
        // SAFETY: as above.
        unsafe { cuda.function(&raw mut stamp, module, name.as_ptr())? };
        Ok(Self { copies, fills, stamp })
    }
}

/// A part of a transfer: its offset, its units, and how many.
type Part = (usize, usize, usize);

/// The parts of a transfer whose ends have an address each: units as long as both ends allow, and the bytes before and after them.
fn parts(to: usize, from: Option<usize>, bytes: usize) -> impl Iterator<Item = Part> {
    let skew = from.map_or(0, |from| to ^ from) | 16;
    let unit = 1 << skew.trailing_zeros();
    let head = (to.next_multiple_of(unit) - to).min(bytes);
    let count = (bytes - head) / unit;
    let body = count * unit;
    let all = [(0, 1, head), (head, unit, count), (head + body, 1, bytes - head - body)];
    all.into_iter().filter(|(.., count)| *count != 0)
}

/// Whether the bytes that a copy reads are among those that it writes, so that their order matters.
pub(super) fn overlaps(transfer: &Transfer) -> bool {
    match transfer.source {
        Source::Copy(from) => from.addr().abs_diff(transfer.to.addr()) < transfer.bytes,
        Source::Fill(_) => false,
    }
}

/// Launches the kernels of a transfer.
///
/// # Safety
/// The device accesses both ends at their addresses, until the stream was waited for.
pub(super) unsafe fn launch(
    device: &Arc<Device>,
    stream: Handle,
    transfer: &Transfer,
    reports: &Reports,
) -> Result<(), CudaError> {
    let code = device.transfers()?;
    let (from, value) = match transfer.source {
        Source::Copy(from) => (Some(from.addr()), 0),
        Source::Fill(byte) => (None, u32::from(byte) * 0x0101_0101),
    };
    for (offset, unit, count) in parts(transfer.to.addr(), from, transfer.bytes) {
        let functions = if from.is_some() { &code.copies } else { &code.fills };
        let function = functions[unit.trailing_zeros() as usize];
        let mut argument = Argument {
            to: (transfer.to.addr() + offset) as Address,
            from: from.map_or(0, |from| (from + offset) as Address),
            count: count as u64,
            faulted: reports.faulted,
            progress: reports.progress,
            began: reports.record + record::BEGAN as Address,
            number: reports.number,
            value,
        };
        let mut arguments = [(&raw mut argument).cast::<c_void>()];
        let blocks = (count as u64).div_ceil(THREADS * EACH) as u32;
        // SAFETY: the function has one parameter of that type, which the driver copies. The memory is the caller's.
        unsafe {
            device.cuda.launch(
                function,
                blocks,
                1,
                1,
                THREADS as u32,
                1,
                1,
                0,
                stream,
                arguments.as_mut_ptr(),
                std::ptr::null_mut(),
            )?;
        }
    }
    Ok(())
}

/// Has the device write the time to an address when it has done what was submitted before.
///
/// # Safety
/// The address has room for eight bytes until the stream was waited for.
pub(super) unsafe fn stamp(
    device: &Device,
    stream: Handle,
    mut at: Address,
) -> Result<(), CudaError> {
    let function = device.transfers()?.stamp;
    let mut arguments = [(&raw mut at).cast::<c_void>()];
    let (arguments, none) = (arguments.as_mut_ptr(), std::ptr::null_mut());
    // SAFETY: the function has one parameter, the address, which the driver copies.
    unsafe { device.cuda.launch(function, 1, 1, 1, 1, 1, 1, 0, stream, arguments, none) }
}

/// The name of a transfer in reports.
pub(super) fn facts() -> Facts {
    let (allocations, textures, samplers) = (Vec::new(), Vec::new(), Vec::new());
    let (functions, library) = (Vec::new(), Default::default());
    let name = "copy or fill".to_owned();
    let entry = FuncId(0);
    Facts {
        locals: Vec::new(),
        far: false,
        expected: Vec::new(),
        uses_textures: false,
        written: Default::default(),
        module: Module { name, allocations, textures, samplers, functions, library, entry },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_transfer_are_all_of_it_in_units_that_both_ends_allow() {
        for (to, from, bytes) in [
            (64, Some(128), 64),
            (67, Some(131), 100),
            (64, Some(68), 33),
            (3, Some(8), 40),
            (1, None, 3),
            (5, None, 200),
            (0, None, 0),
        ] {
            let (mut next, mut units) = (0, Vec::new());
            for (offset, unit, count) in parts(to, from, bytes) {
                assert_eq!(offset, next);
                assert!((to + offset).is_multiple_of(unit));
                assert!(from.is_none_or(|from| (from + offset).is_multiple_of(unit)));
                next += unit * count;
                units.push(unit);
            }
            assert_eq!(next, bytes, "{to} {from:?}");
            // At the ends are fewer bytes than in a long unit.
            assert!(
                units.len() <= 3 && units.iter().filter(|unit| **unit == 1).count() <= 2
                    || units == [1]
            );
        }
        assert_eq!(parts(64, Some(128), 64).collect::<Vec<_>>(), [(0, 16, 4)]);
        assert_eq!(
            parts(67, Some(131), 100).collect::<Vec<_>>(),
            [(0, 1, 13), (13, 16, 5), (93, 1, 7)]
        );
        assert_eq!(parts(3, Some(8), 40).collect::<Vec<_>>(), [(0, 1, 40)]);
    }

    #[test]
    fn copies_within_memory_overlap_if_they_are_closer_than_they_are_long() {
        let mut memory = [0u8; 64];
        let base = memory.as_mut_ptr();
        for (from, to, bytes, want) in [
            (0, 32, 32, false),
            (0, 31, 32, true),
            (31, 0, 32, true),
            (5, 5, 1, true),
            (5, 5, 0, false),
        ] {
            let source = Source::Copy(base.wrapping_add(from));
            let transfer = Transfer { source, to: base.wrapping_add(to), bytes };
            assert_eq!(overlaps(&transfer), want, "{from} {to} {bytes}");
        }
    }
}
