//! MLX's kernels as the Python package `mlx-metal` has them: headers of templates, and a compiled library whose
//! function table has the names. A name identifies a template and its arguments.
//!
//! `tests/kernels/fetch-mlx-metal` fetches the package to `target/mlx-metal`, or `MLX_METAL` says where it is.

mod families;
mod nax;

use crate::packages;
use crate::run::Kernels;
use aruminium::{CompileOptions, LanguageVersion};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The version that is fetched.
pub const VERSION: &str = "0.32.4";

const LIBRARY: &str = "mlx/lib/mlx.metallib";
const INCLUDE: &str = "mlx/include";

/// A group of kernels: its headers, and how its names are written as instances of templates.
#[derive(Debug)]
pub struct Family {
    /// The name in messages.
    pub name: &'static str,
    /// The headers that its source includes after the common ones, in the folder of kernels.
    pub headers: &'static [&'static str],
    /// `template<arguments>` for a name of the family; `None` for another name.
    instance: fn(&str) -> Option<String>,
    /// Whether it uses Metal 4's tensors.
    pub metal_4: bool,
}

/// Every family whose kernels the headers can express.
pub fn families() -> impl Iterator<Item = &'static Family> {
    families::FAMILIES.iter().chain(nax::FAMILIES)
}

/// Headers of which MLX writes the instances at run time, so that the library has no names of them.
pub const AT_RUN_TIME: &[Family] = &[
    Family {
        name: "indexing",
        headers: &[
            "atomic.h",
            "reduction/ops.h",
            "logging.h",
            "indexing/gather.h",
            "indexing/gather_axis.h",
            "indexing/gather_front.h",
            "indexing/masked_scatter.h",
            "indexing/scatter.h",
            "indexing/scatter_axis.h",
        ],
        instance: |_| None,
        metal_4: false,
    },
    Family { name: "hadamard", headers: &["hadamard.h"], instance: |_| None, metal_4: false },
];

/// The kernels of headers whose instances MLX writes at run time: the headers after one text and before another.
///
/// # Panics
/// If the package is not there, has no such headers, or the text does not compile.
pub fn at_run_time(name: &str, before: &str, after: &str) -> Kernels {
    let mlx = MlxMetal::open().unwrap_or_else(|error| panic!("{error}"));
    let family = AT_RUN_TIME.iter().find(|family| family.name == name);
    let family = family.unwrap_or_else(|| panic!("no family {name}"));
    let headers = mlx.source(family, &[]).unwrap_or_else(|error| panic!("{error}"));
    Kernels::compiled(name, family.path(), &format!("{before}{headers}{after}"))
}

impl Family {
    /// The options that its source is compiled with.
    pub fn options(&self) -> Option<CompileOptions> {
        self.metal_4.then(|| {
            let options = CompileOptions::new();
            options.set_language_version(LanguageVersion::Version4_0);
            options
        })
    }

    /// The path under which its kernels are recorded when they ran.
    pub fn path(&self) -> String {
        format!("mlx-metal/{}", self.name)
    }
}

/// An explicit instantiation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// The name in the library's function table.
    pub name: String,
    /// `template<arguments>`
    pub text: String,
}

impl Instance {
    /// The template's name.
    pub fn template(&self) -> &str {
        self.text.split('<').next().unwrap_or_default()
    }

    /// The template's arguments, which contain no lists of several themselves.
    pub fn arguments(&self) -> Vec<&str> {
        let list = self.text.split_once('<').and_then(|(_, list)| list.strip_suffix('>'));
        list.unwrap_or_default().split(", ").collect()
    }
}

/// The package where it was fetched.
#[derive(Debug)]
pub struct MlxMetal {
    include: PathBuf,
    names: Vec<String>,
}

impl MlxMetal {
    /// Opens the package, and reads the names of its library's functions.
    pub fn open() -> io::Result<Self> {
        let folder = match env::var_os("MLX_METAL") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/mlx-metal")),
        };
        let library = folder.join(LIBRARY);
        let bytes = fs::read(&library).map_err(|error| {
            let path = library.display();
            io::Error::other(format!("{path}: {error}; tests/kernels/fetch-mlx-metal fetches it"))
        })?;
        Ok(Self { include: folder.join(INCLUDE), names: function_names(&bytes) })
    }

    /// Writes what [`open`](Self::open) reads: the headers, and of the library, which is large, the records of names.
    pub fn write(&self, to: &Path) -> io::Result<()> {
        let mut table = Vec::new();
        for name in &self.names {
            let length = u16::try_from(name.len() + 1).map_err(io::Error::other)?;
            table.extend([b"NAME", &length.to_le_bytes()[..], name.as_bytes(), b"\0TYPE"].concat());
        }
        let library = to.join(LIBRARY);
        fs::create_dir_all(library.parent().unwrap_or(to))?;
        fs::write(library, table)?;
        copy_headers(&self.include, &to.join(INCLUDE))
    }

    /// The names of the library's functions.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The kernels of a family.
    pub fn instances(&self, family: &Family) -> Vec<Instance> {
        let instance = |name: &String| {
            let text = (family.instance)(name)?;
            Some(Instance { name: name.clone(), text })
        };
        self.names.iter().filter_map(instance).collect()
    }

    /// A family compiled with these instances.
    ///
    /// # Panics
    /// If it does not compile.
    pub fn compiled(&self, family: &Family, instances: &[Instance]) -> Kernels {
        let source = self.source(family, instances).unwrap_or_else(|error| panic!("{error}"));
        Kernels::compiled_with(family.name, family.path(), &source, family.options().as_ref())
    }

    /// The source of a family with these instances, with all headers in it.
    pub fn source(&self, family: &Family, instances: &[Instance]) -> io::Result<String> {
        let folder = "mlx/backend/metal/kernels";
        let headers = ["utils.h"].iter().chain(family.headers);
        let mut text = String::from("#include <metal_stdlib>\nusing namespace metal;\n");
        for header in headers {
            text += &format!("#include \"{folder}/{header}\"\n");
        }
        let mut source = inlined(&self.include, &text)?;
        for Instance { name, text } in instances {
            let line =
                format!("template [[host_name(\"{name}\")]] [[kernel]] decltype({text}) {text};\n");
            source += &line;
        }
        Ok(source)
    }
}

/// The names in a library's function table: records `NAME`, a length, the text, before one `TYPE`.
fn function_names(library: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(found) = library[at..].windows(4).position(|four| four == b"NAME") {
        at += found + 4;
        let Some(&[low, high]) = library.get(at..at + 2) else { break };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let end = at + 2 + length;
        if let Some([text @ .., 0]) = library.get(at + 2..end)
            && library.get(end..end + 4) == Some(b"TYPE")
            && let Ok(name) = std::str::from_utf8(text)
        {
            names.push(name.to_owned());
            at = end;
        }
    }
    names
}

/// Copies the headers below a folder.
fn copy_headers(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        match path.is_dir() {
            true => copy_headers(&path, &copy)?,
            false if path.extension().is_some_and(|extension| extension == "h") => {
                fs::copy(&path, &copy)?;
            }
            false => {}
        }
    }
    Ok(())
}

/// A text with the files of its `#include "…"` below `root` in their place, each once.
fn inlined(root: &Path, text: &str) -> io::Result<String> {
    let (mut out, mut seen) = (String::new(), HashSet::new());
    for line in text.lines() {
        match packages::included(line).map(|name| root.join(name)) {
            Some(path) if seen.insert(path.clone()) => {
                out += &packages::assemble(root, &path, &mut seen)?
            }
            Some(_) => {}
            None => {
                out += line;
                out.push('\n');
            }
        }
    }
    Ok(out)
}

/// A family compiled with one instance of each group, another one of each, so that all types are among them; with all
/// instances if the environment variable `MLX_RUN` is `all`.
///
/// # Panics
/// If the package is not there, has no such family, or the family does not compile.
pub fn sampled(family: &str, group: impl Fn(&Instance) -> String) -> (Kernels, Vec<Instance>) {
    let mlx = MlxMetal::open().unwrap_or_else(|error| panic!("{error}"));
    let known = families().find(|known| known.name == family);
    let known = known.unwrap_or_else(|| panic!("no family {family}"));
    let mut instances = mlx.instances(known);
    if env::var("MLX_RUN").is_ok_and(|which| which == "all") {
        return (mlx.compiled(known, &instances), instances);
    }
    let mut groups: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
    for instance in instances {
        groups.entry(group(&instance)).or_default().push(instance);
    }
    let each = groups.into_values().enumerate();
    instances = each.map(|(at, mut group)| group.swap_remove(at * 5 % group.len())).collect();
    (mlx.compiled(known, &instances), instances)
}

/// At most `count` of the instances of each template, spread evenly.
pub fn spread(instances: &[Instance], count: usize) -> Vec<Instance> {
    let mut by_template: HashMap<&str, Vec<&Instance>> = HashMap::new();
    for instance in instances {
        by_template.entry(instance.template()).or_default().push(instance);
    }
    let mut names: Vec<&&str> = by_template.keys().collect();
    names.sort();
    let mut chosen = Vec::new();
    for name in names {
        let all = &by_template[*name];
        let step = all.len().div_ceil(count).max(1);
        chosen.extend(all.iter().step_by(step).map(|one| (*one).clone()));
    }
    chosen
}
