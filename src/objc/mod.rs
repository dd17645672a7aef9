//! Objective-C from Rust: messages, ownership, pools, blocks.
//!
//! The macros of this crate expand to what stands here. [`link`] decides where the C functions
//! come from; nothing else in this module, or above it, knows which system it runs on.

pub mod link;

mod argument;
mod block;
mod class;
mod error;
mod object;
mod pool;
mod reflect;
mod returned;
mod selector;
mod send;
pub(crate) mod string;
mod table;
mod tables;
mod variant;

pub use argument::{ArgList, Argument, Arguments, Trailing, catches};
pub use block::{Block, BlockFn, BlockPtr};
pub use class::CachedClass;
pub use error::MessageError;
pub use object::{ClassState, ObjcClass, Object, Receiver};
pub use pool::autorelease_pool;
pub use reflect::{ClassInfo, Level, MethodInfo, Nullability};
pub use returned::{Fallible, Ownership, Return, Sent, Success, Unchecked};
pub use selector::CachedSelector;
pub use send::{Call, send, send_checked};
pub use table::{ImpEntry, ImpFn};
pub use tables::{ImpTable, ImpTables};
