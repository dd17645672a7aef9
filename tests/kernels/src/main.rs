//! `kernels FILE` writes the page that lists what compiles and runs, and `kernels --check FILE` compares it, but for times; `kernels --sources FOLDER` writes the sources; `kernels --native`
//! prints how long machine code takes to make, and how much of each kernel it runs; a text after it chooses sources by their paths;
//! `kernels --data FOLDER` writes all that the tests read; `kernels --reports FILE` compares what the sanitizer reported with what is expected.

use kernels::mlx_metal::MlxMetal;
use kernels::packages::Registry;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--sources", folder] => Registry::open(kernels::MANIFEST)?.write(Path::new(folder)),
        ["--data", folder] => {
            let folder = Path::new(folder);
            Registry::open(kernels::MANIFEST)?.write(&folder.join("sources"))?;
            MlxMetal::open()?.write(&folder.join("mlx-metal"))
        }
        ["--native", ref text @ ..] if text.len() < 2 => {
            let gpu = aruminium::Gpu::open().map_err(io::Error::other)?;
            print!("{}", kernels::native(&gpu, &text.concat())?);
            Ok(())
        }
        ["--reports", file] => match kernels::reports::compare(Path::new(file))? {
            same if same.is_empty() => Ok(()),
            difference => {
                print!("{difference}");
                Err(io::Error::other("reports differ from reports.tsv"))
            }
        },
        ["--check", file] => {
            let gpu = aruminium::Gpu::open().map_err(io::Error::other)?;
            let difference = kernels::check(&gpu, &fs::read_to_string(file)?)?;
            if difference.is_empty() {
                return Ok(());
            }
            let advice = "tests/kernels/README.md says how to write it";
            Err(io::Error::other(format!("{file} is out of date; {advice}:\n{difference}")))
        }
        [file] if !file.starts_with('-') => {
            let gpu = aruminium::Gpu::open().map_err(io::Error::other)?;
            fs::write(file, kernels::report(&gpu)?)
        }
        _ => Err(io::Error::other(
            "usage: kernels FILE | kernels --check FILE | kernels --sources FOLDER | kernels --native [TEXT] | kernels --data FOLDER | kernels --reports FILE",
        )),
    }
}
