//! The types that both sides of a message share: object pointers, selectors, C structs, type encodings.
//!
//! This is the ground floor of the crate: the driver above and the embedded runtime below meet on these
//! types.

mod boundary;
mod encoding;
mod family;
mod structs;
mod types;

pub(crate) use boundary::contain_panic;
pub use encoding::{Encode, Encoding, EncodingError, MethodEncoding};
pub use family::{Family, colons, is_selector};
pub use structs::{
    MTL4BufferRange, MTLOrigin, MTLRegion, MTLResourceID, MTLSize, MTLSizeAndAlign,
    MTLTextureSwizzleChannels, NSRange,
};
pub use types::{Bool, Class, Id, Imp, Ivar, Method, MethodDescription, Protocol, Sel};
