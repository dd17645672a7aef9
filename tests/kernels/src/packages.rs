//! The packages whose kernels are compiled, and their Metal sources in the form that their own programs compile.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The environment variable that names a folder written by `kernels --sources`: the sources are read there, without cargo.
const WRITTEN: &str = "KERNELS_SOURCES";

/// A package of crates.io with Metal sources, and the macros that it compiles them with.
#[derive(Debug)]
pub struct Package {
    /// Its name in `Cargo.toml`.
    pub name: &'static str,
    /// The macros that its program defines for every source.
    pub macros: &'static [(&'static str, &'static str)],
}

impl Package {
    /// Its macros as text before a source.
    pub fn defines(&self) -> String {
        self.macros.iter().map(|(name, value)| format!("#define {name} {value}\n")).collect()
    }
}

/// All of them.
pub const PACKAGES: &[Package] = &[
    Package { name: "candle-metal-kernels", macros: &[] },
    Package { name: "llama-cpp-sys-2", macros: &[("GGML_METAL_HAS_BF16", "1")] },
    Package { name: "mlx-native", macros: &[] },
    Package { name: "whisper-rs-sys", macros: &[("GGML_METAL_HAS_BF16", "1")] },
];

/// One Metal source with its includes expanded.
#[derive(Debug)]
pub struct Source {
    /// The file's path in its package.
    pub path: String,
    /// The text that is compiled.
    pub text: String,
}

/// The folders with the sources of the packages.
#[derive(Debug)]
pub struct Registry {
    /// The folders of all packages that this manifest's graph has, or that were written to one folder.
    folders: Vec<PathBuf>,
}

impl Registry {
    /// Fetches the packages that a manifest names, and gets their folders from cargo; or finds them where `KERNELS_SOURCES`
    /// says.
    pub fn open(manifest: &str) -> io::Result<Self> {
        match env::var_os(WRITTEN) {
            Some(folder) => Self::written(Path::new(&folder)),
            None => Self::fetched(manifest),
        }
    }

    /// The packages that [`write`](Self::write) wrote.
    pub fn written(folder: &Path) -> io::Result<Self> {
        let read = |error| io::Error::other(format!("{}: {error}", folder.display()));
        let entries = fs::read_dir(folder).map_err(read)?;
        Ok(Self { folders: entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()? })
    }

    /// Writes the sources with their includes expanded and their macros defined, as tools need them that read files.
    #[allow(dead_code)] // The benchmarks, which have this module too, only read.
    pub fn write(&self, to: &Path) -> io::Result<()> {
        for package in PACKAGES {
            let (_, version) = self.folder(package)?;
            let folder = to.join(format!("{}-{version}", package.name));
            for source in self.sources(package)? {
                let path = folder.join(&source.path);
                fs::create_dir_all(path.parent().unwrap_or(&folder))?;
                fs::write(path, package.defines() + &source.text)?;
            }
        }
        Ok(())
    }

    /// The text that a package's program compiles for one file.
    #[allow(dead_code)] // Only the benchmarks choose files.
    pub fn source(&self, package: &str, file: &str) -> io::Result<String> {
        let missing = || io::Error::other(format!("no {file} in {package}"));
        let package = PACKAGES.iter().find(|known| known.name == package).ok_or_else(missing)?;
        let sources = self.sources(package)?;
        let found = sources.into_iter().find(|source| source.path.ends_with(file));
        Ok(package.defines() + &found.ok_or_else(missing)?.text)
    }

    fn fetched(manifest: &str) -> io::Result<Self> {
        cargo(&["fetch", "--locked", "--manifest-path", manifest])?;
        let answer =
            cargo(&["metadata", "--locked", "--format-version=1", "--manifest-path", manifest])?;
        // Only one key of this JSON is needed, and its values have no escapes.
        let folders = answer
            .split("\"manifest_path\":\"")
            .skip(1)
            .filter_map(|rest| Path::new(rest.split('"').next()?).parent())
            .map(Path::to_owned)
            .collect();
        Ok(Self { folders })
    }

    /// The folder of a package and its version.
    pub fn folder(&self, package: &Package) -> io::Result<(&Path, &str)> {
        let version = |folder: &Path| -> Option<usize> {
            let name = folder.file_name()?.to_str()?;
            let version = name.strip_prefix(package.name)?.strip_prefix('-')?;
            version.starts_with(|c: char| c.is_ascii_digit()).then_some(version.len())
        };
        let found = self.folders.iter().find_map(|folder| {
            let name = folder.file_name()?.to_str()?;
            Some((folder.as_path(), &name[name.len() - version(folder)?..]))
        });
        found.ok_or_else(|| io::Error::other(format!("cargo names no folder of {}", package.name)))
    }

    /// The sources of a package that its programs compile: those that no other source includes.
    pub fn sources(&self, package: &Package) -> io::Result<Vec<Source>> {
        let (root, _) = self.folder(package)?;
        let mut paths = Vec::new();
        find(root, &mut paths)?;
        paths.sort();
        let mut included = HashSet::new();
        let mut sources = Vec::new();
        for path in paths {
            let mut seen = HashSet::from([path.clone()]);
            let text = assemble(root, &path, &mut seen)?;
            seen.remove(&path);
            included.extend(seen);
            sources.push((path, text));
        }
        sources.retain(|(path, _)| !included.contains(path));
        // Written sources have the macros already; without them, lines have the same numbers.
        let defines = package.defines();
        let source = |(path, text): (PathBuf, String)| Source {
            path: path.strip_prefix(root).unwrap_or(&path).display().to_string(),
            text: text.strip_prefix(&defines).map(str::to_owned).unwrap_or(text),
        };
        Ok(sources.into_iter().map(source).collect())
    }
}

fn cargo(arguments: &[&str]) -> io::Result<String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("cargo {}: {said}", arguments.join(" "))))
}

/// The `.metal` files below a folder.
fn find(folder: &Path, out: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "metal") {
            out.push(path);
        }
    }
    Ok(())
}

/// A source with its neighbours in the place of their `#include "…"`, each once: a library is made of
/// one text, so programs do this before they compile it, whatever their way.
pub(super) fn assemble(
    root: &Path,
    path: &Path,
    seen: &mut HashSet<PathBuf>,
) -> io::Result<String> {
    let mut out = String::new();
    for line in fs::read_to_string(path)?.lines() {
        let included = included(line).and_then(|name| neighbour(root, path, name));
        match included {
            Some(neighbour) if seen.insert(neighbour.clone()) => {
                out += &assemble(root, &neighbour, seen)?;
            }
            Some(_) => {}
            None if line.trim() == "#pragma once" => {}
            None => {
                out += line;
                out.push('\n');
            }
        }
    }
    Ok(out)
}

/// The name in a line `#include "name"`.
pub(super) fn included(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix('#')?.trim().strip_prefix("include")?.trim();
    name.strip_prefix('"')?.split('"').next()
}

/// The file of that name in the folder of the file that includes it, or in one around it.
fn neighbour(root: &Path, path: &Path, name: &str) -> Option<PathBuf> {
    path.ancestors()
        .skip(1)
        .take_while(|folder| folder.starts_with(root))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
