//! Mutated files: no panic, and memory in proportion to the file. `WEIGHTS_MUTATIONS` is how many of each format.

use aruminium::infer::weights::{Array, Entry, Gguf, Json, Safetensors, Value, Weights};
use aruminium::infer::{DType, Quant};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use weights_tests::Random;

/// The system's allocator, with a count of the bytes in use and of their maximum.
struct Counted;

static USED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: it was allocated with this layout.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static COUNTED: Counted = Counted;

/// Changes some bytes: single ones, numbers that mean sizes, copies of parts, cuts.
fn mutate(random: &mut Random, file: &mut Vec<u8>) {
    const NUMBERS: &[u64] =
        &[0, 1, 2, 3, 8, 9, 31, 32, 255, 1 << 16, 1 << 31, 1 << 32, 1 << 60, 1 << 63, u64::MAX];
    for _ in 0..=random.below(4) {
        let at = random.below(file.len());
        let rest = file.len() - at;
        match random.below(8) {
            0 => file[at] ^= 1 << random.below(8),
            1 => file[at] = random.bits() as u8,
            2 | 3 => {
                let number = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
                let count = [1, 2, 4, 8][random.below(4)].min(rest);
                file[at..at + count].copy_from_slice(&number[..count]);
            }
            4 => {
                let (from, count) = (random.below(file.len()), random.below(64).min(rest));
                let count = count.min(file.len() - from);
                file.copy_within(from..from + count, at);
            }
            5 => {
                let part = file[at..at + random.below(64).min(rest)].to_vec();
                file.splice(at..at, part);
            }
            6 => drop(file.drain(at..at + random.below(16).min(rest))),
            _ => file.truncate(at.max(1)),
        }
        if file.is_empty() {
            file.push(0);
        }
    }
}

/// Uses all contents of a readable file.
fn use_all(weights: &Weights) {
    for info in weights.tensors() {
        let bytes = weights.read(info.name()).expect("its bytes are in the file");
        assert_eq!(bytes.len() as u64, info.bytes());
        assert_eq!(weights.dequantize(info.name()).is_ok(), info.dtype().is_some());
    }
}

/// Reads many mutations of a file, and returns how many of them were readable.
fn run(seed: u64, file: &[u8], read: impl Fn(&[u8]) -> bool) -> usize {
    let count = std::env::var("WEIGHTS_MUTATIONS").ok().map(|text| text.parse().expect("a number"));
    let count: usize = count.unwrap_or(20_000);
    let mut random = Random::new(seed);
    let mut readable = 0;
    for index in 0..count {
        let mut mutated = file.to_vec();
        mutate(&mut random, &mut mutated);
        let before = USED.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        readable += usize::from(read(&mutated));
        let used = MOST.load(Ordering::Relaxed) - before;
        // A list of small values is 8 times as large in memory, its growth doubles it, and values are decoded to 4 bytes
        // of 1.5 bits.
        let limit = 64 * mutated.len() + (1 << 16);
        assert!(
            used <= limit,
            "mutation {index} of seed {seed}: {used} bytes for {}",
            mutated.len()
        );
    }
    readable
}

fn gguf() -> Vec<u8> {
    let bytes = [0x5a; 210];
    let meta = [
        ("general.architecture", Value::from("llama")),
        ("general.alignment", Value::from(32u32)),
        ("tokens", Value::from(vec!["a".to_owned(), String::new(), "ccc".to_owned()])),
        ("scores", Value::from(vec![1.0f32; 10])),
        (
            "nested",
            Value::Array(Array::Array(vec![Array::U8(vec![1, 2]), Array::Bool(vec![true])])),
        ),
        ("flag", Value::from(true)),
        ("big", Value::from(1.0f64)),
    ];
    let tensors = [
        Entry::new("a", DType::F32, &[2, 3], &bytes[..24]),
        Entry::new("b", DType::Quant(Quant::Q6_K), &[256], &bytes),
        Entry::new("c", DType::Quant(Quant::IQ2_XS), &[1, 256], &bytes[..74]),
        Entry::new("d", DType::I8, &[], &bytes[..1]),
    ];
    let mut file = Vec::new();
    Gguf::write(&mut file, &meta, &tensors).expect("writable");
    file
}

// One test, because the count of bytes is global.
#[test]
fn mutated_files_are_read_or_refused() {
    let gguf = gguf();
    let readable = run(1, &gguf, |bytes| {
        let result = Gguf::parse(bytes);
        if let Ok(file) = &result {
            use_all(file.weights());
        }
        result.is_ok()
    });
    assert!(readable > 0, "mutations are small enough to leave some files readable");

    let mut file = Vec::new();
    let tensors = [
        Entry::new("a", DType::F32, &[2, 3], &[1; 24]),
        Entry::new("b\"", DType::BF16, &[4], &[2; 8]),
        Entry::new("c", DType::Bool, &[], &[1]),
    ];
    Safetensors::write(&mut file, &[("format", "pt"), ("é", "\n")], &tensors).expect("writable");
    let readable = run(2, &file, |bytes| {
        let result = Safetensors::parse(bytes);
        if let Ok(file) = &result {
            use_all(file.weights());
        }
        result.is_ok()
    });
    assert!(readable > 0, "mutations are small enough to leave some files readable");

    let text =
        br#"{"a": [1, -2.5e3, true, null, "b\u00e9\ud83d\ude00\n"], "c": {"d": {}, "e": []}}"#;
    run(3, text, |bytes| Json::parse(bytes).is_ok());
}
