//! `kernels FILE` writes the page that lists what compiles; `kernels --sources FOLDER` writes the sources; `kernels --native`
//! prints how long machine code takes to make, and how much of each kernel it runs.

use kernels::packages::{PACKAGES, Registry};
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--sources", folder] => write_sources(Path::new(folder)),
        ["--native"] => {
            let gpu = aruminium::Gpu::open().map_err(io::Error::other)?;
            print!("{}", kernels::native(&gpu)?);
            Ok(())
        }
        [file] if !file.starts_with('-') => {
            let gpu = aruminium::Gpu::open().map_err(io::Error::other)?;
            fs::write(file, kernels::report(&gpu)?)
        }
        _ => Err(io::Error::other(
            "usage: kernels FILE | kernels --sources FOLDER | kernels --native",
        )),
    }
}

/// Writes each source with its includes expanded, for tools that read files.
fn write_sources(folder: &Path) -> io::Result<()> {
    let registry = Registry::open(kernels::MANIFEST)?;
    for package in PACKAGES {
        let (folder, macros) = (folder.join(package.name), package.macros);
        fs::create_dir_all(&folder)?;
        let defines: String =
            macros.iter().map(|(name, value)| format!("#define {name} {value}\n")).collect();
        for source in registry.sources(package)? {
            let name = Path::new(&source.path).file_name().unwrap_or_default();
            fs::write(folder.join(name), defines.clone() + &source.text)?;
        }
    }
    Ok(())
}
