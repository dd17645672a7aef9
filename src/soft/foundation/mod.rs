//! The classes of Foundation that Metal needs: one class per file.

pub(crate) mod absent;
pub(crate) mod array;
mod autorelease_pool;
mod base64;
mod bundle;
#[cfg(feature = "export")]
#[allow(non_upper_case_globals)] // C's names.
pub(crate) mod constant_string;
mod data;
mod date;
mod dictionary;
#[allow(non_camel_case_types, non_upper_case_globals)] // C's names.
mod dispatch;
#[allow(non_snake_case)] // C's names.
pub(crate) mod entry;
#[cfg(feature = "export")]
#[allow(non_snake_case)] // C's names.
pub(crate) mod entry_clients;
#[cfg(feature = "export")]
#[allow(non_snake_case, non_camel_case_types)] // C's names.
pub(crate) mod entry_context;
#[cfg(feature = "export")]
#[allow(non_snake_case)] // C's names.
pub(crate) mod entry_foundation;
#[cfg(feature = "export")]
#[allow(non_snake_case)] // C's names.
pub(crate) mod entry_source;
mod enumeration;
mod enumerator;
mod error;
mod exception;
pub(crate) mod file;
mod format;
#[cfg(feature = "export")]
#[allow(non_snake_case)] // C's names.
pub(crate) mod geometry;
#[cfg(feature = "export")]
#[allow(non_camel_case_types)] // C's names.
mod group;
mod method_signature;
mod mutable_array;
mod mutable_data;
mod mutable_dictionary;
mod mutable_string;
mod number;
mod path;
mod process_info;
mod protocols;
mod run_loop;
mod set;
mod shared;
#[cfg(feature = "export")]
#[allow(non_camel_case_types, non_upper_case_globals)] // C's names.
mod source;
mod string;
mod text;
mod thread;
mod url;
mod value;
mod variadic;

pub(crate) use crate::soft::runtime::nsobject::NSObject;
pub(crate) use array::List;
pub(crate) use bundle::Bundle;
pub(crate) use data::Bytes;
pub(crate) use dictionary::Pairs;
pub(crate) use dispatch::{run_on, serial_queue};
pub(crate) use error::Failure;
pub(crate) use number::Number;
pub(crate) use string::Text;
pub(crate) use url::Address;
