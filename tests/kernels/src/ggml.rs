//! ggml's kernels in the packages that have them. One has a single source, the other a source for each subject, written
//! later: what both have is launched from both.

use crate::run::{Kernels, Launch};
use crate::structs::Struct;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The sources of one package, compiled once.
#[derive(Debug)]
pub struct Ggml {
    /// The package's name.
    pub package: &'static str,
    files: Vec<Kernels>,
    /// The file of each kernel.
    of: HashMap<String, usize>,
}

/// The packages; tests write arguments as the first one declares them.
const PACKAGES: [&str; 2] = ["whisper-rs-sys", "llama-cpp-sys-2"];

impl Ggml {
    /// All packages.
    ///
    /// # Panics
    /// If a source does not compile.
    pub fn all() -> [&'static Self; 2] {
        static ALL: [OnceLock<Ggml>; 2] = [OnceLock::new(), OnceLock::new()];
        [0, 1].map(|at| ALL[at].get_or_init(|| Self::open(PACKAGES[at])))
    }

    fn open(package: &'static str) -> Self {
        let paths = Kernels::paths(package);
        let files: Vec<Kernels> = paths.iter().map(|path| Kernels::open(package, path)).collect();
        let names = files.iter().enumerate();
        let of = names.flat_map(|(at, file)| file.names().into_iter().map(move |name| (name, at)));
        Self { package, of: of.collect(), files }
    }

    /// The names of all kernels, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.of.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Whether there is a kernel of this name.
    pub fn has(&self, kernel: &str) -> bool {
        self.of.contains_key(kernel)
    }

    fn file(&self, kernel: &str) -> &Kernels {
        let at = self.of.get(kernel);
        &self.files[*at.unwrap_or_else(|| panic!("{}: no kernel {kernel}", self.package))]
    }

    /// Begins a launch of a kernel.
    ///
    /// # Panics
    /// If there is no such kernel.
    pub fn launch(&self, kernel: &str) -> Launch<'_> {
        self.file(kernel).launch(kernel)
    }

    /// The number that one of these macros expands to in the source of a kernel.
    ///
    /// # Panics
    /// If it has none of them.
    pub fn defined(&self, kernel: &str, names: &[&str]) -> usize {
        let file = self.file(kernel);
        let found = names.iter().find_map(|name| file.number(name));
        found.unwrap_or_else(|| panic!("{}: {kernel}: no number {names:?}", self.package))
    }

    /// The arguments of a kernel, written in the order of the first package's struct `ggml_metal_kargs_…`, as this package's
    /// struct has them: by the members' names. Members that it has beyond them are zero. What the first package lacks is written in the order
    /// of this one's struct.
    ///
    /// # Panics
    /// If the fields are not those of the first package's struct, or this one lacks one of them.
    pub fn arguments(&self, kernel: &str, kargs: &str, fields: Struct) -> Vec<u8> {
        let [first, _] = Self::all();
        let given = fields.bytes();
        let text = first.files[0].text();
        let text = if is_declared(text, kargs) { text } else { self.file(kernel).text() };
        let (known, size) = members(text, kargs);
        assert_eq!(size, given.len(), "the members of ggml_metal_kargs_{kargs}");
        let (own, size) = members(self.file(kernel).text(), kargs);
        let mut bytes = vec![0; size];
        for (name, from) in &known {
            let to = own.iter().find(|one| one.0 == *name);
            let (_, to) = to.unwrap_or_else(|| panic!("{}: no {kargs}.{name}", self.package));
            assert_eq!(to.len(), from.len(), "{}: {kargs}.{name}", self.package);
            bytes[to.clone()].copy_from_slice(&given[from.clone()]);
        }
        bytes
    }

    /// Sets a member that the first package's struct lacks, if this one has it.
    pub fn set(&self, kernel: &str, kargs: &str, arguments: &mut [u8], name: &str, value: &[u8]) {
        let (own, _) = members(self.file(kernel).text(), kargs);
        if let Some((_, bytes)) = own.into_iter().find(|one| one.0 == name) {
            arguments[bytes].copy_from_slice(value);
        }
    }
}

/// A member's name and its bytes.
type Member = (String, std::ops::Range<usize>);

/// The end of a struct's declaration.
fn end(kargs: &str) -> String {
    format!("}} ggml_metal_kargs_{kargs};")
}

fn is_declared(text: &str, kargs: &str) -> bool {
    text.contains(&end(kargs))
}

/// The members of a struct, as C lays them out, and its size.
fn members(text: &str, kargs: &str) -> (Vec<Member>, usize) {
    let end = text.find(&end(kargs));
    let end = end.unwrap_or_else(|| panic!("no struct ggml_metal_kargs_{kargs}"));
    let start = text[..end].rfind('{').map_or(0, |at| at + 1);
    let lines = text[start..end].lines().map(|line| line.split("//").next().unwrap_or_default());
    let declarations: String = lines.collect();
    let (mut at, mut align) = (0usize, 1);
    let each = declarations.split(';').filter_map(|one| {
        let (ty, name) = one.trim().split_once(char::is_whitespace)?;
        let size = match ty {
            "bool" | "uint8_t" | "int8_t" => 1,
            "int16_t" | "uint16_t" => 2,
            "int32_t" | "uint32_t" | "int" | "float" => 4,
            "int64_t" | "uint64_t" | "size_t" => 8,
            _ => panic!("{kargs}: the type {ty}"),
        };
        let (name, count) = match name.trim().split_once('[') {
            Some((name, count)) => (name, count.trim_end_matches(']').parse().unwrap_or(1)),
            None => (name.trim(), 1),
        };
        let from = at.next_multiple_of(size);
        (at, align) = (from + size * count, align.max(size));
        Some((name.to_owned(), from..at))
    });
    let all = each.collect();
    (all, at.next_multiple_of(align))
}
