//! Every public item is used in an example: in its own documentation, or in that of another item of
//! its file, as most methods are in the examples of their type.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The items and examples of a file.
#[derive(Default)]
struct Source {
    /// The public items: name, line, and whether the item's own documentation has an example.
    items: Vec<(String, usize, bool)>,
    /// All words in examples.
    shown: HashSet<String>,
}

fn words(code: &str) -> impl Iterator<Item = String> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned)
}

/// The name of the public item that a line declares.
fn public_item(line: &str) -> Option<&str> {
    let mut rest = line.strip_prefix("pub ")?;
    for modifier in ["const fn ", "const unsafe fn ", "unsafe fn ", "unsafe trait "] {
        if let Some(name) = rest.strip_prefix(modifier) {
            return name.split(|c: char| !c.is_alphanumeric() && c != '_').next();
        }
    }
    let (kind, name) = rest.split_once(' ')?;
    rest = name;
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "class"];
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    // Items that a macro declares are shown where the macro is used, or by the macro.
    (kinds.contains(&kind) && !name.is_empty()).then_some(name)
}

fn read(path: &Path, hidden_types: &HashSet<String>) -> Source {
    let text = std::fs::read_to_string(path).unwrap();
    let mut source = Source::default();
    let (mut in_code, mut example, mut hidden, mut in_attribute) = (false, false, false, false);
    let mut of_hidden_type = false;
    for (line, number) in text.lines().zip(1..) {
        if line.starts_with("impl") {
            of_hidden_type = words(line).any(|word| hidden_types.contains(&word));
        } else if line.starts_with('}') {
            of_hidden_type = false;
        }
        let line = line.trim();
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        if let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) {
            let doc = doc.trim();
            if doc.starts_with("```") {
                in_code = !in_code;
                example = true;
            } else if in_code {
                source.shown.extend(words(doc));
            }
            continue;
        }
        hidden |= line == "#[doc(hidden)]";
        // A line of an example that a macro generates.
        if line.starts_with("#[doc = concat!(") {
            example |= line.contains("```");
            continue;
        }
        in_attribute |= line.starts_with("#[");
        if in_attribute {
            in_attribute = !line.ends_with(']');
            continue;
        }
        if let Some(name) = public_item(line).filter(|_| !hidden && !of_hidden_type) {
            source.items.push((name.to_owned(), number, example));
        }
        (example, hidden) = (false, false);
    }
    source
}

/// The exports of `src/objc/mod.rs` that are only for the macros.
fn hidden_exports(root: &Path) -> HashSet<String> {
    let text = std::fs::read_to_string(root.join("objc/mod.rs")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let hidden = lines.windows(2).filter(|pair| pair[0] == "#[doc(hidden)]");
    hidden.flat_map(|pair| words(pair[1].split("::").last().unwrap())).collect()
}

/// The files in a folder and those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn public_items_have_examples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let hidden = hidden_exports(&root);
    let (mut items, mut missing) = (0, Vec::new());
    for folder in ["driver", "objc", "abi", "fp16", "infer"] {
        for path in files(&root.join(folder)) {
            let name = path.strip_prefix(root.join(folder)).unwrap().to_str().unwrap().to_owned();
            // C functions and the names of 0.2 are tables; rules are only for the macros.
            let tests = name.split('/').any(|part| ["tests", "tests.rs"].contains(&part));
            if tests || ["link.rs", "ffi.rs", "rules.rs"].contains(&name.as_str()) {
                continue;
            }
            let source = read(&path, &hidden);
            items += source.items.len();
            missing.extend(source.items.iter().filter_map(|(item, line, example)| {
                let seen = *example || source.shown.contains(item) || hidden.contains(item);
                (!seen).then(|| format!("src/{folder}/{name}:{line}: {item}"))
            }));
        }
    }
    assert!(items > 300, "{items}");
    assert!(missing.is_empty(), "no example shows\n{}", missing.join("\n"));
}

#[test]
fn items_are_distinguished_from_other_lines() {
    assert_eq!(public_item("pub fn wait(self) {"), Some("wait"));
    assert_eq!(public_item("pub unsafe fn batch("), Some("batch"));
    assert_eq!(public_item("pub class Gpu: MTLDevice;"), Some("Gpu"));
    assert_eq!(public_item("pub const STATUS_ERROR: u64 = 5;"), Some("STATUS_ERROR"));
    for line in [
        "pub use x;",
        "pub(crate) fn f();",
        "pub const $Value: Self",
        "fn f()",
        "pub width: usize,",
    ] {
        assert_eq!(public_item(line), None, "{line}");
    }
}

#[test]
fn the_page_on_conformance_names_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("specs/conformance.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| section"));
    let mut sections = 0;
    for row in rows {
        let tests = row.strip_suffix('|').and_then(|cells| cells.rsplit('|').next()).unwrap();
        for file in tests.split('`').skip(1).step_by(2) {
            let path = if file.contains('/') { file.into() } else { format!("tests/msl/{file}") };
            assert!(root.join(&path).exists(), "{row}: there is no file {path}");
        }
        sections += 1;
    }
    assert!(sections > 70, "{sections} rows");
}

/// The public names of `mlx-native`'s documentation: its modules, types, functions and constants, re-exported ones too, and the
/// methods that it mentions.
const MLX_NATIVE: &str = "
    encoder_worker gguf graph kernel_profile metal metal_capture ops tq_oracle turboquant weight
    BufferRange CommandEncoder DispatchRecord EncoderSession KernelRegistry MTLSize MemRanges MlxBuffer MlxBufferPool
    MlxDevice CapturedNode CapturedOpKind DType DispatchKind KernelArg MemRangeRole MlxError RecordedBinding Result
    auto_barrier_concurrent_count auto_barrier_count barrier_count barrier_total_ns cmd_buf_count dispatch_count
    pipeline_dispatch_buckets reset_counters reset_pipeline_dispatch_buckets sync_count
    ComputeGraph GraphExecutor GraphSession OpKind GgufFile MetadataValue TensorInfo GgmlType
    dense_matmul_bf16_f32_tensor DenseMmBf16F32Params dense_matmul_f16_f32_tensor DenseMmF16F32Params
    dense_matmul_f32_f32_tensor DenseMmF32F32Params quantized_matmul quantized_matmul_simd QuantizedMatmulParams
    quantized_matmul_ggml quantized_matmul_mm_tensor_perm021 quantized_matmul_mm_tensor_perm021_f16
    GgmlQuantizedMatmulParams GgmlQuantizedMatmulPerm021Params MM_ROUTING_THRESHOLD mul_mv_ext_dispatch MulMvExtParams
    quantized_matmul_id quantized_matmul_id_into QuantizedMatmulIdParams quantized_matmul_id_ggml
    quantized_matmul_id_ggml_pooled quantized_matmul_id_swiglu_q4_0 GgmlIdMmDispatchParams
    GgmlQuantizedMatmulIdParams IdMmScratch MM_ID_ROUTING_THRESHOLD load_quantized_weights
    alloc_buffer command_encoder dispatch_tracked memory_barrier
    safetensors_to_metal_buffer QuantizationConfig QuantizedWeight SafetensorsFile TensorQuantConfig";

#[test]
fn every_name_of_mlx_native_leads_to_one_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let listing = std::fs::read_to_string(root.join("public-api.txt")).unwrap();
    let api: HashSet<String> = listing.lines().flat_map(words).collect();
    let mut there = HashSet::new();
    for page in ["infer.md", "ops.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let table = text.split("## Coming from mlx-native").nth(1).unwrap();
        let table = table.split("\n## ").next().unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
        for row in rows {
            let [_, from, to, _] = row.split('|').collect::<Vec<_>>()[..] else {
                panic!("{page}: not two columns: {row}");
            };
            let code = |column: &str| -> Vec<String> {
                column.split('`').skip(1).step_by(2).map(str::to_owned).collect()
            };
            // A method is found by its name, too.
            let names = code(from);
            let methods = names.iter().filter_map(|name| name.rsplit_once("::"));
            there.extend(methods.map(|(_, method)| method.to_owned()).collect::<Vec<_>>());
            there.extend(names);
            for path in code(to) {
                let missing = words(&path).find(|word| !word.is_empty() && !api.contains(word));
                assert_eq!(missing, None, "{page}: `{path}` does not exist, in the row {row}");
            }
        }
    }
    let missing: Vec<&str> =
        MLX_NATIVE.split_whitespace().filter(|&name| !there.contains(name)).collect();
    assert_eq!(missing, [""; 0], "names without a row");
}
