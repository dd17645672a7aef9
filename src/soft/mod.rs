//! Soft Metal: what stands in for Apple's runtime and frameworks on other hosts.

mod ir;
mod simt;
