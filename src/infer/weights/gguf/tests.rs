//! GGUF files: written files are read back, and damaged files are errors.

use super::value::Stored;
use super::{Array, Gguf, Limits, Value};
use crate::infer::weights::Entry;
use crate::infer::{DType, Quant};

fn meta() -> Vec<(&'static str, Value)> {
    vec![
        ("u8", Value::U8(200)),
        ("i8", Value::I8(-100)),
        ("u16", Value::U16(60000)),
        ("i16", Value::I16(-30000)),
        ("u32", Value::U32(u32::MAX)),
        ("i32", Value::I32(i32::MIN)),
        ("u64", Value::U64(u64::MAX)),
        ("i64", Value::I64(i64::MIN)),
        ("f32", Value::F32(-0.5)),
        ("f64", Value::F64(1e300)),
        ("bool", Value::Bool(true)),
        ("string", Value::from("é")),
        ("strings", Value::from(vec!["".to_owned(), "b".to_owned()])),
        ("floats", Value::from(vec![1.0f32, 2.0])),
        ("nested", Value::Array(Array::Array(vec![Array::U8(vec![1]), Array::Bool(vec![])]))),
    ]
}

fn written(meta: &[(&str, Value)], tensors: &[Entry<'_>]) -> Vec<u8> {
    let mut file = Vec::new();
    Gguf::write(&mut file, meta, tensors).expect("writable");
    file
}

fn error(file: Vec<u8>) -> String {
    Gguf::parse(file).unwrap_err().to_string()
}

/// A file with one tensor of 12 bytes, and an offset in it: of its name, its dimensions, and so on.
struct Sample {
    file: Vec<u8>,
    name: usize,
}

impl Sample {
    fn new() -> Self {
        let bytes = [0; 12];
        let file = written(&[("k", 1u8.into())], &[Entry::new("w", DType::F16, &[2, 3], &bytes)]);
        // The magic, the version and two counts; a key with its type and a value.
        Self { file, name: 24 + 9 + 4 + 1 }
    }

    /// The error after bytes at an offset from the tensor's name were replaced.
    fn with(mut self, offset: usize, bytes: &[u8]) -> String {
        self.file[self.name + offset..][..bytes.len()].copy_from_slice(bytes);
        error(self.file)
    }
}

#[test]
fn written_files_are_read_back() {
    let (a, b, c) = ([1; 18 * 6], [2; 3], [3; 8]);
    let tensors = [
        Entry::new("a", DType::Quant(Quant::Q4_0), &[2, 3, 32], &a),
        Entry::new("b", DType::I8, &[3], &b),
        Entry::new("empty", DType::F32, &[0, 4], &[]),
        Entry::new("c", DType::I64, &[], &c),
    ];
    let file = Gguf::parse(written(&meta(), &tensors)).expect("valid");
    assert_eq!(file.version(), 3);
    for (key, value) in meta() {
        assert_eq!(file.meta(key), Some(&value), "{key}");
    }
    assert_eq!(file.metadata().count(), meta().len());
    for entry in tensors {
        let info = file.weights().info(entry.name).expect("it is there");
        assert_eq!((info.dtype(), info.shape()), (Some(entry.dtype), entry.shape));
        assert_eq!(info.offset() % 32, 0);
        assert_eq!(file.weights().read(entry.name).expect("readable"), entry.bytes);
    }
}

#[test]
fn the_alignment_is_that_of_the_key() {
    let tensors = [Entry::new("a", DType::I8, &[1], &[1]), Entry::new("b", DType::I8, &[1], &[2])];
    let file = written(&[("general.alignment", 128u32.into())], &tensors);
    let file = Gguf::parse(file).expect("valid");
    assert_eq!(file.alignment(), 128);
    let offsets = file.weights().tensors().iter().map(|info| info.offset());
    assert!(offsets.into_iter().all(|offset| offset % 128 == 0));
    assert_eq!(file.weights().read("b").expect("readable"), [2]);
    for wrong in [0u32, 3, 4] {
        let error = Gguf::write(Vec::new(), &[("general.alignment", wrong.into())], &[]);
        assert!(error.unwrap_err().to_string().contains("a power of two"));
    }
}

#[test]
fn versions_2_and_3_are_read_and_others_are_errors() {
    let with_version = |bytes: [u8; 4]| {
        let mut file = Sample::new().file;
        file[4..8].copy_from_slice(&bytes);
        Gguf::parse(file)
    };
    assert_eq!(with_version(2u32.to_le_bytes()).expect("valid").version(), 2);
    for (version, message) in [
        (1u32.to_le_bytes(), "version 1 of GGUF is not supported"),
        (4u32.to_le_bytes(), "version 4 of GGUF is not supported"),
        (3u32.to_be_bytes(), "a big-endian file"),
    ] {
        let error = with_version(version).unwrap_err().to_string();
        assert!(error.contains("byte 4") && error.contains(message), "{error}");
    }
    assert_eq!(error(b"GGML".to_vec()), "byte 0: not a GGUF file: it does not begin with \"GGUF\"");
}

#[test]
fn a_tensor_of_an_unknown_type_leaves_the_file_readable() {
    let bytes = [7; 40];
    let entries = [
        Entry::new("before", DType::I8, &[8], &bytes[..8]),
        Entry::new("w", DType::I8, &[40], &bytes),
        Entry::new("after", DType::I8, &[8], &bytes[..8]),
    ];
    let mut file = written(&[], &entries);
    // The tensor's type follows its name's length, its name, and one dimension.
    let name = file.windows(9).position(|w| w == b"\x01\0\0\0\0\0\0\0w").expect("it is there");
    file[name + 9 + 12..][..4].copy_from_slice(&999u32.to_le_bytes());
    let file = Gguf::parse(file).expect("valid");
    let info = file.weights().info("w").expect("it is there");
    assert_eq!((info.dtype(), info.type_name()), (None, "ggml type 999"));
    // With the padding before the next tensor.
    assert_eq!(file.weights().read("w").expect("readable"), [&bytes[..], &[0; 24]].concat());
    let error = file.weights().dequantize("w").unwrap_err().to_string();
    assert!(error.contains("\"w\"") && error.contains("ggml type 999"), "{error}");
    assert_eq!(file.weights().read("after").expect("readable"), [7; 8]);
    let gpu = crate::Gpu::open().expect("a GPU");
    let loaded = file.weights().load_all(&gpu, |_| ()).expect("loadable");
    assert_eq!(loaded.keys().collect::<Vec<_>>(), ["after", "before"]);
}

#[test]
fn damaged_files_are_errors_with_an_offset() {
    let big = u64::MAX.to_le_bytes();
    let cases = [
        // The name's length, the number of dimensions, a dimension, the type, the offset.
        (Sample::new().with(0, &big), "bytes in a string"),
        (Sample::new().with(0, &200u64.to_le_bytes()), "200 bytes in a string, but only"),
        (Sample::new().with(8, &[0xff]), "not UTF-8"),
        (Sample::new().with(9, &9u32.to_le_bytes()), "9 dimensions: the limit is 8"),
        (Sample::new().with(13, &big), "overflows"),
        (Sample::new().with(13, &9u64.to_le_bytes()), "36 bytes, but the file has only"),
        (Sample::new().with(29, &2u32.to_le_bytes()), "not whole blocks of 32"),
        (Sample::new().with(33, &4u64.to_le_bytes()), "no multiple of 32"),
        (Sample::new().with(33, &4096u64.to_le_bytes()), "past the end of the file"),
        (Sample::new().with(33, &(u64::MAX - 31).to_le_bytes()), "past the end of the file"),
    ];
    for (error, message) in cases {
        assert!(error.starts_with("byte ") && error.contains(message), "{error}, not {message}");
    }
    let whole = Sample::new().file;
    for end in 0..whole.len() - 20 {
        Gguf::parse(&whole[..end]).expect_err("it is cut off");
    }
}

/// A header with tensors by hand: dimensions with the innermost first, type, offset. Data follows.
fn by_hand(tensors: &[(&str, &[u64], u32, u64)], data: usize) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    3u32.put(&mut file);
    (tensors.len() as u64).put(&mut file);
    0u64.put(&mut file);
    for (name, dimensions, id, offset) in tensors {
        (*name).to_owned().put(&mut file);
        (dimensions.len() as u32).put(&mut file);
        dimensions.iter().for_each(|size| size.put(&mut file));
        id.put(&mut file);
        offset.put(&mut file);
    }
    file.resize(file.len().next_multiple_of(32) + data, 7);
    file
}

/// Loading a file takes memory in proportion to the file.
#[test]
fn tensors_that_overlap_are_an_error() {
    let (i8s, f32s) = (24, 0);
    for (tensors, message) in [
        (&[("a", &[64][..], i8s, 0), ("b", &[64], i8s, 0)][..], "\"a\" and \"b\" overlap"),
        (&[("a", &[32], i8s, 32), ("b", &[33], i8s, 0)], "\"b\" and \"a\" overlap"),
        (
            &[("a", &[16], f32s, 0), ("b", &[32], i8s, 64), ("c", &[1], f32s, 32)],
            "\"a\" and \"c\" overlap",
        ),
    ] {
        let error = error(by_hand(tensors, 128));
        assert!(error.starts_with("byte ") && error.contains(message), "{error}, not {message}");
    }
    // Side by side, without values, and of a type whose size is unknown.
    let apart =
        [("a", &[32][..], i8s, 0), ("b", &[0], i8s, 0), ("c", &[32], i8s, 32), ("d", &[9], 999, 0)];
    let file = Gguf::parse(by_hand(&apart, 64)).expect("valid");
    let gpu = crate::Gpu::open().expect("a GPU");
    assert_eq!(file.weights().load_all(&gpu, |_| ()).expect("loadable").len(), 3);
}

/// A product of sizes that overflows is an error when the file is opened, whatever the type, and with axes without values.
#[test]
fn sizes_that_overflow_are_errors() {
    let (half, whole) = (1 << 40, u64::MAX);
    for (dimensions, id) in [
        (&[half, half][..], 999),
        (&[half, half], 0),
        (&[0, whole], 2),
        (&[0, whole], 0),
        (&[32, half, half, 0], 2),
    ] {
        let error = error(by_hand(&[("w", dimensions, id, 0)], 32));
        assert!(error.contains("\"w\"") && error.contains("overflows"), "{error}");
    }
    let file = Gguf::parse(by_hand(&[("w", &[half, 1 << 20], 999, 0)], 32)).expect("valid");
    assert_eq!(file.weights().tensors()[0].count(), 1 << 60);
}

#[test]
fn damaged_metadata_is_an_error() {
    let header = |keys: u64, rest: &[u8]| {
        let mut file = b"GGUF".to_vec();
        3u32.put(&mut file);
        0u64.put(&mut file);
        keys.put(&mut file);
        file.extend(rest);
        file.extend([0; 64]);
        error(file)
    };
    let key = |id: u32, value: &[u8]| {
        let mut bytes = Vec::new();
        "k".to_owned().put(&mut bytes);
        id.put(&mut bytes);
        bytes.extend(value);
        bytes
    };
    let huge = [&6u32.to_le_bytes()[..], &(1u64 << 60).to_le_bytes()].concat();
    let long = [&6u32.to_le_bytes()[..], &(1u64 << 20).to_le_bytes()].concat();
    let array = [&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat().repeat(10);
    let twice = [key(7, &[1]), key(7, &[1])].concat();
    for (error, message) in [
        (header(u64::MAX, &[]), "metadata keys: the limit"),
        (header(100, &[]), "100 metadata keys, but only 64 bytes follow"),
        (header(1, &key(13, &[])), "unknown type 13"),
        (header(1, &key(7, &[2])), "a boolean is 0 or 1, and not 2"),
        (header(1, &key(9, &huge)), "values in an array: the limit"),
        (header(1, &key(9, &long)), "1048576 values in an array, but only"),
        (header(1, &key(9, &array)), "nested more than 8 deep"),
        (header(2, &twice), "the key \"k\" is repeated"),
    ] {
        assert!(error.starts_with("byte ") && error.contains(message), "{error}, not {message}");
    }
    let file = written(&[("general.alignment", 12u32.into())].map(|(_, v)| ("x", v)), &[]);
    let mut renamed = file.clone();
    renamed[24..32].copy_from_slice(&1u64.to_le_bytes());
    assert!(Gguf::parse(renamed).is_ok());
}

#[test]
fn every_limit_is_checked() {
    let file = written(&meta(), &[Entry::new("w", DType::I8, &[1, 1], &[1])]);
    let of = |limits: Limits| Gguf::parse_with(&file[..], &limits).map(drop);
    assert!(of(Limits::default()).is_ok());
    let limits = Limits::default;
    for (limits, message) in [
        (Limits { header: 100, ..limits() }, "larger than 100 bytes"),
        (Limits { keys: 3, ..limits() }, "metadata keys: the limit is 3"),
        (Limits { tensors: 0, ..limits() }, "1 tensors: the limit is 0"),
        (Limits { string: 5, ..limits() }, "6 bytes in a string: the limit is 5"),
        (Limits { array: 1, ..limits() }, "2 values in an array: the limit is 1"),
        (Limits { dimensions: 1, ..limits() }, "2 dimensions: the limit is 1"),
    ] {
        let error = of(limits).unwrap_err().to_string();
        assert!(error.contains(message), "{error}, not {message}");
    }
}

#[test]
fn entries_that_cannot_be_written_are_errors() {
    let write = |meta: &[(&str, Value)], tensors: &[Entry<'_>]| {
        Gguf::write(Vec::new(), meta, tensors).unwrap_err().to_string()
    };
    let entry = |name, dtype, bytes| Entry::new(name, dtype, &[2], bytes);
    let unknown = DType::Quant(Quant::from_id(999));
    for (error, message) in [
        (write(&[("a", 1u8.into()), ("a", 1u8.into())], &[]), "\"a\" is repeated"),
        (write(&[], &[entry("w", DType::U32, &[0; 8])]), "no values of type u32"),
        (write(&[], &[entry("w", DType::I8, &[0; 3])]), "3 bytes, but [2] takes 2"),
        (write(&[], &[entry("w", unknown, &[0; 3])]), "ggml type 999"),
        (write(&[], &[entry("w", DType::I8, &[0; 2]); 2]), "the name is repeated"),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}

#[test]
fn split_files_are_one_model() {
    let folder = std::env::temp_dir().join(format!("aruminium-gguf-split-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let names = ["a", "b", "c", "d", "e"];
    let tensors = names.map(|name| Entry::new(name, DType::U8, &[1], name.as_bytes()));
    // U8 has no id of ggml.
    assert!(Gguf::write_split(&folder, "m", &[], &tensors, 2).is_err());
    let tensors = tensors.map(|entry| Entry { dtype: DType::I8, ..entry });
    let paths = Gguf::write_split(&folder, "m", &meta(), &tensors, 2).expect("writable");
    assert_eq!(paths.len(), 3);
    // Any of the files opens all of them.
    for path in &paths {
        let model = Gguf::open(path).expect("valid");
        assert_eq!(model.meta("u8"), Some(&Value::U8(200)));
        for name in names {
            assert_eq!(model.weights().read(name).expect("readable"), name.as_bytes());
        }
    }
    let limits = Limits { files: 2, ..Limits::default() };
    let error = Gguf::open_with(&paths[0], &limits).unwrap_err().to_string();
    assert!(error.contains("3 files: the limit is 2"), "{error}");
    // The second file in the place of the third.
    std::fs::copy(&paths[1], &paths[2]).expect("writable");
    let error = Gguf::open(&paths[0]).unwrap_err().to_string();
    assert!(error.contains("00003-of-00003.gguf: split.no is 1"), "{error}");
    std::fs::remove_file(&paths[2]).expect("it is there");
    let error = Gguf::open(&paths[0]).unwrap_err().to_string();
    assert!(error.contains("00003-of-00003.gguf: "), "{error}");
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn tensors_are_mapped_and_copied_with_the_same_values() {
    let path = std::env::temp_dir().join(format!("aruminium-gguf-map-{}.gguf", std::process::id()));
    let values: Vec<Vec<u8>> = (0..5u8).map(|i| vec![i; 5000 * usize::from(i)]).collect();
    let shapes = [0usize, 1, 2, 3, 4].map(|i| [5000 * i]);
    let names = ["zero", "one", "two", "three", "four"];
    let tensors: Vec<Entry<'_>> =
        (0..5).map(|i| Entry::new(names[i], DType::I8, &shapes[i], &values[i])).collect();
    // With the smallest alignment some tensors are aligned to 8 bytes only.
    let meta = [("general.alignment", 8u32.into()), ("padding", Value::from("1234567"))];
    Gguf::write(std::fs::File::create(&path).expect("a file"), &meta, &tensors).expect("writable");
    let file = Gguf::open(&path).expect("valid");
    let gpu = crate::Gpu::open().expect("a GPU");
    let mut calls = Vec::new();
    let mut progress = |p: crate::infer::weights::Progress<'_>| calls.push((p.done, p.total));
    let copied = file.weights().load_all(&gpu, &mut progress).expect("loadable");
    // SAFETY: no program changes the file.
    let mapped = unsafe { file.weights().map(&gpu, &mut progress) }.expect("it can be mapped");
    for (name, values) in names.iter().zip(&values) {
        let expected: Vec<i8> = values.iter().map(|&value| value as i8).collect();
        let one = file.weights().load(&gpu, name).expect("loadable");
        for tensor in [&copied[*name], &mapped[*name], &one] {
            assert_eq!(tensor.shape(), [values.len()]);
            assert_eq!(tensor.to_vec::<i8>().expect("readable"), expected, "{name}");
        }
        let info = file.weights().info(name).expect("it is there");
        let maps = info.offset().is_multiple_of(16) && info.bytes() > 0;
        assert_eq!(mapped[*name].memory().is_read_only(), maps, "{name}");
    }
    assert!(mapped.values().any(|tensor| tensor.memory().is_read_only()), "some are mapped");
    assert_eq!(calls.len(), 10);
    assert_eq!((calls[4], calls[9]), ((50_000, 50_000), (50_000, 50_000)));
    std::fs::remove_file(&path).expect("it is there");
}
