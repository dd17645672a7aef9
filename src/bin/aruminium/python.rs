//! Modules by which a Python program finds the library: they look libraries up by `ctypes` as on a Mac.
//!
//! Python runs `sitecustomize` when it starts. The one here answers three questions as a Mac does, and then runs the
//! one that the user has. Libraries that programs look for as files are links to ours.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The libraries that programs look for in the folders of `LD_LIBRARY_PATH`.
const FILES: [&str; 3] = ["Metal", "CoreGraphics", "MTLCompiler"];

/// The code that Python runs when it starts. `{library}` is the path of the library.
const STARTUP: &str = "\
# Written by aruminium: this process uses its Metal.
import ctypes, ctypes.util, importlib.machinery, importlib.util, os, platform, sys

LIBRARY = {library}
HERE = os.path.dirname(os.path.abspath(__file__))

# The version of macOS decides which version of Metal's language a program uses.
platform.mac_ver = lambda *_, **__: (\"14.0\", (\"\", \"\", \"\"), \"arm64\")

def names_ours(name):
    return name == \"objc\" or name in (\"Metal\", \"Foundation\", \"CoreFoundation\", \"CoreGraphics\")

find_library = ctypes.util.find_library
ctypes.util.find_library = lambda name: LIBRARY if names_ours(name) else find_library(name)

def is_ours(path):
    return isinstance(path, str) and (
        path.startswith((\"/usr/lib/libSystem\", \"/usr/lib/libobjc\"))
        or (path.startswith(\"/System/Library/\") and names_ours(os.path.basename(path)))
    )

load = ctypes.CDLL.__init__
def init(self, name=None, *arguments, **named):
    load(self, LIBRARY if is_ours(name) else name, *arguments, **named)
ctypes.CDLL.__init__ = init

# The user's own.
rest = [path for path in sys.path if os.path.abspath(path or \".\") != HERE]
spec = importlib.machinery.PathFinder.find_spec(\"sitecustomize\", rest)
if spec and spec.loader:
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
";

/// Writes the files into a folder of the cache, and returns it.
pub(super) fn prepare(folder: &Path, library: &Path) -> std::io::Result<PathBuf> {
    let own = folder.join("python");
    fs::create_dir_all(&own)?;
    // A Rust string in debug form is a Python string too, if it is printable.
    let text = STARTUP.replace("{library}", &format!("{library:?}"));
    super::library::write(&own.join("sitecustomize.py"), &text)?;
    for name in FILES {
        let link = own.join(format!("lib{name}.so"));
        if fs::read_link(&link).ok().as_deref() != Some(library) {
            replace_link(library, &link)?;
        }
    }
    Ok(own)
}

/// Makes a symbolic link, or makes one that is there lead elsewhere. Several processes may do so at once.
fn replace_link(target: &Path, link: &Path) -> std::io::Result<()> {
    let part = super::library::part(link);
    // Left by a process of this number that was killed.
    _ = fs::remove_file(&part);
    symlink(target, &part)?;
    fs::rename(&part, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_runs_at_the_same_time_all_make_the_links() {
        let folder = std::env::temp_dir().join(format!("aruminium-links-{}", std::process::id()));
        let library = folder.join("library.so");
        for round in 0..100 {
            let folder = folder.join(round.to_string());
            std::thread::scope(|scope| {
                let run = || prepare(&folder, &library).map(drop);
                let runs = [(); 4].map(|()| scope.spawn(run));
                runs.into_iter().for_each(|run| run.join().unwrap().unwrap());
            });
            let files = fs::read_dir(folder.join("python")).unwrap();
            assert_eq!(files.count(), FILES.len() + 1);
            for name in FILES {
                let link = folder.join("python").join(format!("lib{name}.so"));
                assert_eq!(fs::read_link(link).unwrap(), library);
            }
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
