//! Foundation, as far as Metal needs it: one class a file.

pub(crate) mod array;
pub(in crate::soft::objc) mod data;
mod dictionary;
mod enumeration;
mod error;
mod number;
mod object;
mod string;
mod url;

pub(crate) use array::List;
pub(crate) use dictionary::Pairs;
pub(crate) use error::Failure;
pub(crate) use object::NSObject;
pub(crate) use string::Text;
pub(crate) use url::Address;
