//! Tests of the back end for NVIDIA GPUs that need no GPU: the kernels of `tests/msl` become text that NVIDIA's assembler
//! takes, if `ARUMINIUM_TEST_PTXAS` is its path.

mod textures;

use super::emit::{self, Options};
use crate::soft::ir::with_stack;
use crate::soft::msl::ast::Stage;
use crate::soft::msl::{self, ConstantValues};
use std::path::Path;
use std::process::Command;

/// The texts of every nth kernel of a source, by name; `Err` with what a kernel uses that is not supported.
fn texts(
    file: &str,
    source: &str,
    options: Options,
    every: usize,
) -> Vec<(String, Result<String, String>)> {
    let compile = msl::Options { file_name: file.into(), ..msl::Options::default() };
    let library = msl::compile(source, &compile).unwrap_or_else(|error| panic!("{error}"));
    let kernels = library.entries.iter().filter(|entry| entry.stage == Stage::Kernel);
    let text = |name: &str| {
        let (module, _) =
            library.kernel(name, &ConstantValues::default()).map_err(|error| error.0)?;
        let function =
            super::prepare(&module, Default::default()).map_err(|error| error.to_string())?;
        let emitted = with_stack(|| emit::emit(&module, &function, options));
        emitted.map(|emitted| emitted.text).map_err(|unsupported| unsupported.0)
    };
    kernels.step_by(every).map(|entry| (entry.name.clone(), text(&entry.name))).collect()
}

/// What the assembler says about a text; `None` if it takes it.
fn assembled(assembler: &str, folder: &Path, text: &str, target: u32) -> Option<String> {
    let file = folder.join("kernel.ptx");
    std::fs::write(&file, text).expect("a file");
    let output = Command::new(assembler)
        .arg(format!("-arch=sm_{target}"))
        .args(["-O0", "-o"])
        .arg(folder.join("kernel.cubin"))
        .arg(&file)
        .output()
        .expect("the assembler runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    (!output.status.success()).then_some(said)
}

#[test]
fn every_kernel_of_the_corpus_is_taken_by_the_assembler() {
    let folder = format!("{}/tests/msl", env!("CARGO_MANIFEST_DIR"));
    let assembler = std::env::var("ARUMINIUM_TEST_PTXAS").ok();
    let room = std::env::temp_dir().join(format!("aruminium-ptx-{}", std::process::id()));
    std::fs::create_dir_all(&room).expect("a folder");
    let (mut written, mut unsupported, mut wrong) = (0, Vec::new(), Vec::new());
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the corpus").flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let Ok(source) = std::fs::read_to_string(file.path()) else { continue };
        if !name.ends_with(".metal") {
            continue;
        }
        for (number, target) in [80, 70].into_iter().enumerate() {
            let (alignment, strict) = (16 >> (2 * number), number == 1);
            let options = Options { target, threads: 256, alignment, strict, checked: true };
            // A sample for the older target, and for memory that may not be aligned.
            let every = if number == 0 { 1 } else { 8 };
            for (kernel, text) in texts(&name, &source, options, every) {
                match text {
                    Err(what) => unsupported.push(format!("{name}: {kernel}: {what}")),
                    Ok(text) => {
                        written += 1;
                        let Some(assembler) = &assembler else { continue };
                        if let Some(said) = assembled(assembler, &room, &text, target) {
                            let said: Vec<&str> = said.lines().take(4).collect();
                            wrong.push(format!("{name}: {kernel}: {}", said.join("\n")));
                        }
                    }
                }
            }
        }
    }
    std::fs::remove_dir_all(&room).expect("the folder is removed");
    println!("{written} texts");
    assert!(unsupported.is_empty(), "{unsupported:?}");
    assert!(wrong.is_empty(), "{} of {written}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(written > 100, "{written}");
}
