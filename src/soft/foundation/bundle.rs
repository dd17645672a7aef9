//! NSBundle: a folder of a program's files. Metal looks for a default library there.

use super::url::Address;
use super::{List, NSObject, Pairs, Text};
use crate::abi::{Class, Id};
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::object::{Object, Strong};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder.
pub(crate) struct Bundle(PathBuf);

soft_class! {
    /// A folder of a program's files.
    pub(super) class NSBundle(Bundle): NSObject, lacks super::absent::BUNDLE;
    class [mainBundle] = |_: Class| Bundle::main();
    class [bundleForClass:] = |_: Class, _: Class| Bundle::main();
    class [allBundles] = |_: Class| List::object([Bundle::main().into_retained()]);
    make [bundleWithPath:] = |path: &Object<Text>| Bundle::of(path.to_str().into());
    init [initWithPath:] = |path: &Object<Text>| Bundle::of(path.to_str().into());
    make [bundleWithURL:] = |url: &Object<Address>| Bundle::of(url.path()?);
    init [initWithURL:] = |url: &Object<Address>| Bundle::of(url.path()?);

    [bundlePath] = |bundle: &Bundle| text(&bundle.0);
    [bundleURL] = |bundle: &Bundle| Address::object(&bundle.0, true);
    [executablePath] = |bundle: &Bundle| bundle.program().map(|path| text(&path));
    [executableURL] = |bundle: &Bundle| bundle.program().map(|path| Address::object(&path, false));
    [resourcePath] = |bundle: &Bundle| text(&bundle.resources());
    [resourceURL] = |bundle: &Bundle| Address::object(&bundle.resources(), true);
    [pathForResource:ofType:] = |bundle: &Bundle, name: Option<&Object<Text>>, end: Option<&Object<Text>>| {
        bundle.resource(name, end).map(|path| text(&path))
    };
    [URLForResource:withExtension:] = |bundle: &Bundle, name: Option<&Object<Text>>, end: Option<&Object<Text>>| {
        bundle.resource(name, end).map(|path| Address::object(&path, false))
    };
    [bundleIdentifier] = |_: &Bundle| Id::NIL;
    [infoDictionary] = |_: &Bundle| Pairs::object([]);
    [objectForInfoDictionaryKey:] = |_: &Bundle, _: &Object<Text>| Id::NIL;
    [description] = |bundle: &Bundle| text(&bundle.0);
}

fn text(path: &Path) -> Strong<Text> {
    Text::object(path.to_string_lossy())
}

impl Bundle {
    /// The bundle of the program: the folder that the program is in.
    pub(crate) fn main() -> Strong<Self> {
        static MAIN: OnceLock<Strong<Bundle>> = OnceLock::new();
        let main = MAIN.get_or_init(|| {
            let program = std::env::current_exe().unwrap_or_default();
            Strong::new(Self(program.parent().unwrap_or(Path::new("/")).to_path_buf()))
        });
        main.clone()
    }

    /// The running program, if it is in this folder.
    fn program(&self) -> Option<PathBuf> {
        std::env::current_exe().ok().filter(|program| program.parent() == Some(&self.0))
    }

    /// None unless there is such a folder.
    fn of(path: String) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        path.is_dir().then_some(Self(path))
    }

    /// Where the files are: in a bundle with the layout of a Mac's applications, a folder within it.
    fn resources(&self) -> PathBuf {
        let inner = self.0.join("Contents/Resources");
        if inner.is_dir() { inner } else { self.0.clone() }
    }

    /// The path of a file; if it does not exist, the folder in which it was sought.
    pub(crate) fn file(&self, name: &str) -> Result<String, String> {
        let folder = self.resources();
        let path = folder.join(name);
        if path.exists() {
            Ok(path.to_string_lossy().into())
        } else {
            Err(folder.to_string_lossy().into())
        }
    }

    fn resource(&self, name: Option<&Object<Text>>, end: Option<&Object<Text>>) -> Option<PathBuf> {
        let name = name?.to_str();
        let end = end.map(|end| end.to_str()).filter(|end| !end.is_empty());
        let file = match end {
            Some(end) => format!("{name}.{end}"),
            None => name.into_owned(),
        };
        self.file(&file).map(PathBuf::from).ok()
    }
}
