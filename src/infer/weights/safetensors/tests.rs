//! Safetensors files: written files are read back, and damaged files are errors.

use super::Safetensors;
use crate::infer::weights::{Affine, Entry, LayerWeights, MlxModel};
use crate::infer::{DType, Quant};
use std::path::PathBuf;

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + data, 7);
    file
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("aruminium-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn written_files_are_read_back() {
    let bytes: Vec<u8> = (0..48).collect();
    let entries: Vec<(String, DType, usize)> = DType::PLAIN
        .iter()
        .map(|&dtype| (format!("\"{dtype}\"\n"), dtype, 6 * dtype.block_bytes()))
        .collect();
    let entries: Vec<Entry<'_>> = entries
        .iter()
        .map(|(name, dtype, size)| Entry::new(name, *dtype, &[2, 3], &bytes[..*size]))
        .chain([Entry::new("none", DType::F32, &[0], &[]), Entry::new("one", DType::I8, &[], &[9])])
        .collect();
    let mut out = Vec::new();
    Safetensors::write(&mut out, &[("format", "\u{1}é")], &entries).expect("writable");
    let read = Safetensors::parse(out).expect("valid");
    assert_eq!(read.metadata().collect::<Vec<_>>(), [("format", "\u{1}é")]);
    assert_eq!(read.weights().tensors().len(), entries.len());
    for entry in entries {
        let info = read.weights().info(entry.name).expect("it is there");
        assert_eq!((info.dtype(), info.shape()), (Some(entry.dtype), entry.shape));
        assert_eq!(info.offset() % entry.dtype.block_bytes() as u64, 0);
        assert_eq!(read.weights().read(entry.name).expect("readable"), entry.bytes);
    }
}

#[test]
fn damaged_files_are_errors() {
    for (header, data, message) in [
        ("", 0, "a value was expected"),
        ("[]", 0, "not a JSON object"),
        (" {}", 0, "not a JSON object"),
        ("{}", 1, "the tensors take 0 bytes, and the file has 1"),
        (r#"{"__metadata__":{"a":1}}"#, 0, "\"a\" is not a string"),
        (r#"{"w":1}"#, 0, "\"dtype\" is not a string"),
        (r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0]}}"#, 1, "two ascending"),
        (r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}"#, 1, "two ascending"),
        (r#"{"w":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#, 1, "not an array"),
        (r#"{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}}"#, 1, "1 bytes, but [2]"),
        (r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2, "begins at 1"),
        (r#"{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, 1, "and the file has 1"),
        (
            r#"{"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
            3,
            "begins at 1, and not at 2",
        ),
        (
            r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#,
            0,
            "overflows",
        ),
        (
            r#"{"w":{"dtype":"F4","shape":[1099511627776,1099511627776],"data_offsets":[0,0]}}"#,
            0,
            "overflows",
        ),
        (
            r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
            1,
            "\"w\" is repeated",
        ),
    ] {
        let error = Safetensors::parse(file(header, data)).unwrap_err().to_string();
        assert!(error.contains(message), "{header}: {error}, not {message}");
    }
    for bytes in [&b""[..], b"\0\0", b"\xff\xff\xff\xff\xff\xff\xff\xff{}"] {
        let error = Safetensors::parse(bytes).unwrap_err().to_string();
        assert!(error.contains("header"), "{error}");
    }
}

#[test]
fn a_tensor_of_an_unknown_type_leaves_the_file_readable() {
    let header = r#"{"w":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[1,3]},"v":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    let read = Safetensors::parse(file(header, 3)).expect("valid");
    let info = read.weights().info("w").expect("it is there");
    assert_eq!((info.dtype(), info.type_name(), info.bytes()), (None, "F8_E4M3", 2));
    assert_eq!(read.weights().read("w").expect("readable"), [7, 7]);
    assert!(read.weights().dequantize("w").unwrap_err().to_string().contains("F8_E4M3"));
    assert_eq!(read.weights().dequantize("v").expect("readable"), [7.0]);
}

#[test]
fn entries_that_cannot_be_written_are_errors() {
    let write = |meta: &[(&str, &str)], tensors: &[Entry<'_>]| {
        Safetensors::write(Vec::new(), meta, tensors).unwrap_err().to_string()
    };
    let quantized = Entry::new("w", DType::Quant(Quant::Q4_0), &[32], &[0; 18]);
    let reserved = Entry::new("__metadata__", DType::U8, &[1], &[0]);
    assert!(write(&[("a", ""), ("a", "")], &[]).contains("\"a\" is repeated"));
    assert!(write(&[], &[quantized]).contains("no tensors of this name or type (q4_0)"));
    assert!(write(&[], &[reserved]).contains("no tensors of this name"));
}

#[test]
fn an_index_lists_files_of_its_folder() {
    let folder = folder("safetensors-index");
    let write = |name: &str, tensor: &str, value: u8| {
        let out = std::fs::File::create(folder.join(name)).expect("a file");
        let entry = Entry::new(tensor, DType::U8, &[1], std::slice::from_ref(&value));
        Safetensors::write(out, &[], &[entry]).expect("writable");
    };
    write("one.safetensors", "a", 1);
    write("two.safetensors", "b", 2);
    let index = folder.join("model.safetensors.index.json");
    let open = |map: &str| {
        std::fs::write(&index, format!("{{\"weight_map\": {map}}}")).expect("writable");
        Safetensors::open(&folder)
    };
    let model = open(r#"{"a": "one.safetensors", "b": "two.safetensors"}"#).expect("valid");
    assert_eq!(model.weights().read("a").expect("readable"), [1]);
    assert_eq!(model.weights().read("b").expect("readable"), [2]);
    for (map, message) in [
        (r#"{"a": "two.safetensors", "b": "one.safetensors"}"#, "says that tensor \"a\" is in"),
        (r#"{"a": "one.safetensors", "c": "one.safetensors"}"#, "says that tensor \"c\" is in"),
        (r#"{"a": "../one.safetensors"}"#, "not a file's name"),
        (r#"{"a": "/etc/passwd"}"#, "not a file's name"),
        (r#"{"a": ".."}"#, "not a file's name"),
        (r#"{"a": 1}"#, "not a file's name"),
        (r#"{"a": "three.safetensors"}"#, "three.safetensors: "),
        ("[]", "no object \"weight_map\""),
    ] {
        let error = open(map).unwrap_err().to_string();
        assert!(error.contains(message), "{map}: {error}, not {message}");
    }
    write("two.safetensors", "a", 1);
    let error = open(r#"{"a": "one.safetensors", "b": "two.safetensors"}"#).unwrap_err();
    assert!(error.to_string().contains("tensor \"a\" is repeated"), "{error}");
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn layers_of_mlx_have_the_bits_of_their_configuration() {
    let folder = folder("mlx-layers");
    let config =
        r#"{"quantization": {"bits": 4, "group_size": 32, "b": {"bits": 6, "group_size": 16}}}"#;
    let open = |config: &str, scales: &[usize]| {
        std::fs::write(folder.join("config.json"), config).expect("writable");
        // A row of 32 values of 4 bits, and one of 16 values of 6 bits.
        let bytes: Vec<u8> = (0..16).map(|i| i * 16 + i).collect();
        let (ones, zeros) =
            ([0, 0x3c].repeat(scales.iter().product()), [0, 0].repeat(scales.iter().product()));
        let tensors = [
            Entry::new("a.weight", DType::U32, &[1, 4], &bytes),
            Entry::new("a.scales", DType::F16, scales, &ones),
            Entry::new("a.biases", DType::F16, scales, &zeros),
            Entry::new("b.weight", DType::U32, &[1, 3], &bytes[..12]),
            Entry::new("b.scales", DType::F16, &[1, 1], &ones[..2]),
            Entry::new("b.biases", DType::F16, &[1, 1], &ones[..2]),
            Entry::new("norm.weight", DType::F16, &[1], &ones[..2]),
            Entry::new("other", DType::F16, &[1], &ones[..2]),
        ];
        let out = std::fs::File::create(folder.join("model.safetensors")).expect("a file");
        Safetensors::write(out, &[], &tensors).expect("writable");
        MlxModel::open(&folder)
    };
    let model = open(config, &[1, 1]).expect("valid");
    assert_eq!(model.layers().collect::<Vec<_>>(), ["a", "b", "norm"]);
    assert_eq!(model.affine("b"), Some(Affine { bits: 6, group: 16 }));
    assert_eq!(model.affine("norm"), None);
    let expected: Vec<f32> = (0..32).map(|i| (i / 2) as f32).collect();
    assert_eq!(model.dequantize("a").expect("readable"), expected);
    // 6 bits: 0x00, 0x11, 0x22 are the values 0, 0b000100, 0b100001, 0b001000, plus the bias.
    assert_eq!(model.dequantize("b").expect("readable")[..4], [1.0, 5.0, 34.0, 9.0]);
    let gpu = crate::Gpu::open().expect("a GPU");
    let LayerWeights::Quantized(layer) = model.load(&gpu, "a").expect("loadable") else {
        panic!("it is quantised")
    };
    assert_eq!((layer.weight.shape(), layer.affine.bits), (&[1, 4][..], 4));
    assert!(matches!(model.load(&gpu, "norm"), Ok(LayerWeights::Plain(_))));
    assert_eq!(model.weights().read("other").expect("readable").len(), 2);

    let error = open(config, &[1, 2]).unwrap_err().to_string();
    assert!(error.contains("layer \"a\": with 4 bits in groups of 32"), "{error}");
    for (config, message) in [
        ("{}", "layer \"a\": it has scales, but config.json does not say"),
        (r#"{"quantization": {"bits": 9}}"#, "\"bits\" is Integer(9), no number from 1 to 8"),
        (r#"{"quantization": {"group_size": 0}}"#, "\"group_size\" is Integer(0)"),
        (r#"{"quantization": {"mode": "mxfp4"}}"#, "the mode \"mxfp4\" is not supported"),
        ("{", "config.json: byte 1: "),
    ] {
        let error = open(config, &[1, 1]).unwrap_err().to_string();
        assert!(error.contains(message), "{config}: {error}, not {message}");
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
}
