//! Every kernel of every package compiles, but for those whose tiles fit no GPU.

use aruminium::Gpu;
use kernels::packages::{PACKAGES, Registry};
use kernels::survey::survey;

#[test]
fn every_kernel_has_a_pipeline() {
    let gpu = Gpu::open().unwrap_or_else(|error| panic!("{error}"));
    let registry = Registry::open(kernels::MANIFEST).unwrap_or_else(|error| panic!("{error}"));
    let mut missing = Vec::new();
    let (mut found, mut too_large) = (0, 0);
    for package in PACKAGES {
        let sources = registry.sources(package).unwrap_or_else(|error| panic!("{error}"));
        for source in sources {
            let place = format!("{} {}", package.name, source.path);
            match survey(&gpu, package, &source, 1).library {
                Ok(library) => {
                    found += library.pipelines.len();
                    for (name, why) in &library.failures {
                        match why.message.contains("bytes of threadgroup memory") {
                            true => too_large += 1,
                            false => missing.push(format!("{place}: {name}: {why:?}")),
                        }
                    }
                }
                Err(reason) => missing.push(format!("{place}: {reason:?}")),
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    // candle's attention of many queries in `float` with heads of 256.
    assert_eq!(too_large, 2, "kernels that need more threadgroup memory than there is");
    assert!(found > 3900, "only {found} kernels were found");
}
