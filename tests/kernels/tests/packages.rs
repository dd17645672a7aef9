//! Sources that were written to a folder are those of the packages.

use kernels::packages::{PACKAGES, Registry};
use std::error::Error;
use std::path::Path;

#[test]
fn written_sources_are_read_back() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sources");
    let registry = Registry::open(kernels::MANIFEST)?;
    registry.write(&folder)?;
    let again = Registry::written(&folder)?;
    for package in PACKAGES {
        assert_eq!(registry.folder(package)?.1, again.folder(package)?.1);
        let (sources, again) = (registry.sources(package)?, again.sources(package)?);
        assert!(!sources.is_empty(), "{}", package.name);
        assert_eq!(sources.len(), again.len(), "{}", package.name);
        for (source, again) in sources.iter().zip(&again) {
            assert_eq!(source.path, again.path);
            assert!(source.text == again.text, "{}", source.path);
        }
    }
    Ok(())
}
