//! Mutated files: no panic, and memory in proportion to the file. `WEIGHTS_MUTATIONS` is how many of each format; a fiftieth is also
//! loaded into tensors, and of files in a folder there are a sixtieth of each.

use aruminium::Gpu;
use aruminium::infer::weights::{Array, Entry, Gguf, Json, MlxModel, Safetensors, Value, Weights};
use aruminium::infer::{DType, Quant};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use weights_tests::Random;

/// The system's allocator, with a count of the bytes in use and of their maximum.
struct Counted;

static USED: AtomicUsize = AtomicUsize::new(0);
static MAX: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MAX.fetch_max(used, Ordering::Relaxed);
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

/// Uses all contents of a readable file, and sometimes loads them into tensors.
fn use_all(weights: &Weights, gpu: Option<&Gpu>) {
    if let Some(gpu) = gpu {
        let loaded = weights.load_all(gpu, |_| ()).expect("what can be opened can be loaded");
        let bytes: usize = loaded.values().map(|tensor| tensor.bytes()).sum();
        let files: u64 = weights.tensors().iter().map(|info| info.bytes()).sum();
        assert!(bytes as u64 <= files);
    }
    for info in weights.tensors() {
        assert_eq!(info.count(), info.shape().iter().product::<usize>());
        let bytes = weights.read(info.name()).expect("its bytes are in the file");
        assert_eq!(bytes.len() as u64, info.bytes());
        assert_eq!(weights.dequantize(info.name()).is_ok(), info.dtype().is_some());
    }
}

/// Reads many mutations of a file, and returns how many of them were readable. All of them (a share of 1) are read with a limit of
/// memory; others are loaded too, where the tables of buffers grow.
fn run(seed: u64, file: &[u8], share: usize, read: impl Fn(&[u8]) -> bool) -> usize {
    let count = std::env::var("WEIGHTS_MUTATIONS").ok().map(|text| text.parse().expect("a number"));
    let count = count.unwrap_or(20_000usize) / share;
    let mut random = Random::new(seed);
    let mut readable = 0;
    for index in 0..count {
        let mut mutated = file.to_vec();
        mutate(&mut random, &mut mutated);
        let before = USED.load(Ordering::Relaxed);
        MAX.store(before, Ordering::Relaxed);
        readable += usize::from(read(&mutated));
        let used = MAX.load(Ordering::Relaxed) - before;
        // A list of small values is 8 times as large in memory, its growth doubles it, and values are decoded to 4 bytes
        // of 1.5 bits.
        let limit = 64 * mutated.len() + (1 << 16);
        assert!(
            used <= limit || share > 1,
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

/// Writes a file into a folder, and opens the folder's model.
fn in_folder(folder: &Path, name: &str, bytes: &[u8], open: impl Fn() -> bool) -> bool {
    std::fs::write(folder.join(name), bytes).expect("a file");
    open()
}

// One test, because the count of bytes is global.
#[test]
fn mutated_files_are_read_or_refused() {
    let gpu: &'static Gpu = Box::leak(Box::new(Gpu::open().expect("a GPU")));
    let read = |gpu: Option<&'static Gpu>| {
        move |bytes: &[u8]| {
            let result = Gguf::parse(bytes);
            if let Ok(file) = &result {
                use_all(file.weights(), gpu);
            }
            result.is_ok()
        }
    };
    let file = gguf();
    assert!(
        run(1, &file, 1, read(None)) > 0,
        "mutations are small enough to leave some files readable"
    );
    assert!(run(1, &file, 50, read(Some(gpu))) > 0);

    let mut file = Vec::new();
    let tensors = [
        Entry::new("a", DType::F32, &[2, 3], &[1; 24]),
        Entry::new("b\"", DType::BF16, &[4], &[2; 8]),
        Entry::new("c", DType::Bool, &[], &[1]),
    ];
    Safetensors::write(&mut file, &[("format", "pt"), ("é", "\n")], &tensors).expect("writable");
    let read = |gpu: Option<&'static Gpu>| {
        move |bytes: &[u8]| {
            let result = Safetensors::parse(bytes);
            if let Ok(file) = &result {
                use_all(file.weights(), gpu);
            }
            result.is_ok()
        }
    };
    assert!(
        run(2, &file, 1, read(None)) > 0,
        "mutations are small enough to leave some files readable"
    );
    assert!(run(2, &file, 50, read(Some(gpu))) > 0);

    let text =
        br#"{"a": [1, -2.5e3, true, null, "b\u00e9\ud83d\ude00\n"], "c": {"d": {}, "e": []}}"#;
    run(3, text, 1, |bytes| Json::parse(bytes).is_ok());

    folders(gpu);
}

/// Models of several files, of which one is mutated: a split GGUF, an index of safetensors, and MLX's configuration.
fn folders(gpu: &'static Gpu) {
    let folder = std::env::temp_dir().join(format!("mutated-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let tensors = [
        Entry::new("a", DType::F32, &[2, 3], &[1; 24]),
        Entry::new("b", DType::I8, &[4], &[2; 4]),
        Entry::new("c", DType::F16, &[1], &[3; 2]),
    ];
    let paths = Gguf::write_split(&folder, "m", &[("k", Value::from(1u32))], &tensors, 1);
    let paths = paths.expect("writable");
    for (seed, path) in paths.iter().enumerate() {
        let bytes = std::fs::read(path).expect("its bytes");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let readable = run(4 + seed as u64, &bytes, 60, |bytes| {
            in_folder(&folder, name, bytes, || {
                let result = Gguf::open(&paths[0]);
                if let Ok(file) = &result {
                    use_all(file.weights(), Some(gpu));
                }
                result.is_ok()
            })
        });
        assert!(readable > 0, "{name}");
        std::fs::write(path, bytes).expect("a file");
    }

    let packed = [
        Entry::new("up.weight", DType::U32, &[2, 4], &[0x5a; 32]),
        Entry::new("up.scales", DType::F16, &[2, 1], &[0x2c; 4]),
        Entry::new("up.biases", DType::F16, &[2, 1], &[0x2c; 4]),
    ];
    let plain = [Entry::new("norm.weight", DType::F32, &[4], &[0; 16])];
    let shards: [(&str, &[Entry<'_>]); 2] =
        [("one.safetensors", &packed), ("two.safetensors", &plain)];
    for (name, tensors) in shards {
        let mut bytes = Vec::new();
        Safetensors::write(&mut bytes, &[], tensors).expect("writable");
        std::fs::write(folder.join(name), bytes).expect("a file");
    }
    let index = br#"{"weight_map": {"up.weight": "one.safetensors", "up.scales": "one.safetensors",
        "up.biases": "one.safetensors", "norm.weight": "two.safetensors"}}"#;
    let config = br#"{"quantization": {"bits": 4, "group_size": 32, "norm": false}}"#;
    let index_name = "model.safetensors.index.json";
    std::fs::write(folder.join(index_name), index).expect("a file");
    std::fs::write(folder.join("config.json"), config).expect("a file");
    let one = std::fs::read(folder.join("one.safetensors")).expect("its bytes");
    for (seed, (name, bytes)) in
        [(index_name, &index[..]), ("config.json", &config[..]), ("one.safetensors", &one[..])]
            .into_iter()
            .enumerate()
    {
        let readable = run(8 + seed as u64, bytes, 60, |bytes| {
            in_folder(&folder, name, bytes, || {
                let result = MlxModel::open(&folder);
                if let Ok(model) = &result {
                    use_all(model.weights(), Some(gpu));
                    for layer in model.layers() {
                        // A layer that is not of floats is an error.
                        _ = model.dequantize(layer);
                        _ = model.load(gpu, layer);
                    }
                }
                result.is_ok()
            })
        });
        assert!(readable > 0, "{name}");
        std::fs::write(folder.join(name), bytes).expect("a file");
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
}
