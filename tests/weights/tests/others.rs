//! Files written here are read by other packages, and the other way round.

use aruminium::infer::weights::{Entry, Gguf, Safetensors, Value};
use aruminium::infer::{DType, Quant};
use ggus::{GGmlType, GGuf, GGufFileHeader, GGufFileWriter, GGufMetaDataValueType, GGufMetaMapExt};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::HashMap;
use weights_tests::Random;

/// Tensors of these types with random bytes: name, type, shape, bytes.
fn tensors(types: &[DType]) -> Vec<(String, DType, Vec<usize>, Vec<u8>)> {
    let mut random = Random::new(4);
    let tensor = |&dtype: &DType| {
        let shape = vec![3, 2 * dtype.block()];
        let bytes = random.bytes(6 * dtype.block_bytes());
        (format!("blk.0.{dtype}"), dtype, shape, bytes)
    };
    types.iter().map(tensor).collect()
}

fn entries(tensors: &[(String, DType, Vec<usize>, Vec<u8>)]) -> Vec<Entry<'_>> {
    tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| Entry::new(name, *dtype, shape, bytes))
        .collect()
}

fn ggml_types() -> Vec<DType> {
    let plain = DType::PLAIN.iter().copied().filter(|dtype| dtype.ggml().is_some());
    // ggus 0.5 computes the sizes of IQ formats and of Q8_K from other structs than ggml's,
    // and lacks newer formats.
    let quants = Quant::ALL.iter().copied().filter(|quant| quant.id() < 15).map(DType::Quant);
    plain.chain(quants).collect()
}

#[test]
fn ggus_reads_files_written_here() {
    let tensors = tensors(&ggml_types());
    let meta = [
        ("general.architecture", Value::from("llama")),
        ("general.alignment", Value::from(64u32)),
        ("tokenizer.ggml.tokens", Value::from(vec!["a".to_owned(), "é".to_owned()])),
        ("llama.rope.freq_base", Value::from(1e6f32)),
    ];
    let mut file = Vec::new();
    Gguf::write(&mut file, &meta, &entries(&tensors)).expect("writable");
    let theirs = GGuf::new(&file).expect("ggus reads it");
    assert_eq!(theirs.alignment, 64);
    assert_eq!(theirs.general_architecture().expect("a string"), "llama");
    assert_eq!(theirs.meta_kvs.len(), 4);
    assert_eq!(theirs.tensors.len(), tensors.len());
    for (name, dtype, shape, bytes) in &tensors {
        let info = theirs.tensors[&name[..]].to_info();
        assert_eq!(Some(info.ty() as u32), dtype.ggml());
        let sizes: Vec<usize> = info.shape().iter().rev().map(|&size| size as usize).collect();
        assert_eq!((&sizes, info.nbytes()), (shape, bytes.len()));
        assert_eq!(&theirs.data[info.offset()..][..info.nbytes()], bytes);
    }
}

#[test]
fn files_written_by_ggus_are_read() {
    let mut file = Vec::new();
    let header = GGufFileHeader::new(3, 2, 2);
    let mut writer = GGufFileWriter::new(&mut file, header).expect("writable");
    writer.write_alignment(64).expect("writable");
    let text = [&5u64.to_le_bytes()[..], b"llama"].concat();
    writer
        .write_meta_kv("general.architecture", GGufMetaDataValueType::String, &text)
        .expect("writable");
    let mut writer = writer.finish::<Vec<u8>>(true);
    let (a, b) = (vec![1; 18 * 3], vec![2; 20]);
    // The innermost axis comes first.
    writer.write_tensor("a", GGmlType::Q4_0, &[32, 3], a.clone()).expect("writable");
    writer.write_tensor("b", GGmlType::F32, &[5], b.clone()).expect("writable");
    writer.finish().expect("writable");
    let ours = Gguf::parse(file).expect("it is read");
    assert_eq!(ours.alignment(), 64);
    assert_eq!(ours.meta("general.architecture").and_then(Value::as_str), Some("llama"));
    let info = ours.weights().info("a").expect("it is there");
    assert_eq!((info.dtype(), info.shape()), (Some(DType::Quant(Quant::Q4_0)), &[3, 32][..]));
    assert_eq!(ours.weights().read("a").expect("readable"), a);
    assert_eq!(ours.weights().read("b").expect("readable"), b);
}

const TYPES: &[(DType, Dtype)] = &[
    (DType::Bool, Dtype::BOOL),
    (DType::U8, Dtype::U8),
    (DType::I8, Dtype::I8),
    (DType::U16, Dtype::U16),
    (DType::I16, Dtype::I16),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::U32, Dtype::U32),
    (DType::I32, Dtype::I32),
    (DType::F32, Dtype::F32),
    (DType::U64, Dtype::U64),
    (DType::I64, Dtype::I64),
    (DType::F64, Dtype::F64),
];

#[test]
fn the_safetensors_package_reads_files_written_here() {
    assert_eq!(TYPES.len(), DType::PLAIN.len());
    let tensors = tensors(DType::PLAIN);
    let mut file = Vec::new();
    Safetensors::write(&mut file, &[("format", "p\"t")], &entries(&tensors)).expect("writable");
    let (_, meta) = SafeTensors::read_metadata(&file).expect("it is read");
    assert_eq!(meta.metadata().as_ref().expect("a map")["format"], "p\"t");
    let theirs = SafeTensors::deserialize(&file).expect("it is read");
    assert_eq!(theirs.len(), tensors.len());
    for (name, dtype, shape, bytes) in &tensors {
        let view = theirs.tensor(name).expect("it is there");
        assert!(TYPES.contains(&(*dtype, view.dtype())));
        assert_eq!((view.shape(), view.data()), (&shape[..], &bytes[..]));
    }
}

#[test]
fn files_written_by_the_safetensors_package_are_read() {
    let tensors = tensors(DType::PLAIN);
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let ty = TYPES.iter().find(|(ours, _)| ours == dtype).expect("a type").1;
        (&name[..], TensorView::new(ty, shape.clone(), bytes).expect("it fits"))
    });
    let meta = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let file = safetensors::serialize(views, Some(meta)).expect("writable");
    let ours = Safetensors::parse(file).expect("it is read");
    assert_eq!(ours.meta("format"), Some("pt"));
    assert_eq!(ours.weights().tensors().len(), tensors.len());
    for (name, dtype, shape, bytes) in &tensors {
        let info = ours.weights().info(name).expect("it is there");
        assert_eq!((info.dtype(), info.shape()), (Some(*dtype), &shape[..]));
        assert_eq!(&ours.weights().read(name).expect("readable"), bytes);
    }
}
