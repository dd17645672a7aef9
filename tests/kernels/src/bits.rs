//! The bits that kernels write, for comparing ways to run them: `.ci/kernels ways` runs the tests by the interpreter and as
//! machine code. If an environment variable names a file, each launch appends a line with two hashes of its buffers: of all bits, and
//! of all but what may be payloads of NaNs.

use std::cell::Cell;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::Path;
use std::{env, thread};

/// The environment variable with the file's path.
const FILE: &str = "KERNELS_BITS";

/// Records the buffers that a kernel of a source was launched with, as they are after it. The test and the number of its launch
/// identify it in another run of the same tests.
///
/// # Panics
/// When the file cannot be written.
pub(crate) fn note(source: &str, kernel: &str, buffers: impl Iterator<Item = Vec<u8>>) {
    thread_local!(static LAUNCHES: Cell<u32> = const { Cell::new(0) });
    let Some(path) = env::var_os(FILE) else { return };
    let number = LAUNCHES.replace(LAUNCHES.get() + 1);
    let (mut all, mut mapped) = (DefaultHasher::new(), DefaultHasher::new());
    for mut bytes in buffers {
        all.write(&bytes);
        without_payloads(&mut bytes);
        mapped.write(&bytes);
    }
    let hashes = format!("{:016x} {:016x}", all.finish(), mapped.finish());
    let thread = thread::current();
    let test = thread.name().unwrap_or_default();
    // Without the hash of the build.
    let program = env::args().next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    let line = format!("{program} {test} {number:05} {source} {kernel}\t{hashes}\n");
    let file = fs::OpenOptions::new().create(true).append(true).open(&path);
    // One write for each line, because tests run at the same time.
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Replaces what may be a NaN of any type of floats by one NaN: payloads of computed ones are unspecified.
fn without_payloads(bytes: &mut [u8]) {
    let is_f32 = |word: u32| word << 1 > 0x7f80_0000 << 1;
    let is_narrow = |half: u16| half << 1 > 0x7c00 << 1;
    for word in bytes.chunks_exact_mut(4) {
        if is_f32(u32::from_le_bytes([word[0], word[1], word[2], word[3]])) {
            word.copy_from_slice(&f32::NAN.to_le_bytes());
        }
    }
    for half in bytes.chunks_exact_mut(2) {
        // Those of `bfloat` are NaNs of `half`, too.
        if is_narrow(u16::from_le_bytes([half[0], half[1]])) {
            half.copy_from_slice(&0x7e00_u16.to_le_bytes());
        }
    }
}

#[test]
fn only_payloads_of_nans_are_replaced() {
    let of = |words: [u32; 4]| {
        let mut bytes = words.map(u32::to_le_bytes).concat();
        without_payloads(&mut bytes);
        bytes
    };
    let numbers = [0x3f80_0000, 0x7bff_fbff, 0x8000_0000, 0xfc00_7c00];
    assert_eq!(of(numbers), numbers.map(u32::to_le_bytes).concat());
    assert_eq!(of([0x7fc0_0000; 4]), of([0xffff_ffff, 0x7f80_0001, 0xffc0_0001, 0x7fc1_2345]));
    assert_eq!(of([0x7e00_3c00; 4]), of([0xfe01_3c00, 0x7c01_3c00, 0xfdff_3c00, 0x7d00_3c00]));
    assert_ne!(of([1; 4]), of([1, 1, 1, 2]));
}
