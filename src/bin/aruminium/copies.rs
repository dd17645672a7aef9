//! Copies of packages in the folder of the library, in whose sources `kind = "framework"` is replaced.

use super::Failure;
use super::library::{part, write_script};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The text after `kind =` in the attributes that are rewritten, and its replacement: the compiler accepts
/// frameworks for Apple's targets only.
const REPLACED: (&str, &str) = ("\"framework\"", "\"dylib\"");

/// The kinds of packages that are copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A crate of the family. A source that names a framework in another way is an error.
    Member,
    /// A package of the user's. Files that are no sources, which may be large, are links to its own.
    Program,
}

/// A package's own folder, and the folder of its copy.
pub(super) struct Copy {
    root: PathBuf,
    copy: PathBuf,
}

impl Copy {
    /// The copy of a package as its files are. It is made unless it exists.
    pub(super) fn of(folder: &Path, root: &Path, kind: Kind) -> Result<Self, Failure> {
        let failed = |error: io::Error| format!("{}: the copy failed: {error}", root.display());
        let name = root.file_name().ok_or("Cargo named no package")?;
        let mut files = Vec::new();
        list(root, Path::new(""), &mut files).map_err(failed)?;
        files.sort();
        // Other packages have folders of this name, and the files of a fork change.
        let mut hasher = DefaultHasher::new();
        (root, kind).hash(&mut hasher);
        let package = format!("{}-{:016x}", name.display(), hasher.finish());
        for path in &files {
            let about = fs::metadata(root.join(path)).map_err(failed)?;
            (path, about.len(), about.modified().ok()).hash(&mut hasher);
        }
        let name = format!("{package}-{:016x}", hasher.finish());
        let copies = folder.join("src");
        let done = Self { root: root.to_path_buf(), copy: copies.join(&name) };
        if done.copy.is_dir() {
            mark_as_used(&done.copy);
            return Ok(done);
        }
        if kind == Kind::Program {
            // It is edited often, and its states are many.
            for old in fs::read_dir(&copies).into_iter().flatten().flatten() {
                let is_of_package =
                    old.file_name().as_encoded_bytes().starts_with(package.as_bytes());
                if is_of_package && is_unused(&old).unwrap_or(false) {
                    _ = fs::remove_dir_all(old.path());
                }
            }
        }
        let part = part(&done.copy);
        for path in &files {
            let from = root.join(path);
            let rewritten = copy_file(&from, &part.join(path), kind).map_err(failed)?;
            if let Some(line) = rewritten.left
                && kind == Kind::Member
            {
                _ = fs::remove_dir_all(&part);
                return Err(format!(
                    "{}:{line}: the crate names a framework in a way that this launcher does not rewrite: use another \
                     version of the crate, and report this one",
                    from.display()
                ));
            }
            write_scripts(folder, &rewritten.frameworks)?;
        }
        match fs::rename(&part, &done.copy) {
            // Another compiler has made the same copy meanwhile.
            Err(_) if done.copy.is_dir() => fs::remove_dir_all(&part).map_err(failed)?,
            result => result.map_err(failed)?,
        }
        Ok(done)
    }

    /// The arguments that make the compiler read the copy, and name the package's own files in its messages.
    pub(super) fn in_place(&self, arguments: &[OsString]) -> Result<Vec<OsString>, Failure> {
        let here = env::current_dir().map_err(|error| format!("the current folder: {error}"))?;
        let place = |argument: &OsString| {
            self.place(argument, &here).map_or_else(|| argument.clone(), PathBuf::into)
        };
        let mut paths = self.copy.clone().into_os_string();
        paths.push("=");
        paths.push(&self.root);
        let named_as_before = ["--remap-path-prefix".into(), paths];
        Ok(arguments.iter().map(place).chain(named_as_before).collect())
    }

    /// Where the copy has a source that the compiler is given; none for other arguments. Paths start from `here`.
    fn place(&self, argument: &OsStr, here: &Path) -> Option<PathBuf> {
        let path = here.join(argument);
        let inside = path.strip_prefix(&self.root).ok()?;
        path.extension().is_some_and(|end| end == "rs").then(|| self.copy.join(inside))
    }

    /// Has a list of dependencies that the compiler wrote name the package's own files, which Cargo then watches.
    pub(super) fn restore(&self, dependencies: &Path) -> io::Result<()> {
        let escaped = |path: &Path| path.to_string_lossy().replace(' ', "\\ ");
        let text = fs::read_to_string(dependencies)?;
        fs::write(dependencies, text.replace(&escaped(&self.copy), &escaped(&self.root)))
    }
}

/// How long a copy stays after its last use. Cargo compiles the targets of a package at the same time, so that others may be making or
/// reading a copy.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Has a copy be one that is used now. Where that fails, it is made again when it has been removed.
fn mark_as_used(copy: &Path) {
    _ = fs::File::open(copy).and_then(|folder| folder.set_modified(SystemTime::now()));
}

fn is_unused(copy: &fs::DirEntry) -> io::Result<bool> {
    let used = copy.metadata()?.modified()?;
    Ok(used.elapsed().is_ok_and(|unused| unused > KEPT))
}

/// The files of a package, relative to its folder: neither hidden ones nor what Cargo builds, which it marks.
fn list(root: &Path, inside: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let folder = root.join(inside);
    if folder.join("CACHEDIR.TAG").is_file() {
        return Ok(());
    }
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = inside.join(&name);
        // The target of a link. A link without one is no source.
        let Ok(whole) = fs::canonicalize(root.join(&path)) else { continue };
        if whole.is_file() {
            files.push(path);
        } else if whole.is_dir() && !fs::canonicalize(&folder)?.starts_with(&whole) {
            list(root, &path, files)?;
        }
    }
    Ok(())
}

/// Writes linker scripts for frameworks.
pub(super) fn write_scripts(folder: &Path, frameworks: &[String]) -> Result<(), Failure> {
    let write = |framework| {
        fs::create_dir_all(folder.join("link"))?;
        write_script(folder, framework)
    };
    let failed = |error| format!("{}: {error}", folder.display());
    frameworks.iter().try_for_each(|framework| write(framework).map_err(failed))
}

fn copy_file(from: &Path, to: &Path, kind: Kind) -> io::Result<Rewritten> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let is_source = from.extension().is_some_and(|end| end == "rs");
    if kind == Kind::Program && !is_source {
        return symlink(from, to).map(|()| Rewritten::default());
    }
    let bytes = fs::read(from)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) if is_source => {
            let rewritten = Rewritten::of(text);
            fs::write(to, &rewritten.text)?;
            Ok(rewritten)
        }
        _ => fs::write(to, bytes).map(|()| Rewritten::default()),
    }
}

/// A Rust source in which frameworks are dynamic libraries.
#[derive(Default)]
struct Rewritten {
    text: String,
    /// The names of the frameworks.
    frameworks: Vec<String>,
    /// The line of a framework that is named in another way.
    left: Option<usize>,
}

impl Rewritten {
    fn of(source: &str) -> Self {
        let mut this = Self::default();
        let mut rest = source;
        while let Some(at) = rest.find(REPLACED.0) {
            let (before, after) = rest.split_at(at);
            let after = &after[REPLACED.0.len()..];
            let is_kind = before.trim_end().strip_suffix('=').is_some_and(|before| {
                let before = before.trim_end();
                before.strip_suffix("kind").is_some_and(|before| !before.ends_with(is_of_name))
            });
            this.text.push_str(before);
            this.text.push_str(if is_kind { REPLACED.1 } else { REPLACED.0 });
            if is_kind {
                // The attribute's name is before the kind or after it.
                let start = before.rfind('(').map_or(before, |at| &before[at..]);
                let end = &after[..after.find(')').unwrap_or(after.len())];
                this.frameworks.extend(named(start).or_else(|| named(end)).map(str::to_owned));
            } else if !before.rsplit('\n').next().is_some_and(|line| line.contains("//")) {
                let line = this.text.lines().count().max(1);
                this.left = this.left.or(Some(line));
            }
            rest = after;
        }
        this.text.push_str(rest);
        this
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text in `name = "text"`.
fn named(part: &str) -> Option<&str> {
    let after =
        part.split("name").skip(1).find_map(|after| after.trim_start().strip_prefix('='))?;
    after.trim_start().strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of a test's own, which is empty.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("aruminium-{name}-{}", std::process::id()));
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn package(root: &Path, text: &str) {
        fs::create_dir_all(root.join("src")).unwrap();
        fs::write(root.join("src/lib.rs"), text).unwrap();
    }

    /// The text of the library's source in the copy of a package.
    fn copied(cache: &Path, root: &Path) -> String {
        let copy = Copy::of(cache, root, Kind::Member).unwrap();
        fs::read_to_string(copy.place(OsStr::new("src/lib.rs"), root).unwrap()).unwrap()
    }

    #[test]
    fn a_copy_is_of_the_package_as_it_is() {
        let top = folder("copies");
        let (cache, one, other) = (top.join("cache"), top.join("a/metal"), top.join("b/metal"));
        package(&one, "#[link(kind = \"framework\")] one");
        package(&other, "other");
        assert_eq!(copied(&cache, &one), "#[link(kind = \"dylib\")] one");
        // A package in a folder of the same name.
        assert_eq!(copied(&cache, &other), "other");
        package(&other, "edited since");
        assert_eq!(copied(&cache, &other), "edited since");
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn frameworks_are_rewritten_however_they_are_spelled() {
        let of = |text: &str| {
            let Rewritten { text, frameworks, left } = Rewritten::of(text);
            (text, frameworks.join(" "), left)
        };
        assert_eq!(
            of(
                "#[link(name = \"A\", kind = \"framework\")]\n#[link(kind=\"framework\",name=\"B\")]"
            ),
            (
                "#[link(name = \"A\", kind = \"dylib\")]\n#[link(kind=\"dylib\",name=\"B\")]"
                    .into(),
                "A B".into(),
                None
            )
        );
        let text = "#[cfg_attr(x, link(\n    name = \"C\",\n    kind =\n    \"framework\",\n))]\n";
        assert_eq!(of(text), (text.replace("framework", "dylib"), "C".into(), None));
        // A text that the launcher does not know is left as it is, and reported unless it is in a comment.
        for (text, left) in [
            ("\n\n#[link(name = \"A\", kind = r\"framework\")]", Some(3)),
            ("link!(\"A\", \"framework\");", Some(1)),
            ("let my_kind = \"framework\";", Some(1)),
            ("// link!(\"A\", \"framework\");", None),
        ] {
            assert_eq!(of(text), (text.into(), String::new(), left));
        }
    }

    /// Each framework that a crate names has a linker script; a crate with another spelling is refused.
    #[test]
    fn frameworks_of_a_crate_can_be_linked() {
        let top = folder("frameworks");
        let (cache, root) = (top.join("cache"), top.join("objc2-app-kit"));
        package(&root, "#[link(name = \"QuartzCore\", kind = \"framework\")] extern {}");
        Copy::of(&cache, &root, Kind::Member).unwrap();
        let script = fs::read_to_string(cache.join("link/libQuartzCore.so")).unwrap();
        assert!(script.contains("libaruminium.so.0"), "{script}");
        package(&root, "\nlink!(\"AppKit\", \"framework\");");
        let error = Copy::of(&cache, &root, Kind::Member).err().unwrap();
        assert!(error.contains("src/lib.rs:2: the crate names a framework"), "{error}");
        fs::remove_dir_all(top).unwrap();
    }

    /// A package of the user's may name a framework in another way, where it is not compiled for instance; what is no source
    /// is not copied; and copies of earlier states are removed when they have not been used for a day.
    #[test]
    fn a_program_has_copies_of_its_sources() {
        let top = folder("programs");
        let (cache, root) = (top.join("cache"), top.join("triangle"));
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("weights"), "large").unwrap();
        package(&root, "link!(\"AppKit\", \"framework\");");
        let last_used_before = |copy: &Path, hours: u64| {
            let time = SystemTime::now() - Duration::from_secs(hours * 60 * 60);
            fs::File::open(copy).unwrap().set_modified(time).unwrap();
        };
        let old = Copy::of(&cache, &root, Kind::Program).unwrap().copy;
        last_used_before(&old, 25);
        assert_eq!(Copy::of(&cache, &root, Kind::Program).unwrap().copy, old);
        // One that is being made by another process, and one that was left behind.
        let others = [("1.0", 23), ("2.0", 25)].map(|(end, hours)| {
            let part = PathBuf::from(format!("{}.{end}", old.display()));
            fs::create_dir(&part).unwrap();
            last_used_before(&part, hours);
            part
        });
        package(&root, "#[link(name = \"CoreGraphics\", kind = \"framework\")] extern {}");
        let Copy { copy, .. } = Copy::of(&cache, &root, Kind::Program).unwrap();
        let source = fs::read_to_string(copy.join("src/lib.rs")).unwrap();
        assert_eq!(source, "#[link(name = \"CoreGraphics\", kind = \"dylib\")] extern {}");
        assert_eq!(fs::read_link(copy.join("weights")).unwrap(), root.join("weights"));
        assert_eq!(
            [&old, &others[0], &others[1], &copy].map(|copy| copy.is_dir()),
            [true, true, false, true]
        );
        assert!(cache.join("link/libCoreGraphics.so").is_file());
        fs::remove_dir_all(top).unwrap();
    }

    /// Cargo compiles the targets of a package at the same time.
    #[test]
    fn compilers_share_a_copy() {
        let top = folder("shared");
        let (cache, root) = (top.join("cache"), top.join("triangle"));
        for state in 0..8 {
            package(&root, &format!("{:state$}#[link(kind = \"framework\")]", ""));
            let start = std::sync::Barrier::new(8);
            let read = || {
                start.wait();
                let copy = Copy::of(&cache, &root, Kind::Program).unwrap().copy;
                fs::read_to_string(copy.join("src/lib.rs")).unwrap()
            };
            std::thread::scope(|scope| {
                let readers: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
                for reader in readers {
                    let expected = format!("{:state$}#[link(kind = \"dylib\")]", "");
                    assert_eq!(reader.join().unwrap(), expected);
                }
            });
        }
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn neither_what_cargo_builds_nor_hidden_files_are_copied() {
        let top = folder("skipped");
        let root = top.join("metal");
        package(&root, "");
        for name in ["target/debug/big", ".git/objects"] {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join("file"), "").unwrap();
        }
        fs::write(root.join("target/CACHEDIR.TAG"), "").unwrap();
        // Links that lead upwards, and nowhere.
        symlink("..", root.join("src/up")).unwrap();
        symlink("nothing", root.join("src/lost")).unwrap();
        let mut files = Vec::new();
        list(&root, Path::new(""), &mut files).unwrap();
        assert_eq!(files, [Path::new("src/lib.rs")]);
        fs::remove_dir_all(top).unwrap();
    }

    /// Cargo compiles a package of a workspace from the workspace's folder, and names other files too.
    #[test]
    fn only_sources_are_replaced() {
        let top = folder("places");
        let root = top.join("third party/metal");
        package(&root, "");
        let copy = Copy::of(&top.join("cache"), &root, Kind::Member).unwrap();
        let place = |argument: &str| copy.place(OsStr::new(argument), &top);
        assert_eq!(place("third party/metal/src/lib.rs"), Some(copy.copy.join("src/lib.rs")));
        let whole = root.join("src/lib.rs");
        assert_eq!(place(whole.to_str().unwrap()), Some(copy.copy.join("src/lib.rs")));
        assert_eq!(place(root.join("target/debug/deps").to_str().unwrap()), None);
        assert_eq!(place("src/lib.rs"), None);
        // The files that the compiler reports to have read.
        let list = top.join("metal.d");
        let read = copy.copy.join("src/lib.rs").to_str().unwrap().replace(' ', "\\ ");
        fs::write(&list, format!("metal.rlib: {read}\n")).unwrap();
        copy.restore(&list).unwrap();
        let own = whole.to_str().unwrap().replace(' ', "\\ ");
        assert_eq!(fs::read_to_string(&list).unwrap(), format!("metal.rlib: {own}\n"));
        fs::remove_dir_all(top).unwrap();
    }
}
