//! Soft Metal: what stands in for Apple's runtime and frameworks on other hosts.

#[cfg(test)]
mod corpus;
pub(crate) mod ir;
pub(crate) mod msl;
pub(crate) mod simt;
#[cfg(test)]
mod tests;
