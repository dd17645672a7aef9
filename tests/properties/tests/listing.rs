//! Listings of machine code, as a user gets them: the corpus of kernels in `tests/msl`, compared with an independent
//! disassembler.

use aruminium::{Gpu, GpuError, Source};
use std::path::Path;

/// An instruction of a listing: its address, its bytes and its text.
struct Line {
    address: u64,
    bytes: Vec<u8>,
    text: String,
}

/// Reads `  12f:  48 c1 e6 02        shl rsi, 2`; `None` for lines of constants and comments.
fn line(text: &str) -> Option<Line> {
    let (address, rest) = text.split_once(":  ")?;
    let address = u64::from_str_radix(address.trim_start(), 16).ok()?;
    let (bytes, text) = rest.split_once("  ").map(|(bytes, text)| (bytes, text.trim()))?;
    let bytes = bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16));
    Some(Line { address, bytes: bytes.collect::<Result<_, _>>().ok()?, text: text.to_owned() })
}

/// The listings of all kernels of the corpus.
fn listings() -> Vec<String> {
    let gpu = Gpu::open().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../msl");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "metal") {
            continue;
        }
        let Ok(library) = Source::new(&path).include(&folder).compile(&gpu) else { continue };
        for name in library.function_names() {
            // Kernels with constants that have no value, and those that the interpreter runs.
            match library.listing(&name) {
                Ok(listing) => found.push(listing),
                Err(GpuError::FunctionCreationFailed(_)) => {}
                Err(other) => panic!("{name}: {other}"),
            }
        }
    }
    found
}

#[test]
fn every_instruction_is_what_a_disassembler_reads() {
    if std::env::var("ARUMINIUM_TEST_SCALE").is_ok_and(|scale| scale == "small") {
        // On an emulated processor the corpus takes a quarter of an hour; `encoder_arm64.rs` compares each form.
        return;
    }
    let listings = listings();
    if listings.is_empty() {
        // A processor without AVX2.
        return;
    }
    assert!(listings.len() > 200, "{}", listings.len());
    let mut instructions = 0;
    for listing in &listings {
        assert!(!listing.contains("(unknown)"), "{listing}");
        let mut next = 0;
        for line in listing.lines().filter_map(line) {
            // The code of each kind of strip starts at 0, and has no gaps.
            assert!(line.address == next || line.address == 0, "{}: {listing}", line.text);
            next = line.address + line.bytes.len() as u64;
            check(&line);
            instructions += 1;
        }
        assert!(next > 0, "{listing}");
    }
    assert!(instructions > 50_000, "{instructions}");
}

#[cfg(target_arch = "x86_64")]
fn check(line: &Line) {
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter, MemorySizeOptions};

    let mut decoder = Decoder::with_ip(64, &line.bytes, line.address, DecoderOptions::NONE);
    let instruction = decoder.decode();
    assert_eq!(instruction.len(), line.bytes.len(), "{}", line.text);
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    options.set_memory_size_options(MemorySizeOptions::Minimal);
    options.set_rip_relative_addresses(false);
    options.set_use_pseudo_ops(false);
    options.set_branch_leading_zeros(false);
    let mut expected = String::new();
    formatter.format(&instruction, &mut expected);
    assert_eq!(line.text, expected);
}

/// `encoder_arm64.rs` compares each form; here the mnemonic is.
#[cfg(target_arch = "aarch64")]
fn check(line: &Line) {
    use yaxpeax_arch::{Arch, Decoder, U8Reader};

    let decoder = <yaxpeax_arm::armv8::a64::ARMv8 as Arch>::Decoder::default();
    let found = decoder.decode(&mut U8Reader::new(&line.bytes));
    assert!(found.is_ok(), "{}", line.text);
}
