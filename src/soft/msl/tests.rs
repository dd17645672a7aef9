//! Whole files through all phases: the corpus, the diagnostics, and what no input may do.

use super::*;
use crate::test_random::Random;
use crate::test_scale::scaled;

fn errors(text: &str) -> String {
    match compile(text, &Options::default()) {
        Ok(library) => {
            let mut out = library.warnings.clone();
            for entry in &library.entries {
                if let Err(error) = library.kernel(&entry.name, &ConstantValues::default()) {
                    out += &error.0;
                }
            }
            out
        }
        Err(error) => error.0,
    }
}

#[test]
fn a_kernel_becomes_ir() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\n\
        kernel void saxpy(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],\n\
        constant float& a [[buffer(2)]], uint i [[thread_position_in_grid]]) { y[i] = a * x[i] + y[i]; }";
    let library = compile(text, &Options::default()).unwrap();
    let (module, reflection) = library.kernel("saxpy", &ConstantValues::default()).unwrap();
    ir::verify(&module).unwrap();
    assert_eq!(reflection.arguments.len(), 4);
    println!("{module}");
}

fn corpus() -> Vec<(String, String)> {
    files("tests/msl", "metal")
}

/// The files of a folder of the repository with an ending, by name.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut list: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    list.sort();
    list
}

/// Compiles a text and lowers all its kernels; the IR of each must be valid.
fn whole(text: &str) -> Result<Library, String> {
    let library = compile(text, &Options::default()).map_err(|error| error.0)?;
    for entry in library.entries.iter().filter(|entry| entry.stage == Stage::Kernel) {
        if let Ok((module, _)) = library.kernel(&entry.name, &ConstantValues::default()) {
            ir::verify(&module).map_err(|error| format!("{}: {error:?}\n{module}", entry.name))?;
        }
    }
    Ok(library)
}

#[test]
fn the_corpus_compiles() {
    let corpus = corpus();
    assert!(corpus.len() >= 5);
    for (name, text) in corpus {
        let library = whole(&text).unwrap_or_else(|error| panic!("{name}\n{error}"));
        assert_eq!(library.warnings, "", "{name}");
        for entry in &library.entries {
            let kernel = library.kernel(&entry.name, &ConstantValues::default());
            // Of other stages it is known that they are not supported, and told when they are asked for.
            let supported = entry.stage == Stage::Kernel;
            assert_eq!(kernel.is_ok(), supported, "{name}: {}: {:?}", entry.name, kernel.err());
        }
    }
}

const TEXTURES: &str = "
    #include <metal_stdlib>
    using namespace metal;
    kernel void f(texture2d<half> a [[texture(2)]], texture2d<int, access::write> b,
                  array<texture2d<float>, 4> c, texture3d<uint, access::read_write> d,
                  sampler s [[sampler(0)]], array<sampler, 3> l) {}
";

#[test]
fn entry_points_are_described() {
    let text = corpus().into_iter().find(|(name, _)| name == "entry.metal").unwrap().1;
    let library = compile(&text, &Options::default()).unwrap();
    let names: Vec<&str> = library.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["inner::scale", "specialised", "corner", "colour", "copy_texture"]);
    let reflection = library.reflection("inner::scale").unwrap();
    assert_eq!(reflection.max_total_threads, Some(128));
    let buffers: Vec<_> = reflection.arguments[..3]
        .iter()
        .map(|a| (a.name.as_str(), a.index, a.explicit, a.type_name.as_str(), a.size, a.access))
        .collect();
    use check::entry::Access::{ReadOnly, ReadWrite};
    assert_eq!(
        buffers,
        [
            ("data", 2, true, "float", 4, ReadWrite),
            ("arguments", 0, false, "Arguments", 20, ReadOnly),
            ("offsets", 1, false, "int", 4, ReadOnly),
        ]
    );
    assert_eq!(library.function_constants.len(), 2);
    let stage = library.kernel("colour", &ConstantValues::default()).unwrap_err();
    assert!(stage.0.contains("a stage other than kernel is not supported"), "{stage}");
    let textures = compile(TEXTURES, &Options::default()).unwrap();
    let told: Vec<_> = textures
        .reflection("f")
        .unwrap()
        .arguments
        .into_iter()
        .map(|a| (a.name, a.kind, a.index, a.count, a.type_name, a.access))
        .collect();
    use check::entry::Access::WriteOnly;
    use check::entry::ArgumentKind::{Sampler, Texture};
    let argument = |name: &str, kind, index, count, ty: &str, access| {
        (name.to_owned(), kind, index, count, ty.to_owned(), access)
    };
    assert_eq!(
        told,
        [
            argument("a", Texture, 2, None, "half", ReadOnly),
            argument("b", Texture, 0, None, "int", WriteOnly),
            argument("c", Texture, 3, Some(4), "float", ReadOnly),
            argument("d", Texture, 1, None, "uint", ReadWrite),
            argument("s", Sampler, 0, None, "sampler", ReadOnly),
            argument("l", Sampler, 1, Some(3), "sampler", ReadOnly),
        ]
    );
    assert!(library.reflection("nothing").is_err());
}

/// Each diagnostic has a file of its own, and beside it what is said. `ARUMINIUM_UPDATE=1` writes it.
#[test]
fn diagnostics_read_as_recorded() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/msl/errors");
    let files = files("tests/msl/errors", "metal");
    assert!(!files.is_empty());
    for (name, text) in files {
        let said = errors(&text);
        let path = folder.join(&name).with_extension("txt");
        if std::env::var_os("ARUMINIUM_UPDATE").is_some() {
            std::fs::write(&path, &said).unwrap();
        }
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(said, recorded, "{name}");
        assert!(said.contains("error:") || said.contains("warning:"), "{name} is no mistake");
    }
}

// ---- what no input may do ----------------------------------------------------------------

/// Compiles and lowers; only a panic, a hang or an invalid IR is a failure.
fn survives(text: &str, what: &str) {
    let result = std::panic::catch_unwind(|| whole(text).map(drop));
    match result {
        Ok(Err(error)) if error.contains("Invalid") => panic!("{what}\n{error}\n{text}"),
        Ok(_) => {}
        Err(_) => panic!("{what}\n{text}"),
    }
}

#[test]
fn random_bytes_survive() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    for _ in 0..scaled(200) {
        let length = random.below(200);
        let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        survives(&String::from_utf8_lossy(&bytes), "random bytes");
    }
}

#[test]
fn truncations_survive() {
    let mut random = Random::new(77);
    for (name, text) in corpus() {
        for _ in 0..scaled(30) {
            let mut end = random.below(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            survives(&text[..end], &name);
        }
    }
}

#[test]
fn mutations_survive() {
    let corpus = corpus();
    let mut random = Random::new(4242);
    let words: Vec<Vec<&str>> = corpus.iter().map(|(_, text)| pieces(text)).collect();
    for round in 0..scaled(600) {
        let which = random.below(words.len());
        let mut mutant = words[which].clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(mutant.len());
            let donor = &words[random.below(words.len())];
            match random.below(4) {
                0 => drop(mutant.remove(at)),
                1 => mutant[at] = donor[random.below(donor.len())],
                2 => mutant.insert(at, donor[random.below(donor.len())]),
                _ => {
                    let other = random.below(mutant.len());
                    mutant.swap(at, other);
                }
            }
        }
        survives(&mutant.concat(), &format!("mutant {round} of {}", corpus[which].0));
    }
}

/// A text in words, numbers, spaces and single marks.
fn pieces(text: &str) -> Vec<&str> {
    let class = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            1
        } else if c.is_whitespace() {
            2
        } else {
            0
        }
    };
    let mut out = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices().skip(1) {
        let before = text[start..].chars().next().unwrap_or(' ');
        if class(c) != class(before) || class(c) == 0 {
            out.push(&text[start..at]);
            start = at;
        }
    }
    out.push(&text[start..]);
    out
}

#[test]
fn a_small_thread_is_enough() {
    let deep = format!(
        "kernel void k(device int* a) {{ a[0] = {}1{}; }}",
        "(".repeat(200),
        ")".repeat(200)
    );
    let long = format!("kernel void k(device int* a) {{ a[0] = 0{}; }}", " + a[1]".repeat(900));
    let thread = std::thread::Builder::new().stack_size(128 << 10);
    let run = thread.spawn(move || (whole(&deep).is_ok(), whole(&long).is_ok())).unwrap();
    assert_eq!(run.join().unwrap(), (true, true));
}

/// What a small kernel costs from text to IR, in a build with optimisation.
/// `cargo test --release --lib compile_time -- --ignored --nocapture`
#[test]
#[ignore = "measures; says nothing in a build without optimisation"]
fn compile_time() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\n\
        kernel void saxpy(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],\n\
        constant float& a [[buffer(2)]], uint i [[thread_position_in_grid]]) { y[i] = a * x[i] + max(y[i], 1.0f); }";
    let mut best = [std::time::Duration::MAX; 2];
    for _ in 0..200 {
        let start = std::time::Instant::now();
        let library = compile(text, &Options::default()).unwrap();
        let middle = std::time::Instant::now();
        library.kernel("saxpy", &ConstantValues::default()).unwrap();
        best[0] = best[0].min(middle - start);
        best[1] = best[1].min(middle.elapsed());
    }
    println!("library {:?}, kernel {:?}", best[0], best[1]);
    for (name, text) in corpus() {
        let start = std::time::Instant::now();
        whole(&text).unwrap();
        println!("{name}: {} lines in {:?}", text.lines().count(), start.elapsed());
    }
}
