//! Every kernel of every package compiles.

use aruminium::Gpu;
use kernels::packages::{PACKAGES, Registry};
use kernels::survey::survey;

#[test]
fn every_kernel_has_a_pipeline() {
    let gpu = Gpu::open().unwrap_or_else(|error| panic!("{error}"));
    let registry = Registry::open(kernels::MANIFEST).unwrap_or_else(|error| panic!("{error}"));
    let mut missing = Vec::new();
    let mut found = 0;
    for package in PACKAGES {
        let sources = registry.sources(package).unwrap_or_else(|error| panic!("{error}"));
        for source in sources {
            let place = format!("{} {}", package.name, source.path);
            match survey(&gpu, package, &source).library {
                Ok(library) => {
                    found += library.pipelines.len();
                    let failed = library.failures.iter();
                    missing.extend(failed.map(|(name, why)| format!("{place}: {name}: {why:?}")));
                }
                Err(reason) => missing.push(format!("{place}: {reason:?}")),
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(found > 3900, "only {found} kernels were found");
}
